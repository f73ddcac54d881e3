/* SPDX-License-Identifier: Apache-2.0 */

/* The roles of standin.c over <villas/pair.h>; what they are and which settings there are is told there; also timeout
 * (milliseconds), vector, nolegacy=1, and again=1: open again when the other side dies. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <villas/pair.h>

static int ql = 256, sl = 8, count = 1000, window = 64, timeout = 30000, vector = 16, nolegacy, again;
static struct timespec patience;
static struct villas_pair *p;
static int failed;

static int fail(const char *what)
{
	failed = errno;
	fprintf(stderr, "%s: %s\n", what, villas_pair_strerror(errno));
	return 1;
}

/* Every field of sample i follows from i. */
static void fill(struct villas_pair_sample *s, int i)
{
	s->sequence = (uint64_t) i;
	s->length = (unsigned) sl;
	s->flags = VILLAS_PAIR_HAS_ORIGIN | VILLAS_PAIR_HAS_RECEIVED | VILLAS_PAIR_HAS_SEQUENCE | VILLAS_PAIR_HAS_DATA |
		(i % 10 ? 0 : VILLAS_PAIR_NEW_FRAME);
	s->ts.origin.tv_sec = s->ts.received.tv_sec = 1700000000 + i / 1000;
	s->ts.origin.tv_nsec = (long) i * 7919 % 1000000000;
	s->ts.received.tv_nsec = 222222222;
	for (int j = 0; j < sl; j++) {
		s->data[j].i = 0;
		switch (j % 4) {
		case 0:
			s->data[j].f = 1.5 * i + j;
			break;
		case 1:
			s->data[j].i = -7000000000 * (int64_t) (i + 1) + j;
			break;
		case 2:
			s->data[j].b = (i + j) & 1;
			break;
		case 3:
			s->data[j].z.re = (float) (i % 1000) + 0.5f;
			s->data[j].z.im = (float) j - (float) (i % 77);
		}
	}
}

static int right(struct villas_pair_sample *s, int i, struct villas_pair_sample *want)
{
	fill(want, i);
	return s->sequence == (uint64_t) i && s->length == (unsigned) sl && s->capacity >= (unsigned) sl && s->flags == want->flags &&
		!memcmp(&s->ts, &want->ts, sizeof(s->ts)) && !memcmp(s->data, want->data, 8 * (size_t) sl);
}

static void alloc(struct villas_pair_sample **smps, unsigned n)
{
	unsigned have = 0;

	while ((have += (unsigned) villas_pair_alloc(p, smps + have, n - have)) < n)
		usleep(50);
}

/* How many samples of our own are free: all of them, where none is lost. */
static int own_free(void)
{
	struct villas_pair_sample *all[4096];
	int n = villas_pair_alloc(p, all, 4096);

	villas_pair_put_many(all, (unsigned) n);
	return n;
}

static int echo(void)
{
	struct villas_pair_sample *smps[64], *back[64];
	int n, total = 0;

	while ((n = villas_pair_read_timeout(p, smps, (unsigned) vector, &patience)) > 0) {
		alloc(back, (unsigned) n);
		for (int i = 0; i < n; i++)
			villas_pair_copy(back[i], smps[i]);
		villas_pair_put_many(smps, (unsigned) n);
		int done = villas_pair_write_timeout(p, back, (unsigned) n, &patience);
		villas_pair_put_many(back + (done < 0 ? 0 : done), (unsigned) (n - (done < 0 ? 0 : done)));
		total += n;
	}
	if (errno != EPIPE)
		return fail("read");
	printf("echoed %d free %d of %d\n", total, own_free(), ql);
	return 0;
}

static int send(void)
{
	struct villas_pair_sample *smps[64], *want = calloc(1, sizeof(*want) + 8 * (size_t) sl);
	int sent = 0, got = 0, bad = 0, n;

	while (got < count) {
		while (sent < count && sent - got < window) {
			int most = vector < count - sent ? vector : count - sent;
			n = villas_pair_alloc(p, smps, (unsigned) (most < window - sent + got ? most : window - sent + got));
			for (int i = 0; i < n; i++)
				fill(smps[i], sent + i);
			int done = villas_pair_write(p, smps, (unsigned) n);
			if (done < 0)
				return fail("write");
			for (int i = done; i < n; i++)
				villas_pair_put(smps[i]);
			sent += done;
			if (!done)
				break;
		}
		n = villas_pair_read_timeout(p, smps, (unsigned) vector, &patience);
		if (n < 0)
			return fail("read");
		for (int i = 0; i < n; i++)
			bad += !right(smps[i], got + i, want);
		villas_pair_put_many(smps, (unsigned) n);
		got += n;
	}
	free(want);
	printf("sent %d received %d bad %d free %d of %d\n", sent, got, bad, own_free(), ql);
	return bad != 0;
}

static int source(void)
{
	struct villas_pair_sample *s;

	for (int i = 0; i < count; i++) {
		alloc(&s, 1);
		fill(s, i);
		if (villas_pair_write_timeout(p, &s, 1, &patience) != 1)
			return fail("write");
	}
	printf("sent %d\n", count);
	return 0;
}

static int sink(void)
{
	struct villas_pair_sample *s, *want = calloc(1, sizeof(*want) + 8 * (size_t) sl);
	int got = 0, bad = 0, n;

	while ((n = villas_pair_read(p, &s, 1)) >= 0) {
		if (!n) {
			sched_yield();
			continue;
		}
		bad += !right(s, got++, want);
		villas_pair_put(s);
	}
	free(want);
	if (errno != EPIPE)
		return fail("read");
	printf("received %d bad %d\n", got, bad);
	return bad != 0;
}

int main(int argc, char *argv[])
{
	struct { const char *name; int *value; } settings[] = {
		{ "ql", &ql }, { "sl", &sl }, { "count", &count }, { "window", &window }, { "timeout", &timeout },
		{ "vector", &vector }, { "nolegacy", &nolegacy }, { "again", &again },
	};
	struct { const char *name; int (*play)(void); } roles[] = {
		{ "echo", echo }, { "send", send }, { "source", source }, { "sink", sink },
	};
	struct villas_pair_options o = VILLAS_PAIR_OPTIONS_INIT;
	int result = 1;

	if (argc < 4)
		return 2;
	o.polling = 1;
	for (int i = 4; i < argc; i++) {
		size_t n = strcspn(argv[i], "=");
		for (size_t k = 0; k < sizeof(settings) / sizeof(*settings); k++) {
			if (strlen(settings[k].name) == n && !strncmp(argv[i], settings[k].name, n))
				*settings[k].value = atoi(argv[i] + n + 1);
		}
		if (!strcmp(argv[i], "mode=pthread"))
			o.polling = 0;
	}
	patience.tv_sec = timeout / 1000;
	patience.tv_nsec = timeout % 1000 * 1000000;
	o.queuelen = ql;
	o.samplelen = sl;
	o.flags = nolegacy ? VILLAS_PAIR_NO_LEGACY : 0;
	o.timeout = &patience;
	do {
		failed = 0;
		p = villas_pair_open(argv[2], argv[3], &o);
		if (!p)
			return fail("open");
		for (size_t k = 0; k < sizeof(roles) / sizeof(*roles); k++) {
			if (!strcmp(argv[1], roles[k].name))
				result = roles[k].play();
		}
		villas_pair_close(p);
	} while (again && failed == EOWNERDEAD);
	return result;
}
