/* SPDX-License-Identifier: Apache-2.0 */

/* Gives back what it gets until the other side ends, in C++: over the region NAME, or the pair OWN OTHER. */
#include <cerrno>
#include <cstdio>
#include <sched.h>
#include <vector>

#include <villas/pair.h>
#include <villas/shmem.h>

static int over_region(const char *name)
{
	std::vector<struct sample *> smps(16);
	struct shmem_shared *shm = shmem_shared_open(name, nullptr);
	int n, total = 0;

	while (shm && (n = shmem_shared_read_timeout(shm, smps.data(), 16, nullptr)) > 0) {
		shmem_shared_write_timeout(shm, smps.data(), static_cast<unsigned>(n), nullptr);
		total += n;
	}
	bool ended = errno == EPIPE;
	std::printf("echoed %d: %s\n", total, shmem_shared_strerror(errno));
	if (shm)
		shmem_shared_close(shm, nullptr);
	return !ended;
}

static int over_pair(const char *own, const char *other)
{
	struct villas_pair_options options = VILLAS_PAIR_OPTIONS_INIT;
	struct timespec patience = { 30, 0 };
	struct villas_pair_sample *got, *back;

	options.timeout = &patience;
	struct villas_pair *pair = villas_pair_open(own, other, &options);
	int total = 0;
	while (pair && villas_pair_read_timeout(pair, &got, 1, &patience) == 1) {
		while (!villas_pair_alloc(pair, &back, 1))
			sched_yield();
		villas_pair_copy(back, got);
		villas_pair_put(got);
		villas_pair_write_timeout(pair, &back, 1, &patience);
		total++;
	}
	bool ended = errno == EPIPE;
	std::printf("echoed %d: %s\n", total, villas_pair_strerror(errno));
	if (pair)
		villas_pair_close(pair);
	return !ended;
}

int main(int argc, char *argv[])
{
	return argc == 2 ? over_region(argv[1]) : argc == 3 ? over_pair(argv[1], argv[2]) : 2;
}
