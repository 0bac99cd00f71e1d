#include "proto/frame.h"

#include <assert.h>
#include <string.h>

#include "crypto/bytes.h"

enum pl_err pl_frame_next(const uint8_t *plain, size_t plain_bytes, size_t *at, struct pl_frame *out)
{
	struct pl_frame frame = { 0 };

	assert(*at <= plain_bytes);
	/* PROTOCOL: "After the last frame come zeros to the end of the record; fewer than 8 bytes can hold no frame and are zeros too." */
	if (plain_bytes - *at < PL_FRAME_HEADER_BYTES || plain[*at] == PL_FRAME_PAD) {
		for (size_t i = *at; i < plain_bytes; i++) {
			if (plain[i] != 0)
				return PL_ERR_FORMAT;
		}
		*at = plain_bytes;
		*out = frame;
		return PL_OK;
	}
	const uint8_t *p = plain + *at;
	frame.type = p[0];
	frame.flags = p[1];
	frame.lane = p[2];
	frame.payload_bytes = pl_get32(p + 4);
	frame.payload = p + PL_FRAME_HEADER_BYTES;
	if (p[3] != 0 || frame.lane >= PL_LANES)
		return PL_ERR_FORMAT;
	/* PROTOCOL: "A frame lies within one record." */
	if (frame.payload_bytes > plain_bytes - *at - PL_FRAME_HEADER_BYTES)
		return PL_ERR_SHORT;
	*at += PL_FRAME_HEADER_BYTES + frame.payload_bytes;
	*out = frame;
	return PL_OK;
}

void pl_frame_write_header(uint8_t out[PL_FRAME_HEADER_BYTES], uint8_t type, uint8_t flags, uint8_t lane, uint32_t payload_bytes)
{
	out[0] = type;
	out[1] = flags;
	out[2] = lane;
	out[3] = 0;
	pl_put32(out + 4, payload_bytes);
}

size_t pl_record_padded(size_t plain_bytes)
{
	assert(plain_bytes <= PL_RECORD_PLAIN_BYTES_MAX);
	/* PROTOCOL: "The plaintext of a record is 256, 1,024, 4,096 or 16,384 bytes long." */
	if (plain_bytes <= 256)
		return 256;
	if (plain_bytes <= 1024)
		return 1024;
	if (plain_bytes <= 4096)
		return 4096;
	return PL_RECORD_PLAIN_BYTES_MAX;
}

void pl_item_write(const struct pl_item *item, uint8_t out[PL_ITEM_BYTES])
{
	pl_put16(out, item->node);
	out[2] = item->lane;
	out[3] = 0;
	pl_put32(out + 4, item->generation);
	pl_put64(out + 8, item->seq);
	memcpy(out + 16, item->head_id, PL_ID_BYTES);
}

enum pl_err pl_item_read(const uint8_t bytes[PL_ITEM_BYTES], struct pl_item *out)
{
	/* PROTOCOL: "Lanes without entries are left out: seq is at least 1." */
	if (bytes[2] >= PL_LANES || bytes[3] != 0 || pl_get64(bytes + 8) == 0)
		return PL_ERR_FORMAT;
	out->node = pl_get16(bytes);
	out->lane = bytes[2];
	out->generation = pl_get32(bytes + 4);
	out->seq = pl_get64(bytes + 8);
	memcpy(out->head_id, bytes + 16, PL_ID_BYTES);
	return PL_OK;
}

void pl_want_write(const struct pl_want *want, uint8_t out[PL_WANT_BYTES])
{
	pl_put16(out, want->node);
	out[2] = want->lane;
	out[3] = want->flags;
	pl_put32(out + 4, want->generation);
	pl_put64(out + 8, want->from);
	pl_put64(out + 16, want->to);
}

enum pl_err pl_want_read(const uint8_t bytes[PL_WANT_BYTES], struct pl_want *out)
{
	struct pl_want want = {
		.node = pl_get16(bytes), .lane = bytes[2], .flags = bytes[3], .generation = pl_get32(bytes + 4),
		.from = pl_get64(bytes + 8), .to = pl_get64(bytes + 16),
	};
	if (want.lane >= PL_LANES || (want.flags & ~PL_WANT_FULL) != 0)
		return PL_ERR_FORMAT;
	/* PROTOCOL: "A WANT asks for at least one entry and at most 65,536; with the flag full for exactly one." */
	if (want.from == 0 || want.to < want.from)
		return PL_ERR_FORMAT;
	if (want.to - want.from >= PL_WANT_ENTRIES_MAX || ((want.flags & PL_WANT_FULL) && want.from != want.to))
		return PL_ERR_LIMIT;
	*out = want;
	return PL_OK;
}

size_t pl_lane_head_write(uint64_t seq, const uint8_t *tag, uint8_t out[PL_LANE_HEAD_BYTES_MAX])
{
	uint8_t number[8], zeros = 0;

	pl_put64(number, seq);
	while (zeros < 8 && number[zeros] == 0)
		zeros++;
	out[0] = 8 - zeros;
	if (seq == 0)
		return 1;
	memcpy(out + 1, number + zeros, out[0]);
	memcpy(out + 1 + out[0], tag, PL_TAG_BYTES);
	return 1u + out[0] + PL_TAG_BYTES;
}

enum pl_err pl_lane_head_read(const uint8_t *bytes, size_t count, size_t *at, uint64_t *seq, const uint8_t **tag)
{
	uint64_t number = 0;

	if (*at == count)
		return PL_ERR_SHORT;
	const uint8_t seq_bytes = bytes[*at], *p = bytes + *at + 1;
	const size_t need = seq_bytes == 0 ? 0 : seq_bytes + (size_t)PL_TAG_BYTES;
	if (seq_bytes > 8)
		return PL_ERR_FORMAT;
	if (need > count - *at - 1)
		return PL_ERR_SHORT;
	/* PROTOCOL: "A sequence number has no zeros in front." */
	if (seq_bytes > 0 && p[0] == 0)
		return PL_ERR_FORMAT;
	for (uint8_t i = 0; i < seq_bytes; i++)
		number = number << 8 | p[i];
	*seq = number;
	*tag = seq_bytes > 0 ? p + seq_bytes : NULL;
	*at += 1 + need;
	return PL_OK;
}

size_t pl_hello_write(const struct pl_hello *hello, uint8_t *out)
{
	pl_put16(out, hello->version);
	pl_put16(out + 2, 0);
	pl_put32(out + 4, hello->capabilities);
	pl_put32(out + 8, hello->charter_epoch);
	pl_put32(out + 12, hello->credit_bytes);
	memcpy(out + 16, hello->charter_hash, PL_ID_BYTES);
	memcpy(out + 48, hello->frontier_root, PL_ID_BYTES);
	if (!(hello->capabilities & PL_CAP_TAGS))
		return PL_HELLO_BYTES;
	memcpy(out + 80, hello->salt, PL_SALT_BYTES);
	pl_put16(out + 88, hello->tags_count);
	pl_put16(out + 90, 0);
	if (hello->tags_count > 0)
		memcpy(out + PL_HELLO_TAGS_AT, hello->tags, (size_t)hello->tags_count * PL_TAG_BYTES);
	return PL_HELLO_TAGS_AT + (size_t)hello->tags_count * PL_TAG_BYTES;
}

enum pl_err pl_hello_read(const uint8_t *bytes, size_t count, struct pl_hello *out)
{
	/* PROTOCOL: "A later version may append fields to HELLO; a receiver ignores what it does not know behind the fields that it does." */
	if (count < PL_HELLO_BYTES)
		return PL_ERR_SHORT;
	if (pl_get16(bytes) == 0)
		return PL_ERR_VERSION;
	if (pl_get16(bytes + 2) != 0)
		return PL_ERR_FORMAT;
	struct pl_hello hello = { .version = pl_get16(bytes), .capabilities = pl_get32(bytes + 4), .charter_epoch = pl_get32(bytes + 8),
	                          .credit_bytes = pl_get32(bytes + 12) };
	memcpy(hello.charter_hash, bytes + 16, PL_ID_BYTES);
	memcpy(hello.frontier_root, bytes + 48, PL_ID_BYTES);
	if (hello.capabilities & PL_CAP_TAGS) {
		if (count < PL_HELLO_TAGS_AT)
			return PL_ERR_SHORT;
		memcpy(hello.salt, bytes + 80, PL_SALT_BYTES);
		hello.tags_count = pl_get16(bytes + 88);
		if (pl_get16(bytes + 90) != 0)
			return PL_ERR_FORMAT;
		if (count - PL_HELLO_TAGS_AT < (size_t)hello.tags_count * PL_TAG_BYTES)
			return PL_ERR_SHORT;
		hello.tags = hello.tags_count > 0 ? bytes + PL_HELLO_TAGS_AT : NULL;
	}
	*out = hello;
	return PL_OK;
}

static void read_head(const uint8_t *p, struct pl_head *out)
{
	out->seq = pl_get64(p);
	memcpy(out->id8, p + 8, PL_HEAD8_BYTES);
}

enum pl_err pl_wire_read(const uint8_t *bytes, size_t count, struct pl_wire *out)
{
	struct pl_wire wire = { 0 };

	if (count < PL_WIRE_PREFIX)
		return PL_ERR_SHORT;
	wire.node = pl_get16(bytes);
	wire.form = bytes[2];
	if (wire.form != PL_WIRE_FORM_NEXT && wire.form != PL_WIRE_FORM_FULL)
		return PL_ERR_FORMAT;
	struct pl_header *h = &wire.header;
	h->lane = bytes[3];
	h->kind = bytes[4];
	h->flags = bytes[5];
	if (bytes[6] != 0 || bytes[7] != 0)
		return PL_ERR_FORMAT;
	h->charter_epoch = pl_get32(bytes + 8);
	h->generation = pl_get32(bytes + 12);
	h->seq = pl_get64(bytes + 16);
	h->gseq = pl_get64(bytes + 24);
	h->time_ms = pl_get64(bytes + 32);
	read_head(bytes + 40, &h->others[0]);
	read_head(bytes + 56, &h->others[1]);
	wire.signature = bytes + 72;
	memcpy(h->prev, bytes + 136, PL_ID_BYTES);
	wire.body = bytes + PL_WIRE_PREFIX;
	if (count - PL_WIRE_PREFIX > PL_BODY_BYTES_MAX)
		return PL_ERR_LIMIT;
	wire.body_bytes = (uint32_t)(count - PL_WIRE_PREFIX);
	h->body_bytes = wire.body_bytes;
	if (h->lane >= PL_LANES || h->seq == 0 || h->gseq == 0 || h->generation == 0)
		return PL_ERR_FORMAT;
	if (!pl_kind_fits_lane(h->kind, h->lane) || (h->flags & ~PL_FLAGS_KNOWN) != 0 || ((h->flags & PL_FLAG_FLASH) && h->lane != 0))
		return PL_ERR_FORMAT;
	if (wire.body_bytes > pl_body_bytes_max(h->kind, h->flags))
		return PL_ERR_LIMIT;
	*out = wire;
	return PL_OK;
}

size_t pl_wire_write(uint16_t node, uint8_t form, const uint8_t entry_header[PL_ENTRY_HEADER_BYTES], const uint8_t *body, uint32_t body_bytes,
                     uint8_t *out, size_t out_max)
{
	const uint8_t *h = entry_header;

	assert(out_max >= PL_WIRE_PREFIX + body_bytes);
	pl_put16(out, node);
	out[2] = form;
	out[3] = h[1];
	out[4] = h[2];
	out[5] = h[3];
	pl_put16(out + 6, 0);
	memcpy(out + 8, h + 4, 8);        /* epoch, generation */
	memcpy(out + 16, h + 16, 24);     /* seq, gseq, time */
	memcpy(out + 40, h + 104, 32);    /* other heads */
	memcpy(out + 72, h + PL_HEADER_BYTES, PL_SIGN_BYTES);
	memcpy(out + 136, h + 72, PL_ID_BYTES);
	if (body_bytes > 0)
		memcpy(out + PL_WIRE_PREFIX, body, body_bytes);
	return PL_WIRE_PREFIX + body_bytes;
}
