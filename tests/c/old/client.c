/* SPDX-License-Identifier: Apache-2.0 */

/* An external program as people wrote them for the original: helpers by their plain names, pool functions in line,
 * sources that rely on what the headers pull in. */
#include <villas/log.h>
#include <villas/shmem.h>
#include <villas/timing.h>
#include <villas/utils.h>

#include <sched.h>
#include <unistd.h>

static void quit(int sig, siginfo_t *info, void *ctx)
{
	(void) sig;
	(void) info;
	(void) ctx;
	_exit(1);
}

int main(int argc, char *argv[])
{
	struct log l;
	struct sample **smps;
	struct shmem_shared *shm = NULL;
	struct pool p;
	void *base, *block;
	int n, total = 0, empty = 0;
	char *text = NULL;

	log_init(&l, V, LOG_ALL);
	log_start(&l);
	signals_init(quit);
	if (argc != 2)
		error("usage: %s NAME", argv[0]);
	{
		INDENT
		info("opening %s", argv[1]);
	}
	if (global_log != &l || default_log.facilities != LOG_ALL)
		error("the log is another");
	smps = alloc(sizeof(struct sample *) * 8);
	for (int i = 0; i < 1000 && !shm; i++) {
		shm = shmem_shared_open(argv[1], &base);
		if (!shm)
			usleep(5000);
	}
	if (!shm)
		serror("open");
	if (memtype_heap.flags != MEMORY_HEAP || pool_init(&p, 4, 100, &memtype_heap))
		error("pool");
	block = pool_get(&p);
	if (!block || pool_put(&p, block) != 1 || pool_destroy(&p))
		error("pool");
	while ((n = shmem_shared_read(shm, smps, 8)) >= 0) {
		int done = 0;
		if (!n && ++empty % 50 == 0)	/* polling */
			sched_yield();
		while (done < n) {
			int w = shmem_shared_write(shm, smps + done, (unsigned) (n - done));
			if (w < 0)
				break;
			done += w;
		}
		total += n;
	}
	strcatf(&text, "moved %d", total);
	strcatf(&text, " samples");
	info("%s", text);
	warn("time is %.0f", time_to_double(&(struct timespec) { 1, 0 }));
	free(text);
	free(smps);
	shmem_shared_close(shm, base);
	log_stop(&l);
	log_destroy(&l);
	return 0;
}
