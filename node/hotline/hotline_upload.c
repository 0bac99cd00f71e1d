#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"
#include "node/hotline/hotline_impl.h"

#define BATCH 8            /* chunks in one job of the store: 384 KiB, a few milliseconds */
#define RETRY_MS 1000

static void chunk_row(const uint8_t token[PL_TOKEN_BYTES], uint32_t item, uint8_t row[PL_TOKEN_BYTES + 4])
{
	memcpy(row, token, PL_TOKEN_BYTES);
	pl_put32(row + PL_TOKEN_BYTES, item);
}

/* --- POST /v1/attachments --- */

struct upload {
	struct pl_job job;
	struct pl_hotline *hotline;
	struct pl_request *request;
	const uint8_t *bytes; /* of the request's body */
	uint8_t token[PL_TOKEN_BYTES];
	uint64_t wall_ms;
	uint32_t chunks, done;
	crypto_hash_sha256_state hash;
	struct pl_upload_meta meta;
};

static enum pl_err put_chunk(const struct upload *upload, sqlite3 *db, uint32_t item, const uint8_t *plain, size_t plain_bytes)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "INSERT INTO hotline_upload_chunk (token, item, bytes) VALUES (?1, ?2, ?3)");
	if (!statement)
		return pl_store_sql_err(db);
	uint8_t row[PL_TOKEN_BYTES + 4];
	chunk_row(upload->token, item, row);
	uint8_t *sealed = pl_hotline_seal(upload->hotline, "hotline_upload_chunk", "bytes", row, sizeof(row), plain, plain_bytes);
	if (!sealed)
		return PL_ERR_MEMORY;
	pl_db_bind_blob(statement, 1, upload->token, PL_TOKEN_BYTES);
	sqlite3_bind_int64(statement, 2, item);
	pl_db_bind_blob(statement, 3, sealed, plain_bytes + PL_COLUMN_OVERHEAD);
	enum pl_err err = pl_db_run(statement);
	free(sealed);
	return err;
}

/* Writes the upload's row: at first without meaning, at last with the hash of what came. */
static enum pl_err put_upload(const struct upload *upload, sqlite3 *db, bool complete)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "INSERT INTO hotline_upload (token, created, complete, bytes, meta) VALUES"
	                                               " (?1, ?2, ?3, ?4, ?5)"
	                                               " ON CONFLICT (token) DO UPDATE SET complete = excluded.complete, meta = excluded.meta");
	if (!statement)
		return pl_store_sql_err(db);
	uint8_t *meta = pl_hotline_seal(upload->hotline, "hotline_upload", "meta", upload->token, PL_TOKEN_BYTES, &upload->meta,
	                                sizeof(upload->meta));
	if (!meta)
		return PL_ERR_MEMORY;
	pl_db_bind_blob(statement, 1, upload->token, PL_TOKEN_BYTES);
	pl_db_bind_u64(statement, 2, upload->wall_ms);
	sqlite3_bind_int(statement, 3, complete);
	pl_db_bind_u64(statement, 4, upload->meta.bytes);
	pl_db_bind_blob(statement, 5, meta, sizeof(upload->meta) + PL_COLUMN_OVERHEAD);
	enum pl_err err = pl_db_run(statement);
	free(meta);
	return err;
}

static enum pl_err upload_work(struct pl_job *job, sqlite3 *db)
{
	struct upload *upload = job->ctx;
	enum pl_err err = upload->done == 0 ? put_upload(upload, db, false) : PL_OK;
	crypto_hash_sha256_state hash = upload->hash;
	uint32_t item = upload->done, end = item + BATCH < upload->chunks ? item + BATCH : upload->chunks;
	for (; err == PL_OK && item < end; item++) {
		const uint8_t *plain = upload->bytes + (size_t)item * PL_CHUNK_BYTES;
		size_t rest = upload->meta.bytes - (size_t)item * PL_CHUNK_BYTES, plain_bytes = rest < PL_CHUNK_BYTES ? rest : PL_CHUNK_BYTES;
		crypto_hash_sha256_update(&hash, plain, plain_bytes);
		err = put_chunk(upload, db, item, plain, plain_bytes);
	}
	if (err == PL_OK && end == upload->chunks) {
		crypto_hash_sha256_state last = hash;
		crypto_hash_sha256_final(&last, upload->meta.sha256);
		err = put_upload(upload, db, true);
	}
	if (err == PL_OK) {
		upload->hash = hash;
		upload->done = end;
	}
	return err;
}

static void upload_done(struct pl_job *job)
{
	struct upload *upload = job->ctx;
	if (job->err == PL_OK && upload->done < upload->chunks) {
		pl_store_run(upload->hotline->store, &upload->job);
		return;
	}
	if (job->err == PL_OK)
		pl_reply_json(upload->request, 201, json_pack("{so ss sI so}", "token", pl_api_hex(upload->token, PL_TOKEN_BYTES), "name",
		                                              upload->meta.name, "bytes", (json_int_t)upload->meta.bytes, "sha256",
		                                              pl_api_hex(upload->meta.sha256, sizeof(upload->meta.sha256))));
	else
		pl_api_reply_failed(upload->request, job->err, "the attachment was not kept");
	pl_wipe_free(upload, sizeof(*upload));
}

/* Whether a message can carry an attachment of this name and type: the writer of messages knows the rules. */
static bool can_carry(const struct pl_hotline *hotline, const struct pl_upload_meta *meta)
{
	struct pl_message *message = calloc(1, sizeof(*message));
	uint8_t *plain = malloc(PL_PLAINTEXT_BYTES_MAX);
	size_t plain_bytes;
	bool can = false;
	if (message && plain) {
		message->precedence = PL_ROUTINE;
		message->sent_ms = pl_core_wall_ms(hotline->core);
		memcpy(message->sender, pl_api_member(hotline->charter, hotline->self), PL_MEMBER_CODE_BYTES);
		memcpy(message->recipients[0].code, message->sender, PL_MEMBER_CODE_BYTES);
		message->recipients_count = message->attachments_count = 1;
		message->operator_name = message->subject = message->text = (struct pl_text){ "x", 1 };
		message->attachments[0] = (struct pl_attachment){ .name = { meta->name, strlen(meta->name) }, .bytes = meta->bytes,
		                                                  .chunks = pl_chunks_of(meta->bytes),
		                                                  .media_type = { meta->media_type, strlen(meta->media_type) } };
		can = pl_message_write(message, plain, PL_PLAINTEXT_BYTES_MAX, &plain_bytes) == PL_OK;
	}
	free(message);
	free(plain);
	return can;
}

void pl_api_upload(struct pl_request *request, void *ctx)
{
	struct pl_hotline *hotline = ctx;
	size_t count;
	const uint8_t *bytes = pl_request_body(request, &count);
	const char *name = pl_request_query(request, "name"), *type = pl_request_query(request, "type");
	if (!name) {
		pl_reply_error(request, 400, "bad_name", "POST /v1/attachments?name=FILE&type=MEDIA/TYPE", "an attachment needs a name");
		return;
	}
	struct upload *upload = calloc(1, sizeof(*upload));
	if (!upload) {
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the attachment was not kept");
		return;
	}
	upload->hotline = hotline;
	upload->request = request;
	upload->bytes = bytes;
	upload->meta.bytes = count;
	int name_bytes = snprintf(upload->meta.name, sizeof(upload->meta.name), "%s", name);
	int type_bytes = snprintf(upload->meta.media_type, sizeof(upload->meta.media_type), "%s", type ? type : "application/octet-stream");
	if (name_bytes >= (int)sizeof(upload->meta.name) || type_bytes >= (int)sizeof(upload->meta.media_type) ||
	    !can_carry(hotline, &upload->meta)) {
		pl_reply_error(request, 422, "bad_attachment", "A name is one line without directories; a type is like application/pdf.",
		               "no message can carry an attachment of this name, type and size");
		free(upload);
		return;
	}
	upload->wall_ms = pl_core_wall_ms(hotline->core);
	upload->chunks = pl_chunks_of(count);
	randombytes_buf(upload->token, sizeof(upload->token));
	crypto_hash_sha256_init(&upload->hash);
	upload->job = (struct pl_job){ .work = upload_work, .done = upload_done, .ctx = upload, .writes = true };
	pl_store_run(hotline->store, &upload->job);
}

/* --- taking an upload for a message --- */

enum pl_err pl_upload_take(const struct pl_hotline *hotline, sqlite3 *db, const uint8_t token[PL_TOKEN_BYTES],
                           const uint8_t message_id[PL_MESSAGE_ID_BYTES], unsigned item, uint64_t wall_ms, struct pl_upload_meta *out)
{
	sqlite3_stmt *look = pl_store_prepare(db, "SELECT complete, message_id, meta FROM hotline_upload WHERE token = ?1");
	sqlite3_stmt *take = pl_store_prepare(db, "UPDATE hotline_upload SET message_id = ?2, item = ?3, created = ?4 WHERE token = ?1");
	if (!look || !take)
		return pl_store_sql_err(db);
	pl_db_bind_blob(look, 1, token, PL_TOKEN_BYTES);
	enum pl_err err = PL_ERR_UNKNOWN;
	if (pl_db_step(look, &err) != 1)
		return err;
	uint8_t *meta = NULL;
	size_t meta_bytes = 0;
	/* Taken for this very message: by a call that was cut off. */
	bool complete = sqlite3_column_int(look, 0) != 0, taken = sqlite3_column_type(look, 1) != SQLITE_NULL &&
	     (sqlite3_column_bytes(look, 1) != PL_MESSAGE_ID_BYTES || memcmp(sqlite3_column_blob(look, 1), message_id, PL_MESSAGE_ID_BYTES) != 0);
	err = !complete ? PL_ERR_UNKNOWN : taken ? PL_ERR_EXISTS : PL_OK;
	if (err == PL_OK)
		err = pl_hotline_open(hotline, "hotline_upload", "meta", token, PL_TOKEN_BYTES, look, 2, &meta, &meta_bytes);
	pl_db_reset(look);
	if (err == PL_OK && meta_bytes != sizeof(*out))
		err = PL_ERR_CORRUPT;
	if (err == PL_OK) {
		memcpy(out, meta, sizeof(*out));
		pl_db_bind_blob(take, 1, token, PL_TOKEN_BYTES);
		pl_db_bind_blob(take, 2, message_id, PL_MESSAGE_ID_BYTES);
		sqlite3_bind_int(take, 3, (int)item);
		pl_db_bind_u64(take, 4, wall_ms);
		err = pl_db_run(take);
	}
	pl_wipe_free(meta, meta_bytes);
	return err;
}

enum pl_err pl_upload_release(sqlite3 *db, const uint8_t message_id[PL_MESSAGE_ID_BYTES])
{
	sqlite3_stmt *statement = pl_store_prepare(db, "UPDATE hotline_upload SET message_id = NULL, item = NULL WHERE message_id = ?1");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_blob(statement, 1, message_id, PL_MESSAGE_ID_BYTES);
	return pl_db_run(statement);
}

/* --- sending the chunks --- */

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

static void pump_end(struct pump *pump, bool retry)
{
	struct pl_hotline *hotline = pump->hotline;
	hotline->pumping = false;
	forget_batch(pump);
	pl_wipe_free(pump, sizeof(*pump));
	if (retry && !hotline->stopped)
		uv_timer_start(&hotline->pump_timer, pl_upload_on_timer, RETRY_MS, 0);
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
		chunk_row(pump->token, item, row);
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
	                                          " (SELECT 1 FROM hotline_message WHERE n = ?2 AND unfinished > 0)");
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
	struct pl_envelope_ctx ctx = { .kind = PL_KIND_MESSAGE };
	memcpy(ctx.network_id, hotline->charter->network_id, sizeof(ctx.network_id));
	memcpy(ctx.author, hotline->charter->nodes[hotline->self].certificate.node_id, sizeof(ctx.author));
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
	if (job->err != PL_OK || pump->hotline->stopped || !pump->found) {
		if (job->err != PL_OK)
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

void pl_upload_on_timer(uv_timer_t *timer)
{
	pl_upload_pump(timer->data);
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

/* --- what nobody used --- */

struct clean {
	struct pl_job job;
	struct pl_hotline *hotline;
	uint64_t before_ms;
	int dropped; /* chunks, in this round */
};

/* Uploads that no message took in an hour, or whose message was never sent; then chunks without an upload, a few at a time. */
static enum pl_err clean_work(struct pl_job *job, sqlite3 *db)
{
	struct clean *clean = job->ctx;
	sqlite3_stmt *uploads = pl_store_prepare(db, "DELETE FROM hotline_upload WHERE created < ?1 AND token NOT IN"
	                                             " (SELECT upload FROM hotline_attachment WHERE upload IS NOT NULL) AND"
	                                             " (message_id IS NULL OR NOT EXISTS"
	                                             " (SELECT 1 FROM hotline_message WHERE id = message_id AND unfinished > 0))");
	sqlite3_stmt *chunks = pl_store_prepare(db, "DELETE FROM hotline_upload_chunk WHERE rowid IN (SELECT rowid FROM hotline_upload_chunk"
	                                            " WHERE token NOT IN (SELECT token FROM hotline_upload) LIMIT ?1)");
	if (!uploads || !chunks)
		return pl_store_job_err(job, db);
	pl_db_bind_u64(uploads, 1, clean->before_ms);
	enum pl_err err = pl_db_run(uploads);
	if (err != PL_OK)
		return err;
	sqlite3_bind_int(chunks, 1, BATCH);
	err = pl_db_run(chunks);
	clean->dropped = sqlite3_changes(db);
	return err;
}

static void clean_done(struct pl_job *job)
{
	struct clean *clean = job->ctx;
	if (job->err == PL_OK && clean->dropped == BATCH && !clean->hotline->stopped) {
		pl_store_run(clean->hotline->store, job);
		return;
	}
	clean->hotline->cleaning = false;
	free(clean);
}

void pl_upload_clean(struct pl_hotline *hotline)
{
	struct clean *clean = hotline->cleaning || hotline->stopped ? NULL : calloc(1, sizeof(*clean));
	if (!clean)
		return;
	uint64_t wall_ms = pl_core_wall_ms(hotline->core);
	hotline->cleaning = true;
	clean->hotline = hotline;
	clean->before_ms = wall_ms > PL_UPLOAD_KEPT_MS ? wall_ms - PL_UPLOAD_KEPT_MS : 0;
	clean->job = (struct pl_job){ .work = clean_work, .done = clean_done, .ctx = clean, .writes = true };
	pl_store_run(hotline->store, &clean->job);
}
