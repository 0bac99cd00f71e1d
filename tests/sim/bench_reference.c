#include "tests/sim/bench_reference.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim_impl.h"

#define GOSSIP_D 6
#define GOSSIP_LAZY 6
#define GOSSIP_HEARTBEAT_US 1000000u
#define GOSSIP_ROUNDS 3
#define GOSSIP_ID_BYTES 32u

/* --- the links --- */

static bool stands(const struct sim *sim, const struct sim_conn *conn)
{
	bool both = conn->used;

	for (int k = 0; k < 2; k++)
		both = both && conn->ends[k].open && conn->ends[k].told && sim->nodes[conn->ends[k].node].up;
	return both;
}

void graph_make(struct graph *g, const struct sim *sim)
{
	*g = (struct graph){ .nodes = sim->nodes_count };
	g->first = calloc(g->nodes + 2u, sizeof(*g->first));
	g->is_honest = calloc(g->nodes, sizeof(*g->is_honest));
	g->path_us = calloc(g->nodes, sizeof(*g->path_us));
	assert(g->first && g->is_honest && g->path_us);
	for (uint32_t i = 0; i < sim->conns_count; i++) {
		for (int k = 0; stands(sim, &sim->conns[i]) && k < 2; k++)
			g->first[sim->conns[i].ends[k].node + 1]++;
	}
	for (uint16_t i = 0; i < g->nodes; i++)
		g->first[i + 1] += g->first[i];
	g->edges = calloc(g->first[g->nodes] + 1u, sizeof(*g->edges));
	assert(g->edges);
	for (uint32_t i = 0; i < sim->conns_count; i++) {
		for (int k = 0; stands(sim, &sim->conns[i]) && k < 2; k++) {
			const uint16_t from = sim->conns[i].ends[k].node, to = sim->conns[i].ends[!k].node;
			g->edges[g->first[from]++] = (struct edge){ to, sim_delay_us(sim, from, to) };
		}
	}
	memmove(g->first + 1, g->first, g->nodes * sizeof(*g->first)); /* each has moved to its end */
	g->first[0] = 0;
	for (uint16_t i = 0; i < g->nodes; i++)
		g->is_honest[i] = sim->nodes[i].vice == SIM_HONEST;
}

void graph_free(struct graph *g)
{
	free(g->first);
	free(g->edges);
	free(g->is_honest);
	free(g->path_us);
}

/* --- who gets it when, and from whom --- */

struct arrival {
	uint64_t at_us;
	uint16_t node, from;
};

static void arrivals_put(struct heap *arrivals, struct arrival arrival)
{
	heap_put(arrivals, arrival.at_us, (uint32_t)arrival.node << 16 | arrival.from);
}

static struct arrival arrivals_take(struct heap *arrivals)
{
	const struct heap_key key = heap_take(arrivals);

	return (struct arrival){ key.at_us, (uint16_t)(key.item >> 16), (uint16_t)key.item };
}

/* --- ways to spread a message --- */

/* Who passes it on does so over these of its links: a bit each, NULL: all. Returns how many copies came. */
static uint64_t spread_from(const struct graph *g, uint16_t from, uint64_t hop_us, const uint8_t *eager, uint64_t *got_us)
{
	struct heap arrivals = { 0 };
	uint64_t copies = 0;

	for (uint16_t i = 0; i < g->nodes; i++)
		got_us[i] = UINT64_MAX;
	arrivals_put(&arrivals, (struct arrival){ 0, from, from });
	while (arrivals.count > 0) {
		const struct arrival a = arrivals_take(&arrivals);
		copies += a.node != from;
		if (got_us[a.node] != UINT64_MAX)
			continue;
		got_us[a.node] = a.at_us;
		if (a.node != from && !g->is_honest[a.node])
			continue;
		for (uint32_t e = g->first[a.node]; e < g->first[a.node + 1]; e++) {
			if (g->edges[e].to != a.from && (!eager || eager[e]))
				arrivals_put(&arrivals, (struct arrival){ a.at_us + (a.node == from ? 0 : hop_us) + g->edges[e].delay_us, g->edges[e].to, a.node });
		}
	}
	free(arrivals.keys);
	return copies;
}

const uint64_t *graph_shortest(const struct graph *g, uint16_t from, uint64_t hop_us)
{
	(void)spread_from(g, from, hop_us, NULL, g->path_us);
	return g->path_us;
}

/* Each node keeps about D of its links in its mesh, and both ends of a link agree. */
static uint8_t *mesh_make(const struct graph *g, struct rng *rng)
{
	uint8_t *eager = calloc(g->first[g->nodes] + 1u, 1);
	uint16_t *degree = calloc(g->nodes, sizeof(*degree));

	assert(eager && degree);
	for (uint16_t i = 0; i < g->nodes; i++) {
		const uint32_t links = g->first[i + 1] - g->first[i];
		for (uint32_t tries = 0; degree[i] < GOSSIP_D && tries < 4 * links; tries++) {
			const uint32_t e = g->first[i] + (uint32_t)rng_below(rng, links);
			const uint16_t other = g->edges[e].to;
			if (eager[e] || degree[other] >= 2 * GOSSIP_D)
				continue;
			for (uint32_t back = g->first[other]; back < g->first[other + 1]; back++) {
				if (g->edges[back].to == i)
					eager[back] = 1;
			}
			eager[e] = 1;
			degree[i]++;
			degree[other]++;
		}
	}
	free(degree);
	return eager;
}

/* ids: so many have been named in IHAVE and IWANT. At each heartbeat who has it tells some of its other links, and who lacks it asks; it has it three ways later, and passes it on in its mesh. */
static uint64_t gossip(const struct graph *g, uint16_t from, uint64_t hop_us, const uint8_t *eager, struct rng *rng, uint64_t *got_us, uint64_t *ids)
{
	uint64_t copies = spread_from(g, from, hop_us, eager, got_us), *beat_us = calloc(g->nodes, sizeof(*beat_us));
	struct heap arrivals = { 0 };

	assert(beat_us);
	for (uint16_t i = 0; i < g->nodes; i++)
		beat_us[i] = rng_below(rng, GOSSIP_HEARTBEAT_US);
	for (uint16_t i = 0; i < g->nodes; i++) {
		for (uint64_t round = 0; got_us[i] != UINT64_MAX && (g->is_honest[i] || i == from) && round < GOSSIP_ROUNDS; round++) {
			const uint64_t at_us = got_us[i] + (beat_us[i] + GOSSIP_HEARTBEAT_US - got_us[i] % GOSSIP_HEARTBEAT_US) % GOSSIP_HEARTBEAT_US +
			                       round * GOSSIP_HEARTBEAT_US;
			const uint32_t links = g->first[i + 1] - g->first[i];
			for (int k = 0; k < GOSSIP_LAZY; k++) {
				const uint32_t e = g->first[i] + (uint32_t)rng_below(rng, links);
				if (eager[e])
					continue;
				++*ids;
				arrivals_put(&arrivals, (struct arrival){ at_us + 3 * g->edges[e].delay_us, g->edges[e].to, i });
			}
		}
	}
	while (arrivals.count > 0) {
		const struct arrival a = arrivals_take(&arrivals);
		if (got_us[a.node] <= a.at_us)
			continue;
		copies++;
		++*ids; /* it was asked for, or passed on by one who had to ask */
		got_us[a.node] = a.at_us;
		for (uint32_t e = g->first[a.node]; g->is_honest[a.node] && e < g->first[a.node + 1]; e++) {
			if (eager[e] && got_us[g->edges[e].to] > a.at_us + hop_us + g->edges[e].delay_us)
				arrivals_put(&arrivals, (struct arrival){ a.at_us + hop_us + g->edges[e].delay_us, g->edges[e].to, a.node });
		}
	}
	free(arrivals.keys);
	free(beat_us);
	return copies;
}

void reference_run(const struct graph *g, uint16_t authors, enum reference reference, uint64_t hop_us, uint64_t seed, struct spread *out,
                   FILE *plot)
{
	struct rng rng = rng_stream(seed, SIM_RNG_TOPOLOGY, 1);
	struct sample *samples = malloc((size_t)g->nodes * authors * sizeof(*samples));
	uint64_t *got_us = calloc(g->nodes, sizeof(*got_us)), copies = 0, ids = 0;
	uint8_t *mesh = mesh_make(g, &rng);
	size_t count = 0, wanted = 0;

	assert(samples && got_us);
	for (uint16_t author = 0; author < authors; author++) {
		copies += reference == REFERENCE_FLOOD ? spread_from(g, author, hop_us, NULL, got_us) : gossip(g, author, hop_us, mesh, &rng, got_us, &ids);
		const uint64_t *path_us = graph_shortest(g, author, hop_us);
		for (uint16_t i = 0; i < g->nodes; i++) {
			if (i == author || path_us[i] == UINT64_MAX || !g->is_honest[i])
				continue;
			wanted++;
			if (got_us[i] != UINT64_MAX)
				samples[count++] = (struct sample){ got_us[i], path_us[i] };
		}
	}
	spread_of(samples, count, wanted, out);
	out->copies = (double)copies / authors / (g->nodes - 1u);
	out->control_bytes = (double)ids * GOSSIP_ID_BYTES / authors / g->nodes;
	for (size_t i = 0; plot && count > 0 && i <= 1000; i++)
		fprintf(plot, "%.3f %.3f\n", (double)samples[(count - 1) * i / 1000].took_us / 1000, (double)i / 1000);
	free(samples);
	free(got_us);
	free(mesh);
}

/* --- distributions --- */

static int by_took(const void *a, const void *b)
{
	const uint64_t x = ((const struct sample *)a)->took_us, y = ((const struct sample *)b)->took_us;

	return x < y ? -1 : x > y;
}

static int by_path(const void *a, const void *b)
{
	const uint64_t x = ((const struct sample *)a)->path_us, y = ((const struct sample *)b)->path_us;

	return x < y ? -1 : x > y;
}

static int by_ratio(const void *a, const void *b)
{
	const struct sample *x = a, *y = b;
	const double p = (double)x->took_us / (double)x->path_us, q = (double)y->took_us / (double)y->path_us;

	return p < q ? -1 : p > q;
}

void spread_of(struct sample *samples, size_t count, size_t wanted, struct spread *out)
{
	*out = (struct spread){ .reached = wanted ? (double)count / (double)wanted : 0 };
	if (count == 0)
		return;
	const size_t middle = count / 2, high = count * 99 / 100;
	qsort(samples, count, sizeof(*samples), by_path);
	const uint64_t path_p50_us = samples[middle].path_us, path_p99_us = samples[high].path_us;
	qsort(samples, count, sizeof(*samples), by_ratio);
	out->own_p99_ratio = (double)samples[high].took_us / (double)samples[high].path_us;
	qsort(samples, count, sizeof(*samples), by_took);
	out->p50_us = samples[middle].took_us;
	out->p99_us = samples[high].took_us;
	out->p50_ratio = (double)out->p50_us / (double)path_p50_us;
	out->p99_ratio = (double)out->p99_us / (double)path_p99_us;
}
