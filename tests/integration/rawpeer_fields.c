/* fields PART: a member that puts 0, 1, the limits, what lies beyond them, 2^31, 2^63 - 1 and 2^64 - 1 into every field of every frame, one at a time,
 * and looks at what the node makes of it: whether the link ends, and of an entry whether it is taken. PART 0: the frames; 1 to 3: a third of
 * the fields of entries, each for a member of its own, since 17 bad entries a minute end the links of one.
 *
 * What has to happen stands in the tables: from PROTOCOL.md, not from the code. To add a frame, or a field: base_of() and frame_fields (the compiler
 * and tiles() say what is missing). Prints "N fields, N values: N ended the link, N did not, N entries taken"; exit code 1 after naming
 * what was otherwise.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"
#include "tests/integration/rawpeer.h"

#define VALUES_MAX 16
#define TAKEN_MS_MAX 5000
#define WHOLE UINT64_MAX /* as a limit: what fits the field */
#define NODES (UINT64_MAX - 1) /* the charter's, less one */
#define GROUPS 3 /* of six nodes: one for each lane */

enum rule {
	WITHIN,  /* from min to max it stands; what lies outside ends the link */
	CHARTER, /* another than the right one ends the link with BYE charter */
	NEVER,   /* whatever it is, the link ends */
	GOODBYE, /* the frame ends the link without an answer */
};

struct field {
	uint8_t type;
	const char *name;
	uint16_t offset, bytes;
	enum rule rule;
	uint64_t min, max;
};

#define ITEM(type) \
	{ type, "node", 0, 2, WITHIN, 0, NODES }, { type, "lane", 2, 1, WITHIN, 0, PL_LANES - 1 }, { type, "zero", 3, 1, WITHIN, 0, 0 }, \
	{ type, "generation", 4, 4, WITHIN, 0, WHOLE }, { type, "seq", 8, 8, WITHIN, 1, WHOLE }, { type, "head", 16, 32, WITHIN, 0, WHOLE }
#define LANE(type) \
	{ type, "node", 0, 2, WITHIN, 0, NODES }, { type, "lane", 2, 1, WITHIN, 0, PL_LANES - 1 }, { type, "zero", 3, 1, WITHIN, 0, 0 }

static const struct field frame_fields[] = {
	{ PL_FRAME_HELLO, "version", 0, 2, WITHIN, 1, WHOLE },
	{ PL_FRAME_HELLO, "zero", 2, 2, WITHIN, 0, 0 },
	{ PL_FRAME_HELLO, "capabilities", 4, 4, WITHIN, 0, WHOLE },
	{ PL_FRAME_HELLO, "charter epoch", 8, 4, CHARTER, 0, WHOLE },
	{ PL_FRAME_HELLO, "credit", 12, 4, WITHIN, 0, WHOLE },
	{ PL_FRAME_HELLO, "charter hash", 16, 32, CHARTER, 0, WHOLE },
	{ PL_FRAME_HELLO, "frontier root", 48, 32, WITHIN, 0, WHOLE },
	{ PL_FRAME_HELLO, "salt", 80, 8, WITHIN, 0, WHOLE },
	{ PL_FRAME_HELLO, "number of tags", 88, 2, WITHIN, 0, 0 }, /* none follows */
	{ PL_FRAME_HELLO, "zero after that", 90, 2, WITHIN, 0, 0 },
	ITEM(PL_FRAME_FRONTIER),
	ITEM(PL_FRAME_HAVE),
	ITEM(PL_FRAME_ACK),
	{ PL_FRAME_WANT, "node", 0, 2, WITHIN, 0, NODES },
	{ PL_FRAME_WANT, "lane", 2, 1, WITHIN, 0, PL_LANES - 1 },
	{ PL_FRAME_WANT, "flags", 3, 1, WITHIN, 0, 1 },
	{ PL_FRAME_WANT, "generation", 4, 4, WITHIN, 0, WHOLE },
	{ PL_FRAME_WANT, "from", 8, 8, WITHIN, 1, 1 }, /* to is 1 */
	{ PL_FRAME_WANT, "to", 16, 8, WITHIN, 1, PL_WANT_ENTRIES_MAX },
	LANE(PL_FRAME_CANCEL),
	/* ENTRY: entry_fields, below */
	{ PL_FRAME_FRAG, "bytes of the whole", 0, 4, WITHIN, PL_WIRE_PREFIX, PL_WIRE_BYTES_MAX },
	{ PL_FRAME_FRAG, "the first piece", 4, 64, WITHIN, 0, WHOLE },
	{ PL_FRAME_CREDIT, "bytes", 0, 4, WITHIN, 0, WHOLE },
	{ PL_FRAME_PING, "time", 0, 8, WITHIN, 0, WHOLE },
	{ PL_FRAME_PING, "frontier root", 8, 32, WITHIN, 0, WHOLE },
	{ PL_FRAME_PONG, "time", 0, 8, WITHIN, 0, WHOLE },
	{ PL_FRAME_BYE, "reason", 0, 1, GOODBYE, 0, WHOLE },
	{ PL_FRAME_BYE, "text", 1, 64, GOODBYE, 0, WHOLE },
	/* junk proves nothing, whatever it says */
	{ PL_FRAME_FORK, "node", 0, 2, NEVER, 0, 0 },
	{ PL_FRAME_FORK, "first header", 2, PL_ENTRY_HEADER_BYTES, NEVER, 0, 0 },
	{ PL_FRAME_FORK, "second header", 2 + PL_ENTRY_HEADER_BYTES, PL_ENTRY_HEADER_BYTES, NEVER, 0, 0 },
	LANE(PL_FRAME_CHOKE),
	{ PL_FRAME_TAGS, "tags", 0, GROUPS * PL_TAG_BYTES, WITHIN, 0, WHOLE },
	{ PL_FRAME_HEADS, "group", 0, 1, WITHIN, 0, GROUPS - 1 },
	{ PL_FRAME_HEADS, "bytes of seq", 1, 1, WITHIN, 1, 1 },
	{ PL_FRAME_HEADS, "seq", 2, 1, WITHIN, 1, WHOLE },
	{ PL_FRAME_HEADS, "tag", 3, 8, WITHIN, 0, WHOLE },
	{ PL_FRAME_HEADS, "lanes without entries", 11, 5, WITHIN, 0, 0 },
};
#define FRAME_FIELDS (sizeof(frame_fields) / sizeof(*frame_fields))

/* A frame whose fields are all right, and its size; which of them varies. */
struct base {
	const char *name;
	uint8_t flags, lane, flags_known;
	size_t bytes;
	bool may_be_longer; /* whole_items: a multiple is right, too */
	size_t whole_items;
	uint8_t payload[2 + 2 * PL_ENTRY_HEADER_BYTES];
};

static void base_of(enum pl_frame_type type, struct base *base)
{
	struct pl_hello hello = { .version = PL_PROTOCOL_VERSION, .credit_bytes = PL_CREDIT_BYTES, .charter_epoch = peer_charter.epoch };
	const uint32_t generation = peer_charter.nodes[peer_other].certificate.generation;
	struct pl_item item = { .node = peer_other, .lane = 2, .generation = generation, .seq = 1 };
	struct pl_want want = { .node = peer_other, .lane = 1, .generation = generation, .from = 1, .to = 1 };

	*base = (struct base){ .name = "PAD" };
	switch (type) {
	case PL_FRAME_PAD:
		return;
	case PL_FRAME_HELLO:
		*base = (struct base){ .name = "HELLO", .bytes = PL_HELLO_TAGS_AT, .may_be_longer = true };
		hello.capabilities = PL_CAP_TAGS;
		memcpy(hello.charter_hash, peer_charter.network_id, PL_ID_BYTES);
		hello.frontier_root[0] = 1;
		pl_hello_write(&hello, base->payload);
		return;
	case PL_FRAME_FRONTIER:
		*base = (struct base){ .name = "FRONTIER", .bytes = PL_ITEM_BYTES, .flags = PL_FRAME_LAST, .flags_known = PL_FRAME_LAST,
		                       .whole_items = PL_ITEM_BYTES };
		pl_item_write(&item, base->payload);
		return;
	case PL_FRAME_HAVE:
		*base = (struct base){ .name = "HAVE", .bytes = PL_ITEM_BYTES, .whole_items = PL_ITEM_BYTES };
		pl_item_write(&item, base->payload);
		return;
	case PL_FRAME_ACK:
		*base = (struct base){ .name = "ACK", .bytes = PL_ITEM_BYTES, .whole_items = PL_ITEM_BYTES };
		pl_item_write(&item, base->payload);
		return;
	case PL_FRAME_WANT:
		*base = (struct base){ .name = "WANT", .bytes = PL_WANT_BYTES };
		pl_want_write(&want, base->payload);
		return;
	case PL_FRAME_CANCEL:
		*base = (struct base){ .name = "CANCEL", .bytes = 4 };
		pl_put16(base->payload, peer_other);
		return;
	case PL_FRAME_ENTRY: /* entry_fields */
		*base = (struct base){ .name = "ENTRY", .lane = 1 };
		return;
	case PL_FRAME_FRAG:
		*base = (struct base){ .name = "FRAG", .bytes = 68, .flags = PL_FRAME_FIRST, .lane = 1 };
		pl_put32(base->payload, PL_WIRE_PREFIX + 1);
		return;
	case PL_FRAME_CREDIT:
		*base = (struct base){ .name = "CREDIT", .bytes = 4 };
		return;
	case PL_FRAME_PING:
		*base = (struct base){ .name = "PING", .bytes = 8 + PL_ID_BYTES };
		return;
	case PL_FRAME_PONG:
		*base = (struct base){ .name = "PONG", .bytes = 8 };
		return;
	case PL_FRAME_BYE:
		*base = (struct base){ .name = "BYE", .bytes = 65 };
		return;
	case PL_FRAME_FORK:
		*base = (struct base){ .name = "FORK", .bytes = 2 + 2 * PL_ENTRY_HEADER_BYTES };
		pl_put16(base->payload, peer_other);
		return;
	case PL_FRAME_CHOKE:
		*base = (struct base){ .name = "CHOKE", .bytes = 4 };
		pl_put16(base->payload, peer_other);
		return;
	case PL_FRAME_TAGS:
		if (peer_charter.nodes_count != 6)
			peer_fail("GROUPS is that of six nodes");
		*base = (struct base){ .name = "TAGS", .bytes = GROUPS * PL_TAG_BYTES, .whole_items = PL_TAG_BYTES };
		return;
	case PL_FRAME_HEADS: /* one head of six lanes */
		*base = (struct base){ .name = "HEADS", .bytes = 16, .flags = PL_FRAME_LAST, .flags_known = PL_FRAME_LAST, .whole_items = 16 };
		base->payload[0] = base->payload[1] = base->payload[2] = 1;
		return;
	}
}

static const char *address;
static struct peer peer;
static bool is_live;
static struct {
	unsigned fields, values, ended, stood, taken, wrong;
} count;

/* --- values --- */

static uint64_t limit_of(const struct field *field, uint64_t limit)
{
	if (limit == NODES)
		return peer_charter.nodes_count - 1u;
	if (limit == WHOLE)
		return field->bytes >= 8 ? UINT64_MAX : (1ull << 8 * field->bytes) - 1;
	return limit;
}

/* What is worth trying in a field of this width. Returns how many. */
static int values_of(uint16_t bytes, uint64_t min, uint64_t max, uint64_t base, uint64_t out[VALUES_MAX])
{
	const unsigned bits = bytes >= 8 ? 64 : 8u * bytes;
	const uint64_t all = bits == 64 ? UINT64_MAX : (1ull << bits) - 1;
	const uint64_t wanted[] = { 0, 1, min - 1, min, max, max + 1, base, base + 1, base - 1, 1ull << 31, (1ull << 31) - 1, 1ull << 63, (1ull << 63) - 1,
		                    (all >> 1) + 1, all };
	int n = 0;

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		bool is_known = wanted[i] > all;
		for (int k = 0; k < n; k++)
			is_known |= out[k] == wanted[i];
		if (!is_known)
			out[n++] = wanted[i];
	}
	return n;
}

static void put(uint8_t *at, uint16_t bytes, uint64_t value)
{
	for (uint16_t i = bytes; i-- > 0; value >>= 8)
		at[i] = bytes > 8 && value == UINT64_MAX && i < bytes - 8 ? 0xff : i + 8 >= bytes ? (uint8_t)value : 0;
}

static uint64_t get(const uint8_t *at, uint16_t bytes)
{
	uint64_t value = 0;

	for (uint16_t i = bytes > 8 ? bytes - 8 : 0; i < bytes; i++)
		value = value << 8 | at[i];
	return value;
}

/* --- what comes of it --- */

static void wrong(const char *frame, const char *field, uint64_t value, const char *what)
{
	printf("%s, %s %llu: %s\n", frame, field, (unsigned long long)value, what);
	count.wrong++;
}

static void open_link(bool goes_live, bool knows_tags)
{
	if (is_live && goes_live && !peer.ended && peer.knows_tags == knows_tags)
		return;
	peer_close(&peer);
	peer_dial(&peer, address);
	peer.knows_tags = knows_tags;
	if (goes_live)
		peer_go_live(&peer);
	else
		peer_handshake(&peer);
	is_live = goes_live;
}

/* What was collected has gone out: does the link end as it has to? bye: with which reason, if it says one; 0: it does not end. */
static void judge(const char *frame, const char *field, uint64_t value, bool has_to_end, uint8_t bye)
{
	char what[160];

	peer_flush(&peer);
	const bool stands = peer_is_served(&peer);
	count.values++;
	count.ended += !stands;
	count.stood += stands;
	if (stands == has_to_end) {
		snprintf(what, sizeof(what), stands ? "the link stands" : "the link ends (%u %s)", peer.bye, peer.bye_text);
		wrong(frame, field, value, what);
	} else if (!stands && peer.bye != bye && peer.bye != 0) { /* where a record was under way, the reason is left out */
		snprintf(what, sizeof(what), "the link ends with BYE %u %s, and not %u", peer.bye, peer.bye_text, bye);
		wrong(frame, field, value, what);
	}
}

static void send_frame(uint8_t type, const struct base *base, const uint8_t *payload, size_t bytes)
{
	open_link(type != PL_FRAME_HELLO, type > PL_FRAME_CHOKE);
	if (type == PL_FRAME_FRAG && is_live) { /* one piece is under way until the link ends */
		is_live = false;
		open_link(true, false);
	}
	peer_frame(&peer, type, base->flags, base->lane, payload, bytes);
}

static void try_field(const struct field *field)
{
	const uint64_t min = limit_of(field, field->min), max = limit_of(field, field->max);
	struct base base;
	uint64_t values[VALUES_MAX];

	base_of((enum pl_frame_type)field->type, &base);
	const uint64_t right = get(base.payload + field->offset, field->bytes);
	const int n = values_of(field->bytes, min, max, right, values);
	count.fields++;
	for (int i = 0; i < n; i++) {
		uint8_t payload[sizeof(base.payload)];
		memcpy(payload, base.payload, sizeof(payload));
		put(payload + field->offset, field->bytes, values[i]);
		send_frame(field->type, &base, payload, base.bytes);
		const bool is_same = memcmp(payload, base.payload, base.bytes) == 0;
		const bool is_within = field->rule == WITHIN ? values[i] >= min && values[i] <= max : field->rule == CHARTER && is_same;
		judge(base.name, field->name, values[i], !is_within, field->rule == CHARTER ? PL_BYE_CHARTER : field->rule == GOODBYE ? 0 : PL_BYE_FAULT);
	}
}

/* The header of a frame: its flags, its lane, the zero, its size. */
static void try_header(enum pl_frame_type type)
{
	struct base base;
	uint64_t values[VALUES_MAX];
	static uint8_t payload[PL_FRAME_PAYLOAD_BYTES_MAX];

	base_of(type, &base);
	if (base.bytes == 0)
		return;
	count.fields += 4;
	for (int bit = 0; bit < 8 && type != PL_FRAME_FRAG && type != PL_FRAME_BYE && type != PL_FRAME_FORK; bit++) {
		struct base other = base;
		other.flags = (uint8_t)(base.flags ^ (1 << bit));
		send_frame((uint8_t)type, &other, base.payload, base.bytes);
		judge(base.name, "flags", other.flags, ((1 << bit) & (PL_FRAME_OPTIONAL | base.flags_known)) == 0, PL_BYE_FAULT);
	}
	for (uint8_t lane = 1; lane < PL_LANES && type != PL_FRAME_FRAG; lane++) {
		struct base other = base;
		other.lane = lane;
		send_frame((uint8_t)type, &other, base.payload, base.bytes);
		judge(base.name, "lane of the frame", lane, true, PL_BYE_FAULT);
	}
	for (int byte = 0; byte < 2; byte++) { /* a lane that does not exist; the zero */
		send_frame((uint8_t)type, &base, base.payload, base.bytes);
		peer.record[2 + 2 + byte] = byte ? 1 : PL_LANES;
		judge(base.name, byte ? "zero of the frame" : "lane of the frame", byte ? 1 : PL_LANES, true, PL_BYE_FAULT);
	}
	const int n = values_of(4, base.bytes - 1, base.bytes, base.bytes, values);
	memcpy(payload, base.payload, base.bytes);
	for (int i = 0; i < n; i++) {
		const size_t bytes = values[i] <= sizeof(payload) ? values[i] : 0;
		if (values[i] == base.bytes || type == PL_FRAME_FRAG || type == PL_FRAME_BYE)
			continue;
		send_frame((uint8_t)type, &base, payload, bytes);
		pl_put32(peer.record + 2 + 4, (uint32_t)values[i]);
		const bool is_longer = base.may_be_longer && values[i] > base.bytes && values[i] <= sizeof(payload);
		const bool is_whole = base.whole_items > 0 && values[i] % base.whole_items == 0 && values[i] <= sizeof(payload);
		judge(base.name, "payload bytes", values[i], !is_longer && !is_whole, PL_BYE_FAULT);
	}
}

static void try_unknown_types(void)
{
	count.fields++;
	for (unsigned type = 0; type < 256; type++) {
		struct base base;
		base_of((enum pl_frame_type)type, &base);
		if (type == 0 || strcmp(base.name, "PAD") != 0)
			continue;
		for (int is_optional = 0; is_optional < 2; is_optional++) {
			open_link(true, false);
			peer_frame(&peer, (uint8_t)type, is_optional ? PL_FRAME_OPTIONAL : 0, 0, "what is this?", 13);
			judge("unknown frame", is_optional ? "optional type" : "type", type, !is_optional, PL_BYE_FAULT);
			if (!is_optional && peer.bye == PL_BYE_FAULT && strcmp(peer.bye_text, "unknown frame") != 0)
				wrong("unknown frame", "type", type, "the node knows it, and the table does not");
		}
	}
}

/* What stands before each record. */
static void try_record_lengths(void)
{
	static const uint16_t sizes[] = { 256, 1024, 4096, 16384 };
	uint64_t values[VALUES_MAX];

	count.fields++;
	for (int s = 0; s < 4; s++) {
		const int n = values_of(2, 17, sizes[s] + 16u, sizes[s] + 16u, values);
		for (int i = 0; i < n; i++) {
			static uint8_t record[65538];
			bool is_size = false;
			for (int k = 0; k < 4; k++)
				is_size |= values[i] == sizes[k] + 16u;
			open_link(true, false);
			static const uint8_t pong[8];
			peer_frame(&peer, PL_FRAME_PONG, 0, 0, pong, sizeof(pong));
			(void)peer_seal(&peer, record); /* of 256 bytes */
			pl_put16(record, (uint16_t)values[i]);
			peer_send(&peer, record, is_size ? 2 + values[i] : sizeof(record)); /* a size that exists is waited for, and does not decrypt */
			judge("record", "bytes", values[i], values[i] != 256 + 16, PL_BYE_FAULT);
			is_live = false;
		}
	}
}

/* --- entries --- */

enum fate { TAKEN, DROPPED, ENDS };

static const struct entry_field {
	const char *name;
	int header_at, wire_at; /* in the signed header, and so signed; or on the wire alone: -1. A prev or a seq that is signed is evidence of a fork. */
	uint16_t bytes;
} entry_fields[] = { /* in an order in which no third has more than 16 that are to be refused */
	{ "node", -1, 0, 2 }, { "form", -1, 2, 1 }, { "time", 32, 32, 8 }, { "kind", 2, 4, 1 }, { "flags", 3, 5, 1 }, { "zero", -1, 6, 2 },
	{ "charter epoch", 4, 8, 4 }, { "generation", 8, 12, 4 }, { "seq", -1, 16, 8 }, { "gseq", 24, 24, 8 }, { "lane", -1, 3, 1 },
	{ "seq of the next lane", 104, 40, 8 }, { "head of the next lane", 112, 48, 8 }, { "seq of the lane after", 120, 56, 8 },
	{ "head of the lane after", 128, 64, 8 }, { "signature", -1, 72, 64 }, { "prev", -1, 136, 32 }, { "body", -1, PL_WIRE_PREFIX, 0 },
};
#define ENTRY_FIELDS (sizeof(entry_fields) / sizeof(*entry_fields))

static struct peer_head acked;

static void heard(struct peer *p, const struct pl_frame *frame)
{
	struct pl_item item;

	(void)p;
	for (uint32_t at = 0; frame->type == PL_FRAME_ACK && at + PL_ITEM_BYTES <= frame->payload_bytes; at += PL_ITEM_BYTES) {
		if (pl_item_read(frame->payload + at, &item) != PL_OK || item.node != peer_self || item.lane != 1 || item.seq < acked.seq)
			continue;
		acked.seq = item.seq;
		memcpy(acked.id, item.head_id, PL_ID_BYTES);
	}
}

/* PROTOCOL.md, "Entry", "Entries on the wire" and "Which entries are taken". */
static enum fate fate_of(const struct entry_field *field, uint64_t value, uint64_t right, const struct pl_header *h)
{
	const struct pl_certificate *own = &peer_charter.nodes[peer_self].certificate;
	const char *name = field->name;

	if (strcmp(name, "body") == 0)
		return value <= PL_BODY_BYTES_MAX ? TAKEN : ENDS;
	if (strcmp(name, "kind") == 0)
		return value >= PL_KIND_MESSAGE && value <= PL_KIND_CHANNEL ? TAKEN : ENDS;
	if (strcmp(name, "flags") == 0)
		return (value & ~(uint64_t)PL_FLAG_RETAIN_MASK) == 0 ? TAKEN : ENDS;
	if (strcmp(name, "time") == 0)
		return value >= own->valid_from_ms && value <= own->valid_until_ms ? TAKEN : DROPPED;
	if (strcmp(name, "gseq") == 0)
		return value == 0 ? ENDS : value >= right ? TAKEN : DROPPED;
	if (strncmp(name, "seq of", 6) == 0) /* there are fewer entries than gseq counts */
		return value <= h->gseq - h->seq ? TAKEN : DROPPED;
	if (value == right)
		return TAKEN;
	if (strcmp(name, "node") == 0)
		return value < peer_charter.nodes_count ? DROPPED : ENDS;
	if (strcmp(name, "form") == 0)
		return value == PL_WIRE_FORM_FULL ? DROPPED : ENDS;
	if (strcmp(name, "lane") == 0 || strcmp(name, "zero") == 0)
		return ENDS;
	if (strcmp(name, "generation") == 0 || strcmp(name, "seq") == 0)
		return value == 0 ? ENDS : DROPPED;
	return DROPPED; /* charter epoch, heads of empty lanes, signature, prev */
}

static bool is_taken(uint64_t seq, const uint8_t id[PL_ID_BYTES])
{
	const uint64_t end_ms = peer_clock_ms() + TAKEN_MS_MAX;

	while (acked.seq < seq && peer_hear(&peer, 100) && peer_clock_ms() < end_ms)
		;
	return acked.seq == seq && memcmp(acked.id, id, PL_ID_BYTES) == 0;
}

static void send_wire(uint8_t *wire, size_t bytes)
{
	for (size_t at = 0; at < bytes || at == 0;) {
		uint8_t piece[PL_FRAME_PAYLOAD_BYTES_MAX];
		if (bytes <= sizeof(piece)) {
			peer_frame(&peer, PL_FRAME_ENTRY, 0, 1, wire, bytes);
			return;
		}
		const size_t head = at == 0 ? 4 : 0, some = bytes - at < sizeof(piece) - head ? bytes - at : sizeof(piece) - head;
		pl_put32(piece, (uint32_t)bytes);
		memcpy(piece + head, wire + at, some);
		at += some;
		peer_frame(&peer, PL_FRAME_FRAG, (at == some ? PL_FRAME_FIRST : 0) | (at == bytes ? PL_FRAME_LAST : 0), 1, piece, head + some);
	}
}

/* The next entry of lane 1 with one field as it says; NULL: as it should be. */
static void try_entry(const struct entry_field *field, uint64_t value)
{
	static uint8_t wire[PL_WIRE_BYTES_MAX + 1], body[PL_BODY_BYTES_MAX + 1];
	uint8_t entry_header[PL_ENTRY_HEADER_BYTES], id[PL_ID_BYTES];
	const uint32_t body_bytes = field && field->bytes == 0 ? (uint32_t)value : 100;

	open_link(true, false);
	peer.heard = heard;
	struct pl_header header = peer_next(1, PL_KIND_MESSAGE, 0, body, body_bytes);
	pl_header_encode(&header, entry_header);
	enum fate fate = TAKEN;
	if (field && field->bytes > 0) {
		uint8_t right[PL_WIRE_PREFIX];
		pl_entry_sign(peer_charter.network_id, peer_keys.sign_secret, entry_header);
		pl_wire_write(peer_self, PL_WIRE_FORM_NEXT, entry_header, body, 0, right, sizeof(right));
		fate = fate_of(field, value, get(right + field->wire_at, field->bytes), &header);
		if (field->header_at >= 0)
			put(entry_header + field->header_at, field->bytes, value);
	} else if (field) {
		fate = fate_of(field, value, 0, &header);
	}
	pl_entry_sign(peer_charter.network_id, peer_keys.sign_secret, entry_header);
	const size_t bytes = pl_wire_write(peer_self, PL_WIRE_FORM_NEXT, entry_header, body, body_bytes, wire, sizeof(wire));
	if (field && field->header_at < 0 && field->bytes > 0) {
		put(wire + field->wire_at, field->bytes, value);
		if (strcmp(field->name, "seq") == 0)
			wire[72] ^= fate != TAKEN;
	}
	pl_entry_id(peer_charter.network_id, entry_header, id);
	send_wire(wire, bytes);
	if (!field)
		peer_flush(&peer);
	else
		judge("ENTRY", field->name, value, fate == ENDS, PL_BYE_FAULT);
	if (peer.ended || fate != TAKEN)
		return; /* that it was not taken shows when its place is filled by another */
	if (!is_taken(header.seq, id)) {
		if (field)
			wrong("ENTRY", field->name, value, "the link stands, and the entry is not taken");
		else
			wrong("ENTRY", "none", 0, "an entry as it should be is not taken: the one before it was");
		return;
	}
	count.taken++;
	peer_heads[1].seq = header.seq;
	memcpy(peer_heads[1].id, id, PL_ID_BYTES);
}

static void try_entry_field(const struct entry_field *field)
{
	const struct pl_certificate *own = &peer_charter.nodes[peer_self].certificate;
	uint64_t values[VALUES_MAX], min = 1, max = 1, right = 1;
	const bool is_time = strcmp(field->name, "time") == 0;

	count.fields++;
	if (is_time) {
		min = own->valid_from_ms;
		max = own->valid_until_ms;
		right = peer_wall_ms();
	} else if (field->bytes == 0) {
		max = PL_BODY_BYTES_MAX;
	} else if (strcmp(field->name, "node") == 0) {
		max = peer_charter.nodes_count - 1u;
	} else if (strcmp(field->name, "seq") == 0) {
		right = peer_heads[1].seq + 1;
	}
	int n = values_of(field->bytes == 0 ? 4 : field->bytes, min, max, right, values);
	/* What is compared as a whole has three: each is refused, and a peer may send so many of those. */
	if (field->bytes > 8 || strncmp(field->name, "head", 4) == 0) {
		values[2] = UINT64_MAX;
		n = 3;
	}
	for (int i = 0; i < n; i++) {
		if (field->bytes == 0 && values[i] > PL_BODY_BYTES_MAX + 1)
			continue; /* the size of a fragmented entry is a field of FRAG */
		if (strcmp(field->name, "gseq") == 0 && values[i] > 1ull << 62)
			continue; /* the feed would have an end: last */
		try_entry(field, values[i]);
		try_entry(NULL, 0);
	}
}

/* Its feed ends there. */
static void try_last_gseq(void)
{
	const struct entry_field *gseq = NULL;

	for (size_t i = 0; i < ENTRY_FIELDS; i++) {
		if (strcmp(entry_fields[i].name, "gseq") == 0)
			gseq = &entry_fields[i];
	}
	try_entry(gseq, (1ull << 63) - 1);
	try_entry(gseq, 1ull << 63);
	try_entry(gseq, UINT64_MAX);
}

/* Whether the fields of each frame lie one behind the other, and nothing is left over. */
static void tiles(void)
{
	for (unsigned type = 1; type < 256; type++) {
		struct base base;
		size_t at = 0;
		base_of((enum pl_frame_type)type, &base);
		for (size_t i = 0; i < FRAME_FIELDS; i++) {
			if (frame_fields[i].type != type)
				continue;
			if (frame_fields[i].offset != at)
				wrong(base.name, frame_fields[i].name, frame_fields[i].offset, "a field is missing from the table before this one");
			at = frame_fields[i].offset + frame_fields[i].bytes;
		}
		if (at != base.bytes)
			wrong(base.name, "bytes", base.bytes, "fields are missing from the table");
	}
}

void rawpeer_fields(const char *to, int args_count, char **args)
{
	const unsigned part = args_count == 1 ? (unsigned)strtoul(args[0], NULL, 10) : 4;

	if (part > 3)
		peer_fail("usage: fields 0|1|2|3");
	address = to;
	tiles();
	fputs("told\n", stderr);
	if (part == 0) {
		for (size_t i = 0; i < FRAME_FIELDS; i++)
			try_field(&frame_fields[i]);
		for (unsigned type = 1; type < 256; type++)
			try_header((enum pl_frame_type)type);
		try_unknown_types();
		try_record_lengths();
	}
	for (size_t i = 0; part > 0 && i < ENTRY_FIELDS; i++) {
		if (i % 3 == part - 1)
			try_entry_field(&entry_fields[i]);
	}
	if (part == 3)
		try_last_gseq();
	printf("%u fields, %u values: %u ended the link, %u did not, %u entries taken\n", count.fields, count.values, count.ended, count.stood, count.taken);
	exit(count.wrong > 0);
}

void rawpeer_known(const char *to, int args_count, char **args)
{
	(void)to;
	(void)args_count;
	(void)args;
	for (unsigned type = 0; type < 256; type++) {
		struct base base;
		base_of((enum pl_frame_type)type, &base);
		if (type == 0 || strcmp(base.name, "PAD") != 0)
			printf("PL_FRAME_%s = %u\n", base.name, type);
	}
}
