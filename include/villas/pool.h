/* SPDX-License-Identifier: Apache-2.0 */

/** Blocks of a fixed size in shared memory.
 * @file */
#ifndef VILLAS_POOL_H
#define VILLAS_POOL_H

#include <stddef.h>
#include <sys/types.h>

#include <villas/queue.h>

VILLAS_BEGIN_DECLS

/** 352 bytes. Free blocks wait in a queue, so getting and putting a block is a pull and a push. */
struct pool {
	off_t buffer_off;		/**< From struct pool to its blocks, in bytes. */
	struct memtype *mem;		/**< Where the blocks came from. */
	enum state state;
	size_t len;			/**< Bytes of all blocks together. */
	size_t blocksz;			/**< Bytes of a block, a multiple of the cache line. */
	size_t alignment;		/**< Of a block, in bytes. */
	struct queue queue;		/**< Of free blocks. */
};

/** Make @p p a pool of @p cnt blocks of at least @p blocksz bytes, each aligned to a cache line, in memory from @p mem.
 * @return 0; -2 if @p mem has no room; -1 (EINVAL). Not thread safe. */
int pool_init(struct pool *p, size_t cnt, size_t blocksz, struct memtype *mem);

/** Give the pool's memory back. No block may be in use. @return 0; -1 with errno. Not thread safe. */
int pool_destroy(struct pool *p);

/** The first block. */
#define pool_buffer(p) ((char *) (p) + (p)->buffer_off)

/* The four calls below are queue_pull() and queue_push(): they never block, from any thread, signal handler, child. */

/** Take up to @p cnt blocks. @return how many; -1 with errno. */
static inline ssize_t pool_get_many(struct pool *p, void *blocks[], size_t cnt)
{
	return queue_pull_many(&p->queue, blocks, cnt);
}

/** Give @p cnt blocks back. @return how many; -1 with errno. */
static inline ssize_t pool_put_many(struct pool *p, void *blocks[], size_t cnt)
{
	return queue_push_many(&p->queue, blocks, cnt);
}

/** Take a block; NULL if none is free. */
static inline void *pool_get(struct pool *p)
{
	void *ptr;

	return queue_pull(&p->queue, &ptr) == 1 ? ptr : NULL;
}

/** Give a block back. @return 1; 0 if all blocks are back already; -1 with errno. */
static inline int pool_put(struct pool *p, void *buf)
{
	return queue_push(&p->queue, buf);
}

VILLAS_END_DECLS

#endif
