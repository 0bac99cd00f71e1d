/* Ed25519 signatures with a domain label, and labelled BLAKE2b-256 hashes. RFC 8032; RFC 7693.
 *
 * What is signed or hashed is always label | part | part ...: the label (labels.h) with its NUL, then parts whose lengths the caller's
 * format fixes, so that the concatenation is unambiguous.
 */
#ifndef PL_CRYPTO_SIGN_H
#define PL_CRYPTO_SIGN_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"

#define PL_NODE_ID_BYTES 32     /* a node's id is its Ed25519 public key */
#define PL_SIGN_PUBLIC_BYTES 32
#define PL_SIGN_SECRET_BYTES 64 /* seed and public key, libsodium's form */
#define PL_SIGN_BYTES 64
#define PL_HASH_BYTES 32
#define PL_SIGN_INPUT_BYTES_MAX 1024

struct pl_part {
	const uint8_t *bytes;
	size_t count;
};

/* label with its NUL: pass PL_LABEL_X and sizeof(PL_LABEL_X). Label and parts together at most PL_SIGN_INPUT_BYTES_MAX (our own formats see
 * to that: a longer document is hashed first, and its hash is signed). */
void pl_sign(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count,
             const uint8_t secret_key[PL_SIGN_SECRET_BYTES], uint8_t signature[PL_SIGN_BYTES]);

/* PL_ERR_SIGNATURE if it does not verify; also for non-canonical and small-order encodings, as libsodium refuses them. */
PL_MUST_CHECK enum pl_err pl_sign_verify(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count,
                                         const uint8_t public_key[PL_SIGN_PUBLIC_BYTES], const uint8_t signature[PL_SIGN_BYTES]);

void pl_sign_keypair(const uint8_t seed[32], uint8_t public_key[PL_SIGN_PUBLIC_BYTES], uint8_t secret_key[PL_SIGN_SECRET_BYTES]);

void pl_hash(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count, uint8_t out[PL_HASH_BYTES]);

#endif
