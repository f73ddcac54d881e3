/* SPDX-License-Identifier: Apache-2.0 */

/* Data symbols have one address and one value for program and library: what either writes, the other sees. */
#include <dlfcn.h>

#include <villas/log.h>

#include "host.h"

static struct log own;
static int allocated;
static void *(*heap)(struct memtype *, size_t, size_t);

static void *count(struct memtype *m, size_t len, size_t alignment)
{
	allocated++;
	return heap(m, len, alignment);
}

int main(void)
{
	struct queue q;

	CHECK(dlsym(RTLD_DEFAULT, "memtype_heap") == (void *) &memtype_heap);
	CHECK(dlsym(RTLD_DEFAULT, "memtype_hugepage") == (void *) &memtype_hugepage);
	CHECK(dlsym(RTLD_DEFAULT, "default_log") == (void *) &default_log);
	CHECK(dlsym(RTLD_DEFAULT, "global_log") == (void *) &global_log);
	CHECK(!strcmp(memtype_heap.name, "heap") && memtype_heap.flags == MEMORY_HEAP && memtype_heap.alignment == 1);
	CHECK(!strcmp(memtype_hugepage.name, "mmap_hugepages") && memtype_hugepage.flags == 5 && memtype_hugepage.alignment == 21);

	heap = memtype_heap.alloc;
	memtype_heap.alloc = count;
	CHECK(queue_init(&q, 4, &memtype_heap) == 0 && allocated == 1);

	CHECK(global_log == NULL);
	log_init(&own, 3, LOG_ALL);
	CHECK(global_log == &own);
	log_destroy(&own);
	CHECK(global_log == NULL);
	default_log.level = 7;
	return 0;
}
