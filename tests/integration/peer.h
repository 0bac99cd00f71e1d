/* What bad peers are made of (rawpeer.c and its neighbours): a connection to a node, the handshake, records, frames, entries of the peer's
 * own feed. Each can be done rightly, or taken apart and done wrongly. All of it blocks; an error that is not the point of a story ends the
 * program with exit code 2.
 *
 * Who the peer is comes from the folder of a node: its charter and, under $PARLEY_PASSPHRASE, its key. Chance comes from a seed alone.
 */
#ifndef PL_INTEGRATION_PEER_H
#define PL_INTEGRATION_PEER_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node/keys.h"
#include "proto/charter.h"
#include "proto/frame.h"
#include "proto/handshake.h"
#include "proto/record.h"

#define PEER_PATIENCE_MS 30000 /* within which a node hangs up on whom it does not want */

extern struct pl_charter peer_charter;
extern struct pl_node_keys peer_keys;
extern uint16_t peer_self, peer_other; /* the peer; the node that it speaks to */

void peer_fail(const char *what) __attribute__((noreturn));
void peer_read_folder(const char *dir, const char *other);
uint64_t peer_clock_ms(void); /* monotonic */
uint64_t peer_wall_ms(void);
void peer_seed(uint64_t seed);
void peer_draw(uint8_t *out, size_t count);
uint32_t peer_draw_below(uint32_t below);

struct peer {
	int fd;
	bool is_dialled; /* the node has dialled us */
	bool ended;      /* it has hung up */
	uint8_t bye;     /* the reason that it gave; 0: none */
	char bye_text[65];
	size_t received; /* bytes, all in all */
	uint8_t static_secret[32], network_id[PL_ID_BYTES], ephemeral_secret[32];
	struct pl_handshake handshake;
	struct pl_record_stream writer;
	struct pl_record_reader reader;
	uint8_t record[PL_RECORD_WIRE_BYTES_MAX];
	size_t collected;
	uint64_t credit; /* that the node has given and we have not spent */
	bool is_mute;    /* does not answer PING */
	bool knows_tags; /* says HELLO with the capability, and HEADS instead of FRONTIER; then it does not learn of its own feed */
	void (*heard)(struct peer *peer, const struct pl_frame *frame); /* each frame; may be NULL */
	void *ctx;
};

/* --- the connection --- */

struct sockaddr_in peer_parse(const char *address); /* HOST:PORT, IPv4 */
/* Connects to HOST:PORT, IPv4. from: this host's address, in host byte order, or 0. False: it is refused. */
bool peer_try_dial(struct peer *peer, const char *address, uint32_t from);
void peer_dial(struct peer *peer, const char *address);
/* A socket that listens at HOST:PORT; the next that dials it. */
int peer_listen_at(const char *address);
void peer_accept(struct peer *peer, int listener);
void peer_close(struct peer *peer);
/* What is sent to one that has hung up already is for nobody; that shows when its end of the connection is read. */
void peer_send(struct peer *peer, const uint8_t *bytes, size_t count);
/* Up to so many bytes; 0: it has hung up. Exit code 1 if neither happens in time. */
size_t peer_receive(struct peer *peer, uint8_t *out, size_t max, int timeout_ms);
/* Waits until it hangs up; what comes before is dropped unread. False: it does not, in that time. */
bool peer_ends(struct peer *peer, int timeout_ms);

/* --- the handshake --- */

void peer_first(struct peer *peer, uint64_t wall_ms, uint8_t out[PL_HANDSHAKE_BYTES_1]);
/* Sends message 1 and takes message 2; leaves message 3, which is still to be sent. */
void peer_handshake_up_to_3(struct peer *peer, uint8_t third[PL_HANDSHAKE_BYTES_3]);
/* Dialled: takes message 1; leaves message 2, which is still to be sent. */
void peer_handshake_up_to_2(struct peer *peer, uint8_t second[PL_HANDSHAKE_BYTES_2]);
void peer_split(struct peer *peer); /* after the last message */
void peer_handshake(struct peer *peer);

/* --- records and frames --- */

/* Collects a frame; flushes first where it does not fit into the record. */
void peer_frame(struct peer *peer, uint8_t type, uint8_t flags, uint8_t lane, const void *payload, size_t count);
/* The record of what was collected, as it would go out. Returns its size. */
size_t peer_seal(struct peer *peer, uint8_t out[PL_RECORD_WIRE_BYTES_MAX]);
void peer_flush(struct peer *peer);
/* A record with this plaintext. */
void peer_record(struct peer *peer, const uint8_t *plain, size_t count);
/* HELLO with a root that nobody has: nothing is here. */
void peer_hello(struct peer *peer);
void peer_frontier(struct peer *peer); /* an empty one */
/* Handshake, HELLO, FRONTIER, and the node's: both ends are live. */
void peer_go_live(struct peer *peer);
/* Takes what comes for so long, and answers PING; returns early with what has come first. False: it has hung up. */
bool peer_hear(struct peer *peer, int timeout_ms);
/* Whether the node goes on with us: it answers a PING. False: it has hung up. */
bool peer_is_served(struct peer *peer);

/* --- entries of its own feed --- */

/* Where the feed stands at the node; filled in by peer_go_live(). */
struct peer_head {
	uint64_t seq;
	uint8_t id[PL_ID_BYTES];
};
extern struct peer_head peer_heads[PL_LANES];

/* The header of the next entry of a lane, unsigned. gseq goes by the clock, so that a feed can be gone on with from its heads alone. */
struct pl_header peer_next(uint8_t lane, uint8_t kind, uint8_t flags, const uint8_t *body, uint32_t body_bytes);
/* Signs it; the feed goes on from it. */
void peer_sign(const struct pl_header *header, uint8_t entry_header[PL_ENTRY_HEADER_BYTES]);
/* Sends it, in pieces where it does not fit a record. flags: PL_FRAME_FLASH, PL_FRAME_CATCHUP. */
void peer_entry(struct peer *peer, const uint8_t entry_header[PL_ENTRY_HEADER_BYTES], uint8_t form, const uint8_t *body, uint32_t body_bytes,
                uint8_t flags);

#endif
