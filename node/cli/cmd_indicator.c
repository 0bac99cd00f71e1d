#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "node/cli/papers.h"
#include "node/indicator/stix.h"
#include "node/visible.h"
#include "proto/content.h"

#define COUNT_MS_MAX 10000
#define LIST_LIMIT 50
#define LIST_LIMIT_MAX 1000000
#define PAGE 500

/* --- list, show, export --- */

static char *add_filter(const struct pl_args *args, char *path)
{
	static const char *const names[] = { "type", "author", "tlp" };
	for (size_t i = 0; i < 3; i++)
		if (pl_args_has(args, names[i]))
			path = pl_format("%s&%s=%s", path, names[i], pl_path("%s", pl_args_get(args, names[i])));
	return path;
}

static void print_indicators(const json_t *indicators)
{
	static const char *const columns[] = { "TYPE", "*NAME", "AUTHOR", "TLP", "RECEIVED", "+ID" };
	struct pl_table *table = pl_table_new(columns, sizeof(columns) / sizeof(*columns));
	size_t i;
	json_t *item;
	json_array_foreach(indicators, i, item) {
		int64_t ms;
		pl_table_cell(table, PL_PLAIN, "%s", pl_json_text(item, "type"));
		pl_table_cell(table, PL_BOLD, "%s%s", pl_json_text(item, "name"), json_is_true(json_object_get(item, "ahead")) ? " (modified ahead)" : "");
		if (json_is_true(json_object_get(item, "another_version")))
			pl_table_cell(table, PL_YELLOW, "another version by %s; the id is of %s", pl_json_text(item, "author"), pl_json_text(item, "first_author"));
		else
			pl_table_cell(table, PL_PLAIN, "%s", pl_json_text(item, "author"));
		pl_table_cell(table, PL_PLAIN, "%s", pl_upper(pl_json_text(item, "tlp")));
		pl_table_cell(table, PL_PLAIN, "%s", pl_json_time(item, "received", &ms) ? pl_time_short(ms) : "-");
		pl_table_cell(table, PL_DIM, "%s", pl_json_text(item, "id"));
	}
	pl_table_print(table);
}

/* An empty list is an answer; why it is empty may be news. */
static void say_nothing(const struct pl_cli *cli, const struct pl_args *args)
{
	const char *tlp = pl_args_get(args, "tlp");
	if (tlp != NULL && strcasecmp(tlp, "clear") != 0 && strcasecmp(tlp, "green") != 0)
		pl_remark(cli, "nothing: indicators are shared at TLP:CLEAR and TLP:GREEN alone");
	else
		pl_remark(cli, "nothing here matches");
}

/* What an export holds: of nothing that is said, since an empty bundle looks like a full one to most programs. */
static void say_exported(struct pl_cli *cli, const struct pl_args *args)
{
	struct pl_answer answer;
	char *path = add_filter(args, pl_format("%s", "/v1/indicators?limit=1"));
	if (cli->json || cli->quiet || pl_try(cli, "GET", path, NULL, NULL, COUNT_MS_MAX, &answer) != PL_EXIT_OK)
		return;
	const json_t *total = json_object_get(answer.document, "total");
	if (answer.document != NULL && json_array_size(json_object_get(answer.document, "indicators")) == 0)
		say_nothing(cli, args);
	else if (json_is_integer(total))
		pl_remark(cli, "%s", pl_number_of((uint64_t)json_integer_value(total), "object", "objects"));
	pl_answer_dispose(&answer);
}

static enum pl_exit run_list(struct pl_cli *cli, const struct pl_args *args)
{
	uint64_t limit = pl_args_number(args, "limit", LIST_LIMIT), after = pl_args_number(args, "after", 0);
	json_t *indicators = json_array(), *reply, *next = json_null(), *total = json_null();
	enum pl_exit exit = PL_EXIT_OK;
	while (limit > 0) {
		char *path = add_filter(args, pl_format("/v1/indicators?limit=%llu", (unsigned long long)(limit < PAGE ? limit : PAGE)));
		if (pl_args_has(args, "search"))
			path = pl_format("%s&q=%s", path, pl_path("%s", pl_args_get(args, "search")));
		if (after > 0)
			path = pl_format("%s&after=%llu", path, (unsigned long long)after);
		exit = pl_call(cli, "GET", path, NULL, &reply);
		if (exit != PL_EXIT_OK)
			break;
		json_t *got = json_object_get(reply, "indicators");
		size_t count = json_array_size(got);
		json_array_extend(indicators, got);
		limit -= count < limit ? count : limit;
		json_decref(next);
		next = json_object_get(reply, "next") == NULL ? json_null() : json_incref(json_object_get(reply, "next"));
		if (json_is_integer(json_object_get(reply, "total"))) { /* on the first page alone */
			json_decref(total);
			total = json_incref(json_object_get(reply, "total"));
		}
		json_decref(reply);
		if (!json_is_integer(next))
			break;
		after = (uint64_t)json_integer_value(next);
	}
	if (exit == PL_EXIT_OK && cli->json) {
		pl_out_json(json_pack("{s:O, s:O, s:O}", "indicators", indicators, "next", next, "total", total));
	} else if (exit == PL_EXIT_OK) {
		print_indicators(indicators);
		if (json_array_size(indicators) == 0)
			say_nothing(cli, args);
		if (json_is_integer(next))
			pl_remark(cli, "there are more%s: --after %llu",
			        json_is_integer(total) ? pl_format(", %s in all", pl_count_text((uint64_t)json_integer_value(total))) : "",
			        (unsigned long long)json_integer_value(next));
	}
	json_decref(indicators);
	json_decref(next);
	json_decref(total);
	return exit;
}

/* Of the object's bytes nobody sees whose they are, nor that there are others. */
static void say_versions(struct pl_cli *cli, const char *meta_path)
{
	struct pl_answer answer;
	if (cli->json || cli->quiet || pl_try(cli, "GET", meta_path, NULL, NULL, COUNT_MS_MAX, &answer) != PL_EXIT_OK)
		return;
	const json_t *others = json_object_get(answer.document, "others");
	size_t i;
	const json_t *other;
	const bool is_another = json_is_true(json_object_get(answer.document, "another_version"));
	if (is_another)
		pl_remark(cli, "this is another version by %s; %s brought the id first", pl_json_text(answer.document, "author"),
		          pl_json_text(answer.document, "first_author"));
	json_array_foreach(others, i, other)
		if (!is_another && json_is_string(other))
			pl_remark(cli, "this is by %s; there is another version by %s: --author %s", pl_json_text(answer.document, "author"),
			          json_string_value(other), json_string_value(other));
	if (json_is_true(json_object_get(answer.document, "ahead")))
		pl_remark(cli, "it says that it was modified over a day after its entry was made");
	pl_answer_dispose(&answer);
}

static const char *time_of(const json_t *object, const char *key)
{
	int64_t ms;
	return pl_json_time(object, key, &ms) ? pl_time_full(ms) : "-";
}

static void print_meta(const json_t *meta)
{
	const char *name = pl_json_text(meta, "name"), *modified = pl_json_text(meta, "modified");
	size_t i;
	const json_t *provider, *providers = json_object_get(meta, "providers");
	pl_out_field("id", "%s", pl_json_text(meta, "id"));
	if (name[0] != '\0')
		pl_out_field("name", "%s", name);
	if (modified[0] != '\0')
		pl_out_field("modified", "%s", modified);
	pl_out_field("received", "%s", time_of(meta, "received"));
	pl_out_field("object", "%s bytes, sha256 %s", pl_count_text(pl_json_number(meta, "bytes")), pl_json_text(meta, "sha256"));
	json_array_foreach(providers, i, provider)
		pl_out_field(i == 0 ? "shared by" : "", "%s at TLP:%s, in %s, received %s", pl_json_text(provider, "author"),
		             pl_upper(pl_json_text(provider, "tlp")), pl_json_text(provider, "ref"), time_of(provider, "received"));
}

static enum pl_exit run_show(struct pl_cli *cli, const struct pl_args *args)
{
	const char *id = pl_args_operand(args, 0), *author = pl_args_get(args, "author");
	char *path = pl_path("/v1/indicators/%s", id);
	json_t *document;
	if (author != NULL)
		path = pl_format("%s?author=%s", path, pl_path("%s", author));
	char *meta_path = pl_format("%s%cmeta=true", path, author == NULL ? '?' : '&');
	if (pl_args_has(args, "meta")) {
		enum pl_exit exit = pl_call(cli, "GET", meta_path, NULL, &document);
		if (exit != PL_EXIT_OK)
			return exit;
		if (cli->json) {
			pl_out_json(document);
			return PL_EXIT_OK;
		}
		print_meta(document);
		json_decref(document);
		say_versions(cli, meta_path);
		return PL_EXIT_OK;
	}
	if (!isatty(STDOUT_FILENO)) { /* the object's own bytes, as its author shared them */
		struct pl_sink *sink;
		enum pl_exit exit = pl_sink_open(cli, "-", false, &sink);
		if (exit == PL_EXIT_OK)
			exit = pl_call_download(cli, path, sink, NULL);
		if (exit == PL_EXIT_OK)
			say_versions(cli, meta_path);
		return exit;
	}
	enum pl_exit exit = pl_call(cli, "GET", path, NULL, &document);
	if (exit != PL_EXIT_OK)
		return exit;
	char *text = json_dumps(document, JSON_INDENT(2));
	if (text != NULL) {
		pl_out_block("", text, strlen(text));
		pl_out("\n");
	}
	free(text);
	json_decref(document);
	say_versions(cli, meta_path);
	return PL_EXIT_OK;
}

static enum pl_exit run_export(struct pl_cli *cli, const struct pl_args *args)
{
	const char *path = pl_args_get(args, "out");
	struct pl_sink *sink;
	struct pl_progress progress;
	enum pl_exit exit = pl_sink_open(cli, path == NULL ? "-" : path, false, &sink);
	if (exit != PL_EXIT_OK)
		return exit;
	pl_progress_begin(&progress, cli, "exporting", true, 0);
	char *query = add_filter(args, pl_format("%s", ""));
	exit = pl_call_download(cli, pl_format("/v1/indicators/export%s%s", query[0] == '\0' ? "" : "?", query[0] == '\0' ? "" : query + 1), sink,
	                        &progress);
	pl_progress_end(&progress);
	enum pl_exit closed = pl_sink_close(sink, exit == PL_EXIT_OK);
	exit = closed != PL_EXIT_OK ? closed : exit;
	if (exit == PL_EXIT_OK)
		say_exported(cli, args);
	if (exit == PL_EXIT_OK && path != NULL && strcmp(path, "-") != 0) {
		if (cli->json)
			pl_out_json(json_pack("{s:s, s:s}", "file", path, "sha256", pl_sink_sha256(sink)));
		else
			pl_say(cli, "%s: a STIX 2.1 bundle, SHA-256 %s", path, pl_sink_sha256(sink));
	}
	return exit;
}

/* --- the table --- */

#define OPTION_TYPE \
	{ .name = "type", .value = PL_VALUE_TEXT, .value_name = "TYPE", .help = "objects of this STIX type only: indicator, malware" }
#define OPTION_AUTHOR \
	{ .name = "author", .value = PL_VALUE_NODE, .value_name = "NODE", .help = "as shared by this node only" }
#define OPTION_TLP \
	{ .name = "tlp", .value = PL_VALUE_TEXT, .value_name = "TLP", .choices = "clear|green", .help = "objects shared at this TLP only: clear, green" }

static const struct pl_option list_options[] = {
	OPTION_TYPE,
	OPTION_AUTHOR,
	OPTION_TLP,
	{ .name = "search", .value = PL_VALUE_TEXT, .value_name = "TEXT", .help = "objects in which this text stands" },
	{ .name = "limit", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = LIST_LIMIT_MAX,
	  .help = "at most so many, the newest first; 50 if not given" },
	{ .name = "after", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = 999999999999999999, .help = "go on after this place" },
	{ 0 },
};
static const struct pl_option show_options[] = {
	OPTION_AUTHOR,
	{ .name = "meta", .help = "who shared it, when and at which TLP, instead of the object itself" },
	{ 0 },
};
static const struct pl_option export_options[] = {
	{ .name = "out", .letter = 'o', .value = PL_VALUE_FILE, .value_name = "FILE", .help = "where the bundle goes; stdout if not given" },
	OPTION_TYPE,
	OPTION_AUTHOR,
	OPTION_TLP,
	{ 0 },
};

const struct pl_command pl_commands_indicator[] = {
	{ .name = "indicator import", .summary = "share the objects of a STIX 2.1 bundle with all members", .options = pl_import_options,
	  .run = pl_run_import,
	  .operands = { { .name = "FILE", .value = PL_VALUE_FILE } },
	  .details = "The file is checked as a whole before anything is shared. Objects that break a rule, or are marked with a narrower TLP, are "
	             "refused one by one and listed, and the command ends with 6. Objects keep their bytes. Importing a file again shares what is "
	             "missing: what this node has shared already is recognised. Exit code 10: parleyd took some and gave no answer; import the file again. One that is interrupted (Ctrl-C) says how many objects are in.\n"
	             "    parley indicator import report.json --tlp green" },
	{ .name = "indicator list", .summary = "list STIX objects that are here, the newest first", .options = list_options, .run = run_list },
	{ .name = "indicator show", .summary = "print a STIX object byte for byte", .options = show_options, .run = run_show,
	  .operands = { { .name = "ID", .value = PL_VALUE_TEXT } },
	  .details = "The newest version of the member that brought the id here first. Versions of others are named, and shown with --author." },
	{ .name = "indicator export", .summary = "write STIX objects as one bundle", .options = export_options, .run = run_export,
	  .details = "Of each id the versions of the member that brought it here first; those of others with --author. Nodes that hold the same "
	             "objects write the same file, and print the same SHA-256." },
	{ 0 },
};
