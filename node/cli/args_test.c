#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/cli/cli.h"

static struct pl_cli cli;
static struct pl_args args;
static bool help, version;
static char said[4096];

/* Parses a command line given as one string; *said gets what was printed on stderr. */
static enum pl_exit parse(const char *line)
{
	static char copy[1024];
	char *argv[64] = { (char *)(uintptr_t)"parley" };
	int argc = 1;
	strcpy(copy, line);
	for (char *word = strtok(copy, " "); word != NULL; word = strtok(NULL, " "))
		argv[argc++] = strcmp(word, "''") == 0 ? (char *)(uintptr_t)"" : word;
	memset(&cli, 0, sizeof(cli));
	memset(&args, 0, sizeof(args));
	int ends[2], old = dup(STDERR_FILENO);
	cr_assert_eq(pipe(ends), 0);
	fflush(stderr);
	dup2(ends[1], STDERR_FILENO);
	enum pl_exit exit = pl_args_parse(&cli, &args, argc, argv, &help, &version);
	fflush(stderr);
	dup2(old, STDERR_FILENO);
	close(old);
	close(ends[1]);
	ssize_t count = read(ends[0], said, sizeof(said) - 1);
	said[count < 0 ? 0 : count] = '\0';
	close(ends[0]);
	return exit;
}

static void set_up(void)
{
	pl_out_init("never");
}

TestSuite(args, .init = set_up, .timeout = 20);

Test(args, options_stand_anywhere_and_in_every_form)
{
	static const char *const lines[] = {
		"send --to SGP --to CHE --subject S --precedence flash --quiet file",
		"--quiet send file --to=SGP --to=CHE -s S -p flash",
		"send -tSGP -tCHE -sS -pflash -q -- file",
	};
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(parse(lines[i]), PL_EXIT_OK, "%s: %s", lines[i], said);
		cr_assert_str_eq(args.command->name, "send");
		size_t at = 0;
		cr_assert_str_eq(pl_args_each(&args, "to", &at), "SGP");
		cr_assert_str_eq(pl_args_each(&args, "to", &at), "CHE");
		cr_assert_null(pl_args_each(&args, "to", &at));
		cr_assert_str_eq(pl_args_get(&args, "precedence"), "flash");
		cr_assert_str_eq(pl_args_operand(&args, 0), "file");
		cr_assert_null(pl_args_operand(&args, 1));
		cr_assert(cli.quiet);
	}
}

Test(args, after_two_dashes_all_are_operands)
{
	cr_assert_eq(parse("read -- --json"), PL_EXIT_OK, "%s", said);
	cr_assert_str_eq(pl_args_operand(&args, 0), "--json");
	cr_assert(!cli.json);
	cr_assert_eq(parse("send --to A --subject S -"), PL_EXIT_OK, "%s", said);
	cr_assert_str_eq(pl_args_operand(&args, 0), "-");
}

static void expect_usage(const char *line, const char *part)
{
	cr_assert_eq(parse(line), PL_EXIT_USAGE, "%s is taken", line);
	cr_assert_not_null(strstr(said, part), "%s says: %s", line, said);
}

Test(args, mistakes_are_named_and_the_likely_word_is_offered)
{
	expect_usage("sned", "did you mean `parley send`");
	expect_usage("kye new", "did you mean `parley key`");
	expect_usage("key nwe", "did you mean `parley key new`");
	expect_usage("key", "new, show, certify");
	expect_usage("send --subjct S", "did you mean --subject?");
	expect_usage("send --jsno", "did you mean --json?");
	expect_usage("frobnicate", "lists the commands");
	expect_usage("read --zzzzzz X", "`parley read --help`");
	expect_usage("read -Z X", "no option -Z");
	expect_usage("--nope", "there is no option --nope");
}

Test(args, what_is_missing_or_too_much_is_named)
{
	expect_usage("read", "needs ID");
	expect_usage("attachment ID -o x", "needs N");
	expect_usage("read A B", "\"B\"");
	expect_usage("send --to A", "needs --subject");
	expect_usage("send --to", "--to needs CODE");
	expect_usage("send --to A --subject S --subject T", "given twice");
	expect_usage("send --to A --subject ''", "empty");
	expect_usage("inbox --unread=yes", "takes no value");
}

Test(args, values_are_checked)
{
	expect_usage("send --to A --subject S --precedence flsh", "one of: routine priority immediate flash");
	expect_usage("feed --lane 3", "from 0 to 2");
	expect_usage("feed --limit 0", "from 1");
	expect_usage("feed --limit 1x", "whole number");
	expect_usage("feed --limit -1", "whole number");
	expect_usage("feed --limit 99999999999999999999", "whole number");
	expect_usage("--color sometimes status", "auto always never");
	cr_assert_eq(parse("feed --author FIN --lane 2 --limit 5"), PL_EXIT_OK, "%s", said);
	cr_assert_eq(pl_args_number(&args, "lane", 9), 2);
	cr_assert_eq(pl_args_number(&args, "limit", 9), 5);
	cr_assert_eq(pl_args_number(&args, "after", 9), 9);
}

Test(args, help_and_version_ask_for_nothing_else)
{
	cr_assert_eq(parse("send --help"), PL_EXIT_OK, "%s", said);
	cr_assert(help && args.command != NULL);
	cr_assert_eq(parse("help key"), PL_EXIT_OK, "%s", said);
	cr_assert(help && strcmp(args.group, "key") == 0);
	cr_assert_eq(parse("help key new"), PL_EXIT_OK, "%s", said);
	cr_assert(help && strcmp(args.command->name, "key new") == 0);
	cr_assert_eq(parse("--version"), PL_EXIT_OK, "%s", said);
	cr_assert(version);
}

Test(args, too_many_words_are_refused)
{
	char *argv[PL_ARGS_MAX + 16];
	argv[0] = argv[1] = (char *)(uintptr_t)"charter";
	argv[2] = (char *)(uintptr_t)"new";
	for (int i = 3; i < PL_ARGS_MAX + 16; i++)
		argv[i] = (char *)(uintptr_t)"x.sheet";
	memset(&args, 0, sizeof(args));
	cr_assert_eq(pl_args_parse(&cli, &args, PL_ARGS_MAX + 16, argv, &help, &version), PL_EXIT_USAGE);
}

Test(args, the_table_is_in_order)
{
	for (const struct pl_command_group *group = pl_command_groups; group->title != NULL; group++) {
		for (const struct pl_command *command = group->commands; command->name != NULL; command++) {
			cr_assert_eq(pl_command_find(command->name), command, "%s stands twice", command->name);
			cr_assert(command->run != NULL && command->summary != NULL, "%s", command->name);
			for (const struct pl_option *o = command->options; o != NULL && o->name != NULL; o++) {
				cr_assert_not_null(o->help, "%s --%s", command->name, o->name);
				cr_assert((o->value == PL_VALUE_NONE) == (o->value_name == NULL), "%s --%s", command->name, o->name);
				cr_assert(o->value == PL_VALUE_CHOICE ? o->choices != NULL : o->value == PL_VALUE_TEXT || o->choices == NULL, "%s --%s",
				          command->name, o->name);
				cr_assert((o->value == PL_VALUE_NUMBER) == (o->max > 0), "%s --%s", command->name, o->name);
				for (const struct pl_option *g = pl_global_options; g->name != NULL; g++)
					cr_assert(strcmp(o->name, g->name) != 0 && (o->letter == 0 || o->letter != g->letter), "%s --%s", command->name, o->name);
				for (const struct pl_option *p = command->options; p != o; p++)
					cr_assert(strcmp(o->name, p->name) != 0 && (o->letter == 0 || o->letter != p->letter), "%s --%s", command->name, o->name);
			}
		}
	}
}

Test(args, every_error_has_an_exit_code_that_is_not_0)
{
	for (int err = PL_OK + 1; err <= PL_ERR_CORRUPT; err++)
		cr_assert(pl_exit_of((enum pl_err)err) > PL_EXIT_USAGE || pl_exit_of((enum pl_err)err) == PL_EXIT_FAILED, "error %d", err);
	for (int exit = PL_EXIT_OK; exit < PL_EXITS; exit++) {
		cr_assert_str_neq(pl_exit_code((enum pl_exit)exit), "unknown");
		cr_assert_str_neq(pl_exit_meaning((enum pl_exit)exit), "unknown");
	}
}
