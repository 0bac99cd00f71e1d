/* Connections, as TCP has them: what is sent comes in order and whole, later or not at all, unless somebody on the way sees to it that it does
 * not. Delay is by distance; losses show as the time that a retransmission takes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

#define BYTES_PER_S 12500000u          /* 100 Mbit/s */
#define WINDOW_BYTES 65536u            /* that a sender may have on the way without an answer */
#define RETRANSMISSION_US 200000u
#define REORDER_US 30000u
#define SYN_TRIES 4                    /* at 0, 1, 3 and 7 s; after 10 s the dial has failed */
#define ENTRY_KM 2000                  /* around its place of a continent */
#define NUMBER_MAX 0x1ffeu             /* so that no handle is PL_LINK_NONE */
#define SLOTS_MAX 0x40000u

/* --- places, delays, faults --- */

/* Six places on a sphere of the earth's size, and nodes around them. */
static void places_make(struct sim *sim)
{
	static const int32_t centres[6][3] = { { 3900, 700, 4990 }, { 1200, -4700, 4200 }, { -2200, 4500, 3900 }, { 1000, 6000, 1800 },
		                               { 4100, -4300, -2300 }, { 5500, 2900, -900 } };
	struct rng rng = rng_stream(sim->plan->seed, SIM_RNG_PLACES, 0);

	sim->places = calloc(sim->nodes_count, sizeof(*sim->places));
	sim->continents = calloc(sim->nodes_count, 1);
	assert(sim->places && sim->continents);
	for (uint16_t i = 0; i < sim->nodes_count; i++) {
		sim->continents[i] = (uint8_t)rng_below(&rng, 6);
		const int32_t *centre = centres[sim->continents[i]];
		for (int k = 0; k < 3; k++)
			sim->places[i][k] = centre[k] + (int32_t)rng_below(&rng, 2 * ENTRY_KM) - ENTRY_KM;
	}
}

static uint64_t root_of(uint64_t square)
{
	uint64_t root = 0;

	for (uint64_t bit = 1u << 20; bit > 0; bit >>= 1) {
		if ((root + bit) * (root + bit) <= square)
			root += bit;
	}
	return root;
}

/* Light in fibre takes 5 us a km, cables are half again as long as the way, and each end has half a millisecond of its own. */
uint64_t sim_delay_us(const struct sim *sim, uint16_t from, uint16_t to)
{
	uint64_t square = 0;

	for (int k = 0; k < 3; k++) {
		const int64_t d = sim->places[from][k] - sim->places[to][k];
		square += (uint64_t)(d * d);
	}
	return 1000 + root_of(square) * 15 / 2;
}

struct sim_path *sim_path(struct sim *sim, uint16_t from, uint16_t to)
{
	return sim->paths ? &sim->paths[(size_t)from * sim->nodes_count + to] : NULL;
}

void sim_net_make(struct sim *sim)
{
	const size_t n = sim->nodes_count;

	places_make(sim);
	if (n <= SIM_PATHS_NODES_MAX) {
		sim->paths = calloc(n * n, sizeof(*sim->paths));
		assert(sim->paths);
		for (size_t i = 0; i < n * n; i++)
			sim->paths[i].rng = rng_stream(sim->plan->seed, SIM_RNG_PATH, i);
	}
	sim->conns_free = UINT32_MAX;
}

void sim_net_free(struct sim *sim)
{
	for (uint32_t i = 0; i < sim->conns_count; i++) {
		for (int k = 0; k < 2; k++) {
			while (sim->conns[i].to[k].held) {
				struct sim_chunk *next = sim->conns[i].to[k].held->next;
				free(sim->conns[i].to[k].held);
				sim->conns[i].to[k].held = next;
			}
		}
	}
	free(sim->conns);
	free(sim->paths);
	free(sim->places);
	free(sim->continents);
}

/* --- connections, and the handles by which engines know them --- */

static uint32_t handle_of(const struct sim *sim, const struct sim_conn *conn, int end)
{
	return ((uint32_t)conn->number << 19) | ((uint32_t)(conn - sim->conns) << 1) | (uint32_t)end;
}

struct sim_conn *sim_conn_of(struct sim *sim, uint32_t handle, int *end)
{
	const uint32_t slot = handle >> 1 & (SLOTS_MAX - 1);

	if (slot >= sim->conns_count || !sim->conns[slot].used || sim->conns[slot].number != handle >> 19)
		return NULL;
	*end = (int)(handle & 1);
	return &sim->conns[slot];
}

static struct sim_conn *conn_new(struct sim *sim, uint16_t a, uint16_t b)
{
	struct sim_conn *conn = NULL;

	if (sim->conns_free != UINT32_MAX) {
		conn = &sim->conns[sim->conns_free];
		sim->conns_free = conn->next_free;
	} else {
		if (sim->conns_count == sim->conns_max) {
			sim->conns_max = sim->conns_max ? 2 * sim->conns_max : 64;
			sim->conns = realloc(sim->conns, sim->conns_max * sizeof(*sim->conns));
			assert(sim->conns && sim->conns_max <= SLOTS_MAX);
		}
		conn = &sim->conns[sim->conns_count++];
		conn->number = 0;
	}
	*conn = (struct sim_conn){ .used = true, .number = conn->number % NUMBER_MAX + 1 };
	for (int k = 0; k < 2; k++) {
		conn->ends[k].node = k == 0 ? a : b;
		conn->ends[k].boot = sim->nodes[conn->ends[k].node].boot;
		conn->ends[k].open = true;
	}
	return conn;
}

/* Events may still name it by a handle that then finds nothing. */
static void conn_settle(struct sim *sim, struct sim_conn *conn)
{
	if (conn->ends[0].open || conn->ends[1].open)
		return;
	for (int k = 0; k < 2; k++) {
		while (conn->to[k].held) {
			struct sim_chunk *next = conn->to[k].held->next;
			free(conn->to[k].held);
			conn->to[k].held = next;
		}
	}
	conn->used = false;
	conn->next_free = sim->conns_free; /* the next free one */
	sim->conns_free = (uint32_t)(conn - sim->conns);
}

static void end_close(struct sim *sim, struct sim_conn *conn, int end)
{
	conn->ends[end].open = false;
	conn_settle(sim, conn);
}

/* The node at an end learns that it is over. */
static void hang_up(struct sim *sim, struct sim_conn *conn, int end)
{
	struct sim_node *node = &sim->nodes[conn->ends[end].node];
	struct pl_event event = { .type = PL_EV_LINK_DOWN, .link_down = { handle_of(sim, conn, end), PL_NODE_NONE } };
	const bool tell = conn->ends[end].open && conn->ends[end].told && node->up && node->boot == conn->ends[end].boot;

	end_close(sim, conn, end);
	if (tell)
		(void)sim_step(sim, node, &event);
}

/* --- dialling --- */

static void try_to_connect(struct sim *sim, struct sim_node *node, uint16_t place, uint32_t number, uint32_t try, uint64_t at_us)
{
	struct sim_event *event = sim_later(sim, at_us, SIM_EV_DIAL, node);

	event->peer = place;
	event->handle = try;
	event->number = number;
}

void sim_net_dial(struct sim *sim, struct sim_node *node, uint16_t place)
{
	node->dials[place] = ++node->dial_number;
	try_to_connect(sim, node, place, node->dial_number, 0, sim->now_us);
}

static bool is_cut(struct sim *sim, uint16_t from, uint16_t to)
{
	const struct sim_path *path = sim_path(sim, from, to);

	return path && path->cut;
}

static void dial_failed(struct sim *sim, struct sim_node *node, uint16_t place)
{
	struct pl_event event = { .type = PL_EV_LINK_DOWN, .link_down = { PL_LINK_NONE, place } };

	node->dials[place] = 0;
	(void)sim_step(sim, node, &event);
}

#define TRY_ANSWER 100 /* the answer has come: that nobody listens there */

void sim_net_dialled(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = &sim->nodes[event->node];
	const uint16_t place = event->peer, other = node->peers[place];
	const uint64_t there_us = sim_delay_us(sim, node->index, other), back_us = sim_delay_us(sim, other, node->index);

	if (node->dials[place] != event->number)
		return; /* begun anew since */
	if (event->handle >= SYN_TRIES) {
		dial_failed(sim, node, place);
		return;
	}
	if (is_cut(sim, node->index, other) || is_cut(sim, other, node->index)) {
		const uint64_t wait_us = event->handle + 1 < SYN_TRIES ? 1000000ull << event->handle : 3000000;
		try_to_connect(sim, node, place, event->number, event->handle + 1, sim->now_us + wait_us);
		return;
	}
	if (!sim->nodes[other].up) {
		try_to_connect(sim, node, place, event->number, TRY_ANSWER, sim->now_us + there_us + back_us);
		return;
	}
	struct sim_conn *conn = conn_new(sim, node->index, other);
	node->dials[place] = 0;
	for (int k = 0; k < 2; k++) {
		struct sim_event *up = sim_later(sim, sim->now_us + there_us + (k == 0 ? back_us : 0), SIM_EV_UP, &sim->nodes[conn->ends[k].node]);
		up->handle = handle_of(sim, conn, k);
		up->peer = k == 0 ? place : PL_NODE_NONE;
	}
}

void sim_net_up(struct sim *sim, const struct sim_event *event)
{
	int end;
	struct sim_conn *conn = sim_conn_of(sim, event->handle, &end);
	struct sim_node *node = &sim->nodes[event->node];

	if (node->boot != event->boot || !node->up) {
		if (conn)
			hang_up(sim, conn, end);
		return;
	}
	if (!conn || !conn->ends[end].open) {
		if (event->peer != PL_NODE_NONE)
			dial_failed(sim, node, event->peer);
		return;
	}
	struct pl_event up = { .type = PL_EV_LINK_UP, .link_up = { event->handle, event->peer, rng_mix(conn->ends[!end].node + 1u) } };
	conn->ends[end].told = true;
	(void)sim_step(sim, node, &up);
}

/* --- sending --- */

static void chunk_on_its_way(struct sim *sim, struct sim_conn *conn, int to, struct sim_chunk *chunk, uint64_t at_us)
{
	struct sim_event *event = sim_later(sim, at_us, SIM_EV_CHUNK, NULL);

	event->handle = handle_of(sim, conn, to);
	event->chunk = chunk;
	event->node = conn->ends[to].node;
}

static struct sim_chunk *chunk_new(const uint8_t *bytes, size_t count)
{
	struct sim_chunk *chunk = malloc(sizeof(*chunk) + count);

	assert(chunk);
	*chunk = (struct sim_chunk){ .count = (uint32_t)count, .is_end = count == 0 };
	if (count > 0)
		memcpy(chunk->bytes, bytes, count);
	return chunk;
}

static void hold(struct sim_direction *direction, struct sim_chunk *chunk)
{
	if (!direction->held)
		direction->held_last = &direction->held;
	*direction->held_last = chunk;
	direction->held_last = &chunk->next;
	direction->held_bytes += chunk->count;
}

/* What somebody on the way does to it. */
static void tamper(struct sim *sim, struct sim_conn *conn, int to, struct sim_path *path, struct sim_chunk *chunk, uint64_t *at_us)
{
	if (path->flip && chunk->count > 0 && rng_chance(&path->rng, path->flip)) {
		chunk->bytes[rng_below(&path->rng, chunk->count)] ^= (uint8_t)(1u << rng_below(&path->rng, 8));
		conn->tampered = true;
	}
	if (path->duplicate && chunk->count > 0 && rng_chance(&path->rng, path->duplicate)) {
		chunk_on_its_way(sim, conn, to, chunk_new(chunk->bytes, chunk->count), *at_us);
		conn->tampered = true;
	}
	if (path->reorder && rng_chance(&path->rng, path->reorder)) {
		*at_us += REORDER_US;
		conn->tampered = true;
	}
}

static void pass(struct sim *sim, struct sim_conn *conn, int to, struct sim_chunk *chunk, uint64_t left_us)
{
	struct sim_direction *direction = &conn->to[to];
	const uint16_t from = conn->ends[!to].node, node = conn->ends[to].node;
	struct sim_path *path = sim_path(sim, from, node);
	const uint64_t delay_us = sim_delay_us(sim, from, node);
	uint64_t at_us = left_us + delay_us;

	if (path && !sim->plan->steady) {
		at_us += rng_below(&path->rng, delay_us / 16 + 1);
		for (int tries = 0; path->loss && tries < 6 && rng_chance(&path->rng, path->loss); tries++)
			at_us += (RETRANSMISSION_US + 2 * delay_us) << tries;
	}
	if (at_us < direction->arrived_us)
		at_us = direction->arrived_us;
	direction->arrived_us = at_us;
	if (path)
		tamper(sim, conn, to, path, chunk, &at_us);
	chunk_on_its_way(sim, conn, to, chunk, at_us);
}

static void put(struct sim *sim, struct sim_conn *conn, int to, struct sim_chunk *chunk, bool tell)
{
	struct sim_direction *direction = &conn->to[to];
	const uint16_t from = conn->ends[!to].node, node = conn->ends[to].node;
	const struct sim_path *path = sim_path(sim, from, node);
	const uint64_t rate = path && path->rate ? path->rate : BYTES_PER_S;
	const bool blocked = is_cut(sim, from, node) || direction->held;
	bool waits = false;

	if (direction->busy_until_us < sim->now_us)
		direction->busy_until_us = sim->now_us;
	direction->busy_until_us += chunk->count * 1000000ull / rate + 1;
	if (is_cut(sim, node, from))
		direction->unacked_bytes += chunk->count;
	const uint32_t bytes = chunk->count;
	if (blocked || direction->unacked_bytes > WINDOW_BYTES) {
		hold(direction, chunk);
		waits = direction->held_bytes > WINDOW_BYTES || direction->unacked_bytes > WINDOW_BYTES;
	} else {
		pass(sim, conn, to, chunk, direction->busy_until_us);
	}
	sim->result->bytes_sent += bytes;
	if (tell && waits)
		direction->sent_waits = true;
	else if (tell)
		sim_later(sim, direction->busy_until_us, SIM_EV_SENT, &sim->nodes[from])->handle = handle_of(sim, conn, !to);
}

void sim_net_send(struct sim *sim, uint32_t handle, const uint8_t *bytes, size_t count)
{
	int end;
	struct sim_conn *conn = sim_conn_of(sim, handle, &end);
	uint64_t tail = 0;

	memcpy(&tail, bytes + (count < 8 ? 0 : count - 8), count < 8 ? count : 8);
	sim_trace(sim, sim->stepping, "send", count, tail);
	sim->result->records_sent++;
	if (!conn || !conn->ends[end].open)
		return;
	if (sim->oracle)
		bounds_sent(sim, conn, end, bytes, count);
	if (sim_vice_repeats(sim, &sim->nodes[conn->ends[end].node]))
		put(sim, conn, !end, chunk_new(bytes, count), false);
	put(sim, conn, !end, chunk_new(bytes, count), true);
}

void sim_net_close(struct sim *sim, uint32_t handle)
{
	int end;
	struct sim_conn *conn = sim_conn_of(sim, handle, &end);

	if (!conn || !conn->ends[end].open)
		return;
	put(sim, conn, !end, chunk_new(NULL, 0), false);
	end_close(sim, conn, end);
}

void sim_net_sent(struct sim *sim, const struct sim_event *event)
{
	int end;
	struct sim_conn *conn = sim_conn_of(sim, event->handle, &end);
	struct sim_node *node = &sim->nodes[event->node];
	struct pl_event sent = { .type = PL_EV_SENT, .sent = { event->handle } };

	if (conn && conn->ends[end].open && node->up && node->boot == event->boot)
		(void)sim_step(sim, node, &sent);
}

static void arrive(struct sim *sim, struct sim_node *node, uint32_t handle, const uint8_t *bytes, size_t count)
{
	size_t at = 0;
	int end;

	while (at < count && !sim->stop) {
		const struct sim_conn *conn = sim_conn_of(sim, handle, &end);
		if (!conn || !conn->ends[end].open || !node->up)
			return;
		struct pl_event event = { .type = PL_EV_BYTES, .bytes = { handle, bytes + at, count - at, 0 } };
		(void)sim_step(sim, node, &event);
		at += event.bytes.consumed;
	}
}

void sim_net_chunk(struct sim *sim, const struct sim_event *event)
{
	int end;
	struct sim_conn *conn = sim_conn_of(sim, event->handle, &end);
	struct sim_chunk *chunk = event->chunk;

	if (!conn) {
		free(chunk);
		return;
	}
	struct sim_node *node = &sim->nodes[conn->ends[end].node];
	const bool is_there = conn->ends[end].open && node->up && node->boot == conn->ends[end].boot;
	if (chunk->is_end) {
		hang_up(sim, conn, end);
	} else if (!is_there && node->up) {
		hang_up(sim, conn, !end); /* its machine answers that there is no such connection */
	} else if (is_there) {
		const size_t first = chunk->count > 1 && sim->paths && (chunk->bytes[chunk->count - 1] & 7) == 0 ? chunk->count / 2 : chunk->count;
		arrive(sim, node, event->handle, chunk->bytes, first);
		arrive(sim, node, event->handle, chunk->bytes + first, chunk->count - first);
	}
	free(chunk);
}

/* --- cuts, and their end --- */

void sim_net_release(struct sim *sim, uint16_t from, uint16_t to)
{
	for (uint32_t i = 0; i < sim->conns_count; i++) {
		struct sim_conn *conn = &sim->conns[i];
		for (int k = 0; conn->used && k < 2; k++) {
			struct sim_direction *direction = &conn->to[k];
			const uint16_t a = conn->ends[!k].node, b = conn->ends[k].node;
			if (!((a == from && b == to) || (a == to && b == from)) || is_cut(sim, a, b) || is_cut(sim, b, a))
				continue;
			direction->unacked_bytes = 0;
			uint64_t at_us = sim->now_us;
			while (direction->held) {
				struct sim_chunk *chunk = direction->held;
				direction->held = chunk->next;
				direction->held_bytes -= chunk->count;
				chunk->next = NULL;
				at_us += chunk->count * 1000000ull / BYTES_PER_S + 1;
				pass(sim, conn, k, chunk, at_us);
			}
			if (direction->sent_waits)
				sim_later(sim, at_us, SIM_EV_SENT, &sim->nodes[a])->handle = handle_of(sim, conn, !k);
			direction->sent_waits = false;
		}
	}
}

void sim_net_reset(struct sim *sim, uint16_t a, uint16_t b)
{
	for (uint32_t i = 0; i < sim->conns_count; i++) {
		struct sim_conn *conn = &sim->conns[i];
		const uint16_t x = conn->ends[0].node, y = conn->ends[1].node;
		if (!conn->used || !((x == a && y == b) || (x == b && y == a)))
			continue;
		hang_up(sim, conn, 0);
		if (sim->conns[i].used)
			hang_up(sim, &sim->conns[i], 1);
	}
}

void sim_net_node_down(struct sim *sim, struct sim_node *node, bool tells)
{
	for (uint32_t i = 0; i < sim->conns_count; i++) {
		struct sim_conn *conn = &sim->conns[i];
		for (int k = 0; conn->used && k < 2; k++) {
			if (conn->ends[k].node != node->index || !conn->ends[k].open)
				continue;
			if (tells)
				put(sim, conn, !k, chunk_new(NULL, 0), false);
			if (conn->used)
				end_close(sim, conn, k);
		}
	}
}

static const struct sim_conn *live_conn_of(struct sim *sim, uint16_t node, uint16_t other)
{
	const struct sim_node *at = &sim->nodes[node];
	struct pl_peer_info info;
	int end;

	for (uint16_t place = 0; at->up && place < at->peers_count; place++) {
		if (at->peers[place] != other)
			continue;
		pl_engine_peer(at->engine, place, &info);
		return info.state == PL_SESSION_LIVE ? sim_conn_of(sim, info.link, &end) : NULL;
	}
	return NULL;
}

bool sim_is_linked(struct sim *sim, uint16_t a, uint16_t b)
{
	const struct sim_conn *conn = live_conn_of(sim, a, b);

	return conn && conn == live_conn_of(sim, b, a) && !is_cut(sim, a, b) && !is_cut(sim, b, a) && !conn->to[0].held && !conn->to[1].held;
}
