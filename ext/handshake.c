/* SPDX-License-Identifier: Apache-2.0 */

/* The handshake of a pair. What it is and why is told in pair/handshake.go, whose functions have the same names.
 * A thread can be cancelled only where it waits: the cleanup handler undoes what a failure undoes. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "guard.h"
#include "handshake.h"
#include "object.h"
#include "peer.h"
#include "sem.h"
#include "side.h"

/* Between looks while we wait for a post, and while it goes on from there. */
#define POST_LOOK_NS 10000000u
#define MET_LOOK_NS 100000u

/* When a post counts as taken along by somebody dead. */
#define POST_AGAIN_NS 200000000u

/* How long another side's object may be unfit before that is an error. */
#define UNFIT_NS 1000000000u

/* How long one who gives up waits for somebody on the way in. */
#define THROUGH_NS 200000000u

/* How often the process of a VILLASnode is looked for. */
#define UNSEEN_LOOKS 10

/* The marks at the front of an object of ours, see package pair. */
struct marks {
	uint64_t magic;
	char between[16];
	uint32_t version;
};
#define MARKS_MAGIC 0x524941504c4c4956u
#define MARKS_VERSION 1

struct handshake {
	struct villas_pair *p;
	struct vx_semaphore own, other;
	int posts;		/* that we made at own */
	uint64_t posted;	/* the last of them */
	bool unnamed;		/* we have removed the name of our semaphore, for a living peer of ours */
	uint64_t unfit;		/* since when the other side's object cannot be opened; 0: it can */
	bool joined;
	int cancel;		/* the caller's cancellation state */
};

static bool made_by_us(int fd, size_t size)
{
	struct marks m;

	(void) size;
	return pread(fd, &m, sizeof(m), 0) == sizeof(m) && m.magic == MARKS_MAGIC && m.version == MARKS_VERSION;
}

static bool leads_to(const char *name, struct vx_mapping *m)
{
	return vx_object_named(name, (dev_t) m->device, (ino_t) m->inode);
}

/* Map the object fd, formatted first if it is to be ours; fd is closed where that fails. */
static int map(struct villas_pair *p, int fd, bool format, struct vx_mapping **mapped)
{
	const struct villas_pair_options *o = &p->options;
	struct vx_mapping *m;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st))
		err = errno;
	else if (!S_ISREG(st.st_mode) || !st.st_size)
		err = EPROTO;
	size_t size = (size_t) st.st_size;
	char *base = err ? NULL : vx_object_map(fd, size, o->flags & VILLAS_PAIR_LOCK_MEMORY, &err);
	if (base) {
		long r = format ? vx_leaf_pair_format(base, size, o->queuelen, o->samplelen, o->polling, (uint32_t) getpid()) : 0;
		if (!r)
			r = vx_leaf_pair_attach(base, size, &m);
		if (r) {
			err = (int) -r;
			vx_object_unmap(base, size);
		}
	}
	if (err) {
		close(fd);
	} else {
		vx_mapped(m, fd, &st, o->spin);
		*mapped = m;
	}
	return err;
}

static int create(struct villas_pair *p)
{
	const struct villas_pair_options *o = &p->options;
	char path[PATH_MAX];
	size_t size = vx_leaf_pair_size(o->queuelen, o->samplelen);
	int fd = size ? vx_object_create(path, size, o->mode, o->group) : -EINVAL;
	int err = fd < 0 ? -fd : map(p, fd, true, &p->tx);

	if (err)
		return err;
	struct vx_mapping *tx = p->tx;
	if (!o->polling && !(o->flags & VILLAS_PAIR_NO_LEGACY))
		vx_init_ready(tx->out.mutex, tx->out.ready);
	tx->hold = vx_hold(fd, VX_NODE_BYTE, &err);
	if (tx->hold)
		err = vx_object_take(path, p->own, made_by_us);
	if (err) {
		vx_unmap(tx);
		p->tx = NULL;
	}
	return err;
}

/* An other side that holds no lock lives as long as its object has its name (to close means to stop first) and some
 * process maps it. One that was never seen is looked for some times only. */
static bool legacy_peer_lives(struct villas_pair *p)
{
	struct vx_mapping *rx = p->rx;

	if (!leads_to(p->other, rx) && !vx_stopped(&rx->out))
		return false;
	if (!atomic_load(&rx->peer) && atomic_fetch_add(&p->looks, 1) > UNSEEN_LOOKS)
		atomic_store(&rx->met, 1);
	return vx_legacy_peer_lives(rx);
}

static bool peer_lives(struct vx_party *party)
{
	struct villas_pair *p = vx_mapping_of(party)->user;
	int saved = errno;
	bool lives = true;

	if (atomic_load(&p->rx->party.legacy))
		lives = legacy_peer_lives(p);
	else if (vx_still_open(p->rx))
		lives = vx_held(atomic_load(&p->rx->fd), VX_NODE_BYTE) != 0;
	if (!lives) {
		atomic_store(&p->tx->party.dead, 1);
		atomic_store(&p->rx->party.dead, 1);
	}
	errno = saved;
	return lives;
}

/* Make an exchange of the two objects. With another side that is not ours and not to be trusted, nobody ever waits or
 * wakes by glibc. */
static void join(struct villas_pair *p)
{
	struct vx_mapping *both[] = { p->tx, p->rx };
	bool never = p->rx->party.legacy && p->options.flags & VILLAS_PAIR_NO_LEGACY;

	vx_leaf_pair_join(p->tx, p->rx);
	for (int i = 0; i < 2; i++) {
		both[i]->user = p;
		both[i]->party.lives = peer_lives;
		both[i]->party.polling |= never;
	}
}

void vx_disconnect(struct villas_pair *p)
{
	struct vx_mapping *tx = p->tx;

	if (p->rx)
		vx_drive_out(p->rx);
	vx_drive_out(tx);
	if (p->owner == (int) getpid()) {
		atomic_store(tx->out.stopped, STATE_STOPPED);
		vx_wake(&tx->party, &tx->out, VX_WAKE | VX_BROADCAST);
		vx_object_unlink(p->own, (dev_t) tx->device, (ino_t) tx->inode);
	}
	vx_unmap(tx);
	if (p->rx)
		vx_unmap(p->rx);
	p->tx = p->rx = NULL;
}

static void forget(struct handshake *h)
{
	h->unnamed = false;
	if (h->p->rx)
		vx_unmap(h->p->rx);
	h->p->rx = NULL;
}

/* Open what has the other side's name. One that has lost it is kept if it was closed before: there may be samples in it. */
static int look_up(struct handshake *h)
{
	struct villas_pair *p = h->p;

	if (p->rx && (leads_to(p->other, p->rx) || vx_stopped(&p->rx->out)))
		return 0;
	forget(h);
	int fd = vx_object_open(p->other);
	return fd < 0 ? (fd == -ELOOP ? EACCES : -fd) : map(p, fd, false, &p->rx);
}

static void post(struct handshake *h)
{
	sem_post(h->own.sem);
	h->posts++;
	h->posted = vx_now();
	vx_fault("posted");
}

/* Somebody has taken a post of ours. */
static bool taken(struct handshake *h)
{
	return vx_semaphore_value(&h->own) < h->posts;
}

static void post_another(struct handshake *h)
{
	if (!vx_semaphore_value(&h->own))
		post(h);
}

/* The other side, which has our post, has mapped our object: 1; 0: not yet; or minus an errno value. */
static int through(struct handshake *h)
{
	uint64_t now = vx_now();
	int err = look_up(h);

	if (err == ENOENT)	/* it died, or has closed already */
		return 0;
	if (err) {		/* the next one may be building it */
		if (!h->unfit)
			h->unfit = now;
		return now - h->unfit > UNFIT_NS ? -err : 0;
	}
	h->unfit = 0;
	struct vx_mapping *rx = h->p->rx;
	if (!rx->party.legacy) {
		if (vx_held(atomic_load(&rx->fd), VX_NODE_BYTE) == 0 && !vx_stopped(&rx->out)) {
			forget(h);
			return 0;
		}
		if (!h->unnamed) {
			vx_fault("mapped");
			vx_object_unlink(h->own.name, h->own.device, h->own.inode);
			h->unnamed = true;
		}
	}
	return vx_semaphore_look(&h->other) == VX_NAMELESS;
}

static int reopen(struct handshake *h, struct vx_semaphore *s, const char *name, bool want)
{
	struct vx_semaphore now;
	int err = vx_semaphore_open(&now, name, want, h->p->options.mode, h->p->options.group);

	if (!err) {
		vx_semaphore_close(s);
		*s = now;
	}
	return err;
}

/* Put right what somebody dead, or somebody on the way out, has left. */
static int again(struct handshake *h)
{
	int err;

	if (!h->unnamed && vx_semaphore_look(&h->own) != VX_NAMED) {	/* who comes now makes another */
		if ((err = reopen(h, &h->own, h->p->own, true)))
			return err;
		h->posts = 0;
		post(h);
	}
	switch (vx_semaphore_look(&h->other)) {
	case VX_NAMED:
		break;
	case VX_REPLACED:	/* another one has come */
		if (!reopen(h, &h->other, h->p->other, false))
			post_another(h);
		break;
	case VX_NAMELESS:
		if (taken(h))
			break;
		if ((err = reopen(h, &h->other, h->p->other, true)))
			return err;
		if (h->other.made && taken(h))	/* it has come and is through meanwhile: the name was gone for that */
			vx_object_unlink(h->other.name, h->other.device, h->other.inode);
	}
	if (!h->unnamed && vx_now() - h->posted > POST_AGAIN_NS)
		post_another(h);
	return 0;
}

static int wait_for_other(struct handshake *h, uint64_t deadline)
{
	const atomic_int *stop = h->p->options.stop;
	uint64_t ended = 0, look = POST_LOOK_NS;
	int err, is, over;

	for (;; look = look * 2 < POST_LOOK_NS ? look * 2 : POST_LOOK_NS) {
		uint64_t now = vx_now(), until = now + look;
		pthread_setcancelstate(h->cancel, NULL);
		bool post = vx_semaphore_take(&h->other, until < deadline || now >= deadline ? until : deadline);
		pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
		if (post) {
			look = MET_LOOK_NS;
			look_up(h);	/* now, since it may be closed soon */
		}
		if (taken(h)) {
			vx_semaphore_drain(&h->other);	/* of a former life, besides: one of ours waits until its post is taken */
			vx_fault("received");
			if ((is = through(h)))
				return is < 0 ? -is : 0;
		}
		now = vx_now();
		over = now >= deadline ? ETIMEDOUT : stop && atomic_load(stop) ? ECANCELED : 0;
		if (over) {
			if (!ended)
				ended = now;
			if (!taken(h) || now - ended > THROUGH_NS)
				return over;
		} else if ((err = again(h))) {
			return err;
		}
	}
}

static int meet(struct handshake *h, uint64_t deadline)
{
	struct villas_pair *p = h->p;
	const struct villas_pair_options *o = &p->options;
	int err = vx_semaphore_open(&h->own, p->own, true, o->mode, o->group);

	if (!err)
		err = vx_semaphore_open(&h->other, p->other, true, o->mode, o->group);
	vx_fault("semaphores");
	if (!err)
		err = create(p);
	if (err)
		return err;
	vx_fault("object");
	vx_semaphore_drain(&h->own);
	post(h);
	if ((err = wait_for_other(h, deadline)))
		return err;
	join(p);
	h->joined = true;
	if (p->rx->party.legacy && o->flags & VILLAS_PAIR_NO_LEGACY && !(p->rx->party.polling && o->polling))
		return EPROTONOSUPPORT;
	peer_lives(&p->rx->party);	/* to know who it is */
	vx_semaphore_drain(&h->own);
	vx_object_tidy(h->own.name, h->own.device, h->own.inode, atomic_load(&p->rx->peer));
	vx_fault("unlinked");
	return 0;
}

static void leave(struct vx_semaphore *s, bool tidy)
{
	if (!s->sem)
		return;
	vx_semaphore_close(s);
	if (tidy)
		vx_object_tidy(s->name, s->device, s->inode, 0);
}

/* The handshake has failed. */
static void undo(void *arg)
{
	struct handshake *h = arg;
	bool ours = h->p->tx;
	int saved = errno;

	if (ours) {
		vx_semaphore_drain(&h->own);
		if (!h->joined) {	/* nobody is known, but who has our post may wait for us */
			forget(h);
			atomic_store(&h->p->tx->party.legacy, !(h->p->options.flags & VILLAS_PAIR_NO_LEGACY));
		}
		vx_disconnect(h->p);
	}
	leave(&h->own, h->own.made || ours);
	leave(&h->other, h->other.made);
	errno = saved;
}

int vx_meet_other(struct villas_pair *p, uint64_t deadline)
{
	struct handshake h = { .p = p };
	int err;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &h.cancel);
	pthread_cleanup_push(undo, &h);
	err = meet(&h, deadline);
	pthread_cleanup_pop(err != 0);
	if (!err) {
		leave(&h.own, false);
		leave(&h.other, false);
	}
	pthread_setcancelstate(h.cancel, NULL);
	return err;
}
