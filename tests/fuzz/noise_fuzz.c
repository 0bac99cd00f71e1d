/* Two parties in one process, and the input as whoever sits on the wire between them: it says who writes what, whether it arrives as it was
 * written, bent, or as something else, and when a side splits, rekeys or seals a record. Whatever it does, a message is taken if and
 * only if it is the one that the other side wrote for this place in this handshake; a handshake that failed stays dead; a record opens
 * if and only if key, nonce and bytes are right.
 *
 *   u8 setup: bits 0-1 the initiator's psk (0 none, 1 right, 2 wrong), 2-3 the responder's (0 none, 1 right, 2 asks and finds the right
 *             one, 3 asks), 4 what it then finds (0 none, 1 the wrong one)
 *   then to the end: u8 operation (bits 0-3, see enum op; 4 the side; 5-7 flags) | u16 count | count bytes
 */
#include <sodium.h>
#include <stdbool.h>

#include "crypto/noise.h"
#include "tests/fuzz/fuzz.h"

enum op { OP_WRITE, OP_DELIVER, OP_BEND, OP_READ_RAW, OP_SPLIT, OP_RECORD, OP_RECORD_BENT, OP_RECORD_RAW, OP_REKEY, OP_WEAR_OUT, OP_COUNT };

#define FLAG_TIGHT 0x20  /* one byte too little room; of a record: in place */
#define FLAG_SECOND 0x40 /* rekey the receiving cipher instead of the sending one */

static const uint8_t psk_right[32] = { 1 }, psk_wrong[32] = { 2 };
static const size_t overhead[] = { PL_NOISE_OVERHEAD_1, PL_NOISE_OVERHEAD_2, PL_NOISE_OVERHEAD_3 };

/* What a side wrote last, and what it knew before and after. */
struct flight {
	bool is_set;
	uint8_t *bytes, *payload;
	size_t count, payload_bytes;
	struct pl_noise before, after;
};

struct party {
	struct pl_noise noise;
	struct pl_noise_cipher send, receive;
	struct flight flight;
};

struct scene {
	struct party party[2]; /* initiator, responder */
	const uint8_t *asked;  /* what the responder finds when it asks for a psk */
	bool psk_is_right;     /* both sides have or find the same */
	uint8_t init_public[32];
};

static const uint8_t *find_psk(void *ctx, const uint8_t remote_static[32])
{
	const struct scene *scene = ctx;

	PL_FUZZ_CHECK(!sodium_is_zero(remote_static, 32));
	return scene->asked;
}

static void set_up(struct scene *scene, uint8_t setup)
{
	static const uint8_t secrets[4][32] = { { 0x11 }, { 0x22 }, { 0x33 }, { 0x44 } }, prologue[] = "fuzz";
	const uint8_t *init_psk = (setup & 3) == 0 ? NULL : (setup & 3) == 2 ? psk_wrong : psk_right;
	unsigned responder = setup >> 2 & 3;
	uint8_t resp_public[32];
	struct pl_noise_setup noise = { .prologue = prologue, .prologue_bytes = sizeof(prologue) };

	memset(scene, 0, sizeof(*scene));
	crypto_scalarmult_base(scene->init_public, secrets[0]);
	crypto_scalarmult_base(resp_public, secrets[1]);
	noise.role = PL_NOISE_INITIATOR;
	noise.static_secret = secrets[0];
	noise.remote_static = resp_public;
	noise.ephemeral_secret = secrets[2];
	noise.psk = init_psk;
	PL_FUZZ_CHECK(pl_noise_init(&scene->party[0].noise, &noise) == PL_OK);

	noise.role = PL_NOISE_RESPONDER;
	noise.static_secret = secrets[1];
	noise.remote_static = NULL;
	noise.ephemeral_secret = secrets[3];
	noise.psk = responder == 1 ? psk_right : NULL;
	noise.psk_later = responder >= 2;
	PL_FUZZ_CHECK(pl_noise_init(&scene->party[1].noise, &noise) == PL_OK);
	scene->asked = responder == 2 ? psk_right : responder == 3 && setup & 0x10 ? psk_wrong : NULL;
	scene->psk_is_right = noise.psk_later ? scene->asked == init_psk : noise.psk == init_psk;
}

static bool is_turn(const struct pl_noise *noise, bool to_write)
{
	bool is_initiators = noise->step != 1;

	return noise->step < PL_NOISE_STEP_DONE && ((noise->role == PL_NOISE_INITIATOR) == is_initiators) == to_write;
}

static bool is_same_so_far(const struct pl_noise *a, const struct pl_noise *b)
{
	return a->step == b->step && memcmp(a->hash, b->hash, 32) == 0 && memcmp(a->chaining_key, b->chaining_key, 32) == 0;
}

static void drop_flight(struct flight *flight)
{
	free(flight->bytes);
	free(flight->payload);
	memset(flight, 0, sizeof(*flight));
}

static void op_write(struct party *party, const uint8_t *payload, size_t payload_bytes, bool is_tight)
{
	bool may = is_turn(&party->noise, true);
	size_t whole = payload_bytes + (may ? overhead[party->noise.step] : 0), out_bytes = 0;
	size_t out_max = whole - (is_tight && whole > 0 ? 1 : 0);
	uint8_t *out = pl_fuzz_room(out_max);
	struct pl_noise before;

	memcpy(&before, &party->noise, sizeof(before));
	enum pl_err err = pl_noise_write(&party->noise, payload, payload_bytes, out, out_max, &out_bytes);
	if (!may)
		PL_FUZZ_CHECK(err == PL_ERR_STATE);
	else if (whole > PL_NOISE_MESSAGE_BYTES_MAX)
		PL_FUZZ_CHECK(err == PL_ERR_LIMIT);
	else
		PL_FUZZ_CHECK(err == (out_max < whole ? PL_ERR_FULL : PL_OK));
	if (err) {
		PL_FUZZ_CHECK(memcmp(&before, &party->noise, sizeof(before)) == 0 && out_bytes == 0);
		free(out);
		return;
	}
	PL_FUZZ_CHECK(out_bytes == whole && party->noise.step == before.step + 1);
	drop_flight(&party->flight);
	party->flight = (struct flight){ true, out, pl_fuzz_copy(payload, payload_bytes), whole, payload_bytes, before, party->noise };
}

/* Some bytes come in at side. */
static void op_read(struct scene *scene, int side, const uint8_t *message, size_t message_bytes, bool is_tight)
{
	struct pl_noise *noise = &scene->party[side].noise, before = *noise;
	const struct flight *flight = &scene->party[1 - side].flight;
	bool may = is_turn(noise, false), finds_none = noise->step == 2 && noise->psk_later && !scene->asked;
	size_t least = may ? overhead[noise->step] : 0, payload_bytes = 0;
	size_t payload_max = message_bytes > least ? message_bytes - least : 0;
	bool is_genuine = flight->is_set && flight->count == message_bytes && memcmp(flight->bytes, message, message_bytes) == 0 &&
	                  is_same_so_far(&flight->before, &before);

	if (is_tight && payload_max > 0)
		payload_max--;
	uint8_t *payload = pl_fuzz_room(payload_max);
	enum pl_err err = pl_noise_read(noise, message, message_bytes, payload, payload_max, &payload_bytes, find_psk, scene);

	if (!may)
		PL_FUZZ_CHECK(err == PL_ERR_STATE);
	else if (message_bytes < least)
		PL_FUZZ_CHECK(err == PL_ERR_SHORT);
	else if (payload_max < message_bytes - least)
		PL_FUZZ_CHECK(err == PL_ERR_FULL);
	else if (!is_genuine && before.step > 0) /* the psk is asked for before the payload is seen to be bent */
		PL_FUZZ_CHECK(err == PL_ERR_DECRYPT || err == PL_ERR_REFUSED || (finds_none && err == PL_ERR_NO_KEY));
	else if (!is_genuine) /* anyone may write a message 1 who knows the responder's public key */
		PL_FUZZ_CHECK(err == PL_OK || err == PL_ERR_DECRYPT || err == PL_ERR_REFUSED);
	else if (finds_none)
		PL_FUZZ_CHECK(err == PL_ERR_NO_KEY);
	else if (before.step == 2 && before.has_psk && !scene->psk_is_right)
		PL_FUZZ_CHECK(err == PL_ERR_DECRYPT);
	else
		PL_FUZZ_CHECK(err == PL_OK);

	if (err) {
		struct pl_noise dead = { .step = PL_NOISE_STEP_DEAD };

		PL_FUZZ_CHECK(noise->step == dead.step && sodium_is_zero(noise->static_secret, 32) && sodium_is_zero(noise->hash, 32) &&
		              sodium_is_zero(noise->ephemeral_secret, 32) && sodium_is_zero(noise->chaining_key, 32) &&
		              sodium_is_zero(noise->psk, 32) && !noise->cipher.has_key && payload_bytes == 0);
	} else {
		PL_FUZZ_CHECK(noise->step == before.step + 1 && payload_bytes == message_bytes - least);
		if (is_genuine)
			PL_FUZZ_CHECK(payload_bytes == flight->payload_bytes && memcmp(payload, flight->payload, payload_bytes) == 0 &&
			              is_same_so_far(noise, &flight->after));
		if (noise->step == PL_NOISE_STEP_DONE)
			PL_FUZZ_CHECK(noise->has_remote_static && memcmp(noise->remote_static, scene->init_public, 32) == 0);
	}
	free(payload);
}

static void op_bend(struct scene *scene, int side, const uint8_t *mask, size_t mask_bytes)
{
	const struct flight *flight = &scene->party[1 - side].flight;
	size_t at = flight->count > 0 && mask_bytes > 1 ? (size_t)(mask[0] << 8 | mask[1]) % flight->count : 0;

	if (!flight->is_set)
		return;
	uint8_t *bent = pl_fuzz_copy(flight->bytes, flight->count);
	for (size_t i = 2; i < mask_bytes && at + i - 2 < flight->count; i++)
		bent[at + i - 2] ^= mask[i];
	op_read(scene, side, bent, flight->count, false);
	free(bent);
}

static void op_split(struct party *party)
{
	bool is_ready = party->noise.step == PL_NOISE_STEP_DONE;
	enum pl_err err = pl_noise_split(&party->noise, &party->send, &party->receive);

	PL_FUZZ_CHECK(err == (is_ready ? PL_OK : PL_ERR_STATE));
	if (is_ready)
		PL_FUZZ_CHECK(pl_noise_is_done(&party->noise) && memcmp(party->send.key, party->receive.key, 32) != 0);
}

static bool is_usable(const struct pl_noise_cipher *cipher)
{
	return cipher->has_key && cipher->nonce != UINT64_MAX;
}

static void check_open(struct pl_noise_cipher *receive, uint8_t *sealed, size_t sealed_bytes, bool in_place, bool is_right,
                       const uint8_t *plain)
{
	struct pl_noise_cipher before = *receive;
	size_t plain_bytes = sealed_bytes - PL_NOISE_TAG_BYTES;
	uint8_t *out = in_place ? sealed : pl_fuzz_room(plain_bytes);
	enum pl_err err = pl_noise_decrypt(receive, sealed, sealed_bytes, out);

	PL_FUZZ_CHECK(err == (!is_usable(&before) ? PL_ERR_STATE : is_right ? PL_OK : PL_ERR_DECRYPT));
	PL_FUZZ_CHECK(receive->nonce == before.nonce + (err == PL_OK));
	if (err == PL_OK)
		PL_FUZZ_CHECK(plain_bytes == 0 || memcmp(out, plain, plain_bytes) == 0);
	else if (err == PL_ERR_DECRYPT)
		PL_FUZZ_CHECK(sodium_is_zero(out, plain_bytes));
	if (!in_place)
		free(out);
}

/* A record from party to other: as it was sealed, or with its first bytes bent by the last of plain. */
static void op_record(struct party *party, struct party *other, const uint8_t *plain, size_t plain_bytes, bool is_bent, bool in_place)
{
	struct pl_noise_cipher before = party->send;
	uint8_t *sealed = pl_fuzz_room(plain_bytes + PL_NOISE_TAG_BYTES);
	bool is_right;

	if (in_place && plain_bytes > 0)
		memcpy(sealed, plain, plain_bytes);
	enum pl_err err = pl_noise_encrypt(&party->send, in_place ? sealed : plain, plain_bytes, sealed);
	if (plain_bytes > PL_NOISE_MESSAGE_BYTES_MAX - PL_NOISE_TAG_BYTES)
		PL_FUZZ_CHECK(err == PL_ERR_LIMIT);
	else
		PL_FUZZ_CHECK(err == (is_usable(&before) ? PL_OK : PL_ERR_STATE));
	if (err == PL_OK) {
		PL_FUZZ_CHECK(party->send.nonce == before.nonce + 1);
		is_right = other->receive.nonce == before.nonce && memcmp(other->receive.key, before.key, 32) == 0;
		if (is_bent && plain_bytes > 0 && plain[plain_bytes - 1] != 0) {
			sealed[plain[0] % (plain_bytes + PL_NOISE_TAG_BYTES)] ^= plain[plain_bytes - 1];
			is_right = false;
		}
		check_open(&other->receive, sealed, plain_bytes + PL_NOISE_TAG_BYTES, in_place, is_right, plain);
	}
	free(sealed);
}

static void op_record_raw(struct party *party, const uint8_t *sealed, size_t sealed_bytes)
{
	struct pl_noise_cipher before = party->receive;
	uint8_t *out = pl_fuzz_room(sealed_bytes < PL_NOISE_TAG_BYTES ? 0 : sealed_bytes - PL_NOISE_TAG_BYTES);
	enum pl_err err = pl_noise_decrypt(&party->receive, sealed, sealed_bytes, out);

	if (sealed_bytes < PL_NOISE_TAG_BYTES)
		PL_FUZZ_CHECK(err == PL_ERR_SHORT);
	else if (!is_usable(&before))
		PL_FUZZ_CHECK(err == PL_ERR_STATE);
	else /* the input may know the keys, which are always the same */
		PL_FUZZ_CHECK(err == PL_OK || err == PL_ERR_DECRYPT);
	PL_FUZZ_CHECK(party->receive.nonce == before.nonce + (err == PL_OK));
	free(out);
}

static void op_rekey(struct pl_noise_cipher *cipher)
{
	struct pl_noise_cipher before = *cipher;

	if (!cipher->has_key)
		return;
	pl_noise_rekey(cipher);
	PL_FUZZ_CHECK(cipher->nonce == before.nonce && memcmp(cipher->key, before.key, 32) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct pl_fuzz_input input = { data, size };
	struct scene scene;

	if (sodium_init() < 0)
		abort();
	set_up(&scene, pl_fuzz_u8(&input));
	while (input.left > 0) {
		uint8_t op = pl_fuzz_u8(&input);
		int side = op >> 4 & 1;
		struct party *party = &scene.party[side], *other = &scene.party[1 - side];
		bool is_tight = op & FLAG_TIGHT;
		size_t count;
		const uint8_t *bytes = pl_fuzz_run(&input, &count);

		switch ((enum op)((op & 15) % OP_COUNT)) {
		case OP_WRITE: op_write(party, bytes, count, is_tight); break;
		case OP_DELIVER:
			if (other->flight.is_set)
				op_read(&scene, side, other->flight.bytes, other->flight.count, is_tight);
			break;
		case OP_BEND: op_bend(&scene, side, bytes, count); break;
		case OP_READ_RAW: op_read(&scene, side, bytes, count, is_tight); break;
		case OP_SPLIT: op_split(party); break;
		case OP_RECORD: op_record(party, other, bytes, count, false, is_tight); break;
		case OP_RECORD_BENT: op_record(party, other, bytes, count, true, is_tight); break;
		case OP_RECORD_RAW: op_record_raw(party, bytes, count); break;
		case OP_REKEY: op_rekey(op & FLAG_SECOND ? &party->receive : &party->send); break;
		case OP_WEAR_OUT: party->send.nonce = other->receive.nonce = UINT64_MAX - 1; break;
		case OP_COUNT: break;
		}
	}
	for (int side = 0; side < 2; side++)
		drop_flight(&scene.party[side].flight);
	return 0;
}
