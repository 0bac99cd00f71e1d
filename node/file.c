#include "node/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum pl_err pl_why(char *why, size_t why_max, enum pl_err err, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(why, why_max, format, list);
	va_end(list);
	return err;
}

void pl_file_take_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* takes the lowest free number: this one */
}

static enum pl_err err_of_errno(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT: return PL_ERR_DISK_FULL;
	case ENOMEM: return PL_ERR_MEMORY;
	case ENOENT:
	case ENOTDIR: return PL_ERR_UNKNOWN;
	case EEXIST: return PL_ERR_EXISTS;
	default: return PL_ERR_IO;
	}
}

enum pl_err pl_file_open(const char *path, int *fd, struct stat *st, char *why, size_t why_max)
{
	int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (opened < 0)
		return pl_why(why, why_max, err_of_errno(errno), "%s: cannot be opened: %s", path, strerror(errno));
	if (fstat(opened, st) != 0 || S_ISDIR(st->st_mode)) {
		close(opened);
		return pl_why(why, why_max, PL_ERR_FORMAT, "%s: is a folder; a file is needed", path);
	}
	*fd = opened;
	return PL_OK;
}

static enum pl_err too_long(const char *path, size_t bytes_max, char *why, size_t why_max)
{
	if (bytes_max % (1u << 20) == 0)
		return pl_why(why, why_max, PL_ERR_LIMIT, "%s: has more than %zu MiB, the most that such a file may have", path, bytes_max >> 20);
	return pl_why(why, why_max, PL_ERR_LIMIT, "%s: has more than %zu bytes, the most that such a file may have", path, bytes_max);
}

enum pl_err pl_file_read(const char *path, size_t bytes_max, uint8_t **out, size_t *count, char *why, size_t why_max)
{
	int fd;
	struct stat st;
	enum pl_err err = pl_file_open(path, &fd, &st, why, why_max);
	if (err != PL_OK)
		return err;
	if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > bytes_max) {
		close(fd);
		return too_long(path, bytes_max, why, why_max);
	}
	uint8_t *bytes = NULL;
	size_t have = 0, room = S_ISREG(st.st_mode) && st.st_size >= 0 ? (size_t)st.st_size + 1 : 4096;
	for (;;) {
		/* A pipe has no size, and a file may grow while it is read: what comes decides, one byte past the limit at most. */
		if (room > bytes_max)
			room = bytes_max + 1;
		uint8_t *more = realloc(bytes, room);
		if (more == NULL) {
			err = pl_why(why, why_max, PL_ERR_MEMORY, "%s: no memory to read it", path);
			goto out;
		}
		bytes = more;
		while (have < room) {
			ssize_t n = read(fd, bytes + have, room - have);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0) {
				err = pl_why(why, why_max, err_of_errno(errno), "%s: cannot be read: %s", path, strerror(errno));
				goto out;
			}
			if (n == 0)
				goto out;
			have += (size_t)n;
		}
		if (have > bytes_max) {
			err = too_long(path, bytes_max, why, why_max);
			goto out;
		}
		room *= 2;
	}
out:
	close(fd);
	if (err != PL_OK) {
		free(bytes);
		return err;
	}
	*out = bytes;
	*count = have;
	return PL_OK;
}

static void sync_folder_of(const char *path)
{
	char folder[PL_FILE_PATH_BYTES_MAX];
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		snprintf(folder, sizeof(folder), ".");
	else
		snprintf(folder, sizeof(folder), "%.*s", slash == path ? 1 : (int)(slash - path), path);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return; /* a folder that may be written but not read: the name reaches the disk a little later */
	(void)fsync(fd);
	close(fd);
}

static int rename_to_new(const char *from, const char *to)
{
	if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -1;
	if (link(from, to) != 0) /* a filesystem without RENAME_NOREPLACE, such as NFS */
		return -1;
	(void)unlink(from);
	return 0;
}

static enum pl_err exists(const char *path, char *why, size_t why_max)
{
	return pl_why(why, why_max, PL_ERR_EXISTS, "%s: exists already and is not overwritten; name another file, or move it away", path);
}

enum pl_err pl_file_begin(const char *path, bool is_new, struct pl_file *out, char *why, size_t why_max)
{
	int length = snprintf(out->temporary, sizeof(out->temporary), "%s.XXXXXX", path);
	if (length < 0 || (size_t)length >= sizeof(out->temporary))
		return pl_why(why, why_max, PL_ERR_LIMIT, "%.80s…: the path is too long", path);
	memcpy(out->path, path, strlen(path) + 1);
	out->is_new = is_new;
	if (is_new && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) /* before any work; what decides is rename_to_new() */
		return exists(path, why, why_max);
	out->fd = mkostemp(out->temporary, O_CLOEXEC);
	if (out->fd < 0)
		return pl_why(why, why_max, err_of_errno(errno), "%s: cannot be created: %s", path, strerror(errno));
	return PL_OK;
}

enum pl_err pl_file_append(struct pl_file *file, const void *bytes, size_t count, char *why, size_t why_max)
{
	const uint8_t *at = bytes;
	while (count > 0) {
		ssize_t n = write(file->fd, at, count);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return pl_why(why, why_max, err_of_errno(errno), "%s: cannot be written: %s", file->path, strerror(errno));
		at += n;
		count -= (size_t)n;
	}
	return PL_OK;
}

enum pl_err pl_file_commit(struct pl_file *file, unsigned mode, char *why, size_t why_max)
{
	if (fchmod(file->fd, mode) != 0 || fsync(file->fd) != 0 ||
	    (file->is_new ? rename_to_new(file->temporary, file->path) : rename(file->temporary, file->path)) != 0) {
		int number = errno;
		pl_file_abandon(file);
		if (number == EEXIST)
			return exists(file->path, why, why_max);
		return pl_why(why, why_max, err_of_errno(number), "%s: cannot be written: %s", file->path, strerror(number));
	}
	close(file->fd);
	sync_folder_of(file->path);
	return PL_OK;
}

void pl_file_abandon(struct pl_file *file)
{
	close(file->fd);
	(void)unlink(file->temporary);
}

static enum pl_err write_file(const char *path, bool is_new, unsigned mode, const uint8_t *bytes, size_t count, char *why, size_t why_max)
{
	struct pl_file file;
	enum pl_err err = pl_file_begin(path, is_new, &file, why, why_max);
	if (err != PL_OK)
		return err;
	err = pl_file_append(&file, bytes, count, why, why_max);
	if (err != PL_OK) {
		pl_file_abandon(&file);
		return err;
	}
	return pl_file_commit(&file, mode, why, why_max);
}

enum pl_err pl_file_write_new(const char *path, unsigned mode, const uint8_t *bytes, size_t count, char *why, size_t why_max)
{
	return write_file(path, true, mode, bytes, count, why, why_max);
}

enum pl_err pl_file_replace(const char *path, unsigned mode, const uint8_t *bytes, size_t count, char *why, size_t why_max)
{
	return write_file(path, false, mode, bytes, count, why, why_max);
}
