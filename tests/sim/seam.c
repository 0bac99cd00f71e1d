#include "tests/sim/seam.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/noise.h"
#include "crypto/sign.h"
#include "tests/sim/rng.h"

static bool is_real = true;
static seam_record on_record;
static void *on_record_ctx;

/* A keyed hash that no attacker is to withstand: it only has to change when a bit does. */
static uint64_t digest_turn(uint64_t state, const uint8_t *bytes)
{
	uint64_t word;

	memcpy(&word, bytes, 8);
	state = (state ^ word) * 0x9fb21c651e98df25u;
	return state ^ (state >> 29);
}

static uint64_t digest(uint64_t state, const uint8_t *bytes, size_t count)
{
	/* So that a processor has four multiplications under way. By name, since compilers make something slower of an array. */
	uint64_t a = state, b = state ^ 1, c = state ^ 2, d = state ^ 3;
	uint8_t rest[8] = { 0 };

	for (; count >= 32; bytes += 32, count -= 32) {
		a = digest_turn(a, bytes);
		b = digest_turn(b, bytes + 8);
		c = digest_turn(c, bytes + 16);
		d = digest_turn(d, bytes + 24);
	}
	state = rng_mix(a + rng_mix(b + rng_mix(c + rng_mix(d))));
	for (; count >= 8; bytes += 8, count -= 8)
		state = digest_turn(state, bytes);
	if (count > 0)
		memcpy(rest, bytes, count);
	return rng_mix(digest_turn(state + count, rest));
}

static void spread(uint64_t state, uint8_t *out, size_t count)
{
	for (size_t at = 0; at < count; at += 8) {
		state = rng_mix(state + 0x9e3779b97f4a7c15u);
		memcpy(out + at, &state, 8);
	}
}

/* --- records --- */

enum pl_err __real_pl_noise_encrypt(struct pl_noise_cipher *cipher, const uint8_t *plain, size_t plain_bytes, uint8_t *out);
enum pl_err __real_pl_noise_decrypt(struct pl_noise_cipher *cipher, const uint8_t *sealed, size_t sealed_bytes, uint8_t *out);
enum pl_err __wrap_pl_noise_encrypt(struct pl_noise_cipher *cipher, const uint8_t *plain, size_t plain_bytes, uint8_t *out);
enum pl_err __wrap_pl_noise_decrypt(struct pl_noise_cipher *cipher, const uint8_t *sealed, size_t sealed_bytes, uint8_t *out);

static uint64_t tag_of(const struct pl_noise_cipher *cipher, const uint8_t *bytes, size_t count)
{
	uint64_t key;

	memcpy(&key, cipher->key, sizeof(key));
	return digest(key + cipher->nonce * 0xd1342543de82ef95u, bytes, count);
}

enum pl_err __wrap_pl_noise_encrypt(struct pl_noise_cipher *cipher, const uint8_t *plain, size_t plain_bytes, uint8_t *out)
{
	if (out != plain)
		memcpy(out, plain, plain_bytes);
	if (on_record)
		on_record(on_record_ctx, cipher->key, cipher->nonce, out, plain_bytes);
	if (is_real)
		return __real_pl_noise_encrypt(cipher, out, plain_bytes, out);
	spread(tag_of(cipher, out, plain_bytes), out + plain_bytes, PL_NOISE_TAG_BYTES);
	cipher->nonce++;
	return PL_OK;
}

enum pl_err __wrap_pl_noise_decrypt(struct pl_noise_cipher *cipher, const uint8_t *sealed, size_t sealed_bytes, uint8_t *out)
{
	uint8_t tag[PL_NOISE_TAG_BYTES];

	if (is_real)
		return __real_pl_noise_decrypt(cipher, sealed, sealed_bytes, out);
	const size_t plain_bytes = sealed_bytes - PL_NOISE_TAG_BYTES;
	spread(tag_of(cipher, sealed, plain_bytes), tag, sizeof(tag));
	if (memcmp(tag, sealed + plain_bytes, sizeof(tag)) != 0)
		return PL_ERR_DECRYPT;
	if (out != sealed)
		memcpy(out, sealed, plain_bytes);
	cipher->nonce++;
	return PL_OK;
}

/* --- signatures --- */

void __real_pl_sign(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count, const uint8_t *secret_key,
                    uint8_t *signature);
enum pl_err __real_pl_sign_verify(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count,
                                  const uint8_t *public_key, const uint8_t *signature);
void __wrap_pl_sign(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count, const uint8_t *secret_key,
                    uint8_t *signature);
enum pl_err __wrap_pl_sign_verify(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count,
                                  const uint8_t *public_key, const uint8_t *signature);

static void sign(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count, const uint8_t *public_key,
                 uint8_t *signature)
{
	uint64_t state = digest(0, public_key, PL_SIGN_PUBLIC_BYTES);

	state = digest(state, (const uint8_t *)label, label_bytes);
	for (size_t i = 0; i < parts_count; i++)
		state = digest(state, parts[i].bytes, parts[i].count);
	spread(state, signature, PL_SIGN_BYTES);
}

void __wrap_pl_sign(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count, const uint8_t *secret_key,
                    uint8_t *signature)
{
	if (is_real)
		__real_pl_sign(label, label_bytes, parts, parts_count, secret_key, signature);
	else /* libsodium's secret key ends with the public one */
		sign(label, label_bytes, parts, parts_count, secret_key + 32, signature);
}

enum pl_err __wrap_pl_sign_verify(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count,
                                  const uint8_t *public_key, const uint8_t *signature)
{
	uint8_t expected[PL_SIGN_BYTES];

	if (is_real)
		return __real_pl_sign_verify(label, label_bytes, parts, parts_count, public_key, signature);
	sign(label, label_bytes, parts, parts_count, public_key, expected);
	return memcmp(expected, signature, sizeof(expected)) == 0 ? PL_OK : PL_ERR_SIGNATURE;
}

/* --- hashes: the same body comes to every node, over several links, and is hashed by each. What was asked for lately is remembered, with every byte
 * of it: what is answered is what the hash is. --- */

#define KNOWN_HASHES 256 /* more than there are bodies on their way */
#define KNOWN_BYTES_MIN 256 /* what is shorter costs as much to remember */

void __real_pl_hash(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count, uint8_t *out);
void __wrap_pl_hash(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count, uint8_t *out);

static struct known_hash {
	size_t label_bytes, count; /* count: 0, there is none */
	uint8_t hash[PL_HASH_BYTES];
	uint8_t *bytes; /* of label and part */
} known_hashes[KNOWN_HASHES];

static void known_hashes_forget(void)
{
	for (int i = 0; i < KNOWN_HASHES; i++) {
		free(known_hashes[i].bytes);
		known_hashes[i] = (struct known_hash){ 0 };
	}
}

void __wrap_pl_hash(const char *label, size_t label_bytes, const struct pl_part *parts, size_t parts_count, uint8_t *out)
{
	if (is_real || parts_count != 1 || parts[0].count < KNOWN_BYTES_MIN) {
		__real_pl_hash(label, label_bytes, parts, parts_count, out);
		return;
	}
	const uint8_t *bytes = parts[0].bytes;
	const size_t count = parts[0].count;
	/* Its end says enough of where to look. */
	struct known_hash *known = &known_hashes[digest(count, bytes + count - 32, 32) % KNOWN_HASHES];
	if (known->count == count && known->label_bytes == label_bytes && memcmp(known->bytes, label, label_bytes) == 0 &&
	    memcmp(known->bytes + label_bytes, bytes, count) == 0) {
		memcpy(out, known->hash, PL_HASH_BYTES);
		return;
	}
	__real_pl_hash(label, label_bytes, parts, parts_count, out);
	free(known->bytes);
	known->bytes = malloc(label_bytes + count);
	assert(known->bytes);
	memcpy(known->bytes, label, label_bytes);
	memcpy(known->bytes + label_bytes, bytes, count);
	memcpy(known->hash, out, PL_HASH_BYTES);
	known->label_bytes = label_bytes;
	known->count = count;
}

/* --- key agreement: what both sides compute from both public keys, with either secret --- */

int __real_crypto_scalarmult(unsigned char *out, const unsigned char *secret, const unsigned char *public_key);
int __real_crypto_scalarmult_base(unsigned char *out, const unsigned char *secret);
int __wrap_crypto_scalarmult(unsigned char *out, const unsigned char *secret, const unsigned char *public_key);
int __wrap_crypto_scalarmult_base(unsigned char *out, const unsigned char *secret);

int __wrap_crypto_scalarmult_base(unsigned char *out, const unsigned char *secret)
{
	if (is_real)
		return __real_crypto_scalarmult_base(out, secret);
	spread(digest(1, secret, 32), out, 32);
	return 0;
}

int __wrap_crypto_scalarmult(unsigned char *out, const unsigned char *secret, const unsigned char *public_key)
{
	uint8_t own[32];

	if (is_real)
		return __real_crypto_scalarmult(out, secret, public_key);
	spread(digest(1, secret, 32), own, 32);
	spread(digest(2, own, 32) + digest(2, public_key, 32), out, 32);
	return 0;
}

void seam_set(bool real_crypto, seam_record record, void *ctx)
{
	known_hashes_forget();
	is_real = real_crypto;
	on_record = record;
	on_record_ctx = ctx;
}
