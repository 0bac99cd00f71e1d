#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http_parse.h"

#define HOST "Host: x\r\n"

static struct pl_http_head head;
static const char *why;

static int parse(const char *text)
{
	why = "";
	return pl_http_parse_head(text, strlen(text), &head, &why);
}

static bool slice_is(struct pl_http_slice slice, const char *text)
{
	return slice.at && slice.count == strlen(text) && memcmp(slice.at, text, slice.count) == 0;
}

Test(http_parse, a_head_is_taken_apart)
{
	static const char text[] = "POST /v1/messages?a=b HTTP/1.1\r\nhost: x\r\nAccept: \t a/b, c/d;q=0.5 \t\r\nCONTENT-TYPE:application/json\r\n"
	                           "Content-Length: 0012\r\nLast-Event-ID: 7\r\nExpect: 100-continue\r\nX-Other:\r\nConnection: upgrade\r\n\r\nbody";
	cr_assert_eq(parse(text), 200, "%s", why);
	cr_assert_str_eq(head.method, "POST");
	cr_assert(slice_is(head.target, "/v1/messages?a=b"));
	cr_assert(slice_is(head.accept, "a/b, c/d;q=0.5"));
	cr_assert(slice_is(head.content_type, "application/json"));
	cr_assert(slice_is(head.last_event_id, "7"));
	cr_assert_eq(head.body_bytes, 12);
	cr_assert(head.expect_continue && head.keep_alive && head.minor_1);
	cr_assert_eq(head.bytes, sizeof text - 5);
}

Test(http_parse, every_beginning_is_incomplete_and_never_wrong)
{
	static const char text[] = "GET /a HTTP/1.1\r\nHost: x\r\nAccept: y\r\n\r\n";
	for (size_t count = 0; count < sizeof text - 1; count++) {
		char *copy = malloc(count + 1); /* of exactly this size, so that a sanitizer sees a read beyond it */
		memcpy(copy, text, count);
		cr_assert_eq(pl_http_parse_head(copy, count, &head, &why), 0, "%zu bytes", count);
		free(copy);
	}
	cr_assert_eq(parse(text), 200);
}

Test(http_parse, keep_alive_follows_version_and_connection)
{
	static const struct { const char *text; bool keep_alive; } cases[] = {
		{ "GET / HTTP/1.1\r\n" HOST "\r\n", true },
		{ "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\n" HOST "Connection: keep-alive, Close\r\n\r\n", false },
		{ "GET / HTTP/1.1\r\n" HOST "Connection: closed\r\n\r\n", true },
		{ "GET / HTTP/1.0\r\n\r\n", false },
		{ "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		cr_assert_eq(parse(cases[i].text), 200);
		cr_assert_eq(head.keep_alive, cases[i].keep_alive, "%s", cases[i].text);
	}
}

Test(http_parse, one_form_of_each_thing_is_accepted)
{
	static const struct { const char *text; int status; } cases[] = {
		{ "\r\n", 400 }, { "\n", 400 }, { " GET / HTTP/1.1\r\n", 400 }, { "get / HTTP/1.1\r\n", 400 }, { "GET  / HTTP/1.1\r\n", 400 },
		{ "GET /\r\n", 400 }, { "GET / \r\n", 400 }, { "GET / HTTP/1.1 \r\n", 400 }, { "GET / HTTP/1.1\n", 400 }, { "GET / HTTP/1.1\rX", 400 },
		{ "GET / HTTP/2.0\r\n", 505 }, { "GET / HTTP/1.2\r\n", 505 }, { "GET / http/1.1\r\n", 400 }, { "GET / HTTP/11\r\n", 400 },
		{ "ABCDEFGHIJKLMNOP / HTTP/1.1\r\n", 400 }, { "GET /\x01 HTTP/1.1\r\n", 400 }, { "GET /\xc3\xa4 HTTP/1.1\r\n", 400 },
		{ "GET /#a HTTP/1.1\r\n", 400 }, { "GET /\tHTTP/1.1\r\n", 400 }, { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505 },
		{ "GET / HTTP/1.1\r\n\r\n", 400 /* no Host */ }, { "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400 },
		{ "GET / HTTP/1.1\r\nHost : x\r\n", 400 }, { "GET / HTTP/1.1\r\n Host: x\r\n", 400 }, { "GET / HTTP/1.1\r\n" HOST "A: b\r\n c\r\n", 400 },
		{ "GET / HTTP/1.1\r\n: x\r\n", 400 }, { "GET / HTTP/1.1\r\nHost\r\n", 400 }, { "GET / HTTP/1.1\r\nA(b): c\r\n", 400 },
		{ "GET / HTTP/1.1\r\nA: b\x01\r\n", 400 }, { "GET / HTTP/1.1\r\nA: b\x7f\r\n", 400 },
		{ "POST / HTTP/1.1\r\nContent-Length: -1\r\n", 400 }, { "POST / HTTP/1.1\r\nContent-Length: +1\r\n", 400 },
		{ "POST / HTTP/1.1\r\nContent-Length: 0x1\r\n", 400 }, { "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n", 400 },
		{ "POST / HTTP/1.1\r\nContent-Length:\r\n", 400 }, { "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n", 400 },
		{ "POST / HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n", 400 }, { "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 411 },
		{ "POST / HTTP/1.1\r\nTransfer-Encoding: identity\r\n", 411 }, { "POST / HTTP/1.1\r\nExpect: miracles\r\n", 417 },
		{ "GET / HTTP/1.1\r\nAccept: a\r\nAccept: b\r\n", 400 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		cr_assert_eq(parse(cases[i].text), cases[i].status, "%s", cases[i].text);
		cr_assert_str_neq(why, "");
	}
	cr_assert_eq(pl_http_parse_head("GET /\0 HTTP/1.1\r\n", 17, &head, &why), 400);
	cr_assert_eq(pl_http_parse_head("G\0", 2, &head, &why), 400, "a NUL is seen at once");
}

Test(http_parse, the_number_of_headers_is_limited)
{
	char text[4096] = "GET / HTTP/1.1\r\n" HOST;
	for (unsigned i = 1; i < PL_HTTP_HEADERS_MAX; i++)
		strcat(text, "A: b\r\n");
	size_t length = strlen(text);
	strcat(text, "\r\n");
	cr_assert_eq(parse(text), 200);
	strcpy(text + length, "A: b\r\n");
	cr_assert_eq(parse(text), 431);
}

/* --- targets --- */

static struct pl_http_target target;

static int parse_target(const char *text)
{
	struct pl_http_slice slice = { text, strlen(text) };
	why = "";
	return pl_http_parse_target(slice, &target, &why);
}

Test(http_parse, a_path_is_split_before_it_is_decoded)
{
	cr_assert_eq(parse_target("/v1/messages/FIN%2F0%2f17/accept"), 200);
	cr_assert_eq(target.segments_count, 4);
	cr_assert_str_eq(target.segments[0], "v1");
	cr_assert_str_eq(target.segments[2], "FIN/0/17");
	cr_assert_str_eq(target.segments[3], "accept");
	cr_assert_eq(target.query_count, 0);
	pl_http_target_dispose(&target);

	cr_assert_eq(parse_target("/"), 200);
	cr_assert_eq(target.segments_count, 1);
	cr_assert_str_eq(target.segments[0], "");
	pl_http_target_dispose(&target);

	cr_assert_eq(parse_target("/a+b//../%2e%C3%A4/"), 200); /* nothing is tidied up: such paths are simply not there */
	cr_assert_eq(target.segments_count, 5);
	cr_assert_str_eq(target.segments[0], "a+b");
	cr_assert_str_eq(target.segments[1], "");
	cr_assert_str_eq(target.segments[2], "..");
	cr_assert_str_eq(target.segments[3], ".ä");
	cr_assert_str_eq(target.segments[4], "");
	pl_http_target_dispose(&target);
}

Test(http_parse, a_query_is_pairs)
{
	cr_assert_eq(parse_target("/a?x=1&name=a%26b%3D+c&&flag&empty=&e==f?/&"), 200);
	static const struct { const char *name, *value; } pairs[] = {
		{ "x", "1" }, { "name", "a&b= c" }, { "flag", "" }, { "empty", "" }, { "e", "=f?/" },
	};
	cr_assert_eq(target.query_count, 5);
	for (size_t i = 0; i < 5; i++) {
		cr_assert_str_eq(target.query[i].name, pairs[i].name);
		cr_assert_str_eq(target.query[i].value, pairs[i].value);
	}
	pl_http_target_dispose(&target);
	cr_assert_eq(parse_target("/a?"), 200);
	cr_assert_eq(target.query_count, 0);
	pl_http_target_dispose(&target);
}

Test(http_parse, targets_that_are_refused)
{
	static const struct { const char *text; int status; } cases[] = {
		{ "", 400 }, { "a", 400 }, { "*", 400 }, { "http://x/", 400 }, { "/%", 400 }, { "/%1", 400 }, { "/%zz", 400 }, { "/%00", 400 },
		{ "/%1b", 400 }, { "/%7f", 400 }, { "/%ff", 400 }, { "/%c0%af", 400 }, { "/%ed%a0%80", 400 }, { "/a?b=%00", 400 }, { "/a?%00=b", 400 },
		{ "/a?b=%ff", 400 }, { "/a?b=1&b=2", 400 }, { "/a?b&b", 400 },
		{ "/1/2/3/4/5/6/7/8/9/a/b/c/d/e/f/g/h", 414 },
		{ "/?a1&a2&a3&a4&a5&a6&a7&a8&b1&b2&b3&b4&b5&b6&b7&b8&c1&c2&c3&c4&c5&c6&c7&c8&d1&d2&d3&d4&d5&d6&d7&d8&e", 414 },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		cr_assert_eq(parse_target(cases[i].text), cases[i].status, "%s", cases[i].text);
		cr_assert_str_neq(why, "");
	}
}

Test(http_parse, patterns_fit_segment_by_segment)
{
	cr_assert_eq(parse_target("/v1/messages/FIN%2F0%2F17/accept"), 200);
	cr_assert_eq(pl_http_match("/v1/messages/{id}/accept", &target), 4);
	cr_assert_eq(pl_http_match("/v1/{what}/{id}/{verb}", &target), 2);
	cr_assert_eq(pl_http_match("/v1/messages/{id}", &target), 0);
	cr_assert_eq(pl_http_match("/v1/messages/{id}/accept/{n}", &target), 0);
	cr_assert_eq(pl_http_match("/v1/messages/{id}/acceptance", &target), 0);
	cr_assert_eq(pl_http_match("/v1/messages/{id}/accep", &target), 0);
	cr_assert_str_eq(pl_http_match_param("/v1/messages/{id}/accept", &target, "id"), "FIN/0/17");
	cr_assert_str_eq(pl_http_match_param("/v1/{what}/{id}/{verb}", &target, "verb"), "accept");
	cr_assert_null(pl_http_match_param("/v1/messages/{id}/accept", &target, "i"));
	pl_http_target_dispose(&target);

	cr_assert_eq(parse_target("/v1/messages/"), 200);
	cr_assert_eq(pl_http_match("/v1/messages/{id}", &target), 0, "an empty segment is no parameter");
	cr_assert_eq(pl_http_match("/v1/messages", &target), 0);
	pl_http_target_dispose(&target);
}
