#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/cli.h"
#include "node/nearest.h"

/* --- parsing --- */

struct parser {
	struct pl_cli *cli;
	struct pl_args *args;
	bool help, version;
};

static const struct pl_option *find_in(const struct pl_option *options, const char *name, size_t count, char letter)
{
	for (; options != NULL && options->name != NULL; options++)
		if (letter != 0 ? options->letter == letter : strlen(options->name) == count && strncmp(options->name, name, count) == 0)
			return options;
	return NULL;
}

static const struct pl_option *find_option(const struct pl_args *args, const char *name, size_t count, char letter)
{
	const struct pl_option *found = args->command == NULL ? NULL : find_in(args->command->options, name, count, letter);
	return found != NULL ? found : find_in(pl_global_options, name, count, letter);
}

static bool is_global(const struct pl_option *option)
{
	const struct pl_option *global = find_in(pl_global_options, option->name, strlen(option->name), 0);
	return global == option;
}

static char *help_hint(const struct pl_args *args)
{
	return args->command == NULL ? pl_format("`parley --help` lists the commands")
	                             : pl_format("`parley %s --help` shows what it takes", args->command->name);
}

static enum pl_exit unknown_option(const struct parser *parser, const char *word, size_t count)
{
	const char *names[64];
	size_t names_count = 0;
	const struct pl_command *command = parser->args->command;
	for (const struct pl_option *o = command == NULL ? NULL : command->options; o != NULL && o->name != NULL && names_count < 48; o++)
		names[names_count++] = o->name;
	for (const struct pl_option *o = pl_global_options; o->name != NULL && names_count < 64; o++)
		names[names_count++] = o->name;
	const char *nearest = strncmp(word, "--", 2) == 0 ? pl_nearest(pl_format("%.*s", (int)count - 2, word + 2), names, names_count) : NULL;
	char *hint = nearest == NULL ? help_hint(parser->args) : pl_format("did you mean --%s?", nearest);
	if (command == NULL)
		return pl_error(parser->cli, PL_EXIT_USAGE, hint, "there is no option %.*s", (int)count, word);
	return pl_error(parser->cli, PL_EXIT_USAGE, hint, "`parley %s` has no option %.*s", command->name, (int)count, word);
}

static bool is_choice(const char *choices, const char *value)
{
	size_t count = strlen(value);
	for (const char *at = choices; *at != '\0';) {
		size_t one = strcspn(at, "|");
		if (one == count && strncmp(at, value, one) == 0)
			return true;
		at += one + (at[one] == '|');
	}
	return false;
}

static enum pl_exit check_value(const struct parser *parser, const struct pl_option *option, const char *value)
{
	if (option->value == PL_VALUE_CHOICE && !is_choice(option->choices, value)) {
		char *list = pl_format("%s", option->choices);
		for (char *at = list; *at != '\0'; at++)
			if (*at == '|')
				*at = ' ';
		return pl_error(parser->cli, PL_EXIT_USAGE, pl_format("one of: %s", list), "--%s cannot be \"%s\"", option->name, value);
	}
	if (option->value == PL_VALUE_NUMBER) {
		char *end;
		unsigned long long number = isdigit((unsigned char)value[0]) ? strtoull(value, &end, 10) : 0;
		if (!isdigit((unsigned char)value[0]) || *end != '\0' || strlen(value) > 18 || number < option->min || number > option->max)
			return pl_error(parser->cli, PL_EXIT_USAGE, NULL, "--%s is a whole number from %llu to %llu, not \"%s\"", option->name,
			                (unsigned long long)option->min, (unsigned long long)option->max, value);
	}
	if (value[0] == '\0')
		return pl_error(parser->cli, PL_EXIT_USAGE, help_hint(parser->args), "--%s needs %s; an empty one was given", option->name,
		                option->value_name);
	return PL_EXIT_OK;
}

static enum pl_exit take_option(struct parser *parser, const struct pl_option *option, const char *value)
{
	struct pl_args *args = parser->args;
	if (is_global(option)) {
		const char *name = option->name;
		if (strcmp(name, "dir") == 0) {
			parser->cli->dir = value;
			parser->cli->dir_given = true;
		} else if (strcmp(name, "socket") == 0) {
			parser->cli->socket = value;
		} else if (strcmp(name, "json") == 0) {
			parser->cli->json = true;
		} else if (strcmp(name, "quiet") == 0) {
			parser->cli->quiet = true;
		} else if (strcmp(name, "progress") == 0) {
			parser->cli->progress = true;
		} else if (strcmp(name, "color") == 0) {
			pl_out_init(value);
		} else if (strcmp(name, "help") == 0) {
			parser->help = true;
		} else if (strcmp(name, "version") == 0) {
			parser->version = true;
		}
		return PL_EXIT_OK;
	}
	for (size_t i = 0; !option->repeats && i < args->options_count; i++)
		if (args->options[i].option == option)
			return pl_error(parser->cli, PL_EXIT_USAGE, NULL, "--%s is given twice", option->name);
	if (args->options_count == PL_ARGS_MAX)
		return pl_error(parser->cli, PL_EXIT_USAGE, NULL, "more than %d options", PL_ARGS_MAX);
	args->options[args->options_count++] = (struct pl_arg){ .option = option, .value = value };
	return PL_EXIT_OK;
}

/* argv[*at] is an option: takes it, and the word after it if that is its value. */
static enum pl_exit parse_option(struct parser *parser, int argc, char *const *argv, int *at)
{
	const char *word = argv[*at], *value = NULL;
	bool is_long = word[1] == '-';
	size_t name_count = is_long ? strcspn(word + 2, "=") : 1;
	const struct pl_option *option = is_long ? find_option(parser->args, word + 2, name_count, 0) : find_option(parser->args, "", 0, word[1]);
	if (option == NULL)
		return unknown_option(parser, word, is_long ? name_count + 2 : 2);
	if (is_long && word[2 + name_count] == '=')
		value = word + 3 + name_count;
	else if (!is_long && word[2] != '\0')
		value = word + 2;
	if (option->value == PL_VALUE_NONE) {
		if (value != NULL)
			return pl_error(parser->cli, PL_EXIT_USAGE, NULL, "--%s takes no value, but \"%s\" was given", option->name, value);
		return take_option(parser, option, NULL);
	}
	if (value == NULL) {
		if (*at + 1 >= argc)
			return pl_error(parser->cli, PL_EXIT_USAGE, help_hint(parser->args), "--%s needs %s", option->name, option->value_name);
		value = argv[++*at];
	}
	if (option->value == PL_VALUE_CHOICE && !is_choice(option->choices, value) && is_choice(option->choices, pl_lower(value)))
		value = pl_lower(value); /* FLASH is flash */
	enum pl_exit exit = check_value(parser, option, value);
	return exit != PL_EXIT_OK ? exit : take_option(parser, option, value);
}

static bool is_group(const char *word)
{
	size_t count = strlen(word);
	for (const struct pl_command_group *group = pl_command_groups; group->title != NULL; group++)
		for (const struct pl_command *command = group->commands; command->name != NULL; command++)
			if (strncmp(command->name, word, count) == 0 && command->name[count] == ' ')
				return true;
	return false;
}

static enum pl_exit unknown_command(const struct parser *parser, const char *group, const char *word)
{
	const char *names[64];
	size_t names_count = 0;
	char *typed = group == NULL ? pl_format("%s", word) : pl_format("%s %s", group, word);
	for (const struct pl_command_group *g = pl_command_groups; g->title != NULL; g++)
		for (const struct pl_command *command = g->commands; command->name != NULL && names_count < 64; command++)
			if (group == NULL || strncmp(command->name, group, strlen(group)) == 0)
				names[names_count++] = group == NULL ? pl_format("%.*s", (int)strcspn(command->name, " "), command->name) : command->name;
	const char *nearest = pl_nearest(typed, names, names_count);
	return pl_error(parser->cli, PL_EXIT_USAGE,
	                nearest == NULL ? "`parley --help` lists the commands" : pl_format("did you mean `parley %s`?", nearest),
	                "there is no command `%s`", typed);
}

/* The members of a group, for "parley key" alone. */
static enum pl_exit incomplete_command(const struct parser *parser, const char *group)
{
	char *list = pl_format("%s", "");
	size_t count = strlen(group);
	for (const struct pl_command_group *g = pl_command_groups; g->title != NULL; g++)
		for (const struct pl_command *command = g->commands; command->name != NULL; command++)
			if (strncmp(command->name, group, count) == 0 && command->name[count] == ' ')
				list = pl_format("%s%s%s", list, list[0] == '\0' ? "" : ", ", command->name + count + 1);
	return pl_error(parser->cli, PL_EXIT_USAGE, pl_format("one of: %s", list), "`parley %s` needs to know what to do", group);
}

static enum pl_exit check_operands(const struct parser *parser)
{
	const struct pl_args *args = parser->args;
	size_t wanted = 0, possible = 0;
	bool repeats = false;
	for (; possible < 3 && args->command->operands[possible].name != NULL; possible++) {
		wanted += !args->command->operands[possible].optional;
		repeats |= args->command->operands[possible].repeats;
	}
	if (args->operands_count < wanted)
		return pl_error(parser->cli, PL_EXIT_USAGE, help_hint(args), "`parley %s` needs %s", args->command->name,
		                args->command->operands[args->operands_count].name);
	if (args->operands_count > possible && !repeats)
		return pl_error(parser->cli, PL_EXIT_USAGE, help_hint(args), "`parley %s` does not know what to do with \"%s\"", args->command->name,
		                args->operands[possible]);
	for (size_t i = 0; i < args->operands_count; i++)
		if (args->operands[i][0] == '\0')
			return pl_error(parser->cli, PL_EXIT_USAGE, help_hint(args), "`parley %s` needs %s; an empty one was given", args->command->name,
			                args->command->operands[i < possible ? i : possible - 1].name);
	for (const struct pl_option *option = args->command->options; option != NULL && option->name != NULL; option++)
		if (option->required && !pl_args_has(args, option->name))
			return pl_error(parser->cli, PL_EXIT_USAGE, help_hint(args), "`parley %s` needs --%s %s", args->command->name, option->name,
			                option->value_name);
	return PL_EXIT_OK;
}

enum pl_exit pl_args_parse(struct pl_cli *cli, struct pl_args *args, int argc, char *const *argv, bool *help, bool *version)
{
	struct parser parser = { .cli = cli, .args = args };
	bool only_operands = false;
	enum pl_exit exit = PL_EXIT_OK;
	for (int i = 1; i < argc && exit == PL_EXIT_OK; i++) {
		const char *word = argv[i];
		if (!only_operands && strcmp(word, "--") == 0) {
			only_operands = true;
		} else if (!only_operands && word[0] == '-' && word[1] != '\0') {
			exit = parse_option(&parser, argc, argv, &i);
		} else if (args->command != NULL) {
			if (args->operands_count == PL_ARGS_MAX)
				exit = pl_error(cli, PL_EXIT_USAGE, NULL, "more than %d operands", PL_ARGS_MAX);
			else
				args->operands[args->operands_count++] = word;
		} else if (args->group != NULL) {
			args->command = pl_command_find(pl_format("%s %s", args->group, word));
			if (args->command == NULL)
				exit = unknown_command(&parser, args->group, word);
		} else if ((args->command = pl_command_find(word)) == NULL) {
			if (strcmp(word, "help") == 0)
				parser.help = true;
			else if (strcmp(word, "version") == 0)
				parser.version = true;
			else if (is_group(word))
				args->group = word;
			else
				exit = unknown_command(&parser, NULL, word);
		}
	}
	*help = parser.help;
	*version = parser.version;
	if (exit != PL_EXIT_OK || parser.help || parser.version)
		return exit;
	if (args->group != NULL && args->command == NULL)
		return incomplete_command(&parser, args->group);
	return args->command == NULL ? PL_EXIT_OK : check_operands(&parser);
}

const char *pl_args_each(const struct pl_args *args, const char *name, size_t *at)
{
	while (*at < args->options_count) {
		const struct pl_arg *arg = &args->options[(*at)++];
		if (strcmp(arg->option->name, name) == 0)
			return arg->value == NULL ? "" : arg->value;
	}
	return NULL;
}

const char *pl_args_get(const struct pl_args *args, const char *name)
{
	const char *last = NULL, *value;
	for (size_t at = 0; (value = pl_args_each(args, name, &at)) != NULL;)
		last = value;
	return last;
}

bool pl_args_has(const struct pl_args *args, const char *name)
{
	return pl_args_get(args, name) != NULL;
}

uint64_t pl_args_number(const struct pl_args *args, const char *name, uint64_t otherwise)
{
	const char *value = pl_args_get(args, name);
	return value == NULL ? otherwise : strtoull(value, NULL, 10);
}

const char *pl_args_operand(const struct pl_args *args, size_t index)
{
	return index < args->operands_count ? args->operands[index] : NULL;
}
