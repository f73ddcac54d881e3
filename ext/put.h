/* SPDX-License-Identifier: Apache-2.0 */

/* Releasing samples where a place in the pool's queue comes late. */
#ifndef VX_PUT_H
#define VX_PUT_H

#include "leaf.h"

/* Yields before a release no longer waits for a thread that does not finish its allocation. */
#define VX_RELEASE_YIELDS 200

VX_HIDDEN void vx_release(struct sample *s);

#endif
