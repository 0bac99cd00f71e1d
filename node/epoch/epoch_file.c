#include "node/epoch/epoch_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/bytes.h"
#include "node/file.h"

static const uint8_t magic[8] = { 'P', 'L', 'E', 'P', 'O', 'C', 'H', '1' };
#define RECORD_BYTES (8 + PL_EPOCH_SEALED_BYTES)

enum pl_err pl_epoch_file_read(const char *path, struct pl_epoch_record *records, size_t records_max, size_t *count, char *why,
                               size_t why_max)
{
	uint8_t *bytes;
	size_t bytes_count;
	if (access(path, F_OK) != 0 && errno == ENOENT) {
		*count = 0;
		return PL_OK;
	}
	enum pl_err err = pl_file_read(path, sizeof(magic) + records_max * RECORD_BYTES, &bytes, &bytes_count, why, why_max);
	if (err != PL_OK)
		return err;
	size_t found = bytes_count < sizeof(magic) ? 0 : (bytes_count - sizeof(magic)) / RECORD_BYTES;
	if (bytes_count != sizeof(magic) + found * RECORD_BYTES || memcmp(bytes, magic, sizeof(magic)) != 0) {
		snprintf(why, why_max, "%s is not a file of encryption keys, or is damaged; without it the node makes a new key, and cannot open"
		                       " what was sealed to the old ones", path);
		free(bytes);
		return PL_ERR_FORMAT;
	}
	for (size_t i = 0; i < found; i++) {
		const uint8_t *at = bytes + sizeof(magic) + i * RECORD_BYTES;
		records[i].number = pl_get64(at);
		memcpy(records[i].sealed, at + 8, PL_EPOCH_SEALED_BYTES);
	}
	*count = found;
	free(bytes);
	return PL_OK;
}

/* What the old file held, overwritten through the handle that was opened before it lost its name. A disk that writes elsewhere keeps it for
 * a while; what it keeps is sealed. */
static void overwrite(int fd)
{
	static const uint8_t zeros[4096];
	struct stat info;
	if (fstat(fd, &info) == 0) {
		for (off_t at = 0; at < info.st_size; at += (off_t)sizeof(zeros)) {
			off_t rest = info.st_size - at;
			if (pwrite(fd, zeros, rest < (off_t)sizeof(zeros) ? (size_t)rest : sizeof(zeros), at) <= 0)
				break;
		}
		(void)!fdatasync(fd);
	}
}

enum pl_err pl_epoch_file_write(const char *path, const struct pl_epoch_record *records, size_t count, char *why, size_t why_max)
{
	size_t bytes_count = sizeof(magic) + count * RECORD_BYTES;
	uint8_t *bytes = malloc(bytes_count);
	if (!bytes) {
		snprintf(why, why_max, "no memory to write %s", path);
		return PL_ERR_MEMORY;
	}
	memcpy(bytes, magic, sizeof(magic));
	for (size_t i = 0; i < count; i++) {
		uint8_t *at = bytes + sizeof(magic) + i * RECORD_BYTES;
		pl_put64(at, records[i].number);
		memcpy(at + 8, records[i].sealed, PL_EPOCH_SEALED_BYTES);
	}
	int old = open(path, O_WRONLY | O_CLOEXEC);
	enum pl_err err = pl_file_replace(path, 0600, bytes, bytes_count, why, why_max);
	free(bytes);
	if (old >= 0) {
		if (err == PL_OK)
			overwrite(old);
		close(old);
	}
	return err;
}

void pl_epoch_record_seal(const uint8_t store_key[32], uint64_t number, const uint8_t secret[PL_EPOCH_SECRET_BYTES],
                          struct pl_epoch_record *out)
{
	uint8_t row[8];
	pl_put64(row, number);
	out->number = number;
	pl_column_seal(store_key, "epoch_own", "secret", row, sizeof(row), secret, PL_EPOCH_SECRET_BYTES, out->sealed);
}

enum pl_err pl_epoch_record_open(const uint8_t store_key[32], const struct pl_epoch_record *record, uint8_t secret[PL_EPOCH_SECRET_BYTES])
{
	uint8_t row[8];
	pl_put64(row, record->number);
	return pl_column_open(store_key, "epoch_own", "secret", row, sizeof(row), record->sealed, sizeof(record->sealed), secret);
}
