#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "node/verifier.h"

#define HEADERS 32

static const uint8_t network_id[PL_ID_BYTES] = { 3 };
static uint8_t headers[HEADERS][PL_ENTRY_HEADER_BYTES];
static uv_loop_t loop;
static struct pl_verifier *verifier;
static uint32_t tokens[64], goods[64];
static size_t told;

/* 32 entries of one author; those whose bit is not in good have a bad signature. */
static void make(uint32_t good)
{
	uint8_t public_key[PL_SIGN_PUBLIC_BYTES], secret[PL_SIGN_SECRET_BYTES];

	cr_assert_geq(sodium_init(), 0);
	crypto_sign_keypair(public_key, secret);
	for (int i = 0; i < HEADERS; i++) {
		struct pl_header header = { .kind = PL_KIND_INDICATORS, .lane = 2, .seq = 1 + (uint64_t)i, .gseq = 1 + (uint64_t)i, .generation = 1 };
		memcpy(header.author, public_key, PL_NODE_ID_BYTES);
		pl_header_encode(&header, headers[i]);
		pl_entry_sign(network_id, secret, headers[i]);
		if (!(good >> i & 1))
			headers[i][PL_HEADER_BYTES + i] ^= 1;
	}
}

static void on_verified(void *ctx, uint32_t token, uint32_t good)
{
	(void)ctx;
	tokens[told] = token;
	goods[told++] = good;
}

static void setup(void)
{
	cr_assert_eq(uv_loop_init(&loop), 0);
	cr_assert_eq(pl_verifier_new(&loop, network_id, on_verified, NULL, &verifier), PL_OK);
}

static void teardown(void)
{
	cr_assert_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
	cr_assert_eq(uv_loop_close(&loop), 0);
}

TestSuite(verifier, .init = setup, .fini = teardown, .timeout = 60);

Test(verifier, says_which_signatures_hold_in_the_order_of_the_requests)
{
	const uint32_t good = 0x8000fff1;
	make(good);
	for (uint32_t i = 1; i <= 40; i++)
		cr_assert_eq(pl_verifier_check(verifier, i, headers[0], (uint16_t)(i > HEADERS ? HEADERS : i)), PL_OK);
	while (told < 40)
		uv_run(&loop, UV_RUN_ONCE);
	for (uint32_t i = 1; i <= 40; i++) {
		cr_assert_eq(tokens[i - 1], i);
		cr_assert_eq(goods[i - 1], i < HEADERS ? good & ((UINT32_C(1) << i) - 1) : good, "%u: %x", i, goods[i - 1]);
	}
	pl_verifier_close(verifier);
}

Test(verifier, another_network_is_no_signature)
{
	make(UINT32_MAX);
	struct pl_verifier *other;
	const uint8_t other_id[PL_ID_BYTES] = { 4 };
	cr_assert_eq(pl_verifier_new(&loop, other_id, on_verified, NULL, &other), PL_OK);
	cr_assert_eq(pl_verifier_check(other, 1, headers[0], HEADERS), PL_OK);
	while (told < 1)
		uv_run(&loop, UV_RUN_ONCE);
	cr_assert_eq(goods[0], 0);
	pl_verifier_close(other);
	pl_verifier_close(verifier);
}

Test(verifier, closed_while_it_works_it_answers_nothing_more)
{
	make(UINT32_MAX);
	for (uint32_t i = 1; i <= 40; i++)
		cr_assert_eq(pl_verifier_check(verifier, i, headers[0], HEADERS), PL_OK);
	pl_verifier_close(verifier);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(told, 0);
}
