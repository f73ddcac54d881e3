/* SPDX-License-Identifier: Apache-2.0 */

/* What both sides of a region do alike: read, write, give up a mapping. */
#ifndef VX_SIDE_H
#define VX_SIDE_H

#include <sys/stat.h>

#include "leaf.h"
#include "wait.h"

struct sample;

/* Read from c: as shmem_shared_read, by deadline. once: in polling mode an empty queue is 0 at once. */
VX_HIDDEN int vx_read(struct vx_mapping *m, struct vx_channel *c, struct sample **smps, unsigned cnt, uint64_t deadline,
	bool once);

/* Write to c: as shmem_shared_write, waiting for room by deadline; 0 does not wait. back is the other direction, whose
 * writer is the one that reads c. */
VX_HIDDEN int vx_write(struct vx_mapping *m, struct vx_channel *c, struct vx_channel *back, struct sample **smps,
	unsigned cnt, uint64_t deadline);

/* How long one who leaves stays for the other side to come out of what both share. */
#define VX_GRACE_NS 1000000000u

/* Fill in what the leaf region_attach leaves to C, for the region in the object fd. spin: see vx_spin_setting. */
VX_HIDDEN void vx_mapped(struct vx_mapping *m, int fd, const struct stat *st, int spin);

/* End this process's waiting calls on m and wait until they have returned. */
VX_HIDDEN void vx_drive_out(struct vx_mapping *m);

/* Unmap and forget; everything but the shared words. */
VX_HIDDEN void vx_unmap(struct vx_mapping *m);

#endif
