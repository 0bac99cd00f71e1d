#include <assert.h>
#include <string.h>

#include "proto/state.h"

/* --- connections --- */

struct conn *pl_conn_find(struct pl_engine *e, uint32_t link)
{
	for (uint16_t i = 0; i < e->conns_max; i++) {
		if (e->conns[i].link == link)
			return &e->conns[i];
	}
	return NULL;
}

static void conn_forget(struct conn *conn)
{
	pl_wipe(conn, sizeof *conn);
	conn->link = PL_LINK_NONE;
}

static bool has_link(const struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->sessions_max; i++) {
		if (e->sessions[i].used)
			return true;
	}
	return false;
}

/* PROTOCOL: "The wait is at most 15 s while the node holds something that the peer has not acknowledged, while the peer had announced something that the
 * node lacked when the link ended, and while the node has no link at all." */
static uint64_t backoff_max(const struct pl_engine *e, const struct peer *peer)
{
	if (peer->owes || !has_link(e) || pl_held_entries(e, (uint16_t)(peer - e->peers)) > 0)
		return PL_BACKOFF_HELD_MS_MAX;
	return PL_BACKOFF_MS_MAX;
}

static void dial_within(struct pl_engine *e, struct peer *peer, uint64_t within_ms)
{
	uint8_t random[32];

	pl_random(e, random);
	peer->dial_at_ms = e->now_ms + pl_get32(random) % (within_ms + 1);
	if (peer->dial_at_ms > e->dials_until_ms)
		e->dials_until_ms = peer->dial_at_ms;
	pl_timer(e, peer->dial_at_ms);
}

void pl_dials_hurry(struct pl_engine *e, uint64_t within_ms, uint16_t but)
{
	if (e->dials_until_ms <= e->now_ms + within_ms)
		return;
	for (uint16_t node = 0; node < e->nodes; node++) {
		struct peer *peer = &e->peers[node];
		if (node != but && peer->dialable && !peer->dialling && peer->session == PL_NONE16 && peer->dial_at_ms > e->now_ms + within_ms)
			dial_within(e, peer, within_ms);
	}
}

/* PROTOCOL: "After a link is lost or cannot be made, the next attempt comes within 1 s, then within 2, and so on, doubling up to 300 s; when within that
 * time is random." */
static void back_off(struct pl_engine *e, struct peer *peer)
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
static void conn_drop(struct pl_engine *e, struct conn *conn, const char *why)
{
	pl_effect_add(e, PL_FX_CLOSE)->effect.close.link = conn->link;
	if (why) {
		e->counters.handshakes_failed++;
		pl_note(e, PL_NOTE_HANDSHAKE_FAILED, conn->link, conn->outbound ? conn->peer : PL_NODE_NONE, why);
	}
	if (conn->outbound)
		back_off(e, &e->peers[conn->peer]);
	conn_forget(conn);
}

static const uint8_t *find_courier_key(void *ctx, const uint8_t remote_static[32])
{
	struct pl_engine *e = ctx;
	const uint16_t node = pl_charter_find_noise(e->charter, remote_static);

	return node != PL_NODE_NONE && e->peers[node].has_courier_key ? e->peers[node].courier_key : NULL;
}

static struct pl_handshake_keys handshake_keys(struct pl_engine *e, const struct conn *conn)
{
	struct pl_handshake_keys keys = {
		.network_id = e->network_id, .static_secret = e->config.noise_secret, .any_courier_key = e->any_courier_key,
		.find_courier_key = find_courier_key, .ctx = e,
	};
	if (conn->outbound) {
		keys.remote_static = e->charter->nodes[conn->peer].certificate.noise_public;
		keys.courier_key = e->peers[conn->peer].has_courier_key ? e->peers[conn->peer].courier_key : NULL;
	}
	return keys;
}

static void send_small(struct pl_engine *e, const struct conn *conn, const uint8_t *bytes, size_t count)
{
	struct effect_slot *slot = pl_effect_add(e, PL_FX_SEND);

	assert(count <= sizeof slot->bytes);
	memcpy(slot->bytes, bytes, count);
	slot->effect.send.link = conn->link;
	slot->effect.send.bytes = slot->bytes;
	slot->effect.send.count = count;
}

/* That the message before it has been written, its answer shows. */
static void send_handshake(struct pl_engine *e, struct conn *conn, const uint8_t *bytes, size_t count)
{
	send_small(e, conn, bytes, count);
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

/* Who connects and says nothing costs an attacker next to nothing: of those the oldest gives way, so that members, who speak at once, get in. */
static struct conn *conn_that_gives_way(const struct pl_engine *e)
{
	struct conn *oldest = NULL;

	for (uint16_t i = 0; i < e->conns_max; i++) {
		struct conn *c = &e->conns[i];
		if (c->link == PL_LINK_NONE || c->session != PL_NONE16 || c->outbound || c->spoken || (oldest && oldest->age <= c->age))
			continue;
		if (!is_address_of_member(e, c->address_hash))
			oldest = c;
	}
	return oldest;
}

void pl_link_up(struct pl_engine *e, uint32_t link, uint16_t peer, uint64_t address_hash)
{
	const bool outbound = peer != PL_NODE_NONE;
	uint32_t handshakes = 0, same_address = 0;
	struct conn *conn = NULL;

	assert(link != PL_LINK_NONE && !pl_conn_find(e, link));
	for (uint16_t i = 0; i < e->conns_max; i++) {
		struct conn *c = &e->conns[i];
		if (c->link == PL_LINK_NONE) {
			conn = conn ? conn : c;
		} else if (c->session == PL_NONE16 && !c->outbound) {
			handshakes++;
			same_address += c->address_hash == address_hash;
		}
	}
	bool refused = !outbound && same_address >= PL_HANDSHAKES_PER_ADDRESS_MAX;
	/* PROTOCOL: "When there are 64, a new one takes the place of the oldest that has not sent a whole first message and does not come from where a
	 * member has had a link from; if there is none, the new one is closed." */
	if (!outbound && !refused && handshakes >= PL_HANDSHAKES_MAX) {
		conn = conn_that_gives_way(e);
		refused = conn == NULL;
		if (conn)
			conn_drop(e, conn, NULL);
	}
	if (!conn || refused || e->draining || e->store_failed || !e->started) {
		pl_effect_add(e, PL_FX_CLOSE)->effect.close.link = link;
		if (outbound)
			back_off(e, &e->peers[peer]);
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
		conn_drop(e, conn, "the peer's key in the charter is unusable");
	else
		send_handshake(e, conn, message, sizeof message);
}

/* --- sessions --- */

static void session_end(struct pl_engine *e, struct session *s)
{
	struct peer *peer = &e->peers[s->peer];
	const uint16_t index = (uint16_t)(s - e->sessions);

	if (s->state == PL_SESSION_LIVE || s->state == PL_SESSION_RECON)
		pl_note(e, PL_NOTE_LINK_LOST, e->conns[s->conn].link, s->peer, "");
	peer->totals.bytes_in += s->reader.stream.bytes;
	peer->totals.bytes_out += s->writer.bytes;
	peer->heard_ms = s->heard_ms;
	peer->session = PL_NONE16;
	peer->state_since_ms = e->now_ms;
	pl_noise_cipher_wipe(&s->reader.stream.cipher);
	pl_noise_cipher_wipe(&s->writer.cipher);
	conn_forget(&e->conns[s->conn]);
	s->used = false;
	peer->owes = pl_announced_more(e, s);
	pl_check_release(e, s);
	pl_sync_session_gone(e, index);
	if (peer->dialable)
		back_off(e, peer);
	else if (e->dials_wait)
		pl_timer(e, e->now_ms);
	if (!has_link(e))
		pl_dials_hurry(e, PL_BACKOFF_HELD_MS_MAX, PL_NODE_NONE);
}

bool pl_control(struct session *s, uint8_t type, uint8_t flags, uint8_t lane, const uint8_t *payload, uint32_t payload_bytes)
{
	if (PL_CONTROL_BYTES - s->control_count < PL_FRAME_HEADER_BYTES + payload_bytes)
		return false;
	pl_frame_write_header(s->control + s->control_count, type, flags, lane, payload_bytes);
	if (payload_bytes > 0)
		memcpy(s->control + s->control_count + PL_FRAME_HEADER_BYTES, payload, payload_bytes);
	s->control_count += PL_FRAME_HEADER_BYTES + payload_bytes;
	return true;
}

void pl_session_close(struct pl_engine *e, struct session *s, enum pl_bye_reason reason, const char *text)
{
	const uint32_t link = e->conns[s->conn].link;

	/* A record in flight cannot be overtaken; then the goodbye is left out. */
	if (!s->sending && reason != PL_BYE_HOLD) {
		const size_t text_bytes = strlen(text) < 64 ? strlen(text) : 64;
		uint8_t *plain = s->record + 2;
		size_t record_bytes;
		pl_frame_write_header(plain, PL_FRAME_BYE, 0, 0, (uint32_t)(1 + text_bytes));
		plain[PL_FRAME_HEADER_BYTES] = (uint8_t)reason;
		memcpy(plain + PL_FRAME_HEADER_BYTES + 1, text, text_bytes);
		/* copied: the session's memory may serve another link within this step */
		if (pl_record_seal(&s->writer, s->record, PL_FRAME_HEADER_BYTES + 1 + text_bytes, &record_bytes) == PL_OK)
			send_small(e, &e->conns[s->conn], s->record, record_bytes);
	}
	pl_effect_add(e, PL_FX_CLOSE)->effect.close.link = link;
	session_end(e, s);
}

void pl_session_fault(struct pl_engine *e, struct session *s, const char *rule)
{
	pl_note(e, PL_NOTE_PEER_FAULT, e->conns[s->conn].link, s->peer, rule);
	pl_session_close(e, s, PL_BYE_FAULT, rule);
}

static void hello_send(struct pl_engine *e, struct session *s)
{
	struct pl_hello hello = { .version = PL_PROTOCOL_VERSION, .credit_bytes = PL_CREDIT_BYTES };
	uint8_t payload[PL_HELLO_BYTES];

	hello.charter_epoch = e->charter->epoch;
	memcpy(hello.charter_hash, e->network_id, PL_ID_BYTES);
	pl_frontier_snapshot(e, s);
	memcpy(hello.frontier_root, s->hello_root, PL_ID_BYTES);
	pl_hello_write(&hello, payload);
	if (!pl_control(s, PL_FRAME_HELLO, 0, 0, payload, sizeof payload))
		assert(!"the control queue of a new session is empty");
}

/* Of two links between the same nodes one is kept: whether the new one takes the old one's place. */
static bool new_link_wins(const struct pl_engine *e, const struct session *old, bool new_outbound)
{
	const bool old_outbound = e->conns[old->conn].outbound;

	if (old_outbound == new_outbound)
		return true; /* the same side dialled again: it has lost the old one */
	/* PROTOCOL: "When both have dialled, the link dialled by the node with the lower index stays." */
	const uint16_t dialler = new_outbound ? e->self : old->peer;
	const uint16_t other = new_outbound ? old->peer : e->self;
	return dialler < other;
}

static bool certificate_is_valid(const struct pl_engine *e, uint16_t node)
{
	const struct pl_certificate *c = &e->charter->nodes[node].certificate;

	return e->wall_ms + PL_HANDSHAKE_SKEW_MS_MAX >= c->valid_from_ms && e->wall_ms <= c->valid_until_ms + PL_HANDSHAKE_SKEW_MS_MAX;
}

static struct session *session_free(struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->sessions_max; i++) {
		if (!e->sessions[i].used)
			return &e->sessions[i];
	}
	return NULL;
}

/* The handshake is done: who is it, and may it stay? */
static void session_start(struct pl_engine *e, struct conn *conn)
{
	const uint16_t node = pl_charter_find_noise(e->charter, conn->handshake.noise.remote_static);

	if (node == PL_NODE_NONE || node == e->self) {
		conn_drop(e, conn, "its key is not in the charter");
		return;
	}
	if (!certificate_is_valid(e, node)) {
		conn_drop(e, conn, "its certificate is not valid now");
		return;
	}
	if (e->peers[node].has_courier_key && !conn->handshake.noise.has_psk) {
		conn_drop(e, conn, "it did not use the courier key that we share");
		return;
	}
	conn->peer = node;
	if (e->peers[node].session != PL_NONE16) {
		if (!new_link_wins(e, &e->sessions[e->peers[node].session], conn->outbound)) {
			conn_drop(e, conn, NULL);
			return;
		}
		pl_session_close(e, &e->sessions[e->peers[node].session], PL_BYE_DUPLICATE, "another link is kept");
	}
	struct session *s = session_free(e);
	if (!s) {
		conn_drop(e, conn, "all links are in use (links_max)");
		return;
	}
	/* Start from nothing, but for the memory that it was given. */
	struct session fresh = { .used = true, .conn = (uint16_t)(conn - e->conns), .peer = node, .state = PL_SESSION_HELLO };
	fresh.in = s->in;
	fresh.control = s->control;
	fresh.peer_has = s->peer_has;
	fresh.peer_holds = s->peer_holds;
	fresh.sent = s->sent;
	fresh.floor = s->floor;
	fresh.want_to = s->want_to;
	fresh.dirty = s->dirty;
	fresh.queued = s->queued;
	fresh.choked = s->choked;
	fresh.shunned_until_s = s->shunned_until_s;
	for (int lane = 0; lane < PL_LANES; lane++)
		fresh.todo[lane].nodes = s->todo[lane].nodes;
	for (int c = 0; c < PL_CLASSES; c++) {
		fresh.assembly[c] = (struct assembly){ .bytes = { s->assembly[c].bytes[0], s->assembly[c].bytes[1] }, .max = s->assembly[c].max };
		fresh.out[c] = (struct out_queue){ .bytes = s->out[c].bytes, .max = s->out[c].max };
	}
	fresh.check = PL_NONE16;
	fresh.since_ms = fresh.started_ms = fresh.heard_ms = fresh.sending_since_ms = e->now_ms;
	fresh.sending = conn->sending; /* the last handshake message: HELLO waits for it */
	fresh.ping_at_ms = e->now_ms + PL_PING_MS;
	fresh.frontier_next = fresh.root_next = UINT32_MAX;
	*s = fresh;
	memset(s->peer_has, 0, e->lanes_count * sizeof *s->peer_has);
	memset(s->peer_holds, 0, e->lanes_count * sizeof *s->peer_holds);
	memset(s->sent, 0, e->lanes_count * sizeof *s->sent);
	memset(s->want_to, 0, e->lanes_count * sizeof *s->want_to);
	memset(s->dirty, 0, e->lanes_count);
	memset(s->queued, 0, e->lanes_count);
	memset(s->choked, 0, e->lanes_count);
	memset(s->shunned_until_s, 0, e->nodes * sizeof *s->shunned_until_s);
	if (pl_noise_split(&conn->handshake.noise, &s->writer.cipher, &s->reader.stream.cipher) != PL_OK)
		assert(!"the handshake is done");
	pl_noise_wipe(&conn->handshake.noise);
	pl_wipe(conn->ephemeral_secret, sizeof conn->ephemeral_secret); /* with it and what crossed the wire, the session could be read */
	conn->session = (uint16_t)(s - e->sessions);
	e->peers[node].session = conn->session;
	e->peers[node].dialling = false;
	e->peers[node].linked = true;
	e->peers[node].address_hash = conn->address_hash;
	e->counters.handshakes_ok++;
	pl_timer(e, e->now_ms + PL_PING_MS);
	hello_send(e, s);
}

/* PROTOCOL: "The responder remembers for 20 minutes the ephemeral keys of the first messages that it has answered, and is silent when one
 * comes again." */
static bool is_replay(struct pl_engine *e, const uint8_t ephemeral[32])
{
	for (uint32_t i = 0; i < PL_HANDSHAKE_REPLAY_MAX; i++) {
		const struct replay *r = &e->replays[i];
		if (r->at_ms != 0 && e->now_ms - r->at_ms < PL_HANDSHAKE_REPLAY_MS && memcmp(r->ephemeral, ephemeral, 32) == 0)
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
	if (err == PL_OK && complete && !conn->outbound && conn->handshake.noise.step == 2 &&
	    is_replay(e, conn->handshake.noise.remote_ephemeral))
		err = PL_ERR_REFUSED;
	if (err != PL_OK) {
		conn_drop(e, conn, handshake_failure(err, conn->outbound));
		return count;
	}
	conn->spoken |= complete;
	if (out_bytes > 0)
		send_handshake(e, conn, out, out_bytes);
	if (pl_handshake_is_done(&conn->handshake))
		session_start(e, conn);
	return consumed;
}

/* --- frames --- */

static void go_live(struct pl_engine *e, struct session *s)
{
	s->state = PL_SESSION_LIVE;
	s->since_ms = e->now_ms;
	e->peers[s->peer].backoff_ms = 0;
	pl_note(e, PL_NOTE_LINK_LIVE, e->conns[s->conn].link, s->peer, "");
	s->ack_at_ms = e->now_ms ? e->now_ms : 1;
	pl_timer(e, e->now_ms);
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		pl_todo_add(e, s, index);
		pl_lane_pump(e, index, 0);
	}
	pl_repair_session_live(e);
}

static void roots_run(struct pl_engine *e, struct session *s)
{
	for (; s->root_next < e->lanes_count && e->effects_count < PL_EFFECTS_SLICE; s->root_next++) {
		s->peer_has[s->root_next] = s->floor[s->root_next];
		pl_acked_up_to(e, s, s->root_next, s->floor[s->root_next]);
	}
	if (s->root_next < e->lanes_count) {
		e->work_left = true;
		return;
	}
	s->root_next = UINT32_MAX;
	go_live(e, s);
}

void pl_link_roots_run(struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->sessions_max; i++) {
		if (e->sessions[i].used && e->sessions[i].root_next != UINT32_MAX)
			roots_run(e, &e->sessions[i]);
	}
}

static void hello_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	struct pl_hello hello;

	if (s->state != PL_SESSION_HELLO || pl_hello_read(frame->payload, frame->payload_bytes, &hello) != PL_OK) {
		pl_session_fault(e, s, "hello out of place or malformed");
		return;
	}
	if (memcmp(hello.charter_hash, e->network_id, PL_ID_BYTES) != 0 || hello.charter_epoch != e->charter->epoch) {
		pl_note(e, PL_NOTE_PEER_FAULT, e->conns[s->conn].link, s->peer, "it has another charter");
		pl_session_close(e, s, PL_BYE_CHARTER, "another charter");
		return;
	}
	s->credit = hello.credit_bytes < PL_CREDIT_BYTES ? hello.credit_bytes : PL_CREDIT_BYTES;
	if (memcmp(hello.frontier_root, s->hello_root, PL_ID_BYTES) == 0) {
		/* PROTOCOL: "Equal roots: both hold the same, and no FRONTIER follows." */
		s->state = PL_SESSION_RECON;
		s->root_next = 0; /* live when all is noted: pl_link_roots_run() */
		return;
	}
	s->state = PL_SESSION_RECON;
	pl_frontier_start(e, s);
}

static void ping_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (frame->payload_bytes != 8 + PL_ID_BYTES) {
		pl_session_fault(e, s, "ping malformed");
		return;
	}
	(void)pl_control(s, PL_FRAME_PONG, 0, 0, frame->payload, 8);
	/* PROTOCOL: "A PING carries the sender's frontier root; who has another one answers with its FRONTIER too, at most every 30 s." */
	if (s->state == PL_SESSION_LIVE && memcmp(pl_frontier_root(e), frame->payload + 8, PL_ID_BYTES) != 0 && e->now_ms >= s->frontier_at_ms) {
		s->frontier_at_ms = e->now_ms + PL_ANTI_ENTROPY_MS;
		pl_frontier_start(e, s);
	}
}

static void pong_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (frame->payload_bytes != 8) {
		pl_session_fault(e, s, "pong malformed");
		return;
	}
	const uint64_t sent_ms = pl_get64(frame->payload);
	if (sent_ms <= e->now_ms && e->now_ms - sent_ms < PL_HOLD_MS)
		s->rtt_ms = (uint32_t)(e->now_ms - sent_ms) + 1; /* 0 means unknown */
}

static void entry_whole(struct pl_engine *e, struct session *s, const uint8_t *bytes, uint32_t count, uint8_t flags, uint8_t lane)
{
	/* PROTOCOL: "The frame's lane is the entry's lane, and its flag flash the entry's." */
	if (count < PL_WIRE_PREFIX || bytes[3] != lane || ((flags & PL_FRAME_FLASH) != 0 && (bytes[5] & PL_FLAG_FLASH) == 0)) {
		pl_session_fault(e, s, "entry does not fit its frame");
		return;
	}
	e->peers[s->peer].totals.entries_in++;
	pl_entry_receive(e, s, bytes, count, flags);
}

static void frag_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	const bool flash = (frame->flags & PL_FRAME_FLASH) != 0;
	struct assembly *a = &s->assembly[flash ? PL_CLASS_FLASH : PL_CLASS_LANE0 + frame->lane];
	const uint8_t *bytes = frame->payload;
	uint32_t count = frame->payload_bytes;
	const uint8_t kept = frame->flags & (PL_FRAME_FLASH | PL_FRAME_CATCHUP);

	if (frame->flags & PL_FRAME_FIRST) {
		if (a->open || count < 4) {
			pl_session_fault(e, s, "fragment opens an entry within another");
			return;
		}
		a->total = pl_get32(bytes);
		bytes += 4;
		count -= 4;
		if (a->total > a->max || a->total < PL_WIRE_PREFIX) {
			pl_session_fault(e, s, "fragmented entry over its limit");
			return;
		}
		a->open = true;
		a->have = 0;
		a->flags = kept;
		a->lane = frame->lane;
		a->turn ^= 1;
	}
	if (!a->open || a->flags != kept || a->lane != frame->lane || count > a->total - a->have || count == 0) {
		pl_session_fault(e, s, "fragment does not continue its entry");
		return;
	}
	memcpy(a->bytes[a->turn] + a->have, bytes, count);
	a->have += count;
	if (kept & PL_FRAME_CATCHUP)
		s->caught_ms = e->now_ms; /* a large entry on a thin link: it is coming */
	if (((frame->flags & PL_FRAME_LAST) != 0) != (a->have == a->total)) {
		pl_session_fault(e, s, "fragments end early or late");
		return;
	}
	if (a->have < a->total)
		return;
	a->open = false;
	/* PROTOCOL: "At most one fragmented entry of a class ends within one record." */
	if (a->done_in_record++ > 0) {
		pl_session_fault(e, s, "two fragmented entries end in one record");
		return;
	}
	entry_whole(e, s, a->bytes[a->turn], a->total, a->flags, a->lane);
}

static void credit_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (frame->payload_bytes != 4) {
		pl_session_fault(e, s, "credit malformed");
		return;
	}
	const uint32_t more = pl_get32(frame->payload);
	/* PROTOCOL: "Credit never exceeds 262,144 bytes." */
	s->credit = more > PL_CREDIT_BYTES - s->credit ? PL_CREDIT_BYTES : s->credit + more;
}

static void bye_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	static const char *const reasons[] = {
		[PL_BYE_SHUTDOWN] = "it stops", [PL_BYE_DUPLICATE] = "it keeps another link", [PL_BYE_RENEW] = "it renews the session",
		[PL_BYE_FAULT] = "it says that we broke the protocol", [PL_BYE_CHARTER] = "it has another charter",
		[PL_BYE_STORE] = "its store takes nothing now", [PL_BYE_HOLD] = "it heard nothing",
	};
	const uint8_t reason = frame->payload_bytes > 0 ? frame->payload[0] : 0;
	const char *text = reason < sizeof reasons / sizeof *reasons && reasons[reason] ? reasons[reason] : "it gave no known reason";

	if (reason == PL_BYE_FAULT || reason == PL_BYE_CHARTER)
		pl_note(e, PL_NOTE_PEER_FAULT, e->conns[s->conn].link, s->peer, text);
	pl_effect_add(e, PL_FX_CLOSE)->effect.close.link = e->conns[s->conn].link;
	session_end(e, s);
}

/* PROTOCOL: "A flag that its type does not have, or a lane where it means nothing, ends the link." */
static bool frame_fits_type(const struct pl_frame *frame)
{
	uint8_t flags = PL_FRAME_OPTIONAL;
	const bool is_entry = frame->type == PL_FRAME_ENTRY || frame->type == PL_FRAME_FRAG;

	if (frame->type > PL_FRAME_CHOKE)
		return true; /* unknown */
	if (is_entry)
		flags |= PL_FRAME_FLASH | PL_FRAME_CATCHUP;
	if (frame->type == PL_FRAME_FRAG)
		flags |= PL_FRAME_FIRST;
	if (frame->type == PL_FRAME_FRAG || frame->type == PL_FRAME_FRONTIER)
		flags |= PL_FRAME_LAST;
	return (frame->flags & ~flags) == 0 && (is_entry || frame->lane == 0);
}

static void frame_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	/* PROTOCOL: "Before HELLO nothing but BYE is allowed." */
	if (s->state == PL_SESSION_HELLO && frame->type != PL_FRAME_HELLO && frame->type != PL_FRAME_BYE) {
		pl_session_fault(e, s, "frame before hello");
		return;
	}
	if (!frame_fits_type(frame)) {
		pl_session_fault(e, s, "frame with a flag or a lane that it does not have");
		return;
	}
	switch ((enum pl_frame_type)frame->type) {
	case PL_FRAME_PAD:
		return;
	case PL_FRAME_HELLO:
		hello_receive(e, s, frame);
		return;
	case PL_FRAME_FRONTIER:
		pl_frontier_receive(e, s, frame);
		if (s->used && s->state == PL_SESSION_RECON && s->root_next == UINT32_MAX && !s->frontier_open)
			go_live(e, s);
		return;
	case PL_FRAME_HAVE:
	case PL_FRAME_ACK:
		pl_items_receive(e, s, frame);
		return;
	case PL_FRAME_WANT:
		pl_want_receive(e, s, frame);
		return;
	case PL_FRAME_CANCEL:
		pl_cancel_receive(e, s, frame);
		return;
	case PL_FRAME_ENTRY:
		entry_whole(e, s, frame->payload, frame->payload_bytes, frame->flags & (PL_FRAME_FLASH | PL_FRAME_CATCHUP), frame->lane);
		return;
	case PL_FRAME_FRAG:
		frag_receive(e, s, frame);
		return;
	case PL_FRAME_CREDIT:
		credit_receive(e, s, frame);
		return;
	case PL_FRAME_PING:
		ping_receive(e, s, frame);
		return;
	case PL_FRAME_PONG:
		pong_receive(e, s, frame);
		return;
	case PL_FRAME_BYE:
		bye_receive(e, s, frame);
		return;
	case PL_FRAME_FORK:
		pl_fork_receive(e, s, frame->payload, frame->payload_bytes);
		return;
	case PL_FRAME_CHOKE:
		pl_choke_receive(e, s, frame);
		return;
	}
	/* PROTOCOL: "A frame of unknown type is ignored if it is flagged optional; otherwise the link ends." */
	if (!(frame->flags & PL_FRAME_OPTIONAL))
		pl_session_fault(e, s, "unknown frame");
}

static size_t session_bytes(struct pl_engine *e, struct session *s, const uint8_t *bytes, size_t count)
{
	const uint8_t *plain;
	size_t consumed = 0, plain_bytes, at = 0;

	if (s->record_started_ms == 0)
		s->record_started_ms = e->now_ms;
	enum pl_err err = pl_record_read(&s->reader, bytes, count, &consumed, &plain, &plain_bytes);
	if (err != PL_OK) {
		pl_session_fault(e, s, err == PL_ERR_DECRYPT ? "record does not decrypt" : "record of a size that does not exist");
		return count;
	}
	s->heard_ms = e->now_ms;
	if (!plain) {
		pl_timer(e, s->record_started_ms + PL_MIN_RATE_GRACE_MS);
		return consumed;
	}
	s->record_started_ms = 0;
	e->counters.records_in++;
	for (int c = 0; c < PL_CLASSES; c++)
		s->assembly[c].done_in_record = 0;
	while (s->used && at < plain_bytes) {
		struct pl_frame frame;
		if (pl_frame_next(plain, plain_bytes, &at, &frame) != PL_OK) {
			pl_session_fault(e, s, "frame malformed");
			return consumed;
		}
		frame_receive(e, s, &frame);
	}
	return consumed;
}

size_t pl_link_bytes(struct pl_engine *e, uint32_t link, const uint8_t *bytes, size_t count)
{
	struct conn *conn = pl_conn_find(e, link);

	if (!conn)
		return count; /* closed by us; its last bytes are nobody's */
	if (conn->session == PL_NONE16)
		return handshake_bytes(e, conn, bytes, count);
	return session_bytes(e, &e->sessions[conn->session], bytes, count);
}

void pl_link_sent(struct pl_engine *e, uint32_t link)
{
	struct conn *conn = pl_conn_find(e, link);

	if (!conn)
		return;
	conn->sending = false;
	if (conn->session == PL_NONE16)
		return;
	struct session *s = &e->sessions[conn->session];
	const uint64_t took_ms = e->now_ms - s->sending_since_ms;
	s->sending = false;
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
	struct conn *conn = link == PL_LINK_NONE ? NULL : pl_conn_find(e, link);

	if (link == PL_LINK_NONE && peer < e->nodes && e->peers[peer].dialling) {
		back_off(e, &e->peers[peer]);
	} else if (conn && conn->session != PL_NONE16) {
		session_end(e, &e->sessions[conn->session]);
	} else if (conn) {
		if (conn->outbound) {
			e->counters.handshakes_failed++;
			pl_note(e, PL_NOTE_HANDSHAKE_FAILED, link, conn->peer,
			        "the peer hung up: clocks more than 10 minutes apart, another charter or key, or it is not a Parley node");
			back_off(e, &e->peers[conn->peer]);
		}
		conn_forget(conn);
	}
}

void pl_link_drain(struct pl_engine *e, enum pl_bye_reason reason, const char *text)
{
	for (uint16_t i = 0; i < e->sessions_max; i++) {
		if (e->sessions[i].used)
			pl_session_close(e, &e->sessions[i], reason, text);
	}
	for (uint16_t i = 0; i < e->conns_max; i++) {
		if (e->conns[i].link != PL_LINK_NONE)
			conn_drop(e, &e->conns[i], NULL);
	}
}

/* --- timers --- */

static void session_timers(struct pl_engine *e, struct session *s)
{
	const bool in_hello = s->state == PL_SESSION_HELLO;
	uint8_t ping[8 + PL_ID_BYTES];

	/* PROTOCOL: "A link on which nothing has been heard for 30 s, or which takes nothing for 30 s, is closed." */
	if (e->now_ms - s->heard_ms >= PL_HOLD_MS) {
		pl_session_close(e, s, PL_BYE_HOLD, "nothing heard for 30 s");
		return;
	}
	if (s->sending && e->now_ms - s->sending_since_ms >= PL_HOLD_MS) {
		pl_session_close(e, s, PL_BYE_HOLD, "it takes nothing");
		return;
	}
	/* PROTOCOL: "A peer that within a record delivers fewer than 256 B/s over more than 10 s is cut." */
	if (s->record_started_ms != 0 && e->now_ms - s->record_started_ms >= PL_MIN_RATE_GRACE_MS &&
	    s->reader.have < PL_MIN_RATE_BYTES_PER_S * (e->now_ms - s->record_started_ms) / 1000) {
		pl_session_fault(e, s, "slower than 256 B/s within a record");
		return;
	}
	if (in_hello && e->now_ms - s->since_ms >= PL_HANDSHAKE_MS_MAX) {
		pl_session_fault(e, s, "no hello within 5 s");
		return;
	}
	if (!in_hello && e->conns[s->conn].outbound &&
	    (e->now_ms - s->started_ms >= PL_SESSION_MS_MAX || s->writer.bytes + s->reader.stream.bytes >= PL_SESSION_BYTES_MAX)) {
		const uint16_t peer = s->peer;
		pl_session_close(e, s, PL_BYE_RENEW, "time for a new handshake");
		e->peers[peer].dial_at_ms = e->now_ms;
		return;
	}
	if (e->now_ms >= s->ping_at_ms && !in_hello) {
		pl_put64(ping, e->now_ms);
		memcpy(ping + 8, pl_frontier_root(e), PL_ID_BYTES);
		(void)pl_control(s, PL_FRAME_PING, 0, 0, ping, sizeof ping);
		s->ping_at_ms = e->now_ms + PL_PING_MS;
	}
	if (s->ack_at_ms != 0 && e->now_ms >= s->ack_at_ms)
		pl_tell_flush(e, s);

	pl_timer(e, s->heard_ms + PL_HOLD_MS);
	if (s->sending)
		pl_timer(e, s->sending_since_ms + PL_HOLD_MS);
	if (s->record_started_ms != 0) {
		const uint64_t judged_ms = s->record_started_ms + PL_MIN_RATE_GRACE_MS;
		pl_timer(e, judged_ms > e->now_ms ? judged_ms : e->now_ms + 1000);
	}
	pl_timer(e, in_hello ? s->since_ms + PL_HANDSHAKE_MS_MAX : s->ping_at_ms);
	if (s->ack_at_ms != 0)
		pl_timer(e, s->ack_at_ms);
}

/* Whoever is due, as far as there are sessions for them. Who has failed is not due again at once, so that all have their turn. */
static void dial_due(struct pl_engine *e)
{
	uint32_t taken = 0;

	e->dials_wait = false;
	if (!e->started || e->draining || e->store_failed)
		return;
	e->dials_until_ms = 0;
	for (uint16_t node = 0; node < e->nodes; node++)
		taken += e->peers[node].dialling || e->peers[node].session != PL_NONE16;
	for (uint16_t node = 0; node < e->nodes; node++) {
		struct peer *peer = &e->peers[node];
		if (!peer->dialable || peer->dialling || peer->session != PL_NONE16 || node == e->self)
			continue;
		if (e->now_ms < peer->dial_at_ms) {
			if (peer->dial_at_ms > e->dials_until_ms)
				e->dials_until_ms = peer->dial_at_ms;
			pl_timer(e, peer->dial_at_ms);
		} else if (taken >= e->sessions_max) {
			e->dials_wait = true; /* until one ends, or a dial fails */
		} else {
			taken++;
			peer->dialling = true;
			peer->state_since_ms = e->now_ms;
			pl_effect_add(e, PL_FX_DIAL)->effect.dial.peer = node;
		}
	}
}

void pl_link_timers(struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->conns_max; i++) {
		struct conn *conn = &e->conns[i];
		if (conn->link == PL_LINK_NONE || conn->session != PL_NONE16)
			continue;
		if (e->now_ms - conn->since_ms >= PL_HANDSHAKE_MS_MAX)
			conn_drop(e, conn, "no answer within 5 s");
		else
			pl_timer(e, conn->since_ms + PL_HANDSHAKE_MS_MAX);
	}
	for (uint16_t i = 0; i < e->sessions_max; i++) {
		if (e->sessions[i].used)
			session_timers(e, &e->sessions[i]);
	}
	dial_due(e);
}
