/* Each place that allocates while an application part looks at an entry fails once. The entry comes again, and nothing of its lane is lost or waits
 * for a restart. Linked with --wrap for malloc and its kin, and for the doors of the parts. */
#include "node/hotline/hotline_fixture.h"
#include "node/indicator/indicator_impl.h"

#define PLACES_MAX 400

/* Both threads that come here come one after the other. */
static struct { bool on; unsigned count; const void *failed[PLACES_MAX]; } places;
static _Thread_local bool inside;

/* The first time that this place asks. */
static bool fails_for(const void *caller)
{
	if (!inside || !places.on)
		return false;
	for (unsigned i = 0; i < places.count; i++) {
		if (places.failed[i] == caller)
			return false;
	}
	cr_assert_lt(places.count, PLACES_MAX);
	places.failed[places.count++] = caller;
	return true;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__wrap_malloc(size_t bytes) { return fails_for(__builtin_return_address(0)) ? NULL : __real_malloc(bytes); }
void *__wrap_calloc(size_t count, size_t bytes) { return fails_for(__builtin_return_address(0)) ? NULL : __real_calloc(count, bytes); }

void __real_pl_app_entry(struct pl_app *app, const struct pl_store_entry *entry);
void __wrap_pl_app_entry(struct pl_app *app, const struct pl_store_entry *entry)
{
	inside = true;
	__real_pl_app_entry(app, entry);
	inside = false;
}

void __real_pl_intake_run(struct pl_aside *aside);
void __wrap_pl_intake_run(struct pl_aside *aside)
{
	inside = true;
	__real_pl_intake_run(aside);
	inside = false;
}

Test(receive_torture, an_entry_for_which_there_was_no_memory_comes_again, .timeout = 120)
{
	static const char bundle[] = "{\"type\":\"bundle\",\"id\":\"bundle--00000000-0000-4000-8000-000000000001\",\"objects\":[{\"type\":"
	                             "\"indicator\",\"spec_version\":\"2.1\",\"id\":\"indicator--00000000-0000-4000-8000-000000000002\",\"created\":"
	                             "\"2026-01-01T00:00:00.000Z\",\"modified\":\"2026-01-01T00:00:00.000Z\",\"pattern\":\"[ipv4-addr:value = "
	                             "'192.0.2.1']\",\"pattern_type\":\"stix\",\"valid_from\":\"2026-01-01T00:00:00Z\",\"object_marking_refs\":"
	                             "[\"marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da\"]}]}";
	struct fix *fix = fix_new(3, 1);
	uint8_t *reply;
	size_t reply_bytes;

	places.on = true;
	for (uint16_t node = CHE; node <= SGP; node++)
		fix_start(fix, node);
	for (uint16_t node = CHE; node <= SGP; node++)
		fix_await(fix, node, "SELECT count(*) FROM epoch_other", 2);
	unsigned keys = places.count;
	cr_assert_gt(keys, 0);

	/* A FLASH with an attachment: a message, chunks, receipts. */
	cr_assert_eq(fix_call_bytes(fix, CHE, "POST", "/v1/attachments?name=x", "content", 7, &reply, &reply_bytes), 201);
	json_t *json = json_loadb((char *)reply, reply_bytes, 0, NULL);
	json_t *message = draft("FIN", "flash", "text");
	json_object_set_new(message, "attachments", json_pack("[s]", fix_string(json, "token")));
	free(send_message(fix, CHE, message));
	json_decref(json);
	free(reply);
	free(send_message(fix, CHE, draft("FIN", "routine", "text")));
	fix_await(fix, FIN, "SELECT count(*) FROM hotline_message", 2);
	fix_await(fix, FIN, "SELECT count(*) FROM hotline_attachment WHERE have = chunks", 1);
	fix_await(fix, CHE, "SELECT count(*) FROM hotline_recipient WHERE state >= 2", 2);
	cr_assert_gt(places.count, keys + 4);
	unsigned messages = places.count;

	cr_assert_eq(fix_call_bytes(fix, CHE, "POST", "/v1/indicators?tlp=green", bundle, sizeof(bundle) - 1, &reply, &reply_bytes), 201, "%s",
	             (char *)reply);
	free(reply);
	fix_await(fix, FIN, "SELECT count(*) FROM indicator", 1);
	fix_await(fix, SGP, "SELECT count(*) FROM indicator", 1);
	cr_assert_gt(places.count, messages + 4);

	/* Nothing is left to be looked at. */
	for (uint16_t node = CHE; node <= SGP; node++)
		fix_await(fix, node, "SELECT count(*) FROM (SELECT node, lane, max(seq) AS seq FROM entry GROUP BY node, lane) AS held"
		                     " LEFT JOIN applied USING (node, lane) WHERE coalesce(applied.seq, 0) < held.seq", 0);
	places.on = false;
	fix_free(fix);
}
