#include <criterion/criterion.h>
#include <signal.h>
#include <sodium.h>
#include <string.h>

#include "crypto/labels.h"
#include "crypto/sign.h"

#define ENTRY PL_LABEL_ENTRY, sizeof(PL_LABEL_ENTRY)

static const struct pl_part abc_de[] = { { (const uint8_t *)"abc", 3 }, { NULL, 0 }, { (const uint8_t *)"de", 2 } };
static uint8_t public_key[PL_SIGN_PUBLIC_BYTES], secret_key[PL_SIGN_SECRET_BYTES], signature[PL_SIGN_BYTES];

static void sign_abc_de(void)
{
	uint8_t seed[32];
	for (uint8_t i = 0; i < 32; i++)
		seed[i] = i;
	pl_sign_keypair(seed, public_key, secret_key);
	pl_sign(ENTRY, abc_de, 3, secret_key, signature);
}

static void assert_hex(const uint8_t *bytes, size_t count, const char *hex)
{
	char found[2 * 64 + 1];
	sodium_bin2hex(found, sizeof(found), bytes, count);
	cr_assert_str_eq(found, hex);
}

/* Figures from Python's cryptography (OpenSSL) and hashlib, over the concatenation. */
Test(sign, agrees_with_another_implementation)
{
	sign_abc_de();
	assert_hex(public_key, sizeof(public_key), "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8");
	assert_hex(signature, sizeof(signature), "ebf0c9feddd5c946f7d8f63596f66ce436d1ba1ef157d30795b34c742c7a5fd8"
	                                         "d99b916099accce3e07dbf6b7e51cb987f21ed40536d22dc72516749beca6c05");
}

Test(sign, hash_agrees_with_another_implementation)
{
	uint8_t hash[PL_HASH_BYTES];
	pl_hash(PL_LABEL_BODY, sizeof(PL_LABEL_BODY), abc_de, 3, hash);
	assert_hex(hash, sizeof(hash), "b50355d7ceb2049dbd448190ca65ce69a4a0b2df4c8098e56164b45016c9f0c1");
	pl_hash(PL_LABEL_BODY, sizeof(PL_LABEL_BODY), NULL, 0, hash);
	assert_hex(hash, sizeof(hash), "58c9e1f3f1c22dd27ab6c22163ce509391b19b1b30ed7974befccd1b603ec581");
}

Test(sign, verifies_whatever_the_parts)
{
	sign_abc_de();
	const struct pl_part whole = { (const uint8_t *)"abcde", 5 };
	cr_assert_eq(pl_sign_verify(ENTRY, abc_de, 3, public_key, signature), PL_OK);
	cr_assert_eq(pl_sign_verify(ENTRY, &whole, 1, public_key, signature), PL_OK);
}

Test(sign, another_label_message_key_or_signature_is_refused)
{
	sign_abc_de();
	const struct pl_part longer = { (const uint8_t *)"abcdef", 6 };
	cr_assert_eq(pl_sign_verify(PL_LABEL_CHARTER, sizeof(PL_LABEL_CHARTER), abc_de, 3, public_key, signature), PL_ERR_SIGNATURE);
	cr_assert_eq(pl_sign_verify(ENTRY, &longer, 1, public_key, signature), PL_ERR_SIGNATURE);
	cr_assert_eq(pl_sign_verify(ENTRY, abc_de, 1, public_key, signature), PL_ERR_SIGNATURE);
	for (size_t bit = 0; bit < 8 * sizeof(signature); bit++) {
		signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(pl_sign_verify(ENTRY, abc_de, 3, public_key, signature), PL_ERR_SIGNATURE, "bit %zu", bit);
		signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	for (size_t bit = 0; bit < 8 * sizeof(public_key); bit++) {
		public_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(pl_sign_verify(ENTRY, abc_de, 3, public_key, signature), PL_ERR_SIGNATURE, "bit %zu", bit);
		public_key[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* The neutral element as key and R, with S = 0, satisfies the bare equation for every message. */
Test(sign, small_order_keys_are_refused)
{
	uint8_t neutral[PL_SIGN_PUBLIC_BYTES] = { 1 }, forged[PL_SIGN_BYTES] = { 1 };
	cr_assert_eq(pl_sign_verify(ENTRY, abc_de, 3, neutral, forged), PL_ERR_SIGNATURE);
}

Test(sign, takes_input_up_to_its_limit)
{
	sign_abc_de();
	static uint8_t bytes[PL_SIGN_INPUT_BYTES_MAX];
	const struct pl_part part = { bytes, PL_SIGN_INPUT_BYTES_MAX - sizeof(PL_LABEL_ENTRY) };
	pl_sign(ENTRY, &part, 1, secret_key, signature);
	cr_assert_eq(pl_sign_verify(ENTRY, &part, 1, public_key, signature), PL_OK);
}

Test(sign, more_is_a_bug_of_the_caller, .signal = SIGABRT)
{
	sign_abc_de();
	static uint8_t bytes[PL_SIGN_INPUT_BYTES_MAX];
	const struct pl_part part = { bytes, PL_SIGN_INPUT_BYTES_MAX - sizeof(PL_LABEL_ENTRY) + 1 };
	pl_sign(ENTRY, &part, 1, secret_key, signature);
}
