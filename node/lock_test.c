#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "node/lock.h"

static char dir[64], path[96], why[512];

static void setup(void)
{
	strcpy(dir, "/tmp/pl-lock-XXXXXX");
	cr_assert(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/lock", dir);
}

static void teardown(void)
{
	unlink(path);
	rmdir(dir);
}

TestSuite(lock, .init = setup, .fini = teardown);

Test(lock, one_holder_at_a_time_and_others_hear_who_it_is)
{
	struct pl_lock first, second;
	char expected[128];
	struct stat about;
	cr_assert_eq(pl_lock_take(dir, &first, why, sizeof(why)), PL_OK, "%s", why);
	cr_assert_eq(stat(path, &about), 0);
	cr_assert_eq(about.st_mode & 0777, 0600);
	cr_assert_eq(pl_lock_take(dir, &second, why, sizeof(why)), PL_ERR_EXISTS);
	snprintf(expected, sizeof(expected), "%s is in use by parleyd with pid %ld", dir, (long)getpid());
	cr_assert_str_eq(why, expected);
	pl_lock_release(&first);
	cr_assert_eq(pl_lock_take(dir, &second, why, sizeof(why)), PL_OK, "%s", why);
	pl_lock_release(&second);
}

Test(lock, it_goes_with_the_process_that_held_it)
{
	int ready[2];
	char byte;
	cr_assert_eq(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		struct pl_lock lock;
		if (pl_lock_take(dir, &lock, why, sizeof(why)) != PL_OK || write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	struct pl_lock lock;
	char expected[128];
	cr_assert_eq(pl_lock_take(dir, &lock, why, sizeof(why)), PL_ERR_EXISTS);
	snprintf(expected, sizeof(expected), "%s is in use by parleyd with pid %ld", dir, (long)child);
	cr_assert_str_eq(why, expected);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	cr_assert_eq(pl_lock_take(dir, &lock, why, sizeof(why)), PL_OK, "%s", why); /* its pid still stands in the file */
	pl_lock_release(&lock);
}

Test(lock, what_cannot_be_opened_is_an_error)
{
	struct pl_lock lock;
	cr_assert_eq(pl_lock_take("/nowhere/at/all", &lock, why, sizeof(why)), PL_ERR_IO);
	cr_assert_str_eq(why, "/nowhere/at/all/lock: No such file or directory");
	cr_assert_eq(symlink("/tmp/elsewhere", path), 0);
	cr_assert_eq(pl_lock_take(dir, &lock, why, sizeof(why)), PL_ERR_IO, "a link is not followed");
	char longer[2000];
	memset(longer, 'l', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	cr_assert_eq(pl_lock_take(longer, &lock, why, sizeof(why)), PL_ERR_LIMIT);
}
