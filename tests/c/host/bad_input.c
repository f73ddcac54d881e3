/* SPDX-License-Identifier: Apache-2.0 */

/* What callers do wrong gets an error, and nothing is left open or mapped. */
#include <dirent.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "host.h"

static int entries(const char *path, int lines)
{
	int n = 0;

	if (lines) {
		FILE *f = fopen(path, "r");
		for (int c; (c = fgetc(f)) != EOF;)
			n += c == '\n';
		fclose(f);
	} else {
		DIR *d = opendir(path);
		while (readdir(d))
			n++;
		closedir(d);
	}
	return n;
}

static void refused(const char *name, int err)
{
	void *base = &base;

	errno = 0;
	if (shmem_shared_open(name, &base) != NULL || errno != err) {
		fprintf(stderr, "open %.20s: errno %d (%s), want %d\n", name ? name : "NULL", errno, strerror(errno), err);
		exit(1);
	}
}

static void with_content(const char *name, const char *bytes, size_t n, int err)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && (size_t) write(fd, bytes, n) == n);
	close(fd);
	refused(name, err);
	shm_unlink(name);
}

int main(void)
{
	static char golden[REGION_32_4] __attribute__((aligned(64)));
	char name[64], longname[400], bytes[sizeof(golden)];
	struct sample *s, *none[2] = { NULL, NULL };
	struct shmem_node_options o = SHMEM_NODE_OPTIONS_INIT;
	struct queue q;
	struct pool p;
	void *ptr;

	bounded();
	strcpy(name, region_name());
	lay_out(golden, 1);
		int fds = entries("/proc/self/fd", 0), maps = entries("/proc/self/maps", 1);

	/* Names. */
	refused(NULL, EINVAL);
	refused("", EINVAL);
	refused("/", EINVAL);
	refused("/a/b", EINVAL);
	refused("/villas-test-there-is-none", ENOENT);
	refused("villas-test-there-is-none", ENOENT);
	memset(longname, 'x', sizeof(longname));
	longname[0] = '/';
	longname[399] = 0;
	refused(longname, ENAMETOOLONG);

	/* Objects. */
	memset(bytes, 0, sizeof(bytes));
	with_content(name, bytes, 0, EPROTO);
	with_content(name, bytes, 100, EPROTO);
	with_content(name, bytes, sizeof(bytes), EPROTO);
	memset(bytes, 'A', sizeof(bytes));
	with_content(name, bytes, sizeof(bytes), EPROTO);
	with_content(name, golden, 6000, EBADMSG);
	memcpy(bytes, golden, sizeof(bytes));
	memset(bytes + 80 + offsetof(struct shmem_shared, start_bar), 0, sizeof(pthread_barrier_t));
	with_content(name, bytes, sizeof(bytes), EBADMSG);	/* a zeroed barrier */
	memcpy(bytes, golden, sizeof(bytes));
	bytes[80 + 104 + 6] = 1;
	with_content(name, bytes, sizeof(bytes), EBADMSG);	/* cells far away */
	memcpy(bytes, golden, sizeof(bytes));
	bytes[80 + 96] = 0x1e;
	with_content(name, bytes, sizeof(bytes), EBADMSG);	/* a mask that is none */

	/* Permissions do not hold for root: as nobody in a child. */
	struct shmem_node *node = new_node(name, 1);
	pid_t pid = fork();
	if (pid == 0) {
		if (getuid() == 0 && (setgid(65534) || setuid(65534)))
			_exit(1);
		if (getuid() != 0 && getuid() == 65534)
			refused(name, EACCES);
		_exit(0);
	}
	CHECK(ended_well(pid));
	CHECK(shmem_node_create(name, NULL) == NULL && errno == EEXIST);

	/* Calls. */
	struct shmem_shared *shm = shmem_shared_open(name, NULL);
	CHECK(shm != NULL);
	CHECK(shmem_shared_read(NULL, &s, 1) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(shmem_shared_read(shm, NULL, 1) == -1 && errno == EINVAL);
	CHECK(shmem_shared_read(shm, &s, 0) == 0 && shmem_shared_read(shm, &s, 1) == 0);
	errno = 0;
	CHECK(shmem_shared_write(NULL, &s, 1) == -1 && errno == EINVAL);
	CHECK(shmem_shared_write(shm, &s, 0) == 0);
	errno = 0;
	CHECK(shmem_shared_write(shm, NULL, 1) == -1 && errno == EINVAL);
	errno = 0;
	CHECK(shmem_shared_write(shm, none, 1) == -1 && errno == EINVAL);
	CHECK(pool_init(&p, 4, SAMPLE_LEN(4), &memtype_heap) == 0 && sample_alloc(&p, &s, 1) == 1);
	errno = 0;
	CHECK(shmem_shared_write(shm, &s, 1) == -1 && errno == EINVAL && atomic_load(&s->refcnt) == 1);
	CHECK(sample_put(s) == 0 && pool_destroy(&p) == 0);
	CHECK(shmem_shared_close(NULL, NULL) == -1 && shmem_shared_close(shm, NULL) == 0);
	errno = 0;
	CHECK(shmem_shared_read(NULL, NULL, 0) == -1 && errno == EINVAL);
	CHECK(shmem_node_close(node) == 0 && shmem_node_close(NULL) == -1);

	errno = 0;
	CHECK(sample_alloc(NULL, &s, 1) == -1 && errno == EINVAL && sample_alloc(&p, NULL, 1) == -1);
	CHECK(sample_get(NULL) == -1 && sample_put(NULL) == -1 && sample_copy(NULL, NULL) == -1);
	CHECK(sample_get_many(NULL, 1) == -1 && sample_put_many(NULL, 1) == -1 && sample_put_many(none, 2) == 0);
	CHECK(sample_set_data_format(NULL, 0, SAMPLE_DATA_FORMAT_INT) == -1 && sample_get_data_format(NULL, 0) == -1);
	sample_free(NULL, 1);
	CHECK(queue_push(NULL, &q) == -1 && queue_pull(NULL, &ptr) == -1 && queue_available(NULL) == 0);
	CHECK(queue_init(NULL, 1, &memtype_heap) == -1 && queue_init(&q, 1, NULL) == -1);
	CHECK(queue_init(&q, (size_t) 1 << 62, &memtype_heap) == -2 && queue_destroy(NULL) == -1);
	CHECK(pool_init(NULL, 1, 1, &memtype_heap) == -1 && pool_init(&p, (size_t) 1 << 60, 1 << 20, &memtype_heap) == -2);
	CHECK(memory_alloc(NULL, 1) == NULL && memory_free(NULL, NULL, 1) == -1 && memtype_managed_init(NULL, 100) == NULL);

	/* Lengths. */
	int lengths[] = { 1, 3, 100, 1025, 1 << 20 };
	for (int i = 0; i < 5; i++) {
		o.queuelen = lengths[i];
		o.samplelen = 0;
		node = shmem_node_create(name, &o);
		CHECK(node != NULL);
		shm = shmem_shared_open(name, NULL);
		CHECK(shm != NULL && queue_available(&shm->pool.queue) == 2 * (size_t) lengths[i]);
		CHECK(sample_alloc(&shm->pool, &s, 1) == 1 && s->capacity >= 0 && shmem_shared_write(shm, &s, 1) == 1);
		CHECK(shmem_shared_close(shm, NULL) == 0 && shmem_node_close(node) == 0);
	}
	o.queuelen = 0;
	CHECK(shmem_node_create(name, &o) == NULL && errno == EINVAL);
	o.queuelen = 1 << 30;
	o.samplelen = 1 << 12;
	CHECK(shmem_node_create(name, &o) == NULL && errno == ENOSPC);
	o.queuelen = o.samplelen = 0x7fffffff;
	CHECK(shmem_node_create(name, &o) == NULL && errno == EINVAL);
	o.queuelen = -1;
	CHECK(shmem_node_create(name, &o) == NULL && errno == EINVAL);
	CHECK(shmem_node_create("/a/b", NULL) == NULL && errno == EINVAL);
	CHECK(shmem_total_size(0x7fffffff, 0x7fffffff, 0x7fffffff) == 0 && shmem_total_size(-1, 1, 1) == 0);

	CHECK(entries("/proc/self/fd", 0) == fds);
	int left = entries("/proc/self/maps", 1) - maps;
#ifdef __SANITIZE_ADDRESS__
	left = 0;	/* the sanitizer maps as it likes */
#endif
	if (left > 2) {	/* malloc may have grown a little */
		fprintf(stderr, "%d mappings are left\n", left);
		return 1;
	}
	return 0;
}
