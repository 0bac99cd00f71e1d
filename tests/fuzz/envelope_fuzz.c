/* Envelopes, attachment chunks and channel items: those that are nothing but input, and those that we seal and the input bends. What
 * was not bent opens to what was sealed; what was bent opens to nothing, but for one case: the slots of an envelope are each
 * their recipient's own, so a bend in one leaves the others as they were.
 *
 *   u8 what, see enum what; then as each function reads it
 */
#include <sodium.h>
#include <stdbool.h>

#include "crypto/envelope.h"
#include "tests/fuzz/fuzz.h"

enum what { ENVELOPE_RAW, ENVELOPE_MADE, ATTACHMENT, CHANNEL_RAW, CHANNEL_MADE, WHAT_COUNT };

#define RECIPIENTS 5 /* one more than the smallest class of slots, so that the next one is seen too */
#define FLAG_COURIER 1
#define FLAG_OTHER_COURIER 2 /* the one who opens lacks it, or has one that was not used */
#define FLAG_OTHER_AUTHOR 4
#define FLAG_TIGHT 8
#define FLAG_STRANGER 16 /* opens with a key that nobody sealed to */

static const struct pl_envelope_ctx ctx = { { 1 }, { 2 }, 3 }, other_ctx = { { 1 }, { 4 }, 3 };
static const uint8_t courier_key[PL_COURIER_KEY_BYTES] = { 5 }, channel_root[PL_CHANNEL_ROOT_BYTES] = { 6 };
static uint8_t secrets[RECIPIENTS + 1][PL_EPOCH_SECRET_BYTES], publics[RECIPIENTS][PL_EPOCH_PUBLIC_BYTES];

static void make_keys(void)
{
	static bool are_made;

	if (are_made)
		return;
	if (sodium_init() < 0)
		abort();
	for (size_t i = 0; i <= RECIPIENTS; i++)
		secrets[i][0] = (uint8_t)(i + 1);
	for (size_t i = 0; i < RECIPIENTS; i++)
		pl_epoch_public(secrets[i], publics[i]);
	are_made = true;
}

/* A mask from the input, XORed in at a place from the input. False if that changes nothing. */
static bool bend(struct pl_fuzz_input *input, uint8_t *bytes, size_t count, size_t *from, size_t *to)
{
	size_t at = ((size_t)pl_fuzz_u8(input) << 16 | pl_fuzz_u16(input)) % count, mask_bytes;
	const uint8_t *mask = pl_fuzz_run(input, &mask_bytes);
	bool is_bent = false;

	for (size_t i = 0; i < mask_bytes && at + i < count; i++) {
		if (mask[i] == 0)
			continue;
		bytes[at + i] ^= mask[i];
		if (!is_bent)
			*from = at + i;
		*to = at + i + 1;
		is_bent = true;
	}
	return is_bent;
}

/* --- envelope --- */

/* What the form leaves for the plaintext, where it is right. */
static size_t padded_bytes_of(const uint8_t *envelope)
{
	return ((size_t)envelope[4] << 24 | (size_t)envelope[5] << 16 | (size_t)envelope[6] << 8 | envelope[7]) - 16;
}

/* The form, said a second time: AddressSanitizer does not see what libsodium reads beyond the end. */
static bool is_envelope(const uint8_t *bytes, size_t count)
{
	if (count < PL_ENVELOPE_PREFIX_BYTES || bytes[0] != 1 || bytes[1] != 1)
		return false;
	size_t slots = (size_t)bytes[2] << 8 | bytes[3], padded = padded_bytes_of(bytes);

	return (slots == 4 || slots == 16 || slots == 64) && (padded == 2048 || padded == 4096 || padded == 16384 || padded == 65536) &&
	       count == PL_ENVELOPE_PREFIX_BYTES + slots * PL_ENVELOPE_SLOT_BYTES + padded + 16;
}

/* The rest of the input is an envelope. */
static void fuzz_envelope_raw(struct pl_fuzz_input *input)
{
	static const struct pl_envelope_key keys[2] = { { secrets[0] }, { secrets[1] } };
	enum pl_err form = pl_envelope_check(input->at, input->left);
	size_t room = form ? 1 : padded_bytes_of(input->at), plain_bytes, again_bytes;
	uint8_t *plain = pl_fuzz_room(room), *again = pl_fuzz_room(room), cek[PL_CEK_BYTES];
	enum pl_err err = pl_envelope_open(&ctx, keys, 2, courier_key, input->at, input->left, plain, room, &plain_bytes, cek);

	PL_FUZZ_CHECK(is_envelope(input->at, input->left) == (form == PL_OK));
	PL_FUZZ_CHECK(form ? err == form : err == PL_OK || err == PL_ERR_NO_KEY || err == PL_ERR_DECRYPT);
	if (err == PL_OK) {
		PL_FUZZ_CHECK(pl_envelope_open_with_cek(&ctx, cek, input->at, input->left, again, room, &again_bytes) == PL_OK);
		PL_FUZZ_CHECK(again_bytes == plain_bytes && memcmp(plain, again, plain_bytes) == 0);
	}
	memset(cek, 0, sizeof(cek));
	err = pl_envelope_open_with_cek(&ctx, cek, input->at, input->left, again, room, &again_bytes);
	PL_FUZZ_CHECK(form ? err == form : err == PL_ERR_DECRYPT || err == PL_OK);
	free(plain);
	free(again);
}

/* u8 recipients | u8 who opens | u8 flags | plaintext | bend */
static void fuzz_envelope_made(struct pl_fuzz_input *input)
{
	static const uint8_t seed[32] = { 7 };
	size_t recipients_count = pl_fuzz_u8(input) % RECIPIENTS + 1, opener = pl_fuzz_u8(input) % recipients_count;
	size_t plain_bytes, out_bytes, opened_bytes, from = 0, to = 0;
	uint8_t flags = pl_fuzz_u8(input), cek[PL_CEK_BYTES], opened_cek[PL_CEK_BYTES];
	const uint8_t *plain = pl_fuzz_run(input, &plain_bytes);
	struct pl_envelope_recipient recipients[RECIPIENTS];

	for (size_t i = 0; i < recipients_count; i++)
		recipients[i] = (struct pl_envelope_recipient){ publics[i], flags & FLAG_COURIER ? courier_key : NULL };
	size_t whole = pl_envelope_bytes(recipients_count, plain_bytes);
	uint8_t *envelope = pl_fuzz_room(whole);
	enum pl_err err = pl_envelope_seal(&ctx, recipients, recipients_count, plain, plain_bytes, seed, envelope, whole, &out_bytes,
	                                   cek);
	PL_FUZZ_CHECK(err == PL_OK && out_bytes == whole && pl_envelope_check(envelope, whole) == PL_OK);

	size_t room = padded_bytes_of(envelope) - (flags & FLAG_TIGHT ? 1 : 0);
	size_t body_at = whole - padded_bytes_of(envelope) - 16;
	uint8_t *opened = pl_fuzz_room(room);
	struct pl_envelope_key key = { secrets[flags & FLAG_STRANGER ? RECIPIENTS : opener] };
	/* A courier key that was not used does no harm; one that was used and is missing does. */
	const uint8_t *courier = !(flags & FLAG_COURIER) ? channel_root : flags & FLAG_OTHER_COURIER ? NULL : courier_key;
	bool is_ours = !(flags & FLAG_STRANGER) && !(flags & FLAG_OTHER_AUTHOR) && courier;
	bool is_bent = bend(input, envelope, whole, &from, &to);
	enum pl_err form = pl_envelope_check(envelope, whole);
	err = pl_envelope_open(flags & FLAG_OTHER_AUTHOR ? &other_ctx : &ctx, &key, 1, courier, envelope, whole, opened, room,
	                       &opened_bytes, opened_cek);

	if (form)
		PL_FUZZ_CHECK(from < 8 && is_bent && err == form);
	else if (flags & FLAG_TIGHT)
		PL_FUZZ_CHECK(err == PL_ERR_FULL);
	else if (!is_ours || (is_bent && from < PL_ENVELOPE_PREFIX_BYTES)) /* each slot is bound to the prefix */
		PL_FUZZ_CHECK(err == PL_ERR_NO_KEY);
	else if (is_bent && to > body_at)
		PL_FUZZ_CHECK(err == PL_ERR_DECRYPT || (err == PL_ERR_NO_KEY && from < body_at));
	else if (is_bent)
		PL_FUZZ_CHECK(err == PL_ERR_NO_KEY || err == PL_OK);
	else
		PL_FUZZ_CHECK(err == PL_OK);
	if (err == PL_OK)
		PL_FUZZ_CHECK(opened_bytes == plain_bytes && memcmp(opened_cek, cek, PL_CEK_BYTES) == 0 &&
		              (plain_bytes == 0 || memcmp(opened, plain, plain_bytes) == 0));
	if (!form) {
		err = pl_envelope_open_with_cek(&ctx, cek, envelope, whole, opened, room, &opened_bytes);
		if (flags & FLAG_TIGHT)
			PL_FUZZ_CHECK(err == PL_ERR_FULL);
		else
			PL_FUZZ_CHECK(err == (is_bent && (from < PL_ENVELOPE_PREFIX_BYTES || to > body_at) ? PL_ERR_DECRYPT : PL_OK));
	}
	free(opened);
	free(envelope);
}

/* --- attachment --- */

/* u8 attachment | u8 chunk | u8 chunk that it is taken for | plaintext | bend */
static void fuzz_attachment(struct pl_fuzz_input *input)
{
	static const uint8_t cek[PL_CEK_BYTES] = { 8 }, id[16] = { 9 };
	uint8_t attachment = pl_fuzz_u8(input), chunk = pl_fuzz_u8(input), taken_for = pl_fuzz_u8(input);
	size_t plain_bytes, from, to;
	const uint8_t *plain = pl_fuzz_run(input, &plain_bytes);
	uint8_t *sealed = pl_fuzz_room(plain_bytes + 16), *opened = pl_fuzz_room(plain_bytes);

	PL_FUZZ_CHECK(pl_attachment_seal(&ctx, cek, id, attachment, chunk, plain, plain_bytes, sealed) == PL_OK);
	bool is_bent = bend(input, sealed, plain_bytes + 16, &from, &to);
	enum pl_err err = pl_attachment_open(&ctx, cek, id, attachment, taken_for, sealed, plain_bytes + 16, opened);
	PL_FUZZ_CHECK(err == (is_bent || chunk != taken_for ? PL_ERR_DECRYPT : PL_OK));
	if (err == PL_OK)
		PL_FUZZ_CHECK(plain_bytes == 0 || memcmp(opened, plain, plain_bytes) == 0);
	free(sealed);
	free(opened);
}

/* --- channel --- */

static bool is_item(const uint8_t *bytes, size_t count)
{
	static const uint8_t start[4] = { 1, 1 };
	size_t padded = count - PL_CHANNEL_PREFIX_BYTES - 16;

	if (count <= PL_CHANNEL_PREFIX_BYTES + 16 || memcmp(bytes, start, sizeof(start)) != 0)
		return false;
	return padded == 256 || padded == 1024 || padded == 4096 || (padded % 16384 == 0 && padded <= 131072);
}

/* The rest of the input is an item. */
static void fuzz_channel_raw(struct pl_fuzz_input *input)
{
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	uint64_t item;
	enum pl_err form = pl_channel_peek(input->at, input->left, channel_id, &item);
	size_t room = form ? 1 : input->left - PL_CHANNEL_PREFIX_BYTES - 16, plain_bytes;
	uint8_t *plain = pl_fuzz_room(room);
	enum pl_err err = pl_channel_open(&ctx, channel_root, input->at, input->left, plain, room, &plain_bytes);

	PL_FUZZ_CHECK(is_item(input->at, input->left) == (form == PL_OK));
	PL_FUZZ_CHECK(form ? err == form : err == PL_OK || err == PL_ERR_DECRYPT);
	free(plain);
}

/* u8 item | u8 flags | plaintext | bend */
static void fuzz_channel_made(struct pl_fuzz_input *input)
{
	static const uint8_t channel_id[PL_CHANNEL_ID_BYTES] = { 10 };
	uint64_t item = pl_fuzz_u8(input), item_found;
	uint8_t flags = pl_fuzz_u8(input), id_found[PL_CHANNEL_ID_BYTES];
	size_t plain_bytes, out_bytes, opened_bytes, from, to;
	const uint8_t *plain = pl_fuzz_run(input, &plain_bytes);
	size_t whole = pl_channel_bytes(plain_bytes), room = whole - PL_CHANNEL_PREFIX_BYTES - 16 - (flags & FLAG_TIGHT ? 1 : 0);
	uint8_t *sealed = pl_fuzz_room(whole), *opened = pl_fuzz_room(room);

	PL_FUZZ_CHECK(pl_channel_seal(&ctx, channel_root, channel_id, item, plain, plain_bytes, sealed, whole, &out_bytes) == PL_OK);
	PL_FUZZ_CHECK(out_bytes == whole && pl_channel_peek(sealed, whole, id_found, &item_found) == PL_OK);
	PL_FUZZ_CHECK(item_found == item && memcmp(id_found, channel_id, sizeof(channel_id)) == 0);
	bool is_bent = bend(input, sealed, whole, &from, &to);
	enum pl_err form = pl_channel_peek(sealed, whole, id_found, &item_found);
	enum pl_err err = pl_channel_open(flags & FLAG_OTHER_AUTHOR ? &other_ctx : &ctx, channel_root, sealed, whole, opened, room,
	                                  &opened_bytes);
	if (form)
		PL_FUZZ_CHECK(is_bent && err == form);
	else if (flags & FLAG_TIGHT)
		PL_FUZZ_CHECK(err == PL_ERR_FULL);
	else
		PL_FUZZ_CHECK(err == (is_bent || flags & FLAG_OTHER_AUTHOR ? PL_ERR_DECRYPT : PL_OK));
	if (err == PL_OK)
		PL_FUZZ_CHECK(opened_bytes == plain_bytes && (plain_bytes == 0 || memcmp(opened, plain, plain_bytes) == 0));
	free(sealed);
	free(opened);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_fuzz_input input = { data, size };

	make_keys();
	switch ((enum what)(pl_fuzz_u8(&input) % WHAT_COUNT)) {
	case ENVELOPE_RAW: fuzz_envelope_raw(&input); break;
	case ENVELOPE_MADE: fuzz_envelope_made(&input); break;
	case ATTACHMENT: fuzz_attachment(&input); break;
	case CHANNEL_RAW: fuzz_channel_raw(&input); break;
	case CHANNEL_MADE: fuzz_channel_made(&input); break;
	case WHAT_COUNT: break;
	}
	return 0;
}
