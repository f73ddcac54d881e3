/* SPDX-License-Identifier: Apache-2.0 */

/* What a user would take instead: ZeroMQ, a pair of sockets over ipc. Prints as others.c does. */
#define _GNU_SOURCE
#include <zmq.h>

#include "messages.h"

static char endpoint[64];
static void *context, *sock;

static void make(size_t len)
{
	static int count;

	(void) len;
	snprintf(endpoint, sizeof(endpoint), "ipc://@villas-bench-%d-%d", (int) getpid(), count++);	/* leaves no file */
}

static void side(int side)
{
	NEED((context = zmq_ctx_new()) && (sock = zmq_socket(context, ZMQ_PAIR)));
	NEED(!(side ? zmq_connect(sock, endpoint) : zmq_bind(sock, endpoint)));
}

static void send_message(int side, const void *p, size_t len)
{
	(void) side;
	NEED(zmq_send(sock, p, len, 0) == (int) len);
}

static void receive_message(int side, void *p, size_t len)
{
	(void) side;
	NEED(zmq_recv(sock, p, len, 0) == (int) len);
}

static void end(int side)
{
	(void) side;
	zmq_close(sock);
	zmq_ctx_term(context);
}

int main(void)
{
	static const struct channel zeromq = { "ZeroMQ", 1, make, side, send_message, receive_message, end };

	measure(&zeromq);
	return 0;
}
