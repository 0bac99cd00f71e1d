#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/cli.h"
#include "node/keys.h"

enum pl_exit pl_file_error(const struct pl_cli *cli, enum pl_err err, const char *why)
{
	return pl_error(cli, pl_exit_of(err), NULL, "%s", why);
}

enum pl_exit pl_ask_passphrase(const struct pl_cli *cli, const struct pl_args *args, size_t index, const char *key_path, bool is_new,
                               char **out)
{
	const char *file = NULL, *next;
	size_t at = 0;
	for (size_t i = 0; i <= index && (next = pl_args_each(args, "passphrase-file", &at)) != NULL; i++)
		file = next;
	char why[PL_FILE_PATH_BYTES_MAX + 256];
	char *passphrase = pl_alloc(PL_PASSPHRASE_BYTES_MAX);
	enum pl_err err = pl_passphrase_get(file, is_new ? pl_format("new passphrase of %s, at least %d characters", key_path, PL_PASSPHRASE_CHARS_MIN) :
	                                            pl_format("passphrase of %s", key_path), is_new, passphrase, PL_PASSPHRASE_BYTES_MAX, why,
	                                    sizeof(why));
	if (err == PL_ERR_NO_KEY)
		return pl_error(cli, PL_EXIT_REFUSED, "give --passphrase-file FILE (mode 600), set $PARLEY_PASSPHRASE, or run this on a terminal",
		                "%s: there is no terminal to ask for its passphrase", key_path);
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	if (is_new && strlen(passphrase) < PL_PASSPHRASE_CHARS_MIN) {
		pl_forget(passphrase);
		return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: a passphrase for a new key%s has at least %d characters", file == NULL ? key_path : file,
		                file == NULL ? "" : pl_format(", %s,", key_path), PL_PASSPHRASE_CHARS_MIN);
	}
	if (isatty(STDERR_FILENO)) /* of a root key that takes seconds, and 1 GiB of memory */
		pl_remark(cli, "deriving the key of %s from the passphrase ...", key_path);
	*out = passphrase;
	return PL_EXIT_OK;
}

void pl_forget(char *passphrase)
{
	sodium_memzero(passphrase, PL_PASSPHRASE_BYTES_MAX);
}

/* --- inputs --- */

const char *pl_input_name(const char *path)
{
	return strcmp(path, "-") == 0 ? "stdin" : path;
}

enum pl_err pl_input_read(const char *path, size_t bytes_max, uint8_t **bytes, size_t *count, char *why, size_t why_max)
{
	static const char device[] = "/dev/stdin", folder[] = "/dev/";
	const bool is_stdin = strcmp(path, "-") == 0;
	enum pl_err err = pl_file_read(is_stdin ? device : path, bytes_max, bytes, count, why, why_max);
	if (err != PL_OK && is_stdin && strncmp(why, device, sizeof(device) - 1) == 0)
		memmove(why, why + sizeof(folder) - 1, strlen(why + sizeof(folder) - 1) + 1);
	return err;
}

/* --- sinks --- */

struct pl_sink {
	const struct pl_cli *cli;
	bool is_stdout, failed;
	crypto_hash_sha256_state hash;
	struct pl_file file;
	char why[PL_FILE_PATH_BYTES_MAX + 256];
	enum pl_err err;
};

/* What an interrupted command leaves behind is removed: one sink is open at a time. */
static struct pl_sink *volatile open_sink;

static void on_interrupt(int number)
{
	struct pl_sink *sink = open_sink;
	if (sink != NULL)
		(void)unlink(sink->file.temporary);
	(void)signal(number, SIG_DFL);
	(void)raise(number);
}

enum pl_exit pl_sink_open(const struct pl_cli *cli, const char *path, bool replaces, struct pl_sink **out)
{
	struct pl_sink *sink = pl_alloc(sizeof(*sink));
	sink->cli = cli;
	sink->is_stdout = strcmp(path, "-") == 0;
	(void)crypto_hash_sha256_init(&sink->hash);
	if (sink->is_stdout) {
		if (isatty(STDOUT_FILENO))
			return pl_error(cli, PL_EXIT_USAGE, "name a file with -o, or send the output into one", "raw bytes are not written to a terminal");
	} else {
		enum pl_err err = pl_file_begin(path, !replaces, &sink->file, sink->why, sizeof(sink->why));
		if (err != PL_OK)
			return pl_file_error(cli, err, sink->why);
		open_sink = sink;
		(void)signal(SIGINT, on_interrupt);
		(void)signal(SIGTERM, on_interrupt);
		(void)signal(SIGHUP, on_interrupt);
	}
	*out = sink;
	return PL_EXIT_OK;
}

bool pl_sink_write(struct pl_sink *sink, const void *bytes, size_t count)
{
	if (sink->failed)
		return false;
	(void)crypto_hash_sha256_update(&sink->hash, bytes, count);
	if (sink->is_stdout) {
		if (fwrite(bytes, 1, count, stdout) != count) {
			sink->err = PL_ERR_IO;
			snprintf(sink->why, sizeof(sink->why), "the output cannot be written: %s", strerror(errno));
		}
	} else {
		sink->err = pl_file_append(&sink->file, bytes, count, sink->why, sizeof(sink->why));
	}
	sink->failed = sink->err != PL_OK;
	return !sink->failed;
}

const char *pl_sink_sha256(struct pl_sink *sink)
{
	crypto_hash_sha256_state copy = sink->hash;
	uint8_t digest[crypto_hash_sha256_BYTES];
	(void)crypto_hash_sha256_final(&copy, digest);
	return pl_hex(digest, sizeof(digest));
}

enum pl_exit pl_sink_close(struct pl_sink *sink, bool keep)
{
	if (!sink->is_stdout) {
		if (sink->failed || !keep) {
			pl_file_abandon(&sink->file);
		} else {
			sink->err = pl_file_commit(&sink->file, 0600, sink->why, sizeof(sink->why));
			sink->failed = sink->err != PL_OK;
		}
		open_sink = NULL;
	}
	return sink->failed ? pl_file_error(sink->cli, sink->err, sink->why) : PL_EXIT_OK;
}
