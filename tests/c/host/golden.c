/* SPDX-License-Identifier: Apache-2.0 */

/* The regions that the reference created open, and give their three samples. Its node is stood in for by a process
 * that maps the region and arrives at the barrier. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host.h"

static void install(const char *mode, const char *name, char bytes[12680])
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/a-32-4-%s.bin", getenv("GOLDEN"), mode);
	FILE *f = fopen(path, "r");
	CHECK(f != NULL && fread(bytes, 1, 12680, f) == 12680);
	fclose(f);
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	CHECK(fd >= 0 && write(fd, bytes, 12680) == 12680);
	close(fd);
}

/* The reference's node: stands at the barrier, then stops. */
static void stand_in(const char *name)
{
	int fd = shm_open(name, O_RDWR, 0);
	char *base = mmap(NULL, 12680, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct shmem_shared *shm = (struct shmem_shared *) (base + 80);

	usleep(50000);
	pthread_barrier_wait(&shm->start_bar);
	usleep(100000);
	atomic_store(&shm->node_stopped, 1);
	if (!shm->polling) {
		pthread_mutex_lock(&shm->out.qs.mutex);
		pthread_cond_broadcast(&shm->out.qs.ready);
		pthread_mutex_unlock(&shm->out.qs.mutex);
	}
	_exit(0);
}

int main(void)
{
	const char *modes[] = { "polling", "signalled" };
	char bytes[12680];

	bounded();
	for (int m = 0; m < 2; m++) {
		const char *name = region_name();
		struct sample *smps[8];
		void *base;

		install(modes[m], name, bytes);
		pid_t pid = fork();
		if (pid == 0)
			stand_in(name);
		struct shmem_shared *shm = shmem_shared_open(name, &base);
		CHECK(shm != NULL && (char *) shm == (char *) base + 80);
		struct shmem_blocks blocks;
		CHECK(shmem_shared_blocks(shm, &blocks) == 0 && blocks.first == pool_buffer(&shm->pool));
		CHECK(blocks.count == 64 && blocks.stride == 128);
		CHECK(shmem_shared_blocks(shm, NULL) == -1 && errno == EINVAL);
		CHECK(shmem_shared_blocks((struct shmem_shared *) bytes, &blocks) == -1 && errno == EINVAL);
		shm->pool.len = shm->pool.blocksz = 1;
		CHECK(shmem_shared_blocks(shm, &blocks) == 0 && blocks.count == 64 && blocks.stride == 128);
		CHECK(shmem_shared_read(shm, smps, 0) == 0);
		CHECK(shmem_shared_read(shm, smps, 8) == 3);
		for (int i = 0; i < 3; i++) {
			struct sample *s = smps[i];
			CHECK(s->sequence == 100 + i && s->length == 4 && s->capacity == 10);
			CHECK(s->ts.origin.tv_sec == 1493000000 + i && s->ts.origin.tv_nsec == 111111111 * (i + 1));
			CHECK(s->ts.received.tv_nsec == 222222222 && s->ts.sent.tv_nsec == 333333333);
			CHECK(s->data[0].f == 1.5f * (float) (i + 1) && s->data[1].f == -2.25f * (float) (i + 1));
			CHECK(s->data[2].i == 0xCAFE0000u + (unsigned) i && s->data[3].f == 1e-3f * (float) i);
			CHECK(sample_get_data_format(s, 2) == SAMPLE_DATA_FORMAT_INT && sample_get_data_format(s, 1) == 0);
			CHECK(sample_pool(s) == &shm->pool);
		}
		CHECK(shmem_shared_write(shm, smps, 1) == 1);
		CHECK(sample_put_many(smps + 1, 2) == 2);
		CHECK(queue_available(&shm->pool.queue) == 63 && queue_available(&shm->in.q) == 1);
		int n;
		while ((n = shmem_shared_read(shm, smps, 8)) == 0)
			;
		CHECK(n == -1 && errno == EPIPE);
		CHECK(shmem_shared_close(shm, base) == 0);
		CHECK(ended_well(pid));

		/* Opened again with nobody at the barrier: the timed form gives up, NO_LEGACY refuses, nothing is left behind. */
		struct timespec moment = { 0, 50000000 };
		struct shmem_open_options refuse = { sizeof(refuse), SHMEM_NO_LEGACY, -1, NULL };
		shm_unlink(name);
		install(modes[m], name, bytes);
		CHECK(shmem_shared_open_timeout(name, NULL, &moment) == NULL && errno == ETIMEDOUT);
		CHECK(shmem_shared_open_options(name, NULL, &refuse) == NULL && errno == EPROTONOSUPPORT);
		shm_unlink(name);
	}
	return 0;
}
