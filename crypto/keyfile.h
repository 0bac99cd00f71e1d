/* Secrets at rest: key files under a passphrase, and sealed columns of the store. CRYPTO.md, "At rest".
 *
 * Key file: "PLK1" | u8 version 1 | u8 kdf 1 (Argon2id13) | u16 passes | u32 memory KiB | salt 16 | nonce 24 | XChaCha20-Poly1305 of the
 * payload, associated data everything before the nonce. The payload is the caller's (node/keys.h: msgpack).
 */
#ifndef PL_CRYPTO_KEYFILE_H
#define PL_CRYPTO_KEYFILE_H

#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"

#define PL_KEYFILE_PREFIX_BYTES 52
#define PL_KEYFILE_OVERHEAD (PL_KEYFILE_PREFIX_BYTES + 16)
#define PL_KEYFILE_BYTES_MAX 65536

struct pl_keyfile_cost {
	uint16_t passes;
	uint32_t memory_kib;
};
#define PL_KEYFILE_COST_NODE ((struct pl_keyfile_cost){ 3, 262144 })  /* 256 MiB: a daemon pays it at each start */
#define PL_KEYFILE_COST_ROOT ((struct pl_keyfile_cost){ 4, 1048576 }) /* 1 GiB: offline media, used once a year */
#define PL_KEYFILE_COST_MAX ((struct pl_keyfile_cost){ 16, 4194304 }) /* a file that asks for more is refused before any work */
#define PL_KEYFILE_COST_MIN ((struct pl_keyfile_cost){ 1, 8 })        /* of Argon2id; for tests */

/* out holds payload_bytes + PL_KEYFILE_OVERHEAD. salt and nonce are fresh random bytes. PL_ERR_MEMORY: the KDF got no memory; PL_ERR_LIMIT:
 * a cost out of bounds, or a file of over PL_KEYFILE_BYTES_MAX. */
PL_MUST_CHECK enum pl_err pl_keyfile_seal(struct pl_keyfile_cost cost, const char *passphrase, size_t passphrase_bytes,
                                          const uint8_t salt[16], const uint8_t nonce[24], const uint8_t *payload, size_t payload_bytes,
                                          uint8_t *out);

/* out holds file_bytes - PL_KEYFILE_OVERHEAD. PL_ERR_SHORT, PL_ERR_FORMAT (not a key file), PL_ERR_VERSION, PL_ERR_LIMIT (cost),
 * PL_ERR_MEMORY, PL_ERR_DECRYPT (wrong passphrase or damaged; the two cannot be told apart). */
PL_MUST_CHECK enum pl_err pl_keyfile_open(const char *passphrase, size_t passphrase_bytes, const uint8_t *file, size_t file_bytes,
                                          uint8_t *out, size_t *out_bytes);

/* Sealed column: nonce 24 (random) | ciphertext | tag. Key = HKDF-Expand(HKDF-Extract(PL_LABEL_AT_REST, store_key), table | 0 | column | 0);
 * associated data table | 0 | column | 0 | row, together at most PL_COLUMN_PLACE_BYTES_MAX. A value may be moved to no other place unnoticed;
 * an older value of the same place may be put back. */
#define PL_COLUMN_OVERHEAD 40
#define PL_COLUMN_PLACE_BYTES_MAX 128

/* out holds plain_bytes + PL_COLUMN_OVERHEAD. */
void pl_column_seal(const uint8_t store_key[32], const char *table, const char *column, const uint8_t *row, size_t row_bytes,
                    const uint8_t *plain, size_t plain_bytes, uint8_t *out);

/* out holds sealed_bytes - PL_COLUMN_OVERHEAD. PL_ERR_SHORT, PL_ERR_DECRYPT. */
PL_MUST_CHECK enum pl_err pl_column_open(const uint8_t store_key[32], const char *table, const char *column, const uint8_t *row,
                                         size_t row_bytes, const uint8_t *sealed, size_t sealed_bytes, uint8_t *out);

#endif
