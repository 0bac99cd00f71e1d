#include "node/http/http_fixture.h"

TestSuite(http_stream, .init = setup, .fini = teardown);

/* --- streams --- */

Test(http_stream, a_stream_is_asked_for_piece_by_piece)
{
	struct client client;
	streaming.pieces_max = 100;
	client_connect(&client);
	client_send(&client, GET("/stream"));
	PUMP_UNTIL(streaming.pieces > 0);
	for (unsigned i = 0; i < 50; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	cr_assert_lt(streaming.pieces, 20, "the client has read nothing, and gets %u pieces", streaming.pieces);
	cr_assert_leq(http->conns->out.count, PIECE_BYTES);
	client_reply(&client);
	cr_assert_eq(client.body_count, 100 * PIECE_BYTES);
	cr_assert_eq(streaming.asked, 101, "once for each piece and once for the end");
	for (size_t i = 0; i < client.body_count; i += 1000)
		cr_assert_eq(client.body[i], 'a' + (char)(i / PIECE_BYTES % 26));
	client_ask(&client, GET("/hello"));
	cr_assert_eq(client.status, 200, "the connection goes on");
	cr_assert_eq(streaming.gone, 0);
	client_close(&client);
}

Test(http_stream, a_stream_may_be_written_and_ended_at_once)
{
	struct client client;
	streaming.at_once = true;
	client_connect(&client);
	client_send(&client, GET("/stream") "HEAD /stream HTTP/1.1\r\n" HOST "\r\n" GET("/hello"));
	client_reply(&client);
	cr_assert_str_eq(client.body, "all at once");
	client_wait_text(&client, "world");
	cr_assert_null(strstr(client.in, "all at once"));
	cr_assert_eq(streaming.gone, 0);
	client_close(&client);

	client_connect(&client); /* HTTP/1.0 has no chunks */
	client_send(&client, "GET /stream HTTP/1.0\r\n\r\n");
	client_wait_eof(&client);
	cr_assert(strstr(client.in, "\r\n\r\nall at once"), "%s", client.in);
	cr_assert_null(strstr(client.in, "chunked"));
	client_close(&client);
}

Test(http_stream, a_stream_that_breaks_off_does_not_look_complete)
{
	struct client client;
	streaming.pieces_max = 3;
	streaming.aborts = true;
	client_connect(&client);
	client_send(&client, GET("/stream"));
	client_wait_eof(&client);
	cr_assert(strstr(client.in, "Transfer-Encoding: chunked") && client.count > 3 * PIECE_BYTES, "%zu bytes", client.count);
	cr_assert_null(memmem(client.in, client.count, "\r\n0\r\n", 5), "there is no last chunk");
	cr_assert_eq(streaming.gone, 0);
	client_close(&client);
	PUMP_UNTIL(http->counters.open == 0);
}

Test(http_stream, a_stream_hears_that_its_client_has_gone)
{
	struct client client;
	streaming.pieces_max = 1000000;
	client_connect(&client);
	client_send(&client, GET("/stream"));
	PUMP_UNTIL(streaming.pieces > 3);
	client_close(&client);
	PUMP_UNTIL(streaming.gone);
	cr_assert_eq(streaming.gone, 1);
	PUMP_UNTIL(http->counters.open == 0);

	client_connect(&client); /* nor does HEAD want a body */
	client_send(&client, "HEAD /stream HTTP/1.1\r\n" HOST "\r\n" GET("/hello"));
	client_wait_text(&client, "world");
	cr_assert_eq(streaming.gone, 2);
	client_close(&client);

	client_connect(&client); /* gone before the stream begins */
	client_send(&client, GET("/hold"));
	PUMP_UNTIL(held);
	client_close(&client);
	PUMP_UNTIL(http->counters.open == 0);
	streaming.request = held;
	pl_reply_stream_begin(held, 200, "text/plain", &stream_calls);
	cr_assert_eq(streaming.gone, 2);
	PUMP_UNTIL(streaming.gone == 3);

	streaming.pieces = 0;
	http->times.silence_s = 1; /* it does not leave, but takes nothing in */
	client_connect(&client);
	client_send(&client, GET("/stream"));
	PUMP_UNTIL(streaming.gone == 4);
	client_close(&client);
}

/* --- events --- */

static void publish(unsigned n)
{
	pl_http_publish(http, "message", json_pack("{s:I, s:s}", "n", (json_int_t)n, "text", "a\nb"));
}

static void client_events(struct client *client, const char *headers)
{
	char request[256];
	snprintf(request, sizeof(request), "GET /events HTTP/1.1\r\n" HOST "%s\r\n", headers);
	client_connect(client);
	client_send(client, request);
	client_wait_text(client, "retry: 2000\nid: ");
	cr_assert(strstr(client->in, "Content-Type: text/event-stream\r\n"));
}

Test(http_stream, events_reach_every_stream)
{
	struct client one, two;
	uint64_t id = http->next_event;
	char expected[256];
	publish(1);
	client_events(&one, "");
	client_events(&two, "");
	shutdown(one.fd, SHUT_WR); /* a client that has nothing more to say still listens */
	publish(2);
	publish(3);
	snprintf(expected, sizeof(expected), "id: %ju\nevent: message\ndata: {\"n\":2,\"text\":\"a\\nb\"}\n\n", (uintmax_t)id + 1);
	client_wait_text(&one, expected);
	client_wait_text(&two, expected);
	client_wait_text(&one, "{\"n\":3,");
	cr_assert_null(strstr(one.in, "{\"n\":1,"), "from now on, not before");
	cr_assert_eq(http->counters.streams, 2);
	client_close(&one);
	PUMP_UNTIL(http->counters.streams == 1);
	client_close(&two);
	PUMP_UNTIL(http->counters.streams == 0);
}

Test(http_stream, a_stream_goes_on_after_the_last_event)
{
	struct client client;
	char header[64];
	uint64_t first = http->next_event;
	for (unsigned n = 0; n < 10; n++)
		publish(n);
	snprintf(header, sizeof(header), "Last-Event-ID: %ju\r\n", (uintmax_t)first + 6);
	client_events(&client, header);
	client_wait_text(&client, "{\"n\":9,");
	cr_assert(strstr(client.in, "{\"n\":7,"));
	cr_assert_null(strstr(client.in, "{\"n\":6,"));
	cr_assert_null(strstr(client.in, "missed"));
	client_close(&client);

	snprintf(header, sizeof(header), "Last-Event-ID: %ju\r\n", (uintmax_t)first + 9);
	client_events(&client, header); /* all are known: nothing, and nothing missed */
	publish(10);
	client_wait_text(&client, "{\"n\":10,");
	cr_assert_null(strstr(client.in, "{\"n\":9,"));
	cr_assert_null(strstr(client.in, "missed"));
	client_close(&client);

	for (unsigned n = 11; n < PL_HTTP_EVENTS_MAX + 5; n++)
		publish(n);
	snprintf(header, sizeof(header), "Last-Event-ID: %ju\r\n", (uintmax_t)first + 3);
	client_events(&client, header); /* event 4 is gone */
	client_wait_text(&client, "{\"n\":1028,");
	char expected[96];
	snprintf(expected, sizeof(expected), "event: missed\ndata: {\"after\":%ju}\n\n", (uintmax_t)first + 3);
	cr_assert(strstr(client.in, expected), "%.300s", client.in);
	cr_assert(strstr(client.in, "{\"n\":5,"));
	client_close(&client);

	snprintf(header, sizeof(header), "Last-Event-ID: %ju\r\n", (uintmax_t)first + 4);
	client_events(&client, header);
	client_wait_text(&client, "{\"n\":5,");
	cr_assert_null(strstr(client.in, "missed"), "event 5 is there");
	client_close(&client);

	client_connect(&client); /* an id from before this server, or from the future */
	client_send(&client, "GET /events?after=17 HTTP/1.1\r\n" HOST "\r\n");
	client_wait_text(&client, "event: missed\n");
	client_close(&client);
	client_events(&client, "Last-Event-ID: 999999999999999999\r\n");
	client_wait_text(&client, "event: missed\n");
	client_close(&client);
	client_connect(&client);
	client_ask(&client, "GET /events?after=x HTTP/1.1\r\n" HOST "\r\n");
	cr_assert_eq(client.status, 400);
	client_close(&client);
}

Test(http_stream, a_stream_has_an_id_before_its_first_event)
{
	struct client client;
	char expected[96], header[64];
	publish(0);
	uint64_t last = http->next_event - 1;
	client_events(&client, "");
	snprintf(expected, sizeof(expected), "retry: 2000\nid: %ju\n\n", (uintmax_t)last);
	client_wait_text(&client, expected);
	client_close(&client);
	publish(1);
	snprintf(header, sizeof(header), "Last-Event-ID: %ju\r\n", (uintmax_t)last);
	client_events(&client, header);
	client_wait_text(&client, "{\"n\":1,");
	cr_assert_null(strstr(client.in, "missed"));
	client_close(&client);
	client_events(&client, "Last-Event-ID: 17\r\n"); /* from before this server: the id goes on from what it has */
	snprintf(expected, sizeof(expected), "retry: 2000\nid: %ju\n\nevent: missed\ndata: {\"after\":17}\n\n", (uintmax_t)http->first_event - 1);
	client_wait_text(&client, expected);
	client_close(&client);
}

Test(http_stream, an_event_that_is_lost_is_known_to_be_missed)
{
	struct client client;
	char header[64];
	client_events(&client, "");
	publish(1);
	client_wait_text(&client, "{\"n\":1,");
	uint64_t last = http->next_event - 1;
	pl_http_publish(http, "message", NULL); /* there was no memory for its data */
	client_wait_eof(&client);
	client_close(&client);
	snprintf(header, sizeof(header), "Last-Event-ID: %ju\r\n", (uintmax_t)last);
	client_events(&client, header);
	client_wait_text(&client, "event: missed\n");
	publish(2);
	client_wait_text(&client, "{\"n\":2,");
	client_close(&client);
}

Test(http_stream, a_quiet_stream_has_a_heartbeat)
{
	struct client client;
	http->times.heartbeat = 10;
	client_events(&client, "");
	client_wait_text(&client, "3\r\n:\n\n\r\n");
	client_close(&client);
}

Test(http_stream, a_stream_that_falls_behind_is_closed)
{
	struct client slow, quick;
	client_events(&slow, "");
	client_events(&quick, "");
	char text[4001];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (unsigned n = 0; n < 400; n++) {
		pl_http_publish(http, "message", json_pack("{s:I, s:s}", "n", (json_int_t)n, "text", text));
		uv_run(&loop, UV_RUN_NOWAIT);
		client_receive(&quick);
	}
	client_wait_text(&quick, "{\"n\":399,");
	cr_assert_eq(http->counters.streams, 1);
	client_wait_eof(&slow);
	cr_assert_null(strstr(slow.in, "{\"n\":399,"));
	client_close(&slow);
	client_close(&quick);
}

/* --- the end --- */

Test(http_stream, shutting_down_lets_replies_out)
{
	struct client idle, waiting, streamer, eventful;
	client_connect(&idle);
	client_ask(&idle, GET("/hello"));
	client_connect(&waiting);
	client_send(&waiting, GET("/hold"));
	PUMP_UNTIL(held);
	client_events(&eventful, "");
	streaming.pieces_max = 30;
	client_connect(&streamer);
	client_send(&streamer, GET("/stream"));
	PUMP_UNTIL(streaming.pieces > 0);

	pl_http_shutdown(http);
	pl_http_shutdown(http);
	client_wait_eof(&idle);
	client_wait_eof(&eventful);
	cr_assert_str_eq(eventful.in + eventful.count - 5, "0\r\n\r\n");
	client_reply(&streamer);
	cr_assert_eq(streamer.body_count, 30 * PIECE_BYTES);
	pl_reply_text(held, 200, "text/plain", "late");
	client_reply(&waiting);
	cr_assert_str_eq(waiting.body, "late");
	cr_assert(strstr(waiting.head, "Connection: close\r\n"));
	client_wait_eof(&waiting);
	client_wait_eof(&streamer);
	client_close(&idle);
	client_close(&waiting);
	client_close(&eventful);
	client_close(&streamer);
}

Test(http_stream, shutting_down_does_not_wait_for_ever)
{
	struct client waiting, streamer;
	client_connect(&waiting);
	client_send(&waiting, GET("/hold"));
	PUMP_UNTIL(held);
	streaming.pieces_max = 1000000;
	client_connect(&streamer);
	client_send(&streamer, GET("/stream"));
	PUMP_UNTIL(streaming.pieces > 0);
	http->times.shutdown = 30;
	pl_http_shutdown(http);
	uv_run(&loop, UV_RUN_DEFAULT);
	cr_assert_eq(streaming.gone, 1);
	cr_assert_null(held->conn);
	client_close(&waiting);
	client_close(&streamer);
}

Test(http_stream, an_idle_server_sleeps)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, GET("/hello"));
	client_close(&client);
	PUMP_UNTIL(http->counters.open == 0);
	assert_loop_is_asleep();
	cr_assert_eq(uv_backend_timeout(&loop), -1, "a timer is left running");
}
