#include "proto/frame.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"

/* What every number is tried with: 0, 1, both sides of each width. */
static const uint64_t edges[] = { 0, 1, 0xff, 0x100, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, INT64_MAX,
	                          1ULL << 63, UINT64_MAX - 1, UINT64_MAX };
#define EDGES (sizeof(edges) / sizeof(*edges))

/* Memory of its own size, so that a sanitizer sees a read past the end. Freed by the test's process ending. */
static uint8_t *copy_of(const uint8_t *bytes, size_t count)
{
	uint8_t *copy = malloc(count ? count : 1);

	memcpy(copy, bytes, count);
	return copy;
}

/* --- frames in a record --- */

Test(frame, a_record_is_frames_and_then_zeros)
{
	uint8_t plain[256] = { 0 };
	struct pl_frame frame;
	size_t at = 0;

	pl_frame_write_header(plain, PL_FRAME_PING, PL_FRAME_OPTIONAL, 2, 3);
	memcpy(plain + 8, "abc", 3);
	pl_frame_write_header(plain + 11, PL_FRAME_BYE, 0, 0, 0);
	cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), PL_OK);
	cr_assert_eq(frame.type, PL_FRAME_PING);
	cr_assert_eq(frame.flags, PL_FRAME_OPTIONAL);
	cr_assert_eq(frame.lane, 2);
	cr_assert_eq(frame.payload_bytes, 3);
	cr_assert_eq(frame.payload, plain + 8);
	cr_assert_eq(at, 11);
	cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), PL_OK);
	cr_assert_eq(frame.type, PL_FRAME_BYE);
	cr_assert_eq(frame.payload_bytes, 0);
	cr_assert_eq(at, 19);
	cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), PL_OK);
	cr_assert_eq(frame.type, PL_FRAME_PAD);
	cr_assert_eq(at, sizeof(plain));
}

Test(frame, a_frame_lies_within_its_record_wherever_that_ends)
{
	uint8_t bytes[40];

	pl_frame_write_header(bytes, PL_FRAME_PING, 0, 0, 32);
	memset(bytes + 8, 1, 32);
	for (size_t count = 0; count <= sizeof(bytes); count++) {
		struct pl_frame frame;
		size_t at = 0;
		uint8_t *plain = copy_of(bytes, count);
		enum pl_err err = pl_frame_next(plain, count, &at, &frame);
		if (count == 0)
			cr_assert(err == PL_OK && frame.type == PL_FRAME_PAD && at == 0);
		else if (count < 8)
			cr_assert_eq(err, PL_ERR_FORMAT, "fewer than 8 bytes that are not zeros");
		else
			cr_assert_eq(err, count == sizeof(bytes) ? PL_OK : PL_ERR_SHORT, "%zu bytes", count);
		cr_assert(err == PL_OK || at == 0);
		free(plain);
	}
}

Test(frame, payload_lengths_at_the_edges)
{
	static uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX];
	struct pl_frame frame;

	for (size_t i = 0; i < EDGES && edges[i] <= UINT32_MAX; i++) {
		size_t at = 0;
		pl_frame_write_header(plain, PL_FRAME_PING, 0, 0, (uint32_t)edges[i]);
		cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), edges[i] <= PL_FRAME_PAYLOAD_BYTES_MAX ? PL_OK : PL_ERR_SHORT);
	}
	for (uint32_t over = 0; over < 2; over++) {
		size_t at = 0;
		pl_frame_write_header(plain, PL_FRAME_PING, 0, 0, PL_FRAME_PAYLOAD_BYTES_MAX + over);
		cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), over ? PL_ERR_SHORT : PL_OK);
		at = 100; /* not from the start */
		pl_frame_write_header(plain + 100, PL_FRAME_PING, 0, 0, PL_FRAME_PAYLOAD_BYTES_MAX - 100 + over);
		cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), over ? PL_ERR_SHORT : PL_OK);
	}
}

Test(frame, lanes_reserved_bytes_and_padding_have_one_form)
{
	for (uint32_t value = 0; value < 256; value++) {
		uint8_t plain[256] = { 0 };
		struct pl_frame frame;
		size_t at = 0;
		pl_frame_write_header(plain, PL_FRAME_PING, 0, (uint8_t)value, 0);
		cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), value < PL_LANES ? PL_OK : PL_ERR_FORMAT);
		pl_frame_write_header(plain, PL_FRAME_PING, 0, 0, 0);
		plain[3] = (uint8_t)value;
		at = 0;
		cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), value == 0 ? PL_OK : PL_ERR_FORMAT);
		memset(plain, 0, sizeof(plain));
		plain[value] = 1;
		at = 0;
		/* at 0 it is a HELLO of no payload, and the zeros after it are padding */
		cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), value == 0 ? PL_OK : PL_ERR_FORMAT, "a 1 at %u", value);
		/* the last bytes, too few for a frame */
		memset(plain, 0, sizeof(plain));
		at = 249;
		plain[255] = (uint8_t)value;
		cr_assert_eq(pl_frame_next(plain, sizeof(plain), &at, &frame), value == 0 ? PL_OK : PL_ERR_FORMAT);
	}
}

Test(frame, the_smallest_padding_that_holds_it)
{
	static const size_t sizes[] = { 256, 1024, 4096, 16384 };
	size_t next = 0;

	for (size_t bytes = 0; bytes <= PL_RECORD_PLAIN_BYTES_MAX; bytes++) {
		if (bytes > sizes[next])
			next++;
		cr_assert_eq(pl_record_padded(bytes), sizes[next], "%zu", bytes);
	}
}

/* --- items, WANT, HELLO --- */

Test(frame, items_come_back_as_they_were)
{
	for (size_t i = 0; i < EDGES; i++) {
		struct pl_item item = { .node = (uint16_t)edges[i], .lane = (uint8_t)(i % PL_LANES), .generation = (uint32_t)edges[i], .seq = edges[i] };
		struct pl_item back = { 0 };
		uint8_t bytes[PL_ITEM_BYTES];
		memset(item.head_id, (int)i, sizeof(item.head_id));
		pl_item_write(&item, bytes);
		if (item.seq == 0) {
			cr_assert_eq(pl_item_read(bytes, &back), PL_ERR_FORMAT, "a lane without entries has no head to name");
			continue;
		}
		cr_assert_eq(pl_item_read(bytes, &back), PL_OK);
		cr_assert_eq(back.node, item.node);
		cr_assert_eq(back.lane, item.lane);
		cr_assert_eq(back.generation, item.generation);
		cr_assert_eq(back.seq, item.seq);
		cr_assert_arr_eq(back.head_id, item.head_id, sizeof(item.head_id));
	}
	/* where each field stands */
	static const uint8_t golden[PL_ITEM_BYTES] = { 1, 2, 2, 0, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
		                                     23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46 };
	struct pl_item item;
	cr_assert_eq(pl_item_read(golden, &item), PL_OK);
	cr_assert(item.node == 0x0102 && item.lane == 2 && item.generation == 0x03040506 && item.seq == 0x0708090a0b0c0d0eULL && item.head_id[0] == 15 && item.head_id[31] == 46);
}

Test(frame, an_item_has_a_lane_that_exists_and_a_zero)
{
	for (uint32_t value = 0; value < 256; value++) {
		uint8_t bytes[PL_ITEM_BYTES] = { [15] = 1 };
		struct pl_item item;
		bytes[2] = (uint8_t)value;
		cr_assert_eq(pl_item_read(bytes, &item), value < PL_LANES ? PL_OK : PL_ERR_FORMAT);
		bytes[2] = 0;
		bytes[3] = (uint8_t)value;
		cr_assert_eq(pl_item_read(bytes, &item), value == 0 ? PL_OK : PL_ERR_FORMAT);
	}
}

static enum pl_err want_back(const struct pl_want *want, struct pl_want *back)
{
	uint8_t bytes[PL_WANT_BYTES];

	pl_want_write(want, bytes);
	return pl_want_read(bytes, back);
}

Test(frame, a_want_asks_for_one_to_65536_entries)
{
	static const struct {
		uint64_t from, to;
		uint8_t flags;
		enum pl_err err;
	} cases[] = {
		{ 0, 0, 0, PL_ERR_FORMAT }, { 0, 1, 0, PL_ERR_FORMAT }, { 1, 0, 0, PL_ERR_FORMAT }, { 1, 1, 0, PL_OK }, { 2, 1, 0, PL_ERR_FORMAT },
		{ 1, 65536, 0, PL_OK }, { 1, 65537, 0, PL_ERR_LIMIT }, { 1, UINT64_MAX, 0, PL_ERR_LIMIT }, { UINT64_MAX, UINT64_MAX, 0, PL_OK },
		{ UINT64_MAX, 1, 0, PL_ERR_FORMAT }, { UINT64_MAX - 65535, UINT64_MAX, 0, PL_OK }, { UINT64_MAX - 65536, UINT64_MAX, 0, PL_ERR_LIMIT },
		{ 1ULL << 63, 1ULL << 63, 0, PL_OK }, { INT64_MAX, 1ULL << 63, 0, PL_OK }, { 1u << 31, 1u << 31, 0, PL_OK },
		{ 1, 1, PL_WANT_FULL, PL_OK }, { 1, 2, PL_WANT_FULL, PL_ERR_LIMIT }, { 0, 0, PL_WANT_FULL, PL_ERR_FORMAT },
		{ UINT64_MAX, UINT64_MAX, PL_WANT_FULL, PL_OK }, { 1, 1, 0x02, PL_ERR_FORMAT }, { 1, 1, 0x80, PL_ERR_FORMAT },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pl_want want = { .node = 0xfffe, .lane = 1, .flags = cases[i].flags, .generation = 0x80000001, .from = cases[i].from, .to = cases[i].to };
		struct pl_want back = { .node = 77 };
		cr_assert_eq(want_back(&want, &back), cases[i].err, "case %zu", i);
		if (cases[i].err != PL_OK) {
			cr_assert_eq(back.node, 77, "outputs are set on success only");
			continue;
		}
		cr_assert(back.node == want.node && back.lane == want.lane && back.flags == want.flags && back.generation == want.generation &&
		          back.from == want.from && back.to == want.to);
	}
	struct pl_want lane = { .lane = 3, .from = 1, .to = 1 }, back;
	cr_assert_eq(want_back(&lane, &back), PL_ERR_FORMAT);
}

Test(frame, hello_comes_back_and_may_be_longer_but_not_shorter)
{
	for (size_t i = 0; i < EDGES; i++) {
		struct pl_hello hello = { .version = 1, .capabilities = (uint32_t)edges[i] & ~PL_CAP_TAGS, .charter_epoch = (uint32_t)edges[i],
			                  .credit_bytes = (uint32_t)edges[i] }, back;
		uint8_t bytes[PL_HELLO_BYTES + 40];
		memset(bytes, 0xee, sizeof(bytes));
		memset(hello.charter_hash, 1, sizeof(hello.charter_hash));
		memset(hello.frontier_root, 2, sizeof(hello.frontier_root));
		pl_hello_write(&hello, bytes);
		for (size_t count = 0; count <= sizeof(bytes); count++) {
			uint8_t *copy = copy_of(bytes, count);
			cr_assert_eq(pl_hello_read(copy, count, &back), count < PL_HELLO_BYTES ? PL_ERR_SHORT : PL_OK);
			free(copy);
		}
		cr_assert(back.version == 1 && back.capabilities == hello.capabilities && back.charter_epoch == hello.charter_epoch &&
		          back.credit_bytes == hello.credit_bytes);
		cr_assert_arr_eq(back.charter_hash, hello.charter_hash, PL_ID_BYTES);
		cr_assert_arr_eq(back.frontier_root, hello.frontier_root, PL_ID_BYTES);
	}
}

Test(frame, hello_with_tags_has_all_that_it_announces)
{
	static const uint16_t counts[] = { 0, 1, 6, PL_GROUPS_MAX };
	uint8_t tags[PL_GROUPS_MAX * PL_TAG_BYTES], bytes[PL_HELLO_BYTES_MAX + 40];

	for (size_t i = 0; i < sizeof(tags); i++)
		tags[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		struct pl_hello hello = { .version = 1, .capabilities = PL_CAP_TAGS, .salt = { 1, 2, 3, 4, 5, 6, 7, 8 }, .tags = tags,
			                  .tags_count = counts[i] };
		memset(bytes, 0xee, sizeof(bytes));
		const size_t written = pl_hello_write(&hello, bytes);
		cr_assert_eq(written, PL_HELLO_TAGS_AT + counts[i] * PL_TAG_BYTES);
		for (size_t count = 0; count <= written + 40; count++) {
			struct pl_hello back = { .tags_count = 77 };
			uint8_t *copy = copy_of(bytes, count);
			cr_assert_eq(pl_hello_read(copy, count, &back), count < written ? PL_ERR_SHORT : PL_OK);
			cr_assert_eq(back.tags_count, count < written ? 77 : counts[i], "outputs are set on success only");
			if (count >= written) {
				cr_assert_arr_eq(back.salt, hello.salt, PL_SALT_BYTES);
				cr_assert((back.tags == NULL) == (counts[i] == 0));
				cr_assert_eq(memcmp(copy + PL_HELLO_TAGS_AT, tags, counts[i] * PL_TAG_BYTES), 0);
			}
			free(copy);
		}
		for (int at = 90; at < 92; at++) {
			struct pl_hello back;
			bytes[at] = 1;
			cr_assert_eq(pl_hello_read(bytes, written, &back), PL_ERR_FORMAT);
			bytes[at] = 0;
		}
	}
}

Test(frame, heads_of_lanes_come_back_and_have_one_form)
{
	const uint8_t tag[PL_TAG_BYTES] = { 9, 8, 7, 6, 5, 4, 3, 2 };

	for (size_t i = 0; i < EDGES; i++) {
		uint8_t bytes[2 * PL_LANE_HEAD_BYTES_MAX];
		const size_t written = pl_lane_head_write(edges[i], tag, bytes);
		cr_assert_leq(written, PL_LANE_HEAD_BYTES_MAX);
		for (size_t count = 0; count <= written; count++) {
			uint8_t *copy = copy_of(bytes, count);
			const uint8_t *back_tag = copy;
			uint64_t back = 77;
			size_t at = 0;
			cr_assert_eq(pl_lane_head_read(copy, count, &at, &back, &back_tag), count < written ? PL_ERR_SHORT : PL_OK);
			cr_assert_eq(at, count < written ? 0 : written);
			cr_assert_eq(back, count < written ? 77 : edges[i]);
			if (count == written)
				cr_assert(edges[i] == 0 ? back_tag == NULL : memcmp(back_tag, tag, sizeof(tag)) == 0);
			free(copy);
		}
	}
	/* where each field stands */
	static const uint8_t golden[] = { 0, 1, 5, 11, 12, 13, 14, 15, 16, 17, 18, 2, 1, 0, 21, 22, 23, 24, 25, 26, 27, 28 };
	static const uint64_t seqs[] = { 0, 5, 256 };
	size_t at = 0;
	for (int i = 0; i < 3; i++) {
		const uint8_t *found;
		uint64_t seq;
		cr_assert_eq(pl_lane_head_read(golden, sizeof(golden), &at, &seq, &found), PL_OK);
		cr_assert_eq(seq, seqs[i]);
		cr_assert(i == 0 ? found == NULL : found[0] == 1 + 10 * i && found[7] == 8 + 10 * i);
	}
	cr_assert_eq(at, sizeof(golden));
	/* zeros in front, and more bytes than a number has */
	for (uint32_t n = 1; n < 256; n++) {
		uint8_t bytes[256 + 1 + PL_TAG_BYTES] = { (uint8_t)n };
		const uint8_t *found;
		uint64_t seq;
		for (int front = 0; front < 2; front++) {
			at = 0;
			bytes[1] = (uint8_t)front;
			cr_assert_eq(pl_lane_head_read(bytes, sizeof(bytes), &at, &seq, &found), n > 8 || front == 0 ? PL_ERR_FORMAT : PL_OK);
		}
	}
}

Test(frame, hello_has_a_version_and_two_zeros)
{
	struct pl_hello hello = { .version = 1 }, back;
	uint8_t bytes[PL_HELLO_BYTES];

	for (size_t i = 0; i < EDGES; i++) {
		hello.version = (uint16_t)edges[i];
		pl_hello_write(&hello, bytes);
		cr_assert_eq(pl_hello_read(bytes, sizeof(bytes), &back), hello.version == 0 ? PL_ERR_VERSION : PL_OK, "version %u", hello.version);
	}
	for (int i = 2; i < 4; i++) {
		pl_hello_write(&hello, bytes);
		bytes[i] = 1;
		cr_assert_eq(pl_hello_read(bytes, sizeof(bytes), &back), PL_ERR_FORMAT);
	}
}

/* --- entries on the wire --- */

static const uint8_t body[PL_BODY_BYTES_MAX + 1] = { 1, 2, 3 };

static struct pl_header sample(void)
{
	struct pl_header h = { .lane = 1, .kind = PL_KIND_MESSAGE, .flags = 0x20, .charter_epoch = 0x01020304, .generation = 0x05060708, .seq = 9,
	                       .gseq = 0x1112131415161718, .time_ms = 0x2122232425262728 };
	memset(h.author, 0x31, sizeof(h.author));
	memset(h.prev, 0x32, sizeof(h.prev));
	for (int i = 0; i < 2; i++) {
		h.others[i].seq = (uint64_t)i + 4;
		memset(h.others[i].id8, 0x33 + i, sizeof(h.others[i].id8));
	}
	return h;
}

/* A header in its wire form, in memory of just that size. */
static uint8_t *wire_of(struct pl_header *h, uint8_t form, uint32_t body_bytes, size_t *wire_bytes)
{
	uint8_t entry[PL_ENTRY_HEADER_BYTES];
	const size_t room = PL_WIRE_PREFIX + body_bytes;
	uint8_t *wire = malloc(room);

	h->body_bytes = body_bytes;
	pl_body_hash(body, body_bytes, h->body_hash);
	pl_header_encode(h, entry);
	memset(entry + PL_HEADER_BYTES, 0x41, PL_SIGN_BYTES);
	*wire_bytes = pl_wire_write(0x0203, form, entry, body, body_bytes, wire, room);
	cr_assert_eq(*wire_bytes, PL_WIRE_PREFIX + body_bytes);
	return realloc(wire, *wire_bytes);
}

Test(frame, an_entry_loses_on_the_wire_only_what_the_receiver_has)
{
	for (uint8_t form = 0; form < 2; form++) {
		struct pl_header h = sample();
		struct pl_wire wire;
		size_t wire_bytes;
		uint8_t *bytes = wire_of(&h, form, 100, &wire_bytes), encoded[2][PL_HEADER_BYTES];
		cr_assert_eq(pl_wire_read(bytes, wire_bytes, &wire), PL_OK);
		cr_assert_eq(wire.node, 0x0203);
		cr_assert_eq(wire.form, form);
		cr_assert_eq(wire.body_bytes, 100);
		cr_assert_arr_eq(wire.body, body, 100);
		cr_assert_arr_eq(wire.header.prev, h.prev, PL_ID_BYTES);
		for (int i = 0; i < PL_SIGN_BYTES; i++)
			cr_assert_eq(wire.signature[i], 0x41);
		/* with author and body hash put back the header is the one that was signed */
		memcpy(wire.header.author, h.author, sizeof(h.author));
		memcpy(wire.header.body_hash, h.body_hash, sizeof(h.body_hash));
		pl_header_encode(&h, encoded[0]);
		pl_header_encode(&wire.header, encoded[1]);
		cr_assert_arr_eq(encoded[0], encoded[1], PL_HEADER_BYTES, "form %u", form);
		free(bytes);
	}
}

Test(frame, an_entry_cut_anywhere_is_short_or_has_less_body)
{
	for (uint8_t form = 0; form < 2; form++) {
		struct pl_header h = sample();
		const size_t prefix = PL_WIRE_PREFIX;
		size_t wire_bytes;
		uint8_t *bytes = wire_of(&h, form, 50, &wire_bytes);
		for (size_t count = 0; count <= wire_bytes; count++) {
			struct pl_wire wire = { .node = 7 };
			uint8_t *copy = copy_of(bytes, count);
			enum pl_err err = pl_wire_read(copy, count, &wire);
			cr_assert_eq(err, count < prefix ? PL_ERR_SHORT : PL_OK, "form %u, %zu bytes", form, count);
			cr_assert_eq(wire.node, err == PL_OK ? 0x0203 : 7);
			cr_assert(err != PL_OK || wire.body_bytes == count - prefix);
			free(copy);
		}
		free(bytes);
	}
}

Test(frame, a_body_may_be_as_long_as_its_kind_allows)
{
	static const struct {
		uint8_t lane, kind, flags;
		uint32_t max;
	} kinds[] = {
		{ 0, PL_KIND_EPOCH_KEY, 0, PL_EPOCH_KEY_BODY_BYTES_MAX }, { 0, PL_KIND_MESSAGE, 0, PL_BODY_BYTES_MAX },
		{ 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, PL_FLASH_BODY_BYTES_MAX }, { 1, PL_KIND_MESSAGE, 0, PL_BODY_BYTES_MAX },
		{ 1, PL_KIND_RECEIPTS, 0, PL_BODY_BYTES_MAX }, { 1, PL_KIND_CHANNEL, 0, PL_BODY_BYTES_MAX },
		{ 2, PL_KIND_INDICATORS, 0, PL_BODY_BYTES_MAX }, { 2, PL_KIND_ATTACHMENT, 0, PL_CHUNK_BODY_BYTES_MAX },
	};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		const uint32_t sizes[] = { 0, 1, kinds[i].max, kinds[i].max + 1 };
		for (int k = 0; k < 4; k++) {
			struct pl_header h = sample();
			struct pl_wire wire;
			size_t wire_bytes;
			h.lane = kinds[i].lane;
			h.kind = kinds[i].kind;
			h.flags = kinds[i].flags;
			uint8_t *bytes = wire_of(&h, k % 2, sizes[k], &wire_bytes);
			cr_assert_eq(pl_wire_read(bytes, wire_bytes, &wire), k < 3 ? PL_OK : PL_ERR_LIMIT, "kind %zu, size %u", i, sizes[k]);
			cr_assert(wire_bytes <= PL_WIRE_BYTES_MAX || k == 3);
			free(bytes);
		}
	}
}

Test(frame, every_byte_of_the_prefix_that_has_a_rule_is_held_to_it)
{
	for (uint32_t value = 0; value < 256; value++) {
		struct pl_header h = sample();
		struct pl_wire wire;
		size_t wire_bytes;
		uint8_t *bytes = wire_of(&h, PL_WIRE_FORM_NEXT, 40, &wire_bytes);
		const struct {
			size_t at;
			bool ok;
		} rules[] = {
			{ 2, value < 2 },                                       /* form */
			{ 3, value == 0 || value == 1 },                        /* lane: where messages stand */
			{ 4, value >= PL_KIND_MESSAGE && value <= PL_KIND_CHANNEL }, /* kind: what stands in lane 1 */
			{ 5, (value & ~PL_FLAG_RETAIN_MASK) == 0 },             /* flags: no FLASH in lane 1 */
			{ 6, value == 0 }, { 7, value == 0 },
		};
		for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
			const uint8_t was = bytes[rules[i].at];
			bytes[rules[i].at] = (uint8_t)value;
			cr_assert_eq(pl_wire_read(bytes, wire_bytes, &wire) == PL_OK, rules[i].ok, "byte %zu is %u", rules[i].at, value);
			bytes[rules[i].at] = was;
		}
		free(bytes);
	}
}

Test(frame, numbers_of_an_entry_at_the_edges)
{
	for (size_t i = 0; i < EDGES; i++) {
		for (int field = 0; field < 7; field++) {
			struct pl_header h = sample();
			struct pl_wire wire;
			size_t wire_bytes;
			const uint64_t v = edges[i];
			switch (field) {
			case 0: h.seq = v; break;
			case 1: h.gseq = v; break;
			case 2: h.time_ms = v; break;
			case 3: h.generation = (uint32_t)v; break;
			case 4: h.charter_epoch = (uint32_t)v; break;
			case 5: h.others[0].seq = v; break;
			default: h.others[1].seq = v; break;
			}
			uint8_t *bytes = wire_of(&h, PL_WIRE_FORM_NEXT, 1, &wire_bytes);
			const bool zero = field == 0 ? v == 0 : field == 1 ? v == 0 : field == 3 && (uint32_t)v == 0;
			cr_assert_eq(pl_wire_read(bytes, wire_bytes, &wire), zero ? PL_ERR_FORMAT : PL_OK, "field %d, value %zu", field, i);
			if (!zero)
				cr_assert(wire.header.seq == h.seq && wire.header.gseq == h.gseq && wire.header.time_ms == h.time_ms &&
				          wire.header.generation == h.generation && wire.header.charter_epoch == h.charter_epoch &&
				          wire.header.others[0].seq == h.others[0].seq && wire.header.others[1].seq == h.others[1].seq);
			free(bytes);
		}
	}
}
