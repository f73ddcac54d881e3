/* SPDX-License-Identifier: Apache-2.0 */

/** Messages to a file or stderr, with levels and facilities.
 * @file */
#ifndef VILLAS_LOG_H
#define VILLAS_LOG_H

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <villas/common.h>

VILLAS_BEGIN_DECLS

#ifndef V
#define V 2			/**< Log level of the build. */
#endif
#define LOG_WIDTH 132		/**< Columns of line(). */

#define LOG_LVL_DEBUG	"Debug"
#define LOG_LVL_INFO	"Info "
#define LOG_LVL_WARN	"Warn "
#define LOG_LVL_ERROR	"Error"
#define LOG_LVL_STATS	"Stats"

/* Text in colour, on terminals that know the sequences. */
#define GRY(str) "\x1b[30m" str "\x1b[0m"
#define RED(str) "\x1b[31m" str "\x1b[0m"
#define GRN(str) "\x1b[32m" str "\x1b[0m"
#define YEL(str) "\x1b[33m" str "\x1b[0m"
#define BLU(str) "\x1b[34m" str "\x1b[0m"
#define MAG(str) "\x1b[35m" str "\x1b[0m"
#define CYN(str) "\x1b[36m" str "\x1b[0m"
#define WHT(str) "\x1b[37m" str "\x1b[0m"
#define BLD(str) "\x1b[1m" str "\x1b[0m"

/** Indent this thread's messages by one more to the end of the enclosing block. */
#define INDENT int __attribute__((__cleanup__(log_outdent), __unused__)) _old_indent = log_indent(1);

/** Bits of a facility mask; the low 8 bits of debug()'s class are a level. */
enum log_facilities {
	LOG_POOL	= (1 << 8),
	LOG_QUEUE	= (1 << 9),
	LOG_CONFIG	= (1 << 10),
	LOG_HOOK	= (1 << 11),
	LOG_PATH	= (1 << 12),
	LOG_NODE	= (1 << 13),
	LOG_MEM		= (1 << 14),
	LOG_WEB		= (1 << 15),
	LOG_API		= (1 << 16),
	LOG_LOG		= (1 << 17),
	LOG_VFIO	= (1 << 18),
	LOG_PCI		= (1 << 19),
	LOG_XIL		= (1 << 20),
	LOG_TC		= (1 << 21),
	LOG_IF		= (1 << 22),
	LOG_SOCKET	= (1 << 23),
	LOG_FILE	= (1 << 24),
	LOG_FPGA	= (1 << 25),
	LOG_NGSI	= (1 << 26),
	LOG_WEBSOCKET	= (1 << 27),
	LOG_OPAL	= (1 << 28),

	LOG_NODES	= LOG_NODE | LOG_SOCKET | LOG_FILE | LOG_FPGA | LOG_NGSI | LOG_WEBSOCKET | LOG_OPAL,
	LOG_KERNEL	= LOG_VFIO | LOG_PCI | LOG_TC | LOG_IF,
	LOG_ALL		= ~0xFF
};

/** 56 bytes. */
struct log {
	enum state state;
	struct timespec epoch;		/**< Messages show the seconds since then. */
	int level;			/**< Up to which debug() prints. */
	long facilities;		/**< For which debug() prints, enum log_facilities. */
	const char *path;		/**< To append to; NULL: stderr. */
	FILE *file;
};

/** The log of all calls below that take none; NULL: default_log. */
extern struct log *global_log;

/** Level 2, every facility, stderr. */
extern struct log default_log;

/* Printing is thread safe, a message is written in one piece; it may block on the file. Not signal safe. The other
 * calls are for one thread at a time. */

/** Make @p l a log to stderr and the global one. @return 0. */
int log_init(struct log *l, int level, long facilities) VILLAS_HELPER(log_init);

/** Begin the epoch and open the path, or stderr if that fails. @return 0; -1 if the path could not be opened. */
int log_start(struct log *l) VILLAS_HELPER(log_start);

/** Close what log_start() opened. @return 0. */
int log_stop(struct log *l) VILLAS_HELPER(log_stop);

/** Make the default log the global one again; it takes over the epoch. @return 0. */
int log_destroy(struct log *l) VILLAS_HELPER(log_destroy);

/** Add @p levels to this thread's indentation. @return the old one, for log_outdent(). */
int log_indent(int levels) VILLAS_HELPER(log_indent);
void log_outdent(int *old) VILLAS_HELPER(log_outdent);

/** Set the facilities to a comma list of names, e.g. "pool,nodes,!socket"; ! removes. @return the mask. */
int log_set_facility_expression(struct log *l, const char *expression) VILLAS_HELPER(log_set_facility_expression);

/** Print one line: seconds since the epoch, level, indentation, message. */
void log_print(struct log *l, const char *lvl, const char *fmt, ...) VILLAS_HELPER(log_print)
	__attribute__((format(printf, 3, 4)));
void log_vprint(struct log *l, const char *lvl, const char *fmt, va_list va) VILLAS_HELPER(log_vprint)
	__attribute__((format(printf, 3, 0)));

/** Print if the level in the low 8 bits of @p clss is at most the log's, and its facility, if any, is on. */
void debug(long clss, const char *fmt, ...) VILLAS_HELPER(debug) __attribute__((format(printf, 2, 3)));
void info(const char *fmt, ...) VILLAS_HELPER(info) __attribute__((format(printf, 1, 2)));
void warn(const char *fmt, ...) VILLAS_HELPER(warn) __attribute__((format(printf, 1, 2)));
void stats(const char *fmt, ...) VILLAS_HELPER(stats) __attribute__((format(printf, 1, 2)));

/** Print, then abort(3). serror() appends what errno says. */
void error(const char *fmt, ...) VILLAS_HELPER(error) __attribute__((format(printf, 1, 2), noreturn));
void serror(const char *fmt, ...) VILLAS_HELPER(serror) __attribute__((format(printf, 1, 2), noreturn));

/** Print a rule. */
void line(void) VILLAS_HELPER(line);

VILLAS_END_DECLS

#endif
