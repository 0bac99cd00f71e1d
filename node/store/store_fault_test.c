/* The promise: what the store reports as stored is there, whatever the disk does. A small workload runs on a disk that fails at each of its
 * operations in turn, once and for good, or loses power there; then what is left of the files is opened again and compared with what was
 * reported. The same harness must find the losses of a store that does not sync.
 *
 * `make check` takes every third operation, with PARLEY_TEST_SHORT every 37th; PARLEY_FAULT_STRIDE=1 takes them all.
 */
#include <stdatomic.h>

#include "node/store/store_fixture.h"
#include "node/store/store_impl.h"
#include "tests/disk.h"

#define STEPS 8
#define NODES 3
#define CUTS 4 /* remains that are looked at for each cut */

static struct fixture f;
static char cut_dir[64];
static uint64_t stride = 3;

static void set_up(void)
{
	const char *text = getenv("PARLEY_FAULT_STRIDE");

	if (getenv("PARLEY_TEST_SHORT"))
		stride = 37;
	if (text && atoi(text) > 0)
		stride = (uint64_t)atoi(text);
	fixture_init(&f, access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	snprintf(cut_dir, sizeof(cut_dir), "%.40s.cut", f.dir);
	mkdir(cut_dir, 0700);
}

static void empty_dir(const char *path)
{
	char name[512];
	struct dirent *item;
	DIR *dir = opendir(path);

	while (dir && (item = readdir(dir))) {
		snprintf(name, sizeof(name), "%s/%s", path, item->d_name);
		unlink(name);
	}
	if (dir)
		closedir(dir);
}

static void tear_down(void)
{
	empty_dir(cut_dir);
	rmdir(cut_dir);
	disk_forget();
	fixture_dispose(&f);
}

TestSuite(store_fault, .init = set_up, .fini = tear_down, .timeout = 1800);

/* --- the workload --- */

/* Lane heads after each step: own entries in all lanes, another's bulk, a third's urgent ones. */
static uint64_t head_after(unsigned step, uint16_t node, uint8_t lane)
{
	static const uint8_t per_step[NODES][PL_LANES] = {{1, 2, 9}, {0, 0, 7}, {1, 1, 0}};

	return (uint64_t)step * per_step[node][lane];
}

struct outcome {
	bool has_opened, breaks_rules;
	bool has_finished; /* all steps, and closed */
	uint64_t stored[NODES][PL_LANES]; /* as reported */
	unsigned jobs;                    /* bits: which steps' jobs were reported done */
	size_t failed, ready;
	enum pl_err failure;
};
static struct outcome outcome;

static char wrong[256]; /* the first thing that was found wrong, since it was last emptied */
static size_t lost;     /* entries and jobs that were reported and are not there */

__attribute__((format(printf, 1, 2))) static size_t is_wrong(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	if (!wrong[0])
		vsnprintf(wrong, sizeof(wrong), format, args);
	va_end(args);
	return 1;
}

static void on_stored(void *ctx, const struct pl_store_entry *entries, size_t count)
{
	(void)ctx;
	if (outcome.failed > outcome.ready)
		outcome.breaks_rules = is_wrong("reports entries between failed() and ready()");
	for (size_t i = 0; i < count; i++) {
		uint64_t *stored = &outcome.stored[entries[i].node][entries[i].lane];

		if (entries[i].seq != *stored + 1)
			outcome.breaks_rules = is_wrong("reports a lane out of order");
		*stored = entries[i].seq;
	}
}

static void on_failed(void *ctx, enum pl_err err, const char *why)
{
	(void)ctx;
	(void)why;
	outcome.failed++;
	outcome.failure = err;
	if (fixture_append(&f, 0, 1, outcome.stored[0][1] + 1, 0, false) != PL_ERR_STATE)
		outcome.breaks_rules = is_wrong("takes entries after a failure");
}

static void on_ready(void *ctx)
{
	(void)ctx;
	outcome.ready++;
	if (outcome.failure != PL_ERR_DISK_FULL && outcome.failure != PL_ERR_MEMORY)
		outcome.breaks_rules = is_wrong("goes on after an error that is final");
}

struct step_job {
	struct pl_job job;
	unsigned step;
	bool is_done;
};

static enum pl_err work_note_step(struct pl_job *job, sqlite3 *db)
{
	struct step_job *step_job = job->ctx;
	sqlite3_stmt *s = pl_store_prepare(db, "INSERT OR REPLACE INTO meta (key, value) VALUES ('step ' || ?1, zeroblob(3000))");

	if (!s)
		return pl_store_job_err(job, db);
	sqlite3_bind_int(s, 1, (int)step_job->step);
	return sqlite3_step(s) == SQLITE_DONE ? PL_OK : pl_store_job_err(job, db);
}

static void on_job_done(struct pl_job *job)
{
	struct step_job *step_job = job->ctx;

	if (job->err == PL_OK)
		outcome.jobs |= 1u << step_job->step;
	step_job->is_done = true;
}

static bool append_step(unsigned step)
{
	bool all = true;

	for (uint8_t lane = PL_LANES; lane-- > 0;)
		for (uint16_t node = 0; node < NODES; node++)
			for (uint64_t seq = outcome.stored[node][lane] + 1; seq <= head_after(step, node, lane); seq++)
				all &= fixture_append(&f, node, lane, seq, (uint32_t)(seq % 3 * 700), lane == 0) == PL_OK;
	return all;
}

static bool is_step_stored(unsigned step)
{
	for (uint16_t node = 0; node < NODES; node++)
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			if (outcome.stored[node][lane] < head_after(step, node, lane))
				return false;
	return true;
}

static bool is_final(void)
{
	return outcome.failed && outcome.failure != PL_ERR_DISK_FULL && outcome.failure != PL_ERR_MEMORY;
}

/* One step: until all of it is stored, offering again what a full disk made void. */
static void run_step(unsigned step, bool for_good)
{
	struct step_job step_job = {.step = step};
	uint8_t header[PL_ENTRY_HEADER_BYTES] = {(uint8_t)step};
	size_t failed = outcome.failed, ready = outcome.ready;

	step_job.job = (struct pl_job){.work = work_note_step, .done = on_job_done, .ctx = &step_job, .writes = true};
	pl_store_run(f.store, &step_job.job);
	pl_store_note_ack(f.store, 1, 0, 2, step);
	cr_assert_eq(pl_store_add_fork(f.store, 2, header, header), PL_OK);
	(void)append_step(step);
	while (!is_final() && !is_step_stored(step) && !(for_good && outcome.failed)) {
		uv_run(&f.loop, UV_RUN_ONCE);
		if (outcome.failed > failed && outcome.ready > ready && !is_final()) {
			failed = outcome.failed;
			ready = outcome.ready;
			(void)append_step(step);
		}
	}
	while (!step_job.is_done)
		uv_run(&f.loop, UV_RUN_ONCE);
}

static void run_workload(const struct disk_plan *plan, const char *sabotage)
{
	memset(&outcome, 0, sizeof(outcome));
	empty_dir(f.dir);
	f.callbacks.stored = on_stored;
	f.callbacks.failed = on_failed;
	f.callbacks.ready = on_ready;
	disk_start(f.dir, plan);
	if (fixture_open(&f) != PL_OK)
		return;
	outcome.has_opened = true;
	f.store->tuning = (struct pl_store_tuning){.probe_ns = 1000000, .idle_frames = 16, .busy_frames = 40, .forced_frames = 40};
	if (sabotage)
		cr_assert_eq(sqlite3_exec(pl_store_db(f.store), sabotage, NULL, NULL, NULL), SQLITE_OK);
	cr_assert_eq(pl_store_start(f.store, &f.loop, &f.callbacks), PL_OK);
	for (unsigned step = 1; step <= STEPS && !is_final() && !(plan->for_good && outcome.failed); step++)
		run_step(step, plan->for_good);
	fixture_close(&f);
	outcome.has_finished = is_step_stored(STEPS) && !is_final() && !(plan->fault == DISK_CUT && disk_has_struck());
}

/* --- the judgement --- */

/* Entries of all lanes are whole and without gaps, up to what was reported at least. */
static size_t check_entries(sqlite3 *db)
{
	sqlite3_stmt *s = pl_store_prepare(db, "SELECT node, lane, seq, id, header, body FROM entry ORDER BY node, lane, seq");
	uint64_t found[NODES][PL_LANES] = {{0}};
	size_t bad = 0;
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		uint16_t node = (uint16_t)sqlite3_column_int(s, 0);
		uint8_t lane = (uint8_t)sqlite3_column_int(s, 1), body[4096];
		uint64_t seq = (uint64_t)sqlite3_column_int64(s, 2);
		struct pl_store_entry expected;

		if (seq != ++found[node][lane])
			return is_wrong("node %d lane %d: a gap before %llu", node, lane, (unsigned long long)seq);
		sample_entry(&expected, body, (uint32_t)(seq % 3 * 700), node, lane, seq);
		if (sqlite3_column_bytes(s, 4) != PL_ENTRY_HEADER_BYTES ||
		    memcmp(sqlite3_column_blob(s, 4), expected.header, PL_ENTRY_HEADER_BYTES) != 0 ||
		    memcmp(sqlite3_column_blob(s, 3), expected.id, PL_ID_BYTES) != 0 ||
		    sqlite3_column_bytes(s, 5) != (int)expected.body_bytes ||
		    (expected.body_bytes && memcmp(sqlite3_column_blob(s, 5), body, expected.body_bytes) != 0))
			return is_wrong("node %d lane %d: entry %llu is another", node, lane, (unsigned long long)seq);
	}
	if (rc != SQLITE_DONE)
		return is_wrong("entries cannot be read: %s", sqlite3_errmsg(db));
	for (uint16_t node = 0; node < NODES; node++)
		for (uint8_t lane = 0; lane < PL_LANES; lane++)
			if (found[node][lane] < outcome.stored[node][lane]) {
				lost += outcome.stored[node][lane] - found[node][lane];
				bad += is_wrong("node %d lane %d: %llu were reported, %llu are there", node, lane,
				                (unsigned long long)outcome.stored[node][lane], (unsigned long long)found[node][lane]);
			}
	return bad;
}

static size_t check_jobs(sqlite3 *db)
{
	sqlite3_stmt *s = pl_store_prepare(db, "SELECT count(*) FROM meta WHERE key = 'step ' || ?1");
	size_t count = 0;

	for (unsigned step = 1; step <= STEPS; step++) {
		sqlite3_bind_int(s, 1, (int)step);
		if (sqlite3_step(s) != SQLITE_ROW || (outcome.jobs >> step & 1 && sqlite3_column_int(s, 0) != 1)) {
			lost++;
			count += is_wrong("the job of step %u was reported and is not there", step);
		}
		sqlite3_reset(s);
	}
	return count;
}

/* Forks and custody wait while commits fail, and are there in the end. */
static size_t check_notes(sqlite3 *db)
{
	sqlite3_stmt *s = pl_store_prepare(db, "SELECT (SELECT count(*) FROM proof), (SELECT max(seq) FROM peer_ack)");
	size_t count = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int(s, 0) == STEPS && sqlite3_column_int(s, 1) == STEPS
		? 0 : is_wrong("%d forks, custody up to %d", sqlite3_column_int(s, 0), sqlite3_column_int(s, 1));

	sqlite3_reset(s);
	return count;
}

static size_t check_integrity(sqlite3 *db)
{
	sqlite3_stmt *s = pl_store_prepare(db, "PRAGMA integrity_check");
	const char *text = sqlite3_step(s) == SQLITE_ROW ? (const char *)sqlite3_column_text(s, 0) : "cannot be run";
	size_t count = text && strcmp(text, "ok") == 0 ? 0 : is_wrong("integrity check: %s", text ? text : "?");

	sqlite3_reset(s);
	return count;
}

/* Opens what stands in a directory and returns how much is wrong with it. */
static size_t check(const char *dir)
{
	struct pl_store *store;
	char path[128], why[256] = "";
	size_t count = outcome.breaks_rules;

	snprintf(path, sizeof(path), "%s/store.db", dir);
	if (pl_store_open(path, sample_network, sample_self, &store, why, sizeof(why)) != PL_OK)
		return count + is_wrong("does not open: %s", why);
	if (pl_store_feed_state(store, why, sizeof(why)) != PL_OK)
		count += is_wrong("frozen: %s", why);
	count += check_integrity(pl_store_db(store));
	count += check_entries(pl_store_db(store));
	count += check_jobs(pl_store_db(store));
	if (outcome.has_finished)
		count += check_notes(pl_store_db(store));
	pl_store_close(store);
	return count;
}

/* Cuts the power at the end, and looks at what may be left: count times. */
static size_t check_cuts(uint64_t seed, unsigned count)
{
	size_t bad = 0;

	for (unsigned i = 0; i < count; i++) {
		empty_dir(cut_dir);
		disk_cut(cut_dir, seed * CUTS + i);
		bad += check(cut_dir) > 0;
	}
	return bad;
}

/* --- the sweeps --- */

static void sweep(const char *name, enum disk_fault fault, bool for_good, uint64_t every)
{
	size_t points = 0, bad = 0, opened = 0, failures = 0;
	uint64_t at;

	wrong[0] = 0;
	lost = 0;
	for (at = 1;; at += every) {
		struct disk_plan plan = {.fault = fault, .at = at, .for_good = for_good, .seed = at};
		bool has_struck;

		run_workload(&plan, NULL);
		has_struck = disk_stop();
		points++;
		opened += outcome.has_opened;
		failures += outcome.failed;
		bad += check_cuts(at, 1);
		if (!has_struck || fault == DISK_ENOSPC)
			bad += check(f.dir) > 0; /* the files as they are, too */
		if (!has_struck)
			break;
		if (fault == DISK_ENOSPC && !for_good && outcome.has_opened && !is_step_stored(STEPS))
			bad += is_wrong("did not go on after the disk had room again");
	}
	printf("store on a disk with %s, %s: %zu of %llu operations struck, %zu opened, %zu commits failed; %zu runs wrong, %zu rows "
	       "lost%s%s\n", name, for_good ? "for good" : "once", points - 1, (unsigned long long)at, opened, failures, bad, lost,
	       bad ? ": " : "", wrong);
	cr_assert_eq(bad, 0, "%s", wrong);
	cr_assert_gt(points, 10);
	cr_assert_gt(failures, 0);
}

Test(store_fault, io_error_once) { sweep("an I/O error", DISK_EIO, false, stride); }
Test(store_fault, io_error_for_good) { sweep("I/O errors", DISK_EIO, true, stride); }
Test(store_fault, full_once) { sweep("no room", DISK_ENOSPC, false, stride); }
Test(store_fault, full_for_good) { sweep("no room", DISK_ENOSPC, true, stride); }
Test(store_fault, failed_sync_once) { sweep("a failed sync", DISK_EIO_SYNC, false, 1); }
Test(store_fault, failed_sync_for_good) { sweep("failed syncs", DISK_EIO_SYNC, true, 1); }

/* --- memory --- */

static sqlite3_mem_methods system_memory;
static uint64_t allocations, fails_at; /* 0: none */
static bool fails_for_good;

static bool memory_fails(void)
{
	allocations++;
	return fails_at && (allocations == fails_at || (fails_for_good && allocations > fails_at));
}

static void *failing_malloc(int bytes)
{
	return memory_fails() ? NULL : system_memory.xMalloc(bytes);
}

static void *failing_realloc(void *old, int bytes)
{
	return memory_fails() ? NULL : system_memory.xRealloc(old, bytes);
}

static void sweep_memory(const char *name, bool for_good, uint64_t every)
{
	static const struct disk_plan plan = {.fault = DISK_FINE};
	sqlite3_mem_methods failing;
	size_t points = 0, bad = 0, opened = 0, failures = 0;

	cr_assert_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &system_memory), SQLITE_OK);
	failing = system_memory;
	failing.xMalloc = failing_malloc;
	failing.xRealloc = failing_realloc;
	cr_assert_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);
	fails_for_good = for_good;
	for (uint64_t at = 1;; at += every) {
		bool has_struck;

		disk_start(f.dir, &plan); /* also what SQLite allocates once */
		allocations = 0;
		fails_at = at;
		run_workload(&(struct disk_plan){.fault = DISK_FINE, .for_good = for_good}, NULL);
		has_struck = allocations >= at;
		fails_at = 0;
		disk_stop();
		points++;
		opened += outcome.has_opened;
		failures += outcome.failed;
		bad += check_cuts(at, 1);
		if (is_final())
			bad += is_wrong("took lack of memory for a broken disk");
		if (!has_struck)
			break;
	}
	printf("store without memory, %s: %zu allocations failed, %zu opened, %zu commits failed; %zu runs wrong, %zu rows lost%s%s\n", name,
	       points - 1, opened, failures, bad, lost, bad ? ": " : "", wrong);
	cr_assert_eq(bad, 0, "%s", wrong);
	cr_assert_gt(points, 10);
}

Test(store_fault, no_memory_once) { sweep_memory("once", false, 3 * stride); }
Test(store_fault, no_memory_for_good) { sweep_memory("for good", true, 3 * stride); }

/* --- power --- */

/* Cuts the power at each operation; returns how many remains are wrong. */
static size_t sweep_cuts(const char *name, const char *sabotage, const char *lies_for, uint64_t every)
{
	size_t points = 0, bad = 0;
	bool has_struck = true;

	wrong[0] = 0;
	lost = 0;
	for (uint64_t at = 1; has_struck; at += every) {
		struct disk_plan plan = {.fault = DISK_CUT, .at = at, .lies_for = lies_for};

		run_workload(&plan, sabotage);
		has_struck = disk_stop();
		bad += check_cuts(at, CUTS);
		points++;
	}
	printf("store, %s: power cut at %zu points, %zu remains each; %zu wrong, %zu rows lost%s%s\n", name, points, (size_t)CUTS, bad, lost,
	       bad ? ", first: " : "", wrong);
	return bad;
}

Test(store_fault, power_cut_loses_nothing_reported)
{
	size_t bad = sweep_cuts("as it is", NULL, NULL, stride);

	cr_assert_eq(bad, 0, "%s", wrong);
}

/* The sidecar by itself, with many reservations: the store may stand before or behind each, and is never taken for a copy. */
static size_t cut_sidecar(uint64_t at, unsigned remains)
{
	static const uint8_t incarnation[PL_INCARNATION_BYTES] = "of the sidecar";
	struct disk_plan plan = {.fault = DISK_CUT, .at = at};
	uint64_t head[PL_LANES] = {0};
	char path[128], why[256];
	struct pl_sidecar feed;
	bool has_opened = false; /* the store is made after that */
	size_t bad = 0;

	empty_dir(f.dir);
	snprintf(path, sizeof(path), "%s/feed", f.dir);
	disk_start(f.dir, &plan);
	if (pl_sidecar_open(&feed, path, incarnation, head, true, why, sizeof(why)) == PL_OK) {
		has_opened = true;
		for (unsigned step = 0; step < 12; step++) {
			uint64_t next[PL_LANES] = {head[0] + step % 3, head[1] + PL_SIDECAR_GROUP_MAX, head[2]};

			if (pl_sidecar_reserve(&feed, next) != PL_OK)
				break;
			memcpy(head, next, sizeof(head)); /* the commit */
			pl_sidecar_committed(&feed, head);
		}
		pl_sidecar_close(&feed);
	}
	disk_stop();
	snprintf(path, sizeof(path), "%s/feed", cut_dir);
	for (unsigned i = 0; i < remains; i++) {
		empty_dir(cut_dir);
		disk_cut(cut_dir, at * remains + i);
		if (pl_sidecar_open(&feed, path, incarnation, head, !has_opened, why, sizeof(why)) != PL_OK)
			bad += is_wrong("does not open: %s", why);
		else if (feed.frozen)
			bad += is_wrong("frozen: %s", feed.why);
		pl_sidecar_close(&feed);
	}
	return bad;
}

Test(store_fault, power_cut_leaves_a_sidecar_that_agrees)
{
	size_t bad = 0;
	uint64_t at = 0;

	do
		bad += cut_sidecar(++at, 100);
	while (disk_has_struck());
	printf("sidecar: power cut at %llu points, 100 remains each; %zu wrong%s%s\n", (unsigned long long)at, bad, bad ? ": " : "", wrong);
	cr_assert_eq(bad, 0, "%s", wrong);
	cr_assert_gt(at, 20);
}

/* The harness is worth something only if it sees a store that is wrong. */
Test(store_fault, harness_sees_commits_that_are_not_synced)
{
	(void)sweep_cuts("synchronous=OFF", "PRAGMA synchronous=OFF", NULL, 40);
	cr_assert_gt(lost, 0);
	(void)sweep_cuts("synchronous=NORMAL", "PRAGMA synchronous=NORMAL", NULL, 40);
	cr_assert_gt(lost, 0);
}

Test(store_fault, harness_sees_a_disk_that_lies)
{
	(void)sweep_cuts("WAL syncs claimed", NULL, "-wal", 40);
	cr_assert_gt(lost, 0);
	cr_assert_gt(sweep_cuts("sidecar syncs claimed", NULL, ".feed", 40), 0, "a store that is the newest must look frozen");
	cr_assert_eq(lost, 0);
}

/* --- memory --- */

static atomic_bool has_no_memory;

void *__real_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes)
{
	return has_no_memory ? NULL : __real_realloc(old, bytes);
}

Test(store_fault, a_load_that_lacks_memory_is_told_from_one_that_finds_nothing)
{
	fixture_start(&f);
	for (uint64_t seq = 1; seq <= 3; seq++)
		cr_assert_eq(fixture_append(&f, 1, 1, seq, 100, false), PL_OK);
	fixture_await(&f, &f.stored, 3);
	has_no_memory = true;
	cr_assert_eq(pl_store_load(f.store, 1, 1, 1, 1, 3, 1 << 20), PL_OK);
	fixture_await(&f, &f.loaded, 1);
	has_no_memory = false;
	cr_assert_eq(f.load_err, PL_ERR_MEMORY);
	cr_assert_eq(pl_store_load(f.store, 1, 1, 1, 1, 3, 1 << 20), PL_OK);
	fixture_await(&f, &f.loaded, 2);
	cr_assert_eq(f.load_err, PL_OK);
	cr_assert_eq(f.loaded_entries, 3);
	cr_assert_eq(f.failed, 0);
	cr_assert_eq(f.damaged, 0);
}

Test(store_fault, what_is_appended_between_a_failure_and_its_report_is_void_too)
{
	static struct fixture g;
	struct pl_store_stats stats;
	const struct disk_plan fine = { .fault = DISK_FINE }, full = { .fault = DISK_ENOSPC, .at = 1, .for_good = true };

	fixture_init(&g, "/tmp");
	disk_start(g.dir, &fine);
	fixture_start(&g);
	cr_assert_eq(fixture_append(&g, 0, 1, 1, 20, false), PL_OK);
	fixture_await(&g, &g.stored, 1);
	disk_start(g.dir, &full);
	cr_assert_eq(fixture_append(&g, 0, 1, 2, 20, false), PL_OK);
	do
		pl_store_stats(g.store, &stats);
	while (stats.writable);
	cr_assert_eq(fixture_append(&g, 0, 1, 3, 20, true), PL_OK);
	fixture_await(&g, &g.failed, 1);
	cr_assert_eq(fixture_append(&g, 0, 1, 2, 20, false), PL_ERR_STATE);
	disk_stop();
	fixture_await(&g, &g.ready, 1);
	cr_assert_eq(fixture_append(&g, 0, 1, 2, 20, false), PL_OK);
	fixture_await(&g, &g.stored, 2);
	fixture_close(&g);
	cr_assert_eq(g.stored, 2u);
	fixture_dispose(&g);
}
