/* SPDX-License-Identifier: Apache-2.0 */

/* villas/timing.h: arithmetic with struct timespec, and periodic timers. */

#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <villas/timing.h>

#include "helper.h"

#define NS 1000000000L

static struct timespec normal(time_t sec, long nsec)
{
	while (nsec >= NS) {
		sec++;
		nsec -= NS;
	}
	while (nsec < 0) {
		sec--;
		nsec += NS;
	}
	return (struct timespec) { sec, nsec };
}

VX_OLD_NAME(time_now);
VX_EXPORT struct timespec time_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return t;
}

VX_OLD_NAME(time_add);
VX_EXPORT struct timespec time_add(const struct timespec *start, const struct timespec *end)
{
	return normal(start->tv_sec + end->tv_sec, start->tv_nsec + end->tv_nsec);
}

VX_OLD_NAME(time_diff);
VX_EXPORT struct timespec time_diff(const struct timespec *start, const struct timespec *end)
{
	return normal(end->tv_sec - start->tv_sec, end->tv_nsec - start->tv_nsec);
}

VX_OLD_NAME(time_to_double);
VX_EXPORT double time_to_double(const struct timespec *ts)
{
	return (double) ts->tv_sec + (double) ts->tv_nsec / 1e9;
}

VX_OLD_NAME(time_delta);
VX_EXPORT double time_delta(const struct timespec *start, const struct timespec *end)
{
	struct timespec diff = time_diff(start, end);

	return time_to_double(&diff);
}

VX_OLD_NAME(time_from_double);
VX_EXPORT struct timespec time_from_double(double secs)
{
	double whole = floor(secs);

	return normal((time_t) whole, lround((secs - whole) * 1e9));
}

VX_OLD_NAME(timerfd_create_rate);
VX_EXPORT int timerfd_create_rate(double rate)
{
	struct itimerspec every;

	if (!(rate > 0) || !(1 / rate >= 1e-9)) {
		errno = EINVAL;
		return -1;
	}
	every.it_interval = every.it_value = time_from_double(1 / rate);
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
	if (fd >= 0 && timerfd_settime(fd, 0, &every, NULL)) {
		int err = errno;
		close(fd);
		errno = err;
		return -1;
	}
	return fd;
}

VX_OLD_NAME(timerfd_wait);
VX_EXPORT uint64_t timerfd_wait(int fd)
{
	uint64_t runs;
	ssize_t n;

	do
		n = read(fd, &runs, sizeof(runs));
	while (n < 0 && errno == EINTR);
	return n == sizeof(runs) ? runs : 0;
}

VX_OLD_NAME(timerfd_wait_until);
VX_EXPORT uint64_t timerfd_wait_until(int fd, const struct timespec *until)
{
	struct itimerspec once = { { 0, 0 }, *until };

	return timerfd_settime(fd, TFD_TIMER_ABSTIME, &once, NULL) ? 0 : timerfd_wait(fd);
}
