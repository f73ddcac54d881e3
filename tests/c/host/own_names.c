/* SPDX-License-Identifier: Apache-2.0 */

/* A program of today that links the library: error() and warn() are libc's, line and alloc are its own. The helpers of
 * the headers are there under their C names in a file that includes them, here by declarations of its own. */
#include <err.h>
#include <error.h>
#include <stdio.h>

#include <villas/shmem.h>

int line = 5;

static void *alloc(int n)
{
	return n > 0 ? &line : NULL;
}

void info_of_the_library(const char *fmt, ...) __asm__("villas_info");

int main(void)
{
	error_print_progname = NULL;
	error_at_line(0, 0, "own_names.c", 7, "libc's error");
	error(0, 0, "libc's error");
	warnx("libc's warn");
	info_of_the_library("hello");
	return alloc(shmem_total_size(2, 2, 1) == 3080) ? 0 : 1;
}
