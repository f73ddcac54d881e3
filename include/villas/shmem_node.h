/* SPDX-License-Identifier: Apache-2.0 */

/** The node's side of a shared memory region. Since 1.0.
 * @file */
#ifndef VILLAS_SHMEM_NODE_H
#define VILLAS_SHMEM_NODE_H

#include <sys/types.h>

#include <villas/shmem.h>

VILLAS_BEGIN_DECLS

/** A node: like a listening socket, it has a name, and programs come and go one after the other. */
struct shmem_node;

/** What a node hears of, see shmem_node_options.event. */
enum shmem_event {
	SHMEM_PROGRAM_ATTACHED = 1,	/**< A program was accepted. */
	SHMEM_PROGRAM_STOPPED = 2,	/**< It has closed the region. */
	SHMEM_PROGRAM_DIED = 3,		/**< It is dead. */
	SHMEM_MUTEX_STUCK = 4		/**< A program of the original holds the mutex of a queue for more than 50 ms, stopped or
					 *   dead: until it can be had again readers look every millisecond instead. */
};

/** For shmem_node_create(); begin with SHMEM_NODE_OPTIONS_INIT. */
struct shmem_node_options {
	size_t size;			/**< sizeof(struct shmem_node_options). */
	int queuelen;			/**< Elements of either queue, 1 up; the pool has twice as many samples. */
	int samplelen;			/**< Values of a sample, 0 up. */
	int polling;			/**< Readers of both sides poll; else they sleep and are woken. */
	unsigned flags;			/**< SHMEM_NO_LEGACY, SHMEM_LOCK_MEMORY. */
	int spin;			/**< Longest spin before a sleep in microseconds; -1: environment VILLAS_EXT_SPIN, or 50. */
	mode_t mode;			/**< Permissions of the object. */
	gid_t group;			/**< Of the object; (gid_t) -1: the process's. */

	/** Called once for each event, on whichever thread finds out; must not call functions of the node. NULL: none.
	 * That a program is gone is found out by calls of this side while they wait, find a queue empty or full, and by
	 * accept. @p pid of the program, 0 where it is not known. */
	void (*event)(struct shmem_node *node, enum shmem_event event, int pid, void *context);
	void *context;			/**< For event. */
};

#define SHMEM_NODE_OPTIONS_INIT \
	{ sizeof(struct shmem_node_options), DEFAULT_SHMEM_QUEUELEN, DEFAULT_SHMEM_SAMPLELEN, 0, 0, -1, 0600, (gid_t) -1, 0, 0 }

/* Thread, signal, fork and cancellation safety are those of the calls in <villas/shmem.h>. */

/** Put a region under the name @p name. One that a dead node left there is replaced.
 * @param options NULL: the defaults.
 * @return the node; NULL with errno EEXIST (a living node has the name), EINVAL, ENAMETOOLONG, ENOSPC (no room for the
 * whole region), EACCES (the name is another user's), ENOMEM. Does not wait for a program. */
struct shmem_node *shmem_node_create(const char *name, const struct shmem_node_options *options);

/** Wait for an external program. If the former one has gone, a fresh region is put under the name first: samples of
 * the former region stay valid until they are put, but can no longer be written.
 * @return 0 once a program is attached, at once if one is, also if it has come and gone since the former call: what it
 * sent is still to be read; -1 with errno ETIMEDOUT, ECANCELED, EINVAL. */
int shmem_node_accept(struct shmem_node *node, const struct timespec *timeout);

/** Tell that the node's programs come from the command with the process id @p pid, which this process has started; 0: no
 * more. A program built with the original, which no process is seen to map the region for (it may be another user's, or
 * in another container), counts as dead when the command has ended.
 * @return 0; -1 with errno EINVAL, ESRCH (there is no such process), EMFILE, ENOSYS (Linux before 5.3). */
int shmem_node_command(struct shmem_node *node, pid_t pid);

/** The pool of the present region, for sample_alloc(); valid until the next accept that makes a fresh one. */
struct pool *shmem_node_pool(struct shmem_node *node);

/** The shared structures of the present region, likewise. */
struct shmem_shared *shmem_node_shared(struct shmem_node *node);

/** As shmem_shared_read(), from the program: -1 with EPIPE or EOWNERDEAD once it has gone and all is read. */
int shmem_node_read(struct shmem_node *node, struct sample *smps[], unsigned cnt);
int shmem_node_read_timeout(struct shmem_node *node, struct sample *smps[], unsigned cnt, const struct timespec *timeout);

/** As shmem_shared_write(), to the program. Samples may be written before one is attached. */
int shmem_node_write(struct shmem_node *node, struct sample *smps[], unsigned cnt);
int shmem_node_write_timeout(struct shmem_node *node, struct sample *smps[], unsigned cnt, const struct timespec *timeout);

/** Tell the program that the node stops, remove the name, unmap, and free @p node. Samples must no longer be used.
 * @return 0; -1 with errno EINVAL. */
int shmem_node_close(struct shmem_node *node);

VILLAS_END_DECLS

#endif
