#include "node/link_news.h"

#include <criterion/criterion.h>

Test(link_news, a_few_changes_are_said_at_once)
{
	struct pl_link_news news = { 0 };

	for (uint64_t now_ms = 1000; now_ms < 3600000; now_ms += PL_LINK_NEWS_MS)
		cr_assert(pl_link_news_add(&news, now_ms));
	cr_assert_eq(pl_link_news_due(&news, 3600000), 0);
	for (int i = 0; i < PL_LINK_NEWS_BURST; i++)
		cr_assert(pl_link_news_add(&news, 7200000), "after a while of nothing, some at once");
	cr_assert_not(pl_link_news_add(&news, 7200000));
}

Test(link_news, of_many_the_last_is_said_with_how_many)
{
	struct pl_link_news news = { 0 };
	uint32_t said = 0, counted = 0, changes = 0;

	for (uint64_t now_ms = 1000; now_ms < 61000; now_ms++) {
		const bool now = pl_link_news_add(&news, now_ms);
		const uint32_t due = pl_link_news_due(&news, now_ms);
		said += now || due > 0;
		counted += now + due;
		changes++;
	}
	cr_assert_leq(said, PL_LINK_NEWS_BURST + 60000 / PL_LINK_NEWS_MS);
	/* then they stop, and the last one is not forgotten */
	const uint32_t rest = pl_link_news_due(&news, 61000 + PL_LINK_NEWS_MS);
	cr_assert_gt(rest, 0);
	cr_assert_eq(counted + rest, changes);
	cr_assert_eq(pl_link_news_due(&news, 100000), 0, "once");
}
