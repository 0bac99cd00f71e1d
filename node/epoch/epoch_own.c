#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/store/db.h"
#include "node/epoch/epoch_file.h"
#include "node/epoch/epoch_impl.h"
#include "node/log.h"

#define TICK_MS 60000         /* how often it is looked at what is due; also what bounds the effect of a clock that jumps */
#define RETRY_MS 10000        /* a key could not be kept or published */
#define SETTLE_MS 600000      /* a key must have been due for so long by the other clock, so that a jump of the wall clock wipes nothing */

/* --- wiping --- */

/* CRYPTO: "A secret is wiped 14 days after the end of its validity at the latest." */
static bool is_spent(const struct pl_epoch *epoch, const struct pl_own_key *own)
{
	return pl_core_wall_ms(epoch->core) >= own->info.valid_until_ms + PL_EPOCH_KEY_KEEP_MS;
}

/* A change of the own keys: the file of secrets first, then the rows. One at a time, since each writes the whole file. */
struct save_job {
	struct pl_job job;
	struct pl_epoch *epoch;
	char path[PL_PATH_BYTES_MAX + 8];
	size_t records_count, wiped_count;
	struct pl_epoch_record records[PL_EPOCH_OWN_MAX]; /* all that the file is to hold */
	uint64_t wiped[PL_EPOCH_OWN_MAX];
	struct pl_own_key made; /* number 0: none */
	uint64_t acked[PL_NODES_MAX]; /* with made: what its entry will acknowledge */
};

static bool is_recorded(const struct save_job *save, uint64_t number)
{
	for (size_t i = 0; i < save->records_count; i++)
		if (save->records[i].number == number)
			return true;
	return false;
}

/* Rows whose secret is gone say so. They stay, so that no number is ever given out again. */
static enum pl_err mark_wiped(const struct save_job *save, sqlite3 *db)
{
	sqlite3_stmt *live = pl_store_prepare(db, "SELECT number FROM epoch_own WHERE public IS NOT NULL AND number > ?1 ORDER BY number"
	                                          " LIMIT 1");
	sqlite3_stmt *wipe = pl_store_prepare(db, "UPDATE epoch_own SET public = NULL WHERE number = ?1");
	if (!live || !wipe)
		return pl_store_sql_err(db);
	uint64_t number = 0;
	for (;;) {
		enum pl_err err = PL_OK;
		pl_db_bind_u64(live, 1, number);
		if (pl_db_step(live, &err) != 1)
			return err;
		number = pl_db_u64(live, 0);
		pl_db_reset(live);
		if (is_recorded(save, number))
			continue;
		pl_db_bind_u64(wipe, 1, number);
		err = pl_db_run(wipe);
		if (err != PL_OK)
			return err;
	}
}

static enum pl_err save_work(struct pl_job *job, sqlite3 *db)
{
	const struct save_job *save = job->ctx;
	const struct pl_epoch_info *made = &save->made.info;
	enum pl_err err = pl_epoch_file_write(save->path, save->records, save->records_count, job->why, sizeof(job->why));
	if (err == PL_OK)
		err = mark_wiped(save, db);
	if (err == PL_OK)
		err = pl_epoch_ack_prune(db);
	if (err == PL_OK && made->number != 0)
		err = pl_epoch_ack_record(db, save->acked);
	if (err != PL_OK || made->number == 0)
		return err;
	sqlite3_stmt *insert = pl_store_prepare(db, "INSERT INTO epoch_own (number, valid_from, valid_until, public, seq) VALUES"
	                                            " (?1, ?2, ?3, ?4, 0)");
	if (!insert)
		return pl_store_job_err(job, db);
	pl_db_bind_u64(insert, 1, made->number);
	pl_db_bind_u64(insert, 2, made->valid_from_ms);
	pl_db_bind_u64(insert, 3, made->valid_until_ms);
	pl_db_bind_blob(insert, 4, save->made.public_key, sizeof(save->made.public_key));
	return pl_db_run(insert);
}

static void publish(struct pl_epoch *epoch, const struct pl_own_key *own);

static void on_timer(uv_timer_t *timer)
{
	pl_epoch_tick(timer->data);
}

static void retry_soon(struct pl_epoch *epoch)
{
	if (!epoch->stopped)
		uv_timer_start(&epoch->timer, on_timer, RETRY_MS, TICK_MS);
}

static void save_done(struct pl_job *job)
{
	struct save_job *save = job->ctx;
	struct pl_epoch *epoch = save->epoch;
	epoch->saving = false;
	if (job->err != PL_OK) {
		/* What was to be wiped is gone from memory already; the next time that the file is written it goes from there too. */
		PL_LOG(PL_LOG_WARNING, "epoch", "encryption keys cannot be written", PL_F_ERR(job->err), PL_F_STR("why", job->why));
		if (save->made.secret)
			sodium_memzero(save->made.secret, PL_EPOCH_SECRET_BYTES);
		retry_soon(epoch);
	} else {
		for (size_t i = 0; i < save->wiped_count; i++)
			PL_LOG(PL_LOG_INFO, "epoch", "old encryption key wiped", PL_F_U64("number", save->wiped[i]));
		if (save->made.secret) {
			struct pl_own_key *own = &epoch->own[epoch->own_count++];
			*own = save->made;
			epoch->last_number = own->info.number;
			memcpy(epoch->acked, save->acked, sizeof(epoch->acked));
			if (!epoch->stopped)
				publish(epoch, own);
		} else {
			pl_epoch_tick(epoch);
		}
	}
	free(save);
}

/* Writes the keys as they are, with these changes. */
static void save_keys(struct pl_epoch *epoch, struct save_job *save)
{
	const uint8_t *store_key = pl_core_keys(epoch->core)->store_key;
	for (size_t i = 0; i < epoch->own_count; i++)
		pl_epoch_record_seal(store_key, epoch->own[i].info.number, epoch->own[i].secret, &save->records[save->records_count++]);
	if (save->made.secret)
		pl_epoch_record_seal(store_key, save->made.info.number, save->made.secret, &save->records[save->records_count++]);
	snprintf(save->path, sizeof(save->path), "%s.epoch", pl_core_conf(epoch->core)->store_file);
	save->epoch = epoch;
	save->job = (struct pl_job){ .work = save_work, .done = save_done, .ctx = save, .writes = true };
	epoch->saving = true;
	pl_store_run(pl_core_store(epoch->core), &save->job);
}

void pl_epoch_wipe_due(struct pl_epoch *epoch)
{
	epoch->wipe_due = epoch->opening > 0 || epoch->saving;
	if (epoch->wipe_due)
		return;
	uint64_t now_ms = pl_core_now_ms(epoch->core);
	struct save_job *save = NULL;
	for (size_t i = 0; i < epoch->own_count; i++) {
		struct pl_own_key *own = &epoch->own[i];
		bool is_out_of_use = own->info.number < epoch->settled;
		if (!is_out_of_use && !is_spent(epoch, own)) {
			own->spent_since_ms = 0;
			continue;
		}
		if (own->spent_since_ms == 0)
			own->spent_since_ms = now_ms ? now_ms : 1;
		if (!is_out_of_use && now_ms - own->spent_since_ms < SETTLE_MS)
			continue;
		if (!save && !(save = calloc(1, sizeof(*save))))
			return;
		sodium_memzero(own->secret, PL_EPOCH_SECRET_BYTES);
		own->secret = NULL;
		save->wiped[save->wiped_count++] = own->info.number;
	}
	if (!save)
		return;
	size_t kept = 0;
	for (size_t i = 0; i < epoch->own_count; i++)
		if (epoch->own[i].secret)
			epoch->own[kept++] = epoch->own[i];
	epoch->own_count = kept;
	save_keys(epoch, save);
}

/* --- making and publishing --- */

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

static void submitted(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	struct pl_epoch *epoch = ctx;
	(void)entry; /* it comes back by pl_epoch_entry() */
	epoch->submitting = false;
	if (err != PL_OK)
		retry_soon(epoch);
}

/* Only once the secret is durable: what others seal to it can then be opened after any crash. CRYPTO: "What an entry acknowledges is
 * durable before the entry is published." */
static void publish(struct pl_epoch *epoch, const struct pl_own_key *own)
{
	struct pl_epoch_key key = { .number = own->info.number, .valid_from_ms = own->info.valid_from_ms,
	                            .valid_until_ms = own->info.valid_until_ms };
	memcpy(key.public_key, own->public_key, sizeof(key.public_key));
	pl_epoch_ack_fill(epoch, &key);
	uint8_t body[PL_EPOCH_KEY_BODY_BYTES_MAX];
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

static void make(struct pl_epoch *epoch)
{
	uint8_t *secret = free_slot(epoch);
	struct save_job *save = secret && epoch->own_count < PL_EPOCH_OWN_MAX - 1 ? calloc(1, sizeof(*save)) : NULL;
	if (!save) {
		PL_LOG(PL_LOG_WARNING, "epoch", "no room for a new encryption key; has the clock jumped?", PL_F_U64("keys", epoch->own_count));
		retry_soon(epoch);
		return;
	}
	uint64_t wall_ms = pl_core_wall_ms(epoch->core);
	save->made.info = (struct pl_epoch_info){ epoch->last_number + 1, wall_ms, wall_ms + PL_EPOCH_KEY_VALID_MS };
	save->made.secret = secret;
	randombytes_buf(secret, PL_EPOCH_SECRET_BYTES);
	pl_epoch_public(secret, save->made.public_key);
	pl_epoch_ack_raise(epoch, save->acked);
	save_keys(epoch, save);
}

void pl_epoch_tick(struct pl_epoch *epoch)
{
	if (epoch->stopped)
		return;
	uv_timer_start(&epoch->timer, on_timer, TICK_MS, TICK_MS);
	pl_epoch_wipe_due(epoch);
	pl_epoch_ack_check(epoch);
	/* A frozen feed is so for good: a new key would never get out. */
	if (epoch->saving || epoch->submitting || pl_core_is_frozen(epoch->core))
		return;
	uint64_t wall_ms = pl_core_wall_ms(epoch->core);
	const struct pl_own_key *newest = epoch->own_count ? &epoch->own[epoch->own_count - 1] : NULL;
	/* Also when the newest one is from the future: the clock was wrong when it was made. Or gone: the file is older than the store. */
	bool due = !newest || newest->info.number != epoch->last_number || wall_ms >= newest->info.valid_from_ms + PL_EPOCH_KEY_MS ||
	           newest->info.valid_from_ms > wall_ms + PL_CLOCK_SKEW_FLAG_MS;
	if (due)
		make(epoch);
	else if (newest->seq == 0)
		publish(epoch, newest); /* a crash came between the two, or its entry was refused */
}

/* --- at start --- */

enum pl_err pl_epoch_load_own(struct pl_epoch *epoch, sqlite3 *db, char *why, size_t why_max)
{
	struct pl_epoch_record records[PL_EPOCH_OWN_MAX];
	size_t records_count, lost = 0;
	char path[PL_PATH_BYTES_MAX + 8];
	snprintf(path, sizeof(path), "%s.epoch", pl_core_conf(epoch->core)->store_file);
	enum pl_err err = pl_epoch_file_read(path, records, PL_EPOCH_OWN_MAX, &records_count, why, why_max);
	if (err != PL_OK)
		return err;
	sqlite3_stmt *last = pl_store_prepare(db, "SELECT max(number) FROM epoch_own");
	sqlite3_stmt *rows = pl_store_prepare(db, "SELECT number, valid_from, valid_until, seq, public FROM epoch_own WHERE public IS NOT NULL"
	                                          " ORDER BY number");
	if (!last || !rows)
		return pl_store_sql_err(db);
	if (pl_db_step(last, &err) == 1)
		epoch->last_number = pl_db_u64(last, 0);
	pl_db_reset(last);
	while (err == PL_OK && pl_db_step(rows, &err) == 1) {
		struct pl_own_key own = { .info = { pl_db_u64(rows, 0), pl_db_u64(rows, 1), pl_db_u64(rows, 2) }, .seq = pl_db_u64(rows, 3) };
		size_t i = 0;
		while (i < records_count && records[i].number != own.info.number)
			i++;
		if (i == records_count || epoch->own_count == PL_EPOCH_OWN_MAX) {
			lost++; /* the store was restored without its file, or a wipe was cut short after the file */
			continue;
		}
		own.secret = epoch->arena + epoch->own_count * PL_EPOCH_SECRET_BYTES;
		err = pl_db_take(rows, 4, own.public_key, sizeof(own.public_key));
		if (err == PL_OK)
			err = pl_epoch_record_open(pl_core_keys(epoch->core)->store_key, &records[i], own.secret);
		if (err == PL_OK)
			epoch->own[epoch->own_count++] = own;
	}
	pl_db_reset(rows);
	if (err == PL_OK && lost > 0)
		PL_LOG(PL_LOG_WARNING, "epoch", "secrets of encryption keys are gone: what was sealed to them alone cannot be opened",
		       PL_F_U64("keys", lost),
		       PL_F_STR("file", path));
	return err;
}
