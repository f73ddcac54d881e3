/* SPDX-License-Identifier: Apache-2.0 */

/* This process's part in an exchange with another one, whatever the layout of what they share: what a wait must know
 * of the other side, and how it gets out. Private memory. */
#ifndef VX_PARTY_H
#define VX_PARTY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* One direction of an exchange. All but view are addresses in shared memory. */
struct vx_channel {
	void *view;			/* the queue's private geometry; for leaves only */
	_Atomic uint32_t *waiters;	/* futex between two of ours */
	pthread_cond_t *ready;		/* for a reference-built peer */
	pthread_mutex_t *mutex;
	_Atomic uint32_t *stopped;	/* of the side that writes into this direction */
	uint32_t running;		/* what that word is while it has not stopped */
	_Atomic int late;		/* the mutex could not be had in time */
};

struct vx_party {
	int polling;			/* readers poll; else they sleep and are woken */
	int spin;			/* longest spin before a sleep, in microseconds */
	_Atomic int spinning;		/* the spin that paid off lately, in ns */
	_Atomic int legacy;		/* the other side knows only the pthread objects */
	_Atomic int closing;
	_Atomic int dead;		/* the other side died */
	_Atomic uint32_t callers;	/* calls that wait; a futex for close */
	_Atomic uint64_t looked;	/* when the other side was last looked after, in ns */
	_Atomic uint64_t looked_ticks;	/* the same by the time stamp counter, for polling calls */
	_Atomic uint32_t forks;		/* of which process all this is, see vx_forks */

	/* For guard.c. */
	struct vx_channel *channels[2];
	pthread_barrier_t *barrier;	/* NULL: none */
	bool (*lives)(struct vx_party *);	/* whether the other side does; sets dead when not */
	void (*stuck)(struct vx_party *, struct vx_channel *);	/* hears of each mutex that is late; may be NULL */
	_Atomic uint32_t inside;	/* calls in glibc, on objects that the other side shares */
	_Atomic int at_barrier;		/* 1: one of them at the barrier; 2: got out of there */
	_Atomic uint64_t leave_by;	/* when all must be out, in ns; 0: while the other side lives never */
	_Atomic int guarded;
	_Atomic uint32_t rest;		/* tells the guard to end; a futex */
	pthread_t guard;
};

static inline bool vx_stopped(struct vx_channel *c)
{
	return atomic_load(c->stopped) != c->running;
}

/* Counts the forks that led to this process. After one, callers and guards of the parent are not here. */
extern _Atomic uint32_t vx_forks __attribute__((visibility("hidden")));

#endif
