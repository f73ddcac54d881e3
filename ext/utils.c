/* SPDX-License-Identifier: Apache-2.0 */

/* villas/utils.h: memory, strings, random numbers, CPU sets, versions, processes. */

#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include <villas/utils.h>

#include "helper.h"

VX_OLD_NAME(alloc);
VX_EXPORT void *alloc(size_t bytes)
{
	void *p = calloc(1, bytes ? bytes : 1);

	if (!p)
		error("Failed to allocate %zu bytes", bytes);
	return p;
}

VX_OLD_NAME(memdup);
VX_EXPORT void *memdup(const void *src, size_t bytes)
{
	return memcpy(alloc(bytes), src, bytes);
}

VX_OLD_NAME(die);
VX_EXPORT void die(void)
{
	int none = 0;

	log_outdent(&none);
	abort();
}

VX_OLD_NAME(vstrcatf);
VX_EXPORT char *vstrcatf(char **dest, const char *fmt, va_list va)
{
	char *more;
	size_t old = *dest ? strlen(*dest) : 0;
	int n = vasprintf(&more, fmt, va);

	if (n < 0)
		return *dest;
	char *all = realloc(*dest, old + (size_t) n + 1);
	if (all) {
		memcpy(all + old, more, (size_t) n + 1);
		*dest = all;
	}
	free(more);
	return *dest;
}

VX_OLD_NAME(strcatf);
VX_EXPORT char *strcatf(char **dest, const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	vstrcatf(dest, fmt, va);
	va_end(va);
	return *dest;
}

VX_OLD_NAME(randf);
VX_EXPORT double randf(void)
{
	return (double) random() / RAND_MAX;
}

/* Box and Muller's transform in Marsaglia's polar form; it gives two variates, the second is kept. */
VX_OLD_NAME(box_muller);
VX_EXPORT double box_muller(float m, float s)
{
	static double kept;
	static int have;
	double x, y, w;

	if (have) {
		have = 0;
		return m + kept * s;
	}
	do {
		x = 2.0 * randf() - 1.0;
		y = 2.0 * randf() - 1.0;
		w = x * x + y * y;
	} while (w >= 1.0 || w == 0.0);
	w = sqrt(-2.0 * log(w) / w);
	kept = y * w;
	have = 1;
	return m + x * w * s;
}

VX_OLD_NAME(read_random);
VX_EXPORT ssize_t read_random(char *buf, size_t bytes)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = getrandom(buf + done, bytes - done, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		done += (size_t) n;
	}
	return (ssize_t) done;
}

#define MASK_CPUS ((int) (8 * sizeof(uintmax_t)))

VX_OLD_NAME(cpuset_to_integer);
VX_EXPORT void cpuset_to_integer(cpu_set_t *cset, uintmax_t *set)
{
	*set = 0;
	for (int i = 0; i < MASK_CPUS && i < CPU_SETSIZE; i++) {
		if (CPU_ISSET(i, cset))
			*set |= (uintmax_t) 1 << i;
	}
}

VX_OLD_NAME(cpuset_from_integer);
VX_EXPORT void cpuset_from_integer(uintmax_t set, cpu_set_t *cset)
{
	CPU_ZERO(cset);
	for (int i = 0; i < MASK_CPUS && i < CPU_SETSIZE; i++) {
		if (set >> i & 1)
			CPU_SET(i, cset);
	}
}

/* A decimal number at *s, which moves behind it; -1 if there is none. */
static long number(const char **s)
{
	char *end;

	if (**s < '0' || **s > '9')
		return -1;
	long n = strtol(*s, &end, 10);
	*s = end;
	return n;
}

VX_OLD_NAME(cpulist_parse);
VX_EXPORT int cpulist_parse(const char *str, cpu_set_t *set, int fail)
{
	CPU_ZERO(set);
	for (;;) {
		long first = number(&str), last = first, step = 1;

		if (first < 0)
			return 1;
		if (*str == '-') {
			str++;
			last = number(&str);
			if (last < first)
				return 1;
			if (*str == ':') {
				str++;
				step = number(&str);
				if (step < 1)
					return 1;
			}
		}
		if (last >= CPU_SETSIZE && fail)
			return 2;
		for (long i = first; i <= last && i < CPU_SETSIZE; i += step)
			CPU_SET((int) i, set);
		if (!*str)
			return 0;
		if (*str++ != ',')
			return 1;
	}
}

VX_OLD_NAME(cpulist_create);
VX_EXPORT char *cpulist_create(char *str, size_t len, cpu_set_t *set)
{
	size_t used = 0;

	if (!len)
		return NULL;
	*str = '\0';
	for (int i = 0; i < CPU_SETSIZE; i++) {
		int last = i, n;

		if (!CPU_ISSET(i, set))
			continue;
		while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, set))
			last++;
		n = last == i ? snprintf(str + used, len - used, "%s%d", used ? "," : "", i)
			      : snprintf(str + used, len - used, "%s%d%s%d", used ? "," : "", i, last == i + 1 ? "," : "-", last);
		if ((size_t) n >= len - used)
			return NULL;
		used += (size_t) n;
		i = last;
	}
	return str;
}

VX_OLD_NAME(version_cmp);
VX_EXPORT int version_cmp(struct version *a, struct version *b)
{
	return a->major != b->major ? a->major - b->major : a->minor - b->minor;
}

VX_OLD_NAME(version_parse);
VX_EXPORT int version_parse(const char *s, struct version *v)
{
	return sscanf(s, "%d.%d", &v->major, &v->minor) != 2;
}

VX_OLD_NAME(signals_init);
VX_EXPORT void signals_init(void (*cb)(int signal, siginfo_t *sinfo, void *ctx))
{
	struct sigaction action;

	memset(&action, 0, sizeof(action));
	sigemptyset(&action.sa_mask);
	action.sa_flags = SA_SIGINFO;
	action.sa_sigaction = cb;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	signal(SIGCHLD, SIG_IGN);
}

VX_OLD_NAME(spawn);
VX_EXPORT pid_t spawn(const char *name, char *const argv[])
{
	pid_t pid = fork();

	if (pid == 0) {
		execvp(name, argv);
		_exit(127);
	}
	return pid;
}

/* Ticks of the time stamp counter in a nanosecond, measured once. */
static double ticks_per_ns(void)
{
	static _Atomic double rate;
	double r = rate;

	if (r == 0) {
		struct timespec a, b;
		uint64_t from, to;
		long ns;
		clock_gettime(CLOCK_MONOTONIC, &a);
		from = rdtsc();
		do {
			clock_gettime(CLOCK_MONOTONIC, &b);
			to = rdtsc();
			ns = (b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec;
		} while (ns < 1000000);
		rate = r = (double) (to - from) / (double) ns;
	}
	return r;
}

VX_OLD_NAME(rdtsc_sleep);
VX_EXPORT void rdtsc_sleep(uint64_t nanosecs, uint64_t start)
{
	uint64_t now = rdtsc(), from = start ? start : now, ticks = (uint64_t) ((double) nanosecs * ticks_per_ns());

	while (rdtsc() - from < ticks)
		;
}

VX_OLD_NAME(print_copyright);
VX_EXPORT void print_copyright(void)
{
	printf("villas-ext (built " __DATE__ "), programs beside VILLASnode through shared memory\n"
	       "Licensed under the Apache License, Version 2.0\n");
}
