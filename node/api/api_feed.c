#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"
#include "node/app_parts.h"
#include "node/store/db.h"

#define LIST_MAX 1000u
#define LIST_DEFAULT 100u

struct feed_item {
	uint16_t node;
	uint8_t lane;
	uint64_t seq, gseq, received_ms, body_bytes;
	uint8_t id[PL_ID_BYTES];
	uint8_t header[PL_ENTRY_HEADER_BYTES];
};
#define COLUMNS "node, lane, seq, gseq, received_ms, body_bytes, id, header"

struct feed_call {
	struct pl_job job;
	struct pl_app *app;
	struct pl_request *request;
	bool has_author;
	uint16_t author;
	uint64_t lane, after, limit;
	bool single; /* entry after + 1 with its body */
	uint8_t *body;
	size_t body_count;
	bool more;
	size_t count;
	struct feed_item items[];
};

static enum pl_err take_item(sqlite3_stmt *statement, struct feed_item *out)
{
	struct feed_item item = { .node = (uint16_t)sqlite3_column_int(statement, 0), .lane = (uint8_t)sqlite3_column_int(statement, 1),
	                          .seq = pl_db_u64(statement, 2), .gseq = pl_db_u64(statement, 3), .received_ms = pl_db_u64(statement, 4),
	                          .body_bytes = pl_db_u64(statement, 5) };
	enum pl_err err = pl_db_take(statement, 6, item.id, sizeof(item.id));
	if (err == PL_OK)
		err = pl_db_take(statement, 7, item.header, sizeof(item.header));
	if (err == PL_OK)
		*out = item;
	return err;
}

/* With the check that every entry passes before it is handed out. */
static enum pl_err take_body(struct feed_call *call, sqlite3 *db)
{
	struct pl_stored_entry entry;
	enum pl_err err = pl_store_read(db, call->author, (uint8_t)call->lane, call->after + 1, &entry);
	return err != PL_OK ? err : pl_stored_body(&entry, &call->body, &call->body_count);
}

static enum pl_err feed_work(struct pl_job *job, sqlite3 *db)
{
	struct feed_call *call = job->ctx;
	sqlite3_stmt *statement = pl_store_prepare(db, call->has_author ?
		"SELECT " COLUMNS " FROM entry WHERE node = ?1 AND lane = ?2 AND seq > ?3 ORDER BY seq LIMIT ?4" :
		"SELECT " COLUMNS " FROM entry ORDER BY arrival DESC LIMIT ?4");
	if (!statement)
		return pl_store_job_err(job, db);
	if (call->has_author) {
		sqlite3_bind_int(statement, 1, call->author);
		pl_db_bind_u64(statement, 2, call->lane);
		pl_db_bind_u64(statement, 3, call->after);
	}
	pl_db_bind_u64(statement, 4, call->limit + 1);
	enum pl_err err = PL_OK;
	while (err == PL_OK && pl_db_step(statement, &err) == 1) {
		if (call->count == call->limit) {
			call->more = call->has_author;
			break;
		}
		err = take_item(statement, &call->items[call->count]);
		if (err == PL_OK)
			call->count++;
	}
	pl_db_reset(statement);
	if (err == PL_OK && call->single && call->count == 1 && call->items[0].seq == call->after + 1)
		err = take_body(call, db);
	return err;
}

static json_t *item_json(const struct pl_app *app, const struct feed_item *item)
{
	const struct pl_charter *charter = pl_core_charter(app->core);
	const struct pl_engine *engine = pl_core_engine(app->core);
	struct pl_header header;
	if (item->node >= charter->nodes_count || pl_header_decode(item->header, &header) != PL_OK)
		return json_null();
	json_t *acked = json_array();
	for (uint16_t node = 0; node < charter->nodes_count; node++)
		if (node != pl_core_self(app->core) && (node == item->node || pl_engine_acked(engine, node, item->node, item->lane) >= item->seq))
			json_array_append_new(acked, pl_api_node(charter, node));
	return json_pack("{so so so si sI so ss sb so so sI so so}", "ref", pl_api_ref(charter, item->node, item->lane, item->seq), "id",
	                 pl_api_hex(item->id, sizeof(item->id)), "author", pl_api_node(charter, item->node), "lane", item->lane, "seq",
	                 (json_int_t)item->seq, "gseq", pl_api_count(item->gseq), "kind", pl_kind_name(header.kind), "flash",
	                 (header.flags & PL_FLAG_FLASH) != 0, "time", pl_api_time(header.time_ms), "received", pl_api_time(item->received_ms),
	                 "body_bytes", (json_int_t)item->body_bytes, "prev", pl_api_hex(header.prev, sizeof(header.prev)), "acked_by", acked);
}

static json_t *base64(const uint8_t *bytes, size_t count)
{
	size_t text_max = sodium_base64_ENCODED_LEN(count, sodium_base64_VARIANT_ORIGINAL);
	char *text = malloc(text_max);
	if (!text)
		return NULL;
	sodium_bin2base64(text, text_max, bytes, count, sodium_base64_VARIANT_ORIGINAL);
	json_t *json = json_string(text);
	free(text);
	return json;
}

static void reply_single(struct feed_call *call)
{
	const struct feed_item *item = &call->items[0];
	if (call->count == 0 || item->seq != call->after + 1) {
		pl_reply_error(call->request, 404, "unknown_entry", "GET /v1/feed lists the entries held here.",
		               "this node does not hold that entry");
		return;
	}
	json_t *json = item_json(call->app, item);
	json_object_set_new(json, "header", base64(item->header, sizeof(item->header)));
	json_object_set_new(json, "body", call->body ? base64(call->body, call->body_count) : json_null());
	pl_reply_json(call->request, 200, json);
}

static void feed_done(struct pl_job *job)
{
	struct feed_call *call = job->ctx;
	if (job->err != PL_OK) {
		pl_api_reply_failed(call->request, job->err, "the feed cannot be read");
	} else if (call->single) {
		reply_single(call);
	} else {
		json_t *list = json_array();
		for (size_t i = 0; i < call->count; i++)
			json_array_append_new(list, item_json(call->app, &call->items[i]));
		json_t *next = call->more ? json_integer((json_int_t)call->items[call->count - 1].seq) : json_null();
		pl_reply_json(call->request, 200, json_pack("{so so}", "entries", list, "next", next));
	}
	free(call->body);
	free(call);
}

static struct feed_call *call_new(struct pl_request *request, struct pl_app *app, size_t items)
{
	struct feed_call *call = calloc(1, sizeof(*call) + items * sizeof(call->items[0]));
	if (!call) {
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the feed cannot be read");
		return NULL;
	}
	call->app = app;
	call->request = request;
	call->limit = items;
	call->job = (struct pl_job){ .work = feed_work, .done = feed_done, .ctx = call };
	return call;
}

static bool find_author(struct pl_request *request, const struct pl_app *app, const char *name, uint16_t *node)
{
	*node = pl_ref_find_node(pl_core_charter(app->core), name, strlen(name));
	if (*node == PL_NODE_NONE)
		pl_reply_error(request, 404, "unknown_node", "GET /v1/peers lists the nodes.", "there is no node %s in this network", name);
	return *node != PL_NODE_NONE;
}

void pl_api_feed(struct pl_request *request, void *ctx)
{
	struct pl_app *app = ctx;
	const char *author = pl_request_query(request, "author");
	uint64_t lane = UINT64_MAX, after = 0, limit = LIST_DEFAULT;
	uint16_t node = 0;
	if (!pl_request_query_u64(request, "lane", 0, PL_LANES - 1, &lane) || !pl_request_query_u64(request, "after", 0, INT64_MAX, &after) ||
	    !pl_request_query_u64(request, "limit", 1, LIST_MAX, &limit) || (author && !find_author(request, app, author, &node)))
		return;
	if ((author != NULL) != (lane != UINT64_MAX) || (after > 0 && !author)) {
		pl_reply_error(request, 400, "bad_request", "Without both it lists the newest entries of all.", "author and lane go together");
		return;
	}
	struct feed_call *call = call_new(request, app, limit);
	if (!call)
		return;
	call->has_author = author != NULL;
	call->author = node;
	call->lane = lane;
	call->after = after;
	pl_store_run(pl_core_store(app->core), &call->job);
}

void pl_api_feed_entry(struct pl_request *request, void *ctx)
{
	struct pl_app *app = ctx;
	char text[PL_REF_TEXT_BYTES];
	struct pl_ref ref;
	int written = snprintf(text, sizeof(text), "%s/%s/%s", pl_request_param(request, "author"), pl_request_param(request, "lane"),
	                       pl_request_param(request, "seq"));
	enum pl_err err = written < (int)sizeof(text) ? pl_ref_parse(pl_core_charter(app->core), text, &ref) : PL_ERR_FORMAT;
	if (err != PL_OK || ref.seq == 0 || ref.seq > INT64_MAX) {
		pl_reply_error(request, 404, "unknown_entry", "A place is written NODE/LANE/SEQ: FIN/0/17.",
		               "that is no place in a feed of this network");
		return;
	}
	struct feed_call *call = call_new(request, app, 1);
	if (!call)
		return;
	call->has_author = call->single = true;
	call->author = ref.node;
	call->lane = ref.lane;
	call->after = ref.seq - 1;
	pl_store_run(pl_core_store(app->core), &call->job);
}
