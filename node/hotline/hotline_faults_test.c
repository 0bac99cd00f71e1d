/* The hotline when something goes wrong: ends at the worst moment, hostile members, a full disk. */
#include <sodium.h>

#include "node/hotline/hotline_fixture.h"
#include "node/hotline/hotline_impl.h"

Test(hotline_faults, an_entry_that_was_stored_but_not_looked_at_is_taken_up_after_a_restart)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_deliver(fix, SGP, false); /* as if killed right after the commit */
	char *id = send_message(fix, FIN, draft("SGP", "flash", "Are you there?"));
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), 0);
	json_t *error = get(fix, SGP, 503, "/v1/messages/", "FIN%2F0%2F2", "");
	fix_expect(error, "error.code", "not_opened_yet");
	json_decref(error);

	fix_stop(fix, SGP);
	fix_deliver(fix, SGP, true);
	fix_start(fix, SGP);
	fix_settle(fix);
	json_t *message = get(fix, SGP, 200, "/v1/messages/", id, "");
	fix_expect(message, "text", "Are you there?");
	cr_assert(json_is_string(json_object_get(message, "received")), "the time at which it came is known");
	json_decref(message);
	json_t *receipts = get(fix, FIN, 200, "/v1/messages/", id, "/receipts");
	fix_expect(receipts, "recipients.0.state", "decrypted");
	json_decref(receipts);
	/* And again: nothing comes twice. */
	fix_stop(fix, SGP);
	fix_start(fix, SGP);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), 1);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_receipt"), 2);
	json_t *status = get(fix, SGP, 200, "/v1/status", "", "");
	fix_expect(status, "messages.unread", "1");
	fix_expect(status, "messages.unanswered_flash", "1");
	json_decref(status);
	free(id);
	fix_free(fix);
}

Test(hotline_faults, a_sender_that_ends_between_entry_and_row_finds_its_message_again)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_deliver(fix, FIN, false);
	/* The call ends when the daemon does; the message was durable and went out. */
	json_t *body = draft("SGP", "priority", "Before the end");
	char *text = json_dumps(body, 0);
	json_decref(body);
	cr_assert_eq(fix_post_and_stop(fix, FIN, "/v1/messages", text), 201);
	free(text);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), 1);
	fix_deliver(fix, FIN, true);
	fix_start(fix, FIN);
	fix_settle(fix);
	json_t *list = get(fix, FIN, 200, "/v1/messages", "", "?box=out");
	fix_expect(list, "messages.0.subject", "Test");
	fix_expect(list, "messages.0.receipts.SGP", "decrypted");
	json_t *message = get(fix, FIN, 200, "/v1/messages/", fix_string(list, "messages.0.id"), "");
	fix_expect(message, "text", "Before the end");
	json_decref(message);
	json_decref(list);
	fix_free(fix);
}

Test(hotline_faults, a_message_that_is_sent_again_is_shown_once_and_confirmed_again)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	forge(fix, FIN, SGP, 7, "FIN", "Once");
	uint64_t again = forge(fix, FIN, SGP, 7, "FIN", "Once");
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), 1);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_copy"), 1);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_receipt WHERE seq > 0"), 4);
	char name[40];
	snprintf(name, sizeof(name), "FIN%%2F1%%2F%llu", (unsigned long long)again);
	json_t *message = get(fix, SGP, 200, "/v1/messages/", name, ""); /* found by either entry */
	fix_expect(message, "text", "Once");
	json_decref(message);
	json_t *status = get(fix, SGP, 200, "/v1/status", "", "");
	fix_expect(status, "messages.unread", "1");
	json_decref(status);
	/* The same id with another text is not the same message. */
	uint64_t other = forge(fix, FIN, SGP, 7, "FIN", "Something else");
	snprintf(name, sizeof(name), "FIN%%2F1%%2F%llu", (unsigned long long)other);
	json_t *error = get(fix, SGP, 422, "/v1/messages/", name, "");
	fix_expect(error, "error.code", "message_refused");
	json_decref(error);
	fix_free(fix);
}

Test(hotline_faults, a_message_in_anothers_name_is_refused_and_its_author_told)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	forge(fix, CHE, SGP, 7, "FIN", "Not from FIN");
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), 0);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_refused"), 1);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_receipt WHERE type = 5 AND seq > 0 AND to_node = 0"), 1);
	/* Likewise what claims times of another age. */
	struct pl_message message = { .precedence = PL_ROUTINE, .sent_ms = UINT64_MAX, .sender = "CHE", .operator_name = { "X", 1 },
	                              .subject = { "S", 1 },
	                              .text = { "T", 1 }, .recipients_count = 1, .recipients = { { .code = "SGP" } } };
	uint8_t plain[512];
	size_t plain_bytes;
	cr_assert_eq(pl_message_write(&message, plain, sizeof(plain), &plain_bytes), PL_OK);
	fix_forge_sealed(fix, CHE, 1, PL_KIND_MESSAGE, 0, (uint16_t[]){ SGP }, 1, plain, plain_bytes);
	fix_forge_sealed(fix, CHE, 1, PL_KIND_MESSAGE, 0, (uint16_t[]){ SGP }, 1, "not a message", 13);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), 0);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_refused"), 3);
	fix_free(fix);
}

Test(hotline_faults, a_message_id_that_another_author_used_first_keeps_no_message_away)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	/* CHE relays and holds back what FIN sends, sends SGP something of its own under that id, and lets FIN's through. */
	forge(fix, CHE, SGP, 9, "CHE", "First");
	forge(fix, FIN, SGP, 9, "FIN", "Second");
	json_t *list = get(fix, SGP, 200, "/v1/messages", "", "");
	fix_expect(list, "messages.0.from", "FIN");
	fix_expect(list, "messages.1.from", "CHE");
	json_decref(list);
	json_t *error = get(fix, SGP, 409, "/v1/messages/", "09090909090909090909090909090909", "");
	fix_expect(error, "error.code", "ambiguous_id");
	json_decref(error);
	/* Each author gets the receipts for its own. */
	json_t *message = post(fix, SGP, 200, "CHE%2F1%2F1", "accept", "Tan");
	fix_expect(message, "text", "First");
	fix_expect(message, "receipts.SGP", "accepted");
	json_decref(message);
	fix_settle(fix);
	json_t *receipts = get(fix, FIN, 200, "/v1/messages/", "FIN%2F1%2F1", "/receipts");
	fix_expect(receipts, "recipients.0.state", "decrypted");
	json_decref(receipts);
	receipts = get(fix, CHE, 200, "/v1/messages/", "CHE%2F1%2F1", "/receipts");
	fix_expect(receipts, "recipients.0.state", "accepted");
	json_decref(receipts);
	json_decref(post(fix, SGP, 200, "FIN%2F1%2F1", "read", "Tan"));
	fix_settle(fix);
	receipts = get(fix, FIN, 200, "/v1/messages/", "FIN%2F1%2F1", "/receipts");
	fix_expect(receipts, "recipients.0.state", "read");
	json_decref(receipts);
	fix_free(fix);
}

Test(hotline_faults, failures_of_entries_that_nobody_knows_are_kept_once_each_and_not_without_end)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	struct pl_receipt receipts[PL_RECEIPTS_PER_ENTRY_MAX];
	static uint8_t plain[32768];
	size_t plain_bytes;
	for (int distinct = 0; distinct <= 2; distinct++) {
		for (size_t i = 0; i < PL_RECEIPTS_PER_ENTRY_MAX; i++)
			receipts[i] = (struct pl_receipt){ .type = PL_RECEIPT_FAILED, .time_ms = 1, .reason = { "no", 2 },
			                                   .entry_id = { (uint8_t)distinct, distinct ? (uint8_t)i : 0 } };
		cr_assert_eq(pl_receipts_write(receipts, PL_RECEIPTS_PER_ENTRY_MAX, plain, sizeof(plain), &plain_bytes), PL_OK);
		fix_forge_sealed(fix, SGP, 1, PL_KIND_RECEIPTS, 0, (uint16_t[]){ FIN }, 1, plain, plain_bytes);
		fix_settle(fix);
		cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_receipt WHERE node = 2"), distinct == 0 ? 1 : 64);
	}
	fix_free(fix);
}

Test(hotline_faults, receipts_count_only_from_members_that_were_addressed)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", draft("SGP", "routine", "x"), 201);
	struct pl_receipt receipt = { .type = PL_RECEIPT_ACCEPTED, .time_ms = 1, .operator_name = { "Mallory", 7 } };
	uint8_t plain[512];
	size_t plain_bytes;
	sodium_hex2bin(receipt.message_id, sizeof(receipt.message_id), fix_string(sent, "id"), 32, NULL, NULL, NULL);
	sodium_hex2bin(receipt.entry_id, sizeof(receipt.entry_id), fix_string(sent, "entry_id"), 64, NULL, NULL, NULL);
	cr_assert_eq(pl_receipts_write(&receipt, 1, plain, sizeof(plain), &plain_bytes), PL_OK);
	fix_forge_sealed(fix, CHE, 1, PL_KIND_RECEIPTS, 0, (uint16_t[]){ FIN }, 1, plain, plain_bytes);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_receipt WHERE node = 0"), 0);
	/* The same from SGP counts, once; not about an entry that did not carry the message. */
	fix_forge_sealed(fix, SGP, 1, PL_KIND_RECEIPTS, 0, (uint16_t[]){ FIN }, 1, plain, plain_bytes);
	fix_forge_sealed(fix, SGP, 1, PL_KIND_RECEIPTS, 0, (uint16_t[]){ FIN }, 1, plain, plain_bytes);
	receipt.entry_id[0] ^= 1;
	receipt.operator_name.chars = "Eve";
	receipt.operator_name.bytes = 3;
	cr_assert_eq(pl_receipts_write(&receipt, 1, plain, sizeof(plain), &plain_bytes), PL_OK);
	fix_forge_sealed(fix, SGP, 1, PL_KIND_RECEIPTS, 0, (uint16_t[]){ FIN }, 1, plain, plain_bytes);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_receipt WHERE node = 2 AND type = 4"), 1);
	json_decref(sent);
	fix_free(fix);
}

Test(hotline_faults, receipts_wait_for_the_key_that_they_are_sealed_to)
{
	struct fix *fix = fix_new(3, 1);
	fix_start(fix, FIN);
	fix_pass(fix, FIN, 0, SGP, false);
	fix_start(fix, SGP);
	fix_settle(fix);
	char *id = send_message(fix, FIN, draft("SGP", "routine", "x")); /* lane 1 passes */
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_receipt WHERE seq = 0"), 2);
	fix_pass(fix, FIN, 0, SGP, true);
	fix_settle(fix);
	json_t *receipts = get(fix, FIN, 200, "/v1/messages/", id, "/receipts");
	fix_expect(receipts, "recipients.0.state", "decrypted");
	json_decref(receipts);
	free(id);
	fix_free(fix);
}

Test(hotline_faults, what_a_node_could_not_open_is_sent_to_it_again_once)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_pass(fix, FIN, 1, SGP, false);
	json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", draft("SGP", "routine", "Again"), 201);
	struct pl_receipt receipt = { .type = PL_RECEIPT_FAILED, .time_ms = 1, .reason = { "a bit fell over", 15 } };
	uint8_t plain[512];
	size_t plain_bytes;
	sodium_hex2bin(receipt.entry_id, sizeof(receipt.entry_id), fix_string(sent, "entry_id"), 64, NULL, NULL, NULL);
	cr_assert_eq(pl_receipts_write(&receipt, 1, plain, sizeof(plain), &plain_bytes), PL_OK);
	fix_forge_sealed(fix, SGP, 1, PL_KIND_RECEIPTS, 0, (uint16_t[]){ FIN }, 1, plain, plain_bytes);
	fix_settle(fix);
	json_t *receipts = get(fix, FIN, 200, "/v1/messages/", fix_string(sent, "id"), "/receipts");
	fix_expect(receipts, "recipients.0.state", "failed");
	fix_expect(receipts, "recipients.0.receipts.0.reason", "a bit fell over");
	json_decref(receipts);
	fix_advance(fix, PL_AGAIN_DELAY_MS);
	pl_hotline_resume(fix_app(fix, FIN)->hotline); /* as its timer does */
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_copy"), 1);
	fix_forge_sealed(fix, SGP, 1, PL_KIND_RECEIPTS, 0, (uint16_t[]){ FIN }, 1, plain, plain_bytes);
	fix_settle(fix);
	fix_advance(fix, PL_AGAIN_DELAY_MS);
	pl_hotline_resume(fix_app(fix, FIN)->hotline);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_copy"), 1, "nobody makes a node send for ever");
	fix_pass(fix, FIN, 1, SGP, true);
	fix_settle(fix);
	receipts = get(fix, FIN, 200, "/v1/messages/", fix_string(sent, "id"), "/receipts");
	fix_expect(receipts, "recipients.0.state", "decrypted");
	json_decref(receipts);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), 1);
	json_decref(sent);
	fix_free(fix);
}

Test(hotline_faults, an_entry_that_cannot_be_kept_does_not_stop_the_next)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	fix_sql(fix, CHE, "CREATE TRIGGER poison BEFORE INSERT ON hotline_message WHEN NEW.precedence = 2 BEGIN"
	                  " SELECT RAISE(ABORT, 'poison'); END");
	free(send_message(fix, FIN, draft("CHE", "priority", "Never")));
	free(send_message(fix, FIN, draft("CHE", "routine", "Now")));
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, CHE, "SELECT count(*) FROM hotline_message"), 1);
	fix_await(fix, CHE, "SELECT seq FROM applied WHERE node = 1 AND lane = 1", 2);
	fix_free(fix);
}

Test(hotline_faults, while_the_disk_is_full_an_entry_waits_and_is_then_kept)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	fix_deliver(fix, CHE, false);
	char text[2000];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (int i = 0; i < 10; i++)
		free(send_message(fix, FIN, draft("CHE", "routine", text)));
	fix_settle(fix);
	fix_refuse(fix, CHE, PL_ERR_DISK_FULL);
	fix_sql(fix, CHE, "PRAGMA max_page_count = 1"); /* which means: as many as there are */
	fix_deliver(fix, CHE, true);
	fix_settle(fix);
	cr_assert_lt(fix_sql(fix, CHE, "SELECT count(*) FROM hotline_message"), 10);
	cr_assert_gt(fix_failures(fix, CHE), 0, "the store says so");
	fix_sql(fix, CHE, "PRAGMA max_page_count = 1000000");
	fix_await(fix, CHE, "SELECT count(*) FROM hotline_message", 10);
	fix_free(fix);
}

static json_t *long_draft(char fill)
{
	char text[60001];
	memset(text, fill, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	return with(draft("CHE", "immediate", text), "id", json_string("00112233445566778899aabbccddeeff"));
}

Test(hotline_faults, what_is_durable_is_sent_although_there_is_no_room_to_list_it)
{
	static const char id[] = "00112233445566778899aabbccddeeff";
	struct fix *fix = fix_new(2, 1);
	char sql[60];
	fix_start_all(fix, 2);
	for (uint8_t lane = 0; lane < 2; lane++)
		fix_pass(fix, CHE, lane, FIN, false); /* FIN could not keep receipts either */
	/* Of a text of so many bytes the entry takes 16 pages, what is shown of it as many again. */
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count = %lld", (long long)fix_sql(fix, FIN, "PRAGMA page_count") + 20);
	fix_sql(fix, FIN, sql);
	json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", long_draft('x'), 201);
	fix_expect(sent, "listed", "false");
	cr_assert_gt(fix_failures(fix, FIN), 0);
	json_t *again = fix_call(fix, FIN, "POST", "/v1/messages", long_draft('x'), 201);
	cr_assert(json_equal(sent, again));
	json_decref(again);
	json_decref(fix_call(fix, FIN, "POST", "/v1/messages", long_draft('y'), 409));
	for (int i = 0; i < 2; i++) {
		json_t *error = get(fix, FIN, 503, "/v1/messages/", i == 0 ? id : "001122", "/receipts");
		fix_expect(error, "error.code", "not_opened_yet");
		json_decref(error);
	}
	fix_sql(fix, FIN, "PRAGMA max_page_count = 1000000");
	fix_await(fix, FIN, "SELECT count(*) FROM hotline_message", 1);
	json_t *message = get(fix, FIN, 200, "/v1/messages/", id, "");
	fix_expect(message, "ref", fix_string(sent, "ref"));
	json_decref(message);
	again = fix_call(fix, FIN, "POST", "/v1/messages", long_draft('x'), 201);
	fix_expect(again, "ref", fix_string(sent, "ref"));
	fix_expect(again, "listed", "true");
	json_decref(again);
	json_decref(sent);
	fix_await(fix, CHE, "SELECT count(*) FROM hotline_message", 1);
	fix_free(fix);
}

Test(hotline_faults, what_was_read_and_accepted_needs_no_room_to_be_so_again)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	char *id = send_message(fix, FIN, draft("CHE", "flash", "x")), path[300], name[400] = "";
	fix_settle(fix);
	json_decref(post(fix, CHE, 200, id, "accept", "Urs"));
	fix_settle(fix);
	fix_refuse(fix, CHE, PL_ERR_DISK_FULL);
	fix_sql(fix, CHE, "PRAGMA max_page_count = 1"); /* which means: as many as there are */
	snprintf(path, sizeof(path), "/v1/messages/%s/read", id);
	for (int i = 0, status = 200; status == 200; i++) {
		uint8_t *reply;
		size_t count;
		cr_assert_lt(i, 1000, "the disk is not full");
		snprintf(name, sizeof(name), "{\"operator\": \"%060d\"}", i);
		status = fix_call_bytes(fix, CHE, "POST", path, name, strlen(name), &reply, &count);
		free(reply);
		cr_assert(status == 200 || status == 507, "%d", status);
	}
	json_t *answer = post(fix, CHE, 507, id, "read", "Somebody else");
	fix_expect(answer, "error.message", "no receipt of this reading was made: disk full");
	json_decref(answer);
	json_decref(post(fix, CHE, 507, id, "accept", "Somebody else"));
	for (int i = 0; i < 2; i++) {
		answer = post(fix, CHE, 200, id, i == 0 ? "read" : "accept", "Urs");
		fix_expect(answer, "text", "x");
		fix_expect(answer, "unread", "false");
		fix_expect(answer, "accepted", "true");
		fix_expect(answer, "receipt.state", "repeated");
		json_decref(answer);
	}
	json_t *status = get(fix, CHE, 200, "/v1/status", "", "");
	fix_expect(status, "messages.unread", "0");
	fix_expect(status, "messages.unanswered_flash", "0");
	json_decref(status);
	free(id);
	fix_free(fix);
}

Test(hotline_faults, a_copy_with_an_attachment_more_is_another_message)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	forge(fix, FIN, SGP, 7, "FIN", "Once");
	forge_with(fix, FIN, SGP, 7, "FIN", "Once", 1);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_copy"), 0);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_refused"), 1);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_attachment"), 0);
	fix_free(fix);
}

Test(hotline_faults, an_attachment_that_cannot_be_checked_is_damaged_and_stands_in_nobodys_way)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	forge(fix, FIN, SGP, 7, "FIN", "Without");
	/* As stores have it in which a copy with more attachments than the first was taken. */
	fix_sql(fix, SGP, "INSERT INTO hotline_attachment (message, envelope, item, node, id, bytes, chunks, have, state)"
	                  " VALUES (1, 0, 0, 1, zeroblob(16), 0, 0, 0, 1), (1, 5, 3, 1, zeroblob(16), 0, 0, 0, 1),"
	                  " (77, 0, 0, 1, zeroblob(16), 0, 0, 0, 1)");
	forge_with(fix, FIN, SGP, 8, "FIN", "With", 1);
	fix_await(fix, SGP, "SELECT count(*) FROM hotline_attachment WHERE state = 1", 0);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_attachment WHERE state = 3"), 3);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT state FROM hotline_attachment WHERE message = 2"), 2);
	fix_free(fix);
}

Test(hotline_faults, a_message_comes_again_only_so_often)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	for (int i = 0; i < 67; i++)
		forge(fix, FIN, SGP, 7, "FIN", "Once");
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_copy"), 64);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_refused"), 2);
	fix_free(fix);
}

Test(hotline_faults, a_message_whose_precedence_is_not_that_of_its_entry_is_refused)
{
	static const struct { uint8_t lane, flags, precedence; bool is_shown; } cases[] = {
		{ 1, 0, PL_FLASH, false }, { 0, 0, PL_FLASH, false }, { 0, PL_FLAG_FLASH, PL_FLASH, true },
		{ 1, 0, PL_IMMEDIATE, false }, { 0, PL_FLAG_FLASH, PL_IMMEDIATE, false }, { 0, 0, PL_IMMEDIATE, true },
		{ 0, 0, PL_PRIORITY, false }, { 0, PL_FLAG_FLASH, PL_ROUTINE, false }, { 1, 0, PL_PRIORITY, true }, { 1, 0, PL_ROUTINE, true },
	};
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	int64_t shown = 0;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct forgery forgery = { .lane = cases[i].lane, .flags = cases[i].flags, .precedence = cases[i].precedence, .sender = "FIN",
		                           .id_byte = (uint8_t)(i + 1), .sent_ms = 1800000000000, .text = "Alarm" };
		forge_as(fix, FIN, SGP, &forgery);
		shown += cases[i].is_shown;
		cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), shown, "case %zu", i);
	}
	json_t *status = get(fix, SGP, 200, "/v1/status", "", "");
	fix_expect(status, "messages.unanswered_flash", "1");
	json_decref(status);
	fix_free(fix);
}

Test(hotline_faults, a_time_that_is_not_that_of_the_entry_is_told)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	static const struct { int64_t off_ms; const char *differ; } cases[] = { { 0, "false" }, { -50000, "false" }, { 50000, "false" },
		{ -70000, "true" }, { 70000, "true" } };
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct forgery forgery = { .lane = 1, .precedence = PL_ROUTINE, .sender = "FIN", .id_byte = (uint8_t)(i + 1), .text = "When",
		                           .sent_ms = (uint64_t)((int64_t)fix_wall(fix) + cases[i].off_ms) };
		struct fix_stream *stream = fix_follow(fix, SGP);
		forge_as(fix, FIN, SGP, &forgery);
		char expected[40];
		snprintf(expected, sizeof(expected), "\"times_differ\":%s", cases[i].differ);
		cr_assert(strstr(fix_heard(fix, stream), expected), "case %zu: %s", i, fix_heard(fix, stream));
		fix_unfollow(stream);
		json_t *list = get(fix, SGP, 200, "/v1/messages", "", "?limit=1");
		fix_expect(list, "messages.0.times_differ", cases[i].differ);
		json_decref(list);
	}
	fix_free(fix);
}

Test(hotline_faults, a_frozen_node_makes_no_receipt_and_says_so)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	char *first = send_message(fix, FIN, draft("SGP", "flash", "x")), *second = send_message(fix, FIN, draft("SGP", "routine", "y"));
	fix_settle(fix);
	json_t *answer = post(fix, SGP, 200, first, "accept", "Tan");
	fix_expect(answer, "receipt.type", "accepted");
	fix_expect(answer, "receipt.operator", "Tan");
	fix_expect(answer, "receipt.state", "new");
	fix_expect(answer, "receipt.ref", "null");
	json_decref(answer);
	fix_settle(fix);
	answer = post(fix, SGP, 200, first, "accept", "Tan");
	fix_expect(answer, "receipt.state", "repeated");
	cr_assert(strncmp(fix_string(answer, "receipt.ref"), "SGP/1/", 6) == 0);
	json_decref(answer);
	answer = post(fix, SGP, 200, first, "read", "Tan");
	fix_expect(answer, "receipt.type", "read");
	fix_expect(answer, "receipt.state", "repeated");
	json_decref(answer);
	int64_t rows = fix_sql(fix, SGP, "SELECT count(*) FROM hotline_receipt");

	fix_refuse(fix, SGP, PL_ERR_FORK);
	answer = post(fix, SGP, 409, second, "accept", "Tan");
	fix_expect(answer, "error.code", "feed_frozen");
	fix_expect(answer, "error.message", "the message was not accepted: this node's feed is frozen");
	json_decref(answer);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message WHERE unread = 1 AND accepted = 0"), 1, "nothing is recorded");
	answer = post(fix, SGP, 200, second, "read", "Tan");
	fix_expect(answer, "text", "y");
	fix_expect(answer, "unread", "false");
	fix_expect(answer, "receipt.state", "none");
	fix_expect(answer, "receipt.time", "null");
	json_decref(answer);
	answer = post(fix, SGP, 200, first, "read", "Tan"); /* of before: it is out */
	fix_expect(answer, "receipt.state", "repeated");
	json_decref(answer);
	json_decref(post(fix, SGP, 404, "00000000000000000000000000000000", "accept", "Tan"));
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_receipt"), rows, "and no receipt is owed");
	free(first);
	free(second);
	fix_free(fix);
}
