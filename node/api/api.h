/* What the routes of the control API have in common: times, references and ids as JSON, and errors as replies. */
#ifndef PL_NODE_API_H
#define PL_NODE_API_H

#include "node/core.h"
#include "node/http/http.h"
#include "proto/content.h"

/* RFC 3339 with any offset, with or without a fraction of a second; "T" and "Z" in either case. PL_ERR_FORMAT. */
PL_MUST_CHECK enum pl_err pl_api_time_parse(const char *text, uint64_t *unix_ms);
#define PL_API_TIME_MS_MAX 253402300799999ULL /* the end of the year 9999: what others claim beyond it is refused */
json_t *pl_api_time(uint64_t unix_ms); /* "2026-11-24T12:00:00.123Z"; null for 0 */
/* "ok", "no_bulk" (indicators and attachments wait for room), "urgent_only" (lane 0 alone), "full". */
const char *pl_api_store_state(struct pl_core *core);
/* A number that others may have chosen: at most 2^63 - 1, which is what readers of JSON hold. */
json_t *pl_api_count(uint64_t count);
json_t *pl_api_hex(const uint8_t *bytes, size_t count);
json_t *pl_api_ref(const struct pl_charter *charter, uint16_t node, uint8_t lane, uint64_t seq);
json_t *pl_api_node(const struct pl_charter *charter, uint16_t node);   /* "FIN.2" */
const char *pl_api_member(const struct pl_charter *charter, uint16_t node); /* code of its member: "FIN" */
json_t *pl_api_text(const struct pl_text *text);

/* Status and code for what pl_core_submit() and jobs of the store return: quota 429, disk_full 507, feed_frozen 409, too_large 413,
 * not_ready 503, internal 500. */
int pl_api_status_of(enum pl_err err, const char **code, const char **hint);
/* pl_err_str() of these, in words about this node where the error is one of its own feed. */
const char *pl_api_reason(enum pl_err err);
void pl_api_reply_failed(struct pl_request *request, enum pl_err err, const char *what /* "the message was not sent" */);

/* Parts of a request's JSON; false after having replied 400. A name that means nothing is an error: "expire" for "expires" would otherwise
 * change nothing, and nobody would notice. */
bool pl_api_only_known(struct pl_request *request, json_t *body, const char *const *names /* NULL at the end */);
bool pl_api_take_string(struct pl_request *request, const json_t *body, const char *name, const char *fallback, const char **out);

/* Whether query stands in a text, in any case of A to Z. */
bool pl_api_contains(const char *text, size_t count, const char *query);

#endif
