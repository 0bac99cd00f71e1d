/* The worker: one thread, one connection, one transaction at a time.
 *
 * A turn of its loop has three stages, each one transaction if it writes:
 *   1. urgent entries, all that wait;
 *   2. urgent jobs;
 *   3. jobs and loads by turns for a slice of time, then a group of entries, custody and forks.
 * Every stage makes some progress in every turn, so that none starves. Stages 2 and 3 end early when something urgent comes: an entry goes
 * into the transaction at hand, which is committed; the rest waits.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/file.h"
#include "node/store/store_impl.h"

#define GROUP_ROWS_MAX 1024
#define GROUP_BYTES_MAX (1u << 20)
#define SLICE_NS 4000000u /* of jobs, and of inserting: what an urgent entry may have to wait for before the commit */
#define IDLE_NS 100000000u /* without work for so long, the worker checkpoints */

/* Copying the WAL can be cut short, the sync at the end of a checkpoint cannot: small checkpoints keep it short. By store_bench, on a disk
 * that takes all it can, an urgent entry in a hundred waits about 70 ms so, and 90 to 150 ms when the WAL may grow to 8,000 frames before it
 * is moved in any case; bulk is as fast. */
const struct pl_store_tuning pl_store_tuning = {
	.probe_ns = 1000000000u, .idle_frames = 250, .busy_frames = 1000, .forced_frames = 2000,
};

/* With the mutex held. */
static bool has_urgent(const struct pl_store *store)
{
	return store->urgent.first || store->jobs_urgent.first;
}

/* What stands in one transaction. */
struct batch {
	bool has_begun;
	size_t rows, bytes;
	uint64_t own_rows[PL_LANES];
	uint64_t own_head[PL_LANES]; /* 0: none */
	struct pl_pending_queue entries;
	struct pl_job_queue jobs; /* that have run, reading ones too: they may have seen what others wrote */
	struct pl_fork_queue forks;
	struct pl_ack_table acks;
	char freeze_why[PL_SIDECAR_WHY_BYTES];
};

static enum pl_err begin(struct pl_store *store, struct batch *batch)
{
	enum pl_err err = batch->has_begun ? PL_OK : pl_sql_run(store, PL_STMT_BEGIN);

	if (!err)
		batch->has_begun = true;
	return err;
}

static bool is_transient(enum pl_err err)
{
	return err == PL_ERR_DISK_FULL || err == PL_ERR_MEMORY;
}

/* A sentence for the administrator. */
static void explain(struct pl_store *store, enum pl_err err, char *why, size_t why_max)
{
	const char *message = sqlite3_errmsg(store->db);

	if (err == PL_ERR_DISK_FULL)
		pl_why(why, why_max, err, "There is no room left to write %s.", store->path);
	else if (err == PL_ERR_CORRUPT)
		pl_why(why, why_max, err, "%s is damaged: %s.", store->path, message);
	else if (pl_store_sql_err(store->db) == PL_OK)
		pl_why(why, why_max, err, "%s.feed cannot be written.", store->path);
	else
		pl_why(why, why_max, err, "%s cannot be read or written: %s.", store->path, message);
}

/* Nothing of the batch is kept. The loop hears of it once; forks and custody wait for better times. */
static void fail(struct pl_store *store, struct batch *batch, enum pl_err err)
{
	char why[sizeof(store->failure_why)];
	struct pl_job *job;

	explain(store, err, why, sizeof(why));
	if (!sqlite3_get_autocommit(store->db))
		(void)pl_sql_run(store, PL_STMT_ROLLBACK); /* it may have happened already; nothing else can be done about an error */
	pl_sql_rolled_back(store);

	uv_mutex_lock(&store->mutex);
	if (store->state == PL_STORE_RUNNING) {
		store->state = is_transient(err) ? PL_STORE_BROKEN : PL_STORE_ENDED;
		store->has_failed = true;
		store->failure = err;
		memcpy(store->failure_why, why, sizeof(why));
		store->stats.writable = false;
	} else if (!is_transient(err) && store->state != PL_STORE_ENDED) { /* the disk was full, now it is broken too */
		store->state = PL_STORE_ENDED;
		store->has_failed = true;
		store->failure = err;
		memcpy(store->failure_why, why, sizeof(why));
	}
	PL_QUEUE_APPEND(&store->dropped, &batch->entries);
	while (batch->jobs.first) {
		PL_QUEUE_POP(&batch->jobs, job);
		job->err = err;
		snprintf(job->why, sizeof(job->why), "%.*s", (int)sizeof(job->why) - 1, why);
		PL_QUEUE_PUSH(&store->done_jobs, job);
	}
	PL_QUEUE_APPEND(&store->forks, &batch->forks);
	if (batch->freeze_why[0])
		memcpy(store->freeze_why, batch->freeze_why, sizeof(store->freeze_why));
	for (size_t i = 0; i < batch->acks.size; i++)
		pl_store_keep_ack(store, &batch->acks.slots[i]);
	store->probe_due_ns = uv_hrtime() + store->tuning.probe_ns;
	uv_mutex_unlock(&store->mutex);
	pl_acks_dispose(&batch->acks);
	pl_waker_wake(store->waker);
}

static enum pl_err commit(struct pl_store *store, const struct batch *batch)
{
	enum pl_err err;
	uint64_t start_ns = uv_hrtime(), us;

	if (!batch->has_begun)
		return PL_OK;
	err = pl_sidecar_reserve(&store->sidecar, batch->own_head);
	if (!err)
		err = pl_sql_commit(store);
	if (err)
		return err;
	for (int lane = 0; lane < PL_LANES; lane++)
		if (batch->own_head[lane])
			store->own_head[lane] = batch->own_head[lane];
	if (batch->own_head[0] || batch->own_head[1] || batch->own_head[2])
		pl_sidecar_committed(&store->sidecar, store->own_head);
	us = (uv_hrtime() - start_ns) / 1000;
	uv_mutex_lock(&store->mutex);
	store->stats.commits++;
	store->stats.rows_committed += batch->rows;
	store->stats.entries += batch->rows;
	if (us > store->stats.commit_us_max)
		store->stats.commit_us_max = us;
	uv_mutex_unlock(&store->mutex);
	return PL_OK;
}

static enum pl_err insert(struct pl_store *store, struct batch *batch, struct pl_pending *pending)
{
	const struct pl_store_entry *entry = &pending->entry;
	enum pl_err err = begin(store, batch);

	PL_QUEUE_PUSH(&batch->entries, pending);
	batch->rows++;
	batch->bytes += PL_ENTRY_HEADER_BYTES + entry->body_bytes;
	if (pending->is_own) {
		batch->own_head[entry->lane] = entry->seq;
		batch->own_rows[entry->lane]++;
	}
	return err ? err : pl_sql_insert_entry(store, entry);
}

/* Whether the next entry of a queue may still join; groups: how many groups' worth. */
static bool has_room(const struct batch *batch, const struct pl_pending *pending, unsigned groups)
{
	return batch->rows < groups * GROUP_ROWS_MAX && batch->bytes < groups * GROUP_BYTES_MAX &&
	       (!pending->is_own || batch->own_rows[pending->entry.lane] < PL_SIDECAR_GROUP_MAX);
}

/* All urgent entries that wait, also into a full group. */
static enum pl_err insert_urgent(struct pl_store *store, struct batch *batch)
{
	struct pl_pending *pending;
	enum pl_err err = PL_OK;

	do {
		uv_mutex_lock(&store->mutex);
		pending = store->urgent.first;
		if (pending && has_room(batch, pending, 2)) {
			PL_QUEUE_POP(&store->urgent, pending);
			store->urgent_count[pending->entry.node][pending->entry.lane]--;
		} else {
			pending = NULL;
		}
		uv_mutex_unlock(&store->mutex);
		if (pending)
			err = insert(store, batch, pending);
	} while (!err && pending);
	return err;
}

/* Ends the batch: commits and reports, or fails. An urgent entry that came meanwhile goes along: it would have to wait for this commit
 * anyway, and this way it waits for no other. */
static void end(struct pl_store *store, struct batch *batch, enum pl_err err)
{
	struct pl_fork *fork;

	if (!err && batch->has_begun)
		err = insert_urgent(store, batch);
	if (!err)
		err = commit(store, batch);
	if (err) {
		fail(store, batch, err);
		return;
	}
	while (batch->forks.first) {
		PL_QUEUE_POP(&batch->forks, fork);
		free(fork);
	}
	pl_acks_dispose(&batch->acks);
	if (!batch->entries.first && !batch->jobs.first)
		return;
	uv_mutex_lock(&store->mutex);
	PL_QUEUE_APPEND(&store->done_entries, &batch->entries);
	PL_QUEUE_APPEND(&store->done_jobs, &batch->jobs);
	uv_mutex_unlock(&store->mutex);
	pl_waker_wake(store->waker);
}

/* --- stage 1 --- */

static void run_urgent_entries(struct pl_store *store)
{
	struct batch batch = {0};
	enum pl_err err = insert_urgent(store, &batch);

	end(store, &batch, err);
}

/* --- stages 2 and 3 --- */

/* What a job's end says about the store: PL_OK if only the job can be at fault. */
static enum pl_err store_fault(struct pl_store *store, const struct batch *batch, const struct pl_job *job)
{
	enum pl_err err = job->err ? pl_store_sql_err(store->db) : PL_OK;
	bool is_lost = batch->has_begun && sqlite3_get_autocommit(store->db); /* SQLite has rolled everything back */

	if (err == PL_ERR_DISK_FULL || err == PL_ERR_CORRUPT || (sqlite3_errcode(store->db) & 0xff) == SQLITE_IOERR)
		return err ? err : PL_ERR_IO;
	if (is_lost)
		return err == PL_ERR_MEMORY ? err : PL_ERR_IO;
	return PL_OK;
}

/* One job. Returns an error if the whole batch is lost. */
static enum pl_err run_job(struct pl_store *store, struct batch *batch, struct pl_job *job)
{
	enum pl_err err = PL_OK, fault;

	PL_QUEUE_PUSH(&batch->jobs, job);
	if (job->writes) {
		err = begin(store, batch);
		if (!err)
			err = pl_sql_run(store, PL_STMT_SAVEPOINT);
		if (err)
			return err;
	}
	job->err = job->work(job, store->db);
	fault = store_fault(store, batch, job);
	pl_sql_reset_all(store->db);
	if (fault)
		return fault;
	if (job->writes && job->err)
		err = pl_sql_run(store, PL_STMT_ROLLBACK_TO);
	if (job->writes && !err)
		err = pl_sql_run(store, PL_STMT_RELEASE);
	return err;
}

static void finish_job(struct pl_store *store, struct pl_job *job, enum pl_err err)
{
	uv_mutex_lock(&store->mutex);
	job->err = err;
	memcpy(job->why, store->failure_why, sizeof(job->why));
	job->why[sizeof(job->why) - 1] = 0;
	PL_QUEUE_PUSH(&store->done_jobs, job);
	uv_mutex_unlock(&store->mutex);
	pl_waker_wake(store->waker);
}

static enum pl_err run_load(struct pl_store *store, struct pl_load *load, bool may_read)
{
	enum pl_err err = may_read ? pl_sql_load(store, load) : PL_ERR_MEMORY;

	if (err)
		load->count = 0;
	/* Without memory this load has failed, not the store. */
	load->err = err == PL_ERR_MEMORY ? err : PL_OK;
	uv_mutex_lock(&store->mutex);
	store->stats.loads++;
	if (load->damaged_seq)
		store->stats.damaged++;
	PL_QUEUE_PUSH(&store->done_loads, load);
	uv_mutex_unlock(&store->mutex);
	pl_waker_wake(store->waker);
	return err == PL_ERR_MEMORY ? PL_OK : err;
}

/* Jobs of one class, and loads by turns with them if wanted, until the slice is over. */
static enum pl_err run_slice(struct pl_store *store, struct batch *batch, struct pl_job_queue *jobs, bool with_loads)
{
	uint64_t until_ns = uv_hrtime() + SLICE_NS;
	enum pl_err err = PL_OK;
	bool is_over = false;

	while (!err && !is_over) {
		enum pl_store_state state;
		struct pl_job *job;
		struct pl_load *load = NULL;

		uv_mutex_lock(&store->mutex);
		state = store->state;
		PL_QUEUE_POP(jobs, job);
		if (with_loads)
			PL_QUEUE_POP(&store->loads, load);
		if (job)
			store->stats.jobs++;
		is_over = (!job && !load) || (with_loads ? has_urgent(store) : store->urgent.first != NULL);
		uv_mutex_unlock(&store->mutex);

		if (job && (state == PL_STORE_ENDED || (state != PL_STORE_RUNNING && job->writes)))
			finish_job(store, job, store->failure);
		else if (job)
			err = run_job(store, batch, job);
		if (load) {
			enum pl_err load_err = run_load(store, load, state != PL_STORE_ENDED && !err);

			err = err ? err : load_err;
		}
		is_over |= uv_hrtime() >= until_ns;
	}
	return err;
}

static void run_urgent_jobs(struct pl_store *store)
{
	struct batch batch = {0};
	enum pl_err err = run_slice(store, &batch, &store->jobs_urgent, false);

	end(store, &batch, err);
}

/* Whether an entry of `normal` may go now: not before urgent ones of its own lane, which came first; and when anything urgent waits, only as
 * the one entry that this stage is sure of. With the mutex held. */
static bool may_go(const struct pl_store *store, const struct batch *batch, const struct pl_pending *pending)
{
	return has_room(batch, pending, 1) && !(batch->rows && has_urgent(store)) &&
	       store->urgent_count[pending->entry.node][pending->entry.lane] == 0;
}

static enum pl_err insert_group(struct pl_store *store, struct batch *batch)
{
	uint64_t until_ns = uv_hrtime() + SLICE_NS;
	enum pl_err err = PL_OK;
	struct pl_pending *pending;

	do {
		uv_mutex_lock(&store->mutex);
		pending = store->state == PL_STORE_RUNNING ? store->normal.first : NULL;
		if (pending && may_go(store, batch, pending)) {
			PL_QUEUE_POP(&store->normal, pending);
			store->normal_count[pending->entry.node][pending->entry.lane]--;
		} else {
			pending = NULL;
		}
		uv_mutex_unlock(&store->mutex);
		if (pending)
			err = insert(store, batch, pending);
	} while (!err && pending && uv_hrtime() < until_ns);
	return err;
}

/* Forks and a frozen feed are written at once; custody joins a transaction that is being made anyway, or makes one when it has waited long
 * enough. */
static enum pl_err insert_notes(struct pl_store *store, struct batch *batch)
{
	enum pl_err err = PL_OK;
	bool is_due;

	uv_mutex_lock(&store->mutex);
	is_due = store->acks.count && (batch->has_begun || store->is_stopping || uv_hrtime() >= store->acks_due_ns);
	if (store->state == PL_STORE_RUNNING) {
		PL_QUEUE_APPEND(&batch->forks, &store->forks);
		memcpy(batch->freeze_why, store->freeze_why, sizeof(batch->freeze_why));
		store->freeze_why[0] = 0;
		if (is_due) {
			batch->acks = store->acks;
			store->acks = (struct pl_ack_table){0};
		}
	}
	uv_mutex_unlock(&store->mutex);
	if (batch->forks.first || batch->acks.count || batch->freeze_why[0])
		err = begin(store, batch);
	if (!err && batch->freeze_why[0])
		err = pl_sql_freeze(store, batch->freeze_why);
	for (const struct pl_fork *fork = batch->forks.first; !err && fork; fork = fork->next)
		err = pl_sql_insert_fork(store, fork);
	return err ? err : pl_sql_insert_acks(store, &batch->acks);
}

static void run_rest(struct pl_store *store)
{
	struct batch batch = {0};
	enum pl_err err = run_slice(store, &batch, &store->jobs, true);

	if (!err)
		err = insert_group(store, &batch);
	if (!err)
		err = insert_notes(store, &batch);
	end(store, &batch, err);
}

/* --- checkpoints and failures --- */

static int on_commit(void *ctx, sqlite3 *db, const char *name, int frames)
{
	struct pl_store *store = ctx;

	(void)db;
	(void)name;
	store->wal_frames = frames;
	return SQLITE_OK;
}

/* Moves the WAL into the database. An urgent entry cuts it short unless the WAL has grown too far. The WAL keeps its data until all has
 * moved, so that nothing is lost whatever happens here. */
static void checkpoint(struct pl_store *store)
{
	bool can_wait = store->wal_frames < store->tuning.forced_frames;
	int in_wal = -1, moved = -1, rc;
	struct batch none = {0};

	uv_mutex_lock(&store->mutex);
	store->may_interrupt = can_wait;
	can_wait = can_wait && has_urgent(store);
	if (can_wait)
		store->may_interrupt = false;
	uv_mutex_unlock(&store->mutex);
	if (can_wait)
		return;
	rc = sqlite3_wal_checkpoint_v2(store->db, "main", SQLITE_CHECKPOINT_PASSIVE, &in_wal, &moved);
	uv_mutex_lock(&store->mutex);
	store->may_interrupt = false;
	if (rc == SQLITE_OK)
		store->stats.checkpoints++;
	uv_mutex_unlock(&store->mutex);
	if (rc == SQLITE_OK && in_wal == moved)
		store->wal_frames = 0; /* the next commit starts the WAL anew */
	else if ((rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CORRUPT)
		fail(store, &none, pl_store_sql_err(store->db));
	else if (rc != SQLITE_INTERRUPT)
		store->checkpoint_retry_ns = uv_hrtime() + store->tuning.probe_ns; /* no room in the database: the WAL keeps what it has */
	store->checkpoint_due_ns = uv_hrtime() + IDLE_NS;
}

static bool is_checkpoint_due(struct pl_store *store, bool is_idle)
{
	uint64_t now_ns = uv_hrtime();
	bool is_running;

	if (store->wal_frames < store->tuning.idle_frames || now_ns < store->checkpoint_retry_ns ||
	    (store->wal_frames < store->tuning.busy_frames && (!is_idle || now_ns < store->checkpoint_due_ns)))
		return false;
	uv_mutex_lock(&store->mutex);
	is_running = store->state == PL_STORE_RUNNING;
	uv_mutex_unlock(&store->mutex);
	return is_running;
}

static void probe(struct pl_store *store)
{
	enum pl_err err = pl_sql_probe(store);
	struct batch none = {0};

	if (err && !is_transient(err)) {
		fail(store, &none, err);
		return;
	}
	uv_mutex_lock(&store->mutex);
	if (err) {
		store->probe_due_ns = uv_hrtime() + store->tuning.probe_ns;
	} else {
		store->state = PL_STORE_RUNNING;
		store->is_ready = true;
		store->stats.writable = true;
	}
	uv_mutex_unlock(&store->mutex);
	if (!err)
		pl_waker_wake(store->waker);
}

/* --- the loop --- */

static bool has_work(const struct pl_store *store)
{
	bool reads = store->jobs_urgent.first || store->jobs.first || store->loads.first;

	return reads || (store->state == PL_STORE_RUNNING && (store->urgent.first || store->normal.first || store->forks.first ||
	                                                       store->freeze_why[0]));
}

/* Sleeps until there is work or a time comes; with the mutex held. */
static void sleep_until_work(struct pl_store *store)
{
	uint64_t now_ns = uv_hrtime(), wake_ns = UINT64_MAX;

	if (store->state == PL_STORE_RUNNING && store->acks.count)
		wake_ns = store->acks_due_ns;
	if (store->state == PL_STORE_RUNNING && store->wal_frames >= store->tuning.idle_frames) {
		uint64_t due_ns = store->checkpoint_due_ns > store->checkpoint_retry_ns ? store->checkpoint_due_ns : store->checkpoint_retry_ns;

		wake_ns = due_ns < wake_ns ? due_ns : wake_ns;
	}
	if (store->state == PL_STORE_WAITING)
		wake_ns = store->probe_due_ns;
	if (wake_ns <= now_ns)
		return;
	store->is_sleeping = true;
	if (wake_ns == UINT64_MAX)
		uv_cond_wait(&store->cond, &store->mutex);
	else
		(void)uv_cond_timedwait(&store->cond, &store->mutex, wake_ns - now_ns);
	store->is_sleeping = false;
}

void pl_store_worker(void *ctx)
{
	struct pl_store *store = ctx;

	pl_sql_work_for(store);
	sqlite3_wal_hook(store->db, on_commit, store);
	for (;;) {
		enum pl_store_state state;
		bool is_idle, is_stopping;

		uv_mutex_lock(&store->mutex);
		is_idle = !has_work(store);
		is_stopping = store->is_stopping;
		if (is_idle && !is_stopping)
			sleep_until_work(store);
		state = store->state;
		is_idle = is_idle && !has_work(store);
		uv_mutex_unlock(&store->mutex);
		if (is_idle && is_stopping && !(state == PL_STORE_RUNNING && store->acks.count))
			break;

		if (!is_idle)
			store->checkpoint_due_ns = uv_hrtime() + IDLE_NS;
		if (state == PL_STORE_RUNNING)
			run_urgent_entries(store);
		run_urgent_jobs(store);
		run_rest(store);
		if (state == PL_STORE_WAITING && uv_hrtime() >= store->probe_due_ns)
			probe(store);
		if (is_checkpoint_due(store, is_idle))
			checkpoint(store);
	}
}
