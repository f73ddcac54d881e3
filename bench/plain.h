/* SPDX-License-Identifier: Apache-2.0 */

/* A plain C bounded queue and pool, to compare the library with: Vyukov's algorithm one by one, C11 atomics. */
#ifndef PLAIN_H
#define PLAIN_H

#include <stdatomic.h>
#include <stddef.h>

struct plain_cell {
	atomic_size_t sequence;
	ptrdiff_t offset;
};

struct plain_queue {
	char pad0[64];
	struct plain_cell *cells;
	size_t mask;
	char pad1[64];
	atomic_size_t tail;
	char pad2[64];
	atomic_size_t head;
	char pad3[64];
};

struct plain_block {
	atomic_int refcnt;
	struct plain_queue *home;
	char rest[112];
};

int plain_init(struct plain_queue *q, size_t cells);
int plain_push(struct plain_queue *q, void *p);
int plain_pull(struct plain_queue *q, void **p);
int plain_push_many(struct plain_queue *q, void **p, size_t n);
int plain_pull_many(struct plain_queue *q, void **p, size_t n);
int plain_alloc(struct plain_queue *pool, struct plain_block **b, int n);
int plain_put(struct plain_block *b);

#endif
