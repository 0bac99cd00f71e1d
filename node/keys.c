#include "node/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "proto/mp.h"

#define KEY_FORMAT 1
#define SEED_BYTES 32
#define SECRETS_MAX 3           /* a node's: feed seed, Noise secret, store key */
#define PAYLOAD_BYTES_MAX 512   /* a role, a comment of PL_NAME_BYTES_MAX and three secrets take 200 */
#define PAYLOAD_TOKENS_MAX 8
#define PATH_BYTES_MAX PL_FILE_PATH_BYTES_MAX

static enum pl_err fail(char *why, size_t why_max, enum pl_err err, const char *format, ...) __attribute__((format(printf, 4, 5)));

static enum pl_err fail(char *why, size_t why_max, enum pl_err err, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	vsnprintf(why, why_max, format, list);
	va_end(list);
	return err;
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

/* --- files --- */

static enum pl_err open_for_reading(const char *path, int *fd, struct stat *st, char *why, size_t why_max)
{
	int opened = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (opened < 0)
		return fail(why, why_max, err_of_errno(errno), "%s: cannot be opened: %s", path, strerror(errno));
	if (fstat(opened, st) != 0 || S_ISDIR(st->st_mode)) {
		close(opened);
		return fail(why, why_max, PL_ERR_FORMAT, "%s: is a folder; a file is needed", path);
	}
	*fd = opened;
	return PL_OK;
}

static enum pl_err too_long(const char *path, size_t bytes_max, char *why, size_t why_max)
{
	return fail(why, why_max, PL_ERR_LIMIT, "%s: has more than %zu bytes, the most that such a file may have", path, bytes_max);
}

enum pl_err pl_file_read(const char *path, size_t bytes_max, uint8_t **out, size_t *count, char *why, size_t why_max)
{
	int fd;
	struct stat st;
	enum pl_err err = open_for_reading(path, &fd, &st, why, why_max);
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
			err = fail(why, why_max, PL_ERR_MEMORY, "%s: no memory to read it", path);
			goto out;
		}
		bytes = more;
		while (have < room) {
			ssize_t n = read(fd, bytes + have, room - have);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0) {
				err = fail(why, why_max, err_of_errno(errno), "%s: cannot be read: %s", path, strerror(errno));
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
	char folder[PATH_BYTES_MAX];
	const char *slash = strrchr(path, '/');
	if (slash == NULL)
		snprintf(folder, sizeof folder, ".");
	else
		snprintf(folder, sizeof folder, "%.*s", slash == path ? 1 : (int)(slash - path), path);
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
	return fail(why, why_max, PL_ERR_EXISTS, "%s: exists already and is not overwritten; name another file, or move it away", path);
}

enum pl_err pl_file_begin(const char *path, bool is_new, struct pl_file *out, char *why, size_t why_max)
{
	int length = snprintf(out->temporary, sizeof out->temporary, "%s.XXXXXX", path);
	if (length < 0 || (size_t)length >= sizeof out->temporary)
		return fail(why, why_max, PL_ERR_LIMIT, "%.80s…: the path is too long", path);
	memcpy(out->path, path, strlen(path) + 1);
	out->is_new = is_new;
	if (is_new && faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0) /* before any work; what decides is rename_to_new() */
		return exists(path, why, why_max);
	out->fd = mkostemp(out->temporary, O_CLOEXEC);
	if (out->fd < 0)
		return fail(why, why_max, err_of_errno(errno), "%s: cannot be created: %s", path, strerror(errno));
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
			return fail(why, why_max, err_of_errno(errno), "%s: cannot be written: %s", file->path, strerror(errno));
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
		return fail(why, why_max, err_of_errno(number), "%s: cannot be written: %s", file->path, strerror(number));
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

/* --- key files --- */

const char *pl_key_role_name(enum pl_key_role role)
{
	switch (role) {
	case PL_KEY_ROOT: return "root";
	case PL_KEY_NODE_ROLE: return "node-role";
	case PL_KEY_PERSONNEL: return "personnel";
	case PL_KEY_NODE: return "node";
	}
	return "unknown";
}

static bool role_parse(const char *chars, size_t count, enum pl_key_role *out)
{
	for (int role = PL_KEY_ROOT; role <= PL_KEY_NODE; role++) {
		const char *name = pl_key_role_name((enum pl_key_role)role);
		if (strlen(name) == count && memcmp(name, chars, count) == 0) {
			*out = (enum pl_key_role)role;
			return true;
		}
	}
	return false;
}

/* [1, role, comment, 32 bytes...]: the payload of a key file and the whole of a public file. */
struct paper {
	enum pl_key_role role;
	char comment[PL_NAME_BYTES_MAX + 1];
	uint8_t items[SECRETS_MAX][32];
};

static uint32_t paper_items(enum pl_key_role role, bool is_secret)
{
	if (role != PL_KEY_NODE)
		return 1;
	return is_secret ? 3 : 2;
}

static enum pl_err paper_write(const struct paper *paper, bool is_secret, uint8_t *out, size_t out_max, size_t *out_bytes)
{
	const char *role = pl_key_role_name(paper->role);
	uint32_t items = paper_items(paper->role, is_secret);
	struct pl_mp_writer writer;
	pl_mp_writer_init(&writer, out, out_max);
	pl_mp_put_array(&writer, 3 + items);
	pl_mp_put_uint(&writer, KEY_FORMAT);
	pl_mp_put_str(&writer, role, strlen(role));
	pl_mp_put_str(&writer, paper->comment, strlen(paper->comment));
	for (uint32_t i = 0; i < items; i++)
		pl_mp_put_bin(&writer, paper->items[i], 32);
	if (writer.err != PL_OK)
		return writer.err;
	*out_bytes = writer.count;
	return PL_OK;
}

static enum pl_err paper_read(const uint8_t *bytes, size_t count, bool is_secret, struct paper *out)
{
	struct pl_mp_token tokens[PAYLOAD_TOKENS_MAX];
	size_t tokens_count;
	memset(out, 0, sizeof *out);
	enum pl_err err = pl_mp_parse(bytes, count, tokens, PAYLOAD_TOKENS_MAX, &tokens_count);
	if (err != PL_OK)
		return err;
	struct pl_mp_cursor cursor;
	pl_mp_cursor_init(&cursor, tokens, tokens_count);
	uint32_t children = pl_mp_enter_array(&cursor, 4, 6);
	uint64_t version = pl_mp_take_uint(&cursor, UINT32_MAX);
	if (cursor.err == PL_OK && version != KEY_FORMAT)
		return PL_ERR_VERSION;
	size_t role_bytes = 0, comment_bytes = 0;
	const char *role = pl_mp_take_str(&cursor, 16, &role_bytes);
	const char *comment = pl_mp_take_str(&cursor, PL_NAME_BYTES_MAX, &comment_bytes);
	if (cursor.err != PL_OK)
		return cursor.err;
	if (!role_parse(role, role_bytes, &out->role) || children != 3 + paper_items(out->role, is_secret))
		return PL_ERR_FORMAT;
	memcpy(out->comment, comment, comment_bytes);
	out->comment[comment_bytes] = '\0';
	for (uint32_t i = 0; i < children - 3; i++) {
		size_t item_bytes = 0;
		const uint8_t *item = pl_mp_take_bin(&cursor, 32, 32, &item_bytes);
		if (cursor.err == PL_OK)
			memcpy(out->items[i], item, 32);
	}
	return pl_mp_finish(&cursor);
}

/* FILE.key -> FILE.pub; any other name gets .pub behind it. */
static bool public_path(const char *path, char *out, size_t out_max)
{
	size_t count = strlen(path);
	if (count > 4 && strcmp(path + count - 4, ".key") == 0)
		count -= 4;
	int length = snprintf(out, out_max, "%.*s.pub", (int)count, path);
	return length > 0 && (size_t)length < out_max;
}

static void public_of(const struct paper *secret, struct paper *out)
{
	memset(out, 0, sizeof *out);
	out->role = secret->role;
	memcpy(out->comment, secret->comment, sizeof out->comment);
	uint8_t secret_key[PL_SIGN_SECRET_BYTES];
	pl_sign_keypair(secret->items[0], out->items[0], secret_key);
	sodium_memzero(secret_key, sizeof secret_key);
	if (secret->role == PL_KEY_NODE)
		(void)crypto_scalarmult_base(out->items[1], secret->items[1]);
}

static enum pl_err public_write(const char *path, const struct paper *paper, char *why, size_t why_max)
{
	uint8_t bytes[PAYLOAD_BYTES_MAX];
	size_t count;
	enum pl_err err = paper_write(paper, false, bytes, sizeof bytes, &count);
	if (err != PL_OK)
		return fail(why, why_max, err, "%s: cannot be written: %s", path, pl_err_str(err));
	return pl_file_write_new(path, 0644, bytes, count, why, why_max);
}

/* Locked memory that is wiped when freed: what passes through here never reaches swap or a core file. */
static struct paper *paper_new(void)
{
	if (sodium_init() < 0)
		return NULL;
	return sodium_malloc(sizeof(struct paper));
}

static enum pl_err key_new(const char *path, enum pl_key_role role, const char *comment, const char *passphrase,
                           struct pl_keyfile_cost cost, char *why, size_t why_max)
{
	char pub[PATH_BYTES_MAX];
	if (!public_path(path, pub, sizeof pub))
		return fail(why, why_max, PL_ERR_LIMIT, "%.80s…: the path is too long", path);
	if (strlen(comment) > PL_NAME_BYTES_MAX)
		return fail(why, why_max, PL_ERR_LIMIT, "%s: the comment has more than %d bytes", path, PL_NAME_BYTES_MAX);
	if (passphrase[0] == '\0')
		return fail(why, why_max, PL_ERR_REFUSED, "%s: a key needs a passphrase; an empty one protects nothing", path);
	const char *const both[] = { path, pub };
	for (size_t i = 0; i < 2; i++) /* before the costly part, and before either file is there without the other */
		if (access(both[i], F_OK) == 0)
			return fail(why, why_max, PL_ERR_EXISTS, "%s: exists already; keys are never overwritten. Name another file, or move it away", both[i]);

	struct paper *paper = paper_new();
	uint8_t *payload = paper == NULL ? NULL : sodium_malloc(PAYLOAD_BYTES_MAX);
	if (payload == NULL) {
		sodium_free(paper);
		return fail(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
	}
	uint8_t file[PAYLOAD_BYTES_MAX + PL_KEYFILE_OVERHEAD], salt[16], nonce[24];
	size_t payload_bytes;
	paper->role = role;
	memset(paper->comment, 0, sizeof paper->comment);
	memcpy(paper->comment, comment, strlen(comment));
	randombytes_buf(paper->items, sizeof paper->items);
	randombytes_buf(salt, sizeof salt);
	randombytes_buf(nonce, sizeof nonce);

	enum pl_err err = paper_write(paper, true, payload, PAYLOAD_BYTES_MAX, &payload_bytes);
	if (err == PL_OK)
		err = pl_keyfile_seal(cost, passphrase, strlen(passphrase), salt, nonce, payload, payload_bytes, file);
	if (err == PL_ERR_MEMORY)
		err = fail(why, why_max, err, "%s: the passphrase is stretched with %u MiB of memory, which this machine does not give", path,
		           (unsigned)(cost.memory_kib / 1024));
	else if (err != PL_OK)
		err = fail(why, why_max, err, "%s: cannot be sealed: %s", path, pl_err_str(err));
	else
		err = pl_file_write_new(path, 0600, file, payload_bytes + PL_KEYFILE_OVERHEAD, why, why_max);
	if (err == PL_OK) {
		struct paper public_paper;
		public_of(paper, &public_paper);
		err = public_write(pub, &public_paper, why, why_max);
		if (err != PL_OK)
			(void)unlink(path); /* nobody has used it: no key without its public part */
	}
	sodium_free(payload);
	sodium_free(paper);
	return err;
}

enum pl_err pl_key_new_signing(const char *path, enum pl_key_role role, const char *comment, const char *passphrase,
                               struct pl_keyfile_cost cost, char *why, size_t why_max)
{
	if (role == PL_KEY_NODE)
		return fail(why, why_max, PL_ERR_FORMAT, "%s: a node has keys of its own kind", path);
	return key_new(path, role, comment, passphrase, cost, why, why_max);
}

enum pl_err pl_key_new_node(const char *path, const char *comment, const char *passphrase, struct pl_keyfile_cost cost, char *why,
                            size_t why_max)
{
	return key_new(path, PL_KEY_NODE, comment, passphrase, cost, why, why_max);
}

static enum pl_err key_read(const char *path, const char *passphrase, struct paper *out, char *why, size_t why_max)
{
	struct stat st;
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		return fail(why, why_max, PL_ERR_REFUSED, "%s: is a secret that others on this machine may open (mode %03o); chmod 600 %s", path,
		            (unsigned)st.st_mode & 0777, path);
	uint8_t *file, *payload = NULL;
	size_t file_bytes, payload_bytes = 0;
	enum pl_err err = pl_file_read(path, PL_KEYFILE_BYTES_MAX, &file, &file_bytes, why, why_max);
	if (err != PL_OK)
		return err;
	if (file_bytes < PL_KEYFILE_OVERHEAD || memcmp(file, "PLK1", 4) != 0) {
		err = fail(why, why_max, PL_ERR_FORMAT, "%s: is not a key file (parley key new makes one)", path);
		goto out;
	}
	payload = sodium_malloc(file_bytes);
	if (payload == NULL) {
		err = fail(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
		goto out;
	}
	err = pl_keyfile_open(passphrase, strlen(passphrase), file, file_bytes, payload, &payload_bytes);
	if (err == PL_ERR_DECRYPT)
		err = fail(why, why_max, err, "%s: wrong passphrase, or the file is damaged", path);
	else if (err == PL_ERR_MEMORY)
		err = fail(why, why_max, err, "%s: opening it takes more memory than this machine gives", path);
	else if (err != PL_OK)
		err = fail(why, why_max, err, "%s: is not a key file that this version can open: %s", path, pl_err_str(err));
	if (err != PL_OK)
		goto out;
	err = paper_read(payload, payload_bytes, true, out);
	if (err != PL_OK)
		err = fail(why, why_max, err, "%s: opens, but what it holds is not a key of this version: %s", path, pl_err_str(err));
out:
	sodium_free(payload);
	free(file);
	return err;
}

enum pl_err pl_key_read_signing(const char *path, const char *passphrase, struct pl_signing_key *out, char *why, size_t why_max)
{
	struct paper *paper = paper_new();
	if (paper == NULL)
		return fail(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
	enum pl_err err = key_read(path, passphrase, paper, why, why_max);
	if (err == PL_OK && paper->role == PL_KEY_NODE)
		err = fail(why, why_max, PL_ERR_FORMAT, "%s: holds a node's keys; a root, node-role or personnel key is needed", path);
	if (err == PL_OK) {
		out->role = paper->role;
		memcpy(out->comment, paper->comment, sizeof out->comment);
		pl_sign_keypair(paper->items[0], out->public_key, out->secret);
	}
	sodium_free(paper);
	return err;
}

enum pl_err pl_key_read_node(const char *path, const char *passphrase, struct pl_node_keys *out, char *why, size_t why_max)
{
	struct paper *paper = paper_new();
	if (paper == NULL)
		return fail(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
	enum pl_err err = key_read(path, passphrase, paper, why, why_max);
	if (err == PL_OK && paper->role != PL_KEY_NODE)
		err = fail(why, why_max, PL_ERR_FORMAT, "%s: is a %s key; a node's keys are needed", path, pl_key_role_name(paper->role));
	if (err == PL_OK) {
		memcpy(out->comment, paper->comment, sizeof out->comment);
		pl_sign_keypair(paper->items[0], out->node_id, out->sign_secret);
		memcpy(out->noise_secret, paper->items[1], 32);
		(void)crypto_scalarmult_base(out->noise_public, out->noise_secret);
		memcpy(out->store_key, paper->items[2], 32);
	}
	sodium_free(paper);
	return err;
}

static void fill_public(const struct paper *paper, struct pl_public_key *out)
{
	memset(out, 0, sizeof *out);
	out->role = paper->role;
	memcpy(out->comment, paper->comment, sizeof out->comment);
	memcpy(out->public_key, paper->items[0], 32);
	if (paper->role == PL_KEY_NODE)
		memcpy(out->noise_public, paper->items[1], 32);
}

enum pl_err pl_key_public_of(const char *path, const char *passphrase, struct pl_public_key *out, char *why, size_t why_max)
{
	struct paper *paper = paper_new(), public_paper;
	if (paper == NULL)
		return fail(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
	enum pl_err err = key_read(path, passphrase, paper, why, why_max);
	if (err == PL_OK) {
		public_of(paper, &public_paper);
		fill_public(&public_paper, out);
	}
	sodium_free(paper);
	return err;
}

enum pl_err pl_key_write_public(const struct pl_public_key *key, const char *path, char *why, size_t why_max)
{
	struct paper paper = { .role = key->role };
	memcpy(paper.comment, key->comment, sizeof paper.comment);
	memcpy(paper.items[0], key->public_key, 32);
	memcpy(paper.items[1], key->noise_public, 32);
	return public_write(path, &paper, why, why_max);
}

enum pl_err pl_key_parse_public(const char *name, const uint8_t *bytes, size_t count, struct pl_public_key *out, char *why, size_t why_max)
{
	struct paper paper;
	enum pl_err err;
	if (count >= 4 && memcmp(bytes, "PLK1", 4) == 0)
		return fail(why, why_max, PL_ERR_FORMAT, "%s: is a secret key; its public part is needed, the file that ends in .pub", name);
	if ((err = paper_read(bytes, count, false, &paper)) != PL_OK)
		return fail(why, why_max, err, "%s: is not the public part of a key (FILE.pub): %s", name, pl_err_str(err));
	fill_public(&paper, out);
	return PL_OK;
}

enum pl_err pl_key_read_public(const char *path, struct pl_public_key *out, char *why, size_t why_max)
{
	uint8_t *file;
	size_t file_bytes;
	enum pl_err err = pl_file_read(path, PAYLOAD_BYTES_MAX, &file, &file_bytes, why, why_max);
	if (err == PL_ERR_LIMIT)
		return fail(why, why_max, PL_ERR_FORMAT, "%s: is not the public part of a key: it is too long", path);
	if (err != PL_OK)
		return err;
	err = pl_key_parse_public(path, file, file_bytes, out, why, why_max);
	free(file);
	return err;
}

/* --- passphrases --- */

static enum pl_err line_read(int fd, const char *name, char *buffer, size_t buffer_max, char *why, size_t why_max)
{
	size_t count = 0;
	for (;;) {
		char c;
		ssize_t n = read(fd, &c, 1); /* no more than the line: the rest of a pipe is someone else's */
		if (n < 0)
			return fail(why, why_max, errno == EINTR ? PL_ERR_STATE : PL_ERR_IO, "%s: cannot be read: %s", name, strerror(errno));
		if (n == 0 || c == '\n')
			break;
		if (c == '\0')
			return fail(why, why_max, PL_ERR_FORMAT, "%s: a passphrase is text; this has a zero byte", name);
		if (count + 1 >= buffer_max)
			return fail(why, why_max, PL_ERR_LIMIT, "%s: the passphrase has more than %zu bytes", name, buffer_max - 1);
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
	enum pl_err err = open_for_reading(path, &fd, &st, why, why_max);
	if (err != PL_OK)
		return err;
	if (!is_credential(path) && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		err = fail(why, why_max, PL_ERR_REFUSED, "%s: is a passphrase that others on this machine may read (mode %03o); chmod 600 %s", path,
		           (unsigned)st.st_mode & 0777, path);
	else
		err = line_read(fd, path, buffer, buffer_max, why, why_max);
	close(fd);
	if (err == PL_OK && buffer[0] == '\0')
		err = fail(why, why_max, PL_ERR_FORMAT, "%s: its first line is empty; the passphrase stands there", path);
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
		return fail(why, why_max, PL_ERR_IO, "the terminal cannot be asked for a passphrase: %s", strerror(errno));
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
		return fail(why, why_max, PL_ERR_STATE, "interrupted while asking for a passphrase");
	}
	return err;
}

static enum pl_err passphrase_from_terminal(const char *prompt, bool confirm, char *buffer, size_t buffer_max, char *why, size_t why_max)
{
	int tty = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	if (tty < 0)
		return fail(why, why_max, PL_ERR_NO_KEY,
		            "a passphrase is needed, and there is no terminal to ask: put it into a file (mode 600) and name that, "
		            "or set PARLEY_PASSPHRASE");
	enum pl_err err = prompt_once(tty, prompt, buffer, buffer_max, why, why_max);
	if (err == PL_OK && buffer[0] == '\0')
		err = fail(why, why_max, PL_ERR_FORMAT, "%s: an empty passphrase was given", prompt);
	if (err == PL_OK && confirm) {
		char again[PL_PASSPHRASE_BYTES_MAX];
		err = prompt_once(tty, "the same again", again, sizeof again, why, why_max);
		if (err == PL_OK && strcmp(buffer, again) != 0)
			err = fail(why, why_max, PL_ERR_FORMAT, "%s: the two passphrases differ; nothing was done", prompt);
		sodium_memzero(again, sizeof again);
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
		char path[PATH_BYTES_MAX];
		int length = snprintf(path, sizeof path, "%s/passphrase", credentials);
		if (length > 0 && (size_t)length < sizeof path && access(path, F_OK) == 0)
			return passphrase_from_file(path, buffer, passphrase_max, why, why_max);
	}
	const char *variable = getenv("PARLEY_PASSPHRASE");
	if (variable != NULL && variable[0] != '\0') {
		if (strlen(variable) >= passphrase_max)
			return fail(why, why_max, PL_ERR_LIMIT, "PARLEY_PASSPHRASE: has more than %zu bytes", passphrase_max - 1);
		memcpy(buffer, variable, strlen(variable) + 1);
		return PL_OK;
	}
	return passphrase_from_terminal(prompt, confirm != 0, buffer, passphrase_max, why, why_max);
}
