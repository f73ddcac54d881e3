/* SPDX-License-Identifier: Apache-2.0 */

/* The way out of glibc. pthread_cond_broadcast, pthread_cond_wait and pthread_barrier_wait can block for ever on an
 * object in which another process was killed. So no call of ours enters them on such an object unguarded: a thread of
 * this process looks after the other side, and once that is dead makes the objects anew under the feet of those of
 * ours who are inside, until all have left. */
#ifndef VX_GUARD_H
#define VX_GUARD_H

#include "leaf.h"

/* Start the guard of p, whose other side is not one of ours: 0 or an errno value. */
VX_HIDDEN int vx_guard_start(struct vx_party *p);

/* End it. */
VX_HIDDEN void vx_guard_stop(struct vx_party *p);

/* Before a call of glibc on an object that the other side shares: false if it is dead, and the objects are no more to
 * be touched. Not for a signal handler. */
VX_HIDDEN bool vx_guard_enter(struct vx_party *p);
VX_HIDDEN void vx_guard_leave(void *p);

/* This process is about to leave, and waits no longer than until then for an other side that stands still in an object:
 * after that it is got out likewise. */
VX_HIDDEN void vx_guard_leave_by(struct vx_party *p, uint64_t deadline);

/* What there is at a barrier for two. */
enum vx_barrier {
	VX_NOBODY,	/* nobody came, or all left in pairs */
	VX_WAITS,	/* somebody sleeps there: alive, and not stopped */
	VX_GHOST,	/* somebody came and does not sleep there: on the way to sleep, stopped, or killed */
	VX_PAIRED,	/* two have met there before */
};
VX_HIDDEN enum vx_barrier vx_at_barrier(pthread_barrier_t *barrier);

/* The number of arrivals that it is made for. */
VX_HIDDEN uint32_t vx_barrier_count(pthread_barrier_t *barrier);

/* Let those who stand at the barrier go on as if all had come. */
VX_HIDDEN void vx_open_barrier(pthread_barrier_t *barrier);

/* Arrive at the barrier of p, where somebody waits whose process was seen, or, if not, is seen to wait once more: 0, EAGAIN
 * if nobody does or somebody else was faster, EOWNERDEAD, or ENOMEM if the guard cannot be started. */
VX_HIDDEN int vx_meet(struct vx_party *p, bool seen);

/* Who came to the barrier, does not sleep there after so long, and has no process to be seen is dead; without a look at
 * processes, which may be in another container, after so much longer. */
#define VX_GHOST_NS 100000000u
#define VX_GHOST_UNSEEN_NS 5000000000u

/* What a process has that was forked from the one that opened: no callers, no guard. */
VX_HIDDEN void vx_adopt(struct vx_party *p);

#endif
