#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

#define BATCH 8 /* chunks read in one job of the store: 384 KiB, a few milliseconds */

/* --- reading --- */

/* An attachment of which all chunks are here. */
struct pl_source {
	uint64_t message;
	unsigned envelope, item;
	uint16_t node;
	uint8_t id[16], cek[PL_CEK_BYTES];
	uint64_t bytes;
	uint32_t chunks, next;
};

/* PL_ERR_DECRYPT, PL_ERR_FORMAT: this chunk is not what the message announced. PL_ERR_IO: the disk has changed it, and the store is having it fetched
 * again. *plain of PL_CHUNK_BYTES. */
static enum pl_err read_chunk(const struct pl_hotline *hotline, sqlite3 *db, const struct pl_source *source, uint8_t *plain,
                              size_t *plain_bytes)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT seq FROM hotline_chunk WHERE node = ?1 AND attachment = ?2 AND item = ?3");
	if (!statement)
		return pl_store_sql_err(db);
	sqlite3_bind_int(statement, 1, source->node);
	pl_db_bind_blob(statement, 2, source->id, sizeof(source->id));
	sqlite3_bind_int64(statement, 3, source->next);
	enum pl_err err = PL_ERR_CORRUPT;
	if (pl_db_step(statement, &err) != 1)
		return err;
	const uint64_t seq = pl_db_u64(statement, 0);
	pl_db_reset(statement);
	struct pl_stored_entry entry;
	err = pl_store_read(db, source->node, 2, seq, &entry);
	struct pl_chunk chunk;
	if (err == PL_OK)
		err = entry.body ? pl_chunk_read(entry.body, entry.body_bytes, &chunk) : PL_ERR_UNKNOWN;
	uint64_t rest = source->bytes - (uint64_t)source->next * PL_CHUNK_BYTES;
	size_t expected = rest < PL_CHUNK_BYTES ? (size_t)rest : PL_CHUNK_BYTES;
	if (err == PL_OK && chunk.sealed_bytes != expected + 16)
		err = PL_ERR_FORMAT;
	if (err == PL_OK) {
		const struct pl_envelope_ctx ctx = pl_charter_envelope_ctx(hotline->charter, source->node, PL_KIND_MESSAGE);
		err = pl_attachment_open(&ctx, source->cek, source->id, source->item, source->next, chunk.sealed, chunk.sealed_bytes, plain);
	}
	if (err == PL_OK)
		*plain_bytes = expected;
	return err;
}

/* On an error it says at least which row it is. */
static enum pl_err take_source(const struct pl_hotline *hotline, sqlite3 *db, sqlite3_stmt *statement, struct pl_source *out)
{
	struct pl_source source = { .message = pl_db_u64(statement, 0), .envelope = (unsigned)sqlite3_column_int(statement, 1),
	                            .item = (unsigned)sqlite3_column_int(statement, 2), .node = (uint16_t)sqlite3_column_int(statement, 3),
	                            .bytes = pl_db_u64(statement, 5), .chunks = (uint32_t)sqlite3_column_int64(statement, 6) };
	enum pl_err err = pl_db_take(statement, 4, source.id, sizeof(source.id));
	pl_db_reset(statement);
	uint8_t *cek = NULL;
	size_t cek_bytes = 0;
	if (err == PL_OK)
		err = pl_message_cek(hotline, db, source.message, source.envelope, &cek, &cek_bytes);
	if (err == PL_OK)
		memcpy(source.cek, cek, sizeof(source.cek));
	*out = source;
	sodium_memzero(source.cek, sizeof(source.cek));
	pl_wipe_free(cek, cek_bytes);
	return err;
}
#define SOURCE_COLUMNS "message, envelope, item, node, id, bytes, chunks"

/* --- checking: all of it is read once, before anybody sees it --- */

#define READS_COUNT 32
#define PUT_OFF_MAX 64

/* What was read, and under which key: any number of messages may name the same chunks. */
struct pl_reads {
	unsigned next;
	struct read {
		struct pl_source source;
		bool readable;
		uint8_t sha256[32];
	} reads[READS_COUNT];
};

struct check {
	struct pl_job job;
	struct pl_hotline *hotline;
	bool found, ended, good;
	bool put_off; /* a chunk of it has to come back first: it stays to be checked, and is not before the next round */
	int turn;     /* whose was the last; -1: nobody's yet */
	size_t put_off_count;
	struct { uint64_t message; unsigned envelope, item; } put_offs[PUT_OFF_MAX]; /* of this round */
	struct pl_source source;
	crypto_hash_sha256_state hash;
	uint8_t sha256[32];
	/* for the event */
	bool is_received;
	uint8_t message_id[PL_MESSAGE_ID_BYTES];
	struct pl_ref ref;
	char name[PL_FILE_NAME_BYTES_MAX + 1];
};

static const struct read *find_read(const struct pl_reads *reads, const struct pl_source *source)
{
	for (size_t i = 0; i < READS_COUNT; i++) {
		const struct pl_source *other = &reads->reads[i].source;
		if (other->chunks > 0 && other->node == source->node && other->item == source->item && other->bytes == source->bytes &&
		    other->chunks == source->chunks && memcmp(other->id, source->id, sizeof(other->id)) == 0 &&
		    sodium_memcmp(other->cek, source->cek, sizeof(other->cek)) == 0)
			return &reads->reads[i];
	}
	return NULL;
}

/* sha256 is NULL if something in it cannot be opened. */
static void remember_read(struct pl_reads *reads, const struct pl_source *source, const uint8_t *sha256)
{
	struct read *read = &reads->reads[reads->next++ % READS_COUNT];
	*read = (struct read){ .source = *source, .readable = sha256 != NULL };
	if (sha256)
		memcpy(read->sha256, sha256, sizeof(read->sha256));
}

void pl_reads_free(struct pl_hotline *hotline)
{
	pl_wipe_free(hotline->reads, sizeof(*hotline->reads));
}

static void check_name(struct check *check, const struct pl_message_row *row)
{
	const struct pl_text *name = &row->message.attachments[check->source.item].name;
	check->is_received = row->box == PL_BOX_IN;
	check->ref = (struct pl_ref){ row->node, row->lane, row->seq };
	memcpy(check->message_id, row->id, sizeof(check->message_id));
	snprintf(check->name, sizeof(check->name), "%.*s", (int)name->bytes, name->chars);
}

static void check_publish(const struct check *check)
{
	const struct pl_hotline *hotline = check->hotline;
	if (!check->is_received)
		return;
	pl_http_publish(pl_core_http(hotline->core), "attachment", json_pack("{so so si ss sI sb}", "id",
	                pl_api_hex(check->message_id, sizeof(check->message_id)), "ref",
	                pl_api_ref(hotline->charter, check->ref.node, check->ref.lane, check->ref.seq), "n", (int)check->source.item + 1, "name",
	                check->name, "bytes", (json_int_t)check->source.bytes, "damaged", !check->good));
}

static bool is_put_off(const struct check *check, sqlite3_stmt *row)
{
	for (size_t i = 0; i < check->put_off_count; i++)
		if (check->put_offs[i].message == pl_db_u64(row, 0) && check->put_offs[i].envelope == (unsigned)sqlite3_column_int(row, 1) &&
		    check->put_offs[i].item == (unsigned)sqlite3_column_int(row, 2))
			return true;
	return false;
}

/* The next author's next: authors in turn, so that none can make others wait for more than one of its own; of each the small ones first. The
 * statement is left at the row. */
static enum pl_err check_find(struct check *check, sqlite3 *db, sqlite3_stmt **row)
{
	sqlite3_stmt *author = pl_store_prepare(db, "SELECT node FROM hotline_attachment WHERE state = 1 AND node > ?1 ORDER BY node LIMIT 1");
	*row = pl_store_prepare(db, "SELECT " SOURCE_COLUMNS " FROM hotline_attachment WHERE state = 1 AND node = ?1"
	                            " ORDER BY chunks, message, envelope, item");
	if (!author || !*row)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	const int turn = check->turn;
	bool has_wrapped = false;
	check->found = false;
	for (int after = turn; err == PL_OK;) {
		sqlite3_bind_int(author, 1, after);
		const int node = pl_db_step(author, &err) == 1 ? sqlite3_column_int(author, 0) : -1;
		pl_db_reset(author);
		if (err != PL_OK || (has_wrapped && (node < 0 || node > turn)))
			return err;
		after = node;
		has_wrapped |= node < 0;
		if (node < 0)
			continue;
		sqlite3_bind_int(*row, 1, node);
		while (pl_db_step(*row, &err) == 1) {
			if (is_put_off(check, *row))
				continue;
			check->turn = node;
			check->found = true;
			return PL_OK;
		}
		pl_db_reset(*row);
	}
	return err;
}

static enum pl_err check_begin(struct check *check, sqlite3 *db)
{
	sqlite3_stmt *statement;
	enum pl_err err = check_find(check, db, &statement);
	if (err != PL_OK || !check->found)
		return err;
	check->ended = check->put_off = check->is_received = false;
	err = take_source(check->hotline, db, statement, &check->source);
	struct pl_message_row row;
	if (err == PL_OK)
		err = pl_message_load(check->hotline, db, check->source.message, &row);
	if (err != PL_OK)
		return err;
	/* Later envelopes say the same of an attachment, but for its id. */
	err = check->source.item < row.message.attachments_count ? PL_OK : PL_ERR_CORRUPT;
	if (err == PL_OK)
		check_name(check, &row);
	if (err == PL_OK)
		memcpy(check->sha256, row.message.attachments[check->source.item].sha256, sizeof(check->sha256));
	pl_message_row_wipe(&row);
	crypto_hash_sha256_init(&check->hash);
	return err;
}

static enum pl_err check_end(struct check *check, sqlite3 *db, bool good)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "UPDATE hotline_attachment SET state = ?4 WHERE message = ?1 AND envelope = ?2"
	                                               " AND item = ?3");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, check->source.message);
	sqlite3_bind_int(statement, 2, (int)check->source.envelope);
	sqlite3_bind_int(statement, 3, (int)check->source.item);
	sqlite3_bind_int(statement, 4, good ? PL_CHUNKS_GOOD : PL_CHUNKS_DAMAGED);
	check->ended = true;
	check->good = good;
	return pl_db_run(statement);
}

/* Whether more of the same would not help: not a lack of memory or a disk that fails, which pass or end the daemon. */
static bool is_final(enum pl_err err)
{
	return err == PL_ERR_DECRYPT || err == PL_ERR_FORMAT || err == PL_ERR_SHORT || err == PL_ERR_LIMIT || err == PL_ERR_CORRUPT ||
	       err == PL_ERR_VERSION || err == PL_ERR_UNKNOWN || err == PL_ERR_EXISTS;
}

static enum pl_err check_work(struct pl_job *job, sqlite3 *db)
{
	struct check *check = job->ctx;
	enum pl_err err = check->found ? PL_OK : check_begin(check, db);
	/* A row that cannot even be begun with counts as damaged: it would stand before all others for ever. */
	if (check->found && is_final(err))
		return check_end(check, db, false);
	struct pl_reads *reads = check->hotline->reads;
	const struct read *read = err == PL_OK && check->found && check->source.next == 0 ? find_read(reads, &check->source) : NULL;
	if (read)
		return check_end(check, db, read->readable && memcmp(read->sha256, check->sha256, sizeof(read->sha256)) == 0);
	uint8_t *plain = err == PL_OK && check->found ? malloc(PL_CHUNK_BYTES) : NULL;
	if (!plain)
		return err == PL_OK && check->found ? PL_ERR_MEMORY : err;
	struct pl_source source = check->source;
	crypto_hash_sha256_state hash = check->hash;
	for (int i = 0; err == PL_OK && i < BATCH && source.next < source.chunks; i++, source.next++) {
		size_t plain_bytes = 0;
		err = read_chunk(check->hotline, db, &source, plain, &plain_bytes);
		if (err == PL_OK)
			crypto_hash_sha256_update(&hash, plain, plain_bytes);
	}
	pl_wipe_free(plain, PL_CHUNK_BYTES);
	if (err == PL_OK && source.next == source.chunks) {
		uint8_t sha256[32];
		crypto_hash_sha256_state last = hash;
		crypto_hash_sha256_final(&last, sha256);
		remember_read(reads, &source, sha256);
		err = check_end(check, db, memcmp(sha256, check->sha256, sizeof(sha256)) == 0);
	} else if (is_final(err)) {
		remember_read(reads, &source, NULL);
		err = check_end(check, db, false);
	} else if (err == PL_ERR_IO) {
		check->put_offs[check->put_off_count].message = source.message;
		check->put_offs[check->put_off_count].envelope = source.envelope;
		check->put_offs[check->put_off_count++].item = source.item;
		check->ended = check->put_off = true;
		err = PL_OK;
	}
	if (err == PL_OK) {
		check->source = source;
		check->hash = hash;
	}
	return err;
}

static void check_done(struct pl_job *job)
{
	struct check *check = job->ctx;
	struct pl_hotline *hotline = check->hotline;
	if (job->err == PL_OK && check->found && !hotline->stopped) {
		if (check->ended && !check->put_off && !check->good)
			PL_LOG(PL_LOG_WARNING, "hotline", "an attachment is not what its message says", PL_F_STR("author",
			       pl_api_member(hotline->charter, check->source.node)), PL_F_U64("attachment", check->source.item + 1));
		if (check->ended && !check->put_off)
			check_publish(check);
		check->found = !check->ended;
		if (check->put_off_count < PUT_OFF_MAX) {
			pl_store_run(hotline->store, job);
			return;
		}
	}
	if (job->err != PL_OK)
		PL_LOG(PL_LOG_WARNING, "hotline", "attachments cannot be checked now", PL_F_ERR(job->err));
	hotline->checking = false;
	pl_wipe_free(check, sizeof(*check));
}

void pl_chunks_check(struct pl_hotline *hotline)
{
	if (!hotline->reads)
		hotline->reads = calloc(1, sizeof(*hotline->reads));
	struct check *check = hotline->checking || hotline->stopped || !hotline->reads ? NULL : calloc(1, sizeof(*check));
	if (!check)
		return;
	hotline->checking = true;
	check->hotline = hotline;
	check->turn = -1;
	check->job = (struct pl_job){ .work = check_work, .done = check_done, .ctx = check, .writes = true };
	pl_store_run(hotline->store, &check->job);
}

/* --- GET /v1/messages/{id}/attachments/{n} --- */

struct download {
	struct pl_job job;
	struct pl_hotline *hotline;
	struct pl_request *request;
	struct pl_message_key key;
	unsigned item;
	char *name; /* of the message, as the operator gave it */
	bool begun, gone, running;
	int state;
	uint32_t have;
	struct pl_source source;
	size_t count;
	uint8_t bytes[BATCH * PL_CHUNK_BYTES];
};

static void download_free(struct download *download)
{
	free(download->name);
	pl_wipe_free(download, sizeof(*download));
}

static enum pl_err download_find(struct download *download, sqlite3 *db)
{
	uint64_t n;
	enum pl_err err = pl_message_find(db, &download->key, &n);
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT " SOURCE_COLUMNS ", state, have FROM hotline_attachment WHERE message = ?1"
	                                                                        " AND item = ?2"
	                                               " ORDER BY state = 2 DESC, have DESC LIMIT 1");
	if (!statement || err != PL_OK)
		return err != PL_OK ? err : pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, n);
	sqlite3_bind_int(statement, 2, (int)download->item);
	download->state = -1;
	if (pl_db_step(statement, &err) != 1)
		return err;
	download->state = sqlite3_column_int(statement, 7);
	download->have = (uint32_t)sqlite3_column_int64(statement, 8);
	return take_source(download->hotline, db, statement, &download->source);
}

static enum pl_err download_work(struct pl_job *job, sqlite3 *db)
{
	struct download *download = job->ctx;
	enum pl_err err = PL_OK;
	download->count = 0;
	if (!download->begun) {
		err = download_find(download, db);
		if (err != PL_OK || download->state != PL_CHUNKS_GOOD)
			return err;
	}
	for (int i = 0; err == PL_OK && i < BATCH && download->source.next < download->source.chunks; i++, download->source.next++) {
		size_t bytes = 0;
		err = read_chunk(download->hotline, db, &download->source, download->bytes + download->count, &bytes);
		download->count += bytes;
	}
	return err;
}

static void read_more(struct download *download)
{
	download->running = true;
	pl_store_run(download->hotline->store, &download->job);
}

static void on_more(struct pl_request *request, void *ctx)
{
	struct download *download = ctx;
	if (download->running)
		return;
	if (download->hotline->stopped) { /* the store is closed */
		pl_reply_stream_abort(request);
		download_free(download);
		return;
	}
	read_more(download);
}

static void on_gone(struct pl_request *request, void *ctx)
{
	struct download *download = ctx;
	(void)request;
	download->gone = true;
	if (!download->running)
		download_free(download);
}

static void reply_unavailable(struct download *download, enum pl_err err)
{
	struct pl_request *request = download->request;
	unsigned number = download->item + 1;
	if (err != PL_OK)
		pl_hotline_reply_missing(request, err, download->name);
	else if (download->state < 0)
		pl_reply_error(request, 404, "unknown_attachment", NULL, "message %s has no attachment %u", download->name, number);
	else if (download->state == PL_CHUNKS_DAMAGED)
		pl_reply_error(request, 422, "damaged_attachment", "Ask its sender to send it again.",
		               "attachment %u is not what its message says it is", number);
	else
		pl_reply_error(request, 409, "incomplete", "It arrives behind what is more urgent; an event \"attachment\" tells when it is complete.",
		               download->have < download->source.chunks ? "%u of the %u pieces of attachment %u are here" :
		                                                          "%u of the %u pieces of attachment %u are here, and are being checked",
		               (unsigned)download->have, (unsigned)download->source.chunks, number);
}

static void download_done(struct pl_job *job)
{
	struct download *download = job->ctx;
	download->running = false;
	if (download->gone) {
		download_free(download);
		return;
	}
	if (!download->begun && (job->err != PL_OK || download->state != PL_CHUNKS_GOOD)) {
		reply_unavailable(download, job->err);
		download_free(download);
		return;
	}
	if (!download->begun) {
		download->begun = true;
		struct pl_stream stream = { .more = on_more, .gone = on_gone, .ctx = download };
		download->running = true; /* until these bytes are written */
		/* Never the type that the sender claims: what a browser does with it is not the sender's to say. */
		pl_reply_stream_begin(download->request, 200, "application/octet-stream", &stream);
		download->running = false;
	}
	struct pl_request *request = download->request;
	if (job->err != PL_OK) {
		PL_LOG(PL_LOG_ERROR, "hotline", "an attachment cannot be read", PL_F_ERR(job->err));
		pl_reply_stream_abort(request);
		download_free(download);
		return;
	}
	pl_reply_stream_write(request, download->bytes, download->count);
	if (download->source.next == download->source.chunks) {
		pl_reply_stream_end(request);
		download_free(download);
	}
}

void pl_api_download(struct pl_request *request, void *ctx)
{
	struct pl_hotline *hotline = ctx;
	const char *name = pl_request_param(request, "id"), *number = pl_request_param(request, "n");
	char *end;
	unsigned long n = strtoul(number, &end, 10);
	if (*end != '\0' || n == 0 || n > PL_ATTACHMENTS_MAX) {
		pl_reply_error(request, 404, "unknown_attachment", "Attachments are numbered from 1.", "\"%s\" is no attachment's number", number);
		return;
	}
	struct download *download = calloc(1, sizeof(*download));
	if (!download || !(download->name = strdup(name))) {
		free(download);
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the attachment cannot be read");
		return;
	}
	download->hotline = hotline;
	download->request = request;
	download->item = (unsigned)n - 1;
	enum pl_err err = pl_message_key_parse(hotline, name, &download->key);
	if (err != PL_OK) {
		pl_hotline_reply_missing(request, err, name);
		download_free(download);
		return;
	}
	download->job = (struct pl_job){ .work = download_work, .done = download_done, .ctx = download };
	read_more(download);
}
