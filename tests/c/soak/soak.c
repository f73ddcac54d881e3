/* SPDX-License-Identifier: Apache-2.0 */

/* One side of a soak; its twin in Go is tests/soak.
 *
 *	soak node NAME POLLING SECONDS ROUND	threads send as fast as it goes, others check what comes back; every ROUND
 *						seconds all is counted, the program leaves, and the next gets a fresh region
 *	soak program NAME			threads give back what comes, until told to leave; opens again and again
 *
 * Sample k of sender t has the sequence number k, the values t and k as integers, and two floats that follow from them.
 * The node fails if one is wrong, doubled or lost, if a block is missing in the end, and if memory or descriptors grow. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <villas/shmem_node.h>

#include "../host/usage.h"

#define SENDERS 2
#define READERS 2
#define VECTOR 32
#define QUEUELEN 256
#define LEAVE (-1)	/* a sample with this sequence number tells the program to leave */

#define REQUIRE(what) do { \
	if (!(what)) { \
		fprintf(stderr, "soak.c:%d: %s: errno %d (%s)\n", __LINE__, #what, errno, strerror(errno)); \
		exit(1); \
	} \
} while (0)

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

static struct shmem_node *node;
static struct shmem_shared *shm;
static _Atomic int sending, reading;
static _Atomic unsigned long sent[SENDERS], got[SENDERS], sum_sent[SENDERS], sum_got[SENDERS];

static void *sender(void *arg)
{
	unsigned t = (unsigned) (unsigned long) arg, k = 0;
	struct sample *s[VECTOR];

	while (atomic_load(&sending)) {
		int n = sample_alloc(shmem_node_pool(node), s, 1 + (int) (k % VECTOR));
		for (int i = 0; i < n; i++) {
			unsigned number = (k + (unsigned) i) & 0x7fffffff;
			s[i]->sequence = (int) number;
			s[i]->length = 4;
			s[i]->data[0].i = t;
			s[i]->data[1].i = number;
			s[i]->data[2].f = (float) (number % 1000) * 0.5f;
			s[i]->data[3].f = -(float) t;
		}
		int done = n ? shmem_node_write(node, s, (unsigned) n) : 0;
		REQUIRE(done >= 0);
		unsigned long sum = 0;
		for (int i = 0; i < done; i++)
			sum += (k + (unsigned) i) & 0x7fffffff;
		atomic_fetch_add(&sent[t], (unsigned long) done);
		atomic_fetch_add(&sum_sent[t], sum);
		k += (unsigned) done;
		sample_put_many(s + done, n - done);
		if (done == 0)
			sched_yield();
	}
	return NULL;
}

static void *reader(void *arg)
{
	struct timespec moment = { 0, 20000000 };
	struct sample *s[VECTOR];

	(void) arg;
	while (atomic_load(&reading)) {
		int n = shmem_node_read_timeout(node, s, VECTOR, &moment);
		REQUIRE(n >= 0 || errno == ETIMEDOUT);
		for (int i = 0; i < n; i++) {
			unsigned t = s[i]->data[0].i, number = s[i]->data[1].i;
			REQUIRE(t < SENDERS && s[i]->length == 4 && s[i]->sequence == (int) number &&
				s[i]->data[2].f == (float) (number % 1000) * 0.5f && s[i]->data[3].f == -(float) t);
			atomic_fetch_add(&got[t], 1);
			atomic_fetch_add(&sum_got[t], number);
		}
		if (n > 0)
			REQUIRE(sample_put_many(s, n) == n);
	}
	return NULL;
}

static unsigned long total(_Atomic unsigned long *a)
{
	unsigned long n = 0;

	for (int i = 0; i < SENDERS; i++)
		n += atomic_load(&a[i]);
	return n;
}

static int mappings(void)
{
	FILE *f = fopen("/proc/self/maps", "r");
	int n = 0, c;

	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

/* The program leaves; what it sent before is read. */
static void send_away(void)
{
	struct timespec patience = { 20, 0 };
	struct sample *s;

	while (sample_alloc(shmem_node_pool(node), &s, 1) != 1)
		sched_yield();
	s->sequence = LEAVE;
	REQUIRE(shmem_node_write_timeout(node, &s, 1, &patience) == 1);
	REQUIRE(shmem_node_read_timeout(node, &s, 1, &patience) == -1 && errno == EPIPE);
}

static int run_node(const char *name, int polling, double seconds, double round)
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
	struct timespec patience = { 20, 0 };
	long rss = 0, rss_now = 0;
	int fds = 0, maps = 0, rounds = 0;
	double end = now() + seconds;

	o.queuelen = QUEUELEN;
	o.samplelen = 8;
	o.polling = polling;
	node = shmem_node_create(name, &o);
	REQUIRE(node);
	for (; now() < end || rounds < 2; rounds++) {
		pthread_t threads[SENDERS + READERS];
		REQUIRE(shmem_node_accept(node, &patience) == 0);
		atomic_store(&sending, 1);
		atomic_store(&reading, 1);
		for (long i = 0; i < SENDERS + READERS; i++)
			REQUIRE(pthread_create(&threads[i], NULL, i < SENDERS ? sender : reader, (void *) i) == 0);
		double stop = now() + round;
		while (now() < stop)
			usleep(50000);
		atomic_store(&sending, 0);
		for (int i = 0; i < SENDERS; i++)
			pthread_join(threads[i], NULL);
		for (double late = now() + 20; total(got) < total(sent) && now() < late;)
			usleep(1000);
		usleep(20000);	/* would anything come twice? */
		atomic_store(&reading, 0);
		for (int i = SENDERS; i < SENDERS + READERS; i++)
			pthread_join(threads[i], NULL);
		for (int i = 0; i < SENDERS; i++)
			REQUIRE(atomic_load(&sent[i]) == atomic_load(&got[i]) && atomic_load(&sum_sent[i]) == atomic_load(&sum_got[i]));
		REQUIRE(queue_available(&shmem_node_pool(node)->queue) == 2 * QUEUELEN);
		send_away();
		rss_now = resident();
		if (rounds == 1) {	/* the first two touch everything once */
			rss = rss_now;
			fds = entries("/proc/self/fd");
			maps = mappings();
		}
		if (rounds > 1) {
			REQUIRE(entries("/proc/self/fd") == fds);
			REQUIRE(mappings() <= maps + 8);	/* glibc's arenas and stacks come and go */
			REQUIRE(rss_now <= rss + 4096);
		}
	}
	printf("node in C, %s: %d rounds, sent %lu received %lu, resident %ld kB after two rounds, %ld kB in the end, %d descriptors\n",
		polling ? "polling" : "signalled", rounds, total(sent), total(got), rss, rss_now, fds);
	return shmem_node_close(node) ? 1 : 0;
}

static _Atomic int leaving;

static void *echo(void *arg)
{
	struct timespec moment = { 0, 50000000 }, patience = { 30, 0 };
	struct sample *s[VECTOR];

	(void) arg;
	while (!atomic_load(&leaving)) {
		int n = shmem_shared_read_timeout(shm, s, VECTOR, &moment);
		if (n < 0 && errno != ETIMEDOUT)
			return NULL;
		if (n > 0 && s[n - 1]->sequence == LEAVE) {	/* everything else is back before it is sent */
			atomic_store(&leaving, 1);
			sample_put(s[--n]);
		}
		if (n > 0) {
			int done = shmem_shared_write_timeout(shm, s, (unsigned) n, &patience);
			if (done < n)
				sample_put_many(s + (done < 0 ? 0 : done), n - (done < 0 ? 0 : done));
		}
	}
	return NULL;
}

static int run_program(const char *name)
{
	struct timespec patience = { 20, 0 };
	pthread_t threads[READERS];

	for (int rounds = 0;; rounds++) {
		for (int i = 0; i < 2000 && !(shm = shmem_shared_open_timeout(name, NULL, &patience)) &&
		     (errno == EBUSY || (!rounds && errno == ENOENT)); i++)
			usleep(5000);
		if (!shm && (errno == ENOENT || errno == EOWNERDEAD))
			return 0;	/* the node has ended */
		REQUIRE(shm);
		atomic_store(&leaving, 0);
		for (int i = 0; i < READERS; i++)
			REQUIRE(pthread_create(&threads[i], NULL, echo, NULL) == 0);
		for (int i = 0; i < READERS; i++)
			pthread_join(threads[i], NULL);
		REQUIRE(shmem_shared_close(shm, NULL) == 0);
	}
}

int main(int argc, char *argv[])
{
	if (argc == 6 && !strcmp(argv[1], "node"))
		return run_node(argv[2], atoi(argv[3]), atof(argv[4]), atof(argv[5]));
	if (argc == 3 && !strcmp(argv[1], "program"))
		return run_program(argv[2]);
	return 2;
}
