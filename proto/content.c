#include "proto/content.h"

#include <assert.h>
#include <string.h>

#include "crypto/bytes.h"
#include "crypto/envelope.h"
#include "proto/content_impl.h"
#include "proto/text.h"

#define CONTENT_VERSION 1

/* Elements of each plaintext at its largest: the token arrays on the stack hold so many and no more. */
#define RECEIPTS_TOKENS (3 + 7 * PL_RECEIPTS_PER_ENTRY_MAX)
#define EPOCH_KEY_TOKENS (7 + 3 * PL_NODES_MAX)
#define CHANNEL_ROOT_TOKENS 6
#define INDICATORS_TOKENS (4 + PL_BULK_ITEMS_MAX)

static_assert(PL_SLOTS_MAX == PL_ENVELOPE_SLOTS_MAX && PL_PLAINTEXT_BYTES_MAX == PL_ENVELOPE_PLAIN_BYTES_MAX + 1, "what an envelope takes");

/* --- names of numbers --- */

const char *pl_precedence_name(unsigned precedence)
{
	static const char *const names[] = { "deferred", "routine", "priority", "immediate", "flash", "override" };

	return precedence < sizeof(names) / sizeof(names[0]) ? names[precedence] : "unknown";
}

int pl_precedence_parse(const char *name)
{
	for (int precedence = PL_ROUTINE; precedence <= PL_FLASH; precedence++)
		if (strcmp(name, pl_precedence_name((unsigned)precedence)) == 0)
			return precedence;
	return -1;
}

const char *pl_receipt_name(unsigned type)
{
	static const char *const names[] = { "unknown", "stored", "decrypted", "read", "accepted", "failed" };

	return type < sizeof(names) / sizeof(names[0]) ? names[type] : "unknown";
}

const char *pl_tlp_name(unsigned tlp)
{
	static const char *const names[] = { "unknown", "clear", "green", "amber", "amber+strict", "red" };

	return tlp < sizeof(names) / sizeof(names[0]) ? names[tlp] : "unknown";
}

/* ASCII only; lower is in lower case. */
static bool is_same_word(const char *word, const char *lower)
{
	for (; *word && *lower; word++, lower++)
		if ((*word >= 'A' && *word <= 'Z' ? *word - 'A' + 'a' : *word) != *lower)
			return false;
	return *word == *lower;
}

int pl_tlp_parse(const char *name)
{
	char prefix[5] = { 0 };

	memcpy(prefix, name, strlen(name) < 4 ? strlen(name) : 4);
	if (is_same_word(prefix, "tlp:"))
		name += 4;
	for (int tlp = PL_TLP_CLEAR; tlp <= PL_TLP_RED; tlp++)
		if (is_same_word(name, pl_tlp_name((unsigned)tlp)))
			return tlp;
	return -1;
}

/* --- values that several contents share --- */

struct pl_text pl_content_take_text(struct pl_mp_cursor *cursor, size_t bytes_max)
{
	struct pl_text text;

	text.chars = pl_mp_take_str(cursor, bytes_max, &text.bytes);
	return text;
}

/* PROTOCOL: "What is shown in a list or a title is a line." */
struct pl_text pl_content_take_line(struct pl_mp_cursor *cursor, size_t bytes_max)
{
	struct pl_text text = pl_content_take_text(cursor, bytes_max);

	if (cursor->err == PL_OK && !pl_text_is_line(text.chars, text.bytes))
		cursor->err = PL_ERR_FORMAT;
	return text;
}

uint64_t pl_content_take_between(struct pl_mp_cursor *cursor, uint64_t min, uint64_t max)
{
	uint64_t value = pl_mp_take_uint(cursor, max);

	if (cursor->err == PL_OK && value < min)
		cursor->err = PL_ERR_FORMAT;
	return value;
}

void pl_content_put_text(struct pl_mp_writer *writer, struct pl_text text)
{
	pl_mp_put_str(writer, text.chars, text.bytes);
}

void pl_content_start_write(struct pl_mp_writer *writer, uint8_t *out, size_t out_max, uint32_t fields)
{
	pl_mp_writer_init(writer, out, out_max);
	pl_mp_put_array(writer, fields);
	pl_mp_put_uint(writer, CONTENT_VERSION);
}

enum pl_err pl_content_start_read(struct pl_mp_cursor *cursor, const uint8_t *bytes, size_t count, size_t count_max, uint32_t fields,
                                  struct pl_mp_token *tokens, size_t tokens_max)
{
	size_t tokens_count;
	enum pl_err err = count > count_max ? PL_ERR_LIMIT : pl_mp_parse(bytes, count, tokens, tokens_max, &tokens_count);

	if (err != PL_OK)
		return err;
	pl_mp_cursor_init(cursor, tokens, tokens_count);
	pl_mp_enter_versioned(cursor, CONTENT_VERSION, fields);
	return cursor->err;
}

/* --- receipts --- */

static enum pl_err check_receipt(const struct pl_receipt *receipt)
{
	static const uint8_t zero[PL_MESSAGE_ID_BYTES];

	switch ((enum pl_receipt_type)receipt->type) {
	case PL_RECEIPT_FAILED:
		/* PROTOCOL: "Only a failed receipt has a reason; its message id is zero, since nobody has read it." */
		return memcmp(receipt->message_id, zero, sizeof(zero)) == 0 && receipt->operator_name.bytes == 0 ? PL_OK : PL_ERR_FORMAT;
	case PL_RECEIPT_STORED:
	case PL_RECEIPT_DECRYPTED:
		/* PROTOCOL: "An operator stands in read and accepted receipts alone: the others are the node's own word." */
		return receipt->operator_name.bytes == 0 && receipt->reason.bytes == 0 ? PL_OK : PL_ERR_FORMAT;
	case PL_RECEIPT_READ:
	case PL_RECEIPT_ACCEPTED:
		return receipt->reason.bytes == 0 ? PL_OK : PL_ERR_FORMAT;
	}
	return PL_ERR_FORMAT;
}

enum pl_err pl_receipts_read(const uint8_t *bytes, size_t count, struct pl_receipt out[PL_RECEIPTS_PER_ENTRY_MAX], size_t *out_count)
{
	struct pl_mp_token tokens[RECEIPTS_TOKENS];
	struct pl_mp_cursor cursor;
	struct pl_receipt receipts[PL_RECEIPTS_PER_ENTRY_MAX];
	uint32_t receipts_count;
	enum pl_err err = pl_content_start_read(&cursor, bytes, count, PL_ENVELOPE_PLAIN_BYTES_MAX, 2, tokens, RECEIPTS_TOKENS);

	if (err != PL_OK)
		return err;
	receipts_count = pl_mp_enter_array(&cursor, 1, PL_RECEIPTS_PER_ENTRY_MAX);
	for (uint32_t i = 0; i < receipts_count; i++) {
		struct pl_receipt *receipt = &receipts[i];

		pl_mp_enter_array(&cursor, 6, 6);
		pl_mp_take_fixed(&cursor, receipt->message_id, sizeof(receipt->message_id));
		pl_mp_take_fixed(&cursor, receipt->entry_id, sizeof(receipt->entry_id));
		receipt->type = (uint8_t)pl_content_take_between(&cursor, PL_RECEIPT_STORED, PL_RECEIPT_FAILED);
		receipt->time_ms = pl_mp_take_uint(&cursor, UINT64_MAX);
		receipt->operator_name = pl_content_take_line(&cursor, PL_NAME_BYTES_MAX);
		receipt->reason = pl_content_take_line(&cursor, PL_REASON_BYTES_MAX);
		if (cursor.err == PL_OK)
			cursor.err = check_receipt(receipt);
	}
	err = pl_mp_finish(&cursor);
	if (err != PL_OK)
		return err;
	memcpy(out, receipts, receipts_count * sizeof(*out));
	*out_count = receipts_count;
	return PL_OK;
}

enum pl_err pl_receipts_write(const struct pl_receipt *receipts, size_t count, uint8_t *out, size_t out_max, size_t *out_bytes)
{
	struct pl_mp_writer writer;
	struct pl_receipt read[PL_RECEIPTS_PER_ENTRY_MAX];
	size_t read_count;
	enum pl_err err;

	if (count > PL_RECEIPTS_PER_ENTRY_MAX)
		return PL_ERR_LIMIT;
	pl_content_start_write(&writer, out, out_max, 2);
	pl_mp_put_array(&writer, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		pl_mp_put_array(&writer, 6);
		pl_mp_put_bin(&writer, receipts[i].message_id, sizeof(receipts[i].message_id));
		pl_mp_put_bin(&writer, receipts[i].entry_id, sizeof(receipts[i].entry_id));
		pl_mp_put_uint(&writer, receipts[i].type);
		pl_mp_put_uint(&writer, receipts[i].time_ms);
		pl_content_put_text(&writer, receipts[i].operator_name);
		pl_content_put_text(&writer, receipts[i].reason);
	}
	err = writer.err == PL_OK ? pl_receipts_read(out, writer.count, read, &read_count) : writer.err;
	if (err == PL_OK)
		*out_bytes = writer.count;
	return err;
}

/* --- epoch keys --- */

static void take_acks(struct pl_mp_cursor *cursor, struct pl_epoch_key *out)
{
	out->acks_count = (uint16_t)pl_mp_enter_array(cursor, 0, PL_NODES_MAX);
	for (uint16_t i = 0; i < out->acks_count && cursor->err == PL_OK; i++) {
		struct pl_epoch_ack *ack = &out->acks[i];

		pl_mp_enter_array(cursor, 2, 2);
		ack->node = (uint16_t)pl_mp_take_uint(cursor, PL_NODES_MAX - 1);
		ack->number = pl_content_take_between(cursor, 1, UINT64_MAX);
		/* PROTOCOL: "Acknowledgements are listed in ascending order of node index, each node once." */
		if (cursor->err == PL_OK && i > 0 && ack->node <= out->acks[i - 1].node)
			cursor->err = ack->node == out->acks[i - 1].node ? PL_ERR_EXISTS : PL_ERR_FORMAT;
	}
}

enum pl_err pl_epoch_key_read(const uint8_t *bytes, size_t count, struct pl_epoch_key *out)
{
	struct pl_mp_token tokens[EPOCH_KEY_TOKENS];
	struct pl_mp_cursor cursor;
	struct pl_epoch_key key;
	enum pl_err err = pl_content_start_read(&cursor, bytes, count, PL_EPOCH_KEY_BODY_BYTES_MAX, 6, tokens, EPOCH_KEY_TOKENS);

	if (err != PL_OK)
		return err;
	key.number = pl_content_take_between(&cursor, 1, UINT64_MAX);
	key.valid_from_ms = pl_mp_take_uint(&cursor, UINT64_MAX);
	key.valid_until_ms = pl_mp_take_uint(&cursor, UINT64_MAX);
	pl_mp_take_fixed(&cursor, key.public_key, sizeof(key.public_key));
	take_acks(&cursor, &key);
	err = pl_mp_finish(&cursor);
	if (err != PL_OK)
		return err;
	/* PROTOCOL: "An epoch key's validity ends after it begins, and at most 48 hours after." */
	if (key.valid_until_ms <= key.valid_from_ms)
		return PL_ERR_FORMAT;
	if (key.valid_until_ms - key.valid_from_ms > PL_EPOCH_KEY_VALID_MS)
		return PL_ERR_LIMIT;
	*out = key;
	return PL_OK;
}

enum pl_err pl_epoch_key_write(const struct pl_epoch_key *key, uint8_t *out, size_t out_max, size_t *out_bytes)
{
	struct pl_mp_writer writer;
	struct pl_epoch_key read;
	enum pl_err err;

	if (key->acks_count > PL_NODES_MAX)
		return PL_ERR_LIMIT;
	pl_content_start_write(&writer, out, out_max, 6);
	pl_mp_put_uint(&writer, key->number);
	pl_mp_put_uint(&writer, key->valid_from_ms);
	pl_mp_put_uint(&writer, key->valid_until_ms);
	pl_mp_put_bin(&writer, key->public_key, sizeof(key->public_key));
	pl_mp_put_array(&writer, key->acks_count);
	for (uint16_t i = 0; i < key->acks_count; i++) {
		pl_mp_put_array(&writer, 2);
		pl_mp_put_uint(&writer, key->acks[i].node);
		pl_mp_put_uint(&writer, key->acks[i].number);
	}
	err = writer.err == PL_OK ? pl_epoch_key_read(out, writer.count, &read) : writer.err;
	if (err == PL_OK)
		*out_bytes = writer.count;
	return err;
}

/* --- channel roots --- */

enum pl_err pl_channel_root_read(const uint8_t *bytes, size_t count, struct pl_channel_root *out)
{
	struct pl_mp_token tokens[CHANNEL_ROOT_TOKENS];
	struct pl_mp_cursor cursor;
	struct pl_channel_root root;
	enum pl_err err = pl_content_start_read(&cursor, bytes, count, PL_ENVELOPE_PLAIN_BYTES_MAX, 5, tokens, CHANNEL_ROOT_TOKENS);

	if (err != PL_OK)
		return err;
	pl_mp_take_fixed(&cursor, root.channel_id, sizeof(root.channel_id));
	root.number = pl_content_take_between(&cursor, 1, UINT64_MAX);
	root.audience = pl_content_take_text(&cursor, PL_NAME_BYTES_MAX);
	pl_mp_take_fixed(&cursor, root.root, sizeof(root.root));
	err = pl_mp_finish(&cursor);
	if (err != PL_OK)
		return err;
	/* PROTOCOL: "The audience is the word all in this version; a reader refuses any other, since it could not keep to it." */
	if (root.audience.bytes != 3 || memcmp(root.audience.chars, "all", 3))
		return PL_ERR_FORMAT;
	*out = root;
	return PL_OK;
}

enum pl_err pl_channel_root_write(const struct pl_channel_root *root, uint8_t *out, size_t out_max, size_t *out_bytes)
{
	struct pl_mp_writer writer;
	struct pl_channel_root read;
	enum pl_err err;

	pl_content_start_write(&writer, out, out_max, 5);
	pl_mp_put_bin(&writer, root->channel_id, sizeof(root->channel_id));
	pl_mp_put_uint(&writer, root->number);
	pl_content_put_text(&writer, root->audience);
	pl_mp_put_bin(&writer, root->root, sizeof(root->root));
	err = writer.err == PL_OK ? pl_channel_root_read(out, writer.count, &read) : writer.err;
	if (err == PL_OK)
		*out_bytes = writer.count;
	return err;
}

/* --- indicators --- */

enum pl_err pl_indicators_read(const uint8_t *bytes, size_t count, struct pl_indicators *out)
{
	struct pl_mp_token tokens[INDICATORS_TOKENS];
	struct pl_mp_cursor cursor;
	struct pl_indicators indicators;
	enum pl_err err = pl_content_start_read(&cursor, bytes, count, PL_CHANNEL_PLAIN_BYTES_MAX, 3, tokens, INDICATORS_TOKENS);

	if (err != PL_OK)
		return err;
	/* PROTOCOL: "A TLP is 1 to 5; there is no item without one." */
	indicators.tlp = (uint8_t)pl_content_take_between(&cursor, PL_TLP_CLEAR, PL_TLP_RED);
	indicators.count = (uint16_t)pl_mp_enter_array(&cursor, 1, PL_BULK_ITEMS_MAX);
	for (uint16_t i = 0; i < indicators.count; i++)
		indicators.objects[i].chars = (const char *)pl_mp_take_bin(&cursor, 1, PL_OBJECT_BYTES_MAX, &indicators.objects[i].bytes);
	err = pl_mp_finish(&cursor);
	if (err != PL_OK)
		return err;
	out->tlp = indicators.tlp;
	out->count = indicators.count;
	memcpy(out->objects, indicators.objects, indicators.count * sizeof(out->objects[0]));
	return PL_OK;
}

enum pl_err pl_indicators_write(const struct pl_indicators *indicators, uint8_t *out, size_t out_max, size_t *out_bytes)
{
	struct pl_mp_writer writer;
	struct pl_indicators read;
	enum pl_err err;

	if (indicators->count > PL_BULK_ITEMS_MAX)
		return PL_ERR_LIMIT;
	pl_content_start_write(&writer, out, out_max, 3);
	pl_mp_put_uint(&writer, indicators->tlp);
	pl_mp_put_array(&writer, indicators->count);
	for (uint16_t i = 0; i < indicators->count; i++)
		pl_mp_put_bin(&writer, indicators->objects[i].chars, indicators->objects[i].bytes);
	err = writer.err == PL_OK ? pl_indicators_read(out, writer.count, &read) : writer.err;
	if (err == PL_OK)
		*out_bytes = writer.count;
	return err;
}

/* --- attachment chunks --- */

#define CHUNK_TAG_BYTES 16
#define CHUNKS_MAX ((PL_ATTACHMENT_BYTES_MAX + PL_CHUNK_BYTES - 1) / PL_CHUNK_BYTES)

enum pl_err pl_chunk_read(const uint8_t *bytes, size_t count, struct pl_chunk *out)
{
	struct pl_chunk chunk = { .sealed_bytes = count - PL_ATTACHMENT_BODY_PREFIX_BYTES };

	/* PROTOCOL: "A sealed chunk has at least one byte and its tag." */
	if (count < PL_ATTACHMENT_BODY_PREFIX_BYTES + 1 + CHUNK_TAG_BYTES)
		return PL_ERR_SHORT;
	if (count > PL_CHUNK_BODY_BYTES_MAX)
		return PL_ERR_LIMIT;
	memcpy(chunk.attachment_id, bytes, sizeof(chunk.attachment_id));
	chunk.index = pl_get32(bytes + 16);
	chunk.chunks = pl_get32(bytes + 20);
	chunk.sealed = bytes + PL_ATTACHMENT_BODY_PREFIX_BYTES;
	if (chunk.chunks > CHUNKS_MAX)
		return PL_ERR_LIMIT;
	if (chunk.index >= chunk.chunks)
		return PL_ERR_FORMAT;
	/* PROTOCOL: "Every chunk but the last is full." */
	if (chunk.index + 1 < chunk.chunks && chunk.sealed_bytes != PL_CHUNK_BYTES + CHUNK_TAG_BYTES)
		return PL_ERR_FORMAT;
	*out = chunk;
	return PL_OK;
}

void pl_chunk_write_prefix(const struct pl_chunk *chunk, uint8_t out[PL_ATTACHMENT_BODY_PREFIX_BYTES])
{
	memcpy(out, chunk->attachment_id, sizeof(chunk->attachment_id));
	pl_put32(out + 16, chunk->index);
	pl_put32(out + 20, chunk->chunks);
}
