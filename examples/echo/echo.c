/* SPDX-License-Identifier: Apache-2.0 */

/* An external program: waits for samples, prints them, and writes them back, in vectors. */

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <villas/shmem.h>

#define MAX_VECTOR 256

static volatile sig_atomic_t stop;

static void on_signal(int sig)
{
	(void) sig;
	stop = 1;
}

static void print(const struct sample *s)
{
	printf("%lld.%09ld(%d)", (long long) s->ts.origin.tv_sec, s->ts.origin.tv_nsec, s->sequence);
	for (int i = 0; i < s->length; i++) {
		if (i < 64 && s->format >> i & 1)
			printf("\t%d", (int) s->data[i].i);
		else
			printf("\t%f", s->data[i].f);
	}
	putchar('\n');
}

/* Write all of them; the queue may be full for a moment. The rest still belongs to us when the node has gone. */
static void write_back(struct shmem_shared *shm, struct sample *smps[], int cnt)
{
	int done = 0;

	while (done < cnt && !stop) {
		int n = shmem_shared_write(shm, smps + done, (unsigned) (cnt - done));
		if (n < 0)
			break;
		if (n == 0)
			sched_yield();
		done += n;
	}
	sample_put_many(smps + done, cnt - done);
}

int main(int argc, char *argv[])
{
	struct timespec moment = { 0, 200000000 };
	struct sigaction action;
	struct sample *smps[MAX_VECTOR];
	int vector = 1, quiet = 0, opt;
	void *base;

	while ((opt = getopt(argc, argv, "qv:")) != -1) {
		if (opt == 'q')
			quiet = 1;
		else if (opt == 'v')
			vector = atoi(optarg);
		else
			vector = 0;
	}
	if (optind != argc - 1 || vector < 1 || vector > MAX_VECTOR) {
		fprintf(stderr, "usage: %s [-q] [-v VECTOR] NAME\n"
			"  NAME    of the region, such as /villas1\n"
			"  -v      samples to read at once, 1 to %d (default 1)\n"
			"  -q      do not print samples\n", argv[0], MAX_VECTOR);
		return 2;
	}
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);

	struct shmem_shared *shm = shmem_shared_open(argv[optind], &base);
	if (!shm) {
		fprintf(stderr, "%s: open %s: %s\n", argv[0], argv[optind], shmem_shared_strerror(errno));
		return 1;
	}
	while (!stop) {
		int n = shmem_shared_read_timeout(shm, smps, (unsigned) vector, &moment);
		if (n < 0 && errno == ETIMEDOUT)
			continue;
		if (n < 0) {
			fprintf(stderr, "%s: %s\n", argv[0], shmem_shared_strerror(errno));
			break;
		}
		for (int i = 0; i < n && !quiet; i++)
			print(smps[i]);
		write_back(shm, smps, n);
	}
	int ended = stop || errno == EPIPE;
	shmem_shared_close(shm, base);
	return !ended;
}
