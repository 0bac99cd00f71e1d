#include "crypto/selftest.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

/* The linker puts these before libsodium's (see tests/module.am): a library in which one call goes wrong. */
int __real_crypto_sign_ed25519_verify_detached(const unsigned char *signature, const unsigned char *m, unsigned long long bytes,
                                               const unsigned char *key);
int __real_crypto_generichash_blake2b_final(crypto_generichash_blake2b_state *state, unsigned char *out, size_t out_bytes);
int __real_crypto_kdf_hkdf_sha256_expand(unsigned char *out, size_t out_bytes, const char *context, size_t context_bytes,
                                         const unsigned char *prk);
int __real_crypto_kem_xwing_dec(unsigned char *shared, const unsigned char *enc, const unsigned char *secret);

static int calls, wrong_call; /* of the function under test; the first is 1 */
static enum { NONE, VERIFY, HASH, HKDF, XWING } wrong;

static bool is_wrong(int which)
{
	return (int)wrong == which && ++calls == wrong_call;
}

int __wrap_crypto_sign_ed25519_verify_detached(const unsigned char *signature, const unsigned char *m, unsigned long long bytes,
                                               const unsigned char *key);
int __wrap_crypto_sign_ed25519_verify_detached(const unsigned char *signature, const unsigned char *m, unsigned long long bytes,
                                               const unsigned char *key)
{
	const int result = __real_crypto_sign_ed25519_verify_detached(signature, m, bytes, key);

	return is_wrong(VERIFY) ? -1 - result : result;
}

int __wrap_crypto_generichash_blake2b_final(crypto_generichash_blake2b_state *state, unsigned char *out, size_t out_bytes);
int __wrap_crypto_generichash_blake2b_final(crypto_generichash_blake2b_state *state, unsigned char *out, size_t out_bytes)
{
	const int result = __real_crypto_generichash_blake2b_final(state, out, out_bytes);

	out[31] ^= is_wrong(HASH);
	return result;
}

int __wrap_crypto_kdf_hkdf_sha256_expand(unsigned char *out, size_t out_bytes, const char *context, size_t context_bytes,
                                         const unsigned char *prk);
int __wrap_crypto_kdf_hkdf_sha256_expand(unsigned char *out, size_t out_bytes, const char *context, size_t context_bytes,
                                         const unsigned char *prk)
{
	const int result = __real_crypto_kdf_hkdf_sha256_expand(out, out_bytes, context, context_bytes, prk);

	out[out_bytes - 1] ^= is_wrong(HKDF);
	return result;
}

int __wrap_crypto_kem_xwing_dec(unsigned char *shared, const unsigned char *enc, const unsigned char *secret);
int __wrap_crypto_kem_xwing_dec(unsigned char *shared, const unsigned char *enc, const unsigned char *secret)
{
	const int result = __real_crypto_kem_xwing_dec(shared, enc, secret);

	shared[0] ^= is_wrong(XWING);
	return result;
}

static enum pl_err run(int which, int call, const char **what)
{
	wrong = which;
	wrong_call = call;
	calls = 0;
	return pl_selftest(what);
}

Test(selftest, passes_here)
{
	const char *what = "";

	cr_assert_geq(sodium_init(), 0);
	cr_assert_eq(run(NONE, 0, &what), PL_OK, "%s", what);
	cr_assert_null(what);
}

Test(selftest, each_signature_that_is_judged_otherwise_is_noticed)
{
	const char *what = NULL;
	int call = 1, with_cofactor = 0;

	cr_assert_geq(sodium_init(), 0);
	for (; run(VERIFY, call, &what) != PL_OK; call++) {
		cr_assert_eq(run(VERIFY, call, &what), PL_ERR_SIGNATURE);
		cr_assert_not_null(what);
		with_cofactor += strstr(what, "with the cofactor") != NULL;
	}
	cr_assert_eq(call, 11, "ten signatures, not %d", call - 1);
	cr_assert_eq(with_cofactor, 3);
}

Test(selftest, each_known_answer_that_is_another_is_noticed)
{
	const struct {
		int which;
		const char *name;
	} answers[] = { { HASH, "BLAKE2b" }, { HKDF, "HKDF" }, { XWING, "X-Wing" } };
	const char *what = NULL;

	cr_assert_geq(sodium_init(), 0);
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		cr_assert_eq(run(answers[i].which, 1, &what), PL_ERR_CORRUPT, "%s", answers[i].name);
		cr_assert_eq(strncmp(what, answers[i].name, strlen(answers[i].name)), 0, "%s", what);
	}
}
