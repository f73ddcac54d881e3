/* SPDX-License-Identifier: Apache-2.0 */

/* A side of a pair that writes anything anywhere into both objects, and one that has to live with it; its twin in Go is
 * role target of tests/pair.
 *
 *	hostile fuzz OWN OTHER POLLING MUTATIONS	join our way, then change the bytes of both objects
 *	hostile target OWN OTHER POLLING		make all calls until SIGTERM; none may crash, touch what is not the
 *							objects', or take long */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include <villas/pair.h>

#include "../host/host.h"
#include "../host/stall.h"
#include "../hostile/random.h"

#define QUEUELEN 16
#define SAMPLELEN 6

/* No call takes longer: twenty times the bound for noticing a death, which is the longest that any waits. */
#define LONGEST_MS 4000

static struct villas_pair *joined(char *argv[])
{
	struct villas_pair_options o = VILLAS_PAIR_OPTIONS_INIT;
	struct timespec patience = { 30, 0 };

	o.queuelen = QUEUELEN;
	o.samplelen = SAMPLELEN;
	o.polling = atoi(argv[4]);
	o.flags = VILLAS_PAIR_NO_LEGACY;
	o.timeout = &patience;
	struct villas_pair *p = villas_pair_open(argv[2], argv[3], &o);
	if (!p) {
		fprintf(stderr, "open: %s\n", villas_pair_strerror(errno));
		exit(1);
	}
	return p;
}

/* The fuzzer. */

static size_t size;

static char *map(const char *name)
{
	struct stat st;
	int fd = shm_open(name, O_RDWR, 0);

	if (fd < 0 || fstat(fd, &st))
		exit(1);
	size = (size_t) st.st_size;
	char *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return base == MAP_FAILED ? exit(1), NULL : base;
}

/* Where states, masks, offsets, positions, the pool's geometry and the word that a reader sleeps on stand. */
static const size_t words[] = {
	0, 24, 28, 32, 80, 88, 160, 168, 240, 312, 384, 388, 480, 488, 496, 504, 512, 520, 592, 600, 672, 744, 240, 312, 672, 744, 32,
};

static int fuzz(char *argv[])
{
	joined(argv);	/* and never closed: what would a close do with such objects? */
	char *objects[] = { map(argv[2]), map(argv[3]) }, *pristine[2];
	int mutations = atoi(argv[5]);

	state = (uint64_t) getpid() * 0x9e3779b97f4a7c15ull | 1;
	for (int i = 0; i < 2; i++)
		pristine[i] = memcpy(malloc(size), objects[i], size);
	for (int n = 0; n < mutations; n++) {
		uint64_t r = random64(), v = random64();
		int which = r & 1;
		/* A known word, one of the first kilobytes, of the cells or heads of samples, or any. */
		size_t at = (r >> 8 & 3) ? words[(r >> 16) % (sizeof(words) / sizeof(*words))] : (r >> 16) % (size / 8) * 8;
		volatile uint64_t *word = (volatile uint64_t *) (objects[which] + at);
		switch (r >> 4 & 7) {
		case 0: *word = v; break;
		case 1: *word = v & 0xffff; break;
		case 2: *word += v % 64; break;
		case 3: *word = -(v & 0xff); break;
		default: memcpy((char *) word, pristine[which] + at, 8);
		}
		if (n % 16 == 0) {	/* so that something goes on */
			memcpy(objects[which] + 80, pristine[which] + 80, 8);
			memcpy(objects[which] + 32, pristine[which] + 32, 8);
		}
		if (n % 512 == 0) {
			memcpy(objects[which], pristine[which], size);
			sched_yield();
		}
	}
	for (int i = 0; i < 2; i++)
		memcpy(objects[i], pristine[i], size);
	printf("%d mutations\n", mutations);
	fflush(stdout);
	_exit(0);
}

/* The target. */

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void) sig;
	stop = 1;
}

static double longest;
static long calls;

/* The result of a call, with its time noted. */
#define TIMED(call) ({ \
	double before = now_ms() - atomic_load(&stalled); \
	__typeof__(call) result = (call); \
	if (now_ms() - before - atomic_load(&stalled) > 500) \
		usleep(20000);	/* the beat comes late, too */ \
	double took = now_ms() - before - atomic_load(&stalled); \
	longest = took > longest ? took : longest; \
	calls++; \
	result; \
})

static int target(char *argv[])
{
	struct villas_pair *p = joined(argv);
	struct villas_pair_sample *smps[2 * QUEUELEN], *got[2 * QUEUELEN];
	struct timespec moment = { 0, 1000000 };

	start_beat();
	signal(SIGTERM, on_term);
	printf("joined\n");
	fflush(stdout);
	while (!stop) {
		int n = TIMED(villas_pair_alloc(p, smps, 1 + (unsigned) calls % (2 * QUEUELEN)));
		for (int i = 0; i < n; i++) {
			smps[i]->length = 3;
			smps[i]->data[0].f = i;
		}
		int m = TIMED(villas_pair_read_timeout(p, got, 1 + (unsigned) calls % (2 * QUEUELEN), &moment));
		for (int i = 0; i < m; i++) {
			if (i < n)
				TIMED(villas_pair_copy(smps[i], got[i]));
			TIMED(villas_pair_get(got[i]));
			TIMED(villas_pair_put(got[i]));
		}
		if (m > 0)
			TIMED(villas_pair_put_many(got, (unsigned) m));
		int w = n > 0 ? TIMED(villas_pair_write_timeout(p, smps, (unsigned) n, &moment)) : 0;
		for (int i = w > 0 ? w : 0; i < n; i++)
			TIMED(villas_pair_put(smps[i]));
		if (n <= 0 && m <= 0)
			sched_yield();
	}
	TIMED(villas_pair_close(p));
	printf("%ld calls, the longest took %.0f ms\n", calls, longest);
	return longest > LONGEST_MS;
}

int main(int argc, char *argv[])
{
	alarm(600);
	return argc == 6 && !strcmp(argv[1], "fuzz") ? fuzz(argv) : argc == 5 && !strcmp(argv[1], "target") ? target(argv) : 2;
}
