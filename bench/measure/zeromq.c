/* SPDX-License-Identifier: Apache-2.0 */

/* What a user would take instead: ZeroMQ, a pair of sockets over ipc. The same exchange as in pairs.c, between two
 * processes on a CPU each; a message has the bytes of a sample. Prints as pairs.c does, with a name in place of a
 * library's number. */
#define _GNU_SOURCE
#include <zmq.h>

#include "exchange.h"

#define MOST_VALUES 1024
#define NAME "ZeroMQ"

static struct message {
	char head[SAMPLE_LEN(0)];
	union sample_data data[MOST_VALUES];
} message;

static struct results {
	double end;
	float sum;		/* so that values are read */
	unsigned ns[4000];
} *results;

static void *context, *sock;

static void enter(int cpu, const char *endpoint)
{
	pin(cpu);
	NEED((context = zmq_ctx_new()) && (sock = zmq_socket(context, ZMQ_PAIR)));
	NEED(!(cpu ? zmq_connect(sock, endpoint) : zmq_bind(sock, endpoint)));
}

static void leave(void)
{
	zmq_close(sock);
	zmq_ctx_term(context);
}

static void send_message(int values)
{
	size_t len = SAMPLE_LEN((size_t) values);

	NEED(zmq_send(sock, &message, len, 0) == (int) len);
}

static void receive(int values)
{
	size_t len = SAMPLE_LEN((size_t) values);

	NEED(zmq_recv(sock, &message, len, 0) == (int) len);
	results->sum += total(message.data, values);
}

/* The other process takes count messages and, there and back, passes each back. */
static pid_t other(const char *endpoint, int values, int count, bool back)
{
	pid_t pid = child();

	if (pid)
		return pid;
	enter(1, endpoint);
	for (int i = 0; i < count; i++) {
		receive(values);
		if (back)
			send_message(values);
	}
	results->end = now();
	leave();
	_exit(0);
}

static void there_and_back(const char *endpoint, int count)
{
	enum { VALUES = 4 };
	int first = count / 10;		/* are not counted */
	pid_t pid = other(endpoint, VALUES, first + count, true);

	enter(0, endpoint);
	for (int i = -first; i < count; i++) {
		double start = now();
		fill(message.data, VALUES, i);
		send_message(VALUES);
		receive(VALUES);
		if (i >= 0)
			results->ns[i] = (unsigned) (now() - start);
	}
	ended_well(pid);
	leave();
	print_quantiles("round trip", NAME, results->ns, (unsigned) count);
}

static void one_way(const char *endpoint, int values, int count)
{
	pid_t pid = other(endpoint, values, count, false);

	enter(0, endpoint);
	double start = now();
	for (int i = 0; i < count; i++) {
		fill(message.data, values, i);
		send_message(values);
	}
	ended_well(pid);
	leave();
	print_stream(1, values, NAME, (results->end - start) / count);
}

int main(void)
{
	static const int values[] = { 4, 64, 1024 };
	int count = (int) (3000 * effort()) + 1;
	char endpoint[64];

	NEED(effort() <= 1);
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	NEED(results != MAP_FAILED);
	cpus();
	/* In the abstract namespace: leaves no file. */
	snprintf(endpoint, sizeof(endpoint), "ipc://@villas-bench-%d", (int) getpid());
	there_and_back(endpoint, count);
	for (int i = 0; i < 3; i++)
		one_way(endpoint, values[i], 5 * count);
	return 0;
}
