/* SPDX-License-Identifier: Apache-2.0 */

/** Samples to and from a VILLASnode of today, 1.0 to 1.2, over a pair of shared memory objects. Since 1.1.
 * Each side creates the object that it writes and opens the one that the other side writes. In the configuration of a
 * node of type shmem they are out.name, which the VILLASnode writes, and in.name, which it reads.
 * @file */
#ifndef VILLAS_PAIR_H
#define VILLAS_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <villas/atomic.h>
#include <villas/blocks.h>
#include <villas/common.h>

VILLAS_BEGIN_DECLS

/** One end of an exchange over two objects. */
struct villas_pair;

/** One value. Which of them it is, nobody tells: the VILLASnode has it in its configuration (in.signals). Write all eight
 * bytes: what a bool leaves free must be zero. */
union villas_pair_value {
	double f;
	int64_t i;
	bool b;
	struct {
		float re, im;
	} z;
};

/** Bits of villas_pair_sample.flags. A VILLASnode ignores a field without its bit. */
enum villas_pair_flags {
	VILLAS_PAIR_HAS_ORIGIN		= 1,
	VILLAS_PAIR_HAS_RECEIVED	= 2,
	VILLAS_PAIR_HAS_OFFSET		= 4,
	VILLAS_PAIR_HAS_SEQUENCE	= 8,
	VILLAS_PAIR_HAS_DATA		= 0x10,
	VILLAS_PAIR_NEW_FRAME		= 0x10000,	/**< The first sample of a frame. */
	VILLAS_PAIR_NEW_SIMULATION	= 0x20000	/**< The first sample after a simulator's start. */
};

#if defined(__cplusplus) && defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc99-extensions"	/* a flexible array member, as every C++ compiler has it */
#endif

/** A sample: 88 bytes, then the values. */
struct villas_pair_sample {
	uint64_t sequence;		/**< Counts up by one from sample to sample. */
	unsigned length;		/**< Values in the sample. */
	unsigned capacity;		/**< Values that there is room for. */
	int flags;			/**< enum villas_pair_flags; 0 after an allocation. */
	uint64_t signals[2];		/**< A pointer of the VILLASnode's process: never to be followed, written as zero. */
	atomic_int refcnt;		/**< References; see villas_pair_get() and villas_pair_put(). */
	int64_t pool_off;		/**< From this sample to its pool, in bytes. */
	struct {
		struct timespec origin;		/**< When the values were measured or computed. */
		struct timespec received;	/**< When a node received them. */
	} ts;
	__extension__ union villas_pair_value data[];
};

#if defined(__cplusplus) && defined(__clang__)
#pragma clang diagnostic pop
#endif

#define VILLAS_PAIR_NO_LEGACY 1u	/**< Refuse another side that is not one of ours (EPROTONOSUPPORT), but where both
					 *   poll: glibc follows what it finds in the objects, so it must be trusted. */
#define VILLAS_PAIR_LOCK_MEMORY 2u	/**< mlock(2) both objects; open fails with its errno. */

/** For villas_pair_open(); begin with VILLAS_PAIR_OPTIONS_INIT. */
struct villas_pair_options {
	size_t size;			/**< sizeof(struct villas_pair_options). */
	int queuelen;			/**< Elements of the queue that this side writes, and samples in its pool, 1 up. */
	int samplelen;			/**< Values of a sample that this side writes, 0 up. */
	int polling;			/**< The reader of what this side writes polls; else it sleeps and is woken. */
	unsigned flags;			/**< VILLAS_PAIR_NO_LEGACY, VILLAS_PAIR_LOCK_MEMORY. */
	int spin;			/**< Longest spin before a sleep in microseconds; -1: environment VILLAS_EXT_SPIN, or 50. */
	mode_t mode;			/**< Permissions of the object. */
	gid_t group;			/**< Of the object; (gid_t) -1: the process's. */
	const struct timespec *timeout;	/**< For the open, relative, of CLOCK_MONOTONIC; NULL: for ever. */
	const atomic_int *stop;		/**< The open ends within 10 ms (ECANCELED) once this is not 0; NULL: never. A signal handler
					 *   or another thread may set it. */
};

#define VILLAS_PAIR_OPTIONS_INIT \
	{ sizeof(struct villas_pair_options), 512, 64, 0, 0, -1, 0600, (gid_t) -1, NULL, NULL }

/* Thread safety: any number of threads may read, write and allocate at once. Close may be called while others wait in a
 * call: those return -1 (ECANCELED); it must not be called while others are about to begin one.
 * Signal handlers: villas_pair_put(), villas_pair_get(), and in polling mode villas_pair_read() and villas_pair_write().
 * fork: the child may use the parent's pair beside the parent; its close unmaps its own mapping and frees its memory.
 * Cancellation: open, and reads and writes while they wait. Nothing is lost, locked or left mapped.
 * Truncating an object in use ends in SIGBUS, as for every mapped file. */

/** Create the object @p own, which this side writes, and wait for the other side and its object @p other. A leading '/' of
 * a name is optional. Both may be the same: then this side reads what it writes. Objects and semaphores that a dead side
 * left are replaced, a living side's are not.
 * A VILLASnode that took a post of a former life of this side, one that crashed, has to be started again.
 * @param options NULL: the defaults.
 * @return the pair; NULL with errno ETIMEDOUT (the other side did not come), ECANCELED (options.stop), EEXIST (a living program writes @p own), EINVAL
 * or ENAMETOOLONG (a name or a length), EPROTO (@p other is no object of a pair), EBADMSG (a damaged one), EPROTONOSUPPORT
 * (the other side's mode is neither pthread nor polling, or it was refused), EACCES, ENOSPC, EMFILE, ENOMEM. Nothing stays
 * mapped or open then. */
struct villas_pair *villas_pair_open(const char *own, const char *other, const struct villas_pair_options *options);

/** Take up to @p cnt samples from this side's pool. Each has one reference, no values and no flags. Never blocks.
 * @return how many there were; -1 with errno EINVAL. */
int villas_pair_alloc(struct villas_pair *pair, struct villas_pair_sample *smps[], unsigned cnt);

/** Take up to @p cnt samples that the other side has sent. Each comes with a reference. They are of the other side's pool:
 * they cannot be written, but copied.
 * Where the other side has set mode pthread it blocks until there is at least one, in mode polling it returns 0 at once
 * if there is none.
 * @return how many; 0 if @p cnt is 0; -1 once nothing is left and the other side has closed (errno EPIPE) or died
 * (EOWNERDEAD), or with EINVAL, EBADMSG (what was there is no sample), ECANCELED. */
int villas_pair_read(struct villas_pair *pair, struct villas_pair_sample *smps[], unsigned cnt);

/** villas_pair_read() that waits, in either mode, but no longer than @p timeout (NULL: for ever): -1 with errno ETIMEDOUT. */
int villas_pair_read_timeout(struct villas_pair *pair, struct villas_pair_sample *smps[], unsigned cnt,
	const struct timespec *timeout);

/** Send up to @p cnt samples of this side's pool. Each takes a reference along. Never blocks.
 * @return how many went in: the rest, if any, still belong to the caller; -1 with errno EPIPE or EOWNERDEAD once the other
 * side has closed or died, EINVAL (a sample of another pool: nothing was sent). */
int villas_pair_write(struct villas_pair *pair, struct villas_pair_sample *smps[], unsigned cnt);

/** villas_pair_write() that waits for room for all @p cnt samples, but no longer than @p timeout (NULL: for ever).
 * @return how many went in by then. */
int villas_pair_write_timeout(struct villas_pair *pair, struct villas_pair_sample *smps[], unsigned cnt,
	const struct timespec *timeout);

/** Add a reference. @return the new count; -1 with errno EINVAL if nobody holds one. */
int villas_pair_get(struct villas_pair_sample *s);

/** Remove a reference; with the last one the sample returns to its pool.
 * @return the new count; -1 with errno EINVAL, and nothing changes, if nobody holds one. */
int villas_pair_put(struct villas_pair_sample *s);

/** villas_pair_put() of each. @return how many were returned to their pools; -1 with errno EINVAL. */
int villas_pair_put_many(struct villas_pair_sample *smps[], unsigned cnt);

/** Copy sequence, flags, timestamps and the values that fit. References, capacity and pool of @p dst stay.
 * @return 0; -1 with errno EINVAL. */
int villas_pair_copy(struct villas_pair_sample *dst, struct villas_pair_sample *src);

/** Where the samples are that this side writes, and those that it reads, for those who view them all as strided arrays.
 * It is what was checked when the pair was opened, whatever the other side has written since. @return 0; -1 with errno EINVAL. */
int villas_pair_blocks(struct villas_pair *pair, struct shmem_blocks *own, struct shmem_blocks *other);

/** Whether the other side is one of ours, 1, or not, 0: a VILLASnode. -1 with errno EINVAL. */
int villas_pair_ours(struct villas_pair *pair);

/** Tell the other side that this one ends, remove the name of this side's object, unmap both, and free @p pair. Samples
 * must no longer be used. @return 0; -1 with errno EINVAL. */
int villas_pair_close(struct villas_pair *pair);

/** What an errno value of these calls means and what to do. Static text, never NULL. Thread safe. */
const char *villas_pair_strerror(int errnum);

VILLAS_END_DECLS

#endif
