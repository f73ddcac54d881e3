/* SPDX-License-Identifier: Apache-2.0 */

/* A peer built with the original, by the contract's word: one element at a time, mutex and condition variable in
 * signalled mode, the barrier at the start. It links nothing of ours and shares no code with it; the headers give it
 * the structures. Its signalled pull waits before it looks, as the original's does.
 *
 *	legacy program NAME VECTOR		gives back what it gets
 *	legacy node NAME MODE COUNT VECTOR	sends COUNT samples round and checks them; region from $GOLDEN
 *	legacy victim NAME MODE			a node that sends and reads until it is killed
 *
 * VILLAS_EXT_FAULT=POINT:COUNT kills it at the COUNTth visit to a point: with the mutex held, in the wait for the
 * condition, at the barrier, between claim and publish (push) or claim and free (pull). Like the original it ignores
 * every result of the pthread functions. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <villas/shmem.h>

static struct shmem_shared *shm;

static const char *fault_point = "";
static atomic_int fault_left, fault_in;	/* fault_in: inside of a call of glibc where to die */

static int fault(const char *point)
{
	if (strcmp(point, fault_point) || atomic_fetch_sub(&fault_left, 1) != 1)
		return 0;
	return 1;
}

static void die_at(const char *point)
{
	if (fault(point))
		raise(SIGKILL);
}

/* Dies a moment after the main thread has gone into the chosen call. */
static void *killer(void *arg)
{
	(void) arg;
	while (!atomic_load(&fault_in))
		usleep(20);
	usleep(300);
	raise(SIGKILL);
	return NULL;
}

static void choose_fault(void)
{
	static char name[32];
	const char *chosen = getenv("VILLAS_EXT_FAULT");
	pthread_t thread;
	int count = 0;

	if (!chosen || sscanf(chosen, "%31[a-z]:%d", name, &count) != 2)
		return;
	fault_point = name;
	atomic_store(&fault_left, count);
	if (!strcmp(name, "wait") || !strcmp(name, "barrier"))
		pthread_create(&thread, NULL, killer, NULL);
}

/* The barrier, where there is one visit only. */
static void meet(void)
{
	if (!strcmp(fault_point, "barrier"))
		atomic_store(&fault_in, 1);
	pthread_barrier_wait(&shm->start_bar);
}

static struct queue_cell *cell(struct queue *q, size_t pos)
{
	return (struct queue_cell *) ((char *) q + q->buffer_off) + (pos & q->buffer_mask);
}

static int push(struct queue *q, void *p)
{
	size_t pos = atomic_load(&q->tail);

	for (;;) {
		struct queue_cell *c = cell(q, pos);
		long ahead = (long) atomic_load(&c->sequence) - (long) pos;
		if (ahead < 0)
			return 0;
		if (ahead == 0 && atomic_compare_exchange_weak(&q->tail, &pos, pos + 1)) {
			die_at("push");
			c->data_off = (char *) p - (char *) q;
			atomic_store(&c->sequence, pos + 1);
			return 1;
		}
		if (ahead > 0)
			pos = atomic_load(&q->tail);
	}
}

static int pull(struct queue *q, void **p)
{
	size_t pos = atomic_load(&q->head);

	for (;;) {
		struct queue_cell *c = cell(q, pos);
		long ahead = (long) atomic_load(&c->sequence) - (long) (pos + 1);
		if (ahead < 0)
			return 0;
		if (ahead == 0 && atomic_compare_exchange_weak(&q->head, &pos, pos + 1)) {
			die_at("pull");
			*p = (char *) q + c->data_off;
			atomic_store(&c->sequence, pos + q->buffer_mask + 1);
			return 1;
		}
		if (ahead > 0)
			pos = atomic_load(&q->head);
	}
}

static void put(struct sample *s)
{
	if (atomic_fetch_sub(&s->refcnt, 1) == 1)
		push(&((struct pool *) ((char *) s + s->pool_off))->queue, s);
}

static int alloc(struct sample **s)
{
	if (!pull(&shm->pool.queue, (void **) s))
		return 0;
	atomic_store(&(*s)->refcnt, 1);
	(*s)->pool_off = (char *) &shm->pool - (char *) *s;
	(*s)->capacity = (int) ((shm->pool.blocksz - SAMPLE_LEN(0)) / 4);
	(*s)->format = 0;
	return 1;
}

static int read_many(union shmem_queue *u, atomic_size_t *stopped, struct sample **s, int n)
{
	int got = 0;

	if (shm->polling) {
		while (got < n && pull(&u->q, (void **) &s[got]))
			got++;
		return got || !atomic_load(stopped) ? got : -1;
	}
	pthread_mutex_lock(&u->qs.mutex);
	die_at("mutex");
	if (fault("wait"))
		atomic_store(&fault_in, 1);
	if (!atomic_load(stopped))
		pthread_cond_wait(&u->qs.ready, &u->qs.mutex);	/* before it looks */
	while (got < n && pull(&u->q, (void **) &s[got]))
		got++;
	pthread_mutex_unlock(&u->qs.mutex);
	return got || !atomic_load(stopped) ? got : -1;
}

static int write_many(union shmem_queue *u, atomic_size_t *stopped, struct sample **s, int n)
{
	int done = 0;

	if (atomic_load(stopped))
		return -1;
	while (done < n && push(&u->q, s[done]))
		done++;
	if (!shm->polling && done) {
		pthread_mutex_lock(&u->qs.mutex);
		die_at("mutex");
		pthread_cond_broadcast(&u->qs.ready);
		pthread_mutex_unlock(&u->qs.mutex);
	}
	return done;
}

static char *map(const char *name)
{
	struct stat st;
	int fd = -1;

	for (int i = 0; i < 4000 && fd < 0; i++) {
		fd = shm_open(name, O_RDWR, 0);
		if (fd < 0)
			usleep(2000);
	}
	if (fd < 0 || fstat(fd, &st))
		exit(3);
	return mmap(NULL, (size_t) st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

static int program(const char *name, int vector)
{
	struct sample *s[64];
	int n;

	shm = (struct shmem_shared *) (map(name) + 80);
	meet();
	while ((n = read_many(&shm->out, &shm->node_stopped, s, vector)) >= 0) {
		int done = 0;
		if (n == 0)
			sched_yield();
		while (done < n) {
			int w = write_many(&shm->in, &shm->node_stopped, s + done, n - done);
			if (w < 0)
				break;
			if (w == 0)
				sched_yield();
			done += w;
		}
	}
	atomic_store(&shm->ext_stopped, 1);
	return 0;
}

static void shared_mutex(union shmem_queue *u)
{
	pthread_mutexattr_t m;
	pthread_condattr_t c;

	pthread_mutexattr_init(&m);
	pthread_mutexattr_setpshared(&m, PTHREAD_PROCESS_SHARED);
	pthread_condattr_init(&c);
	pthread_condattr_setpshared(&c, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&u->qs.mutex, &m);
	pthread_cond_init(&u->qs.ready, &c);
}

/* Put a region from $GOLDEN under the name and wait for the program: 0 or an exit status. */
static int create(const char *name, const char *mode)
{
	char path[4096], bytes[12680], made[300], final[300];
	struct sample *s[1];
	pthread_barrierattr_t attr;

	snprintf(path, sizeof(path), "%s/a-32-4-%s.bin", getenv("GOLDEN"), mode);
	FILE *f = fopen(path, "r");
	snprintf(final, sizeof(final), "/dev/shm%s", name);
	snprintf(made, sizeof(made), "%s-made", name);
	shm_unlink(made);
	int fd = shm_open(made, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (!f || fread(bytes, 1, sizeof(bytes), f) != sizeof(bytes) || fd < 0 || write(fd, bytes, sizeof(bytes)) != sizeof(bytes))
		return 4;
	shm = (struct shmem_shared *) (map(made) + 80);
	while (pull(&shm->out.q, (void **) &s[0]))
		put(s[0]);
	pthread_barrierattr_init(&attr);
	pthread_barrierattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shm->start_bar, &attr, 2);
	if (!shm->polling) {
		shared_mutex(&shm->in);
		shared_mutex(&shm->out);
	}
	snprintf(path, sizeof(path), "/dev/shm%s", made);
	if (rename(path, final))
		return 5;
	meet();
	return 0;
}

static int node(const char *name, const char *mode, int count, int vector)
{
	struct sample *s[64];
	int sent = 0, got = 0, bad = 0, err = create(name, mode);

	if (err)
		return err;
	while (got < count) {
		int n = 0;
		while (n < vector && sent + n < count && sent + n - got < 24 && alloc(&s[n])) {
			s[n]->sequence = sent + n;
			s[n]->length = 2;
			s[n]->data[0].f = (float) (sent + n);
			s[n]->data[1].i = (unsigned) (sent + n) * 3u;
			n++;
		}
		if (n) {
			int w = write_many(&shm->out, &shm->ext_stopped, s, n);
			for (int i = w < 0 ? 0 : w; i < n; i++)
				put(s[i]);
			sent += w < 0 ? 0 : w;
		}
		n = 0;	/* looks first: a checker that could sleep for ever checks nothing */
		while (n < vector && pull(&shm->in.q, (void **) &s[n]))
			n++;
		if (n == 0)
			sched_yield();
		for (int i = 0; i < n; i++) {
			bad += s[i]->sequence != got + i || s[i]->length != 2 || s[i]->data[0].f != (float) (got + i) ||
				s[i]->data[1].i != (unsigned) (got + i) * 3u;
			put(s[i]);
		}
		got += n;
	}
	int available = (int) (atomic_load(&shm->pool.queue.tail) - atomic_load(&shm->pool.queue.head));
	printf("sent %d received %d bad %d free %d of 64\n", sent, got, bad, available);
	atomic_store(&shm->node_stopped, 1);
	if (!shm->polling) {
		for (int i = 0; i < 2000 && !atomic_load(&shm->ext_stopped); i++) {
			pthread_mutex_lock(&shm->out.qs.mutex);
			pthread_cond_broadcast(&shm->out.qs.ready);
			pthread_mutex_unlock(&shm->out.qs.mutex);
			usleep(1000);
		}
	}
	shm_unlink(name);
	return bad || available != 64;
}

static int victim(const char *name, const char *mode)
{
	struct sample *s[8];
	int sequence = 0, err = create(name, mode);

	if (err)
		return err;
	for (;;) {
		int n = 0;
		while (n < 8 && alloc(&s[n])) {
			s[n]->sequence = sequence + n;
			s[n]->length = 3;
			s[n]->data[0].f = (float) (sequence + n);
			s[n]->data[1].f = (float) -(sequence + n);
			s[n]->data[2].f = 7;
			n++;
		}
		int w = write_many(&shm->out, &shm->ext_stopped, s, n);
		for (int i = w < 0 ? 0 : w; i < n; i++)
			put(s[i]);
		sequence = (sequence + (w < 0 ? 0 : w)) % 100000;
		n = read_many(&shm->in, &shm->ext_stopped, s, 8);
		if (n < 0)
			return 9;	/* the survivor never leaves first */
		for (int i = 0; i < n; i++) {
			if (s[i]->length != 3 || s[i]->data[0].f != (float) s[i]->sequence)
				return 10;
			put(s[i]);
		}
	}
}

int main(int argc, char *argv[])
{
	alarm(100);
	choose_fault();
	if (argc == 4 && !strcmp(argv[1], "victim"))
		return victim(argv[2], argv[3]);
	if (argc == 4 && !strcmp(argv[1], "program"))
		return program(argv[2], atoi(argv[3]));
	if (argc == 6 && !strcmp(argv[1], "node"))
		return node(argv[2], argv[3], atoi(argv[4]), atoi(argv[5]));
	return 2;
}
