/* SPDX-License-Identifier: Apache-2.0 */

/* Waiting for the other side: C on the C stack, cancellable, never longer than a bound without a look. */

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault.h"
#include "guard.h"
#include "wait.h"

/* How long a reader sleeps between looks while the mutex of its condition variable cannot be had. */
#define WITHOUT_MUTEX_NS 1000000u

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

/* syscall() is no cancellation point, so cancellation is asynchronous around it, and around it alone. The caller's
 * cleanup handlers run on the way out. */
void vx_futex_wait(_Atomic uint32_t *word, uint32_t value, uint64_t deadline)
{
	int type, saved = errno;
	struct timespec left, *timeout = NULL;

	if (deadline != VX_NEVER) {
		uint64_t now = vx_now();
		if (now >= deadline)
			return;
		left = vx_timespec(deadline - now);
		timeout = &left;
	}
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &type);
	syscall(SYS_futex, word, FUTEX_WAIT, value, timeout, NULL, 0);
	pthread_setcanceltype(type, NULL);
	errno = saved;
}

long vx_futex_wake(_Atomic uint32_t *word)
{
	int saved = errno;
	long woken = syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);

	errno = saved;
	return woken;
}

void vx_sleep(uint64_t ns)
{
	struct timespec t = vx_timespec(ns);
	int saved = errno;

	nanosleep(&t, NULL);
	errno = saved;
}

int vx_mutex_lock(pthread_mutex_t *mutex, uint64_t deadline)
{
	struct timespec at = vx_timespec(deadline);
	int err = deadline == VX_NEVER ? pthread_mutex_lock(mutex) : pthread_mutex_trylock(mutex);

	if (err == EBUSY)
		err = pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &at);
	if (err == EOWNERDEAD)
		err = pthread_mutex_consistent(mutex);
	return err;
}

void vx_init_ready(pthread_mutex_t *mutex, pthread_cond_t *ready)
{
	pthread_mutexattr_t mattr;
	pthread_condattr_t cattr;

	pthread_mutexattr_init(&mattr);
	pthread_mutexattr_setpshared(&mattr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&mattr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(mutex, &mattr);
	pthread_mutexattr_destroy(&mattr);
	pthread_condattr_init(&cattr);
	pthread_condattr_setpshared(&cattr, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(ready, &cattr);
	pthread_condattr_destroy(&cattr);
}

void vx_mutex_unlock(void *mutex)
{
	pthread_mutex_consistent(mutex);	/* EINVAL, and nothing happens, but where the last holder died */
	pthread_mutex_unlock(mutex);
}

/* Lock the mutex of c, which the other side may hold for ever: it is stopped, or was killed and the mutex is not
 * robust, or another ignored that it was and it can never be locked again. The first time this waits for a while;
 * from then on it only looks, until it succeeds. */
static bool lock(struct vx_party *p, struct vx_channel *c)
{
	bool late = atomic_load_explicit(&c->late, memory_order_relaxed);
	int err = vx_mutex_lock(c->mutex, late ? 0 : vx_now() + VX_LOOK_NS);

	if (VX_LIKELY(!err && !late))
		return true;
	if (atomic_exchange(&c->late, err != 0) == 0 && err && p->stuck)
		p->stuck(p, c);
	return !err;
}

/* Towards a reference-built peer: its condition variable, with the look under the mutex before the wait. Without the
 * mutex there is no waiting for the condition: sleep a little then. */
static void wait_ready(struct vx_party *p, struct vx_channel *c, uint64_t deadline)
{
	struct timespec at = vx_timespec(deadline);
	bool locked = false;

	if (!vx_guard_enter(p))
		return;
	pthread_cleanup_push(vx_guard_leave, p);
	locked = lock(p, c);
	if (locked) {
		pthread_cleanup_push(vx_mutex_unlock, c->mutex);
		if (vx_leaf_channel_empty(c) && !vx_stopped(c))
			pthread_cond_clockwait(c->ready, c->mutex, CLOCK_MONOTONIC, &at);
		pthread_cleanup_pop(1);
	}
	pthread_cleanup_pop(1);
	if (!locked)
		vx_sleep(WITHOUT_MUTEX_NS);
}

/* The default spin in microseconds. A sleeping reader costs two wake-ups of a CPU, 60 to 110 us a round trip on a
 * virtual machine; what comes sooner than that is better awaited awake. */
#define DEFAULT_SPIN 50

int vx_spin_setting(int asked)
{
	const char *from = getenv("VILLAS_EXT_SPIN");

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return 0;
	if (asked >= 0)
		return asked;
	if (from && *from)
		return atoi(from) < 0 ? 0 : atoi(from);
	return DEFAULT_SPIN;
}

/* Spin for a while that adapts: full length while spins pay off, an eighth of the last one after each that does not
 * (never quite nothing, so that it finds out when they would again). True if there is something. */
static bool spin(struct vx_party *p, struct vx_channel *c)
{
	int longest = p->spin * 1000, length = atomic_load_explicit(&p->spinning, memory_order_relaxed);

	if (longest <= 0)
		return false;
	uint64_t end = vx_now() + (uint64_t) length;
	do {
		for (int i = 0; i < VX_LOOKS_BEFORE_YIELD; i++) {
			if (!vx_leaf_channel_empty(c) || vx_stopped(c)) {
				atomic_store_explicit(&p->spinning, longest, memory_order_relaxed);
				return true;
			}
			relax();
		}
	} while (vx_now() < end);
	atomic_store_explicit(&p->spinning, length / 2 > longest / 16 ? length / 2 : longest / 16, memory_order_relaxed);
	return false;
}

/* In polling mode a caller with a timeout waits awake, but lets others run. */
static void poll(struct vx_party *p, struct vx_channel *c, uint64_t deadline)
{
	do {
		for (int i = 0; i < VX_LOOKS_BEFORE_YIELD; i++) {
			if (!vx_leaf_channel_empty(c) || vx_stopped(c) || atomic_load(&p->closing))
				return;
			relax();
		}
		pthread_testcancel();
		sched_yield();
	} while (vx_now() < deadline);
}

void vx_wait_readable(struct vx_party *p, struct vx_channel *c, uint64_t deadline)
{
	uint64_t look = vx_now() + VX_LOOK_NS;

	if (look > deadline)
		look = deadline;
	if (atomic_load(&p->closing) || atomic_load(&p->dead))
		return;
	if (p->polling) {
		poll(p, c, look);
	} else if (!spin(p, c)) {
		if (atomic_load(&p->legacy)) {
			wait_ready(p, c, look);
			return;
		}
		atomic_store(c->waiters, 1);
		vx_fault("announce");
		if (vx_leaf_channel_empty(c) && !vx_stopped(c) && !atomic_load(&p->closing))
			vx_futex_wait(c->waiters, 1, look);
	}
}

void vx_wake(struct vx_party *p, struct vx_channel *c, long flags)
{
	int saved = errno;

	if (flags & VX_WAKE) {
		atomic_store(c->waiters, 0);
		vx_futex_wake(c->waiters);
	}
	/* Without the mutex where it cannot be had: a waiter that misses this broadcast looks again when the next comes. */
	if (flags & VX_BROADCAST && atomic_load(&p->legacy) && !p->polling && vx_guard_enter(p)) {
		bool locked = lock(p, c);
		vx_fault("mutex");
		pthread_cond_broadcast(c->ready);
		if (locked)
			pthread_mutex_unlock(c->mutex);
		vx_guard_leave(p);
	}
	errno = saved;
}
