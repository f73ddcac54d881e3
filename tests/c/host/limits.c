/* SPDX-License-Identifier: Apache-2.0 */

/* limits [SMALL]: lengths at and beyond what there can be overflow nothing; with SMALL, where /dev/shm has 4 MiB, what does
 * not fit is refused at once, and what does works to the last byte. */
#include <limits.h>
#include <sys/resource.h>

#include "host.h"

static int try(const char *name, int queuelen, int samplelen)
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;

	o.queuelen = queuelen;
	o.samplelen = samplelen;
	struct shmem_node *node = shmem_node_create(name, &o);
	if (!node)
		return errno;
	CHECK(shmem_node_close(node) == 0);
	return 0;
}

int main(int argc, char *argv[])
{
	const char *name = region_name();

	(void) argv;
	bounded();
	CHECK(shmem_total_size(INT_MAX, INT_MAX, INT_MAX) == 0);
	CHECK(shmem_total_size(-1, 1, 1) == 0 && shmem_total_size(1, INT_MIN, 1) == 0 && shmem_total_size(1, 1, -1) == 0);
	CHECK(shmem_total_size(INT_MAX, INT_MAX, 0) > 2ul * INT_MAX * 128);
	CHECK(shmem_total_size(1, 1, INT_MAX) > 2ul * INT_MAX * 4);
	CHECK(try(name, 0, 1) == EINVAL && try(name, -1, 1) == EINVAL && try(name, INT_MIN, 1) == EINVAL && try(name, 1, -1) == EINVAL);
	CHECK(try(name, INT_MAX, INT_MAX) == EINVAL);
	int err = try(name, INT_MAX, 0);
	CHECK(err == ENOSPC || err == ENOMEM || err == EFBIG);
	err = try(name, 1 << 20, 1 << 20);
	CHECK(err == ENOSPC || err == ENOMEM || err == EFBIG);
	CHECK(try(name, 1, 0) == 0 && try(name, 1, 1) == 0);
	CHECK(shmem_shared_open(name, NULL) == NULL && errno == ENOENT);

	if (argc > 1) {
		CHECK(try(name, 4096, 200) == ENOSPC);
		CHECK(try(name, 512, 64) == 0);	/* nothing of the refused one is left */
		struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
		o.queuelen = 1000;
		o.samplelen = 300;
		struct shmem_node *node = shmem_node_create(name, &o);
		CHECK(node != NULL);
		struct sample *s[2000];
		CHECK(sample_alloc(shmem_node_pool(node), s, 2000) == 2000);
		for (int i = 0; i < 2000; i++)
			memset(s[i]->data, 0x55, 300 * sizeof(*s[i]->data));
		CHECK(sample_put_many(s, 2000) == 2000);
		CHECK(shmem_node_close(node) == 0);
	}

	/* Without a descriptor left: an error, and nothing open or mapped. */
	struct rlimit few = { 3, 3 };
	CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHECK(try(name, 4, 4) == EMFILE);
	CHECK(shmem_shared_open(name, NULL) == NULL && (errno == EMFILE || errno == ENOENT));
	return 0;
}
