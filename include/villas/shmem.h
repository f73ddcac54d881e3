/* SPDX-License-Identifier: Apache-2.0 */

/** The external program's side of a shared memory region.
 * @file */
#ifndef VILLAS_SHMEM_H
#define VILLAS_SHMEM_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <villas/atomic.h>
#include <villas/blocks.h>
#include <villas/common.h>
#include <villas/memory.h>
#include <villas/pool.h>
#include <villas/queue.h>
#include <villas/queue_signalled.h>
#include <villas/sample.h>

VILLAS_BEGIN_DECLS

#define DEFAULT_SHMEM_QUEUELEN 512	/**< Elements. */
#define DEFAULT_SHMEM_SAMPLELEN 64	/**< Values. */

/* ISO C hides the type. */
#if defined(PTHREAD_BARRIER_SERIAL_THREAD)
typedef pthread_barrier_t villas_barrier_t;
typedef pthread_barrierattr_t villas_barrierattr_t;
#else
typedef union {
	char size[__SIZEOF_PTHREAD_BARRIER_T];
	long int align;
} villas_barrier_t;
typedef union {
	char size[__SIZEOF_PTHREAD_BARRIERATTR_T];
	int align;
} villas_barrierattr_t;
#endif

/** A queue, with or without signalling as shmem_shared.polling says. */
union shmem_queue {
	struct queue q;
	struct queue_signalled qs;
};

/** What node and external program share. 1208 bytes on x86-64, at offset 80 of the region. */
struct shmem_shared {
	size_t len;			/**< Bytes of the region. */
	int polling;			/**< Readers poll; else they are woken. */
	union shmem_queue in;		/**< From the external program to the node. */
	union shmem_queue out;		/**< From the node to the external program. */
	struct pool pool;		/**< Of the samples in both queues. */
	villas_barrier_t start_bar;
	villas_barrierattr_t start_attr;
	atomic_size_t node_stopped;	/**< Set by the node when it ends. */
	atomic_size_t ext_stopped;	/**< Set by the external program when it ends. */
};

/** Bytes of a region with queues of @p insize and @p outsize elements and samples of @p samplelen values; 0 if there
 * can be no such region. */
size_t shmem_total_size(int insize, int outsize, int samplelen);

/* Thread safety: any number of threads may read, write and allocate at once. Close may be called while others wait in
 * a call: those return -1 (ECANCELED); it must not be called while others are about to begin one.
 * Signal handlers: shmem_shared_read() and shmem_shared_write() in polling mode only.
 * fork: the child has the parent's mapping and may use it beside the parent; its close unmaps its own. A child may
 * open regions of its own. exec closes all.
 * Cancellation: open, and reads and writes while they wait. Nothing is lost, locked or left mapped.
 * Truncating the object of a live region ends in SIGBUS, as for every mapped file. */

/** Map the region called @p name and wait for its node.
 * @param name of the shared memory object; a leading '/' is optional, another one is not allowed.
 * @param base_ptr receives where the region is mapped; may be NULL.
 * @return the shared structures; NULL with errno ENOENT (no such region), EACCES, EINVAL or ENAMETOOLONG (the name),
 * EPROTO (not a region), EBADMSG (a damaged one), EBUSY (another program is attached), EOWNERDEAD (the node died),
 * EMFILE, ENOMEM. Nothing stays mapped or open then. Blocks until the node is there. */
struct shmem_shared *shmem_shared_open(const char *name, void **base_ptr);

/** Tell the node that this side ends, and unmap. The object stays: it is the node's.
 * @param base what open gave for @p base_ptr; not looked at.
 * @return 0; -1 with errno EINVAL. */
int shmem_shared_close(struct shmem_shared *shm, void *base);

/** Take up to @p cnt samples that the node has sent. Each comes with a reference, to be dropped by sample_put() or
 * handed on by a write.
 * In signalled mode it blocks until there is at least one. In polling mode it returns 0 at once if there is none.
 * @return how many; 0 if @p cnt is 0; -1 once nothing is left and the node has stopped (errno EPIPE) or died
 * (EOWNERDEAD), or with EINVAL, EBADMSG (what was there is no sample of this region), ECANCELED. */
int shmem_shared_read(struct shmem_shared *shm, struct sample *smps[], unsigned cnt);

/** Send up to @p cnt samples of the region's pool to the node. Each takes a reference along.
 * @return how many went in: the rest, if any, still belong to the caller; -1 with errno EPIPE or EOWNERDEAD once the
 * node has stopped or died, EINVAL (a sample of another pool: nothing was sent). Never blocks. */
int shmem_shared_write(struct shmem_shared *shm, struct sample *smps[], unsigned cnt);

/* Since 1.0. Timeouts are relative, of CLOCK_MONOTONIC; NULL waits for ever, { 0, 0 } does not wait. */

#define SHMEM_NO_LEGACY 1u	/**< Refuse another side that knows only the original's pthread protocol (EPROTONOSUPPORT).
				 *   Such a one must be trusted: glibc follows what it finds in the region. */
#define SHMEM_LOCK_MEMORY 2u	/**< mlock(2) the region. Where RLIMIT_MEMLOCK does not allow it, open and create fail
				 *   with EPERM, ENOMEM or EAGAIN. */

/** For shmem_shared_open_options(). */
struct shmem_open_options {
	size_t size;			/**< sizeof(struct shmem_open_options). */
	unsigned flags;			/**< SHMEM_NO_LEGACY, SHMEM_LOCK_MEMORY. */
	int spin;			/**< Longest spin before a sleep in microseconds; -1: environment VILLAS_EXT_SPIN, or 50. */
	const struct timespec *timeout;	/**< For the open. */
};

/** shmem_shared_open() with a timeout: NULL with errno ETIMEDOUT once it is over. */
struct shmem_shared *shmem_shared_open_timeout(const char *name, void **base_ptr, const struct timespec *timeout);

/** shmem_shared_open() with options; NULL for none. */
struct shmem_shared *shmem_shared_open_options(const char *name, void **base_ptr, const struct shmem_open_options *options);

/** shmem_shared_read() that waits, in polling mode too, but no longer than @p timeout: -1 with errno ETIMEDOUT. */
int shmem_shared_read_timeout(struct shmem_shared *shm, struct sample *smps[], unsigned cnt, const struct timespec *timeout);

/** shmem_shared_write() that waits for room for all @p cnt samples, but no longer than @p timeout.
 * @return how many went in by then. */
int shmem_shared_write_timeout(struct shmem_shared *shm, struct sample *smps[], unsigned cnt, const struct timespec *timeout);

/** Where the region of @p shm has its samples, for those who view them all as one strided array. It is what was checked
 * when the region was mapped, whatever the other side has written into it since.
 * @return 0; -1 with errno EINVAL. */
int shmem_shared_blocks(struct shmem_shared *shm, struct shmem_blocks *blocks);

/** What an errno value of these calls means and what to do. Static text, never NULL. Thread safe. */
const char *shmem_shared_strerror(int errnum);

VILLAS_END_DECLS

#endif
