/* SPDX-License-Identifier: Apache-2.0 */

/** Small functions and macros of the original that programs use.
 * @file */
#ifndef VILLAS_UTILS_H
#define VILLAS_UTILS_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <villas/common.h>
#include <villas/log.h>

VILLAS_BEGIN_DECLS

#define LIKELY(x)	__builtin_expect((x), 1)
#define UNLIKELY(x)	__builtin_expect((x), 0)

/** Round @p x up to a multiple of @p a, a power of two. */
#define ALIGN(x, a)		ALIGN_MASK(x, (uintptr_t) (a) - 1)
#define ALIGN_MASK(x, m)	(((uintptr_t) (x) + (m)) & ~(m))
#define IS_ALIGNED(x, a)	(ALIGN(x, a) == (uintptr_t) (x))

/** Divide and round up. */
#define CEIL(x, y)	(((x) + (y) - 1) / (y))

#define IS_POW2(x)	(((x) != 0) && !((x) & ((x) - 1)))

/** The next power of two from x up, as an int; of 1 it is 4, and of 0 it is 0, as the original has it. */
#define LOG2_CEIL(x)	((x) == 0 ? 0 : 1 << (log2i((long long) ((x) - 1)) + 1))

#ifndef __cplusplus
#define MIN(a, b)	__extension__ ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a < _b ? _a : _b; })
#define MAX(a, b)	__extension__ ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); _a > _b ? _a : _b; })
#define SWAP(a, b)	do { __typeof__(a) _t = (a); (a) = (b); (b) = _t; } while (0)
#endif

#define ARRAY_LEN(a)	(sizeof(a) / sizeof((a)[0]))
#define BIT(n)		(1ull << (n))
#define BITMASK(h, l)	(((~0ULL) << (l)) & (~0ULL >> (63 - (h))))
#define STR(x)		#x
#define XSTR(x)		STR(x)

#ifndef container_of
#define container_of(ptr, type, member) ((type *) ((char *) (ptr) - offsetof(type, member)))
#endif

/** A version, of a kernel for example. */
struct version {
#undef major	/* macros of <sys/sysmacros.h> */
#undef minor
	int major;
	int minor;
};

/* Thread safe unless noted; none is signal safe. */

/** Zeroed memory, for free(3); ends the program by error() if there is none. */
void *alloc(size_t bytes) VILLAS_HELPER(alloc);

/** A copy of @p bytes bytes in such memory. */
void *memdup(const void *src, size_t bytes) VILLAS_HELPER(memdup);

/** abort(3), after the indentation of the log is undone. */
void die(void) VILLAS_HELPER(die) __attribute__((noreturn));

/** Append formatted text to the malloc'd string @p dest (NULL is empty), which moves. @return it. */
char *strcatf(char **dest, const char *fmt, ...) VILLAS_HELPER(strcatf) __attribute__((format(printf, 2, 3)));
char *vstrcatf(char **dest, const char *fmt, va_list va) VILLAS_HELPER(vstrcatf) __attribute__((format(printf, 2, 0)));

/** A formatted string in malloc'd memory. */
#define strf(fmt, ...)		strcatf(&(char *) { NULL }, fmt, ##__VA_ARGS__)
#define vstrf(fmt, va)		vstrcatf(&(char *) { NULL }, fmt, va)

/** Uniform in 0 to 1, from random(3). */
double randf(void) VILLAS_HELPER(randf);

/** A normal variate with mean @p m and standard deviation @p s. Not thread safe. */
double box_muller(float m, float s) VILLAS_HELPER(box_muller);

/** Fill @p bytes bytes from the system's random source. @return @p bytes; -1 with errno. */
ssize_t read_random(char *buf, size_t bytes) VILLAS_HELPER(read_random);

#ifdef CPU_SETSIZE
/** The set as a bit mask, and back. */
void cpuset_to_integer(cpu_set_t *cset, uintmax_t *set) VILLAS_HELPER(cpuset_to_integer);
void cpuset_from_integer(uintmax_t set, cpu_set_t *cset) VILLAS_HELPER(cpuset_from_integer);

/** Read a list such as "0,1,3-9:2". @return 0; 1 if it is malformed; 2 if a CPU is too large and @p fail is set. */
int cpulist_parse(const char *str, cpu_set_t *set, int fail) VILLAS_HELPER(cpulist_parse);

/** Write the list of @p set. @return @p str; NULL if @p len bytes are too few. */
char *cpulist_create(char *str, size_t len, cpu_set_t *set) VILLAS_HELPER(cpulist_create);
#endif

/** Difference of major, then of minor: below, above or 0. */
int version_cmp(struct version *a, struct version *b) VILLAS_HELPER(version_cmp);

/** Read "major.minor". @return 0; 1 if it is malformed. */
int version_parse(const char *s, struct version *v) VILLAS_HELPER(version_parse);

#ifdef SA_SIGINFO
/** Call @p cb on SIGINT and SIGTERM; ignore SIGCHLD. */
void signals_init(void (*cb)(int signal, siginfo_t *sinfo, void *ctx)) VILLAS_HELPER(signals_init);
#endif

/** fork(2) and execvp(3). A failed exec ends the child with status 127. @return the child's pid; -1 with errno. */
pid_t spawn(const char *name, char *const argv[]) VILLAS_HELPER(spawn);

/** Busy-wait for @p nanosecs since the time stamp @p start; 0: now. */
void rdtsc_sleep(uint64_t nanosecs, uint64_t start) VILLAS_HELPER(rdtsc_sleep);

/** Name, build and licence of this library, to stdout. */
void print_copyright(void) VILLAS_HELPER(print_copyright);

/** The processor's time stamp counter. */
static inline uint64_t rdtsc(void)
{
#if defined(__x86_64__)
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t) high << 32 | low;
#elif defined(__aarch64__)
	uint64_t ticks;

	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
	return 0;
#endif
}

/** Number of the highest bit of @p x; 1 for 0, as the original has it. */
static inline int log2i(long long x)
{
	return x == 0 ? 1 : 63 - __builtin_clzll((unsigned long long) x);
}

VILLAS_END_DECLS

#endif
