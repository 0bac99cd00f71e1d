#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyfile.h"
#include "node/epoch_impl.h"
#include "node/log.h"
#include "node/db.h"

#define TICK_MS 60000         /* how often it is looked at what is due; also what bounds the effect of a clock that jumps */
#define RETRY_MS 10000        /* a key could not be kept or published */
#define SETTLE_MS 600000      /* a key must have been due for so long by the other clock, so that a jump of the wall clock wipes nothing */

/* --- looking up --- */

static bool is_current(const struct pl_epoch_info *info, uint64_t wall_ms)
{
	return info->valid_from_ms <= wall_ms + PL_CLOCK_SKEW_FLAG_MS && wall_ms < info->valid_until_ms + PL_CLOCK_SKEW_FLAG_MS;
}

static const uint8_t *find_current(const struct pl_epoch *epoch, uint16_t node, struct pl_epoch_info *out)
{
	uint64_t wall_ms = pl_core_wall_ms(epoch->core);
	if (node == pl_core_self(epoch->core)) {
		for (size_t i = epoch->own_count; i-- > 0;) {
			const struct pl_own_key *own = &epoch->own[i];
			if (own->secret && is_current(&own->info, wall_ms)) {
				*out = own->info;
				return own->public_key;
			}
		}
		return NULL;
	}
	const struct pl_other_keys *others = node < PL_NODES_MAX ? epoch->others[node] : NULL;
	for (size_t i = 0; others && i < others->count; i++) {
		if (is_current(&others->keys[i].info, wall_ms)) {
			*out = others->keys[i].info;
			return others->keys[i].public_key;
		}
	}
	return NULL;
}

bool pl_epoch_current(const struct pl_epoch *epoch, uint16_t node, struct pl_epoch_info *out)
{
	struct pl_epoch_info info;
	if (!find_current(epoch, node, &info))
		return false;
	if (out)
		*out = info;
	return true;
}

const uint8_t *pl_epoch_current_public(const struct pl_epoch *epoch, uint16_t node)
{
	struct pl_epoch_info info;
	return find_current(epoch, node, &info);
}

size_t pl_epoch_secrets_at(const struct pl_epoch *epoch, uint64_t time_ms, struct pl_envelope_key out[PL_EPOCH_OWN_MAX])
{
	size_t count = 0;
	for (size_t i = epoch->own_count; i-- > 0;) {
		const struct pl_own_key *own = &epoch->own[i];
		uint64_t from_ms = own->info.valid_from_ms, until_ms = own->info.valid_until_ms;
		if (own->secret && from_ms <= time_ms + PL_EPOCH_OPEN_SLACK_MS && time_ms <= until_ms + PL_EPOCH_OPEN_SLACK_MS)
			out[count++] = (struct pl_envelope_key){ .epoch_secret = own->secret };
	}
	return count;
}

void pl_epoch_listen(struct pl_epoch *epoch, void (*learned)(void *ctx, uint16_t node), void *ctx)
{
	if (epoch->listeners_count == PL_EPOCH_LISTENERS_MAX)
		abort();
	epoch->listeners[epoch->listeners_count].learned = learned;
	epoch->listeners[epoch->listeners_count++].ctx = ctx;
}

static void tell(struct pl_epoch *epoch, uint16_t node)
{
	for (size_t i = 0; i < epoch->listeners_count; i++)
		epoch->listeners[i].learned(epoch->listeners[i].ctx, node);
}

/* --- wiping --- */

static bool is_spent(const struct pl_epoch *epoch, const struct pl_own_key *own)
{
	return pl_core_wall_ms(epoch->core) >= own->info.valid_until_ms + PL_EPOCH_KEY_KEEP_MS;
}

struct wipe_job {
	struct pl_job job;
	struct pl_epoch *epoch;
	size_t count;
	uint64_t numbers[PL_EPOCH_OWN_MAX];
};

static enum pl_err wipe_work(struct pl_job *job, sqlite3 *db)
{
	const struct wipe_job *wipe = job->ctx;
	/* The row stays, so that its number is never given out again. */
	sqlite3_stmt *statement = pl_store_prepare(db, "UPDATE epoch_own SET secret = NULL, public = NULL WHERE number = ?1");
	if (!statement)
		return pl_store_job_err(job, db);
	sqlite3_exec(db, "PRAGMA secure_delete = ON", NULL, NULL, NULL); /* what is freed is overwritten */
	enum pl_err err = PL_OK;
	for (size_t i = 0; err == PL_OK && i < wipe->count; i++) {
		pl_db_bind_u64(statement, 1, wipe->numbers[i]);
		err = pl_db_run(statement);
	}
	sqlite3_exec(db, "PRAGMA secure_delete = OFF", NULL, NULL, NULL);
	return err;
}

/* The write-ahead log still has the old page until it starts over. Not possible while a group is being written; then later. */
static enum pl_err truncate_work(struct pl_job *job, sqlite3 *db)
{
	(void)job;
	return pl_db_err(sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL));
}

static void truncate_done(struct pl_job *job)
{
	struct wipe_job *wipe = job->ctx;
	wipe->epoch->truncate_due = job->err != PL_OK;
	free(wipe);
}

static void truncate_log(struct wipe_job *wipe)
{
	wipe->job = (struct pl_job){ .work = truncate_work, .done = truncate_done, .ctx = wipe };
	pl_store_run(pl_core_store(wipe->epoch->core), &wipe->job);
}

static void wipe_done(struct pl_job *job)
{
	struct wipe_job *wipe = job->ctx;
	if (job->err != PL_OK) {
		/* Gone from memory already; its row is found again after the next start. */
		PL_LOG(PL_LOG_WARNING, "epoch", "an old encryption key could not be wiped from the store", PL_F_U64("number", wipe->numbers[0]),
		       PL_F_ERR(job->err));
		free(wipe);
		return;
	}
	for (size_t i = 0; i < wipe->count; i++)
		PL_LOG(PL_LOG_INFO, "epoch", "old encryption key wiped", PL_F_U64("number", wipe->numbers[i]));
	truncate_log(wipe);
}

void pl_epoch_wipe_due(struct pl_epoch *epoch)
{
	epoch->wipe_due = epoch->opening > 0;
	if (epoch->wipe_due)
		return;
	uint64_t now_ms = pl_core_now_ms(epoch->core);
	struct wipe_job *wipe = NULL;
	for (size_t i = 0; i < epoch->own_count; i++) {
		struct pl_own_key *own = &epoch->own[i];
		if (!own->secret)
			continue;
		if (!is_spent(epoch, own)) {
			own->spent_since_ms = 0;
			continue;
		}
		if (own->spent_since_ms == 0)
			own->spent_since_ms = now_ms ? now_ms : 1;
		if (now_ms - own->spent_since_ms < SETTLE_MS)
			continue;
		if (!wipe && !(wipe = calloc(1, sizeof(*wipe))))
			return;
		sodium_memzero(own->secret, PL_EPOCH_SECRET_BYTES);
		own->secret = NULL;
		wipe->numbers[wipe->count++] = own->info.number;
	}
	if (!wipe)
		return;
	size_t kept = 0;
	for (size_t i = 0; i < epoch->own_count; i++)
		if (epoch->own[i].secret)
			epoch->own[kept++] = epoch->own[i];
	epoch->own_count = kept;
	wipe->epoch = epoch;
	wipe->job = (struct pl_job){ .work = wipe_work, .done = wipe_done, .ctx = wipe, .writes = true };
	pl_store_run(pl_core_store(epoch->core), &wipe->job);
}

/* --- making and publishing --- */

struct make_job {
	struct pl_job job;
	struct pl_epoch *epoch;
	struct pl_epoch_info info;
	uint8_t public_key[PL_EPOCH_PUBLIC_BYTES];
	uint8_t sealed[PL_EPOCH_SECRET_BYTES + PL_COLUMN_OVERHEAD];
	uint8_t *secret; /* its place in the arena */
};

static uint8_t *free_slot(struct pl_epoch *epoch)
{
	for (size_t slot = 0; slot < PL_EPOCH_OWN_MAX; slot++) {
		uint8_t *secret = epoch->arena + slot * PL_EPOCH_SECRET_BYTES;
		bool used = false;
		for (size_t i = 0; i < epoch->own_count; i++)
			used |= epoch->own[i].secret == secret;
		if (!used)
			return secret;
	}
	return NULL;
}

static void row_of(uint64_t number, uint8_t row[8])
{
	for (int i = 0; i < 8; i++)
		row[i] = (uint8_t)(number >> (56 - 8 * i));
}

static void tick(struct pl_epoch *epoch);

static void on_timer(uv_timer_t *timer)
{
	tick(timer->data);
}

static void retry_soon(struct pl_epoch *epoch)
{
	if (!epoch->stopped)
		uv_timer_start(&epoch->timer, on_timer, RETRY_MS, TICK_MS);
}

static void submitted(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	struct pl_epoch *epoch = ctx;
	(void)entry; /* it comes back by pl_epoch_entry() */
	epoch->submitting = false;
	if (err != PL_OK)
		retry_soon(epoch);
}

/* Only once the secret is durable: what others seal to it can then be opened after any crash. */
static void publish(struct pl_epoch *epoch, const struct pl_own_key *own)
{
	struct pl_epoch_key key = { .number = own->info.number, .valid_from_ms = own->info.valid_from_ms,
	                            .valid_until_ms = own->info.valid_until_ms };
	memcpy(key.public_key, own->public_key, sizeof(key.public_key));
	uint8_t body[PL_EPOCH_PUBLIC_BYTES + 64];
	size_t body_bytes;
	enum pl_err err = pl_epoch_key_write(&key, body, sizeof(body), &body_bytes);
	if (err == PL_OK)
		err = pl_core_submit(epoch->core, 0, PL_KIND_EPOCH_KEY, 0, body, (uint32_t)body_bytes, submitted, epoch);
	if (err == PL_OK) {
		epoch->submitting = true;
		return;
	}
	PL_LOG(PL_LOG_WARNING, "epoch", "the new encryption key cannot be published now", PL_F_U64("number", key.number), PL_F_ERR(err));
	retry_soon(epoch);
}

static enum pl_err make_work(struct pl_job *job, sqlite3 *db)
{
	const struct make_job *make = job->ctx;
	sqlite3_stmt *statement = pl_store_prepare(db, "INSERT INTO epoch_own (number, valid_from, valid_until, public, secret, seq)"
	                                               " VALUES (?1, ?2, ?3, ?4, ?5, 0)");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, make->info.number);
	pl_db_bind_u64(statement, 2, make->info.valid_from_ms);
	pl_db_bind_u64(statement, 3, make->info.valid_until_ms);
	pl_db_bind_blob(statement, 4, make->public_key, sizeof(make->public_key));
	pl_db_bind_blob(statement, 5, make->sealed, sizeof(make->sealed));
	return pl_db_run(statement);
}

static void make_done(struct pl_job *job)
{
	struct make_job *make = job->ctx;
	struct pl_epoch *epoch = make->epoch;
	epoch->making = false;
	if (job->err != PL_OK) {
		sodium_memzero(make->secret, PL_EPOCH_SECRET_BYTES);
		PL_LOG(PL_LOG_WARNING, "epoch", "a new encryption key could not be kept", PL_F_ERR(job->err));
		retry_soon(epoch);
	} else {
		struct pl_own_key *own = &epoch->own[epoch->own_count++];
		*own = (struct pl_own_key){ .info = make->info, .secret = make->secret };
		memcpy(own->public_key, make->public_key, sizeof(own->public_key));
		epoch->last_number = make->info.number;
		if (!epoch->stopped)
			publish(epoch, own);
	}
	free(make);
}

static void make(struct pl_epoch *epoch)
{
	uint8_t *secret = free_slot(epoch);
	struct make_job *make = secret && epoch->own_count < PL_EPOCH_OWN_MAX ? calloc(1, sizeof(*make)) : NULL;
	if (!make) {
		PL_LOG(PL_LOG_WARNING, "epoch", "no room for a new encryption key; has the clock jumped?", PL_F_U64("keys", epoch->own_count));
		retry_soon(epoch);
		return;
	}
	make->epoch = epoch;
	make->secret = secret;
	make->info.number = epoch->last_number + 1;
	make->info.valid_from_ms = pl_core_wall_ms(epoch->core);
	make->info.valid_until_ms = make->info.valid_from_ms + PL_EPOCH_KEY_VALID_MS;
	crypto_kem_xwing_keypair(make->public_key, secret);
	uint8_t row[8];
	row_of(make->info.number, row);
	pl_column_seal(pl_core_keys(epoch->core)->store_key, "epoch_own", "secret", row, sizeof(row), secret, PL_EPOCH_SECRET_BYTES, make->sealed);
	epoch->making = true;
	make->job = (struct pl_job){ .work = make_work, .done = make_done, .ctx = make, .writes = true, .urgent = true };
	pl_store_run(pl_core_store(epoch->core), &make->job);
}

static void tick(struct pl_epoch *epoch)
{
	if (epoch->stopped)
		return;
	uv_timer_start(&epoch->timer, on_timer, TICK_MS, TICK_MS);
	pl_epoch_wipe_due(epoch);
	if (epoch->truncate_due) {
		struct wipe_job *again = calloc(1, sizeof(*again));
		if (again) {
			epoch->truncate_due = false;
			again->epoch = epoch;
			truncate_log(again);
		}
	}
	if (epoch->making || epoch->submitting)
		return;
	uint64_t wall_ms = pl_core_wall_ms(epoch->core);
	const struct pl_own_key *newest = epoch->own_count ? &epoch->own[epoch->own_count - 1] : NULL;
	/* Also when the newest one is from the future: the clock was wrong when it was made. */
	bool due = !newest || wall_ms >= newest->info.valid_from_ms + PL_EPOCH_KEY_MS ||
	           newest->info.valid_from_ms > wall_ms + PL_CLOCK_SKEW_FLAG_MS;
	if (due)
		make(epoch);
	else if (newest->seq == 0)
		publish(epoch, newest); /* a crash came between the two, or its entry was refused */
}

/* --- entries --- */

struct learn {
	struct pl_apply apply;
	struct pl_epoch *epoch;
	struct pl_epoch_key key;
};

static void learn_dropped(struct pl_apply *apply)
{
	free((struct learn *)(void *)apply);
}

static enum pl_err learn_work(struct pl_apply *apply, sqlite3 *db)
{
	const struct learn *learn = (const struct learn *)(const void *)apply;
	sqlite3_stmt *insert = pl_store_prepare(db, "INSERT OR IGNORE INTO epoch_other (node, number, valid_from, valid_until, public, seq)"
	                                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
	sqlite3_stmt *prune = pl_store_prepare(db, "DELETE FROM epoch_other WHERE node = ?1 AND number NOT IN"
	                                           " (SELECT number FROM epoch_other WHERE node = ?1 ORDER BY number DESC LIMIT ?2)");
	if (!insert || !prune)
		return pl_store_sql_err(db);
	sqlite3_bind_int(insert, 1, apply->node);
	pl_db_bind_u64(insert, 2, learn->key.number);
	pl_db_bind_u64(insert, 3, learn->key.valid_from_ms);
	pl_db_bind_u64(insert, 4, learn->key.valid_until_ms);
	pl_db_bind_blob(insert, 5, learn->key.public_key, sizeof(learn->key.public_key));
	pl_db_bind_u64(insert, 6, apply->seq);
	enum pl_err err = pl_db_run(insert);
	if (err != PL_OK)
		return err;
	sqlite3_bind_int(prune, 1, apply->node);
	sqlite3_bind_int(prune, 2, PL_EPOCH_KEPT_PER_NODE);
	return pl_db_run(prune);
}

static enum pl_err remember(struct pl_epoch *epoch, uint16_t node, const struct pl_epoch_info *info, const uint8_t *public_key)
{
	struct pl_other_keys *others = epoch->others[node];
	if (!others && !(others = epoch->others[node] = calloc(1, sizeof(*others))))
		return PL_ERR_MEMORY;
	if (others->count < PL_EPOCH_KEPT_PER_NODE)
		others->count++;
	memmove(&others->keys[1], &others->keys[0], (others->count - 1u) * sizeof(others->keys[0]));
	others->keys[0].info = *info;
	memcpy(others->keys[0].public_key, public_key, PL_EPOCH_PUBLIC_BYTES);
	return PL_OK;
}

static void learn_done(struct pl_apply *apply)
{
	struct learn *learn = (struct learn *)(void *)apply;
	struct pl_epoch *epoch = learn->epoch;
	struct pl_epoch_info info = { learn->key.number, learn->key.valid_from_ms, learn->key.valid_until_ms };
	uint16_t node = apply->node;
	if (remember(epoch, node, &info, learn->key.public_key) != PL_OK)
		PL_LOG(PL_LOG_ERROR, "epoch", "no memory for another node's encryption key");
	else if (!epoch->stopped)
		tell(epoch, node);
	free(learn);
}

static enum pl_err own_work(struct pl_apply *apply, sqlite3 *db)
{
	const struct learn *learn = (const struct learn *)(const void *)apply;
	sqlite3_stmt *statement = pl_store_prepare(db, "UPDATE epoch_own SET seq = ?2 WHERE number = ?1 AND seq = 0");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, learn->key.number);
	pl_db_bind_u64(statement, 2, apply->seq);
	return pl_db_run(statement);
}

static void own_done(struct pl_apply *apply)
{
	struct learn *learn = (struct learn *)(void *)apply;
	struct pl_epoch *epoch = learn->epoch;
	for (size_t i = 0; i < epoch->own_count; i++) {
		struct pl_own_key *own = &epoch->own[i];
		if (own->info.number != learn->key.number || own->seq != 0)
			continue;
		own->seq = apply->seq;
		PL_LOG(PL_LOG_INFO, "epoch", "encryption key published", PL_F_U64("number", own->info.number));
		if (!epoch->stopped)
			tell(epoch, pl_core_self(epoch->core));
	}
	free(learn);
}

/* What makes a key of another node worth keeping, beyond its form. NULL if nothing is wrong. */
static const char *find_fault(const struct pl_epoch *epoch, uint16_t node, const struct pl_epoch_key *key)
{
	const struct pl_other_keys *others = epoch->others[node];
	if (key->number > INT64_MAX || key->valid_until_ms > INT64_MAX)
		return "a number is out of range";
	if (pl_epoch_public_check(key->public_key) != PL_OK)
		return "nothing can be sealed to it";
	if (key->valid_until_ms <= key->valid_from_ms || key->valid_until_ms - key->valid_from_ms > PL_EPOCH_KEY_VALID_MS)
		return "its validity is empty or too long";
	if (others && others->count && key->number <= others->keys[0].info.number)
		return "its number does not follow the one before";
	return NULL;
}

/* A node that was stopped before it knew that its key was out publishes it again. */
static bool is_known(const struct pl_epoch *epoch, uint16_t node, const struct pl_epoch_key *key)
{
	const struct pl_other_keys *others = epoch->others[node];
	for (uint8_t i = 0; others && i < others->count; i++)
		if (others->keys[i].info.number == key->number && memcmp(others->keys[i].public_key, key->public_key, PL_EPOCH_PUBLIC_BYTES) == 0)
			return true;
	return false;
}

void pl_epoch_entry(struct pl_epoch *epoch, const struct pl_store_entry *entry)
{
	struct learn *learn = calloc(1, sizeof(*learn));
	bool own = entry->node == pl_core_self(epoch->core);
	enum pl_err err = learn ? pl_epoch_key_read(entry->body, entry->body_bytes, &learn->key) : PL_ERR_MEMORY;
	const char *fault = err != PL_OK ? pl_err_str(err) : own || is_known(epoch, entry->node, &learn->key) ? NULL : find_fault(epoch, entry->node, &learn->key);
	if (fault || (!own && is_known(epoch, entry->node, &learn->key))) {
		char name[PL_NODE_NAME_BYTES];
		pl_charter_node_name(pl_core_charter(epoch->core), entry->node, name);
		if (fault)
			PL_LOG(PL_LOG_WARNING, "epoch", "an encryption key was not taken up", PL_F_STR("node", name), PL_F_U64("seq", entry->seq),
			       PL_F_STR("reason", fault));
		free(learn);
		pl_apply_skip(epoch->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	learn->epoch = epoch;
	learn->apply = (struct pl_apply){ .node = entry->node, .lane = entry->lane, .seq = entry->seq, .dropped = learn_dropped,
	                                  .work = own ? own_work : learn_work, .done = own ? own_done : learn_done };
	pl_apply(epoch->applier, &learn->apply);
}

/* --- life --- */

static enum pl_err load_own(struct pl_epoch *epoch, sqlite3 *db)
{
	sqlite3_stmt *statement;
	enum pl_err err = pl_db_err(sqlite3_prepare_v2(db, "SELECT max(number) FROM epoch_own", -1, &statement, NULL));
	if (err != PL_OK)
		return err;
	if (pl_db_step(statement, &err) == 1)
		epoch->last_number = pl_db_u64(statement, 0);
	sqlite3_finalize(statement);
	/* The newest ones, oldest of them first: more than fit can only be leftovers of a clock that jumped. */
	err = pl_db_err(sqlite3_prepare_v2(db, "SELECT number, valid_from, valid_until, seq, public, secret FROM (SELECT * FROM epoch_own WHERE"
	                                        " secret IS NOT NULL ORDER BY number DESC LIMIT ?1) ORDER BY number", -1, &statement, NULL));
	if (err != PL_OK)
		return err;
	sqlite3_bind_int(statement, 1, PL_EPOCH_OWN_MAX - 1);
	while (err == PL_OK && pl_db_step(statement, &err) == 1) {
		struct pl_own_key *own = &epoch->own[epoch->own_count];
		uint8_t sealed[PL_EPOCH_SECRET_BYTES + PL_COLUMN_OVERHEAD], row[8];
		*own = (struct pl_own_key){ .info = { pl_db_u64(statement, 0), pl_db_u64(statement, 1), pl_db_u64(statement, 2) },
		                            .seq = pl_db_u64(statement, 3) };
		err = pl_db_take(statement, 4, own->public_key, sizeof(own->public_key));
		if (err == PL_OK)
			err = pl_db_take(statement, 5, sealed, sizeof(sealed));
		row_of(own->info.number, row);
		uint8_t *secret = epoch->arena + epoch->own_count * PL_EPOCH_SECRET_BYTES;
		if (err == PL_OK)
			err = pl_column_open(pl_core_keys(epoch->core)->store_key, "epoch_own", "secret", row, sizeof(row), sealed, sizeof(sealed), secret);
		if (err == PL_OK) {
			own->secret = secret;
			epoch->own_count++;
		}
	}
	sqlite3_finalize(statement);
	return err;
}

static enum pl_err load_others(struct pl_epoch *epoch, sqlite3 *db)
{
	sqlite3_stmt *statement;
	enum pl_err err = pl_db_err(sqlite3_prepare_v2(db, "SELECT node, number, valid_from, valid_until, public FROM epoch_other"
	                                                    " ORDER BY node, number", -1, &statement, NULL));
	if (err != PL_OK)
		return err;
	while (err == PL_OK && pl_db_step(statement, &err) == 1) {
		int node = sqlite3_column_int(statement, 0);
		struct pl_epoch_info info = { pl_db_u64(statement, 1), pl_db_u64(statement, 2), pl_db_u64(statement, 3) };
		uint8_t public_key[PL_EPOCH_PUBLIC_BYTES];
		err = pl_db_take(statement, 4, public_key, sizeof(public_key));
		if (err == PL_OK && (node < 0 || node >= PL_NODES_MAX))
			err = PL_ERR_CORRUPT;
		if (err == PL_OK)
			err = remember(epoch, (uint16_t)node, &info, public_key);
	}
	sqlite3_finalize(statement);
	return err;
}

enum pl_err pl_epoch_new(struct pl_core *core, struct pl_applier *applier, struct pl_epoch **out, char *why, size_t why_max)
{
	struct pl_epoch *epoch = calloc(1, sizeof(*epoch));
	uint8_t *arena = sodium_malloc((size_t)PL_EPOCH_OWN_MAX * PL_EPOCH_SECRET_BYTES);
	if (!epoch || !arena) {
		snprintf(why, why_max, "no memory for encryption keys; is the limit of locked memory (ulimit -l) below 64 KiB?");
		free(epoch);
		sodium_free(arena);
		return PL_ERR_MEMORY;
	}
	epoch->core = core;
	epoch->applier = applier;
	epoch->arena = arena;
	sqlite3 *db = pl_store_db(pl_core_store(core));
	enum pl_err err = load_own(epoch, db);
	if (err == PL_OK)
		err = load_others(epoch, db);
	if (err != PL_OK) {
		if (err == PL_ERR_DECRYPT)
			snprintf(why, why_max, "the store's encryption keys do not open with this node's key: store and key file do not belong together");
		else
			snprintf(why, why_max, "the encryption keys cannot be read from the store: %s", pl_err_str(err));
		pl_epoch_free(epoch);
		return err;
	}
	uv_timer_init(pl_core_loop(core), &epoch->timer);
	epoch->timer.data = epoch;
	*out = epoch;
	return PL_OK;
}

void pl_epoch_start(struct pl_epoch *epoch)
{
	tick(epoch);
}

void pl_epoch_stop(struct pl_epoch *epoch)
{
	if (epoch->stopped)
		return;
	epoch->stopped = true;
	uv_close((uv_handle_t *)&epoch->timer, NULL);
}

void pl_epoch_free(struct pl_epoch *epoch)
{
	if (!epoch)
		return;
	for (size_t i = 0; i < PL_NODES_MAX; i++)
		free(epoch->others[i]);
	sodium_free(epoch->arena); /* wipes */
	free(epoch);
}
