#include <criterion/criterion.h>
#include <string.h>

#include "node/visible.h"
#include "proto/text.h"

static const char *visible(const char *text, size_t count)
{
	static char out[256];
	size_t length = pl_visible(text, count, out, sizeof(out));
	cr_assert_eq(length, strlen(out));
	return out;
}
#define VISIBLE(literal) visible(literal, sizeof(literal) - 1)

Test(visible, ordinary_text_stays_as_it_is)
{
	static const char text[] = "Liikenne- ja viestintävirasto; 外务省; Україна 🙂 = \"x\"";
	cr_assert_str_eq(VISIBLE(text), text);
	cr_assert_str_eq(visible("", 0), "");
}

Test(visible, what_would_act_on_a_screen_is_shown)
{
	cr_assert_str_eq(VISIBLE("a\nb\tc\rd\\e"), "a\\nb\\tc\\rd\\\\e");
	cr_assert_str_eq(VISIBLE("\x1b[2J\x7f"), "\\x1b[2J\\x7f");
	cr_assert_str_eq(VISIBLE("nul\0nul"), "nul\\x00nul");
	cr_assert_str_eq(VISIBLE("\xc2\x9b"), "\\u{009b}");             /* C1: a one-character escape sequence introducer */
	cr_assert_str_eq(VISIBLE("\xe2\x80\xaa\xe2\x80\xae"), "\\u{202a}\\u{202e}");
	cr_assert_str_eq(VISIBLE("\xe2\x81\xa6\xe2\x81\xa9"), "\\u{2066}\\u{2069}");
	cr_assert_str_eq(VISIBLE("\xe2\x80\x8b\xef\xbb\xbf"), "\\u{200b}\\u{feff}");
	cr_assert_str_eq(VISIBLE("\xf3\xa0\x81\x81"), "\\u{e0041}");    /* a tag character */
	cr_assert_str_eq(VISIBLE("\xef\xbf\xbe"), "\\u{fffe}");
}

/* Names that differ in nothing that one sees. */
Test(visible, what_has_no_form_is_shown)
{
	static const uint32_t formless[] = { 0xad, 0x34f, 0x61c, 0x115f, 0x1160, 0x17b4, 0x17b5, 0x180b, 0x180e, 0x180f, 0x200b, 0x2060, 0x2064, 0x2800,
	                                     0x3164, 0xfe00, 0xfe0f, 0xfeff, 0xffa0, 0xfff0, 0x1bca0, 0x1d173, 0xe0001, 0xe0100 };
	static const uint32_t with_form[] = { 0x2801, 0x1161, 0x3163, 0x3165, 0xff9f, 0xffa1, 0xfe10, 0xfffd, 0x1f642, 0x20ac };
	for (size_t i = 0; i < sizeof(formless) / sizeof(*formless); i++)
		cr_assert(pl_char_is_hidden(formless[i]), "U+%04x", (unsigned)formless[i]);
	for (size_t i = 0; i < sizeof(with_form) / sizeof(*with_form); i++)
		cr_assert_not(pl_char_is_hidden(with_form[i]), "U+%04x", (unsigned)with_form[i]);
	cr_assert_str_eq(VISIBLE("CHE\xe3\x85\xa4"), "CHE\\u{3164}");
}

Test(visible, a_joiner_stays_between_letters_that_need_it_and_nowhere_else)
{
	static const char persian[] = "می\xe2\x80\x8cخواهم", hindi[] = "क्\xe2\x80\x8dष", sinhala[] = "ශ්\xe2\x80\x8dරී";
	cr_assert_str_eq(VISIBLE(persian), persian);
	cr_assert_str_eq(VISIBLE(hindi), hindi);
	cr_assert_str_eq(VISIBLE(sinhala), sinhala);
	cr_assert_str_eq(VISIBLE("C\xe2\x80\x8dHE"), "C\\u{200d}HE");
	cr_assert_str_eq(VISIBLE("\xe2\x80\x8cمی"), "\\u{200c}می");
	cr_assert_str_eq(VISIBLE("می\xe2\x80\x8c"), "می\\u{200c}");
	cr_assert_str_eq(VISIBLE("می\xe2\x80\x8c x"), "می\\u{200c} x");
	cr_assert_str_eq(VISIBLE("म\xe2\x80\x8cم"), "म\\u{200c}م");                             /* two scripts */
	cr_assert_str_eq(VISIBLE("م\xe2\x80\x8c\xe2\x80\x8cم"), "م\\u{200c}\\u{200c}م");    /* two joiners */
	cr_assert_str_eq(VISIBLE("م\xff\xe2\x80\x8cم"), "م\\xff\\u{200c}م");
}

Test(visible, a_direction_mark_stays_where_it_places_punctuation_and_nowhere_else)
{
#define LRM "\xe2\x80\x8e"
#define RLM "\xe2\x80\x8f"
	static const char *const stay[] = { "שלום" RLM "!", "شكرا" RLM " (7)", "גרסה " LRM "א", "(" RLM "א" RLM ")" };
	for (size_t i = 0; i < sizeof(stay) / sizeof(*stay); i++)
		cr_assert_str_eq(visible(stay[i], strlen(stay[i])), stay[i]);
	cr_assert_str_eq(VISIBLE("C" LRM "HE"), "C\\u{200e}HE");
	cr_assert_str_eq(VISIBLE("invoice" RLM ".exe"), "invoice\\u{200f}.exe");
	cr_assert_str_eq(VISIBLE("של" RLM "ום"), "של\\u{200f}ום");     /* shows in nothing there */
	cr_assert_str_eq(VISIBLE(RLM "שלום"), "\\u{200f}שלום");
	cr_assert_str_eq(VISIBLE("שלום" RLM), "שלום\\u{200f}");
	cr_assert_str_eq(VISIBLE("ם" RLM RLM "!"), "ם\\u{200f}\\u{200f}!");
}

Test(visible, pictograms_that_are_joined_stay_so)
{
	static const char *const stay[] = { "👩\xe2\x80\x8d👧", "❤\xef\xb8\x8f", "🏳\xef\xb8\x8f\xe2\x80\x8d🌈" };
	for (size_t i = 0; i < sizeof(stay) / sizeof(*stay); i++)
		cr_assert_str_eq(visible(stay[i], strlen(stay[i])), stay[i]);
	cr_assert_str_eq(VISIBLE("👩\xe2\x80\x8dx"), "👩\\u{200d}x");
	cr_assert_str_eq(VISIBLE("a\xef\xb8\x8f"), "a\\u{fe0f}");
	cr_assert_str_eq(VISIBLE("❤\xef\xb8\x8f\xef\xb8\x8f"), "❤\xef\xb8\x8f\\u{fe0f}");
}

Test(visible, bytes_that_are_not_utf8_are_shown)
{
	cr_assert_str_eq(VISIBLE("\xff\x80"), "\\xff\\x80");
	cr_assert_str_eq(VISIBLE("\xc0\xaf"), "\\xc0\\xaf");            /* overlong */
	cr_assert_str_eq(VISIBLE("\xe0\x80\xaf"), "\\xe0\\x80\\xaf");
	cr_assert_str_eq(VISIBLE("\xf0\x80\x80\xaf"), "\\xf0\\x80\\x80\\xaf");
	cr_assert_str_eq(VISIBLE("\xed\xa0\x80"), "\\xed\\xa0\\x80");   /* surrogate */
	cr_assert_str_eq(VISIBLE("\xf4\x90\x80\x80"), "\\xf4\\x90\\x80\\x80"); /* over U+10FFFF */
	cr_assert_str_eq(VISIBLE("\xe2\x82"), "\\xe2\\x82");            /* cut short */
	cr_assert_str_eq(VISIBLE("\xc3(\xc3"), "\\xc3(\\xc3");
}

Test(visible, every_length_of_out_is_respected)
{
	static const char text[] = "ä\x1b\n€xyz";
	for (size_t max = 4; max < 64; max++) {
		char out[80];
		memset(out, '#', sizeof(out));
		size_t length = pl_visible(text, sizeof(text) - 1, out, max);
		cr_assert(length < max);
		cr_assert_eq(out[length], '\0');
		cr_assert_eq(out[max], '#');
		cr_assert(pl_utf8_is_valid(out, length));
		bool whole = strcmp(out, "ä\\x1b\\n€xyz") == 0;
		cr_assert_eq(whole, max > strlen("ä\\x1b\\n€xyz"), "max %zu: %s", max, out);
		if (!whole)
			cr_assert_str_eq(out + length - 3, "…");
	}
}

Test(visible, every_character_decodes_to_itself_and_nothing_else_does)
{
	for (uint32_t c = 0; c < 0x110000; c++) {
		char bytes[4];
		size_t count = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
		if (count == 1) {
			bytes[0] = (char)c;
		} else {
			for (size_t i = count - 1; i > 0; i--)
				bytes[i] = (char)(0x80 | ((c >> (6 * (count - 1 - i))) & 0x3f));
			bytes[0] = (char)((0xf00 >> count) | (c >> (6 * (count - 1))));
		}
		uint32_t decoded = 0;
		size_t expected = c >= 0xd800 && c <= 0xdfff ? 0 : count;
		cr_assert_eq(pl_utf8_decode(bytes, count, &decoded), expected, "U+%04x", (unsigned)c);
		if (expected)
			cr_assert_eq(decoded, c);
		for (size_t less = 0; less < count; less++)
			cr_assert_eq(pl_utf8_decode(bytes, less, &decoded), 0);
	}
}
