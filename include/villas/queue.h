/* SPDX-License-Identifier: Apache-2.0 */

/** The bounded multi-producer multi-consumer queue in shared memory.
 * @file */
#ifndef VILLAS_QUEUE_H
#define VILLAS_QUEUE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <villas/atomic.h>
#include <villas/common.h>
#include <villas/memory.h>

VILLAS_BEGIN_DECLS

#define DEFAULT_QUEUELEN 1024	/**< Elements. */

/** Keeps what stands on either side of it on different cache lines. */
typedef char cacheline_pad_t[CACHELINE_SIZE];

struct queue_cell {
	atomic_size_t sequence;		/**< Whose turn it is. */
	off_t data_off;			/**< From struct queue to the element, in bytes. */
};

/** Dmitry Vyukov's bounded MPMC queue (1024cores.net). 304 bytes. All offsets are relative, so it works in shared
 * memory that is mapped anywhere; elements must lie in the same mapping as the queue, or in the same process. */
struct queue {
	cacheline_pad_t _pad0;
	enum state state;
	struct memtype *mem;		/**< Where the cells came from. */
	size_t buffer_mask;		/**< Number of cells - 1; a power of two - 1. */
	off_t buffer_off;		/**< From struct queue to its cells, in bytes. */
	cacheline_pad_t _pad1;
	atomic_size_t tail;		/**< Position of the next push. */
	cacheline_pad_t _pad2;
	atomic_size_t head;		/**< Position of the next pull. */
	cacheline_pad_t _pad3;
};

/* Push, pull and available never block, and may be called from any thread, from signal handlers and in forked
 * children, any number at once. The first call of a process may wait for the library's start. They are no
 * cancellation points. NULL is EINVAL. */

/** Make @p q an empty queue for @p size elements, rounded up to a power of two and at least 2, in memory from @p mem.
 * @return 0; -2 if @p mem has no room; -1 (EINVAL). Not thread safe. */
int queue_init(struct queue *q, size_t size, struct memtype *mem);

/** Give the queue's memory back. What is still in it is forgotten. @return 0; -1 with errno. Not thread safe. */
int queue_destroy(struct queue *q);

/** Number of elements: exact if nobody pushes or pulls at the moment. 0 for NULL. */
size_t queue_available(struct queue *q);

/** Put one element in. @return 1; 0 if the queue is full; -1 with errno EINVAL. */
int queue_push(struct queue *q, void *ptr);

/** Take one element out, into @p ptr. @return 1; 0 if the queue is empty; -1 with errno EINVAL, or EBADMSG if what the
 * other side put into a region's queue is no block of its pool. */
int queue_pull(struct queue *q, void **ptr);

/** Put up to @p cnt elements in, in order. @return how many, 0 to @p cnt; -1 with errno. */
int queue_push_many(struct queue *q, void *ptr[], size_t cnt);

/** Take up to @p cnt elements out, in order. @return how many, 0 to @p cnt; -1 with errno. */
int queue_pull_many(struct queue *q, void *ptr[], size_t cnt);

VILLAS_END_DECLS

#endif
