/* With whom there are links, where the network is too large for links with all: PROTOCOL.md, "Neighbours".
 *
 * **Chosen** are those that this node dials and keeps; a **further** one is dialled besides, to see whether it has what the chosen do not give. In
 * a small network, and for who is named in the configuration, none of this applies. Who has chosen this node: inbound.c.
 */
#include <assert.h>
#include <string.h>

#include "proto/parts.h"

#define NOT_NOW UINT32_MAX

static uint64_t about(struct pl_engine *e, uint64_t ms) { return ms / 2 + pl_draw(e) % ms; }

static void due(struct pl_engine *e, uint64_t at_ms)
{
	if (at_ms < e->neighbours_at_ms)
		e->neighbours_at_ms = at_ms;
	pl_timer(e, at_ms);
}

void pl_neighbours_init(struct pl_engine *e)
{
	const struct pl_engine_config *config = &e->config;
	uint16_t configured = 0;

	for (uint16_t node = 0; node < e->nodes && config->configured; node++) {
		e->peers[node].configured = node != e->self && config->configured[node];
		configured += e->peers[node].configured;
	}
	e->config.configured = NULL;
	e->mesh = e->nodes <= config->mesh_nodes_max;
	e->neighbours_at_ms = PL_NEVER;
	for (int i = 0; i < PL_ANCHORS_MAX; i++)
		e->anchors[i] = PL_NODE_NONE;
	/* Whoever comes in leaves room for those that this node wants: else a crowd at the door would be all that it hears. */
	const uint16_t half = (uint16_t)((e->sessions_max + 1) / 2), eighth = (uint16_t)((e->sessions_max + 7) / 8);
	e->chosen_max = config->chosen_max < half ? config->chosen_max : half;
	e->further_max = config->further_max < eighth ? config->further_max : eighth;
	const uint32_t own = (uint32_t)e->chosen_max + e->further_max + configured;
	const uint16_t left = own < e->sessions_max ? (uint16_t)(e->sessions_max - own) : 0;
	e->inbound_max = config->inbound_max < left ? config->inbound_max : left;
}

/* --- who is dialled --- */

static void dial_begin(struct pl_engine *e, uint16_t node)
{
	struct peer *peer = &e->peers[node];
	uint16_t at = e->dialled_count;

	peer->dial_at_ms = e->now_ms;
	pl_timer(e, e->now_ms);
	if (peer->dialled)
		return;
	peer->dialled = true;
	for (; at > 0 && e->dialled[at - 1] > node; at--)
		e->dialled[at] = e->dialled[at - 1];
	e->dialled[at] = node;
	e->dialled_count++;
}

static void dial_no_more(struct pl_engine *e, uint16_t node)
{
	uint16_t at = 0;

	while (at < e->dialled_count && e->dialled[at] != node)
		at++;
	assert(at < e->dialled_count && e->peers[node].dialled);
	memmove(e->dialled + at, e->dialled + at + 1, (size_t)(--e->dialled_count - at) * sizeof(*e->dialled));
	e->peers[node].dialled = false;
}

static void place_take(struct pl_engine *e, uint16_t node, enum place place)
{
	struct peer *peer = &e->peers[node];

	peer->place = place;
	peer->brought = false;
	peer->fails = 0;
	peer->live_since_ms = peer->session != PL_NONE16 ? e->now_ms : 0;
	dial_begin(e, node);
}

/* A link to it stays until it ends by itself. */
static void place_leave(struct pl_engine *e, uint16_t node)
{
	struct peer *peer = &e->peers[node];

	dial_no_more(e, node);
	peer->place = PLACE_NONE;
	peer->brought = false;
	peer->fails = 0;
	peer->live_since_ms = 0;
	peer->rest_until_ms = e->now_ms + about(e, PL_REST_MS);
	due(e, e->now_ms);
}

static uint16_t count_of(const struct pl_engine *e, enum place place)
{
	uint16_t count = 0;

	for (uint16_t i = 0; i < e->dialled_count; i++)
		count += e->peers[e->dialled[i]].place == place;
	return count;
}

static bool is_anchor(const struct pl_engine *e, uint16_t node)
{
	for (int i = 0; i < PL_ANCHORS_MAX; i++) {
		if (e->anchors[i] == node)
			return true;
	}
	return false;
}

void pl_neighbour_restore_anchor(struct pl_engine *e, uint16_t node)
{
	for (int i = 0; i < PL_ANCHORS_MAX && !is_anchor(e, node); i++) {
		if (e->anchors[i] == PL_NODE_NONE)
			e->anchors[i] = node;
	}
}

void pl_neighbour_dialable(struct pl_engine *e, uint16_t node, uint32_t group)
{
	struct peer *peer = &e->peers[node];

	peer->dialable = true;
	peer->group = group;
	if (e->mesh || peer->configured || peer->dialled) {
		dial_begin(e, node);
		return;
	}
	if (e->anchors_at_ms == 0) {
		e->anchors_at_ms = e->now_ms + PL_ANCHOR_MS;
		e->look_at_ms = e->now_ms + about(e, PL_LOOK_MS);
	}
	if (is_anchor(e, node))
		place_take(e, node, PLACE_CHOSEN);
	due(e, e->now_ms);
}

/* --- choosing --- */

/* A further one may be chosen as any other may: not before them, since what it brings can be made for that. */
static bool is_candidate(const struct pl_engine *e, uint16_t node)
{
	const struct peer *peer = &e->peers[node];

	return peer->place == PLACE_FURTHER || (peer->dialable && !peer->dialled && e->now_ms >= peer->rest_until_ms);
}

/* PROTOCOL: "Of those that it chooses, at most a third are of one group, and no two are of one member or of that of a node that the configuration
 * names, as long as there are others to choose." */
static uint32_t crowding(const struct pl_engine *e, uint16_t node)
{
	const uint16_t group_max = e->chosen_max < 3 ? 1 : e->chosen_max / 3;
	uint16_t same_group = 0;
	bool same_member = false;

	if (!is_candidate(e, node))
		return NOT_NOW;
	for (uint16_t i = 0; i < e->dialled_count; i++) {
		const struct peer *other = &e->peers[e->dialled[i]];
		if (other->place == PLACE_FURTHER)
			continue;
		same_group += other->place == PLACE_CHOSEN && other->group == e->peers[node].group;
		same_member |= e->charter->nodes[e->dialled[i]].member == e->charter->nodes[node].member;
	}
	return (same_group >= group_max) + 2u * same_member;
}

static uint32_t looks(const struct pl_engine *e, uint16_t node)
{
	return is_candidate(e, node) && !e->peers[node].dialled && e->peers[node].session == PL_NONE16 ? e->peers[node].looks : NOT_NOW;
}

/* One at random of those of the lowest rank; PL_NODE_NONE: there is none. */
static uint16_t pick(struct pl_engine *e, uint32_t (*rank)(const struct pl_engine *e, uint16_t node))
{
	uint32_t lowest = NOT_NOW, count = 0;

	for (uint16_t node = 0; node < e->nodes; node++) {
		const uint32_t r = rank(e, node);
		if (r < lowest)
			count = 0;
		if (r < lowest)
			lowest = r;
		count += r != NOT_NOW && r == lowest;
	}
	if (count == 0)
		return PL_NODE_NONE;
	uint32_t turn = pl_draw(e) % count;
	for (uint16_t node = 0; node < e->nodes; node++) {
		if (rank(e, node) == lowest && turn-- == 0)
			return node;
	}
	return PL_NODE_NONE;
}

static void choose(struct pl_engine *e)
{
	uint64_t rested_ms = PL_NEVER;

	for (uint16_t count = count_of(e, PLACE_CHOSEN); count < e->chosen_max; count++) {
		const uint16_t node = pick(e, crowding);
		if (node != PL_NODE_NONE) {
			place_take(e, node, PLACE_CHOSEN);
			continue;
		}
		for (uint16_t n = 0; n < e->nodes; n++) {
			const struct peer *peer = &e->peers[n];
			if (peer->dialable && !peer->dialled && peer->rest_until_ms < rested_ms)
				rested_ms = peer->rest_until_ms;
		}
		if (rested_ms != PL_NEVER)
			due(e, rested_ms);
		break;
	}
}

/* PROTOCOL: "A chosen node that cannot be reached four times in a row gives its place to another, if there is one that could take it, and may be chosen
 * again some minutes later." */
void pl_neighbour_failed(struct pl_engine *e, uint16_t node)
{
	struct peer *peer = &e->peers[node];

	if (peer->place == PLACE_NONE)
		return;
	peer->live_since_ms = 0;
	if (peer->fails < UINT8_MAX)
		peer->fails++;
	if (peer->place == PLACE_FURTHER && (!peer->brought || peer->fails >= PL_CHOSEN_FAILS)) {
		place_leave(e, node);
		return;
	}
	bool other = false;
	for (uint16_t n = 0; n < e->nodes && peer->fails >= PL_CHOSEN_FAILS && !other; n++)
		other = is_candidate(e, n);
	if (peer->place == PLACE_CHOSEN && other)
		place_leave(e, node);
}

void pl_neighbour_live(struct pl_engine *e, const struct session *s)
{
	struct peer *peer = &e->peers[s->peer];

	if (peer->place == PLACE_NONE)
		return;
	if (peer->live_since_ms == 0)
		peer->live_since_ms = e->now_ms ? e->now_ms : 1;
	if (peer->place == PLACE_FURTHER && !peer->brought) {
		peer->look_until_ms = e->now_ms + PL_LOOK_STAY_MS;
		due(e, peer->look_until_ms);
	}
}

void pl_neighbour_ended(struct pl_engine *e, const struct session *s)
{
	struct peer *peer = &e->peers[s->peer];

	if (peer->inbound_since_ms != 0 && !e->conns[s->conn].outbound)
		peer->inbound_left_ms = e->now_ms;
	if (peer->place == PLACE_NONE)
		return;
	if (peer->place == PLACE_FURTHER && !peer->brought)
		place_leave(e, s->peer);
	else if (s->state == PL_SESSION_LIVE && e->now_ms - s->since_ms >= PL_STAY_MS)
		peer->fails = 0;
	else
		pl_neighbour_failed(e, s->peer);
}

/* --- looking for what the neighbours do not give --- */

/* PROTOCOL: "About once a minute, and within 5 s where something was asked for in vain, a node makes a link to one more, at random of those that it
 * has looked at least often." */
static void look(struct pl_engine *e)
{
	if (e->now_ms >= e->look_at_ms) {
		const uint16_t node = count_of(e, PLACE_FURTHER) < e->further_max ? pick(e, looks) : PL_NODE_NONE;
		e->look_at_ms = e->now_ms + about(e, PL_LOOK_MS);
		if (node != PL_NODE_NONE) {
			e->looked_ms = e->now_ms;
			e->peers[node].looks++;
			/* its dial may take as long as there are addresses; a handshake, and what both hold, some seconds more */
			e->peers[node].look_until_ms = e->now_ms + 2 * PL_LOOK_STAY_MS;
			place_take(e, node, PLACE_FURTHER);
			due(e, e->peers[node].look_until_ms);
		}
	}
	due(e, e->look_at_ms);
}

void pl_neighbours_withhold(struct pl_engine *e)
{
	const uint64_t soonest_ms = e->looked_ms + PL_LOOK_MS_MIN > e->now_ms ? e->looked_ms + PL_LOOK_MS_MIN : e->now_ms;

	if (e->mesh || e->look_at_ms <= soonest_ms)
		return;
	e->look_at_ms = soonest_ms;
	due(e, soonest_ms);
}

static bool is_fetched_from(const struct pl_engine *e, uint16_t session)
{
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		if (e->lanes[index].fetch_session == session)
			return true;
	}
	return false;
}

/* Who says HELLO and nothing more is none: a few of them would take all the places for looking around, for good. */
static bool is_only_link(const struct pl_engine *e, uint16_t session)
{
	if (e->sessions[session].state != PL_SESSION_LIVE)
		return false;
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (e->sessions[i].used && i != session && e->sessions[i].state == PL_SESSION_LIVE)
			return false;
	}
	return true;
}

/* Those that have been looked at, and had nothing. */
static void let_go(struct pl_engine *e)
{
	for (uint16_t i = e->dialled_count; i-- > 0;) {
		const uint16_t node = e->dialled[i];
		struct peer *peer = &e->peers[node];
		if (peer->place != PLACE_FURTHER || peer->brought)
			continue;
		if (e->now_ms < peer->look_until_ms) {
			due(e, peer->look_until_ms);
		} else if (peer->session == PL_NONE16 || is_fetched_from(e, peer->session) || is_only_link(e, peer->session)) {
			peer->look_until_ms = e->now_ms + PL_LOOK_MORE_MS;
			due(e, peer->look_until_ms);
		} else {
			struct session *s = &e->sessions[peer->session];
			place_leave(e, node);
			pl_session_close(e, s, PL_BYE_SPARE, "all that it has is here");
		}
	}
}

/* What has come was named by s alone, or asked of others in vain. Of the lanes of its own member nothing counts: those it can lengthen as it
 * likes. */
static bool is_only_source(const struct pl_engine *e, const struct session *s, uint32_t index)
{
	if (e->charter->nodes[index / PL_LANES].member == e->charter->nodes[s->peer].member)
		return false;
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		const struct session *other = &e->sessions[i];
		if (other->used && other != s && other->peer_has[index] >= e->lanes[index].have_seq &&
		    e->unanswered[other->peer * e->lanes_count + index] == 0)
			return false;
	}
	return true;
}

/* PROTOCOL: "Who has brought entries of another member that no other peer had named, or none who had would give, stays; of more than three such, one
 * at random is not kept." */
void pl_neighbour_brought(struct pl_engine *e, const struct session *s, uint32_t index)
{
	struct peer *peer = &e->peers[s->peer];
	uint16_t others[PL_LINKS_MAX], others_count = 0;

	if (e->mesh || peer->brought || peer->configured || peer->place == PLACE_CHOSEN || !peer->dialable || !is_only_source(e, s, index))
		return;
	for (uint16_t i = 0; i < e->dialled_count; i++) {
		if (e->peers[e->dialled[i]].brought && others_count < PL_LINKS_MAX)
			others[others_count++] = e->dialled[i];
	}
	/* One place is always left to look further: however many say what nobody else says, and be it made for that, who is not with them is met. */
	if (others_count > 0 && others_count + 1 >= e->further_max) {
		struct peer *other = &e->peers[others[pl_draw(e) % others_count]];
		other->brought = false;
		other->look_until_ms = e->now_ms;
		due(e, e->now_ms);
	}
	if (peer->place == PLACE_NONE)
		place_take(e, s->peer, PLACE_FURTHER);
	peer->brought = e->further_max > 1;
}

/* --- anchors --- */

/* Of those that have been live for as many times ten minutes, one at random: who is only the fastest to answer gains nothing by it. */
static uint16_t longest_live(struct pl_engine *e)
{
	uint16_t best = PL_NODE_NONE;
	uint64_t longest = 0;
	uint32_t equals = 0;

	for (uint16_t i = 0; i < e->dialled_count; i++) {
		const struct peer *peer = &e->peers[e->dialled[i]];
		if (peer->place != PLACE_CHOSEN || peer->live_since_ms == 0 || is_anchor(e, e->dialled[i]) ||
		    e->now_ms - peer->live_since_ms < PL_ANCHOR_MS / 2)
			continue;
		const uint64_t live = (e->now_ms - peer->live_since_ms) / PL_ANCHOR_MS;
		if (best != PL_NODE_NONE && live < longest)
			continue;
		equals = best == PL_NODE_NONE || live > longest ? 1 : equals + 1;
		if (pl_draw(e) % equals == 0)
			best = e->dialled[i];
		longest = live;
	}
	return best;
}

static void anchors(struct pl_engine *e)
{
	bool changed = false;

	if (e->now_ms < e->anchors_at_ms) {
		due(e, e->anchors_at_ms);
		return;
	}
	e->anchors_at_ms = e->now_ms + PL_ANCHOR_MS;
	due(e, e->anchors_at_ms);
	for (int i = 0; i < PL_ANCHORS_MAX; i++) {
		/* One that is down is remembered until another has been live for long. */
		if (e->anchors[i] != PL_NODE_NONE && e->peers[e->anchors[i]].live_since_ms != 0)
			continue;
		const uint16_t node = longest_live(e);
		if (node == PL_NODE_NONE)
			continue;
		e->anchors[i] = node;
		changed = true;
	}
	if (changed)
		memcpy(pl_effect_add(e, PL_FX_ANCHORS)->effect.anchors.nodes, e->anchors, sizeof(e->anchors));
}

/* --- when it is time --- */

/* In ticks alone, so that all whom node/ calls dialable in one turn can be chosen from. */
void pl_neighbours_run(struct pl_engine *e)
{
	if (e->neighbours_at_ms == PL_NEVER || !e->started || e->draining)
		return;
	if (e->now_ms < e->neighbours_at_ms || !e->ticking) {
		pl_timer(e, e->neighbours_at_ms);
		return;
	}
	e->neighbours_at_ms = PL_NEVER;
	let_go(e);
	choose(e);
	look(e);
	anchors(e);
}

enum pl_peer_role pl_neighbour_role(const struct pl_engine *e, uint16_t node)
{
	const struct peer *peer = &e->peers[node];

	if (peer->configured)
		return PL_PEER_CONFIGURED;
	if (e->mesh && peer->dialable)
		return PL_PEER_MESH;
	if (peer->place == PLACE_CHOSEN)
		return is_anchor(e, node) ? PL_PEER_ANCHOR : PL_PEER_CHOSEN;
	if (peer->place == PLACE_FURTHER || (peer->session != PL_NONE16 && e->conns[e->sessions[peer->session].conn].outbound))
		return PL_PEER_FURTHER;
	return peer->session != PL_NONE16 ? PL_PEER_INBOUND : PL_PEER_NONE;
}
