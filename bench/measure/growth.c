/* SPDX-License-Identifier: Apache-2.0 */

/* How costs grow: with the length of a queue, the values of a sample, the threads and the processes at work. Prints a
 * line a measurement: what, number of the library, ns.
 *
 *	growth LIBRARY...  */
#define _GNU_SOURCE
#include "exchange.h"

#define TURNS 3
#define TURN_NS (2000000.0 * effort())
#define MOST_WORKERS 8

/* One element after the other goes through a queue of length n in the program's own memory, which is kept half full:
 * all its cells are used in turn. An element, in and out. */
static double queue_length(struct library *l, int n)
{
	struct queue q;
	void *p = l;
	long rounds = 0;

	NEED(!l->queue_init(&q, (size_t) n, l->heap));
	for (int i = 0; i < n / 2; i++)
		l->queue_push(&q, p);
	for (long i = 0; i < 2 * n; i++) {	/* each page is there */
		l->queue_push(&q, p);
		l->queue_pull(&q, &p);
	}
	double start = now(), end;
	do {
		for (int i = 0; i < 1000; i++) {
			l->queue_push(&q, p);
			l->queue_pull(&q, &p);
		}
		rounds += 1000;
	} while ((end = now()) < start + TURN_NS);
	l->queue_destroy(&q);
	return (end - start) / (double) rounds;
}

/* A sample of n values is allocated, filled, read and put. */
static double values(struct library *l, int n)
{
	enum { BLOCKS = 64 };
	struct pool pool;
	struct sample *s;
	volatile float sum = 0;
	long rounds = 0;

	NEED(!l->pool_init(&pool, BLOCKS, SAMPLE_LEN((size_t) n), l->heap));
	double start = now(), end;
	do {
		for (int i = 0; i < BLOCKS; i++) {
			NEED(l->sample_alloc(&pool, &s, 1) == 1);
			fill(s->data, n, i);
			sum += total(s->data, n);
			l->sample_put(s);
		}
		rounds += BLOCKS;
	} while ((end = now()) < start + TURN_NS);
	l->pool_destroy(&pool);
	return (end - start) / (double) rounds;
}

/* Workers allocate and put on one pool, each bound to a CPU, round and round. What one allocation and put takes a CPU. */
static struct work {
	struct pool *pool;
	struct library *l;
	atomic_int ready, go, stop;
	atomic_long done;
} *work;

static void *worker(void *number)
{
	struct sample *s[8];
	long done = 0;

	pin((int) (long) number);
	atomic_fetch_add(&work->ready, 1);
	while (!atomic_load(&work->go))
		sched_yield();
	while (!atomic_load_explicit(&work->stop, memory_order_relaxed)) {
		int n = work->l->sample_alloc(work->pool, s, 8);
		if (n > 0)
			work->l->sample_put_many(s, n);
		done += n;
	}
	atomic_fetch_add(&work->done, done);
	return NULL;
}

static double run_workers(int n)
{
	while (atomic_load(&work->ready) < n)
		sched_yield();
	double start = now();
	atomic_store(&work->go, 1);
	usleep((useconds_t) (9 * TURN_NS / 1000) + 2000);
	atomic_store(&work->stop, 1);
	return now() - start;
}

static double per_cpu(double took, int n)
{
	return took * (n < cpus() ? n : cpus()) / (double) (atomic_load(&work->done) + 1);
}

static void begin(struct library *l, struct pool *pool)
{
	memset(work, 0, sizeof(*work));
	work->l = l;
	work->pool = pool;
}

static double threads(struct library *l, int n)
{
	pthread_t thread[MOST_WORKERS];
	struct pool pool;

	NEED(!l->pool_init(&pool, 1024, SAMPLE_LEN(4), l->heap));
	begin(l, &pool);
	for (long i = 0; i < n; i++)
		NEED(!pthread_create(&thread[i], NULL, worker, (void *) i));
	double took = run_workers(n);
	for (int i = 0; i < n; i++)
		pthread_join(thread[i], NULL);
	l->pool_destroy(&pool);
	return per_cpu(took, n);
}

/* Processes: children of a program, which work with its mapping of the region. */
static double processes(struct library *l, int n)
{
	static int count;
	pid_t pid[MOST_WORKERS];
	char name[64];
	void *base;

	snprintf(name, sizeof(name), "/villas-bench-%d-%d", (int) getpid(), count++);
	pid_t keeper = child();
	if (keeper == 0) {
		struct node made = node_make(library_open(l->path), name, 1, 512, 4);
		node_accept(&made);
		pause();
	}
	struct shmem_shared *shm = program_open(l, name, &base);
	shm_unlink(name);
	begin(l, &shm->pool);
	for (long i = 0; i < n; i++) {
		if ((pid[i] = child()) == 0) {
			worker((void *) i);
			_exit(0);
		}
	}
	double took = run_workers(n);
	for (int i = 0; i < n; i++)
		ended_well(pid[i]);
	l->shmem_shared_close(shm, base);
	NEED(!kill(keeper, SIGKILL) && waitpid(keeper, NULL, 0) == keeper);
	return per_cpu(took, n);
}

static const struct {
	const char *name;		/* a format for n */
	double (*run)(struct library *l, int n);
	int n[12];
} cases[] = {
	{ "push + pull, queue of %d", queue_length,
		{ 2, 16, 128, 1024, 8192, 65536, 1 << 18, 1 << 20 } },
	{ "alloc + fill + read + put, %d values", values, { 1, 4, 16, 64, 256, 1024, 4096 } },
	{ "alloc + put in 8s, %d threads", threads, { 1, 2, 3, 4, 6, 8 } },
	{ "alloc + put in 8s, %d processes", processes, { 1, 2, 3, 4, 6, 8 } },
};

int main(int argc, char *argv[])
{
	struct library *libraries[8];

	NEED(argc > 1 && argc <= 9);
	cpus();
	work = mmap(NULL, sizeof(*work), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	NEED(work != MAP_FAILED);
	for (int i = 1; i < argc; i++)
		libraries[i - 1] = library_open(argv[i]);
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		for (const int *n = cases[c].n; *n; n++) {
			for (int turn = 0; turn < TURNS; turn++) {
				for (int i = 0; i < argc - 1; i++) {
					double ns = cases[c].run(libraries[i], *n);
					printf(cases[c].name, *n);
					printf("\t%d\t%.4f\n", i, ns);
				}
				fflush(stdout);
			}
		}
	}
	return 0;
}
