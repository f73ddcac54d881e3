/* SPDX-License-Identifier: Apache-2.0 */

/* The calls on many samples that are more than one leaf. */

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <string.h>

#include <villas/sample.h>

#include "put.h"

int vx_release_many(struct sample **smps, int cnt, int whatever)
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

/* The values that the sample has room for: what its block allows where that is known, else what it says itself. */
static int room(const struct sample *s, const struct vx_mapping *m)
{
	return s->capacity < 0 ? 0 : m && s->capacity > m->values ? m->values : s->capacity;
}

static int copied(const struct sample *dst, const struct vx_mapping *to, const struct sample *src, const struct vx_mapping *from)
{
	int length = src->length < 0 ? 0 : src->length, most = room(src, from), fits = room(dst, to);

	length = length < most ? length : most;
	return length < fits ? length : fits;
}

/* All but references, capacity and pool. This is C's: memcpy knows the machine, and a leaf to clamp the length would be
 * half of what a copy of 64 values costs. In a region it is the private record of it that counts. */
VX_EXPORT int sample_copy(struct sample *dst, struct sample *src)
{
	if (VX_UNLIKELY(!dst || !src))
		return vx_fail(-EINVAL);
	if (VX_UNLIKELY(dst == src))
		return 0;
	const struct vx_mapping *m = vx_find(dst);
	int length = src->length < dst->capacity ? src->length : dst->capacity;
	if (VX_UNLIKELY(!m || (size_t) ((char *) src - m->base) >= m->size || (unsigned) length > (unsigned) m->values))
		length = copied(dst, m, src, vx_find(src));
	dst->sequence = src->sequence;
	dst->length = length;
	memcpy(&dst->source, &src->source, SAMPLE_LEN(0) - offsetof(struct sample, source));
	memcpy(dst->data, src->data, SAMPLE_DATA_LEN((size_t) length));
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
	if (cnt == 1)
		return smps[0] && sample_put(smps[0]) == 0;
	return vx_release_many(smps, cnt, 0);
}

VX_EXPORT void sample_free(struct sample **smps, int cnt)
{
	if (!smps || cnt < 0)
		vx_fail(-EINVAL);
	else
		vx_release_many(smps, cnt, 1);
}
