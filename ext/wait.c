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

#include "wait.h"

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

void vx_futex_wake(_Atomic uint32_t *word)
{
	int saved = errno;

	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	errno = saved;
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
	int err = deadline == VX_NEVER ? pthread_mutex_lock(mutex) : pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, &at);

	if (err == EOWNERDEAD)
		err = pthread_mutex_consistent(mutex);
	return err;
}

static void unlock(void *mutex)
{
	pthread_mutex_unlock(mutex);
}

/* Towards a reference-built peer: its condition variable, with the look under the mutex before the wait. */
static void wait_ready(struct vx_channel *c, uint64_t deadline)
{
	struct timespec at = vx_timespec(deadline);

	if (vx_mutex_lock(c->mutex, deadline))
		return;
	pthread_cleanup_push(unlock, c->mutex);
	if (vx_leaf_channel_empty(c) && !atomic_load(c->stopped))
		pthread_cond_clockwait(c->ready, c->mutex, CLOCK_MONOTONIC, &at);
	pthread_cleanup_pop(1);
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
static bool spin(struct vx_mapping *m, struct vx_channel *c)
{
	int longest = m->spin * 1000, length = atomic_load_explicit(&m->spinning, memory_order_relaxed);

	if (longest <= 0)
		return false;
	uint64_t end = vx_now() + (uint64_t) length;
	do {
		for (int i = 0; i < VX_LOOKS_BEFORE_YIELD; i++) {
			if (!vx_leaf_channel_empty(c) || atomic_load(c->stopped)) {
				atomic_store_explicit(&m->spinning, longest, memory_order_relaxed);
				return true;
			}
			relax();
		}
	} while (vx_now() < end);
	atomic_store_explicit(&m->spinning, length / 2 > longest / 16 ? length / 2 : longest / 16, memory_order_relaxed);
	return false;
}

/* In polling mode a caller with a timeout waits awake, but lets others run. */
static void poll(struct vx_channel *c, uint64_t deadline)
{
	do {
		for (int i = 0; i < VX_LOOKS_BEFORE_YIELD; i++) {
			if (!vx_leaf_channel_empty(c) || atomic_load(c->stopped))
				return;
			relax();
		}
		pthread_testcancel();
		sched_yield();
	} while (vx_now() < deadline);
}

void vx_wait_readable(struct vx_mapping *m, struct vx_channel *c, uint64_t deadline)
{
	uint64_t look = vx_now() + VX_LOOK_NS;

	if (look > deadline)
		look = deadline;
	if (atomic_load(&m->closing))
		return;
	if (m->polling) {
		poll(c, look);
	} else if (!spin(m, c)) {
		if (atomic_load(&m->legacy)) {
			wait_ready(c, look);
			return;
		}
		atomic_store(c->waiters, 1);
		if (vx_leaf_channel_empty(c) && !atomic_load(c->stopped) && !atomic_load(&m->closing))
			vx_futex_wait(c->waiters, 1, look);
	}
}

void vx_wake(struct vx_mapping *m, struct vx_channel *c, long flags)
{
	int saved = errno;

	if (flags & VX_WAKE) {
		atomic_store(c->waiters, 0);
		vx_futex_wake(c->waiters);
	}
	if (flags & VX_BROADCAST && atomic_load(&m->legacy) && !m->polling) {
		/* A holder that died with a mutex that is not robust would keep us for ever: then broadcast without it. A
		 * waiter that misses this one looks again when the next comes. */
		int locked = !vx_mutex_lock(c->mutex, vx_now() + VX_LOOK_NS);
		pthread_cond_broadcast(c->ready);
		if (locked)
			pthread_mutex_unlock(c->mutex);
	}
	errno = saved;
}
