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
	case PL_PEER_NONE: return "none";
	case PL_PEER_MESH: return "mesh";
	case PL_PEER_CONFIGURED: return "configured";
	case PL_PEER_CHOSEN: return "chosen";
	case PL_PEER_ANCHOR: return "anchor";
	case PL_PEER_FURTHER: return "further";
	case PL_PEER_INBOUND: return "inbound";
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
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
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
		out->bytes_in += s->reader->stream.bytes;
		out->bytes_out += s->writer.bytes;
	} else if (peer->dialling) {
		out->state = PL_SESSION_DIAL;
		for (uint16_t i = 0; i < e->conns_ever; i++) {
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
