/* A plan as text: one that has failed once is kept so, and read by people. A line is a word and what belongs to it:
 *
 *   parley-sim 1
 *   seed 17                       nodes 7 authors 7 degree 3        topology ring
 *   chaos_ms 60000 heal_ms 400000 crypto keyed-hash|real            receipts yes|no
 *   nodes_per_member N            quota_burst BYTES             flooder NODE                     prompt_from_ms MS prompt_slack_ms MS       where they are said at all
 *   anchored yes|no besieged yes|no                                of topology eclipse
 *   vice NODE NAME
 *   old NODE
 *   at MS ACT A [B] [key=value ...]       lane, kind, flags, bytes, count, ms, seed
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/limits.h"
#include "tests/sim/sim.h"

static const char *const act_names[SIM_ACTS] = {
	"submit", "cut", "heal", "reset", "clog", "loss", "flip", "duplicate", "reorder", "crash", "power", "stop", "full", "io-error", "slow-disk", "clock",
	"backup", "restore", "rot", "room",
};
static const char *const topology_names[SIM_TOPOLOGIES] = { "mesh", "ring", "star", "random", "choice", "eclipse" };
static const char *const vice_names[SIM_VICES] = { "honest", "withholds", "selects", "forks", "mute", "forges", "silent", "lies", "replays", "floods", "skewed", "slow" };

void sim_case_write(const struct sim_plan *plan, FILE *file)
{
	fprintf(file, "parley-sim 1\nseed %" PRIu64 "\nnodes %u authors %u degree %u\ntopology %s\n", plan->seed, plan->nodes, plan->authors, plan->degree,
	        topology_names[plan->topology]);
	fprintf(file, "chaos_ms %" PRIu64 " heal_ms %" PRIu64 " crypto %s receipts %s\n", plan->chaos_ms, plan->heal_ms,
	        plan->real_crypto ? "real" : "keyed-hash", plan->receipts ? "yes" : "no");
	if (plan->nodes_per_member)
		fprintf(file, "nodes_per_member %u\n", plan->nodes_per_member);
	if (plan->quota_burst)
		fprintf(file, "quota_burst %" PRIu32 "\n", plan->quota_burst);
	if (plan->flooder != SIM_NOBODY)
		fprintf(file, "flooder %u\n", plan->flooder);
	if (plan->prompt_slack_ms)
		fprintf(file, "prompt_from_ms %" PRIu64 " prompt_slack_ms %" PRIu64 "\n", plan->prompt_from_ms, plan->prompt_slack_ms);
	if (plan->topology == SIM_ECLIPSE)
		fprintf(file, "anchored %s besieged %s\n", plan->anchored ? "yes" : "no", plan->besieged ? "yes" : "no");
	for (size_t i = 0; i < sizeof(plan->vices); i++) {
		if (plan->vices[i] != SIM_HONEST)
			fprintf(file, "vice %zu %s\n", i, vice_names[plan->vices[i]]);
	}
	for (unsigned i = 0; i < 64; i++) {
		if (plan->old >> i & 1)
			fprintf(file, "old %u\n", i);
	}
	for (uint32_t i = 0; i < plan->acts_count; i++) {
		const struct sim_act *act = &plan->acts[i];
		fprintf(file, "at %" PRIu64 " %s %u %u", act->at_ms, act_names[act->type], act->a, act->b);
		if (act->type == SIM_ROOM)
			fprintf(file, " lane=%u bytes=%" PRIu32, act->lane, act->bytes);
		if (act->type == SIM_SUBMIT)
			fprintf(file, " lane=%u kind=%u flags=%u bytes=%" PRIu32, act->lane, act->kind, act->flags, act->bytes);
		if (act->count)
			fprintf(file, " count=%" PRIu32, act->count);
		if (act->ms)
			fprintf(file, " ms=%" PRId64, act->ms);
		fprintf(file, " seed=%" PRIu64 "\n", act->seed);
	}
}

static int name_find(const char *const *names, int count, const char *name)
{
	for (int i = 0; i < count; i++) {
		if (name && strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

static bool number_read(const char *text, int64_t least, uint64_t most, int64_t *out)
{
	char *end;

	if (!text || *text == '\0')
		return false;
	const bool negative = *text == '-';
	const uint64_t value = strtoull(negative ? text + 1 : text, &end, 10);
	*out = negative ? -(int64_t)value : (int64_t)value;
	return *end == '\0' && (negative ? *out >= least : value <= most);
}

static bool field_read(struct sim_act *act, char *field)
{
	char *value = strchr(field, '=');
	int64_t n;

	if (!value)
		return false;
	*value++ = '\0';
	if (strcmp(field, "ms") == 0) {
		if (!number_read(value, -86400000LL * 30, 86400000ULL * 30, &n))
			return false;
		act->ms = n;
	} else if (!number_read(value, 0, strcmp(field, "seed") == 0 ? UINT64_MAX : UINT32_MAX, &n)) {
		return false;
	} else if (strcmp(field, "lane") == 0) {
		act->lane = (uint8_t)n;
	} else if (strcmp(field, "kind") == 0) {
		act->kind = (uint8_t)n;
	} else if (strcmp(field, "flags") == 0) {
		act->flags = (uint8_t)n;
	} else if (strcmp(field, "bytes") == 0) {
		act->bytes = (uint32_t)n;
	} else if (strcmp(field, "count") == 0) {
		act->count = (uint32_t)n;
	} else if (strcmp(field, "seed") == 0) {
		act->seed = (uint64_t)n;
	} else {
		return false;
	}
	return act->lane <= 3 && act->bytes <= 1 << 20;
}

static bool act_read(struct sim_plan *plan, char **rest)
{
	struct sim_act act = { 0 };
	int64_t at_ms, a, b;
	const char *at = strtok_r(NULL, " \n", rest);
	const int type = name_find(act_names, SIM_ACTS, strtok_r(NULL, " \n", rest));

	if (!number_read(at, 0, 86400000ULL * 30, &at_ms) || type < 0 || !number_read(strtok_r(NULL, " \n", rest), 0, plan->nodes - 1u, &a) ||
	    !number_read(strtok_r(NULL, " \n", rest), 0, plan->nodes - 1u, &b))
		return false;
	act.at_ms = (uint64_t)at_ms;
	act.type = (enum sim_act_type)type;
	act.a = (uint16_t)a;
	act.b = (uint16_t)b;
	for (char *field; (field = strtok_r(NULL, " \n", rest));) {
		if (!field_read(&act, field))
			return false;
	}
	sim_plan_add(plan, &act);
	return true;
}

static bool word_read(struct sim_plan *plan, const char *word, const char *value)
{
	int64_t n;

	if (strcmp(word, "topology") == 0) {
		const int topology = name_find(topology_names, SIM_TOPOLOGIES, value);
		plan->topology = (enum sim_topology)(topology < 0 ? 0 : topology);
		return topology >= 0;
	}
	if (strcmp(word, "crypto") == 0) {
		plan->real_crypto = value && strcmp(value, "real") == 0;
		return value && (plan->real_crypto || strcmp(value, "keyed-hash") == 0);
	}
	bool *const flag = strcmp(word, "receipts") == 0 ? &plan->receipts : strcmp(word, "anchored") == 0 ? &plan->anchored
		: strcmp(word, "besieged") == 0 ? &plan->besieged : NULL;
	if (flag) {
		*flag = value && strcmp(value, "yes") == 0;
		return value && (*flag || strcmp(value, "no") == 0);
	}
	const bool counts_nodes = strcmp(word, "nodes") == 0 || strcmp(word, "authors") == 0 || strcmp(word, "degree") == 0;
	if (!number_read(value, 0, counts_nodes ? SIM_NODES_MAX : UINT64_MAX, &n))
		return false;
	if (strcmp(word, "seed") == 0)
		plan->seed = (uint64_t)n;
	else if (strcmp(word, "nodes") == 0)
		plan->nodes = (uint16_t)n;
	else if (strcmp(word, "authors") == 0)
		plan->authors = (uint16_t)n;
	else if (strcmp(word, "degree") == 0)
		plan->degree = (uint16_t)n;
	else if (strcmp(word, "nodes_per_member") == 0 && n <= PL_NODES_PER_MEMBER_MAX)
		plan->nodes_per_member = (uint16_t)n;
	else if (strcmp(word, "chaos_ms") == 0)
		plan->chaos_ms = (uint64_t)n;
	else if (strcmp(word, "heal_ms") == 0)
		plan->heal_ms = (uint64_t)n;
	else if (strcmp(word, "quota_burst") == 0)
		plan->quota_burst = (uint32_t)n;
	else if (strcmp(word, "flooder") == 0)
		plan->flooder = (uint16_t)n;
	else if (strcmp(word, "prompt_from_ms") == 0)
		plan->prompt_from_ms = (uint64_t)n;
	else if (strcmp(word, "prompt_slack_ms") == 0)
		plan->prompt_slack_ms = (uint64_t)n;
	else
		return false;
	return true;
}

static bool line_read(struct sim_plan *plan, char *line)
{
	char *rest;
	const char *word = strtok_r(line, " \n", &rest);

	if (!word || word[0] == '#')
		return true;
	if (strcmp(word, "at") == 0)
		return act_read(plan, &rest);
	if (strcmp(word, "vice") == 0) {
		int64_t node;
		const bool is_node = number_read(strtok_r(NULL, " \n", &rest), 0, sizeof(plan->vices) - 1, &node);
		const int vice = name_find(vice_names, SIM_VICES, strtok_r(NULL, " \n", &rest));
		if (!is_node || vice < 0)
			return false;
		plan->vices[node] = (uint8_t)vice;
		return true;
	}
	if (strcmp(word, "old") == 0) {
		int64_t node;
		if (!number_read(strtok_r(NULL, " \n", &rest), 0, 63, &node))
			return false;
		plan->old |= 1ull << node;
		return true;
	}
	for (; word; word = strtok_r(NULL, " \n", &rest)) {
		if (!word_read(plan, word, strtok_r(NULL, " \n", &rest)))
			return false;
	}
	return true;
}

bool sim_case_read(struct sim_plan *plan, FILE *file, char *why, size_t why_max)
{
	char line[512];
	unsigned number = 1;

	*plan = (struct sim_plan){ .flooder = SIM_NOBODY };
	if (!fgets(line, sizeof(line), file) || strcmp(line, "parley-sim 1\n") != 0) {
		snprintf(why, why_max, "line 1: a case begins with \"parley-sim 1\"");
		return false;
	}
	while (fgets(line, sizeof(line), file)) {
		number++;
		if (!strchr(line, '\n') || !line_read(plan, line)) {
			snprintf(why, why_max, "line %u: this is not a line of a case", number);
			sim_plan_free(plan);
			return false;
		}
	}
	if (plan->nodes < 2 || plan->authors == 0 || plan->authors > plan->nodes || plan->heal_ms == 0) {
		snprintf(why, why_max, "a case needs nodes (2 or more), authors (1 or more of them) and heal_ms");
		sim_plan_free(plan);
		return false;
	}
	return true;
}
