/* SPDX-License-Identifier: Apache-2.0 */

/** Atomic types: C11's <stdatomic.h>, in C++ std::atomic of the same size and alignment.
 * @file */
#ifndef VILLAS_ATOMIC_H
#define VILLAS_ATOMIC_H

#ifdef __cplusplus
#include <atomic>
#include <cstddef>

typedef std::atomic<int> atomic_int;
typedef std::atomic<std::size_t> atomic_size_t;

static_assert(sizeof(atomic_int) == 4 && sizeof(atomic_size_t) == 8, "std::atomic must lie as C's _Atomic does");
#else
#include <stdatomic.h>
#endif

#endif
