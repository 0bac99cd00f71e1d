#include <criterion/criterion.h>
#include <stdio.h>

#include "node/told.h"

Test(told, the_same_is_said_once_and_again_when_it_is_due)
{
	struct pl_told told = { 0 };
	cr_assert(pl_told_is_news(&told, "192.0.2.1", "another charter", 1000, 600000));
	cr_assert(!pl_told_is_news(&told, "192.0.2.1", "another charter", 1001, 600000));
	cr_assert(pl_told_is_news(&told, "192.0.2.2", "another charter", 1002, 600000), "of somebody else");
	cr_assert(pl_told_is_news(&told, "192.0.2.1", "clocks", 1003, 600000), "another reason");
	cr_assert(!pl_told_is_news(&told, "192.0.2.1", "another charter", 1004, 600000), "two that alternate are said once each");
	cr_assert(!pl_told_is_news(&told, "192.0.2.1", "another charter", 600999, 600000));
	cr_assert(pl_told_is_news(&told, "192.0.2.1", "another charter", 601000, 600000));
	cr_assert(!pl_told_is_news(&told, "192.0.2.1", "another charter", 601001, 600000));
}

Test(told, what_is_forgotten_is_news_again)
{
	struct pl_told told = { 0 };
	cr_assert(pl_told_is_news(&told, "FIN", "a", 1, 600000));
	cr_assert(pl_told_is_news(&told, "FIN", "b", 1, 600000));
	cr_assert(pl_told_is_news(&told, "SGP", "a", 1, 600000));
	pl_told_forget(&told, "FIN");
	cr_assert(!pl_told_is_news(&told, "SGP", "a", 2, 600000));
	cr_assert(pl_told_is_news(&told, "FIN", "a", 2, 600000));
	cr_assert(pl_told_is_news(&told, "FIN", "b", 2, 600000));
}

Test(told, of_many_the_oldest_give_way)
{
	struct pl_told told = { 0 };
	char who[PL_TOLD_WHO_BYTES];
	for (int i = 0; i <= PL_TOLD_MAX; i++) {
		snprintf(who, sizeof(who), "%d", i);
		cr_assert(pl_told_is_news(&told, who, "a", 1 + (uint64_t)i, 600000));
	}
	cr_assert(!pl_told_is_news(&told, "1", "a", 100, 600000));
	cr_assert(pl_told_is_news(&told, "0", "a", 100, 600000));
}
