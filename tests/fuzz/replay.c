/* Runs a fuzz target over the files of its corpus, without libFuzzer. Usage: x_fuzz [FOLDER or FILE]...; without any, corpus/x/.
 * Prints each file's name before it runs, so that the last line names the one that brought the target down. */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static bool replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	struct stat stat;

	if (!file || fstat(fileno(file), &stat) != 0 || stat.st_size < 0) {
		fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
		if (file)
			fclose(file);
		return false;
	}
	size_t bytes = (size_t)stat.st_size;
	uint8_t *data = pl_fuzz_room(bytes);
	bool is_whole = fread(data, 1, bytes, file) == bytes;
	fclose(file);
	if (is_whole) {
		printf("%s\n", path);
		fflush(stdout);
		LLVMFuzzerTestOneInput(data, bytes);
	} else {
		fprintf(stderr, "replay: %s: cannot be read\n", path);
	}
	free(data);
	return is_whole;
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* Counts what it has replayed; false if there was nothing or something failed. */
static bool replay_folder(const char *folder, size_t *inputs)
{
	struct dirent **entries;
	int count = scandir(folder, &entries, is_input, alphasort);
	bool ok = count > 0;

	if (count < 0)
		fprintf(stderr, "replay: %s: %s\n", folder, strerror(errno));
	else if (count == 0)
		fprintf(stderr, "replay: %s: no inputs\n", folder);
	for (int i = 0; i < count; i++) {
		size_t path_bytes = strlen(folder) + 1 + strlen(entries[i]->d_name) + 1;
		char *path = (char *)pl_fuzz_room(path_bytes);

		snprintf(path, path_bytes, "%s/%s", folder, entries[i]->d_name);
		if (replay_file(path))
			++*inputs;
		else
			ok = false;
		free(path);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return ok;
}

static bool replay(const char *path, size_t *inputs)
{
	struct stat stat_of_path;

	if (stat(path, &stat_of_path) == 0 && S_ISREG(stat_of_path.st_mode)) {
		if (!replay_file(path))
			return false;
		++*inputs;
		return true;
	}
	return replay_folder(path, inputs);
}

/* corpus/x for a program called x_fuzz. */
static bool replay_own_corpus(const char *program, size_t *inputs)
{
	const char *slash = strrchr(program, '/'), *name = slash ? slash + 1 : program;
	size_t length = strlen(name);
	char folder[4096];

	if (length > 5 && strcmp(name + length - 5, "_fuzz") == 0)
		length -= 5;
	int written = snprintf(folder, sizeof(folder), "%s/%.*s", PL_CORPUS_DIR, (int)length, name);
	return written > 0 && (size_t)written < sizeof(folder) && replay(folder, inputs);
}

int main(int argc, char **argv)
{
	size_t inputs = 0;
	bool ok = true;

	if (argc < 2)
		ok = replay_own_corpus(argv[0], &inputs);
	for (int i = 1; i < argc; i++)
		ok &= replay(argv[i], &inputs);
	printf("%zu inputs replayed\n", inputs);
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
