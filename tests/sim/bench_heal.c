/* Two halves that have not heard of each other for an hour: how long it takes until all hold all. */
#include <assert.h>
#include <stdlib.h>

#include "tests/sim/bench.h"
#include "tests/sim/bench_reference.h"
#include "tests/sim/sim_impl.h"

#define HEAL_HOUR_MS 3600000u
#define HEAL_RATE 1250000u /* bytes a second: 10 Mbit/s */

struct heal {
	uint64_t healed_us, last_us, missing_bytes;
	uint16_t nodes;
	uint64_t *heads; /* [node][author][lane]: durable */
	const struct sim *sim;
	struct graph graph;
};

static void heal_durable(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	struct heal *h = ctx;

	h->heads[((size_t)node * BENCH_AUTHORS + author) * PL_LANES + lane] = seq;
	if (h->graph.nodes == 0)
		graph_make(&h->graph, h->sim);
	if (us >= h->healed_us)
		h->last_us = us;
}

static void heal_started(void *ctx, const struct sim *sim)
{
	struct heal *h = ctx;

	h->sim = sim;
}

void bench_heal(uint16_t nodes, uint64_t seed)
{
	struct heal h = { .nodes = nodes };
	const struct sim_observer observer = { .ctx = &h, .durable = heal_durable, .started = heal_started };
	const struct sim_options options = { .observer = &observer };
	struct sim_plan plan = { .seed = seed, .nodes = nodes, .authors = BENCH_AUTHORS, .degree = nodes > PL_NODES_MAX ? BENCH_CANDIDATES : 0, .topology = SIM_CHOICE, .steady = true,
	                         .commit_us_min = BENCH_COMMIT_US, .commit_us_max = BENCH_COMMIT_US };
	struct sim_result result;
	uint64_t said_bytes[2] = { 0 }, diameter_us = 0;
	bool is_whole = true;

	h.heads = calloc((size_t)nodes * BENCH_AUTHORS * PL_LANES, sizeof(*h.heads));
	assert(h.heads);
	h.healed_us = (BENCH_FIRST_MS + (uint64_t)HEAL_HOUR_MS) * 1000;
	for (uint16_t a = 0; a < nodes; a++) {
		for (uint16_t b = 0; b < nodes; b++) {
			struct sim_act act = { .at_ms = 0, .type = SIM_CLOG, .a = a, .b = b, .count = HEAL_RATE };
			if (a == b)
				continue;
			sim_plan_add(&plan, &act);
			if (a % 2 == b % 2)
				continue;
			act = (struct sim_act){ .at_ms = BENCH_FIRST_MS, .type = SIM_CUT, .a = a, .b = b };
			sim_plan_add(&plan, &act);
			act.at_ms += HEAL_HOUR_MS;
			act.type = SIM_HEAL;
			sim_plan_add(&plan, &act);
		}
	}
	/* Indicators: 64 KiB every 16 s of each author; messages beside. */
	for (uint32_t i = 0; i < HEAL_HOUR_MS / 4000 - 8; i++) {
		const struct sim_act act = { .at_ms = BENCH_FIRST_MS + 1000 + i * 4000, .type = SIM_SUBMIT, .a = (uint16_t)(i % BENCH_AUTHORS), .lane = i % 5 == 0 ? 1 : 2,
		                             .kind = i % 5 == 0 ? PL_KIND_MESSAGE : PL_KIND_INDICATORS, .bytes = i % 5 == 0 ? 7000 : 65000, .count = 1, .seed = i };
		sim_plan_add(&plan, &act);
		said_bytes[act.a % 2] += PL_ENTRY_HEADER_BYTES + act.bytes;
	}
	plan.chaos_ms = BENCH_FIRST_MS + HEAL_HOUR_MS + 300000;
	const double since = bench_seconds();
	sim_run(&plan, &options, &result);
	for (uint16_t author = 0; author < BENCH_AUTHORS; author++) {
		const uint64_t *path_us = graph_shortest(&h.graph, author, 0);
		for (uint16_t node = 0; node < nodes; node++) {
			if (path_us[node] != UINT64_MAX && path_us[node] > diameter_us)
				diameter_us = path_us[node];
			for (uint8_t lane = 0; lane < PL_LANES; lane++)
				is_whole &= h.heads[((size_t)node * BENCH_AUTHORS + author) * PL_LANES + lane] == h.heads[((size_t)author * BENCH_AUTHORS + author) * PL_LANES + lane];
		}
	}
	const uint64_t missing = said_bytes[0] > said_bytes[1] ? said_bytes[0] : said_bytes[1];
	const double least_s = (double)missing / HEAL_RATE + 2 * (double)diameter_us / 1e6, took_s = (double)(h.last_us - h.healed_us) / 1e6;
	printf("\nheal: %u nodes in two halves for an hour; %.1f MB missing in each, links of 10 Mbit/s, the longest of the shortest paths %.0f ms\n"
	       "  all hold all %.1f s after the lines are back: %.2f x (missing bytes / rate of a link + longest path and back = %.1f s)%s\n"
	       "  %.1f million steps in %.0f s\n",
	       nodes, (double)missing / 1e6, (double)diameter_us / 1000, took_s, took_s / least_s, least_s, is_whole ? "" : "; NOT ALL HOLD ALL",
	       (double)result.steps / 1e6, bench_seconds() - since);
	fflush(stdout);
	graph_free(&h.graph);
	sim_plan_free(&plan);
	free(h.heads);
}
