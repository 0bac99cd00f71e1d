#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/indicator/indicator_impl.h"
#include "node/log.h"
#include "node/store/db.h"

static struct pl_intake *intake_of(struct pl_apply *apply)
{
	return (struct pl_intake *)(void *)apply;
}

/* --- entries from the feed --- */

static void finish(struct pl_indicator_part *part, uint16_t node, uint64_t seq)
{
	if (node != pl_core_self(part->core))
		return;
	part->own_applied_seq = seq;
	pl_indicator_import_applied(part);
}

static void skip(struct pl_intake *intake)
{
	struct pl_indicator_part *part = intake->part;
	uint16_t node = intake->node;
	uint64_t seq = intake->seq;
	pl_intake_free(intake);
	pl_apply_skip(part->applier, node, PL_INDICATOR_LANE, seq);
	finish(part, node, seq);
}

static enum pl_err kept_work(struct pl_apply *apply, sqlite3 *db)
{
	return pl_intake_insert(intake_of(apply), db);
}

static enum pl_err wait_work(struct pl_apply *apply, sqlite3 *db)
{
	const struct pl_intake *intake = intake_of(apply);
	return pl_channels_wait(db, intake->node, intake->seq, intake->channel_id);
}

static void kept_dropped(struct pl_apply *apply)
{
	pl_intake_free(intake_of(apply));
}

static void kept_done(struct pl_apply *apply)
{
	struct pl_intake *intake = intake_of(apply);
	pl_intake_tell(intake);
	finish(intake->part, intake->node, intake->seq);
	pl_intake_free(intake);
}

static void wait_done(struct pl_apply *apply)
{
	char author[PL_NODE_NAME_BYTES];
	struct pl_intake *intake = intake_of(apply);
	struct pl_indicator_part *part = intake->part;
	PL_LOG(PL_LOG_INFO, "indicator", "indicators wait for the root of their channel",
	       PL_F_STR("author", pl_core_node_name(intake->part->core, intake->node, author)), PL_F_U64("seq", intake->seq));
	pl_indicator_root_came(part, intake->node, intake->channel_id); /* perhaps it came while this was being noted */
	finish(part, intake->node, intake->seq);
	pl_intake_free(intake);
}

static void apply(struct pl_intake *intake, enum pl_err (*work)(struct pl_apply *, sqlite3 *), void (*done)(struct pl_apply *))
{
	intake->apply = (struct pl_apply){ .node = intake->node, .lane = PL_INDICATOR_LANE, .seq = intake->seq, .work = work, .done = done,
	                                   .dropped = kept_dropped };
	pl_apply(intake->part->applier, &intake->apply);
}

static void entry_opened(struct pl_aside *aside)
{
	struct pl_intake *intake = aside->ctx;
	if (intake->err == PL_OK) {
		apply(intake, kept_work, kept_done);
	} else if (intake->err == PL_ERR_MEMORY) {
		pl_apply_later(intake->part->applier, intake->node, PL_INDICATOR_LANE, intake->seq);
		pl_intake_free(intake);
	} else {
		pl_intake_log_unreadable(intake);
		skip(intake);
	}
}

static enum pl_err root_work(struct pl_job *job, sqlite3 *db)
{
	struct pl_intake *intake = job->ctx;
	return pl_channels_root(intake->part->channels, db, intake->node, intake->channel_id, intake->root);
}

static void root_done(struct pl_job *job)
{
	char author[PL_NODE_NAME_BYTES];
	struct pl_intake *intake = job->ctx;
	if (intake->part->stopped) {
		pl_intake_free(intake); /* it comes again at the next start */
		return;
	}
	if (job->err == PL_OK) {
		intake->aside = (struct pl_aside){ .run = pl_intake_run, .done = entry_opened, .ctx = intake };
		pl_aside_queue(intake->part, &intake->aside);
		return;
	}
	if (job->err != PL_ERR_UNKNOWN)
		PL_LOG(PL_LOG_ERROR, "indicator", "a channel root cannot be read from the store",
		       PL_F_STR("author", pl_core_node_name(intake->part->core, intake->node, author)), PL_F_ERR(job->err));
	apply(intake, wait_work, wait_done);
}

void pl_indicator_entry(struct pl_indicator_part *part, const struct pl_store_entry *entry)
{
	struct pl_intake *intake = calloc(1, sizeof(*intake));
	uint8_t *body = malloc(entry->body_bytes > 0 ? entry->body_bytes : 1);
	uint64_t item;
	if (intake == NULL || body == NULL) {
		free(intake);
		free(body);
		pl_apply_later(part->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	memcpy(body, entry->body, entry->body_bytes);
	intake->part = part;
	intake->node = entry->node;
	intake->seq = entry->seq;
	intake->received_ms = entry->received_ms;
	memcpy(intake->header, entry->header, sizeof(intake->header));
	intake->body = body;
	intake->body_bytes = entry->body_bytes;
	intake->err = pl_channel_peek(body, entry->body_bytes, intake->channel_id, &item);
	if (intake->err != PL_OK) {
		pl_intake_log_unreadable(intake);
		skip(intake);
		return;
	}
	intake->job = (struct pl_job){ .work = root_work, .done = root_done, .ctx = intake };
	pl_store_run(pl_core_store(part->core), &intake->job);
}

/* --- the part --- */

static enum pl_err count_objects(sqlite3 *db, uint64_t *objects)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT count(*) FROM indicator");
	enum pl_err err = PL_ERR_CORRUPT;
	if (select == NULL)
		return pl_store_sql_err(db);
	if (pl_db_step(select, &err) != 1)
		return err;
	*objects = pl_db_u64(select, 0);
	pl_db_reset(select);
	return PL_OK;
}

enum pl_err pl_indicator_new(struct pl_core *core, struct pl_applier *applier, struct pl_channels *channels, struct pl_indicator_part **out,
                             char *why, size_t why_max)
{
	sqlite3 *db = pl_store_db(pl_core_store(core));
	struct pl_indicator_part *part = calloc(1, sizeof(*part));
	if (part == NULL) {
		(void)snprintf(why, why_max, "no memory for the indicators");
		return PL_ERR_MEMORY;
	}
	part->core = core;
	part->applier = applier;
	part->channels = channels;
	enum pl_err err = count_objects(db, &part->counts.objects);
	if (err == PL_OK)
		err = pl_channels_each_waiting(db, pl_indicator_root_came, part);
	if (err != PL_OK) {
		(void)snprintf(why, why_max, "the indicators in the store cannot be read: %s", pl_err_str(err));
		pl_indicator_free(part);
		return err;
	}
	uv_timer_init(pl_core_loop(core), &part->retry);
	part->retry.data = part;
	pl_channels_listen(channels, pl_indicator_root_came, part);
	*out = part;
	return PL_OK;
}

void pl_indicator_start(struct pl_indicator_part *part)
{
	part->started = true;
	pl_indicator_drain(part);
}

void pl_indicator_stop(struct pl_indicator_part *part)
{
	if (part->stopped)
		return;
	part->stopped = true;
	uv_close((uv_handle_t *)&part->retry, NULL);
	pl_indicator_import_stop(part);
}

void pl_indicator_free(struct pl_indicator_part *part)
{
	if (part == NULL) /* it was never made */
		return;
	pl_indicator_waiting_free(part);
	pl_indicator_import_free(part);
	free(part);
}

void pl_indicator_counts(const struct pl_indicator_part *part, struct pl_indicator_counts *out)
{
	*out = part->counts;
}
