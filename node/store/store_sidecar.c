#include "node/store/store_sidecar.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/bytes.h"

#define BLOCK_BYTES 4096
#define BLOCKS 3
#define BLOCK_COMMITTED 2
#define HASH_BYTES 32

/* magic 8 | incarnation 16 | serial u64 | seq of lanes 0, 1, 2, u64 each | hash of the block's number and all this; zeros to the end */
static const uint8_t magic[8] = "PLFEED1";
#define HASHED_BYTES (8 + PL_INCARNATION_BYTES + 8 + 8 * PL_LANES)

struct record {
	uint8_t incarnation[PL_INCARNATION_BYTES];
	uint64_t serial;
	uint64_t seq[PL_LANES];
};

static void hash_block(uint8_t number, const uint8_t block[BLOCK_BYTES], uint8_t out[HASH_BYTES])
{
	crypto_generichash_state state;

	crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
	crypto_generichash_update(&state, &number, 1);
	crypto_generichash_update(&state, block, HASHED_BYTES);
	crypto_generichash_final(&state, out, HASH_BYTES);
}

static void encode(uint8_t number, const struct record *record, uint8_t block[BLOCK_BYTES])
{
	uint8_t *at = block;

	memset(block, 0, BLOCK_BYTES);
	memcpy(at, magic, sizeof(magic));
	at += sizeof(magic);
	memcpy(at, record->incarnation, PL_INCARNATION_BYTES);
	at += PL_INCARNATION_BYTES;
	pl_put64(at, record->serial);
	for (int lane = 0; lane < PL_LANES; lane++)
		pl_put64(at + 8 + 8 * lane, record->seq[lane]);
	hash_block(number, block, block + HASHED_BYTES);
}

static bool decode(uint8_t number, const uint8_t block[BLOCK_BYTES], struct record *out)
{
	const uint8_t *at = block + sizeof(magic);
	uint8_t hash[HASH_BYTES];

	hash_block(number, block, hash);
	if (memcmp(block, magic, sizeof(magic)) != 0 || memcmp(block + HASHED_BYTES, hash, HASH_BYTES) != 0)
		return false;
	memcpy(out->incarnation, at, PL_INCARNATION_BYTES);
	at += PL_INCARNATION_BYTES;
	out->serial = pl_get64(at);
	for (int lane = 0; lane < PL_LANES; lane++)
		out->seq[lane] = pl_get64(at + 8 + 8 * lane);
	return true;
}

static enum pl_err io_err(void)
{
	return errno == ENOSPC || errno == EDQUOT ? PL_ERR_DISK_FULL : PL_ERR_IO;
}

static enum pl_err write_block(int fd, uint8_t number, const struct record *record)
{
	uint8_t block[BLOCK_BYTES];
	ssize_t written;

	encode(number, record, block);
	do
		written = pwrite(fd, block, sizeof(block), (off_t)number * BLOCK_BYTES);
	while (written < 0 && errno == EINTR);
	if (written < 0)
		return io_err();
	return written == (ssize_t)sizeof(block) ? PL_OK : PL_ERR_DISK_FULL;
}

static bool read_block(int fd, uint8_t number, struct record *out)
{
	uint8_t block[BLOCK_BYTES];
	ssize_t count;

	do
		count = pread(fd, block, sizeof(block), (off_t)number * BLOCK_BYTES);
	while (count < 0 && errno == EINTR);
	return count == (ssize_t)sizeof(block) && decode(number, block, out);
}

__attribute__((format(printf, 2, 3))) static void freeze(struct pl_sidecar *sidecar, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(sidecar->why, sizeof(sidecar->why), format, args);
	va_end(args);
	sidecar->frozen = true;
}

static enum pl_err sync_dir_of(const char *path)
{
	char dir[PATH_MAX];
	char *slash;
	int fd, rc;

	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash)
		slash[1] = 0;
	fd = open(slash ? dir : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return PL_ERR_IO;
	rc = fsync(fd);
	close(fd);
	return rc == 0 ? PL_OK : PL_ERR_IO;
}

/* Under another name first: a sidecar that stands under its own name was whole once, so that a damaged one is no half-made one. Every block
 * is written, so that later writes replace in place and do not run out of space. Replaces sidecar->fd. */
static enum pl_err create(struct pl_sidecar *sidecar, const char *path)
{
	struct record record = {.serial = 1};
	char temporary[PATH_MAX];
	enum pl_err err = PL_OK;
	int fd;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return io_err();
	memcpy(record.incarnation, sidecar->incarnation, PL_INCARNATION_BYTES);
	for (uint8_t number = 0; !err && number < BLOCKS; number++)
		err = write_block(fd, number, &record);
	if (!err && (fsync(fd) != 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || rename(temporary, path) != 0))
		err = PL_ERR_IO;
	if (!err)
		err = sync_dir_of(path);
	if (err) {
		int saved = errno;

		unlink(temporary);
		close(fd);
		errno = saved;
		return err;
	}
	pl_sidecar_close(sidecar);
	sidecar->fd = fd;
	sidecar->serial = record.serial;
	return PL_OK;
}

/* Compares the store with what the sidecar says. */
static void judge(struct pl_sidecar *sidecar, const char *path, const struct record *reserved, const struct record *committed,
                  const uint64_t heads[PL_LANES])
{
	sidecar->serial = reserved->serial;
	for (int lane = 0; lane < PL_LANES && !sidecar->frozen; lane++) {
		unsigned long long head = heads[lane], done = committed ? committed->seq[lane] : 0;
		unsigned long long limit = reserved->seq[lane] > done ? reserved->seq[lane] : done;

		sidecar->reserved[lane] = limit;
		if (head < done)
			freeze(sidecar, "%s: entry %llu of this node's lane %d was committed, but the store ends at %llu: it was restored from a copy.",
			       path, done, lane, head);
		else if (head + PL_SIDECAR_LEAD_MAX <= limit)
			freeze(sidecar, "%s: places up to %llu of this node's lane %d are reserved, but the store ends at %llu: it was restored from a copy.",
			       path, limit, lane, head);
		else if (head > limit)
			freeze(sidecar, "%s: the store ends this node's lane %d at %llu, but only %llu are reserved: this file is from an older copy.",
			       path, lane, head, limit);
		sidecar->is_older = sidecar->frozen && head < limit;
	}
}

static bool is_unused(const struct record *record)
{
	for (int lane = 0; lane < PL_LANES; lane++)
		if (record->seq[lane])
			return false;
	return true;
}

enum pl_err pl_sidecar_open(struct pl_sidecar *sidecar, const char *path, const uint8_t incarnation[PL_INCARNATION_BYTES],
                         const uint64_t heads[PL_LANES], bool is_new, char *why, size_t why_max)
{
	struct record blocks[2], committed, *newest = NULL;
	bool is_ours;
	enum pl_err err = PL_OK;

	memset(sidecar, 0, sizeof(*sidecar));
	memcpy(sidecar->incarnation, incarnation, PL_INCARNATION_BYTES);
	sidecar->fd = open(path, O_RDWR | O_CLOEXEC);
	if (sidecar->fd < 0 && errno == ENOENT) {
		if (!is_new) {
			freeze(sidecar, "%s is missing: the store was restored from a copy.", path);
			return PL_OK;
		}
		err = create(sidecar, path);
		if (err)
			snprintf(why, why_max, "%s cannot be made: %s.", path, strerror(errno));
		return err;
	}
	if (sidecar->fd < 0) {
		err = io_err();
		snprintf(why, why_max, "%s cannot be opened: %s.", path, strerror(errno));
		return err;
	}
	if (flock(sidecar->fd, LOCK_EX | LOCK_NB) != 0) {
		snprintf(why, why_max, "%s is in use by another process.", path);
		pl_sidecar_close(sidecar);
		return PL_ERR_REFUSED;
	}
	for (uint8_t number = 0; number < 2; number++)
		if (read_block(sidecar->fd, number, &blocks[number]) && (!newest || blocks[number].serial > newest->serial))
			newest = &blocks[number];

	is_ours = newest && memcmp(newest->incarnation, incarnation, PL_INCARNATION_BYTES) == 0;
	if (!newest) {
		freeze(sidecar, "%s is damaged, so that nobody can tell whether the store is the newest.", path);
	} else if (!is_ours && !(is_new && is_unused(newest))) {
		freeze(sidecar, "%s belongs to another store of this node: the store was restored from a copy, or made anew.", path);
	} else if (!is_ours) {
		err = create(sidecar, path);
		if (err) {
			snprintf(why, why_max, "%s cannot be replaced: %s.", path, strerror(errno));
			pl_sidecar_close(sidecar);
		}
	} else {
		bool is_marked = read_block(sidecar->fd, BLOCK_COMMITTED, &committed) &&
		                 memcmp(committed.incarnation, incarnation, PL_INCARNATION_BYTES) == 0;
		judge(sidecar, path, newest, is_marked ? &committed : NULL, heads);
		if (!is_marked && !sidecar->frozen)
			snprintf(sidecar->why, sizeof(sidecar->why), "%s: the note of what was committed last is damaged, as a power cut may leave it; "
			         "a copy of the store that is only little older could not be told from the newest this time.", path);
	}
	return err;
}

enum pl_err pl_sidecar_reserve(struct pl_sidecar *sidecar, const uint64_t heads[PL_LANES])
{
	struct record record;
	bool enough = true;
	enum pl_err err;

	for (int lane = 0; lane < PL_LANES; lane++)
		enough &= heads[lane] <= sidecar->reserved[lane];
	if (sidecar->frozen || enough)
		return PL_OK;

	memcpy(record.incarnation, sidecar->incarnation, PL_INCARNATION_BYTES);
	record.serial = sidecar->serial + 1;
	for (int lane = 0; lane < PL_LANES; lane++)
		record.seq[lane] = heads[lane] > sidecar->reserved[lane] ? heads[lane] + PL_SIDECAR_BLOCK - 1 : sidecar->reserved[lane];
	err = write_block(sidecar->fd, (uint8_t)(record.serial & 1), &record);
	if (err)
		return err;
	if (fdatasync(sidecar->fd) != 0)
		return PL_ERR_IO;
	sidecar->serial = record.serial;
	memcpy(sidecar->reserved, record.seq, sizeof(sidecar->reserved));
	return PL_OK;
}

void pl_sidecar_committed(struct pl_sidecar *sidecar, const uint64_t heads[PL_LANES])
{
	struct record record = {.serial = sidecar->serial};

	if (sidecar->frozen)
		return;
	memcpy(record.incarnation, sidecar->incarnation, PL_INCARNATION_BYTES);
	memcpy(record.seq, heads, sizeof(record.seq));
	/* Only narrows what a restored copy could hide; the reservation holds without it. */
	(void)!write_block(sidecar->fd, BLOCK_COMMITTED, &record);
}

void pl_sidecar_close(struct pl_sidecar *sidecar)
{
	if (sidecar->fd >= 0)
		close(sidecar->fd);
	sidecar->fd = -1;
}
