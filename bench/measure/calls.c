/* SPDX-License-Identifier: Apache-2.0 */

/* What a call costs in an external program, which has one region of each library mapped at a time. The libraries take
 * turns, on one CPU. Prints a line a measurement: what, number of the library, ns an element or a call.
 *
 *	calls LIBRARY...  */
#define _GNU_SOURCE
#include "library.h"

#define TURNS 11		/* of each library, for one case */
#define TURN_NS 1500000.0	/* how long a turn is to take */
#define QUEUELEN 1024
#define MOST 256		/* elements at once */

/* What a library works on. */
struct bed {
	struct library *l;
	struct shmem_shared *shm;
	void *base;
	struct queue queue;					/* in the program's own memory */
	struct pool pool;
	struct sample *smps[MOST], *back[MOST];
	void *elements[MOST];
};

/* Each case does rounds rounds with n elements at once, and returns how long they took in ns. */
typedef double body(struct bed *b, int n, int rounds);

static double push_pull(struct bed *b, int n, int rounds)
{
	struct queue *q = &b->shm->out.q;
	double start = now();

	for (int i = 0; i < rounds * n; i++) {
		void *p;
		b->l->queue_push(q, b->elements[0]);
		b->l->queue_pull(q, &p);
	}
	return now() - start;
}

static double push_pull_many(struct bed *b, int n, int rounds)
{
	struct queue *q = &b->shm->out.q;
	double start = now();

	for (int i = 0; i < rounds; i++) {
		b->l->queue_push_many(q, b->elements, (size_t) n);
		b->l->queue_pull_many(q, b->elements, (size_t) n);
	}
	return now() - start;
}

static double push_pull_own(struct bed *b, int n, int rounds)
{
	double start = now();

	for (int i = 0; i < rounds * n; i++) {
		void *p;
		b->l->queue_push(&b->queue, b);
		b->l->queue_pull(&b->queue, &p);
	}
	return now() - start;
}

static double push_pull_many_own(struct bed *b, int n, int rounds)
{
	double start = now();

	for (int i = 0; i < rounds; i++) {
		b->l->queue_push_many(&b->queue, b->elements, (size_t) n);
		b->l->queue_pull_many(&b->queue, b->elements, (size_t) n);
	}
	return now() - start;
}

static double alloc_put(struct bed *b, int n, int rounds)
{
	struct pool *p = &b->shm->pool;
	double start = now();

	for (int i = 0; i < rounds; i++) {
		b->l->sample_alloc(p, b->smps, n);
		for (int k = 0; k < n; k++)
			b->l->sample_put(b->smps[k]);
	}
	return now() - start;
}

static double alloc_put_many(struct bed *b, int n, int rounds)
{
	struct pool *p = &b->shm->pool;
	double start = now();

	for (int i = 0; i < rounds; i++) {
		b->l->sample_alloc(p, b->smps, n);
		b->l->sample_put_many(b->smps, n);
	}
	return now() - start;
}

static double alloc_put_own(struct bed *b, int n, int rounds)
{
	double start = now();

	for (int i = 0; i < rounds; i++) {
		b->l->sample_alloc(&b->pool, b->smps, n);
		for (int k = 0; k < n; k++)
			b->l->sample_put(b->smps[k]);
	}
	return now() - start;
}

static double get_put(struct bed *b, int n, int rounds)
{
	struct sample *s;

	NEED(b->l->sample_alloc(&b->shm->pool, &s, 1) == 1);
	double start = now();
	for (int i = 0; i < rounds * n; i++) {
		b->l->sample_get(s);
		b->l->sample_put(s);
	}
	double took = now() - start;
	b->l->sample_put(s);
	return took;
}

/* n is the number of values here. */
static double copy(struct bed *b, int n, int rounds)
{
	struct sample *s[2];

	NEED(b->l->sample_alloc(&b->shm->pool, s, 2) == 2);
	s[0]->length = n;
	double start = now();
	for (int i = 0; i < rounds; i++)
		b->l->sample_copy(s[1], s[0]);
	double took = now() - start;
	b->l->sample_put_many(s, 2);
	return took * n;	/* a call, not a value */
}

/* What an external program does in each step. The node's part is done by this process, on the same mapping. */
static double cycle(struct bed *b, int n, int rounds)
{
	struct shmem_shared *shm = b->shm;
	double start = now();

	for (int i = 0; i < rounds; i++) {
		b->l->sample_alloc(&shm->pool, b->smps, n);
		b->l->queue_push_many(&shm->out.q, (void **) b->smps, (size_t) n);
		int got = b->l->shmem_shared_read(shm, b->back, (unsigned) n);
		for (int k = 0; k < got; k++) {
			b->back[k]->sequence++;
			b->back[k]->data[0].f *= 0.5f;
		}
		b->l->shmem_shared_write(shm, b->back, (unsigned) got);
		b->l->queue_pull_many(&shm->in.q, (void **) b->smps, (size_t) n);
		b->l->sample_put_many(b->smps, n);
	}
	return now() - start;
}

/* Writes in signalled mode while nobody sleeps; only they are timed. */
static double signalled_write(struct bed *b, int n, int rounds)
{
	enum { ONCE = 256 };
	struct shmem_shared *shm = b->shm;
	double took = 0;

	for (int left = rounds * n; left > 0; left -= ONCE) {
		NEED(b->l->sample_alloc(&shm->pool, b->smps, ONCE) == ONCE);
		double start = now();
		for (int k = 0; k < ONCE; k += n)
			b->l->shmem_shared_write(shm, &b->smps[k], (unsigned) n);
		took += now() - start;
		NEED(b->l->queue_pull_many(&shm->in.q, (void **) b->back, ONCE) == ONCE);
		b->l->sample_put_many(b->back, ONCE);
	}
	return took;
}

static const struct {
	const char *name;		/* a format for n */
	body *run;
	int polling, samplelen;		/* of the region */
	int n[6];
} cases[] = {
	{ "sample_alloc + sample_put, %d", alloc_put, 1, 4, { 1, 4, 16, 64, 256 } },
	{ "sample_alloc + sample_put_many, %d", alloc_put_many, 1, 4, { 1, 4, 16, 64, 256 } },
	{ "sample_get + sample_put, %d", get_put, 1, 4, { 1 } },
	{ "sample_copy, %d values", copy, 1, 1024, { 4, 64, 1024 } },
	{ "queue_push + queue_pull, %d", push_pull, 1, 4, { 1 } },
	{ "queue_push_many + queue_pull_many, %d", push_pull_many, 1, 4, { 4, 16, 64, 256 } },
	{ "read + process + write + put, %d", cycle, 1, 4, { 1, 8, 64 } },
	{ "signalled write, nobody sleeps, %d", signalled_write, 0, 4, { 1, 64 } },
	{ "own memory: sample_alloc + sample_put, %d", alloc_put_own, 1, 4, { 1 } },
	{ "own memory: queue_push + queue_pull, %d", push_pull_own, 1, 4, { 1 } },
	{ "own memory: queue_push_many + queue_pull_many, %d", push_pull_many_own, 1, 4, { 64 } },
};

/* Map a region of b's library, whose node a child keeps. */
static pid_t enter(struct bed *b, int polling, int samplelen)
{
	static int count;
	char name[64];

	snprintf(name, sizeof(name), "/villas-bench-%d-%d", (int) getpid(), count++);
	pid_t pid = child();
	if (pid == 0) {
		struct node n = node_make(library_open(b->l->path), name, polling, QUEUELEN, samplelen);
		node_accept(&n);
		pause();
	}
	b->shm = program_open(b->l, name, &b->base);
	shm_unlink(name);
	NEED(b->l->sample_alloc(&b->shm->pool, (struct sample **) b->elements, MOST) == MOST);
	return pid;
}

static void leave(struct bed *b, pid_t node)
{
	NEED(!b->l->shmem_shared_close(b->shm, b->base));
	NEED(!kill(node, SIGKILL) && waitpid(node, NULL, 0) == node);
}

int main(int argc, char *argv[])
{
	static struct bed beds[8];
	pid_t nodes[8];
	int libraries = argc - 1;

	NEED(libraries >= 1 && libraries <= 8);
	pin(1);
	for (int i = 0; i < libraries; i++) {
		struct bed *b = &beds[i];
		struct library *l = b->l = library_open(argv[1 + i]);
		NEED(!l->queue_init(&b->queue, QUEUELEN, l->heap) && !l->pool_init(&b->pool, QUEUELEN, SAMPLE_LEN(4), l->heap));
	}
	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
		for (int i = 0; i < libraries; i++)
			nodes[i] = enter(&beds[i], cases[c].polling, cases[c].samplelen);
		for (const int *n = cases[c].n; *n; n++) {
			double once = cases[c].run(&beds[0], *n, 256) / 256;
			int rounds = (int) (TURN_NS * effort() / once) + 256;
			for (int turn = 0; turn < TURNS; turn++) {
				for (int i = 0; i < libraries; i++) {
					double ns = cases[c].run(&beds[i], *n, rounds) / rounds / *n;
					printf(cases[c].name, *n);
					printf("\t%d\t%.4f\n", i, ns);
				}
			}
		}
		for (int i = 0; i < libraries; i++)
			leave(&beds[i], nodes[i]);
	}
	return 0;
}
