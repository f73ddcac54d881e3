/* SPDX-License-Identifier: Apache-2.0 */

/* The node's side of a region, for C: create, accept, read, write, close. */

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <villas/shmem_node.h>

#include "fault.h"
#include "guard.h"
#include "object.h"
#include "side.h"

/* A reference-built program waits before it looks: while samples stay in `out`, it is woken again this often. */
#define WAKE_AGAIN_NS 500000u

/* How often accept looks whether a reference-built program has come to the barrier. */
#define BARRIER_LOOK_NS 1000000u

/* A former region whose samples this process still holds, or in which calls of it still are. */
struct former {
	struct former *next;
	struct vx_mapping *m;
	unsigned generation;
};

/* Calls are counted by the generation of the region that they are in, modulo this. */
#define GENERATIONS 8

struct shmem_node {
	char *name;
	struct shmem_node_options options;
	struct vx_mapping *_Atomic m;	/* of the present region */
	_Atomic unsigned generation;	/* counts regions */
	_Atomic long calls[GENERATIONS];
	struct former *former;
	pthread_mutex_t lock;		/* one accept or close at a time */
	pthread_t waker;		/* towards a reference-built program in signalled mode */
	int waking;
	_Atomic uint32_t rest;		/* tells the waker to end */
	int command, command_pid;	/* see shmem_node_command() */
};

/* The reference's pthread objects, for programs built with it. */
static void init_pthread(struct shmem_shared *shm, struct vx_mapping *m)
{
	struct vx_channel *channels[] = { &m->in, &m->out };

	pthread_barrierattr_init((pthread_barrierattr_t *) &shm->start_attr);
	pthread_barrierattr_setpshared((pthread_barrierattr_t *) &shm->start_attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(m->barrier, (pthread_barrierattr_t *) &shm->start_attr, 2);
	for (int i = 0; i < 2 && !m->party.polling; i++)
		vx_init_ready(channels[i]->mutex, channels[i]->ready);
}

static void tell(struct vx_mapping *m, enum shmem_event event, int pid)
{
	struct shmem_node *node = m->user;

	if (node->options.event)
		node->options.event(node, event, pid, node->options.context);
}

static int program_pid(struct vx_mapping *m)
{
	return atomic_load(&m->party.legacy) ? atomic_load(&m->peer) : (int) vx_leaf_region_program(m);
}

static void tell_attached(struct vx_mapping *m)
{
	if (!atomic_exchange(&m->told_attached, 1))
		tell(m, SHMEM_PROGRAM_ATTACHED, program_pid(m));
}

static void tell_gone(struct vx_mapping *m, int died)
{
	tell_attached(m);
	tell(m, died ? SHMEM_PROGRAM_DIED : SHMEM_PROGRAM_STOPPED, program_pid(m));
}

static void tell_stuck(struct vx_party *p, struct vx_channel *c)
{
	(void) c;
	struct vx_mapping *m = vx_mapping_of(p);
	tell(m, SHMEM_MUTEX_STUCK, program_pid(m));
}

/* Make a fresh region and put it under the node's name, in place of own if that is given: 0 or an errno value. */
static int make_region(struct shmem_node *node, const struct stat *own)
{
	const struct shmem_node_options *o = &node->options;
	char path[PATH_MAX];
	struct stat st;
	int err = 0;
	size_t size = vx_leaf_shmem_total_size(o->queuelen, o->queuelen, o->samplelen);
	struct vx_mapping *m = NULL;

	if (!size)
		return EINVAL;
	int fd = vx_object_create(path, size, o->mode, o->group);
	if (fd < 0)
		return -fd;
	char *base = vx_object_map(fd, size, o->flags & SHMEM_LOCK_MEMORY, &err);
	if (base) {
		long r = vx_leaf_region_format(base, size, o->queuelen, o->samplelen, o->polling, (uint32_t) getpid());
		if (!r)
			r = vx_leaf_region_attach(base, size, &m);
		err = (int) -r;
	}
	if (!err && fstat(fd, &st))
		err = errno;
	if (!err) {
		vx_mapped(m, fd, &st, o->spin);
		init_pthread((struct shmem_shared *) (base + VX_SHARED_OFFSET), m);
		m->node = 1;
		m->command = node->command;
		m->command_pid = node->command_pid;
		m->user = node;
		m->gone = tell_gone;
		m->party.stuck = tell_stuck;
		m->held_size = 2 * (size_t) o->queuelen;
		m->held = mmap(NULL, m->held_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (m->held == MAP_FAILED) {
			m->held = NULL;
			err = ENOMEM;
		}
	}
	if (!err) {
		vx_leaf_pool_note_held(m, m->held);
		m->hold = vx_hold(fd, VX_NODE_BYTE, &err);
		vx_fault("publish");
		err = m->hold ? (own ? vx_object_publish(path, node->name, own) : vx_object_take(path, node->name, vx_is_ours)) : err;
	}
	if (err) {
		if (m) {
			atomic_store(&m->fd, fd);
			vx_unmap(m);
		} else {
			if (base)
				vx_object_unmap(base, size);
			close(fd);
		}
		return err;
	}
	atomic_store(&node->m, m);
	return 0;
}

VX_EXPORT struct shmem_node *shmem_node_create(const char *name, const struct shmem_node_options *options)
{
	struct shmem_node_options all = SHMEM_NODE_OPTIONS_INIT;
	char path[PATH_MAX];

	if (options) {
		if (options->size < sizeof(options->size) || options->size > 4096) {
			errno = EINVAL;
			return NULL;
		}
		memcpy(&all, options, options->size < sizeof(all) ? options->size : sizeof(all));
	}
	int err = vx_object_path(name, path);
	if (!err && (all.queuelen < 1 || all.samplelen < 0))
		err = EINVAL;
	struct shmem_node *node = err ? NULL : calloc(1, sizeof(*node));
	if (!node) {
		errno = err ? err : ENOMEM;
		return NULL;
	}
	node->options = all;
	node->command = -1;
	pthread_mutex_init(&node->lock, NULL);
	node->name = strdup(name);
	vx_need_leaves();
	err = node->name ? make_region(node, NULL) : ENOMEM;
	if (err) {
		free(node->name);
		free(node);
		errno = err;
		return NULL;
	}
	return node;
}

/* Towards a reference-built program in signalled mode: it may have gone to sleep with samples in `out`. */
static void *wake_again(void *arg)
{
	struct shmem_node *node = arg;
	struct vx_mapping *m = node->m;

	while (!atomic_load(&node->rest)) {
		if (!vx_leaf_channel_empty(&m->out))
			vx_wake(&m->party, &m->out, VX_BROADCAST);
		vx_futex_wait(&node->rest, 0, vx_now() + WAKE_AGAIN_NS);
	}
	return NULL;
}

static void start_waker(struct shmem_node *node)
{
	sigset_t all, old;

	atomic_store(&node->rest, 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	node->waking = !pthread_create(&node->waker, NULL, wake_again, node);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void stop_waker(struct shmem_node *node)
{
	if (!node->waking)
		return;
	atomic_store(&node->rest, 1);
	vx_futex_wake(&node->rest);
	pthread_join(node->waker, NULL);
	node->waking = 0;
}

static bool program_gone(struct vx_mapping *m)
{
	if (atomic_load(m->state) != VX_ATTACHED)
		return false;
	return vx_stopped(&m->in) || atomic_load(&m->party.dead) || !vx_peer_lives(m);
}

/* Let go of former regions of which this process holds no block any more; of all, if told. */
static void sweep(struct shmem_node *node, bool all)
{
	for (struct former **f = &node->former; *f;) {
		struct former *old = *f;
		if (all || (!atomic_load(&node->calls[old->generation % GENERATIONS]) && !vx_leaf_pool_holds(old->m))) {
			*f = old->next;
			vx_unmap(old->m);
			free(old);
		} else {
			f = &old->next;
		}
	}
}

/* The program is gone: a fresh region takes the place of its, which stays mapped while our user holds samples of it. */
static int renew(struct shmem_node *node)
{
	struct vx_mapping *old = node->m;
	struct stat own = { .st_dev = (dev_t) old->device, .st_ino = (ino_t) old->inode };
	struct former *f = malloc(sizeof(*f));
	struct sample *left[64];
	long n;

	if (!f)
		return ENOMEM;
	stop_waker(node);
	int err = make_region(node, &own);
	if (err == EEXIST || err == ENOENT)	/* somebody removed or replaced the name: as at the start */
		err = make_region(node, NULL);
	if (err) {
		free(f);
		return err;
	}
	unsigned generation = atomic_fetch_add(&node->generation, 1);
	bool attached = vx_leaf_region_retire(old) == VX_ATTACHED;
	atomic_store(old->out.stopped, 1);
	if (attached)
		vx_gone(old);
	vx_open_barrier(old->barrier);	/* who stands there, a second program of the original, sees the end */
	vx_drive_out(old);
	vx_guard_stop(&old->party);
	while ((n = vx_leaf_channel_read(old, &old->out, left, 64)) > 0 || (n = vx_leaf_channel_read(old, &old->in, left, 64)) > 0)
		sample_free(left, (int) n);
	vx_unhold(old->hold);
	old->hold = NULL;
	*f = (struct former) { node->former, old, generation };
	node->former = f;
	sweep(node, false);
	return 0;
}

static void unlock(void *lock)
{
	pthread_mutex_unlock(lock);
}

/* A program of the original has come to the barrier: 0 once both have met. One that has paired there, with one that
 * died, believes to have met us. */
static int meet_program(struct shmem_node *node, bool paired)
{
	struct vx_mapping *m = node->m;

	if (!vx_leaf_region_enter_legacy(m))
		return EAGAIN;	/* a program of ours was faster */
	atomic_store(&m->party.legacy, 1);
	int err = paired ? vx_guard_start(&m->party) : vx_meet(&m->party, vx_peer_seen(m));
	if (err) {
		atomic_store(&m->told, 1);	/* nobody was here */
		m->accepted = 1;
		atomic_store(&m->party.dead, 1);
		return err;
	}
	atomic_store(&m->met, 1);
	if (!m->party.polling)
		start_waker(node);
	return 0;
}

static int accept_program(struct shmem_node *node, uint64_t deadline)
{
	struct vx_mapping *m = node->m;
	uint64_t ghost = 0, attaching = 0;
	int err;

	for (;;) {
		uint64_t now = vx_now();
		bool legacy = !(node->options.flags & SHMEM_NO_LEGACY) &&
			!atomic_load(&m->told_attached) && atomic_load(m->state) == 0;	/* one of ours does not become another */
		enum vx_barrier at = legacy ? vx_at_barrier(m->barrier) : VX_NOBODY;

		/* Two living who paired at the barrier, or one who died there, leave it out of step: it is made anew with the
		 * rest. */
		if (at != VX_GHOST)
			ghost = 0;
		else if (!ghost)
			ghost = now;
		/* A program that died on its way in leaves the word between two states. */
		if (atomic_load(m->state) != VX_ATTACHING || vx_held(atomic_load(&m->fd), VX_PROGRAM_BYTE))
			attaching = 0;
		else if (!attaching)
			attaching = now;
		bool paired = at == VX_PAIRED && vx_peer_seen(m) == 1;
		bool unfit = (at == VX_PAIRED && !paired) || (ghost && now - ghost > VX_GHOST_UNSEEN_NS) ||
			(ghost && now - ghost > VX_GHOST_NS && !vx_peer_seen(m)) || (attaching && now - attaching > VX_GHOST_NS);
		if (unfit || (m->accepted && program_gone(m))) {	/* one that came and went meanwhile is still to be heard */
			if ((err = renew(node)))
				return err;
			m = node->m;
			ghost = attaching = 0;
			continue;
		}
		uint32_t state = atomic_load(m->state);
		if (state == VX_ATTACHED) {
			tell_attached(m);
			m->accepted = 1;
			return 0;
		}
		if (at == VX_WAITS || paired) {
			err = meet_program(node, paired);
			if (err == ENOMEM)
				return err;
			continue;
		}
		if (atomic_load(&m->party.closing))
			return ECANCELED;
		if (now >= deadline)
			return ETIMEDOUT;
		uint64_t look = now + BARRIER_LOOK_NS;
		vx_futex_wait(m->state, state, look < deadline ? look : deadline);
	}
}

VX_EXPORT int shmem_node_accept(struct shmem_node *node, const struct timespec *timeout)
{
	int err;

	if (!node)
		return vx_fail(-EINVAL);
	pthread_mutex_lock(&node->lock);
	pthread_cleanup_push(unlock, &node->lock);
	err = accept_program(node, vx_deadline(timeout));
	pthread_cleanup_pop(1);
	return err ? vx_fail(-err) : 0;
}

VX_EXPORT struct shmem_shared *shmem_node_shared(struct shmem_node *node)
{
	if (!node) {
		vx_fail(-EINVAL);
		return NULL;
	}
	return (struct shmem_shared *) (node->m->base + VX_SHARED_OFFSET);
}

VX_EXPORT struct pool *shmem_node_pool(struct shmem_node *node)
{
	if (!node) {
		vx_fail(-EINVAL);
		return NULL;
	}
	return node->m->pool;
}

/* A call on the present region, counted, so that an accept on another thread does not unmap it under the call. */
struct call {
	struct shmem_node *node;
	unsigned generation;
};

static struct vx_mapping *begin(struct call *c)
{
	for (;;) {
		c->generation = atomic_load(&c->node->generation);
		atomic_fetch_add(&c->node->calls[c->generation % GENERATIONS], 1);
		if (VX_LIKELY(atomic_load(&c->node->generation) == c->generation))
			return c->node->m;
		atomic_fetch_sub(&c->node->calls[c->generation % GENERATIONS], 1);
	}
}

static void finish(void *call)
{
	struct call *c = call;

	atomic_fetch_sub(&c->node->calls[c->generation % GENERATIONS], 1);
}

static int node_read(struct shmem_node *node, struct sample **smps, unsigned cnt, uint64_t deadline, bool once)
{
	struct call c = { .node = node };
	int n;

	if (VX_UNLIKELY(!node))
		return vx_fail(-EINVAL);
	struct vx_mapping *m = begin(&c);
	pthread_cleanup_push(finish, &c);
	n = vx_read(m, &m->in, smps, cnt, deadline, once);
	pthread_cleanup_pop(1);
	return n;
}

static int node_write(struct shmem_node *node, struct sample **smps, unsigned cnt, uint64_t deadline)
{
	struct call c = { .node = node };
	int n;

	if (VX_UNLIKELY(!node))
		return vx_fail(-EINVAL);
	struct vx_mapping *m = begin(&c);
	pthread_cleanup_push(finish, &c);
	n = vx_write(m, &m->out, &m->in, smps, cnt, deadline);
	pthread_cleanup_pop(1);
	return n;
}

VX_EXPORT int shmem_node_read(struct shmem_node *node, struct sample *smps[], unsigned cnt)
{
	return node_read(node, smps, cnt, VX_NEVER, true);
}

VX_EXPORT int shmem_node_read_timeout(struct shmem_node *node, struct sample *smps[], unsigned cnt,
	const struct timespec *timeout)
{
	return node_read(node, smps, cnt, vx_deadline(timeout), false);
}

VX_EXPORT int shmem_node_write(struct shmem_node *node, struct sample *smps[], unsigned cnt)
{
	return node_write(node, smps, cnt, 0);
}

VX_EXPORT int shmem_node_write_timeout(struct shmem_node *node, struct sample *smps[], unsigned cnt,
	const struct timespec *timeout)
{
	return node_write(node, smps, cnt, vx_deadline(timeout));
}

/* A reference-built program that is on its way into a wait misses a single broadcast: repeat it until it has gone. */
static void see_off(struct vx_mapping *m)
{
	uint64_t end = vx_now() + VX_GRACE_NS;

	vx_wake(&m->party, &m->out, VX_WAKE | VX_BROADCAST);
	if (m->party.polling || !atomic_load(&m->party.legacy))
		return;
	while (!vx_stopped(&m->in) && vx_now() < end && vx_peer_lives(m)) {
		vx_sleep(1000000);
		vx_wake(&m->party, &m->out, VX_BROADCAST);
	}
}

VX_EXPORT int shmem_node_command(struct shmem_node *node, pid_t pid)
{
	if (!node || pid < 0)
		return vx_fail(-EINVAL);
	int fd = pid ? (int) syscall(SYS_pidfd_open, pid, 0) : -1;
	if (pid && fd < 0)
		return -1;
	pthread_mutex_lock(&node->lock);
	if (node->command >= 0)
		close(node->command);
	node->command = node->m->command = fd;
	node->command_pid = node->m->command_pid = pid;
	pthread_mutex_unlock(&node->lock);
	return 0;
}

VX_EXPORT int shmem_node_close(struct shmem_node *node)
{
	if (!node)
		return vx_fail(-EINVAL);
	struct vx_mapping *m = node->m;
	bool owner = m->owner == (int) getpid();

	vx_guard_leave_by(&m->party, vx_now() + VX_GRACE_NS);
	atomic_store(&m->party.closing, 1);
	if (owner) {
		vx_leaf_region_retire(m);
		atomic_store(m->out.stopped, 1);
		vx_object_unlink(node->name, (dev_t) m->device, (ino_t) m->inode);
		vx_futex_wake(m->state);
	}
	pthread_mutex_lock(&node->lock);	/* an accept under way ends first */
	vx_drive_out(m);
	for (int i = 0; i < GENERATIONS && owner; i++) {
		while (atomic_load(&node->calls[i]))
			vx_sleep(1000000);
	}
	if (owner) {
		stop_waker(node);
		vx_open_barrier(m->barrier);	/* a program on its way in sees the end */
		see_off(m);
	}
	vx_unmap(m);
	sweep(node, true);
	pthread_mutex_unlock(&node->lock);
	pthread_mutex_destroy(&node->lock);
	if (node->command >= 0)
		close(node->command);
	free(node->name);
	free(node);
	return 0;
}
