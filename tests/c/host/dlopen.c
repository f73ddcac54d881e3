/* SPDX-License-Identifier: Apache-2.0 */

/* dlopen, lazily and at once, from the main thread and from another: the library works, and stays after dlclose. */
#include <dlfcn.h>

#include "host.h"

static void *use(void *flags)
{
	void *lib = dlopen(getenv("VILLAS_EXT_LIBRARY"), (int) (long) flags);

	if (!lib)
		fprintf(stderr, "%s\n", dlerror());
	CHECK(lib != NULL);
	size_t (*size)(int, int, int) = (size_t (*)(int, int, int)) dlsym(lib, "shmem_total_size");
	struct shmem_shared *(*open)(const char *, void **) =
		(struct shmem_shared *(*)(const char *, void **)) dlsym(lib, "shmem_shared_open");
	int (*init)(struct queue *, size_t, struct memtype *) =
		(int (*)(struct queue *, size_t, struct memtype *)) dlsym(lib, "queue_init");
	int (*push)(struct queue *, void *) = (int (*)(struct queue *, void *)) dlsym(lib, "queue_push");
	int (*pull)(struct queue *, void **) = (int (*)(struct queue *, void **)) dlsym(lib, "queue_pull");
	struct memtype *heap = dlsym(lib, "memtype_heap");
	CHECK(size && open && init && push && pull && heap);
	CHECK(size(32, 32, 4) == REGION_32_4);
	CHECK(open("/villas-test-there-is-none", NULL) == NULL && errno == ENOENT);

	struct queue q;
	void *p = NULL;
	CHECK(init(&q, 8, heap) == 0 && push(&q, &q) == 1 && pull(&q, &p) == 1 && p == &q);
	dlclose(lib);
	CHECK(push(&q, &q) == 1);
	return NULL;
}

int main(int argc, char *argv[])
{
	long flags = argc > 1 && !strcmp(argv[1], "now") ? RTLD_NOW : RTLD_LAZY;
	pthread_t thread;

	bounded();
	if (argc > 2) {
		CHECK(pthread_create(&thread, NULL, use, (void *) flags) == 0);
		pthread_join(thread, NULL);
	} else {
		use((void *) flags);
	}
	return 0;
}
