#include "proto/entry.h"

#include <assert.h>
#include <string.h>

#include "crypto/bytes.h"
#include "crypto/labels.h"

static bool is_zero(const uint8_t *bytes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (bytes[i])
			return false;
	return true;
}

void pl_header_encode(const struct pl_header *header, uint8_t out[PL_HEADER_BYTES])
{
	out[0] = PL_ENTRY_VERSION;
	out[1] = header->lane;
	out[2] = header->kind;
	out[3] = header->flags;
	pl_put32(out + 4, header->charter_epoch);
	pl_put32(out + 8, header->generation);
	pl_put32(out + 12, header->body_bytes);
	pl_put64(out + 16, header->seq);
	pl_put64(out + 24, header->gseq);
	pl_put64(out + 32, header->time_ms);
	memcpy(out + PL_AUTHOR_OFFSET, header->author, PL_NODE_ID_BYTES);
	memcpy(out + 72, header->prev, PL_ID_BYTES);
	for (int i = 0; i < 2; i++) {
		pl_put64(out + 104 + 16 * i, header->others[i].seq);
		memcpy(out + 112 + 16 * i, header->others[i].id8, PL_HEAD8_BYTES);
	}
	memcpy(out + 136, header->body_hash, PL_ID_BYTES);
}

/* What makes a header wrong whatever entries stand around it. */
static enum pl_err check(const struct pl_header *h)
{
	/* PROTOCOL: "A kind that is unknown, or that stands in a lane where it has no place, is refused." */
	if (h->lane >= PL_LANES || !pl_kind_fits_lane(h->kind, h->lane))
		return PL_ERR_FORMAT;
	/* PROTOCOL: "Bits of flags that have no meaning are zero, and an entry in which one is set is refused." */
	if (h->flags & ~PL_FLAGS_KNOWN)
		return PL_ERR_FORMAT;
	/* PROTOCOL: "FLASH stands in lane 0 alone." */
	if ((h->flags & PL_FLAG_FLASH) && h->lane != 0)
		return PL_ERR_FORMAT;
	/* PROTOCOL: "generation, seq and gseq count from 1, and zero is refused." */
	if (h->generation == 0 || h->seq == 0 || h->gseq == 0)
		return PL_ERR_FORMAT;
	/* PROTOCOL: "prev is zero exactly when seq is 1." */
	if ((h->seq == 1) != is_zero(h->prev, PL_ID_BYTES))
		return PL_ERR_FORMAT;
	/* PROTOCOL: "seq and the seqs of both other heads together are at most gseq." Subtracted, since the sum could wrap around. */
	if (h->seq > h->gseq || h->others[0].seq > h->gseq - h->seq || h->others[1].seq > h->gseq - h->seq - h->others[0].seq)
		return PL_ERR_FORMAT;
	/* PROTOCOL: "The head of an empty lane is sixteen zero bytes." */
	for (int i = 0; i < 2; i++)
		if (h->others[i].seq == 0 && !is_zero(h->others[i].id8, PL_HEAD8_BYTES))
			return PL_ERR_FORMAT;
	/* PROTOCOL: "A body length over the limit of its kind is refused before a byte of the body is waited for." */
	if (h->body_bytes > pl_body_bytes_max(h->kind, h->flags))
		return PL_ERR_LIMIT;
	return PL_OK;
}

enum pl_err pl_header_decode(const uint8_t bytes[PL_HEADER_BYTES], struct pl_header *out)
{
	struct pl_header h = {
		.lane = bytes[1], .kind = bytes[2], .flags = bytes[3],
		.charter_epoch = pl_get32(bytes + 4), .generation = pl_get32(bytes + 8), .body_bytes = pl_get32(bytes + 12),
		.seq = pl_get64(bytes + 16), .gseq = pl_get64(bytes + 24), .time_ms = pl_get64(bytes + 32),
	};
	enum pl_err err;

	if (bytes[0] != PL_ENTRY_VERSION)
		return PL_ERR_VERSION;
	memcpy(h.author, bytes + PL_AUTHOR_OFFSET, PL_NODE_ID_BYTES);
	memcpy(h.prev, bytes + 72, PL_ID_BYTES);
	for (int i = 0; i < 2; i++) {
		h.others[i].seq = pl_get64(bytes + 104 + 16 * i);
		memcpy(h.others[i].id8, bytes + 112 + 16 * i, PL_HEAD8_BYTES);
	}
	memcpy(h.body_hash, bytes + 136, PL_ID_BYTES);
	err = check(&h);
	if (err == PL_OK)
		*out = h;
	return err;
}

bool pl_kind_fits_lane(uint8_t kind, uint8_t lane)
{
	switch ((enum pl_kind)kind) {
	case PL_KIND_EPOCH_KEY:
		return lane == 0;
	case PL_KIND_MESSAGE:
		return lane == 0 || lane == 1;
	case PL_KIND_RECEIPTS:
	case PL_KIND_CHANNEL:
		return lane == 1;
	case PL_KIND_INDICATORS:
	case PL_KIND_ATTACHMENT:
		return lane == 2;
	}
	return false;
}

const char *pl_kind_name(uint8_t kind)
{
	switch ((enum pl_kind)kind) {
	case PL_KIND_EPOCH_KEY:
		return "epoch-key";
	case PL_KIND_MESSAGE:
		return "message";
	case PL_KIND_RECEIPTS:
		return "receipts";
	case PL_KIND_CHANNEL:
		return "channel";
	case PL_KIND_INDICATORS:
		return "indicators";
	case PL_KIND_ATTACHMENT:
		return "attachment";
	}
	return "unknown";
}

uint32_t pl_body_bytes_max(uint8_t kind, uint8_t flags)
{
	switch ((enum pl_kind)kind) {
	case PL_KIND_EPOCH_KEY:
		return PL_EPOCH_KEY_BODY_BYTES_MAX;
	case PL_KIND_MESSAGE:
	case PL_KIND_RECEIPTS:
	case PL_KIND_CHANNEL:
	case PL_KIND_INDICATORS:
		/* PROTOCOL: "A FLASH has its own, smaller limit." */
		return flags & PL_FLAG_FLASH ? PL_FLASH_BODY_BYTES_MAX : PL_BODY_BYTES_MAX;
	case PL_KIND_ATTACHMENT:
		return PL_CHUNK_BODY_BYTES_MAX;
	}
	return 0;
}

/* A store keeps an entry as a row in pages of 4 KiB, as SQLite has them: of a row that fits one there are as many in a page as fit; of a larger
 * one the most part has pages of its own, and the rest is such a row. Beside the entry a row has its columns, and it stands in an index. */
#define PAGE_BYTES 4096
#define PAGE_ROWS_BYTES 4088 /* less its head */
#define ROW_BYTES_MAX 4061
#define ROW_BYTES_MIN 489    /* of a larger one, in the page of rows */
#define OVERFLOW_BYTES 4092  /* in a page of its own */
#define COLUMNS_BYTES 88
#define PLACE_BYTES 2        /* where in its page a row begins */
#define INDEX_BYTES 32
#define CHUNK_ROW_BYTES 96   /* which piece of which attachment it is */

uint64_t pl_entry_kept_bytes(uint8_t kind, uint32_t body_bytes)
{
	const uint32_t bytes = PL_ENTRY_HEADER_BYTES + body_bytes, row = bytes + COLUMNS_BYTES;
	uint32_t in_page = row, pages = 0;

	if (kind == PL_KIND_INDICATORS)
		return (uint64_t)bytes * PL_INDICATORS_KEPT;
	if (row > ROW_BYTES_MAX) {
		in_page = ROW_BYTES_MIN + (row - ROW_BYTES_MIN) % OVERFLOW_BYTES;
		if (in_page > ROW_BYTES_MAX)
			in_page = ROW_BYTES_MIN;
		pages = (row - in_page + OVERFLOW_BYTES - 1) / OVERFLOW_BYTES;
	}
	return (uint64_t)pages * PAGE_BYTES + PAGE_BYTES / (PAGE_ROWS_BYTES / (in_page + PLACE_BYTES)) + INDEX_BYTES +
	       (kind == PL_KIND_ATTACHMENT ? CHUNK_ROW_BYTES : 0);
}

void pl_entry_id(const uint8_t network_id[PL_ID_BYTES], const uint8_t entry_header[PL_ENTRY_HEADER_BYTES], uint8_t id[PL_ID_BYTES])
{
	const struct pl_part parts[] = { { network_id, PL_ID_BYTES }, { entry_header, PL_ENTRY_HEADER_BYTES } };

	pl_hash(PL_LABEL_ENTRY_ID, sizeof(PL_LABEL_ENTRY_ID), parts, 2, id);
}

void pl_body_hash(const uint8_t *body, size_t body_bytes, uint8_t hash[PL_ID_BYTES])
{
	const struct pl_part parts[] = { { body, body_bytes } };

	pl_hash(PL_LABEL_BODY, sizeof(PL_LABEL_BODY), parts, 1, hash);
}

void pl_entry_sign(const uint8_t network_id[PL_ID_BYTES], const uint8_t secret_key[PL_SIGN_SECRET_BYTES],
                   uint8_t entry_header[PL_ENTRY_HEADER_BYTES])
{
	const struct pl_part parts[] = { { network_id, PL_ID_BYTES }, { entry_header, PL_HEADER_BYTES } };

	pl_sign(PL_LABEL_ENTRY, sizeof(PL_LABEL_ENTRY), parts, 2, secret_key, entry_header + PL_HEADER_BYTES);
}

enum pl_err pl_entry_verify(const uint8_t network_id[PL_ID_BYTES], const uint8_t entry_header[PL_ENTRY_HEADER_BYTES])
{
	const struct pl_part parts[] = { { network_id, PL_ID_BYTES }, { entry_header, PL_HEADER_BYTES } };

	return pl_sign_verify(PL_LABEL_ENTRY, sizeof(PL_LABEL_ENTRY), parts, 2, entry_header + PL_AUTHOR_OFFSET,
	                      entry_header + PL_HEADER_BYTES);
}

uint32_t pl_entries_verify(const uint8_t network_id[PL_ID_BYTES], const uint8_t *entry_headers, uint16_t count)
{
	uint32_t good = 0;

	assert(count <= 32);
	for (uint16_t i = 0; i < count; i++) {
		if (pl_entry_verify(network_id, entry_headers + (size_t)i * PL_ENTRY_HEADER_BYTES) == PL_OK)
			good |= (uint32_t)1 << i;
	}
	return good;
}
