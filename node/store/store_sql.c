/* The store's own statements. */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/store/store_impl.h"

static const char *const statement_sql[PL_STMT_COUNT] = {
	[PL_STMT_BEGIN] = "BEGIN IMMEDIATE",
	[PL_STMT_COMMIT] = "COMMIT",
	[PL_STMT_ROLLBACK] = "ROLLBACK",
	[PL_STMT_SAVEPOINT] = "SAVEPOINT job",
	[PL_STMT_RELEASE] = "RELEASE job",
	[PL_STMT_ROLLBACK_TO] = "ROLLBACK TO job",
	[PL_STMT_ENTRY] = "INSERT INTO entry (node, lane, seq, gseq, received_ms, kind, flags, body_bytes, id, header, body)"
	                  " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
	[PL_STMT_NODE] = "INSERT OR IGNORE INTO node (idx, node_id) VALUES (?1, ?2)",
	[PL_STMT_LOAD] = "SELECT seq, id, header, body FROM entry WHERE node = ?1 AND lane = ?2 AND seq BETWEEN ?3 AND ?4 ORDER BY seq",
	[PL_STMT_ACK] = "INSERT INTO peer_ack (peer, node, lane, seq) VALUES (?1, ?2, ?3, ?4)"
	                " ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)",
	[PL_STMT_FORK] = "INSERT OR IGNORE INTO proof (node, header_a, header_b) VALUES (?1, ?2, ?3)",
	[PL_STMT_TAKEN] = "INSERT INTO taken (node, lane, bytes) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes",
	[PL_STMT_PROBE] = "INSERT OR REPLACE INTO meta (key, value) VALUES ('probe', zeroblob(131072))",
	[PL_STMT_PROBE_END] = "DELETE FROM meta WHERE key = 'probe'",
	[PL_STMT_FREEZE] = "INSERT OR IGNORE INTO meta (key, value) VALUES ('feed_frozen', ?1)",
	[PL_STMT_HEAD] = "SELECT seq, id, header FROM entry WHERE node = ?1 AND lane = ?2 ORDER BY seq DESC LIMIT 1",
};

enum pl_err pl_store_sql_err(sqlite3 *db)
{
	switch (sqlite3_errcode(db) & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE: return PL_OK;
	case SQLITE_FULL: return PL_ERR_DISK_FULL;
	case SQLITE_NOMEM: return PL_ERR_MEMORY;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB: return PL_ERR_CORRUPT;
	case SQLITE_CONSTRAINT: return PL_ERR_EXISTS;
	/* A quota says EDQUOT where a disk says ENOSPC, which SQLite takes for a broken disk. */
	case SQLITE_IOERR: return sqlite3_extended_errcode(db) == SQLITE_IOERR_WRITE && sqlite3_system_errno(db) == EDQUOT
		? PL_ERR_DISK_FULL : PL_ERR_IO;
	default: return PL_ERR_IO;
	}
}

enum pl_err pl_store_job_err(struct pl_job *job, sqlite3 *db)
{
	enum pl_err err = pl_store_sql_err(db);

	snprintf(job->why, sizeof(job->why), "The store says: %s.", sqlite3_errmsg(db));
	return err ? err : PL_ERR_IO;
}

/* Stores that this thread has started. */
static _Thread_local struct pl_store *given_away;

void pl_sql_give_away(struct pl_store *store)
{
	store->next_given = given_away;
	given_away = store;
}

void pl_sql_take_back(struct pl_store *store)
{
	struct pl_store **link = &given_away;

	while (*link != store)
		link = &(*link)->next_given;
	*link = store->next_given;
}

sqlite3_stmt *pl_store_prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement = NULL;

	for (const struct pl_store *store = given_away; store; store = store->next_given)
		assert(store->db != db); /* worker thread */
	/* SQLite keeps the list of a connection's statements; we need no second one. One in use is passed over. */
	while ((statement = sqlite3_next_stmt(db, statement))) {
		if (sqlite3_stmt_busy(statement) || strcmp(sqlite3_sql(statement), sql) != 0)
			continue;
		sqlite3_reset(statement); /* one that has run to its end takes no new values before */
		sqlite3_clear_bindings(statement);
		return statement;
	}
	return sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) == SQLITE_OK ? statement : NULL;
}

void pl_sql_reset_all(sqlite3 *db)
{
	for (sqlite3_stmt *s = sqlite3_next_stmt(db, NULL); s; s = sqlite3_next_stmt(db, s))
		if (sqlite3_stmt_busy(s))
			sqlite3_reset(s);
}

enum pl_err pl_sql_prepare_all(struct pl_store *store)
{
	for (int i = 0; i < PL_STMT_COUNT; i++)
		if (sqlite3_prepare_v3(store->db, statement_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i], NULL) != SQLITE_OK)
			return pl_store_sql_err(store->db);
	return PL_OK;
}

/* Runs a statement that gives no rows. The error is read before the reset, which would repeat it, so that the message stays. */
static enum pl_err finish(struct pl_store *store, sqlite3_stmt *statement)
{
	enum pl_err err = sqlite3_step(statement) == SQLITE_DONE ? PL_OK : pl_store_sql_err(store->db);

	sqlite3_reset(statement);
	return err;
}

enum pl_err pl_sql_run(struct pl_store *store, enum pl_statement statement)
{
	return finish(store, store->statements[statement]);
}

enum pl_err pl_sql_insert_entry(struct pl_store *store, const struct pl_store_entry *entry)
{
	sqlite3_stmt *s = store->statements[PL_STMT_ENTRY];
	enum pl_err err;

	if (!store->node_saved[entry->node]) {
		sqlite3_stmt *node = store->statements[PL_STMT_NODE];

		sqlite3_bind_int(node, 1, entry->node);
		sqlite3_bind_blob(node, 2, pl_header_author(entry->header), PL_NODE_ID_BYTES, SQLITE_STATIC);
		err = finish(store, node);
		if (err)
			return err;
		store->node_saved[entry->node] = true;
	}
	store->taken_more[entry->node][entry->lane] += pl_entry_kept_bytes(pl_header_kind(entry->header), entry->body_bytes);
	store->has_taken_more = true;
	sqlite3_bind_int(s, 1, entry->node);
	sqlite3_bind_int(s, 2, entry->lane);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)entry->seq);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)entry->gseq);
	sqlite3_bind_int64(s, 5, (sqlite3_int64)entry->received_ms);
	sqlite3_bind_int(s, 6, pl_header_kind(entry->header));
	sqlite3_bind_int(s, 7, pl_header_flags(entry->header));
	sqlite3_bind_int64(s, 8, entry->body_bytes);
	sqlite3_bind_blob(s, 9, entry->id, PL_ID_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob(s, 10, entry->header, PL_ENTRY_HEADER_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob64(s, 11, entry->body, entry->body_bytes, SQLITE_STATIC);
	return finish(store, s);
}

enum pl_err pl_sql_commit(struct pl_store *store)
{
	for (int place = 0; store->has_taken_more && place < PL_NODES_MAX * PL_LANES; place++) {
		sqlite3_stmt *s = store->statements[PL_STMT_TAKEN];
		const int node = place / PL_LANES, lane = place % PL_LANES;
		enum pl_err err;

		if (!store->taken_more[node][lane])
			continue;
		sqlite3_bind_int(s, 1, node);
		sqlite3_bind_int(s, 2, lane);
		sqlite3_bind_int64(s, 3, (sqlite3_int64)store->taken_more[node][lane]);
		err = finish(store, s);
		if (err)
			return err;
		store->taken_more[node][lane] = 0;
	}
	store->has_taken_more = false;
	return pl_sql_run(store, PL_STMT_COMMIT);
}

void pl_sql_rolled_back(struct pl_store *store)
{
	memset(store->node_saved, 0, sizeof(store->node_saved));
	memset(store->taken_more, 0, sizeof(store->taken_more));
	store->has_taken_more = false;
}

bool pl_sql_has_entry(sqlite3 *db, const struct pl_store_entry *entry)
{
	sqlite3_stmt *s = pl_store_prepare(db, "SELECT 1 FROM entry WHERE node = ?1 AND lane = ?2 AND seq = ?3 AND id = ?4 AND header = ?5 AND body = ?6");
	bool has;

	if (!s)
		return false;
	sqlite3_bind_int(s, 1, entry->node);
	sqlite3_bind_int(s, 2, entry->lane);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)entry->seq);
	sqlite3_bind_blob(s, 4, entry->id, PL_ID_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob(s, 5, entry->header, PL_ENTRY_HEADER_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob64(s, 6, entry->body, entry->body_bytes, SQLITE_STATIC);
	has = sqlite3_step(s) == SQLITE_ROW;
	sqlite3_reset(s);
	return has;
}

enum pl_err pl_sql_replace_entry(sqlite3 *db, const struct pl_store_entry *entry)
{
	/* Not what the index holds, which the disk may have changed only here: SQLite would find that the two disagree, and give up the database. */
	sqlite3_stmt *s = pl_store_prepare(db, "UPDATE entry SET gseq = ?4, kind = ?5, flags = ?6, body_bytes = ?7, id = ?8, header = ?9, body = ?10"
	                                       " WHERE node = ?1 AND lane = ?2 AND seq = ?3");

	if (!s)
		return pl_store_sql_err(db);
	sqlite3_bind_int(s, 1, entry->node);
	sqlite3_bind_int(s, 2, entry->lane);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)entry->seq);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)entry->gseq);
	sqlite3_bind_int(s, 5, pl_header_kind(entry->header));
	sqlite3_bind_int(s, 6, pl_header_flags(entry->header));
	sqlite3_bind_int64(s, 7, entry->body_bytes);
	sqlite3_bind_blob(s, 8, entry->id, PL_ID_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob(s, 9, entry->header, PL_ENTRY_HEADER_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob64(s, 10, entry->body, entry->body_bytes, SQLITE_STATIC);
	if (sqlite3_step(s) != SQLITE_DONE)
		return pl_store_sql_err(db);
	return sqlite3_changes(db) == 1 ? PL_OK : PL_ERR_UNKNOWN;
}

enum pl_err pl_sql_insert_fork(struct pl_store *store, const struct pl_fork *fork)
{
	sqlite3_stmt *s = store->statements[PL_STMT_FORK];

	sqlite3_bind_int(s, 1, fork->node);
	sqlite3_bind_blob(s, 2, fork->header_a, PL_ENTRY_HEADER_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob(s, 3, fork->header_b, PL_ENTRY_HEADER_BYTES, SQLITE_STATIC);
	return finish(store, s);
}

enum pl_err pl_sql_insert_acks(struct pl_store *store, const struct pl_ack_table *acks)
{
	sqlite3_stmt *s = store->statements[PL_STMT_ACK];
	enum pl_err err = PL_OK;

	for (size_t i = 0; !err && i < acks->size; i++) {
		const struct pl_ack *ack = &acks->slots[i];

		if (!ack->seq)
			continue;
		sqlite3_bind_int(s, 1, ack->peer);
		sqlite3_bind_int(s, 2, ack->node);
		sqlite3_bind_int(s, 3, ack->lane);
		sqlite3_bind_int64(s, 4, (sqlite3_int64)ack->seq);
		err = finish(store, s);
	}
	return err;
}

/* A commit that needs room: an empty transaction, or one page, could find space in the WAL where real entries would not. */
enum pl_err pl_sql_probe(struct pl_store *store)
{
	enum pl_err err = pl_sql_run(store, PL_STMT_PROBE);

	return err ? err : pl_sql_run(store, PL_STMT_PROBE_END);
}

enum pl_err pl_sql_freeze(struct pl_store *store, const char *why)
{
	sqlite3_stmt *s = store->statements[PL_STMT_FREEZE];

	sqlite3_bind_text(s, 1, why, -1, SQLITE_STATIC);
	return finish(store, s);
}

/* The disk may have changed what we wrote; a peer would take us for a forger. Columns 1 and 2: id, header. */
static bool is_header_intact(const struct pl_store *store, sqlite3_stmt *s)
{
	uint8_t id[PL_ID_BYTES];

	if (sqlite3_column_bytes(s, 1) != PL_ID_BYTES || sqlite3_column_bytes(s, 2) != PL_ENTRY_HEADER_BYTES)
		return false;
	pl_entry_id(store->network_id, sqlite3_column_blob(s, 2), id);
	return memcmp(id, sqlite3_column_blob(s, 1), PL_ID_BYTES) == 0;
}

bool pl_sql_next_row(struct pl_store *store, sqlite3_stmt *statement, enum pl_err *err)
{
	int rc = *err ? SQLITE_DONE : sqlite3_step(statement);

	if (rc == SQLITE_ROW)
		return true;
	if (!*err && rc != SQLITE_DONE)
		*err = pl_store_sql_err(store->db);
	sqlite3_reset(statement); /* harmless if it is NULL */
	return false;
}

enum pl_err pl_sql_head(struct pl_store *store, uint16_t node, uint8_t lane, uint64_t *seq, uint64_t *gseq, uint8_t id[PL_ID_BYTES])
{
	sqlite3_stmt *s = store->statements[PL_STMT_HEAD];
	enum pl_err err = PL_OK;
	int rc;

	*seq = *gseq = 0;
	sqlite3_bind_int(s, 1, node);
	sqlite3_bind_int(s, 2, lane);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW && is_header_intact(store, s)) {
		const uint8_t *header = sqlite3_column_blob(s, 2);

		*seq = pl_header_seq(header);
		*gseq = pl_header_gseq(header);
		memcpy(id, sqlite3_column_blob(s, 1), PL_ID_BYTES);
		if (*seq != (uint64_t)sqlite3_column_int64(s, 0))
			err = PL_ERR_CORRUPT;
	} else if (rc != SQLITE_DONE) {
		err = rc == SQLITE_ROW ? PL_ERR_CORRUPT : pl_store_sql_err(store->db);
	}
	sqlite3_reset(s);
	return err;
}

void pl_load_free(struct pl_load *load)
{
	free(load->entries);
	free(load->bytes);
	free(load);
}

/* Appends a row to the load; offsets stand in the pointers until the buffer has its final place. */
static enum pl_err load_row(struct pl_load *load, sqlite3_stmt *s, size_t *entries_size, size_t *bytes_size)
{
	size_t body_bytes = (size_t)sqlite3_column_bytes(s, 3), needed = load->bytes_used + PL_ENTRY_HEADER_BYTES + body_bytes;
	const void *body = sqlite3_column_blob(s, 3);
	struct pl_stored_entry *entry;

	if (load->count == *entries_size) {
		size_t size = *entries_size ? 2 * *entries_size : 16;
		void *grown = realloc(load->entries, size * sizeof(*load->entries));

		if (!grown)
			return PL_ERR_MEMORY;
		load->entries = grown;
		*entries_size = size;
	}
	if (needed > *bytes_size) {
		size_t size = needed > 2 * *bytes_size ? needed : 2 * *bytes_size;
		void *grown = realloc(load->bytes, size);

		if (!grown)
			return PL_ERR_MEMORY;
		load->bytes = grown;
		*bytes_size = size;
	}
	entry = &load->entries[load->count++];
	entry->body_bytes = (uint32_t)body_bytes;
	memcpy(load->bytes + load->bytes_used, sqlite3_column_blob(s, 2), PL_ENTRY_HEADER_BYTES);
	load->bytes_used += PL_ENTRY_HEADER_BYTES;
	if (body_bytes)
		memcpy(load->bytes + load->bytes_used, body, body_bytes);
	load->bytes_used += body_bytes;
	entry->body = sqlite3_column_type(s, 3) == SQLITE_NULL ? NULL : load->bytes; /* only whether there is one, until the end */
	return PL_OK;
}

/* Columns of PL_STMT_LOAD. */
static bool is_entry_intact(const struct pl_store *store, sqlite3_stmt *s)
{
	uint8_t hash[PL_ID_BYTES];

	if (!is_header_intact(store, s))
		return false;
	if (sqlite3_column_type(s, 3) == SQLITE_NULL)
		return true;
	pl_body_hash(sqlite3_column_blob(s, 3), (size_t)sqlite3_column_bytes(s, 3), hash);
	return memcmp(hash, pl_header_body_hash(sqlite3_column_blob(s, 2)), PL_ID_BYTES) == 0;
}

/* The row at hand is damaged, with the statement in it, which is used anew: which entry has to stand there. */
static void note_damage(struct pl_store *store, struct pl_load *load, sqlite3_stmt *s)
{
	load->damaged_seq = (uint64_t)sqlite3_column_int64(s, 0);
	if (sqlite3_column_bytes(s, 1) == PL_ID_BYTES)
		memcpy(load->damaged_id, sqlite3_column_blob(s, 1), PL_ID_BYTES);
	sqlite3_reset(s);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)load->damaged_seq + 1);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)load->damaged_seq + 1);
	if (sqlite3_step(s) == SQLITE_ROW && is_header_intact(store, s))
		memcpy(load->damaged_id, pl_header_prev(sqlite3_column_blob(s, 2)), PL_ID_BYTES);
}

enum pl_err pl_sql_load(struct pl_store *store, struct pl_load *load)
{
	sqlite3_stmt *s = store->statements[PL_STMT_LOAD];
	size_t entries_size = 0, bytes_size = 0, at = 0;
	enum pl_err err = PL_OK;
	int rc = SQLITE_DONE;

	sqlite3_bind_int(s, 1, load->node);
	sqlite3_bind_int(s, 2, load->lane);
	/* Numbers that a peer may have named: SQLite's end before theirs, and no entry is that far. */
	sqlite3_bind_int64(s, 3, load->from > INT64_MAX ? INT64_MAX : (sqlite3_int64)load->from);
	sqlite3_bind_int64(s, 4, load->to > INT64_MAX ? INT64_MAX : (sqlite3_int64)load->to);
	while (!err && (rc = sqlite3_step(s)) == SQLITE_ROW) {
		size_t row_bytes = PL_ENTRY_HEADER_BYTES + (size_t)sqlite3_column_bytes(s, 3);

		if (load->count > 0 && load->bytes_used + row_bytes > load->max_bytes)
			break;
		if (!is_entry_intact(store, s)) {
			note_damage(store, load, s);
			break;
		}
		err = load_row(load, s, &entries_size, &bytes_size);
	}
	if (!err && rc != SQLITE_ROW && rc != SQLITE_DONE)
		err = pl_store_sql_err(store->db);
	sqlite3_reset(s);

	for (size_t i = 0; i < load->count; i++) {
		struct pl_stored_entry *entry = &load->entries[i];

		entry->header = load->bytes + at;
		entry->body = entry->body ? entry->header + PL_ENTRY_HEADER_BYTES : NULL;
		at += PL_ENTRY_HEADER_BYTES + entry->body_bytes;
	}
	return err;
}

/* --- single entries, for jobs --- */

static _Thread_local struct pl_store *works_for;

void pl_sql_work_for(struct pl_store *store)
{
	works_for = store;
}

/* Without memory for it, it is found again when the entry is next read. */
static void report_damage(struct pl_store *store, uint16_t node, uint8_t lane, sqlite3_stmt *s)
{
	struct pl_load *report = calloc(1, sizeof(*report));

	if (!report)
		return;
	report->is_report = true;
	report->node = node;
	report->lane = lane;
	note_damage(store, report, s);
	uv_mutex_lock(&store->mutex);
	store->stats.damaged++;
	PL_QUEUE_PUSH(&store->done_loads, report);
	uv_mutex_unlock(&store->mutex);
	pl_waker_wake(store->waker);
}

enum pl_err pl_store_read(sqlite3 *db, uint16_t node, uint8_t lane, uint64_t seq, struct pl_stored_entry *out)
{
	struct pl_store *store = works_for;
	sqlite3_stmt *s;
	int rc;

	assert(store && store->db == db);
	if (seq > INT64_MAX)
		return PL_ERR_UNKNOWN;
	s = store->statements[PL_STMT_LOAD];
	sqlite3_reset(s);
	sqlite3_bind_int(s, 1, node);
	sqlite3_bind_int(s, 2, lane);
	sqlite3_bind_int64(s, 3, (sqlite3_int64)seq);
	sqlite3_bind_int64(s, 4, (sqlite3_int64)seq);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW && is_entry_intact(store, s)) {
		*out = (struct pl_stored_entry){.header = sqlite3_column_blob(s, 2)};
		out->body_bytes = (uint32_t)sqlite3_column_bytes(s, 3);
		if (sqlite3_column_type(s, 3) != SQLITE_NULL)
			out->body = out->body_bytes ? sqlite3_column_blob(s, 3) : out->header;
		return PL_OK;
	}
	if (rc == SQLITE_ROW) {
		report_damage(store, node, lane, s);
		sqlite3_reset(s);
		return PL_ERR_IO;
	}
	enum pl_err err = rc == SQLITE_DONE ? PL_ERR_UNKNOWN : pl_store_sql_err(db);
	sqlite3_reset(s);
	return err;
}

enum pl_err pl_stored_body(const struct pl_stored_entry *entry, uint8_t **body, size_t *count)
{
	*body = entry->body ? malloc(entry->body_bytes ? entry->body_bytes : 1) : NULL;
	*count = 0;
	if (!*body)
		return entry->body ? PL_ERR_MEMORY : PL_OK;
	memcpy(*body, entry->body, entry->body_bytes);
	*count = entry->body_bytes;
	return PL_OK;
}
