#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

/* Messages that are to go to some nodes by themselves, one entry at a time, in this order, and in each kind what is most urgent first:
 *
 *  - whose envelopes were not all sent when the daemon ended, or the store was full (unfinished is 1). Which nodes got one is not on record,
 *    so it goes once more to all of which nothing has come: a message that comes twice is shown once. Nodes without a current key are noted;
 *  - to nodes noted so, as soon as there is a key;
 *  - to nodes that said that they cannot open it. They may be lying, and what they cause is sent to everybody: so it leaves the half of the
 *    quota alone, and each member has a budget, of which FLASH has its own so that it does not wait for what is less urgent.
 */

#define AGAIN_EVERY_MS 60000 /* for each member, after the first AGAIN_BURST */
#define AGAIN_BURST 4

/* What shares a quota, most urgent first. */
static const struct {
	uint8_t lane, flags, lowest, highest; /* precedence */
} classes[] = { { 0, PL_FLAG_FLASH, PL_FLASH, PL_FLASH }, { 0, 0, PL_IMMEDIATE, PL_IMMEDIATE }, { 1, 0, PL_ROUTINE, PL_PRIORITY } };
#define CLASSES_COUNT (sizeof(classes) / sizeof(classes[0]))

struct resume {
	struct pl_job job;
	struct pl_hotline *hotline;
	uint64_t wall_ms;
	bool has_key[PL_NODES_MAX], has_budget[2][PL_NODES_MAX]; /* [1]: for FLASH */
	bool within_quota[CLASSES_COUNT], half_left[CLASSES_COUNT];

	enum { NOTHING, UNFINISHED, AGAIN, TOO_OLD } found;
	bool waits; /* something is left for which it is too early */
	uint64_t n;
	uint8_t precedence;
	uint16_t old_node; /* TOO_OLD: whose rows are to be looked through */
	struct pl_message_row row;
	unsigned envelopes;
	size_t nodes_count;
	uint16_t nodes[PL_NODES_MAX];
	bool has_failed[PL_NODES_MAX]; /* of nodes */
	struct pl_sending *sending;
};

/* --- what comes next. Worker thread --- */

static enum pl_err find_unfinished(struct resume *resume, sqlite3 *db)
{
	/* The +: by the index of what is unfinished, which is next to nothing, not by that of precedence. */
	sqlite3_stmt *messages = pl_store_prepare(db, "SELECT n, precedence FROM hotline_message WHERE unfinished > 0"
	                                              " ORDER BY +precedence DESC, n");
	sqlite3_stmt *nodes = pl_store_prepare(db, "SELECT node FROM hotline_recipient WHERE message = ?1 AND state = 0");
	if (!messages || !nodes)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	while (resume->found == NOTHING && pl_db_step(messages, &err) == 1) {
		resume->n = pl_db_u64(messages, 0);
		resume->precedence = (uint8_t)sqlite3_column_int(messages, 1);
		for (size_t i = 0; i < CLASSES_COUNT; i++)
			if (resume->precedence >= classes[i].lowest && resume->precedence <= classes[i].highest && resume->within_quota[i])
				resume->found = UNFINISHED;
		resume->waits |= resume->found == NOTHING;
	}
	pl_db_reset(messages);
	if (err != PL_OK || resume->found == NOTHING)
		return err;
	pl_db_bind_u64(nodes, 1, resume->n);
	while (resume->nodes_count < PL_NODES_MAX && pl_db_step(nodes, &err) == 1)
		resume->nodes[resume->nodes_count++] = (uint16_t)sqlite3_column_int(nodes, 0);
	pl_db_reset(nodes);
	return err;
}

static bool may_go(const struct resume *resume, uint16_t node, bool is_flash, bool has_failed)
{
	return node != resume->hotline->self && resume->has_key[node] && (!has_failed || resume->has_budget[is_flash][node]);
}

/* Of one class and all nodes, the most urgent and then the oldest message. */
static enum pl_err find_again_in(struct resume *resume, sqlite3 *db, size_t class, bool has_failed)
{
	/* A due time that is further off than it is ever set was set before the clock was put back. */
	sqlite3_stmt *first = pl_store_prepare(db, "SELECT precedence, message FROM hotline_again WHERE node = ?1"
	                                           " AND precedence BETWEEN ?2 AND ?3 AND (due > 0) = ?4 AND (due <= ?5 OR due > ?5 + ?6)"
	                                           " ORDER BY precedence DESC, message LIMIT 1");
	if (!first)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	for (uint16_t node = 0; err == PL_OK && node < resume->hotline->charter->nodes_count; node++) {
		if (!may_go(resume, node, classes[class].flags & PL_FLAG_FLASH, has_failed))
			continue;
		sqlite3_bind_int(first, 1, node);
		sqlite3_bind_int(first, 2, classes[class].lowest);
		sqlite3_bind_int(first, 3, classes[class].highest);
		sqlite3_bind_int(first, 4, has_failed);
		pl_db_bind_u64(first, 5, resume->wall_ms);
		pl_db_bind_u64(first, 6, PL_AGAIN_DELAY_MS);
		if (pl_db_step(first, &err) == 1) {
			uint8_t precedence = (uint8_t)sqlite3_column_int(first, 0);
			uint64_t n = pl_db_u64(first, 1);
			if (resume->found == NOTHING || precedence > resume->precedence || (precedence == resume->precedence && n < resume->n)) {
				resume->found = AGAIN;
				resume->precedence = precedence;
				resume->n = n;
				resume->old_node = node;
			}
		}
		pl_db_reset(first);
	}
	return err;
}

/* The nodes to which one entry with the message goes now: whoever has failed it meanwhile is among them. */
static enum pl_err take_nodes(struct resume *resume, sqlite3 *db)
{
	sqlite3_stmt *look = pl_store_prepare(db, "SELECT due > 0 FROM hotline_again WHERE node = ?1 AND precedence = ?2 AND message = ?3");
	if (!look)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	for (uint16_t node = 0; err == PL_OK && node < resume->hotline->charter->nodes_count; node++) {
		sqlite3_bind_int(look, 1, node);
		sqlite3_bind_int(look, 2, resume->precedence);
		pl_db_bind_u64(look, 3, resume->n);
		const bool has = pl_db_step(look, &err) == 1, has_failed = has && sqlite3_column_int(look, 0) != 0;
		pl_db_reset(look);
		if (!has || !may_go(resume, node, resume->precedence == PL_FLASH, has_failed) || resume->nodes_count == PL_SLOTS_FOR_OTHERS)
			continue;
		resume->has_failed[resume->nodes_count] = has_failed;
		resume->nodes[resume->nodes_count++] = node;
	}
	return err;
}

static enum pl_err find_again(struct resume *resume, sqlite3 *db)
{
	sqlite3_stmt *any = pl_store_prepare(db, "SELECT 1 FROM hotline_again LIMIT 1");
	sqlite3_stmt *held = pl_store_prepare(db, "SELECT hotline_again.node, sent <= ?1 FROM hotline_again"
	                                          " JOIN hotline_message ON n = message WHERE due > 0 ORDER BY sent LIMIT 1");
	sqlite3_stmt *sent = pl_store_prepare(db, "SELECT sent FROM hotline_message WHERE n = ?1");
	if (!any || !held || !sent)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	const bool is_empty = pl_db_step(any, &err) != 1;
	pl_db_reset(any);
	bool has_failed = false;
	for (int failed = 0; !is_empty && resume->found == NOTHING && failed < 2; failed++) {
		has_failed = failed == 1;
		for (size_t class = 0; err == PL_OK && resume->found == NOTHING && class < CLASSES_COUNT; class++)
			if (has_failed ? resume->half_left[class] : resume->within_quota[class])
				err = find_again_in(resume, db, class, has_failed);
	}
	if (err != PL_OK || is_empty)
		return err;
	if (resume->found == NOTHING) {
		pl_db_bind_u64(held, 1, resume->wall_ms > PL_AGAIN_AGE_MS_MAX ? resume->wall_ms - PL_AGAIN_AGE_MS_MAX : 0);
		if (pl_db_step(held, &err) == 1) {
			resume->waits = true;
			resume->old_node = (uint16_t)sqlite3_column_int(held, 0);
			resume->found = sqlite3_column_int(held, 1) ? TOO_OLD : NOTHING;
		}
		pl_db_reset(held);
		return err;
	}
	pl_db_bind_u64(sent, 1, resume->n);
	const bool is_here = pl_db_step(sent, &err) == 1;
	const uint64_t sent_ms = is_here ? pl_db_u64(sent, 0) : 0;
	pl_db_reset(sent);
	if (err == PL_OK && has_failed && sent_ms + PL_AGAIN_AGE_MS_MAX <= resume->wall_ms) {
		resume->found = TOO_OLD;
		return PL_OK;
	}
	return err == PL_OK ? take_nodes(resume, db) : err;
}

static enum pl_err find_work(struct pl_job *job, sqlite3 *db)
{
	struct resume *resume = job->ctx;
	enum pl_err err = find_unfinished(resume, db);
	if (err == PL_OK && resume->found == NOTHING)
		err = find_again(resume, db);
	if (err != PL_OK || resume->found == NOTHING || resume->found == TOO_OLD)
		return err;
	sqlite3_stmt *last = pl_store_prepare(db, "SELECT max(envelope) FROM hotline_copy WHERE message = ?1");
	if (!last)
		return pl_store_job_err(job, db);
	pl_db_bind_u64(last, 1, resume->n);
	if (pl_db_step(last, &err) == 1)
		resume->envelopes = 1 + (unsigned)sqlite3_column_int(last, 0);
	pl_db_reset(last);
	return err != PL_OK ? err : pl_message_load(resume->hotline, db, resume->n, &resume->row);
}

/* Of an unfinished message: the nodes that it cannot go to now. If there are no others, that is all. */
static enum pl_err note_work(struct pl_job *job, sqlite3 *db)
{
	const struct resume *resume = job->ctx;
	sqlite3_stmt *note = pl_store_prepare(db, "INSERT OR IGNORE INTO hotline_again (node, precedence, message, due) VALUES (?1, ?2, ?3, 0)");
	sqlite3_stmt *finish = pl_store_prepare(db, "UPDATE hotline_message SET unfinished = 0 WHERE n = ?1");
	if (!note || !finish)
		return pl_store_job_err(job, db);
	enum pl_err err = PL_OK;
	for (size_t i = 0; err == PL_OK && i < resume->nodes_count; i++) {
		if (resume->has_key[resume->nodes[i]])
			continue;
		sqlite3_bind_int(note, 1, resume->nodes[i]);
		sqlite3_bind_int(note, 2, resume->precedence);
		pl_db_bind_u64(note, 3, resume->n);
		err = pl_db_run(note);
	}
	pl_db_bind_u64(finish, 1, resume->n);
	return err == PL_OK && !resume->sending ? pl_db_run(finish) : err;
}

/* What failed too long ago for this node, in one go. */
static enum pl_err forget_work(struct pl_job *job, sqlite3 *db)
{
	const struct resume *resume = job->ctx;
	sqlite3_stmt *forget = pl_store_prepare(db, "DELETE FROM hotline_again WHERE node = ?1 AND due > 0 AND NOT EXISTS"
	                                            " (SELECT 1 FROM hotline_message WHERE n = message AND sent > ?2)");
	if (!forget)
		return pl_store_job_err(job, db);
	sqlite3_bind_int(forget, 1, resume->old_node);
	pl_db_bind_u64(forget, 2, resume->wall_ms - PL_AGAIN_AGE_MS_MAX);
	return pl_db_run(forget);
}

/* --- going on. Loop thread --- */

static void end(struct resume *resume)
{
	struct pl_hotline *hotline = resume->hotline;
	hotline->resuming = false;
	free(resume->sending);
	pl_message_row_wipe(&resume->row);
	free(resume);
	if (hotline->resume_wanted)
		pl_hotline_resume(hotline);
}

static void on_timer(uv_timer_t *timer)
{
	pl_hotline_resume(timer->data);
}

void pl_hotline_resume_later(struct pl_hotline *hotline)
{
	if (!hotline->stopped && !uv_is_active((uv_handle_t *)&hotline->resume_timer))
		uv_timer_start(&hotline->resume_timer, on_timer, PL_AGAIN_DELAY_MS + 1, 0);
}

/* The message now belongs to its sending. */
static void go_on(struct resume *resume)
{
	struct pl_hotline *hotline = resume->hotline;
	struct pl_sending *sending = resume->sending;
	sending->hotline = hotline;
	sending->row = resume->row;
	sending->message = resume->row.message;
	sending->lane = resume->row.lane;
	sending->flags = sending->message.precedence == PL_FLASH ? PL_FLAG_FLASH : 0;
	sending->envelope = resume->envelopes;
	sending->is_resumed = true;
	sending->is_again = resume->found == AGAIN;
	sending->next = hotline->sendings;
	hotline->sendings = sending;
	resume->sending = NULL;
	resume->row = (struct pl_message_row){ .n = 0 };
	PL_LOG(PL_LOG_INFO, "hotline", sending->is_again ? "a message goes once more to nodes that could not open it, or had no key" :
	                                                   "going on with a message that had not gone to all its recipients",
	       PL_F_U64("nodes", sending->nodes_count));
	hotline->resume_wanted = true; /* when this one is done */
	end(resume);
	pl_sending_next(sending);
}

static void note_done(struct pl_job *job)
{
	struct resume *resume = job->ctx;
	struct pl_hotline *hotline = resume->hotline;
	if (job->err == PL_OK && resume->sending && !hotline->stopped) {
		go_on(resume);
		return;
	}
	if (job->err == PL_OK)
		hotline->resume_wanted = true;
	else
		pl_hotline_resume_later(hotline);
	end(resume);
}

static void run_writing(struct resume *resume, enum pl_err (*work)(struct pl_job *job, sqlite3 *db))
{
	resume->job.work = work;
	resume->job.done = note_done;
	resume->job.writes = true;
	pl_store_run(resume->hotline->store, &resume->job);
}

static void spend(struct resume *resume)
{
	struct pl_hotline *hotline = resume->hotline;
	const uint64_t now_ms = pl_core_now_ms(hotline->core);
	int last = -1; /* a member's nodes stand together */
	for (size_t i = 0; i < resume->nodes_count; i++) {
		int member = hotline->charter->nodes[resume->nodes[i]].member;
		uint64_t *spent_ms = &hotline->again_spent_ms[resume->precedence == PL_FLASH][member];
		if (!resume->has_failed[i] || member == last)
			continue;
		*spent_ms = (*spent_ms > now_ms ? *spent_ms : now_ms) + AGAIN_EVERY_MS;
		last = member;
	}
}

static void find_done(struct pl_job *job)
{
	struct resume *resume = job->ctx;
	struct pl_hotline *hotline = resume->hotline;
	if (job->err != PL_OK || resume->found == NOTHING || hotline->stopped) {
		if (job->err != PL_OK || resume->waits)
			pl_hotline_resume_later(hotline);
		end(resume);
		return;
	}
	if (resume->found == TOO_OLD) {
		run_writing(resume, forget_work);
		return;
	}
	/* Not beside others: one that is just being sent looks unfinished. */
	struct pl_sending *sending = hotline->sendings ? NULL : calloc(1, sizeof(*sending));
	if (!sending) {
		hotline->resume_wanted |= hotline->sendings != NULL;
		end(resume);
		return;
	}
	for (size_t i = 0; i < resume->nodes_count; i++)
		if (resume->nodes[i] != hotline->self && resume->has_key[resume->nodes[i]])
			sending->nodes[sending->nodes_count++] = resume->nodes[i];
	const bool has_all = sending->nodes_count == resume->nodes_count;
	if (sending->nodes_count > 0)
		resume->sending = sending;
	else
		free(sending);
	if (resume->found == AGAIN)
		spend(resume);
	if (has_all && resume->sending)
		go_on(resume);
	else
		run_writing(resume, note_work);
}

void pl_hotline_resume(struct pl_hotline *hotline)
{
	hotline->resume_wanted = !hotline->stopped && (hotline->resuming || hotline->sendings);
	struct resume *resume = hotline->resume_wanted || hotline->stopped ? NULL : calloc(1, sizeof(*resume));
	if (!resume)
		return;
	const uint64_t now_ms = pl_core_now_ms(hotline->core);
	hotline->resuming = true;
	resume->hotline = hotline;
	resume->wall_ms = pl_core_wall_ms(hotline->core);
	for (uint16_t node = 0; node < hotline->charter->nodes_count; node++) {
		resume->has_key[node] = pl_epoch_current(hotline->epoch, node, NULL);
		for (int flash = 0; flash < 2; flash++)
			resume->has_budget[flash][node] = hotline->again_spent_ms[flash][hotline->charter->nodes[node].member] <=
			                                  now_ms + (AGAIN_BURST - 1) * AGAIN_EVERY_MS;
	}
	for (size_t i = 0; i < CLASSES_COUNT; i++) {
		resume->within_quota[i] = pl_core_quota_wait_ms(hotline->core, classes[i].lane, classes[i].flags, 0) == 0;
		resume->half_left[i] = pl_core_quota_is_half_left(hotline->core, classes[i].lane, classes[i].flags);
	}
	resume->job = (struct pl_job){ .work = find_work, .done = find_done, .ctx = resume };
	pl_store_run(hotline->store, &resume->job);
}
