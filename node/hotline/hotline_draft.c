#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/hotline/hotline_impl.h"
#include "proto/text.h"

size_t pl_hotline_audience(const struct pl_hotline *hotline, const struct pl_message *message, uint16_t nodes[PL_NODES_MAX])
{
	const struct pl_charter *charter = hotline->charter;
	bool wanted[PL_MEMBERS_MAX] = { false };
	wanted[charter->nodes[hotline->self].member] = true;
	for (uint16_t i = 0; i < message->recipients_count; i++) {
		int member = pl_charter_find_member(charter, message->recipients[i].code);
		if (member >= 0)
			wanted[member] = true;
	}
	size_t count = 0;
	for (uint16_t node = 0; node < charter->nodes_count; node++)
		if (node != hotline->self && wanted[charter->nodes[node].member])
			nodes[count++] = node;
	return count;
}

/* --- what the draft names in the store --- */

/* Of a message that was sent before. */
static enum pl_err take_no_key(struct pl_sending *sending, sqlite3 *db, uint64_t n)
{
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT node FROM hotline_recipient WHERE message = ?1 AND state = ?2 ORDER BY node");
	enum pl_err err = PL_OK;
	if (!statement)
		return pl_store_sql_err(db);
	pl_db_bind_u64(statement, 1, n);
	sqlite3_bind_int(statement, 2, PL_RECIPIENT_NO_KEY);
	sending->no_key_count = 0;
	while (sending->no_key_count < PL_NODES_MAX && pl_db_step(statement, &err) == 1)
		sending->no_key[sending->no_key_count++] = (uint16_t)sqlite3_column_int(statement, 0);
	pl_db_reset(statement);
	return err;
}

/* A message of this id is here: whether this call says the same again, of which attachments are compared by their number. */
static enum pl_err take_repeat(struct pl_sending *sending, sqlite3 *db, uint64_t n)
{
	struct pl_message_row row;
	enum pl_err err = pl_message_load(sending->hotline, db, n, &row);
	if (err != PL_OK)
		return err;
	struct pl_message again = sending->message;
	again.sent_ms = row.sent_ms;
	bool is = again.attachments_count == row.message.attachments_count;
	memcpy(again.attachments, row.message.attachments, sizeof(again.attachments));
	if (is)
		err = pl_message_is_same(&row.message, &again, &is);
	struct pl_sent sent = { .ref = { row.node, row.lane, row.seq }, .time_ms = row.sent_ms };
	memcpy(sent.id, row.id, sizeof(sent.id));
	memcpy(sent.entry_id, row.entry_id, sizeof(sent.entry_id));
	pl_message_row_wipe(&row);
	sqlite3_stmt *statement = pl_store_prepare(db, "SELECT body_bytes FROM entry WHERE node = ?1 AND lane = ?2 AND seq = ?3");
	if (err != PL_OK || !statement)
		return err != PL_OK ? err : pl_store_sql_err(db);
	sqlite3_bind_int(statement, 1, sent.ref.node);
	sqlite3_bind_int(statement, 2, sent.ref.lane);
	pl_db_bind_u64(statement, 3, sent.ref.seq);
	if (pl_db_step(statement, &err) == 1)
		sent.bytes = (size_t)sqlite3_column_int64(statement, 0);
	pl_db_reset(statement);
	sending->sent = sent;
	sending->is_repeat = is;
	if (err == PL_OK && is)
		err = take_no_key(sending, db, n);
	return err != PL_OK || is ? err : PL_ERR_EXISTS;
}

static enum pl_err prepare_work(struct pl_job *job, sqlite3 *db)
{
	struct pl_sending *sending = job->ctx;
	const struct pl_hotline *hotline = sending->hotline;
	struct pl_message *message = &sending->message;
	job->why[0] = '\0';
	if (sending->reply_to) {
		uint64_t n;
		enum pl_err err = pl_message_find(db, &sending->reply_to_key, &n);
		struct pl_message_row row;
		if (err == PL_OK)
			err = pl_message_load(hotline, db, n, &row);
		if (err != PL_OK) {
			if (err == PL_ERR_UNKNOWN || err == PL_ERR_VERSION || err == PL_ERR_REFUSED || err == PL_ERR_EXISTS || err == PL_ERR_DECRYPT)
				snprintf(job->why, sizeof(job->why), "reply_to");
			return err;
		}
		message->has_reply_to = 1;
		memcpy(message->reply_to, row.id, sizeof(row.id));
		pl_message_row_wipe(&row);
	}
	if (sending->has_id) {
		uint64_t n;
		enum pl_err err = pl_message_find_of(db, hotline->self, message->id, &n);
		if (err == PL_OK) {
			err = take_repeat(sending, db, n);
			snprintf(job->why, sizeof(job->why), "id");
		}
		if (err != PL_ERR_UNKNOWN)
			return err;
	}
	uint64_t bytes = 0;
	for (uint8_t i = 0; i < message->attachments_count; i++) {
		struct pl_upload_meta *meta = &sending->metas[i];
		enum pl_err err = pl_upload_take(hotline, db, sending->tokens[i], message->id, i, message->sent_ms, meta);
		if (err != PL_OK) {
			if (err == PL_ERR_UNKNOWN || err == PL_ERR_EXISTS)
				snprintf(job->why, sizeof(job->why), "attachment %u", i + 1u);
			return err;
		}
		struct pl_attachment *attachment = &message->attachments[i];
		attachment->name = (struct pl_text){ meta->name, strlen(meta->name) };
		attachment->media_type = (struct pl_text){ meta->media_type, strlen(meta->media_type) };
		attachment->bytes = meta->bytes;
		memcpy(attachment->sha256, meta->sha256, sizeof(attachment->sha256));
		attachment->chunks = pl_chunks_of(meta->bytes);
		bytes += meta->bytes;
	}
	if (bytes > PL_ATTACHMENT_BYTES_MAX) {
		snprintf(job->why, sizeof(job->why), "bytes");
		return PL_ERR_LIMIT;
	}
	return PL_OK;
}

static void refuse_id_in_use(struct pl_sending *sending)
{
	sending->message.attachments_count = 0; /* what that message has taken stays taken */
	pl_sending_refuse(sending, 409, "id_in_use", "Choose a new one at random for each message.",
	                  "a message that says something else was sent under this id");
}

static void prepared(struct pl_job *job)
{
	struct pl_sending *sending = job->ctx;
	if (job->err == PL_OK && sending->is_repeat) {
		pl_sending_tell(sending);
		pl_sending_free(sending);
		return;
	}
	if (job->err == PL_OK) {
		pl_sending_next(sending);
		return;
	}
	char why[sizeof(job->why)];
	memcpy(why, job->why, sizeof(why));
	if (strcmp(why, "reply_to") == 0) {
		pl_sending_refuse(sending, 422, "unknown_message", "reply_to names a message that this node can show.",
		                  "there is no message %s here to reply to",
		                  sending->reply_to);
	} else if (strcmp(why, "id") == 0 && job->err == PL_ERR_EXISTS) {
		refuse_id_in_use(sending);
	} else if (strcmp(why, "bytes") == 0) {
		pl_sending_refuse(sending, 413, "attachments_too_large", NULL, "the attachments of a message are at most %u bytes together",
		                  (unsigned)PL_ATTACHMENT_BYTES_MAX);
	} else if (job->err == PL_ERR_UNKNOWN) {
		pl_sending_refuse(sending, 422, "unknown_attachment", "An upload is kept for an hour; POST /v1/attachments gives a token.",
		                  "%s: there is no upload with this token", why);
	} else if (job->err == PL_ERR_EXISTS) {
		pl_sending_refuse(sending, 409, "attachment_in_use", "Upload the file again for another message.",
		                  "%s: another message has this upload",
		                  why);
	} else {
		pl_sending_refuse_err(sending, job->err);
	}
}

/* A message of this id is sent and not listed yet: as take_repeat(). Which message it answers is taken as said. */
static void repeat_unlisted(struct pl_sending *sending, const struct pl_sending *first)
{
	struct pl_message again = sending->message;
	bool is = again.attachments_count == first->message.attachments_count && (sending->reply_to != NULL) == (first->message.has_reply_to != 0);
	again.sent_ms = first->message.sent_ms;
	again.has_reply_to = first->message.has_reply_to;
	memcpy(again.reply_to, first->message.reply_to, sizeof(again.reply_to));
	memcpy(again.attachments, first->message.attachments, sizeof(again.attachments));
	enum pl_err err = is ? pl_message_is_same(&first->message, &again, &is) : PL_OK;
	if (err == PL_OK && is) {
		sending->sent = first->sent;
		sending->no_key_count = first->no_key_count;
		memcpy(sending->no_key, first->no_key, sizeof(sending->no_key));
		pl_sending_tell(sending);
		pl_sending_free(sending);
	} else if (err == PL_OK) {
		refuse_id_in_use(sending);
	} else {
		sending->message.attachments_count = 0;
		pl_sending_refuse_err(sending, err);
	}
}

void pl_sending_prepare(struct pl_sending *sending)
{
	struct pl_hotline *hotline = sending->hotline;
	if (hotline->stopped) {
		sending->message.attachments_count = 0;
		pl_sending_refuse_err(sending, PL_ERR_STATE);
		return;
	}
	const struct pl_sending *first = sending->has_id ? pl_sending_unlisted(hotline, sending->message.id, sending->message.id) : NULL;
	if (first) {
		repeat_unlisted(sending, first);
		return;
	}
	sending->job = (struct pl_job){ .work = prepare_work, .done = prepared, .ctx = sending, .writes = true,
	                                .urgent = sending->flags & PL_FLAG_FLASH };
	pl_store_run(hotline->store, &sending->job);
}

/* --- the draft --- */

static char *copy_text(const char *text, struct pl_text *out)
{
	char *copy = strdup(text);
	*out = (struct pl_text){ copy, strlen(text) };
	return copy;
}

/* "SGP", "SGP and CHE" …, for error sentences. */
static void list_add(char *list, size_t list_max, const char *code)
{
	size_t used = strlen(list);
	snprintf(list + used, list_max - used, "%s%s", used ? ", " : "", code);
}

/* Adds recipients; false after having refused. */
static bool add_recipients(struct pl_sending *sending, const char *const *codes, size_t count, uint8_t info)
{
	struct pl_message *message = &sending->message;
	for (size_t i = 0; i < count; i++) {
		int member = pl_ref_find_member(sending->hotline->charter, codes[i]);
		if (member < 0) {
			pl_sending_refuse(sending, 422, "unknown_recipient", "Recipients are codes of members, as GET /v1/peers lists them.",
			                  "%.40s is no member of this network", codes[i]);
			return false;
		}
		const char *code = sending->hotline->charter->members[member].code;
		bool stands = false;
		for (uint16_t k = 0; k < message->recipients_count; k++)
			stands |= strcmp(message->recipients[k].code, code) == 0;
		if (stands) {
			pl_sending_refuse(sending, 422, "duplicate_recipient", NULL, "%s stands among the recipients twice", code);
			return false;
		}
		if (message->recipients_count == PL_RECIPIENTS_MAX) /* as many as there can be members */
			return true;
		struct pl_recipient *recipient = &message->recipients[message->recipients_count++];
		memcpy(recipient->code, code, sizeof(recipient->code));
		recipient->info = info;
	}
	return true;
}

/* A node of a member that has others with a key: the message goes to those. Of the members addressed it is said which are left out. */
static void keep_those_with_a_key(struct pl_sending *sending)
{
	const struct pl_message *message = &sending->message;
	size_t kept = 0;
	for (size_t i = 0; i < sending->nodes_count; i++) {
		const uint16_t node = sending->nodes[i];
		bool is_addressed = false;
		for (uint16_t k = 0; k < message->recipients_count; k++)
			is_addressed |= strcmp(message->recipients[k].code, pl_api_member(sending->hotline->charter, node)) == 0;
		if (pl_epoch_current(sending->hotline->epoch, node, NULL))
			sending->nodes[kept++] = node;
		else if (is_addressed)
			sending->no_key[sending->no_key_count++] = node;
	}
	sending->nodes_count = kept;
}

static bool check_recipients(struct pl_sending *sending, const struct pl_draft *draft)
{
	struct pl_hotline *hotline = sending->hotline;
	const struct pl_charter *charter = hotline->charter;
	struct pl_message *message = &sending->message;
	if (draft->to_count == 0) {
		pl_sending_refuse(sending, 422, "no_recipient", NULL, "\"to\" names nobody: a message goes to one member at least");
		return false;
	}
	if (!add_recipients(sending, draft->to, draft->to_count, 0) || !add_recipients(sending, draft->info, draft->info_count, 1))
		return false;
	sending->nodes_count = pl_hotline_audience(hotline, message, sending->nodes);
	char missing[160] = "";
	bool others = false;
	for (uint16_t i = 0; i < message->recipients_count; i++) {
		const struct pl_member *member = &charter->members[pl_charter_find_member(charter, message->recipients[i].code)];
		if (strcmp(member->code, pl_api_member(charter, hotline->self)) == 0)
			continue;
		others = true;
		bool has_key = false;
		for (uint16_t k = 0; k < member->nodes_count; k++)
			has_key |= pl_epoch_current(hotline->epoch, (uint16_t)(member->first_node + k), NULL);
		if (!has_key)
			list_add(missing, sizeof(missing), member->code);
	}
	if (!others && sending->nodes_count == 0) {
		pl_sending_refuse(sending, 422, "only_self", NULL, "the only recipient is this node's own member, which has no other node");
		return false;
	}
	keep_those_with_a_key(sending);
	if (!others && sending->nodes_count == 0) /* nobody but this node could ever read it */
		list_add(missing, sizeof(missing), pl_api_member(charter, hotline->self));
	if (pl_core_is_frozen(hotline->core)) /* pl_sending_next says so: no key that comes would help */
		return true;
	if (missing[0]) {
		pl_sending_refuse(sending, 409, "no_epoch_key",
		                  "Each node publishes a key every day; parley peers shows up to when the last one known"
		                                                " here is valid.",
		                  "no encryption key that is valid now is known of: %s", missing);
		return false;
	}
	if (!pl_epoch_current(hotline->epoch, hotline->self, NULL)) {
		pl_sending_refuse(sending, 503, "not_ready", "Try again in a moment.", "this node has no encryption key of its own yet");
		return false;
	}
	return true;
}

static bool check_id(struct pl_sending *sending, const struct pl_draft *draft)
{
	struct pl_hotline *hotline = sending->hotline;
	size_t bytes = 0;
	const char *end = NULL;
	sending->has_id = draft->id != NULL;
	if (!draft->id) {
		randombytes_buf(sending->message.id, sizeof(sending->message.id));
		return true;
	}
	if (sodium_hex2bin(sending->message.id, PL_MESSAGE_ID_BYTES, draft->id, strlen(draft->id), NULL, &bytes, &end) != 0 || *end != '\0' ||
	    bytes != PL_MESSAGE_ID_BYTES) {
		pl_sending_refuse(sending, 422, "bad_new_id", "32 hex digits, chosen at random.", "\"%.40s\" cannot be the id of a message",
		                  draft->id);
		return false;
	}
	/* Until it is known what was sent before the daemon ended, nobody can say whether this is new. */
	for (uint8_t lane = 0; lane < 2; lane++) {
		if (pl_applier_place(hotline->applier, hotline->self, lane) >= hotline->own_left[lane])
			continue;
		pl_sending_refuse(sending, 503, "not_ready", "Try again in a moment.",
		                  "this node still looks at what it sent before it was started");
		return false;
	}
	return true;
}

static bool check_texts(struct pl_sending *sending, const struct pl_draft *draft)
{
	struct pl_message *message = &sending->message;
	int precedence = pl_precedence_parse(draft->precedence);
	if (precedence < 0) {
		pl_sending_refuse(sending, 422, "bad_precedence", "routine, priority, immediate or flash", "\"%.40s\" is no precedence",
		                  draft->precedence);
		return false;
	}
	message->precedence = (uint8_t)precedence;
	sending->lane = precedence >= PL_IMMEDIATE ? 0 : 1;
	sending->flags = precedence == PL_FLASH ? PL_FLAG_FLASH : 0;
	if (strlen(draft->subject) > PL_SUBJECT_BYTES_MAX || !pl_text_is_line(draft->subject, strlen(draft->subject))) {
		pl_sending_refuse(sending, 422, "bad_subject", NULL,
		                  "a subject is one line of at most %u bytes of UTF-8 without control characters",
		                  PL_SUBJECT_BYTES_MAX);
		return false;
	}
	if (!pl_text_is_name(draft->operator_name, strlen(draft->operator_name))) {
		pl_sending_refuse(sending, 422, "bad_operator", NULL, "an operator's name is one line of 1 to %u bytes of UTF-8",
		                  PL_NAME_BYTES_MAX);
		return false;
	}
	size_t text_max = precedence == PL_FLASH ? PL_FLASH_TEXT_BYTES_MAX : PL_TEXT_BYTES_MAX, text_bytes = strlen(draft->text);
	if (text_bytes > text_max) {
		pl_sending_refuse(sending, 413, "text_too_long",
		                  precedence == PL_FLASH ? "Put the rest into an attachment, or send it with another precedence." :
		                                           "Put the rest into an attachment.",
		                  "the text has %zu bytes; with precedence %s it may have %zu", text_bytes,
		                  pl_precedence_name((unsigned)precedence), text_max);
		return false;
	}
	if (!pl_text_is_utf8(draft->text, text_bytes)) {
		pl_sending_refuse(sending, 422, "bad_text", NULL, "the text is not UTF-8");
		return false;
	}
	if (text_bytes == 0 && draft->subject[0] == '\0' && draft->attachments_count == 0) {
		pl_sending_refuse(sending, 422, "empty_message", NULL, "the message has neither subject nor text nor attachment");
		return false;
	}
	if (draft->expires_ms && draft->expires_ms <= message->sent_ms) {
		pl_sending_refuse(sending, 422, "expired", NULL, "the message would expire before it is sent");
		return false;
	}
	message->expires_ms = draft->expires_ms;
	message->exercise = draft->exercise;
	sending->operator_name = copy_text(draft->operator_name, &message->operator_name);
	sending->subject = copy_text(draft->subject, &message->subject);
	sending->text = copy_text(draft->text, &message->text);
	return true;
}

static bool check_references(struct pl_sending *sending, const struct pl_draft *draft)
{
	if (draft->attachments_count > PL_ATTACHMENTS_MAX) {
		pl_sending_refuse(sending, 413, "too_many_attachments", NULL, "a message has at most %d attachments", PL_ATTACHMENTS_MAX);
		return false;
	}
	for (size_t i = 0; i < draft->attachments_count; i++) {
		size_t bytes = 0;
		const char *end = NULL;
		if (sodium_hex2bin(sending->tokens[i], PL_TOKEN_BYTES, draft->attachments[i], strlen(draft->attachments[i]), NULL, &bytes,
		                   &end) != 0 ||
		    *end != '\0' || bytes != PL_TOKEN_BYTES) {
			pl_sending_refuse(sending, 422, "unknown_attachment", "POST /v1/attachments gives a token for an upload.",
			                  "\"%.40s\" is no token",
			                  draft->attachments[i]);
			return false;
		}
	}
	if (draft->reply_to) {
		sending->reply_to = strdup(draft->reply_to);
		if (pl_message_key_parse(sending->hotline, draft->reply_to, &sending->reply_to_key) != PL_OK) {
			pl_sending_refuse(sending, 422, "unknown_message", "reply_to is the id of a message, or its place (FIN/0/17).",
			                  "\"%.80s\" names no message",
			                  draft->reply_to);
			return false;
		}
	}
	/* Only now: pl_sending_refuse() releases uploads when there are some. */
	sending->message.attachments_count = (uint8_t)draft->attachments_count;
	if (draft->attachments_count > 0)
		sending->metas = calloc(PL_ATTACHMENTS_MAX, sizeof(*sending->metas));
	return true;
}

void pl_hotline_send(struct pl_hotline *hotline, const struct pl_draft *draft, pl_send_done done, void *ctx)
{
	struct pl_sending *sending = calloc(1, sizeof(*sending));
	if (!sending) {
		struct pl_refusal refusal = { .status = 500, .code = "internal", .message = "no memory" };
		done(ctx, &refusal, NULL);
		return;
	}
	sending->hotline = hotline;
	sending->done = done;
	sending->ctx = ctx;
	sending->message.sent_ms = pl_core_wall_ms(hotline->core);
	memcpy(sending->message.sender, pl_api_member(hotline->charter, hotline->self), PL_MEMBER_CODE_BYTES);
	sending->next = hotline->sendings;
	hotline->sendings = sending;
	if (!check_id(sending, draft) || !check_texts(sending, draft) || !check_recipients(sending, draft) || !check_references(sending, draft))
		return;
	if (!sending->operator_name || !sending->subject || !sending->text || (draft->reply_to && !sending->reply_to) ||
	    (draft->attachments_count > 0 && !sending->metas)) {
		sending->message.attachments_count = 0; /* none was taken yet */
		pl_sending_refuse_err(sending, PL_ERR_MEMORY);
		return;
	}
	struct pl_sending *other = sending->has_id ? sending->next : NULL;
	while (other && memcmp(other->message.id, sending->message.id, sizeof(other->message.id)) != 0)
		other = other->next;
	if (other && !other->is_unlisted) { /* the latest of those that say the same now: it is waited for by nobody else */
		sending->waits_for = other;
		return;
	}
	if (sending->has_id || sending->reply_to || sending->message.attachments_count > 0)
		pl_sending_prepare(sending);
	else
		pl_sending_next(sending);
}
