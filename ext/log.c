/* SPDX-License-Identifier: Apache-2.0 */

/* villas/log.h: messages to a file or stderr. */

#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <villas/log.h>
#include <villas/timing.h>

#include "helper.h"

VX_EXPORT struct log default_log = { .state = STATE_INITIALIZED, .level = V, .facilities = LOG_ALL };
VX_EXPORT struct log *global_log;

static _Thread_local int indentation;

static struct log *current(void)
{
	return global_log ? global_log : &default_log;
}

VX_OLD_NAME(log_init);
VX_EXPORT int log_init(struct log *l, int level, long facilities)
{
	l->level = level;
	l->facilities = facilities;
	l->file = stderr;
	l->path = NULL;
	l->epoch = (struct timespec) { 0, 0 };
	l->state = STATE_INITIALIZED;
	global_log = l;
	return 0;
}

VX_OLD_NAME(log_start);
VX_EXPORT int log_start(struct log *l)
{
	int err = 0;

	l->epoch = time_now();
	l->file = l->path ? fopen(l->path, "ae") : stderr;
	if (!l->file) {
		l->file = stderr;
		err = -1;
	}
	l->state = STATE_STARTED;
	if (err)
		log_print(l, LOG_LVL_ERROR, "Cannot open log file %s: %s", l->path, strerror(errno));
	return err;
}

VX_OLD_NAME(log_stop);
VX_EXPORT int log_stop(struct log *l)
{
	if (l->file && l->file != stderr && l->file != stdout)
		fclose(l->file);
	l->file = stderr;
	l->state = STATE_STOPPED;
	return 0;
}

VX_OLD_NAME(log_destroy);
VX_EXPORT int log_destroy(struct log *l)
{
	default_log.epoch = l->epoch;
	global_log = NULL;
	l->state = STATE_DESTROYED;
	return 0;
}

VX_OLD_NAME(log_indent);
VX_EXPORT int log_indent(int levels)
{
	int old = indentation;

	indentation += levels;
	return old;
}

VX_OLD_NAME(log_outdent);
VX_EXPORT void log_outdent(int *old)
{
	indentation = *old;
}

/* In the order of their bits, from 1 << 8 up. */
static const char *const facilities[] = {
	"pool", "queue", "config", "hook", "path", "node", "mem", "web", "api", "log", "vfio", "pci", "xil", "tc", "if",
	"socket", "file", "fpga", "ngsi", "websocket", "opal",
};

static long facility(const char *name, size_t len)
{
	static const struct {
		const char *name;
		long mask;
	} groups[] = { { "all", LOG_ALL }, { "nodes", LOG_NODES }, { "kernel", LOG_KERNEL } };

	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++) {
		if (strlen(groups[i].name) == len && !strncmp(groups[i].name, name, len))
			return groups[i].mask;
	}
	for (size_t i = 0; i < sizeof(facilities) / sizeof(facilities[0]); i++) {
		if (strlen(facilities[i]) == len && !strncmp(facilities[i], name, len))
			return 1L << (i + 8);
	}
	return 0;
}

VX_OLD_NAME(log_set_facility_expression);
VX_EXPORT int log_set_facility_expression(struct log *l, const char *expression)
{
	long mask = 0;

	while (*expression) {
		size_t len = strcspn(expression, ",");
		int remove = *expression == '!';
		long bits = facility(expression + remove, len - (size_t) remove);

		mask = remove ? mask & ~bits : mask | bits;
		expression += len + (expression[len] == ',');
	}
	l->facilities = mask;
	return (int) mask;
}

VX_OLD_NAME(log_vprint);
VX_EXPORT void log_vprint(struct log *l, const char *lvl, const char *fmt, va_list va)
{
	static const struct {
		const char *level, *colour;
	} colours[] = {
		{ LOG_LVL_DEBUG, "\x1b[36m" }, { LOG_LVL_INFO, "\x1b[37m" }, { LOG_LVL_WARN, "\x1b[33m" },
		{ LOG_LVL_ERROR, "\x1b[31m" }, { LOG_LVL_STATS, "\x1b[35m" },
	};
	struct timespec now = time_now();
	FILE *f = l->file ? l->file : stderr;
	const char *colour = "";

	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
		if (!strcmp(colours[i].level, lvl))
			colour = colours[i].colour;
	}
	flockfile(f);	/* the line in one piece */
	fprintf(f, "%10.3f %s%s\x1b[0m %*s", time_delta(&l->epoch, &now), colour, lvl, 4 * indentation, "");
	vfprintf(f, fmt, va);
	fputc('\n', f);
	fflush(f);
	funlockfile(f);
}

VX_OLD_NAME(log_print);
VX_EXPORT void log_print(struct log *l, const char *lvl, const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	log_vprint(l, lvl, fmt, va);
	va_end(va);
}

VX_OLD_NAME(debug);
VX_EXPORT void debug(long clss, const char *fmt, ...)
{
	struct log *l = current();
	long level = clss & 0xff, bits = clss & ~0xffL;
	va_list va;

	if (level > l->level || (bits && !(bits & l->facilities)))
		return;
	va_start(va, fmt);
	log_vprint(l, LOG_LVL_DEBUG, fmt, va);
	va_end(va);
}

VX_OLD_NAME(info);
VX_EXPORT void info(const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	log_vprint(current(), LOG_LVL_INFO, fmt, va);
	va_end(va);
}

VX_OLD_NAME(warn);
VX_EXPORT void warn(const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	log_vprint(current(), LOG_LVL_WARN, fmt, va);
	va_end(va);
}

VX_OLD_NAME(stats);
VX_EXPORT void stats(const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	log_vprint(current(), LOG_LVL_STATS, fmt, va);
	va_end(va);
}

VX_OLD_NAME(error);
VX_EXPORT void error(const char *fmt, ...)
{
	va_list va;

	va_start(va, fmt);
	log_vprint(current(), LOG_LVL_ERROR, fmt, va);
	va_end(va);
	abort();
}

VX_OLD_NAME(serror);
VX_EXPORT void serror(const char *fmt, ...)
{
	const char *reason = strerror(errno);
	int number = errno;
	char *text = NULL;
	va_list va;

	va_start(va, fmt);
	if (vasprintf(&text, fmt, va) < 0)
		text = NULL;
	va_end(va);
	log_print(current(), LOG_LVL_ERROR, "%s: %s (%d)", text ? text : fmt, reason, number);
	abort();
}

VX_OLD_NAME(line);
VX_EXPORT void line(void)
{
	char rule[LOG_WIDTH + 1];

	memset(rule, '-', LOG_WIDTH);
	rule[LOG_WIDTH] = '\0';
	log_print(current(), LOG_LVL_INFO, "%s", rule);
}
