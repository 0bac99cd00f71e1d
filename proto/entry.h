/* An entry: one signed item in a node's append-only, hash-chained feed. PROTOCOL.md, "Entry".
 *
 * A feed belongs to one node (the author) in one generation; it has lanes, each a chain of its own. The header has a fixed layout,
 * big-endian, and is signed apart from the body, so that a body can be dropped while the chain still verifies:
 *
 *   offset size field
 *        0    1  version, 1
 *        1    1  lane, 0..2
 *        2    1  kind, enum pl_kind
 *        3    1  flags, PL_FLAG_*
 *        4    4  charter epoch
 *        8    4  generation, 1..
 *       12    4  body length
 *       16    8  seq: place in the lane, 1..
 *       24    8  gseq: place in the feed over all lanes, 1..
 *       32    8  claimed time, unix ms
 *       40   32  author: node id
 *       72   32  prev: id of the entry before in this lane, zero for seq 1
 *      104   16  head of the lane (lane+1)%3 when this was signed: seq u64, first 8 bytes of its id; zero if empty
 *      120   16  the same for lane (lane+2)%3
 *      136   32  body hash
 *      168   64  signature over PL_LABEL_ENTRY | network_id | header[0..168)
 *
 * entry id = BLAKE2b-256(PL_LABEL_ENTRY_ID | network_id | header[0..232)); body hash = BLAKE2b-256(PL_LABEL_BODY | body). The id covers the
 * signature, so that a signed entry vouches for the signatures of all before it, which catch-up does not check one by one.
 */
#ifndef PL_PROTO_ENTRY_H
#define PL_PROTO_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/bytes.h"
#include "crypto/err.h"
#include "crypto/sign.h"
#include "proto/limits.h"

#define PL_ENTRY_VERSION 1
#define PL_ID_BYTES 32
#define PL_AUTHOR_OFFSET 40 /* in the header */
#define PL_HEAD8_BYTES 8 /* the first bytes of an id, where it only serves to notice a difference */

/* What the body is. A kind keeps its lane: see pl_kind_fits_lane(). */
enum pl_kind {
	PL_KIND_EPOCH_KEY = 1,  /* lane 0: canonical msgpack, in the clear */
	PL_KIND_MESSAGE = 2,    /* lane 0 (immediate, flash) or 1: envelope */
	PL_KIND_RECEIPTS = 3,   /* lane 1: envelope to the message's author */
	PL_KIND_CHANNEL = 4,    /* lane 1: envelope that carries a channel root */
	PL_KIND_INDICATORS = 5, /* lane 2: sealed under a channel */
	PL_KIND_ATTACHMENT = 6, /* lane 2: one sealed chunk */
};

#define PL_FLAG_FLASH 0x01u  /* floods; lane 0 only */
#define PL_FLAG_RETAIN_SHIFT 4
#define PL_FLAG_RETAIN_MASK 0x30u /* retention class: 0 permanent, 1 a year, 2 ninety days, 3 seven days */
#define PL_FLAGS_KNOWN (PL_FLAG_FLASH | PL_FLAG_RETAIN_MASK)

struct pl_head {
	uint64_t seq; /* 0: lane is empty */
	uint8_t id8[PL_HEAD8_BYTES];
};

struct pl_header {
	uint8_t lane;
	uint8_t kind;
	uint8_t flags;
	uint32_t charter_epoch;
	uint32_t generation;
	uint32_t body_bytes;
	uint64_t seq;
	uint64_t gseq;
	uint64_t time_ms; /* claimed; never used for ordering */
	uint8_t author[PL_NODE_ID_BYTES];
	uint8_t prev[PL_ID_BYTES];
	struct pl_head others[2];
	uint8_t body_hash[PL_ID_BYTES];
};

/* Encodes the signed part. */
void pl_header_encode(const struct pl_header *header, uint8_t out[PL_HEADER_BYTES]);

/* Decodes and checks everything that can be checked without other entries: version, lane, kind in its lane, flags, limits, seq and gseq
 * not 0, heads that add up, prev zero exactly when seq is 1. PL_ERR_VERSION, PL_ERR_FORMAT or PL_ERR_LIMIT. The signature is not looked
 * at. */
PL_MUST_CHECK enum pl_err pl_header_decode(const uint8_t bytes[PL_HEADER_BYTES], struct pl_header *out);

/* Single fields of an encoded header that is known to be good. */
static inline uint8_t pl_header_lane(const uint8_t *header) { return header[1]; }
static inline uint8_t pl_header_kind(const uint8_t *header) { return header[2]; }
static inline uint8_t pl_header_flags(const uint8_t *header) { return header[3]; }
static inline uint64_t pl_header_seq(const uint8_t *header) { return pl_get64(header + 16); }
static inline uint64_t pl_header_gseq(const uint8_t *header) { return pl_get64(header + 24); }
static inline uint64_t pl_header_time(const uint8_t *header) { return pl_get64(header + 32); }
static inline const uint8_t *pl_header_author(const uint8_t *header) { return header + PL_AUTHOR_OFFSET; }
static inline const uint8_t *pl_header_prev(const uint8_t *header) { return header + 72; }
static inline const uint8_t *pl_header_body_hash(const uint8_t *header) { return header + 136; }

/* Whether entries of this kind may stand in this lane; false for unknown kinds. */
bool pl_kind_fits_lane(uint8_t kind, uint8_t lane);
const char *pl_kind_name(uint8_t kind); /* "message"; "unknown" for others */

/* Largest body for a header's kind and flags. */
uint32_t pl_body_bytes_max(uint8_t kind, uint8_t flags);

/* What it counts in its author's share of a disk: the room that it takes in a store; of indicators with what is made of them at most. */
uint64_t pl_entry_kept_bytes(uint8_t kind, uint32_t body_bytes);

void pl_entry_id(const uint8_t network_id[PL_ID_BYTES], const uint8_t entry_header[PL_ENTRY_HEADER_BYTES], uint8_t id[PL_ID_BYTES]);
void pl_body_hash(const uint8_t *body, size_t body_bytes, uint8_t hash[PL_ID_BYTES]);

/* Signs header[0..168) and writes the signature behind it. secret_key is the author's Ed25519 key. */
void pl_entry_sign(const uint8_t network_id[PL_ID_BYTES], const uint8_t secret_key[PL_SIGN_SECRET_BYTES],
                   uint8_t entry_header[PL_ENTRY_HEADER_BYTES]);

/* PL_ERR_SIGNATURE unless the header's author signed it. */
PL_MUST_CHECK enum pl_err pl_entry_verify(const uint8_t network_id[PL_ID_BYTES], const uint8_t entry_header[PL_ENTRY_HEADER_BYTES]);
/* The same of up to 32 headers, one after the other: bit i is set where the author of header i has signed it. */
uint32_t pl_entries_verify(const uint8_t network_id[PL_ID_BYTES], const uint8_t *entry_headers, uint16_t count);

#endif
