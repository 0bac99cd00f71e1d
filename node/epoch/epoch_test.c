/* Encryption keys over time. Time passes only by fix_advance(); pl_epoch_start() does what the timer does every minute. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>
#include <unistd.h>

#include "node/epoch/epoch_fixture.h"

static void send_text(struct fix *fix, uint16_t from, const char *to, int status)
{
	json_decref(fix_call(fix, from, "POST", "/v1/messages", json_pack("{s[s] ss}", "to", to, "text", "x"), status));
}

static int64_t messages(struct fix *fix, uint16_t node)
{
	return fix_sql(fix, node, "SELECT count(*) FROM hotline_message WHERE box = 1");
}

Test(epoch, a_new_key_every_day_and_all_learn_it)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	cr_assert_eq(number_at(fix, CHE, FIN), 1);
	pl_epoch_start(epoch_of(fix, FIN)); /* nothing is due */
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own"), 1);
	fix_advance(fix, DAY_MS - 1000000);
	pl_epoch_start(epoch_of(fix, FIN));
	fix_settle(fix);
	cr_assert_eq(number_at(fix, CHE, FIN), 1);
	fix_advance(fix, 1000000);
	pl_epoch_start(epoch_of(fix, FIN));
	fix_settle(fix);
	cr_assert_eq(number_at(fix, FIN, FIN), 2);
	cr_assert_eq(number_at(fix, CHE, FIN), 2);
	/* A key is drawn, not derived: two have nothing in common, and the secret is on no disk. */
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(DISTINCT substr(public, 1, 16)) FROM epoch_own"), 2);
	cr_assert_eq(fix_sql(fix, CHE, "SELECT count(*) FROM epoch_other WHERE node = 1"), 2);
	fix_free(fix);
}

Test(epoch, a_restart_keeps_the_key_and_makes_none)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	send_text(fix, CHE, "FIN", 201);
	fix_deliver(fix, FIN, false);
	send_text(fix, CHE, "FIN", 201);
	fix_settle(fix);
	fix_stop(fix, FIN);
	fix_deliver(fix, FIN, true);
	fix_start(fix, FIN);
	fix_settle(fix);
	cr_assert_eq(number_at(fix, FIN, FIN), 1);
	cr_assert_eq(number_at(fix, FIN, CHE), 1);
	cr_assert_eq(messages(fix, FIN), 2, "the secret opens what came before the restart");
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM entry WHERE kind = 1 AND node = 1"), 1);
	fix_free(fix);
}

Test(epoch, a_secret_is_durable_before_its_key_is_published)
{
	struct fix *fix = fix_new(2, 1);
	fix_refuse(fix, FIN, PL_ERR_STATE); /* the entry cannot be written */
	fix_start(fix, FIN);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own WHERE public IS NOT NULL AND seq = 0"), 1);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM entry"), 0);
	fix_stop(fix, FIN);
	fix_refuse(fix, FIN, PL_OK);
	fix_start(fix, FIN);
	fix_settle(fix);
	/* The same key, not another one. */
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own"), 1);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT seq FROM epoch_own"), 1);
	fix_free(fix);
}

Test(epoch, a_member_whose_key_ran_out_gets_no_message_until_it_is_back)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	fix_stop(fix, CHE);
	pass_days(fix, 0, 1);
	fix_advance(fix, DAY_MS / 2);
	pl_epoch_start(epoch_of(fix, FIN));
	fix_settle(fix);
	send_text(fix, FIN, "CHE", 201); /* 48 h: a day's outage does not cut it off */
	fix_advance(fix, DAY_MS);
	pl_epoch_start(epoch_of(fix, FIN));
	fix_settle(fix);
	send_text(fix, FIN, "CHE", 409);
	fix_start(fix, CHE);
	fix_settle(fix);
	send_text(fix, FIN, "CHE", 201);
	fix_settle(fix);
	cr_assert_eq(messages(fix, CHE), 2, "what was sealed to the old key is still opened");
	fix_free(fix);
}

/* Whether the file of secrets has a record that begins with this number. */
static bool in_key_file(struct fix *fix, uint16_t node, const uint8_t number[8])
{
	char path[PL_PATH_BYTES_MAX + 8];
	uint8_t bytes[4096];
	snprintf(path, sizeof(path), "%s.epoch", pl_core_conf(fix_core(fix, node))->store_file);
	FILE *file = fopen(path, "rb");
	cr_assert_not_null(file);
	size_t count = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	for (size_t at = 8; at + 80 <= count; at += 80)
		if (memcmp(bytes + at, number, 8) == 0)
			return true;
	return false;
}

Test(epoch, an_old_secret_opens_for_14_days_and_is_gone_after)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	/* Two messages to FIN stay under way, as in a partition. While one does, its author's acknowledgements do not count. */
	fix_pass(fix, CHE, 1, FIN, false);
	fix_pass(fix, SGP, 1, FIN, false);
	send_text(fix, CHE, "FIN", 201);
	send_text(fix, SGP, "FIN", 201);
	fix_settle(fix);
	pass_days(fix, 3, 15);
	fix_pass(fix, CHE, 1, FIN, true);
	fix_settle(fix);
	cr_assert_eq(messages(fix, FIN), 1);

	static const uint8_t number[] = { 0, 0, 0, 0, 0, 0, 0, 1 };
	cr_assert_eq(fix_sql(fix, FIN, "SELECT min(number) FROM epoch_own WHERE public IS NOT NULL"), 1);
	cr_assert(in_key_file(fix, FIN, number));
	pass_days(fix, 3, 2); /* 2 of validity and 14 of keeping, and the grace by the other clock */
	cr_assert_gt(fix_sql(fix, FIN, "SELECT min(number) FROM epoch_own WHERE public IS NOT NULL"), 1);
	cr_assert_not(in_key_file(fix, FIN, number), "not even sealed");
	/* Numbers are not given out again. */
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own"), 18);

	fix_pass(fix, SGP, 1, FIN, true);
	fix_settle(fix);
	cr_assert_eq(messages(fix, FIN), 1, "its key is wiped, so it looks like one to others");
	cr_assert_leq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own WHERE public IS NOT NULL"), 18);
	fix_free(fix);
}

Test(epoch, a_jump_of_the_wall_clock_wipes_nothing_at_once)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	fix_wall_jump(fix, 30 * (int64_t)DAY_MS);
	pl_epoch_start(epoch_of(fix, FIN));
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own WHERE public IS NOT NULL"), 2);
	/* Back again: the key from the future is not used, and a new one is made. */
	fix_wall_jump(fix, -30 * (int64_t)DAY_MS);
	pl_epoch_start(epoch_of(fix, FIN));
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own WHERE public IS NOT NULL"), 3);
	cr_assert_eq(number_at(fix, CHE, FIN), 3);
	fix_advance(fix, 3600000);
	pl_epoch_start(epoch_of(fix, FIN));
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own WHERE public IS NOT NULL"), 3);
	fix_free(fix);
}

static void status_of_key(struct fix *fix, uint16_t node, const char *where, const char *value)
{
	json_t *status = fix_call(fix, node, "GET", "/v1/status", NULL, 200);
	fix_expect(status, where, value);
	json_decref(status);
}

static void forge_key(struct fix *fix, uint16_t author, struct pl_epoch_key *key)
{
	uint8_t body[PL_EPOCH_KEY_BODY_BYTES_MAX];
	size_t body_bytes;
	cr_assert_eq(pl_epoch_key_write(key, body, sizeof(body), &body_bytes), PL_OK);
	fix_forge(fix, author, 0, PL_KIND_EPOCH_KEY, 0, body, body_bytes);
	fix_settle(fix);
}

Test(epoch, keys_that_break_a_rule_are_not_taken_up)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	uint8_t secret[PL_EPOCH_SECRET_BYTES];
	struct pl_epoch_key key = { .number = 1, .valid_from_ms = fix_wall(fix), .valid_until_ms = fix_wall(fix) + 1000000 };
	crypto_kem_xwing_keypair(key.public_key, secret);
	forge_key(fix, CHE, &key); /* the number stands already */
	key.number = UINT64_MAX;
	forge_key(fix, CHE, &key);
	key.number = 5;
	memset(key.public_key, 0xff, sizeof(key.public_key));
	forge_key(fix, CHE, &key); /* nothing can be sealed to it */
	fix_forge(fix, CHE, 0, PL_KIND_EPOCH_KEY, 0, "garbage", 7);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_other"), 1);
	cr_assert_eq(number_at(fix, FIN, CHE), 1);
	send_text(fix, FIN, "CHE", 201);
	fix_settle(fix);
	cr_assert_eq(messages(fix, CHE), 1, "none of them was sealed to");
	/* A good one after all these is. */
	crypto_kem_xwing_keypair(key.public_key, secret);
	forge_key(fix, CHE, &key);
	cr_assert_eq(number_at(fix, FIN, CHE), 5);
	/* One that is valid tomorrow is known, and not used today. */
	key.number = 6;
	key.valid_from_ms += DAY_MS;
	key.valid_until_ms += DAY_MS;
	forge_key(fix, CHE, &key);
	cr_assert_eq(number_at(fix, FIN, CHE), 5);
	fix_stop(fix, FIN);
	fix_start(fix, FIN);
	cr_assert_eq(number_at(fix, FIN, CHE), 5);
	fix_free(fix);
}

Test(epoch, members_with_a_courier_key_understand_each_other_and_nobody_without_it_does)
{
	struct fix *fix = fix_new(2, 1);
	uint8_t key[32] = { 1 };
	fix_courier(fix, CHE, FIN, key);
	fix_start_all(fix, 2);
	send_text(fix, CHE, "FIN", 201);
	fix_settle(fix);
	cr_assert_eq(messages(fix, FIN), 1);
	/* FIN has lost it. */
	fix_courier(fix, CHE, FIN, NULL);
	fix_courier_one(fix, CHE, FIN, key);
	send_text(fix, CHE, "FIN", 201);
	fix_settle(fix);
	cr_assert_eq(messages(fix, FIN), 1);
	/* What comes without is opened all the same. */
	send_text(fix, FIN, "CHE", 201);
	fix_settle(fix);
	cr_assert_eq(messages(fix, CHE), 1);
	fix_free(fix);
}

Test(epoch, a_store_that_was_restored_has_lost_the_secrets_and_goes_on_with_a_new_key)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	fix_stop(fix, FIN);
	send_text(fix, CHE, "FIN", 201);
	char path[PL_PATH_BYTES_MAX + 8];
	snprintf(path, sizeof(path), "%s.epoch", pl_core_conf(fix_core(fix, FIN))->store_file);
	cr_assert_eq(unlink(path), 0);
	fix_start(fix, FIN);
	fix_settle(fix);
	cr_assert_eq(number_at(fix, CHE, FIN), 2);
	cr_assert_eq(messages(fix, FIN), 0);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own WHERE public IS NOT NULL"), 1);
	send_text(fix, CHE, "FIN", 201);
	fix_settle(fix);
	cr_assert_eq(messages(fix, FIN), 1);
	/* A damaged one is not taken for a lost one. */
	fix_stop(fix, FIN);
	cr_assert_eq(truncate(path, 50), 0);
	cr_assert(fix_start_fails(fix, FIN, "is damaged"));
	fix_free(fix);
}

Test(epoch, a_store_of_another_key_file_does_not_start)
{
	struct fix *fix = fix_new(2, 1);
	fix_start(fix, FIN);
	fix_settle(fix);
	fix_stop(fix, FIN);
	cr_assert(fix_start_fails(fix, FIN, "do not belong together"));
	fix_free(fix);
}

Test(epoch, a_key_of_a_lost_store_is_not_taken_for_the_new_one_of_its_number)
{
	struct fix *fix = fix_new(2, 1);
	fix_refuse(fix, FIN, PL_ERR_STATE); /* number 1 is made, and does not get out */
	fix_start(fix, FIN);
	fix_settle(fix);
	status_of_key(fix, FIN, "epoch_key", "null");
	struct pl_epoch_key key = { .number = 1, .valid_from_ms = fix_wall(fix), .valid_until_ms = fix_wall(fix) + 1000000 };
	uint8_t secret[PL_EPOCH_SECRET_BYTES];
	crypto_kem_xwing_keypair(key.public_key, secret);
	fix_refuse(fix, FIN, PL_OK);
	forge_key(fix, FIN, &key); /* as a peer would give it back */
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT seq FROM applied WHERE node = 1 AND lane = 0"), 1, "it was looked at");
	cr_assert_eq(fix_sql(fix, FIN, "SELECT seq FROM epoch_own WHERE number = 1"), 0);
	status_of_key(fix, FIN, "epoch_key", "null");
	pl_epoch_start(epoch_of(fix, FIN));
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT seq FROM epoch_own WHERE number = 1"), 2, "its own is still to be published");
	status_of_key(fix, FIN, "epoch_key.number", "1");
	fix_free(fix);
}

Test(epoch, a_frozen_feed_makes_no_key)
{
	struct fix *fix = fix_new(2, 1);
	fix_refuse(fix, FIN, PL_ERR_FORK);
	fix_start(fix, FIN);
	fix_start(fix, CHE);
	fix_settle(fix);
	tick(fix, 2);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own"), 0);
	status_of_key(fix, FIN, "epoch_key", "null");
	json_t *error = fix_call(fix, FIN, "POST", "/v1/messages", json_pack("{s[s] ss}", "to", "CHE", "text", "x"), 409);
	fix_expect(error, "error.code", "feed_frozen");
	json_decref(error);
	fix_free(fix);
}
