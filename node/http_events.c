/* Server-sent events (WHATWG HTML, "Server-sent events"). The server keeps the last events once for all clients; each stream has a place in
 * them and is sent what lies behind it. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "node/http_internal.h"
#include "node/log.h"

#define PIECE_BYTES 65536 /* written to a client at once */

static struct event *event_at(struct pl_http *http, uint64_t id)
{
	return &http->events[id % PL_HTTP_EVENTS_MAX];
}

/* Writes text as a chunk, after head if that is not NULL (taken over). */
static void write_piece(struct conn *conn, struct buffer *head, const struct buffer *text, conn_written done)
{
	struct buffer piece = { .count = 0 };
	if (head)
		piece = *head;
	if (conn->minor_1)
		buffer_printf(&piece, "%zx\r\n", text->count);
	buffer_add(&piece, text->bytes, text->count);
	if (conn->minor_1)
		buffer_printf(&piece, "\r\n");
	conn->heartbeat_ms = uv_now(conn->http->loop) + conn->http->times.heartbeat;
	if (piece.failed || text->failed) {
		free(piece.bytes);
		conn_fail(conn);
	} else {
		conn_write(conn, piece.bytes, piece.count, NULL, 0, done);
	}
}

void events_pump(struct conn *conn)
{
	struct pl_http *http = conn->http;
	if (conn->state != CONN_EVENTS || conn->next_event == http->next_event)
		return;
	if (conn->next_event < http->first_event ||
	    http->events_bytes - event_at(http, conn->next_event)->offset > PL_HTTP_BEHIND_BYTES_MAX) {
		PL_LOG(PL_LOG_WARNING, "http", "event stream closed: its client is too far behind", PL_F_U64("uid", conn->uid));
		conn_close(conn);
		return;
	}
	if (conn->writes > 0)
		return;
	struct buffer text = { .count = 0 };
	while (conn->next_event < http->next_event && text.count < PIECE_BYTES) {
		const struct event *event = event_at(http, conn->next_event++);
		buffer_add(&text, event->text, event->bytes);
	}
	write_piece(conn, NULL, &text, events_pump);
	free(text.bytes);
}

void events_heartbeat(struct conn *conn, uint64_t now_ms)
{
	struct buffer comment = { .count = 0 };
	if (conn->writes > 0 || now_ms < conn->heartbeat_ms)
		return;
	buffer_printf(&comment, ":\n\n");
	write_piece(conn, NULL, &comment, events_pump);
	free(comment.bytes);
}

/* Ends a stream when the server shuts down. */
void events_end(struct conn *conn)
{
	conn->http->counters.streams--;
	conn->keep_alive = false;
	conn_set_state(conn, CONN_REPLY, conn->http->times.shutdown);
	struct buffer last = { .count = 0 };
	buffer_printf(&last, conn->minor_1 ? "0\r\n\r\n" : "\n");
	if (last.failed)
		conn_fail(conn);
	else
		conn_write(conn, last.bytes, last.count, NULL, 0, conn_replied);
}

void pl_reply_events(struct pl_request *request)
{
	struct pl_http *http = request->http;
	struct conn *conn = request->conn;
	const char *last = request->last_event_id ? request->last_event_id : pl_request_query(request, "after");
	uint64_t next = http->next_event;
	bool missed = false;
	struct buffer head = { .count = 0 }, text = { .count = 0 };
	if (last) {
		size_t digits = strspn(last, "0123456789");
		if (digits == 0 || digits > 18 || last[digits] != '\0') {
			pl_reply_error(request, 400, "bad_parameter", NULL, "the last event's id is a number that this server gave out");
			return;
		}
		next = strtoull(last, NULL, 10) + 1;
		missed = next < http->first_event || next > http->next_event;
		if (missed)
			next = http->first_event;
	}
	if (!conn || conn->is_head || http->closing) {
		pl_reply_text(request, http->closing ? 503 : 200, "text/event-stream", "");
		return;
	}
	if (!conn->minor_1)
		conn->keep_alive = false;
	head_add(&head, conn, 200, "text/event-stream", UINT64_MAX, NULL);
	buffer_printf(&text, "retry: 2000\n\n");
	if (missed)
		buffer_printf(&text, "event: missed\ndata: {\"after\":%s}\n\n", last);
	request_free(request);
	conn->request = NULL;
	conn->next_event = next;
	conn_set_state(conn, CONN_EVENTS, UINT64_MAX);
	http->counters.replies[2]++;
	http->counters.streams++;
	if (head.failed)
		conn_fail(conn);
	else
		write_piece(conn, &head, &text, events_pump);
	if (head.failed)
		free(head.bytes);
	free(text.bytes);
}

void pl_http_publish(struct pl_http *http, const char *event_name, json_t *data)
{
	size_t count;
	char *json = json_text(data, &count);
	struct buffer text = { .count = 0 };
	json_decref(data);
	buffer_printf(&text, "id: %" PRIu64 "\nevent: %s\ndata: ", http->next_event, event_name);
	if (json)
		buffer_add(&text, json, count); /* with its line break; JSON has no other */
	buffer_printf(&text, "\n");
	free(json);
	if (!json || text.failed) {
		/* its id is used up, and all before it count as gone: every client finds itself behind, comes back, and hears that it missed something */
		PL_LOG(PL_LOG_ERROR, "http", "event lost: out of memory", PL_F_STR("event", event_name));
		free(text.bytes);
		http->first_event = ++http->next_event;
	} else {
		if (http->next_event - http->first_event == PL_HTTP_EVENTS_MAX)
			http->first_event++;
		struct event *event = event_at(http, http->next_event);
		free(event->text);
		*event = (struct event){ .id = http->next_event, .offset = http->events_bytes, .bytes = text.count, .text = text.bytes };
		http->next_event++;
		http->events_bytes += text.count;
		http->counters.events++;
	}
	for (struct conn *conn = http->conns, *next; conn; conn = next) {
		next = conn->next;
		events_pump(conn);
	}
}

void events_free(struct pl_http *http)
{
	for (size_t i = 0; i < PL_HTTP_EVENTS_MAX; i++)
		free(http->events[i].text);
}
