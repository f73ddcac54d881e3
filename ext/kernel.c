/* SPDX-License-Identifier: Apache-2.0 */

/* villas/kernel/kernel.h: what the original asks of and tells the kernel. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <villas/kernel/kernel.h>
#include <villas/utils.h>

#include "helper.h"

VX_OLD_NAME(kernel_get_cacheline_size);
VX_EXPORT int kernel_get_cacheline_size(void)
{
	long size = sysconf(_SC_LEVEL1_DCACHE_LINESIZE);

	return size > 0 ? (int) size : CACHELINE_SIZE;
}

VX_OLD_NAME(kernel_get_page_size);
VX_EXPORT int kernel_get_page_size(void)
{
	return (int) sysconf(_SC_PAGESIZE);
}

VX_OLD_NAME(kernel_get_hugepage_size);
VX_EXPORT int kernel_get_hugepage_size(void)
{
	char line[256];
	int kib, size = -1;
	FILE *f = fopen("/proc/meminfo", "re");

	if (!f)
		return -1;
	while (size < 0 && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Hugepagesize: %d kB", &kib) == 1)
			size = kib * 1024;
	}
	fclose(f);
	return size;
}

#define NR_HUGEPAGES "/proc/sys/vm/nr_hugepages"

/* Write text to a file of the kernel; the write itself tells whether it was taken. */
static int tell(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	ssize_t n = write(fd, text, strlen(text));
	int err = errno;
	close(fd);
	errno = err;
	return n == (ssize_t) strlen(text) ? 0 : -1;
}

VX_OLD_NAME(kernel_get_nr_hugepages);
VX_EXPORT int kernel_get_nr_hugepages(void)
{
	int nr;
	FILE *f = fopen(NR_HUGEPAGES, "re");

	if (!f)
		return -1;
	if (fscanf(f, "%d", &nr) != 1)
		nr = -1;
	fclose(f);
	return nr;
}

VX_OLD_NAME(kernel_set_nr_hugepages);
VX_EXPORT int kernel_set_nr_hugepages(int nr)
{
	char text[32];

	snprintf(text, sizeof(text), "%d\n", nr);
	return tell(NR_HUGEPAGES, text);
}

VX_OLD_NAME(kernel_get_version);
VX_EXPORT int kernel_get_version(struct version *v)
{
	struct utsname u;

	return uname(&u) || version_parse(u.release, v) ? -1 : 0;
}

VX_OLD_NAME(kernel_get_cmdline_param);
VX_EXPORT int kernel_get_cmdline_param(const char *param, char *buf, size_t len)
{
	char *all = NULL, *word, *rest = NULL;
	size_t room = 0, key = strlen(param);
	int found = -1;
	FILE *f = fopen("/proc/cmdline", "re");

	if (!f)
		return -1;
	if (getline(&all, &room, f) > 0) {
		for (word = strtok_r(all, " \t\n", &rest); word && found; word = strtok_r(NULL, " \t\n", &rest)) {
			if (strncmp(word, param, key) || (word[key] && word[key] != '='))
				continue;
			found = 0;
			if (buf && len)
				snprintf(buf, len, "%s", word[key] ? word + key + 1 : "");
		}
	}
	free(all);
	fclose(f);
	return found;
}

VX_OLD_NAME(kernel_module_loaded);
VX_EXPORT int kernel_module_loaded(const char *module)
{
	char line[1024];
	size_t len = strlen(module);
	int found = -1;
	FILE *f = fopen("/proc/modules", "re");

	if (!f)
		return -1;
	while (found && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, module, len) && line[len] == ' ')
			found = 0;
	}
	fclose(f);
	return found;
}

VX_OLD_NAME(kernel_module_load);
VX_EXPORT int kernel_module_load(const char *module)
{
	char *const argv[] = { (char *) "modprobe", (char *) module, NULL };
	pid_t pid;
	int status;

	if (!kernel_module_loaded(module))
		return 0;
	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ))
		return -1;
	while (waitpid(pid, &status, 0) < 0) {
		if (errno == ECHILD)	/* SIGCHLD is ignored (signals_init): the result shows in the list of modules */
			return kernel_module_loaded(module);
		if (errno != EINTR)
			return -1;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -1;
}

VX_OLD_NAME(kernel_module_set_param);
VX_EXPORT int kernel_module_set_param(const char *module, const char *param, const char *value)
{
	char path[PATH_MAX], text[256];

	if (strchr(module, '/') || strchr(param, '/')) {
		errno = EINVAL;
		return -1;
	}
	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, param);
	snprintf(text, sizeof(text), "%s\n", value);
	return tell(path, text);
}

VX_OLD_NAME(kernel_irq_setaffinity);
VX_EXPORT int kernel_irq_setaffinity(unsigned irq, uintmax_t aff, uintmax_t *old)
{
	char path[64], text[32];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/irq/%u/smp_affinity", irq);
	if (old) {
		f = fopen(path, "re");
		if (!f)
			return -1;
		int n = fscanf(f, "%" SCNxMAX, old);
		fclose(f);
		if (n != 1)
			return -1;
	}
	snprintf(text, sizeof(text), "%" PRIxMAX "\n", aff);
	return tell(path, text);
}
