/* SPDX-License-Identifier: Apache-2.0 */

/* The stubs through which C calls leaves on amd64: from the System V convention to Go's register convention
 * (ABIInternal) and back, without the Go runtime.
 *
 *	argument      0    1    2    3    4    5
 *	C             rdi  rsi  rdx  rcx  r8   r9
 *	Go            rax  rbx  rcx  rdi  rsi  r8
 *
 * Go's callee may use every register but rsp, rbp and r14, so rbx, r12, r13 and r15 are saved here (Go keeps
 * rbp as its frame pointer and r14 for the goroutine, which a leaf never looks at; tests hold both). It expects
 * xmm15 to be zero, and may spill its register arguments into 72 bytes of its caller's frame. */

#include "stubs.h"

.macro SAVE
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %rbx, 0
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r12, 0
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r13, 0
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	.cfi_rel_offset %r15, 0
	subq	$72, %rsp
	.cfi_adjust_cfa_offset 72
.endm

.macro RESTORE
	addq	$72, %rsp
	.cfi_adjust_cfa_offset -72
	popq	%r15
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r15
	popq	%r13
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r13
	popq	%r12
	.cfi_adjust_cfa_offset -8
	.cfi_restore %r12
	popq	%rbx
	.cfi_adjust_cfa_offset -8
	.cfi_restore %rbx
.endm

/* Call the Go function whose address is in r11 with three arguments, or with six. */
.macro CALL_GO_3
	SAVE
	movq	%rdi, %rax
	movq	%rsi, %rbx
	movq	%rdx, %rcx
	xorps	%xmm15, %xmm15
	call	*%r11
	RESTORE
.endm

.macro CALL_GO_6
	SAVE
	movq	%rdi, %rax
	movq	%rsi, %rbx
	movq	%rcx, %rdi
	movq	%rdx, %rcx
	movq	%r8, %rsi
	movq	%r9, %r8
	xorps	%xmm15, %xmm15
	call	*%r11
	RESTORE
.endm

/* vx_leaf_<name>: for C that has waited for the start. */
.macro LEAF_STUB name
	SLOT	vx_leaf_table, vx_slot_\name
	.hidden	vx_leaf_\name
	.globl	vx_leaf_\name
	BEGIN	vx_leaf_\name
	movq	vx_slot_\name(%rip), %r11
	CALL_GO_6
	ret
	END	vx_leaf_\name
.endm

/* <name>, exported; it has three arguments at most. Its slot stays NULL until the Go side has come up, and for good under
 * the thread sanitizer: then late.c takes the call. */
.macro PUBLIC_STUB name, kind
	SLOT	vx_public_table, vx_public_slot_\name
	.globl	\name
	BEGIN	\name
	movq	vx_public_slot_\name(%rip), %r11
	testq	%r11, %r11
	je	vx_late_\name
	.if \kind >= ELSE_0
	KEEP	(\kind - ELSE_0)
	.endif
	CALL_GO_3
	.if \kind != RAW
	testq	%rax, %rax
	js	1f
	.endif
	.if \kind > ELSE_0
	.cfi_remember_state
	addq	$8 * (\kind - ELSE_0), %rsp
	.cfi_adjust_cfa_offset -8 * (\kind - ELSE_0)
	.endif
	ret
	.if \kind > ELSE_0
	.cfi_restore_state
	.endif
	.if \kind != RAW
1:	movq	%rax, %rdi
	.endif
	.if \kind >= ELSE_0
	GIVE	(\kind - ELSE_0)
	jmp	vx_else_\name
	.elseif \kind == INT
	jmp	vx_fail
	.endif
	END	\name
.endm

/* Keep the first n arguments, and give them to C behind the result. */
.macro KEEP n
	.if \n >= 3
	pushq	%rdx
	.cfi_adjust_cfa_offset 8
	.endif
	.if \n >= 2
	pushq	%rsi
	.cfi_adjust_cfa_offset 8
	.endif
	.if \n >= 1
	pushq	%rdi
	.cfi_adjust_cfa_offset 8
	.endif
.endm

.macro GIVE n
	.if \n >= 1
	popq	%rsi
	.cfi_adjust_cfa_offset -8
	.endif
	.if \n >= 2
	popq	%rdx
	.cfi_adjust_cfa_offset -8
	.endif
	.if \n >= 3
	popq	%rcx
	.cfi_adjust_cfa_offset -8
	.endif
.endm

#define LEAF(name) LEAF_STUB name ;
#define PUBLIC(name, kind) LEAF_STUB name ; PUBLIC_STUB name, kind ;
VX_LEAVES(PUBLIC, LEAF)
