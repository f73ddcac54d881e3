/* SPDX-License-Identifier: Apache-2.0 */

/* What both sides of a region do alike: read, write, give up a mapping. */

#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fault.h"
#include "guard.h"
#include "object.h"
#include "side.h"

/* A push that was claimed is published within nanoseconds by a living thread; after this long its thread is dead. */
#define UNPUBLISHED_NS 20000000u

/* Nothing comes from the other side any more. One that has said so may be dead by now: that is an end like any other. */
static int end(struct vx_mapping *m, struct vx_channel *from)
{
	vx_gone(m);
	return vx_fail(vx_stopped(from) ? -EPIPE : -EOWNERDEAD);
}

/* The other side is gone: what it left in the queue is still read, cells that it claimed and never published are
 * stepped over, then comes the end. */
static int drain(struct vx_mapping *m, struct vx_channel *c, struct sample **smps, unsigned cnt)
{
	bool waited = atomic_load(&m->party.dead);

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
	return end(m, c);
}

static int taken_over(struct sample **smps, long n)
{
	if (VX_UNLIKELY(__tsan_acquire != NULL)) {
		for (long i = 0; i < n; i++)
			vx_taken_over(smps[i]);
	}
	return (int) n;
}

/* A call that waits is counted from before it waits until it no longer touches the mapping: close waits for it. */
static void leave(void *callers)
{
	_Atomic uint32_t *count = callers;

	vx_handed_over(callers);
	if (atomic_fetch_sub(count, 1) == 1)
		vx_futex_wake(count);
}

static int read_waiting(struct vx_mapping *m, struct vx_channel *c, struct sample **smps, unsigned cnt, uint64_t deadline)
{
	int result;

	vx_adopt(&m->party);
	atomic_fetch_add(&m->party.callers, 1);
	pthread_cleanup_push(leave, &m->party.callers);
	for (;;) {
		long n = vx_leaf_channel_read(m, c, smps, cnt);
		if (n) {
			result = n < 0 ? vx_fail(n) : taken_over(smps, n);
			break;
		}
		if (atomic_load(&m->party.closing)) {
			result = vx_fail(-ECANCELED);
			break;
		}
		if (vx_stopped(c) || atomic_load(&m->party.dead)) {
			result = taken_over(smps, drain(m, c, smps, cnt));
			break;
		}
		uint64_t now = vx_now();
		vx_look_after(&m->party, now);
		if (now >= deadline) {
			result = vx_fail(-ETIMEDOUT);
			break;
		}
		vx_wait_readable(&m->party, c, deadline);
	}
	pthread_cleanup_pop(1);
	return result;
}

int vx_read(struct vx_mapping *m, struct vx_channel *c, struct sample **smps, unsigned cnt, uint64_t deadline, bool once)
{
	if (VX_UNLIKELY(!smps))
		return vx_fail(-EINVAL);
	long n = vx_leaf_channel_read(m, c, smps, cnt);
	if (VX_LIKELY(n > 0))
		return taken_over(smps, n);
	if (n < 0)
		return vx_fail(n);
	if (cnt == 0)
		return 0;
	if (!m->party.polling || !once)
		return read_waiting(m, c, smps, cnt, deadline);
	if (VX_UNLIKELY(vx_stopped(c) || atomic_load(&m->party.dead)))
		return taken_over(smps, drain(m, c, smps, cnt));
	vx_look_sometimes(&m->party);
	return 0;
}

/* One write, without a wait. */
static int write_once(struct vx_mapping *m, struct vx_channel *c, struct vx_channel *back, struct sample **smps, unsigned cnt)
{
	if (VX_UNLIKELY(vx_stopped(back) || atomic_load(&m->party.dead)))
		return end(m, back);
	if (VX_UNLIKELY(__tsan_release != NULL)) {
		for (unsigned i = 0; i < cnt; i++)
			vx_handed_over(smps[i]);
	}
	long n = vx_leaf_channel_write(m, c, smps, cnt);
	if (VX_UNLIKELY(n < 0))
		return vx_fail(n);
	vx_fault("wake");
	if (VX_UNLIKELY(n >> 32))
		vx_wake(&m->party, c, n);
	return (int) (uint32_t) n;
}

/* Nobody wakes a writer, so one that waits for room looks, first at once, then ever less often down to every ms. */
static int write_waiting(struct vx_mapping *m, struct vx_channel *c, struct vx_channel *back, struct sample **smps,
	unsigned cnt, uint64_t deadline)
{
	unsigned done = 0;
	uint64_t pause = 0;
	int n;

	vx_adopt(&m->party);
	atomic_fetch_add(&m->party.callers, 1);
	pthread_cleanup_push(leave, &m->party.callers);
	while ((n = write_once(m, c, back, smps + done, cnt - done)) >= 0 && (done += (unsigned) n) < cnt) {
		uint64_t now = vx_now();
		vx_look_after(&m->party, now);
		if (now >= deadline)
			break;
		if (atomic_load(&m->party.closing)) {
			n = vx_fail(-ECANCELED);
			break;
		}
		if (pause)
			vx_sleep(deadline - now < pause ? deadline - now : pause);
		else
			sched_yield();
		pause = pause ? (pause * 2 < 1000000 ? pause * 2 : 1000000) : 1000;
	}
	pthread_cleanup_pop(1);
	return n < 0 && !done ? -1 : (int) done;
}

int vx_write(struct vx_mapping *m, struct vx_channel *c, struct vx_channel *back, struct sample **smps, unsigned cnt,
	uint64_t deadline)
{
	if (VX_UNLIKELY(!smps))
		return vx_fail(-EINVAL);
	if (deadline)
		return write_waiting(m, c, back, smps, cnt, deadline);
	int n = write_once(m, c, back, smps, cnt);
	if (VX_UNLIKELY((unsigned) n < cnt))
		vx_look_sometimes(&m->party);	/* a full queue may be that of a dead reader */
	return n;
}

void vx_drive_out(struct vx_mapping *m)
{
	struct vx_party *p = &m->party;
	uint32_t callers;

	vx_adopt(p);
	vx_guard_leave_by(p, vx_now() + VX_GRACE_NS);
	atomic_store(&p->closing, 1);
	while ((callers = atomic_load(&p->callers))) {
		vx_wake(p, &m->in, VX_WAKE | VX_BROADCAST);
		vx_wake(p, &m->out, VX_WAKE | VX_BROADCAST);
		vx_futex_wait(&p->callers, callers, vx_now() + 1000000);
	}
	while (atomic_load(&p->inside))	/* a write that wakes the other side; the guard gets it out */
		vx_sleep(1000000);
	vx_taken_over(&p->callers);
}

void vx_mapped(struct vx_mapping *m, int fd, const struct stat *st, int spin)
{
	struct vx_party *p = &m->party;

	m->device = (uint64_t) st->st_dev;
	m->inode = (uint64_t) st->st_ino;
	m->owner = (int) getpid();
	m->command = -1;
	atomic_store(&m->fd, fd);
	p->spin = vx_spin_setting(spin);
	atomic_store(&p->spinning, p->spin * 1000);
	p->channels[0] = &m->in;
	p->channels[1] = &m->out;
	p->barrier = m->barrier;
	p->lives = vx_party_lives;
	atomic_store(&p->forks, atomic_load(&vx_forks));
	atomic_store(&p->looked, vx_now());
}

void vx_unmap(struct vx_mapping *m)
{
	char *base = m->base;
	size_t size = m->size;
	void *hold = m->hold;
	void *held = m->held;
	size_t held_size = m->held_size;
	int fd = atomic_load(&m->fd);

	vx_guard_stop(&m->party);
	vx_leaf_region_detach(m);	/* before the addresses can become somebody else's */
	vx_object_unmap(base, size);
	if (held)
		munmap(held, held_size);
	vx_unhold(hold);
	if (fd >= 0)
		close(fd);
}
