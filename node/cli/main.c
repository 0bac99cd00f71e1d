#include <curl/curl.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "node/cli/cli.h"
#include "node/file.h"

static void find_dir(struct pl_cli *cli)
{
	cli->dir = getenv("PARLEY_DIR");
	cli->dir_given = cli->dir != NULL && cli->dir[0] != '\0';
	if (!cli->dir_given)
		cli->dir = access("parley.conf", F_OK) == 0 ? "." : "/var/lib/parley";
}

static enum pl_exit run(struct pl_cli *cli, int argc, char *const *argv)
{
	/* for shells and tests; not in the table, so that neither help nor completion shows them */
	if (argc > 1 && strcmp(argv[1], "__complete") == 0) {
		pl_complete(cli, (const char *const *)argv + 2, (size_t)argc - 2);
		return PL_EXIT_OK;
	}
	if (argc == 2 && strcmp(argv[1], "__commands") == 0) {
		pl_commands_dump();
		return PL_EXIT_OK;
	}
	struct pl_args *args = pl_alloc(sizeof(*args));
	bool help, version;
	enum pl_exit exit = pl_args_parse(cli, args, argc, argv, &help, &version);
	if (exit != PL_EXIT_OK)
		return exit;
	if (help) {
		if (args->command != NULL)
			pl_help_command(args->command);
		else
			pl_help_all(args->group);
		return PL_EXIT_OK;
	}
	if (version) {
		if (cli->json)
			pl_out_json(json_pack("{s:s, s:s, s:s}", "version", PL_VERSION, "libsodium", sodium_version_string(), "libcurl", curl_version()));
		else
			pl_out("parley %s (libsodium %s, %s)\n", PL_VERSION, sodium_version_string(), curl_version());
		return PL_EXIT_OK;
	}
	if (args->command == NULL)
		return pl_error(cli, PL_EXIT_USAGE, "`parley --help` lists them", "a command is missing");
	return args->command->run(cli, args);
}

int main(int argc, char **argv)
{
	struct pl_cli cli = { 0 };
	const struct rlimit no_core = { 0, 0 };
	pl_file_take_standard();
	(void)setrlimit(RLIMIT_CORE, &no_core); /* keys and texts pass through this process */
	for (int i = 1; i < argc; i++)          /* so that an error in a word before it is JSON too */
		if (strcmp(argv[i], "--json") == 0)
			cli.json = true;
	find_dir(&cli);
	pl_out_init("auto");
	if (sodium_init() < 0)
		return (int)pl_error(&cli, PL_EXIT_FAILED, NULL, "libsodium cannot be used on this machine");
	enum pl_exit exit = run(&cli, argc, argv);
	pl_client_free(cli.client);
	if ((fflush(stdout) != 0 || ferror(stdout)) && exit == PL_EXIT_OK)
		exit = pl_error(&cli, PL_EXIT_FAILED, NULL, "the output cannot be written: %s", strerror(errno));
	pl_scope_end(NULL);
	return (int)exit;
}
