#include "node/store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/file.h"
#include "node/store/store_impl.h"
#include "node/store/store_schema.h"

/* --- open --- */

/* A sentence for what SQLite said last. */
static enum pl_err say_sql(const struct pl_store *store, char *why, size_t why_max)
{
	enum pl_err err = pl_store_sql_err(store->db);

	switch (sqlite3_errcode(store->db) & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED: return pl_why(why, why_max, PL_ERR_REFUSED, "%s is in use by another process.", store->path);
	case SQLITE_NOTADB: return pl_why(why, why_max, PL_ERR_CORRUPT, "%s is not a Parley store. Has `store` in parley.conf the right name? If so: OPERATING.md, \"Backups\".", store->path);
	case SQLITE_CORRUPT:
		return pl_why(why, why_max, PL_ERR_CORRUPT, "%s is damaged (%s). OPERATING.md, \"Backups\", says what to do; a copy that is put back freezes this node's feed.", store->path, sqlite3_errmsg(store->db));
	case SQLITE_FULL: return pl_why(why, why_max, PL_ERR_DISK_FULL, "There is no room left to write %s.", store->path);
	default: return pl_why(why, why_max, err ? err : PL_ERR_IO, "%s cannot be used: %s.", store->path, sqlite3_errmsg(store->db));
	}
}

static enum pl_err exec(struct pl_store *store, const char *sql, char *why, size_t why_max)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? PL_OK : say_sql(store, why, why_max);
}

static enum pl_err query_int(struct pl_store *store, const char *sql, int64_t *out, char *why, size_t why_max)
{
	sqlite3_stmt *statement = NULL;
	enum pl_err err = PL_OK;

	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK || sqlite3_step(statement) != SQLITE_ROW)
		err = say_sql(store, why, why_max);
	else
		*out = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return err;
}

/* A value of meta that must have this size; PL_ERR_UNKNOWN if it is not there. */
static enum pl_err read_meta(struct pl_store *store, const char *key, uint8_t *out, int bytes, char *why, size_t why_max)
{
	sqlite3_stmt *statement = NULL;
	enum pl_err err = PL_OK;
	int rc = sqlite3_prepare_v2(store->db, "SELECT value FROM meta WHERE key = ?1", -1, &statement, NULL);

	if (rc == SQLITE_OK) {
		sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
		rc = sqlite3_step(statement);
	}
	if (rc == SQLITE_ROW && sqlite3_column_bytes(statement, 0) == bytes)
		memcpy(out, sqlite3_column_blob(statement, 0), (size_t)bytes);
	else if (rc == SQLITE_ROW || rc == SQLITE_DONE)
		err = pl_why(why, why_max, PL_ERR_CORRUPT, "%s is damaged: it does not say its %s. OPERATING.md, \"Backups\", says what to do.", store->path, key);
	else
		err = say_sql(store, why, why_max);
	sqlite3_finalize(statement);
	return err;
}

static enum pl_err write_meta(struct pl_store *store, const char *key, const uint8_t *value, int bytes, char *why, size_t why_max)
{
	sqlite3_stmt *statement = NULL;
	enum pl_err err = PL_OK;

	if (sqlite3_prepare_v2(store->db, "INSERT INTO meta (key, value) VALUES (?1, ?2)", -1, &statement, NULL) != SQLITE_OK)
		return say_sql(store, why, why_max);
	sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
	sqlite3_bind_blob(statement, 2, value, bytes, SQLITE_STATIC);
	if (sqlite3_step(statement) != SQLITE_DONE)
		err = say_sql(store, why, why_max);
	sqlite3_finalize(statement);
	return err;
}

/* SQLite would make the file under the umask; its WAL takes over the file's mode. Only a new file is opened here: closing a descriptor of
 * a file drops the locks that this process has on it. */
static enum pl_err make_file(const char *path, char *why, size_t why_max)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EEXIST)
		return PL_OK;
	if (fd < 0)
		return pl_why(why, why_max, errno == ENOSPC || errno == EDQUOT ? PL_ERR_DISK_FULL : PL_ERR_IO, "%s cannot be made: %s.", path,
		              strerror(errno));
	close(fd);
	return PL_OK;
}

static enum pl_err connect_db(struct pl_store *store, char *why, size_t why_max)
{
	int rc = sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	if (!store->db)
		return pl_why(why, why_max, PL_ERR_MEMORY, "There is not enough memory to open %s.", store->path);
	if (rc != SQLITE_OK)
		return say_sql(store, why, why_max);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	/* Closing must not write to a store that we turn away, nor to one on a disk that has failed. */
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	/* Exclusive before the first read: no shared memory, and nobody else gets in. */
	return exec(store,
	            "PRAGMA locking_mode=EXCLUSIVE;"
	            "PRAGMA cell_size_check=ON;"
	            "PRAGMA temp_store=MEMORY;"
	            "PRAGMA mmap_size=0;"
	            "PRAGMA cache_size=-6144;", /* KiB */
	            why, why_max);
}

/* Whether this is our store, before anything is written to it. *version is its schema, 0 for an empty file. */
static enum pl_err check_identity(struct pl_store *store, int *version, char *why, size_t why_max)
{
	uint8_t network_id[PL_ID_BYTES], node_id[PL_NODE_ID_BYTES];
	int64_t application = 0, number = 0, tables = 0;
	enum pl_err err = query_int(store, "PRAGMA application_id", &application, why, why_max);

	if (!err)
		err = query_int(store, "PRAGMA user_version", &number, why, why_max);
	if (!err)
		err = query_int(store, "SELECT count(*) FROM sqlite_schema", &tables, why, why_max);
	if (err)
		return err;
	*version = (int)number;
	if (application == 0 && number == 0 && tables == 0)
		return PL_OK;
	if (application != PL_STORE_APPLICATION_ID)
		return pl_why(why, why_max, PL_ERR_CORRUPT, "%s is a database, but not a Parley store. Name another file with `store` in parley.conf.", store->path);
	if (number > pl_schema_latest())
		return pl_why(why, why_max, PL_ERR_VERSION, "%s has schema %d, and this parleyd knows up to %d: a newer one has written it. Install that parleyd again.",
		           store->path, (int)number, pl_schema_latest());
	if (number < 1)
		return pl_why(why, why_max, PL_ERR_CORRUPT, "%s is damaged: it has no schema number. OPERATING.md, \"Backups\", says what to do.", store->path);
	err = read_meta(store, "network_id", network_id, PL_ID_BYTES, why, why_max);
	if (!err)
		err = read_meta(store, "node_id", node_id, PL_NODE_ID_BYTES, why, why_max);
	if (err)
		return err;
	if (memcmp(network_id, store->network_id, PL_ID_BYTES) != 0)
		return pl_why(why, why_max, PL_ERR_NETWORK, "%s belongs to another network. Put its charter back, or name another file with `store` in parley.conf.", store->path);
	if (memcmp(node_id, store->node_id, PL_NODE_ID_BYTES) != 0)
		return pl_why(why, why_max, PL_ERR_REFUSED, "%s belongs to another node of this network. Put that node's key back, or name another file with `store` in parley.conf.", store->path);
	return PL_OK;
}

static enum pl_err read_nodes(struct pl_store *store, char *why, size_t why_max)
{
	sqlite3_stmt *statement = NULL;
	enum pl_err err = PL_OK;
	int rc = sqlite3_prepare_v2(store->db, "SELECT idx, node_id FROM node", -1, &statement, NULL);

	while (rc == SQLITE_OK && !err && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
		sqlite3_int64 index = sqlite3_column_int64(statement, 0);

		rc = SQLITE_OK;
		if (index < 0 || index >= PL_NODES_MAX || sqlite3_column_bytes(statement, 1) != PL_NODE_ID_BYTES) {
			err = pl_why(why, why_max, PL_ERR_CORRUPT, "%s is damaged: its list of nodes is not one. OPERATING.md, \"Backups\", says what to do.", store->path);
			break;
		}
		memcpy(store->node_ids[index], sqlite3_column_blob(statement, 1), PL_NODE_ID_BYTES);
		store->node_known[index] = store->node_saved[index] = true;
	}
	if (!err && rc != SQLITE_DONE)
		err = say_sql(store, why, why_max);
	sqlite3_finalize(statement);
	return err;
}

/* Two seeks in the index for each lane of a node that has entries: no scan, however many entries there are. */
static enum pl_err read_heads(struct pl_store *store, char *why, size_t why_max)
{
	uint64_t gseq;
	uint8_t id[PL_ID_BYTES];

	for (uint16_t node = 0; node < PL_NODES_MAX; node++) {
		bool is_own = memcmp(store->node_ids[node], store->node_id, PL_NODE_ID_BYTES) == 0;

		for (uint8_t lane = 0; store->node_known[node] && lane < PL_LANES; lane++) {
			enum pl_err err = pl_sql_head(store, node, lane, &store->head[node][lane], &gseq, id);

			if (err == PL_ERR_CORRUPT)
				return pl_why(why, why_max, err, "%s is damaged: the end of a lane cannot be read. OPERATING.md, \"Backups\", says what to do.", store->path);
			if (err)
				return say_sql(store, why, why_max);
			store->stats.entries += store->head[node][lane];
			if (is_own)
				store->own_head[lane] = store->head[node][lane];
		}
	}
	return PL_OK;
}

/* What was found once holds: a store that has got back from its peers what it lacked may still lack something that none of them has. */
static enum pl_err remember_freeze(struct pl_store *store, char *why, size_t why_max)
{
	sqlite3_stmt *s;
	enum pl_err err = PL_OK;
	int rc;

	if (store->sidecar.is_older && pl_sql_freeze(store, store->sidecar.why) != PL_OK)
		return say_sql(store, why, why_max);
	s = pl_store_prepare(store->db, "SELECT value FROM meta WHERE key = 'feed_frozen'");
	rc = s ? sqlite3_step(s) : SQLITE_ERROR;
	if (rc == SQLITE_ROW) { /* and its reason, whatever follows from it since */
		const char *text = (const char *)sqlite3_column_text(s, 0);

		store->sidecar.frozen = true;
		snprintf(store->sidecar.why, sizeof(store->sidecar.why), "%s", text ? text : "This store was found to be older than its node.");
	} else if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
		err = say_sql(store, why, why_max);
	}
	sqlite3_reset(s);
	return err;
}

/* The sidecar is made before the store, and names it by the same random number. */
static enum pl_err make_store(struct pl_store *store, const char *sidecar_path, const char *frozen, char *why, size_t why_max)
{
	static const uint64_t none[PL_LANES];
	uint8_t incarnation[PL_INCARNATION_BYTES];
	enum pl_err err;

	randombytes_buf(incarnation, sizeof(incarnation));
	err = pl_sidecar_open(&store->sidecar, sidecar_path, incarnation, none, true, why, why_max);
	if (!err)
		err = exec(store, "BEGIN IMMEDIATE", why, why_max);
	if (!err && pl_schema_migrate(store->db, 0) != PL_OK)
		err = say_sql(store, why, why_max);
	if (!err)
		err = write_meta(store, "network_id", store->network_id, PL_ID_BYTES, why, why_max);
	if (!err)
		err = write_meta(store, "node_id", store->node_id, PL_NODE_ID_BYTES, why, why_max);
	if (!err)
		err = write_meta(store, "incarnation", incarnation, PL_INCARNATION_BYTES, why, why_max);
	/* In one transaction with the rest: no moment, and no crash, leaves a store that may author. */
	if (!err && frozen)
		err = write_meta(store, "feed_frozen", (const uint8_t *)frozen, (int)strlen(frozen), why, why_max);
	return err ? err : exec(store, "COMMIT", why, why_max);
}

static enum pl_err bring_forward(struct pl_store *store, int version, char *why, size_t why_max)
{
	enum pl_err err;

	if (version == pl_schema_latest())
		return PL_OK;
	err = exec(store, "BEGIN IMMEDIATE", why, why_max);
	if (!err && pl_schema_migrate(store->db, version) != PL_OK)
		err = say_sql(store, why, why_max);
	return err ? err : exec(store, "COMMIT", why, why_max);
}

/* Reading a store that was closed in order makes an empty WAL, which goes again with a store that is turned away; not where SQLite itself
 * has failed, since then the file may be another process's. The lock is still held. */
static void remove_empty_wal(const struct pl_store *store, const char *wal_path)
{
	const int rc = sqlite3_errcode(store->db) & 0xff;
	struct stat st;

	if ((rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE) && stat(wal_path, &st) == 0 && st.st_size == 0)
		(void)unlink(wal_path);
}

static enum pl_err open_checked(struct pl_store *store, const char *made_frozen, char *why, size_t why_max)
{
	uint8_t incarnation[PL_INCARNATION_BYTES];
	char sidecar_path[PATH_MAX + 8], wal_path[PATH_MAX + 8];
	int version = 0;
	enum pl_err err = make_file(store->path, why, why_max);

	snprintf(wal_path, sizeof(wal_path), "%s-wal", store->path);
	const bool had_wal = access(wal_path, F_OK) == 0;

	if (!err)
		err = connect_db(store, why, why_max);
	if (!err)
		err = check_identity(store, &version, why, why_max);
	if (!err && made_frozen && version != 0)
		err = pl_why(why, why_max, PL_ERR_EXISTS, "%s is a store already.", store->path);
	if (err && !had_wal && store->db)
		remove_empty_wal(store, wal_path);
	if (err)
		return err;

	if (chmod(store->path, 0600) != 0)
		return pl_why(why, why_max, PL_ERR_IO, "%s cannot be kept from other users: %s.", store->path, strerror(errno));
	snprintf(sidecar_path, sizeof(sidecar_path), "%s.feed", store->path);
	/* The worker checkpoints when nothing waits; page_size counts for a new file only. */
	err = exec(store, "PRAGMA page_size=4096; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;"
	                  "PRAGMA journal_size_limit=67108864;", why, why_max);
	if (!err)
		err = version == 0 ? make_store(store, sidecar_path, made_frozen, why, why_max) : bring_forward(store, version, why, why_max);
	if (!err && pl_sql_prepare_all(store) != PL_OK)
		err = say_sql(store, why, why_max);
	if (!err)
		err = read_nodes(store, why, why_max);
	if (!err)
		err = read_heads(store, why, why_max);
	if (!err && version != 0) {
		err = read_meta(store, "incarnation", incarnation, PL_INCARNATION_BYTES, why, why_max);
		if (!err)
			err = pl_sidecar_open(&store->sidecar, sidecar_path, incarnation, store->own_head, false, why, why_max);
	}
	return err ? err : remember_freeze(store, why, why_max);
}

void pl_store_free(struct pl_store *store)
{
	sqlite3_stmt *statement;

	while (store->db && (statement = sqlite3_next_stmt(store->db, NULL)))
		sqlite3_finalize(statement);
	sqlite3_close(store->db);
	pl_sidecar_close(&store->sidecar);
	pl_acks_dispose(&store->acks);
	uv_cond_destroy(&store->cond);
	uv_mutex_destroy(&store->mutex);
	free(store);
}

static enum pl_err open_store(const char *path, const uint8_t network_id[PL_ID_BYTES], const uint8_t node_id[PL_NODE_ID_BYTES],
                              const char *made_frozen, struct pl_store **out, char *why, size_t why_max)
{
	struct pl_store *store;
	enum pl_err err;

	if (strlen(path) + 32 > PATH_MAX)
		return pl_why(why, why_max, PL_ERR_LIMIT, "The path of the store is too long.");
	store = calloc(1, sizeof(*store));
	if (!store)
		return pl_why(why, why_max, PL_ERR_MEMORY, "There is not enough memory to open %s.", path);
	store->sidecar.fd = -1;
	store->tuning = pl_store_tuning;
	snprintf(store->path, sizeof(store->path), "%s", path);
	memcpy(store->network_id, network_id, PL_ID_BYTES);
	memcpy(store->node_id, node_id, PL_NODE_ID_BYTES);
	store->stats.writable = true;
	if (uv_mutex_init(&store->mutex) != 0) {
		free(store);
		return pl_why(why, why_max, PL_ERR_MEMORY, "There is not enough memory to open %s.", path);
	}
	if (uv_cond_init(&store->cond) != 0) {
		uv_mutex_destroy(&store->mutex);
		free(store);
		return pl_why(why, why_max, PL_ERR_MEMORY, "There is not enough memory to open %s.", path);
	}
	err = open_checked(store, made_frozen, why, why_max);
	if (err) {
		pl_store_free(store);
		return err;
	}
	*out = store;
	return PL_OK;
}

enum pl_err pl_store_open(const char *path, const uint8_t network_id[PL_ID_BYTES], const uint8_t node_id[PL_NODE_ID_BYTES],
                          struct pl_store **out, char *why, size_t why_max)
{
	return open_store(path, network_id, node_id, NULL, out, why, why_max);
}

enum pl_err pl_store_make_frozen(const char *path, const uint8_t network_id[PL_ID_BYTES], const uint8_t node_id[PL_NODE_ID_BYTES],
                                 const char *reason, char *why, size_t why_max)
{
	struct pl_store *store;
	enum pl_err err = open_store(path, network_id, node_id, reason, &store, why, why_max);

	if (!err)
		pl_store_free(store);
	return err;
}

enum pl_err pl_store_check_charter(const struct pl_store *store, const struct pl_charter *charter, char *why, size_t why_max)
{
	for (uint16_t node = 0; node < PL_NODES_MAX; node++)
		if (store->node_known[node] && (node >= charter->nodes_count ||
		    memcmp(charter->nodes[node].certificate.node_id, store->node_ids[node], PL_NODE_ID_BYTES) != 0))
			return pl_why(why, why_max, PL_ERR_REFUSED, "%s holds entries of a node that stands at place %d, where this charter has another.",
			           store->path, node);
	return PL_OK;
}

enum pl_err pl_store_feed_state(const struct pl_store *store, char *why, size_t why_max)
{
	snprintf(why, why_max, "%s", store->sidecar.why);
	return store->sidecar.frozen ? PL_ERR_FORK : PL_OK;
}

enum pl_err pl_store_each_head(struct pl_store *store, void (*each)(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, uint64_t gseq,
                               const uint8_t id[PL_ID_BYTES]), void *ctx)
{
	uint64_t seq, gseq;
	uint8_t id[PL_ID_BYTES];

	assert(!store->is_started);
	for (uint16_t node = 0; node < PL_NODES_MAX; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			enum pl_err err = store->head[node][lane] ? pl_sql_head(store, node, lane, &seq, &gseq, id) : PL_OK;

			if (err)
				return err;
			if (store->head[node][lane])
				each(ctx, node, lane, seq, gseq, id);
		}
	}
	return PL_OK;
}

enum pl_err pl_store_each_ack(struct pl_store *store, void (*each)(void *ctx, uint16_t peer, uint16_t node, uint8_t lane, uint64_t seq),
                              void *ctx)
{
	sqlite3_stmt *s = pl_store_prepare(store->db, "SELECT peer, node, lane, seq FROM peer_ack");
	enum pl_err err = s ? PL_OK : pl_store_sql_err(store->db);

	assert(!store->is_started);
	while (pl_sql_next_row(store, s, &err)) {
		int peer = sqlite3_column_int(s, 0), node = sqlite3_column_int(s, 1), lane = sqlite3_column_int(s, 2);
		sqlite3_int64 seq = sqlite3_column_int64(s, 3);

		if (peer < 0 || peer >= PL_NODES_MAX || node < 0 || node >= PL_NODES_MAX || lane < 0 || lane >= PL_LANES || seq < 1)
			err = PL_ERR_CORRUPT;
		else
			each(ctx, (uint16_t)peer, (uint16_t)node, (uint8_t)lane, (uint64_t)seq);
	}
	return err;
}

enum pl_err pl_store_each_fork(struct pl_store *store, void (*each)(void *ctx, uint16_t node, const uint8_t header_a[PL_ENTRY_HEADER_BYTES],
                                const uint8_t header_b[PL_ENTRY_HEADER_BYTES]), void *ctx)
{
	sqlite3_stmt *s = pl_store_prepare(store->db, "SELECT node, header_a, header_b FROM proof ORDER BY id");
	enum pl_err err = s ? PL_OK : pl_store_sql_err(store->db);

	assert(!store->is_started);
	while (pl_sql_next_row(store, s, &err)) {
		int node = sqlite3_column_int(s, 0);

		if (node < 0 || node >= PL_NODES_MAX || sqlite3_column_bytes(s, 1) != PL_ENTRY_HEADER_BYTES ||
		    sqlite3_column_bytes(s, 2) != PL_ENTRY_HEADER_BYTES)
			err = PL_ERR_CORRUPT;
		else
			each(ctx, (uint16_t)node, sqlite3_column_blob(s, 1), sqlite3_column_blob(s, 2));
	}
	return err;
}

uint64_t pl_store_lane_kept_bytes(struct pl_store *store, uint16_t node, uint8_t lane)
{
	sqlite3_stmt *s = pl_store_prepare(store->db, "SELECT bytes FROM taken WHERE node = ?1 AND lane = ?2");
	uint64_t bytes = 0;

	if (!s)
		return 0;
	sqlite3_bind_int(s, 1, node);
	sqlite3_bind_int(s, 2, lane);
	if (sqlite3_step(s) == SQLITE_ROW)
		bytes = (uint64_t)sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return bytes;
}

sqlite3 *pl_store_db(struct pl_store *store)
{
	assert(!store->is_started);
	return store->db;
}
