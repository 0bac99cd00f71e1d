#include "node/apply.h"

#include <stdlib.h>

#include "node/store/db.h"
#include "node/log.h"

#define RETRY_MS 1000
#define SKIP_MS 500        /* places of skipped entries are written this often at most */
#define SKIPPED_MAX (PL_NODES_MAX * PL_LANES)
#define BULK_LANE (PL_LANES - 1)

struct place {
	uint16_t node;
	uint8_t lane;
	uint64_t seq;
};

/* One write of the places of skipped entries. */
struct skip_job {
	struct pl_job job;
	struct pl_applier *applier;
	size_t count;
	struct place places[];
};

struct pl_applier {
	struct pl_core *core;
	bool stopped;
	struct pl_apply *waiting; /* for the disk */
	uint64_t waits_told_ms;
	void (*waits)(void *ctx, uint16_t node, uint8_t lane);
	void *waits_ctx;
	bool later[PL_NODES_MAX][PL_LANES]; /* its entry comes again with the next retry */
	uv_timer_t retry, skip;
	uint64_t skipped[PL_NODES_MAX][PL_LANES]; /* 0: nothing to write */
	bool skip_running;
	uint64_t places[PL_NODES_MAX][PL_LANES];
};

uint64_t pl_applier_place(const struct pl_applier *applier, uint16_t node, uint8_t lane)
{
	return node < PL_NODES_MAX && lane < PL_LANES ? applier->places[node][lane] : 0;
}

void pl_applier_listen(struct pl_applier *applier, void (*waits)(void *ctx, uint16_t node, uint8_t lane), void *ctx)
{
	applier->waits = waits;
	applier->waits_ctx = ctx;
}

bool pl_applier_waits(const struct pl_applier *applier, uint16_t node, uint8_t lane)
{
	const struct pl_apply *apply = applier->waiting; /* one of each lane at most */
	while (apply && (apply->node != node || apply->lane != lane))
		apply = apply->next;
	return apply != NULL;
}

static void put_back(struct pl_apply *apply)
{
	struct pl_applier *applier = apply->applier;
	apply->next = applier->waiting;
	applier->waiting = apply;
	if (applier->waits)
		applier->waits(applier->waits_ctx, apply->node, apply->lane);
}

/* In the transaction that also has what was made of the entry: this is what makes it exactly once. */
static enum pl_err record_applied(sqlite3 *db, uint16_t node, uint8_t lane, uint64_t seq)
{
	sqlite3_stmt *stmt = pl_store_prepare(db, "INSERT INTO applied (node, lane, seq) VALUES (?1, ?2, ?3) "
	                                          "ON CONFLICT (node, lane) DO UPDATE SET seq = max(seq, excluded.seq)");

	if (!stmt)
		return pl_store_sql_err(db);
	sqlite3_bind_int64(stmt, 1, node);
	sqlite3_bind_int64(stmt, 2, lane);
	sqlite3_bind_int64(stmt, 3, (int64_t)seq);
	enum pl_err err = sqlite3_step(stmt) == SQLITE_DONE ? PL_OK : pl_store_sql_err(db);
	sqlite3_reset(stmt);
	return err;
}

static enum pl_err apply_work(struct pl_job *job, sqlite3 *db)
{
	struct pl_apply *apply = job->ctx;
	enum pl_err err = apply->work(apply, db);
	if (err == PL_OK)
		err = record_applied(db, apply->node, apply->lane, apply->seq);
	return err;
}

static void run(struct pl_apply *apply)
{
	apply->job = (struct pl_job){ .work = apply_work, .done = apply->job.done, .ctx = apply, .writes = true, .urgent = apply->urgent };
	pl_store_run(pl_core_store(apply->applier->core), &apply->job);
}

static void on_retry(uv_timer_t *timer);

static void retry_later(struct pl_applier *applier)
{
	if (!uv_is_active((uv_handle_t *)&applier->retry))
		uv_timer_start(&applier->retry, on_retry, RETRY_MS, 0);
}

bool pl_applier_find_room(struct pl_applier *applier)
{
	const bool has_room = pl_core_find_room(applier->core, 0);

	if (!has_room && pl_log_again(&applier->waits_told_ms, pl_core_now_ms(applier->core)))
		PL_LOG(PL_LOG_WARNING, "apply", "little room on the disk: indicators and attachments that are here already wait to be taken up");
	return has_room;
}

/* The disk is looked at for each entry of bulk, and not every PL_ROOM_LOOK_MS as the core does by itself: in that time a node that catches up made
 * 8 MB of bulk (on a busy virtual machine with two processors), most of what a disk of 200 MB has in reserve for lane 1. A look took 4 us there. */
static void run_if_room(struct pl_apply *apply)
{
	if (apply->lane != BULK_LANE || pl_applier_find_room(apply->applier)) {
		run(apply);
		return;
	}
	put_back(apply);
	retry_later(apply->applier);
}

static void on_retry(uv_timer_t *timer)
{
	struct pl_applier *applier = timer->data;
	struct pl_apply *apply = applier->waiting;
	applier->waiting = NULL;
	while (apply) {
		struct pl_apply *next = apply->next;
		run_if_room(apply);
		apply = next;
	}
	for (uint16_t node = 0; node < PL_NODES_MAX; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			if (!applier->later[node][lane] || applier->stopped)
				continue;
			applier->later[node][lane] = false;
			pl_core_offer_again(applier->core, node, lane);
		}
	}
}

void pl_apply_later(struct pl_applier *applier, uint16_t node, uint8_t lane, uint64_t seq)
{
	if (applier->stopped)
		return;
	PL_LOG(PL_LOG_WARNING, "apply", "no memory for an entry; it is looked at again in a second", PL_F_U64("node", node),
	       PL_F_U64("lane", lane), PL_F_U64("seq", seq));
	applier->later[node][lane] = true;
	retry_later(applier);
}

static void apply_done(struct pl_job *job)
{
	struct pl_apply *apply = job->ctx;
	struct pl_applier *applier = apply->applier;
	if (job->err == PL_OK) {
		uint16_t node = apply->node;
		uint8_t lane = apply->lane;
		uint64_t seq = apply->seq;
		applier->places[node][lane] = seq;
		apply->done(apply);
		if (!applier->stopped)
			pl_core_applied(applier->core, node, lane, seq);
	} else if ((job->err == PL_ERR_DISK_FULL || job->err == PL_ERR_MEMORY) && !applier->stopped) {
		put_back(apply);
		retry_later(applier);
	} else {
		/* Something local is wrong with this one; the next ones must not wait for it. If it is the store, the daemon ends, nothing more is
		 * written, and the entry comes again at the next start. */
		uint16_t node = apply->node;
		uint8_t lane = apply->lane;
		uint64_t seq = apply->seq;
		if (!applier->stopped)
			PL_LOG(PL_LOG_ERROR, "apply", "an entry is passed over", PL_F_U64("node", node), PL_F_U64("lane", lane), PL_F_U64("seq", seq),
			       PL_F_ERR(job->err), PL_F_STR("why", job->why));
		apply->dropped(apply);
		if (!applier->stopped)
			pl_apply_skip(applier, node, lane, seq);
	}
}

void pl_apply(struct pl_applier *applier, struct pl_apply *apply)
{
	apply->applier = applier;
	apply->next = NULL;
	if (applier->stopped) {
		apply->dropped(apply);
		return;
	}
	apply->job.done = apply_done;
	if (applier->skipped[apply->node][apply->lane] <= apply->seq)
		applier->skipped[apply->node][apply->lane] = 0; /* this one's own place covers it */
	run_if_room(apply);
}

static enum pl_err skip_work(struct pl_job *job, sqlite3 *db)
{
	struct skip_job *skip = job->ctx;
	for (size_t i = 0; i < skip->count; i++) {
		enum pl_err err = record_applied(db, skip->places[i].node, skip->places[i].lane, skip->places[i].seq);
		if (err != PL_OK)
			return err;
	}
	return PL_OK;
}

static void skip_done(struct pl_job *job)
{
	/* If it failed, these entries are looked at again after the next start, to the same end. */
	struct skip_job *skip = job->ctx;
	skip->applier->skip_running = false;
	free(skip);
}

static void on_skip(uv_timer_t *timer)
{
	struct pl_applier *applier = timer->data;
	if (applier->skip_running) {
		uv_timer_start(&applier->skip, on_skip, SKIP_MS, 0);
		return;
	}
	struct skip_job *skip = malloc(sizeof(*skip) + SKIPPED_MAX * sizeof(skip->places[0]));
	if (!skip) {
		uv_timer_start(&applier->skip, on_skip, SKIP_MS, 0);
		return;
	}
	skip->applier = applier;
	skip->count = 0;
	for (uint16_t node = 0; node < PL_NODES_MAX; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			if (applier->skipped[node][lane] == 0)
				continue;
			skip->places[skip->count++] = (struct place){ node, lane, applier->skipped[node][lane] };
			applier->skipped[node][lane] = 0;
		}
	}
	if (skip->count == 0) {
		free(skip);
		return;
	}
	skip->job = (struct pl_job){ .work = skip_work, .done = skip_done, .ctx = skip, .writes = true };
	applier->skip_running = true;
	pl_store_run(pl_core_store(applier->core), &skip->job);
}

void pl_apply_skip(struct pl_applier *applier, uint16_t node, uint8_t lane, uint64_t seq)
{
	if (applier->stopped)
		return;
	applier->skipped[node][lane] = applier->places[node][lane] = seq;
	if (!uv_is_active((uv_handle_t *)&applier->skip))
		uv_timer_start(&applier->skip, on_skip, SKIP_MS, 0);
	pl_core_applied(applier->core, node, lane, seq);
}

enum pl_err pl_entry_received(sqlite3 *db, uint16_t node, uint8_t lane, uint64_t seq, uint64_t *received_ms)
{
	if (*received_ms != 0)
		return PL_OK;
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT received_ms FROM entry WHERE node = ?1 AND lane = ?2 AND seq = ?3");
	if (!statement)
		return pl_store_sql_err(db);
	sqlite3_bind_int(statement, 1, node);
	sqlite3_bind_int(statement, 2, lane);
	pl_db_bind_u64(statement, 3, seq);
	enum pl_err err = PL_OK;
	if (pl_db_step(statement, &err) == 1)
		*received_ms = pl_db_u64(statement, 0);
	pl_db_reset(statement);
	return err;
}

enum pl_err pl_applier_new(struct pl_core *core, struct pl_applier **out)
{
	struct pl_applier *applier = calloc(1, sizeof(*applier));
	if (!applier)
		return PL_ERR_MEMORY;
	applier->core = core;
	uv_timer_init(pl_core_loop(core), &applier->retry);
	uv_timer_init(pl_core_loop(core), &applier->skip);
	applier->retry.data = applier->skip.data = applier;
	*out = applier;
	return PL_OK;
}

void pl_applier_stop(struct pl_applier *applier)
{
	if (applier->stopped)
		return;
	applier->stopped = true;
	uv_close((uv_handle_t *)&applier->retry, NULL);
	uv_close((uv_handle_t *)&applier->skip, NULL);
	while (applier->waiting) {
		struct pl_apply *apply = applier->waiting;
		applier->waiting = apply->next;
		apply->dropped(apply);
	}
}

void pl_applier_free(struct pl_applier *applier)
{
	free(applier);
}
