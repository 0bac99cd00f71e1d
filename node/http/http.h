/* The HTTP server of the control API: HTTP/1.1 over a Unix socket (mode 0600, peer credentials), on the daemon's own libuv loop. It knows
 * routes, requests and replies, and nothing of Parley.
 *
 * A handler gets a request and replies once, now or later; a request stays valid until it has been replied to, even when its client has
 * gone (the reply is then dropped). After the reply it must not be touched. All on the loop's thread.
 *
 * HTTP itself is libmicrohttpd's, run by our loop without threads: it reads, checks and writes what goes over a connection, and asks us.
 *
 *   http_server.c   the socket, the library on the loop, the clock, the end
 *   http_conn.c     what the library asks: what to do with a request, the next piece of a reply
 *   http_request.c  what handlers see of a request: its parameters and body; routes
 *   http_reply.c    JSON, replies, streams
 *   http_events.c   server-sent events
 *
 * What is not HTTP at all is the library's to refuse: with a status and a page of its own, or by closing. Everything else gets our JSON.
 *
 * libwebsockets 4.1.6 was measured behind the same routes and did not do: while a reply is pending, a client that sends on or half-closes keeps
 * the loop at 100 % CPU, and its flow control, the remedy, holds back writing too; paths are decoded before they are split; a POST without
 * Content-Length waits for a body of 100 MiB. libmicrohttpd 0.9.75 does none of that: such clients cost at most 10 ms of CPU in 4 s.
 */
#ifndef PL_NODE_HTTP_H
#define PL_NODE_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "crypto/err.h"

struct pl_http;
struct pl_request;

typedef void (*pl_handler)(struct pl_request *request, void *ctx);

/* path: "/v1/messages/{id}/accept"; {x} is one segment, read with pl_request_param(): a client writes FIN/0/17 there as FIN%2F0%2F17. Where two
 * paths fit, the one with fewer parameters is taken. Bodies over body_bytes_max get 413. A GET route answers HEAD too; OPTIONS is answered
 * by itself. */
struct pl_route {
	const char *method; /* "GET", "POST", "DELETE" */
	const char *path;
	size_t body_bytes_max;
	pl_handler handler;
};

/* why gets a sentence on error. The socket's folder must exist; a stale socket is replaced, a live one is PL_ERR_EXISTS. PL_ERR_LIMIT: the path is
 * too long; PL_ERR_IO; PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_http_listen(uv_loop_t *loop, const char *socket_path, struct pl_http **out, char *why, size_t why_max);
/* routes: borrowed for the server's life; may be called several times. ctx is handed to these routes' handlers. PL_ERR_EXISTS: a method and
 * path that stand already; PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_http_add_routes(struct pl_http *http, const struct pl_route *routes, size_t count, void *ctx);
/* Every route that stands, for the check against the OpenAPI file. */
const struct pl_route *pl_http_route(const struct pl_http *http, size_t index); /* NULL past the end */
/* First call: stops accepting, removes the socket, closes idle connections and event streams; requests that were handed out get 5 s to be
 * answered. Then run the loop out, then pl_http_free(). Further calls do nothing. */
void pl_http_shutdown(struct pl_http *http);
/* Requests that were never replied to end here. */
void pl_http_free(struct pl_http *http);

/* For metrics. */
struct pl_http_counters {
	uint64_t connections, requests, events;
	uint64_t replies[6]; /* by the first digit of their status; [0] is never used */
	uint64_t dropped;    /* replies whose client had gone */
	uint32_t open, streams; /* connections now; of these event streams */
};
void pl_http_counters(const struct pl_http *http, struct pl_http_counters *out);

/* --- request --- */
const char *pl_request_param(const struct pl_request *request, const char *name); /* percent-decoded; NULL */
const char *pl_request_query(const struct pl_request *request, const char *name); /* percent-decoded; NULL if absent */
const uint8_t *pl_request_body(const struct pl_request *request, size_t *count);
/* Parses the body once; NULL after having replied 400 with line and column. Names that stand twice in an object, nesting over PL_JSON_DEPTH_MAX
 * and anything but an object or array are refused. Borrowed from the request. */
json_t *pl_request_json(struct pl_request *request);
const char *pl_request_user(const struct pl_request *request); /* of the peer's uid; "uid 1000" if it has no name */
/* Reads ?name=NUMBER into *value (untouched if absent). false after having replied 400. */
bool pl_request_query_u64(struct pl_request *request, const char *name, uint64_t min, uint64_t max, uint64_t *value);

/* --- reply: exactly one of these --- */
/* body NULL (no memory for it) becomes a 500. A content type that is no header's value becomes application/octet-stream. */
void pl_reply_json(struct pl_request *request, int status, json_t *body /* taken over */);
void pl_reply_bytes(struct pl_request *request, int status, const char *content_type, const char *file_name /* or NULL */,
                    uint8_t *bytes /* from malloc, taken over */, size_t count);
void pl_reply_text(struct pl_request *request, int status, const char *content_type, const char *text /* copied */);
/* {"error": {"code", "message", "hint"?}}; message is printf-like. code: a stable snake_case word. */
void pl_reply_error(struct pl_request *request, int status, const char *code, const char *hint /* or NULL */, const char *format, ...)
	__attribute__((format(printf, 5, 6)));
/* A long body in pieces: begin, then write() as often as more() asks for it, then end. more() comes when the client has taken in what was
 * written; gone() when it has left (then neither write nor end: the request ends with gone()). Neither comes before begin returns. A HEAD
 * request is gone after its head. */
struct pl_stream {
	void (*more)(struct pl_request *request, void *ctx);
	void (*gone)(struct pl_request *request, void *ctx);
	void *ctx;
};
void pl_reply_stream_begin(struct pl_request *request, int status, const char *content_type, const struct pl_stream *stream);
void pl_reply_stream_write(struct pl_request *request, const void *bytes, size_t count); /* copied */
void pl_reply_stream_end(struct pl_request *request);
/* Instead of end, when the rest cannot be had: the connection breaks off, so that the client does not take what it has for all. */
void pl_reply_stream_abort(struct pl_request *request);

/* --- server-sent events --- */
/* Turns this request into an event stream that gets every pl_http_publish() from now on, after those since Last-Event-ID (or ?after=) that the
 * server still has (the last PL_HTTP_EVENTS_MAX). If some of those are gone (or the server was started anew), an event "missed" comes first:
 * the client then reads lists again. The stream opens with an `id:` of its own, so that a client that is cut off before the first event has one to
 * come back with. A client that falls more than PL_HTTP_BEHIND_BYTES_MAX behind is closed; it comes back with its last id.
 * Ids are numbers that grow, over restarts too. */
void pl_reply_events(struct pl_request *request);
void pl_http_publish(struct pl_http *http, const char *event, json_t *data /* taken over */);

#endif
