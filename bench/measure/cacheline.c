/* SPDX-License-Identifier: Apache-2.0 */

/* The limit of all that goes through memory: the round trip of a bare cache line between two processes on a CPU each.
 * Prints as pairs.c does, with a name in place of a library's number. */
#define _GNU_SOURCE
#include "exchange.h"

int main(void)
{
	enum { COUNT = 20000, EACH = 10 };	/* round trips for one reading of the clock */
	struct line { _Alignas(64) atomic_uint turn; } *line;
	static unsigned ns[COUNT];

	cpus();
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
		ns[at] = (unsigned) ((now() - start) / EACH);
	}
	ended_well(other);
	print_quantiles("round trip", "cache line", ns, COUNT);
	return 0;
}
