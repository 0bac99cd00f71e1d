/* Quotas, in a small world (tests/world.h). */
#include <criterion/criterion.h>

#include "proto/state.h"
#include "tests/story.h"

Test(quota, over_quota_an_entry_waits_with_its_holder)
{
	struct world *w = world_new(3, 9);
	static uint8_t body[4000];

	world_link(w, FIN, CHE);
	world_link(w, SGP, CHE);
	world_config(w, CHE)->quota[1] = (struct pl_quota){ 4000, 20000 };
	world_start(w);
	world_run_ms(w, 100);
	for (int i = 0; i < 20; i++)
		cr_assert_eq(world_submit(w, FIN, 1, PL_KIND_MESSAGE, 0, body, sizeof(body)), PL_OK);
	world_run_ms(w, 1000);
	cr_assert_lt(world_durable(w, CHE, FIN, 1), 10);
	cr_assert_gt(world_notes(w, CHE, PL_NOTE_QUOTA), 0);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "still through", 13), PL_OK);
	world_run_ms(w, 500);
	cr_assert_eq(world_durable(w, SGP, FIN, 0), 1);
	cr_assert(world_converges(w, 60000));
	world_free(w);
}

Test(quota, an_author_over_its_flash_quota_is_told)
{
	static const char big[PL_FLASH_BODY_BYTES_MAX];
	struct world *w = chain();
	int sent = 0;

	while (sent <= PL_FLASH_BURST && world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "f", 1) == PL_OK)
		sent++;
	cr_assert_eq(sent, PL_FLASH_BURST);
	cr_assert_not(pl_engine_quota_is_half_left(world_engine(w, FIN), 0, PL_FLAG_FLASH));
	cr_assert(pl_engine_quota_is_half_left(world_engine(w, FIN), 0, 0));
	/* Asking again costs nothing, and not of the lane's bytes either: with the text of another precedence it goes. */
	for (int i = 0; i < 200; i++)
		cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, big, sizeof(big)), PL_ERR_QUOTA);
	uint64_t wait_ms = pl_engine_quota_wait_ms(world_engine(w, FIN), 0, PL_FLAG_FLASH, 1);
	cr_assert(wait_ms > 5000 && wait_ms <= 6000, "ten a minute: %llu ms", (unsigned long long)wait_ms);
	cr_assert_eq(pl_engine_quota_wait_ms(world_engine(w, FIN), 0, 0, 100000), 0);
	world_run_ms(w, 6100);
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "f", 1), PL_OK, "ten a minute");
	cr_assert_eq(world_submit(w, FIN, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, "f", 1), PL_ERR_QUOTA);
	cr_assert(world_converges(w, 5000));
	world_free(w);
}
