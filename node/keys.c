#include "node/keys.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "node/file.h"
#include "proto/mp.h"

#define KEY_FORMAT 1
#define SECRETS_MAX 3         /* a node's: feed seed, Noise secret, store key */
#define PAYLOAD_BYTES_MAX 512 /* a role, a comment of PL_NAME_BYTES_MAX and three secrets take 200 */
#define PAYLOAD_TOKENS_MAX 8

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
	memset(out, 0, sizeof(*out));
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
	memset(out, 0, sizeof(*out));
	out->role = secret->role;
	memcpy(out->comment, secret->comment, sizeof(out->comment));
	uint8_t secret_key[PL_SIGN_SECRET_BYTES];
	pl_sign_keypair(secret->items[0], out->items[0], secret_key);
	sodium_memzero(secret_key, sizeof(secret_key));
	if (secret->role == PL_KEY_NODE)
		(void)crypto_scalarmult_base(out->items[1], secret->items[1]);
}

static enum pl_err public_write(const char *path, const struct paper *paper, char *why, size_t why_max)
{
	uint8_t bytes[PAYLOAD_BYTES_MAX];
	size_t count;
	enum pl_err err = paper_write(paper, false, bytes, sizeof(bytes), &count);
	if (err != PL_OK)
		return pl_why(why, why_max, err, "%s: cannot be written: %s", path, pl_err_str(err));
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
	char pub[PL_FILE_PATH_BYTES_MAX];
	if (!public_path(path, pub, sizeof(pub)))
		return pl_why(why, why_max, PL_ERR_LIMIT, "%.80s…: the path is too long", path);
	if (strlen(comment) > PL_NAME_BYTES_MAX)
		return pl_why(why, why_max, PL_ERR_LIMIT, "%s: the comment has more than %d bytes", path, PL_NAME_BYTES_MAX);
	if (passphrase[0] == '\0')
		return pl_why(why, why_max, PL_ERR_REFUSED, "%s: a key needs a passphrase; an empty one protects nothing", path);
	const char *const both[] = { path, pub };
	for (size_t i = 0; i < 2; i++) /* before the costly part, and before either file is there without the other */
		if (access(both[i], F_OK) == 0)
			return pl_why(why, why_max, PL_ERR_EXISTS, "%s: exists already; keys are never overwritten. Name another file, or move it away",
			              both[i]);

	struct paper *paper = paper_new();
	uint8_t *payload = paper == NULL ? NULL : sodium_malloc(PAYLOAD_BYTES_MAX);
	if (payload == NULL) {
		sodium_free(paper);
		return pl_why(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
	}
	uint8_t file[PAYLOAD_BYTES_MAX + PL_KEYFILE_OVERHEAD], salt[16], nonce[24];
	size_t payload_bytes;
	paper->role = role;
	memset(paper->comment, 0, sizeof(paper->comment));
	memcpy(paper->comment, comment, strlen(comment));
	randombytes_buf(paper->items, sizeof(paper->items));
	randombytes_buf(salt, sizeof(salt));
	randombytes_buf(nonce, sizeof(nonce));

	enum pl_err err = paper_write(paper, true, payload, PAYLOAD_BYTES_MAX, &payload_bytes);
	if (err == PL_OK)
		err = pl_keyfile_seal(cost, passphrase, strlen(passphrase), salt, nonce, payload, payload_bytes, file);
	if (err == PL_ERR_MEMORY)
		err = pl_why(why, why_max, err, "%s: the passphrase is stretched with %u MiB of memory, which this machine does not give", path,
		           (unsigned)(cost.memory_kib / 1024));
	else if (err != PL_OK)
		err = pl_why(why, why_max, err, "%s: cannot be sealed: %s", path, pl_err_str(err));
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
		return pl_why(why, why_max, PL_ERR_FORMAT, "%s: a node has keys of its own kind", path);
	return key_new(path, role, comment, passphrase, cost, why, why_max);
}

enum pl_err pl_key_new_node(const char *path, const char *comment, const char *passphrase, struct pl_keyfile_cost cost, char *why,
                            size_t why_max)
{
	return key_new(path, PL_KEY_NODE, comment, passphrase, cost, why, why_max);
}

enum pl_err pl_key_check_secret(const char *path, char *why, size_t why_max)
{
	struct stat st;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 077) != 0)
		return pl_why(why, why_max, PL_ERR_REFUSED, "%s: is a secret that others on this machine may open (mode %03o); chmod 600 %s", path,
		            (unsigned)st.st_mode & 0777, path);
	return PL_OK;
}

static enum pl_err key_read(const char *path, const char *passphrase, struct paper *out, char *why, size_t why_max)
{
	uint8_t *file, *payload = NULL;
	size_t file_bytes, payload_bytes = 0;
	enum pl_err err = pl_file_read(path, PL_KEYFILE_BYTES_MAX, &file, &file_bytes, why, why_max);
	if (err != PL_OK)
		return err;
	if (file_bytes < PL_KEYFILE_OVERHEAD || memcmp(file, "PLK1", 4) != 0) {
		err = pl_why(why, why_max, PL_ERR_FORMAT, "%s: is not a key file (parley key new makes one)", path);
		goto out;
	}
	err = pl_key_check_secret(path, why, why_max); /* only now: a file that is no secret needs no other mode */
	if (err != PL_OK)
		goto out;
	payload = sodium_malloc(file_bytes);
	if (payload == NULL) {
		err = pl_why(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
		goto out;
	}
	err = pl_keyfile_open(passphrase, strlen(passphrase), file, file_bytes, payload, &payload_bytes);
	if (err == PL_ERR_DECRYPT)
		err = pl_why(why, why_max, err, "%s: wrong passphrase, or the file is damaged", path);
	else if (err == PL_ERR_MEMORY)
		err = pl_why(why, why_max, err, "%s: opening it takes more memory than this machine gives", path);
	else if (err != PL_OK)
		err = pl_why(why, why_max, err, "%s: is not a key file that this version can open: %s", path, pl_err_str(err));
	if (err != PL_OK)
		goto out;
	err = paper_read(payload, payload_bytes, true, out);
	if (err != PL_OK)
		err = pl_why(why, why_max, err, "%s: opens, but what it holds is not a key of this version: %s", path, pl_err_str(err));
out:
	sodium_free(payload);
	free(file);
	return err;
}

enum pl_err pl_key_read_signing(const char *path, const char *passphrase, struct pl_signing_key *out, char *why, size_t why_max)
{
	struct paper *paper = paper_new();
	if (paper == NULL)
		return pl_why(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
	enum pl_err err = key_read(path, passphrase, paper, why, why_max);
	if (err == PL_OK && paper->role == PL_KEY_NODE)
		err = pl_why(why, why_max, PL_ERR_FORMAT, "%s: holds a node's keys; a root, node-role or personnel key is needed", path);
	if (err == PL_OK) {
		out->role = paper->role;
		memcpy(out->comment, paper->comment, sizeof(out->comment));
		pl_sign_keypair(paper->items[0], out->public_key, out->secret);
	}
	sodium_free(paper);
	return err;
}

enum pl_err pl_key_read_node(const char *path, const char *passphrase, struct pl_node_keys *out, char *why, size_t why_max)
{
	struct paper *paper = paper_new();
	if (paper == NULL)
		return pl_why(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
	enum pl_err err = key_read(path, passphrase, paper, why, why_max);
	if (err == PL_OK && paper->role != PL_KEY_NODE)
		err = pl_why(why, why_max, PL_ERR_FORMAT, "%s: is a %s key; a node's keys are needed", path, pl_key_role_name(paper->role));
	if (err == PL_OK) {
		memcpy(out->comment, paper->comment, sizeof(out->comment));
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
	memset(out, 0, sizeof(*out));
	out->role = paper->role;
	memcpy(out->comment, paper->comment, sizeof(out->comment));
	memcpy(out->public_key, paper->items[0], 32);
	if (paper->role == PL_KEY_NODE)
		memcpy(out->noise_public, paper->items[1], 32);
}

enum pl_err pl_key_public_of(const char *path, const char *passphrase, struct pl_public_key *out, char *why, size_t why_max)
{
	struct paper *paper = paper_new(), public_paper;
	if (paper == NULL)
		return pl_why(why, why_max, PL_ERR_MEMORY, "%s: no locked memory for a key; raise the limit (ulimit -l)", path);
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
	memcpy(paper.comment, key->comment, sizeof(paper.comment));
	memcpy(paper.items[0], key->public_key, 32);
	memcpy(paper.items[1], key->noise_public, 32);
	return public_write(path, &paper, why, why_max);
}

enum pl_err pl_key_parse_public(const char *name, const uint8_t *bytes, size_t count, struct pl_public_key *out, char *why, size_t why_max)
{
	struct paper paper;
	enum pl_err err;
	if (count >= 4 && memcmp(bytes, "PLK1", 4) == 0)
		return pl_why(why, why_max, PL_ERR_FORMAT, "%s: is a secret key; its public part is needed, the file that ends in .pub", name);
	if ((err = paper_read(bytes, count, false, &paper)) != PL_OK)
		return pl_why(why, why_max, err, "%s: is not the public part of a key (FILE.pub): %s", name, pl_err_str(err));
	fill_public(&paper, out);
	return PL_OK;
}

enum pl_err pl_key_read_public(const char *path, struct pl_public_key *out, char *why, size_t why_max)
{
	uint8_t *file;
	size_t file_bytes;
	enum pl_err err = pl_file_read(path, PAYLOAD_BYTES_MAX, &file, &file_bytes, why, why_max);
	if (err == PL_ERR_LIMIT)
		return pl_why(why, why_max, PL_ERR_FORMAT, "%s: is not the public part of a key: it is too long", path);
	if (err != PL_OK)
		return err;
	err = pl_key_parse_public(path, file, file_bytes, out, why, why_max);
	free(file);
	return err;
}
