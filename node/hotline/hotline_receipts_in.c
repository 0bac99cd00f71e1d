#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

#define PER_NODE_MAX 64 /* receipts of one node for one message: stored, decrypted, and 31 operators who read and accept */

/* The receipts of one entry. */
struct arrival {
	struct pl_open open;
	struct pl_apply apply;
	struct pl_hotline *hotline;
	uint8_t *plain; /* the texts point into it */
	size_t plain_bytes, count;
	struct pl_receipt receipts[PL_RECEIPTS_PER_ENTRY_MAX];
	struct {
		bool is_news; /* to be told */
		uint8_t message_id[PL_MESSAGE_ID_BYTES];
		struct pl_ref ref;
		uint64_t flash_sent_ms; /* of a FLASH; 0: it is none */
	} found[PL_RECEIPTS_PER_ENTRY_MAX];
	uint64_t received_ms;
	bool sends_again; /* a message of this node's that failed */
};

static struct arrival *arrival_of(struct pl_apply *apply)
{
	return (struct arrival *)(void *)((uint8_t *)apply - offsetof(struct arrival, apply));
}

/* The message that a receipt is about. */
struct subject {
	bool known;
	uint64_t n;
	uint8_t id[PL_MESSAGE_ID_BYTES], entry_id[PL_ID_BYTES];
	struct pl_ref ref;
	uint8_t box, precedence;
	uint64_t sent_ms;
};

/* By the entry that it is about, whose author is beyond doubt. An entry that is not known may still be one of a message that is: then the
 * receipt is about nothing that was sent. */
static enum pl_err find_subject(const struct pl_hotline *hotline, sqlite3 *db, const struct pl_receipt *receipt, struct subject *out)
{
	struct pl_message_key key = { .by = PL_BY_ENTRY };
	memcpy(key.low, receipt->entry_id, PL_ID_BYTES);
	uint64_t n;
	*out = (struct subject){ .known = false };
	enum pl_err err = pl_message_find(db, &key, &n);
	if (err == PL_ERR_UNKNOWN && receipt->type != PL_RECEIPT_FAILED)
		err = pl_message_find_of(db, hotline->self, receipt->message_id, &n);
	if (err == PL_ERR_UNKNOWN)
		return PL_OK;
	sqlite3_stmt *statement = err == PL_OK ? pl_store_prepare(db, "SELECT id, node, lane, seq, entry_id, box, precedence, sent"
	                                                              " FROM hotline_message WHERE n = ?1") : NULL;
	if (!statement)
		return err != PL_OK ? err : pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, n);
	err = PL_ERR_CORRUPT;
	if (pl_db_step(statement, &err) != 1)
		return err;
	struct subject found = { .known = true, .n = n, .box = (uint8_t)sqlite3_column_int(statement, 5),
	                         .precedence = (uint8_t)sqlite3_column_int(statement, 6), .sent_ms = pl_db_u64(statement, 7) };
	found.ref = (struct pl_ref){ (uint16_t)sqlite3_column_int(statement, 1), (uint8_t)sqlite3_column_int(statement, 2),
	                             pl_db_u64(statement, 3) };
	err = pl_db_take(statement, 0, found.id, sizeof(found.id));
	if (err == PL_OK)
		err = pl_db_take(statement, 4, found.entry_id, sizeof(found.entry_id));
	pl_db_reset(statement);
	if (err == PL_OK && found.ref.node >= hotline->charter->nodes_count)
		err = PL_ERR_CORRUPT;
	if (err == PL_OK)
		*out = found;
	return err;
}

/* Whether this entry is one of the message's. */
static enum pl_err is_entry_of(sqlite3 *db, const struct subject *subject, const uint8_t entry_id[PL_ID_BYTES], bool *is)
{
	*is = memcmp(subject->entry_id, entry_id, PL_ID_BYTES) == 0;
	if (*is)
		return PL_OK;
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT 1 FROM hotline_copy WHERE entry_id = ?1 AND message = ?2");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_blob(statement, 1, entry_id, PL_ID_BYTES);
	pl_db_bind_u64(statement, 2, subject->n);
	enum pl_err err = PL_OK;
	*is = pl_db_step(statement, &err) == 1;
	pl_db_reset(statement);
	return err;
}

/* What a recipient's state becomes. A failure counts as long as nothing better is known: the message may be sent again. */
static uint8_t advance(uint8_t state, uint8_t type)
{
	if (state == PL_RECIPIENT_NO_KEY) /* then it was sealed to it after all, in a further envelope */
		return type;
	if (type == PL_RECEIPT_FAILED)
		return state < PL_RECEIPT_DECRYPTED ? PL_RECEIPT_FAILED : state;
	return state == PL_RECEIPT_FAILED || type > state ? type : state;
}

/* Moves the recipient on; *is_recipient tells whether this node is one at all. */
static enum pl_err move_on(sqlite3 *db, uint64_t n, uint16_t node, uint8_t type, uint64_t received_ms, bool *is_recipient)
{
	sqlite3_stmt *look = pl_store_prepare(db, "SELECT state FROM hotline_recipient WHERE message = ?1 AND node = ?2");
	sqlite3_stmt *has = pl_store_prepare(db, "DELETE FROM hotline_again WHERE node = ?1 AND message = ?2 AND precedence ="
	                                         " (SELECT precedence FROM hotline_message WHERE n = ?2)");
	sqlite3_stmt *move = pl_store_prepare(db, "UPDATE hotline_recipient SET state = ?3, decrypted_ms ="
	                                          " CASE WHEN ?4 = 2 AND decrypted_ms = 0 THEN ?5 ELSE decrypted_ms END WHERE message = ?1"
	                                          " AND node = ?2");
	if (!look || !has || !move)
		return pl_store_sql_err(db);
	pl_db_bind_u64(look, 1, n);
	sqlite3_bind_int(look, 2, node);
	enum pl_err err = PL_OK;
	*is_recipient = pl_db_step(look, &err) == 1;
	if (!*is_recipient)
		return err;
	uint8_t state = advance((uint8_t)sqlite3_column_int(look, 0), type);
	pl_db_reset(look);
	pl_db_bind_u64(move, 1, n);
	sqlite3_bind_int(move, 2, node);
	sqlite3_bind_int(move, 3, state);
	sqlite3_bind_int(move, 4, type);
	pl_db_bind_u64(move, 5, received_ms);
	err = pl_db_run(move);
	if (err != PL_OK || state == PL_RECEIPT_FAILED)
		return err;
	sqlite3_bind_int(has, 1, node);
	pl_db_bind_u64(has, 2, n);
	return pl_db_run(has);
}

/* CRYPTO.md: what cannot be opened is sent again, under the same message id with a new content key. Once: a second failure of the same node
 * is no news. Attachments would have to be sealed anew as well; a message that has some is left to its sender, and so is an old one. */
static enum pl_err send_again(const struct arrival *arrival, sqlite3 *db, uint64_t n, bool *does)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "INSERT OR IGNORE INTO hotline_again (node, precedence, message, due)"
	                                               " SELECT node, precedence, n, ?3 FROM"
	                                               " (SELECT precedence, n FROM hotline_message WHERE n = ?1 AND attachments = 0 AND sent > ?4)"
	                                               " JOIN hotline_recipient ON message = n WHERE node = ?2 AND state = 5");
	if (!statement)
		return pl_store_sql_err(db);
	const uint64_t received_ms = arrival->received_ms;
	pl_db_bind_u64(statement, 1, n);
	sqlite3_bind_int(statement, 2, arrival->apply.node);
	pl_db_bind_u64(statement, 3, received_ms + PL_AGAIN_DELAY_MS);
	pl_db_bind_u64(statement, 4, received_ms > PL_AGAIN_AGE_MS_MAX ? received_ms - PL_AGAIN_AGE_MS_MAX : 0);
	enum pl_err err = pl_db_run(statement);
	*does |= err == PL_OK && sqlite3_changes(db) > 0;
	return err;
}

/* Only a member that was addressed can say anything about a message, and only about an entry that carried it. */
static enum pl_err take_receipt(struct arrival *arrival, sqlite3 *db, size_t i)
{
	const struct pl_hotline *hotline = arrival->hotline;
	const struct pl_charter *charter = hotline->charter;
	const struct pl_receipt *receipt = &arrival->receipts[i];
	uint16_t node = arrival->apply.node, own_member = charter->nodes[hotline->self].member;
	struct pl_receipt_row row = { .entry_id = receipt->entry_id, .node = node, .type = receipt->type, .time_ms = receipt->time_ms,
	                              .received_ms = arrival->received_ms, .seq = arrival->apply.seq, .operator_name = receipt->operator_name,
	                              .reason = receipt->reason };
	struct subject subject;
	bool fits = false, exists = false, is_recipient = false;
	size_t count = 0;
	if (receipt->time_ms > PL_API_TIME_MS_MAX)
		return PL_OK;
	enum pl_err err = find_subject(hotline, db, receipt, &subject);
	if (err != PL_OK)
		return err;
	if (subject.known) {
		if (subject.box != PL_BOX_OUT || charter->nodes[subject.ref.node].member != own_member)
			return PL_OK;
		err = is_entry_of(db, &subject, receipt->entry_id, &fits);
		fits &= receipt->type == PL_RECEIPT_FAILED || memcmp(subject.id, receipt->message_id, sizeof(subject.id)) == 0;
		row.message_id = subject.id;
		row.to_node = subject.ref.node;
	} else {
		/* Of a message that is still on its way to the tables: of another node of this member, or of this one's before it was stopped. */
		fits = true;
		row.message_id = receipt->type == PL_RECEIPT_FAILED ? NULL : receipt->message_id;
		row.to_node = hotline->self;
	}
	if (err == PL_OK && fits)
		err = pl_receipt_look(hotline, db, &row, &exists, &count);
	if (err != PL_OK || !fits || exists || count >= PER_NODE_MAX)
		return err;
	if (subject.known) {
		err = move_on(db, subject.n, node, receipt->type, arrival->received_ms, &is_recipient);
		if (err != PL_OK || !is_recipient)
			return err;
		if (receipt->type == PL_RECEIPT_FAILED && subject.ref.node == hotline->self)
			err = send_again(arrival, db, subject.n, &arrival->sends_again);
		if (err != PL_OK)
			return err;
		arrival->found[i].is_news = true;
		arrival->found[i].ref = subject.ref;
		arrival->found[i].flash_sent_ms = subject.precedence == PL_FLASH && subject.ref.node == hotline->self ? subject.sent_ms : 0;
		memcpy(arrival->found[i].message_id, subject.id, sizeof(subject.id));
	}
	return pl_receipt_insert(hotline, db, &row);
}

static enum pl_err arrival_work(struct pl_apply *apply, sqlite3 *db)
{
	struct arrival *arrival = arrival_of(apply);
	enum pl_err err = pl_entry_received(db, apply->node, apply->lane, apply->seq, &arrival->received_ms);
	arrival->sends_again = false;
	for (size_t i = 0; err == PL_OK && i < arrival->count; i++) {
		arrival->found[i].is_news = false;
		err = take_receipt(arrival, db, i);
	}
	return err;
}

enum pl_err pl_receipts_adopt(sqlite3 *db, uint64_t n, uint16_t author, const uint8_t message_id[PL_MESSAGE_ID_BYTES],
                              const uint8_t entry_id[PL_ID_BYTES])
{
	/* That it failed was said without its id, by one who could not read it. */
	sqlite3_stmt *name = pl_store_prepare(db, "UPDATE hotline_receipt SET message_id = ?1 WHERE message_id = x'' AND entry_id = ?2");
	if (!name)
		return pl_store_sql_err(db);
	pl_db_bind_blob(name, 1, message_id, PL_MESSAGE_ID_BYTES);
	pl_db_bind_blob(name, 2, entry_id, PL_ID_BYTES);
	enum pl_err err = pl_db_run(name);
	if (err != PL_OK)
		return err;
	/* Nor which node of this member had written it. */
	sqlite3_stmt *address = pl_store_prepare(db, "UPDATE hotline_receipt SET to_node = ?3 WHERE message_id = ?1 AND entry_id = ?2"
	                                             " AND to_node <> ?3");
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT node, type, received FROM hotline_receipt WHERE message_id = ?1 AND to_node = ?2"
	                                               " ORDER BY n");
	if (!address || !statement)
		return pl_store_sql_err(db);
	pl_db_bind_blob(address, 1, message_id, PL_MESSAGE_ID_BYTES);
	pl_db_bind_blob(address, 2, entry_id, PL_ID_BYTES);
	sqlite3_bind_int(address, 3, author);
	err = pl_db_run(address);
	if (err != PL_OK)
		return err;
	pl_db_bind_blob(statement, 1, message_id, PL_MESSAGE_ID_BYTES);
	sqlite3_bind_int(statement, 2, author);
	while (err == PL_OK && pl_db_step(statement, &err) == 1) {
		bool is_recipient;
		err = move_on(db, n, (uint16_t)sqlite3_column_int(statement, 0), (uint8_t)sqlite3_column_int(statement, 1),
		              pl_db_u64(statement, 2), &is_recipient);
	}
	pl_db_reset(statement);
	return err;
}

static void arrival_free(struct pl_apply *apply)
{
	struct arrival *arrival = arrival_of(apply);
	pl_wipe_free(arrival->plain, arrival->plain_bytes);
	free(arrival);
}

static void arrival_done(struct pl_apply *apply)
{
	struct arrival *arrival = arrival_of(apply);
	struct pl_hotline *hotline = arrival->hotline;
	for (size_t i = 0; !hotline->stopped && i < arrival->count; i++) {
		if (!arrival->found[i].is_news)
			continue;
		const struct pl_receipt *receipt = &arrival->receipts[i];
		uint64_t sent_ms = arrival->found[i].flash_sent_ms;
		if (sent_ms != 0 && receipt->type == PL_RECEIPT_DECRYPTED && arrival->received_ms >= sent_ms)
			pl_histogram_observe(&hotline->counts.flash_round_trip, (double)(arrival->received_ms - sent_ms) / 1000.0);
		const struct pl_ref *ref = &arrival->found[i].ref;
		json_t *event = json_pack("{so so so ss ss so so so so}", "id", pl_api_hex(arrival->found[i].message_id, PL_MESSAGE_ID_BYTES),
		                          "ref",
		                          pl_api_ref(hotline->charter, ref->node, ref->lane, ref->seq), "node",
		                          pl_api_node(hotline->charter, apply->node), "member",
		                          pl_api_member(hotline->charter, apply->node), "type",
		                          pl_receipt_name(receipt->type), "time", pl_api_time(receipt->time_ms), "received",
		                          pl_api_time(arrival->received_ms), "operator", pl_api_text(&receipt->operator_name), "reason",
		                          pl_api_text(&receipt->reason));
		pl_http_publish(pl_core_http(hotline->core), "receipt", event);
	}
	if (arrival->sends_again)
		pl_hotline_resume_later(hotline);
	arrival_free(apply);
}

static void opened(struct pl_open *open)
{
	struct arrival *arrival = open->ctx;
	struct pl_hotline *hotline = arrival->hotline;
	arrival->apply = (struct pl_apply){ .node = open->entry.node, .lane = open->entry.lane, .seq = open->entry.seq, .work = arrival_work,
	                                    .done = arrival_done, .dropped = arrival_free };
	arrival->received_ms = open->entry.received_ms;
	enum pl_err err = open->err;
	if (err == PL_OK) {
		arrival->plain = open->plain;
		arrival->plain_bytes = open->plain_bytes;
		open->plain = NULL;
		err = pl_receipts_read(arrival->plain, arrival->plain_bytes, arrival->receipts, &arrival->count);
	}
	pl_open_wipe(open);
	if (err == PL_OK) {
		pl_apply(hotline->applier, &arrival->apply);
		return;
	}
	if (err != PL_ERR_NO_KEY && err != PL_ERR_MEMORY && err != PL_ERR_STATE)
		PL_LOG(PL_LOG_WARNING, "hotline", "receipts cannot be read", PL_F_STR("author", pl_api_member(hotline->charter, open->entry.node)),
		       PL_F_U64("seq", open->entry.seq), PL_F_ERR(err));
	if (err == PL_ERR_MEMORY || err == PL_ERR_STATE)
		pl_apply_later(hotline->applier, open->entry.node, open->entry.lane, open->entry.seq);
	else
		pl_apply_skip(hotline->applier, open->entry.node, open->entry.lane, open->entry.seq);
	arrival_free(&arrival->apply);
}

void pl_receipts_entry(struct pl_hotline *hotline, const struct pl_store_entry *entry)
{
	if (entry->node == hotline->self) {
		pl_apply_skip(hotline->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	struct arrival *arrival = calloc(1, sizeof(*arrival));
	if (!arrival) {
		pl_apply_later(hotline->applier, entry->node, entry->lane, entry->seq);
		return;
	}
	arrival->hotline = hotline;
	arrival->open = (struct pl_open){ .done = opened, .ctx = arrival };
	pl_epoch_open(hotline->epoch, entry, &arrival->open);
}
