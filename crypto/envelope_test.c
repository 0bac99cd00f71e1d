#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/envelope.h"
#include "crypto/hpke.h"
#include "crypto/labels.h"
#include "tests/vectors.h"

#define ENVELOPE_BYTES_MAX (PL_ENVELOPE_PREFIX_BYTES + PL_ENVELOPE_SLOTS_MAX * PL_ENVELOPE_SLOT_BYTES + 65536 + 16)
#define PADDED_MAX (PL_ENVELOPE_PLAIN_BYTES_MAX + 1)

/* Members of a test network: number n has an epoch key and a courier key of its own. */
static uint8_t secrets[PL_ENVELOPE_SLOTS_MAX + 1][PL_EPOCH_SECRET_BYTES], publics[PL_ENVELOPE_SLOTS_MAX + 1][PL_EPOCH_PUBLIC_BYTES];
static struct pl_envelope_recipient recipients[PL_ENVELOPE_SLOTS_MAX + 1];
static const uint8_t courier_key[PL_COURIER_KEY_BYTES] = { 0xc0 }, other_courier_key[PL_COURIER_KEY_BYTES] = { 0xc1 };
static const struct pl_envelope_ctx ctx = { { 1 }, { 2 }, 2 };

static uint8_t envelope[ENVELOPE_BYTES_MAX + 1], opened[PADDED_MAX], message[PL_ENVELOPE_PLAIN_BYTES_MAX + 1], cek[PL_CEK_BYTES];
static size_t envelope_bytes, opened_bytes;

static void make_members(void)
{
	for (size_t i = 0; i <= PL_ENVELOPE_SLOTS_MAX; i++) {
		secrets[i][0] = (uint8_t)(i + 1);
		pl_epoch_public(secrets[i], publics[i]);
		recipients[i] = (struct pl_envelope_recipient){ publics[i], NULL };
	}
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)(i * 7 + i / 256);
}

static void seal(size_t recipients_count, size_t message_bytes, uint32_t seed_number)
{
	uint8_t seed[32] = { (uint8_t)seed_number, (uint8_t)(seed_number >> 8) };
	enum pl_err err = pl_envelope_seal(&ctx, recipients, recipients_count, message, message_bytes, seed, envelope, sizeof(envelope),
	                                   &envelope_bytes, cek);
	cr_assert_eq(err, PL_OK, "%s", pl_err_str(err));
}

static enum pl_err open_with(const struct pl_envelope_ctx *by_ctx, size_t member, const uint8_t *by_courier_key)
{
	struct pl_envelope_key key = { secrets[member] };
	uint8_t found[PL_CEK_BYTES];
	memset(opened, 0xee, sizeof(opened));
	enum pl_err err = pl_envelope_open(by_ctx, &key, 1, by_courier_key, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes, found);
	if (err == PL_OK)
		cr_assert_arr_eq(found, cek, sizeof(found));
	return err;
}

static enum pl_err open_by(size_t member)
{
	return open_with(&ctx, member, NULL);
}

static void assert_opened(size_t message_bytes)
{
	cr_assert_eq(opened_bytes, message_bytes);
	cr_assert_arr_eq(opened, message, message_bytes);
}

static uint8_t *slot_at(size_t i)
{
	return envelope + PL_ENVELOPE_PREFIX_BYTES + i * PL_ENVELOPE_SLOT_BYTES;
}

static struct pl_hpke_params slot_params(const uint8_t *by_courier_key)
{
	static uint8_t info[sizeof(PL_LABEL_ENVELOPE) + 65];
	memcpy(info, PL_LABEL_ENVELOPE, sizeof(PL_LABEL_ENVELOPE));
	memcpy(info + sizeof(PL_LABEL_ENVELOPE), ctx.network_id, 32);
	memcpy(info + sizeof(PL_LABEL_ENVELOPE) + 32, ctx.author, 32);
	info[sizeof(info) - 1] = ctx.kind;
	return (struct pl_hpke_params){ PL_HPKE_XWING, info, sizeof(info), by_courier_key, by_courier_key ? 32 : 0,
		                        by_courier_key ? (const uint8_t *)PL_LABEL_COURIER : NULL, by_courier_key ? sizeof(PL_LABEL_COURIER) : 0 };
}

/* Which slot is the member's, found with HPKE alone. */
static size_t slot_of(size_t member, size_t slots)
{
	struct pl_hpke_params params = slot_params(NULL);
	size_t found = slots;
	for (size_t i = 0; i < slots; i++) {
		uint8_t key[PL_CEK_BYTES];
		if (pl_hpke_open_once(&params, secrets[member], slot_at(i), envelope, PL_ENVELOPE_PREFIX_BYTES, slot_at(i) + 1120, 48, key) != PL_OK)
			continue;
		cr_assert_eq(found, slots, "member has two slots");
		cr_assert_arr_eq(key, cek, sizeof(key));
		found = i;
	}
	cr_assert_lt(found, slots, "member has no slot");
	return found;
}

/* What a hostile sender can do: any content key in any slot, to anybody. */
static void replace_slot(size_t i, size_t member, const uint8_t content_key[PL_CEK_BYTES])
{
	static const uint8_t seed[64] = { 9 };
	struct pl_hpke_params params = slot_params(NULL);
	cr_assert_eq(pl_hpke_seal_once(&params, publics[member], seed, envelope, PL_ENVELOPE_PREFIX_BYTES, content_key, PL_CEK_BYTES, slot_at(i),
	                               slot_at(i) + 1120),
	             PL_OK);
}

TestSuite(envelope, .init = make_members);

Test(envelope, every_recipient_opens_it_and_nobody_else)
{
	static const size_t counts[][2] = { { 1, 4 }, { 4, 4 }, { 5, 16 }, { 16, 16 }, { 17, 64 }, { 64, 64 } };
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		size_t count = counts[i][0];
		seal(count, 100, 1);
		cr_assert_eq(envelope_bytes, 40 + counts[i][1] * 1168 + 2048 + 16);
		cr_assert_eq(envelope_bytes, pl_envelope_bytes(count, 100));
		cr_assert_eq(pl_envelope_check(envelope, envelope_bytes), PL_OK);
		for (size_t member = 0; member < count; member += count > 16 ? 7 : 1) {
			cr_assert_eq(open_by(member), PL_OK, "member %zu of %zu", member, count);
			assert_opened(100);
		}
		cr_assert_eq(open_by(count - 1), PL_OK);
		cr_assert_eq(open_by(count), PL_ERR_NO_KEY);
	}
}

Test(envelope, every_padding_class)
{
	static const size_t sizes[][2] = { { 0, 2048 }, { 1, 2048 }, { 2047, 2048 }, { 2048, 4096 }, { 4095, 4096 }, { 4096, 16384 },
		                           { 16383, 16384 }, { 16384, 65536 }, { 65535, 65536 } };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		seal(1, sizes[i][0], 1);
		cr_assert_eq(envelope_bytes, 40 + 4 * 1168 + sizes[i][1] + 16, "%zu bytes", sizes[i][0]);
		cr_assert_eq(open_by(0), PL_OK);
		assert_opened(sizes[i][0]);
	}
}

Test(envelope, over_a_limit)
{
	static const uint8_t seed[32];
	cr_assert_eq(pl_envelope_bytes(0, 1), 0);
	cr_assert_eq(pl_envelope_bytes(65, 1), 0);
	cr_assert_eq(pl_envelope_bytes(1, 65536), 0);
	cr_assert_eq(pl_envelope_bytes(1, SIZE_MAX), 0);
	cr_assert_eq(pl_envelope_seal(&ctx, recipients, 0, message, 1, seed, envelope, sizeof(envelope), &envelope_bytes, cek), PL_ERR_LIMIT);
	cr_assert_eq(pl_envelope_seal(&ctx, recipients, 65, message, 1, seed, envelope, sizeof(envelope), &envelope_bytes, cek), PL_ERR_LIMIT);
	cr_assert_eq(pl_envelope_seal(&ctx, recipients, 1, message, 65536, seed, envelope, sizeof(envelope), &envelope_bytes, cek), PL_ERR_LIMIT);
}

Test(envelope, buffers_one_byte_too_small)
{
	static const uint8_t seed[32];
	struct pl_envelope_key key = { secrets[0] };
	size_t bytes = pl_envelope_bytes(1, 3000);
	cr_assert_eq(pl_envelope_seal(&ctx, recipients, 1, message, 3000, seed, envelope, bytes - 1, &envelope_bytes, cek), PL_ERR_FULL);
	cr_assert_eq(pl_envelope_seal(&ctx, recipients, 1, message, 3000, seed, envelope, bytes, &envelope_bytes, cek), PL_OK);
	cr_assert_eq(pl_envelope_open(&ctx, &key, 1, NULL, envelope, envelope_bytes, opened, 4095, &opened_bytes, cek), PL_ERR_FULL);
	cr_assert_eq(pl_envelope_open_with_cek(&ctx, cek, envelope, envelope_bytes, opened, 4095, &opened_bytes), PL_ERR_FULL);
	cr_assert_eq(pl_envelope_open(&ctx, &key, 1, NULL, envelope, envelope_bytes, opened, 4096, &opened_bytes, cek), PL_OK);
	assert_opened(3000);
}

Test(envelope, the_same_seed_the_same_envelope_another_seed_another)
{
	static uint8_t before[ENVELOPE_BYTES_MAX];
	seal(3, 100, 1);
	memcpy(before, envelope, envelope_bytes);
	memset(envelope, 0xaa, sizeof(envelope)); /* what stood in the buffer does not matter */
	seal(3, 100, 1);
	cr_assert_arr_eq(before, envelope, envelope_bytes);
	seal(3, 100, 2);
	cr_assert_arr_neq(before + 8, envelope + 8, 32);
	for (size_t i = 0; i < 4; i++)
		for (size_t k = 0; k < 4; k++)
			cr_assert_arr_neq(before + 40 + k * 1168, slot_at(i), 1120);
	cr_assert_arr_neq(before + 40 + 4 * 1168, slot_at(4), 2048);
}

Test(envelope, opens_with_any_of_several_keys)
{
	struct pl_envelope_key keys[] = { { secrets[7] }, { secrets[8] }, { secrets[1] } };
	seal(2, 100, 1);
	cr_assert_eq(pl_envelope_open(&ctx, keys, 3, NULL, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes, cek), PL_OK);
	assert_opened(100);
	cr_assert_eq(pl_envelope_open(&ctx, keys, 2, NULL, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes, cek), PL_ERR_NO_KEY);
	cr_assert_eq(pl_envelope_open(&ctx, keys, 0, NULL, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes, cek), PL_ERR_NO_KEY);
}

Test(envelope, courier_key_is_needed_where_it_was_used)
{
	recipients[1].courier_key = courier_key;
	seal(2, 100, 1);
	cr_assert_eq(open_with(&ctx, 1, courier_key), PL_OK);
	assert_opened(100);
	cr_assert_eq(open_with(&ctx, 1, NULL), PL_ERR_NO_KEY);
	cr_assert_eq(open_with(&ctx, 1, other_courier_key), PL_ERR_NO_KEY);
	cr_assert_eq(open_with(&ctx, 0, NULL), PL_OK);
	cr_assert_eq(open_with(&ctx, 0, courier_key), PL_OK, "a slot in mode base opens for one who holds a courier key");
}

Test(envelope, author_kind_and_network_are_bound)
{
	seal(1, 100, 1);
	for (int what = 0; what < 3; what++) {
		struct pl_envelope_ctx other = ctx;
		(what == 0 ? &other.network_id[31] : what == 1 ? &other.author[31] : &other.kind)[0] ^= 1;
		cr_assert_eq(open_with(&other, 0, NULL), PL_ERR_NO_KEY);
		cr_assert_eq(pl_envelope_open_with_cek(&other, cek, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes), PL_ERR_DECRYPT);
	}
}

Test(envelope, truncated_anywhere_or_longer)
{
	seal(1, 100, 1);
	size_t whole = envelope_bytes;
	for (envelope_bytes = 0; envelope_bytes < whole; envelope_bytes++) {
		uint8_t *exact = malloc(envelope_bytes ? envelope_bytes : 1); /* AddressSanitizer sees a look past its end */
		memcpy(exact, envelope, envelope_bytes);
		cr_assert_eq(pl_envelope_check(exact, envelope_bytes), PL_ERR_SHORT, "%zu bytes", envelope_bytes);
		free(exact);
		cr_assert_eq(open_by(0), PL_ERR_SHORT);
		cr_assert_eq(pl_envelope_open_with_cek(&ctx, cek, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes), PL_ERR_SHORT);
	}
	envelope_bytes = whole + 1;
	cr_assert_eq(open_by(0), PL_ERR_FORMAT);
}

Test(envelope, form_is_checked)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum pl_err err;
	} cases[] = {
		{ 0, 0, PL_ERR_VERSION }, { 0, 2, PL_ERR_VERSION }, { 1, 0, PL_ERR_VERSION }, { 1, 2, PL_ERR_VERSION },
		{ 2, 1, PL_ERR_LIMIT },   /* 260 slots */
		{ 3, 0, PL_ERR_FORMAT },  { 3, 5, PL_ERR_FORMAT },  { 3, 16, PL_ERR_SHORT },  { 3, 65, PL_ERR_LIMIT },
		{ 4, 0xff, PL_ERR_LIMIT }, { 5, 2, PL_ERR_LIMIT },
		{ 6, 0, PL_ERR_FORMAT },  /* 16 bytes: no room for padding */
		{ 7, 0, PL_ERR_FORMAT },  { 7, 17, PL_ERR_FORMAT }, { 6, 0x10, PL_ERR_SHORT },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		seal(1, 100, 1);
		envelope[cases[i].at] = cases[i].value;
		cr_assert_eq(pl_envelope_check(envelope, envelope_bytes), cases[i].err, "case %zu", i);
		cr_assert_eq(open_by(0), cases[i].err);
		cr_assert_eq(pl_envelope_open_with_cek(&ctx, cek, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes), cases[i].err);
	}
}

Test(envelope, every_bit_of_the_prefix_counts)
{
	seal(1, 100, 1);
	for (size_t bit = 0; bit < 8 * PL_ENVELOPE_PREFIX_BYTES; bit++) {
		envelope[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_neq(open_by(0), PL_OK, "bit %zu", bit);
		cr_assert_neq(pl_envelope_open_with_cek(&ctx, cek, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes), PL_OK);
		envelope[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	cr_assert_eq(open_by(0), PL_OK);
}

Test(envelope, a_damaged_slot_is_lost_to_its_owner_alone)
{
	seal(2, 100, 1);
	for (size_t member = 0; member < 2; member++) {
		uint8_t *slot = slot_at(slot_of(member, 4));
		for (size_t bit = 0; bit < 8 * PL_ENVELOPE_SLOT_BYTES; bit += 61) {
			slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
			cr_assert_eq(open_by(member), PL_ERR_NO_KEY, "bit %zu", bit);
			cr_assert_eq(open_by(1 - member), PL_OK, "bit %zu", bit);
			slot[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
}

/* The one encapsulated key that decapsulation refuses by itself. */
Test(envelope, a_slot_of_small_order_is_lost_to_its_owner_alone)
{
	seal(2, 100, 1);
	memset(slot_at(slot_of(0, 4)) + 1120 - 32, 0, 32);
	cr_assert_eq(open_by(0), PL_ERR_NO_KEY);
	cr_assert_eq(open_by(1), PL_OK);
}

Test(envelope, a_damaged_body_is_refused_and_nothing_of_it_shown)
{
	seal(1, 100, 1);
	for (size_t bit = 0; bit < 8 * (2048 + 16); bit += 61) {
		slot_at(4)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(open_by(0), PL_ERR_DECRYPT, "bit %zu", bit);
		cr_assert_arr_neq(opened, message, 16);
		slot_at(4)[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* The commitment stands in every slot's associated data, so that a relay's change is found there already; a sender's is not. */
Test(envelope, a_sender_cannot_give_two_recipients_two_content_keys)
{
	uint8_t other_cek[PL_CEK_BYTES] = { 0x0d };
	seal(1, 100, 1);
	size_t free_slot = (slot_of(0, 4) + 1) % 4;
	replace_slot(free_slot, 5, other_cek);
	cr_assert_eq(open_by(0), PL_OK);
	cr_assert_eq(open_by(5), PL_ERR_DECRYPT);
	cr_assert_eq(pl_envelope_open_with_cek(&ctx, other_cek, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes), PL_ERR_DECRYPT);

	/* A second slot with the true key: it opens, in whichever order the two stand. */
	replace_slot((free_slot + 1) % 4 == slot_of(0, 4) ? (free_slot + 2) % 4 : (free_slot + 1) % 4, 5, cek);
	cr_assert_eq(open_by(5), PL_OK);
	assert_opened(100);
}

Test(envelope, an_altered_commitment_is_refused_before_the_body_is_touched)
{
	seal(1, 100, 1);
	envelope[8] ^= 1;
	replace_slot(0, 0, cek);
	cr_assert_eq(open_by(0), PL_ERR_DECRYPT);
	cr_assert_eq(opened[0], 0xee);
	memset(opened, 0xee, sizeof(opened));
	cr_assert_eq(pl_envelope_open_with_cek(&ctx, cek, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes), PL_ERR_DECRYPT);
	cr_assert_eq(opened[0], 0xee);
}

/* A sender that pads otherwise: the AEAD is right, the plaintext has no end. */
Test(envelope, padding_is_checked)
{
	static const uint8_t nonce[24];
	uint8_t prk[32], key[32], salt[sizeof(PL_LABEL_CEK) + 65] = PL_LABEL_CEK, aad[65 + 40];
	seal(1, 100, 1);
	memcpy(aad, ctx.network_id, 32);
	memcpy(aad + 32, ctx.author, 32);
	aad[64] = ctx.kind;
	memcpy(aad + 65, envelope, 40);
	memcpy(salt + sizeof(PL_LABEL_CEK), aad, 65);
	crypto_kdf_hkdf_sha256_extract(prk, salt, sizeof(salt), cek, sizeof(cek));
	crypto_kdf_hkdf_sha256_expand(key, 32, PL_LABEL_CEK_BODY, sizeof(PL_LABEL_CEK_BODY), prk);

	uint8_t padded[2048] = { 'o', 'k', 0x80 };
	crypto_aead_xchacha20poly1305_ietf_encrypt(slot_at(4), NULL, padded, 2048, aad, sizeof(aad), NULL, nonce, key);
	cr_assert_eq(open_by(0), PL_OK);
	cr_assert_eq(opened_bytes, 2);
	for (int last = 0; last < 2; last++) {
		memset(padded, 0, sizeof(padded));
		padded[last ? 2047 : 0] = last ? 0x81 : 0;
		crypto_aead_xchacha20poly1305_ietf_encrypt(slot_at(4), NULL, padded, 2048, aad, sizeof(aad), NULL, nonce, key);
		cr_assert_eq(open_by(0), PL_ERR_DECRYPT);
		cr_assert_eq(opened[2047], 0, "nothing is left in the buffer");
	}
}

Test(envelope, a_disclosed_content_key_opens_it)
{
	uint8_t wrong[PL_CEK_BYTES];
	recipients[0].courier_key = courier_key;
	seal(1, 5000, 1);
	cr_assert_eq(pl_envelope_open_with_cek(&ctx, cek, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes), PL_OK);
	assert_opened(5000);
	memcpy(wrong, cek, sizeof(wrong));
	wrong[31] ^= 0x80;
	cr_assert_eq(pl_envelope_open_with_cek(&ctx, wrong, envelope, envelope_bytes, opened, sizeof(opened), &opened_bytes), PL_ERR_DECRYPT);
}

/* Seeds are fixed, so that the outcome is. 400 envelopes to two recipients: each stands 100 times in each of four places on average. The
 * limit is the 99.9 % point of chi squared with 3 degrees of freedom. */
Test(envelope, slots_are_shuffled_evenly)
{
	int seen[2][4] = { { 0 } };
	for (uint32_t seed = 0; seed < 400; seed++) {
		seal(2, 0, seed);
		for (size_t member = 0; member < 2; member++)
			seen[member][slot_of(member, 4)]++;
	}
	for (size_t member = 0; member < 2; member++) {
		double chi_squared = 0;
		for (size_t i = 0; i < 4; i++)
			chi_squared += (seen[member][i] - 100) * (seen[member][i] - 100) / 100.0;
		cr_assert_lt(chi_squared, 16.27, "member %zu: %d %d %d %d", member, seen[member][0], seen[member][1], seen[member][2], seen[member][3]);
	}
}

Test(envelope, a_key_that_cannot_be_sealed_to)
{
	static const uint8_t seed[32];
	cr_assert_eq(pl_epoch_public_check(publics[1]), PL_OK);
	memset(publics[1], 0xff, 3);
	cr_assert_eq(pl_epoch_public_check(publics[1]), PL_ERR_REFUSED);
	cr_assert_eq(pl_envelope_seal(&ctx, recipients, 2, message, 1, seed, envelope, sizeof(envelope), &envelope_bytes, cek), PL_ERR_REFUSED);
	cr_assert_eq(pl_envelope_seal(&ctx, recipients, 1, message, 1, seed, envelope, sizeof(envelope), &envelope_bytes, cek), PL_OK);
}

/* --- attachments --- */

static const uint8_t attachment_id[16] = { 0xa1 };
static const uint8_t content_key[PL_CEK_BYTES] = { 0xce };

TestSuite(attachment, .init = make_members);

Test(attachment, opens_in_its_own_place_only)
{
	static uint8_t sealed[49152 + 16];
	uint8_t other_id[16] = { 0xa2 }, other_key[PL_CEK_BYTES] = { 0xcf };
	static const size_t sizes[] = { 0, 1, 49152 };
	for (size_t i = 0; i < 3; i++) {
		size_t bytes = sizes[i];
		cr_assert_eq(pl_attachment_seal(&ctx, content_key, attachment_id, 3, 258, message, bytes, sealed), PL_OK);
		cr_assert_eq(pl_attachment_open(&ctx, content_key, attachment_id, 3, 258, sealed, bytes + 16, opened), PL_OK);
		cr_assert_arr_eq(opened, message, bytes);
		for (int what = 0; what < 3; what++) {
			struct pl_envelope_ctx other = ctx;
			(what == 0 ? &other.network_id[0] : what == 1 ? &other.author[0] : &other.kind)[0] ^= 1;
			cr_assert_eq(pl_attachment_open(&other, content_key, attachment_id, 3, 258, sealed, bytes + 16, opened), PL_ERR_DECRYPT);
		}
		cr_assert_eq(pl_attachment_open(&ctx, other_key, attachment_id, 3, 258, sealed, bytes + 16, opened), PL_ERR_DECRYPT);
		cr_assert_eq(pl_attachment_open(&ctx, content_key, other_id, 3, 258, sealed, bytes + 16, opened), PL_ERR_DECRYPT);
		cr_assert_eq(pl_attachment_open(&ctx, content_key, attachment_id, 2, 258, sealed, bytes + 16, opened), PL_ERR_DECRYPT);
		cr_assert_eq(pl_attachment_open(&ctx, content_key, attachment_id, 3, 2, sealed, bytes + 16, opened), PL_ERR_DECRYPT);
	}
}

Test(attachment, truncated_or_damaged_anywhere)
{
	uint8_t sealed[100 + 16];
	cr_assert_eq(pl_attachment_seal(&ctx, content_key, attachment_id, 0, 0, message, 100, sealed), PL_OK);
	for (size_t bytes = 0; bytes < sizeof(sealed); bytes++)
		cr_assert_eq(pl_attachment_open(&ctx, content_key, attachment_id, 0, 0, sealed, bytes, opened),
		             bytes < 16 ? PL_ERR_SHORT : PL_ERR_DECRYPT);
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
		cr_assert_eq(pl_attachment_open(&ctx, content_key, attachment_id, 0, 0, sealed, sizeof(sealed), opened), PL_ERR_DECRYPT);
		sealed[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

Test(attachment, over_the_limit)
{
	static uint8_t sealed[PL_ATTACHMENT_CHUNK_BYTES_MAX + 17];
	cr_assert_eq(pl_attachment_seal(&ctx, content_key, attachment_id, 0, 0, sealed, PL_ATTACHMENT_CHUNK_BYTES_MAX + 1, envelope), PL_ERR_LIMIT);
	cr_assert_eq(pl_attachment_open(&ctx, content_key, attachment_id, 0, 0, sealed, sizeof(sealed), envelope), PL_ERR_LIMIT);
}

/* --- channels --- */

static const uint8_t root[PL_CHANNEL_ROOT_BYTES] = { 0x70 }, channel_id[PL_CHANNEL_ID_BYTES] = { 0x1d };
static uint8_t big[PL_CHANNEL_PLAIN_BYTES_MAX + 1], item[PL_CHANNEL_PLAIN_BYTES_MAX + 1 + PL_CHANNEL_PREFIX_BYTES + 16], big_opened[sizeof(big)];
static size_t item_bytes;

static void make_big(void)
{
	make_members();
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (uint8_t)(i * 5 + i / 256);
}

static void seal_item(size_t bytes)
{
	cr_assert_eq(pl_channel_seal(&ctx, root, channel_id, 0x0102030405060708, big, bytes, item, sizeof(item), &item_bytes), PL_OK);
}

static enum pl_err open_item(const struct pl_envelope_ctx *by_ctx, const uint8_t *by_root)
{
	memset(big_opened, 0xee, sizeof(big_opened));
	return pl_channel_open(by_ctx, by_root, item, item_bytes, big_opened, sizeof(big_opened), &opened_bytes);
}

TestSuite(channel, .init = make_big);

Test(channel, every_padding_class)
{
	static const size_t sizes[][2] = { { 0, 256 }, { 255, 256 }, { 256, 1024 }, { 1023, 1024 }, { 1024, 4096 }, { 4095, 4096 },
		                           { 4096, 16384 }, { 16383, 16384 }, { 16384, 32768 }, { 32767, 32768 }, { 131071, 131072 } };
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t found[PL_CHANNEL_ID_BYTES];
		uint64_t number;
		seal_item(sizes[i][0]);
		cr_assert_eq(item_bytes, 60 + sizes[i][1] + 16, "%zu bytes", sizes[i][0]);
		cr_assert_eq(item_bytes, pl_channel_bytes(sizes[i][0]));
		cr_assert_eq(pl_channel_peek(item, item_bytes, found, &number), PL_OK);
		cr_assert_arr_eq(found, channel_id, sizeof(found));
		cr_assert_eq(number, 0x0102030405060708);
		cr_assert_eq(open_item(&ctx, root), PL_OK);
		cr_assert_eq(opened_bytes, sizes[i][0]);
		cr_assert_arr_eq(big_opened, big, opened_bytes);
	}
}

Test(channel, limits_and_small_buffers)
{
	cr_assert_eq(pl_channel_bytes(131072), 0);
	cr_assert_eq(pl_channel_bytes(SIZE_MAX), 0);
	cr_assert_eq(pl_channel_seal(&ctx, root, channel_id, 1, big, 131072, item, sizeof(item), &item_bytes), PL_ERR_LIMIT);
	cr_assert_eq(pl_channel_seal(&ctx, root, channel_id, 1, big, 300, item, pl_channel_bytes(300) - 1, &item_bytes), PL_ERR_FULL);
	seal_item(300);
	cr_assert_eq(pl_channel_open(&ctx, root, item, item_bytes, big_opened, 1023, &opened_bytes), PL_ERR_FULL);
	cr_assert_eq(pl_channel_open(&ctx, root, item, item_bytes, big_opened, 1024, &opened_bytes), PL_OK);
}

Test(channel, root_author_kind_and_network_are_bound)
{
	uint8_t other_root[PL_CHANNEL_ROOT_BYTES] = { 0x71 };
	seal_item(100);
	cr_assert_eq(open_item(&ctx, other_root), PL_ERR_DECRYPT);
	for (int what = 0; what < 3; what++) {
		struct pl_envelope_ctx other = ctx;
		(what == 0 ? &other.network_id[0] : what == 1 ? &other.author[0] : &other.kind)[0] ^= 1;
		cr_assert_eq(open_item(&other, root), PL_ERR_DECRYPT);
	}
}

/* A reader of a channel knows its root, and might seal under it in a feed of its own: the same item number, but another key. */
Test(channel, two_authors_never_share_a_key)
{
	static uint8_t before[sizeof(item)];
	struct pl_envelope_ctx other = ctx;
	seal_item(100);
	memcpy(before, item, item_bytes);
	other.author[0] ^= 1;
	cr_assert_eq(pl_channel_seal(&other, root, channel_id, 0x0102030405060708, big, 100, item, sizeof(item), &item_bytes), PL_OK);
	cr_assert_arr_neq(before + 28, item + 28, 32);
	cr_assert_arr_neq(before + 60, item + 60, 256);
}

Test(channel, truncated_anywhere_or_longer)
{
	uint8_t found[PL_CHANNEL_ID_BYTES];
	uint64_t number;
	seal_item(1500);
	size_t whole = item_bytes;
	for (item_bytes = 0; item_bytes <= whole + 1; item_bytes++) {
		enum pl_err err = open_item(&ctx, root);
		if (item_bytes == whole)
			cr_assert_eq(err, PL_OK);
		else if (item_bytes == 60 + 256 + 16 || item_bytes == 60 + 1024 + 16) /* looks like a shorter item */
			cr_assert_eq(err, PL_ERR_DECRYPT);
		else
			cr_assert_eq(err, item_bytes <= 76 ? PL_ERR_SHORT : PL_ERR_FORMAT, "%zu bytes", item_bytes);
		if (err == PL_ERR_SHORT || err == PL_ERR_FORMAT)
			cr_assert_eq(pl_channel_peek(item, item_bytes, found, &number), err);
	}
	item_bytes = sizeof(item);
	static uint8_t huge[sizeof(item) + 16384];
	memcpy(huge, item, sizeof(item));
	cr_assert_eq(pl_channel_open(&ctx, root, huge, sizeof(huge), big_opened, sizeof(big_opened), &opened_bytes), PL_ERR_LIMIT);
}

Test(channel, every_bit_counts)
{
	seal_item(100);
	for (size_t bit = 0; bit < 8 * item_bytes; bit++) {
		item[bit / 8] ^= (uint8_t)(1u << bit % 8);
		enum pl_err err = open_item(&ctx, root);
		cr_assert_eq(err, bit < 16 ? PL_ERR_VERSION : bit < 32 ? PL_ERR_FORMAT : PL_ERR_DECRYPT, "bit %zu: %s", bit, pl_err_str(err));
		if (bit >= 8 * 4 && bit < 8 * 60)
			cr_assert_eq(big_opened[0], 0xee, "the commitment is checked before the body is touched");
		item[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* --- our own vectors, made by another implementation of CRYPTO.md --- */

static struct pl_envelope_ctx ctx_of(struct pl_vectors *vectors)
{
	struct pl_envelope_ctx found = { .kind = (uint8_t)pl_vectors_number(vectors, "kind", 0) };
	memcpy(found.network_id, pl_vectors_hex_of(vectors, "network_id", 0, 32), 32);
	memcpy(found.author, pl_vectors_hex_of(vectors, "author", 0, 32), 32);
	return found;
}

static void assert_sealed(struct pl_vectors *vectors, const uint8_t *sealed, size_t bytes)
{
	uint8_t hash[crypto_hash_sha256_BYTES];
	cr_assert_eq(bytes, pl_vectors_number(vectors, "bytes", 0), "line %zu", pl_vectors_line(vectors));
	crypto_hash_sha256(hash, sealed, bytes);
	cr_assert_arr_eq(hash, pl_vectors_hex_of(vectors, "sha256", 0, sizeof(hash)), sizeof(hash), "line %zu", pl_vectors_line(vectors));
}

static void check_envelope(struct pl_vectors *vectors, const struct pl_envelope_ctx *of, size_t bytes)
{
	size_t count = pl_vectors_count(vectors, "epoch_secret");
	cr_assert(count >= 1 && count <= PL_ENVELOPE_SLOTS_MAX);
	for (size_t i = 0; i < count; i++) {
		size_t courier_bytes;
		memcpy(secrets[i], pl_vectors_hex_of(vectors, "epoch_secret", i, PL_EPOCH_SECRET_BYTES), PL_EPOCH_SECRET_BYTES);
		pl_epoch_public(secrets[i], publics[i]);
		const uint8_t *courier = pl_vectors_hex(vectors, "courier_key", i, &courier_bytes);
		recipients[i].courier_key = courier_bytes == PL_COURIER_KEY_BYTES ? courier : NULL;
	}
	cr_assert_eq(pl_envelope_seal(of, recipients, count, message, bytes, pl_vectors_hex_of(vectors, "seed", 0, 32), envelope, sizeof(envelope),
	                              &envelope_bytes, cek),
	             PL_OK);
	cr_assert_arr_eq(cek, pl_vectors_hex_of(vectors, "cek", 0, PL_CEK_BYTES), PL_CEK_BYTES);
	cr_assert_arr_eq(envelope, pl_vectors_hex_of(vectors, "prefix", 0, 40), 40);
	assert_sealed(vectors, envelope, envelope_bytes);
	if (pl_vectors_count(vectors, "envelope") > 0)
		cr_assert_arr_eq(envelope, pl_vectors_hex_of(vectors, "envelope", 0, envelope_bytes), envelope_bytes);
	cr_assert_eq(open_with(of, count - 1, recipients[count - 1].courier_key), PL_OK);
	assert_opened(bytes);
}

static void check_attachment(struct pl_vectors *vectors, const struct pl_envelope_ctx *of, size_t bytes)
{
	cr_assert_eq(pl_attachment_seal(of, pl_vectors_hex_of(vectors, "cek", 0, PL_CEK_BYTES), pl_vectors_hex_of(vectors, "attachment_id", 0, 16),
	                                (uint32_t)pl_vectors_number(vectors, "attachment", 0), (uint32_t)pl_vectors_number(vectors, "chunk", 0),
	                                message, bytes, envelope),
	             PL_OK);
	assert_sealed(vectors, envelope, bytes + 16);
}

static void check_channel(struct pl_vectors *vectors, const struct pl_envelope_ctx *of, size_t bytes)
{
	cr_assert_eq(pl_channel_seal(of, pl_vectors_hex_of(vectors, "root", 0, PL_CHANNEL_ROOT_BYTES),
	                             pl_vectors_hex_of(vectors, "channel_id", 0, PL_CHANNEL_ID_BYTES), pl_vectors_number(vectors, "item", 0),
	                             message, bytes, envelope, sizeof(envelope), &envelope_bytes),
	             PL_OK);
	assert_sealed(vectors, envelope, envelope_bytes);
	if (pl_vectors_count(vectors, "sealed") > 0)
		cr_assert_arr_eq(envelope, pl_vectors_hex_of(vectors, "sealed", 0, envelope_bytes), envelope_bytes);
}

Test(envelope, vectors_of_another_implementation)
{
	static const struct {
		const char *what;
		void (*check)(struct pl_vectors *vectors, const struct pl_envelope_ctx *of, size_t bytes);
		size_t cases;
	} kinds[] = { { "envelope", check_envelope, 4 }, { "attachment", check_attachment, 3 }, { "channel", check_channel, 5 } };
	size_t seen[3] = { 0 };
	struct pl_vectors *vectors = pl_vectors_open("envelope.txt");
	while (pl_vectors_next(vectors)) {
		struct pl_envelope_ctx of = ctx_of(vectors);
		size_t bytes = pl_vectors_number(vectors, "plain_bytes", 0);
		cr_assert_leq(bytes, PL_ENVELOPE_PLAIN_BYTES_MAX);
		for (size_t i = 0; i < 3; i++) {
			if (strcmp(pl_vectors_word(vectors, "what", 0), kinds[i].what) != 0)
				continue;
			kinds[i].check(vectors, &of, bytes);
			seen[i]++;
		}
	}
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(seen[i], kinds[i].cases, "%s: %zu cases", kinds[i].what, seen[i]);
	pl_vectors_free(vectors);
}
