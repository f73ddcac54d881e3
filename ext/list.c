/* SPDX-License-Identifier: Apache-2.0 */

/* villas/list.h: a growing array of pointers under a lock. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include <villas/list.h>
#include <villas/log.h>

#include "helper.h"

VX_OLD_NAME(list_init);
VX_EXPORT void list_init(struct list *l)
{
	pthread_mutex_init(&l->lock, NULL);
	l->array = NULL;
	l->length = l->capacity = 0;
	l->state = STATE_INITIALIZED;
}

VX_OLD_NAME(list_destroy);
VX_EXPORT int list_destroy(struct list *l, dtor_cb_t dtor, bool release)
{
	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->length; i++) {
		void *element = l->array[i];
		if (dtor)
			dtor(element);
		if (release)
			free(element);
	}
	free(l->array);
	l->array = NULL;
	l->length = l->capacity = 0;
	l->state = STATE_DESTROYED;
	pthread_mutex_unlock(&l->lock);
	pthread_mutex_destroy(&l->lock);
	return 0;
}

VX_OLD_NAME(list_push);
VX_EXPORT void list_push(struct list *l, void *p)
{
	pthread_mutex_lock(&l->lock);
	if (l->length == l->capacity) {
		size_t capacity = l->capacity + LIST_CHUNKSIZE;
		void **array = realloc(l->array, capacity * sizeof(*array));
		if (!array)
			error("Failed to allocate a list of %zu elements", capacity);
		l->array = array;
		l->capacity = capacity;
	}
	l->array[l->length++] = p;
	pthread_mutex_unlock(&l->lock);
}

VX_OLD_NAME(list_remove);
VX_EXPORT void list_remove(struct list *l, void *p)
{
	size_t kept = 0;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->length; i++) {
		if (l->array[i] != p)
			l->array[kept++] = l->array[i];
	}
	l->length = kept;
	pthread_mutex_unlock(&l->lock);
}

static int same_name(const void *element, const void *name)
{
	return strcmp(*(char *const *) element, name);
}

static int same_pointer(const void *element, const void *p)
{
	return element != p;
}

VX_OLD_NAME(list_search);
VX_EXPORT void *list_search(struct list *l, cmp_cb_t cmp, void *ctx)
{
	void *found = NULL;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->length && !found; i++) {
		if (!cmp(l->array[i], ctx))
			found = l->array[i];
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}

VX_OLD_NAME(list_lookup);
VX_EXPORT void *list_lookup(struct list *l, const char *name)
{
	return list_search(l, same_name, (void *) name);
}

VX_OLD_NAME(list_count);
VX_EXPORT int list_count(struct list *l, cmp_cb_t cmp, void *ctx)
{
	int count = 0;

	pthread_mutex_lock(&l->lock);
	for (size_t i = 0; i < l->length; i++)
		count += !cmp(l->array[i], ctx);
	pthread_mutex_unlock(&l->lock);
	return count;
}

VX_OLD_NAME(list_contains);
VX_EXPORT int list_contains(struct list *l, void *p)
{
	return list_count(l, same_pointer, p);
}

/* qsort_r hands pointers to the slots; the caller's cmp gets the elements. */
static int by_element(const void *a, const void *b, void *cmp)
{
	return (*(cmp_cb_t *) cmp)(*(void *const *) a, *(void *const *) b);
}

VX_OLD_NAME(list_sort);
VX_EXPORT void list_sort(struct list *l, cmp_cb_t cmp)
{
	pthread_mutex_lock(&l->lock);
	if (l->length)
		qsort_r(l->array, l->length, sizeof(*l->array), by_element, &cmp);
	pthread_mutex_unlock(&l->lock);
}
