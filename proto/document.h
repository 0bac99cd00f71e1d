/* A signed document: a body and an explicit multisignature, as certificates, sheets and charters are made of. PROTOCOL.md, "Charter".
 *
 * A **key set** is who may sign, and how many of them must. A **document** is [body (bin), [[key index, signature]...]]: signatures are
 * over a hash of the body, and listed one by one, so that who signed is part of the evidence.
 */
#ifndef PL_PROTO_DOCUMENT_H
#define PL_PROTO_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "crypto/sign.h"
#include "proto/limits.h"
#include "proto/mp.h"

/* What PL_LABEL_DOCUMENT hashes: the type stands between the label and the body. */
enum pl_document_type { PL_DOCUMENT_CERTIFICATE = 1, PL_DOCUMENT_SHEET = 2 };

/* Threshold of a set of Ed25519 keys. */
struct pl_key_set {
	uint8_t threshold; /* 1..count */
	uint8_t count;     /* 1..PL_KEYS_PER_ROLE_MAX */
	uint8_t keys[PL_KEYS_PER_ROLE_MAX][PL_SIGN_PUBLIC_BYTES];
};

struct pl_bytes {
	const uint8_t *bytes;
	size_t count;
};

struct pl_signatures {
	uint8_t count;
	uint8_t key_index[PL_KEYS_PER_ROLE_MAX];      /* ascending */
	const uint8_t *bytes[PL_KEYS_PER_ROLE_MAX];   /* borrowed */
};

struct pl_document {
	struct pl_bytes body; /* borrowed */
	struct pl_signatures signatures;
};

/* Takes the form apart; what the body is and whether the signatures are good, others see. PL_ERR_SHORT, PL_ERR_FORMAT, PL_ERR_LIMIT. */
PL_MUST_CHECK enum pl_err pl_document_split(const uint8_t *bytes, size_t count, size_t count_max, struct pl_document *out);

/* Writes [body, signatures]. put_body writes the body; it is called twice, first to count. */
typedef void (*pl_put_body)(struct pl_mp_writer *writer, const void *source);
void pl_document_put(struct pl_mp_writer *writer, pl_put_body put_body, const void *source, const struct pl_signatures *signatures);

/* A list of signatures by itself, in its own document or in an array. */
void pl_signatures_take(struct pl_mp_cursor *cursor, struct pl_signatures *out);
void pl_signatures_put(struct pl_mp_writer *writer, const struct pl_signatures *signatures);
/* At its place in the order; bytes is borrowed. key_index is under PL_KEYS_PER_ROLE_MAX. PL_ERR_EXISTS. */
PL_MUST_CHECK enum pl_err pl_signatures_insert(struct pl_signatures *signatures, uint8_t key_index, const uint8_t *bytes);

/* Every signature that is there must be good, whether or not the threshold needs it. signed_keys gets a bit for each. PL_ERR_SIGNATURE. */
PL_MUST_CHECK enum pl_err pl_signatures_check(const char *label, size_t label_bytes, const uint8_t hash[PL_HASH_BYTES],
                                              const struct pl_signatures *signatures, const struct pl_key_set *keys, uint8_t *signed_keys);
/* Whether so many keys are enough, of signatures that pl_signatures_check() has passed. */
bool pl_signatures_meet_threshold(const struct pl_signatures *signatures, const struct pl_key_set *keys);

void pl_key_set_take(struct pl_mp_cursor *cursor, struct pl_key_set *out); /* PL_ERR_EXISTS: a key stands twice */
void pl_key_set_put(struct pl_mp_writer *writer, const struct pl_key_set *set);
bool pl_key_set_has(const struct pl_key_set *set, const uint8_t key[PL_SIGN_PUBLIC_BYTES]);

void pl_document_hash(enum pl_document_type type, const uint8_t *body, size_t body_bytes, uint8_t hash[PL_HASH_BYTES]);

#endif
