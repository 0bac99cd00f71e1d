#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/messages.h"
#include "proto/content.h"
#include "proto/text.h"

#define INBOX_LIMIT 50
#define INBOX_LIMIT_MAX 1000000
#define PAGE 200
#define SHORT_ID_CHARS 8
#define ASK_MS_MAX 10000
#define CLOCKS_DIFFER_MS 60000

/* --- what messages look like --- */

/* A time of the API as tables show it; "-" where there is none. */
static char *time_text(const json_t *object, const char *key)
{
	int64_t ms;
	return pl_json_time(object, key, &ms) ? pl_time_short(ms) : pl_format("-");
}

enum pl_style pl_precedence_style(const char *precedence)
{
	switch (pl_precedence_parse(precedence)) {
	case PL_FLASH:
	case PL_OVERRIDE: return PL_URGENT;
	case PL_IMMEDIATE: return PL_YELLOW;
	default: return PL_PLAIN;
	}
}

/* Its sender says that it was sent over a minute after it was received here. */
static bool clocks_differ(const json_t *message)
{
	int64_t sent_ms, received_ms;
	return pl_json_time(message, "sent", &sent_ms) && pl_json_time(message, "received", &received_ms) && sent_ms - received_ms > CLOCKS_DIFFER_MS;
}

/* A recipient's state, as people read it. */
static const char *state_text(const char *state)
{
	return strcmp(state, "no_key") == 0 ? "no key" : state;
}

/* "SGP; info CHE" */
static char *addressees_of(const json_t *message)
{
	const json_t *info = json_object_get(message, "info");
	char *to = pl_json_join(json_object_get(message, "to"), ",");
	return json_array_size(info) == 0 ? to : pl_format("%s; info %s", to, pl_json_join(info, ","));
}

/* --- inbox --- */

static char *state_of(const json_t *message)
{
	const char *node;
	json_t *state;
	char *line = pl_format("%s", "");
	int64_t expires_ms;
	const char *expired = pl_json_time(message, "expires", &expires_ms) && expires_ms < pl_now_ms() ? ", EXPIRED" : "";
	if (strcmp(pl_json_text(message, "box"), "out") != 0)
		return pl_format("%s%s", json_is_true(json_object_get(message, "unread")) ? "unread" :
		                 json_is_true(json_object_get(message, "accepted")) ? "accepted" : "read", expired);
	json_object_foreach(json_object_get(message, "receipts"), node, state)
		line = pl_format("%s%s%s %s", line, line[0] == '\0' ? "" : ", ", node, json_is_string(state) ? state_text(json_string_value(state)) : "?");
	if (expired[0] != '\0')
		line = pl_format("%s%s", line, line[0] == '\0' ? expired + 2 : expired);
	return line;
}

static void print_messages(const json_t *messages)
{
	static const char *const columns[] = { "MESSAGE", "+ID", "PRECEDENCE", "FROM", "TO", "*SUBJECT", "+SENT", "STATE" };
	struct pl_table *table = pl_table_new(columns, sizeof(columns) / sizeof(*columns));
	size_t i;
	json_t *m;
	json_array_foreach(messages, i, m) {
		const char *precedence = pl_json_text(m, "precedence");
		enum pl_style style = json_is_true(json_object_get(m, "unread")) ? PL_BOLD : PL_PLAIN;
		uint64_t attachments = pl_json_number(m, "attachments");
		pl_table_cell(table, PL_BOLD, "%s", pl_json_text(m, "ref"));
		pl_table_cell(table, PL_DIM, "%.*s", SHORT_ID_CHARS, pl_json_text(m, "id"));
		pl_table_cell(table, pl_precedence_style(precedence), "%s", pl_upper(precedence));
		pl_table_cell(table, PL_PLAIN, "%s", pl_json_text(m, "from"));
		pl_table_cell(table, PL_PLAIN, "%s", addressees_of(m));
		pl_table_cell(table, style, "%s%s%s", json_is_true(json_object_get(m, "exercise")) ? "EXERCISE " : "", pl_json_text(m, "subject"),
		              attachments == 0 ? "" : pl_format(" [+%u]", (unsigned)attachments));
		pl_table_cell(table, PL_PLAIN, "%s", time_text(m, "sent"));
		pl_table_cell(table, style, "%s", state_of(m));
	}
	pl_table_print(table);
}

static char *inbox_path(const struct pl_args *args, uint64_t limit, const char *after)
{
	const char *box = pl_args_get(args, "box"), *precedence = pl_args_get(args, "precedence"), *search = pl_args_get(args, "search");
	char *path = pl_path("/v1/messages?box=%s&limit=%llu", box == NULL ? "in" : box, (unsigned long long)(limit < PAGE ? limit : PAGE));
	if (pl_args_has(args, "unread"))
		path = pl_format("%s&unread=true", path);
	if (pl_args_has(args, "unaccepted"))
		path = pl_format("%s&accepted=false", path);
	if (precedence != NULL)
		path = pl_format("%s%s", path, pl_path("&precedence=%s", precedence));
	if (search != NULL)
		path = pl_format("%s%s", path, pl_path("&q=%s", search));
	if (after != NULL)
		path = pl_format("%s%s", path, pl_path("&after=%s", after));
	return path;
}

/* Appends at most limit messages after *next; *next: where they go on, NULL at the end. */
static enum pl_exit list_messages(struct pl_cli *cli, const struct pl_args *args, uint64_t limit, json_t *messages, char **next)
{
	do { /* a search goes on where it has found nothing */
		json_t *reply;
		enum pl_exit exit = pl_call(cli, "GET", inbox_path(args, limit, *next), NULL, &reply);
		if (exit != PL_EXIT_OK)
			return exit;
		const size_t count = json_array_size(json_object_get(reply, "messages"));
		const char *goes_on = json_string_value(json_object_get(reply, "next"));
		json_array_extend(messages, json_object_get(reply, "messages"));
		*next = goes_on == NULL ? NULL : pl_format("%s", goes_on);
		limit -= count < limit ? count : limit;
		json_decref(reply);
	} while (limit > 0 && *next != NULL);
	return PL_EXIT_OK;
}

static enum pl_exit run_inbox(struct pl_cli *cli, const struct pl_args *args)
{
	const char *after = pl_args_get(args, "after");
	json_t *messages = json_array(), *more = json_array();
	char *next = after == NULL ? NULL : pl_format("%s", after);
	enum pl_exit exit = list_messages(cli, args, pl_args_number(args, "limit", INBOX_LIMIT), messages, &next);
	/* A search that has looked at many messages stops without saying whether there are more that match: look. */
	if (exit == PL_EXIT_OK && next != NULL && pl_args_has(args, "search")) {
		char *beyond = pl_format("%s", next);
		exit = list_messages(cli, args, 1, more, &beyond);
		if (json_array_size(more) == 0)
			next = NULL;
	}
	if (exit == PL_EXIT_OK && cli->json) {
		pl_out_json(json_pack("{s:O, s:s?}", "messages", messages, "next", next));
	} else if (exit == PL_EXIT_OK) {
		print_messages(messages);
		if (json_array_size(messages) == 0)
			pl_remark(cli, "no message");
		if (next != NULL)
			pl_remark(cli, "there are more: --after %s", next);
	}
	json_decref(messages);
	json_decref(more);
	return exit;
}

/* --- read, accept --- */

static void print_attachment(const json_t *attachment, const char *ref)
{
	uint64_t n = pl_json_number(attachment, "n");
	bool is_complete = json_is_true(json_object_get(attachment, "complete"));
	pl_out_field("ATTACHMENT", "%u: \"%s\", %s, %s", (unsigned)n, pl_json_text(attachment, "name"), pl_json_text(attachment, "type"),
	             pl_bytes_text(pl_json_number(attachment, "bytes")));
	pl_out_field("", "sha256 %s", pl_json_text(attachment, "sha256"));
	if (json_is_true(json_object_get(attachment, "damaged")))
		pl_out_field("", "DAMAGED: what came is not what the message says; ask its sender to send it again");
	else if (is_complete)
		pl_out_field("", "parley attachment %s %u", ref, (unsigned)n);
	else
		pl_out_field("", "on its way: %s of %s parts are here", pl_count_text(pl_json_number(attachment, "have_chunks")),
		             pl_count_text(pl_json_number(attachment, "chunks")));
}

/* What a message refers to: by its place, too, where it can be shown here. */
static char *reference_of(struct pl_cli *cli, const char *id)
{
	struct pl_answer answer;
	char *out = pl_format("message %s", id);
	if (pl_try(cli, "GET", pl_path("/v1/messages/%s", id), NULL, NULL, ASK_MS_MAX, &answer) != PL_EXIT_OK)
		return out;
	if (answer.document != NULL)
		out = pl_format("%s, %s", pl_json_text(answer.document, "ref"), out);
	pl_answer_dispose(&answer);
	return out;
}

static void print_message(struct pl_cli *cli, const json_t *m)
{
	const char *precedence = pl_json_text(m, "precedence"), *ref = pl_json_text(m, "ref"), *text = pl_json_text(m, "text"),
	           *operator_name = pl_json_text(m, "operator"), *reply_to = pl_json_text(m, "reply_to");
	int64_t sent_ms, expires_ms, received_ms, entry_ms;
	pl_out_styled(pl_precedence_style(precedence), "%s", pl_upper(precedence));
	pl_out("\n");
	if (json_is_true(json_object_get(m, "exercise"))) {
		pl_out_styled(PL_YELLOW, "EXERCISE EXERCISE EXERCISE");
		pl_out("\n");
	}
	pl_out_field("FROM", "%s%s", pl_json_text(m, "from"), operator_name[0] == '\0' ? "" : pl_format(" (%s)", operator_name));
	pl_out_field("TO", "%s", pl_json_join(json_object_get(m, "to"), ", "));
	if (json_array_size(json_object_get(m, "info")) > 0)
		pl_out_field("INFO", "%s", pl_json_join(json_object_get(m, "info"), ", "));
	pl_out_field("SUBJECT", "%s", pl_json_text(m, "subject"));
	pl_out_field("NUMBER", "%s, message %s", ref, pl_json_text(m, "id"));
	if (pl_json_time(m, "sent", &sent_ms))
		pl_out_field("DATE-TIME", "%s", pl_time_full(sent_ms));
	if (json_is_true(json_object_get(m, "times_differ")) && pl_json_time(m, "entry_time", &entry_ms)) {
		pl_out_styled(PL_YELLOW, "TIMES DIFFER");
		pl_out_rest(12, ": its entry was signed at %s", pl_time_full(entry_ms));
	}
	if (pl_json_time(m, "received", &received_ms) && strcmp(pl_json_text(m, "box"), "in") == 0)
		pl_out_field("RECEIVED", "%s%s", pl_time_full(received_ms), clocks_differ(m) ? ": before it was sent; clocks differ" : "");
	if (reply_to[0] != '\0')
		pl_out_field("REFERENCE", "%s", reference_of(cli, reply_to));
	if (pl_json_time(m, "expires", &expires_ms))
		pl_out_field("EXPIRES", "%s%s", pl_time_full(expires_ms), expires_ms < pl_now_ms() ? ": EXPIRED" : "");
	size_t i;
	json_t *attachment;
	if (json_is_array(json_object_get(m, "attachments")))
		json_array_foreach(json_object_get(m, "attachments"), i, attachment)
			print_attachment(attachment, ref);
	pl_out("\n");
	pl_out_text(text, strlen(text));
}

static enum pl_exit check_operator(const struct pl_cli *cli, const struct pl_args *args)
{
	const char *operator_name = pl_args_get(args, "operator");
	if (operator_name != NULL && !pl_text_is_name(operator_name, strlen(operator_name)))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--operator is one line of 1 to %d bytes of UTF-8, not \"%s\"", PL_NAME_BYTES_MAX, operator_name);
	return PL_EXIT_OK;
}

static enum pl_exit call_message(struct pl_cli *cli, const struct pl_args *args, const char *what, json_t **out)
{
	const char *id = pl_args_operand(args, 0), *operator_name = pl_args_get(args, "operator");
	enum pl_exit exit = check_operator(cli, args);
	if (exit != PL_EXIT_OK)
		return exit;
	json_t *body = json_object();
	if (operator_name != NULL)
		json_object_set_new(body, "operator", json_string(operator_name));
	return pl_call(cli, "POST", pl_path("/v1/messages/%s/%s", id, what), body, out);
}

static enum pl_exit run_read(struct pl_cli *cli, const struct pl_args *args)
{
	json_t *message, *marked = NULL;
	enum pl_exit exit = check_operator(cli, args);
	if (exit == PL_EXIT_OK)
		exit = pl_call(cli, "GET", pl_path("/v1/messages/%s", pl_args_operand(args, 0)), NULL, &message);
	if (exit != PL_EXIT_OK)
		return exit;
	bool is_own = strcmp(pl_json_text(message, "box"), "in") != 0;
	if (cli->json)
		pl_out_json(json_incref(message));
	else
		print_message(cli, message);
	/* Shown first: a receipt says that somebody could read it. */
	if (fflush(stdout) != 0 || ferror(stdout))
		exit = pl_error(cli, PL_EXIT_FAILED, is_own ? NULL : "it is not marked as read, and its sender gets no receipt",
		                "the message cannot be written out: %s", strerror(errno));
	if (exit == PL_EXIT_OK && !pl_args_has(args, "peek") && !is_own) {
		exit = call_message(cli, args, "read", &marked);
		if (exit != PL_EXIT_OK)
			pl_remark(cli, "the message was shown, but nobody is told: its sender gets a receipt when it is read again");
		else if (strcmp(pl_json_text(json_object_get(marked, "receipt"), "state"), "none") == 0)
			pl_remark(cli, "its sender gets no receipt: this node's feed is frozen");
	}
	json_decref(marked);
	json_decref(message);
	return exit;
}

/* Whether a node of the message's sender is known to hold this receipt. */
static bool is_with_sender(const json_t *message, const json_t *receipt)
{
	const char *from = pl_json_text(message, "from");
	size_t i, chars = strlen(from);
	json_t *node;
	json_array_foreach(json_object_get(receipt, "acked_by"), i, node) {
		const char *name = json_is_string(node) ? json_string_value(node) : "";
		if (strncmp(name, from, chars) == 0 && (name[chars] == '\0' || name[chars] == '.'))
			return true;
	}
	return false;
}

static enum pl_exit run_accept(struct pl_cli *cli, const struct pl_args *args)
{
	json_t *message;
	enum pl_exit exit = call_message(cli, args, "accept", &message);
	if (exit != PL_EXIT_OK)
		return exit;
	if (cli->json) {
		pl_out_json(message);
		return PL_EXIT_OK;
	}
	const json_t *receipt = json_object_get(message, "receipt");
	if (strcmp(pl_json_text(receipt, "state"), "repeated") == 0)
		pl_say(cli, "%s was accepted already, at %s by %s; %s", pl_json_text(message, "ref"), time_text(receipt, "time"),
		       pl_json_text(receipt, "operator"), is_with_sender(message, receipt) ? "its sender has that receipt, and gets no other"
		       : "that receipt goes out by itself, and no other does");
	else
		pl_say(cli, "accepted: %s from %s, \"%s\"; the sender gets a receipt", pl_json_text(message, "ref"), pl_json_text(message, "from"),
		       pl_json_text(message, "subject"));
	json_decref(message);
	return PL_EXIT_OK;
}

/* --- receipts --- */

void pl_print_receipts(const json_t *reply)
{
	static const char *const columns[] = { "NODE", "RECEIPT", "TIME", ">AFTER", "*BY, OR WHY NOT" };
	struct pl_table *table = pl_table_new(columns, sizeof(columns) / sizeof(*columns));
	int64_t sent_ms = 0, time_ms;
	bool has_sent = pl_json_time(reply, "sent", &sent_ms);
	size_t i, j;
	json_t *recipient, *receipt;
	json_array_foreach(json_object_get(reply, "recipients"), i, recipient) {
		const json_t *receipts = json_object_get(recipient, "receipts");
		const char *info = json_is_true(json_object_get(recipient, "info")) ? " (info)" : "";
		if (json_array_size(receipts) == 0) {
			pl_table_cell(table, PL_BOLD, "%s%s", pl_json_text(recipient, "node"), info);
			const bool has_key = strcmp(pl_json_text(recipient, "state"), "no_key") != 0;
			pl_table_cell(table, PL_YELLOW, "%s", has_key ? "none yet" : "no key");
			for (int k = 0; k < 2; k++)
				pl_table_cell(table, PL_PLAIN, "%s", "");
			pl_table_cell(table, PL_PLAIN, "%s", has_key ? "" : "it was not sealed to this node: no key was known of it");
		}
		json_array_foreach(receipts, j, receipt) {
			const char *type = pl_json_text(receipt, "type");
			bool has_time = pl_json_time(receipt, "time", &time_ms);
			pl_table_cell(table, PL_BOLD, "%s%s", pl_json_text(recipient, "node"), info);
			pl_table_cell(table, strcmp(type, "failed") == 0 ? PL_RED : PL_GREEN, "%s", type);
			pl_table_cell(table, PL_PLAIN, "%s", has_time ? pl_time_short(time_ms) : "-");
			pl_table_cell(table, PL_PLAIN, "%s", !has_time || !has_sent ? "" : time_ms < sent_ms ? "clocks differ"
			              : pl_duration_text((uint64_t)(time_ms - sent_ms)));
			pl_table_cell(table, PL_PLAIN, "%s", pl_json_text(receipt, strcmp(type, "failed") == 0 ? "reason" : "operator"));
		}
	}
	pl_table_print(table);
}

static enum pl_exit run_receipts(struct pl_cli *cli, const struct pl_args *args)
{
	json_t *reply, *relay;
	enum pl_exit exit = pl_call(cli, "GET", pl_path("/v1/messages/%s/receipts", pl_args_operand(args, 0)), NULL, &reply);
	if (exit != PL_EXIT_OK)
		return exit;
	if (cli->json) {
		pl_out_json(reply);
		return PL_EXIT_OK;
	}
	int64_t sent_ms;
	pl_out_field("message", "%s, %s", pl_json_text(reply, "ref"), pl_json_text(reply, "id"));
	if (pl_json_time(reply, "sent", &sent_ms))
		pl_out_field("sent", "%s", pl_time_full(sent_ms));
	if (json_is_integer(json_object_get(reply, "round_trip_ms")))
		pl_out_field("round trip", "%s, until the last recipient's first receipt was back",
		             pl_duration_text(pl_json_number(reply, "round_trip_ms")));
	size_t i;
	json_array_foreach(json_object_get(reply, "relays"), i, relay)
		pl_out_field(i == 0 ? "relays" : "", "%s %s", pl_json_text(relay, "node"),
		             json_is_true(json_object_get(relay, "holds")) ? "holds it, sealed" : "has not acknowledged it");
	pl_out("\n");
	pl_print_receipts(reply);
	json_decref(reply);
	return PL_EXIT_OK;
}

/* --- the table --- */

static const struct pl_option inbox_options[] = {
	{ .name = "unread", .letter = 'u', .help = "unread messages only" },
	{ .name = "unaccepted", .help = "only what nobody has accepted here" },
	{ .name = "box", .value = PL_VALUE_CHOICE, .value_name = "BOX", .choices = "in|out|all",
	  .help = "received, sent or both; in if not given" },
	{ .name = "precedence", .letter = 'p', .value = PL_VALUE_CHOICE, .value_name = "P", .choices = "routine|priority|immediate|flash",
	  .help = "of this precedence only" },
	{ .name = "search", .value = PL_VALUE_TEXT, .value_name = "TEXT", .help = "only with this in subject or text, in any case of A to Z" },
	{ .name = "limit", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = INBOX_LIMIT_MAX,
	  .help = "at most so many, the newest first; 50 if not given" },
	{ .name = "after", .value = PL_VALUE_TEXT, .value_name = "REF", .help = "go on after this message" },
	{ 0 },
};
static const struct pl_option operator_options[] = {
	PL_OPTION_OPERATOR,
	{ 0 },
};
static const struct pl_option read_options[] = {
	{ .name = "peek", .help = "show it only: it stays unread, and the sender gets no receipt" },
	PL_OPTION_OPERATOR,
	{ 0 },
};
#define OPERAND_ID { .name = "ID", .value = PL_VALUE_MESSAGE }
#define OPERAND_RECEIVED { .name = "ID", .value = PL_VALUE_RECEIVED }

const struct pl_command pl_commands_message[] = {
	{ .name = "send", .summary = "send a message to one or several members",
	  .operands = { { .name = "FILE", .value = PL_VALUE_FILE, .optional = true } },
	  .options = pl_send_options, .run = pl_run_send,
	  .details = "The text comes from FILE, or from stdin with - or without FILE. When the command ends with 0, the message is on this node's "
	             "disk and goes out by itself, whatever happens to the links. With --wait it ends when every recipient has got as far as "
	             "that.\n"
	             "A connection to parleyd that breaks is taken up again when it is back, and the call repeated under the same message id, "
	             "so that the message goes out once. Exit code 10 says that it may have been sent: look with `parley inbox --box out`, or "
	             "send it again with --id and the id that was printed. One that is interrupted (Ctrl-C) says likewise what it knows, and under "
	             "which id.\n"
	             "    echo 'We see it too. Call us.' | parley send --to SGP --precedence flash --subject 'Re: probing' --wait read" },
	{ .name = "reply", .summary = "answer a message: to its sender, under its subject", .operands = { OPERAND_RECEIVED, { .name = "FILE", .value = PL_VALUE_FILE, .optional = true } },
	  .options = pl_reply_options, .run = pl_run_reply,
	  .details = "The text comes from FILE or from stdin, as with `parley send`. The answer has the precedence of the message, unless another one is "
	             "given, names it as its reference, and belongs to an exercise if it does.\n"
	             "    echo 'An exercise of ours; it ends at 04:00 UTC.' | parley reply FIN/0/17 --wait read" },
	{ .name = "inbox", .summary = "list messages, the newest first", .options = inbox_options, .run = run_inbox,
	  .details = "They stand in the order in which this node opened them, the last one on top, whatever the clocks of their senders say.\n"
	             "MESSAGE is the reference that every command takes as ID; so is the message id, or six or more of its first digits." },
	{ .name = "read", .summary = "show a message, and tell the sender that it was read", .operands = { OPERAND_ID }, .options = read_options,
	  .run = run_read,
	  .details = "The receipt goes out once the message has been written to stdout. Where this node's feed is frozen none does, and stderr says so. "
	             "An attachment that is damaged, or not complete yet, is said to be, and is no error of this command." },
	{ .name = "accept", .summary = "take a message on, and tell the sender so", .operands = { OPERAND_RECEIVED }, .options = operator_options,
	  .run = run_accept },
	{ .name = "receipts", .summary = "how far a sent message has got with each recipient", .operands = { OPERAND_ID }, .run = run_receipts },
	{ .name = "attachment", .summary = "save an attachment", .operands = { OPERAND_ID, { .name = "N", .value = PL_VALUE_NUMBER } },
	  .options = pl_attachment_options, .run = pl_run_attachment,
	  .details = "Without -o, or with a folder after it, the file gets the name that the sender gave it, without folders. What is not complete "
	             "yet gives exit code 8; with --wait it is waited for. What is damaged gives 7, and no file." },
	{ 0 },
};
