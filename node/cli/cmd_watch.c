#include <signal.h>
#include <string.h>
#include <time.h>

#include "node/cli/cli.h"

#define RECONNECT_MS 1000
#define EVENT_COLUMNS 10

struct watch {
	const struct pl_cli *cli;
	const struct pl_args *args;
	uint64_t left; /* events to show, UINT64_MAX: no end */
	char last_id[PL_EVENT_ID_BYTES];
	bool was_connected, is_gone;
};

/* Entries come by the hundred when somebody imports indicators, and what is in them has an event of its own: shown when asked for. */
static bool is_wanted(const struct pl_args *args, const char *event)
{
	const char *wanted;
	size_t at = 0;
	if (!pl_args_has(args, "event"))
		return strcmp(event, "entry") != 0;
	while ((wanted = pl_args_each(args, "event", &at)) != NULL)
		if (strcmp(wanted, event) == 0)
			return true;
	return false;
}

static bool is_flash(const json_t *data)
{
	return strcmp(pl_json_text(data, "precedence"), "flash") == 0;
}

static void print_event(const char *event, const json_t *data, const char *raw)
{
	const char *ref = pl_json_text(data, "ref"), *node = pl_json_text(data, "node"), *state = pl_json_text(data, "state"),
	           *operator_name = pl_json_text(data, "operator"), *reason = pl_json_text(data, "reason");
	const char *now = pl_time_short(pl_now_ms());
	const int columns = pl_text_columns(now) + 2 + EVENT_COLUMNS + 2;
	pl_out("%s  ", now);
	pl_out_styled(is_flash(data) || strcmp(event, "fork") == 0 ? PL_URGENT : PL_BOLD, "%-*s", EVENT_COLUMNS, event);
	pl_out("  ");
	if (strcmp(event, "message") == 0)
		pl_out_rest(columns, "%s from %s to %s: \"%s\" (%s)", pl_json_text(data, "precedence"), pl_json_text(data, "from"),
		       pl_json_join(json_object_get(data, "to"), ", "), pl_json_text(data, "subject"), ref);
	else if (strcmp(event, "receipt") == 0 && pl_json_text(data, "type")[0] != '\0')
		pl_out_rest(columns, "%s is %s by %s%s%s", ref, pl_json_text(data, "type"), node, operator_name[0] == '\0' ? "" : pl_format(" (%s)", operator_name),
		       reason[0] == '\0' ? "" : pl_format(": %s", reason));
	else if (strcmp(event, "attachment") == 0 && ref[0] != '\0')
		pl_out_rest(columns, "%u of %s: \"%s\", %s, %s", (unsigned)pl_json_number(data, "n"), ref, pl_json_text(data, "name"),
		            pl_bytes_text(pl_json_number(data, "bytes")),
		            json_is_true(json_object_get(data, "damaged")) ? "is DAMAGED: it is not what its message says" : "is complete");
	else if (strcmp(event, "link") == 0 && node[0] != '\0')
		pl_out_rest(columns, "%s is %s%s", node, state,
		            pl_json_number(data, "changes") > 1 ? pl_format(", after %llu changes", (unsigned long long)pl_json_number(data, "changes")) : "");
	else if (strcmp(event, "entry") == 0 && ref[0] != '\0')
		pl_out_rest(columns, "%s %s", ref, pl_json_text(data, "kind"));
	else if (strcmp(event, "fork") == 0 && strcmp(pl_json_text(data, "what"), "equivocation") == 0)
		pl_out_rest(columns, "%s signed two different entries for one place: lane %u, entry %llu", node, (unsigned)pl_json_number(data, "lane"),
		       (unsigned long long)pl_json_number(data, "seq"));
	else if (strcmp(event, "store") == 0 && state[0] != '\0')
		pl_out_rest(columns, "the store: %s", strcmp(state, "ok") == 0 ? "there is room again" : pl_store_remark(state) + strlen("; "));
	else
		pl_out_rest(columns, "%s", raw);
}

/* Whatever kinds were asked for: one of them may be among what was missed. Does not count as an event. */
static void tell_missed(const struct watch *watch, const char *id, json_t *data /* taken over */)
{
	pl_remark(watch->cli, "parleyd cannot say any more what happened meanwhile; `parley inbox` and `parley status` show how things stand");
	if (watch->cli->json)
		pl_out_json(json_pack("{s:s, s:s, s:O?}", "event", "missed", "id", id, "data", data));
	(void)fflush(stdout);
	json_decref(data);
}

static bool on_event(void *ctx, const char *event, const char *data, const char *id)
{
	struct watch *watch = ctx;
	if (strcmp(event, "missed") == 0) {
		tell_missed(watch, id, json_loads(data, JSON_DECODE_ANY, NULL));
		return ferror(stdout) == 0;
	}
	if (!is_wanted(watch->args, event))
		return true;
	struct pl_block *scope = pl_scope_begin();
	json_t *document = json_loads(data, JSON_DECODE_ANY, NULL);
	if (watch->cli->json)
		pl_out_json(json_pack("{s:s, s:s, s:O?}", "event", event, "id", id, "data", document));
	else
		print_event(event, document, data);
	(void)fflush(stdout);
	json_decref(document);
	pl_scope_end(scope);
	return ferror(stdout) == 0 && (watch->left == UINT64_MAX || --watch->left > 0);
}

static void on_open(void *ctx)
{
	struct watch *watch = ctx;
	if (watch->is_gone)
		pl_remark(watch->cli, "parleyd is back");
	if (watch->is_gone && watch->last_id[0] == '\0') /* it was gone before it had given an id to go on from */
		tell_missed(watch, "", NULL);
	watch->was_connected = true;
	watch->is_gone = false;
}

static enum pl_exit run_watch(struct pl_cli *cli, const struct pl_args *args)
{
	struct watch watch = { .cli = cli, .args = args, .left = pl_args_number(args, "count", UINT64_MAX) };
	uint64_t timeout_ms = pl_args_number(args, "timeout", 0) * 1000;
	int64_t end_ms = pl_ticks_ms() + (int64_t)timeout_ms;
	const struct timespec pause = { .tv_sec = RECONNECT_MS / 1000, .tv_nsec = RECONNECT_MS % 1000 * 1000000L };
	for (;;) {
		int64_t left_ms = timeout_ms == 0 ? 0 : end_ms - pl_ticks_ms();
		if (timeout_ms > 0 && left_ms <= 0)
			return PL_EXIT_TIMEOUT;
		enum pl_exit exit = pl_call_events(cli, watch.last_id, left_ms, on_open, on_event, &watch);
		if (exit != PL_EXIT_UNREACHABLE)
			return exit;
		if (!watch.was_connected)
			return cli->client == NULL ? exit : pl_unreachable(cli);
		if (!watch.is_gone)
			pl_remark(cli, "parleyd is gone; waiting for it to come back");
		watch.is_gone = true;
		(void)nanosleep(&pause, NULL);
	}
}

static const struct pl_option watch_options[] = {
	{ .name = "event", .value = PL_VALUE_CHOICE, .value_name = "KIND", .choices = "message|receipt|attachment|indicators|link|entry|fork|store",
	  .repeats = true,
	  .help = "show this kind only" },
	{ .name = "count", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = 1000000000, .help = "end after so many" },
	{ .name = "timeout", .value = PL_VALUE_NUMBER, .value_name = "SECONDS", .min = 1, .max = 31536000,
	  .help = "end after so long, with exit code 8" },
	{ 0 },
};

const struct pl_command pl_commands_watch[] = {
	{ .name = "watch", .summary = "show what happens, as it happens", .options = watch_options, .run = run_watch,
	  .details = "Messages, receipts, attachments that are complete, indicators, links that come and go, forks, the state of the store: a line each; with --json an object "
	             "{\"event\", \"id\", \"data\"} each. Entries are many and are shown with --event entry only. If parleyd goes away, waits for "
	             "it and goes on with what was missed, or says that parleyd cannot tell any more what was: after it was started anew, for one "
	             "(\"missed\" with --json, whatever --event says)." },
	{ 0 },
};
