#include <string.h>

#include "node/cli/cli.h"

#define HELP_COLUMNS_MAX 100
#define HELP_COLUMNS 80 /* where there is no terminal */
#define LABEL_COLUMNS 28
#define CHOICES_COLUMNS 44

const struct pl_command_group pl_command_groups[] = {
	{ "Keys and certificates", pl_commands_key },
	{ "Charter", pl_commands_charter },
	{ "Folder of a node", pl_commands_init },
	{ "State of the node", pl_commands_status },
	{ "Messages", pl_commands_message },
	{ "Events", pl_commands_watch },
	{ "Indicators", pl_commands_indicator },
	{ "Proofs", pl_commands_proof },
	{ NULL, NULL },
};

const struct pl_option pl_global_options[] = {
	{ .name = "dir", .value = PL_VALUE_FOLDER, .value_name = "DIR",
	  .help = "folder of the node ($PARLEY_DIR; else this folder if it has a parley.conf, else /var/lib/parley)" },
	{ .name = "socket", .value = PL_VALUE_FILE, .value_name = "PATH",
	  .help = "socket of parleyd, instead of the one that the folder's parley.conf names" },
	{ .name = "json", .help = "print JSON, one document on one line; errors too, on stderr" },
	{ .name = "quiet", .letter = 'q', .help = "print results and errors only: of a message that is sent, its reference alone" },
	{ .name = "progress", .help = "show progress even where stderr is no terminal: a line each 10 s" },
	{ .name = "color", .value = PL_VALUE_CHOICE, .value_name = "WHEN", .choices = "auto|always|never",
	  .help = "colours: on a terminal unless $NO_COLOR is set (auto), always, never" },
	{ .name = "help", .letter = 'h', .help = "show help, of a command if one is named" },
	{ .name = "version", .help = "print the version" },
	{ 0 },
};

const char *pl_exit_code(enum pl_exit exit)
{
	switch (exit) {
	case PL_EXIT_OK: return "ok";
	case PL_EXIT_FAILED: return "failed";
	case PL_EXIT_USAGE: return "usage";
	case PL_EXIT_UNREACHABLE: return "unreachable";
	case PL_EXIT_UNKNOWN: return "not_found";
	case PL_EXIT_REFUSED: return "refused";
	case PL_EXIT_INPUT: return "bad_input";
	case PL_EXIT_UNVERIFIED: return "not_verified";
	case PL_EXIT_TIMEOUT: return "timeout";
	case PL_EXIT_OPEN: return "not_compared";
	case PL_EXIT_UNSURE: return "not_known";
	case PL_EXITS: break;
	}
	return "unknown";
}

const char *pl_exit_meaning(enum pl_exit exit)
{
	switch (exit) {
	case PL_EXIT_OK: return "done";
	case PL_EXIT_FAILED: return "failed: no room, no memory, or anything that no other code says";
	case PL_EXIT_USAGE: return "the command line is wrong";
	case PL_EXIT_UNREACHABLE: return "parleyd does not answer on its socket";
	case PL_EXIT_UNKNOWN: return "what was named does not exist: a message, a member, a file";
	case PL_EXIT_REFUSED: return "a rule forbids it: not a recipient, no epoch key, over a quota, a file that exists";
	case PL_EXIT_INPUT: return "an input is not what it has to be: format, size, passphrase";
	case PL_EXIT_UNVERIFIED: return "a signature, a proof or a charter does not hold";
	case PL_EXIT_TIMEOUT: return "it did not happen in time";
	case PL_EXIT_OPEN: return "a proof holds, and its network was not compared with one that is known: give --network";
	case PL_EXIT_UNSURE: return "nobody knows yet whether it was done: parleyd took the call, and no answer came";
	case PL_EXITS: break;
	}
	return "unknown";
}

enum pl_exit pl_exit_of(enum pl_err err)
{
	switch (err) {
	case PL_OK: return PL_EXIT_OK;
	case PL_ERR_SHORT:
	case PL_ERR_FORMAT:
	case PL_ERR_LIMIT:
	case PL_ERR_VERSION:
	case PL_ERR_DECRYPT:
	case PL_ERR_CORRUPT: return PL_EXIT_INPUT;
	case PL_ERR_SIGNATURE:
	case PL_ERR_CHAIN:
	case PL_ERR_FORK:
	case PL_ERR_EXPIRED: return PL_EXIT_UNVERIFIED;
	case PL_ERR_UNKNOWN: return PL_EXIT_UNKNOWN;
	case PL_ERR_NETWORK:
	case PL_ERR_EXISTS:
	case PL_ERR_REFUSED:
	case PL_ERR_STATE:
	case PL_ERR_QUOTA:
	case PL_ERR_NO_KEY: return PL_EXIT_REFUSED;
	case PL_ERR_FULL:
	case PL_ERR_MEMORY:
	case PL_ERR_IO:
	case PL_ERR_DISK_FULL: return PL_EXIT_FAILED;
	}
	return PL_EXIT_FAILED;
}

const struct pl_command *pl_command_find(const char *name)
{
	for (const struct pl_command_group *group = pl_command_groups; group->title != NULL; group++)
		for (const struct pl_command *command = group->commands; command->name != NULL; command++)
			if (strcmp(command->name, name) == 0)
				return command;
	return NULL;
}

/* --- help --- */

/* Prints words from column on, and goes on in the next line at the same column. */
static void print_wrapped(const char *text, int column)
{
	int limit = pl_out_width() > 0 ? pl_out_width() : HELP_COLUMNS, at = column;
	if (limit > HELP_COLUMNS_MAX)
		limit = HELP_COLUMNS_MAX;
	for (bool is_first = true; *text != '\0'; is_first = false) {
		size_t word = strcspn(text, " ");
		int columns = pl_text_columns(pl_format("%.*s", (int)word, text));
		if (!is_first && at + 1 + columns > limit) {
			pl_out("\n%*s", column, "");
			at = column;
		} else if (!is_first) {
			pl_out(" ");
			at++;
		}
		pl_out("%.*s", (int)word, text);
		at += columns;
		text += word;
		text += strspn(text, " ");
	}
	pl_out("\n");
}

/* A command line, which a shell takes as it stands: broken between options, with a backslash, where it is too long. */
static void print_example(const char *text)
{
	const int limit = pl_out_width() > 0 ? pl_out_width() : HELP_COLUMNS;
	while (pl_text_columns(text) > limit) {
		size_t end = 0;
		for (const char *at = strstr(text + 4, " -"); at != NULL && at - text <= limit - 2; at = strstr(at + 1, " -"))
			end = (size_t)(at - text);
		if (end < 9)
			break;
		pl_out("%.*s \\\n", (int)end, text);
		text = pl_format("        %s", text + end + 1);
	}
	pl_out("%s\n", text);
}

static void print_labelled(const char *label, int label_columns, const char *text)
{
	int columns = 2 + pl_text_columns(label);
	pl_out("  ");
	pl_out_styled(PL_BOLD, "%s", label);
	if (columns + 2 > label_columns)
		pl_out("\n%*s", label_columns, "");
	else
		pl_out("%*s", label_columns - columns, "");
	print_wrapped(text, label_columns);
}

/* "a | b | c": long ones, so that they fold. */
static char *spaced(const char *choices)
{
	char *out = pl_format("%s", "");
	for (; *choices != '\0'; choices++)
		out = *choices == '|' ? pl_format("%s | ", out) : pl_format("%s%.1s", out, choices);
	return out;
}

static void print_options(const struct pl_option *options)
{
	for (const struct pl_option *o = options; o->name != NULL; o++) {
		char *label = o->letter != 0 ? pl_format("-%c, --%s", o->letter, o->name) : pl_format("    --%s", o->name);
		if (o->value != PL_VALUE_NONE)
			label = pl_format("%s %s", label, o->value_name);
		char *text = pl_format("%s", o->help);
		if (o->value == PL_VALUE_CHOICE)
			text = pl_format("%s (%s)", text, strlen(o->choices) < CHOICES_COLUMNS ? o->choices : spaced(o->choices));
		if (o->repeats)
			text = pl_format("%s; may be repeated", text);
		print_labelled(label, LABEL_COLUMNS, text);
	}
}

static char *usage(const struct pl_command *command)
{
	char *line = pl_format("parley %s", command->name);
	bool has_others = false;
	for (const struct pl_option *o = command->options; o != NULL && o->name != NULL; o++) {
		if (o->required)
			line = pl_format("%s --%s %s%s", line, o->name, o->value_name, o->repeats ? "…" : "");
		else
			has_others = true;
	}
	if (has_others)
		line = pl_format("%s [OPTIONS]", line);
	for (size_t i = 0; i < 3 && command->operands[i].name != NULL; i++) {
		const struct pl_operand *operand = &command->operands[i];
		const char *dots = operand->repeats ? "…" : "";
		line = operand->optional ? pl_format("%s [%s%s]", line, operand->name, dots) : pl_format("%s %s%s", line, operand->name, dots);
	}
	return line;
}

void pl_help_all(const char *group_name)
{
	if (group_name == NULL)
		pl_out("Usage: parley COMMAND [OPTIONS]\n");
	else
		pl_out("Usage: parley %s COMMAND [OPTIONS]\n", group_name);
	for (const struct pl_command_group *group = pl_command_groups; group->title != NULL; group++) {
		bool has_title = false;
		for (const struct pl_command *command = group->commands; command->name != NULL; command++) {
			if (group_name != NULL && strncmp(command->name, pl_format("%s ", group_name), strlen(group_name) + 1) != 0)
				continue;
			if (!has_title)
				pl_out("\n%s\n", group->title);
			has_title = true;
			print_labelled(command->name, 20, command->summary);
		}
	}
	pl_out("\nOptions of every command\n");
	print_options(pl_global_options);
	if (group_name == NULL) {
		pl_out("\nExit codes\n");
		for (int exit = PL_EXIT_OK; exit < PL_EXITS; exit++)
			print_labelled(pl_format("%d", exit), 6, pl_exit_meaning((enum pl_exit)exit));
	}
	if (group_name == NULL)
		pl_out("\n`parley COMMAND --help` shows one command, parley(1) all of them.\n");
	else
		pl_out("\n`parley %s COMMAND --help` shows one of them, parley(1) all.\n", group_name);
}

void pl_help_command(const struct pl_command *command)
{
	pl_out("Usage: %s\n\n", usage(command));
	print_wrapped(pl_format("%s%s.", pl_upper(pl_format("%.1s", command->summary)), command->summary + 1), 0);
	for (const char *at = command->details; at != NULL && *at != '\0';) {
		size_t paragraph = strcspn(at, "\n");
		pl_out("\n");
		if (strncmp(at, "    ", 4) == 0)
			print_example(pl_format("%.*s", (int)paragraph, at));
		else
			print_wrapped(pl_format("%.*s", (int)paragraph, at), 0);
		at += paragraph;
		at += strspn(at, "\n");
	}
	if (command->options != NULL) {
		pl_out("\nOptions\n");
		print_options(command->options);
	}
	pl_out("\nOptions of every command\n");
	print_options(pl_global_options);
}

void pl_commands_dump(void)
{
	for (const struct pl_option *o = pl_global_options; o->name != NULL; o++)
		pl_out("option\t-\t--%s\n", o->name); /* of every command */
	for (const struct pl_command_group *group = pl_command_groups; group->title != NULL; group++) {
		for (const struct pl_command *command = group->commands; command->name != NULL; command++) {
			pl_out("command\t%s\n", command->name);
			for (const struct pl_option *o = command->options; o != NULL && o->name != NULL; o++)
				pl_out("option\t%s\t--%s\n", command->name, o->name);
			for (size_t i = 0; i < 3 && command->operands[i].name != NULL; i++)
				pl_out("operand\t%s\t%s\n", command->name, command->operands[i].name);
		}
	}
	for (int exit = PL_EXIT_OK; exit < PL_EXITS; exit++)
		pl_out("exit\t%d\t%s\n", exit, pl_exit_meaning((enum pl_exit)exit));
}
