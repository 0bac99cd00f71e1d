/* What handlers see of a request: its target, taken apart, and its body. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/http/http_impl.h"
#include "node/visible.h"

/* --- life --- */

/* A copy that lasts as long as the request. NULL: there is no room. */
static char *keep(struct pl_request *request, const char *text)
{
	size_t count = text ? strlen(text) + 1 : 0;
	char *copy = request->text + request->text_count;
	if (count == 0 || count > sizeof(request->text) - request->text_count)
		return NULL;
	request->text_count += count;
	return memcpy(copy, text, count);
}

/* Percent-decodes in place. false with request->why. */
static bool decode(struct pl_request *request, char *text)
{
	for (const char *c = text; *c; c++)
		if (*c == '%' && (!isxdigit((unsigned char)c[1]) || !isxdigit((unsigned char)c[2])))
			request->why = "a % in the path is not followed by two hexadecimal digits";
	if (request->why)
		return false;
	size_t count = MHD_http_unescape(text);
	for (size_t i = 0; i < count; i++)
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			request->why = "a control character in the path";
	if (!pl_utf8_is_valid(text, count))
		request->why = "the path is not UTF-8";
	return !request->why;
}

/* Segments are decoded after the path is split, so that "FIN%2F0%2F17" is one. */
static void split_path(struct pl_request *request, const char *path)
{
	char *at = *path == '/' ? keep(request, path) : NULL;
	if (!at)
		request->why = "the path starts with /";
	while (at) {
		char *segment = at + 1, *end = strchr(segment, '/');
		if (end)
			*end = '\0';
		if (request->segments_count == HTTP_SEGMENTS_MAX)
			request->why = "too many segments in the path";
		else
			request->segments[request->segments_count++] = segment;
		at = decode(request, segment) ? end : NULL;
	}
}

/* The library has split the query, and taken + for a blank. */
static enum MHD_Result add_query(void *ctx, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct pl_request *request = ctx;
	(void)kind;
	if (*name == '\0' && !value)
		return MHD_YES; /* nothing between two & */
	char *kept = keep(request, name), *kept_value = keep(request, value ? value : "");
	if (!kept || !kept_value || request->query_count == HTTP_QUERY_MAX) {
		request->why = "too many parameters in the query";
		return MHD_NO;
	}
	if (!decode(request, kept) || !decode(request, kept_value))
		return MHD_NO;
	if (pl_request_query(request, kept)) {
		request->why = "a parameter stands twice in the query";
		return MHD_NO;
	}
	request->query[request->query_count].name = kept;
	request->query[request->query_count++].value = kept_value;
	return MHD_YES;
}

struct pl_request *pl_http_request_new(struct conn *conn, const char *path, const char *method)
{
	struct pl_request *request = malloc(sizeof(*request));
	if (!request)
		return NULL;
	memset(request, 0, offsetof(struct pl_request, text)); /* text is touched as it fills */
	request->http = conn->http;
	request->conn = conn;
	request->next = conn->http->requests;
	if (request->next)
		request->next->prev = request;
	conn->http->requests = request;
	request->uid = conn->uid;
	snprintf(request->method, sizeof(request->method), "%s", method);
	request->last_event_id = keep(request, MHD_lookup_connection_value(conn->mhd, MHD_HEADER_KIND, "Last-Event-ID"));
	split_path(request, path);
	if (!request->why)
		MHD_get_connection_values(conn->mhd, MHD_GET_ARGUMENT_KIND, add_query, request);
	return request;
}

void pl_http_request_free(struct pl_request *request)
{
	struct pl_http *http = request->http;
	*(request->prev ? &request->prev->next : &http->requests) = request->next;
	if (request->next)
		request->next->prev = request->prev;
	if (request->gone_due)
		http->gone_due--;
	http->bodies_bytes -= request->body_bytes;
	json_decref(request->json);
	free(request->body);
	free(request);
}

void pl_http_request_gone(struct pl_request *request)
{
	request->conn = NULL;
	if (request->stream.gone) {
		struct pl_stream stream = request->stream;
		stream.gone(request, stream.ctx);
		pl_http_request_free(request);
	}
}

/* --- routes --- */

/* The next segment of a pattern, and whether it is a {parameter}, whose braces are taken off. 0 at the end. */
static size_t next_part(const char **pattern, const char **part, bool *is_param)
{
	if (**pattern != '/')
		return 0;
	*part = *pattern + 1;
	size_t count = strcspn(*part, "/");
	*pattern = *part + count;
	*is_param = count > 2 && **part == '{';
	*part += *is_param;
	return *is_param ? count - 2 : count;
}

/* How well the pattern fits: 0 not at all, else more for each segment that is the same rather than a parameter. */
static unsigned fit(const char *pattern, const struct pl_request *request)
{
	const char *part;
	bool is_param;
	unsigned same = 1;
	size_t i = 0;
	for (size_t count; (count = next_part(&pattern, &part, &is_param)) > 0; i++) {
		const char *segment = i < request->segments_count ? request->segments[i] : "";
		if (is_param ? *segment == '\0' : strlen(segment) != count || memcmp(segment, part, count) != 0)
			return 0;
		same += !is_param;
	}
	return i == request->segments_count ? same : 0;
}

int pl_http_request_find_route(struct pl_request *request, char *allow, size_t allow_max)
{
	static const char first[] = "OPTIONS";
	unsigned best = 0;
	snprintf(allow, allow_max, "%s", first);
	for (const struct routes *routes = request->http->routes; routes; routes = routes->next) {
		for (size_t i = 0; i < routes->count; i++) {
			const struct pl_route *route = &routes->routes[i];
			bool is_get = strcmp(route->method, "GET") == 0;
			unsigned this = fit(route->path, request);
			if (this < best || this == 0)
				continue;
			if (this > best) {
				best = this;
				request->route = NULL;
				allow[sizeof(first) - 1] = '\0';
			}
			size_t length = strlen(allow);
			snprintf(allow + length, allow_max - length, ", %s%s", route->method, is_get ? ", HEAD" : "");
			if (strcmp(route->method, request->method) == 0 || (is_get && strcmp(request->method, "HEAD") == 0)) {
				request->route = route;
				request->ctx = routes->ctx;
			}
		}
	}
	if (request->route)
		return 200;
	return best == 0 ? 404 : strcmp(request->method, first) == 0 ? 204 : 405;
}

/* --- looking in --- */

const char *pl_request_param(const struct pl_request *request, const char *name)
{
	const char *pattern = request->route->path, *part;
	bool is_param;
	size_t count;
	for (size_t i = 0; (count = next_part(&pattern, &part, &is_param)) > 0; i++)
		if (is_param && strlen(name) == count && memcmp(name, part, count) == 0)
			return request->segments[i];
	return NULL;
}

const char *pl_request_query(const struct pl_request *request, const char *name)
{
	for (size_t i = 0; i < request->query_count; i++)
		if (strcmp(request->query[i].name, name) == 0)
			return request->query[i].value;
	return NULL;
}

const uint8_t *pl_request_body(const struct pl_request *request, size_t *count)
{
	*count = request->body_count;
	return request->body_count ? request->body : (const uint8_t *)"";
}

const char *pl_request_user(const struct pl_request *const_request)
{
	struct pl_request *request = (struct pl_request *)(uintptr_t)const_request; /* the name is looked up once, when it is asked for */
	if (request->user[0] == '\0') {
		struct passwd entry, *found = NULL;
		char strings[4096];
		if (getpwuid_r(request->uid, &entry, strings, sizeof(strings), &found) == 0 && found && found->pw_name[0])
			pl_visible(found->pw_name, strlen(found->pw_name), request->user, sizeof(request->user));
		else
			snprintf(request->user, sizeof(request->user), "uid %u", (unsigned)request->uid);
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
		pl_reply_error(request, 400, "bad_parameter", NULL, "%s is a whole number from %" PRIu64 " to %" PRIu64 ", not \"%.60s\"", name, min,
		               max, text);
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
