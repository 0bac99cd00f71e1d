#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"
#include "proto/text.h"

enum action { ACTION_GET, ACTION_READ, ACTION_ACCEPT };

struct attachment_state {
	int state;
	uint32_t have;
};

/* The receipt that this operator's action makes, or has made before. */
struct own_receipt {
	enum { RECEIPT_NONE, RECEIPT_NEW, RECEIPT_REPEATED } state;
	uint64_t time_ms, seq; /* 0: none, not signed yet */
};

/* One message, looked at or acted on. */
struct call {
	struct pl_job job;
	struct pl_hotline *hotline;
	struct pl_request *request;
	struct pl_message_key key;
	char *name; /* as the operator gave it */
	enum action action;
	char operator_name[PL_NAME_BYTES_MAX + 1];
	uint64_t wall_ms;

	struct pl_message_row row;
	struct pl_recipient_state *states;
	size_t states_count;
	struct attachment_state attachments[PL_ATTACHMENTS_MAX];
	bool is_own, was_unread, was_unanswered, owes_receipts;
	bool is_frozen; /* no receipt goes out */
	bool may_write; /* of ACTION_READ and ACTION_ACCEPT; false: only what needs no write is done */
	struct own_receipt receipt; /* of ACTION_READ and ACTION_ACCEPT: what the operator is told of theirs */
	struct pl_receipt_line *lines; /* of ACTION_GET for receipts */
	bool with_lines;
};

struct pl_receipt_line {
	struct pl_receipt_line *next;
	uint16_t node;
	uint8_t type;
	uint64_t time_ms, received_ms, seq;
	uint8_t *operator_name, *reason;
	size_t operator_bytes, reason_bytes;
};

static void call_free(struct call *call)
{
	while (call->lines) {
		struct pl_receipt_line *line = call->lines;
		call->lines = line->next;
		pl_wipe_free(line->operator_name, line->operator_bytes);
		pl_wipe_free(line->reason, line->reason_bytes);
		free(line);
	}
	pl_message_row_wipe(&call->row);
	free(call->states);
	free(call->name);
	free(call);
}

/* NULL after having replied. */
static struct call *call_new(struct pl_request *request, struct pl_hotline *hotline, enum action action)
{
	const char *name = pl_request_param(request, "id");
	struct call *call = calloc(1, sizeof(*call));
	if (!call || !(call->name = strdup(name))) {
		free(call);
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the message cannot be read");
		return NULL;
	}
	call->hotline = hotline;
	call->request = request;
	call->action = action;
	call->wall_ms = pl_core_wall_ms(hotline->core);
	enum pl_err err = pl_message_key_parse(hotline, name, &call->key);
	if (err != PL_OK) {
		pl_hotline_reply_missing(request, err, name);
		call_free(call);
		return NULL;
	}
	return call;
}

/* --- work --- */

static enum pl_err take_attachments(struct call *call, sqlite3 *db)
{
	/* A message that was sent again has its attachments twice; the better one counts. */
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT item, state, have FROM hotline_attachment WHERE message = ?1"
	                                               " ORDER BY state = 2, have");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, call->row.n);
	enum pl_err err = PL_OK;
	while (pl_db_step(statement, &err) == 1) {
		int item = sqlite3_column_int(statement, 0);
		if (item >= 0 && item < PL_ATTACHMENTS_MAX)
			call->attachments[item] = (struct attachment_state){ sqlite3_column_int(statement, 1),
			                                                     (uint32_t)sqlite3_column_int64(statement, 2) };
	}
	return err;
}

/* Owes the author this receipt by this operator, unless that was done before. */
static enum pl_err owe_once(struct call *call, sqlite3 *db, uint8_t type)
{
	struct pl_receipt_row receipt = { .message_id = call->row.id, .entry_id = call->row.entry_id, .node = call->hotline->self,
	                                  .to_node = call->row.node, .type = type,
	                                  .operator_name = { call->operator_name, strlen(call->operator_name) } };
	bool exists;
	size_t count;
	enum pl_err err = pl_receipt_look(call->hotline, db, &receipt, &exists, &count);
	if (err != PL_OK)
		return err;
	/* One that is not signed by now is never, where the feed is frozen. */
	call->receipt = (struct own_receipt){ 0 };
	if (exists ? receipt.seq == 0 && call->is_frozen : call->is_frozen)
		return PL_OK;
	if (exists) {
		call->receipt = (struct own_receipt){ RECEIPT_REPEATED, receipt.time_ms, receipt.seq };
		return PL_OK;
	}
	if (!call->may_write)
		return PL_ERR_DISK_FULL;
	call->receipt = (struct own_receipt){ RECEIPT_NEW, call->wall_ms, 0 };
	struct pl_receipt_due due = { .message_id = call->row.id, .entry_id = call->row.entry_id, .to_node = call->row.node, .type = type,
	                              .time_ms = call->wall_ms, .operator_name = call->operator_name };
	call->owes_receipts = true;
	return pl_receipt_owe(call->hotline, db, &due);
}

static enum pl_err act(struct call *call, sqlite3 *db)
{
	sqlite3_stmt *update = pl_store_prepare(db, "UPDATE hotline_message SET unread = 0, accepted = max(accepted, ?2) WHERE n = ?1");
	if (!update)
		return pl_store_sql_err(db);
	bool accepts = call->action == ACTION_ACCEPT;
	if (accepts && call->is_frozen)
		return PL_ERR_FORK; /* nobody would learn of it */
	call->was_unread = call->row.unread;
	call->was_unanswered = accepts && !call->row.accepted && call->row.precedence == PL_FLASH;
	/* Who takes a message on has seen it. */
	enum pl_err err = owe_once(call, db, PL_RECEIPT_READ);
	if (err == PL_OK && accepts)
		err = owe_once(call, db, PL_RECEIPT_ACCEPTED);
	if (err != PL_OK || (!call->row.unread && (call->row.accepted || !accepts)))
		return err; /* nothing is new, or it failed */
	if (!call->may_write)
		return PL_ERR_DISK_FULL;
	call->row.unread = false;
	call->row.accepted |= accepts;
	pl_db_bind_u64(update, 1, call->row.n);
	sqlite3_bind_int(update, 2, accepts);
	return pl_db_run(update);
}

static enum pl_err take_lines(struct call *call, sqlite3 *db)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT node, type, time, received, seq, entry_id, operator, reason FROM hotline_receipt"
	                                               " WHERE message_id = ?1 AND to_node = ?2 ORDER BY n DESC");
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_blob(statement, 1, call->row.id, sizeof(call->row.id));
	sqlite3_bind_int(statement, 2, call->row.node);
	enum pl_err err = PL_OK;
	while (err == PL_OK && pl_db_step(statement, &err) == 1) {
		struct pl_receipt_line *line = calloc(1, sizeof(*line));
		if (!line) {
			err = PL_ERR_MEMORY;
			break;
		}
		line->next = call->lines; /* so the list is by arrival */
		call->lines = line;
		line->node = (uint16_t)sqlite3_column_int(statement, 0);
		line->type = (uint8_t)sqlite3_column_int(statement, 1);
		line->time_ms = pl_db_u64(statement, 2);
		line->received_ms = pl_db_u64(statement, 3);
		line->seq = pl_db_u64(statement, 4);
		uint8_t entry_id[PL_ID_BYTES], row[PL_RECEIPT_ROW_BYTES];
		err = pl_db_take(statement, 5, entry_id, sizeof(entry_id));
		if (err != PL_OK)
			break;
		pl_receipt_row(entry_id, line->node, line->type, row);
		err = pl_hotline_open(call->hotline, "hotline_receipt", "operator", row, sizeof(row), statement, 6, &line->operator_name,
		                      &line->operator_bytes);
		if (err == PL_OK)
			err = pl_hotline_open(call->hotline, "hotline_receipt", "reason", row, sizeof(row), statement, 7, &line->reason,
			                      &line->reason_bytes);
	}
	pl_db_reset(statement);
	return err;
}

static enum pl_err call_work(struct pl_job *job, sqlite3 *db)
{
	struct call *call = job->ctx;
	uint64_t n;
	enum pl_err err = pl_message_find(db, &call->key, &n);
	if (err == PL_OK)
		err = pl_message_load(call->hotline, db, n, &call->row);
	if (err != PL_OK)
		return err;
	call->is_own = call->row.box == PL_BOX_OUT;
	if (call->action != ACTION_GET && !call->is_own)
		err = act(call, db);
	if (err == PL_OK)
		err = take_attachments(call, db);
	if (err == PL_OK && call->with_lines)
		err = take_lines(call, db);
	if (err == PL_OK)
		err = pl_recipient_states(db, call->hotline, &call->row, &call->states, &call->states_count);
	return err;
}

/* --- replies --- */

static json_t *attachments_json(const struct call *call)
{
	json_t *list = json_array();
	for (uint8_t i = 0; i < call->row.message.attachments_count; i++) {
		const struct pl_attachment *attachment = &call->row.message.attachments[i];
		const struct attachment_state *state = &call->attachments[i];
		json_array_append_new(list, json_pack("{si so so sI so sb sb si si}", "n", i + 1, "name", pl_api_text(&attachment->name), "type",
		                                      pl_api_text(&attachment->media_type), "bytes", (json_int_t)attachment->bytes, "sha256",
		                                      pl_api_hex(attachment->sha256, sizeof(attachment->sha256)), "complete",
		                                      state->state == PL_CHUNKS_GOOD, "damaged", state->state == PL_CHUNKS_DAMAGED, "have_chunks",
		                                      (int)state->have, "chunks", (int)attachment->chunks));
	}
	return list;
}

static const char *type_of(const struct call *call)
{
	return pl_receipt_name(call->action == ACTION_ACCEPT ? PL_RECEIPT_ACCEPTED : PL_RECEIPT_READ);
}

static json_t *own_receipt_json(const struct call *call)
{
	static const char *const states[] = { [RECEIPT_NONE] = "none", [RECEIPT_NEW] = "new", [RECEIPT_REPEATED] = "repeated" };
	const struct own_receipt *receipt = &call->receipt;
	const struct pl_charter *charter = call->hotline->charter;
	uint16_t self = call->hotline->self;
	json_t *acked = json_array();
	for (uint16_t node = 0; receipt->seq > 0 && node < charter->nodes_count; node++)
		if (node != self && pl_engine_acked(pl_core_engine(call->hotline->core), node, self, 1) >= receipt->seq)
			json_array_append_new(acked, pl_api_node(charter, node));
	return json_pack("{ss ss ss so so so}", "type", type_of(call), "operator", call->operator_name, "state", states[receipt->state], "time",
	                 pl_api_time(receipt->time_ms), "ref", receipt->seq ? pl_api_ref(charter, self, 1, receipt->seq) : json_null(), "acked_by",
	                 acked);
}

static void reply_message(const struct call *call)
{
	const struct pl_message *message = &call->row.message;
	json_t *item = pl_message_item(call->hotline, &call->row, call->states, call->states_count);
	json_t *more = json_pack("{so so so so}", "text", pl_api_text(&message->text), "reply_to",
	                         message->has_reply_to ? pl_api_hex(message->reply_to, sizeof(message->reply_to)) : json_null(), "operator", pl_api_text(&message->operator_name), "attachments",
	                         attachments_json(call));
	if (item && more)
		json_object_update(item, more);
	if (item && call->action != ACTION_GET && !call->is_own)
		json_object_set_new(item, "receipt", own_receipt_json(call));
	json_decref(more);
	pl_reply_json(call->request, 200, item);
}

static void run(struct call *call, bool writes);

static void call_done(struct pl_job *job)
{
	struct call *call = job->ctx;
	struct pl_hotline *hotline = call->hotline;
	if (job->err == PL_ERR_DISK_FULL && call->may_write) {
		run(call, false); /* what was done before needs no room to be done again */
		return;
	}
	if (job->err == PL_ERR_FORK || job->err == PL_ERR_DISK_FULL) {
		pl_api_reply_failed(call->request, job->err,
		                    call->action == ACTION_ACCEPT ? "the message was not accepted" : "no receipt of this reading was made");
	} else if (job->err != PL_OK) {
		pl_hotline_reply_missing(call->request, job->err, call->name);
	} else if (call->is_own && call->action == ACTION_ACCEPT) {
		pl_reply_error(call->request, 409, "own_message", "Only a member that a message is addressed to can take it on.",
		               "%s is a message of this node's own member", call->name);
	} else {
		if (call->action != ACTION_GET && !call->is_own) {
			hotline->counts.unread -= call->was_unread;
			hotline->counts.unanswered_flash -= call->was_unanswered;
			if (call->owes_receipts)
				pl_receipts_due(hotline, call->row.node, call->row.precedence == PL_FLASH);
		}
		reply_message(call);
	}
	call_free(call);
}

static void run(struct call *call, bool writes)
{
	pl_message_row_wipe(&call->row);
	call->row = (struct pl_message_row){ 0 };
	free(call->states);
	call->states = NULL;
	call->states_count = 0;
	call->owes_receipts = false;
	call->may_write = writes;
	call->job = (struct pl_job){ .work = call_work, .done = call_done, .ctx = call, .writes = writes };
	pl_store_run(call->hotline->store, &call->job);
}

void pl_api_message_get(struct pl_request *request, void *ctx)
{
	struct pl_hotline *hotline = ctx;
	struct call *call = call_new(request, hotline, ACTION_GET);
	if (!call)
		return;
	run(call, false);
}

static void act_on(struct pl_request *request, struct pl_hotline *hotline, enum action action)
{
	static const char *const names[] = { "operator", NULL };
	const char *operator_name = pl_request_user(request);
	size_t body_bytes;
	(void)pl_request_body(request, &body_bytes);
	if (body_bytes > 0) {
		json_t *body = pl_request_json(request);
		if (!body || !pl_api_only_known(request, body, names) ||
		    !pl_api_take_string(request, body, "operator", operator_name, &operator_name))
			return;
	}
	if (!pl_text_is_name(operator_name, strlen(operator_name))) {
		pl_reply_error(request, 422, "bad_operator", NULL, "an operator's name is one line of 1 to %d bytes of UTF-8", PL_NAME_BYTES_MAX);
		return;
	}
	struct call *call = call_new(request, hotline, action);
	if (!call)
		return;
	strcpy(call->operator_name, operator_name);
	call->is_frozen = pl_core_is_frozen(hotline->core);
	run(call, true);
}

void pl_api_message_read(struct pl_request *request, void *ctx)
{
	act_on(request, ctx, ACTION_READ);
}

void pl_api_message_accept(struct pl_request *request, void *ctx)
{
	act_on(request, ctx, ACTION_ACCEPT);
}

/* --- receipts --- */

static json_t *lines_json(const struct call *call, uint16_t node)
{
	const struct pl_charter *charter = call->hotline->charter;
	json_t *list = json_array();
	for (const struct pl_receipt_line *line = call->lines; line; line = line->next) {
		if (line->node != node)
			continue;
		struct pl_text operator_name = { (const char *)line->operator_name, line->operator_bytes };
		struct pl_text reason = { (const char *)line->reason, line->reason_bytes };
		json_array_append_new(list, json_pack("{ss so so so so so}", "type", pl_receipt_name(line->type), "time",
		                                      pl_api_time(line->time_ms), "received", pl_api_time(line->received_ms), "operator",
		                                      operator_name.bytes ? pl_api_text(&operator_name) : json_null(), "reason",
		                                      reason.bytes ? pl_api_text(&reason) : json_null(), "ref",
		                                      line->seq ? pl_api_ref(charter, node, 1, line->seq) : json_null()));
	}
	return list;
}

static bool is_for_info(const struct call *call, uint16_t node)
{
	for (uint16_t i = 0; i < call->row.message.recipients_count; i++)
		if (call->row.message.recipients[i].info && strcmp(call->row.message.recipients[i].code, pl_api_member(call->hotline->charter, node)) == 0)
			return true;
	return false;
}

static json_t *recipients_json(const struct call *call, json_t **round_trip)
{
	const struct pl_charter *charter = call->hotline->charter;
	json_t *list = json_array();
	bool all = call->is_own && call->states_count > 0;
	uint64_t last_ms = call->row.sent_ms;
	for (size_t i = 0; i < call->states_count; i++) {
		const struct pl_recipient_state *state = &call->states[i];
		json_array_append_new(list, json_pack("{so ss sb ss so}", "node", pl_api_node(charter, state->node), "member",
		                                      pl_api_member(charter, state->node), "info", is_for_info(call, state->node), "state", pl_receipt_state_name(state->state), "receipts",
		                                      lines_json(call, state->node)));
		all &= state->decrypted_ms != 0 || state->state == PL_RECIPIENT_NO_KEY;
		if (state->decrypted_ms > last_ms)
			last_ms = state->decrypted_ms;
	}
	*round_trip = all ? json_integer((json_int_t)(last_ms - call->row.sent_ms)) : json_null();
	return list;
}

/* Nodes that keep the message and cannot read it: all that a link has told about, but recipients. */
static json_t *relays_json(const struct call *call)
{
	const struct pl_charter *charter = call->hotline->charter;
	const struct pl_engine *engine = pl_core_engine(call->hotline->core);
	json_t *list = json_array();
	for (uint16_t node = 0; node < charter->nodes_count; node++) {
		bool is_recipient = node == call->hotline->self || node == call->row.node;
		for (uint16_t i = 0; i < call->row.message.recipients_count; i++)
			is_recipient |= strcmp(call->row.message.recipients[i].code, pl_api_member(charter, node)) == 0;
		struct pl_peer_info peer;
		pl_engine_peer(engine, node, &peer);
		bool holds = pl_engine_acked(engine, node, call->row.node, call->row.lane) >= call->row.seq;
		if (!is_recipient && (holds || peer.last_heard_ms != 0))
			json_array_append_new(list, json_pack("{so sb}", "node", pl_api_node(charter, node), "holds", holds));
	}
	return list;
}

static void receipts_done(struct pl_job *job)
{
	struct call *call = job->ctx;
	if (job->err != PL_OK) {
		pl_hotline_reply_missing(call->request, job->err, call->name);
	} else {
		const struct pl_message_row *row = &call->row;
		json_t *round_trip, *recipients = recipients_json(call, &round_trip);
		pl_reply_json(call->request, 200, json_pack("{so so so so so so}", "id", pl_api_hex(row->id, sizeof(row->id)), "ref",
		              pl_api_ref(call->hotline->charter, row->node, row->lane, row->seq), "sent", pl_api_time(row->sent_ms),
		              "round_trip_ms", round_trip, "recipients", recipients, "relays", relays_json(call)));
	}
	call_free(call);
}

void pl_api_message_receipts(struct pl_request *request, void *ctx)
{
	struct pl_hotline *hotline = ctx;
	struct call *call = call_new(request, hotline, ACTION_GET);
	if (!call)
		return;
	call->with_lines = true;
	call->job = (struct pl_job){ .work = call_work, .done = receipts_done, .ctx = call };
	pl_store_run(hotline->store, &call->job);
}
