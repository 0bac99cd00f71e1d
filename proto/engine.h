/* The engine: everything that a node decides about entries, links and peers, as a function of events. The one door from node/ to proto/.
 *
 * It has no clock, randomness, socket, file, thread or allocator: time and random bytes come with each event, memory is given once, and
 * what is to happen in the world comes out as effects.
 *
 *   pl_engine_step(engine, &event)           put one event in
 *   while (pl_engine_next_effect(engine, &effect)) …   carry its effects out, all of them, before the next step
 *   pl_engine_deadline_ms(engine)            when to call again with PL_EV_TICK, if nothing happens before
 *
 * Terms: a **link** is one connection, named by a handle that node/ chooses; a **peer** is the node of the charter at its other end, known
 * once the handshake is done. A **lane head** is the last entry that this node has of (author, lane). Pointers in events and effects are
 * borrowed: an event's until step returns, an effect's until the next step; the body in PL_EV_SUBMIT and the bytes in PL_EV_BYTES must live
 * until the effects of that step are carried out.
 *
 * To change how entries spread, start at lane.c (what we have; bulk.c and check.c: whose signatures hold), sync.c (what we tell), fetch.c
 * (what we ask), sched.c (what we send next).
 * repair.c gets back what the disk has changed. With whom there is a link at all: neighbour.c, inbound.c.
 */
#ifndef PL_PROTO_ENGINE_H
#define PL_PROTO_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "proto/charter.h"
#include "proto/entry.h"
#include "proto/limits.h"

struct pl_engine;

struct pl_quota {
	uint64_t bytes_per_s, bytes_burst;
};

struct pl_engine_config {
	const struct pl_charter *charter; /* borrowed for the engine's life */
	uint16_t self;                    /* own index in it */
	/* Keys are borrowed for the engine's life and nowhere copied to, so that they can lie in memory that is locked. */
	const uint8_t *sign_secret;         /* PL_SIGN_SECRET_BYTES */
	const uint8_t *noise_secret;        /* 32 */
	const uint8_t *const *courier_keys; /* per node of the charter, 32 bytes or NULL; NULL: none at all */
	uint16_t links_max;               /* 1..PL_LINKS_MAX; memory grows with it */
	uint16_t mesh_nodes_max;          /* up to so many nodes in the charter, everybody who can be dialled is; beyond, those below count */
	uint16_t chosen_max, further_max, inbound_max; /* where links_max is too small for them, less of each */
	const bool *configured;           /* per node of the charter: the operator has named it; NULL: nobody. Read by pl_engine_init() alone */
	uint32_t flash_per_minute, flash_burst;
	struct pl_quota quota[PL_LANES];  /* per author */
	bool whole_frontiers;             /* as a node does that does not know tags; for tests of such networks */
};
/* Fills in the defaults of limits.h; charter, self and keys remain to be set. */
void pl_engine_config_default(struct pl_engine_config *config);

/* How much memory pl_engine_init() wants for this configuration; most of it is touched only when links are busy. */
size_t pl_engine_bytes(const struct pl_engine_config *config);
/* memory: aligned for any type, zeroed. The engine lives in it and owns nothing else. PL_ERR_FULL: too little memory; PL_ERR_REFUSED: self is
 * not in the charter, or links_max is out of its range. */
PL_MUST_CHECK enum pl_err pl_engine_init(const struct pl_engine_config *config, void *memory, size_t memory_bytes, struct pl_engine **out);
/* Wipes the keys of sessions. The memory is the caller's to free. */
void pl_engine_wipe(struct pl_engine *engine);

enum pl_event_type {
	PL_EV_RESTORE,       /* at start, for each lane with entries in the store: its head */
	PL_EV_RESTORE_ACK,   /* at start: what a peer had acknowledged (custody) */
	PL_EV_RESTORE_FORK, /* at start: an equivocation that had been proven; the author stays frozen */
	PL_EV_RESTORE_ANCHOR, /* at start: one of those that PL_FX_ANCHORS named last */
	PL_EV_FREEZE_SELF,   /* at start: the store is a copy, so that an own entry could stand where one stood before */
	PL_EV_START,         /* after restoring: from here on it may dial, listen, author */
	PL_EV_PEER_DIALABLE, /* node has an address for this peer: a link to it may be kept. Of many not all are dialled; they are chosen in the next tick */
	PL_EV_LINK_UP,       /* a connection stands: dialled (peer set) or accepted (PL_NODE_NONE) */
	PL_EV_LINK_DOWN,     /* it is gone, or dialling failed */
	PL_EV_BYTES,         /* bytes arrived; the engine takes the first `consumed` of them, and the rest is the next event. Of a link that is gone: all */
	PL_EV_SENT,          /* what the last PL_FX_SEND of this link gave has been written */
	PL_EV_SUBMIT,        /* author an entry */
	PL_EV_STORED,        /* entries of this lane are durable up to and with seq */
	PL_EV_STORE_FAILED,  /* a commit failed: everything not yet durable is void. Links stay, and FLASH entries of others are sent on */
	PL_EV_STORE_READY,   /* the store takes entries again */
	PL_EV_ROOM,          /* for how many lanes the store has room, from lane 0 up, and for how much of one member; all until this comes. What
	                      * comes of others waits with its holders, and own entries are refused with PL_ERR_DISK_FULL where there is no room */
	PL_EV_LOADED,        /* answer to PL_FX_LOAD */
	PL_EV_VERIFIED,      /* answer to PL_FX_VERIFY */
	PL_EV_DAMAGED,       /* the store has found that an entry is no longer what was stored; comes before the LOADED that goes without it */
	PL_EV_REPAIRED,      /* what PL_FX_REPAIR gave stands in its place */
	PL_EV_TICK,
	PL_EV_DRAIN,         /* say goodbye on all links, dial no more */
};

/* A stored entry, as PL_EV_LOADED hands it over. */
struct pl_stored_entry {
	const uint8_t *header; /* PL_ENTRY_HEADER_BYTES */
	const uint8_t *body;   /* NULL if dropped */
	uint32_t body_bytes;
};

struct pl_event {
	enum pl_event_type type;
	uint64_t now_ms;  /* monotonic; never goes back */
	uint64_t wall_ms; /* unix time; may jump */
	uint8_t seed[32]; /* fresh random bytes */
	union {
		struct { uint16_t node; uint8_t lane; uint64_t seq, gseq, kept_bytes; uint8_t id[PL_ID_BYTES]; } restore; /* kept_bytes: of all, pl_entry_kept_bytes() */
		struct { uint16_t peer, node; uint8_t lane; uint64_t seq; } restore_ack;
		struct { uint16_t node; const uint8_t *header_a, *header_b; } restore_fork; /* as PL_FX_FORK gave them */
		struct { uint16_t node; } restore_anchor;
		struct { uint16_t node; uint32_t group; /* who may fail or be taken over together has the same: a network, a bloc */ } peer_dialable;
		struct { uint32_t link; uint16_t peer; uint64_t address_hash; } link_up;     /* address_hash: of the remote host, without port */
		struct { uint32_t link; uint16_t peer; } link_down; /* peer: for a dial that never became a link, then link is PL_LINK_NONE */
		struct { uint32_t link; const uint8_t *bytes; size_t count; size_t consumed; /* out */ } bytes;
		struct { uint32_t link; } sent;
		struct {
			uint8_t lane, kind, flags;
			const uint8_t *body; uint32_t body_bytes;
			uint64_t seq, gseq; uint8_t id[PL_ID_BYTES]; /* out */
		} submit;
		struct { uint16_t node; uint8_t lane; uint64_t seq, gseq; const uint8_t *id; size_t bytes; uint64_t kept_bytes; } stored; /* seq, gseq, id of the last; bytes: headers and bodies of all */
		struct { uint8_t lanes; uint64_t lane_bytes_max; } room; /* lane_bytes_max: kept, of one lane of all nodes of a member */
		struct { uint32_t token; bool lacked_memory; const struct pl_stored_entry *entries; size_t count; } loaded; /* lacked_memory: nothing came, and will later */
		struct { uint32_t token; uint32_t good; /* bit i: the signature of header i holds */ } verified;
		struct { uint16_t node; uint8_t lane; uint64_t seq; uint8_t id[PL_ID_BYTES]; } damaged; /* id: which entry has to stand there */
		struct { uint16_t node; uint8_t lane; uint64_t seq; } repaired;
	};
};
#define PL_LINK_NONE 0xffffffffu

/* On an error the event was not taken; what time has brought about meanwhile may still give effects. PL_ERR_FULL: effects of the step before
 * are not carried out yet, and nothing at all was done. Only PL_EV_SUBMIT has others: PL_ERR_FULL while too much is on its way to the disk (put
 * it again after PL_EV_STORED), PL_ERR_REFUSED (no such lane, or not for this kind or these flags), PL_ERR_LIMIT, PL_ERR_QUOTA, PL_ERR_STATE (not
 * started, draining, the store failed, a peer names own entries that are not here and is given 3 s to send them), PL_ERR_DISK_FULL (no room
 * for this lane: PL_EV_ROOM), PL_ERR_EXPIRED (by its clock the node's
 * certificate is not valid now), PL_ERR_FORK (this feed is frozen: a peer had entries of ours that we had not; the node was restored from a
 * copy and must open a new generation).
 * PL_EV_BYTES never fails for what a peer sent: the link is closed instead. */
PL_MUST_CHECK enum pl_err pl_engine_step(struct pl_engine *engine, struct pl_event *event);

/* How long after the last step PL_EV_SUBMIT of such an entry would still be PL_ERR_QUOTA: 0 if it is within quota now. */
uint64_t pl_engine_quota_wait_ms(const struct pl_engine *engine, uint8_t lane, uint8_t flags, uint32_t body_bytes);
/* Whether at least the half of this node's own quota is left there, at the last step: for what is to leave the rest to others. */
bool pl_engine_quota_is_half_left(const struct pl_engine *engine, uint8_t lane, uint8_t flags);

enum pl_effect_type {
	PL_FX_DIAL,   /* connect to this peer; answer PL_EV_LINK_UP or PL_EV_LINK_DOWN. Unanswered yet: begin anew, for one answer */
	PL_FX_SEND,   /* write these bytes; answer PL_EV_SENT. At most one is outstanding on a link (but a handshake message follows on the answer
	               * to the one before, whether or not that was reported as sent) */
	PL_FX_CLOSE,  /* close after what was sent has left; answer PL_EV_LINK_DOWN is not needed: the engine has forgotten the link */
	PL_FX_STORE,  /* make this entry durable; answer PL_EV_STORED. urgent: commit at once */
	PL_FX_LOAD,   /* read entries [from, to] of a lane, at most max_bytes (but one at least); answer PL_EV_LOADED with token */
	PL_FX_VERIFY, /* check each header by pl_entry_verify(), on any thread, when there is nothing better to do: bulk waits for it, and only bulk.
	               * Answer PL_EV_VERIFIED with token */
	PL_FX_REPAIR, /* this entry (fields as of PL_FX_STORE) goes to its place, where a damaged one stands; answer PL_EV_REPAIRED, if it works */
	PL_FX_ACKED,  /* a peer holds this lane durably up to seq: keep it (custody) */
	PL_FX_FORK,  /* equivocation: keep both headers */
	PL_FX_ANCHORS, /* the neighbours of long standing, to be dialled first after a restart: keep these instead of those named before */
	PL_FX_NOTE,   /* for the log and the counters */
};

enum pl_note_code {
	PL_NOTE_LINK_LIVE,         /* handshake and hello done */
	PL_NOTE_LINK_LOST,         /* was live */
	PL_NOTE_HANDSHAKE_FAILED,  /* detail: why */
	PL_NOTE_PEER_FAULT,        /* a peer broke the protocol and was cut; detail: which rule */
	PL_NOTE_LINK_BROKEN,       /* what came is not what was sent, or the peer says so of us: the wire or the peer is at fault; detail: how */
	PL_NOTE_ENTRY_REFUSED,     /* an entry did not check out; detail: why */
	PL_NOTE_FORK,              /* equivocation proven: author frozen */
	PL_NOTE_SELF_BEHIND,       /* a peer has sent an entry of ours that we lacked: feed frozen */
	PL_NOTE_QUOTA,             /* an author is over its quota; its entries wait at their holder */
	PL_NOTE_SHARE,             /* a member has filled its share of the disk in this lane; more of it waits at its holder */
	PL_NOTE_CLOCK_SKEW,        /* an entry claims a time more than 5 min off */
	PL_NOTE_HEAD_BACK,         /* an entry names an older head of another lane than the entry before it did */
	PL_NOTE_CAUGHT_UP,         /* all that this peer announced is here */
};

/* Why there is a link with a peer, or is to be. */
enum pl_peer_role {
	PL_PEER_NONE,
	PL_PEER_MESH,       /* everybody who can be dialled is, in a small network */
	PL_PEER_CONFIGURED, /* the operator has named it */
	PL_PEER_CHOSEN,
	PL_PEER_ANCHOR,     /* chosen, and of long standing */
	PL_PEER_FURTHER,    /* besides the chosen, to see whether it has what they do not give */
	PL_PEER_INBOUND,    /* it has chosen this node */
};
const char *pl_peer_role_name(enum pl_peer_role role); /* "none" of PL_PEER_NONE */

#define PL_ANCHORS_MAX 2 /* one that is honest suffices; of more an attacker would get some */
struct pl_effect {
	enum pl_effect_type type;
	union {
		struct { uint16_t peer; } dial;
		struct { uint32_t link; const uint8_t *bytes; size_t count; } send;
		struct { uint32_t link; } close;
		struct {
			uint16_t node; uint8_t lane; bool urgent;
			uint64_t seq, gseq;
			uint8_t id[PL_ID_BYTES];
			const uint8_t *header; /* PL_ENTRY_HEADER_BYTES */
			const uint8_t *body;
			uint32_t body_bytes;
		} store; /* also of PL_FX_REPAIR */
		struct { uint32_t token; uint16_t node; uint8_t lane; uint64_t from, to; uint32_t max_bytes; } load;
		struct { uint32_t token; uint16_t count; const uint8_t *headers; /* count of PL_ENTRY_HEADER_BYTES each */ } verify; /* count: 32 at most */
		struct { uint16_t peer, node; uint8_t lane; uint64_t seq; } acked;
		struct { uint16_t node; const uint8_t *header_a, *header_b; } fork; /* PL_ENTRY_HEADER_BYTES each */
		struct { uint16_t nodes[PL_ANCHORS_MAX]; } anchors; /* PL_NODE_NONE: one less */
		struct { enum pl_note_code code; uint32_t link; uint16_t peer, node; uint8_t lane; uint64_t seq; enum pl_peer_role role; /* of the peer */
		         const char *detail; /* static */ } note;
	};
};
/* What comes of what; the engine holds itself to it.
 *
 *   event                         effects
 *   RESTORE… FREEZE_SELF          none
 *   any other                     DIAL, SEND, CLOSE, LOAD, NOTE, ANCHORS: time has passed, and a link may take more
 *   and besides those
 *     BYTES, TICK                 STORE, VERIFY, REPAIR, ACKED, FORK (with a tick: bulk that came before)
 *     SUBMIT                      STORE
 *     STORED                      ACKED
 *     LOADED                      FORK
 */
bool pl_engine_next_effect(struct pl_engine *engine, struct pl_effect *out);

/* Monotonic ms at which PL_EV_TICK is due; UINT64_MAX: nothing is waiting; 0: there is work left, for when the loop is idle. */
uint64_t pl_engine_deadline_ms(const struct pl_engine *engine);

/* --- looking in, for status and metrics --- */
enum pl_session_state {
	PL_SESSION_IDLE, PL_SESSION_DIAL, PL_SESSION_HANDSHAKE, PL_SESSION_HELLO, PL_SESSION_RECON, PL_SESSION_LIVE, PL_SESSION_BACKOFF,
};
const char *pl_session_state_name(enum pl_session_state state);

struct pl_lane_info {
	uint64_t have_seq;    /* accepted */
	uint64_t durable_seq; /* committed: what this node acknowledges */
	uint64_t wanted_seq;  /* the highest that any live peer has announced */
	uint8_t head_id[PL_ID_BYTES]; /* of durable_seq */
	bool frozen;          /* equivocation, or own feed behind */
	bool has_room;        /* the store takes more of it; what is wanted beyond have_seq waits for room where it does not */
	bool share_full;      /* since its member, all its nodes together, has filled its share of this lane: PL_EV_ROOM */
};
void pl_engine_lane(const struct pl_engine *engine, uint16_t node, uint8_t lane, struct pl_lane_info *out);

struct pl_peer_info {
	enum pl_session_state state;
	enum pl_peer_role role;
	uint32_t link;            /* PL_LINK_NONE when down */
	bool dialable, inbound;
	uint64_t since_ms;        /* monotonic, of the state */
	uint64_t last_heard_ms;   /* monotonic; 0 never */
	uint64_t retry_ms;        /* monotonic, in BACKOFF */
	uint32_t rtt_ms;          /* of the last ping; 0 unknown */
	uint64_t bytes_in, bytes_out, entries_in, entries_out, duplicates_in;
	/* Whether it is to have a link with this node, or has one; in a small network also, or has had one since PL_EV_START. Of any other node it is not
	 * known what it holds: what it acknowledged in an earlier life of this one says nothing of what it has got since through others. */
	bool neighbour;
	uint64_t held_entries;    /* of a neighbour: durable here, and not acknowledged by it over a link with this node; else 0 */
};
void pl_engine_peer(const struct pl_engine *engine, uint16_t node, struct pl_peer_info *out);
/* What this peer has acknowledged of a lane. */
uint64_t pl_engine_acked(const struct pl_engine *engine, uint16_t peer, uint16_t node, uint8_t lane);

struct pl_engine_counters {
	uint64_t entries_accepted, entries_refused, duplicates, forks, signatures_verified, catchup_batched;
	uint64_t records_in, records_out, handshakes_ok, handshakes_failed, flash_forwarded, quota_waits, wants_sent, wants_timed_out,
		heads_back, shares_filled;
};
void pl_engine_counters(const struct pl_engine *engine, struct pl_engine_counters *out);

/* Frontier hash over all lanes (durable): equal on two nodes exactly when they hold the same heads. */
void pl_engine_frontier_root(const struct pl_engine *engine, uint8_t root[PL_ID_BYTES]);

#endif
