#include "node/store/store_schema.h"

#include <stdio.h>

#include "node/store/store.h"

const struct pl_migration pl_migrations[] = {
	{1, "base", pl_schema_base},
	{2, "hotline", pl_schema_hotline},
	{3, "indicator", pl_schema_indicator},
	{4, "message", pl_schema_message},
	{5, "epoch", pl_schema_epoch},
	{6, "bulk", pl_schema_bulk},
	{7, "indicator owner", pl_schema_indicator_owner},
	{8, "taken", pl_schema_taken},
	{9, "kept", pl_schema_kept},
	{10, "again", pl_schema_again},
	{11, "attachment", pl_schema_attachment},
	{12, "turn", pl_schema_turn},
	{13, "anchor", pl_schema_anchor},
	{14, "page", pl_schema_page},
};
const int pl_migrations_count = sizeof(pl_migrations) / sizeof(pl_migrations[0]);

/* Rows of entry stand in order of arrival, so that writing always appends to the end of the tree, whatever lane an entry is of; the small
 * index by place takes the scattered inserts. header and body come last: a query for the columns before them reads no overflow page. */
const char pl_schema_base[] =
	"CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;"
	"CREATE TABLE node (idx INTEGER PRIMARY KEY, node_id BLOB NOT NULL) STRICT;"
	"CREATE TABLE entry ("
	" arrival INTEGER PRIMARY KEY,"
	" node INTEGER NOT NULL,"
	" lane INTEGER NOT NULL,"
	" seq INTEGER NOT NULL,"
	" gseq INTEGER NOT NULL,"
	" received_ms INTEGER NOT NULL,"
	" kind INTEGER NOT NULL,"
	" flags INTEGER NOT NULL,"
	" body_bytes INTEGER NOT NULL,"
	" id BLOB NOT NULL,"
	" header BLOB NOT NULL,"
	" body BLOB"
	") STRICT;"
	"CREATE UNIQUE INDEX entry_place ON entry (node, lane, seq);"
	"CREATE TABLE applied (node INTEGER, lane INTEGER, seq INTEGER NOT NULL, PRIMARY KEY (node, lane)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE peer_ack (peer INTEGER, node INTEGER, lane INTEGER, seq INTEGER NOT NULL,"
	" PRIMARY KEY (peer, node, lane)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE proof (id INTEGER PRIMARY KEY, node INTEGER NOT NULL, header_a BLOB NOT NULL, header_b BLOB NOT NULL,"
	" UNIQUE (header_a, header_b)) STRICT;";

/* What each author's bulk takes, so that it need not be counted at the start: 232 is PL_ENTRY_HEADER_BYTES. */
const char pl_schema_bulk[] =
	"CREATE TABLE bulk (node INTEGER PRIMARY KEY, bytes INTEGER NOT NULL) STRICT;"
	"INSERT INTO bulk SELECT node, sum(body_bytes + 232) FROM entry WHERE lane = 2 GROUP BY node;";

/* The same of all lanes. */
const char pl_schema_taken[] =
	"CREATE TABLE taken (node INTEGER, lane INTEGER, bytes INTEGER NOT NULL, PRIMARY KEY (node, lane)) STRICT, WITHOUT ROWID;"
	"INSERT INTO taken SELECT node, lane, sum(body_bytes + 232) FROM entry GROUP BY node, lane;"
	"DROP TABLE bulk;";

/* Indicators count eight times: PL_INDICATORS_KEPT; their kind is 5. */
const char pl_schema_kept[] =
	"UPDATE taken SET bytes = bytes + 7 * coalesce((SELECT sum(e.body_bytes + 232) FROM entry AS e"
	" WHERE e.node = taken.node AND e.lane = 2 AND e.kind = 5), 0) WHERE lane = 2;";

const char pl_schema_anchor[] = "CREATE TABLE anchor (node_id BLOB PRIMARY KEY) STRICT, WITHOUT ROWID;";

/* As pl_entry_kept_bytes() counts since: whole pages, of indicators (kind 5) eight times their bytes as before. r: a row's bytes; c: those in the
 * page of rows. */
const char pl_schema_page[] =
	"DELETE FROM taken;"
	"INSERT INTO taken SELECT node, lane, sum(CASE kind WHEN 5 THEN 8 * (r - 88)"
	" ELSE (r - c + 4091) / 4092 * 4096 + 4096 / (4088 / (c + 2)) + CASE kind WHEN 6 THEN 128 ELSE 32 END END)"
	" FROM (SELECT node, lane, kind, r, CASE WHEN r <= 4061 THEN r WHEN 489 + (r - 489) % 4092 <= 4061 THEN 489 + (r - 489) % 4092 ELSE 489 END AS c"
	" FROM (SELECT node, lane, kind, body_bytes + 320 AS r FROM entry)) GROUP BY node, lane;";

int pl_schema_latest(void)
{
	return pl_migrations[pl_migrations_count - 1].number;
}

enum pl_err pl_schema_migrate(sqlite3 *db, int from)
{
	char pragma[96];

	for (int i = 0; i < pl_migrations_count; i++) {
		if (pl_migrations[i].number <= from)
			continue;
		if (sqlite3_exec(db, pl_migrations[i].sql, NULL, NULL, NULL) != SQLITE_OK)
			return pl_store_sql_err(db);
		snprintf(pragma, sizeof(pragma), "PRAGMA application_id=%d; PRAGMA user_version=%d", PL_STORE_APPLICATION_ID, pl_migrations[i].number);
		if (sqlite3_exec(db, pragma, NULL, NULL, NULL) != SQLITE_OK)
			return pl_store_sql_err(db);
	}
	return PL_OK;
}
