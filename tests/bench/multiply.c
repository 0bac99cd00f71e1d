/* Fills a stopped node's store with copies of the messages that it has, so that a restart with many can be measured without sending them.
 * Usage: multiply STORE COUNT */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static const char sql[] =
	"INSERT INTO hotline_message (id, node, lane, seq, entry_id, box, precedence, sent, received, exercise, attachments, unread, accepted,"
	" unfinished, head, text, cek)"
	" WITH RECURSIVE number (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM number WHERE i < %d)"
	" SELECT randomblob(16), m.node, m.lane, 1000000 + i, randomblob(32), m.box, m.precedence, m.sent + i, m.received + i, m.exercise, 0, i %% 7 = 0,"
	" m.accepted, 0, m.head, m.text, m.cek"
	" FROM number, (SELECT * FROM hotline_message ORDER BY n LIMIT 1) AS m";

int main(int argc, char **argv)
{
	sqlite3 *db;
	char statement[2048], *why = NULL;

	if (argc != 3 || sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
		return 1;
	snprintf(statement, sizeof(statement), sql, atoi(argv[2]));
	if (sqlite3_exec(db, statement, NULL, NULL, &why) != SQLITE_OK) {
		fprintf(stderr, "multiply: %s\n", why);
		return 1;
	}
	printf("%d messages added\n", sqlite3_changes(db));
	sqlite3_close(db);
	return 0;
}
