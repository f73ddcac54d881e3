/* SPDX-License-Identifier: Apache-2.0 */

/* stopped_peer LEGACY: a program built with the original is stopped where it has the inner lock of the condition variable,
 * so that glibc has a writer wait for it. The writer's close is not held up for ever, and the program, continued, sees
 * the end. The lock is set by hand, as nobody can stop a process for sure in the few instructions that hold it. */
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "host.h"

/* Words of glibc's pthread_cond_t, since 2.25. */
#define INNER_LOCK 8	/* in the lowest two bits */
#define WAITERS 9	/* above the lowest three bits */

static struct shmem_node *node;
static volatile int enough;

static void *write_on(void *count)
{
	struct sample *s;

	while (!enough) {
		if (sample_alloc(shmem_node_pool(node), &s, 1) != 1)
			break;
		if (shmem_node_write(node, &s, 1) != 1) {
			sample_put(s);
			break;
		}
		++*(volatile int *) count;
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	const char *name = region_name();
	volatile int count = 0;
	pthread_t writer;
	struct timespec before, after;

	bounded();
	CHECK(argc == 2);
	node = new_node(name, 0);
	pid_t pid = fork();
	if (pid == 0) {
		execl(argv[1], argv[1], "program", name, "8", NULL);
		_exit(127);
	}
	CHECK(shmem_node_accept(node, NULL) == 0);
	_Atomic uint32_t *ready = (_Atomic uint32_t *) &shmem_node_shared(node)->out.qs.ready;
	while (!(atomic_load(&ready[WAITERS]) >> 3))
		usleep(1000);
	kill(pid, SIGSTOP);
	atomic_fetch_or(&ready[INNER_LOCK], 1);
	CHECK(pthread_create(&writer, NULL, write_on, (void *) &count) == 0);
	usleep(200000);
	int before_close = count;
	usleep(200000);
	CHECK(count == before_close);	/* it stands in glibc */
	enough = 1;	/* a write that has begun must not be followed by another: the node is about to be gone */
	clock_gettime(CLOCK_MONOTONIC, &before);
	CHECK(shmem_node_close(node) == 0);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK(after.tv_sec - before.tv_sec < 10);
	pthread_join(writer, NULL);
	kill(pid, SIGCONT);
	CHECK(ended_well(pid));
	return 0;
}
