#include <stdlib.h>
#include <string.h>

#include "node/indicator/indicator_impl.h"
#include "node/log.h"
#include "node/store/db.h"

#define RETRY_MS 1000
#define DAMAGED_RETRY_MS 5000 /* the entry has to come back from a peer first */

struct pl_waiting_channel {
	struct pl_waiting_channel *next;
	uint16_t node;
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	bool put_off; /* the disk has changed its first entry: not before the next round */
};

static void on_retry(uv_timer_t *timer);

static void retry_in(struct pl_indicator_part *part, uint64_t ms)
{
	if (!part->stopped)
		uv_timer_start(&part->retry, on_retry, ms, 0);
}

static void retry_drain(struct pl_indicator_part *part)
{
	retry_in(part, RETRY_MS);
}

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
		PL_LOG(PL_LOG_WARNING, "indicator", "no memory to open what waited for a channel root; it is looked for again in a second",
		       PL_F_STR("author", pl_core_node_name(part->core, node, author)));
		part->roots_lost = true;
		if (part->started)
			retry_drain(part);
		return;
	}
	(*end)->node = node;
	memcpy((*end)->channel_id, channel_id, PL_CHANNEL_ID_BYTES);
	if (part->started)
		pl_indicator_drain(part);
}

/* --- roots whose coming was lost for want of memory: the store knows for what entries wait --- */

struct look {
	struct pl_job job;
	struct pl_indicator_part *part;
	struct pl_waiting_channel *first;
	bool lacked_memory;
};

static void look_found(void *ctx, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES])
{
	struct look *look = ctx;
	struct pl_waiting_channel *channel = calloc(1, sizeof(*channel));
	if (channel == NULL) {
		look->lacked_memory = true;
		return;
	}
	channel->node = node;
	memcpy(channel->channel_id, channel_id, PL_CHANNEL_ID_BYTES);
	channel->next = look->first;
	look->first = channel;
}

static enum pl_err look_work(struct pl_job *job, sqlite3 *db)
{
	return pl_channels_each_waiting(db, look_found, job->ctx);
}

static void look_done(struct pl_job *job)
{
	struct look *look = job->ctx;
	struct pl_indicator_part *part = look->part;
	part->is_looking = false;
	while (look->first != NULL) {
		struct pl_waiting_channel *channel = look->first;
		look->first = channel->next;
		if (!part->stopped)
			pl_indicator_root_came(part, channel->node, channel->channel_id);
		free(channel);
	}
	if (job->err != PL_OK || look->lacked_memory) {
		part->roots_lost = true;
		retry_drain(part);
	}
	free(look);
}

static void look_again(struct pl_indicator_part *part)
{
	struct look *look = part->is_looking ? NULL : calloc(1, sizeof(*look));
	if (look == NULL) {
		retry_drain(part);
		return;
	}
	part->is_looking = true;
	part->roots_lost = false;
	look->part = part;
	look->job = (struct pl_job){ .work = look_work, .done = look_done, .ctx = look };
	pl_store_run(pl_core_store(part->core), &look->job);
}

/* --- one entry after the other --- */

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

/* The disk has changed the entry, which the store has told: others first, and this channel again once there has been time to mend it. */
static void put_off(struct pl_intake *intake)
{
	struct pl_indicator_part *part = intake->part;
	struct pl_waiting_channel *channel = part->waiting_first, **end = &part->waiting_first;
	pl_intake_log_unreadable(intake);
	part->waiting_first = channel->next;
	channel->next = NULL;
	channel->put_off = true;
	while (*end != NULL)
		end = &(*end)->next;
	*end = channel;
	end_drain(intake, false);
}

/* Brings one that is not put off to the front; false where there is none. */
static bool choose(struct pl_indicator_part *part)
{
	for (struct pl_waiting_channel **at = &part->waiting_first; *at != NULL; at = &(*at)->next) {
		struct pl_waiting_channel *channel = *at;
		if (channel->put_off)
			continue;
		*at = channel->next;
		channel->next = part->waiting_first;
		part->waiting_first = channel;
		return true;
	}
	return false;
}

static void on_retry(uv_timer_t *timer)
{
	struct pl_indicator_part *part = timer->data;
	for (struct pl_waiting_channel *channel = part->waiting_first; channel != NULL; channel = channel->next)
		if (!part->draining)
			channel->put_off = false;
	if (part->roots_lost)
		look_again(part);
	pl_indicator_drain(part);
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
	if (intake->err != PL_OK)
		pl_intake_log_unreadable(intake);
	intake->job = (struct pl_job){ .work = waited_work, .done = waited_done, .ctx = intake, .writes = true };
	pl_store_run(pl_core_store(part->core), &intake->job);
}

/* The first entry that waits for this channel. PL_ERR_UNKNOWN: none. */
static enum pl_err find_waiting(struct pl_job *job, sqlite3 *db)
{
	struct pl_intake *intake = job->ctx;
	struct pl_stored_entry entry;
	enum pl_err err = pl_channels_root(intake->part->channels, db, intake->node, intake->channel_id, intake->root);
	if (err == PL_OK)
		err = pl_channels_first_waiting(db, intake->node, intake->channel_id, &intake->seq);
	if (err != PL_OK)
		return err;
	err = pl_store_read(db, intake->node, PL_INDICATOR_LANE, intake->seq, &entry);
	if (err == PL_ERR_UNKNOWN)
		return PL_OK; /* without a body, as one that is no longer kept */
	if (err == PL_OK) {
		memcpy(intake->header, entry.header, sizeof(intake->header));
		err = pl_stored_body(&entry, &intake->body, &intake->body_bytes);
	}
	return err == PL_OK ? pl_entry_received(db, intake->node, PL_INDICATOR_LANE, intake->seq, &intake->received_ms) : err;
}

static void found_waiting(struct pl_job *job)
{
	struct pl_intake *intake = job->ctx;
	struct pl_indicator_part *part = intake->part;
	if (job->err == PL_ERR_IO && !part->stopped) {
		intake->err = job->err;
		put_off(intake);
		pl_indicator_drain(part);
		return;
	}
	if (job->err != PL_OK || part->stopped) {
		bool none = job->err == PL_ERR_UNKNOWN;
		end_drain(intake, none);
		if (none)
			pl_indicator_drain(part);
		else
			retry_drain(part);
		return;
	}
	intake->aside = (struct pl_aside){ .run = pl_intake_run, .done = waited_opened, .ctx = intake };
	if (intake->body == NULL) {
		intake->err = PL_ERR_EXPIRED; /* dropped at the end of its retention */
		waited_opened(&intake->aside);
		return;
	}
	pl_aside_queue(part, &intake->aside);
}

void pl_indicator_drain(struct pl_indicator_part *part)
{
	if (part->roots_lost && !part->stopped && !uv_is_active((uv_handle_t *)&part->retry))
		retry_drain(part);
	if (part->draining || part->stopped || part->waiting_first == NULL)
		return;
	if (!choose(part)) {
		if (!uv_is_active((uv_handle_t *)&part->retry))
			retry_in(part, DAMAGED_RETRY_MS);
		return;
	}
	struct pl_intake *intake = pl_applier_find_room(part->applier) ? calloc(1, sizeof(*intake)) : NULL;
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
