/* SPDX-License-Identifier: Apache-2.0 */

/* Threads hand payloads to each other through a queue, a signalled queue and a pool. With the argument "race" they
 * write to one after it was handed over. */
#include "../host/host.h"

#define COUNT 5000

static struct queue queue;
static struct queue_signalled signalled;
static struct pool pool;
static int racing;

static void *producer(void *unused)
{
	(void) unused;
	for (int i = 0; i < COUNT; i++) {
		struct sample *s;
		while (sample_alloc(&pool, &s, 1) != 1)
			sched_yield();
		s->sequence = i;
		s->length = 4;
		for (int k = 0; k < 4; k++)
			s->data[k].f = (float) (i + k);
		if (i & 1) {
			while (queue_push(&queue, s) != 1)
				sched_yield();
		} else {
			while (queue_signalled_push(&signalled, s) != 1)
				sched_yield();
		}
		if (racing)
			s->data[3].f = -1;
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	pthread_t thread;

	racing = argc > 1 && !strcmp(argv[1], "race");
	bounded();
	CHECK(queue_init(&queue, 16, &memtype_heap) == 0 && queue_signalled_init(&signalled, 16, &memtype_heap) == 0);
	CHECK(pool_init(&pool, 64, SAMPLE_LEN(4), &memtype_heap) == 0);
	CHECK(pthread_create(&thread, NULL, producer, NULL) == 0);
	for (int i = 0; i < COUNT; i++) {
		void *p;
		if (i & 1) {
			while (queue_pull(&queue, &p) != 1)
				sched_yield();
		} else {
			CHECK(queue_signalled_pull(&signalled, &p) == 1);
		}
		struct sample *s = p;
		CHECK(s->sequence == i && s->data[0].f == (float) i && (s->data[3].f == (float) (i + 3) || racing));
		CHECK(sample_put(s) == 0);
	}
	pthread_join(thread, NULL);
	CHECK(queue_available(&pool.queue) == 64);
	CHECK(queue_destroy(&queue) == 0 && queue_signalled_destroy(&signalled) == 0 && pool_destroy(&pool) == 0);
	return 0;
}
