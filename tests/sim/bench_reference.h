/* What the engine is measured against, on the same links: the shortest path, flooding, and a mesh like gossipsub's (libp2p pubsub, gossipsub v1.0:
 * D 6, D_lazy 6, a heartbeat a second, IHAVE for the last three). No engine here: a message is a time at which a node has it.
 */
#ifndef PL_TESTS_SIM_BENCH_REFERENCE_H
#define PL_TESTS_SIM_BENCH_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct sim;

struct edge {
	uint16_t to;
	uint64_t delay_us;
};

struct graph {
	uint16_t nodes;
	uint32_t *first; /* of node i: edges[first[i]] to edges[first[i + 1] - 1] */
	struct edge *edges;
	bool *is_honest;
	uint64_t *path_us;
};

void graph_make(struct graph *graph, const struct sim *sim); /* of the links that stand now */
void graph_free(struct graph *graph);
/* From one node to all, through honest ones; each that passes it on takes hop_us for that. UINT64_MAX: none. Valid until the next call. */
const uint64_t *graph_shortest(const struct graph *graph, uint16_t from, uint64_t hop_us);

struct sample {
	uint64_t took_us, path_us;
};

struct spread {
	uint64_t p50_us, p99_us;
	double p50_ratio, p99_ratio; /* of the quantile to that of the shortest path */
	double own_p99_ratio;        /* the 99th percentile of the ratios of each to its own path */
	double copies, reached;
	double control_bytes;        /* a node, for each message: an IHAVE or IWANT of one id of 32 bytes each; of nothing but gossip */
};
/* Sorts the samples. */
void spread_of(struct sample *samples, size_t count, size_t wanted, struct spread *out);

enum reference { REFERENCE_FLOOD, REFERENCE_GOSSIP };
void reference_run(const struct graph *graph, uint16_t authors, enum reference reference, uint64_t hop_us, uint64_t seed, struct spread *out,
                   FILE *plot); /* plot: gets the distribution; NULL: not */

#endif
