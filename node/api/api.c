#include "node/api/api.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/log.h"

/* count digits at text; -1 if there are others. */
static int digits(const char *text, int count)
{
	int value = 0;
	for (int i = 0; i < count; i++) {
		if (text[i] < '0' || text[i] > '9')
			return -1;
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

enum pl_err pl_api_time_parse(const char *text, uint64_t *unix_ms)
{
	static const char form[] = "0000-00-00T00:00:00";
	static const uint8_t month_days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	if (strnlen(text, sizeof(form)) < sizeof(form) - 1 || text[4] != '-' || text[7] != '-' || (text[10] != 'T' && text[10] != 't') ||
	    text[13] != ':' || text[16] != ':')
		return PL_ERR_FORMAT;
	int year = digits(text, 4), month = digits(text + 5, 2), day = digits(text + 8, 2);
	int hour = digits(text + 11, 2), minute = digits(text + 14, 2), second = digits(text + 17, 2);
	if (year < 1970 || month < 1 || month > 12 || day < 1 || hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 ||
	    second > 59)
		return PL_ERR_FORMAT;
	if (day > month_days[month - 1] + (month == 2 && is_leap(year)))
		return PL_ERR_FORMAT;

	const char *at = text + sizeof(form) - 1;
	int64_t ms = 0;
	if (*at == '.') {
		int scale = 100;
		for (at++; *at >= '0' && *at <= '9'; at++, scale /= 10)
			ms += (*at - '0') * scale;
		if (at[-1] == '.')
			return PL_ERR_FORMAT;
	}
	int64_t offset_min = 0;
	if (*at == '+' || *at == '-') {
		if (strlen(at) != 6 || at[3] != ':')
			return PL_ERR_FORMAT;
		int hours = digits(at + 1, 2), minutes = digits(at + 4, 2);
		if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59)
			return PL_ERR_FORMAT;
		offset_min = (*at == '-' ? -1 : 1) * (hours * 60 + minutes);
	} else if ((*at != 'Z' && *at != 'z') || at[1] != '\0') {
		return PL_ERR_FORMAT;
	}
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second };
	int64_t total = ((int64_t)timegm(&tm) - offset_min * 60) * 1000 + ms;
	if (total < 0)
		return PL_ERR_FORMAT;
	*unix_ms = (uint64_t)total;
	return PL_OK;
}

json_t *pl_api_time(uint64_t unix_ms)
{
	char text[PL_LOG_TIME_BYTES];
	if (unix_ms == 0)
		return json_null();
	pl_log_time(unix_ms, text);
	return json_string(text);
}

json_t *pl_api_count(uint64_t count)
{
	return json_integer((json_int_t)(count > INT64_MAX ? INT64_MAX : count));
}

json_t *pl_api_hex(const uint8_t *bytes, size_t count)
{
	char hex[2 * PL_ID_BYTES + 1];
	if (count > PL_ID_BYTES)
		return NULL;
	sodium_bin2hex(hex, sizeof(hex), bytes, count);
	return json_string(hex);
}

json_t *pl_api_ref(const struct pl_charter *charter, uint16_t node, uint8_t lane, uint64_t seq)
{
	char text[PL_REF_TEXT_BYTES];
	pl_ref_format(charter, (struct pl_ref){ node, lane, seq }, text);
	return json_string(text);
}

json_t *pl_api_node(const struct pl_charter *charter, uint16_t node)
{
	char name[PL_NODE_NAME_BYTES];
	pl_charter_node_name(charter, node, name);
	return json_string(name);
}

const char *pl_api_member(const struct pl_charter *charter, uint16_t node)
{
	return charter->members[charter->nodes[node].member].code;
}

json_t *pl_api_text(const struct pl_text *text)
{
	return json_stringn(text->chars ? text->chars : "", text->bytes);
}

int pl_api_status_of(enum pl_err err, const char **code, const char **hint)
{
	*hint = NULL;
	switch (err) {
	case PL_ERR_QUOTA:
		*code = "quota";
		*hint = "This node is over its quota; other nodes would not take the entry in. Try again in a moment.";
		return 429;
	case PL_ERR_DISK_FULL:
		*code = "disk_full";
		*hint = "Free space on the volume of the store; the daemon goes on by itself.";
		return 507;
	case PL_ERR_FORK:
		*code = "feed_frozen";
		*hint = "It signs nothing any more, since its store is not its newest. The log says why (\"feed\"), OPERATING.md, \"Backups\", what to do.";
		return 409;
	case PL_ERR_EXPIRED:
		*code = "certificate_invalid";
		*hint = "By the clock of this node its certificate is not valid now: set the clock right, or install a charter with a certificate that is.";
		return 409;
	case PL_ERR_NO_KEY: *code = "no_epoch_key"; return 409;
	case PL_ERR_LIMIT: *code = "too_large"; return 413;
	case PL_ERR_FULL:
		*code = "busy";
		*hint = "The store has as much to write as it can take on. Try again in a moment.";
		return 503;
	case PL_ERR_STATE:
		*code = "not_ready";
		*hint = "The daemon is starting, ending, or its store takes nothing now. Try again in a moment.";
		return 503;
	case PL_OK: /* the rest has no name for a client: it is ours to find out about */
	case PL_ERR_SHORT:
	case PL_ERR_FORMAT:
	case PL_ERR_VERSION:
	case PL_ERR_SIGNATURE:
	case PL_ERR_DECRYPT:
	case PL_ERR_CHAIN:
	case PL_ERR_NETWORK:
	case PL_ERR_UNKNOWN:
	case PL_ERR_EXISTS:
	case PL_ERR_REFUSED:
	case PL_ERR_MEMORY:
	case PL_ERR_IO:
	case PL_ERR_CORRUPT: break;
	}
	*code = "internal";
	return 500;
}

const char *pl_api_reason(enum pl_err err)
{
	return err == PL_ERR_FORK ? "this node's feed is frozen" : pl_err_str(err);
}

void pl_api_reply_failed(struct pl_request *request, enum pl_err err, const char *what)
{
	const char *code, *hint;
	int status = pl_api_status_of(err, &code, &hint);
	pl_reply_error(request, status, code, hint, "%s: %s", what, pl_api_reason(err));
}

bool pl_api_only_known(struct pl_request *request, json_t *body, const char *const *names)
{
	const char *name;
	json_t *value;
	if (!json_is_object(body)) {
		pl_reply_error(request, 400, "bad_request", NULL, "the body is a JSON object");
		return false;
	}
	json_object_foreach(body, name, value)
	{
		const char *const *known = names;
		while (*known && strcmp(*known, name) != 0)
			known++;
		if (!*known) {
			pl_reply_error(request, 400, "bad_request", "GET /v1/openapi.json describes what a request may hold.",
			               "\"%.60s\" means nothing here", name);
			return false;
		}
	}
	return true;
}

bool pl_api_take_string(struct pl_request *request, const json_t *body, const char *name, const char *fallback, const char **out)
{
	const json_t *value = json_object_get(body, name);
	*out = fallback;
	if (!value || json_is_null(value))
		return true;
	if (!json_is_string(value)) {
		pl_reply_error(request, 400, "bad_request", NULL, "\"%s\" must be a string", name);
		return false;
	}
	*out = json_string_value(value);
	return true;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool pl_api_contains(const char *text, size_t count, const char *query)
{
	size_t n = strlen(query);
	for (size_t i = 0; i + n <= count; i++) {
		size_t k = 0;
		while (k < n && lower(text[i + k]) == lower(query[k]))
			k++;
		if (k == n)
			return true;
	}
	return false;
}
