/* SPDX-License-Identifier: Apache-2.0 */

/* What the C in this folder knows of the Go beside it: the leaves, and the mapping record that both share. */
#ifndef VX_LEAF_H
#define VX_LEAF_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "leaves.h"
#include "party.h"

#define VX_HIDDEN __attribute__((visibility("hidden")))
#define VX_EXPORT __attribute__((visibility("default")))
#define VX_LIKELY(x) __builtin_expect(!!(x), 1)
#define VX_UNLIKELY(x) __builtin_expect(!!(x), 0)

/* Where struct shmem_shared stands in a region. */
#define VX_SHARED_OFFSET 80

/* Values of the attach word: a program is on its way in; is there, or was; the node has given the region up. See package
 * shmem. */
#define VX_ATTACHING 1
#define VX_ATTACHED 2
#define VX_RETIRED 3

/* A region this process has mapped. Private memory; found by any address inside the region (vx_find). */
struct vx_mapping {
	char *base;
	size_t size;
	struct vx_channel in, out;
	struct vx_party party;
	pthread_barrier_t *barrier;
	_Atomic uint32_t *state;	/* attach word, a futex; NULL in a region of the reference */
	void *pool;			/* struct pool in the region */
	int values;			/* that a block of it has room for */
	int node;			/* this process is the node here */

	/* The C side's own. */
	_Atomic int fd;			/* of the object, to ask for the other side's lock; -1: none */
	uint64_t device, inode;		/* what fd is, see vx_still_open */
	void *hold;			/* the page that keeps our own lock */
	void *held;			/* node: what blocks it holds, a byte each; NULL: none */
	size_t held_size;
	int owner;			/* process that opened; a forked child must not act for it */
	_Atomic int met;		/* at the barrier */
	_Atomic int peer;		/* process id of a peer without a lock; 0: never seen */
	struct stat peer_program;	/* what it runs, and with it the children it forks */
	int command, command_pid;	/* what the node's user started, and a descriptor of it; -1: none */
	_Atomic int told_attached, told;	/* that the other side has come, and gone */
	int accepted;			/* the program, by an accept, or not to be */
	void (*gone)(struct vx_mapping *, int died);	/* hears of that once; may be NULL */
	void *user;			/* its own */
};

static inline struct vx_mapping *vx_mapping_of(struct vx_party *p)
{
	return (struct vx_mapping *) ((char *) p - offsetof(struct vx_mapping, party));
}

/* Leaf prototypes. Unless noted: negative results are negated errno values. Below those lie results that leave something
 * to do for C; n is a result that is not negative. */
#define VX_LATE (-4096L)		/* a sample without references, whose place in the pool's queue is not there yet */
#define VX_ELSEWHERE (-4097L)		/* nothing is done */
#define VX_STASHED(n) ((n) - (1L << 62))	/* n, and the stash is not empty */

struct pool;
struct queue;
struct sample;
struct shmem_blocks;
struct villas_pair_sample;
struct shmem_shared;

#define VX_DECLARE(type, name, ...) VX_HIDDEN type vx_leaf_##name(__VA_ARGS__)
VX_DECLARE(long, queue_push, struct queue *q, void *p);	/* or VX_ELSEWHERE */
VX_DECLARE(long, queue_pull, struct queue *q, void **p);
VX_DECLARE(long, queue_push_many, struct queue *q, void **p, size_t n);
VX_DECLARE(long, queue_pull_many, struct queue *q, void **p, size_t n);
VX_DECLARE(size_t, queue_available, struct queue *q);
VX_DECLARE(long, queue_empty, struct queue *q);
VX_DECLARE(long, sample_alloc, struct pool *p, struct sample **s, int n);	/* or VX_STASHED */
VX_DECLARE(long, sample_get, struct sample *s);
VX_DECLARE(long, sample_put, struct sample *s);	/* or VX_STASHED, VX_LATE */
VX_DECLARE(long, sample_get_many, struct sample **s, int n);
VX_DECLARE(long, sample_set_data_format, struct sample *s, int i, int format);
VX_DECLARE(long, sample_get_data_format, struct sample *s, int i);
VX_DECLARE(size_t, shmem_total_size, int in, int out, int samplelen);
VX_DECLARE(long, shmem_shared_blocks, struct shmem_shared *shm, struct shmem_blocks *blocks);

/* Progress of a many-at-once release, see package sample. All zero to begin with, but for ready. */
struct vx_batch {
	uint64_t next, waiting, released;
	struct sample *ready[64];
};
/* Put, or free where whatever is set: 1 done, 2 done and the stash is not empty, 0 again. */
VX_DECLARE(long, sample_release_many, struct sample **s, long n, int whatever, struct vx_batch *b);
VX_DECLARE(long, sample_release, struct sample *s);	/* 1 done, 0 again */
VX_DECLARE(long, sample_stash, struct sample *s);	/* 1 kept for a later release, 0 no room */
/* Stash what the batch waits for: 1 all kept, or, where whatever is set, dropped. */
VX_DECLARE(long, sample_stash_rest, struct vx_batch *b, int whatever);
VX_DECLARE(void, sample_bring_home, void);	/* release what is in the stash, as far as possible */


VX_DECLARE(size_t, queue_cells, size_t n);	/* 0: impossible */
VX_DECLARE(void, queue_init, struct queue *q, void *cells, size_t n, void *mem);
VX_DECLARE(size_t, queue_destroy, struct queue *q, void **mem, void **cells);	/* bytes of the cells */
VX_DECLARE(void, pool_init, struct pool *p, void *buffer, size_t size, size_t count, void *mem);
VX_DECLARE(size_t, pool_destroy, struct pool *p, void **mem, void **buffer);	/* bytes of the blocks */
VX_DECLARE(long, managed_init, void *base, size_t size);	/* 1 or 0 */
VX_DECLARE(void *, managed_alloc, void *base, size_t size, size_t alignment);
VX_DECLARE(long, managed_free, void *base, void *p);	/* 1 or 0 */

VX_DECLARE(long, region_format, void *base, size_t size, int queuelen, int samplelen, int polling, uint32_t pid);
VX_DECLARE(long, region_attach, void *base, size_t size, struct vx_mapping **m);
VX_DECLARE(void, region_detach, struct vx_mapping *m);
VX_DECLARE(long, region_enter, struct vx_mapping *m, uint32_t pid);
VX_DECLARE(long, region_entered, struct vx_mapping *m);	/* 1 or 0 */
VX_DECLARE(long, region_enter_legacy, struct vx_mapping *m);	/* 1 or 0 */
VX_DECLARE(long, region_program, struct vx_mapping *m);	/* process id that a program of ours wrote */
VX_DECLARE(void, pool_note_held, struct vx_mapping *m, void *held);	/* a byte for each block, all zero */
VX_DECLARE(long, pool_holds, struct vx_mapping *m);	/* 1: this process holds a block, as far as noted */
VX_DECLARE(long, region_retire, struct vx_mapping *m);	/* the attach word that was there */

VX_DECLARE(size_t, pair_size, int queuelen, int samplelen);	/* bytes of an object; 0: impossible */
VX_DECLARE(long, pair_format, void *base, size_t size, int queuelen, int samplelen, int polling, uint32_t pid);
VX_DECLARE(long, pair_attach, void *base, size_t size, struct vx_mapping **m);
VX_DECLARE(void, pair_join, struct vx_mapping *own, struct vx_mapping *other);
VX_DECLARE(long, pair_alloc, struct vx_mapping *m, struct villas_pair_sample **s, unsigned n);
VX_DECLARE(long, villas_pair_get, struct villas_pair_sample *s);
VX_DECLARE(long, villas_pair_put, struct villas_pair_sample *s);	/* as sample_put */
VX_DECLARE(long, pair_copy, struct villas_pair_sample *dst, struct villas_pair_sample *src);	/* bytes of values to copy */

/* Samples moved. In a signalled region channel_write adds VX_WAKE if a sleeping reader of ours must be woken, or
 * VX_BROADCAST if the other side waits on the pthread objects. */
#define VX_WAKE (1L << 40)
#define VX_BROADCAST (1L << 41)
VX_DECLARE(long, channel_read, struct vx_mapping *m, struct vx_channel *c, struct sample **s, unsigned n);
VX_DECLARE(long, channel_write, struct vx_mapping *m, struct vx_channel *c, struct sample **s, unsigned n);

/* The same on the region of shm, by the program; VX_ELSEWHERE where C must look, wait or report. The write's flags come
 * with a minus. */
VX_DECLARE(long, shmem_shared_read, struct shmem_shared *shm, struct sample **s, unsigned n);
VX_DECLARE(long, shmem_shared_write, struct shmem_shared *shm, struct sample **s, unsigned n);

VX_DECLARE(long, channel_empty, struct vx_channel *c);	/* nothing to pull right now */
VX_DECLARE(long, channel_claimed, struct vx_channel *c);	/* the next cell is claimed and not yet published */
VX_DECLARE(long, channel_skip, struct vx_channel *c);	/* 1: stepped over such a cell */
#undef VX_DECLARE

/* start.c */
VX_HIDDEN void vx_wait_started(void);	/* returns when the leaves can be called; aborts where that would be never */
VX_HIDDEN extern _Atomic int vx_started;
static inline void vx_need_leaves(void)
{
	if (VX_UNLIKELY(!atomic_load_explicit(&vx_started, memory_order_acquire)))
		vx_wait_started();
}

/* The table of mapped regions, see records.go: a span is the number of a region's first page, and below VX_SPAN_BITS the
 * number of its pages. */
#define VX_PAGE_BITS 12
#define VX_SPAN_BITS 29
struct vx_records {
	_Atomic uint64_t *spans;
	_Atomic uint32_t *used;		/* of the spans */
	char *records;
	size_t size;			/* of a record */
};
VX_HIDDEN extern struct vx_records vx_records;	/* all zero until the leaves can be called: there is no region then */

/* The mapping that p lies in, or NULL: what find in records.go is for leaves. */
static inline struct vx_mapping *vx_find(const void *p)
{
	uint32_t used = vx_records.used ? atomic_load_explicit(vx_records.used, memory_order_acquire) : 0;

	for (uint32_t i = 0; i < used; i++) {
		uint64_t span = atomic_load_explicit(&vx_records.spans[i], memory_order_acquire);
		if (((uintptr_t) p >> VX_PAGE_BITS) - (span >> VX_SPAN_BITS) < (span & ((1ul << VX_SPAN_BITS) - 1)))
			return (struct vx_mapping *) (vx_records.records + i * vx_records.size);
	}
	return NULL;
}

/* late.c: what vx_fail makes of a leaf's negative result: errno and -1 */
VX_HIDDEN int vx_fail(long result);

/* The thread sanitizer sees no atomics of ours; hand-overs of payloads are announced to it where it is there. */
extern void __tsan_acquire(void *) __attribute__((weak));
extern void __tsan_release(void *) __attribute__((weak));
static inline void vx_handed_over(void *p)
{
	if (__tsan_release)
		__tsan_release(p);
}
static inline void vx_taken_over(void *p)
{
	if (__tsan_acquire)
		__tsan_acquire(p);
}

#endif
