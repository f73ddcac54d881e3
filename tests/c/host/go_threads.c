/* SPDX-License-Identifier: Apache-2.0 */

/* The library's own threads: few, with every ordinary signal blocked. */
#include <ctype.h>
#include <dirent.h>

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

static int look(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *e;
	int others = 0;

	while ((e = readdir(tasks))) {
		char path[300], line[256];
		unsigned long long blocked = 0;
		if (!isdigit(e->d_name[0]) || atoi(e->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		FILE *f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			if (sscanf(line, "SigBlk: %llx", &blocked) == 1 && (blocked & must_block()) != must_block()) {
				fprintf(stderr, "thread %s blocks %llx only\n", e->d_name, blocked);
				exit(1);
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
	struct pool pool;

	bounded();
	CHECK(pool_init(&pool, 8, SAMPLE_LEN(4), &memtype_heap) == 0);
	usleep(100000);
	int threads = look();
	printf("%d threads of the library\n", threads);
	CHECK(threads >= 1 && threads <= 8);
	return 0;
}
