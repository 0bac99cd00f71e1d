/* An entry that has come from elsewhere in the place of one that the disk has changed. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/store/store_impl.h"

struct repair {
	struct pl_job job;
	struct pl_store *store;
	struct pl_store_entry entry;
	bool was_right;
	uint8_t body[];
};

static enum pl_err replace(struct pl_job *job, sqlite3 *db)
{
	struct repair *repair = job->ctx;

	/* It may have come twice: damage that was found before the first was written is reported after it. */
	repair->was_right = pl_sql_has_entry(db, &repair->entry);
	return repair->was_right ? PL_OK : pl_sql_replace_entry(db, &repair->entry);
}

static void replaced(struct pl_job *job)
{
	struct repair *repair = job->ctx;
	struct pl_store *store = repair->store;

	if (!job->err) {
		uv_mutex_lock(&store->mutex);
		store->stats.repaired += !repair->was_right;
		uv_mutex_unlock(&store->mutex);
		if (store->callbacks.repaired)
			store->callbacks.repaired(store->callbacks.ctx, repair->entry.node, repair->entry.lane, repair->entry.seq);
	}
	free(repair);
}

/* What would be taken for damage when it is read is not written. */
static bool is_intact(const struct pl_store *store, const struct pl_store_entry *entry)
{
	uint8_t hash[PL_ID_BYTES];

	pl_entry_id(store->network_id, entry->header, hash);
	if (memcmp(hash, entry->id, PL_ID_BYTES) != 0)
		return false;
	pl_body_hash(entry->body, entry->body_bytes, hash);
	return memcmp(hash, pl_header_body_hash(entry->header), PL_ID_BYTES) == 0;
}

enum pl_err pl_store_repair(struct pl_store *store, const struct pl_store_entry *entry)
{
	struct repair *repair;

	assert(entry->node < PL_NODES_MAX && entry->lane < PL_LANES && entry->body_bytes <= PL_BODY_BYTES_MAX);
	if (entry->seq == 0 || entry->seq > store->head[entry->node][entry->lane] || !is_intact(store, entry))
		return PL_ERR_REFUSED;
	repair = calloc(1, sizeof(*repair) + entry->body_bytes);
	if (!repair)
		return PL_ERR_MEMORY;
	repair->job = (struct pl_job){.work = replace, .done = replaced, .ctx = repair, .writes = true};
	repair->store = store;
	repair->entry = *entry;
	repair->entry.body = repair->body;
	if (entry->body_bytes)
		memcpy(repair->body, entry->body, entry->body_bytes);
	pl_store_run(store, &repair->job);
	return PL_OK;
}
