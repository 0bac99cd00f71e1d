#include <sodium.h>
#include <string.h>

#include "node/cli/papers.h"
#include "node/expiry.h"

static size_t count_signed(const struct pl_charter *charter, const bool signed_by[PL_MEMBERS_MAX])
{
	size_t count = 0;
	for (uint16_t i = 0; i < charter->members_count; i++)
		count += signed_by[i];
	return count;
}

static json_t *charter_json(const struct pl_charter *charter, const bool signed_by[PL_MEMBERS_MAX])
{
	json_t *members = json_array();
	for (uint16_t i = 0; i < charter->members_count; i++) {
		const struct pl_member *member = &charter->members[i];
		json_t *item = pl_paper_member_json(member, charter->nodes + member->first_node);
		json_object_set_new(item, "signed", json_boolean(signed_by[i]));
		json_object_set_new(item, "signatures", json_integer(charter->signatures[i]));
		json_array_append_new(members, item);
	}
	return json_pack("{s:s, s:s, s:I, s:s, s:b, s:o}", "network_id", pl_hex(charter->network_id, PL_ID_BYTES), "name", charter->name, "epoch",
	                 (json_int_t)charter->epoch, "created", pl_time_rfc3339((int64_t)charter->created_ms), "complete",
	                 count_signed(charter, signed_by) == charter->members_count, "members", members);
}

static void print_head(const struct pl_charter *charter, const bool signed_by[PL_MEMBERS_MAX])
{
	pl_out_field("network", "%s", charter->name);
	pl_out_field("network id", "%s", pl_hex_groups(charter->network_id, PL_ID_BYTES));
	pl_out_field("made", "%s", pl_time_full((int64_t)charter->created_ms));
	size_t have = count_signed(charter, signed_by);
	if (have == charter->members_count)
		pl_out_field("signed", "%s", have == 1 ? "by its only member" : pl_format("by all %zu members", have));
	else
		pl_out_field("signed", "by %zu of %s%s%s; missing: %s", have, pl_number_of(charter->members_count, "member", "members"),
		             have > 0 ? ": " : "", pl_paper_codes(charter, signed_by, true), pl_paper_codes(charter, signed_by, false));
}

static enum pl_exit report(const struct pl_cli *cli, const struct pl_bytes *bytes)
{
	struct pl_charter *charter = pl_alloc(sizeof(*charter));
	bool signed_by[PL_MEMBERS_MAX] = { false };
	char at[PL_MEMBER_CODE_BYTES + 1];
	enum pl_err err = pl_charter_read_unsigned(bytes->bytes, bytes->count, charter, signed_by, at);
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "the charter that was made does not hold: %s", pl_err_str(err));
	if (cli->json)
		pl_out_json(charter_json(charter, signed_by));
	else if (!cli->quiet)
		print_head(charter, signed_by);
	return PL_EXIT_OK;
}

/* Which two of the sheets: those that make no charter together. */
static enum pl_exit say_twice(const struct pl_cli *cli, const struct pl_args *args, const char *name, const struct pl_bytes *sheets,
                              const char *code, uint8_t *room)
{
	for (size_t i = 1; i < args->operands_count; i++) {
		for (size_t k = 0; k < i; k++) {
			const struct pl_bytes two[] = { sheets[k], sheets[i] };
			char at[PL_MEMBER_CODE_BYTES + 1] = "";
			size_t count;
			if (pl_charter_make(name, (uint64_t)pl_now_ms(), two, 2, room, PL_CHARTER_BYTES_MAX, &count, at) == PL_ERR_EXISTS && strcmp(at, code) == 0)
				return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: something of %s stands in %s too: its code, a key, a node or an address",
				                args->operands[i], code, args->operands[k]);
		}
	}
	return pl_error(cli, PL_EXIT_INPUT, NULL, "something of %s stands in another sheet too: its code, a key, a node or an address", code);
}

static enum pl_exit run_new(struct pl_cli *cli, const struct pl_args *args)
{
	const char *name = pl_args_get(args, "name"), *path = pl_args_get(args, "out");
	enum pl_exit exit = pl_paper_check_name(cli, "name of a network", name);
	if (exit == PL_EXIT_OK && args->operands_count > PL_MEMBERS_MAX)
		exit = pl_error(cli, PL_EXIT_INPUT, NULL, "a network has at most %d members", PL_MEMBERS_MAX);
	struct pl_bytes sheets[PL_MEMBERS_MAX];
	for (size_t i = 0; exit == PL_EXIT_OK && i < args->operands_count; i++) {
		exit = pl_paper_read(cli, args->operands[i], PL_CHARTER_BYTES_MAX, &sheets[i]);
		if (exit != PL_EXIT_OK)
			break;
		struct pl_member member;
		struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
		enum pl_err err = pl_sheet_read(sheets[i].bytes, sheets[i].count, &member, nodes);
		if (err == PL_ERR_SIGNATURE)
			exit = pl_error(cli, PL_EXIT_UNVERIFIED, pl_format("`parley key show %s` lists who has signed", pl_quoted(args->operands[i])),
			                "%s: is a sheet whose signatures are missing or do not verify", args->operands[i]);
		else if (err != PL_OK && pl_paper_kind(&sheets[i]) != NULL)
			exit = pl_error(cli, PL_EXIT_INPUT, "`parley key certify` makes a sheet of keys", "%s: is %s, not a member's sheet", args->operands[i],
			                pl_paper_kind(&sheets[i]));
		else if (err != PL_OK)
			exit = pl_error(cli, pl_exit_of(err), NULL, "%s: is not a member's sheet: %s", args->operands[i], pl_err_str(err));
	}
	if (exit != PL_EXIT_OK)
		return exit;
	uint8_t *out = pl_alloc(PL_CHARTER_BYTES_MAX);
	size_t count;
	char at[PL_MEMBER_CODE_BYTES + 1] = "", why[PL_WHY_BYTES];
	enum pl_err err = pl_charter_make(name, (uint64_t)pl_now_ms(), sheets, args->operands_count, out, PL_CHARTER_BYTES_MAX, &count, at);
	if (err == PL_ERR_EXISTS)
		return say_twice(cli, args, name, sheets, at, out);
	if (err == PL_ERR_EXPIRED)
		return pl_error(cli, PL_EXIT_UNVERIFIED, "it makes new ones with `parley key certify`", "a certificate of %s has expired", at);
	if (err != PL_OK)
		return pl_error(cli, pl_exit_of(err), NULL, "no charter can be made of these sheets: %s %s", at, pl_err_str(err));
	err = pl_file_write_new(path, 0644, out, count, why, sizeof(why));
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	struct pl_bytes bytes = { out, count };
	exit = report(cli, &bytes);
	if (exit == PL_EXIT_OK && args->operands_count == 1)
		pl_remark(cli, "this is a network of one member, which has nobody to write to: a charter takes the sheets of all its founders");
	return exit;
}

static enum pl_exit sign_with(const struct pl_cli *cli, const struct pl_args *args, const char *path, const char *key_path, size_t index,
                              struct pl_bytes *bytes)
{
	char why[PL_WHY_BYTES], *passphrase;
	struct pl_signing_key *key = sodium_malloc(sizeof(*key));
	if (key == NULL)
		return pl_error(cli, PL_EXIT_FAILED, "raise the limit (ulimit -l)", "no locked memory for a key");
	enum pl_exit exit = pl_ask_passphrase(cli, args, index, key_path, false, &passphrase);
	if (exit == PL_EXIT_OK) {
		enum pl_err err = pl_key_read_signing(key_path, passphrase, key, why, sizeof(why));
		pl_forget(passphrase);
		if (err != PL_OK)
			exit = pl_file_error(cli, err, why);
		else if (key->role != PL_KEY_ROOT)
			exit = pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is a %s key; charters are signed with root keys", key_path, pl_key_role_name(key->role));
	}
	if (exit == PL_EXIT_OK) {
		size_t room = bytes->count + PL_SIGN_BYTES + 64, count;
		uint8_t *out = pl_alloc(room);
		enum pl_err err = pl_charter_sign(bytes->bytes, bytes->count, key->secret, out, room, &count);
		if (err == PL_ERR_UNKNOWN)
			exit = pl_error(cli, PL_EXIT_UNKNOWN, pl_format("`parley charter show %s` lists their root keys", pl_quoted(path)),
			                "%s: is a root key of no member of this charter", key_path);
		else if (err == PL_ERR_EXISTS)
			exit = pl_error(cli, PL_EXIT_REFUSED, NULL, "%s: has signed this charter already", key_path);
		else if (err != PL_OK)
			exit = pl_error(cli, pl_exit_of(err), NULL, "%s: cannot be signed: %s", path, pl_err_str(err));
		else
			*bytes = (struct pl_bytes){ out, count };
	}
	sodium_free(key);
	return exit;
}

static enum pl_exit run_sign(struct pl_cli *cli, const struct pl_args *args)
{
	const char *path = pl_args_operand(args, 0), *key_path;
	struct pl_bytes bytes;
	struct pl_charter *charter;
	bool signed_by[PL_MEMBERS_MAX];
	size_t index = 0;
	enum pl_exit exit = pl_paper_read_charter(cli, path, &bytes, &charter, signed_by);
	for (size_t at = 0; exit == PL_EXIT_OK && (key_path = pl_args_each(args, "root", &at)) != NULL;)
		exit = sign_with(cli, args, path, key_path, index++, &bytes);
	if (exit != PL_EXIT_OK)
		return exit;
	char why[PL_WHY_BYTES];
	enum pl_err err = pl_file_replace(path, 0644, bytes.bytes, bytes.count, why, sizeof(why));
	return err != PL_OK ? pl_file_error(cli, err, why) : report(cli, &bytes);
}

static enum pl_exit run_show(struct pl_cli *cli, const struct pl_args *args)
{
	struct pl_bytes bytes;
	struct pl_charter *charter;
	bool signed_by[PL_MEMBERS_MAX] = { false };
	enum pl_exit exit = pl_paper_read_charter(cli, pl_args_operand(args, 0), &bytes, &charter, signed_by);
	if (exit != PL_EXIT_OK)
		return exit;
	if (cli->json) {
		pl_out_json(charter_json(charter, signed_by));
		return PL_EXIT_OK;
	}
	print_head(charter, signed_by);
	for (uint16_t i = 0; i < charter->members_count; i++) {
		pl_out("\n");
		pl_paper_print_member(&charter->members[i], charter->nodes + charter->members[i].first_node, 0xff);
	}
	return PL_EXIT_OK;
}

static enum pl_exit check_network(const struct pl_cli *cli, const char *path, const char *expected, const struct pl_charter *charter)
{
	uint8_t id[PL_ID_BYTES];
	size_t count;
	if (sodium_hex2bin(id, sizeof(id), expected, strlen(expected), " :", &count, NULL) != 0 || count != sizeof(id))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--network is an id of 64 hexadecimal digits, in groups or not; not \"%s\"", expected);
	if (sodium_memcmp(id, charter->network_id, sizeof(id)) != 0)
		return pl_error(cli, PL_EXIT_UNVERIFIED, "compare it over another channel with those who made the charter",
		                "%s: is the charter of another network: %s", path, pl_hex_groups(charter->network_id, PL_ID_BYTES));
	return PL_EXIT_OK;
}

static enum pl_exit check_certificates(const struct pl_cli *cli, const char *path, const struct pl_charter *charter, int64_t at_ms)
{
	for (uint16_t i = 0; i < charter->nodes_count; i++) {
		const struct pl_certificate *c = &charter->nodes[i].certificate;
		char name[PL_NODE_NAME_BYTES];
		pl_charter_node_name(charter, i, name);
		if (c->valid_until_ms <= (uint64_t)at_ms)
			return pl_error(cli, PL_EXIT_UNVERIFIED, "nothing renews it: all found the network anew, with new sheets and a new charter",
			                "%s: the certificate of %s expired on %s", path, name, pl_time_full((int64_t)c->valid_until_ms));
		if (c->valid_from_ms > (uint64_t)at_ms)
			return pl_error(cli, PL_EXIT_UNVERIFIED, "is the clock of this machine right?", "%s: the certificate of %s is not valid before %s", path,
			                name, pl_time_full((int64_t)c->valid_from_ms));
	}
	return PL_EXIT_OK;
}

static void print_valid(const struct pl_cli *cli, const char *path, const struct pl_charter *charter, int64_t at_ms)
{
	uint64_t first_ms = charter->nodes[pl_expiry_first(charter)].certificate.valid_until_ms;
	if (cli->json) {
		pl_out_json(json_pack("{s:b, s:s, s:s, s:i, s:i, s:s}", "valid", 1, "network_id", pl_hex(charter->network_id, PL_ID_BYTES), "name",
		                      charter->name, "members", (int)charter->members_count, "nodes", (int)charter->nodes_count, "valid_until",
		                      pl_time_rfc3339((int64_t)first_ms)));
	} else if (!cli->quiet) {
		pl_out("%s holds: %s, %s, every signature verifies.\n", path, pl_number_of(charter->members_count, "member", "members"),
		       pl_number_of(charter->nodes_count, "node", "nodes"));
		pl_out_field("network", "%s", charter->name);
		pl_out_field("network id", "%s", pl_hex_groups(charter->network_id, PL_ID_BYTES));
		pl_out_field("ends", "%s, in %s: then the first certificate ends, and nothing renews it", pl_time_full((int64_t)first_ms),
		             pl_number_of(pl_expiry_days((uint64_t)at_ms, first_ms), "day", "days"));
	}
}

static enum pl_exit run_verify(struct pl_cli *cli, const struct pl_args *args)
{
	const char *path = pl_args_operand(args, 0), *expected = pl_args_get(args, "network"), *when = pl_args_get(args, "at");
	struct pl_bytes bytes;
	struct pl_charter *charter;
	int64_t at_ms = pl_now_ms();
	if (when != NULL && !pl_time_read(when, &at_ms))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--at is a time like 2026-11-24T12:00:00Z, not \"%s\"", when);
	enum pl_exit exit = pl_paper_read_charter(cli, path, &bytes, &charter, NULL);
	path = pl_input_name(path);
	if (exit == PL_EXIT_OK && expected != NULL)
		exit = check_network(cli, path, expected, charter);
	if (exit == PL_EXIT_OK)
		exit = check_certificates(cli, path, charter, at_ms);
	if (exit == PL_EXIT_OK)
		print_valid(cli, path, charter, at_ms);
	return exit;
}

static const struct pl_option new_options[] = {
	{ .name = "name", .value = PL_VALUE_TEXT, .value_name = "NAME", .required = true, .help = "the network's name" },
	{ .name = "out", .letter = 'o', .value = PL_VALUE_FILE, .value_name = "FILE.plc", .required = true, .help = "where the charter goes" },
	{ 0 },
};
static const struct pl_option sign_options[] = {
	{ .name = "root", .value = PL_VALUE_FILE, .value_name = "FILE.key", .required = true, .repeats = true, .help = "a founder's root key" },
	PL_OPTION_PASSPHRASE_FILE,
	{ 0 },
};
static const struct pl_option verify_options[] = {
	{ .name = "network", .value = PL_VALUE_TEXT, .value_name = "ID", .help = "the network id to expect, as it came over another channel" },
	{ .name = "at", .value = PL_VALUE_TEXT, .value_name = "TIME", .help = "judge the certificates at this time instead of now" },
	{ 0 },
};

const struct pl_command pl_commands_charter[] = {
	{ .name = "charter new", .summary = "make a charter of the founders' sheets", .options = new_options, .run = run_new,
	  .operands = { { .name = "FILE.sheet", .value = PL_VALUE_FILE, .repeats = true } },
	  .details = "The network's id is the hash of what stands in the charter: nothing of it can change later without making another network. "
	             "Every founder signs it, with as many root keys as its sheet demands.\n"
	             "    parley charter new --name \"Baltic hotline\" fin.sheet est.sheet lva.sheet --out baltic.plc" },
	{ .name = "charter sign", .summary = "sign a charter with a founder's root key", .options = sign_options, .run = run_sign,
	  .operands = { { .name = "FILE.plc", .value = PL_VALUE_FILE } },
	  .details = "The file is replaced by one with one signature more, and goes to the next founder. Look at it with `parley charter show` "
	             "before signing: whoever signs agrees to every key in it." },
	{ .name = "charter show", .summary = "show members, keys and nodes of a charter, and who has signed it", .run = run_show,
	  .operands = { { .name = "FILE.plc", .value = PL_VALUE_FILE } } },
	{ .name = "charter verify", .summary = "check every signature in a charter, and that its certificates are valid now",
	  .options = verify_options,
	  .details = "It says when the first certificate ends. Nothing renews a certificate within a network.",
	  .run = run_verify, .operands = { { .name = "FILE.plc", .value = PL_VALUE_FILE } } },
	{ 0 },
};
