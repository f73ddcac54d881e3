/* SPDX-License-Identifier: Apache-2.0 */

/* What programs here that exchange something between processes share: values, waits, quantiles. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "library.h"

static inline void fill(union sample_data *data, int values, int seed)
{
	for (int i = 0; i < values; i++)
		data[i].i = (uint32_t) (seed + i);
}

static inline float total(const union sample_data *data, int values)
{
	uint32_t sum = 0;

	for (int i = 0; i < values; i++)
		sum += data[i].i;
	return (float) sum;
}

/* After an empty look: where the two sides share a CPU, let the other one run. */
static inline void empty(void)
{
	if (cpus() < 2)
		sched_yield();
}

static int by_value(const void *a, const void *b)
{
	unsigned x = *(const unsigned *) a, y = *(const unsigned *) b;

	return (x > y) - (x < y);
}

/* The four quantiles of package measure, in its words. */
static inline void print_quantiles(const char *what, const char *column, unsigned *ns, unsigned count)
{
	static const struct { const char *name; double at; } quantiles[] = {
		{ "p50", 0.5 }, { "p99", 0.99 }, { "p99.9", 0.999 }, { "max", 1 },
	};

	qsort(ns, count, sizeof(*ns), by_value);
	for (int i = 0; i < 4; i++) {
		unsigned at = (unsigned) (quantiles[i].at * count);
		printf("%s, %s\t%s\t%u\n", what, quantiles[i].name, column, ns[at < count ? at : count - 1]);
	}
}

static inline void print_stream(int batch, int values, const char *column, double ns)
{
	printf("one way in %ds, %d values\t%s\t%.4f\n", batch, values, column, ns);
}

#endif
