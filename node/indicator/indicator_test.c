#include "node/indicator/indicator_fixture.h"

#define RED "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1"

static uint8_t *read_sample(size_t *count)
{
	FILE *file = fopen(PL_SAMPLES_DIR "/tidegate.json", "rb");
	cr_assert_not_null(file);
	uint8_t *bytes = malloc(1 << 20);
	*count = fread(bytes, 1, 1 << 20, file);
	fclose(file);
	return bytes;
}

static const char *item_string(const struct pl_request *request, size_t index, const char *name)
{
	return json_string_value(json_object_get(json_array_get(json_object_get(request->json, "indicators"), index), name));
}

/* --- sharing --- */

Test(indicator, a_real_bundle_arrives_byte_for_byte_everywhere)
{
	struct world *world = world_new(3);
	size_t count, objects = 0;
	uint8_t *sample = read_sample(&count);
	struct pl_request *request = import(world, FIN, sample, count, "green");
	cr_assert_eq(request->status, 201, "%s", error_code(request));
	cr_assert_eq(number_in(request, "accepted"), 57);
	cr_assert_eq(number_in(request, "duplicates"), 0);
	cr_assert_eq(json_array_size(json_object_get(request->json, "rejected")), 0);
	cr_assert_str_eq(json_string_value(json_array_get(json_object_get(request->json, "refs"), 0)), "FIN/2/1");
	cr_assert_eq(held(world, FIN), 57, "what was shared is there when the reply is");
	free_request(request);

	AWAIT(world, held(world, CHE) == 57 && held(world, SGP) == 57);
	struct pl_stix_walk walk;
	struct pl_stix_item item;
	char why[200];
	cr_assert_eq(pl_stix_walk_begin(&walk, sample, count, why, sizeof(why)), PL_OK);
	while (pl_stix_walk_next(&walk, &item, why, sizeof(why)) == PL_OK && item.found == PL_STIX_OBJECT) {
		request = ask(world, SGP, "GET", "/v1/indicators/{id}", item.object.id, NULL, 0, NULL);
		cr_assert_eq(request->status, 200, "%s", item.object.id);
		cr_assert_eq(request->count, item.object.count);
		cr_assert_arr_eq(request->bytes, item.object.bytes, item.object.count);
		free_request(request);
		objects++;
	}
	cr_assert_eq(objects, 57);
	free(sample);
	world_free(world);
}

Test(indicator, an_export_is_a_bundle_of_the_same_objects)
{
	struct world *world = world_new(3);
	for (unsigned i = 0; i < 3; i++)
		cr_assert_eq(share(world, FIN, i * 700, 700, ""), 700); /* several jobs of the store, several pieces of the stream */
	AWAIT(world, held(world, SGP) == 2100);
	struct pl_request *request = ask(world, SGP, "GET", "/v1/indicators/export", NULL, NULL, 0, NULL);
	struct pl_stix_walk walk;
	struct pl_stix_item item;
	char why[200];
	size_t objects = 0;
	cr_assert_eq(pl_stix_walk_begin(&walk, (const uint8_t *)request->bytes, request->count, why, sizeof(why)), PL_OK, "%s", why);
	while (pl_stix_walk_next(&walk, &item, why, sizeof(why)) == PL_OK && item.found == PL_STIX_OBJECT) {
		char *one = make_bundle((unsigned)objects, 1, ""), *object = strchr(one, '[') + 1;
		cr_assert_eq(item.object.count, strlen(object) - 2);
		cr_assert_arr_eq(item.object.bytes, object, item.object.count);
		free(one);
		objects++;
	}
	cr_assert_eq(item.found, PL_STIX_END, "%s %s", why, item.reason);
	cr_assert_eq(objects, 2100);
	free_request(request);

	request = ask(world, SGP, "GET", "/v1/indicators/export", NULL, NULL, 0, QUERY("type", "malware"));
	cr_assert_eq(pl_stix_walk_begin(&walk, (const uint8_t *)request->bytes, request->count, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert(pl_stix_walk_next(&walk, &item, why, sizeof(why)) == PL_OK && item.found == PL_STIX_END,
	          "nothing is a bundle of nothing");
	free_request(request);
	world_free(world);
}

static struct pl_request *export_of(struct world *world, unsigned node, const char *name, const char *value)
{
	return ask(world, node, "GET", "/v1/indicators/export", NULL, NULL, 0, QUERY(name, value));
}

static bool is_same(const struct pl_request *a, const struct pl_request *b)
{
	return a->count == b->count && memcmp(a->bytes, b->bytes, a->count) == 0;
}

Test(indicator, nodes_that_hold_the_same_export_the_same_bytes)
{
	struct world *world = world_new(2);
	static const char *const queries[][2] = { { "tlp", "green" }, { "type", "identity" }, { "author", "CHE" }, { "q", "n4" } };
	/* each has its own objects first, and there are two versions of one time under one id */
	hold(world, CHE, 2, true);
	hold(world, FIN, 2, true);
	cr_assert_eq(share(world, CHE, 300, 300, ""), 300);
	cr_assert_eq(share(world, FIN, 0, 300, ""), 300);
	hold(world, CHE, 2, false);
	hold(world, FIN, 2, false);
	cr_assert_eq(share(world, FIN, 7, 1, ",\"description\":\"b\""), 1);
	cr_assert_eq(share(world, FIN, 7, 1, ",\"description\":\"a\""), 1);
	AWAIT(world, held(world, CHE) == 602 && held(world, FIN) == 602);
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct pl_request *fin = export_of(world, FIN, queries[i][0], queries[i][1]), *che = export_of(world, CHE, queries[i][0], queries[i][1]);
		cr_expect(is_same(fin, che), "%s", queries[i][0]);
		cr_expect_gt(fin->count, 10000u);
		free_request(fin);
		free_request(che);
	}
	struct pl_request *before = export_of(world, FIN, "tlp", "green"), *again = export_of(world, FIN, "tlp", "green");
	cr_assert(is_same(before, again));
	free_request(again);
	cr_assert_eq(share(world, FIN, 1000, 1, ""), 1);
	again = export_of(world, FIN, "tlp", "green");
	const char *old_id = strstr(before->bytes, "\"id\":\"bundle--"), *new_id = strstr(again->bytes, "\"id\":\"bundle--");
	cr_assert(old_id != NULL && new_id != NULL && strncmp(old_id, new_id, strlen("\"id\":\"bundle--") + 36) != 0, "other objects, another id");
	free_request(before);
	free_request(again);
	world_free(world);
}

Test(indicator, a_client_that_leaves_an_export_is_let_go)
{
	struct world *world = world_new(1);
	cr_assert_eq(share(world, CHE, 0, 700, ""), 700);
	for (int turns = 0; turns < 3; turns++) {
		struct pl_request *request = calloc(1, sizeof(*request));
		struct pl_indicator_filter filter = { .author = PL_NODE_NONE };
		pl_indicator_export(world->cores[CHE].part, request, &filter);
		request->stream.more(request, request->stream.ctx);
		for (int i = 0; i < turns; i++) {
			usleep(500);
			uv_run(&world->loop, UV_RUN_NOWAIT);
		}
		request->stream.gone(request, request->stream.ctx);
		free_request(request);
	}
	settle(world, 50);
	world_free(world);
}

Test(indicator, what_was_shared_before_is_not_sent_again)
{
	struct world *world = world_new(2);
	cr_assert_eq(share(world, FIN, 0, 300, ""), 300);
	uint64_t entries = world->cores[FIN].seq[2];
	char *bundle = make_bundle(0, 301, "");
	struct pl_request *request = import(world, FIN, bundle, strlen(bundle), "green");
	cr_assert_eq(number_in(request, "accepted"), 1);
	cr_assert_eq(number_in(request, "duplicates"), 300);
	cr_assert_eq(world->cores[FIN].seq[2], entries + 1);
	free_request(request);
	request = import(world, FIN, bundle, strlen(bundle), "green");
	cr_assert_eq(request->status, 201);
	cr_assert_eq(number_in(request, "accepted"), 0);
	cr_assert_eq(json_array_size(json_object_get(request->json, "refs")), 0);
	free_request(request);
	request = import(world, FIN, bundle, strlen(bundle), "clear");
	cr_assert_eq(number_in(request, "accepted"), 301, "another TLP is something to say");
	free_request(request);
	free(bundle);
	cr_assert_eq(share(world, FIN, 500, 1, ""), 1);
	cr_assert_eq(share(world, FIN, 500, 1, ",\"revoked\":true"), 1, "a new version");

	/* twice in one bundle */
	char *twice = make_bundle(900, 1, ""), *object = strchr(twice, '[') + 1;
	object[strlen(object) - 2] = '\0';
	char text[2048];
	snprintf(text, sizeof(text), "{\"type\":\"bundle\",\"id\":\"bundle--11111111-2222-4333-8444-555555555555\",\"objects\":[%s,%s]}",
	         object, object);
	request = import(world, FIN, text, strlen(text), "green");
	cr_assert(number_in(request, "accepted") == 1 && number_in(request, "duplicates") == 1);
	free_request(request);
	free(twice);
	world_free(world);
}

Test(indicator, large_objects_stand_alone_and_many_fill_entries)
{
	struct world *world = world_new(2);
	char *filler = malloc(PL_OBJECT_BYTES_MAX), *rest = malloc(PL_OBJECT_BYTES_MAX);
	char *one = make_bundle(0, 1, "");
	size_t object_bytes = strlen(strchr(one, '[')) - 3;
	free(one);
	memset(filler, 'x', PL_OBJECT_BYTES_MAX);
	filler[PL_OBJECT_BYTES_MAX - object_bytes - strlen(",\"x\":\"\"")] = '\0';
	sprintf(rest, ",\"x\":\"%s\"", filler);
	cr_assert_eq(share(world, FIN, 0, 2, rest), 2);
	cr_assert_eq(world->cores[FIN].seq[2], 2);
	cr_assert_eq(share(world, FIN, 10, PL_BULK_ITEMS_MAX, ",\"description\":\"so that 48 KiB of them come before 256 do\""),
	             PL_BULK_ITEMS_MAX);
	cr_assert_eq(world->cores[FIN].seq[2], 4);
	cr_assert_eq(share(world, FIN, 1000, PL_BULK_ITEMS_MAX, ""), PL_BULK_ITEMS_MAX);
	cr_assert_eq(world->cores[FIN].seq[2], 5);
	AWAIT(world, held(world, CHE) == 2 + 2 * PL_BULK_ITEMS_MAX);
	free(filler);
	free(rest);
	world_free(world);
}

/* --- what is refused --- */

Test(indicator, bad_objects_are_rejected_and_the_others_shared)
{
	struct world *world = world_new(2);
	char text[4096], *good = make_bundle(1, 1, ""), *red = make_bundle(2, 1, ",\"object_marking_refs\":[\"" RED "\"]");
	char *a = strchr(good, '[') + 1, *b = strchr(red, '[') + 1;
	a[strlen(a) - 2] = b[strlen(b) - 2] = '\0';
	snprintf(text, sizeof(text),
	         "{\"type\":\"bundle\",\"id\":\"bundle--11111111-2222-4333-8444-555555555555\",\"objects\":[{\"x\":1},%s,%s]}", b, a);
	struct pl_request *request =
		ask(world, FIN, "POST", "/v1/indicators", NULL, text, strlen(text), QUERY("tlp", "green", "strict", "true"));
	cr_assert_eq(request->status, 422);
	cr_assert_str_eq(error_code(request), "objects_rejected");
	cr_assert_eq(json_array_size(json_object_get(request->json, "rejected")), 2);
	cr_assert_eq(held(world, FIN), 0, "strict: all or nothing");
	free_request(request);

	request = import(world, FIN, text, strlen(text), "green");
	cr_assert_eq(request->status, 201);
	cr_assert_eq(number_in(request, "accepted"), 1);
	const json_t *rejected = json_object_get(request->json, "rejected"), *first = json_array_get(rejected, 0),
		     *second = json_array_get(rejected, 1);
	cr_assert_eq(json_array_size(rejected), 2);
	cr_assert_eq(json_integer_value(json_object_get(first, "index")), 1);
	cr_assert(json_is_null(json_object_get(first, "id")));
	cr_assert_str_eq(json_string_value(json_object_get(first, "reason")), "has no type");
	cr_assert_eq(json_integer_value(json_object_get(second, "index")), 2);
	cr_assert_str_eq(json_string_value(json_object_get(second, "reason")), "is marked TLP:RED, asked to be shared as TLP:GREEN");
	free_request(request);
	free(good);
	free(red);
	world_free(world);
}

Test(indicator, requests_that_cannot_be_met_say_why)
{
	static const struct {
		const char *tlp, *body;
		int status;
		const char *code;
	} cases[] = {
		{ "amber", "{}", 422, "audience_too_wide" },
		{ "TLP:AMBER+STRICT", "{}", 422, "audience_too_wide" },
		{ "red", "{}", 422, "audience_too_wide" },
		{ "mauve", "{}", 400, "bad_tlp" },
		{ "green", "", 400, "bad_bundle" },
		{ "green", "PK\3\4", 400, "bad_bundle" },
		{ "green", "{\"type\":\"indicator\"}", 400, "bad_bundle" },
		{ "green", "{\"type\":\"bundle\",\"spec_version\":\"2.0\",\"id\":\"bundle--11111111-2222-4333-8444-555555555555\"}", 422,
		  "stix_version" },
	};
	struct world *world = world_new(1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pl_request *request = import(world, CHE, cases[i].body, strlen(cases[i].body), cases[i].tlp);
		cr_expect_eq(request->status, cases[i].status, "case %zu: %d", i, request->status);
		cr_expect_str_eq(error_code(request), cases[i].code);
		free_request(request);
	}
	struct pl_request *request = ask(world, CHE, "POST", "/v1/indicators", NULL, "{}", 2, NULL);
	cr_expect_str_eq(error_code(request), "no_tlp");
	free_request(request);
	request = ask(world, CHE, "GET", "/v1/indicators", NULL, NULL, 0, QUERY("author", "XYZ"));
	cr_expect_str_eq(error_code(request), "unknown_node");
	free_request(request);
	request = ask(world, CHE, "GET", "/v1/indicators/{id}", "identity--11111111-2222-4333-8444-555555555555", NULL, 0, NULL);
	cr_expect_eq(request->status, 404);
	free_request(request);
	request = ask(world, CHE, "GET", "/v1/indicators/{id}", "\x1b[2J", NULL, 0, NULL);
	cr_expect_eq(request->status, 404);
	free_request(request);
	cr_assert_eq(world->cores[CHE].seq[2], 0, "nothing was sent");
	world_free(world);
}

Test(indicator, an_entry_that_cannot_be_made_is_an_error_and_the_rest_is_kept)
{
	struct world *world = world_new(2);
	cr_assert_eq(share(world, FIN, 0, 10, ""), 10);
	world->cores[FIN].submit_err = PL_ERR_QUOTA;
	char *bundle = make_bundle(0, 20, "");
	struct pl_request *request = import(world, FIN, bundle, strlen(bundle), "green");
	cr_assert_eq(request->status, 429);
	free_request(request);
	world->cores[FIN].submit_err = PL_OK;
	request = import(world, FIN, bundle, strlen(bundle), "green");
	cr_assert(number_in(request, "accepted") == 10 && number_in(request, "duplicates") == 10);
	free_request(request);
	free(bundle);
	AWAIT(world, held(world, CHE) == 20);
	world_free(world);
}

/* --- what a hostile author can do --- */

static void ignore(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	(void)entry;
	cr_assert_eq(err, PL_OK);
	(*(size_t *)ctx)++;
}

/* Submits what the plaintext of an item would be, sealed under FIN's own root, or as it is. */
static void submit_item(struct world *world, const struct pl_channel_ticket *ticket, uint64_t item, const uint8_t *plain,
                        size_t plain_bytes, size_t *done)
{
	struct pl_core *fin = &world->cores[FIN];
	const struct pl_envelope_ctx ctx = pl_charter_envelope_ctx(pl_core_charter(fin), FIN, PL_KIND_INDICATORS);
	uint8_t body[PL_BULK_BODY_BYTES];
	size_t body_bytes = plain_bytes, target = *done + 1;
	if (ticket != NULL)
		cr_assert_eq(
			pl_channel_seal(&ctx, ticket->root, ticket->channel_id, item, plain, plain_bytes, body, sizeof(body), &body_bytes),
			PL_OK);
	else
		memcpy(body, plain, plain_bytes);
	cr_assert_eq(pl_core_submit(fin, 2, PL_KIND_INDICATORS, 0, body, (uint32_t)body_bytes, ignore, done), PL_OK);
	AWAIT(world, *done == target);
}

struct ticket_job {
	struct pl_job job;
	struct pl_core *core;
	struct pl_channel_ticket ticket;
	bool done;
};
static enum pl_err ticket_work(struct pl_job *job, sqlite3 *db)
{
	struct ticket_job *t = job->ctx;
	return pl_channels_reserve(t->core->channels, db, t->core->world->wall_ms, 100, &t->ticket);
}
static void ticket_done(struct pl_job *job)
{
	((struct ticket_job *)job->ctx)->done = true;
}

#define MISMARKED \
	"{\"type\":\"url\",\"id\":\"url--11111111-2222-4333-8444-555555555555\",\"value\":\"x\"," \
	"\"object_marking_refs\":\"marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1\"}"

Test(indicator, a_bad_item_blocks_nothing)
{
	struct world *world = world_new(3);
	struct ticket_job t = { .core = &world->cores[FIN] };
	t.job = (struct pl_job){ .work = ticket_work, .done = ticket_done, .ctx = &t, .writes = true };
	pl_store_run(world->cores[FIN].store, &t.job);
	AWAIT(world, t.done);
	pl_channels_distribute(world->cores[FIN].channels);

	uint8_t plain[8192], junk[2000];
	size_t plain_bytes, done = 0;
	struct pl_indicators *items = calloc(1, sizeof(*items));
	char *good = make_bundle(1, 1, ""), *red = make_bundle(2, 1, ",\"labels\":[\"tlp:red\"]");
	char *a = strchr(good, '[') + 1, *b = strchr(red, '[') + 1;
	a[strlen(a) - 2] = b[strlen(b) - 2] = '\0';

	randombytes_buf(junk, sizeof(junk));
	submit_item(world, NULL, 0, junk, sizeof(junk), &done);            /* no item at all */
	submit_item(world, NULL, 0, junk, 3, &done);
	submit_item(world, &t.ticket, 0, (const uint8_t *)"\x93\x01", 2, &done); /* opens, but no content */
	struct pl_channel_ticket other = t.ticket;
	other.root[0] ^= 1;
	submit_item(world, &other, 1, (const uint8_t *)"\x93\x01", 2, &done); /* says this root, is sealed under another */
	char *amber = make_bundle(3, 1, ""), *c = strchr(amber, '[') + 1;
	c[strlen(c) - 2] = '\0';
	items->tlp = PL_TLP_AMBER;
	items->count = 1;
	items->objects[0] = (struct pl_text){ c, strlen(c) };
	cr_assert_eq(pl_indicators_write(items, plain, sizeof(plain), &plain_bytes), PL_OK);
	submit_item(world, &t.ticket, 2, plain, plain_bytes, &done); /* narrower than the channel's audience */
	items->tlp = PL_TLP_GREEN;
	items->count = 5;
	items->objects[0] = (struct pl_text){ "{}", 2 };
	items->objects[4] = (struct pl_text){ MISMARKED, strlen(MISMARKED) };
	items->objects[1] = (struct pl_text){ b, strlen(b) };
	items->objects[2] = (struct pl_text){ a, strlen(a) };
	items->objects[3] = (struct pl_text){ "not JSON", 8 };
	cr_assert_eq(pl_indicators_write(items, plain, sizeof(plain), &plain_bytes), PL_OK);
	submit_item(world, &t.ticket, 3, plain, plain_bytes, &done); /* one good object among bad ones */
	AWAIT(world, held(world, SGP) == 1 && held(world, CHE) == 1);
	settle(world, 100);
	cr_assert_eq(held(world, SGP), 1);
	struct pl_indicator_counts counts;
	pl_indicator_counts(world->cores[SGP].part, &counts);
	cr_assert_eq(counts.rejected, 4);
	cr_assert_eq(share(world, FIN, 10, 5, ""), 5);
	AWAIT(world, held(world, SGP) == 6);
	free(items);
	free(good);
	free(red);
	free(amber);
	world_free(world);
}

/* --- lists --- */

Test(indicator, equal_bytes_of_two_authors_are_one_object)
{
	struct world *world = world_new(3);
	char *bundle = make_bundle(1, 1, "");
	free_request(import(world, FIN, bundle, strlen(bundle), "clear"));
	AWAIT(world, held(world, CHE) == 1 && held(world, SGP) == 1);
	cr_assert_eq(listed(world, SGP, QUERY("tlp", "clear")), 1);
	struct pl_request *request = import(world, CHE, bundle, strlen(bundle), "green");
	cr_assert_eq(number_in(request, "accepted"), 1, "it is not CHE's duplicate, but FIN's object too");
	free_request(request);
	AWAIT(world, world->cores[SGP].published == 2);
	cr_assert_eq(held(world, SGP), 1);
	request = list(world, SGP, NULL);
	const json_t *providers = json_object_get(json_array_get(json_object_get(request->json, "indicators"), 0), "providers");
	cr_assert_eq(json_array_size(providers), 2);
	cr_assert_str_eq(item_string(request, 0, "tlp"), "green", "the narrowest counts");
	cr_assert_eq(listed(world, SGP, QUERY("tlp", "clear")), 0);
	cr_assert_eq(listed(world, SGP, QUERY("author", "FIN")), 1);
	cr_assert_eq(listed(world, SGP, QUERY("author", "CHE")), 1);
	cr_assert_eq(listed(world, SGP, QUERY("author", "SGP")), 0);
	free_request(request);
	request = import(world, CHE, bundle, strlen(bundle), "clear");
	free_request(request);
	AWAIT(world, world->cores[SGP].published == 3);
	cr_assert_eq(listed(world, SGP, QUERY("tlp", "clear")), 1, "an author may widen what it said");
	free(bundle);
	world_free(world);
}

Test(indicator, lists_come_in_pages_newest_first)
{
	struct world *world = world_new(1);
	cr_assert_eq(share(world, CHE, 0, 450, ""), 450);
	size_t seen = 0;
	char after[32] = "";
	for (;;) {
		struct pl_request *request = list(world, CHE, after[0] ? QUERY("limit", "100", "after", after) : QUERY("limit", "100"));
		size_t count = json_array_size(json_object_get(request->json, "indicators"));
		for (size_t i = 0; i < count; i++) {
			char name[16];
			snprintf(name, sizeof(name), "n%zu", 449 - seen - i);
			cr_assert_str_eq(item_string(request, i, "name"), name);
		}
		seen += count;
		const json_t *next = json_object_get(request->json, "next"), *total = json_object_get(request->json, "total");
		cr_assert_eq(json_is_integer(total), after[0] == '\0', "counted on the first page only");
		cr_assert(after[0] != '\0' || json_integer_value(total) == 450);
		bool end = json_is_null(next);
		snprintf(after, sizeof(after), "%lld", (long long)json_integer_value(next));
		free_request(request);
		if (end)
			break;
		cr_assert_eq(count, 100);
	}
	cr_assert_eq(seen, 450);
	world_free(world);
}

Test(indicator, filters_and_search_find_what_is_there)
{
	struct world *world = world_new(2);
	size_t count;
	uint8_t *sample = read_sample(&count);
	free_request(import(world, FIN, sample, count, "green"));
	cr_assert_eq(share(world, CHE, 0, 300, ""), 300);
	AWAIT(world, held(world, CHE) == 357 && held(world, FIN) == 357);
	static const struct {
		const char *query[9];
		size_t found;
		json_int_t total; /* -1: null */
	} cases[] = {
		{ { NULL }, 357, 357 },
		{ { "type", "indicator" }, 8, 8 },
		{ { "type", "indicator", "author", "CHE" }, 0, -1 },
		{ { "type", "identity", "author", "FIN" }, 2, -1 },
		{ { "author", "FIN" }, 57, 57 },
		{ { "author", "CHE" }, 300, 300 },
		{ { "tlp", "green" }, 357, -1 },
		{ { "tlp", "clear" }, 0, -1 },
		{ { "q", "marshlantern" }, 3, -1 },
		{ { "q", "198.51.100.77" }, 2, -1 },
		{ { "q", "v\xc3\xa4\xc3\xa4rennetyt" }, 1, -1 },
		{ { "q", "n299" }, 1, -1 },
		{ { "q", "nowhere in there" }, 0, -1 },
		{ { "type", "x-unheard-of" }, 0, 0 },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *query[13] = { "limit", "1000" };
		memcpy(query + 2, cases[i].query, sizeof(cases[i].query));
		struct pl_request *request = list(world, CHE, query);
		size_t found = json_array_size(json_object_get(request->json, "indicators"));
		const json_t *total = json_object_get(request->json, "total");
		cr_expect_eq(found, cases[i].found, "case %zu found %zu", i, found);
		cr_expect_eq(json_is_null(total) ? -1 : json_integer_value(total), cases[i].total, "case %zu", i);
		cr_expect(json_is_null(json_object_get(request->json, "next")), "case %zu", i);
		free_request(request);
		if (found == 0)
			continue;
		/* a page that is just full is the last one; one that holds one less is not, and the next one has the rest */
		char just[24], after[32];
		snprintf(just, sizeof(just), "%zu", found);
		query[1] = just;
		request = list(world, CHE, query);
		cr_expect_eq(json_array_size(json_object_get(request->json, "indicators")), found);
		cr_expect(json_is_null(json_object_get(request->json, "next")), "case %zu: a page of all goes on", i);
		free_request(request);
		if (found == 1)
			continue;
		snprintf(just, sizeof(just), "%zu", found - 1);
		request = list(world, CHE, query);
		cr_expect_eq(json_array_size(json_object_get(request->json, "indicators")), found - 1);
		snprintf(after, sizeof(after), "%lld", (long long)json_integer_value(json_object_get(request->json, "next")));
		free_request(request);
		size_t end = 0;
		while (query[end] != NULL)
			end++;
		query[end] = "after";
		query[end + 1] = after;
		request = list(world, CHE, query);
		cr_expect_eq(json_array_size(json_object_get(request->json, "indicators")), 1, "case %zu", i);
		cr_expect(json_is_null(json_object_get(request->json, "next")), "case %zu", i);
		free_request(request);
	}
	free(sample);
	world_free(world);
}

Test(indicator, the_newest_version_of_who_brought_it_is_shown)
{
	struct world *world = world_new(2);
	static const char object[] =
		"{\"type\":\"bundle\",\"id\":\"bundle--11111111-2222-4333-8444-555555555555\",\"objects\":[{\"type\":\"identity\","
		"\"spec_version\":\"2.1\",\"id\":\"identity--11111111-2222-4333-8444-555555555555\","
		"\"created\":\"2026-11-01T10:00:00Z\",\"modified\":\"2026-11-%02dT10:00:00Z\",\"name\":\"version %d\"}]}";
	static const int days[] = { 3, 5, 4 };
	for (size_t i = 0; i < 3; i++) {
		char text[1024];
		snprintf(text, sizeof(text), object, days[i], days[i]);
		free_request(import(world, i == 1 ? CHE : FIN, text, strlen(text), "green"));
		AWAIT(world, held(world, FIN) == i + 1 && held(world, CHE) == i + 1);
	}
	struct pl_request *request =
		ask(world, FIN, "GET", "/v1/indicators/{id}", "identity--11111111-2222-4333-8444-555555555555", NULL, 0, NULL);
	cr_assert_not_null(strstr(request->bytes, "version 4"), "CHE brought its version under FIN's id");
	free_request(request);
	request = ask(world, FIN, "GET", "/v1/indicators/{id}", "identity--11111111-2222-4333-8444-555555555555", NULL, 0,
	              QUERY("author", "CHE"));
	cr_assert_not_null(strstr(request->bytes, "version 5"));
	free_request(request);
	request = ask(world, FIN, "GET", "/v1/indicators/{id}", "identity--11111111-2222-4333-8444-555555555555", NULL, 0,
	              QUERY("meta", "true"));
	cr_assert_str_eq(json_string_value(json_object_get(request->json, "name")), "version 4");
	cr_assert_str_eq(json_string_value(json_object_get(request->json, "author")), "FIN");
	cr_assert(json_is_false(json_object_get(request->json, "another_version")));
	const json_t *others = json_object_get(request->json, "others");
	cr_assert(json_array_size(others) == 1 && strcmp(json_string_value(json_array_get(others, 0)), "CHE") == 0);
	free_request(request);
	request = list(world, FIN, NULL);
	cr_assert_eq(json_array_size(json_object_get(request->json, "indicators")), 3, "a list has them all");
	for (size_t i = 0; i < 3; i++) {
		const json_t *item = json_array_get(json_object_get(request->json, "indicators"), i);
		cr_assert_str_eq(json_string_value(json_object_get(item, "first_author")), "FIN");
		cr_assert_eq(json_is_true(json_object_get(item, "another_version")), strcmp(json_string_value(json_object_get(item, "author")), "CHE") == 0);
	}
	free_request(request);
	request = ask(world, CHE, "GET", "/v1/indicators/export", NULL, NULL, 0, NULL);
	cr_assert(strstr(request->bytes, "version 3") && strstr(request->bytes, "version 4") && !strstr(request->bytes, "version 5"));
	free_request(request);
	request = ask(world, CHE, "GET", "/v1/indicators/export", NULL, NULL, 0, QUERY("author", "CHE"));
	cr_assert(!strstr(request->bytes, "version 4") && strstr(request->bytes, "version 5"));
	free_request(request);
	/* shared again by others, and again by FIN at another TLP: who was first stays first */
	char text[1024];
	snprintf(text, sizeof(text), object, 3, 3);
	free_request(import(world, CHE, text, strlen(text), "green"));
	free_request(import(world, FIN, text, strlen(text), "clear"));
	snprintf(text, sizeof(text), object, 6, 6);
	free_request(import(world, CHE, text, strlen(text), "green"));
	AWAIT(world, held(world, FIN) == 4);
	request = ask(world, FIN, "GET", "/v1/indicators/{id}", "identity--11111111-2222-4333-8444-555555555555", NULL, 0, NULL);
	cr_assert_not_null(strstr(request->bytes, "version 4"));
	free_request(request);
	world_free(world);
}

Test(indicator, a_time_far_ahead_is_refused_and_marked)
{
	struct world *world = world_new(2);
	static const char object[] =
		"{\"type\":\"bundle\",\"id\":\"bundle--11111111-2222-4333-8444-555555555555\",\"objects\":[{\"type\":\"identity\","
		"\"spec_version\":\"2.1\",\"id\":\"identity--11111111-2222-4333-8444-555555555555\","
		"\"created\":\"2026-11-01T10:00:00Z\",\"modified\":\"9999-12-31T10:00:00Z\",\"revoked\":true}]}";
	struct pl_request *request = import(world, CHE, object, strlen(object), "green");
	cr_assert_eq(number_in(request, "accepted"), 0);
	cr_assert_not_null(strstr(json_string_value(json_object_get(json_array_get(json_object_get(request->json, "rejected"), 0), "reason")), "over a day"));
	free_request(request);
	/* a node that is not this program lets it through */
	struct ticket_job t = { .core = &world->cores[FIN] };
	t.job = (struct pl_job){ .work = ticket_work, .done = ticket_done, .ctx = &t, .writes = true };
	pl_store_run(world->cores[FIN].store, &t.job);
	AWAIT(world, t.done);
	pl_channels_distribute(world->cores[FIN].channels);
	uint8_t plain[4096];
	size_t plain_bytes, done = 0;
	struct pl_indicators *items = calloc(1, sizeof(*items));
	const char *inner = strchr(object, '[') + 1;
	items->tlp = PL_TLP_GREEN;
	items->count = 1;
	items->objects[0] = (struct pl_text){ inner, strlen(inner) - 2 };
	cr_assert_eq(pl_indicators_write(items, plain, sizeof(plain), &plain_bytes), PL_OK);
	submit_item(world, &t.ticket, 0, plain, plain_bytes, &done);
	AWAIT(world, held(world, CHE) == 1);
	request = list(world, CHE, NULL);
	cr_assert(json_is_true(json_object_get(json_array_get(json_object_get(request->json, "indicators"), 0), "ahead")));
	free_request(request);
	free(items);
	world_free(world);
}

Test(indicator, nothing_of_an_object_lies_open_on_the_disk)
{
	struct world *world = world_new(2);
	cr_assert_eq(share(world, FIN, 0, 20, ",\"description\":\"CANARY-PLAINTEXT\",\"name_2\":\"n\""), 20);
	AWAIT(world, held(world, CHE) == 20);
	settle(world, 50);
	for (unsigned node = 0; node < 2; node++) {
		core_down(&world->cores[node]);
		FILE *file = fopen(world->cores[node].path, "rb");
		cr_assert_not_null(file);
		char *bytes = malloc(8 << 20);
		size_t count = fread(bytes, 1, 8 << 20, file);
		fclose(file);
		cr_assert_null(memmem(bytes, count, "CANARY-PLAINTEXT", 16));
		cr_assert_not_null(memmem(bytes, count, "identity--11111111", 18), "the test looks at the right file");
		free(bytes);
	}
	world_free(world);
}

Test(indicator, a_shutdown_answers_who_waits)
{
	struct world *world = world_new(2);
	char *bundle = make_bundle(0, 200, "");
	for (int turns = 0; turns < 12; turns++) {
		struct pl_request request = { .body = (const uint8_t *)bundle, .body_bytes = strlen(bundle) };
		pl_indicator_import(world->cores[FIN].part, &request, PL_TLP_CLEAR, false);
		for (int i = 0; i < turns; i++)
			uv_run(&world->loop, UV_RUN_NOWAIT);
		core_down(&world->cores[FIN]);
		cr_assert(request.status == 503 || request.status == 201, "%d after %d turns", request.status, turns);
		json_decref(request.json);
		core_up(world, FIN);
	}
	free(bundle);
	world_free(world);
}
