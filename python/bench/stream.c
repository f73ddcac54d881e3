/* SPDX-License-Identifier: Apache-2.0 */

/* The yardstick of stream.py: one side of a stream of samples in C.
 * stream source|sink|read|write NAME POLLING SAMPLES VECTOR VALUES: source and sink are the node, read and write the
 * program. The receiving side prints samples a second and the sum of all values. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <villas/shmem_node.h>

#define MAX_VECTOR 1024

static struct shmem_node *node;
static struct shmem_shared *shm;
static struct pool *pool;

static int fail(const char *what)
{
	fprintf(stderr, "stream: %s: %s\n", what, shmem_shared_strerror(errno));
	return 1;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec + (double) t.tv_nsec * 1e-9;
}

static int read_some(struct sample *smps[], int cnt)
{
	return node ? shmem_node_read_timeout(node, smps, (unsigned) cnt, NULL)
		: shmem_shared_read_timeout(shm, smps, (unsigned) cnt, NULL);
}

/* Polls for room, as the other side does for samples: a sleep here would cost the C stream half of its rate. */
static int write_all(struct sample *smps[], int cnt)
{
	for (int done = 0, n; done < cnt; done += n) {
		n = node ? shmem_node_write(node, smps + done, (unsigned) (cnt - done))
			: shmem_shared_write(shm, smps + done, (unsigned) (cnt - done));
		if (n < 0)
			return n;
		if (!n)
			sched_yield();
	}
	return cnt;
}

/* Rows of values are made outside, as a Python program has them in an array. */
static int send(long samples, int vector, int values)
{
	struct sample *smps[MAX_VECTOR];
	float *rows = malloc(sizeof(float) * (size_t) vector * (size_t) values);
	struct timespec t;

	for (int i = 0; i < vector * values; i++)
		rows[i] = (float) (i % 7);
	for (long done = 0; done < samples;) {
		int n = sample_alloc(pool, smps, vector);
		clock_gettime(CLOCK_REALTIME, &t);
		for (int i = 0; i < n; i++) {
			struct sample *s = smps[i];
			s->sequence = (int) (done + i);
			s->length = values;
			s->format = 0;
			s->ts.origin = s->ts.received = s->ts.sent = t;
			memcpy(s->data, rows + i * values, sizeof(float) * (size_t) values);
		}
		if (n && write_all(smps, n) != n)
			return fail("write");
		done += n;
	}
	free(rows);
	return 0;
}

/* What read_array() gives: values in rows, numbers and times in arrays. */
static int receive(long samples, int vector, int values)
{
	struct sample *smps[MAX_VECTOR];
	float *rows = malloc(sizeof(float) * (size_t) vector * (size_t) values);
	int *sequence = malloc(sizeof(int) * (size_t) vector);
	struct timespec *ts = malloc(3 * sizeof(struct timespec) * (size_t) vector);
	double start = 0, sum = 0;
	long done = 0, first = 0;

	while (done < samples) {
		int n = read_some(smps, vector);
		if (n < 0)
			return fail("read");
		for (int i = 0; i < n; i++) {
			struct sample *s = smps[i];
			sequence[i] = s->sequence;
			memcpy(ts + 3 * i, &s->ts, 3 * sizeof(struct timespec));
			memcpy(rows + i * values, s->data, sizeof(float) * (size_t) values);
		}
		sum += rows[n * values - 1];
		if (sequence[n - 1] != done + n - 1)
			return fail("a sample is missing");
		sample_put_many(smps, n);
		done += n;
		if (!start) {
			start = now();
			first = done;
		}
	}
	printf("%.0f\n", (double) (done - first) / (now() - start));
	free(rows);
	free(sequence);
	free(ts);
	return sum < 0;
}

int main(int argc, char *argv[])
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
	struct timespec patience = { 10, 0 };
	void *base;
	int err = 0;

	if (argc != 7)
		return 2;
	const char *role = argv[1];
	long samples = atol(argv[4]);
	int vector = atoi(argv[5]), values = atoi(argv[6]);
	if (vector < 1 || vector > MAX_VECTOR)
		return 2;
	alarm(120);
	if (!strcmp(role, "source") || !strcmp(role, "sink")) {
		o.samplelen = values;
		o.polling = atoi(argv[3]);
		node = shmem_node_create(argv[2], &o);
		if (!node)
			return fail("create");
		if (shmem_node_accept(node, &patience))
			return fail("accept");
		pool = shmem_node_pool(node);
	} else {
		for (int i = 0; i < 1000 && !shm; i++) {
			shm = shmem_shared_open(argv[2], &base);
			if (!shm)
				usleep(5000);
		}
		if (!shm)
			return fail("open");
		pool = &shm->pool;
	}
	if (!strcmp(role, "source") || !strcmp(role, "write"))
		err = send(samples, vector, values);
	else
		err = receive(samples, vector, values);
	if (node) {	/* the program reads the rest before it closes */
		while (!shmem_node_shared(node)->ext_stopped)
			usleep(1000);
		shmem_node_close(node);
	} else {
		shmem_shared_close(shm, base);
	}
	return err;
}
