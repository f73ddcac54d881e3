// SPDX-License-Identifier: Apache-2.0

package fault

// Points to die at.
const (
	Push = 1 // cells are claimed for a push and not yet published
	Pull = 2 // cells are claimed for a pull and not yet freed

	// Steps of the handshake of a pair.
	Semaphores = 3 // both are open
	Object     = 4 // our object has its name
	Posted     = 5
	Received   = 6 // the other side's post, and ours is taken
	Mapped     = 7 // the other side's object is
	Unlinked   = 8 // our semaphore has lost its name
)
