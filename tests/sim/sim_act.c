/* What a plan has happen: what people do, and what befalls machines and lines. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

#define AGAIN_US 50000u     /* an entry that the engine has no room for now */
#define RECEIPT_BYTES 4800u /* an envelope of four slots and 2 KiB */
#define RESTART_MS 1000
#define STARTED_MS 20       /* before that nobody has said anything; who goes then is to come late */
#define STRIKE_US 5000000u  /* what is to strike within a commit waits for one so long */
#define SLOWER 50u

static void submit(struct sim *sim, const struct sim_act *act, uint32_t number, uint32_t done)
{
	struct sim_node *node = &sim->nodes[act->a];
	struct rng rng = rng_stream(act->seed, SIM_RNG_BODY, done);
	struct pl_event event = { .type = PL_EV_SUBMIT, .submit = { .lane = act->lane, .kind = act->kind, .flags = act->flags, .body_bytes = act->bytes } };

	if (!node->up || sim->healing)
		return;
	uint8_t *body = malloc(act->bytes + 8);
	assert(body);
	for (; done < act->count && !sim->stop; done++) {
		rng_bytes(&rng, body, act->bytes);
		event.submit.body = body;
		const enum pl_err err = authors_submit(sim, node, &event);
		if (err == PL_ERR_FULL && number != UINT32_MAX) {
			struct sim_event *again = sim_later(sim, sim->now_us + AGAIN_US, SIM_EV_ACT, NULL);
			again->act = number;
			again->done = done;
			break;
		}
		if (err != PL_OK) /* it has said why: an operator would try later */
			break;
	}
	free(body);
}

static void receipt(struct sim *sim, uint16_t node)
{
	const struct sim_act act = { .type = SIM_SUBMIT, .a = node, .lane = 1, .kind = PL_KIND_RECEIPTS, .bytes = RECEIPT_BYTES, .count = 1,
	                             .seed = rng_next(&sim->nodes[node].disk_rng) };

	submit(sim, &act, UINT32_MAX, 0);
}

static void restart(struct sim *sim, struct sim_node *node, int64_t ms)
{
	if (!node->up && !sim->stop)
		sim_later(sim, sim->now_us + (uint64_t)ms * 1000, SIM_EV_BOOT, node);
}

static void end(struct sim *sim, struct sim_node *node, const struct sim_act *act)
{
	if (!node->up)
		return;
	if (act->type == SIM_STOP) {
		struct pl_event event = { .type = PL_EV_DRAIN };
		(void)sim_step(sim, node, &event);
		node->config.whole_frontiers = false;
	}
	sim_disk_crash(sim, node, act->seed);
	if (sim->oracle)
		oracle_crashes(sim->oracle, node->index);
	sim_node_down(sim, node, act->type != SIM_POWER);
	sim->result->crashes++;
	restart(sim, node, act->ms);
}

static void back_up(struct sim *sim, struct sim_node *node)
{
	sim_disk_free(sim, &node->backup, node);
	sim_disk_copy(&node->backup, node);
	node->has_backup = true;
}

static void put_back(struct sim *sim, struct sim_node *node, const struct sim_act *act)
{
	const struct sim_act crash = { .type = SIM_CRASH, .ms = RESTART_MS, .seed = act->seed };

	if (!node->has_backup || !node->up)
		return;
	end(sim, node, &crash);
	if (!sim->stop)
		sim_disk_put_back(sim, node);
}

static void full(const struct sim *sim, struct sim_node *node, int64_t ms)
{
	if (!node->up || node->full)
		return;
	node->fails_until_us = sim->now_us + (uint64_t)ms * 1000;
}

/* --- what is to strike while a node writes: commits are short, and chance alone would hardly ever meet one --- */

static void strike_at(struct sim *sim, const struct sim_node *node, uint64_t at_us)
{
	struct sim_event *event = sim_later(sim, at_us, SIM_EV_ACT, NULL);

	event->act = node->strike - 1;
	event->done = 1;
}

void sim_act_in_commit(struct sim *sim, const struct sim_node *node)
{
	strike_at(sim, node, sim->now_us + (node->commit_ends_us - sim->now_us) * node->strike_ppm / 1000000);
}

/* Half of them wait for a moment within the commit that is under way, or the next one, if that comes soon. done: this is the moment. */
static bool waits_for_commit(struct sim *sim, struct sim_node *node, const struct sim_act *act, uint32_t number, uint32_t done)
{
	struct rng rng = rng_stream(act->seed, SIM_RNG_STRIKE, node->index);

	if (done > 0) {
		if (node->strike != number + 1)
			return true;
		node->strike = 0;
		return false;
	}
	if (!node->up || node->strike || sim->healing || act->at_ms < STARTED_MS || !rng_chance(&rng, 500000))
		return false;
	node->strike = number + 1;
	node->strike_ppm = (uint32_t)rng_below(&rng, 1000000);
	if (node->committing)
		sim_act_in_commit(sim, node);
	strike_at(sim, node, sim->now_us + STRIKE_US);
	return true;
}

void sim_act(struct sim *sim, uint32_t number, uint32_t done)
{
	if (number == UINT32_MAX) {
		receipt(sim, (uint16_t)done);
		return;
	}
	const struct sim_act *act = &sim->plan->acts[number];
	struct sim_node *node = act->a < sim->nodes_count ? &sim->nodes[act->a] : NULL;
	struct sim_path *path = act->b < sim->nodes_count && node ? sim_path(sim, act->a, act->b) : NULL;

	sim_trace(sim, act->a, "act", act->type, act->b);
	if (!node)
		return;
	switch (act->type) {
	case SIM_SUBMIT: submit(sim, act, number, done); return;
	case SIM_CUT:
		if (path)
			path->cut = true;
		return;
	case SIM_HEAL:
		if (!path || !path->cut)
			return;
		path->cut = false;
		struct sim_event *release = sim_later(sim, sim->now_us + rng_below(&path->rng, 1500000), SIM_EV_RELEASE, node);
		release->peer = act->b;
		return;
	case SIM_RESET: sim_net_reset(sim, act->a, act->b); return;
	case SIM_CLOG:
		if (path)
			path->rate = act->count;
		return;
	case SIM_LOSS:
		if (path)
			path->loss = act->count;
		return;
	case SIM_FLIP:
		if (path)
			path->flip = act->count;
		return;
	case SIM_DUPLICATE:
		if (path)
			path->duplicate = act->count;
		return;
	case SIM_REORDER:
		if (path)
			path->reorder = act->count;
		return;
	case SIM_CRASH:
	case SIM_POWER:
	case SIM_STOP:
		if (!waits_for_commit(sim, node, act, number, done))
			end(sim, node, act);
		return;
	case SIM_FULL: full(sim, node, act->ms); return;
	case SIM_IO_ERROR: {
		const struct sim_act crash = { .type = SIM_CRASH, .ms = RESTART_MS, .seed = act->seed };
		if (waits_for_commit(sim, node, act, number, done) || !node->up)
			return;
		sim_disk_crash(sim, node, act->seed); /* what a failed fsync leaves may be there when the process starts again */
		sim_disk_fails(sim, node);
		if (!sim->stop)
			end(sim, node, &crash);
		return;
	}
	case SIM_SLOW_DISK:
		node->slow_until_us = sim->now_us + (uint64_t)act->ms * 1000;
		node->slower = act->count ? act->count : SLOWER;
		return;
	case SIM_CLOCK: node->wall_offset_ms += act->ms; return;
	case SIM_BACKUP: back_up(sim, node); return;
	case SIM_RESTORE: put_back(sim, node, act); return;
	case SIM_ROT: sim_disk_rots(sim, node, act->seed); return;
	case SIM_ROOM:
		sim_disk_room(sim, node, act->lane, act->bytes);
		sim_later(sim, sim->now_us + (uint64_t)act->ms * 1000, SIM_EV_ROOM, NULL)->peer = node->index;
		return;
	case SIM_ACTS: return;
	}
}

void sim_act_heal_all(struct sim *sim)
{
	for (uint16_t a = 0; a < sim->nodes_count; a++) {
		struct sim_node *node = &sim->nodes[a];
		node->wall_offset_ms = 0;
		node->strike = 0;
		node->slow_until_us = 0;
		node->fails_until_us = 0;
		if (node->room < PL_LANES || node->share_bytes > 0)
			sim_disk_room(sim, node, PL_LANES, 0);
		if (node->up && node->full)
			sim_later(sim, sim->now_us, SIM_EV_READY, node);
		if (!node->up)
			sim_later(sim, sim->now_us, SIM_EV_BOOT, node);
		for (uint16_t b = 0; sim->paths && b < sim->nodes_count; b++) {
			struct sim_path *path = sim_path(sim, a, b);
			const bool was_cut = path->cut;
			*path = (struct sim_path){ .rng = path->rng };
			if (was_cut)
				sim_later(sim, sim->now_us, SIM_EV_RELEASE, node)->peer = b;
		}
	}
}
