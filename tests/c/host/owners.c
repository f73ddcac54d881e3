/* SPDX-License-Identifier: Apache-2.0 */

/* owners create NAME MODE GROUP: be a node until the input ends; owners open NAME: be a program for a moment. Prints the
 * errno value, 0 if all went well. */
#include "host.h"

int main(int argc, char *argv[])
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;

	bounded();
	CHECK(argc >= 3);
	if (!strcmp(argv[1], "open")) {
		struct shmem_shared *shm = shmem_shared_open(argv[2], NULL);
		printf("%d\n", shm ? 0 : errno);
		return shm ? shmem_shared_close(shm, NULL) : 0;
	}
	CHECK(argc == 5);
	o.queuelen = 4;
	o.mode = (mode_t) strtol(argv[3], NULL, 8);
	o.group = (gid_t) atoi(argv[4]);
	struct shmem_node *node = shmem_node_create(argv[2], &o);
	printf("%d\n", node ? 0 : errno);
	fflush(stdout);
	if (!node)
		return 0;
	(void) getchar();
	return shmem_node_close(node);
}
