#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "node/cli/cli.h"
#include "node/visible.h"
#include "proto/text.h"

static struct pl_cli cli;
static char captured[1 << 16];

static void set_up(void)
{
	setenv("TZ", "UTC", 1);
	tzset();
	pl_out_init("never");
}

TestSuite(output, .init = set_up, .timeout = 300);

/* What a function prints on a stream, in a process of its own. */
static const char *capture(int stream, void (*print)(void))
{
	int ends[2];
	cr_assert_eq(pipe(ends), 0);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		dup2(ends[1], stream);
		close(ends[0]);
		close(ends[1]);
		print();
		fflush(NULL);
		_exit(0);
	}
	close(ends[1]);
	size_t count = 0;
	for (ssize_t n; (n = read(ends[0], captured + count, sizeof(captured) - 1 - count)) > 0;)
		count += (size_t)n;
	captured[count] = '\0';
	close(ends[0]);
	waitpid(child, NULL, 0);
	return captured;
}

/* --- text from others --- */

static const struct {
	const char *text, *visible;
} hostile[] = {
	{ "plain", "plain" },
	{ "Grüße, 你好, أهلا", "Grüße, 你好, أهلا" },
	{ "\033[2J\033]0;owned\007", "\\x1b[2J\\x1b]0;owned\\x07" },
	{ "two\nlines\r\n", "two\\x0alines\\x0d\\x0a" },
	{ "tab\there", "tab\\x09here" },
	{ "\b\b\b\x7f", "\\x08\\x08\\x08\\x7f" },
	{ "\xc2\x9b" "31m", "\\u{009b}31m" },                       /* CSI as one character */
	{ "invoice\xe2\x80\xae" "fdp.exe", "invoice\\u{202e}fdp.exe" }, /* right-to-left override */
	{ "\xe2\x81\xa6" "a" "\xe2\x81\xa9", "\\u{2066}a\\u{2069}" },   /* isolates */
	{ "zero\xe2\x80\x8bwidth", "zero\\u{200b}width" },
	{ "none\xe3\x85\xa4\xef\xbe\xa0\xe2\xa0\x80", "none\\u{3164}\\u{ffa0}\\u{2800}" }, /* what looks like nothing */
	{ "line\xe2\x80\xa8separator", "line\\u{2028}separator" },
	{ "\xff\xfe", "\\xff\\xfe" },
	{ "\xc0\xaf", "\\xc0\\xaf" },                               /* an overlong slash */
	{ "\xed\xa0\x80", "\\xed\\xa0\\x80" },                      /* a surrogate */
	{ "cut \xe2\x82", "cut \\xe2\\x82" },
};
#define HOSTILE (sizeof(hostile) / sizeof(*hostile))

Test(output, text_from_others_becomes_visible)
{
	for (size_t i = 0; i < HOSTILE; i++)
		cr_assert_str_eq(pl_visible_text(hostile[i].text, strlen(hostile[i].text)), hostile[i].visible, "case %zu", i);
	cr_assert_str_eq(pl_visible_text("a\0b", 3), "a\\x00b");
}

/* What somebody typed never looks like an escape, and what has backslashes without meaning it stays as it is. */
Test(output, what_was_typed_is_not_what_was_escaped)
{
	static const struct {
		const char *text, *visible;
	} cases[] = {
		{ "invoice\\u{202e}fdp.exe", "invoice\\\\u{202e}fdp.exe" },
		{ "\\x1b[2J", "\\\\x1b[2J" },
		{ "\\xFF", "\\\\xFF" },
		{ "\\\\u{202e}", "\\\\\\\\u{202e}" },                   /* two, typed: four */
		{ "\\\xe2\x80\xae", "\\\\\\u{202e}" },                  /* one and an override: two and the escape's */
		{ "\\\033", "\\\\\\x1b" },
		{ "\\\xff", "\\\\\\xff" },
		{ "C:\\users\\new\\temp\\xml\\x", "C:\\users\\new\\temp\\xml\\x" },
		{ "\\\\server\\reports\\", "\\\\server\\reports\\" },
		{ "\\u{", "\\\\u{" },
		{ "\\u 202e \\n \\xg0 \\x0", "\\u 202e \\n \\xg0 \\x0" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		cr_expect_str_eq(pl_visible_text(cases[i].text, strlen(cases[i].text)), cases[i].visible, "case %zu", i);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		for (size_t j = 0; j < i; j++)
			cr_expect_str_neq(cases[i].visible, cases[j].visible, "%zu and %zu", i, j);
}

static bool is_harmless(const char *text)
{
	uint32_t c;
	for (size_t left = strlen(text), length; left > 0; left -= length, text += length) {
		length = pl_utf8_decode(text, left, &c);
		if (length == 0 || (c != '\n' && pl_char_is_hidden(c)))
			return false;
	}
	return true;
}

static const char *given;
static void print_out(void) { pl_out("%s|%10s|%.3s|%c\n", given, given, given, given[0]); }
static void print_styled(void) { pl_out_styled(PL_BOLD, "%s", given); }
static void print_field(void) { pl_out_field("label", "%s", given); }
static void print_block(void) { pl_out_block("  ", given, strlen(given)); }
static void print_rest(void) { pl_out("at "); pl_out_rest(3, "%s", given); }
static void print_say(void) { pl_say(&cli, "said: %s", given); }
static void print_note(void) { pl_remark(&cli, "noted: %s", given); }
static void print_error(void) { (void)pl_error(&cli, PL_EXIT_FAILED, given, "failed: %s", given); }
static void print_json(void) { pl_out_json(json_pack("{s:s}", "text", given)); }
static void print_table(void)
{
	static const char *const columns[] = { "A", "*B", ">C" };
	struct pl_table *table = pl_table_new(columns, 3);
	for (int i = 0; i < 6; i++)
		pl_table_cell(table, PL_RED, "%s", given);
	pl_table_print(table);
}

/* The rule holds in each way of printing, once. */
Test(output, every_way_of_printing_tells_what_was_typed)
{
	static void (*const ways[])(void) = { print_out, print_styled, print_field, print_block, print_rest, print_say, print_table };
	given = "a\\u{202e}b\xe2\x80\xae";
	for (size_t way = 0; way < sizeof(ways) / sizeof(*ways); way++) {
		cr_expect_not_null(strstr(capture(STDOUT_FILENO, ways[way]), "a\\\\u{202e}b\\u{202e}"), "way %zu: %s", way, captured);
		cr_expect_null(strstr(captured, "\\\\\\"), "way %zu: %s", way, captured);
	}
	cr_expect_not_null(strstr(capture(STDERR_FILENO, print_note), "a\\\\u{202e}b\\u{202e}"), "%s", captured);
	/* a sentence of parleyd has what it quotes made visible */
	given = "there is no TLP \"\\u{202e}\"";
	cr_expect_str_eq(capture(STDERR_FILENO, print_error), "parley: failed: there is no TLP \"\\u{202e}\"\n        there is no TLP \"\\u{202e}\"\n");
}

Test(output, nothing_hostile_gets_through_any_way_of_printing)
{
	static void (*const ways[])(void) = { print_out, print_styled, print_field, print_block, print_say, print_table };
	for (size_t i = 0; i < HOSTILE; i++) {
		given = hostile[i].text;
		for (size_t way = 0; way < sizeof(ways) / sizeof(*ways); way++)
			cr_assert(is_harmless(capture(STDOUT_FILENO, ways[way])), "case %zu, way %zu: %s", i, way, captured);
		cr_assert(is_harmless(capture(STDERR_FILENO, print_note)), "case %zu: %s", i, captured);
		cr_assert(is_harmless(capture(STDERR_FILENO, print_error)), "case %zu: %s", i, captured);
		cli.json = true;
		cr_assert(is_harmless(capture(STDERR_FILENO, print_error)), "case %zu: %s", i, captured);
		cr_assert(strchr(captured, '\n') == captured + strlen(captured) - 1, "an error in JSON is one line: %s", captured);
		if (pl_utf8_is_valid(given, strlen(given)))
			cr_assert(is_harmless(capture(STDOUT_FILENO, print_json)), "case %zu: %s", i, captured);
		cli.json = false;
	}
}

Test(output, a_line_break_forges_nothing)
{
	given = "x\nparley: all is well";
	cr_assert_str_eq(capture(STDERR_FILENO, print_note), "parley: noted: x\\x0aparley: all is well\n");
}

Test(output, hidden_characters_are_highlighted_where_there_is_colour)
{
	pl_out_init("always");
	given = "a\033b";
	cr_assert_str_eq(capture(STDOUT_FILENO, print_say), "said: a\033[7m\\x1b\033[27mb\n");
}

/* Blanks that would bring the rest to the left of an 80-column terminal. */
Test(output, a_long_line_forges_nothing_at_the_left)
{
	static char text[400];
	static void (*const ways[])(void) = { print_block, print_field, print_say, print_rest };
	static const char *const first[] = { "", "label", "said: Calm.", "at Calm." };
	static const int widths[] = { 20, 40, 80, 133 };
	for (size_t w = 0; w < 4; w++) {
		pl_out_set_width(widths[w]);
		for (size_t blanks = 0; blanks < 200; blanks += w == 2 ? 1 : 7) { /* a process for each */
			snprintf(text, sizeof(text), "Calm.%*sFLASH FROM FIN \xe5\xa4\x96\xe5\x8b\x99\xe7\x9c\x81\033[m%060d", (int)blanks, "", 0);
			given = text;
			for (size_t way = 0; way < 4; way++) {
				capture(STDOUT_FILENO, ways[way]);
				size_t length, row = 0;
				for (char *at = captured; *at != '\0'; at += length + 1, row++) {
					length = strcspn(at, "\n");
					at[length] = '\0';
					cr_assert_leq(pl_text_columns(at), widths[w], "width %d, %zu blanks: %s", widths[w], blanks, at);
					cr_assert(row == 0 && way > 0 ? strncmp(at, first[way], strlen(first[way])) == 0 : strncmp(at, "  ", 2) == 0, "%s", at);
				}
				cr_assert_geq(row, blanks / (size_t)widths[w] + 1);
			}
		}
	}
	pl_out_set_width(0);
	cr_assert_not_null(strstr(capture(STDOUT_FILENO, print_block), "FLASH FROM FIN"));
}

static void print_text(void) { pl_out_text(given, strlen(given)); }
Test(output, rows_are_folded_after_a_blank_and_the_end_of_a_text_is_marked)
{
	pl_out_set_width(24);
	given = "one two three four five sixseveneightnineteneleven";
	cr_assert_str_eq(capture(STDOUT_FILENO, print_text), "    one two three four \n    five \n    sixseveneightnineten\n    eleven\nEND OF TEXT\n");
	given = "\nEND OF TEXT\n";
	cr_assert_str_eq(capture(STDOUT_FILENO, print_text), "    \n    END OF TEXT\nEND OF TEXT\n");
}

Test(output, a_block_keeps_its_lines)
{
	given = "one\n\n\ttab\r\nlast";
	cr_assert_str_eq(capture(STDOUT_FILENO, print_block), "  one\n  \n      tab\n  last\n");
}

Test(output, quiet_and_json_keep_remarks_to_themselves)
{
	given = "x";
	cli.quiet = true;
	cr_assert_str_eq(capture(STDOUT_FILENO, print_say), "");
	cr_assert_str_eq(capture(STDERR_FILENO, print_note), "");
	cli.quiet = false;
	cli.json = true;
	cr_assert_str_eq(capture(STDOUT_FILENO, print_say), "");
	cr_assert_str_eq(capture(STDERR_FILENO, print_note), "");
}

Test(output, an_error_in_json_has_code_message_and_hint)
{
	cli.json = true;
	given = "why";
	cr_assert_str_eq(capture(STDERR_FILENO, print_error), "{\"error\":{\"code\":\"failed\",\"message\":\"failed: why\",\"hint\":\"why\"}}\n");
}

/* --- formats --- */

Test(output, a_format_does_what_printf_does)
{
	cr_assert_str_eq(pl_format("%d %5d %-5d| %05u %x %02x %lld %zu %.1f %% %c", -1, 42, 42, 7u, 255u, 10u, -5LL, (size_t)9, 2.55, 'c'),
	                 "-1    42 42   | 00007 ff 0a -5 9 2.5 % c");
	cr_assert_str_eq(pl_format("[%6s] [%-6s] [%.2s] [%.*s] [%*s]", "abc", "abc", "abc", 1, "abc", 5, "ab"),
	                 "[   abc] [abc   ] [ab] [a] [   ab]");
	cr_assert_str_eq(pl_format("[%4s] [%-4s]", "é", "你"), "[   é] [你  ]", "a width counts columns, not bytes");
	cr_assert_str_eq(pl_format("%s", "\033\n"), "\033\n", "what is not printed stays as it is");
}

Test(output, a_path_is_percent_encoded)
{
	cr_assert_str_eq(pl_path("/v1/messages/%s/read?x=%s", "FIN/0/17", "a b&c=\xc3\xa9"),
	                 "/v1/messages/FIN%2F0%2F17/read?x=a%20b%26c%3D%C3%A9");
	cr_assert_str_eq(pl_path("/v1/%s", "../..%00"), "/v1/..%2F..%2500");
}

/* --- tables, figures, times --- */

static void print_two_rows(void)
{
	static const char *const columns[] = { "NAME", ">COUNT", "NOTE" };
	struct pl_table *table = pl_table_new(columns, 3);
	pl_table_cell(table, PL_PLAIN, "%s", "Sveitsi 你好");
	pl_table_cell(table, PL_PLAIN, "%d", 7);
	pl_table_cell(table, PL_PLAIN, "%s", "x");
	pl_table_cell(table, PL_PLAIN, "%s", "b");
	pl_table_cell(table, PL_PLAIN, "%s", "1,204");
	pl_table_cell(table, PL_PLAIN, "%s", "");
	pl_table_print(table);
}

Test(output, columns_stand_under_each_other)
{
	cr_assert_str_eq(capture(STDOUT_FILENO, print_two_rows), "NAME          COUNT  NOTE\n"
	                                                         "Sveitsi 你好      7  x\n"
	                                                         "b             1,204\n");
}

static void print_wide_row(void)
{
	static const char *const columns[] = { "NODE", "*SUBJECT", "+ADDRESS", "+>IN", "STATE" };
	struct pl_table *table = pl_table_new(columns, 5);
	pl_table_cell(table, PL_PLAIN, "%s", "FIN");
	pl_table_cell(table, PL_PLAIN, "%s", "Unusual traffic towards an operator of the grid");
	pl_table_cell(table, PL_PLAIN, "%s", "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:17100");
	pl_table_cell(table, PL_PLAIN, "%s", "1.0 MiB");
	pl_table_cell(table, PL_PLAIN, "%s", "live");
	pl_table_print(table);
}

Test(output, what_has_no_room_in_a_line_of_a_table_stands_in_a_second)
{
	cr_assert_str_eq(capture(STDOUT_FILENO, print_wide_row),
	                 "NODE  SUBJECT                                          ADDRESS                                              IN  STATE\n"
	                 "FIN   Unusual traffic towards an operator of the grid  [2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:17100  1.0 MiB  live\n");
	pl_out_set_width(60);
	cr_assert_str_eq(capture(STDOUT_FILENO, print_wide_row),
	                 "NODE  SUBJECT                                          STATE\n"
	                 "FIN   Unusual traffic towards an operator of the grid  live\n"
	                 "    address [2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:17100, \n"
	                 "    in 1.0 MiB\n");
	pl_out_set_width(40);
	cr_assert_str_eq(capture(STDOUT_FILENO, print_wide_row),
	                 "NODE  SUBJECT                      STATE\n"
	                 "FIN   Unusual traffic towards an…  live\n"
	                 "    address \n"
	                 "    [2001:db8:ffff:ffff:ffff:ffff:ffff:f\n"
	                 "    fff]:17100, in 1.0 MiB\n");
	pl_out_set_width(0);
}

Test(output, figures_read_well)
{
	cr_assert_str_eq(pl_bytes_text(0), "0 B");
	cr_assert_str_eq(pl_bytes_text(1023), "1023 B");
	cr_assert_str_eq(pl_bytes_text(1024), "1.0 KiB");
	cr_assert_str_eq(pl_bytes_text(1048575), "1.0 MiB");
	cr_assert_str_eq(pl_bytes_text(16777216), "16.0 MiB");
	cr_assert_str_eq(pl_bytes_text(UINT64_MAX), "16777216.0 TiB");
	cr_assert_str_eq(pl_count_text(0), "0");
	cr_assert_str_eq(pl_count_text(999), "999");
	cr_assert_str_eq(pl_count_text(1000), "1,000");
	cr_assert_str_eq(pl_count_text(UINT64_MAX), "18,446,744,073,709,551,615");
	cr_assert_str_eq(pl_number_of(1, "entry", "entries"), "1 entry");
	cr_assert_str_eq(pl_number_of(2000, "entry", "entries"), "2,000 entries");
	cr_assert_str_eq(pl_duration_text(850), "850 ms");
	cr_assert_str_eq(pl_duration_text(1500), "1.5 s");
	cr_assert_str_eq(pl_duration_text(59999), "59 s");
	cr_assert_str_eq(pl_duration_text(61000), "1 min 1 s");
	cr_assert_str_eq(pl_duration_text(3723000), "1 h 2 min");
	cr_assert_str_eq(pl_duration_text(90000000), "1 d 1 h");
	cr_assert_str_eq(pl_hex_groups((const uint8_t *)"\x01\x02\x03\x04\x05", 5), "0102 0304 05");
}

Test(output, times_are_read_strictly)
{
	int64_t ms = 0;
	cr_assert(pl_time_read("2026-11-24T12:00:00Z", &ms));
	cr_assert_eq(ms, 1795521600000);
	cr_assert(pl_time_read("2026-11-24t14:00:00.5+02:00", &ms));
	cr_assert_eq(ms, 1795521600500);
	cr_assert(pl_time_read("2024-02-29 00:00:00.1239Z", &ms));
	cr_assert_eq(ms, 1709164800123);
	cr_assert(pl_time_read("1970-01-01T00:00:00-23:59", &ms));
	cr_assert_eq(ms, 86340000);
	static const char *const bad[] = { "", "2026", "2026-11-24", "2026-11-24T12:00:00", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
		"2023-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T12:60:00Z", "2026-11-24T12:00:00.Z",
		"2026-11-24T12:00:00Zx", "2026-11-24T12:00:00+0200", "tomorrow", " 2026-11-24T12:00:00Z" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_assert(!pl_time_read(bad[i], &ms), "%s", bad[i]);
}

Test(output, times_are_shown_here_and_in_utc)
{
	cr_assert_str_eq(pl_time_rfc3339(1795521600123), "2026-11-24T12:00:00.123Z");
	cr_assert_str_eq(pl_time_full(1795521600000), "2026-11-24 12:00:00 UTC");
	setenv("TZ", "EET-2", 1);
	tzset();
	cr_assert_str_eq(pl_time_full(1795521600000), "2026-11-24 14:00:00 EET (12:00:00 UTC)");
	cr_assert_str_eq(pl_time_full(1795561200000), "2026-11-25 01:00:00 EET (2026-11-24 23:00:00 UTC)");
	cr_assert_str_eq(pl_time_short(946684800000), "01 Jan 2000 02:00 (00:00:00Z)", "with the year, if it is another one");
}

Test(output, durations_have_a_unit)
{
	uint64_t ms;
	cr_assert(pl_duration_read("45s", &ms) && ms == 45000);
	cr_assert(pl_duration_read("30m", &ms) && ms == 1800000);
	cr_assert(pl_duration_read("2h", &ms) && ms == 7200000);
	cr_assert(pl_duration_read("7d", &ms) && ms == 604800000);
	static const char *const bad[] = { "", "2", "h", "2 h", "2hh", "-2h", "2.5h", "2w", "9999999999h" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		cr_assert(!pl_duration_read(bad[i], &ms), "%s", bad[i]);
}

Test(output, what_is_allocated_in_a_scope_ends_with_it)
{
	char *before = pl_format("%s", "before");
	struct pl_block *scope = pl_scope_begin();
	for (int i = 0; i < 1000; i++)
		(void)pl_format("%d", i);
	pl_scope_end(scope);
	cr_assert_eq(pl_scope_begin(), scope);
	cr_assert_str_eq(before, "before");
	pl_scope_end(NULL);
}
