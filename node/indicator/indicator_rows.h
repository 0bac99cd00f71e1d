/* Rows of table indicator, as lists, single objects and export read them, a piece at a time that keeps the store's worker free. All of
 * it on the worker's thread. */
#ifndef PL_NODE_INDICATOR_ROWS_H
#define PL_NODE_INDICATOR_ROWS_H

#include "node/indicator/indicator_impl.h"

/* A job looks at so many rows and makes room for others: about a millisecond of the worker. */
#define PL_INDICATOR_ROWS_PER_JOB 200
/* And so many bytes of objects: a row is read whole, and 200 large ones are 25 MB. */
#define PL_INDICATOR_BYTES_PER_JOB 262144

/* Columns of every statement here. name and object stand last, since they may lie on pages of their own. */
#define PL_INDICATOR_COLUMNS "i.n, i.stix_id, i.type, i.modified, i.modified_us, i.tlp, i.received_ms, i.bytes, i.sha256, i.ahead, i.name, i.object"
enum pl_indicator_column {
	PL_COLUMN_N,
	PL_COLUMN_ID,
	PL_COLUMN_TYPE,
	PL_COLUMN_MODIFIED,
	PL_COLUMN_MODIFIED_US,
	PL_COLUMN_TLP,
	PL_COLUMN_RECEIVED,
	PL_COLUMN_BYTES,
	PL_COLUMN_SHA256,
	PL_COLUMN_AHEAD,
	PL_COLUMN_NAME,
	PL_COLUMN_OBJECT
};

/* The rows of the one part of a filter that has an index, the newest first, from a place on; pl_indicator_matches() judges the rest. NULL:
 * pl_store_sql_err(). */
sqlite3_stmt *pl_indicator_select(sqlite3 *db, const struct pl_indicator_filter *filter, uint64_t from, unsigned rows);
/* In an order that is the same at every node: by id, then time of the version, then SHA-256. */
struct pl_indicator_key {
	char stix_id[PL_STIX_ID_BYTES_MAX + 1];
	int64_t modified_us;
	uint8_t sha256[32];
};
/* Rows after a key (all 0: the first) in that order, of the filter's type if it names one; pl_indicator_matches() and pl_indicator_is_shared_by() judge
 * the rest. after: as long as the statement. NULL: pl_store_sql_err(). */
sqlite3_stmt *pl_indicator_select_by_key(sqlite3 *db, const struct pl_indicator_filter *filter, const struct pl_indicator_key *after, unsigned rows);
PL_MUST_CHECK enum pl_err pl_indicator_key_take(sqlite3_stmt *row, struct pl_indicator_key *out);
PL_MUST_CHECK enum pl_err pl_indicator_matches(const struct pl_indicator_part *part, const struct pl_indicator_filter *filter,
                                               sqlite3_stmt *row, bool *yes);
/* Whether the row's bytes are a version by the member whose node brought the id here first; the node goes into *owner. */
PL_MUST_CHECK enum pl_err pl_indicator_is_by_owner(const struct pl_indicator_part *part, sqlite3 *db, sqlite3_stmt *row, uint16_t *owner, bool *yes);
/* Whether this node has shared the row's bytes. */
PL_MUST_CHECK enum pl_err pl_indicator_is_shared_by(sqlite3 *db, sqlite3_stmt *row, uint16_t node, bool *yes);
/* A sealed column, opened into a malloc'd string with a NUL behind it. PL_ERR_CORRUPT: damaged, see below. */
PL_MUST_CHECK enum pl_err pl_indicator_open(const struct pl_indicator_part *part, sqlite3_stmt *row, enum pl_indicator_column column,
                                            uint8_t **out, size_t *count);
/* The list item. */
PL_MUST_CHECK enum pl_err pl_indicator_describe(const struct pl_indicator_part *part, sqlite3 *db, sqlite3_stmt *row, json_t **out);
void pl_indicator_log_damaged(sqlite3_stmt *row);

#endif
