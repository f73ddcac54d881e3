/* SPDX-License-Identifier: Apache-2.0 */

/** What all headers share: C and C++ linkage, states, names of helper functions.
 * @file */
#ifndef VILLAS_COMMON_H
#define VILLAS_COMMON_H

#ifdef __cplusplus
#define VILLAS_BEGIN_DECLS extern "C" {
#define VILLAS_END_DECLS }
#else
#define VILLAS_BEGIN_DECLS
#define VILLAS_END_DECLS
#endif

/* Helper functions of the original have names like error, warn, line, alloc. In this library a recompiled program
 * reaches them under a name that nobody else has: the assembler name of the declaration is villas_<name>, the C name
 * stays. The old names are there for old binaries only and capture nothing at link time.
 * VILLAS_EXT_PLAIN_NAMES declares the old names: what a build against the original's headers did. */
#ifdef VILLAS_EXT_PLAIN_NAMES
#define VILLAS_HELPER(name)
#else
#define VILLAS_HELPER(name) __asm__("villas_" #name)
#endif

#ifndef CACHELINE_SIZE
#define CACHELINE_SIZE 64 /**< Bytes of a cache line, as the layout assumes it. */
#endif

/** State of a structure or a node. */
enum state {
	STATE_DESTROYED		= 0,
	STATE_INITIALIZED	= 1,
	STATE_PARSED		= 2,
	STATE_CHECKED		= 3,
	STATE_STARTED		= 4,
	STATE_LOADED		= 4,	/**< Alias. */
	STATE_STOPPED		= 5,
	STATE_UNLOADED		= 5	/**< Alias. */
};

#endif
