/* Short words for SQLite in jobs of the store: bind, run, take. Worker thread, or set-up before it runs.
 *
 * Unsigned 64-bit numbers are kept as SQLite's signed ones with the same bits; what is compared or ordered by SQL stays below 2^63 (times,
 * seqs).
 */
#ifndef PL_NODE_DB_H
#define PL_NODE_DB_H

#include <sqlite3.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"

void pl_db_bind_u64(sqlite3_stmt *statement, int index, uint64_t value);
void pl_db_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, size_t count); /* not copied; NULL bytes: NULL */
uint64_t pl_db_u64(sqlite3_stmt *statement, int column);
/* Exactly count bytes, else PL_ERR_CORRUPT. */
PL_MUST_CHECK enum pl_err pl_db_take(sqlite3_stmt *statement, int column, void *out, size_t count);
/* A malloc'd copy. NULL column: *out NULL, *count 0. PL_ERR_MEMORY. */
PL_MUST_CHECK enum pl_err pl_db_copy(sqlite3_stmt *statement, int column, uint8_t **out, size_t *count);

/* Next row: 1 a row, 0 the end (reset), -1 an error (reset, *err set: pl_store_sql_err()). */
int pl_db_step(sqlite3_stmt *statement, enum pl_err *err);
/* Runs a statement that gives no rows, and resets it; pl_store_sql_err(). */
PL_MUST_CHECK enum pl_err pl_db_run(sqlite3_stmt *statement);
void pl_db_reset(sqlite3_stmt *statement); /* and clears what was bound */

#endif
