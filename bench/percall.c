/* SPDX-License-Identifier: Apache-2.0 */

/* What a call costs, beside the same done by a plain C queue in this process: medians of alternating runs. */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <villas/shmem.h>

#include "plain.h"

#define RUNS 21
#define CALLS 200000

static struct queue q;
static struct pool pool;
static struct plain_queue plain, plain_pool;
static struct plain_block blocks[256];
static void *many[256];
static struct sample *smps[256];
static struct plain_block *pb[256];

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

static void ours_single(int n) { (void) n; void *p; queue_push(&q, &q); queue_pull(&q, &p); }
static void plain_single(int n) { (void) n; void *p; plain_push(&plain, &q); plain_pull(&plain, &p); }
static void ours_many(int n) { queue_push_many(&q, many, (size_t) n); queue_pull_many(&q, many, (size_t) n); }
static void plain_many(int n) { plain_push_many(&plain, many, (size_t) n); plain_pull_many(&plain, many, (size_t) n); }
static void ours_alloc(int n) { sample_alloc(&pool, smps, n); for (int i = 0; i < n; i++) sample_put(smps[i]); }
static void plain_allocs(int n) { plain_alloc(&plain_pool, pb, n); for (int i = 0; i < n; i++) plain_put(pb[i]); }
static void ours_put_many(int n) { sample_alloc(&pool, smps, n); sample_put_many(smps, n); }

static double time_of(void (*f)(int), int n)
{
	int calls = CALLS / n;
	double start = now();

	for (int i = 0; i < calls; i++)
		f(n);
	return (now() - start) / calls / n;
}

static void compare(const char *what, void (*ours)(int), void (*other)(int), int n)
{
	double a[RUNS], b[RUNS], r[RUNS];

	for (int i = 0; i < RUNS; i++) {
		a[i] = time_of(ours, n);
		b[i] = time_of(other, n);
		r[i] = a[i] / b[i];
	}
	qsort(a, RUNS, sizeof(*a), by_value);
	qsort(b, RUNS, sizeof(*b), by_value);
	qsort(r, RUNS, sizeof(*r), by_value);
	printf("%-34s %8.2f %8.2f %8.2f  (%.2f to %.2f)\n", what, a[RUNS / 2], b[RUNS / 2], r[RUNS / 2], r[2], r[RUNS - 3]);
}

int main(void)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (queue_init(&q, 256, &memtype_heap) || pool_init(&pool, 256, SAMPLE_LEN(4), &memtype_heap) || plain_init(&plain, 256) ||
	    plain_init(&plain_pool, 256))
		return 1;
	for (int i = 0; i < 256; i++) {
		many[i] = &blocks[i];
		plain_push(&plain_pool, &blocks[i]);
	}
	printf("%-34s %8s %8s %8s  (spread)\n", "ns an element, medians of 21", "ours", "plain C", "ratio");
	compare("queue_push + queue_pull", ours_single, plain_single, 1);
	compare("push_many + pull_many, 4", ours_many, plain_many, 4);
	compare("push_many + pull_many, 64", ours_many, plain_many, 64);
	compare("sample_alloc + sample_put", ours_alloc, plain_allocs, 1);
	compare("sample_alloc(64) + sample_put", ours_alloc, plain_allocs, 64);
	compare("sample_alloc + sample_put_many, 64", ours_put_many, plain_allocs, 64);
	return 0;
}
