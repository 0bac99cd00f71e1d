/* A small world for the engine's tests: several engines in one process, on a virtual clock, with links and stores of memory.
 *
 * Time passes only in world_run_ms(). A link carries bytes after latency_ms; a store makes entries durable after commit_ms. What happens is a
 * function of the calls and of the seed. Tests read as a timed story; see proto/engine_test.c.
 */
#ifndef PL_TESTS_WORLD_H
#define PL_TESTS_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/engine.h"

#define WORLD_NODES_MAX 128

struct world;

struct world *world_new(uint16_t nodes, uint64_t seed);
void world_free(struct world *world);
void *world_room(struct world *world, size_t bytes); /* memory that goes with the world */
struct pl_charter *world_charter(struct world *world); /* before world_start(): to change keys, validity, courier keys */
struct pl_engine_config *world_config(struct world *world, uint16_t node); /* likewise */
void world_start(struct world *world);

/* a may dial b, and b accepts. Before or after world_start(). */
void world_link(struct world *world, uint16_t a, uint16_t b);
/* Of the nodes from first to below end, each may dial those behind it. */
void world_mesh(struct world *world, uint16_t first, uint16_t end);
/* As for all others of the world, both ways. */
void world_link_all(struct world *world);
/* What others are told with its address; of each node another if this is not called. Before they are linked. */
void world_group(struct world *world, uint16_t node, uint32_t group);
void world_name(struct world *world, uint16_t a, uint16_t b); /* a's operator has named b. Before world_start() */
void world_cut(struct world *world, uint16_t a, uint16_t b);  /* the link breaks, and dialling fails */
void world_heal(struct world *world, uint16_t a, uint16_t b);
void world_latency(struct world *world, uint64_t latency_ms, uint64_t commit_ms);
/* How long commits of one lane take, as urgent ones do not wait for others; UINT64_MAX: as those of all. So the disk can fail with one lane
 * committed and another not. */
void world_lane_latency(struct world *world, uint8_t lane, uint64_t commit_ms);
/* What each direction of each link carries; what is sent has been written when it has left. 0: any amount at once. */
void world_rate(struct world *world, uint64_t bytes_per_s);
void world_check_takes(struct world *world, uint64_t check_ms); /* until the verdict on signatures of bulk is there */
/* Called with every chunk in flight; may change it, or return false to drop it. */
typedef bool (*world_tamper)(void *ctx, uint16_t from, uint16_t to, uint8_t *bytes, size_t count);
void world_set_tamper(struct world *world, world_tamper tamper, void *ctx);

enum pl_err world_submit(struct world *world, uint16_t node, uint8_t lane, uint8_t kind, uint8_t flags, const void *body, uint32_t body_bytes);
/* Many of the same size, on lane 2, waiting where the engine says that it is full. */
void world_submit_bulk(struct world *world, uint16_t node, uint32_t count, uint32_t body_bytes);
void world_run_ms(struct world *world, uint64_t ms);
/* Runs until all frontiers are equal; false if they are not within ms. */
bool world_converges(struct world *world, uint64_t ms);
uint64_t world_now(const struct world *world);
/* A hash of all effects so far, with their times: the same for the same calls and seed, whatever the compiler. */
void world_story(const struct world *world, uint8_t hash[32]);
uint64_t world_wall(const struct world *world); /* unix ms, as the nodes have it */

void world_stop(struct world *world, uint16_t node);  /* the node is gone, its store stays; world_crash() starts it again */
void world_crash(struct world *world, uint16_t node); /* keeps what is durable; starts again at once */
void world_restore_copy(struct world *world, uint16_t node, uint8_t lane, uint64_t keep_seq); /* as from an old backup; then starts */
void world_drain(struct world *world, uint16_t node); /* as before the daemon stops: it says goodbye and takes nothing more */
void world_store_forgets(struct world *world, uint16_t node, bool forgets); /* it answers every question with nothing */
void world_store_lacks_memory(struct world *world, uint16_t node, bool lacks); /* likewise, and says why */
/* The disk changes the body of an entry; the store notices when it reads it next, or now. world_repairs(): how many have been put right. */
void world_rot(struct world *world, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq);
void world_find_rot(struct world *world, uint16_t node, uint16_t author, uint8_t lane);
uint32_t world_repairs(const struct world *world, uint16_t node);
void world_store_fails(struct world *world, uint16_t node, bool fails);
/* Adds an entry to a node's store behind its engine's back, as a forking author would: signs it as author with other content. */
void world_forge(struct world *world, uint16_t holder, uint16_t author, uint8_t lane, uint64_t seq, const void *body, uint32_t body_bytes);

/* Puts an event into a node's engine, and carries out what comes of it. */
enum pl_err world_step(struct world *world, uint16_t node, struct pl_event *event);
struct pl_engine *world_engine(struct world *world, uint16_t node);
uint64_t world_durable(struct world *world, uint16_t node, uint16_t author, uint8_t lane);
/* Virtual ms at which an entry became known (accepted) and durable there; 0 if it is not. */
uint64_t world_durable_at(struct world *world, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq);
bool world_same_entry(struct world *world, uint16_t a, uint16_t b, uint16_t author, uint8_t lane, uint64_t seq);
uint32_t world_notes(const struct world *world, uint16_t node, enum pl_note_code code);
const char *world_last_detail(const struct world *world, uint16_t node, enum pl_note_code code);
uint32_t world_forks(const struct world *world, uint16_t node);
uint32_t world_dials(const struct world *world, uint16_t node); /* how often it has dialled */
uint16_t world_anchor(const struct world *world, uint16_t node, int i); /* as its store keeps them; PL_NODE_NONE */
/* The most signatures that it has verified itself in one PL_EV_TICK. */
uint64_t world_tick_verified(const struct world *world, uint16_t node);
uint32_t world_loads(const struct world *world, uint16_t node); /* how often it has read from its store */

/* Raw access for hostile peers: a connection that the test itself speaks on. tests/member.h speaks the protocol on one. */
#define WORLD_TEST_ADDRESS 0xbad
uint32_t world_raw_connect(struct world *world, uint16_t node);
uint32_t world_raw_connect_from(struct world *world, uint16_t node, uint64_t address_hash);
void world_raw_send(struct world *world, uint32_t link, const uint8_t *bytes, size_t count);
size_t world_raw_received(struct world *world, uint32_t link); /* bytes that the node has answered */
/* Takes up to max of them; what is taken does not come again, but still counts as received. */
size_t world_raw_take(struct world *world, uint32_t link, uint8_t *out, size_t max);
bool world_raw_open(struct world *world, uint32_t link);
void world_raw_close(struct world *world, uint32_t link);
/* The test reads nothing more: what the node sends is never reported to it as sent. */
void world_raw_stall(struct world *world, uint32_t link);

/* A node that the test plays: it has keys and a place in the charter, and no engine. Before world_start(). */
void world_play(struct world *world, uint16_t node);
/* The connection that another node has dialled to one that is played; PL_LINK_NONE: none that has not been told of. */
uint32_t world_raw_dialled(struct world *world, uint16_t node);

#endif
