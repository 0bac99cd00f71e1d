/* The engine's inside: its state. What its modules do for each other stands in parts.h. Nobody outside proto/ includes either.
 *
 * A **conn** is a connection with a handshake under way or done; a **session** is what an authenticated one has besides: ciphers, buffers, and
 * what is known of the peer's lanes. Sessions are a pool of links_max, since they are large; a conn takes half a KiB, and what node/ has for it as much again.
 */
#ifndef PL_PROTO_STATE_H
#define PL_PROTO_STATE_H

#include "crypto/bytes.h"
#include "crypto/labels.h"
#include "crypto/wipe.h"
#include "proto/bucket.h"
#include "proto/engine.h"
#include "proto/frame.h"
#include "proto/handshake.h"
#include "proto/record.h"

#define PL_NONE16 0xffffu
#define PL_NEVER UINT64_MAX

/* (local) sizes that follow from limits.h or that nobody outside notices */
#define PL_CONNS_FOUND_BITS 7        /* of a number of links, twice as many as there are sessions */
#define PL_RECENT 16                 /* entries per lane that a duplicate is compared with in memory */
#define PL_FLASH_POOL 8              /* FLASH entries kept in memory until durable or until their gap is filled */
#define PL_FLASH_HELD_MAX 4          /* of these, waiting for one peer's gaps */
#define PL_FLASH_AHEAD_MAX 64        /* places a FLASH may be early by and still be kept */
#define PL_RELAYED_SEQS 64           /* places of an author of which it is known which FLASH was sent on without being stored */
#define PL_REPAIRS_MAX 64            /* damaged entries that are asked for, one at a time; more are found again when they are read again */
#define PL_REPAIR_PAUSE_MS 30000     /* until those that no peer has given are asked for again */
#define PL_SUSPICIONS 64             /* fork checks under way */
#define PL_SUSPICIONS_PER_PEER PL_FULL_WANTS_MAX /* of these, for what one peer has sent */
#define PL_EFFECTS_MAX 3072          /* engine.c shows that a step has no more */
#define PL_EFFECTS_SLICE 512         /* bulk is checked only while a step has fewer */
#define PL_SLOT_BYTES (2 + 256 + PL_NOISE_TAG_BYTES) /* the smallest record: a goodbye */
#define PL_NOTES_MAX 256             /* in one step; more are lost */
#define PL_CONTROL_BYTES 16384       /* control frames waiting on one link */
#define PL_LOAD_BYTES 65536          /* read from the store at a time */
#define PL_LOAD_PAUSE_MS 1000        /* until it is asked again for what it had no memory to read */
#define PL_OUT_ITEM_BYTES 8          /* u32 bytes, u8 frame flags, u8 lane, u16 0 before each entry in an out queue */
#define PL_OUT_FLASH_BYTES (3 * PL_WIRE_FLASH_BYTES_MAX)
#define PL_OUT_BYTES (PL_LOAD_BYTES + 2 * PL_WIRE_BYTES_MAX)
#define PL_IN_ITEM_BYTES 16          /* what an entry costs in credit besides its wire bytes; before it in an in queue: u32 bytes, u8 frame flags, */
#define PL_IN_KNOWN_AT 5             /* u8 which of its check this is, from 1, or 0, u16 0, */
#define PL_IN_SERIAL_AT 8            /* u32 serial of that check, u32 0 */
#define PL_CHECK_ENTRIES 32          /* signatures of bulk that are checked at once: about two milliseconds of one core */
#define PL_CHECKS 8                  /* of that, under way; further links wait their turn */
#define PL_VERIFY_SLICE 8            /* verifications in one step that were not made outside: about half a millisecond */
#define PL_STORING_BYTES_MAX 4194304 /* bulk waits while this much is on its way to the disk */
#define PL_DOUBT_MS 3000             /* that a peer which names entries of ours that we lack is given to send them */
#define PL_DOUBTS_MS_MAX 30000       /* all peers together */
#define PL_TURN_MORE_MAX 8           /* WANTs that another has left unanswered more often, each of which makes a turn longer by PL_HOLD_MS */
#define PL_OTHERS_MS 200             /* then others are asked besides */
#define PL_OTHERS_AT_ONCE 3          /* besides the first, where nobody pushes what is announced */
#define PL_OTHERS_BUSY_MS 1000       /* the same, while who was asked answers other things */
#define PL_OTHERS_ENTRIES 16         /* that they are asked for */
#define PL_OTHERS_LANES_MAX 8        /* that one peer is asked for so at once */
#define PL_UNANSWERED_MAX 4          /* then what it announces is forgotten, whoever else has it */
#define PL_REFUSALS_MAX 16           /* entries of one peer that may fail to check out within PL_REFUSALS_MS */
#define PL_REFUSALS_MS 60000
#define PL_CHOSEN_FAILS 4            /* attempts in a row that come to nothing: then another has the place */
#define PL_STAY_MS 60000             /* a link that has stood so long did not come to nothing, and may have to give way */
#define PL_REST_MS 300000            /* who has given up its place, or has been looked at, is not dialled for about so long */
#define PL_LOOK_MS 60000             /* between two looks at what others than the neighbours have, about */
#define PL_LOOK_MS_MIN 5000          /* the same, while something is withheld */
#define PL_LOOK_STAY_MS 30000        /* how long such a link stands, and what it brings */
#define PL_LOOK_MORE_MS 10000        /* while it still brings something */
#define PL_ANCHOR_MS 600000          /* a neighbour is of long standing from then on; between two times that this is looked into */
#define PL_TURN_MS 3600000           /* a member for whom another has given way waits so long until the next does */
#define PL_SHUN_S 60                 /* bulk of an author is not taken from a peer for so long after what it sent of it did not check out */

struct recent {
	uint64_t seq, gseq;
	uint8_t id[PL_ID_BYTES];
	uint8_t scalar[32]; /* of the signature; the point before it an author may sign twice with */
	uint8_t copies;               /* that have come, each over another link, up to PL_EAGER_COPIES */
	uint16_t from[PL_EAGER_COPIES]; /* the sessions that have brought them; PL_NONE16: none */
};

struct lane {
	uint64_t have_seq, have_gseq;       /* accepted */
	uint64_t durable_seq, durable_gseq; /* committed */
	uint64_t named_seq;                 /* no peer has named a later one than this or what we had, over links of now or before */
	uint64_t heads[2];                  /* seqs of the other lanes' heads in the last entry, in this run */
	uint8_t have_id[PL_ID_BYTES], durable_id[PL_ID_BYTES];
	struct recent *recent;              /* PL_RECENT of them, by seq % PL_RECENT */
	struct pl_bucket quota;
	uint64_t quota_until_ms;            /* 0: not waiting */
	uint64_t want_at_ms;                /* ask for what is missing then; 0: nothing is due */
	uint64_t fetch_to, fetch_since_ms, fetch_deadline_ms;
	uint64_t fetch_progress_ms;         /* when something of it came last from who was asked; with pieces, as far as they count */
	uint64_t fetch_seen;                /* up to here who was asked has answered */
	uint64_t fetch_queued;              /* up to here what it has sent waits in its in queue, gapless from what we have; not above that: nothing */
	uint64_t had_turn;                  /* bit by session: who has been asked for what is lacking, and had its time */
	uint64_t turn_ms, turn_at_ms;       /* that who was asked last has had before it was asked now; when it is looked into */
	uint64_t others_at_ms;              /* others are asked too then; 0: not */
	uint64_t have_kept_bytes, durable_kept_bytes; /* of all entries, pl_entry_kept_bytes() */
	uint16_t fetch_session;             /* PL_NONE16: none */
	uint16_t turn_session;              /* who was asked last and has its turn still; PL_NONE16: nobody */
	uint8_t others_round;
	uint8_t others_at_once; /* so many are still asked as soon as they announce it */
	bool frozen;
	bool share_full; /* and that has been noted */
};

/* The next entry of a lane, rebuilt from its wire form: the whole header, and the id that it will have. */
struct candidate {
	uint16_t node;
	struct pl_header header;
	uint8_t id[PL_ID_BYTES];
	uint8_t entry_header[PL_ENTRY_HEADER_BYTES];
	const uint8_t *body;
};

/* Signatures that are checked outside, or have been. */
struct check {
	bool used;
	uint16_t session;
	uint16_t count;
	uint32_t token;   /* under way; 0: verdicts are here */
	uint32_t serial;  /* what the token was: no other check has it */
	uint32_t good;    /* bit by bit */
	uint32_t lanes[PL_CHECK_ENTRIES]; /* lane index */
	uint64_t seqs[PL_CHECK_ENTRIES];
	uint8_t ids[PL_CHECK_ENTRIES][PL_ID_BYTES], headers[PL_CHECK_ENTRIES][PL_ENTRY_HEADER_BYTES];
};

struct conn {
	uint32_t link; /* PL_LINK_NONE: free */
	uint16_t peer; /* PL_NODE_NONE until known */
	uint16_t session;
	bool outbound;
	bool sending; /* a handshake message is on its way out */
	bool spoken;  /* a whole message has come */
	uint64_t since_ms, address_hash, age; /* of two, the older one has the lower age */
	struct pl_handshake handshake;
	uint8_t ephemeral_secret[32];
};

struct out_queue {
	uint8_t *bytes;
	uint32_t max, count, at; /* items lie in [at, count) */
	uint32_t item_at;        /* bytes of the first item that have left already */
	uint32_t load_token;     /* of the load under way; 0: none */
	uint32_t load_lane;      /* lane index it is for */
	bool load_catchup, load_full;
	uint64_t load_from, load_at_ms; /* load_at_ms: not before */
	int64_t deficit;
};

#define CHOKED_BY_US 1   /* it is to announce this lane, not to push it, until we ask */
#define CHOKED_BY_PEER 2 /* and we to it */

#define HEAD_UNTOLD 1
#define HEAD_PUSHED 2 /* the entry itself is to tell it; should the peer come by it another way first, an ACK has to */

/* Nodes whose lane a session may have something of to send: a ring, each node at most once. */
struct todo {
	uint16_t *nodes;
	uint16_t first, count;
};

struct assembly {
	uint8_t *bytes[2]; /* in turn: one may still be borrowed by effects of this step */
	uint32_t max, have, total;
	uint8_t flags, lane, turn, done_in_record;
	bool open;
};

/* A place in a lane that somebody is asked for in full. */
struct asked {
	uint16_t node;
	uint8_t lane;
	uint64_t seq, at_ms;
};

/* What there may be to do for a session. Those of all sessions stand side by side, since each step asks, and sessions lie far apart. */
#define CHORE_SEND 1 /* something to send, or to have read ahead: said by whoever changes what that hangs on, until nothing came of it */
#define CHORE_ROOT 2 /* root_next is not UINT32_MAX */
#define CHORE_IN 4   /* the in queue is not empty */

struct session {
	bool used;
	uint8_t *chores; /* its place in e->chores */
	uint16_t conn, peer;
	enum pl_session_state state; /* HELLO, RECON, LIVE */
	uint64_t started_ms, since_ms; /* of the session; of its state */
	uint64_t heard_ms, ping_at_ms, frontier_at_ms, record_started_ms, sending_since_ms;
	uint32_t rtt_ms;
	bool sending;
	const char *lost_why; /* for the note that it is lost, where this node has given it up; NULL: nothing to say */
	bool speaks_heads;      /* both know TAGS and HEADS, and use no FRONTIER */
	bool told_tags;         /* our HELLO had them */
	bool frontier_due;      /* the peer's is not complete yet */
	bool tags_due;          /* it may answer a PING of ours with TAGS */
	uint32_t frontier_next; /* lane index, or group, from which FRONTIER or HEADS goes on; UINT32_MAX: none under way */
	uint32_t root_next;     /* CHORE_ROOT: lane index up to which what is equal has been noted as its acknowledgement; UINT32_MAX: nothing to note */
	uint32_t forks_told;   /* of e->forks */
	uint64_t ack_at_ms;     /* 0: nothing to tell */
	uint8_t hello_root[PL_ID_BYTES];
	uint8_t salt[PL_SALT_BYTES]; /* of the tags that we send */
	uint8_t salt_in[PL_SALT_BYTES]; /* of those that it sends; ours, if it sends none */

	struct assembly assembly[PL_CLASSES];
	uint8_t *in; /* bulk and catch-up entries to check: PL_CREDIT_BYTES */
	uint32_t in_count, in_at, credit_owed;
	uint32_t in_checked; /* bytes from in_at whose signatures have been checked outside, or need not be */
	uint16_t check;      /* PL_NONE16: none */
	uint64_t caught_ms;   /* when it last sent something that says it answers a WANT */
	uint64_t answered_ms; /* when it last sent what a lane of others, fetched from it, waits for; with pieces, as far as they count */
	uint16_t asked_count; /* lanes that it has been asked for besides who was asked first */
	struct asked asked_full[PL_FULL_WANTS_MAX]; /* entries in full that we wait for, the oldest first */
	uint8_t asked_full_count;
	uint32_t to_compare_count; /* of to_compare */
	uint32_t compare_next[2];  /* lane index from which the next is looked for, of lanes 0 and 1, and of lane 2 */

	struct pl_record_stream writer;
	uint8_t *control;
	uint32_t control_count;
	struct out_queue out[PL_CLASSES];
	uint32_t credit;            /* what we may still send */
	uint64_t rate_bytes_per_s;  /* 0: unknown */
	uint32_t sending_bytes;
	struct asked full_wants[PL_FULL_WANTS_MAX]; /* entries in full that it waits for, the oldest first */
	uint8_t full_wants_count;
	struct todo todo[PL_LANES];

	/* per lane index */
	uint64_t *peer_has; /* announced or sent to us */
	uint64_t *peer_holds; /* a head that it has named and that we have not reached: acknowledged if ours is the same; 0: none */
	uint8_t (*peer_holds_tag)[PL_TAG_BYTES]; /* with salt_in */
	uint64_t *sent;     /* queued for it, gapless after what it had */
	uint64_t *floor;    /* our head when it was told our frontier: up to there it asks, after that we push */
	uint64_t *want_to;  /* it has asked up to here; 0: no */
	uint64_t *asked_to; /* of those lanes, up to where; 0: not asked */
	uint8_t *dirty;     /* head has moved since it was told: HEAD_UNTOLD, HEAD_PUSHED */
	uint8_t *queued;    /* stands in todo */
	uint8_t *choked;    /* CHOKED_BY_US, CHOKED_BY_PEER */
	uint64_t *to_compare; /* what it has at this place differs from ours: to be asked for in full; 0: nothing */
	uint8_t (*compared_tag)[PL_TAG_BYTES]; /* of a head of the peer's that was compared with ours and proves nothing; with salt_in */
	/* per group */
	uint8_t (*hello_digests)[PL_ID_BYTES]; /* those that our HELLO stands for */
	uint8_t *differs;   /* it is to be told the heads of this group; else it has the same */
	uint32_t *shunned_until_s; /* per node: of its bulk nothing is taken from this peer; in seconds of now_ms */

	struct pl_record_reader *reader; /* behind what is known of lanes */
};

enum place {
	PLACE_NONE,
	PLACE_CHOSEN,
	PLACE_FURTHER,
};

struct peer {
	bool dialable, dialling, linked; /* linked: has had a link, in this run */
	bool dialled;    /* it is to have a link, and stands in e->dialled */
	bool configured;
	enum place place;
	bool brought;    /* a further one: it has brought what nobody else had named */
	uint8_t fails;   /* attempts in a row that came to nothing */
	uint32_t group, looks; /* looks: how often it has been a further one */
	uint64_t rest_until_ms;
	uint64_t look_until_ms; /* a further one that has brought nothing */
	uint64_t live_since_ms; /* over gaps that the first attempt closes; 0: not live */
	uint64_t inbound_since_ms, inbound_left_ms; /* its place among those that have chosen this node; 0: none */
	uint64_t turn_ms;       /* of a member's first node: when another gave way for the member last; 0: never */
	bool redials; /* the dial under way is to be begun anew, at dial_at_ms */
	bool doubted; /* it has named entries of this node that this node lacks, and been waited for */
	uint64_t relayed_seq;  /* the highest of a FLASH of it that was sent on without being stored */
	uint64_t relayed_bits; /* bit i: so was the one i places before that */
	bool owes; /* when its last link ended, it had announced something that we lacked */
	uint16_t session;
	const uint8_t *courier_key; /* NULL: none */
	uint64_t backoff_ms, dial_at_ms, heard_ms, state_since_ms;
	uint64_t address_hash; /* of its last link, in this run */
	uint64_t refusals_since_ms;
	uint32_t refusals; /* of what it sent; here, since it would not help to dial again */
	struct pl_peer_info totals; /* the counters of past and present sessions */
};

struct flash {
	bool used, relayed; /* relayed: sent on without being stored, and kept for links that come up while there is room */
	uint64_t relay_age; /* a lower one is older */
	bool own, waiting, release; /* own: to be flooded when durable; waiting: for the entries before it; release: at the next step */
	uint16_t node, from_session;
	uint64_t seq;
	uint32_t wire_bytes;
	uint8_t wire[PL_WIRE_FLASH_BYTES_MAX];
};

struct suspicion {
	bool used;
	uint16_t node, peer; /* peer: who has sent what made us look */
	uint8_t lane;
	uint64_t seq;
	uint32_t token; /* 0: the entry to compare with is not durable yet, or is read at again_ms */
	uint64_t again_ms; /* 0: not */
	uint64_t age;   /* a lower one is older */
	uint8_t header[PL_ENTRY_HEADER_BYTES];
};

struct repair {
	uint16_t node;
	uint8_t lane;
	uint64_t seq;
	uint8_t id[PL_ID_BYTES];
};

/* One an author; as many as there are nodes. */
struct fork {
	uint16_t node;
	uint8_t headers[2][PL_ENTRY_HEADER_BYTES];
};

/* An effect, and what it points to where that is small: an entry's header, a handshake message, a goodbye. */
struct effect_slot {
	struct pl_effect effect;
	uint8_t bytes[PL_SLOT_BYTES];
};

struct replay {
	uint64_t at_ms;
	uint8_t ephemeral[32];
};

struct pl_engine {
	struct pl_engine_config config;
	const struct pl_charter *charter;
	const uint8_t *network_id;
	uint32_t generation; /* own */
	uint16_t nodes, self, sessions_max, conns_max;
	uint32_t lanes_count;
	bool started, draining, store_failed, self_behind, any_courier_key;
	uint64_t doubt_until_ms; /* this node may have been restored from a copy: it authors nothing until then */
	uint64_t doubted_ms;     /* for so long in all, in this run */
	bool mesh; /* everybody who can be dialled is */
	uint16_t chosen_max, further_max, inbound_max;
	uint16_t *dialled, dialled_count; /* who is to have a link, ascending */
	uint16_t anchors[PL_ANCHORS_MAX]; /* PL_NODE_NONE: none */
	uint64_t neighbours_at_ms; /* nothing is due in neighbour.c before */
	uint64_t look_at_ms, looked_ms, anchors_at_ms; /* 0: nobody can be dialled yet */
	bool ticking; /* this step is a tick */
	bool dials_wait; /* somebody is to be dialled when a session is free */
	uint64_t dials_until_ms; /* nobody waits in back-off for longer than this */

	uint64_t now_ms, wall_ms;
	uint8_t seed[32];
	uint32_t seed_count;
	uint64_t timer_ms; /* nothing is due before */
	uint64_t lanes_timer_ms; /* of lanes */
	uint32_t groups_count; /* of lanes */
	uint8_t (*digests)[PL_ID_BYTES]; /* of groups, where digest_known */
	uint8_t *digest_known;
	uint8_t root[PL_ID_BYTES]; /* of the frontier, where root_known */
	bool root_known;
	uint16_t bulk_turn; /* the session whose bulk is next */
	uint32_t load_count;
	size_t storing_bytes;
	uint64_t storing_full_ms; /* until then so much was on its way to the disk that bulk had to wait */
	uint64_t lane_bytes_max; /* of one member */
	uint8_t lanes_with_room; /* in the store, from lane 0 up */

	struct lane *lanes;
	struct peer *peers;
	struct conn *conns;
	uint64_t conns_count; /* so far */
	uint16_t conns_found[1 << PL_CONNS_FOUND_BITS]; /* by some bits of a link: where a connection of such a link was found last */
	uint64_t address_note_ms; /* from then on it is noted again that an address has too many */
	struct session *sessions;
	uint16_t sessions_ever, conns_ever; /* the first so many have been in use: nothing beyond is looked at, or written to */
	uint8_t *chores;         /* per session */
	uint8_t *sessions_memory;
	size_t session_bytes;    /* of that, for each */
	uint8_t *records;    /* that go out in this step, one behind the other: one of each session at most */
	size_t records_count; /* bytes */
	uint8_t *plain;       /* the record that has come in this step: what effects borrow lies in here, or where a session keeps it */
	uint64_t *acked; /* [peer][lane index] */
	uint8_t *unanswered; /* [peer][lane index] WANTs that it has left unanswered, over all its links, less those that it has answered since */
	struct flash *flashes;
	bool flash_releases; /* one of them has release */
	uint64_t relays_count; /* so far */
	struct check *checks;
	uint32_t repairs_count, repairs_vain;  /* vain: how many in a row nobody has given */
	uint16_t repair_turn;                  /* the first session that has not been asked yet */
	uint64_t repair_at_ms;                 /* when the next is asked; 0: nothing waits */
	uint64_t suspicions_count; /* so far */
	struct fork *forks;
	uint32_t forks_count;
	struct pl_bucket *flash_quota; /* per node */
	struct replay *replays;
	uint32_t replays_next;

	struct effect_slot *effects;
	uint32_t effects_count, effects_next, notes_count;
	struct pl_engine_counters counters;

	/* Large, and seldom looked at: what each step asks stands together before them. */
	struct suspicion suspicions[PL_SUSPICIONS];
	struct repair repairs[PL_REPAIRS_MAX]; /* the first is the one that is asked for */
};

#endif
