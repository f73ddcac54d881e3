/* SPDX-License-Identifier: Apache-2.0 */

/* POSIX shared memory objects by name, and the locks by which two sides know of each other's life. */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "clock.h"
#include "object.h"

/* Where glibc keeps shared memory objects on Linux. */
#define SHM_DIR "/dev/shm/"

int vx_object_path(const char *name, char path[PATH_MAX])
{
	if (!name)
		return EINVAL;
	while (*name == '/')
		name++;
	if (!*name || strchr(name, '/') || !strcmp(name, ".") || !strcmp(name, ".."))
		return EINVAL;
	if (strlen(name) > NAME_MAX)
		return ENAMETOOLONG;
	snprintf(path, PATH_MAX, SHM_DIR "%s", name);
	return 0;
}

int vx_object_open(const char *name)
{
	char path[PATH_MAX];
	int err = vx_object_path(name, path);

	if (err)
		return -err;
	int fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

int vx_object_create(char path[PATH_MAX], size_t size, mode_t mode, gid_t group)
{
	int err, fd = open(SHM_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	snprintf(path, PATH_MAX, "/proc/self/fd/%d", fd);
	do
		err = posix_fallocate(fd, 0, (off_t) size);
	while (err == EINTR);
	if (!err && group != (gid_t) -1 && fchown(fd, (uid_t) -1, group))
		err = errno;
	if (!err && fchmod(fd, mode))
		err = errno;
	if (err) {
		close(fd);
		return -err;
	}
	return fd;
}

/* A path that nobody else uses. */
static void temporary(char path[PATH_MAX])
{
	static _Atomic unsigned count;

	snprintf(path, PATH_MAX, SHM_DIR ".villas-ext.%d.%u.%llx", (int) getpid(), atomic_fetch_add(&count, 1),
		(unsigned long long) vx_now());
}

/* Link the object at path under a name that nobody else has, to be renamed. */
static int link_somewhere(const char *path, char somewhere[PATH_MAX])
{
	for (;;) {
		temporary(somewhere);
		if (!linkat(AT_FDCWD, path, AT_FDCWD, somewhere, AT_SYMLINK_FOLLOW))
			return 0;
		if (errno != EEXIST)
			return errno;
	}
}

int vx_object_publish(const char *path, const char *name, const struct stat *replace)
{
	char target[PATH_MAX], somewhere[PATH_MAX];
	struct stat now;
	int err = vx_object_path(name, target);

	if (err)
		return err;
	if (!replace)
		return linkat(AT_FDCWD, path, AT_FDCWD, target, AT_SYMLINK_FOLLOW) ? errno : 0;
	if (lstat(target, &now))
		return errno;
	if (!S_ISREG(now.st_mode) || now.st_dev != replace->st_dev || now.st_ino != replace->st_ino)
		return EEXIST;
	if (now.st_uid != geteuid())
		return EACCES;
	if ((err = link_somewhere(path, somewhere)))
		return err;
	if (!rename(somewhere, target))
		return 0;
	err = errno;
	unlink(somewhere);
	return err;
}

int vx_object_take(const char *path, const char *name, bool (*ours)(int fd, size_t size))
{
	struct stat st;
	int err;

	for (int tries = 0; tries < 100; tries++) {
		err = vx_object_publish(path, name, NULL);
		if (err != EEXIST)
			return err;
		int fd = vx_object_open(name);
		if (fd == -ENOENT)
			continue;
		if (fd < 0)	/* another user's, or a symbolic link */
			return fd == -EACCES || fd == -ELOOP ? EACCES : EEXIST;
		void *hold = vx_hold(fd, VX_NODE_BYTE, &err);	/* the dead one's lock: nobody else replaces it now */
		int other;
		bool stale = hold && !fstat(fd, &st);
		if (stale)	/* who is not ours holds no lock, but maps what it made */
			stale = ours(fd, (size_t) st.st_size) || !vx_mapped_by_others(st.st_dev, st.st_ino, NULL, 0, &other);
		if (stale)
			err = vx_object_publish(path, name, &st);
		vx_unhold(hold);
		close(fd);
		if (!stale)
			return EEXIST;
		if (err != ENOENT && err != EEXIST)
			return err;
	}
	return EEXIST;
}

bool vx_object_named(const char *name, dev_t device, ino_t inode)
{
	char path[PATH_MAX];
	struct stat st;

	return !vx_object_path(name, path) && !lstat(path, &st) && st.st_dev == device && st.st_ino == inode;
}

void vx_object_unlink(const char *name, dev_t device, ino_t inode)
{
	char path[PATH_MAX];

	if (vx_object_named(name, device, inode) && !vx_object_path(name, path))
		unlink(path);
}

void vx_object_tidy(const char *name, dev_t device, ino_t inode, int except)
{
	char path[PATH_MAX], aside[PATH_MAX];
	int other;

	temporary(aside);
	if (!vx_object_named(name, device, inode) || vx_object_path(name, path) || rename(path, aside))
		return;
	if (vx_mapped_by_others(device, inode, NULL, except, &other) && link(aside, path))
		errno = 0;	/* somebody else has the name by now */
	unlink(aside);
}

static size_t page(void)
{
	return (size_t) sysconf(_SC_PAGESIZE);
}

/* In builds with the tag bounds so much address space before and behind a mapping faults when touched. */
#ifdef VX_BOUNDS
#define RESERVED (4ul << 30)
#else
#define RESERVED 0ul
#endif

static size_t whole_pages(size_t size)
{
	return (size + page() - 1) & ~(page() - 1);
}

static char *reserve(size_t size)
{
	if (!RESERVED)
		return NULL;
	char *p = mmap(NULL, whole_pages(size) + 2 * RESERVED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return p == MAP_FAILED ? NULL : p + RESERVED;
}

void *vx_object_map(int fd, size_t size, bool lock, int *err)
{
	char *at = reserve(size);
	void *p = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE | (at ? MAP_FIXED : 0), fd, 0);

	if (p == MAP_FAILED) {
		*err = errno;
		return NULL;
	}
	if (lock && mlock(p, size)) {
		*err = errno;
		vx_object_unmap(p, size);
		return NULL;
	}
	return p;
}

void vx_object_unmap(void *base, size_t size)
{
	munmap((char *) base - RESERVED, whole_pages(size) + 2 * RESERVED);
}

void *vx_hold(int fd, long byte, int *err)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
	char self[64];

	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	int own = open(self, O_RDWR | O_CLOEXEC);
	if (own < 0) {
		*err = errno;
		return NULL;
	}
	void *p = MAP_FAILED;
	if (!fcntl(own, F_OFD_SETLK, &lock)) {
		p = mmap(NULL, page(), PROT_NONE, MAP_SHARED, own, 0);
		if (p != MAP_FAILED && madvise(p, page(), MADV_DONTFORK)) {
			*err = errno;
			munmap(p, page());
			close(own);
			return NULL;
		}
	}
	*err = errno == EACCES ? EAGAIN : errno;
	close(own);
	return p == MAP_FAILED ? NULL : p;
}

void vx_unhold(void *p)
{
	if (p)
		munmap(p, page());
}

int vx_held(int fd, long byte)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (fcntl(fd, F_OFD_GETLK, &lock))
		return -1;
	return lock.l_type != F_UNLCK;
}

bool vx_is_ours(int fd, size_t size)
{
	struct vx_mapping *m;
	bool ours = false;
	int err;
	char *base = size ? vx_object_map(fd, size, false, &err) : NULL;

	if (base && !vx_leaf_region_attach(base, size, &m)) {
		ours = m->state != NULL;
		vx_leaf_region_detach(m);
	}
	if (base)
		vx_object_unmap(base, size);
	return ours;
}

static bool maps(long pid, dev_t device, ino_t inode)
{
	char path[64], wanted[64], *line = NULL;
	size_t room = 0;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%ld/maps", pid);
	snprintf(wanted, sizeof(wanted), " %02x:%02x %llu ", major(device), minor(device), (unsigned long long) inode);
	FILE *f = fopen(path, "re");
	if (!f)
		return false;
	while (!found && getline(&line, &room, f) > 0)
		found = strstr(line, wanted) != NULL;
	free(line);
	fclose(f);
	return found;
}

bool vx_maps(int pid, dev_t device, ino_t inode)
{
	int state;

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	bool found = maps(pid, device, inode);
	pthread_setcancelstate(state, NULL);
	return found;
}

int vx_program_of(long pid, struct stat *program)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/exe", pid);
	return stat(path, program);
}

static bool runs(long pid, const struct stat *program)
{
	struct stat its;

	return !vx_program_of(pid, &its) && its.st_dev == program->st_dev && its.st_ino == program->st_ino;
}

int vx_mapped_by_others(dev_t device, ino_t inode, const struct stat *program, int except, int *first)
{
	struct dirent *entry;
	struct stat own;
	int state, found = 0;
	bool foreign = vx_program_of(getpid(), &own) != 0;	/* the first is no child of ours, as far as can be told */

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);	/* reading files is a cancellation point */
	DIR *proc = opendir("/proc");
	while (proc && (found < 2 || !foreign) && (entry = readdir(proc))) {
		char *end;
		long pid = strtol(entry->d_name, &end, 10);
		if (*end || pid <= 0 || pid == getpid() || pid == except)
			continue;
		if ((program && !runs(pid, program)) || !maps(pid, device, inode))
			continue;
		bool other = !runs(pid, &own);
		if (!found++ || (other && !foreign)) {
			*first = (int) pid;
			foreign |= other;
		}
	}
	if (proc)
		closedir(proc);
	pthread_setcancelstate(state, NULL);
	return found;
}
