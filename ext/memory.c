/* SPDX-License-Identifier: Apache-2.0 */

/* Allocators, and the structures that are made with them: memtypes, queues, pools. The structures themselves are
 * leaves; what is called through a memtype's pointers, and the system, is here. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <villas/kernel/kernel.h>
#include <villas/memory.h>
#include <villas/pool.h>
#include <villas/queue.h>

#include "leaf.h"

#define HUGEPAGE ((size_t) 1 << 21)

/* Allocators see the length as asked for; what memory_free gets must be the same. */

static void *heap_alloc(struct memtype *m, size_t len, size_t alignment)
{
	void *p = NULL;

	if (alignment < sizeof(void *))
		alignment = sizeof(void *);
	int err = posix_memalign(&p, alignment, len);
	if (err) {
		errno = err;
		return NULL;
	}
	return p;
}

VX_EXPORT int memory_heap_free(struct memtype *m, void *ptr, size_t len)
{
	free(ptr);
	return 0;
}

static size_t hugepages(size_t len)
{
	return (len + HUGEPAGE - 1) & ~(HUGEPAGE - 1);
}

static void *hugepage_alloc(struct memtype *m, size_t len, size_t alignment)
{
	void *p = mmap(NULL, hugepages(len), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int hugepage_free(struct memtype *m, void *ptr, size_t len)
{
	return munmap(ptr, hugepages(len));
}

VX_EXPORT struct memtype memtype_heap = {
	.name = "heap", .flags = MEMORY_HEAP, .alignment = 1, .alloc = heap_alloc, .free = memory_heap_free,
};

VX_EXPORT struct memtype memtype_hugepage = {
	.name = "mmap_hugepages", .flags = MEMORY_MMAP | MEMORY_HUGEPAGE, .alignment = 21,
	.alloc = hugepage_alloc, .free = hugepage_free,
};

VX_EXPORT void *memory_managed_alloc(struct memtype *m, size_t len, size_t alignment)
{
	if (!m) {
		vx_fail(-EINVAL);
		return NULL;
	}
	vx_need_leaves();
	void *p = vx_leaf_managed_alloc(m, len, alignment);
	if (!p)
		errno = ENOMEM;
	return p;
}

VX_EXPORT int memory_managed_free(struct memtype *m, void *ptr, size_t len)
{
	if (!m || !ptr)
		return vx_fail(-EINVAL);
	vx_need_leaves();
	return vx_leaf_managed_free(m, ptr) ? 0 : vx_fail(-EINVAL);
}

VX_EXPORT struct memtype *memtype_managed_init(void *ptr, size_t len)
{
	struct memtype *m = ptr;

	vx_need_leaves();
	if (!vx_leaf_managed_init(ptr, len)) {
		vx_fail(-EINVAL);
		return NULL;
	}
	m->name = "managed";
	m->alloc = memory_managed_alloc;
	m->free = memory_managed_free;
	return m;
}

/* No pointer in a region is followed: a memtype that lies in one is the region's own allocator, whatever its words
 * say. Only the node may use it, and only before a program is there. */
static bool in_region(const void *p)
{
	vx_need_leaves();
	return vx_find(p) != NULL;
}

VX_EXPORT void *memory_alloc_aligned(struct memtype *m, size_t len, size_t alignment)
{
	if (!m || alignment & (alignment - 1)) {
		vx_fail(-EINVAL);
		return NULL;
	}
	if (in_region(m)) {
		vx_fail(-EPERM);
		return NULL;
	}
	return m->alloc(m, len, alignment);
}

VX_EXPORT void *memory_alloc(struct memtype *m, size_t len)
{
	return memory_alloc_aligned(m, len, sizeof(void *));
}

VX_EXPORT int memory_free(struct memtype *m, void *ptr, size_t len)
{
	if (!m)
		return vx_fail(-EINVAL);
	if (in_region(m))
		return vx_fail(-EPERM);
	return m->free(m, ptr, len);
}

VX_EXPORT int memory_init(int hugepages)
{
	struct rlimit limit;
	rlim_t want = (rlim_t) (hugepages < 0 ? 0 : hugepages) * HUGEPAGE;

	if (hugepages < 0)
		return vx_fail(-EINVAL);
	if (kernel_get_nr_hugepages() < hugepages && kernel_set_nr_hugepages(hugepages))
		return -1;
	if (getrlimit(RLIMIT_MEMLOCK, &limit))
		return -1;
	if (limit.rlim_cur < want) {
		struct rlimit more = { want, limit.rlim_max < want ? want : limit.rlim_max };
		if (setrlimit(RLIMIT_MEMLOCK, &more)) {
			limit.rlim_cur = limit.rlim_max;	/* as far as we may */
			return setrlimit(RLIMIT_MEMLOCK, &limit);
		}
	}
	return 0;
}

/* Queues and pools. -2 is the answer the original gives when the allocator has no room. */
#define NO_ROOM (-2)

VX_EXPORT int queue_init(struct queue *q, size_t size, struct memtype *mem)
{
	if (!q || !mem)
		return vx_fail(-EINVAL);
	vx_need_leaves();
	size_t cells = vx_leaf_queue_cells(size);
	if (!cells)
		return NO_ROOM;
	void *buffer = memory_alloc(mem, cells * sizeof(struct queue_cell));
	if (!buffer)
		return NO_ROOM;
	vx_leaf_queue_init(q, buffer, cells, mem);
	return 0;
}

/* Give back what a structure was made of. A structure in a region goes with the region. */
static int give_back(void *mem, void *buffer, size_t len)
{
	return in_region(mem) ? 0 : memory_free(mem, buffer, len);
}

VX_EXPORT int queue_destroy(struct queue *q)
{
	void *mem, *buffer;

	if (!q)
		return vx_fail(-EINVAL);
	vx_need_leaves();
	if (q->state != STATE_INITIALIZED)
		return 0;
	size_t len = vx_leaf_queue_destroy(q, &mem, &buffer);
	return give_back(mem, buffer, len);
}

VX_EXPORT int pool_init(struct pool *p, size_t cnt, size_t blocksz, struct memtype *mem)
{
	size_t len;

	if (!p || !mem || !cnt)
		return vx_fail(-EINVAL);
	vx_need_leaves();
	if (blocksz > SIZE_MAX / 2)
		return vx_fail(-EINVAL);
	blocksz = (blocksz + CACHELINE_SIZE - 1) & ~((size_t) CACHELINE_SIZE - 1);
	if (__builtin_mul_overflow(blocksz, cnt, &len))
		return NO_ROOM;
	void *buffer = memory_alloc_aligned(mem, len, CACHELINE_SIZE);
	if (!buffer)
		return NO_ROOM;
	if (queue_init(&p->queue, cnt, mem)) {
		memory_free(mem, buffer, len);
		return NO_ROOM;
	}
	vx_leaf_pool_init(p, buffer, blocksz, cnt, mem);
	return 0;
}

VX_EXPORT int pool_destroy(struct pool *p)
{
	void *mem, *buffer;

	if (!p)
		return vx_fail(-EINVAL);
	vx_need_leaves();
	if (p->state != STATE_INITIALIZED)
		return 0;
	int failed = queue_destroy(&p->queue);
	size_t len = vx_leaf_pool_destroy(p, &mem, &buffer);
	return give_back(mem, buffer, len) || failed ? -1 : 0;
}
