/* SPDX-License-Identifier: Apache-2.0 */

/* The start of the library in somebody else's process: the hand-over of the leaves, the wait for it, signals, fork. */

#define _GNU_SOURCE
#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "leaf.h"

VX_HIDDEN extern _Atomic uintptr_t vx_leaf_table[], vx_public_table[];

struct vx_records vx_records;
_Atomic int vx_started;			/* a futex: 1 once the leaves can be called */
static _Atomic int constructed;		/* the loader has come to our constructors */
static pid_t loader;			/* the thread that did */
static sigset_t program_mask;		/* the program's signal mask while the Go runtime starts */

/* Go's init calls this when the runtime is up. */
void vx_hand_over(uintptr_t *leaves, int count)
{
	for (int i = 0; i < count; i++)
		atomic_store_explicit(&vx_leaf_table[i], leaves[i], memory_order_release);

	/* Under the thread sanitizer the exported stubs stay closed: late.c serves them and announces hand-overs. */
	if (!__tsan_release) {
		int public = 0, leaf = 0;
#define PUBLIC(name, kind) atomic_store_explicit(&vx_public_table[public++], leaves[leaf++], memory_order_release);
#define LEAF(name) leaf++;
		VX_LEAVES(PUBLIC, LEAF)
#undef PUBLIC
#undef LEAF
	}
	atomic_store_explicit(&vx_started, 1, memory_order_release);
	syscall(SYS_futex, &vx_started, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* In a .preinit_array function the loader's thread has not come to our constructors: Go's start would wait for it. */
static bool would_wait_for_ever(void)
{
	return !atomic_load(&constructed) && (pid_t) syscall(SYS_gettid) == getpid();
}

void vx_wait_started(void)
{
	int saved = errno;

	while (!atomic_load_explicit(&vx_started, memory_order_acquire)) {
		if (would_wait_for_ever()) {
			static const char why[] = "libvillas-ext: called before the constructors of the library ran "
				"(.preinit_array); call it from a constructor or later\n";
			ssize_t ignored = write(STDERR_FILENO, why, sizeof(why) - 1);
			(void) ignored;
			abort();
		}
		syscall(SYS_futex, &vx_started, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
	}
	errno = saved;
}

/* A fork before the runtime is up would leave the child without one for good. */
static void before_fork(void)
{
	if (!would_wait_for_ever())
		vx_need_leaves();
}

_Atomic uint32_t vx_forks;

static void in_child(void)
{
	atomic_fetch_add(&vx_forks, 1);
}

/* Go's threads inherit the mask of the thread that starts them, the loader's. With every signal blocked there, none
 * of the program's signals ever goes to a thread of Go: a program that blocks SIGTERM and waits for it with
 * sigwaitinfo gets it, a handler without SA_ONSTACK never runs on Go's small stacks. Go's own constructor has the
 * default priority and stands before ours in link order. */
__attribute__((constructor(101))) static void block_signals(void)
{
	sigset_t all;

	loader = (pid_t) syscall(SYS_gettid);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &program_mask);
	pthread_atfork(before_fork, NULL, in_child);
}

__attribute__((constructor)) static void restore_signals(void)
{
	pthread_sigmask(SIG_SETMASK, &program_mask, NULL);
	atomic_store(&constructed, 1);
}
