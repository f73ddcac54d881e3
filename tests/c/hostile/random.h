/* SPDX-License-Identifier: Apache-2.0 */

/* Random words of a fuzzer. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdint.h>

static uint64_t state;	/* to be seeded, not with 0 */

static inline uint64_t random64(void)	/* xorshift64*, Vigna, "An experimental exploration of Marsaglia's xorshift generators" */
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1dull;
}

#endif
