/* What the commands on keys, sheets and charters share: reading such a file, showing it, and its JSON.
 *
 * JSON of a member, in `key show FILE.sheet` and `charter show`:
 *   {"code", "name", "role", "root": {"threshold", "keys": [hex]}, "node_role": {…},
 *    "nodes": [{"name", "label", "id", "noise_key", "generation", "address", "valid_from", "valid_until"}]}
 */
#ifndef PL_NODE_CLI_PAPERS_H
#define PL_NODE_CLI_PAPERS_H

#include "node/cli/cli.h"
#include "node/keys.h"
#include "proto/charter.h"

#define PL_WHY_BYTES (PL_FILE_PATH_BYTES_MAX + 512)
/* --passphrase-file, as an entry of the table of every command that opens a key. */
#define PL_OPTION_PASSPHRASE_FILE \
	{ .name = "passphrase-file", .value = PL_VALUE_FILE, .value_name = "FILE", .repeats = true, \
	  .help = "file whose first line is the passphrase (mode 600), of a new key 8 characters or more; of several keys, in their order, the last one for all the rest" }
#define PL_OPTION_COST \
	{ .name = "cost", .value = PL_VALUE_CHOICE, .value_name = "COST", .choices = "root|node|small", \
	  .help = "what a guess at the passphrase costs: 1 GiB, 256 MiB or 64 MiB of memory" }

struct pl_keyfile_cost pl_paper_cost(const struct pl_args *args, struct pl_keyfile_cost otherwise);
/* "fin/node.key" -> "fin/node.pub", as node/keys.h has it. */
char *pl_paper_public_path(const char *key_path);
/* Refuses what cannot be a name in a charter: empty, over PL_NAME_BYTES_MAX, with control characters. what: "comment". */
enum pl_exit pl_paper_check_name(const struct pl_cli *cli, const char *what, const char *name);
enum pl_exit pl_paper_check_code(const struct pl_cli *cli, const char *code);

/* A file whole, kept as long as the process. */
enum pl_exit pl_paper_read(const struct pl_cli *cli, const char *path, size_t bytes_max, struct pl_bytes *out);
/* What a file is that is not what was asked for: "a charter", "a secret key"; NULL where that cannot be told. */
const char *pl_paper_kind(const struct pl_bytes *bytes);
/* A charter file; signed_by may be NULL to demand every signature. */
enum pl_exit pl_paper_read_charter(const struct pl_cli *cli, const char *path, struct pl_bytes *bytes, struct pl_charter **out,
                                   bool signed_by[PL_MEMBERS_MAX]);
/* "FIN, SGP": the members that have signed, or those that have not, with what they have of it: "CHE (1 of 2 root keys), SGP". */
char *pl_paper_codes(const struct pl_charter *charter, const bool signed_by[PL_MEMBERS_MAX], bool wanted);

/* signed_keys: a bit for each root key that has signed the sheet; for all of them pass 0xff. */
void pl_paper_print_member(const struct pl_member *member, const struct pl_charter_node *nodes, uint8_t signed_keys);
json_t *pl_paper_member_json(const struct pl_member *member, const struct pl_charter_node *nodes);

/* `indicator import`, in a file of its own. */
extern const struct pl_option pl_import_options[];
enum pl_exit pl_run_import(struct pl_cli *cli, const struct pl_args *args);

/* `key certify`, in a file of its own. */
extern const struct pl_option pl_certify_options[];
enum pl_exit pl_run_certify(struct pl_cli *cli, const struct pl_args *args);
enum pl_exit pl_show_sheet(const struct pl_cli *cli, const char *path, const struct pl_member *member, const struct pl_charter_node *nodes,
                           uint8_t signed_keys);
void pl_show_certificate(const struct pl_cli *cli, const struct pl_certificate *certificate, const char *code);

#endif
