/* SPDX-License-Identifier: Apache-2.0 */

/** Arithmetic with struct timespec, and periodic timers.
 * @file */
#ifndef VILLAS_TIMING_H
#define VILLAS_TIMING_H

#include <stdint.h>
#include <time.h>

#include <villas/common.h>

VILLAS_BEGIN_DECLS

/* Thread and signal safe. Results are normalised: nanoseconds from 0 to 999999999. */

/** Now, of CLOCK_REALTIME. */
struct timespec time_now(void) VILLAS_HELPER(time_now);

struct timespec time_add(const struct timespec *start, const struct timespec *end) VILLAS_HELPER(time_add);

/** end - start. */
struct timespec time_diff(const struct timespec *start, const struct timespec *end) VILLAS_HELPER(time_diff);

/** The same in seconds. */
double time_delta(const struct timespec *start, const struct timespec *end) VILLAS_HELPER(time_delta);

/** From and to seconds. */
struct timespec time_from_double(double secs) VILLAS_HELPER(time_from_double);
double time_to_double(const struct timespec *ts) VILLAS_HELPER(time_to_double);

/** A timer that expires @p rate times a second, of CLOCK_MONOTONIC. @return its descriptor; -1 with errno. */
int timerfd_create_rate(double rate) VILLAS_HELPER(timerfd_create_rate);

/** Wait for the timer. @return expirations since the last wait; 0 on an error. Blocks; a cancellation point. */
uint64_t timerfd_wait(int fd) VILLAS_HELPER(timerfd_wait);

/** Set the timer to the absolute time @p until and wait for it. */
uint64_t timerfd_wait_until(int fd, const struct timespec *until) VILLAS_HELPER(timerfd_wait_until);

VILLAS_END_DECLS

#endif
