/* SPDX-License-Identifier: Apache-2.0 */

/** The node, of which an external program sees no more than that it exists.
 * @file */
#ifndef VILLAS_NODE_H
#define VILLAS_NODE_H

#include <villas/common.h>
#include <villas/sample.h>

/** In VILLASnode's process only; struct sample.source points to one there. */
struct node;

#endif
