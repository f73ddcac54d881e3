/* SPDX-License-Identifier: Apache-2.0 */

/* What the helper functions do, in a recompiled program. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <math.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <villas/kernel/kernel.h>
#include <villas/list.h>
#include <villas/log.h>
#include <villas/timing.h>
#include <villas/utils.h>

#include "host.h"

static char text[8192];

/* What was printed to the file of the log since the last call. */
static const char *printed(const char *path)
{
	FILE *f = fopen(path, "r+");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	text[n] = 0;
	CHECK(ftruncate(fileno(f), 0) == 0);
	fclose(f);
	return text;
}

static void logs(void)
{
	char path[] = "/tmp/villas-test-log-XXXXXX";
	struct log l;
	int status;

	close(mkstemp(path));
	CHECK(log_init(&l, 3, LOG_POOL | LOG_NODE) == 0 && global_log == &l && l.file == stderr && l.state == STATE_INITIALIZED);
	l.path = path;
	CHECK(log_start(&l) == 0 && l.state == STATE_STARTED);
	info("hello %d", 5);
	CHECK(strstr(printed(path), "Info ") && strstr(text, "hello 5\n") && text[6] == '.');
	warn("w");
	CHECK(strstr(printed(path), "Warn "));
	stats("s");
	CHECK(strstr(printed(path), "Stats"));
	debug(LOG_POOL | 3, "yes");
	CHECK(strstr(printed(path), "Debug") && strstr(text, "yes"));
	debug(LOG_POOL | 4, "too deep");
	debug(LOG_QUEUE | 1, "another facility");
	CHECK(!*printed(path));
	debug(2, "no facility");
	CHECK(strstr(printed(path), "no facility"));
	{
		INDENT
		info("in");
		CHECK(strstr(printed(path), "     in\n"));
	}
	info("out");
	CHECK(!strstr(printed(path), "     out\n"));
	line();
	CHECK(strlen(strchr(printed(path), '-')) == LOG_WIDTH + 1);
	fflush(l.file);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			errno = ENOENT;
			if (i)
				error("fatal");
			serror("cannot");
		}
		CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
		CHECK(strstr(printed(path), i ? "fatal" : "cannot: No such file or directory") && strstr(text, "Error"));
	}
	CHECK(log_stop(&l) == 0 && l.state == STATE_STOPPED);
	unlink(path);
	l.path = "/there/is/none";
	freopen("/dev/null", "w", stderr);
	CHECK(log_start(&l) != 0 && l.file == stderr);
	CHECK(log_destroy(&l) == 0 && global_log == NULL && default_log.epoch.tv_sec == l.epoch.tv_sec);

	CHECK(log_set_facility_expression(&l, "pool,queue") == (LOG_POOL | LOG_QUEUE) && l.facilities == (LOG_POOL | LOG_QUEUE));
	CHECK(log_set_facility_expression(&l, "all,!nodes") == (int) ((long) LOG_ALL & ~LOG_NODES));
	CHECK(log_set_facility_expression(&l, "kernel,!tc,opal") == ((LOG_KERNEL & ~LOG_TC) | LOG_OPAL));
	CHECK(log_set_facility_expression(&l, "") == 0);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

static int destroyed;

static int count(void *element)
{
	(void) element;
	destroyed++;
	return 0;
}

static void lists(void)
{
	struct list l;
	struct { const char *name; } items[] = { { "c" }, { "a" }, { "b" } };

	CHECK(sizeof(l) == 32 + sizeof(pthread_mutex_t));
	list_init(&l);
	for (int i = 0; i < 40; i++)
		list_push(&l, &items[i % 3]);
	CHECK(list_length(&l) == 40 && l.capacity == 48 && list_first(&l) == &items[0] && list_at(&l, 4) == &items[1]);
	CHECK(list_contains(&l, &items[0]) == 14 && list_lookup(&l, "b") == &items[2] && list_lookup(&l, "x") == NULL);
	list_sort(&l, by_text);
	CHECK(list_first(&l) == &items[1] && list_last(&l) == &items[0] && list_at_safe(&l, 40) == NULL);
	list_remove(&l, &items[1]);
	CHECK(list_length(&l) == 27 && list_contains(&l, &items[1]) == 0);
	CHECK(list_search(&l, by_text, &items[2]) == &items[2] && list_count(&l, by_text, &items[2]) == 13);
	CHECK(list_destroy(&l, count, false) == 0 && destroyed == 27 && l.state == STATE_DESTROYED);
}

static void times(void)
{
	struct timespec a = { 5, 900000000 }, b = { 7, 100000000 }, r;

	r = time_add(&a, &b);
	CHECK(r.tv_sec == 13 && r.tv_nsec == 0);
	r = time_diff(&a, &b);
	CHECK(r.tv_sec == 1 && r.tv_nsec == 200000000 && fabs(time_delta(&a, &b) - 1.2) < 1e-12);
	r = time_diff(&b, &a);
	CHECK(r.tv_sec == -2 && r.tv_nsec == 800000000 && fabs(time_delta(&b, &a) + 1.2) < 1e-12);
	r = time_from_double(1.25);
	CHECK(r.tv_sec == 1 && r.tv_nsec == 250000000 && time_to_double(&r) == 1.25);
	r = time_from_double(-0.5);
	CHECK(r.tv_sec == -1 && r.tv_nsec == 500000000 && time_to_double(&r) == -0.5);
	r = time_now();
	CHECK(labs((long) (r.tv_sec - time(NULL))) <= 1);

	int fd = timerfd_create_rate(100);
	CHECK(fd >= 0 && timerfd_wait(fd) >= 1 && timerfd_wait(fd) >= 1);
	clock_gettime(CLOCK_MONOTONIC, &r);
	r = time_add(&r, &(struct timespec) { 0, 20000000 });
	CHECK(timerfd_wait_until(fd, &r) == 1);
	clock_gettime(CLOCK_MONOTONIC, &a);
	CHECK(time_delta(&r, &a) >= 0);
	close(fd);
	CHECK(timerfd_create_rate(0) < 0 && timerfd_create_rate(-1) < 0 && timerfd_wait(-1) == 0);
	fd = timerfd_create_rate(0.5);
	CHECK(fd >= 0);
	close(fd);
}

static void kernel(void)
{
	struct version v, old = { KERNEL_VERSION_MAJ, KERNEL_VERSION_MIN };
	struct utsname u;
	char value[256];

	uname(&u);
	CHECK(kernel_get_version(&v) == 0 && v.major == atoi(u.release) && version_cmp(&v, &old) > 0);
	CHECK(kernel_get_page_size() == sysconf(_SC_PAGESIZE) && kernel_get_cacheline_size() > 0);
	CHECK(kernel_get_hugepage_size() == -1 || kernel_get_hugepage_size() % 4096 == 0);
	CHECK(kernel_get_nr_hugepages() >= -1 && kernel_module_loaded("there_is_none") == -1);
	CHECK(kernel_get_cmdline_param("there_is_none", value, sizeof(value)) == -1);
	CHECK(kernel_irq_setaffinity(1u << 30, 1, NULL) == -1);
}

static void caught(int sig, siginfo_t *info, void *ctx)
{
	(void) ctx;
	_exit(info->si_signo == sig ? 42 : 1);
}

static void utils(void)
{
	cpu_set_t set, other;
	uintmax_t mask;
	struct version v;
	char *s = NULL, buf[64], small[4];
	double sum = 0, squares = 0;
	int status;

	CHECK(((char *) alloc(100))[99] == 0 && !strcmp(memdup("abc", 4), "abc"));
	CHECK(!strcmp(strcatf(&s, "%d", 1), "1") && !strcmp(strcatf(&s, "-%s", "x"), "1-x"));
	CHECK(!strcmp(strf("%d %d", 1, 2), "1 2"));

	CHECK(cpulist_parse("0,1,3-9:2", &set, 1) == 0 && CPU_COUNT(&set) == 6);
	cpuset_to_integer(&set, &mask);
	CHECK(mask == 0x2ab);
	cpuset_from_integer(mask, &other);
	CHECK(CPU_EQUAL(&set, &other));
	CHECK(!strcmp(cpulist_create(buf, sizeof(buf), &set), "0,1,3,5,7,9"));
	CHECK(cpulist_parse("0-3,8-10,12", &set, 1) == 0 && !strcmp(cpulist_create(buf, sizeof(buf), &set), "0-3,8-10,12"));
	CHECK(cpulist_create(small, sizeof(small), &set) == NULL);
	const char *bad[] = { "", "a", "1,", "3-1", "1-", "1-3:0", "1;2", "-1" };
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		CHECK(cpulist_parse(bad[i], &set, 1) == 1);
	CHECK(cpulist_parse("5000", &set, 1) == 2 && cpulist_parse("1,5000", &set, 0) == 0 && CPU_COUNT(&set) == 1);

	CHECK(version_parse("4.19", &v) == 0 && v.major == 4 && v.minor == 19 && version_parse("4", &v) == 1 && version_parse("x.1", &v) == 1);
	CHECK(version_cmp(&(struct version) { 1, 2 }, &(struct version) { 1, 3 }) < 0);
	CHECK(version_cmp(&(struct version) { 2, 0 }, &(struct version) { 1, 9 }) > 0);

	for (int i = 0; i < 20000; i++) {
		double x = box_muller(3, 2), r = randf();
		CHECK(r >= 0 && r <= 1);
		sum += x;
		squares += (x - 3) * (x - 3);
	}
	CHECK(fabs(sum / 20000 - 3) < 0.1 && fabs(sqrt(squares / 20000) - 2) < 0.1);
	memset(buf, 0, sizeof(buf));
	CHECK(read_random(buf, sizeof(buf)) == sizeof(buf));
	int zeros = 0;
	for (size_t i = 0; i < sizeof(buf); i++)
		zeros += !buf[i];
	CHECK(zeros < 10);

	struct timespec a, b;
	clock_gettime(CLOCK_MONOTONIC, &a);
	rdtsc_sleep(5000000, 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	CHECK(time_delta(&a, &b) > 0.0045 && time_delta(&a, &b) < 2);

	char *const none[] = { (char *) "there-is-none", NULL }, *const yes[] = { (char *) "true", NULL };
	pid_t pid = spawn(none[0], none);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 127);
	pid = spawn(yes[0], yes);
	CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 0);
	pid = fork();
	if (pid == 0) {
		signals_init(caught);
		raise(SIGTERM);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 42);
	pid = fork();
	if (pid == 0)
		die();
	CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	print_copyright();
}

int main(void)
{
	bounded();
	logs();
	lists();
	times();
	kernel();
	utils();
	return 0;
}
