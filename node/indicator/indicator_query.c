#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"
#include "node/indicator/indicator_rows.h"
#include "node/store/db.h"

/* --- lists --- */

struct listing {
	struct pl_job job;
	struct pl_indicator_part *part;
	struct pl_request *request;
	struct pl_indicator_filter filter;
	uint64_t from, limit;
	bool first_page, more, end; /* more: than fit on the page, of those that match */
	json_t *items;
	int64_t total; /* -1: would have to be counted row by row */
};

/* Of what an index counts; all of them are counted anyway. */
static enum pl_err count_total(struct listing *listing, sqlite3 *db)
{
	const struct pl_indicator_filter *filter = &listing->filter;
	bool by_type = filter->type[0] != '\0', by_author = filter->author != PL_NODE_NONE;
	enum pl_err err = PL_ERR_CORRUPT;
	if (filter->tlp != 0 || filter->query[0] != '\0' || by_type == by_author)
		return PL_OK;
	sqlite3_stmt *select = pl_store_prepare(db, by_type ? "SELECT count(*) FROM indicator WHERE type = ?1"
	                                                    : "SELECT count(*) FROM indicator_provider WHERE node = ?1");
	if (select == NULL)
		return pl_store_sql_err(db);
	if (by_type)
		sqlite3_bind_text(select, 1, filter->type, -1, SQLITE_STATIC);
	else
		sqlite3_bind_int(select, 1, filter->author);
	if (pl_db_step(select, &err) != 1)
		return err;
	listing->total = sqlite3_column_int64(select, 0);
	pl_db_reset(select);
	return PL_OK;
}

static enum pl_err list_row(struct listing *listing, sqlite3 *db, sqlite3_stmt *row)
{
	bool yes;
	json_t *item = NULL;
	enum pl_err err = pl_indicator_matches(listing->part, &listing->filter, row, &yes);
	listing->more = err == PL_OK && yes && json_array_size(listing->items) == listing->limit;
	if (listing->more)
		return PL_OK;
	if (err == PL_OK && yes)
		err = pl_indicator_describe(listing->part, db, row, &item);
	if (err == PL_OK && yes && json_array_append_new(listing->items, item) != 0)
		err = PL_ERR_MEMORY;
	if (err != PL_ERR_CORRUPT)
		return err;
	pl_indicator_log_damaged(row);
	return PL_OK;
}

static enum pl_err list_work(struct pl_job *job, sqlite3 *db)
{
	struct listing *listing = job->ctx;
	enum pl_err err = PL_OK;
	unsigned rows = 0;
	if (listing->first_page) {
		listing->first_page = false;
		err = count_total(listing, db);
		if (err != PL_OK)
			return err;
	}
	sqlite3_stmt *row = pl_indicator_select(db, &listing->filter, listing->from, PL_INDICATOR_ROWS_PER_JOB);
	if (row == NULL)
		return pl_store_sql_err(db);
	while (pl_db_step(row, &err) == 1) {
		rows++;
		err = list_row(listing, db, row);
		if (err != PL_OK || listing->more)
			break;
		listing->from = pl_db_u64(row, PL_COLUMN_N);
	}
	listing->end = err == PL_OK && rows < PL_INDICATOR_ROWS_PER_JOB && !listing->more;
	pl_db_reset(row);
	return err;
}

static void list_done(struct pl_job *job)
{
	struct listing *listing = job->ctx;
	if (job->err == PL_OK && !listing->end && !listing->more && !listing->part->stopped) {
		pl_store_run(pl_core_store(listing->part->core), job);
		return;
	}
	if (job->err != PL_OK) {
		pl_api_reply_failed(listing->request, job->err, "the indicators cannot be listed");
	} else {
		json_t *next = listing->end ? json_null() : json_integer((json_int_t)listing->from);
		json_t *total = listing->total < 0 ? json_null() : json_integer(listing->total);
		pl_reply_json(listing->request, 200,
		              json_pack("{s:O, s:o, s:o}", "indicators", listing->items, "next", next, "total", total));
	}
	json_decref(listing->items);
	free(listing);
}

void pl_indicator_list(struct pl_indicator_part *part, struct pl_request *request, const struct pl_indicator_filter *filter, uint64_t after,
                       uint64_t limit)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	if (listing == NULL || (listing->items = json_array()) == NULL) {
		free(listing);
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the indicators cannot be listed");
		return;
	}
	listing->part = part;
	listing->request = request;
	listing->filter = *filter;
	listing->from = after > 0 ? after : INT64_MAX;
	listing->limit = limit;
	listing->first_page = after == 0;
	bool all = filter->type[0] == '\0' && filter->author == PL_NODE_NONE && filter->tlp == 0 && filter->query[0] == '\0';
	listing->total = all && after == 0 ? (int64_t)part->counts.objects : -1;
	listing->job = (struct pl_job){ .work = list_work, .done = list_done, .ctx = listing };
	pl_store_run(pl_core_store(part->core), &listing->job);
}

/* --- one object --- */

struct showing {
	struct pl_job job;
	struct pl_indicator_part *part;
	struct pl_request *request;
	char id[PL_STIX_ID_BYTES_MAX + 1];
	uint16_t author;
	bool meta;
	uint8_t *object;
	size_t object_bytes;
	json_t *item;
};

#define NEWEST_OF_ID " i.stix_id = ?1 ORDER BY i.modified_us DESC, i.n DESC"

/* The members that have shared a version of their own under an id of another's. */
static enum pl_err others_of(struct showing *showing, sqlite3 *db, json_t *others)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT DISTINCT p.node, o.node FROM indicator AS i JOIN indicator_provider AS p ON p.n = i.n"
	                                            " JOIN indicator_owner AS o ON o.stix_id = i.stix_id WHERE i.stix_id = ?1 ORDER BY p.node");
	const struct pl_charter *charter = pl_core_charter(showing->part->core);
	enum pl_err err = PL_OK;
	if (select == NULL)
		return pl_store_sql_err(db);
	sqlite3_bind_text(select, 1, showing->id, -1, SQLITE_STATIC);
	while (pl_db_step(select, &err) == 1) {
		uint64_t node = pl_db_u64(select, 0), owner = pl_db_u64(select, 1);
		if (node < charter->nodes_count && owner < charter->nodes_count && charter->nodes[node].member != charter->nodes[owner].member)
			json_array_append_new(others, pl_api_node(charter, (uint16_t)node));
	}
	return err;
}

/* The newest by the member that brought the id, or by the author that was asked for. */
static int step_to_shown(struct showing *showing, sqlite3 *db, sqlite3_stmt *row, enum pl_err *err)
{
	bool yes = showing->author != PL_NODE_NONE;
	uint16_t owner;
	int found;
	while ((found = pl_db_step(row, err)) == 1 && !yes) {
		enum pl_err looked = pl_indicator_is_by_owner(showing->part, db, row, &owner, &yes);
		if (looked != PL_OK) {
			pl_db_reset(row);
			*err = looked;
			return -1;
		}
		if (yes)
			break;
	}
	return found;
}

static enum pl_err show_work(struct pl_job *job, sqlite3 *db)
{
	struct showing *showing = job->ctx;
	bool any = showing->author == PL_NODE_NONE;
	sqlite3_stmt *row =
		pl_store_prepare(db, any ? "SELECT " PL_INDICATOR_COLUMNS " FROM indicator AS i WHERE" NEWEST_OF_ID
		                         : "SELECT " PL_INDICATOR_COLUMNS " FROM indicator AS i WHERE EXISTS (SELECT 1 FROM indicator_provider AS p"
		                           " WHERE p.n = i.n AND p.node = ?2) AND" NEWEST_OF_ID);
	enum pl_err err = PL_ERR_UNKNOWN;
	if (row == NULL)
		return pl_store_sql_err(db);
	sqlite3_bind_text(row, 1, showing->id, -1, SQLITE_STATIC);
	if (!any)
		sqlite3_bind_int(row, 2, showing->author);
	if (step_to_shown(showing, db, row, &err) != 1)
		return err;
	if (showing->meta) {
		json_t *others = json_array();
		err = pl_indicator_describe(showing->part, db, row, &showing->item);
		if (err == PL_OK)
			err = others_of(showing, db, others);
		if (err == PL_OK && json_object_set(showing->item, "others", others) != 0)
			err = PL_ERR_MEMORY;
		json_decref(others);
	} else {
		err = pl_indicator_open(showing->part, row, PL_COLUMN_OBJECT, &showing->object, &showing->object_bytes);
	}
	if (err != PL_OK) {
		json_decref(showing->item);
		showing->item = NULL;
	}
	pl_db_reset(row);
	return err;
}

static void show_done(struct pl_job *job)
{
	struct showing *showing = job->ctx;
	if (job->err == PL_ERR_UNKNOWN)
		pl_reply_error(showing->request, 404, "unknown_object", NULL, "no object with the id %s is held here%s", showing->id,
		               showing->author != PL_NODE_NONE ? " from that author" : "");
	else if (job->err != PL_OK)
		pl_api_reply_failed(showing->request, job->err, "the object cannot be read");
	else if (showing->meta)
		pl_reply_json(showing->request, 200, showing->item);
	else
		pl_reply_bytes(showing->request, 200, PL_STIX_MEDIA_TYPE, NULL, showing->object, showing->object_bytes);
	free(showing);
}

void pl_indicator_show(struct pl_indicator_part *part, struct pl_request *request, const char *id, uint16_t author, bool meta)
{
	struct showing *showing = calloc(1, sizeof(*showing));
	if (showing == NULL) {
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the object cannot be read");
		return;
	}
	showing->part = part;
	showing->request = request;
	(void)snprintf(showing->id, sizeof(showing->id), "%s", id);
	showing->author = author;
	showing->meta = meta;
	showing->job = (struct pl_job){ .work = show_work, .done = show_done, .ctx = showing };
	pl_store_run(pl_core_store(part->core), &showing->job);
}
