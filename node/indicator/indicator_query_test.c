/* Of the store's worker a question about indicators takes a little at a time, however many there are: counted in steps of SQLite's machine, not in
 * time. */
#include "node/indicator/indicator_fixture.h"
#include "node/indicator/indicator_rows.h"

#define ID "identity--11111111-2222-4333-8444-555555555555"
#define VERSIONS 24000
#define STEPS_MAX 60000 /* a millisecond, about */

struct sql_job {
	struct pl_job job;
	const char *sql;    /* runs it; or */
	struct steps *steps; /* watches what others run */
	bool done;
};

struct steps {
	uint64_t sum, of_one_max; /* of the store's worker until the test has waited for it */
};

static int on_profile(unsigned type, void *ctx, void *statement, void *ns)
{
	(void)type, (void)ns;
	struct steps *steps = ctx;
	const uint64_t count = (uint64_t)sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 1);
	steps->sum += count;
	if (count > steps->of_one_max)
		steps->of_one_max = count;
	return 0;
}

static enum pl_err sql_work(struct pl_job *job, sqlite3 *db)
{
	const struct sql_job *sql = job->ctx;
	if (sql->sql != NULL && sqlite3_exec(db, sql->sql, NULL, NULL, NULL) != SQLITE_OK)
		fprintf(stderr, "%s\n", sqlite3_errmsg(db));
	if (sql->sql == NULL)
		sqlite3_trace_v2(db, sql->steps != NULL ? SQLITE_TRACE_PROFILE : 0, sql->steps != NULL ? on_profile : NULL, sql->steps);
	return pl_store_sql_err(db);
}

static void sql_done(struct pl_job *job)
{
	((struct sql_job *)job->ctx)->done = true;
}

static void in_store(struct world *world, unsigned node, const char *sql, struct steps *steps)
{
	struct sql_job job = { .sql = sql, .steps = steps };
	job.job = (struct pl_job){ .work = sql_work, .done = sql_done, .ctx = &job, .writes = sql != NULL };
	pl_store_run(world->cores[node].store, &job.job);
	AWAIT(world, job.done);
	cr_assert_eq(job.job.err, PL_OK);
}

/* FIN has brought an object, and somebody thousands of versions under its id, all of one time and newer; lists have it first. */
static struct world *flooded(unsigned by)
{
	static const char object[] =
		"{\"type\":\"bundle\",\"id\":\"bundle--11111111-2222-4333-8444-555555555555\",\"objects\":[{\"type\":\"identity\","
		"\"spec_version\":\"2.1\",\"id\":\"" ID "\",\"created\":\"2026-11-01T10:00:00Z\",\"modified\":\"2026-11-02T10:00:00Z\","
		"\"name\":\"of FIN\"}]}";
	struct world *world = world_new(2);
	char sql[1024];
	free_request(import(world, FIN, object, strlen(object), "green"));
	AWAIT(world, held(world, CHE) == 1);
	snprintf(sql, sizeof(sql),
	         "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < %d)"
	         " INSERT INTO indicator (n, stix_id, type, modified, modified_us, tlp, received_ms, bytes, sha256, name, object)"
	         " SELECT 10 + i, '" ID "', 'identity', '', 4000000000000000, 1, 1, 1, randomblob(32), x'', zeroblob(200) FROM k;"
	         "INSERT INTO indicator_provider SELECT n, %u, n, 0, 1, 1 FROM indicator WHERE n > 10;"
	         "UPDATE indicator SET n = 1000000 WHERE n = 1; UPDATE indicator_provider SET n = 1000000 WHERE n = 1",
	         VERSIONS, by);
	in_store(world, FIN, sql, NULL);
	return world;
}

/* Asks, and says how many steps a job took on average; no statement of any took many. */
static struct pl_request *ask_in_steps(struct world *world, const char *path, const char *id, const char *const *query, unsigned jobs_min)
{
	struct steps steps = { 0 };
	struct pl_store_stats before, after;
	in_store(world, FIN, NULL, &steps);
	pl_store_stats(world->cores[FIN].store, &before);
	struct pl_request *request = ask(world, FIN, "GET", path, id, NULL, 0, query);
	pl_store_stats(world->cores[FIN].store, &after);
	in_store(world, FIN, NULL, NULL);
	const uint64_t jobs = after.jobs - before.jobs;
	cr_assert_gt(steps.sum, 0);
	cr_assert_leq(steps.of_one_max, STEPS_MAX, "a statement of %d steps", (int)steps.of_one_max);
	cr_assert_geq(jobs, jobs_min, "%d jobs", (int)jobs);
	cr_assert_leq(steps.sum / jobs, STEPS_MAX, "jobs of %d steps", (int)(steps.sum / jobs));
	return request;
}

Test(indicator_query, others_versions_do_not_keep_the_store_busy)
{
	struct world *world = flooded(CHE);
	struct pl_request *request = ask_in_steps(world, "/v1/indicators/{id}", ID, NULL, VERSIONS / PL_INDICATOR_ROWS_PER_JOB);
	cr_assert_eq(request->status, 200);
	cr_assert_not_null(strstr(request->bytes, "of FIN"));
	free_request(request);

	request = ask_in_steps(world, "/v1/indicators/{id}", ID, QUERY("author", "FIN", "meta", "true"), VERSIONS / PL_INDICATOR_ROWS_PER_JOB);
	cr_assert_str_eq(json_string_value(json_object_get(request->json, "name")), "of FIN");
	const json_t *others = json_object_get(request->json, "others");
	cr_assert(json_array_size(others) == 1 && strcmp(json_string_value(json_array_get(others, 0)), "CHE") == 0);
	free_request(request);

	request = ask_in_steps(world, "/v1/indicators/{id}", ID, QUERY("author", "SGP"), VERSIONS / PL_INDICATOR_ROWS_PER_JOB);
	cr_assert_eq(request->status, 404);
	free_request(request);
	world_free(world);
}

Test(indicator_query, a_count_does_not_keep_the_store_busy)
{
	struct world *world = flooded(FIN);
	struct pl_request *request = ask_in_steps(world, "/v1/indicators", NULL, QUERY("type", "identity", "limit", "1"), 4);
	cr_assert_eq(number_in(request, "total"), VERSIONS + 1);
	free_request(request);
	request = ask_in_steps(world, "/v1/indicators", NULL, QUERY("author", "FIN", "limit", "1"), 4);
	cr_assert_eq(number_in(request, "total"), VERSIONS + 1);
	free_request(request);
	request = ask_in_steps(world, "/v1/indicators", NULL, QUERY("author", "CHE", "limit", "1"), 1);
	cr_assert_eq(number_in(request, "total"), 0);
	free_request(request);
	world_free(world);
}

/* Of another type than what is asked for, so that nothing but the reading of them is done. */
Test(indicator_query, large_objects_do_not_keep_the_store_busy)
{
	enum { LARGE = 100, BYTES = 100000 };
	struct world *world = flooded(FIN);
	char sql[200];
	snprintf(sql, sizeof(sql), "UPDATE indicator SET object = zeroblob(%d) WHERE n <= 10 + %d; DELETE FROM indicator WHERE n BETWEEN 11 + %d AND 999999",
	         BYTES, LARGE, LARGE);
	in_store(world, FIN, sql, NULL);
	const unsigned jobs = LARGE * BYTES / (PL_INDICATOR_BYTES_PER_JOB + BYTES);
	struct pl_request *request = ask_in_steps(world, "/v1/indicators", NULL, QUERY("tlp", "green"), jobs);
	cr_assert_eq(json_array_size(json_object_get(request->json, "indicators")), 1);
	cr_assert(json_is_null(json_object_get(request->json, "next")));
	free_request(request);
	request = ask_in_steps(world, "/v1/indicators/export", NULL, QUERY("tlp", "green"), jobs);
	cr_assert_not_null(strstr(request->bytes, "of FIN"));
	free_request(request);
	world_free(world);
}
