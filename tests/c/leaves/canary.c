/* SPDX-License-Identifier: Apache-2.0 */

/* Each exported leaf is called with a canary in every callee-saved register, and around the caller's frame. */
#include <stdint.h>

#include "../host/host.h"

typedef struct {
	uint64_t before[6], after[6];	/* rbx rbp r12 r13 r14 r15 */
	uint64_t frame[32];
	long result;
} canary;

#if defined(__x86_64__)
/* call_with(canary, function, a, b, c): loads the canaries, pushes 32 words of pattern, calls, and notes all. */
__asm__(
	".text\n.globl call_with\n.type call_with,@function\ncall_with:\n"
	"push %rbx\npush %rbp\npush %r12\npush %r13\npush %r14\npush %r15\n"
	"push %rdi\n"			/* 7 pushes and the return address: rsp is 16-aligned */
	"mov %rsi, %rax\n"
	"mov 0(%rdi), %rbx\nmov 8(%rdi), %rbp\nmov 16(%rdi), %r12\nmov 24(%rdi), %r13\nmov 32(%rdi), %r14\nmov 40(%rdi), %r15\n"
	"mov %rdx, %rdi\nmov %rcx, %rsi\nmov %r8, %rdx\n"
	"sub $256, %rsp\n"
	"xor %r10d, %r10d\n"
	"1: mov $0x5a5a5a5a5a5a5a5a, %r11\nadd %r10, %r11\nmov %r11, (%rsp,%r10,8)\ninc %r10\ncmp $32, %r10\njne 1b\n"
	"call *%rax\n"
	"mov 256(%rsp), %rdi\n"
	"xor %r10d, %r10d\n"
	"2: mov (%rsp,%r10,8), %r11\nmov %r11, 96(%rdi,%r10,8)\ninc %r10\ncmp $32, %r10\njne 2b\n"
	"add $256, %rsp\n"
	"pop %rdi\n"
	"mov %rbx, 48(%rdi)\nmov %rbp, 56(%rdi)\nmov %r12, 64(%rdi)\nmov %r13, 72(%rdi)\nmov %r14, 80(%rdi)\nmov %r15, 88(%rdi)\n"
	"mov %rax, 352(%rdi)\n"
	"pop %r15\npop %r14\npop %r13\npop %r12\npop %rbp\npop %rbx\nret\n"
	".size call_with, . - call_with\n");
long call_with(canary *, void *function, void *a, void *b, void *c);
#else
#error "write call_with for this machine"
#endif

static int calls;

static long call(const char *name, void *function, void *a, void *b, void *c)
{
	canary k;

	for (int i = 0; i < 6; i++)
		k.before[i] = 0x1111111111111111u * (unsigned) (i + 1) ^ (uint64_t) calls;
	call_with(&k, function, a, b, c);
	for (int i = 0; i < 6; i++) {
		if (k.after[i] != k.before[i]) {
			fprintf(stderr, "%s: callee-saved register %d is %llx, was %llx\n", name, i,
				(unsigned long long) k.after[i], (unsigned long long) k.before[i]);
			exit(1);
		}
	}
	for (uint64_t i = 0; i < 32; i++) {
		if (k.frame[i] != 0x5a5a5a5a5a5a5a5au + i) {
			fprintf(stderr, "%s: word %d of the caller's frame is overwritten\n", name, (int) i);
			exit(1);
		}
	}
	calls++;
	return k.result;
}

#define CALL(f, a, b, c) call(#f, (void *) (f), (void *) (a), (void *) (b), (void *) (c))

int main(void)
{
	struct shmem_node *node = new_node(region_name(), 1);
	struct sample *s[64];
	struct queue q;
	struct pool own, *p;
	void *out[64];

	bounded();
	CHECK(queue_init(&q, 64, &memtype_heap) == 0 && pool_init(&own, 64, SAMPLE_LEN(4), &memtype_heap) == 0);
	struct pool *pools[] = { &own, shmem_node_pool(node) };
	for (int round = 0; round < 2000; round++) {
		p = pools[round & 1];
		int n = 1 + round % 64;
		CHECK(CALL(sample_alloc, p, s, (long) n) == n);
		CHECK(CALL(sample_get, s[0], 0, 0) == 2 && CALL(sample_put, s[0], 0, 0) == 1);
		CHECK((int) CALL(sample_get_many, s, (long) n, 0) == n);
		CHECK(CALL(sample_set_data_format, s[0], 3L, 1L) == 0 && CALL(sample_get_data_format, s[0], 3L, 0) == 1);
		CHECK((int) CALL(sample_get_data_format, s[0], 64L, 0) == -1);
		s[0]->length = 2;
		CHECK(CALL(sample_copy, s[n - 1], s[0], 0) == 0);
		CHECK(CALL(queue_push, &q, s[0], 0) == 1 && CALL(queue_pull, &q, out, 0) == 1 && out[0] == s[0]);
		CHECK(CALL(queue_push_many, &q, s, (long) n) == n && CALL(queue_available, &q, 0, 0) == n);
		CHECK(CALL(queue_pull_many, &q, out, 64L) == n);
		CHECK((int) CALL(sample_put_many, s, (long) n, 0) == 0 && (int) CALL(sample_put_many, s, (long) n, 0) == n);
		CHECK(CALL(shmem_total_size, 32L, 32L, 4L) == 12680);
		CHECK((int) CALL(sample_put, s[0], 0, 0) == -1 && (int) CALL(queue_push, NULL, NULL, 0) == -1);
	}
	CHECK(queue_available(&own.queue) == 64 && queue_available(&shmem_node_pool(node)->queue) == 128);
	CHECK(shmem_node_close(node) == 0);
	printf("%d calls\n", calls);
	return 0;
}
