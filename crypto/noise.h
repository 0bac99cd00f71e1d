/* Noise_XK_25519_ChaChaPoly_SHA256, and the same with psk3. The Noise Protocol Framework, revision 34, sections 5, 7.5, 9 and 11.3.
 *
 * A pl_noise is the state of one handshake, in memory that the caller gives; it draws no randomness: the ephemeral secret is an argument.
 * Three messages: initiator writes, responder writes, initiator writes; then pl_noise_split() gives each side its two ciphers.
 * Wipe a pl_noise and a pl_noise_cipher with pl_noise_wipe() and pl_noise_cipher_wipe() when done.
 */
#ifndef PL_CRYPTO_NOISE_H
#define PL_CRYPTO_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"

#define PL_NOISE_KEY_BYTES 32
#define PL_NOISE_TAG_BYTES 16
#define PL_NOISE_MESSAGE_BYTES_MAX 65535
#define PL_NOISE_OVERHEAD_1 48 /* of each handshake message: what it adds to its payload */
#define PL_NOISE_OVERHEAD_2 48
#define PL_NOISE_OVERHEAD_3 64

enum pl_noise_role { PL_NOISE_INITIATOR, PL_NOISE_RESPONDER };

struct pl_noise_cipher {
	uint8_t key[PL_NOISE_KEY_BYTES];
	uint64_t nonce;
	bool has_key;
};

/* Fields for noise.c, but a caller may read: role and has_psk; step, to know what comes next; remote_ephemeral once the other's first
 * message is read; remote_static once the handshake is done, and then hash too, which both sides share and nobody else can bring about
 * (the spec's channel binding, section 11.2). */
struct pl_noise {
	enum pl_noise_role role;
	bool has_psk;   /* psk3 is spoken, whether or not the key is known yet */
	bool psk_later; /* it is not */
	bool has_remote_static;
	uint8_t step; /* handshake messages done, 0..3; then PL_NOISE_STEP_SPLIT or PL_NOISE_STEP_DEAD */
	uint8_t chaining_key[32], hash[32];
	struct pl_noise_cipher cipher;
	uint8_t static_secret[32], static_public[32];
	uint8_t ephemeral_secret[32], ephemeral_public[32];
	uint8_t remote_static[32], remote_ephemeral[32];
	uint8_t psk[32];
};
#define PL_NOISE_STEP_DONE 3
#define PL_NOISE_STEP_SPLIT 4
#define PL_NOISE_STEP_DEAD 255

struct pl_noise_setup {
	enum pl_noise_role role;
	const uint8_t *static_secret;    /* 32, own */
	const uint8_t *remote_static;    /* 32 for the initiator, NULL for the responder */
	const uint8_t *psk;              /* 32, or NULL for plain XK */
	bool psk_later;                  /* responder only, psk NULL: psk3 with a key that hangs on who the initiator is; message 3 tells,
	                                    and pl_noise_read() asks for it then */
	const uint8_t *ephemeral_secret; /* 32 fresh random bytes */
	const uint8_t *prologue;
	size_t prologue_bytes;
};

/* PL_ERR_REFUSED if remote_static is of small order. */
PL_MUST_CHECK enum pl_err pl_noise_init(struct pl_noise *noise, const struct pl_noise_setup *setup);

/* Writes the next handshake message: payload_bytes + the message's overhead; payload and out do not overlap. PL_ERR_FULL, PL_ERR_LIMIT
 * (over PL_NOISE_MESSAGE_BYTES_MAX), PL_ERR_STATE (not ours to write): none of them changes anything. */
PL_MUST_CHECK enum pl_err pl_noise_write(struct pl_noise *noise, const uint8_t *payload, size_t payload_bytes, uint8_t *out, size_t out_max,
                                         size_t *out_bytes);

/* The key that is shared with the owner of remote_static, or NULL if there is none, and the handshake fails. The initiator has not yet
 * shown that remote_static is its own, so act on nothing before pl_noise_read() returns PL_OK. */
typedef const uint8_t *(*pl_noise_find_psk)(void *ctx, const uint8_t remote_static[32]);

/* Reads the next handshake message; message and payload do not overlap. Any error leaves the handshake dead (PL_ERR_STATE from then on),
 * and wiped: PL_ERR_SHORT, PL_ERR_LIMIT, PL_ERR_FULL, PL_ERR_STATE (not ours to read), PL_ERR_REFUSED (a key of small order),
 * PL_ERR_DECRYPT. find_psk is called only with psk_later, while message 3 is read; PL_ERR_NO_KEY if it is NULL or returns NULL. */
PL_MUST_CHECK enum pl_err pl_noise_read(struct pl_noise *noise, const uint8_t *message, size_t message_bytes, uint8_t *payload,
                                        size_t payload_max, size_t *payload_bytes, pl_noise_find_psk find_psk, void *ctx);

/* All three messages are through; stays true after pl_noise_split(). */
bool pl_noise_is_done(const struct pl_noise *noise);

/* After message 3, and once only: the same ciphers twice would repeat nonces. Wipes the handshake's secrets; remote_static and hash stay.
 * PL_ERR_STATE. */
PL_MUST_CHECK enum pl_err pl_noise_split(struct pl_noise *noise, struct pl_noise_cipher *send, struct pl_noise_cipher *receive);

/* out holds plain_bytes + 16; in place (out == plain) is allowed. PL_ERR_LIMIT (over PL_NOISE_MESSAGE_BYTES_MAX), PL_ERR_STATE when nonces
 * have run out or the cipher is wiped. */
PL_MUST_CHECK enum pl_err pl_noise_encrypt(struct pl_noise_cipher *cipher, const uint8_t *plain, size_t plain_bytes, uint8_t *out);

/* out holds sealed_bytes - 16; in place is allowed. PL_ERR_SHORT, PL_ERR_LIMIT, PL_ERR_STATE as above, PL_ERR_DECRYPT: out is then zeroed.
 * The nonce advances only on success. */
PL_MUST_CHECK enum pl_err pl_noise_decrypt(struct pl_noise_cipher *cipher, const uint8_t *sealed, size_t sealed_bytes, uint8_t *out);

/* Noise section 11.3, with the default REKEY of 4.2: a new key from the old, the nonce goes on. */
void pl_noise_rekey(struct pl_noise_cipher *cipher);

void pl_noise_wipe(struct pl_noise *noise);
void pl_noise_cipher_wipe(struct pl_noise_cipher *cipher);

#endif
