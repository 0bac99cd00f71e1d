#include "node/indicator/channel.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyfile.h"
#include "node/log.h"
#include "node/store/db.h"
#include "proto/content.h"

#define SETTLE_MS 200   /* after a key was learned: at start and in catch-up many come together */
#define RETRY_MS 5000   /* a root could not be sent */
#define AUDIENCE "all"
#define ROOT_PLAIN_BYTES_MAX 128
#define SEALED_ROOT_BYTES (PL_CHANNEL_ROOT_BYTES + PL_COLUMN_OVERHEAD)

struct pl_channels {
	struct pl_core *core;
	struct pl_applier *applier;
	struct pl_epoch *epoch;
	bool stopped;
	bool sending; /* one envelope is under way */
	bool again;   /* look once more when it is done */
	uv_timer_t timer;
	void (*came)(void *ctx, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES]);
	void *came_ctx;
};

/* --- roots in the store --- */

#define ROW_BYTES (2 + PL_CHANNEL_ID_BYTES)

static void row_of(uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint8_t row[ROW_BYTES])
{
	row[0] = (uint8_t)(node >> 8);
	row[1] = (uint8_t)node;
	memcpy(row + 2, channel_id, PL_CHANNEL_ID_BYTES);
}

/* For the log; returns name. */
static const char *name_of(const struct pl_channels *channels, uint16_t node, char name[PL_NODE_NAME_BYTES])
{
	pl_charter_node_name(pl_core_charter(channels->core), node, name);
	return name;
}

static uint32_t own_generation(const struct pl_channels *channels)
{
	return pl_core_charter(channels->core)->nodes[pl_core_self(channels->core)].certificate.generation;
}

static enum pl_err insert_root(const struct pl_channels *channels, sqlite3 *db, uint16_t node,
                               const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint64_t number, uint64_t created_ms,
                               const uint8_t root[PL_CHANNEL_ROOT_BYTES], bool own)
{
	sqlite3_stmt *insert =
		pl_store_prepare(db, "INSERT OR IGNORE INTO channel_root (node, channel_id, number, created_ms, root, next_item, unsent,"
		                     " generation) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)");
	uint8_t row[ROW_BYTES], sealed[SEALED_ROOT_BYTES];
	if (insert == NULL)
		return pl_store_sql_err(db);
	row_of(node, channel_id, row);
	pl_column_seal(pl_core_keys(channels->core)->store_key, "channel_root", "root", row, sizeof(row), root, PL_CHANNEL_ROOT_BYTES,
	               sealed);
	sqlite3_bind_int(insert, 1, node);
	pl_db_bind_blob(insert, 2, channel_id, PL_CHANNEL_ID_BYTES);
	pl_db_bind_u64(insert, 3, number);
	pl_db_bind_u64(insert, 4, created_ms);
	pl_db_bind_blob(insert, 5, sealed, sizeof(sealed));
	if (own)
		pl_db_bind_u64(insert, 6, 0);
	sqlite3_bind_int(insert, 7, own);
	pl_db_bind_u64(insert, 8, own ? own_generation(channels) : 0);
	return pl_db_run(insert);
}

static enum pl_err open_root(const struct pl_channels *channels, sqlite3_stmt *statement, int column, uint16_t node,
                             const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint8_t root[PL_CHANNEL_ROOT_BYTES])
{
	uint8_t row[ROW_BYTES], sealed[SEALED_ROOT_BYTES];
	enum pl_err err = pl_db_take(statement, column, sealed, sizeof(sealed));
	if (err != PL_OK)
		return err;
	row_of(node, channel_id, row);
	err = pl_column_open(pl_core_keys(channels->core)->store_key, "channel_root", "root", row, sizeof(row), sealed, sizeof(sealed),
	                     root);
	return err == PL_OK ? PL_OK : PL_ERR_CORRUPT;
}

enum pl_err pl_channels_root(const struct pl_channels *channels, sqlite3 *db, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES],
                             uint8_t root[PL_CHANNEL_ROOT_BYTES])
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT root FROM channel_root WHERE node = ?1 AND channel_id = ?2");
	enum pl_err err = PL_ERR_UNKNOWN;
	if (select == NULL)
		return pl_store_sql_err(db);
	sqlite3_bind_int(select, 1, node);
	pl_db_bind_blob(select, 2, channel_id, PL_CHANNEL_ID_BYTES);
	if (pl_db_step(select, &err) == 1) {
		err = open_root(channels, select, 0, node, channel_id, root);
		pl_db_reset(select);
	}
	return err;
}

/* The newest root of this node, if it is not too old, nor from the future, which a clock set right would make last for long. A new
 * generation follows on a restored store, whose item numbers may lag behind those in use, so it takes a new root. */
static enum pl_err current_root(const struct pl_channels *channels, sqlite3 *db, uint64_t wall_ms, struct pl_channel_ticket *ticket,
                                uint64_t *last_number)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT channel_id, root, next_item, number, created_ms, generation FROM channel_root"
	                                            " WHERE next_item IS NOT NULL ORDER BY number DESC LIMIT 1");
	enum pl_err err = PL_ERR_UNKNOWN;
	*last_number = 0;
	if (select == NULL)
		return pl_store_sql_err(db);
	if (pl_db_step(select, &err) != 1)
		return err;
	uint64_t created_ms = pl_db_u64(select, 4);
	*last_number = pl_db_u64(select, 3);
	ticket->first_item = pl_db_u64(select, 2);
	err = pl_db_take(select, 0, ticket->channel_id, sizeof(ticket->channel_id));
	if (err == PL_OK && (wall_ms >= created_ms + PL_EPOCH_KEY_MS || created_ms > wall_ms + PL_CLOCK_SKEW_FLAG_MS ||
	                     pl_db_u64(select, 5) != own_generation(channels)))
		err = PL_ERR_UNKNOWN;
	if (err == PL_OK)
		err = open_root(channels, select, 1, pl_core_self(channels->core), ticket->channel_id, ticket->root);
	pl_db_reset(select);
	return err;
}

/* CRYPTO: "An item number never repeats under one root." What was reserved and not used is lost. */
enum pl_err pl_channels_reserve(struct pl_channels *channels, sqlite3 *db, uint64_t wall_ms, uint64_t items, struct pl_channel_ticket *out)
{
	uint16_t self = pl_core_self(channels->core);
	uint64_t last_number;
	enum pl_err err = current_root(channels, db, wall_ms, out, &last_number);
	if (err == PL_ERR_UNKNOWN) {
		randombytes_buf(out->channel_id, sizeof(out->channel_id));
		randombytes_buf(out->root, sizeof(out->root));
		out->first_item = 0;
		err = insert_root(channels, db, self, out->channel_id, last_number + 1, wall_ms, out->root, true);
	}
	if (err != PL_OK)
		return err;
	sqlite3_stmt *update =
		pl_store_prepare(db, "UPDATE channel_root SET next_item = next_item + ?3 WHERE node = ?1 AND channel_id = ?2");
	if (update == NULL)
		return pl_store_sql_err(db);
	sqlite3_bind_int(update, 1, self);
	pl_db_bind_blob(update, 2, out->channel_id, PL_CHANNEL_ID_BYTES);
	pl_db_bind_u64(update, 3, items);
	return pl_db_run(update);
}

/* --- entries that wait --- */

enum pl_err pl_channels_wait(sqlite3 *db, uint16_t node, uint64_t seq, const uint8_t channel_id[PL_CHANNEL_ID_BYTES])
{
	sqlite3_stmt *insert = pl_store_prepare(db, "INSERT OR IGNORE INTO channel_wait (node, seq, channel_id) VALUES (?1, ?2, ?3)");
	if (insert == NULL)
		return pl_store_sql_err(db);
	sqlite3_bind_int(insert, 1, node);
	pl_db_bind_u64(insert, 2, seq);
	pl_db_bind_blob(insert, 3, channel_id, PL_CHANNEL_ID_BYTES);
	return pl_db_run(insert);
}

enum pl_err pl_channels_unwait(sqlite3 *db, uint16_t node, uint64_t seq)
{
	sqlite3_stmt *delete = pl_store_prepare(db, "DELETE FROM channel_wait WHERE node = ?1 AND seq = ?2");
	if (delete == NULL)
		return pl_store_sql_err(db);
	sqlite3_bind_int(delete, 1, node);
	pl_db_bind_u64(delete, 2, seq);
	return pl_db_run(delete);
}

enum pl_err pl_channels_first_waiting(sqlite3 *db, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint64_t *seq)
{
	sqlite3_stmt *select =
		pl_store_prepare(db, "SELECT seq FROM channel_wait WHERE node = ?1 AND channel_id = ?2 ORDER BY seq LIMIT 1");
	enum pl_err err = PL_ERR_UNKNOWN;
	if (select == NULL)
		return pl_store_sql_err(db);
	sqlite3_bind_int(select, 1, node);
	pl_db_bind_blob(select, 2, channel_id, PL_CHANNEL_ID_BYTES);
	if (pl_db_step(select, &err) != 1)
		return err;
	*seq = pl_db_u64(select, 0);
	pl_db_reset(select);
	return PL_OK;
}

enum pl_err pl_channels_each_waiting(sqlite3 *db, void (*each)(void *ctx, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES]),
                                     void *ctx)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT DISTINCT node, channel_id FROM channel_wait"
	                                            " WHERE EXISTS (SELECT 1 FROM channel_root AS r"
	                                            " WHERE r.node = channel_wait.node AND r.channel_id = channel_wait.channel_id)");
	enum pl_err err = PL_OK;
	if (select == NULL)
		return pl_store_sql_err(db);
	while (pl_db_step(select, &err) == 1) {
		uint8_t channel_id[PL_CHANNEL_ID_BYTES];
		uint16_t node = (uint16_t)pl_db_u64(select, 0);
		err = pl_db_take(select, 1, channel_id, sizeof(channel_id));
		if (err != PL_OK)
			break;
		each(ctx, node, channel_id);
	}
	pl_db_reset(select);
	return err;
}

/* --- roots out --- */

struct delivery {
	struct pl_job job;
	struct pl_channels *channels;
	bool has_key[PL_NODES_MAX];
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	uint8_t plain[ROOT_PLAIN_BYTES_MAX];
	size_t plain_bytes;
	struct pl_seal seal; /* whose nodes are the ones that lack this root */
};

static void schedule(struct pl_channels *channels, uint64_t delay_ms);

static void end_delivery(struct delivery *delivery)
{
	delivery->channels->sending = false;
	sodium_memzero(delivery->plain, sizeof(delivery->plain));
	free(delivery);
}

static void give_up(struct delivery *delivery, const char *stage, enum pl_err err)
{
	struct pl_channels *channels = delivery->channels;
	if (!channels->stopped)
		PL_LOG(PL_LOG_WARNING, "channel", "a channel root could not be sent, trying again", PL_F_STR("stage", stage),
		       PL_F_ERR(err));
	end_delivery(delivery);
	schedule(channels, RETRY_MS);
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
	struct pl_channel_root root = { .audience = { AUDIENCE, sizeof(AUDIENCE) - 1 } };
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
		err = open_root(channels, select, 1, pl_core_self(channels->core), delivery->channel_id, root.root);
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
		schedule(channels, RETRY_MS);
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

static void schedule(struct pl_channels *channels, uint64_t delay_ms)
{
	if (!channels->stopped)
		uv_timer_start(&channels->timer, on_timer, delay_ms, 0);
}

static void key_learned(void *ctx, uint16_t node)
{
	struct pl_channels *channels = ctx;
	if (node != pl_core_self(channels->core) && !uv_is_active((uv_handle_t *)&channels->timer))
		schedule(channels, SETTLE_MS);
}

/* --- roots in --- */

struct arrival {
	struct pl_apply apply; /* first: cast back from it */
	struct pl_open open;
	struct pl_channels *channels;
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	uint64_t number, received_ms;
	uint8_t root[PL_CHANNEL_ROOT_BYTES];
};

static void free_arrival(struct arrival *arrival)
{
	sodium_memzero(arrival, sizeof(*arrival));
	free(arrival);
}

static enum pl_err arrival_work(struct pl_apply *apply, sqlite3 *db)
{
	struct arrival *arrival = (struct arrival *)(void *)apply;
	enum pl_err err = pl_entry_received(db, apply->node, apply->lane, apply->seq, &arrival->received_ms);
	if (err != PL_OK)
		return err;
	return insert_root(arrival->channels, db, apply->node, arrival->channel_id, arrival->number, arrival->received_ms, arrival->root,
	                   false);
}

static void arrival_dropped(struct pl_apply *apply)
{
	free_arrival((struct arrival *)(void *)apply);
}

static void arrival_done(struct pl_apply *apply)
{
	struct arrival *arrival = (struct arrival *)(void *)apply;
	struct pl_channels *channels = arrival->channels;
	if (!channels->stopped && channels->came != NULL)
		channels->came(channels->came_ctx, apply->node, arrival->channel_id);
	free_arrival(arrival);
}

/* Whether what the envelope held is a root; its author is the entry's, since the envelope is bound to it. */
static bool take_root(struct arrival *arrival)
{
	struct pl_channels *channels = arrival->channels;
	struct pl_channel_root root;
	char author[PL_NODE_NAME_BYTES];
	enum pl_err err = pl_channel_root_read(arrival->open.plain, arrival->open.plain_bytes, &root);
	if (err == PL_OK &&
	    (root.audience.bytes != sizeof(AUDIENCE) - 1 || memcmp(root.audience.chars, AUDIENCE, sizeof(AUDIENCE) - 1) != 0))
		err = PL_ERR_VERSION;
	if (err != PL_OK) {
		PL_LOG(PL_LOG_WARNING, "channel", "another node's channel root is of no use",
		       PL_F_STR("author", name_of(channels, arrival->apply.node, author)), PL_F_U64("seq", arrival->apply.seq),
		       PL_F_ERR(err));
		return false;
	}
	memcpy(arrival->channel_id, root.channel_id, sizeof(arrival->channel_id));
	memcpy(arrival->root, root.root, sizeof(arrival->root));
	arrival->number = root.number;
	sodium_memzero(&root, sizeof(root));
	return true;
}

static void opened(struct pl_open *open)
{
	char author[PL_NODE_NAME_BYTES];
	struct arrival *arrival = open->ctx;
	struct pl_channels *channels = arrival->channels;
	bool keep = open->err == PL_OK && take_root(arrival);
	/* PL_ERR_NO_KEY is the rule: these go to some nodes at a time */
	if (open->err != PL_OK && open->err != PL_ERR_NO_KEY)
		PL_LOG(PL_LOG_WARNING, "channel", "another node's channel root does not open",
		       PL_F_STR("author", name_of(channels, arrival->apply.node, author)), PL_F_U64("seq", arrival->apply.seq),
		       PL_F_ERR(open->err));
	pl_open_wipe(open);
	if (keep) {
		pl_apply(channels->applier, &arrival->apply);
		return;
	}
	if (open->err != PL_ERR_MEMORY) /* else it comes again at the next start, rather than being lost */
		pl_apply_skip(channels->applier, arrival->apply.node, arrival->apply.lane, arrival->apply.seq);
	free_arrival(arrival);
}

void pl_channels_entry(struct pl_channels *channels, const struct pl_store_entry *entry)
{
	char author[PL_NODE_NAME_BYTES];
	if (entry->node == pl_core_self(channels->core)) { /* our own roots are in the store before they are sent */
		pl_apply_skip(channels->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	struct arrival *arrival = calloc(1, sizeof(*arrival));
	if (arrival == NULL) {
		PL_LOG(PL_LOG_ERROR, "channel", "no memory to look at a channel root; it comes again at the next start",
		       PL_F_STR("author", name_of(channels, entry->node, author)), PL_F_U64("seq", entry->seq));
		return;
	}
	arrival->channels = channels;
	arrival->received_ms = entry->received_ms;
	arrival->apply = (struct pl_apply){ .node = entry->node, .lane = entry->lane, .seq = entry->seq, .work = arrival_work,
	                                    .done = arrival_done, .dropped = arrival_dropped };
	arrival->open.done = opened;
	arrival->open.ctx = arrival;
	pl_epoch_open(channels->epoch, entry, &arrival->open);
}

/* --- the part --- */

enum pl_err pl_channels_new(struct pl_core *core, struct pl_applier *applier, struct pl_epoch *epoch, struct pl_channels **out,
                            char *why, size_t why_max)
{
	struct pl_channels *channels = calloc(1, sizeof(*channels));
	if (channels == NULL) {
		(void)snprintf(why, why_max, "no memory for the channels");
		return PL_ERR_MEMORY;
	}
	channels->core = core;
	channels->applier = applier;
	channels->epoch = epoch;
	uv_timer_init(pl_core_loop(core), &channels->timer);
	channels->timer.data = channels;
	pl_epoch_listen(epoch, key_learned, channels);
	*out = channels;
	return PL_OK;
}

void pl_channels_listen(struct pl_channels *channels, void (*came)(void *ctx, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES]),
                        void *ctx)
{
	assert(channels->came == NULL);
	channels->came = came;
	channels->came_ctx = ctx;
}

void pl_channels_start(struct pl_channels *channels)
{
	schedule(channels, SETTLE_MS);
}

void pl_channels_stop(struct pl_channels *channels)
{
	if (channels->stopped)
		return;
	channels->stopped = true;
	uv_close((uv_handle_t *)&channels->timer, NULL);
}

void pl_channels_free(struct pl_channels *channels)
{
	free(channels);
}
