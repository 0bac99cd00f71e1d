/* Frames, and the compact form in which an entry travels. PROTOCOL.md, "Frames" and "Entries on the wire".
 *
 * A record's plaintext is a run of frames, then zeros: header 8 bytes (type, flags, lane, 0, u32 payload bytes), payload. An entry larger than
 * what is left of a record travels as FRAG frames; a class of traffic (pl_class) has at most one entry in pieces at a time, so that
 * pieces need no names.
 */
#ifndef PL_PROTO_FRAME_H
#define PL_PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "proto/entry.h"
#include "proto/limits.h"

#define PL_PROTOCOL_VERSION 1

enum pl_frame_type {
	PL_FRAME_PAD = 0,      /* the rest of the record is zeros */
	PL_FRAME_HELLO = 1,
	PL_FRAME_FRONTIER = 2,
	PL_FRAME_HAVE = 3,
	PL_FRAME_ACK = 4,
	PL_FRAME_WANT = 5,
	PL_FRAME_CANCEL = 6,
	PL_FRAME_ENTRY = 7,
	PL_FRAME_FRAG = 8,
	PL_FRAME_CREDIT = 9,
	PL_FRAME_PING = 10,
	PL_FRAME_PONG = 11,
	PL_FRAME_BYE = 12,
	PL_FRAME_FORK = 13,
	PL_FRAME_CHOKE = 14,
	PL_FRAME_TAGS = 15,    /* these two between nodes that both have PL_CAP_TAGS */
	PL_FRAME_HEADS = 16,
};

#define PL_FRAME_OPTIONAL 0x80u      /* any frame: a receiver that does not know the type ignores it */
#define PL_FRAME_LAST 0x01u          /* FRONTIER, HEADS, FRAG: the last of its run */
#define PL_FRAME_FIRST 0x02u         /* FRAG: the first; its payload opens with u32 bytes of the whole */
#define PL_FRAME_FLASH 0x04u         /* ENTRY, FRAG: travels in class 0 */
#define PL_FRAME_CATCHUP 0x08u       /* ENTRY, FRAG: answers a WANT; paid for with credit. Bulk may be authenticated by a later entry of its chain */

/* Classes of traffic, in order of precedence. */
enum pl_class { PL_CLASS_FLASH = 0, PL_CLASS_LANE0 = 1, PL_CLASS_LANE1 = 2, PL_CLASS_LANE2 = 3 };
#define PL_CLASSES 4

struct pl_frame {
	uint8_t type, flags, lane;
	const uint8_t *payload;
	uint32_t payload_bytes;
};

/* Takes the next frame of a record's plaintext and advances *at. PL_OK with type PL_FRAME_PAD at the end. PL_ERR_SHORT, PL_ERR_FORMAT (padding that
 * is not zero, reserved byte not 0, a lane that does not exist). */
PL_MUST_CHECK enum pl_err pl_frame_next(const uint8_t *plain, size_t plain_bytes, size_t *at, struct pl_frame *out);
void pl_frame_write_header(uint8_t out[PL_FRAME_HEADER_BYTES], uint8_t type, uint8_t flags, uint8_t lane, uint32_t payload_bytes);

/* The smallest padding class that holds so many bytes. */
size_t pl_record_padded(size_t plain_bytes);

/* --- items of FRONTIER, HAVE, ACK: 48 bytes: u16 node, u8 lane, u8 0, u32 generation, u64 seq, head id 32 --- */
#define PL_ITEM_BYTES 48
struct pl_item {
	uint16_t node;
	uint8_t lane;
	uint32_t generation;
	uint64_t seq;
	uint8_t head_id[PL_ID_BYTES];
};
void pl_item_write(const struct pl_item *item, uint8_t out[PL_ITEM_BYTES]);
PL_MUST_CHECK enum pl_err pl_item_read(const uint8_t bytes[PL_ITEM_BYTES], struct pl_item *out);

/* --- WANT: 24 bytes: u16 node, u8 lane, u8 flags, u32 generation, u64 from, u64 to --- */
#define PL_WANT_BYTES 24
#define PL_WANT_FULL 0x01u /* one entry, whatever has been sent of its lane: to prove or disprove a fork, or to repair what the disk has changed */
struct pl_want {
	uint16_t node;
	uint8_t lane, flags;
	uint32_t generation;
	uint64_t from, to;
};
void pl_want_write(const struct pl_want *want, uint8_t out[PL_WANT_BYTES]);
PL_MUST_CHECK enum pl_err pl_want_read(const uint8_t bytes[PL_WANT_BYTES], struct pl_want *out);

/* --- tags: ids and digests made short by a salt that only the two ends of a link know; PROTOCOL.md, "Tags" --- */
#define PL_TAG_BYTES 8
#define PL_SALT_BYTES 8

/* --- HEADS: runs of u8 group and the heads of all its lanes, each u8 bytes of the seq (0: the lane is empty, and that is all), the seq without
 * zeros in front, tag 8 --- */
#define PL_LANE_HEAD_BYTES_MAX (1 + 8 + PL_TAG_BYTES)
/* Returns the bytes written. tag: NULL where seq is 0. */
size_t pl_lane_head_write(uint64_t seq, const uint8_t *tag, uint8_t out[PL_LANE_HEAD_BYTES_MAX]);
/* The next one, of what is left; *at advances. *tag is borrowed; NULL where the lane is empty. PL_ERR_SHORT, PL_ERR_FORMAT. */
PL_MUST_CHECK enum pl_err pl_lane_head_read(const uint8_t *bytes, size_t count, size_t *at, uint64_t *seq, const uint8_t **tag);

/* --- HELLO: u16 version, u16 0, u32 capabilities, u32 charter epoch, u32 credit, charter hash 32, frontier root 32; with PL_CAP_TAGS also salt 8, u16
 * number of tags, u16 0, tags --- */
#define PL_CAP_TAGS 0x1u
#define PL_HELLO_BYTES 80
#define PL_HELLO_TAGS_AT 92
#define PL_HELLO_BYTES_MAX (PL_HELLO_TAGS_AT + PL_GROUPS_MAX * PL_TAG_BYTES)
struct pl_hello {
	uint16_t version, tags_count;
	uint32_t capabilities, charter_epoch, credit_bytes;
	uint8_t charter_hash[PL_ID_BYTES], frontier_root[PL_ID_BYTES], salt[PL_SALT_BYTES];
	const uint8_t *tags; /* borrowed */
};
/* Returns the bytes written: PL_HELLO_BYTES without the capability, up to PL_HELLO_BYTES_MAX with it. */
size_t pl_hello_write(const struct pl_hello *hello, uint8_t *out);
/* PL_ERR_SHORT, PL_ERR_VERSION, PL_ERR_FORMAT. */
PL_MUST_CHECK enum pl_err pl_hello_read(const uint8_t *bytes, size_t count, struct pl_hello *out);

/* --- an entry on the wire ---
 *   0  2  author's node index          16  8  seq
 *   2  1  form: 0 next, 1 full        24  8  gseq
 *   3  1  lane                         32  8  claimed time
 *   4  1  kind                         40 32  heads of the other lanes
 *   5  1  flags                        72 64  signature
 *   6  2  0                           136 32  prev
 *   8  4  charter epoch               168…    body, to the end
 *  12  4  generation
 * Author and body hash are left out: the receiver has the first and computes the second. Full is what answers a WANT with the flag full. */
#define PL_WIRE_FORM_NEXT 0
#define PL_WIRE_FORM_FULL 1
#define PL_WIRE_PREFIX 168
#define PL_WIRE_BYTES_MAX (PL_WIRE_PREFIX + PL_BODY_BYTES_MAX)
#define PL_WIRE_FLASH_BYTES_MAX (PL_WIRE_PREFIX + PL_FLASH_BODY_BYTES_MAX)

struct pl_wire {
	uint16_t node;
	uint8_t form;
	struct pl_header header;  /* without author and body hash */
	const uint8_t *signature; /* 64, borrowed */
	const uint8_t *body;      /* borrowed */
	uint32_t body_bytes;
	const uint8_t *body_hash; /* of this body, by who has computed it before; NULL: nobody has, and so pl_wire_read() leaves it */
};
/* Decodes and checks all that the form fixes (not the author). PL_ERR_SHORT, PL_ERR_FORMAT, PL_ERR_LIMIT. */
PL_MUST_CHECK enum pl_err pl_wire_read(const uint8_t *bytes, size_t count, struct pl_wire *out);
/* Returns the bytes written: PL_WIRE_PREFIX, and the body. out_max must hold them (asserted). */
size_t pl_wire_write(uint16_t node, uint8_t form, const uint8_t entry_header[PL_ENTRY_HEADER_BYTES], const uint8_t *body, uint32_t body_bytes,
                     uint8_t *out, size_t out_max);

/* --- BYE: u8 reason, then up to 64 bytes of text --- */
enum pl_bye_reason {
	PL_BYE_SHUTDOWN = 1,   /* the node stops */
	PL_BYE_DUPLICATE = 2,  /* another link to the same peer is kept */
	PL_BYE_RENEW = 3,      /* the session is old enough for a new handshake */
	PL_BYE_FAULT = 4,      /* the peer broke the protocol */
	PL_BYE_CHARTER = 5,    /* another charter */
	PL_BYE_STORE = 6,      /* the store takes nothing at the moment */
	PL_BYE_HOLD = 7,       /* silence */
	PL_BYE_SPARE = 8,      /* the link is not needed, or another has the next turn */
};

#endif
