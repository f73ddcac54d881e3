/* SPDX-License-Identifier: Apache-2.0 */

/* The stubs through which C calls leaves on arm64. C and Go (ABIInternal) pass the first arguments and the result
 * in the same registers, x0 and up. Go's callee may use every register but sp, x18, x28 (the goroutine, which a
 * leaf never looks at) and x29, and may spill its register arguments into its caller's frame, above the 8 bytes
 * at its top; so x19 to x27, x30 and d8 to d15 are saved here, below which 144 bytes are left free. */

#include "stubs.h"

.macro CALL_GO
	stp	x29, x30, [sp, #-160]!
	.cfi_adjust_cfa_offset 160
	.cfi_rel_offset x29, 0
	.cfi_rel_offset x30, 8
	mov	x29, sp
	stp	x19, x20, [sp, #16]
	.cfi_rel_offset x19, 16
	.cfi_rel_offset x20, 24
	stp	x21, x22, [sp, #32]
	.cfi_rel_offset x21, 32
	.cfi_rel_offset x22, 40
	stp	x23, x24, [sp, #48]
	.cfi_rel_offset x23, 48
	.cfi_rel_offset x24, 56
	stp	x25, x26, [sp, #64]
	.cfi_rel_offset x25, 64
	.cfi_rel_offset x26, 72
	stp	x27, x28, [sp, #80]
	.cfi_rel_offset x27, 80
	.cfi_rel_offset x28, 88
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	sub	sp, sp, #144
	.cfi_adjust_cfa_offset 144
	blr	x16
	add	sp, sp, #144
	.cfi_adjust_cfa_offset -144
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	ldp	x19, x20, [sp, #16]
	ldp	x21, x22, [sp, #32]
	ldp	x23, x24, [sp, #48]
	ldp	x25, x26, [sp, #64]
	ldp	x27, x28, [sp, #80]
	ldp	x29, x30, [sp], #160
	.cfi_adjust_cfa_offset -160
	.cfi_restore x29
	.cfi_restore x30
.endm

.macro LEAF_STUB name
	SLOT	vx_leaf_table, vx_slot_\name
	.hidden	vx_leaf_\name
	.globl	vx_leaf_\name
	BEGIN	vx_leaf_\name
	adrp	x16, vx_slot_\name
	ldr	x16, [x16, :lo12:vx_slot_\name]
	CALL_GO
	ret
	END	vx_leaf_\name
.endm

.macro PUBLIC_STUB name, kind
	SLOT	vx_public_table, vx_public_slot_\name
	.globl	\name
	BEGIN	\name
	adrp	x16, vx_public_slot_\name
	add	x16, x16, :lo12:vx_public_slot_\name
	ldar	x16, [x16]
	cbz	x16, 2f
	.if \kind > ELSE_0
	sub	sp, sp, #32
	.cfi_adjust_cfa_offset 32
	stp	x0, x1, [sp]
	str	x2, [sp, #16]
	.endif
	CALL_GO
	.if \kind > ELSE_0
	ldp	x1, x2, [sp]
	ldr	x3, [sp, #16]
	add	sp, sp, #32
	.cfi_adjust_cfa_offset -32
	.endif
	.if \kind != RAW
	tbnz	x0, #63, 1f
	.endif
	ret
	.if \kind >= ELSE_0
1:	b	vx_else_\name
	.elseif \kind == INT
1:	b	vx_fail
	.endif
2:	b	vx_late_\name
	END	\name
.endm

#define LEAF(name) LEAF_STUB name ;
#define PUBLIC(name, kind) LEAF_STUB name ; PUBLIC_STUB name, kind ;
VX_LEAVES(PUBLIC, LEAF)
