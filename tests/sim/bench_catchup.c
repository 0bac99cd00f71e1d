/* One comes back that has missed 10,000 entries of one author, and has a link to one that has them: the bytes that are not entries, and the round trips
 * until entries come. proto/catchup_test counts them with two engines alone; here there is a network before, in which every lane gets entries. */
#include <assert.h>
#include <string.h>

#include "proto/frame.h"
#include "tests/sim/bench.h"
#include "tests/sim/sim_impl.h"

#define MISSED 10000u
#define BODY_BYTES 200
#define AUTHOR 4 /* of what is missed; then AHEAD has it */
#define AHEAD 3
#define BEHIND 2
#define DEGREE 2 /* few links: all that is said before goes over each */

#define ALONE_MS 60000  /* from here on the three are alone, and two while BEHIND is away */
#define MISS_MS 70000
#define BACK_MS 100000
#define END_MS 400000
#define FRAME_TYPES 32

struct catchup {
	uint64_t bytes[FRAME_TYPES], hello_us, want_us, entry_us, last_us, held; /* held: entries of what it has missed */
	uint64_t round_trip_us;
};

static void on_record(void *ctx, uint64_t us, uint16_t node, const uint8_t *plain, size_t plain_bytes)
{
	struct catchup *c = ctx;
	size_t at = 0;

	if (us < BACK_MS * 1000)
		return;
	assert(node == AHEAD || node == BEHIND); /* nobody else is up */
	while (at + PL_FRAME_HEADER_BYTES <= plain_bytes && plain[at] != PL_FRAME_PAD) {
		const uint8_t type = plain[at] & (FRAME_TYPES - 1);
		const size_t bytes = PL_FRAME_HEADER_BYTES + pl_get32(plain + at + 4);
		uint64_t *first_us = type == PL_FRAME_HELLO ? &c->hello_us : type == PL_FRAME_WANT ? &c->want_us : type == PL_FRAME_ENTRY ? &c->entry_us : NULL;
		if (c->held < MISSED)
			c->bytes[type] += bytes;
		if (first_us && *first_us == 0)
			*first_us = us;
		at += bytes;
	}
}

static void on_durable(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	struct catchup *c = ctx;

	(void)seq;
	if (us < BACK_MS * 1000 || node != BEHIND || author != AUTHOR || lane != 2)
		return;
	c->held++;
	c->last_us = us;
}

static void on_started(void *ctx, const struct sim *sim)
{
	struct catchup *c = ctx;

	c->round_trip_us = sim_delay_us(sim, AHEAD, BEHIND) + sim_delay_us(sim, BEHIND, AHEAD);
}

static void submit(struct sim_plan *plan, uint64_t at_ms, uint16_t node, uint8_t lane, uint32_t count)
{
	const struct sim_act act = { .at_ms = at_ms, .type = SIM_SUBMIT, .a = node, .lane = lane, .kind = lane == 2 ? PL_KIND_INDICATORS : PL_KIND_MESSAGE,
	                             .bytes = BODY_BYTES, .count = count, .seed = at_ms };

	sim_plan_add(plan, &act);
}

static void stop(struct sim_plan *plan, uint64_t at_ms, uint16_t node, int64_t ms)
{
	const struct sim_act act = { .at_ms = at_ms, .type = SIM_STOP, .a = node, .ms = ms };

	sim_plan_add(plan, &act);
}

void bench_catchup(uint16_t nodes, bool whole_frontiers, uint64_t seed)
{
	struct catchup c = { 0 };
	const struct sim_observer observer = { .ctx = &c, .durable = on_durable, .record = on_record, .started = on_started };
	const struct sim_options options = { .observer = &observer };
	/* SIM_RANDOM has each dial the next one */
	struct sim_plan plan = { .seed = seed, .nodes = nodes, .authors = nodes, .degree = DEGREE, .topology = SIM_RANDOM, .steady = true, .chaos_ms = END_MS,
	                         .old = whole_frontiers ? 1u << AHEAD : 0, .commit_us_min = BENCH_COMMIT_US, .commit_us_max = BENCH_COMMIT_US };
	struct sim_result result;

	for (uint8_t lane = 0; lane < PL_LANES; lane++) {
		for (uint16_t node = 0; node < nodes; node++)
			submit(&plan, BENCH_FIRST_MS + lane * 1000u, node, lane, 1);
	}
	for (uint16_t node = 0; node < nodes; node++) {
		if (node != AHEAD && node != BEHIND && node != AUTHOR)
			stop(&plan, ALONE_MS, node, 2 * END_MS);
	}
	stop(&plan, ALONE_MS, BEHIND, BACK_MS - ALONE_MS);
	for (uint32_t i = 0; i < 100; i++)
		submit(&plan, MISS_MS + i * 100, AUTHOR, 2, MISSED / 100);
	stop(&plan, BACK_MS - 1000, AUTHOR, 2 * END_MS);
	sim_run(&plan, &options, &result);

	const double round_trip_us = (double)c.round_trip_us;
	const uint64_t heads = c.bytes[PL_FRAME_HEADS] + c.bytes[PL_FRAME_FRONTIER];
	printf("\ncatch-up: one of %u nodes comes back, and has missed %u entries of one author%s\n"
	       "  bytes: HELLO %llu, %s %llu, WANT %llu: together %llu; ACK %llu; the first WANT leaves %.1f round trips after HELLO, the first entry %.1f; all is there after %.1f s%s\n",
	       nodes, MISSED, whole_frontiers ? "; the other knows no tags" : "", (unsigned long long)c.bytes[PL_FRAME_HELLO], whole_frontiers ? "FRONTIER" : "HEADS",
	       (unsigned long long)heads, (unsigned long long)c.bytes[PL_FRAME_WANT], (unsigned long long)(c.bytes[PL_FRAME_HELLO] + heads + c.bytes[PL_FRAME_WANT]),
	       (unsigned long long)c.bytes[PL_FRAME_ACK], (double)(c.want_us - c.hello_us) / round_trip_us, (double)(c.entry_us - c.hello_us) / round_trip_us,
	       (double)(c.last_us - c.hello_us) / 1e6,
	       c.held == MISSED ? "" : "; NOT ALL IS THERE");
	fflush(stdout);
	sim_plan_free(&plan);
}
