#include <criterion/criterion.h>
#include <stdlib.h>

#include "node/ref.h"
#include "tests/fixture.h"

static struct pl_fixture *net;

static void set_up(void) { net = pl_fixture_new(1, 3, 2); } /* CHE, FIN and SGP, with two nodes each */
static void tear_down(void) { free(net); }

TestSuite(ref, .init = set_up, .fini = tear_down);

Test(ref, what_is_written_is_read_again)
{
	static const struct pl_ref refs[] = { { 2, 0, 17 }, { 3, 2, 1 }, { 0, 1, 9999999999999999999u } };
	static const char *const texts[] = { "FIN/0/17", "FIN.2/2/1", "CHE/1/9999999999999999999" };

	for (size_t i = 0; i < sizeof(refs) / sizeof(*refs); i++) {
		char text[PL_REF_TEXT_BYTES];
		struct pl_ref ref;
		pl_ref_format(&net->charter, refs[i], text);
		cr_assert_str_eq(text, texts[i]);
		cr_assert_eq(pl_ref_parse(&net->charter, text, &ref), PL_OK, "%s", text);
		cr_assert(ref.node == refs[i].node && ref.lane == refs[i].lane && ref.seq == refs[i].seq, "%s", text);
	}
}

Test(ref, what_is_no_place_is_refused)
{
	static const char *const texts[] = {
		"", "/", "FIN", "FIN/", "FIN/0", "FIN/0/", "/0/17", "FIN/3/17", "FIN/00/17", "FIN//17", "FIN/0/0", "FIN/0/00", "FIN/0/+17",
		"FIN/0/-17", "FIN/0/ 17", "FIN/0/17x", "FIN/0/17 ", "FIN/0/17/", "FIN/0/17.0", "FIN/0/0x11", "FINLAND/0/17",
		"FIN/0/18446744073709551616", "FIN/0/99999999999999999999",
	};
	struct pl_ref ref;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		cr_assert_eq(pl_ref_parse(&net->charter, texts[i], &ref), PL_ERR_FORMAT, "'%s'", texts[i]);
}

Test(ref, a_place_is_read_as_people_write_it)
{
	static const char *const texts[] = { "FIN/0/17", "fin/0/17", "Fin/0/017", "fIN/0/0000000000000000000000017" };
	struct pl_ref ref, first;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		cr_assert_eq(pl_ref_parse(&net->charter, texts[i], &ref), PL_OK, "'%s'", texts[i]);
		first = i == 0 ? ref : first;
		cr_assert(ref.node == first.node && ref.lane == 0 && ref.seq == 17, "'%s'", texts[i]);
	}
}

Test(ref, a_node_is_one_of_the_charter)
{
	static const char *const texts[] = { "NOR/0/17", "FIN.3/0/17", "nor/0/17", "FIN.1/0/17", "FIN./0/17" };
	struct pl_ref ref;

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		cr_assert_eq(pl_ref_parse(&net->charter, texts[i], &ref), PL_ERR_UNKNOWN, "'%s'", texts[i]);
}

Test(ref, nodes_and_members_are_named_in_any_case)
{
	cr_assert_neq(pl_ref_find_node(&net->charter, "fin.2", 5), PL_NODE_NONE);
	cr_assert_eq(pl_ref_find_node(&net->charter, "fin.2", 5), pl_ref_find_node(&net->charter, "FIN.2", 5));
	cr_assert_eq(pl_ref_find_member(&net->charter, "sgp"), pl_charter_find_member(&net->charter, "SGP"));
	cr_assert_geq(pl_ref_find_member(&net->charter, "SgP"), 0);
	static const char *const none[] = { "", "SG", "SGP.2", "SGPX", "NOR", "sgp " };
	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		cr_assert_eq(pl_ref_find_member(&net->charter, none[i]), -1, "'%s'", none[i]);
}
