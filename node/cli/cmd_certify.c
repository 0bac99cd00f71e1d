#include <sodium.h>
#include <string.h>

#include "node/cli/papers.h"

#define DAYS_MAX 366
#define DAYS 365
#define DAY_MS 86400000ULL

/* The keys of one role: those in hand, which sign, and those that are only named. */
struct signers {
	struct pl_key_set set;
	struct pl_signing_key *keys; /* in locked memory; PL_KEYS_PER_ROLE_MAX of them */
	uint8_t at[PL_KEYS_PER_ROLE_MAX]; /* their place in the set */
	uint8_t count;
};

static enum pl_exit signers_init(const struct pl_cli *cli, struct signers *signers)
{
	memset(signers, 0, sizeof(*signers));
	signers->keys = sodium_allocarray(PL_KEYS_PER_ROLE_MAX, sizeof(*signers->keys));
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

/* A signature names its key by its place in the role's set. The set is sorted, so that the place does not hang on the order in which the
 * holders of the keys, each on a machine of their own, name them. */
static void sort_set(struct signers *signers)
{
	struct pl_key_set *set = &signers->set;
	for (uint8_t i = 1; i < set->count; i++) {
		for (uint8_t j = i; j > 0 && memcmp(set->keys[j - 1], set->keys[j], 32) > 0; j--) {
			uint8_t swap[32];
			memcpy(swap, set->keys[j], 32);
			memcpy(set->keys[j], set->keys[j - 1], 32);
			memcpy(set->keys[j - 1], swap, 32);
		}
	}
	for (uint8_t i = 0; i < signers->count; i++)
		while (memcmp(set->keys[signers->at[i]], signers->keys[i].public_key, 32) != 0)
			signers->at[i]++;
}

static enum pl_exit read_signer(const struct pl_cli *cli, const struct pl_args *args, const char *path, enum pl_key_role role, size_t index,
                                struct pl_signing_key *out)
{
	char why[PL_WHY_BYTES], *passphrase;
	enum pl_exit exit = pl_ask_passphrase(cli, args, index, path, false, &passphrase);
	if (exit != PL_EXIT_OK)
		return exit;
	enum pl_err err = pl_key_read_signing(path, passphrase, out, why, sizeof(why));
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
		out->at[out->count++] = 0;
		exit = add_to_set(cli, out, path, key->public_key);
	}
	for (size_t at = 0; exit == PL_EXIT_OK && (path = pl_args_each(args, pl_format("%s-pub", option), &at)) != NULL;) {
		struct pl_public_key key;
		enum pl_err err = pl_key_read_public(path, &key, why, sizeof(why));
		if (err != PL_OK)
			return pl_file_error(cli, err, why);
		if (key.role != role)
			return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is of a %s key; a %s key is needed here", path, pl_key_role_name(key.role),
			                pl_key_role_name(role));
		exit = add_to_set(cli, out, path, key.public_key);
	}
	if (exit == PL_EXIT_OK)
		sort_set(out);
	return exit;
}

static enum pl_exit set_threshold(const struct pl_cli *cli, const struct pl_args *args, const char *option, struct signers *signers)
{
	if (signers->set.count > 1 && !pl_args_has(args, option))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "with %u keys, --%s N says how many of them have to sign", (unsigned)signers->set.count,
		                option);
	signers->set.threshold = (uint8_t)pl_args_number(args, option, 1);
	if (signers->set.threshold > signers->set.count)
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--%s %u is more than the %s given", option, (unsigned)signers->set.threshold,
		                pl_number_of(signers->set.count, "key that is", "keys that are"));
	return PL_EXIT_OK;
}

static enum pl_exit sign_document(const struct pl_cli *cli, const char *what, enum pl_document_type type,
                                  const struct signers *signers, struct pl_bytes *document)
{
	for (uint8_t i = 0; i < signers->count; i++) {
		size_t room = document->count + PL_SIGN_BYTES + 16, count;
		uint8_t *out = pl_alloc(room);
		enum pl_err err = pl_sheet_sign(type, document->bytes, document->count, signers->at[i], signers->keys[i].secret, out,
		                                   room, &count);
		if (err == PL_ERR_EXISTS)
			return pl_error(cli, PL_EXIT_REFUSED, NULL, "%s has been signed with this key already", what);
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
			return pl_error(cli, PL_EXIT_USAGE, "--node FILE.pub,HOST:PORT or --node FILE.pub,[IPv6]:PORT, in lower case",
			                "\"%s\" is not an address to dial", address);
	}
	struct pl_public_key key;
	enum pl_err err = pl_key_read_public(path, &key, why, sizeof(why));
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	if (key.role != PL_KEY_NODE)
		return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is of a %s key; a node's is needed here", path, pl_key_role_name(key.role));
	int64_t now = pl_now_ms();
	uint64_t days = pl_args_number(args, "days", DAYS);
	const char *label = key.comment[0] != '\0' ? key.comment : pl_format("%s-%zu", code, index + 1);
	memset(out, 0, sizeof(*out));
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
	return pl_show_sheet(cli, path, &member, nodes, signed_keys);
}

/* --- a certificate by itself --- */

static enum pl_exit report_certificate(const struct pl_cli *cli, const char *path, const struct pl_bytes *document, size_t signatures)
{
	struct pl_certificate certificate;
	char code[PL_MEMBER_CODE_BYTES + 1];
	enum pl_err err = pl_certificate_read(document->bytes, document->count, &certificate, code);
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "%s: the certificate that was made does not hold: %s", path, pl_err_str(err));
	if (cli->json || !cli->quiet)
		pl_show_certificate(cli, &certificate, code);
	pl_remark(cli, "%s: signed with %s", path, pl_number_of(signatures, "key", "keys"));
	return PL_EXIT_OK;
}

static enum pl_exit make_certificate(const struct pl_cli *cli, const struct pl_args *args, const char *given, size_t index,
                                     const char *code, const struct signers *signers, struct pl_bytes *out)
{
	struct pl_certificate certificate;
	enum pl_exit exit = read_node(cli, args, given, index, code, &certificate);
	if (exit != PL_EXIT_OK)
		return exit;
	uint8_t *bytes = pl_alloc(PL_CERTIFICATE_BYTES_MAX);
	size_t bytes_count;
	enum pl_err err = pl_certificate_make(&certificate, code, bytes, PL_CERTIFICATE_BYTES_MAX, &bytes_count);
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "--node %s: no certificate can be made of it: %s", given, pl_err_str(err));
	*out = (struct pl_bytes){ bytes, bytes_count };
	return sign_document(cli, "the certificate", PL_DOCUMENT_CERTIFICATE, signers, out);
}

/* Without root keys: node-role keys make one certificate, for a sheet that is made later or elsewhere. */
static enum pl_exit certificate_only(const struct pl_cli *cli, const struct pl_args *args)
{
	const char *path = pl_args_get(args, "out"), *node = NULL, *given;
	static const char *const of_sheets[] = { "name", "role", "root-pub", "threshold", "certificate" };
	for (size_t i = 0; i < sizeof(of_sheets) / sizeof(*of_sheets); i++)
		if (pl_args_has(args, of_sheets[i]))
			return pl_error(cli, PL_EXIT_USAGE, NULL, "--%s belongs to a sheet, and a sheet needs --root FILE.key", of_sheets[i]);
	for (size_t at = 0; (given = pl_args_each(args, "node", &at)) != NULL; node = given)
		if (node != NULL)
			return pl_error(cli, PL_EXIT_USAGE, NULL, "without --root, one certificate is made, for one --node");
	if (node == NULL || path == NULL || !pl_args_has(args, "state"))
		return pl_error(cli, PL_EXIT_USAGE, "with --root a sheet is made", "a certificate needs --state, --node, --node-role and --out");
	if (!pl_args_has(args, "node-role"))
		return pl_error(cli, PL_EXIT_USAGE, "--root FILE.key for a sheet, --node-role FILE.key for a certificate alone",
		                "`parley key certify` needs a key that signs");
	struct signers signers = { 0 };
	struct pl_bytes document;
	size_t passphrase_index = 0;
	char why[PL_WHY_BYTES];
	enum pl_exit exit = pl_paper_check_code(cli, pl_args_get(args, "state"));
	if (exit == PL_EXIT_OK)
		exit = read_signers(cli, args, "node-role", PL_KEY_NODE_ROLE, &passphrase_index, &signers);
	if (exit == PL_EXIT_OK)
		exit = make_certificate(cli, args, node, 0, pl_args_get(args, "state"), &signers, &document);
	sodium_free(signers.keys);
	if (exit != PL_EXIT_OK)
		return exit;
	enum pl_err err = pl_file_write_new(path, 0644, document.bytes, document.count, why, sizeof(why));
	return err != PL_OK ? pl_file_error(cli, err, why) : report_certificate(cli, path, &document, signers.count);
}

/* --- one more signature --- */

static enum pl_exit sign_certificate(const struct pl_cli *cli, const struct pl_args *args, const char *path, struct pl_bytes *document)
{
	struct signers signers = { 0 };
	size_t passphrase_index = 0;
	char why[PL_WHY_BYTES];
	if (!pl_args_has(args, "node-role"))
		return pl_error(cli, PL_EXIT_USAGE, NULL,
		                "%s: is a certificate; --node-role FILE.key signs it, and --node-role-pub names the role's other keys",
		                path);
	enum pl_exit exit = read_signers(cli, args, "node-role", PL_KEY_NODE_ROLE, &passphrase_index, &signers);
	if (exit == PL_EXIT_OK)
		exit = sign_document(cli, "the certificate", PL_DOCUMENT_CERTIFICATE, &signers, document);
	sodium_free(signers.keys);
	if (exit != PL_EXIT_OK)
		return exit;
	enum pl_err err = pl_file_replace(path, 0644, document->bytes, document->count, why, sizeof(why));
	return err != PL_OK ? pl_file_error(cli, err, why) : report_certificate(cli, path, document, signers.count);
}

static enum pl_exit sign_sheet(const struct pl_cli *cli, const struct pl_args *args, const char *path, struct pl_bytes *sheet)
{
	struct pl_member member;
	struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	uint8_t signed_keys;
	enum pl_err err = pl_sheet_read_unsigned(sheet->bytes, sheet->count, &member, nodes, &signed_keys);
	if (err == PL_ERR_SIGNATURE)
		return pl_error(cli, PL_EXIT_UNVERIFIED, NULL, "%s: a signature in it does not verify: the sheet was changed", path);
	if (err != PL_OK && pl_paper_kind(sheet) != NULL)
		return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is %s; it is neither a member's sheet nor a certificate", path, pl_paper_kind(sheet));
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "%s: is neither a member's sheet nor a certificate: %s", path, pl_err_str(err));
	if (!pl_args_has(args, "root"))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "%s: is a sheet; --root FILE.key signs it", path);
	struct signers signers = { 0 };
	size_t passphrase_index = 0;
	enum pl_exit exit = read_signers(cli, args, "root", PL_KEY_ROOT, &passphrase_index, &signers);
	for (uint8_t i = 0; exit == PL_EXIT_OK && i < signers.count; i++) {
		uint8_t k = 0;
		while (k < member.root.count && memcmp(member.root.keys[k], signers.keys[i].public_key, 32) != 0)
			k++;
		if (k == member.root.count)
			exit = pl_error(cli, PL_EXIT_REFUSED, pl_format("`parley key show %s` lists its root keys", pl_quoted(path)),
			                "%s: is the sheet of %s (%s), and the key given is not among its root keys", path, member.code, member.name);
		else if ((signed_keys >> k & 1) != 0)
			exit = pl_error(cli, PL_EXIT_REFUSED, NULL, "%s: this key has signed it already", path);
		signers.at[i] = k;
	}
	if (exit == PL_EXIT_OK)
		exit = sign_document(cli, "the sheet", PL_DOCUMENT_SHEET, &signers, sheet);
	sodium_free(signers.keys);
	char why[PL_WHY_BYTES];
	if (exit != PL_EXIT_OK)
		return exit;
	err = pl_file_replace(path, 0644, sheet->bytes, sheet->count, why, sizeof(why));
	return err != PL_OK ? pl_file_error(cli, err, why) : report_sheet(cli, path, sheet);
}

static enum pl_exit add_signatures(const struct pl_cli *cli, const struct pl_args *args, const char *path)
{
	static const char *const others[] = { "state", "name", "role", "node", "certificate", "root-pub", "threshold", "node-role-threshold",
	                                      "days",
		"generation", "out" };
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		if (pl_args_has(args, others[i]))
			return pl_error(cli, PL_EXIT_USAGE, NULL, "--add-signature signs a file as it stands; --%s cannot change it", others[i]);
	struct pl_bytes document;
	struct pl_certificate certificate;
	char code[PL_MEMBER_CODE_BYTES + 1];
	enum pl_exit exit = pl_paper_read(cli, path, PL_CHARTER_BYTES_MAX, &document);
	if (exit != PL_EXIT_OK)
		return exit;
	bool is_certificate = pl_certificate_read(document.bytes, document.count, &certificate, code) == PL_OK;
	return is_certificate ? sign_certificate(cli, args, path, &document) : sign_sheet(cli, args, path, &document);
}

/* --- a sheet --- */

/* Those that are finished, and one for each --node. */
static enum pl_exit gather_certificates(const struct pl_cli *cli, const struct pl_args *args, const char *code,
                                        const struct signers *signers, struct pl_bytes *out, size_t *out_count)
{
	const char *given;
	size_t count = 0;
	enum pl_exit exit = PL_EXIT_OK;
	for (size_t at = 0; pl_args_each(args, "certificate", &at) != NULL; count++)
		;
	for (size_t at = 0; pl_args_each(args, "node", &at) != NULL; count++)
		;
	if (count > PL_NODES_PER_MEMBER_MAX)
		return pl_error(cli, PL_EXIT_INPUT, NULL, "a member has at most %d nodes", PL_NODES_PER_MEMBER_MAX);
	count = 0;
	for (size_t at = 0; exit == PL_EXIT_OK && (given = pl_args_each(args, "certificate", &at)) != NULL; count++)
		exit = pl_paper_read(cli, given, PL_CHARTER_BYTES_MAX, &out[count]);
	for (size_t at = 0; exit == PL_EXIT_OK && (given = pl_args_each(args, "node", &at)) != NULL; count++) {
		if (signers->count < signers->set.threshold)
			return pl_error(cli, PL_EXIT_REFUSED,
			                "give more of them with --node-role FILE.key, or make the certificate apart, from one holder to the next",
			                "%u node-role keys have to sign a certificate, and %s at hand", (unsigned)signers->set.threshold,
			                pl_number_of(signers->count, "is", "are"));
		exit = make_certificate(cli, args, given, count, code, signers, &out[count]);
	}
	*out_count = count;
	return exit;
}

static enum pl_exit make_sheet(const struct pl_cli *cli, const struct pl_args *args, const struct signers *root,
                               const struct signers *node_role, struct pl_bytes *out)
{
	static const char *const roles[] = { "state", "observer", "arbiter", "auditor" };
	const char *code = pl_args_get(args, "state"), *name = pl_args_get(args, "name"), *role = pl_args_get(args, "role");
	struct pl_bytes certificates[PL_NODES_PER_MEMBER_MAX];
	size_t certificates_count = 0;
	enum pl_exit exit = gather_certificates(cli, args, code, node_role, certificates, &certificates_count);
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
	if (err == PL_ERR_SIGNATURE)
		return pl_error(cli, PL_EXIT_UNVERIFIED,
		                "it is completed with `parley key certify --add-signature FILE.cert --node-role FILE.key --node-role-pub FILE.pub`",
		                "a certificate is not signed by %u of the %u node-role keys that are named here", (unsigned)node_role->set.threshold,
		                (unsigned)node_role->set.count);
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "no sheet can be made of this: %s", pl_err_str(err));
	*out = (struct pl_bytes){ bytes, count };
	return sign_document(cli, "the sheet", PL_DOCUMENT_SHEET, root, out);
}

enum pl_exit pl_run_certify(struct pl_cli *cli, const struct pl_args *args)
{
	const char *add = pl_args_get(args, "add-signature");
	if (add != NULL)
		return add_signatures(cli, args, add);
	if (!pl_args_has(args, "root"))
		return certificate_only(cli, args);
	static const char *const needed[] = { "state", "name", "out" };
	for (size_t i = 0; i < 3; i++)
		if (!pl_args_has(args, needed[i]))
			return pl_error(cli, PL_EXIT_USAGE, "`parley key certify --help` shows what it takes", "a sheet needs --%s", needed[i]);
	if (!pl_args_has(args, "node") && !pl_args_has(args, "certificate"))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "a member has a node at least: --node FILE.pub, or --certificate FILE.cert");
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
	enum pl_err err = pl_file_write_new(path, 0644, sheet.bytes, sheet.count, why, sizeof(why));
	return err != PL_OK ? pl_file_error(cli, err, why) : report_sheet(cli, path, &sheet);
}

const struct pl_option pl_certify_options[] = {
	{ .name = "state", .value = PL_VALUE_TEXT, .value_name = "CODE", .help = "the member's code, three capitals: FIN" },
	{ .name = "name", .value = PL_VALUE_TEXT, .value_name = "NAME", .help = "the member's name: Finland" },
	{ .name = "role", .value = PL_VALUE_CHOICE, .value_name = "ROLE", .choices = "state|observer|arbiter|auditor",
	  .help = "what the member is; state if not given" },
	{ .name = "root", .value = PL_VALUE_FILE, .value_name = "FILE.key", .repeats = true,
	  .help = "a root key that signs the sheet; without one, a certificate alone is made" },
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
	{ .name = "certificate", .value = PL_VALUE_FILE, .value_name = "FILE.cert", .repeats = true,
	  .help = "a certificate that is finished, instead of --node" },
	{ .name = "days", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = DAYS_MAX,
	  .help = "how long the certificates are valid; 365 if not given" },
	{ .name = "generation", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = UINT32_MAX,
	  .help = "of the nodes' feeds, for a certificate in a later charter; 1 if not given" },
	{ .name = "out", .letter = 'o', .value = PL_VALUE_FILE, .value_name = "FILE", .help = "where the sheet, or the certificate, goes" },
	{ .name = "add-signature", .value = PL_VALUE_FILE, .value_name = "FILE",
	  .help = "sign this sheet with --root, or this certificate with --node-role, as it stands, and nothing else" },
	PL_OPTION_PASSPHRASE_FILE,
	{ 0 },
};
