/* Replies: whole ones, and streams. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/http_impl.h"
#include "node/log.h"
#include "node/visible.h"
#include "proto/text.h"

#define DISPOSITION_BYTES_MAX 4096u /* four of a file's name, and what stands around them */

static int add_json(const char *text, size_t count, void *ctx)
{
	struct pl_buffer *buffer = ctx;
	pl_buffer_add(buffer, text, count);
	return buffer->err == PL_OK ? 0 : -1;
}

char *pl_http_json_text(const json_t *value, size_t *count)
{
	struct pl_buffer text = PL_BUFFER(HTTP_JSON_BYTES_MAX);
	if (!value || json_dump_callback(value, add_json, &text, JSON_COMPACT) != 0) {
		pl_buffer_dispose(&text);
		return NULL;
	}
	pl_buffer_add_text(&text, "\n");
	return pl_buffer_take(&text, count);
}

static char *error_text(const char *code, const char *message, const char *hint)
{
	char shown[2048];
	size_t count;
	if (!pl_utf8_is_valid(message, strlen(message))) {
		pl_visible(message, strlen(message), shown, sizeof(shown));
		message = shown;
	}
	json_t *error = json_pack("{s:{s:s, s:s, s:s*}}", "error", "code", code, "message", message, "hint", hint);
	char *text = pl_http_json_text(error, &count);
	json_decref(error);
	return text;
}

/* --- to the library --- */

/* A type may come from whoever sent a file. */
static bool is_header_value(const char *text)
{
	size_t length = strlen(text);
	for (size_t i = 0; i < length; i++)
		if (text[i] < ' ' || text[i] > '~')
			return false;
	return length > 0 && length <= 255;
}

void pl_http_conn_reply_with(struct conn *conn, int status, const char *content_type, const char *name, const char *value,
                             struct MHD_Response *response)
{
	struct pl_http *http = conn->http;
	bool closes = http->closing || conn->refuse_status || conn->closes;
	http->counters.replies[status / 100 % 6]++;
	if (content_type && !is_header_value(content_type))
		content_type = "application/octet-stream";
	if (!response || (content_type && (!MHD_add_response_header(response, "Content-Type", content_type) ||
	                                   !MHD_add_response_header(response, "X-Content-Type-Options", "nosniff"))) ||
	    !MHD_add_response_header(response, "Cache-Control", "no-store") || (name && !MHD_add_response_header(response, name, value)) ||
	    (closes && !MHD_add_response_header(response, "Connection", "close"))) {
		if (response)
			MHD_destroy_response(response);
		pl_http_conn_end(conn);
		return;
	}
	conn->response = response;
	conn->status = (unsigned)status;
	pl_http_conn_resume(conn);
}

void pl_http_conn_reply(struct conn *conn, int status, const char *content_type, const char *name, const char *value, void *body, size_t body_count)
{
	struct MHD_Response *response = NULL;
	if (body || body_count == 0)
		response = MHD_create_response_from_buffer(body_count, body, body ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
	if (!response)
		free(body);
	pl_http_conn_reply_with(conn, status, content_type, name, value, response);
}

void pl_http_conn_refuse(struct conn *conn, int status, const char *code, const char *message, const char *allow)
{
	char *text = error_text(code, message, NULL);
	PL_LOG(PL_LOG_DEBUG, "http", "refused", PL_F_U64("status", (uint64_t)status), PL_F_STR("why", message), PL_F_U64("uid", conn->uid));
	pl_http_conn_reply(conn, status, "application/json", allow ? "Allow" : NULL, allow, text, text ? strlen(text) : 1);
}

/* The request ends here: its reply goes to its connection, if there still is one. */
static void finish(struct pl_request *request, int status, const char *content_type, const char *disposition, void *body, size_t count)
{
	struct conn *conn = request->conn;
	PL_LOG(PL_LOG_DEBUG, "http", conn ? "replied" : "replied to nobody", PL_F_STR("method", request->method),
	       PL_F_STR("route", request->route->path), PL_F_U64("status", (uint64_t)status), PL_F_U64("bytes", count), PL_F_U64("uid", request->uid));
	if (conn) {
		conn->request = NULL;
		pl_http_conn_reply(conn, status, content_type, disposition ? "Content-Disposition" : NULL, disposition, body, count);
	} else {
		request->http->counters.dropped++;
		free(body);
	}
	pl_http_request_free(request); /* last: the content type may be one of its own strings */
}

/* --- whole replies --- */

void pl_reply_json(struct pl_request *request, int status, json_t *body)
{
	size_t count;
	char *text = pl_http_json_text(body, &count);
	json_decref(body);
	if (text)
		finish(request, status, "application/json", NULL, text, count);
	else
		pl_reply_error(request, 500, "internal", "ask for less at once", "out of memory");
}

static bool is_plain_name_char(uint32_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '%' && c != '/';
}

/* RFC 6266: the name in ASCII for old clients, and in full. */
static void add_disposition(struct pl_buffer *out, const char *file_name)
{
	size_t count = strlen(file_name), length;
	pl_buffer_add_text(out, "attachment; filename=\"");
	for (size_t i = 0; i < count; i += length) {
		uint32_t c;
		length = pl_utf8_decode(file_name + i, count - i, &c);
		if (length == 0)
			length = 1;
		pl_buffer_add(out, length == 1 && is_plain_name_char((unsigned char)file_name[i]) ? file_name + i : "_", 1);
	}
	pl_buffer_add_text(out, "\"; filename*=UTF-8''");
	for (size_t i = 0; i < count; i += length) {
		uint32_t c;
		length = pl_utf8_decode(file_name + i, count - i, &c);
		bool hidden = length == 0 || pl_char_is_hidden(c) || c == '/' || c == '\\';
		if (length == 0)
			length = 1;
		if (hidden)
			pl_buffer_add_text(out, "_");
		for (size_t j = i; j < i + length && !hidden; j++) {
			unsigned char octet = (unsigned char)file_name[j];
			bool plain = (octet >= '0' && octet <= '9') || ((octet | 0x20) >= 'a' && (octet | 0x20) <= 'z' && octet < 0x80) || octet == '.' ||
			             octet == '-' || octet == '_';
			char escaped[4];
			snprintf(escaped, sizeof(escaped), plain ? "%c" : "%%%02X", octet);
			pl_buffer_add_text(out, escaped);
		}
	}
}

void pl_reply_bytes(struct pl_request *request, int status, const char *content_type, const char *file_name, uint8_t *bytes, size_t count)
{
	struct pl_buffer disposition = PL_BUFFER(DISPOSITION_BYTES_MAX);
	if (file_name)
		add_disposition(&disposition, file_name);
	if (disposition.err != PL_OK) {
		free(bytes);
		pl_reply_error(request, 500, "internal", NULL, "out of memory");
	} else {
		finish(request, status, content_type, disposition.bytes, bytes, count);
	}
	pl_buffer_dispose(&disposition);
}

void pl_reply_text(struct pl_request *request, int status, const char *content_type, const char *text)
{
	char *copy = strdup(text);
	if (copy)
		finish(request, status, content_type, NULL, copy, strlen(text));
	else
		pl_reply_error(request, 500, "internal", NULL, "out of memory");
}

void pl_reply_error(struct pl_request *request, int status, const char *code, const char *hint, const char *format, ...)
{
	char message[1024];
	va_list args;
	va_start(args, format);
	vsnprintf(message, sizeof(message), format, args);
	va_end(args);
	char *text = error_text(code, message, hint);
	finish(request, status, "application/json", NULL, text, text ? strlen(text) : 1);
}

/* --- streams --- */

void pl_http_stream_fill(struct conn *conn)
{
	struct pl_request *request = conn->request;
	if (!request || request->stream_waits)
		return;
	request->stream_waits = true;
	request->stream.more(request, request->stream.ctx);
}

void pl_reply_stream_begin(struct pl_request *request, int status, const char *content_type, const struct pl_stream *stream)
{
	request->stream = *stream;
	if (request->conn) {
		pl_http_conn_reply_in_pieces(request->conn, status, content_type);
	} else {
		request->gone_due = true;
		request->http->gone_due++;
		request->http->counters.dropped++;
		pl_http_arm(request->http);
	}
}

void pl_reply_stream_write(struct pl_request *request, const void *bytes, size_t count)
{
	struct conn *conn = request->conn;
	if (!conn || count == 0 || strcmp(request->method, "HEAD") == 0)
		return;
	pl_buffer_add(&conn->out, bytes, count);
	request->stream_waits = false;
	pl_http_conn_resume(conn);
}

/* The request ends here, its reply when what has been written is out, or at once. */
static void end_stream(struct pl_request *request, bool aborts)
{
	struct conn *conn = request->conn;
	pl_http_request_free(request);
	if (!conn)
		return;
	conn->request = NULL;
	conn->out_ends = true;
	if (aborts)
		pl_http_conn_end(conn);
	else
		pl_http_conn_resume(conn);
}

void pl_reply_stream_end(struct pl_request *request)
{
	end_stream(request, false);
}

void pl_reply_stream_abort(struct pl_request *request)
{
	end_stream(request, true);
}
