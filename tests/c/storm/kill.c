/* SPDX-License-Identifier: Apache-2.0 */

/* Kill storm; its twin in Go is tests/storm.
 *
 *	kill survive node|program NAME POLLING ROUNDS FAULTS VICTIM...	VICTIM is started ROUNDS times and each time killed with
 *		SIGKILL, at a random instant, later after rounds in which it was killed before it came, or, where FAULTS is
 *		not "-", each other time at a random visit to one of these points (the environment tells it:
 *		VILLAS_EXT_FAULT=POINT:COUNT). This process, the other side, is
 *		never stuck, finds every sample it gets right, and goes on with the next.
 *	kill victim node|program NAME POLLING				a victim: full traffic for ever */
#include <poll.h>
#include <signal.h>
#include <time.h>

#include "../host/host.h"
#include "../host/stall.h"

/* The stated bound for noticing a death, and twenty times that, when the test gives up. */
#define BOUND_MS 200
#define GIVE_UP_MS (20 * BOUND_MS)

#define MAX_ROUNDS 100000

static int by_value(const void *a, const void *b)
{
	double x = *(const double *) a, y = *(const double *) b;

	return (x > y) - (x < y);
}

static int program_write(void *p, struct sample **s, unsigned n) { return shmem_shared_write(p, s, n); }
static int node_write(void *p, struct sample **s, unsigned n) { return shmem_node_write(p, s, n); }
static int program_read(void *p, struct sample **s, unsigned n, const struct timespec *t) { return shmem_shared_read_timeout(p, s, n, t); }
static int node_read(void *p, struct sample **s, unsigned n, const struct timespec *t) { return shmem_node_read_timeout(p, s, n, t); }

/* One side of a region. */
struct side {
	void *of;
	struct pool *pool;
	int (*write)(void *, struct sample **, unsigned);
	int (*read)(void *, struct sample **, unsigned, const struct timespec *);
};

static struct side node_side(struct shmem_node *n)
{
	return (struct side) { n, shmem_node_pool(n), node_write, node_read };
}

static struct side program_side(struct shmem_shared *shm)
{
	return (struct side) { shm, &shm->pool, program_write, program_read };
}

/* Traffic both ways until the other side is gone. */
static void traffic(struct side side)
{
	struct timespec patience = { 20, 0 };
	struct sample *s[8];
	int sequence = 0;

	for (;;) {
		int n = sample_alloc(side.pool, s, 8);
		for (int i = 0; i < n; i++) {
			s[i]->sequence = sequence + i;
			s[i]->length = 3;
			s[i]->data[0].f = (float) (sequence + i);
			s[i]->data[1].f = (float) -(sequence + i);
			s[i]->data[2].f = 7;
		}
		int done = n ? side.write(side.of, s, (unsigned) n) : 0;
		if (done < n)
			sample_put_many(s + (done > 0 ? done : 0), n - (done > 0 ? done : 0));
		sequence = (sequence + (done > 0 ? done : 0)) % 100000;
		n = side.read(side.of, s, 8, &patience);
		if (n < 0) {
			CHECK(errno == EOWNERDEAD || errno == EPIPE);
			return;
		}
		for (int i = 0; i < n; i++)
			CHECK(s[i]->length == 3 && s[i]->data[0].f == (float) s[i]->sequence &&
				s[i]->data[1].f == (float) -s[i]->sequence && s[i]->data[2].f == 7);
		CHECK(sample_put_many(s, n) == n);
	}
}

static int victim(int as_node, const char *name, int polling)
{
	if (as_node) {
		struct shmem_node *node = new_node(name, polling);
		CHECK(shmem_node_accept(node, NULL) == 0);
		traffic(node_side(node));
	} else {
		struct timespec patience = { 5, 0 };
		struct shmem_shared *shm = NULL;
		for (int i = 0; i < 5000 && !shm; i++) {	/* the node makes room for us */
			shm = shmem_shared_open_timeout(name, NULL, &patience);
			if (!shm)
				usleep(1000);
		}
		CHECK(shm != NULL);
		traffic(program_side(shm));
	}
	return 9;	/* the survivor never leaves first */
}

/* Start the victim, kill it, tell when it was dead. */
static void execute(char *argv[], const char *faults, int missed, int out)
{
	char fault[100] = "", *copy = strdup(faults), *points[16];
	int n = 0, at_point = strcmp(faults, "-") && random() % 2;

	for (char *p = strtok(copy, ","); p && n < 16; p = strtok(NULL, ","))
		points[n++] = p;
	if (at_point)
		snprintf(fault, sizeof(fault), "%s:%d", points[random() % n], 1 + (int) (random() % (random() % 2 ? 3 : 300)));
	useconds_t life = at_point ? 300000 : (useconds_t) (random() % 40000 + missed * 10000);
	pid_t pid = fork();
	if (pid == 0) {
		setenv("VILLAS_EXT_FAULT", fault, 1);
		execv(argv[0], argv);
		_exit(127);
	}
	int status = 0, over = 0;
	for (double end = now_ms() + life / 1e3; now_ms() < end && !(over = waitpid(pid, &status, WNOHANG) == pid);)
		usleep(200);
	if (!over) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	double dead = now_ms();
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fprintf(stderr, "the victim ended by itself: status %#x, fault %s\n", status, fault);
	_exit(write(out, &dead, sizeof(dead)) != sizeof(dead));
}

static int has_died(int in)
{
	struct pollfd p = { .fd = in, .events = POLLIN };

	return poll(&p, 1, 0) == 1;
}

static int regions_mapped(void)
{
	char line[1024];
	int n = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	while (fgets(line, sizeof(line), f))
		n += strstr(line, "/dev/shm/") && strstr(line, "rw-s");
	fclose(f);
	return n;
}

static int died_events, stopped_events, attached_events;

static void event(struct shmem_node *node, enum shmem_event e, int pid, void *context)
{
	(void) node, (void) pid, (void) context;
	attached_events += e == SHMEM_PROGRAM_ATTACHED;
	stopped_events += e == SHMEM_PROGRAM_STOPPED;
	died_events += e == SHMEM_PROGRAM_DIED;
}

static int survive(int as_node, const char *name, int polling, int rounds, const char *faults, char *argv[])
{
	static double noticed[MAX_ROUNDS];
	double longest = 0;	/* less what the machine took */
	struct shmem_node *node = NULL;
	int met = 0, missed = 0;

	srandom((unsigned) getpid());
	start_beat();
	if (as_node) {
		struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
		o.queuelen = 64;
		o.samplelen = 4;
		o.polling = polling;
		o.event = event;
		node = shmem_node_create(name, &o);
		CHECK(node != NULL);
	}
	for (int i = 0; i < rounds || met <= rounds / 10; i++) {
		CHECK(i < 20 * rounds);
		struct timespec moment = { 0, 20000000 };
		struct shmem_shared *shm = NULL;
		int life[2], here = 0;
		double dead;
		CHECK(pipe(life) == 0);
		long seed = random();
		pid_t executioner = fork();
		if (executioner == 0) {
			srandom((unsigned) seed);
			execute(argv, faults, missed, life[1]);
		}
		while (!here) {
			int over = has_died(life[0]);
			if (node) {
				here = shmem_node_accept(node, &moment) == 0;
				CHECK(here || errno == ETIMEDOUT);
			} else {
				shm = shmem_shared_open_timeout(name, NULL, &moment);
				here = shm != NULL;
				CHECK(here || errno == ENOENT || errno == EOWNERDEAD || errno == ETIMEDOUT || errno == EBUSY);
				if (!here && errno != ETIMEDOUT)
					usleep(1000);
			}
			if (over)
				break;	/* one more look, then it is sure that it never came */
		}
		missed = here ? 0 : missed + 1;
		double stalled_before = atomic_load(&stalled);
		if (here)
			traffic(node ? node_side(node) : program_side(shm));
		double now = now_ms();
		CHECK(read(life[0], &dead, sizeof(dead)) == sizeof(dead));
		if (here) {
			double took = now > dead ? now - dead : 0;
			noticed[met++] = took;
			usleep(20000);	/* the beat comes late, too */
			took -= atomic_load(&stalled) - stalled_before;
			longest = took > longest ? took : longest;
		}
		if (shm)
			CHECK(shmem_shared_close(shm, NULL) == 0);
		waitpid(executioner, NULL, 0);
		close(life[0]);
		close(life[1]);
	}
	qsort(noticed, (size_t) met, sizeof(*noticed), by_value);
	printf("%d rounds, met %d times, death noticed: p50 %.1f ms, p99 %.1f ms, max %.1f ms (%.1f ms without the time that this "
		"process got no CPU)\n", rounds, met, noticed[met / 2], noticed[met * 99 / 100], noticed[met - 1], longest);
	CHECK(longest < GIVE_UP_MS);
	if (node) {
		struct timespec none = { 0, 0 };
		CHECK(shmem_node_accept(node, &none) == -1 && errno == ETIMEDOUT);	/* makes the next region */
		CHECK(queue_available(&shmem_node_pool(node)->queue) == 128);
		CHECK(regions_mapped() <= 4);	/* the present one, and the last that were left */
		CHECK(attached_events >= met && died_events + stopped_events == attached_events && died_events > 0);
		CHECK(shmem_node_close(node) == 0);
	} else {
		CHECK(regions_mapped() == 0);
		char path[100];
		snprintf(path, sizeof(path), "/dev/shm%s", name);
		unlink(path);
	}
	return 0;
}

int main(int argc, char *argv[])
{
	alarm(4 * 3600);
	if (argc == 5 && !strcmp(argv[1], "victim"))
		return victim(!strcmp(argv[2], "node"), argv[3], atoi(argv[4]));
	CHECK(argc > 7 && !strcmp(argv[1], "survive"));
	return survive(!strcmp(argv[2], "node"), argv[3], atoi(argv[4]), atoi(argv[5]), argv[6], argv + 7);
}
