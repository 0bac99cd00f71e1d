/* The socket, the library on the daemon's loop, the clock, the end. */
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

#include "node/http/http_impl.h"
#include "node/log.h"

static void on_listener(uv_poll_t *listener, int status, int events);

/* --- routes --- */

enum pl_err pl_http_add_routes(struct pl_http *http, const struct pl_route *routes, size_t count, void *ctx)
{
	for (size_t i = 0; i < count; i++) {
		const struct pl_route *other;
		for (size_t j = 0; (other = pl_http_route(http, j)); j++)
			if (strcmp(other->method, routes[i].method) == 0 && strcmp(other->path, routes[i].path) == 0)
				return PL_ERR_EXISTS;
	}
	struct routes *added = malloc(sizeof(*added));
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

static void tick(struct pl_http *http, uint64_t now_ms)
{
	pl_http_conns_end_gone(http);
	for (struct conn *conn = http->conns; conn; conn = conn->next) {
		if (conn->is_dead)
			continue;
		if (now_ms >= conn->deadline_ms || (http->closing && now_ms >= http->closing_ms))
			pl_http_conn_end(conn);
		else if (conn->is_events)
			pl_http_events_tick(conn, now_ms);
	}
	for (struct pl_request *request = http->requests; request && http->gone_due;) {
		bool is_due = request->gone_due;
		if (is_due)
			pl_http_request_gone(request);
		request = is_due ? http->requests : request->next; /* gone() may have replied to others */
	}
	if (http->accept_waits && !http->closing && http->counters.open < HTTP_OPEN_MAX) {
		http->accept_waits = false;
		uv_poll_start(&http->listener, UV_READABLE, on_listener);
	}
}

static void on_closed(uv_handle_t *handle)
{
	((struct pl_http *)handle->data)->handles--;
}

/* Nothing is left to be done. */
static void stop(struct pl_http *http)
{
	http->stopped = true;
	uv_close((uv_handle_t *)&http->timer, on_closed);
	uv_close((uv_handle_t *)&http->soon, on_closed);
	uv_close((uv_handle_t *)&http->poll, on_closed);
	MHD_stop_daemon(http->mhd); /* after the loop has let go of its descriptor */
}

static void on_timer(uv_timer_t *timer);
static void on_soon(uv_idle_t *soon);

void pl_http_run_soon(struct pl_http *http)
{
	uv_idle_start(&http->soon, on_soon);
}

/* With nobody to watch, an idle daemon does not wake up. */
void pl_http_arm(struct pl_http *http)
{
	MHD_UNSIGNED_LONG_LONG library_ms;
	uint64_t now_ms = uv_now(http->loop), wait_ms = UINT64_MAX;
	if (http->stopped)
		return;
	if (http->conns || http->gone_due || http->accept_waits) {
		if (http->tick_ms > now_ms + http->times.tick)
			http->tick_ms = now_ms + http->times.tick;
		wait_ms = http->tick_ms > now_ms ? http->tick_ms - now_ms : 0;
	} else if (http->closing) {
		stop(http);
		return;
	}
	if (MHD_get_timeout(http->mhd, &library_ms) == MHD_YES && library_ms < wait_ms)
		wait_ms = library_ms;
	if (wait_ms == 0)
		pl_http_run_soon(http); /* and not by the timer: other events have their turn in between */
	if (wait_ms == 0 || wait_ms == UINT64_MAX)
		uv_timer_stop(&http->timer);
	else
		uv_timer_start(&http->timer, on_timer, wait_ms, 0);
}

static void run(struct pl_http *http)
{
	uint64_t now_ms = uv_now(http->loop);
	uv_idle_stop(&http->soon);
	if (now_ms >= http->tick_ms) {
		tick(http, now_ms);
		http->tick_ms = now_ms + http->times.tick;
	}
	MHD_run(http->mhd);
	pl_http_arm(http);
}

static void on_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_soon(uv_idle_t *soon)
{
	run(soon->data);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

/* --- accepting --- */

bool pl_http_adopt(struct pl_http *http, int fd)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX };
	bool added = MHD_add_connection(http->mhd, fd, (const struct sockaddr *)&address, sizeof(address)) == MHD_YES;
	pl_http_arm(http);
	return added;
}

/* By us and not by the library, which would spin where the process has no descriptor left. */
static void on_listener(uv_poll_t *listener, int status, int events)
{
	struct pl_http *http = listener->data;
	int fd;
	(void)events;
	while (status == 0 && http->counters.open < HTTP_OPEN_MAX) {
		do
			fd = accept4(http->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
		if (fd < 0 && errno == EAGAIN)
			return;
		if (fd < 0 || !pl_http_adopt(http, fd)) {
			PL_LOG(PL_LOG_WARNING, "http", "cannot accept", PL_F_STR("error", strerror(errno)));
			break;
		}
	}
	uv_poll_stop(listener);
	http->accept_waits = true; /* a tick tries again */
	pl_http_arm(http);
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
	bool is_live = fd >= 0 && (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN);
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
	if (strlen(path) >= sizeof(address.sun_path)) {
		snprintf(why, why_max, "the socket's path %s has %zu bytes; the system takes at most %zu. Set socket = to a shorter one", path,
		         strlen(path), sizeof(address.sun_path) - 1);
		return PL_ERR_LIMIT;
	}
	strcpy(address.sun_path, path);
	enum pl_err err = clear_path(&address, why, why_max);
	if (err)
		return err;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || fchmod(fd, 0600) != 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		snprintf(why, why_max, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return PL_ERR_IO;
	}
	*out = fd;
	return PL_OK;
}

static void on_log(void *ctx, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
static void on_log(void *ctx, const char *format, va_list args)
{
	/* With each reply: it takes the socket for one of TCP, whatever address it is given with. */
	static const char *const noise[] = { "Setting %s option to %s state failed", "Failed to push the data from buffers to the network" };
	char text[512], *page;
	(void)ctx;
	for (size_t i = 0; i < sizeof(noise) / sizeof(noise[0]); i++)
		if (strncmp(format, noise[i], strlen(noise[i])) == 0)
			return;
	vsnprintf(text, sizeof(text), format, args);
	text[strcspn(text, "\n")] = '\0';
	if ((page = strstr(text, " ('<html>"))) /* of a refusal it quotes all that it sends */
		strcpy(page, ")");
	PL_LOG(PL_LOG_DEBUG, "http", "library", PL_F_STR("says", text));
}

/* Paths are decoded where they have been split. */
static size_t leave_as_it_is(void *ctx, struct MHD_Connection *mhd, char *text)
{
	(void)ctx;
	(void)mhd;
	return strlen(text);
}

struct pl_http *pl_http_new(uv_loop_t *loop)
{
	struct pl_http *http = calloc(1, sizeof(*http));
	struct timespec now;
	if (!http)
		return NULL;
	signal(SIGPIPE, SIG_IGN); /* a client that has gone is an error code, not the end of the process */
	http->mhd = MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
	                             pl_http_on_request, http, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_STRICT_FOR_CLIENT, 1,
	                             MHD_OPTION_UNESCAPE_CALLBACK, leave_as_it_is, NULL, MHD_OPTION_URI_LOG_CALLBACK, pl_http_on_target, http,
	                             MHD_OPTION_NOTIFY_CONNECTION, pl_http_on_connection, http,
	                             MHD_OPTION_NOTIFY_COMPLETED, pl_http_on_completed, http, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_OPEN_MAX,
	                             MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)(2 * PL_HTTP_HEAD_BYTES_MAX), MHD_OPTION_CONNECTION_TIMEOUT,
	                             (unsigned)PL_HTTP_SILENCE_MS_MAX / 1000, MHD_OPTION_END);
	const union MHD_DaemonInfo *info = http->mhd ? MHD_get_daemon_info(http->mhd, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
	if (!info || uv_poll_init(loop, &http->poll, info->epoll_fd) != 0) {
		if (http->mhd)
			MHD_stop_daemon(http->mhd);
		free(http);
		return NULL;
	}
	uv_timer_init(loop, &http->timer);
	uv_idle_init(loop, &http->soon);
	http->poll.data = http->timer.data = http->soon.data = http->listener.data = http;
	http->handles = 3;
	http->loop = loop;
	http->listen_fd = -1;
	http->self = geteuid();
	http->routes_end = &http->routes;
	http->times = (struct http_times){
		.tick = 1000, .request = PL_HTTP_REQUEST_MS_MAX, .body = PL_HTTP_BODY_MS_MAX, .heartbeat = PL_HTTP_HEARTBEAT_MS, .shutdown = 5000,
		.silence_s = PL_HTTP_SILENCE_MS_MAX / 1000,
	};
	clock_gettime(CLOCK_REALTIME, &now); /* ids of events go on growing when the server is started anew */
	http->first_event = http->next_event = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	uv_poll_start(&http->poll, UV_READABLE, on_poll);
	return http;
}

enum pl_err pl_http_listen(uv_loop_t *loop, const char *socket_path, struct pl_http **out, char *why, size_t why_max)
{
	int fd;
	enum pl_err err = open_socket(socket_path, &fd, why, why_max);
	if (err)
		return err;
	struct pl_http *http = pl_http_new(loop);
	if (!http) {
		snprintf(why, why_max, "out of memory");
		close(fd);
		unlink(socket_path);
		return PL_ERR_MEMORY;
	}
	snprintf(http->socket_path, sizeof(http->socket_path), "%s", socket_path);
	http->listen_fd = fd;
	int uv_err = listen(fd, PL_HTTP_CONNECTIONS_MAX) == 0 ? uv_poll_init(loop, &http->listener, fd) : uv_translate_sys_error(errno);
	if (uv_err == 0) {
		http->handles++;
		uv_poll_start(&http->listener, UV_READABLE, on_listener);
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
	http->closing_ms = uv_now(http->loop) + http->times.shutdown;
	http->accept_waits = false;
	if (http->listener.loop)
		uv_close((uv_handle_t *)&http->listener, on_closed);
	if (http->listen_fd >= 0)
		close(http->listen_fd);
	if (http->socket_path[0])
		unlink(http->socket_path);
	for (struct conn *conn = http->conns; conn; conn = conn->next) {
		if (conn->state == CONN_IDLE || conn->state == CONN_BODY)
			pl_http_conn_end(conn);
		else if (conn->is_events)
			pl_http_conn_resume(conn);
	}
	pl_http_arm(http);
}

void pl_http_free(struct pl_http *http)
{
	if (!http)
		return;
	assert(http->handles == 0 && !http->conns);
	while (http->requests)
		pl_http_request_free(http->requests);
	while (http->routes) {
		struct routes *next = http->routes->next;
		free(http->routes);
		http->routes = next;
	}
	pl_http_events_free(http);
	free(http);
}
