#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#include "proto/text.h"

#define UTF8(literal) pl_text_is_utf8(literal, sizeof(literal) - 1)
#define LINE(literal) pl_text_is_line(literal, sizeof(literal) - 1)
#define NAME(literal) pl_text_is_name(literal, sizeof(literal) - 1)

Test(text, every_code_point_in_its_own_form_and_no_other)
{
	for (uint32_t code = 0; code < 0x120000; code++) {
		bool good = code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff);
		unsigned least = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

		for (unsigned length = least; length <= 4; length++) {
			static const uint8_t lead[5] = { 0, 0, 0xc0, 0xe0, 0xf0 };
			uint8_t bytes[4];
			uint32_t decoded = 0;

			for (unsigned i = length; i-- > 1;)
				bytes[i] = (uint8_t)(0x80 | (code >> 6 * (length - 1 - i) & 0x3f));
			bytes[0] = (uint8_t)(length == 1 ? code : lead[length] | code >> 6 * (length - 1));
			if (pl_text_is_utf8((char *)bytes, length) != (good && length == least))
				cr_assert_fail("U+%04X in %u bytes", (unsigned)code, length);
			if (pl_utf8_decode((char *)bytes, length, &decoded) != ((good || code == 0) && length == least ? length : 0) ||
			    (length == least && good && decoded != code))
				cr_assert_fail("U+%04X in %u bytes is U+%04X", (unsigned)code, length, (unsigned)decoded);
		}
	}
}

Test(text, no_loose_ends)
{
	cr_assert(UTF8(""));
	cr_assert(pl_text_is_utf8(NULL, 0));
	cr_assert(UTF8("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x95\x8a"));
	cr_assert_not(UTF8("\x80"), "a continuation byte alone");
	cr_assert_not(UTF8("a\xbf"));
	cr_assert_not(UTF8("\xc3"), "a lead byte alone");
	cr_assert_not(UTF8("\xe2\x82"));
	cr_assert_not(UTF8("\xf0\x9f\x95"));
	cr_assert_not(UTF8("\xe2\x82z"));
	cr_assert_not(UTF8("\xc3\xc3"));
	cr_assert_not(UTF8("\xf8\x88\x80\x80\x80"), "five bytes");
	cr_assert_not(UTF8("\xfc\x84\x80\x80\x80\x80"));
	cr_assert_not(UTF8("\xfe"));
	cr_assert_not(UTF8("\xff"));
	cr_assert_not(UTF8("a\0b"), "NUL");
	cr_assert_not(UTF8("\xc0\x80"), "NUL in two bytes");
}

/* Reading stops at the end even where the next byte would have made it whole. */
Test(text, does_not_look_behind_the_end)
{
	static const char whole[] = "\xe2\x82\xac";

	for (size_t bytes = 1; bytes < 3; bytes++)
		cr_assert_not(pl_text_is_utf8(whole, bytes));
	cr_assert(pl_text_is_utf8(whole, 3));
}

Test(text, lines_have_nothing_that_moves_the_cursor)
{
	cr_assert(LINE(""));
	cr_assert(LINE("\xd9\x85\xd8\xb1\xd8\xad\xd8\xa8\xd8\xa7 \xe2\x80\x8f"), "Arabic, and a right-to-left mark");
	for (char c = 1; c < 0x20; c++)
		cr_assert_not(pl_text_is_line(&c, 1), "U+%04X", c);
	cr_assert(LINE(" "));
	cr_assert_not(LINE("\x7f"));
	cr_assert_not(LINE("\xc2\x80"));
	cr_assert_not(LINE("\xc2\x9b"), "CSI in one code");
	cr_assert_not(LINE("\xc2\x9f"));
	cr_assert(LINE("\xc2\xa0"));
	cr_assert(LINE("\xe2\x80\xa7"));
	cr_assert_not(LINE("\xe2\x80\xa8"), "U+2028");
	cr_assert_not(LINE("\xe2\x80\xa9"));
	cr_assert_not(LINE("\xe2\x80\xaa"), "U+202A");
	cr_assert_not(LINE("harmless\xe2\x80\xaegpj.exe"), "U+202E");
	cr_assert(LINE("\xe2\x80\xaf"));
	cr_assert(LINE("\xe2\x81\xa5"));
	cr_assert_not(LINE("\xe2\x81\xa6"), "U+2066");
	cr_assert_not(LINE("\xe2\x81\xa9"));
	cr_assert(LINE("\xe2\x81\xaa"));
	cr_assert_not(LINE("\xff"));
	cr_assert(UTF8("two\nlines"), "free text may");
}

Test(text, names)
{
	char long_name[65];

	memset(long_name, 'x', sizeof(long_name));
	cr_assert(pl_text_is_name(long_name, 64));
	cr_assert_not(pl_text_is_name(long_name, 65));
	cr_assert(NAME("C\xc3\xb4te d'Ivoire"));
	cr_assert_not(NAME(""));
	cr_assert_not(NAME(" "));
	cr_assert_not(NAME(" Finland"));
	cr_assert_not(NAME("Finland "));
	cr_assert_not(NAME("Fin\nland"));
}
