#include "proto/text.h"

#include "proto/limits.h"

size_t pl_utf8_decode(const char *bytes, size_t count, uint32_t *character)
{
	if (count == 0)
		return 0;
	uint8_t first = (uint8_t)bytes[0];
	if (first < 0x80) {
		*character = first;
		return 1;
	}
	size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4 || count < length)
		return 0;
	uint32_t c = first & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if (((uint8_t)bytes[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | ((uint8_t)bytes[i] & 0x3f);
	}
	if ((length == 3 && c < 0x800) || (length == 4 && c < 0x10000) || (c >= 0xd800 && c <= 0xdfff) || c > 0x10ffff)
		return 0;
	*character = c;
	return length;
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
	uint32_t code;

	for (size_t at = 0, length; at < bytes; at += length) {
		length = pl_utf8_decode(chars + at, bytes - at, &code);
		if (length == 0 || code == 0 || (line && is_forbidden_in_line(code)))
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
