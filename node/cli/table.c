#include <stdarg.h>
#include <string.h>

#include "node/cli/cli.h"
#include "node/visible.h"

#define COLUMNS_MAX 12
#define GAP_COLUMNS 2
#define FLEXIBLE_COLUMNS_MIN 12 /* the column that gives way keeps this much */

struct cell {
	char *text;
	enum pl_style style;
};

struct pl_table {
	size_t columns, cells_count, cells_room;
	const char *headers[COLUMNS_MAX];
	bool is_right[COLUMNS_MAX];
	size_t flexible; /* columns if none */
	struct cell *cells;
};

struct pl_table *pl_table_new(const char *const *columns, size_t columns_count)
{
	struct pl_table *table = pl_alloc(sizeof *table);
	table->columns = columns_count;
	table->flexible = columns_count;
	for (size_t i = 0; i < columns_count && i < COLUMNS_MAX; i++) {
		const char *header = columns[i];
		for (; *header == '<' || *header == '>' || *header == '*'; header++) {
			if (*header == '>')
				table->is_right[i] = true;
			if (*header == '*')
				table->flexible = i;
		}
		table->headers[i] = header;
	}
	return table;
}

void pl_table_cell(struct pl_table *table, enum pl_style style, const char *format, ...)
{
	if (table->cells_count == table->cells_room) {
		size_t room = table->cells_room == 0 ? 64 : table->cells_room * 2;
		struct cell *more = pl_alloc(room * sizeof *more);
		if (table->cells_count > 0)
			memcpy(more, table->cells, table->cells_count * sizeof *more);
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
	pl_out_styled(style, "%s", text);
	if (!is_last)
		pl_out("%*s", (is_right ? 0 : missing) + GAP_COLUMNS, "");
}

void pl_table_print(struct pl_table *table)
{
	size_t last = table->columns - 1;
	int widths[COLUMNS_MAX] = { 0 }, total = GAP_COLUMNS * (int)last, limit = pl_out_width();
	for (size_t i = 0; i <= last; i++)
		widths[i] = pl_text_columns(table->headers[i]);
	for (size_t i = 0; i < table->cells_count; i++) {
		int columns = pl_text_columns(table->cells[i].text);
		if (columns > widths[i % table->columns])
			widths[i % table->columns] = columns;
	}
	for (size_t i = 0; i <= last; i++)
		total += widths[i];
	if (limit > 0 && total > limit && table->flexible <= last) {
		int *flexible = &widths[table->flexible], left = *flexible - (total - limit);
		*flexible = left > FLEXIBLE_COLUMNS_MIN ? left : FLEXIBLE_COLUMNS_MIN;
	}
	for (size_t i = 0; i <= last; i++)
		print_cell(table->headers[i], PL_BOLD, widths[i], table->is_right[i], i == last);
	pl_out("\n");
	for (size_t row = 0; row + last < table->cells_count; row += table->columns) {
		size_t row_last = last; /* no blanks behind what is printed */
		while (row_last > 0 && table->cells[row + row_last].text[0] == '\0')
			row_last--;
		for (size_t i = 0; i <= row_last; i++)
			print_cell(cut(table->cells[row + i].text, widths[i]), table->cells[row + i].style, widths[i], table->is_right[i], i == row_last);
		pl_out("\n");
	}
}
