#include "node/folder_fixture.h"

TestSuite(file, .init = folder_make, .fini = folder_remove, .timeout = 30);

static void expect(const char *path, const char *content)
{
	uint8_t *bytes;
	size_t count;
	cr_assert_eq(pl_file_read(path, 4096, &bytes, &count, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert(count == strlen(content) && memcmp(bytes, content, count) == 0);
	free(bytes);
}

Test(file, nothing_is_ever_overwritten_by_a_new_file)
{
	put(in_dir("a"), 0600, "mine", 4);
	cr_assert_eq(pl_file_write_new(in_dir("a"), 0600, (const uint8_t *)"new", 3, why, sizeof(why)), PL_ERR_EXISTS);
	cr_assert_not_null(strstr(why, "exists already"));
	cr_assert_eq(symlink("nowhere", in_dir("link")), 0);
	cr_assert_eq(pl_file_write_new(in_dir("link"), 0600, (const uint8_t *)"new", 3, why, sizeof(why)), PL_ERR_EXISTS);
	expect(in_dir("a"), "mine");
	cr_assert_eq(files_in_dir(), 2, "a temporary file was left");
	put(in_dir("a"), 0640, "other", 5);
	expect(in_dir("a"), "other");
	cr_assert_eq(mode_of(in_dir("a")), 0640);
}

Test(file, what_cannot_be_written_or_read_is_named)
{
	uint8_t *bytes;
	size_t count;
	char path[PL_FILE_PATH_BYTES_MAX + 1];
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	cr_assert_eq(pl_file_write_new(in_dir("no/a"), 0600, (const uint8_t *)"x", 1, why, sizeof(why)), PL_ERR_UNKNOWN);
	cr_assert_eq(pl_file_write_new(path, 0600, (const uint8_t *)"x", 1, why, sizeof(why)), PL_ERR_LIMIT);
	cr_assert_eq(pl_file_read(in_dir("none"), 10, &bytes, &count, why, sizeof(why)), PL_ERR_UNKNOWN);
	cr_assert_not_null(strstr(why, "none: "));
	cr_assert_eq(pl_file_read(dir, 10, &bytes, &count, why, sizeof(why)), PL_ERR_FORMAT);
}

Test(file, a_file_that_appears_meanwhile_is_not_overwritten)
{
	struct pl_file file;
	cr_assert_eq(pl_file_begin(in_dir("x"), true, &file, why, sizeof(why)), PL_OK);
	cr_assert_eq(pl_file_append(&file, "late", 4, why, sizeof(why)), PL_OK);
	put(in_dir("x"), 0600, "early", 5);
	cr_assert_eq(pl_file_commit(&file, 0600, why, sizeof(why)), PL_ERR_EXISTS);
	cr_assert_eq(files_in_dir(), 1);
	cr_assert_eq(pl_file_begin(in_dir("y"), true, &file, why, sizeof(why)), PL_OK);
	pl_file_abandon(&file);
	cr_assert_eq(files_in_dir(), 1);
}

Test(file, reading_stops_at_its_limit)
{
	uint8_t *bytes, content[5000];
	size_t count;
	memset(content, 7, sizeof(content));
	put(in_dir("f"), 0600, content, sizeof(content));
	cr_assert_eq(pl_file_read(in_dir("f"), 4999, &bytes, &count, why, sizeof(why)), PL_ERR_LIMIT);
	cr_assert_eq(pl_file_read(in_dir("f"), 5000, &bytes, &count, why, sizeof(why)), PL_OK);
	cr_assert(count == 5000 && memcmp(bytes, content, 5000) == 0);
	free(bytes);
	put(in_dir("empty"), 0600, "", 0);
	cr_assert_eq(pl_file_read(in_dir("empty"), 10, &bytes, &count, why, sizeof(why)), PL_OK);
	cr_assert_eq(count, 0);
	free(bytes);
	cr_assert_eq(pl_file_read("/dev/zero", 100000, &bytes, &count, why, sizeof(why)), PL_ERR_LIMIT, "what has no size and no end");
}
