/* SPDX-License-Identifier: Apache-2.0 */

/* The external program's side of a region: open, read, write, close. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <villas/shmem.h>

#include "fault.h"
#include "guard.h"
#include "object.h"
#include "side.h"

/* How long open waits for a node that is about to put a fresh region under the name. */
#define REPLACEMENT_NS 2000000000u

/* How often open looks whether a reference-built node has come to the barrier. */
#define BARRIER_LOOK_NS 500000u

/* An open under way; released by a cancellation as by a failure. */
struct opening {
	int fd;
	char *base;
	size_t size;
	struct vx_mapping *m;
};

static void abandon(void *arg)
{
	struct opening *o = arg;

	if (o->m)
		vx_unmap(o->m);
	else {
		if (o->base)
			vx_object_unmap(o->base, o->size);
		if (o->fd >= 0)
			close(o->fd);
	}
	*o = (struct opening) { .fd = -1 };
}

/* Stand at the barrier with a reference-built node. pthread_barrier_wait can neither time out nor be cancelled, and
 * a program that stands there alone pairs with the next one to come. So look until the node waits there, and only
 * then arrive: the call returns at once, the barrier being complete. */
static int meet_at_barrier(struct vx_mapping *m, uint64_t deadline)
{
	uint64_t ghost = 0;

	if (vx_barrier_count(m->barrier) != 2)
		return EBADMSG;
	for (;; vx_sleep(BARRIER_LOOK_NS)) {
		uint64_t now = vx_now();
		enum vx_barrier at = vx_at_barrier(m->barrier);
		if (at == VX_WAITS) {
			int err = vx_meet(&m->party, vx_peer_seen(m));
			if (!err)
				atomic_store(&m->met, 1);
			if (err != EAGAIN)
				return err;
		}
		if (vx_stopped(&m->out))
			return EOWNERDEAD;
		if (at == VX_PAIRED)	/* the node has met another program */
			return EBUSY;
		if (at != VX_GHOST)
			ghost = 0;
		else if (!ghost)
			ghost = now;
		else if (now - ghost > VX_GHOST_NS && !vx_peer_seen(m))
			return EOWNERDEAD;	/* it died while it stood there */
		if (now >= deadline)
			return ETIMEDOUT;
	}
}

/* Attach to a node of ours. */
static int enter(struct vx_mapping *m)
{
	int err = 0;

	if (vx_held(atomic_load(&m->fd), VX_NODE_BYTE) == 0)	/* dead, or it has just put a fresh region under the name */
		return atomic_load(m->state) == VX_RETIRED ? ESTALE : EOWNERDEAD;
	if (vx_stopped(&m->out))
		return ESTALE;
	long r = vx_leaf_region_enter(m, (uint32_t) getpid());
	if (r == -EBUSY && vx_held(atomic_load(&m->fd), VX_PROGRAM_BYTE) == 0)
		return ESTALE;	/* the program before us is gone or died on its way in, the node is about to notice */
	if (r)
		return (int) -r;
	vx_fault("enter");
	m->hold = vx_hold(atomic_load(&m->fd), VX_PROGRAM_BYTE, &err);
	if (!m->hold)
		return err == EAGAIN ? EBUSY : err;
	vx_fault("entered");
	if (!vx_leaf_region_entered(m))
		return ESTALE;
	vx_futex_wake(m->state);
	return 0;
}

/* One attempt to open; 0 or an errno value. */
static int attempt(struct opening *o, const char *name, const struct shmem_open_options *options, uint64_t deadline)
{
	struct stat st;
	int err;
	bool legacy = !(options->flags & SHMEM_NO_LEGACY) && !getenv("VILLAS_EXT_NO_LEGACY");

	o->fd = vx_object_open(name);
	if (o->fd < 0)
		return -o->fd == ELOOP ? EACCES : -o->fd;
	if (fstat(o->fd, &st))
		return errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t) sizeof(struct shmem_shared))
		return EPROTO;
	o->size = (size_t) st.st_size;
	o->base = vx_object_map(o->fd, o->size, options->flags & SHMEM_LOCK_MEMORY, &err);
	if (!o->base)
		return err;
	long r = vx_leaf_region_attach(o->base, o->size, &o->m);
	if (r)
		return (int) -r;

	vx_mapped(o->m, o->fd, &st, options->spin);
	if (!o->m->party.legacy)
		return enter(o->m);
	return legacy ? meet_at_barrier(o->m, deadline) : EPROTONOSUPPORT;
}

static struct shmem_shared *open_region(const char *name, void **base, const struct shmem_open_options *options)
{
	struct opening o = { .fd = -1 };
	uint64_t deadline = vx_deadline(options->timeout), until = 0;
	struct shmem_shared *shm = NULL;
	int err;

	vx_need_leaves();
	pthread_cleanup_push(abandon, &o);
	for (;;) {
		err = attempt(&o, name, options, deadline);
		if (!err)
			break;
		abandon(&o);
		if (err != ESTALE)
			break;

		/* The node lives and is about to replace this region. */
		uint64_t now = vx_now();
		if (!until)
			until = now + REPLACEMENT_NS;
		if (now >= until || now >= deadline) {
			err = now >= deadline ? ETIMEDOUT : EBUSY;
			break;
		}
		vx_sleep(1000000);
	}
	pthread_cleanup_pop(0);
	if (err) {
		errno = err;
		return NULL;
	}
	shm = (struct shmem_shared *) (o.m->base + VX_SHARED_OFFSET);
	if (base)
		*base = o.m->base;
	return shm;
}

VX_EXPORT struct shmem_shared *shmem_shared_open_options(const char *name, void **base,
	const struct shmem_open_options *options)
{
	struct shmem_open_options all = { sizeof(all), 0, -1, NULL };

	if (options) {
		if (options->size < sizeof(options->size) + sizeof(options->flags) || options->size > 4096) {
			errno = EINVAL;
			return NULL;
		}
		memcpy(&all, options, options->size < sizeof(all) ? options->size : sizeof(all));
	}
	return open_region(name, base, &all);
}

VX_EXPORT struct shmem_shared *shmem_shared_open_timeout(const char *name, void **base, const struct timespec *timeout)
{
	struct shmem_open_options options = { sizeof(options), 0, -1, timeout };

	return open_region(name, base, &options);
}

VX_EXPORT struct shmem_shared *shmem_shared_open(const char *name, void **base)
{
	return shmem_shared_open_timeout(name, base, NULL);
}

/* The mapping that shm lies in, or NULL and errno. */
static struct vx_mapping *mapping(struct shmem_shared *shm)
{
	struct vx_mapping *m = NULL;

	if (VX_LIKELY(shm != NULL)) {
		vx_need_leaves();
		m = vx_find(shm);
	}
	if (VX_UNLIKELY(!m))
		errno = EINVAL;
	return m;
}

VX_EXPORT int shmem_shared_close(struct shmem_shared *shm, void *base)
{
	struct vx_mapping *m = mapping(shm);

	if (!m)
		return -1;
	vx_drive_out(m);
	if (m->owner == (int) getpid()) {	/* a forked child closes its own mapping only */
		atomic_store(m->in.stopped, 1);
		vx_wake(&m->party, &m->in, VX_WAKE | VX_BROADCAST);
		if (m->state)
			vx_futex_wake(m->state);
	}
	vx_unmap(m);
	return 0;
}

/* shmem_shared_read and shmem_shared_write are leaves as long as there is something to read and room to write. */

VX_HIDDEN int vx_late_shmem_shared_read(struct shmem_shared *shm, struct sample *smps[], unsigned cnt)
{
	struct vx_mapping *m = mapping(shm);

	return m ? vx_read(m, &m->out, smps, cnt, VX_NEVER, true) : -1;
}

VX_HIDDEN int vx_else_shmem_shared_read(long result, struct shmem_shared *shm, struct sample *smps[], unsigned cnt)
{
	return result == VX_ELSEWHERE ? vx_late_shmem_shared_read(shm, smps, cnt) : vx_fail(result);
}

VX_EXPORT int shmem_shared_read_timeout(struct shmem_shared *shm, struct sample *smps[], unsigned cnt,
	const struct timespec *timeout)
{
	struct vx_mapping *m = mapping(shm);

	return m ? vx_read(m, &m->out, smps, cnt, vx_deadline(timeout), false) : -1;
}

VX_HIDDEN int vx_late_shmem_shared_write(struct shmem_shared *shm, struct sample *smps[], unsigned cnt)
{
	struct vx_mapping *m = mapping(shm);

	return m ? vx_write(m, &m->in, &m->out, smps, cnt, 0) : -1;
}

VX_HIDDEN int vx_else_shmem_shared_write(long result, struct shmem_shared *shm, struct sample *smps[], unsigned cnt)
{
	if (result == VX_ELSEWHERE)
		return vx_late_shmem_shared_write(shm, smps, cnt);
	if (result > -VX_WAKE)
		return vx_fail(result);
	struct vx_mapping *m = vx_find(shm);
	vx_wake(&m->party, &m->in, -result);
	return (int) (uint32_t) -result;
}

VX_EXPORT int shmem_shared_write_timeout(struct shmem_shared *shm, struct sample *smps[], unsigned cnt,
	const struct timespec *timeout)
{
	struct vx_mapping *m = mapping(shm);

	return m ? vx_write(m, &m->in, &m->out, smps, cnt, vx_deadline(timeout)) : -1;
}

VX_EXPORT const char *shmem_shared_strerror(int errnum)
{
	switch (errnum) {
	case EPROTO:
		return "the object is not a region: check the name, and that the node has started";
	case EPROTONOSUPPORT:
		return "the other side speaks only the original pthread protocol, which was refused";
	case EBADMSG:
		return "the region is damaged: its geometry or a sample in it leads outside; restart the node";
	case ENOENT:
		return "there is no region of this name: start the node first";
	case EACCES:
		return "no permission for the region: the node's user must allow this one";
	case EINVAL:
		return "invalid argument: a NULL pointer, a name with a second '/', or a sample of another pool";
	case EBUSY:
		return "another program is attached to the region";
	case EOWNERDEAD:
		return "the other side died; a program may open the name again, a node accept again";
	case ENOMEM:
	case EPERM:
	case EAGAIN:
		return "no memory, or none may be locked: raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=), or do not lock the region";
	case ETIMEDOUT:
		return "the time is over";
	case EPIPE:
		return "the other side has stopped and all it sent has been read";
	case ECANCELED:
		return "the region was closed by another thread of this process";
	case EEXIST:
		return "a living node has this name: stop it or choose another name";
	default:
		return strerror(errnum);
	}
}
