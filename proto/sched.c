#include <assert.h>
#include <string.h>

#include "proto/parts.h"

/* PROTOCOL: "FLASH goes first. Of the other classes, lane 0, lane 1 and bulk share a link 8 : 4 : 1 by bytes, each when it has something." */
static const int64_t weight[PL_CLASSES] = { 0, 8, 4, 1 };
#define UNREADABLE UINT64_MAX /* a floor that no head reaches */
#define QUANTUM 1024 /* bytes of a turn per unit of weight */
#define TURN_BYTES (PL_LOAD_BYTES / 4) /* of what is pushed of an author in lanes 0 and 1, while others wait */

static bool out_empty(const struct out_queue *q)
{
	return q->at == q->count;
}

static uint32_t out_room(const struct out_queue *q)
{
	return q->max - (q->count - q->at);
}

/* Room at the end for so many bytes; moves what waits to the front where that helps. */
static uint8_t *out_reserve(struct out_queue *q, uint32_t bytes)
{
	if (out_room(q) < bytes)
		return NULL;
	if (q->max - q->count < bytes) {
		memmove(q->bytes, q->bytes + q->at, q->count - q->at);
		q->count -= q->at;
		q->at = 0;
	}
	return q->bytes + q->count;
}

static void out_item_header(uint8_t *p, uint32_t bytes, uint8_t flags, uint8_t lane)
{
	pl_put32(p, bytes);
	p[4] = flags;
	p[5] = lane;
	p[6] = p[7] = 0;
}

/* --- FLASH --- */

static void flash_give(struct session *s, const struct flash *flash)
{
	const uint32_t index = pl_lane_index(flash->node, 0);
	struct out_queue *q = &s->out[PL_CLASS_FLASH];

	if (s->peer == flash->node || s->peer_has[index] >= flash->seq || s->sent[index] >= flash->seq)
		return;
	uint8_t *p = out_reserve(q, PL_OUT_ITEM_BYTES + flash->wire_bytes);
	if (!p)
		return; /* it follows in class 1 after its commit */
	out_item_header(p, flash->wire_bytes, PL_FRAME_FLASH, 0);
	memcpy(p + PL_OUT_ITEM_BYTES, flash->wire, flash->wire_bytes);
	q->count += PL_OUT_ITEM_BYTES + flash->wire_bytes;
	*s->chores |= CHORE_SEND;
	/* Gapless: then this is all the peer needs. Otherwise class 1 brings what is before it, and this once more. */
	if ((s->sent[index] > s->peer_has[index] ? s->sent[index] : s->peer_has[index]) == flash->seq - 1)
		s->sent[index] = flash->seq;
}

void pl_flash_flood(struct pl_engine *e, struct flash *flash)
{
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		struct session *s = &e->sessions[i];
		if (s->used && s->state != PL_SESSION_HELLO && i != flash->from_session)
			flash_give(s, flash);
	}
}

void pl_flash_offer(struct pl_engine *e, struct session *s)
{
	for (int i = 0; i < PL_FLASH_POOL; i++) {
		if (e->flashes[i].used && e->flashes[i].relayed)
			flash_give(s, &e->flashes[i]);
	}
}

/* --- what a link could send next --- */

struct job {
	uint32_t index;
	uint64_t from, to;
	bool catchup;
};

void pl_todo_add(const struct pl_engine *e, struct session *s, uint32_t index)
{
	struct todo *todo = &s->todo[index % PL_LANES];

	if (s->queued[index])
		return;
	*s->chores |= CHORE_SEND;
	s->queued[index] = 1;
	todo->nodes[(todo->first + todo->count) % e->nodes] = (uint16_t)(index / PL_LANES);
	todo->count++;
}

/* The job that there is of a lane, if any. */
static bool job_of(struct pl_engine *e, struct session *s, uint32_t index, struct job *job)
{
	const uint64_t durable = e->lanes[index].durable_seq;

	if (s->want_to[index] > s->sent[index]) {
		*job = (struct job){ .index = index, .from = s->sent[index] + 1, .to = s->want_to[index], .catchup = true };
	} else {
		if (s->peer_has[index] > s->sent[index]) {
			s->sent[index] = s->peer_has[index];
			pl_tell_after_all(e, s, index);
		}
		/* A peer that is behind what it was told asks, of whom it likes; only from there on is it pushed. Nobody is pushed its own feed. */
		if (s->sent[index] < s->floor[index] || s->peer == index / PL_LANES || (s->choked[index] & CHOKED_BY_PEER))
			return false;
		*job = (struct job){ .index = index, .from = s->sent[index] + 1, .to = durable };
	}
	if (job->to > durable)
		job->to = durable;
	return s->sent[index] < durable && job->to >= job->from;
}

/* Takes the first of those that may have something, and puts it behind the others: each author in turn. */
static bool job_find(struct pl_engine *e, struct session *s, uint8_t lane, struct job *job)
{
	struct todo *todo = &s->todo[lane];

	while (todo->count > 0) {
		const uint16_t node = todo->nodes[todo->first];
		const uint32_t index = pl_lane_index(node, lane);
		todo->first = (uint16_t)((todo->first + 1) % e->nodes);
		todo->count--;
		s->queued[index] = 0;
		if (job_of(e, s, index, job)) {
			pl_todo_add(e, s, index);
			return true;
		}
	}
	return false;
}

static bool costs_credit(uint8_t flags, uint8_t lane)
{
	return lane == 2 || (flags & PL_FRAME_CATCHUP) != 0;
}

static void load(struct pl_engine *e, struct out_queue *q, uint32_t index, uint64_t from, uint64_t to, bool catchup, bool full,
                 uint32_t max_bytes)
{
	struct pl_effect *fx = &pl_effect_add(e, PL_FX_LOAD)->effect;

	q->load_token = pl_load_token(e);
	q->load_lane = index;
	q->load_from = from;
	q->load_catchup = catchup;
	q->load_full = full;
	fx->load.token = q->load_token;
	fx->load.node = (uint16_t)(index / PL_LANES);
	fx->load.lane = (uint8_t)(index % PL_LANES);
	fx->load.from = from;
	fx->load.to = to;
	fx->load.max_bytes = max_bytes;
}

/* Has the store read ahead, so that the link does not run dry. False: there was nothing to read, and it need not be looked into later. */
static bool refill(struct pl_engine *e, struct session *s)
{
	bool any = false;

	for (int class = PL_CLASS_LANE0; class < PL_CLASSES; class++) {
		struct out_queue *q = &s->out[class];
		struct asked full;
		struct job job;
		if (q->load_token != 0 || q->count - q->at > PL_LOAD_BYTES / 4)
			continue;
		if (e->now_ms < q->load_at_ms) {
			pl_timer(e, q->load_at_ms);
			any = true;
			continue;
		}
		if (pl_full_want_take(s, (uint8_t)(class - PL_CLASS_LANE0), &full)) {
			load(e, q, pl_lane_index(full.node, full.lane), full.seq, full.seq, false, true, PL_LOAD_BYTES);
		} else if (job_find(e, s, (uint8_t)(class - PL_CLASS_LANE0), &job)) {
			/* PROTOCOL: "What is pushed in lanes 0 and 1 has turns of 16 KiB while others wait, or of one entry." */
			const bool alone = job.catchup || class == PL_CLASS_LANE2 || s->todo[class - PL_CLASS_LANE0].count == 1;
			load(e, q, job.index, job.from, job.to, job.catchup, false, alone ? PL_LOAD_BYTES : TURN_BYTES);
		}
		any |= q->load_token != 0;
	}
	return any;
}

static void take_loaded(struct session *s, struct out_queue *q, const struct pl_stored_entry *entry)
{
	const uint8_t form = q->load_full ? PL_WIRE_FORM_FULL : PL_WIRE_FORM_NEXT;
	const uint32_t wire_bytes = PL_WIRE_PREFIX + entry->body_bytes;
	const uint8_t lane = pl_header_lane(entry->header), flags = q->load_catchup ? PL_FRAME_CATCHUP : 0;
	const uint64_t seq = pl_header_seq(entry->header);

	if (!q->load_full && seq != s->sent[q->load_lane] + 1)
		return; /* the peer has asked anew meanwhile, or has had it by another way */
	uint8_t *p = out_reserve(q, PL_OUT_ITEM_BYTES + wire_bytes);
	if (!p)
		return;
	out_item_header(p, wire_bytes, flags, lane);
	pl_wire_write((uint16_t)(q->load_lane / PL_LANES), form, entry->header, entry->body, entry->body_bytes, p + PL_OUT_ITEM_BYTES, wire_bytes);
	q->count += PL_OUT_ITEM_BYTES + wire_bytes;
	if (!q->load_full)
		s->sent[q->load_lane] = seq;
}

void pl_sched_loaded(struct pl_engine *e, const struct pl_event *event)
{
	const struct pl_stored_entry *entries = event->loaded.entries;
	const size_t count = event->loaded.count;

	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		struct session *s = &e->sessions[i];
		for (int class = PL_CLASS_LANE0; s->used && class < PL_CLASSES; class++) {
			struct out_queue *q = &s->out[class];
			if (q->load_token != event->loaded.token)
				continue;
			q->load_token = 0;
			*s->chores |= CHORE_SEND;
			if (event->loaded.lacked_memory) {
				/* Entries by their numbers stay to be sent; what was asked for in full is to be read again, if there is a place for it. */
				q->load_at_ms = e->now_ms + PL_LOAD_PAUSE_MS;
				if (q->load_full && s->full_wants_count < PL_FULL_WANTS_MAX)
					pl_full_wanted(s, (uint16_t)(q->load_lane / PL_LANES), (uint8_t)(q->load_lane % PL_LANES), q->load_from);
				return;
			}
			size_t usable = 0;
			while (usable < count && (entries[usable].body || entries[usable].body_bytes == 0))
				usable++;
			for (size_t k = 0; k < usable; k++)
				take_loaded(s, q, &entries[k]);
			/* What the store does not give now it will not give for being asked again: the peer has to look elsewhere. */
			if (usable == 0 && !q->load_full) {
				s->want_to[q->load_lane] = 0;
				s->floor[q->load_lane] = UNREADABLE;
			}
			return;
		}
	}
}

void pl_sched_readable(struct pl_engine *e, uint32_t index)
{
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		struct session *s = &e->sessions[i];
		if (!s->used || s->floor[index] != UNREADABLE)
			continue;
		s->floor[index] = 0; /* it was told of these, or asked for them: from where it broke off they are pushed */
		pl_todo_add(e, s, index);
	}
}

/* --- building a record --- */

/* Whether the first item of a queue may go now: credit is paid when its first byte leaves. */
static bool sendable(const struct session *s, int class)
{
	const struct out_queue *q = &s->out[class];

	if (out_empty(q))
		return false;
	if (q->item_at > 0 || !costs_credit(q->bytes[q->at + 4], q->bytes[q->at + 5]))
		return true;
	return s->credit >= pl_get32(q->bytes + q->at) + PL_IN_ITEM_BYTES;
}

static int next_class(struct session *s)
{
	bool may[PL_CLASSES];
	int64_t turns = 0;

	if (sendable(s, PL_CLASS_FLASH))
		return PL_CLASS_FLASH;
	for (int class = PL_CLASS_LANE0; class < PL_CLASSES; class++) {
		may[class] = sendable(s, class);
		if (may[class] && s->out[class].deficit > 0)
			return class;
	}
	/* All that have something have used their turn up: a new one. Whole turns, as many as the least in debt needs. */
	for (int class = PL_CLASS_LANE0; class < PL_CLASSES; class++) {
		if (!may[class]) {
			s->out[class].deficit = 0;
			continue;
		}
		const int64_t need = -s->out[class].deficit / (QUANTUM * weight[class]) + 1;
		if (turns == 0 || need < turns)
			turns = need;
	}
	for (int class = PL_CLASS_LANE0; turns > 0 && class < PL_CLASSES; class++) {
		if (may[class])
			s->out[class].deficit += turns * QUANTUM * weight[class];
	}
	for (int class = PL_CLASS_LANE0; turns > 0 && class < PL_CLASSES; class++) {
		if (may[class] && s->out[class].deficit > 0)
			return class;
	}
	return -1;
}

/* Moves the next piece of a class into the record; false if what is left of the record is too small to be worth it. */
static bool put_piece(struct pl_engine *e, struct session *s, int class, uint8_t *plain, size_t *used, size_t limit)
{
	struct out_queue *q = &s->out[class];
	const uint8_t *item = q->bytes + q->at;
	const uint32_t bytes = pl_get32(item);
	const uint8_t *wire = item + PL_OUT_ITEM_BYTES;
	const size_t room = limit - *used;
	uint8_t flags = item[4];
	const uint8_t lane = item[5];
	uint8_t *frame = plain + *used;
	size_t piece;

	if (q->item_at == 0 && room >= PL_FRAME_HEADER_BYTES + bytes) {
		pl_frame_write_header(frame, PL_FRAME_ENTRY, flags, lane, bytes);
		memcpy(frame + PL_FRAME_HEADER_BYTES, wire, bytes);
		*used += PL_FRAME_HEADER_BYTES + bytes;
		piece = bytes;
	} else {
		const size_t opening = q->item_at == 0 ? 4 : 0;
		const size_t left = bytes - q->item_at;
		if (room < PL_FRAME_HEADER_BYTES + opening + (left < 64 ? left : 64))
			return false;
		piece = room - PL_FRAME_HEADER_BYTES - opening;
		if (piece >= left) {
			piece = left;
			flags |= PL_FRAME_LAST;
		}
		if (opening) {
			flags |= PL_FRAME_FIRST;
			pl_put32(frame + PL_FRAME_HEADER_BYTES, bytes);
		}
		pl_frame_write_header(frame, PL_FRAME_FRAG, flags, lane, (uint32_t)(opening + piece));
		memcpy(frame + PL_FRAME_HEADER_BYTES + opening, wire + q->item_at, piece);
		*used += PL_FRAME_HEADER_BYTES + opening + piece;
	}
	if (q->item_at == 0 && costs_credit(flags, lane))
		s->credit -= bytes + PL_IN_ITEM_BYTES;
	q->item_at += (uint32_t)piece;
	q->deficit -= (int64_t)piece;
	if (q->item_at == bytes) {
		q->at += PL_OUT_ITEM_BYTES + bytes;
		q->item_at = 0;
		if (out_empty(q))
			q->at = q->count = 0;
		e->peers[s->peer].totals.entries_out++;
	}
	return true;
}

static void put_control(struct session *s, uint8_t *plain, size_t *used)
{
	uint32_t at = 0;

	while (at < s->control_count) {
		const uint32_t frame_bytes = PL_FRAME_HEADER_BYTES + pl_get32(s->control + at + 4);
		if (frame_bytes > PL_RECORD_PLAIN_BYTES_MAX - *used)
			break;
		memcpy(plain + *used, s->control + at, frame_bytes);
		*used += frame_bytes;
		at += frame_bytes;
	}
	if (at > 0) {
		memmove(s->control, s->control + at, s->control_count - at);
		s->control_count -= at;
	}
}

/* How much of a record entries may fill: the largest size that the link carries in 20 ms, so that a FLASH waits no longer than that behind others.
 * A size that records have, since the rest would be padding. */
static size_t record_limit(const struct session *s)
{
	size_t limit = PL_RECORD_PLAIN_BYTES_MAX;

	while (s->rate_bytes_per_s != 0 && s->rate_bytes_per_s / 50 < limit && pl_record_padded(limit / 4) < limit)
		limit = pl_record_padded(limit / 4);
	return limit;
}

/* What waits and may go now, as frames, up to limit; FLASH goes first and alone, so for it the record is as large as it may be. */
static size_t waiting_bytes(const struct session *s, size_t limit)
{
	size_t bytes = 0;

	if (sendable(s, PL_CLASS_FLASH))
		return limit;
	for (int class = PL_CLASS_LANE0; class < PL_CLASSES; class++) {
		const struct out_queue *q = &s->out[class];
		if (sendable(s, class))
			bytes += q->count - q->at - q->item_at; /* an item's header here is as long as a frame's */
	}
	return bytes < limit ? bytes : limit;
}

/* PROTOCOL: "Where more than a quarter of such a record would be padding, the next smaller one is filled first, of 1,024 bytes at least." */
static size_t fitting_limit(size_t limit, size_t bytes)
{
	while (limit > 1024 && bytes < limit - limit / 4)
		limit = pl_record_padded(limit / 4);
	return limit;
}

/* Control frames that wait for room until they can be said. */
static void fill_control(struct pl_engine *e, struct session *s)
{
	pl_fork_tell(e, s);
	pl_compare_run(e, s);
	pl_credit_give(s);
	pl_frontier_continue(e, s);
}

/* False: there was nothing that may go now. */
static bool session_send(struct pl_engine *e, struct session *s)
{
	uint8_t *record = pl_record_room(e), *plain = record + 2;
	size_t limit = record_limit(s), used = 0, record_bytes;

	fill_control(e, s);
	put_control(s, plain, &used);
	limit = fitting_limit(limit, used + waiting_bytes(s, limit));
	if (pl_record_padded(used) > limit)
		limit = pl_record_padded(used);
	while (s->state != PL_SESSION_HELLO && used + PL_FRAME_HEADER_BYTES < limit) {
		const int class = next_class(s);
		if (class < 0 || !put_piece(e, s, class, plain, &used, limit))
			break;
		/* PROTOCOL: "Behind a FLASH nothing goes into a record but what its padding would take." It is read when the record is whole. */
		if (class == PL_CLASS_FLASH && pl_record_padded(used) < limit)
			limit = pl_record_padded(used);
	}
	if (used == 0)
		return false;
	if (pl_record_seal(&s->writer, record, used, &record_bytes) != PL_OK) {
		pl_session_close(e, s, PL_BYE_HOLD, "");
		return true;
	}
	e->counters.records_out++;
	s->sending = true;
	s->sending_since_ms = e->now_ms;
	s->sending_bytes = (uint32_t)record_bytes;
	e->records_count += record_bytes;
	struct pl_effect *fx = &pl_effect_add(e, PL_FX_SEND)->effect;
	fx->send.link = e->conns[s->conn].link;
	fx->send.bytes = record;
	fx->send.count = record_bytes;
	return true;
}

void pl_sched_run(struct pl_engine *e)
{
	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		struct session *s = &e->sessions[i];
		bool any = false;
		if (!(e->chores[i] & CHORE_SEND) || !s->used)
			continue;
		if (s->state == PL_SESSION_LIVE)
			any |= refill(e, s);
		if (!s->sending)
			any |= session_send(e, s);
		if (!any)
			e->chores[i] &= (uint8_t)~CHORE_SEND;
	}
}
