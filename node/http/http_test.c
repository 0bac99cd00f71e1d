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
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char request[128];
		snprintf(request, sizeof(request), "GET /limited?limit=%s HTTP/1.1\r\n" HOST "\r\n", bad[i]);
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
	for (size_t i = 0; i < sizeof(missing) / sizeof(*missing); i++) {
		char request[128];
		snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\n" HOST "\r\n", missing[i]);
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
	static char all[3000 * (sizeof(one) - 1)];
	for (unsigned i = 0; i < 3000; i++)
		memcpy(all + i * (sizeof(one) - 1), one, sizeof(one) - 1);
	cr_assert_eq(send(client.fd, all, sizeof(all), MSG_NOSIGNAL), sizeof(all), "the socket takes them, and the server not yet");
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
	snprintf(head, sizeof(head), "POST /json HTTP/1.1\r\n" HOST "Content-Length: %zu\r\n\r\n", count);
	client_send(client, head);
	client_send_bytes(client, body, count);
	client_reply(client);
}

Test(http, json_comes_in_and_goes_out_compact)
{
	struct client client;
	client_connect(&client);
	static const char body[] = " { \"z\" : [1, 2.5, null],\n \"a\": \"\xc3\xa4\" } ";
	post_json(&client, body, sizeof(body) - 1);
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
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
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
	memset(body, '[', sizeof(body));
	post_json(&client, body, sizeof(body));
	cr_assert_eq(client.status, 400);
	cr_assert(strstr(client.body, "line 1, column 33: nested deeper than 32"), "%s", client.body);
	static const char in_strings[] = "{\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\":\"{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{{\\\\\"}";
	post_json(&client, in_strings, sizeof(in_strings) - 1);
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
	snprintf(expected, sizeof(expected), "{\"bytes\":16777216,\"sum\":%u}\n", sum);
	cr_assert_str_eq(client.body, expected);
	cr_assert_eq(http->bodies_bytes, 0);
	free(body);
	client_close(&client);
}

Test(http, a_body_over_the_limit_is_refused_without_reading_on)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 33554433\r\n\r\nabc");
	cr_assert_eq(client.status, 413);
	cr_assert_str_eq(error_code(&client), "too_large");
	cr_assert(strstr(client.body, "33554433 bytes; at most 16777216"), "%s", client.body);
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
	for (size_t i = 0; i < sizeof(request) - 1; i++) {
		int unread = 1;
		client_send_bytes(&client, request + i, 1);
		PUMP_UNTIL(ioctl(client.fd, SIOCOUTQ, &unread) == 0 && unread == 0);
	}
	client_reply(&client);
	cr_assert(strstr(client.body, "\"bytes\":5"));
	client_close(&client);
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
	cr_assert_eq(pl_http_listen(&loop, path, &second, why, sizeof(why)), PL_ERR_EXISTS);
	cr_assert(strstr(why, "in use by another process"), "%s", why);

	char other[128];
	snprintf(other, sizeof(other), "%s/other", dir);
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	strcpy(address.sun_path, other);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	cr_assert_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd); /* the file stays, as after a crash */
	cr_assert_eq(pl_http_listen(&loop, other, &second, why, sizeof(why)), PL_OK, "%s", why);
	pl_http_shutdown(second);
	while (second->handles)
		uv_run(&loop, UV_RUN_NOWAIT);
	pl_http_free(second);

	FILE *plain = fopen(other, "w");
	fclose(plain);
	cr_assert_eq(pl_http_listen(&loop, other, &second, why, sizeof(why)), PL_ERR_EXISTS);
	cr_assert(strstr(why, "is not a socket"), "%s", why);
	unlink(other);
	cr_assert_eq(pl_http_listen(&loop, "/nowhere/at/all", &second, why, sizeof(why)), PL_ERR_IO);
	cr_assert_str_eq(why, "/nowhere/at/all: No such file or directory");
	char longer[200];
	memset(longer, 'l', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_assert_eq(pl_http_listen(&loop, longer, &second, why, sizeof(why)), PL_ERR_LIMIT);
	cr_assert(strstr(why, "at most 107"), "%s", why);
}

Test(http, routes_stand_once)
{
	static const struct pl_route again = { "GET", "/hello", 0, hello }, another = { "PUT", "/hello", 0, hello };
	cr_assert_eq(pl_http_add_routes(http, &again, 1, NULL), PL_ERR_EXISTS);
	cr_assert_eq(pl_http_add_routes(http, &another, 1, NULL), PL_OK);
	size_t count = sizeof(routes) / sizeof(*routes);
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
