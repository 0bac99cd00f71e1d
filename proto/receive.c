/* What a session hears: records, the frames in them, and what the simple ones do. */
#include <assert.h>
#include <string.h>

#include "proto/parts.h"

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
	/* PROTOCOL: "There are no more tags than groups in the charter." */
	if (hello.tags_count > e->groups_count) {
		pl_session_fault(e, s, "hello with more tags than the charter has groups");
		return;
	}
	s->speaks_heads = (hello.capabilities & PL_CAP_TAGS) != 0 && !e->config.whole_frontiers;
	if (s->speaks_heads)
		memcpy(s->salt_in, hello.salt, PL_SALT_BYTES);
	s->state = PL_SESSION_RECON;
	if (memcmp(hello.frontier_root, s->hello_root, PL_ID_BYTES) == 0) {
		/* PROTOCOL: "Equal roots: both hold the same, and nothing follows." */
		s->root_next = 0; /* live when all is noted: pl_session_roots_run() */
		*s->chores |= CHORE_ROOT;
		return;
	}
	s->frontier_due = true;
	if (!s->speaks_heads || !s->told_tags || hello.tags_count == 0) {
		pl_differs_all(e, s);
	} else if (pl_tags_compare(e, s, hello.tags, hello.tags_count, (const uint8_t (*)[PL_ID_BYTES])s->hello_digests)) {
		s->root_next = 0;
		*s->chores |= CHORE_ROOT;
	} else {
		/* PROTOCOL: "Roots that differ where all tags are equal end the link." */
		pl_session_fault(e, s, "hello with another root and the same tags");
		return;
	}
	pl_frontier_start(e, s);
}

static void ping_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	if (frame->payload_bytes != 8 + PL_ID_BYTES) {
		pl_session_fault(e, s, "ping malformed");
		return;
	}
	(void)pl_control(s, PL_FRAME_PONG, 0, 0, frame->payload, 8);
	if (s->state == PL_SESSION_LIVE && memcmp(pl_frontier_root(e), frame->payload + 8, PL_ID_BYTES) != 0)
		pl_root_differs(e, s);
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

/* A large entry on a thin link: it is coming. */
static void piece_came(struct pl_engine *e, struct session *s, const struct assembly *a, uint32_t bytes)
{
	const uint8_t *wire = a->bytes[a->turn];

	s->caught_ms = e->now_ms;
	if (a->have >= 24 && pl_get16(wire) < e->nodes && wire[3] < PL_LANES)
		pl_fetch_piece(e, s, pl_get16(wire), wire[3], pl_get64(wire + 16), bytes);
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
		piece_came(e, s, a, count);
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
		[PL_BYE_FAULT] = "it says that what it got from here breaks the protocol", [PL_BYE_CHARTER] = "it has another charter",
		[PL_BYE_STORE] = "its store takes nothing now", [PL_BYE_HOLD] = "it heard nothing", [PL_BYE_SPARE] = "it needs the link no more",
	};
	const uint8_t reason = frame->payload_bytes > 0 ? frame->payload[0] : 0;
	const char *text = reason < sizeof(reasons) / sizeof(*reasons) && reasons[reason] ? reasons[reason] : "it gave no known reason";

	if (reason == PL_BYE_FAULT || reason == PL_BYE_CHARTER)
		pl_note(e, reason == PL_BYE_FAULT ? PL_NOTE_LINK_BROKEN : PL_NOTE_PEER_FAULT, e->conns[s->conn].link, s->peer, text);
	pl_effect_add(e, PL_FX_CLOSE)->effect.close.link = e->conns[s->conn].link;
	pl_session_end(e, s);
}

/* PROTOCOL: "To nodes that do not both have it, TAGS and HEADS are of unknown type." */
static bool is_known(const struct session *s, uint8_t type)
{
	switch ((enum pl_frame_type)type) {
	case PL_FRAME_PAD:
	case PL_FRAME_HELLO:
	case PL_FRAME_FRONTIER:
	case PL_FRAME_HAVE:
	case PL_FRAME_ACK:
	case PL_FRAME_WANT:
	case PL_FRAME_CANCEL:
	case PL_FRAME_ENTRY:
	case PL_FRAME_FRAG:
	case PL_FRAME_CREDIT:
	case PL_FRAME_PING:
	case PL_FRAME_PONG:
	case PL_FRAME_BYE:
	case PL_FRAME_FORK:
	case PL_FRAME_CHOKE:
		return true;
	case PL_FRAME_TAGS:
	case PL_FRAME_HEADS:
		return s->speaks_heads;
	}
	return false;
}

/* PROTOCOL: "A flag that its type does not have, or a lane where it means nothing, ends the link." */
static bool frame_fits_type(const struct pl_frame *frame)
{
	uint8_t flags = PL_FRAME_OPTIONAL;
	const bool is_entry = frame->type == PL_FRAME_ENTRY || frame->type == PL_FRAME_FRAG;

	if (is_entry)
		flags |= PL_FRAME_FLASH | PL_FRAME_CATCHUP;
	if (frame->type == PL_FRAME_FRAG)
		flags |= PL_FRAME_FIRST;
	if (frame->type == PL_FRAME_FRAG || frame->type == PL_FRAME_FRONTIER || frame->type == PL_FRAME_HEADS)
		flags |= PL_FRAME_LAST;
	return (frame->flags & ~flags) == 0 && (is_entry || frame->lane == 0);
}

/* Its frontier may be complete now. */
static void recon_run(struct pl_engine *e, struct session *s)
{
	if (s->used && s->state == PL_SESSION_RECON && s->root_next == UINT32_MAX && !s->frontier_due)
		pl_session_go_live(e, s);
}

static void frame_receive(struct pl_engine *e, struct session *s, const struct pl_frame *frame)
{
	/* PROTOCOL: "Before HELLO nothing but BYE is allowed." */
	if (s->state == PL_SESSION_HELLO && frame->type != PL_FRAME_HELLO && frame->type != PL_FRAME_BYE) {
		pl_session_fault(e, s, "frame before hello");
		return;
	}
	if (!is_known(s, frame->type)) {
		/* PROTOCOL: "A frame of unknown type is ignored if it is flagged optional; otherwise the link ends." */
		if (!(frame->flags & PL_FRAME_OPTIONAL))
			pl_session_fault(e, s, "unknown frame");
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
		recon_run(e, s);
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
	case PL_FRAME_TAGS:
		pl_tags_receive(e, s, frame);
		return;
	case PL_FRAME_HEADS:
		pl_heads_receive(e, s, frame);
		recon_run(e, s);
		return;
	}
}

size_t pl_session_bytes(struct pl_engine *e, struct session *s, const uint8_t *bytes, size_t count)
{
	size_t consumed = 0, plain_bytes, at = 0;

	if (s->record_started_ms == 0)
		s->record_started_ms = e->now_ms;
	enum pl_err err = pl_record_read(s->reader, bytes, count, &consumed, e->plain, &plain_bytes);
	if (err != PL_OK) {
		pl_session_broken(e, s, err == PL_ERR_DECRYPT ? "record does not decrypt" : "record of a size that does not exist");
		return count;
	}
	s->heard_ms = e->now_ms;
	if (plain_bytes == 0) {
		pl_timer(e, s->record_started_ms + PL_MIN_RATE_GRACE_MS);
		return consumed;
	}
	s->record_started_ms = 0;
	*s->chores |= CHORE_SEND; /* credit, a WANT, what the peer has */
	e->counters.records_in++;
	for (int c = 0; c < PL_CLASSES; c++)
		s->assembly[c].done_in_record = 0;
	while (s->used && at < plain_bytes) {
		struct pl_frame frame;
		if (pl_frame_next(e->plain, plain_bytes, &at, &frame) != PL_OK) {
			pl_session_fault(e, s, "frame malformed");
			return consumed;
		}
		frame_receive(e, s, &frame);
	}
	return consumed;
}
