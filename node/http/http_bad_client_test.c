#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "node/http/http_fixture.h"

TestSuite(http_bad_client, .init = setup, .fini = teardown);

Test(http_bad_client, malformed_requests_are_refused)
{
	static const struct { const char *request; int status; } cases[] = {
		{ GET("/%00"), 400 }, { GET("/things/%ff"), 400 }, { GET("/things/%zz"), 400 }, { GET("/things/a%2"), 400 }, { GET("/things/%0a"), 400 },
		{ GET("/limited?q=1&q=2"), 400 }, { GET("/limited?q=%80"), 400 }, { GET("/limited?%7=x"), 400 },
		{ GET("/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p/q"), 400 }, { GET("/limited?a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q&r&s&t&u&v&w&x&y&z&1&2&3&4&5&6&7"), 400 },
		{ "CONNECT x:1 HTTP/1.1\r\n" HOST "\r\n", 400 }, { "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", 400 }, { GET("http://x/hello"), 400 },
	};
	struct client client;
	client_connect(&client);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
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

Test(http_bad_client, two_lengths_of_one_body_are_refused)
{
	static const char *const cases[] = { "Content-Length: 0\r\nContent-Length: 5\r\n\r\nabcde", "Content-Length: 5\r\nContent-Length: 0\r\n\r\nabcde",
		                             "Content-Length: 5\r\ncontent-length: 6\r\n\r\nabcde" };
	char request[256];
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct client client;
		client_connect(&client);
		snprintf(request, sizeof(request), "POST /upload HTTP/1.1\r\n" HOST "%s", cases[i]);
		client_ask(&client, request);
		cr_assert_eq(client.status, 400, "%s", cases[i]);
		error_code(&client);
		client_wait_eof(&client);
		client_close(&client);
	}
	cr_assert_eq(calls, 0);
}

Test(http_bad_client, a_site_changes_nothing)
{
	static const struct { const char *head; int status; } cases[] = {
		{ "Host: localhost\r\n", 201 }, { "Host: LOCALHOST:8080\r\n", 201 }, { "Host: parley\r\n", 201 }, { "Host:\r\n", 201 },
		{ "Host: evil.example\r\n", 403 }, { "Host: localhost.evil.example\r\n", 403 }, { "Host: local\r\n", 403 },
		{ "Host: localhost\r\nOrigin: https://evil.example\r\n", 403 }, { "Host: localhost\r\nOrigin: null\r\n", 403 },
	};
	char request[256];
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct client client;
		client_connect(&client);
		snprintf(request, sizeof(request), "POST /upload HTTP/1.1\r\n%sContent-Length: 3\r\n\r\nabc", cases[i].head);
		client_ask(&client, request);
		cr_assert_eq(client.status, cases[i].status, "%s", cases[i].head);
		snprintf(request, sizeof(request), "GET /hello HTTP/1.1\r\n%s\r\n", cases[i].head);
		client_ask(&client, request);
		cr_assert_eq(client.status, 200, "reading: %s", cases[i].head);
		client_close(&client);
	}
}

/* The library would take what is before it for all that was asked for. */
Test(http_bad_client, a_zero_byte_in_a_target_does_not_end_it)
{
#define BYTES(text) { text, sizeof(text) - 1 }
	static const struct { const char *bytes; size_t count; } cases[] = {
		BYTES("GET /hello\0 HTTP/1.1\r\n" HOST "\r\n"), BYTES("GET /hello\0/none HTTP/1.1\r\n" HOST "\r\n"),
		BYTES("GET /limited?limit=1\0x HTTP/1.1\r\n" HOST "\r\n"), BYTES("GET /limited?limit=1&\0 HTTP/1.1\r\n" HOST "\r\n"),
		BYTES("GET /hello\0HTTP/1.1 HTTP/1.1\r\n" HOST "\r\n"), BYTES("GET \0/hello HTTP/1.1\r\n" HOST "\r\n"),
		BYTES("POST /upload\0 HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"),
	};
	struct client client;
	client_connect(&client);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		client_send_bytes(&client, cases[i].bytes, cases[i].count);
		client_reply(&client);
		cr_assert_eq(client.status, 400, "case %zu: %d", i, client.status);
		error_code(&client);
		client_ask(&client, GET("/limited?limit=7&x"));
		cr_assert_eq(client.status, 200, "it is clear where it ends, and the connection goes on");
	}
	client_close(&client);
	cr_assert_eq(calls, 0);
}

Test(http_bad_client, two_hosts_are_refused)
{
	struct client client;
	client_connect(&client);
	client_ask(&client, "GET /hello HTTP/1.1\r\n" HOST "host: localhost\r\n\r\n");
	cr_assert_eq(client.status, 400);
	error_code(&client);
	client_ask(&client, "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 3\r\nHost: evil.example\r\n\r\nabc");
	cr_assert_eq(client.status, 400);
	client_close(&client);
	cr_assert_eq(calls, 0);
}

/* What is no request gets a status from the library, and none of our JSON, or nothing at all. */
Test(http_bad_client, what_is_not_http_ends_the_connection)
{
	static const struct { const char *request, *reply; } cases[] = {
		{ "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 " }, { "\x16\x03\x01\r\n", "" }, { "GET / HTTP/3.0\r\n", "HTTP/1.1 505 " },
		{ "GET /hello\r\n\r\n", "HTTP/1.1 400 " }, { "GET /hel lo HTTP/1.1\r\n" HOST "\r\n", "" },
		{ "GET /hello HTTP/1.1\r\n" HOST "no header\r\n\r\n", "HTTP/1.1 400 " },
		{ "POST /upload HTTP/1.1\r\n" HOST "Content-Length: -1\r\n\r\n", "HTTP/1.1 400 " },
		{ "POST /upload HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 413 " },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
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

Test(http_bad_client, a_head_has_a_limit)
{
	struct client client;
	static char request[5 * PL_HTTP_HEAD_BYTES_MAX];
	static const char start[] = "GET /hello HTTP/1.1\r\n" HOST "X: ";
	memset(request, 'a', sizeof(request));
	memcpy(request, start, sizeof(start) - 1);
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
	client_send_bytes(&client, request, sizeof(request));
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

Test(http_bad_client, slow_clients_time_out)
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
	PUMP_UNTIL(http->counters.open == 0);
	http->times.request = 1000000; /* to ask it has time; then it says nothing again */
	client_connect(&client);
	PUMP_UNTIL(http->counters.open == 1);
	http->times.request = 20;
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

Test(http_bad_client, a_client_that_takes_nothing_in_is_closed)
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

Test(http_bad_client, a_client_may_be_gone_before_its_reply)
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

Test(http_bad_client, connections_are_limited)
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

Test(http_bad_client, other_users_are_refused)
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
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || write(fd, GET("/hello"), sizeof(GET("/hello")) - 1) < 0)
			_exit(2);
		ssize_t count = read(fd, reply, sizeof(reply));
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
