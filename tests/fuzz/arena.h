/* Memory between pages that cannot be touched, and back to a state that was saved, page by page: for a target whose inputs all begin with the same
 * long story. */
#ifndef PL_TESTS_FUZZ_ARENA_H
#define PL_TESTS_FUZZ_ARENA_H

#include <stdbool.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

struct pl_fuzz_arena {
	uint8_t *bytes; /* zeros at first */
	size_t count, page;
};

struct pl_fuzz_saved {
	uint8_t *pages;
	size_t *numbers, count;
};

static inline void pl_fuzz_arena_make(struct pl_fuzz_arena *arena, size_t bytes)
{
	arena->page = (size_t)sysconf(_SC_PAGESIZE);
	arena->count = (bytes + arena->page - 1) / arena->page * arena->page;
	uint8_t *map = mmap(NULL, arena->count + 2 * arena->page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	PL_FUZZ_CHECK(map != MAP_FAILED);
	PL_FUZZ_CHECK(mprotect(map + arena->page, arena->count, PROT_READ | PROT_WRITE) == 0);
	arena->bytes = map + arena->page;
}

static inline bool pl_fuzz_page_is_used(const struct pl_fuzz_arena *arena, size_t number)
{
	const uint8_t *page = arena->bytes + number * arena->page;

	return page[0] != 0 || memcmp(page, page + 1, arena->page - 1) != 0;
}

static inline struct pl_fuzz_saved pl_fuzz_arena_save(const struct pl_fuzz_arena *arena)
{
	const size_t pages = arena->count / arena->page;
	struct pl_fuzz_saved saved = { .pages = malloc(arena->count), .numbers = calloc(pages, sizeof(*saved.numbers)) };

	PL_FUZZ_CHECK(saved.numbers && saved.pages);
	for (size_t i = 0; i < pages; i++) {
		if (!pl_fuzz_page_is_used(arena, i))
			continue;
		memcpy(saved.pages + saved.count * arena->page, arena->bytes + i * arena->page, arena->page);
		saved.numbers[saved.count++] = i;
	}
	return saved;
}

static inline void pl_fuzz_arena_put_back(struct pl_fuzz_arena *arena, const struct pl_fuzz_saved *saved)
{
	PL_FUZZ_CHECK(madvise(arena->bytes, arena->count, MADV_DONTNEED) == 0); /* zeros again */
	for (size_t i = 0; i < saved->count; i++)
		memcpy(arena->bytes + saved->numbers[i] * arena->page, saved->pages + i * arena->page, arena->page);
}

#endif
