/* SPDX-License-Identifier: Apache-2.0 */

/* Waiting for the other side: C on the C stack, cancellable, never longer than a bound without a look. */
#ifndef VX_WAIT_H
#define VX_WAIT_H

#include "clock.h"
#include "leaf.h"
#include "peer.h"

/* A polling loop yields after so many empty looks: with fewer CPUs than pollers a pure spin starves the peer. */
#define VX_LOOKS_BEFORE_YIELD 50

/* Sleep while *word is value, at most until deadline. A cancellation point. Spurious returns happen. */
VX_HIDDEN void vx_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline);

/* Wake all who sleep there, and tell how many. */
VX_HIDDEN long vx_futex_wake(_Atomic uint32_t *word);

/* Sleep for ns. A cancellation point. */
VX_HIDDEN void vx_sleep(uint64_t ns);

/* Lock a mutex in shared memory by deadline: 0 or an errno value. One whose holder died is made consistent. */
VX_HIDDEN int vx_mutex_lock(pthread_mutex_t *mutex, uint64_t deadline);

/* Make both process-shared, and the mutex robust: if its holder dies, the next to lock it gets it. */
VX_HIDDEN void vx_init_ready(pthread_mutex_t *mutex, pthread_cond_t *ready);

/* For pthread_cleanup_push: unlock a mutex, one whose holder died while we waited for a condition likewise. */
VX_HIDDEN void vx_mutex_unlock(void *mutex);

/* Wait until there may be something to pull from c, the other side may have stopped or died, or deadline, but no longer
 * than VX_LOOK_NS. A cancellation point. Look again after it whatever it was. */
VX_HIDDEN void vx_wait_readable(struct vx_party *p, struct vx_channel *c, uint64_t deadline);

/* Wake whoever waits for c, after a write that reported flags (VX_WAKE, VX_BROADCAST), or after a stop (both). */
VX_HIDDEN void vx_wake(struct vx_party *p, struct vx_channel *c, long flags);

/* The spin in microseconds that was asked for (-1: what VILLAS_EXT_SPIN says, or the default), 0 on one CPU. */
VX_HIDDEN int vx_spin_setting(int asked);

#endif
