/* The control API as a whole: that openapi.json describes what there is, status, feed, metrics, times. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"
#include "node/app_fixture.h"
#include "tests/fixture.h"

enum { CHE, FIN, SGP };

/* The schema of an operation's good JSON reply; NULL if it has none. */
static const char *schema_of(const json_t *openapi, const char *method, const char *path)
{
	static const char *const codes[] = { "200", "201" };
	const json_t *responses = json_object_get(json_object_get(json_object_get(json_object_get(openapi, "paths"), path), method),
	                                          "responses");
	for (int i = 0; i < 2; i++) {
		const json_t *content = json_object_get(json_object_get(responses, codes[i]), "content");
		const char *ref = json_string_value(json_object_get(json_object_get(json_object_get(content, "application/json"), "schema"),
		                                                    "$ref"));
		if (ref)
			return strrchr(ref, '/') + 1;
	}
	return NULL;
}

static void expect_described(struct fix *fix, const json_t *openapi, const char *method, const char *route, const char *path, json_t *body,
                             int status)
{
	const char *schema = status < 300 ? schema_of(openapi, strcmp(method, "GET") == 0 ? "get" : "post", route) : "Error";
	json_t *reply = fix_call(fix, FIN, method, path, body, status);
	cr_assert_not_null(schema, "%s %s has no schema", method, route);
	char *fault = fix_fault(openapi, schema, reply);
	cr_assert_null(fault, "%s %s: %s", method, path, fault);
	json_decref(reply);
}

Test(api, a_number_stays_one_that_readers_of_json_hold)
{
	static const struct {
		uint64_t count;
		json_int_t shown;
	} cases[] = { { 0, 0 }, { 17, 17 }, { INT64_MAX, INT64_MAX }, { (uint64_t)INT64_MAX + 1, INT64_MAX }, { UINT64_MAX, INT64_MAX } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *count = pl_api_count(cases[i].count);
		cr_expect_eq(json_integer_value(count), cases[i].shown);
		json_decref(count);
	}
}

Test(api, openapi_json_names_every_route_and_no_other)
{
	struct fix *fix = fix_new(2, 1);
	fix_start(fix, FIN);
	json_t *openapi = fix_call(fix, FIN, "GET", "/v1/openapi.json", NULL, 200), *path, *operation;
	struct pl_http *http = pl_core_http(fix_core(fix, FIN));
	const struct pl_route *route;
	const char *name, *method;
	size_t described = 0, routes = 0;
	for (; (route = pl_http_route(http, routes)); routes++) {
		char lower[8] = "";
		for (size_t i = 0; route->method[i]; i++)
			lower[i] = (char)(route->method[i] | 0x20);
		cr_assert_not_null(json_object_get(json_object_get(json_object_get(openapi, "paths"), route->path), lower),
		                   "%s %s is not described",
		                   route->method, route->path);
	}
	json_object_foreach(json_object_get(openapi, "paths"), name, path)
	{
		json_object_foreach(path, method, operation)
		{
			bool found = false;
			for (size_t i = 0; (route = pl_http_route(http, i)); i++)
				found |= strcmp(route->path, name) == 0 && strcasecmp(route->method, method) == 0;
			cr_assert(found, "%s %s is described, and there is no such route", method, name);
			/* Parameters in the path are all described. */
			for (const char *at = name; (at = strchr(at, '{')); at++) {
				char parameter[40] = "";
				const json_t *item;
				size_t i;
				bool stands = false;
				snprintf(parameter, sizeof(parameter), "%.*s", (int)strcspn(at + 1, "}"), at + 1);
				json_array_foreach(json_object_get(operation, "parameters"), i, item)
				{
					stands |= strcmp(json_string_value(json_object_get(item, "name")), parameter) == 0;
				}
				cr_assert(stands, "%s of %s %s is not described", parameter, method, name);
			}
			described++;
		}
	}
	cr_assert_eq(described, routes);
	cr_assert_geq(routes, 16);
	json_decref(openapi);
	fix_free(fix);
}

Test(api, what_the_daemon_answers_is_what_openapi_json_says)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 3);
	json_t *openapi = fix_call(fix, FIN, "GET", "/v1/openapi.json", NULL, 200);
	uint8_t *reply;
	size_t count;
	cr_assert_eq(fix_call_bytes(fix, FIN, "POST", "/v1/attachments?name=a.txt", "abc", 3, &reply, &count), 201);
	json_t *uploaded = json_loadb((char *)reply, count, 0, NULL);
	char *fault = fix_fault(openapi, "Upload", uploaded);
	cr_assert_null(fault, "%s", fault);
	json_t *draft = json_pack("{s[s] s[s] ss ss ss ss s[s] sb}", "to", "SGP", "info", "CHE", "precedence", "flash", "subject", "S", "text",
	                          "T", "expires",
	                          "2040-01-01T00:00:00Z", "attachments", fix_string(uploaded, "token"), "exercise", 1);
	fault = fix_fault(openapi, "Draft", draft);
	cr_assert_null(fault, "%s", fault);
	expect_described(fix, openapi, "POST", "/v1/messages", "/v1/messages", draft, 201);
	fix_settle(fix);
	json_decref(fix_call(fix, SGP, "POST", "/v1/messages/FIN%2F0%2F2/accept", NULL, 200));
	fix_settle(fix);
	json_t *back = fix_call(fix, SGP, "POST", "/v1/messages", json_pack("{s[s] ss ss}", "to", "FIN", "text", "Back", "reply_to", "FIN/0/2"),
	                        201);
	fix_settle(fix);
	char path[100], read_path[110], receipts_path[110];
	snprintf(path, sizeof(path), "/v1/messages/%s", fix_string(back, "id"));
	snprintf(read_path, sizeof(read_path), "%s/read", path);
	snprintf(receipts_path, sizeof(receipts_path), "%s/receipts", path);
	json_decref(back);

	static const char id[] = "ipv4-addr--11111111-2222-4333-8444-555555555555", bundle_id[] = "bundle--11111111-2222-4333-8444-555555555555";
	json_t *bundle = json_pack("{ss ss s[{ss ss ss} {}]}", "type", "bundle", "id", bundle_id, "objects", "type", "ipv4-addr", "id", id,
	                           "value",
	                           "192.0.2.1"), *same = json_deep_copy(bundle);
	char indicator_path[100];
	snprintf(indicator_path, sizeof(indicator_path), "/v1/indicators/%s?meta=true", id);
	expect_described(fix, openapi, "POST", "/v1/indicators", "/v1/indicators?tlp=green", bundle, 201);
	json_t *nothing = fix_call(fix, FIN, "POST", "/v1/indicators?tlp=clear&strict=true", same, 422);
	fault = fix_fault(openapi, "NothingShared", nothing);
	cr_assert_null(fault, "%s", fault);
	json_decref(nothing);
	expect_described(fix, openapi, "GET", "/v1/indicators", "/v1/indicators", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/indicators", "/v1/indicators?limit=1&q=192.0.2.1", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/indicators/{id}", indicator_path, NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/indicators", "/v1/indicators?author=XYZ", NULL, 404);

	expect_described(fix, openapi, "GET", "/v1/health", "/v1/health", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/status", "/v1/status", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/peers", "/v1/peers", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/feed", "/v1/feed", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/feed", "/v1/feed?author=FIN&lane=0&limit=1", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/feed/{author}/{lane}/{seq}", "/v1/feed/FIN/0/2", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/messages", "/v1/messages", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/messages", "/v1/messages?limit=1", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/messages/{id}", "/v1/messages/FIN%2F0%2F2", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/messages/{id}", path, NULL, 200);
	expect_described(fix, openapi, "POST", "/v1/messages/{id}/read", read_path, json_pack("{ss}", "operator", "Aino"), 200);
	expect_described(fix, openapi, "GET", "/v1/messages/{id}/receipts", "/v1/messages/FIN%2F0%2F2/receipts", NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/messages/{id}/receipts", receipts_path, NULL, 200);
	expect_described(fix, openapi, "GET", "/v1/messages/{id}", "/v1/messages/FIN%2F0%2F9", NULL, 404);
	expect_described(fix, openapi, "POST", "/v1/messages", "/v1/messages", json_object(), 422);
	expect_described(fix, openapi, "GET", "/v1/feed", "/v1/feed?lane=7", NULL, 400);
	json_decref(uploaded);
	json_decref(openapi);
	free(reply);
	fix_free(fix);
}

Test(api, the_check_against_openapi_json_can_fail)
{
	json_t *openapi = json_pack("{s{s{s{ss s{s{ss} s{ss}} s[s] sb}}}}", "components", "schemas", "X", "type", "object", "properties", "a",
	                            "type",
	                            "integer", "b", "type", "string", "required", "a", "additionalProperties", 0);
	json_t *good = json_pack("{si ss}", "a", 1, "b", "x"), *lacks = json_pack("{ss}", "b", "x");
	json_t *more = json_pack("{si si}", "a", 1, "c", 2), *other = json_pack("{ss}", "a", "x");
	json_t *const wrong[] = { lacks, more, other };
	static const char *const faults[] = { "X has no \"a\"", "X.c is not described", "X.a is \"x\"" };
	cr_assert_null(fix_fault(openapi, "X", good));
	for (int i = 0; i < 3; i++) {
		char *fault = fix_fault(openapi, "X", wrong[i]);
		cr_assert_str_eq(fault, faults[i]);
		free(fault);
		json_decref(wrong[i]);
	}
	json_decref(good);
	json_decref(openapi);
}

Test(api, status_tells_of_network_node_and_frontier)
{
	struct fix *fix = fix_new(3, 1);
	fix_start_all(fix, 2);
	json_t *status = fix_call(fix, FIN, "GET", "/v1/status", NULL, 200);
	char hex[65];
	fix_expect(status, "network.id", sodium_bin2hex(hex, sizeof(hex), fix_charter(fix)->network_id, 32));
	fix_expect(status, "network.name", "Test network 1");
	fix_expect(status, "node.name", "FIN");
	fix_expect(status, "node.member", "FIN");
	fix_expect(status, "store.state", "ok");
	fix_expect(status, "epoch_key.number", "1");
	fix_expect(status, "frontier.lanes.0.node", "FIN"); /* CHE's came behind the engine's back, in this test */
	fix_expect(status, "frontier.lanes.0.durable", "1");
	fix_expect(status, "held.CHE", "0"); /* nor is there a link */
	fix_expect(status, "held.SGP", "0");
	cr_assert_null(json_object_get(json_object_get(status, "held"), "FIN"));
	json_decref(status);
	json_t *peers = fix_call(fix, FIN, "GET", "/v1/peers", NULL, 200);
	cr_assert_eq(json_array_size(json_object_get(peers, "peers")), 2);
	fix_expect(peers, "peers.0.node", "CHE");
	fix_expect(peers, "peers.0.address", "192.0.2.1:7100");
	fix_expect(peers, "peers.0.neighbour", "false"); /* in this fixture nobody dials */
	fix_expect(peers, "peers.0.role", "null");
	fix_expect(peers, "peers.0.direction", "null");
	cr_assert(json_is_string(json_object_get(json_array_get(json_object_get(peers, "peers"), 0), "epoch_key_valid_until")));
	fix_expect(peers, "peers.1.node", "SGP");
	fix_expect(peers, "peers.1.epoch_key_valid_until", "null");
	json_decref(peers);
	fix_free(fix);
}

Test(api, status_names_members_that_have_filled_their_share)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	json_t *status = fix_call(fix, FIN, "GET", "/v1/status", NULL, 200);
	cr_assert_eq(json_array_size(json_object_get(json_object_get(status, "store"), "shares_filled")), 0);
	fix_expect(status, "frontier.lanes.0.has_room", "true");
	json_decref(status);
	fix_share(fix, FIN, 0);
	status = fix_call(fix, FIN, "GET", "/v1/status", NULL, 200);
	cr_assert_eq(json_array_size(json_object_get(json_object_get(status, "store"), "shares_filled")), PL_LANES);
	fix_expect(status, "store.shares_filled.2.member", "CHE");
	fix_expect(status, "store.shares_filled.2.lane", "2");
	fix_expect(status, "store.shares_filled.2.waiting", "0");
	fix_expect(status, "frontier.lanes.0.node", "FIN");
	fix_expect(status, "frontier.lanes.0.has_room", "true"); /* what it says itself is its own affair */
	json_decref(status);
	uint8_t *text;
	size_t count;
	cr_assert_eq(fix_call_bytes(fix, FIN, "GET", "/metrics", NULL, 0, &text, &count), 200);
	cr_assert(strstr((char *)text, "parley_member_shares_full 3\n"));
	free(text);
	fix_free(fix);
}

Test(api, the_feed_is_read_in_order_or_newest_first)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	for (int i = 0; i < 3; i++)
		json_decref(fix_call(fix, FIN, "POST", "/v1/messages",
		                     json_pack("{s[s] ss ss}", "to", "CHE", "text", "x", "precedence", "immediate"), 201));
	json_t *feed = fix_call(fix, FIN, "GET", "/v1/feed?author=FIN&lane=0&limit=2", NULL, 200);
	fix_expect(feed, "entries.0.ref", "FIN/0/1");
	fix_expect(feed, "entries.0.kind", "epoch-key");
	fix_expect(feed, "entries.0.prev", "0000000000000000000000000000000000000000000000000000000000000000");
	fix_expect(feed, "entries.1.ref", "FIN/0/2");
	fix_expect(feed, "entries.1.prev", fix_string(feed, "entries.0.id"));
	fix_expect(feed, "next", "2");
	json_decref(feed);
	feed = fix_call(fix, FIN, "GET", "/v1/feed?author=FIN&lane=0&after=2", NULL, 200);
	fix_expect(feed, "entries.0.ref", "FIN/0/3");
	fix_expect(feed, "entries.1.ref", "FIN/0/4");
	fix_expect(feed, "next", "null");
	json_decref(feed);
	feed = fix_call(fix, FIN, "GET", "/v1/feed?author=fin&lane=0&limit=1", NULL, 200); /* in any case, as wherever a node is named */
	fix_expect(feed, "entries.0.ref", "FIN/0/1");
	json_decref(feed);
	feed = fix_call(fix, FIN, "GET", "/v1/feed?limit=1", NULL, 200);
	cr_assert_eq(json_array_size(json_object_get(feed, "entries")), 1);
	json_decref(feed);
	json_t *entry = fix_call(fix, FIN, "GET", "/v1/feed/FIN/0/1", NULL, 200);
	cr_assert_gt(strlen(fix_string(entry, "body")), 1216);
	cr_assert_eq(json_array_size(json_object_get(entry, "acked_by")), 0);
	json_decref(entry);
	entry = fix_call(fix, FIN, "GET", "/v1/feed/CHE/0/1", NULL, 200);
	fix_expect(entry, "acked_by.0", "CHE"); /* its author: no link has told */
	json_decref(entry);
	json_decref(fix_call(fix, FIN, "GET", "/v1/feed/FIN/0/9", NULL, 404));
	json_decref(fix_call(fix, FIN, "GET", "/v1/feed/XYZ/0/1", NULL, 404));
	json_decref(fix_call(fix, FIN, "GET", "/v1/feed/FIN/3/1", NULL, 404));
	json_decref(fix_call(fix, FIN, "GET", "/v1/feed?author=FIN", NULL, 400));
	json_decref(fix_call(fix, FIN, "GET", "/v1/feed?author=XYZ&lane=0", NULL, 404));
	fix_free(fix);
}

Test(api, metrics_count_what_happened)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	json_decref(fix_call(fix, FIN, "POST", "/v1/messages", json_pack("{s[s] ss ss}", "to", "CHE", "text", "x", "precedence", "flash"),
	                     201));
	fix_settle(fix);
	static const char *const at_fin[] = { "parley_messages_total{direction=\"out\"} 1\n", "parley_messages_total{direction=\"in\"} 0\n",
		                              "parley_flash_round_trip_seconds_count 1\n", "parley_flash_arrival_seconds_count 0\n",
		                              "parley_held_entries{node=\"CHE\"} 0\n", "parley_links{state=\"live\"} 0\n",
		                              "parley_store_writable 1\n",
		                              "parley_build_info{version=\"", "parley_indicators 0\n" };
	static const char *const at_che[] = { "parley_messages_total{direction=\"in\"} 1\n", "parley_flash_arrival_seconds_count 1\n",
		                              "parley_messages_unread 1\n", "parley_flash_unanswered 1\n" };
	for (int node = CHE; node <= FIN; node++) {
		uint8_t *text;
		size_t count;
		cr_assert_eq(fix_call_bytes(fix, (uint16_t)node, "GET", "/metrics", NULL, 0, &text, &count), 200);
		for (size_t i = 0; i < (node == FIN ? 9 : 4); i++)
			cr_assert(strstr((char *)text, (node == FIN ? at_fin : at_che)[i]), "no %s in %s", (node == FIN ? at_fin : at_che)[i],
			          (char *)text);
		free(text);
	}
	fix_free(fix);
}

/* The fixture's certificates end 365 days after its charter was made. */
Test(api, the_end_of_certificates_is_told_and_warned_of)
{
	struct fix *fix = fix_new(2, 1);
	fix_start_all(fix, 2);
	uint64_t left = (PL_FIXTURE_CREATED_MS + 365 * 86400000ull - fix_wall(fix)) / 86400000;
	cr_assert_gt(left, 61);
	char days[16];
	snprintf(days, sizeof(days), "%llu", (unsigned long long)left);
	json_t *status = fix_call(fix, FIN, "GET", "/v1/status", NULL, 200);
	fix_expect(status, "certificates.own.node", "FIN");
	fix_expect(status, "certificates.own.days_left", days);
	fix_expect(status, "certificates.first_to_end.node", "CHE");
	fix_expect(status, "certificates.first_to_end.days_left", days);
	fix_expect(status, "certificates.warning", "null");
	json_decref(status);
	fix_wall_jump(fix, (int64_t)(left - 59) * 86400000);
	status = fix_call(fix, FIN, "GET", "/v1/status", NULL, 200);
	fix_expect(status, "certificates.own.days_left", "59");
	cr_assert_not_null(strstr(fix_string(json_object_get(status, "certificates"), "warning"), "in 59 days"));
	json_t *peers = fix_call(fix, FIN, "GET", "/v1/peers", NULL, 200);
	cr_assert_str_eq(fix_string(peers, "peers.0.certificate_valid_until"),
	                 fix_string(status, "certificates.own.valid_until"));
	json_decref(peers);
	json_decref(status);
	uint8_t *text;
	size_t count;
	cr_assert_eq(fix_call_bytes(fix, FIN, "GET", "/metrics", NULL, 0, &text, &count), 200);
	char until[100];
	snprintf(until, sizeof(until), "parley_certificate_valid_until_seconds{node=\"CHE\"} %llu\n",
	         (unsigned long long)PL_FIXTURE_CREATED_MS / 1000 + 365 * 86400);
	cr_assert(strstr((char *)text, "parley_certificate_days_left 59\n"));
	cr_assert(strstr((char *)text, until));
	free(text);
	fix_free(fix);
}

Test(api, times_are_read_as_rfc_3339_has_them)
{
	static const struct {
		const char *text;
		uint64_t unix_ms;
	} good[] = { { "1970-01-01T00:00:00Z", 0 }, { "2026-11-24T12:00:00.123Z", 1795521600123 },
	             { "2026-11-24t15:00:00.123456+03:00", 1795521600123 },
		     { "2026-11-24T06:30:00.1-05:30", 1795521600100 }, { "2028-02-29T00:00:00Z", 1835395200000 } };
	static const char *const bad[] = { "", "2026-11-24", "2026-11-24 12:00:00Z", "2026-11-24T12:00:00", "2026-11-24T12:00Z",
	                                   "2026-13-01T00:00:00Z",
		                           "2026-02-29T00:00:00Z", "2026-11-31T00:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T12:60:00Z",
		                           "2026-11-24T12:00:60Z", "2026-11-24T12:00:00.Z", "2026-11-24T12:00:00Zx", "2026-11-24T12:00:00+3:00",
		                           "2026-11-24T12:00:00+03:00Z", "1969-12-31T23:59:59Z", "1970-01-01T00:00:00+00:01", "tomorrow" };
	uint64_t unix_ms;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		cr_assert_eq(pl_api_time_parse(good[i].text, &unix_ms), PL_OK, "%s", good[i].text);
		cr_assert_eq(unix_ms, good[i].unix_ms, "%s: %llu", good[i].text, (unsigned long long)unix_ms);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		cr_assert_eq(pl_api_time_parse(bad[i], &unix_ms), PL_ERR_FORMAT, "%s", bad[i]);
}
