#include <sys/wait.h>

#include "node/folder_fixture.h"
#include "node/passphrase.h"

static void set_up(void)
{
	folder_make();
	unsetenv("PARLEY_PASSPHRASE");
	unsetenv("CREDENTIALS_DIRECTORY");
}

TestSuite(passphrase, .init = set_up, .fini = folder_remove, .timeout = 30);

Test(passphrase, a_passphrase_is_the_first_line_of_a_file)
{
	char passphrase[PL_PASSPHRASE_BYTES_MAX];
	static const struct {
		const char *content;
		enum pl_err err;
		const char *passphrase;
	} cases[] = {
		{ "correct horse\n", PL_OK, "correct horse" },
		{ "correct horse", PL_OK, "correct horse" },
		{ "correct horse\r\nsecond line\n", PL_OK, "correct horse" },
		{ " with blanks \n", PL_OK, " with blanks " },
		{ "\ncorrect horse\n", PL_ERR_FORMAT, NULL },
		{ "", PL_ERR_FORMAT, NULL },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		put(in_dir("p"), 0600, cases[i].content, strlen(cases[i].content));
		enum pl_err err = pl_passphrase_get(in_dir("p"), "p", 0, passphrase, sizeof(passphrase), why, sizeof(why));
		cr_assert_eq(err, cases[i].err, "case %zu: %s", i, why);
		if (cases[i].err == PL_OK)
			cr_assert_str_eq(passphrase, cases[i].passphrase);
	}
	put(in_dir("p"), 0600, "a\0b\n", 4);
	cr_assert_eq(pl_passphrase_get(in_dir("p"), "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)), PL_ERR_FORMAT);
	put(in_dir("p"), 0600, "nine char", 9);
	cr_assert_eq(pl_passphrase_get(in_dir("p"), "p", 0, passphrase, 9, why, sizeof(why)), PL_ERR_LIMIT);
	cr_assert_eq(pl_passphrase_get(in_dir("p"), "p", 0, passphrase, 10, why, sizeof(why)), PL_OK);
	put(in_dir("p"), 0644, "correct horse\n", 14);
	cr_assert_eq(pl_passphrase_get(in_dir("p"), "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)), PL_ERR_REFUSED);
	cr_assert_eq(pl_passphrase_get(in_dir("none"), "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)), PL_ERR_UNKNOWN);
}

Test(passphrase, without_a_file_the_credential_comes_first_then_the_environment)
{
	char passphrase[PL_PASSPHRASE_BYTES_MAX];
	setenv("PARLEY_PASSPHRASE", "from the environment", 1);
	cr_assert_eq(pl_passphrase_get(NULL, "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)), PL_OK);
	cr_assert_str_eq(passphrase, "from the environment");
	setenv("CREDENTIALS_DIRECTORY", dir, 1);
	cr_assert_eq(pl_passphrase_get(NULL, "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)), PL_OK);
	cr_assert_str_eq(passphrase, "from the environment", "there is no such credential");
	put(in_dir("passphrase"), 0440, "from systemd\n", 13);
	cr_assert_eq(pl_passphrase_get(NULL, "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)), PL_OK);
	cr_assert_str_eq(passphrase, "from systemd");
	cr_assert_eq(pl_passphrase_get(in_dir("passphrase"), "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)), PL_OK, "by its path too");
	unsetenv("CREDENTIALS_DIRECTORY");
	cr_assert_eq(pl_passphrase_get(in_dir("passphrase"), "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)), PL_ERR_REFUSED);
	put(in_dir("p"), 0600, "from a file\n", 12);
	cr_assert_eq(pl_passphrase_get(in_dir("p"), "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)), PL_OK);
	cr_assert_str_eq(passphrase, "from a file");
}

Test(passphrase, without_a_terminal_nobody_waits_for_a_passphrase)
{
	pid_t child = fork();
	if (child == 0) {
		char passphrase[PL_PASSPHRASE_BYTES_MAX];
		(void)setsid(); /* no controlling terminal from here on */
		_exit(pl_passphrase_get(NULL, "p", 0, passphrase, sizeof(passphrase), why, sizeof(why)) == PL_ERR_NO_KEY ? 0 : 1);
	}
	int status;
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
}
