#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"
#include "crypto/keyfile.h"
#include "node/hotline/hotline_impl.h"

void pl_wipe_free(void *bytes, size_t count)
{
	if (bytes)
		sodium_memzero(bytes, count);
	free(bytes);
}

uint8_t *pl_hotline_seal(const struct pl_hotline *hotline, const char *table, const char *column, const void *row, size_t row_bytes,
                         const void *plain, size_t plain_bytes)
{
	uint8_t *out = malloc(plain_bytes + PL_COLUMN_OVERHEAD);
	if (out)
		pl_column_seal(hotline->store_key, table, column, row, row_bytes, plain, plain_bytes, out);
	return out;
}

enum pl_err pl_hotline_open(const struct pl_hotline *hotline, const char *table, const char *column, const void *row, size_t row_bytes,
                            sqlite3_stmt *statement, int index, uint8_t **out, size_t *count)
{
	const uint8_t *sealed = sqlite3_column_blob(statement, index);
	size_t sealed_bytes = (size_t)sqlite3_column_bytes(statement, index);
	if (!sealed || sealed_bytes < PL_COLUMN_OVERHEAD)
		return PL_ERR_CORRUPT;
	size_t plain_bytes = sealed_bytes - PL_COLUMN_OVERHEAD;
	uint8_t *plain = malloc(plain_bytes + 1);
	if (!plain)
		return PL_ERR_MEMORY;
	enum pl_err err = pl_column_open(hotline->store_key, table, column, row, row_bytes, sealed, sealed_bytes, plain);
	if (err != PL_OK) {
		free(plain);
		return err;
	}
	plain[plain_bytes] = 0;
	*out = plain;
	*count = plain_bytes;
	return PL_OK;
}

void pl_row_of_place(uint16_t node, uint8_t lane, uint64_t seq, uint8_t row[11])
{
	pl_put16(row, node);
	row[2] = lane;
	pl_put64(row + 3, seq);
}

void pl_message_row_wipe(struct pl_message_row *row)
{
	pl_wipe_free(row->head, row->head_bytes);
	pl_wipe_free(row->text, row->text_bytes);
	row->head = row->text = NULL;
}

enum pl_err pl_message_row_take(const struct pl_hotline *hotline, sqlite3_stmt *statement, struct pl_message_row *out)
{
	struct pl_message_row row = { .n = pl_db_u64(statement, 0) };
	enum pl_err err = pl_db_take(statement, 1, row.id, sizeof(row.id));
	if (err == PL_OK)
		err = pl_db_take(statement, 5, row.entry_id, sizeof(row.entry_id));
	if (err != PL_OK)
		return err;
	row.node = (uint16_t)sqlite3_column_int(statement, 2);
	row.lane = (uint8_t)sqlite3_column_int(statement, 3);
	row.seq = pl_db_u64(statement, 4);
	row.box = (uint8_t)sqlite3_column_int(statement, 6);
	row.precedence = (uint8_t)sqlite3_column_int(statement, 7);
	row.attachments = (uint8_t)sqlite3_column_int(statement, 8);
	row.sent_ms = pl_db_u64(statement, 9);
	row.received_ms = pl_db_u64(statement, 10);
	row.exercise = sqlite3_column_int(statement, 11) != 0;
	row.unread = sqlite3_column_int(statement, 12) != 0;
	row.accepted = sqlite3_column_int(statement, 13) != 0;
	if (row.node >= hotline->charter->nodes_count)
		return PL_ERR_CORRUPT;
	if (sqlite3_column_bytes(statement, 15) != PL_ENTRY_HEADER_BYTES)
		return PL_ERR_CORRUPT;
	row.entry_ms = pl_header_time(sqlite3_column_blob(statement, 15));
	err = pl_hotline_open(hotline, "hotline_message", "head", row.id, sizeof(row.id), statement, 14, &row.head, &row.head_bytes);
	if (err == PL_OK)
		err = pl_message_read(row.head, row.head_bytes, &row.message);
	if (err != PL_OK) {
		pl_message_row_wipe(&row);
		return err;
	}
	*out = row;
	return PL_OK;
}

enum pl_err pl_message_load(const struct pl_hotline *hotline, sqlite3 *db, uint64_t n, struct pl_message_row *out)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT " PL_MESSAGE_COLUMNS ", text FROM hotline_message WHERE n = ?1");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, n);
	enum pl_err err = PL_ERR_UNKNOWN;
	if (pl_db_step(statement, &err) != 1)
		return err;
	struct pl_message_row row;
	err = pl_message_row_take(hotline, statement, &row);
	if (err == PL_OK) {
		err = pl_hotline_open(hotline, "hotline_message", "text", row.id, sizeof(row.id), statement, 16, &row.text, &row.text_bytes);
		if (err != PL_OK)
			pl_message_row_wipe(&row);
	}
	pl_db_reset(statement);
	if (err != PL_OK)
		return err;
	row.message.text = (struct pl_text){ (const char *)row.text, row.text_bytes };
	*out = row;
	return PL_OK;
}

/* --- finding --- */

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum pl_err pl_message_key_parse(const struct pl_hotline *hotline, const char *text, struct pl_message_key *out)
{
	struct pl_message_key key = { .by = PL_BY_MESSAGE };
	size_t digits = strspn(text, "0123456789abcdefABCDEF");
	if (text[digits] != '\0' || digits == 0) {
		enum pl_err err = pl_ref_parse(hotline->charter, text, &key.ref);
		if (err != PL_OK)
			return err;
		key.by = PL_BY_REF;
		key.opened_seq = pl_applier_place(hotline->applier, key.ref.node, key.ref.lane);
		*out = key;
		return PL_OK;
	}
	if (digits == 2 * PL_ID_BYTES)
		key.by = PL_BY_ENTRY;
	else if (digits < 6 || digits > 2 * PL_MESSAGE_ID_BYTES)
		return PL_ERR_FORMAT;
	memset(key.high, 0xff, sizeof(key.high));
	for (size_t i = 0; i < digits; i++) {
		unsigned digit = (unsigned)hex_digit(text[i]), shift = i % 2 ? 0 : 4;
		key.low[i / 2] |= (uint8_t)(digit << shift);
		key.high[i / 2] &= (uint8_t)~((0xfu ^ digit) << shift);
	}
	if (key.by == PL_BY_MESSAGE && pl_sending_unlisted(hotline, key.low, key.high))
		return PL_ERR_STATE;
	*out = key;
	return PL_OK;
}

/* One number; PL_ERR_UNKNOWN without a row. */
static enum pl_err find_one(sqlite3_stmt *statement, uint64_t *value)
{
	enum pl_err err = PL_ERR_UNKNOWN;
	if (pl_db_step(statement, &err) != 1)
		return err;
	*value = pl_db_u64(statement, 0);
	pl_db_reset(statement);
	return PL_OK;
}

static enum pl_err find_in(sqlite3 *db, const char *sql, const struct pl_message_key *key, uint64_t *value)
{
	sqlite3_stmt *statement = pl_store_prepare(db, sql);
	if (!statement)
		return pl_store_sql_err(db);
	if (key->by == PL_BY_ENTRY) {
		pl_db_bind_blob(statement, 1, key->low, PL_ID_BYTES);
	} else {
		sqlite3_bind_int(statement, 1, key->ref.node);
		sqlite3_bind_int(statement, 2, key->ref.lane);
		if (sqlite3_bind_parameter_count(statement) > 2)
			pl_db_bind_u64(statement, 3, key->ref.seq);
	}
	return find_one(statement, value);
}

static enum pl_err find_by_message(sqlite3 *db, const struct pl_message_key *key, uint64_t *n)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT n FROM hotline_message WHERE id BETWEEN ?1 AND ?2 LIMIT 2");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_blob(statement, 1, key->low, PL_MESSAGE_ID_BYTES);
	pl_db_bind_blob(statement, 2, key->high, PL_MESSAGE_ID_BYTES);
	enum pl_err err = PL_ERR_UNKNOWN;
	if (pl_db_step(statement, &err) != 1)
		return err;
	uint64_t found = pl_db_u64(statement, 0);
	err = PL_OK;
	if (pl_db_step(statement, &err) == 1) {
		pl_db_reset(statement);
		return PL_ERR_EXISTS;
	}
	*n = found;
	return err;
}

enum pl_err pl_message_find_of(sqlite3 *db, uint16_t author, const uint8_t id[PL_MESSAGE_ID_BYTES], uint64_t *n)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT n FROM hotline_message WHERE id = ?1 AND node = ?2");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_blob(statement, 1, id, PL_MESSAGE_ID_BYTES);
	sqlite3_bind_int(statement, 2, author);
	return find_one(statement, n);
}

enum pl_err pl_message_find(sqlite3 *db, const struct pl_message_key *key, uint64_t *n)
{
	uint64_t value;
	enum pl_err err;
	switch (key->by) {
	case PL_BY_MESSAGE: return find_by_message(db, key, n);
	case PL_BY_ENTRY:
		err = find_in(db, "SELECT n FROM hotline_message WHERE entry_id = ?1", key, n);
		return err != PL_ERR_UNKNOWN ? err : find_in(db, "SELECT message FROM hotline_copy WHERE entry_id = ?1", key, n);
	case PL_BY_REF: break;
	}
	err = find_in(db, "SELECT n FROM hotline_message WHERE node = ?1 AND lane = ?2 AND seq = ?3", key, n);
	if (err == PL_ERR_UNKNOWN)
		err = find_in(db, "SELECT message FROM hotline_copy WHERE node = ?1 AND lane = ?2 AND seq = ?3", key, n);
	if (err != PL_ERR_UNKNOWN)
		return err;
	/* It is none that this node can show: say what it is. */
	err = find_in(db, "SELECT 1 FROM hotline_refused WHERE node = ?1 AND lane = ?2 AND seq = ?3", key, &value);
	if (err != PL_ERR_UNKNOWN)
		return err == PL_OK ? PL_ERR_DECRYPT : err;
	err = find_in(db, "SELECT kind FROM entry WHERE node = ?1 AND lane = ?2 AND seq = ?3", key, &value);
	if (err != PL_OK)
		return err;
	if (value != PL_KIND_MESSAGE)
		return PL_ERR_VERSION; /* that stands for "another kind" here: no query gives it */
	if (key->ref.seq <= key->opened_seq)
		return PL_ERR_REFUSED;
	err = find_in(db, "SELECT seq FROM applied WHERE node = ?1 AND lane = ?2", key, &value);
	if (err == PL_ERR_UNKNOWN || (err == PL_OK && value < key->ref.seq))
		return PL_ERR_STATE;
	return err == PL_OK ? PL_ERR_REFUSED : err;
}

enum pl_err pl_hotline_evidence(struct pl_hotline *hotline, sqlite3 *db, const struct pl_message_key *key,
                                struct pl_message_evidence *out)
{
	uint64_t n;
	enum pl_err err = pl_message_find(db, key, &n);
	if (err != PL_OK)
		return err;
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT node, lane, seq, id FROM hotline_message WHERE n = ?1");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, n);
	err = PL_ERR_UNKNOWN;
	if (pl_db_step(statement, &err) != 1)
		return err;
	struct pl_message_evidence found = { .node = (uint16_t)sqlite3_column_int(statement, 0),
	                                     .lane = (uint8_t)sqlite3_column_int(statement, 1),
	                                     .seq = pl_db_u64(statement, 2) };
	err = pl_db_take(statement, 3, found.message_id, sizeof(found.message_id));
	pl_db_reset(statement);
	uint8_t *cek = NULL;
	size_t cek_bytes = 0;
	if (err == PL_OK)
		err = pl_message_cek(hotline, db, n, 0, &cek, &cek_bytes);
	if (err == PL_OK) {
		*out = found;
		memcpy(out->cek, cek, PL_CEK_BYTES);
	}
	pl_wipe_free(cek, cek_bytes);
	return err;
}

void pl_hotline_reply_missing(struct pl_request *request, enum pl_err err, const char *name)
{
	static const char see_inbox[] = "GET /v1/messages lists the messages that this node can show.";
	switch (err) {
	case PL_ERR_FORMAT:
		pl_reply_error(request, 400, "bad_id", "A message is named by its id (32 hex digits, or at least the first 6), by its place"
		                                       " (FIN/0/17), or by the id of its entry (64 hex digits).",
		               "\"%s\" names no message", name);
		return;
	case PL_ERR_UNKNOWN: pl_reply_error(request, 404, "unknown_message", see_inbox, "there is no message %s here", name); return;
	case PL_ERR_VERSION:
		pl_reply_error(request, 404, "not_a_message", "GET /v1/feed lists the entries held here and their kinds.",
		               "%s is held here, and is no message: an entry of another kind", name);
		return;
	case PL_ERR_REFUSED:
		pl_reply_error(request, 403, "not_a_recipient", NULL, "%s is held here and relayed, but it is sealed to others: none of this"
		                                                      " node's keys opens it", name);
		return;
	case PL_ERR_DECRYPT:
		pl_reply_error(request, 422, "message_refused", "The log says why; its sender was told that it failed.",
		               "%s was sealed to this node, but breaks a rule and is not shown", name);
		return;
	case PL_ERR_EXISTS:
		pl_reply_error(request, 409, "ambiguous_id", "Give more digits, or its place (FIN/0/17): ids of two authors may be the same.",
		               "%s fits several messages", name);
		return;
	case PL_ERR_STATE:
		pl_reply_error(request, 503, "not_opened_yet", "Try again in a moment. With a full disk it is shown once there is room.",
		               "%s is on this node's disk and cannot be shown yet", name);
		return;
	case PL_OK:
	case PL_ERR_SHORT:
	case PL_ERR_LIMIT:
	case PL_ERR_SIGNATURE:
	case PL_ERR_CHAIN:
	case PL_ERR_FORK:
	case PL_ERR_NETWORK:
	case PL_ERR_FULL:
	case PL_ERR_QUOTA:
	case PL_ERR_EXPIRED:
	case PL_ERR_NO_KEY:
	case PL_ERR_MEMORY:
	case PL_ERR_IO:
	case PL_ERR_DISK_FULL:
	case PL_ERR_CORRUPT: break;
	}
	pl_api_reply_failed(request, err, "the message cannot be read");
}

enum pl_err pl_message_cek(const struct pl_hotline *hotline, sqlite3 *db, uint64_t n, unsigned envelope, uint8_t **cek, size_t *cek_bytes)
{
	sqlite3_stmt *first = pl_store_prepare(db, "SELECT id, cek FROM hotline_message WHERE n = ?1");
	sqlite3_stmt *copy = pl_store_prepare(db, "SELECT node, lane, seq, cek FROM hotline_copy WHERE message = ?1 AND envelope = ?2");
	if (!first || !copy)
		return pl_store_sql_err(db);
	sqlite3_stmt *statement = envelope == 0 ? first : copy;
	pl_db_bind_u64(statement, 1, n);
	if (envelope > 0)
		sqlite3_bind_int(statement, 2, (int)envelope);
	enum pl_err err = PL_ERR_CORRUPT;
	if (pl_db_step(statement, &err) != 1)
		return err == PL_OK ? PL_ERR_CORRUPT : err;
	if (envelope == 0) {
		uint8_t id[PL_MESSAGE_ID_BYTES];
		err = pl_db_take(statement, 0, id, sizeof(id));
		if (err == PL_OK)
			err = pl_hotline_open(hotline, "hotline_message", "cek", id, sizeof(id), statement, 1, cek, cek_bytes);
	} else {
		uint8_t row[11];
		pl_row_of_place((uint16_t)sqlite3_column_int(statement, 0), (uint8_t)sqlite3_column_int(statement, 1), pl_db_u64(statement, 2),
		                row);
		err = pl_hotline_open(hotline, "hotline_copy", "cek", row, sizeof(row), statement, 3, cek, cek_bytes);
	}
	pl_db_reset(statement);
	if (err == PL_OK && *cek_bytes != PL_CEK_BYTES) {
		pl_wipe_free(*cek, *cek_bytes);
		*cek = NULL;
		err = PL_ERR_CORRUPT;
	}
	return err;
}
