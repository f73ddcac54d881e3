/* SPDX-License-Identifier: Apache-2.0 */

/* Named semaphores, see sem.h. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "clock.h"
#include "object.h"
#include "sem.h"

/* The semaphore in the file fd. */
static int attach(struct vx_semaphore *s, int fd)
{
	struct stat st;
	int err = 0;

	if (fstat(fd, &st))
		return errno;
	if (!S_ISREG(st.st_mode) || st.st_size < (off_t) sizeof(sem_t))
		return EPROTO;
	s->sem = vx_object_map(fd, sizeof(sem_t), false, &err);
	s->device = st.st_dev;
	s->inode = st.st_ino;
	return err;
}

static int make(struct vx_semaphore *s, mode_t mode, gid_t group)
{
	char path[PATH_MAX];
	int fd = vx_object_create(path, sizeof(sem_t), mode, group);

	if (fd < 0)
		return -fd;
	int err = attach(s, fd);
	if (!err)
		err = sem_init(s->sem, 1, 0) ? errno : vx_object_publish(path, s->name, NULL);
	if (err)
		vx_semaphore_close(s);
	s->made = !err;
	close(fd);
	return err;
}

int vx_semaphore_open(struct vx_semaphore *s, const char *name, bool want, mode_t mode, gid_t group)
{
	char path[PATH_MAX];
	int err = vx_object_path(name, path);

	if (err)
		return err;
	while (*name == '/')
		name++;
	*s = (struct vx_semaphore) { .made = false };
	snprintf(s->name, sizeof(s->name), "sem.%s", name);
	for (;;) {
		int fd = vx_object_open(s->name);
		if (fd >= 0) {
			err = attach(s, fd);
			close(fd);
			return err;
		}
		if (fd != -ENOENT || !want)
			return fd == -ELOOP ? EACCES : -fd;
		err = make(s, mode, group);
		if (err != EEXIST)
			return err;
	}
}

void vx_semaphore_close(struct vx_semaphore *s)
{
	if (s->sem)
		vx_object_unmap(s->sem, sizeof(sem_t));
	s->sem = NULL;
}

bool vx_semaphore_take(struct vx_semaphore *s, uint64_t deadline)
{
	struct timespec at = vx_timespec(deadline);

	return !sem_clockwait(s->sem, CLOCK_MONOTONIC, &at);
}

void vx_semaphore_drain(struct vx_semaphore *s)
{
	while (!sem_trywait(s->sem))
		;
}

int vx_semaphore_value(struct vx_semaphore *s)
{
	int value = 0;

	sem_getvalue(s->sem, &value);
	return value;
}

enum vx_semaphore_name vx_semaphore_look(struct vx_semaphore *s)
{
	char path[PATH_MAX];
	struct stat st;

	if (vx_object_path(s->name, path) || lstat(path, &st))
		return VX_NAMELESS;
	return st.st_dev == s->device && st.st_ino == s->inode ? VX_NAMED : VX_REPLACED;
}
