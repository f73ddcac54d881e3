/* SPDX-License-Identifier: Apache-2.0 */

/* A peer that writes anything anywhere, and a side that has to live with it; the side's twin in Go is tests/hostile.
 *
 *	hostile fuzz node|program NAME POLLING MUTATIONS	be that side, attach our way, then change the region's bytes
 *	hostile target node|program NAME POLLING		make all calls on the region until SIGTERM; no call may crash, touch
 *								what is not the region's, or take long */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "../host/host.h"
#include "../host/stall.h"
#include "random.h"

#define QUEUELEN 16
#define SAMPLELEN 6

/* No call takes longer: twenty times the bound for noticing a death, which is the longest that any waits. */
#define LONGEST_MS 4000

static struct shmem_node_options options(int polling)
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;

	o.queuelen = QUEUELEN;
	o.samplelen = SAMPLELEN;
	o.polling = polling;
	o.flags = SHMEM_NO_LEGACY;
	return o;
}

/* The fuzzer. */

static size_t size;

#define FIELD(f) (80 + offsetof(struct shmem_shared, f))

/* Where geometry, positions, flags and our own attach words stand. */
static const size_t words[] = {
	FIELD(len), FIELD(polling), FIELD(in.q.state), FIELD(in.q.buffer_mask), FIELD(in.q.buffer_off), FIELD(in.q.tail), FIELD(in.q.head),
	FIELD(out.q.state), FIELD(out.q.buffer_mask), FIELD(out.q.buffer_off), FIELD(out.q.tail), FIELD(out.q.head), FIELD(pool.buffer_off),
	FIELD(pool.state), FIELD(pool.len), FIELD(pool.blocksz), FIELD(pool.alignment), FIELD(pool.queue.state), FIELD(pool.queue.buffer_mask),
	FIELD(pool.queue.buffer_off), FIELD(pool.queue.tail), FIELD(pool.queue.head), FIELD(start_bar), FIELD(node_stopped), FIELD(ext_stopped),
	192, 196, 200, 208, 212, 216, 220, 584,
	FIELD(in.q.tail), FIELD(in.q.head), FIELD(out.q.tail), FIELD(out.q.head), FIELD(pool.queue.tail), FIELD(pool.queue.head),
};

static size_t pick(const char *pristine)
{
	const struct shmem_shared *s = (const struct shmem_shared *) (pristine + 80);
	const struct queue *queues[] = { &s->in.q, &s->out.q, &s->pool.queue };
	uint64_t r = random64();

	switch (r % 8) {
	case 0: case 1:
		return words[(r >> 8) % (sizeof(words) / sizeof(*words))];
	case 2: case 3: {	/* a cell: its sequence or its offset */
		const struct queue *q = queues[(r >> 4) % 3];
		size_t cell = (r >> 8) & q->buffer_mask;
		return (size_t) ((const char *) q - pristine) + (size_t) q->buffer_off + cell * 16 + (r >> 40) % 2 * 8;
	}
	case 4: case 5: case 6: {	/* the head of a sample */
		size_t blocks = s->pool.len / s->pool.blocksz;
		return FIELD(pool) + (size_t) s->pool.buffer_off + (r >> 8) % blocks * s->pool.blocksz + (r >> 40) % 22 * 4;
	}
	default:
		return (r >> 8) % (size - 8);
	}
}

static void mutate(char *region, const char *pristine)
{
	static const uint64_t nasty[] = { 0, 1, 2, 7, 0xff, 0x7fffffff, 0x80000000, 0xffffffff, 1ull << 32, INT64_MAX, 1ull << 63, ~0ull, ~0ull - 7 };
	size_t at = pick(pristine);
	uint64_t r = random64(), was = 0, value;

	at = at > size - 8 ? size - 8 : at;
	memcpy(&was, region + at, 8);
	switch (r % 7) {
	case 0: region[at + (r >> 8) % 8] ^= (char) (1 << (r >> 16) % 8); return;
	case 1: value = was + (r >> 8) % 17 - 8; break;
	case 2: value = nasty[(r >> 8) % (sizeof(nasty) / sizeof(*nasty))]; break;
	case 3: value = (r >> 8) % (2 * size); break;	/* an offset in the region, or just behind */
	case 4: value = was ^ 1ull << (r >> 8) % 64; break;
	case 5: value = was + ((r >> 8) % 64 - 32) * 64; break;	/* another block or cache line */
	default: value = random64();
	}
	if (r >> 63)
		*(volatile uint32_t *) (region + (at & ~3ul)) = (uint32_t) value;
	else
		*(volatile uint64_t *) (region + (at & ~7ul)) = value;
}

static char *map_raw(const char *name)
{
	struct stat st;
	int fd = shm_open(name, O_RDWR, 0);

	if (fd < 0 || fstat(fd, &st) || st.st_size < 4096)
		return NULL;
	size = (size_t) st.st_size;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* Half a queue of samples on the way, for the other side to find. */
static void send_some(struct pool *pool, void *side, int (*write)(void *, struct sample **, unsigned))
{
	struct sample *s[QUEUELEN / 2];
	int n = sample_alloc(pool, s, QUEUELEN / 2);

	for (int i = 0; i < n; i++)
		s[i]->length = 1 + i % SAMPLELEN;
	if (n > 0)
		write(side, s, (unsigned) n);
}

static int program_write(void *of, struct sample **s, unsigned n) { return shmem_shared_write(of, s, n); }
static int node_write(void *of, struct sample **s, unsigned n) { return shmem_node_write(of, s, n); }
static int program_read(void *of, struct sample **s, unsigned n, const struct timespec *t) { return shmem_shared_read_timeout(of, s, n, t); }
static int node_read(void *of, struct sample **s, unsigned n, const struct timespec *t) { return shmem_node_read_timeout(of, s, n, t); }

static int fuzz(int as_node, const char *name, int polling, long mutations)
{
	struct timespec moment = { 0, 200000000 };
	struct shmem_node_options o = options(polling);
	struct shmem_node *node = as_node ? shmem_node_create(name, &o) : NULL;
	char *pristine = NULL, *region = NULL;
	long done = 0, attached = 0;

	CHECK(!as_node || node);
	if (node)
		send_some(shmem_node_pool(node), node, node_write);
	state = (uint64_t) getpid() * 0x9e3779b97f4a7c15ull;
	while (done < mutations) {
		struct shmem_shared *shm = NULL;
		if (!as_node && (shm = shmem_shared_open_timeout(name, NULL, &moment))) {	/* the node sees that the last of us is gone */
			attached++;
			send_some(&shm->pool, shm, program_write);
		}
		if ((as_node && !region) || !as_node)
			region = map_raw(name);
		if (!region) {
			usleep(1000);
			continue;
		}
		pristine = realloc(pristine, size);
		if (!as_node || !done)
			memcpy(pristine, region, size);
		for (int epoch = 0; epoch < 200 && done < mutations; epoch++) {
			long burst = 1 + (long) (random64() % (random64() % 4 ? 20 : 2000));
			for (long i = 0; i < burst; i++, done++)
				mutate(region, pristine);
			usleep(random64() % 4 ? 0 : 50);
			memcpy(region, pristine, size);
			sched_yield();
		}
		if (!as_node)
			munmap(region, size);
		if (shm)
			shmem_shared_close(shm, NULL);
	}
	printf("%ld mutations, attached %ld times\n", done, attached);
	return 0;
}

/* The target. */

static volatile sig_atomic_t over;

static void on_term(int sig)
{
	over = sig;
}

static double longest;
static long calls;

#define TIMED(call) do { \
	double before = now_ms() - atomic_load(&stalled); \
	call; \
	double after = now_ms(); \
	if (after - before - atomic_load(&stalled) > 500) \
		usleep(20000);	/* the beat comes late, too */ \
	double took = after - atomic_load(&stalled) - before; \
	if (took > longest) \
		longest = took; \
	calls++; \
} while (0)

/* All calls that there are on samples of one region. in and out are as this side sees them. */
static void make_calls(struct pool *pool, void *side, int (*write)(void *, struct sample **, unsigned),
	int (*read)(void *, struct sample **, unsigned, const struct timespec *), struct shmem_shared *shm)
{
	struct timespec none = { 0, 0 }, moment = { 0, 1000000 };
	union {
		struct sample s;
		char bytes[SAMPLE_LEN(SAMPLELEN)];
	} own = { .s = { .capacity = SAMPLELEN } };
	struct sample *s[2 * QUEUELEN], *one;
	void *p[4];
	int n = 0, w = 0;

	TIMED(n = sample_alloc(pool, s, 1 + rand() % (2 * QUEUELEN)));
	for (int i = 0; i < n; i++) {
		s[i]->sequence = i;
		s[i]->length = 3;
		TIMED(sample_set_data_format(s[i], i % 64, 1));
	}
	if (n > 0) {
		TIMED(sample_get_many(s, n));
		TIMED(sample_put_many(s, n));
		TIMED(w = write(side, s, (unsigned) n));
		if (w < n)
			TIMED(sample_put_many(s + (w < 0 ? 0 : w), n - (w < 0 ? 0 : w)));
	}
	TIMED(n = read(side, s, 1 + (unsigned) rand() % (2 * QUEUELEN), rand() % 8 ? &none : &moment));
	for (int i = 0; i < n; i++) {
		TIMED(sample_copy(&own.s, s[i]));
		CHECK(own.s.length >= 0 && own.s.length <= SAMPLELEN);
		TIMED(sample_copy(s[i], &own.s));
		TIMED(sample_get_data_format(s[i], i));
	}
	if (n > 0) {
		TIMED(sample_get(s[0]));
		TIMED(sample_put(s[0]));
		if (rand() % 2)
			TIMED(sample_put_many(s, n));
		else
			TIMED(sample_free(s, n));
	}
	TIMED(queue_available(&pool->queue));
	TIMED(queue_available(&shm->in.q));
	TIMED(n = sample_alloc(pool, &one, 1));
	if (n == 1)
		TIMED(sample_put(one));
	TIMED(n = queue_pull_many(&shm->out.q, p, 4));
	for (int i = 0; i < n; i++)
		TIMED(sample_put(p[i]));
	TIMED(n = queue_pull(&pool->queue, p));
	if (n == 1)
		TIMED(queue_push(&pool->queue, p[0]));
}

static int target(int as_node, const char *name, int polling)
{
	struct timespec none = { 0, 0 }, moment = { 0, 5000000 };
	struct shmem_node_options o = options(polling);
	struct shmem_open_options open = { sizeof(open), SHMEM_NO_LEGACY, -1, &moment };
	struct shmem_node *node = as_node ? shmem_node_create(name, &o) : NULL;
	long opened = 0;

	CHECK(!as_node || node);
	signal(SIGTERM, on_term);
	start_beat();
	while (!over) {
		struct shmem_shared *shm = NULL;
		if (node) {
			TIMED(opened += shmem_node_accept(node, &none) == 0);
			for (int i = 0; i < 20; i++)
				make_calls(shmem_node_pool(node), node, node_write, node_read, shmem_node_shared(node));
			continue;
		}
		TIMED(shm = shmem_shared_open_options(name, NULL, &open));
		if (!shm)
			continue;
		opened++;
		for (int i = 0; i < 20; i++)
			make_calls(&shm->pool, shm, program_write, program_read, shm);
		TIMED(CHECK(shmem_shared_close(shm, NULL) == 0));
	}
	if (node)
		TIMED(CHECK(shmem_node_close(node) == 0));
	printf("%ld calls, the longest took %.1f ms, attached %ld times\n", calls, longest, opened);
	CHECK(longest < LONGEST_MS && opened > 0);
	return 0;
}

int main(int argc, char *argv[])
{
	alarm(4 * 3600);
	CHECK(argc > 4);
	int as_node = !strcmp(argv[2], "node");
	if (argc == 6 && !strcmp(argv[1], "fuzz"))
		return fuzz(as_node, argv[3], atoi(argv[4]), atol(argv[5]));
	CHECK(argc == 5 && !strcmp(argv[1], "target"));
	return target(as_node, argv[3], atoi(argv[4]));
}
