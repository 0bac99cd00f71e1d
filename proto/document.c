#include "proto/document.h"

#include <string.h>

#include "crypto/labels.h"

/* Elements of a document at its largest. */
#define DOCUMENT_TOKENS (2 + 1 + 3 * PL_KEYS_PER_ROLE_MAX)

void pl_signatures_take(struct pl_mp_cursor *cursor, struct pl_signatures *out)
{
	uint32_t count = pl_mp_enter_array(cursor, 0, PL_KEYS_PER_ROLE_MAX);
	size_t bytes;

	out->count = (uint8_t)count;
	for (uint32_t i = 0; i < count; i++) {
		pl_mp_enter_array(cursor, 2, 2);
		out->key_index[i] = (uint8_t)pl_mp_take_uint(cursor, PL_KEYS_PER_ROLE_MAX - 1);
		out->bytes[i] = pl_mp_take_bin(cursor, PL_SIGN_BYTES, PL_SIGN_BYTES, &bytes);
		/* PROTOCOL: "Signatures are listed by ascending key index, each index at most once." */
		if (cursor->err == PL_OK && i > 0 && out->key_index[i] <= out->key_index[i - 1])
			cursor->err = PL_ERR_FORMAT;
	}
}

enum pl_err pl_document_split(const uint8_t *bytes, size_t count, size_t count_max, struct pl_document *out)
{
	struct pl_mp_token tokens[DOCUMENT_TOKENS];
	struct pl_mp_cursor cursor;
	size_t tokens_count;
	enum pl_err err;

	if (count > count_max)
		return PL_ERR_LIMIT;
	err = pl_mp_parse(bytes, count, tokens, DOCUMENT_TOKENS, &tokens_count);
	if (err != PL_OK)
		return err;
	pl_mp_cursor_init(&cursor, tokens, tokens_count);
	pl_mp_enter_array(&cursor, 2, 2);
	out->body.bytes = pl_mp_take_bin(&cursor, 1, count_max, &out->body.count);
	pl_signatures_take(&cursor, &out->signatures);
	return pl_mp_finish(&cursor);
}

void pl_signatures_put(struct pl_mp_writer *writer, const struct pl_signatures *signatures)
{
	pl_mp_put_array(writer, signatures->count);
	for (uint8_t i = 0; i < signatures->count; i++) {
		pl_mp_put_array(writer, 2);
		pl_mp_put_uint(writer, signatures->key_index[i]);
		pl_mp_put_bin(writer, signatures->bytes[i], PL_SIGN_BYTES);
	}
}

void pl_document_put(struct pl_mp_writer *writer, pl_put_body put_body, const void *source, const struct pl_signatures *signatures)
{
	struct pl_mp_writer measure;

	pl_mp_writer_init(&measure, NULL, SIZE_MAX);
	put_body(&measure, source);
	if (measure.err != PL_OK && writer->err == PL_OK)
		writer->err = measure.err;
	pl_mp_put_array(writer, 2);
	pl_mp_begin_bin(writer, measure.count);
	put_body(writer, source);
	pl_signatures_put(writer, signatures);
}

enum pl_err pl_signatures_insert(struct pl_signatures *signatures, uint8_t key_index, const uint8_t *bytes)
{
	uint8_t at = signatures->count;

	for (uint8_t i = 0; i < signatures->count; i++)
		if (signatures->key_index[i] == key_index)
			return PL_ERR_EXISTS;
	for (; at > 0 && signatures->key_index[at - 1] > key_index; at--) {
		signatures->key_index[at] = signatures->key_index[at - 1];
		signatures->bytes[at] = signatures->bytes[at - 1];
	}
	signatures->key_index[at] = key_index;
	signatures->bytes[at] = bytes;
	signatures->count++;
	return PL_OK;
}

enum pl_err pl_signatures_check(const char *label, size_t label_bytes, const uint8_t hash[PL_HASH_BYTES],
                                const struct pl_signatures *signatures, const struct pl_key_set *keys, uint8_t *signed_keys)
{
	const struct pl_part part = { hash, PL_HASH_BYTES };
	uint8_t bits = 0;

	for (uint8_t i = 0; i < signatures->count; i++) {
		uint8_t index = signatures->key_index[i];

		/* PROTOCOL: "A signature that does not verify makes the document invalid, even where the threshold is met without it." */
		if (index >= keys->count ||
		    pl_sign_verify(label, label_bytes, &part, 1, keys->keys[index], signatures->bytes[i]) != PL_OK)
			return PL_ERR_SIGNATURE;
		bits |= (uint8_t)(1u << index);
	}
	*signed_keys = bits;
	return PL_OK;
}

/* PROTOCOL: "A document counts as signed when signatures by at least threshold keys of the set stand under it." */
bool pl_signatures_meet_threshold(const struct pl_signatures *signatures, const struct pl_key_set *keys)
{
	return signatures->count >= keys->threshold;
}

bool pl_key_set_has(const struct pl_key_set *set, const uint8_t key[PL_SIGN_PUBLIC_BYTES])
{
	for (uint8_t i = 0; i < set->count; i++)
		if (memcmp(set->keys[i], key, PL_SIGN_PUBLIC_BYTES) == 0)
			return true;
	return false;
}

void pl_key_set_take(struct pl_mp_cursor *cursor, struct pl_key_set *out)
{
	uint32_t count;

	pl_mp_enter_array(cursor, 2, 2);
	out->threshold = (uint8_t)pl_mp_take_uint(cursor, PL_KEYS_PER_ROLE_MAX);
	out->count = 0;
	count = pl_mp_enter_array(cursor, 1, PL_KEYS_PER_ROLE_MAX);
	for (uint32_t i = 0; i < count; i++) {
		pl_mp_take_fixed(cursor, out->keys[i], PL_SIGN_PUBLIC_BYTES);
		/* PROTOCOL: "No key stands twice in a set, since one holder would count as two." */
		if (cursor->err == PL_OK && pl_key_set_has(out, out->keys[i]))
			cursor->err = PL_ERR_EXISTS;
		out->count++;
	}
	/* PROTOCOL: "A threshold is at least 1 and at most the number of keys in its set." */
	if (cursor->err == PL_OK && (out->threshold < 1 || out->threshold > out->count))
		cursor->err = PL_ERR_FORMAT;
}

void pl_key_set_put(struct pl_mp_writer *writer, const struct pl_key_set *set)
{
	pl_mp_put_array(writer, 2);
	pl_mp_put_uint(writer, set->threshold);
	pl_mp_put_array(writer, set->count);
	for (uint8_t i = 0; i < set->count; i++)
		pl_mp_put_bin(writer, set->keys[i], PL_SIGN_PUBLIC_BYTES);
}

void pl_document_hash(enum pl_document_type type, const uint8_t *body, size_t body_bytes, uint8_t hash[PL_HASH_BYTES])
{
	const uint8_t type_byte = (uint8_t)type;
	const struct pl_part parts[] = { { &type_byte, 1 }, { body, body_bytes } };

	pl_hash(PL_LABEL_DOCUMENT, sizeof(PL_LABEL_DOCUMENT), parts, 2, hash);
}
