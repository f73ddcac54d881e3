/* SPDX-License-Identifier: Apache-2.0 */

/* churn [ROUNDS]: open and close, both sides, again and again: descriptors, mappings and memory stay, and descriptors are
 * close-on-exec. */
#include <fcntl.h>

#include "host.h"
#include "usage.h"

static int lines(const char *path)
{
	FILE *f = fopen(path, "r");
	int n = 0, c;

	while ((c = fgetc(f)) != EOF)
		n += c == '\n';
	fclose(f);
	return n;
}

int main(int argc, char *argv[])
{
	struct timespec patience = { 20, 0 };
	int rounds = argc > 1 ? atoi(argv[1]) : 1500, fds = 0, maps = 0;
	const char *name = region_name();
	long rss = 0;

	alarm(4 * 3600);
	struct shmem_node *node = new_node(name, 0);
	for (int i = 0; i < rounds; i++) {
		struct sample *s;
		struct shmem_shared *shm = shmem_shared_open(name, NULL);
		CHECK(shm && shmem_node_accept(node, &patience) == 0);
		CHECK(sample_alloc(&shm->pool, &s, 1) == 1);
		s->sequence = i;
		CHECK(shmem_shared_write(shm, &s, 1) == 1);
		CHECK(shmem_node_read_timeout(node, &s, 1, &patience) == 1 && s->sequence == i && sample_put(s) == 0);
		CHECK(shmem_shared_open(name, NULL) == NULL && errno == EBUSY);
		if (i % 2)	/* with a sample that nobody put: goes with the region */
			CHECK(sample_alloc(&shm->pool, &s, 1) == 1);
		CHECK(shmem_shared_close(shm, NULL) == 0);
		if (i % 10 == 0) {	/* now and then the node, too */
			CHECK(shmem_node_close(node) == 0);
			CHECK(shmem_shared_open(name, NULL) == NULL && errno == ENOENT);
			node = new_node(name, i % 20 == 0);
		} else {
			struct timespec none = { 0, 0 };
			CHECK(shmem_node_accept(node, &none) == -1 && errno == ETIMEDOUT);	/* makes room for the next */
		}
		if (i == rounds / 2) {
			fds = entries("/proc/self/fd");
			maps = lines("/proc/self/maps");
			rss = resident();
		}
	}
	CHECK(entries("/proc/self/fd") == fds && lines("/proc/self/maps") <= maps + 2 && resident() <= rss + 1024);
	printf("%d rounds, %d descriptors, %d mappings, %ld kB\n", rounds, entries("/proc/self/fd") - 1, lines("/proc/self/maps"), resident());
	for (int fd = 3; fd < 100; fd++) {
		int flags = fcntl(fd, F_GETFD);
		char path[64], to[300] = "";
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t n = readlink(path, to, sizeof(to) - 1);
		CHECK(flags < 0 || n < 0 || !strstr(to, "/dev/shm") || flags & FD_CLOEXEC);
	}
	CHECK(shmem_node_close(node) == 0);
	return 0;
}
