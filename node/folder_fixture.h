/* A folder of each test's own, gone when it ends: folder_make() and folder_remove() as .init and .fini of the suite. */
#ifndef PL_NODE_FOLDER_FIXTURE_H
#define PL_NODE_FOLDER_FIXTURE_H

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/file.h"

static char dir[64], why[8192];

static inline void folder_make(void)
{
	strcpy(dir, "/tmp/parley-test-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
}

static inline void folder_remove(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	cr_assert_eq(system(command), 0);
}

/* Of the last eight paths. */
static inline const char *in_dir(const char *name)
{
	static char paths[8][128];
	static int next;
	char *path = paths[next++ % 8];
	snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

static inline int files_in_dir(void)
{
	DIR *d = opendir(dir);
	int count = 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		count += e->d_name[0] != '.';
	closedir(d);
	return count;
}

static inline unsigned mode_of(const char *path)
{
	struct stat st;
	cr_assert_eq(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static inline void put(const char *path, unsigned mode, const void *bytes, size_t count)
{
	cr_assert_eq(pl_file_replace(path, mode, bytes, count, why, sizeof(why)), PL_OK, "%s", why);
}

#endif
