#include <criterion/criterion.h>
#include <errno.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/store/db.h"

/* SQLite's own VFS, but for a user who can use up a quota: the kernel then says EDQUOT. */
static sqlite3_vfs *own_vfs, quota_vfs;
static const sqlite3_io_methods *own_methods;
static sqlite3_io_methods quota_methods;
static bool is_used_up;

static int quota_write(sqlite3_file *file, const void *bytes, int count, sqlite3_int64 offset)
{
	return is_used_up ? SQLITE_IOERR_WRITE : own_methods->xWrite(file, bytes, count, offset);
}

static int quota_last_error(sqlite3_vfs *vfs, int count, char *text)
{
	return is_used_up ? EDQUOT : own_vfs->xGetLastError(vfs, count, text);
}

static int quota_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out_flags)
{
	const int rc = own_vfs->xOpen(vfs, name, file, flags, out_flags);
	if (rc == SQLITE_OK) {
		own_methods = file->pMethods;
		quota_methods = *own_methods;
		quota_methods.xWrite = quota_write;
		file->pMethods = &quota_methods;
	}
	return rc;
}

static sqlite3 *open_db(const char *vfs, const char *path)
{
	sqlite3 *db;
	cr_assert_eq(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, "CREATE TABLE t (n INTEGER PRIMARY KEY, bytes BLOB) STRICT", NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *statement;
	cr_assert_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	return statement;
}

Test(db, a_quota_that_is_used_up_is_a_full_disk)
{
	char folder[] = "/tmp/db_test.XXXXXX", path[64];
	cr_assert_not_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/db", folder);
	own_vfs = sqlite3_vfs_find("unix");
	quota_vfs = *own_vfs;
	quota_vfs.zName = "quota";
	quota_vfs.xOpen = quota_open;
	quota_vfs.xGetLastError = quota_last_error;
	cr_assert_eq(sqlite3_vfs_register(&quota_vfs, 0), SQLITE_OK);
	sqlite3 *db = open_db("quota", path);
	sqlite3_stmt *insert = prepare(db, "INSERT INTO t (bytes) VALUES (zeroblob(9000))");
	sqlite3_stmt *returning = prepare(db, "INSERT INTO t (bytes) VALUES (zeroblob(9000)) RETURNING n");
	enum pl_err err = PL_OK;

	cr_assert_eq(pl_db_run(insert), PL_OK);
	is_used_up = true;
	cr_assert_eq(pl_db_run(insert), PL_ERR_DISK_FULL);
	while (pl_db_step(returning, &err) == 1)
		;
	cr_assert_eq(err, PL_ERR_DISK_FULL);
	is_used_up = false;
	cr_assert_eq(pl_db_run(insert), PL_OK, "it goes on when there is room again");

	sqlite3_finalize(insert);
	sqlite3_finalize(returning);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
	remove(path);
	remove(folder);
}

Test(db, errors_are_those_that_store_h_names)
{
	sqlite3 *db = open_db(NULL, ":memory:");
	sqlite3_stmt *insert = prepare(db, "INSERT INTO t (n, bytes) VALUES (?1, zeroblob(?2))");

	sqlite3_bind_int(insert, 1, 1);
	sqlite3_bind_int(insert, 2, 10);
	cr_assert_eq(pl_db_run(insert), PL_OK);
	sqlite3_bind_int(insert, 1, 1);
	cr_assert_eq(pl_db_run(insert), PL_ERR_EXISTS);
	cr_assert_eq(sqlite3_exec(db, "PRAGMA max_page_count = 4", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_bind_int(insert, 1, 2);
	sqlite3_bind_int(insert, 2, 1000000);
	cr_assert_eq(pl_db_run(insert), PL_ERR_DISK_FULL);
	sqlite3_finalize(insert);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

Test(db, columns_are_taken_whole)
{
	sqlite3 *db = open_db(NULL, ":memory:");
	sqlite3_stmt *select = prepare(db, "SELECT x'010203', NULL, -1");
	enum pl_err err = PL_OK;
	uint8_t three[3], *copy;
	size_t count;

	cr_assert_eq(pl_db_step(select, &err), 1);
	cr_assert_eq(pl_db_take(select, 0, three, 3), PL_OK);
	cr_assert_eq(three[2], 3);
	cr_assert_eq(pl_db_take(select, 0, three, 2), PL_ERR_CORRUPT);
	cr_assert_eq(pl_db_take(select, 1, three, 3), PL_ERR_CORRUPT);
	cr_assert_eq(pl_db_copy(select, 0, &copy, &count), PL_OK);
	cr_assert(count == 3 && copy[0] == 1);
	free(copy);
	cr_assert_eq(pl_db_copy(select, 1, &copy, &count), PL_OK);
	cr_assert(copy == NULL && count == 0);
	cr_assert_eq(pl_db_u64(select, 2), UINT64_MAX);
	cr_assert_eq(pl_db_step(select, &err), 0);
	cr_assert_eq(err, PL_OK);
	sqlite3_finalize(select);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}
