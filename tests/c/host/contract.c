/* SPDX-License-Identifier: Apache-2.0 */

/* The calls on samples, pools, queues and memory, one promise after the other. */
#include <sys/mman.h>

#include "host.h"

static void samples(void)
{
	struct sample *s[40], *t;
	struct pool p, small;

	CHECK(pool_init(&p, 32, SAMPLE_LEN(10), &memtype_heap) == 0);
	CHECK(p.blocksz == 128 && p.len == 32 * 128 && p.alignment == 64 && (size_t) pool_buffer(&p) % 64 == 0);
	CHECK(sample_alloc(&p, s, 40) == 32 && sample_alloc(&p, s, 1) == 0);
	for (int i = 0; i < 32; i++) {
		CHECK(s[i]->capacity == 10 && atomic_load(&s[i]->refcnt) == 1 && s[i]->format == 0 && sample_pool(s[i]) == &p);
		s[i]->length = 0;
	}
	CHECK(sample_get(s[0]) == 2 && sample_get(s[0]) == 3 && sample_put(s[0]) == 2 && sample_put(s[0]) == 1);
	CHECK(sample_put(s[0]) == 0 && queue_available(&p.queue) == 1);
	CHECK(sample_put(s[0]) == -1 && sample_put(s[0]) == -1 && queue_available(&p.queue) == 1 && atomic_load(&s[0]->refcnt) == 0);
	CHECK(sample_get(s[0]) == -1);
	CHECK(sample_get_many(s + 1, 10) == 10 && sample_put_many(s + 1, 20) == 10 && sample_put_many(s + 1, 10) == 10);
	CHECK(queue_available(&p.queue) == 21);
	atomic_store(&s[21]->refcnt, 5);
	atomic_store(&s[22]->refcnt, 0);
	sample_free(s + 21, 11);
	CHECK(queue_available(&p.queue) == 32);

	/* Format bits, all 64 of them. */
	CHECK(sample_alloc(&p, s, 2) == 2);
	for (int i = 0; i < 64; i++) {
		CHECK(sample_set_data_format(s[0], i, SAMPLE_DATA_FORMAT_INT) == 0 && s[0]->format == 1ull << i);
		CHECK(sample_get_data_format(s[0], i) == 1 && sample_get_data_format(s[0], (i + 1) % 64) == 0);
		CHECK(sample_set_data_format(s[0], i, SAMPLE_DATA_FORMAT_FLOAT) == 0 && s[0]->format == 0);
	}
	CHECK(sample_set_data_format(s[0], 64, SAMPLE_DATA_FORMAT_INT) == -1 && sample_set_data_format(s[0], -1, SAMPLE_DATA_FORMAT_INT) == -1);
	CHECK(s[0]->format == 0 && sample_get_data_format(s[0], 64) == -1 && sample_get_data_format(s[0], -1) == -1);

	/* Copies: what fits, and not what is the block's own. */
	CHECK(pool_init(&small, 2, SAMPLE_LEN(0) + 8, &memtype_heap) == 0 && sample_alloc(&small, &t, 1) == 1);
	CHECK(t->capacity == 10);
	t->capacity = 2;
	s[0]->length = 10;
	s[0]->sequence = 77;
	s[0]->format = 5;
	s[0]->ts.origin.tv_sec = 1;
	s[0]->ts.sent.tv_nsec = 3;
	for (int i = 0; i < 10; i++)
		s[0]->data[i].f = (float) i;
	t->data[2].f = -1;
	CHECK(sample_get(t) == 2 && sample_copy(t, s[0]) == 0);
	CHECK(t->length == 2 && t->sequence == 77 && t->format == 5 && t->ts.origin.tv_sec == 1 && t->ts.sent.tv_nsec == 3);
	CHECK(t->data[0].f == 0 && t->data[1].f == 1 && t->data[2].f == -1);
	CHECK(t->capacity == 2 && atomic_load(&t->refcnt) == 2 && sample_pool(t) == &small);
	CHECK(sample_copy_many(s + 1, s, 1) == 1 && s[1]->length == 10 && s[1]->data[9].f == 9);
	CHECK(sample_put(t) == 1 && sample_put(t) == 0 && sample_put_many(s, 2) == 2);
	CHECK(pool_destroy(&p) == 0 && pool_destroy(&small) == 0 && p.state == STATE_DESTROYED);
}

static void pools(void)
{
	struct pool p;
	void *b[5];

	CHECK(pool_init(&p, 4, 1, &memtype_heap) == 0 && p.blocksz == 64);
	CHECK(pool_get_many(&p, b, 5) == 4 && pool_get(&p) == NULL);
	CHECK(pool_put(&p, b[0]) == 1 && pool_put_many(&p, b + 1, 3) == 3 && pool_put(&p, b[0]) == 0);
	CHECK((b[0] = pool_get(&p)) != NULL && pool_put(&p, b[0]) == 1);
	CHECK(pool_destroy(&p) == 0);
}

static void queues(void)
{
	struct queue q;
	void *in[300], *out[300];

	for (size_t i = 0; i < 300; i++)
		in[i] = &in[i];
	for (size_t size = 0; size < 130; size++) {
		size_t cells = 2;
		while (cells < size)
			cells *= 2;
		CHECK(queue_init(&q, size, &memtype_heap) == 0 && q.buffer_mask == cells - 1 && q.state == STATE_INITIALIZED);
		for (int round = 0; round < 3; round++) {
			CHECK(queue_push_many(&q, in, 300) == (int) cells && queue_push(&q, in[0]) == 0);
			CHECK(queue_available(&q) == cells);
			CHECK(queue_pull(&q, out) == 1 && queue_pull_many(&q, out + 1, 300) == (int) cells - 1);
			CHECK(queue_pull(&q, out) == 0 && queue_pull_many(&q, out, 0) == 0 && queue_push_many(&q, in, 0) == 0);
			for (size_t i = 0; i < cells; i++)
				CHECK(out[i] == in[i]);
		}
		CHECK(queue_destroy(&q) == 0 && q.state == STATE_DESTROYED);
	}
}

static void *push_later(void *qs)
{
	usleep(50000);
	CHECK(queue_signalled_push(qs, qs) == 1);
	return NULL;
}

static void signalled(void)
{
	struct queue_signalled qs;
	pthread_t thread;
	void *p[4];

	CHECK(queue_signalled_init(&qs, 4, &memtype_heap) == 0);
	CHECK(queue_signalled_push(&qs, &qs) == 1 && queue_signalled_pull(&qs, p) == 1 && p[0] == &qs);	/* looks before it waits */
	CHECK(queue_signalled_pull_many(&qs, p, 0) == 0);
	CHECK(pthread_create(&thread, NULL, push_later, &qs) == 0);
	CHECK(queue_signalled_pull_many(&qs, p, 4) == 1);
	pthread_join(thread, NULL);
	CHECK(queue_signalled_destroy(&qs) == 0);
}

static void managed(void)
{
	size_t size = 1 << 16;
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *a, *b, *c;
	struct memtype *m = memtype_managed_init(mem, size);
	struct memblock *first = (struct memblock *) ((char *) mem + sizeof(struct memtype));
	struct queue q;

	CHECK(m == mem && first->len == size - 48 - 32 && first->next == NULL && !(first->flags & MEMBLOCK_USED));
	a = memory_alloc(m, 1000);
	b = memory_alloc_aligned(m, 100, 4096);
	c = memory_alloc(m, 8);
	CHECK((char *) a == (char *) mem + 80 && (size_t) b % 4096 == 0 && c > b);
	CHECK(memory_alloc(m, size) == NULL);
	CHECK(memory_free(m, b, 100) == 0 && memory_free(m, b, 100) == -1);
	CHECK(memory_free(m, a, 1000) == 0 && memory_free(m, c, 8) == 0);
	CHECK(first->len == size - 48 - 32 && first->next == NULL && !(first->flags & MEMBLOCK_USED));
	CHECK(queue_init(&q, 16, m) == 0 && queue_push(&q, a) == 1 && queue_destroy(&q) == 0);
	CHECK(queue_init(&q, 1 << 20, m) == -2);
	munmap(mem, size);

	a = memory_alloc_aligned(&memtype_heap, 100, 1024);
	CHECK(a && (size_t) a % 1024 == 0 && memory_free(&memtype_heap, a, 100) == 0);
	CHECK(memory_alloc_aligned(&memtype_heap, 100, 3) == NULL && errno == EINVAL);
}

/* What is queued when the node stops is read before the end is told; a write then fails. */
static void draining(int polling)
{
	const char *name = region_name();
	struct sample *s[4];
	struct timespec none = { 0, 0 };
	struct shmem_node *node = new_node(name, polling);
	struct shmem_shared *shm = shmem_shared_open(name, NULL);

	CHECK(shm && shmem_node_accept(node, NULL) == 0);
	CHECK(shmem_shared_read_timeout(shm, s, 1, &none) == -1 && errno == ETIMEDOUT);
	CHECK(sample_alloc(shmem_node_pool(node), s, 4) == 4 && shmem_node_write(node, s, 3) == 3);
	CHECK(atomic_load(&s[0]->refcnt) == 1);	/* the node hands its one reference over */
	CHECK(shmem_node_close(node) == 0);
	CHECK(shmem_shared_read(shm, s, 2) == 2 && shmem_shared_read(shm, s + 2, 2) == 1);
	CHECK(shmem_shared_write(shm, s, 3) == -1 && errno == EPIPE);
	CHECK(sample_put_many(s, 3) == 3);
	errno = 0;
	CHECK(shmem_shared_read(shm, s, 1) == -1 && errno == EPIPE);
	CHECK(shmem_shared_close(shm, NULL) == 0);
}

/* A full queue makes a short write, and the rest is still the caller's; the timed form waits for room. */
static void full(void)
{
	const char *name = region_name();
	struct sample *s[128];
	struct timespec moment = { 0, 30000000 };
	struct shmem_node *node = new_node(name, 0);
	struct shmem_shared *shm = shmem_shared_open(name, NULL);

	CHECK(shm && sample_alloc(&shm->pool, s, 128) == 128 && shmem_shared_write(shm, s, 100) == 64);
	CHECK(shmem_shared_write(shm, s + 64, 1) == 0 && shmem_shared_write_timeout(shm, s + 64, 2, &moment) == 0);
	CHECK(atomic_load(&s[64]->refcnt) == 1);
	sample_put_many(s + 64, 64);
	CHECK(shmem_node_accept(node, NULL) == 0 && shmem_node_read(node, s, 128) == 64);
	sample_put_many(s, 64);
	CHECK(queue_available(&shm->pool.queue) == 128);
	CHECK(shmem_shared_close(shm, NULL) == 0 && shmem_node_close(node) == 0);
}

int main(void)
{
	bounded();
	samples();
	pools();
	queues();
	signalled();
	managed();
	draining(0);
	draining(1);
	full();
	return 0;
}
