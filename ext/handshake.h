/* SPDX-License-Identifier: Apache-2.0 */

/* A pair in C, and how its two sides meet. */
#ifndef VX_HANDSHAKE_H
#define VX_HANDSHAKE_H

#include <villas/pair.h>

#include "leaf.h"

struct villas_pair {
	char *own, *other;		/* names */
	struct villas_pair_options options;
	struct vx_mapping *tx, *rx;	/* our object and the other side's */
	int owner;			/* process that opened; a forked child must not act for it */
	_Atomic int looks;		/* for the process of another side that is not ours, in vain */
};

/* Meet the other side, as package pair does and tells: 0 or an errno value. A cancellation point. Nothing is left then. */
VX_HIDDEN int vx_meet_other(struct villas_pair *p, uint64_t deadline);

/* Tell the other side that this one ends, remove the name of our object and unmap both. */
VX_HIDDEN void vx_disconnect(struct villas_pair *p);

#endif
