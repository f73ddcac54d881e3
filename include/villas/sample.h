/* SPDX-License-Identifier: Apache-2.0 */

/** The sample: a sequence number, three timestamps, values of four bytes.
 * @file */
#ifndef VILLAS_SAMPLE_H
#define VILLAS_SAMPLE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include <villas/atomic.h>
#include <villas/common.h>

VILLAS_BEGIN_DECLS

struct pool;
struct node;

#define DEFAULT_SAMPLELEN 64	/**< Values. */

/** Bytes of a sample with room for @p len values. */
#define SAMPLE_LEN(len) (sizeof(struct sample) + SAMPLE_DATA_LEN(len))

/** Bytes of @p len values. */
#define SAMPLE_DATA_LEN(len) ((len) * sizeof(float))

/** Where the values of sample @p smp begin. */
#define SAMPLE_DATA_OFFSET(smp) ((char *) (smp) + offsetof(struct sample, data))

/** Bytes of the sample's head and the values in it. */
#define SAMPLE_SIZE(smp) SAMPLE_LEN((smp)->length)

enum sample_data_format {
	SAMPLE_DATA_FORMAT_FLOAT	= 0,
	SAMPLE_DATA_FORMAT_INT		= 1
};

/** One value. */
union sample_data {
	float f;
	uint32_t i;
};

#if defined(__cplusplus) && defined(__clang__)
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wc99-extensions"	/* a flexible array member, as every C++ compiler has it */
#endif

/** 88 bytes, then the values. */
struct sample {
	int sequence;			/**< Counts up by one from sample to sample. */
	int length;			/**< Values in the sample. */
	int capacity;			/**< Values that there is room for. */
	atomic_int refcnt;		/**< References; see sample_get() and sample_put(). */
	off_t pool_off;			/**< From this sample to its struct pool, in bytes. */
	struct node *source;		/**< Means something in the node's process only. */
	struct {
		struct timespec origin;		/**< When the values were measured or computed. */
		struct timespec received;	/**< When the node received them. */
		struct timespec sent;		/**< When they were sent on. */
	} ts;
	uint64_t format;		/**< Bit i: value i is an integer. See sample_set_data_format(). */
	__extension__ union sample_data data[];
};

#if defined(__cplusplus) && defined(__clang__)
#pragma clang diagnostic pop
#endif

/** The pool that @p smp belongs to. */
#define sample_pool(smp) ((struct pool *) ((char *) (smp) + (smp)->pool_off))

/* None of these blocks (sample_put() may yield a few times while another thread stands in the middle of an
 * allocation). All may be called from any thread, from signal handlers and in forked children, and are no
 * cancellation points. NULL is EINVAL. */

/** Take up to @p cnt samples from @p pool. Each has one reference, its capacity and pool set, format 0; the rest is
 * what the block held before.
 * @return how many there were, 0 to @p cnt; -1 with errno EINVAL. */
int sample_alloc(struct pool *pool, struct sample *smps[], int cnt);

/** Return samples to their pools, whatever their references. */
void sample_free(struct sample *smps[], int cnt);

/** Add a reference. @return the new count; -1 with errno EINVAL if nobody holds one. */
int sample_get(struct sample *s);

/** Remove a reference; with the last one the sample returns to its pool.
 * @return the new count; -1 with errno EINVAL, and nothing changes, if nobody holds one. */
int sample_put(struct sample *s);

/** sample_get() of each. @return @p cnt; -1 with errno. */
int sample_get_many(struct sample *smps[], int cnt);

/** sample_put() of each. @return how many were returned to their pools; -1 with errno. */
int sample_put_many(struct sample *smps[], int cnt);

/** Copy sequence, timestamps, source, format and the values that fit from @p src to @p dst, whose references, capacity
 * and pool stay. @return 0; -1 with errno EINVAL. */
int sample_copy(struct sample *dst, struct sample *src);

/** sample_copy() of each. @return @p cnt; -1 with errno. */
int sample_copy_many(struct sample *dsts[], struct sample *srcs[], int cnt);

/** Mark value @p idx. @return 0; -1 with errno EINVAL, and nothing changes, for @p idx outside 0 to 63. */
int sample_set_data_format(struct sample *s, int idx, enum sample_data_format fmt);

/** @return enum sample_data_format of value @p idx; -1 with errno EINVAL for @p idx outside 0 to 63. */
int sample_get_data_format(struct sample *s, int idx);

VILLAS_END_DECLS

#endif
