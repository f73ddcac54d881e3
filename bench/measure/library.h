/* SPDX-License-Identifier: Apache-2.0 */

/* The libraries under measurement: any number of libvillas-ext.so.1 in one process, opened by path and called through
 * the same table of pointers, which is what a call through the PLT comes to. And what the programs here share: the
 * clock, CPUs, and a node for each library. */
#ifndef LIBRARY_H
#define LIBRARY_H

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <villas/shmem.h>
#include <villas/shmem_node.h>

#define NEED(what) do { \
	if (!(what)) { \
		fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #what, strerror(errno)); \
		_exit(1); \
	} \
} while (0)

/* Every libvillas-ext.so.1 has these. */
#define CALLS(X) \
	X(queue_init) X(queue_destroy) X(queue_push) X(queue_pull) X(queue_push_many) X(queue_pull_many) \
	X(queue_signalled_init) X(queue_signalled_push_many) X(queue_signalled_pull_many) \
	X(memtype_managed_init) X(memory_alloc) X(pool_init) X(pool_destroy) \
	X(sample_alloc) X(sample_get) X(sample_put) X(sample_put_many) X(sample_copy) \
	X(shmem_total_size) X(shmem_shared_open) X(shmem_shared_read) X(shmem_shared_write) X(shmem_shared_close)

/* The node's side is there since 1.0; for the others a node is put together by hand. */
#define NODE_CALLS(X) \
	X(shmem_node_create) X(shmem_node_accept) X(shmem_node_shared) X(shmem_node_read) X(shmem_node_write) \
	X(shmem_node_close)

struct library {
	const char *path;
#define POINTER(name) __typeof__(name) *name;
	CALLS(POINTER) NODE_CALLS(POINTER)
#undef POINTER
	struct memtype *heap;
};

static inline struct library *library_open(const char *path)
{
	struct library *l = calloc(1, sizeof(*l));
	void *so = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	if (!so) {
		fprintf(stderr, "%s\n", dlerror());
		_exit(1);
	}
	l->path = path;
#define LOOK_UP(name) l->name = (__typeof__(l->name)) dlsym(so, #name);
	CALLS(LOOK_UP) NODE_CALLS(LOOK_UP)
#undef LOOK_UP
	l->heap = dlsym(so, "memtype_heap");
#define IS_THERE(name) if (!l->name) { fprintf(stderr, "%s: there is no %s\n", path, #name); _exit(1); }
	CALLS(IS_THERE)
#undef IS_THERE
	NEED(l->heap);
	return l;
}

static inline double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double) t.tv_sec * 1e9 + (double) t.tv_nsec;
}

/* How long to measure, 1 being for figures that count: tests of the programs themselves take less. */
static inline double effort(void)
{
	const char *e = getenv("BENCH_EFFORT");

	return e ? atof(e) : 1;
}

/* The CPUs that this process may use; to be called before it is bound to one. */
static inline int cpus(void)
{
	static int count;
	cpu_set_t all;

	if (!count) {
		NEED(!sched_getaffinity(0, sizeof(all), &all));
		count = CPU_COUNT(&all);
	}
	return count;
}

/* Bind this thread to the nth of them, round and round. */
static inline void pin(int n)
{
	static cpu_set_t all;
	cpu_set_t one;

	n %= cpus();
	if (!CPU_COUNT(&all))
		NEED(!sched_getaffinity(0, sizeof(all), &all));
	for (int cpu = 0;; cpu++) {
		if (CPU_ISSET(cpu, &all) && n-- == 0) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			NEED(!sched_setaffinity(0, sizeof(one), &one));
			return;
		}
	}
}

/* A node, by the library's own calls or by hand. */
struct node {
	struct library *l;
	struct shmem_node *node;	/* NULL: by hand */
	struct shmem_shared *shm;
};

static inline struct node node_make(struct library *l, const char *name, int polling, int queuelen, int samplelen)
{
	struct node n = { .l = l };

	if (l->shmem_node_create) {
		struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
		o.polling = polling;
		o.queuelen = queuelen;
		o.samplelen = samplelen;
		NEED(n.node = l->shmem_node_create(name, &o));
		n.shm = l->shmem_node_shared(n.node);
		return n;
	}
	size_t size = l->shmem_total_size(queuelen, queuelen, samplelen), len = (size_t) queuelen;
	char hidden[80];
	snprintf(hidden, sizeof(hidden), "%s-made", name);
	int fd = shm_open(hidden, O_RDWR | O_CREAT | O_EXCL, 0600);
	NEED(fd >= 0 && !ftruncate(fd, (off_t) size));
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	NEED(base != MAP_FAILED);
	close(fd);
	struct memtype *mem = l->memtype_managed_init(base, size);
	NEED(n.shm = l->memory_alloc(mem, sizeof(*n.shm)));
	n.shm->len = size;
	n.shm->polling = polling;
	NEED(!l->queue_signalled_init(&n.shm->in.qs, len, mem) && !l->queue_signalled_init(&n.shm->out.qs, len, mem));
	NEED(!l->pool_init(&n.shm->pool, 2 * len, SAMPLE_LEN((size_t) samplelen), mem));
	pthread_barrierattr_init(&n.shm->start_attr);
	pthread_barrierattr_setpshared(&n.shm->start_attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&n.shm->start_bar, &n.shm->start_attr, 2);
	char from[100], to[100];
	snprintf(from, sizeof(from), "/dev/shm%s", hidden);
	snprintf(to, sizeof(to), "/dev/shm%s", name);
	NEED(!rename(from, to));	/* nobody sees half a region */
	return n;
}

static inline void node_accept(struct node *n)
{
	if (n->node)
		NEED(!n->l->shmem_node_accept(n->node, NULL));
	else
		pthread_barrier_wait(&n->shm->start_bar);
}

static inline int node_read(struct node *n, struct sample **s, int cnt)
{
	if (n->node)
		return n->l->shmem_node_read(n->node, s, (unsigned) cnt);
	if (n->shm->polling)
		return n->l->queue_pull_many(&n->shm->in.q, (void **) s, (size_t) cnt);
	return n->l->queue_signalled_pull_many(&n->shm->in.qs, (void **) s, (size_t) cnt);
}

static inline int node_write(struct node *n, struct sample **s, int cnt)
{
	if (n->node)
		return n->l->shmem_node_write(n->node, s, (unsigned) cnt);
	if (n->shm->polling)
		return n->l->queue_push_many(&n->shm->out.q, (void **) s, (size_t) cnt);
	return n->l->queue_signalled_push_many(&n->shm->out.qs, (void **) s, (size_t) cnt);
}

static inline void node_close(struct node *n, const char *name)
{
	if (n->node) {
		n->l->shmem_node_close(n->node);
		return;
	}
	atomic_store(&n->shm->node_stopped, 1);
	while (!atomic_load(&n->shm->ext_stopped) && !n->shm->polling) {	/* a program may be on its way into a wait */
		n->l->queue_signalled_push_many(&n->shm->out.qs, NULL, 0);
		usleep(1000);
	}
	shm_unlink(name);
}

/* The program's open waits for a region to be there. */
static inline struct shmem_shared *program_open(struct library *l, const char *name, void **base)
{
	struct shmem_shared *shm;
	char path[100];

	snprintf(path, sizeof(path), "/dev/shm%s", name);
	while (access(path, F_OK))
		usleep(200);
	NEED(shm = l->shmem_shared_open(name, base));
	return shm;
}

/* A child that ends with its parent. */
static inline pid_t child(void)
{
	pid_t parent = getpid(), pid = fork();

	NEED(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
		alarm(120);	/* a library that stalls is an error */
	}
	return pid;
}

static inline void ended_well(pid_t pid)
{
	int status;

	NEED(waitpid(pid, &status, 0) == pid);
	if (status) {
		fprintf(stderr, "a child ended with status %d\n", status);
		_exit(1);
	}
}

#endif
