#include "proto/text.h"

#include <stdint.h>

#include "proto/limits.h"

#define BAD UINT32_MAX

/* The code point at *at, which moves past it; BAD if there is none in a valid form. */
static uint32_t next_code(const uint8_t **at, const uint8_t *end)
{
	/* by length: the least code point that needs it */
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	uint8_t first = *(*at)++;
	unsigned length;
	uint32_t code;

	if (first < 0x80)
		return first;
	if (first >= 0xc0 && first < 0xe0) {
		length = 2;
		code = first & 0x1fu;
	} else if (first >= 0xe0 && first < 0xf0) {
		length = 3;
		code = first & 0x0fu;
	} else if (first >= 0xf0 && first < 0xf8) {
		length = 4;
		code = first & 0x07u;
	} else {
		return BAD;
	}
	if ((size_t)(end - *at) < length - 1)
		return BAD;
	for (unsigned i = 1; i < length; i++) {
		uint8_t byte = *(*at)++;

		if ((byte & 0xc0) != 0x80)
			return BAD;
		code = code << 6 | (byte & 0x3fu);
	}
	if (code < least[length] || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
		return BAD;
	return code;
}

static bool is_forbidden_in_line(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f) /* C0, DEL, C1 */
		|| code == 0x2028 || code == 0x2029          /* line and paragraph separator */
		|| (code >= 0x202a && code <= 0x202e)        /* bidi embeddings and overrides */
		|| (code >= 0x2066 && code <= 0x2069);       /* bidi isolates */
}

static bool is_text(const char *chars, size_t bytes, bool line)
{
	const uint8_t *at = (const uint8_t *)chars;
	const uint8_t *end = at + bytes;

	while (at < end) {
		uint32_t code = next_code(&at, end);

		if (code == BAD || code == 0 || (line && is_forbidden_in_line(code)))
			return false;
	}
	return true;
}

bool pl_text_is_utf8(const char *chars, size_t bytes)
{
	return bytes == 0 || is_text(chars, bytes, false);
}

bool pl_text_is_line(const char *chars, size_t bytes)
{
	return bytes == 0 || is_text(chars, bytes, true);
}

bool pl_text_is_name(const char *chars, size_t bytes)
{
	return bytes > 0 && bytes <= PL_NAME_BYTES_MAX && chars[0] != ' ' && chars[bytes - 1] != ' ' && is_text(chars, bytes, true);
}
