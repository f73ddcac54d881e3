/* SPDX-License-Identifier: Apache-2.0 */

/* One side of a checked exchange: exchange node|program NAME POLLING COUNT VECTOR. The node sends COUNT samples whose
 * every field follows from their number, the program gives them back, the node checks each and the pool at the end. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <villas/shmem.h>
#include <villas/shmem_node.h>

static int fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, shmem_shared_strerror(errno));
	return 1;
}

static void fill(struct sample *s, int i)
{
	s->sequence = i;
	s->length = 3;
	s->data[0].f = (float) (i % 1000) * 1.5f;
	s->data[1].i = (unsigned) i * 7u;
	s->data[2].f = -(float) (i % 77);
	sample_set_data_format(s, 1, SAMPLE_DATA_FORMAT_INT);
	s->ts.origin.tv_sec = 1000000 + i;
	s->ts.origin.tv_nsec = i % 1000000000;
	s->ts.received.tv_sec = i;
	s->ts.received.tv_nsec = 1;
	s->ts.sent.tv_sec = -i;
	s->ts.sent.tv_nsec = 999999999;
}

static int right(struct sample *s, int i)
{
	return s->sequence == i && s->length == 3 && s->capacity >= 3 && s->data[0].f == (float) (i % 1000) * 1.5f &&
		s->data[1].i == (unsigned) i * 7u && s->data[2].f == -(float) (i % 77) && s->format == 2 &&
		s->ts.origin.tv_sec == 1000000 + i && s->ts.origin.tv_nsec == i % 1000000000 &&
		s->ts.received.tv_sec == i && s->ts.received.tv_nsec == 1 && s->ts.sent.tv_sec == -i &&
		s->ts.sent.tv_nsec == 999999999;
}

static int program(const char *name, unsigned vector)
{
	struct sample *smps[64];
	void *base;
	struct shmem_shared *shm = NULL;
	int n;

	for (int i = 0; i < 2000 && !shm; i++) {
		shm = shmem_shared_open(name, &base);
		if (!shm && errno != ENOENT)
			return fail("open");
		if (!shm)
			usleep(5000);
	}
	if (!shm)
		return fail("open");
	while ((n = shmem_shared_read(shm, smps, vector)) >= 0) {
		int done = 0;
		if (n == 0)
			sched_yield();
		while (done < n) {
			int w = shmem_shared_write(shm, smps + done, (unsigned) (n - done));
			if (w < 0) {
				sample_put_many(smps + done, n - done);
				break;
			}
			done += w;
		}
	}
	if (errno != EPIPE)
		return fail("read");
	return shmem_shared_close(shm, base) ? fail("close") : 0;
}

static int node(const char *name, int polling, int count, unsigned vector)
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
	struct timespec patience = { 30, 0 };
	struct sample *smps[64];
	int sent = 0, got = 0, bad = 0;

	o.queuelen = 256;
	o.samplelen = 8;
	o.polling = polling;
	struct shmem_node *n = shmem_node_create(name, &o);
	if (!n)
		return fail("create");
	if (shmem_node_accept(n, &patience))
		return fail("accept");
	while (got < count) {
		if (sent < count && sent - got < 200) {
			int want = count - sent < (int) vector ? count - sent : (int) vector;
			int have = sample_alloc(shmem_node_pool(n), smps, want), done = 0;
			for (int i = 0; i < have; i++)
				fill(smps[i], sent + i);
			if (have)
				done = shmem_node_write(n, smps, (unsigned) have);
			if (done < 0)
				return fail("write");
			sample_put_many(smps + done, have - done);
			sent += done;
			if (done)
				continue;
		}
		int r = shmem_node_read_timeout(n, smps, vector, &patience);
		if (r < 0)
			return fail("read");
		for (int i = 0; i < r; i++)
			bad += !right(smps[i], got + i);
		sample_put_many(smps, r);
		got += r;
	}
	size_t available = queue_available(&shmem_node_pool(n)->queue);
	printf("sent %d received %d bad %d free %zu of %d\n", sent, got, bad, available, 2 * o.queuelen);
	if (shmem_node_close(n))
		return fail("close");
	return bad || available != 2 * (size_t) o.queuelen;
}

int main(int argc, char *argv[])
{
	if (argc != 6) {
		fprintf(stderr, "usage: %s node|program NAME POLLING COUNT VECTOR\n", argv[0]);
		return 2;
	}
	alarm(120);
	return strcmp(argv[1], "node") ? program(argv[2], (unsigned) atoi(argv[5]))
		: node(argv[2], atoi(argv[3]), atoi(argv[4]), (unsigned) atoi(argv[5]));
}
