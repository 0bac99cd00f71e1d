#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyfile.h"
#include "node/api/api.h"
#include "node/indicator/indicator_impl.h"
#include "node/log.h"
#include "node/store/db.h"

/* A job looks at so many rows, or gathers so many bytes, and makes room for others: about a millisecond of the store's worker. */
#define ROWS_PER_JOB 200
#define BYTES_PER_JOB 262144

/* --- rows --- */

/* Columns of every statement here. name and object stand last, since they may lie on pages of their own. */
#define COLUMNS "i.n, i.stix_id, i.type, i.modified, i.tlp, i.received_ms, i.bytes, i.sha256, i.name, i.object"
enum column {
	COLUMN_N,
	COLUMN_ID,
	COLUMN_TYPE,
	COLUMN_MODIFIED,
	COLUMN_TLP,
	COLUMN_RECEIVED,
	COLUMN_BYTES,
	COLUMN_SHA256,
	COLUMN_NAME,
	COLUMN_OBJECT
};

#define FROM_ALL "SELECT " COLUMNS " FROM indicator AS i WHERE i.n "
#define FROM_TYPE "SELECT " COLUMNS " FROM indicator AS i INDEXED BY indicator_type WHERE i.type = ?3 AND i.n "
#define FROM_AUTHOR "SELECT " COLUMNS " FROM indicator_provider AS p CROSS JOIN indicator AS i ON i.n = p.n WHERE p.node = ?4 AND p.n "
#define NEWEST_FIRST(n) "< ?1 ORDER BY " n " DESC LIMIT ?2"
#define OLDEST_FIRST(n) "> ?1 ORDER BY " n " LIMIT ?2"

/* The rows of the one part of a filter that has an index, from a place on; matches() judges the rest. */
static sqlite3_stmt *select_rows(sqlite3 *db, const struct pl_indicator_filter *filter, bool newest_first, uint64_t from, unsigned rows)
{
	static const char *const statements[3][2] = {
		{ FROM_ALL OLDEST_FIRST("i.n"), FROM_ALL NEWEST_FIRST("i.n") },
		{ FROM_TYPE OLDEST_FIRST("i.n"), FROM_TYPE NEWEST_FIRST("i.n") },
		{ FROM_AUTHOR OLDEST_FIRST("p.n"), FROM_AUTHOR NEWEST_FIRST("p.n") },
	};
	int by = filter->author != PL_NODE_NONE ? 2 : filter->type[0] != '\0' ? 1 : 0;
	sqlite3_stmt *select = pl_store_prepare(db, statements[by][newest_first]);
	if (select == NULL)
		return NULL;
	pl_db_bind_u64(select, 1, from);
	pl_db_bind_u64(select, 2, rows);
	if (by == 1)
		sqlite3_bind_text(select, 3, filter->type, -1, SQLITE_STATIC);
	if (by == 2)
		sqlite3_bind_int(select, 4, filter->author);
	return select;
}

static const char *text_of(sqlite3_stmt *row, enum column column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	return text != NULL ? text : "";
}

/* A sealed column, opened into a malloc'd string with a NUL behind it. */
static enum pl_err open_column(const struct pl_indicator_part *part, sqlite3_stmt *row, enum column column, uint8_t **out, size_t *count)
{
	const char *name = column == COLUMN_NAME ? PL_INDICATOR_NAME : PL_INDICATOR_OBJECT;
	uint8_t sha256[32];
	enum pl_err err = pl_db_take(row, COLUMN_SHA256, sha256, sizeof(sha256));
	if (err != PL_OK)
		return err;
	const uint8_t *sealed = sqlite3_column_blob(row, column);
	size_t sealed_bytes = (size_t)sqlite3_column_bytes(row, column);
	if (sealed == NULL || sealed_bytes < PL_COLUMN_OVERHEAD)
		return PL_ERR_CORRUPT;
	uint8_t *plain = malloc(sealed_bytes - PL_COLUMN_OVERHEAD + 1);
	if (plain == NULL)
		return PL_ERR_MEMORY;
	err = pl_column_open(pl_core_keys(part->core)->store_key, PL_INDICATOR_TABLE, name, sha256, sizeof(sha256), sealed, sealed_bytes,
	                     plain);
	if (err != PL_OK) {
		free(plain);
		return PL_ERR_CORRUPT;
	}
	*count = sealed_bytes - PL_COLUMN_OVERHEAD;
	plain[*count] = '\0';
	*out = plain;
	return PL_OK;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool contains(const char *text, size_t count, const char *query)
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

static enum pl_err matches(const struct pl_indicator_part *part, const struct pl_indicator_filter *filter, sqlite3_stmt *row, bool *yes)
{
	*yes = (filter->type[0] == '\0' || strcmp(text_of(row, COLUMN_TYPE), filter->type) == 0) &&
	       (filter->tlp == 0 || pl_db_u64(row, COLUMN_TLP) == filter->tlp);
	if (!*yes || filter->query[0] == '\0')
		return PL_OK;
	*yes = false;
	for (enum column column = COLUMN_NAME; column <= COLUMN_OBJECT && !*yes; column++) {
		uint8_t *text;
		size_t count;
		enum pl_err err = open_column(part, row, column, &text, &count);
		if (err != PL_OK)
			return err;
		*yes = contains((const char *)text, count, filter->query);
		free(text);
	}
	return PL_OK;
}

/* {"author", "ref", "tlp", "received"} of everyone who shared it, the one that was first here in front. */
static enum pl_err providers_of(const struct pl_indicator_part *part, sqlite3 *db, uint64_t n, json_t *out)
{
	sqlite3_stmt *select =
		pl_store_prepare(db, "SELECT node, seq, tlp, received_ms FROM indicator_provider WHERE n = ?1 ORDER BY received_ms, node");
	const struct pl_charter *charter = pl_core_charter(part->core);
	enum pl_err err = PL_OK;
	if (select == NULL)
		return pl_store_sql_err(db);
	pl_db_bind_u64(select, 1, n);
	while (pl_db_step(select, &err) == 1) {
		uint16_t node = (uint16_t)pl_db_u64(select, 0);
		json_t *provider = json_pack("{s:o, s:o, s:s, s:o}", "author", pl_api_node(charter, node), "ref",
		                             pl_api_ref(charter, node, PL_INDICATOR_LANE, pl_db_u64(select, 1)), "tlp",
		                             pl_tlp_name((unsigned)pl_db_u64(select, 2)), "received", pl_api_time(pl_db_u64(select, 3)));
		if (json_array_append_new(out, provider) != 0) {
			pl_db_reset(select);
			return PL_ERR_MEMORY;
		}
	}
	return err;
}

static enum pl_err describe(const struct pl_indicator_part *part, sqlite3 *db, sqlite3_stmt *row, json_t **out)
{
	uint8_t *name = NULL, sha256[32];
	size_t name_bytes;
	json_t *providers = json_array();
	enum pl_err err = providers_of(part, db, pl_db_u64(row, COLUMN_N), providers);
	if (err == PL_OK)
		err = pl_db_take(row, COLUMN_SHA256, sha256, sizeof(sha256));
	if (err == PL_OK)
		err = open_column(part, row, COLUMN_NAME, &name, &name_bytes);
	if (err != PL_OK) {
		json_decref(providers);
		return err;
	}
	const char *modified = text_of(row, COLUMN_MODIFIED);
	const json_t *first = json_array_get(providers, 0);
	*out = json_pack("{s:s, s:s, s:s?, s:s, s:O?, s:s, s:O?, s:o, s:I, s:o, s:o}", "id", text_of(row, COLUMN_ID), "type",
	                 text_of(row, COLUMN_TYPE), "modified", modified[0] != '\0' ? modified : NULL, "name", (const char *)name, "author",
	                 json_object_get(first, "author"), "tlp", pl_tlp_name((unsigned)pl_db_u64(row, COLUMN_TLP)), "ref",
	                 json_object_get(first, "ref"), "received", pl_api_time(pl_db_u64(row, COLUMN_RECEIVED)), "bytes",
	                 (json_int_t)pl_db_u64(row, COLUMN_BYTES), "sha256", pl_api_hex(sha256, sizeof(sha256)), "providers", providers);
	free(name);
	return *out != NULL ? PL_OK : PL_ERR_MEMORY;
}

static void log_damaged(sqlite3_stmt *row)
{
	PL_LOG(PL_LOG_ERROR, "indicator", "an object in the store is damaged and is left out", PL_F_STR("id", text_of(row, COLUMN_ID)));
}

/* --- lists --- */

struct listing {
	struct pl_job job;
	struct pl_indicator_part *part;
	struct pl_request *request;
	struct pl_indicator_filter filter;
	uint64_t from, limit;
	bool first_page, end;
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
	enum pl_err err = matches(listing->part, &listing->filter, row, &yes);
	if (err == PL_OK && yes)
		err = describe(listing->part, db, row, &item);
	if (err == PL_OK && yes && json_array_append_new(listing->items, item) != 0)
		err = PL_ERR_MEMORY;
	if (err != PL_ERR_CORRUPT)
		return err;
	log_damaged(row);
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
	sqlite3_stmt *row = select_rows(db, &listing->filter, true, listing->from, ROWS_PER_JOB);
	if (row == NULL)
		return pl_store_sql_err(db);
	while (json_array_size(listing->items) < listing->limit && pl_db_step(row, &err) == 1) {
		rows++;
		err = list_row(listing, db, row);
		if (err != PL_OK)
			break;
		listing->from = pl_db_u64(row, COLUMN_N);
	}
	listing->end = err == PL_OK && rows < ROWS_PER_JOB && json_array_size(listing->items) < listing->limit;
	pl_db_reset(row);
	return err;
}

static void list_done(struct pl_job *job)
{
	struct listing *listing = job->ctx;
	if (job->err == PL_OK && !listing->end && json_array_size(listing->items) < listing->limit && !listing->part->stopped) {
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

#define NEWEST_OF_ID " i.stix_id = ?1 ORDER BY i.modified_us DESC, i.n DESC LIMIT 1"

static enum pl_err show_work(struct pl_job *job, sqlite3 *db)
{
	struct showing *showing = job->ctx;
	bool any = showing->author == PL_NODE_NONE;
	sqlite3_stmt *row =
		pl_store_prepare(db, any ? "SELECT " COLUMNS " FROM indicator AS i WHERE" NEWEST_OF_ID
		                         : "SELECT " COLUMNS " FROM indicator AS i WHERE EXISTS (SELECT 1 FROM indicator_provider AS p"
		                           " WHERE p.n = i.n AND p.node = ?2) AND" NEWEST_OF_ID);
	enum pl_err err = PL_ERR_UNKNOWN;
	if (row == NULL)
		return pl_store_sql_err(db);
	sqlite3_bind_text(row, 1, showing->id, -1, SQLITE_STATIC);
	if (!any)
		sqlite3_bind_int(row, 2, showing->author);
	if (pl_db_step(row, &err) != 1)
		return err;
	if (showing->meta)
		err = describe(showing->part, db, row, &showing->item);
	else
		err = open_column(showing->part, row, COLUMN_OBJECT, &showing->object, &showing->object_bytes);
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

/* --- export --- */

struct export {
	struct pl_job job;
	struct pl_indicator_part *part;
	struct pl_request *request; /* NULL once its client has gone */
	struct pl_indicator_filter filter;
	uint64_t from;
	bool running, any, end;
	uint8_t *gathered;
	size_t gathered_count, gathered_max;
};

static enum pl_err gather(struct export *export, const void *bytes, size_t count)
{
	if (export->gathered_max - export->gathered_count < count) {
		size_t max = 2 * export->gathered_max + count + 4096;
		uint8_t *larger = realloc(export->gathered, max);
		if (larger == NULL)
			return PL_ERR_MEMORY;
		export->gathered = larger;
		export->gathered_max = max;
	}
	memcpy(export->gathered + export->gathered_count, bytes, count);
	export->gathered_count += count;
	return PL_OK;
}

static enum pl_err export_row(struct export *export, sqlite3_stmt *row)
{
	bool yes;
	uint8_t *object = NULL;
	size_t object_bytes = 0;
	enum pl_err err = matches(export->part, &export->filter, row, &yes);
	if (err == PL_OK && yes)
		err = open_column(export->part, row, COLUMN_OBJECT, &object, &object_bytes);
	if (err == PL_ERR_CORRUPT) {
		log_damaged(row);
		return PL_OK;
	}
	if (err != PL_OK || !yes)
		return err;
	err = gather(export, export->any ? ",\n" : "\n", export->any ? 2 : 1);
	if (err == PL_OK)
		err = gather(export, object, object_bytes);
	export->any = true;
	free(object);
	return err;
}

static enum pl_err export_work(struct pl_job *job, sqlite3 *db)
{
	struct export *export = job->ctx;
	sqlite3_stmt *row = select_rows(db, &export->filter, false, export->from, ROWS_PER_JOB);
	enum pl_err err = PL_OK;
	unsigned rows = 0;
	if (row == NULL)
		return pl_store_sql_err(db);
	while (export->gathered_count < BYTES_PER_JOB && pl_db_step(row, &err) == 1) {
		rows++;
		err = export_row(export, row);
		if (err != PL_OK)
			break;
		export->from = pl_db_u64(row, COLUMN_N);
	}
	export->end = err == PL_OK && rows < ROWS_PER_JOB && export->gathered_count < BYTES_PER_JOB;
	pl_db_reset(row);
	return err;
}

static void free_export(struct export *export)
{
	free(export->gathered);
	free(export);
}

static void export_run(struct export *export)
{
	export->running = true;
	pl_store_run(pl_core_store(export->part->core), &export->job);
}

static void export_done(struct pl_job *job)
{
	struct export *export = job->ctx;
	export->running = false;
	if (export->request == NULL) {
		free_export(export);
		return;
	}
	if (job->err != PL_OK || export->part->stopped) {
		/* the text ends in the middle, so that nobody takes it for all there is */
		PL_LOG(PL_LOG_WARNING, "indicator", "an export ends early", PL_F_ERR(job->err));
		pl_reply_stream_end(export->request);
		free_export(export);
		return;
	}
	if (export->gathered_count == 0 && !export->end) {
		export_run(export);
		return;
	}
	struct pl_request *request = export->request;
	bool end = export->end;
	if (end && gather(export, "\n" PL_STIX_BUNDLE_TAIL, sizeof("\n" PL_STIX_BUNDLE_TAIL) - 1) != PL_OK)
		export->gathered_count = 0;
	uint8_t *gathered = export->gathered;
	size_t count = export->gathered_count;
	export->gathered = NULL;
	export->gathered_count = export->gathered_max = 0;
	if (end)
		free(export);
	pl_reply_stream_write(request, gathered, count); /* may ask for more before it returns */
	free(gathered);
	if (end)
		pl_reply_stream_end(request);
}

static void export_more(struct pl_request *request, void *ctx)
{
	struct export *export = ctx;
	if (export->running)
		return;
	if (!export->part->stopped) {
		export_run(export);
		return;
	}
	free_export(export);
	pl_reply_stream_end(request);
}

static void export_gone(struct pl_request *request, void *ctx)
{
	struct export *export = ctx;
	(void)request;
	export->request = NULL;
	if (!export->running)
		free_export(export);
}

void pl_indicator_export(struct pl_indicator_part *part, struct pl_request *request, const struct pl_indicator_filter *filter)
{
	struct export *export = calloc(1, sizeof(*export));
	uint8_t random[16];
	char head[PL_STIX_BUNDLE_HEAD_BYTES];
	if (export == NULL) {
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the indicators cannot be exported");
		return;
	}
	export->part = part;
	export->request = request;
	export->filter = *filter;
	export->job = (struct pl_job){ .work = export_work, .done = export_done, .ctx = export };
	randombytes_buf(random, sizeof(random));
	size_t count = pl_stix_bundle_head(random, head);
	const struct pl_stream stream = { .more = export_more, .gone = export_gone, .ctx = export };
	pl_reply_stream_begin(request, 200, PL_STIX_MEDIA_TYPE, &stream);
	pl_reply_stream_write(request, head, count);
}
