// SPDX-License-Identifier: Apache-2.0

package fault

// Points to die at.
const (
	Push = 1 // cells are claimed for a push and not yet published
	Pull = 2 // cells are claimed for a pull and not yet freed
)
