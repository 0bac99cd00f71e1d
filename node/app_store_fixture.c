#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/app_fixture_impl.h"

struct query {
	struct pl_job job;
	const char *sql;
	int64_t value;
	void *out; /* or a blob of count bytes */
	size_t count;
	bool done;
};

static enum pl_err query_work(struct pl_job *job, sqlite3 *db)
{
	struct query *query = job->ctx;
	sqlite3_stmt *statement;
	if (sqlite3_prepare_v2(db, query->sql, -1, &statement, NULL) != SQLITE_OK) {
		fprintf(stderr, "%s: %s\n", query->sql, sqlite3_errmsg(db));
		return PL_ERR_FORMAT;
	}
	query->value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : -1;
	if (query->out && (size_t)sqlite3_column_bytes(statement, 0) == query->count) {
		memcpy(query->out, sqlite3_column_blob(statement, 0), query->count);
		query->out = NULL;
	}
	sqlite3_finalize(statement);
	return PL_OK;
}

static void query_done(struct pl_job *job)
{
	((struct query *)job->ctx)->done = true;
}

static bool query_is_done(void *ctx)
{
	return ((struct query *)ctx)->done;
}

static void run_query(struct fix *fix, uint16_t node, struct query *query)
{
	bool writes = strncmp(query->sql, "SELECT", 6) != 0 && strncmp(query->sql, "PRAGMA", 6) != 0;
	query->job = (struct pl_job){ .work = query_work, .done = query_done, .ctx = query, .writes = writes };
	pl_store_run(fix->cores[node]->store, &query->job);
	fix_turn(fix, query_is_done, query);
	cr_assert_eq(query->job.err, PL_OK, "%s", query->sql);
}

int64_t fix_sql(struct fix *fix, uint16_t node, const char *sql)
{
	struct query query = { .sql = sql };
	run_query(fix, node, &query);
	return query.value;
}

void fix_await(struct fix *fix, uint16_t node, const char *sql, int64_t value)
{
	uint64_t begun_ms = uv_now(&fix->loop);
	int64_t is;
	while ((is = fix_sql(fix, node, sql)) != value) {
		fix_turn(fix, NULL, NULL);
		cr_assert_lt(uv_now(&fix->loop) - begun_ms, FIX_GIVE_UP_MS, "%s stays %lld, and does not become %lld", sql, (long long)is,
		             (long long)value);
	}
	fix_settle(fix);
}

void fix_blob(struct fix *fix, uint16_t node, const char *sql, void *out, size_t count)
{
	struct query query = { .sql = sql, .out = out, .count = count };
	run_query(fix, node, &query);
	cr_assert_null(query.out, "%s gives no %zu bytes", sql, count);
}

unsigned fix_failures(struct fix *fix, uint16_t node)
{
	return fix->cores[node]->store_failures;
}

unsigned fix_damaged(struct fix *fix, uint16_t node)
{
	return fix->cores[node]->store_damaged;
}

bool fix_on_disk(struct fix *fix, uint16_t node, const void *bytes, size_t count)
{
	static const char *const ends[] = { "", "-wal", ".epoch" };
	bool found = false;
	for (int i = 0; i < 3; i++) {
		char path[128];
		snprintf(path, sizeof(path), "%s%s", fix->cores[node]->store_path, ends[i]);
		FILE *file = fopen(path, "rb");
		if (!file)
			continue;
		fseek(file, 0, SEEK_END);
		size_t size = (size_t)ftell(file);
		uint8_t *content = malloc(size + 1);
		rewind(file);
		cr_assert_eq(fread(content, 1, size, file), size);
		found |= memmem(content, size, bytes, count) != NULL;
		free(content);
		fclose(file);
	}
	return found;
}
