/* SPDX-License-Identifier: Apache-2.0 */

/** What the original asks of and tells the kernel.
 * @file */
#ifndef VILLAS_KERNEL_KERNEL_H
#define VILLAS_KERNEL_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include <villas/common.h>

#define KERNEL_VERSION_MAJ 3
#define KERNEL_VERSION_MIN 6

VILLAS_BEGIN_DECLS

struct version;

/* Thread safe, not signal safe; they read and write files of /proc and /sys. */

/** Bytes of a line of the L1 data cache; never 0. */
int kernel_get_cacheline_size(void) VILLAS_HELPER(kernel_get_cacheline_size);

/** Bytes of a page, and of a huge page (-1: unknown). */
int kernel_get_page_size(void) VILLAS_HELPER(kernel_get_page_size);
int kernel_get_hugepage_size(void) VILLAS_HELPER(kernel_get_hugepage_size);

/** Huge pages reserved in the system, and setting how many. @return the number, or 0; -1 with errno. */
int kernel_get_nr_hugepages(void) VILLAS_HELPER(kernel_get_nr_hugepages);
int kernel_set_nr_hugepages(int nr) VILLAS_HELPER(kernel_set_nr_hugepages);

/** Version of the running kernel. @return 0; -1 if it cannot be read. */
int kernel_get_version(struct version *v) VILLAS_HELPER(kernel_get_version);

/** Find "param" or "param=value" on the kernel's command line, and copy the value. @return 0; -1 if it is not there. */
int kernel_get_cmdline_param(const char *param, char *buf, size_t len) VILLAS_HELPER(kernel_get_cmdline_param);

/** @return 0 if the module is loaded; -1 if not. */
int kernel_module_loaded(const char *module) VILLAS_HELPER(kernel_module_loaded);

/** Load a module by modprobe, set a parameter of one. @return 0; -1. Change the machine, and need the right to. */
int kernel_module_load(const char *module) VILLAS_HELPER(kernel_module_load);
int kernel_module_set_param(const char *module, const char *param, const char *value) VILLAS_HELPER(kernel_module_set_param);

/** Bind an interrupt to the CPUs of mask @p aff. @p old, if not NULL, gets the former mask. @return 0; -1. */
int kernel_irq_setaffinity(unsigned irq, uintmax_t aff, uintmax_t *old) VILLAS_HELPER(kernel_irq_setaffinity);

VILLAS_END_DECLS

#endif
