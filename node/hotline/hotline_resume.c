#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

/* A message whose envelopes were not all sent when the daemon ended, or the store was full (unfinished is 1), or that a node could not open
 * (2). Which nodes got one is not on record, so it goes once more to all that have not confirmed it: a message that comes twice is shown
 * once. */
struct resume {
	struct pl_job job;
	struct pl_hotline *hotline;
	uint64_t n; /* 0: there is none */
	struct pl_message_row row;
	unsigned envelopes;
	size_t nodes_count;
	uint16_t nodes[PL_NODES_MAX];
};

static enum pl_err find_work(struct pl_job *job, sqlite3 *db)
{
	struct resume *resume = job->ctx;
	sqlite3_stmt *first = pl_store_prepare(db, "SELECT n, unfinished FROM hotline_message WHERE unfinished > 0 ORDER BY n LIMIT 1");
	sqlite3_stmt *last = pl_store_prepare(db, "SELECT max(envelope) FROM hotline_copy WHERE message = ?1");
	sqlite3_stmt *nodes = pl_store_prepare(db, "SELECT node FROM hotline_recipient WHERE message = ?1 AND (state = 5 OR (state = 0"
	                                           " AND ?2 = 1))");
	if (!first || !last || !nodes)
		return pl_store_job_err(job, db);
	enum pl_err err = PL_OK;
	int unfinished = 0;
	if (pl_db_step(first, &err) == 1) {
		resume->n = pl_db_u64(first, 0);
		unfinished = sqlite3_column_int(first, 1);
	}
	pl_db_reset(first);
	if (err != PL_OK || resume->n == 0)
		return err;
	pl_db_bind_u64(last, 1, resume->n);
	if (pl_db_step(last, &err) == 1)
		resume->envelopes = 1 + (unsigned)sqlite3_column_int(last, 0);
	pl_db_reset(last);
	pl_db_bind_u64(nodes, 1, resume->n);
	sqlite3_bind_int(nodes, 2, unfinished);
	while (err == PL_OK && resume->nodes_count < PL_NODES_MAX && pl_db_step(nodes, &err) == 1)
		resume->nodes[resume->nodes_count++] = (uint16_t)sqlite3_column_int(nodes, 0);
	pl_db_reset(nodes);
	return err != PL_OK ? err : pl_message_load(resume->hotline, db, resume->n, &resume->row);
}

static enum pl_err finish_work(struct pl_job *job, sqlite3 *db)
{
	const struct resume *resume = job->ctx;
	sqlite3_stmt *statement = pl_store_prepare(db, "UPDATE hotline_message SET unfinished = 0 WHERE n = ?1");
	if (!statement)
		return pl_store_job_err(job, db);
	pl_db_bind_u64(statement, 1, resume->n);
	return pl_db_run(statement);
}

static void finish_done(struct pl_job *job)
{
	struct resume *resume = job->ctx;
	resume->hotline->resuming = false;
	free(resume);
}

static void find_done(struct pl_job *job)
{
	struct resume *resume = job->ctx;
	struct pl_hotline *hotline = resume->hotline;
	struct pl_sending *sending = NULL;
	if (job->err == PL_OK && resume->n != 0 && !hotline->stopped && !hotline->sendings)
		sending = calloc(1, sizeof(*sending));
	if (!sending) {
		pl_message_row_wipe(&resume->row);
		finish_done(job);
		return;
	}
	for (size_t i = 0; i < resume->nodes_count; i++)
		if (resume->nodes[i] != hotline->self && pl_epoch_current(hotline->epoch, resume->nodes[i], NULL))
			sending->nodes[sending->nodes_count++] = resume->nodes[i];
	if (sending->nodes_count == 0) { /* all have it, or nobody can be reached by a key: then receipts, or their lack, say so */
		free(sending);
		pl_message_row_wipe(&resume->row);
		job->work = finish_work;
		job->done = finish_done;
		job->writes = true;
		pl_store_run(hotline->store, job);
		return;
	}
	sending->hotline = hotline;
	sending->row = resume->row;
	sending->message = resume->row.message;
	sending->lane = resume->row.lane;
	sending->flags = sending->message.precedence == PL_FLASH ? PL_FLAG_FLASH : 0;
	sending->envelope = resume->envelopes;
	sending->next = hotline->sendings;
	hotline->sendings = sending;
	PL_LOG(PL_LOG_INFO, "hotline", "going on with a message that had not gone to all its recipients",
	       PL_F_U64("nodes", sending->nodes_count));
	finish_done(job);
	pl_sending_next(sending);
}

void pl_hotline_resume(struct pl_hotline *hotline)
{
	struct resume *resume = hotline->resuming || hotline->sendings || hotline->stopped ? NULL : calloc(1, sizeof(*resume));
	if (!resume)
		return;
	hotline->resuming = true;
	resume->hotline = hotline;
	resume->job = (struct pl_job){ .work = find_work, .done = find_done, .ctx = resume };
	pl_store_run(hotline->store, &resume->job);
}
