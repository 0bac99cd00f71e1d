#include "crypto/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(PL_NOISE_TAG_BYTES == crypto_aead_chacha20poly1305_ietf_ABYTES, "Noise's tag is the AEAD's");
static_assert(PL_NOISE_KEY_BYTES == crypto_aead_chacha20poly1305_ietf_KEYBYTES, "Noise's key is the AEAD's");

static const char NAME_XK[] = "Noise_XK_25519_ChaChaPoly_SHA256";
static const char NAME_XKPSK3[] = "Noise_XKpsk3_25519_ChaChaPoly_SHA256";

static const size_t OVERHEAD[PL_NOISE_STEP_DONE] = { PL_NOISE_OVERHEAD_1, PL_NOISE_OVERHEAD_2, PL_NOISE_OVERHEAD_3 };

/* --- CipherState, section 5.1 --- */

static void format_nonce(uint64_t counter, uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES])
{
	memset(nonce, 0, 4);
	for (int i = 0; i < 8; i++)
		nonce[4 + i] = (uint8_t)(counter >> 8 * i);
}

static void initialize_key(struct pl_noise_cipher *cipher, const uint8_t key[32])
{
	memcpy(cipher->key, key, sizeof(cipher->key));
	cipher->nonce = 0;
	cipher->has_key = true;
}

static void seal(const struct pl_noise_cipher *cipher, uint64_t counter, const uint8_t *ad, size_t ad_bytes, const uint8_t *plain,
                 size_t plain_bytes, uint8_t *out)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	format_nonce(counter, nonce);
	crypto_aead_chacha20poly1305_ietf_encrypt(out, NULL, plain, plain_bytes, ad, ad_bytes, NULL, nonce, cipher->key);
}

static bool open_sealed(const struct pl_noise_cipher *cipher, const uint8_t *ad, size_t ad_bytes, const uint8_t *sealed,
                        size_t sealed_bytes, uint8_t *out)
{
	uint8_t nonce[crypto_aead_chacha20poly1305_ietf_NPUBBYTES];

	format_nonce(cipher->nonce, nonce);
	return crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, sealed_bytes, ad, ad_bytes, nonce, cipher->key) == 0;
}

/* CRYPTO: "Counter 2^64 - 1 is never used for a record." It is kept for rekeying, section 5.1. */
static bool is_usable(const struct pl_noise_cipher *cipher)
{
	return cipher->has_key && cipher->nonce != UINT64_MAX;
}

enum pl_err pl_noise_encrypt(struct pl_noise_cipher *cipher, const uint8_t *plain, size_t plain_bytes, uint8_t *out)
{
	if (plain_bytes > PL_NOISE_MESSAGE_BYTES_MAX - PL_NOISE_TAG_BYTES)
		return PL_ERR_LIMIT;
	if (!is_usable(cipher))
		return PL_ERR_STATE;
	seal(cipher, cipher->nonce, NULL, 0, plain, plain_bytes, out);
	cipher->nonce++;
	return PL_OK;
}

enum pl_err pl_noise_decrypt(struct pl_noise_cipher *cipher, const uint8_t *sealed, size_t sealed_bytes, uint8_t *out)
{
	if (sealed_bytes < PL_NOISE_TAG_BYTES)
		return PL_ERR_SHORT;
	if (sealed_bytes > PL_NOISE_MESSAGE_BYTES_MAX)
		return PL_ERR_LIMIT;
	if (!is_usable(cipher))
		return PL_ERR_STATE;
	if (!open_sealed(cipher, NULL, 0, sealed, sealed_bytes, out))
		return PL_ERR_DECRYPT;
	cipher->nonce++;
	return PL_OK;
}

void pl_noise_rekey(struct pl_noise_cipher *cipher)
{
	static const uint8_t zeros[PL_NOISE_KEY_BYTES];
	uint8_t sealed[PL_NOISE_KEY_BYTES + PL_NOISE_TAG_BYTES];

	assert(cipher->has_key);
	seal(cipher, UINT64_MAX, NULL, 0, zeros, sizeof(zeros), sealed);
	memcpy(cipher->key, sealed, sizeof(cipher->key));
	sodium_memzero(sealed, sizeof(sealed));
}

/* --- SymmetricState, section 5.2 --- */

static void mix_hash(struct pl_noise *noise, const uint8_t *bytes, size_t count)
{
	crypto_hash_sha256_state state;

	crypto_hash_sha256_init(&state);
	crypto_hash_sha256_update(&state, noise->hash, sizeof(noise->hash));
	crypto_hash_sha256_update(&state, bytes, count);
	crypto_hash_sha256_final(&state, noise->hash);
}

/* Noise's HKDF is RFC 5869's with the chaining key as salt and no info. */
static void hkdf(const struct pl_noise *noise, const uint8_t *input, size_t input_bytes, uint8_t *out, size_t out_bytes)
{
	uint8_t prk[crypto_kdf_hkdf_sha256_KEYBYTES];
	int failed;

	failed = crypto_kdf_hkdf_sha256_extract(prk, noise->chaining_key, sizeof(noise->chaining_key), input, input_bytes);
	failed |= crypto_kdf_hkdf_sha256_expand(out, out_bytes, NULL, 0, prk);
	assert(!failed); /* only an output over 255 hashes can fail */
	sodium_memzero(prk, sizeof(prk));
}

static void mix_key(struct pl_noise *noise, const uint8_t input[32])
{
	uint8_t okm[64];

	hkdf(noise, input, 32, okm, sizeof(okm));
	memcpy(noise->chaining_key, okm, 32);
	initialize_key(&noise->cipher, okm + 32);
	sodium_memzero(okm, sizeof(okm));
}

static void mix_key_and_hash(struct pl_noise *noise, const uint8_t input[32])
{
	uint8_t okm[96];

	hkdf(noise, input, 32, okm, sizeof(okm));
	memcpy(noise->chaining_key, okm, 32);
	mix_hash(noise, okm + 32, 32);
	initialize_key(&noise->cipher, okm + 64);
	sodium_memzero(okm, sizeof(okm));
}

/* XK has a key before it encrypts anything, so neither of these has the spec's branch for none. */
static void encrypt_and_hash(struct pl_noise *noise, const uint8_t *plain, size_t plain_bytes, uint8_t *out)
{
	assert(noise->cipher.has_key);
	seal(&noise->cipher, noise->cipher.nonce, noise->hash, sizeof(noise->hash), plain, plain_bytes, out);
	noise->cipher.nonce++;
	mix_hash(noise, out, plain_bytes + PL_NOISE_TAG_BYTES);
}

static bool decrypt_and_hash(struct pl_noise *noise, const uint8_t *sealed, size_t sealed_bytes, uint8_t *out)
{
	assert(noise->cipher.has_key);
	if (!open_sealed(&noise->cipher, noise->hash, sizeof(noise->hash), sealed, sealed_bytes, out))
		return false;
	noise->cipher.nonce++;
	mix_hash(noise, sealed, sealed_bytes);
	return true;
}

/* --- HandshakeState, section 5.3, for the tokens of XK and XKpsk3 --- */

/* libsodium refuses points of small order, and so an all-zero result. */
static bool mix_dh(struct pl_noise *noise, const uint8_t secret[32], const uint8_t public_key[32])
{
	uint8_t shared[32];
	bool ok = crypto_scalarmult(shared, secret, public_key) == 0;

	if (ok)
		mix_key(noise, shared);
	sodium_memzero(shared, sizeof(shared));
	return ok;
}

/* Token e. Section 9.2: where a psk is spoken, the ephemeral key goes into the chaining key too, so that no two handshakes share a key. */
static void mix_ephemeral(struct pl_noise *noise, const uint8_t public_key[32])
{
	mix_hash(noise, public_key, 32);
	if (noise->has_psk)
		mix_key(noise, public_key);
}

static bool is_initiator(const struct pl_noise *noise)
{
	return noise->role == PL_NOISE_INITIATOR;
}

/* Messages 1 and 3 are the initiator's. */
static bool is_our_turn_to_write(const struct pl_noise *noise)
{
	return noise->step < PL_NOISE_STEP_DONE && is_initiator(noise) == (noise->step != 1);
}

static bool is_our_turn_to_read(const struct pl_noise *noise)
{
	return noise->step < PL_NOISE_STEP_DONE && is_initiator(noise) == (noise->step == 1);
}

/* CRYPTO: "Any error in reading a message wipes the state." */
static enum pl_err die(struct pl_noise *noise, enum pl_err err)
{
	pl_noise_wipe(noise);
	return err;
}

enum pl_err pl_noise_init(struct pl_noise *noise, const struct pl_noise_setup *setup)
{
	uint8_t discarded[32];

	assert((setup->role == PL_NOISE_INITIATOR) == (setup->remote_static != NULL));
	assert(!setup->psk_later || (setup->role == PL_NOISE_RESPONDER && !setup->psk));

	memset(noise, 0, sizeof(*noise));
	noise->role = setup->role;
	noise->has_psk = setup->psk || setup->psk_later;
	noise->psk_later = setup->psk_later;
	memcpy(noise->static_secret, setup->static_secret, 32);
	memcpy(noise->ephemeral_secret, setup->ephemeral_secret, 32);
	crypto_scalarmult_base(noise->static_public, noise->static_secret);
	crypto_scalarmult_base(noise->ephemeral_public, noise->ephemeral_secret);
	if (setup->psk)
		memcpy(noise->psk, setup->psk, 32);
	if (setup->remote_static) {
		if (crypto_scalarmult(discarded, noise->static_secret, setup->remote_static) != 0)
			return die(noise, PL_ERR_REFUSED);
		sodium_memzero(discarded, sizeof(discarded));
		memcpy(noise->remote_static, setup->remote_static, 32);
		noise->has_remote_static = true;
	}

	/* A name of at most 32 bytes is the first hash itself. */
	static_assert(sizeof(NAME_XK) - 1 == sizeof(noise->hash), "the name of XK fills the hash");
	if (noise->has_psk)
		crypto_hash_sha256(noise->hash, (const uint8_t *)NAME_XKPSK3, sizeof(NAME_XKPSK3) - 1);
	else
		memcpy(noise->hash, NAME_XK, sizeof(noise->hash));
	memcpy(noise->chaining_key, noise->hash, sizeof(noise->chaining_key));
	mix_hash(noise, setup->prologue, setup->prologue_bytes);
	mix_hash(noise, is_initiator(noise) ? noise->remote_static : noise->static_public, 32); /* pre-message: <- s */
	return PL_OK;
}

enum pl_err pl_noise_write(struct pl_noise *noise, const uint8_t *payload, size_t payload_bytes, uint8_t *out, size_t out_max,
                           size_t *out_bytes)
{
	size_t overhead;
	bool ok = false;
	uint8_t *at = out;

	if (!is_our_turn_to_write(noise))
		return PL_ERR_STATE;
	overhead = OVERHEAD[noise->step];
	if (payload_bytes > PL_NOISE_MESSAGE_BYTES_MAX - overhead)
		return PL_ERR_LIMIT;
	if (out_max < payload_bytes + overhead)
		return PL_ERR_FULL;

	switch (noise->step) {
	case 0: /* -> e, es */
	case 1: /* <- e, ee */
		memcpy(at, noise->ephemeral_public, 32);
		at += 32;
		mix_ephemeral(noise, noise->ephemeral_public);
		ok = mix_dh(noise, noise->ephemeral_secret, noise->step == 0 ? noise->remote_static : noise->remote_ephemeral);
		break;
	case 2: /* -> s, se [, psk] */
		encrypt_and_hash(noise, noise->static_public, 32, at);
		at += 32 + PL_NOISE_TAG_BYTES;
		ok = mix_dh(noise, noise->static_secret, noise->remote_ephemeral);
		if (noise->has_psk)
			mix_key_and_hash(noise, noise->psk);
		break;
	}
	/* Every remote key has been through a Diffie-Hellman before it comes to be used here: at init or when it was read. */
	assert(ok);
	encrypt_and_hash(noise, payload, payload_bytes, at);
	noise->step++;
	*out_bytes = payload_bytes + overhead;
	return PL_OK;
}

/* -> s, se [, psk] as the responder reads it. The static key is claimed here, and proven only when the payload decrypts. */
static enum pl_err read_static(struct pl_noise *noise, const uint8_t sealed[32 + PL_NOISE_TAG_BYTES], pl_noise_find_psk find_psk, void *ctx)
{
	const uint8_t *psk = noise->psk;

	if (!decrypt_and_hash(noise, sealed, 32 + PL_NOISE_TAG_BYTES, noise->remote_static))
		return PL_ERR_DECRYPT;
	if (!mix_dh(noise, noise->ephemeral_secret, noise->remote_static))
		return PL_ERR_REFUSED;
	if (noise->psk_later) {
		psk = find_psk ? find_psk(ctx, noise->remote_static) : NULL;
		if (!psk)
			return PL_ERR_NO_KEY;
	}
	if (noise->has_psk)
		mix_key_and_hash(noise, psk);
	return PL_OK;
}

enum pl_err pl_noise_read(struct pl_noise *noise, const uint8_t *message, size_t message_bytes, uint8_t *payload, size_t payload_max,
                          size_t *payload_bytes, pl_noise_find_psk find_psk, void *ctx)
{
	size_t overhead;
	enum pl_err err = PL_OK;

	if (!is_our_turn_to_read(noise))
		return die(noise, PL_ERR_STATE);
	overhead = OVERHEAD[noise->step];
	if (message_bytes < overhead)
		return die(noise, PL_ERR_SHORT);
	if (message_bytes > PL_NOISE_MESSAGE_BYTES_MAX)
		return die(noise, PL_ERR_LIMIT);
	if (payload_max < message_bytes - overhead)
		return die(noise, PL_ERR_FULL);

	switch (noise->step) {
	case 0: /* -> e, es */
	case 1: /* <- e, ee */
		memcpy(noise->remote_ephemeral, message, 32);
		mix_ephemeral(noise, noise->remote_ephemeral);
		if (!mix_dh(noise, noise->step == 0 ? noise->static_secret : noise->ephemeral_secret, noise->remote_ephemeral))
			err = PL_ERR_REFUSED;
		break;
	case 2:
		err = read_static(noise, message, find_psk, ctx);
		break;
	}
	if (err)
		return die(noise, err);
	if (!decrypt_and_hash(noise, message + overhead - PL_NOISE_TAG_BYTES, message_bytes - overhead + PL_NOISE_TAG_BYTES, payload))
		return die(noise, PL_ERR_DECRYPT);
	if (noise->step == 2)
		noise->has_remote_static = true;
	noise->step++;
	*payload_bytes = message_bytes - overhead;
	return PL_OK;
}

bool pl_noise_is_done(const struct pl_noise *noise)
{
	return noise->step == PL_NOISE_STEP_DONE || noise->step == PL_NOISE_STEP_SPLIT;
}

enum pl_err pl_noise_split(struct pl_noise *noise, struct pl_noise_cipher *send, struct pl_noise_cipher *receive)
{
	uint8_t okm[64];

	if (noise->step != PL_NOISE_STEP_DONE)
		return PL_ERR_STATE;
	hkdf(noise, noise->psk, 0, okm, sizeof(okm)); /* no input, but libsodium wants an address */
	initialize_key(is_initiator(noise) ? send : receive, okm);
	initialize_key(is_initiator(noise) ? receive : send, okm + 32);
	sodium_memzero(okm, sizeof(okm));

	sodium_memzero(noise->chaining_key, sizeof(noise->chaining_key));
	pl_noise_cipher_wipe(&noise->cipher);
	sodium_memzero(noise->static_secret, sizeof(noise->static_secret));
	sodium_memzero(noise->ephemeral_secret, sizeof(noise->ephemeral_secret));
	sodium_memzero(noise->psk, sizeof(noise->psk));
	noise->step = PL_NOISE_STEP_SPLIT;
	return PL_OK;
}

void pl_noise_wipe(struct pl_noise *noise)
{
	sodium_memzero(noise, sizeof(*noise));
	noise->step = PL_NOISE_STEP_DEAD; /* zeros would read as a fresh handshake */
}

void pl_noise_cipher_wipe(struct pl_noise_cipher *cipher)
{
	sodium_memzero(cipher, sizeof(*cipher));
}
