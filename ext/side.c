/* SPDX-License-Identifier: Apache-2.0 */

/* What both sides of a region do alike: read, write, give up a mapping. */

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "object.h"
#include "side.h"

/* A peer without a lock is looked after by a scan of /proc, which costs milliseconds. */
#define LEGACY_LOOK_NS 150000000u

/* A push that was claimed is published within nanoseconds by a living thread; after this long its thread is dead. */
#define UNPUBLISHED_NS 20000000u

/* Look after the other side if the last look was long ago. */
static void look_after(struct vx_mapping *m, uint64_t now)
{
	uint64_t last = atomic_load_explicit(&m->looked, memory_order_relaxed);
	uint64_t every = atomic_load(&m->legacy) ? LEGACY_LOOK_NS : VX_LOOK_NS;

	if (now - last >= every && atomic_compare_exchange_strong(&m->looked, &last, now) && last)
		vx_peer_lives(m);
}

/* The other side is gone: what it left in the queue is still read, cells that it claimed and never published are
 * stepped over, then comes the end. */
static int drain(struct vx_mapping *m, struct vx_channel *c, struct sample **smps, unsigned cnt)
{
	bool waited = atomic_load(&m->dead);

	for (;;) {
		long n = vx_leaf_channel_read(m, c, smps, cnt);
		if (n)
			return n < 0 ? vx_fail(n) : (int) n;
		if (!waited) {	/* a living side may stand between claim and publish */
			if (!vx_leaf_channel_claimed(c))
				break;
			vx_sleep(UNPUBLISHED_NS);
			waited = true;
		} else if (!vx_leaf_channel_skip(c)) {
			break;
		}
	}
	return vx_fail(atomic_load(&m->dead) ? -EOWNERDEAD : -EPIPE);
}

static int taken_over(struct sample **smps, long n)
{
	if (VX_UNLIKELY(__tsan_acquire != NULL)) {
		for (long i = 0; i < n; i++)
			vx_taken_over(smps[i]);
	}
	return (int) n;
}

int vx_read(struct vx_mapping *m, struct vx_channel *c, struct sample **smps, unsigned cnt, uint64_t deadline, bool once)
{
	if (VX_UNLIKELY(!smps))
		return vx_fail(-EINVAL);
	for (;;) {
		long n = vx_leaf_channel_read(m, c, smps, cnt);
		if (VX_LIKELY(n > 0))
			return taken_over(smps, n);
		if (n < 0)
			return vx_fail(n);
		if (cnt == 0)
			return 0;
		if (atomic_load(&m->closing))
			return vx_fail(-ECANCELED);
		if (atomic_load(c->stopped) || atomic_load(&m->dead))
			return taken_over(smps, drain(m, c, smps, cnt));
		uint64_t now = vx_now();
		look_after(m, now);
		if (m->polling && once)
			return 0;
		if (now >= deadline)
			return vx_fail(-ETIMEDOUT);
		vx_wait_readable(m, c, deadline);
	}
}

int vx_write(struct vx_mapping *m, struct vx_channel *c, struct vx_channel *back, struct sample **smps, unsigned cnt,
	uint64_t deadline)
{
	unsigned done = 0;
	uint64_t pause = 0;

	if (VX_UNLIKELY(!smps))
		return vx_fail(-EINVAL);
	for (;;) {
		if (VX_UNLIKELY(atomic_load(back->stopped) || atomic_load(&m->dead)))
			return done ? (int) done : vx_fail(atomic_load(&m->dead) ? -EOWNERDEAD : -EPIPE);
		if (VX_UNLIKELY(__tsan_release != NULL)) {
			for (unsigned i = done; i < cnt; i++)
				vx_handed_over(smps[i]);
		}
		long n = vx_leaf_channel_write(m, c, smps + done, cnt - done);
		if (VX_UNLIKELY(n < 0))
			return done ? (int) done : vx_fail(n);
		done += (uint32_t) n;
		if (VX_UNLIKELY(n >> 32))
			vx_wake(m, c, n);
		if (done == cnt)
			return (int) done;

		/* Full: short. Nobody wakes a writer, so one that waits for room looks, first often, then every ms. */
		uint64_t now = vx_now();
		look_after(m, now);
		if (now >= deadline)
			return (int) done;
		if (atomic_load(&m->closing))
			return done ? (int) done : vx_fail(-ECANCELED);
		if (!pause) {
			sched_yield();
			pause = 1000;
		} else {
			vx_sleep(deadline - now < pause ? deadline - now : pause);
			pause = pause * 2 < 1000000 ? pause * 2 : 1000000;
		}
	}
}

void vx_drive_out(struct vx_mapping *m)
{
	uint32_t callers;

	atomic_store(&m->closing, 1);
	while ((callers = atomic_load(&m->callers))) {
		vx_wake(m, &m->in, VX_WAKE | VX_BROADCAST);
		vx_wake(m, &m->out, VX_WAKE | VX_BROADCAST);
		vx_futex_wait(&m->callers, callers, vx_now() + 1000000);
	}
}

void vx_unmap(struct vx_mapping *m)
{
	char *base = m->base;
	size_t size = m->size;
	void *hold = m->hold;
	int fd = atomic_load(&m->fd);

	vx_leaf_region_detach(m);	/* before the addresses can become somebody else's */
	munmap(base, size);
	vx_unhold(hold);
	if (fd >= 0)
		close(fd);
}
