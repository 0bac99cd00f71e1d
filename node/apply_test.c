/* Work on entries while the disk is short of room. That it is done exactly once is shown where it is done: in the tests of the parts. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/app_fixture.h"

enum { CHE, FIN, SGP };

/* Objects of the least size: what becomes of an entry of them is many times its own. */
static void share(struct fix *fix, unsigned first, unsigned count)
{
	char *bundle = malloc(200 + count * 100);
	uint8_t *reply;
	size_t reply_bytes;
	size_t at = (size_t)sprintf(bundle, "{\"type\":\"bundle\",\"id\":\"bundle--11111111-2222-4333-8444-555555555555\",\"objects\":[");
	for (unsigned i = first; i < first + count; i++)
		at += (size_t)sprintf(bundle + at, "%s{\"type\":\"url\",\"id\":\"url--11111111-2222-4333-8444-%012u\"}", i > first ? "," : "", i);
	at += (size_t)sprintf(bundle + at, "]}");
	cr_assert_eq(fix_call_bytes(fix, FIN, "POST", "/v1/indicators?tlp=clear", bundle, at, &reply, &reply_bytes), 201, "%s", (char *)reply);
	free(reply);
	free(bundle);
	fix_settle(fix);
}

/* From FIN to SGP; and that it was read there comes back. */
static void send_and_await(struct fix *fix, const char *precedence)
{
	json_t *message = json_pack("{s[s] ss ss ss}", "to", "SGP", "precedence", precedence, "subject", "Alarm", "text", "x");
	json_t *sent = fix_call(fix, FIN, "POST", "/v1/messages", message, 201);
	char sql[160];
	snprintf(sql, sizeof(sql), "SELECT max(state) FROM hotline_recipient WHERE message = (SELECT n FROM hotline_message WHERE hex(id) = upper('%s'))",
	         fix_string(sent, "id"));
	fix_await(fix, FIN, sql, PL_RECEIPT_DECRYPTED);
	json_decref(sent);
}

static int64_t objects(struct fix *fix, uint16_t node)
{
	return fix_sql(fix, node, "SELECT count(*) FROM indicator");
}

static int64_t bulk_applied(struct fix *fix, uint16_t node)
{
	return fix_sql(fix, node, "SELECT coalesce(max(seq), 0) FROM applied WHERE lane = 2");
}

Test(apply, bulk_waits_for_room_on_the_disk_and_messages_go_on)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	share(fix, 0, 10);
	fix_await(fix, SGP, "SELECT count(*) FROM indicator", 10);
	const int64_t applied = bulk_applied(fix, SGP);
	fix_room(fix, SGP, 0);
	for (unsigned i = 1; i <= 3; i++)
		share(fix, i * 1000, 300);
	fix_await(fix, CHE, "SELECT count(*) FROM indicator", 910);
	send_and_await(fix, "flash");
	send_and_await(fix, "routine");
	cr_assert_eq(objects(fix, SGP), 10, "its entries are held, and nothing is made of them");
	cr_assert_eq(bulk_applied(fix, SGP), applied);
	cr_assert_gt(fix_sql(fix, SGP, "SELECT count(*) FROM entry WHERE lane = 2"), applied);

	/* A stop loses nothing of it, and a start does not take it up either. */
	fix_stop(fix, SGP);
	fix_start(fix, SGP);
	send_and_await(fix, "flash");
	cr_assert_eq(objects(fix, SGP), 10);

	fix_room(fix, SGP, UINT64_MAX);
	fix_await(fix, SGP, "SELECT count(*) FROM indicator", 910);
	fix_free(fix);
}

Test(apply, what_waited_for_its_channels_root_waits_for_room_as_well)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_pass(fix, FIN, 1, SGP, false); /* the root */
	share(fix, 0, 300);
	fix_await(fix, SGP, "SELECT count(*) > 0 FROM channel_wait", 1);
	const int64_t waiting = fix_sql(fix, SGP, "SELECT count(*) FROM channel_wait");
	fix_room(fix, SGP, 0);
	fix_pass(fix, FIN, 1, SGP, true);
	fix_await(fix, SGP, "SELECT count(*) > 0 FROM channel_root WHERE next_item IS NULL", 1);
	send_and_await(fix, "flash");
	send_and_await(fix, "routine");
	cr_assert_eq(objects(fix, SGP), 0);
	cr_assert_eq(fix_sql(fix, SGP, "SELECT count(*) FROM channel_wait"), waiting);
	fix_room(fix, SGP, UINT64_MAX);
	fix_await(fix, SGP, "SELECT count(*) FROM indicator", 300);
	fix_await(fix, SGP, "SELECT count(*) FROM channel_wait", 0);
	fix_free(fix);
}

/* What was shared is durable; that it is not in the tables yet is no reason to let its client wait for days. */
Test(apply, a_client_that_shares_is_answered_when_bulk_waits)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	fix_room(fix, FIN, 0);
	share(fix, 0, 5);
	cr_assert_eq(objects(fix, FIN), 0);
	cr_assert_eq(objects(fix, SGP), 5);
	fix_room(fix, FIN, UINT64_MAX);
	fix_await(fix, FIN, "SELECT count(*) FROM indicator", 5);
	fix_free(fix);
}
