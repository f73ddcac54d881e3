/* SPDX-License-Identifier: Apache-2.0 */

/* Whether the other side of a region lives. */
#ifndef VX_PEER_H
#define VX_PEER_H

#include "clock.h"
#include "leaf.h"

/* Nobody waits longer than this before looking whether the other side lives. */
#define VX_LOOK_NS 50000000u

/* Whether the other side of a region is there, as far as can be told: false once it is known to be dead. Costs a system
 * call; where the other side holds no lock, a file of /proc or hundreds. */
VX_HIDDEN bool vx_peer_lives(struct vx_mapping *m);

/* How many processes are seen to map the region of a peer without a lock: none, one, or two and more. Costs hundreds of
 * system calls. */
VX_HIDDEN int vx_peer_seen(struct vx_mapping *m);

/* Whether a peer without a lock lives: as long as some process maps the object. Where that was never seen, and m->met is
 * set, nobody is looked for. */
VX_HIDDEN bool vx_legacy_peer_lives(struct vx_mapping *m);

/* Whether fd is still the object of m: a program may close descriptors that are not its own (daemon(3) and the like). */
VX_HIDDEN bool vx_still_open(struct vx_mapping *m);

/* Tell the user of m, once, that the other side is gone. */
VX_HIDDEN void vx_gone(struct vx_mapping *m);

/* vx_peer_lives as vx_party.lives, for the party in a mapping. */
VX_HIDDEN bool vx_party_lives(struct vx_party *p);

/* Look after the other side, if the last look is VX_LOOK_NS ago. Where a guard does that, this does nothing. */
VX_HIDDEN void vx_look_after(struct vx_party *p, uint64_t now);

/* The same from a loop that polls: most calls read the time stamp counter only. */
static inline void vx_look_sometimes(struct vx_party *p)
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
	if (VX_UNLIKELY(ticks - atomic_load_explicit(&p->looked_ticks, memory_order_relaxed) > every)) {
		atomic_store_explicit(&p->looked_ticks, ticks, memory_order_relaxed);
		vx_look_after(p, vx_now());
	}
}

#endif
