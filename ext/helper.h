/* SPDX-License-Identifier: Apache-2.0 */

/* How a helper function gets its two names: villas_<name> for recompiled programs (the headers' asm labels), and
 * <name> for old binaries, as a version that the loader finds and the linker does not. */
#ifndef VX_HELPER_H
#define VX_HELPER_H

#define VX_EXPORT __attribute__((visibility("default")))
#define VX_OLD_NAME(name) __asm__(".symver villas_" #name ", " #name "@VILLAS_EXT_0.3")

#endif
