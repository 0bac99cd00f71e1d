/* For tests of the HTTP server: a server with routes, and its clients, on one loop. What waits runs the loop until a client has what the test
 * waits for, so that nothing depends on time. */
#ifndef PL_NODE_HTTP_FIXTURE_H
#define PL_NODE_HTTP_FIXTURE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "node/http/http_impl.h"
#include "node/log.h"

#define HOST "Host: localhost\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"
#define GIVE_UP_MS 20000

static uv_loop_t loop;
static struct pl_http *http;
static char dir[64], path[96], why[512];

/* --- handlers --- */

static char route_ctx[] = "ctx";
static struct pl_request *held; /* by hold() */
static unsigned calls;

static inline void hello(struct pl_request *request, void *ctx)
{
	calls++;
	pl_reply_json(request, 200, json_pack("{s:s, s:s}", "hello", "world", "ctx", (const char *)ctx));
}

static inline void show(struct pl_request *request, void *ctx)
{
	(void)ctx;
	const char *id = pl_request_param(request, "id"), *q = pl_request_query(request, "q");
	pl_reply_json(request, 200, json_pack("{s:s, s:s*}", "id", id, "q", q));
}

static inline void literal(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_text(request, 200, "text/plain", "literal\n");
}

static inline void hold(struct pl_request *request, void *ctx)
{
	(void)ctx;
	cr_assert_null(held);
	held = request;
}

static inline void echo_json(struct pl_request *request, void *ctx)
{
	(void)ctx;
	json_t *body = pl_request_json(request);
	if (body)
		pl_reply_json(request, 201, json_incref(body));
}

static inline void count_body(struct pl_request *request, void *ctx)
{
	(void)ctx;
	size_t count;
	const uint8_t *body = pl_request_body(request, &count);
	uint32_t sum = 0;
	for (size_t i = 0; i < count; i++)
		sum = sum * 31 + body[i];
	pl_reply_json(request, 201, json_pack("{s:I, s:I}", "bytes", (json_int_t)count, "sum", (json_int_t)sum));
}

static inline void limited(struct pl_request *request, void *ctx)
{
	(void)ctx;
	uint64_t limit = 50;
	if (pl_request_query_u64(request, "limit", 1, 100, &limit))
		pl_reply_json(request, 200, json_pack("{s:I}", "limit", (json_int_t)limit));
}

static inline void who(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_json(request, 200, json_pack("{s:I, s:s}", "uid", (json_int_t)request->uid, "user", pl_request_user(request)));
}

static inline void file(struct pl_request *request, void *ctx)
{
	(void)ctx;
	uint8_t *bytes = malloc(4);
	if (!bytes) {
		pl_reply_error(request, 503, "busy", NULL, "out of memory");
		return;
	}
	memcpy(bytes, "\0\1\2\3", 4);
	pl_reply_bytes(request, 200, pl_request_query(request, "type") ? "text/x\r\nSet-Cookie: a=b" : "image/x-test", pl_request_query(request, "name"),
	               bytes, 4);
}

static inline void big(struct pl_request *request, void *ctx)
{
	(void)ctx;
	size_t count = 16 << 20;
	uint8_t *bytes = malloc(count);
	memset(bytes, 'b', count);
	pl_reply_bytes(request, 200, "application/octet-stream", NULL, bytes, count);
}

static inline void nothing(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_json(request, 200, NULL);
}

static inline void failing(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_error(request, 409, "no_epoch_key", "wait for it", "no key of %s", "CHE \xff\x1b");
}

static inline void events(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_events(request);
}

/* A stream of pieces_max pieces, each asked for. */
static struct { unsigned pieces, pieces_max, asked, gone; bool at_once, aborts; struct pl_request *request; } streaming;
#define PIECE_BYTES 50000

static inline void stream_more(struct pl_request *request, void *ctx)
{
	static char piece[PIECE_BYTES];
	cr_assert_eq(ctx, &streaming);
	streaming.asked++;
	if (streaming.pieces == streaming.pieces_max) {
		(streaming.aborts ? pl_reply_stream_abort : pl_reply_stream_end)(request);
		return;
	}
	memset(piece, 'a' + (int)(streaming.pieces++ % 26), sizeof(piece));
	pl_reply_stream_write(request, piece, 10);
	pl_reply_stream_write(request, piece + 10, sizeof(piece) - 10);
}
static inline void stream_gone(struct pl_request *request, void *ctx)
{
	cr_assert_eq(ctx, &streaming);
	cr_assert_eq(request, streaming.request);
	streaming.gone++;
}
static const struct pl_stream stream_calls = { .more = stream_more, .gone = stream_gone, .ctx = &streaming };

static inline void stream(struct pl_request *request, void *ctx)
{
	(void)ctx;
	streaming.request = request;
	pl_reply_stream_begin(request, 200, "application/octet-stream", &stream_calls);
	if (streaming.at_once) {
		pl_reply_stream_write(request, "all ", 4);
		pl_reply_stream_write(request, "", 0);
		pl_reply_stream_write(request, "at once", 7);
		pl_reply_stream_end(request);
	}
}

static const struct pl_route routes[] = {
	{ "GET", "/hello", 0, hello },
	{ "GET", "/things/{id}", 0, show },
	{ "DELETE", "/things/{id}", 0, show },
	{ "GET", "/things/literal", 0, literal },
	{ "GET", "/hold", 0, hold },
	{ "POST", "/hold", 100, hold },
	{ "POST", "/json", 1 << 20, echo_json },
	{ "POST", "/upload", 16 << 20, count_body },
	{ "GET", "/limited", 0, limited },
	{ "GET", "/who", 0, who },
	{ "GET", "/file", 0, file },
	{ "GET", "/big", 0, big },
	{ "GET", "/nothing", 0, nothing },
	{ "GET", "/failing", 0, failing },
	{ "GET", "/events", 0, events },
	{ "GET", "/stream", 0, stream },
};

static inline void setup(void)
{
	strcpy(dir, "/tmp/pl-http-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	uv_loop_init(&loop);
	pl_log_open(STDERR_FILENO, PL_LOG_ERROR, false);
	cr_assert_eq(pl_http_listen(&loop, path, &http, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(pl_http_add_routes(http, routes, sizeof(routes) / sizeof(*routes), route_ctx), PL_OK);
	http->times.tick = 5;
	held = NULL;
	calls = 0;
	memset(&streaming, 0, sizeof(streaming));
}

static inline void teardown(void)
{
	http->times.shutdown = 50;
	pl_http_shutdown(http);
	uv_run(&loop, UV_RUN_DEFAULT);
	pl_http_free(http);
	cr_assert_eq(uv_loop_close(&loop), 0, "handles are left on the loop");
	cr_assert(access(path, F_OK) != 0, "the socket is left");
	rmdir(dir);
}

/* --- clients --- */

struct client {
	int fd;
	char *in;
	size_t count, room;
	bool eof;
	/* of the reply taken last */
	int status;
	char head[2048], *body;
	size_t body_count;
};

static inline void client_connect(struct client *client)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	memset(client, 0, sizeof(*client));
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	strcpy(address.sun_path, path);
	cr_assert_eq(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0, "%s", strerror(errno));
}

static inline void client_close(struct client *client)
{
	if (client->fd >= 0)
		close(client->fd);
	client->fd = -1;
	free(client->in);
	free(client->body);
	client->in = client->body = NULL;
}

static inline void client_receive(struct client *client)
{
	for (;;) {
		if (client->room - client->count < 65536) {
			client->room = client->room * 2 + 131072;
			client->in = realloc(client->in, client->room);
		}
		ssize_t count = recv(client->fd, client->in + client->count, client->room - client->count - 1, 0);
		if (count > 0) {
			client->count += (size_t)count;
			continue;
		}
		if (count == 0 || errno != EAGAIN)
			client->eof = true;
		client->in[client->count] = '\0';
		return;
	}
}

/* Waits for something to do: at the server, or what is polled for at a client. */
static inline void wait_for_work(int fd, short what)
{
	struct pollfd polls[] = { { .fd = uv_backend_fd(&loop), .events = POLLIN }, { .fd = fd, .events = what } };
	int wait_ms = uv_backend_timeout(&loop);
	poll(polls, fd >= 0 ? 2 : 1, wait_ms < 0 || wait_ms > 1000 ? 1000 : wait_ms);
}

static inline void turn(int fd, short what)
{
	uv_run(&loop, UV_RUN_NOWAIT);
	wait_for_work(fd, what);
}

static inline bool still_time(void)
{
	static uint64_t started;
	uint64_t now = uv_hrtime() / 1000000;
	if (!started)
		started = now;
	return now - started < GIVE_UP_MS;
}

#define PUMP_UNTIL(condition) \
	do { \
		while (uv_run(&loop, UV_RUN_NOWAIT), !(condition)) { \
			cr_assert(still_time(), "waited in vain for %s", #condition); \
			wait_for_work(-1, 0); \
		} \
	} while (0)

static inline void client_send_bytes(struct client *client, const void *bytes, size_t count)
{
	const char *at = bytes;
	while (count > 0) {
		ssize_t sent = send(client->fd, at, count, MSG_NOSIGNAL);
		if (sent < 0) {
			cr_assert_eq(errno, EAGAIN, "%s", strerror(errno));
			cr_assert(still_time());
			turn(client->fd, POLLOUT);
			continue;
		}
		at += sent;
		count -= (size_t)sent;
	}
}
static inline void client_send(struct client *client, const char *text) { client_send_bytes(client, text, strlen(text)); }

static inline void client_wait_eof(struct client *client)
{
	while (!client->eof) {
		cr_assert(still_time(), "waited in vain for the end; got %s", client->in ? client->in : "");
		turn(client->fd, POLLIN);
		client_receive(client);
	}
}

static inline void client_wait_text(struct client *client, const char *text)
{
	while (!client->in || !strstr(client->in, text)) {
		cr_assert(still_time() && !client->eof, "waited in vain for %s; got %s", text, client->in ? client->in : "");
		turn(client->fd, POLLIN);
		client_receive(client);
	}
}

/* Undoes chunks in place. Returns what they take in the input, 0 if they are not all there. */
static inline size_t unchunk(char *in, size_t count, size_t *body_count)
{
	char *at = in, *to = in, *end = in + count;
	for (;;) {
		char *line_end = memmem(at, (size_t)(end - at), "\r\n", 2);
		if (!line_end)
			return 0;
		size_t bytes = strtoul(at, NULL, 16);
		if ((size_t)(end - line_end) < bytes + 4)
			return 0;
		memmove(to, line_end + 2, bytes);
		to += bytes;
		at = line_end + 2 + bytes + 2;
		if (bytes == 0) {
			*body_count = (size_t)(to - in);
			return (size_t)(at - in);
		}
	}
}

/* Whether a whole reply, to a request other than HEAD, is in the input. Streams of events never are. */
static inline bool client_has_reply(const struct client *client)
{
	const char *end = client->in ? strstr(client->in, "\r\n\r\n") : NULL;
	if (!end)
		return false;
	size_t there = client->count - (size_t)(end + 4 - client->in);
	if (strstr(client->in, "Transfer-Encoding: chunked"))
		return there >= 5 && memcmp(client->in + client->count - 5, "0\r\n\r\n", 5) == 0;
	const char *length = strstr(client->in, "Content-Length: ");
	return !length || length > end || there >= strtoul(length + 16, NULL, 10);
}

/* Takes the next whole reply off the input. */
static inline void client_reply(struct client *client)
{
	char *end;
	size_t taken;
	for (;;) {
		cr_assert(still_time(), "waited in vain for a reply; got %.300s", client->in ? client->in : "");
		end = client->in ? strstr(client->in, "\r\n\r\n") : NULL;
		if (end) {
			size_t head_count = (size_t)(end - client->in) + 4, there = client->count - head_count;
			cr_assert_lt(head_count, sizeof(client->head));
			memcpy(client->head, client->in, head_count);
			client->head[head_count] = '\0';
			const char *length = strstr(client->head, "Content-Length: ");
			free(client->body);
			client->body = NULL;
			if (strstr(client->head, "Transfer-Encoding: chunked")) {
				client->body = malloc(there + 1);
				memcpy(client->body, end + 4, there);
				taken = unchunk(client->body, there, &client->body_count);
				if (taken)
					break;
			} else {
				taken = length ? strtoul(length + 16, NULL, 10) : 0;
				if (there >= taken) {
					client->body_count = taken;
					client->body = malloc(taken + 1);
					memcpy(client->body, end + 4, taken);
					break;
				}
			}
		}
		cr_assert(!client->eof, "the connection ended in the midst of %.300s", client->in ? client->in : "");
		turn(client->fd, POLLIN);
		client_receive(client);
	}
	client->body[client->body_count] = '\0';
	cr_assert_eq(sscanf(client->head, "HTTP/1.1 %d ", &client->status), 1);
	taken += (size_t)(end - client->in) + 4;
	client->count -= taken;
	memmove(client->in, client->in + taken, client->count + 1);
}

static inline void client_ask(struct client *client, const char *request)
{
	client_send(client, request);
	client_reply(client);
}

static inline const char *error_code(struct client *client)
{
	static char code[64];
	json_t *root = json_loads(client->body, 0, NULL);
	cr_assert(root, "no JSON: %s", client->body);
	snprintf(code, sizeof(code), "%s", json_string_value(json_object_get(json_object_get(root, "error"), "code")));
	cr_assert(json_is_string(json_object_get(json_object_get(root, "error"), "message")));
	cr_assert(strstr(client->head, "Content-Type: application/json\r\n"));
	json_decref(root);
	return code;
}

/* Nothing is there for the loop to do: it sleeps. */
static inline void assert_loop_is_asleep(void)
{
	for (unsigned i = 0; i < 3; i++)
		uv_run(&loop, UV_RUN_NOWAIT);
	struct pollfd backend = { .fd = uv_backend_fd(&loop), .events = POLLIN };
	cr_assert_eq(poll(&backend, 1, 0), 0, "the loop has events that nobody takes: it would spin");
	cr_assert_neq(uv_backend_timeout(&loop), 0, "the loop has work that it makes for itself: it would spin");
}

#endif
