/* SPDX-License-Identifier: Apache-2.0 */

/* How long this process got no CPU, or the whole machine stood still: what a bound on waiting cannot answer for. */
#ifndef STALL_H
#define STALL_H

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

static inline double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e3 + (double) t.tv_nsec * 1e-6;
}

/* Gaps of more than 50 ms in a beat of 5 ms, added up, in ms. */
static _Atomic double stalled;

static inline void *beat(void *unused)
{
	struct timespec t = { 0, 5000000 };
	double last = now_ms(), now;

	(void) unused;
	for (;; last = now) {
		nanosleep(&t, NULL);
		now = now_ms();
		if (now - last > 50)
			atomic_store(&stalled, atomic_load(&stalled) + now - last - 5);
	}
	return NULL;
}

static inline void start_beat(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, beat, NULL);
}

#endif
