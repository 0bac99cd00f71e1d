#include "node/visible.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

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

bool pl_utf8_is_valid(const char *bytes, size_t count)
{
	uint32_t c;
	while (count > 0) {
		size_t length = pl_utf8_decode(bytes, count, &c);
		if (length == 0)
			return false;
		bytes += length;
		count -= length;
	}
	return true;
}

bool pl_char_is_hidden(uint32_t c)
{
	static const struct { uint32_t first, last; } hidden[] = {
		{ 0x00, 0x1f }, { 0x7f, 0x9f },         /* C0, DEL, C1: terminal escapes */
		{ 0xad, 0xad }, { 0x34f, 0x34f },       /* soft hyphen, grapheme joiner */
		{ 0x61c, 0x61c }, { 0x180e, 0x180e },   /* Arabic letter mark, Mongolian vowel separator */
		{ 0x200b, 0x200f },                     /* zero width, direction marks */
		{ 0x2028, 0x202e },                     /* line and paragraph separators, embeddings and overrides */
		{ 0x2060, 0x206f },                     /* word joiner, isolates, deprecated format characters */
		{ 0xfeff, 0xfeff }, { 0xfff9, 0xfffb }, /* byte order mark, interlinear annotation */
		{ 0xe0000, 0xe0fff },                   /* tags, variation selectors supplement */
	};
	for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return true;
	return (c & 0xfffe) == 0xfffe; /* never characters */
}

size_t pl_visible(const char *text, size_t text_bytes, char *out, size_t out_max)
{
	static const char cut[] = "…";
	assert(out_max >= sizeof cut);
	size_t length = 0, cut_at = 0; /* cut_at: the last place from which the mark still fits */
	while (text_bytes > 0) {
		char escape[16];
		const char *piece = escape;
		uint32_t c;
		size_t taken = pl_utf8_decode(text, text_bytes, &c), piece_bytes;
		if (taken == 0) {
			taken = 1;
			piece_bytes = (size_t)snprintf(escape, sizeof escape, "\\x%02x", (unsigned)(uint8_t)text[0]);
		} else if (c == '\n' || c == '\t' || c == '\r' || c == '\\') {
			piece_bytes = (size_t)snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : '\\');
		} else if (pl_char_is_hidden(c)) {
			piece_bytes = (size_t)snprintf(escape, sizeof escape, c < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
		} else {
			piece = text;
			piece_bytes = taken;
		}
		if (length + sizeof cut <= out_max)
			cut_at = length;
		if (length + piece_bytes + 1 > out_max) {
			memcpy(out + cut_at, cut, sizeof cut);
			return cut_at + sizeof cut - 1;
		}
		memcpy(out + length, piece, piece_bytes);
		length += piece_bytes;
		text += taken;
		text_bytes -= taken;
	}
	out[length] = '\0';
	return length;
}
