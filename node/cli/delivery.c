#include <string.h>
#include <time.h>

#include "node/cli/messages.h"

#define WAIT_S 600      /* for receipts, if nothing else is said */
#define PAUSE_MS_MIN 20 /* a receipt over loopback is back sooner than a person notices */
#define PAUSE_MS_MAX 500
#define LOOK_MS_MAX 10000
#define LOOK_MS_MIN 5000 /* an answer that is due is waited for, also where time has run out meanwhile */

static const char *const levels[] = { "stored", "decrypted", "read", "accepted" };
#define LEVELS (sizeof(levels) / sizeof(*levels))

static void pause_for(long *ms)
{
	const struct timespec pause = { .tv_sec = 0, .tv_nsec = *ms * 1000000 };
	(void)nanosleep(&pause, NULL);
	*ms = *ms * 3 / 2 < PAUSE_MS_MAX ? *ms * 3 / 2 : PAUSE_MS_MAX;
}

/* --- handing over --- */

void pl_delivery_begin(struct pl_delivery *delivery, struct pl_cli *cli, uint64_t timeout_s)
{
	*delivery = (struct pl_delivery){ .cli = cli, .end_ms = pl_ticks_ms() + (int64_t)timeout_s * 1000, .pause_ms = PAUSE_MS_MIN };
}

static int64_t at_least(int64_t ms, int64_t least_ms)
{
	return ms < least_ms ? least_ms : ms;
}

static int64_t left_ms(const struct pl_delivery *delivery)
{
	return delivery->end_ms - pl_ticks_ms();
}

/* Whether to ask again, a moment later: parleyd is busy with its start, or has gone away in the middle of this delivery. */
static bool is_to_repeat(struct pl_delivery *delivery, const struct pl_answer *answer)
{
	bool is_starting = answer->came == PL_CAME_ANSWER && answer->status == 503;
	bool has_gone = answer->came == PL_CAME_BREAK || (answer->came == PL_CAME_NOBODY && delivery->was_taken);
	if ((!is_starting && !has_gone) || left_ms(delivery) <= 0)
		return false;
	delivery->was_taken |= has_gone;
	if (has_gone && !delivery->is_told)
		pl_remark(delivery->cli, "parleyd went away before it answered; waiting for it to come back, to ask again");
	delivery->is_told |= has_gone;
	pause_for(&delivery->pause_ms);
	return true;
}

enum pl_exit pl_delivery_attach(struct pl_delivery *delivery, const char *name, const char *media_type, const void *bytes, size_t count,
                                json_t **out)
{
	struct pl_progress progress;
	struct pl_answer answer;
	char *path = pl_path("/v1/attachments?name=%s&type=%s", name, media_type);
	enum pl_exit exit;
	pl_interrupt_tell(delivery->cli, "the message was not sent", "its attachments were still being handed over");
	pl_progress_begin(&progress, delivery->cli, pl_format("handing over %s", pl_visible_text(name, strlen(name))), true, count);
	while ((exit = pl_try_bytes(delivery->cli, path, "application/octet-stream", bytes, count, &progress, left_ms(delivery), &answer)) ==
	               PL_EXIT_OK &&
	       answer.document == NULL && is_to_repeat(delivery, &answer))
		pl_answer_dispose(&answer);
	pl_progress_end(&progress);
	if (exit == PL_EXIT_OK && answer.document == NULL)
		exit = pl_answer_report(delivery->cli, &answer);
	if (exit == PL_EXIT_OK) {
		delivery->was_taken = true;
		*out = json_incref(answer.document);
	} else if (answer.came != PL_CAME_ANSWER) {
		pl_remark(delivery->cli, "the message was not sent");
	}
	pl_answer_dispose(&answer);
	return exit;
}

/* What an earlier call may have sent, as POST would have answered; NULL if it has not. */
static json_t *look_for_sent(struct pl_delivery *delivery, const char *id)
{
	struct pl_answer answer;
	json_t *sent = NULL, *no_key = json_array(), *state;
	const char *node;
	if (pl_try(delivery->cli, "GET", pl_path("/v1/messages/%s", id), NULL, NULL, LOOK_MS_MAX, &answer) != PL_EXIT_OK) {
		json_decref(no_key);
		return NULL;
	}
	json_object_foreach(json_object_get(answer.document, "receipts"), node, state)
		if (json_is_string(state) && strcmp(json_string_value(state), "no_key") == 0)
			json_array_append_new(no_key, json_string(node));
	if (answer.document != NULL && strcmp(pl_json_text(answer.document, "box"), "out") == 0)
		sent = json_pack("{s:s, s:s, s:s, s:s, s:O?, s:O, s:b, s:b}", "id", id, "ref", pl_json_text(answer.document, "ref"), "entry_id",
		                 pl_json_text(answer.document, "entry_id"), "time", pl_json_text(answer.document, "sent"), "to",
		                 json_object_get(answer.document, "to"), "no_key", no_key, "durable", 1, "listed", 1);
	pl_answer_dispose(&answer);
	json_decref(no_key);
	return sent;
}

enum pl_exit pl_delivery_send(struct pl_delivery *delivery, const json_t *message, json_t **out)
{
	struct pl_cli *cli = delivery->cli;
	const char *id = pl_json_text(message, "id");
	char *waiting = pl_format(", which has got message %s", id);
	struct pl_answer answer;
	bool may_be_sent = false;
	enum pl_exit exit;
	*out = NULL;
	pl_interrupt_tell(cli, pl_format("message %s may have been sent", id),
	                  pl_format("`parley receipts %s` shows it if it was; sent again with --id %s it goes out once", id, id));
	for (;;) {
		exit = pl_try(cli, "POST", "/v1/messages", message, waiting, at_least(left_ms(delivery), 1000), &answer);
		may_be_sent |= answer.came == PL_CAME_BREAK || answer.came == PL_CAME_NOTHING;
		if (exit != PL_EXIT_OK || answer.document != NULL || !is_to_repeat(delivery, &answer))
			break;
		pl_answer_dispose(&answer);
	}
	if (exit == PL_EXIT_OK && answer.document != NULL)
		*out = json_incref(answer.document);
	else if (exit == PL_EXIT_OK && answer.came == PL_CAME_ANSWER && answer.status != 503 && may_be_sent)
		*out = look_for_sent(delivery, id); /* refused now, for a reason that need not have stood before */
	if (exit == PL_EXIT_OK && *out == NULL && may_be_sent && (answer.came != PL_CAME_ANSWER || answer.status == 503))
		exit = pl_error(cli, PL_EXIT_UNSURE,
		                pl_format("look with `parley inbox --box out`, or send it again with --id %s: it goes out once then", id),
		                "message %s may have been sent: parleyd took it and has not answered", id);
	else if (exit == PL_EXIT_OK && *out == NULL)
		exit = pl_answer_report(cli, &answer);
	if (exit != PL_EXIT_OK && !may_be_sent && answer.came != PL_CAME_ANSWER)
		pl_remark(cli, "the message was not sent");
	pl_answer_dispose(&answer);
	if (*out != NULL)
		pl_interrupt_tell(cli, pl_format("it is sent, as %s", pl_json_text(*out, "ref")),
		                  pl_format("`parley receipts %s` shows how far it is", pl_json_text(*out, "ref")));
	else
		pl_interrupt_tell(cli, NULL, NULL); /* that was said */
	return exit;
}

/* --- waiting --- */

static int level_of(const char *state)
{
	for (size_t i = 0; i < LEVELS; i++)
		if (strcmp(levels[i], state) == 0)
			return (int)i;
	return -1;
}

/* The members of which no node has got so far; of a member with several nodes one is enough. "" when all have. */
static char *missing_members(const json_t *receipts, int level, const json_t **failed)
{
	char *missing = pl_format("%s", "");
	size_t i, j;
	json_t *recipient, *other;
	const json_t *recipients = json_object_get(receipts, "recipients");
	json_array_foreach(recipients, i, recipient) {
		const char *member = pl_json_text(recipient, "member");
		bool has_reached = false, is_first = true;
		json_array_foreach(recipients, j, other) {
			if (strcmp(pl_json_text(other, "member"), member) != 0)
				continue;
			is_first &= j >= i;
			has_reached |= level_of(pl_json_text(other, "state")) >= level;
		}
		if (strcmp(pl_json_text(recipient, "state"), "failed") == 0 && !has_reached)
			*failed = recipient;
		if (is_first && !has_reached)
			missing = pl_format("%s%s%s", missing, missing[0] == '\0' ? "" : ", ", member);
	}
	return missing;
}

/* Why a recipient did not take it, in its own words. */
static const char *reason_of(const json_t *recipient)
{
	const char *reason = "";
	size_t i;
	json_t *receipt;
	json_array_foreach(json_object_get(recipient, "receipts"), i, receipt)
		if (strcmp(pl_json_text(receipt, "type"), "failed") == 0)
			reason = pl_json_text(receipt, "reason");
	return reason[0] == '\0' ? "it does not say why" : reason;
}

/* Why receipts may not have come, where this node can know. */
static const char *why_none(struct pl_cli *cli)
{
	struct pl_answer answer;
	const char *state = "";
	if (pl_try(cli, "GET", "/v1/status", NULL, NULL, LOOK_MS_MAX, &answer) != PL_EXIT_OK)
		return "";
	if (answer.document != NULL)
		state = pl_json_text(json_object_get(answer.document, "store"), "state");
	bool waits = strcmp(state, "urgent_only") == 0 || strcmp(state, "full") == 0;
	pl_answer_dispose(&answer);
	return waits ? "; this node's disk has too little room, and receipts wait until there is more" : "";
}

enum pl_exit pl_delivery_wait(struct pl_cli *cli, const struct pl_args *args, const json_t *sent, json_t **out)
{
	const char *level_name = pl_args_get(args, "wait"), *ref = pl_json_text(sent, "ref");
	const json_t *failed = NULL;
	int level = level_of(level_name);
	int64_t end_ms = pl_ticks_ms() + (int64_t)pl_args_number(args, "timeout", WAIT_S) * 1000;
	char *path = pl_path("/v1/messages/%s/receipts", ref); /* not its id, under which a recipient may have sent something */
	long pause_ms = PAUSE_MS_MIN;
	for (bool is_told = false;;) {
		struct pl_block *scope = pl_scope_begin();
		struct pl_answer answer;
		char *missing = NULL;
		enum pl_exit exit = pl_try(cli, "GET", path, NULL, NULL, at_least(end_ms - pl_ticks_ms(), LOOK_MS_MIN), &answer);
		if (exit != PL_EXIT_OK)
			return exit;
		if (answer.came == PL_CAME_ANSWER && answer.document == NULL && answer.status != 503) {
			exit = pl_answer_report(cli, &answer);
			pl_answer_dispose(&answer);
			return exit;
		}
		*out = json_incref(answer.document);
		if (answer.document != NULL) {
			missing = missing_members(answer.document, level, &failed);
		} else if (!is_told && answer.status != 503) {
			is_told = true;
			pl_remark(cli, "%s is sent; parleyd does not answer now, so that its receipts cannot be seen", ref);
		}
		pl_answer_dispose(&answer);
		if (missing != NULL && missing[0] == '\0')
			return PL_EXIT_OK;
		if (failed != NULL)
			return pl_error(cli, PL_EXIT_FAILED, pl_format("`parley receipts %s` shows what becomes of it", ref),
			                "%s holds %s and has not taken it: %s", pl_json_text(failed, "node"), ref, reason_of(failed));
		if (pl_ticks_ms() >= end_ms && missing == NULL)
			return pl_error(cli, PL_EXIT_TIMEOUT, pl_format("it is kept here and goes on by itself: `parley receipts %s`", ref),
			                "%s is sent; parleyd does not answer now, so that nothing is known of its receipts", ref);
		if (pl_ticks_ms() >= end_ms)
			return pl_error(cli, PL_EXIT_TIMEOUT, pl_format("it is kept here and goes on by itself: `parley receipts %s`%s", ref, why_none(cli)),
			                "%s is sent, but not %s yet by %s", ref, level_name, missing);
		json_decref(*out);
		*out = NULL;
		pl_scope_end(scope);
		pause_for(&pause_ms);
	}
}
