/* SPDX-License-Identifier: Apache-2.0 */

/* Points at which tests have this process die, as package internal/fault has them. Only in builds with the tag faults. */
#ifndef VX_FAULT_H
#define VX_FAULT_H

#ifdef VX_FAULTS
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static inline void vx_fault(const char *point)
{
	static _Atomic int left = -1;
	const char *chosen = getenv("VILLAS_EXT_FAULT");
	size_t n = strlen(point);

	if (!chosen || strncmp(chosen, point, n) || chosen[n] != ':')
		return;
	int none = -1;
	atomic_compare_exchange_strong(&left, &none, atoi(chosen + n + 1));
	if (atomic_fetch_sub(&left, 1) == 1)
		raise(SIGKILL);
}
#else
#define vx_fault(point) ((void) 0)
#endif

#endif
