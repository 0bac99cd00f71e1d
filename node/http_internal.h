/* What the files of the HTTP server share. Nobody else includes this, but for its tests.
 *
 * A **connection** reads one request at a time; bytes of the next one wait in its buffer until the reply is out. It stops reading while a request
 * is with its handler, so that a client cannot make it work or grow. A **request** outlives its connection until it has been replied to.
 */
#ifndef PL_NODE_HTTP_INTERNAL_H
#define PL_NODE_HTTP_INTERNAL_H

#include "node/http.h"
#include "node/http_parse.h"
#include "proto/limits.h"

/* Connections open at once: with a few over the limit, which are told so. More wait to be accepted. */
#define HTTP_OPEN_MAX (PL_HTTP_CONNECTIONS_MAX + 16)

enum conn_state {
	CONN_IDLE,    /* between requests */
	CONN_HEAD,    /* the head has begun */
	CONN_BODY,
	CONN_HANDLER, /* with the handler */
	CONN_REPLY,   /* a whole reply, or the end of a stream, is being written */
	CONN_STREAM,
	CONN_EVENTS,
	CONN_LINGER,  /* replied without reading the body: a moment for the client to read that */
	CONN_CLOSING,
};

struct conn {
	uv_pipe_t pipe;
	struct pl_http *http;
	struct conn *next, *prev;
	enum conn_state state;
	uid_t uid;
	char user[64];              /* empty: not looked up yet */
	int refuse_status;          /* 0, or what every request here gets: 403, 503 */
	uint64_t deadline_ms;       /* of the state; UINT64_MAX: none */
	size_t unwritten;           /* at the last look, to see whether the client takes anything in */
	bool keep_alive, is_head, minor_1; /* of the current request */
	bool unread;                /* where it ends is not known, or its body has not been read: the connection closes after the reply */
	struct pl_request *request; /* current; NULL when idle, or replied */
	unsigned writes;            /* under way */
	uint64_t next_event;        /* CONN_EVENTS: id of the next event for it */
	uint64_t heartbeat_ms;
	size_t in_count;
	char in[PL_HTTP_HEAD_BYTES_MAX];
};

struct pl_request {
	struct pl_http *http;
	struct conn *conn; /* NULL: the client has gone */
	struct pl_request *next, *prev; /* all that have not been replied to */
	const struct pl_route *route;
	void *ctx;         /* of the route */
	char method[16];
	uid_t uid;
	char user[64];
	struct pl_http_target target;
	char *accept, *content_type, *last_event_id;
	uint8_t *body;
	size_t body_bytes, body_count, body_room;
	bool counted;      /* body_bytes stand in the server's bodies_bytes */
	json_t *json;
	struct pl_stream stream;
	bool stream_waits; /* more() has been called, and nothing written since */
	bool gone_due;     /* its client had gone before the stream began: gone() comes at the next tick */
};

struct event {
	uint64_t id;
	uint64_t offset; /* bytes published before it */
	size_t bytes;
	char *text;
};

/* In ms; tests shorten them. */
struct http_times {
	uint64_t tick, head, body, idle, stall, linger, heartbeat, shutdown;
};

struct routes {
	const struct pl_route *routes;
	size_t count;
	void *ctx;
	struct routes *next;
};

struct pl_http {
	uv_loop_t *loop;
	uv_pipe_t listener;
	uv_timer_t timer;
	bool closing, accept_waits;
	unsigned gone_due;
	unsigned handles; /* of listener and timer: not closed yet */
	char socket_path[128];
	uid_t self;
	struct http_times times;
	struct routes *routes, **routes_end;
	struct conn *conns;
	struct pl_request *requests;
	size_t bodies_bytes; /* room of all requests' bodies */
	struct pl_http_counters counters;

	struct event events[PL_HTTP_EVENTS_MAX]; /* of id at [id % PL_HTTP_EVENTS_MAX] */
	uint64_t first_event, next_event;        /* ids: kept are [first, next) */
	uint64_t events_bytes;                   /* published ever */
};

/* A buffer that grows; failed: memory ran out, what was added since is missing. */
struct buffer {
	char *bytes;
	size_t count, room;
	bool failed;
};
void buffer_add(struct buffer *buffer, const void *bytes, size_t count);
void buffer_printf(struct buffer *buffer, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* http_server.c */
/* 200: the request's route and ctx are set; 404; 405 or 204 (OPTIONS) with the header line Allow. */
int http_find_route(const struct pl_http *http, struct pl_request *request, char *allow, size_t allow_max);
void http_start_ticking(struct pl_http *http);
/* A server without a socket, and a connection that was made otherwise: for tests. fd is taken over. */
struct pl_http *http_new(uv_loop_t *loop);
bool http_adopt(struct pl_http *http, int fd);
void http_conn_closed(struct pl_http *http); /* after it has been taken off the list */

/* http_conn.c */
/* Goes on with what is in the buffer, then with the socket. */
void conn_read(struct conn *conn);
void conn_tick(struct conn *conn, uint64_t now_ms);
void conns_close_gone(struct pl_http *http);
/* Writes and takes over what was malloc'd; done comes later, unless the connection closes before. Never closes by itself, so that handlers can
 * be in the midst of a stream: what fails is closed at the next tick. */
typedef void (*conn_written)(struct conn *conn);
void conn_write(struct conn *conn, char *head, size_t head_count, void *body, size_t body_count, conn_written done);
void conn_fail(struct conn *conn); /* close at the next tick */
void conn_close(struct conn *conn);
/* The reply is out: the next request, or the end. */
void conn_replied(struct conn *conn);
void conn_set_state(struct conn *conn, enum conn_state state, uint64_t ms_from_now /* UINT64_MAX: no limit */);
/* Replies on the connection's current request: headers are whole lines, or NULL; body is malloc'd, taken over; NULL with a count: no memory. */
void conn_reply(struct conn *conn, int status, const char *content_type, const char *headers, void *body, size_t body_count);

/* http_request.c */
/* With the target parsed. NULL with a status and a sentence as of pl_http_parse_target(). */
struct pl_request *request_new(struct conn *conn, const struct pl_http_head *head, int *status, const char **why);
void request_free(struct pl_request *request);
/* The client has left while the request was with its handler or streaming. */
void request_gone(struct pl_request *request);
/* Status line and headers, up to the empty line. body_bytes: UINT64_MAX for a body in chunks (or up to the close for HTTP/1.0). */
void head_add(struct buffer *out, const struct conn *conn, int status, const char *content_type, uint64_t body_bytes, const char *headers);
/* {"error": …} as text, malloc'd; NULL: no memory. */
char *error_text(const char *code, const char *message, const char *hint);
/* Compact, with a line break; NULL: no memory, or value is NULL. */
char *json_text(const json_t *value, size_t *count);

/* http_events.c */
void events_pump(struct conn *conn);
void events_heartbeat(struct conn *conn, uint64_t now_ms);
void events_end(struct conn *conn);
void events_free(struct pl_http *http);

#endif
