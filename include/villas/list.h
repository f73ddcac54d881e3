/* SPDX-License-Identifier: Apache-2.0 */

/** A growing array of pointers under a lock.
 * @file */
#ifndef VILLAS_LIST_H
#define VILLAS_LIST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include <villas/common.h>

VILLAS_BEGIN_DECLS

#define LIST_CHUNKSIZE 16	/**< Slots that the array grows by. */

/** An empty list, static. */
#define LIST_INIT() { NULL, 0, 0, PTHREAD_MUTEX_INITIALIZER, STATE_INITIALIZED }

#define list_length(list)	((list)->length)
#define list_at(list, index)	((list)->array[index])
#define list_at_safe(list, index) ((list)->length > (index) ? (list)->array[index] : NULL)
#define list_first(list)	list_at(list, 0)
#define list_last(list)		list_at(list, (list)->length - 1)

/** Called for each element when a list is destroyed. */
typedef int (*dtor_cb_t)(void *element);

/** Compares two elements, or an element and a context: 0 if they are equal. */
typedef int (*cmp_cb_t)(const void *a, const void *b);

/** 72 bytes. */
struct list {
	void **array;
	size_t capacity;
	size_t length;
	pthread_mutex_t lock;
	enum state state;
};

/* Thread safe but for init and destroy, not signal safe. Callbacks run under the lock and must not use the list. */

void list_init(struct list *l) VILLAS_HELPER(list_init);

/** Call @p dtor (may be NULL) on each element, free(3) each if @p release. @return 0. */
int list_destroy(struct list *l, dtor_cb_t dtor, bool release) VILLAS_HELPER(list_destroy);

void list_push(struct list *l, void *p) VILLAS_HELPER(list_push);

/** Remove every occurrence of @p p. */
void list_remove(struct list *l, void *p) VILLAS_HELPER(list_remove);

/** The first element whose first member is a char * equal to @p name; NULL if there is none. */
void *list_lookup(struct list *l, const char *name) VILLAS_HELPER(list_lookup);

/** The first element with cmp(element, ctx) == 0; NULL if there is none. */
void *list_search(struct list *l, cmp_cb_t cmp, void *ctx) VILLAS_HELPER(list_search);

/** How many elements have cmp(element, ctx) == 0. */
int list_count(struct list *l, cmp_cb_t cmp, void *ctx) VILLAS_HELPER(list_count);

/** How often @p p is in the list. */
int list_contains(struct list *l, void *p) VILLAS_HELPER(list_contains);

/** Sort; @p cmp gets two elements. */
void list_sort(struct list *l, cmp_cb_t cmp) VILLAS_HELPER(list_sort);

VILLAS_END_DECLS

#endif
