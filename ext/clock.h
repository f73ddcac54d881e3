/* SPDX-License-Identifier: Apache-2.0 */

/* Time for waits: nanoseconds of CLOCK_MONOTONIC, deadlines made of relative timeouts. */
#ifndef VX_CLOCK_H
#define VX_CLOCK_H

#include <stdint.h>
#include <time.h>

#define VX_NEVER UINT64_MAX

static inline uint64_t vx_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

/* The deadline that lies timeout from now; NULL is never. A negative timeout is over, a huge one never. */
static inline uint64_t vx_deadline(const struct timespec *timeout)
{
	if (!timeout || timeout->tv_sec > 1000000000)
		return VX_NEVER;
	if (timeout->tv_sec < 0)
		return 0;
	return vx_now() + (uint64_t) timeout->tv_sec * 1000000000u + (uint64_t) timeout->tv_nsec;
}

static inline struct timespec vx_timespec(uint64_t ns)
{
	struct timespec t = { (time_t) (ns / 1000000000u), (long) (ns % 1000000000u) };

	return t;
}

#endif
