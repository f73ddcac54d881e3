/* SPDX-License-Identifier: Apache-2.0 */

/* One party at a queue that many share: party host NAME makes a region and keeps it, party push|pull|finish OBJECT
 * VECTOR COUNT works with two threads on its `in` queue and pool through structures found by address, as any process
 * may that maps the object. */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <villas/shmem.h>
#include <villas/shmem_node.h>

static struct shmem_shared *shm;
static int vector, count;
static long total, sum;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *push(void *number)
{
	struct sample *s[64];
	int done = 0, want = vector < 1 ? 1 : vector;

	while (done < count) {
		int n = sample_alloc(&shm->pool, s, want < count - done ? want : count - done), in = 0;
		for (int i = 0; i < n; i++) {
			s[i]->sequence = done + i;
			s[i]->length = 1;
			s[i]->data[0].i = (unsigned) (getpid() * 2 + (int) (long) number);
		}
		while (in < n) {
			int k = vector ? queue_push_many(&shm->in.q, (void **) s + in, (size_t) (n - in)) : queue_push(&shm->in.q, s[in]);
			if (k == 0)
				sched_yield();
			in += k;
		}
		if (n == 0)
			sched_yield();
		done += n;
	}
	return NULL;
}

/* Sequence numbers of one pusher must grow. Pushers are told apart by value 0. */
struct seen {
	unsigned who;
	int last;
};

static void *pull(void *unused)
{
	struct seen seen[64];
	struct sample *s[64];
	int known = 0;
	long mine = 0, added = 0;

	(void) unused;
	for (;;) {
		int n = vector > 1 ? queue_pull_many(&shm->in.q, (void **) s, (size_t) vector) : queue_pull(&shm->in.q, (void **) s);
		if (n == 0)
			sched_yield();
		for (int i = 0; i < n; i++) {
			int k = 0;
			if (s[i]->length == 0) {	/* the end: one for each puller, the rest goes back */
				sample_put(s[i]);
				for (int j = i + 1; j < n; j++)
					while (queue_push(&shm->in.q, s[j]) != 1)
						sched_yield();
				pthread_mutex_lock(&lock);
				total += mine;
				sum += added;
				pthread_mutex_unlock(&lock);
				return NULL;
			}
			while (k < known && seen[k].who != s[i]->data[0].i)
				k++;
			if (k == known) {
				seen[known].who = s[i]->data[0].i;
				seen[known++].last = -1;
			}
			if (s[i]->sequence <= seen[k].last) {
				fprintf(stderr, "%d of pusher %u after %d\n", s[i]->sequence, seen[k].who, seen[k].last);
				exit(1);
			}
			seen[k].last = s[i]->sequence;
			mine++;
			added += s[i]->sequence;
			if (sample_put(s[i]) != 0)
				exit(1);
		}
	}
}

static void host(const char *name)
{
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
	sigset_t set;
	int sig;

	o.queuelen = 128;
	o.samplelen = 4;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	struct shmem_node *node = shmem_node_create(name, &o);
	if (!node)
		exit(1);
	int fd = shm_open(name, O_RDWR, 0);
	dup2(fd, 9);
	sigwait(&set, &sig);
	printf("free %zu of %zu\n", queue_available(&shmem_node_pool(node)->queue), (size_t) 256);
	shmem_node_close(node);
	exit(0);
}

int main(int argc, char *argv[])
{
	pthread_t threads[2];
	struct stat st;

	alarm(60);
	if (argc == 3)
		host(argv[2]);
	int fd = open(argv[2], O_RDWR);
	if (argc != 5 || fd < 0 || fstat(fd, &st))
		return 2;
	char *base = mmap(NULL, (size_t) st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	shm = (struct shmem_shared *) (base + 80);
	vector = atoi(argv[3]);
	count = atoi(argv[4]);
	if (!strcmp(argv[1], "finish")) {
		struct sample *s;
		for (int i = 0; i < vector; i++) {
			while (sample_alloc(&shm->pool, &s, 1) != 1)
				sched_yield();
			s->length = 0;
			while (queue_push(&shm->in.q, s) != 1)
				sched_yield();
		}
		return 0;
	}
	for (long i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, strcmp(argv[1], "push") ? pull : push, (void *) i);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	if (strcmp(argv[1], "push"))
		printf("count %ld sum %ld\n", total, sum);
	return 0;
}
