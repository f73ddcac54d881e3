/* SPDX-License-Identifier: Apache-2.0 */

/* POSIX shared memory objects by name, and the locks by which two sides know of each other's life. */
#ifndef VX_OBJECT_H
#define VX_OBJECT_H

#include <limits.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "leaf.h"

/* Bytes of the object, far past its end, that a side locks for as long as it lives. */
#define VX_NODE_BYTE 0x4000000000000001L
#define VX_PROGRAM_BYTE 0x4000000000000002L

/* The path of the object called name; 0 or an errno value. */
VX_HIDDEN int vx_object_path(const char *name, char path[PATH_MAX]);

/* A descriptor of the existing object, or minus an errno value. */
VX_HIDDEN int vx_object_open(const char *name);

/* A new object of size bytes, with room for all of them, that has no name yet: a descriptor or minus an errno value. path
 * leads to it as long as that is open; if this process dies before it is published nothing is left. */
VX_HIDDEN int vx_object_create(char path[PATH_MAX], size_t size, mode_t mode, gid_t group);

/* Give the object at path the name: EEXIST if it is taken and replace does not name the inode it leads to now. */
VX_HIDDEN int vx_object_publish(const char *path, const char *name, const struct stat *replace);

/* Give the object at path the name, in place of one that somebody dead left there; a living one's stays: EEXIST. ours
 * tells whether one of ours made an object, so that the lock of its maker, VX_NODE_BYTE, tells whether that lives. */
VX_HIDDEN int vx_object_take(const char *path, const char *name, bool (*ours)(int fd, size_t size));

/* Whether the name leads to the object. */
VX_HIDDEN bool vx_object_named(const char *name, dev_t device, ino_t inode);

/* Remove the name if it leads to the object. */
VX_HIDDEN void vx_object_unlink(const char *name, dev_t device, ino_t inode);

/* Remove the name of an object that is open, but leave it where another process than except maps the object. The name
 * goes first and comes back then, so that nobody comes between the look and the removal. */
VX_HIDDEN void vx_object_tidy(const char *name, dev_t device, ino_t inode, int except);

/* Map size bytes of fd, touched once so that no page faults later, and locked into memory if asked. */
VX_HIDDEN void *vx_object_map(int fd, size_t size, bool lock, int *err);
VX_HIDDEN void vx_object_unmap(void *base, size_t size);

/* Lock byte of the object fd until the process dies or vx_unhold: the page that keeps the lock, or NULL and *err.
 * The lock's file description is referenced by that page alone, and a forked child does not get it. */
VX_HIDDEN void *vx_hold(int fd, long byte, int *err);
VX_HIDDEN void vx_unhold(void *page);

/* 1: somebody holds byte; 0: nobody; -1: cannot tell. */
VX_HIDDEN int vx_held(int fd, long byte);

/* Whether the object is a region that a node of ours made: then its lock tells whether the node lives. */
VX_HIDDEN bool vx_is_ours(int fd, size_t size);

/* Whether the process pid maps the object of the inode; false also where that cannot be seen. */
VX_HIDDEN bool vx_maps(int pid, dev_t device, ino_t inode);

/* The program that a process runs: 0, or -1 where that cannot be seen. Unlike maps it can be asked for without waiting
 * for the process's memory, which takes seconds where that has no CPU. */
VX_HIDDEN int vx_program_of(long pid, struct stat *program);

/* How many other processes map it, none, one, or two and more, and the first, rather one that runs another program than
 * this one, which a forked child does: 0 also where that cannot be seen. With program set only those that run it are
 * looked into, and never the process except. */
VX_HIDDEN int vx_mapped_by_others(dev_t device, ino_t inode, const struct stat *program, int except, int *first);

#endif
