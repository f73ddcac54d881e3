/* SPDX-License-Identifier: Apache-2.0 */

/* A program that blocks signals and waits for them gets them: no thread of the library takes one away, by default
 * action or otherwise. sigwaitinfo, signalfd and a POSIX timer. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>

#include "host.h"

int main(void)
{
	const char *name = region_name();
	sigset_t set;
	siginfo_t info;
	struct signalfd_siginfo got;
	timer_t timer;
	struct sigevent event;
	struct itimerspec once = { { 0, 0 }, { 0, 20000000 } };

	bounded();
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGRTMIN + 1);
	CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);

	struct shmem_node *node = new_node(name, 0);
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 50; i++) {
			kill(getppid(), SIGTERM);
			usleep(500);
		}
		_exit(echo(name) == 100 ? 0 : 1);
	}
	CHECK(sigwaitinfo(&set, &info) == SIGTERM);
	CHECK(info.si_pid == pid);
	exchange(node, 100);

	memset(&event, 0, sizeof(event));
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = SIGRTMIN + 1;
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(timer_settime(timer, 0, &once, NULL) == 0);
	sigdelset(&set, SIGTERM);
	CHECK(sigwaitinfo(&set, &info) == SIGRTMIN + 1);

	int fd = signalfd(-1, &set, SFD_CLOEXEC);
	struct pollfd ready = { fd, POLLIN, 0 };
	CHECK(timer_settime(timer, 0, &once, NULL) == 0);
	CHECK(poll(&ready, 1, 5000) == 1);
	CHECK(read(fd, &got, sizeof(got)) == sizeof(got) && got.ssi_signo == (unsigned) SIGRTMIN + 1);

	CHECK(shmem_node_close(node) == 0);
	CHECK(ended_well(pid));
	return 0;
}
