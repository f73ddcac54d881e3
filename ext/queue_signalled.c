/* SPDX-License-Identifier: Apache-2.0 */

/* The queue with a mutex and a condition variable, as programs initialise it themselves. A pull looks under the
 * mutex and waits only while the queue is empty. */

#define _GNU_SOURCE
#include <errno.h>

#include <villas/queue_signalled.h>

#include "wait.h"

VX_EXPORT int queue_signalled_init(struct queue_signalled *qs, size_t size, struct memtype *mem)
{
	if (!qs || !mem)
		return vx_fail(-EINVAL);
	int err = queue_init(&qs->queue, size, mem);
	if (err)
		return err;
	vx_init_ready(&qs->mutex, &qs->ready);
	return 0;
}

VX_EXPORT int queue_signalled_destroy(struct queue_signalled *qs)
{
	if (!qs)
		return vx_fail(-EINVAL);
	int err = queue_destroy(&qs->queue);
	if (err)
		return err;
	pthread_cond_destroy(&qs->ready);
	pthread_mutex_destroy(&qs->mutex);
	return 0;
}

/* Publish, then wake: a pull that found the queue empty holds the mutex until it waits, so it cannot miss this. */
static void announce(struct queue_signalled *qs)
{
	int saved = errno, locked = !vx_mutex_lock(&qs->mutex, VX_NEVER);

	pthread_cond_broadcast(&qs->ready);
	if (locked)
		pthread_mutex_unlock(&qs->mutex);
	errno = saved;
}

VX_EXPORT int queue_signalled_push_many(struct queue_signalled *qs, void *ptr[], size_t cnt)
{
	int n = queue_push_many(qs ? &qs->queue : NULL, ptr, cnt);

	if (n > 0)
		announce(qs);
	return n;
}

VX_EXPORT int queue_signalled_push(struct queue_signalled *qs, void *ptr)
{
	int n = queue_push(qs ? &qs->queue : NULL, ptr);

	if (n > 0)
		announce(qs);
	return n;
}

VX_EXPORT int queue_signalled_pull_many(struct queue_signalled *qs, void *ptr[], size_t cnt)
{
	int n;

	if (!qs || !ptr)
		return vx_fail(-EINVAL);
	while (!(n = queue_pull_many(&qs->queue, ptr, cnt)) && cnt) {
		if (vx_mutex_lock(&qs->mutex, VX_NEVER))
			return vx_fail(-EOWNERDEAD);
		pthread_cleanup_push(vx_mutex_unlock, &qs->mutex);
		if (vx_leaf_queue_empty(&qs->queue))
			pthread_cond_wait(&qs->ready, &qs->mutex);
		pthread_cleanup_pop(1);
	}
	return n;
}

VX_EXPORT int queue_signalled_pull(struct queue_signalled *qs, void **ptr)
{
	return queue_signalled_pull_many(qs, ptr, 1);
}
