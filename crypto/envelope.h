/* The envelope: an entry's body, encrypted end to end to the epoch keys of its recipients. CRYPTO.md, "Envelope".
 *
 *   offset size field
 *        0    1  version, 1
 *        1    1  suite: 1 = HPKE X-Wing, HKDF-SHA256, ChaCha20-Poly1305; body XChaCha20-Poly1305
 *        2    2  slots: 4, 16 or 64
 *        4    4  ciphertext bytes (padded plaintext + 16)
 *        8   32  commitment to the content key
 *       40  slots x 1168   encapsulated key (1120) and HPKE ciphertext of the content key (32 + 16)
 *        …       body ciphertext
 *
 * The plaintext is padded to 2, 4, 16 or 64 KiB: plaintext | 0x80 | zeros. An envelope opens if some slot opens to a content key that fits the
 * commitment; at most one content key does. ctx binds an envelope to who sends it and as what, so that nobody
 * can pass it off as theirs; see struct pl_envelope_ctx.
 */
#ifndef PL_CRYPTO_ENVELOPE_H
#define PL_CRYPTO_ENVELOPE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"

#define PL_EPOCH_PUBLIC_BYTES 1216 /* X-Wing */
#define PL_EPOCH_SECRET_BYTES 32
#define PL_CEK_BYTES 32
#define PL_COURIER_KEY_BYTES 32
#define PL_ENVELOPE_PREFIX_BYTES 40
#define PL_ENVELOPE_SLOT_BYTES 1168
#define PL_ENVELOPE_SLOTS_MAX 64
#define PL_ENVELOPE_PLAIN_BYTES_MAX 65535 /* one byte of padding at least */

struct pl_envelope_ctx {
	uint8_t network_id[32];
	uint8_t author[32];
	uint8_t kind; /* the entry's kind */
};

struct pl_envelope_recipient {
	const uint8_t *epoch_public; /* PL_EPOCH_PUBLIC_BYTES */
	const uint8_t *courier_key;  /* PL_COURIER_KEY_BYTES shared with this recipient, or NULL: mode psk or mode base */
};

/* An epoch key pair: any 32 random bytes are a secret, and this is its public key. */
void pl_epoch_public(const uint8_t epoch_secret[PL_EPOCH_SECRET_BYTES], uint8_t epoch_public[PL_EPOCH_PUBLIC_BYTES]);

/* Whether somebody else's public key can be sealed to at all: to be asked when it arrives, since one that cannot would fail every envelope
 * to its owner and others. PL_ERR_REFUSED. */
PL_MUST_CHECK enum pl_err pl_epoch_public_check(const uint8_t epoch_public[PL_EPOCH_PUBLIC_BYTES]);

/* A key that pl_envelope_open() may try. */
struct pl_envelope_key {
	const uint8_t *epoch_secret; /* PL_EPOCH_SECRET_BYTES */
};

/* Bytes of the envelope for so many recipients and so much plaintext; 0 if over a limit (also: no recipients). */
size_t pl_envelope_bytes(size_t recipients_count, size_t plain_bytes);

/* Seals. seed: 32 fresh random bytes, from which the content key, encapsulations, throwaway keys and the shuffle are drawn. cek is given
 * back to the caller, who keeps it to disclose this one message later, and to derive attachment keys. plain and out do not overlap.
 * PL_ERR_LIMIT, PL_ERR_FULL, PL_ERR_REFUSED (a recipient's key cannot be sealed to: pl_epoch_public_check()). */
PL_MUST_CHECK enum pl_err pl_envelope_seal(const struct pl_envelope_ctx *ctx, const struct pl_envelope_recipient *recipients,
                                           size_t recipients_count, const uint8_t *plain, size_t plain_bytes, const uint8_t seed[32],
                                           uint8_t *out, size_t out_max, size_t *out_bytes, uint8_t cek[PL_CEK_BYTES]);

/* Checks the form only, as a relay does: sizes add up. PL_ERR_SHORT, PL_ERR_FORMAT, PL_ERR_VERSION, PL_ERR_LIMIT. */
PL_MUST_CHECK enum pl_err pl_envelope_check(const uint8_t *envelope, size_t envelope_bytes);

/* Tries every key on every slot without early exit; courier_key (or NULL) is the one shared with the author, and each slot is tried with it
 * and without. plain has room for the padding: PL_ENVELOPE_PLAIN_BYTES_MAX + 1 is always enough. PL_ERR_NO_KEY: not for us (or for a key that
 * is gone); PL_ERR_DECRYPT: a slot opens but commitment or body do not fit, so the sender is at fault; PL_ERR_FULL; the errors of
 * pl_envelope_check(). */
PL_MUST_CHECK enum pl_err pl_envelope_open(const struct pl_envelope_ctx *ctx, const struct pl_envelope_key *keys, size_t keys_count,
                                           const uint8_t *courier_key, const uint8_t *envelope, size_t envelope_bytes, uint8_t *plain,
                                           size_t plain_max, size_t *plain_bytes, uint8_t cek[PL_CEK_BYTES]);

/* Opens with a disclosed content key, as an arbiter does. PL_ERR_DECRYPT, PL_ERR_FULL, the errors of pl_envelope_check(). */
PL_MUST_CHECK enum pl_err pl_envelope_open_with_cek(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES],
                                                    const uint8_t *envelope, size_t envelope_bytes, uint8_t *plain, size_t plain_max,
                                                    size_t *plain_bytes);

/* --- what hangs on an envelope ---
 * Sealed chunk of an attachment: key = HKDF-Expand(prk of the message's CEK, PL_LABEL_ATTACHMENT | u32 attachment | u32 chunk), one key a
 * chunk, nonce zero, XChaCha20-Poly1305, associated data ctx (as in the message) | attachment id. out: plain_bytes + 16, and on opening
 * sealed_bytes - 16. PL_ERR_LIMIT; PL_ERR_SHORT, PL_ERR_DECRYPT. */
#define PL_ATTACHMENT_CHUNK_BYTES_MAX 65536 /* more than the protocol uses: see PL_CHUNK_BYTES */
PL_MUST_CHECK enum pl_err pl_attachment_seal(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES],
                                             const uint8_t attachment_id[16], uint32_t attachment, uint32_t chunk, const uint8_t *plain,
                                             size_t plain_bytes, uint8_t *out);
PL_MUST_CHECK enum pl_err pl_attachment_open(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES],
                                             const uint8_t attachment_id[16], uint32_t attachment, uint32_t chunk, const uint8_t *sealed,
                                             size_t sealed_bytes, uint8_t *out);

/* A channel item: 4-byte version and suite (1, 1, 0, 0) | channel id 16 | u64 item number | commitment 32 | ciphertext. Commitment and key are
 * the halves of HKDF-Expand(root, PL_LABEL_CHANNEL | u64 item number | channel id | ctx, 64); CRYPTO.md, "Channels". Item numbers never repeat
 * under one root. plaintext | 0x80 | zeros is padded to 256 B, 1 KiB, 4 KiB, then to whole 16 KiB. */
#define PL_CHANNEL_ROOT_BYTES 32
#define PL_CHANNEL_ID_BYTES 16
#define PL_CHANNEL_PREFIX_BYTES 60
#define PL_CHANNEL_STEP_BYTES 16384
#define PL_CHANNEL_PLAIN_BYTES_MAX 131071 /* 128 KiB less a byte of padding: more does not fit an entry */

/* Bytes of the item for so much plaintext; 0 if over the limit. */
size_t pl_channel_bytes(size_t plain_bytes);
PL_MUST_CHECK enum pl_err pl_channel_seal(const struct pl_envelope_ctx *ctx, const uint8_t root[PL_CHANNEL_ROOT_BYTES],
                                          const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint64_t item, const uint8_t *plain,
                                          size_t plain_bytes, uint8_t *out, size_t out_max, size_t *out_bytes);

/* Checks the form, and reads the channel id and item number, to find the root. PL_ERR_SHORT, PL_ERR_VERSION, PL_ERR_FORMAT, PL_ERR_LIMIT. */
PL_MUST_CHECK enum pl_err pl_channel_peek(const uint8_t *sealed, size_t sealed_bytes, uint8_t channel_id[PL_CHANNEL_ID_BYTES],
                                          uint64_t *item);

/* plain has room for the padding: sealed_bytes - PL_CHANNEL_PREFIX_BYTES - 16. PL_ERR_DECRYPT, PL_ERR_FULL, and as above. */
PL_MUST_CHECK enum pl_err pl_channel_open(const struct pl_envelope_ctx *ctx, const uint8_t root[PL_CHANNEL_ROOT_BYTES],
                                          const uint8_t *sealed, size_t sealed_bytes, uint8_t *plain, size_t plain_max,
                                          size_t *plain_bytes);

#endif
