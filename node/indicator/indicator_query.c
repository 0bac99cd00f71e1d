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
	bool counting, more, end; /* more: than fit on the page, of those that match */
	uint64_t counted_to;
	json_t *items;
	int64_t total; /* -1: would have to be counted row by row */
};

/* Rows of an index that a job counts: about a millisecond of the worker. */
#define COUNTED_PER_JOB 5000

/* Counts on from where the last job stopped. */
static enum pl_err count_some(struct listing *listing, sqlite3 *db)
{
	const struct pl_indicator_filter *filter = &listing->filter;
	enum pl_err err = PL_ERR_CORRUPT;
	sqlite3_stmt *select =
		pl_store_prepare(db, filter->type[0] != '\0' ? "SELECT count(*), max(n) FROM (SELECT n FROM indicator INDEXED BY indicator_type"
		                                               " WHERE type = ?1 AND n > ?2 ORDER BY n LIMIT ?3)"
		                                             : "SELECT count(*), max(n) FROM (SELECT n FROM indicator_provider"
		                                               " INDEXED BY indicator_provider_node WHERE node = ?1 AND n > ?2 ORDER BY n LIMIT ?3)");
	if (select == NULL)
		return pl_store_sql_err(db);
	if (filter->type[0] != '\0')
		sqlite3_bind_text(select, 1, filter->type, -1, SQLITE_STATIC);
	else
		sqlite3_bind_int(select, 1, filter->author);
	pl_db_bind_u64(select, 2, listing->counted_to);
	sqlite3_bind_int(select, 3, COUNTED_PER_JOB);
	if (pl_db_step(select, &err) != 1)
		return err;
	const int64_t count = sqlite3_column_int64(select, 0);
	listing->total += count;
	listing->counted_to = pl_db_u64(select, 1);
	listing->counting = count == COUNTED_PER_JOB;
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
	size_t bytes = 0;
	if (listing->counting)
		return count_some(listing, db);
	sqlite3_stmt *row = pl_indicator_select(db, &listing->filter, listing->from, PL_INDICATOR_ROWS_PER_JOB);
	if (row == NULL)
		return pl_store_sql_err(db);
	while (bytes < PL_INDICATOR_BYTES_PER_JOB && pl_db_step(row, &err) == 1) {
		rows++;
		bytes += (size_t)sqlite3_column_bytes(row, PL_COLUMN_OBJECT);
		err = list_row(listing, db, row);
		if (err != PL_OK || listing->more)
			break;
		listing->from = pl_db_u64(row, PL_COLUMN_N);
	}
	listing->end = err == PL_OK && rows < PL_INDICATOR_ROWS_PER_JOB && bytes < PL_INDICATOR_BYTES_PER_JOB && !listing->more;
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
	bool all = filter->type[0] == '\0' && filter->author == PL_NODE_NONE && filter->tlp == 0 && filter->query[0] == '\0';
	/* What an index counts is counted; all of them are counted anyway. */
	listing->counting = after == 0 && filter->tlp == 0 && filter->query[0] == '\0' &&
	                    (filter->type[0] != '\0') != (filter->author != PL_NODE_NONE);
	listing->total = all && after == 0 ? (int64_t)part->counts.objects : listing->counting ? 0 : -1;
	listing->job = (struct pl_job){ .work = list_work, .done = list_done, .ctx = listing };
	pl_store_run(pl_core_store(part->core), &listing->job);
}

/* --- one object --- */

/* Anybody can share any number of versions under any id: they are looked at as a list's rows are, so many to a job. */
struct showing {
	struct pl_job job;
	struct pl_indicator_part *part;
	struct pl_request *request;
	char id[PL_STIX_ID_BYTES_MAX + 1];
	uint16_t author;
	bool meta;
	int64_t from_modified_us;
	uint64_t from;
	bool found, end; /* found: object or item is filled in */
	bool others[PL_NODES_MAX]; /* nodes of members that have shared a version of their own under an id of another's */
	uint8_t *object;
	size_t object_bytes;
	json_t *item;
};

/* All of this is in the index, which finds where the last job stopped; of what is shown alone the rest is read. */
#define VERSIONS "SELECT n, modified_us FROM indicator INDEXED BY indicator_stix_id WHERE stix_id = ?1 AND "
#define OF_THE_SAME_TIME VERSIONS "modified_us = ?2 AND n < ?3 ORDER BY n DESC LIMIT ?4"
#define OF_BEFORE VERSIONS "modified_us < ?2 ORDER BY modified_us DESC, n DESC LIMIT ?4"

/* The newest by the member that brought the id is shown, or the newest by the author that was asked for. */
static enum pl_err look_at_providers(struct showing *showing, sqlite3 *db, uint64_t n, bool *is_shown)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT p.node, o.node FROM indicator_provider AS p JOIN indicator_owner AS o ON o.stix_id = ?2"
	                                            " WHERE p.n = ?1");
	const struct pl_charter *charter = pl_core_charter(showing->part->core);
	enum pl_err err = PL_OK;
	if (select == NULL)
		return pl_store_sql_err(db);
	*is_shown = false;
	pl_db_bind_u64(select, 1, n);
	sqlite3_bind_text(select, 2, showing->id, -1, SQLITE_STATIC);
	while (pl_db_step(select, &err) == 1) {
		uint64_t node = pl_db_u64(select, 0), owner = pl_db_u64(select, 1);
		if (node >= charter->nodes_count || owner >= charter->nodes_count)
			continue;
		bool by_owner = charter->nodes[node].member == charter->nodes[owner].member;
		showing->others[node] |= !by_owner;
		*is_shown |= showing->author == PL_NODE_NONE ? by_owner : node == showing->author;
	}
	return err;
}

static enum pl_err read_shown(struct showing *showing, sqlite3 *db, uint64_t n)
{
	sqlite3_stmt *row = pl_store_prepare(db, "SELECT " PL_INDICATOR_COLUMNS " FROM indicator AS i WHERE i.n = ?1");
	enum pl_err err = PL_ERR_CORRUPT;
	if (row == NULL)
		return pl_store_sql_err(db);
	pl_db_bind_u64(row, 1, n);
	if (pl_db_step(row, &err) != 1)
		return err;
	err = showing->meta ? pl_indicator_describe(showing->part, db, row, &showing->item)
	                    : pl_indicator_open(showing->part, row, PL_COLUMN_OBJECT, &showing->object, &showing->object_bytes);
	pl_db_reset(row);
	showing->found = err == PL_OK;
	return err;
}

static enum pl_err look_at_versions(struct showing *showing, sqlite3 *db, const char *versions, unsigned *rows_left)
{
	enum pl_err err = PL_OK;
	bool is_shown = false;
	sqlite3_stmt *row = pl_store_prepare(db, versions);
	if (row == NULL)
		return pl_store_sql_err(db);
	sqlite3_bind_text(row, 1, showing->id, -1, SQLITE_STATIC);
	sqlite3_bind_int64(row, 2, showing->from_modified_us);
	pl_db_bind_u64(row, 3, showing->from);
	sqlite3_bind_int(row, 4, (int)*rows_left);
	while (err == PL_OK && (!showing->found || showing->meta) && pl_db_step(row, &err) == 1) {
		--*rows_left;
		showing->from = pl_db_u64(row, 0);
		showing->from_modified_us = sqlite3_column_int64(row, 1);
		err = look_at_providers(showing, db, showing->from, &is_shown);
		if (err == PL_OK && is_shown && !showing->found)
			err = read_shown(showing, db, showing->from);
	}
	pl_db_reset(row);
	return err;
}

static enum pl_err show_work(struct pl_job *job, sqlite3 *db)
{
	struct showing *showing = job->ctx;
	unsigned rows_left = PL_INDICATOR_ROWS_PER_JOB;
	enum pl_err err = look_at_versions(showing, db, OF_THE_SAME_TIME, &rows_left);
	if (err == PL_OK && rows_left > 0)
		err = look_at_versions(showing, db, OF_BEFORE, &rows_left);
	showing->end = rows_left > 0;
	return err;
}

static enum pl_err tell_others(const struct showing *showing)
{
	const struct pl_charter *charter = pl_core_charter(showing->part->core);
	json_t *others = json_array();
	for (uint16_t node = 0; node < charter->nodes_count; node++)
		if (showing->others[node])
			json_array_append_new(others, pl_api_node(charter, node));
	return json_object_set_new(showing->item, "others", others) == 0 ? PL_OK : PL_ERR_MEMORY;
}

static void show_done(struct pl_job *job)
{
	struct showing *showing = job->ctx;
	showing->end |= showing->found && !showing->meta;
	if (job->err == PL_OK && !showing->end && !showing->part->stopped) {
		pl_store_run(pl_core_store(showing->part->core), job);
		return;
	}
	enum pl_err err = job->err != PL_OK || showing->end ? job->err : PL_ERR_STATE;
	if (err == PL_OK && !showing->found)
		err = PL_ERR_UNKNOWN;
	if (err == PL_OK && showing->meta)
		err = tell_others(showing);
	if (err == PL_ERR_UNKNOWN)
		pl_reply_error(showing->request, 404, "unknown_object", NULL, "no object with the id %s is held here%s", showing->id,
		               showing->author != PL_NODE_NONE ? " from that author" : "");
	else if (err != PL_OK)
		pl_api_reply_failed(showing->request, err, "the object cannot be read");
	else if (showing->meta)
		pl_reply_json(showing->request, 200, json_incref(showing->item));
	else
		pl_reply_bytes(showing->request, 200, PL_STIX_MEDIA_TYPE, NULL, showing->object, showing->object_bytes);
	json_decref(showing->item);
	if (err != PL_OK)
		free(showing->object);
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
	showing->from_modified_us = showing->from = INT64_MAX;
	showing->job = (struct pl_job){ .work = show_work, .done = show_done, .ctx = showing };
	pl_store_run(pl_core_store(part->core), &showing->job);
}
