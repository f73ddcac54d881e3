/* SPDX-License-Identifier: Apache-2.0 */

/* What it takes between two processes on a CPU each: there and back, and one way as fast as it goes. For each turn of
 * each library a node and a program are started. Prints a line a measurement: what, number of the library, ns (there and
 * back) or ns a sample (one way).
 *
 *	pairs LIBRARY...  */
#define _GNU_SOURCE
#include "exchange.h"

#define TURNS 3			/* of each library, for one case */
#define QUEUELEN 512
#define VALUES 1024		/* that a sample has room for at most */

static struct results {
	atomic_int go;		/* the program is attached and pinned */
	double start, end;
	float sum;		/* so that values are read */
	unsigned count;
	unsigned ns[1 << 18];
} *results;

struct exchange {
	const char *name;	/* there and back */
	int polling, spin;
	int batch;		/* 0: there and back */
	int values, count;
};

static const struct exchange exchanges[] = {
	{ "round trip, polling", 1, 1, 0, 4, 200000 },
	{ "round trip, signalled", 0, 1, 0, 4, 20000 },
	{ "round trip, signalled, no spin", 0, 0, 0, 4, 2000 },
	{ NULL, 1, 1, 1, 4, 200000 },
	{ NULL, 1, 1, 1, 64, 100000 },
	{ NULL, 1, 1, 1, 1024, 20000 },
	{ NULL, 1, 1, 8, 4, 400000 },
	{ NULL, 1, 1, 8, 64, 100000 },
	{ NULL, 1, 1, 8, 1024, 20000 },
	{ NULL, 1, 1, 64, 4, 400000 },
	{ NULL, 1, 1, 64, 64, 100000 },
	{ NULL, 1, 1, 64, 1024, 20000 },
};

static void wait_for_go(void)
{
	while (!atomic_load(&results->go))
		usleep(100);
}

static void there_and_back(struct node *n, const struct exchange *x)
{
	struct sample *s;

	NEED(n->l->sample_alloc(&n->shm->pool, &s, 1) == 1);
	s->length = x->values;
	for (int i = -x->count / 10; i < x->count; i++) {	/* the first are not counted */
		double start = now();
		fill(s->data, x->values, i);
		s->sequence = i;
		NEED(node_write(n, &s, 1) == 1);
		int got;
		while (!(got = node_read(n, &s, 1)))
			empty();
		NEED(got == 1 && s->sequence == i + 1);
		results->sum += total(s->data, x->values);
		if (i >= 0)
			results->ns[i] = (unsigned) (now() - start);
	}
	results->count = (unsigned) x->count;
}

static void one_way(struct node *n, const struct exchange *x)
{
	struct sample *s[64];

	results->start = now();
	for (int sent = 0; sent < x->count;) {
		int got = n->l->sample_alloc(&n->shm->pool, s, x->batch), done = 0;
		if (!got)
			empty();
		for (int i = 0; i < got; i++) {
			s[i]->sequence = sent + i;
			s[i]->length = x->values;
			fill(s[i]->data, x->values, sent + i);
		}
		while (done < got) {
			int w = node_write(n, s + done, got - done);
			NEED(w >= 0);
			if (!w)
				empty();
			done += w;
		}
		sent += got;
	}
}

static void node(const char *library, const char *name, const struct exchange *x)
{
	pin(0);
	struct node n = node_make(library_open(library), name, x->polling, QUEUELEN, VALUES);
	node_accept(&n);
	wait_for_go();
	if (x->batch)
		one_way(&n, x);
	else
		there_and_back(&n, x);
	if (x->batch)
		while (!results->end)
			usleep(100);
	node_close(&n, name);
	_exit(0);
}

static void program(const char *library, const char *name, const struct exchange *x)
{
	struct library *l = library_open(library);
	struct sample *s[64];
	void *base;
	int n, got = 0;

	pin(1);
	struct shmem_shared *shm = program_open(l, name, &base);
	atomic_store(&results->go, 1);
	if (x->batch) {
		while (got < x->count) {
			NEED((n = l->shmem_shared_read(shm, s, 64)) >= 0);
			if (!n)
				empty();
			for (int i = 0; i < n; i++) {
				NEED(s[i]->sequence == got + i);
				results->sum += total(s[i]->data, x->values);
			}
			if (n)
				l->sample_put_many(s, n);
			got += n;
		}
		results->end = now();
	} else {
		while ((n = l->shmem_shared_read(shm, s, 1)) >= 0) {
			if (!n)
				empty();
			for (int i = 0; i < n; i++) {
				results->sum += total(s[i]->data, x->values);
				s[i]->sequence++;
			}
			if (n)
				l->shmem_shared_write(shm, s, (unsigned) n);
		}
	}
	l->shmem_shared_close(shm, base);
	_exit(0);
}

static void turn(const char *library, const char *number, const struct exchange *x)
{
	static int count;
	char name[64];

	snprintf(name, sizeof(name), "/villas-bench-%d-%d", (int) getpid(), count++);
	memset(results, 0, offsetof(struct results, ns));
	if (x->spin)
		unsetenv("VILLAS_EXT_SPIN");
	else
		setenv("VILLAS_EXT_SPIN", "0", 1);
	pid_t a = child();
	if (a == 0)
		node(library, name, x);
	pid_t b = child();
	if (b == 0)
		program(library, name, x);
	ended_well(a);
	ended_well(b);
	if (x->batch)
		print_stream(x->batch, x->values, number, (results->end - results->start) / x->count);
	else
		print_quantiles(x->name, number, results->ns, results->count);
	fflush(stdout);
}

int main(int argc, char *argv[])
{
	results = mmap(NULL, sizeof(*results), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	NEED(results != MAP_FAILED);
	cpus();
	for (size_t i = 0; i < sizeof(exchanges) / sizeof(exchanges[0]); i++) {
		for (int t = 0; t < TURNS; t++) {
			for (int l = 1; l < argc; l++) {
				char number[16];
				struct exchange x = exchanges[i];
				x.count = (int) (x.count * effort()) / 64 * 64 + 64;
				snprintf(number, sizeof(number), "%d", l - 1);
				turn(argv[l], number, &x);
			}
		}
	}
	return 0;
}
