#include "node/passphrase.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "node/file.h"

static enum pl_err line_read(int fd, const char *name, char *buffer, size_t buffer_max, char *why, size_t why_max)
{
	size_t count = 0;
	for (;;) {
		char c;
		ssize_t n = read(fd, &c, 1); /* no more than the line: the rest of a pipe is someone else's */
		if (n < 0)
			return pl_why(why, why_max, errno == EINTR ? PL_ERR_STATE : PL_ERR_IO, "%s: cannot be read: %s", name, strerror(errno));
		if (n == 0 || c == '\n')
			break;
		if (c == '\0')
			return pl_why(why, why_max, PL_ERR_FORMAT, "%s: a passphrase is text; this has a zero byte", name);
		if (count + 1 >= buffer_max)
			return pl_why(why, why_max, PL_ERR_LIMIT, "%s: the passphrase has more than %zu bytes", name, buffer_max - 1);
		buffer[count++] = c;
	}
	if (count > 0 && buffer[count - 1] == '\r')
		count--;
	buffer[count] = '\0';
	return PL_OK;
}

/* systemd guards the folder of credentials; the mode of a file in it shows the service's ACL entry as group bits. */
static bool is_credential(const char *path)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	size_t count = folder == NULL ? 0 : strlen(folder);
	return count > 0 && strncmp(path, folder, count) == 0 && path[count] == '/' && strstr(path + count, "/../") == NULL;
}

static enum pl_err passphrase_from_file(const char *path, char *buffer, size_t buffer_max, char *why, size_t why_max)
{
	int fd;
	struct stat st;
	enum pl_err err = pl_file_open(path, &fd, &st, why, why_max);
	if (err != PL_OK)
		return err;
	if (!is_credential(path) && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		err = pl_why(why, why_max, PL_ERR_REFUSED, "%s: is a passphrase that others on this machine may read (mode %03o); chmod 600 %s", path,
		           (unsigned)st.st_mode & 0777, path);
	else
		err = line_read(fd, path, buffer, buffer_max, why, why_max);
	close(fd);
	if (err == PL_OK && buffer[0] == '\0')
		err = pl_why(why, why_max, PL_ERR_FORMAT, "%s: its first line is empty; the passphrase stands there", path);
	return err;
}

static volatile sig_atomic_t caught_signal;

static void on_signal(int number)
{
	caught_signal = number;
}

static enum pl_err prompt_once(int tty, const char *prompt, char *buffer, size_t buffer_max, char *why, size_t why_max)
{
	struct termios before, silent;
	if (tcgetattr(tty, &before) != 0)
		return pl_why(why, why_max, PL_ERR_IO, "the terminal cannot be asked for a passphrase: %s", strerror(errno));
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;

	/* A signal must not leave the terminal without echo: it ends the read, and is raised again once the terminal is as it was. */
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct sigaction old[4], action = { .sa_handler = on_signal };
	caught_signal = 0;
	for (size_t i = 0; i < 4; i++)
		(void)sigaction(signals[i], &action, &old[i]);
	(void)tcsetattr(tty, TCSAFLUSH, &silent);
	dprintf(tty, "%s: ", prompt);
	enum pl_err err = line_read(tty, "terminal", buffer, buffer_max, why, why_max);
	(void)tcsetattr(tty, TCSAFLUSH, &before);
	dprintf(tty, "\n");
	for (size_t i = 0; i < 4; i++)
		(void)sigaction(signals[i], &old[i], NULL);
	if (caught_signal != 0) {
		(void)raise(caught_signal);
		return pl_why(why, why_max, PL_ERR_STATE, "interrupted while asking for a passphrase");
	}
	return err;
}

static enum pl_err passphrase_from_terminal(const char *prompt, bool confirm, char *buffer, size_t buffer_max, char *why, size_t why_max)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		return pl_why(why, why_max, PL_ERR_NO_KEY,
		            "a passphrase is needed, and there is no terminal to ask: put it into a file (mode 600) and name that, "
		            "or set PARLEY_PASSPHRASE");
	enum pl_err err = prompt_once(tty, prompt, buffer, buffer_max, why, why_max);
	if (err == PL_OK && buffer[0] == '\0')
		err = pl_why(why, why_max, PL_ERR_FORMAT, "%s: an empty passphrase was given", prompt);
	if (err == PL_OK && confirm && strlen(buffer) < PL_PASSPHRASE_CHARS_MIN)
		err = pl_why(why, why_max, PL_ERR_FORMAT, "a passphrase for a new key has at least %d characters", PL_PASSPHRASE_CHARS_MIN);
	if (err == PL_OK && confirm) {
		char again[PL_PASSPHRASE_BYTES_MAX];
		err = prompt_once(tty, "the same again", again, sizeof(again), why, why_max);
		if (err == PL_OK && strcmp(buffer, again) != 0)
			err = pl_why(why, why_max, PL_ERR_FORMAT, "the two passphrases differ; nothing was done");
		sodium_memzero(again, sizeof(again));
	}
	close(tty);
	return err;
}

enum pl_err pl_passphrase_get(const char *file, const char *prompt, int confirm, char *buffer, size_t passphrase_max, char *why,
                              size_t why_max)
{
	if (file != NULL && file[0] != '\0')
		return passphrase_from_file(file, buffer, passphrase_max, why, why_max);
	const char *credentials = getenv("CREDENTIALS_DIRECTORY");
	if (credentials != NULL) {
		char path[PL_FILE_PATH_BYTES_MAX];
		int length = snprintf(path, sizeof(path), "%s/passphrase", credentials);
		if (length > 0 && (size_t)length < sizeof(path) && access(path, F_OK) == 0)
			return passphrase_from_file(path, buffer, passphrase_max, why, why_max);
	}
	const char *variable = getenv("PARLEY_PASSPHRASE");
	if (variable != NULL && variable[0] != '\0') {
		if (strlen(variable) >= passphrase_max)
			return pl_why(why, why_max, PL_ERR_LIMIT, "PARLEY_PASSPHRASE: has more than %zu bytes", passphrase_max - 1);
		memcpy(buffer, variable, strlen(variable) + 1);
		return PL_OK;
	}
	return passphrase_from_terminal(prompt, confirm != 0, buffer, passphrase_max, why, why_max);
}
