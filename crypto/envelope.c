#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "crypto/bytes.h"
#include "crypto/envelope.h"
#include "crypto/hpke.h"
#include "crypto/labels.h"

#define ENVELOPE_VERSION 1
#define ENVELOPE_SUITE 1
#define ENC_BYTES 1120
#define TAG_BYTES 16
#define COMMITMENT_AT 8
#define COMMITMENT_BYTES 32
#define CTX_BYTES 65 /* network id | author | kind */
#define KEY_BYTES 32

static_assert(ENC_BYTES == crypto_kem_xwing_CIPHERTEXTBYTES, "X-Wing");
static_assert(PL_ENVELOPE_SLOT_BYTES == ENC_BYTES + PL_CEK_BYTES + PL_HPKE_TAG_BYTES, "a slot is an encapsulation and a sealed content key");
static_assert(PL_EPOCH_PUBLIC_BYTES == crypto_kem_xwing_PUBLICKEYBYTES && PL_EPOCH_SECRET_BYTES == PL_HPKE_SECRET_BYTES, "X-Wing");
static_assert(TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES && KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "AEAD");

static const size_t slot_classes[] = { 4, 16, 64 };
static const size_t padding_classes[] = { 2048, 4096, 16384, 65536 };
#define SLOT_CLASSES_COUNT (sizeof(slot_classes) / sizeof(slot_classes[0]))
#define PADDING_CLASSES_COUNT (sizeof(padding_classes) / sizeof(padding_classes[0]))

/* CRYPTO: "Every key used so is derived for one plaintext and never used again, which is what permits the constant nonce." */
static const uint8_t nonce_zero[crypto_aead_xchacha20poly1305_ietf_NPUBBYTES];

static size_t write_ctx(const struct pl_envelope_ctx *ctx, uint8_t *out)
{
	memcpy(out, ctx->network_id, 32);
	memcpy(out + 32, ctx->author, 32);
	out[64] = ctx->kind;
	return CTX_BYTES;
}

/* --- keys from the content key --- */

/* HKDF-Extract with the salt PL_LABEL_CEK | ctx. */
static void extract_prk(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES], uint8_t prk[KEY_BYTES])
{
	uint8_t salt[sizeof(PL_LABEL_CEK) + CTX_BYTES];
	memcpy(salt, PL_LABEL_CEK, sizeof(PL_LABEL_CEK));
	write_ctx(ctx, salt + sizeof(PL_LABEL_CEK));
	crypto_kdf_hkdf_sha256_extract(prk, salt, sizeof(salt), cek, PL_CEK_BYTES);
}

static void derive_commitment(const uint8_t prk[KEY_BYTES], uint8_t commitment[COMMITMENT_BYTES])
{
	crypto_kdf_hkdf_sha256_expand(commitment, COMMITMENT_BYTES, PL_LABEL_CEK_COMMIT, sizeof(PL_LABEL_CEK_COMMIT), prk);
}

/* CRYPTO: "It is compared, in constant time, before anything is decrypted." */
static bool fits_commitment(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES], const uint8_t *envelope)
{
	uint8_t prk[KEY_BYTES], commitment[COMMITMENT_BYTES];
	extract_prk(ctx, cek, prk);
	derive_commitment(prk, commitment);
	bool fits = sodium_memcmp(commitment, envelope + COMMITMENT_AT, COMMITMENT_BYTES) == 0;
	sodium_memzero(prk, sizeof(prk));
	sodium_memzero(commitment, sizeof(commitment));
	return fits;
}

/* --- what is random in an envelope: drawn from the seed, one purpose and index at a time. CRYPTO.md, "Envelope" --- */

enum draw { DRAW_CEK = 1, DRAW_ENCAPSULATION = 2, DRAW_THROWAWAY = 3, DRAW_SHUFFLE = 4 };

static void draw(const uint8_t seed[32], enum draw what, uint32_t index, uint8_t *out, size_t out_bytes)
{
	char info[sizeof(PL_LABEL_SEAL) + 5] = PL_LABEL_SEAL;
	info[sizeof(PL_LABEL_SEAL)] = (char)what;
	pl_put32((uint8_t *)info + sizeof(PL_LABEL_SEAL) + 1, index);
	crypto_kdf_hkdf_sha256_expand(out, out_bytes, info, sizeof(info), seed);
}

/* Fisher-Yates. Bytes that would favour the low places are passed over. */
static void shuffle(const uint8_t seed[32], uint8_t *order, size_t count)
{
	uint8_t block[32];
	uint32_t blocks = 0;
	size_t at = sizeof(block);
	for (size_t i = 0; i < count; i++)
		order[i] = (uint8_t)i;
	for (size_t places = count; places > 1;) {
		if (at == sizeof(block)) {
			draw(seed, DRAW_SHUFFLE, blocks++, block, sizeof(block));
			at = 0;
		}
		uint8_t byte = block[at++];
		if (byte >= 256 - 256 % places)
			continue;
		size_t other = byte % places;
		places--;
		uint8_t held = order[places];
		order[places] = order[other];
		order[other] = held;
	}
	sodium_memzero(block, sizeof(block));
}

/* --- sizes --- */

static size_t class_of(const size_t *classes, size_t classes_count, size_t least)
{
	for (size_t i = 0; i < classes_count; i++)
		if (least <= classes[i])
			return classes[i];
	return 0;
}

static bool is_class(const size_t *classes, size_t classes_count, size_t value)
{
	for (size_t i = 0; i < classes_count; i++)
		if (value == classes[i])
			return true;
	return false;
}

static size_t slots_of(const uint8_t *envelope)
{
	return pl_get16(envelope + 2);
}

static size_t ciphertext_bytes_of(const uint8_t *envelope)
{
	return pl_get32(envelope + 4);
}

size_t pl_envelope_bytes(size_t recipients_count, size_t plain_bytes)
{
	if (recipients_count == 0 || recipients_count > PL_ENVELOPE_SLOTS_MAX || plain_bytes > PL_ENVELOPE_PLAIN_BYTES_MAX)
		return 0;
	return PL_ENVELOPE_PREFIX_BYTES + class_of(slot_classes, SLOT_CLASSES_COUNT, recipients_count) * PL_ENVELOPE_SLOT_BYTES +
	       class_of(padding_classes, PADDING_CLASSES_COUNT, plain_bytes + 1) + TAG_BYTES;
}

enum pl_err pl_envelope_check(const uint8_t *envelope, size_t envelope_bytes)
{
	if (envelope_bytes < PL_ENVELOPE_PREFIX_BYTES)
		return PL_ERR_SHORT;
	if (envelope[0] != ENVELOPE_VERSION || envelope[1] != ENVELOPE_SUITE)
		return PL_ERR_VERSION;
	size_t slots = slots_of(envelope), ciphertext_bytes = ciphertext_bytes_of(envelope);
	if (slots > PL_ENVELOPE_SLOTS_MAX || ciphertext_bytes > PL_ENVELOPE_PLAIN_BYTES_MAX + 1 + TAG_BYTES)
		return PL_ERR_LIMIT;
	if (!is_class(slot_classes, SLOT_CLASSES_COUNT, slots) || ciphertext_bytes < TAG_BYTES ||
	    !is_class(padding_classes, PADDING_CLASSES_COUNT, ciphertext_bytes - TAG_BYTES))
		return PL_ERR_FORMAT;
	size_t whole = PL_ENVELOPE_PREFIX_BYTES + slots * PL_ENVELOPE_SLOT_BYTES + ciphertext_bytes;
	if (envelope_bytes != whole)
		return envelope_bytes < whole ? PL_ERR_SHORT : PL_ERR_FORMAT;
	return PL_OK;
}

/* --- slots --- */

struct slot_info {
	uint8_t bytes[sizeof(PL_LABEL_ENVELOPE) + CTX_BYTES];
};

static struct pl_hpke_params slot_params(const struct pl_envelope_ctx *ctx, const uint8_t *courier_key, struct slot_info *info)
{
	memcpy(info->bytes, PL_LABEL_ENVELOPE, sizeof(PL_LABEL_ENVELOPE));
	write_ctx(ctx, info->bytes + sizeof(PL_LABEL_ENVELOPE));
	struct pl_hpke_params params = { .kem = PL_HPKE_XWING, .info = info->bytes, .info_bytes = sizeof(info->bytes) };
	if (courier_key) {
		params.psk = courier_key;
		params.psk_bytes = PL_COURIER_KEY_BYTES;
		params.psk_id = (const uint8_t *)PL_LABEL_COURIER;
		params.psk_id_bytes = sizeof(PL_LABEL_COURIER);
	}
	return params;
}

/* prefix: the envelope's first 40 bytes. */
static enum pl_err seal_slot(const struct pl_envelope_ctx *ctx, const struct pl_envelope_recipient *recipient, const uint8_t seed[32],
                             uint32_t index, const uint8_t *prefix, const uint8_t cek[PL_CEK_BYTES], uint8_t *slot)
{
	uint8_t encapsulation[64];
	struct slot_info info;
	struct pl_hpke_params params = slot_params(ctx, recipient->courier_key, &info);
	draw(seed, DRAW_ENCAPSULATION, index, encapsulation, sizeof(encapsulation));
	enum pl_err err = pl_hpke_seal_once(&params, recipient->epoch_public, encapsulation, prefix, PL_ENVELOPE_PREFIX_BYTES, cek, PL_CEK_BYTES,
	                                    slot, slot + ENC_BYTES);
	sodium_memzero(encapsulation, sizeof(encapsulation));
	return err;
}

/* CRYPTO: "A slot to fill up is made in the same way in mode base, to the public key of a secret that is forgotten at once: to a stranger it
 * looks like any other." */
static enum pl_err seal_throwaway(const struct pl_envelope_ctx *ctx, const uint8_t seed[32], uint32_t index, const uint8_t *prefix,
                                  const uint8_t cek[PL_CEK_BYTES], uint8_t *slot)
{
	uint8_t secret[PL_EPOCH_SECRET_BYTES], public_key[PL_EPOCH_PUBLIC_BYTES];
	draw(seed, DRAW_THROWAWAY, index, secret, sizeof(secret));
	pl_epoch_public(secret, public_key);
	sodium_memzero(secret, sizeof(secret));
	struct pl_envelope_recipient nobody = { public_key, NULL };
	return seal_slot(ctx, &nobody, seed, index, prefix, cek, slot);
}

/* Whether the slot opens in this mode, for a shared secret that pl_hpke_decap() has given. */
static bool open_slot(const struct pl_hpke_params *params, const uint8_t shared[PL_HPKE_SHARED_BYTES], const uint8_t *prefix,
                      const uint8_t *slot, uint8_t cek[PL_CEK_BYTES])
{
	struct pl_hpke hpke;
	enum pl_err err = pl_hpke_schedule(params, shared, &hpke);
	if (err == PL_OK)
		err = pl_hpke_open(&hpke, prefix, PL_ENVELOPE_PREFIX_BYTES, slot + ENC_BYTES, PL_CEK_BYTES + PL_HPKE_TAG_BYTES, cek);
	pl_hpke_wipe(&hpke);
	return err == PL_OK;
}

/* --- body --- */

/* Associated data: ctx | prefix. */
static void body_aad(const struct pl_envelope_ctx *ctx, const uint8_t *envelope, uint8_t aad[CTX_BYTES + PL_ENVELOPE_PREFIX_BYTES])
{
	write_ctx(ctx, aad);
	memcpy(aad + CTX_BYTES, envelope, PL_ENVELOPE_PREFIX_BYTES);
}

static void derive_body_key(const uint8_t prk[KEY_BYTES], uint8_t key[KEY_BYTES])
{
	crypto_kdf_hkdf_sha256_expand(key, KEY_BYTES, PL_LABEL_CEK_BODY, sizeof(PL_LABEL_CEK_BODY), prk);
}

/* Decrypts and unpads: plain has room for sealed_bytes - TAG_BYTES. Nothing of it is left on error. */
static enum pl_err open_padded(const uint8_t key[KEY_BYTES], const uint8_t *aad, size_t aad_bytes, const uint8_t *sealed, size_t sealed_bytes,
                               uint8_t *plain, size_t *plain_bytes)
{
	size_t padded_bytes = sealed_bytes - TAG_BYTES, bytes;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL, sealed, sealed_bytes, aad, aad_bytes, nonce_zero, key) != 0)
		return PL_ERR_DECRYPT;
	if (sodium_unpad(&bytes, plain, padded_bytes, padded_bytes) != 0) {
		sodium_memzero(plain, padded_bytes);
		return PL_ERR_DECRYPT;
	}
	*plain_bytes = bytes;
	return PL_OK;
}

/* In place: out holds padded_bytes + TAG_BYTES. */
static void seal_padded(const uint8_t key[KEY_BYTES], const uint8_t *aad, size_t aad_bytes, const uint8_t *plain, size_t plain_bytes,
                        size_t padded_bytes, uint8_t *out)
{
	if (plain_bytes > 0)
		memcpy(out, plain, plain_bytes);
	int padded = sodium_pad(NULL, out, plain_bytes, padded_bytes, padded_bytes);
	assert(padded == 0);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, out, padded_bytes, aad, aad_bytes, NULL, nonce_zero, key);
}

/* The commitment has been checked. */
static enum pl_err open_body(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES], const uint8_t *envelope, uint8_t *plain,
                             size_t *plain_bytes)
{
	uint8_t prk[KEY_BYTES], key[KEY_BYTES], aad[CTX_BYTES + PL_ENVELOPE_PREFIX_BYTES];
	extract_prk(ctx, cek, prk);
	derive_body_key(prk, key);
	body_aad(ctx, envelope, aad);
	enum pl_err err = open_padded(key, aad, sizeof(aad), envelope + PL_ENVELOPE_PREFIX_BYTES + slots_of(envelope) * PL_ENVELOPE_SLOT_BYTES,
	                              ciphertext_bytes_of(envelope), plain, plain_bytes);
	sodium_memzero(prk, sizeof(prk));
	sodium_memzero(key, sizeof(key));
	return err;
}

/* --- the envelope --- */

void pl_epoch_public(const uint8_t epoch_secret[PL_EPOCH_SECRET_BYTES], uint8_t epoch_public[PL_EPOCH_PUBLIC_BYTES])
{
	pl_hpke_public(PL_HPKE_XWING, epoch_secret, epoch_public);
}

enum pl_err pl_epoch_public_check(const uint8_t epoch_public[PL_EPOCH_PUBLIC_BYTES])
{
	static const uint8_t any[64];
	uint8_t enc[ENC_BYTES], shared[PL_HPKE_SHARED_BYTES];
	enum pl_err err = pl_hpke_encap(PL_HPKE_XWING, epoch_public, any, enc, shared);
	sodium_memzero(shared, sizeof(shared));
	return err;
}

enum pl_err pl_envelope_seal(const struct pl_envelope_ctx *ctx, const struct pl_envelope_recipient *recipients, size_t recipients_count,
                             const uint8_t *plain, size_t plain_bytes, const uint8_t seed[32], uint8_t *out, size_t out_max,
                             size_t *out_bytes, uint8_t cek[PL_CEK_BYTES])
{
	size_t whole = pl_envelope_bytes(recipients_count, plain_bytes);
	if (whole == 0)
		return PL_ERR_LIMIT;
	if (out_max < whole)
		return PL_ERR_FULL;
	size_t slots = class_of(slot_classes, SLOT_CLASSES_COUNT, recipients_count);
	size_t padded_bytes = class_of(padding_classes, PADDING_CLASSES_COUNT, plain_bytes + 1);

	uint8_t content_key[PL_CEK_BYTES], prk[KEY_BYTES], key[KEY_BYTES], order[PL_ENVELOPE_SLOTS_MAX];
	uint8_t aad[CTX_BYTES + PL_ENVELOPE_PREFIX_BYTES];
	draw(seed, DRAW_CEK, 0, content_key, sizeof(content_key));
	extract_prk(ctx, content_key, prk);

	out[0] = ENVELOPE_VERSION;
	out[1] = ENVELOPE_SUITE;
	pl_put16(out + 2, (uint16_t)slots);
	pl_put32(out + 4, (uint32_t)(padded_bytes + TAG_BYTES));
	derive_commitment(prk, out + COMMITMENT_AT);

	shuffle(seed, order, slots);
	enum pl_err err = PL_OK;
	for (size_t i = 0; i < slots && err == PL_OK; i++) {
		uint8_t *slot = out + PL_ENVELOPE_PREFIX_BYTES + i * PL_ENVELOPE_SLOT_BYTES;
		if (order[i] < recipients_count)
			err = seal_slot(ctx, &recipients[order[i]], seed, order[i], out, content_key, slot);
		else
			err = seal_throwaway(ctx, seed, order[i], out, content_key, slot);
	}
	if (err == PL_OK) {
		derive_body_key(prk, key);
		body_aad(ctx, out, aad);
		seal_padded(key, aad, sizeof(aad), plain, plain_bytes, padded_bytes,
		            out + PL_ENVELOPE_PREFIX_BYTES + slots * PL_ENVELOPE_SLOT_BYTES);
		memcpy(cek, content_key, PL_CEK_BYTES);
		*out_bytes = whole;
	}
	sodium_memzero(content_key, sizeof(content_key));
	sodium_memzero(prk, sizeof(prk));
	sodium_memzero(key, sizeof(key));
	sodium_memzero(order, sizeof(order));
	return err;
}

/* Tries both modes on one slot with one key. opened: some mode opens it; cek is set if what it opens to fits the commitment, which at most
 * one content key does. */
static void try_slot(const struct pl_envelope_ctx *ctx, const struct pl_envelope_key *key, const struct pl_hpke_params *modes,
                     size_t modes_count, const uint8_t *envelope, const uint8_t *slot, bool *opened, bool *fits, uint8_t cek[PL_CEK_BYTES])
{
	uint8_t shared[PL_HPKE_SHARED_BYTES], candidate[PL_CEK_BYTES];
	if (pl_hpke_decap(PL_HPKE_XWING, key->epoch_secret, slot, shared) != PL_OK)
		modes_count = 0; /* an X25519 part of small order: that shows without any key */
	for (size_t mode = 0; mode < modes_count; mode++) {
		if (!open_slot(&modes[mode], shared, envelope, slot, candidate))
			continue;
		*opened = true;
		if (fits_commitment(ctx, candidate, envelope)) {
			*fits = true;
			memcpy(cek, candidate, PL_CEK_BYTES);
		}
	}
	sodium_memzero(shared, sizeof(shared));
	sodium_memzero(candidate, sizeof(candidate));
}

enum pl_err pl_envelope_open(const struct pl_envelope_ctx *ctx, const struct pl_envelope_key *keys, size_t keys_count,
                             const uint8_t *courier_key, const uint8_t *envelope, size_t envelope_bytes, uint8_t *plain, size_t plain_max,
                             size_t *plain_bytes, uint8_t cek[PL_CEK_BYTES])
{
	enum pl_err err = pl_envelope_check(envelope, envelope_bytes);
	if (err != PL_OK)
		return err;
	if (plain_max < ciphertext_bytes_of(envelope) - TAG_BYTES)
		return PL_ERR_FULL;

	struct slot_info info;
	const struct pl_hpke_params modes[2] = { slot_params(ctx, NULL, &info), slot_params(ctx, courier_key, &info) };
	size_t modes_count = courier_key ? 2 : 1;
	uint8_t content_key[PL_CEK_BYTES];
	bool opened = false, fits = false;
	/* CRYPTO: "It goes on to the last slot whatever it has found, so that the time it takes says nothing about where a slot was for it." */
	for (size_t i = 0; i < slots_of(envelope); i++)
		for (size_t k = 0; k < keys_count; k++)
			try_slot(ctx, &keys[k], modes, modes_count, envelope, envelope + PL_ENVELOPE_PREFIX_BYTES + i * PL_ENVELOPE_SLOT_BYTES, &opened,
			         &fits, content_key);

	if (!opened)
		return PL_ERR_NO_KEY;
	if (!fits)
		return PL_ERR_DECRYPT;
	err = open_body(ctx, content_key, envelope, plain, plain_bytes);
	if (err == PL_OK)
		memcpy(cek, content_key, PL_CEK_BYTES);
	sodium_memzero(content_key, sizeof(content_key));
	return err;
}

enum pl_err pl_envelope_open_with_cek(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES], const uint8_t *envelope,
                                      size_t envelope_bytes, uint8_t *plain, size_t plain_max, size_t *plain_bytes)
{
	enum pl_err err = pl_envelope_check(envelope, envelope_bytes);
	if (err != PL_OK)
		return err;
	if (plain_max < ciphertext_bytes_of(envelope) - TAG_BYTES)
		return PL_ERR_FULL;
	if (!fits_commitment(ctx, cek, envelope))
		return PL_ERR_DECRYPT;
	return open_body(ctx, cek, envelope, plain, plain_bytes);
}

/* --- attachments --- */

static void derive_attachment_key(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES], uint32_t attachment, uint32_t chunk,
                                  uint8_t key[KEY_BYTES])
{
	uint8_t prk[KEY_BYTES];
	char info[sizeof(PL_LABEL_ATTACHMENT) + 8] = PL_LABEL_ATTACHMENT;
	pl_put32((uint8_t *)info + sizeof(PL_LABEL_ATTACHMENT), attachment);
	pl_put32((uint8_t *)info + sizeof(PL_LABEL_ATTACHMENT) + 4, chunk);
	extract_prk(ctx, cek, prk);
	crypto_kdf_hkdf_sha256_expand(key, KEY_BYTES, info, sizeof(info), prk);
	sodium_memzero(prk, sizeof(prk));
}

#define ATTACHMENT_ID_BYTES 16

static void attachment_aad(const struct pl_envelope_ctx *ctx, const uint8_t attachment_id[ATTACHMENT_ID_BYTES],
                           uint8_t aad[CTX_BYTES + ATTACHMENT_ID_BYTES])
{
	memcpy(aad + write_ctx(ctx, aad), attachment_id, ATTACHMENT_ID_BYTES);
}

enum pl_err pl_attachment_seal(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES], const uint8_t attachment_id[16],
                               uint32_t attachment, uint32_t chunk, const uint8_t *plain, size_t plain_bytes, uint8_t *out)
{
	if (plain_bytes > PL_ATTACHMENT_CHUNK_BYTES_MAX)
		return PL_ERR_LIMIT;
	uint8_t key[KEY_BYTES], aad[CTX_BYTES + ATTACHMENT_ID_BYTES];
	derive_attachment_key(ctx, cek, attachment, chunk, key);
	attachment_aad(ctx, attachment_id, aad);
	crypto_aead_xchacha20poly1305_ietf_encrypt(out, NULL, plain, plain_bytes, aad, sizeof(aad), NULL, nonce_zero, key);
	sodium_memzero(key, sizeof(key));
	return PL_OK;
}

enum pl_err pl_attachment_open(const struct pl_envelope_ctx *ctx, const uint8_t cek[PL_CEK_BYTES], const uint8_t attachment_id[16],
                               uint32_t attachment, uint32_t chunk, const uint8_t *sealed, size_t sealed_bytes, uint8_t *out)
{
	if (sealed_bytes < TAG_BYTES)
		return PL_ERR_SHORT;
	if (sealed_bytes - TAG_BYTES > PL_ATTACHMENT_CHUNK_BYTES_MAX)
		return PL_ERR_LIMIT;
	uint8_t key[KEY_BYTES], aad[CTX_BYTES + ATTACHMENT_ID_BYTES];
	derive_attachment_key(ctx, cek, attachment, chunk, key);
	attachment_aad(ctx, attachment_id, aad);
	int opened = crypto_aead_xchacha20poly1305_ietf_decrypt(out, NULL, NULL, sealed, sealed_bytes, aad, sizeof(aad), nonce_zero, key);
	sodium_memzero(key, sizeof(key));
	return opened == 0 ? PL_OK : PL_ERR_DECRYPT;
}

/* --- channels --- */

#define CHANNEL_ID_AT 4
#define CHANNEL_ITEM_AT 20
#define CHANNEL_COMMITMENT_AT 28

/* CRYPTO: "It is padded to 256, 1,024 or 4,096 bytes or else to a multiple of 16,384: the smallest that leaves room for the 0x80; a reader
 * accepts any of these." */
static size_t channel_padded_bytes(size_t plain_bytes)
{
	static const size_t small[] = { 256, 1024, 4096 };
	size_t padded_bytes = class_of(small, sizeof(small) / sizeof(small[0]), plain_bytes + 1);
	if (padded_bytes != 0)
		return padded_bytes;
	return (plain_bytes / PL_CHANNEL_STEP_BYTES + 1) * PL_CHANNEL_STEP_BYTES;
}

/* Commitment and key of one item. */
struct channel_keys {
	uint8_t commitment[COMMITMENT_BYTES];
	uint8_t key[KEY_BYTES];
};

static void derive_channel_keys(const struct pl_envelope_ctx *ctx, const uint8_t root[PL_CHANNEL_ROOT_BYTES],
                                const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint64_t item, struct channel_keys *out)
{
	uint8_t info[sizeof(PL_LABEL_CHANNEL) + 8 + PL_CHANNEL_ID_BYTES + CTX_BYTES], both[COMMITMENT_BYTES + KEY_BYTES];
	memcpy(info, PL_LABEL_CHANNEL, sizeof(PL_LABEL_CHANNEL));
	pl_put64(info + sizeof(PL_LABEL_CHANNEL), item);
	memcpy(info + sizeof(PL_LABEL_CHANNEL) + 8, channel_id, PL_CHANNEL_ID_BYTES);
	write_ctx(ctx, info + sizeof(PL_LABEL_CHANNEL) + 8 + PL_CHANNEL_ID_BYTES);
	crypto_kdf_hkdf_sha256_expand(both, sizeof(both), (const char *)info, sizeof(info), root);
	memcpy(out->commitment, both, COMMITMENT_BYTES);
	memcpy(out->key, both + COMMITMENT_BYTES, KEY_BYTES);
	sodium_memzero(both, sizeof(both));
}

static void channel_aad(const struct pl_envelope_ctx *ctx, const uint8_t *sealed, uint8_t aad[CTX_BYTES + PL_CHANNEL_PREFIX_BYTES])
{
	memcpy(aad + write_ctx(ctx, aad), sealed, PL_CHANNEL_PREFIX_BYTES);
}

size_t pl_channel_bytes(size_t plain_bytes)
{
	if (plain_bytes > PL_CHANNEL_PLAIN_BYTES_MAX)
		return 0;
	return PL_CHANNEL_PREFIX_BYTES + channel_padded_bytes(plain_bytes) + TAG_BYTES;
}

enum pl_err pl_channel_seal(const struct pl_envelope_ctx *ctx, const uint8_t root[PL_CHANNEL_ROOT_BYTES],
                            const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint64_t item, const uint8_t *plain, size_t plain_bytes,
                            uint8_t *out, size_t out_max, size_t *out_bytes)
{
	size_t whole = pl_channel_bytes(plain_bytes);
	if (whole == 0)
		return PL_ERR_LIMIT;
	if (out_max < whole)
		return PL_ERR_FULL;

	struct channel_keys keys;
	uint8_t aad[CTX_BYTES + PL_CHANNEL_PREFIX_BYTES];
	derive_channel_keys(ctx, root, channel_id, item, &keys);
	out[0] = ENVELOPE_VERSION;
	out[1] = ENVELOPE_SUITE;
	out[2] = out[3] = 0;
	memcpy(out + CHANNEL_ID_AT, channel_id, PL_CHANNEL_ID_BYTES);
	pl_put64(out + CHANNEL_ITEM_AT, item);
	memcpy(out + CHANNEL_COMMITMENT_AT, keys.commitment, COMMITMENT_BYTES);
	channel_aad(ctx, out, aad);
	seal_padded(keys.key, aad, sizeof(aad), plain, plain_bytes, channel_padded_bytes(plain_bytes), out + PL_CHANNEL_PREFIX_BYTES);
	sodium_memzero(&keys, sizeof(keys));
	*out_bytes = whole;
	return PL_OK;
}

/* Everything about the form but the commitment and the ciphertext. */
static enum pl_err channel_check(const uint8_t *sealed, size_t sealed_bytes)
{
	if (sealed_bytes < PL_CHANNEL_PREFIX_BYTES + TAG_BYTES + 1)
		return PL_ERR_SHORT;
	if (sealed[0] != ENVELOPE_VERSION || sealed[1] != ENVELOPE_SUITE)
		return PL_ERR_VERSION;
	size_t padded_bytes = sealed_bytes - PL_CHANNEL_PREFIX_BYTES - TAG_BYTES;
	if (padded_bytes > PL_CHANNEL_PLAIN_BYTES_MAX + 1)
		return PL_ERR_LIMIT;
	if (sealed[2] != 0 || sealed[3] != 0 || channel_padded_bytes(padded_bytes - 1) != padded_bytes)
		return PL_ERR_FORMAT;
	return PL_OK;
}

enum pl_err pl_channel_peek(const uint8_t *sealed, size_t sealed_bytes, uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint64_t *item)
{
	enum pl_err err = channel_check(sealed, sealed_bytes);
	if (err != PL_OK)
		return err;
	memcpy(channel_id, sealed + CHANNEL_ID_AT, PL_CHANNEL_ID_BYTES);
	*item = pl_get64(sealed + CHANNEL_ITEM_AT);
	return PL_OK;
}

enum pl_err pl_channel_open(const struct pl_envelope_ctx *ctx, const uint8_t root[PL_CHANNEL_ROOT_BYTES], const uint8_t *sealed,
                            size_t sealed_bytes, uint8_t *plain, size_t plain_max, size_t *plain_bytes)
{
	enum pl_err err = channel_check(sealed, sealed_bytes);
	if (err != PL_OK)
		return err;
	if (plain_max < sealed_bytes - PL_CHANNEL_PREFIX_BYTES - TAG_BYTES)
		return PL_ERR_FULL;

	struct channel_keys keys;
	uint8_t aad[CTX_BYTES + PL_CHANNEL_PREFIX_BYTES];
	derive_channel_keys(ctx, root, sealed + CHANNEL_ID_AT, pl_get64(sealed + CHANNEL_ITEM_AT), &keys);
	channel_aad(ctx, sealed, aad);
	err = PL_ERR_DECRYPT;
	/* CRYPTO: "The commitment is compared in constant time before anything is decrypted." */
	if (sodium_memcmp(keys.commitment, sealed + CHANNEL_COMMITMENT_AT, COMMITMENT_BYTES) == 0)
		err = open_padded(keys.key, aad, sizeof(aad), sealed + PL_CHANNEL_PREFIX_BYTES, sealed_bytes - PL_CHANNEL_PREFIX_BYTES, plain,
		                  plain_bytes);
	sodium_memzero(&keys, sizeof(keys));
	return err;
}
