/* Attachments that are all here: whose is checked when, and what need not be read again. */
#include "node/hotline/hotline_fixture.h"
#include "node/hotline/hotline_impl.h"

static void send_file(struct fix *fix, uint16_t from, const char *name, size_t count)
{
	uint8_t *content = calloc(1, count), *reply;
	size_t reply_bytes;
	char path[100];
	snprintf(path, sizeof(path), "/v1/attachments?name=%s", name);
	cr_assert_eq(fix_call_bytes(fix, from, "POST", path, content, count, &reply, &reply_bytes), 201);
	json_t *upload = json_loadb((char *)reply, reply_bytes, 0, NULL);
	free(send_message(fix, from, with(draft("SGP", "routine", name), "attachments", json_pack("[s]", fix_string(upload, "token")))));
	fix_settle(fix);
	json_decref(upload);
	free(reply);
	free(content);
}

static void check_all_again(struct fix *fix)
{
	fix_sql(fix, SGP, "UPDATE hotline_attachment SET state = 1");
	pl_chunks_check(fix_app(fix, SGP)->hotline);
	fix_await(fix, SGP, "SELECT count(*) FROM hotline_attachment WHERE state = 1", 0);
	fix_settle(fix);
}

Test(attachment_turn, authors_are_served_in_turn_and_of_each_the_small_first)
{
	static const char *const order[] = { "tiny", "fin", "one", "two", "three" };
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	send_file(fix, CHE, "one", 3 * PL_CHUNK_BYTES);
	send_file(fix, CHE, "two", 3 * PL_CHUNK_BYTES);
	send_file(fix, CHE, "three", 3 * PL_CHUNK_BYTES);
	send_file(fix, CHE, "tiny", 1);
	send_file(fix, FIN, "fin", 20 * PL_CHUNK_BYTES);
	struct fix_stream *stream = fix_follow(fix, SGP);
	check_all_again(fix);
	const char *heard = fix_heard(fix, stream);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		char name[40];
		snprintf(name, sizeof(name), "\"name\":\"%s\"", order[i]);
		const char *next = strstr(heard, name);
		cr_assert_not_null(next, "%s is not the next: %s", order[i], heard);
		heard = next;
	}
	fix_unfollow(stream);
	fix_free(fix);
}

/* One that names the chunks of the first message that FIN has sent, under whatever key this entry has. */
static void forge_naming(struct fix *fix, uint8_t id_byte, const uint8_t id[16], size_t count)
{
	struct pl_message message = { .precedence = PL_ROUTINE, .sent_ms = 1800000000000, .sender = "FIN", .operator_name = { "X", 1 },
	                              .subject = { "S", 1 }, .text = { "T", 1 }, .recipients_count = 1, .recipients = { { .code = "SGP" } },
	                              .attachments_count = 1 };
	uint8_t plain[1024], *content = calloc(1, count);
	size_t plain_bytes;
	memset(message.id, id_byte, sizeof(message.id));
	message.attachments[0] = (struct pl_attachment){ .name = { "a", 1 }, .media_type = { "a/b", 3 }, .bytes = count,
	                                                 .chunks = (uint32_t)((count + PL_CHUNK_BYTES - 1) / PL_CHUNK_BYTES) };
	memcpy(message.attachments[0].id, id, sizeof(message.attachments[0].id));
	crypto_hash_sha256(message.attachments[0].sha256, content, count);
	cr_assert_eq(pl_message_write(&message, plain, sizeof(plain), &plain_bytes), PL_OK);
	fix_forge_sealed(fix, FIN, 1, PL_KIND_MESSAGE, 0, (uint16_t[]){ FIN, SGP }, 2, plain, plain_bytes);
	fix_settle(fix);
	free(content);
}

Test(attachment_turn, what_was_read_under_one_key_is_not_read_again_and_says_nothing_of_another)
{
	enum { BYTES = 3 * PL_CHUNK_BYTES };
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	send_file(fix, FIN, "one", BYTES);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT state FROM hotline_attachment"), 2);
	uint8_t id[16];
	fix_blob(fix, SGP, "SELECT id FROM hotline_attachment", id, sizeof(id));
	forge_naming(fix, 9, id, BYTES);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT state FROM hotline_attachment WHERE message = 2"), 3, "its key does not open them");
	/* Nothing is left to be read: what is said now was found out before. */
	fix_sql(fix, SGP, "DELETE FROM hotline_chunk");
	check_all_again(fix);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT state FROM hotline_attachment WHERE message = 1"), 2);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT state FROM hotline_attachment WHERE message = 2"), 3);
	fix_free(fix);
}
