#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "crypto/hpke.h"

#define KDF_HKDF_SHA256 0x0001
#define AEAD_CHACHA20_POLY1305 0x0003
#define HASH_BYTES 32
#define SUITE_BYTES_MAX 10
#define KEM_CONTEXT_BYTES 64 /* X25519: enc | public key */
#define LABEL_BYTES_MAX 13   /* "shared_secret" */

static const uint8_t hpke_v1[7] = { 'H', 'P', 'K', 'E', '-', 'v', '1' };

/* What the RFC calls suite_id, of the KEM or of the whole. */
struct suite {
	uint8_t bytes[SUITE_BYTES_MAX];
	size_t count;
};

static struct suite suite_of_kem(enum pl_hpke_kem kem)
{
	return (struct suite){ { 'K', 'E', 'M', (uint8_t)(kem >> 8), (uint8_t)kem }, 5 };
}

static struct suite suite_of_hpke(enum pl_hpke_kem kem)
{
	return (struct suite){ { 'H', 'P', 'K', 'E', (uint8_t)(kem >> 8), (uint8_t)kem, 0, KDF_HKDF_SHA256, 0, AEAD_CHACHA20_POLY1305 }, 10 };
}

/* RFC 9180, section 4. */
static void labeled_extract(const struct suite *suite, const uint8_t *salt, size_t salt_bytes, const char *label, const uint8_t *ikm,
                            size_t ikm_bytes, uint8_t prk[HASH_BYTES])
{
	crypto_kdf_hkdf_sha256_state state;
	crypto_kdf_hkdf_sha256_extract_init(&state, salt, salt_bytes);
	crypto_kdf_hkdf_sha256_extract_update(&state, hpke_v1, sizeof(hpke_v1));
	crypto_kdf_hkdf_sha256_extract_update(&state, suite->bytes, suite->count);
	crypto_kdf_hkdf_sha256_extract_update(&state, (const uint8_t *)label, strlen(label));
	if (ikm_bytes > 0)
		crypto_kdf_hkdf_sha256_extract_update(&state, ikm, ikm_bytes);
	crypto_kdf_hkdf_sha256_extract_final(&state, prk);
	sodium_memzero(&state, sizeof(state));
}

static void labeled_expand(const struct suite *suite, const uint8_t prk[HASH_BYTES], const char *label, const uint8_t *info,
                           size_t info_bytes, uint8_t *out, size_t out_bytes)
{
	uint8_t labeled[2 + sizeof(hpke_v1) + SUITE_BYTES_MAX + LABEL_BYTES_MAX + PL_HPKE_EXPORT_CONTEXT_BYTES_MAX];
	size_t label_bytes = strlen(label), at = 0;
	assert(label_bytes <= LABEL_BYTES_MAX && info_bytes <= PL_HPKE_EXPORT_CONTEXT_BYTES_MAX && out_bytes <= PL_HPKE_EXPORT_BYTES_MAX);
	labeled[at++] = (uint8_t)(out_bytes >> 8);
	labeled[at++] = (uint8_t)out_bytes;
	memcpy(labeled + at, hpke_v1, sizeof(hpke_v1));
	at += sizeof(hpke_v1);
	memcpy(labeled + at, suite->bytes, suite->count);
	at += suite->count;
	memcpy(labeled + at, label, label_bytes);
	at += label_bytes;
	if (info_bytes > 0)
		memcpy(labeled + at, info, info_bytes);
	at += info_bytes;
	crypto_kdf_hkdf_sha256_expand(out, out_bytes, (const char *)labeled, at, prk);
}

size_t pl_hpke_public_bytes(enum pl_hpke_kem kem)
{
	switch (kem) {
	case PL_HPKE_X25519: return crypto_scalarmult_curve25519_BYTES;
	case PL_HPKE_XWING: return crypto_kem_xwing_PUBLICKEYBYTES;
	}
	return 0;
}

size_t pl_hpke_enc_bytes(enum pl_hpke_kem kem)
{
	switch (kem) {
	case PL_HPKE_X25519: return crypto_scalarmult_curve25519_BYTES;
	case PL_HPKE_XWING: return crypto_kem_xwing_CIPHERTEXTBYTES;
	}
	return 0;
}

size_t pl_hpke_seed_bytes(enum pl_hpke_kem kem)
{
	switch (kem) {
	case PL_HPKE_X25519: return 32;
	case PL_HPKE_XWING: return 64;
	}
	return 0;
}

void pl_hpke_public(enum pl_hpke_kem kem, const uint8_t secret[PL_HPKE_SECRET_BYTES], uint8_t *public_key)
{
	switch (kem) {
	case PL_HPKE_X25519:
		crypto_scalarmult_curve25519_base(public_key, secret);
		break;
	case PL_HPKE_XWING: {
		uint8_t again[crypto_kem_xwing_SECRETKEYBYTES]; /* libsodium gives the seed back as the secret key */
		crypto_kem_xwing_seed_keypair(public_key, again, secret);
		sodium_memzero(again, sizeof(again));
		break;
	}
	}
}

/* RFC 9180, section 4.1: ExtractAndExpand with kem_context = enc | public key. */
static void x25519_shared(const uint8_t dh[32], const uint8_t enc[32], const uint8_t public_key[32], uint8_t shared[PL_HPKE_SHARED_BYTES])
{
	struct suite suite = suite_of_kem(PL_HPKE_X25519);
	uint8_t context[KEM_CONTEXT_BYTES], prk[HASH_BYTES];
	memcpy(context, enc, 32);
	memcpy(context + 32, public_key, 32);
	labeled_extract(&suite, NULL, 0, "eae_prk", dh, 32, prk);
	labeled_expand(&suite, prk, "shared_secret", context, sizeof(context), shared, PL_HPKE_SHARED_BYTES);
	sodium_memzero(prk, sizeof(prk));
}

static enum pl_err x25519_encap(const uint8_t public_key[32], const uint8_t seed[32], uint8_t enc[32],
                                uint8_t shared[PL_HPKE_SHARED_BYTES])
{
	struct suite suite = suite_of_kem(PL_HPKE_X25519);
	uint8_t prk[HASH_BYTES], secret[32], dh[32];
	labeled_extract(&suite, NULL, 0, "dkp_prk", seed, 32, prk); /* section 7.1.3: DeriveKeyPair */
	labeled_expand(&suite, prk, "sk", NULL, 0, secret, sizeof(secret));
	enum pl_err err = crypto_scalarmult_curve25519(dh, secret, public_key) == 0 ? PL_OK : PL_ERR_REFUSED;
	if (err == PL_OK) {
		crypto_scalarmult_curve25519_base(enc, secret);
		x25519_shared(dh, enc, public_key, shared);
	}
	sodium_memzero(prk, sizeof(prk));
	sodium_memzero(secret, sizeof(secret));
	sodium_memzero(dh, sizeof(dh));
	return err;
}

static enum pl_err x25519_decap(const uint8_t secret[32], const uint8_t enc[32], uint8_t shared[PL_HPKE_SHARED_BYTES])
{
	uint8_t public_key[32], dh[32];
	enum pl_err err = crypto_scalarmult_curve25519(dh, secret, enc) == 0 ? PL_OK : PL_ERR_REFUSED;
	if (err == PL_OK) {
		crypto_scalarmult_curve25519_base(public_key, secret);
		x25519_shared(dh, enc, public_key, shared);
	}
	sodium_memzero(dh, sizeof(dh));
	return err;
}

enum pl_err pl_hpke_encap(enum pl_hpke_kem kem, const uint8_t *public_key, const uint8_t *seed, uint8_t *enc,
                          uint8_t shared[PL_HPKE_SHARED_BYTES])
{
	switch (kem) {
	case PL_HPKE_X25519: return x25519_encap(public_key, seed, enc, shared);
	case PL_HPKE_XWING: return crypto_kem_xwing_enc_deterministic(enc, shared, public_key, seed) == 0 ? PL_OK : PL_ERR_REFUSED;
	}
	return PL_ERR_VERSION;
}

enum pl_err pl_hpke_decap(enum pl_hpke_kem kem, const uint8_t secret[PL_HPKE_SECRET_BYTES], const uint8_t *enc,
                          uint8_t shared[PL_HPKE_SHARED_BYTES])
{
	switch (kem) {
	case PL_HPKE_X25519: return x25519_decap(secret, enc, shared);
	/* CRYPTO: "An encapsulated key with an X25519 part of small order is refused." */
	case PL_HPKE_XWING: return crypto_kem_xwing_dec(shared, enc, secret) == 0 ? PL_OK : PL_ERR_REFUSED;
	}
	return PL_ERR_VERSION;
}

/* RFC 9180, section 5.1: VerifyPSKInputs and KeySchedule. */
enum pl_err pl_hpke_schedule(const struct pl_hpke_params *params, const uint8_t shared[PL_HPKE_SHARED_BYTES], struct pl_hpke *hpke)
{
	if ((params->psk == NULL) != (params->psk_id_bytes == 0) || (params->psk && params->psk_bytes < PL_HPKE_PSK_BYTES_MIN))
		return PL_ERR_REFUSED;

	struct suite suite = suite_of_hpke(params->kem);
	uint8_t context[1 + 2 * HASH_BYTES], secret[HASH_BYTES];
	context[0] = params->psk ? 1 : 0; /* the mode */
	labeled_extract(&suite, NULL, 0, "psk_id_hash", params->psk_id, params->psk_id_bytes, context + 1);
	labeled_extract(&suite, NULL, 0, "info_hash", params->info, params->info_bytes, context + 1 + HASH_BYTES);
	labeled_extract(&suite, shared, PL_HPKE_SHARED_BYTES, "secret", params->psk, params->psk ? params->psk_bytes : 0, secret);

	hpke->kem = params->kem;
	hpke->sequence = 0;
	labeled_expand(&suite, secret, "key", context, sizeof(context), hpke->key, sizeof(hpke->key));
	labeled_expand(&suite, secret, "base_nonce", context, sizeof(context), hpke->base_nonce, sizeof(hpke->base_nonce));
	labeled_expand(&suite, secret, "exp", context, sizeof(context), hpke->exporter_secret, sizeof(hpke->exporter_secret));
	sodium_memzero(secret, sizeof(secret));
	return PL_OK;
}

enum pl_err pl_hpke_setup_sender(const struct pl_hpke_params *params, const uint8_t *public_key, const uint8_t *seed, uint8_t *enc,
                                 struct pl_hpke *hpke)
{
	uint8_t shared[PL_HPKE_SHARED_BYTES];
	enum pl_err err = pl_hpke_encap(params->kem, public_key, seed, enc, shared);
	if (err == PL_OK)
		err = pl_hpke_schedule(params, shared, hpke);
	sodium_memzero(shared, sizeof(shared));
	return err;
}

enum pl_err pl_hpke_setup_recipient(const struct pl_hpke_params *params, const uint8_t secret[PL_HPKE_SECRET_BYTES], const uint8_t *enc,
                                    struct pl_hpke *hpke)
{
	uint8_t shared[PL_HPKE_SHARED_BYTES];
	enum pl_err err = pl_hpke_decap(params->kem, secret, enc, shared);
	if (err == PL_OK)
		err = pl_hpke_schedule(params, shared, hpke);
	sodium_memzero(shared, sizeof(shared));
	return err;
}

static void nonce_of(const struct pl_hpke *hpke, uint8_t nonce[12])
{
	memcpy(nonce, hpke->base_nonce, 12);
	for (int i = 0; i < 8; i++)
		nonce[11 - i] ^= (uint8_t)(hpke->sequence >> 8 * i);
}

enum pl_err pl_hpke_seal(struct pl_hpke *hpke, const uint8_t *aad, size_t aad_bytes, const uint8_t *plain, size_t plain_bytes, uint8_t *out)
{
	if (hpke->sequence == UINT64_MAX)
		return PL_ERR_STATE;
	uint8_t nonce[12];
	nonce_of(hpke, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, plain_bytes, aad, aad_bytes, NULL, nonce, hpke->key);
	hpke->sequence++;
	return PL_OK;
}

enum pl_err pl_hpke_open(struct pl_hpke *hpke, const uint8_t *aad, size_t aad_bytes, const uint8_t *sealed, size_t sealed_bytes,
                         uint8_t *out)
{
	if (hpke->sequence == UINT64_MAX)
		return PL_ERR_STATE;
	if (sealed_bytes < PL_HPKE_TAG_BYTES)
		return PL_ERR_SHORT;
	uint8_t nonce[12];
	nonce_of(hpke, nonce);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, sealed_bytes, aad, aad_bytes, nonce, hpke->key) != 0)
		return PL_ERR_DECRYPT;
	hpke->sequence++;
	return PL_OK;
}

enum pl_err pl_hpke_export(const struct pl_hpke *hpke, const uint8_t *context, size_t context_bytes, uint8_t *out, size_t out_bytes)
{
	if (context_bytes > PL_HPKE_EXPORT_CONTEXT_BYTES_MAX || out_bytes > PL_HPKE_EXPORT_BYTES_MAX)
		return PL_ERR_LIMIT;
	struct suite suite = suite_of_hpke(hpke->kem);
	labeled_expand(&suite, hpke->exporter_secret, "sec", context, context_bytes, out, out_bytes);
	return PL_OK;
}

enum pl_err pl_hpke_seal_once(const struct pl_hpke_params *params, const uint8_t *public_key, const uint8_t *seed, const uint8_t *aad,
                              size_t aad_bytes, const uint8_t *plain, size_t plain_bytes, uint8_t *enc, uint8_t *out)
{
	struct pl_hpke hpke;
	enum pl_err err = pl_hpke_setup_sender(params, public_key, seed, enc, &hpke);
	if (err == PL_OK)
		err = pl_hpke_seal(&hpke, aad, aad_bytes, plain, plain_bytes, out);
	pl_hpke_wipe(&hpke);
	return err;
}

enum pl_err pl_hpke_open_once(const struct pl_hpke_params *params, const uint8_t secret[PL_HPKE_SECRET_BYTES], const uint8_t *enc,
                              const uint8_t *aad, size_t aad_bytes, const uint8_t *sealed, size_t sealed_bytes, uint8_t *out)
{
	struct pl_hpke hpke;
	enum pl_err err = pl_hpke_setup_recipient(params, secret, enc, &hpke);
	if (err == PL_OK)
		err = pl_hpke_open(&hpke, aad, aad_bytes, sealed, sealed_bytes, out);
	pl_hpke_wipe(&hpke);
	return err;
}

void pl_hpke_wipe(struct pl_hpke *hpke)
{
	sodium_memzero(hpke, sizeof(*hpke));
}
