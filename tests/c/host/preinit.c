/* SPDX-License-Identifier: Apache-2.0 */

/* A call from .preinit_array, before the library's constructors: it cannot work, and must say so. */
#include "host.h"

static void early(void)
{
	alarm(20);
	shmem_total_size(1, 1, 1);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(void) = early;

int main(void)
{
	return 0;
}
