/* SPDX-License-Identifier: Apache-2.0 */

/** Where samples lie in shared memory: see shmem_shared_blocks() and villas_pair_blocks(). Since 1.0.
 * @file */
#ifndef VILLAS_BLOCKS_H
#define VILLAS_BLOCKS_H

#include <stddef.h>

/** The samples of a pool: blocks that lie one behind the other. */
struct shmem_blocks {
	char *first;			/**< The first sample. */
	size_t count;			/**< Samples. */
	size_t stride;			/**< Bytes from one to the next. */
};

#endif
