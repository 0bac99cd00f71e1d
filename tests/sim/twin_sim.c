/* twin-sim: what honest members lose by hostile ones. The same network with the same work runs twice: with members that are as honest as the rest, and
 * with hostile ones in their place. Of what honest members say to each other, 99 % has to be on the other's disk within twice the time that 99 % took
 * undisturbed. Time is virtual: the same seeds give the same table everywhere.
 *
 *   twin_sim [--seeds A..B] [--flooders N]      1..1 and 2 if not said; exit code 1: some vice costs more than that
 *
 * To add a vice: a row of the table, and what it needs besides enum sim_vice in disturb().
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

#define NODES 20
#define FIRST_MS 8000   /* all links are up long before */
#define LAST_MS 50000
#define SEQ_MAX 40      /* of one lane of one author */
#define QUOTA_BURST 250000u /* of each author in lanes 0 and 1, and a 32nd of it a second */
#define OVER_TIMES 3    /* who is over quota says so many times as much */
#define LINE_BYTES_PER_S 1000000u
#define SLOW_BYTES_PER_S 2000u
#define WITHIN 2        /* times the undisturbed 99th percentile */
#define KEPT_PPM 990000u

enum class { FLASH, MESSAGE, CLASSES };
static const char *const class_names[CLASSES] = { "FLASH", "lane 1" };

enum besides { NOTHING, LATER, WITHIN_QUOTA, OVER_QUOTA, MINUTES_OFF, DAYS_OFF, SLOW };

static const struct row {
	const char *what;
	enum sim_vice vice;
	enum besides besides;
} rows[] = {
	{ "withhold", SIM_WITHHOLDS, NOTHING },
	{ "withhold, from the middle on", SIM_WITHHOLDS, LATER },
	{ "withhold one author's", SIM_SELECTS, NOTHING },
	{ "HELLO and no more", SIM_SILENT, NOTHING },
	{ "name heads that they have not", SIM_LIES, NOTHING },
	{ "acknowledge nothing", SIM_MUTE, NOTHING },
	{ "forge", SIM_FORGES, NOTHING },
	{ "replay", SIM_REPLAYS, NOTHING },
	{ "some flood, within quota", SIM_FLOODS, WITHIN_QUOTA },
	{ "some flood, over quota", SIM_FLOODS, OVER_QUOTA },
	{ "clock 9 minutes off", SIM_SKEWED, MINUTES_OFF },
	{ "clock a day off", SIM_SKEWED, DAYS_OFF },
	{ "lines of 2 kB/s, slow disks", SIM_SLOW, SLOW },
};
#define ROWS (sizeof(rows) / sizeof(*rows))

struct twin {
	bool hangs_together; /* the honest, without the others */
	uint64_t said_us[NODES][PL_LANES][SEQ_MAX + 1];
	uint64_t got_us[NODES][NODES][PL_LANES][SEQ_MAX + 1]; /* [node][author] */
};

static bool is_hostile(uint16_t node) { return node % 3 == 2; }

static void on_durable(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	struct twin *t = ctx;

	if (is_hostile(author) || seq > SEQ_MAX)
		return;
	if (node == author)
		t->said_us[author][lane][seq] = us;
	else if (t->got_us[node][author][lane][seq] == 0)
		t->got_us[node][author][lane][seq] = us;
}

static void on_started(void *ctx, const struct sim *sim)
{
	struct twin *t = ctx;
	bool reached[NODES] = { true };

	for (int turns = 0; turns < NODES; turns++) {
		for (uint16_t a = 0; a < NODES; a++) {
			for (uint16_t k = 0; k < sim->nodes[a].dial_to_count; k++) {
				const uint16_t b = sim->nodes[a].peers[sim->nodes[a].dial_to[k]];
				if (!is_hostile(a) && !is_hostile(b))
					reached[a] = reached[b] = reached[a] || reached[b];
			}
		}
	}
	t->hangs_together = true;
	for (uint16_t node = 0; node < NODES; node++)
		t->hangs_together &= reached[node] || is_hostile(node);
}

static struct sim_act message(struct rng *rng, uint16_t node, uint64_t at_ms, bool is_flash, uint32_t bytes)
{
	return (struct sim_act){ .at_ms = at_ms, .type = SIM_SUBMIT, .a = node, .lane = is_flash ? 0 : 1, .kind = PL_KIND_MESSAGE,
	                         .flags = is_flash ? PL_FLAG_FLASH : 0, .bytes = bytes, .count = 1, .seed = rng_next(rng) };
}

/* A network in which each dials three, and what the honest say. */
static void plan_make(struct sim_plan *plan, uint64_t seed)
{
	struct rng rng = rng_stream(seed, 201, 0);

	*plan = (struct sim_plan){ .seed = seed, .nodes = NODES, .authors = NODES, .degree = 3, .topology = SIM_RANDOM, .chaos_ms = LAST_MS + 5000,
	                           .heal_ms = 60000, .flooder = SIM_NOBODY, .quota_burst = QUOTA_BURST };
	for (uint32_t i = 0; i < NODES * NODES; i++) {
		const struct sim_act line = { .type = SIM_CLOG, .a = (uint16_t)(i / NODES), .b = (uint16_t)(i % NODES), .count = LINE_BYTES_PER_S };
		sim_plan_add(plan, &line);
	}
	for (uint16_t node = 0; node < NODES; node++) {
		for (uint64_t at_ms = FIRST_MS + rng_below(&rng, 4000); at_ms < LAST_MS && !is_hostile(node); at_ms += rng_between(&rng, 1000, 6000)) {
			const bool is_flash = rng_chance(&rng, 300000);
			const struct sim_act act = message(&rng, node, at_ms, is_flash, (uint32_t)rng_between(&rng, 6900, is_flash ? 9000 : 21300));
			sim_plan_add(plan, &act);
		}
	}
}

/* As much as may be signed, or several times as much, in each lane; FLASH among it. */
static void flood(struct sim_plan *plan, struct rng *rng, uint16_t node, uint32_t times)
{
	for (uint64_t at_ms = FIRST_MS; at_ms < LAST_MS; at_ms += 1000) {
		const uint32_t bytes = at_ms == FIRST_MS ? QUOTA_BURST : QUOTA_BURST / 32;
		struct sim_act act = message(rng, node, at_ms, false, 12000);
		act.count = bytes / act.bytes * times + 1;
		sim_plan_add(plan, &act);
		act.lane = 0;
		act.seed = rng_next(rng);
		sim_plan_add(plan, &act);
		act.lane = 2;
		act.kind = PL_KIND_INDICATORS;
		act.seed = rng_next(rng);
		sim_plan_add(plan, &act);
		act = message(rng, node, at_ms + 1, true, 8000);
		act.count = (at_ms == FIRST_MS ? PL_FLASH_BURST : at_ms % 6000 == 0) * times;
		sim_plan_add(plan, &act);
	}
}

static void disturb(struct sim_plan *plan, const struct row *row, unsigned flooders)
{
	struct rng rng = rng_stream(plan->seed, 202, 0);

	plan->withhold_from_ms = row->besides == LATER ? (FIRST_MS + LAST_MS) / 2 : 0;
	for (uint16_t node = 0; node < NODES; node++) {
		struct sim_act act = { .type = row->besides == SLOW ? SIM_SLOW_DISK : SIM_CLOCK, .a = node, .ms = LAST_MS };
		if (!is_hostile(node))
			continue;
		if (row->vice == SIM_FLOODS && flooders-- == 0)
			break;
		plan->vices[node] = (uint8_t)row->vice;
		switch (row->besides) {
		case NOTHING:
		case LATER: break;
		case WITHIN_QUOTA: flood(plan, &rng, node, 1); break;
		case OVER_QUOTA: flood(plan, &rng, node, OVER_TIMES); break;
		case MINUTES_OFF:
		case DAYS_OFF:
			act.ms = (row->besides == DAYS_OFF ? 86400000 : 540000) * (node % 2 == 0 ? 1 : -1);
			sim_plan_add(plan, &act);
			break;
		case SLOW:
			sim_plan_add(plan, &act);
			for (act.b = 0; act.b < NODES; act.b++) {
				struct sim_act way = { .type = SIM_CLOG, .a = node, .b = act.b, .count = SLOW_BYTES_PER_S }, back = way;
				back.a = act.b;
				back.b = node;
				sim_plan_add(plan, &way);
				sim_plan_add(plan, &back);
			}
			break;
		}
	}
}

static bool run(const struct sim_plan *plan, struct twin *t, const char *what)
{
	const struct sim_observer observer = { .ctx = t, .durable = on_durable, .started = on_started };
	const struct sim_options options = { .observer = &observer, .watch = true };
	struct sim_result result;

	memset(t, 0, sizeof(*t));
	sim_run(plan, &options, &result);
	if (result.failed)
		printf("FAILED: seed %" PRIu64 ", %s: %s: %s\n", plan->seed, what, result.invariant, result.detail);
	return !result.failed;
}

/* --- what it took --- */

struct times {
	uint64_t *us;
	size_t count, wanted, within; /* wanted: said, times those who are to have it; within: of the bound */
};

static int by_size(const void *a, const void *b)
{
	const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static uint64_t quantile_us(struct times *times, unsigned percent)
{
	qsort(times->us, times->count, sizeof(*times->us), by_size);
	return times->count > 0 ? times->us[(times->count - 1) * percent / 100] : 0;
}

/* FLASH is what the plan says is one: in lane 0 the honest say nothing else. */
static void collect(const struct twin *t, enum class class, uint64_t bound_us, struct times *out)
{
	const uint8_t lane = class == FLASH ? 0 : 1;

	for (uint16_t author = 0; author < NODES; author++) {
		for (uint64_t seq = 1; seq <= SEQ_MAX && t->said_us[author][lane][seq] > 0; seq++) {
			for (uint16_t node = 0; node < NODES; node++) {
				const uint64_t got_us = t->got_us[node][author][lane][seq], took_us = got_us - t->said_us[author][lane][seq];
				if (node == author || is_hostile(node))
					continue;
				out->wanted++;
				out->within += got_us > 0 && took_us <= bound_us;
				if (got_us > 0)
					out->us[out->count++] = took_us;
			}
		}
	}
}

int main(int argc, char **argv)
{
	static struct twin calm, disturbed;
	static struct times times[ROWS + 1][CLASSES]; /* the last row: undisturbed */
	uint64_t first = 1, last = 1;
	unsigned flooders = 2;
	bool held = true;

	for (int i = 1; i < argc; i += 2) {
		const bool is_seeds = strcmp(argv[i], "--seeds") == 0, is_flooders = strcmp(argv[i], "--flooders") == 0;
		if (i + 1 == argc || !(is_seeds ? sscanf(argv[i + 1], "%" SCNu64 "..%" SCNu64, &first, &last) == 2 && first <= last && last - first < 1000
				: is_flooders && sscanf(argv[i + 1], "%u", &flooders) == 1 && flooders > 0 && flooders <= NODES / 3)) {
			fprintf(stderr, "twin_sim [--seeds A..B] [--flooders 1..%d]\n", NODES / 3);
			return 2;
		}
	}
	if (getenv("PARLEY_TEST_SHORT")) {
		printf("SKIP: twin_sim: it finds the same in every build\n");
		return 77;
	}
	for (size_t i = 0; i <= ROWS; i++) {
		for (int class = 0; class < CLASSES; class++) {
			times[i][class].us = malloc((last - first + 1) * NODES * NODES * SEQ_MAX * sizeof(uint64_t));
			assert(times[i][class].us);
		}
	}
	for (uint64_t seed = first; seed <= last; seed++) {
		uint64_t bound_us[CLASSES];
		struct sim_plan plan;
		plan_make(&plan, seed);
		held &= run(&plan, &calm, "undisturbed");
		if (!calm.hangs_together) { /* nobody could keep what has no way */
			sim_plan_free(&plan);
			continue;
		}
		for (int class = 0; class < CLASSES; class++) {
			struct times one = { .us = times[0][class].us + times[0][class].count };
			collect(&calm, (enum class)class, UINT64_MAX, &times[ROWS][class]);
			collect(&calm, (enum class)class, UINT64_MAX, &one);
			bound_us[class] = WITHIN * quantile_us(&one, 99);
		}
		for (size_t i = 0; i < ROWS; i++) {
			struct sim_plan other;
			sim_plan_copy(&other, &plan);
			disturb(&other, &rows[i], flooders);
			held &= run(&other, &disturbed, rows[i].what);
			for (int class = 0; class < CLASSES; class++)
				collect(&disturbed, (enum class)class, bound_us[class], &times[i][class]);
			sim_plan_free(&other);
		}
		sim_plan_free(&plan);
	}
	if (times[ROWS][FLASH].count == 0) {
		fprintf(stderr, "twin_sim: in none of these networks the honest hang together without the others\n");
		return 2;
	}
	printf("| %u of %u members | class | p50 ms | p99 ms | kept %% | in time %% |\n| --- | --- | --- | --- | --- | --- |\n", NODES / 3, NODES);
	for (size_t k = 0; k <= ROWS; k++) {
		const size_t i = k == 0 ? ROWS : k - 1;
		for (int class = 0; class < CLASSES; class++) {
			struct times *t = &times[i][class];
			const bool is_enough = i == ROWS || t->within * 1000000 >= t->wanted * (uint64_t)KEPT_PPM;
			const uint64_t p50_us = quantile_us(t, 50), p99_us = quantile_us(t, 99);
			printf("| %s | %s | %.0f | %.0f | %.2f | %.2f |%s\n", i == ROWS ? "are as the others" : rows[i].what, class_names[class], (double)p50_us / 1000,
			       (double)p99_us / 1000, 100 * (double)t->count / (double)t->wanted, 100 * (double)t->within / (double)t->wanted,
			       is_enough ? "" : " NOT ENOUGH");
			held &= is_enough;
		}
	}
	for (size_t i = 0; i <= ROWS; i++) {
		for (int class = 0; class < CLASSES; class++)
			free(times[i][class].us);
	}
	return held ? 0 : 1;
}
