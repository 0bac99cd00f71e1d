#include <ctype.h>
#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "node/cli/cli.h"
#include "node/visible.h"

#define FIELD_COLUMNS 12
#define HANGING_COLUMNS 4
#define ROW_COLUMNS_MIN 8 /* a terminal with less room than this is not folded for */

static bool color_out, color_err;
static int width_out;

/* --- memory --- */

struct pl_block {
	struct pl_block *before;
	max_align_t bytes[];
};
static struct pl_block *blocks;

static _Noreturn void no_memory(void)
{
	fputs("parley: out of memory\n", stderr);
	exit(PL_EXIT_FAILED);
}

void *pl_alloc(size_t bytes)
{
	struct pl_block *block = calloc(1, sizeof *block + bytes);
	if (block == NULL)
		no_memory();
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

struct buffer {
	char *chars;
	size_t count, room;
};

static void put(struct buffer *buffer, const char *chars, size_t count)
{
	if (buffer->count + count + 1 > buffer->room) {
		size_t room = (buffer->count + count + 1) * 2;
		char *more = realloc(buffer->chars, room);
		if (more == NULL)
			no_memory();
		buffer->chars = more;
		buffer->room = room;
	}
	memcpy(buffer->chars + buffer->count, chars, count);
	buffer->count += count;
	buffer->chars[buffer->count] = '\0';
}

static void put_text(struct buffer *buffer, const char *chars)
{
	put(buffer, chars, strlen(chars));
}

static char *keep(struct buffer *buffer)
{
	char *kept = pl_alloc(buffer->count + 1);
	if (buffer->count > 0)
		memcpy(kept, buffer->chars, buffer->count);
	free(buffer->chars);
	return kept;
}

typedef void (*put_filtered)(struct buffer *buffer, const char *text, size_t count);

static void put_visible_as(struct buffer *buffer, const char *text, size_t count, bool color)
{
	for (uint32_t before = 0, c = 0; count > 0; before = c, c = 0) {
		size_t length = pl_utf8_decode(text, count, &c);
		if (length > 0 && !pl_char_is_hidden_there(before, c, text + length, count - length)) {
			put(buffer, text, length);
		} else {
			char escape[16];
			if (length == 0)
				snprintf(escape, sizeof escape, "\\x%02x", (unsigned)(uint8_t)*text);
			else if (c == '\n' || c == '\t' || c == '\r')
				snprintf(escape, sizeof escape, "\\%c", c == '\n' ? 'n' : c == '\t' ? 't' : 'r');
			else
				snprintf(escape, sizeof escape, c < 0x80 ? "\\x%02x" : "\\u{%04x}", (unsigned)c);
			if (color)
				put_text(buffer, "\033[7m");
			put_text(buffer, escape);
			if (color)
				put_text(buffer, "\033[27m");
		}
		length += length == 0;
		text += length;
		count -= length;
	}
}

static void put_visible(struct buffer *buffer, const char *text, size_t count)
{
	put_visible_as(buffer, text, count, false);
}

static void put_visible_color(struct buffer *buffer, const char *text, size_t count)
{
	put_visible_as(buffer, text, count, true);
}

static void put_percent(struct buffer *buffer, const char *text, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		unsigned char c = (unsigned char)text[i];
		char escape[4];
		if (isalnum(c) || (c != '\0' && strchr("-._~", c) != NULL))
			snprintf(escape, sizeof escape, "%c", c);
		else
			snprintf(escape, sizeof escape, "%%%02X", c);
		put_text(buffer, escape);
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

static void put_padded(struct buffer *buffer, const char *text, size_t count, int columns, bool left, put_filtered filter)
{
	struct buffer plain = { 0 };
	put_visible(&plain, text, count);
	int missing = columns - (plain.chars == NULL ? 0 : pl_text_columns(plain.chars));
	free(plain.chars);
	for (int i = 0; !left && i < missing; i++)
		put(buffer, " ", 1);
	filter(buffer, text, count);
	for (int i = 0; left && i < missing; i++)
		put(buffer, " ", 1);
}

/* printf of which every %s goes through a filter, and counts columns rather than bytes for its width. */
static void put_list(struct buffer *buffer, put_filtered filter, const char *format, va_list list)
{
	put(buffer, "", 0);
	for (const char *at = format; *at != '\0';) {
		if (*at != '%') {
			size_t count = strcspn(at, "%");
			put(buffer, at, count);
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
		snprintf(spec, sizeof spec, "%.*s", (int)(at - start), start);
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
		case '%': put(buffer, "%", 1); break;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* a part of the caller's own literal, checked there */
		case 'd':
		case 'i':
		case 'u':
		case 'x':
		case 'X':
		case 'o':
			if (*length == 'l' && length[1] == 'l')
				snprintf(out, sizeof out, spec, va_arg(list, long long));
			else if (*length == 'l')
				snprintf(out, sizeof out, spec, va_arg(list, long));
			else if (*length == 'z' || *length == 't')
				snprintf(out, sizeof out, spec, va_arg(list, size_t));
			else if (*length == 'j')
				snprintf(out, sizeof out, spec, va_arg(list, intmax_t));
			else
				snprintf(out, sizeof out, spec, va_arg(list, int));
			put_text(buffer, out);
			break;
		case 'f':
			snprintf(out, sizeof out, spec, va_arg(list, double));
			put_text(buffer, out);
			break;
#pragma GCC diagnostic pop
		default: abort(); /* our own format asks for what is not here */
		}
	}
}

static void put_raw(struct buffer *buffer, const char *text, size_t count)
{
	put(buffer, text, count);
}

char *pl_format(const char *format, ...)
{
	struct buffer buffer = { 0 };
	va_list list;
	va_start(list, format);
	put_list(&buffer, put_raw, format, list);
	va_end(list);
	return keep(&buffer);
}

char *pl_path(const char *format, ...)
{
	struct buffer buffer = { 0 };
	va_list list;
	va_start(list, format);
	put_list(&buffer, put_percent, format, list);
	va_end(list);
	return keep(&buffer);
}

char *pl_visible_text(const char *text, size_t count)
{
	struct buffer buffer = { 0 };
	put_visible(&buffer, text, count);
	return keep(&buffer);
}

char *pl_visible_list(const char *format, va_list list)
{
	struct buffer buffer = { 0 };
	put_list(&buffer, put_visible, format, list);
	return keep(&buffer);
}

/* --- printing --- */

void pl_out_init(const char *color)
{
	/* What is printed is UTF-8 whatever the locale says; this is for wcwidth() alone. */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		(void)setlocale(LC_CTYPE, "");
	const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
	bool wanted = (none == NULL || none[0] == '\0') && terminal != NULL && strcmp(terminal, "dumb") != 0;
	color_out = strcmp(color, "always") == 0 || (strcmp(color, "auto") == 0 && wanted && isatty(STDOUT_FILENO));
	color_err = strcmp(color, "always") == 0 || (strcmp(color, "auto") == 0 && wanted && isatty(STDERR_FILENO));
	struct winsize size;
	width_out = 0;
	if (isatty(STDOUT_FILENO))
		width_out = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

int pl_out_width(void)
{
	return width_out;
}

void pl_out_set_width(int columns)
{
	width_out = columns;
}

static const char *style_code(enum pl_style style)
{
	switch (style) {
	case PL_PLAIN: return "";
	case PL_BOLD: return "\033[1m";
	case PL_DIM: return "\033[2m";
	case PL_RED: return "\033[31m";
	case PL_GREEN: return "\033[32m";
	case PL_YELLOW: return "\033[33m";
	case PL_URGENT: return "\033[1;97;41m";
	}
	return "";
}

static void put_styled(struct buffer *buffer, bool color, enum pl_style style, const char *text)
{
	bool is_styled = color && style != PL_PLAIN && text[0] != '\0';
	if (is_styled)
		put_text(buffer, style_code(style));
	put_text(buffer, text);
	if (is_styled)
		put_text(buffer, "\033[0m");
}

static void flush_to(FILE *to, struct buffer *buffer)
{
	if (buffer->count > 0)
		(void)fwrite(buffer->chars, 1, buffer->count, to); /* main() looks at the stream's error flag in the end */
	free(buffer->chars);
}

void pl_out(const char *format, ...)
{
	struct buffer buffer = { 0 };
	va_list list;
	va_start(list, format);
	put_list(&buffer, color_out ? put_visible_color : put_visible, format, list);
	va_end(list);
	flush_to(stdout, &buffer);
}

void pl_out_styled(enum pl_style style, const char *format, ...)
{
	struct buffer text = { 0 }, buffer = { 0 };
	va_list list;
	va_start(list, format);
	put_list(&text, color_out ? put_visible_color : put_visible, format, list);
	va_end(list);
	put_styled(&buffer, color_out, style, text.chars);
	free(text.chars);
	flush_to(stdout, &buffer);
}

/* A piece of a line that is not folded: an escape of colour, of no width, or a character with its width. */
static size_t next_piece(const char *at, size_t left, int *columns)
{
	uint32_t c;
	*columns = 0;
	if (*at == '\033') {
		const char *end = memchr(at, 'm', left);
		return end == NULL ? left : (size_t)(end - at) + 1;
	}
	size_t length = pl_utf8_decode(at, left, &c);
	int width = length == 0 ? 1 : wcwidth((wchar_t)c);
	*columns = width < 0 ? 1 : width;
	return length == 0 ? 1 : length;
}

/* Puts a line that is made visible already, in rows of the terminal's width, the first of which has so many columns taken. Each further one
 * begins with blanks. Folds after a blank where the row has one. */
static void put_folded(struct buffer *buffer, int columns_taken, int indent, const char *line, size_t count)
{
	for (int room = width_out - columns_taken; width_out - indent >= ROW_COLUMNS_MIN; room = width_out - indent) {
		size_t taken = 0, after_blank = 0;
		int used = 0;
		while (taken < count) {
			int columns;
			size_t piece = next_piece(line + taken, count - taken, &columns);
			if (used + columns > room)
				break;
			used += columns;
			taken += piece;
			if (line[taken - 1] == ' ')
				after_blank = taken;
		}
		if (taken == count)
			break;
		taken = after_blank > 0 ? after_blank : taken;
		put(buffer, line, taken);
		put(buffer, "\n", 1);
		for (int i = 0; i < indent; i++)
			put(buffer, " ", 1);
		line += taken;
		count -= taken;
	}
	put(buffer, line, count);
}

static void print_rest(struct buffer *buffer, int columns_taken, int indent, const char *format, va_list list)
{
	struct buffer rest = { 0 };
	put_list(&rest, color_out ? put_visible_color : put_visible, format, list);
	put_folded(buffer, columns_taken, indent, rest.chars, rest.count);
	free(rest.chars);
	put(buffer, "\n", 1);
	flush_to(stdout, buffer);
}

void pl_out_rest(int columns, const char *format, ...)
{
	struct buffer buffer = { 0 };
	va_list list;
	va_start(list, format);
	print_rest(&buffer, columns, columns, format, list);
	va_end(list);
}

void pl_out_field(const char *label, const char *format, ...)
{
	struct buffer buffer = { 0 };
	va_list list;
	put_styled(&buffer, color_out, PL_DIM, label);
	int columns = pl_text_columns(label);
	for (; columns < FIELD_COLUMNS; columns++)
		put(&buffer, " ", 1);
	va_start(list, format);
	print_rest(&buffer, columns, columns, format, list);
	va_end(list);
}

void pl_out_block(const char *indent, const char *text, size_t count)
{
	while (count > 0) {
		const char *end = memchr(text, '\n', count);
		size_t line = end == NULL ? count : (size_t)(end - text), printed = line;
		if (printed > 0 && text[printed - 1] == '\r')
			printed--; /* a text from a system that ends its lines so */
		struct buffer buffer = { 0 }, row = { 0 };
		put(&row, "", 0);
		const char *at = text;
		for (size_t left = printed; left > 0;) {
			const char *tab = memchr(at, '\t', left);
			size_t piece = tab == NULL ? left : (size_t)(tab - at);
			put_visible_as(&row, at, piece, color_out);
			at += piece;
			left -= piece;
			if (left > 0) {
				put(&row, "    ", 4);
				at++;
				left--;
			}
		}
		put_text(&buffer, indent);
		put_folded(&buffer, (int)strlen(indent), (int)strlen(indent), row.chars, row.count);
		free(row.chars);
		put(&buffer, "\n", 1);
		flush_to(stdout, &buffer);
		line += end != NULL;
		text += line;
		count -= line;
	}
}

void pl_out_text(const char *text, size_t count)
{
	pl_out_block("    ", text, count);
	pl_out_styled(PL_DIM, "END OF TEXT");
	pl_out("\n");
}

void pl_say(const struct pl_cli *cli, const char *format, ...)
{
	if (cli->json || cli->quiet)
		return;
	struct buffer buffer = { 0 };
	va_list list;
	va_start(list, format);
	print_rest(&buffer, 0, HANGING_COLUMNS, format, list);
	va_end(list);
}

void pl_remark(const struct pl_cli *cli, const char *format, ...)
{
	if (cli->json || cli->quiet)
		return;
	struct buffer buffer = { 0 };
	va_list list;
	put_styled(&buffer, color_err, PL_YELLOW, "parley:");
	put(&buffer, " ", 1);
	va_start(list, format);
	put_list(&buffer, color_err ? put_visible_color : put_visible, format, list);
	va_end(list);
	put(&buffer, "\n", 1);
	(void)fflush(stdout);
	flush_to(stderr, &buffer);
}

/* One line in which all but printable ASCII is escaped: harmless on a terminal, and the same document. */
static void print_json(FILE *to, const json_t *document)
{
	char *text = document == NULL ? NULL : json_dumps(document, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
	if (text == NULL)
		no_memory();
	struct buffer buffer = { 0 };
	for (const char *at = text; *at != '\0';) {
		size_t count = strcspn(at, "\x7f"); /* a control character that jansson leaves as it is */
		put(&buffer, at, count);
		at += count;
		if (*at != '\0') {
			put_text(&buffer, "\\u007F");
			at++;
		}
	}
	put(&buffer, "\n", 1);
	free(text);
	flush_to(to, &buffer);
}

void pl_out_json(json_t *document)
{
	print_json(stdout, document);
	json_decref(document);
}

enum pl_exit pl_error_coded(const struct pl_cli *cli, enum pl_exit exit, const char *code, const char *hint, const char *message)
{
	(void)fflush(stdout);
	if (cli->json) {
		json_t *error = json_pack("{s:{s:s, s:s, s:s*}}", "error", "code", code, "message", message, "hint", hint);
		if (error == NULL) /* not UTF-8: say it with its bytes made visible */
			error = json_pack("{s:{s:s, s:s, s:s*}}", "error", "code", code, "message", pl_visible_text(message, strlen(message)), "hint",
			                  hint == NULL ? NULL : pl_visible_text(hint, strlen(hint)));
		print_json(stderr, error);
		json_decref(error);
		return exit;
	}
	struct buffer buffer = { 0 };
	put_filtered filter = color_err ? put_visible_color : put_visible;
	put_styled(&buffer, color_err, PL_RED, "parley:");
	put(&buffer, " ", 1);
	filter(&buffer, message, strlen(message));
	put(&buffer, "\n", 1);
	if (hint != NULL) {
		put_text(&buffer, "        ");
		filter(&buffer, hint, strlen(hint));
		put(&buffer, "\n", 1);
	}
	flush_to(stderr, &buffer);
	return exit;
}

enum pl_exit pl_error(const struct pl_cli *cli, enum pl_exit exit, const char *hint, const char *format, ...)
{
	struct buffer buffer = { 0 };
	va_list list;
	va_start(list, format);
	put_list(&buffer, put_raw, format, list);
	va_end(list);
	return pl_error_coded(cli, exit, pl_exit_code(exit), hint, keep(&buffer));
}
