/* What the stories of proto/ share. */
#ifndef PL_TESTS_STORY_H
#define PL_TESTS_STORY_H

#include <criterion/criterion.h>

#include "tests/world.h"

enum { FIN, CHE, SGP, EVE };

/* FIN - CHE - SGP */
static inline struct world *chain(void)
{
	struct world *w = world_new(3, 1);

	world_link(w, FIN, CHE);
	world_link(w, SGP, CHE);
	world_start(w);
	world_run_ms(w, 100);
	return w;
}

static inline uint64_t rest_of(struct world *w, uint16_t node)
{
	struct pl_peer_info info;

	pl_engine_peer(world_engine(w, node), CHE, &info);
	return info.held_entries;
}

struct flipper {
	uint64_t every, seen;
};

static inline bool flip(void *ctx, uint16_t from, uint16_t to, uint8_t *bytes, size_t count)
{
	struct flipper *f = ctx;

	(void)from;
	(void)to;
	if (++f->seen % f->every == 0)
		bytes[f->seen * 7919 % count] ^= (uint8_t)(1 << f->seen % 8);
	return true;
}

#endif
