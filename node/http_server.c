/* The socket, routes, accepting, the clock, the end. */
#include <assert.h>
#include <errno.h>
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

static void on_tick(uv_timer_t *timer);

/* --- routes --- */

static bool answers(const struct pl_route *route, const char *method)
{
	return strcmp(route->method, method) == 0 || (strcmp(method, "HEAD") == 0 && strcmp(route->method, "GET") == 0);
}

int http_find_route(const struct pl_http *http, struct pl_request *request, char *allow, size_t allow_max)
{
	static const char first[] = "Allow: OPTIONS";
	unsigned best = 0;
	snprintf(allow, allow_max, "%s", first);
	for (const struct routes *routes = http->routes; routes; routes = routes->next) {
		for (size_t i = 0; i < routes->count; i++) {
			const struct pl_route *route = &routes->routes[i];
			unsigned fit = pl_http_match(route->path, &request->target);
			if (fit < best || fit == 0)
				continue;
			if (fit > best) {
				best = fit;
				request->route = NULL;
				allow[sizeof first - 1] = '\0';
			}
			size_t length = strlen(allow);
			snprintf(allow + length, allow_max - length, ", %s%s", route->method, strcmp(route->method, "GET") == 0 ? ", HEAD" : "");
			if (answers(route, request->method)) {
				request->route = route;
				request->ctx = routes->ctx;
			}
		}
	}
	strncat(allow, "\r\n", allow_max - strlen(allow) - 1);
	if (request->route)
		return 200;
	return best == 0 ? 404 : strcmp(request->method, "OPTIONS") == 0 ? 204 : 405;
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

/* --- time --- */

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
	if (http->conns || http->gone_due || http->accept_waits)
		return;
	uv_timer_stop(&http->timer);
	if (http->closing && !uv_is_closing((uv_handle_t *)&http->timer))
		uv_close((uv_handle_t *)&http->timer, on_timer_closed);
}

/* --- accepting --- */

static struct conn *conn_new(struct pl_http *http)
{
	struct conn *conn = malloc(sizeof *conn);
	http_start_ticking(http);
	if (!conn)
		return NULL;
	memset(conn, 0, offsetof(struct conn, in)); /* in is touched as it fills */
	conn->http = http;
	conn->next = http->conns;
	if (conn->next)
		conn->next->prev = conn;
	http->conns = conn;
	http->counters.open++;
	http->counters.connections++;
	uv_pipe_init(http->loop, &conn->pipe, 0);
	conn->pipe.data = conn;
	return conn;
}

static void accept_one(struct pl_http *http)
{
	struct conn *conn = conn_new(http);
	uv_os_fd_t fd;
	struct ucred peer;
	socklen_t peer_bytes = sizeof peer;
	if (!conn) {
		http->accept_waits = true; /* the next tick tries again */
		return;
	}
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
	conn_read(conn);
}

bool http_adopt(struct pl_http *http, int fd)
{
	struct conn *conn = conn_new(http);
	if (!conn)
		return false;
	if (uv_pipe_open(&conn->pipe, fd) != 0) {
		conn_close(conn);
		return false;
	}
	conn->uid = http->self;
	conn_set_state(conn, CONN_IDLE, http->times.idle);
	conn_read(conn);
	return true;
}

static void accept_waiting(struct pl_http *http)
{
	http->accept_waits = false;
	if (http->closing)
		return;
	if (http->counters.open >= HTTP_OPEN_MAX)
		http->accept_waits = true;
	else
		accept_one(http);
}

void http_conn_closed(struct pl_http *http)
{
	http->counters.open--;
	if (http->accept_waits)
		accept_waiting(http);
	stop_ticking_if_idle(http);
}

static void on_tick(uv_timer_t *timer)
{
	struct pl_http *http = timer->data;
	uint64_t now_ms = uv_now(http->loop);
	conns_close_gone(http);
	for (struct conn *conn = http->conns, *next; conn; conn = next) {
		next = conn->next;
		if (conn->state != CONN_CLOSING)
			conn_tick(conn, now_ms);
	}
	for (struct pl_request *request = http->requests; request && http->gone_due;) {
		if (request->gone_due) {
			http->gone_due--;
			request_gone(request);
			request = http->requests; /* gone() may have replied to others */
		} else {
			request = request->next;
		}
	}
	if (http->accept_waits)
		accept_waiting(http);
	stop_ticking_if_idle(http);
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

struct pl_http *http_new(uv_loop_t *loop)
{
	struct pl_http *http = calloc(1, sizeof *http);
	if (!http)
		return NULL;
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
	uv_timer_init(loop, &http->timer);
	uv_pipe_init(loop, &http->listener, 0);
	http->timer.data = http->listener.data = http;
	http->handles = 2;
	return http;
}

enum pl_err pl_http_listen(uv_loop_t *loop, const char *socket_path, struct pl_http **out, char *why, size_t why_max)
{
	int fd;
	enum pl_err err = open_socket(socket_path, &fd, why, why_max);
	if (err)
		return err;
	struct pl_http *http = http_new(loop);
	if (!http) {
		snprintf(why, why_max, "out of memory");
		close(fd);
		unlink(socket_path);
		return PL_ERR_MEMORY;
	}
	snprintf(http->socket_path, sizeof http->socket_path, "%s", socket_path);
	int uv_err = uv_pipe_open(&http->listener, fd);
	if (uv_err)
		close(fd);
	else
		uv_err = uv_listen((uv_stream_t *)&http->listener, PL_HTTP_CONNECTIONS_MAX, on_connection);
	if (uv_err == 0) {
		*out = http;
		return PL_OK;
	}
	snprintf(why, why_max, "%s: %s", socket_path, uv_strerror(uv_err));
	pl_http_shutdown(http);
	while (http->handles)
		uv_run(loop, UV_RUN_NOWAIT);
	pl_http_free(http);
	return PL_ERR_IO;
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
	http->accept_waits = false;
	uv_close((uv_handle_t *)&http->listener, on_listener_closed);
	if (http->socket_path[0])
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
