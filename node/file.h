/* Files that are read and written whole: keys, charters, whatever a command makes. A new one is there completely or not at all, and never
 * in place of one that stood there: it is written under a temporary name beside its own, synced, renamed, and the folder is synced.
 *
 * why gets "FILE: what is wrong; what to do". Errors: PL_ERR_UNKNOWN (no such file or folder), PL_ERR_EXISTS, PL_ERR_LIMIT, PL_ERR_FORMAT
 * (a folder), PL_ERR_MEMORY, PL_ERR_DISK_FULL, PL_ERR_IO.
 */
#ifndef PL_NODE_FILE_H
#define PL_NODE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "crypto/err.h"

#define PL_FILE_PATH_BYTES_MAX 4096

/* For reading. */
PL_MUST_CHECK enum pl_err pl_file_open(const char *path, int *fd, struct stat *st, char *why, size_t why_max);
/* Refuses more than bytes_max. *out is malloc'd. */
PL_MUST_CHECK enum pl_err pl_file_read(const char *path, size_t bytes_max, uint8_t **out, size_t *count, char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_file_write_new(const char *path, unsigned mode, const uint8_t *bytes, size_t count, char *why, size_t why_max);
/* The one writer that puts a file in place of another, just as whole. */
PL_MUST_CHECK enum pl_err pl_file_replace(const char *path, unsigned mode, const uint8_t *bytes, size_t count, char *why, size_t why_max);

/* The same piece by piece: begin, append as often as needed, then commit or abandon; after a failed append abandon, after a failed commit
 * nothing. */
struct pl_file {
	int fd;
	bool is_new; /* false: replaces what stands there */
	char path[PL_FILE_PATH_BYTES_MAX], temporary[PL_FILE_PATH_BYTES_MAX];
};
PL_MUST_CHECK enum pl_err pl_file_begin(const char *path, bool is_new, struct pl_file *out, char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_file_append(struct pl_file *file, const void *bytes, size_t count, char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_file_commit(struct pl_file *file, unsigned mode, char *why, size_t why_max);
void pl_file_abandon(struct pl_file *file);

/* At the start of a program: where it was given no file 0, 1 or 2, one that can be neither read from nor written to as that one would be takes the
 * number, so that no socket or database gets it, and reading or printing fails as it should. */
void pl_file_take_standard(void);

/* Writes a sentence into why, and returns err. */
enum pl_err pl_why(char *why, size_t why_max, enum pl_err err, const char *format, ...) __attribute__((format(printf, 4, 5)));

#endif
