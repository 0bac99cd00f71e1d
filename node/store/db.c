#include "node/store/db.h"

#include <stdlib.h>
#include <string.h>

#include "node/store/store.h"

void pl_db_bind_u64(sqlite3_stmt *statement, int index, uint64_t value)
{
	sqlite3_bind_int64(statement, index, (sqlite3_int64)value);
}

void pl_db_bind_blob(sqlite3_stmt *statement, int index, const void *bytes, size_t count)
{
	if (bytes)
		sqlite3_bind_blob64(statement, index, bytes, count, SQLITE_STATIC);
	else
		sqlite3_bind_null(statement, index);
}

uint64_t pl_db_u64(sqlite3_stmt *statement, int column)
{
	return (uint64_t)sqlite3_column_int64(statement, column);
}

enum pl_err pl_db_take(sqlite3_stmt *statement, int column, void *out, size_t count)
{
	const void *bytes = sqlite3_column_blob(statement, column);
	if (!bytes || (size_t)sqlite3_column_bytes(statement, column) != count)
		return PL_ERR_CORRUPT;
	memcpy(out, bytes, count);
	return PL_OK;
}

enum pl_err pl_db_copy(sqlite3_stmt *statement, int column, uint8_t **out, size_t *count)
{
	if (sqlite3_column_type(statement, column) == SQLITE_NULL) {
		*out = NULL;
		*count = 0;
		return PL_OK;
	}
	const void *bytes = sqlite3_column_blob(statement, column);
	size_t bytes_count = (size_t)sqlite3_column_bytes(statement, column);
	uint8_t *copy = malloc(bytes_count + 1);
	if (!copy || (!bytes && bytes_count > 0)) {
		free(copy);
		return PL_ERR_MEMORY;
	}
	if (bytes_count > 0)
		memcpy(copy, bytes, bytes_count);
	*out = copy;
	*count = bytes_count;
	return PL_OK;
}

int pl_db_step(sqlite3_stmt *statement, enum pl_err *err)
{
	int rc = sqlite3_step(statement);
	if (rc == SQLITE_ROW)
		return 1;
	if (rc != SQLITE_DONE)
		*err = pl_store_sql_err(sqlite3_db_handle(statement));
	pl_db_reset(statement);
	return rc == SQLITE_DONE ? 0 : -1;
}

enum pl_err pl_db_run(sqlite3_stmt *statement)
{
	enum pl_err err = PL_OK;
	int rc;
	while ((rc = sqlite3_step(statement)) == SQLITE_ROW)
		;
	if (rc != SQLITE_DONE)
		err = pl_store_sql_err(sqlite3_db_handle(statement));
	pl_db_reset(statement);
	return err;
}

void pl_db_reset(sqlite3_stmt *statement)
{
	sqlite3_reset(statement);
	sqlite3_clear_bindings(statement);
}
