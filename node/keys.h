/* Key files and the public papers made with them: what `parley key`, `parley charter`, `parley init` and parleyd read and write.
 *
 *   FILE.key   a secret under a passphrase (crypto/keyfile.h). Payload, canonical msgpack: [1, role, comment, secrets...]
 *              root, node-role, personnel: [1, "root", comment, seed 32]
 *              node:                       [1, "node", comment, feed seed 32, noise secret 32, store key 32]
 *   FILE.pub   its public part, canonical msgpack: [1, role, comment, keys...] — node: feed public 32, noise public 32
 *   FILE.cert  a node certificate; FILE.sheet a member sheet; FILE.plc a charter (proto/charter.h)
 *
 * Files are written whole or not at all (temporary name, fsync, rename, fsync of the folder), never over an existing one; secrets 0600.
 */
#ifndef PL_NODE_KEYS_H
#define PL_NODE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "crypto/keyfile.h"
#include "crypto/sign.h"
#include "proto/limits.h"

enum pl_key_role { PL_KEY_ROOT = 1, PL_KEY_NODE_ROLE = 2, PL_KEY_PERSONNEL = 3, PL_KEY_NODE = 4 };
const char *pl_key_role_name(enum pl_key_role role); /* "root", "node-role", "personnel", "node" */

/* A signing key of any role but node. */
struct pl_signing_key {
	enum pl_key_role role;
	char comment[PL_NAME_BYTES_MAX + 1];
	uint8_t public_key[PL_SIGN_PUBLIC_BYTES];
	uint8_t secret[PL_SIGN_SECRET_BYTES];
};

/* A node's keys; keep it in sodium_malloc memory. */
struct pl_node_keys {
	char comment[PL_NAME_BYTES_MAX + 1];
	uint8_t node_id[PL_NODE_ID_BYTES];
	uint8_t sign_secret[PL_SIGN_SECRET_BYTES];
	uint8_t noise_public[32], noise_secret[32];
	uint8_t store_key[32]; /* seals columns of the store */
};

#define PL_PASSPHRASE_BYTES_MAX 1024 /* with its NUL */

/* path: FILE.key, beside which FILE.pub is written; neither stands without the other when this returns. why gets "FILE: what is wrong;
 * what to do". PL_ERR_UNKNOWN (no such file), PL_ERR_EXISTS, PL_ERR_FORMAT, PL_ERR_VERSION, PL_ERR_DECRYPT (wrong passphrase),
 * PL_ERR_REFUSED (secret file readable by others, empty passphrase), PL_ERR_LIMIT, PL_ERR_MEMORY, PL_ERR_DISK_FULL, PL_ERR_IO. */
PL_MUST_CHECK enum pl_err pl_key_new_signing(const char *path, enum pl_key_role role, const char *comment, const char *passphrase,
                                             struct pl_keyfile_cost cost, char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_key_new_node(const char *path, const char *comment, const char *passphrase, struct pl_keyfile_cost cost,
                                          char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_key_read_signing(const char *path, const char *passphrase, struct pl_signing_key *out, char *why,
                                              size_t why_max);
PL_MUST_CHECK enum pl_err pl_key_read_node(const char *path, const char *passphrase, struct pl_node_keys *out, char *why, size_t why_max);

struct pl_public_key {
	enum pl_key_role role;
	char comment[PL_NAME_BYTES_MAX + 1];
	uint8_t public_key[32];
	uint8_t noise_public[32]; /* node only */
};
PL_MUST_CHECK enum pl_err pl_key_read_public(const char *path, struct pl_public_key *out, char *why, size_t why_max);
/* The same of bytes; name stands for the file in why. */
PL_MUST_CHECK enum pl_err pl_key_parse_public(const char *name, const uint8_t *bytes, size_t count, struct pl_public_key *out, char *why,
                                              size_t why_max);

/* The public part of a key file, and that as a file again, where it was lost. */
PL_MUST_CHECK enum pl_err pl_key_public_of(const char *path, const char *passphrase, struct pl_public_key *out, char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_key_write_public(const struct pl_public_key *key, const char *path, char *why, size_t why_max);

/* Whole files. Reading refuses more than bytes_max (PL_ERR_LIMIT). *out is malloc'd. */
PL_MUST_CHECK enum pl_err pl_file_read(const char *path, size_t bytes_max, uint8_t **out, size_t *count, char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_file_write_new(const char *path, unsigned mode, const uint8_t *bytes, size_t count, char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_file_replace(const char *path, unsigned mode, const uint8_t *bytes, size_t count, char *why, size_t why_max);

/* The same piece by piece: begin, append as often as needed, then commit or abandon; after a failed append abandon, after a failed commit
 * nothing. */
#define PL_FILE_PATH_BYTES_MAX 4096
struct pl_file {
	int fd;
	bool is_new; /* false: replaces what stands there */
	char path[PL_FILE_PATH_BYTES_MAX], temporary[PL_FILE_PATH_BYTES_MAX];
};
PL_MUST_CHECK enum pl_err pl_file_begin(const char *path, bool is_new, struct pl_file *out, char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_file_append(struct pl_file *file, const void *bytes, size_t count, char *why, size_t why_max);
PL_MUST_CHECK enum pl_err pl_file_commit(struct pl_file *file, unsigned mode, char *why, size_t why_max);
void pl_file_abandon(struct pl_file *file);

/* From a file's first line, the systemd credential "passphrase", $PARLEY_PASSPHRASE, or the terminal without echo (twice if confirm).
 * prompt: "passphrase of FILE"; a colon is put behind it. buffer of passphrase_max, wiped by the caller. PL_ERR_NO_KEY: nothing is set and
 * there is no terminal. */
PL_MUST_CHECK enum pl_err pl_passphrase_get(const char *file, const char *prompt, int confirm, char *buffer, size_t passphrase_max,
                                            char *why, size_t why_max);

#endif
