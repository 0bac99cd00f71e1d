#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

/* --- chunks as they come --- */

struct chunk_in {
	struct pl_apply apply;
	struct pl_hotline *hotline;
	struct pl_chunk chunk; /* without its bytes: they stay in the entry */
	bool unchecked;
};

static enum pl_err chunk_work(struct pl_apply *apply, sqlite3 *db)
{
	struct chunk_in *in = (struct chunk_in *)(void *)apply;
	sqlite3_stmt *insert = pl_store_prepare(db, "INSERT OR IGNORE INTO hotline_chunk (node, attachment, item, seq, chunks) VALUES"
	                                            " (?1, ?2, ?3, ?4, ?5)");
	sqlite3_stmt *count = pl_store_prepare(db, "UPDATE hotline_attachment INDEXED BY hotline_attachment_missing"
	                                           " SET have = have + 1, state = CASE WHEN have + 1 = chunks THEN 1 ELSE 0 END"
	                                           " WHERE node = ?1 AND id = ?2 AND chunks = ?3 AND state = 0 RETURNING state");
	if (!insert || !count)
		return pl_store_sql_err(db);
	in->unchecked = false;
	sqlite3_bind_int(insert, 1, apply->node);
	pl_db_bind_blob(insert, 2, in->chunk.attachment_id, sizeof(in->chunk.attachment_id));
	sqlite3_bind_int64(insert, 3, in->chunk.index);
	pl_db_bind_u64(insert, 4, apply->seq);
	sqlite3_bind_int64(insert, 5, in->chunk.chunks);
	enum pl_err err = pl_db_run(insert);
	if (err != PL_OK || sqlite3_changes(db) == 0)
		return err;
	sqlite3_bind_int(count, 1, apply->node);
	pl_db_bind_blob(count, 2, in->chunk.attachment_id, sizeof(in->chunk.attachment_id));
	sqlite3_bind_int64(count, 3, in->chunk.chunks);
	while (pl_db_step(count, &err) == 1)
		in->unchecked |= sqlite3_column_int(count, 0) == PL_CHUNKS_UNCHECKED;
	return err;
}

static void chunk_free(struct pl_apply *apply)
{
	free((struct chunk_in *)(void *)apply);
}

static void chunk_done(struct pl_apply *apply)
{
	struct chunk_in *in = (struct chunk_in *)(void *)apply;
	if (in->unchecked)
		pl_chunks_check(in->hotline);
	free(in);
}

void pl_chunks_entry(struct pl_hotline *hotline, const struct pl_store_entry *entry)
{
	struct chunk_in *in = calloc(1, sizeof(*in));
	if (!in) {
		pl_apply_later(hotline->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	enum pl_err err = pl_chunk_read(entry->body, entry->body_bytes, &in->chunk);
	if (err != PL_OK) {
		PL_LOG(PL_LOG_WARNING, "hotline", "a chunk is malformed", PL_F_STR("author", pl_api_member(hotline->charter, entry->node)),
		       PL_F_U64("seq", entry->seq), PL_F_ERR(err));
		free(in);
		pl_apply_skip(hotline->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	in->chunk.sealed = NULL;
	in->hotline = hotline;
	in->apply = (struct pl_apply){ .node = entry->node, .lane = entry->lane, .seq = entry->seq, .work = chunk_work, .done = chunk_done,
	                               .dropped = chunk_free };
	pl_apply(hotline->applier, &in->apply);
}

/* --- what a message expects --- */

static enum pl_err find_upload(sqlite3 *db, const uint8_t *message_id, unsigned item, uint8_t token[PL_TOKEN_BYTES], bool *found)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT token FROM hotline_upload WHERE message_id = ?1 AND item = ?2");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_blob(statement, 1, message_id, PL_MESSAGE_ID_BYTES);
	sqlite3_bind_int(statement, 2, (int)item);
	enum pl_err err = PL_OK;
	*found = pl_db_step(statement, &err) == 1;
	if (*found)
		err = pl_db_take(statement, 0, token, PL_TOKEN_BYTES);
	pl_db_reset(statement);
	return err;
}

/* PROTOCOL: "A receiver may refuse an attachment whose id 64 attachments of its author have already." */
static enum pl_err is_id_worn_out(sqlite3 *db, uint16_t author, const struct pl_attachment *attachment, bool *is)
{
	sqlite3_stmt *named = pl_store_prepare(db, "SELECT count(*) FROM (SELECT 1 FROM hotline_attachment INDEXED BY hotline_attachment_id"
	                                           " WHERE node = ?1 AND id = ?2 LIMIT ?3)");
	enum pl_err err = PL_ERR_CORRUPT;
	if (!named)
		return pl_store_sql_err(db);
	sqlite3_bind_int(named, 1, author);
	pl_db_bind_blob(named, 2, attachment->id, sizeof(attachment->id));
	sqlite3_bind_int(named, 3, PL_ATTACHMENT_NAMED_MAX);
	if (pl_db_step(named, &err) != 1)
		return err;
	*is = pl_db_u64(named, 0) == PL_ATTACHMENT_NAMED_MAX;
	pl_db_reset(named);
	return PL_OK;
}

enum pl_err pl_chunks_expect(const struct pl_hotline *hotline, sqlite3 *db, uint64_t n, unsigned envelope, uint16_t author,
                             const struct pl_message *message, bool *unchecked)
{
	sqlite3_stmt *count = pl_store_prepare(db, "SELECT count(*) FROM hotline_chunk WHERE node = ?1 AND attachment = ?2 AND chunks = ?3");
	sqlite3_stmt *insert = pl_store_prepare(db, "INSERT INTO hotline_attachment"
	                                            " (message, envelope, item, node, id, bytes, chunks, have, state, upload)"
	                                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
	if (!count || !insert)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	for (uint8_t i = 0; err == PL_OK && i < message->attachments_count; i++) {
		const struct pl_attachment *attachment = &message->attachments[i];
		uint8_t token[PL_TOKEN_BYTES];
		bool has_upload = false, is_refused = false;
		if (author == hotline->self)
			err = find_upload(db, message->id, i, token, &has_upload);
		if (err == PL_OK)
			err = is_id_worn_out(db, author, attachment, &is_refused);
		if (is_refused)
			PL_LOG(PL_LOG_WARNING, "hotline", "an attachment is refused: too many of its author's have its id",
			       PL_F_STR("author", pl_api_member(hotline->charter, author)));
		sqlite3_bind_int(count, 1, author);
		pl_db_bind_blob(count, 2, attachment->id, sizeof(attachment->id));
		sqlite3_bind_int64(count, 3, attachment->chunks);
		uint64_t have = err == PL_OK && pl_db_step(count, &err) == 1 ? pl_db_u64(count, 0) : 0;
		pl_db_reset(count);
		if (err != PL_OK)
			break;
		pl_db_bind_u64(insert, 1, n);
		sqlite3_bind_int(insert, 2, (int)envelope);
		sqlite3_bind_int(insert, 3, i);
		sqlite3_bind_int(insert, 4, author);
		pl_db_bind_blob(insert, 5, attachment->id, sizeof(attachment->id));
		pl_db_bind_u64(insert, 6, attachment->bytes);
		sqlite3_bind_int64(insert, 7, attachment->chunks);
		pl_db_bind_u64(insert, 8, have);
		bool is_unchecked = !is_refused && have == attachment->chunks;
		sqlite3_bind_int(insert, 9, is_refused ? PL_CHUNKS_DAMAGED : is_unchecked ? PL_CHUNKS_UNCHECKED : PL_CHUNKS_MISSING);
		pl_db_bind_blob(insert, 10, has_upload ? token : NULL, PL_TOKEN_BYTES);
		*unchecked |= is_unchecked;
		err = pl_db_run(insert);
	}
	return err;
}
