#include <assert.h>
#include <string.h>

#include "proto/parts.h"

#define ADDRESS_NOTE_MS 60000 /* between two notes that an address has too many connections */

/* --- connections --- */

/* It is where it was found last, mostly; else each is looked at, and they lie far apart. */
static struct conn *conn_find(struct pl_engine *e, uint32_t link)
{
	uint16_t *found = &e->conns_found[link * 0x9e3779b1u >> (32 - PL_CONNS_FOUND_BITS)];

	if (*found < e->conns_ever && e->conns[*found].link == link)
		return &e->conns[*found];
	for (uint16_t i = 0; i < e->conns_ever; i++) {
		if (e->conns[i].link != link)
			continue;
		*found = i;
		return &e->conns[i];
	}
	return NULL;
}

void pl_conn_forget(struct conn *conn)
{
	pl_wipe(conn, sizeof(*conn));
	conn->link = PL_LINK_NONE;
}

bool pl_has_link(const struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (e->sessions[i].used)
			return true;
	}
	return false;
}

/* PROTOCOL: "The wait is at most 5 s while the node holds something that the peer has not acknowledged, while the peer had announced something that the
 * node lacked when the link ended, and while the node has no link at all." */
static uint64_t backoff_max(const struct pl_engine *e, const struct peer *peer)
{
	if (peer->owes || !pl_has_link(e) || pl_held_entries(e, (uint16_t)(peer - e->peers)) > 0)
		return PL_BACKOFF_HELD_MS_MAX;
	return PL_BACKOFF_MS_MAX;
}

static void dial_within(struct pl_engine *e, struct peer *peer, uint64_t within_ms)
{
	peer->dial_at_ms = e->now_ms + pl_draw(e) % (within_ms + 1);
	if (peer->dial_at_ms > e->dials_until_ms)
		e->dials_until_ms = peer->dial_at_ms;
	pl_timer(e, peer->dial_at_ms);
}

/* PROTOCOL: "A dial that has been under way for a second by then is begun anew." */
static void hurry_those_under_way(struct pl_engine *e, uint64_t within_ms)
{
	for (uint16_t i = 0; i < e->dialled_count; i++) {
		struct peer *peer = &e->peers[e->dialled[i]];
		if (peer->dialling && !peer->redials && e->now_ms - peer->state_since_ms >= PL_REDIAL_FLASH_MS) {
			peer->redials = true;
			dial_within(e, peer, within_ms);
		}
	}
}

void pl_dials_hurry(struct pl_engine *e, uint64_t within_ms, uint16_t but)
{
	if (within_ms <= PL_REDIAL_FLASH_MS)
		hurry_those_under_way(e, within_ms);
	if (e->dials_until_ms <= e->now_ms + within_ms)
		return;
	for (uint16_t i = 0; i < e->dialled_count; i++) {
		struct peer *peer = &e->peers[e->dialled[i]];
		if (e->dialled[i] != but && !peer->dialling && peer->session == PL_NONE16 && peer->dial_at_ms > e->now_ms + within_ms)
			dial_within(e, peer, within_ms);
	}
}

/* PROTOCOL: "After a link is lost or cannot be made, the next attempt comes within 1 s, then within 2, and so on, doubling up to 300 s; when within that
 * time is random." */
void pl_back_off(struct pl_engine *e, struct peer *peer)
{
	const uint64_t max_ms = backoff_max(e, peer);

	if (peer->backoff_ms < PL_BACKOFF_MS_MIN)
		peer->backoff_ms = PL_BACKOFF_MS_MIN;
	if (peer->backoff_ms > max_ms)
		peer->backoff_ms = max_ms;
	dial_within(e, peer, peer->backoff_ms);
	peer->backoff_ms = peer->backoff_ms * 2 > PL_BACKOFF_MS_MAX ? PL_BACKOFF_MS_MAX : peer->backoff_ms * 2;
	peer->dialling = false;
	peer->state_since_ms = e->now_ms;
	if (e->dials_wait)
		pl_timer(e, e->now_ms); /* its place may be another's turn */
}

/* Drops a connection that never got a session. Without a word: whoever is there learns nothing. */
void pl_conn_drop(struct pl_engine *e, struct conn *conn, const char *why)
{
	if (why) { /* before the link is closed, so that it can still be said where it came from */
		e->counters.handshakes_failed++;
		pl_note(e, PL_NOTE_HANDSHAKE_FAILED, conn->link, conn->outbound ? conn->peer : PL_NODE_NONE, why);
	}
	pl_effect_add(e, PL_FX_CLOSE)->effect.close.link = conn->link;
	if (conn->outbound)
		pl_back_off(e, &e->peers[conn->peer]);
	if (conn->outbound && why)
		pl_neighbour_failed(e, conn->peer);
	pl_conn_forget(conn);
}

static const uint8_t *find_courier_key(void *ctx, const uint8_t remote_static[32])
{
	struct pl_engine *e = ctx;
	const uint16_t node = pl_charter_find_noise(e->charter, remote_static);

	return node != PL_NODE_NONE ? e->peers[node].courier_key : NULL;
}

static struct pl_handshake_keys handshake_keys(struct pl_engine *e, const struct conn *conn)
{
	struct pl_handshake_keys keys = {
		.network_id = e->network_id, .static_secret = e->config.noise_secret, .any_courier_key = e->any_courier_key,
		.find_courier_key = find_courier_key, .ctx = e,
	};
	if (conn->outbound) {
		keys.remote_static = e->charter->nodes[conn->peer].certificate.noise_public;
		keys.courier_key = e->peers[conn->peer].courier_key;
	}
	return keys;
}

void pl_send_small(struct pl_engine *e, const struct conn *conn, const uint8_t *bytes, size_t count)
{
	struct effect_slot *slot = pl_effect_add(e, PL_FX_SEND);

	assert(count <= sizeof(slot->bytes));
	memcpy(slot->bytes, bytes, count);
	slot->effect.send.link = conn->link;
	slot->effect.send.bytes = slot->bytes;
	slot->effect.send.count = count;
}

/* That the message before it has been written, its answer shows. */
static void send_handshake(struct pl_engine *e, struct conn *conn, const uint8_t *bytes, size_t count)
{
	pl_send_small(e, conn, bytes, count);
	conn->sending = true;
}

static bool is_address_of_member(const struct pl_engine *e, uint64_t address_hash)
{
	for (uint16_t node = 0; node < e->nodes; node++) {
		if (e->peers[node].linked && e->peers[node].address_hash == address_hash)
			return true;
	}
	return false;
}

/* Who connects and says nothing costs an attacker next to nothing: of those the oldest gives way, so that members, who speak at once, get in. A
 * first message takes the charter and no key. Of those that have sent one any may give way: a crowd of them would have to come again faster
 * than chance leaves a member alone for the round trip that it needs to finish. */
static struct conn *conn_that_gives_way(struct pl_engine *e)
{
	struct conn *oldest = NULL, *spoken[PL_HANDSHAKES_MAX];
	uint32_t spoken_count = 0;

	for (uint16_t i = 0; i < e->conns_ever; i++) {
		struct conn *c = &e->conns[i];
		if (c->link == PL_LINK_NONE || c->session != PL_NONE16 || c->outbound || is_address_of_member(e, c->address_hash))
			continue;
		if (c->spoken)
			spoken[spoken_count++] = c;
		else if (!oldest || c->age < oldest->age)
			oldest = c;
	}
	if (oldest || spoken_count == 0)
		return oldest;
	return spoken[pl_draw(e) % spoken_count];
}

void pl_link_up(struct pl_engine *e, uint32_t link, uint16_t peer, uint64_t address_hash)
{
	const bool outbound = peer != PL_NODE_NONE;
	uint32_t handshakes = 0, same_address = 0;
	struct conn *conn = NULL;

	assert(link != PL_LINK_NONE && !conn_find(e, link));
	for (uint16_t i = 0; i < e->conns_ever; i++) {
		struct conn *c = &e->conns[i];
		if (c->link == PL_LINK_NONE) {
			conn = conn ? conn : c;
		} else if (c->session == PL_NONE16 && !c->outbound) {
			handshakes++;
			same_address += c->address_hash == address_hash;
		}
	}
	if (!conn && e->conns_ever < e->conns_max) {
		conn = &e->conns[e->conns_ever++];
		conn->link = PL_LINK_NONE;
	}
	bool refused = !outbound && same_address >= PL_HANDSHAKES_PER_ADDRESS_MAX;
	/* PROTOCOL: "When there are 64, a new one takes the place of the oldest that has not sent a whole first message, or else of one at random, but
	 * never of one that comes from where a member has had a link from." */
	if (!outbound && !refused && handshakes >= PL_HANDSHAKES_MAX) {
		conn = conn_that_gives_way(e);
		refused = conn == NULL;
		if (conn)
			pl_conn_drop(e, conn, NULL);
	}
	if (!outbound && same_address >= PL_HANDSHAKES_PER_ADDRESS_MAX && e->now_ms >= e->address_note_ms) {
		e->address_note_ms = e->now_ms + ADDRESS_NOTE_MS;
		pl_note(e, PL_NOTE_HANDSHAKE_FAILED, link, PL_NODE_NONE, "too many connections from this address have not introduced themselves");
	}
	if (!conn || refused || e->draining || !e->started) {
		pl_effect_add(e, PL_FX_CLOSE)->effect.close.link = link;
		if (outbound)
			pl_back_off(e, &e->peers[peer]);
		return;
	}
	*conn = (struct conn){ .link = link, .peer = peer, .session = PL_NONE16, .outbound = outbound, .since_ms = e->now_ms,
	                       .address_hash = address_hash, .age = e->conns_count++ };
	pl_random(e, conn->ephemeral_secret);
	pl_timer(e, e->now_ms + PL_HANDSHAKE_MS_MAX);
	if (!outbound) {
		pl_handshake_listen(&conn->handshake);
		return;
	}
	const struct pl_handshake_keys keys = handshake_keys(e, conn);
	uint8_t message[PL_HANDSHAKE_BYTES_1];
	if (pl_handshake_dial(&conn->handshake, &keys, conn->ephemeral_secret, e->wall_ms, message) != PL_OK)
		pl_conn_drop(e, conn, "the peer's key in the charter is unusable");
	else
		send_handshake(e, conn, message, sizeof(message));
}

/* PROTOCOL: "The responder remembers for 20 minutes the ephemeral keys of the first messages that it has answered, and is silent when one
 * comes again." */
static bool is_replay(struct pl_engine *e, const uint8_t ephemeral[32])
{
	for (uint32_t i = 0; i < PL_HANDSHAKE_REPLAY_MAX; i++) {
		const struct replay *r = &e->replays[i];
		if (r->at_ms == 0)
			break; /* they are filled in order */
		if (e->now_ms - r->at_ms < PL_HANDSHAKE_REPLAY_MS && memcmp(r->ephemeral, ephemeral, 32) == 0)
			return true;
	}
	/* When it is full the oldest is forgotten. Who knows our public key can bring that about, and gains no more by it than that we answer an
	 * old first message; were we to refuse all others meanwhile, it could keep everybody out. */
	struct replay *r = &e->replays[e->replays_next];
	*r = (struct replay){ .at_ms = e->now_ms ? e->now_ms : 1 };
	memcpy(r->ephemeral, ephemeral, 32);
	e->replays_next = (e->replays_next + 1) % PL_HANDSHAKE_REPLAY_MAX;
	return false;
}

static const char *handshake_failure(enum pl_err err, bool outbound)
{
	if (err == PL_ERR_EXPIRED)
		return "the clocks are more than 10 minutes apart";
	if (outbound)
		return "the peer's answer does not fit: another key, charter, or courier key";
	return "not a handshake of this network";
}

static size_t handshake_bytes(struct pl_engine *e, struct conn *conn, const uint8_t *bytes, size_t count)
{
	const struct pl_handshake_keys keys = handshake_keys(e, conn);
	uint8_t out[PL_HANDSHAKE_BYTES_MAX];
	size_t consumed = 0, out_bytes;
	bool complete;

	enum pl_err err = pl_handshake_feed(&conn->handshake, &keys, conn->ephemeral_secret, e->wall_ms, bytes, count, &consumed, &complete,
	                                    out, &out_bytes);
	if (err == PL_OK && complete && !conn->outbound && pl_handshake_has_answered(&conn->handshake) &&
	    is_replay(e, conn->handshake.noise.remote_ephemeral)) {
		pl_conn_drop(e, conn, "its first message has come before");
		return count;
	}
	if (err != PL_OK) {
		pl_conn_drop(e, conn, handshake_failure(err, conn->outbound));
		return count;
	}
	conn->spoken |= complete;
	if (out_bytes > 0)
		send_handshake(e, conn, out, out_bytes);
	if (pl_handshake_is_done(&conn->handshake))
		pl_session_start(e, conn);
	return consumed;
}

size_t pl_link_bytes(struct pl_engine *e, uint32_t link, const uint8_t *bytes, size_t count)
{
	struct conn *conn = conn_find(e, link);

	if (!conn)
		return count; /* closed by us; its last bytes are nobody's */
	if (conn->session == PL_NONE16)
		return handshake_bytes(e, conn, bytes, count);
	return pl_session_bytes(e, &e->sessions[conn->session], bytes, count);
}

void pl_link_sent(struct pl_engine *e, uint32_t link)
{
	struct conn *conn = conn_find(e, link);

	if (!conn)
		return;
	conn->sending = false;
	if (conn->session == PL_NONE16)
		return;
	struct session *s = &e->sessions[conn->session];
	const uint64_t took_ms = e->now_ms - s->sending_since_ms;
	s->sending = false;
	*s->chores |= CHORE_SEND;
	if (s->sending_bytes == 0)
		return; /* a handshake message, of which nothing can be learned */
	/* Smoothed over eight records; a write that took no time says nothing but that the link is fast. */
	if (took_ms > 0) {
		const uint64_t rate = (uint64_t)s->sending_bytes * 1000 / took_ms;
		s->rate_bytes_per_s = s->rate_bytes_per_s == 0 ? rate : (7 * s->rate_bytes_per_s + rate) / 8;
	} else if (s->rate_bytes_per_s < UINT32_MAX) {
		s->rate_bytes_per_s *= 2;
	}
	s->sending_bytes = 0;
}

void pl_link_down(struct pl_engine *e, uint32_t link, uint16_t peer)
{
	struct conn *conn = link == PL_LINK_NONE ? NULL : conn_find(e, link);

	if (link == PL_LINK_NONE && peer < e->nodes && e->peers[peer].dialling) {
		pl_back_off(e, &e->peers[peer]);
		pl_neighbour_failed(e, peer);
	} else if (conn && conn->session != PL_NONE16) {
		pl_session_end(e, &e->sessions[conn->session]);
	} else if (conn) {
		if (conn->outbound) {
			e->counters.handshakes_failed++;
			pl_note(e, PL_NOTE_HANDSHAKE_FAILED, link, conn->peer,
			        "the peer hung up: clocks more than 10 minutes apart, another charter or key, too many connections from this address, or it is not a"
			        " Parley node");
			pl_back_off(e, &e->peers[conn->peer]);
			pl_neighbour_failed(e, conn->peer);
		}
		pl_conn_forget(conn);
	}
}

void pl_link_drain(struct pl_engine *e, enum pl_bye_reason reason, const char *text)
{
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (e->sessions[i].used)
			pl_session_close(e, &e->sessions[i], reason, text);
	}
	for (uint16_t i = 0; i < e->conns_ever; i++) {
		if (e->conns[i].link != PL_LINK_NONE)
			pl_conn_drop(e, &e->conns[i], NULL);
	}
}

/* Whether what was dialled has answered, and keys are being agreed on. */
static bool is_connected(const struct pl_engine *e, uint16_t node)
{
	for (uint16_t i = 0; i < e->conns_ever; i++) {
		if (e->conns[i].link != PL_LINK_NONE && e->conns[i].outbound && e->conns[i].peer == node)
			return true;
	}
	return false;
}

/* Whoever is due, as far as there are sessions for them. Who has failed is not due again at once, so that all have their turn. */
static void dial_due(struct pl_engine *e)
{
	uint32_t taken = 0;

	e->dials_wait = false;
	if (!e->started || e->draining)
		return;
	e->dials_until_ms = 0;
	for (uint16_t i = 0; i < e->sessions_ever; i++)
		taken += e->sessions[i].used;
	for (uint16_t i = 0; i < e->dialled_count; i++)
		taken += e->peers[e->dialled[i]].dialling && e->peers[e->dialled[i]].session == PL_NONE16;
	for (uint16_t i = 0; i < e->dialled_count; i++) {
		const uint16_t node = e->dialled[i];
		struct peer *peer = &e->peers[node];
		if ((peer->dialling && !peer->redials) || peer->session != PL_NONE16)
			continue;
		if (e->now_ms < peer->dial_at_ms) {
			if (peer->dial_at_ms > e->dials_until_ms)
				e->dials_until_ms = peer->dial_at_ms;
			pl_timer(e, peer->dial_at_ms);
		} else if (peer->dialling && is_connected(e, node)) {
			peer->redials = false;
		} else if (!peer->dialling && taken >= e->sessions_max) {
			e->dials_wait = true; /* until one ends, or a dial fails */
		} else {
			taken += !peer->dialling;
			peer->dialling = true;
			peer->redials = false;
			peer->state_since_ms = e->now_ms;
			pl_effect_add(e, PL_FX_DIAL)->effect.dial.peer = node;
		}
	}
}

void pl_link_timers(struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->conns_ever; i++) {
		struct conn *conn = &e->conns[i];
		if (conn->link == PL_LINK_NONE || conn->session != PL_NONE16)
			continue;
		if (e->now_ms - conn->since_ms >= PL_HANDSHAKE_MS_MAX)
			pl_conn_drop(e, conn, "no answer within 5 s");
		else
			pl_timer(e, conn->since_ms + PL_HANDSHAKE_MS_MAX);
	}
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (e->sessions[i].used)
			pl_session_timers(e, &e->sessions[i]);
	}
	pl_neighbours_run(e);
	dial_due(e);
}
