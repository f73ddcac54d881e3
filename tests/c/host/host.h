/* SPDX-License-Identifier: Apache-2.0 */

/* What the host programs share: a node and a program that exchange a few samples and check them. */
#ifndef HOST_H
#define HOST_H

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <villas/shmem_node.h>
#include <villas/shmem.h>

#define CHECK(what) do { \
	if (!(what)) { \
		fprintf(stderr, "%s:%d: %s: errno %d (%s)\n", __FILE__, __LINE__, #what, errno, strerror(errno)); \
		exit(1); \
	} \
} while (0)

/* Bytes of a region with queues of 32 and samples of 4 values. The pthread objects in it are larger on arm64. */
#if defined(__x86_64__)
#define REGION_32_4 12680
#else
#define REGION_32_4 12696
#endif

static inline const char *region_name(void)
{
	static char name[64];

	snprintf(name, sizeof(name), "/villas-test-%d-%d", (int) getppid(), (int) getpid());
	return name;
}

static inline struct shmem_node *new_node(const char *name, int polling)
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
	struct shmem_node *node;

	o.queuelen = 64;
	o.samplelen = 4;
	o.polling = polling;
	node = shmem_node_create(name, &o);
	CHECK(node != NULL);
	return node;
}

/* The region of REGION_32_4 zeroed bytes at base as the original's node-type made it, from the library's own calls. */
static inline struct shmem_shared *lay_out(void *base, int polling)
{
	struct memtype *manager = memtype_managed_init(base, REGION_32_4);

	CHECK(manager == base);
	struct shmem_shared *shm = (struct shmem_shared *) memory_alloc(manager, sizeof(*shm));
	CHECK((char *) shm == (char *) base + 80);
	shm->len = REGION_32_4;
	shm->polling = polling;
	CHECK(queue_signalled_init(&shm->in.qs, 32, manager) == 0 && queue_signalled_init(&shm->out.qs, 32, manager) == 0);
	CHECK(pool_init(&shm->pool, 64, SAMPLE_LEN(4), manager) == 0);
	pthread_barrierattr_init(&shm->start_attr);
	pthread_barrierattr_setpshared(&shm->start_attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shm->start_bar, &shm->start_attr, 2);
	return shm;
}

/* The external program: give back what comes until the node stops. */
static inline int echo(const char *name)
{
	struct sample *smps[8];
	void *base;
	int n, total = 0;
	struct shmem_shared *shm = shmem_shared_open(name, &base);

	CHECK(shm != NULL);
	while ((n = shmem_shared_read(shm, smps, 8)) >= 0) {
		int done = 0;
		while (done < n) {
			int w = shmem_shared_write(shm, smps + done, (unsigned) (n - done));
			if (w < 0) {
				sample_put_many(smps + done, n - done);
				break;
			}
			done += w;
		}
		total += n;
	}
	CHECK(errno == EPIPE);
	CHECK(shmem_shared_close(shm, base) == 0);
	return total;
}

/* The node: send count samples, get them back, check each. */
static inline void exchange(struct shmem_node *node, int count)
{
	struct timespec patience = { 20, 0 };
	struct sample *s;
	int sent = 0, got = 0;

	CHECK(shmem_node_accept(node, &patience) == 0);
	while (got < count) {
		if (sent < count && sent - got < 32 && sample_alloc(shmem_node_pool(node), &s, 1) == 1) {
			s->sequence = sent;
			s->length = 2;
			s->data[0].f = (float) sent;
			s->data[1].f = (float) -sent;
			CHECK(shmem_node_write(node, &s, 1) == 1);
			sent++;
			continue;
		}
		CHECK(shmem_node_read_timeout(node, &s, 1, &patience) == 1);
		CHECK(s->sequence == got && s->length == 2 && s->data[0].f == (float) got && s->data[1].f == (float) -got);
		CHECK(sample_put(s) == 0);
		got++;
	}
}

/* End within 20 s or fail: no test of ours may hang. */
static inline void bounded(void)
{
	alarm(20);
}

static inline int ended_well(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

#endif
