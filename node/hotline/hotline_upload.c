#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"
#include "node/hotline/hotline_impl.h"

#define BATCH PL_UPLOAD_BATCH

void pl_upload_row(const uint8_t token[PL_TOKEN_BYTES], uint32_t item, uint8_t row[PL_TOKEN_BYTES + 4])
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
	pl_upload_row(upload->token, item, row);
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
	if (job->err == PL_OK && upload->done < upload->chunks && !pl_core_find_room(upload->hotline->core, BATCH * PL_PIECE_DISK_BYTES))
		job->err = PL_ERR_DISK_FULL;
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
	/* It takes its place twice: as it is handed in, and sealed. */
	if (!pl_core_find_room(hotline->core, 2 * (uint64_t)pl_chunks_of(count) * PL_PIECE_DISK_BYTES)) {
		pl_api_reply_failed(request, PL_ERR_DISK_FULL, "the attachment was not kept: what is left of the disk is for messages");
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
	                                             " (SELECT 1 FROM hotline_message WHERE id = message_id AND (unfinished > 0 OR EXISTS"
	                                             " (SELECT 1 FROM hotline_again WHERE message = n AND due = 0))))");
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
