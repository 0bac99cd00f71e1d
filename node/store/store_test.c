#include <signal.h>
#include <sys/wait.h>

#include "node/store/store_fixture.h"
#include "node/store/store_impl.h"
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

TestSuite(store, .init = set_up, .fini = tear_down, .timeout = 30);

/* --- what is stored --- */

Test(store, reports_what_is_durable_and_finds_it_again)
{
	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 300; seq++)
		for (uint16_t node = 0; node < 3; node++)
			cr_assert_eq(fixture_append(&f, node, 1, seq, (uint32_t)(seq % 50), false), PL_OK);
	cr_assert_gt(pl_store_queue_bytes(f.store), 0);
	fixture_await(&f, &f.stored, 900);
	cr_assert_eq(pl_store_queue_bytes(f.store), 0);
	cr_assert_eq(f.stored, 900);
	fixture_close(&f);

	fixture_start(&f);
	cr_assert_eq(pl_store_load(f.store, 7, 2, 1, 1, 300, UINT32_MAX), PL_OK);
	fixture_await(&f, &f.loaded, 1);
	cr_assert_eq(f.loaded_entries, 300);
	cr_assert_eq(fixture_append(&f, 2, 1, 300, 10, false), PL_ERR_EXISTS);
	cr_assert_eq(fixture_append(&f, 2, 1, 302, 10, false), PL_ERR_CHAIN);
	cr_assert_eq(fixture_append(&f, 2, 1, 301, 10, false), PL_OK);
	fixture_await(&f, &f.stored, 901);
}

static struct {
	uint32_t token;
	size_t count;
	struct pl_store_entry expected;
	uint8_t body[200];
} loaded;

static void check_loaded(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count)
{
	uint8_t body[200];
	struct pl_store_entry expected;

	(void)err;
	loaded.token = token;
	loaded.count = count;
	for (size_t i = 0; i < count; i++) {
		sample_entry(&expected, body, 200, 5, 2, 10 + i);
		cr_assert_arr_eq(entries[i].header, expected.header, PL_ENTRY_HEADER_BYTES);
		cr_assert_eq(entries[i].body_bytes, 200);
		cr_assert_arr_eq(entries[i].body, body, 200);
	}
	((struct fixture *)ctx)->loaded++;
}

Test(store, loads_a_range_byte_for_byte_and_up_to_the_limit)
{
	f.callbacks.loaded = check_loaded;
	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 50; seq++)
		cr_assert_eq(fixture_append(&f, 5, 2, seq, 200, false), PL_OK);
	fixture_await(&f, &f.stored, 50);

	cr_assert_eq(pl_store_load(f.store, 1, 5, 2, 10, 19, 1 << 20), PL_OK);
	fixture_await(&f, &f.loaded, 1);
	cr_assert_eq(loaded.count, 10);
	cr_assert_eq(loaded.token, 1);
	cr_assert_eq(pl_store_load(f.store, 2, 5, 2, 10, 19, 3 * (PL_ENTRY_HEADER_BYTES + 200)), PL_OK);
	fixture_await(&f, &f.loaded, 2);
	cr_assert_eq(loaded.count, 3);
	cr_assert_eq(pl_store_load(f.store, 3, 5, 2, 10, 19, 1), PL_OK, "one at least");
	fixture_await(&f, &f.loaded, 3);
	cr_assert_eq(loaded.count, 1);
	cr_assert_eq(pl_store_load(f.store, 4, 5, 2, 51, UINT64_MAX, 1 << 20), PL_OK);
	fixture_await(&f, &f.loaded, 4);
	cr_assert_eq(loaded.count, 0);
	cr_assert_eq(loaded.token, 4);
	cr_assert_eq(pl_store_load(f.store, 5, 5, 2, (1ULL << 63) + 5, (1ULL << 63) + 5, 1 << 20), PL_OK);
	fixture_await(&f, &f.loaded, 5);
	cr_assert_eq(loaded.count, 0, "%zu entries before SQLite's least number", loaded.count);
}

static size_t heads_seen;

static void check_head(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, uint64_t gseq, const uint8_t id[PL_ID_BYTES])
{
	struct pl_store_entry expected;
	uint8_t body[4];

	(void)ctx;
	cr_assert(node == 0 || node == 767);
	cr_assert_eq(lane, node == 0 ? 0 : 2);
	cr_assert_eq(seq, node == 0 ? 3 : 9);
	sample_entry(&expected, body, 4, node, lane, seq);
	cr_assert_eq(gseq, expected.gseq);
	cr_assert_arr_eq(id, expected.id, PL_ID_BYTES);
	heads_seen++;
}

Test(store, heads_of_all_lanes_after_restart)
{
	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 9; seq++) {
		cr_assert_eq(fixture_append(&f, 767, 2, seq, 4, false), PL_OK);
		if (seq <= 3)
			cr_assert_eq(fixture_append(&f, 0, 0, seq, 4, seq == 2), PL_OK);
	}
	fixture_close(&f);
	cr_assert_eq(f.stored, 12, "close finishes what is queued, and reports it");

	cr_assert_eq(fixture_open(&f), PL_OK);
	cr_assert_eq(pl_store_each_head(f.store, check_head, NULL), PL_OK);
	cr_assert_eq(heads_seen, 2);
}

/* --- order --- */

static enum pl_err work_block(struct pl_job *job, sqlite3 *db)
{
	(void)db;
	uv_sem_wait(job->ctx);
	return PL_OK;
}

static size_t jobs_done;
static void count_done(struct pl_job *job)
{
	(void)job;
	jobs_done++;
}

Test(store, urgent_goes_first_but_never_overtakes_its_own_lane)
{
	uv_sem_t gate;
	struct pl_job block = {.work = work_block, .done = count_done, .ctx = &gate};

	cr_assert_eq(uv_sem_init(&gate, 0), 0);
	fixture_start(&f);
	pl_store_run(f.store, &block); /* so that all that follows waits together */
	for (uint64_t seq = 1; seq <= 100; seq++)
		cr_assert_eq(fixture_append(&f, 1, 2, seq, 100, false), PL_OK);
	cr_assert_eq(fixture_append(&f, 2, 0, 1, 100, false), PL_OK);
	cr_assert_eq(fixture_append(&f, 3, 0, 1, 100, false), PL_OK);
	cr_assert_eq(fixture_append(&f, 2, 0, 2, 100, false), PL_OK);
	cr_assert_eq(fixture_append(&f, 2, 0, 3, 100, true), PL_OK);
	cr_assert_eq(fixture_append(&f, 2, 0, 4, 100, false), PL_OK);
	uv_sem_post(&gate);
	fixture_await(&f, &f.stored, 105);

	/* the lane that the urgent entry is of, in its order, is first; unless the bulk had begun, and then one row of it is before */
	size_t at = f.order[0] >> 56 == 1 ? 1 : 0;
	cr_assert_eq(f.order[at], (uint64_t)2 << 56 | 1);
	cr_assert_eq(f.order[at + 1], (uint64_t)2 << 56 | 2);
	cr_assert_eq(f.order[at + 2], (uint64_t)2 << 56 | 3);
	uint64_t last[4][3] = {{0}};
	for (size_t i = 0; i < f.stored; i++) {
		uint64_t *seq = &last[f.order[i] >> 56][f.order[i] >> 48 & 0xff];

		cr_assert_eq(f.order[i] & 0xffffffffffff, *seq + 1);
		++*seq;
	}
	uv_sem_destroy(&gate);
}

struct gate {
	uv_sem_t reached, open;
};

static enum pl_err work_at_gate(struct pl_job *job, sqlite3 *db)
{
	struct gate *gate = job->ctx;

	(void)db;
	uv_sem_post(&gate->reached);
	uv_sem_wait(&gate->open);
	return PL_OK;
}

Test(store, nothing_overtakes_the_urgent_entries_of_its_own_lane)
{
	struct gate gate;
	struct pl_job block = {.work = work_at_gate, .done = count_done, .ctx = &gate};

	cr_assert_eq(uv_sem_init(&gate.reached, 0), 0);
	cr_assert_eq(uv_sem_init(&gate.open, 0), 0);
	fixture_start(&f);
	pl_store_run(f.store, &block);
	uv_sem_wait(&gate.reached); /* the worker is past the urgent entries of this turn, and before the others */
	for (uint64_t seq = 1; seq <= 9; seq++)
		cr_assert_eq(fixture_append(&f, 2, 0, seq, 100, seq % 3 == 2), PL_OK);
	cr_assert_eq(fixture_append(&f, 3, 0, 1, 100, false), PL_OK);
	uv_sem_post(&gate.open);
	fixture_await(&f, &f.stored, 10);

	uint64_t last = 0;
	for (size_t i = 0; i < f.stored; i++)
		if (f.order[i] >> 56 == 2)
			cr_assert_eq(f.order[i] & 0xffffffffffff, ++last);
	cr_assert_eq(last, 9);
	uv_sem_destroy(&gate.reached);
	uv_sem_destroy(&gate.open);
}

/* --- jobs --- */

static enum pl_err work_put(struct pl_job *job, sqlite3 *db)
{
	sqlite3_stmt *s = pl_store_prepare(db, "INSERT INTO meta (key, value) VALUES (?1, 1)");

	if (!s)
		return pl_store_job_err(job, db);
	sqlite3_bind_text(s, 1, job->ctx, -1, SQLITE_STATIC);
	return sqlite3_step(s) == SQLITE_DONE ? PL_OK : pl_store_job_err(job, db); /* left for the store to reset */
}

static enum pl_err work_put_and_regret(struct pl_job *job, sqlite3 *db)
{
	enum pl_err err = work_put(job, db);

	return err ? err : PL_ERR_REFUSED;
}

static enum pl_err work_bad_sql(struct pl_job *job, sqlite3 *db)
{
	return pl_store_prepare(db, "SELECT nothing FROM nowhere") ? PL_OK : pl_store_job_err(job, db);
}

static enum pl_err work_count(struct pl_job *job, sqlite3 *db)
{
	sqlite3_stmt *s = pl_store_prepare(db, "SELECT count(*) FROM meta WHERE key LIKE 'test%'");

	if (!s || sqlite3_step(s) != SQLITE_ROW)
		return pl_store_job_err(job, db);
	*(int *)job->ctx = sqlite3_column_int(s, 0);
	return PL_OK;
}

Test(store, jobs_run_in_order_and_roll_back_alone)
{
	char a[] = "test a", b[] = "test b", c[] = "test c";
	int count = -1;
	struct pl_job jobs[] = {
		{.work = work_put, .done = count_done, .ctx = a, .writes = true},
		{.work = work_put_and_regret, .done = count_done, .ctx = b, .writes = true},
		{.work = work_put, .done = count_done, .ctx = a, .writes = true}, /* the key is taken */
		{.work = work_bad_sql, .done = count_done},
		{.work = work_put, .done = count_done, .ctx = c, .writes = true},
		{.work = work_count, .done = count_done, .ctx = &count},
	};
	static const enum pl_err expected[] = {PL_OK, PL_ERR_REFUSED, PL_ERR_EXISTS, PL_ERR_IO, PL_OK, PL_OK};

	fixture_start(&f);
	for (size_t i = 0; i < 6; i++)
		pl_store_run(f.store, &jobs[i]);
	fixture_await(&f, &jobs_done, 6);
	for (size_t i = 0; i < 6; i++)
		cr_assert_eq(jobs[i].err, expected[i], "job %zu: %s %s", i, pl_err_str(jobs[i].err), jobs[i].why);
	cr_assert_str_not_empty(jobs[2].why);
	cr_assert_eq(count, 2);
	cr_assert_eq(f.failed, 0, "a job's own mistake is not the store's");
	cr_assert_eq(fixture_append(&f, 0, 0, 1, 10, true), PL_OK);
	fixture_await(&f, &f.stored, 1);
}

/* Jobs that bring themselves again at once, of both classes, and loads without end, while entries are written. */
static size_t rounds[3], wanted_rounds = 50;

static enum pl_err work_a_while(struct pl_job *job, sqlite3 *db)
{
	uint64_t until = uv_hrtime() + 1000000;

	(void)job;
	(void)db;
	while (uv_hrtime() < until)
		;
	return PL_OK;
}

static void again(struct pl_job *job)
{
	size_t *count = job->ctx;

	if (++*count < 1000000 && (f.stored < 3000 || rounds[0] < wanted_rounds || rounds[1] < wanted_rounds || rounds[2] < wanted_rounds))
		pl_store_run(f.store, job);
}

static void load_again(void *ctx, uint32_t token, enum pl_err err, const struct pl_stored_entry *entries, size_t count)
{
	(void)ctx;
	(void)err;
	(void)entries;
	(void)count;
	rounds[2]++;
	if (f.stored < 3000 || rounds[0] < wanted_rounds || rounds[1] < wanted_rounds || rounds[2] < wanted_rounds)
		cr_assert_eq(pl_store_load(f.store, token, 1, 2, 1, 3000, 65536), PL_OK);
}

Test(store, nothing_starves)
{
	struct pl_job urgent = {.work = work_a_while, .done = again, .ctx = &rounds[0], .urgent = true};
	struct pl_job job = {.work = work_a_while, .done = again, .ctx = &rounds[1], .writes = true};

	f.callbacks.loaded = load_again;
	fixture_start(&f);
	pl_store_run(f.store, &urgent);
	pl_store_run(f.store, &job);
	cr_assert_eq(pl_store_load(f.store, 1, 1, 2, 1, 3000, 65536), PL_OK);
	for (uint64_t seq = 1; seq <= 3000; seq++)
		cr_assert_eq(fixture_append(&f, 1, 2, seq, 100, false), PL_OK);
	while (f.stored < 3000 || rounds[0] < wanted_rounds || rounds[1] < wanted_rounds || rounds[2] < wanted_rounds)
		uv_run(&f.loop, UV_RUN_ONCE);
	fixture_close(&f); /* the jobs may still be under way, and live here */
	cr_assert_eq(f.failed, 0);
}

static void run_again(struct pl_job *job)
{
	if (job->err == PL_OK)
		pl_store_run(f.store, job);
	else
		jobs_done++;
}

Test(store, close_ends_jobs_that_bring_jobs)
{
	int count;
	struct pl_job job = {.work = work_count, .done = run_again, .ctx = &count};

	fixture_start(&f);
	pl_store_run(f.store, &job);
	fixture_close(&f);
	cr_assert_eq(jobs_done, 1);
	cr_assert_eq(job.err, PL_ERR_STATE);
}

/* --- what lanes take --- */

Test(store, what_each_lane_takes_is_known_after_a_restart)
{
	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 40; seq++) {
		cr_assert_eq(fixture_append(&f, 5, 2, seq, 200, false), PL_OK);
		cr_assert_eq(fixture_append(&f, 5, 1, seq, 300, false), PL_OK);
		cr_assert_eq(fixture_append(&f, 7, 2, seq, 0, seq % 8 == 0), PL_OK);
		if (seq % 10 == 0)
			fixture_await(&f, &f.stored, 3 * seq);
	}
	fixture_close(&f);
	cr_assert_eq(fixture_open(&f), PL_OK);
	cr_assert_eq(pl_store_lane_kept_bytes(f.store, 5, 2), 40 * PL_INDICATORS_KEPT * (PL_ENTRY_HEADER_BYTES + 200));
	cr_assert_eq(pl_store_lane_kept_bytes(f.store, 5, 1), 40 * pl_entry_kept_bytes(PL_KIND_MESSAGE, 300));
	cr_assert_eq(pl_store_lane_kept_bytes(f.store, 5, 0), 0);
	cr_assert_eq(pl_store_lane_kept_bytes(f.store, 7, 2), 40 * PL_INDICATORS_KEPT * PL_ENTRY_HEADER_BYTES);
	cr_assert_eq(pl_store_lane_kept_bytes(f.store, 6, 2), 0);
}

static uint64_t file_bytes(void)
{
	struct stat about;

	cr_assert_eq(stat(f.path, &about), 0);
	return (uint64_t)about.st_size;
}

/* Whoever fills a disk would choose the size of which the store takes most beside what it counts. */
Test(store, what_entries_count_is_what_the_store_takes)
{
	static const uint32_t sizes[] = { 1, 400, 1400, 1750, 2500, 3800, 6000, 60000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const uint64_t count = 1500000 / (sizes[i] + 1000);
		fixture_start(&f);
		cr_assert_eq(fixture_append(&f, 5, 0, 1, 1, true), PL_OK);
		fixture_await(&f, &f.stored, 1);
		fixture_close(&f);
		const uint64_t before = file_bytes();
		fixture_start(&f);
		for (uint64_t seq = 1; seq <= count; seq++)
			cr_assert_eq(fixture_append(&f, 5, 1, seq, sizes[i], false), PL_OK);
		fixture_await(&f, &f.stored, 1 + count);
		fixture_close(&f);
		const uint64_t taken = file_bytes() - before;
		cr_assert_eq(fixture_open(&f), PL_OK);
		const uint64_t counted = pl_store_lane_kept_bytes(f.store, 5, 1);
		cr_expect_leq(taken, counted + counted / 50 + 32768, "%u bytes: %llu are counted for %llu", sizes[i], (unsigned long long)counted,
		              (unsigned long long)taken);
		cr_expect_leq(counted, taken + taken / 8 + 32768, "%u bytes: %llu are counted for %llu", sizes[i], (unsigned long long)counted,
		              (unsigned long long)taken);
		fixture_dispose(&f);
		fixture_init(&f, "/tmp");
	}
}

/* --- custody and forks --- */

static uint64_t ack_seen[3];
static void check_ack(void *ctx, uint16_t peer, uint16_t node, uint8_t lane, uint64_t seq)
{
	(void)ctx;
	cr_assert_eq(node, 9);
	cr_assert_eq(lane, 2);
	ack_seen[peer] = seq;
}

static int forks_seen;
static void check_fork(void *ctx, uint16_t node, const uint8_t header_a[PL_ENTRY_HEADER_BYTES], const uint8_t header_b[PL_ENTRY_HEADER_BYTES])
{
	const uint8_t *const *headers = ctx;

	cr_assert_eq(node, 9);
	cr_assert_arr_eq(header_a, headers[0], PL_ENTRY_HEADER_BYTES);
	cr_assert_arr_eq(header_b, headers[1], PL_ENTRY_HEADER_BYTES);
	forks_seen++;
}

Test(store, custody_and_forks_survive)
{
	uint8_t a[PL_ENTRY_HEADER_BYTES] = {1}, b[PL_ENTRY_HEADER_BYTES] = {2};
	sqlite3_stmt *s;

	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 100; seq++)
		pl_store_note_ack(f.store, 1, 9, 2, seq);
	pl_store_note_ack(f.store, 1, 9, 2, 50); /* an old one does not go back */
	pl_store_note_ack(f.store, 2, 9, 2, 7);
	cr_assert_eq(pl_store_add_fork(f.store, 9, a, b), PL_OK);
	cr_assert_eq(pl_store_add_fork(f.store, 9, a, b), PL_OK);
	fixture_close(&f);

	cr_assert_eq(fixture_open(&f), PL_OK);
	cr_assert_eq(pl_store_each_ack(f.store, check_ack, NULL), PL_OK);
	cr_assert_eq(ack_seen[1], 100);
	cr_assert_eq(ack_seen[2], 7);
	cr_assert_eq(pl_store_each_fork(f.store, check_fork, (const uint8_t *[]){a, b}), PL_OK);
	cr_assert_eq(forks_seen, 1);
	s = pl_store_prepare(pl_store_db(f.store), "UPDATE proof SET header_b = x'0102'");
	cr_assert_eq(sqlite3_step(s), SQLITE_DONE);
	cr_assert_eq(pl_store_each_fork(f.store, check_fork, NULL), PL_ERR_CORRUPT);
}

static uint8_t anchors_seen[3];

static void check_anchor(void *ctx, const uint8_t node_id[PL_NODE_ID_BYTES])
{
	(void)ctx;
	cr_assert(node_id[0] < 3 && node_id[PL_NODE_ID_BYTES - 1] == 7);
	anchors_seen[node_id[0]]++;
}

Test(store, anchors_survive_and_take_the_place_of_those_before)
{
	const uint8_t first[2][PL_NODE_ID_BYTES] = { { [31] = 7 }, { 1, [31] = 7 } }, then[1][PL_NODE_ID_BYTES] = { { 2, [31] = 7 } };

	cr_assert_eq(fixture_open(&f), PL_OK);
	cr_assert_eq(pl_store_each_anchor(f.store, check_anchor, NULL), PL_OK);
	cr_assert_eq(anchors_seen[0] + anchors_seen[1] + anchors_seen[2], 0);
	fixture_close(&f);
	fixture_start(&f);
	cr_assert_eq(pl_store_keep_anchors(f.store, first, 2), PL_OK);
	fixture_close(&f);
	cr_assert_eq(fixture_open(&f), PL_OK);
	cr_assert_eq(pl_store_each_anchor(f.store, check_anchor, NULL), PL_OK);
	cr_assert(anchors_seen[0] == 1 && anchors_seen[1] == 1 && anchors_seen[2] == 0);
	fixture_close(&f);
	fixture_start(&f);
	cr_assert_eq(pl_store_keep_anchors(f.store, first, 1), PL_OK);
	cr_assert_eq(pl_store_keep_anchors(f.store, then, 1), PL_OK);
	fixture_close(&f);
	cr_assert_eq(fixture_open(&f), PL_OK);
	cr_assert_eq(pl_store_each_anchor(f.store, check_anchor, NULL), PL_OK);
	cr_assert(anchors_seen[0] == 1 && anchors_seen[1] == 1 && anchors_seen[2] == 1);
	cr_assert_eq(sqlite3_exec(pl_store_db(f.store), "UPDATE anchor SET node_id = x'0102'", NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(pl_store_each_anchor(f.store, check_anchor, NULL), PL_ERR_CORRUPT);
}

static enum pl_err work_ack(struct pl_job *job, sqlite3 *db)
{
	sqlite3_stmt *s = pl_store_prepare(db, "SELECT max(seq) FROM peer_ack");

	if (!s || sqlite3_step(s) != SQLITE_ROW)
		return pl_store_job_err(job, db);
	*(int *)job->ctx = sqlite3_column_int(s, 0);
	return PL_OK;
}

/* Until the worker finds nothing to do. */
static void await_sleep(struct pl_store *store)
{
	for (bool is_sleeping = false; !is_sleeping;) {
		uv_mutex_lock(&store->mutex);
		is_sleeping = store->is_sleeping;
		uv_mutex_unlock(&store->mutex);
	}
}

Test(store, custody_is_written_once_a_second_after_the_first_of_it)
{
	int seq = 0;
	struct pl_job job = {.work = work_ack, .done = count_done, .ctx = &seq};
	struct pl_store_stats stats;
	const uint64_t until = uv_hrtime() + 10000000000u;

	fixture_start(&f);
	const uint64_t first = uv_hrtime();
	for (uint64_t i = 1; i <= 33; i++) {
		await_sleep(f.store);
		pl_store_note_ack(f.store, 1, 9, 2, i);
	}
	await_sleep(f.store);
	/* Nothing wakes the worker meanwhile: it has to do so by itself. */
	do {
		usleep(1000);
		pl_store_stats(f.store, &stats);
	} while (stats.commits == 0 && uv_hrtime() < until);
	cr_assert_eq(stats.commits, 1);
	cr_assert_geq(uv_hrtime() - first, 1000000000u);
	pl_store_run(f.store, &job);
	fixture_await(&f, &jobs_done, 1);
	cr_assert_eq(seq, 33);
}

/* --- threads --- */

static enum pl_err work_as_if_on_the_loop(struct pl_job *job, sqlite3 *db)
{
	(void)job;
	(void)db;
	pl_store_note_ack(f.store, 1, 0, 0, 1);
	return PL_OK;
}

/* In a process of its own, so that what stands on the disk is cleaned up here. */
static bool aborts(void (*story)(void))
{
	int status;
	const pid_t child = fork();

	if (child == 0) {
		story();
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void run_a_job_that_calls_what_is_the_loops(void)
{
	static struct pl_job job = {.work = work_as_if_on_the_loop, .done = count_done};

	fixture_start(&f);
	pl_store_run(f.store, &job);
	fixture_await(&f, &jobs_done, 1);
}

Test(store, a_job_that_calls_what_is_the_loops_ends_the_process)
{
	cr_assert(aborts(run_a_job_that_calls_what_is_the_loops));
}

static void use_the_workers_connection(void)
{
	sqlite3 *db;

	if (fixture_open(&f) != PL_OK)
		return;
	db = pl_store_db(f.store);
	if (!pl_store_prepare(db, "SELECT 1") || pl_store_start(f.store, &f.loop, &f.callbacks) != PL_OK)
		return;
	(void)pl_store_prepare(db, "SELECT 1");
}

Test(store, the_connection_is_the_workers_alone)
{
	cr_assert(aborts(use_the_workers_connection));
}
