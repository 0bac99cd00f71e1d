#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/labels.h"
#include "node/cli/papers.h"
#include "proto/text.h"

#define DAYS_MAX 366
#define DAYS 365
#define DAY_MS 86400000ULL

/* --- new --- */

static enum pl_exit run_new(struct pl_cli *cli, const struct pl_args *args)
{
	const char *path = pl_args_get(args, "out"), *role_name = pl_args_get(args, "role"), *comment = pl_args_get(args, "comment");
	enum pl_key_role role = PL_KEY_ROOT;
	while (strcmp(pl_key_role_name(role), role_name) != 0)
		role++;
	struct pl_keyfile_cost cost = pl_paper_cost(args, role == PL_KEY_NODE ? PL_KEYFILE_COST_NODE : PL_KEYFILE_COST_ROOT);
	char why[PL_WHY_BYTES], *passphrase;
	enum pl_exit exit = comment == NULL ? PL_EXIT_OK : pl_paper_check_name(cli, "comment", comment);
	if (exit == PL_EXIT_OK)
		exit = pl_ask_passphrase(cli, args, 0, path, true, &passphrase);
	if (exit != PL_EXIT_OK)
		return exit;
	comment = comment == NULL ? "" : comment;
	enum pl_err err = role == PL_KEY_NODE ? pl_key_new_node(path, comment, passphrase, cost, why, sizeof why)
	                                      : pl_key_new_signing(path, role, comment, passphrase, cost, why, sizeof why);
	pl_forget(passphrase);
	struct pl_public_key public_key;
	const char *pub = pl_paper_public_path(path);
	if (err == PL_OK)
		err = pl_key_read_public(pub, &public_key, why, sizeof why);
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	if (cli->json) {
		pl_out_json(json_pack("{s:s, s:s, s:s, s:s, s:s}", "role", role_name, "comment", comment, "key", path, "pub", pub, "public_key",
		                      pl_hex(public_key.public_key, 32)));
	} else if (!cli->quiet) {
		pl_out_field("secret", "%s (%s key; keep it and its passphrase apart)", path, role_name);
		pl_out_field("public", "%s", pub);
		pl_out_field("key", "%s", pl_hex_groups(public_key.public_key, 32));
	}
	return PL_EXIT_OK;
}

/* --- show --- */

static void show_public(const struct pl_cli *cli, const char *path, const struct pl_public_key *key)
{
	bool is_node = key->role == PL_KEY_NODE;
	if (cli->json) {
		json_t *document = json_pack("{s:s, s:s, s:s, s:s}", "file", path, "role", pl_key_role_name(key->role), "comment", key->comment,
		                             "public_key", pl_hex(key->public_key, 32));
		if (is_node)
			json_object_set_new(document, "noise_key", json_string(pl_hex(key->noise_public, 32)));
		pl_out_json(document);
		return;
	}
	pl_out_field("role", "%s", pl_key_role_name(key->role));
	if (key->comment[0] != '\0')
		pl_out_field("comment", "%s", key->comment);
	pl_out_field(is_node ? "node id" : "key", "%s", pl_hex_groups(key->public_key, 32));
	if (is_node)
		pl_out_field("noise key", "%s", pl_hex_groups(key->noise_public, 32));
}

static enum pl_exit show_secret(const struct pl_cli *cli, const struct pl_args *args, const char *path)
{
	char why[PL_WHY_BYTES], *passphrase;
	enum pl_exit exit = pl_ask_passphrase(cli, args, 0, path, false, &passphrase);
	if (exit != PL_EXIT_OK)
		return exit;
	const char *pub = pl_args_get(args, "pub");
	struct pl_public_key key;
	enum pl_err err = pl_key_public_of(path, passphrase, &key, why, sizeof why);
	if (err == PL_OK && pub != NULL)
		err = pl_key_write_public(&key, pub, why, sizeof why);
	pl_forget(passphrase);
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	show_public(cli, path, &key);
	return PL_EXIT_OK;
}

static enum pl_exit show_sheet(const struct pl_cli *cli, const char *path, const struct pl_member *member,
                               const struct pl_charter_node *nodes, uint8_t signed_keys)
{
	unsigned have = (unsigned)__builtin_popcount(signed_keys);
	if (cli->json) {
		json_t *document = pl_paper_member_json(member, nodes), *keys = json_array();
		for (uint8_t i = 0; i < member->root.count; i++)
			if ((signed_keys >> i & 1) != 0)
				json_array_append_new(keys, json_string(pl_hex(member->root.keys[i], 32)));
		json_object_set_new(document, "signed_by", keys);
		json_object_set_new(document, "complete", json_boolean(have >= member->root.threshold));
		pl_out_json(document);
		return PL_EXIT_OK;
	}
	pl_paper_print_member(member, nodes, signed_keys);
	if (have < member->root.threshold)
		pl_note(cli, "%s is signed by %u of the %u root keys that it needs; complete it with `parley key certify --add-signature`", path, have,
		        (unsigned)member->root.threshold);
	return PL_EXIT_OK;
}

static enum pl_exit run_show(struct pl_cli *cli, const struct pl_args *args)
{
	const char *path = pl_args_operand(args, 0);
	struct pl_bytes bytes;
	enum pl_exit exit = pl_paper_read(cli, path, PL_CHARTER_BYTES_MAX, &bytes);
	if (exit != PL_EXIT_OK)
		return exit;
	if (bytes.count >= 4 && memcmp(bytes.bytes, "PLK1", 4) == 0)
		return show_secret(cli, args, path);
	struct pl_public_key key;
	char why[PL_WHY_BYTES];
	if (pl_key_read_public(path, &key, why, sizeof why) == PL_OK) {
		show_public(cli, path, &key);
		return PL_EXIT_OK;
	}
	struct pl_member member;
	struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	uint8_t signed_keys;
	enum pl_err err = pl_sheet_read_unsigned(bytes.bytes, bytes.count, &member, nodes, &signed_keys);
	if (err == PL_OK)
		return show_sheet(cli, path, &member, nodes, signed_keys);
	if (err == PL_ERR_SIGNATURE)
		return pl_error(cli, PL_EXIT_UNVERIFIED, NULL, "%s: is a sheet of which a signature does not verify: it was changed", path);
	return pl_error(cli, PL_EXIT_INPUT, "`parley charter show` shows charters",
	                "%s: is neither a key, nor its public part, nor a member's sheet", path);
}

/* --- certify --- */

/* The keys of one role: those in hand, which sign, and those that are only named. */
struct signers {
	struct pl_key_set set;
	struct pl_signing_key *keys; /* in locked memory; PL_KEYS_PER_ROLE_MAX of them */
	uint8_t at[PL_KEYS_PER_ROLE_MAX]; /* their place in the set */
	uint8_t count;
};

static enum pl_exit signers_init(const struct pl_cli *cli, struct signers *signers)
{
	memset(signers, 0, sizeof *signers);
	signers->keys = sodium_allocarray(PL_KEYS_PER_ROLE_MAX, sizeof *signers->keys);
	if (signers->keys == NULL)
		return pl_error(cli, PL_EXIT_FAILED, "raise the limit (ulimit -l)", "no locked memory for keys");
	return PL_EXIT_OK;
}

static enum pl_exit add_to_set(const struct pl_cli *cli, struct signers *signers, const char *path, const uint8_t *public_key)
{
	for (uint8_t i = 0; i < signers->set.count; i++)
		if (memcmp(signers->set.keys[i], public_key, 32) == 0)
			return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: this key is given twice", path);
	if (signers->set.count == PL_KEYS_PER_ROLE_MAX)
		return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: a role has at most %d keys", path, PL_KEYS_PER_ROLE_MAX);
	memcpy(signers->set.keys[signers->set.count++], public_key, 32);
	return PL_EXIT_OK;
}

static enum pl_exit read_signer(const struct pl_cli *cli, const struct pl_args *args, const char *path, enum pl_key_role role, size_t index,
                                struct pl_signing_key *out)
{
	char why[PL_WHY_BYTES], *passphrase;
	enum pl_exit exit = pl_ask_passphrase(cli, args, index, path, false, &passphrase);
	if (exit != PL_EXIT_OK)
		return exit;
	enum pl_err err = pl_key_read_signing(path, passphrase, out, why, sizeof why);
	pl_forget(passphrase);
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	if (out->role != role)
		return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is a %s key; a %s key is needed here", path, pl_key_role_name(out->role),
		                pl_key_role_name(role));
	return PL_EXIT_OK;
}

/* Reads the keys of --OPTION and the public parts of --OPTION-pub. *passphrase_index counts the keys that have been asked for. */
static enum pl_exit read_signers(const struct pl_cli *cli, const struct pl_args *args, const char *option, enum pl_key_role role,
                                 size_t *passphrase_index, struct signers *out)
{
	const char *path;
	char why[PL_WHY_BYTES];
	enum pl_exit exit = signers_init(cli, out);
	for (size_t at = 0; exit == PL_EXIT_OK && (path = pl_args_each(args, option, &at)) != NULL;) {
		struct pl_signing_key *key = &out->keys[out->count];
		if (out->count == PL_KEYS_PER_ROLE_MAX)
			return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: a role has at most %d keys", path, PL_KEYS_PER_ROLE_MAX);
		exit = read_signer(cli, args, path, role, (*passphrase_index)++, key);
		if (exit != PL_EXIT_OK)
			return exit;
		out->at[out->count++] = out->set.count;
		exit = add_to_set(cli, out, path, key->public_key);
	}
	for (size_t at = 0; exit == PL_EXIT_OK && (path = pl_args_each(args, pl_format("%s-pub", option), &at)) != NULL;) {
		struct pl_public_key key;
		enum pl_err err = pl_key_read_public(path, &key, why, sizeof why);
		if (err != PL_OK)
			return pl_file_error(cli, err, why);
		if (key.role != role)
			return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is of a %s key; a %s key is needed here", path, pl_key_role_name(key.role),
			                pl_key_role_name(role));
		exit = add_to_set(cli, out, path, key.public_key);
	}
	return exit;
}

static enum pl_exit set_threshold(const struct pl_cli *cli, const struct pl_args *args, const char *option, struct signers *signers)
{
	if (signers->set.count > 1 && !pl_args_has(args, option))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "with %u keys, --%s N says how many of them have to sign", (unsigned)signers->set.count,
		                option);
	signers->set.threshold = (uint8_t)pl_args_number(args, option, 1);
	if (signers->set.threshold > signers->set.count)
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--%s %u is more than the %u keys that are given", option, (unsigned)signers->set.threshold,
		                (unsigned)signers->set.count);
	return PL_EXIT_OK;
}

static enum pl_exit sign_document(const struct pl_cli *cli, const char *what, const char *label, size_t label_bytes,
                                  const struct signers *signers, struct pl_bytes *document)
{
	for (uint8_t i = 0; i < signers->count; i++) {
		size_t room = document->count + PL_SIGN_BYTES + 16, count;
		uint8_t *out = pl_alloc(room);
		enum pl_err err = pl_document_sign(label, label_bytes, document->bytes, document->count, signers->at[i], signers->keys[i].secret, out,
		                                   room, &count);
		if (err != PL_OK)
			return pl_error(cli, pl_exit_of(err), NULL, "%s cannot be signed: %s", what, pl_err_str(err));
		*document = (struct pl_bytes){ out, count };
	}
	return PL_EXIT_OK;
}

/* "fin/node.pub,192.0.2.7:7100": the address is what follows the last comma, if it is one. */
static enum pl_exit read_node(const struct pl_cli *cli, const struct pl_args *args, const char *given, size_t index, const char *code,
                              struct pl_certificate *out)
{
	const char *comma = strrchr(given, ','), *address = "";
	char *path = pl_format("%s", given), why[PL_WHY_BYTES];
	if (comma != NULL) {
		address = comma + 1;
		path = pl_format("%.*s", (int)(comma - given), given);
		if (!pl_address_is_valid(address, strlen(address)))
			return pl_error(cli, PL_EXIT_INPUT, "--node FILE.pub,HOST:PORT or --node FILE.pub,[IPv6]:PORT, in lower case",
			                "\"%s\" is not an address to dial", address);
	}
	struct pl_public_key key;
	enum pl_err err = pl_key_read_public(path, &key, why, sizeof why);
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	if (key.role != PL_KEY_NODE)
		return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is of a %s key; a node's is needed here", path, pl_key_role_name(key.role));
	int64_t now = pl_now_ms();
	uint64_t days = pl_args_number(args, "days", DAYS);
	const char *label = key.comment[0] != '\0' ? key.comment : pl_format("%s-%zu", code, index + 1);
	memset(out, 0, sizeof *out);
	memcpy(out->label, label, strlen(label));
	memcpy(out->node_id, key.public_key, PL_NODE_ID_BYTES);
	memcpy(out->noise_public, key.noise_public, 32);
	memcpy(out->address, address, strlen(address));
	out->generation = (uint32_t)pl_args_number(args, "generation", 1);
	out->valid_from_ms = (uint64_t)now - PL_HANDSHAKE_SKEW_MS_MAX; /* a member whose clock is behind takes it too */
	out->valid_until_ms = (uint64_t)now + days * DAY_MS;
	return PL_EXIT_OK;
}

static enum pl_exit report_sheet(const struct pl_cli *cli, const char *path, const struct pl_bytes *sheet)
{
	struct pl_member member;
	struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	uint8_t signed_keys;
	enum pl_err err = pl_sheet_read_unsigned(sheet->bytes, sheet->count, &member, nodes, &signed_keys);
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "%s: the sheet that was made does not hold: %s", path, pl_err_str(err));
	if (cli->quiet && !cli->json)
		return PL_EXIT_OK;
	return show_sheet(cli, path, &member, nodes, signed_keys);
}

/* --add-signature: one more root key signs a sheet that was made elsewhere. */
static enum pl_exit add_signatures(const struct pl_cli *cli, const struct pl_args *args, const char *path)
{
	static const char *const others[] = { "state", "name", "role", "node", "node-role", "node-role-pub", "root-pub", "threshold",
		"node-role-threshold", "days", "generation", "out" };
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (pl_args_has(args, others[i]))
			return pl_error(cli, PL_EXIT_USAGE, NULL, "--add-signature signs a sheet as it stands; --%s cannot change it", others[i]);
	struct pl_bytes sheet;
	struct pl_member member;
	struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	uint8_t signed_keys;
	enum pl_exit exit = pl_paper_read(cli, path, PL_CHARTER_BYTES_MAX, &sheet);
	if (exit != PL_EXIT_OK)
		return exit;
	enum pl_err err = pl_sheet_read_unsigned(sheet.bytes, sheet.count, &member, nodes, &signed_keys);
	if (err == PL_ERR_SIGNATURE)
		return pl_error(cli, PL_EXIT_UNVERIFIED, NULL, "%s: a signature in it does not verify: the sheet was changed", path);
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "%s: is not a member's sheet: %s", path, pl_err_str(err));
	struct signers signers;
	size_t passphrase_index = 0;
	exit = read_signers(cli, args, "root", PL_KEY_ROOT, &passphrase_index, &signers);
	for (uint8_t i = 0; exit == PL_EXIT_OK && i < signers.count; i++) {
		uint8_t k = 0;
		while (k < member.root.count && memcmp(member.root.keys[k], signers.keys[i].public_key, 32) != 0)
			k++;
		if (k == member.root.count)
			exit = pl_error(cli, PL_EXIT_REFUSED, pl_format("`parley key show %s` lists its root keys", path),
			                "%s: is the sheet of %s (%s), and the key given is not among its root keys", path, member.code, member.name);
		else if ((signed_keys >> k & 1) != 0)
			exit = pl_error(cli, PL_EXIT_REFUSED, NULL, "%s: this key has signed it already", path);
		signers.at[i] = k;
	}
	if (exit == PL_EXIT_OK)
		exit = sign_document(cli, "the sheet", PL_LABEL_MEMBER, sizeof(PL_LABEL_MEMBER), &signers, &sheet);
	sodium_free(signers.keys);
	char why[PL_WHY_BYTES];
	if (exit != PL_EXIT_OK)
		return exit;
	err = pl_file_replace(path, 0644, sheet.bytes, sheet.count, why, sizeof why);
	return err != PL_OK ? pl_file_error(cli, err, why) : report_sheet(cli, path, &sheet);
}

static enum pl_exit make_certificates(const struct pl_cli *cli, const struct pl_args *args, const char *code, const struct signers *signers,
                                      struct pl_bytes *out, size_t *out_count)
{
	const char *given;
	size_t count = 0;
	for (size_t at = 0; (given = pl_args_each(args, "node", &at)) != NULL; count++) {
		if (count == PL_NODES_PER_MEMBER_MAX)
			return pl_error(cli, PL_EXIT_INPUT, NULL, "a member has at most %d nodes", PL_NODES_PER_MEMBER_MAX);
		struct pl_certificate certificate;
		enum pl_exit exit = read_node(cli, args, given, count, code, &certificate);
		if (exit != PL_EXIT_OK)
			return exit;
		uint8_t *bytes = pl_alloc(PL_CERTIFICATE_BYTES_MAX);
		size_t bytes_count;
		enum pl_err err = pl_certificate_make(&certificate, code, bytes, PL_CERTIFICATE_BYTES_MAX, &bytes_count);
		if (err != PL_OK)
			return pl_error(cli, pl_exit_of(err), NULL, "--node %s: no certificate can be made of it: %s", given, pl_err_str(err));
		out[count] = (struct pl_bytes){ bytes, bytes_count };
		exit = sign_document(cli, "the certificate", PL_LABEL_CERTIFICATE, sizeof(PL_LABEL_CERTIFICATE), signers, &out[count]);
		if (exit != PL_EXIT_OK)
			return exit;
	}
	*out_count = count;
	return PL_EXIT_OK;
}

static enum pl_exit make_sheet(const struct pl_cli *cli, const struct pl_args *args, const struct signers *root,
                               const struct signers *node_role, struct pl_bytes *out)
{
	static const char *const roles[] = { "state", "observer", "arbiter", "auditor" };
	const char *code = pl_args_get(args, "state"), *name = pl_args_get(args, "name"), *role = pl_args_get(args, "role");
	if (node_role->count < node_role->set.threshold)
		return pl_error(cli, PL_EXIT_REFUSED, "give more of them with --node-role FILE.key (or --root, where the root keys act as node role)",
		                "%u node-role keys have to sign the certificates, and %u are at hand", (unsigned)node_role->set.threshold,
		                (unsigned)node_role->count);
	struct pl_bytes certificates[PL_NODES_PER_MEMBER_MAX];
	size_t certificates_count = 0;
	enum pl_exit exit = make_certificates(cli, args, code, node_role, certificates, &certificates_count);
	if (exit != PL_EXIT_OK)
		return exit;
	struct pl_member member = { .root = root->set, .node_role = node_role->set, .nodes_count = (uint8_t)certificates_count };
	memcpy(member.code, code, strlen(code));
	memcpy(member.name, name, strlen(name));
	member.role = PL_ROLE_STATE;
	for (uint8_t i = 0; role != NULL && i < 4; i++)
		if (strcmp(roles[i], role) == 0)
			member.role = (uint8_t)(PL_ROLE_STATE + i);
	uint8_t *bytes = pl_alloc(PL_SHEET_BYTES_MAX);
	size_t count;
	enum pl_err err = pl_sheet_make(&member, certificates, certificates_count, bytes, PL_SHEET_BYTES_MAX, &count);
	if (err == PL_ERR_EXISTS)
		return pl_error(cli, PL_EXIT_INPUT, NULL, "something stands twice: two nodes with one key or address, or a key with two roles");
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "no sheet can be made of this: %s", pl_err_str(err));
	*out = (struct pl_bytes){ bytes, count };
	return sign_document(cli, "the sheet", PL_LABEL_MEMBER, sizeof(PL_LABEL_MEMBER), root, out);
}

static enum pl_exit run_certify(struct pl_cli *cli, const struct pl_args *args)
{
	const char *add = pl_args_get(args, "add-signature");
	if (add != NULL)
		return add_signatures(cli, args, add);
	static const char *const needed[] = { "state", "name", "node", "out" };
	for (size_t i = 0; i < 4; i++)
		if (!pl_args_has(args, needed[i]))
			return pl_error(cli, PL_EXIT_USAGE, "`parley key certify --help` shows what it takes", "`parley key certify` needs --%s", needed[i]);
	const char *path = pl_args_get(args, "out");
	char why[PL_WHY_BYTES];
	struct signers root = { 0 }, own_node_role = { 0 }, *node_role = &root;
	size_t passphrase_index = 0;
	enum pl_exit exit = pl_paper_check_code(cli, pl_args_get(args, "state"));
	if (exit == PL_EXIT_OK)
		exit = pl_paper_check_name(cli, "name of a member", pl_args_get(args, "name"));
	if (exit == PL_EXIT_OK)
		exit = read_signers(cli, args, "root", PL_KEY_ROOT, &passphrase_index, &root);
	if (exit == PL_EXIT_OK)
		exit = set_threshold(cli, args, "threshold", &root);
	if (exit == PL_EXIT_OK && (pl_args_has(args, "node-role") || pl_args_has(args, "node-role-pub"))) {
		node_role = &own_node_role;
		exit = read_signers(cli, args, "node-role", PL_KEY_NODE_ROLE, &passphrase_index, node_role);
		if (exit == PL_EXIT_OK)
			exit = set_threshold(cli, args, "node-role-threshold", node_role);
	}
	struct pl_bytes sheet;
	if (exit == PL_EXIT_OK)
		exit = make_sheet(cli, args, &root, node_role, &sheet);
	sodium_free(root.keys);
	sodium_free(own_node_role.keys);
	if (exit != PL_EXIT_OK)
		return exit;
	enum pl_err err = pl_file_write_new(path, 0644, sheet.bytes, sheet.count, why, sizeof why);
	return err != PL_OK ? pl_file_error(cli, err, why) : report_sheet(cli, path, &sheet);
}

/* --- the table --- */

static const struct pl_option new_options[] = {
	{ .name = "role", .value = PL_VALUE_CHOICE, .value_name = "ROLE", .choices = "root|node-role|personnel|node", .required = true,
	  .help = "what the key is for" },
	{ .name = "out", .letter = 'o', .value = PL_VALUE_FILE, .value_name = "FILE.key", .required = true,
	  .help = "where the secret goes; its public part goes beside it as FILE.pub" },
	{ .name = "comment", .value = PL_VALUE_TEXT, .value_name = "TEXT", .help = "what people call it; of a node, its label in the charter" },
	PL_OPTION_COST,
	PL_OPTION_PASSPHRASE_FILE,
	{ 0 },
};
static const struct pl_option show_options[] = {
	{ .name = "pub", .value = PL_VALUE_FILE, .value_name = "FILE.pub",
	  .help = "of a secret key: write its public part there, if that was lost" },
	PL_OPTION_PASSPHRASE_FILE,
	{ 0 },
};
static const struct pl_option certify_options[] = {
	{ .name = "state", .value = PL_VALUE_TEXT, .value_name = "CODE", .help = "the member's code, three capitals: FIN" },
	{ .name = "name", .value = PL_VALUE_TEXT, .value_name = "NAME", .help = "the member's name: Finland" },
	{ .name = "role", .value = PL_VALUE_CHOICE, .value_name = "ROLE", .choices = "state|observer|arbiter|auditor",
	  .help = "what the member is; state if not given" },
	{ .name = "root", .value = PL_VALUE_FILE, .value_name = "FILE.key", .required = true, .repeats = true, .help = "a root key that signs" },
	{ .name = "root-pub", .value = PL_VALUE_FILE, .value_name = "FILE.pub", .repeats = true, .help = "a root key that is not at hand" },
	{ .name = "threshold", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = PL_KEYS_PER_ROLE_MAX,
	  .help = "how many root keys have to sign" },
	{ .name = "node-role", .value = PL_VALUE_FILE, .value_name = "FILE.key", .repeats = true,
	  .help = "a key that signs the nodes' certificates; if none is given, the root keys do" },
	{ .name = "node-role-pub", .value = PL_VALUE_FILE, .value_name = "FILE.pub", .repeats = true,
	  .help = "a node-role key that is not at hand" },
	{ .name = "node-role-threshold", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = PL_KEYS_PER_ROLE_MAX,
	  .help = "how many node-role keys have to sign a certificate" },
	{ .name = "node", .value = PL_VALUE_FILE, .value_name = "FILE.pub[,ADDRESS]", .repeats = true,
	  .help = "a node of the member, and host:port where others can dial it; the first one is called CODE, the others CODE.2 and CODE.3" },
	{ .name = "days", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = DAYS_MAX,
	  .help = "how long the certificates are valid; 365 if not given" },
	{ .name = "generation", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = UINT32_MAX,
	  .help = "of the nodes' feeds: one more after each restore; 1 if not given" },
	{ .name = "out", .letter = 'o', .value = PL_VALUE_FILE, .value_name = "FILE.sheet", .help = "where the sheet goes" },
	{ .name = "add-signature", .value = PL_VALUE_FILE, .value_name = "FILE.sheet",
	  .help = "sign this sheet, as it stands, with --root, and nothing else" },
	PL_OPTION_PASSPHRASE_FILE,
	{ 0 },
};

const struct pl_command pl_commands_key[] = {
	{ .name = "key new", .summary = "make a key, under a passphrase", .options = new_options, .run = run_new,
	  .details = "Root keys are a member's last word: they stay offline, on media of their own, and sign the member's sheet and the charter. "
	             "Node-role keys sign certificates of nodes. A node's own keys are made by `parley init`, where they are used.\n"
	             "    parley key new --role root --out fin-root.key" },
	{ .name = "key show", .summary = "show a key, its public part or a member's sheet",
	  .operands = { { .name = "FILE", .value = PL_VALUE_FILE } },
	  .options = show_options, .run = run_show,
	  .details = "Keys are shown as hexadecimal digits in groups of four, to be compared over the telephone. A secret key asks for its "
	             "passphrase and shows its public part only." },
	{ .name = "key certify", .summary = "make a member's sheet: who it is, its keys, its nodes", .options = certify_options,
	  .run = run_certify,
	  .details = "The sheet is what a state publishes about itself and gives to the other founders. Its node-role keys sign a certificate for "
	             "each node, and its root keys sign the whole. Where several root keys have to sign, and are not in one place, the sheet goes "
	             "from one holder to the next, each with --add-signature.\n"
	             "    parley key certify --state FIN --name Finland --root fin-root.key --node fin/node.pub,192.0.2.7:7100 --out fin.sheet\n"
	             "    parley key certify --add-signature fin.sheet --root fin-root-2.key" },
	{ 0 },
};
