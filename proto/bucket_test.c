#include "proto/bucket.h"

#include <criterion/criterion.h>

Test(bucket, starts_full_and_gains_at_its_rate)
{
	struct pl_bucket b = { 0 };

	/* 10 a second, 20 at once; from time 0, which must not look like "never used" */
	for (int i = 0; i < 20; i++)
		cr_assert(pl_bucket_take(&b, 0, 10, 20, 1), "token %d", i);
	cr_assert_not(pl_bucket_take(&b, 0, 10, 20, 1));
	cr_assert_eq(pl_bucket_wait_ms(&b, 0, 10, 20, 1), 100);
	cr_assert_not(pl_bucket_take(&b, 99, 10, 20, 1));
	cr_assert_eq(pl_bucket_wait_ms(&b, 99, 10, 20, 1), 1);
	cr_assert(pl_bucket_take(&b, 100, 10, 20, 1));
	cr_assert_not(pl_bucket_take(&b, 100, 10, 20, 1));
}

Test(bucket, waiting_as_long_as_it_says_is_enough_and_no_longer_than_needed)
{
	for (uint64_t rate = 1; rate < 4000; rate = rate * 3 + 1) {
		struct pl_bucket b = { 0 };
		uint64_t now = 7;
		cr_assert(pl_bucket_take(&b, now, rate, 50, 50));
		for (uint64_t tokens = 1; tokens <= 50; tokens += 7) {
			const uint64_t wait = pl_bucket_wait_ms(&b, now, rate, 50, tokens);
			cr_assert_gt(wait, 0);
			struct pl_bucket early = b;
			cr_assert_not(pl_bucket_take(&early, now + wait - 1, rate, 50, tokens), "rate %d tokens %d", (int)rate, (int)tokens);
			now += wait;
			cr_assert(pl_bucket_take(&b, now, rate, 50, tokens), "rate %d tokens %d", (int)rate, (int)tokens);
			/* slow rates leave fractions behind: use them up, so that each round starts from nothing */
			b.milli = 0;
		}
	}
}

Test(bucket, never_holds_more_than_its_burst)
{
	struct pl_bucket b = { 0 };

	cr_assert(pl_bucket_take(&b, 1, 1000, 5, 5));
	for (int i = 0; i < 5; i++)
		cr_assert(pl_bucket_take(&b, 1000000, 1000, 5, 1));
	cr_assert_not(pl_bucket_take(&b, 1000000, 1000, 5, 1));
	/* nor when it gains a little and is nearly full */
	cr_assert(pl_bucket_take(&b, 1000005, 1000, 5, 1));
	for (int i = 0; i < 5; i++)
		cr_assert(pl_bucket_take(&b, 1000008, 1000, 5, 1));
	cr_assert_not(pl_bucket_take(&b, 1000008, 1000, 5, 1));
}

Test(bucket, what_is_larger_than_the_burst_passes_when_it_is_full)
{
	struct pl_bucket b = { 0 };

	cr_assert(pl_bucket_take(&b, 1, 10, 20, 1000));
	cr_assert_eq(pl_bucket_wait_ms(&b, 1, 10, 20, 1000), 2000);
	cr_assert_not(pl_bucket_take(&b, 2000, 10, 20, 1000));
	cr_assert(pl_bucket_take(&b, 2001, 10, 20, 1000));
}

Test(bucket, no_rate_or_no_burst)
{
	struct pl_bucket b = { 0 };

	cr_assert(pl_bucket_take(&b, 1, 0, 1, 1));
	cr_assert_not(pl_bucket_take(&b, 1ULL << 50, 0, 1, 1));
	cr_assert_eq(pl_bucket_wait_ms(&b, 1ULL << 50, 0, 1, 1), UINT64_MAX);
	struct pl_bucket none = { 0 };
	cr_assert(pl_bucket_take(&none, 1, 5, 0, 9), "a burst of nothing bounds nothing: everything is larger than it");
}

Test(bucket, values_at_the_ends_of_their_types_neither_wrap_nor_stop_it)
{
	static const uint64_t edges[] = { 0, 1, 999, 1u << 31, 0xffffffff, (1ULL << 53) - 1, INT64_MAX, UINT64_MAX - 1, UINT64_MAX };
	const size_t count = sizeof(edges) / sizeof(*edges);

	for (size_t r = 0; r < count; r++) {
		for (size_t k = 0; k < count; k++) {
			struct pl_bucket b = { 0 };
			cr_assert(pl_bucket_take(&b, 1, edges[r], edges[k], 1), "rate %zu burst %zu", r, k);
			for (size_t t = 0; t < count; t++) {
				const uint64_t wait = pl_bucket_wait_ms(&b, 2, edges[r], edges[k], edges[t]);
				cr_assert(wait == 0 || wait == UINT64_MAX || pl_bucket_wait_ms(&b, 2, edges[r], edges[k], edges[t]) == wait);
			}
			/* after long enough it is as full as it ever was */
			if (edges[r] > 0) {
				cr_assert(pl_bucket_take(&b, UINT64_MAX - 2, edges[r], edges[k], UINT64_MAX), "rate %zu burst %zu", r, k);
				if (edges[k] > 0)
					cr_assert_not(pl_bucket_take(&b, UINT64_MAX - 2, edges[r], edges[k], 1), "rate %zu burst %zu", r, k);
			}
		}
	}
}

Test(bucket, a_clock_that_goes_back_fills_nothing)
{
	struct pl_bucket b = { 0 };

	cr_assert(pl_bucket_take(&b, 1000, 10, 20, 20));
	cr_assert_not(pl_bucket_take(&b, 500, 10, 20, 1));
}
