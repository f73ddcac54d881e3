/* SPDX-License-Identifier: Apache-2.0 */

/* Calls from a signal handler that interrupts the same calls, with an ordinary stack and no SA_ONSTACK. Handlers do not
 * interrupt each other: one between the claim and the publish of the other's push would rightly find the queue empty. */
#include <signal.h>
#include <sys/time.h>

#include "host.h"

static struct pool pool;
static struct queue queue;
static volatile sig_atomic_t ticks, broken;

static void tick(int sig)
{
	struct sample *s;
	void *p;

	(void) sig;
	if (sample_alloc(&pool, &s, 1) == 1) {
		if (queue_push(&queue, s) != 1 || queue_pull(&queue, &p) != 1)
			broken = 1;
		if (sample_put(p) != 0)
			broken = 2;
	}
	ticks++;
}

int main(int argc, char *argv[])
{
	struct sigaction action;
	int period = argc > 1 ? atoi(argv[1]) : 100;
	struct itimerval every = { { 0, period }, { 0, period } };
	struct sample *smps[16];

	bounded();
	CHECK(pool_init(&pool, 64, SAMPLE_LEN(4), &memtype_heap) == 0);
	CHECK(queue_init(&queue, 64, &memtype_heap) == 0);
	memset(&action, 0, sizeof(action));
	action.sa_handler = tick;
	sigfillset(&action.sa_mask);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGRTMIN + 2, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	for (long i = 0; ticks < 3000; i++) {
		int n = sample_alloc(&pool, smps, 16);
		CHECK(n >= 15);
		CHECK(sample_put_many(smps, n) == n);
		if (i % 1000 == 0)
			raise(SIGRTMIN + 2);
	}
	every.it_interval.tv_usec = every.it_value.tv_usec = 0;
	setitimer(ITIMER_REAL, &every, NULL);
	CHECK(!broken);
	CHECK(queue_available(&pool.queue) == 64 && queue_available(&queue) == 0);
	return 0;
}
