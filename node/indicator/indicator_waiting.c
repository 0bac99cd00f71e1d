#include <stdlib.h>
#include <string.h>

#include "node/indicator/indicator_impl.h"
#include "node/log.h"
#include "node/store/db.h"

#define RETRY_MS 1000

struct pl_waiting_channel {
	struct pl_waiting_channel *next;
	uint16_t node;
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
};

void pl_indicator_root_came(void *ctx, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES])
{
	char author[PL_NODE_NAME_BYTES];
	struct pl_indicator_part *part = ctx;
	struct pl_waiting_channel **end = &part->waiting_first;
	/* the first one may have been looked at already, and is looked at again */
	for (; *end != NULL; end = &(*end)->next)
		if (end != &part->waiting_first && (*end)->node == node && memcmp((*end)->channel_id, channel_id, PL_CHANNEL_ID_BYTES) == 0)
			return;
	*end = calloc(1, sizeof(**end));
	if (*end == NULL) {
		PL_LOG(PL_LOG_ERROR, "indicator", "no memory to open what waited for a channel root; it is opened at the next start",
		       PL_F_STR("author", pl_core_node_name(part->core, node, author)));
		return;
	}
	(*end)->node = node;
	memcpy((*end)->channel_id, channel_id, PL_CHANNEL_ID_BYTES);
	if (part->started)
		pl_indicator_drain(part);
}

static void end_drain(struct pl_intake *intake, bool channel_done)
{
	struct pl_indicator_part *part = intake->part;
	if (channel_done) {
		struct pl_waiting_channel *first = part->waiting_first;
		part->waiting_first = first->next;
		free(first);
	}
	pl_intake_free(intake);
	part->draining = false;
}

static void on_retry(uv_timer_t *timer)
{
	pl_indicator_drain(timer->data);
}

static void retry_drain(struct pl_indicator_part *part)
{
	if (!part->stopped)
		uv_timer_start(&part->retry, on_retry, RETRY_MS, 0);
}

static enum pl_err waited_work(struct pl_job *job, sqlite3 *db)
{
	struct pl_intake *intake = job->ctx;
	enum pl_err err = pl_intake_insert(intake, db);
	return err == PL_OK ? pl_channels_unwait(db, intake->node, intake->seq) : err;
}

static void waited_done(struct pl_job *job)
{
	struct pl_intake *intake = job->ctx;
	struct pl_indicator_part *part = intake->part;
	enum pl_err err = job->err;
	if (err == PL_OK && intake->err == PL_OK)
		pl_intake_tell(intake);
	end_drain(intake, false);
	if (err == PL_OK)
		pl_indicator_drain(part);
	else if (err == PL_ERR_DISK_FULL || err == PL_ERR_MEMORY)
		retry_drain(part);
	/* else the store has failed for good, and says so itself */
}

static void waited_opened(struct pl_aside *aside)
{
	struct pl_intake *intake = aside->ctx;
	struct pl_indicator_part *part = intake->part;
	if (part->stopped) {
		end_drain(intake, false);
		return;
	}
	if (intake->err == PL_ERR_MEMORY) {
		end_drain(intake, false);
		retry_drain(part);
		return;
	}
	if (intake->err == PL_ERR_CORRUPT) {
		pl_intake_log_unreadable(intake); /* and waits on, until the store has mended it */
		end_drain(intake, true);
		pl_indicator_drain(part);
		return;
	}
	if (intake->err != PL_OK)
		pl_intake_log_unreadable(intake);
	intake->job = (struct pl_job){ .work = waited_work, .done = waited_done, .ctx = intake, .writes = true };
	pl_store_run(pl_core_store(part->core), &intake->job);
}

/* The store looks at a body when it loads it to send it; here nobody has looked yet. */
static void waited_run(struct pl_aside *aside)
{
	struct pl_intake *intake = aside->ctx;
	struct pl_header header;
	uint8_t hash[PL_ID_BYTES];
	pl_body_hash(intake->body, intake->body_bytes, hash);
	if (pl_header_decode(intake->header, &header) != PL_OK || memcmp(hash, header.body_hash, sizeof(hash)) != 0)
		intake->err = PL_ERR_CORRUPT;
	else
		pl_intake_run(aside);
}

/* The first entry that waits for this channel. PL_ERR_UNKNOWN: none. */
static enum pl_err find_waiting(struct pl_job *job, sqlite3 *db)
{
	struct pl_intake *intake = job->ctx;
	sqlite3_stmt *select =
		pl_store_prepare(db, "SELECT received_ms, header, body FROM entry WHERE node = ?1 AND lane = ?2 AND seq = ?3");
	if (select == NULL)
		return pl_store_sql_err(db);
	enum pl_err err = pl_channels_root(intake->part->channels, db, intake->node, intake->channel_id, intake->root);
	if (err == PL_OK)
		err = pl_channels_first_waiting(db, intake->node, intake->channel_id, &intake->seq);
	if (err != PL_OK)
		return err;
	sqlite3_bind_int(select, 1, intake->node);
	sqlite3_bind_int(select, 2, PL_INDICATOR_LANE);
	pl_db_bind_u64(select, 3, intake->seq);
	if (pl_db_step(select, &err) == 1) {
		intake->received_ms = pl_db_u64(select, 0);
		err = pl_db_take(select, 1, intake->header, sizeof(intake->header));
		if (err == PL_OK)
			err = pl_db_copy(select, 2, &intake->body, &intake->body_bytes);
		pl_db_reset(select);
	}
	return err;
}

static void found_waiting(struct pl_job *job)
{
	struct pl_intake *intake = job->ctx;
	struct pl_indicator_part *part = intake->part;
	if (job->err != PL_OK || part->stopped) {
		bool none = job->err == PL_ERR_UNKNOWN;
		end_drain(intake, none);
		if (none)
			pl_indicator_drain(part);
		else
			retry_drain(part);
		return;
	}
	intake->aside = (struct pl_aside){ .run = waited_run, .done = waited_opened, .ctx = intake };
	if (intake->body == NULL) {
		intake->err = PL_ERR_EXPIRED; /* dropped at the end of its retention */
		waited_opened(&intake->aside);
		return;
	}
	pl_aside_queue(part, &intake->aside);
}

void pl_indicator_drain(struct pl_indicator_part *part)
{
	if (part->draining || part->stopped || part->waiting_first == NULL)
		return;
	struct pl_intake *intake = pl_applier_has_room(part->applier) ? calloc(1, sizeof(*intake)) : NULL;
	if (intake == NULL) {
		retry_drain(part);
		return;
	}
	part->draining = true;
	intake->part = part;
	intake->node = part->waiting_first->node;
	memcpy(intake->channel_id, part->waiting_first->channel_id, sizeof(intake->channel_id));
	intake->job = (struct pl_job){ .work = find_waiting, .done = found_waiting, .ctx = intake };
	pl_store_run(pl_core_store(part->core), &intake->job);
}

void pl_indicator_waiting_free(struct pl_indicator_part *part)
{
	while (part->waiting_first != NULL) {
		struct pl_waiting_channel *first = part->waiting_first;
		part->waiting_first = first->next;
		free(first);
	}
}
