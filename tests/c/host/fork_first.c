/* SPDX-License-Identifier: Apache-2.0 */

/* Fork as the first statement of main: the child opens, exchanges and closes a region of its own. */
#include "host.h"

int main(void)
{
	pid_t pid = fork();

	bounded();
	if (pid == 0) {
		const char *name = region_name();
		struct shmem_node *node = new_node(name, 0);
		pid_t grandchild = fork();
		if (grandchild == 0)
			_exit(echo(name) == 500 ? 0 : 1);
		exchange(node, 500);
		CHECK(shmem_node_close(node) == 0);
		_exit(ended_well(grandchild) ? 0 : 1);
	}
	CHECK(ended_well(pid));
	return 0;
}
