#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"
#include "node/buffer.h"
#include "node/indicator/indicator_rows.h"
#include "node/log.h"
#include "node/store/db.h"

#define GATHERED_BYTES_MAX (2 * PL_INDICATOR_BYTES_PER_JOB + PL_OBJECT_BYTES_MAX) /* of one job, which stops after the object that passes its own */

struct export {
	struct pl_job job;
	struct pl_indicator_part *part;
	struct pl_request *request; /* NULL once its client has gone */
	struct pl_indicator_filter filter;
	struct pl_indicator_key after;
	crypto_hash_sha256_state hash; /* of the objects, one after the other, for the bundle's id */
	bool running, any, end;
	struct pl_buffer gathered;
};

/* The id says what the bundle holds: so the same objects are the same bundle, byte for byte, whoever exports them. */
static void gather_end(struct export *export)
{
	uint8_t digest[crypto_hash_sha256_BYTES];
	char end[1 + PL_STIX_BUNDLE_END_BYTES] = "\n";
	(void)crypto_hash_sha256_final(&export->hash, digest);
	pl_buffer_add(&export->gathered, end, 1 + pl_stix_bundle_end(digest, end + 1));
}

static enum pl_err export_row(struct export *export, sqlite3 *db, sqlite3_stmt *row)
{
	bool yes;
	uint16_t owner;
	uint8_t *object = NULL;
	size_t object_bytes = 0;
	enum pl_err err = pl_indicator_matches(export->part, &export->filter, row, &yes);
	if (err == PL_OK && yes && export->filter.author == PL_NODE_NONE)
		err = pl_indicator_is_by_owner(export->part, db, row, &owner, &yes);
	else if (err == PL_OK && yes)
		err = pl_indicator_is_shared_by(db, row, export->filter.author, &yes);
	if (err == PL_OK && yes)
		err = pl_indicator_open(export->part, row, PL_COLUMN_OBJECT, &object, &object_bytes);
	if (err == PL_ERR_CORRUPT) {
		pl_indicator_log_damaged(row);
		return PL_OK;
	}
	if (err != PL_OK || !yes)
		return err;
	pl_buffer_add_text(&export->gathered, export->any ? ",\n" : "\n");
	pl_buffer_add(&export->gathered, object, object_bytes);
	export->any = true;
	(void)crypto_hash_sha256_update(&export->hash, object, object_bytes);
	free(object);
	return export->gathered.err;
}

static enum pl_err export_work(struct pl_job *job, sqlite3 *db)
{
	struct export *export = job->ctx;
	struct pl_indicator_key last = export->after; /* of its own: the statement reads the other one */
	sqlite3_stmt *row = pl_indicator_select_by_key(db, &export->filter, &export->after, PL_INDICATOR_ROWS_PER_JOB);
	enum pl_err err = PL_OK;
	unsigned rows = 0;
	size_t bytes = 0;
	if (row == NULL)
		return pl_store_sql_err(db);
	while (bytes < PL_INDICATOR_BYTES_PER_JOB && pl_db_step(row, &err) == 1) {
		rows++;
		bytes += (size_t)sqlite3_column_bytes(row, PL_COLUMN_OBJECT);
		err = export_row(export, db, row);
		if (err == PL_OK)
			err = pl_indicator_key_take(row, &last);
		if (err != PL_OK)
			break;
	}
	export->end = err == PL_OK && rows < PL_INDICATOR_ROWS_PER_JOB && bytes < PL_INDICATOR_BYTES_PER_JOB;
	pl_db_reset(row);
	export->after = last;
	return err;
}

static void free_export(struct export *export)
{
	pl_buffer_dispose(&export->gathered);
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
	if (export->gathered.count == 0 && !export->end) {
		export_run(export);
		return;
	}
	struct pl_request *request = export->request;
	bool end = export->end;
	size_t count = 0;
	if (end)
		gather_end(export);
	char *gathered = pl_buffer_take(&export->gathered, &count); /* without memory for it the text ends in the middle */
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
	static const char begin[] = PL_STIX_BUNDLE_BEGIN;
	if (export == NULL) {
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the indicators cannot be exported");
		return;
	}
	export->part = part;
	export->gathered = (struct pl_buffer)PL_BUFFER(GATHERED_BYTES_MAX);
	export->request = request;
	export->filter = *filter;
	export->job = (struct pl_job){ .work = export_work, .done = export_done, .ctx = export };
	(void)crypto_hash_sha256_init(&export->hash);
	const struct pl_stream stream = { .more = export_more, .gone = export_gone, .ctx = export };
	pl_reply_stream_begin(request, 200, PL_STIX_MEDIA_TYPE, &stream);
	pl_reply_stream_write(request, begin, sizeof(begin) - 1);
}
