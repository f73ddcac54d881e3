/* SPDX-License-Identifier: Apache-2.0 */

/* Close ends the calls of other threads that wait in the region, in both modes and on both sides. What was written
 * before it is read, also where the node hears of the program only afterwards. */
#include <stdatomic.h>

#include "host.h"

static atomic_int begun;

static void *read_one(void *shm)
{
	struct timespec patience = { 15, 0 };
	struct sample *s;

	atomic_fetch_add(&begun, 1);
	CHECK(shmem_shared_read_timeout(shm, &s, 1, &patience) == -1 && errno == ECANCELED);
	return NULL;
}

int main(void)
{
	bounded();
	for (int polling = 0; polling < 2; polling++) {
		const char *name = region_name();
		struct shmem_node *node = new_node(name, polling);
		pthread_t threads[3];
		void *base;
		struct shmem_shared *shm = shmem_shared_open(name, &base);

		CHECK(shm != NULL);
		CHECK(shmem_shared_open(name, NULL) == NULL && errno == EBUSY);
		CHECK(shmem_node_accept(node, NULL) == 0);
		atomic_store(&begun, 0);
		for (int i = 0; i < 3; i++)
			CHECK(pthread_create(&threads[i], NULL, read_one, shm) == 0);
		while (atomic_load(&begun) < 3)
			usleep(1000);
		usleep(100000);	/* they wait by now */
		CHECK(shmem_shared_close(shm, base) == 0);
		for (int i = 0; i < 3; i++)
			CHECK(pthread_join(threads[i], NULL) == 0);

		/* The node sees the end, and the next program gets a fresh region under the same name. */
		struct sample *s;
		CHECK(shmem_node_read(node, &s, 1) == -1 && errno == EPIPE);
		struct timespec none = { 0, 0 };
		CHECK(shmem_node_accept(node, &none) == -1 && errno == ETIMEDOUT);
		shm = shmem_shared_open(name, &base);
		CHECK(shm != NULL && shmem_node_accept(node, &none) == 0);
		CHECK(shmem_shared_close(shm, base) == 0);
		CHECK(shmem_node_accept(node, &none) == -1 && errno == ETIMEDOUT);

		/* The next one comes, writes and goes before the node accepts it. */
		shm = shmem_shared_open(name, &base);
		CHECK(shm != NULL && sample_alloc(&shm->pool, &s, 1) == 1);
		s->sequence = 7;
		CHECK(shmem_shared_write(shm, &s, 1) == 1 && shmem_shared_close(shm, base) == 0);
		CHECK(shmem_node_accept(node, &none) == 0);
		CHECK(shmem_node_read(node, &s, 1) == 1 && s->sequence == 7 && sample_put(s) == 0);
		CHECK(shmem_node_read(node, &s, 1) == -1 && errno == EPIPE);
		CHECK(shmem_node_accept(node, &none) == -1 && errno == ETIMEDOUT);
		CHECK(shmem_node_close(node) == 0);
	}
	return 0;
}
