/* The small world's inside: world.c (its engines and its clock), world_link.c, world_store.c. */
#ifndef PL_TESTS_WORLD_IMPL_H
#define PL_TESTS_WORLD_IMPL_H

#include "tests/world.h"

#define LINKS_MAX 4096
#define SENT_MAX 512
#define CHECKED_MAX 64
#define WALL_START_MS 1790000000000ULL

struct room {
	struct room *next;
	_Alignas(max_align_t) uint8_t bytes[];
};

struct chunk {
	struct chunk *next;
	uint64_t at_ms;
	size_t count, taken;
	uint8_t bytes[];
};

struct end {
	uint16_t node; /* PL_NODE_NONE: the test */
	uint32_t link;
	struct chunk *first, **last; /* towards this end */
	/* where the end is the test: */
	uint16_t plays; /* the node that was dialled, until the test has been told; PL_NODE_NONE */
	uint8_t *inbox;
	size_t received, taken;
	bool stalled;
	uint64_t busy_until_us; /* what is sent towards this end */
};

struct link {
	bool used, open;
	struct end ends[2];
};

struct entry {
	uint8_t header[PL_ENTRY_HEADER_BYTES];
	uint8_t *body;
	uint32_t body_bytes;
	uint64_t durable_at_ms;
	bool rotten; /* the disk has changed it, and the store notices when it is read */
};

struct lane_store {
	struct entry *entries;
	size_t count, max;
};

struct pending {
	struct pending *next;
	uint64_t at_ms;
	uint16_t node;
	uint8_t lane, id[PL_ID_BYTES];
	uint64_t seq, gseq;
	struct entry entry;
	bool is_repair;
};

struct load {
	struct load *next;
	uint32_t token;
	uint16_t node;
	uint8_t lane;
	uint64_t from, to;
	uint32_t max_bytes;
};

/* Verdicts that are on their way to the engine. */
struct checked {
	uint64_t at_ms;
	uint32_t token, good;
};

struct node {
	struct pl_engine_config config;
	struct pl_engine *engine;
	void *memory;
	uint8_t sign_secret[PL_SIGN_SECRET_BYTES], noise_secret[32];
	struct lane_store lanes[WORLD_NODES_MAX][PL_LANES];
	uint64_t acked[WORLD_NODES_MAX][WORLD_NODES_MAX][PL_LANES];
	struct pending *pending, **pending_last;
	struct load *loads, **loads_last;
	bool store_fails, store_forgets, store_lacks_memory, dials[WORLD_NODES_MAX], named[WORLD_NODES_MAX];
	uint32_t group;
	uint16_t anchors[PL_ANCHORS_MAX];
	struct checked checked[CHECKED_MAX];
	uint32_t checked_count;
	uint32_t notes[PL_NOTE_CAUGHT_UP + 1], forks, loads_count, dials_count, repairs;
	const char *details[PL_NOTE_CAUGHT_UP + 1];
	uint16_t dial_due[WORLD_NODES_MAX], dial_count;
	struct {
		uint32_t link;
		uint64_t at_ms;
	} sent_due[SENT_MAX];
	uint32_t sent_count;
	uint8_t fork[WORLD_NODES_MAX][2][PL_ENTRY_HEADER_BYTES]; /* by author */
	bool forked[WORLD_NODES_MAX];
	bool played;
	uint64_t tick_verified; /* the most */
};

struct world {
	uint16_t count;
	uint64_t now_ms, latency_ms, commit_ms, lane_commit_ms[PL_LANES], check_ms, rate, draws;
	uint8_t seed[32];
	bool started, cut[WORLD_NODES_MAX][WORLD_NODES_MAX];
	struct pl_charter *charter;
	struct node nodes[WORLD_NODES_MAX];
	struct link links[LINKS_MAX];
	int links_end; /* none is used from here on */
	uint16_t *slots; /* of links, by half their ends' handles */
	uint32_t slots_max, next_link;
	world_tamper tamper;
	void *tamper_ctx;
	struct room *rooms;
	uint8_t story[32];
};

/* --- world_link.c --- */
struct end *world_link_end(struct world *w, uint16_t node, uint32_t link, struct link **out_link);
/* Returns when it will have left. */
uint64_t world_link_push(struct world *w, struct link *link, int to, const uint8_t *bytes, size_t count);
struct link *world_link_new(struct world *w, uint16_t a, uint16_t b);
void world_link_free(struct link *link);
void world_link_let_go(struct world *w, uint16_t node, uint32_t handle);
void world_link_break(struct world *w, struct link *link);
bool world_link_run(struct world *w, struct link *link); /* what arrives now; whether anything did */

/* --- world_store.c --- */
void world_store_append(struct lane_store *lane, const struct entry *entry);
void world_pending_drop(struct node *n); /* what has been given to its disk and is not there yet */
bool world_store_run(struct world *w, uint16_t node); /* what is due now; whether anything was */

/* world_check.c: asserts what holds after every step of a node's engine */
void world_check(const struct node *n);

#endif
