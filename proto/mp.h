/* msgpack, canonical: one encoding per value. Writing goes through msgpack-c's packer into the caller's buffer; reading drives msgpack-c's
 * parser with our own callbacks, which allocate nothing and stop at limits.h: the document becomes a flat array of tokens, then
 * is packed again and compared, so that anything but the one canonical form is refused. PROTOCOL.md, "msgpack".
 */
#ifndef PL_PROTO_MP_H
#define PL_PROTO_MP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "proto/limits.h"

/* Only these are allowed in Parley; maps, floats, nil, extensions and negative numbers are PL_ERR_FORMAT. */
enum pl_mp_type { PL_MP_UINT, PL_MP_BOOL, PL_MP_BIN, PL_MP_STR, PL_MP_ARRAY };

struct pl_mp_token {
	enum pl_mp_type type;
	uint64_t number;      /* of PL_MP_UINT, PL_MP_BOOL; children of PL_MP_ARRAY */
	const uint8_t *bytes; /* of PL_MP_BIN, PL_MP_STR: borrowed from the input */
	size_t count;
	uint32_t next;        /* index of the token after this one and all that it contains */
};

/* Parses exactly one value that fills bytes. Strings are checked to be UTF-8 without NUL. tokens is scratch until PL_OK; tokens_max over
 * PL_MP_ITEMS_MAX counts as that. PL_ERR_SHORT (also every true prefix of a document), PL_ERR_FORMAT, PL_ERR_LIMIT (depth over
 * PL_MP_DEPTH_MAX, more than tokens_max tokens). */
PL_MUST_CHECK enum pl_err pl_mp_parse(const uint8_t *bytes, size_t count, struct pl_mp_token *tokens, size_t tokens_max,
                                      size_t *tokens_count);

/* A cursor over tokens. The first mismatch sets err, later calls return zero values (bytes are never NULL); check err once at the end.
 * PL_ERR_FORMAT: another type, no token left, or under a minimum. PL_ERR_LIMIT: over a maximum. */
struct pl_mp_cursor {
	const struct pl_mp_token *tokens;
	uint32_t at, end;
	enum pl_err err;
};
void pl_mp_cursor_init(struct pl_mp_cursor *cursor, const struct pl_mp_token *tokens, size_t tokens_count);
uint32_t pl_mp_enter_array(struct pl_mp_cursor *cursor, uint32_t count_min, uint32_t count_max); /* its number of children */
/* Enters an array of this many children, the first of which is this format version. Another one is PL_ERR_VERSION whatever its shape. */
void pl_mp_enter_versioned(struct pl_mp_cursor *cursor, uint64_t version, uint32_t count);
uint64_t pl_mp_take_uint(struct pl_mp_cursor *cursor, uint64_t max);
bool pl_mp_take_bool(struct pl_mp_cursor *cursor);
const uint8_t *pl_mp_take_bin(struct pl_mp_cursor *cursor, size_t bytes_min, size_t bytes_max, size_t *count);
const char *pl_mp_take_str(struct pl_mp_cursor *cursor, size_t bytes_max, size_t *count);
void pl_mp_take_fixed(struct pl_mp_cursor *cursor, uint8_t *out, size_t bytes); /* a bin of just this length, copied; zeros on error */
PL_MUST_CHECK enum pl_err pl_mp_finish(const struct pl_mp_cursor *cursor); /* err, or PL_ERR_FORMAT if tokens remain */

/* Writes into a buffer with a ceiling. The first failure stands in err, and nothing is written after it: PL_ERR_FULL, PL_ERR_FORMAT for
 * a string that is not UTF-8, or PL_ERR_LIMIT for a length that msgpack has no room for. With bytes NULL it only counts. */
struct pl_mp_writer {
	uint8_t *bytes;
	size_t max, count;
	enum pl_err err;
};
void pl_mp_writer_init(struct pl_mp_writer *writer, uint8_t *bytes, size_t max);
void pl_mp_put_array(struct pl_mp_writer *writer, uint32_t children);
void pl_mp_put_uint(struct pl_mp_writer *writer, uint64_t value);
void pl_mp_put_bool(struct pl_mp_writer *writer, bool value);
void pl_mp_put_bin(struct pl_mp_writer *writer, const void *bytes, size_t count);
void pl_mp_begin_bin(struct pl_mp_writer *writer, size_t count); /* a bin whose count bytes are what the next calls write */
void pl_mp_put_str(struct pl_mp_writer *writer, const char *chars, size_t count);

#endif
