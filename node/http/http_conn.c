/* What the library calls: connections come and go, requests arrive, a reply's next piece is wanted. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

#include "node/http/http_impl.h"
#include "node/log.h"
#include "proto/limits.h"

#define BODY_ROOM_BYTES 65536
#define PIECE_BYTES 32768
/* A body that nobody wants is read to its end up to this size, twice the largest that any call takes, so that a client that sends before it
 * reads comes to read the refusal instead of a broken pipe, also where it is a little too much that it sends. */
#define UNWANTED_BYTES_MAX (2 * (uint64_t)PL_ATTACHMENT_BYTES_MAX)

/* --- connections --- */

void pl_http_on_connection(void *ctx, struct MHD_Connection *mhd, void **slot, enum MHD_ConnectionNotificationCode what)
{
	struct pl_http *http = ctx;
	int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	struct conn *conn = *slot;
	struct ucred peer;
	socklen_t peer_bytes = sizeof(peer);
	if (what == MHD_CONNECTION_NOTIFY_CLOSED && conn) {
		*(conn->prev ? &conn->prev->next : &http->conns) = conn->next;
		if (conn->next)
			conn->next->prev = conn->prev;
		free(conn);
		http->counters.open--;
	}
	if (what == MHD_CONNECTION_NOTIFY_CLOSED)
		return;
	*slot = conn = calloc(1, sizeof(*conn));
	if (!conn || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) != 0) {
		free(conn);
		*slot = NULL;
		shutdown(fd, SHUT_RDWR);
		return;
	}
	*conn = (struct conn){ .http = http, .mhd = mhd, .next = http->conns, .fd = fd, .uid = peer.uid, .out = PL_BUFFER(HTTP_PIECE_BYTES_MAX) };
	conn->deadline_ms = uv_now(http->loop) + http->times.request;
	if (conn->next)
		conn->next->prev = conn;
	http->conns = conn;
	http->counters.open++;
	http->counters.connections++;
	MHD_set_connection_option(mhd, MHD_CONNECTION_OPTION_TIMEOUT, http->times.silence_s); /* the same, but for tests */
	if (peer.uid != http->self && peer.uid != 0) {
		conn->refuse_status = 403;
		PL_LOG(PL_LOG_WARNING, "http", "connection from another user", PL_F_U64("uid", peer.uid), PL_F_I64("pid", peer.pid));
	} else if (http->counters.open > PL_HTTP_CONNECTIONS_MAX) {
		conn->refuse_status = 503;
	}
}

static struct conn *conn_of(struct MHD_Connection *mhd)
{
	return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void suspend(struct conn *conn)
{
	conn->is_suspended = true;
	MHD_suspend_connection(conn->mhd);
}

void pl_http_conn_resume(struct conn *conn)
{
	if (!conn->is_suspended)
		return;
	conn->is_suspended = false;
	MHD_resume_connection(conn->mhd);
	pl_http_run_soon(conn->http);
}

void pl_http_conn_end(struct conn *conn)
{
	conn->is_dead = true;
	shutdown(conn->fd, SHUT_RDWR); /* the library has no call to close a connection; this it sees */
	pl_http_conn_resume(conn);
}

/* The library does not look at suspended connections at all. */
void pl_http_conns_end_gone(struct pl_http *http)
{
	struct pollfd polls[HTTP_OPEN_MAX];
	struct conn *conns[HTTP_OPEN_MAX];
	nfds_t count = 0;
	for (struct conn *conn = http->conns; conn && count < HTTP_OPEN_MAX; conn = conn->next) {
		conns[count] = conn;
		polls[count] = (struct pollfd){ .fd = conn->fd };
		count += conn->is_suspended;
	}
	if (poll(polls, count, 0) <= 0)
		return;
	for (nfds_t i = 0; i < count; i++)
		if (polls[i].revents & (POLLHUP | POLLERR))
			pl_http_conn_end(conns[i]);
}

/* --- requests --- */

static const char *header(const struct conn *conn, const char *name)
{
	return MHD_lookup_connection_value(conn->mhd, MHD_HEADER_KIND, name);
}

/* Called with a target before it is split. What it returns would be the request's slot, which is not used. */
void *pl_http_on_target(void *ctx, const char *target, struct MHD_Connection *mhd)
{
	struct conn *conn = conn_of(mhd);
	(void)ctx;
	if (conn)
		conn->target_end = target + strlen(target);
	return NULL;
}

/* The library hands out a target as a C string, which ends at a NUL that stands in it, as if what follows had not been sent. The version is in
 * the same memory, behind the whole target and one byte; where a library keeps it elsewhere, it is not near. */
static bool target_is_cut(const struct conn *conn, const char *version)
{
	uintptr_t end = (uintptr_t)conn->target_end, next = (uintptr_t)version;
	return conn->target_end && next > end + 1 && next - end <= 2 * PL_HTTP_HEAD_BYTES_MAX;
}

static enum MHD_Result count_hosts(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
	unsigned *count = ctx;
	(void)kind;
	(void)value;
	*count += strcasecmp(name, "Host") == 0;
	return MHD_YES;
}

/* RFC 9112, section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header
 * field and to any request message that contains more than one Host header field line". The library does the former. */
static bool has_two_hosts(const struct conn *conn)
{
	unsigned count = 0;
	(void)MHD_get_connection_values(conn->mhd, MHD_HEADER_KIND, count_hosts, &count);
	return count > 1;
}

static enum MHD_Result compare_length(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
	const char **first = ctx;
	(void)kind;
	if (strcasecmp(name, "Content-Length") != 0)
		return MHD_YES;
	if (*first && (!value || strcmp(*first, value) != 0)) {
		*first = NULL;
		return MHD_NO;
	}
	*first = value;
	return MHD_YES;
}

/* RFC 9112, section 6.3: with two lengths that differ, where the body ends is anybody's guess. */
static bool lengths_differ(const struct conn *conn)
{
	const char *first = NULL;
	(void)MHD_get_connection_values(conn->mhd, MHD_HEADER_KIND, compare_length, &first);
	return !first && header(conn, "Content-Length");
}

/* A page of some site in a browser, which something lets through to this socket, changes nothing here. */
static bool comes_from_a_site(const struct conn *conn, const char *method)
{
	static const char *const ours[] = { "localhost", "parley" };
	const char *host = header(conn, "Host");
	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 || strcmp(method, "OPTIONS") == 0)
		return false;
	if (header(conn, "Origin"))
		return true;
	size_t count = host ? strcspn(host, ":") : 0;
	for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
		if (count == strlen(ours[i]) && strncasecmp(host, ours[i], count) == 0)
			return false;
	return count > 0;
}

/* A head is here. Leaves conn->request to be handed out when its body is there too, or conn->response. */
static void begin_request(struct conn *conn, const char *path, const char *method, const char *version, uint64_t body_bytes)
{
	struct pl_http *http = conn->http;
	char allow[128], sentence[96];
	if (conn->refuse_status == 403) {
		pl_http_conn_refuse(conn, 403, "forbidden", "this socket serves the daemon's own user and root", NULL);
		return;
	}
	if (conn->refuse_status) {
		pl_http_conn_refuse(conn, 503, "too_many_connections", "too many connections are open; try again", NULL);
		return;
	}
	if (MHD_get_connection_info(conn->mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)->header_size > PL_HTTP_HEAD_BYTES_MAX) {
		snprintf(sentence, sizeof(sentence), "the request's head has over %d bytes", PL_HTTP_HEAD_BYTES_MAX);
		pl_http_conn_refuse(conn, 431, "head_too_large", sentence, NULL);
		return;
	}
	if (lengths_differ(conn)) {
		conn->closes = true;
		pl_http_conn_refuse(conn, 400, "bad_request", "there are two lengths of the body, which differ", NULL);
		return;
	}
	if (target_is_cut(conn, version)) {
		pl_http_conn_refuse(conn, 400, "bad_request", "there is a zero byte in the path", NULL);
		return;
	}
	if (has_two_hosts(conn)) {
		pl_http_conn_refuse(conn, 400, "bad_request", "there are two Hosts", NULL);
		return;
	}
	if (comes_from_a_site(conn, method)) {
		pl_http_conn_refuse(conn, 403, "forbidden", "a change is asked for in the name of a site: with an Origin, or a Host other than localhost", NULL);
		return;
	}
	struct pl_request *request = conn->request = pl_http_request_new(conn, path, method);
	if (!request) {
		conn->is_dead = true;
		return;
	}
	int status = request->why ? 400 : pl_http_request_find_route(request, allow, sizeof(allow));
	if (status == 400) {
		pl_http_conn_refuse(conn, 400, "bad_request", request->why, NULL);
	} else if (status == 404) {
		pl_http_conn_refuse(conn, 404, "not_found", "nothing is at this path", NULL);
	} else if (status == 405) {
		pl_http_conn_refuse(conn, 405, "method_not_allowed", "this path does not take this method", allow);
	} else if (status == 204) {
		pl_http_conn_reply(conn, 204, NULL, "Allow", allow, NULL, 0);
	} else if (header(conn, "Transfer-Encoding")) {
		pl_http_conn_refuse(conn, 411, "length_required", "a body is sent with Content-Length here, not in chunks", NULL);
	} else if (header(conn, "Expect") && body_bytes == 0) { /* RFC 9110, section 10.1.1; the library would go wrong */
		pl_http_conn_refuse(conn, 400, "bad_request", "there is an expectation, and no body", NULL);
	} else if (body_bytes > request->route->body_bytes_max) {
		snprintf(sentence, sizeof(sentence), "the body has %ju bytes; at most %zu are taken here", (uintmax_t)body_bytes,
		         request->route->body_bytes_max);
		pl_http_conn_refuse(conn, 413, "too_large", sentence, NULL);
	} else if (body_bytes > PL_HTTP_BODIES_BYTES_MAX - http->bodies_bytes) {
		pl_http_conn_refuse(conn, 503, "busy", "too many large requests are under way; try again", NULL);
	} else {
		http->bodies_bytes += request->body_bytes = (size_t)body_bytes;
		return;
	}
	if (conn->request)
		pl_http_request_free(conn->request);
	conn->request = NULL;
}

/* Room for what comes next of the body: it grows with what has come, up to what was announced. */
static bool add_body(struct pl_request *request, const char *bytes, size_t count)
{
	while (count > request->body_room - request->body_count) {
		size_t room = request->body_room ? request->body_room * 2 : BODY_ROOM_BYTES;
		if (room > request->body_bytes)
			room = request->body_bytes;
		uint8_t *body = room > request->body_room ? realloc(request->body, room) : NULL;
		if (!body)
			return false;
		request->body = body;
		request->body_room = room;
	}
	memcpy(request->body + request->body_count, bytes, count);
	request->body_count += count;
	return true;
}

static enum MHD_Result queue_response(struct conn *conn)
{
	struct MHD_Response *response = conn->response;
	conn->state = CONN_REPLY;
	conn->deadline_ms = UINT64_MAX; /* from here on the library's own limit, on silence, is enough */
	conn->response = NULL;
	enum MHD_Result result = MHD_queue_response(conn->mhd, conn->status, response);
	MHD_destroy_response(response);
	return result;
}

/* Called when a head is here, for each part of a body, at the end of it, and then until it has been given a reply. */
enum MHD_Result pl_http_on_request(void *ctx, struct MHD_Connection *mhd, const char *path, const char *method, const char *version,
                                   const char *upload, size_t *upload_count, void **slot)
{
	struct pl_http *http = ctx;
	struct conn *conn = conn_of(mhd);
	(void)slot;
	if (!conn || conn->is_dead)
		return MHD_NO;
	if (conn->state == CONN_IDLE) {
		const char *length = header(conn, "Content-Length");
		uint64_t body_bytes = length ? strtoull(length, NULL, 10) : 0;
		conn->state = CONN_BODY;
		conn->deadline_ms = uv_now(http->loop) + http->times.body;
		begin_request(conn, path, method, version, body_bytes);
		if (conn->response && (conn->closes || body_bytes > UNWANTED_BYTES_MAX || header(conn, "Transfer-Encoding") || header(conn, "Expect")))
			return queue_response(conn); /* at once: the library then closes the connection */
	} else if (*upload_count) {
		if (conn->request && !add_body(conn->request, upload, *upload_count))
			conn->is_dead = true;
		*upload_count = 0;
	} else {
		if (conn->state == CONN_BODY && conn->request) {
			conn->state = CONN_HANDLER;
			conn->deadline_ms = UINT64_MAX;
			conn->has_waited = false;
			http->counters.requests++;
			conn->request->route->handler(conn->request, conn->request->ctx);
		}
		if (conn->response && !conn->is_dead)
			return queue_response(conn);
		/* One turn goes by before it is suspended. The library looks once more at what it had been waiting for when it resumes a connection;
		 * it would read, and drop a client that has half-closed instead of replying to it. After this turn it waits for nothing. */
		if (conn->has_waited && !conn->is_dead)
			suspend(conn);
		conn->has_waited = true;
	}
	return conn->is_dead ? MHD_NO : MHD_YES;
}

void pl_http_on_completed(void *ctx, struct MHD_Connection *mhd, void **slot, enum MHD_RequestTerminationCode why)
{
	struct pl_http *http = ctx;
	struct conn *conn = conn_of(mhd);
	(void)slot;
	(void)why;
	if (!conn)
		return;
	struct pl_request *request = conn->request;
	bool handed_out = conn->state >= CONN_HANDLER;
	if (conn->is_events)
		http->counters.streams--;
	if (conn->response)
		MHD_destroy_response(conn->response);
	conn->request = NULL;
	conn->response = NULL;
	pl_buffer_dispose(&conn->out);
	conn->out_taken = 0;
	conn->out_ends = conn->is_events = false;
	conn->target_end = NULL;
	conn->state = CONN_IDLE;
	conn->deadline_ms = uv_now(http->loop) + http->times.request;
	if (http->closing)
		pl_http_conn_end(conn);
	if (request && handed_out)
		pl_http_request_gone(request);
	else if (request)
		pl_http_request_free(request);
}

/* --- replies in pieces --- */

/* The library wants up to room bytes more. */
static ssize_t on_pull(void *ctx, uint64_t position, char *to, size_t room)
{
	struct conn *conn = ctx;
	struct pl_buffer *out = &conn->out;
	(void)position;
	if (conn->out_taken == out->count && !conn->out_ends) {
		conn->out_taken = 0;
		pl_buffer_clear(out);
		(conn->is_events ? pl_http_events_fill : pl_http_stream_fill)(conn);
	}
	if (conn->is_dead || out->err != PL_OK)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	size_t count = out->count - conn->out_taken;
	if (count == 0 && conn->out_ends)
		return MHD_CONTENT_READER_END_OF_STREAM;
	if (count == 0)
		suspend(conn);
	if (count > room)
		count = room;
	if (count)
		memcpy(to, out->bytes + conn->out_taken, count);
	conn->out_taken += count;
	return (ssize_t)count;
}

void pl_http_conn_reply_in_pieces(struct conn *conn, int status, const char *content_type)
{
	pl_http_conn_reply_with(conn, status, content_type, NULL, NULL, MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE_BYTES, on_pull, conn, NULL));
}
