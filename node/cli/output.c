#include <locale.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "node/cli/buffer.h"
#include "node/visible.h"
#include "proto/text.h"

#define FIELD_COLUMNS 12
#define HANGING_COLUMNS 4
#define ROW_COLUMNS_MIN 8 /* a terminal with less room than this is not folded for */

static bool color_out, color_err;
static int width_out;

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

static void put_styled(struct pl_buffer *buffer, bool color, enum pl_style style, const char *text)
{
	bool is_styled = color && style != PL_PLAIN && text[0] != '\0';
	if (is_styled)
		pl_put_text(buffer, style_code(style));
	pl_put_text(buffer, text);
	if (is_styled)
		pl_put_text(buffer, "\033[0m");
}

static void flush_to(FILE *to, struct pl_buffer *buffer)
{
	if (buffer->count > 0)
		(void)fwrite(buffer->bytes, 1, buffer->count, to); /* main() looks at the stream's error flag in the end */
	pl_buffer_dispose(buffer);
}

void pl_out(const char *format, ...)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	va_list list;
	va_start(list, format);
	pl_put_list(&buffer, color_out ? pl_put_visible_color : pl_put_visible, format, list);
	va_end(list);
	flush_to(stdout, &buffer);
}

void pl_out_shown(enum pl_style style, const char *shown)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	put_styled(&buffer, color_out, style, shown);
	flush_to(stdout, &buffer);
}

void pl_out_styled(enum pl_style style, const char *format, ...)
{
	struct pl_buffer text = PL_TEXT_IN_MAKING;
	va_list list;
	va_start(list, format);
	pl_put_list(&text, color_out ? pl_put_visible_color : pl_put_visible, format, list);
	va_end(list);
	pl_out_shown(style, text.bytes);
	pl_buffer_dispose(&text);
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
static void put_folded(struct pl_buffer *buffer, int columns_taken, int indent, const char *line, size_t count)
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
		pl_put(buffer, line, taken);
		pl_put(buffer, "\n", 1);
		for (int i = 0; i < indent; i++)
			pl_put(buffer, " ", 1);
		line += taken;
		count -= taken;
	}
	pl_put(buffer, line, count);
}

static void print_rest(struct pl_buffer *buffer, int columns_taken, int indent, const char *format, va_list list)
{
	struct pl_buffer rest = PL_TEXT_IN_MAKING;
	pl_put_list(&rest, color_out ? pl_put_visible_color : pl_put_visible, format, list);
	put_folded(buffer, columns_taken, indent, rest.bytes, rest.count);
	pl_buffer_dispose(&rest);
	pl_put(buffer, "\n", 1);
	flush_to(stdout, buffer);
}

void pl_out_rest(int columns, const char *format, ...)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	va_list list;
	va_start(list, format);
	print_rest(&buffer, columns, columns, format, list);
	va_end(list);
}

void pl_out_shown_rest(int columns, const char *shown)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	put_folded(&buffer, columns, columns, shown, strlen(shown));
	pl_put(&buffer, "\n", 1);
	flush_to(stdout, &buffer);
}

void pl_out_field(const char *label, const char *format, ...)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	va_list list;
	put_styled(&buffer, color_out, PL_DIM, label);
	int columns = pl_text_columns(label);
	for (; columns < FIELD_COLUMNS; columns++)
		pl_put(&buffer, " ", 1);
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
		struct pl_buffer buffer = PL_TEXT_IN_MAKING, row = PL_TEXT_IN_MAKING;
		pl_put(&row, "", 0);
		const char *at = text;
		for (size_t left = printed; left > 0;) {
			const char *tab = memchr(at, '\t', left);
			size_t piece = tab == NULL ? left : (size_t)(tab - at);
			pl_put_visible_as(&row, at, piece, color_out, PL_TYPED_APART);
			at += piece;
			left -= piece;
			if (left > 0) {
				pl_put(&row, "    ", 4);
				at++;
				left--;
			}
		}
		pl_put_text(&buffer, indent);
		put_folded(&buffer, (int)strlen(indent), (int)strlen(indent), row.bytes, row.count);
		pl_buffer_dispose(&row);
		pl_put(&buffer, "\n", 1);
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
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	va_list list;
	va_start(list, format);
	print_rest(&buffer, 0, HANGING_COLUMNS, format, list);
	va_end(list);
}

void pl_remark(const struct pl_cli *cli, const char *format, ...)
{
	if (cli->json || cli->quiet)
		return;
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	va_list list;
	put_styled(&buffer, color_err, PL_YELLOW, "parley:");
	pl_put(&buffer, " ", 1);
	va_start(list, format);
	pl_put_list(&buffer, color_err ? pl_put_visible_color : pl_put_visible, format, list);
	va_end(list);
	pl_put(&buffer, "\n", 1);
	(void)fflush(stdout);
	pl_progress_hide();
	flush_to(stderr, &buffer);
}

/* One line in which all but printable ASCII is escaped: harmless on a terminal, and the same document. */
static void print_json(FILE *to, const json_t *document)
{
	char *text = document == NULL ? NULL : json_dumps(document, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
	if (text == NULL)
		pl_no_memory();
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	for (const char *at = text; *at != '\0';) {
		size_t count = strcspn(at, "\x7f"); /* a control character that jansson leaves as it is */
		pl_put(&buffer, at, count);
		at += count;
		if (*at != '\0') {
			pl_put_text(&buffer, "\\u007F");
			at++;
		}
	}
	pl_put(&buffer, "\n", 1);
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
	pl_progress_hide();
	if (cli->json) {
		json_t *error = json_pack("{s:{s:s, s:s, s:s*}}", "error", "code", code, "message", message, "hint", hint);
		if (error == NULL) /* not UTF-8: say it with its bytes made visible */
			error = json_pack("{s:{s:s, s:s, s:s*}}", "error", "code", code, "message", pl_visible_text(message, strlen(message)), "hint",
			                  hint == NULL ? NULL : pl_visible_text(hint, strlen(hint)));
		print_json(stderr, error);
		json_decref(error);
		return exit;
	}
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	put_styled(&buffer, color_err, PL_RED, "parley:");
	pl_put(&buffer, " ", 1);
	pl_put_visible_as(&buffer, message, strlen(message), color_err, PL_TYPED_AS_IS);
	pl_put(&buffer, "\n", 1);
	if (hint != NULL) {
		pl_put_text(&buffer, "        ");
		pl_put_visible_as(&buffer, hint, strlen(hint), color_err, PL_TYPED_AS_IS);
		pl_put(&buffer, "\n", 1);
	}
	flush_to(stderr, &buffer);
	return exit;
}

enum pl_exit pl_error_object(enum pl_exit exit, const json_t *error)
{
	(void)fflush(stdout);
	pl_progress_hide();
	json_t *document = json_pack("{s:O}", "error", error);
	print_json(stderr, document);
	json_decref(document);
	return exit;
}

enum pl_exit pl_error(const struct pl_cli *cli, enum pl_exit exit, const char *hint, const char *format, ...)
{
	struct pl_buffer buffer = PL_TEXT_IN_MAKING;
	va_list list;
	va_start(list, format);
	pl_put_list(&buffer, pl_put_raw, format, list);
	va_end(list);
	return pl_error_coded(cli, exit, pl_exit_code(exit), hint, pl_buffer_keep(&buffer));
}
