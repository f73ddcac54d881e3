/* SPDX-License-Identifier: Apache-2.0 */

/* What the stubs of all machines share: symbols, and the two tables of Go functions in the order of leaves.h. */

#include "leaves.h"

/* Kinds of exported stubs, see leaves.h. */
	.set RAW, 0
	.set INT, 1
	.set ELSE_0, 2
	.set ELSE_1, 3
	.set ELSE_2, 4
	.set ELSE_3, 5

	.text

.macro BEGIN name
	.p2align 5
	.type	\name, STT_FUNC
\name:
	.cfi_startproc
.endm

.macro END name
	.cfi_endproc
	.size	\name, . - \name
.endm

/* A table's head, and a slot in it. */
.macro TABLE name
	.section .data.rel.\name, "aw"
	.p2align 6
	.hidden	\name
	.globl	\name
\name:
	.text
.endm

.macro SLOT table, name
	.section .data.rel.\table, "aw"
\name:
	.quad	0
	.text
.endm

	TABLE	vx_leaf_table
	TABLE	vx_public_table

	.section .note.GNU-stack, "", %progbits
	.text
