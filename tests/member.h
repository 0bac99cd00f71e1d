/* A member of the network that the test plays: it has the right keys, and otherwise says what the test wants. For stories about what a member
 * can do to the others (proto/hostile_test.c). It speaks on a raw link of tests/world.h, as one of the nodes given to world_play().
 *
 * What it says is collected frame by frame and goes out as one record with member_flush(); what it hears is a list of frames. Time passes only
 * where a comment says so.
 */
#ifndef PL_TESTS_MEMBER_H
#define PL_TESTS_MEMBER_H

#include "proto/frame.h"
#include "proto/record.h"
#include "tests/world.h"

struct member;

/* Dials node, or has accepted what a node dialled (NULL if none has). The handshake is done when it returns; HELLO is not. Time passes. */
struct member *member_dial(struct world *world, uint16_t as, uint16_t node);
struct member *member_accept(struct world *world, uint16_t as);
void member_free(struct member *member); /* hangs up, if the link still stands */

/* HELLO, with another root than the node's, and an empty FRONTIER: the link is live. Time passes. */
void member_go_live(struct member *member);
void member_hello(struct member *member, const uint8_t *root, uint32_t credit_bytes); /* root NULL: one that nobody has */
/* HELLO of a node that knows tags, with so many of them; member_salt is that of all that it sends. */
extern const uint8_t member_salt[PL_SALT_BYTES];
void member_hello_tags(struct member *member, const uint8_t *root, const uint8_t *tags, uint16_t count);
/* The HELLO that it has heard; false: none. It points into what was heard. */
bool member_heard_hello(const struct member *member, struct pl_hello *out);

/* Collects a frame; flushes first where it does not fit into the record. */
void member_frame(struct member *member, uint8_t type, uint8_t flags, uint8_t lane, const void *payload, size_t count);
void member_item(struct member *member, uint8_t type, uint8_t flags, uint16_t node, uint8_t lane, uint64_t seq, const uint8_t *head_id);
void member_want(struct member *member, uint16_t node, uint8_t lane, uint64_t from, uint64_t to, uint8_t flags);
void member_credit(struct member *member, uint32_t bytes);
void member_flush(struct member *member);
/* A record as it would go out, to be sent otherwise: played again, late, cut. Returns its size. */
size_t member_seal(struct member *member, uint8_t out[PL_RECORD_WIRE_BYTES_MAX]);
void member_raw(struct member *member, const uint8_t *bytes, size_t count);

/* Takes what has arrived. Answers to PING are sent unless the member is mute. */
void member_listen(struct member *member);
void member_mute(struct member *member);
void member_stall(struct member *member); /* it reads nothing more */
/* Time passes while it listens. */
void member_run_ms(struct member *member, uint64_t ms);
bool member_is_open(struct member *member);

struct member_heard {
	uint64_t at_ms;
	uint8_t type, flags, lane;
	uint8_t *payload;
	uint32_t payload_bytes; /* of an entry in pieces: of the whole, and type is ENTRY */
};
size_t member_heard_count(const struct member *member);
const struct member_heard *member_heard(const struct member *member, size_t n);
uint32_t member_heard_of(const struct member *member, uint8_t type); /* how many frames of a type */
void member_forget(struct member *member);                          /* what it has heard so far */
/* The reason of the BYE that it has heard; 0: none. */
uint8_t member_bye(const struct member *member);
/* How often it was sent this entry. */
uint32_t member_copies(const struct member *member, uint16_t author, uint8_t lane, uint64_t seq);
/* The highest seq of a lane in frames of this type (FRONTIER, HAVE, ACK); 0: none. */
uint64_t member_told(const struct member *member, uint8_t type, uint16_t node, uint8_t lane);
/* The last WANT for a lane; false: none. */
bool member_asked(const struct member *member, uint16_t node, uint8_t lane, struct pl_want *out);

/* --- entries: signed with the author's key, whoever that is --- */

/* Where an author stands; what is made goes on from there. Start from all zero but the node. */
struct author {
	uint16_t node;
	uint64_t gseq;
	struct {
		uint64_t seq;
		uint8_t id[PL_ID_BYTES];
	} lanes[PL_LANES];
};

struct made {
	uint16_t node;
	uint8_t lane;
	uint8_t entry_header[PL_ENTRY_HEADER_BYTES], id[PL_ID_BYTES];
	uint8_t *body; /* goes with the world */
	uint32_t body_bytes;
};

/* The next entry of a lane, as it should be. */
struct made author_next(struct world *world, struct author *author, uint8_t lane, uint8_t flags, uint32_t body_bytes);
/* An entry with this header: author, body hash and length are filled in, and the time where it is 0. */
struct made make_entry(struct world *world, uint16_t node, struct pl_header header, const void *body, uint32_t body_bytes);
/* Sends it, in pieces where it does not fit a record. flags: PL_FRAME_FLASH, PL_FRAME_CATCHUP. */
void member_entry(struct member *member, const struct made *made, uint8_t flags);
void member_entry_full(struct member *member, const struct made *made);
size_t made_wire(const struct made *made, uint8_t form, uint8_t *out, size_t out_max);

#endif
