/* SPDX-License-Identifier: Apache-2.0 */

/* Stands for a VILLASnode 1.x in tests: its structures, handshake and calls by the contract's word, with system calls
 * and glibc alone. It links and includes nothing of ours. Its defects are the original's: it waits for ever, never looks
 * whether the other side lives, reports the end though samples are queued, its mutex is not robust, and it hands a
 * closed peer samples until its pool is empty.
 *
 *	standin ROLE OWN OTHER [NAME=VALUE ...]
 *
 * Roles: echo (give back what comes), send (send count samples, get them back and check each), source (send count
 * samples and close), sink (take and check what comes until the end), count (take what comes until the end, or count
 * samples, and tell the last one's sequence number).
 * Settings: mode=pthread|polling, ql, sl, count, window (samples on the way), patience (seconds), yield (empty looks
 * before a polling loop yields; 0 never), linger (ms before it closes), slow (microseconds that role count takes for a
 * sample), narrow=1 (integers of 32 bits), zero=1 (clear the first 80 bytes of the own object), crash=STEP, hold=STEP:MS.
 * Steps: 1 semaphores open, 2 object created, 3 initialised, 4 posted, 5 waited, 6 other side mapped, 7 semaphore
 * unlinked; crash also 8 with the mutex held and half of the samples sent, 9 between claim and publish. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { DESTROYED = 0, INITIALIZED = 1, STOPPED = 5 };
enum { PTHREAD = 1, POLLING = 2 };

struct cell {
	_Atomic uint64_t sequence;
	uint64_t data_off;
};

struct queue {
	_Atomic int state;
	char pad0[68];
	uint64_t buffer_mask, buffer_off;
	char pad1[64];
	_Atomic uint64_t tail;
	char pad2[64];
	_Atomic uint64_t head;
	char pad3[64];
};

struct queue_signalled {
	struct queue queue;
	int mode, flags;
	pthread_cond_t ready;
	pthread_mutex_t mutex;
};

struct pool {
	_Atomic int state;
	uint64_t buffer_off, len, blocksz, alignment;
	struct queue queue;
};

struct shared {
	int polling;
	struct queue_signalled queue;
	struct pool pool;
};

union data {
	double f;
	int64_t i;
	bool b;
	float z[2];
};

struct sample {
	uint64_t sequence;
	unsigned length, capacity;
	int flags;
	uint64_t signals[2];
	_Atomic int refcnt;
	int64_t pool_off;
	struct timespec origin, received;
	union data data[];
};

#if defined(__x86_64__)
_Static_assert(sizeof(struct queue) == 296 && offsetof(struct queue, tail) == 152 && offsetof(struct queue, head) == 224, "");
_Static_assert(sizeof(struct queue_signalled) == 392 && offsetof(struct queue_signalled, mutex) == 352, "");
_Static_assert(sizeof(struct pool) == 336 && sizeof(struct shared) == 736 && offsetof(struct shared, pool) == 400, "");
_Static_assert(sizeof(struct sample) == 88 && offsetof(struct sample, refcnt) == 40 && offsetof(struct sample, origin) == 56, "");
#endif

#define SHARED 80	/* where struct shared stands in an object */

static const char *role, *own, *other;
static int mode = POLLING, ql = 256, sl = 8, count = 1000, window = 64, patience = 30, yield = 50, linger, zero, slow, narrow, crash, hold, hold_ms;
static struct shared *mine, *theirs;
static size_t my_size, their_size;

static void fail(const char *what)
{
	fprintf(stderr, "standin %s %s: %s: %s\n", role, own, what, strerror(errno));
	exit(1);
}

static void step(int n)
{
	if (n == crash)
		raise(SIGKILL);
	if (n == hold)
		usleep((unsigned) hold_ms * 1000);
}

/* Queues: one element at a time. */

static struct cell *cell(struct queue *q, uint64_t position)
{
	return (struct cell *) ((char *) q + q->buffer_off) + (position & q->buffer_mask);
}

static int push(struct queue *q, void *p)
{
	uint64_t pos = atomic_load(&q->tail);

	if (atomic_load(&q->state) == STOPPED)
		return -1;
	for (;;) {
		int64_t ahead = (int64_t) (atomic_load(&cell(q, pos)->sequence) - pos);
		if (ahead < 0)
			return 0;
		if (ahead == 0 && atomic_compare_exchange_weak(&q->tail, &pos, pos + 1))
			break;
		if (ahead > 0)
			pos = atomic_load(&q->tail);
	}
	if (crash == 9 && q == &mine->queue.queue && pos == (uint64_t) count / 2)
		raise(SIGKILL);
	cell(q, pos)->data_off = (uint64_t) ((char *) p - (char *) q);
	atomic_store(&cell(q, pos)->sequence, pos + 1);
	return 1;
}

static int pull(struct queue *q, void **p)
{
	uint64_t pos = atomic_load(&q->head);

	if (atomic_load(&q->state) == STOPPED)
		return -1;
	for (;;) {
		int64_t ahead = (int64_t) (atomic_load(&cell(q, pos)->sequence) - (pos + 1));
		if (ahead < 0)
			return 0;
		if (ahead == 0 && atomic_compare_exchange_weak(&q->head, &pos, pos + 1))
			break;
		if (ahead > 0)
			pos = atomic_load(&q->head);
	}
	*p = (char *) q + cell(q, pos)->data_off;
	atomic_store(&cell(q, pos)->sequence, pos + q->buffer_mask + 1);
	return 1;
}

static uint64_t init_queue(struct queue *q, char *cells, uint64_t n)
{
	uint64_t size = 1;

	while (size < n)
		size *= 2;
	q->buffer_mask = size - 1;
	q->buffer_off = (uint64_t) (cells - (char *) q);
	for (uint64_t i = 0; i < size; i++)
		atomic_store(&cell(q, i)->sequence, i);
	atomic_store(&q->state, INITIALIZED);
	return size * sizeof(struct cell);
}

/* Blocks go from one to the next, each behind a descriptor of 32 bytes. */
static void init_object(char *base)
{
	char *at = base + SHARED + sizeof(struct shared) + 32;
	struct queue_signalled *qs = &mine->queue;
	size_t block = (sizeof(struct sample) + 8 * (size_t) sl + 63) / 64 * 64;

	at += init_queue(&qs->queue, at, (uint64_t) ql) + 32;
	char *blocks = (char *) (((uintptr_t) at + 63) / 64 * 64);
	at = blocks + block * (size_t) ql + 32;
	init_queue(&mine->pool.queue, at, (uint64_t) ql);
	mine->pool.buffer_off = (uint64_t) (blocks - (char *) &mine->pool);
	mine->pool.len = block * (size_t) ql;
	mine->pool.blocksz = block;
	mine->pool.alignment = 64;
	for (int i = 0; i < ql; i++)
		push(&mine->pool.queue, blocks + (size_t) i * block);
	atomic_store(&mine->pool.state, INITIALIZED);

	mine->polling = mode == POLLING;
	qs->mode = mode;
	if (mode == PTHREAD) {
		pthread_mutexattr_t mattr;
		pthread_condattr_t cattr;
		pthread_mutexattr_init(&mattr);
		pthread_mutexattr_setpshared(&mattr, PTHREAD_PROCESS_SHARED);
		pthread_mutex_init(&qs->mutex, &mattr);
		pthread_condattr_init(&cattr);
		pthread_condattr_setpshared(&cattr, PTHREAD_PROCESS_SHARED);
		pthread_cond_init(&qs->ready, &cattr);
	}
	if (zero)
		memset(base, 0, SHARED);
}

static void handshake(void)
{
	uint64_t cells = 1;

	sem_t *sem_own = sem_open(own, O_CREAT, 0600, 0), *sem_other = sem_open(other, O_CREAT, 0600, 0);
	if (sem_own == SEM_FAILED || sem_other == SEM_FAILED)
		fail("sem_open");
	step(1);
	int fd;
	while ((fd = shm_open(own, O_RDWR | O_CREAT | O_EXCL, 0600)) < 0) {
		if (errno != EEXIST || (shm_unlink(own) && errno != ENOENT))
			fail("shm_open");
	}
	step(2);
	while (cells < (uint64_t) ql)
		cells *= 2;
	my_size = 48 + 736 + 16 * 2 * cells + (size_t) ql * 64 * ((88 + 8 * (size_t) sl + 63) / 64) + 128 + 1024;
	if (ftruncate(fd, (off_t) my_size))
		fail("ftruncate");
	char *base = mmap(NULL, my_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		fail("mmap");
	close(fd);
	mine = (struct shared *) (base + SHARED);
	init_object(base);
	step(3);
	sem_post(sem_own);
	step(4);
	while (sem_wait(sem_other)) {
		if (errno != EINTR)
			fail("sem_wait");
	}
	step(5);
	struct stat st;
	fd = shm_open(other, O_RDWR, 0);
	if (fd < 0 || fstat(fd, &st))
		fail("open the other side's object");
	their_size = (size_t) st.st_size;
	base = mmap(NULL, their_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		fail("map the other side's object");
	close(fd);
	theirs = (struct shared *) (base + SHARED);
	step(6);
	sem_unlink(own);
	step(7);
}

static void close_pair(void)
{
	int running = INITIALIZED;

	if (mode == PTHREAD)
		pthread_mutex_lock(&mine->queue.mutex);
	atomic_compare_exchange_strong(&mine->queue.queue.state, &running, STOPPED);
	if (mode == PTHREAD) {
		pthread_cond_broadcast(&mine->queue.ready);
		pthread_mutex_unlock(&mine->queue.mutex);
	}
	munmap((char *) theirs - SHARED, their_size);
	shm_unlink(own);
	munmap((char *) mine - SHARED, my_size);
}

/* Samples. */

static struct sample *alloc(void)
{
	struct sample *s;

	if (pull(&mine->pool.queue, (void **) &s) <= 0)
		return NULL;
	s->capacity = (unsigned) ((mine->pool.blocksz - sizeof(*s)) / 8);
	s->length = 0;
	s->flags = 0;
	s->signals[0] = s->signals[1] = 0;
	atomic_store(&s->refcnt, 1);
	s->pool_off = (char *) &mine->pool - (char *) s;
	return s;
}

static void put(struct sample *s)
{
	if (atomic_fetch_sub(&s->refcnt, 1) == 1)
		push(&((struct pool *) ((char *) s + s->pool_off))->queue, s);
}

static int write_one(struct sample *s)
{
	struct queue_signalled *qs = &mine->queue;
	int n = push(&qs->queue, s);

	if (n == 1 && mode == PTHREAD) {
		pthread_mutex_lock(&qs->mutex);
		if (crash == 8 && s->sequence == (uint64_t) count / 2)
			raise(SIGKILL);
		pthread_cond_broadcast(&qs->ready);
		pthread_mutex_unlock(&qs->mutex);
	}
	return n;
}

/* 1, -1 at the end, or 0 without wait. */
static int read_one(struct sample **s, bool wait)
{
	struct queue_signalled *qs = &theirs->queue;
	time_t end = time(NULL) + patience;
	int n;

	if (qs->mode == PTHREAD) {
		pthread_mutex_lock(&qs->mutex);
		while (!(n = pull(&qs->queue, (void **) s)) && wait)
			pthread_cond_wait(&qs->ready, &qs->mutex);
		pthread_mutex_unlock(&qs->mutex);
		return n;
	}
	for (int looks = 1; !(n = pull(&qs->queue, (void **) s)) && wait; looks++) {
		if (looks % (1 << 16) == 0 && time(NULL) > end) {
			errno = ETIMEDOUT;
			fail("read");
		}
		if (yield && looks % yield == 0)
			sched_yield();
	}
	return n;
}

/* Every field of sample i follows from i. */
static void fill(struct sample *s, uint64_t i)
{
	s->sequence = i;
	s->length = (unsigned) sl;
	s->flags = 0x1b | (i % 10 ? 0 : 0x10000);
	s->origin = (struct timespec) { 1700000000 + (time_t) (i / 1000), (long) (i * 7919 % 1000000000) };
	s->received = (struct timespec) { 1700000000 + (time_t) (i / 1000), 222222222 };
	for (unsigned j = 0; j < s->length; j++) {
		s->data[j].i = 0;
		switch (j % 4) {
		case 0:
			s->data[j].f = 1.5 * (double) i + j;
			break;
		case 1:
			s->data[j].i = (narrow ? -7 : -7000000000) * (int64_t) (i + 1) + j;
			break;
		case 2:
			s->data[j].b = (i + j) & 1;
			break;
		case 3:
			s->data[j].z[0] = (float) (i % 1000) + 0.5f;
			s->data[j].z[1] = (float) j - (float) (i % 77);
		}
	}
}

static bool right(struct sample *s, uint64_t i, struct sample *want)
{
	fill(want, i);
	return s->sequence == i && s->length == want->length && s->flags == want->flags && !s->signals[0] && !s->signals[1] &&
		s->origin.tv_sec == want->origin.tv_sec && s->origin.tv_nsec == want->origin.tv_nsec &&
		s->received.tv_sec == want->received.tv_sec && s->received.tv_nsec == want->received.tv_nsec &&
		!memcmp(s->data, want->data, 8 * (size_t) sl);
}

static int64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;

	return (x > y) - (x < y);
}

static int echo(void)
{
	struct sample *s, *back;
	int total = 0;

	while (read_one(&s, true) == 1) {
		while (!(back = alloc()))
			sched_yield();
		back->sequence = s->sequence;
		back->length = s->length < back->capacity ? s->length : back->capacity;
		back->flags = s->flags;
		back->origin = s->origin;
		back->received = s->received;
		memcpy(back->data, s->data, 8 * (size_t) back->length);
		put(s);
		while (write_one(back) == 0)
			sched_yield();
		total++;
	}
	printf("echoed %d free %d of %d\n", total, (int) (atomic_load(&mine->pool.queue.tail) - atomic_load(&mine->pool.queue.head)), ql);
	return 0;
}

static int send_round(void)
{
	struct sample *s, *want = malloc(sizeof(*want) + 8 * (size_t) sl);
	int64_t *sent_at = calloc((size_t) window, sizeof(*sent_at)), *took = calloc((size_t) count, sizeof(*took));
	int sent = 0, got = 0, bad = 0, ended = 0;

	while (got < count && !ended) {
		while (sent < count && sent - got < window && (s = alloc())) {
			fill(s, (uint64_t) sent);
			sent_at[sent % window] = now();
			if (write_one(s) != 1) {
				put(s);
				break;
			}
			sent++;
		}
		int n = read_one(&s, true);
		if (n < 0)
			ended = 1;
		if (n == 1) {
			took[got] = now() - sent_at[got % window];
			bad += !right(s, (uint64_t) got, want);
			got++;
			put(s);
		}
	}
	qsort(took, (size_t) got, sizeof(*took), ascending);
	printf("sent %d received %d bad %d free %d of %d\n", sent, got, bad,
		(int) (atomic_load(&mine->pool.queue.tail) - atomic_load(&mine->pool.queue.head)), ql);
	if (got)
		printf("latency p50 %.1f us p99 %.1f us\n", (double) took[got / 2] / 1e3, (double) took[got * 99L / 100] / 1e3);
	return bad != 0 || got != count;
}

static int source(void)
{
	struct sample *s;

	for (int i = 0; i < count; i++) {
		while (!(s = alloc()))
			sched_yield();
		fill(s, (uint64_t) i);
		while (write_one(s) == 0)
			sched_yield();
	}
	printf("sent %d\n", count);
	return 0;
}

static int sink(void)
{
	struct sample *s, *want = malloc(sizeof(*want) + 8 * (size_t) sl);
	int got = 0, bad = 0;

	while (got < count && read_one(&s, true) == 1) {
		bad += !right(s, (uint64_t) got++, want);
		put(s);
	}
	printf("received %d bad %d\n", got, bad);
	return bad != 0;
}

static int count_only(void)
{
	struct sample *s;
	uint64_t last = 0;
	int got = 0;

	while (got < count && read_one(&s, true) == 1) {
		last = s->sequence;
		got++;
		put(s);
		usleep((unsigned) slow);
	}
	printf("counted %d last %llu\n", got, (unsigned long long) last);
	return 0;
}

int main(int argc, char *argv[])
{
	struct { const char *name; int *value; } settings[] = {
		{ "ql", &ql }, { "sl", &sl }, { "count", &count }, { "window", &window }, { "patience", &patience },
		{ "yield", &yield }, { "linger", &linger }, { "zero", &zero }, { "slow", &slow }, { "narrow", &narrow },
		{ "crash", &crash },
	};

	if (argc < 4) {
		fprintf(stderr, "usage: %s echo|send|source|sink|count OWN OTHER [NAME=VALUE ...]\n", argv[0]);
		return 2;
	}
	role = argv[1], own = argv[2], other = argv[3];
	for (int i = 4; i < argc; i++) {
		size_t k, n = strcspn(argv[i], "=");
		for (k = 0; k < sizeof(settings) / sizeof(*settings); k++) {
			if (strlen(settings[k].name) == n && !strncmp(argv[i], settings[k].name, n)) {
				*settings[k].value = atoi(argv[i] + n + 1);
				break;
			}
		}
		if (!strncmp(argv[i], "mode=", 5))
			mode = strcmp(argv[i] + 5, "pthread") ? POLLING : PTHREAD;
		else if (sscanf(argv[i], "hold=%d:%d", &hold, &hold_ms) != 2 && k == sizeof(settings) / sizeof(*settings)) {
			fprintf(stderr, "unknown setting %s\n", argv[i]);
			return 2;
		}
	}
	alarm((unsigned) patience + 30);
	handshake();
	int result = !strcmp(role, "echo") ? echo() : !strcmp(role, "send") ? send_round() : !strcmp(role, "source") ? source() :
		!strcmp(role, "sink") ? sink() : count_only();
	fflush(stdout);
	usleep((unsigned) linger * 1000);
	close_pair();
	return result;
}
