/* SPDX-License-Identifier: Apache-2.0 */

/** The queue with a mutex and a condition variable: a pull waits for an element.
 * @file */
#ifndef VILLAS_QUEUE_SIGNALLED_H
#define VILLAS_QUEUE_SIGNALLED_H

#include <pthread.h>

#include <villas/queue.h>

VILLAS_BEGIN_DECLS

/** 392 bytes on x86-64. Mutex and condition variable are process-shared. */
struct queue_signalled {
	struct queue queue;
	pthread_cond_t ready;		/**< Signalled after each push. */
	pthread_mutex_t mutex;
};

/* Thread safe, not signal safe (they take the mutex). A pull is a cancellation point while it waits; nothing is lost
 * or left locked by a cancellation. After a fork the child may use them if the queue lies in shared memory. */

/** As queue_init(). The mutex is robust: a holder that dies does not block the others. */
int queue_signalled_init(struct queue_signalled *qs, size_t size, struct memtype *mem);

/** As queue_destroy(). Nobody may wait on the queue. */
int queue_signalled_destroy(struct queue_signalled *qs);

/** As queue_push(), and wakes whoever waits. */
int queue_signalled_push(struct queue_signalled *qs, void *ptr);

/** As queue_pull(), but waits while the queue is empty. @return 1; -1 with errno. */
int queue_signalled_pull(struct queue_signalled *qs, void **ptr);

/** As queue_push_many(), and wakes whoever waits. */
int queue_signalled_push_many(struct queue_signalled *qs, void *ptr[], size_t cnt);

/** As queue_pull_many(), but waits until there is one element at least. @return 1 to @p cnt, 0 if @p cnt is 0; -1 with
 * errno. */
int queue_signalled_pull_many(struct queue_signalled *qs, void *ptr[], size_t cnt);

VILLAS_END_DECLS

#endif
