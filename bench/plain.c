/* SPDX-License-Identifier: Apache-2.0 */

/* A plain C bounded queue and pool, see plain.h. Built into a shared library of its own, so that its calls go through
 * the PLT as the library's do. */
#include <stdint.h>
#include <stdlib.h>

#include "plain.h"

int plain_init(struct plain_queue *q, size_t cells)
{
	q->cells = calloc(cells, sizeof(*q->cells));
	q->mask = cells - 1;
	atomic_init(&q->tail, 0);
	atomic_init(&q->head, 0);
	for (size_t i = 0; q->cells && i < cells; i++)
		atomic_init(&q->cells[i].sequence, i);
	return q->cells ? 0 : -1;
}

static int push(struct plain_queue *q, void *p)
{
	size_t pos = atomic_load_explicit(&q->tail, memory_order_relaxed);

	for (;;) {
		struct plain_cell *c = &q->cells[pos & q->mask];
		intptr_t ahead = (intptr_t) atomic_load_explicit(&c->sequence, memory_order_acquire) - (intptr_t) pos;
		if (ahead < 0)
			return 0;
		if (ahead > 0) {
			pos = atomic_load_explicit(&q->tail, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(&q->tail, &pos, pos + 1, memory_order_relaxed, memory_order_relaxed)) {
			c->offset = (char *) p - (char *) q;
			atomic_store_explicit(&c->sequence, pos + 1, memory_order_release);
			return 1;
		}
	}
}

static int pull(struct plain_queue *q, void **p)
{
	size_t pos = atomic_load_explicit(&q->head, memory_order_relaxed);

	for (;;) {
		struct plain_cell *c = &q->cells[pos & q->mask];
		intptr_t ahead = (intptr_t) atomic_load_explicit(&c->sequence, memory_order_acquire) - (intptr_t) (pos + 1);
		if (ahead < 0)
			return 0;
		if (ahead > 0) {
			pos = atomic_load_explicit(&q->head, memory_order_relaxed);
		} else if (atomic_compare_exchange_weak_explicit(&q->head, &pos, pos + 1, memory_order_relaxed, memory_order_relaxed)) {
			*p = (char *) q + c->offset;
			atomic_store_explicit(&c->sequence, pos + q->mask + 1, memory_order_release);
			return 1;
		}
	}
}

int plain_push(struct plain_queue *q, void *p)
{
	return push(q, p);
}

int plain_pull(struct plain_queue *q, void **p)
{
	return pull(q, p);
}

int plain_push_many(struct plain_queue *q, void **p, size_t n)
{
	size_t i = 0;

	while (i < n && push(q, p[i]))
		i++;
	return (int) i;
}

int plain_pull_many(struct plain_queue *q, void **p, size_t n)
{
	size_t i = 0;

	while (i < n && pull(q, &p[i]))
		i++;
	return (int) i;
}

int plain_alloc(struct plain_queue *pool, struct plain_block **b, int n)
{
	int got = plain_pull_many(pool, (void **) b, (size_t) n);

	for (int i = 0; i < got; i++) {
		atomic_store_explicit(&b[i]->refcnt, 1, memory_order_relaxed);
		b[i]->home = pool;
	}
	return got;
}

int plain_put(struct plain_block *b)
{
	int n = atomic_fetch_sub(&b->refcnt, 1) - 1;

	if (n == 0)
		push(b->home, b);
	return n;
}
