#include "proto/handshake.h"

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"

#define WALL_MS 1790000000000ULL

static uint8_t network_id[32], secrets[2][32], publics[2][32], ephemerals[2][32];
static const uint8_t courier_key[32] = "thirty-two bytes carried by hand";

enum { DIALLER, LISTENER };

struct side {
	struct pl_handshake hs;
	struct pl_handshake_keys keys;
	uint64_t wall_ms;
};
static struct side sides[2];

/* What find_courier_key finds; and whom it was asked about. */
static const uint8_t *courier_key_found;
static uint8_t asked_about[32];

static const uint8_t *find_courier_key(void *ctx, const uint8_t remote_static[32])
{
	cr_assert_eq(ctx, &courier_key_found);
	memcpy(asked_about, remote_static, 32);
	return courier_key_found;
}

static void set_up(const uint8_t *dialler_courier_key, const uint8_t *listener_courier_key)
{
	cr_assert_geq(sodium_init(), 0);
	memset(network_id, 1, sizeof(network_id));
	for (uint8_t i = 0; i < 2; i++) {
		memset(secrets[i], 10 + i, 32);
		memset(ephemerals[i], 20 + i, 32);
		crypto_scalarmult_base(publics[i], secrets[i]);
		sides[i] = (struct side){ .wall_ms = WALL_MS };
		sides[i].keys = (struct pl_handshake_keys){ .network_id = network_id, .static_secret = secrets[i] };
	}
	courier_key_found = listener_courier_key;
	sides[DIALLER].keys.remote_static = publics[LISTENER];
	sides[DIALLER].keys.courier_key = dialler_courier_key;
	sides[LISTENER].keys.any_courier_key = listener_courier_key != NULL;
	sides[LISTENER].keys.find_courier_key = find_courier_key;
	sides[LISTENER].keys.ctx = &courier_key_found;
	pl_handshake_listen(&sides[LISTENER].hs);
}

static enum pl_err feed(int side, const uint8_t *bytes, size_t count, bool *complete, uint8_t *out, size_t *out_bytes)
{
	size_t consumed = 0;
	/* from memory of its own size, so that a sanitizer sees a read past the end */
	uint8_t *copy = malloc(count ? count : 1);

	memcpy(copy, bytes, count);
	enum pl_err err = pl_handshake_feed(&sides[side].hs, &sides[side].keys, ephemerals[side], sides[side].wall_ms, copy, count, &consumed,
	                                    complete, out, out_bytes);
	cr_assert(err != PL_OK || consumed == count, "consumed %zu of %zu", consumed, count);
	free(copy);
	return err;
}

/* Message n (1..3) as the honest sides exchange it, everything before it done. Its receiver is the listener, the dialler, the listener. */
static size_t message(int n, uint8_t out[PL_HANDSHAKE_BYTES_MAX])
{
	uint8_t next[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes = PL_HANDSHAKE_BYTES_1;
	bool complete;

	cr_assert_eq(pl_handshake_dial(&sides[DIALLER].hs, &sides[DIALLER].keys, ephemerals[DIALLER], sides[DIALLER].wall_ms, out), PL_OK);
	for (int i = 1; i < n; i++) {
		cr_assert_eq(feed(i % 2 ? LISTENER : DIALLER, out, out_bytes, &complete, next, &out_bytes), PL_OK);
		cr_assert(complete);
		memcpy(out, next, out_bytes);
	}
	return out_bytes;
}
static int receiver_of(int n) { return n % 2 ? LISTENER : DIALLER; }
static const size_t sizes[] = { 0, PL_HANDSHAKE_BYTES_1, PL_HANDSHAKE_BYTES_2, PL_HANDSHAKE_BYTES_3 };

static void check_done(void)
{
	struct pl_noise_cipher send[2], receive[2];

	for (int i = 0; i < 2; i++) {
		cr_assert(pl_handshake_is_done(&sides[i].hs));
		cr_assert_arr_eq(sides[i].hs.noise.remote_static, publics[!i], 32);
		cr_assert_eq(pl_noise_split(&sides[i].hs.noise, &send[i], &receive[i]), PL_OK);
	}
	cr_assert_arr_eq(send[0].key, receive[1].key, 32);
	cr_assert_arr_eq(send[1].key, receive[0].key, 32);
	cr_assert_neq(memcmp(send[0].key, send[1].key, 32), 0);
}

Test(handshake, three_messages_of_58_58_and_66_bytes)
{
	uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes;
	bool complete;

	cr_assert_eq(sizes[1], 58);
	cr_assert_eq(sizes[2], 58);
	cr_assert_eq(sizes[3], 66);
	for (int with_key = 0; with_key < 2; with_key++) {
		set_up(with_key ? courier_key : NULL, with_key ? courier_key : NULL);
		cr_assert_eq(message(3, bytes), sizes[3]);
		cr_assert(pl_handshake_is_done(&sides[DIALLER].hs));
		cr_assert_not(pl_handshake_is_done(&sides[LISTENER].hs));
		cr_assert_eq(feed(LISTENER, bytes, sizes[3], &complete, out, &out_bytes), PL_OK);
		cr_assert(complete);
		cr_assert_eq(out_bytes, 0);
		cr_assert_eq(sides[LISTENER].hs.noise.has_psk, with_key == 1);
		if (with_key)
			cr_assert_arr_eq(asked_about, publics[DIALLER], 32);
		check_done();
	}
}

Test(handshake, a_responder_that_holds_courier_keys_takes_both_patterns)
{
	uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes;
	bool complete;

	/* for others, not for this dialler: whether that will do is for the caller to say */
	set_up(NULL, courier_key);
	(void)message(3, bytes);
	cr_assert_eq(feed(LISTENER, bytes, sizes[3], &complete, out, &out_bytes), PL_OK);
	cr_assert_not(sides[LISTENER].hs.noise.has_psk);
	check_done();
}

Test(handshake, a_courier_key_that_differs_or_is_held_by_one_side_ends_it)
{
	static const uint8_t other_key[32] = { 1 };
	uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes;
	bool complete;

	set_up(courier_key, other_key);
	(void)message(3, bytes);
	cr_assert_eq(feed(LISTENER, bytes, sizes[3], &complete, out, &out_bytes), PL_ERR_DECRYPT);
	set_up(courier_key, courier_key);
	courier_key_found = NULL; /* it holds one, but not for this dialler */
	(void)message(3, bytes);
	cr_assert_eq(feed(LISTENER, bytes, sizes[3], &complete, out, &out_bytes), PL_ERR_NO_KEY);
	set_up(courier_key, NULL);
	(void)message(1, bytes);
	cr_assert_eq(feed(LISTENER, bytes, sizes[1], &complete, out, &out_bytes), PL_ERR_DECRYPT);
}

Test(handshake, a_message_may_come_in_two_parts_cut_anywhere)
{
	uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes;
	bool complete;

	for (int n = 1; n <= 3; n++) {
		for (size_t cut = 0; cut < sizes[n]; cut++) {
			set_up(NULL, NULL);
			(void)message(n, bytes);
			cr_assert_eq(feed(receiver_of(n), bytes, cut, &complete, out, &out_bytes), PL_OK, "message %d, cut %zu", n, cut);
			cr_assert_not(complete);
			cr_assert_eq(out_bytes, 0);
			cr_assert_eq(feed(receiver_of(n), bytes + cut, sizes[n] - cut, &complete, out, &out_bytes), PL_OK);
			cr_assert(complete);
			cr_assert_eq(out_bytes, n < 3 ? sizes[n + 1] : 0);
		}
	}
}

Test(handshake, no_byte_behind_a_message_is_taken_with_it)
{
	uint8_t bytes[PL_HANDSHAKE_BYTES_MAX + 100] = { 0 }, out[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes, consumed;
	bool complete;

	set_up(NULL, NULL);
	(void)message(3, bytes);
	cr_assert_eq(pl_handshake_feed(&sides[LISTENER].hs, &sides[LISTENER].keys, ephemerals[LISTENER], WALL_MS, bytes, sizeof(bytes), &consumed,
	                               &complete, out, &out_bytes), PL_OK);
	cr_assert(complete);
	cr_assert_eq(consumed, sizes[3], "what follows is the first record");
}

Test(handshake, every_other_length_ends_it_at_its_second_byte)
{
	uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes;
	bool complete;

	for (int n = 1; n <= 3; n++) {
		set_up(NULL, NULL);
		(void)message(n, bytes);
		const struct pl_handshake before = sides[receiver_of(n)].hs;
		for (uint32_t length = 0; length <= 0xffff; length++) {
			uint8_t head[2];
			sides[receiver_of(n)].hs = before;
			pl_put16(head, (uint16_t)length);
			cr_assert_eq(feed(receiver_of(n), head, 2, &complete, out, &out_bytes), length == sizes[n] - 2 ? PL_OK : PL_ERR_FORMAT,
			             "message %d, length %u", n, length);
			cr_assert_not(complete);
		}
	}
}

Test(handshake, a_bit_that_was_turned_anywhere_ends_it)
{
	for (int n = 1; n <= 3; n++) {
		for (size_t at = 0; at < sizes[n]; at++) {
			uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
			size_t out_bytes;
			bool complete = false;
			set_up(NULL, NULL);
			(void)message(n, bytes);
			bytes[at] ^= (uint8_t)(1 << at % 8);
			enum pl_err err = feed(receiver_of(n), bytes, sizes[n], &complete, out, &out_bytes);
			cr_assert(err == PL_ERR_DECRYPT || err == PL_ERR_FORMAT || err == PL_ERR_REFUSED, "message %d, byte %zu: %s", n, at,
			          pl_err_str(err));
			cr_assert_not(complete);
			cr_assert_eq(out_bytes, 0);
		}
	}
}

/* X25519 does not look at it (RFC 7748); the handshake's hash does. */
Test(handshake, the_unused_bit_of_a_key_is_covered_by_the_hash)
{
	uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes;
	bool complete;

	for (int n = 1; n <= 2; n++) {
		set_up(NULL, NULL);
		(void)message(n, bytes);
		bytes[33] ^= 0x80;
		cr_assert_eq(feed(receiver_of(n), bytes, sizes[n], &complete, out, &out_bytes), PL_ERR_DECRYPT);
	}
}

Test(handshake, another_network_key_or_dialler_gets_no_answer)
{
	uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes;
	bool complete;

	for (int byte = 0; byte < 32; byte++) {
		uint8_t other_network[32];
		set_up(NULL, NULL);
		memcpy(other_network, network_id, sizeof(other_network));
		other_network[byte] ^= 1;
		sides[DIALLER].keys.network_id = other_network;
		(void)message(1, bytes);
		cr_assert_eq(feed(LISTENER, bytes, sizes[1], &complete, out, &out_bytes), PL_ERR_DECRYPT);
		cr_assert_eq(out_bytes, 0);
	}

	set_up(NULL, NULL);
	sides[DIALLER].keys.remote_static = publics[DIALLER]; /* it takes the listener for somebody else */
	(void)message(1, bytes);
	cr_assert_eq(feed(LISTENER, bytes, sizes[1], &complete, out, &out_bytes), PL_ERR_DECRYPT);

	static const uint8_t small_order[32] = { 1 };
	set_up(NULL, NULL);
	sides[DIALLER].keys.remote_static = small_order;
	cr_assert_eq(pl_handshake_dial(&sides[DIALLER].hs, &sides[DIALLER].keys, ephemerals[DIALLER], WALL_MS, bytes), PL_ERR_REFUSED);
}

Test(handshake, clocks_may_be_ten_minutes_apart_and_no_more)
{
	static const struct {
		int64_t apart;
		enum pl_err err;
	} cases[] = {
		{ 0, PL_OK }, { 1, PL_OK }, { -1, PL_OK }, { 600000, PL_OK }, { -600000, PL_OK }, { 600001, PL_ERR_EXPIRED },
		{ -600001, PL_ERR_EXPIRED }, { 1LL << 31, PL_ERR_EXPIRED }, { INT64_MAX - (int64_t)WALL_MS, PL_ERR_EXPIRED },
		{ -(int64_t)WALL_MS, PL_ERR_EXPIRED }, { -(int64_t)WALL_MS - 1, PL_ERR_EXPIRED /* 2^64 - 1 */ },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
		size_t out_bytes;
		bool complete;
		set_up(NULL, NULL);
		sides[DIALLER].wall_ms = WALL_MS + (uint64_t)cases[i].apart;
		(void)message(1, bytes);
		cr_assert_eq(feed(LISTENER, bytes, sizes[1], &complete, out, &out_bytes), cases[i].err, "case %zu", i);
		cr_assert_eq(out_bytes, cases[i].err == PL_OK ? sizes[2] : 0, "a clock that is off gets no answer");

		/* and the dialler about the listener: the listener's clock jumps after it has found the dialler's right */
		set_up(NULL, NULL);
		(void)message(1, bytes);
		struct pl_handshake dialler = sides[DIALLER].hs;
		sides[LISTENER].wall_ms = sides[DIALLER].wall_ms = WALL_MS;
		cr_assert_eq(feed(LISTENER, bytes, sizes[1], &complete, out, &out_bytes), PL_OK);
		sides[DIALLER].hs = dialler;
		sides[DIALLER].wall_ms = WALL_MS + (uint64_t)cases[i].apart;
		uint8_t third[PL_HANDSHAKE_BYTES_MAX];
		cr_assert_eq(feed(DIALLER, out, sizes[2], &complete, third, &out_bytes), cases[i].err, "case %zu", i);
	}
}

Test(handshake, each_sends_its_own_time)
{
	uint8_t bytes[PL_HANDSHAKE_BYTES_MAX], out[PL_HANDSHAKE_BYTES_MAX];
	size_t out_bytes;
	bool complete;

	/* The listener is 5 minutes ahead. In message 2 it says its own time and not what it was told, and that is 10 minutes and a bit from a
	 * dialler that is behind. */
	set_up(NULL, NULL);
	(void)message(1, bytes);
	sides[LISTENER].wall_ms = WALL_MS + 300000;
	cr_assert_eq(feed(LISTENER, bytes, sizes[1], &complete, out, &out_bytes), PL_OK);
	sides[DIALLER].wall_ms = WALL_MS - 300001;
	cr_assert_eq(feed(DIALLER, out, sizes[2], &complete, bytes, &out_bytes), PL_ERR_EXPIRED);
}
