#include <stdlib.h>
#include <string.h>

#include "node/cli/papers.h"

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
	enum pl_err err = role == PL_KEY_NODE ? pl_key_new_node(path, comment, passphrase, cost, why, sizeof(why))
	                                      : pl_key_new_signing(path, role, comment, passphrase, cost, why, sizeof(why));
	pl_forget(passphrase);
	struct pl_public_key public_key;
	const char *pub = pl_paper_public_path(path);
	if (err == PL_OK)
		err = pl_key_read_public(pub, &public_key, why, sizeof(why));
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
	enum pl_err err = pl_key_public_of(path, passphrase, &key, why, sizeof(why));
	if (err == PL_OK && pub != NULL)
		err = pl_key_write_public(&key, pub, why, sizeof(why));
	pl_forget(passphrase);
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	show_public(cli, path, &key);
	return PL_EXIT_OK;
}

enum pl_exit pl_show_sheet(const struct pl_cli *cli, const char *path, const struct pl_member *member,
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
		pl_remark(cli, "%s is signed by %u of the %u root keys that it needs; complete it with `parley key certify --add-signature`", path, have,
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
	if (pl_key_read_public(path, &key, why, sizeof(why)) == PL_OK) {
		show_public(cli, path, &key);
		return PL_EXIT_OK;
	}
	struct pl_member member;
	struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	uint8_t signed_keys;
	enum pl_err err = pl_sheet_read_unsigned(bytes.bytes, bytes.count, &member, nodes, &signed_keys);
	if (err == PL_OK)
		return pl_show_sheet(cli, path, &member, nodes, signed_keys);
	struct pl_certificate certificate;
	char code[PL_MEMBER_CODE_BYTES + 1];
	if (err != PL_ERR_SIGNATURE && pl_certificate_read(bytes.bytes, bytes.count, &certificate, code) == PL_OK) {
		pl_show_certificate(cli, &certificate, code);
		return PL_EXIT_OK;
	}
	if (err == PL_ERR_SIGNATURE)
		return pl_error(cli, PL_EXIT_UNVERIFIED, NULL, "%s: is a sheet of which a signature does not verify: it was changed", path);
	const char *kind = pl_paper_kind(&bytes);
	return pl_error(cli, PL_EXIT_INPUT, "`parley charter show` shows charters, `parley verify` proofs",
	                "%s: is %sneither a key, nor its public part, nor a member's sheet or certificate", path, kind == NULL ? "" : pl_format("%s, ", kind));
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

const struct pl_command pl_commands_key[] = {
	{ .name = "key new", .summary = "make a key, under a passphrase", .options = new_options, .run = run_new,
	  .details = "Root keys are a member's last word: they stay offline, on media of their own, and sign the member's sheet and the charter. "
	             "Node-role keys sign certificates of nodes. A node's own keys are made by `parley init`, where they are used.\n"
	             "    parley key new --role root --out fin-root.key" },
	{ .name = "key show", .summary = "show a key, its public part, a member's sheet or a certificate",
	  .operands = { { .name = "FILE", .value = PL_VALUE_FILE } },
	  .options = show_options, .run = run_show,
	  .details = "Keys are shown as hexadecimal digits in groups of four, to be compared over the telephone. A secret key asks for its "
	             "passphrase and shows its public part only." },
	{ .name = "key certify", .summary = "make a member's sheet: who it is, its keys, its nodes", .options = pl_certify_options,
	  .run = pl_run_certify,
	  .details = "The sheet is what a state publishes about itself and gives to the other founders. Its node-role keys sign a certificate for "
	             "each node, and its root keys sign the whole. Where several root keys have to sign, and are not in one place, the sheet goes "
	             "from one holder to the next, each with --add-signature.\n"
	             "    parley key certify --state FIN --name Finland --root fin-root.key --node fin/node.pub,192.0.2.7:7100 --out fin.sheet\n"
	             "    parley key certify --add-signature fin.sheet --root fin-root-2.key\n"
	             "Where several node-role keys have to sign, and are not in one place, the same is done with a certificate by itself, which "
	             "then goes into the sheet. Each holder names all keys of the role, in any order.\n"
	             "    parley key certify --state FIN --node-role a.key --node-role-pub b.pub --node fin/node.pub,192.0.2.7:7100 --out "
	             "fin-1.cert\n"
	             "    parley key certify --add-signature fin-1.cert --node-role-pub a.pub --node-role b.key\n"
	             "    parley key certify --state FIN --name Finland --root fin-root.key --node-role-pub a.pub --node-role-pub b.pub "
	             "--node-role-threshold 2 --certificate fin-1.cert --out fin.sheet" },
	{ 0 },
};
