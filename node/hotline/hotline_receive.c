#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

#define COPIES_MAX 64 /* further entries with one message; an author sends it again after a failure, or when it was stopped */

/* --- what is kept of a message, in one transaction --- */

static bool is_addressed(const struct pl_hotline *hotline, const struct pl_message *message, uint16_t node)
{
	const char *code = pl_api_member(hotline->charter, node);
	for (uint16_t i = 0; i < message->recipients_count; i++)
		if (strcmp(message->recipients[i].code, code) == 0)
			return true;
	return false;
}

/* Sealed columns of a new row. */
struct columns {
	uint8_t *head, *text, *cek;
	size_t head_bytes, text_bytes;
};

static enum pl_err seal_columns(const struct pl_keep *keep, struct columns *out)
{
	const struct pl_hotline *hotline = keep->hotline;
	struct pl_message head = keep->message;
	struct columns columns = { .text_bytes = keep->message.text.bytes + PL_COLUMN_OVERHEAD };
	size_t head_bytes;
	head.text = (struct pl_text){ "", 0 };
	uint8_t *plain = malloc(keep->plain_bytes);
	enum pl_err err = plain ? pl_message_write(&head, plain, keep->plain_bytes, &head_bytes) : PL_ERR_MEMORY;
	if (err == PL_OK) {
		const uint8_t *id = keep->message.id;
		columns.head = pl_hotline_seal(hotline, "hotline_message", "head", id, PL_MESSAGE_ID_BYTES, plain, head_bytes);
		columns.head_bytes = head_bytes + PL_COLUMN_OVERHEAD;
		columns.text = pl_hotline_seal(hotline, "hotline_message", "text", id, PL_MESSAGE_ID_BYTES, keep->message.text.chars,
		                               keep->message.text.bytes);
		columns.cek = pl_hotline_seal(hotline, "hotline_message", "cek", id, PL_MESSAGE_ID_BYTES, keep->cek, PL_CEK_BYTES);
		if (!columns.head || !columns.text || !columns.cek)
			err = PL_ERR_MEMORY;
	}
	pl_wipe_free(plain, plain ? keep->plain_bytes : 0);
	*out = columns;
	return err;
}

static void free_columns(struct columns *columns)
{
	free(columns->head);
	free(columns->text);
	free(columns->cek);
}

static enum pl_err insert_message(struct pl_keep *keep, sqlite3 *db)
{
	const struct pl_message *message = &keep->message;
	struct columns columns;
	enum pl_err err = seal_columns(keep, &columns);
	sqlite3_stmt *statement = pl_store_prepare(db, "INSERT INTO hotline_message"
	                                               " (id, node, lane, seq, entry_id, box, precedence, sent, received,"
	                                               " exercise, attachments, unread, accepted, unfinished, head, text, cek)"
	                                               " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, 0, ?13, ?14, ?15, ?16)");
	if (err == PL_OK && !statement)
		err = pl_store_sql_err(db);
	if (err == PL_OK) {
		pl_db_bind_blob(statement, 1, message->id, sizeof(message->id));
		sqlite3_bind_int(statement, 2, keep->apply.node);
		sqlite3_bind_int(statement, 3, keep->apply.lane);
		pl_db_bind_u64(statement, 4, keep->apply.seq);
		pl_db_bind_blob(statement, 5, keep->entry_id, sizeof(keep->entry_id));
		sqlite3_bind_int(statement, 6, keep->box);
		sqlite3_bind_int(statement, 7, message->precedence);
		pl_db_bind_u64(statement, 8, message->sent_ms);
		pl_db_bind_u64(statement, 9, keep->received_ms);
		sqlite3_bind_int(statement, 10, message->exercise ? 1 : 0);
		sqlite3_bind_int(statement, 11, message->attachments_count);
		sqlite3_bind_int(statement, 12, keep->box == PL_BOX_IN ? 1 : 0);
		sqlite3_bind_int(statement, 13, keep->more ? 1 : 0);
		pl_db_bind_blob(statement, 14, columns.head, columns.head_bytes);
		pl_db_bind_blob(statement, 15, columns.text, columns.text_bytes);
		pl_db_bind_blob(statement, 16, columns.cek, PL_CEK_BYTES + PL_COLUMN_OVERHEAD);
		err = pl_db_run(statement);
		keep->n = (uint64_t)sqlite3_last_insert_rowid(db);
	}
	free_columns(&columns);
	return err;
}

/* Of an own message that is being sent. What is sending was fixed before its entry was submitted, and stays until the keep is done. */
static bool is_without_key(const struct pl_keep *keep, uint16_t node)
{
	for (size_t i = 0; keep->sending && i < keep->sending->no_key_count; i++)
		if (keep->sending->no_key[i] == node)
			return true;
	return false;
}

/* The nodes that a message of this member goes to, to follow how far it has come at each. */
static enum pl_err insert_recipients(const struct pl_keep *keep, sqlite3 *db)
{
	const struct pl_hotline *hotline = keep->hotline;
	sqlite3_stmt *statement = pl_store_prepare(db, "INSERT INTO hotline_recipient (message, node, state, decrypted_ms) VALUES"
	                                               " (?1, ?2, ?3, 0)");
	if (!statement)
		return pl_store_sql_err(db);
	for (uint16_t i = 0; i < keep->message.recipients_count; i++) {
		int member = pl_charter_find_member(hotline->charter, keep->message.recipients[i].code);
		for (uint16_t k = 0; member >= 0 && k < hotline->charter->members[member].nodes_count; k++) {
			uint16_t node = (uint16_t)(hotline->charter->members[member].first_node + k);
			if (node == keep->apply.node)
				continue;
			pl_db_bind_u64(statement, 1, keep->n);
			sqlite3_bind_int(statement, 2, node);
			sqlite3_bind_int(statement, 3, is_without_key(keep, node) ? PL_RECIPIENT_NO_KEY : 0);
			enum pl_err err = pl_db_run(statement);
			if (err != PL_OK)
				return err;
		}
	}
	return PL_OK;
}

/* A further entry of an own message: whom it still has to go to. */
static enum pl_err note_sent(const struct pl_keep *keep, sqlite3 *db)
{
	const struct pl_sending *sending = keep->sending; /* NULL: who got this entry is not known any more */
	sqlite3_stmt *finish = pl_store_prepare(db, "UPDATE hotline_message SET unfinished = ?2 WHERE n = ?1 AND unfinished <> ?2");
	sqlite3_stmt *drop = pl_store_prepare(db, "DELETE FROM hotline_again WHERE node = ?1 AND precedence = ?2 AND message = ?3");
	if (!finish || !drop)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	for (uint16_t i = 0; err == PL_OK && sending && i < sending->seal.nodes_count; i++) {
		sqlite3_bind_int(drop, 1, sending->seal.nodes[i]);
		sqlite3_bind_int(drop, 2, keep->message.precedence);
		pl_db_bind_u64(drop, 3, keep->n);
		err = pl_db_run(drop);
	}
	if (err != PL_OK || (sending && sending->is_again))
		return err;
	pl_db_bind_u64(finish, 1, keep->n);
	sqlite3_bind_int(finish, 2, keep->more ? 1 : 0);
	return pl_db_run(finish);
}

/* A further entry with a message that is here: to more recipients, or sent again. */
static enum pl_err insert_copy(struct pl_keep *keep, sqlite3 *db, unsigned *envelope)
{
	sqlite3_stmt *last = pl_store_prepare(db, "SELECT max(envelope) FROM hotline_copy WHERE message = ?1");
	sqlite3_stmt *insert = pl_store_prepare(db, "INSERT INTO hotline_copy (node, lane, seq, message, entry_id, envelope, cek)"
	                                            " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)");
	if (!last || !insert)
		return pl_store_sql_err(db);
	enum pl_err err = PL_OK;
	pl_db_bind_u64(last, 1, keep->n);
	if (pl_db_step(last, &err) != 1)
		return err == PL_OK ? PL_ERR_CORRUPT : err;
	*envelope = (unsigned)sqlite3_column_int(last, 0) + 1;
	pl_db_reset(last);
	if (*envelope > COPIES_MAX && keep->apply.node != keep->hotline->self) {
		keep->refused = "it has come too often";
		return PL_OK;
	}
	uint8_t row[11];
	pl_row_of_place(keep->apply.node, keep->apply.lane, keep->apply.seq, row);
	uint8_t *cek = pl_hotline_seal(keep->hotline, "hotline_copy", "cek", row, sizeof(row), keep->cek, PL_CEK_BYTES);
	if (!cek)
		return PL_ERR_MEMORY;
	sqlite3_bind_int(insert, 1, keep->apply.node);
	sqlite3_bind_int(insert, 2, keep->apply.lane);
	pl_db_bind_u64(insert, 3, keep->apply.seq);
	pl_db_bind_u64(insert, 4, keep->n);
	pl_db_bind_blob(insert, 5, keep->entry_id, sizeof(keep->entry_id));
	sqlite3_bind_int(insert, 6, (int)*envelope);
	pl_db_bind_blob(insert, 7, cek, PL_CEK_BYTES + PL_COLUMN_OVERHEAD);
	err = pl_db_run(insert);
	free(cek);
	return err == PL_OK && keep->apply.node == keep->hotline->self ? note_sent(keep, db) : err;
}

enum pl_err pl_message_is_same(const struct pl_message *first, const struct pl_message *again, bool *is)
{
	uint8_t *plain = malloc(2 * PL_PLAINTEXT_BYTES_MAX);
	size_t bytes[2] = { 0, 0 };
	enum pl_err err = plain ? PL_OK : PL_ERR_MEMORY;
	for (int k = 0; err == PL_OK && k < 2; k++) {
		struct pl_message message = k == 0 ? *first : *again;
		for (uint8_t i = 0; i < message.attachments_count; i++)
			memset(message.attachments[i].id, i, sizeof(message.attachments[i].id));
		err = pl_message_write(&message, plain + k * PL_PLAINTEXT_BYTES_MAX, PL_PLAINTEXT_BYTES_MAX, &bytes[k]);
	}
	*is = err == PL_OK && bytes[0] == bytes[1] && memcmp(plain, plain + PL_PLAINTEXT_BYTES_MAX, bytes[0]) == 0;
	pl_wipe_free(plain, plain ? 2 * PL_PLAINTEXT_BYTES_MAX : 0);
	return err;
}

/* Whether an entry that carries a message id known of its author says the same again. */
static enum pl_err judge_again(struct pl_keep *keep, sqlite3 *db)
{
	struct pl_message_row row;
	bool is = false;
	enum pl_err err = pl_message_load(keep->hotline, db, keep->n, &row);
	if (err != PL_OK)
		return err;
	err = pl_message_is_same(&row.message, &keep->message, &is);
	/* PROTOCOL: "What comes again under its id equals the first in all but the ids of attachments." */
	if (err == PL_OK && !is)
		keep->refused = "its message id belongs to a message that says something else";
	keep->box = row.box;
	pl_message_row_wipe(&row);
	return err;
}

static enum pl_err owe(const struct pl_keep *keep, sqlite3 *db, uint8_t type, uint64_t time_ms, const char *reason)
{
	struct pl_receipt_due due = { .message_id = reason ? NULL : keep->message.id, .entry_id = keep->entry_id, .to_node = keep->apply.node,
	                              .type = type, .time_ms = time_ms, .reason = reason };
	return pl_receipt_owe(keep->hotline, db, &due);
}

static enum pl_err refuse(struct pl_keep *keep, sqlite3 *db)
{
	sqlite3_stmt *statement = pl_store_prepare(db,
	                                           "INSERT OR IGNORE INTO hotline_refused (node, lane, seq, reason) VALUES (?1, ?2, ?3, ?4)");
	if (!statement)
		return pl_store_sql_err(db);
	sqlite3_bind_int(statement, 1, keep->apply.node);
	sqlite3_bind_int(statement, 2, keep->apply.lane);
	pl_db_bind_u64(statement, 3, keep->apply.seq);
	sqlite3_bind_text(statement, 4, keep->refused, -1, SQLITE_STATIC);
	enum pl_err err = pl_db_run(statement);
	keep->owes_receipts = keep->apply.node != keep->hotline->self;
	if (err == PL_OK && keep->owes_receipts)
		err = owe(keep, db, PL_RECEIPT_FAILED, keep->decrypted_ms, keep->refused);
	return err;
}

static enum pl_err keep_work(struct pl_apply *apply, sqlite3 *db)
{
	struct pl_keep *keep = (struct pl_keep *)(void *)apply;
	const struct pl_hotline *hotline = keep->hotline;
	bool own = apply->node == hotline->self;
	unsigned envelope = 0;
	keep->is_new = keep->owes_receipts = keep->unchecked = false;
	enum pl_err err = pl_entry_received(db, apply->node, apply->lane, apply->seq, &keep->received_ms);
	if (err != PL_OK || !keep->plain)
		return err != PL_OK ? err : refuse(keep, db);

	err = pl_message_find_of(db, apply->node, keep->message.id, &keep->n);
	if (err == PL_OK) {
		err = judge_again(keep, db);
		if (err == PL_OK && keep->refused)
			return refuse(keep, db);
		if (err == PL_OK)
			err = insert_copy(keep, db, &envelope);
		if (err == PL_OK && keep->refused)
			return refuse(keep, db);
	} else if (err == PL_ERR_UNKNOWN) {
		bool of_own_member = hotline->charter->nodes[apply->node].member == hotline->charter->nodes[hotline->self].member;
		keep->is_new = true;
		keep->box = own || (of_own_member && !is_addressed(hotline, &keep->message, hotline->self)) ? PL_BOX_OUT : PL_BOX_IN;
		err = insert_message(keep, db);
		if (err == PL_OK && keep->box == PL_BOX_OUT)
			err = insert_recipients(keep, db);
	}
	if (err == PL_OK && keep->box == PL_BOX_OUT)
		err = pl_receipts_adopt(db, keep->n, apply->node, keep->message.id, keep->entry_id);
	if (err == PL_OK)
		err = pl_chunks_expect(hotline, db, keep->n, envelope, apply->node, &keep->message, &keep->unchecked);
	keep->owes_receipts = !own && is_addressed(hotline, &keep->message, hotline->self);
	if (err == PL_OK && keep->owes_receipts)
		err = owe(keep, db, PL_RECEIPT_STORED, keep->received_ms, NULL);
	if (err == PL_OK && keep->owes_receipts)
		err = owe(keep, db, PL_RECEIPT_DECRYPTED, keep->decrypted_ms, NULL);
	return err;
}

static void keep_free(struct pl_keep *keep)
{
	pl_wipe_free(keep->plain, keep->plain_bytes);
	sodium_memzero(keep->cek, sizeof(keep->cek));
	free(keep);
}

static void publish(const struct pl_keep *keep)
{
	const struct pl_hotline *hotline = keep->hotline;
	struct pl_message_row row = { .n = keep->n, .node = keep->apply.node, .lane = keep->apply.lane, .seq = keep->apply.seq,
	                              .box = keep->box,
	                              .precedence = keep->message.precedence, .attachments = keep->message.attachments_count,
	                              .sent_ms = keep->message.sent_ms, .received_ms = keep->received_ms, .entry_ms = keep->entry_ms,
	                              .exercise = keep->message.exercise != 0, .unread = keep->box == PL_BOX_IN, .message = keep->message };
	memcpy(row.id, keep->message.id, sizeof(row.id));
	memcpy(row.entry_id, keep->entry_id, sizeof(row.entry_id));
	pl_http_publish(pl_core_http(hotline->core), "message", pl_message_item(hotline, &row, NULL, 0));
}

static void count_kept(const struct pl_keep *keep)
{
	struct pl_hotline_counts *counts = &keep->hotline->counts;
	if (keep->refused)
		counts->refused++;
	else if (keep->is_new && keep->box == PL_BOX_OUT)
		counts->sent++;
	if (keep->refused || !keep->is_new || keep->box == PL_BOX_OUT)
		return;
	counts->received++;
	counts->unread++;
	if (keep->message.precedence != PL_FLASH)
		return;
	counts->unanswered_flash++;
	uint64_t sent_ms = keep->message.sent_ms;
	pl_histogram_observe(&counts->flash_arrival, keep->received_ms > sent_ms ? (double)(keep->received_ms - sent_ms) / 1000.0 : 0);
}

static void keep_done(struct pl_apply *apply)
{
	struct pl_keep *keep = (struct pl_keep *)(void *)apply;
	struct pl_hotline *hotline = keep->hotline;
	if (keep->refused)
		PL_LOG(PL_LOG_WARNING, "hotline", "a message is not shown", PL_F_STR("author", pl_api_member(hotline->charter, apply->node)),
		       PL_F_U64("lane", apply->lane), PL_F_U64("seq", apply->seq), PL_F_STR("reason", keep->refused));
	count_kept(keep);
	if (!hotline->stopped) {
		if (!keep->refused && keep->is_new)
			publish(keep);
		if (keep->owes_receipts)
			pl_receipts_due(hotline, apply->node, apply->urgent);
		if (keep->unchecked)
			pl_chunks_check(hotline);
		if (apply->node == hotline->self && keep->message.attachments_count > 0)
			pl_upload_pump(hotline);
	}
	if (keep->sending)
		pl_sending_kept(keep->sending, false);
	keep_free(keep);
}

static void keep_dropped(struct pl_apply *apply)
{
	struct pl_keep *keep = (struct pl_keep *)(void *)apply;
	if (keep->sending)
		pl_sending_kept(keep->sending, true);
	keep_free(keep);
}

struct pl_keep *pl_keep_new(struct pl_hotline *hotline, const struct pl_store_entry *entry)
{
	struct pl_keep *keep = calloc(1, sizeof(*keep));
	if (!keep)
		return NULL;
	keep->hotline = hotline;
	keep->apply = (struct pl_apply){ .node = entry->node, .lane = entry->lane, .seq = entry->seq, .urgent = entry->urgent,
	                                 .work = keep_work,
	                                 .done = keep_done, .dropped = keep_dropped };
	memcpy(keep->entry_id, entry->id, sizeof(keep->entry_id));
	keep->received_ms = entry->received_ms;
	keep->entry_ms = pl_header_time(entry->header);
	keep->decrypted_ms = pl_core_wall_ms(hotline->core);
	return keep;
}

void pl_hotline_keep(struct pl_keep *keep)
{
	pl_apply(keep->hotline->applier, &keep->apply);
}

/* --- entries --- */

struct incoming {
	struct pl_open open;
	struct pl_hotline *hotline;
};

/* Why a message that opened is not shown; NULL if it is. */
static const char *find_fault(const struct pl_hotline *hotline, uint16_t author, const struct pl_header *header,
                              const struct pl_message *message)
{
	/* PROTOCOL: "A message stands where its precedence belongs: FLASH in lane 0 with the flag, immediate in lane 0 without it, priority and
	 * routine in lane 1." Quotas of FLASH count flags, and who reads the message is alarmed by its precedence. */
	bool is_flash = message->precedence == PL_FLASH;
	if (is_flash != ((header->flags & PL_FLAG_FLASH) != 0) || header->lane != (message->precedence >= PL_IMMEDIATE ? 0 : 1))
		return "its precedence is not that of its entry";
	/* PROTOCOL, "Message": its sender is the member whose node authored the entry. */
	if (strcmp(message->sender, pl_api_member(hotline->charter, author)) != 0)
		return "it is sent in the name of another member than its author's";
	if (message->sent_ms > PL_API_TIME_MS_MAX || message->expires_ms > PL_API_TIME_MS_MAX)
		return "its times are out of range";
	return NULL;
}

static void opened(struct pl_open *open)
{
	struct incoming *incoming = open->ctx;
	struct pl_hotline *hotline = incoming->hotline;
	struct pl_keep *keep = NULL;
	if (open->err == PL_OK || open->err == PL_ERR_DECRYPT) {
		keep = pl_keep_new(hotline, &open->entry);
		if (!keep)
			open->err = PL_ERR_MEMORY;
	}
	if (open->err == PL_OK) {
		keep->plain = open->plain;
		keep->plain_bytes = open->plain_bytes;
		open->plain = NULL;
		memcpy(keep->cek, open->cek, sizeof(keep->cek));
		if (pl_message_read(keep->plain, keep->plain_bytes, &keep->message) != PL_OK)
			keep->refused = "what it holds is not a message";
		else
			keep->refused = find_fault(hotline, open->entry.node, &open->header, &keep->message);
		/* An own one that was not being sent: the daemon ended before it was kept. Who had got it is not known any more. */
		uint16_t nodes[PL_NODES_MAX];
		keep->more = !keep->refused && open->entry.node == hotline->self &&
		             pl_hotline_audience(hotline, &keep->message, nodes) > PL_SLOTS_FOR_OTHERS;
	} else if (open->err == PL_ERR_DECRYPT) {
		keep->refused = "it opens with a key of this node, but not to what it commits to";
	}
	if (keep) {
		if (keep->refused && keep->plain) {
			pl_wipe_free(keep->plain, keep->plain_bytes);
			keep->plain = NULL;
			keep->plain_bytes = 0;
		}
		pl_hotline_keep(keep);
	} else if (open->err == PL_ERR_MEMORY || open->err == PL_ERR_STATE) {
		pl_apply_later(hotline->applier, open->entry.node, open->entry.lane, open->entry.seq);
	} else {
		if (open->err != PL_ERR_NO_KEY)
			PL_LOG(PL_LOG_WARNING, "hotline", "an envelope is malformed", PL_F_U64("node", open->entry.node),
			       PL_F_U64("seq", open->entry.seq),
			       PL_F_ERR(open->err));
		pl_apply_skip(hotline->applier, open->entry.node, open->entry.lane, open->entry.seq);
	}
	pl_open_wipe(open);
	free(incoming);
}

void pl_hotline_receive(struct pl_hotline *hotline, const struct pl_store_entry *entry)
{
	if (entry->node == hotline->self && pl_hotline_sent_entry(hotline, entry))
		return;
	struct incoming *incoming = calloc(1, sizeof(*incoming));
	if (!incoming) {
		pl_apply_later(hotline->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	incoming->hotline = hotline;
	incoming->open = (struct pl_open){ .done = opened, .ctx = incoming };
	pl_epoch_open(hotline->epoch, entry, &incoming->open);
}
