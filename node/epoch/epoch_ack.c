/* Acknowledgements of encryption keys: what this node promises of the keys of others, and what others' promises allow it to wipe. */
#include <string.h>

#include "node/store/db.h"
#include "node/epoch/epoch_impl.h"
#include "node/log.h"

/* --- as an author --- */

void pl_epoch_ack_raise(struct pl_epoch *epoch, uint64_t acked[PL_NODES_MAX])
{
	uint64_t wall_ms = pl_core_wall_ms(epoch->core);
	for (uint16_t node = 0; node < PL_NODES_MAX; node++) {
		const struct pl_other_keys *others = epoch->others[node];
		uint64_t newest = 0;
		for (size_t i = 0; others && newest == 0 && i < others->count; i++)
			if (others->keys[i].info.valid_from_ms <= wall_ms + PL_CLOCK_SKEW_FLAG_MS)
				newest = others->keys[i].info.number;
		/* CRYPTO: "While something is being sealed to an older key and is not in the feed yet, that older key is the one acknowledged." */
		uint64_t sealing = pl_epoch_sealing(epoch, node);
		if (newest > sealing)
			newest = sealing;
		if (newest > epoch->floors[node])
			epoch->floors[node] = newest;
		acked[node] = epoch->floors[node];
	}
}

enum pl_err pl_epoch_ack_record(sqlite3 *db, const uint64_t acked[PL_NODES_MAX])
{
	sqlite3_stmt *statement = pl_store_prepare(db, "INSERT OR REPLACE INTO epoch_floor (node, number) VALUES (?1, ?2)");
	if (!statement)
		return pl_store_sql_err(db);
	for (uint16_t node = 0; node < PL_NODES_MAX; node++) {
		if (acked[node] == 0)
			continue;
		sqlite3_bind_int(statement, 1, node);
		pl_db_bind_u64(statement, 2, acked[node]);
		enum pl_err err = pl_db_run(statement);
		if (err != PL_OK)
			return err;
	}
	return PL_OK;
}

void pl_epoch_ack_fill(const struct pl_epoch *epoch, struct pl_epoch_key *key)
{
	uint16_t self = pl_core_self(epoch->core);
	key->acks_count = 0;
	for (uint16_t node = 0; node < PL_NODES_MAX; node++) {
		uint64_t number = epoch->acked[node];
		if (node == self) {
			uint64_t sealing = pl_epoch_sealing(epoch, self);
			number = key->number < sealing ? key->number : sealing;
		}
		if (number > 0)
			key->acks[key->acks_count++] = (struct pl_epoch_ack){ node, number };
	}
}

/* --- as an owner --- */

/* CRYPTO: "An acknowledgement counts once its author's lanes have been applied here up to the heads that the header of its entry names."
 * Lane 0 has been: its entries are applied in order, and the acknowledgement is in one. */
#define COUNTS(ack) \
	ack ".lane1 <= coalesce((SELECT seq FROM applied WHERE node = " ack ".node AND lane = 1), 0) AND " \
	ack ".lane2 <= coalesce((SELECT seq FROM applied WHERE node = " ack ".node AND lane = 2), 0)"

void pl_epoch_ack_find(const struct pl_epoch *epoch, const struct pl_epoch_key *key, const struct pl_header *header,
                       struct pl_ack_seen *out)
{
	uint16_t self = pl_core_self(epoch->core);
	*out = (struct pl_ack_seen){ .number = 0 };
	for (uint16_t i = 0; i < key->acks_count; i++)
		if (key->acks[i].node == self)
			out->number = key->acks[i].number;
	/* CRYPTO: "An acknowledgement of a key that its owner has not made does not count." */
	if (out->number > epoch->last_number) {
		out->number = 0;
		out->fault = "this node has made no such key";
	}
	/* Lane 0 is where epoch keys stand, so these are lanes 1 and 2. SQL compares with a sign. */
	for (int i = 0; i < 2; i++)
		out->heads[i] = header->others[i].seq <= INT64_MAX ? header->others[i].seq : INT64_MAX;
}

enum pl_err pl_epoch_ack_keep(struct pl_ack_seen *seen, uint16_t node, sqlite3 *db)
{
	if (seen->number == 0)
		return PL_OK;
	sqlite3_stmt *last = pl_store_prepare(db, "SELECT max(number) FROM epoch_ack WHERE node = ?1");
	sqlite3_stmt *insert = pl_store_prepare(db, "INSERT INTO epoch_ack (node, number, lane1, lane2) VALUES (?1, ?2, ?3, ?4)");
	/* Those before the newest that counts have served. */
	sqlite3_stmt *prune = pl_store_prepare(db, "DELETE FROM epoch_ack WHERE node = ?1 AND number < (SELECT max(number) FROM epoch_ack AS a"
	                                           " WHERE a.node = ?1 AND " COUNTS("a") ")");
	if (!last || !insert || !prune)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	uint64_t last_number = 0;
	sqlite3_bind_int(last, 1, node);
	if (pl_db_step(last, &err) == 1)
		last_number = pl_db_u64(last, 0);
	pl_db_reset(last);
	if (err != PL_OK)
		return err;
	/* CRYPTO: "Of one author the highest acknowledgement counts; one that comes after it and is lower does not." */
	if (seen->number <= last_number) {
		seen->fault = seen->number < last_number ? "it has acknowledged a newer one before" : NULL;
		return PL_OK;
	}
	sqlite3_bind_int(insert, 1, node);
	pl_db_bind_u64(insert, 2, seen->number);
	pl_db_bind_u64(insert, 3, seen->heads[0]);
	pl_db_bind_u64(insert, 4, seen->heads[1]);
	err = pl_db_run(insert);
	if (err != PL_OK)
		return err;
	sqlite3_bind_int(prune, 1, node);
	return pl_db_run(prune);
}

/* What allows to wipe no key that is left has served too, and what a hostile author never lets count goes in the end. */
enum pl_err pl_epoch_ack_prune(sqlite3 *db)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "DELETE FROM epoch_ack WHERE number <= (SELECT min(number) FROM epoch_own"
	                                               " WHERE public IS NOT NULL)");
	return statement ? pl_db_run(statement) : pl_store_sql_err(db);
}

static enum pl_err check_work(struct pl_job *job, sqlite3 *db)
{
	struct pl_epoch *epoch = job->ctx;
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT count(*), min(number) FROM (SELECT max(number) AS number FROM epoch_ack AS a"
	                                               " WHERE " COUNTS("a") " GROUP BY node)");
	if (!statement)
		return pl_store_job_err(job, db);
	enum pl_err err = PL_OK;
	epoch->check_number = 0;
	/* CRYPTO: "A secret is wiped as soon as acknowledgements of newer keys of its owner count by every node of the charter, the owner
	 * included." */
	if (pl_db_step(statement, &err) == 1 && pl_db_u64(statement, 0) == pl_core_charter(epoch->core)->nodes_count)
		epoch->check_number = pl_db_u64(statement, 1);
	pl_db_reset(statement);
	return err;
}

/* CRYPTO: "What decides is what the store has committed." The job reads, and wiping is another one: this comes after the commit of whatever
 * the job may have seen. */
static void check_done(struct pl_job *job)
{
	struct pl_epoch *epoch = job->ctx;
	epoch->checking = false;
	if (job->err != PL_OK || epoch->stopped || epoch->check_number <= epoch->settled)
		return;
	epoch->settled = epoch->check_number;
	pl_epoch_wipe_due(epoch);
}

void pl_epoch_ack_check(struct pl_epoch *epoch)
{
	if (epoch->checking || epoch->own_count < 2)
		return;
	epoch->checking = true;
	epoch->check = (struct pl_job){ .work = check_work, .done = check_done, .ctx = epoch };
	pl_store_run(pl_core_store(epoch->core), &epoch->check);
}

/* --- at start --- */

enum pl_err pl_epoch_ack_load(struct pl_epoch *epoch, sqlite3 *db)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT node, number FROM epoch_floor");
	if (!statement)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	while (err == PL_OK && pl_db_step(statement, &err) == 1) {
		int node = sqlite3_column_int(statement, 0);
		if (node < 0 || node >= PL_NODES_MAX)
			err = PL_ERR_CORRUPT;
		else
			epoch->floors[node] = epoch->acked[node] = pl_db_u64(statement, 1);
	}
	pl_db_reset(statement);
	return err;
}
