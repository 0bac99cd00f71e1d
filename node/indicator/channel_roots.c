#include <sodium.h>
#include <string.h>

#include "crypto/keyfile.h"
#include "node/indicator/channel_impl.h"
#include "node/store/db.h"

#define SEALED_ROOT_BYTES (PL_CHANNEL_ROOT_BYTES + PL_COLUMN_OVERHEAD)
#define ROW_BYTES (2 + PL_CHANNEL_ID_BYTES)

static void row_of(uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES], uint8_t row[ROW_BYTES])
{
	row[0] = (uint8_t)(node >> 8);
	row[1] = (uint8_t)node;
	memcpy(row + 2, channel_id, PL_CHANNEL_ID_BYTES);
}

static uint32_t own_generation(const struct pl_channels *channels)
{
	return pl_core_charter(channels->core)->nodes[pl_core_self(channels->core)].certificate.generation;
}

enum pl_err pl_channels_insert_root(const struct pl_channels *channels, sqlite3 *db, uint16_t node,
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

enum pl_err pl_channels_open_root(const struct pl_channels *channels, sqlite3_stmt *statement, int column, uint16_t node,
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
		err = pl_channels_open_root(channels, select, 0, node, channel_id, root);
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
		err = pl_channels_open_root(channels, select, 1, pl_core_self(channels->core), ticket->channel_id, ticket->root);
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
		err = pl_channels_insert_root(channels, db, self, out->channel_id, last_number + 1, wall_ms, out->root, true);
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
