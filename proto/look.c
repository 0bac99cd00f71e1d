/* Looking into the engine, for status and metrics: nothing here changes it. */
#include "proto/engine.h"

#include <string.h>

#include "crypto/sign.h"
#include "proto/parts.h"

const char *pl_session_state_name(enum pl_session_state state)
{
	switch (state) {
	case PL_SESSION_IDLE: return "idle";
	case PL_SESSION_DIAL: return "dial";
	case PL_SESSION_HANDSHAKE: return "handshake";
	case PL_SESSION_HELLO: return "hello";
	case PL_SESSION_RECON: return "recon";
	case PL_SESSION_LIVE: return "live";
	case PL_SESSION_BACKOFF: return "backoff";
	}
	return "unknown";
}

const char *pl_peer_role_name(enum pl_peer_role role)
{
	switch (role) {
	case PL_ROLE_NONE: return "none";
	case PL_ROLE_MESH: return "mesh";
	case PL_ROLE_CONFIGURED: return "configured";
	case PL_ROLE_CHOSEN: return "chosen";
	case PL_ROLE_ANCHOR: return "anchor";
	case PL_ROLE_FURTHER: return "further";
	case PL_ROLE_INBOUND: return "inbound";
	}
	return "unknown";
}

void pl_engine_lane(const struct pl_engine *e, uint16_t node, uint8_t lane, struct pl_lane_info *out)
{
	const uint32_t index = pl_lane_index(node, lane);
	const struct lane *l = &e->lanes[index];

	*out = (struct pl_lane_info){ .have_seq = l->have_seq, .durable_seq = l->durable_seq, .frozen = l->frozen,
	                              .has_room = !e->store_failed && pl_has_room(e, node, lane), .share_full = pl_share_is_full(e, node, lane) };
	if (node == e->self)
		out->frozen |= e->self_behind;
	memcpy(out->head_id, l->durable_id, PL_ID_BYTES);
	out->wanted_seq = l->have_seq;
	for (uint16_t i = 0; i < e->sessions_max; i++) {
		if (e->sessions[i].used && e->sessions[i].peer_has[index] > out->wanted_seq)
			out->wanted_seq = e->sessions[i].peer_has[index];
	}
}

uint64_t pl_held_entries(const struct pl_engine *e, uint16_t peer)
{
	uint64_t held = 0;

	for (uint16_t n = 0; n < e->nodes; n++) {
		for (uint8_t lane = 0; n != peer && lane < PL_LANES; lane++) {
			const uint32_t index = pl_lane_index(n, lane);
			const uint64_t acked = e->acked[peer * e->lanes_count + index];
			if (e->lanes[index].durable_seq > acked)
				held += e->lanes[index].durable_seq - acked;
		}
	}
	return held;
}

void pl_engine_peer(const struct pl_engine *e, uint16_t node, struct pl_peer_info *out)
{
	const struct peer *peer = &e->peers[node];

	*out = peer->totals;
	out->link = PL_LINK_NONE;
	out->role = pl_neighbour_role(e, node);
	out->dialable = peer->dialable;
	out->last_heard_ms = peer->heard_ms;
	out->since_ms = peer->state_since_ms;
	if (peer->session != PL_NONE16) {
		const struct session *s = &e->sessions[peer->session];
		out->state = s->state;
		out->link = e->conns[s->conn].link;
		out->inbound = !e->conns[s->conn].outbound;
		out->since_ms = s->since_ms;
		out->last_heard_ms = s->heard_ms;
		out->rtt_ms = s->rtt_ms;
		out->bytes_in += s->reader.stream.bytes;
		out->bytes_out += s->writer.bytes;
	} else if (peer->dialling) {
		out->state = PL_SESSION_DIAL;
		for (uint16_t i = 0; i < e->conns_max; i++) {
			if (e->conns[i].link != PL_LINK_NONE && e->conns[i].peer == node)
				out->state = PL_SESSION_HANDSHAKE;
		}
	} else if (peer->dialled) {
		out->state = PL_SESSION_BACKOFF;
		out->retry_ms = peer->dial_at_ms;
	} else {
		out->state = PL_SESSION_IDLE;
	}
	/* Others bring it what it needs, and it tells them, not this node, what it has got. */
	out->neighbour = peer->dialled || peer->session != PL_NONE16 || (e->mesh && peer->linked);
	out->held_entries = out->neighbour ? pl_held_entries(e, node) : 0;
}

uint64_t pl_engine_acked(const struct pl_engine *e, uint16_t peer, uint16_t node, uint8_t lane)
{
	return e->acked[peer * e->lanes_count + pl_lane_index(node, lane)];
}

void pl_engine_counters(const struct pl_engine *e, struct pl_engine_counters *out)
{
	*out = e->counters;
}

static void frontier_root(const struct pl_engine *e, uint8_t root[PL_ID_BYTES])
{
	/* PROTOCOL: "The frontier root is a hash chained over the items of all lanes that hold entries, in order of node index and lane, each
	 * with the whole id of its head." */
	memset(root, 0, PL_ID_BYTES);
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		const struct lane *lane = &e->lanes[index];
		uint8_t item[16];
		const struct pl_part parts[] = { { root, PL_ID_BYTES }, { item, sizeof(item) }, { lane->durable_id, PL_ID_BYTES } };
		if (lane->durable_seq == 0)
			continue;
		pl_put16(item, (uint16_t)(index / PL_LANES));
		item[2] = (uint8_t)(index % PL_LANES);
		item[3] = 0;
		pl_put32(item + 4, pl_generation_of(e, (uint16_t)(index / PL_LANES)));
		pl_put64(item + 8, lane->durable_seq);
		pl_hash(PL_LABEL_FRONTIER, sizeof(PL_LABEL_FRONTIER), parts, 3, root);
	}
}

/* Kept, since a peer may make us compare it with every PING, and 2,304 lanes take a millisecond. */
const uint8_t *pl_frontier_root(struct pl_engine *e)
{
	if (!e->root_known)
		frontier_root(e, e->root);
	e->root_known = true;
	return e->root;
}

void pl_engine_frontier_root(const struct pl_engine *e, uint8_t root[PL_ID_BYTES])
{
	if (e->root_known)
		memcpy(root, e->root, PL_ID_BYTES);
	else
		frontier_root(e, root);
}
