/* For tests of the hotline: messages in a line. CHE, FIN and SGP are three members of one node each. */
#ifndef PL_NODE_HOTLINE_FIXTURE_H
#define PL_NODE_HOTLINE_FIXTURE_H

#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"
#include "node/app_fixture.h"

enum { CHE, FIN, SGP }; /* node indices: members are sorted by code */

static inline json_t *draft(const char *to, const char *precedence, const char *text)
{
	return json_pack("{s[s] ss ss ss ss}", "to", to, "precedence", precedence, "subject", "Test", "text", text, "operator", "Aino");
}

/* Sends, and returns the message's id; free(). */
static inline char *send_message(struct fix *fix, uint16_t from, json_t *message)
{
	json_t *sent = fix_call(fix, from, "POST", "/v1/messages", message, 201);
	char *id = strdup(fix_string(sent, "id"));
	json_decref(sent);
	return id;
}

/* path is put together of three parts. */
static inline json_t *get(struct fix *fix, uint16_t node, int status, const char *before, const char *id, const char *after)
{
	char path[300];
	snprintf(path, sizeof(path), "%s%s%s", before, id, after);
	return fix_call(fix, node, "GET", path, NULL, status);
}

static inline json_t *post(struct fix *fix, uint16_t node, int status, const char *id, const char *action, const char *operator_name)
{
	char path[300];
	snprintf(path, sizeof(path), "/v1/messages/%s/%s", id, action);
	return fix_call(fix, node, "POST", path, operator_name ? json_pack("{ss}", "operator", operator_name) : NULL, status);
}

static inline json_t *with(json_t *message, const char *name, json_t *value)
{
	json_object_set_new(message, name, value);
	return message;
}

/* What a faulty author makes of a message: opened entries say what it holds. */
struct forgery {
	uint8_t lane, flags, id_byte, precedence, attachments_count; /* empty attachments */
	uint64_t sent_ms;
	const char *sender, *text;
};

static inline uint64_t forge_as(struct fix *fix, uint16_t author, uint16_t to, const struct forgery *forgery)
{
	struct pl_message message = { .precedence = forgery->precedence, .sent_ms = forgery->sent_ms, .operator_name = { "X", 1 },
	                              .subject = { "S", 1 }, .text = { forgery->text, strlen(forgery->text) }, .recipients_count = 1,
	                              .attachments_count = forgery->attachments_count };
	uint8_t plain[4096];
	size_t plain_bytes;
	memset(message.id, forgery->id_byte, sizeof(message.id));
	strcpy(message.sender, forgery->sender);
	memcpy(message.recipients[0].code, pl_api_member(fix_charter(fix), to), 4);
	for (uint8_t i = 0; i < message.attachments_count; i++) {
		message.attachments[i] = (struct pl_attachment){ .id = { i + 1 }, .name = { "f", 1 }, .media_type = { "a/b", 3 } };
		crypto_hash_sha256(message.attachments[i].sha256, NULL, 0);
	}
	cr_assert_eq(pl_message_write(&message, plain, sizeof(plain), &plain_bytes), PL_OK);
	uint64_t seq = fix_forge_sealed(fix, author, forgery->lane, PL_KIND_MESSAGE, forgery->flags, (uint16_t[]){ author, to }, 2, plain,
	                                plain_bytes);
	fix_settle(fix);
	return seq;
}

static inline uint64_t forge_with(struct fix *fix, uint16_t author, uint16_t to, uint8_t id_byte, const char *sender, const char *text,
                                  uint8_t attachments_count)
{
	struct forgery forgery = { .lane = 1, .id_byte = id_byte, .precedence = PL_ROUTINE, .attachments_count = attachments_count,
	                           .sent_ms = 1800000000000, .sender = sender, .text = text };
	return forge_as(fix, author, to, &forgery);
}

static inline uint64_t forge(struct fix *fix, uint16_t author, uint16_t to, uint8_t id_byte, const char *sender, const char *text)
{
	return forge_with(fix, author, to, id_byte, sender, text, 0);
}

#endif
