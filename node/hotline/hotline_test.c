/* The hotline between nodes, each with a real store, real encryption and its own API socket. */
#include <time.h>

#include "node/hotline/hotline_fixture.h"

Test(hotline, flash_is_sent_read_and_accepted_and_the_receipts_come_back)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);

	json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", draft("SGP", "flash", "Is this you?"), 201);
	fix_expect(sent, "ref", "FIN/0/2");
	fix_expect(sent, "to.0", "SGP");
	fix_expect(sent, "durable", "true");
	char *id = strdup(fix_string(sent, "id"));
	json_decref(sent);
	fix_settle(fix);

	json_t *inbox = get(fix, SGP, 200, "/v1/messages?box=in&unread=true", "", "");
	fix_expect(inbox, "messages.0.id", id);
	fix_expect(inbox, "messages.0.ref", "FIN/0/2");
	fix_expect(inbox, "messages.0.from", "FIN");
	fix_expect(inbox, "messages.0.to.0", "SGP");
	fix_expect(inbox, "messages.0.precedence", "flash");
	fix_expect(inbox, "messages.0.subject", "Test");
	fix_expect(inbox, "messages.0.unread", "true");
	fix_expect(inbox, "messages.0.receipts.SGP", "decrypted");
	fix_expect(inbox, "next", "null");
	json_decref(inbox);
	json_t *status = get(fix, SGP, 200, "/v1/status", "", "");
	fix_expect(status, "messages.unread", "1");
	fix_expect(status, "messages.unanswered_flash", "1");
	json_decref(status);

	/* GET changes nothing. */
	json_t *message = get(fix, SGP, 200, "/v1/messages/", id, "");
	fix_expect(message, "text", "Is this you?");
	fix_expect(message, "operator", "Aino");
	fix_expect(message, "unread", "true");
	json_decref(message);
	json_t *receipts = get(fix, FIN, 200, "/v1/messages/", id, "/receipts");
	fix_expect(receipts, "recipients.0.node", "SGP");
	fix_expect(receipts, "recipients.0.state", "decrypted");
	fix_expect(receipts, "recipients.0.receipts.0.type", "stored");
	fix_expect(receipts, "recipients.0.receipts.1.type", "decrypted");
	cr_assert(json_is_integer(json_object_get(receipts, "round_trip_ms")));
	json_decref(receipts);

	message = post(fix, SGP, 200, id, "read", "Bento");
	fix_expect(message, "unread", "false");
	fix_expect(message, "text", "Is this you?");
	json_decref(message);
	json_decref(post(fix, SGP, 200, id, "read", "Bento"));
	json_decref(post(fix, SGP, 200, id, "read", "Clara"));
	json_decref(post(fix, SGP, 200, id, "accept", "Clara"));
	fix_settle(fix);
	receipts = get(fix, FIN, 200, "/v1/messages/", id, "/receipts");
	fix_expect(receipts, "recipients.0.state", "accepted");
	fix_expect(receipts, "recipients.0.receipts.2.type", "read");
	fix_expect(receipts, "recipients.0.receipts.2.operator", "Bento");
	fix_expect(receipts, "recipients.0.receipts.3.type", "read");
	fix_expect(receipts, "recipients.0.receipts.3.operator", "Clara");
	fix_expect(receipts, "recipients.0.receipts.4.type", "accepted");
	cr_assert_eq(json_array_size(json_object_get(json_array_get(json_object_get(receipts, "recipients"), 0), "receipts")), 5);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_receipt"), 5, "one for each operator");
	json_decref(receipts);
	status = get(fix, SGP, 200, "/v1/status", "", "");
	fix_expect(status, "messages.unread", "0");
	fix_expect(status, "messages.unanswered_flash", "0");
	json_decref(status);

	/* The relay holds it and cannot read it. */
	json_t *refused = get(fix, CHE, 403, "/v1/messages/", "FIN%2F0%2F2", "");
	fix_expect(refused, "error.code", "not_a_recipient");
	json_decref(refused);
	json_decref(get(fix, CHE, 404, "/v1/messages/", id, ""));
	/* And the sender can read what it sent. */
	message = get(fix, FIN, 200, "/v1/messages/", id, "");
	fix_expect(message, "text", "Is this you?");
	fix_expect(message, "box", "out");
	fix_expect(message, "receipts.SGP", "accepted");
	json_decref(message);
	free(id);
	fix_free(fix);
}

static void expect_error(struct fix *fix, json_t *message, int status, const char *code, const char *word)
{
	json_t *error = fix_call(fix, FIN, "POST", "/v1/messages", message, status);
	fix_expect(error, "error.code", code);
	cr_assert(strstr(fix_string(error, "error.message"), word), "no \"%s\" in \"%s\"", word, fix_string(error, "error.message"));
	json_decref(error);
}

static json_t *of_bytes(size_t count)
{
	char *text = malloc(count);
	memset(text, 'x', count);
	json_t *json = json_stringn(text, count);
	free(text);
	return json;
}

Test(hotline, a_flash_over_quota_is_refused_with_the_time_until_the_next)
{
	struct fix *fix = fix_new(2, 1);
	fix_start(fix, FIN);
	fix_start(fix, CHE);
	fix_settle(fix);
	for (int i = 0; i < PL_FLASH_BURST; i++)
		json_decref(fix_call(fix, FIN, "POST", "/v1/messages", draft("CHE", "flash", "x"), 201));
	json_t *error = fix_call(fix, FIN, "POST", "/v1/messages", draft("CHE", "flash", "x"), 429);
	fix_expect(error, "error.code", "quota");
	fix_expect(error, "error.hint", "With precedence immediate it goes now.");
	json_int_t wait_ms = json_integer_value(json_object_get(json_object_get(error, "error"), "retry_after_ms"));
	cr_assert(wait_ms > 0 && wait_ms <= 6000);
	json_decref(error);
	json_decref(fix_call(fix, FIN, "POST", "/v1/messages", draft("CHE", "immediate", "x"), 201));
	fix_free(fix);
}

/* Pages of so many messages, one after the other; their places, newest first, with blanks between. */
static void list_places(struct fix *fix, uint16_t node, const char *filter, size_t limit, char *out, size_t out_max)
{
	char path[200];
	json_t *page = NULL;
	const char *next = "";
	out[0] = '\0';
	while (next) {
		snprintf(path, sizeof(path), "/v1/messages?limit=%zu%s%s%s", limit, filter, *next ? "&after=" : "", next);
		json_t *list = get(fix, node, 200, path, "", "");
		size_t count = json_array_size(json_object_get(list, "messages"));
		for (size_t i = 0; i < count; i++) {
			size_t used = strlen(out);
			snprintf(out + used, out_max - used, "%s ", json_string_value(json_object_get(json_array_get(json_object_get(list, "messages"), i), "ref")));
		}
		json_decref(page);
		page = list;
		next = json_string_value(json_object_get(list, "next"));
		cr_assert_eq(count, next ? limit : count);
	}
	json_decref(page);
}

/* All within one millisecond of the senders' clocks and of the reader's, and one whose sender's clock is minutes behind. */
Test(hotline, messages_of_one_moment_are_listed_in_one_order_the_last_to_arrive_first)
{
	static const struct { uint16_t from; const char *precedence; } sent[] = {
		{ FIN, "routine" }, { CHE, "priority" }, { FIN, "immediate" }, { FIN, "flash" }, { CHE, "routine" }, { FIN, "priority" }, { CHE, "flash" },
	};
	char expected[400] = "", flashes[100] = "", listed[400];
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		if (i == 4)
			fix_wall_jump(fix, -240000);
		json_t *reply = fix_call(fix, sent[i].from, "POST", "/v1/messages", draft("SGP", sent[i].precedence, "x"), 201);
		if (i == 4)
			fix_wall_jump(fix, 240000);
		char before[400];
		memcpy(before, expected, sizeof(before));
		snprintf(expected, sizeof(expected), "%s %.390s", fix_string(reply, "ref"), before);
		if (strcmp(sent[i].precedence, "flash") == 0) {
			memcpy(before, flashes, sizeof(flashes));
			snprintf(flashes, sizeof(flashes), "%s %.90s", fix_string(reply, "ref"), before);
		}
		json_decref(reply);
		fix_settle(fix); /* it has arrived before the next is sent */
	}
	for (size_t limit = 1; limit <= 8; limit++) {
		list_places(fix, SGP, "", limit, listed, sizeof(listed));
		cr_expect_str_eq(listed, expected, "in pages of %zu: %s", limit, listed);
		list_places(fix, SGP, "&box=in&unread=true&q=x", limit, listed, sizeof(listed));
		cr_expect_str_eq(listed, expected, "unread, in pages of %zu: %s", limit, listed);
		list_places(fix, SGP, "&precedence=flash", limit, listed, sizeof(listed));
		cr_expect_str_eq(listed, flashes, "in pages of %zu: %s", limit, listed);
	}
	/* Another start changes nothing. */
	fix_stop(fix, SGP);
	fix_start(fix, SGP);
	list_places(fix, SGP, "", 3, listed, sizeof(listed));
	cr_expect_str_eq(listed, expected);
	fix_free(fix);
}

Test(hotline, what_cannot_be_sent_is_refused_with_a_reason)
{
	struct fix *fix = fix_new(3, 1);
	fix_start(fix, FIN);
	fix_start(fix, SGP);
	fix_settle(fix);

	expect_error(fix, draft("XYZ", "flash", "x"), 422, "unknown_recipient", "XYZ is no member");
	expect_error(fix, draft("SGP.2", "flash", "x"), 422, "unknown_recipient", "SGP.2");
	expect_error(fix, draft("FIN", "flash", "x"), 422, "only_self", "no other node");
	expect_error(fix, draft("CHE", "flash", "x"), 409, "no_epoch_key", "CHE");
	expect_error(fix, with(draft("SGP", "flash", "x"), "info", json_pack("[s]", "CHE")), 409, "no_epoch_key", "CHE");
	expect_error(fix, with(draft("SGP", "flash", "x"), "info", json_pack("[s]", "SGP")), 422, "duplicate_recipient", "twice");
	expect_error(fix, with(draft("SGP", "flash", "x"), "info", json_pack("[s]", "sgp")), 422, "duplicate_recipient", "twice");
	expect_error(fix, with(draft("SGP", "flash", "x"), "to", json_array()), 422, "no_recipient", "nobody");
	expect_error(fix, draft("SGP", "urgent", "x"), 422, "bad_precedence", "urgent");
	expect_error(fix, draft("SGP", "override", "x"), 422, "bad_precedence", "override");
	expect_error(fix, with(draft("SGP", "flash", ""), "text", of_bytes(3073)), 413, "text_too_long", "3072");
	expect_error(fix, with(draft("SGP", "routine", ""), "text", of_bytes(60001)), 413, "text_too_long", "60000");
	expect_error(fix, with(draft("SGP", "flash", "x"), "subject", json_string("two\nlines")), 422, "bad_subject", "one line");
	expect_error(fix, with(draft("SGP", "flash", "x"), "subject", of_bytes(257)), 422, "bad_subject", "256");
	expect_error(fix, with(draft("SGP", "flash", "x"), "operator", json_string("")), 422, "bad_operator", "name");
	expect_error(fix, with(draft("SGP", "flash", ""), "subject", json_string("")), 422, "empty_message", "neither");
	expect_error(fix, with(draft("SGP", "flash", "x"), "expires", json_string("2020-01-01T00:00:00Z")), 422, "expired",
	             "before it is sent");
	expect_error(fix, with(draft("SGP", "flash", "x"), "expires", json_string("tomorrow")), 400, "bad_request", "no time");
	expect_error(fix, with(draft("SGP", "flash", "x"), "expire", json_string("2030-01-01T00:00:00Z")), 400, "bad_request", "expire");
	expect_error(fix, with(draft("SGP", "flash", "x"), "to", json_string("SGP")), 400, "bad_request", "list");
	expect_error(fix, with(draft("SGP", "flash", "x"), "to", json_pack("[i]", 7)), 400, "bad_request", "item 1");
	expect_error(fix, with(draft("SGP", "flash", "x"), "text", json_integer(7)), 400, "bad_request", "string");
	expect_error(fix, with(draft("SGP", "flash", "x"), "exercise", json_integer(1)), 400, "bad_request", "exercise");
	expect_error(fix, with(draft("SGP", "flash", "x"), "reply_to", json_string("nonsense")), 422, "unknown_message", "nonsense");
	expect_error(fix, with(draft("SGP", "flash", "x"), "reply_to", json_string("0123456789abcdef0123456789abcdef")), 422, "unknown_message",
	             "0123");
	expect_error(fix, with(draft("SGP", "flash", "x"), "attachments", json_pack("[s]", "zz")), 422, "unknown_attachment", "zz");
	expect_error(fix, with(draft("SGP", "flash", "x"), "attachments", json_pack("[s]", "0123456789abcdef0123456789abcdef")), 422,
	             "unknown_attachment", "attachment 1");
	fix_refuse(fix, FIN, PL_ERR_QUOTA);
	expect_error(fix, draft("SGP", "flash", "x"), 429, "quota", "not sent");
	fix_refuse(fix, FIN, PL_ERR_DISK_FULL);
	expect_error(fix, draft("SGP", "flash", "x"), 507, "disk_full", "not sent");
	fix_lanes(fix, FIN, 1);
	expect_error(fix, draft("SGP", "routine", "x"), 507, "disk_full", "kept for immediate and flash messages");
	expect_error(fix, draft("SGP", "flash", "x"), 507, "disk_full", "not sent: disk full");
	fix_lanes(fix, FIN, 3);
	fix_refuse(fix, FIN, PL_ERR_FORK);
	expect_error(fix, draft("SGP", "flash", "x"), 409, "feed_frozen", "the message was not sent: this node's feed is frozen");
	expect_error(fix, draft("CHE", "flash", "x"), 409, "feed_frozen", "the message was not sent: this node's feed is frozen");
	fix_refuse(fix, FIN, PL_OK);
	/* Nothing of all this has left a trace. */
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_message"), 0);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM entry WHERE kind <> 1"), 0);
	/* What is just within the limits goes; a member is named in any case. */
	free(send_message(fix, FIN, with(draft("sgp", "flash", ""), "text", of_bytes(3072))));
	free(send_message(fix, FIN, with(draft("SGP", "routine", ""), "text", of_bytes(60000))));
	free(send_message(fix, FIN, with(draft("SGP", "flash", ""), "expires", json_string("2040-01-01T00:00:00+03:00"))));
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message WHERE unread = 1"), 3);
	fix_free(fix);
}

Test(hotline, what_is_secret_is_nowhere_on_a_disk)
{
	static const char *const secrets[] = { "canary-subject-77", "canary-text-77", "canary-operator-77", "canary-reader-77" };
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	json_t *message = draft("SGP", "flash", secrets[1]);
	json_object_set_new(message, "subject", json_string(secrets[0]));
	json_object_set_new(message, "operator", json_string(secrets[2]));
	char *id = send_message(fix, FIN, message);
	fix_settle(fix);
	json_decref(post(fix, SGP, 200, id, "accept", secrets[3]));
	fix_settle(fix);
	for (uint16_t node = 0; node < 3; node++)
		for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++)
			cr_assert_not(fix_on_disk(fix, node, secrets[i], strlen(secrets[i])), "%s on the disk of node %u", secrets[i], node);
	cr_assert(fix_on_disk(fix, SGP, "hotline_message", 15), "the search itself works");
	free(id);
	fix_free(fix);
}

Test(hotline, the_inbox_is_paged_and_filtered)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	for (int i = 0; i < 12; i++) {
		json_t *message = draft("CHE", i % 4 == 0 ? "immediate" : "routine", "x");
		char subject[20];
		snprintf(subject, sizeof(subject), "Number %d", i);
		json_object_set_new(message, "subject", json_string(subject));
		free(send_message(fix, FIN, message));
		fix_settle(fix);
	}
	json_t *page = get(fix, CHE, 200, "/v1/messages", "", "?box=in&limit=5");
	fix_expect(page, "messages.0.subject", "Number 11");
	fix_expect(page, "messages.4.subject", "Number 7");
	char *next = strdup(fix_string(page, "next"));
	for (char *at; (at = strchr(next, '/'));)
		*at = '!';
	char query[80], *out = query + sprintf(query, "?limit=7&after=");
	for (const char *at = next; *at; at++)
		out += sprintf(out, *at == '!' ? "%%2F" : "%c", *at);
	json_decref(page);
	page = get(fix, CHE, 200, "/v1/messages", "", query);
	fix_expect(page, "messages.0.subject", "Number 6");
	fix_expect(page, "messages.6.subject", "Number 0");
	fix_expect(page, "next", "null");
	json_decref(page);
	page = get(fix, CHE, 200, "/v1/messages", "", "?precedence=immediate&unread=true");
	cr_assert_eq(json_array_size(json_object_get(page, "messages")), 3);
	json_decref(page);
	/* Whether more match is known: a page that is just full is the last one. */
	static const char *const full[] = { "?precedence=immediate&limit=3", "?q=number%201&limit=3", "?q=number%200&limit=1", "?q=number&limit=12" };
	for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
		page = get(fix, CHE, 200, "/v1/messages", "", full[i]);
		cr_assert_gt(json_array_size(json_object_get(page, "messages")), 0u);
		cr_expect(json_is_null(json_object_get(page, "next")), "%s goes on", full[i]);
		json_decref(page);
	}
	page = get(fix, CHE, 200, "/v1/messages", "", "?q=number%201&limit=2");
	fix_expect(page, "messages.1.subject", "Number 10");
	snprintf(query, sizeof(query), "?q=number%%201&limit=2&after=%s", fix_string(page, "next"));
	json_decref(page);
	page = get(fix, CHE, 200, "/v1/messages", "", query);
	fix_expect(page, "messages.0.subject", "Number 1");
	cr_assert_eq(json_array_size(json_object_get(page, "messages")), 1);
	fix_expect(page, "next", "null");
	json_decref(page);
	page = get(fix, CHE, 200, "/v1/messages", "", "?box=out");
	cr_assert_eq(json_array_size(json_object_get(page, "messages")), 0);
	json_decref(page);
	static const char *const wrong[][2] = { { "?box=sent", "\"sent\"" }, { "?unread=1", "\"1\"" }, { "?precedence=hasty", "\"hasty\"" },
		                                { "?accepted=true", "\"true\"" }, { "?limit=0", "\"0\"" }, { "?limit=many", "\"many\"" } };
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		page = get(fix, CHE, 400, "/v1/messages", "", wrong[i][0]);
		cr_expect_not_null(strstr(fix_string(page, "error.message"), wrong[i][1]), "%s: what cannot be is named", wrong[i][0]);
		json_decref(page);
	}
	json_decref(get(fix, CHE, 400, "/v1/messages/", "nonsense", ""));
	json_decref(get(fix, CHE, 404, "/v1/messages/", "abcdef01", ""));
	json_decref(get(fix, CHE, 404, "/v1/messages/", "FIN%2F0%2F1", "")); /* a key, not a message */
	free(next);
	fix_free(fix);
}

Test(hotline, a_message_is_named_by_the_first_digits_of_its_id)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	char *id = send_message(fix, FIN, draft("CHE", "routine", "x"));
	char first[7];
	memcpy(first, id, 6);
	first[6] = '\0';
	json_t *message = get(fix, FIN, 200, "/v1/messages/", first, "");
	fix_expect(message, "id", id);
	json_decref(message);
	forge(fix, FIN, CHE, 0x77, "FIN", "a");
	json_t *reply = with(draft("CHE", "routine", "An answer"), "reply_to", json_string("777777"));
	char *reply_id = send_message(fix, FIN, reply);
	message = get(fix, FIN, 200, "/v1/messages/", reply_id, "");
	fix_expect(message, "reply_to", "77777777777777777777777777777777");
	json_decref(message);
	free(reply_id);
	free(id);
	fix_free(fix);
}

Test(hotline, a_member_with_three_nodes_reads_and_follows_on_each)
{
	struct fix *fix = fix_new(2, 3); /* CHE, CHE.2, CHE.3, FIN, FIN.2, FIN.3 */
	fix_start_all(fix, 6);
	fix_pass(fix, 3, 0, 4, false); /* FIN.2 gets the receipts before the message */
	char *id = NULL;
	json_t *sent = fix_call(fix, 3, "POST", "/v1/messages", draft("CHE", "flash", "To all three"), 201);
	id = strdup(fix_string(sent, "id"));
	json_decref(sent);
	fix_settle(fix);
	json_decref(post(fix, 1, 200, id, "accept", "Urs"));
	fix_settle(fix);
	fix_pass(fix, 3, 0, 4, true);
	fix_settle(fix);
	for (uint16_t node = 3; node < 6; node++) {
		json_t *receipts = get(fix, node, 200, "/v1/messages/", id, "/receipts");
		fix_expect(receipts, "recipients.0.node", "CHE");
		fix_expect(receipts, "recipients.0.state", "decrypted");
		fix_expect(receipts, "recipients.1.node", "CHE.2");
		fix_expect(receipts, "recipients.1.state", "accepted");
		fix_expect(receipts, "recipients.2.state", "decrypted");
		cr_assert(json_is_integer(json_object_get(receipts, "round_trip_ms")), "node %u", node);
		json_decref(receipts);
		json_t *message = get(fix, node, 200, "/v1/messages/", id, "");
		fix_expect(message, "text", "To all three");
		fix_expect(message, "box", "out");
		fix_expect(message, "unread", "false");
		json_decref(message);
	}
	json_t *error = post(fix, 5, 409, id, "accept", "Aino");
	fix_expect(error, "error.code", "own_message");
	json_decref(error);
	free(id);
	fix_free(fix);
}

Test(hotline, nodes_without_a_key_are_named_and_nothing_is_said_to_be_sent_to_them)
{
	struct fix *fix = fix_new(2, 2); /* CHE, CHE.2, FIN, FIN.2, of which CHE.2 and FIN.2 have not come up yet */
	fix_start(fix, 0);
	fix_start(fix, 2);
	fix_settle(fix);
	json_t *refused = fix_call(fix, 2, "POST", "/v1/messages", draft("FIN", "flash", "x"), 409);
	fix_expect(refused, "error.code", "no_epoch_key"); /* nobody could ever read it */
	json_decref(refused);
	char *id = NULL;
	for (int again = 0; again < 2; again++) {
		json_t *body = with(draft("CHE", "flash", "To both"), "id", json_string("00112233445566778899aabbccddeeff"));
		json_t *sent = fix_call(fix, 2, "POST", "/v1/messages", with(body, "info", json_pack("[s]", "FIN")), 201);
		cr_assert_eq(json_array_size(json_object_get(sent, "no_key")), 2, "in call %d", again);
		fix_expect(sent, "no_key.0", "CHE.2");
		fix_expect(sent, "no_key.1", "FIN.2");
		if (!id)
			id = strdup(fix_string(sent, "id"));
		json_decref(sent);
		fix_settle(fix);
	}
	fix_start(fix, 1);
	fix_start(fix, 3);
	fix_settle(fix);
	json_t *receipts = get(fix, 2, 200, "/v1/messages/", id, "/receipts");
	fix_expect(receipts, "recipients.0.node", "CHE");
	fix_expect(receipts, "recipients.0.state", "decrypted");
	fix_expect(receipts, "recipients.1.node", "CHE.2");
	fix_expect(receipts, "recipients.1.state", "no_key"); /* also now that it has one */
	fix_expect(receipts, "recipients.1.info", "false");
	fix_expect(receipts, "recipients.2.info", "true");
	fix_expect(receipts, "recipients.2.node", "FIN.2");
	fix_expect(receipts, "recipients.2.state", "no_key");
	cr_assert(json_is_integer(json_object_get(receipts, "round_trip_ms")), "all that can read it have");
	json_decref(receipts);
	json_t *outbox = get(fix, 2, 200, "/v1/messages?box=out", "", "");
	cr_assert_str_eq(json_string_value(json_object_get(json_object_get(json_array_get(json_object_get(outbox, "messages"), 0), "receipts"), "CHE.2")),
	                 "no_key");
	json_decref(outbox);
	json_decref(get(fix, 1, 403, "/v1/messages/", "FIN%2F0%2F2", ""));
	json_t *sent = fix_call(fix, 2, "POST", "/v1/messages", draft("CHE", "flash", "To both, with keys"), 201);
	cr_assert_eq(json_array_size(json_object_get(sent, "no_key")), 0);
	json_decref(sent);
	fix_settle(fix);
	free(id);
	fix_free(fix);
}

Test(hotline, clients_that_follow_events_hear_of_messages_and_receipts)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	struct fix_stream *che = fix_follow(fix, CHE), *fin = fix_follow(fix, FIN);
	char *id = send_message(fix, FIN, draft("CHE", "flash", "x"));
	fix_settle(fix);
	json_decref(post(fix, CHE, 200, id, "accept", "Urs"));
	fix_settle(fix);
	const char *text = fix_heard(fix, che);
	cr_assert(strstr(text, "event: message\n") && strstr(text, id) && strstr(text, "\"box\":\"in\""), "%s", text);
	cr_assert(strstr(text, "event: entry\n") && strstr(text, "\"ref\":\"FIN/0/2\""), "%s", text);
	cr_assert_null(strstr(text, "event: receipt\n"), "those are for the sender");
	text = fix_heard(fix, fin);
	cr_assert(strstr(text, "event: message\n") && strstr(text, "\"box\":\"out\""), "%s", text);
	const char *decrypted = strstr(text, "\"type\":\"decrypted\""), *accepted = strstr(text, "\"type\":\"accepted\"");
	cr_assert(decrypted && accepted && decrypted < accepted, "%s", text);
	cr_assert(strstr(text, "\"operator\":\"Urs\""), "%s", text);
	fix_unfollow(che);
	fix_unfollow(fin);
	free(id);
	fix_free(fix);
}

/* Of the processor, by all threads, whoever else uses it. */
static uint64_t spent_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

Test(hotline, a_hundred_thousand_messages_do_not_slow_the_start_nor_the_inbox)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	fix_sql(fix, CHE, "WITH RECURSIVE c (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 100000) INSERT INTO hotline_message"
	                  " (id, node, lane, seq, entry_id, box, precedence, sent, received, exercise, attachments, unread, accepted, unfinished,"
	                  " head, text, cek) SELECT randomblob(16), 1, 1, 1000000 + i, randomblob(32), 1, 1, 0, 0, 0, 0, i % 2, 0, 0,"
	                  " randomblob(200), randomblob(200), randomblob(72) FROM c");
	for (int i = 0; i < 20; i++) /* as many FLASH as a burst may have */
		free(send_message(fix, FIN, draft("CHE", "flash", "x")));
	fix_settle(fix);
	fix_stop(fix, CHE);
	uint64_t begun_ms = spent_ms();
	fix_start(fix, CHE);
	json_t *status = get(fix, CHE, 200, "/v1/status", "", "");
	uint64_t start_ms = spent_ms() - begun_ms;
	fix_expect(status, "messages.unread", "50020");
	fix_expect(status, "messages.unanswered_flash", "20");
	json_decref(status);
	static const char *const queries[] = { "", "?box=in", "?unread=true", "?precedence=flash", "?box=in&precedence=flash&unread=true" };
	uint64_t longest_ms = 0;
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		char query[80];
		snprintf(query, sizeof(query), "%s%slimit=20", queries[i], queries[i][0] ? "&" : "?");
		begun_ms = spent_ms();
		json_t *page = get(fix, CHE, 200, "/v1/messages", "", query);
		cr_assert_eq(json_array_size(json_object_get(page, "messages")), 20);
		uint64_t ms = spent_ms() - begun_ms;
		longest_ms = ms > longest_ms ? ms : longest_ms;
		json_decref(page);
	}
	cr_log_info("start %llu ms, longest list %llu ms", (unsigned long long)start_ms, (unsigned long long)longest_ms);
	cr_assert_lt(start_ms, 1000u);
	cr_assert_lt(longest_ms, 500u);
	fix_free(fix);
}

Test(hotline, a_message_to_more_than_63_nodes_goes_in_several_envelopes, .timeout = 120)
{
	enum { MEMBERS = 68 };
	struct fix *fix = fix_new(MEMBERS, 1);
	const struct pl_charter *charter = fix_charter(fix);
	uint16_t sender = pl_charter_find_name(charter, "FIN"), first = pl_charter_find_name(charter, "BRA"), last = MEMBERS - 1;
	/* Only three nodes hear of others; the rest just show their keys. */
	for (uint16_t to = 0; to < MEMBERS; to++)
		for (uint16_t author = 0; author < MEMBERS; author++)
			for (uint8_t lane = 0; lane < PL_LANES; lane++)
				if (to != sender && to != first && to != last)
					fix_pass(fix, author, lane, to, false);
	for (uint16_t node = 0; node < MEMBERS; node++)
		fix_start(fix, node);
	fix_settle(fix);
	json_t *to = json_array();
	for (uint16_t member = 0; member < MEMBERS; member++)
		if (strcmp(charter->members[member].code, "FIN") != 0)
			json_array_append_new(to, json_string(charter->members[member].code));
	uint8_t file[100] = { 1 }, *reply;
	size_t reply_bytes;
	cr_assert_eq(fix_call_bytes(fix, sender, "POST", "/v1/attachments?name=a", file, sizeof(file), &reply, &reply_bytes), 201);
	json_t *uploaded = json_loadb((char *)reply, reply_bytes, 0, NULL);
	json_t *message = draft("BRA", "flash", "To all");
	json_object_set_new(message, "to", to);
	json_object_set_new(message, "attachments", json_pack("[s]", fix_string(uploaded, "token")));
	char *id = send_message(fix, sender, message);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, sender, "SELECT count(*) FROM hotline_copy"), 1);
	cr_assert_eq(fix_sql(fix, sender, "SELECT unfinished FROM hotline_message"), 0);
	cr_assert_eq(fix_sql(fix, sender, "SELECT count(*) FROM hotline_recipient"), MEMBERS - 1);
	cr_assert_eq(fix_sql(fix, sender, "SELECT count(*) FROM hotline_upload"), 0);
	cr_assert_eq(fix_sql(fix, sender, "SELECT count(*) FROM hotline_attachment WHERE state = 2"), 2, "sealed once for each envelope");
	/* The first is among the first 63, the last one among the others. */
	for (int i = 0; i < 2; i++) {
		uint16_t node = i ? last : first;
		json_t *got = get(fix, node, 200, "/v1/messages/", id, "");
		fix_expect(got, "text", "To all");
		fix_expect(got, "attachments.0.complete", "true");
		json_decref(got);
		char path[100];
		uint8_t *content;
		size_t count;
		snprintf(path, sizeof(path), "/v1/messages/%s/attachments/1", id);
		cr_assert_eq(fix_call_bytes(fix, node, "GET", path, NULL, 0, &content, &count), 200);
		cr_assert(count == sizeof(file) && memcmp(content, file, count) == 0);
		free(content);
	}
	cr_assert_eq(fix_sql(fix, sender, "SELECT count(*) FROM hotline_recipient WHERE state = 2"), 2);
	json_decref(uploaded);
	free(reply);
	free(id);

	/* Killed after the first envelope: the rest goes after the restart, to those that have not confirmed. */
	fix_deliver(fix, sender, false);
	to = json_array();
	for (uint16_t member = 0; member < MEMBERS; member++)
		if (strcmp(charter->members[member].code, "FIN") != 0)
			json_array_append_new(to, json_string(charter->members[member].code));
	message = draft("BRA", "flash", "Again to all");
	json_object_set_new(message, "to", to);
	char *text = json_dumps(message, 0);
	cr_assert_eq(fix_post_and_stop(fix, sender, "/v1/messages", text), 201);
	cr_assert_eq(fix_sql(fix, first, "SELECT count(*) FROM hotline_message"), 2);
	cr_assert_eq(fix_sql(fix, last, "SELECT count(*) FROM hotline_message"), 1);
	fix_deliver(fix, sender, true);
	fix_start(fix, sender);
	fix_settle(fix);
	fix_await(fix, sender, "SELECT count(*) FROM hotline_message WHERE unfinished = 1", 0); /* housekeeping comes 3 s after the start */
	cr_assert_eq(fix_sql(fix, first, "SELECT count(*) FROM hotline_message"), 2);
	cr_assert_eq(fix_sql(fix, last, "SELECT count(*) FROM hotline_message"), 2);
	json_decref(message);
	free(text);
	fix_free(fix);
}

Test(hotline, a_call_that_is_said_again_under_its_id_sends_nothing_again)
{
	static const char id[] = "00112233445566778899aabbccddeeff";
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	json_t *first = fix_call(fix, FIN, "POST", "/v1/messages", with(draft("SGP", "priority", "Once"), "id", json_string(id)), 201);
	fix_expect(first, "id", id);
	for (int restarted = 0; restarted < 2; restarted++) {
		json_t *again = fix_call(fix, FIN, "POST", "/v1/messages", with(draft("SGP", "priority", "Once"), "id", json_string(id)), 201);
		cr_assert(json_equal(first, again), "the answer is the one of the first time");
		json_decref(again);
		json_t *error = fix_call(fix, FIN, "POST", "/v1/messages", with(draft("SGP", "priority", "Other"), "id", json_string(id)), 409);
		fix_expect(error, "error.code", "id_in_use");
		json_decref(error);
		fix_settle(fix);
		fix_stop(fix, FIN);
		fix_start(fix, FIN);
		fix_settle(fix);
	}
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM entry WHERE kind = 2 AND node = 1"), 1);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), 1);
	json_t *error = fix_call(fix, FIN, "POST", "/v1/messages", with(draft("SGP", "priority", "Once"), "id", json_string("0011")), 422);
	fix_expect(error, "error.code", "bad_new_id");
	json_decref(error);
	json_decref(first);
	fix_free(fix);
}

Test(hotline, calls_under_one_id_at_the_same_time_send_one_message)
{
	static const char *const precedences[] = { "routine", "flash" };
	static const char *const ids[] = { "00112233445566778899aabbccddee00", "00112233445566778899aabbccddee01" };
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	for (int i = 0; i < 2; i++) {
		json_t *once = with(draft("SGP", precedences[i], "Once"), "id", json_string(ids[i]));
		json_t *other = with(draft("SGP", precedences[i], "Other"), "id", json_string(ids[i]));
		char *texts[] = { json_dumps(once, 0), json_dumps(once, 0), json_dumps(other, 0), json_dumps(once, 0) };
		struct fix_together calls[4];
		for (int k = 0; k < 4; k++)
			calls[k] = (struct fix_together){ .method = "POST", .path = "/v1/messages", .body = texts[k], .body_bytes = strlen(texts[k]) };
		fix_call_together(fix, FIN, calls, 4);
		/* Which one is the first nobody can know; what the others are told follows from it. */
		bool other_is_first = calls[2].status == 201;
		json_t *sent = NULL;
		for (int k = 0; k < 4; k++) {
			json_t *reply = json_loads((char *)calls[k].reply, 0, NULL);
			if ((k == 2) == other_is_first) {
				cr_assert_eq(calls[k].status, 201, "%s", (char *)calls[k].reply);
				fix_expect(reply, "id", ids[i]);
				cr_assert(!sent || json_equal(sent, reply), "all are told of the one message");
				sent = sent ? sent : json_incref(reply);
			} else {
				cr_assert_eq(calls[k].status, 409);
				fix_expect(reply, "error.code", "id_in_use");
			}
			json_decref(reply);
			free(calls[k].reply);
			free(texts[k]);
		}
		fix_settle(fix);
		cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM entry WHERE kind = 2 AND node = 1"), i + 1);
		cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), i + 1);
		json_decref(sent);
		json_decref(once);
		json_decref(other);
	}
	fix_free(fix);
}

Test(hotline, a_call_that_was_cut_off_by_the_end_of_the_daemon_can_be_said_again)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_deliver(fix, FIN, false);
	json_t *body = with(draft("SGP", "priority", "Before the end"), "id", json_string("00112233445566778899aabbccddeeff"));
	char *text = json_dumps(body, 0);
	fix_post_and_stop(fix, FIN, "/v1/messages", text);
	free(text);
	fix_start(fix, FIN);
	/* The entry is there, and nobody has looked at it. */
	json_t *error = fix_call(fix, FIN, "POST", "/v1/messages", json_incref(body), 503);
	fix_expect(error, "error.code", "not_ready");
	json_decref(error);
	fix_stop(fix, FIN);
	fix_deliver(fix, FIN, true);
	fix_start(fix, FIN);
	fix_settle(fix);
	json_t *again = fix_call(fix, FIN, "POST", "/v1/messages", body, 201);
	fix_expect(again, "ref", "FIN/1/1");
	json_decref(again);
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_message"), 1);
	fix_free(fix);
}
