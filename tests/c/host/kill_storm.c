/* SPDX-License-Identifier: Apache-2.0 */

/* kill_storm node|program POLLING ROUNDS: the named side is killed with SIGKILL at random instants, under full traffic;
 * the other one, this process, is never stuck, finds every sample it gets right, and goes on with the next. */
#include <signal.h>
#include <time.h>

#include "host.h"

/* The stated bound for noticing a death, and twenty times that, when the test gives up. */
#define BOUND_MS 200
#define GIVE_UP_MS (20 * BOUND_MS)

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e3 + (double) t.tv_nsec * 1e-6;
}

static double noticed[100000];
static int rounds_done;

static int by_value(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

static void sane(struct sample *s)
{
	CHECK(s->length == 3 && s->data[0].f == (float) s->sequence && s->data[1].f == (float) -s->sequence && s->data[2].f == 7);
}

/* Send what there is room for. @return false once the other side is gone. */
static int send_some(struct pool *pool, int (*write)(void *, struct sample **, unsigned), void *side, int *sequence)
{
	struct sample *s[8];
	int n = sample_alloc(pool, s, 8), done;

	for (int i = 0; i < n; i++) {
		s[i]->sequence = *sequence + i;
		s[i]->length = 3;
		s[i]->data[0].f = (float) (*sequence + i);
		s[i]->data[1].f = (float) -(*sequence + i);
		s[i]->data[2].f = 7;
	}
	done = n ? write(side, s, (unsigned) n) : 0;
	if (done < n)
		sample_put_many(s + (done > 0 ? done : 0), n - (done > 0 ? done : 0));
	if (done > 0)
		*sequence = (*sequence + done) % 100000;
	return done >= 0;
}

static int node_write(void *n, struct sample **s, unsigned k) { return shmem_node_write(n, s, k); }
static int node_read(void *n, struct sample **s, unsigned k, const struct timespec *t) { return shmem_node_read_timeout(n, s, k, t); }
static int program_write(void *p, struct sample **s, unsigned k) { return shmem_shared_write(p, s, k); }
static int program_read(void *p, struct sample **s, unsigned k, const struct timespec *t) { return shmem_shared_read_timeout(p, s, k, t); }

/* Traffic both ways until the other side is gone. */
static void traffic(struct pool *pool, void *side, int (*write)(void *, struct sample **, unsigned),
	int (*read)(void *, struct sample **, unsigned, const struct timespec *))
{
	struct timespec patience = { 20, 0 };
	struct sample *s[8];
	int sequence = 0;

	for (;;) {
		send_some(pool, write, side, &sequence);
		int n = read(side, s, 8, &patience);
		if (n < 0) {
			CHECK(errno == EOWNERDEAD || errno == EPIPE);
			return;
		}
		for (int i = 0; i < n; i++)
			sane(s[i]);
		CHECK(sample_put_many(s, n) == n);
	}
}

/* The victim: traffic for ever, as a program or as a node of its own. */
static void victim(int as_node, const char *name, int polling)
{
	if (as_node) {
		struct shmem_node *node = new_node(name, polling);
		CHECK(shmem_node_accept(node, NULL) == 0);
		traffic(shmem_node_pool(node), node, node_write, node_read);
	} else {
		struct shmem_shared *shm = shmem_shared_open(name, NULL);
		CHECK(shm != NULL);
		traffic(&shm->pool, shm, program_write, program_read);
	}
	_exit(9);	/* the survivor never leaves first */
}

int main(int argc, char *argv[])
{
	struct timespec patience = { 20, 0 };
	struct shmem_node *node = NULL;
	char name[64];

	CHECK(argc == 4);
	int victim_is_node = !strcmp(argv[1], "node"), polling = atoi(argv[2]), rounds = atoi(argv[3]);
	alarm(3600);
	srandom((unsigned) getpid());
	strcpy(name, region_name());
	if (!victim_is_node)
		node = new_node(name, polling);

	for (int i = 0; i < rounds; i++) {
		int life[2];
		CHECK(pipe(life) == 0);
		pid_t pid = fork();
		if (pid == 0)
			victim(victim_is_node, name, polling);

		/* The executioner: kills the victim some time after the exchange began, and tells when. */
		pid_t executioner = fork();
		if (executioner == 0) {
			usleep((useconds_t) (random() % 12000));
			double t = now_ms();
			kill(pid, SIGKILL);
			_exit(write(life[1], &t, sizeof(t)) != sizeof(t));
		}
		struct shmem_shared *shm = NULL;
		int met = 0;
		if (node) {
			struct timespec moment = { 0, 300000000 };
			if (shmem_node_accept(node, &moment) == 0) {
				met = 1;
				traffic(shmem_node_pool(node), node, node_write, node_read);
			} else {
				CHECK(errno == ETIMEDOUT);	/* killed before it attached */
			}
		} else {
			for (int tries = 0; tries < 300 && !shm; tries++) {
				shm = shmem_shared_open_timeout(name, NULL, &patience);
				if (!shm) {
					CHECK(errno == ENOENT || errno == EOWNERDEAD);
					usleep(1000);
				}
			}
			met = shm != NULL;
			if (shm)
				traffic(&shm->pool, shm, program_write, program_read);
		}
		double now = now_ms(), killed;
		CHECK(read(life[0], &killed, sizeof(killed)) == sizeof(killed));
		if (met)
			noticed[rounds_done++] = now - killed;
		if (shm)
			CHECK(shmem_shared_close(shm, NULL) == 0);
		waitpid(pid, NULL, 0);
		waitpid(executioner, NULL, 0);
		close(life[0]);
		close(life[1]);
	}
	qsort(noticed, (size_t) rounds_done, sizeof(*noticed), by_value);
	double p99 = noticed[(rounds_done * 99) / 100], worst = noticed[rounds_done - 1];
	printf("%d rounds, death noticed: p50 %.1f ms, p99 %.1f ms, max %.1f ms\n", rounds_done, noticed[rounds_done / 2], p99, worst);
	CHECK(worst < GIVE_UP_MS);
	if (node) {
		struct timespec none = { 0, 0 };
		shmem_node_accept(node, &none);	/* makes the next region */
		CHECK(queue_available(&shmem_node_pool(node)->queue) == 128);
		CHECK(shmem_node_close(node) == 0);
	} else {
		struct shmem_node *last = new_node(name, 0);	/* replaces what the last victim left */
		CHECK(shmem_node_close(last) == 0);
	}
	return 0;
}
