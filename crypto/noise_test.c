#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "crypto/noise.h"

/* Finland calls Switzerland. */
struct pair {
	uint8_t fin_secret[32], fin_public[32], che_secret[32], che_public[32];
	struct pl_noise fin, che;
};

static const uint8_t courier_key[32] = { 7, 1, 2, 3 };
static const uint8_t other_key[32] = { 8, 1, 2, 3 };
static const uint8_t prologue[] = "test network";
static const char hello[] = "hello";

enum mode { PLAIN, PSK, PSK_LATER };

static const uint8_t *psk_if(bool wanted)
{
	return wanted ? courier_key : NULL;
}

static void set_up(struct pair *pair, enum mode fin_mode, enum mode che_mode)
{
	static const uint8_t fin_ephemeral[32] = { 0x11 }, che_ephemeral[32] = { 0x22 };
	struct pl_noise_setup setup = { .role = PL_NOISE_INITIATOR, .prologue = prologue, .prologue_bytes = sizeof(prologue) };

	cr_assert(sodium_init() >= 0);
	memset(pair, 0, sizeof(*pair));
	pair->fin_secret[0] = 0xf1;
	pair->che_secret[0] = 0xc4;
	crypto_scalarmult_base(pair->fin_public, pair->fin_secret);
	crypto_scalarmult_base(pair->che_public, pair->che_secret);

	setup.static_secret = pair->fin_secret;
	setup.remote_static = pair->che_public;
	setup.psk = psk_if(fin_mode == PSK);
	setup.ephemeral_secret = fin_ephemeral;
	cr_assert_eq(pl_noise_init(&pair->fin, &setup), PL_OK);

	setup.role = PL_NOISE_RESPONDER;
	setup.static_secret = pair->che_secret;
	setup.remote_static = NULL;
	setup.psk = psk_if(che_mode == PSK);
	setup.psk_later = che_mode == PSK_LATER;
	setup.ephemeral_secret = che_ephemeral;
	cr_assert_eq(pl_noise_init(&pair->che, &setup), PL_OK);
}

/* The courier keys that Switzerland holds, and what it was asked. */
struct desk {
	const uint8_t *answer;
	uint8_t asked_for[32];
	int times;
};

static const uint8_t *ask_desk(void *ctx, const uint8_t remote_static[32])
{
	struct desk *desk = ctx;

	memcpy(desk->asked_for, remote_static, 32);
	desk->times++;
	return desk->answer;
}

/* Handshake messages as they stand on the wire. */
struct message {
	uint8_t bytes[256];
	size_t count;
};

static void write_hello(struct pl_noise *noise, struct message *message)
{
	cr_assert_eq(pl_noise_write(noise, (const uint8_t *)hello, sizeof(hello), message->bytes, sizeof(message->bytes), &message->count),
	             PL_OK);
}

static enum pl_err read_hello(struct pl_noise *noise, const struct message *message, struct desk *desk)
{
	uint8_t payload[256];
	size_t payload_bytes;
	enum pl_err err = pl_noise_read(noise, message->bytes, message->count, payload, sizeof(payload), &payload_bytes, ask_desk, desk);

	if (!err) {
		cr_assert_eq(payload_bytes, sizeof(hello));
		cr_assert_arr_eq(payload, hello, sizeof(hello));
	}
	return err;
}

/* Everything up to a message of which the test then makes something: 0, 1 or 2 messages go through first, the next is only written.
 * Returns who is to read it. */
static struct pl_noise *play_until(struct pair *pair, int index, struct message *message)
{
	struct pl_noise *writer = &pair->fin, *reader = &pair->che, *swap;

	for (int i = 0;; i++) {
		write_hello(writer, message);
		if (i == index)
			return reader;
		cr_assert_eq(read_hello(reader, message, NULL), PL_OK);
		swap = writer;
		writer = reader;
		reader = swap;
	}
}

static void play_all(struct pair *pair, struct desk *desk)
{
	struct message message;
	struct pl_noise *reader = play_until(pair, 2, &message);

	cr_assert_eq(read_hello(reader, &message, desk), PL_OK);
}

struct ciphers {
	struct pl_noise_cipher fin_send, fin_receive, che_send, che_receive;
};

static void split_both(struct pair *pair, struct ciphers *ciphers)
{
	cr_assert_eq(pl_noise_split(&pair->fin, &ciphers->fin_send, &ciphers->fin_receive), PL_OK);
	cr_assert_eq(pl_noise_split(&pair->che, &ciphers->che_send, &ciphers->che_receive), PL_OK);
}

static void assert_passes(struct pl_noise_cipher *from, struct pl_noise_cipher *to)
{
	uint8_t sealed[sizeof(hello) + PL_NOISE_TAG_BYTES], plain[sizeof(hello)];

	cr_assert_eq(pl_noise_encrypt(from, (const uint8_t *)hello, sizeof(hello), sealed), PL_OK);
	cr_assert_eq(pl_noise_decrypt(to, sealed, sizeof(sealed), plain), PL_OK);
	cr_assert_arr_eq(plain, hello, sizeof(hello));
}

/* --- handshake --- */

static void assert_handshake_works(enum mode fin_mode, enum mode che_mode)
{
	struct pair pair;
	struct desk desk = { .answer = courier_key };
	struct ciphers ciphers;

	set_up(&pair, fin_mode, che_mode);
	cr_assert(!pl_noise_is_done(&pair.fin));
	play_all(&pair, &desk);
	cr_assert(pl_noise_is_done(&pair.fin) && pl_noise_is_done(&pair.che));
	cr_assert_arr_eq(pair.fin.hash, pair.che.hash, 32);
	cr_assert(pair.che.has_remote_static);
	cr_assert_arr_eq(pair.che.remote_static, pair.fin_public, 32);
	cr_assert_eq(desk.times, che_mode == PSK_LATER);

	split_both(&pair, &ciphers);
	cr_assert_arr_neq(ciphers.fin_send.key, ciphers.fin_receive.key, 32);
	assert_passes(&ciphers.fin_send, &ciphers.che_receive);
	assert_passes(&ciphers.che_send, &ciphers.fin_receive);
	assert_passes(&ciphers.fin_send, &ciphers.che_receive);
	pl_noise_cipher_wipe(&ciphers.fin_send);
	cr_assert(sodium_is_zero((const uint8_t *)&ciphers.fin_send, sizeof(ciphers.fin_send)));
}

Test(noise, three_messages_make_two_ciphers)
{
	assert_handshake_works(PLAIN, PLAIN);
}

Test(noise, the_same_with_a_courier_key)
{
	assert_handshake_works(PSK, PSK);
}

Test(noise, the_courier_key_may_hang_on_who_is_calling)
{
	assert_handshake_works(PSK, PSK_LATER);
}

Test(noise, the_desk_is_asked_for_the_caller_by_its_static_key)
{
	struct pair pair;
	struct desk desk = { .answer = courier_key };

	set_up(&pair, PSK, PSK_LATER);
	play_all(&pair, &desk);
	cr_assert_arr_eq(desk.asked_for, pair.fin_public, 32);
}

Test(noise, without_a_courier_key_for_the_caller_there_is_no_handshake)
{
	struct pair pair;
	struct desk desk = { .answer = NULL };
	struct message message;
	uint8_t payload[256];
	size_t payload_bytes;

	set_up(&pair, PSK, PSK_LATER);
	cr_assert_eq(read_hello(play_until(&pair, 2, &message), &message, &desk), PL_ERR_NO_KEY);
	cr_assert(!pl_noise_is_done(&pair.che));

	set_up(&pair, PSK, PSK_LATER);
	play_until(&pair, 2, &message);
	cr_assert_eq(pl_noise_read(&pair.che, message.bytes, message.count, payload, sizeof(payload), &payload_bytes, NULL, NULL),
	             PL_ERR_NO_KEY);
}

Test(noise, a_wrong_courier_key_is_found_out_in_message_3)
{
	struct pair pair;
	struct desk desk = { .answer = other_key };
	struct message message;

	set_up(&pair, PSK, PSK_LATER);
	cr_assert_eq(read_hello(play_until(&pair, 2, &message), &message, &desk), PL_ERR_DECRYPT);
}

Test(noise, a_side_with_and_a_side_without_psk_do_not_get_past_message_1)
{
	struct pair pair;
	struct message message;

	set_up(&pair, PLAIN, PSK_LATER);
	cr_assert_eq(read_hello(play_until(&pair, 0, &message), &message, NULL), PL_ERR_DECRYPT);
	set_up(&pair, PSK, PLAIN);
	cr_assert_eq(read_hello(play_until(&pair, 0, &message), &message, NULL), PL_ERR_DECRYPT);
}

Test(noise, another_network_does_not_get_past_message_1)
{
	struct pair pair;
	struct message message;
	struct pl_noise_setup setup = { .role = PL_NOISE_INITIATOR, .prologue = prologue, .prologue_bytes = sizeof(prologue) - 2 };
	static const uint8_t ephemeral[32] = { 0x11 };

	set_up(&pair, PLAIN, PLAIN);
	setup.static_secret = pair.fin_secret;
	setup.remote_static = pair.che_public;
	setup.ephemeral_secret = ephemeral;
	cr_assert_eq(pl_noise_init(&pair.fin, &setup), PL_OK);
	write_hello(&pair.fin, &message);
	cr_assert_eq(read_hello(&pair.che, &message, NULL), PL_ERR_DECRYPT);
}

Test(noise, a_caller_who_takes_us_for_another_does_not_get_past_message_1)
{
	struct pair pair, other;
	struct message message;

	set_up(&pair, PLAIN, PLAIN);
	set_up(&other, PLAIN, PLAIN);
	other.che.static_secret[0] ^= 8;
	write_hello(&pair.fin, &message);
	cr_assert_eq(read_hello(&other.che, &message, NULL), PL_ERR_DECRYPT);
}

/* --- what a peer may send --- */

Test(noise, a_flip_of_any_byte_of_any_message_ends_the_handshake)
{
	static const struct message blank;
	struct pair start, pair;
	struct desk desk = { .answer = courier_key };
	struct message message, again;
	struct pl_noise *reader;

	for (int index = 0; index < 3; index++) {
		set_up(&start, PSK, PSK_LATER);
		play_until(&start, index, &message);
		for (size_t at = 0; at < message.count; at++) {
			pair = start;
			reader = index == 1 ? &pair.fin : &pair.che;
			again = message;
			again.bytes[at] ^= 0x80;
			cr_assert_eq(read_hello(reader, &again, &desk), PL_ERR_DECRYPT, "message %d byte %zu", index + 1, at);
			cr_assert_eq(read_hello(reader, &message, &desk), PL_ERR_STATE);
			cr_assert_eq(pl_noise_write(reader, NULL, 0, again.bytes, sizeof(again.bytes), &again.count), PL_ERR_STATE);
			cr_assert(!pl_noise_is_done(reader));
			cr_assert_arr_eq(reader->static_secret, blank.bytes, 32, "a dead handshake keeps no secrets");
		}
	}
}

Test(noise, a_message_cut_at_any_byte_ends_the_handshake)
{
	static const size_t overhead[] = { PL_NOISE_OVERHEAD_1, PL_NOISE_OVERHEAD_2, PL_NOISE_OVERHEAD_3 };
	struct pair start, pair;
	struct desk desk = { .answer = courier_key };
	struct message message, again;

	for (int index = 0; index < 3; index++) {
		set_up(&start, PSK, PSK_LATER);
		play_until(&start, index, &message);
		cr_assert_eq(message.count, sizeof(hello) + overhead[index]);
		for (size_t count = 0; count < message.count; count++) {
			pair = start;
			again = message;
			again.count = count;
			cr_assert_eq(read_hello(index == 1 ? &pair.fin : &pair.che, &again, &desk),
			             count < overhead[index] ? PL_ERR_SHORT : PL_ERR_DECRYPT, "message %d cut to %zu", index + 1, count);
		}
	}
}

Test(noise, messages_reflected_or_repeated_are_refused)
{
	struct pair pair;
	struct message message;

	set_up(&pair, PLAIN, PLAIN);
	play_until(&pair, 0, &message);
	cr_assert_eq(read_hello(&pair.fin, &message, NULL), PL_ERR_DECRYPT, "its own message 1 as message 2");

	set_up(&pair, PLAIN, PLAIN);
	play_until(&pair, 0, &message);
	cr_assert_eq(read_hello(&pair.che, &message, NULL), PL_OK);
	cr_assert_eq(read_hello(&pair.che, &message, NULL), PL_ERR_STATE, "the same message again, out of turn");
	cr_assert_eq(pl_noise_write(&pair.che, NULL, 0, message.bytes, sizeof(message.bytes), &message.count), PL_ERR_STATE, "dead since");
}

Test(noise, keys_of_small_order_are_refused)
{
	static const uint8_t zero[32], one[32] = { 1 };
	static const uint8_t order_8[32] = {
		0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
		0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
	};
	const uint8_t *const points[] = { zero, one, order_8 };
	struct pl_noise_setup setup = { .role = PL_NOISE_INITIATOR };
	struct pair pair;
	struct message message;

	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
		for (int index = 0; index < 2; index++) {
			struct pl_noise *reader;

			set_up(&pair, PLAIN, PLAIN);
			reader = play_until(&pair, index, &message);
			memcpy(message.bytes, points[i], 32);
			cr_assert_eq(read_hello(reader, &message, NULL), PL_ERR_REFUSED);
			cr_assert_eq(read_hello(reader, &message, NULL), PL_ERR_STATE);
		}
		setup.static_secret = setup.ephemeral_secret = pair.fin_secret;
		setup.remote_static = points[i];
		cr_assert_eq(pl_noise_init(&pair.fin, &setup), PL_ERR_REFUSED);
		cr_assert_eq(pl_noise_write(&pair.fin, NULL, 0, message.bytes, sizeof(message.bytes), &message.count), PL_ERR_STATE);
	}
}

Test(noise, an_initiator_with_a_static_key_of_small_order_is_refused)
{
	struct pair pair;
	struct message message;

	set_up(&pair, PLAIN, PLAIN);
	memset(pair.fin.static_public, 0, 32);
	cr_assert_eq(read_hello(play_until(&pair, 2, &message), &message, NULL), PL_ERR_REFUSED);
}

/* --- the caller's side of the contract --- */

Test(noise, writing_out_of_turn_or_without_room_changes_nothing)
{
	struct pair pair, before;
	struct message message;
	static const uint8_t big[PL_NOISE_MESSAGE_BYTES_MAX];
	static uint8_t out[PL_NOISE_MESSAGE_BYTES_MAX];
	size_t out_bytes = 99;

	set_up(&pair, PLAIN, PLAIN);
	before = pair;
	cr_assert_eq(pl_noise_write(&pair.che, NULL, 0, out, sizeof(out), &out_bytes), PL_ERR_STATE);
	cr_assert_eq(pl_noise_write(&pair.fin, big, 10, out, 10 + PL_NOISE_OVERHEAD_1 - 1, &out_bytes), PL_ERR_FULL);
	cr_assert_eq(pl_noise_write(&pair.fin, big, sizeof(big) - PL_NOISE_OVERHEAD_1 + 1, out, sizeof(out), &out_bytes), PL_ERR_LIMIT);
	cr_assert_eq(out_bytes, 99);
	cr_assert_eq(memcmp(&pair, &before, sizeof(pair)), 0);
	cr_assert_eq(pl_noise_write(&pair.fin, big, sizeof(big) - PL_NOISE_OVERHEAD_1, out, sizeof(out), &out_bytes), PL_OK);
	cr_assert_eq(out_bytes, PL_NOISE_MESSAGE_BYTES_MAX);

	play_all(&before, NULL);
	cr_assert_eq(pl_noise_write(&before.fin, NULL, 0, out, sizeof(out), &out_bytes), PL_ERR_STATE);
	cr_assert_eq(read_hello(&before.che, &message, NULL), PL_ERR_STATE);
}

Test(noise, a_payload_without_room_or_over_the_limit_ends_the_handshake)
{
	static const uint8_t big[PL_NOISE_MESSAGE_BYTES_MAX + 1];
	static uint8_t payload[PL_NOISE_MESSAGE_BYTES_MAX];
	struct pair pair;
	struct message message;
	size_t payload_bytes = 99;

	set_up(&pair, PLAIN, PLAIN);
	play_until(&pair, 0, &message);
	cr_assert_eq(pl_noise_read(&pair.che, message.bytes, message.count, payload, sizeof(hello) - 1, &payload_bytes, NULL, NULL),
	             PL_ERR_FULL);
	cr_assert_eq(read_hello(&pair.che, &message, NULL), PL_ERR_STATE);
	set_up(&pair, PLAIN, PLAIN);
	cr_assert_eq(pl_noise_read(&pair.che, big, sizeof(big), payload, sizeof(payload), &payload_bytes, NULL, NULL), PL_ERR_LIMIT);
	cr_assert_eq(payload_bytes, 99);
}

Test(noise, split_works_once_and_only_when_done)
{
	struct pair pair;
	struct ciphers ciphers;

	set_up(&pair, PSK, PSK);
	cr_assert_eq(pl_noise_split(&pair.fin, &ciphers.fin_send, &ciphers.fin_receive), PL_ERR_STATE);
	play_all(&pair, NULL);
	split_both(&pair, &ciphers);
	cr_assert_eq(pl_noise_split(&pair.fin, &ciphers.fin_send, &ciphers.fin_receive), PL_ERR_STATE);
	cr_assert(pl_noise_is_done(&pair.fin));
	cr_assert(sodium_is_zero(pair.fin.static_secret, 32) && sodium_is_zero(pair.fin.ephemeral_secret, 32) &&
	          sodium_is_zero(pair.fin.psk, 32) && sodium_is_zero(pair.fin.chaining_key, 32) && sodium_is_zero(pair.fin.cipher.key, 32));
	cr_assert_arr_eq(pair.fin.hash, pair.che.hash, 32);

	pl_noise_wipe(&pair.fin);
	cr_assert(sodium_is_zero(pair.fin.hash, 32) && !pl_noise_is_done(&pair.fin));
	cr_assert_eq(pl_noise_split(&pair.fin, &ciphers.fin_send, &ciphers.fin_receive), PL_ERR_STATE);
}

/* --- transport --- */

static void set_up_transport(struct ciphers *ciphers)
{
	struct pair pair;

	set_up(&pair, PLAIN, PLAIN);
	play_all(&pair, NULL);
	split_both(&pair, ciphers);
}

Test(noise, records_may_be_sealed_and_opened_in_place)
{
	struct ciphers ciphers;
	uint8_t apart[1000 + PL_NOISE_TAG_BYTES], in_place[sizeof(apart)], plain[1000];
	struct pl_noise_cipher twin;

	set_up_transport(&ciphers);
	randombytes_buf(plain, sizeof(plain));
	memcpy(in_place, plain, sizeof(plain));
	twin = ciphers.fin_send;
	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, plain, sizeof(plain), apart), PL_OK);
	cr_assert_eq(pl_noise_encrypt(&twin, in_place, sizeof(plain), in_place), PL_OK);
	cr_assert_arr_eq(apart, in_place, sizeof(apart));
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, in_place, sizeof(in_place), in_place), PL_OK);
	cr_assert_arr_eq(in_place, plain, sizeof(plain));
}

Test(noise, a_bad_record_is_refused_and_the_next_good_one_still_opens)
{
	struct ciphers ciphers;
	uint8_t sealed[sizeof(hello) + PL_NOISE_TAG_BYTES], bad[sizeof(sealed)], plain[sizeof(hello)];

	set_up_transport(&ciphers);
	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, (const uint8_t *)hello, sizeof(hello), sealed), PL_OK);
	for (size_t at = 0; at < sizeof(sealed); at++) {
		memcpy(bad, sealed, sizeof(bad));
		bad[at] ^= 1;
		cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, bad, sizeof(bad), plain), PL_ERR_DECRYPT);
		cr_assert(sodium_is_zero(plain, sizeof(plain)));
	}
	for (size_t count = 0; count < sizeof(sealed); count++)
		cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, sealed, count, plain),
		             count < PL_NOISE_TAG_BYTES ? PL_ERR_SHORT : PL_ERR_DECRYPT);
	cr_assert_eq(pl_noise_decrypt(&ciphers.fin_receive, sealed, sizeof(sealed), plain), PL_ERR_DECRYPT, "reflected");
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, sealed, sizeof(sealed), plain), PL_OK);
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, sealed, sizeof(sealed), plain), PL_ERR_DECRYPT, "replayed");
}

Test(noise, an_empty_record_is_a_tag)
{
	struct ciphers ciphers;
	uint8_t sealed[PL_NOISE_TAG_BYTES], nothing[1];

	set_up_transport(&ciphers);
	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, NULL, 0, sealed), PL_OK);
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, sealed, sizeof(sealed), nothing), PL_OK);
}

Test(noise, a_record_is_at_most_65535_bytes)
{
	struct ciphers ciphers;
	static uint8_t record[PL_NOISE_MESSAGE_BYTES_MAX + 1];
	const size_t plain_bytes_max = PL_NOISE_MESSAGE_BYTES_MAX - PL_NOISE_TAG_BYTES;

	set_up_transport(&ciphers);
	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, record, plain_bytes_max + 1, record), PL_ERR_LIMIT);
	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, record, SIZE_MAX, record), PL_ERR_LIMIT);
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, record, sizeof(record), record), PL_ERR_LIMIT);
	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, record, plain_bytes_max, record), PL_OK);
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, record, PL_NOISE_MESSAGE_BYTES_MAX, record), PL_OK);
}

Test(noise, nonces_count_up_little_endian_and_run_out_before_the_last)
{
	struct ciphers ciphers;
	uint8_t sealed[PL_NOISE_TAG_BYTES], expected[PL_NOISE_TAG_BYTES], nothing[1];
	static const uint8_t nonce[12] = { 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	set_up_transport(&ciphers);
	ciphers.fin_send.nonce = ciphers.che_receive.nonce = UINT64_MAX - 1;
	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, NULL, 0, sealed), PL_OK);
	crypto_aead_chacha20poly1305_ietf_encrypt(expected, NULL, NULL, 0, NULL, 0, NULL, nonce, ciphers.fin_send.key);
	cr_assert_arr_eq(sealed, expected, sizeof(sealed));
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, sealed, sizeof(sealed), nothing), PL_OK);
	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, NULL, 0, sealed), PL_ERR_STATE);
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, sealed, sizeof(sealed), nothing), PL_ERR_STATE);
}

Test(noise, a_wiped_cipher_neither_seals_nor_opens)
{
	struct ciphers ciphers;
	uint8_t sealed[PL_NOISE_TAG_BYTES] = { 0 }, nothing[1];

	set_up_transport(&ciphers);
	pl_noise_cipher_wipe(&ciphers.fin_send);
	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, NULL, 0, sealed), PL_ERR_STATE);
	cr_assert_eq(pl_noise_decrypt(&ciphers.fin_send, sealed, sizeof(sealed), nothing), PL_ERR_STATE);
}

Test(noise, rekeying_both_ends_keeps_them_together_and_the_nonce_going)
{
	struct ciphers ciphers;
	uint8_t expected[PL_NOISE_KEY_BYTES + PL_NOISE_TAG_BYTES], sealed[PL_NOISE_TAG_BYTES], nothing[1];
	static const uint8_t last_nonce[12] = { 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, zeros[PL_NOISE_KEY_BYTES];

	set_up_transport(&ciphers);
	assert_passes(&ciphers.fin_send, &ciphers.che_receive);
	crypto_aead_chacha20poly1305_ietf_encrypt(expected, NULL, zeros, sizeof(zeros), NULL, 0, NULL, last_nonce, ciphers.fin_send.key);
	pl_noise_rekey(&ciphers.fin_send);
	cr_assert_arr_eq(ciphers.fin_send.key, expected, PL_NOISE_KEY_BYTES);
	cr_assert_eq(ciphers.fin_send.nonce, 1);

	cr_assert_eq(pl_noise_encrypt(&ciphers.fin_send, NULL, 0, sealed), PL_OK);
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, sealed, sizeof(sealed), nothing), PL_ERR_DECRYPT);
	pl_noise_rekey(&ciphers.che_receive);
	cr_assert_eq(pl_noise_decrypt(&ciphers.che_receive, sealed, sizeof(sealed), nothing), PL_OK);
	assert_passes(&ciphers.fin_send, &ciphers.che_receive);
}
