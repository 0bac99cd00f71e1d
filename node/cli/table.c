#include <stdarg.h>
#include <string.h>

#include "node/cli/buffer.h"
#include "node/visible.h"
#include "proto/text.h"

#define COLUMNS_MAX 12
#define GAP_COLUMNS 2
#define FLEXIBLE_COLUMNS_MIN 12    /* the column that gives way keeps this much */
#define FLEXIBLE_COLUMNS_WANTED 24 /* rather than less, others go to a second line */
#define SECOND_COLUMNS 4           /* where that begins */

struct cell {
	char *text;
	enum pl_style style;
};

struct pl_table {
	size_t columns, cells_count, cells_room;
	const char *headers[COLUMNS_MAX];
	bool is_right[COLUMNS_MAX], is_second[COLUMNS_MAX];
	size_t flexible; /* columns if none */
	struct cell *cells;
};

struct pl_table *pl_table_new(const char *const *columns, size_t columns_count)
{
	struct pl_table *table = pl_alloc(sizeof(*table));
	table->columns = columns_count;
	table->flexible = columns_count;
	for (size_t i = 0; i < columns_count && i < COLUMNS_MAX; i++) {
		const char *header = columns[i];
		for (; strchr("<>*+", *header) != NULL; header++) {
			if (*header == '>')
				table->is_right[i] = true;
			if (*header == '*')
				table->flexible = i;
			if (*header == '+')
				table->is_second[i] = true;
		}
		table->headers[i] = header;
	}
	return table;
}

void pl_table_cell(struct pl_table *table, enum pl_style style, const char *format, ...)
{
	if (table->cells_count == table->cells_room) {
		size_t room = table->cells_room == 0 ? 64 : table->cells_room * 2;
		struct cell *more = pl_alloc(room * sizeof(*more));
		if (table->cells_count > 0)
			memcpy(more, table->cells, table->cells_count * sizeof(*more));
		table->cells = more;
		table->cells_room = room;
	}
	va_list list;
	va_start(list, format);
	table->cells[table->cells_count++] = (struct cell){ .text = pl_visible_list(format, list), .style = style };
	va_end(list);
}

/* Cuts a text to so many columns, with … in the last one. */
static char *cut(const char *text, int columns)
{
	if (pl_text_columns(text) <= columns)
		return pl_format("%s", text);
	size_t kept = 0;
	int used = 0;
	for (size_t left = strlen(text); left > 0;) {
		uint32_t c;
		size_t length = pl_utf8_decode(text + kept, left, &c);
		length += length == 0;
		char *one = pl_format("%.*s", (int)length, text + kept);
		int width = pl_text_columns(one);
		if (used + width > columns - 1)
			break;
		used += width;
		kept += length;
		left -= length;
	}
	return pl_format("%.*s…", (int)kept, text);
}

static void print_cell(const char *text, enum pl_style style, int columns, bool is_right, bool is_last)
{
	int missing = columns - pl_text_columns(text);
	if (is_right)
		pl_out("%*s", missing, "");
	pl_out_shown(style, text);
	if (!is_last)
		pl_out("%*s", (is_right ? 0 : missing) + GAP_COLUMNS, "");
}

/* How wide a line of the columns is, of those alone that stand in the first if the terminal is narrow. */
static int line_columns(const struct pl_table *table, const int *widths, bool is_narrow)
{
	int total = -GAP_COLUMNS;
	for (size_t i = 0; i < table->columns; i++)
		total += is_narrow && table->is_second[i] ? 0 : widths[i] + GAP_COLUMNS;
	return total;
}

/* cells NULL: the headers. */
static void print_row(const struct pl_table *table, const struct cell *cells, const int *widths, bool is_narrow)
{
	size_t last = 0; /* no blanks behind what is printed */
	for (size_t i = 0; i < table->columns; i++)
		if (!(is_narrow && table->is_second[i]) && (cells == NULL || cells[i].text[0] != '\0'))
			last = i;
	for (size_t i = 0; i <= last; i++)
		if (!(is_narrow && table->is_second[i]))
			print_cell(cells == NULL ? table->headers[i] : cut(cells[i].text, widths[i]), cells == NULL ? PL_BOLD : cells[i].style, widths[i],
			           table->is_right[i], i == last);
	pl_out("\n");
}

/* "    id 1f…, sent 24 Nov 14:00:00Z": what has no room in the first line. */
static void print_second(const struct pl_table *table, const struct cell *cells)
{
	char *line = pl_format("%s", "");
	for (size_t i = 0; i < table->columns; i++)
		if (table->is_second[i] && cells[i].text[0] != '\0' && strcmp(cells[i].text, "-") != 0)
			line = pl_format("%s%s%s %s", line, line[0] == '\0' ? "" : ", ", pl_lower(table->headers[i]), cells[i].text);
	if (line[0] == '\0')
		return;
	pl_out("%*s", SECOND_COLUMNS, "");
	pl_out_shown_rest(SECOND_COLUMNS, line);
}

void pl_table_print(struct pl_table *table)
{
	int widths[COLUMNS_MAX] = { 0 }, limit = pl_out_width();
	for (size_t i = 0; i < table->columns; i++)
		widths[i] = pl_text_columns(table->headers[i]);
	for (size_t i = 0; i < table->cells_count; i++) {
		int columns = pl_text_columns(table->cells[i].text);
		if (columns > widths[i % table->columns])
			widths[i % table->columns] = columns;
	}
	int *flexible = table->flexible < table->columns ? &widths[table->flexible] : NULL;
	int wanted = flexible == NULL || *flexible < FLEXIBLE_COLUMNS_WANTED ? 0 : *flexible - FLEXIBLE_COLUMNS_WANTED;
	bool is_narrow = limit > 0 && line_columns(table, widths, false) - wanted > limit;
	int over = limit > 0 ? line_columns(table, widths, is_narrow) - limit : 0;
	if (flexible != NULL && over > 0)
		*flexible = *flexible - over > FLEXIBLE_COLUMNS_MIN ? *flexible - over : FLEXIBLE_COLUMNS_MIN;
	print_row(table, NULL, widths, is_narrow);
	for (size_t row = 0; row + table->columns <= table->cells_count; row += table->columns) {
		print_row(table, &table->cells[row], widths, is_narrow);
		if (is_narrow)
			print_second(table, &table->cells[row]);
	}
}
