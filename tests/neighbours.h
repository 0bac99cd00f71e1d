/* What the stories of neighbours share (proto/neighbour_test.c, inbound_test.c). */
#ifndef PL_TESTS_NEIGHBOURS_H
#define PL_TESTS_NEIGHBOURS_H

#include <criterion/criterion.h>

#include "proto/engine.h"
#include "tests/world.h"

#define MINUTE_MS 60000u

static inline struct world *network(uint16_t nodes, uint64_t seed)
{
	struct world *w = world_new(nodes, seed);

	for (uint16_t i = 0; i < nodes; i++)
		world_config(w, i)->links_max = 56;
	return w;
}

/* All may dial all. */
static inline struct world *open_network(uint16_t nodes, uint64_t seed)
{
	struct world *w = network(nodes, seed);

	world_link_all(w);
	return w;
}

static inline struct pl_peer_info peer(struct world *w, uint16_t node, uint16_t other)
{
	struct pl_peer_info info;

	pl_engine_peer(world_engine(w, node), other, &info);
	return info;
}

static inline bool is_live(struct world *w, uint16_t node, uint16_t other) { return peer(w, node, other).state == PL_SESSION_LIVE; }

static inline bool is_chosen(struct world *w, uint16_t node, uint16_t other)
{
	const enum pl_peer_role role = peer(w, node, other).role;

	return role == PL_PEER_CHOSEN || role == PL_PEER_ANCHOR;
}

static inline uint16_t chosen_of(struct world *w, uint16_t nodes, uint16_t node, uint16_t *list)
{
	uint16_t count = 0;

	for (uint16_t other = 0; other < nodes; other++) {
		if (other != node && is_chosen(w, node, other))
			list[count++] = other;
	}
	return count;
}

static inline uint16_t count_role(struct world *w, uint16_t nodes, uint16_t node, enum pl_peer_role role, bool live)
{
	uint16_t count = 0;

	for (uint16_t other = 0; other < nodes; other++)
		count += other != node && peer(w, node, other).role == role && (!live || is_live(w, node, other));
	return count;
}

static inline uint16_t live_links(struct world *w, uint16_t nodes, uint16_t node)
{
	uint16_t count = 0;

	for (uint16_t other = 0; other < nodes; other++)
		count += other != node && is_live(w, node, other);
	return count;
}

#endif
