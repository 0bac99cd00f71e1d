#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

#define COALESCE_MS 5          /* receipts for one author wait for each other so long, unless a FLASH is among them */
#define BUSY_RETRY_MS 1000
#define RETRY_MS 10000

void pl_receipt_row(const uint8_t entry_id[PL_ID_BYTES], uint16_t node, uint8_t type, uint8_t row[PL_RECEIPT_ROW_BYTES])
{
	memcpy(row, entry_id, PL_ID_BYTES);
	row[PL_ID_BYTES] = (uint8_t)(node >> 8);
	row[PL_ID_BYTES + 1] = (uint8_t)node;
	row[PL_ID_BYTES + 2] = type;
}

const char *pl_receipt_state_name(unsigned state)
{
	if (state == PL_RECIPIENT_NO_KEY)
		return "no_key";
	return state == 0 ? "sent" : pl_receipt_name(state);
}

/* --- rows --- */

static void bind_message_id(sqlite3_stmt *statement, int index, const uint8_t *message_id)
{
	pl_db_bind_blob(statement, index, message_id ? message_id : (const uint8_t *)"", message_id ? PL_MESSAGE_ID_BYTES : 0);
}

enum pl_err pl_receipt_insert(const struct pl_hotline *hotline, sqlite3 *db, const struct pl_receipt_row *receipt)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "INSERT INTO hotline_receipt"
	                                               " (message_id, entry_id, node, to_node, type, time, received, seq,"
	                                               " operator, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
	if (!statement)
		return pl_store_sql_err(db);
	uint8_t row[PL_RECEIPT_ROW_BYTES];
	pl_receipt_row(receipt->entry_id, receipt->node, receipt->type, row);
	uint8_t *operator_name = pl_hotline_seal(hotline, "hotline_receipt", "operator", row, sizeof(row), receipt->operator_name.chars,
	                                         receipt->operator_name.bytes);
	uint8_t *reason = pl_hotline_seal(hotline, "hotline_receipt", "reason", row, sizeof(row), receipt->reason.chars, receipt->reason.bytes);
	enum pl_err err = operator_name && reason ? PL_OK : PL_ERR_MEMORY;
	if (err == PL_OK) {
		bind_message_id(statement, 1, receipt->message_id);
		pl_db_bind_blob(statement, 2, receipt->entry_id, PL_ID_BYTES);
		sqlite3_bind_int(statement, 3, receipt->node);
		sqlite3_bind_int(statement, 4, receipt->to_node);
		sqlite3_bind_int(statement, 5, receipt->type);
		pl_db_bind_u64(statement, 6, receipt->time_ms);
		pl_db_bind_u64(statement, 7, receipt->received_ms);
		pl_db_bind_u64(statement, 8, receipt->seq);
		pl_db_bind_blob(statement, 9, operator_name, receipt->operator_name.bytes + PL_COLUMN_OVERHEAD);
		pl_db_bind_blob(statement, 10, reason, receipt->reason.bytes + PL_COLUMN_OVERHEAD);
		err = pl_db_run(statement);
	}
	free(operator_name);
	free(reason);
	return err;
}

static struct pl_text text_of(const char *chars)
{
	return (struct pl_text){ chars ? chars : "", chars ? strlen(chars) : 0 };
}

enum pl_err pl_receipt_owe(const struct pl_hotline *hotline, sqlite3 *db, const struct pl_receipt_due *due)
{
	struct pl_receipt_row row = { .message_id = due->message_id, .entry_id = due->entry_id, .node = hotline->self, .to_node = due->to_node,
	                           .type = due->type, .time_ms = due->time_ms, .operator_name = text_of(due->operator_name),
	                           .reason = text_of(due->reason) };
	return pl_receipt_insert(hotline, db, &row);
}

enum pl_err pl_receipt_look(const struct pl_hotline *hotline, sqlite3 *db, struct pl_receipt_row *receipt, bool *exists,
                            size_t *count)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT type, entry_id, operator, time, seq FROM hotline_receipt WHERE message_id = ?1"
	                                               " AND node = ?2 AND to_node = ?3");
	if (!statement)
		return pl_store_sql_err(db);
	bind_message_id(statement, 1, receipt->message_id);
	sqlite3_bind_int(statement, 2, receipt->node);
	sqlite3_bind_int(statement, 3, receipt->to_node);
	enum pl_err err = PL_OK;
	*exists = false;
	*count = 0;
	while (err == PL_OK && pl_db_step(statement, &err) == 1) {
		++*count;
		if (sqlite3_column_int(statement, 0) != receipt->type)
			continue;
		uint8_t entry_id[PL_ID_BYTES], row[PL_RECEIPT_ROW_BYTES], *name = NULL;
		size_t name_bytes = 0;
		err = pl_db_take(statement, 1, entry_id, sizeof(entry_id));
		if (err != PL_OK)
			break;
		if (!receipt->message_id && memcmp(entry_id, receipt->entry_id, sizeof(entry_id)) != 0)
			continue;
		pl_receipt_row(entry_id, receipt->node, receipt->type, row);
		err = pl_hotline_open(hotline, "hotline_receipt", "operator", row, sizeof(row), statement, 2, &name, &name_bytes);
		if (err == PL_OK && name_bytes == receipt->operator_name.bytes &&
		    (name_bytes == 0 || memcmp(name, receipt->operator_name.chars, name_bytes) == 0)) {
			*exists = true;
			receipt->time_ms = pl_db_u64(statement, 3);
			receipt->seq = pl_db_u64(statement, 4);
		}
		pl_wipe_free(name, name_bytes);
	}
	pl_db_reset(statement);
	return err;
}

/* --- going out --- */

/* Receipts that are due to one author. The rows are the queue; this only says that there are some. */
struct pl_owed {
	struct pl_owed *next;
	struct pl_hotline *hotline;
	uint16_t author;
	bool urgent, running, again, no_key;
	uint64_t due_ms;
	struct pl_job job;
	struct pl_seal seal;
	uint8_t *plain;
	size_t plain_bytes;
	uint64_t seq; /* of the entry that carries them */
	size_t count;
	uint64_t rows[PL_RECEIPTS_PER_ENTRY_MAX];
	uint8_t *texts[PL_RECEIPTS_PER_ENTRY_MAX][2]; /* operator, reason */
	struct pl_receipt receipts[PL_RECEIPTS_PER_ENTRY_MAX];
};

static void run(struct pl_owed *owed);

static void on_owed(uv_timer_t *timer)
{
	struct pl_hotline *hotline = timer->data;
	uint64_t now_ms = uv_now(pl_core_loop(hotline->core)), next_ms = UINT64_MAX;
	for (struct pl_owed *owed = hotline->owed; owed; owed = owed->next)
		if (!owed->running && owed->due_ms <= now_ms)
			run(owed);
	for (struct pl_owed *owed = hotline->owed; owed; owed = owed->next)
		if (!owed->running && owed->due_ms < next_ms)
			next_ms = owed->due_ms;
	if (next_ms != UINT64_MAX)
		uv_timer_start(&hotline->owed_timer, on_owed, next_ms > now_ms ? next_ms - now_ms : 1, 0);
}

static void run_in(struct pl_owed *owed, uint64_t delay_ms)
{
	struct pl_hotline *hotline = owed->hotline;
	uint64_t now_ms = uv_now(pl_core_loop(hotline->core));
	owed->running = false;
	owed->due_ms = now_ms + delay_ms;
	if (hotline->stopped)
		return;
	uv_timer_t *timer = &hotline->owed_timer;
	if (!uv_is_active((uv_handle_t *)timer) || uv_timer_get_due_in(timer) > delay_ms)
		uv_timer_start(timer, on_owed, delay_ms, 0);
}

static void forget_texts(struct pl_owed *owed)
{
	for (size_t i = 0; i < owed->count; i++) {
		for (int k = 0; k < 2; k++) {
			if (owed->texts[i][k])
				pl_wipe_free(owed->texts[i][k], strlen((char *)owed->texts[i][k]));
			owed->texts[i][k] = NULL;
		}
	}
	pl_wipe_free(owed->plain, owed->plain_bytes);
	owed->plain = NULL;
}

static void unlink_owed(struct pl_owed *owed)
{
	struct pl_owed **link = &owed->hotline->owed;
	while (*link != owed)
		link = &(*link)->next;
	*link = owed->next;
	forget_texts(owed);
	free(owed);
}

static enum pl_err mark_work(struct pl_job *job, sqlite3 *db)
{
	const struct pl_owed *owed = job->ctx;
	sqlite3_stmt *statement = pl_store_prepare(db, "UPDATE hotline_receipt SET seq = ?2 WHERE n = ?1");
	if (!statement)
		return pl_store_job_err(job, db);
	for (size_t i = 0; i < owed->count; i++) {
		pl_db_bind_u64(statement, 1, owed->rows[i]);
		pl_db_bind_u64(statement, 2, owed->seq);
		enum pl_err err = pl_db_run(statement);
		if (err != PL_OK)
			return err;
	}
	return PL_OK;
}

static void mark_done(struct pl_job *job)
{
	struct pl_owed *owed = job->ctx;
	if (job->err != PL_OK) {
		forget_texts(owed);
		run_in(owed, RETRY_MS); /* sent twice then, which does no harm */
		return;
	}
	bool more = owed->again || owed->count == PL_RECEIPTS_PER_ENTRY_MAX;
	if (more && !owed->hotline->stopped) {
		owed->again = false;
		run(owed);
	} else {
		unlink_owed(owed);
	}
}

static void submitted(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	struct pl_owed *owed = ctx;
	if (err != PL_OK) {
		forget_texts(owed);
		run_in(owed, RETRY_MS);
		return;
	}
	owed->seq = entry->seq;
	owed->job = (struct pl_job){ .work = mark_work, .done = mark_done, .ctx = owed, .writes = true };
	pl_store_run(owed->hotline->store, &owed->job);
}

static void sealed(struct pl_seal *seal)
{
	struct pl_owed *owed = seal->ctx;
	enum pl_err err = seal->err;
	sodium_memzero(seal->cek, sizeof(seal->cek));
	if (err == PL_OK && owed->hotline->stopped)
		err = PL_ERR_STATE;
	if (err == PL_OK)
		err = pl_core_submit(owed->hotline->core, 1, PL_KIND_RECEIPTS, 0, seal->envelope, (uint32_t)seal->envelope_bytes, submitted, owed);
	free(seal->envelope);
	seal->envelope = NULL;
	if (err != PL_OK) {
		forget_texts(owed);
		run_in(owed, err == PL_ERR_QUOTA || err == PL_ERR_FULL ? BUSY_RETRY_MS : RETRY_MS);
	}
}

static enum pl_err read_work(struct pl_job *job, sqlite3 *db)
{
	struct pl_owed *owed = job->ctx;
	const struct pl_hotline *hotline = owed->hotline;
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT n, message_id, entry_id, type, time, operator, reason FROM hotline_receipt"
	                                               " WHERE to_node = ?1 AND seq = 0 ORDER BY n LIMIT ?2");
	if (!statement)
		return pl_store_job_err(job, db);
	sqlite3_bind_int(statement, 1, owed->author);
	sqlite3_bind_int(statement, 2, PL_RECEIPTS_PER_ENTRY_MAX);
	enum pl_err err = PL_OK;
	while (err == PL_OK && pl_db_step(statement, &err) == 1) {
		size_t i = owed->count++;
		struct pl_receipt *receipt = &owed->receipts[i];
		*receipt = (struct pl_receipt){ .type = (uint8_t)sqlite3_column_int(statement, 3), .time_ms = pl_db_u64(statement, 4) };
		owed->rows[i] = pl_db_u64(statement, 0);
		if (receipt->type != PL_RECEIPT_FAILED)
			err = pl_db_take(statement, 1, receipt->message_id, sizeof(receipt->message_id));
		if (err == PL_OK)
			err = pl_db_take(statement, 2, receipt->entry_id, sizeof(receipt->entry_id));
		uint8_t row[PL_RECEIPT_ROW_BYTES];
		pl_receipt_row(receipt->entry_id, hotline->self, receipt->type, row);
		if (err == PL_OK)
			err = pl_hotline_open(hotline, "hotline_receipt", "operator", row, sizeof(row), statement, 5, &owed->texts[i][0],
			                      &receipt->operator_name.bytes);
		if (err == PL_OK)
			err = pl_hotline_open(hotline, "hotline_receipt", "reason", row, sizeof(row), statement, 6, &owed->texts[i][1],
			                      &receipt->reason.bytes);
		receipt->operator_name.chars = (const char *)owed->texts[i][0];
		receipt->reason.chars = (const char *)owed->texts[i][1];
	}
	return err;
}

static void read_done(struct pl_job *job)
{
	struct pl_owed *owed = job->ctx;
	const struct pl_hotline *hotline = owed->hotline;
	if (job->err == PL_OK && owed->count == 0) {
		if (owed->again && !hotline->stopped) {
			owed->again = false;
			run(owed);
		} else {
			unlink_owed(owed);
		}
		return;
	}
	const size_t plain_max = PL_PLAINTEXT_BYTES_MAX;
	owed->seal = (struct pl_seal){ .kind = PL_KIND_RECEIPTS, .urgent = owed->urgent, .done = sealed, .ctx = owed };
	enum pl_err err = job->err;
	if (err == PL_OK && !(owed->plain = malloc(plain_max)))
		err = PL_ERR_MEMORY;
	if (err == PL_OK)
		err = pl_receipts_write(owed->receipts, owed->count, owed->plain, plain_max, &owed->plain_bytes);
	const struct pl_member *member = &hotline->charter->members[hotline->charter->nodes[owed->author].member];
	for (uint16_t i = 0; i < member->nodes_count; i++) {
		uint16_t node = (uint16_t)(member->first_node + i);
		if (node != hotline->self && pl_epoch_current(hotline->epoch, node, NULL))
			owed->seal.nodes[owed->seal.nodes_count++] = node;
	}
	if (err != PL_OK || owed->seal.nodes_count == 0) {
		if (err != PL_OK)
			PL_LOG(PL_LOG_ERROR, "hotline", "receipts cannot be sent now", PL_F_STR("to", pl_api_member(hotline->charter, owed->author)),
			       PL_F_ERR(err));
		owed->no_key = err == PL_OK;
		forget_texts(owed);
		run_in(owed, RETRY_MS);
		return;
	}
	owed->urgent = false;
	owed->seal.plain = owed->plain;
	owed->seal.plain_bytes = owed->plain_bytes;
	pl_epoch_seal(hotline->epoch, &owed->seal);
}

static void run(struct pl_owed *owed)
{
	owed->running = true;
	owed->no_key = false;
	forget_texts(owed);
	owed->count = 0;
	owed->job = (struct pl_job){ .work = read_work, .done = read_done, .ctx = owed, .urgent = owed->urgent };
	pl_store_run(owed->hotline->store, &owed->job);
}

void pl_receipts_due(struct pl_hotline *hotline, uint16_t author, bool urgent)
{
	struct pl_owed *owed = hotline->owed;
	while (owed && owed->author != author)
		owed = owed->next;
	if (!owed) {
		owed = calloc(1, sizeof(*owed));
		if (!owed)
			return; /* the rows stay; they are found with the next one, or at the next start */
		owed->hotline = hotline;
		owed->author = author;
		owed->due_ms = UINT64_MAX;
		owed->next = hotline->owed;
		hotline->owed = owed;
	}
	owed->urgent |= urgent;
	if (owed->running)
		owed->again = true;
	else if (urgent)
		run(owed);
	else if (owed->due_ms == UINT64_MAX)
		run_in(owed, COALESCE_MS);
}

void pl_receipts_key_learned(struct pl_hotline *hotline, uint16_t node)
{
	const struct pl_charter *charter = hotline->charter;
	for (struct pl_owed *owed = hotline->owed; owed; owed = owed->next)
		if (!owed->running && owed->no_key && charter->nodes[owed->author].member == charter->nodes[node].member)
			run_in(owed, 0);
}

enum pl_err pl_receipts_load(struct pl_hotline *hotline, sqlite3 *db)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT DISTINCT to_node FROM hotline_receipt WHERE seq = 0");
	if (!statement)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	while (pl_db_step(statement, &err) == 1) {
		int author = sqlite3_column_int(statement, 0);
		bool is_author = author >= 0 && author < hotline->charter->nodes_count;
		struct pl_owed *owed = is_author ? calloc(1, sizeof(*owed)) : NULL;
		if (!owed) {
			pl_db_reset(statement);
			return is_author ? PL_ERR_MEMORY : PL_ERR_CORRUPT;
		}
		owed->hotline = hotline;
		owed->author = (uint16_t)author;
		owed->next = hotline->owed;
		hotline->owed = owed;
	}
	return err;
}

void pl_receipts_start(struct pl_hotline *hotline)
{
	uv_timer_start(&hotline->owed_timer, on_owed, COALESCE_MS, 0);
}

void pl_receipts_stop(struct pl_hotline *hotline)
{
	uv_close((uv_handle_t *)&hotline->owed_timer, NULL);
}

void pl_receipts_free(struct pl_hotline *hotline)
{
	while (hotline->owed)
		unlink_owed(hotline->owed);
}
