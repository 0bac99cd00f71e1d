#include <stdlib.h>
#include <string.h>

#include "node/cli/client_impl.h"

#define EVENT_BYTES_MAX (1u << 20) /* of one server-sent event */

/* --- server-sent events (WHATWG HTML, section 9.2) --- */

struct events {
	void (*on_open)(void *ctx);
	pl_on_event on_event;
	void *ctx;
	struct pl_buffer line, data;
	char event[64], id[PL_EVENT_ID_BYTES];
	char *last_id; /* the caller's */
	bool is_stopped;
};

static bool take_line(struct events *events)
{
	char *line = events->line.bytes, *value;
	size_t count = events->line.count;
	if (count > 0 && line[count - 1] == '\r')
		line[--count] = '\0';
	if (count == 0) {
		bool goes_on = true;
		if (events->id[0] != '\0') /* counts at the end of a block, of one without an event too */
			snprintf(events->last_id, PL_EVENT_ID_BYTES, "%s", events->id);
		if (events->data.count > 0) {
			events->data.bytes[events->data.count - 1] = '\0'; /* the last line break is not part of it */
			goes_on = events->on_event(events->ctx, events->event[0] == '\0' ? "message" : events->event, events->data.bytes, events->id);
		}
		pl_buffer_clear(&events->data);
		events->event[0] = '\0';
		return goes_on;
	}
	value = strchr(line, ':');
	if (value == line)
		return true; /* a comment, that keeps the connection alive */
	if (value != NULL) {
		*value++ = '\0';
		value += *value == ' ';
	} else {
		value = line + count;
	}
	if (strcmp(line, "event") == 0) {
		snprintf(events->event, sizeof(events->event), "%s", value);
	} else if (strcmp(line, "id") == 0) {
		snprintf(events->id, sizeof(events->id), "%s", value);
	} else if (strcmp(line, "data") == 0) {
		pl_buffer_add_text(&events->data, value);
		pl_buffer_add_text(&events->data, "\n");
	}
	return events->data.err == PL_OK;
}

static size_t to_events(struct pl_exchange *exchange, const char *chars, size_t count)
{
	struct events *events = exchange->ctx;
	for (size_t left = count; left > 0;) {
		const char *line_end = memchr(chars, '\n', left);
		size_t piece = line_end == NULL ? left : (size_t)(line_end - chars);
		pl_buffer_add(&events->line, chars, piece);
		if (events->line.err != PL_OK)
			return 0;
		if (line_end == NULL)
			break;
		bool goes_on = take_line(events);
		pl_buffer_clear(&events->line);
		if (!goes_on) {
			events->is_stopped = true;
			return 0;
		}
		chars += piece + 1;
		left -= piece + 1;
	}
	return count;
}

/* The empty line after the headers: from here on nothing that happens is missed. */
static size_t on_header(char *chars, size_t size, size_t count, void *ctx)
{
	struct pl_exchange *exchange = ctx;
	const struct events *events = exchange->ctx;
	if (count * size <= 2 && (chars[0] == '\r' || chars[0] == '\n') && pl_exchange_succeeded(exchange))
		events->on_open(events->ctx);
	return count * size;
}

enum pl_exit pl_call_events(struct pl_cli *cli, char last_id[PL_EVENT_ID_BYTES], int64_t timeout_ms, void (*on_open)(void *ctx), pl_on_event on_event,
                            void *ctx)
{
	struct events events = { .on_open = on_open, .on_event = on_event, .ctx = ctx, .last_id = last_id,
	                         .line = PL_BUFFER(EVENT_BYTES_MAX), .data = PL_BUFFER(EVENT_BYTES_MAX) };
	struct pl_exchange exchange = { .on_success = to_events, .ctx = &events };
	enum pl_exit exit = pl_exchange_begin(&exchange, cli, "GET", "/v1/events");
	if (exit == PL_EXIT_OK) {
		pl_exchange_header(&exchange, "Accept: text/event-stream");
		if (last_id[0] != '\0')
			pl_exchange_header(&exchange, pl_format("Last-Event-ID: %s", last_id));
		curl_easy_setopt(exchange.curl, CURLOPT_HTTPHEADER, exchange.headers);
		curl_easy_setopt(exchange.curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
		curl_easy_setopt(exchange.curl, CURLOPT_HEADERFUNCTION, on_header);
		curl_easy_setopt(exchange.curl, CURLOPT_HEADERDATA, &exchange);
		CURLcode code = curl_easy_perform(exchange.curl);
		if (events.is_stopped)
			exit = PL_EXIT_OK;
		else if (code == CURLE_OPERATION_TIMEDOUT)
			exit = PL_EXIT_TIMEOUT;
		else if (code == CURLE_OK && !pl_exchange_succeeded(&exchange))
			exit = pl_exchange_report(&exchange);
		else
			exit = PL_EXIT_UNREACHABLE;
	}
	pl_buffer_dispose(&events.line);
	pl_buffer_dispose(&events.data);
	pl_exchange_end(&exchange);
	return exit;
}
