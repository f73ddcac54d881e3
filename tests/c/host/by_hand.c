/* SPDX-License-Identifier: Apache-2.0 */

/* A node put together from the library's own calls, as the original's node-type did it: the region comes out as the
 * golden one, and a program of ours works with it as with a peer built with the original. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host.h"

int main(void)
{
	const char *name = region_name();
	size_t size = shmem_total_size(32, 32, 4);
	struct sample *s[64];
	void *got[8];

	bounded();
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && size == REGION_32_4 && ftruncate(fd, (off_t) size) == 0);
	char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct shmem_shared *shm = lay_out(base, 0);
	struct memtype *manager = (struct memtype *) base;
	CHECK(shm->in.q.buffer_off == (char *) (shm + 1) + 32 - (char *) &shm->in);
	CHECK(shm->out.q.buffer_off == shm->in.q.buffer_off + 544 - (off_t) sizeof(shm->in));
	CHECK(shm->pool.len == 8192 && shm->pool.blocksz == 128);
#if defined(__x86_64__)
	CHECK(shm->in.q.buffer_off == 1224 && shm->out.q.buffer_off == 1376 && shm->pool.buffer_off == 1552);
	CHECK(shm->pool.queue.buffer_off == 9728);
#endif

	pid_t pid = fork();
	if (pid == 0)
		_exit(echo(name) == 1000 ? 0 : 1);
	pthread_barrier_wait(&shm->start_bar);
	for (int sent = 0, back = 0; back < 1000;) {
		if (sent < 1000 && sent - back < 20 && sample_alloc(&shm->pool, s, 1) == 1) {
			s[0]->sequence = sent++;
			s[0]->length = 0;
			CHECK(queue_signalled_push(&shm->out.qs, s[0]) == 1);
			continue;
		}
		int n = queue_signalled_pull_many(&shm->in.qs, got, 8);
		for (int i = 0; i < n; i++, back++) {
			CHECK(((struct sample *) got[i])->sequence == back);
			CHECK(sample_put(got[i]) == 0);
		}
	}
	atomic_store(&shm->node_stopped, 1);
	pthread_mutex_lock(&shm->out.qs.mutex);
	pthread_cond_broadcast(&shm->out.qs.ready);
	pthread_mutex_unlock(&shm->out.qs.mutex);
	CHECK(ended_well(pid) && atomic_load(&shm->ext_stopped) == 1);
	CHECK(queue_available(&shm->pool.queue) == 64 && pool_destroy(&shm->pool) == 0);
	CHECK(queue_signalled_destroy(&shm->out.qs) == 0 && queue_signalled_destroy(&shm->in.qs) == 0);
	CHECK(memory_free(manager, shm, sizeof(*shm)) == 0);
	shm_unlink(name);
	return 0;
}
