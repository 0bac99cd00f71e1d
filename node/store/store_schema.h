/* The schema of store.db, as a list of migrations.
 *
 * A migration is appended, never edited: a store anywhere may already have run it. The store records the number of the last one in
 * PRAGMA user_version and runs those above it, in order, in one transaction, at open. A store with a number that this list does not reach
 * was written by a newer parleyd and is refused untouched.
 *
 * To add tables for a module: write node/MODULE/schema_MODULE.c with `const char pl_schema_MODULE[] = "CREATE TABLE …"`, declare it below, and add
 * a line with the next number to the list in store_schema.c. Numbers ascend. Name the tables after the module, make them STRICT.
 *
 * The base tables (migration 1), for those who read them in jobs:
 *   meta      key, value               network_id, node_id, incarnation (16 random bytes, made with the store); feed_frozen: a sentence, if
 *                                      this store was found to be older than its node
 *   node      idx, node_id             which node an index means here; written with the first entry of the index
 *   entry     arrival, node, lane, seq, gseq, received_ms, kind, flags, body_bytes, id, header, body
 *                                      arrival ascends in the order of commits; unique by (node, lane, seq); body is NULL once dropped
 *   applied   node, lane, seq          how far the application has worked; written by apply.c
 *   peer_ack  peer, node, lane, seq    what a peer holds durably (custody)
 *   taken     node, lane, bytes        what the entries of a lane count, pl_entry_kept_bytes(); so that it need not be added up at the start
 *   proof     id, node, header_a, header_b    equivocation, two signed headers
 *   anchor    node_id                  neighbours to be dialled first after a restart
 */
#ifndef PL_NODE_STORE_SCHEMA_H
#define PL_NODE_STORE_SCHEMA_H

#include <sqlite3.h>

#include "crypto/err.h"

#define PL_STORE_APPLICATION_ID 0x50524c59 /* "PRLY", in the file's header: file(1) and we tell it from other databases */

struct pl_migration {
	int number;
	const char *name;
	const char *sql; /* may be several statements */
};
extern const struct pl_migration pl_migrations[];
extern const int pl_migrations_count;

extern const char pl_schema_again[];
extern const char pl_schema_anchor[];
extern const char pl_schema_attachment[];
extern const char pl_schema_base[];
extern const char pl_schema_bulk[];
extern const char pl_schema_hotline[];
extern const char pl_schema_indicator[];
extern const char pl_schema_indicator_owner[];
extern const char pl_schema_kept[];
extern const char pl_schema_message[];
extern const char pl_schema_page[];
extern const char pl_schema_taken[];
extern const char pl_schema_turn[];
extern const char pl_schema_epoch[];

/* The last number in the list. */
int pl_schema_latest(void);
/* Runs the migrations above `from`, inside the caller's transaction, and sets application_id and user_version. Also for tests that want the
 * tables in a database of their own (from 0). SQLite's message is left in sqlite3_errmsg(db). PL_ERR_IO, or as pl_store_sql_err(). */
PL_MUST_CHECK enum pl_err pl_schema_migrate(sqlite3 *db, int from);

#endif
