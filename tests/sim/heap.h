/* What is to come, in order of time; of what is due at the same time, what was put in first comes first. A heap in which each has four below it,
 * side by side, so that fewer places in memory are looked at than where each has two.
 */
#ifndef PL_TESTS_SIM_HEAP_H
#define PL_TESTS_SIM_HEAP_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

struct heap_key {
	uint64_t at_us;
	uint32_t order, item; /* item: the caller's */
};

struct heap {
	struct heap_key *keys;
	uint32_t count, max, order; /* order: so many were put in so far */
};

#define HEAP_BELOW 4

static inline bool heap_is_before(const struct heap_key *a, const struct heap_key *b)
{
	return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static inline void heap_put(struct heap *heap, uint64_t at_us, uint32_t item)
{
	const struct heap_key key = { .at_us = at_us, .order = heap->order++, .item = item };

	assert(heap->order != 0);
	if (heap->count == heap->max) {
		heap->max = heap->max ? 2 * heap->max : 1024;
		heap->keys = realloc(heap->keys, heap->max * sizeof(*heap->keys));
		assert(heap->keys);
	}
	uint32_t at = heap->count++;
	for (; at > 0 && heap_is_before(&key, &heap->keys[(at - 1) / HEAP_BELOW]); at = (at - 1) / HEAP_BELOW)
		heap->keys[at] = heap->keys[(at - 1) / HEAP_BELOW];
	heap->keys[at] = key;
}

/* The next; there is one. */
static inline struct heap_key heap_take(struct heap *heap)
{
	const struct heap_key first = heap->keys[0], last = heap->keys[--heap->count];
	uint32_t at = 0, next;

	for (; (next = HEAP_BELOW * at + 1) < heap->count; at = next) {
		const uint32_t end = heap->count - next < HEAP_BELOW ? heap->count : next + HEAP_BELOW;
		for (uint32_t i = next + 1; i < end; i++)
			next = heap_is_before(&heap->keys[i], &heap->keys[next]) ? i : next;
		if (!heap_is_before(&heap->keys[next], &last))
			break;
		heap->keys[at] = heap->keys[next];
	}
	heap->keys[at] = last;
	return first;
}

#endif
