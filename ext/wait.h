/* SPDX-License-Identifier: Apache-2.0 */

/* Waiting for the other side: C on the C stack, cancellable, never longer than a bound without a look. */
#ifndef VX_WAIT_H
#define VX_WAIT_H

#include "clock.h"
#include "leaf.h"

/* Nobody waits longer than this before looking whether the other side lives. */
#define VX_LOOK_NS 50000000u

/* A polling loop yields after so many empty looks: with fewer CPUs than pollers a pure spin starves the peer. */
#define VX_LOOKS_BEFORE_YIELD 50

/* Look after the other side, if the last look is VX_LOOK_NS ago. */
VX_HIDDEN void vx_look_after(struct vx_mapping *m, uint64_t now);

/* The same from a loop that polls: most calls read the time stamp counter only. */
static inline void vx_look_sometimes(struct vx_mapping *m)
{
	uint64_t ticks, every = 1u << 25;	/* 34 ms at 1 GHz, less on a faster one */

#if defined(__x86_64__)
	ticks = __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	__asm__ volatile("mrs %0, cntfrq_el0" : "=r"(every));
	every /= 32;
#else
	ticks = vx_now(), every = VX_LOOK_NS;
#endif
	if (VX_UNLIKELY(ticks - atomic_load_explicit(&m->looked_ticks, memory_order_relaxed) > every)) {
		atomic_store_explicit(&m->looked_ticks, ticks, memory_order_relaxed);
		vx_look_after(m, vx_now());
	}
}

/* Sleep while *word is value, at most until deadline. A cancellation point. Spurious returns happen. */
VX_HIDDEN void vx_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline);
VX_HIDDEN void vx_futex_wake(_Atomic uint32_t *word);

/* Sleep for ns. A cancellation point. */
VX_HIDDEN void vx_sleep(uint64_t ns);

/* Lock a mutex in shared memory by deadline: 0 or an errno value. One whose holder died is made consistent. */
VX_HIDDEN int vx_mutex_lock(pthread_mutex_t *mutex, uint64_t deadline);

/* Wait until there may be something to pull from c, the other side may have stopped or died, or deadline. A
 * cancellation point. Look again after it whatever it was. */
VX_HIDDEN void vx_wait_readable(struct vx_mapping *m, struct vx_channel *c, uint64_t deadline);

/* Wake whoever waits for c, after a write that reported flags (VX_WAKE, VX_BROADCAST), or after a stop (both). */
VX_HIDDEN void vx_wake(struct vx_mapping *m, struct vx_channel *c, long flags);

/* Whether the other side is there, as far as can be told: false once it is known to be dead. Costs a system call. */
VX_HIDDEN bool vx_peer_lives(struct vx_mapping *m);

/* The spin in microseconds that was asked for (-1: what VILLAS_EXT_SPIN says, or the default), 0 on one CPU. */
VX_HIDDEN int vx_spin_setting(int asked);

#endif
