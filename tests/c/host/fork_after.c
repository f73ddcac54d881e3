/* SPDX-License-Identifier: Apache-2.0 */

/* Fork while a region is open and in use: the parent's goes on, the child works with a region of its own, and the
 * child's end, by exit or by SIGKILL, changes nothing for the parent. */
#include <signal.h>

#include "host.h"

static void *serve(void *name)
{
	return (void *) (long) echo(name);
}

int main(void)
{
	const char *name = region_name();
	char childs[80];
	pthread_t program;
	void *total;
	struct shmem_node *node = new_node(name, 0);

	bounded();
	pthread_create(&program, NULL, serve, (void *) name);
	exchange(node, 200);

	pid_t pid = fork();
	if (pid == 0) {
		snprintf(childs, sizeof(childs), "%s-child", name);
		struct shmem_node *own = new_node(childs, 0);
		pthread_t thread;
		bounded();
		CHECK(pthread_create(&thread, NULL, serve, childs) == 0);
		exchange(own, 200);
		CHECK(shmem_node_close(own) == 0);
		pthread_join(thread, NULL);
		CHECK(shmem_node_close(node) == 0);	/* its copy of the parent's: unmaps, does not stop the parent */
		_exit(0);
	}
	exchange(node, 200);
	CHECK(ended_well(pid));

	pid = fork();
	if (pid == 0) {
		pause();
		_exit(1);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	exchange(node, 200);
	CHECK(shmem_node_close(node) == 0);
	pthread_join(program, &total);
	CHECK((long) total == 600);
	return 0;
}
