#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"
#include "node/indicator/channel_impl.h"
#include "node/log.h"
#include "node/store/db.h"
#include "proto/content.h"

#define RETRY_MS 5000   /* a root could not be sent */
#define ROOT_PLAIN_BYTES_MAX 128

struct delivery {
	struct pl_job job;
	struct pl_channels *channels;
	bool has_key[PL_NODES_MAX];
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	uint8_t plain[ROOT_PLAIN_BYTES_MAX];
	size_t plain_bytes;
	struct pl_seal seal; /* whose nodes are the ones that lack this root */
};

static void end_delivery(struct delivery *delivery)
{
	delivery->channels->sending = false;
	sodium_memzero(delivery->plain, sizeof(delivery->plain));
	free(delivery);
}

static void give_up(struct delivery *delivery, const char *stage, enum pl_err err)
{
	struct pl_channels *channels = delivery->channels;
	if (!channels->stopped && pl_log_again(&channels->told_ms, pl_core_now_ms(channels->core)))
		PL_LOG(PL_LOG_WARNING, "channel", "a channel root could not be sent, trying again", PL_F_STR("stage", stage),
		       PL_F_STR("error", pl_api_reason(err)));
	end_delivery(delivery);
	pl_channels_schedule(channels, RETRY_MS);
}

static enum pl_err lacking(sqlite3 *db, struct delivery *delivery)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT node FROM channel_sent WHERE channel_id = ?1");
	bool sent[PL_NODES_MAX] = { false };
	enum pl_err err = PL_OK;
	if (select == NULL)
		return pl_store_sql_err(db);
	pl_db_bind_blob(select, 1, delivery->channel_id, PL_CHANNEL_ID_BYTES);
	while (pl_db_step(select, &err) == 1) {
		uint64_t node = pl_db_u64(select, 0);
		if (node < PL_NODES_MAX)
			sent[node] = true;
	}
	delivery->seal.nodes_count = 0;
	for (uint16_t node = 0; node < PL_NODES_MAX && delivery->seal.nodes_count < PL_SLOTS_MAX; node++)
		if (delivery->has_key[node] && !sent[node])
			delivery->seal.nodes[delivery->seal.nodes_count++] = node;
	return err;
}

/* The oldest root that a node with a key lacks. */
static enum pl_err find_work(struct pl_job *job, sqlite3 *db)
{
	struct delivery *delivery = job->ctx;
	struct pl_channels *channels = delivery->channels;
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT channel_id, root, number FROM channel_root WHERE unsent = 1 ORDER BY number");
	struct pl_channel_root root = { .audience = { PL_CHANNEL_AUDIENCE, sizeof(PL_CHANNEL_AUDIENCE) - 1 } };
	enum pl_err err = PL_OK;
	if (select == NULL)
		return pl_store_sql_err(db);
	while (err == PL_OK && pl_db_step(select, &err) == 1) {
		err = pl_db_take(select, 0, delivery->channel_id, sizeof(delivery->channel_id));
		if (err == PL_OK)
			err = lacking(db, delivery);
		if (err != PL_OK || delivery->seal.nodes_count == 0)
			continue;
		memcpy(root.channel_id, delivery->channel_id, sizeof(root.channel_id));
		root.number = pl_db_u64(select, 2);
		err = pl_channels_open_root(channels, select, 1, pl_core_self(channels->core), delivery->channel_id, root.root);
		if (err == PL_OK)
			err = pl_channel_root_write(&root, delivery->plain, sizeof(delivery->plain), &delivery->plain_bytes);
		sodium_memzero(&root, sizeof(root));
		break;
	}
	pl_db_reset(select);
	return err;
}

static enum pl_err sent_work(struct pl_job *job, sqlite3 *db)
{
	const struct delivery *delivery = job->ctx;
	sqlite3_stmt *insert = pl_store_prepare(db, "INSERT OR IGNORE INTO channel_sent (channel_id, node) VALUES (?1, ?2)");
	sqlite3_stmt *update = pl_store_prepare(db, "UPDATE channel_root SET unsent = 0 WHERE node = ?1 AND channel_id = ?2"
	                                            " AND (SELECT count(*) FROM channel_sent WHERE channel_id = ?2) >= ?3");
	if (insert == NULL || update == NULL)
		return pl_store_sql_err(db);
	for (uint16_t i = 0; i < delivery->seal.nodes_count; i++) {
		pl_db_bind_blob(insert, 1, delivery->channel_id, PL_CHANNEL_ID_BYTES);
		sqlite3_bind_int(insert, 2, delivery->seal.nodes[i]);
		enum pl_err err = pl_db_run(insert);
		if (err != PL_OK)
			return err;
	}
	sqlite3_bind_int(update, 1, pl_core_self(delivery->channels->core));
	pl_db_bind_blob(update, 2, delivery->channel_id, PL_CHANNEL_ID_BYTES);
	sqlite3_bind_int(update, 3, pl_core_charter(delivery->channels->core)->nodes_count - 1);
	return pl_db_run(update);
}

static void sent_done(struct pl_job *job)
{
	struct delivery *delivery = job->ctx;
	struct pl_channels *channels = delivery->channels;
	if (job->err != PL_OK) {
		give_up(delivery, "noting that it was sent", job->err); /* it is sent twice, which does no harm */
		return;
	}
	end_delivery(delivery);
	pl_channels_distribute(channels); /* there may be more */
}

static void submitted(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	struct delivery *delivery = ctx;
	struct pl_channels *channels = delivery->channels;
	if (err == PL_OK && channels->stopped)
		err = PL_ERR_STATE;
	if (err != PL_OK) {
		give_up(delivery, "submitting", err);
		return;
	}
	channels->told_ms = 0;
	PL_LOG(PL_LOG_INFO, "channel", "channel root sent", PL_F_U64("seq", entry->seq), PL_F_U64("nodes", delivery->seal.nodes_count));
	delivery->job = (struct pl_job){ .work = sent_work, .done = sent_done, .ctx = delivery, .writes = true };
	pl_store_run(pl_core_store(channels->core), &delivery->job);
}

static void sealed(struct pl_seal *seal)
{
	struct delivery *delivery = seal->ctx;
	struct pl_channels *channels = delivery->channels;
	enum pl_err err = seal->err;
	sodium_memzero(seal->cek, sizeof(seal->cek));
	if (err == PL_OK && channels->stopped)
		err = PL_ERR_STATE;
	if (err == PL_OK)
		err = pl_core_submit(channels->core, 1, PL_KIND_CHANNEL, 0, seal->envelope, (uint32_t)seal->envelope_bytes, submitted,
		                     delivery);
	free(seal->envelope);
	seal->envelope = NULL;
	if (err != PL_OK)
		give_up(delivery, "sealing", err);
}

static void find_done(struct pl_job *job)
{
	struct delivery *delivery = job->ctx;
	struct pl_channels *channels = delivery->channels;
	if (job->err != PL_OK) {
		give_up(delivery, "reading", job->err);
		return;
	}
	if (delivery->seal.nodes_count == 0 || channels->stopped) {
		end_delivery(delivery);
		if (channels->again)
			pl_channels_distribute(channels);
		return;
	}
	delivery->seal.kind = PL_KIND_CHANNEL;
	delivery->seal.plain = delivery->plain;
	delivery->seal.plain_bytes = delivery->plain_bytes;
	delivery->seal.done = sealed;
	delivery->seal.ctx = delivery;
	pl_epoch_seal(channels->epoch, &delivery->seal);
}

void pl_channels_distribute(struct pl_channels *channels)
{
	if (channels->stopped)
		return;
	channels->again = channels->sending;
	if (channels->sending)
		return;
	struct delivery *delivery = calloc(1, sizeof(*delivery));
	if (delivery == NULL) {
		pl_channels_schedule(channels, RETRY_MS);
		return;
	}
	uint16_t self = pl_core_self(channels->core), count = pl_core_charter(channels->core)->nodes_count;
	delivery->channels = channels;
	for (uint16_t node = 0; node < count; node++)
		delivery->has_key[node] = node != self && pl_epoch_current(channels->epoch, node, NULL);
	channels->sending = true;
	delivery->job = (struct pl_job){ .work = find_work, .done = find_done, .ctx = delivery };
	pl_store_run(pl_core_store(channels->core), &delivery->job);
}

static void on_timer(uv_timer_t *timer)
{
	pl_channels_distribute(timer->data);
}

void pl_channels_schedule(struct pl_channels *channels, uint64_t delay_ms)
{
	if (!channels->stopped)
		uv_timer_start(&channels->timer, on_timer, delay_ms, 0);
}
