#include "node/cli/papers.h"

#include <stdlib.h>
#include <string.h>

#include "node/proof.h"
#include "proto/text.h"

/* RFC 9106, section 4: the second recommended choice, for machines that have no memory for the first. */
#define COST_SMALL ((struct pl_keyfile_cost){ 3, 65536 })

struct pl_keyfile_cost pl_paper_cost(const struct pl_args *args, struct pl_keyfile_cost otherwise)
{
	const char *name = pl_args_get(args, "cost");
	if (name == NULL)
		return otherwise;
	return strcmp(name, "root") == 0 ? PL_KEYFILE_COST_ROOT : strcmp(name, "node") == 0 ? PL_KEYFILE_COST_NODE : COST_SMALL;
}

char *pl_paper_public_path(const char *key_path)
{
	size_t count = strlen(key_path);
	if (count > 4 && strcmp(key_path + count - 4, ".key") == 0)
		count -= 4;
	return pl_format("%.*s.pub", (int)count, key_path);
}

enum pl_exit pl_paper_check_name(const struct pl_cli *cli, const char *what, const char *name)
{
	if (pl_text_is_name(name, strlen(name)))
		return PL_EXIT_OK;
	return pl_error(cli, PL_EXIT_USAGE, NULL, "\"%s\" cannot be a %s: it is 1 to %d bytes of UTF-8 on one line, without control characters",
	                name, what, PL_NAME_BYTES_MAX);
}

enum pl_exit pl_paper_check_code(const struct pl_cli *cli, const char *code)
{
	if (pl_member_code_is_valid(code, strlen(code)))
		return PL_EXIT_OK;
	return pl_error(cli, PL_EXIT_USAGE, "states have their ISO 3166-1 alpha-3 code, FIN for Finland",
	                "\"%s\" is not a member's code: three capitals",
	                code);
}

static const char *role_name(uint8_t role)
{
	switch (role) {
	case PL_ROLE_STATE: return "state";
	case PL_ROLE_OBSERVER: return "observer";
	case PL_ROLE_ARBITER: return "arbiter";
	case PL_ROLE_AUDITOR: return "auditor";
	default: return "unknown";
	}
}

enum pl_exit pl_paper_read(const struct pl_cli *cli, const char *path, size_t bytes_max, struct pl_bytes *out)
{
	char why[PL_WHY_BYTES];
	uint8_t *bytes;
	size_t count;
	enum pl_err err = pl_input_read(path, bytes_max, &bytes, &count, why, sizeof(why));
	if (err != PL_OK)
		return pl_file_error(cli, err, why);
	uint8_t *kept = pl_alloc(count + 1);
	memcpy(kept, bytes, count);
	free(bytes);
	*out = (struct pl_bytes){ kept, count };
	return PL_EXIT_OK;
}

const char *pl_paper_kind(const struct pl_bytes *bytes)
{
	char why[PL_WHY_BYTES], at[PL_MEMBER_CODE_BYTES + 1] = "";
	struct pl_public_key key;
	struct pl_member member;
	struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	struct pl_certificate certificate;
	struct pl_proof proof;
	uint8_t signed_keys;
	bool signed_by[PL_MEMBERS_MAX];
	if (bytes->count >= 4 && memcmp(bytes->bytes, "PLK1", 4) == 0)
		return "a secret key";
	if (pl_key_parse_public("", bytes->bytes, bytes->count, &key, why, sizeof(why)) == PL_OK)
		return "the public part of a key";
	if (pl_sheet_read_unsigned(bytes->bytes, bytes->count, &member, nodes, &signed_keys) == PL_OK)
		return "a member's sheet";
	if (pl_certificate_read(bytes->bytes, bytes->count, &certificate, at) == PL_OK)
		return "a certificate";
	if (pl_charter_read_unsigned(bytes->bytes, bytes->count, pl_alloc(sizeof(struct pl_charter)), signed_by, at) == PL_OK)
		return "a charter";
	return pl_proof_read(bytes->bytes, bytes->count, &proof) == PL_OK ? "a proof" : NULL;
}

char *pl_paper_codes(const struct pl_charter *charter, const bool signed_by[PL_MEMBERS_MAX], bool wanted)
{
	char *list = pl_format("%s", "");
	for (uint16_t i = 0; i < charter->members_count; i++) {
		if (signed_by[i] != wanted)
			continue;
		list = pl_format("%s%s%s", list, list[0] == '\0' ? "" : ", ", charter->members[i].code);
		if (!wanted && charter->signatures[i] > 0)
			list = pl_format("%s (%u of %u root keys)", list, (unsigned)charter->signatures[i], (unsigned)charter->members[i].root.threshold);
	}
	return list;
}

static enum pl_exit charter_error(const struct pl_cli *cli, const char *path, const struct pl_bytes *bytes, enum pl_err err, const char *at)
{
	const char *kind = pl_paper_kind(bytes), *of = at[0] == '\0' ? "" : pl_format(" of %s", at);
	switch ((int)err) {
	case PL_ERR_SIGNATURE:
		return pl_error(cli, PL_EXIT_UNVERIFIED, "it was changed after it was signed; get it again from who made it",
		                "%s: does not hold: a signature%s does not fit what stands there", path, of);
	case PL_ERR_EXISTS:
		return pl_error(cli, PL_EXIT_UNVERIFIED, NULL, "%s: does not hold: something%s stands twice (code, key, node or address)", path, of);
	case PL_ERR_EXPIRED:
		return pl_error(cli, PL_EXIT_UNVERIFIED, NULL, "%s: does not hold: a certificate%s had ended before the charter was made", path, of);
	case PL_ERR_VERSION:
		return pl_error(cli, PL_EXIT_INPUT, "a newer parley may read it", "%s: is a charter of a version that this parley does not know", path);
	default: break;
	}
	if (kind != NULL)
		return pl_error(cli, PL_EXIT_INPUT, "`parley charter new` makes a charter of sheets", "%s: is %s, not a charter", path, kind);
	return pl_error(cli, PL_EXIT_INPUT, NULL, "%s: is not a charter%s: %s", path, of, pl_err_str(err));
}

enum pl_exit pl_paper_read_charter(const struct pl_cli *cli, const char *path, struct pl_bytes *bytes, struct pl_charter **out,
                                   bool signed_by[PL_MEMBERS_MAX])
{
	struct pl_charter *charter = pl_alloc(sizeof(*charter));
	bool all_signed_by[PL_MEMBERS_MAX] = { false };
	char at[PL_MEMBER_CODE_BYTES + 1] = "";
	enum pl_exit exit = pl_paper_read(cli, path, PL_CHARTER_BYTES_MAX, bytes);
	if (exit != PL_EXIT_OK)
		return exit;
	path = pl_input_name(path);
	enum pl_err err = pl_charter_read_unsigned(bytes->bytes, bytes->count, charter, signed_by == NULL ? all_signed_by : signed_by, at);
	for (uint16_t i = 0; err == PL_OK && signed_by == NULL && i < charter->members_count; i++)
		if (!all_signed_by[i])
			return pl_error(cli, PL_EXIT_UNVERIFIED, pl_format("each signs with `parley charter sign %s --root FILE.key`", pl_quoted(path)),
			                "%s: is not signed by every member; missing: %s", path, pl_paper_codes(charter, all_signed_by, false));
	if (err == PL_OK && signed_by == NULL)
		err = pl_charter_read(bytes->bytes, bytes->count, charter, at);
	if (err != PL_OK)
		return charter_error(cli, path, bytes, err, at);
	*out = charter;
	return PL_EXIT_OK;
}

static char *node_name(const struct pl_member *member, size_t index)
{
	return index == 0 ? pl_format("%s", member->code) : pl_format("%s.%zu", member->code, index + 1);
}

static void print_keys(const char *label, const struct pl_key_set *set, uint8_t signed_keys, bool say_who)
{
	for (uint8_t i = 0; i < set->count; i++) {
		const char *mark = !say_who ? "" : (signed_keys >> i & 1) != 0 ? "  signed" : "  not signed";
		pl_out_field(i == 0 ? label : "", "%s%s", pl_hex_groups(set->keys[i], PL_SIGN_PUBLIC_BYTES), mark);
	}
	if (set->count > 1)
		pl_out_field("", "any %u of these %u", (unsigned)set->threshold, (unsigned)set->count);
}

static void print_node(const char *label, const struct pl_certificate *c)
{
	bool is_over = c->valid_until_ms <= (uint64_t)pl_now_ms();
	pl_out_field(label, "\"%s\", %s, generation %u", c->label, c->address[0] == '\0' ? "only dials out" : c->address, (unsigned)c->generation);
	pl_out_field("", "%s%s", is_over ? "EXPIRED " : "valid until ", pl_time_full((int64_t)c->valid_until_ms));
	pl_out_field("  id", "%s", pl_hex_groups(c->node_id, PL_NODE_ID_BYTES));
}

static bool is_same_set(const struct pl_key_set *a, const struct pl_key_set *b)
{
	return a->threshold == b->threshold && a->count == b->count && memcmp(a->keys, b->keys, a->count * sizeof(a->keys[0])) == 0;
}

void pl_paper_print_member(const struct pl_member *member, const struct pl_charter_node *nodes, uint8_t signed_keys)
{
	pl_out_styled(PL_BOLD, "%s", member->code);
	pl_out("%*s%s (%s)\n", 9, "", member->name, role_name(member->role));
	print_keys("  root", &member->root, signed_keys, signed_keys != 0xff);
	if (is_same_set(&member->root, &member->node_role))
		pl_out_field("  node role", "the root keys");
	else
		print_keys("  node role", &member->node_role, 0, false);
	for (uint8_t i = 0; i < member->nodes_count; i++)
		print_node(pl_format("  %s", node_name(member, i)), &nodes[i].certificate);
}

static json_t *key_set_json(const struct pl_key_set *set)
{
	json_t *keys = json_array();
	for (uint8_t i = 0; i < set->count; i++)
		json_array_append_new(keys, json_string(pl_hex(set->keys[i], PL_SIGN_PUBLIC_BYTES)));
	return json_pack("{s:i, s:o}", "threshold", (int)set->threshold, "keys", keys);
}

static json_t *node_json(const char *name, const struct pl_certificate *c)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s}", "name", name, "label", c->label, "id", pl_hex(c->node_id, PL_NODE_ID_BYTES),
	                 "noise_key", pl_hex(c->noise_public, 32), "generation", (json_int_t)c->generation, "address", c->address,
	                 "valid_from", pl_time_rfc3339((int64_t)c->valid_from_ms), "valid_until", pl_time_rfc3339((int64_t)c->valid_until_ms));
}

json_t *pl_paper_member_json(const struct pl_member *member, const struct pl_charter_node *nodes)
{
	json_t *list = json_array();
	for (uint8_t i = 0; i < member->nodes_count; i++)
		json_array_append_new(list, node_json(node_name(member, i), &nodes[i].certificate));
	return json_pack("{s:s, s:s, s:s, s:o, s:o, s:o}", "code", member->code, "name", member->name, "role", role_name(member->role),
	                 "root", key_set_json(&member->root), "node_role", key_set_json(&member->node_role), "nodes", list);
}

void pl_show_certificate(const struct pl_cli *cli, const struct pl_certificate *certificate, const char *code)
{
	if (cli->json) {
		json_t *document = node_json(code, certificate);
		json_object_del(document, "name"); /* its place among the member's nodes is known in the sheet only */
		json_object_set_new(document, "code", json_string(code));
		pl_out_json(document);
		return;
	}
	print_node(code, certificate);
}
