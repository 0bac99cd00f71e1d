#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/hotline/hotline_impl.h"

#define HOUSEKEEPING_MS 30000
#define FIRST_HOUSEKEEPING_MS 3000 /* own entries that were not looked at before the daemon ended come first */

/* Seconds; the last ones are an outage, and the handling target of a FLASH (10 min). */
static const double flash_bounds[] = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600 };

void pl_hotline_counts(const struct pl_hotline *hotline, struct pl_hotline_counts *out)
{
	*out = hotline->counts;
}

void pl_hotline_entry(struct pl_hotline *hotline, const struct pl_store_entry *entry)
{
	switch ((enum pl_kind)pl_header_kind(entry->header)) {
	case PL_KIND_MESSAGE: pl_hotline_receive(hotline, entry); return;
	case PL_KIND_RECEIPTS: pl_receipts_entry(hotline, entry); return;
	case PL_KIND_ATTACHMENT: pl_chunks_entry(hotline, entry); return;
	case PL_KIND_EPOCH_KEY:
	case PL_KIND_CHANNEL:
	case PL_KIND_INDICATORS: break;
	}
	assert(!"an entry of another part"); /* pl_app_entry() tells them apart */
}

static void on_housekeeping(uv_timer_t *timer)
{
	struct pl_hotline *hotline = timer->data;
	pl_hotline_resume(hotline);
	pl_upload_pump(hotline);
	pl_upload_clean(hotline);
	pl_chunks_check(hotline);
}

static void key_learned(void *ctx, uint16_t node)
{
	pl_receipts_key_learned(ctx, node);
	pl_hotline_resume(ctx); /* what had no key to go by */
}

static enum pl_err count_rows(sqlite3 *db, const char *sql, uint64_t *count)
{
	sqlite3_stmt *statement = pl_store_prepare(db, sql);
	if (!statement)
		return pl_store_sql_err(db);
	enum pl_err err = PL_ERR_CORRUPT;
	if (pl_db_step(statement, &err) != 1)
		return err;
	*count = pl_db_u64(statement, 0);
	pl_db_reset(statement);
	return PL_OK;
}

static enum pl_err count_own_left(struct pl_hotline *hotline, sqlite3 *db, uint8_t lane)
{
	char sql[240];
	snprintf(sql, sizeof(sql), "SELECT coalesce(max(seq), 0) FROM entry WHERE node = %u AND lane = %u AND seq >"
	                           " coalesce((SELECT seq FROM applied WHERE node = %u AND lane = %u), 0)", hotline->self, lane, hotline->self, lane);
	return count_rows(db, sql, &hotline->own_left[lane]);
}

enum pl_err pl_hotline_new(struct pl_core *core, struct pl_applier *applier, struct pl_epoch *epoch, struct pl_hotline **out, char *why,
                           size_t why_max)
{
	struct pl_hotline *hotline = calloc(1, sizeof(*hotline));
	if (!hotline) {
		snprintf(why, why_max, "no memory for the hotline");
		return PL_ERR_MEMORY;
	}
	hotline->core = core;
	hotline->applier = applier;
	hotline->epoch = epoch;
	hotline->store = pl_core_store(core);
	hotline->charter = pl_core_charter(core);
	hotline->store_key = pl_core_keys(core)->store_key;
	hotline->self = pl_core_self(core);
	pl_histogram_init(&hotline->counts.flash_arrival, flash_bounds, sizeof(flash_bounds) / sizeof(flash_bounds[0]));
	pl_histogram_init(&hotline->counts.flash_round_trip, flash_bounds, sizeof(flash_bounds) / sizeof(flash_bounds[0]));
	sqlite3 *db = pl_store_db(hotline->store);
	/* Both indexes hold just the rows that are counted. */
	enum pl_err err = count_rows(db, "SELECT count(*) FROM hotline_message WHERE unread = 1", &hotline->counts.unread);
	if (err == PL_OK)
		err = count_rows(db, "SELECT count(*) FROM hotline_message WHERE box = 1 AND precedence = 4 AND accepted = 0",
		                 &hotline->counts.unanswered_flash);
	if (err == PL_OK)
		err = pl_receipts_load(hotline, db);
	for (uint8_t lane = 0; err == PL_OK && lane < 2; lane++)
		err = count_own_left(hotline, db, lane);
	if (err != PL_OK) {
		snprintf(why, why_max, "the messages cannot be read from the store: %s", pl_err_str(err));
		pl_hotline_free(hotline);
		return err;
	}
	uv_loop_t *loop = pl_core_loop(core);
	uv_timer_init(loop, &hotline->housekeeping);
	uv_timer_init(loop, &hotline->owed_timer);
	uv_timer_init(loop, &hotline->pump_timer);
	uv_timer_init(loop, &hotline->resume_timer);
	hotline->housekeeping.data = hotline->owed_timer.data = hotline->pump_timer.data = hotline->resume_timer.data = hotline;
	pl_epoch_listen(epoch, key_learned, hotline);
	pl_applier_listen(applier, pl_sendings_wait, hotline);
	*out = hotline;
	return PL_OK;
}

void pl_hotline_start(struct pl_hotline *hotline)
{
	uv_timer_start(&hotline->housekeeping, on_housekeeping, FIRST_HOUSEKEEPING_MS, HOUSEKEEPING_MS);
	pl_receipts_start(hotline);
}

void pl_hotline_stop(struct pl_hotline *hotline)
{
	if (hotline->stopped)
		return;
	hotline->stopped = true;
	uv_close((uv_handle_t *)&hotline->housekeeping, NULL);
	uv_close((uv_handle_t *)&hotline->pump_timer, NULL);
	uv_close((uv_handle_t *)&hotline->resume_timer, NULL);
	pl_sendings_stop(hotline);
	pl_receipts_stop(hotline);
}

void pl_hotline_free(struct pl_hotline *hotline)
{
	if (!hotline)
		return;
	pl_receipts_free(hotline);
	pl_reads_free(hotline);
	free(hotline);
}
