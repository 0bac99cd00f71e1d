/* The command `parley`: what its parts share.
 *
 *   main.c       takes the command line apart and runs one command
 *   commands.c   the table of commands, and help from it
 *   complete.c   candidates for the shells, from the same table
 *   args.c       options and operands against a command's table
 *   output.c     everything that is printed goes through here: folded at the terminal's width, colours, errors
 *   text.c       under it: text from others made harmless, formats; memory for strings
 *   interrupt.c  what is said to whoever interrupts
 *   table.c figures.c progress.c   columns; numbers, sizes and times for people; the line that shows how far a long job is
 *   files.c      passphrases, and files that a command writes
 *   client.c client_events.c fields.c   HTTP to parleyd over its Unix socket; what happens there; fields of its answers
 *   delivery.c   handing a message over, so that it is known in the end whether it was sent
 *   cmd_*.c      the commands, each with its entry of the table at the end of its file
 *
 * To add a command: write run_…() in the cmd_ file of its group, add an entry to that file's table and a paragraph to
 * contrib/man/parley.1.
 *
 * A command prints its result on stdout and everything else on stderr. It returns an enum pl_exit, having said why if it is not PL_EXIT_OK.
 * Memory for strings comes from pl_alloc() and lives as long as the process, which is short; pl_scope() ends it early in loops.
 */
#ifndef PL_NODE_CLI_H
#define PL_NODE_CLI_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "crypto/err.h"

/* --- exit codes --- */

enum pl_exit {
	PL_EXIT_OK = 0,
	PL_EXIT_FAILED = 1,      /* anything that no other code says */
	PL_EXIT_USAGE = 2,
	PL_EXIT_UNREACHABLE = 3, /* parleyd does not answer */
	PL_EXIT_UNKNOWN = 4,     /* what was named does not exist */
	PL_EXIT_REFUSED = 5,     /* a rule forbids it */
	PL_EXIT_INPUT = 6,       /* a file or a text is not what it has to be */
	PL_EXIT_UNVERIFIED = 7,  /* a signature, proof or charter does not hold */
	PL_EXIT_TIMEOUT = 8,
	PL_EXIT_OPEN = 9,        /* all that was looked at holds, and something was left to the reader */
	PL_EXIT_UNSURE = 10,     /* it may have been done or not: parleyd took the call, and no answer came */
	PL_EXITS
};
const char *pl_exit_code(enum pl_exit exit);    /* "not_found": "code" of an error in JSON */
const char *pl_exit_meaning(enum pl_exit exit); /* a phrase for help and the man page */
/* What an error of a local file or key means for the exit code. */
enum pl_exit pl_exit_of(enum pl_err err);

/* --- commands --- */

struct pl_cli {
	const char *dir;    /* --dir or what stands for it */
	bool dir_given;     /* by --dir or $PARLEY_DIR */
	const char *socket; /* --socket, or NULL: from the configuration in dir */
	bool json, quiet, progress;
	struct pl_client *client; /* made by the first call to the API */
};

enum pl_value {
	PL_VALUE_NONE, /* an option that is there or not */
	PL_VALUE_TEXT,
	PL_VALUE_FILE,
	PL_VALUE_FOLDER,
	PL_VALUE_NUMBER,
	PL_VALUE_CHOICE,
	PL_VALUE_MEMBER,   /* completed with the codes of the network's members, several with commas */
	PL_VALUE_NODE,     /* with the names of its nodes */
	PL_VALUE_MESSAGE,  /* with the references of messages that are here */
	PL_VALUE_RECEIVED, /* of those that came from others */
};

struct pl_option {
	const char *name; /* "passphrase-file"; NULL ends a table */
	char letter;      /* 'o', or 0 */
	enum pl_value value;
	const char *value_name; /* "FILE" */
	const char *help;       /* one line, lower case, no full stop */
	const char *choices;    /* PL_VALUE_CHOICE: "state|observer"; of a PL_VALUE_TEXT: what is completed, while others are taken too */
	uint64_t min, max;      /* PL_VALUE_NUMBER */
	bool required, repeats;
};

struct pl_operand {
	const char *name; /* "ID"; NULL ends a table */
	enum pl_value value;
	bool optional, repeats;
};

struct pl_args;

struct pl_command {
	const char *name;    /* "key new"; NULL ends a table */
	const char *summary; /* one line for the list of commands */
	const char *details; /* paragraphs for --help, or NULL */
	struct pl_operand operands[3];
	const struct pl_option *options; /* or NULL */
	enum pl_exit (*run)(struct pl_cli *cli, const struct pl_args *args);
};

struct pl_command_group {
	const char *title;
	const struct pl_command *commands;
};

extern const struct pl_command_group pl_command_groups[]; /* ends with a NULL title */
extern const struct pl_option pl_global_options[];
extern const struct pl_command pl_commands_key[], pl_commands_charter[], pl_commands_init[], pl_commands_status[], pl_commands_message[],
	pl_commands_watch[], pl_commands_indicator[], pl_commands_proof[];

const struct pl_command *pl_command_find(const char *name);
void pl_help_all(const char *group /* "key", or NULL: all */);
void pl_help_command(const struct pl_command *command);
/* Candidates for the last of words (the ones before it are complete), a line each: candidate, tab, description. A line ":file" or ":folder"
 * asks the shell to add names of files. Where nothing fits, nothing is printed. */
void pl_complete(struct pl_cli *cli, const char *const *words, size_t count);
/* The whole table, a line each: "command", its name; "option", command or "-", "--name"; "operand", command, name; "exit", code, meaning;
 * tabs
 * between. */
void pl_commands_dump(void);

/* --- arguments --- */

#define PL_ARGS_MAX 512

struct pl_arg {
	const struct pl_option *option;
	const char *value; /* NULL for PL_VALUE_NONE */
};

struct pl_args {
	const struct pl_command *command;
	const char *group; /* "key", if that is as far as the words go */
	size_t options_count, operands_count;
	struct pl_arg options[PL_ARGS_MAX];
	const char *operands[PL_ARGS_MAX];
};

/* Finds the command and takes the words apart; global options go into cli wherever they stand. On a mistake says what is wrong and what was
 * probably meant, and returns PL_EXIT_USAGE. *help, *version: asked for; args->command may be NULL then. */
enum pl_exit pl_args_parse(struct pl_cli *cli, struct pl_args *args, int argc, char *const *argv, bool *help, bool *version);
const char *pl_args_get(const struct pl_args *args, const char *name); /* the last value; NULL if absent */
bool pl_args_has(const struct pl_args *args, const char *name);
uint64_t pl_args_number(const struct pl_args *args, const char *name, uint64_t otherwise);
/* Values of an option that repeats, in order: *at starts at 0; NULL after the last. */
const char *pl_args_each(const struct pl_args *args, const char *name, size_t *at);
const char *pl_args_operand(const struct pl_args *args, size_t index); /* NULL past the end */

/* --- memory --- */

void *pl_alloc(size_t bytes); /* zeroed; ends the process if there is none */
char *pl_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Everything allocated between begin and end of a scope is freed at its end. */
struct pl_block;
struct pl_block *pl_scope_begin(void);
void pl_scope_end(struct pl_block *scope);

/* --- output --- */

/* What others wrote may carry terminal escapes, line breaks that forge output, direction overrides. So everything is printed through these:
 * the format is ours, and every %s in it is made visible (hidden characters as \x1b or \u{202e}, highlighted where there is colour). A backslash
 * of the text itself is doubled where it would read as the beginning of such an escape, and before one: so two texts never look the same. */
enum pl_style { PL_PLAIN, PL_BOLD, PL_DIM, PL_RED, PL_GREEN, PL_YELLOW, PL_URGENT };
void pl_out_init(const char *color /* auto, always, never */);
void pl_out(const char *format, ...) __attribute__((format(printf, 1, 2)));
void pl_out_styled(enum pl_style style, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "label     value", the value aligned with those of other fields. */
void pl_out_field(const char *label, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The rest of a line of which so many columns are printed; further rows begin below its first. Ends the line. */
void pl_out_rest(int columns, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A text of several lines, each indented; line breaks and tabs are kept. On a terminal, fields and blocks are folded at its width and each row
 * is indented, so that nothing of others' comes to stand at the left, where only our labels do. */
void pl_out_block(const char *indent, const char *text, size_t count);
/* The text of a message: a block, and after it a line at the left that says that it ends there. */
void pl_out_text(const char *text, size_t count);
/* Says what was done; not with --quiet or --json. */
void pl_say(const struct pl_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A remark on stderr; not with --quiet or --json. */
void pl_remark(const struct pl_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What whoever interrupts the command is told last, until it is said anew: what is known then. Text of our own, without quotes. NULL: nothing. */
void pl_interrupt_tell(const struct pl_cli *cli, const char *message, const char *hint);
/* Prints a JSON document on one line of stdout, all but ASCII escaped, and frees it. */
void pl_out_json(json_t *document);
/* The text as pl_out() would print it, without colour; printed through it once more, its escapes read as typed ones. */
char *pl_visible_text(const char *text, size_t count);
char *pl_visible_list(const char *format, va_list list);
int pl_text_columns(const char *text); /* on a terminal */
int pl_out_width(void);                /* of the terminal; 0 where there is none */
void pl_out_set_width(int columns);    /* as if it had so many; for tests */

/* "parley: message" and the hint on a line of its own; with --json {"error": {"code", "message", "hint"}}. Returns exit. */
enum pl_exit pl_error(const struct pl_cli *cli, enum pl_exit exit, const char *hint /* or NULL */, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* The same with a code of its own, as errors of the API have. */
enum pl_exit pl_error_coded(const struct pl_cli *cli, enum pl_exit exit, const char *code, const char *hint, const char *message);

/* An error of the API, as it is: for --json. */
enum pl_exit pl_error_object(enum pl_exit exit, const json_t *error);

/* Columns: a header each; '<' or '>' before it says how it is aligned, '*' that this one gives way when the terminal is too narrow,
 * '+' that it then goes to a second line, with its header before it. Where there is no terminal, all stands on one line, uncut. */
struct pl_table;
struct pl_table *pl_table_new(const char *const *columns, size_t columns_count);
void pl_table_cell(struct pl_table *table, enum pl_style style, const char *format, ...) __attribute__((format(printf, 3, 4)));
void pl_table_print(struct pl_table *table);

char *pl_quoted(const char *word); /* as a shell takes it: quoted if it has to be */
char *pl_hex(const uint8_t *bytes, size_t count);
char *pl_hex_groups(const uint8_t *bytes, size_t count); /* "9f2c 41aa …": for people to compare */
char *pl_bytes_text(uint64_t bytes);                     /* "3.4 MiB" */
const char *pl_store_remark(const char *state);          /* of a store that has no room: "; FULL: …"; else "" */
char *pl_count_text(uint64_t count);                     /* "1,204" */
char *pl_number_of(uint64_t count, const char *one, const char *many); /* "1 entry", "1,204 entries" */
char *pl_upper(const char *text);                        /* ASCII letters only */
char *pl_lower(const char *text);                        /* likewise */
char *pl_duration_text(uint64_t ms);                     /* "850 ms", "12 s", "3 h 12 min" */

/* --- times --- */

int64_t pl_now_ms(void);   /* unix */
int64_t pl_ticks_ms(void); /* monotonic */
bool pl_time_read(const char *rfc3339, int64_t *ms);
char *pl_time_rfc3339(int64_t ms); /* "2026-11-24T12:00:00.123Z" */
char *pl_time_full(int64_t ms);    /* "2026-11-24 14:00:00 EET (12:00:00 UTC)" */
char *pl_time_short(int64_t ms);   /* "24 Nov 14:00:00 (12:00:00Z)", for tables; with the year if it is another one */
/* "45s", "30m", "2h", "7d". */
bool pl_duration_read(const char *text, uint64_t *ms);

/* --- progress --- */

/* A line on stderr for what takes more than a second: how far, how fast, how long it will take. */
struct pl_progress {
	const struct pl_cli *cli;
	const char *what; /* "importing" */
	bool bytes;       /* what is counted: bytes, or things */
	uint64_t total;   /* 0: not known */
	int64_t started_ms, shown_ms;
	bool is_shown;
};
void pl_progress_begin(struct pl_progress *progress, const struct pl_cli *cli, const char *what, bool bytes, uint64_t total);
void pl_progress_at(struct pl_progress *progress, uint64_t done);
void pl_progress_end(struct pl_progress *progress);
/* Before something else is printed on stderr: the line on a terminal makes room, and comes again. */
void pl_progress_hide(void);

/* --- files --- */

/* Asks for the passphrase of a key: the index-th --passphrase-file (the last one serves for all further keys), the environment, the
 * terminal. What follows takes a while, and somebody at a terminal is told so. */
enum pl_exit pl_ask_passphrase(const struct pl_cli *cli, const struct pl_args *args, size_t index, const char *key_path, bool is_new,
                               char **out);
void pl_forget(char *passphrase); /* wipes it */
/* Reports an error of node/keys.h or of a document as the right exit code. why: "FILE: what is wrong; what to do". */
enum pl_exit pl_file_error(const struct pl_cli *cli, enum pl_err err, const char *why);
/* What an input is called in a sentence: its path, or "stdin" for "-". */
const char *pl_input_name(const char *path);
/* pl_file_read(), which takes "-" for stdin. */
enum pl_err pl_input_read(const char *path, size_t bytes_max, uint8_t **bytes, size_t *count, char *why, size_t why_max);
/* A file that comes into being piece by piece: whole and new at the end, or not at all. "-" is stdout. replaces: what
 * stands there goes then; else that is refused. */
struct pl_sink;
enum pl_exit pl_sink_open(const struct pl_cli *cli, const char *path, bool replaces, struct pl_sink **out);
bool pl_sink_write(struct pl_sink *sink, const void *bytes, size_t count);
const char *pl_sink_sha256(struct pl_sink *sink); /* of what was written, in hex */
/* keep false: throw away. */
enum pl_exit pl_sink_close(struct pl_sink *sink, bool keep);

/* --- client --- */

/* Path of a request: every %s is percent-encoded as one segment or value. */
char *pl_path(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Calls the API. Errors are reported here, with their exit code. body: taken over, or NULL. *out: to be freed with json_decref(). */
enum pl_exit pl_call(struct pl_cli *cli, const char *method, const char *path, json_t *body, json_t **out);
enum pl_exit pl_call_bytes(struct pl_cli *cli, const char *path, const char *media_type, const void *bytes, size_t count,
                           const char *in_doubt /* the hint when it was taken and no answer came */, json_t **out);
enum pl_exit pl_call_download(struct pl_cli *cli, const char *path, struct pl_sink *sink, struct pl_progress *progress /* or NULL */);
/* What becomes of a call. */
enum pl_came {
	PL_CAME_ANSWER,  /* with a status: done, or refused */
	PL_CAME_NOBODY,  /* nobody took the call: it is not done */
	PL_CAME_BREAK,   /* the connection broke: it may have been done */
	PL_CAME_NOTHING, /* no answer in time: it may have been done, or will be */
	PL_CAME_TROUBLE, /* none of these; it was said */
};
struct pl_answer {
	enum pl_came came;
	long status;
	json_t *document, *error; /* of a success; of a refusal; to be freed */
};
/* Like pl_call(), but leaves it to the caller to say what came, with pl_answer_report(), or to ask again. body stays the caller's.
 * while_waiting: added to what is said after a few seconds, or NULL. Not PL_EXIT_OK: the call could not be made, and that was said. */
enum pl_exit pl_try(struct pl_cli *cli, const char *method, const char *path, const json_t *body, const char *while_waiting,
                    int64_t timeout_ms, struct pl_answer *out);
enum pl_exit pl_try_bytes(struct pl_cli *cli, const char *path, const char *media_type, const void *bytes, size_t count,
                          struct pl_progress *progress /* or NULL */, int64_t stall_ms_max, struct pl_answer *out);
enum pl_exit pl_answer_report(struct pl_cli *cli, const struct pl_answer *answer);
void pl_answer_dispose(struct pl_answer *answer);
/* Server-sent events until on_event says false (PL_EXIT_OK), timeout_ms passes (0: never; PL_EXIT_TIMEOUT), or the daemon goes or is not
 * there (PL_EXIT_UNREACHABLE, unsaid). on_open: the stream stands. last_id: "" at first; the id of the place that the stream has reached, which a
 * further call goes on from. */
#define PL_EVENT_ID_BYTES 64
typedef bool (*pl_on_event)(void *ctx, const char *event, const char *data, const char *id);
enum pl_exit pl_call_events(struct pl_cli *cli, char last_id[PL_EVENT_ID_BYTES], int64_t timeout_ms, void (*on_open)(void *ctx), pl_on_event on_event,
                            void *ctx);
void pl_client_free(struct pl_client *client);
/* The same error as pl_call() reports when nobody answers. */
enum pl_exit pl_unreachable(struct pl_cli *cli);

/* Fields of an answer; the otherwise of each is what an absent or mistyped field reads as. */
const char *pl_json_text(const json_t *object, const char *key);          /* "" */
uint64_t pl_json_number(const json_t *object, const char *key);           /* 0 */
bool pl_json_time(const json_t *object, const char *key, int64_t *ms);
char *pl_json_join(const json_t *strings, const char *separator);         /* "" */

#endif
