/* What the files of the HTTP server share. Nobody else includes this, but for its tests.
 *
 * A **connection** is one of libmicrohttpd's, with what we know about it. The library asks for everything: what to do with a request, and for
 * each piece of a long body. Where we have nothing to say yet, it is told to leave the connection alone (suspended) until pl_http_conn_resume().
 * A **request** outlives its connection until it has been replied to.
 */
#ifndef PL_NODE_HTTP_IMPL_H
#define PL_NODE_HTTP_IMPL_H

#include <microhttpd.h>

#include "node/buffer.h"
#include "node/http/http.h"
#include "proto/limits.h"

/* Connections open at once: with a few over the limit, which are told so. More wait to be accepted. */
#define HTTP_OPEN_MAX (PL_HTTP_CONNECTIONS_MAX + 16)
#define HTTP_SEGMENTS_MAX 16
#define HTTP_QUERY_MAX 32
#define HTTP_JSON_BYTES_MAX (256u << 20)  /* of one reply: far more than a page of any list */
#define HTTP_PIECE_BYTES_MAX (4u << 20)   /* of a reply in pieces, before the client takes it */

enum conn_state {
	CONN_IDLE,    /* between requests, or a head is on its way */
	CONN_BODY,
	CONN_HANDLER, /* with the handler */
	CONN_REPLY,   /* the library has the reply, or the beginning of one in pieces */
};

struct conn {
	struct pl_http *http;
	struct MHD_Connection *mhd;
	struct conn *next, *prev;
	int fd;                     /* the library's */
	uid_t uid;
	int refuse_status;          /* 0, or what every request here gets: 403, 503 */
	uint64_t deadline_ms;       /* for what is to arrive; UINT64_MAX: nothing is */
	bool is_suspended, is_dead; /* dead: ends when the library next asks */

	enum conn_state state;
	struct pl_request *request; /* current; NULL when idle, or replied */
	struct MHD_Response *response; /* made, and not yet asked for */
	unsigned status;            /* its */
	const char *target_end;     /* of the request that comes: where its target ends as a C string, in the library's memory; never read */
	bool has_waited;            /* for it, one turn */
	bool closes;                /* with its reply */

	struct pl_buffer out;         /* of a reply in pieces */
	size_t out_taken;
	bool out_ends, is_events;
	uint64_t next_event, heartbeat_ms;
};

struct pl_request {
	struct pl_http *http;
	struct conn *conn; /* NULL: the client has gone */
	struct pl_request *next, *prev; /* all that have not been replied to */
	const struct pl_route *route;
	void *ctx;         /* of the route */
	char method[16];
	uid_t uid;
	char user[64];     /* empty: not looked up yet */
	size_t segments_count, query_count;
	const char *segments[HTTP_SEGMENTS_MAX];
	struct { const char *name, *value; } query[HTTP_QUERY_MAX];
	const char *last_event_id;
	const char *why;   /* it is refused */
	uint8_t *body;
	size_t body_bytes, body_count, body_room; /* bytes: announced, and counted in the server's bodies_bytes */
	json_t *json;
	struct pl_stream stream;
	bool stream_waits; /* more() has been called, and nothing written since */
	bool gone_due;     /* its client had gone before the stream began: gone() comes at the next tick */
	size_t text_count;
	char text[PL_HTTP_HEAD_BYTES_MAX]; /* what the pointers above point into */
};

struct event {
	uint64_t offset; /* bytes published before it */
	size_t bytes;
	char *text;
};

/* In ms; tests shorten them. */
struct http_times {
	uint64_t tick, request, body, heartbeat, shutdown;
	unsigned silence_s;
};

struct routes {
	const struct pl_route *routes;
	size_t count;
	void *ctx;
	struct routes *next;
};

struct pl_http {
	uv_loop_t *loop;
	struct MHD_Daemon *mhd;
	uv_poll_t listener, poll; /* poll: what the library waits for */
	uv_timer_t timer;
	uv_idle_t soon; /* the library has work without an event */
	int listen_fd;
	bool closing, accept_waits, stopped;
	unsigned gone_due;
	unsigned handles; /* of the four above: not closed yet */
	uint64_t tick_ms, closing_ms; /* when the next is due; when what is left is cut off */
	char socket_path[128];
	uid_t self;
	struct http_times times;
	struct routes *routes, **routes_end;
	struct conn *conns;
	struct pl_request *requests;
	size_t bodies_bytes; /* announced for all requests' bodies */
	struct pl_http_counters counters;

	struct event events[PL_HTTP_EVENTS_MAX]; /* of id at [id % PL_HTTP_EVENTS_MAX] */
	uint64_t first_event, next_event;        /* ids: kept are [first, next) */
	uint64_t events_bytes;                   /* published ever */
};

/* http_server.c */
/* A server without a socket, and a connection that was made otherwise: for tests. fd is taken over. */
struct pl_http *pl_http_new(uv_loop_t *loop);
bool pl_http_adopt(struct pl_http *http, int fd);
void pl_http_arm(struct pl_http *http); /* the timer, for what is due next */
void pl_http_run_soon(struct pl_http *http);

/* http_conn.c: what the library calls */
void *pl_http_on_target(void *http, const char *target, struct MHD_Connection *mhd);
void pl_http_on_connection(void *http, struct MHD_Connection *mhd, void **slot, enum MHD_ConnectionNotificationCode what);
enum MHD_Result pl_http_on_request(void *http, struct MHD_Connection *mhd, const char *path, const char *method, const char *version,
                                   const char *upload, size_t *upload_count, void **slot);
void pl_http_on_completed(void *http, struct MHD_Connection *mhd, void **slot, enum MHD_RequestTerminationCode why);
void pl_http_conn_resume(struct conn *conn); /* the library is to ask again; nothing if it does anyway */
void pl_http_conn_end(struct conn *conn);    /* at the library's next turn; what has been written already still reaches the client */
void pl_http_conns_end_gone(struct pl_http *http);

/* http_request.c */
/* NULL: no memory. why is set where its target is no good. */
struct pl_request *pl_http_request_new(struct conn *conn, const char *path, const char *method);
void pl_http_request_free(struct pl_request *request);
/* The client has left while the request was with its handler or streaming. */
void pl_http_request_gone(struct pl_request *request);
/* 200: the request's route and ctx are set; 404; 405 or 204 (OPTIONS), with the value of Allow. */
int pl_http_request_find_route(struct pl_request *request, char *allow, size_t allow_max);

/* http_reply.c */
/* On the connection's current request, with one header more if name is not NULL. body is malloc'd, taken over; NULL with a count: no memory. */
void pl_http_conn_reply(struct conn *conn, int status, const char *content_type, const char *name, const char *value, void *body, size_t body_count);
void pl_http_conn_reply_with(struct conn *conn, int status, const char *content_type, const char *name, const char *value,
                             struct MHD_Response *response);
void pl_http_conn_reply_in_pieces(struct conn *conn, int status, const char *content_type); /* http_conn.c: from conn->out */
void pl_http_conn_refuse(struct conn *conn, int status, const char *code, const char *message, const char *allow /* or NULL */);
void pl_http_stream_fill(struct conn *conn);
/* Compact, with a line break; NULL: no memory, too long, or value is NULL. */
char *pl_http_json_text(const json_t *value, size_t *count);

/* http_events.c */
void pl_http_events_fill(struct conn *conn);
void pl_http_events_tick(struct conn *conn, uint64_t now_ms);
void pl_http_events_free(struct pl_http *http);

#endif
