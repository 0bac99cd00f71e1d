#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mp.h"

static struct pl_mp_token tokens[PL_MP_ITEMS_MAX + 1];
static size_t tokens_count;

/* From memory of its own size, so that a sanitizer sees a read past the end. */
static enum pl_err parse(const void *bytes, size_t count, size_t tokens_max)
{
	uint8_t *copy = malloc(count ? count : 1);
	enum pl_err err;

	memcpy(copy, bytes, count);
	err = pl_mp_parse(copy, count, tokens, tokens_max, &tokens_count);
	free(copy);
	return err;
}
#define PARSE(literal) parse(literal, sizeof(literal) - 1, PL_MP_ITEMS_MAX)

static size_t build_sample(uint8_t *out, size_t max)
{
	struct pl_mp_writer w;
	uint8_t blob[300];

	memset(blob, 7, sizeof(blob));
	pl_mp_writer_init(&w, out, max);
	pl_mp_put_array(&w, 9);
	pl_mp_put_uint(&w, 1);
	pl_mp_put_uint(&w, 200);
	pl_mp_put_uint(&w, 1ULL << 40);
	pl_mp_put_bool(&w, true);
	pl_mp_put_bin(&w, blob, 300);
	pl_mp_put_str(&w, "gr\xc3\xbc\xc3\x9f", 6);
	pl_mp_put_array(&w, 2);
	pl_mp_put_array(&w, 0);
	pl_mp_put_array(&w, 1);
	pl_mp_put_str(&w, "forty characters, so that str8 is needed", 40);
	pl_mp_put_bin(&w, NULL, 0);
	pl_mp_put_str(&w, "", 0);
	cr_assert_eq(w.err, PL_OK);
	return w.count;
}

Test(mp, what_is_written_is_read)
{
	uint8_t bytes[512];
	size_t count = build_sample(bytes, sizeof(bytes)), n;
	struct pl_mp_cursor c;

	cr_assert_eq(pl_mp_parse(bytes, count, tokens, PL_MP_ITEMS_MAX, &tokens_count), PL_OK);
	cr_assert_eq(tokens_count, 13);
	cr_assert_eq(tokens[0].next, 13);
	cr_assert_eq(tokens[1].next, 2);
	cr_assert_eq(tokens[7].next, 11, "the array of arrays");
	cr_assert_eq(tokens[8].next, 9, "the empty one");
	cr_assert_eq(tokens[9].next, 11);

	pl_mp_cursor_init(&c, tokens, tokens_count);
	cr_assert_eq(pl_mp_enter_array(&c, 9, 9), 9);
	cr_assert_eq(pl_mp_take_uint(&c, 1), 1);
	cr_assert_eq(pl_mp_take_uint(&c, 255), 200);
	cr_assert_eq(pl_mp_take_uint(&c, UINT64_MAX), 1ULL << 40);
	cr_assert(pl_mp_take_bool(&c));
	cr_assert_eq(pl_mp_take_bin(&c, 300, 300, &n)[299], 7);
	cr_assert_eq(n, 300);
	cr_assert_arr_eq(pl_mp_take_str(&c, 6, &n), "gr\xc3\xbc\xc3\x9f", 6);
	cr_assert_eq(pl_mp_enter_array(&c, 1, 5), 2);
	cr_assert_eq(pl_mp_enter_array(&c, 0, 0), 0);
	cr_assert_eq(pl_mp_enter_array(&c, 1, 1), 1);
	cr_assert_not_null(pl_mp_take_str(&c, 40, &n));
	cr_assert_eq(n, 40);
	cr_assert_not_null(pl_mp_take_bin(&c, 0, 9, &n));
	cr_assert_eq(n, 0);
	cr_assert_eq(pl_mp_finish(&c), PL_ERR_FORMAT, "one is left");
	cr_assert_not_null(pl_mp_take_str(&c, 0, &n));
	cr_assert_eq(pl_mp_finish(&c), PL_OK);
}

Test(mp, every_prefix_is_short)
{
	uint8_t bytes[512];
	size_t count = build_sample(bytes, sizeof(bytes));

	for (size_t n = 0; n < count; n++)
		cr_assert_eq(parse(bytes, n, PL_MP_ITEMS_MAX), PL_ERR_SHORT, "%zu of %zu bytes", n, count);
	cr_assert_eq(parse(bytes, count, PL_MP_ITEMS_MAX), PL_OK);
	for (int next = 0; next < 256; next++) {
		bytes[count] = (uint8_t)next;
		cr_assert_eq(parse(bytes, count + 1, PL_MP_ITEMS_MAX), PL_ERR_FORMAT, "%02x behind the value", next);
	}
}

Test(mp, all_256_first_bytes)
{
	/* Alone, only small numbers, booleans and the empty string and array are values. */
	for (int first = 0; first < 256; first++) {
		uint8_t byte = (uint8_t)first;
		bool whole = first < 0x80 || first == 0x90 || first == 0xa0 || first == 0xc2 || first == 0xc3;
		bool starts = (first > 0x90 && first < 0xa0) || (first > 0xa0 && first < 0xc0) || (first >= 0xc4 && first <= 0xdf);
		enum pl_err err = parse(&byte, 1, PL_MP_ITEMS_MAX);

		cr_assert_eq(err, whole ? PL_OK : starts ? PL_ERR_SHORT : PL_ERR_FORMAT, "%02x: %s", first, pl_err_str(err));
	}
}

Test(mp, types_that_do_not_occur)
{
	cr_assert_eq(PARSE("\xc0"), PL_ERR_FORMAT, "nil");
	cr_assert_eq(PARSE("\xc1"), PL_ERR_FORMAT, "never used");
	cr_assert_eq(PARSE("\x80"), PL_ERR_FORMAT, "empty map");
	cr_assert_eq(PARSE("\x81\x01\x02"), PL_ERR_FORMAT, "map");
	cr_assert_eq(PARSE("\xde\x00\x01\x01\x02"), PL_ERR_FORMAT, "map16");
	cr_assert_eq(PARSE("\xdf\xff\xff\xff\xff"), PL_ERR_FORMAT, "map32");
	cr_assert_eq(PARSE("\xca\x3f\x80\x00\x00"), PL_ERR_FORMAT, "float");
	cr_assert_eq(PARSE("\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00"), PL_ERR_FORMAT, "double");
	cr_assert_eq(PARSE("\xd4\x01\x00"), PL_ERR_FORMAT, "fixext 1");
	cr_assert_eq(PARSE("\xd8\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), PL_ERR_FORMAT, "fixext 16");
	cr_assert_eq(PARSE("\xc7\x00\x01"), PL_ERR_FORMAT, "ext 8, empty");
	cr_assert_eq(PARSE("\xc7\x01\x01\x00"), PL_ERR_FORMAT, "ext 8");
	cr_assert_eq(PARSE("\xff"), PL_ERR_FORMAT, "-1");
	cr_assert_eq(PARSE("\xd0\xff"), PL_ERR_FORMAT, "-1 as int8");
	cr_assert_eq(PARSE("\xd0\x01"), PL_ERR_FORMAT, "1 as int8");
	cr_assert_eq(PARSE("\xd1\x01\x00"), PL_ERR_FORMAT, "256 as int16");
	cr_assert_eq(PARSE("\xd2\x00\x01\x00\x00"), PL_ERR_FORMAT, "int32");
	cr_assert_eq(PARSE("\xd3\x00\x00\x00\x01\x00\x00\x00\x00"), PL_ERR_FORMAT, "int64");
	cr_assert_eq(PARSE("\x91\xc0"), PL_ERR_FORMAT, "nil in an array");
}

Test(mp, one_form_of_each_value)
{
	cr_assert_eq(PARSE("\x7f"), PL_OK);
	cr_assert_eq(PARSE("\xcc\x7f"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xcc\x80"), PL_OK);
	cr_assert_eq(PARSE("\xcd\x00\xff"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xcd\x01\x00"), PL_OK);
	cr_assert_eq(PARSE("\xce\x00\x00\xff\xff"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xce\x00\x01\x00\x00"), PL_OK);
	cr_assert_eq(PARSE("\xcf\x00\x00\x00\x00\xff\xff\xff\xff"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xcf\x00\x00\x00\x01\x00\x00\x00\x00"), PL_OK);
	cr_assert_eq(PARSE("\xcf\xff\xff\xff\xff\xff\xff\xff\xff"), PL_OK);

	cr_assert_eq(PARSE("\xa1x"), PL_OK);
	cr_assert_eq(PARSE("\xd9\x01x"), PL_ERR_FORMAT, "str8 where fixstr fits");
	cr_assert_eq(PARSE("\xd9\x00"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xda\x00\x01x"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xdb\x00\x00\x00\x01x"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xd9\x1f" "0123456789012345678901234567890"), PL_ERR_FORMAT, "31 in str8");
	cr_assert_eq(PARSE("\xd9\x20" "01234567890123456789012345678901"), PL_OK, "32 in str8");

	cr_assert_eq(PARSE("\xc4\x00"), PL_OK);
	cr_assert_eq(PARSE("\xc4\x01x"), PL_OK);
	cr_assert_eq(PARSE("\xc5\x00\x01x"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xc6\x00\x00\x00\x01x"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xc6\x00\x00\x00\x00"), PL_ERR_FORMAT);

	cr_assert_eq(PARSE("\x91\x01"), PL_OK);
	cr_assert_eq(PARSE("\xdc\x00\x01\x01"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xdd\x00\x00\x00\x01\x01"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xdc\x00\x00"), PL_ERR_FORMAT, "the empty array in three bytes");
	cr_assert_eq(PARSE("\xdc\x00\x10" "\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1\1"), PL_OK, "16 need them");
}

Test(mp, an_array_cannot_promise_more_than_comes)
{
	static const uint8_t header[5] = { 0xdd, 0xff, 0xff, 0xff, 0xff };
	uint8_t bytes[64];

	cr_assert_eq(parse(header, 5, PL_MP_ITEMS_MAX), PL_ERR_SHORT);
	cr_assert_eq(PARSE("\xdd\x80\x00\x00\x00"), PL_ERR_SHORT);
	cr_assert_eq(PARSE("\xdd\x7f\xff\xff\xff"), PL_ERR_SHORT);
	cr_assert_eq(PARSE("\xdc\xff\xff"), PL_ERR_SHORT);
	/* each header alone could be met, together they cannot */
	memset(bytes, 0x9f, sizeof(bytes));
	cr_assert_eq(parse(bytes, 64, PL_MP_ITEMS_MAX), PL_ERR_SHORT);
	cr_assert_eq(PARSE("\xc6\xff\xff\xff\xff"), PL_ERR_SHORT);
	cr_assert_eq(PARSE("\xdb\xff\xff\xff\xffx"), PL_ERR_SHORT);
}

Test(mp, depth)
{
	static uint8_t bytes[10001];

	memset(bytes, 0x91, sizeof(bytes));
	for (size_t depth = 1; depth < 40; depth++) {
		enum pl_err expected = depth > PL_MP_DEPTH_MAX ? PL_ERR_LIMIT : PL_OK;

		bytes[depth] = 0x01;
		cr_assert_eq(parse(bytes, depth + 1, PL_MP_ITEMS_MAX), expected, "%zu deep", depth);
		bytes[depth] = 0x91;
		bytes[depth - 1] = 0x90;
		cr_assert_eq(parse(bytes, depth, PL_MP_ITEMS_MAX), expected, "%zu deep, the last empty", depth);
		bytes[depth - 1] = 0x91;
	}
	bytes[10000] = 1;
	cr_assert_eq(parse(bytes, sizeof(bytes), PL_MP_ITEMS_MAX), PL_ERR_LIMIT, "10,000 deep");

	/* depth is given back when an array ends: 2 x 100 small ones beside one another */
	bytes[0] = 0xdc;
	bytes[1] = 0;
	bytes[2] = 100;
	for (size_t i = 0; i < 100; i++)
		memcpy(bytes + 3 + 3 * i, "\x92\x90\x05", 3);
	cr_assert_eq(parse(bytes, 303, PL_MP_ITEMS_MAX), PL_OK);
	cr_assert_eq(tokens[0].next, 301);
	for (size_t i = 0; i < 100; i++)
		cr_assert_eq(tokens[1 + 3 * i].next, 4 + 3 * i);
}

Test(mp, number_of_tokens)
{
	static uint8_t bytes[3 + 5000];

	for (size_t children = 4094; children <= 5000; children += children < 4098 ? 1 : 300) {
		memset(bytes, 1, sizeof(bytes));
		bytes[0] = 0xdc;
		bytes[1] = (uint8_t)(children >> 8);
		bytes[2] = (uint8_t)children;
		cr_assert_eq(parse(bytes, 3 + children, PL_MP_ITEMS_MAX), children < 4096 ? PL_OK : PL_ERR_LIMIT, "%zu", children);
		cr_assert_eq(parse(bytes, 3 + children, SIZE_MAX), children < 4096 ? PL_OK : PL_ERR_LIMIT, "no caller can raise it");
	}
	/* the caller's own, smaller limit; nothing is written past it */
	memset(tokens, 0x55, sizeof(tokens));
	cr_assert_eq(parse("\x93\x01\x02\x03", 4, 3), PL_ERR_LIMIT);
	cr_assert_eq(parse("\x93\x01\x91\x02\x03", 5, 4), PL_ERR_LIMIT);
	cr_assert_eq((uint64_t)tokens[3].number, 0x5555555555555555);
	cr_assert_eq(parse("\x93\x01\x02\x03", 4, 4), PL_OK);
	cr_assert_eq(parse("\x01", 1, 0), PL_ERR_LIMIT);
}

Test(mp, strings_are_utf8)
{
	cr_assert_eq(PARSE("\xa2\xc3\xa9"), PL_OK);
	cr_assert_eq(PARSE("\xa2\xc0\xaf"), PL_ERR_FORMAT, "overlong");
	cr_assert_eq(PARSE("\xa3\xe0\x80\xaf"), PL_ERR_FORMAT, "overlong");
	cr_assert_eq(PARSE("\xa3\xed\xa0\x80"), PL_ERR_FORMAT, "surrogate");
	cr_assert_eq(PARSE("\xa4\xf4\x90\x80\x80"), PL_ERR_FORMAT, "over U+10FFFF");
	cr_assert_eq(PARSE("\xa1\x00"), PL_ERR_FORMAT, "NUL");
	cr_assert_eq(PARSE("\xa1\xff"), PL_ERR_FORMAT);
	cr_assert_eq(PARSE("\xa1\xc3"), PL_ERR_FORMAT, "cut within a character");
	cr_assert_eq(PARSE("\xc4\x02\xff\x00"), PL_OK, "bin may hold anything");
}

/* Every two- and three-byte input: never a crash, and what is accepted packs to itself by the writer too. */
Test(mp, all_short_inputs)
{
	unsigned accepted = 0;

	for (uint32_t n = 0; n < 1u << 24; n += n < 1u << 16 ? 1 : 7) {
		uint8_t in[3] = { (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16) }, out[3];
		size_t count = n < 1u << 16 ? 2 : 3;
		struct pl_mp_writer w;

		if (pl_mp_parse(in, count, tokens, PL_MP_ITEMS_MAX, &tokens_count) != PL_OK)
			continue;
		accepted++;
		pl_mp_writer_init(&w, out, sizeof(out));
		for (size_t i = 0; i < tokens_count; i++)
			switch (tokens[i].type) {
			case PL_MP_UINT: pl_mp_put_uint(&w, tokens[i].number); break;
			case PL_MP_BOOL: pl_mp_put_bool(&w, tokens[i].number); break;
			case PL_MP_BIN: pl_mp_put_bin(&w, tokens[i].bytes, tokens[i].count); break;
			case PL_MP_STR: pl_mp_put_str(&w, (const char *)tokens[i].bytes, tokens[i].count); break;
			case PL_MP_ARRAY: pl_mp_put_array(&w, (uint32_t)tokens[i].number); break;
			}
		cr_assert_eq(w.err, PL_OK);
		cr_assert_eq(w.count, count);
		cr_assert_arr_eq(out, in, count);
	}
	cr_assert_gt(accepted, 1000);
}

Test(mp, bytes_are_never_null)
{
	static const uint8_t empty[2][2] = { { 0xa0 }, { 0xc4, 0 } };

	for (size_t i = 0; i < 2; i++) {
		cr_assert_eq(pl_mp_parse(empty[i], 1 + i, tokens, 1, &tokens_count), PL_OK);
		cr_assert_eq(tokens[0].count, 0);
		cr_assert_not_null(tokens[0].bytes);
	}
}

Test(mp, cursor_stops_at_the_first_mismatch)
{
	struct pl_mp_cursor c;
	size_t n = 99;
	static const uint8_t document[] = "\x93\x05\xa1x\xc4\x04" "abcd";
	uint8_t fixed[4] = { 9, 9, 9, 9 };

	cr_assert_eq(pl_mp_parse(document, 10, tokens, 4, &tokens_count), PL_OK);
	pl_mp_cursor_init(&c, tokens, tokens_count);
	cr_assert_eq(pl_mp_enter_array(&c, 3, 3), 3);
	cr_assert_eq(pl_mp_take_uint(&c, 4), 0);
	cr_assert_eq(c.err, PL_ERR_LIMIT, "5 is over 4");
	cr_assert_not_null(pl_mp_take_str(&c, 1, &n));
	cr_assert_eq(n, 0, "and everything after it is nothing");
	pl_mp_take_fixed(&c, fixed, 4);
	cr_assert_eq(fixed[0] | fixed[1] | fixed[2] | fixed[3], 0);
	cr_assert_eq(pl_mp_finish(&c), PL_ERR_LIMIT);

	static const struct { uint32_t min, max; enum pl_err err; } sizes[] = {
		{ 3, 3, PL_OK }, { 0, 9, PL_OK }, { 4, 9, PL_ERR_FORMAT }, { 0, 2, PL_ERR_LIMIT },
	};
	for (size_t i = 0; i < 4; i++) {
		pl_mp_cursor_init(&c, tokens, tokens_count);
		cr_assert_eq(pl_mp_enter_array(&c, sizes[i].min, sizes[i].max), sizes[i].err == PL_OK ? 3 : 0);
		cr_assert_eq(c.err, sizes[i].err);
	}
	pl_mp_cursor_init(&c, tokens, tokens_count);
	pl_mp_enter_array(&c, 3, 3);
	cr_assert_eq(pl_mp_take_bool(&c), false);
	cr_assert_eq(c.err, PL_ERR_FORMAT, "a number is no boolean");

	pl_mp_cursor_init(&c, tokens + 2, 2);
	cr_assert_not_null(pl_mp_take_str(&c, 0, &n));
	cr_assert_eq(c.err, PL_ERR_LIMIT, "longer than 0");
	pl_mp_cursor_init(&c, tokens + 3, 1);
	pl_mp_take_bin(&c, 5, 9, &n);
	cr_assert_eq(c.err, PL_ERR_FORMAT, "shorter than 5");
	pl_mp_cursor_init(&c, tokens + 3, 1);
	pl_mp_take_fixed(&c, fixed, 3);
	cr_assert_eq(c.err, PL_ERR_LIMIT, "not just 3");
	pl_mp_cursor_init(&c, tokens + 3, 1);
	pl_mp_take_fixed(&c, fixed, 4);
	cr_assert_arr_eq(fixed, "abcd", 4);
	cr_assert_eq(pl_mp_finish(&c), PL_OK);
	pl_mp_take_uint(&c, 1);
	cr_assert_eq(pl_mp_finish(&c), PL_ERR_FORMAT, "nothing is left to take");
}

Test(mp, version_comes_first)
{
	static const struct { const char *bytes; size_t count; enum pl_err err; } cases[] = {
		{ "\x92\x01\x05", 3, PL_OK },
		{ "\x92\x02\x05", 3, PL_ERR_VERSION },
		{ "\x93\x02\x05\x05", 4, PL_ERR_VERSION }, /* another shape, too */
		{ "\x93\x01\x05\x05", 4, PL_ERR_FORMAT },
		{ "\x91\x01", 2, PL_ERR_FORMAT },
		{ "\x90", 1, PL_ERR_FORMAT },
		{ "\x92\xa1x\x05", 4, PL_ERR_FORMAT },
		{ "\x01", 1, PL_ERR_FORMAT },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pl_mp_cursor c;

		cr_assert_eq(parse(cases[i].bytes, cases[i].count, 8), PL_OK);
		pl_mp_cursor_init(&c, tokens, tokens_count);
		pl_mp_enter_versioned(&c, 1, 2);
		cr_assert_eq(c.err, cases[i].err, "case %zu: %s", i, pl_err_str(c.err));
	}
}

Test(mp, writer_has_a_ceiling)
{
	uint8_t full[512], bytes[512];
	size_t count = build_sample(full, sizeof(full));

	for (size_t max = 0; max < count; max++) {
		struct pl_mp_writer w;

		memset(bytes, 0x77, sizeof(bytes));
		pl_mp_writer_init(&w, bytes, max);
		for (int i = 0; i < 40; i++)
			pl_mp_put_bin(&w, full, 100);
		cr_assert_eq(w.err, PL_ERR_FULL);
		cr_assert_leq(w.count, max);
		cr_assert_eq(bytes[max], 0x77, "past the ceiling");
	}
}

Test(mp, writer_refuses_what_a_reader_would)
{
	struct pl_mp_writer w;
	uint8_t bytes[16];

	pl_mp_writer_init(&w, bytes, sizeof(bytes));
	pl_mp_put_str(&w, "\xff", 1);
	cr_assert_eq(w.err, PL_ERR_FORMAT);
	pl_mp_put_uint(&w, 1);
	cr_assert_eq(w.count, 0, "nothing after an error");
	cr_assert_eq(w.err, PL_ERR_FORMAT);
}

Test(mp, writer_can_count_first)
{
	struct pl_mp_writer measure, w;
	uint8_t bytes[400];
	struct pl_mp_cursor c;
	size_t n;

	pl_mp_writer_init(&measure, NULL, SIZE_MAX);
	pl_mp_put_array(&measure, 2);
	pl_mp_put_uint(&measure, 300);
	pl_mp_put_str(&measure, "abc", 3);
	cr_assert_eq(measure.err, PL_OK);
	cr_assert_eq(measure.count, 1 + 3 + 4);

	pl_mp_writer_init(&w, bytes, sizeof(bytes));
	pl_mp_begin_bin(&w, measure.count);
	pl_mp_put_array(&w, 2);
	pl_mp_put_uint(&w, 300);
	pl_mp_put_str(&w, "abc", 3);
	cr_assert_eq(w.count, 2 + measure.count);
	cr_assert_eq(pl_mp_parse(bytes, w.count, tokens, 1, &tokens_count), PL_OK);
	pl_mp_cursor_init(&c, tokens, tokens_count);
	pl_mp_take_bin(&c, 8, 8, &n);
	cr_assert_eq(pl_mp_finish(&c), PL_OK);
	cr_assert_eq(pl_mp_parse(bytes + 2, w.count - 2, tokens, 3, &tokens_count), PL_OK);
}
