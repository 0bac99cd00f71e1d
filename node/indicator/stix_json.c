#include "node/indicator/stix_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void pl_stix_say(char *out, size_t out_max, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)vsnprintf(out, out_max, format, args);
	va_end(args);
}

/* --- brackets --- */

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

size_t pl_json_skip_space(const uint8_t *bytes, size_t at, size_t end)
{
	while (at < end && is_space(bytes[at]))
		at++;
	return at;
}

/* at: of the opening quote. The place behind the closing one, or end + 1 if there is none. */
static size_t skip_string(const uint8_t *bytes, size_t at, size_t end)
{
	for (at++; at < end; at++) {
		if (bytes[at] == '"')
			return at + 1;
		if (bytes[at] == '\\')
			at++;
	}
	return end + 1;
}

enum pl_json_brackets pl_json_skip_value(const uint8_t *bytes, size_t *at, size_t end, unsigned depth_max)
{
	uint64_t is_list[(PL_STIX_DEPTH_MAX + 63) / 64] = { 0 };
	unsigned depth = 0;
	size_t i = *at;
	while (i < end) {
		uint8_t c = bytes[i];
		switch (c) {
		case '"':
			*at = i;
			i = skip_string(bytes, i, end);
			if (i > end)
				return PL_BRACKETS_QUOTE_OPEN;
			break;
		case '{':
		case '[':
			*at = i;
			if (depth == depth_max)
				return PL_BRACKETS_DEEP;
			if (c == '[')
				is_list[depth / 64] |= UINT64_C(1) << depth % 64;
			else
				is_list[depth / 64] &= ~(UINT64_C(1) << depth % 64);
			depth++;
			i++;
			break;
		case '}':
		case ']':
			*at = i;
			if (depth == 0)
				return PL_BRACKETS_GOOD; /* the end of what surrounds a bare value */
			depth--;
			if ((is_list[depth / 64] >> depth % 64 & 1) != (c == ']'))
				return PL_BRACKETS_UNBALANCED;
			i++;
			break;
		default:
			if (depth == 0 && (c == ',' || is_space(c))) {
				*at = i;
				return PL_BRACKETS_GOOD;
			}
			i++;
			continue;
		}
		if (depth == 0) {
			*at = i;
			return PL_BRACKETS_GOOD;
		}
	}
	*at = end;
	return depth == 0 ? PL_BRACKETS_GOOD : PL_BRACKETS_OPEN;
}

/* The members of an object, read without a tree: only for text that pl_json_skip_value() has passed. */
struct pl_json_members pl_json_members_of(const uint8_t *bytes, size_t open, size_t end)
{
	return (struct pl_json_members){ .bytes = bytes, .at = open + 1, .end = end, .first = true };
}

enum pl_json_member pl_json_next_member(struct pl_json_members *m)
{
	m->at = pl_json_skip_space(m->bytes, m->at, m->end);
	if (m->at < m->end && m->bytes[m->at] == '}') {
		m->at++;
		return PL_JSON_MEMBERS_END;
	}
	if (!m->first) {
		if (m->at >= m->end || m->bytes[m->at] != ',')
			return PL_JSON_MEMBERS_BROKEN;
		m->at = pl_json_skip_space(m->bytes, m->at + 1, m->end);
	}
	m->first = false;
	if (m->at >= m->end || m->bytes[m->at] != '"')
		return PL_JSON_MEMBERS_BROKEN;
	m->key = m->at;
	size_t after = skip_string(m->bytes, m->at, m->end);
	if (after > m->end)
		return PL_JSON_MEMBERS_BROKEN;
	m->key_count = after - m->key;
	m->at = pl_json_skip_space(m->bytes, after, m->end);
	if (m->at >= m->end || m->bytes[m->at] != ':')
		return PL_JSON_MEMBERS_BROKEN;
	m->at = pl_json_skip_space(m->bytes, m->at + 1, m->end);
	m->value = m->at;
	if (pl_json_skip_value(m->bytes, &m->at, m->end, PL_STIX_DEPTH_MAX) != PL_BRACKETS_GOOD || m->at == m->value)
		return PL_JSON_MEMBERS_BROKEN;
	m->value_count = m->at - m->value;
	return PL_JSON_MEMBER;
}

/* --- values --- */

bool pl_json_is_syntax(const json_error_t *error)
{
	switch ((int)json_error_code(error)) {
	case json_error_duplicate_key:
	case json_error_numeric_overflow:
	case json_error_null_byte_in_key:
		return false;
	default:
		return true;
	}
}

void pl_json_error_words(const json_error_t *error, char out[80])
{
	pl_stix_say(out, 80, "%.79s", error->text);
	char *near = strstr(out, " near ");
	if (near != NULL)
		*near = '\0';
	for (char *p = out; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
}

json_t *pl_json_read(const uint8_t *bytes, size_t count, json_error_t *error)
{
	return json_loadb((const char *)bytes, count, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, error);
}

const char *pl_json_plain_string(const json_t *value)
{
	const char *chars = json_string_value(value);
	return chars != NULL && strlen(chars) == json_string_length(value) ? chars : NULL;
}

const char *pl_json_kind_of(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "a list";
	case JSON_STRING:
		return "a string";
	case JSON_INTEGER:
	case JSON_REAL:
		return "a number";
	case JSON_TRUE:
	case JSON_FALSE:
		return "true or false";
	case JSON_NULL:
		return "null";
	}
	return "nothing";
}
