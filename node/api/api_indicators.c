#include <string.h>

#include "node/api/api.h"
#include "node/indicator/indicator_impl.h"
#include "node/visible.h"

#define LIST_LIMIT 100
#define LIST_LIMIT_MAX 1000

/* --- parameters; each replies and returns false when it is wrong --- */

static void show_param(const char *value, char out[80])
{
	(void)pl_visible(value, strlen(value), out, 80);
}

static bool take_tlp(struct pl_request *request, uint8_t *tlp)
{
	const char *name = pl_request_query(request, "tlp");
	if (name == NULL)
		return true;
	int parsed = pl_tlp_parse(name);
	if (parsed < 0) {
		char shown[80];
		show_param(name, shown);
		pl_reply_error(request, 400, "bad_tlp", NULL, "there is no TLP \"%s\"; expected clear, green, amber, amber+strict or red",
		               shown);
		return false;
	}
	*tlp = (uint8_t)parsed;
	return true;
}

static bool take_flag(struct pl_request *request, const char *name, bool *flag)
{
	const char *value = pl_request_query(request, name);
	*flag = value != NULL && strcmp(value, "true") == 0;
	if (value == NULL || *flag || strcmp(value, "false") == 0)
		return true;
	pl_reply_error(request, 400, "bad_request", NULL, "%s is true or false, not \"%.60s\"", name, value);
	return false;
}

static bool take_author(const struct pl_indicator_part *part, struct pl_request *request, uint16_t *author)
{
	const char *name = pl_request_query(request, "author");
	*author = PL_NODE_NONE;
	if (name == NULL)
		return true;
	*author = pl_ref_find_node(pl_core_charter(part->core), name, strlen(name));
	if (*author != PL_NODE_NONE)
		return true;
	char shown[80];
	show_param(name, shown);
	pl_reply_error(request, 404, "unknown_node", "an author is a node, such as FIN or FIN.2",
	               "no node of this network is called \"%s\"", shown);
	return false;
}

static bool take_text(struct pl_request *request, const char *name, char *out, size_t out_max)
{
	const char *value = pl_request_query(request, name);
	if (value == NULL)
		return true;
	if (strlen(value) < out_max) {
		memcpy(out, value, strlen(value) + 1);
		return true;
	}
	pl_reply_error(request, 400, "bad_request", NULL, "%s is longer than %zu bytes", name, out_max - 1);
	return false;
}

static bool take_filter(const struct pl_indicator_part *part, struct pl_request *request, struct pl_indicator_filter *filter)
{
	memset(filter, 0, sizeof(*filter));
	return take_text(request, "type", filter->type, sizeof(filter->type)) && take_author(part, request, &filter->author) &&
	       take_tlp(request, &filter->tlp) && take_text(request, "q", filter->query, sizeof(filter->query));
}

/* --- routes --- */

static void post_indicators(struct pl_request *request, void *ctx)
{
	struct pl_indicator_part *part = ctx;
	uint8_t tlp = 0;
	bool strict;
	if (!take_tlp(request, &tlp) || !take_flag(request, "strict", &strict))
		return;
	if (tlp == 0) {
		pl_reply_error(request, 400, "no_tlp", "add ?tlp=clear or ?tlp=green",
		               "it is not said at which TLP the indicators are to be shared");
		return;
	}
	if (tlp > PL_TLP_GREEN) {
		pl_reply_error(request, 422, "audience_too_wide",
		               "send the file as an attachment to those who may have it: parley send --to CODE --attach FILE",
		               "indicators go to all members, which TLP:%s does not allow",
		               tlp == PL_TLP_AMBER ? "AMBER" : tlp == PL_TLP_AMBER_STRICT ? "AMBER+STRICT" : "RED");
		return;
	}
	pl_indicator_import(part, request, tlp, strict);
}

static void get_indicators(struct pl_request *request, void *ctx)
{
	struct pl_indicator_part *part = ctx;
	struct pl_indicator_filter filter;
	uint64_t after = 0, limit = LIST_LIMIT;
	if (take_filter(part, request, &filter) && pl_request_query_u64(request, "after", 1, INT64_MAX, &after) &&
	    pl_request_query_u64(request, "limit", 1, LIST_LIMIT_MAX, &limit))
		pl_indicator_list(part, request, &filter, after, limit);
}

static void get_export(struct pl_request *request, void *ctx)
{
	struct pl_indicator_part *part = ctx;
	struct pl_indicator_filter filter;
	if (take_filter(part, request, &filter))
		pl_indicator_export(part, request, &filter);
}

static void get_indicator(struct pl_request *request, void *ctx)
{
	struct pl_indicator_part *part = ctx;
	const char *id = pl_request_param(request, "id");
	uint16_t author;
	bool meta;
	if (!take_author(part, request, &author) || !take_flag(request, "meta", &meta))
		return;
	char shown[PL_STIX_ID_BYTES_MAX + 1];
	if (strlen(id) > PL_STIX_ID_BYTES_MAX || pl_visible(id, strlen(id), shown, sizeof(shown)) != strlen(id)) {
		pl_reply_error(request, 404, "unknown_object", NULL, "that is not the id of a STIX object");
		return;
	}
	pl_indicator_show(part, request, id, author, meta);
}

enum pl_err pl_indicator_add_routes(struct pl_indicator_part *part, struct pl_http *http)
{
	static const struct pl_route routes[] = {
		{ "POST", "/v1/indicators", PL_STIX_BATCH_BYTES_MAX, post_indicators },
		{ "GET", "/v1/indicators", 0, get_indicators },
		{ "GET", "/v1/indicators/export", 0, get_export },
		{ "GET", "/v1/indicators/{id}", 0, get_indicator },
	};
	return pl_http_add_routes(http, routes, sizeof(routes) / sizeof(routes[0]), part);
}
