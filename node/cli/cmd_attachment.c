#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "node/cli/messages.h"

#define WAIT_S 600 /* --timeout if not given */
#define POLL_MS 250
#define SAFE_NAME_BYTES_MAX 240 /* the 255 of most file systems, less what the temporary name adds */
#define EXTENSION_BYTES_MAX 16  /* with its dot: what is kept when the name is cut */

static const json_t *find_attachment(const json_t *message, uint64_t n)
{
	size_t i;
	json_t *attachment;
	json_array_foreach(json_object_get(message, "attachments"), i, attachment)
		if (pl_json_number(attachment, "n") == n)
			return attachment;
	return NULL;
}

static bool is_folder(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Cut at a character, before its extension. */
static char *cut_name(char *name)
{
	size_t count = strlen(name);
	if (count <= SAFE_NAME_BYTES_MAX)
		return name;
	const char *extension = strrchr(name, '.');
	if (extension == NULL || strlen(extension) > EXTENSION_BYTES_MAX)
		extension = name + count;
	size_t kept = SAFE_NAME_BYTES_MAX - strlen(extension);
	while (((unsigned char)name[kept] & 0xc0) == 0x80)
		kept--;
	return pl_format("%.*s%s", (int)kept, name, extension);
}

/* The name that the sender has given, of which nothing leads out of the folder, hides the file or looks like an option. */
static char *safe_name(const char *given, uint64_t n)
{
	for (const char *at = given; *at != '\0'; at++)
		if (*at == '/' || *at == '\\')
			given = at + 1;
	if (given[strspn(given, ".")] == '\0')
		return pl_format("attachment-%llu", (unsigned long long)n);
	char *name = pl_visible_text(given, strlen(given));
	if (name[0] == '.' || name[0] == '-')
		name[0] = '_';
	for (char *at = name; *at != '\0'; at++)
		if (*at == '\\')
			*at = '_';
	return cut_name(name);
}

/* The message, once its attachment n is complete, or at once without --wait. */
static enum pl_exit fetch(struct pl_cli *cli, const struct pl_args *args, uint64_t n, json_t **message, const json_t **attachment)
{
	const char *id = pl_args_operand(args, 0);
	int64_t end_ms = pl_ticks_ms() + (int64_t)pl_args_number(args, "timeout", WAIT_S) * 1000;
	for (;;) {
		enum pl_exit exit = pl_call(cli, "GET", pl_path("/v1/messages/%s", id), NULL, message);
		if (exit != PL_EXIT_OK)
			return exit;
		*attachment = find_attachment(*message, n);
		if (*attachment == NULL)
			return pl_error(cli, PL_EXIT_UNKNOWN, "`parley read` lists them", "%s has no attachment %llu", pl_json_text(*message, "ref"),
			                (unsigned long long)n);
		uint64_t have = pl_json_number(*attachment, "have_chunks"), chunks = pl_json_number(*attachment, "chunks");
		if (json_is_true(json_object_get(*attachment, "complete")) || json_is_true(json_object_get(*attachment, "damaged")))
			return PL_EXIT_OK;
		if (!pl_args_has(args, "wait") || pl_ticks_ms() >= end_ms)
			return pl_error(cli, PL_EXIT_TIMEOUT, pl_args_has(args, "wait") ? NULL : "--wait waits for the rest; `parley watch` tells when it is there",
			                "attachment %llu of %s is on its way: %s of its %s parts are here%s", (unsigned long long)n,
			                pl_json_text(*message, "ref"), pl_count_text(have), pl_count_text(chunks),
			                have == chunks ? ", and are being checked" : "");
		json_decref(*message);
		*message = NULL;
		const struct timespec pause = { .tv_sec = 0, .tv_nsec = POLL_MS * 1000000L };
		(void)nanosleep(&pause, NULL);
	}
}

static enum pl_exit save(struct pl_cli *cli, const struct pl_args *args, const json_t *message, const json_t *attachment, const char *path)
{
	struct pl_sink *sink;
	struct pl_progress progress;
	enum pl_exit exit = pl_sink_open(cli, path, pl_args_has(args, "force"), &sink);
	if (exit != PL_EXIT_OK)
		return exit;
	pl_progress_begin(&progress, cli, "receiving", true, pl_json_number(attachment, "bytes"));
	exit = pl_call_download(cli, pl_path("/v1/messages/%s/attachments/%llu", pl_json_text(message, "ref"),
	                                     (unsigned long long)pl_json_number(attachment, "n")), sink, &progress);
	pl_progress_end(&progress);
	bool is_whole = strcmp(pl_sink_sha256(sink), pl_json_text(attachment, "sha256")) == 0;
	if (exit == PL_EXIT_OK && !is_whole)
		exit = pl_error(cli, PL_EXIT_UNVERIFIED, NULL, "what came is not the attachment: its SHA-256 is %s, the message says %s",
		                pl_sink_sha256(sink), pl_json_text(attachment, "sha256"));
	enum pl_exit closed = pl_sink_close(sink, exit == PL_EXIT_OK);
	return closed != PL_EXIT_OK ? closed : exit;
}

enum pl_exit pl_run_attachment(struct pl_cli *cli, const struct pl_args *args)
{
	const char *number = pl_args_operand(args, 1), *path = pl_args_get(args, "out");
	char *end;
	uint64_t n = strtoull(number, &end, 10);
	json_t *message = NULL;
	const json_t *attachment;
	if (number[0] < '0' || number[0] > '9' || *end != '\0' || strlen(number) > 4)
		return pl_error(cli, PL_EXIT_USAGE, "`parley read` lists them", "\"%s\" is not the number of an attachment", number);
	if (pl_args_has(args, "timeout") && !pl_args_has(args, "wait"))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--timeout goes with --wait");
	/* the sender chose the name: it must not choose what is replaced */
	if (pl_args_has(args, "force") && (path == NULL || (strcmp(path, "-") != 0 && is_folder(path))))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--force goes with -o FILE: which file is replaced is not for the sender's name to say");
	enum pl_exit exit = fetch(cli, args, n, &message, &attachment);
	if (exit == PL_EXIT_OK) {
		char *name = safe_name(pl_json_text(attachment, "name"), n);
		if (path == NULL)
			path = name;
		else if (strcmp(path, "-") != 0 && is_folder(path))
			path = pl_format("%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", name);
		exit = save(cli, args, message, attachment, path);
	}
	if (exit == PL_EXIT_OK && strcmp(path, "-") != 0) {
		if (cli->json)
			pl_out_json(json_pack("{s:s, s:s, s:I, s:s}", "file", path, "name", pl_json_text(attachment, "name"), "bytes",
			                      (json_int_t)pl_json_number(attachment, "bytes"), "sha256", pl_json_text(attachment, "sha256")));
		else
			pl_say(cli, "%s: \"%s\", %s, its SHA-256 is as the message says", path, pl_json_text(attachment, "name"),
			       pl_bytes_text(pl_json_number(attachment, "bytes")));
	}
	json_decref(message);
	return exit;
}

const struct pl_option pl_attachment_options[] = {
	{ .name = "out", .letter = 'o', .value = PL_VALUE_FILE, .value_name = "PATH",
	  .help = "the file, or the folder, where it goes; - for stdout; its own name in this folder if not given" },
	{ .name = "force", .letter = 'f', .help = "replace the file of -o FILE if it is there" },
	{ .name = "wait", .letter = 'w', .help = "wait until it is complete" },
	{ .name = "timeout", .value = PL_VALUE_NUMBER, .value_name = "SECONDS", .min = 1, .max = 604800,
	  .help = "how long to wait, 600 if not given; then exit code 8" },
	{ 0 },
};
