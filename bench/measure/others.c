/* SPDX-License-Identifier: Apache-2.0 */

/* What a user would take instead, in the words of the kernel: a pipe, a Unix socket, a POSIX message queue. And the
 * limit of all that goes through memory: the round trip of a bare cache line. Prints as pairs.c does, with a name in
 * place of a library's number. */
#define _GNU_SOURCE
#include <mqueue.h>
#include <sys/socket.h>

#include "messages.h"

static int fds[2][2];	/* by side: to read from, to write to */

static void make_pipe(size_t len)
{
	int there[2], back[2];

	(void) len;
	NEED(!pipe(there) && !pipe(back));
	fds[0][0] = back[0], fds[0][1] = there[1];
	fds[1][0] = there[0], fds[1][1] = back[1];
}

static void make_socket(size_t len)
{
	int pair[2];

	(void) len;
	NEED(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	fds[0][0] = fds[0][1] = pair[0];
	fds[1][0] = fds[1][1] = pair[1];
}

static void one_side(int side)
{
	close(fds[!side][0]);
	if (fds[!side][1] != fds[!side][0])
		close(fds[!side][1]);
}

static void send_all(int side, const void *p, size_t len)
{
	for (const char *at = p; len;) {
		ssize_t n = write(fds[side][1], at, len);
		NEED(n > 0);
		at += n;
		len -= (size_t) n;
	}
}

static void receive_all(int side, void *p, size_t len)
{
	for (char *at = p; len;) {
		ssize_t n = read(fds[side][0], at, len);
		NEED(n > 0);
		at += n;
		len -= (size_t) n;
	}
}

static void close_both(int side)
{
	close(fds[side][0]);
	if (fds[side][1] != fds[side][0])
		close(fds[side][1]);
}

static mqd_t queues[2];	/* by the side that reads */

static void make_queues(size_t len)
{
	struct mq_attr attr = { .mq_maxmsg = 10, .mq_msgsize = (long) len };
	char name[64];

	for (int i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "/villas-bench-%d-%d", (int) getpid(), i);
		queues[i] = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
		NEED(queues[i] != (mqd_t) -1);
		mq_unlink(name);
	}
}

static void both_sides(int side)
{
	(void) side;
}

static void send_message(int side, const void *p, size_t len)
{
	NEED(!mq_send(queues[!side], p, len, 0));
}

static void receive_message(int side, void *p, size_t len)
{
	NEED(mq_receive(queues[side], p, len, NULL) == (ssize_t) len);
}

static void close_queues(int side)
{
	(void) side;
	mq_close(queues[0]);
	mq_close(queues[1]);
}

static const struct channel channels[] = {
	{ "pipe", MOST_BATCH, make_pipe, one_side, send_all, receive_all, close_both },
	{ "Unix socket", MOST_BATCH, make_socket, one_side, send_all, receive_all, close_both },
	{ "POSIX queue", 1, make_queues, both_sides, send_message, receive_message, close_queues },
};

static void cache_line(void)
{
	enum { COUNT = 20000, EACH = 10 };	/* round trips for one reading of the clock */
	struct line { _Alignas(64) atomic_uint turn; } *line;

	line = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	NEED(line != MAP_FAILED);
	pid_t other = child();
	if (other == 0) {
		pin(1);
		for (unsigned i = 0; i < COUNT * EACH; i++) {
			while (atomic_load_explicit(&line->turn, memory_order_acquire) != 2 * i + 1)
				empty();
			atomic_store_explicit(&line->turn, 2 * i + 2, memory_order_release);
		}
		_exit(0);
	}
	pin(0);
	for (unsigned i = 0; i < COUNT * EACH;) {
		double start = now();
		unsigned at = i / EACH;
		for (unsigned end = i + EACH; i < end; i++) {
			atomic_store_explicit(&line->turn, 2 * i + 1, memory_order_release);
			while (atomic_load_explicit(&line->turn, memory_order_acquire) != 2 * i + 2)
				empty();
		}
		measured->ns[at] = (unsigned) ((now() - start) / EACH);
	}
	ended_well(other);
	print_quantiles("round trip", "cache line", measured->ns, COUNT);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
		measure(&channels[i]);
	cache_line();
	return 0;
}
