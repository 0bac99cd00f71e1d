#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"

#define LIST_MAX 200u
#define LIST_DEFAULT 50u
#define TIMES_APART_MS_MAX 60000u
#define SEND_BODY_BYTES_MAX 524288u /* 60,000 bytes of text, each perhaps as \u00xx */

/* --- items --- */

static json_t *recipients_json(const struct pl_message *message, uint8_t info)
{
	json_t *list = json_array();
	for (uint16_t i = 0; i < message->recipients_count; i++)
		if ((message->recipients[i].info != 0) == (info != 0))
			json_array_append_new(list, json_string(message->recipients[i].code));
	return list;
}

json_t *pl_message_item(const struct pl_hotline *hotline, const struct pl_message_row *row, const struct pl_recipient_state *states,
                        size_t states_count)
{
	const struct pl_charter *charter = hotline->charter;
	json_t *receipts = json_object();
	for (size_t i = 0; i < states_count; i++) {
		char name[PL_NODE_NAME_BYTES];
		pl_charter_node_name(charter, states[i].node, name);
		json_object_set_new(receipts, name, json_string(pl_receipt_state_name(states[i].state)));
	}
	/* PROTOCOL: "Where they differ from the entry's author and time, by more than a minute, the reader says so." */
	uint64_t apart_ms = row->sent_ms > row->entry_ms ? row->sent_ms - row->entry_ms : row->entry_ms - row->sent_ms;
	return json_pack("{so so so ss ss so so ss so so so sb so so sb sb si sb so}", "id", pl_api_hex(row->id, sizeof(row->id)), "ref",
	                 pl_api_ref(charter, row->node, row->lane, row->seq), "entry_id",
	                 pl_api_hex(row->entry_id, sizeof(row->entry_id)), "box", row->box == PL_BOX_IN ? "in" : "out", "from",
	                 row->message.sender, "to", recipients_json(&row->message, 0), "info", recipients_json(&row->message, 1), "precedence",
	                 pl_precedence_name(row->precedence), "subject", pl_api_text(&row->message.subject), "sent", pl_api_time(row->sent_ms),
	                 "entry_time", pl_api_time(row->entry_ms), "times_differ", apart_ms > TIMES_APART_MS_MAX, "received",
	                 pl_api_time(row->received_ms), "expires", pl_api_time(row->message.expires_ms), "unread", row->unread, "accepted", row->accepted, "attachments",
	                 row->attachments, "exercise", row->exercise, "receipts", receipts);
}

enum pl_err pl_recipient_states(sqlite3 *db, const struct pl_hotline *hotline, const struct pl_message_row *row,
                                struct pl_recipient_state **out, size_t *count)
{
	/* Of own messages, how far each recipient is; of others', what this node itself has said. */
	sqlite3_stmt *statement = pl_store_prepare(db, row->box == PL_BOX_OUT ?
		"SELECT node, state, decrypted_ms FROM hotline_recipient WHERE message = ?1 ORDER BY node" :
		"SELECT node, max(type), 0 FROM hotline_receipt WHERE message_id = ?1 AND node = ?2 AND to_node = ?3 GROUP BY node");
	if (!statement)
		return pl_store_sql_err(db);
	if (row->box == PL_BOX_OUT) {
		pl_db_bind_u64(statement, 1, row->n);
	} else {
		pl_db_bind_blob(statement, 1, row->id, sizeof(row->id));
		sqlite3_bind_int(statement, 2, hotline->self);
		sqlite3_bind_int(statement, 3, row->node);
	}
	struct pl_recipient_state *states = NULL;
	size_t states_count = 0, room = 0;
	enum pl_err err = PL_OK;
	while (err == PL_OK && pl_db_step(statement, &err) == 1) {
		if (states_count == room) {
			room = room ? 2 * room : 4;
			struct pl_recipient_state *more = realloc(states, room * sizeof(*states));
			if (!more) {
				err = PL_ERR_MEMORY;
				break;
			}
			states = more;
		}
		int node = sqlite3_column_int(statement, 0);
		if (node < 0 || node >= hotline->charter->nodes_count) {
			err = PL_ERR_CORRUPT;
			break;
		}
		states[states_count++] = (struct pl_recipient_state){ (uint16_t)node, (uint8_t)sqlite3_column_int(statement, 1),
		                                                      pl_db_u64(statement, 2) };
	}
	pl_db_reset(statement);
	if (err != PL_OK) {
		free(states);
		return err;
	}
	*out = states;
	*count = states_count;
	return PL_OK;
}

/* --- POST /v1/messages --- */

struct send_call {
	const struct pl_hotline *hotline;
	struct pl_request *request;
	json_t *to;
};

static void send_done(void *ctx, const struct pl_refusal *refusal, const struct pl_sent *sent)
{
	struct send_call *call = ctx;
	if (refusal && refusal->retry_after_ms > 0) {
		pl_reply_json(call->request, refusal->status, json_pack("{s{ss ss ss* sI}}", "error", "code", refusal->code, "message",
		              refusal->message, "hint", refusal->hint, "retry_after_ms", (json_int_t)refusal->retry_after_ms));
	} else if (refusal) {
		pl_reply_error(call->request, refusal->status, refusal->code, refusal->hint, "%s", refusal->message);
	} else {
		json_t *no_key = json_array();
		for (size_t i = 0; i < sent->no_key_count; i++)
			json_array_append_new(no_key, pl_api_node(call->hotline->charter, sent->no_key[i]));
		pl_reply_json(call->request, 201, json_pack("{so so so so sO sI so sb sb}", "id", pl_api_hex(sent->id, sizeof(sent->id)), "ref",
		              pl_api_ref(call->hotline->charter, sent->ref.node, sent->ref.lane, sent->ref.seq), "entry_id",
		              pl_api_hex(sent->entry_id, sizeof(sent->entry_id)), "time", pl_api_time(sent->time_ms), "to", call->to, "bytes",
		              (json_int_t)sent->bytes, "no_key", no_key, "durable", true, "listed", !sent->is_unlisted));
	}
	json_decref(call->to);
	free(call);
}

/* Reads a list of strings into *out, borrowed from the JSON; false after having replied. */
static bool take_list(struct pl_request *request, const json_t *body, const char *name, size_t count_max, const char ***out, size_t *count)
{
	const json_t *list = json_object_get(body, name);
	*count = 0;
	*out = NULL;
	if (!list || json_is_null(list))
		return true;
	if (!json_is_array(list) || json_array_size(list) > count_max) {
		pl_reply_error(request, 400, "bad_request", NULL, "\"%s\" is a list of at most %zu strings", name, count_max);
		return false;
	}
	const char **strings = calloc(json_array_size(list) + 1, sizeof(*strings));
	if (!strings) {
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the message was not sent");
		return false;
	}
	for (size_t i = 0; i < json_array_size(list); i++) {
		strings[i] = json_string_value(json_array_get(list, i));
		if (!strings[i]) {
			pl_reply_error(request, 400, "bad_request", NULL, "\"%s\" is a list of strings; item %zu is none", name, i + 1);
			free(strings);
			return false;
		}
	}
	*out = strings;
	*count = json_array_size(list);
	return true;
}

static bool take_draft(struct pl_request *request, json_t *body, struct pl_draft *draft, const char ***lists)
{
	static const char *const names[] = { "to", "info", "precedence", "subject", "text", "expires", "reply_to", "attachments", "exercise",
	                                     "operator", "id", NULL };
	const char *expires;
	if (!pl_api_only_known(request, body, names) || !take_list(request, body, "to", PL_RECIPIENTS_MAX, &lists[0], &draft->to_count) ||
	    !take_list(request, body, "info", PL_RECIPIENTS_MAX, &lists[1], &draft->info_count) ||
	    !take_list(request, body, "attachments", PL_ATTACHMENTS_MAX, &lists[2], &draft->attachments_count) ||
	    !pl_api_take_string(request, body, "precedence", "routine", &draft->precedence) ||
	    !pl_api_take_string(request, body, "subject", "", &draft->subject) ||
	    !pl_api_take_string(request, body, "text", "", &draft->text) ||
	    !pl_api_take_string(request, body, "operator", pl_request_user(request), &draft->operator_name) ||
	    !pl_api_take_string(request, body, "reply_to", NULL, &draft->reply_to) ||
	    !pl_api_take_string(request, body, "id", NULL, &draft->id) ||
	    !pl_api_take_string(request, body, "expires", NULL, &expires))
		return false;
	draft->to = lists[0];
	draft->info = lists[1];
	draft->attachments = lists[2];
	const json_t *exercise = json_object_get(body, "exercise");
	if (exercise && !json_is_boolean(exercise)) {
		pl_reply_error(request, 400, "bad_request", NULL, "\"exercise\" is true or false");
		return false;
	}
	draft->exercise = json_is_true(exercise);
	if (expires && pl_api_time_parse(expires, &draft->expires_ms) != PL_OK) {
		pl_reply_error(request, 400, "bad_request", "For example 2026-11-24T18:00:00Z.", "\"expires\" is no time: \"%.60s\"", expires);
		return false;
	}
	return true;
}

static void on_send(struct pl_request *request, void *ctx)
{
	struct pl_hotline *hotline = ctx;
	json_t *body = pl_request_json(request);
	if (!body)
		return;
	struct pl_draft draft = { .exercise = false };
	const char **lists[3] = { NULL, NULL, NULL };
	if (take_draft(request, body, &draft, lists)) {
		struct send_call *call = malloc(sizeof(*call));
		json_t *to = json_object_get(body, "to");
		if (call) {
			*call = (struct send_call){ hotline, request, to ? json_incref(to) : json_array() };
			pl_hotline_send(hotline, &draft, send_done, call);
		} else {
			pl_api_reply_failed(request, PL_ERR_MEMORY, "the message was not sent");
		}
	}
	for (int i = 0; i < 3; i++)
		free(lists[i]);
}

/* --- GET /v1/messages --- */

struct list_call {
	struct pl_job job;
	struct pl_hotline *hotline;
	struct pl_request *request;
	int box, precedence; /* 0, -1: all */
	bool unread, unaccepted, has_after;
	char *query; /* looked for in subject and text; or NULL */
	struct pl_ref scanned; /* the last that was looked at and is no match beyond this page: where the next one goes on */
	struct pl_message_key after;
	char *after_name;
	uint64_t limit;
	size_t count;
	bool more;
	struct {
		struct pl_message_row row;
		struct pl_recipient_state *states;
		size_t states_count;
	} items[LIST_MAX + 1]; /* one more than is listed: so it is known whether there are more */
};

/* A search opens each message: so many for one answer, which then has few or none, and goes on. */
#define SCAN_MAX 500u

static enum pl_err matches(const struct list_call *call, sqlite3 *db, uint64_t n, bool *out)
{
	struct pl_message_row row;
	enum pl_err err = pl_message_load(call->hotline, db, n, &row);
	if (err != PL_OK)
		return err;
	*out = pl_api_contains(row.message.subject.chars, row.message.subject.bytes, call->query) ||
	       pl_api_contains(row.message.text.chars, row.message.text.bytes, call->query);
	pl_message_row_wipe(&row);
	return PL_OK;
}

static enum pl_err list_work(struct pl_job *job, sqlite3 *db)
{
	struct list_call *call = job->ctx;
	uint64_t before = INT64_MAX;
	enum pl_err err = call->has_after ? pl_message_find(db, &call->after, &before) : PL_OK;
	if (err != PL_OK)
		return err;
	/* One statement for each set of filters, so that each goes by its own index; newest first. */
	char sql[600];
	snprintf(sql, sizeof(sql), "SELECT " PL_MESSAGE_COLUMNS " FROM hotline_message WHERE n < ?1%s%s%s%s ORDER BY n DESC LIMIT ?2",
	         call->unread ? " AND unread = 1" : "", call->unaccepted ? " AND box = 1 AND accepted = 0" : "", call->box ? " AND box = ?3" : "", call->precedence >= 0 ? " AND precedence = ?4" : "");
	sqlite3_stmt *statement = pl_store_prepare(db, sql);
	if (!statement)
		return pl_store_job_err(job, db);
	pl_db_bind_u64(statement, 1, before);
	pl_db_bind_u64(statement, 2, (call->query ? SCAN_MAX : call->limit) + 1);
	if (call->box)
		sqlite3_bind_int(statement, 3, call->box);
	if (call->precedence >= 0)
		sqlite3_bind_int(statement, 4, call->precedence);
	for (size_t looked_at = 0; err == PL_OK && pl_db_step(statement, &err) == 1; looked_at++) {
		struct pl_message_row *row = &call->items[call->count].row;
		if (call->query ? looked_at == SCAN_MAX : call->count == call->limit) {
			call->more = true; /* of a search perhaps: the next page looks on */
			break;
		}
		err = pl_message_row_take(call->hotline, statement, row);
		if (err != PL_OK)
			break;
		const struct pl_ref ref = { row->node, row->lane, row->seq };
		bool is_wanted = true;
		if (call->query)
			err = matches(call, db, row->n, &is_wanted);
		call->more = err == PL_OK && is_wanted && call->count == call->limit;
		if (err == PL_OK && is_wanted && !call->more)
			call->count++;
		else
			pl_message_row_wipe(row);
		if (call->more)
			break;
		call->scanned = ref;
	}
	pl_db_reset(statement);
	for (size_t i = 0; err == PL_OK && i < call->count; i++)
		err = pl_recipient_states(db, call->hotline, &call->items[i].row, &call->items[i].states, &call->items[i].states_count);
	return err;
}

static void list_done(struct pl_job *job)
{
	struct list_call *call = job->ctx;
	if (job->err != PL_OK) {
		if (call->has_after)
			pl_hotline_reply_missing(call->request, job->err, call->after_name);
		else
			pl_api_reply_failed(call->request, job->err, "the messages cannot be listed");
	} else {
		json_t *list = json_array();
		for (size_t i = 0; i < call->count; i++)
			json_array_append_new(list, pl_message_item(call->hotline, &call->items[i].row, call->items[i].states,
			                                            call->items[i].states_count));
		json_t *next = call->more ? pl_api_ref(call->hotline->charter, call->scanned.node, call->scanned.lane, call->scanned.seq) : json_null();
		pl_reply_json(call->request, 200, json_pack("{so so}", "messages", list, "next", next));
	}
	for (size_t i = 0; i < call->count; i++) {
		pl_message_row_wipe(&call->items[i].row);
		free(call->items[i].states);
	}
	free(call->after_name);
	free(call->query);
	free(call);
}

static void on_list(struct pl_request *request, void *ctx)
{
	struct pl_hotline *hotline = ctx;
	const char *box = pl_request_query(request, "box"), *unread = pl_request_query(request, "unread"),
	           *accepted = pl_request_query(request, "accepted");
	const char *precedence = pl_request_query(request, "precedence"), *after = pl_request_query(request, "after"),
	           *query = pl_request_query(request, "q");
	uint64_t limit = LIST_DEFAULT;
	if (!pl_request_query_u64(request, "limit", 1, LIST_MAX, &limit))
		return;
	int box_number = !box || strcmp(box, "all") == 0 ? 0 : strcmp(box, "in") == 0 ? PL_BOX_IN : strcmp(box, "out") == 0 ? PL_BOX_OUT : -1;
	int precedence_number = precedence ? pl_precedence_parse(precedence) : -1;
	if (box_number < 0) {
		pl_reply_error(request, 400, "bad_request", NULL, "box is in, out or all, not \"%.60s\"", box);
		return;
	}
	if (unread && strcmp(unread, "true") != 0 && strcmp(unread, "false") != 0) {
		pl_reply_error(request, 400, "bad_request", NULL, "unread is true or false, not \"%.60s\"", unread);
		return;
	}
	if (accepted && strcmp(accepted, "false") != 0) {
		pl_reply_error(request, 400, "bad_request", NULL, "accepted can only be false, what nobody has accepted here, not \"%.60s\"", accepted);
		return;
	}
	if (precedence && precedence_number < 0) {
		pl_reply_error(request, 400, "bad_request", NULL, "precedence is routine, priority, immediate or flash, not \"%.60s\"", precedence);
		return;
	}
	struct list_call *call = calloc(1, sizeof(*call));
	if (!call) {
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the messages cannot be listed");
		return;
	}
	call->hotline = hotline;
	call->request = request;
	call->box = box_number;
	call->precedence = precedence_number;
	call->unread = unread && strcmp(unread, "true") == 0;
	call->unaccepted = accepted != NULL;
	call->limit = limit;
	call->has_after = after != NULL;
	enum pl_err err = after ? pl_message_key_parse(hotline, after, &call->after) : PL_OK;
	if (err == PL_OK && after && !(call->after_name = strdup(after)))
		err = PL_ERR_MEMORY;
	if (err == PL_OK && query && query[0] && !(call->query = strdup(query)))
		err = PL_ERR_MEMORY;
	if (err != PL_OK) {
		free(call->after_name);
		pl_hotline_reply_missing(request, err, after ? after : "");
		free(call);
		return;
	}
	call->job = (struct pl_job){ .work = list_work, .done = list_done, .ctx = call };
	pl_store_run(hotline->store, &call->job);
}

/* --- routes --- */

enum pl_err pl_hotline_add_routes(struct pl_hotline *hotline, struct pl_http *http)
{
	static const struct pl_route routes[] = {
		{ "POST", "/v1/attachments", PL_ATTACHMENT_BYTES_MAX, pl_api_upload },
		{ "POST", "/v1/messages", SEND_BODY_BYTES_MAX, on_send },
		{ "GET", "/v1/messages", 0, on_list },
		{ "GET", "/v1/messages/{id}", 0, pl_api_message_get },
		{ "POST", "/v1/messages/{id}/read", PL_MESSAGE_BODY_BYTES_MAX, pl_api_message_read },
		{ "POST", "/v1/messages/{id}/accept", PL_MESSAGE_BODY_BYTES_MAX, pl_api_message_accept },
		{ "GET", "/v1/messages/{id}/receipts", 0, pl_api_message_receipts },
		{ "GET", "/v1/messages/{id}/attachments/{n}", 0, pl_api_download },
	};
	return pl_http_add_routes(http, routes, sizeof(routes) / sizeof(routes[0]), hotline);
}
