#include <criterion/criterion.h>
#include <string.h>

#include "crypto/labels.h"
#include "proto/entry.h"

static const uint8_t network[PL_ID_BYTES] = "a network id of thirty-two bytes";

static struct pl_header sample(void)
{
	struct pl_header h = {
		.lane = 1, .kind = PL_KIND_MESSAGE, .flags = 2u << PL_FLAG_RETAIN_SHIFT,
		.charter_epoch = 0x01020304, .generation = 0x05060708, .body_bytes = 0x10203,
		.seq = 0x1112131415161718, .gseq = 0x7172737475767778, .time_ms = 0x3132333435363738,
		.others = { { .seq = 0x4142434445464748 }, { .seq = 0x0203040506070809 } },
	};

	memset(h.author, 0xa1, sizeof(h.author));
	memset(h.prev, 0xb2, sizeof(h.prev));
	memset(h.others[0].id8, 0xc3, sizeof(h.others[0].id8));
	memset(h.others[1].id8, 0xd4, sizeof(h.others[1].id8));
	memset(h.body_hash, 0xe5, sizeof(h.body_hash));
	return h;
}

static enum pl_err redecode(const struct pl_header *h)
{
	uint8_t bytes[PL_HEADER_BYTES];
	struct pl_header out;

	pl_header_encode(h, bytes);
	return pl_header_decode(bytes, &out);
}

Test(entry, layout_is_what_the_document_says)
{
	static const uint8_t numbers[40] = {
		1, 1, 2, 0x20, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1, 2, 3,
		0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78,
		0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38,
	};
	static const uint8_t heads[32] = {
		0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3, 0xc3,
		0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0xd4, 0xd4, 0xd4, 0xd4, 0xd4, 0xd4, 0xd4, 0xd4,
	};
	struct pl_header h = sample();
	uint8_t bytes[PL_HEADER_BYTES];

	pl_header_encode(&h, bytes);
	cr_assert_arr_eq(bytes, numbers, 40);
	cr_assert_arr_eq(bytes + PL_AUTHOR_OFFSET, h.author, 32);
	cr_assert_arr_eq(bytes + 72, h.prev, 32);
	cr_assert_arr_eq(bytes + 104, heads, 32);
	cr_assert_arr_eq(bytes + 136, h.body_hash, 32);
}

Test(entry, decoding_gives_back_what_was_encoded)
{
	struct pl_header h = sample(), out;
	uint8_t bytes[PL_HEADER_BYTES], again[PL_HEADER_BYTES];

	pl_header_encode(&h, bytes);
	cr_assert_eq(pl_header_decode(bytes, &out), PL_OK);
	cr_assert_eq(out.lane, h.lane);
	cr_assert_eq(out.kind, h.kind);
	cr_assert_eq(out.flags, h.flags);
	cr_assert_eq(out.charter_epoch, h.charter_epoch);
	cr_assert_eq(out.generation, h.generation);
	cr_assert_eq(out.body_bytes, h.body_bytes);
	cr_assert_eq(out.seq, h.seq);
	cr_assert_eq(out.gseq, h.gseq);
	cr_assert_eq(out.time_ms, h.time_ms);
	cr_assert_arr_eq(out.author, h.author, 32);
	cr_assert_arr_eq(out.prev, h.prev, 32);
	cr_assert_eq(out.others[1].seq, h.others[1].seq);
	cr_assert_arr_eq(out.others[0].id8, h.others[0].id8, 8);
	pl_header_encode(&out, again);
	cr_assert_arr_eq(again, bytes, PL_HEADER_BYTES);
}

Test(entry, output_is_untouched_by_an_error)
{
	struct pl_header h = sample(), out, before;
	uint8_t bytes[PL_HEADER_BYTES];

	memset(&out, 0x5a, sizeof(out));
	memcpy(&before, &out, sizeof(out));
	h.seq = 0;
	pl_header_encode(&h, bytes);
	cr_assert_eq(pl_header_decode(bytes, &out), PL_ERR_FORMAT);
	cr_assert_arr_eq((uint8_t *)&out, (uint8_t *)&before, sizeof(out));
}

Test(entry, only_version_1)
{
	struct pl_header h = sample(), out;
	uint8_t bytes[PL_HEADER_BYTES];

	pl_header_encode(&h, bytes);
	for (int version = 0; version < 256; version++) {
		bytes[0] = (uint8_t)version;
		cr_assert_eq(pl_header_decode(bytes, &out), version == 1 ? PL_OK : PL_ERR_VERSION);
	}
}

Test(entry, every_kind_in_every_lane)
{
	/* by kind: a bit for each lane that it may stand in */
	static const uint8_t lanes[256] = {
		[PL_KIND_EPOCH_KEY] = 1, [PL_KIND_MESSAGE] = 3, [PL_KIND_RECEIPTS] = 2, [PL_KIND_CHANNEL] = 2, [PL_KIND_INDICATORS] = 4,
		[PL_KIND_ATTACHMENT] = 4,
	};

	for (int kind = 0; kind < 256; kind++)
		for (int lane = 0; lane < 256; lane++) {
			struct pl_header h = sample();
			bool fits = lane < 3 && (lanes[kind] >> lane & 1);

			h.kind = (uint8_t)kind;
			h.lane = (uint8_t)lane;
			h.body_bytes = 16;
			cr_assert_eq(pl_kind_fits_lane(h.kind, h.lane), fits);
			cr_assert_eq(redecode(&h), fits ? PL_OK : PL_ERR_FORMAT, "kind %d lane %d", kind, lane);
		}
	for (int kind = 0; kind < 256; kind++)
		cr_assert_eq(strcmp(pl_kind_name((uint8_t)kind), "unknown") != 0, lanes[kind] != 0);
}

Test(entry, flags)
{
	for (int flags = 0; flags < 256; flags++) {
		struct pl_header h = sample();

		h.flags = (uint8_t)flags;
		h.body_bytes = 1;
		cr_assert_eq(redecode(&h), flags & ~0x30 ? PL_ERR_FORMAT : PL_OK, "flags %02x in lane 1", flags);
		h.lane = 0;
		cr_assert_eq(redecode(&h), flags & ~0x31 ? PL_ERR_FORMAT : PL_OK, "flags %02x in lane 0", flags);
	}
}

Test(entry, counters_start_at_1)
{
	struct pl_header h = sample();

	h.generation = 0;
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
	h = sample();
	h.seq = 0;
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
	h = sample();
	h.gseq = 0;
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
}

Test(entry, prev_is_zero_exactly_at_the_start)
{
	struct pl_header h = sample();

	h.seq = 1;
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
	memset(h.prev, 0, sizeof(h.prev));
	cr_assert_eq(redecode(&h), PL_OK);
	h.seq = 2;
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
	h.prev[31] = 1;
	cr_assert_eq(redecode(&h), PL_OK);
}

Test(entry, heads_add_up)
{
	struct pl_header h = sample();

	h.seq = 5;
	h.others[0].seq = 3;
	h.others[1].seq = 2;
	h.gseq = 10;
	cr_assert_eq(redecode(&h), PL_OK);
	h.gseq = 9;
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
	h.gseq = 7;
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
	h.gseq = 4;
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);

	/* sums that wrap around to something small */
	h.gseq = UINT64_MAX;
	h.seq = UINT64_MAX;
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
	h.seq = 1ULL << 63;
	h.others[0].seq = 1ULL << 63;
	h.others[1].seq = 0;
	memset(h.others[1].id8, 0, 8);
	cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
	h.others[0].seq--;
	cr_assert_eq(redecode(&h), PL_OK);
}

Test(entry, an_empty_lane_has_no_head)
{
	struct pl_header h = sample();

	for (int i = 0; i < 2; i++) {
		h = sample();
		h.others[i].seq = 0;
		cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
		memset(h.others[i].id8, 0, 8);
		cr_assert_eq(redecode(&h), PL_OK);
		h.others[i].id8[7] = 1;
		cr_assert_eq(redecode(&h), PL_ERR_FORMAT);
	}
}

Test(entry, body_limits)
{
	static const struct { uint8_t lane, kind, flags; uint32_t max; } cases[] = {
		{ 0, PL_KIND_EPOCH_KEY, 0, 12288 },
		{ 0, PL_KIND_EPOCH_KEY, PL_FLAG_FLASH, 12288 },
		{ 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, 81920 },
		{ 0, PL_KIND_MESSAGE, 0, 147456 },
		{ 1, PL_KIND_MESSAGE, 0, 147456 },
		{ 1, PL_KIND_RECEIPTS, 0, 147456 },
		{ 1, PL_KIND_CHANNEL, 0, 147456 },
		{ 2, PL_KIND_INDICATORS, 0, 147456 },
		{ 2, PL_KIND_ATTACHMENT, 0, 49152 + 24 + 16 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pl_header h = sample();

		h.lane = cases[i].lane;
		h.kind = cases[i].kind;
		h.flags = cases[i].flags;
		h.body_bytes = cases[i].max;
		cr_assert_eq(redecode(&h), PL_OK, "case %zu", i);
		h.body_bytes++;
		cr_assert_eq(redecode(&h), PL_ERR_LIMIT, "case %zu", i);
		h.body_bytes = UINT32_MAX;
		cr_assert_eq(redecode(&h), PL_ERR_LIMIT, "case %zu", i);
	}
	cr_assert_eq(pl_body_bytes_max(0, 0), 0);
	cr_assert_eq(pl_body_bytes_max(200, PL_FLAG_FLASH), 0);
}

Test(entry, id_and_body_hash_are_labelled)
{
	struct pl_header h = sample();
	uint8_t header[PL_ENTRY_HEADER_BYTES] = { 0 }, id[PL_ID_BYTES], expected[PL_ID_BYTES], joined[32 + PL_ENTRY_HEADER_BYTES];
	const struct pl_part one[] = { { joined, sizeof(joined) } }, body[] = { { (const uint8_t *)"body", 4 } };

	pl_header_encode(&h, header);
	memcpy(joined, network, 32);
	memset(header + PL_HEADER_BYTES, 0x5a, PL_SIGN_BYTES);
	memcpy(joined + 32, header, PL_ENTRY_HEADER_BYTES);
	pl_hash("parley/v1/entry-id", 19, one, 1, expected);
	pl_entry_id(network, header, id);
	cr_assert_arr_eq(id, expected, 32);

	pl_hash("parley/v1/body", 15, body, 1, expected);
	pl_body_hash((const uint8_t *)"body", 4, id);
	cr_assert_arr_eq(id, expected, 32);
}

Test(entry, a_flipped_bit_anywhere_breaks_the_signature)
{
	struct pl_header h = sample();
	uint8_t entry[PL_ENTRY_HEADER_BYTES], secret[PL_SIGN_SECRET_BYTES], other[PL_ID_BYTES], id[PL_ID_BYTES], flipped[PL_ID_BYTES];

	pl_sign_keypair((const uint8_t *)"a seed of thirty-two bytes......", h.author, secret);
	pl_header_encode(&h, entry);
	pl_entry_sign(network, secret, entry);
	pl_entry_id(network, entry, id);
	cr_assert_eq(pl_entry_verify(network, entry), PL_OK);

	for (size_t bit = 0; bit < PL_ENTRY_HEADER_BYTES * 8; bit++) {
		entry[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(pl_entry_verify(network, entry), PL_ERR_SIGNATURE, "bit %zu", bit);
		pl_entry_id(network, entry, flipped);
		cr_assert_arr_neq(id, flipped, 32, "bit %zu: the id covers the signature too", bit);
		entry[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	memcpy(other, network, 32);
	other[31] ^= 1;
	cr_assert_eq(pl_entry_verify(other, entry), PL_ERR_SIGNATURE, "a signature counts in one network only");
	cr_assert_eq(pl_entry_verify(network, entry), PL_OK);
}
