/* Our msgpack reader against msgpack-c's own unpacker and packer. A document is ours if and only if msgpack-c reads it as one value that
 * fills the input, with nothing in it but the five types, every string UTF-8 (as iconv sees it), within the limits, and packs it to the same
 * bytes. What our reader accepts is the tree that msgpack-c has read, and our writer packs it to the same bytes too.
 *
 * The input is the document.
 */
#include <iconv.h>
#include <msgpack.h>

#include "proto/mp.h"
#include "tests/fuzz/fuzz.h"

/* msgpack-c sets memory aside for whatever a header announces, so it only sees documents whose headers together announce no more values
 * than there are bytes. (Ours has to refuse the others.) */
static bool is_safe(const uint8_t *data, size_t size)
{
	uint64_t announced = 1, seen = 0;
	size_t at = 0;

	while (at < size && seen < announced) {
		static const uint8_t fixed[32] = { /* bytes behind 0xc0 to 0xdf */
			0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8, 1, 2, 4, 8, 2, 3, 5, 9, 17, 1, 2, 4, 2, 4, 2, 4,
		};
		uint8_t first = data[at++];
		uint64_t number = 0;

		seen++;
		if (first >= 0x80 && first < 0xa0) {
			announced += (first & 15) * (first < 0x90 ? 2u : 1u);
		} else if (first >= 0xa0 && first < 0xc0) {
			at += first & 31u;
		} else if (first >= 0xc0 && first < 0xe0) {
			uint8_t bytes = fixed[first - 0xc0];

			if (bytes > size - at)
				return true;
			for (uint8_t i = 0; i < bytes && i < 8; i++)
				number = number << 8 | data[at + i];
			at += bytes;
			if ((first >= 0xc4 && first <= 0xc6) || (first >= 0xd9 && first <= 0xdb))
				at += number;
			else if (first >= 0xc7 && first <= 0xc9)
				at += number + 1;
			else if (first == 0xdc || first == 0xdd)
				announced += number;
			else if (first == 0xde || first == 0xdf)
				announced += 2 * number;
		}
		if (announced > size)
			return false;
	}
	return true;
}

static bool is_utf8(const char *chars, size_t bytes)
{
	static iconv_t converter;
	char room[64], *in = (char *)(uintptr_t)chars;

	if (!converter)
		converter = iconv_open("UTF-16LE", "UTF-8");
	PL_FUZZ_CHECK(converter != (iconv_t)-1);
	if (memchr(chars, 0, bytes))
		return false;
	iconv(converter, NULL, NULL, NULL, NULL);
	while (bytes > 0) {
		char *out = room;
		size_t left = sizeof(room);

		if (iconv(converter, &in, &bytes, &out, &left) == (size_t)-1 && left > 8)
			return false;
	}
	return true;
}

/* Whether the tree is within what Parley allows; counts its values. depth: arrays around it. */
static bool is_ours(const msgpack_object *object, unsigned depth, size_t *values)
{
	++*values;
	switch (object->type) {
	case MSGPACK_OBJECT_BOOLEAN:
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
	case MSGPACK_OBJECT_BIN:
		return true;
	case MSGPACK_OBJECT_STR:
		return object->via.str.size == 0 || is_utf8(object->via.str.ptr, object->via.str.size);
	case MSGPACK_OBJECT_ARRAY:
		if (depth == PL_MP_DEPTH_MAX)
			return false;
		for (uint32_t i = 0; i < object->via.array.size; i++)
			if (!is_ours(&object->via.array.ptr[i], depth + 1, values))
				return false;
		return true;
	case MSGPACK_OBJECT_NIL:
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
	case MSGPACK_OBJECT_MAP:
	case MSGPACK_OBJECT_EXT:
		return false;
	}
	return false;
}

static bool is_packed_the_same(const msgpack_object *object, const uint8_t *data, size_t size)
{
	msgpack_sbuffer buffer;
	msgpack_packer packer;
	bool same;

	msgpack_sbuffer_init(&buffer);
	msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
	PL_FUZZ_CHECK(msgpack_pack_object(&packer, *object) == 0);
	same = buffer.size == size && memcmp(buffer.data, data, size) == 0;
	msgpack_sbuffer_destroy(&buffer);
	return same;
}

/* The token is this value, and so on below it; returns the index behind. */
static size_t compare(const struct pl_mp_token *tokens, size_t at, const msgpack_object *object)
{
	const struct pl_mp_token *token = &tokens[at++];

	switch (token->type) {
	case PL_MP_UINT:
		PL_FUZZ_CHECK(object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 == token->number);
		break;
	case PL_MP_BOOL:
		PL_FUZZ_CHECK(object->type == MSGPACK_OBJECT_BOOLEAN && object->via.boolean == (token->number != 0));
		break;
	case PL_MP_BIN:
		PL_FUZZ_CHECK(object->type == MSGPACK_OBJECT_BIN && object->via.bin.size == token->count);
		PL_FUZZ_CHECK(token->count == 0 || memcmp(object->via.bin.ptr, token->bytes, token->count) == 0);
		break;
	case PL_MP_STR:
		PL_FUZZ_CHECK(object->type == MSGPACK_OBJECT_STR && object->via.str.size == token->count);
		PL_FUZZ_CHECK(token->count == 0 || memcmp(object->via.str.ptr, token->bytes, token->count) == 0);
		break;
	case PL_MP_ARRAY:
		PL_FUZZ_CHECK(object->type == MSGPACK_OBJECT_ARRAY && object->via.array.size == token->number);
		for (uint32_t i = 0; i < object->via.array.size; i++)
			at = compare(tokens, at, &object->via.array.ptr[i]);
		break;
	}
	PL_FUZZ_CHECK(token->next == at);
	return at;
}

/* Takes the whole document with the cursor and puts it with the writer. */
static void rewrite(const struct pl_mp_token *tokens, size_t tokens_count, const uint8_t *data, size_t size)
{
	uint8_t *out = pl_fuzz_room(size);
	struct pl_mp_cursor cursor;
	struct pl_mp_writer writer;

	pl_mp_cursor_init(&cursor, tokens, tokens_count);
	pl_mp_writer_init(&writer, out, size);
	while (cursor.at < cursor.end) {
		size_t count;
		const void *bytes;

		switch (tokens[cursor.at].type) {
		case PL_MP_UINT:
			pl_mp_put_uint(&writer, pl_mp_take_uint(&cursor, UINT64_MAX));
			break;
		case PL_MP_BOOL:
			pl_mp_put_bool(&writer, pl_mp_take_bool(&cursor));
			break;
		case PL_MP_BIN:
			bytes = pl_mp_take_bin(&cursor, 0, SIZE_MAX, &count);
			pl_mp_put_bin(&writer, bytes, count);
			break;
		case PL_MP_STR:
			bytes = pl_mp_take_str(&cursor, SIZE_MAX, &count);
			pl_mp_put_str(&writer, bytes, count);
			break;
		case PL_MP_ARRAY:
			pl_mp_put_array(&writer, pl_mp_enter_array(&cursor, 0, UINT32_MAX));
			break;
		}
	}
	PL_FUZZ_CHECK(pl_mp_finish(&cursor) == PL_OK);
	PL_FUZZ_CHECK(writer.err == PL_OK && writer.count == size && memcmp(out, data, size) == 0);
	free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct pl_mp_token tokens[PL_MP_ITEMS_MAX];
	size_t tokens_count = 0, values = 0, end = 0;
	const enum pl_err err = pl_mp_parse(data, size, tokens, PL_MP_ITEMS_MAX, &tokens_count);
	msgpack_unpacked unpacked;
	bool expected;

	PL_FUZZ_CHECK(err == PL_OK || err == PL_ERR_SHORT || err == PL_ERR_FORMAT || err == PL_ERR_LIMIT);
	if (!is_safe(data, size)) {
		PL_FUZZ_CHECK(err != PL_OK);
		return 0;
	}
	msgpack_unpacked_init(&unpacked);
	expected = msgpack_unpack_next(&unpacked, (const char *)data, size, &end) == MSGPACK_UNPACK_SUCCESS && end == size &&
		is_ours(&unpacked.data, 0, &values) && values <= PL_MP_ITEMS_MAX && is_packed_the_same(&unpacked.data, data, size);
	PL_FUZZ_CHECK((err == PL_OK) == expected);
	if (err == PL_OK) {
		size_t ignored;

		PL_FUZZ_CHECK(tokens_count == values);
		PL_FUZZ_CHECK(compare(tokens, 0, &unpacked.data) == tokens_count);
		rewrite(tokens, tokens_count, data, size);
		/* one token too few is too few, and nothing is whole before its last byte */
		PL_FUZZ_CHECK(pl_mp_parse(data, size, tokens, tokens_count - 1, &ignored) == PL_ERR_LIMIT);
		for (size_t n = size > 64 ? size - 64 : 0; n < size; n++)
			PL_FUZZ_CHECK(pl_mp_parse(data, n, tokens, PL_MP_ITEMS_MAX, &ignored) == PL_ERR_SHORT);
	}
	msgpack_unpacked_destroy(&unpacked);
	return 0;
}
