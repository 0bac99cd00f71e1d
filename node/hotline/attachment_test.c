/* Attachments between nodes: staged, cut, sealed, put together, checked. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/app_fixture.h"

enum { CHE, FIN, SGP };

static uint8_t *content_of(size_t count, uint8_t seed)
{
	static const char canary[] = "canary-attachment-77";
	uint8_t *content = malloc(count + 1);
	uint8_t key[randombytes_SEEDBYTES] = { seed };
	randombytes_buf_deterministic(content, count, key);
	if (count > sizeof(canary))
		memcpy(content + count / 2, canary, sizeof(canary) - 1);
	return content;
}

static char *upload(struct fix *fix, const char *query, const uint8_t *content, size_t count)
{
	char path[200];
	uint8_t *reply;
	size_t reply_bytes;
	snprintf(path, sizeof(path), "/v1/attachments?%s", query);
	int status = fix_call_bytes(fix, FIN, "POST", path, content, count, &reply, &reply_bytes);
	cr_assert_eq(status, 201, "%s", (char *)reply);
	json_t *json = json_loadb((char *)reply, reply_bytes, 0, NULL);
	uint8_t sha256[32];
	char hex[65];
	crypto_hash_sha256(sha256, content, count);
	fix_expect(json, "sha256", sodium_bin2hex(hex, sizeof(hex), sha256, sizeof(sha256)));
	char *token = strdup(fix_string(json, "token"));
	json_decref(json);
	free(reply);
	return token;
}

static json_t *message_with(const char *token)
{
	return json_pack("{s[s] ss ss ss s[s]}", "to", "SGP", "precedence", "priority", "subject", "Report", "operator", "Aino", "attachments",
	                 token);
}

static json_t *message_of(struct fix *fix, uint16_t node, const char *id)
{
	char path[100];
	snprintf(path, sizeof(path), "/v1/messages/%s", id);
	return fix_call(fix, node, "GET", path, NULL, 200);
}

static void expect_content(struct fix *fix, uint16_t node, const char *id, const uint8_t *content, size_t count)
{
	char path[100];
	uint8_t *reply;
	size_t reply_bytes;
	snprintf(path, sizeof(path), "/v1/messages/%s/attachments/1", id);
	int status = fix_call_bytes(fix, node, "GET", path, NULL, 0, &reply, &reply_bytes);
	cr_assert_eq(status, 200, "%.*s", (int)(reply_bytes < 300 ? reply_bytes : 300), (char *)reply);
	cr_assert_eq(reply_bytes, count);
	cr_assert(memcmp(reply, content, count) == 0);
	free(reply);
}

static int status_of(struct fix *fix, uint16_t node, const char *path, const char *code)
{
	uint8_t *reply;
	size_t reply_bytes;
	int status = fix_call_bytes(fix, node, "GET", path, NULL, 0, &reply, &reply_bytes);
	json_t *json = json_loadb((char *)reply, reply_bytes, 0, NULL);
	fix_expect(json, "error.code", code);
	json_decref(json);
	free(reply);
	return status;
}

Test(attachment, what_is_left_of_the_disk_is_for_messages)
{
	enum { BYTES = 20 * PL_CHUNK_BYTES };
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	uint8_t *content = content_of(BYTES, 1), *reply;
	size_t reply_bytes;
	/* There is room for it once, but it takes its place twice. */
	fix_room(fix, FIN, BYTES + BYTES / 2);
	cr_assert_eq(fix_call_bytes(fix, FIN, "POST", "/v1/attachments?name=a", content, BYTES, &reply, &reply_bytes), 507);
	free(reply);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_upload_chunk"), 0);

	/* There was room when it was handed in, and is none when it is to be sent. */
	fix_room(fix, FIN, UINT64_MAX);
	char *token = upload(fix, "name=a", content, BYTES);
	fix_room(fix, FIN, 1000);
	json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", message_with(token), 201);
	fix_settle(fix);
	json_t *message = message_of(fix, SGP, fix_string(sent, "id"));
	fix_expect(message, "attachments.0.have_chunks", "0");
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM entry WHERE lane = 2"), 0);
	fix_room(fix, FIN, UINT64_MAX);
	fix_settle(fix); /* and the pump tries again */
	while (fix_sql(fix, FIN, "SELECT count(*) FROM hotline_upload") > 0)
		fix_settle(fix);
	expect_content(fix, SGP, fix_string(sent, "id"), content, BYTES);
	json_decref(message);
	json_decref(sent);
	free(token);
	free(content);
	fix_free(fix);
}

Test(attachment, any_size_arrives_byte_for_byte)
{
	static const size_t sizes[] = { 0, 1, PL_CHUNK_BYTES - 1, PL_CHUNK_BYTES, PL_CHUNK_BYTES + 1, 20 * PL_CHUNK_BYTES + 5 };
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *content = content_of(sizes[i], (uint8_t)i);
		char *token = upload(fix, "name=report.pdf&type=application/pdf", content, sizes[i]);
		json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", message_with(token), 201);
		char *id = strdup(fix_string(sent, "id"));
		fix_settle(fix);
		json_t *message = message_of(fix, SGP, id);
		fix_expect(message, "attachments.0.n", "1");
		fix_expect(message, "attachments.0.name", "report.pdf");
		fix_expect(message, "attachments.0.type", "application/pdf");
		fix_expect(message, "attachments.0.complete", "true");
		expect_content(fix, SGP, id, content, sizes[i]);
		expect_content(fix, FIN, id, content, sizes[i]);
		/* The upload has served. */
		cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_upload"), 0);
		json_decref(message);
		json_decref(sent);
		free(id);
		free(token);
		free(content);
	}
	cr_assert(!fix_on_disk(fix, FIN, "canary-attachment-77", 20) && !fix_on_disk(fix, SGP, "canary-attachment-77", 20));
	cr_assert_eq(status_of(fix, CHE, "/v1/messages/FIN%2F1%2F1/attachments/1", "not_a_recipient"), 403);
	cr_assert_eq(status_of(fix, SGP, "/v1/messages/FIN%2F1%2F1/attachments/2", "unknown_attachment"), 404);
	cr_assert_eq(status_of(fix, SGP, "/v1/messages/FIN%2F1%2F1/attachments/x", "unknown_attachment"), 404);
	fix_free(fix);
}

Test(attachment, chunks_may_come_before_their_message_and_after_it)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	size_t count = 3 * PL_CHUNK_BYTES;
	for (int first = 0; first < 2; first++) {
		uint8_t *content = content_of(count, (uint8_t)first);
		char *token = upload(fix, "name=a", content, count), path[100];
		uint8_t held = first ? 1 : 2; /* the lane that is held back: the message's, or the chunks' */
		fix_pass(fix, FIN, held, SGP, false);
		json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", message_with(token), 201);
		const char *id = fix_string(sent, "id");
		fix_settle(fix);
		if (held == 2) {
			json_t *message = message_of(fix, SGP, id);
			fix_expect(message, "attachments.0.complete", "false");
			fix_expect(message, "attachments.0.have_chunks", "0");
			fix_expect(message, "attachments.0.chunks", "3");
			json_decref(message);
			snprintf(path, sizeof(path), "/v1/messages/%s/attachments/1", id);
			cr_assert_eq(status_of(fix, SGP, path, "incomplete"), 409);
		}
		fix_pass(fix, FIN, held, SGP, true);
		fix_settle(fix);
		expect_content(fix, SGP, id, content, count);
		json_decref(sent);
		free(token);
		free(content);
	}
	fix_free(fix);
}

Test(attachment, the_sender_goes_on_after_a_restart)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	size_t count = 30 * PL_CHUNK_BYTES;
	uint8_t *content = content_of(count, 1);
	char *token = upload(fix, "name=a", content, count), text[300];
	snprintf(text, sizeof(text), "{\"to\":[\"SGP\"],\"subject\":\"x\",\"attachments\":[\"%s\"]}", token);
	/* It stops as soon as its first entry, the message, is written. */
	fix_deliver(fix, FIN, false);
	cr_assert_eq(fix_post_and_stop(fix, FIN, "/v1/messages", text), 201);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT have FROM hotline_attachment"), 0);
	fix_deliver(fix, FIN, true);
	fix_start(fix, FIN);
	fix_settle(fix);
	json_t *list = fix_call(fix, SGP, "GET", "/v1/messages", NULL, 200);
	expect_content(fix, SGP, fix_string(list, "messages.0.id"), content, count);
	json_decref(list);
	free(token);
	free(content);
	fix_free(fix);
}

/* A message that announces a file of the three bytes "abc", and a chunk: garbage, another file's, or this one's. */
static void expect_damaged(const char *content, bool damaged)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	struct pl_message message = { .precedence = PL_ROUTINE, .sent_ms = 1800000000000, .sender = "FIN", .operator_name = { "X", 1 },
	                              .subject = { "S", 1 }, .text = { "T", 1 }, .recipients_count = 1, .recipients = { { .code = "SGP" } },
	                              .attachments_count = 1 };
	message.attachments[0] = (struct pl_attachment){ .name = { "a", 1 }, .media_type = { "a/b", 3 }, .bytes = 3, .chunks = 1, .id = { 7 } };
	crypto_hash_sha256(message.attachments[0].sha256, (const uint8_t *)"abc", 3);
	uint8_t plain[1024], body[PL_ATTACHMENT_BODY_PREFIX_BYTES + 19] = { 7 };
	size_t plain_bytes;
	cr_assert_eq(pl_message_write(&message, plain, sizeof(plain), &plain_bytes), PL_OK);
	fix_forge_sealed(fix, FIN, 1, PL_KIND_MESSAGE, 0, (uint16_t[]){ FIN, SGP }, 2, plain, plain_bytes);
	body[23] = 1; /* the first of one */
	if (content) {
		struct pl_envelope_ctx ctx = { .kind = PL_KIND_MESSAGE };
		memcpy(ctx.network_id, fix_charter(fix)->network_id, sizeof(ctx.network_id));
		memcpy(ctx.author, fix_charter(fix)->nodes[FIN].certificate.node_id, sizeof(ctx.author));
		cr_assert_eq(pl_attachment_seal(&ctx, fix_last_cek(fix), body, 0, 0, (const uint8_t *)content, 3, body + PL_ATTACHMENT_BODY_PREFIX_BYTES),
		             PL_OK);
	}
	fix_forge(fix, FIN, 2, PL_KIND_ATTACHMENT, 0, body, sizeof(body));
	fix_settle(fix);
	json_t *json = message_of(fix, SGP, "00000000000000000000000000000000");
	fix_expect(json, "attachments.0.complete", damaged ? "false" : "true");
	fix_expect(json, "attachments.0.damaged", damaged ? "true" : "false");
	json_decref(json);
	if (damaged)
		cr_assert_eq(status_of(fix, SGP, "/v1/messages/00000000000000000000000000000000/attachments/1", "damaged_attachment"), 422);
	else
		expect_content(fix, SGP, "00000000000000000000000000000000", (const uint8_t *)"abc", 3);
	fix_free(fix);
}

Test(attachment, what_is_not_what_its_message_says_is_not_given_out)
{
	expect_damaged(NULL, true);
	expect_damaged("abd", true);
	expect_damaged("abc", false);
}

/* A piece counts for every message that announces it; an author who has thousands announce the same would have each piece cost thousands of rows. */
Test(attachment, an_id_serves_so_many_attachments_of_an_author_and_no_more)
{
	enum { MORE = 3 };
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	struct pl_message message = { .precedence = PL_ROUTINE, .sent_ms = 1800000000000, .sender = "FIN", .operator_name = { "X", 1 },
	                              .subject = { "S", 1 }, .text = { "T", 1 }, .recipients_count = 1, .recipients = { { .code = "SGP" } },
	                              .attachments_count = 2 };
	uint8_t plain[1024], body[PL_ATTACHMENT_BODY_PREFIX_BYTES + 19] = { 7 };
	size_t plain_bytes;
	for (uint8_t i = 0; i < PL_ATTACHMENT_NAMED_MAX + MORE; i++) {
		message.id[0] = i;
		message.attachments[0] = (struct pl_attachment){ .name = { "a", 1 }, .media_type = { "a/b", 3 }, .bytes = 3, .chunks = 1, .id = { 7 } };
		message.attachments[1] = (struct pl_attachment){ .name = { "b", 1 }, .media_type = { "a/b", 3 }, .bytes = 3, .chunks = 1, .id = { 8, i } };
		cr_assert_eq(pl_message_write(&message, plain, sizeof(plain), &plain_bytes), PL_OK);
		fix_forge_sealed(fix, FIN, 1, PL_KIND_MESSAGE, 0, (uint16_t[]){ FIN, SGP }, 2, plain, plain_bytes);
	}
	fix_await(fix, SGP, "SELECT count(*) FROM hotline_message", PL_ATTACHMENT_NAMED_MAX + MORE);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_attachment WHERE item = 0 AND state = 0"), PL_ATTACHMENT_NAMED_MAX);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_attachment WHERE item = 0 AND state = 3 AND message > (SELECT max(message) FROM"
	                               " hotline_attachment WHERE item = 0 AND state = 0)"), MORE);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM hotline_attachment WHERE item = 1 AND state = 0"), PL_ATTACHMENT_NAMED_MAX + MORE,
	             "an id of one's own is taken");
	body[23] = 1;
	fix_forge(fix, FIN, 2, PL_KIND_ATTACHMENT, 0, body, sizeof(body));
	fix_await(fix, SGP, "SELECT count(*) FROM hotline_attachment WHERE item = 0 AND have = 1", PL_ATTACHMENT_NAMED_MAX);

	/* nor does it help to have the pieces first */
	message.id[0] = 200;
	message.attachments_count = 1;
	cr_assert_eq(pl_message_write(&message, plain, sizeof(plain), &plain_bytes), PL_OK);
	fix_forge_sealed(fix, FIN, 1, PL_KIND_MESSAGE, 0, (uint16_t[]){ FIN, SGP }, 2, plain, plain_bytes);
	fix_await(fix, SGP, "SELECT state FROM hotline_attachment WHERE message = (SELECT max(n) FROM hotline_message)", 3);
	fix_settle(fix);
	json_t *json = message_of(fix, SGP, "c8000000000000000000000000000000");
	fix_expect(json, "text", "T");
	fix_expect(json, "attachments.0.damaged", "true");
	json_decref(json);
	cr_assert_eq(status_of(fix, SGP, "/v1/messages/c8000000000000000000000000000000/attachments/1", "damaged_attachment"), 422);
	fix_free(fix);
}

static char *send_content(struct fix *fix, const uint8_t *content, size_t count)
{
	char *token = upload(fix, "name=a", content, count);
	json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", message_with(token), 201);
	char *id = strdup(fix_string(sent, "id"));
	json_decref(sent);
	free(token);
	fix_settle(fix);
	return id;
}

/* The store has an entry that the disk has changed fetched again; until then nothing is decided. */
Test(attachment, a_chunk_that_the_disk_has_changed_is_not_held_against_its_sender)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	enum { BYTES = 3 * PL_CHUNK_BYTES };
	uint8_t *content = content_of(BYTES, 1), *reply;
	size_t reply_bytes;
	char *id = send_content(fix, content, BYTES), path[100];
	expect_content(fix, SGP, id, content, BYTES);
	fix_sql(fix, SGP, "CREATE TABLE was AS SELECT body FROM entry WHERE lane = 2 AND seq = 2");
	fix_sql(fix, SGP, "UPDATE entry SET body = zeroblob(length(body)) WHERE lane = 2 AND seq = 2");

	snprintf(path, sizeof(path), "/v1/messages/%s/attachments/1", id);
	cr_assert_neq(fix_call_bytes(fix, SGP, "GET", path, NULL, 0, &reply, &reply_bytes), 200);
	free(reply);
	fix_settle(fix);
	cr_assert_gt(fix_damaged(fix, SGP), 0);

	/* What is checked now, by a daemon that has not read it before, stays to be checked, and stands in nobody's way. */
	fix_stop(fix, SGP);
	fix_start(fix, SGP);
	fix_settle(fix);
	fix_sql(fix, SGP, "UPDATE hotline_attachment SET state = 1");
	const unsigned before = fix_damaged(fix, SGP);
	char *second = send_content(fix, content, 1000);
	fix_await(fix, SGP, "SELECT state FROM hotline_attachment WHERE bytes = 1000", 2);
	cr_assert_gt(fix_damaged(fix, SGP), before);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT state FROM hotline_attachment WHERE bytes > 1000"), 1);

	/* It has come back. */
	fix_sql(fix, SGP, "UPDATE entry SET body = (SELECT body FROM was) WHERE lane = 2 AND seq = 2");
	free(send_content(fix, content, 2000));
	fix_await(fix, SGP, "SELECT count(*) FROM hotline_attachment WHERE state <> 2", 0);
	expect_content(fix, SGP, id, content, BYTES);
	free(second);
	free(id);
	free(content);
	fix_free(fix);
}

Test(attachment, an_upload_serves_one_message_and_for_an_hour)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	uint8_t *content = content_of(10 * PL_CHUNK_BYTES, 1);
	char *used = upload(fix, "name=a", content, 10 * PL_CHUNK_BYTES), *unused = upload(fix, "name=b", content, 100000);
	fix_deliver(fix, FIN, false); /* so that the first is still in use */
	char text[300];
	snprintf(text, sizeof(text), "{\"to\":[\"SGP\"],\"subject\":\"x\",\"attachments\":[\"%s\"]}", used);
	cr_assert_eq(fix_post_and_stop(fix, FIN, "/v1/messages", text), 201);
	fix_start(fix, FIN);
	json_t *error = fix_call(fix, FIN, "POST", "/v1/messages", message_with(used), 409);
	fix_expect(error, "error.code", "attachment_in_use");
	json_decref(error);
	/* A message that is refused gives back what it took. */
	fix_refuse(fix, FIN, PL_ERR_QUOTA);
	json_decref(fix_call(fix, FIN, "POST", "/v1/messages", message_with(unused), 429));
	fix_settle(fix);
	cr_assert_eq(fix_sql(fix, FIN, "SELECT count(*) FROM hotline_upload WHERE message_id IS NULL"), 1);
	fix_refuse(fix, FIN, PL_OK);
	fix_advance(fix, 3600001);
	fix_stop(fix, FIN);
	fix_deliver(fix, FIN, true);
	fix_start(fix, FIN);
	fix_settle(fix);
	fix_await(fix, FIN, "SELECT (SELECT count(*) FROM hotline_upload) + (SELECT count(*) FROM hotline_upload_chunk)",
	          0); /* 3 s after the start */
	cr_assert_eq(fix_sql(fix, SGP, "SELECT state FROM hotline_attachment"), 2);
	free(used);
	free(unused);
	free(content);
	fix_free(fix);
}

Test(attachment, names_that_could_do_harm_are_refused)
{
	static const char *const queries[] = { "type=a/b", "name=", "name=..", "name=a%2Fb", "name=a%5Cb", "name=a%0Ab", "name=a&type=pdf" };
	struct fix *fix = fix_new(2, 1);
	fix_start(fix, FIN);
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		char path[100];
		uint8_t *reply;
		size_t reply_bytes;
		snprintf(path, sizeof(path), "/v1/attachments?%s", queries[i]);
		int status = fix_call_bytes(fix, FIN, "POST", path, "x", 1, &reply, &reply_bytes);
		cr_assert(status == 422 || status == 400, "%s: %d", queries[i], status);
		free(reply);
	}
	fix_free(fix);
}
