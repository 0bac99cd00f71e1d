#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"
#include "node/store/db.h"
#include "node/epoch/epoch_impl.h"
#include "node/log.h"

/* --- looking up --- */

static bool is_current(const struct pl_epoch_info *info, uint64_t wall_ms)
{
	return info->valid_from_ms <= wall_ms + PL_CLOCK_SKEW_FLAG_MS && wall_ms < info->valid_until_ms + PL_CLOCK_SKEW_FLAG_MS;
}

static const uint8_t *find_current(const struct pl_epoch *epoch, uint16_t node, struct pl_epoch_info *out)
{
	uint64_t wall_ms = pl_core_wall_ms(epoch->core);
	if (node == pl_core_self(epoch->core)) {
		/* CRYPTO: "A node seals to itself under its newest key alone." */
		const struct pl_own_key *own = epoch->own_count ? &epoch->own[epoch->own_count - 1] : NULL;
		if (!own || own->info.number != epoch->last_number || !is_current(&own->info, wall_ms))
			return NULL;
		*out = own->info;
		return own->public_key;
	}
	const struct pl_other_keys *others = node < PL_NODES_MAX ? epoch->others[node] : NULL;
	/* CRYPTO: "Nothing is sealed to a key older than the one acknowledged, whatever the clock says." */
	for (size_t i = 0; others && i < others->count && others->keys[i].info.number >= epoch->floors[node]; i++) {
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

const uint8_t *pl_epoch_current_public(const struct pl_epoch *epoch, uint16_t node, struct pl_epoch_info *out)
{
	return find_current(epoch, node, out);
}

bool pl_epoch_published(const struct pl_epoch *epoch, struct pl_epoch_info *out, uint64_t *secrets_since_ms)
{
	bool found = false;
	for (size_t i = epoch->own_count; i-- > 0;) {
		const struct pl_own_key *own = &epoch->own[i];
		if (own->seq == 0)
			continue;
		if (!found && !is_current(&own->info, pl_core_wall_ms(epoch->core)))
			return false;
		if (!found)
			*out = own->info;
		found = true;
		*secrets_since_ms = own->info.valid_from_ms;
	}
	return found;
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

/* --- entries --- */

struct learn {
	struct pl_apply apply;
	struct pl_epoch *epoch;
	struct pl_epoch_info info;
	uint8_t public_key[PL_EPOCH_PUBLIC_BYTES];
	struct pl_ack_seen seen;
};

static void learn_dropped(struct pl_apply *apply)
{
	free((struct learn *)(void *)apply);
}

static enum pl_err learn_work(struct pl_apply *apply, sqlite3 *db)
{
	struct learn *learn = (struct learn *)(void *)apply;
	sqlite3_stmt *insert = pl_store_prepare(db, "INSERT OR IGNORE INTO epoch_other (node, number, valid_from, valid_until, public, seq)"
	                                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
	sqlite3_stmt *prune = pl_store_prepare(db, "DELETE FROM epoch_other WHERE node = ?1 AND number NOT IN"
	                                           " (SELECT number FROM epoch_other WHERE node = ?1 ORDER BY number DESC LIMIT ?2)");
	if (!insert || !prune)
		return pl_store_sql_err(db);
	sqlite3_bind_int(insert, 1, apply->node);
	pl_db_bind_u64(insert, 2, learn->info.number);
	pl_db_bind_u64(insert, 3, learn->info.valid_from_ms);
	pl_db_bind_u64(insert, 4, learn->info.valid_until_ms);
	pl_db_bind_blob(insert, 5, learn->public_key, sizeof(learn->public_key));
	pl_db_bind_u64(insert, 6, apply->seq);
	enum pl_err err = pl_db_run(insert);
	if (err != PL_OK)
		return err;
	sqlite3_bind_int(prune, 1, apply->node);
	sqlite3_bind_int(prune, 2, PL_EPOCH_KEPT_PER_NODE);
	err = pl_db_run(prune);
	return err == PL_OK ? pl_epoch_ack_keep(&learn->seen, apply->node, db) : err;
}

static struct pl_other_keys *room_for(struct pl_epoch *epoch, uint16_t node)
{
	if (!epoch->others[node])
		epoch->others[node] = calloc(1, sizeof(*epoch->others[node]));
	return epoch->others[node];
}

static enum pl_err remember(struct pl_epoch *epoch, uint16_t node, const struct pl_epoch_info *info, const uint8_t *public_key)
{
	struct pl_other_keys *others = room_for(epoch, node);
	if (!others)
		return PL_ERR_MEMORY;
	if (others->count < PL_EPOCH_KEPT_PER_NODE)
		others->count++;
	memmove(&others->keys[1], &others->keys[0], (others->count - 1u) * sizeof(others->keys[0]));
	others->keys[0].info = *info;
	memcpy(others->keys[0].public_key, public_key, PL_EPOCH_PUBLIC_BYTES);
	return PL_OK;
}

static void log_fault(const struct pl_epoch *epoch, uint16_t node, uint64_t seq, const char *what, const char *fault)
{
	char name[PL_NODE_NAME_BYTES];
	pl_charter_node_name(pl_core_charter(epoch->core), node, name);
	PL_LOG(PL_LOG_WARNING, "epoch", what, PL_F_STR("node", name), PL_F_U64("seq", seq), PL_F_STR("reason", fault));
}

static void learn_done(struct pl_apply *apply)
{
	struct learn *learn = (struct learn *)(void *)apply;
	struct pl_epoch *epoch = learn->epoch;
	uint16_t node = apply->node;
	if (learn->seen.fault)
		log_fault(epoch, node, apply->seq, "an acknowledgement of an encryption key does not count", learn->seen.fault);
	if (remember(epoch, node, &learn->info, learn->public_key) != PL_OK)
		PL_LOG(PL_LOG_ERROR, "epoch", "no memory for another node's encryption key");
	else if (!epoch->stopped)
		tell(epoch, node);
	free(learn);
}

static enum pl_err own_work(struct pl_apply *apply, sqlite3 *db)
{
	struct learn *learn = (struct learn *)(void *)apply;
	/* The key itself counts: one of the same number may be of a store that is lost. */
	sqlite3_stmt *statement = pl_store_prepare(db, "UPDATE epoch_own SET seq = ?2 WHERE number = ?1 AND public = ?3 AND seq = 0");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, learn->info.number);
	pl_db_bind_u64(statement, 2, apply->seq);
	pl_db_bind_blob(statement, 3, learn->public_key, sizeof(learn->public_key));
	enum pl_err err = pl_db_run(statement);
	return err == PL_OK ? pl_epoch_ack_keep(&learn->seen, apply->node, db) : err;
}

static void own_done(struct pl_apply *apply)
{
	struct learn *learn = (struct learn *)(void *)apply;
	struct pl_epoch *epoch = learn->epoch;
	for (size_t i = 0; i < epoch->own_count; i++) {
		struct pl_own_key *own = &epoch->own[i];
		if (own->info.number != learn->info.number || own->seq != 0 ||
		    memcmp(own->public_key, learn->public_key, sizeof(own->public_key)) != 0)
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
	if (key->number > INT64_MAX || key->valid_until_ms > PL_API_TIME_MS_MAX)
		return "a number is out of range";
	if (pl_epoch_public_check(key->public_key) != PL_OK)
		return "nothing can be sealed to it";
	if (key->valid_until_ms <= key->valid_from_ms || key->valid_until_ms - key->valid_from_ms > PL_EPOCH_KEY_VALID_MS)
		return "its validity is empty or too long";
	if (others && others->count && key->number <= others->keys[0].info.number)
		return "its number does not follow the one before";
	/* PROTOCOL: "A node index in an acknowledgement is below the number of the charter's nodes." They ascend. */
	if (key->acks_count > 0 && key->acks[key->acks_count - 1].node >= pl_core_charter(epoch->core)->nodes_count)
		return "it acknowledges a key of a node that is not in the charter";
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
	struct pl_epoch_key key;
	struct pl_header header;
	bool own = entry->node == pl_core_self(epoch->core);
	struct learn *learn = calloc(1, sizeof(*learn));
	if (!learn || (!own && !room_for(epoch, entry->node))) {
		free(learn);
		pl_apply_later(epoch->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	enum pl_err err = pl_header_decode(entry->header, &header);
	if (err == PL_OK)
		err = pl_epoch_key_read(entry->body, entry->body_bytes, &key);
	bool again = err == PL_OK && !own && is_known(epoch, entry->node, &key);
	const char *fault = err != PL_OK ? pl_err_str(err) : own || again ? NULL : find_fault(epoch, entry->node, &key);
	if (fault || again) {
		if (fault)
			log_fault(epoch, entry->node, entry->seq, "an encryption key was not taken up", fault);
		free(learn);
		pl_apply_skip(epoch->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	learn->epoch = epoch;
	learn->info = (struct pl_epoch_info){ key.number, key.valid_from_ms, key.valid_until_ms };
	memcpy(learn->public_key, key.public_key, sizeof(learn->public_key));
	pl_epoch_ack_find(epoch, &key, &header, &learn->seen);
	learn->apply = (struct pl_apply){ .node = entry->node, .lane = entry->lane, .seq = entry->seq, .dropped = learn_dropped,
	                                  .work = own ? own_work : learn_work, .done = own ? own_done : learn_done };
	pl_apply(epoch->applier, &learn->apply);
}

/* --- life --- */

static enum pl_err load_others(struct pl_epoch *epoch, sqlite3 *db)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT node, number, valid_from, valid_until, public FROM epoch_other"
	                                               " ORDER BY node, number");
	if (!statement)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
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
	pl_db_reset(statement);
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
	why[0] = '\0';
	enum pl_err err = pl_epoch_load_own(epoch, db, why, why_max);
	if (err == PL_OK)
		err = load_others(epoch, db);
	if (err == PL_OK)
		err = pl_epoch_ack_load(epoch, db);
	if (err != PL_OK) {
		if (err == PL_ERR_DECRYPT)
			snprintf(why, why_max, "the encryption keys do not open with this node's key: %s.epoch and the key file do not belong together; put the"
			         " one back that belongs to the other, or see OPERATING.md, \"Backups\"",
			         pl_core_conf(core)->store_file);
		else if (why[0] == '\0')
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
	pl_epoch_tick(epoch);
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
