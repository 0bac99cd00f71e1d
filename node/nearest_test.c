#include <criterion/criterion.h>

#include "node/nearest.h"

static const char *const names[] = { "feed", "read", "key", "key new", "send", "subject", "log_level", "passphrase-file", "quota_lane0_bytes_burst" };
static const char *nearest(const char *mistyped)
{
	const char *name = pl_nearest(mistyped, names, sizeof(names) / sizeof(*names));
	return name ? name : "none";
}

Test(nearest, one_mistake_of_each_kind)
{
	cr_assert_str_eq(nearest("subjct"), "subject");
	cr_assert_str_eq(nearest("subbject"), "subject");
	cr_assert_str_eq(nearest("subbect"), "subject");
	cr_assert_str_eq(nearest("sned"), "send");
	cr_assert_str_eq(nearest("kye"), "key");
	cr_assert_str_eq(nearest("key nwe"), "key new");
	cr_assert_str_eq(nearest("quota_lane3_bytes_burst"), "quota_lane0_bytes_burst");
}

Test(nearest, of_two_the_one_that_begins_alike)
{
	cr_assert_str_eq(nearest("reed"), "read");
	cr_assert_str_eq(nearest("fead"), "feed");
}

Test(nearest, large_letters_and_dashes_are_no_mistakes)
{
	cr_assert_str_eq(nearest("Log-Level"), "log_level");
	cr_assert_str_eq(nearest("PASSPHRASE_FILE"), "passphrase-file");
}

Test(nearest, a_beginning_is_near)
{
	cr_assert_str_eq(nearest("passph"), "passphrase-file");
	cr_assert_str_eq(nearest("pa"), "none", "two letters say too little");
}

Test(nearest, what_is_far_is_not_suggested)
{
	cr_assert_str_eq(nearest(""), "none");
	cr_assert_str_eq(nearest("dnxe"), "none", "more than two mistakes in four letters");
	cr_assert_str_eq(nearest("colour"), "none");
	cr_assert_str_eq(nearest("a name that is longer than any that there is in a table"), "none");
	cr_assert_null(pl_nearest("send", NULL, 0));
}
