/* Sessions: from the end of the handshake to the goodbye. */
#include <assert.h>
#include <string.h>

#include "proto/parts.h"

void pl_session_end(struct pl_engine *e, struct session *s)
{
	struct peer *peer = &e->peers[s->peer];
	const uint16_t index = (uint16_t)(s - e->sessions);

	if (s->state == PL_SESSION_LIVE || s->state == PL_SESSION_RECON)
		pl_note(e, PL_NOTE_LINK_LOST, e->conns[s->conn].link, s->peer, s->lost_why ? s->lost_why : "");
	peer->totals.bytes_in += s->reader->stream.bytes;
	peer->totals.bytes_out += s->writer.bytes;
	peer->heard_ms = s->heard_ms;
	peer->session = PL_NONE16;
	peer->state_since_ms = e->now_ms;
	pl_neighbour_ended(e, s);
	pl_noise_cipher_wipe(&s->reader->stream.cipher);
	pl_noise_cipher_wipe(&s->writer.cipher);
	pl_conn_forget(&e->conns[s->conn]);
	s->used = false;
	*s->chores = 0;
	peer->owes = pl_announced_more(e, s);
	pl_check_release(e, s);
	pl_sync_session_gone(e, index);
	if (peer->dialled)
		pl_back_off(e, peer);
	else if (e->dials_wait)
		pl_timer(e, e->now_ms);
	if (!pl_has_link(e))
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
	*s->chores |= CHORE_SEND;
	return true;
}

void pl_session_close(struct pl_engine *e, struct session *s, enum pl_bye_reason reason, const char *text)
{
	const uint32_t link = e->conns[s->conn].link;

	if (reason == PL_BYE_HOLD)
		s->lost_why = text;
	/* A record in flight cannot be overtaken; then the goodbye is left out. */
	if (!s->sending && reason != PL_BYE_HOLD) {
		const size_t text_bytes = strlen(text) < 64 ? strlen(text) : 64;
		uint8_t *record = pl_record_room(e), *plain = record + 2;
		size_t record_bytes;
		pl_frame_write_header(plain, PL_FRAME_BYE, 0, 0, (uint32_t)(1 + text_bytes));
		plain[PL_FRAME_HEADER_BYTES] = (uint8_t)reason;
		memcpy(plain + PL_FRAME_HEADER_BYTES + 1, text, text_bytes);
		if (pl_record_seal(&s->writer, record, PL_FRAME_HEADER_BYTES + 1 + text_bytes, &record_bytes) == PL_OK)
			pl_send_small(e, &e->conns[s->conn], record, record_bytes);
	}
	pl_effect_add(e, PL_FX_CLOSE)->effect.close.link = link;
	pl_session_end(e, s);
}

void pl_session_broken(struct pl_engine *e, struct session *s, const char *how)
{
	pl_note(e, PL_NOTE_LINK_BROKEN, e->conns[s->conn].link, s->peer, how);
	pl_session_close(e, s, PL_BYE_FAULT, how);
}

void pl_session_fault(struct pl_engine *e, struct session *s, const char *rule)
{
	pl_note(e, PL_NOTE_PEER_FAULT, e->conns[s->conn].link, s->peer, rule);
	pl_session_close(e, s, PL_BYE_FAULT, rule);
}

static void hello_send(struct pl_engine *e, struct session *s)
{
	struct pl_hello hello = { .version = PL_PROTOCOL_VERSION, .credit_bytes = PL_CREDIT_BYTES };
	uint8_t payload[PL_HELLO_BYTES_MAX], tags[PL_GROUPS_MAX][PL_TAG_BYTES], random[32];

	hello.charter_epoch = e->charter->epoch;
	memcpy(hello.charter_hash, e->network_id, PL_ID_BYTES);
	pl_frontier_snapshot(e, s);
	memcpy(hello.frontier_root, s->hello_root, PL_ID_BYTES);
	pl_random(e, random);
	memcpy(s->salt, random, PL_SALT_BYTES);
	memcpy(s->salt_in, random, PL_SALT_BYTES);
	memcpy(hello.salt, random, PL_SALT_BYTES);
	if (!e->config.whole_frontiers)
		hello.capabilities |= PL_CAP_TAGS;
	s->told_tags = !e->config.whole_frontiers && pl_tags_are_worth_it(e);
	if (s->told_tags) {
		hello.tags = tags[0];
		hello.tags_count = (uint16_t)pl_groups_filled((const uint8_t (*)[PL_ID_BYTES])s->hello_digests, e->groups_count);
		pl_tags_write(s, (const uint8_t (*)[PL_ID_BYTES])s->hello_digests, hello.tags_count, tags[0]);
	}
	if (!pl_control(s, PL_FRAME_HELLO, 0, 0, payload, (uint32_t)pl_hello_write(&hello, payload)))
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
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (!e->sessions[i].used)
			return &e->sessions[i];
	}
	return e->sessions_ever < e->sessions_max ? &e->sessions[e->sessions_ever++] : NULL;
}

/* The handshake is done: who is it, and may it stay? */
void pl_session_start(struct pl_engine *e, struct conn *conn)
{
	const uint16_t node = pl_charter_find_noise(e->charter, conn->handshake.noise.remote_static);

	if (node == PL_NODE_NONE || node == e->self) {
		pl_conn_drop(e, conn, "its key is not in the charter");
		return;
	}
	if (!certificate_is_valid(e, node)) {
		pl_conn_drop(e, conn, "its certificate is not valid now");
		return;
	}
	if (e->peers[node].courier_key && !conn->handshake.noise.has_psk) {
		pl_conn_drop(e, conn, "it did not use the courier key that we share");
		return;
	}
	conn->peer = node;
	if (e->peers[node].session != PL_NONE16) {
		if (!new_link_wins(e, &e->sessions[e->peers[node].session], conn->outbound)) {
			pl_conn_drop(e, conn, NULL);
			return;
		}
		pl_session_close(e, &e->sessions[e->peers[node].session], PL_BYE_DUPLICATE, "another link is kept");
	}
	if (!conn->outbound && !pl_inbound_may_stay(e, node)) {
		pl_conn_drop(e, conn, NULL); /* it is its turn later; nothing is wrong */
		return;
	}
	struct session *s = session_free(e);
	if (!s) {
		pl_conn_drop(e, conn, "all links are in use (links_max)");
		return;
	}
	pl_memory_session(e, s);
	s->used = true;
	s->conn = (uint16_t)(conn - e->conns);
	s->peer = node;
	s->state = PL_SESSION_HELLO;
	s->check = PL_NONE16;
	s->since_ms = s->started_ms = s->heard_ms = s->sending_since_ms = e->now_ms;
	s->sending = conn->sending; /* the last handshake message: HELLO waits for it */
	s->ping_at_ms = e->now_ms + PL_PING_MS;
	s->frontier_next = s->root_next = UINT32_MAX;
	if (pl_noise_split(&conn->handshake.noise, &s->writer.cipher, &s->reader->stream.cipher) != PL_OK)
		assert(!"the handshake is done");
	pl_noise_wipe(&conn->handshake.noise);
	pl_wipe(conn->ephemeral_secret, sizeof(conn->ephemeral_secret)); /* with it and what crossed the wire, the session could be read */
	conn->session = (uint16_t)(s - e->sessions);
	e->peers[node].session = conn->session;
	e->peers[node].dialling = false;
	e->peers[node].linked = true;
	e->peers[node].address_hash = conn->address_hash;
	e->counters.handshakes_ok++;
	pl_timer(e, e->now_ms + PL_PING_MS);
	hello_send(e, s);
}

void pl_session_go_live(struct pl_engine *e, struct session *s)
{
	s->state = PL_SESSION_LIVE;
	*s->chores |= CHORE_SEND;
	s->since_ms = e->now_ms;
	e->peers[s->peer].backoff_ms = 0;
	pl_neighbour_live(e, s);
	pl_note(e, PL_NOTE_LINK_LIVE, e->conns[s->conn].link, s->peer, "");
	s->ack_at_ms = e->now_ms ? e->now_ms : 1;
	pl_timer(e, e->now_ms);
	for (uint32_t index = 0; index < e->lanes_count; index++) {
		pl_todo_add(e, s, index);
		pl_lane_pump(e, index, 0);
		/* What has moved since it was told, be it while we waited for its HELLO, is still to be said. */
		if (e->lanes[index].durable_seq > s->floor[index] && s->dirty[index] == 0)
			s->dirty[index] = HEAD_UNTOLD;
		/* PROTOCOL: "On a link that has just gone LIVE a node chokes the lanes that two other links have brought it the last entry of: the tree
		 * stands already." */
		if (pl_is_brought(e, s, index))
			pl_choke(s, index);
	}
	pl_flash_offer(e, s);
	pl_repair_session_live(e);
}

static void roots_run(struct pl_engine *e, struct session *s)
{
	for (; s->root_next < e->lanes_count && e->effects_count < PL_EFFECTS_SLICE; s->root_next++) {
		const uint64_t seq = s->floor[s->root_next];
		if (s->differs[pl_group_of(s->root_next)])
			continue;
		if (s->peer_has[s->root_next] < seq)
			s->peer_has[s->root_next] = seq;
		pl_acked_up_to(e, s, s->root_next, seq);
	}
	if (s->root_next < e->lanes_count)
		return; /* more than a step has room for */
	s->root_next = UINT32_MAX;
	*s->chores &= (uint8_t)~CHORE_ROOT;
	if (!s->frontier_due)
		pl_session_go_live(e, s);
}

void pl_session_roots_run(struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		if (e->chores[i] & CHORE_ROOT)
			roots_run(e, &e->sessions[i]);
	}
}

void pl_session_timers(struct pl_engine *e, struct session *s)
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
	/* Here and below nobody is at fault: a line that is cut looks the same.
	 * PROTOCOL: "A peer that within a record delivers fewer than 256 B/s over more than 10 s is cut." */
	if (s->record_started_ms != 0 && e->now_ms - s->record_started_ms >= PL_MIN_RATE_GRACE_MS &&
	    s->reader->have < PL_MIN_RATE_BYTES_PER_S * (e->now_ms - s->record_started_ms) / 1000) {
		pl_session_close(e, s, PL_BYE_HOLD, "slower than 256 B/s within a record");
		return;
	}
	if (in_hello && e->now_ms - s->since_ms >= PL_HANDSHAKE_MS_MAX) {
		pl_note(e, PL_NOTE_HANDSHAKE_FAILED, e->conns[s->conn].link, s->peer, "no hello within 5 s");
		pl_session_close(e, s, PL_BYE_HOLD, "no hello within 5 s");
		return;
	}
	if (!in_hello && e->conns[s->conn].outbound &&
	    (e->now_ms - s->started_ms >= PL_SESSION_MS_MAX || s->writer.bytes + s->reader->stream.bytes >= PL_SESSION_BYTES_MAX)) {
		const uint16_t peer = s->peer;
		pl_session_close(e, s, PL_BYE_RENEW, "time for a new handshake");
		e->peers[peer].dial_at_ms = e->now_ms;
		return;
	}
	if (e->now_ms >= s->ping_at_ms && !in_hello) {
		pl_put64(ping, e->now_ms);
		memcpy(ping + 8, pl_frontier_root(e), PL_ID_BYTES);
		(void)pl_control(s, PL_FRAME_PING, 0, 0, ping, sizeof(ping));
		s->tags_due = true;
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
