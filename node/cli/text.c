#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "node/cli/buffer.h"
#include "node/visible.h"
#include "proto/text.h"

/* --- memory --- */

struct pl_block {
	struct pl_block *before;
	max_align_t bytes[];
};
static struct pl_block *blocks;

_Noreturn void pl_no_memory(void)
{
	fputs("parley: out of memory\n", stderr);
	exit(PL_EXIT_FAILED);
}

void *pl_alloc(size_t bytes)
{
	struct pl_block *block = calloc(1, sizeof(*block) + bytes);
	if (block == NULL)
		pl_no_memory();
	block->before = blocks;
	blocks = block;
	return block->bytes;
}

struct pl_block *pl_scope_begin(void)
{
	return blocks;
}

void pl_scope_end(struct pl_block *scope)
{
	while (blocks != scope) {
		struct pl_block *before = blocks->before;
		free(blocks);
		blocks = before;
	}
}

/* --- text --- */

void pl_put(struct pl_buffer *buffer, const char *chars, size_t count)
{
	pl_buffer_add(buffer, chars, count);
	if (buffer->err != PL_OK)
		pl_no_memory();
}

void pl_put_text(struct pl_buffer *buffer, const char *chars)
{
	pl_put(buffer, chars, strlen(chars));
}

char *pl_buffer_keep(struct pl_buffer *buffer)
{
	char *kept = pl_alloc(buffer->count + 1);
	if (buffer->count > 0)
		memcpy(kept, buffer->bytes, buffer->count);
	pl_buffer_dispose(buffer);
	return kept;
}

/* Whether the character that text begins with is shown as an escape. *length is 0 where there is none. */
static bool is_escaped(uint32_t before, const char *text, size_t count, size_t *length, uint32_t *c)
{
	*length = pl_utf8_decode(text, count, c);
	return count > 0 && (*length == 0 || pl_char_is_hidden_there(before, *c, text + *length, count - *length));
}

/* Whether a backslash before this text begins an escape, or would read as the beginning of one. */
static bool follows_backslash(const char *text, size_t count)
{
	size_t length;
	uint32_t c;
	if (count >= 2 && text[0] == 'u' && text[1] == '{')
		return true;
	if (count >= 3 && text[0] == 'x' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2]))
		return true;
	return is_escaped('\\', text, count, &length, &c);
}

void pl_put_visible_as(struct pl_buffer *buffer, const char *text, size_t count, bool color, enum pl_typed typed)
{
	size_t length;
	for (uint32_t before = 0, c = 0; count > 0; before = c, c = 0) {
		if (!is_escaped(before, text, count, &length, &c)) {
			if (c == '\\') {
				while (length < count && text[length] == '\\')
					length++;
				if (typed == PL_TYPED_APART && follows_backslash(text + length, count - length))
					pl_put(buffer, text, length);
			}
			pl_put(buffer, text, length);
		} else {
			char escape[16];
			if (length == 0)
				snprintf(escape, sizeof(escape), "\\x%02x", (unsigned)(uint8_t)*text);
			else
				snprintf(escape, sizeof(escape), c < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
			if (color)
				pl_put_text(buffer, "\033[7m");
			pl_put_text(buffer, escape);
			if (color)
				pl_put_text(buffer, "\033[27m");
		}
		length += length == 0;
		text += length;
		count -= length;
	}
}

void pl_put_visible(struct pl_buffer *buffer, const char *text, size_t count)
{
	pl_put_visible_as(buffer, text, count, false, PL_TYPED_APART);
}

void pl_put_visible_color(struct pl_buffer *buffer, const char *text, size_t count)
{
	pl_put_visible_as(buffer, text, count, true, PL_TYPED_APART);
}

static void put_percent(struct pl_buffer *buffer, const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)text[i];
		char escape[4];
		if (isalnum(c) || (c != '\0' && strchr("-._~", c) != NULL))
			snprintf(escape, sizeof(escape), "%c", c);
		else
			snprintf(escape, sizeof(escape), "%%%02X", c);
		pl_put_text(buffer, escape);
	}
}

int pl_text_columns(const char *text)
{
	int columns = 0;
	size_t count = strlen(text);
	while (count > 0) {
		uint32_t c;
		size_t length = pl_utf8_decode(text, count, &c);
		if (length == 0) {
			c = '?';
			length = 1;
		}
		int width = wcwidth((wchar_t)c);
		columns += width < 0 ? 1 : width;
		text += length;
		count -= length;
	}
	return columns;
}

static void put_padded(struct pl_buffer *buffer, const char *text, size_t count, int columns, bool left, pl_put_filtered filter)
{
	struct pl_buffer plain = PL_TEXT_IN_MAKING;
	pl_put_visible(&plain, text, count);
	int missing = columns - (plain.bytes == NULL ? 0 : pl_text_columns(plain.bytes));
	pl_buffer_dispose(&plain);
	for (int i = 0; !left && i < missing; i++)
		pl_put(buffer, " ", 1);
	filter(buffer, text, count);
	for (int i = 0; left && i < missing; i++)
		pl_put(buffer, " ", 1);
}

/* printf of which every %s goes through a filter, and counts columns rather than bytes for its width. */
void pl_put_list(struct pl_buffer *buffer, pl_put_filtered filter, const char *format, va_list list)
{
	pl_put(buffer, "", 0);
	for (const char *at = format; *at != '\0';) {
		if (*at != '%') {
			size_t count = strcspn(at, "%");
			pl_put(buffer, at, count);
			at += count;
			continue;
		}
		const char *start = at++;
		bool left = false;
		while (*at != '\0' && strchr("-+ 0#'", *at) != NULL)
			left |= *at++ == '-';
		int width = 0, precision = -1;
		if (*at == '*') {
			width = va_arg(list, int);
			at++;
		} else {
			while (isdigit((unsigned char)*at))
				width = width * 10 + (*at++ - '0');
		}
		if (width < 0) {
			left = true;
			width = -width;
		}
		if (*at == '.') {
			precision = 0;
			if (*++at == '*') {
				precision = va_arg(list, int);
				at++;
			} else {
				while (isdigit((unsigned char)*at))
					precision = precision * 10 + (*at++ - '0');
			}
		}
		const char *length = at;
		while (*at != '\0' && strchr("hlzjt", *at) != NULL)
			at++;
		char conversion = *at++;
		char spec[32], out[64];
		snprintf(spec, sizeof(spec), "%.*s", (int)(at - start), start);
		switch (conversion) {
		case 's': {
			const char *text = va_arg(list, const char *);
			put_padded(buffer, text, precision < 0 ? strlen(text) : strnlen(text, (size_t)precision), width, left, filter);
			break;
		}
		case 'c': {
			char c = (char)va_arg(list, int);
			filter(buffer, &c, 1);
			break;
		}
		case '%': pl_put(buffer, "%", 1); break;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* a part of the caller's own literal, checked there */
		case 'd':
		case 'i':
		case 'u':
		case 'x':
		case 'X':
		case 'o':
			if (*length == 'l' && length[1] == 'l')
				snprintf(out, sizeof(out), spec, va_arg(list, long long));
			else if (*length == 'l')
				snprintf(out, sizeof(out), spec, va_arg(list, long));
			else if (*length == 'z' || *length == 't')
				snprintf(out, sizeof(out), spec, va_arg(list, size_t));
			else if (*length == 'j')
				snprintf(out, sizeof(out), spec, va_arg(list, intmax_t));
			else
				snprintf(out, sizeof(out), spec, va_arg(list, int));
			pl_put_text(buffer, out);
			break;
		case 'f':
			snprintf(out, sizeof(out), spec, va_arg(list, double));
			pl_put_text(buffer, out);
			break;
#pragma GCC diagnostic pop
		default: abort(); /* our own format asks for what is not here */
		}
	}
}

void pl_put_raw(struct pl_buffer *buffer, const char *text, size_t count)
{
	pl_put(buffer, text, count);
}

char *pl_format(const char *format, ...)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	va_list list;
	va_start(list, format);
	pl_put_list(&buffer, pl_put_raw, format, list);
	va_end(list);
	return pl_buffer_keep(&buffer);
}

char *pl_path(const char *format, ...)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	va_list list;
	va_start(list, format);
	pl_put_list(&buffer, put_percent, format, list);
	va_end(list);
	return pl_buffer_keep(&buffer);
}

char *pl_visible_text(const char *text, size_t count)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	pl_put_visible(&buffer, text, count);
	return pl_buffer_keep(&buffer);
}

char *pl_visible_list(const char *format, va_list list)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	pl_put_list(&buffer, pl_put_visible, format, list);
	return pl_buffer_keep(&buffer);
}
