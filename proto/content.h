/* What entries say: the plaintexts inside envelopes and channels, and bodies in the clear. PROTOCOL.md, "Content".
 *
 * All are canonical msgpack arrays whose first element is a format version (1), but for the attachment chunk. Readers borrow: pointers in
 * the structs point into the bytes given and live as long as these. Text is UTF-8 without NUL; what is shown as a line (names, subjects,
 * reasons) is one, see text.h. Writers refuse what readers would, with the same errors: PL_ERR_SHORT, PL_ERR_FORMAT, PL_ERR_VERSION,
 * PL_ERR_LIMIT (longer, larger or more than limits.h allows), PL_ERR_EXISTS (an addressee, attachment or node twice); and PL_ERR_FULL.
 *
 * content.c reads and writes all but messages, content_message.c messages.
 *
 * To add a kind: enum pl_kind (entry.h), a struct with its two functions here, a section in PROTOCOL.md, a case in content_test.c.
 */
#ifndef PL_PROTO_CONTENT_H
#define PL_PROTO_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/envelope.h"
#include "crypto/err.h"
#include "proto/charter.h"
#include "proto/entry.h"

#define PL_MESSAGE_ID_BYTES 16 /* random */

struct pl_text {
	const char *chars; /* not NUL-terminated */
	size_t bytes;
};

/* After STANAG 4406 and RFC 6477. */
enum pl_precedence {
	PL_DEFERRED = 0, PL_ROUTINE = 1, PL_PRIORITY = 2, PL_IMMEDIATE = 3, PL_FLASH = 4, PL_OVERRIDE = 5,
};
const char *pl_precedence_name(unsigned precedence); /* "flash"; "unknown" */
int pl_precedence_parse(const char *name);           /* -1; only routine, priority, immediate and flash may be sent */

struct pl_attachment {
	uint8_t id[16];
	struct pl_text name;        /* a file name without directories */
	struct pl_text media_type;  /* printable ASCII with a '/' */
	uint64_t bytes;
	uint8_t sha256[32];
	uint32_t chunks;            /* pl_chunks_of(bytes), the last shorter; their entries carry attachment id and index */
};

uint32_t pl_chunks_of(uint64_t attachment_bytes);

struct pl_recipient {
	char code[PL_MEMBER_CODE_BYTES + 1]; /* member */
	uint8_t info;                        /* 0 action, 1 info addressee */
};

/* Plaintext of a PL_KIND_MESSAGE envelope:
 * [1, message_id, precedence, sent_ms, expires_ms (0 none), sender code, operator, subject, text, reply_to (16 or empty),
 *  template (0 free text), [[code, info]...], [[id, name, media type, bytes, sha256, chunks]...], exercise (bool),
 *  [signatures: empty in this version]]
 * Addressees are written sorted by code, whatever their order in the struct. */
struct pl_message {
	uint8_t id[PL_MESSAGE_ID_BYTES];
	uint8_t precedence;
	uint64_t sent_ms, expires_ms;
	char sender[PL_MEMBER_CODE_BYTES + 1];
	struct pl_text operator_name, subject, text;
	uint8_t has_reply_to;
	uint8_t reply_to[PL_MESSAGE_ID_BYTES];
	uint32_t template_number;
	uint16_t recipients_count;
	struct pl_recipient recipients[PL_RECIPIENTS_MAX];
	uint8_t attachments_count;
	struct pl_attachment attachments[PL_ATTACHMENTS_MAX];
	uint8_t exercise;
};
PL_MUST_CHECK enum pl_err pl_message_write(const struct pl_message *message, uint8_t *out, size_t out_max, size_t *out_bytes);
PL_MUST_CHECK enum pl_err pl_message_read(const uint8_t *bytes, size_t count, struct pl_message *out);

/* Plaintext of a PL_KIND_RECEIPTS envelope: [1, [[message_id, entry_id, receipt, time_ms, operator, reason]...]], at most 64 of them. */
enum pl_receipt_type {
	PL_RECEIPT_STORED = 1,    /* durable at the recipient's node */
	PL_RECEIPT_DECRYPTED = 2,
	PL_RECEIPT_READ = 3,      /* shown to the named operator */
	PL_RECEIPT_ACCEPTED = 4,  /* the named operator takes it on */
	PL_RECEIPT_FAILED = 5,    /* stored, but cannot be decrypted: send again */
};
const char *pl_receipt_name(unsigned type);
struct pl_receipt {
	uint8_t message_id[PL_MESSAGE_ID_BYTES]; /* zero for PL_RECEIPT_FAILED: it was never seen */
	uint8_t entry_id[PL_ID_BYTES];           /* the entry that the receipt is about */
	uint8_t type;
	uint64_t time_ms;
	struct pl_text operator_name;            /* empty for stored, decrypted, failed */
	struct pl_text reason;                   /* for failed */
};
PL_MUST_CHECK enum pl_err pl_receipts_write(const struct pl_receipt *receipts, size_t count, uint8_t *out, size_t out_max,
                                            size_t *out_bytes);
PL_MUST_CHECK enum pl_err pl_receipts_read(const uint8_t *bytes, size_t count, struct pl_receipt out[PL_RECEIPTS_PER_ENTRY_MAX],
                                           size_t *out_count);

/* What the author promises with its own new key: entries of its feed from this one on are sealed to no older key of that node. */
struct pl_epoch_ack {
	uint16_t node;   /* index in the charter; whether it has so many nodes is for the caller to say */
	uint64_t number; /* of that node's key, 1.. */
};

/* Body of a PL_KIND_EPOCH_KEY entry, in the clear:
 * [1, number, valid_from_ms, valid_until_ms, public key (1216), [[node, number]...]] */
struct pl_epoch_key {
	uint64_t number; /* 1.., one more at each new key of this node */
	uint64_t valid_from_ms, valid_until_ms;
	uint8_t public_key[PL_EPOCH_PUBLIC_BYTES];
	uint16_t acks_count;
	struct pl_epoch_ack acks[PL_NODES_MAX]; /* by node, ascending */
};
PL_MUST_CHECK enum pl_err pl_epoch_key_write(const struct pl_epoch_key *key, uint8_t *out, size_t out_max, size_t *out_bytes);
PL_MUST_CHECK enum pl_err pl_epoch_key_read(const uint8_t *bytes, size_t count, struct pl_epoch_key *out);

/* Plaintext of a PL_KIND_CHANNEL envelope: [1, channel_id, number, audience, root]. audience "all" in this version: every member. */
struct pl_channel_root {
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	uint64_t number;
	struct pl_text audience;
	uint8_t root[PL_CHANNEL_ROOT_BYTES];
};
PL_MUST_CHECK enum pl_err pl_channel_root_write(const struct pl_channel_root *root, uint8_t *out, size_t out_max, size_t *out_bytes);
PL_MUST_CHECK enum pl_err pl_channel_root_read(const uint8_t *bytes, size_t count, struct pl_channel_root *out);

/* TLP 2.0. */
enum pl_tlp { PL_TLP_CLEAR = 1, PL_TLP_GREEN = 2, PL_TLP_AMBER = 3, PL_TLP_AMBER_STRICT = 4, PL_TLP_RED = 5 };
const char *pl_tlp_name(unsigned tlp); /* "green", "amber+strict"; "unknown" */
int pl_tlp_parse(const char *name);    /* -1; "TLP:" in front and capitals are allowed */

/* Plaintext of a PL_KIND_INDICATORS item: [1, tlp, [object bytes (bin)...]], 1 to PL_BULK_ITEMS_MAX STIX objects, byte for byte. */
struct pl_indicators {
	uint8_t tlp;
	uint16_t count;
	struct pl_text objects[PL_BULK_ITEMS_MAX];
};
PL_MUST_CHECK enum pl_err pl_indicators_write(const struct pl_indicators *indicators, uint8_t *out, size_t out_max, size_t *out_bytes);
PL_MUST_CHECK enum pl_err pl_indicators_read(const uint8_t *bytes, size_t count, struct pl_indicators *out);

/* Body of a PL_KIND_ATTACHMENT entry: attachment id 16 | u32 chunk index | u32 chunks | sealed chunk. */
#define PL_ATTACHMENT_BODY_PREFIX_BYTES 24
struct pl_chunk {
	uint8_t attachment_id[16];
	uint32_t index, chunks;
	const uint8_t *sealed;
	size_t sealed_bytes;
};
PL_MUST_CHECK enum pl_err pl_chunk_read(const uint8_t *bytes, size_t count, struct pl_chunk *out);
void pl_chunk_write_prefix(const struct pl_chunk *chunk, uint8_t out[PL_ATTACHMENT_BODY_PREFIX_BYTES]);

#endif
