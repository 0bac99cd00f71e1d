#include "proto/mp.h"

#include <string.h>

#include <msgpack/pack_define.h>
#include <msgpack/timestamp.h>
#include <msgpack/unpack_define.h>

#include "proto/text.h"

/* --- reading: msgpack-c's parser template over our callbacks --- */

struct reader {
	struct pl_mp_token *tokens;
	size_t tokens_max, tokens_count;
	size_t bytes_count;
	size_t announced;              /* tokens that have come or that an array has announced */
	unsigned depth;                /* arrays that are open */
	uint32_t left[PL_MP_DEPTH_MAX]; /* children to come, of each */
};

/* The template returns these for its own errors and passes on what is negative from a callback: ours are negated enum pl_err. */
enum { MSGPACK_UNPACK_PARSE_ERROR = -(int)PL_ERR_FORMAT, MSGPACK_UNPACK_NOMEM_ERROR = -(int)PL_ERR_LIMIT };

/* announced counted this token when its array came, and every count is checked then: so there is room. */
static struct pl_mp_token *add(struct reader *reader, enum pl_mp_type type, uint32_t *object)
{
	struct pl_mp_token *token = &reader->tokens[reader->tokens_count];

	*object = (uint32_t)reader->tokens_count++;
	*token = (struct pl_mp_token){ .type = type, .next = *object + 1 };
	return token;
}

static int add_number(struct reader *reader, enum pl_mp_type type, uint64_t number, uint32_t *object)
{
	add(reader, type, object)->number = number;
	return 0;
}

static int add_bytes(struct reader *reader, enum pl_mp_type type, const char *base, const char *pos, size_t count, uint32_t *object)
{
	struct pl_mp_token *token = add(reader, type, object);

	/* The template leaves pos as it was when there are no bytes. */
	token->bytes = (const uint8_t *)(count ? pos : base);
	token->count = count;
	return 0;
}

static uint32_t on_root(struct reader *reader)
{
	(void)reader;
	return 0;
}

static int on_array(struct reader *reader, uint32_t children, uint32_t *object)
{
	/* PROTOCOL: "Arrays stand at most 8 deep." */
	if (reader->depth == PL_MP_DEPTH_MAX)
		return -(int)PL_ERR_LIMIT;
	/* PROTOCOL: "An array that announces more elements than there are bytes left to hold them is refused when its header is read." */
	if (children > reader->bytes_count - reader->announced)
		return -(int)PL_ERR_SHORT;
	/* PROTOCOL: "A document has at most 4,096 elements, arrays counted, and fewer where its kind says so." */
	if (children > reader->tokens_max - reader->announced)
		return -(int)PL_ERR_LIMIT;
	reader->announced += children;
	add(reader, PL_MP_ARRAY, object)->number = children;
	if (children)
		reader->left[reader->depth++] = children;
	return 0;
}

static int on_array_item(struct reader *reader, const uint32_t *array, uint32_t item)
{
	(void)item;
	if (--reader->left[reader->depth - 1] == 0) {
		reader->depth--;
		reader->tokens[*array].next = (uint32_t)reader->tokens_count;
	}
	return 0;
}

static int on_uint8(struct reader *reader, uint8_t number, uint32_t *object)
{
	return add_number(reader, PL_MP_UINT, number, object);
}

static int on_uint16(struct reader *reader, uint16_t number, uint32_t *object)
{
	return add_number(reader, PL_MP_UINT, number, object);
}

static int on_uint32(struct reader *reader, uint32_t number, uint32_t *object)
{
	return add_number(reader, PL_MP_UINT, number, object);
}

static int on_uint64(struct reader *reader, uint64_t number, uint32_t *object)
{
	return add_number(reader, PL_MP_UINT, number, object);
}

static int on_true(struct reader *reader, uint32_t *object)
{
	return add_number(reader, PL_MP_BOOL, 1, object);
}

static int on_false(struct reader *reader, uint32_t *object)
{
	return add_number(reader, PL_MP_BOOL, 0, object);
}

static int on_bin(struct reader *reader, const char *base, const char *pos, uint32_t count, uint32_t *object)
{
	return add_bytes(reader, PL_MP_BIN, base, pos, count, object);
}

static int on_str(struct reader *reader, const char *base, const char *pos, uint32_t count, uint32_t *object)
{
	/* PROTOCOL: "A string is UTF-8 (RFC 3629) without NUL." */
	if (!pl_text_is_utf8(pos, count))
		return -(int)PL_ERR_FORMAT;
	return add_bytes(reader, PL_MP_STR, base, pos, count, object);
}

/* PROTOCOL: "Maps, nil, floats, extensions and negative numbers do not occur." */
#define REFUSED -(int)PL_ERR_FORMAT
#define on_nil(reader, object) (REFUSED)
#define on_int8(reader, number, object) ((void)(number), REFUSED)
#define on_int16(reader, number, object) ((void)(number), REFUSED)
#define on_int32(reader, number, object) ((void)(number), REFUSED)
#define on_int64(reader, number, object) ((void)(number), REFUSED)
#define on_float(reader, number, object) ((void)(number), REFUSED)
#define on_double(reader, number, object) ((void)(number), REFUSED)
#define on_map(reader, pairs, object) (REFUSED)
#define on_map_item(reader, map, key, value) (REFUSED)
#define on_ext(reader, base, pos, count, object) (REFUSED)

#define msgpack_unpack_struct(name) struct template##name
#define msgpack_unpack_func(type, name) static inline type template##name
#define msgpack_unpack_callback(name) on##name
#define msgpack_unpack_object uint32_t
#define msgpack_unpack_user struct reader
#include <msgpack/unpack_template.h>

/* --- writing: msgpack-c's packer template over our buffer --- */

/* Where packed bytes go: into writer's buffer, or, with expected set, nowhere but past a comparison. */
struct sink {
	struct pl_mp_writer *writer;
	const uint8_t *expected;
};

static int append(const struct sink *sink, const void *bytes, size_t count)
{
	struct pl_mp_writer *writer = sink->writer;

	if (count > writer->max - writer->count) {
		writer->err = PL_ERR_FULL;
		return -1;
	}
	if (sink->expected && memcmp(sink->expected + writer->count, bytes, count)) {
		writer->err = PL_ERR_FORMAT;
		return -1;
	}
	if (writer->bytes && count)
		memcpy(writer->bytes + writer->count, bytes, count);
	writer->count += count;
	return 0;
}

#define msgpack_pack_inline_func(name) static inline int msgpack_pack##name
#define msgpack_pack_inline_func_cint(name) static inline int msgpack_pack##name
#define msgpack_pack_user const struct sink *
#define msgpack_pack_append_buffer(user, bytes, count) return append(user, bytes, count)
#include <msgpack/pack_template.h>

/* The first failure stands in writer->err; what the packer returns says nothing more. */
static void put_token(const struct sink *sink, const struct pl_mp_token *token)
{
	if (sink->writer->err != PL_OK)
		return;
	switch (token->type) {
	case PL_MP_UINT:
		(void)msgpack_pack_uint64(sink, token->number);
		break;
	case PL_MP_BOOL:
		(void)(token->number ? msgpack_pack_true(sink) : msgpack_pack_false(sink));
		break;
	case PL_MP_BIN:
		if (msgpack_pack_bin(sink, token->count) == 0)
			(void)msgpack_pack_bin_body(sink, token->bytes, token->count);
		break;
	case PL_MP_STR:
		if (msgpack_pack_str(sink, token->count) == 0)
			(void)msgpack_pack_str_body(sink, token->bytes, token->count);
		break;
	case PL_MP_ARRAY:
		(void)msgpack_pack_array(sink, token->number);
		break;
	}
}

/* PROTOCOL: "One value has one encoding: a reader packs again what it has read and refuses what differs in a byte." */
static enum pl_err check_canonical(const uint8_t *bytes, size_t count, const struct pl_mp_token *tokens, size_t tokens_count)
{
	struct pl_mp_writer writer = { .max = count };
	const struct sink sink = { &writer, bytes };

	for (size_t i = 0; i < tokens_count; i++)
		put_token(&sink, &tokens[i]);
	/* PROTOCOL: "Nothing follows the value." Full means different: packed again, a value never takes more bytes than it came in. */
	return writer.err == PL_OK && writer.count == count ? PL_OK : PL_ERR_FORMAT;
}

enum pl_err pl_mp_parse(const uint8_t *bytes, size_t count, struct pl_mp_token *tokens, size_t tokens_max, size_t *tokens_count)
{
	struct template_context context;
	size_t end = 0;
	int result;
	enum pl_err err;

	if (count == 0)
		return PL_ERR_SHORT;
	if (tokens_max == 0)
		return PL_ERR_LIMIT;
	context.user = (struct reader){
		.tokens = tokens,
		.tokens_max = tokens_max < PL_MP_ITEMS_MAX ? tokens_max : PL_MP_ITEMS_MAX,
		.bytes_count = count,
		.announced = 1,
	};
	template_init(&context);
	result = template_execute(&context, (const char *)bytes, count, &end);
	if (result < 0)
		return (enum pl_err)-result;
	if (result == 0)
		return PL_ERR_SHORT;
	err = check_canonical(bytes, count, tokens, context.user.tokens_count);
	if (err == PL_OK)
		*tokens_count = context.user.tokens_count;
	return err;
}

/* --- the cursor --- */

void pl_mp_cursor_init(struct pl_mp_cursor *cursor, const struct pl_mp_token *tokens, size_t tokens_count)
{
	*cursor = (struct pl_mp_cursor){ .tokens = tokens, .end = (uint32_t)tokens_count };
}

/* The next token, if it is of this type; else NULL, and the cursor stops there. */
static const struct pl_mp_token *take(struct pl_mp_cursor *cursor, enum pl_mp_type type)
{
	if (cursor->err == PL_OK && (cursor->at == cursor->end || cursor->tokens[cursor->at].type != type))
		cursor->err = PL_ERR_FORMAT;
	return cursor->err == PL_OK ? &cursor->tokens[cursor->at++] : NULL;
}

static bool is_within(struct pl_mp_cursor *cursor, uint64_t value, uint64_t min, uint64_t max)
{
	if (value < min)
		cursor->err = PL_ERR_FORMAT;
	else if (value > max)
		cursor->err = PL_ERR_LIMIT;
	return cursor->err == PL_OK;
}

uint32_t pl_mp_enter_array(struct pl_mp_cursor *cursor, uint32_t count_min, uint32_t count_max)
{
	const struct pl_mp_token *token = take(cursor, PL_MP_ARRAY);

	return token && is_within(cursor, token->number, count_min, count_max) ? (uint32_t)token->number : 0;
}

void pl_mp_enter_versioned(struct pl_mp_cursor *cursor, uint64_t version, uint32_t count)
{
	uint32_t found = pl_mp_enter_array(cursor, 1, UINT32_MAX);
	uint64_t first = pl_mp_take_uint(cursor, UINT64_MAX);

	if (cursor->err != PL_OK)
		return;
	/* PROTOCOL: "The version is looked at before anything else, and another one is an error of its own." */
	if (first != version)
		cursor->err = PL_ERR_VERSION;
	else if (found != count)
		cursor->err = PL_ERR_FORMAT;
}

uint64_t pl_mp_take_uint(struct pl_mp_cursor *cursor, uint64_t max)
{
	const struct pl_mp_token *token = take(cursor, PL_MP_UINT);

	return token && is_within(cursor, token->number, 0, max) ? token->number : 0;
}

bool pl_mp_take_bool(struct pl_mp_cursor *cursor)
{
	const struct pl_mp_token *token = take(cursor, PL_MP_BOOL);

	return token && token->number;
}

/* What stands in for the bytes of a value that could not be taken. */
static const uint8_t nothing[1];

const uint8_t *pl_mp_take_bin(struct pl_mp_cursor *cursor, size_t bytes_min, size_t bytes_max, size_t *count)
{
	const struct pl_mp_token *token = take(cursor, PL_MP_BIN);

	if (!token || !is_within(cursor, token->count, bytes_min, bytes_max)) {
		*count = 0;
		return nothing;
	}
	*count = token->count;
	return token->bytes;
}

const char *pl_mp_take_str(struct pl_mp_cursor *cursor, size_t bytes_max, size_t *count)
{
	const struct pl_mp_token *token = take(cursor, PL_MP_STR);

	if (!token || !is_within(cursor, token->count, 0, bytes_max)) {
		*count = 0;
		return (const char *)nothing;
	}
	*count = token->count;
	return (const char *)token->bytes;
}

void pl_mp_take_fixed(struct pl_mp_cursor *cursor, uint8_t *out, size_t bytes)
{
	const struct pl_mp_token *token = take(cursor, PL_MP_BIN);

	if (token && is_within(cursor, token->count, bytes, bytes))
		memcpy(out, token->bytes, bytes);
	else
		memset(out, 0, bytes);
}

enum pl_err pl_mp_finish(const struct pl_mp_cursor *cursor)
{
	if (cursor->err != PL_OK)
		return cursor->err;
	return cursor->at == cursor->end ? PL_OK : PL_ERR_FORMAT;
}

/* --- the writer --- */

void pl_mp_writer_init(struct pl_mp_writer *writer, uint8_t *bytes, size_t max)
{
	*writer = (struct pl_mp_writer){ .bytes = bytes, .max = max };
}

static void put(struct pl_mp_writer *writer, const struct pl_mp_token *token)
{
	const struct sink sink = { writer, NULL };

	if (writer->err == PL_OK && token->count > UINT32_MAX)
		writer->err = PL_ERR_LIMIT;
	put_token(&sink, token);
}

void pl_mp_put_array(struct pl_mp_writer *writer, uint32_t children)
{
	put(writer, &(struct pl_mp_token){ .type = PL_MP_ARRAY, .number = children });
}

void pl_mp_put_uint(struct pl_mp_writer *writer, uint64_t value)
{
	put(writer, &(struct pl_mp_token){ .type = PL_MP_UINT, .number = value });
}

void pl_mp_put_bool(struct pl_mp_writer *writer, bool value)
{
	put(writer, &(struct pl_mp_token){ .type = PL_MP_BOOL, .number = value });
}

void pl_mp_put_bin(struct pl_mp_writer *writer, const void *bytes, size_t count)
{
	put(writer, &(struct pl_mp_token){ .type = PL_MP_BIN, .bytes = bytes, .count = count });
}

void pl_mp_begin_bin(struct pl_mp_writer *writer, size_t count)
{
	const struct sink sink = { writer, NULL };

	if (writer->err == PL_OK && count > UINT32_MAX)
		writer->err = PL_ERR_LIMIT;
	if (writer->err == PL_OK)
		(void)msgpack_pack_bin(&sink, count);
}

void pl_mp_put_str(struct pl_mp_writer *writer, const char *chars, size_t count)
{
	if (writer->err == PL_OK && !pl_text_is_utf8(chars, count))
		writer->err = PL_ERR_FORMAT;
	put(writer, &(struct pl_mp_token){ .type = PL_MP_STR, .bytes = (const uint8_t *)chars, .count = count });
}
