/* SPDX-License-Identifier: Apache-2.0 */

/** Allocators: the heap, huge pages, and regions that carry their own map.
 * @file */
#ifndef VILLAS_MEMORY_H
#define VILLAS_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <villas/common.h>

VILLAS_BEGIN_DECLS

#define HUGEPAGESIZE (1 << 21)		/**< Bytes of a huge page. */
#define DEFAULT_NR_HUGEPAGES 100	/**< Huge pages that memory_init() is usually asked for. */

struct memtype;

/** Allocate @p len bytes, aligned to @p alignment (a power of two); NULL without room. */
typedef void *(*memzone_allocator_t)(struct memtype *mem, size_t len, size_t alignment);

/** Give back what the allocator gave; 0, or non-zero on failure. */
typedef int (*memzone_deallocator_t)(struct memtype *mem, void *ptr, size_t len);

enum memtype_flags {
	MEMORY_MMAP	= (1 << 0),
	MEMORY_DMA	= (1 << 1),
	MEMORY_HUGEPAGE	= (1 << 2),
	MEMORY_HEAP	= (1 << 3)
};

/** An allocator. 48 bytes. */
struct memtype {
	const char *name;
	int flags;			/**< enum memtype_flags. */
	size_t alignment;		/**< As a power of two's exponent. */
	memzone_allocator_t alloc;
	memzone_deallocator_t free;
	void *_vd;			/**< The allocator's own. */
};

enum memblock_flags {
	MEMBLOCK_USED	= (1 << 0)
};

/** Descriptor in front of each block of a managed memory. 32 bytes. */
struct memblock {
	struct memblock *prev;
	struct memblock *next;
	size_t len;			/**< Bytes that follow this descriptor. */
	int flags;			/**< enum memblock_flags. */
};

/** A stretch of memory. */
struct memzone {
	struct memtype *const type;
	void *addr;
	uintptr_t physaddr;
	size_t len;
};

/** The C heap. Its functions are thread safe, not signal safe. */
extern struct memtype memtype_heap;

/** Private huge pages of 2 MiB; NULL (errno ENOMEM) where none are reserved, see memory_init(). */
extern struct memtype memtype_hugepage;

/** Have at least @p hugepages huge pages reserved in the whole system and raise RLIMIT_MEMLOCK to that much, or as far
 * as this process may. Needs CAP_SYS_ADMIN where pages are missing.
 * @return 0; -1 with errno. Thread safe. */
int memory_init(int hugepages);

/** Allocate @p len bytes aligned to 8.
 * @return the memory; NULL with errno EINVAL (NULL @p mem), ENOMEM, or EPERM: @p mem lies in a region that
 * shmem_shared_open() mapped, which is laid out already. As thread safe as the allocator. */
void *memory_alloc(struct memtype *mem, size_t len);

/** The same, aligned to @p alignment bytes, a power of two. */
void *memory_alloc_aligned(struct memtype *mem, size_t len, size_t alignment);

/** Give @p len bytes at @p ptr back to the allocator they came from. @return 0; -1 with errno. */
int memory_free(struct memtype *mem, void *ptr, size_t len);

/** Turn @p len bytes at @p ptr (aligned to 8, at least 88 of them) into a first-fit allocator whose descriptors stand
 * in that memory. Its allocations are not thread safe.
 * @return the allocator, at @p ptr; NULL with errno EINVAL. */
struct memtype *memtype_managed_init(void *ptr, size_t len);

/** memtype_managed_init()'s functions: allocate, and free with both neighbours merged. */
void *memory_managed_alloc(struct memtype *mem, size_t len, size_t alignment);
int memory_managed_free(struct memtype *mem, void *ptr, size_t len);

/** memtype_heap's free. @return 0. */
int memory_heap_free(struct memtype *mem, void *ptr, size_t len);

VILLAS_END_DECLS

#endif
