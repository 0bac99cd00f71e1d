/* What goes once more by itself, to nodes that could not open it or had no key. Time passes by fix_advance(); pl_hotline_resume() does what
 * its timer does. */
#include "node/hotline/hotline_fixture.h"
#include "node/hotline/hotline_impl.h"

#define MINUTE_MS 60000
#define DAY_MS 86400000

static void go_on(struct fix *fix, uint16_t node, uint64_t after_ms)
{
	fix_advance(fix, after_ms);
	pl_hotline_resume(fix_app(fix, node)->hotline);
	fix_settle(fix);
}

/* To every member but the sender's, which gets it: the network keeps it from them, so that nothing but what the test says comes back. */
static void keep_to_itself(struct fix *fix, uint16_t sender, unsigned nodes, bool keep)
{
	for (uint16_t to = 0; to < nodes; to++)
		for (uint8_t lane = 0; lane < 2; lane++)
			if (to != sender)
				fix_pass(fix, sender, lane, to, !keep);
}

static json_t *send_to_all(struct fix *fix, uint16_t from, const char *precedence)
{
	const struct pl_charter *charter = fix_charter(fix);
	json_t *message = draft("", precedence, "Alarm"), *to = json_array();
	for (uint16_t member = 0; member < charter->members_count; member++)
		if (member != charter->nodes[from].member)
			json_array_append_new(to, json_string(charter->members[member].code));
	json_object_set_new(message, "to", to);
	return fix_call(fix, from, "POST", "/v1/messages", message, 201);
}

/* This node says that it cannot open what FIN has sent. */
static void fail(struct fix *fix, uint16_t node, const json_t *sent)
{
	struct pl_receipt receipt = { .type = PL_RECEIPT_FAILED, .time_ms = 1, .reason = { "no", 2 } };
	uint8_t plain[512];
	size_t plain_bytes;
	sodium_hex2bin(receipt.entry_id, sizeof(receipt.entry_id), fix_string(sent, "entry_id"), 64, NULL, NULL, NULL);
	cr_assert_eq(pl_receipts_write(&receipt, 1, plain, sizeof(plain), &plain_bytes), PL_OK);
	fix_forge_sealed(fix, node, 1, PL_KIND_RECEIPTS, 0, (uint16_t[]){ FIN }, 1, plain, plain_bytes);
}

static int64_t copies(struct fix *fix)
{
	return fix_sql(fix, FIN, "SELECT count(*) FROM hotline_copy");
}

static void renew_keys(struct fix *fix, unsigned nodes, uint16_t but)
{
	for (uint16_t node = 0; node < nodes; node++)
		if (node != but)
			pl_epoch_start(fix_app(fix, node)->epoch);
	fix_settle(fix);
}

Test(hotline_again, those_who_fail_every_flash_do_not_use_up_its_senders_quota)
{
	enum { ROUNDS = 24, NODES = 5 };
	struct fix *fix = fix_new(NODES, 1);
	fix_start_all(fix, NODES);
	keep_to_itself(fix, FIN, NODES, true);
	/* A FLASH every six seconds is what the quota lets pass for ever; three recipients fail each, at three moments. */
	for (int round = 0; round < ROUNDS; round++) {
		json_t *sent = send_to_all(fix, FIN, "flash");
		for (uint16_t node = 2; node < NODES; node++) {
			fail(fix, node, sent);
			go_on(fix, FIN, 2000);
		}
		json_decref(sent);
	}
	cr_assert_gt(copies(fix), 0);
	cr_assert_leq(copies(fix), 3 * 7, "four at once and one a minute for each of the three");
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_recipient WHERE state = 5"), 3 * ROUNDS);
	fix_free(fix);
}

Test(hotline_again, a_message_that_several_nodes_fail_goes_to_all_of_them_in_one_entry)
{
	struct fix *fix = fix_new(4, 1);
	fix_start_all(fix, 4);
	keep_to_itself(fix, FIN, 4, true);
	json_t *sent = send_to_all(fix, FIN, "flash");
	fix_settle(fix);
	fail(fix, 0, sent);
	fix_settle(fix);
	fail(fix, 2, sent);
	fail(fix, 3, sent);
	fix_settle(fix);
	go_on(fix, FIN, PL_AGAIN_DELAY_MS);
	cr_assert_eq(copies(fix), 1);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_again"), 0);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM entry WHERE node = 1 AND lane = 0 AND flags = 1"), 2, "a FLASH both times");
	keep_to_itself(fix, FIN, 4, false);
	fix_settle(fix);
	json_t *receipts = get(fix, FIN, 200, "/v1/messages/", fix_string(sent, "id"), "/receipts");
	for (int i = 0; i < 3; i++) {
		char path[40];
		snprintf(path, sizeof(path), "recipients.%d.state", i);
		fix_expect(receipts, path, "decrypted");
	}
	json_decref(receipts);
	json_decref(sent);
	fix_free(fix);
}

Test(hotline_again, the_most_urgent_goes_first_and_the_next_at_once_as_far_as_its_members_budget_goes)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	keep_to_itself(fix, FIN, 3, true);
	static const char *const precedences[] = { "routine", "routine", "priority", "routine", "immediate", "routine", "flash", "flash" };
	json_t *sent[8];
	for (int i = 0; i < 8; i++)
		sent[i] = fix_call(fix, FIN, "POST", "/v1/messages", draft("SGP", precedences[i], "Many"), 201);
	fix_settle(fix);
	for (int i = 0; i < 7; i++) {
		fail(fix, SGP, sent[i]);
		json_decref(sent[i]);
	}
	fix_settle(fix);
	go_on(fix, FIN, PL_AGAIN_DELAY_MS);
	static const char order[] = "SELECT group_concat(precedence, '') FROM (SELECT precedence FROM hotline_copy JOIN entry USING (node, lane, seq)"
	                            " JOIN hotline_message ON n = message ORDER BY arrival)";
	cr_assert_eq(fix_sql(fix, FIN, order), 43211, "%lld", (long long)fix_sql(fix, FIN, order));
	cr_assert_eq(fix_sql(fix, FIN, "SELECT max(message) FROM hotline_copy JOIN hotline_message ON n = message WHERE precedence = 1"), 2,
	             "the oldest of several");
	go_on(fix, FIN, MINUTE_MS / 2);
	cr_assert_eq(copies(fix), 5);
	go_on(fix, FIN, MINUTE_MS / 2);
	cr_assert_eq(copies(fix), 6);
	fail(fix, SGP, sent[7]);
	json_decref(sent[7]);
	fix_settle(fix);
	go_on(fix, FIN, PL_AGAIN_DELAY_MS);
	cr_assert_eq(copies(fix), 7, "a FLASH, which has a budget of its own");
	/* Another member's budget is its own. */
	json_t *other = fix_call(fix, FIN, "POST", "/v1/messages", draft("CHE", "routine", "Other"), 201);
	fail(fix, CHE, other);
	fix_settle(fix);
	go_on(fix, FIN, PL_AGAIN_DELAY_MS);
	cr_assert_eq(copies(fix), 8);
	/* And what was not sent to all of them before the daemon ended waits for no budget. */
	fix_sql(fix, FIN, "UPDATE hotline_message SET unfinished = 1 WHERE n = (SELECT n FROM hotline_message WHERE precedence = 2)");
	fix_sql(fix, FIN, "UPDATE hotline_recipient SET state = 0 WHERE message = (SELECT n FROM hotline_message WHERE precedence = 2)");
	go_on(fix, FIN, 0);
	cr_assert_eq(copies(fix), 9);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_again"), 1);
	json_decref(other);
	fix_free(fix);
}

Test(hotline_again, what_fails_waits_until_the_half_of_the_flash_quota_is_left)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	keep_to_itself(fix, FIN, 3, true);
	json_t *first = NULL;
	for (int i = 0; i < PL_FLASH_BURST; i++) {
		json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", draft("SGP", "flash", "Many"), 201);
		if (first)
			json_decref(sent);
		else
			first = sent;
	}
	fail(fix, SGP, first);
	fix_settle(fix);
	/* The engine looks at the clock when something happens. */
	uint64_t waited_ms = 0;
	for (; copies(fix) == 0 && waited_ms < 2 * MINUTE_MS; waited_ms += 10000) {
		json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", draft("SGP", "routine", "Tick"), 201);
		json_decref(sent);
		go_on(fix, FIN, 10000);
	}
	cr_assert_eq(copies(fix), 1);
	cr_assert_geq(waited_ms, MINUTE_MS, "half of a burst of 20 at 10 a minute: %llu ms", (unsigned long long)waited_ms);
	json_decref(first);
	fix_free(fix);
}

Test(hotline_again, what_is_older_than_keys_are_kept_is_left_to_its_sender)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_pass(fix, FIN, 1, SGP, false);
	json_t *late = fix_call(fix, FIN, "POST", "/v1/messages", draft("SGP", "priority", "It fails late"), 201);
	json_t *held = fix_call(fix, FIN, "POST", "/v1/messages", draft("SGP", "priority", "It is held long"), 201);
	fail(fix, SGP, held);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_again"), 1);
	fix_advance(fix, 14ULL * DAY_MS);
	go_on(fix, FIN, 0);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_again"), 0, "though there is no key of it any more");
	renew_keys(fix, 3, UINT16_MAX);
	go_on(fix, FIN, PL_AGAIN_DELAY_MS);
	fail(fix, SGP, late);
	fix_settle(fix);
	go_on(fix, FIN, PL_AGAIN_DELAY_MS);
	cr_assert_eq(copies(fix), 0);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_again"), 0);
	json_t *receipts = get(fix, FIN, 200, "/v1/messages/", fix_string(late, "id"), "/receipts");
	fix_expect(receipts, "recipients.0.state", "failed");
	fix_expect(receipts, "recipients.0.receipts.0.reason", "no");
	json_decref(receipts);
	json_decref(late);
	json_decref(held);
	fix_free(fix);
}

Test(hotline_again, a_node_whose_key_ran_out_before_its_envelope_was_sent_gets_it_when_a_key_comes)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	keep_to_itself(fix, FIN, 3, true);
	uint8_t *reply;
	size_t reply_bytes;
	cr_assert_eq(fix_call_bytes(fix, FIN, "POST", "/v1/attachments?name=a", "abc", 3, &reply, &reply_bytes), 201);
	json_t *upload = json_loadb((char *)reply, reply_bytes, 0, NULL);
	free(reply);
	fix_room(fix, FIN, 0); /* its attachment stays to be sent */
	json_t *body = with(draft("CHE", "immediate", "Alarm"), "info", json_pack("[s]", "SGP"));
	json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", with(body, "attachments", json_pack("[s]", fix_string(upload, "token"))), 201);
	json_decref(upload);
	fix_settle(fix);
	/* As if the daemon had ended before it had gone to all; and it stands still until SGP's key is no longer valid. */
	fix_sql(fix, FIN, "UPDATE hotline_message SET unfinished = 1");
	fix_stop(fix, FIN);
	fix_pass(fix, SGP, 0, FIN, false);
	fix_advance(fix, 3 * DAY_MS);
	renew_keys(fix, 3, FIN);
	fix_start(fix, FIN);
	fix_settle(fix);
	cr_assert_not(pl_epoch_current(fix_app(fix, FIN)->epoch, SGP, NULL));
	go_on(fix, FIN, 0);
	cr_assert_eq(copies(fix), 1, "to CHE");
	cr_assert_eq(fix_sql(fix, FIN, "SELECT unfinished FROM hotline_message"), 0);
	go_on(fix, FIN, MINUTE_MS);
	cr_assert_eq(copies(fix), 1);
	fix_room(fix, FIN, UINT64_MAX);
	pl_upload_pump(fix_app(fix, FIN)->hotline);
	fix_await(fix, FIN, "SELECT count(*) FROM hotline_attachment WHERE upload IS NOT NULL", 0);
	pl_upload_clean(fix_app(fix, FIN)->hotline);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_upload"), 1, "it is kept for SGP's envelope");

	fix_stop(fix, FIN); /* it is on record */
	fix_start(fix, FIN);
	fix_settle(fix);
	fix_pass(fix, SGP, 0, FIN, true);
	fix_settle(fix);
	cr_assert_eq(copies(fix), 2, "to SGP, by the key that came");
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_again"), 0);
	fix_await(fix, FIN, "SELECT count(*) FROM hotline_upload", 0);
	keep_to_itself(fix, FIN, 3, false);
	fix_settle(fix);
	json_t *message = get(fix, SGP, 200, "/v1/messages/", fix_string(sent, "id"), "");
	fix_expect(message, "text", "Alarm");
	fix_expect(message, "attachments.0.complete", "true");
	json_decref(message);
	json_decref(sent);
	fix_free(fix);
}
