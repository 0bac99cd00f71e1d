#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hpke.h"
#include "tests/vectors.h"

#define ENC_BYTES_MAX 1120
#define PUBLIC_BYTES_MAX 1216

static struct pl_hpke_params params_of(struct pl_vectors *vectors)
{
	struct pl_hpke_params params = { .kem = (enum pl_hpke_kem)pl_vectors_number(vectors, "kem_id", 0) };
	cr_assert_eq(pl_vectors_number(vectors, "kdf_id", 0), 1);
	cr_assert_eq(pl_vectors_number(vectors, "aead_id", 0), 3);
	params.info = pl_vectors_hex(vectors, "info", 0, &params.info_bytes);
	if (pl_vectors_number(vectors, "mode", 0) == 1) {
		params.psk = pl_vectors_hex(vectors, "psk", 0, &params.psk_bytes);
		params.psk_id = pl_vectors_hex(vectors, "psk_id", 0, &params.psk_id_bytes);
	}
	return params;
}

static void check_keys(struct pl_vectors *vectors, const struct pl_hpke *hpke)
{
	cr_assert_arr_eq(hpke->key, pl_vectors_hex_of(vectors, "key", 0, 32), 32);
	cr_assert_arr_eq(hpke->base_nonce, pl_vectors_hex_of(vectors, "base_nonce", 0, 12), 12);
	cr_assert_arr_eq(hpke->exporter_secret, pl_vectors_hex_of(vectors, "exporter_secret", 0, 32), 32);
}

/* The vectors leave some sequence numbers out; their nonces say which. */
static uint64_t sequence_of(const struct pl_hpke *hpke, const uint8_t nonce[12])
{
	uint64_t sequence = 0;
	for (int i = 4; i < 12; i++)
		sequence = sequence << 8 | (uint8_t)(nonce[i] ^ hpke->base_nonce[i]);
	return sequence;
}

static void check_encryptions(struct pl_vectors *vectors, struct pl_hpke *sender, struct pl_hpke *recipient)
{
	size_t count = pl_vectors_count(vectors, "ct");
	cr_assert_gt(count, 0);
	for (size_t i = 0; i < count; i++) {
		size_t aad_bytes, plain_bytes, sealed_bytes;
		const uint8_t *aad = pl_vectors_hex(vectors, "aad", i, &aad_bytes);
		const uint8_t *plain = pl_vectors_hex(vectors, "pt", i, &plain_bytes);
		const uint8_t *sealed = pl_vectors_hex(vectors, "ct", i, &sealed_bytes);
		uint8_t *out = malloc(sealed_bytes);
		sender->sequence = recipient->sequence = sequence_of(sender, pl_vectors_hex_of(vectors, "nonce", i, 12));

		cr_assert_eq(sealed_bytes, plain_bytes + PL_HPKE_TAG_BYTES);
		cr_assert_eq(pl_hpke_seal(sender, aad, aad_bytes, plain, plain_bytes, out), PL_OK);
		cr_assert_arr_eq(out, sealed, sealed_bytes);
		cr_assert_eq(pl_hpke_open(recipient, aad, aad_bytes, sealed, sealed_bytes, out), PL_OK);
		cr_assert_arr_eq(out, plain, plain_bytes);
		cr_assert_eq(sender->sequence, recipient->sequence);
		free(out);
	}
}

static void check_exports(struct pl_vectors *vectors, const struct pl_hpke *hpke)
{
	size_t count = pl_vectors_count(vectors, "exported_value");
	cr_assert_gt(count, 0);
	for (size_t i = 0; i < count; i++) {
		uint8_t out[64];
		size_t context_bytes, out_bytes = pl_vectors_number(vectors, "L", i);
		const uint8_t *context = pl_vectors_hex(vectors, "exporter_context", i, &context_bytes);
		cr_assert_leq(out_bytes, sizeof(out));
		cr_assert_eq(pl_hpke_export(hpke, context, context_bytes, out, out_bytes), PL_OK);
		cr_assert_arr_eq(out, pl_vectors_hex_of(vectors, "exported_value", i, out_bytes), out_bytes);
	}
}

static void check_file(const char *name, size_t cases_expected)
{
	struct pl_vectors *vectors = pl_vectors_open(name);
	size_t cases = 0;
	for (; pl_vectors_next(vectors); cases++) {
		struct pl_hpke_params params = params_of(vectors);
		size_t enc_bytes = pl_hpke_enc_bytes(params.kem), public_bytes = pl_hpke_public_bytes(params.kem);
		const uint8_t *secret = pl_vectors_hex_of(vectors, "skRm", 0, PL_HPKE_SECRET_BYTES);
		const uint8_t *public_key = pl_vectors_hex_of(vectors, "pkRm", 0, public_bytes);
		const uint8_t *seed = pl_vectors_hex_of(vectors, "ikmE", 0, pl_hpke_seed_bytes(params.kem));
		uint8_t found[PUBLIC_BYTES_MAX], enc[ENC_BYTES_MAX], shared[PL_HPKE_SHARED_BYTES];

		pl_hpke_public(params.kem, secret, found);
		cr_assert_arr_eq(found, public_key, public_bytes);
		cr_assert_eq(pl_hpke_encap(params.kem, public_key, seed, enc, shared), PL_OK);
		cr_assert_arr_eq(enc, pl_vectors_hex_of(vectors, "enc", 0, enc_bytes), enc_bytes);
		cr_assert_arr_eq(shared, pl_vectors_hex_of(vectors, "shared_secret", 0, sizeof(shared)), sizeof(shared));
		memset(shared, 0, sizeof(shared));
		cr_assert_eq(pl_hpke_decap(params.kem, secret, enc, shared), PL_OK);
		cr_assert_arr_eq(shared, pl_vectors_hex_of(vectors, "shared_secret", 0, sizeof(shared)), sizeof(shared));

		struct pl_hpke sender, recipient;
		cr_assert_eq(pl_hpke_setup_sender(&params, public_key, seed, enc, &sender), PL_OK);
		cr_assert_eq(pl_hpke_setup_recipient(&params, secret, enc, &recipient), PL_OK);
		check_keys(vectors, &sender);
		check_keys(vectors, &recipient);
		check_encryptions(vectors, &sender, &recipient);
		check_exports(vectors, &sender);
	}
	cr_assert_eq(cases, cases_expected);
	pl_vectors_free(vectors);
}

Test(hpke, vectors_of_xwing)
{
	check_file("hpke_xwing.txt", 1);
}

Test(hpke, vectors_of_x25519_base_and_psk)
{
	check_file("hpke_x25519.txt", 2);
}

/* The KEM alone, by its own vectors. */
Test(hpke, vectors_of_the_xwing_kem)
{
	struct pl_vectors *vectors = pl_vectors_open("xwing.txt");
	size_t cases = 0;
	for (; pl_vectors_next(vectors); cases++) {
		uint8_t public_key[PUBLIC_BYTES_MAX], enc[ENC_BYTES_MAX], shared[PL_HPKE_SHARED_BYTES];
		const uint8_t *secret = pl_vectors_hex_of(vectors, "sk", 0, PL_HPKE_SECRET_BYTES);
		cr_assert_arr_eq(secret, pl_vectors_hex_of(vectors, "seed", 0, PL_HPKE_SECRET_BYTES), PL_HPKE_SECRET_BYTES);
		pl_hpke_public(PL_HPKE_XWING, secret, public_key);
		cr_assert_arr_eq(public_key, pl_vectors_hex_of(vectors, "pk", 0, sizeof(public_key)), sizeof(public_key));
		cr_assert_eq(pl_hpke_encap(PL_HPKE_XWING, public_key, pl_vectors_hex_of(vectors, "eseed", 0, 64), enc, shared), PL_OK);
		cr_assert_arr_eq(enc, pl_vectors_hex_of(vectors, "ct", 0, sizeof(enc)), sizeof(enc));
		cr_assert_arr_eq(shared, pl_vectors_hex_of(vectors, "ss", 0, sizeof(shared)), sizeof(shared));
		memset(shared, 0, sizeof(shared));
		cr_assert_eq(pl_hpke_decap(PL_HPKE_XWING, secret, enc, shared), PL_OK);
		cr_assert_arr_eq(shared, pl_vectors_hex_of(vectors, "ss", 0, sizeof(shared)), sizeof(shared));
	}
	cr_assert_eq(cases, 3);
	pl_vectors_free(vectors);
}

static const uint8_t psk[32] = { 7 }, psk_id[] = { 'i', 'd' }, info[] = { 'i' };
static const struct pl_hpke_params base = { .kem = PL_HPKE_XWING, .info = info, .info_bytes = 1 };
static uint8_t secret_key[32] = { 1 }, public_key[PUBLIC_BYTES_MAX], seed[64] = { 2 }, enc[ENC_BYTES_MAX];

static void make_recipient(void)
{
	pl_hpke_public(PL_HPKE_XWING, secret_key, public_key);
}

Test(hpke, once_is_the_first_message_of_a_context, .init = make_recipient)
{
	const uint8_t plain[5] = "hello", aad[3] = "aad";
	uint8_t once[21], first[21], opened[5];
	struct pl_hpke hpke;
	cr_assert_eq(pl_hpke_seal_once(&base, public_key, seed, aad, 3, plain, 5, enc, once), PL_OK);
	cr_assert_eq(pl_hpke_setup_sender(&base, public_key, seed, enc, &hpke), PL_OK);
	cr_assert_eq(pl_hpke_seal(&hpke, aad, 3, plain, 5, first), PL_OK);
	cr_assert_arr_eq(once, first, sizeof(once));
	cr_assert_eq(pl_hpke_open_once(&base, secret_key, enc, aad, 3, once, sizeof(once), opened), PL_OK);
	cr_assert_arr_eq(opened, plain, 5);
}

Test(hpke, whatever_differs_opens_nothing, .init = make_recipient)
{
	const uint8_t plain[5] = "hello", aad[3] = "aad";
	uint8_t sealed[21], opened[5], other_secret[32] = { 3 };
	cr_assert_eq(pl_hpke_seal_once(&base, public_key, seed, aad, 3, plain, 5, enc, sealed), PL_OK);

	struct pl_hpke_params other_info = base, with_psk = base;
	other_info.info_bytes = 0;
	with_psk.psk = psk;
	with_psk.psk_bytes = sizeof(psk);
	with_psk.psk_id = psk_id;
	with_psk.psk_id_bytes = sizeof(psk_id);
	cr_assert_eq(pl_hpke_open_once(&other_info, secret_key, enc, aad, 3, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
	cr_assert_eq(pl_hpke_open_once(&with_psk, secret_key, enc, aad, 3, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
	cr_assert_eq(pl_hpke_open_once(&base, other_secret, enc, aad, 3, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
	cr_assert_eq(pl_hpke_open_once(&base, secret_key, enc, aad, 2, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
	for (size_t i = 0; i < PL_HPKE_TAG_BYTES; i++)
		cr_assert_eq(pl_hpke_open_once(&base, secret_key, enc, aad, 3, sealed, i, opened), PL_ERR_SHORT);
	for (size_t i = PL_HPKE_TAG_BYTES; i < sizeof(sealed); i++)
		cr_assert_eq(pl_hpke_open_once(&base, secret_key, enc, aad, 3, sealed, i, opened), PL_ERR_DECRYPT);
	for (size_t i = 0; i < sizeof(enc); i += 97) {
		enc[i] ^= 1;
		cr_assert_eq(pl_hpke_open_once(&base, secret_key, enc, aad, 3, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT, "at %zu", i);
		enc[i] ^= 1;
	}
}

Test(hpke, a_failed_open_does_not_advance, .init = make_recipient)
{
	uint8_t sealed[2][17], opened[1];
	struct pl_hpke sender, recipient;
	cr_assert_eq(pl_hpke_setup_sender(&base, public_key, seed, enc, &sender), PL_OK);
	cr_assert_eq(pl_hpke_setup_recipient(&base, secret_key, enc, &recipient), PL_OK);
	cr_assert_eq(pl_hpke_seal(&sender, NULL, 0, (const uint8_t *)"a", 1, sealed[0]), PL_OK);
	cr_assert_eq(pl_hpke_seal(&sender, NULL, 0, (const uint8_t *)"b", 1, sealed[1]), PL_OK);
	cr_assert_eq(pl_hpke_open(&recipient, NULL, 0, sealed[1], 17, opened), PL_ERR_DECRYPT);
	cr_assert_eq(pl_hpke_open(&recipient, NULL, 0, sealed[0], 17, opened), PL_OK);
	cr_assert_eq(pl_hpke_open(&recipient, NULL, 0, sealed[0], 17, opened), PL_ERR_DECRYPT);
	cr_assert_eq(pl_hpke_open(&recipient, NULL, 0, sealed[1], 17, opened), PL_OK);
	cr_assert_eq(opened[0], 'b');
}

/* The vectors stop at small numbers: RFC 9180, section 5.2, ComputeNonce, for a large one. */
Test(hpke, every_byte_of_the_sequence_number_counts, .init = make_recipient)
{
	uint8_t sealed[17], expected[17], nonce[12];
	struct pl_hpke hpke;
	cr_assert_eq(pl_hpke_setup_sender(&base, public_key, seed, enc, &hpke), PL_OK);
	hpke.sequence = 0x0102030405060708;
	memcpy(nonce, hpke.base_nonce, sizeof(nonce));
	for (uint8_t i = 1; i <= 8; i++)
		nonce[3 + i] ^= i;
	crypto_aead_chacha20poly1305_ietf_encrypt(expected, NULL, (const uint8_t *)"a", 1, NULL, 0, NULL, nonce, hpke.key);
	cr_assert_eq(pl_hpke_seal(&hpke, NULL, 0, (const uint8_t *)"a", 1, sealed), PL_OK);
	cr_assert_arr_eq(sealed, expected, sizeof(sealed));
}

Test(hpke, no_sequence_number_is_used_twice, .init = make_recipient)
{
	uint8_t sealed[17];
	struct pl_hpke hpke;
	cr_assert_eq(pl_hpke_setup_sender(&base, public_key, seed, enc, &hpke), PL_OK);
	hpke.sequence = UINT64_MAX - 1;
	cr_assert_eq(pl_hpke_seal(&hpke, NULL, 0, (const uint8_t *)"a", 1, sealed), PL_OK);
	cr_assert_eq(pl_hpke_seal(&hpke, NULL, 0, (const uint8_t *)"a", 1, sealed), PL_ERR_STATE);
	cr_assert_eq(pl_hpke_open(&hpke, NULL, 0, sealed, 17, sealed), PL_ERR_STATE);
}

Test(hpke, psk_comes_with_its_id_and_is_long_enough, .init = make_recipient)
{
	uint8_t shared[32] = { 0 };
	struct pl_hpke hpke;
	struct pl_hpke_params params = base;
	params.psk = psk;
	params.psk_bytes = 32;
	cr_assert_eq(pl_hpke_schedule(&params, shared, &hpke), PL_ERR_REFUSED);
	params.psk_id = psk_id;
	params.psk_id_bytes = sizeof(psk_id);
	cr_assert_eq(pl_hpke_schedule(&params, shared, &hpke), PL_OK);
	params.psk_bytes = 31;
	cr_assert_eq(pl_hpke_schedule(&params, shared, &hpke), PL_ERR_REFUSED);
	params.psk = NULL;
	cr_assert_eq(pl_hpke_schedule(&params, shared, &hpke), PL_ERR_REFUSED);
}

Test(hpke, export_has_limits, .init = make_recipient)
{
	static uint8_t out[PL_HPKE_EXPORT_BYTES_MAX + 1], context[PL_HPKE_EXPORT_CONTEXT_BYTES_MAX + 1];
	struct pl_hpke hpke;
	cr_assert_eq(pl_hpke_setup_sender(&base, public_key, seed, enc, &hpke), PL_OK);
	cr_assert_eq(pl_hpke_export(&hpke, context, sizeof(context) - 1, out, sizeof(out) - 1), PL_OK);
	cr_assert_eq(pl_hpke_export(&hpke, context, sizeof(context), out, 32), PL_ERR_LIMIT);
	cr_assert_eq(pl_hpke_export(&hpke, context, 0, out, sizeof(out)), PL_ERR_LIMIT);
}

/* A coefficient of the ML-KEM part that is no residue, or an X25519 part of small order. */
Test(hpke, unusable_keys_are_refused, .init = make_recipient)
{
	uint8_t shared[32], zero[32] = { 0 };
	public_key[0] = public_key[1] = 0xff;
	cr_assert_eq(pl_hpke_encap(PL_HPKE_XWING, public_key, seed, enc, shared), PL_ERR_REFUSED);
	make_recipient();
	memset(public_key + PUBLIC_BYTES_MAX - 32, 0, 32);
	cr_assert_eq(pl_hpke_encap(PL_HPKE_XWING, public_key, seed, enc, shared), PL_ERR_REFUSED);
	cr_assert_eq(pl_hpke_encap(PL_HPKE_X25519, zero, seed, enc, shared), PL_ERR_REFUSED);
	cr_assert_eq(pl_hpke_decap(PL_HPKE_X25519, secret_key, zero, shared), PL_ERR_REFUSED);
	make_recipient();
	cr_assert_eq(pl_hpke_encap(PL_HPKE_XWING, public_key, seed, enc, shared), PL_OK);
	memset(enc + ENC_BYTES_MAX - 32, 0, 32);
	cr_assert_eq(pl_hpke_decap(PL_HPKE_XWING, secret_key, enc, shared), PL_ERR_REFUSED);
}

Test(hpke, wipe_leaves_nothing, .init = make_recipient)
{
	struct pl_hpke hpke;
	cr_assert_eq(pl_hpke_setup_sender(&base, public_key, seed, enc, &hpke), PL_OK);
	pl_hpke_wipe(&hpke);
	cr_assert(sodium_is_zero((const uint8_t *)&hpke, sizeof(hpke)));
}
