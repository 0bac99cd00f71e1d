/* Plans, drawn from a seed: a network, what people do in it, what goes wrong. Each kind of fault has a stream of its own, and is there or not. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/entry.h"
#include "tests/sim/rng.h"
#include "tests/sim/sim.h"

enum { RNG_SHAPE = 101, RNG_PEOPLE, RNG_CUTS, RNG_WIRE, RNG_CRASHES, RNG_DISKS, RNG_CLOCKS, RNG_COPIES, RNG_VICES, RNG_LINES, RNG_FLOOD, RNG_FORK, RNG_ROT, RNG_ROOM, RNG_RESETS, RNG_FULL,
       RNG_VERSIONS, RNG_ECLIPSE, RNG_REPLAYS, RNG_FORK_CRASHES, RNG_GLUT };

enum fault {
	CUTS = 1, WIRE = 2, CRASHES = 4, DISKS = 8, CLOCKS = 16, COPIES = 32, ALL = 63,
	HOSTILE = 64, THIN = 128, EARLY = 256, HOURS = 512, FLOOD = 1024, FORK = 2048, ROT = 4096, ROOM = 8192, RESETS = 16384, PROMPT = 32768, FULL = 65536,
	ECLIPSE = 131072, GLUT = 262144,
};

static const struct scenario {
	const char *name, *what;
	unsigned faults; /* where ALL stand here, each of them is drawn for half of the seeds */
} scenarios[] = {
	{ "crisis", "what a bad month brings, in two minutes: lines cut and clogged, machines and disks that fail, clocks that jump, old copies put back", ALL },
	{ "calm", "nothing goes wrong, and everything has to be prompt", PROMPT },
	{ "cuts", "lines are cut, both ways and one way", CUTS },
	{ "wire", "what passes is late, doubled, swapped, changed", WIRE },
	{ "crashes", "processes end and machines lose power", CRASHES },
	{ "disks", "disks are full, slow, broken", DISKS | CRASHES },
	{ "hostile", "members withhold, select, acknowledge nothing, forge", ALL | HOSTILE },
	{ "thin", "lines of a few hundred kbit/s, much bulk; FLASH has to be prompt", THIN | PROMPT },
	{ "lull", "much goes wrong, then nothing: then everything has to be prompt again", CUTS | WIRE | CRASHES | DISKS | EARLY | PROMPT },
	{ "resets", "connections break all the time, and come back", RESETS | PROMPT },
	{ "hours", "two hours, in which little is said", HOURS },
	{ "flood", "one says more than its quota", FLOOD },
	{ "forks", "one has two branches, in a network that is divided", FORK },
	{ "copies", "old copies of disks are put back", COPIES | CRASHES },
	{ "rot", "disks change what they hold, and some forge what is to replace it", WIRE | CRASHES | ROT },
	{ "full", "disks take nothing for a while, and all is there again at once when they do", FULL },
	{ "eclipse", "a node boots among neighbours of which all but one are hostile", ECLIPSE },
	{ "glut", "more bulk than disks and members' shares of them hold", CRASHES | GLUT },
	{ "room", "disks have no room for some lanes", CRASHES | ROOM },
};

bool sim_plan_scenario(size_t n, const char **name, const char **what)
{
	if (n >= sizeof(scenarios) / sizeof(*scenarios))
		return false;
	*name = scenarios[n].name;
	*what = scenarios[n].what;
	return true;
}

void sim_plan_add(struct sim_plan *plan, const struct sim_act *act)
{
	if (plan->acts_count == plan->acts_max) {
		plan->acts_max = plan->acts_max ? 2 * plan->acts_max : 64;
		plan->acts = realloc(plan->acts, plan->acts_max * sizeof(*plan->acts));
		assert(plan->acts);
	}
	plan->acts[plan->acts_count++] = *act;
}

void sim_plan_copy(struct sim_plan *to, const struct sim_plan *from)
{
	*to = *from;
	to->acts = malloc((from->acts_count + 1) * sizeof(*to->acts));
	assert(to->acts);
	if (from->acts_count > 0)
		memcpy(to->acts, from->acts, from->acts_count * sizeof(*to->acts));
	to->acts_max = from->acts_count + 1;
}

void sim_plan_free(struct sim_plan *plan)
{
	free(plan->acts);
	plan->acts = NULL;
	plan->acts_count = plan->acts_max = 0;
}

/* --- what people do --- */

struct habit {
	uint32_t share; /* of a hundred */
	uint8_t lane, kind, flags;
	uint32_t bytes_min, bytes_max, count_max;
};

/* Sizes are those of envelopes and of sealed items. */
static const struct habit habits[] = {
	{ 50, 1, PL_KIND_MESSAGE, 0, 6900, 21300, 1 },
	{ 12, 0, PL_KIND_MESSAGE, PL_FLAG_FLASH, 6900, 9000, 1 },
	{ 12, 0, PL_KIND_MESSAGE, 0, 6900, 9000, 2 },
	{ 6, 1, PL_KIND_CHANNEL, 0, 6900, 6900, 1 },
	{ 12, 2, PL_KIND_INDICATORS, 0, 700, 60000, 12 },
	{ 8, 2, PL_KIND_ATTACHMENT, 0, 49192, 49192, 10 },
};

static void person_draw(struct sim_plan *plan, uint16_t node, uint64_t night_from_ms, uint64_t night_to_ms)
{
	struct rng rng = rng_stream(plan->seed, RNG_PEOPLE, node);
	const uint64_t pause_ms = rng_between(&rng, 2000, 20000) * (plan->chaos_ms > 3600000 ? 100 : 1);
	struct sim_act key = { .at_ms = 20, .type = SIM_SUBMIT, .a = node, .lane = 0, .kind = PL_KIND_EPOCH_KEY, .bytes = 1240, .count = 1, .seed = rng_next(&rng) };

	sim_plan_add(plan, &key);
	for (uint64_t at_ms = rng_below(&rng, pause_ms); at_ms < plan->chaos_ms; at_ms += rng_between(&rng, pause_ms / 4, 2 * pause_ms)) {
		uint32_t share = (uint32_t)rng_below(&rng, 100), i = 0;
		while (share >= habits[i].share)
			share -= habits[i++].share;
		const struct habit *habit = &habits[i];
		const struct sim_act act = { .at_ms = at_ms, .type = SIM_SUBMIT, .a = node, .lane = habit->lane, .kind = habit->kind, .flags = habit->flags,
		                             .bytes = (uint32_t)rng_between(&rng, habit->bytes_min, habit->bytes_max),
		                             .count = (uint32_t)rng_between(&rng, 1, habit->count_max), .seed = rng_next(&rng) };
		if (at_ms < night_from_ms || at_ms >= night_to_ms)
			sim_plan_add(plan, &act);
	}
}

/* --- what goes wrong --- */

static struct sim_act act_at(struct rng *rng, const struct sim_plan *plan, enum sim_act_type type)
{
	return (struct sim_act){ .at_ms = rng_below(rng, plan->chaos_ms), .type = type, .a = (uint16_t)rng_below(rng, plan->nodes), .seed = rng_next(rng) };
}

static void pair_draw(struct rng *rng, const struct sim_plan *plan, struct sim_act *act)
{
	act->b = (uint16_t)((act->a + 1 + rng_below(rng, plan->nodes - 1u)) % plan->nodes);
}

static void swap_ends(struct sim_act *act)
{
	const uint16_t a = act->a;

	act->a = act->b;
	act->b = a;
}

/* Half of the cuts are of one direction. Some divide the network in two. */
static void cuts_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_CUTS, 0);

	for (uint64_t n = rng_between(&rng, 1, 2u * plan->nodes); n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, SIM_CUT), again;
		const uint64_t lasts_ms = rng_between(&rng, 100, rng_chance(&rng, 300000) ? 60000 : 5000);
		const bool both = rng_chance(&rng, 500000), breaks = rng_chance(&rng, 300000);
		const bool divides = rng_chance(&rng, 150000);
		const uint64_t side = rng_next(&rng);
		pair_draw(&rng, plan, &act);
		for (uint16_t a = 0; a < plan->nodes; a++) {
			for (uint16_t b = 0; b < plan->nodes; b++) {
				if (divides ? (side >> (a & 63) & 1) == (side >> (b & 63) & 1) || a == b : a != act.a || b != act.b)
					continue;
				again = act;
				again.a = a;
				again.b = b;
				for (int way = 0; way < (both && !divides ? 2 : 1); way++, swap_ends(&again)) {
					again.type = SIM_CUT;
					again.at_ms = act.at_ms;
					sim_plan_add(plan, &again);
					again.type = SIM_HEAL;
					again.at_ms = act.at_ms + lasts_ms;
					sim_plan_add(plan, &again);
				}
				again.type = SIM_RESET;
				again.at_ms = act.at_ms;
				if (breaks)
					sim_plan_add(plan, &again);
			}
		}
	}
}

static void wire_draw(struct sim_plan *plan)
{
	static const enum sim_act_type types[] = { SIM_CLOG, SIM_LOSS, SIM_FLIP, SIM_DUPLICATE, SIM_REORDER, SIM_RESET };
	static const uint32_t most[] = { 200000, 300000, 10000, 20000, 20000, 1 };
	struct rng rng = rng_stream(plan->seed, RNG_WIRE, 0);

	for (uint64_t n = rng_between(&rng, 1, 3u * plan->nodes); n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, SIM_LOSS);
		const uint64_t kind = rng_below(&rng, sizeof(types) / sizeof(*types)), lasts_ms = rng_between(&rng, 500, 20000);
		const uint64_t scale = rng_below(&rng, 10);
		pair_draw(&rng, plan, &act);
		act.type = types[kind];
		act.count = (uint32_t)(most[kind] >> scale);
		if (act.type == SIM_CLOG && act.count < 2000)
			act.count = 2000;
		sim_plan_add(plan, &act);
		act.count = 0;
		act.at_ms += lasts_ms;
		if (act.type != SIM_RESET)
			sim_plan_add(plan, &act);
	}
}

static void mishaps_draw(struct sim_plan *plan, uint64_t purpose, const enum sim_act_type *types, size_t types_count, uint64_t n_max, int64_t ms_min,
                         int64_t ms_max)
{
	struct rng rng = rng_stream(plan->seed, purpose, 0);

	for (uint64_t n = rng_between(&rng, 1, n_max); n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, types[rng_below(&rng, types_count)]);
		act.ms = ms_min + (int64_t)rng_below(&rng, (uint64_t)(ms_max - ms_min + 1));
		sim_plan_add(plan, &act);
	}
}

static void copies_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_COPIES, 0);
	struct sim_act act = act_at(&rng, plan, SIM_BACKUP);

	sim_plan_add(plan, &act);
	act.type = SIM_RESTORE;
	act.at_ms += rng_below(&rng, plan->chaos_ms - act.at_ms);
	sim_plan_add(plan, &act);
}

static void vices_draw(struct sim_plan *plan)
{
	static const enum sim_vice vices[] = { SIM_WITHHOLDS, SIM_SELECTS, SIM_MUTE, SIM_FORGES };
	struct rng rng = rng_stream(plan->seed, RNG_VICES, 0);

	for (uint64_t n = rng_between(&rng, 1, (plan->nodes - 1u) / 3); n > 0; n--)
		plan->vices[rng_below(&rng, plan->nodes < 64 ? plan->nodes : 64)] = (uint8_t)vices[rng_below(&rng, sizeof(vices) / sizeof(*vices))];
	plan->topology = SIM_MESH; /* a withholder may stand between two others and everybody else */
}

/* Of every third seed one more member says again what it has said before; not who forks. */
static void replays_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_REPLAYS, 0);
	uint8_t *vice = &plan->vices[rng_below(&rng, plan->nodes < 64 ? plan->nodes : 64)];

	if (!rng_chance(&rng, 333333) || *vice == SIM_FORKS)
		return;
	*vice = SIM_REPLAYS;
	plan->topology = SIM_MESH;
}

/* All lines are as thin as one another, and somebody imports or attaches something all the time. */
static void lines_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_LINES, 0);
	const uint32_t rate = (uint32_t)rng_between(&rng, 40000, 200000);

	for (uint16_t a = 0; a < plan->nodes; a++) {
		for (uint16_t b = 0; b < plan->nodes; b++) {
			const struct sim_act act = { .type = SIM_CLOG, .a = a, .b = b, .count = rate };
			if (a != b)
				sim_plan_add(plan, &act);
		}
	}
	for (uint64_t n = plan->chaos_ms / 15000; n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, SIM_SUBMIT);
		act.lane = 2;
		act.kind = PL_KIND_ATTACHMENT;
		act.bytes = 49192;
		act.count = 8;
		sim_plan_add(plan, &act);
	}
	plan->prompt_slack_ms = 200000000 / rate; /* two records and as many bytes of other FLASH entries as may come together */
}

static void resets_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_RESETS, 0);

	for (uint64_t n = plan->chaos_ms / 400; n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, SIM_RESET);
		pair_draw(&rng, plan, &act);
		sim_plan_add(plan, &act);
	}
	plan->prompt_slack_ms = 8000;
}

static void flood_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_FLOOD, 0);

	plan->heal_ms = 400000; /* what is over quota comes as the bucket fills, and that takes half a minute for each burst */
	plan->quota_burst = (uint32_t)rng_between(&rng, 150000, 500000);
	plan->flooder = (uint16_t)rng_below(&rng, plan->nodes);
	for (uint64_t n = rng_between(&rng, 5, 20); n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, SIM_SUBMIT);
		act.a = plan->flooder;
		act.lane = (uint8_t)rng_below(&rng, 2);
		act.kind = PL_KIND_MESSAGE;
		act.bytes = (uint32_t)rng_between(&rng, 5000, 20000);
		act.count = (uint32_t)rng_between(&rng, 1, plan->quota_burst / 2 / act.bytes);
		sim_plan_add(plan, &act);
	}
}

/* The network is divided, the forker first on one side and then, with the copy of its disk from before, on the other; or it is not. */
static void fork_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_FORK, 0);
	const uint16_t forker = (uint16_t)rng_below(&rng, plan->nodes);
	const uint64_t third_ms = plan->chaos_ms / 3, side = rng_next(&rng) & ~(1ull << forker);
	struct sim_act act = { .at_ms = third_ms, .type = SIM_BACKUP, .a = forker, .seed = rng_next(&rng) };

	plan->vices[forker] = SIM_FORKS;
	sim_plan_add(plan, &act);
	act.type = SIM_RESTORE;
	act.at_ms = 2 * third_ms;
	sim_plan_add(plan, &act);
	if (rng_chance(&rng, 250000))
		return;
	for (uint16_t a = 0; a < plan->nodes; a++) {
		for (uint16_t b = 0; b < plan->nodes; b++) {
			const uint16_t other = a == forker ? b : a;
			const bool is_of_forker = a == forker || b == forker, is_second = side >> (other & 63) & 1;
			if (a == b || (!is_of_forker && (side >> (a & 63) & 1) == (side >> (b & 63) & 1)))
				continue;
			act = (struct sim_act){ .type = SIM_CUT, .a = a, .b = b, .seed = rng_next(&rng) };
			act.at_ms = is_of_forker && !is_second ? 2 * third_ms : third_ms;
			sim_plan_add(plan, &act);
			act.type = SIM_HEAL;
			act.at_ms = is_of_forker && is_second ? 2 * third_ms : plan->chaos_ms - 1;
			sim_plan_add(plan, &act);
		}
	}
}

/* In half of the seeds others come back from a crash with what they know of it. */
static void fork_crashes_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_FORK_CRASHES, 0);

	for (uint64_t n = rng_chance(&rng, 500000) ? plan->nodes : 0; n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, rng_chance(&rng, 500000) ? SIM_CRASH : SIM_POWER);
		act.at_ms = plan->chaos_ms / 3 + rng_below(&rng, plan->chaos_ms * 2 / 3);
		act.ms = (int64_t)rng_between(&rng, 100, 5000);
		if (plan->vices[act.a & 63] != SIM_FORKS)
			sim_plan_add(plan, &act);
	}
}

static void rot_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_ROT, 0);

	for (uint64_t n = rng_between(&rng, 1, 10); n > 0; n--) {
		const struct sim_act act = act_at(&rng, plan, SIM_ROT);
		sim_plan_add(plan, &act);
	}
	if (rng_chance(&rng, 500000)) {
		plan->vices[rng_below(&rng, plan->nodes)] = SIM_FORGES;
		plan->topology = SIM_MESH;
	}
}

static void room_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_ROOM, 0);

	for (uint64_t n = rng_between(&rng, 1, plan->nodes); n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, SIM_ROOM);
		act.lane = (uint8_t)rng_below(&rng, 3);
		act.ms = (int64_t)rng_between(&rng, 1000, 30000);
		sim_plan_add(plan, &act);
	}
}

#define STALL 1000
#define STALL_BYTES 8000000u

/* Imports of megabytes, while some disks are slow and some keep little of each member; members have two nodes, if there is one node more. */
static void glut_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_GLUT, 0);

	plan->nodes_per_member = (uint16_t)rng_between(&rng, 1, 2);
	struct sim_act stall = act_at(&rng, plan, SIM_SLOW_DISK); /* for longer than the first import takes on its way */
	stall.ms = 30000;
	stall.count = STALL;
	sim_plan_add(plan, &stall);
	for (uint64_t n = rng_between(&rng, 2, 4); n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, SIM_SUBMIT);
		act.lane = 2;
		act.kind = PL_KIND_INDICATORS;
		act.bytes = (uint32_t)rng_between(&rng, 20000, 60000);
		act.count = (uint32_t)rng_between(&rng, 500000, 2000000) / act.bytes;
		if (stall.count > 0) {
			act.at_ms = stall.at_ms + 100;
			act.count = STALL_BYTES / act.bytes;
		}
		stall.count = 0;
		sim_plan_add(plan, &act);
	}
	for (uint64_t n = rng_between(&rng, 2, 2u * plan->nodes); n > 0; n--) {
		struct sim_act act = act_at(&rng, plan, rng_chance(&rng, 500000) ? SIM_SLOW_DISK : SIM_ROOM);
		act.ms = (int64_t)rng_between(&rng, 2000, 30000);
		if (act.type == SIM_ROOM) {
			act.lane = PL_LANES;
			act.bytes = (uint32_t)rng_between(&rng, 10000, 1000000);
		}
		sim_plan_add(plan, &act);
	}
}

#define ECLIPSE_NODES 40
#define ECLIPSE_LOOK_MS 90000 /* about a minute, at most */
#define ECLIPSE_ASK_MS 3000   /* one that claims to have bulk is waited for so long, PL_WANT_MS_MAX */

/* Node 0 comes up when the others have been there for a while. Of those that it could dial one is honest; of those that the others can dial most are
 * not. It hears of everything when it has looked at all that it could dial. */
static void eclipse_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_ECLIPSE, 0);
	const uint16_t honest = (uint16_t)rng_between(&rng, 5, 8);
	static const enum sim_vice vices[] = { SIM_SILENT, SIM_LIES, SIM_WITHHOLDS };
	const uint64_t kind = rng_below(&rng, 4); /* the last: some of each */
	const struct sim_act late = { .at_ms = 1, .type = SIM_POWER, .ms = (int64_t)rng_between(&rng, 10000, 40000), .seed = rng_next(&rng) };

	plan->topology = SIM_ECLIPSE;
	plan->anchored = rng_chance(&rng, 250000);
	plan->besieged = rng_chance(&rng, 500000);
	for (uint16_t i = honest; i < plan->nodes; i++)
		plan->vices[i] = (uint8_t)vices[kind < 3 ? kind : rng_below(&rng, 3)];
	sim_plan_add(plan, &late);
	plan->heal_ms = (uint64_t)(plan->nodes - honest) * (plan->anchored ? ECLIPSE_ASK_MS : ECLIPSE_LOOK_MS);
	if (plan->anchored)
		plan->heal_ms += 60000;
	for (uint32_t i = plan->acts_count; i-- > 0;) { /* the hostile ones have nothing to say but their keys */
		if (plan->acts[i].a >= honest && plan->acts[i].kind != PL_KIND_EPOCH_KEY)
			plan->acts[i] = plan->acts[--plan->acts_count];
	}
}

/* In one seed in four about half of the nodes are of a version that knows no tags. */
static void versions_draw(struct sim_plan *plan)
{
	struct rng rng = rng_stream(plan->seed, RNG_VERSIONS, 0);

	if (rng_chance(&rng, 250000))
		plan->old = rng_next(&rng) & (plan->nodes < 64 ? (1ull << plan->nodes) - 1 : UINT64_MAX);
}

/* What goes wrong has gone wrong by then. */
static void end_early(struct sim_plan *plan, uint64_t end_ms)
{
	for (uint32_t i = 0; i < plan->acts_count; i++) {
		struct sim_act *act = &plan->acts[i];
		const bool is_end = act->type == SIM_HEAL || (act->type >= SIM_CLOG && act->type <= SIM_REORDER && act->count == 0);
		if (act->type != SIM_SUBMIT && act->at_ms > end_ms)
			act->at_ms = end_ms + is_end;
	}
}

static int by_time(const void *a, const void *b)
{
	const struct sim_act *x = a, *y = b;

	if (x->at_ms != y->at_ms)
		return x->at_ms < y->at_ms ? -1 : 1;
	return x->seed < y->seed ? -1 : x->seed > y->seed;
}

bool sim_plan_draw(struct sim_plan *plan, const char *name, uint64_t seed, uint16_t nodes)
{
	static const enum sim_act_type ends[] = { SIM_CRASH, SIM_POWER, SIM_STOP }, disks[] = { SIM_FULL, SIM_IO_ERROR, SIM_SLOW_DISK },
	                               clocks[] = { SIM_CLOCK }, fulls[] = { SIM_FULL };
	const struct scenario *scenario = NULL;
	struct rng rng = rng_stream(seed, RNG_SHAPE, 0);

	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++) {
		if (strcmp(name, scenarios[i].name) == 0)
			scenario = &scenarios[i];
	}
	if (!scenario)
		return false;
	if ((scenario->faults & ECLIPSE) && nodes < ECLIPSE_NODES)
		nodes = ECLIPSE_NODES;
	*plan = (struct sim_plan){ .seed = seed, .nodes = nodes, .authors = nodes, .degree = 3, .heal_ms = 60000, .receipts = true, .flooder = SIM_NOBODY };
	plan->topology = (enum sim_topology)rng_below(&rng, SIM_CHOICE);
	if (nodes > 32 && rng_chance(&rng, 500000))
		plan->topology = SIM_CHOICE;
	plan->chaos_ms = rng_between(&rng, 20000, 120000);
	plan->real_crypto = rng_below(&rng, 16) == 0;
	const unsigned faults = scenario->faults & ((unsigned)rng_next(&rng) | ((scenario->faults & ALL) == ALL ? ~(unsigned)ALL : ~0u));
	const bool has_night = rng_chance(&rng, 250000);
	const uint64_t night_ms = rng_below(&rng, plan->chaos_ms / 2);
	if (faults & HOURS)
		plan->chaos_ms = 8000000;
	if (faults & EARLY)
		plan->chaos_ms = 130000;
	if (faults & ECLIPSE)
		plan->chaos_ms /= 2;
	for (uint16_t i = 0; i < nodes; i++)
		person_draw(plan, i, has_night ? night_ms : UINT64_MAX, night_ms + plan->chaos_ms / 2);
	if (faults & CUTS)
		cuts_draw(plan);
	if (faults & WIRE)
		wire_draw(plan);
	if (faults & CRASHES)
		mishaps_draw(plan, RNG_CRASHES, ends, 3, 2u * nodes, 100, 20000);
	if (faults & DISKS)
		mishaps_draw(plan, RNG_DISKS, disks, 3, nodes, 200, 10000);
	if (faults & CLOCKS)
		mishaps_draw(plan, RNG_CLOCKS, clocks, 1, nodes, -86400000, 86400000);
	if (faults & COPIES)
		copies_draw(plan);
	if (faults & HOSTILE)
		vices_draw(plan);
	if (faults & HOSTILE)
		replays_draw(plan);
	if (faults & EARLY)
		end_early(plan, 40000);
	if (faults & PROMPT) {
		plan->prompt_from_ms = faults & EARLY ? 80000 : 5000;
		plan->prompt_slack_ms = faults & EARLY ? 600 : 250;
	}
	if (faults & THIN)
		lines_draw(plan);
	if (faults & RESETS)
		resets_draw(plan);
	if (faults & FLOOD)
		flood_draw(plan);
	if (faults & FORK)
		fork_draw(plan);
	if (faults & FORK)
		replays_draw(plan);
	if (faults & FORK)
		fork_crashes_draw(plan);
	if (faults & ROT)
		rot_draw(plan);
	if (faults & FULL) {
		mishaps_draw(plan, RNG_FULL, fulls, 1, 3u * nodes, 500, 30000);
		plan->heal_ms = 4000;
	}
	if (faults & ROOM)
		room_draw(plan);
	if (faults & ECLIPSE)
		eclipse_draw(plan);
	if (faults & GLUT)
		glut_draw(plan);
	versions_draw(plan);
	qsort(plan->acts, plan->acts_count, sizeof(*plan->acts), by_time);
	return true;
}
