/* The simulator's inside. Time is in microseconds; a node's engine sees whole milliseconds of its own clock, which starts anew with it.
 *
 *   sim.c       the queue of what is to come, and the run          sim_node.c   an engine: its start, its steps, its effects
 *   sim_net.c   connections and what becomes of bytes on them     sim_disk.c   what a node has stored, and what it loses
 *   sim_act.c   what a plan has happen                            sim_vice.c   members that do what they should not
 *   bounds.c    how much peers can make a node hold               authors.c    that a node says what it was given to say
 */
#ifndef PL_TESTS_SIM_SIM_IMPL_H
#define PL_TESTS_SIM_SIM_IMPL_H

#include "proto/engine.h"
#include "tests/sim/heap.h"
#include "tests/sim/oracle.h"
#include "tests/sim/rng.h"
#include "tests/sim/sim.h"

#define SIM_WALL_START_MS 1790000000000ULL
#define SIM_CLOCK_START_MS 1000 /* a node's own clock when it starts */
#define SIM_PATHS_NODES_MAX 512 /* with more, links have no faults */

/* What a stream of random numbers is for. */
enum sim_purpose { SIM_RNG_PLACES = 1, SIM_RNG_TOPOLOGY, SIM_RNG_KEYS, SIM_RNG_PATH, SIM_RNG_DISK, SIM_RNG_STEP, SIM_RNG_BODY, SIM_RNG_VICE, SIM_RNG_STRIKE };

enum sim_event_type {
	SIM_EV_TICK, SIM_EV_CHUNK, SIM_EV_SENT, SIM_EV_DIAL, SIM_EV_UP, SIM_EV_RELEASE, SIM_EV_COMMIT, SIM_EV_LOADED, SIM_EV_VERIFIED,
	SIM_EV_SCRUB, SIM_EV_ROOM, SIM_EV_BOOT, SIM_EV_READY, SIM_EV_ACT, SIM_EV_RECEIPT, SIM_EV_FORKS,
};

struct sim_chunk;
struct sim_load;

struct sim_event {
	uint64_t at_us;
	uint8_t type;
	uint16_t node, peer;
	uint32_t boot; /* of the node: the event is void after its next start */
	union {
		struct { uint32_t handle, number; struct sim_chunk *chunk; };
		struct { uint32_t act, done; };
		struct { uint32_t token, good; };
		struct sim_load *load;
		uint32_t next_free; /* where there is none */
	};
};

/* --- what is stored: the same entry of many nodes once --- */
struct sim_entry {
	struct sim_entry *next; /* of the same bucket */
	uint32_t held, body_bytes;
	bool is_right; /* the oracle has found that the id, and the hash in the header, are those of what stands here */
	uint8_t id[PL_ID_BYTES], header[PL_ENTRY_HEADER_BYTES];
	uint8_t body[];
};

#define SIM_ROTTEN_MAX 8

struct sim_lane {
	struct sim_entry **entries; /* seq 1 first */
	uint64_t count, max;
	uint64_t rotten[SIM_ROTTEN_MAX]; /* places of which the disk has changed the entry; 0: none */
};

/* What is on its way to the disk. */
struct sim_write {
	struct sim_write *next;
	struct sim_entry *entry;
	uint16_t author;
	uint8_t lane;
	bool urgent, taken, is_repair;
};

struct sim_load {
	uint32_t token;
	uint16_t author;
	uint8_t lane;
	uint64_t from, to;
	uint32_t max_bytes;
};

struct sim_fork_kept {
	bool is_kept;
	uint8_t headers[2][PL_ENTRY_HEADER_BYTES];
};

struct sim_disk {
	struct sim_lane *lanes; /* [author][lane] */
	uint64_t *acked;        /* [peer][author][lane] */
	bool has_acked;         /* any */
	struct sim_fork_kept *forks;
	uint16_t anchors[PL_ANCHORS_MAX];
	uint64_t kept_seq[PL_LANES]; /* of its own feed, beside the store: what it has ever signed */
	uint32_t rotten_count;
};

/* --- connections --- */
struct sim_chunk {
	struct sim_chunk *next;
	uint32_t count;
	bool is_end; /* the other end has hung up */
	uint8_t bytes[];
};

struct sim_direction {
	uint64_t busy_until_us, arrived_us;
	struct sim_chunk *held, **held_last; /* the path is cut */
	uint32_t held_bytes, unacked_bytes;
	bool sent_waits; /* the sender is told when what is held has gone */
};

struct sim_conn {
	bool used, tampered;
	uint16_t number;
	uint32_t next_free; /* where it is not used */
	struct {
		uint16_t node;
		uint32_t boot;
		bool open, told; /* told: its node knows of it */
		uint64_t gave, spent; /* credit: given to the other end, and used of what that has given */
	} ends[2];
	struct sim_direction to[2]; /* towards that end */
};

/* From one node to another. */
struct sim_path {
	bool cut;
	uint32_t rate, loss, flip, duplicate, reorder;
	struct rng rng;
};

struct sim_node {
	uint16_t index, self; /* self: in its charter */
	bool up, full;
	uint64_t fails_until_us; /* the next commit before then fails, and until then nothing is taken */
	uint8_t room;        /* for so many lanes */
	uint64_t share_bytes; /* for so much of a lane of one member; 0: for all */
	uint32_t ticks;      /* at tick_us */
	uint64_t tick_us;
	enum sim_vice vice;
	uint32_t boot;
	uint64_t booted_us, tick_at_us;
	int64_t wall_offset_ms;
	struct pl_charter *charter;
	struct pl_engine_config config;
	struct pl_engine *engine;
	void *memory;
	size_t memory_bytes;
	uint8_t sign_secret[PL_SIGN_SECRET_BYTES], noise_secret[32];
	struct sim_disk disk, backup;
	bool has_backup, was_restored, is_copy; /* is_copy: was ever restored */
	struct sim_write *writes, **writes_last;
	uint32_t writes_count;
	bool committing, receipt_due;
	uint32_t commits; /* so far */
	uint64_t commit_ends_us; /* the one under way */
	uint32_t strike, strike_ppm; /* 1 + the act that is to strike within a commit, and at which millionth of it; 0: none */
	uint64_t slow_until_us;
	uint32_t slower;     /* a commit takes so many times as long until then */
	uint32_t dial_number;
	uint32_t *dials; /* per peer: the number of the dial under way; 0: none */
	uint16_t *peers, *dial_to; /* charter index -> node; whom it dials (charter indexes) */
	uint16_t peers_count, dial_to_count;
	struct sim_pieces *pieces; /* sim_vice.c: of whom are the entries that it sends in pieces */
	uint32_t pieces_next;
	struct sim_replay *replay; /* of SIM_REPLAYS: what it has said */
	uint64_t said_gseq; /* the greatest of its own that was ever durable */
	uint64_t spent_us[PL_LANES], flash_spent_us; /* of its own quota: when that is whole again */
	struct rng disk_rng, step_rng;
	uint64_t steps;
};

#define SIM_RECORDS_MAX 128

/* What its engine has encrypted in this step, for whom it may cost or give credit. */
struct sim_record {
	const uint8_t *plain;
	uint64_t gives, costs;
};

struct sim {
	const struct sim_plan *plan;
	struct sim_options options;
	struct sim_result *result;
	struct oracle *oracle;
	uint64_t now_us;
	struct heap queue; /* of events */
	struct sim_event *events;
	uint32_t events_count, events_max, events_free;
	struct sim_node *nodes;
	uint16_t nodes_count;
	uint8_t network_id[PL_ID_BYTES];
	struct sim_path *paths; /* [from][to]; NULL: there are too many */
	int32_t (*places)[3];   /* km */
	uint8_t *continents;    /* where each lies: what its neighbours know as its group */
	struct sim_conn *conns;
	uint32_t conns_count, conns_max, conns_free;
	struct sim_entry **entries; /* by id */
	uint32_t entries_buckets, entries_count;
	struct sim_record records[SIM_RECORDS_MAX];
	uint32_t records_count;
	uint16_t stepping; /* whose engine is at work; SIM_NOBODY */
	const struct sim_entry *own; /* of itself, that it has given to its disk: the last one, and how many since something was submitted */
	uint32_t own_stored;
	bool submitting, gseqs_same; /* gseqs: what authors_same_gseq() has found, when there was so much to look at */
	uint64_t gseqs_sum;
	bool healing;
	bool stop;
};

/* --- sim.c --- */
struct sim_event *sim_later(struct sim *sim, uint64_t at_us, enum sim_event_type type, const struct sim_node *node);
void sim_trace(struct sim *sim, uint16_t node, const char *what, uint64_t a, uint64_t b);
void sim_fail(struct sim *sim, const char *invariant, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* --- sim_node.c --- */
void sim_node_boot(struct sim *sim, struct sim_node *node);
/* Its process is gone; tells: the kernel lets the other ends know. */
void sim_node_down(struct sim *sim, struct sim_node *node, bool tells);
enum pl_err sim_step(struct sim *sim, struct sim_node *node, struct pl_event *event);
void sim_tick(struct sim *sim, struct sim_node *node);
void sim_node_check(struct sim *sim, const struct sim_node *node); /* that nobody counts as having acknowledged what it has not */
/* Whether all that it has is acknowledged by all its honest neighbours; why not, otherwise. */
bool sim_node_is_done(const struct sim *sim, const struct sim_node *node, char *why, size_t why_max);
uint64_t sim_node_now_ms(const struct sim *sim, const struct sim_node *node);

/* --- sim_net.c --- */
void sim_net_make(struct sim *sim);
void sim_net_free(struct sim *sim);
uint64_t sim_delay_us(const struct sim *sim, uint16_t from, uint16_t to);
struct sim_path *sim_path(struct sim *sim, uint16_t from, uint16_t to); /* NULL: has no faults */
struct sim_conn *sim_conn_of(struct sim *sim, uint32_t handle, int *end);
void sim_net_dial(struct sim *sim, struct sim_node *node, uint16_t peer);
void sim_net_dialled(struct sim *sim, const struct sim_event *event);
void sim_net_up(struct sim *sim, const struct sim_event *event);
void sim_net_send(struct sim *sim, uint32_t handle, const uint8_t *bytes, size_t count);
void sim_net_close(struct sim *sim, uint32_t handle);
void sim_net_chunk(struct sim *sim, const struct sim_event *event);
void sim_net_sent(struct sim *sim, const struct sim_event *event);
void sim_net_release(struct sim *sim, uint16_t from, uint16_t to);
void sim_net_reset(struct sim *sim, uint16_t a, uint16_t b);
/* Whether a link between them is live at both ends, and nothing that was said over it is held up. */
bool sim_is_linked(struct sim *sim, uint16_t a, uint16_t b);
void sim_net_node_down(struct sim *sim, struct sim_node *node, bool tells);

/* --- sim_disk.c --- */
void sim_disk_make(struct sim_node *node);
void sim_disk_free(struct sim *sim, struct sim_disk *disk, const struct sim_node *node);
void sim_disk_store(struct sim *sim, struct sim_node *node, const struct pl_effect *fx);
void sim_disk_commit(struct sim *sim, struct sim_node *node);    /* begins one, if none is under way and something waits */
void sim_disk_committed(struct sim *sim, struct sim_node *node); /* the one under way is done */
void sim_disk_drop(struct sim *sim, struct sim_node *node);      /* what waits to be written is not */
void sim_disk_crash(struct sim *sim, struct sim_node *node, uint64_t seed); /* some of what was on its way is there, most is not */
void sim_disk_fails(struct sim *sim, struct sim_node *node);
void sim_disk_restore(struct sim *sim, struct sim_node *node); /* tells the engine what there is */
void sim_disk_loaded(struct sim *sim, struct sim_node *node, struct sim_load *load);
void sim_disk_copy(struct sim_disk *to, const struct sim_node *node);
void sim_disk_put_back(struct sim *sim, struct sim_node *node);
void sim_disk_rots(struct sim *sim, struct sim_node *node, uint64_t seed);
void sim_disk_scrub(struct sim *sim, struct sim_node *node); /* reads all that it has, and says what has changed */
void sim_disk_room(struct sim *sim, struct sim_node *node, uint8_t lanes, uint64_t share_bytes); /* share_bytes: 0: all */

/* --- bounds.c --- */
void bounds_record(struct sim *sim, const uint8_t *plain, size_t plain_bytes);
void bounds_sent(struct sim *sim, struct sim_conn *conn, int end, const uint8_t *bytes, size_t count);
void bounds_store(struct sim *sim, const struct sim_node *node, uint16_t author, uint8_t lane, uint64_t seq);

/* --- authors.c --- */
void authors_store(struct sim *sim, const struct sim_node *node, const struct sim_entry *entry);
/* Whether honest nodes hold different entries of an author with one gseq. */
bool authors_same_gseq(struct sim *sim, uint16_t author);
enum pl_err authors_submit(struct sim *sim, struct sim_node *node, struct pl_event *event);

/* --- sim_act.c --- */
void sim_act(struct sim *sim, uint32_t act, uint32_t done);
void sim_act_heal_all(struct sim *sim);
void sim_act_in_commit(struct sim *sim, const struct sim_node *node); /* a commit is under way: when in it what waits for one strikes */

/* --- sim_vice.c --- */
void sim_vice_record(struct sim *sim, struct sim_node *node, const uint8_t key[32], uint8_t *plain, size_t plain_bytes);
/* Whether what it sends is to be sent twice. */
bool sim_vice_repeats(const struct sim *sim, const struct sim_node *node);

#endif
