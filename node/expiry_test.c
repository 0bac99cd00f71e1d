#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "node/expiry.h"

#define DAY_MS UINT64_C(86400000)
#define NOW_MS UINT64_C(1795521600000) /* 2026-11-24T12:00:00Z */

static struct pl_charter *charter_of(uint64_t che_days, uint64_t fin_days, uint64_t sgp_days)
{
	static const char *const codes[] = { "CHE", "FIN", "SGP" };
	const uint64_t days[] = { che_days, fin_days, sgp_days };
	struct pl_charter *charter = calloc(1, sizeof(*charter));
	cr_assert_not_null(charter);
	charter->members_count = charter->nodes_count = 3;
	for (uint16_t i = 0; i < 3; i++) {
		memcpy(charter->members[i].code, codes[i], 4);
		charter->members[i].first_node = i;
		charter->members[i].nodes_count = 1;
		charter->nodes[i].member = i;
		charter->nodes[i].certificate.valid_until_ms = NOW_MS + days[i] * DAY_MS;
	}
	return charter;
}

Test(expiry, days_are_whole_ones_and_never_less_than_none)
{
	cr_assert_eq(pl_expiry_days(NOW_MS, NOW_MS + 60 * DAY_MS), 60);
	cr_assert_eq(pl_expiry_days(NOW_MS, NOW_MS + 60 * DAY_MS - 1), 59);
	cr_assert_eq(pl_expiry_days(NOW_MS, NOW_MS + 1), 0);
	cr_assert_eq(pl_expiry_days(NOW_MS, NOW_MS), 0);
	cr_assert_eq(pl_expiry_days(NOW_MS, 0), 0);
	cr_assert_eq(pl_expiry_days(0, UINT64_MAX), UINT32_MAX);
}

Test(expiry, the_first_end_of_all_is_found)
{
	struct pl_charter *charter = charter_of(90, 80, 80);
	cr_assert_eq(pl_expiry_first(charter), 1);
	free(charter);
}

Test(expiry, sixty_days_ahead_it_warns_and_not_before)
{
	char why[PL_EXPIRY_WHY_BYTES] = "";
	struct pl_charter *charter = charter_of(60, 365, 365);
	cr_assert_not(pl_expiry_warning(charter, 1, NOW_MS, why, sizeof(why)));
	cr_assert(pl_expiry_warning(charter, 1, NOW_MS + 1, why, sizeof(why)));
	cr_assert_str_eq(why, "the certificate of CHE ends on 2027-01-23, in 59 days: nothing renews it; found the network anew before");
	cr_assert(pl_expiry_warning(charter, 1, NOW_MS + 59 * DAY_MS, why, sizeof(why)));
	cr_assert_not_null(strstr(why, "in 1 day:"), "%s", why);
	cr_assert(pl_expiry_warning(charter, 1, NOW_MS + 60 * DAY_MS, why, sizeof(why)));
	cr_assert_str_eq(why, "the certificate of CHE ended on 2027-01-23: it gets no link any more; found the network anew");
	free(charter);
}

Test(expiry, of_two_that_end_on_one_day_it_names_ones_own)
{
	char why[PL_EXPIRY_WHY_BYTES] = "";
	struct pl_charter *charter = charter_of(30, 30, 30);
	cr_assert(pl_expiry_warning(charter, 2, NOW_MS, why, sizeof(why)));
	cr_assert_not_null(strstr(why, "certificate of SGP"), "%s", why);
	free(charter);
}
