/* HPKE (RFC 9180) with two KEMs, HKDF-SHA256 and ChaCha20-Poly1305, in modes base and psk.
 *
 * A KEM gives sender and recipient a shared secret; the key schedule turns it, with info and perhaps a pre-shared key, into a struct pl_hpke:
 * the keys of one direction. pl_hpke_setup_*() do both steps; pl_hpke_encap(), pl_hpke_decap() and pl_hpke_schedule() are the steps themselves,
 * for one who decapsulates once and then tries both modes. Nothing here draws randomness: what is random is an argument.
 *
 * Another KEM: a value in enum pl_hpke_kem, and what the compiler then finds missing in hpke.c.
 */
#ifndef PL_CRYPTO_HPKE_H
#define PL_CRYPTO_HPKE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"

/* Numbers as IANA has them. X-Wing is the one that envelopes use; X25519 is here because the RFC's own vectors for the psk mode need it. */
enum pl_hpke_kem { PL_HPKE_X25519 = 0x0020, PL_HPKE_XWING = 0x647a };

#define PL_HPKE_SECRET_BYTES 32 /* a recipient's secret key, of either KEM */
#define PL_HPKE_SHARED_BYTES 32
#define PL_HPKE_TAG_BYTES 16
#define PL_HPKE_PSK_BYTES_MIN 32          /* RFC 9180, section 9.5 */
#define PL_HPKE_EXPORT_CONTEXT_BYTES_MAX 128
#define PL_HPKE_EXPORT_BYTES_MAX 8160     /* 255 blocks */

size_t pl_hpke_public_bytes(enum pl_hpke_kem kem); /* 1216; 32 */
size_t pl_hpke_enc_bytes(enum pl_hpke_kem kem);    /* encapsulated key: 1120; 32. For the tests alone: an envelope knows its KEM */
size_t pl_hpke_seed_bytes(enum pl_hpke_kem kem);   /* randomness of one encapsulation: 64; 32 */

struct pl_hpke_params {
	enum pl_hpke_kem kem;
	const uint8_t *info;
	size_t info_bytes;
	const uint8_t *psk; /* NULL: mode base; otherwise mode psk, and psk_id too is given */
	size_t psk_bytes;
	const uint8_t *psk_id;
	size_t psk_id_bytes;
};

/* The keys of one direction. Wipe with pl_hpke_wipe(). */
struct pl_hpke {
	enum pl_hpke_kem kem;
	uint8_t key[32];
	uint8_t base_nonce[12];
	uint8_t exporter_secret[32];
	uint64_t sequence; /* of the next message */
};

/* Public key of a secret key. For X-Wing any 32 bytes are a secret key. */
void pl_hpke_public(enum pl_hpke_kem kem, const uint8_t secret[PL_HPKE_SECRET_BYTES], uint8_t *public_key);

/* seed: pl_hpke_seed_bytes() fresh random bytes: X-Wing's eseed; for X25519 the ikmE of RFC 9180. PL_ERR_REFUSED: no public key of the KEM, or
 * one of small order. */
PL_MUST_CHECK enum pl_err pl_hpke_encap(enum pl_hpke_kem kem, const uint8_t *public_key, const uint8_t *seed, uint8_t *enc,
                                        uint8_t shared[PL_HPKE_SHARED_BYTES]);

/* PL_ERR_REFUSED: enc is of small order. X-Wing gives some secret for every other enc, made for this key or not: what is sealed tells. */
PL_MUST_CHECK enum pl_err pl_hpke_decap(enum pl_hpke_kem kem, const uint8_t secret[PL_HPKE_SECRET_BYTES], const uint8_t *enc,
                                        uint8_t shared[PL_HPKE_SHARED_BYTES]);

/* PL_ERR_REFUSED: a psk of under PL_HPKE_PSK_BYTES_MIN, or psk and psk_id not both given. */
PL_MUST_CHECK enum pl_err pl_hpke_schedule(const struct pl_hpke_params *params, const uint8_t shared[PL_HPKE_SHARED_BYTES],
                                           struct pl_hpke *hpke);

/* Encapsulate or decapsulate, then schedule; the errors of both. */
PL_MUST_CHECK enum pl_err pl_hpke_setup_sender(const struct pl_hpke_params *params, const uint8_t *public_key, const uint8_t *seed,
                                               uint8_t *enc, struct pl_hpke *hpke);
PL_MUST_CHECK enum pl_err pl_hpke_setup_recipient(const struct pl_hpke_params *params, const uint8_t secret[PL_HPKE_SECRET_BYTES],
                                                  const uint8_t *enc, struct pl_hpke *hpke);

/* The next message: out holds plain_bytes + PL_HPKE_TAG_BYTES, may be plain. PL_ERR_STATE: sequence numbers have run out. */
PL_MUST_CHECK enum pl_err pl_hpke_seal(struct pl_hpke *hpke, const uint8_t *aad, size_t aad_bytes, const uint8_t *plain, size_t plain_bytes,
                                       uint8_t *out);

/* The next message: out holds sealed_bytes - PL_HPKE_TAG_BYTES, may be sealed. The sequence number advances only on success. PL_ERR_SHORT,
 * PL_ERR_DECRYPT, PL_ERR_STATE. */
PL_MUST_CHECK enum pl_err pl_hpke_open(struct pl_hpke *hpke, const uint8_t *aad, size_t aad_bytes, const uint8_t *sealed,
                                       size_t sealed_bytes, uint8_t *out);

/* A secret for other use; here of the tests alone, whose vectors cover it. PL_ERR_LIMIT: context over PL_HPKE_EXPORT_CONTEXT_BYTES_MAX or out over PL_HPKE_EXPORT_BYTES_MAX. */
PL_MUST_CHECK enum pl_err pl_hpke_export(const struct pl_hpke *hpke, const uint8_t *context, size_t context_bytes, uint8_t *out,
                                         size_t out_bytes);

/* RFC 9180, section 6.1: one message by itself. Envelopes are sealed so; the tests alone open so, since an envelope
 * decapsulates once and tries both modes. */
PL_MUST_CHECK enum pl_err pl_hpke_seal_once(const struct pl_hpke_params *params, const uint8_t *public_key, const uint8_t *seed,
                                            const uint8_t *aad, size_t aad_bytes, const uint8_t *plain, size_t plain_bytes, uint8_t *enc,
                                            uint8_t *out);
PL_MUST_CHECK enum pl_err pl_hpke_open_once(const struct pl_hpke_params *params, const uint8_t secret[PL_HPKE_SECRET_BYTES],
                                            const uint8_t *enc, const uint8_t *aad, size_t aad_bytes, const uint8_t *sealed,
                                            size_t sealed_bytes, uint8_t *out);

void pl_hpke_wipe(struct pl_hpke *hpke);

#endif
