/* Attachments on their way out, from where they are staged into sealed chunks in entries of lane 2. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

#define BATCH PL_UPLOAD_BATCH
#define RETRY_MS 1000

/* The attachment whose chunks are being sent, a batch at a time. */
struct pump {
	struct pl_job job;
	struct pl_hotline *hotline;
	bool found;
	uint64_t message;
	unsigned envelope, item;
	uint8_t id[16], token[PL_TOKEN_BYTES], cek[PL_CEK_BYTES];
	uint32_t chunks, first, count; /* the batch */
	uint8_t *plain[BATCH];
	size_t plain_bytes[BATCH];
	unsigned outstanding;
	enum pl_err err;
};

static void forget_batch(struct pump *pump)
{
	for (uint32_t i = 0; i < BATCH; i++) {
		pl_wipe_free(pump->plain[i], pump->plain_bytes[i]);
		pump->plain[i] = NULL;
	}
}

static void on_timer(uv_timer_t *timer)
{
	pl_upload_pump(timer->data);
}

static void pump_end(struct pump *pump, bool retry)
{
	struct pl_hotline *hotline = pump->hotline;
	hotline->pumping = false;
	forget_batch(pump);
	pl_wipe_free(pump, sizeof(*pump));
	if (retry && !hotline->stopped)
		uv_timer_start(&hotline->pump_timer, on_timer, RETRY_MS, 0);
}

static enum pl_err take_cek(struct pump *pump, sqlite3 *db)
{
	uint8_t *cek = NULL;
	size_t cek_bytes = 0;
	enum pl_err err = pl_message_cek(pump->hotline, db, pump->message, pump->envelope, &cek, &cek_bytes);
	if (err == PL_OK)
		memcpy(pump->cek, cek, sizeof(pump->cek));
	pl_wipe_free(cek, cek_bytes);
	return err;
}

/* The attachment to go on with, and its first chunk that no entry carries yet. */
static enum pl_err find_work(struct pump *pump, sqlite3 *db)
{
	sqlite3_stmt *find = pl_store_prepare(db, "SELECT message, envelope, item, id, chunks, upload FROM hotline_attachment"
	                                          " WHERE upload IS NOT NULL ORDER BY message, envelope, item LIMIT 1");
	sqlite3_stmt *last = pl_store_prepare(db, "SELECT max(item) + 1 FROM hotline_chunk WHERE node = ?1 AND attachment = ?2");
	if (!find || !last)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	if (pl_db_step(find, &err) != 1)
		return err;
	uint8_t id[16];
	err = pl_db_take(find, 3, id, sizeof(id));
	if (err == PL_OK)
		err = pl_db_take(find, 5, pump->token, sizeof(pump->token));
	pump->message = pl_db_u64(find, 0);
	pump->envelope = (unsigned)sqlite3_column_int(find, 1);
	pump->item = (unsigned)sqlite3_column_int(find, 2);
	pump->chunks = (uint32_t)sqlite3_column_int64(find, 4);
	pl_db_reset(find);
	if (err != PL_OK)
		return err;
	if (!pump->found || memcmp(id, pump->id, sizeof(id)) != 0) {
		memcpy(pump->id, id, sizeof(id));
		sqlite3_bind_int(last, 1, pump->hotline->self);
		pl_db_bind_blob(last, 2, pump->id, sizeof(pump->id));
		pump->first = pl_db_step(last, &err) == 1 ? (uint32_t)sqlite3_column_int64(last, 0) : 0;
		pl_db_reset(last);
	}
	pump->found = true;
	return err;
}

static enum pl_err read_batch(struct pump *pump, sqlite3 *db)
{
	sqlite3_stmt *read = pl_store_prepare(db, "SELECT bytes FROM hotline_upload_chunk WHERE token = ?1 AND item = ?2");
	if (!read)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	for (pump->count = 0; err == PL_OK && pump->count < BATCH && pump->first + pump->count < pump->chunks; pump->count++) {
		uint32_t item = pump->first + pump->count;
		uint8_t row[PL_TOKEN_BYTES + 4];
		pl_upload_row(pump->token, item, row);
		pl_db_bind_blob(read, 1, pump->token, PL_TOKEN_BYTES);
		sqlite3_bind_int64(read, 2, item);
		err = PL_ERR_CORRUPT;
		if (pl_db_step(read, &err) == 1)
			err = pl_hotline_open(pump->hotline, "hotline_upload_chunk", "bytes", row, sizeof(row), read, 0, &pump->plain[pump->count],
			                      &pump->plain_bytes[pump->count]);
		pl_db_reset(read);
	}
	return err;
}

/* All chunks of this attachment are in entries: the upload has served, unless another envelope wants it. */
static enum pl_err finish(const struct pump *pump, sqlite3 *db)
{
	sqlite3_stmt *done = pl_store_prepare(db, "UPDATE hotline_attachment SET upload = NULL WHERE message = ?1 AND envelope = ?2"
	                                          " AND item = ?3");
	sqlite3_stmt *drop = pl_store_prepare(db, "DELETE FROM hotline_upload WHERE token = ?1 AND NOT EXISTS"
	                                          " (SELECT 1 FROM hotline_attachment WHERE upload = ?1) AND NOT EXISTS"
	                                          " (SELECT 1 FROM hotline_message WHERE n = ?2 AND unfinished > 0) AND NOT EXISTS"
	                                          " (SELECT 1 FROM hotline_again WHERE message = ?2 AND due = 0)");
	if (!done || !drop)
		return pl_store_sql_err(db);
	pl_db_bind_u64(done, 1, pump->message);
	sqlite3_bind_int(done, 2, (int)pump->envelope);
	sqlite3_bind_int(done, 3, (int)pump->item);
	enum pl_err err = pl_db_run(done);
	if (err != PL_OK)
		return err;
	pl_db_bind_blob(drop, 1, pump->token, sizeof(pump->token));
	pl_db_bind_u64(drop, 2, pump->message);
	return pl_db_run(drop);
}

static enum pl_err pump_work(struct pl_job *job, sqlite3 *db)
{
	struct pump *pump = job->ctx;
	enum pl_err err = find_work(pump, db);
	if (err == PL_OK && pump->found && pump->first >= pump->chunks) {
		err = finish(pump, db);
		pump->count = 0;
		return err;
	}
	if (err == PL_OK && pump->found)
		err = take_cek(pump, db);
	if (err == PL_OK && pump->found)
		err = read_batch(pump, db);
	return err;
}

static void pump_next(struct pump *pump);

static void chunk_submitted(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	struct pump *pump = ctx;
	(void)entry; /* it comes back by pl_chunks_entry() */
	if (err != PL_OK)
		pump->err = err;
	if (--pump->outstanding > 0)
		return;
	if (pump->err != PL_OK || pump->hotline->stopped) {
		pump_end(pump, true);
		return;
	}
	pump->first += pump->count;
	pump_next(pump);
}

static enum pl_err submit_chunk(struct pump *pump, uint32_t i)
{
	struct pl_hotline *hotline = pump->hotline;
	const struct pl_envelope_ctx ctx = pl_charter_envelope_ctx(hotline->charter, hotline->self, PL_KIND_MESSAGE);
	struct pl_chunk chunk = { .index = pump->first + i, .chunks = pump->chunks };
	memcpy(chunk.attachment_id, pump->id, sizeof(chunk.attachment_id));
	size_t body_bytes = PL_ATTACHMENT_BODY_PREFIX_BYTES + pump->plain_bytes[i] + 16;
	uint8_t *body = malloc(body_bytes);
	enum pl_err err = PL_ERR_MEMORY;
	if (body) {
		pl_chunk_write_prefix(&chunk, body);
		err = pl_attachment_seal(&ctx, pump->cek, pump->id, pump->item, chunk.index, pump->plain[i], pump->plain_bytes[i],
		                         body + PL_ATTACHMENT_BODY_PREFIX_BYTES);
	}
	if (err == PL_OK)
		err = pl_core_submit(hotline->core, 2, PL_KIND_ATTACHMENT, 0, body, (uint32_t)body_bytes, chunk_submitted, pump);
	free(body);
	return err;
}

static void pump_done(struct pl_job *job)
{
	struct pump *pump = job->ctx;
	if (job->err == PL_OK && pump->found && pump->count > 0 && !pl_core_find_room(pump->hotline->core, BATCH * PL_PIECE_DISK_BYTES))
		job->err = PL_ERR_DISK_FULL;
	if (job->err != PL_OK || pump->hotline->stopped || !pump->found) {
		if (job->err != PL_OK && pl_log_again(&pump->hotline->pump_told_ms, pl_core_now_ms(pump->hotline->core)))
			PL_LOG(PL_LOG_WARNING, "hotline", "an attachment cannot be sent now", PL_F_ERR(job->err));
		pump_end(pump, job->err != PL_OK);
		return;
	}
	if (pump->count == 0) { /* one is finished */
		pump->found = false;
		pump_next(pump);
		return;
	}
	pump->err = PL_OK;
	pump->outstanding = 1; /* this function's own */
	for (uint32_t i = 0; i < pump->count && pump->err == PL_OK; i++) {
		pump->err = submit_chunk(pump, i);
		if (pump->err == PL_OK)
			pump->outstanding++;
	}
	forget_batch(pump);
	chunk_submitted(pump, PL_OK, NULL);
}

static void pump_next(struct pump *pump)
{
	pump->job = (struct pl_job){ .work = pump_work, .done = pump_done, .ctx = pump, .writes = true };
	pl_store_run(pump->hotline->store, &pump->job);
}

void pl_upload_pump(struct pl_hotline *hotline)
{
	struct pump *pump = hotline->pumping || hotline->stopped ? NULL : calloc(1, sizeof(*pump));
	if (!pump)
		return;
	hotline->pumping = true;
	pump->hotline = hotline;
	pump_next(pump);
}
