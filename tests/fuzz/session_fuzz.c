/* Two hostile members, each on a link to a node: their handshakes are right, and then the input says what they send and what happens to the node.
 * Whatever it is, the engine stands, keeps its promises, and a link that breaks a rule ends.
 *
 *   u8 setup: bit 0 the rest of the input is what one of them sends instead of a handshake, as it is
 *   then to the end: u8 operation (bits 0-3; bit 4: which member) and what follows:
 *     0 frame      u8 type, u8 flags, u8 lane, u16 count, payload
 *     1 entry      u8 author, u8 lane and kind, u8 flags of frame (bits 0-1) and entry (4-7), u8 seq, u8 gseq, u8 options, u16 count, body; see op_entry()
 *     2 flush      what has been collected goes out as one record
 *     3 time       u16 ms pass
 *     4 commit     the store makes everything durable, and answers what was asked of it
 *     5 fail       the store fails, and recovers
 *     6 submit     the node authors: u8 lane and flags, u16 count, body
 *     7 items      u8 type and flags, u8 n, n times: u8 node, u8 lane, u8 seq, u8 head: items of small numbers; with bit 6 of the type HEADS:
 *                  n times u8 group, three times u8 seq, u8 head
 *     8 link       u8: 0 the link breaks, 1 it is dialled again, 2 nothing is taken from the node any more, 3 it is; dialled again with bit 2: HELLO
 *                  has tags, of nothing; with bit 3: those of what the node holds, but for the first
 *     9 want       u8 node and flags, u8 lane, u8 from, u8 count
 *    10 loaded     u8 n (bits 0-6): the store answers the oldest question with at most n entries; bit 7: the next is damaged from now on
 *    11 full       u8 author and lane, u8 seq: the entry that was made for that place last, in full
 *    12 fork       u8 node: with the last two entries that were made
 *    13 bytes      u16 count, bytes: they stand in the stream where a record should
 *    14 again      u8 author and lane, u8 seq, u8 frame flags: the entry that was made for that place last
 *    15 credit     u16 bytes x 16
 */
#include "tests/fuzz/arena.h"
#include "tests/fuzz/session_check.h"

#define WALL_MS 1790000000000ULL
#define SEQS 700 /* inputs are short: no lane becomes longer */
#define LOADS_MAX 64
#define CHECKS_MAX 64
#define PARTIES 2
#define GROUPS 3 /* one for each lane */
enum { VICTIM, MEMBER, OTHER, NODES }; /* OTHER knows no tags */

struct kept {
	uint8_t header[PL_ENTRY_HEADER_BYTES], id[PL_ID_BYTES], *body;
	uint32_t body_bytes;
};

struct made {
	bool is;
	uint8_t header[PL_ENTRY_HEADER_BYTES], id[PL_ID_BYTES];
	const uint8_t *body; /* in the input */
	uint32_t body_bytes;
};

struct pending_load {
	uint32_t token;
	uint16_t node;
	uint8_t lane;
	uint64_t from, to;
};

struct pending_check {
	uint32_t token, good;
};

/* A member and its link. */
struct party {
	uint16_t as;
	uint32_t link;
	bool open, live, holds; /* holds: PL_EV_SENT does not come */
	int unsent;             /* PL_FX_SENDs that wait for it */
	struct pl_handshake handshake;
	struct pl_record_stream writer;
	struct pl_record_reader reader;
	uint8_t record[PL_RECORD_WIRE_BYTES_MAX];
	size_t collected;
	uint64_t credit;          /* what the node may still send us */
	uint64_t spent, given;    /* what we have sent of bulk, what it gave back */
	uint64_t collected_spent; /* of what is not flushed */
	uint64_t collected_credit[8];
	int collected_credits;
	bool heard_hello;
	uint8_t salt[PL_SALT_BYTES]; /* the node's */
	struct {
		uint8_t *bytes, flags;
		uint32_t have, total;
	} pieces[PL_CLASSES];
};

/* Everything that an input changes, besides the engine's memory. */
struct scene {
	struct pl_engine *engine;
	uint64_t flash_void[NODES]; /* lane 0: up to there something was accepted, and perhaps void when the store failed */
	uint64_t now_ms, draws;
	uint8_t damaged[NODES][PL_LANES][SEQS + 1]; /* 1 damaged, 2 repaired, but that is not durable */
	uint64_t accepted[NODES][PL_LANES], durable[NODES][PL_LANES], acked[NODES][NODES][PL_LANES], vouched[NODES];
	bool proven[NODES];
	struct pending_load loads[LOADS_MAX];
	size_t loads_count;
	struct pending_check checks[CHECKS_MAX];
	size_t checks_count;
	struct party parties[PARTIES];
	uint32_t links;
	struct made *last[2];
};

static struct scene scene;
static struct kept entries[NODES][PL_LANES][SEQS];
static struct made made[NODES][PL_LANES][256];
static struct pl_charter charter;
static uint8_t sign_secrets[NODES][PL_SIGN_SECRET_BYTES], noise_secrets[NODES][32];

/* --- the engine's memory --- */

static struct pl_fuzz_arena arena;

struct snapshot {
	struct scene scene;
	struct pl_fuzz_saved memory;
};
static struct snapshot begun, live;

static void snapshot_take(struct snapshot *s)
{
	*s = (struct snapshot){ scene, pl_fuzz_arena_save(&arena) };
}

static void snapshot_put_back(const struct snapshot *s)
{
	scene = s->scene;
	pl_fuzz_arena_put_back(&arena, &s->memory);
}

/* --- what the engine gives out --- */

static void keep(const struct pl_effect *fx)
{
	const uint16_t node = fx->store.node;
	const uint8_t lane = fx->store.lane;
	uint64_t *accepted = &scene.accepted[node][lane];
	struct pl_header header;
	uint8_t hash[PL_ID_BYTES], id[PL_ID_BYTES];

	PL_FUZZ_CHECK(fx->store.seq == *accepted + 1 && *accepted < SEQS);
	PL_FUZZ_CHECK(!scene.proven[node]);
	struct kept *kept = &entries[node][lane][(*accepted)++];
	memcpy(kept->header, fx->store.header, PL_ENTRY_HEADER_BYTES);
	memcpy(kept->id, fx->store.id, PL_ID_BYTES);
	kept->body_bytes = fx->store.body_bytes;
	kept->body = pl_fuzz_copy(fx->store.body, fx->store.body_bytes);
	/* What is stored checks out, whoever sent it. */
	PL_FUZZ_CHECK(pl_header_decode(kept->header, &header) == PL_OK);
	PL_FUZZ_CHECK(header.seq == fx->store.seq && header.gseq == fx->store.gseq && header.lane == lane && header.generation == 1 &&
	              header.body_bytes == kept->body_bytes && header.charter_epoch == 0);
	PL_FUZZ_CHECK(memcmp(header.author, charter.nodes[node].certificate.node_id, PL_NODE_ID_BYTES) == 0);
	pl_body_hash(kept->body, kept->body_bytes, hash);
	PL_FUZZ_CHECK(memcmp(hash, header.body_hash, PL_ID_BYTES) == 0);
	pl_entry_id(charter.network_id, kept->header, id);
	PL_FUZZ_CHECK(memcmp(id, kept->id, PL_ID_BYTES) == 0);
	PL_FUZZ_CHECK(header.seq == 1 || (memcmp(header.prev, kept[-1].id, PL_ID_BYTES) == 0 && header.gseq > pl_get64(kept[-1].header + 24)));
	if (lane < 2)
		PL_FUZZ_CHECK(pl_entry_verify(charter.network_id, kept->header) == PL_OK);
}

/* A run of bulk may be vouched for by its last entry; at the end of a step that entry has come. */
static void check_vouched(void)
{
	for (uint16_t node = 0; node < NODES; node++) {
		const uint64_t accepted = scene.accepted[node][2];
		if (accepted > scene.vouched[node])
			PL_FUZZ_CHECK(pl_entry_verify(charter.network_id, entries[node][2][accepted - 1].header) == PL_OK);
		scene.vouched[node] = accepted;
	}
}

static void hear_entry(struct party *p, const uint8_t *bytes, uint32_t count, uint8_t flags, uint8_t lane)
{
	struct pl_wire wire;
	uint8_t expected[PL_WIRE_PREFIX];

	PL_FUZZ_CHECK(pl_wire_read(bytes, count, &wire) == PL_OK && wire.node < NODES && wire.header.lane == lane);
	const uint64_t seq = wire.header.seq;
	if (seq > scene.accepted[wire.node][lane] && (flags & PL_FRAME_FLASH) && seq <= scene.flash_void[wire.node]) {
		struct candidate c; /* it was on its way when the store failed, and goes on; nothing of it is kept to compare with */
		pl_candidate(scene.engine, &wire, &c);
		PL_FUZZ_CHECK(pl_entry_verify(charter.network_id, c.entry_header) == PL_OK);
		return;
	}
	/* It is one that is held, byte for byte; durable, but for a FLASH on its way; and nobody is pushed its own feed. */
	PL_FUZZ_CHECK(seq <= scene.accepted[wire.node][lane]);
	PL_FUZZ_CHECK(seq <= scene.durable[wire.node][lane] || ((flags & PL_FRAME_FLASH) && wire.node != VICTIM));
	PL_FUZZ_CHECK(wire.node != p->as || (flags & PL_FRAME_CATCHUP) || wire.form == PL_WIRE_FORM_FULL);
	const struct kept *kept = &entries[wire.node][lane][seq - 1];
	pl_wire_write(wire.node, wire.form, kept->header, NULL, 0, expected, sizeof(expected));
	PL_FUZZ_CHECK(memcmp(bytes, expected, sizeof(expected)) == 0 && wire.body_bytes == kept->body_bytes);
	PL_FUZZ_CHECK(wire.body_bytes == 0 || memcmp(wire.body, kept->body, kept->body_bytes) == 0);
}

static void pay(struct party *p, uint32_t bytes, uint8_t flags, uint8_t lane)
{
	if (lane != 2 && !(flags & PL_FRAME_CATCHUP))
		return;
	PL_FUZZ_CHECK(p->credit >= bytes + 16);
	p->credit -= bytes + 16;
}

static void hear_piece(struct party *p, const struct pl_frame *frame)
{
	const int class = frame->flags & PL_FRAME_FLASH ? PL_CLASS_FLASH : PL_CLASS_LANE0 + frame->lane;
	const uint8_t *bytes = frame->payload;
	uint32_t count = frame->payload_bytes;

	if (frame->flags & PL_FRAME_FIRST) {
		PL_FUZZ_CHECK(p->pieces[class].have == p->pieces[class].total && count >= 4);
		p->pieces[class].total = pl_get32(bytes);
		p->pieces[class].have = 0;
		PL_FUZZ_CHECK(p->pieces[class].total <= PL_WIRE_BYTES_MAX);
		free(p->pieces[class].bytes);
		p->pieces[class].bytes = pl_fuzz_room(p->pieces[class].total);
		pay(p, p->pieces[class].total, frame->flags, frame->lane);
		bytes += 4;
		count -= 4;
	}
	PL_FUZZ_CHECK(count > 0 && count <= p->pieces[class].total - p->pieces[class].have);
	memcpy(p->pieces[class].bytes + p->pieces[class].have, bytes, count);
	p->pieces[class].have += count;
	PL_FUZZ_CHECK(((frame->flags & PL_FRAME_LAST) != 0) == (p->pieces[class].have == p->pieces[class].total));
	if (frame->flags & PL_FRAME_LAST)
		hear_entry(p, p->pieces[class].bytes, p->pieces[class].total, frame->flags, frame->lane);
}

/* Nothing is named that is not durable, and it is named as what it is. */
static void hear_heads(const struct party *p, const struct pl_frame *frame)
{
	for (size_t at = 0; at < frame->payload_bytes;) {
		const uint8_t group = frame->payload[at++];
		PL_FUZZ_CHECK(group < GROUPS);
		for (uint32_t n = 0; n < NODES; n++) {
			const uint32_t index = lane_of(NODES, group, n);
			const uint8_t *tag;
			uint8_t expected[PL_TAG_BYTES];
			uint64_t seq;
			PL_FUZZ_CHECK(pl_lane_head_read(frame->payload, frame->payload_bytes, &at, &seq, &tag) == PL_OK);
			PL_FUZZ_CHECK(seq <= scene.durable[index / PL_LANES][index % PL_LANES]);
			if (seq == 0)
				continue;
			tag_of(p->salt, entries[index / PL_LANES][index % PL_LANES][seq - 1].id, expected);
			PL_FUZZ_CHECK(memcmp(tag, expected, PL_TAG_BYTES) == 0);
		}
	}
}

static void hear_frame(struct party *p, const struct pl_frame *frame)
{
	struct pl_hello hello;
	struct pl_want want;

	PL_FUZZ_CHECK(p->heard_hello == (frame->type != PL_FRAME_HELLO) || frame->type == PL_FRAME_BYE);
	switch ((enum pl_frame_type)frame->type) {
	case PL_FRAME_PAD:
		return;
	case PL_FRAME_HELLO:
		PL_FUZZ_CHECK(pl_hello_read(frame->payload, frame->payload_bytes, &hello) == PL_OK && hello.credit_bytes == PL_CREDIT_BYTES);
		PL_FUZZ_CHECK(hello.capabilities == PL_CAP_TAGS && hello.tags_count <= GROUPS);
		memcpy(p->salt, hello.salt, PL_SALT_BYTES);
		p->heard_hello = true;
		return;
	case PL_FRAME_FRONTIER:
	case PL_FRAME_HAVE:
	case PL_FRAME_ACK:
		PL_FUZZ_CHECK(frame->payload_bytes % PL_ITEM_BYTES == 0);
		for (uint32_t i = 0; i < frame->payload_bytes; i += PL_ITEM_BYTES) {
			struct pl_item item;
			PL_FUZZ_CHECK(pl_item_read(frame->payload + i, &item) == PL_OK && item.node < NODES && item.generation == 1);
			/* nothing is named that is not durable, and it is named as what it is */
			PL_FUZZ_CHECK(item.seq <= scene.durable[item.node][item.lane]);
			PL_FUZZ_CHECK(memcmp(item.head_id, entries[item.node][item.lane][item.seq - 1].id, PL_ID_BYTES) == 0);
		}
		return;
	case PL_FRAME_WANT:
		PL_FUZZ_CHECK(frame->payload_bytes == PL_WANT_BYTES && pl_want_read(frame->payload, &want) == PL_OK && want.node < NODES);
		PL_FUZZ_CHECK((want.flags & PL_WANT_FULL) || want.from == scene.accepted[want.node][want.lane] + 1 ||
		              want.from <= scene.accepted[want.node][want.lane]);
		return;
	case PL_FRAME_CANCEL:
	case PL_FRAME_CHOKE:
		PL_FUZZ_CHECK(frame->payload_bytes == 4 && pl_get16(frame->payload) < NODES && frame->payload[2] < PL_LANES);
		return;
	case PL_FRAME_ENTRY:
		pay(p, frame->payload_bytes, frame->flags, frame->lane);
		hear_entry(p, frame->payload, frame->payload_bytes, frame->flags, frame->lane);
		return;
	case PL_FRAME_FRAG:
		hear_piece(p, frame);
		return;
	case PL_FRAME_CREDIT:
		PL_FUZZ_CHECK(frame->payload_bytes == 4);
		p->given += pl_get32(frame->payload);
		PL_FUZZ_CHECK(p->given <= p->spent);
		return;
	case PL_FRAME_PING:
		PL_FUZZ_CHECK(frame->payload_bytes == 40);
		return;
	case PL_FRAME_PONG:
		PL_FUZZ_CHECK(frame->payload_bytes == 8);
		return;
	case PL_FRAME_BYE:
		PL_FUZZ_CHECK(frame->payload_bytes >= 1 && frame->payload_bytes <= 65);
		return;
	case PL_FRAME_FORK:
		PL_FUZZ_CHECK(frame->payload_bytes == 2 + 2 * PL_ENTRY_HEADER_BYTES);
		check_fork(&charter, VICTIM, pl_get16(frame->payload), frame->payload + 2, frame->payload + 2 + PL_ENTRY_HEADER_BYTES);
		return;
	case PL_FRAME_TAGS:
		PL_FUZZ_CHECK(p->as != OTHER && frame->payload_bytes % PL_TAG_BYTES == 0 && frame->payload_bytes <= GROUPS * PL_TAG_BYTES);
		return;
	case PL_FRAME_HEADS:
		PL_FUZZ_CHECK(p->as != OTHER);
		hear_heads(p, frame);
		return;
	}
	PL_FUZZ_CHECK(!"a frame of the engine has a type");
}

static void hear(struct party *p, const uint8_t *bytes, size_t count)
{
	while (count > 0) {
		static uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX];
		size_t consumed, plain_bytes, at = 0;
		PL_FUZZ_CHECK(pl_record_read(&p->reader, bytes, count, &consumed, plain, &plain_bytes) == PL_OK);
		bytes += consumed;
		count -= consumed;
		while (at < plain_bytes) {
			struct pl_frame frame;
			PL_FUZZ_CHECK(pl_frame_next(plain, plain_bytes, &at, &frame) == PL_OK);
			hear_frame(p, &frame);
		}
	}
}

static struct party *party_of(uint32_t link)
{
	for (int i = 0; i < PARTIES; i++) {
		if (scene.parties[i].link == link)
			return &scene.parties[i];
	}
	return NULL;
}

static struct pl_handshake_keys keys_of(const struct party *p)
{
	return (struct pl_handshake_keys){ .network_id = charter.network_id, .static_secret = noise_secrets[p->as],
		                           .remote_static = charter.nodes[VICTIM].certificate.noise_public };
}

static void ephemeral_of(const struct party *p, uint8_t out[32])
{
	memset(out, 99, 32);
	pl_put32(out + 8, p->link);
}

static void sent_to(struct party *p, const uint8_t *bytes, size_t count)
{
	PL_FUZZ_CHECK(p->open && count > 0);
	if (p->live) {
		PL_FUZZ_CHECK(p->unsent == 0); /* one write at a time */
		p->unsent++;
		hear(p, bytes, count);
		return;
	}
	/* the second handshake message; the third is what is collected then */
	const struct pl_handshake_keys keys = keys_of(p);
	uint8_t ephemeral[32], out[PL_HANDSHAKE_BYTES_MAX];
	size_t consumed, out_bytes;
	bool complete;
	ephemeral_of(p, ephemeral);
	PL_FUZZ_CHECK(pl_handshake_feed(&p->handshake, &keys, ephemeral, WALL_MS + scene.now_ms, bytes, count, &consumed, &complete, out,
	                                &out_bytes) == PL_OK &&
	              complete);
	memcpy(p->record, out, out_bytes);
	p->collected = out_bytes;
}

/* Only what is damaged is replaced, and by what stood there. */
static void check_repair(const struct pl_effect *fx)
{
	const struct kept *kept = &entries[fx->store.node][fx->store.lane][fx->store.seq - 1];
	uint8_t *damaged = &scene.damaged[fx->store.node][fx->store.lane][fx->store.seq];

	PL_FUZZ_CHECK(fx->store.seq >= 1 && fx->store.seq <= scene.durable[fx->store.node][fx->store.lane] && *damaged != 0);
	PL_FUZZ_CHECK(memcmp(kept->header, fx->store.header, PL_ENTRY_HEADER_BYTES) == 0 && memcmp(kept->id, fx->store.id, PL_ID_BYTES) == 0);
	PL_FUZZ_CHECK(kept->body_bytes == fx->store.body_bytes && (kept->body_bytes == 0 || memcmp(kept->body, fx->store.body, kept->body_bytes) == 0));
	*damaged = 2;
}

static void carry_out(void)
{
	struct pl_effect fx;
	int count = 0;

	while (pl_engine_next_effect(scene.engine, &fx)) {
		struct party *p;
		PL_FUZZ_CHECK(++count <= PL_EFFECTS_MAX);
		switch (fx.type) {
		case PL_FX_STORE:
			keep(&fx);
			break;
		case PL_FX_SEND:
			p = party_of(fx.send.link);
			PL_FUZZ_CHECK(p != NULL);
			sent_to(p, fx.send.bytes, fx.send.count);
			break;
		case PL_FX_CLOSE:
			p = party_of(fx.close.link);
			PL_FUZZ_CHECK(p != NULL && p->open);
			p->open = false;
			break;
		case PL_FX_LOAD:
			PL_FUZZ_CHECK(scene.loads_count < LOADS_MAX);
			PL_FUZZ_CHECK(fx.load.token != 0 && fx.load.from >= 1 && fx.load.from <= fx.load.to && fx.load.max_bytes > 0);
			PL_FUZZ_CHECK(fx.load.to <= scene.durable[fx.load.node][fx.load.lane] || fx.load.from == fx.load.to);
			scene.loads[scene.loads_count++] = (struct pending_load){ fx.load.token, fx.load.node, fx.load.lane, fx.load.from, fx.load.to };
			break;
		case PL_FX_VERIFY:
			PL_FUZZ_CHECK(scene.checks_count < CHECKS_MAX && fx.verify.count >= 1 && fx.verify.count <= 32);
			scene.checks[scene.checks_count++] = (struct pending_check){
				fx.verify.token, pl_entries_verify(charter.network_id, fx.verify.headers, fx.verify.count)
			};
			break;
		case PL_FX_ACKED:
			PL_FUZZ_CHECK(fx.acked.seq <= scene.accepted[fx.acked.node][fx.acked.lane]);
			PL_FUZZ_CHECK(fx.acked.seq > scene.acked[fx.acked.peer][fx.acked.node][fx.acked.lane]);
			scene.acked[fx.acked.peer][fx.acked.node][fx.acked.lane] = fx.acked.seq;
			break;
		case PL_FX_REPAIR:
			check_repair(&fx);
			break;
		case PL_FX_FORK:
			PL_FUZZ_CHECK(!scene.proven[fx.fork.node]);
			scene.proven[fx.fork.node] = true;
			check_fork(&charter, VICTIM, fx.fork.node, fx.fork.header_a, fx.fork.header_b);
			break;
		case PL_FX_NOTE:
			PL_FUZZ_CHECK(fx.note.code != PL_NOTE_SELF_BEHIND); /* nobody else can sign as the node */
			break;
		case PL_FX_DIAL: case PL_FX_ANCHORS:
			PL_FUZZ_CHECK(!"nobody is dialable");
			break;
		}
	}
	check_vouched();
	for (uint16_t node = 0; node < NODES; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			struct pl_lane_info info;
			pl_engine_lane(scene.engine, node, lane, &info);
			PL_FUZZ_CHECK(info.have_seq == scene.accepted[node][lane] && info.durable_seq == scene.durable[node][lane]);
			PL_FUZZ_CHECK(info.frozen == scene.proven[node]);
		}
	}
}

static enum pl_err step(struct pl_event *event)
{
	event->now_ms = scene.now_ms;
	event->wall_ms = WALL_MS + scene.now_ms;
	pl_put64(event->seed, ++scene.draws);
	enum pl_err err = pl_engine_step(scene.engine, event);
	carry_out();
	return err;
}

/* What is due at once: writes that are done, ticks. It comes to an end. */
static void settle(void)
{
	bool any = true;

	for (int i = 0; any; i++) {
		PL_FUZZ_CHECK(i < 5000);
		any = false;
		for (int k = 0; k < PARTIES; k++) {
			struct party *p = &scene.parties[k];
			struct pl_event event = { .type = PL_EV_SENT, .sent = { p->link } };
			if (p->unsent == 0 || p->holds)
				continue;
			p->unsent = 0;
			PL_FUZZ_CHECK(step(&event) == PL_OK);
			any = true;
		}
		if (scene.checks_count > 0) {
			const struct pending_check check = scene.checks[--scene.checks_count];
			struct pl_event event = { .type = PL_EV_VERIFIED, .verified = { check.token, check.good } };
			PL_FUZZ_CHECK(step(&event) == PL_OK);
			any = true;
		}
		if (pl_engine_deadline_ms(scene.engine) <= scene.now_ms) {
			struct pl_event event = { .type = PL_EV_TICK };
			PL_FUZZ_CHECK(step(&event) == PL_OK);
			any = true;
		}
	}
}

/* --- what the members do --- */

static void send_bytes(struct party *p, const uint8_t *bytes, size_t count)
{
	while (p->open && count > 0) {
		struct pl_event event = { .type = PL_EV_BYTES };
		/* of its own size: the engine may look at nothing behind it */
		uint8_t *copy = pl_fuzz_copy(bytes, count);
		event.bytes.link = p->link;
		event.bytes.bytes = copy;
		event.bytes.count = count;
		PL_FUZZ_CHECK(step(&event) == PL_OK);
		free(copy);
		PL_FUZZ_CHECK(event.bytes.consumed > 0 && event.bytes.consumed <= count);
		bytes += event.bytes.consumed;
		count -= event.bytes.consumed;
	}
	settle();
}

static void flush(struct party *p)
{
	size_t record_bytes;

	if (!p->open || !p->live || p->collected == 0)
		return;
	PL_FUZZ_CHECK(pl_record_seal(&p->writer, p->record, p->collected, &record_bytes) == PL_OK);
	p->collected = 0;
	p->spent += p->collected_spent;
	p->collected_spent = 0;
	for (int i = 0; i < p->collected_credits; i++)
		p->credit = p->credit + p->collected_credit[i] < PL_CREDIT_BYTES ? p->credit + p->collected_credit[i] : PL_CREDIT_BYTES;
	p->collected_credits = 0;
	send_bytes(p, p->record, record_bytes);
}

static void frame(struct party *p, uint8_t type, uint8_t flags, uint8_t lane, const uint8_t *payload, size_t count)
{
	if (count > PL_FRAME_PAYLOAD_BYTES_MAX)
		count = PL_FRAME_PAYLOAD_BYTES_MAX;
	if (p->collected + PL_FRAME_HEADER_BYTES + count > PL_RECORD_PLAIN_BYTES_MAX)
		flush(p);
	if (!p->open || !p->live)
		return;
	/* what this makes us owe or gives the other, if it is taken as what it says that it is */
	if (type == PL_FRAME_CREDIT && count == 4) {
		if (p->collected_credits == 8)
			flush(p);
		if (!p->open)
			return;
		p->collected_credit[p->collected_credits++] = pl_get32(payload);
	}
	if (type == PL_FRAME_ENTRY)
		p->collected_spent += count + 16;
	if (type == PL_FRAME_FRAG && (flags & PL_FRAME_FIRST) && count >= 4)
		p->collected_spent += (uint64_t)pl_get32(payload) + 16;
	uint8_t *at = p->record + 2 + p->collected;
	pl_frame_write_header(at, type, flags, lane, (uint32_t)count);
	if (count > 0)
		memcpy(at + PL_FRAME_HEADER_BYTES, payload, count);
	p->collected += PL_FRAME_HEADER_BYTES + count;
}

static void send_made(struct party *p, uint16_t author, const struct made *m, uint8_t form, uint8_t flags)
{
	static uint8_t wire[PL_WIRE_PREFIX + 65536];

	if (!m->is)
		return;
	const size_t bytes = pl_wire_write(author, form, m->header, m->body, m->body_bytes, wire, sizeof(wire));
	frame(p, PL_FRAME_ENTRY, flags, m->header[1], wire, bytes);
}

/* options: 1 prev is none that there is; 2 the signature is none; 4 form full; 8 seq and gseq are the next, whatever is said; 16 the heads of the
 * other lanes are said; 32 another generation; 64 another charter epoch; 128 a time ahead. seq and gseq are what they are otherwise. */
static void op_entry(struct party *p, struct pl_fuzz_input *in)
{
	const uint16_t author = pl_fuzz_u8(in) % NODES;
	const uint8_t lane_kind = pl_fuzz_u8(in), flags = pl_fuzz_u8(in), lane = lane_kind % PL_LANES;
	uint64_t seq = pl_fuzz_u8(in), gseq = pl_fuzz_u8(in);
	const uint8_t options = pl_fuzz_u8(in);
	size_t count;
	const uint8_t *body = pl_fuzz_run(in, &count);
	static const uint8_t kinds[PL_LANES][4] = { { 2, 1, 2, 3 }, { 2, 3, 4, 1 }, { 5, 6, 5, 2 } };

	if (options & 8) {
		seq = gseq = 0;
		for (uint8_t l = 0; l < PL_LANES; l++) {
			for (uint64_t i = 1; i < 256; i++) {
				if (!made[author][l][i].is)
					continue;
				if (l == lane && i > seq)
					seq = i;
				if (pl_get64(made[author][l][i].header + 24) > gseq)
					gseq = pl_get64(made[author][l][i].header + 24);
			}
		}
		seq++;
		gseq++;
		if (seq > 255)
			return;
	}
	struct pl_header header = { .lane = lane, .kind = kinds[lane][lane_kind / PL_LANES % 4], .flags = flags >> 4, .seq = seq, .gseq = gseq,
	                            .generation = options & 32 ? 2 : 1, .charter_epoch = options & 64 ? 1 : 0, .body_bytes = (uint32_t)count,
	                            .time_ms = WALL_MS + (options & 128 ? 10000000 : 0) };
	if (options & 16) {
		for (int i = 0; i < 2; i++) {
			const uint8_t l = (uint8_t)((lane + 1 + i) % PL_LANES);
			header.others[i].seq = scene.accepted[author][l];
			if (header.others[i].seq > 0)
				memcpy(header.others[i].id8, entries[author][l][header.others[i].seq - 1].id, PL_HEAD8_BYTES);
		}
	}
	memcpy(header.author, charter.nodes[author].certificate.node_id, PL_NODE_ID_BYTES);
	if (seq > 1 && made[author][lane][seq - 1].is && !(options & 1))
		memcpy(header.prev, made[author][lane][seq - 1].id, PL_ID_BYTES);
	else if (seq > 1)
		header.prev[0] = 1;
	pl_body_hash(body, count, header.body_hash);
	struct made *m = &made[author][lane][seq];
	*m = (struct made){ .is = true, .body = body, .body_bytes = (uint32_t)count };
	pl_header_encode(&header, m->header);
	/* the node's own key nobody has */
	pl_entry_sign(charter.network_id, sign_secrets[author == VICTIM ? MEMBER : author], m->header);
	if (options & 2)
		m->header[PL_HEADER_BYTES + 5] ^= 1;
	pl_entry_id(charter.network_id, m->header, m->id);
	scene.last[1] = scene.last[0];
	scene.last[0] = m;
	send_made(p, author, m, options >> 2 & 1, (uint8_t)((flags & 1 ? PL_FRAME_FLASH : 0) | (flags & 2 ? PL_FRAME_CATCHUP : 0)));
}

static void find_damaged(const struct pending_load *load, uint64_t seq)
{
	struct pl_event event = { .type = PL_EV_DAMAGED };

	event.damaged.node = load->node;
	event.damaged.lane = load->lane;
	event.damaged.seq = seq;
	memcpy(event.damaged.id, entries[load->node][load->lane][seq - 1].id, PL_ID_BYTES);
	PL_FUZZ_CHECK(step(&event) == PL_OK);
}

static void answer_load(size_t entries_max, bool damages)
{
	const struct pending_load load = scene.loads[0];
	struct pl_event event = { .type = PL_EV_LOADED };
	struct pl_stored_entry found[16];

	memmove(scene.loads, scene.loads + 1, --scene.loads_count * sizeof(*scene.loads));
	event.loaded.token = load.token;
	event.loaded.entries = found;
	for (uint64_t seq = load.from; seq <= load.to && seq <= scene.durable[load.node][load.lane]; seq++) {
		uint8_t *damaged = &scene.damaged[load.node][load.lane][seq];
		if (event.loaded.count == entries_max && damages)
			*damaged = 1;
		if (*damaged != 0)
			find_damaged(&load, seq);
		if (*damaged != 0 || event.loaded.count == entries_max)
			break;
		const struct kept *kept = &entries[load.node][load.lane][seq - 1];
		found[event.loaded.count++] = (struct pl_stored_entry){ kept->header, kept->body, kept->body_bytes };
	}
	PL_FUZZ_CHECK(step(&event) == PL_OK);
	settle();
}

static void op_commit(void)
{
	for (uint16_t node = 0; node < NODES; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			struct pl_event event = { .type = PL_EV_STORED };
			size_t bytes = 0;
			while (scene.durable[node][lane] < scene.accepted[node][lane])
				bytes += PL_ENTRY_HEADER_BYTES + entries[node][lane][scene.durable[node][lane]++].body_bytes;
			if (bytes == 0)
				continue;
			const struct kept *last = &entries[node][lane][scene.durable[node][lane] - 1];
			event.stored.node = node;
			event.stored.lane = lane;
			event.stored.seq = scene.durable[node][lane];
			event.stored.gseq = pl_get64(last->header + 24);
			event.stored.id = last->id;
			event.stored.bytes = event.stored.kept_bytes = bytes; /* this scene has no shares */
			PL_FUZZ_CHECK(step(&event) == PL_OK);
		}
	}
	settle();
	for (int i = 0; scene.loads_count > 0; i++) {
		PL_FUZZ_CHECK(i < 5000); /* it does not read for ever */
		answer_load(16, false);
	}
	for (uint16_t node = 0; node < NODES; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			for (uint64_t seq = 1; seq <= scene.durable[node][lane]; seq++) {
				struct pl_event event = { .type = PL_EV_REPAIRED, .repaired = { node, lane, seq } };
				if (scene.damaged[node][lane][seq] != 2)
					continue;
				scene.damaged[node][lane][seq] = 0;
				PL_FUZZ_CHECK(step(&event) == PL_OK);
			}
		}
	}
	settle();
}

static void op_fail(void)
{
	struct pl_event failed = { .type = PL_EV_STORE_FAILED }, ready = { .type = PL_EV_STORE_READY };

	for (uint16_t node = 0; node < NODES; node++) {
		if (node != VICTIM && scene.accepted[node][0] > scene.flash_void[node])
			scene.flash_void[node] = scene.accepted[node][0];
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			while (scene.accepted[node][lane] > scene.durable[node][lane])
				free(entries[node][lane][--scene.accepted[node][lane]].body);
		}
	}
	PL_FUZZ_CHECK(step(&failed) == PL_OK);
	PL_FUZZ_CHECK(step(&ready) == PL_OK);
	settle();
}

static void op_submit(struct pl_fuzz_input *in)
{
	struct pl_event event = { .type = PL_EV_SUBMIT };
	const uint8_t what = pl_fuzz_u8(in);
	size_t count;

	event.submit.lane = what % PL_LANES;
	event.submit.kind = event.submit.lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE;
	event.submit.flags = what >> 7;
	event.submit.body = pl_fuzz_run(in, &count);
	event.submit.body_bytes = (uint32_t)count;
	const uint64_t before = scene.accepted[VICTIM][event.submit.lane];
	if (before >= SEQS - 1)
		return;
	const enum pl_err err = step(&event);
	PL_FUZZ_CHECK(scene.accepted[VICTIM][event.submit.lane] == before + (err == PL_OK));
	PL_FUZZ_CHECK(err == PL_OK || err == PL_ERR_REFUSED || err == PL_ERR_QUOTA || err == PL_ERR_LIMIT || err == PL_ERR_FULL ||
	              err == PL_ERR_STATE /* somebody says that it is behind */);
	settle();
}

static const uint8_t salt[PL_SALT_BYTES] = "of ours";

static void op_heads(struct party *p, struct pl_fuzz_input *in, uint8_t flags, uint8_t count)
{
	uint8_t payload[16 * (1 + NODES * PL_LANE_HEAD_BYTES_MAX)];
	size_t bytes = 0;

	for (uint8_t i = 0; i < count; i++) {
		const uint8_t group = payload[bytes++] = pl_fuzz_u8(in), seqs[NODES] = { pl_fuzz_u8(in), pl_fuzz_u8(in), pl_fuzz_u8(in) }, head = pl_fuzz_u8(in);
		for (uint32_t n = 0; n < NODES; n++) {
			uint8_t tag[PL_TAG_BYTES] = { head };
			if (head == 0)
				tag_of(salt, made[n][group % GROUPS][seqs[n]].id, tag);
			bytes += pl_lane_head_write(seqs[n] == 255 ? UINT64_MAX : seqs[n], tag, payload + bytes);
		}
	}
	frame(p, PL_FRAME_HEADS, flags, 0, payload, bytes);
}

static void op_items(struct party *p, struct pl_fuzz_input *in)
{
	static const uint8_t types[4] = { PL_FRAME_FRONTIER, PL_FRAME_HAVE, PL_FRAME_ACK, PL_FRAME_FRONTIER };
	const uint8_t type = pl_fuzz_u8(in), n = pl_fuzz_u8(in) % 16;
	uint8_t items[16 * PL_ITEM_BYTES];

	if (type & 0x40) {
		op_heads(p, in, type >> 7, n);
		return;
	}
	for (uint8_t i = 0; i < n; i++) {
		const uint8_t node = pl_fuzz_u8(in);
		struct pl_item item = { .node = node % (NODES + 1), .lane = pl_fuzz_u8(in) % PL_LANES, .generation = node & 0x80 ? 2 : 1,
			                .seq = pl_fuzz_u8(in) };
		const uint8_t head = pl_fuzz_u8(in);
		if (item.seq == 255)
			item.seq = UINT64_MAX;
		memset(item.head_id, head, sizeof(item.head_id));
		if (head == 0 && item.node < NODES && item.seq < 256 && made[item.node][item.lane][item.seq].is)
			memcpy(item.head_id, made[item.node][item.lane][item.seq].id, PL_ID_BYTES);
		pl_item_write(&item, items + i * PL_ITEM_BYTES);
	}
	frame(p, types[type % 4], type >> 7, 0, items, (size_t)n * PL_ITEM_BYTES);
}

static void op_want(struct party *p, struct pl_fuzz_input *in)
{
	const uint8_t node = pl_fuzz_u8(in);
	struct pl_want want = { .node = node % (NODES + 1), .flags = node >> 7, .generation = node & 0x40 ? 2 : 1 };
	uint8_t payload[PL_WANT_BYTES];

	want.lane = pl_fuzz_u8(in) % PL_LANES;
	want.from = pl_fuzz_u8(in);
	want.to = want.from + pl_fuzz_u8(in);
	if (want.from == 255)
		want.from = want.to = UINT64_MAX;
	pl_want_write(&want, payload);
	frame(p, PL_FRAME_WANT, 0, 0, payload, sizeof(payload));
}

/* --- links --- */

static void dial(struct party *p, bool tags, bool right_tags)
{
	struct pl_event up = { .type = PL_EV_LINK_UP }, sent = { .type = PL_EV_SENT, .sent = { scene.links + 1 } };
	uint8_t first[PL_HANDSHAKE_BYTES_1], third[PL_HANDSHAKE_BYTES_MAX], ephemeral[32], payload[PL_HELLO_BYTES_MAX];
	uint8_t tagged[GROUPS][PL_TAG_BYTES] = { 0 };
	struct pl_hello hello = { .version = PL_PROTOCOL_VERSION, .credit_bytes = PL_CREDIT_BYTES };
	const uint16_t as = p->as;

	for (int c = 0; c < PL_CLASSES; c++)
		free(p->pieces[c].bytes);
	*p = (struct party){ .as = as, .link = ++scene.links, .open = true, .credit = PL_CREDIT_BYTES };
	up.link_up.link = p->link;
	up.link_up.peer = PL_NODE_NONE;
	up.link_up.address_hash = as;
	PL_FUZZ_CHECK(step(&up) == PL_OK && p->open);
	const struct pl_handshake_keys keys = keys_of(p);
	ephemeral_of(p, ephemeral);
	PL_FUZZ_CHECK(pl_handshake_dial(&p->handshake, &keys, ephemeral, WALL_MS + scene.now_ms, first) == PL_OK);
	send_bytes(p, first, sizeof(first));
	PL_FUZZ_CHECK(p->open && pl_handshake_is_done(&p->handshake));
	PL_FUZZ_CHECK(step(&sent) == PL_OK); /* the node's second message; its HELLO waits for that */
	const size_t third_bytes = p->collected;
	memcpy(third, p->record, third_bytes);
	p->collected = 0;
	PL_FUZZ_CHECK(pl_noise_split(&p->handshake.noise, &p->writer.cipher, &p->reader.stream.cipher) == PL_OK);
	p->live = true;
	send_bytes(p, third, third_bytes);
	memcpy(hello.charter_hash, charter.network_id, PL_ID_BYTES);
	hello.frontier_root[0] = 1; /* not the node's, so that FRONTIER is next */
	hello.capabilities = p->as == OTHER ? 0 : PL_CAP_TAGS;
	memcpy(hello.salt, salt, sizeof(hello.salt));
	for (uint32_t group = 1; right_tags && group < GROUPS; group++)
		tag_of(salt, pl_digests(scene.engine)[group], tagged[group]);
	hello.tags = tagged[0];
	hello.tags_count = tags || right_tags ? GROUPS : 0;
	frame(p, PL_FRAME_HELLO, 0, 0, payload, pl_hello_write(&hello, payload));
	flush(p);
	PL_FUZZ_CHECK(p->open);
}

static void op_link(struct party *p, uint8_t what)
{
	struct pl_event down = { .type = PL_EV_LINK_DOWN };

	switch (what % 4) {
	case 0:
		if (!p->open)
			return;
		p->open = false;
		down.link_down.link = p->link;
		down.link_down.peer = PL_NODE_NONE;
		PL_FUZZ_CHECK(step(&down) == PL_OK);
		settle();
		return;
	case 1:
		/* While the old one stands it is taken for lost; two more at once are too many of one address. */
		if (p->open) {
			down.link_down.link = p->link;
			p->open = false;
			PL_FUZZ_CHECK(step(&down) == PL_OK);
		}
		dial(p, what & 4, what & 8);
		return;
	case 2:
		p->holds = true;
		return;
	case 3:
		p->holds = false;
		settle();
		return;
	}
}

static void run(struct pl_fuzz_input *in)
{
	while (in->left > 0) {
		const uint8_t op = pl_fuzz_u8(in);
		struct party *p = &scene.parties[op >> 4 & 1];
		uint8_t a, b, c;
		uint8_t credit[4], fork[2 + 2 * PL_ENTRY_HEADER_BYTES];
		struct pl_event tick = { .type = PL_EV_TICK };
		size_t count;
		const uint8_t *run;
		switch (op & 15) {
		case 0:
			a = pl_fuzz_u8(in);
			b = pl_fuzz_u8(in);
			c = pl_fuzz_u8(in);
			run = pl_fuzz_run(in, &count);
			frame(p, a, b, c, run, count);
			break;
		case 1:
			op_entry(p, in);
			break;
		case 2:
			flush(p);
			break;
		case 3:
			scene.now_ms += pl_fuzz_u16(in);
			PL_FUZZ_CHECK(step(&tick) == PL_OK);
			settle();
			break;
		case 4:
			op_commit();
			break;
		case 5:
			op_fail();
			break;
		case 6:
			op_submit(in);
			break;
		case 7:
			op_items(p, in);
			break;
		case 8:
			op_link(p, pl_fuzz_u8(in));
			break;
		case 9:
			op_want(p, in);
			break;
		case 10:
			a = pl_fuzz_u8(in);
			if (scene.loads_count > 0)
				answer_load(a % 16, a >> 7);
			break;
		case 11:
			a = pl_fuzz_u8(in);
			b = pl_fuzz_u8(in);
			send_made(p, a % NODES, &made[a % NODES][a / NODES % PL_LANES][b], PL_WIRE_FORM_FULL, 0);
			break;
		case 12:
			a = pl_fuzz_u8(in);
			if (!scene.last[1])
				break;
			pl_put16(fork, a % (NODES + 1));
			memcpy(fork + 2, scene.last[0]->header, PL_ENTRY_HEADER_BYTES);
			memcpy(fork + 2 + PL_ENTRY_HEADER_BYTES, scene.last[1]->header, PL_ENTRY_HEADER_BYTES);
			frame(p, PL_FRAME_FORK, 0, 0, fork, sizeof(fork));
			break;
		case 13:
			run = pl_fuzz_run(in, &count);
			flush(p);
			if (p->open && p->live)
				send_bytes(p, run, count);
			break;
		case 14:
			a = pl_fuzz_u8(in);
			b = pl_fuzz_u8(in);
			c = pl_fuzz_u8(in);
			send_made(p, a % NODES, &made[a % NODES][a / NODES % PL_LANES][b], PL_WIRE_FORM_NEXT,
			          (uint8_t)((c & 1 ? PL_FRAME_FLASH : 0) | (c & 2 ? PL_FRAME_CATCHUP : 0)));
			break;
		case 15:
			pl_put32(credit, (uint32_t)pl_fuzz_u16(in) * 16);
			frame(p, PL_FRAME_CREDIT, 0, 0, credit, sizeof(credit));
			break;
		}
	}
	/* Whatever has been, the node goes on: it authors, at most 3 s after a claim, commits, and its links come up. */
	for (int i = 0; i < PARTIES; i++) {
		flush(&scene.parties[i]);
		scene.parties[i].holds = false;
	}
	scene.now_ms += 3000;
	settle();
	op_commit();
	struct pl_event event = { .type = PL_EV_SUBMIT, .submit = { .lane = 1, .kind = PL_KIND_MESSAGE, .body = (const uint8_t *)"x", .body_bytes = 1 } };
	PL_FUZZ_CHECK(step(&event) == PL_OK);
	op_commit();
}

/* --- once --- */

static void begin(void)
{
	struct pl_engine_config config;
	struct pl_event start = { .type = PL_EV_START };

	PL_FUZZ_CHECK(sodium_init() >= 0);
	memset(charter.network_id, 7, PL_ID_BYTES);
	charter.nodes_count = charter.members_count = NODES;
	for (uint16_t i = 0; i < NODES; i++) {
		struct pl_certificate *c = &charter.nodes[i].certificate;
		uint8_t seed[32] = { 0, (uint8_t)(i + 1) }; /* not in the byte that X25519 clamps */
		pl_sign_keypair(seed, c->node_id, sign_secrets[i]);
		seed[31] = 1;
		memcpy(noise_secrets[i], seed, 32);
		crypto_scalarmult_base(c->noise_public, seed);
		c->generation = 1;
		c->valid_until_ms = WALL_MS * 2;
		charter.nodes[i].member = i;
	}
	pl_engine_config_default(&config);
	config.charter = &charter;
	config.self = VICTIM;
	config.links_max = PARTIES;
	config.sign_secret = sign_secrets[VICTIM];
	config.noise_secret = noise_secrets[VICTIM];
	pl_fuzz_arena_make(&arena, pl_engine_bytes(&config));
	PL_FUZZ_CHECK(pl_engine_init(&config, arena.bytes, arena.count, &scene.engine) == PL_OK);
	scene.now_ms = 1000;
	for (uint16_t i = 0; i < PARTIES; i++) {
		scene.parties[i].as = (uint16_t)(MEMBER + i);
		scene.parties[i].link = PL_LINK_NONE - 1 - i; /* none yet */
	}
	PL_FUZZ_CHECK(step(&start) == PL_OK);
	snapshot_take(&begun);
	for (int i = 0; i < PARTIES; i++)
		dial(&scene.parties[i], false, false);
	snapshot_take(&live);
}

static void clean_up(void)
{
	for (uint16_t node = 0; node < NODES; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			for (uint64_t i = 0; i < scene.accepted[node][lane]; i++)
				free(entries[node][lane][i].body);
		}
	}
	for (int i = 0; i < PARTIES; i++) {
		for (int c = 0; c < PL_CLASSES; c++)
			free(scene.parties[i].pieces[c].bytes);
	}
	memset(made, 0, sizeof(made));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_fuzz_input in = { data, size < 4096 ? size : 4096 };

	if (!arena.bytes)
		begin();
	if (pl_fuzz_u8(&in) & 1) {
		struct pl_event up = { .type = PL_EV_LINK_UP, .link_up = { 1, PL_NODE_NONE, 1 } };
		snapshot_put_back(&begun);
		scene.parties[0].link = 1;
		scene.parties[0].open = true;
		PL_FUZZ_CHECK(step(&up) == PL_OK);
		send_bytes(&scene.parties[0], in.at, in.left);
		struct pl_engine_counters counters;
		pl_engine_counters(scene.engine, &counters);
		PL_FUZZ_CHECK(counters.handshakes_ok == 0);
	} else {
		snapshot_put_back(&live);
		run(&in);
	}
	clean_up();
	return 0;
}
