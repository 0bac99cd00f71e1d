/* A simulated world for the engine: the real object code of proto/ and crypto/, many nodes in one process, on a virtual clock, with links and
 * disks that fail as real ones do. What happens is a function of the plan alone.
 *
 * A **plan** is a network and a list of **acts**, each with its time: somebody submits an entry, a link is cut, a node loses power. plan.c draws
 * one from a seed; case.c reads and writes it as text; shrink.c leaves acts out as long as the failure stays. A run has a **chaos** phase, in
 * which the acts happen, and then everything is healed and the nodes have until the deadline to agree. The **oracle** (oracle.h) watches both.
 *
 * To add a fault: an act here, its name in case.c, what it does in sim_act.c, and where plan.c draws it. tests/README.md says more.
 */
#ifndef PL_TESTS_SIM_SIM_H
#define PL_TESTS_SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define SIM_NODES_MAX 10000
#define SIM_NOBODY 0xffffu

struct sim;

enum sim_act_type {
	SIM_SUBMIT,  /* node authors `count` entries: lane, kind, flags, bytes each */
	SIM_CUT,     /* nothing passes from a to b; what is sent waits, as TCP has it */
	SIM_HEAL,    /* it passes again */
	SIM_RESET,   /* the connections between a and b break, and both ends notice */
	SIM_CLOG,    /* from a to b at so many bytes a second, 0: as before */
	SIM_LOSS,    /* from a to b so many in a million chunks are late, by what a retransmission takes */
	SIM_FLIP,    /* from a to b in so many of a million chunks a bit is inverted */
	SIM_DUPLICATE, /* likewise, the chunk comes twice */
	SIM_REORDER,  /* likewise, it comes after the next one */
	SIM_CRASH,   /* the process of node ends; it starts again `ms` later */
	SIM_POWER,   /* the machine does: peers are not told, and of what was not synced some is left */
	SIM_STOP,    /* the process says goodbye first */
	SIM_FULL,    /* for ms its disk is full: the next commit fails, and then nothing is taken */
	SIM_IO_ERROR, /* the next commit fails, and the process ends and starts again */
	SIM_SLOW_DISK, /* for ms a commit takes `count` times as long, 0: 50 */
	SIM_CLOCK,   /* its clock of the day jumps by so many ms */
	SIM_BACKUP,  /* its files are copied */
	SIM_RESTORE, /* and put back, as an administrator would: without what an author's place in its feed hangs on */
	SIM_ROT,     /* its disk changes an entry that another node holds too */
	SIM_ROOM,    /* for ms its disk has room for `lane` lanes alone, from lane 0 up, and for `bytes` of a lane of one member, 0: all */
	SIM_ACTS
};

struct sim_act {
	uint64_t at_ms;
	enum sim_act_type type;
	uint16_t a, b;          /* node, and the other one of a link */
	uint8_t lane, kind, flags;
	uint32_t bytes, count;  /* of SUBMIT; count: millionths of a link's faults, bytes a second of CLOG */
	int64_t ms;             /* how long; how far */
	uint64_t seed;          /* what is left to chance in it */
};

/* What a member does that it should not. */
enum sim_vice {
	SIM_HONEST,
	SIM_WITHHOLDS,  /* takes everything and passes nothing of others on */
	SIM_SELECTS,    /* passes on what is not of one author */
	SIM_FORKS,      /* goes back to an old copy of its disk as if nothing were, and signs other entries in the place of those that it has lost */
	SIM_MUTE,       /* acknowledges nothing */
	SIM_FORGES,     /* changes entries that it sends: body, predecessor, signature */
	SIM_SILENT,     /* says HELLO, answers PINGs, and nothing else */
	SIM_LIES,       /* names heads that it has not, and passes nothing of others on */
	SIM_REPLAYS,    /* says again what it has said before: frames, to whomever, those with the entries of others among them, and whole records */
	SIM_FLOODS,     /* keeps to no quota of its own */
	SIM_SKEWED, SIM_SLOW, /* its plan sees to what it is; what it says is as it should be */
	SIM_VICES
};

/* SIM_CHOICE: each can dial many, and its engine chooses; a plan that is drawn has it only where there are more than 32 nodes. SIM_ECLIPSE: so too;
 * but of the honest ones node 0 can dial node 1 alone, and none can dial node 0. */
enum sim_topology { SIM_MESH, SIM_RING, SIM_STAR, SIM_RANDOM, SIM_CHOICE, SIM_ECLIPSE, SIM_TOPOLOGIES };

struct sim_plan {
	uint64_t seed;
	uint16_t nodes;
	uint16_t authors;    /* the first of them; the others only relay */
	uint16_t degree;     /* of SIM_RANDOM: links that a node dials; of SIM_CHOICE: that it could, 0: all */
	uint16_t nodes_per_member; /* 0: one, where a charter can have so many members */
	enum sim_topology topology;
	uint64_t chaos_ms, heal_ms; /* length of the first phase; what the second may take */
	bool real_crypto;    /* signatures, key agreement and records as they are; otherwise keyed hashes in their place */
	bool receipts;       /* who gets a message says so */
	uint32_t quota_burst; /* bytes of lanes 0 and 1 that an author may have at once, and a 32nd of that a second; 0: as the engine has it */
	bool anchored;       /* of SIM_ECLIPSE: node 0 remembers node 1 from earlier days */
	bool besieged;       /* and the hostile ones dial it */
	uint16_t flooder;    /* this node keeps to no quota; SIM_NOBODY */
	uint64_t prompt_from_ms, prompt_slack_ms; /* what is said from then on is there as soon as it can be, and so much; 0: it is not looked at */
	uint8_t vices[64];   /* of the first nodes: enum sim_vice */
	uint64_t old;        /* bit i: node i knows no tags, until it is stopped and comes back with a newer version */
	uint32_t withhold_ppm; /* so many in a million of those that author nothing withhold, from then on: */
	uint64_t withhold_from_ms;
	bool steady;         /* every chunk takes the same time over the same link */
	uint32_t commit_us_min, commit_us_max; /* 0: 2 to 9 ms */
	struct sim_act *acts;
	uint32_t acts_count, acts_max;
};

struct sim_result {
	bool failed;
	uint64_t failed_at_ms, steps, hash[2];
	char invariant[40], detail[400];
	uint64_t entries_authored, entries_stored, healed_in_ms, crashes, forks;
	uint64_t bytes_sent, records_sent;
};

/* Told of what happens, for those who measure; NULL: not. Times are microseconds. */
struct sim_observer {
	void *ctx;
	void (*accepted)(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq); /* it is known to be good, and goes to the disk */
	void (*durable)(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq);
	void (*record)(void *ctx, uint64_t us, uint16_t node, const uint8_t *plain, size_t plain_bytes); /* what it is about to encrypt */
	void (*started)(void *ctx, const struct sim *sim);
	void (*ended)(void *ctx, const struct sim *sim);
};

struct sim_options {
	const struct sim_observer *observer;
	FILE *trace;      /* every event, one to a line; NULL: none */
	bool watch;       /* with the oracle */
};

/* plan.c: draws a plan of a scenario. False: there is no such scenario. */
bool sim_plan_draw(struct sim_plan *plan, const char *scenario, uint64_t seed, uint16_t nodes);
/* The nth scenario, from 0: its name and a sentence that says what happens. False: there are fewer. */
bool sim_plan_scenario(size_t n, const char **name, const char **what);
void sim_plan_add(struct sim_plan *plan, const struct sim_act *act);
void sim_plan_copy(struct sim_plan *to, const struct sim_plan *from); /* to is free to be overwritten */
void sim_plan_free(struct sim_plan *plan);

/* case.c: a plan as text. Reading: false, and what is wrong with which line in why. */
void sim_case_write(const struct sim_plan *plan, FILE *file);
bool sim_case_read(struct sim_plan *plan, FILE *file, char *why, size_t why_max);

/* sim.c: runs a plan. */
void sim_run(const struct sim_plan *plan, const struct sim_options *options, struct sim_result *out);

/* shrink.c: leaves out of the plan what the failure does not need; how often it may be run. */
void sim_shrink(struct sim_plan *plan, const struct sim_result *failure, uint32_t runs_max, void (*progress)(uint32_t runs, uint32_t acts));

#endif
