/* Public test vectors against the functions that Parley uses. tests/vectors/README.md says what each file holds, where it comes from and
 * what a case means; CRYPTO.md, "Test vectors", which choices of libsodium these tests pin down. HPKE and X-Wing: crypto/hpke_test.c. */
#include <assert.h>
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hpke.h"
#include "crypto/noise.h"
#include "crypto/sign.h"
#include "tests/vectors.h"

static struct pl_vectors *open_vectors(const char *name)
{
	cr_assert(sodium_init() >= 0);
	return pl_vectors_open(name);
}

static bool has_flag(struct pl_vectors *vectors, const char *flag)
{
	const char *at = pl_vectors_word(vectors, "flags", 0);
	size_t length = strlen(flag);

	while ((at = strstr(at, flag)) != NULL) {
		if ((at == pl_vectors_word(vectors, "flags", 0) || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
			return true;
		at += length;
	}
	return false;
}

static bool is_result(struct pl_vectors *vectors, const char *result)
{
	return strcmp(pl_vectors_word(vectors, "result", 0), result) == 0;
}

static bool is_fault(struct pl_vectors *vectors, const char *fault)
{
	return pl_vectors_count(vectors, "fault") == 1 && strcmp(pl_vectors_word(vectors, "fault", 0), fault) == 0;
}

/* A buffer of exactly so many bytes, so that AddressSanitizer sees one too many. */
static uint8_t *room_for(size_t bytes)
{
	uint8_t *room = malloc(bytes ? bytes : 1);

	cr_assert_not_null(room);
	return room;
}

/* --- Noise --- */

static const uint8_t *find_case_psk(void *ctx, const uint8_t remote_static[32])
{
	struct pl_vectors *vectors = ctx;
	uint8_t init_public[32];

	crypto_scalarmult_base(init_public, pl_vectors_hex_of(vectors, "init_static", 0, 32));
	return memcmp(remote_static, init_public, 32) == 0 ? pl_vectors_hex_of(vectors, "psk", 0, 32) : NULL;
}

static void init_both(struct pl_vectors *vectors, bool psk_later, struct pl_noise side[2])
{
	bool has_psk = strcmp(pl_vectors_word(vectors, "pattern", 0), "XKpsk3") == 0;
	struct pl_noise_setup setup = { .role = PL_NOISE_INITIATOR };
	uint8_t resp_public[32];

	cr_assert(has_psk || strcmp(pl_vectors_word(vectors, "pattern", 0), "XK") == 0);
	setup.prologue = pl_vectors_hex(vectors, "prologue", 0, &setup.prologue_bytes);
	setup.static_secret = pl_vectors_hex_of(vectors, "init_static", 0, 32);
	setup.remote_static = pl_vectors_hex_of(vectors, "init_remote_static", 0, 32);
	setup.ephemeral_secret = pl_vectors_hex_of(vectors, "init_ephemeral", 0, 32);
	setup.psk = has_psk ? pl_vectors_hex_of(vectors, "psk", 0, 32) : NULL;
	cr_assert_eq(pl_noise_init(&side[0], &setup), PL_OK);

	crypto_scalarmult_base(resp_public, pl_vectors_hex_of(vectors, "resp_static", 0, 32));
	cr_assert_arr_eq(resp_public, setup.remote_static, 32);
	setup.role = PL_NOISE_RESPONDER;
	setup.static_secret = pl_vectors_hex_of(vectors, "resp_static", 0, 32);
	setup.remote_static = NULL;
	setup.ephemeral_secret = pl_vectors_hex_of(vectors, "resp_ephemeral", 0, 32);
	if (has_psk && psk_later) {
		setup.psk = NULL;
		setup.psk_later = true;
	}
	cr_assert_eq(pl_noise_init(&side[1], &setup), PL_OK);
}

static void run_handshake(struct pl_vectors *vectors, struct pl_noise side[2])
{
	for (size_t i = 0; i < 3; i++) {
		struct pl_noise *writer = &side[i % 2], *reader = &side[1 - i % 2];
		size_t payload_bytes, message_bytes, out_bytes;
		const uint8_t *payload = pl_vectors_hex(vectors, "payload", i, &payload_bytes);
		const uint8_t *message = pl_vectors_hex(vectors, "message", i, &message_bytes);
		uint8_t *out = room_for(message_bytes), *back = room_for(payload_bytes);

		cr_assert_eq(pl_noise_write(writer, payload, payload_bytes, out, message_bytes, &out_bytes), PL_OK);
		cr_assert_eq(out_bytes, message_bytes);
		cr_assert_arr_eq(out, message, message_bytes);
		cr_assert_eq(pl_noise_read(reader, message, message_bytes, back, payload_bytes, &out_bytes, find_case_psk, vectors), PL_OK);
		cr_assert_eq(out_bytes, payload_bytes);
		cr_assert_arr_eq(back, payload, payload_bytes);
		free(out);
		free(back);
	}
}

/* Messages after the third go on taking turns: the responder writes the fourth. */
static size_t run_transport(struct pl_vectors *vectors, struct pl_noise side[2])
{
	struct pl_noise_cipher send[2], receive[2];
	size_t count = pl_vectors_count(vectors, "message");

	for (int i = 0; i < 2; i++)
		cr_assert_eq(pl_noise_split(&side[i], &send[i], &receive[i]), PL_OK);
	for (size_t i = 3; i < count; i++) {
		size_t payload_bytes, message_bytes;
		const uint8_t *payload = pl_vectors_hex(vectors, "payload", i, &payload_bytes);
		const uint8_t *message = pl_vectors_hex(vectors, "message", i, &message_bytes);
		uint8_t *out = room_for(message_bytes);

		cr_assert_eq(message_bytes, payload_bytes + PL_NOISE_TAG_BYTES);
		cr_assert_eq(pl_noise_encrypt(&send[i % 2], payload, payload_bytes, out), PL_OK);
		cr_assert_arr_eq(out, message, message_bytes);
		cr_assert_eq(pl_noise_decrypt(&receive[1 - i % 2], out, message_bytes, out), PL_OK);
		cr_assert_arr_eq(out, payload, payload_bytes);
		free(out);
	}
	return count - 3;
}

static void run_noise(bool psk_later)
{
	struct pl_vectors *vectors = open_vectors("noise.txt");
	size_t cases = 0, with_psk = 0, hashes = 0, transport_messages = 0;

	while (pl_vectors_next(vectors)) {
		struct pl_noise side[2];

		init_both(vectors, psk_later, side);
		run_handshake(vectors, side);
		cr_assert_arr_eq(side[0].hash, side[1].hash, 32);
		if (pl_vectors_count(vectors, "handshake_hash") > 0) {
			cr_assert_arr_eq(side[0].hash, pl_vectors_hex_of(vectors, "handshake_hash", 0, 32), 32);
			hashes++;
		}
		transport_messages += run_transport(vectors, side);
		with_psk += side[0].has_psk;
		cases++;
	}
	pl_vectors_free(vectors);
	cr_assert_eq(cases, 3);
	cr_assert_eq(with_psk, 1);
	cr_assert_eq(hashes, 2);
	cr_assert_eq(transport_messages, 8);
}

Test(public_vectors, noise)
{
	run_noise(false);
}

Test(public_vectors, noise_with_the_psk_found_in_message_3)
{
	run_noise(true);
}

/* --- AEAD --- */

struct aead {
	size_t nonce_bytes;
	int (*encrypt)(unsigned char *c, unsigned long long *c_bytes, const unsigned char *m, unsigned long long m_bytes,
	               const unsigned char *ad, unsigned long long ad_bytes, const unsigned char *nsec, const unsigned char *npub,
	               const unsigned char *k);
	int (*decrypt)(unsigned char *m, unsigned long long *m_bytes, unsigned char *nsec, const unsigned char *c,
	               unsigned long long c_bytes, const unsigned char *ad, unsigned long long ad_bytes, const unsigned char *npub,
	               const unsigned char *k);
};

static void run_aead(const char *name, const struct aead *aead, size_t valid_expected, size_t forged_expected, size_t nonces_expected)
{
	struct pl_vectors *vectors = open_vectors(name);
	size_t valid = 0, forged = 0, nonces = 0;

	while (pl_vectors_next(vectors)) {
		size_t nonce_bytes, aad_bytes, plain_bytes, sealed_bytes;
		unsigned long long out_bytes;
		const uint8_t *key = pl_vectors_hex_of(vectors, "key", 0, 32);
		const uint8_t *nonce = pl_vectors_hex(vectors, "nonce", 0, &nonce_bytes);
		const uint8_t *aad = pl_vectors_hex(vectors, "aad", 0, &aad_bytes);
		const uint8_t *plain = pl_vectors_hex(vectors, "plain", 0, &plain_bytes);
		const uint8_t *sealed = pl_vectors_hex(vectors, "sealed", 0, &sealed_bytes);
		uint8_t *out;

		if (has_flag(vectors, "InvalidNonceSize")) {
			cr_assert_neq(nonce_bytes, aead->nonce_bytes, "case %zu", pl_vectors_line(vectors));
			nonces++;
			continue;
		}
		cr_assert_eq(nonce_bytes, aead->nonce_bytes);
		cr_assert_eq(sealed_bytes, plain_bytes + 16);
		out = room_for(sealed_bytes);
		if (is_result(vectors, "valid")) {
			cr_assert_eq(aead->encrypt(out, &out_bytes, plain, plain_bytes, aad, aad_bytes, NULL, nonce, key), 0);
			cr_assert_eq(out_bytes, sealed_bytes);
			cr_assert_arr_eq(out, sealed, sealed_bytes, "line %zu", pl_vectors_line(vectors));
			cr_assert_eq(aead->decrypt(out, &out_bytes, NULL, sealed, sealed_bytes, aad, aad_bytes, nonce, key), 0);
			cr_assert_eq(out_bytes, plain_bytes);
			cr_assert_arr_eq(out, plain, plain_bytes);
			valid++;
		} else {
			cr_assert(is_result(vectors, "invalid"));
			cr_assert_eq(aead->decrypt(out, &out_bytes, NULL, sealed, sealed_bytes, aad, aad_bytes, nonce, key), -1, "line %zu",
			             pl_vectors_line(vectors));
			forged++;
		}
		free(out);
	}
	pl_vectors_free(vectors);
	cr_assert_eq(valid, valid_expected);
	cr_assert_eq(forged, forged_expected);
	cr_assert_eq(nonces, nonces_expected);
}

Test(public_vectors, chacha20_poly1305)
{
	static const struct aead aead = { crypto_aead_chacha20poly1305_ietf_NPUBBYTES, crypto_aead_chacha20poly1305_ietf_encrypt,
		                          crypto_aead_chacha20poly1305_ietf_decrypt };

	run_aead("chacha20_poly1305.txt", &aead, 256, 60, 9);
}

Test(public_vectors, xchacha20_poly1305)
{
	static const struct aead aead = { crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, crypto_aead_xchacha20poly1305_ietf_encrypt,
		                          crypto_aead_xchacha20poly1305_ietf_decrypt };

	run_aead("xchacha20_poly1305.txt", &aead, 246, 60, 9);
}

/* --- HKDF --- */

Test(public_vectors, hkdf_sha256)
{
	struct pl_vectors *vectors = open_vectors("hkdf_sha256.txt");
	size_t valid = 0, too_long = 0;

	while (pl_vectors_next(vectors)) {
		size_t ikm_bytes, salt_bytes, info_bytes, okm_bytes = pl_vectors_number(vectors, "bytes", 0);
		const uint8_t *ikm = pl_vectors_hex(vectors, "ikm", 0, &ikm_bytes);
		const uint8_t *salt = pl_vectors_hex(vectors, "salt", 0, &salt_bytes);
		const uint8_t *info = pl_vectors_hex(vectors, "info", 0, &info_bytes);
		uint8_t prk[crypto_kdf_hkdf_sha256_KEYBYTES], *okm = room_for(okm_bytes);

		cr_assert_eq(crypto_kdf_hkdf_sha256_extract(prk, salt, salt_bytes, ikm, ikm_bytes), 0);
		if (is_result(vectors, "valid")) {
			cr_assert_eq(crypto_kdf_hkdf_sha256_expand(okm, okm_bytes, (const char *)info, info_bytes, prk), 0);
			cr_assert_arr_eq(okm, pl_vectors_hex_of(vectors, "okm", 0, okm_bytes), okm_bytes, "line %zu",
			                 pl_vectors_line(vectors));
			valid++;
		} else {
			cr_assert(has_flag(vectors, "SizeTooLarge"));
			cr_assert_eq(crypto_kdf_hkdf_sha256_expand(okm, okm_bytes, (const char *)info, info_bytes, prk), -1);
			too_long++;
		}
		free(okm);
	}
	pl_vectors_free(vectors);
	cr_assert_eq(valid, 83);
	cr_assert_eq(too_long, 3);
}

/* --- X25519 --- */

/* "acceptable" leaves it to the implementation. Ours computes on every key, be it on the twist or not in canonical form, but for the
 * one exception that a zero result is refused. */
Test(public_vectors, x25519)
{
	struct pl_vectors *vectors = open_vectors("x25519.txt");
	size_t computed = 0, refused = 0;

	while (pl_vectors_next(vectors)) {
		const uint8_t *secret = pl_vectors_hex_of(vectors, "secret", 0, 32);
		const uint8_t *public_key = pl_vectors_hex_of(vectors, "public", 0, 32);
		const uint8_t *shared = pl_vectors_hex_of(vectors, "shared", 0, 32);
		bool is_zero = has_flag(vectors, "ZeroSharedSecret");
		uint8_t out[32];
		struct pl_noise noise;
		struct pl_noise_setup setup = { .role = PL_NOISE_INITIATOR, .static_secret = secret, .ephemeral_secret = secret };

		cr_assert(is_result(vectors, "valid") || is_result(vectors, "acceptable"));
		cr_assert_eq(is_zero, sodium_is_zero(shared, 32));
		setup.remote_static = public_key;
		if (is_zero) {
			cr_assert(is_result(vectors, "acceptable"));
			cr_assert_eq(crypto_scalarmult(out, secret, public_key), -1, "line %zu", pl_vectors_line(vectors));
			cr_assert_eq(pl_noise_init(&noise, &setup), PL_ERR_REFUSED);
			refused++;
		} else {
			cr_assert_eq(crypto_scalarmult(out, secret, public_key), 0);
			cr_assert_arr_eq(out, shared, 32, "line %zu", pl_vectors_line(vectors));
			cr_assert_eq(pl_noise_init(&noise, &setup), PL_OK);
			computed++;
		}
	}
	pl_vectors_free(vectors);
	cr_assert_eq(computed, 487);
	cr_assert_eq(refused, 31);
}

/* --- Ed25519 --- */

Test(public_vectors, ed25519)
{
	struct pl_vectors *vectors = open_vectors("ed25519.txt");
	size_t valid = 0, invalid = 0, lengths = 0;

	while (pl_vectors_next(vectors)) {
		size_t message_bytes, signature_bytes;
		const uint8_t *public_key = pl_vectors_hex_of(vectors, "public", 0, PL_SIGN_PUBLIC_BYTES);
		const uint8_t *message = pl_vectors_hex(vectors, "message", 0, &message_bytes);
		const uint8_t *signature = pl_vectors_hex(vectors, "signature", 0, &signature_bytes);

		if (signature_bytes != PL_SIGN_BYTES) {
			cr_assert(is_result(vectors, "invalid"));
			lengths++;
		} else if (is_result(vectors, "valid")) {
			cr_assert_eq(crypto_sign_ed25519_verify_detached(signature, message, message_bytes, public_key), 0, "line %zu",
			             pl_vectors_line(vectors));
			valid++;
		} else {
			cr_assert(is_result(vectors, "invalid"));
			cr_assert_eq(crypto_sign_ed25519_verify_detached(signature, message, message_bytes, public_key), -1, "line %zu",
			             pl_vectors_line(vectors));
			invalid++;
		}
	}
	pl_vectors_free(vectors);
	cr_assert_eq(valid, 88);
	cr_assert_eq(invalid, 51);
	cr_assert_eq(lengths, 12);
}

/* The rule of the network, where verifiers of Ed25519 differ; CRYPTO.md, "Test vectors". A libsodium for which this test fails would judge
 * entries otherwise than the rest of the network does. */
static bool is_accepted_in_parley(struct pl_vectors *vectors)
{
	static const char *const refused[] = { "low_order_A", "low_order_R", "non_canonical_A", "non_canonical_R", "low_order_residue" };

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		if (has_flag(vectors, refused[i]))
			return false;
	return true;
}

Test(public_vectors, ed25519_where_verifiers_differ)
{
	struct pl_vectors *vectors = open_vectors("ed25519_cctv.txt");
	size_t accepted = 0, refused = 0, mixed_order_keys = 0;

	while (pl_vectors_next(vectors)) {
		size_t message_bytes;
		const uint8_t *public_key = pl_vectors_hex_of(vectors, "public", 0, PL_SIGN_PUBLIC_BYTES);
		const uint8_t *message = pl_vectors_hex(vectors, "message", 0, &message_bytes);
		const uint8_t *signature = pl_vectors_hex_of(vectors, "signature", 0, PL_SIGN_BYTES);
		int result = crypto_sign_ed25519_verify_detached(signature, message, message_bytes, public_key);

		cr_assert_eq(result, is_accepted_in_parley(vectors) ? 0 : -1, "line %zu: flags %s", pl_vectors_line(vectors),
		             pl_vectors_word(vectors, "flags", 0));
		accepted += result == 0;
		refused += result != 0;
		mixed_order_keys += result == 0 && has_flag(vectors, "low_order_component_A");
	}
	pl_vectors_free(vectors);
	cr_assert_eq(accepted, 43);
	cr_assert_eq(refused, 871);
	cr_assert_eq(mixed_order_keys, 42);
}

/* --- ML-KEM-768 --- */

struct mlkem {
	uint8_t ek[crypto_kem_mlkem768_PUBLICKEYBYTES], dk[crypto_kem_mlkem768_SECRETKEYBYTES];
	uint8_t c[crypto_kem_mlkem768_CIPHERTEXTBYTES], shared[crypto_kem_mlkem768_SHAREDSECRETBYTES];
};

/* X-Wing is how Parley comes to ML-KEM: its public key, encapsulated key and seed start with ML-KEM's. */
static enum pl_err encap_xwing(const uint8_t *ek, const uint8_t *m, uint8_t enc[crypto_kem_xwing_CIPHERTEXTBYTES])
{
	uint8_t public_key[crypto_kem_xwing_PUBLICKEYBYTES], seed[64] = { 0 }, shared[PL_HPKE_SHARED_BYTES];

	static_assert(sizeof(public_key) == crypto_kem_mlkem768_PUBLICKEYBYTES + 32, "ML-KEM's key, then X25519's");
	memcpy(public_key, ek, crypto_kem_mlkem768_PUBLICKEYBYTES);
	memset(public_key + crypto_kem_mlkem768_PUBLICKEYBYTES, 9, 32);
	memcpy(seed, m, 32);
	return pl_hpke_encap(PL_HPKE_XWING, public_key, seed, enc, shared);
}

static void check_encaps(struct pl_vectors *vectors, const uint8_t *ek, const uint8_t *m)
{
	struct mlkem mlkem;
	uint8_t enc[crypto_kem_xwing_CIPHERTEXTBYTES];

	if (is_result(vectors, "valid")) {
		const uint8_t *c = pl_vectors_hex_of(vectors, "c", 0, sizeof(mlkem.c));

		cr_assert_eq(crypto_kem_mlkem768_enc_deterministic(mlkem.c, mlkem.shared, ek, m), 0);
		cr_assert_arr_eq(mlkem.c, c, sizeof(mlkem.c), "line %zu", pl_vectors_line(vectors));
		cr_assert_arr_eq(mlkem.shared, pl_vectors_hex_of(vectors, "K", 0, 32), 32);
		cr_assert_eq(encap_xwing(ek, m, enc), PL_OK);
		cr_assert_arr_eq(enc, c, sizeof(mlkem.c));
	} else {
		cr_assert(is_fault(vectors, "ek_not_reduced"));
		cr_assert_eq(crypto_kem_mlkem768_enc_deterministic(mlkem.c, mlkem.shared, ek, m), -1, "line %zu", pl_vectors_line(vectors));
		cr_assert_eq(encap_xwing(ek, m, enc), PL_ERR_REFUSED);
	}
}

static void check_keypair(struct pl_vectors *vectors, struct mlkem *mlkem)
{
	uint8_t hash[32];

	cr_assert_eq(crypto_kem_mlkem768_seed_keypair(mlkem->ek, mlkem->dk,
	                                              pl_vectors_hex_of(vectors, "seed", 0, crypto_kem_mlkem768_SEEDBYTES)), 0);
	crypto_hash_sha256(hash, mlkem->ek, sizeof(mlkem->ek));
	cr_assert_arr_eq(hash, pl_vectors_hex_of(vectors, "ek_sha256", 0, 32), 32, "line %zu", pl_vectors_line(vectors));
}

static void check_decaps(struct pl_vectors *vectors, struct mlkem *mlkem)
{
	const uint8_t *c = pl_vectors_hex_of(vectors, "c", 0, sizeof(mlkem->c));

	check_keypair(vectors, mlkem);
	cr_assert_eq(crypto_kem_mlkem768_dec(mlkem->shared, c, mlkem->dk), 0);
	cr_assert_arr_eq(mlkem->shared, pl_vectors_hex_of(vectors, "K", 0, 32), 32, "line %zu", pl_vectors_line(vectors));
}

Test(public_vectors, mlkem768)
{
	struct pl_vectors *vectors = open_vectors("mlkem768.txt");
	size_t decaps = 0, encaps = 0, unreduced = 0, lengths = 0;

	while (pl_vectors_next(vectors)) {
		bool is_decaps = pl_vectors_count(vectors, "decaps") == 1, is_encaps = pl_vectors_count(vectors, "encaps") == 1;
		struct mlkem mlkem;
		size_t bytes;

		/* A length that is wrong cannot come as far as libsodium: each caller has fixed the length before. */
		if (is_fault(vectors, "seed_length")) {
			pl_vectors_hex(vectors, "seed", 0, &bytes);
			cr_assert_neq(bytes, crypto_kem_mlkem768_SEEDBYTES);
			lengths++;
			continue;
		}
		if (is_fault(vectors, "c_length")) {
			check_keypair(vectors, &mlkem);
			pl_vectors_hex(vectors, "c", 0, &bytes);
			cr_assert_neq(bytes, crypto_kem_mlkem768_CIPHERTEXTBYTES);
			lengths++;
			continue;
		}
		if (is_fault(vectors, "ek_length")) {
			pl_vectors_hex(vectors, "ek", 0, &bytes);
			cr_assert_neq(bytes, crypto_kem_mlkem768_PUBLICKEYBYTES);
			lengths++;
			continue;
		}
		cr_assert(is_decaps || is_encaps);
		if (is_decaps) {
			check_decaps(vectors, &mlkem);
			decaps++;
		}
		if (is_encaps) {
			check_encaps(vectors, is_decaps ? mlkem.ek : pl_vectors_hex_of(vectors, "ek", 0, sizeof(mlkem.ek)),
			             pl_vectors_hex_of(vectors, "m", 0, 32));
			encaps++;
			unreduced += is_result(vectors, "invalid");
		}
	}
	pl_vectors_free(vectors);
	cr_assert_eq(decaps, 153);
	cr_assert_eq(encaps, 245);
	cr_assert_eq(unreduced, 112);
	cr_assert_eq(lengths, 60);
}
