/* SPDX-License-Identifier: Apache-2.0 */

/* Calls from the program's constructors, which may come before the Go runtime is up: they wait for it. */
#include "host.h"

static size_t early;
static int opened;

__attribute__((constructor)) static void construct(void)
{
	early = shmem_total_size(32, 32, 4);
	opened = shmem_shared_open("/villas-test-there-is-none", NULL) != NULL || errno != ENOENT;
}

int main(void)
{
	CHECK(early == REGION_32_4 && !opened);
	return 0;
}
