#include "node/http_parse.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "node/visible.h"

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool slice_is(struct pl_http_slice slice, const char *text)
{
	return slice.count == strlen(text) && strncasecmp(slice.at, text, slice.count) == 0;
}

static int refuse(const char **why, int status, const char *sentence)
{
	*why = sentence;
	return status;
}

/* The next CRLF-ended line from *at; the slice excludes CRLF. 0: not complete, 200, 400. */
static int next_line(const char **at, const char *end, struct pl_http_slice *line, const char **why)
{
	const char *start = *at, *c = start;
	for (; c < end && *c != '\n' && *c != '\r'; c++)
		if (*c == '\0')
			return refuse(why, 400, "a NUL byte in the request's head");
	if (c == end || (*c == '\r' && c + 1 == end))
		return 0;
	if (*c == '\n' || c[1] != '\n')
		return refuse(why, 400, "lines of the request's head end in CR LF");
	line->at = start;
	line->count = (size_t)(c - start);
	*at = c + 2;
	return 200;
}

static int parse_request_line(struct pl_http_slice line, struct pl_http_head *head, const char **why)
{
	static const char form[] = "the request line is not METHOD /path HTTP/1.1";
	const char *c = line.at, *end = line.at + line.count;
	size_t length = 0;
	for (; c < end && *c != ' '; c++) {
		if (*c < 'A' || *c > 'Z' || length + 1 == sizeof head->method)
			return refuse(why, 400, form);
		head->method[length++] = *c;
	}
	head->method[length] = '\0';
	if (length == 0 || c == end)
		return refuse(why, 400, form);
	head->target.at = ++c;
	for (; c < end && *c != ' '; c++)
		if (*c <= ' ' || *c > '~' || *c == '#')
			return refuse(why, 400, "the path has characters that want percent-encoding");
	head->target.count = (size_t)(c - head->target.at);
	if (head->target.count == 0 || c == end)
		return refuse(why, 400, form);
	struct pl_http_slice version = { c + 1, (size_t)(end - c - 1) };
	if (version.count != 8 || memcmp(version.at, "HTTP/", 5) != 0 || version.at[6] != '.')
		return refuse(why, 400, form);
	if (memcmp(version.at + 5, "1.1", 3) != 0 && memcmp(version.at + 5, "1.0", 3) != 0)
		return refuse(why, 505, "this server speaks HTTP/1.1 and HTTP/1.0");
	head->minor_1 = version.at[7] == '1';
	head->keep_alive = head->minor_1;
	return 200;
}

/* What parse_header() has seen, to find what stands twice. */
struct seen {
	unsigned count;
	bool host, length;
};

static int parse_length(struct pl_http_slice value, struct pl_http_head *head, const char **why)
{
	uint64_t length = 0;
	if (value.count == 0 || value.count > 18)
		return refuse(why, 400, "Content-Length is not a number");
	for (size_t i = 0; i < value.count; i++) {
		if (value.at[i] < '0' || value.at[i] > '9')
			return refuse(why, 400, "Content-Length is not a number");
		length = length * 10 + (uint64_t)(value.at[i] - '0');
	}
	head->body_bytes = length;
	return 200;
}

/* Options of Connection are a list; the two that matter here are close and keep-alive. */
static void parse_connection(struct pl_http_slice value, struct pl_http_head *head)
{
	const char *c = value.at, *end = value.at + value.count;
	while (c < end) {
		while (c < end && (*c == ' ' || *c == '\t' || *c == ','))
			c++;
		const char *start = c;
		while (c < end && *c != ',' && *c != ' ' && *c != '\t')
			c++;
		struct pl_http_slice option = { start, (size_t)(c - start) };
		if (slice_is(option, "close"))
			head->keep_alive = false;
		else if (slice_is(option, "keep-alive") && !head->minor_1)
			head->keep_alive = true;
	}
}

static int parse_header(struct pl_http_slice line, struct pl_http_head *head, struct seen *seen, const char **why)
{
	const char *c = line.at, *end = line.at + line.count;
	if (++seen->count > PL_HTTP_HEADERS_MAX)
		return refuse(why, 431, "the request has too many headers");
	while (c < end && is_token_char(*c))
		c++;
	if (c == line.at || c == end || *c != ':')
		return refuse(why, 400, "a header is not of the form Name: value");
	struct pl_http_slice name = { line.at, (size_t)(c - line.at) };
	c++;
	while (c < end && (*c == ' ' || *c == '\t'))
		c++;
	while (end > c && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	struct pl_http_slice value = { c, (size_t)(end - c) };
	for (; c < end; c++)
		if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f)
			return refuse(why, 400, "a control character in a header");

	struct pl_http_slice *kept = NULL;
	if (slice_is(name, "Host")) {
		if (seen->host)
			return refuse(why, 400, "Host stands twice");
		seen->host = true;
	} else if (slice_is(name, "Content-Length")) {
		if (seen->length)
			return refuse(why, 400, "Content-Length stands twice");
		seen->length = true;
		return parse_length(value, head, why);
	} else if (slice_is(name, "Transfer-Encoding")) {
		return refuse(why, 411, "a body is sent with Content-Length here, not in chunks");
	} else if (slice_is(name, "Connection")) {
		parse_connection(value, head);
	} else if (slice_is(name, "Expect")) {
		if (!slice_is(value, "100-continue"))
			return refuse(why, 417, "the only expectation that is met is 100-continue");
		head->expect_continue = head->minor_1;
	} else if (slice_is(name, "Accept")) {
		kept = &head->accept;
	} else if (slice_is(name, "Content-Type")) {
		kept = &head->content_type;
	} else if (slice_is(name, "Last-Event-ID")) {
		kept = &head->last_event_id;
	}
	if (kept) {
		if (kept->at)
			return refuse(why, 400, "Accept, Content-Type and Last-Event-ID stand once");
		*kept = value;
	}
	return 200;
}

int pl_http_parse_head(const char *bytes, size_t count, struct pl_http_head *out, const char **why)
{
	struct pl_http_head head = { .body_bytes = 0 };
	struct seen seen = { .count = 0 };
	const char *at = bytes, *end = bytes + count;
	struct pl_http_slice line;
	if (count > 0 && (*bytes < 'A' || *bytes > 'Z'))
		return refuse(why, 400, "this is not HTTP");
	int status = next_line(&at, end, &line, why);
	if (status == 200)
		status = parse_request_line(line, &head, why);
	if (status != 200)
		return status;
	for (;;) {
		status = next_line(&at, end, &line, why);
		if (status != 200)
			return status;
		if (line.count == 0)
			break;
		status = parse_header(line, &head, &seen, why);
		if (status != 200)
			return status;
	}
	if (head.minor_1 && !seen.host)
		return refuse(why, 400, "Host is missing");
	head.bytes = (size_t)(at - bytes);
	*out = head;
	return 200;
}

/* --- targets --- */

static int hex_value(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Decodes from up to the end or one of stops into *to, with a NUL; *from moves to the stop. Decoded text is never longer. */
static int decode(const char **from, const char *end, const char *stops, bool plus_is_blank, char **to, const char **why)
{
	char *start = *to, *out = start;
	const char *c = *from;
	while (c < end && !strchr(stops, *c)) {
		int value = (unsigned char)*c++;
		if (value == '%') {
			if (end - c < 2 || hex_value(c[0]) < 0 || hex_value(c[1]) < 0)
				return refuse(why, 400, "a % in the path is not followed by two hexadecimal digits");
			value = hex_value(c[0]) << 4 | hex_value(c[1]);
			c += 2;
		} else if (value == '+' && plus_is_blank) {
			value = ' ';
		}
		if (value < ' ' || value == 0x7f)
			return refuse(why, 400, "a control character in the path");
		*out++ = (char)value;
	}
	if (!pl_utf8_is_valid(start, (size_t)(out - start)))
		return refuse(why, 400, "the path is not UTF-8");
	*out++ = '\0';
	*to = out;
	*from = c;
	return 200;
}

static int parse_query(const char *at, const char *end, char **to, struct pl_http_target *target, const char **why)
{
	while (at < end) {
		if (*at == '&') {
			at++;
			continue;
		}
		if (target->query_count == PL_HTTP_QUERY_MAX)
			return refuse(why, 414, "too many parameters in the query");
		struct pl_http_pair *pair = &target->query[target->query_count];
		pair->name = *to;
		int status = decode(&at, end, "=&", true, to, why);
		if (status != 200)
			return status;
		pair->value = *to - 1; /* empty: the NUL of the name */
		if (at < end && *at == '=') {
			at++;
			pair->value = *to;
			status = decode(&at, end, "&", true, to, why);
			if (status != 200)
				return status;
		}
		for (size_t i = 0; i < target->query_count; i++)
			if (strcmp(target->query[i].name, pair->name) == 0)
				return refuse(why, 400, "a parameter stands twice in the query");
		target->query_count++;
	}
	return 200;
}

int pl_http_parse_target(struct pl_http_slice slice, struct pl_http_target *out, const char **why)
{
	struct pl_http_target target = { .segments_count = 0 };
	const char *at = slice.at, *end = slice.at + slice.count;
	if (slice.count == 0 || *at != '/')
		return refuse(why, 400, "the path starts with /");
	/* every part takes a NUL in place of the separator before or after it, and one more for the last */
	target.text = malloc(slice.count + 2);
	if (!target.text)
		return refuse(why, 500, "out of memory");
	char *to = target.text;
	int status = 200;
	while (status == 200 && at < end && *at == '/') {
		at++;
		if (target.segments_count == PL_HTTP_SEGMENTS_MAX) {
			status = refuse(why, 414, "too many segments in the path");
			break;
		}
		target.segments[target.segments_count++] = to;
		status = decode(&at, end, "/?", false, &to, why);
	}
	if (status == 200 && at < end)
		status = parse_query(at + 1, end, &to, &target, why);
	if (status != 200) {
		free(target.text);
		return status;
	}
	*out = target;
	return 200;
}

void pl_http_target_dispose(struct pl_http_target *target)
{
	free(target->text);
	target->text = NULL;
}

/* --- patterns --- */

/* The next segment of a pattern, and whether it is a {parameter}, whose braces are taken off. false at the end. */
static bool next_part(const char **pattern, struct pl_http_slice *part, bool *is_param)
{
	if (**pattern != '/')
		return false;
	part->at = *pattern + 1;
	part->count = strcspn(part->at, "/");
	*pattern = part->at + part->count;
	*is_param = part->count > 2 && part->at[0] == '{' && part->at[part->count - 1] == '}';
	if (*is_param) {
		part->at++;
		part->count -= 2;
	}
	return true;
}

unsigned pl_http_match(const char *pattern, const struct pl_http_target *target)
{
	struct pl_http_slice part;
	bool is_param;
	unsigned fit = 1;
	size_t i = 0;
	for (; next_part(&pattern, &part, &is_param); i++) {
		if (i == target->segments_count)
			return 0;
		const char *segment = target->segments[i];
		if (is_param ? *segment == '\0' : strlen(segment) != part.count || memcmp(segment, part.at, part.count) != 0)
			return 0;
		fit += !is_param;
	}
	return i == target->segments_count ? fit : 0;
}

const char *pl_http_match_param(const char *pattern, const struct pl_http_target *target, const char *name)
{
	struct pl_http_slice part;
	bool is_param;
	for (size_t i = 0; i < target->segments_count && next_part(&pattern, &part, &is_param); i++)
		if (is_param && strlen(name) == part.count && memcmp(name, part.at, part.count) == 0)
			return target->segments[i];
	return NULL;
}
