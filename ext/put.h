/* SPDX-License-Identifier: Apache-2.0 */

/* Releasing samples where a place in the pool's queue comes late. */
#ifndef VX_PUT_H
#define VX_PUT_H

#include "leaf.h"

/* Yields before a release no longer waits for a thread that does not finish its allocation. Few: where that is the
 * thread which a signal handler has interrupted, a handler that takes longer than the signal's period never lets it go
 * on. */
#define VX_RELEASE_YIELDS 10

/* Yields before a block for which there is no room in the stash either is given up. */
#define VX_RELEASE_GIVE_UP 1000

VX_HIDDEN void vx_release(struct sample *s);

/* What the leaf sample_alloc, or another that may say VX_STASHED, means with a negative result; nothing else is looked at. */
VX_HIDDEN int vx_else_sample_alloc(long result, struct pool *p, struct sample **s, int n);

/* Put, or free where whatever is set, cnt samples of either layout: how many went back to their pools. */
VX_HIDDEN int vx_release_many(struct sample **smps, int cnt, int whatever);

#endif
