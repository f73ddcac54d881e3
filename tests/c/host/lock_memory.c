/* SPDX-License-Identifier: Apache-2.0 */

/* A region that is to be locked in memory is, or open says why not: RLIMIT_MEMLOCK. */
#define _GNU_SOURCE
#include <sys/resource.h>

#include "host.h"

static long locked_kib(void)
{
	char line[256];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f) && sscanf(line, "VmLck: %ld", &kib) != 1)
		;
	if (f)
		fclose(f);
	return kib;
}

int main(void)
{
	struct shmem_open_options o = { sizeof(o), SHMEM_LOCK_MEMORY, -1, NULL };
	struct shmem_node_options n = SHMEM_NODE_OPTIONS_INIT;
	struct rlimit none = { 0, 0 };
	const char *name = region_name();

	bounded();
	n.flags = SHMEM_LOCK_MEMORY;
	struct shmem_node *node = shmem_node_create(name, &n);
	CHECK(node != NULL);
	long size = (long) shmem_node_shared(node)->len / 1024;
	CHECK(locked_kib() >= size);
	struct shmem_shared *shm = shmem_shared_open_options(name, NULL, &o);
	CHECK(shm && locked_kib() >= 2 * size);
	CHECK(shmem_shared_close(shm, NULL) == 0 && shmem_node_close(node) == 0);
	CHECK(locked_kib() == 0);

	/* Without the right to: not root, and no limit left. */
	CHECK(setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (geteuid() || (setgid(65534) == 0 && setuid(65534) == 0)));
	CHECK(shmem_node_create(name, &n) == NULL && (errno == EPERM || errno == ENOMEM));
	CHECK(strstr(shmem_shared_strerror(errno), "RLIMIT_MEMLOCK"));
	n.flags = 0;
	CHECK((node = shmem_node_create(name, &n)) && locked_kib() == 0);
	CHECK(shmem_shared_open_options(name, NULL, &o) == NULL && (errno == EPERM || errno == ENOMEM));
	CHECK((shm = shmem_shared_open(name, NULL)) != NULL);
	CHECK(shmem_shared_close(shm, NULL) == 0 && shmem_node_close(node) == 0);
	return 0;
}
