#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/sign.h"

/* libsodium signs contiguous bytes only: its own multi-part form is Ed25519ph, another scheme. All of it is public. */
static size_t gather(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count,
                     uint8_t out[PL_SIGN_INPUT_BYTES_MAX])
{
	assert(label_bytes > 1 && label_bytes <= PL_SIGN_INPUT_BYTES_MAX && label[label_bytes - 1] == '\0');
	memcpy(out, label, label_bytes);
	size_t at = label_bytes;
	for (size_t i = 0; i < parts_count; i++) {
		assert(parts[i].count <= PL_SIGN_INPUT_BYTES_MAX - at);
		if (parts[i].count > 0)
			memcpy(out + at, parts[i].bytes, parts[i].count);
		at += parts[i].count;
	}
	return at;
}

void pl_sign(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count,
             const uint8_t secret_key[PL_SIGN_SECRET_BYTES], uint8_t signature[PL_SIGN_BYTES])
{
	uint8_t input[PL_SIGN_INPUT_BYTES_MAX];
	size_t input_bytes = gather(label, label_bytes, parts, parts_count, input);
	crypto_sign_ed25519_detached(signature, NULL, input, input_bytes, secret_key);
}

enum pl_err pl_sign_verify(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count,
                           const uint8_t public_key[PL_SIGN_PUBLIC_BYTES], const uint8_t signature[PL_SIGN_BYTES])
{
	uint8_t input[PL_SIGN_INPUT_BYTES_MAX];
	size_t input_bytes = gather(label, label_bytes, parts, parts_count, input);
	if (crypto_sign_ed25519_verify_detached(signature, input, input_bytes, public_key) != 0)
		return PL_ERR_SIGNATURE;
	return PL_OK;
}

void pl_sign_keypair(const uint8_t seed[32], uint8_t public_key[PL_SIGN_PUBLIC_BYTES], uint8_t secret_key[PL_SIGN_SECRET_BYTES])
{
	crypto_sign_ed25519_seed_keypair(public_key, secret_key, seed);
}

void pl_hash(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count, uint8_t out[PL_HASH_BYTES])
{
	assert(label_bytes > 1 && label[label_bytes - 1] == '\0');
	crypto_generichash_blake2b_state state;
	crypto_generichash_blake2b_init(&state, NULL, 0, PL_HASH_BYTES);
	crypto_generichash_blake2b_update(&state, (const uint8_t *)label, label_bytes);
	for (size_t i = 0; i < parts_count; i++)
		crypto_generichash_blake2b_update(&state, parts[i].bytes, parts[i].count);
	crypto_generichash_blake2b_final(&state, out, PL_HASH_BYTES);
}
