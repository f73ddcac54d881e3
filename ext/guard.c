/* SPDX-License-Identifier: Apache-2.0 */

/* The way out of glibc, see guard.h. */

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guard.h"
#include "wait.h"

/* How often the guard looks after the other side, and how often it tries again to get somebody out. */
#define GUARD_LOOK_NS 100000000u
#define GUARD_AGAIN_NS 1000000u

/* After so many looks a mutex is held by somebody who died before it could write down who it is. */
#define UNKNOWN_LOOKS 50

/* How often somebody who waits at the barrier and has no process to be seen is looked for there again. */
#define MEET_LOOKS 50

/* glibc's pthread_barrier_t, the words at its front since 2.25. */
struct barrier {
	_Atomic uint32_t arrived;	/* in all rounds */
	_Atomic uint32_t before;	/* in the rounds that are complete */
	_Atomic uint32_t count;		/* arrivals that make a round */
};

/* A wake-up for nothing is harmless to who waits at a barrier, and tells how many there are: of those who have come
 * only the living sleep. That holds across users and containers, where no /proc shows them. */
enum vx_barrier vx_at_barrier(pthread_barrier_t *barrier)
{
	struct barrier *b = (struct barrier *) barrier;
	uint32_t before = atomic_load(&b->before);

	if (atomic_load(&b->arrived) == before)
		return before ? VX_PAIRED : VX_NOBODY;
	return vx_futex_wake(&b->before) > 0 ? VX_WAITS : VX_GHOST;
}

uint32_t vx_barrier_count(pthread_barrier_t *barrier)
{
	return atomic_load(&((struct barrier *) barrier)->count);
}

void vx_open_barrier(pthread_barrier_t *barrier)
{
	struct barrier *b = (struct barrier *) barrier;

	atomic_store(&b->before, atomic_load(&b->arrived));
	vx_futex_wake(&b->before);
}

/* glibc's pthread_cond_t: the two words at which its waiters sleep until they are not 0, since 2.25. */
#define SIGNALS 10

/* What else glibc waits for in a condition variable are words that become 0 or smaller: groups left by their waiters, a
 * lock. All are set to 0, since which ones wait for what differs from version to version, and who sleeps on them is woken.
 * Nobody of ours enters any more, so they need not make sense together: only those inside still read them, who then
 * leave, and the other side's, if it was only stopped. */
static void make_anew(pthread_cond_t *ready)
{
	_Atomic uint32_t *words = (_Atomic uint32_t *) ready;
	const size_t count = sizeof(*ready) / sizeof(*words);

	for (size_t i = 0; i < count; i++)
		atomic_store(&words[i], i == SIGNALS || i == SIGNALS + 1);
	for (size_t i = 0; i < count; i++)
		vx_futex_wake(&words[i]);
}

/* glibc's pthread_mutex_t, the words at its front. */
struct mutex {
	_Atomic uint32_t lock;
	uint32_t count;
	_Atomic uint32_t owner;		/* thread id */
	uint32_t users, kind;
};
#define ROBUST 16u	/* in kind */

/* Unlock a mutex that is not robust in the place of its holder in the other process, which does it no more. One of ours
 * gets out of where it stands and unlocks it itself; its id stands there a moment after it has the lock, so that an
 * unknown holder counts only when it stays so. */
static void unlock_for(struct mutex *m, unsigned *unknown)
{
	uint32_t owner = atomic_load(&m->owner);

	if (m->kind & ROBUST || !atomic_load(&m->lock) || (owner && !syscall(SYS_tgkill, getpid(), owner, 0))) {
		*unknown = 0;
		return;
	}
	if (!owner && ++*unknown < UNKNOWN_LOOKS)
		return;
	atomic_store(&m->owner, 0);
	atomic_store(&m->lock, 0);
	vx_futex_wake(&m->lock);
	*unknown = 0;
}

static void open_barrier(struct vx_party *p)
{
	atomic_store(&p->at_barrier, 2);
	vx_open_barrier(p->barrier);
}

static void get_all_out(struct vx_party *p)
{
	unsigned unknown[2] = { 0, 0 };

	while (atomic_load(&p->inside)) {
		if (atomic_load(&p->at_barrier))
			open_barrier(p);
		for (int i = 0; i < 2 && !p->polling; i++) {
			unlock_for((struct mutex *) p->channels[i]->mutex, &unknown[i]);
			make_anew(p->channels[i]->ready);
		}
		vx_sleep(GUARD_AGAIN_NS);
	}
}

static bool leaves_now(struct vx_party *p)
{
	uint64_t by = atomic_load(&p->leave_by);

	return by && vx_now() >= by;
}

void vx_guard_leave_by(struct vx_party *p, uint64_t deadline)
{
	uint64_t none = 0;

	atomic_compare_exchange_strong(&p->leave_by, &none, deadline);
}

static void *guard(void *arg)
{
	struct vx_party *p = arg;
	bool stood = false;	/* at the last look somebody of ours stood at the barrier */

	while (!atomic_load(&p->rest)) {
		bool stands = atomic_load(&p->at_barrier) == 1;
		if (!atomic_load(&p->dead))
			p->lives(p);
		if (atomic_load(&p->dead) || leaves_now(p))
			get_all_out(p);
		else if (stood && stands)
			open_barrier(p);
		stood = stands;
		vx_futex_wait(&p->rest, 0, vx_now() + GUARD_LOOK_NS);
	}
	return NULL;
}

int vx_guard_start(struct vx_party *p)
{
	sigset_t all, old;
	int none = 0;

	vx_adopt(p);
	if (!atomic_compare_exchange_strong(&p->guarded, &none, 1))
		return 0;
	atomic_store(&p->rest, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int err = pthread_create(&p->guard, NULL, guard, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (err)
		atomic_store(&p->guarded, 0);
	return err;
}

void vx_guard_stop(struct vx_party *p)
{
	vx_adopt(p);
	if (!atomic_load(&p->guarded))
		return;
	atomic_store(&p->rest, 1);
	vx_futex_wake(&p->rest);
	pthread_join(p->guard, NULL);
	atomic_store(&p->guarded, 0);
}

bool vx_guard_enter(struct vx_party *p)
{
	if (VX_UNLIKELY(!atomic_load_explicit(&p->guarded, memory_order_relaxed) ||
	    atomic_load_explicit(&p->forks, memory_order_relaxed) != atomic_load_explicit(&vx_forks, memory_order_relaxed)))
		vx_guard_start(p);	/* where no thread can be had, unguarded, as the original */
	atomic_fetch_add(&p->inside, 1);
	if (VX_LIKELY(!atomic_load(&p->dead)))
		return true;
	atomic_fetch_sub(&p->inside, 1);
	return false;
}

void vx_guard_leave(void *party)
{
	struct vx_party *p = party;

	atomic_fetch_sub(&p->inside, 1);
}

int vx_meet(struct vx_party *p, bool seen)
{
	int err = vx_guard_start(p), how = 0;

	if (err)
		return ENOMEM;	/* EAGAIN, of pthread_create, means something else here */
	for (int i = 0; !seen; i++) {
		if (i == MEET_LOOKS)
			return EAGAIN;
		vx_sleep(GUARD_AGAIN_NS);
		seen = vx_at_barrier(p->barrier) == VX_WAITS;
	}
	if (!vx_guard_enter(p))
		return EOWNERDEAD;
	atomic_store(&p->at_barrier, 1);
	pthread_barrier_wait(p->barrier);
	how = atomic_exchange(&p->at_barrier, 0);
	vx_guard_leave(p);
	if (atomic_load(&p->dead))
		return EOWNERDEAD;
	return how == 2 ? EAGAIN : 0;
}

void vx_adopt(struct vx_party *p)
{
	uint32_t forks = atomic_load(&vx_forks), before = atomic_load(&p->forks);

	if (VX_LIKELY(before == forks) || !atomic_compare_exchange_strong(&p->forks, &before, forks))
		return;
	atomic_store(&p->callers, 0);
	atomic_store(&p->inside, 0);
	atomic_store(&p->at_barrier, 0);
	atomic_store(&p->guarded, 0);
}
