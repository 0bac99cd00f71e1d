/* The hotline between nodes, each with a real store, real encryption and its own API socket. CHE, FIN and SGP are three members of one node each. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/app_fixture.h"

enum { CHE, FIN, SGP }; /* node indices: members are sorted by code */

static json_t *draft(const char *to, const char *precedence, const char *text)
{
	return json_pack("{s[s] ss ss ss ss}", "to", to, "precedence", precedence, "subject", "Test", "text", text, "operator", "Aino");
}

/* Sends, and returns the message's id; free(). */
__attribute__((unused)) static char *send_message(struct fix *fix, uint16_t from, json_t *message)
{
	json_t *sent = fix_call(fix, from, "POST", "/v1/messages", message, 201);
	char *id = strdup(fix_string(sent, "id"));
	json_decref(sent);
	return id;
}

/* path is put together of three parts. */
static json_t *get(struct fix *fix, uint16_t node, int status, const char *before, const char *id, const char *after)
{
	char path[300];
	snprintf(path, sizeof(path), "%s%s%s", before, id, after);
	return fix_call(fix, node, "GET", path, NULL, status);
}

static json_t *post(struct fix *fix, uint16_t node, int status, const char *id, const char *action, const char *operator_name)
{
	char path[300];
	snprintf(path, sizeof(path), "/v1/messages/%s/%s", id, action);
	return fix_call(fix, node, "POST", path, operator_name ? json_pack("{ss}", "operator", operator_name) : NULL, status);
}

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
