/* SPDX-License-Identifier: Apache-2.0 */

/* Whether the other side of a region lives. */

#define _GNU_SOURCE
#include <errno.h>
#include <sys/stat.h>

#include "object.h"
#include "peer.h"

/* A peer without a lock is looked after by a scan of /proc, which costs milliseconds. */
#define LEGACY_LOOK_NS 150000000u

/* A program may close descriptors that are not its own (daemon(3) and the like): is fd still the object? */
static bool still_ours(struct vx_mapping *m, int fd)
{
	struct stat st;

	return fd >= 0 && !fstat(fd, &st) && (uint64_t) st.st_dev == m->device && (uint64_t) st.st_ino == m->inode;
}

/* A peer without a lock lives as long as some process maps the object, once one was seen to. Its maps are scanned
 * every so many looks only: that is hundreds of files. */
static bool legacy_peer_lives(struct vx_mapping *m)
{
	bool sure;
	int others = vx_mapped_by_others((dev_t) m->device, (ino_t) m->inode, &sure);

	if (others > 0)
		atomic_store(&m->peer_seen, 1);
	return others > 0 || !sure || !atomic_load(&m->peer_seen);
}

bool vx_peer_lives(struct vx_mapping *m)
{
	int saved = errno;
	bool lives = true;

	if (m->node && atomic_load(m->state) != VX_ATTACHED)
		return true;	/* nobody is there yet */
	if (atomic_load(&m->legacy))
		lives = legacy_peer_lives(m);
	else if (still_ours(m, atomic_load(&m->fd)))
		lives = vx_held(atomic_load(&m->fd), m->node ? VX_PROGRAM_BYTE : VX_NODE_BYTE) != 0;
	if (!lives)
		atomic_store(&m->dead, 1);
	errno = saved;
	return lives;
}

void vx_look_after(struct vx_mapping *m, uint64_t now)
{
	uint64_t last = atomic_load_explicit(&m->looked, memory_order_relaxed);
	uint64_t every = atomic_load(&m->legacy) ? LEGACY_LOOK_NS : VX_LOOK_NS;

	if (now - last >= every && atomic_compare_exchange_strong(&m->looked, &last, now) && last)
		vx_peer_lives(m);
}
