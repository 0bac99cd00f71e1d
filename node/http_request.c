/* What handlers see: parameters, JSON, replies. */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "node/http_internal.h"
#include "node/log.h"
#include "node/visible.h"

/* --- buffers --- */

void buffer_add(struct buffer *buffer, const void *bytes, size_t count)
{
	if (buffer->failed || count == 0)
		return;
	if (count > buffer->room - buffer->count) {
		size_t room = buffer->room ? buffer->room : 512;
		while (room - buffer->count < count)
			room *= 2;
		char *grown = realloc(buffer->bytes, room);
		if (!grown) {
			buffer->failed = true;
			return;
		}
		buffer->bytes = grown;
		buffer->room = room;
	}
	memcpy(buffer->bytes + buffer->count, bytes, count);
	buffer->count += count;
}

void buffer_printf(struct buffer *buffer, const char *format, ...)
{
	char text[1024]; /* longer things are added by themselves */
	va_list args;
	va_start(args, format);
	int count = vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (count < 0 || (size_t)count >= sizeof text)
		buffer->failed = true;
	else
		buffer_add(buffer, text, (size_t)count);
}

/* --- JSON out --- */

static int add_json(const char *text, size_t count, void *buffer)
{
	buffer_add(buffer, text, count);
	return ((struct buffer *)buffer)->failed ? -1 : 0;
}

char *json_text(const json_t *value, size_t *count)
{
	struct buffer text = { .count = 0 };
	if (value && json_dump_callback(value, add_json, &text, JSON_COMPACT) != 0)
		text.failed = true;
	buffer_add(&text, "\n", 2);
	if (!value || text.failed) {
		free(text.bytes);
		return NULL;
	}
	*count = text.count - 1;
	return text.bytes;
}

char *error_text(const char *code, const char *message, const char *hint)
{
	char shown[2048];
	size_t count;
	if (!pl_utf8_is_valid(message, strlen(message))) {
		pl_visible(message, strlen(message), shown, sizeof shown);
		message = shown;
	}
	json_t *error = json_pack("{s:{s:s, s:s, s:s*}}", "error", "code", code, "message", message, "hint", hint);
	char *text = json_text(error, &count);
	json_decref(error);
	return text;
}

/* --- life --- */

static bool copy_slice(struct pl_http_slice slice, char **out)
{
	*out = NULL;
	if (!slice.at)
		return true;
	*out = strndup(slice.at, slice.count);
	return *out != NULL;
}

struct pl_request *request_new(struct conn *conn, const struct pl_http_head *head, int *status, const char **why)
{
	struct pl_request *request = calloc(1, sizeof *request);
	*status = 500;
	*why = "out of memory";
	if (!request)
		return NULL;
	request->http = conn->http;
	request->conn = conn;
	request->next = conn->http->requests;
	if (request->next)
		request->next->prev = request;
	conn->http->requests = request;
	request->uid = conn->uid;
	strcpy(request->method, head->method);
	if (copy_slice(head->accept, &request->accept) && copy_slice(head->content_type, &request->content_type) &&
	    copy_slice(head->last_event_id, &request->last_event_id)) {
		*status = pl_http_parse_target(head->target, &request->target, why);
		if (*status == 200) {
			request->body_bytes = (size_t)head->body_bytes;
			return request;
		}
	}
	request_free(request);
	return NULL;
}

void request_free(struct pl_request *request)
{
	struct pl_http *http = request->http;
	*(request->prev ? &request->prev->next : &http->requests) = request->next;
	if (request->next)
		request->next->prev = request->prev;
	if (request->counted)
		http->bodies_bytes -= request->body_bytes;
	pl_http_target_dispose(&request->target);
	json_decref(request->json);
	free(request->accept);
	free(request->content_type);
	free(request->last_event_id);
	free(request->body);
	free(request);
}

void request_gone(struct pl_request *request)
{
	request->conn = NULL;
	if (request->stream.gone) {
		struct pl_stream stream = request->stream;
		stream.gone(request, stream.ctx);
		request_free(request);
	}
}

/* --- looking in --- */

const char *pl_request_param(const struct pl_request *request, const char *name)
{
	return pl_http_match_param(request->route->path, &request->target, name);
}

const char *pl_request_query(const struct pl_request *request, const char *name)
{
	for (size_t i = 0; i < request->target.query_count; i++)
		if (strcmp(request->target.query[i].name, name) == 0)
			return request->target.query[i].value;
	return NULL;
}

const char *pl_request_header(const struct pl_request *request, const char *name)
{
	if (strcasecmp(name, "Accept") == 0)
		return request->accept;
	if (strcasecmp(name, "Content-Type") == 0)
		return request->content_type;
	if (strcasecmp(name, "Last-Event-ID") == 0)
		return request->last_event_id;
	return NULL;
}

const uint8_t *pl_request_body(const struct pl_request *request, size_t *count)
{
	*count = request->body_count;
	return request->body_count ? request->body : (const uint8_t *)"";
}

uid_t pl_request_uid(const struct pl_request *request)
{
	return request->uid;
}

const char *pl_request_user(const struct pl_request *const_request)
{
	struct pl_request *request = (struct pl_request *)(uintptr_t)const_request; /* the name is looked up once, when it is asked for */
	if (request->user[0] == '\0') {
		struct passwd entry, *found = NULL;
		char strings[4096];
		if (getpwuid_r(request->uid, &entry, strings, sizeof strings, &found) == 0 && found && found->pw_name[0])
			pl_visible(found->pw_name, strlen(found->pw_name), request->user, sizeof request->user);
		else
			snprintf(request->user, sizeof request->user, "uid %u", (unsigned)request->uid);
	}
	return request->user;
}

bool pl_request_query_u64(struct pl_request *request, const char *name, uint64_t min, uint64_t max, uint64_t *value)
{
	const char *text = pl_request_query(request, name);
	if (!text)
		return true;
	size_t digits = strspn(text, "0123456789");
	errno = 0;
	uint64_t number = strtoull(text, NULL, 10);
	if (digits == 0 || text[digits] != '\0' || errno != 0 || number < min || number > max) {
		pl_reply_error(request, 400, "bad_parameter", NULL, "%s is a whole number from %" PRIu64 " to %" PRIu64, name, min, max);
		return false;
	}
	*value = number;
	return true;
}

/* Where text, which may be malformed, nests deeper than the limit; the parser itself recurses. */
static bool too_deep(const char *text, size_t count, unsigned *line, unsigned *column)
{
	unsigned depth = 0;
	bool in_string = false;
	*line = *column = 1;
	for (size_t i = 0; i < count; i++) {
		char c = text[i];
		if (in_string && c == '\\') {
			i++;
			(*column)++;
		} else if (c == '"') {
			in_string = !in_string;
		} else if (!in_string && (c == '[' || c == '{')) {
			if (++depth > PL_JSON_DEPTH_MAX)
				return true;
		} else if (!in_string && (c == ']' || c == '}') && depth > 0) {
			depth--;
		}
		if (c == '\n') {
			(*line)++;
			*column = 1;
		} else if (((unsigned char)c & 0xc0) != 0x80) {
			(*column)++;
		}
	}
	return false;
}

json_t *pl_request_json(struct pl_request *request)
{
	if (request->json)
		return request->json;
	unsigned line, column;
	json_error_t error;
	if (request->body_count == 0) {
		pl_reply_error(request, 400, "bad_json", NULL, "the request has no body, and JSON is expected");
		return NULL;
	}
	if (too_deep((const char *)request->body, request->body_count, &line, &column)) {
		pl_reply_error(request, 400, "bad_json", NULL, "line %u, column %u: nested deeper than %d", line, column, PL_JSON_DEPTH_MAX);
		return NULL;
	}
	request->json = json_loadb((const char *)request->body, request->body_count, JSON_REJECT_DUPLICATES, &error);
	if (!request->json) {
		if (json_error_code(&error) == json_error_out_of_memory)
			pl_reply_error(request, 503, "busy", NULL, "out of memory");
		else
			pl_reply_error(request, 400, "bad_json", NULL, "line %d, column %d: %s", error.line, error.column, error.text);
		return NULL;
	}
	return request->json;
}

/* --- replying --- */

static const char *reason_of(int status)
{
	static const struct { int status; const char *reason; } reasons[] = {
		{ 200, "OK" }, { 201, "Created" }, { 202, "Accepted" }, { 204, "No Content" }, { 303, "See Other" }, { 304, "Not Modified" },
		{ 400, "Bad Request" }, { 401, "Unauthorized" }, { 403, "Forbidden" }, { 404, "Not Found" }, { 405, "Method Not Allowed" },
		{ 406, "Not Acceptable" }, { 408, "Request Timeout" }, { 409, "Conflict" }, { 410, "Gone" }, { 411, "Length Required" },
		{ 413, "Content Too Large" }, { 414, "URI Too Long" }, { 415, "Unsupported Media Type" }, { 417, "Expectation Failed" },
		{ 422, "Unprocessable Content" }, { 429, "Too Many Requests" }, { 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" }, { 503, "Service Unavailable" }, { 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};
	for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "Status";
}

/* A type may come from whoever sent a file. */
static bool is_header_value(const char *text)
{
	size_t length = strlen(text);
	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return length > 0 && length <= 255;
}

void head_add(struct buffer *out, const struct conn *conn, int status, const char *content_type, uint64_t body_bytes, const char *headers)
{
	char date[64];
	time_t now = time(NULL);
	struct tm utc;
	gmtime_r(&now, &utc);
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
	buffer_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, reason_of(status), date);
	if (content_type)
		buffer_printf(out, "Content-Type: %s\r\nX-Content-Type-Options: nosniff\r\n",
		              is_header_value(content_type) ? content_type : "application/octet-stream");
	buffer_printf(out, "Cache-Control: no-store\r\n");
	if (body_bytes == UINT64_MAX) {
		if (conn->minor_1)
			buffer_printf(out, "Transfer-Encoding: chunked\r\n");
	} else if (status != 204 && status != 304) {
		buffer_printf(out, "Content-Length: %" PRIu64 "\r\n", body_bytes);
	}
	if (!conn->keep_alive)
		buffer_printf(out, "Connection: close\r\n");
	else if (!conn->minor_1)
		buffer_printf(out, "Connection: keep-alive\r\n");
	if (headers)
		buffer_add(out, headers, strlen(headers));
	buffer_printf(out, "\r\n");
}

/* The request ends here: its reply goes to its connection, if there still is one. */
static void finish(struct pl_request *request, int status, const char *content_type, const char *headers, void *body, size_t count)
{
	struct conn *conn = request->conn;
	struct pl_http *http = request->http;
	PL_LOG(PL_LOG_DEBUG, "http", conn ? "replied" : "replied to nobody", PL_F_STR("method", request->method),
	       PL_F_STR("route", request->route->path), PL_F_U64("status", (uint64_t)status), PL_F_U64("bytes", count), PL_F_U64("uid", request->uid));
	if (conn) {
		conn->request = NULL;
		conn_reply(conn, status, content_type, headers, body, count);
	} else {
		http->counters.dropped++;
		free(body);
	}
	request_free(request); /* last: the content type may be one of its own strings */
}

void pl_reply_json(struct pl_request *request, int status, json_t *body)
{
	size_t count;
	char *text = json_text(body, &count);
	json_decref(body);
	if (text)
		finish(request, status, "application/json", NULL, text, count);
	else
		pl_reply_error(request, 500, "internal", NULL, "out of memory");
}

static bool is_plain_name_char(uint32_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '%' && c != '/';
}

/* RFC 6266: the name in ASCII for old clients, and in full. */
static void add_disposition(struct buffer *out, const char *file_name)
{
	size_t count = strlen(file_name), length;
	buffer_printf(out, "Content-Disposition: attachment; filename=\"");
	for (size_t i = 0; i < count; i += length) {
		uint32_t c;
		length = pl_utf8_decode(file_name + i, count - i, &c);
		if (length == 0)
			length = 1;
		buffer_add(out, length == 1 && is_plain_name_char((unsigned char)file_name[i]) ? file_name + i : "_", 1);
	}
	buffer_printf(out, "\"; filename*=UTF-8''");
	for (size_t i = 0; i < count; i += length) {
		uint32_t c;
		length = pl_utf8_decode(file_name + i, count - i, &c);
		bool hidden = length == 0 || pl_char_is_hidden(c) || c == '/' || c == '\\';
		if (length == 0)
			length = 1;
		if (hidden)
			buffer_printf(out, "_");
		for (size_t j = i; j < i + length && !hidden; j++) {
			unsigned char octet = (unsigned char)file_name[j];
			bool plain = (octet >= '0' && octet <= '9') || ((octet | 0x20) >= 'a' && (octet | 0x20) <= 'z' && octet < 0x80) || octet == '.' ||
			             octet == '-' || octet == '_';
			buffer_printf(out, plain ? "%c" : "%%%02X", octet);
		}
	}
	buffer_printf(out, "\r\n");
}

void pl_reply_bytes(struct pl_request *request, int status, const char *content_type, const char *file_name, uint8_t *bytes, size_t count)
{
	struct buffer headers = { .count = 0 };
	if (file_name)
		add_disposition(&headers, file_name);
	buffer_add(&headers, "", 1);
	if (headers.failed) {
		free(bytes);
		pl_reply_error(request, 500, "internal", NULL, "out of memory");
	} else {
		finish(request, status, content_type, headers.bytes, bytes, count);
	}
	free(headers.bytes);
}

void pl_reply_text(struct pl_request *request, int status, const char *content_type, const char *text)
{
	size_t count = strlen(text);
	char *copy = malloc(count + 1);
	if (copy) {
		memcpy(copy, text, count);
		finish(request, status, content_type, NULL, copy, count);
	} else {
		pl_reply_error(request, 500, "internal", NULL, "out of memory");
	}
}

void pl_reply_error(struct pl_request *request, int status, const char *code, const char *hint, const char *format, ...)
{
	char message[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof message, format, args);
	va_end(args);
	char *text = error_text(code, message, hint);
	finish(request, status, "application/json", NULL, text, text ? strlen(text) : 1);
}

/* --- streams --- */

static void on_stream_written(struct conn *conn)
{
	struct pl_request *request = conn->request;
	if (conn->writes > 0)
		return;
	if (request && !request->stream_waits) {
		request->stream_waits = true;
		request->stream.more(request, request->stream.ctx);
	} else if (!request && !conn->minor_1) {
		conn_replied(conn); /* ended before all was written; HTTP/1.0 has no last chunk that would bring us there */
	}
}

/* The reply to a HEAD request has no body: its stream is over once the head is out. */
static void on_head_written(struct conn *conn)
{
	struct pl_request *request = conn->request;
	conn->request = NULL;
	if (request)
		request_gone(request);
	conn_replied(conn);
}

void pl_reply_stream_begin(struct pl_request *request, int status, const char *content_type, const struct pl_stream *stream)
{
	struct conn *conn = request->conn;
	request->stream = *stream;
	if (!conn) {
		request->gone_due = true;
		request->http->gone_due++;
		request->http->counters.dropped++;
		http_start_ticking(request->http);
		return;
	}
	struct buffer head = { .count = 0 };
	if (!conn->minor_1 || request->http->closing)
		conn->keep_alive = false;
	head_add(&head, conn, status, content_type, UINT64_MAX, NULL);
	conn->http->counters.replies[status / 100 % 6]++;
	conn_set_state(conn, CONN_STREAM, conn->http->times.stall);
	if (head.failed) {
		free(head.bytes);
		conn_fail(conn);
	} else {
		conn_write(conn, head.bytes, head.count, NULL, 0, conn->is_head ? on_head_written : on_stream_written);
	}
}

void pl_reply_stream_write(struct pl_request *request, const void *bytes, size_t count)
{
	struct conn *conn = request->conn;
	if (!conn || conn->is_head || count == 0)
		return;
	struct buffer piece = { .count = 0 };
	if (conn->minor_1)
		buffer_printf(&piece, "%zx\r\n", count);
	buffer_add(&piece, bytes, count);
	if (conn->minor_1)
		buffer_printf(&piece, "\r\n");
	request->stream_waits = false;
	if (piece.failed) {
		free(piece.bytes);
		conn_fail(conn);
	} else {
		conn_write(conn, piece.bytes, piece.count, NULL, 0, on_stream_written);
	}
}

void pl_reply_stream_abort(struct pl_request *request)
{
	struct conn *conn = request->conn;
	if (request->gone_due)
		request->http->gone_due--;
	request_free(request);
	if (!conn)
		return;
	conn->request = NULL;
	conn_close(conn);
}

void pl_reply_stream_end(struct pl_request *request)
{
	struct conn *conn = request->conn;
	if (request->gone_due)
		request->http->gone_due--;
	request_free(request);
	if (!conn)
		return;
	conn->request = NULL;
	conn_set_state(conn, CONN_REPLY, conn->http->times.stall);
	if (conn->is_head)
		return; /* on_head_written() goes on */
	if (conn->minor_1) {
		struct buffer last = { .count = 0 };
		buffer_printf(&last, "0\r\n\r\n");
		if (last.failed)
			conn_fail(conn);
		else
			conn_write(conn, last.bytes, last.count, NULL, 0, conn_replied);
	} else if (conn->writes == 0) {
		conn_replied(conn);
	}
}
