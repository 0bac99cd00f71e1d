/* A node: an engine, and what the world makes of its effects. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

#define TICKS_MAX 5000 /* at one moment: what waits in the in queues takes some hundreds */

uint64_t sim_node_now_ms(const struct sim *sim, const struct sim_node *node)
{
	return SIM_CLOCK_START_MS + (sim->now_us - node->booted_us) / 1000;
}

static void tick_plan(struct sim *sim, struct sim_node *node)
{
	const uint64_t deadline_ms = pl_engine_deadline_ms(node->engine);
	uint64_t at_us = UINT64_MAX;

	if (deadline_ms != UINT64_MAX)
		at_us = deadline_ms <= sim_node_now_ms(sim, node) ? sim->now_us : node->booted_us + (deadline_ms - SIM_CLOCK_START_MS) * 1000;
	if (at_us == node->tick_at_us && at_us > sim->now_us)
		return;
	node->tick_at_us = at_us;
	if (at_us != UINT64_MAX)
		sim_later(sim, at_us, SIM_EV_TICK, node);
}

static void note(struct sim *sim, struct sim_node *node, const struct pl_effect *fx)
{
	sim_trace(sim, node->index, "note", fx->note.code, fx->note.seq);
	if (sim->options.trace)
		fprintf(sim->options.trace, "%12.6f %5u   note %d peer %u of %u/%u/%llu %s\n", (double)sim->now_us / 1e6, node->index, fx->note.code,
		        fx->note.peer, fx->note.node, fx->note.lane, (unsigned long long)fx->note.seq, fx->note.detail);
	if (!sim->oracle)
		return;
	int end;
	const struct sim_conn *conn = sim_conn_of(sim, fx->note.link, &end);
	const bool is_of_peer = fx->note.peer < node->peers_count, tampered = !conn || conn->tampered;
	if ((fx->note.code == PL_NOTE_PEER_FAULT || fx->note.code == PL_NOTE_LINK_BROKEN) && is_of_peer)
		oracle_blames(sim->oracle, node->index, node->peers[fx->note.peer], tampered, fx->note.detail);
	if (fx->note.code == PL_NOTE_ENTRY_REFUSED && is_of_peer)
		oracle_refuses(sim->oracle, node->index, node->peers[fx->note.peer], fx->note.node, fx->note.lane, fx->note.seq, tampered, fx->note.detail);
	if (fx->note.code == PL_NOTE_QUOTA)
		oracle_throttles(sim->oracle, node->index, fx->note.node, fx->note.lane);
	if (fx->note.code == PL_NOTE_LINK_LOST && is_of_peer)
		oracle_loses(sim->oracle, node->index, node->peers[fx->note.peer], fx->note.detail);
}

static void verify(struct sim *sim, struct sim_node *node, const struct pl_effect *fx)
{
	const uint32_t good = pl_entries_verify(sim->network_id, fx->verify.headers, fx->verify.count);
	struct sim_event *event = sim_later(sim, sim->now_us + 60 * fx->verify.count, SIM_EV_VERIFIED, node);

	event->token = fx->verify.token;
	event->good = good;
}

static void load(struct sim *sim, struct sim_node *node, const struct pl_effect *fx)
{
	struct sim_load *load = malloc(sizeof(*load));

	assert(load);
	*load = (struct sim_load){ .token = fx->load.token, .author = fx->load.node, .lane = fx->load.lane, .from = fx->load.from, .to = fx->load.to,
	                           .max_bytes = fx->load.max_bytes };
	sim_later(sim, sim->now_us + rng_between(&node->disk_rng, 50, 1000), SIM_EV_LOADED, node)->load = load;
}

static void carry_out(struct sim *sim, struct sim_node *node)
{
	struct pl_effect fx;

	while (!sim->stop && pl_engine_next_effect(node->engine, &fx)) {
		switch (fx.type) {
		case PL_FX_DIAL: sim_net_dial(sim, node, fx.dial.peer); break;
		case PL_FX_SEND: sim_net_send(sim, fx.send.link, fx.send.bytes, fx.send.count); break;
		case PL_FX_CLOSE: sim_net_close(sim, fx.close.link); break;
		case PL_FX_STORE:
		case PL_FX_REPAIR: sim_disk_store(sim, node, &fx); break;
		case PL_FX_LOAD: load(sim, node, &fx); break;
		case PL_FX_VERIFY: verify(sim, node, &fx); break;
		case PL_FX_ACKED:
			node->disk.has_acked = true;
			node->disk.acked[((size_t)fx.acked.peer * node->peers_count + fx.acked.node) * PL_LANES + fx.acked.lane] = fx.acked.seq;
			if (sim->oracle)
				oracle_acked(sim->oracle, node->index, node->peers[fx.acked.peer], fx.acked.node, fx.acked.lane, fx.acked.seq);
			break;
		case PL_FX_FORK:
			node->disk.forks[fx.fork.node].is_kept = true;
			memcpy(node->disk.forks[fx.fork.node].headers[0], fx.fork.header_a, PL_ENTRY_HEADER_BYTES);
			memcpy(node->disk.forks[fx.fork.node].headers[1], fx.fork.header_b, PL_ENTRY_HEADER_BYTES);
			sim->result->forks++;
			if (sim->oracle)
				oracle_fork(sim->oracle, node->index, fx.fork.node, fx.fork.header_a, fx.fork.header_b);
			break;
		case PL_FX_ANCHORS: memcpy(node->disk.anchors, fx.anchors.nodes, sizeof(node->disk.anchors)); break;
		case PL_FX_NOTE: note(sim, node, &fx); break;
		}
	}
	if (!sim->stop)
		sim_disk_commit(sim, node);
}

enum pl_err sim_step(struct sim *sim, struct sim_node *node, struct pl_event *event)
{
	event->now_ms = sim_node_now_ms(sim, node);
	event->wall_ms = (uint64_t)((int64_t)(SIM_WALL_START_MS + sim->now_us / 1000) + node->wall_offset_ms);
	rng_bytes(&node->step_rng, event->seed, sizeof(event->seed));
	sim->stepping = node->index;
	sim->records_count = 0;
	const enum pl_err err = pl_engine_step(node->engine, event);
	sim->stepping = SIM_NOBODY;
	node->steps++;
	sim_trace(sim, node->index, "step", event->type, (uint64_t)err);
	if (sim->stop)
		return err;
	carry_out(sim, node);
	if (!sim->stop)
		tick_plan(sim, node);
	return err;
}

void sim_tick(struct sim *sim, struct sim_node *node)
{
	struct pl_event event = { .type = PL_EV_TICK };

	node->ticks = node->tick_us == sim->now_us ? node->ticks + 1 : 1;
	node->tick_us = sim->now_us;
	if (node->ticks > TICKS_MAX) {
		sim_fail(sim, "busy", "node %u asks for a tick at once, %u times on end", node->index, node->ticks);
		return;
	}
	node->tick_at_us = UINT64_MAX;
	(void)sim_step(sim, node, &event);
}

void sim_node_check(struct sim *sim, const struct sim_node *node)
{
	for (uint16_t peer = 0; peer < node->peers_count && node->up && sim->oracle; peer++) {
		for (uint16_t author = 0; author < sim->plan->authors && !sim->stop; author++) {
			for (uint8_t lane = 0; lane < PL_LANES; lane++) {
				const uint64_t seq = pl_engine_acked(node->engine, peer, author, lane);
				if (seq > 0 && peer != node->self)
					oracle_acked(sim->oracle, node->index, node->peers[peer], author, lane, seq);
			}
		}
	}
}

bool sim_node_is_done(const struct sim *sim, const struct sim_node *node, char *why, size_t why_max)
{
	struct pl_peer_info peer;
	struct pl_lane_info lane;

	for (uint16_t i = 0; i < node->peers_count; i++) {
		pl_engine_peer(node->engine, i, &peer);
		if (i == node->self || peer.held_entries == 0)
			continue;
		for (uint32_t k = 0; k < sim->plan->authors * (uint32_t)PL_LANES; k++) {
			const uint16_t author = (uint16_t)(k / PL_LANES);
			const uint8_t number = (uint8_t)(k % PL_LANES);
			const uint64_t acked = pl_engine_acked(node->engine, i, author, number);
			pl_engine_lane(node->engine, author, number, &lane);
			/* PROTOCOL: "Of the receiver's own feed nothing counts ahead." */
			if (author == i || lane.durable_seq <= acked || (author == node->self && node->is_copy))
				continue;
			snprintf(why, why_max, "node %u holds %llu entries of %u/%u, and knows of %llu that %u has them, which has all", node->index,
			         (unsigned long long)lane.durable_seq, author, number, (unsigned long long)acked, node->peers[i]);
			return false;
		}
	}
	return true;
}

void sim_node_boot(struct sim *sim, struct sim_node *node)
{
	struct pl_event start = { .type = PL_EV_START }, dialable = { .type = PL_EV_PEER_DIALABLE };

	node->boot++;
	node->up = true;
	node->full = node->committing = node->receipt_due = false;
	node->fails_until_us = node->flash_spent_us = 0;
	memset(node->spent_us, 0, sizeof(node->spent_us));
	node->booted_us = sim->now_us;
	node->tick_at_us = UINT64_MAX;
	node->step_rng = rng_stream(sim->plan->seed, SIM_RNG_STEP, ((uint64_t)node->index << 32) + node->boot);
	memset(node->dials, 0, node->peers_count * sizeof(*node->dials));
	node->memory_bytes = pl_engine_bytes(&node->config);
	node->memory = calloc(1, node->memory_bytes);
	if (!node->memory || pl_engine_init(&node->config, node->memory, node->memory_bytes, &node->engine) != PL_OK)
		abort();
	sim_trace(sim, node->index, "boot", node->boot, 0);
	sim_disk_restore(sim, node);
	sim_node_check(sim, node);
	if (sim_step(sim, node, &start) != PL_OK && !sim->stop)
		abort();
	if (node->room < PL_LANES || node->share_bytes > 0)
		sim_disk_room(sim, node, node->room, node->share_bytes);
	for (uint16_t i = 0; i < node->dial_to_count && !sim->stop; i++) {
		dialable.peer_dialable.node = node->dial_to[i];
		dialable.peer_dialable.group = 1u + sim->continents[node->peers[node->dial_to[i]]];
		if (sim_step(sim, node, &dialable) != PL_OK && !sim->stop)
			abort();
	}
}

void sim_node_down(struct sim *sim, struct sim_node *node, bool tells)
{
	if (!node->up)
		return;
	sim_trace(sim, node->index, "down", tells, 0);
	node->up = false;
	node->boot++; /* what was put off is void */
	pl_engine_wipe(node->engine);
	free(node->memory);
	node->memory = NULL;
	node->engine = NULL;
	sim_net_node_down(sim, node, tells);
}
