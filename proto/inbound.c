/* Links that others have chosen: who may stay, and who gives way, where more come than there is room for. PROTOCOL.md, "Neighbours". */
#include "proto/parts.h"

static bool is_wanted(const struct pl_engine *e, uint16_t node)
{
	return e->mesh || e->peers[node].configured || e->peers[node].place != PLACE_NONE;
}

static uint16_t members_node(const struct pl_engine *e, uint16_t node) { return e->charter->members[e->charter->nodes[node].member].first_node; }

/* Those that only have a place because they chose this node, the oldest first. */
static uint16_t inbound_list(struct pl_engine *e, struct session *list[PL_LINKS_MAX])
{
	uint16_t count = 0;

	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		struct session *s = &e->sessions[i];
		uint16_t at = count;
		if (!s->used || e->conns[s->conn].outbound || is_wanted(e, s->peer))
			continue;
		for (; at > 0 && e->peers[list[at - 1]->peer].inbound_since_ms > e->peers[s->peer].inbound_since_ms; at--)
			list[at] = list[at - 1];
		list[at] = s;
		count++;
	}
	return count;
}

static uint16_t places_of(const struct pl_engine *e, uint16_t member, struct session *const *list, uint16_t count)
{
	uint16_t places = 0;

	for (uint16_t i = 0; i < count; i++)
		places += e->charter->nodes[list[i]->peer].member == member;
	return places;
}

/* The youngest link of the member that has the most, where it has two more than the member of the newcomer. */
static struct session *of_crowd(const struct pl_engine *e, uint16_t node, struct session *const *list, uint16_t count)
{
	uint16_t most = (uint16_t)(places_of(e, e->charter->nodes[node].member, list, count) + 1);
	struct session *found = NULL;

	for (uint16_t i = 0; i < count; i++) {
		const uint16_t places = places_of(e, e->charter->nodes[list[i]->peer].member, list, count);
		if (places > most || (found && places == most))
			found = list[i];
		if (places > most)
			most = places;
	}
	return found;
}

/* PROTOCOL: "Else one of the younger half that has stood for a minute, at random, gives way, once an hour for each member." */
static struct session *whose_turn_is_over(struct pl_engine *e, uint16_t node, struct session *const *list, uint16_t count)
{
	uint64_t *turn_ms = &e->peers[members_node(e, node)].turn_ms;
	uint16_t first = count / 2, last = first;

	if (*turn_ms != 0 && e->now_ms - *turn_ms < PL_TURN_MS)
		return NULL;
	while (last < count && e->now_ms - e->peers[list[last]->peer].inbound_since_ms >= PL_STAY_MS)
		last++;
	if (last == first)
		return NULL;
	*turn_ms = e->now_ms ? e->now_ms : 1;
	return list[first + pl_draw(e) % (uint32_t)(last - first)];
}

bool pl_inbound_may_stay(struct pl_engine *e, uint16_t node)
{
	struct peer *peer = &e->peers[node];
	struct session *list[PL_LINKS_MAX], *gives_way = NULL;

	if (is_wanted(e, node))
		return true;
	/* PROTOCOL: "Who comes back within 30 s has been there all the time, and the youngest gives way to it." */
	const bool is_back = peer->inbound_since_ms != 0 && peer->inbound_left_ms != 0 && e->now_ms - peer->inbound_left_ms < PL_HOLD_MS;
	if (!is_back)
		peer->inbound_since_ms = e->now_ms ? e->now_ms : 1;
	peer->inbound_left_ms = 0;
	const uint16_t count = inbound_list(e, list);
	if (count < e->inbound_max)
		return true;
	if (count > 0 && is_back && e->peers[list[count - 1]->peer].inbound_since_ms > peer->inbound_since_ms)
		gives_way = list[count - 1];
	if (!gives_way)
		gives_way = of_crowd(e, node, list, count);
	if (!gives_way)
		gives_way = whose_turn_is_over(e, node, list, count);
	if (!gives_way) {
		peer->inbound_since_ms = 0;
		return false;
	}
	struct peer *other = &e->peers[gives_way->peer];
	pl_session_close(e, gives_way, PL_BYE_SPARE, "another has its turn");
	other->inbound_since_ms = other->inbound_left_ms = 0;
	return true;
}
