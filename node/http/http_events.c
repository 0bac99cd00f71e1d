/* Server-sent events (WHATWG HTML, "Server-sent events"). The server keeps the last events once for all clients; each stream has a place in
 * them and is sent what lies behind it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/http_impl.h"
#include "node/log.h"

#define PIECE_BYTES 65536 /* taken for a client at once */

static struct event *event_at(struct pl_http *http, uint64_t id)
{
	return &http->events[id % PL_HTTP_EVENTS_MAX];
}

static bool is_too_far_behind(const struct conn *conn)
{
	struct pl_http *http = conn->http;
	return conn->next_event < http->first_event ||
	       (conn->next_event < http->next_event && http->events_bytes - event_at(http, conn->next_event)->offset > PL_HTTP_BEHIND_BYTES_MAX);
}

void pl_http_events_fill(struct conn *conn)
{
	struct pl_http *http = conn->http;
	conn->heartbeat_ms = uv_now(http->loop) + http->times.heartbeat;
	while (conn->next_event < http->next_event && conn->out.count < PIECE_BYTES && !conn->is_dead) {
		const struct event *event = event_at(http, conn->next_event++);
		pl_buffer_add(&conn->out, event->text, event->bytes);
	}
	conn->out_ends = http->closing;
}

void pl_http_events_tick(struct conn *conn, uint64_t now_ms)
{
	if (now_ms < conn->heartbeat_ms || !conn->is_suspended)
		return;
	conn->out_taken = 0;
	pl_buffer_clear(&conn->out); /* all of it is out: the connection waits for more */
	pl_buffer_add(&conn->out, ":\n\n", 3);
	conn->heartbeat_ms = now_ms + conn->http->times.heartbeat;
	pl_http_conn_resume(conn);
}

void pl_reply_events(struct pl_request *request)
{
	struct pl_http *http = request->http;
	struct conn *conn = request->conn;
	const char *last = request->last_event_id ? request->last_event_id : pl_request_query(request, "after");
	uint64_t next = http->next_event;
	char missed[64] = "", text[160];
	if (last) {
		size_t digits = strspn(last, "0123456789");
		if (digits == 0 || digits > 18 || last[digits] != '\0') {
			pl_reply_error(request, 400, "bad_parameter", NULL, "the last event's id is a number that this server gave out");
			return;
		}
		next = strtoull(last, NULL, 10) + 1;
		if (next < http->first_event || next > http->next_event) {
			snprintf(missed, sizeof(missed), "event: missed\ndata: {\"after\":%s}\n\n", last);
			next = http->first_event;
		}
	}
	if (!conn || http->closing || strcmp(request->method, "HEAD") == 0) {
		pl_reply_text(request, http->closing ? 503 : 200, "text/event-stream", "");
		return;
	}
	/* a client that sees no event before it is cut off can say from where it wants to go on, too */
	snprintf(text, sizeof(text), "retry: 2000\nid: %" PRIu64 "\n\n%s", next - 1, missed);
	pl_http_request_free(request);
	conn->request = NULL;
	conn->is_events = true;
	conn->next_event = next;
	conn->heartbeat_ms = uv_now(http->loop) + http->times.heartbeat;
	http->counters.streams++;
	pl_buffer_add(&conn->out, text, strlen(text));
	pl_http_conn_reply_in_pieces(conn, 200, "text/event-stream");
}

void pl_http_publish(struct pl_http *http, const char *event_name, json_t *data)
{
	size_t count;
	char *json = pl_http_json_text(data, &count);
	struct pl_buffer text = PL_BUFFER(HTTP_PIECE_BYTES_MAX);
	char head[128];
	json_decref(data);
	int head_count = snprintf(head, sizeof(head), "id: %" PRIu64 "\nevent: %s\ndata: ", http->next_event, event_name);
	pl_buffer_add(&text, head, (size_t)head_count);
	if (json)
		pl_buffer_add(&text, json, count); /* with its line break; JSON has no other */
	pl_buffer_add(&text, "\n", 1);
	free(json);
	if (!json || text.err != PL_OK) {
		/* its id is used up, and all before it count as gone: every client finds itself behind, comes back, and hears that it missed something */
		PL_LOG(PL_LOG_ERROR, "http", "event lost: out of memory", PL_F_STR("event", event_name));
		pl_buffer_dispose(&text);
		http->first_event = ++http->next_event;
	} else {
		if (http->next_event - http->first_event == PL_HTTP_EVENTS_MAX)
			http->first_event++;
		struct event *event = event_at(http, http->next_event);
		free(event->text);
		*event = (struct event){ .offset = http->events_bytes, .bytes = text.count, .text = text.bytes };
		http->next_event++;
		http->events_bytes += text.count;
		http->counters.events++;
	}
	for (struct conn *conn = http->conns; conn; conn = conn->next) {
		if (!conn->is_events || conn->is_dead)
			continue;
		if (is_too_far_behind(conn)) {
			PL_LOG(PL_LOG_WARNING, "http", "event stream closed: its client is too far behind", PL_F_U64("uid", conn->uid));
			pl_http_conn_end(conn);
		} else {
			pl_http_conn_resume(conn);
		}
	}
}

void pl_http_events_free(struct pl_http *http)
{
	for (size_t i = 0; i < PL_HTTP_EVENTS_MAX; i++)
		free(http->events[i].text);
}
