/* SPDX-License-Identifier: Apache-2.0 */

/* The exported leaves where their stub cannot serve: before the Go side has come up, under the thread sanitizer,
 * and when a leaf reports a failure. */

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <string.h>

#include "leaf.h"
#include "put.h"

int vx_fail(long result)
{
	errno = (int) -result;
	return -1;
}

/* There is a place for every block in the pool's queue, and it is late only while another thread stands in the
 * middle of an allocation: let it run. Is it the thread that this very signal handler has interrupted, or has it no
 * CPU, then the stash keeps the block for the next call. */
void vx_release(struct sample *s)
{
	for (int i = 0; !vx_leaf_sample_release(s); i++) {
		if (i >= VX_RELEASE_YIELDS && (vx_leaf_sample_stash(s) || i >= VX_RELEASE_GIVE_UP))
			return;
		sched_yield();
	}
}

/* What the stubs go to with a negative result that is more than an errno value. */

VX_HIDDEN int vx_else_queue_push(long result, struct queue *q, void *p)
{
	if (result == VX_ELSEWHERE)
		result = vx_leaf_queue_push_many(q, &p, 1);
	return result < 0 ? vx_fail(result) : (int) result;
}

VX_HIDDEN int vx_else_sample_alloc(long result, struct pool *p, struct sample **s, int n)
{
	if (result > VX_STASHED(0) + INT_MAX)
		return vx_fail(result);
	vx_leaf_sample_bring_home();
	return (int) (result - VX_STASHED(0));
}

VX_HIDDEN int vx_else_sample_put(long result, struct sample *s)
{
	if (result != VX_LATE)
		return vx_else_sample_alloc(result, NULL, NULL, 0);
	vx_release(s);
	return 0;
}

VX_HIDDEN int vx_else_villas_pair_put(long result, struct villas_pair_sample *s)
{
	return vx_else_sample_put(result, (struct sample *) s);
}

static int result(long r)
{
	return r < 0 ? vx_fail(r) : (int) r;
}

#define LATE VX_HIDDEN

LATE int vx_late_queue_push(struct queue *q, void *p)
{
	vx_need_leaves();
	vx_handed_over(p);
	return vx_else_queue_push(vx_leaf_queue_push(q, p), q, p);
}

LATE int vx_late_queue_pull(struct queue *q, void **p)
{
	vx_need_leaves();
	long r = vx_leaf_queue_pull(q, p);
	if (r > 0)
		vx_taken_over(*p);
	return result(r);
}

LATE int vx_late_queue_push_many(struct queue *q, void **p, size_t n)
{
	vx_need_leaves();
	for (size_t i = 0; p && i < n; i++)
		vx_handed_over(p[i]);
	return result(vx_leaf_queue_push_many(q, p, n));
}

LATE int vx_late_queue_pull_many(struct queue *q, void **p, size_t n)
{
	vx_need_leaves();
	long r = vx_leaf_queue_pull_many(q, p, n);
	for (long i = 0; i < r; i++)
		vx_taken_over(p[i]);
	return result(r);
}

LATE size_t vx_late_queue_available(struct queue *q)
{
	vx_need_leaves();
	return vx_leaf_queue_available(q);
}

LATE int vx_late_sample_alloc(struct pool *p, struct sample **s, int n)
{
	vx_need_leaves();
	long r = vx_leaf_sample_alloc(p, s, n);
	int got = r < 0 ? vx_else_sample_alloc(r, p, s, n) : (int) r;
	for (int i = 0; i < got; i++)
		vx_taken_over(s[i]);
	return got;
}

LATE int vx_late_sample_get(struct sample *s)
{
	vx_need_leaves();
	return result(vx_leaf_sample_get(s));
}

LATE int vx_late_sample_put(struct sample *s)
{
	vx_need_leaves();
	if (s)
		vx_handed_over(s);
	long r = vx_leaf_sample_put(s);
	return r < 0 ? vx_else_sample_put(r, s) : (int) r;
}

LATE int vx_late_sample_get_many(struct sample **s, int n)
{
	vx_need_leaves();
	return result(vx_leaf_sample_get_many(s, n));
}

LATE int vx_late_sample_set_data_format(struct sample *s, int i, int format)
{
	vx_need_leaves();
	return result(vx_leaf_sample_set_data_format(s, i, format));
}

LATE int vx_late_sample_get_data_format(struct sample *s, int i)
{
	vx_need_leaves();
	return result(vx_leaf_sample_get_data_format(s, i));
}

LATE size_t vx_late_shmem_total_size(int in, int out, int samplelen)
{
	vx_need_leaves();
	return vx_leaf_shmem_total_size(in, out, samplelen);
}

LATE int vx_late_shmem_shared_blocks(struct shmem_shared *shm, struct shmem_blocks *blocks)
{
	vx_need_leaves();
	return result(vx_leaf_shmem_shared_blocks(shm, blocks));
}

LATE int vx_late_villas_pair_get(struct villas_pair_sample *s)
{
	vx_need_leaves();
	return result(vx_leaf_villas_pair_get(s));
}

LATE int vx_late_villas_pair_put(struct villas_pair_sample *s)
{
	vx_need_leaves();
	if (s)
		vx_handed_over(s);
	long r = vx_leaf_villas_pair_put(s);
	return r < 0 ? vx_else_villas_pair_put(r, s) : (int) r;
}
