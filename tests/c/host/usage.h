/* SPDX-License-Identifier: Apache-2.0 */

/* What this process uses, for tests that nothing grows. */
#ifndef USAGE_H
#define USAGE_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Memory in kB. */
static inline long resident(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f || fscanf(f, "%*s %ld", &pages) != 1) {
		perror("/proc/self/statm");
		exit(1);
	}
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* Files in a folder. */
static inline int entries(const char *path)
{
	DIR *d = opendir(path);
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n - 2;	/* . and .. */
}

#endif
