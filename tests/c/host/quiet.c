/* SPDX-License-Identifier: Apache-2.0 */

/* A real-time process with the library in it, for some seconds idle and for some in full traffic: the threads of the
 * library do not wake up, and no page faults in the hot path, from the first sample of a region on.
 *
 *	quiet [SECONDS]		prints when each phase begins, for a strace of it */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <spawn.h>
#include <sys/resource.h>
#include <time.h>

#include "host.h"

/* Both kinds of context switches of the library's threads so far, and how many threads there are. */
static unsigned long switches(int *threads)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *e;
	unsigned long sum = 0;

	*threads = 0;
	while ((e = readdir(tasks))) {
		char path[300], line[256];
		unsigned long n;
		if (!isdigit(e->d_name[0]) || atoi(e->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", e->d_name);
		FILE *f = fopen(path, "r");
		while (f && fgets(line, sizeof(line), f)) {
			if (sscanf(line, "voluntary_ctxt_switches: %lu", &n) == 1 || sscanf(line, "nonvoluntary_ctxt_switches: %lu", &n) == 1)
				sum += n;
		}
		if (f)
			fclose(f);
		++*threads;
	}
	closedir(tasks);
	return sum;
}

static long faults(void)
{
	struct rusage use;

	getrusage(RUSAGE_THREAD, &use);
	return use.ru_minflt + use.ru_majflt;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec / 1e9;
}

/* Exchange with the node for a while. */
static long traffic(struct shmem_shared *shm, double seconds)
{
	struct sample *s[8];
	long exchanged = 0;

	for (double end = now() + seconds; now() < end;) {
		for (int i = 0; i < 1000; i++) {
			int n = shmem_shared_read(shm, s, 8);
			CHECK(n >= 0);
			for (int k = 0; k < n; k++)
				s[k]->data[0].f += 1;
			int written = shmem_shared_write(shm, s, (unsigned) n);
			CHECK(written == n);
			exchanged += n;
		}
	}
	return exchanged;
}

/* The node: what comes back is sent again. */
static void serve(const char *name, int polling)
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
	struct sample *s[512];
	int n;

	o.polling = polling;
	struct shmem_node *node = shmem_node_create(name, &o);
	CHECK(node && shmem_node_accept(node, NULL) == 0);
	CHECK((n = sample_alloc(shmem_node_pool(node), s, 256)) == 256);
	CHECK(shmem_node_write(node, s, 256) == 256);
	while ((n = shmem_node_read(node, s, 64)) >= 0 && shmem_node_write(node, s, (unsigned) n) == n)
		;
	shmem_node_close(node);
	_exit(0);
}

static struct shmem_shared *enter(const char *name, int polling, pid_t *node)
{
	char path[100];

	/* Not by fork(): after one, each page that this process writes first faults. */
	char *argv[] = { "quiet", "serve", (char *) name, polling ? "1" : "0", NULL };
	CHECK(posix_spawn(node, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
	snprintf(path, sizeof(path), "/dev/shm%s", name);
	while (access(path, F_OK))
		usleep(1000);
	struct shmem_shared *shm = shmem_shared_open(name, NULL);
	CHECK(shm != NULL);
	return shm;
}

/* Traffic with a fresh region. Faults and wake-ups that are the library's doing happen each time; a page that the
 * machine takes away meanwhile is not. */
static int quiet_in_traffic(int polling, double seconds)
{
	char name[80];
	pid_t node;
	int threads, after;

	snprintf(name, sizeof(name), "%s-%d", region_name(), polling);
	struct shmem_shared *shm = enter(name, polling, &node);
	printf("%s, traffic\n", polling ? "polling" : "signalled");
	fflush(stdout);
	unsigned long before = switches(&threads);
	long first = faults();
	long exchanged = traffic(shm, seconds), faulted = faults() - first;
	unsigned long woken = switches(&after) - before;
	printf("%ld samples, %ld page faults, %lu wake-ups of %d threads of the library\n", exchanged, faulted, woken, after);
	CHECK(exchanged > 0 && after == threads);
	CHECK(shmem_shared_close(shm, NULL) == 0 && ended_well(node));
	return faulted == 0 && woken <= 1;
}

static int quiet_when_idle(double seconds)
{
	char name[80];
	pid_t node;
	int threads, after;

	snprintf(name, sizeof(name), "%s-idle", region_name());
	struct shmem_shared *shm = enter(name, 1, &node);
	unsigned long before = switches(&threads);
	printf("idle\n");
	fflush(stdout);
	usleep((useconds_t) (seconds * 1e6));
	unsigned long woken = switches(&after) - before;
	printf("%lu wake-ups of %d threads of the library\n", woken, after);
	CHECK(after == threads);
	CHECK(shmem_shared_close(shm, NULL) == 0 && ended_well(node));
	return woken <= 1;
}

int main(int argc, char *argv[])
{
	double seconds = argc > 1 ? atof(argv[1]) : 1;

	if (argc == 4)
		serve(argv[2], atoi(argv[3]));
	alarm(100 + (unsigned) (12 * seconds));
	for (int polling = 1; polling >= 0; polling--) {
		quiet_in_traffic(polling, 0.01);	/* brings the code in */
		CHECK(quiet_in_traffic(polling, seconds) || quiet_in_traffic(polling, seconds) || quiet_in_traffic(polling, seconds));
	}
	CHECK(quiet_when_idle(seconds) || quiet_when_idle(seconds));
	return 0;
}
