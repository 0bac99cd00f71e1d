#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "crypto/bytes.h"
#include "crypto/keyfile.h"
#include "crypto/labels.h"

#define KEYFILE_VERSION 1
#define KDF_ARGON2ID13 1
#define SALT_AT 12
#define NONCE_AT 28
#define SALT_BYTES 16
#define NONCE_BYTES 24
#define TAG_BYTES 16
#define KEY_BYTES 32

static_assert(SALT_BYTES == crypto_pwhash_SALTBYTES && NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "sizes in the file");
static_assert(NONCE_AT + NONCE_BYTES == PL_KEYFILE_PREFIX_BYTES, "layout");
static_assert(PL_COLUMN_OVERHEAD == NONCE_BYTES + TAG_BYTES, "layout");

static const uint8_t magic[4] = { 'P', 'L', 'K', '1' };

static bool is_payable(struct pl_keyfile_cost cost)
{
	uint64_t memory_bytes = (uint64_t)cost.memory_kib * 1024;
	return cost.passes >= PL_KEYFILE_COST_MIN.passes && cost.passes <= PL_KEYFILE_COST_MAX.passes &&
	       cost.memory_kib >= PL_KEYFILE_COST_MIN.memory_kib && cost.memory_kib <= PL_KEYFILE_COST_MAX.memory_kib &&
	       memory_bytes <= crypto_pwhash_argon2id_MEMLIMIT_MAX; /* less than ours on a 32-bit machine */
}

static enum pl_err derive_key(struct pl_keyfile_cost cost, const char *passphrase, size_t passphrase_bytes, const uint8_t salt[SALT_BYTES],
                              uint8_t key[KEY_BYTES])
{
	if (!is_payable(cost) || passphrase_bytes > crypto_pwhash_argon2id_PASSWD_MAX)
		return PL_ERR_LIMIT;
	if (crypto_pwhash_argon2id(key, KEY_BYTES, passphrase, passphrase_bytes, salt, cost.passes, (size_t)cost.memory_kib * 1024,
	                           crypto_pwhash_argon2id_ALG_ARGON2ID13) != 0)
		return PL_ERR_MEMORY; /* its arguments have been checked, so nothing else can fail */
	return PL_OK;
}

enum pl_err pl_keyfile_seal(struct pl_keyfile_cost cost, const char *passphrase, size_t passphrase_bytes, const uint8_t salt[16],
                            const uint8_t nonce[24], const uint8_t *payload, size_t payload_bytes, uint8_t *out)
{
	if (payload_bytes > PL_KEYFILE_BYTES_MAX - PL_KEYFILE_OVERHEAD)
		return PL_ERR_LIMIT;
	uint8_t key[KEY_BYTES];
	enum pl_err err = derive_key(cost, passphrase, passphrase_bytes, salt, key);
	if (err != PL_OK)
		return err;
	memcpy(out, magic, sizeof(magic));
	out[4] = KEYFILE_VERSION;
	out[5] = KDF_ARGON2ID13;
	pl_put16(out + 6, cost.passes);
	pl_put32(out + 8, cost.memory_kib);
	memcpy(out + SALT_AT, salt, SALT_BYTES);
	memcpy(out + NONCE_AT, nonce, NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + PL_KEYFILE_PREFIX_BYTES, NULL, payload, payload_bytes, out, NONCE_AT, NULL, nonce, key);
	sodium_memzero(key, sizeof(key));
	return PL_OK;
}

enum pl_err pl_keyfile_open(const char *passphrase, size_t passphrase_bytes, const uint8_t *file, size_t file_bytes, uint8_t *out,
                            size_t *out_bytes)
{
	if (file_bytes >= sizeof(magic) && memcmp(file, magic, sizeof(magic)) != 0)
		return PL_ERR_FORMAT;
	if (file_bytes < PL_KEYFILE_OVERHEAD)
		return PL_ERR_SHORT;
	if (file[4] != KEYFILE_VERSION || file[5] != KDF_ARGON2ID13)
		return PL_ERR_VERSION;
	if (file_bytes > PL_KEYFILE_BYTES_MAX)
		return PL_ERR_LIMIT;

	/* CRYPTO: "A reader refuses, before any work, what asks for over 16 passes or 4 GiB, and files of over 64 KiB." */
	struct pl_keyfile_cost cost = { pl_get16(file + 6), pl_get32(file + 8) };
	uint8_t key[KEY_BYTES];
	enum pl_err err = derive_key(cost, passphrase, passphrase_bytes, file + SALT_AT, key);
	if (err != PL_OK)
		return err;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, file + PL_KEYFILE_PREFIX_BYTES, file_bytes - PL_KEYFILE_PREFIX_BYTES, file,
	                                               NONCE_AT, file + NONCE_AT, key) != 0)
		err = PL_ERR_DECRYPT;
	sodium_memzero(key, sizeof(key));
	if (err == PL_OK)
		*out_bytes = file_bytes - PL_KEYFILE_OVERHEAD;
	return err;
}

/* --- columns --- */

/* table | 0 | column | 0 | row: the first part names the key, the whole is associated data. */
struct place {
	uint8_t bytes[PL_COLUMN_PLACE_BYTES_MAX];
	size_t column_end, count;
};

static struct place place_of(const char *table, const char *column, const uint8_t *row, size_t row_bytes)
{
	struct place place;
	size_t table_bytes = strlen(table) + 1, column_bytes = strlen(column) + 1;
	assert(table_bytes <= sizeof(place.bytes) && column_bytes <= sizeof(place.bytes) - table_bytes &&
	       row_bytes <= sizeof(place.bytes) - table_bytes - column_bytes);
	memcpy(place.bytes, table, table_bytes);
	memcpy(place.bytes + table_bytes, column, column_bytes);
	place.column_end = table_bytes + column_bytes;
	if (row_bytes > 0)
		memcpy(place.bytes + place.column_end, row, row_bytes);
	place.count = place.column_end + row_bytes;
	return place;
}

static void derive_column_key(const uint8_t store_key[32], const struct place *place, uint8_t key[KEY_BYTES])
{
	uint8_t prk[KEY_BYTES];
	crypto_kdf_hkdf_sha256_extract(prk, (const uint8_t *)PL_LABEL_AT_REST, sizeof(PL_LABEL_AT_REST), store_key, 32);
	crypto_kdf_hkdf_sha256_expand(key, KEY_BYTES, (const char *)place->bytes, place->column_end, prk);
	sodium_memzero(prk, sizeof(prk));
}

void pl_column_seal(const uint8_t store_key[32], const char *table, const char *column, const uint8_t *row, size_t row_bytes,
                    const uint8_t *plain, size_t plain_bytes, uint8_t *out)
{
	struct place place = place_of(table, column, row, row_bytes);
	uint8_t key[KEY_BYTES];
	derive_column_key(store_key, &place, key);
	randombytes_buf(out, NONCE_BYTES);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + NONCE_BYTES, NULL, plain, plain_bytes, place.bytes, place.count, NULL, out, key);
	sodium_memzero(key, sizeof(key));
}

enum pl_err pl_column_open(const uint8_t store_key[32], const char *table, const char *column, const uint8_t *row, size_t row_bytes,
                           const uint8_t *sealed, size_t sealed_bytes, uint8_t *out)
{
	if (sealed_bytes < PL_COLUMN_OVERHEAD)
		return PL_ERR_SHORT;
	struct place place = place_of(table, column, row, row_bytes);
	uint8_t key[KEY_BYTES];
	derive_column_key(store_key, &place, key);
	int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed + NONCE_BYTES, sealed_bytes - NONCE_BYTES, place.bytes,
	                                                        place.count, sealed, key);
	sodium_memzero(key, sizeof(key));
	return opened == 0 ? PL_OK : PL_ERR_DECRYPT;
}
