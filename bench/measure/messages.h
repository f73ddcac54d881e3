/* SPDX-License-Identifier: Apache-2.0 */

/* The same exchange as in pairs.c, over a channel that copies messages: there and back, and one way as fast as it goes,
 * between two processes on a CPU each. A message has the bytes of a sample. */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "exchange.h"

#define MOST_VALUES 1024
#define MOST_BATCH 64

/* A channel for both directions. Calls block, and move all bytes or fail. */
struct channel {
	const char *name;
	int batch;					/* messages that one call may carry */
	void (*make)(size_t len);			/* before the fork, for messages of len bytes */
	void (*side)(int side);				/* after it: 0 is the parent */
	void (*send)(int side, const void *p, size_t len);
	void (*receive)(int side, void *p, size_t len);
	void (*end)(int side);
};

static struct message {
	char head[SAMPLE_LEN(0)];
	union sample_data data[MOST_VALUES];
} *messages;

static struct measured {
	double start, end;
	float sum;
	unsigned ns[20000];
} *measured;

static inline void there_and_back(const struct channel *c, int values, int count)
{
	size_t len = SAMPLE_LEN((size_t) values);
	struct message *m = messages;

	c->make(len);
	pid_t echo = child();
	if (echo == 0) {
		pin(1);
		c->side(1);
		for (int i = -count / 10; i < count; i++) {
			c->receive(1, m, len);
			measured->sum += total(m->data, values);
			c->send(1, m, len);
		}
		c->end(1);
		_exit(0);
	}
	pin(0);
	c->side(0);
	for (int i = -count / 10; i < count; i++) {
		double start = now();
		fill(m->data, values, i);
		c->send(0, m, len);
		c->receive(0, m, len);
		measured->sum += total(m->data, values);
		if (i >= 0)
			measured->ns[i] = (unsigned) (now() - start);
	}
	ended_well(echo);
	c->end(0);
	print_quantiles("round trip", c->name, measured->ns, (unsigned) count);
}

static inline void one_way(const struct channel *c, int batch, int values, int count)
{
	size_t len = SAMPLE_LEN((size_t) values);
	char *bytes = (char *) messages;

	c->make(len);
	pid_t reader = child();
	if (reader == 0) {
		pin(1);
		c->side(1);
		for (int i = 0; i < count; i += batch) {
			c->receive(1, bytes, len * (size_t) batch);
			for (int k = 0; k < batch; k++)
				measured->sum += total(((struct message *) (bytes + len * (size_t) k))->data, values);
		}
		measured->end = now();
		c->end(1);
		_exit(0);
	}
	pin(0);
	c->side(0);
	measured->start = now();
	for (int i = 0; i < count; i += batch) {
		for (int k = 0; k < batch; k++)
			fill(((struct message *) (bytes + len * (size_t) k))->data, values, i + k);
		c->send(0, bytes, len * (size_t) batch);
	}
	ended_well(reader);
	c->end(0);
	print_stream(batch, values, c->name, (measured->end - measured->start) / count);
}

static inline void measure(const struct channel *c)
{
	static const int values[] = { 4, 64, 1024 };

	if (!messages) {
		messages = calloc(MOST_BATCH, sizeof(*messages));
		measured = mmap(NULL, sizeof(*measured), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		NEED(messages && measured != MAP_FAILED);
		cpus();
	}
	int count = (int) (300 * effort()) + 1;
	there_and_back(c, 4, 10 * count);
	for (int i = 0; i < 3; i++) {
		one_way(c, 1, values[i], MOST_BATCH * count);
		if (c->batch > 1)
			one_way(c, MOST_BATCH, values[i], MOST_BATCH * count);
	}
	fflush(stdout);
}

#endif
