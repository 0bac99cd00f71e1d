#include "node/visible.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "proto/text.h"

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
		{ 0x61c, 0x61c },                       /* Arabic letter mark */
		{ 0x115f, 0x1160 }, { 0x3164, 0x3164 }, /* Hangul fillers */
		{ 0x17b4, 0x17b5 }, { 0x180b, 0x180f }, /* Khmer inherent vowels, Mongolian selectors and vowel separator */
		{ 0x200b, 0x200f },                     /* zero width, direction marks */
		{ 0x2028, 0x202e },                     /* line and paragraph separators, embeddings and overrides */
		{ 0x2060, 0x206f },                     /* word joiner, isolates, deprecated format characters */
		{ 0x2800, 0x2800 },                     /* a blank of Braille */
		{ 0xfe00, 0xfe0f },                     /* variation selectors */
		{ 0xfeff, 0xfeff }, { 0xffa0, 0xffa0 }, /* byte order mark, Hangul filler of half width */
		{ 0xfff0, 0xfffb },                     /* unassigned ones without a form, interlinear annotation */
		{ 0x1bca0, 0x1bca3 }, { 0x1d173, 0x1d17a }, /* controls of shorthand and of music */
		{ 0xe0000, 0xe0fff },                   /* tags, variation selectors supplement */
	};
	for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++)
		if (c >= hidden[i].first && c <= hidden[i].last)
			return true;
	return (c & 0xfffe) == 0xfffe; /* never characters */
}

/* The blocks of one script of which letters join, or form clusters, otherwise with a joiner between them; 0: none. */
static unsigned joining_script(uint32_t c)
{
	static const struct { uint32_t first, last; unsigned script; } blocks[] = {
		{ 0x620, 0x65f, 1 }, { 0x66e, 0x6d3, 1 }, { 0x6d5, 0x6d5, 1 }, { 0x6ee, 0x6ef, 1 }, { 0x6fa, 0x6ff, 1 }, { 0x750, 0x77f, 1 },
		{ 0x870, 0x887, 1 }, { 0x889, 0x88e, 1 }, { 0x8a0, 0x8c9, 1 }, /* Arabic */
		{ 0x710, 0x74a, 2 },                       /* Syriac */
		{ 0x900, 0x963, 3 }, { 0x971, 0x97f, 3 },  /* Devanagari */
		{ 0x980, 0x9e3, 4 }, { 0x9f0, 0x9f1, 4 },  /* Bengali */
		{ 0xa00, 0xa65, 5 }, { 0xa70, 0xa75, 5 },  /* Gurmukhi */
		{ 0xa80, 0xae3, 6 }, { 0xb00, 0xb63, 7 }, { 0xb71, 0xb71, 7 }, /* Gujarati, Oriya */
		{ 0xb80, 0xbd7, 8 }, { 0xc00, 0xc63, 9 }, { 0xc80, 0xce3, 10 }, /* Tamil, Telugu, Kannada */
		{ 0xd00, 0xd63, 11 }, { 0xd7a, 0xd7f, 11 }, { 0xd80, 0xddf, 12 }, /* Malayalam, Sinhala */
		{ 0x1000, 0x103f, 13 }, { 0x1050, 0x108f, 13 }, { 0x1780, 0x17d3, 14 }, { 0x1820, 0x18aa, 15 }, /* Myanmar, Khmer, Mongolian */
	};
	for (size_t i = 0; i < sizeof(blocks) / sizeof(*blocks); i++)
		if (c >= blocks[i].first && c <= blocks[i].last)
			return pl_char_is_hidden(c) ? 0 : blocks[i].script;
	return 0;
}

/* Letters of scripts that run from right to left. */
static bool runs_left(uint32_t c)
{
	return (c >= 0x5d0 && c <= 0x5ea) || (c >= 0x620 && c <= 0x64a) || (c >= 0x66e && c <= 0x6d3) || (c >= 0x6fa && c <= 0x6ff) ||
	       (c >= 0x710 && c <= 0x72f) || (c >= 0x750 && c <= 0x7a5) || (c >= 0x7ca && c <= 0x7ea) || (c >= 0x8a0 && c <= 0x8c9);
}

/* Blanks, digits and punctuation, whose place in a line such a mark decides. */
static bool has_no_direction(uint32_t c)
{
	return (c >= 0x20 && c < 0x41) || (c >= 0x5b && c < 0x61) || (c >= 0x7b && c < 0x7f) || c == 0xa0 || c == 0xab || c == 0xbb || c == 0x60c || c == 0x61b ||
	       c == 0x61f || (c >= 0x660 && c <= 0x66d) || (c >= 0x6f0 && c <= 0x6f9) || (c >= 0x2010 && c <= 0x2027 && !pl_char_is_hidden(c));
}

static bool is_pictogram(uint32_t c)
{
	return (c >= 0x1f300 && c <= 0x1faff) || (c >= 0x2600 && c <= 0x27bf) || (c >= 0x2b00 && c <= 0x2bff) || (c >= 0x2190 && c <= 0x21ff);
}

bool pl_char_is_hidden_there(uint32_t before, uint32_t character, const char *after, size_t after_bytes)
{
	uint32_t next;
	if ((character == 0x200e || character == 0x200f) && pl_utf8_decode(after, after_bytes, &next) > 0 &&
	    ((runs_left(before) && has_no_direction(next)) || (has_no_direction(before) && runs_left(next))))
		return false;
	if (character == 0xfe0f && is_pictogram(before))
		return false;
	if (character == 0x200d && pl_utf8_decode(after, after_bytes, &next) > 0 && (is_pictogram(before) || before == 0xfe0f) && is_pictogram(next))
		return false;
	if ((character == 0x200c || character == 0x200d) && pl_utf8_decode(after, after_bytes, &next) > 0 && joining_script(before) != 0 &&
	    joining_script(before) == joining_script(next))
		return false;
	return pl_char_is_hidden(character);
}

size_t pl_visible(const char *text, size_t text_bytes, char *out, size_t out_max)
{
	static const char cut[] = "…";
	assert(out_max >= sizeof(cut));
	uint32_t before = 0;
	size_t length = 0, cut_at = 0; /* cut_at: the last place from which the mark still fits */
	while (text_bytes > 0) {
		char escape[16];
		const char *piece = escape;
		uint32_t c = 0;
		size_t taken = pl_utf8_decode(text, text_bytes, &c), piece_bytes;
		if (taken == 0) {
			taken = 1;
			piece_bytes = (size_t)snprintf(escape, sizeof(escape), "\\x%02x", (unsigned)(uint8_t)text[0]);
		} else if (c == '\n' || c == '\t' || c == '\r' || c == '\\') {
			piece_bytes = (size_t)snprintf(escape, sizeof(escape), "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : c == '\r' ? 'r' : '\\');
		} else if (pl_char_is_hidden_there(before, c, text + taken, text_bytes - taken)) {
			piece_bytes = (size_t)snprintf(escape, sizeof(escape), c < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
		} else {
			piece = text;
			piece_bytes = taken;
		}
		if (length + sizeof(cut) <= out_max)
			cut_at = length;
		if (length + piece_bytes + 1 > out_max) {
			memcpy(out + cut_at, cut, sizeof(cut));
			return cut_at + sizeof(cut) - 1;
		}
		memcpy(out + length, piece, piece_bytes);
		length += piece_bytes;
		before = c;
		text += taken;
		text_bytes -= taken;
	}
	out[length] = '\0';
	return length;
}
