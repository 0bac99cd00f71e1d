#include "tests/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 16
#define SECTOR 512

struct change { /* not synced yet */
	struct change *next;
	bool is_truncate;
	uint64_t offset, count; /* truncate: offset is the new size */
	uint8_t bytes[];
};

struct image {
	char path[PATH_MAX];
	char old_path[PATH_MAX]; /* renamed from, the directory not synced; empty: not so */
	uint8_t *durable;
	uint64_t size, capacity;
	struct change *first, *last;
	bool is_used, is_deleted; /* deleted, the directory not synced */
	bool may_garble;
};

struct disk_file {
	sqlite3_file base;
	struct image *image; /* NULL: not watched */
	sqlite3_file *real;
};

static struct {
	sqlite3_vfs vfs;
	sqlite3_vfs *system;
	char dir[PATH_MAX];
	bool is_active, has_struck;
	struct disk_plan plan;
	uint64_t operations, random;
	struct image images[FILES_MAX];
} disk;

static void give_up(const char *what)
{
	fprintf(stderr, "disk: %s\n", what);
	abort();
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717u;
}

static void seed_random(uint64_t *state, uint64_t seed)
{
	*state = seed * 0x9e3779b97f4a7c15u + 0x2545f4914f6cdd1du;
	if (!*state)
		*state = 1;
	for (int i = 0; i < 4; i++)
		next_random(state);
}

/* --- images --- */

static struct image *find_image(const char *path)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		if (disk.images[i].is_used && !disk.images[i].is_deleted && strcmp(disk.images[i].path, path) == 0)
			return &disk.images[i];
	return NULL;
}

static void free_image(struct image *image)
{
	while (image->first) {
		struct change *change = image->first;

		image->first = change->next;
		free(change);
	}
	free(image->durable);
	memset(image, 0, sizeof(*image));
}

/* The image of a file in the watched directory, made if it has none. */
static struct image *image_of(const char *path)
{
	size_t dir_bytes = strlen(disk.dir);
	struct image *image;

	if (!disk.is_active || !path || strncmp(path, disk.dir, dir_bytes) != 0 || path[dir_bytes] != '/')
		return NULL;
	image = find_image(path);
	for (size_t i = 0; !image && i < FILES_MAX; i++)
		if (!disk.images[i].is_used)
			image = &disk.images[i];
	for (size_t i = 0; !image && i < FILES_MAX; i++) {
		if (disk.images[i].is_deleted) { /* too many remembered: this deletion has reached the disk */
			image = &disk.images[i];
			free_image(image);
		}
	}
	if (!image)
		give_up("too many files");
	if (!image->is_used) {
		struct stat st;

		snprintf(image->path, sizeof(image->path), "%s", path);
		image->is_used = true;
		if (stat(path, &st) == 0 && st.st_size > 0)
			give_up("a file has content from before");
	}
	return image;
}

static void make_room(struct image *image, uint64_t size)
{
	if (size > image->capacity) {
		uint64_t capacity = size > 2 * image->capacity ? size : 2 * image->capacity;

		image->durable = realloc(image->durable, capacity);
		if (!image->durable)
			give_up("out of memory");
		image->capacity = capacity;
	}
	if (size > image->size) {
		memset(image->durable + image->size, 0, size - image->size);
		image->size = size;
	}
}

static void put(struct image *image, uint64_t offset, const uint8_t *bytes, uint64_t count)
{
	make_room(image, offset + count);
	memcpy(image->durable + offset, bytes, count);
}

static void note_change(struct image *image, bool is_truncate, uint64_t offset, const void *bytes, uint64_t count)
{
	struct change *change = malloc(sizeof(*change) + count);

	if (!change)
		give_up("out of memory");
	*change = (struct change){.is_truncate = is_truncate, .offset = offset, .count = count};
	if (count)
		memcpy(change->bytes, bytes, count);
	if (image->last)
		image->last->next = change;
	else
		image->first = change;
	image->last = change;
}

static void put_garbage(struct image *image, uint64_t offset, uint64_t count, uint64_t *random)
{
	make_room(image, offset + count);
	for (uint64_t i = 0; i < count; i++)
		image->durable[offset + i] = (uint8_t)(next_random(random) >> 32);
}

/* Applies changes to the durable content: all, or a subset by sectors. style 0: each sector by chance, 1: each change by chance, 2: all,
 * 3: none, 4: the first ones. */
static void settle(struct image *image, bool all, uint64_t *random)
{
	unsigned style = all ? 2 : (unsigned)(next_random(random) % 5);
	bool is_over = false;

	while (image->first) {
		struct change *change = image->first;
		bool keep = style == 2 || (style == 1 && next_random(random) & 1) || (style == 4 && !is_over);

		if (style == 4 && next_random(random) % 8 == 0)
			is_over = true;
		if (change->is_truncate) {
			if (keep || (style == 0 && next_random(random) & 1)) {
				make_room(image, change->offset);
				image->size = change->offset;
			}
		} else if (style == 0) {
			for (uint64_t at = 0; at < change->count;) {
				uint64_t piece = SECTOR - (change->offset + at) % SECTOR;

				piece = piece > change->count - at ? change->count - at : piece;
				if (image->may_garble && next_random(random) % 3 == 0)
					put_garbage(image, change->offset + at, piece, random);
				else if (next_random(random) & 1)
					put(image, change->offset + at, change->bytes + at, piece);
				at += piece;
			}
		} else if (keep) {
			put(image, change->offset, change->bytes, change->count);
		}
		image->first = change->next;
		free(change);
	}
	image->last = NULL;
}

static void sync_dir(void)
{
	for (size_t i = 0; i < FILES_MAX; i++) {
		disk.images[i].old_path[0] = 0;
		if (disk.images[i].is_deleted)
			free_image(&disk.images[i]);
	}
}

static bool ends_with(const char *path, const char *suffix)
{
	size_t a = strlen(path), b = suffix ? strlen(suffix) : 0;

	return suffix && a >= b && strcmp(path + a - b, suffix) == 0;
}

/* --- faults --- */

enum operation { OP_READ, OP_WRITE, OP_SYNC, OP_OTHER_CHANGE, OP_OPEN };

/* Counts an operation; whether it is to fail. */
static bool strikes(enum operation operation)
{
	bool counts = false;

	if (!disk.is_active)
		return false;
	if (disk.has_struck && disk.plan.fault == DISK_CUT)
		return true;
	switch (disk.plan.fault) {
	case DISK_FINE: break;
	case DISK_EIO: counts = true; break;
	case DISK_ENOSPC: counts = operation == OP_WRITE; break;
	case DISK_EIO_SYNC: counts = operation == OP_SYNC; break;
	case DISK_CUT: counts = operation == OP_WRITE || operation == OP_SYNC || operation == OP_OTHER_CHANGE; break;
	}
	if (!counts)
		return false;
	disk.operations++;
	if (disk.operations == disk.plan.at || (disk.plan.for_good && disk.operations > disk.plan.at)) {
		disk.has_struck = true;
		return true;
	}
	return false;
}

static bool is_cut(void)
{
	return disk.plan.fault == DISK_CUT && disk.has_struck;
}

/* The write at which the power goes has begun: parts of it may be there. */
static void write_strikes(struct image *image, const void *bytes, uint64_t offset, uint64_t count, bool was_cut)
{
	if (image && !was_cut && disk.plan.fault == DISK_CUT)
		note_change(image, false, offset, bytes, count);
}

static void sync_strikes(struct image *image)
{
	if (image && disk.plan.fault == DISK_EIO_SYNC)
		settle(image, false, &disk.random);
}

static void sync_done(struct image *image)
{
	if (image && !ends_with(image->path, disk.plan.lies_for))
		settle(image, true, &disk.random);
}

/* --- SQLite's files --- */

static int file_close(sqlite3_file *base)
{
	struct disk_file *file = (struct disk_file *)base;
	int rc = file->real->pMethods ? file->real->pMethods->xClose(file->real) : SQLITE_OK;

	sqlite3_free(file->real);
	return rc;
}

static int file_read(sqlite3_file *base, void *bytes, int count, sqlite3_int64 offset)
{
	struct disk_file *file = (struct disk_file *)base;

	if (strikes(OP_READ))
		return SQLITE_IOERR_READ;
	return file->real->pMethods->xRead(file->real, bytes, count, offset);
}

static int file_write(sqlite3_file *base, const void *bytes, int count, sqlite3_int64 offset)
{
	struct disk_file *file = (struct disk_file *)base;
	bool was_cut = is_cut(), has_no_room = disk.plan.fault == DISK_ENOSPC;
	int rc;

	if (strikes(OP_WRITE)) {
		write_strikes(file->image, bytes, (uint64_t)offset, (uint64_t)count, was_cut);
		if (!has_no_room)
			return SQLITE_IOERR_WRITE;
		count /= 2;
	} else {
		has_no_room = false;
	}
	rc = file->real->pMethods->xWrite(file->real, bytes, count, offset);
	if (rc == SQLITE_OK && file->image)
		note_change(file->image, false, (uint64_t)offset, bytes, (uint64_t)count);
	return rc == SQLITE_OK && has_no_room ? SQLITE_FULL : rc;
}

static int file_truncate(sqlite3_file *base, sqlite3_int64 size)
{
	struct disk_file *file = (struct disk_file *)base;
	int rc;

	if (strikes(OP_OTHER_CHANGE))
		return SQLITE_IOERR_TRUNCATE;
	rc = file->real->pMethods->xTruncate(file->real, size);
	if (rc == SQLITE_OK && file->image)
		note_change(file->image, true, (uint64_t)size, NULL, 0);
	return rc;
}

static int file_sync(sqlite3_file *base, int flags)
{
	struct disk_file *file = (struct disk_file *)base;

	if (strikes(OP_SYNC)) {
		sync_strikes(file->image);
		return SQLITE_IOERR_FSYNC;
	}
	if (!file->image)
		return file->real->pMethods->xSync(file->real, flags);
	sync_done(file->image);
	return SQLITE_OK;
}

static int file_size(sqlite3_file *base, sqlite3_int64 *size)
{
	struct disk_file *file = (struct disk_file *)base;

	return file->real->pMethods->xFileSize(file->real, size);
}

static int file_lock(sqlite3_file *base, int level)
{
	struct disk_file *file = (struct disk_file *)base;

	return file->real->pMethods->xLock(file->real, level);
}

static int file_unlock(sqlite3_file *base, int level)
{
	struct disk_file *file = (struct disk_file *)base;

	return file->real->pMethods->xUnlock(file->real, level);
}

static int file_is_reserved(sqlite3_file *base, int *out)
{
	struct disk_file *file = (struct disk_file *)base;

	return file->real->pMethods->xCheckReservedLock(file->real, out);
}

static int file_control(sqlite3_file *base, int op, void *arg)
{
	struct disk_file *file = (struct disk_file *)base;

	return file->real->pMethods->xFileControl(file->real, op, arg);
}

static int file_sector_size(sqlite3_file *base)
{
	(void)base;
	return SECTOR;
}

static int file_characteristics(sqlite3_file *base)
{
	struct disk_file *file = (struct disk_file *)base;

	return file->real->pMethods->xDeviceCharacteristics(file->real);
}

/* Version 1: no shared memory, which the store must not want. */
static const sqlite3_io_methods file_methods = {
	.iVersion = 1, .xClose = file_close, .xRead = file_read, .xWrite = file_write, .xTruncate = file_truncate, .xSync = file_sync,
	.xFileSize = file_size, .xLock = file_lock, .xUnlock = file_unlock, .xCheckReservedLock = file_is_reserved,
	.xFileControl = file_control, .xSectorSize = file_sector_size, .xDeviceCharacteristics = file_characteristics,
};

static int vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *base, int flags, int *out_flags)
{
	struct disk_file *file = (struct disk_file *)base;
	int rc;

	(void)vfs;
	memset(file, 0, sizeof(*file));
	if (strikes(OP_OPEN))
		return SQLITE_CANTOPEN;
	file->real = sqlite3_malloc(disk.system->szOsFile);
	if (!file->real)
		return SQLITE_NOMEM;
	memset(file->real, 0, (size_t)disk.system->szOsFile);
	file->image = image_of(name);
	rc = disk.system->xOpen(disk.system, name, file->real, flags, out_flags);
	if (rc != SQLITE_OK) {
		sqlite3_free(file->real);
		return rc;
	}
	file->base.pMethods = &file_methods;
	return SQLITE_OK;
}

static int vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	struct image *image;
	int rc;

	(void)vfs;
	if (strikes(OP_OTHER_CHANGE))
		return SQLITE_IOERR_DELETE;
	rc = disk.system->xDelete(disk.system, name, 0);
	image = find_image(name);
	if (rc == SQLITE_OK && disk.is_active && image) {
		image->is_deleted = true;
		if (sync)
			sync_dir();
	}
	return rc;
}

/* --- what the sidecar calls --- */

ssize_t __real_pwrite(int fd, const void *bytes, size_t count, off_t offset);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_rename(const char *from, const char *to);
ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_rename(const char *from, const char *to);

static struct image *image_of_fd(int fd, bool *is_dir)
{
	char link[64], path[PATH_MAX];
	ssize_t count;

	if (is_dir)
		*is_dir = false;
	if (!disk.is_active)
		return NULL;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	count = readlink(link, path, sizeof(path) - 1);
	if (count < 0)
		return NULL;
	path[count] = 0;
	if (is_dir && strcmp(path, disk.dir) == 0)
		*is_dir = true;
	return image_of(path);
}

ssize_t __wrap_pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
	struct image *image = image_of_fd(fd, NULL);
	bool was_cut = is_cut();
	ssize_t written;

	if (image)
		image->may_garble = true;
	if (image && strikes(OP_WRITE)) {
		write_strikes(image, bytes, (uint64_t)offset, count, was_cut);
		errno = disk.plan.fault == DISK_ENOSPC ? ENOSPC : EIO;
		return -1;
	}
	written = __real_pwrite(fd, bytes, count, offset);
	if (written > 0 && image)
		note_change(image, false, (uint64_t)offset, bytes, (uint64_t)written);
	return written;
}

static int sync_fd(int fd, int (*real)(int))
{
	bool is_dir;
	struct image *image = image_of_fd(fd, &is_dir);

	if (!image && !is_dir)
		return real(fd);
	if (strikes(OP_SYNC)) {
		sync_strikes(image);
		errno = EIO;
		return -1;
	}
	if (is_dir)
		sync_dir();
	else
		sync_done(image);
	return 0;
}

int __wrap_fsync(int fd)
{
	return sync_fd(fd, __real_fsync);
}

int __wrap_fdatasync(int fd)
{
	return sync_fd(fd, __real_fdatasync);
}

int __wrap_rename(const char *from, const char *to)
{
	struct image *image = disk.is_active ? find_image(from) : NULL, *replaced = disk.is_active ? find_image(to) : NULL;

	if (image && strikes(OP_OTHER_CHANGE)) {
		errno = EIO;
		return -1;
	}
	if (__real_rename(from, to) != 0)
		return -1;
	if (image) {
		if (replaced)
			replaced->is_deleted = true;
		memcpy(image->old_path, image->path, sizeof(image->old_path));
		snprintf(image->path, sizeof(image->path), "%s", to);
	}
	return 0;
}

/* --- the door --- */

void disk_start(const char *dir, const struct disk_plan *plan)
{
	if (!disk.system) {
		disk.system = sqlite3_vfs_find(NULL);
		disk.vfs = *disk.system;
		disk.vfs.zName = "disk";
		disk.vfs.szOsFile = sizeof(struct disk_file);
		disk.vfs.xOpen = vfs_open;
		disk.vfs.xDelete = vfs_delete;
		if (sqlite3_vfs_register(&disk.vfs, 1) != SQLITE_OK)
			give_up("SQLite does not take it");
	}
	disk_forget();
	snprintf(disk.dir, sizeof(disk.dir), "%s", dir);
	disk.plan = *plan;
	disk.operations = 0;
	disk.has_struck = false;
	seed_random(&disk.random, plan->seed);
	disk.is_active = true;
}

bool disk_stop(void)
{
	disk.is_active = false;
	return disk.has_struck;
}

bool disk_has_struck(void)
{
	return disk.has_struck;
}

void disk_cut(const char *to, uint64_t seed)
{
	uint64_t random;

	seed_random(&random, seed);
	for (size_t i = 0; i < FILES_MAX; i++) {
		struct image *image = &disk.images[i], left = {0};
		char path[PATH_MAX + PATH_MAX];
		const char *name;
		FILE *file;

		if (!image->is_used)
			continue;
		name = image->old_path[0] && next_random(&random) & 1 ? image->old_path : image->path;
		if (image->is_deleted && (find_image(image->path) || next_random(&random) & 1))
			continue;
		if (image->size)
			put(&left, 0, image->durable, image->size);
		for (const struct change *change = image->first; change; change = change->next)
			note_change(&left, change->is_truncate, change->offset, change->bytes, change->count);
		left.may_garble = image->may_garble;
		settle(&left, false, &random);
		snprintf(path, sizeof(path), "%s/%s", to, strrchr(name, '/') + 1);
		file = fopen(path, "wb");
		if (!file || (left.size && fwrite(left.durable, 1, left.size, file) != left.size) || fclose(file) != 0)
			give_up("the cut cannot be written");
		free_image(&left);
	}
}

void disk_forget(void)
{
	for (size_t i = 0; i < FILES_MAX; i++)
		free_image(&disk.images[i]);
}
