/* SPDX-License-Identifier: Apache-2.0 */

/* Named semaphores as glibc's sem_open keeps them: a sem_t in the file /dev/shm/sem.NAME. Opened without sem_open, since
 * that does not tell which file it opened. */
#ifndef VX_SEM_H
#define VX_SEM_H

#include <limits.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "leaf.h"

struct vx_semaphore {
	char name[NAME_MAX + 5];	/* of the file, with "sem." in front */
	sem_t *sem;			/* NULL: not open */
	dev_t device;
	ino_t inode;
	bool made;			/* by us */
};

/* Open the semaphore of the object called name; if make, make it with value 0 where there is none. 0 or an errno value. */
VX_HIDDEN int vx_semaphore_open(struct vx_semaphore *s, const char *name, bool make, mode_t mode, gid_t group);

/* Close it, if it is open. */
VX_HIDDEN void vx_semaphore_close(struct vx_semaphore *s);

/* Take one, waiting until deadline: a cancellation point. */
VX_HIDDEN bool vx_semaphore_take(struct vx_semaphore *s, uint64_t deadline);

/* Take all there are. */
VX_HIDDEN void vx_semaphore_drain(struct vx_semaphore *s);

VX_HIDDEN int vx_semaphore_value(struct vx_semaphore *s);

/* What became of its name. */
enum vx_semaphore_name { VX_NAMED, VX_NAMELESS, VX_REPLACED };
VX_HIDDEN enum vx_semaphore_name vx_semaphore_look(struct vx_semaphore *s);

#endif
