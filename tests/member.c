#include "tests/member.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"
#include "proto/handshake.h"
#include "tests/pieces.h"

struct member {
	struct world *world;
	uint16_t as, node;
	uint32_t link;
	struct pl_handshake handshake;
	struct pl_record_stream writer;
	struct pl_record_reader reader;
	uint8_t record[PL_RECORD_WIRE_BYTES_MAX];
	size_t collected;
	bool mute, stalled;
	struct member_heard *heard;
	size_t heard_count, heard_max;
	struct {
		uint8_t *bytes;
		uint32_t have, total;
	} pieces[PL_CLASSES];
};

#define HANDSHAKE_MS_MAX 20000 /* four times what a node waits */

static const uint8_t ephemerals[2][32] = { "ephemeral of a dialling member", "ephemeral of a dialled member" };

static struct pl_handshake_keys keys_of(struct world *w, uint16_t as, uint16_t node)
{
	struct pl_handshake_keys keys = { .network_id = world_charter(w)->network_id, .static_secret = world_config(w, as)->noise_secret };

	if (node != PL_NODE_NONE)
		keys.remote_static = world_charter(w)->nodes[node].certificate.noise_public;
	return keys;
}

static void feed(struct member *m, const struct pl_handshake_keys *keys, const uint8_t *ephemeral)
{
	uint8_t in[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
	const size_t whole = keys->remote_static ? PL_HANDSHAKE_BYTES_2 : m->handshake.noise.step == 2 ? PL_HANDSHAKE_BYTES_3 : PL_HANDSHAKE_BYTES_1;
	const size_t count = world_raw_take(m->world, m->link, in, whole - m->handshake.have);
	size_t consumed, out_bytes;
	bool complete;

	if (pl_handshake_feed(&m->handshake, keys, ephemeral, world_wall(m->world), in, count, &consumed, &complete, out, &out_bytes) != PL_OK ||
	    !complete)
		return;
	if (out_bytes > 0)
		world_raw_send(m->world, m->link, out, out_bytes);
}

static struct member *start(struct world *w, uint16_t as, uint16_t node, uint32_t link)
{
	struct member *m = calloc(1, sizeof(*m));

	m->world = w;
	m->as = as;
	m->node = node;
	m->link = link;
	return m;
}

static struct member *split(struct member *m)
{
	if (pl_noise_split(&m->handshake.noise, &m->writer.cipher, &m->reader.stream.cipher) != PL_OK) {
		member_free(m);
		return NULL;
	}
	return m;
}

struct member *member_dial(struct world *w, uint16_t as, uint16_t node)
{
	/* each member has an address of its own */
	struct member *m = start(w, as, node, world_raw_connect_from(w, node, WORLD_TEST_ADDRESS + as));
	const struct pl_handshake_keys keys = keys_of(w, as, node);
	uint8_t first[PL_HANDSHAKE_BYTES_1], ephemeral[32];

	memcpy(ephemeral, ephemerals[0], sizeof(ephemeral));
	pl_put64(ephemeral + 8, world_now(w) ^ (uint64_t)m->link << 40); /* a node answers each only once */
	if (pl_handshake_dial(&m->handshake, &keys, ephemeral, world_wall(w), first) != PL_OK)
		abort();
	world_raw_send(w, m->link, first, sizeof(first));
	for (int ms = 0; ms < HANDSHAKE_MS_MAX && !pl_handshake_is_done(&m->handshake) && world_raw_open(w, m->link); ms++) {
		world_run_ms(w, 1);
		feed(m, &keys, ephemeral);
	}
	return split(m);
}

struct member *member_accept(struct world *w, uint16_t as)
{
	const uint32_t link = world_raw_dialled(w, as);

	if (link == PL_LINK_NONE)
		return NULL;
	struct member *m = start(w, as, PL_NODE_NONE, link);
	const struct pl_handshake_keys keys = keys_of(w, as, PL_NODE_NONE);
	pl_handshake_listen(&m->handshake);
	for (int ms = 0; ms < HANDSHAKE_MS_MAX && !pl_handshake_is_done(&m->handshake) && world_raw_open(w, m->link); ms++) {
		world_run_ms(w, 1);
		feed(m, &keys, ephemerals[1]);
	}
	return split(m);
}

void member_free(struct member *m)
{
	if (!m)
		return;
	world_raw_close(m->world, m->link);
	member_forget(m);
	free(m->heard);
	for (int c = 0; c < PL_CLASSES; c++)
		free(m->pieces[c].bytes);
	free(m);
}

/* --- saying --- */

size_t member_seal(struct member *m, uint8_t out[PL_RECORD_WIRE_BYTES_MAX])
{
	size_t record_bytes;

	if (pl_record_seal(&m->writer, m->record, m->collected, &record_bytes) != PL_OK)
		abort();
	m->collected = 0;
	memcpy(out, m->record, record_bytes);
	return record_bytes;
}

void member_flush(struct member *m)
{
	static uint8_t out[PL_RECORD_WIRE_BYTES_MAX];

	if (m->collected > 0)
		world_raw_send(m->world, m->link, out, member_seal(m, out));
}

void member_raw(struct member *m, const uint8_t *bytes, size_t count) { world_raw_send(m->world, m->link, bytes, count); }

void member_frame(struct member *m, uint8_t type, uint8_t flags, uint8_t lane, const void *payload, size_t count)
{
	assert(count <= PL_FRAME_PAYLOAD_BYTES_MAX);
	if (m->collected + PL_FRAME_HEADER_BYTES + count > PL_RECORD_PLAIN_BYTES_MAX)
		member_flush(m);
	uint8_t *p = m->record + 2 + m->collected;
	pl_frame_write_header(p, type, flags, lane, (uint32_t)count);
	if (count > 0)
		memcpy(p + PL_FRAME_HEADER_BYTES, payload, count);
	m->collected += PL_FRAME_HEADER_BYTES + count;
}

const uint8_t member_salt[PL_SALT_BYTES] = "a salt.";

static void say_hello(struct member *m, struct pl_hello hello, const uint8_t *root)
{
	uint8_t payload[PL_HELLO_BYTES_MAX];

	hello.version = PL_PROTOCOL_VERSION;
	hello.charter_epoch = world_charter(m->world)->epoch;
	memcpy(hello.charter_hash, world_charter(m->world)->network_id, PL_ID_BYTES);
	if (root)
		memcpy(hello.frontier_root, root, PL_ID_BYTES);
	else
		hello.frontier_root[0] = 1;
	member_frame(m, PL_FRAME_HELLO, 0, 0, payload, pl_hello_write(&hello, payload));
}

void member_hello(struct member *m, const uint8_t *root, uint32_t credit_bytes)
{
	say_hello(m, (struct pl_hello){ .credit_bytes = credit_bytes }, root);
}

void member_hello_tags(struct member *m, const uint8_t *root, const uint8_t *tags, uint16_t count)
{
	struct pl_hello hello = { .credit_bytes = PL_CREDIT_BYTES, .capabilities = PL_CAP_TAGS, .tags = tags, .tags_count = count };

	assert(count <= PL_GROUPS_MAX);
	memcpy(hello.salt, member_salt, sizeof(hello.salt));
	say_hello(m, hello, root);
}

void member_go_live(struct member *m)
{
	member_hello(m, NULL, PL_CREDIT_BYTES);
	member_frame(m, PL_FRAME_FRONTIER, PL_FRAME_LAST, 0, NULL, 0);
	member_flush(m);
	member_run_ms(m, 10);
}

void member_item(struct member *m, uint8_t type, uint8_t flags, uint16_t node, uint8_t lane, uint64_t seq, const uint8_t *head_id)
{
	struct pl_item item = { .node = node, .lane = lane, .seq = seq };
	uint8_t payload[PL_ITEM_BYTES];

	item.generation = node < world_charter(m->world)->nodes_count ? world_charter(m->world)->nodes[node].certificate.generation : 1;
	if (head_id)
		memcpy(item.head_id, head_id, sizeof(item.head_id));
	pl_item_write(&item, payload);
	member_frame(m, type, flags, 0, payload, sizeof(payload));
}

void member_want(struct member *m, uint16_t node, uint8_t lane, uint64_t from, uint64_t to, uint8_t flags)
{
	struct pl_want want = { .node = node, .lane = lane, .flags = flags, .generation = 1, .from = from, .to = to };
	uint8_t payload[PL_WANT_BYTES];

	pl_want_write(&want, payload);
	member_frame(m, PL_FRAME_WANT, 0, 0, payload, sizeof(payload));
}

void member_credit(struct member *m, uint32_t bytes)
{
	uint8_t payload[4];

	pl_put32(payload, bytes);
	member_frame(m, PL_FRAME_CREDIT, 0, 0, payload, sizeof(payload));
}

/* --- hearing --- */

static void keep(struct member *m, uint8_t type, uint8_t flags, uint8_t lane, const uint8_t *payload, uint32_t count)
{
	if (m->heard_count == m->heard_max) {
		m->heard_max = m->heard_max ? 2 * m->heard_max : 64;
		m->heard = realloc(m->heard, m->heard_max * sizeof(*m->heard));
	}
	struct member_heard *h = &m->heard[m->heard_count++];
	*h = (struct member_heard){ .at_ms = world_now(m->world), .type = type, .flags = flags, .lane = lane, .payload_bytes = count };
	h->payload = malloc(count + 1);
	memcpy(h->payload, payload, count);
}

/* What a node sends in pieces has to fit together, too. */
static void piece(struct member *m, const struct pl_frame *frame)
{
	const int class = frame->flags & PL_FRAME_FLASH ? PL_CLASS_FLASH : PL_CLASS_LANE0 + frame->lane;
	const uint8_t *bytes = frame->payload;
	uint32_t count = frame->payload_bytes;

	if (frame->flags & PL_FRAME_FIRST) {
		assert(m->pieces[class].have == m->pieces[class].total && count >= 4);
		m->pieces[class].total = pl_get32(bytes);
		m->pieces[class].have = 0;
		m->pieces[class].bytes = realloc(m->pieces[class].bytes, m->pieces[class].total);
		bytes += 4;
		count -= 4;
	}
	assert(count <= m->pieces[class].total - m->pieces[class].have);
	memcpy(m->pieces[class].bytes + m->pieces[class].have, bytes, count);
	m->pieces[class].have += count;
	assert(((frame->flags & PL_FRAME_LAST) != 0) == (m->pieces[class].have == m->pieces[class].total));
	if (frame->flags & PL_FRAME_LAST)
		keep(m, PL_FRAME_ENTRY, frame->flags & (PL_FRAME_FLASH | PL_FRAME_CATCHUP), frame->lane, m->pieces[class].bytes,
		     m->pieces[class].total);
}

void member_listen(struct member *m)
{
	static uint8_t bytes[1 << 20];
	size_t count;

	while (!m->stalled && (count = world_raw_take(m->world, m->link, bytes, sizeof(bytes))) > 0) {
		for (size_t at = 0; at < count;) {
			static uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX];
			size_t consumed, plain_bytes, in_plain = 0;
			if (pl_record_read(&m->reader, bytes + at, count - at, &consumed, plain, &plain_bytes) != PL_OK)
				abort(); /* whatever a member does, what it is sent is sound */
			at += consumed;
			while (in_plain < plain_bytes) {
				struct pl_frame frame;
				if (pl_frame_next(plain, plain_bytes, &in_plain, &frame) != PL_OK)
					abort();
				if (frame.type == PL_FRAME_PAD)
					continue;
				if (frame.type == PL_FRAME_FRAG)
					piece(m, &frame);
				else
					keep(m, frame.type, frame.flags, frame.lane, frame.payload, frame.payload_bytes);
				if (frame.type == PL_FRAME_PING && !m->mute)
					member_frame(m, PL_FRAME_PONG, 0, 0, frame.payload, 8);
			}
		}
		if (!m->mute)
			member_flush(m);
	}
}

void member_mute(struct member *m) { m->mute = true; }

void member_stall(struct member *m)
{
	m->stalled = true;
	world_raw_stall(m->world, m->link);
}

void member_run_ms(struct member *m, uint64_t ms)
{
	for (uint64_t i = 0; i < ms;) {
		const uint64_t step = ms - i < 100 ? 1 : 10; /* the last 100 ms closely, for what is measured */
		world_run_ms(m->world, step);
		member_listen(m);
		i += step;
	}
}

bool member_is_open(struct member *m) { return world_raw_open(m->world, m->link); }

size_t member_heard_count(const struct member *m) { return m->heard_count; }
const struct member_heard *member_heard(const struct member *m, size_t n) { return &m->heard[n]; }

uint32_t member_heard_of(const struct member *m, uint8_t type)
{
	uint32_t count = 0;

	for (size_t i = 0; i < m->heard_count; i++)
		count += m->heard[i].type == type;
	return count;
}

void member_forget(struct member *m)
{
	while (m->heard_count > 0)
		free(m->heard[--m->heard_count].payload);
}

bool member_heard_hello(const struct member *m, struct pl_hello *out)
{
	for (size_t i = 0; i < m->heard_count; i++) {
		if (m->heard[i].type == PL_FRAME_HELLO)
			return pl_hello_read(m->heard[i].payload, m->heard[i].payload_bytes, out) == PL_OK;
	}
	return false;
}

uint8_t member_bye(const struct member *m)
{
	for (size_t i = 0; i < m->heard_count; i++) {
		if (m->heard[i].type == PL_FRAME_BYE)
			return m->heard[i].payload_bytes > 0 ? m->heard[i].payload[0] : 0;
	}
	return 0;
}

uint32_t member_copies(const struct member *m, uint16_t author, uint8_t lane, uint64_t seq)
{
	uint32_t copies = 0;

	for (size_t i = 0; i < m->heard_count; i++) {
		struct pl_wire wire;
		if (m->heard[i].type == PL_FRAME_ENTRY && pl_wire_read(m->heard[i].payload, m->heard[i].payload_bytes, &wire) == PL_OK)
			copies += wire.node == author && wire.header.lane == lane && wire.header.seq == seq;
	}
	return copies;
}

uint64_t member_told(const struct member *m, uint8_t type, uint16_t node, uint8_t lane)
{
	uint64_t seq = 0;

	for (size_t i = 0; i < m->heard_count; i++) {
		for (uint32_t at = 0; m->heard[i].type == type && at + PL_ITEM_BYTES <= m->heard[i].payload_bytes; at += PL_ITEM_BYTES) {
			struct pl_item item;
			if (pl_item_read(m->heard[i].payload + at, &item) != PL_OK)
				abort();
			if (item.node == node && item.lane == lane && item.seq > seq)
				seq = item.seq;
		}
	}
	return seq;
}

bool member_asked(const struct member *m, uint16_t node, uint8_t lane, struct pl_want *out)
{
	bool asked = false;

	for (size_t i = 0; i < m->heard_count; i++) {
		struct pl_want want;
		if (m->heard[i].type != PL_FRAME_WANT)
			continue;
		if (m->heard[i].payload_bytes != PL_WANT_BYTES || pl_want_read(m->heard[i].payload, &want) != PL_OK)
			abort();
		if (want.node != node || want.lane != lane)
			continue;
		*out = want;
		asked = true;
	}
	return asked;
}

/* --- entries --- */

struct made make_entry(struct world *w, uint16_t node, struct pl_header header, const void *body, uint32_t body_bytes)
{
	struct made made = { .node = node, .lane = header.lane, .body_bytes = body_bytes };

	made.body = world_room(w, body_bytes);
	memcpy(made.body, body, body_bytes);
	memcpy(header.author, world_charter(w)->nodes[node].certificate.node_id, PL_NODE_ID_BYTES);
	header.body_bytes = body_bytes;
	if (header.time_ms == 0)
		header.time_ms = world_wall(w);
	pl_body_hash(made.body, body_bytes, header.body_hash);
	pl_header_encode(&header, made.entry_header);
	pl_entry_sign(world_charter(w)->network_id, world_config(w, node)->sign_secret, made.entry_header);
	pl_entry_id(world_charter(w)->network_id, made.entry_header, made.id);
	return made;
}

struct made author_next(struct world *w, struct author *a, uint8_t lane, uint8_t flags, uint32_t body_bytes)
{
	struct pl_header header = { .lane = lane, .kind = lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE, .flags = flags, .generation = 1 };
	uint8_t *body = world_room(w, body_bytes);

	header.seq = ++a->lanes[lane].seq;
	header.gseq = ++a->gseq;
	header.time_ms = world_wall(w);
	memcpy(header.prev, a->lanes[lane].id, PL_ID_BYTES);
	for (int i = 0; i < 2; i++) {
		const int other = (lane + 1 + i) % PL_LANES;
		header.others[i].seq = a->lanes[other].seq;
		memcpy(header.others[i].id8, a->lanes[other].id, PL_HEAD8_BYTES);
	}
	for (uint32_t i = 0; i < body_bytes; i++)
		body[i] = (uint8_t)(header.gseq + i);
	struct made made = make_entry(w, a->node, header, body, body_bytes);
	memcpy(a->lanes[lane].id, made.id, PL_ID_BYTES);
	return made;
}

size_t made_wire(const struct made *made, uint8_t form, uint8_t *out, size_t out_max)
{
	return pl_wire_write(made->node, form, made->entry_header, made->body, made->body_bytes, out, out_max);
}

static void put_piece(void *ctx, uint8_t type, uint8_t flags, uint8_t lane, const uint8_t *payload, size_t count)
{
	member_frame(ctx, type, flags, lane, payload, count);
}

static void send_entry(struct member *m, const struct made *made, uint8_t form, uint8_t flags)
{
	static uint8_t wire[PL_WIRE_BYTES_MAX];

	in_pieces(wire, made_wire(made, form, wire, sizeof(wire)), flags, made->lane, put_piece, m);
}

void member_entry(struct member *m, const struct made *made, uint8_t flags) { send_entry(m, made, PL_WIRE_FORM_NEXT, flags); }
void member_entry_full(struct member *m, const struct made *made) { send_entry(m, made, PL_WIRE_FORM_FULL, 0); }
