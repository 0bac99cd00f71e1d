/* Socket, connections, time limits. */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "node/http_internal.h"
#include "node/log.h"

/* Connections over the limit that are told so; more wait to be accepted. */
#define REFUSED_MAX 16
#define BODY_ROOM_BYTES 65536

struct write {
	uv_write_t write;
	struct conn *conn;
	char *head;
	void *body;
	conn_written done;
};

static void on_tick(uv_timer_t *timer);
static void read_next(struct conn *conn);
static void accept_waiting(struct pl_http *http);

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

static void on_timer_closed(uv_handle_t *handle)
{
	struct pl_http *http = handle->data;
	http->handles--;
}

void http_start_ticking(struct pl_http *http)
{
	if (!uv_is_active((uv_handle_t *)&http->timer))
		uv_timer_start(&http->timer, on_tick, http->times.tick, http->times.tick);
}

/* With nobody to watch, an idle daemon does not wake up. */
static void stop_ticking_if_idle(struct pl_http *http)
{
	if (http->conns || http->gone_due)
		return;
	uv_timer_stop(&http->timer);
	if (http->closing && !uv_is_closing((uv_handle_t *)&http->timer))
		uv_close((uv_handle_t *)&http->timer, on_timer_closed);
}

static void on_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;
	struct pl_http *http = conn->http;
	*(conn->prev ? &conn->prev->next : &http->conns) = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	free(conn);
	http->counters.open--;
	if (http->accept_waits)
		accept_waiting(http);
	stop_ticking_if_idle(http);
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
	read_next(conn);
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

static bool answers(const struct pl_route *route, const char *method)
{
	return strcmp(route->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

/* Finds the request's route; where there is none, replies. */
static bool find_route(struct conn *conn, struct pl_request *request)
{
	unsigned best = 0;
	char allow[128] = "Allow: OPTIONS";
	for (const struct routes *routes = conn->http->routes; routes; routes = routes->next) {
		for (size_t i = 0; i < routes->count; i++) {
			const struct pl_route *route = &routes->routes[i];
			unsigned fit = pl_http_match(route->path, &request->target);
			if (fit < best || fit == 0)
				continue;
			if (fit > best) {
				best = fit;
				request->route = NULL;
				allow[sizeof "Allow: OPTIONS" - 1] = '\0';
			}
			size_t length = strlen(allow);
			snprintf(allow + length, sizeof allow - length, ", %s%s", route->method, strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
			if (answers(route, request->method)) {
				request->route = route;
				request->ctx = routes->ctx;
			}
		}
	}
	if (request->route)
		return true;
	strncat(allow, "\r\n", sizeof allow - strlen(allow) - 1);
	if (best == 0)
		refuse(conn, 404, "not_found", "nothing is at this path", NULL);
	else if (strcmp(request->method, "OPTIONS") == 0)
		conn_reply(conn, 204, NULL, allow, NULL, 0);
	else
		refuse(conn, 405, "method_not_allowed", "this path does not take this method", allow);
	return false;
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
	if (conn->refuse_status == 403) {
		refuse(conn, 403, "forbidden", "this socket serves the daemon's own user and root", NULL);
		return;
	}
	if (conn->refuse_status == 503) {
		conn->keep_alive = false;
		refuse(conn, 503, "too_many_connections", "too many connections are open; try again", NULL);
		return;
	}
	struct pl_request *request = request_new(conn, head, &status, &why);
	if (!request) {
		refuse(conn, status, code_of(status), why, NULL);
		return;
	}
	bool expect_continue = head->expect_continue;
	consume(conn, head->bytes); /* head's slices end here */
	if (!find_route(conn, request)) {
		request_free(request);
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
		if (conn->in_count == 0)
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
static void read_next(struct conn *conn)
{
	take_request(conn);
	if (conn->state <= CONN_BODY && uv_read_start((uv_stream_t *)&conn->pipe, on_alloc, on_read) != 0)
		conn_close(conn);
}

/* --- time --- */

/* Which clients have gone, of those that are not read from. */
static void close_gone(struct pl_http *http)
{
	struct pollfd polls[PL_HTTP_CONNECTIONS_MAX + REFUSED_MAX];
	struct conn *conns[PL_HTTP_CONNECTIONS_MAX + REFUSED_MAX];
	nfds_t count = 0;
	for (struct conn *conn = http->conns; conn && count < sizeof conns / sizeof *conns; conn = conn->next) {
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

static void on_tick(uv_timer_t *timer)
{
	struct pl_http *http = timer->data;
	uint64_t now_ms = uv_now(http->loop);
	close_gone(http);
	for (struct conn *conn = http->conns, *next; conn; conn = next) {
		next = conn->next;
		if (conn->state == CONN_CLOSING)
			continue;
		/* a reply's limit is on standing still, not on its length */
		if (conn->writes && conn->deadline_ms && (conn->state == CONN_REPLY || conn->state == CONN_STREAM || conn->state == CONN_EVENTS)) {
			size_t unwritten = uv_stream_get_write_queue_size((uv_stream_t *)&conn->pipe);
			if (unwritten != conn->unwritten && !http->closing) {
				conn->unwritten = unwritten;
				conn->deadline_ms = now_ms + http->times.stall;
			}
		} else if (conn->deadline_ms && !http->closing && (conn->state == CONN_STREAM || conn->state == CONN_EVENTS)) {
			conn->deadline_ms = UINT64_MAX;
		}
		if (now_ms >= conn->deadline_ms) {
			if (conn->state == CONN_HEAD || conn->state == CONN_BODY) {
				uv_read_stop((uv_stream_t *)&conn->pipe);
				if (conn->request)
					request_free(conn->request);
				conn->request = NULL;
				conn->unread = true;
				refuse(conn, 408, "timeout", "the request did not arrive in time", NULL);
			} else {
				conn_close(conn);
			}
		} else if (conn->state == CONN_EVENTS) {
			events_heartbeat(conn, now_ms);
		}
	}
	for (struct pl_request *request = http->requests, *next; request && http->gone_due; request = next) {
		next = request->next;
		if (request->gone_due) {
			http->gone_due--;
			request_gone(request);
		}
	}
	if (http->accept_waits)
		accept_waiting(http);
	stop_ticking_if_idle(http);
}

/* --- accepting --- */

static void accept_one(struct pl_http *http)
{
	struct conn *conn = malloc(sizeof *conn);
	http->accept_waits = !conn;
	if (!conn)
		return;
	memset(conn, 0, offsetof(struct conn, in)); /* in is touched as it fills */
	conn->http = http;
	conn->next = http->conns;
	if (conn->next)
		conn->next->prev = conn;
	http->conns = conn;
	http->counters.open++;
	http->counters.connections++;
	http_start_ticking(http);

	uv_pipe_init(http->loop, &conn->pipe, 0);
	conn->pipe.data = conn;
	uv_os_fd_t fd;
	struct ucred peer;
	socklen_t peer_bytes = sizeof peer;
	if (uv_accept((uv_stream_t *)&http->listener, (uv_stream_t *)&conn->pipe) != 0 || uv_fileno((uv_handle_t *)&conn->pipe, &fd) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) != 0) {
		conn_close(conn);
		return;
	}
	conn->uid = peer.uid;
	if (peer.uid != http->self && peer.uid != 0) {
		conn->refuse_status = 403;
		PL_LOG(PL_LOG_WARNING, "http", "connection from another user", PL_F_U64("uid", peer.uid), PL_F_I64("pid", peer.pid));
	} else if (http->counters.open > PL_HTTP_CONNECTIONS_MAX) {
		conn->refuse_status = 503;
	}
	conn_set_state(conn, CONN_IDLE, http->times.idle);
	read_next(conn);
}

static void accept_waiting(struct pl_http *http)
{
	http->accept_waits = false;
	if (http->closing)
		return;
	if (http->counters.open >= PL_HTTP_CONNECTIONS_MAX + REFUSED_MAX)
		http->accept_waits = true;
	else
		accept_one(http);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct pl_http *http = listener->data;
	if (status == 0)
		accept_waiting(http);
	else
		PL_LOG(PL_LOG_WARNING, "http", "cannot accept", PL_F_STR("error", uv_strerror(status)));
}

/* --- the server --- */

/* 0 where the path is free now. */
static enum pl_err clear_path(const struct sockaddr_un *address, char *why, size_t why_max)
{
	struct stat about;
	if (lstat(address->sun_path, &about) != 0) {
		if (errno == ENOENT)
			return PL_OK;
		snprintf(why, why_max, "%s: %s", address->sun_path, strerror(errno));
		return PL_ERR_IO;
	}
	if (!S_ISSOCK(about.st_mode)) {
		snprintf(why, why_max, "%s is there and is not a socket", address->sun_path);
		return PL_ERR_EXISTS;
	}
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool is_live = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof *address) == 0 || errno == EAGAIN);
	if (fd >= 0)
		close(fd);
	if (is_live) {
		snprintf(why, why_max, "%s is in use by another process", address->sun_path);
		return PL_ERR_EXISTS;
	}
	if (unlink(address->sun_path) != 0 && errno != ENOENT) {
		snprintf(why, why_max, "%s: %s", address->sun_path, strerror(errno));
		return PL_ERR_IO;
	}
	return PL_OK;
}

/* A bound socket, created with its mode: the mode of the open socket is the one that bind() gives the file. */
static enum pl_err open_socket(const char *path, int *out, char *why, size_t why_max)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof address.sun_path) {
		snprintf(why, why_max, "the socket's path %s has %zu bytes; the system takes at most %zu. Set socket = to a shorter one", path,
		         strlen(path), sizeof address.sun_path - 1);
		return PL_ERR_LIMIT;
	}
	strcpy(address.sun_path, path);
	enum pl_err err = clear_path(&address, why, why_max);
	if (err)
		return err;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
		snprintf(why, why_max, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return PL_ERR_IO;
	}
	*out = fd;
	return PL_OK;
}

static void on_listener_closed(uv_handle_t *handle)
{
	struct pl_http *http = handle->data;
	http->handles--;
}

enum pl_err pl_http_listen(uv_loop_t *loop, const char *socket_path, struct pl_http **out, char *why, size_t why_max)
{
	int fd;
	enum pl_err err = open_socket(socket_path, &fd, why, why_max);
	if (err)
		return err;
	struct pl_http *http = calloc(1, sizeof *http);
	if (!http) {
		snprintf(why, why_max, "out of memory");
		err = PL_ERR_MEMORY;
		goto unbind;
	}
	signal(SIGPIPE, SIG_IGN); /* libuv writes with it: a client that has gone is an error code, not the end of the process */
	http->loop = loop;
	http->self = geteuid();
	http->routes_end = &http->routes;
	http->times = (struct http_times){
		.tick = 1000, .head = PL_HTTP_HEAD_MS_MAX, .body = PL_HTTP_BODY_MS_MAX, .idle = PL_HTTP_IDLE_MS_MAX, .stall = PL_HTTP_STALL_MS_MAX,
		.linger = 1000, .heartbeat = PL_HTTP_HEARTBEAT_MS, .shutdown = 5000,
	};
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now); /* ids of events go on growing when the server is started anew */
	http->first_event = http->next_event = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	snprintf(http->socket_path, sizeof http->socket_path, "%s", socket_path);

	uv_timer_init(loop, &http->timer);
	uv_pipe_init(loop, &http->listener, 0);
	http->timer.data = http->listener.data = http;
	http->handles = 2;
	int uv_err = uv_pipe_open(&http->listener, fd);
	if (uv_err == 0) {
		fd = -1;
		uv_err = uv_listen((uv_stream_t *)&http->listener, PL_HTTP_CONNECTIONS_MAX, on_connection);
	}
	if (uv_err == 0) {
		*out = http;
		return PL_OK;
	}
	snprintf(why, why_max, "%s: %s", socket_path, uv_strerror(uv_err));
	err = PL_ERR_IO;
	uv_close((uv_handle_t *)&http->listener, on_listener_closed);
	uv_close((uv_handle_t *)&http->timer, on_timer_closed);
	while (http->handles)
		uv_run(loop, UV_RUN_NOWAIT);
	free(http);
unbind:
	if (fd >= 0)
		close(fd);
	unlink(socket_path);
	return err;
}

enum pl_err pl_http_add_routes(struct pl_http *http, const struct pl_route *routes, size_t count, void *ctx)
{
	for (size_t i = 0; i < count; i++) {
		const struct pl_route *other;
		for (size_t j = 0; (other = pl_http_route(http, j)); j++)
			if (strcmp(other->method, routes[i].method) == 0 && strcmp(other->path, routes[i].path) == 0)
				return PL_ERR_EXISTS;
	}
	struct routes *added = malloc(sizeof *added);
	if (!added)
		return PL_ERR_MEMORY;
	*added = (struct routes){ .routes = routes, .count = count, .ctx = ctx };
	*http->routes_end = added;
	http->routes_end = &added->next;
	return PL_OK;
}

const struct pl_route *pl_http_route(const struct pl_http *http, size_t index)
{
	for (const struct routes *routes = http->routes; routes; routes = routes->next) {
		if (index < routes->count)
			return &routes->routes[index];
		index -= routes->count;
	}
	return NULL;
}

void pl_http_counters(const struct pl_http *http, struct pl_http_counters *out)
{
	*out = http->counters;
}

void pl_http_shutdown(struct pl_http *http)
{
	if (http->closing)
		return;
	http->closing = true;
	uv_close((uv_handle_t *)&http->listener, on_listener_closed);
	unlink(http->socket_path);
	for (struct conn *conn = http->conns, *next; conn; conn = next) {
		next = conn->next;
		switch (conn->state) {
		case CONN_IDLE:
		case CONN_HEAD:
		case CONN_BODY:
		case CONN_LINGER:
			conn_close(conn);
			break;
		case CONN_HANDLER:
		case CONN_REPLY:
		case CONN_STREAM:
			conn->deadline_ms = uv_now(http->loop) + http->times.shutdown;
			break;
		case CONN_EVENTS:
			events_end(conn);
			break;
		case CONN_CLOSING:
			break;
		}
	}
	stop_ticking_if_idle(http);
}

void pl_http_free(struct pl_http *http)
{
	if (!http)
		return;
	assert(http->handles == 0 && !http->conns);
	while (http->requests)
		request_free(http->requests);
	while (http->routes) {
		struct routes *next = http->routes->next;
		free(http->routes);
		http->routes = next;
	}
	events_free(http);
	free(http);
}
