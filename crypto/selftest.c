#include "crypto/selftest.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "crypto/hpke.h"
#include "crypto/sign.h"

/* Signatures by which the rules can be told apart: C2SP/CCTV, ed25519/ed25519vectors.json, with their numbers there. The keys and halves of
 * signatures that come more than once stand first; a message is "ed25519vectors" and what follows it. */
#define KEY_PLAIN "ef75b20e7540e3dff77404193652ba2bd13df99c1508eee1515e27ae25f28076"
#define KEY_MIXED "10eb7c3acfb2bed3e0d6ab89bf5a3d6afddd1176ce4812e38d9fd485058fdb1f"
#define KEY_SMALL "0100000000000000000000000000000000000000000000000000000000000000"
#define KEY_SMALL_OTHER_FORM "0100000000000000000000000000000000000000000000000000000000000080"
#define R_PLAIN "b62cf890de42c413b11b1411c9f01f1c4d77aa87ef182258d1251f69af2a3506"
#define R_MIXED "36684ea91032ba5b1dbab2d02f4debc74c3327f2b3802e2e4d371aa42b12b56b"

static const struct {
	const char *message, *public_key, *r, *s;
	bool valid;
	const char *what;
} signatures[] = {
	/* 305 */
	{ " 5", KEY_PLAIN, R_PLAIN, "40657f1cb030f12543549bbabd848dc6403d354e7c99c4d0dcee9f63c9033b00", true,
	  "Ed25519: an ordinary signature is refused" },
	/* 305, with the group order (RFC 8032, section 5.1) added to S */
	{ " 5", KEY_PLAIN, R_PLAIN, "2d397579ca93037e19f1925d9c7e6cdb403d354e7c99c4d0dcee9f63c9033b10", false,
	  "Ed25519: a second form of a signature is taken (S over the group order)" },
	/* 50 */
	{ " 5", KEY_MIXED, R_PLAIN, "08f32d206a7c0b7efa9a59e66546e8f1f599ef843fb502c9cc3c4ae8b7c11e05", true,
	  "Ed25519: a key of mixed order is refused" },
	/* 7 */
	{ "", KEY_MIXED, R_MIXED, "bbfd00bd9c259d8d222d15e67a3d8228585050dbb9b9585be20d8fadc721da03", true,
	  "Ed25519: a key and an R of mixed order are refused" },
	/* 51, 267, 6: the difference between the two sides of the equation vanishes when it is multiplied by 8 */
	{ " 3", KEY_MIXED, R_PLAIN, "030b03796b78f7afeadfccaedc9d09ce6d487d1ece1f16b1ae2b59b7e5c40603", false,
	  "Ed25519: this library verifies with the cofactor; Parley verifies without" },
	{ " 3", KEY_PLAIN, R_MIXED, "2d471882773a677af1e3824e757a33f8ddf7bbeaf3d28a09595eb8daa0d74a03", false,
	  "Ed25519: this library verifies with the cofactor; Parley verifies without" },
	{ " 10", KEY_MIXED, R_MIXED, "c02e2b9e63e385c058bf62b14b3a2b29ccefe8e38ddb536bc3f9865320a3d801", false,
	  "Ed25519: this library verifies with the cofactor; Parley verifies without" },
	/* 303 */
	{ " 5", KEY_SMALL, R_PLAIN, "05ba9a796274d80437afa36f1236563f2f3b0aa84cecddc3d20914615ba4fe02", false,
	  "Ed25519: a key of small order is taken" },
	/* 307 */
	{ " 1", KEY_SMALL_OTHER_FORM, R_PLAIN, "05ba9a796274d80437afa36f1236563f2f3b0aa84cecddc3d20914615ba4fe02", false,
	  "Ed25519: a key in another form than the canonical one is taken" },
	/* 304 */
	{ " 7", KEY_PLAIN, KEY_SMALL, "330b30d6c1f07511e2208d233b6a34d4ed7109da2dea615bcd97daee3a842704", false,
	  "Ed25519: an R of small order is taken" },
};

static bool from_hex(const char *hex, uint8_t *out, size_t out_bytes)
{
	size_t count;

	return sodium_hex2bin(out, out_bytes, hex, strlen(hex), NULL, &count, NULL) == 0 && count == out_bytes;
}

static enum pl_err check_signatures(const char **what)
{
	for (size_t i = 0; i < sizeof(signatures) / sizeof(*signatures); i++) {
		static const char stem[] = "ed25519vectors";
		uint8_t public_key[PL_SIGN_PUBLIC_BYTES], signature[PL_SIGN_BYTES], message[sizeof(stem) + 4];
		const size_t stem_bytes = sizeof(stem) - 1, end_bytes = strlen(signatures[i].message);
		if (!from_hex(signatures[i].public_key, public_key, sizeof(public_key)) || !from_hex(signatures[i].r, signature, 32) ||
		    !from_hex(signatures[i].s, signature + 32, 32) || end_bytes > sizeof(message) - stem_bytes) {
			*what = "a constant of the self-test is damaged";
			return PL_ERR_CORRUPT;
		}
		memcpy(message, stem, stem_bytes);
		memcpy(message + stem_bytes, signatures[i].message, end_bytes);
		const int result = crypto_sign_ed25519_verify_detached(signature, message, stem_bytes + end_bytes, public_key);
		if ((result == 0) != signatures[i].valid) {
			*what = signatures[i].what;
			return PL_ERR_SIGNATURE;
		}
	}
	return PL_OK;
}

/* "abc" by `b2sum --length 256` of GNU coreutils. */
static bool hash_is_right(void)
{
	uint8_t want[PL_HASH_BYTES], got[PL_HASH_BYTES];
	crypto_generichash_blake2b_state state;

	return crypto_generichash_blake2b_init(&state, NULL, 0, sizeof(got)) == 0 &&
	       crypto_generichash_blake2b_update(&state, (const uint8_t *)"abc", 3) == 0 &&
	       crypto_generichash_blake2b_final(&state, got, sizeof(got)) == 0 &&
	       from_hex("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319", want, sizeof(want)) &&
	       memcmp(got, want, sizeof(want)) == 0;
}

/* RFC 5869, appendix A.1. */
static bool hkdf_is_right(void)
{
	uint8_t ikm[22], salt[13], info[10], want[42], got[42], prk[crypto_kdf_hkdf_sha256_KEYBYTES];

	memset(ikm, 0x0b, sizeof(ikm));
	for (uint8_t i = 0; i < sizeof(salt); i++)
		salt[i] = i;
	for (uint8_t i = 0; i < sizeof(info); i++)
		info[i] = (uint8_t)(0xf0 + i);
	return crypto_kdf_hkdf_sha256_extract(prk, salt, sizeof(salt), ikm, sizeof(ikm)) == 0 &&
	       crypto_kdf_hkdf_sha256_expand(got, sizeof(got), (const char *)info, sizeof(info), prk) == 0 &&
	       from_hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865", want, sizeof(want)) &&
	       memcmp(got, want, sizeof(want)) == 0;
}

/* draft-connolly-cfrg-xwing-kem, its first vector: seed of the key, randomness of the encapsulation, shared secret. The secret covers the
 * key and what was sent, so that neither has to be compared. */
static bool xwing_is_right(void)
{
	uint8_t secret[PL_HPKE_SECRET_BYTES], seed[64], want[PL_HPKE_SHARED_BYTES], sent[PL_HPKE_SHARED_BYTES], received[PL_HPKE_SHARED_BYTES];
	uint8_t public_key[crypto_kem_xwing_PUBLICKEYBYTES], enc[crypto_kem_xwing_CIPHERTEXTBYTES];

	if (!from_hex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26", secret, sizeof(secret)) ||
	    !from_hex("3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a3639ca8a1e3f9ae57e2", seed, 32) ||
	    !from_hex("35b8cc873c23dc62b8d260169afa2f75ab916a58d974918835d25e6a435085b2", seed + 32, 32) ||
	    !from_hex("d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384", want, sizeof(want)))
		return false;
	pl_hpke_public(PL_HPKE_XWING, secret, public_key);
	return pl_hpke_encap(PL_HPKE_XWING, public_key, seed, enc, sent) == PL_OK &&
	       pl_hpke_decap(PL_HPKE_XWING, secret, enc, received) == PL_OK && memcmp(sent, want, sizeof(want)) == 0 &&
	       memcmp(received, want, sizeof(want)) == 0;
}

enum pl_err pl_selftest(const char **what)
{
	enum pl_err err = PL_ERR_CORRUPT;

	*what = NULL;
	if (!hash_is_right())
		*what = "BLAKE2b: the answer is not the known one";
	else if (!hkdf_is_right())
		*what = "HKDF-SHA256: the answer is not the known one";
	else if (!xwing_is_right())
		*what = "X-Wing: the answer is not the known one";
	else
		err = check_signatures(what);
	return err;
}
