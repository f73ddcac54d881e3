// SPDX-License-Identifier: Apache-2.0

// pthread_cancel of a thread that waits in the library: C++ destructors run, and
// another thread goes on where it was.
#include <fcntl.h>
#include <sys/mman.h>

#include "host.h"

static volatile int destroyed;

struct Guard {
	~Guard() { destroyed = destroyed + 1; }
};

static struct shmem_shared *shm;
static char name[64], legacy[64];
static struct timespec patience = { 15, 0 };
static struct queue_signalled qs;

static void *read_plain(void *)
{
	Guard g;
	struct sample *s;
	shmem_shared_read(shm, &s, 1);
	return nullptr;
}

static void *read_timed(void *)
{
	Guard g;
	struct sample *s;
	shmem_shared_read_timeout(shm, &s, 1, &patience);
	return nullptr;
}

static void *open_legacy(void *)
{
	Guard g;
	shmem_shared_open(legacy, nullptr);
	return nullptr;
}

static void *write_timed(void *)
{
	Guard g;
	struct sample *s;
	CHECK(sample_alloc(&shm->pool, &s, 1) == 1);
	shmem_shared_write_timeout(shm, &s, 1, &patience);
	return nullptr;
}

static void *pull_signalled(void *)
{
	Guard g;
	void *p;
	queue_signalled_pull(&qs, &p);
	return nullptr;
}

static void cancel(void *(*blocked)(void *))
{
	pthread_t thread;
	void *result;
	int before = destroyed;

	CHECK(pthread_create(&thread, nullptr, blocked, nullptr) == 0);
	usleep(80000);
	CHECK(pthread_cancel(thread) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
	CHECK(destroyed == before + 1);
}

int main()
{
	struct sample *s, *many[64];

	alarm(50);
	for (int polling = 0; polling < 2; polling++) {
		strcpy(name, region_name());
		struct shmem_node *node = new_node(name, polling);
		shm = shmem_shared_open(name, nullptr);
		CHECK(shm != nullptr && shmem_node_accept(node, nullptr) == 0);
		for (int i = 0; i < 10; i++) {
			if (!polling)
				cancel(read_plain);
			cancel(read_timed);
		}
		CHECK(sample_alloc(shmem_node_pool(node), &s, 1) == 1 && shmem_node_write(node, &s, 1) == 1);
		CHECK(shmem_shared_read(shm, &s, 1) == 1 && sample_put(s) == 0);
		CHECK(sample_alloc(&shm->pool, many, 64) == 64 && shmem_shared_write(shm, many, 64) == 64);
		cancel(write_timed);
		CHECK(shmem_node_close(node) == 0 && shmem_shared_close(shm, nullptr) == 0);
	}

	// A region of the reference whose node never comes to the barrier.
	strcpy(legacy, region_name());
	int fd = shm_open(legacy, O_RDWR | O_CREAT, 0600);
	CHECK(fd >= 0 && ftruncate(fd, REGION_32_4) == 0);
	void *base = mmap(nullptr, REGION_32_4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct shmem_shared *theirs = lay_out(base, 0);
	cancel(open_legacy);
	cancel(open_legacy);
	CHECK(*reinterpret_cast<unsigned *>(&theirs->start_bar) == 0);	// nobody is left at the barrier
	shm_unlink(legacy);

	CHECK(queue_signalled_init(&qs, 4, &memtype_heap) == 0);
	cancel(pull_signalled);
	CHECK(queue_signalled_push(&qs, &qs) == 1);
	return 0;
}
