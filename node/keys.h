/* Key files and the public papers made with them: what `parley key`, `parley charter`, `parley init` and parleyd read and write.
 *
 *   FILE.key   a secret under a passphrase (crypto/keyfile.h). Payload, canonical msgpack: [1, role, comment, secrets...]
 *              root, node-role, personnel: [1, "root", comment, seed 32]
 *              node:                       [1, "node", comment, feed seed 32, noise secret 32, store key 32]
 *   FILE.pub   its public part, canonical msgpack: [1, role, comment, keys...] — node: feed public 32, noise public 32
 *   FILE.cert  a node certificate; FILE.sheet a member sheet; FILE.plc a charter (proto/charter.h)
 *
 * Secrets are of mode 0600, and none that others can open is read. No key is ever overwritten.
 */
#ifndef PL_NODE_KEYS_H
#define PL_NODE_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "crypto/keyfile.h"
#include "crypto/sign.h"
#include "node/file.h"
#include "node/passphrase.h"
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

/* path: FILE.key, beside which FILE.pub is written; neither stands without the other when this returns. why gets "FILE: what is wrong;
 * what to do". PL_ERR_UNKNOWN (no such file), PL_ERR_EXISTS, PL_ERR_FORMAT, PL_ERR_VERSION, PL_ERR_DECRYPT (wrong passphrase),
 * PL_ERR_REFUSED (secret file readable by others, empty passphrase), PL_ERR_LIMIT, PL_ERR_MEMORY, PL_ERR_DISK_FULL, PL_ERR_IO. */
PL_MUST_CHECK enum pl_err pl_key_new_signing(const char *path, enum pl_key_role role, const char *comment, const char *passphrase,
                                             struct pl_keyfile_cost cost, char *why, size_t why_max);
/* PL_ERR_REFUSED: others on this machine may open this file. One that is not there passes: reading it says so. */
PL_MUST_CHECK enum pl_err pl_key_check_secret(const char *path, char *why, size_t why_max);
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

#endif
