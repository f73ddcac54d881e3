/* SPDX-License-Identifier: Apache-2.0 */

/* Whether the other side of a region lives. */

#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <sys/stat.h>

#include "guard.h"
#include "object.h"
#include "peer.h"

bool vx_still_open(struct vx_mapping *m)
{
	struct stat st;
	int fd = atomic_load(&m->fd);

	return fd >= 0 && !fstat(fd, &st) && (uint64_t) st.st_dev == m->device && (uint64_t) st.st_ino == m->inode;
}

/* The command that the node's user started has ended. */
static bool command_ended(struct vx_mapping *m)
{
	struct pollfd end = { .fd = m->command, .events = POLLIN };

	return m->command >= 0 && poll(&end, 1, 0) == 1 && end.revents & POLLIN;
}

int vx_peer_seen(struct vx_mapping *m)
{
	int first, n = vx_mapped_by_others((dev_t) m->device, (ino_t) m->inode, NULL, 0, &first);

	if (!n || vx_program_of(first, &m->peer_program))
		return 0;	/* nobody, or gone in the meantime */
	atomic_store(&m->peer, first);
	return n;
}

/* The one that was last seen to map the object is asked first; when it is gone, a child that it forked may still do,
 * which runs the same program, since exec would unmap. One that was never seen, since it is another user's or in another
 * container, can only be judged by the end of the command. */
bool vx_legacy_peer_lives(struct vx_mapping *m)
{
	int peer = atomic_load(&m->peer);

	if (peer && vx_maps(peer, (dev_t) m->device, (ino_t) m->inode))
		return true;
	if (command_ended(m) && (!peer || peer == m->command_pid))
		return false;
	if (!peer && atomic_load(&m->met))
		return true;
	if (!peer) {
		vx_peer_seen(m);
		return true;
	}
	int child;
	if (!vx_mapped_by_others((dev_t) m->device, (ino_t) m->inode, &m->peer_program, 0, &child))
		return false;
	atomic_store(&m->peer, child);
	return true;
}

bool vx_peer_lives(struct vx_mapping *m)
{
	int saved = errno;
	bool lives = true;

	if (m->node && atomic_load(m->state) != VX_ATTACHED)
		return true;	/* nobody is there yet */
	if (atomic_load(&m->party.legacy))
		lives = vx_legacy_peer_lives(m);
	else if (vx_still_open(m))
		lives = vx_held(atomic_load(&m->fd), m->node ? VX_PROGRAM_BYTE : VX_NODE_BYTE) != 0;
	if (!lives) {
		atomic_store(&m->party.dead, 1);
		vx_gone(m);
	}
	errno = saved;
	return lives;
}

bool vx_party_lives(struct vx_party *p)
{
	return vx_peer_lives(vx_mapping_of(p));
}

void vx_gone(struct vx_mapping *m)
{
	if (m->gone && !atomic_exchange(&m->told, 1))
		m->gone(m, !vx_stopped(m->node ? &m->in : &m->out));
}

void vx_look_after(struct vx_party *p, uint64_t now)
{
	uint64_t last = atomic_load_explicit(&p->looked, memory_order_relaxed);

	if (now - last < VX_LOOK_NS || !atomic_compare_exchange_strong(&p->looked, &last, now))
		return;
	vx_adopt(p);
	if (!atomic_load(&p->guarded))
		p->lives(p);
}
