/* SPDX-License-Identifier: Apache-2.0 */

/** The shmem node-type's settings.
 * @file */
#ifndef VILLAS_NODES_SHMEM_H
#define VILLAS_NODES_SHMEM_H

#include <villas/memory.h>
#include <villas/node.h>
#include <villas/pool.h>
#include <villas/queue.h>
#include <villas/shmem.h>

VILLAS_BEGIN_DECLS

/** A shmem node. 64 bytes. */
struct shmem {
	const char *name;		/**< Of the shared memory object. */
	int samplelen;			/**< Values. */
	int queuelen;			/**< Elements. */
	int polling;
	char **exec;			/**< External program and its arguments; NULL: none is started. */
	struct memtype *manager;	/**< The region's allocator. */
	int fd;				/**< Of the shared memory object. */
	void *base;			/**< Of the region. */
	struct shmem_shared *shared;
};

VILLAS_END_DECLS

#endif
