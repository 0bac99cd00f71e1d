#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/vectors.h"

static struct pl_vectors *open_text(const char *text)
{
	char path[] = "/tmp/pl-vectors-XXXXXX";
	int fd = mkstemp(path);
	cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	struct pl_vectors *vectors = pl_vectors_open(path);
	unlink(path);
	return vectors;
}

Test(vectors, gives_every_value_of_every_case)
{
	struct pl_vectors *vectors = open_text("# source: none\n\n\nkey = 00ff\nempty =\nkey = a1\nn = 18446744073709551615\n\n# more\nword = valid");
	size_t bytes;
	cr_assert(pl_vectors_next(vectors));
	cr_assert_eq(pl_vectors_line(vectors), 4);
	cr_assert_eq(pl_vectors_count(vectors, "key"), 2);
	cr_assert_eq(pl_vectors_count(vectors, "none"), 0);
	cr_assert_arr_eq(pl_vectors_hex_of(vectors, "key", 0, 2), "\x00\xff", 2);
	cr_assert_arr_eq(pl_vectors_hex_of(vectors, "key", 1, 1), "\xa1", 1);
	cr_assert_not_null(pl_vectors_hex(vectors, "empty", 0, &bytes));
	cr_assert_eq(bytes, 0);
	cr_assert_eq(pl_vectors_number(vectors, "n", 0), UINT64_MAX);
	cr_assert(pl_vectors_next(vectors));
	cr_assert_str_eq(pl_vectors_word(vectors, "word", 0), "valid");
	cr_assert_eq(pl_vectors_count(vectors, "key"), 0);
	cr_assert_not(pl_vectors_next(vectors));
	pl_vectors_free(vectors);
}

Test(vectors, missing_file_is_loud, .signal = SIGABRT)
{
	pl_vectors_open("there-is-no-such-file.txt");
}

Test(vectors, file_without_cases_is_loud, .signal = SIGABRT)
{
	pl_vectors_next(open_text("# source: none\n\n"));
}

Test(vectors, missing_key_is_loud, .signal = SIGABRT)
{
	struct pl_vectors *vectors = open_text("key = 00\n");
	cr_assert(pl_vectors_next(vectors));
	pl_vectors_word(vectors, "key", 1);
}

Test(vectors, what_is_not_hex_is_loud, .signal = SIGABRT)
{
	struct pl_vectors *vectors = open_text("key = 0g\n");
	cr_assert(pl_vectors_next(vectors));
	pl_vectors_hex_of(vectors, "key", 0, 1);
}

Test(vectors, stopping_before_the_last_case_is_loud, .signal = SIGABRT)
{
	struct pl_vectors *vectors = open_text("key = 00\n\nkey = 01\n");
	cr_assert(pl_vectors_next(vectors));
	pl_vectors_free(vectors);
}
