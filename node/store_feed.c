#include "node/store_feed.h"

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

static void put64(uint8_t *at, uint64_t value)
{
	for (int i = 7; i >= 0; i--, value >>= 8)
		at[i] = (uint8_t)value;
}

static uint64_t take64(const uint8_t *at)
{
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | at[i];
	return value;
}

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
	put64(at, record->serial);
	for (int lane = 0; lane < PL_LANES; lane++)
		put64(at + 8 + 8 * lane, record->seq[lane]);
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
	out->serial = take64(at);
	for (int lane = 0; lane < PL_LANES; lane++)
		out->seq[lane] = take64(at + 8 + 8 * lane);
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

__attribute__((format(printf, 2, 3))) static void freeze(struct pl_feed *feed, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(feed->why, sizeof(feed->why), format, args);
	va_end(args);
	feed->frozen = true;
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
 * is written, so that later writes replace in place and do not run out of space. Replaces feed->fd. */
static enum pl_err create(struct pl_feed *feed, const char *path)
{
	struct record record = {.serial = 1};
	char temporary[PATH_MAX];
	enum pl_err err = PL_OK;
	int fd;

	snprintf(temporary, sizeof(temporary), "%s.new", path);
	fd = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return io_err();
	memcpy(record.incarnation, feed->incarnation, PL_INCARNATION_BYTES);
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
	pl_feed_close(feed);
	feed->fd = fd;
	feed->serial = record.serial;
	return PL_OK;
}

/* Compares the store with what the sidecar says. */
static void judge(struct pl_feed *feed, const char *path, const struct record *reserved, const struct record *committed,
                  const uint64_t heads[PL_LANES])
{
	feed->serial = reserved->serial;
	for (int lane = 0; lane < PL_LANES && !feed->frozen; lane++) {
		unsigned long long head = heads[lane], done = committed ? committed->seq[lane] : 0;
		unsigned long long limit = reserved->seq[lane] > done ? reserved->seq[lane] : done;

		feed->reserved[lane] = limit;
		if (head < done)
			freeze(feed, "%s: entry %llu of this node's lane %d was committed, but the store ends at %llu: it was restored from a copy.",
			       path, done, lane, head);
		else if (head + PL_FEED_LEAD_MAX <= limit)
			freeze(feed, "%s: places up to %llu of this node's lane %d are reserved, but the store ends at %llu: it was restored from a copy.",
			       path, limit, lane, head);
		else if (head > limit)
			freeze(feed, "%s: the store ends this node's lane %d at %llu, but only %llu are reserved: this file is from an older copy.",
			       path, lane, head, limit);
		feed->is_older = feed->frozen && head < limit;
	}
}

static bool is_unused(const struct record *record)
{
	for (int lane = 0; lane < PL_LANES; lane++)
		if (record->seq[lane])
			return false;
	return true;
}

enum pl_err pl_feed_open(struct pl_feed *feed, const char *path, const uint8_t incarnation[PL_INCARNATION_BYTES],
                         const uint64_t heads[PL_LANES], bool is_new, char *why, size_t why_max)
{
	struct record blocks[2], committed, *newest = NULL;
	bool is_ours;
	enum pl_err err = PL_OK;

	memset(feed, 0, sizeof(*feed));
	memcpy(feed->incarnation, incarnation, PL_INCARNATION_BYTES);
	feed->fd = open(path, O_RDWR | O_CLOEXEC);
	if (feed->fd < 0 && errno == ENOENT) {
		if (!is_new) {
			freeze(feed, "%s is missing: the store was restored from a copy.", path);
			return PL_OK;
		}
		err = create(feed, path);
		if (err)
			snprintf(why, why_max, "%s cannot be made: %s.", path, strerror(errno));
		return err;
	}
	if (feed->fd < 0) {
		err = io_err();
		snprintf(why, why_max, "%s cannot be opened: %s.", path, strerror(errno));
		return err;
	}
	if (flock(feed->fd, LOCK_EX | LOCK_NB) != 0) {
		snprintf(why, why_max, "%s is in use by another process.", path);
		pl_feed_close(feed);
		return PL_ERR_REFUSED;
	}
	for (uint8_t number = 0; number < 2; number++)
		if (read_block(feed->fd, number, &blocks[number]) && (!newest || blocks[number].serial > newest->serial))
			newest = &blocks[number];

	is_ours = newest && memcmp(newest->incarnation, incarnation, PL_INCARNATION_BYTES) == 0;
	if (!newest) {
		freeze(feed, "%s is damaged, so that nobody can tell whether the store is the newest.", path);
	} else if (!is_ours && !(is_new && is_unused(newest))) {
		freeze(feed, "%s belongs to another store of this node: the store was restored from a copy, or made anew.", path);
	} else if (!is_ours) {
		err = create(feed, path);
		if (err) {
			snprintf(why, why_max, "%s cannot be replaced: %s.", path, strerror(errno));
			pl_feed_close(feed);
		}
	} else {
		bool is_marked = read_block(feed->fd, BLOCK_COMMITTED, &committed) &&
		                 memcmp(committed.incarnation, incarnation, PL_INCARNATION_BYTES) == 0;
		judge(feed, path, newest, is_marked ? &committed : NULL, heads);
	}
	return err;
}

enum pl_err pl_feed_reserve(struct pl_feed *feed, const uint64_t heads[PL_LANES])
{
	struct record record;
	bool enough = true;
	enum pl_err err;

	for (int lane = 0; lane < PL_LANES; lane++)
		enough &= heads[lane] <= feed->reserved[lane];
	if (feed->frozen || enough)
		return PL_OK;

	memcpy(record.incarnation, feed->incarnation, PL_INCARNATION_BYTES);
	record.serial = feed->serial + 1;
	for (int lane = 0; lane < PL_LANES; lane++)
		record.seq[lane] = heads[lane] > feed->reserved[lane] ? heads[lane] + PL_FEED_BLOCK - 1 : feed->reserved[lane];
	err = write_block(feed->fd, (uint8_t)(record.serial & 1), &record);
	if (err)
		return err;
	if (fdatasync(feed->fd) != 0)
		return PL_ERR_IO;
	feed->serial = record.serial;
	memcpy(feed->reserved, record.seq, sizeof(feed->reserved));
	return PL_OK;
}

void pl_feed_committed(struct pl_feed *feed, const uint64_t heads[PL_LANES])
{
	struct record record = {.serial = feed->serial};

	if (feed->frozen)
		return;
	memcpy(record.incarnation, feed->incarnation, PL_INCARNATION_BYTES);
	memcpy(record.seq, heads, sizeof(record.seq));
	/* Only narrows what a restored copy could hide; the reservation holds without it. */
	(void)!write_block(feed->fd, BLOCK_COMMITTED, &record);
}

void pl_feed_close(struct pl_feed *feed)
{
	if (feed->fd >= 0)
		close(feed->fd);
	feed->fd = -1;
}
