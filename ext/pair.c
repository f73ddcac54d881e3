/* SPDX-License-Identifier: Apache-2.0 */

/* The calls of <villas/pair.h>. */

#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handshake.h"
#include "object.h"
#include "put.h"
#include "side.h"

/* 0 or an errno value. */
static int check(const char *own, const char *other, const struct villas_pair_options *o)
{
	const char *names[] = { own, other };
	char path[PATH_MAX];

	for (int i = 0; i < 2; i++) {
		int err = vx_object_path(names[i], path);
		if (err)
			return err;
		if (strlen(names[i]) > NAME_MAX - strlen("sem."))
			return ENAMETOOLONG;
	}
	return o->queuelen < 1 || o->samplelen < 0 ? EINVAL : 0;
}

static void dispose(void *pair)
{
	struct villas_pair *p = pair;

	if (p) {
		free(p->own);
		free(p->other);
	}
	free(p);
}

VX_EXPORT struct villas_pair *villas_pair_open(const char *own, const char *other, const struct villas_pair_options *options)
{
	struct villas_pair_options all = VILLAS_PAIR_OPTIONS_INIT;

	if (options) {
		if (options->size < sizeof(options->size) || options->size > 4096) {
			errno = EINVAL;
			return NULL;
		}
		memcpy(&all, options, options->size < sizeof(all) ? options->size : sizeof(all));
	}
	if (getenv("VILLAS_EXT_NO_LEGACY"))
		all.flags |= VILLAS_PAIR_NO_LEGACY;
	uint64_t deadline = vx_deadline(all.timeout);
	int err = check(own, other, &all);
	struct villas_pair *p = err ? NULL : calloc(1, sizeof(*p));
	if (p) {
		p->options = all;
		p->owner = (int) getpid();
		p->own = strdup(own);
		p->other = strdup(other);
	}
	if (!err && !(p && p->own && p->other))
		err = ENOMEM;
	if (!err) {
		vx_need_leaves();
		pthread_cleanup_push(dispose, p);
		err = vx_meet_other(p, deadline);
		pthread_cleanup_pop(0);
	}
	if (!err)
		return p;
	dispose(p);
	errno = err;
	return NULL;
}

static struct sample **as_samples(struct villas_pair_sample **smps)
{
	return (struct sample **) smps;
}

VX_EXPORT int villas_pair_alloc(struct villas_pair *p, struct villas_pair_sample **smps, unsigned cnt)
{
	if (VX_UNLIKELY(!p))
		return vx_fail(-EINVAL);
	long n = vx_leaf_pair_alloc(p->tx, smps, cnt);
	if (VX_UNLIKELY(n < 0))
		n = vx_else_sample_alloc(n, NULL, NULL, 0);
	for (long i = 0; VX_UNLIKELY(__tsan_acquire != NULL) && i < n; i++)
		vx_taken_over(smps[i]);
	return (int) n;
}

VX_EXPORT int villas_pair_read(struct villas_pair *p, struct villas_pair_sample **smps, unsigned cnt)
{
	return VX_LIKELY(p != NULL) ? vx_read(p->rx, &p->rx->out, as_samples(smps), cnt, VX_NEVER, true) : vx_fail(-EINVAL);
}

VX_EXPORT int villas_pair_read_timeout(struct villas_pair *p, struct villas_pair_sample **smps, unsigned cnt,
	const struct timespec *timeout)
{
	return p ? vx_read(p->rx, &p->rx->out, as_samples(smps), cnt, vx_deadline(timeout), false) : vx_fail(-EINVAL);
}

VX_EXPORT int villas_pair_write(struct villas_pair *p, struct villas_pair_sample **smps, unsigned cnt)
{
	return VX_LIKELY(p != NULL) ? vx_write(p->tx, &p->tx->out, &p->rx->out, as_samples(smps), cnt, 0) : vx_fail(-EINVAL);
}

VX_EXPORT int villas_pair_write_timeout(struct villas_pair *p, struct villas_pair_sample **smps, unsigned cnt,
	const struct timespec *timeout)
{
	return p ? vx_write(p->tx, &p->tx->out, &p->rx->out, as_samples(smps), cnt, vx_deadline(timeout)) : vx_fail(-EINVAL);
}

VX_EXPORT int villas_pair_put_many(struct villas_pair_sample **smps, unsigned cnt)
{
	if (!smps || cnt > INT_MAX)
		return vx_fail(-EINVAL);
	return vx_release_many(as_samples(smps), (int) cnt, 0);
}

VX_EXPORT int villas_pair_copy(struct villas_pair_sample *dst, struct villas_pair_sample *src)
{
	vx_need_leaves();
	long bytes = vx_leaf_pair_copy(dst, src);
	if (VX_UNLIKELY(bytes < 0))
		return vx_fail(bytes);
	if (dst != src)
		memcpy(dst->data, src->data, (size_t) bytes);
	return 0;
}

VX_EXPORT int villas_pair_blocks(struct villas_pair *p, struct shmem_blocks *own, struct shmem_blocks *other)
{
	if (!p || !own || !other)
		return vx_fail(-EINVAL);
	vx_leaf_shmem_shared_blocks((struct shmem_shared *) p->tx->base, own);
	vx_leaf_shmem_shared_blocks((struct shmem_shared *) p->rx->base, other);
	return 0;
}

VX_EXPORT int villas_pair_ours(struct villas_pair *p)
{
	return p ? !p->rx->party.legacy : vx_fail(-EINVAL);
}

VX_EXPORT int villas_pair_close(struct villas_pair *p)
{
	if (!p)
		return vx_fail(-EINVAL);
	vx_disconnect(p);
	dispose(p);
	return 0;
}

VX_EXPORT const char *villas_pair_strerror(int errnum)
{
	switch (errnum) {
	case ETIMEDOUT:
		return "the other side did not come in time: start it, or start it again";
	case ECANCELED:
		return "another thread closed the pair, or stopped the open, meanwhile";
	case EEXIST:
		return "a living program writes this side's object, or maps what is there: stop it, or swap the two names";
	case EPROTO:
		return "the other side's object is none of a pair: check the names";
	case EPROTONOSUPPORT:
		return "the other side works on pthread objects, which was refused, or its mode is neither pthread nor polling";
	case EBADMSG:
		return "the other side's object, or a sample in it, leads outside of it: start the other side again";
	case EPIPE:
		return "the other side has closed and all it sent has been read";
	case EOWNERDEAD:
		return "the other side died and all it sent has been read";
	case EINVAL:
		return "check the names (one leading '/' and no other) and the lengths; samples must be of this side's pool";
	case EACCES:
		return "an object belongs to another user, or is a symbolic link";
	case ENOSPC:
		return "there is not enough room in /dev/shm for queuelen and samplelen";
	}
	return strerror(errnum);
}
