/* Rows of table indicator, as lists, single objects and export read them, a piece at a time that keeps the store's worker free. All of
 * it on the worker's thread. */
#ifndef PL_NODE_INDICATOR_ROWS_H
#define PL_NODE_INDICATOR_ROWS_H

#include "node/indicator/indicator_impl.h"

/* A job looks at so many rows and makes room for others: about a millisecond of the worker. */
#define PL_INDICATOR_ROWS_PER_JOB 200

/* Columns of every statement here. name and object stand last, since they may lie on pages of their own. */
#define PL_INDICATOR_COLUMNS "i.n, i.stix_id, i.type, i.modified, i.tlp, i.received_ms, i.bytes, i.sha256, i.ahead, i.name, i.object"
enum pl_indicator_column {
	PL_COLUMN_N,
	PL_COLUMN_ID,
	PL_COLUMN_TYPE,
	PL_COLUMN_MODIFIED,
	PL_COLUMN_TLP,
	PL_COLUMN_RECEIVED,
	PL_COLUMN_BYTES,
	PL_COLUMN_SHA256,
	PL_COLUMN_AHEAD,
	PL_COLUMN_NAME,
	PL_COLUMN_OBJECT
};

/* The rows of the one part of a filter that has an index, from a place on; pl_indicator_matches() judges the rest. NULL:
 * pl_store_sql_err(). */
sqlite3_stmt *pl_indicator_select(sqlite3 *db, const struct pl_indicator_filter *filter, bool newest_first, uint64_t from, unsigned rows);
PL_MUST_CHECK enum pl_err pl_indicator_matches(const struct pl_indicator_part *part, const struct pl_indicator_filter *filter,
                                               sqlite3_stmt *row, bool *yes);
/* Whether the row's bytes are a version by the member whose node brought the id here first; the node goes into *owner. */
PL_MUST_CHECK enum pl_err pl_indicator_is_by_owner(const struct pl_indicator_part *part, sqlite3 *db, sqlite3_stmt *row, uint16_t *owner, bool *yes);
/* A sealed column, opened into a malloc'd string with a NUL behind it. PL_ERR_CORRUPT: damaged, see below. */
PL_MUST_CHECK enum pl_err pl_indicator_open(const struct pl_indicator_part *part, sqlite3_stmt *row, enum pl_indicator_column column,
                                            uint8_t **out, size_t *count);
/* The list item. */
PL_MUST_CHECK enum pl_err pl_indicator_describe(const struct pl_indicator_part *part, sqlite3 *db, sqlite3_stmt *row, json_t **out);
void pl_indicator_log_damaged(sqlite3_stmt *row);

#endif
