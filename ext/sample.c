/* SPDX-License-Identifier: Apache-2.0 */

/* The calls on samples that are more than one leaf: copies (memcpy is C's) and releases of many. */

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>

#include <villas/sample.h>

#include "put.h"

/* Drive a release of many to its end, see vx_release. */
static int release_all(struct sample **smps, int cnt, int whatever)
{
	struct vx_batch batch;

	batch.next = batch.waiting = batch.released = 0;
	vx_need_leaves();
	if (VX_UNLIKELY(__tsan_release != NULL)) {
		for (int i = 0; i < cnt; i++)
			vx_handed_over(smps[i]);
	}
	long done;
	for (int i = 0; !(done = vx_leaf_sample_release_many(smps, cnt, whatever, &batch)); i++) {
		if (i < VX_RELEASE_YIELDS || !vx_leaf_sample_stash_rest(&batch, i >= VX_RELEASE_GIVE_UP))
			sched_yield();
	}
	if (VX_UNLIKELY(done == 2))
		vx_leaf_sample_bring_home();
	return (int) batch.released;
}

VX_EXPORT int sample_copy(struct sample *dst, struct sample *src)
{
	vx_need_leaves();
	long bytes = vx_leaf_sample_copy(dst, src);
	if (VX_UNLIKELY(bytes < 0))
		return vx_fail(bytes);
	if (dst != src)
		memcpy((char *) dst + SAMPLE_LEN(0), (const char *) src + SAMPLE_LEN(0), (size_t) bytes);
	return 0;
}

VX_EXPORT int sample_copy_many(struct sample **dsts, struct sample **srcs, int cnt)
{
	if (!dsts || !srcs || cnt < 0)
		return vx_fail(-EINVAL);
	for (int i = 0; i < cnt; i++) {
		if (sample_copy(dsts[i], srcs[i]))
			return -1;
	}
	return cnt;
}

VX_EXPORT int sample_put_many(struct sample **smps, int cnt)
{
	if (VX_UNLIKELY(!smps || cnt < 0))
		return vx_fail(-EINVAL);
	return release_all(smps, cnt, 0);
}

VX_EXPORT void sample_free(struct sample **smps, int cnt)
{
	if (!smps || cnt < 0)
		vx_fail(-EINVAL);
	else
		release_all(smps, cnt, 1);
}
