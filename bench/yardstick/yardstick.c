/* SPDX-License-Identifier: Apache-2.0 */

/* The yardstick: what a program pays for the original's algorithm in plain C, on the same structures. One
 * compare-and-swap an element, fetch_sub at a put, mutex and broadcast in signalled mode; C11 atomics in their cheapest
 * right order, no check of anything. It exports the names of libvillas-ext.so.1 as far as the benchmarks call them, and
 * was written from the description of the interface.
 *
 * Compiled with TRICKS it is C with what this library does otherwise: one claim for many, and futexes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <villas/shmem.h>

/* Memory: the heap, and a region that hands out its bytes in order. */

static void *heap_alloc(struct memtype *m, size_t len, size_t alignment)
{
	(void) m;
	return aligned_alloc(alignment, (len + alignment - 1) / alignment * alignment);
}

static int heap_free(struct memtype *m, void *p, size_t len)
{
	(void) m, (void) len;
	free(p);
	return 0;
}

struct memtype memtype_heap = { "heap", MEMORY_HEAP, 1, heap_alloc, heap_free, NULL };

static void *managed_alloc(struct memtype *m, size_t len, size_t alignment)
{
	char *p = (char *) (((uintptr_t) m->_vd + sizeof(struct memblock) + alignment - 1) & ~(alignment - 1));

	m->_vd = p + len;
	return p;
}

static int managed_free(struct memtype *m, void *p, size_t len)
{
	(void) m, (void) p, (void) len;
	return 0;
}

struct memtype *memtype_managed_init(void *p, size_t len)
{
	struct memtype *m = p;

	(void) len;
	*m = (struct memtype) { "managed", 0, 1, managed_alloc, managed_free, m + 1 };
	return m;
}

void *memory_alloc(struct memtype *m, size_t len)
{
	return m->alloc(m, len, sizeof(void *));
}

/* The queue: Dmitry Vyukov's bounded MPMC queue, 1024cores.net. */

int queue_init(struct queue *q, size_t size, struct memtype *mem)
{
	size_t cells = 2;

	while (cells < size)
		cells *= 2;
	struct queue_cell *c = memory_alloc(mem, cells * sizeof(*c));
	if (!c)
		return -2;
	for (size_t i = 0; i < cells; i++)
		atomic_init(&c[i].sequence, i);
	q->mem = mem;
	q->buffer_mask = cells - 1;
	q->buffer_off = (char *) c - (char *) q;
	atomic_init(&q->tail, 0);
	atomic_init(&q->head, 0);
	q->state = STATE_INITIALIZED;
	return 0;
}

int queue_destroy(struct queue *q)
{
	q->state = STATE_DESTROYED;
	return q->mem->free(q->mem, (char *) q + q->buffer_off, (q->buffer_mask + 1) * sizeof(struct queue_cell));
}

static inline struct queue_cell *cell(struct queue *q, size_t pos)
{
	return (struct queue_cell *) ((char *) q + q->buffer_off) + (pos & q->buffer_mask);
}

/* Move counter over up to n cells that are ready, those whose sequence is lag ahead of their position. */
static inline size_t claim(struct queue *q, atomic_size_t *counter, size_t lag, size_t n, size_t *first)
{
	size_t pos = atomic_load_explicit(counter, memory_order_relaxed), got;

	for (;;) {
		intptr_t ahead = (intptr_t) (atomic_load_explicit(&cell(q, pos)->sequence, memory_order_acquire) - (pos + lag));
		if (ahead < 0)
			return 0;
		if (ahead > 0) {
			pos = atomic_load_explicit(counter, memory_order_relaxed);
			continue;
		}
		for (got = 1; got < n; got++) {
			if (atomic_load_explicit(&cell(q, pos + got)->sequence, memory_order_acquire) != pos + got + lag)
				break;
		}
		if (atomic_compare_exchange_weak_explicit(counter, &pos, pos + got, memory_order_relaxed, memory_order_relaxed))
			break;
	}
	*first = pos;
	return got;
}

static inline void publish(struct queue *q, size_t pos, void *p)
{
	struct queue_cell *c = cell(q, pos);

	c->data_off = (char *) p - (char *) q;
	atomic_store_explicit(&c->sequence, pos + 1, memory_order_release);
}

static inline void *take(struct queue *q, size_t pos)
{
	struct queue_cell *c = cell(q, pos);
	void *p = (char *) q + c->data_off;

	atomic_store_explicit(&c->sequence, pos + q->buffer_mask + 1, memory_order_release);
	return p;
}

#ifdef TRICKS
#define AT_ONCE(n) (n)
#else
#define AT_ONCE(n) 1
#endif

static inline int push_many(struct queue *q, void **p, size_t n)
{
	size_t done = 0, pos, got;

	while (done < n && (got = claim(q, &q->tail, 0, AT_ONCE(n - done), &pos))) {
		for (; got; got--)
			publish(q, pos++, p[done++]);
	}
	return (int) done;
}

static inline int pull_many(struct queue *q, void **p, size_t n)
{
	size_t done = 0, pos, got;

	while (done < n && (got = claim(q, &q->head, 1, AT_ONCE(n - done), &pos))) {
		for (; got; got--)
			p[done++] = take(q, pos++);
	}
	return (int) done;
}

int queue_push(struct queue *q, void *p)
{
	return push_many(q, &p, 1);
}

int queue_pull(struct queue *q, void **p)
{
	return pull_many(q, p, 1);
}

int queue_push_many(struct queue *q, void **p, size_t n)
{
	return push_many(q, p, n);
}

int queue_pull_many(struct queue *q, void **p, size_t n)
{
	return pull_many(q, p, n);
}

/* Waiting. */

int queue_signalled_init(struct queue_signalled *qs, size_t size, struct memtype *mem)
{
	pthread_mutexattr_t m;
	pthread_condattr_t c;

	pthread_mutexattr_init(&m);
	pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&qs->mutex, &m);
	pthread_condattr_init(&c);
	pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&qs->ready, &c);
	return queue_init(&qs->queue, size, mem);
}

#ifdef TRICKS
#define SPIN_NS 50000

static _Atomic uint32_t *sleepers(struct queue_signalled *qs)
{
	return (_Atomic uint32_t *) qs->queue._pad1;
}

static void wake(struct queue_signalled *qs)
{
	atomic_thread_fence(memory_order_seq_cst);
	if (atomic_load_explicit(sleepers(qs), memory_order_relaxed) && atomic_exchange(sleepers(qs), 0))
		syscall(SYS_futex, sleepers(qs), FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static bool empty(struct queue *q)
{
	size_t pos = atomic_load_explicit(&q->head, memory_order_relaxed);

	return atomic_load_explicit(&cell(q, pos)->sequence, memory_order_acquire) != pos + 1;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t) t.tv_sec * 1000000000u + (uint64_t) t.tv_nsec;
}

static int wait_and_pull(struct queue_signalled *qs, void **p, size_t n, atomic_size_t *stopped)
{
	static int spin = -1;
	int got;

	if (spin < 0)
		spin = getenv("VILLAS_EXT_SPIN") ? 1000 * atoi(getenv("VILLAS_EXT_SPIN")) : SPIN_NS;
	while (!(got = pull_many(&qs->queue, p, n)) && !(stopped && atomic_load(stopped))) {
		for (uint64_t end = spin ? now() + (uint64_t) spin : 0; empty(&qs->queue) && spin && now() < end;)
			__asm__ volatile("" ::: "memory");
		atomic_store(sleepers(qs), 1);
		if (empty(&qs->queue))
			syscall(SYS_futex, sleepers(qs), FUTEX_WAIT, 1, NULL, NULL, 0);
	}
	return got;
}
#else
static void wake(struct queue_signalled *qs)
{
	pthread_mutex_lock(&qs->mutex);
	pthread_cond_broadcast(&qs->ready);
	pthread_mutex_unlock(&qs->mutex);
}

/* The original waits before it looks, and stalls; this one looks first. */
static int wait_and_pull(struct queue_signalled *qs, void **p, size_t n, atomic_size_t *stopped)
{
	int got;

	pthread_mutex_lock(&qs->mutex);
	while (!(got = pull_many(&qs->queue, p, n)) && !(stopped && atomic_load(stopped)))
		pthread_cond_wait(&qs->ready, &qs->mutex);
	pthread_mutex_unlock(&qs->mutex);
	return got;
}
#endif

int queue_signalled_push_many(struct queue_signalled *qs, void **p, size_t n)
{
	int done = push_many(&qs->queue, p, n);

	wake(qs);
	return done;
}

int queue_signalled_pull_many(struct queue_signalled *qs, void **p, size_t n)
{
	return wait_and_pull(qs, p, n, NULL);
}

/* Pool and samples. */

int pool_init(struct pool *p, size_t cnt, size_t blocksz, struct memtype *mem)
{
	p->blocksz = (blocksz + CACHELINE_SIZE - 1) & ~((size_t) CACHELINE_SIZE - 1);
	p->len = cnt * p->blocksz;
	p->alignment = CACHELINE_SIZE;
	p->mem = mem;
	char *buffer = mem->alloc(mem, p->len, CACHELINE_SIZE);
	if (!buffer || queue_init(&p->queue, cnt, mem))
		return -2;
	p->buffer_off = buffer - (char *) p;
	for (size_t i = 0; i < cnt; i++)
		queue_push(&p->queue, buffer + i * p->blocksz);
	p->state = STATE_INITIALIZED;
	return 0;
}

int pool_destroy(struct pool *p)
{
	p->state = STATE_DESTROYED;
	return queue_destroy(&p->queue) || p->mem->free(p->mem, pool_buffer(p), p->len);
}

int sample_alloc(struct pool *p, struct sample **s, int n)
{
	int got = pull_many(&p->queue, (void **) s, (size_t) n);

	for (int i = 0; i < got; i++) {
		s[i]->capacity = (int) ((p->blocksz - SAMPLE_LEN(0)) / sizeof(s[i]->data[0]));
		s[i]->pool_off = (char *) p - (char *) s[i];
		s[i]->format = 0;
		atomic_store_explicit(&s[i]->refcnt, 1, memory_order_relaxed);
	}
	return got;
}

int sample_get(struct sample *s)
{
	return atomic_fetch_add(&s->refcnt, 1) + 1;
}

static inline int put(struct sample *s)
{
	int left = atomic_fetch_sub(&s->refcnt, 1) - 1;
	void *p = s;

	if (left == 0)
		push_many(&sample_pool(s)->queue, &p, 1);
	return left;
}

int sample_put(struct sample *s)
{
	return put(s);
}

int sample_put_many(struct sample **s, int n)
{
	int released = 0;

#ifdef TRICKS
	void *ready[64];
	for (int i = 0; i < n;) {
		int end = n - i < 64 ? n : i + 64, count = 0;
		for (; i < end; i++) {
			if (atomic_fetch_sub(&s[i]->refcnt, 1) == 1)
				ready[count++] = s[i];
		}
		push_many(&sample_pool(s[0])->queue, ready, (size_t) count);
		released += count;
	}
#else
	for (int i = 0; i < n; i++)
		released += put(s[i]) == 0;
#endif
	return released;
}

int sample_copy(struct sample *dst, struct sample *src)
{
	dst->length = src->length < dst->capacity ? src->length : dst->capacity;
	dst->sequence = src->sequence;
	dst->source = src->source;
	dst->ts = src->ts;
	dst->format = src->format;
	memcpy(dst->data, src->data, SAMPLE_DATA_LEN((size_t) dst->length));
	return 0;
}

/* The external program's side. */

size_t shmem_total_size(int in, int out, int samplelen)
{
	size_t cells = 2, block = (SAMPLE_LEN((size_t) samplelen) + CACHELINE_SIZE - 1) & ~((size_t) CACHELINE_SIZE - 1);

	while (cells < (size_t) (in + out))
		cells *= 2;
	return sizeof(struct memtype) + sizeof(struct shmem_shared) + 5 * sizeof(struct memblock) + 1024 +
		2 * cells * sizeof(struct queue_cell) + (size_t) (in + out) * block;
}

struct shmem_shared *shmem_shared_open(const char *name, void **base)
{
	struct stat st;
	int fd = shm_open(name, O_RDWR, 0);

	if (fd < 0)
		return NULL;
	void *p = fstat(fd, &st) ? MAP_FAILED : mmap(NULL, (size_t) st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return NULL;
	struct shmem_shared *shm = (struct shmem_shared *) ((char *) p + sizeof(struct memtype) + sizeof(struct memblock));
	pthread_barrier_wait(&shm->start_bar);
	if (base)
		*base = p;
	return shm;
}

int shmem_shared_read(struct shmem_shared *shm, struct sample **s, unsigned n)
{
	int got = shm->polling ? pull_many(&shm->out.q, (void **) s, n)
		: wait_and_pull(&shm->out.qs, (void **) s, n, &shm->node_stopped);

	return got || !atomic_load_explicit(&shm->node_stopped, memory_order_relaxed) ? got : -1;
}

int shmem_shared_write(struct shmem_shared *shm, struct sample **s, unsigned n)
{
	if (atomic_load_explicit(&shm->node_stopped, memory_order_relaxed))
		return -1;
	if (shm->polling)
		return push_many(&shm->in.q, (void **) s, n);
	return queue_signalled_push_many(&shm->in.qs, (void **) s, n);
}

int shmem_shared_close(struct shmem_shared *shm, void *base)
{
	size_t len = shm->len;

	atomic_store(&shm->ext_stopped, 1);
	return munmap(base, len);
}
