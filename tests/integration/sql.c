/* sql: runs statements on a store whose daemon has ended, to plant what a test is to find.
 *
 *   sql FILE STATEMENT…
 *
 * Prints a row a line, its values separated by tabs, blobs in hexadecimal digits. Exit code 1: SQLite says no, and why on stderr.
 */
#include <sqlite3.h>
#include <stdio.h>

static void print_value(sqlite3_stmt *statement, int column)
{
	if (sqlite3_column_type(statement, column) == SQLITE_BLOB) {
		const unsigned char *bytes = sqlite3_column_blob(statement, column);
		for (int i = 0; i < sqlite3_column_bytes(statement, column); i++)
			printf("%02x", bytes[i]);
	} else {
		const unsigned char *text = sqlite3_column_text(statement, column);
		fputs(text ? (const char *)text : "", stdout);
	}
}

static int run(sqlite3 *db, const char *text)
{
	sqlite3_stmt *statement;
	int rc = sqlite3_prepare_v2(db, text, -1, &statement, NULL);

	while (rc == SQLITE_OK && (rc = sqlite3_step(statement)) == SQLITE_ROW) {
		for (int column = 0; column < sqlite3_column_count(statement); column++) {
			if (column > 0)
				putchar('\t');
			print_value(statement, column);
		}
		putchar('\n');
		rc = SQLITE_OK;
	}
	sqlite3_finalize(statement);
	return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

int main(int argc, char **argv)
{
	sqlite3 *db = NULL;

	if (argc < 3) {
		fputs("usage: sql FILE STATEMENT…\n", stderr);
		return 2;
	}
	int rc = sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL);
	for (int i = 2; i < argc && rc == SQLITE_OK; i++)
		rc = run(db, argv[i]);
	if (rc != SQLITE_OK)
		fprintf(stderr, "sql: %s: %s\n", argv[1], db ? sqlite3_errmsg(db) : "out of memory");
	sqlite3_close(db);
	return rc == SQLITE_OK ? 0 : 1;
}
