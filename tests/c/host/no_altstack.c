/* SPDX-License-Identifier: Apache-2.0 */

/* A handler without SA_ONSTACK that uses much stack, under load: it must only run on threads of the program. */
#include <signal.h>

#include "host.h"

static pthread_t owner;
static volatile sig_atomic_t strays, seen;

static void handler(int sig)
{
	volatile char big[200000];

	(void) sig;
	for (size_t i = 0; i < sizeof(big); i += 512)
		big[i] = 1;
	if (!pthread_equal(pthread_self(), owner))
		strays++;
	seen++;
}

int main(void)
{
	const char *name = region_name();
	struct sigaction action;

	bounded();
	owner = pthread_self();
	memset(&action, 0, sizeof(action));
	action.sa_handler = handler;
	action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGTERM, &action, NULL);

	struct shmem_node *node = new_node(name, 0);
	pid_t host = getpid(), pid = fork();
	if (pid == 0) {
		signal(SIGUSR1, SIG_IGN);
		pid_t shooter = fork();
		if (shooter == 0) {
			for (int i = 0; i < 5000; i++) {
				kill(host, i & 1 ? SIGUSR1 : SIGTERM);
				usleep(20);
			}
			_exit(0);
		}
		_exit(echo(name) == 20000 && ended_well(shooter) ? 0 : 1);
	}
	exchange(node, 20000);
	CHECK(shmem_node_close(node) == 0);
	CHECK(ended_well(pid));
	CHECK(seen > 0 && strays == 0);
	return 0;
}
