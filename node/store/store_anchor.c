/* The neighbours that are dialled first after a restart, by their node ids, so that they mean the same nodes whatever the charter. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/store/store_impl.h"

struct anchors {
	struct pl_job job;
	size_t count;
	uint8_t node_ids[PL_ANCHORS_MAX][PL_NODE_ID_BYTES];
};

static enum pl_err work(struct pl_job *job, sqlite3 *db)
{
	const struct anchors *anchors = job->ctx;
	sqlite3_stmt *s = pl_store_prepare(db, "DELETE FROM anchor");

	if (!s || sqlite3_step(s) != SQLITE_DONE)
		return pl_store_job_err(job, db);
	for (size_t i = 0; i < anchors->count; i++) {
		s = pl_store_prepare(db, "INSERT INTO anchor (node_id) VALUES (?1)");
		if (!s)
			return pl_store_job_err(job, db);
		sqlite3_reset(s);
		sqlite3_bind_blob(s, 1, anchors->node_ids[i], PL_NODE_ID_BYTES, SQLITE_STATIC);
		if (sqlite3_step(s) != SQLITE_DONE)
			return pl_store_job_err(job, db);
		sqlite3_reset(s);
	}
	return PL_OK;
}

static void done(struct pl_job *job)
{
	free(job->ctx);
}

enum pl_err pl_store_keep_anchors(struct pl_store *store, const uint8_t (*node_ids)[PL_NODE_ID_BYTES], size_t count)
{
	struct anchors *anchors = calloc(1, sizeof(*anchors));

	if (!anchors)
		return PL_ERR_MEMORY;
	anchors->job = (struct pl_job){.work = work, .done = done, .ctx = anchors, .writes = true};
	anchors->count = count < PL_ANCHORS_MAX ? count : PL_ANCHORS_MAX;
	memcpy(anchors->node_ids, node_ids, anchors->count * PL_NODE_ID_BYTES);
	pl_store_run(store, &anchors->job);
	return PL_OK;
}

enum pl_err pl_store_each_anchor(struct pl_store *store, void (*each)(void *ctx, const uint8_t node_id[PL_NODE_ID_BYTES]), void *ctx)
{
	sqlite3_stmt *s = pl_store_prepare(store->db, "SELECT node_id FROM anchor");
	enum pl_err err = s ? PL_OK : pl_store_sql_err(store->db);

	assert(!store->is_started);
	while (pl_sql_next_row(store, s, &err)) {
		if (sqlite3_column_bytes(s, 0) != PL_NODE_ID_BYTES)
			err = PL_ERR_CORRUPT;
		else
			each(ctx, sqlite3_column_blob(s, 0));
	}
	return err;
}
