#include <signal.h>
#include <sys/wait.h>

#include "node/store/store_fixture.h"
#include "node/store/store_schema.h"

static struct fixture f;

static void set_up(void)
{
	fixture_init(&f, "/tmp");
}

static void tear_down(void)
{
	fixture_dispose(&f);
}

TestSuite(store_file, .init = set_up, .fini = tear_down, .timeout = 30);

/* --- what is refused --- */

static uint64_t hash_file(const char *path)
{
	uint64_t hash = 14695981039346656037u;
	FILE *file = fopen(path, "rb");
	int c;

	if (!file)
		return 0;
	while ((c = fgetc(file)) != EOF)
		hash = (hash ^ (unsigned)c) * 1099511628211u;
	fclose(file);
	return hash;
}

/* A store with one entry in it, closed. */
static void make_store(void)
{
	fixture_start(&f);
	cr_assert_eq(fixture_append(&f, 1, 0, 1, 10, false), PL_OK);
	fixture_close(&f);
}

static void exec_on_file(const char *sql)
{
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(f.path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

Test(store_file, file_is_private)
{
	struct stat st;

	umask(0);
	fixture_start(&f);
	cr_assert_eq(fixture_append(&f, 1, 0, 1, 10, false), PL_OK);
	fixture_await(&f, &f.stored, 1);
	for (size_t i = 0; i < 3; i++) {
		static const char *const suffixes[] = {"", "-wal", ".feed"};
		char name[128];

		snprintf(name, sizeof(name), "%s%s", f.path, suffixes[i]);
		cr_assert_eq(stat(name, &st), 0, "%s", name);
		cr_assert_eq(st.st_mode & 0777, 0600, "%s has mode %o", name, st.st_mode & 0777);
	}
	fixture_close(&f);
	chmod(f.path, 0644);
	cr_assert_eq(fixture_open(&f), PL_OK);
	cr_assert_eq(stat(f.path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0600);
}

static bool has_wal(void)
{
	char wal[128];

	snprintf(wal, sizeof(wal), "%s-wal", f.path);
	return access(wal, F_OK) == 0;
}

Test(store_file, newer_schema_is_refused_untouched)
{
	uint64_t before;

	make_store();
	exec_on_file("PRAGMA user_version = 9999");
	before = hash_file(f.path);
	cr_assert_eq(fixture_open(&f), PL_ERR_VERSION);
	cr_assert_not_null(strstr(f.why, "9999"), "%s", f.why);
	cr_assert_eq(hash_file(f.path), before);
	cr_assert(!has_wal(), "nor is anything left beside it");
}

Test(store_file, newer_schema_is_refused_untouched_with_its_wal)
{
	char wal[128];
	uint64_t before, wal_before;
	pid_t pid;

	/* a newer parleyd that was killed: the schema number stands in the WAL only */
	make_store();
	pid = fork();
	if (pid == 0) {
		sqlite3 *db;

		if (sqlite3_open(f.path, &db) != SQLITE_OK ||
		    sqlite3_exec(db, "PRAGMA locking_mode=EXCLUSIVE; PRAGMA user_version = 9999", NULL, NULL, NULL) != SQLITE_OK)
			_exit(1);
		kill(getpid(), SIGKILL);
	}
	waitpid(pid, NULL, 0);
	snprintf(wal, sizeof(wal), "%s-wal", f.path);
	before = hash_file(f.path);
	wal_before = hash_file(wal);
	cr_assert_neq(wal_before, 0);
	cr_assert_eq(fixture_open(&f), PL_ERR_VERSION, "%s", f.why);
	cr_assert_eq(hash_file(f.path), before);
	cr_assert_eq(hash_file(wal), wal_before);
}

Test(store_file, other_network_and_other_node_are_refused)
{
	static const uint8_t other[32] = "something else";
	uint64_t before;

	make_store();
	before = hash_file(f.path);
	cr_assert_eq(pl_store_open(f.path, other, sample_self, &f.store, f.why, sizeof(f.why)), PL_ERR_NETWORK);
	cr_assert_eq(pl_store_open(f.path, sample_network, other, &f.store, f.why, sizeof(f.why)), PL_ERR_REFUSED);
	cr_assert_not_null(strstr(f.why, "another node"), "%s", f.why);
	cr_assert_eq(hash_file(f.path), before);
	cr_assert(!has_wal());
}

Test(store_file, foreign_files_are_refused_untouched)
{
	FILE *file;
	uint64_t before;

	exec_on_file("CREATE TABLE theirs (x)");
	before = hash_file(f.path);
	cr_assert_eq(fixture_open(&f), PL_ERR_CORRUPT);
	cr_assert_not_null(strstr(f.why, "not a Parley store"), "%s", f.why);
	cr_assert_eq(hash_file(f.path), before);

	file = fopen(f.path, "wb");
	for (int i = 0; i < 5000; i++)
		fputs("this is no database\n", file);
	fclose(file);
	before = hash_file(f.path);
	cr_assert_eq(fixture_open(&f), PL_ERR_CORRUPT);
	cr_assert_not_null(strstr(f.why, "not a Parley store"), "%s", f.why);
	cr_assert_eq(hash_file(f.path), before);
	cr_assert_eq(pl_store_open("/nonexistent/store.db", sample_network, sample_self, &f.store, f.why, sizeof(f.why)), PL_ERR_IO);
}

Test(store_file, is_open_once)
{
	struct pl_store *second;
	pid_t pid;
	int status;

	fixture_start(&f);
	cr_assert_eq(pl_store_open(f.path, sample_network, sample_self, &second, f.why, sizeof(f.why)), PL_ERR_REFUSED);
	cr_assert_not_null(strstr(f.why, "in use"), "%s", f.why);
	pid = fork();
	if (pid == 0)
		_exit(pl_store_open(f.path, sample_network, sample_self, &second, f.why, sizeof(f.why)) == PL_ERR_REFUSED ? 0 : 1);
	waitpid(pid, &status, 0);
	cr_assert_eq(status, 0);
	cr_assert_eq(fixture_append(&f, 1, 0, 1, 10, false), PL_OK);
	fixture_await(&f, &f.stored, 1);
}

Test(store_file, an_index_means_one_node)
{
	struct pl_store_entry entry;
	uint8_t body[8];
	struct pl_charter *charter = calloc(1, sizeof(*charter));

	make_store();
	fixture_start(&f);
	sample_entry(&entry, body, 8, 2, 0, 2);
	entry.node = 1; /* where another node's entries stand */
	cr_assert_eq(pl_store_append(f.store, &entry), PL_ERR_REFUSED);

	charter->nodes_count = 2;
	sample_entry(&entry, body, 8, 1, 0, 1);
	memcpy(charter->nodes[1].certificate.node_id, entry.header + PL_AUTHOR_OFFSET, PL_NODE_ID_BYTES);
	cr_assert_eq(pl_store_check_charter(f.store, charter, f.why, sizeof(f.why)), PL_OK);
	charter->nodes[1].certificate.node_id[0] ^= 1;
	cr_assert_eq(pl_store_check_charter(f.store, charter, f.why, sizeof(f.why)), PL_ERR_REFUSED);
	charter->nodes[1].certificate.node_id[0] ^= 1;
	charter->nodes_count = 1;
	cr_assert_eq(pl_store_check_charter(f.store, charter, f.why, sizeof(f.why)), PL_ERR_REFUSED);
	free(charter);
}

/* What a store that is in use somewhere has run is never edited: a change is a new migration. When one is released, add its line here. */
static const struct {
	int number;
	uint64_t hash;
} released[] = {
	{1, 0x85a2cb4c595137b5},
};

Test(store_file, migrations_are_appended_never_edited)
{
	for (size_t i = 0; i < sizeof(released) / sizeof(released[0]); i++) {
		const struct pl_migration *migration = &pl_migrations[i];
		uint64_t hash = 14695981039346656037u;

		for (const char *c = migration->sql; *c; c++)
			hash = (hash ^ (uint8_t)*c) * 1099511628211u;
		cr_assert_eq(migration->number, released[i].number);
		cr_assert_eq(hash, released[i].hash, "migration %d now hashes to %#llx", migration->number, (unsigned long long)hash);
	}
}

/* A store as the first release left it. */
Test(store_file, store_of_an_older_schema_is_brought_forward)
{
	struct pl_store_entry entry;
	uint8_t body[50];
	sqlite3 *db;
	sqlite3_stmt *s;
	char sql[256];

	sample_entry(&entry, body, sizeof(body), 4, 1, 1);
	cr_assert_eq(sqlite3_open(f.path, &db), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, pl_migrations[0].sql, NULL, NULL, NULL), SQLITE_OK);
	snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=1; PRAGMA journal_mode=WAL;"
	                           "INSERT INTO meta VALUES ('incarnation', randomblob(16));", PL_STORE_APPLICATION_ID);
	cr_assert_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	s = pl_store_prepare(db, "INSERT INTO meta VALUES ('network_id', ?1), ('node_id', ?2)");
	sqlite3_bind_blob(s, 1, sample_network, PL_ID_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob(s, 2, sample_self, PL_NODE_ID_BYTES, SQLITE_STATIC);
	cr_assert_eq(sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
	s = pl_store_prepare(db, "INSERT INTO entry VALUES (1, 4, 1, 1, ?1, 0, ?2, 0, 50, ?3, ?4, ?5)");
	sqlite3_bind_int64(s, 1, (sqlite3_int64)entry.gseq);
	sqlite3_bind_int(s, 2, entry.header[2]);
	sqlite3_bind_blob(s, 3, entry.id, PL_ID_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob(s, 4, entry.header, PL_ENTRY_HEADER_BYTES, SQLITE_STATIC);
	sqlite3_bind_blob(s, 5, body, sizeof(body), SQLITE_STATIC);
	cr_assert_eq(sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
	s = pl_store_prepare(db, "INSERT INTO node VALUES (4, ?1)");
	sqlite3_bind_blob(s, 1, entry.header + PL_AUTHOR_OFFSET, PL_NODE_ID_BYTES, SQLITE_STATIC);
	cr_assert_eq(sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);

	fixture_start(&f); /* with a frozen feed, which does not matter here */
	cr_assert_eq(pl_store_load(f.store, 1, 4, 1, 1, 1, 1000), PL_OK);
	fixture_await(&f, &f.loaded, 1);
	cr_assert_eq(f.loaded_entries, 1);
	cr_assert_eq(fixture_append(&f, 4, 1, 2, 10, false), PL_OK);
	fixture_close(&f);
	cr_assert_eq(fixture_open(&f), PL_OK);
	s = pl_store_prepare(pl_store_db(f.store), "PRAGMA user_version");
	cr_assert_eq(sqlite3_step(s), SQLITE_ROW);
	cr_assert_eq(sqlite3_column_int(s, 0), pl_schema_latest());
	sqlite3_reset(s);
}

/* Messages of a store in which ids were unique by themselves. */
Test(store_file, messages_are_brought_forward_to_ids_of_their_authors)
{
	static const char rows[] =
		"INSERT INTO hotline_message VALUES (7, x'aa', 3, 1, 1, x'01', 2, 1, 5, 6, 0, 0, 0, 0, 0, x'11', x'22', x'33');"
		"INSERT INTO hotline_receipt VALUES (1, x'aa', x'01', 4, 2, 1, 5, 6, 1, x'44', x'55'), (2, x'', x'02', 4, 2, 5, 5, 6, 1, x'44', x'55');";
	sqlite3 *db;

	cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(sqlite3_exec(db, pl_migrations[i].sql, NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(pl_schema_migrate(db, 3), PL_OK);
	/* The row as it was, and room for another author's; its receipt names its author, the other one stays. */
	cr_assert_eq(sqlite3_exec(db, "INSERT INTO hotline_message SELECT 8, id, 9, lane, seq, x'03', box, precedence, sent, received, exercise,"
	                              " attachments, unread, accepted, unfinished, head, text, cek FROM hotline_message"
	                              " WHERE n = 7 AND box = 2 AND sent = 5 AND received = 6 AND head = x'11' AND cek = x'33'",
	                          NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_changes(db), 1);
	cr_assert_eq(sqlite3_exec(db, "DELETE FROM hotline_receipt WHERE (n = 1 AND to_node = 3) OR (n = 2 AND to_node = 2)", NULL, NULL, NULL),
	             SQLITE_OK);
	cr_assert_eq(sqlite3_changes(db), 2);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

/* Indicators of a store in which they counted once: node 1 has 4 of 300 and 1,000 bytes of attachments, node 2 has 10 bytes of messages. */
Test(store_file, what_lanes_count_is_brought_forward)
{
	static const char rows[] =
		"INSERT INTO entry SELECT value, 1, 2, value, value, 0, CASE WHEN value < 5 THEN 5 ELSE 6 END, 0, CASE WHEN value < 5 THEN 300 ELSE 1000 END,"
		" x'', x'', NULL FROM (SELECT 1 AS value UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5);"
		"INSERT INTO entry VALUES (6, 2, 1, 1, 1, 0, 2, 0, 10, x'', x'', NULL);"
		"INSERT INTO taken SELECT node, lane, sum(body_bytes + 232) FROM entry GROUP BY node, lane;";
	sqlite3 *db;
	sqlite3_stmt *s;

	cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
	for (int i = 0; i < 8; i++)
		cr_assert_eq(sqlite3_exec(db, pl_migrations[i].sql, NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	cr_assert_eq(pl_schema_migrate(db, 8), PL_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, "SELECT bytes FROM taken ORDER BY node", -1, &s, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_step(s), SQLITE_ROW);
	cr_assert_eq((uint64_t)sqlite3_column_int64(s, 0), 4 * pl_entry_kept_bytes(PL_KIND_INDICATORS, 300) + pl_entry_kept_bytes(PL_KIND_ATTACHMENT, 1000));
	cr_assert_eq(sqlite3_step(s), SQLITE_ROW);
	cr_assert_eq((uint64_t)sqlite3_column_int64(s, 0), pl_entry_kept_bytes(PL_KIND_MESSAGE, 10));
	sqlite3_finalize(s);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

/* The count that the migration makes is the one that goes on: kinds 2 (messages), 5 and 6, of all sizes that differ. */
Test(store_file, what_lanes_count_goes_on_after_a_migration)
{
	static const char rows[] =
		"WITH RECURSIVE n(v) AS (SELECT 0 UNION ALL SELECT v + 1 FROM n WHERE v < 12999)"
		" INSERT INTO entry SELECT NULL, v % 3, 2, v, v, 0, 2 + 3 * (v % 3 > 0) + (v % 3 > 1), 0, CASE WHEN v < 12990 THEN v ELSE v * 11 END,"
		" x'', x'', NULL FROM n;"
		"INSERT INTO taken SELECT node, lane, sum(body_bytes + 232) FROM entry WHERE node < 2 GROUP BY node, lane;";
	static const uint8_t kinds[3] = { PL_KIND_MESSAGE, PL_KIND_INDICATORS, PL_KIND_ATTACHMENT };
	uint64_t expected[3] = { 0 };
	sqlite3 *db;
	sqlite3_stmt *s;

	for (uint32_t v = 0; v < 13000; v++)
		expected[v % 3] += pl_entry_kept_bytes(kinds[v % 3], v < 12990 ? v : v * 11);
	cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
	for (int i = 0; i < 13; i++)
		cr_assert_eq(sqlite3_exec(db, pl_migrations[i].sql, NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK, "%s", sqlite3_errmsg(db));
	cr_assert_eq(pl_schema_migrate(db, 13), PL_OK, "%s", sqlite3_errmsg(db));
	cr_assert_eq(sqlite3_prepare_v2(db, "SELECT bytes FROM taken ORDER BY node", -1, &s, NULL), SQLITE_OK);
	for (int node = 0; node < 3; node++) {
		cr_assert_eq(sqlite3_step(s), SQLITE_ROW);
		cr_assert_eq((uint64_t)sqlite3_column_int64(s, 0), expected[node], "node %d", node);
	}
	cr_assert_eq(sqlite3_step(s), SQLITE_DONE);
	sqlite3_finalize(s);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

/* Messages that some node could not open, of a store in which it was not told which. */
Test(store_file, messages_to_be_sent_again_are_brought_forward)
{
	static const char rows[] =
		"INSERT INTO hotline_message VALUES (7, x'aa', 3, 0, 1, x'01', 2, 4, 5, 6, 0, 0, 0, 0, 2, x'11', x'22', x'33'),"
		" (8, x'bb', 3, 1, 2, x'02', 2, 1, 5, 6, 0, 0, 0, 0, 1, x'11', x'22', x'33');"
		"INSERT INTO hotline_recipient VALUES (7, 1, 5, 0), (7, 2, 2, 9), (7, 4, 5, 0), (8, 1, 5, 0), (8, 2, 0, 0);";
	static const char expected[] = "SELECT count(*) FROM hotline_again WHERE message = 7 AND precedence = 4 AND due = 1 AND node IN (1, 4)";
	sqlite3 *db;
	sqlite3_stmt *s;

	cr_assert_eq(sqlite3_open(":memory:", &db), SQLITE_OK);
	for (int i = 0; i < 9; i++)
		cr_assert_eq(sqlite3_exec(db, pl_migrations[i].sql, NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_exec(db, rows, NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(pl_schema_migrate(db, 9), PL_OK);
	cr_assert_eq(sqlite3_prepare_v2(db, expected, -1, &s, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_step(s), SQLITE_ROW);
	cr_assert_eq(sqlite3_column_int(s, 0), 2);
	sqlite3_finalize(s);
	cr_assert_eq(sqlite3_exec(db, "DELETE FROM hotline_again", NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_changes(db), 2);
	cr_assert_eq(sqlite3_exec(db, "UPDATE hotline_message SET n = n WHERE (n = 7 AND unfinished = 0) OR (n = 8 AND unfinished = 1)", NULL, NULL,
	                          NULL), SQLITE_OK);
	cr_assert_eq(sqlite3_changes(db), 2);
	cr_assert_eq(sqlite3_close(db), SQLITE_OK);
}

Test(store_file, migrations_ascend)
{
	for (int i = 1; i < pl_migrations_count; i++)
		cr_assert_gt(pl_migrations[i].number, pl_migrations[i - 1].number);
	cr_assert_eq(pl_migrations[0].number, 1);
}
