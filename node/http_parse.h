/* Reading a request's head (RFC 9112) and target (RFC 3986): functions of bytes alone.
 *
 * One form of each thing is accepted, so that no two readers of a request can disagree about where it ends: CRLF line ends, no folded lines, no
 * blank before a colon, one Host, one Content-Length of digits. Bodies come with a Content-Length only. Path segments are decoded after the
 * path is split, so that "FIN%2F0%2F17" is one segment.
 */
#ifndef PL_NODE_HTTP_PARSE_H
#define PL_NODE_HTTP_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PL_HTTP_HEADERS_MAX 64
#define PL_HTTP_SEGMENTS_MAX 16
#define PL_HTTP_QUERY_MAX 32

/* A piece of the head, borrowed from it; at is NULL where the header is absent. */
struct pl_http_slice {
	const char *at;
	size_t count;
};

struct pl_http_head {
	char method[16];
	struct pl_http_slice target;
	bool keep_alive;
	bool minor_1;         /* HTTP/1.1 rather than 1.0 */
	bool expect_continue;
	uint64_t body_bytes;
	struct pl_http_slice accept, content_type, last_event_id;
	size_t bytes;         /* of the head with the empty line at its end */
};

/* 0: the head is not complete yet. 200: *out is set. Otherwise the status to refuse it with, and *why is a sentence: 400, 411 (a body without
 * Content-Length), 417, 431 (more than PL_HTTP_HEADERS_MAX headers), 505. What is wrong is found as soon as its line is complete. */
int pl_http_parse_head(const char *bytes, size_t count, struct pl_http_head *out, const char **why);

struct pl_http_pair {
	const char *name, *value;
};

/* A target, decoded: "/v1/feed/FIN?limit=10" is segments v1, feed, FIN and the pair limit=10. */
struct pl_http_target {
	char *text; /* malloc'd; what the pointers point into */
	size_t segments_count, query_count;
	const char *segments[PL_HTTP_SEGMENTS_MAX];
	struct pl_http_pair query[PL_HTTP_QUERY_MAX];
};

/* 200, or the status to refuse it with: 400 (not a path; %00; not UTF-8; a control character; a name twice in the query), 414 (too many parts),
 * 500 (no memory). */
int pl_http_parse_target(struct pl_http_slice target, struct pl_http_target *out, const char **why);
void pl_http_target_dispose(struct pl_http_target *target);

/* How well "/v1/messages/{id}/accept" fits: 0 not at all, else more for each segment that is the same rather than a parameter. */
unsigned pl_http_match(const char *pattern, const struct pl_http_target *target);
/* The segment where the pattern has {name}; NULL if it has no such parameter. The pattern fits. */
const char *pl_http_match_param(const char *pattern, const struct pl_http_target *target, const char *name);

#endif
