/* SPDX-License-Identifier: Apache-2.0 */

/* The library's own threads: few, with every ordinary signal blocked, and idle. */
#include <ctype.h>
#include <dirent.h>
#include <time.h>

#include "host.h"

/* Signals that Go unblocks even so: SIGPROF, SIGURG, SIGCHLD, and its own of the real-time ones. Documented. */
static unsigned long long must_block(void)
{
	int few[] = { 1, 2, 3, 10, 12, 13, 14, 15, 28 };	/* HUP INT QUIT USR1 USR2 PIPE ALRM TERM WINCH */
	unsigned long long mask = 0;

	for (size_t i = 0; i < sizeof(few) / sizeof(few[0]); i++)
		mask |= 1ull << (few[i] - 1);
	return mask;
}

static int look(unsigned long long *switches)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *e;
	int others = 0;

	*switches = 0;
	while ((e = readdir(tasks))) {
		char path[300], line[256];
		unsigned long long blocked = 0, n;
		if (!isdigit(e->d_name[0]) || atoi(e->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		FILE *f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			if (sscanf(line, "SigBlk: %llx", &blocked) == 1) {
				if ((blocked & must_block()) != must_block()) {
					fprintf(stderr, "thread %s blocks %llx only\n", e->d_name, blocked);
					exit(1);
				}
			} else if (sscanf(line, "voluntary_ctxt_switches: %llu", &n) == 1) {
				*switches += n;
			}
		}
		if (f)
			fclose(f);
		others++;
	}
	closedir(tasks);
	return others;
}

int main(void)
{
	unsigned long long before, after;
	struct timespec second = { 1, 0 };
	struct sample *s;
	struct pool pool;

	bounded();
	CHECK(pool_init(&pool, 8, SAMPLE_LEN(4), &memtype_heap) == 0);
	usleep(100000);
	int threads = look(&before);
	printf("%d threads of the library\n", threads);
	CHECK(threads >= 1 && threads <= 8);
	time_t begun = time(NULL);
	nanosleep(&second, NULL);
	for (int i = 0; i < 1000000; i++) {
		CHECK(sample_alloc(&pool, &s, 1) == 1);
		sample_put(s);
	}
	CHECK(look(&after) == threads);
	printf("%llu wake-ups in a second and a million calls\n", after - before);
	CHECK(after - before <= (unsigned long long) (time(NULL) - begun));	/* longer on a machine without a CPU to spare */
	return 0;
}
