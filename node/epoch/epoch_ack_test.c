/* Acknowledgements of encryption keys, and the wiping that they allow. A node acknowledges what it knows when it makes its next key, so
 * key 1 of every node is acknowledged as left behind on day 2, and wiped a tick later. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <string.h>

#include "crypto/bytes.h"
#include "node/epoch/epoch_fixture.h"
#include "node/epoch/epoch_impl.h"

static int64_t oldest(struct fix *fix, uint16_t node)
{
	return fix_sql(fix, node, "SELECT min(number) FROM epoch_own WHERE public IS NOT NULL");
}

/* Places of entries that there was nothing to keep of become durable now and then. */
static void await_place(struct fix *fix, uint16_t node, uint16_t author, uint8_t lane, int64_t seq)
{
	char sql[120];
	snprintf(sql, sizeof(sql), "SELECT coalesce(max(seq), 0) FROM applied WHERE node = %u AND lane = %u", author, lane);
	fix_await(fix, node, sql, seq);
}

static void key_file_path(struct fix *fix, uint16_t node, char path[PL_PATH_BYTES_MAX + 8])
{
	snprintf(path, PL_PATH_BYTES_MAX + 8, "%s.epoch", pl_core_conf(fix_core(fix, node))->store_file);
}

/* Whether the file of secrets has this key. */
static bool in_key_file(struct fix *fix, uint16_t node, uint64_t number)
{
	char path[PL_PATH_BYTES_MAX + 8];
	uint8_t bytes[4096];
	key_file_path(fix, node, path);
	FILE *file = fopen(path, "rb");
	cr_assert_not_null(file);
	size_t count = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	for (size_t at = 8; at + 80 <= count; at += 80)
		if (pl_get64(bytes + at) == number)
			return true;
	return false;
}

static void send_text(struct fix *fix, uint16_t from, const char *to, int status)
{
	json_decref(fix_call(fix, from, "POST", "/v1/messages", json_pack("{s[s] ss}", "to", to, "text", "x"), status));
}

static int64_t messages(struct fix *fix, uint16_t node)
{
	return fix_sql(fix, node, "SELECT count(*) FROM hotline_message WHERE box = 1");
}

static void restart(struct fix *fix, uint16_t node)
{
	fix_stop(fix, node);
	fix_start(fix, node);
	fix_settle(fix);
}

/* --- when all is well --- */

Test(epoch_ack, what_all_have_left_behind_is_wiped)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	pass_days(fix, 3, 1);
	tick(fix, 3);
	cr_assert_eq(oldest(fix, FIN), 1, "key 2 is out, and nobody has said yet that it has it");
	pass_days(fix, 3, 1);
	tick(fix, 3);
	for (uint16_t node = 0; node < 3; node++) {
		cr_assert_eq(oldest(fix, node), 2);
		cr_assert_not(in_key_file(fix, node, 1));
		cr_assert(in_key_file(fix, node, 2));
		cr_assert_eq(epoch_of(fix, node)->own_count, 2);
	}
	/* And so on: two days at most. */
	pass_days(fix, 3, 5);
	tick(fix, 3);
	cr_assert_eq(oldest(fix, SGP), 7);
	cr_assert_eq(epoch_of(fix, SGP)->own_count, 2);
	send_text(fix, CHE, "SGP", 201);
	fix_settle(fix);
	cr_assert_eq(messages(fix, SGP), 1);
	/* What has served is not kept: a row for each node, and what is not to be wiped yet. */
	cr_assert_leq(fix_sql(fix, SGP, "SELECT count(*) FROM epoch_ack"), 6);
	/* No entries but the keys. */
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM entry WHERE node = 0"), 8 + 1);
	fix_free(fix);
}

Test(epoch_ack, wiping_goes_on_after_a_restart)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	pass_days(fix, 3, 2);
	cr_assert_eq(oldest(fix, FIN), 1, "all is known, and it is not looked at before the next tick");
	restart(fix, FIN);
	cr_assert_eq(oldest(fix, FIN), 2);
	cr_assert_not(in_key_file(fix, FIN, 1));
	fix_free(fix);
}

/* --- what is missing --- */

Test(epoch_ack, nothing_is_wiped_while_one_node_has_not_acknowledged)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_pass(fix, SGP, 0, FIN, false);
	pass_days(fix, 3, 5);
	tick(fix, 3);
	cr_assert_eq(oldest(fix, FIN), 1);
	cr_assert_eq(oldest(fix, CHE), 5, "to CHE it has come");
	restart(fix, FIN);
	cr_assert_eq(oldest(fix, FIN), 1);
	fix_pass(fix, SGP, 0, FIN, true);
	fix_settle(fix);
	tick(fix, 3);
	cr_assert_eq(oldest(fix, FIN), 5);
	fix_free(fix);
}

Test(epoch_ack, nothing_is_wiped_while_what_came_before_an_acknowledgement_is_missing)
{
	for (uint8_t lane = 1; lane <= 2; lane++) {
		struct fix *fix = fix_new(3, 1);
		fix_start_all(fix, 3);
		fix_pass(fix, CHE, lane, FIN, false);
		if (lane == 1)
			send_text(fix, CHE, "FIN", 201); /* sealed to FIN's key 1 */
		else
			fix_forge(fix, CHE, 2, PL_KIND_ATTACHMENT, 0, "garbage", 7);
		fix_settle(fix);
		await_place(fix, SGP, CHE, lane, 1);
		pass_days(fix, 3, 4);
		tick(fix, 3);
		cr_assert_eq(oldest(fix, FIN), 1, "lane %u", lane);
		cr_assert_eq(oldest(fix, SGP), 4, "lane %u", lane);
		restart(fix, FIN);
		cr_assert_eq(oldest(fix, FIN), 1, "lane %u", lane);
		/* What is written after the last acknowledgement is not waited for. */
		fix_pass(fix, CHE, lane, FIN, true);
		await_place(fix, FIN, CHE, lane, 1);
		cr_assert_eq(messages(fix, FIN), lane == 1, "the key was there");
		fix_pass(fix, CHE, 1, FIN, false);
		send_text(fix, CHE, "FIN", 201);
		fix_settle(fix);
		tick(fix, 3);
		cr_assert_eq(oldest(fix, FIN), 4, "lane %u", lane);
		fix_free(fix);
	}
}

Test(epoch_ack, an_older_acknowledgement_serves_while_a_newer_one_waits)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	pass_days(fix, 3, 2);
	/* From here on nothing of lane 1 comes to FIN, and the acknowledgements of days 3 and later say that there is something. */
	fix_pass(fix, CHE, 1, FIN, false);
	send_text(fix, CHE, "FIN", 201);
	fix_settle(fix);
	pass_days(fix, 3, 3);
	tick(fix, 3);
	cr_assert_eq(oldest(fix, FIN), 2);
	fix_pass(fix, CHE, 1, FIN, true);
	fix_settle(fix);
	cr_assert_eq(messages(fix, FIN), 1);
	tick(fix, 3);
	cr_assert_eq(oldest(fix, FIN), 5);
	fix_free(fix);
}

Test(epoch_ack, a_node_that_never_comes_back_leaves_the_cap)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_stop(fix, SGP);
	fix_pass(fix, CHE, 1, FIN, false);
	send_text(fix, CHE, "FIN", 201);
	fix_settle(fix);
	pass_days(fix, 2, 15);
	tick(fix, 2);
	cr_assert_eq(oldest(fix, FIN), 1);
	fix_pass(fix, CHE, 1, FIN, true);
	fix_settle(fix);
	cr_assert_eq(messages(fix, FIN), 1);
	pass_days(fix, 2, 2);
	cr_assert_gt(oldest(fix, FIN), 1, "2 days of validity and 14 of keeping");
	cr_assert_not(in_key_file(fix, FIN, 1));
	fix_free(fix);
}

/* --- crashes and copies --- */

Test(epoch_ack, an_acknowledgement_is_durable_before_it_is_published_and_holds_whatever_the_clock_says)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	pass_days(fix, 2, 1);
	fix_advance(fix, DAY_MS);
	fix_refuse(fix, CHE, PL_ERR_STATE); /* CHE's key 3 is kept, and does not come out */
	tick(fix, 1);
	cr_assert_eq(fix_sql(fix, CHE, "SELECT number FROM epoch_floor WHERE node = 1"), 2);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT max(number) FROM epoch_ack WHERE node = 0"), 1);
	restart(fix, CHE);
	/* With the clock of two days ago key 1 of FIN is valid, and key 2 is not. */
	fix_wall_jump(fix, -2 * (int64_t)DAY_MS);
	cr_assert_eq(number_at(fix, CHE, FIN), 0);
	fix_wall_jump(fix, 2 * (int64_t)DAY_MS);
	cr_assert_eq(number_at(fix, CHE, FIN), 2);
	/* The entry that is written in the end says what was kept. */
	fix_refuse(fix, CHE, PL_OK);
	restart(fix, CHE);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT max(number) FROM epoch_ack WHERE node = 0"), 2);
	cr_assert_eq(fix_sql(fix, CHE, "SELECT count(*) FROM epoch_own"), 3);
	fix_free(fix);
}

/* By hand, and not by a clock that is wrong: a node that has acknowledged a key does not seal to an older one that it still has. */
Test(epoch_ack, nothing_is_sealed_to_a_key_older_than_the_acknowledged_one)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	pass_days(fix, 2, 2);
	cr_assert_eq(number_at(fix, CHE, FIN), 3);
	cr_assert_eq(epoch_of(fix, CHE)->floors[FIN], 2);
	fix_wall_jump(fix, -(int64_t)DAY_MS); /* 2 and 1 are valid, and 3 will be */
	cr_assert_eq(number_at(fix, CHE, FIN), 2);
	fix_wall_jump(fix, -(int64_t)DAY_MS); /* 1 is */
	cr_assert_eq(number_at(fix, CHE, FIN), 0);
	cr_assert_eq(number_at(fix, FIN, FIN), 0, "nor to an own one");
	fix_free(fix);
}

static void copy_file(const char *from, const char *to)
{
	FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
	cr_assert(in && out, "%s", from);
	char bytes[4096];
	size_t count;
	while ((count = fread(bytes, 1, sizeof(bytes), in)) > 0)
		cr_assert_eq(fwrite(bytes, 1, count, out), count);
	fclose(in);
	cr_assert_eq(fclose(out), 0);
}

Test(epoch_ack, a_crash_between_the_file_of_secrets_and_the_store_does_no_harm)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	pass_days(fix, 3, 2);
	fix_stop(fix, FIN);
	const char *store = pl_core_conf(fix_core(fix, FIN))->store_file;
	char copy[PL_PATH_BYTES_MAX + 8];
	snprintf(copy, sizeof(copy), "%s.copy", store);
	copy_file(store, copy);
	fix_start(fix, FIN);
	fix_settle(fix);
	cr_assert_not(in_key_file(fix, FIN, 1));
	fix_stop(fix, FIN);
	/* The secret is wiped, and the store does not know it: as after a crash between the two, or with an older copy of the store. */
	copy_file(copy, store);
	fix_start(fix, FIN);
	cr_assert_eq(epoch_of(fix, FIN)->own_count, 2);
	cr_assert_eq(epoch_of(fix, FIN)->own[0].info.number, 2);
	fix_settle(fix);
	cr_assert_eq(number_at(fix, CHE, FIN), 3, "no other key is made for it");
	pass_days(fix, 3, 2);
	tick(fix, 3);
	cr_assert_eq(oldest(fix, FIN), 4);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_own"), 5, "and no number given out twice");
	send_text(fix, CHE, "FIN", 201);
	fix_settle(fix);
	cr_assert_eq(messages(fix, FIN), 1);
	fix_free(fix);
}

Test(epoch_ack, a_copy_of_the_store_that_is_older_waits_for_all_that_it_lacks_again)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	pass_days(fix, 3, 1);
	fix_stop(fix, FIN);
	const char *store = pl_core_conf(fix_core(fix, FIN))->store_file;
	char copy[PL_PATH_BYTES_MAX + 8], secrets[PL_PATH_BYTES_MAX + 8], secrets_copy[PL_PATH_BYTES_MAX + 16];
	snprintf(copy, sizeof(copy), "%s.copy", store);
	key_file_path(fix, FIN, secrets);
	snprintf(secrets_copy, sizeof(secrets_copy), "%s.copy", secrets);
	copy_file(store, copy);
	copy_file(secrets, secrets_copy);
	fix_forge(fix, CHE, 2, PL_KIND_ATTACHMENT, 0, "garbage", 7); /* what makes FIN write nothing: that would be a fork later */
	fix_start(fix, FIN);
	fix_settle(fix);
	await_place(fix, FIN, CHE, 2, 1);
	fix_stop(fix, FIN);
	fix_advance(fix, DAY_MS);
	pl_epoch_start(epoch_of(fix, CHE)); /* its acknowledgement of FIN's key 2 stands behind that */
	pl_epoch_start(epoch_of(fix, SGP));
	fix_settle(fix);
	/* Both files of the day before, as a machine's snapshot has them. */
	copy_file(copy, store);
	copy_file(secrets_copy, secrets);
	fix_pass(fix, CHE, 2, FIN, false);
	fix_start(fix, FIN);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT max(number) FROM epoch_ack WHERE node = 0"), 2);
	tick(fix, 3);
	cr_assert_eq(oldest(fix, FIN), 1, "what was applied before does not count");
	fix_pass(fix, CHE, 2, FIN, true);
	await_place(fix, FIN, CHE, 2, 1);
	tick(fix, 3);
	cr_assert_eq(oldest(fix, FIN), 2);
	fix_free(fix);
}

Test(epoch_ack, a_file_of_secrets_that_is_older_brings_no_old_key_back_into_use)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	fix_stop(fix, FIN);
	char secrets[PL_PATH_BYTES_MAX + 8], copy[PL_PATH_BYTES_MAX + 16];
	key_file_path(fix, FIN, secrets);
	snprintf(copy, sizeof(copy), "%s.copy", secrets);
	copy_file(secrets, copy);
	fix_start(fix, FIN);
	fix_wall_jump(fix, DAY_MS);
	tick(fix, 2);
	cr_assert_eq(number_at(fix, CHE, FIN), 2);
	fix_wall_jump(fix, -(int64_t)DAY_MS); /* so that by the clock alone key 1 would do */
	fix_stop(fix, FIN);
	copy_file(copy, secrets);
	fix_start(fix, FIN);
	cr_assert_eq(number_at(fix, FIN, FIN), 0, "FIN has acknowledged its own key 2, which is lost");
	fix_settle(fix);
	cr_assert_eq(number_at(fix, FIN, FIN), 3, "and makes another one at once");
	cr_assert_eq(number_at(fix, CHE, FIN), 3);
	fix_free(fix);
}

/* --- what is being sealed --- */

/* Keeps libuv's threads busy until it is let go. */
static struct {
	uv_mutex_t mutex;
	uv_cond_t cond;
	bool held;
	uv_work_t works[4];
} hold;

static void hold_run(uv_work_t *work)
{
	(void)work;
	uv_mutex_lock(&hold.mutex);
	while (hold.held)
		uv_cond_wait(&hold.cond, &hold.mutex);
	uv_mutex_unlock(&hold.mutex);
}

static void hold_done(uv_work_t *work, int status)
{
	(void)work;
	(void)status;
}

struct waiting {
	struct fix *fix;
	uint16_t at, of;
	uint64_t number;
};

/* Whether the newest key of a node that is known has come to be this one. */
static bool has_come(void *ctx)
{
	const struct waiting *waiting = ctx;
	const struct pl_other_keys *others = epoch_of(waiting->fix, waiting->at)->others[waiting->of];
	return others && others->keys[0].info.number == waiting->number;
}

static void sealed(struct pl_seal *seal)
{
	*(bool *)seal->ctx = true;
	free(seal->envelope);
}

static bool is_true(void *ctx)
{
	return *(bool *)ctx;
}

Test(epoch_ack, what_is_being_sealed_to_an_older_key_holds_the_acknowledgement_back)
{
	enum { EVERY = 6 };
	struct fix *fix = fix_new(EVERY, 1);
	fix_start_all(fix, EVERY);
	hold.held = true;
	cr_assert_eq(uv_mutex_init(&hold.mutex), 0);
	cr_assert_eq(uv_cond_init(&hold.cond), 0);
	for (int i = 0; i < 4; i++)
		cr_assert_eq(uv_queue_work(fix_loop(fix), &hold.works[i], hold_run, hold_done), 0);

	/* CHE seals to key 1 of all, itself included, and the envelope is not ready yet. */
	bool done = false;
	struct pl_seal seal = { .kind = PL_KIND_MESSAGE, .nodes_count = EVERY, .nodes = { 0, 1, 2, 3, 4, 5 }, .plain = (const uint8_t *)"x",
	                        .plain_bytes = 1, .done = sealed, .ctx = &done };
	pl_epoch_seal(epoch_of(fix, CHE), &seal);
	fix_advance(fix, DAY_MS);
	pl_epoch_start(epoch_of(fix, FIN));
	struct waiting waiting = { fix, CHE, FIN, 2 };
	fix_until(fix, has_come, &waiting);
	pl_epoch_start(epoch_of(fix, CHE));
	waiting = (struct waiting){ fix, FIN, CHE, 2 };
	fix_until(fix, has_come, &waiting);
	cr_assert_not(done);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT max(number) FROM epoch_ack WHERE node = 0"), 1);
	cr_assert_eq(fix_sql(fix, CHE, "SELECT max(number) FROM epoch_ack WHERE node = 0"), 1, "its own keys too");
	cr_assert_eq(number_at(fix, CHE, FIN), 2, "but what is sealed now is sealed to the new one");

	uv_mutex_lock(&hold.mutex);
	hold.held = false;
	uv_cond_broadcast(&hold.cond);
	uv_mutex_unlock(&hold.mutex);
	fix_until(fix, is_true, &done);
	fix_settle(fix);
	fix_advance(fix, DAY_MS);
	tick(fix, 1);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT max(number) FROM epoch_ack WHERE node = 0"), 2);
	cr_assert_eq(fix_sql(fix, CHE, "SELECT max(number) FROM epoch_ack WHERE node = 0"), 3);
	fix_free(fix);
	uv_cond_destroy(&hold.cond);
	uv_mutex_destroy(&hold.mutex);
}

/* --- hostile members --- */

static void forge_key(struct fix *fix, uint16_t author, uint64_t number, const struct pl_epoch_ack *acks, uint16_t acks_count)
{
	static struct pl_epoch_key key;
	uint8_t body[PL_EPOCH_KEY_BODY_BYTES_MAX], secret[PL_EPOCH_SECRET_BYTES];
	size_t body_bytes;
	key = (struct pl_epoch_key){ .number = number, .valid_from_ms = fix_wall(fix), .valid_until_ms = fix_wall(fix) + DAY_MS,
	                             .acks_count = acks_count };
	memcpy(key.acks, acks, acks_count * sizeof(acks[0]));
	crypto_kem_xwing_keypair(key.public_key, secret);
	cr_assert_eq(pl_epoch_key_write(&key, body, sizeof(body), &body_bytes), PL_OK);
	fix_forge(fix, author, 0, PL_KIND_EPOCH_KEY, 0, body, body_bytes);
	fix_settle(fix);
}

Test(epoch_ack, acknowledgements_that_cannot_be_do_not_count)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	pass_days(fix, 2, 2); /* SGP sleeps: it has acknowledged nothing after its first key */
	/* A key that FIN has not made. The key beside it is taken all the same. */
	forge_key(fix, SGP, 10, (struct pl_epoch_ack[]){ { FIN, 4 } }, 1);
	cr_assert_eq(number_at(fix, FIN, SGP), 10);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT coalesce(max(number), 0) FROM epoch_ack WHERE node = 2"),
	             fix_sql(fix, FIN, "SELECT coalesce(min(number), 0) FROM epoch_ack WHERE node = 2"));
	tick(fix, 2);
	cr_assert_eq(oldest(fix, FIN), 1);
	forge_key(fix, SGP, 11, (struct pl_epoch_ack[]){ { FIN, UINT64_MAX } }, 1);
	tick(fix, 2);
	cr_assert_eq(oldest(fix, FIN), 1);
	/* A node that there is not: the whole is refused, here and everywhere. */
	forge_key(fix, SGP, 12, (struct pl_epoch_ack[]){ { FIN, 3 }, { 3, 1 } }, 2);
	cr_assert_eq(number_at(fix, FIN, SGP), 11);
	cr_assert_eq(number_at(fix, CHE, SGP), 11);
	tick(fix, 2);
	cr_assert_eq(oldest(fix, FIN), 1);
	/* A true one, which does not count yet, and then it goes back: the first stands, and the author has only itself to blame. */
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_ack WHERE node = 2 AND number = 1"), 0);
	fix_pass(fix, SGP, 1, FIN, false);
	send_text(fix, SGP, "FIN", 201);
	fix_settle(fix);
	forge_key(fix, SGP, 13, (struct pl_epoch_ack[]){ { FIN, 2 } }, 1);
	forge_key(fix, SGP, 14, (struct pl_epoch_ack[]){ { FIN, 1 } }, 1);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT max(number) FROM epoch_ack WHERE node = 2"), 2);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_ack WHERE node = 2 AND number < 2"), 0);
	cr_assert_eq(number_at(fix, FIN, SGP), 14);
	tick(fix, 2);
	cr_assert_eq(oldest(fix, FIN), 1);
	fix_pass(fix, SGP, 1, FIN, true);
	fix_settle(fix);
	tick(fix, 2);
	cr_assert_eq(oldest(fix, FIN), 2);
	/* What FIN is to wipe hangs on all: one that rushes ahead wipes nothing. */
	forge_key(fix, SGP, 15, (struct pl_epoch_ack[]){ { FIN, 3 } }, 1);
	tick(fix, 2);
	cr_assert_eq(oldest(fix, FIN), 2);
	fix_free(fix);
}

/* An author that names heads which nobody will ever see holds up its own acknowledgements, and fills nothing. */
Test(epoch_ack, rows_of_acknowledgements_are_bounded)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_pass(fix, CHE, 1, FIN, false);
	send_text(fix, CHE, "FIN", 201);
	fix_settle(fix);
	pass_days(fix, 3, 40);
	cr_assert_leq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_ack WHERE node = 0"), 18);
	cr_assert_leq(fix_sql(fix, FIN, "SELECT count(*) FROM epoch_ack WHERE node = 2"), 2);
	fix_free(fix);
}
