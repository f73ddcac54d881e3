/* SPDX-License-Identifier: Apache-2.0 */

/* Each exported leaf is called with a canary in every callee-saved register, and around the caller's frame. */
#include <stdint.h>

#include "../host/host.h"

#if defined(__x86_64__)
#define SAVED 6			/* rbx rbp r12 r13 r14 r15 */
#else
#define SAVED 19		/* x19 to x29, d8 to d15 */
#endif

typedef struct {
	uint64_t before[SAVED], after[SAVED];
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
#elif defined(__aarch64__)
#define EACH_SAVED(how) \
	how " x19, x20, [x9]\n" how " x21, x22, [x9, #16]\n" how " x23, x24, [x9, #32]\n" how " x25, x26, [x9, #48]\n" \
	how " x27, x28, [x9, #64]\n"
#define EACH_FLOAT(how) \
	how " d8, d9, [x9, #88]\n" how " d10, d11, [x9, #104]\n" how " d12, d13, [x9, #120]\n" how " d14, d15, [x9, #136]\n"
__asm__(
	".text\n.globl call_with\n.type call_with,@function\ncall_with:\n"
	"sub sp, sp, #432\n"		/* 256 of pattern, 152 of saved registers, x0, x30 */
	"str x0, [sp, #408]\nstr x30, [sp, #416]\n"
	"add x9, sp, #256\n" EACH_SAVED("stp") "str x29, [x9, #80]\n" EACH_FLOAT("stp")
	"mov x9, x0\n" EACH_SAVED("ldp") "ldr x29, [x9, #80]\n" EACH_FLOAT("ldp")
	"ldr x10, =0x5a5a5a5a5a5a5a5a\nmov x11, #0\n"
	"1: add x12, x10, x11\nstr x12, [sp, x11, lsl #3]\nadd x11, x11, #1\ncmp x11, #32\nb.ne 1b\n"
	"mov x10, x1\nmov x0, x2\nmov x1, x3\nmov x2, x4\n"
	"blr x10\n"
	"ldr x10, [sp, #408]\nstr x0, [x10, #560]\n"
	"add x9, x10, #152\n" EACH_SAVED("stp") "str x29, [x9, #80]\n" EACH_FLOAT("stp")
	"mov x11, #0\nadd x13, x10, #304\n"
	"2: ldr x12, [sp, x11, lsl #3]\nstr x12, [x13, x11, lsl #3]\nadd x11, x11, #1\ncmp x11, #32\nb.ne 2b\n"
	"add x9, sp, #256\n" EACH_SAVED("ldp") "ldr x29, [x9, #80]\n" EACH_FLOAT("ldp")
	"ldr x30, [sp, #416]\nadd sp, sp, #432\nret\n"
	".size call_with, . - call_with\n");
#else
#error "write call_with for this machine"
#endif
long call_with(canary *, void *function, void *a, void *b, void *c);

static int calls;

static long call(const char *name, void *function, void *a, void *b, void *c)
{
	canary k;

	for (int i = 0; i < SAVED; i++)
		k.before[i] = 0x1111111111111111u * (unsigned) (i + 1) ^ (uint64_t) calls;
	call_with(&k, function, a, b, c);
	for (int i = 0; i < SAVED; i++) {
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
		CHECK(CALL(shmem_total_size, 32L, 32L, 4L) == REGION_32_4);
		CHECK((int) CALL(sample_put, s[0], 0, 0) == -1 && (int) CALL(queue_push, NULL, NULL, 0) == -1);
	}
	CHECK(queue_available(&own.queue) == 64 && queue_available(&shmem_node_pool(node)->queue) == 128);
	CHECK(shmem_node_close(node) == 0);
	printf("%d calls\n", calls);
	return 0;
}
