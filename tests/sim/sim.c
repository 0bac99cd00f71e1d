/* The simulator's clock: what is to come, in order of time, and the run of a plan. */
#include <assert.h>
#include <malloc.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/seam.h"
#include "tests/sim/sim_impl.h"

#define AGREE_EVERY_MS 200 /* how often it is looked whether all agree, when all is healed */

/* --- the queue: events lie where there is room, and a heap says which is next --- */

struct sim_event *sim_later(struct sim *sim, uint64_t at_us, enum sim_event_type type, const struct sim_node *node)
{
	uint32_t place = sim->events_free;

	if (place == UINT32_MAX) {
		if (sim->events_count == sim->events_max) {
			sim->events_max = sim->events_max ? 2 * sim->events_max : 1024;
			sim->events = realloc(sim->events, sim->events_max * sizeof(*sim->events));
			assert(sim->events);
		}
		place = sim->events_count++;
	} else {
		sim->events_free = sim->events[place].next_free;
	}
	struct sim_event *event = &sim->events[place];
	*event = (struct sim_event){ .at_us = at_us > sim->now_us ? at_us : sim->now_us, .type = (uint8_t)type, .node = node ? node->index : SIM_NOBODY,
	                             .boot = node ? node->boot : 0 };
	heap_put(&sim->queue, event->at_us, place);
	return event;
}

static struct sim_event queue_take(struct sim *sim)
{
	const uint32_t place = heap_take(&sim->queue).item;
	const struct sim_event event = sim->events[place];

	sim->events[place].next_free = sim->events_free;
	sim->events_free = place;
	return event;
}

/* --- what is told of the run --- */

void sim_trace(struct sim *sim, uint16_t node, const char *what, uint64_t a, uint64_t b)
{
	uint64_t *hash = sim->result->hash, word = 0;

	memcpy(&word, what, strnlen(what, sizeof(word)));
	hash[0] = rng_mix(hash[0] ^ sim->now_us) + rng_mix(word ^ node);
	hash[1] = rng_mix(hash[1] + a) ^ rng_mix(b + hash[0]);
	if (sim->options.trace)
		fprintf(sim->options.trace, "%12.6f %5u %-10s %llu %llu\n", (double)sim->now_us / 1e6, node, what, (unsigned long long)a,
		        (unsigned long long)b);
}

void sim_fail(struct sim *sim, const char *invariant, const char *format, ...)
{
	struct sim_result *r = sim->result;
	va_list args;

	if (r->failed)
		return;
	r->failed = sim->stop = true;
	r->failed_at_ms = sim->now_us / 1000;
	snprintf(r->invariant, sizeof(r->invariant), "%s", invariant);
	va_start(args, format);
	vsnprintf(r->detail, sizeof(r->detail), format, args);
	va_end(args);
	if (sim->options.trace)
		fprintf(sim->options.trace, "%12.6f       FAILED     %s: %s\n", (double)sim->now_us / 1e6, r->invariant, r->detail);
}

/* --- the world --- */

static void keys_make(struct sim *sim, struct sim_node *node, struct pl_certificate *certificate)
{
	struct rng rng = rng_stream(sim->plan->seed, SIM_RNG_KEYS, node->index);
	uint8_t seed[32];

	rng_bytes(&rng, seed, sizeof(seed));
	if (sim->plan->real_crypto) {
		pl_sign_keypair(seed, certificate->node_id, node->sign_secret);
	} else {
		memcpy(certificate->node_id, seed, sizeof(seed));
		memcpy(node->sign_secret + 32, seed, sizeof(seed));
	}
	rng_bytes(&rng, node->noise_secret, sizeof(node->noise_secret));
	if (crypto_scalarmult_base(certificate->noise_public, node->noise_secret) != 0)
		abort();
	certificate->generation = 1;
	certificate->valid_from_ms = SIM_WALL_START_MS - 86400000ULL * 30;
	certificate->valid_until_ms = SIM_WALL_START_MS + 86400000ULL * 300;
}

static void charter_add(struct pl_charter *charter, const struct pl_certificate *certificate, uint16_t nodes_per_member)
{
	const uint16_t place = charter->nodes_count++, number = (uint16_t)(place / nodes_per_member);
	struct pl_member *member = &charter->members[number];

	charter->nodes[place].certificate = *certificate;
	charter->nodes[place].member = number;
	if (member->nodes_count++ > 0)
		return;
	charter->members_count++;
	member->first_node = place;
	snprintf(member->code, sizeof(member->code), "%c%c%c", 'A' + number / 676, 'A' + number / 26 % 26, 'A' + number % 26);
}

static bool is_hostile(const struct sim *sim, uint16_t node)
{
	return node < sizeof(sim->plan->vices) && sim->plan->vices[node] != SIM_HONEST;
}

static bool *edges_make(const struct sim *sim)
{
	const uint16_t n = sim->plan->nodes;
	bool *edges = calloc((size_t)n * n, sizeof(*edges)); /* [who dials][whom] */
	struct rng rng = rng_stream(sim->plan->seed, SIM_RNG_TOPOLOGY, 0);

	assert(edges);
	for (uint16_t i = 0; i < n; i++) {
		switch (sim->plan->topology) {
		case SIM_MESH:
			for (uint16_t k = (uint16_t)(i + 1); k < n; k++)
				edges[(size_t)(rng_chance(&rng, 500000) ? i : k) * n + k] = edges[(size_t)i * n + k] = true;
			break;
		case SIM_RING:
			edges[(size_t)i * n + (i + 1u) % n] = n > 2 || i == 0;
			break;
		case SIM_STAR:
			edges[(size_t)i * n] = i > 0;
			break;
		case SIM_RANDOM:
			edges[(size_t)i * n + (i + 1u) % n] = true; /* a ring among them, so that all hang together */
			for (uint16_t k = 1; k < sim->plan->degree; k++)
				edges[(size_t)i * n + rng_below(&rng, n)] = true;
			break;
		case SIM_CHOICE:
			for (uint16_t k = 0; k < (sim->plan->degree ? sim->plan->degree : n); k++)
				edges[(size_t)i * n + (sim->plan->degree ? rng_below(&rng, n) : k)] = true;
			break;
		case SIM_ECLIPSE:
			for (uint16_t k = 1; k < n; k++)
				edges[(size_t)i * n + k] = i == 0 ? k == 1 || is_hostile(sim, k) : !is_hostile(sim, i) || k == 1 + i % 4u;
			edges[(size_t)i * n] = i > 0 && is_hostile(sim, i) && sim->plan->besieged;
			break;
		case SIM_TOPOLOGIES: break;
		}
		edges[(size_t)i * n + i] = false;
	}
	return edges;
}

/* Each node's charter: all authors, and its neighbours. In a network that a charter can hold these are all; a larger one has no charter, and
 * its nodes know of no more than that. */
static void node_make(struct sim *sim, struct sim_node *node, const struct pl_certificate *certificates, const bool *edges)
{
	const uint16_t n = sim->plan->nodes, authors = sim->plan->authors;
	const bool is_whole = n <= PL_NODES_MAX;
	uint16_t places_max = n;

	node->charter = calloc(1, sizeof(*node->charter));
	node->peers = calloc(places_max, sizeof(*node->peers));
	node->dial_to = calloc(places_max, sizeof(*node->dial_to));
	assert(node->charter && node->peers && node->dial_to);
	memcpy(node->charter->network_id, sim->network_id, PL_ID_BYTES);
	for (uint16_t i = 0; i < n; i++) {
		const bool dials = edges[(size_t)node->index * n + i], is_dialled = edges[(size_t)i * n + node->index];
		if (!is_whole && i >= authors && i != node->index && !dials && !is_dialled)
			continue;
		if (i == node->index)
			node->self = node->charter->nodes_count;
		if (dials)
			node->dial_to[node->dial_to_count++] = node->charter->nodes_count;
		node->peers[node->peers_count++] = i;
		charter_add(node->charter, &certificates[i], sim->plan->nodes_per_member ? sim->plan->nodes_per_member
			: is_whole && n > PL_MEMBERS_MAX ? PL_NODES_PER_MEMBER_MAX : 1);
		assert(node->charter->nodes_count <= PL_NODES_MAX);
	}
	node->dials = calloc(node->peers_count, sizeof(*node->dials));
	pl_engine_config_default(&node->config);
	node->config.charter = node->charter;
	node->config.self = node->self;
	node->config.sign_secret = node->sign_secret;
	node->config.noise_secret = node->noise_secret;
	node->config.mesh_nodes_max = sim->plan->topology >= SIM_CHOICE ? 0 : PL_NODES_MAX; /* otherwise the plan says who dials whom */
	node->config.whole_frontiers = node->index < 64 && (sim->plan->old >> node->index & 1) != 0;
	node->config.links_max = node->peers_count < 33 ? node->peers_count : (uint16_t)(is_whole && n < 64 ? n : PL_LINKS_MAX);
	node->vice = (enum sim_vice)(node->index < sizeof(sim->plan->vices) ? sim->plan->vices[node->index] : SIM_HONEST);
	if (node->index >= authors && sim->plan->withhold_ppm > 0) {
		struct rng rng = rng_stream(sim->plan->seed, SIM_RNG_VICE, node->index);
		node->vice = rng_chance(&rng, sim->plan->withhold_ppm) ? SIM_WITHHOLDS : SIM_HONEST;
	}
	node->room = PL_LANES;
	for (uint8_t lane = 0; lane < 2 && sim->plan->quota_burst > 0; lane++)
		node->config.quota[lane] = node->index == sim->plan->flooder || node->vice == SIM_FLOODS ? (struct pl_quota){ UINT32_MAX, UINT32_MAX }
			: (struct pl_quota){ sim->plan->quota_burst / 32, sim->plan->quota_burst };
	if (node->vice == SIM_FLOODS)
		node->config.flash_per_minute = node->config.flash_burst = 1000000;
	node->writes_last = &node->writes;
	node->disk_rng = rng_stream(sim->plan->seed, SIM_RNG_DISK, node->index);
	sim_disk_make(node);
	if (sim->plan->anchored && node->index == 0)
		node->disk.anchors[0] = 1;
}

static void world_make(struct sim *sim)
{
	const uint16_t n = sim->plan->nodes;
	struct pl_certificate *certificates = calloc(n, sizeof(*certificates));
	struct rng rng = rng_stream(sim->plan->seed, SIM_RNG_KEYS, SIM_NOBODY);

	assert(certificates);
	sim->nodes_count = n;
	sim->nodes = calloc(n, sizeof(*sim->nodes));
	assert(sim->nodes);
	rng_bytes(&rng, sim->network_id, sizeof(sim->network_id));
	sim->entries_buckets = 4096;
	sim->entries = calloc(sim->entries_buckets, sizeof(struct sim_entry *));
	sim_net_make(sim);
	for (uint16_t i = 0; i < n; i++) {
		sim->nodes[i].index = i;
		keys_make(sim, &sim->nodes[i], &certificates[i]);
	}
	bool *edges = edges_make(sim);
	for (uint16_t i = 0; i < n; i++)
		node_make(sim, &sim->nodes[i], certificates, edges);
	free(edges);
	free(certificates);
	if (sim->options.watch)
		sim->oracle = oracle_new(sim, n, sim->plan->authors);
}

static void world_free(struct sim *sim)
{
	for (uint16_t i = 0; i < sim->nodes_count; i++) {
		struct sim_node *node = &sim->nodes[i];
		sim_node_down(sim, node, false);
		sim_disk_drop(sim, node);
		sim_disk_free(sim, &node->disk, node);
		sim_disk_free(sim, &node->backup, node);
		free(node->charter);
		free(node->peers);
		free(node->dial_to);
		free(node->dials);
		free(node->replay);
		free(node->pieces);
	}
	while (sim->queue.count > 0) {
		const struct sim_event event = queue_take(sim);
		if (event.type == SIM_EV_CHUNK)
			free(event.chunk);
		if (event.type == SIM_EV_LOADED)
			free(event.load);
	}
	sim_net_free(sim);
	oracle_free(sim->oracle);
	free(sim->entries);
	free(sim->queue.keys);
	free(sim->events);
	free(sim->nodes);
}

/* --- the run --- */

#define ENGINE_BYTES_MIN (1 << 20)
#define SPARE_BYTES_MAX (64 << 20)

#define FORKS_EVERY_US 10000u /* how often it is looked whether all have the proof of a fork */

static bool somebody_forks(const struct sim *sim)
{
	for (uint16_t i = 0; i < sim->nodes_count; i++) {
		if (sim->nodes[i].vice == SIM_FORKS)
			return true;
	}
	return false;
}

/* What has been put off until now, where the node still is who put it off. */
static void happen(struct sim *sim, const struct sim_event *event)
{
	struct sim_node *node = &sim->nodes[event->node != SIM_NOBODY ? event->node : 0];
	const bool is_void = event->boot != node->boot || !node->up;
	struct pl_event verified = { .type = PL_EV_VERIFIED }, ready = { .type = PL_EV_STORE_READY };

	switch ((enum sim_event_type)event->type) {
	case SIM_EV_TICK:
		if (!is_void && event->at_us == node->tick_at_us)
			sim_tick(sim, node);
		return;
	case SIM_EV_CHUNK: sim_net_chunk(sim, event); return;
	case SIM_EV_SENT: sim_net_sent(sim, event); return;
	case SIM_EV_DIAL:
		if (!is_void)
			sim_net_dialled(sim, event);
		return;
	case SIM_EV_UP: sim_net_up(sim, event); return;
	case SIM_EV_RELEASE: sim_net_release(sim, event->node, event->peer); return;
	case SIM_EV_COMMIT:
		if (!is_void && node->committing && event->token == node->commits)
			sim_disk_committed(sim, node);
		return;
	case SIM_EV_LOADED:
		if (!is_void)
			sim_disk_loaded(sim, node, event->load);
		free(event->load);
		return;
	case SIM_EV_VERIFIED:
		verified.verified.token = event->token;
		verified.verified.good = event->good;
		if (!is_void)
			(void)sim_step(sim, node, &verified);
		return;
	case SIM_EV_SCRUB: sim_disk_scrub(sim, &sim->nodes[event->peer]); return;
	case SIM_EV_ROOM: sim_disk_room(sim, &sim->nodes[event->peer], PL_LANES, 0); return;
	case SIM_EV_BOOT:
		if (!node->up && event->boot == node->boot)
			sim_node_boot(sim, node);
		return;
	case SIM_EV_READY:
		if (is_void || !node->full)
			return;
		node->full = false;
		(void)sim_step(sim, node, &ready);
		return;
	case SIM_EV_ACT: sim_act(sim, event->act, event->done); return;
	case SIM_EV_RECEIPT:
		if (!is_void) {
			node->receipt_due = false;
			sim_act(sim, UINT32_MAX, event->node);
		}
		return;
	case SIM_EV_FORKS:
		if (oracle_watch_forks(sim->oracle))
			sim_later(sim, sim->now_us + FORKS_EVERY_US, SIM_EV_FORKS, NULL);
		return;
	}
}

static void run_until(struct sim *sim, uint64_t until_us)
{
	while (!sim->stop && sim->queue.count > 0 && sim->queue.keys[0].at_us <= until_us) {
		const struct sim_event event = queue_take(sim);
		sim->now_us = event.at_us;
		happen(sim, &event);
	}
	if (!sim->stop)
		sim->now_us = until_us;
}

/* Nothing is left to do that everybody has done: where all are honest, all has been acknowledged by all. */
static bool all_done(struct sim *sim, char *why, size_t why_max)
{
	bool all_honest = true;

	for (uint16_t i = 0; i < sim->nodes_count; i++) {
		sim_node_check(sim, &sim->nodes[i]);
		all_honest &= sim->nodes[i].vice == SIM_HONEST;
	}
	for (uint16_t i = 0; i < sim->nodes_count; i++) {
		const struct sim_node *node = &sim->nodes[i];
		if (node->disk.rotten_count > 0 && node->vice == SIM_HONEST) {
			snprintf(why, why_max, "node %u has %u entries that its disk has changed", i, node->disk.rotten_count);
			return false;
		}
		if (all_honest && !sim_node_is_done(sim, node, why, why_max))
			return false;
	}
	return true;
}

static void heal(struct sim *sim)
{
	const uint64_t from_us = sim->now_us, until_us = from_us + sim->plan->heal_ms * 1000;
	char why[sizeof(sim->result->detail)] = "";

	sim->healing = true;
	sim_act_heal_all(sim);
	while (!sim->stop) {
		run_until(sim, sim->now_us + AGREE_EVERY_MS * 1000);
		if (sim->stop)
			return;
		if (oracle_agreed(sim->oracle, why, sizeof(why)) && all_done(sim, why, sizeof(why)))
			break;
		if (sim->now_us >= until_us) {
			sim_fail(sim, "agreed", "not within %llu s of healing: %s", (unsigned long long)(sim->plan->heal_ms / 1000), why);
			return;
		}
	}
	sim->result->healed_in_ms = (sim->now_us - from_us) / 1000;
}

static void on_record(void *ctx, const uint8_t key[32], uint64_t nonce, uint8_t *plain, size_t plain_bytes)
{
	struct sim *sim = ctx;

	if (sim->stepping == SIM_NOBODY)
		return;
	sim_vice_record(sim, &sim->nodes[sim->stepping], key, plain, plain_bytes);
	if (sim->options.observer && sim->options.observer->record)
		sim->options.observer->record(sim->options.observer->ctx, sim->now_us, sim->stepping, plain, plain_bytes);
	if (sim->oracle)
		bounds_record(sim, plain, plain_bytes);
	if (sim->oracle)
		oracle_record(sim->oracle, sim->stepping, key, nonce, plain, plain_bytes);
}

void sim_run(const struct sim_plan *plan, const struct sim_options *options, struct sim_result *out)
{
	struct sim sim = { .plan = plan, .options = *options, .result = out, .stepping = SIM_NOBODY, .events_free = UINT32_MAX };

	assert(plan->nodes <= SIM_NODES_MAX && plan->authors <= plan->nodes && sodium_init() >= 0);
	memset(out, 0, sizeof(*out));
#ifdef M_MMAP_THRESHOLD /* glibc */
	/* An engine's memory is large, and little of it is used: each start takes what is still zero, not what has to be made so. The rest is kept. */
	(void)mallopt(M_MMAP_THRESHOLD, ENGINE_BYTES_MIN);
	(void)mallopt(M_TRIM_THRESHOLD, SPARE_BYTES_MAX);
#endif
	seam_set(plan->real_crypto, on_record, &sim);
	world_make(&sim);
	for (uint16_t i = 0; i < sim.nodes_count && !sim.stop; i++)
		sim_node_boot(&sim, &sim.nodes[i]);
	if (options->observer && options->observer->started)
		options->observer->started(options->observer->ctx, &sim);
	for (uint32_t i = 0; i < plan->acts_count; i++)
		sim_later(&sim, plan->acts[i].at_ms * 1000, SIM_EV_ACT, NULL)->act = i;
	if (sim.oracle && somebody_forks(&sim))
		sim_later(&sim, 0, SIM_EV_FORKS, NULL);
	run_until(&sim, plan->chaos_ms * 1000);
	if (!sim.stop && sim.oracle)
		heal(&sim);
	if (options->observer && options->observer->ended)
		options->observer->ended(options->observer->ctx, &sim);
	for (uint16_t i = 0; i < sim.nodes_count; i++)
		out->steps += sim.nodes[i].steps;
	if (sim.oracle)
		out->entries_authored = oracle_authored(sim.oracle);
	world_free(&sim);
	seam_set(true, NULL, NULL);
}
