#include "node/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/conf.h"

static enum pl_err fail_in_use(int fd, const char *dir, char *why, size_t why_max)
{
	char text[32];
	ssize_t count = pread(fd, text, sizeof(text) - 1, 0);
	text[count > 0 ? count : 0] = '\0';
	long pid = strtol(text, NULL, 10);
	if (pid > 0)
		snprintf(why, why_max, "%s is in use by parleyd with pid %ld", dir, pid);
	else
		snprintf(why, why_max, "%s is in use by another parleyd, which is just starting", dir);
	return PL_ERR_EXISTS;
}

enum pl_err pl_lock_take(const char *dir, struct pl_lock *out, char *why, size_t why_max)
{
	char path[PL_PATH_BYTES_MAX], pid[32];
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int length = snprintf(path, sizeof(path), "%s/lock", dir);
	if (length < 0 || (size_t)length >= sizeof(path)) {
		snprintf(why, why_max, "the path of the node's directory is too long");
		return PL_ERR_LIMIT;
	}
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		snprintf(why, why_max, "%s: %s", path, strerror(errno));
		return PL_ERR_IO;
	}
	enum pl_err err = PL_OK;
	if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
		if (errno == EAGAIN || errno == EACCES) {
			err = fail_in_use(fd, dir, why, why_max);
		} else {
			snprintf(why, why_max, "%s cannot be locked: %s", path, strerror(errno));
			err = PL_ERR_IO;
		}
		goto done;
	}
	length = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* The number is for people alone: a full disk, which has no room for it, is no reason not to start. */
	if (ftruncate(fd, 0) != 0 || pwrite(fd, pid, (size_t)length, 0) != length)
		(void)!ftruncate(fd, 0);
	out->fd = fd;
	return PL_OK;
done:
	close(fd);
	return err;
}

void pl_lock_release(struct pl_lock *lock)
{
	if (ftruncate(lock->fd, 0) != 0) {
		/* the pid stays in the file, where the next owner writes over it */
	}
	close(lock->fd);
	lock->fd = -1;
}
