/* SPDX-License-Identifier: Apache-2.0 */

/* What <villas/pair.h> promises, call by call, with the other side in a child. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>

#include <villas/pair.h>
#include <villas/shmem_node.h>

#include "host.h"

static char a[64], b[64];
static const struct timespec patience = { 10, 0 };

static struct villas_pair *opened(const char *own, const char *other, int polling)
{
	struct villas_pair_options o = VILLAS_PAIR_OPTIONS_INIT;

	o.queuelen = 16;
	o.samplelen = 4;
	o.polling = polling;
	o.timeout = &patience;
	struct villas_pair *p = villas_pair_open(own, other, &o);
	CHECK(p != NULL);
	return p;
}

/* How many files of this test there are in /dev/shm. */
static int left(void)
{
	DIR *dir = opendir("/dev/shm");
	struct dirent *e;
	int n = 0;

	while ((e = readdir(dir)))
		n += strstr(e->d_name, a + 1) || strstr(e->d_name, b + 1);
	closedir(dir);
	return n;
}

static void send_value(struct villas_pair *p, double v)
{
	struct villas_pair_sample *s;

	CHECK(villas_pair_alloc(p, &s, 1) == 1);
	CHECK(s->flags == 0 && s->length == 0 && s->capacity >= 4 && !s->signals[0] && !s->signals[1]);
	s->signals[0] = 0xdead;		/* goes out as zero */
	s->length = 1;
	s->data[0].f = v;
	CHECK(villas_pair_write(p, &s, 1) == 1);
}

static double value(struct villas_pair *p)
{
	struct villas_pair_sample *s;

	CHECK(villas_pair_read_timeout(p, &s, 1, &patience) == 1);
	CHECK(!s->signals[0] && !s->signals[1]);
	double v = s->data[0].f;
	CHECK(villas_pair_get(s) == 2 && villas_pair_put(s) == 1 && villas_pair_put(s) == 0);
	CHECK(villas_pair_put(s) == -1 && errno == EINVAL);
	return v;
}

/* The other side: gives back the double of what it gets until the end; then, in order, what else it is told. */
static pid_t other_side(int polling)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	struct villas_pair *p = opened(b, a, polling);
	struct villas_pair_sample *s;
	while (villas_pair_read_timeout(p, &s, 1, &patience) == 1) {
		double v = s->data[0].f;
		villas_pair_put(s);
		if (v < 0)
			break;
		send_value(p, 2 * v);
	}
	CHECK(villas_pair_close(p) == 0);
	_exit(0);
}

static void refused(const char *own, const char *other, const struct villas_pair_options *o, int err)
{
	errno = 0;
	CHECK(villas_pair_open(own, other, o) == NULL);
	CHECK(errno == err);
	CHECK(strlen(villas_pair_strerror(err)) > 0);
}

static void arguments(void)
{
	struct villas_pair_options o = VILLAS_PAIR_OPTIONS_INIT;
	struct timespec moment = { 0, 30000000 };
	char longname[300];
	struct villas_pair_sample *s;

	memset(longname, 'n', 299);
	longname[299] = '\0';
	refused(NULL, b, NULL, EINVAL);
	refused(a, "/x/y", NULL, EINVAL);
	refused(longname, b, NULL, ENAMETOOLONG);
	o.queuelen = 0;
	refused(a, b, &o, EINVAL);
	o.queuelen = 1 << 30;
	o.samplelen = 1 << 20;
	refused(a, b, &o, EINVAL);
	o = (struct villas_pair_options) VILLAS_PAIR_OPTIONS_INIT;
	o.size = 1;
	refused(a, b, &o, EINVAL);
	o = (struct villas_pair_options) VILLAS_PAIR_OPTIONS_INIT;
	o.timeout = &moment;
	refused(a, b, &o, ETIMEDOUT);
	atomic_int stop = 1;
	o = (struct villas_pair_options) VILLAS_PAIR_OPTIONS_INIT;
	o.stop = &stop;
	refused(a, b, &o, ECANCELED);
	CHECK(left() == 0);
	CHECK(villas_pair_blocks(NULL, NULL, NULL) == -1 && errno == EINVAL);
	CHECK(villas_pair_read(NULL, &s, 1) == -1 && errno == EINVAL && villas_pair_close(NULL) == -1);
	CHECK(villas_pair_put(NULL) == -1 && villas_pair_get((void *) &s) == -1 && errno == EINVAL);
}

static void exchange_and_drain(int polling)
{
	struct villas_pair_sample *s, *mine;
	pid_t pid = other_side(polling);
	struct villas_pair *p = opened(a, b, polling);
	struct villas_pair_options o = VILLAS_PAIR_OPTIONS_INIT;

	CHECK(villas_pair_ours(p) == 1);
	struct shmem_blocks own, other;
	CHECK(villas_pair_blocks(p, &own, &other) == 0 && own.count == 16 && own.stride % 64 == 0 && own.first != other.first);
	CHECK(villas_pair_alloc(p, &s, 1) == 1 && (char *) s >= own.first && ((char *) s - own.first) % (long) own.stride == 0);
	CHECK((char *) s < own.first + own.count * own.stride && villas_pair_put(s) == 0);
	refused(a, b, &o, EEXIST);
	for (int i = 0; i < 100; i++) {
		send_value(p, i);
		CHECK(value(p) == 2 * i);
	}
	CHECK(villas_pair_read(p, &s, 0) == 0);
	if (polling)
		CHECK(villas_pair_read(p, &s, 1) == 0);
	struct timespec moment = { 0, 20000000 };
	CHECK(villas_pair_read_timeout(p, &s, 1, &moment) == -1 && errno == ETIMEDOUT);

	/* A sample of the other side's pool is not written, but copied. */
	send_value(p, 5);
	CHECK(villas_pair_read_timeout(p, &s, 1, &patience) == 1 && villas_pair_alloc(p, &mine, 1) == 1);
	CHECK(villas_pair_write(p, &s, 1) == -1 && errno == EINVAL);
	CHECK(villas_pair_copy(mine, s) == 0 && mine->data[0].f == 10 && mine->length == 1);
	CHECK(villas_pair_put_many(&mine, 1) == 1 && villas_pair_put(s) == 0);

	/* What was queued before a close is read, then comes the end. */
	for (int i = 1; i <= 3; i++)
		send_value(p, i);
	send_value(p, -1);
	CHECK(ended_well(pid));
	for (int i = 1; i <= 3; i++)
		CHECK(value(p) == 2 * i);
	CHECK(villas_pair_read(p, &s, 1) == -1 && errno == EPIPE);
	CHECK(villas_pair_alloc(p, &s, 1) == 1 && villas_pair_write(p, &s, 1) == -1 && errno == EPIPE);
	CHECK(villas_pair_put(s) == 0);
	CHECK(villas_pair_close(p) == 0 && left() == 0);
}

static void death(int polling)
{
	struct villas_pair_sample *s;
	pid_t pid = other_side(polling);
	struct villas_pair *p = opened(a, b, polling);

	send_value(p, 1);
	CHECK(value(p) == 2);
	kill(pid, SIGKILL);
	CHECK(villas_pair_read_timeout(p, &s, 1, &patience) == -1 && errno == EOWNERDEAD);
	CHECK(villas_pair_close(p) == 0);
	CHECK(!ended_well(pid));

	/* The dead one's object does not keep the next one out. */
	pid = other_side(polling);
	p = opened(a, b, polling);
	send_value(p, 3);
	CHECK(value(p) == 6);
	send_value(p, -1);
	CHECK(ended_well(pid) && villas_pair_close(p) == 0 && left() == 0);
}

static void itself(int polling)
{
	struct villas_pair *p = opened(a, a + 1, polling);

	for (int i = 0; i < 40; i++) {
		send_value(p, i);
		CHECK(value(p) == i);
	}
	CHECK(villas_pair_close(p) == 0 && left() == 0);
}

static struct villas_pair *shared_pair;
static atomic_int begun;

/* Until the thread stands in its call. */
static void until_begun(void)
{
	while (!atomic_exchange(&begun, 0))
		usleep(1000);
	usleep(200000);
}

static void *blocked_read(void *result)
{
	struct villas_pair_sample *s;

	atomic_store(&begun, 1);
	*(int *) result = villas_pair_read_timeout(shared_pair, &s, 1, NULL) == -1 ? errno : 0;
	return NULL;
}

static void *blocked_open(void *arg)
{
	(void) arg;
	atomic_store(&begun, 1);
	villas_pair_open(a, b, NULL);
	return NULL;
}

static void cancelled(void *(*blocked)(void *))
{
	pthread_t thread;
	void *how;
	int result = 0;

	CHECK(pthread_create(&thread, NULL, blocked, &result) == 0);
	until_begun();
	CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &how) == 0 && how == PTHREAD_CANCELED);
}

static void threads(int polling)
{
	pthread_t thread;
	int result = 0;

	cancelled(blocked_open);
	CHECK(left() == 0);
	shared_pair = opened(a, a, polling);
	cancelled(blocked_read);
	send_value(shared_pair, 1);
	CHECK(value(shared_pair) == 1);
	CHECK(pthread_create(&thread, NULL, blocked_read, &result) == 0);
	until_begun();
	CHECK(villas_pair_close(shared_pair) == 0 && pthread_join(thread, NULL) == 0 && result == ECANCELED);
	CHECK(left() == 0);
}

/* A child uses the parent's pair beside it; its close ends nothing for the parent. */
static void forked(int polling)
{
	struct villas_pair *p = opened(a, a, polling);
	pid_t pid = fork();

	if (pid == 0) {
		send_value(p, 7);
		_exit(villas_pair_close(p) != 0);
	}
	CHECK(ended_well(pid) && value(p) == 7);
	send_value(p, 8);
	CHECK(value(p) == 8 && villas_pair_close(p) == 0 && left() == 0);
}

/* What remembered a pair may be that of a region next. */
static void a_region_after_a_pair(void)
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
	struct sample *s;

	villas_pair_close(opened(a, a, 1));
	o.queuelen = 4;
	struct shmem_node *node = shmem_node_create(b, &o);
	struct shmem_shared *shm = shmem_shared_open(b, NULL);
	CHECK(node && shm && shmem_node_accept(node, &patience) == 0);
	for (int i = 0; i < 20; i++) {
		CHECK(sample_alloc(shmem_node_pool(node), &s, 1) == 1 && shmem_node_write(node, &s, 1) == 1);
		CHECK(shmem_shared_read(shm, &s, 1) == 1 && sample_put_many(&s, 1) == 1);
	}
	CHECK(shmem_shared_close(shm, NULL) == 0 && shmem_node_close(node) == 0 && left() == 0);
}

int main(void)
{
	bounded();
	snprintf(a, sizeof(a), "%s-pair-a", region_name());
	snprintf(b, sizeof(b), "%s-pair-b", region_name());
	arguments();
	for (int polling = 0; polling < 2; polling++) {
		exchange_and_drain(polling);
		death(polling);
		itself(polling);
		threads(polling);
		forked(polling);
		a_region_after_a_pair();
	}
	return 0;
}
