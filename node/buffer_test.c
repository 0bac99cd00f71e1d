#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "node/buffer.h"

Test(buffer, grows_and_hands_over_what_was_added)
{
	struct pl_buffer buffer = PL_BUFFER(100000);
	size_t count = 0;

	for (unsigned i = 0; i < 10000; i++)
		pl_buffer_add_text(&buffer, "ten bytes.");
	cr_assert_eq(buffer.err, PL_OK);
	cr_assert_eq(buffer.count, 100000);
	char *bytes = pl_buffer_take(&buffer, &count);
	cr_assert_eq(count, 100000);
	cr_assert_eq(strlen(bytes), count);
	for (size_t i = 0; i < count; i += 10)
		cr_assert_eq(memcmp(bytes + i, "ten bytes.", 10), 0);
	free(bytes);
	pl_buffer_add(&buffer, "a\0b", 3); /* empty again, and of use */
	cr_assert_eq(buffer.count, 3);
	cr_assert_eq(memcmp(buffer.bytes, "a\0b", 4), 0);
	pl_buffer_dispose(&buffer);
	cr_assert_null(buffer.bytes);
}

Test(buffer, takes_as_much_as_its_ceiling_and_not_one_byte_more)
{
	static const char bytes[2000];
	const size_t ceilings[] = { 0, 1, 511, 512, 513, 1023, 1024, 1025, 1999 };

	for (size_t i = 0; i < sizeof(ceilings) / sizeof(*ceilings); i++) {
		struct pl_buffer whole = PL_BUFFER(ceilings[i]), parts = PL_BUFFER(ceilings[i]);
		pl_buffer_add(&whole, bytes, ceilings[i]);
		for (size_t k = 0; k < ceilings[i]; k++)
			pl_buffer_add(&parts, bytes, 1);
		cr_assert(whole.err == PL_OK && parts.err == PL_OK, "%zu", ceilings[i]);
		cr_assert(whole.count == ceilings[i] && parts.count == ceilings[i]);
		cr_assert(whole.room <= 512 || whole.room <= ceilings[i] + 1, "%zu", whole.room);
		pl_buffer_add(&whole, "x", 1);
		pl_buffer_add(&parts, bytes, SIZE_MAX);
		cr_assert(whole.err == PL_ERR_LIMIT && parts.err == PL_ERR_LIMIT, "%zu", ceilings[i]);
		cr_assert(whole.count == ceilings[i] && parts.count == ceilings[i]);
		pl_buffer_dispose(&whole);
		pl_buffer_dispose(&parts);
	}
}

Test(buffer, an_error_stays_until_it_is_looked_at)
{
	struct pl_buffer buffer = PL_BUFFER(4);
	size_t count = 7;

	pl_buffer_add_text(&buffer, "12");
	pl_buffer_add_text(&buffer, "345");
	pl_buffer_add_text(&buffer, "6"); /* would fit: a text with a hole in it is no text */
	cr_assert_eq(buffer.count, 2);
	pl_buffer_clear(&buffer);
	pl_buffer_add_text(&buffer, "1");
	cr_assert_null(pl_buffer_take(&buffer, &count));
	cr_assert_eq(count, 7);
	pl_buffer_add_text(&buffer, "1234");
	char *bytes = pl_buffer_take(&buffer, &count);
	cr_assert_str_eq(bytes, "1234");
	free(bytes);
}

Test(buffer, an_empty_text_is_a_text)
{
	struct pl_buffer buffer = PL_BUFFER(0);
	size_t count = 7;
	char *bytes = pl_buffer_take(&buffer, &count);

	cr_assert_str_eq(bytes, "");
	cr_assert_eq(count, 0);
	free(bytes);
}

Test(buffer, cleared_it_keeps_its_memory)
{
	struct pl_buffer buffer = PL_BUFFER(100);

	pl_buffer_clear(&buffer);
	pl_buffer_add_text(&buffer, "one");
	const char *bytes = buffer.bytes;
	pl_buffer_clear(&buffer);
	cr_assert_str_eq(buffer.bytes, "");
	pl_buffer_add_text(&buffer, "two");
	cr_assert_eq(buffer.bytes, bytes);
	cr_assert_str_eq(buffer.bytes, "two");
	pl_buffer_dispose(&buffer);
}
