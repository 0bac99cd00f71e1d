/* What the files of the STIX reader share; stix.h says which does what. */
#ifndef PL_NODE_STIX_IMPL_H
#define PL_NODE_STIX_IMPL_H

#include <jansson.h>

#include "node/indicator/stix.h"

/* A sentence, or as much of it as has room. */
__attribute__((format(printf, 3, 4))) void pl_stix_say(char *out, size_t out_max, const char *format, ...);

/* --- stix_json.c --- */

size_t pl_json_skip_space(const uint8_t *bytes, size_t at, size_t end);

enum pl_json_brackets { PL_BRACKETS_GOOD, PL_BRACKETS_UNBALANCED, PL_BRACKETS_DEEP, PL_BRACKETS_OPEN, PL_BRACKETS_QUOTE_OPEN };
/* Follows the brackets of one value from *at, without recursion, to behind it. On a fault *at is where. A value without brackets ends at
 * the next comma, bracket or space. What stands between brackets is jansson's to check. depth_max: up to PL_STIX_DEPTH_MAX. */
enum pl_json_brackets pl_json_skip_value(const uint8_t *bytes, size_t *at, size_t end, unsigned depth_max);

/* The members of an object, read without a tree: only for text that pl_json_skip_value() has passed. */
struct pl_json_members {
	const uint8_t *bytes;
	size_t at, end; /* at: behind "{", then behind each value */
	bool first;
	size_t key, key_count, value, value_count;
};
enum pl_json_member { PL_JSON_MEMBER, PL_JSON_MEMBERS_END, PL_JSON_MEMBERS_BROKEN };
struct pl_json_members pl_json_members_of(const uint8_t *bytes, size_t open, size_t end);
/* On PL_JSON_MEMBERS_BROKEN at is where; on PL_JSON_MEMBERS_END behind the closing bracket. */
enum pl_json_member pl_json_next_member(struct pl_json_members *m);

json_t *pl_json_read(const uint8_t *bytes, size_t count, json_error_t *error);
/* Numbers too large for JSON's usual readers, double keys and the like are an object's own fault; other errors mean that the text is not
 * JSON. */
bool pl_json_is_syntax(const json_error_t *error);
/* What jansson has to say, without the piece of input that it quotes. */
void pl_json_error_words(const json_error_t *error, char out[80]);
/* A string without NUL, or NULL. */
const char *pl_json_plain_string(const json_t *value);
const char *pl_json_kind_of(const json_t *value); /* "a list", for sentences */

/* --- stix_object.c --- */

bool pl_stix_is_type_form(const char *type);
bool pl_stix_is_uuid_form(const char *uuid);
bool pl_stix_is_id_form(const char *id);

/* An object whose brackets are known to be good. syntax_at: where the text stops being JSON, or PL_NOT_SYNTAX. Errors of
 * pl_stix_object_read(). */
#define PL_NOT_SYNTAX SIZE_MAX
PL_MUST_CHECK enum pl_err pl_stix_read_object(const uint8_t *bytes, size_t count, struct pl_stix_object *out,
                                              char reason[PL_STIX_REASON_BYTES], size_t *syntax_at);

/* --- stix_marking.c --- */

/* tlp: 0 if it is marked with none. PL_ERR_FORMAT, with the reason, if a field of markings is of another kind than STIX has it, or a label
 * speaks of TLP in a way that is not known. */
PL_MUST_CHECK enum pl_err pl_stix_read_markings(const json_t *root, uint8_t *tlp, char reason[PL_STIX_REASON_BYTES]);

#endif
