#include <curl/curl.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "node/http/http_fixture.h"

TestSuite(http, .init = setup, .fini = teardown);

/* --- requests and replies --- */

Test(http, a_get_is_answered_in_json)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, GET("/hello"));
	cr_assert_eq(client.status, 200);
	cr_assert_str_eq(client.body, "{\"hello\":\"world\",\"ctx\":\"ctx\"}\n");
	cr_assert(strstr(client.head, "HTTP/1.1 200 OK\r\n"));
	cr_assert(strstr(client.head, "Content-Type: application/json\r\n"));
	cr_assert(strstr(client.head, "Content-Length: 30\r\n"));
	cr_assert(strstr(client.head, "\r\nDate: "));
	cr_assert_null(strstr(client.head, "Connection:"));
	client_ask(&client, GET("/hello")); /* on the same connection */
	cr_assert_eq(client.status, 200);
	cr_assert_eq(calls, 2);
	cr_assert_eq(http->counters.connections, 1);
	client_close(&client);
}

Test(http, parameters_are_decoded)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, GET("/things/FIN%2F0%2F17?q=a%20b%26+c"));
	cr_assert_str_eq(client.body, "{\"id\":\"FIN/0/17\",\"q\":\"a b& c\"}\n");
	client_ask(&client, GET("/things/%C3%A4"));
	cr_assert_str_eq(client.body, "{\"id\":\"ä\"}\n");
	client_ask(&client, GET("/things/literal"));
	cr_assert_str_eq(client.body, "literal\n", "the path without a parameter is taken");
	client_ask(&client, GET("/limited?limit=100"));
	cr_assert_str_eq(client.body, "{\"limit\":100}\n");
	client_ask(&client, GET("/limited"));
	cr_assert_str_eq(client.body, "{\"limit\":50}\n");
	static const char *const bad[] = { "101", "0", "-1", "1x", "", "99999999999999999999999" };
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char request[128];
		snprintf(request, sizeof request, "GET /limited?limit=%s HTTP/1.1\r\n" HOST "\r\n", bad[i]);
		client_ask(&client, request);
		cr_assert_eq(client.status, 400);
		cr_assert_str_eq(error_code(&client), "bad_parameter");
	}
	client_close(&client);
}

Test(http, what_is_not_there_and_what_is_not_done)
{
	struct client client;
	client_connect(&client);
	static const char *const missing[] = { "/", "/hello/", "/hell", "/things/", "/things/a/b", "//hello", "/hello/.." };
	for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
		char request[128];
		snprintf(request, sizeof request, "GET %s HTTP/1.1\r\n" HOST "\r\n", missing[i]);
		client_ask(&client, request);
		cr_assert_eq(client.status, 404, "%s", missing[i]);
		cr_assert_str_eq(error_code(&client), "not_found");
	}
	client_ask(&client, "PUT /things/a HTTP/1.1\r\n" HOST "\r\n");
	cr_assert_eq(client.status, 405);
	cr_assert_str_eq(error_code(&client), "method_not_allowed");
	cr_assert(strstr(client.head, "\r\nAllow: OPTIONS, GET, HEAD, DELETE\r\n"), "%s", client.head);
	client_ask(&client, "DELETE /things/literal HTTP/1.1\r\n" HOST "\r\n"); /* the better path decides, whatever the method */
	cr_assert_eq(client.status, 405);
	cr_assert(strstr(client.head, "\r\nAllow: OPTIONS, GET, HEAD\r\n"));
	client_ask(&client, "BREW /hello HTTP/1.1\r\n" HOST "\r\n");
	cr_assert_eq(client.status, 405);
	client_ask(&client, "OPTIONS /hold HTTP/1.1\r\n" HOST "\r\n");
	cr_assert_eq(client.status, 204);
	cr_assert(strstr(client.head, "\r\nAllow: OPTIONS, GET, HEAD, POST\r\n"));
	cr_assert_null(strstr(client.head, "Content-Length"));
	client_ask(&client, GET("/hello"));
	cr_assert_eq(client.status, 200, "the connection has stayed in step");
	cr_assert_eq(http->counters.connections, 1);
	client_close(&client);
}

Test(http, head_is_get_without_the_body)
{
	struct client client;
	client_connect(&client);
	client_send(&client, "HEAD /hello HTTP/1.1\r\n" HOST "\r\n" GET("/things/x"));
	client_wait_text(&client, "{\"id\":\"x\"}\n");
	cr_assert(strstr(client.in, "Content-Length: 30\r\n"));
	cr_assert_null(strstr(client.in, "world"));
	cr_assert_eq(calls, 1);
	client_close(&client);

	client_connect(&client);
	client_send(&client, "HEAD /nowhere HTTP/1.1\r\n" HOST "\r\n" GET("/hello"));
	client_wait_text(&client, "world");
	cr_assert_null(strstr(client.in, "not_found"));
	client_close(&client);

	client_connect(&client);
	client_send(&client, "HEAD /events HTTP/1.1\r\n" HOST "\r\n" GET("/hello"));
	client_wait_text(&client, "world");
	client_close(&client);
}

Test(http, requests_sent_in_a_row_are_answered_in_order)
{
	struct client client;
	client_connect(&client);
	client_send(&client, GET("/things/1") GET("/hold") "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc\r\n" GET("/things/2"));
	client_reply(&client);
	cr_assert_str_eq(client.body, "{\"id\":\"1\"}\n");
	PUMP_UNTIL(held);
	assert_loop_is_asleep();
	cr_assert_eq(calls, 0);
	pl_reply_text(held, 200, "text/plain", "held");
	client_reply(&client);
	cr_assert_str_eq(client.body, "held");
	client_reply(&client);
	cr_assert(strstr(client.body, "\"bytes\":3,"), "%s", client.body);
	client_reply(&client);
	cr_assert_str_eq(client.body, "{\"id\":\"2\"}\n");
	client_close(&client);
}

Test(http, more_requests_in_a_row_than_are_held_in_memory_are_all_answered)
{
	struct client client;
	client_connect(&client);
	client_send(&client, GET("/hold"));
	PUMP_UNTIL(held);
	static const char one[] = GET("/h");
	static char all[3000 * (sizeof one - 1)];
	for (unsigned i = 0; i < 3000; i++)
		memcpy(all + i * (sizeof one - 1), one, sizeof one - 1);
	cr_assert_eq(send(client.fd, all, sizeof all, MSG_NOSIGNAL), sizeof all, "the socket takes them, and the server not yet");
	client_send(&client, GET("/hello"));
	shutdown(client.fd, SHUT_WR);
	assert_loop_is_asleep();
	pl_reply_text(held, 200, "text/plain", "held");
	client_reply(&client);
	for (unsigned i = 0; i < 3000; i++) {
		client_reply(&client);
		cr_assert_eq(client.status, 404);
	}
	client_reply(&client);
	cr_assert_eq(client.status, 200);
	client_wait_eof(&client);
	client_close(&client);
}

Test(http, a_client_that_sends_on_or_half_closes_does_not_keep_the_loop_busy)
{
	struct client client;
	client_connect(&client);
	client_send(&client, GET("/hold"));
	PUMP_UNTIL(held);
	client_send(&client, GET("/hello"));
	shutdown(client.fd, SHUT_WR);
	assert_loop_is_asleep();
	cr_assert_eq(calls, 0, "one request at a time");
	pl_reply_text(held, 200, "text/plain", "held");
	client_reply(&client);
	cr_assert_str_eq(client.body, "held", "a half-closed client gets its reply");
	client_reply(&client);
	cr_assert_eq(calls, 1);
	client_wait_eof(&client);
	client_close(&client);

	struct client idle; /* so that there is another, which the library looks at before */
	held = NULL;
	client_connect(&idle);
	client_ask(&idle, GET("/hello"));
	client_connect(&client); /* nothing is left to read for the server but the end */
	client_send(&client, GET("/hold"));
	shutdown(client.fd, SHUT_WR);
	PUMP_UNTIL(held);
	assert_loop_is_asleep();
	pl_reply_text(held, 200, "text/plain", "held");
	client_reply(&client);
	cr_assert_str_eq(client.body, "held");
	client_wait_eof(&client);
	client_close(&client);
	client_close(&idle);
}

Test(http, errors_have_code_message_and_hint)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, GET("/failing"));
	cr_assert_eq(client.status, 409);
	cr_assert_str_eq(client.body, "{\"error\":{\"code\":\"no_epoch_key\",\"message\":\"no key of CHE \\\\xff\\\\x1b\",\"hint\":\"wait for it\"}}\n");
	client_ask(&client, GET("/nothing"));
	cr_assert_eq(client.status, 500);
	cr_assert_str_eq(error_code(&client), "internal");
	client_close(&client);
}

Test(http, files_carry_their_name)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, GET("/file"));
	cr_assert_eq(client.body_count, 4);
	cr_assert_arr_eq(client.body, "\0\1\2\3", 4);
	cr_assert_null(strstr(client.head, "Content-Disposition"));
	cr_assert(strstr(client.head, "\r\nContent-Type: image/x-test\r\nX-Content-Type-Options: nosniff\r\n"));
	client_ask(&client, GET("/file?type=bad"));
	cr_assert(strstr(client.head, "\r\nContent-Type: application/octet-stream\r\n"));
	cr_assert_null(strstr(client.head, "Cookie"));
	client_ask(&client, GET("/file?name=k%C3%A4se%22%5C..%2F%E2%80%AEgpj.txt"));
	cr_assert(strstr(client.head, "\r\nContent-Disposition: attachment; filename=\"k_se__..__gpj.txt\"; filename*=UTF-8''k%C3%A4se%22_..__gpj.txt\r\n"),
	          "%s", client.head);
	client_close(&client);
}

/* --- JSON --- */

static void post_json(struct client *client, const char *body, size_t count)
{
	char head[128];
	snprintf(head, sizeof head, "POST /json HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", count);
	client_send(client, head);
	client_send_bytes(client, body, count);
	client_reply(client);
}

Test(http, json_comes_in_and_goes_out_compact)
{
	struct client client;
	client_connect(&client);
	static const char body[] = " { \"z\" : [1, 2.5, null],\n \"a\": \"\xc3\xa4\" } ";
	post_json(&client, body, sizeof body - 1);
	cr_assert_eq(client.status, 201);
	cr_assert_str_eq(client.body, "{\"z\":[1,2.5,null],\"a\":\"ä\"}\n");
	client_close(&client);
}

Test(http, malformed_json_is_refused_with_its_place)
{
	struct client client;
	client_connect(&client);
	static const struct { const char *body, *message; } cases[] = {
		{ "{\"a\":1,\n \"b\":}", "line 2, column " }, { "{\"a\":1,\"a\":2}", "duplicate" }, { "\"text\"", "line 1, column " },
		{ "{} x", "line 1, column " }, { "{\"a\":\"\xff\"}", "line 1, column " }, { "{\"a\":\"\\u0000\"}", "line 1, column " },
		{ "[1e999]", "line 1, column " }, { "{\"a\":", "line 1, column " }, { "", "JSON is expected" }, { "[[", "line 1, column " },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		post_json(&client, cases[i].body, strlen(cases[i].body));
		cr_assert_eq(client.status, 400, "%s", cases[i].body);
		cr_assert_str_eq(error_code(&client), "bad_json");
		cr_assert(strstr(client.body, cases[i].message), "%s", client.body);
	}
	post_json(&client, "[\0]", 3);
	cr_assert_eq(client.status, 400);
	client_close(&client);
}

Test(http, json_nests_to_a_limit)
{
	struct client client;
	client_connect(&client);
	char body[100000];
	memset(body, '[', PL_JSON_DEPTH_MAX);
	memset(body + PL_JSON_DEPTH_MAX, ']', PL_JSON_DEPTH_MAX);
	post_json(&client, body, 2 * PL_JSON_DEPTH_MAX);
	cr_assert_eq(client.status, 201);
	memset(body, '[', sizeof body);
	post_json(&client, body, sizeof body);
	cr_assert_eq(client.status, 400);
	cr_assert(strstr(client.body, "line 1, column 33: nested deeper than 32"), "%s", client.body);
	static const char in_strings[] = "{\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\":\"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{\\\\\"}";
	post_json(&client, in_strings, sizeof in_strings - 1);
	cr_assert_eq(client.status, 201, "%s", client.body);
	client_close(&client);
}

/* --- bodies --- */

Test(http, an_upload_of_16_mib_arrives_whole_and_takes_that_much_memory)
{
	struct client client;
	size_t count = 16 << 20;
	char *body = malloc(count);
	uint32_t sum = 0;
	for (size_t i = 0; i < count; i++) {
		body[i] = (char)(i * 7 + i / 251);
		sum = sum * 31 + (uint8_t)body[i];
	}
	client_connect(&client);
	client_send(&client, "POST /upload HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 16777216\r\n\r\n");
	client_wait_text(&client, "HTTP/1.1 100 Continue\r\n\r\n");
	client.count = 0;
	client.in[0] = '\0';
	client_send_bytes(&client, body, count - 1);
	PUMP_UNTIL(http->conns->request && http->conns->request->body_count == count - 1);
	cr_assert_eq(http->conns->request->body_room, count);
	cr_assert_eq(http->bodies_bytes, count);
	client_send_bytes(&client, body + count - 1, 1);
	client_reply(&client);
	char expected[128];
	snprintf(expected, sizeof expected, "{\"bytes\":16777216,\"sum\":%u}\n", sum);
	cr_assert_str_eq(client.body, expected);
	cr_assert_eq(http->bodies_bytes, 0);
	free(body);
	client_close(&client);
}

Test(http, a_body_over_the_limit_is_refused_without_reading_on)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 16777217\r\n\r\nabc");
	cr_assert_eq(client.status, 413);
	cr_assert_str_eq(error_code(&client), "too_large");
	cr_assert(strstr(client.body, "16777217 bytes; at most 16777216"), "%s", client.body);
	cr_assert(strstr(client.head, "Connection: close\r\n"));
	client_wait_eof(&client);
	client_close(&client);

	client_connect(&client);
	client_ask(&client, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 999999999999999999\r\n\r\n");
	cr_assert_eq(client.status, 413);
	client_close(&client);
	client_connect(&client);
	client_ask(&client, "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 101\r\nExpect: 100-continue\r\n\r\n");
	cr_assert_eq(client.status, 413, "a client that asks first is told at once");
	client_close(&client);
	client_connect(&client); /* a small one is read to its end, and the connection goes on */
	client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx");
	cr_assert_eq(client.status, 413);
	client_ask(&client, "POST /nowhere HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcde");
	cr_assert_eq(client.status, 404);
	client_ask(&client, GET("/hello"));
	cr_assert_eq(client.status, 200);
	client_close(&client);
}

Test(http, bodies_share_a_budget)
{
	struct client clients[5];
	for (unsigned i = 0; i < 4; i++) {
		client_connect(&clients[i]);
		client_send(&clients[i], "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 16777216\r\n\r\nabc");
	}
	PUMP_UNTIL(http->bodies_bytes == PL_HTTP_BODIES_BYTES_MAX);
	client_connect(&clients[4]);
	client_ask(&clients[4], "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx");
	cr_assert_eq(clients[4].status, 503);
	cr_assert_str_eq(error_code(&clients[4]), "busy");
	client_close(&clients[0]); /* in the midst of its body */
	PUMP_UNTIL(http->bodies_bytes < PL_HTTP_BODIES_BYTES_MAX);
	client_close(&clients[4]);
	client_connect(&clients[4]);
	client_ask(&clients[4], "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx");
	cr_assert_eq(clients[4].status, 201);
	for (unsigned i = 1; i < 5; i++)
		client_close(&clients[i]);
}

Test(http, leave_to_send_nothing_is_not_asked_for)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, "POST /upload HTTP/1.1\r\n" HOST "Expect: 100-continue\r\n\r\n" GET("/hello"));
	cr_assert_eq(client.status, 400);
	error_code(&client);
	client_wait_eof(&client);
	cr_assert_eq(http->counters.requests, 0);
	client_close(&client);
}

Test(http, a_post_without_a_body_is_one_with_an_empty_body)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, "POST /upload HTTP/1.1\r\n" HOST "\r\n");
	cr_assert_str_eq(client.body, "{\"bytes\":0,\"sum\":0}\n");
	client_ask(&client, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n");
	cr_assert_eq(client.status, 201);
	client_close(&client);
}

Test(http, a_request_may_arrive_byte_by_byte)
{
	static const char request[] = "\r\nPOST /upload?x=y HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nabcde";
	struct client client;
	client_connect(&client);
	for (size_t i = 0; i < sizeof request - 1; i++) {
		int unread = 1;
		client_send_bytes(&client, request + i, 1);
		PUMP_UNTIL(ioctl(client.fd, SIOCOUTQ, &unread) == 0 && unread == 0);
	}
	client_reply(&client);
	cr_assert(strstr(client.body, "\"bytes\":5"));
	client_close(&client);
}

/* --- bad clients --- */

Test(http, malformed_requests_are_refused)
{
	static const struct { const char *request; int status; } cases[] = {
		{ GET("/%00"), 400 }, { GET("/things/%ff"), 400 }, { GET("/things/%zz"), 400 }, { GET("/things/a%2"), 400 }, { GET("/things/%0a"), 400 },
		{ GET("/limited?q=1&q=2"), 400 }, { GET("/limited?q=%80"), 400 }, { GET("/limited?%7=x"), 400 },
		{ GET("/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q"), 400 }, { GET("/limited?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&r&s&t&u&v&w&x&y&z&1&2&3&4&5&6&7"), 400 },
		{ "CONNECT x:1 HTTP/1.1\r\n" HOST "\r\n", 400 }, { "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 400 }, { GET("http://x/hello"), 400 },
	};
	struct client client;
	client_connect(&client);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		client_ask(&client, cases[i].request);
		cr_assert_eq(client.status, cases[i].status, "%s", cases[i].request);
		error_code(&client);
	}
	client_ask(&client, GET("/things/%C3%A4"));
	cr_assert_eq(client.status, 200, "it is clear where they end, and the connection goes on");
	assert_loop_is_asleep();
	cr_assert_eq(client.count, 0, "one reply to each");
	client_close(&client);

	client_connect(&client);
	client_ask(&client, "POST /upload HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n");
	cr_assert_eq(client.status, 411);
	error_code(&client);
	client_wait_eof(&client);
	client_close(&client);
	cr_assert_eq(calls, 0);
}

/* What is no request gets a status from the library, and none of our JSON, or nothing at all. */
Test(http, what_is_not_http_ends_the_connection)
{
	static const struct { const char *request, *reply; } cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " }, { "\x16\x03\x01\r\n", "" }, { "GET / HTTP/3.0\r\n", "HTTP/1.1 505 " },
		{ "GET /hello\r\n\r\n", "HTTP/1.1 400 " }, { "GET /hel lo HTTP/1.1\r\n" HOST "\r\n", "" },
		{ "GET /hello HTTP/1.1\r\n" HOST "no header\r\n\r\n", "HTTP/1.1 400 " },
		{ "POST /upload HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", "HTTP/1.1 400 " },
		{ "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 413 " },
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct client client;
		client_connect(&client);
		client_send(&client, cases[i].request);
		client_wait_eof(&client);
		cr_assert(strncmp(client.in, cases[i].reply, strlen(cases[i].reply)) == 0, "%s: %s", cases[i].request, client.in);
		cr_assert_eq(client.count == 0, cases[i].reply[0] == '\0');
		client_close(&client);
	}
	cr_assert_eq(http->counters.requests, 0);
	PUMP_UNTIL(http->counters.open == 0);
}

Test(http, a_head_has_a_limit)
{
	struct client client;
	static char request[5 * PL_HTTP_HEAD_BYTES_MAX];
	static const char start[] = "GET /hello HTTP/1.1\r\n" HOST "X: ";
	memset(request, 'a', sizeof request);
	memcpy(request, start, sizeof start - 1);
	client_connect(&client);
	memcpy(request + PL_HTTP_HEAD_BYTES_MAX - 4, "\r\n\r\n", 4);
	client_send_bytes(&client, request, PL_HTTP_HEAD_BYTES_MAX);
	client_reply(&client);
	cr_assert_eq(client.status, 200);
	memcpy(request + PL_HTTP_HEAD_BYTES_MAX - 4, "a\r\n\r\n", 5);
	client_send_bytes(&client, request, PL_HTTP_HEAD_BYTES_MAX + 1);
	client_reply(&client);
	cr_assert_eq(client.status, 431);
	cr_assert_str_eq(error_code(&client), "head_too_large");
	client_ask(&client, GET("/hello"));
	cr_assert_eq(client.status, 200);
	client_close(&client);

	memset(request + PL_HTTP_HEAD_BYTES_MAX - 4, 'a', 5); /* one without an end */
	client_connect(&client);
	client_send_bytes(&client, request, sizeof request);
	client_wait_eof(&client);
	cr_assert(strncmp(client.in, "HTTP/1.1 431 ", 13) == 0, "%s", client.in);
	client_close(&client);
}

/* Byte by byte, for ever: what a client may take its time for has an end. */
static void dribble(const char *request)
{
	struct client client;
	client_connect(&client);
	client_send(&client, request);
	while (!client.eof) {
		cr_assert(still_time());
		if (send(client.fd, "a", 1, MSG_NOSIGNAL) < 0)
			client.eof = true;
		turn(client.fd, POLLIN);
		client_receive(&client);
	}
	cr_assert_eq(client.count, 0);
	cr_assert_eq(http->bodies_bytes, 0);
	client_close(&client);
}

Test(http, slow_clients_time_out)
{
	struct client client;
	http->times.request = http->times.body = 20;
	dribble("GET /hel");
	dribble("POST /upload HTTP/1.1\r\n" HOST "Content-Length: 10000000\r\n\r\nabc");
	cr_assert_eq(http->counters.requests, 0);

	client_connect(&client); /* nor does one that says nothing stay, between requests */
	client_wait_eof(&client);
	cr_assert_eq(client.count, 0);
	client_close(&client);
	client_connect(&client);
	client_ask(&client, GET("/hello"));
	client_wait_eof(&client);
	cr_assert_eq(client.count, 0);
	client_close(&client);

	http->times.request = http->times.body = 1000000;
	http->times.silence_s = 1;
	client_connect(&client);
	client_send(&client, "GET /hel");
	client_wait_eof(&client);
	client_close(&client);
}

Test(http, a_client_that_takes_nothing_in_is_closed)
{
	struct client client;
	http->times.silence_s = 1;
	client_connect(&client);
	client_send(&client, GET("/big"));
	PUMP_UNTIL(http->counters.requests == 1);
	PUMP_UNTIL(http->counters.open == 0);
	client_close(&client);

	client_connect(&client); /* one that does, may take its time */
	client_ask(&client, GET("/big"));
	cr_assert_eq(client.body_count, 16 << 20);
	client_close(&client);
}

Test(http, a_client_may_be_gone_before_its_reply)
{
	struct client client;
	client_connect(&client);
	client_send(&client, GET("/hold"));
	PUMP_UNTIL(held);
	client_close(&client);
	PUMP_UNTIL(http->counters.open == 0);
	cr_assert_null(held->conn);
	cr_assert_str_eq(pl_request_user(held), pl_request_user(held));
	pl_reply_json(held, 200, json_object());
	cr_assert_eq(http->counters.dropped, 1);

	held = NULL;
	client_connect(&client); /* a request that is never replied to ends with the server */
	client_send(&client, GET("/hold"));
	PUMP_UNTIL(held);
	client_close(&client);
}

Test(http, connections_are_limited)
{
	static struct client clients[PL_HTTP_CONNECTIONS_MAX + 20];
	unsigned n = 0;
	for (; n < PL_HTTP_CONNECTIONS_MAX; n++) {
		client_connect(&clients[n]);
		client_ask(&clients[n], GET("/hello"));
		cr_assert_eq(clients[n].status, 200);
	}
	for (; n < PL_HTTP_CONNECTIONS_MAX + 16; n++) {
		client_connect(&clients[n]);
		PUMP_UNTIL(http->counters.connections == n + 1);
	}
	for (; n < PL_HTTP_CONNECTIONS_MAX + 20; n++) {
		client_connect(&clients[n]);
		client_send(&clients[n], GET("/hello"));
	}
	assert_loop_is_asleep();
	cr_assert_eq(http->counters.open, PL_HTTP_CONNECTIONS_MAX + 16, "the rest waits");
	for (n = PL_HTTP_CONNECTIONS_MAX; n < PL_HTTP_CONNECTIONS_MAX + 16; n++) {
		client_ask(&clients[n], GET("/hello"));
		cr_assert_eq(clients[n].status, 503);
		cr_assert_str_eq(error_code(&clients[n]), "too_many_connections");
	}
	for (n = 0; n < 20; n++)
		client_close(&clients[n]);
	for (n = PL_HTTP_CONNECTIONS_MAX + 16; n < PL_HTTP_CONNECTIONS_MAX + 20; n++)
		client_reply(&clients[n]);
	for (n = 20; n < PL_HTTP_CONNECTIONS_MAX + 20; n++)
		client_close(&clients[n]);
	client_connect(&clients[0]);
	client_ask(&clients[0], GET("/hello"));
	cr_assert_eq(clients[0].status, 200);
	client_close(&clients[0]);
}

Test(http, other_users_are_refused)
{
	if (geteuid() != 0)
		cr_skip("only root can become somebody else");
	struct client client;
	client_connect(&client);
	client_ask(&client, GET("/who"));
	cr_assert(strstr(client.body, "{\"uid\":0,\"user\":\"root\"}"), "%s", client.body);
	client_close(&client);

	cr_assert_eq(chmod(path, 0666), 0);
	cr_assert_eq(chmod(dir, 0755), 0);
	int pipe_fds[2];
	cr_assert_eq(pipe(pipe_fds), 0);
	pid_t child = fork();
	if (child == 0) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		char reply[512];
		if (setuid(65534) != 0)
			_exit(1);
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		strcpy(address.sun_path, path);
		if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0 || write(fd, GET("/hello"), sizeof GET("/hello") - 1) < 0)
			_exit(2);
		ssize_t count = read(fd, reply, sizeof reply);
		_exit(count > 12 && memcmp(reply, "HTTP/1.1 403", 12) == 0 && write(pipe_fds[1], "x", 1) == 1 ? 0 : 3);
	}
	close(pipe_fds[1]);
	struct pollfd done = { .fd = pipe_fds[0], .events = POLLIN };
	while (poll(&done, 1, 0) == 0) {
		cr_assert(still_time());
		turn(pipe_fds[0], POLLIN);
	}
	int status;
	waitpid(child, &status, 0);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%d", status);
	cr_assert_eq(calls, 0);
	close(pipe_fds[0]);
}

/* --- the socket --- */

Test(http, the_socket_is_the_owners_alone)
{
	struct stat about;
	cr_assert_eq(stat(path, &about), 0);
	cr_assert(S_ISSOCK(about.st_mode));
	cr_assert_eq(about.st_mode & 0777, 0600);
}

Test(http, a_live_socket_is_left_alone_and_a_stale_one_replaced)
{
	struct pl_http *second;
	cr_assert_eq(pl_http_listen(&loop, path, &second, why, sizeof why), PL_ERR_EXISTS);
	cr_assert(strstr(why, "in use by another process"), "%s", why);

	char other[128];
	snprintf(other, sizeof other, "%s/other", dir);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, other);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	close(fd); /* the file stays, as after a crash */
	cr_assert_eq(pl_http_listen(&loop, other, &second, why, sizeof why), PL_OK, "%s", why);
	pl_http_shutdown(second);
	while (second->handles)
		uv_run(&loop, UV_RUN_NOWAIT);
	pl_http_free(second);

	FILE *plain = fopen(other, "w");
	fclose(plain);
	cr_assert_eq(pl_http_listen(&loop, other, &second, why, sizeof why), PL_ERR_EXISTS);
	cr_assert(strstr(why, "is not a socket"), "%s", why);
	unlink(other);
	cr_assert_eq(pl_http_listen(&loop, "/nowhere/at/all", &second, why, sizeof why), PL_ERR_IO);
	cr_assert_str_eq(why, "/nowhere/at/all: No such file or directory");
	char longer[200];
	memset(longer, 'l', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	cr_assert_eq(pl_http_listen(&loop, longer, &second, why, sizeof why), PL_ERR_LIMIT);
	cr_assert(strstr(why, "at most 107"), "%s", why);
}

Test(http, routes_stand_once)
{
	static const struct pl_route again = { "GET", "/hello", 0, hello }, another = { "PUT", "/hello", 0, hello };
	cr_assert_eq(pl_http_add_routes(http, &again, 1, NULL), PL_ERR_EXISTS);
	cr_assert_eq(pl_http_add_routes(http, &another, 1, NULL), PL_OK);
	size_t count = sizeof routes / sizeof *routes;
	cr_assert_str_eq(pl_http_route(http, 0)->path, "/hello");
	cr_assert_str_eq(pl_http_route(http, count)->method, "PUT");
	cr_assert_null(pl_http_route(http, count + 1));
}

/* --- a client that others have written --- */

struct curl_job {
	pthread_t thread;
	uv_async_t done;
	const char *url;
	const char *body; /* to POST; NULL: GET */
	size_t body_count;
	unsigned times;
	long status, connects;
	CURLcode result;
	bool over;
};

static size_t discard(char *bytes, size_t one, size_t count, void *ctx)
{
	(void)bytes;
	(void)ctx;
	return one * count;
}

static void *run_curl(void *arg)
{
	struct curl_job *job = arg;
	CURL *curl = curl_easy_init();
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
	curl_easy_setopt(curl, CURLOPT_URL, job->url);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, discard);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 15L);
	if (job->body) {
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long)job->body_count);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, job->body);
	}
	for (unsigned i = 0; i < job->times; i++) {
		long connects = 0;
		job->result = curl_easy_perform(curl);
		if (job->result != CURLE_OK)
			break;
		curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &job->status);
		curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
		job->connects += connects;
	}
	curl_easy_cleanup(curl);
	uv_async_send(&job->done);
	return NULL;
}

static void on_async_closed(uv_handle_t *done)
{
	((struct curl_job *)done->data)->over = false;
}

static void on_curl_done(uv_async_t *done)
{
	((struct curl_job *)done->data)->over = true;
}

static void curl_run(struct curl_job *job)
{
	uv_async_init(&loop, &job->done, on_curl_done);
	job->done.data = job;
	cr_assert_eq(pthread_create(&job->thread, NULL, run_curl, job), 0);
	PUMP_UNTIL(job->over);
	pthread_join(job->thread, NULL);
	uv_close((uv_handle_t *)&job->done, on_async_closed);
	PUMP_UNTIL(!job->over);
	cr_assert_eq(job->result, CURLE_OK, "%s", curl_easy_strerror(job->result));
}

Test(http, curl_agrees)
{
	struct curl_job get = { .url = "http://parley/hello", .times = 50 };
	curl_run(&get);
	cr_assert_eq(get.status, 200);
	cr_assert_eq(get.connects, 1, "keep-alive");

	size_t count = (16 << 20) + 1;
	char *body = calloc(1, count);
	struct curl_job upload = { .url = "http://parley/upload", .body = body, .body_count = count - 1, .times = 2 };
	curl_run(&upload);
	cr_assert_eq(upload.status, 201);
	cr_assert_eq(upload.connects, 1);

	struct curl_job refused = { .url = "http://parley/upload", .body = body, .body_count = count, .times = 20 };
	curl_run(&refused); /* it reads the refusal, however far it has come with sending */
	cr_assert_eq(refused.status, 413);
	struct curl_job missing = { .url = "http://parley/nowhere", .body = body, .body_count = 900000, .times = 20 };
	curl_run(&missing);
	cr_assert_eq(missing.status, 404);
	free(body);
}
