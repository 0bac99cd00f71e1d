/* Connections: reading requests, handing them out, writing, time limits. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http_internal.h"
#include "node/log.h"

#define BODY_ROOM_BYTES 65536

struct write {
	uv_write_t write;
	struct conn *conn;
	char *head;
	void *body;
	conn_written done;
};

/* --- states --- */

void conn_set_state(struct conn *conn, enum conn_state state, uint64_t ms)
{
	conn->state = state;
	conn->deadline_ms = ms == UINT64_MAX ? UINT64_MAX : uv_now(conn->http->loop) + ms;
}

void conn_fail(struct conn *conn)
{
	conn->deadline_ms = 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;
	struct pl_http *http = conn->http;
	*(conn->prev ? &conn->prev->next : &http->conns) = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	free(conn);
	http_conn_closed(http);
}

void conn_close(struct conn *conn)
{
	if (conn->state == CONN_CLOSING)
		return;
	struct pl_request *request = conn->request;
	bool handed_out = conn->state == CONN_HANDLER || conn->state == CONN_STREAM;
	if (conn->state == CONN_EVENTS)
		conn->http->counters.streams--;
	conn->request = NULL;
	conn_set_state(conn, CONN_CLOSING, UINT64_MAX);
	uv_close((uv_handle_t *)&conn->pipe, on_closed);
	if (request && handed_out)
		request_gone(request);
	else if (request)
		request_free(request);
}

/* --- writing --- */

static void on_written(uv_write_t *uv_write, int status)
{
	struct write *write = uv_write->data;
	struct conn *conn = write->conn;
	conn_written done = write->done;
	free(write->head);
	free(write->body);
	free(write);
	conn->writes--;
	if (conn->state == CONN_CLOSING)
		return;
	if (status < 0)
		conn_close(conn);
	else if (done)
		done(conn);
}

void conn_write(struct conn *conn, char *head, size_t head_count, void *body, size_t body_count, conn_written done)
{
	struct write *write = conn->state == CONN_CLOSING ? NULL : malloc(sizeof *write);
	if (!write) {
		free(head);
		free(body);
		conn_fail(conn);
		return;
	}
	*write = (struct write){ .conn = conn, .head = head, .body = body, .done = done };
	write->write.data = write;
	const uv_buf_t parts[] = { { .base = head, .len = head_count }, { .base = body, .len = body_count } };
	int err = uv_write(&write->write, (uv_stream_t *)&conn->pipe, parts, body_count ? 2 : 1, on_written);
	if (err) {
		free(head);
		free(body);
		free(write);
		conn_fail(conn);
		return;
	}
	conn->writes++;
	conn->http->counters.bytes_out += head_count + body_count;
	conn->unwritten = SIZE_MAX;
}

void conn_reply(struct conn *conn, int status, const char *content_type, const char *headers, void *body, size_t body_count)
{
	struct pl_http *http = conn->http;
	struct buffer head = { .count = 0 };
	http->counters.replies[status / 100 % 6]++;
	if (conn->unread || http->closing)
		conn->keep_alive = false;
	head_add(&head, conn, status, content_type, body_count, headers);
	conn_set_state(conn, CONN_REPLY, http->times.stall);
	if (head.failed || (body_count && !body)) {
		free(head.bytes);
		free(body);
		conn_fail(conn);
		return;
	}
	if (conn->is_head) {
		free(body);
		body = NULL;
		body_count = 0;
	}
	conn_write(conn, head.bytes, head.count, body, body_count, conn_replied);
}

/* An error before there is a request to hand out. */
static void refuse(struct conn *conn, int status, const char *code, const char *message, const char *headers)
{
	char *text = error_text(code, message, NULL);
	PL_LOG(PL_LOG_DEBUG, "http", "refused", PL_F_U64("status", (uint64_t)status), PL_F_STR("why", message), PL_F_U64("uid", conn->uid));
	conn_reply(conn, status, "application/json", headers, text, text ? strlen(text) : 1);
}

void conn_replied(struct conn *conn)
{
	if (!conn->keep_alive || conn->http->closing) {
		if (conn->unread && !conn->http->closing)
			conn_set_state(conn, CONN_LINGER, conn->http->times.linger);
		else
			conn_close(conn);
		return;
	}
	conn_set_state(conn, CONN_IDLE, conn->http->times.idle);
	conn_read(conn);
}

/* --- requests --- */

static void hand_out(struct conn *conn)
{
	struct pl_request *request = conn->request;
	uv_read_stop((uv_stream_t *)&conn->pipe);
	conn_set_state(conn, CONN_HANDLER, conn->http->closing ? conn->http->times.shutdown : UINT64_MAX);
	conn->http->counters.requests++;
	request->route->handler(request, request->ctx);
}

static const char *code_of(int status)
{
	switch (status) {
	case 411: return "length_required";
	case 414: return "path_too_long";
	case 417: return "expectation_failed";
	case 431: return "head_too_large";
	case 500: return "internal";
	case 505: return "unknown_version";
	}
	return "bad_request";
}

/* Takes count bytes of the input away. */
static void consume(struct conn *conn, size_t count)
{
	conn->in_count -= count;
	memmove(conn->in, conn->in + count, conn->in_count);
}

/* Room for what comes next of the body: it grows with what has come, up to what was announced. */
static bool make_room(struct pl_request *request)
{
	if (request->body_count < request->body_room)
		return true;
	size_t room = request->body_room ? request->body_room * 2 : BODY_ROOM_BYTES;
	if (room > request->body_bytes)
		room = request->body_bytes;
	uint8_t *body = realloc(request->body, room);
	if (!body)
		return false;
	request->body = body;
	request->body_room = room;
	return true;
}

static void begin_body(struct conn *conn, bool expect_continue)
{
	struct pl_request *request = conn->request;
	conn_set_state(conn, CONN_BODY, conn->http->times.body);
	while (conn->in_count > 0 && request->body_count < request->body_bytes) {
		if (!make_room(request)) {
			conn_close(conn);
			return;
		}
		size_t count = request->body_room - request->body_count;
		if (count > conn->in_count)
			count = conn->in_count;
		memcpy(request->body + request->body_count, conn->in, count);
		request->body_count += count;
		consume(conn, count);
	}
	if (request->body_count == request->body_bytes) {
		hand_out(conn);
	} else if (expect_continue && request->body_count == 0) {
		static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
		char *text = malloc(sizeof go_on - 1);
		if (text)
			memcpy(text, go_on, sizeof go_on - 1);
		conn_write(conn, text, text ? sizeof go_on - 1 : 0, NULL, 0, NULL);
	}
}

static void begin_request(struct conn *conn, const struct pl_http_head *head)
{
	struct pl_http *http = conn->http;
	const char *why;
	int status;
	conn->is_head = strcmp(head->method, "HEAD") == 0;
	conn->minor_1 = head->minor_1;
	conn->keep_alive = head->keep_alive;
	conn->unread = head->body_bytes > 0;
	struct pl_request *request = conn->refuse_status ? NULL : request_new(conn, head, &status, &why);
	bool expect_continue = head->expect_continue;
	char allow[128];
	consume(conn, head->bytes); /* head's slices end here */
	if (conn->refuse_status) {
		conn->keep_alive = false;
		if (conn->refuse_status == 403)
			refuse(conn, 403, "forbidden", "this socket serves the daemon's own user and root", NULL);
		else
			refuse(conn, 503, "too_many_connections", "too many connections are open; try again", NULL);
		return;
	}
	if (!request) {
		refuse(conn, status, code_of(status), why, NULL);
		return;
	}
	status = http_find_route(http, request, allow, sizeof allow);
	if (status != 200) {
		request_free(request);
		if (status == 404)
			refuse(conn, 404, "not_found", "nothing is at this path", NULL);
		else if (status == 405)
			refuse(conn, 405, "method_not_allowed", "this path does not take this method", allow);
		else
			conn_reply(conn, status, NULL, allow, NULL, 0);
	} else if (request->body_bytes > request->route->body_bytes_max) {
		char sentence[96];
		snprintf(sentence, sizeof sentence, "the body has %zu bytes; at most %zu are taken here", request->body_bytes,
		         request->route->body_bytes_max);
		request_free(request);
		refuse(conn, 413, "too_large", sentence, NULL);
	} else if (request->body_bytes > PL_HTTP_BODIES_BYTES_MAX - http->bodies_bytes) {
		request_free(request);
		refuse(conn, 503, "busy", "too many large requests are under way; try again", NULL);
	} else {
		http->bodies_bytes += request->body_bytes;
		request->counted = true;
		conn->unread = false;
		conn->request = request;
		if (request->body_bytes)
			begin_body(conn, expect_continue);
		else
			hand_out(conn);
	}
}

/* Takes a request from the input, if one is there as a whole. */
static void take_request(struct conn *conn)
{
	struct pl_http_head head;
	const char *why = "";
	if (conn->state == CONN_IDLE) {
		while (conn->in_count >= 2 && memcmp(conn->in, "\r\n", 2) == 0) /* some clients end a body with a line of its own */
			consume(conn, 2);
		if (conn->in_count == 0 || (conn->in_count == 1 && conn->in[0] == '\r'))
			return;
		conn_set_state(conn, CONN_HEAD, conn->http->times.head);
	}
	conn->is_head = false;
	conn->minor_1 = true;
	int status = pl_http_parse_head(conn->in, conn->in_count, &head, &why);
	if (status == 0 && conn->in_count == sizeof conn->in) {
		status = 431;
		why = "the request's head has over 16384 bytes";
	}
	if (status == 200) {
		begin_request(conn, &head);
	} else if (status != 0) {
		conn->unread = true;
		refuse(conn, status, code_of(status), why, NULL);
	}
}

/* --- reading --- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
	struct conn *conn = handle->data;
	(void)suggested;
	*out = uv_buf_init(NULL, 0);
	if (conn->state == CONN_IDLE || conn->state == CONN_HEAD) {
		*out = uv_buf_init(conn->in + conn->in_count, (unsigned)(sizeof conn->in - conn->in_count));
	} else if (conn->state == CONN_BODY && make_room(conn->request)) {
		struct pl_request *request = conn->request;
		*out = uv_buf_init((char *)request->body + request->body_count, (unsigned)(request->body_room - request->body_count));
	}
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *in)
{
	struct conn *conn = stream->data;
	(void)in;
	if (count < 0) {
		conn_close(conn);
		return;
	}
	conn->http->counters.bytes_in += (uint64_t)count;
	if (conn->state == CONN_BODY) {
		struct pl_request *request = conn->request;
		request->body_count += (size_t)count;
		if (request->body_count == request->body_bytes)
			hand_out(conn);
	} else {
		conn->in_count += (size_t)count;
		take_request(conn);
		if (conn->state >= CONN_HANDLER && conn->state != CONN_CLOSING)
			uv_read_stop(stream);
	}
}

/* Goes on with what is in the buffer, then with the socket. */
void conn_read(struct conn *conn)
{
	take_request(conn);
	if (conn->state <= CONN_BODY && uv_read_start((uv_stream_t *)&conn->pipe, on_alloc, on_read) != 0)
		conn_close(conn);
}

/* --- time --- */

/* Which clients have gone, of those that are not read from. */
void conns_close_gone(struct pl_http *http)
{
	struct pollfd polls[HTTP_OPEN_MAX];
	struct conn *conns[HTTP_OPEN_MAX];
	nfds_t count = 0;
	for (struct conn *conn = http->conns; conn && count < HTTP_OPEN_MAX; conn = conn->next) {
		uv_os_fd_t fd;
		if (conn->state < CONN_HANDLER || conn->state == CONN_CLOSING || uv_fileno((uv_handle_t *)&conn->pipe, &fd) != 0)
			continue;
		conns[count] = conn;
		polls[count++] = (struct pollfd){ .fd = fd };
	}
	if (poll(polls, count, 0) <= 0)
		return;
	for (nfds_t i = 0; i < count; i++)
		if (polls[i].revents & (POLLHUP | POLLERR))
			conn_close(conns[i]);
}

void conn_tick(struct conn *conn, uint64_t now_ms)
{
	struct pl_http *http = conn->http;
	bool is_writing = conn->state == CONN_REPLY || conn->state == CONN_STREAM || conn->state == CONN_EVENTS;
	/* a reply's limit is on standing still, not on its length; a stream that waits for its source has none */
	if (is_writing && conn->deadline_ms && !http->closing) {
		size_t unwritten = uv_stream_get_write_queue_size((uv_stream_t *)&conn->pipe);
		if (!conn->writes)
			conn->deadline_ms = UINT64_MAX;
		else if (unwritten != conn->unwritten)
			conn->deadline_ms = now_ms + http->times.stall;
		conn->unwritten = unwritten;
	}
	if (now_ms < conn->deadline_ms) {
		if (conn->state == CONN_EVENTS)
			events_heartbeat(conn, now_ms);
	} else if (conn->state == CONN_HEAD || conn->state == CONN_BODY) {
		uv_read_stop((uv_stream_t *)&conn->pipe);
		if (conn->request)
			request_free(conn->request);
		conn->request = NULL;
		conn->unread = true;
		refuse(conn, 408, "timeout", "the request did not arrive in time", NULL);
	} else {
		conn_close(conn);
	}
}
