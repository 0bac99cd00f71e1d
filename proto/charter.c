#include "proto/charter.h"

#include <string.h>

#include "crypto/labels.h"
#include "proto/mp.h"
#include "proto/text.h"

/* Elements of each part at its largest: the token arrays on the stack hold so many and no more. */
#define SIGNATURES_TOKENS (1 + 3 * PL_KEYS_PER_ROLE_MAX)
#define SIGNATURES_BYTES_MAX (1 + PL_KEYS_PER_ROLE_MAX * (4 + PL_SIGN_BYTES))
#define CHARTER_TOKENS (3 + PL_MEMBERS_MAX)
#define BODY_TOKENS (6 + PL_MEMBERS_MAX)

static void hash_body(const uint8_t *body, size_t body_bytes, uint8_t network_id[PL_ID_BYTES])
{
	const struct pl_part part = { body, body_bytes };

	/* PROTOCOL: "The network id is BLAKE2b-256 over the label parley/v1/network and the charter's body." */
	pl_hash(PL_LABEL_NETWORK, sizeof(PL_LABEL_NETWORK), &part, 1, network_id);
}

/* Borrowed views of a charter document; each sheet and each list of signatures is a document of its own, so that no list of tokens grows
 * with the number of members times what a member may have. */
struct charter_view {
	struct pl_bytes body;
	uint16_t members_count;
	struct pl_bytes signatures[PL_MEMBERS_MAX], sheets[PL_MEMBERS_MAX];
	uint64_t created_ms;
	char name[PL_NAME_BYTES_MAX + 1];
};

/* Reads an array of bins. */
static uint16_t take_list(struct pl_mp_cursor *cursor, size_t bytes_max, struct pl_bytes out[PL_MEMBERS_MAX])
{
	uint32_t count = pl_mp_enter_array(cursor, 1, PL_MEMBERS_MAX);

	for (uint32_t i = 0; i < count; i++)
		out[i].bytes = pl_mp_take_bin(cursor, 1, bytes_max, &out[i].count);
	return (uint16_t)count;
}

static enum pl_err view_body(struct charter_view *view)
{
	struct pl_mp_token tokens[BODY_TOKENS];
	struct pl_mp_cursor cursor;
	size_t tokens_count, name_bytes;
	const char *name;
	enum pl_err err = pl_mp_parse(view->body.bytes, view->body.count, tokens, BODY_TOKENS, &tokens_count);

	if (err != PL_OK)
		return err;
	pl_mp_cursor_init(&cursor, tokens, tokens_count);
	pl_mp_enter_versioned(&cursor, PL_CHARTER_VERSION, 5);
	/* PROTOCOL: "A genesis charter has epoch 0; another epoch is a later version's, and refused as such." */
	if (pl_mp_take_uint(&cursor, UINT32_MAX) != 0 && cursor.err == PL_OK)
		cursor.err = PL_ERR_VERSION;
	view->created_ms = pl_mp_take_uint(&cursor, UINT64_MAX);
	name = pl_mp_take_str(&cursor, PL_NAME_BYTES_MAX, &name_bytes);
	if (cursor.err == PL_OK && !pl_text_is_name(name, name_bytes))
		cursor.err = PL_ERR_FORMAT;
	memcpy(view->name, name, name_bytes);
	view->name[name_bytes] = 0;
	/* PROTOCOL: "There is one list of signatures for each sheet, in the order of the sheets; a list may be empty." */
	if (take_list(&cursor, PL_SHEET_BYTES_MAX, view->sheets) != view->members_count && cursor.err == PL_OK)
		cursor.err = PL_ERR_FORMAT;
	return pl_mp_finish(&cursor);
}

static enum pl_err view_charter(const uint8_t *document, size_t document_bytes, struct charter_view *view)
{
	struct pl_mp_token tokens[CHARTER_TOKENS];
	struct pl_mp_cursor cursor;
	size_t tokens_count;
	enum pl_err err;

	if (document_bytes > PL_CHARTER_BYTES_MAX)
		return PL_ERR_LIMIT;
	err = pl_mp_parse(document, document_bytes, tokens, CHARTER_TOKENS, &tokens_count);
	if (err != PL_OK)
		return err;
	pl_mp_cursor_init(&cursor, tokens, tokens_count);
	pl_mp_enter_array(&cursor, 2, 2);
	view->body.bytes = pl_mp_take_bin(&cursor, 1, PL_CHARTER_BYTES_MAX, &view->body.count);
	view->members_count = take_list(&cursor, SIGNATURES_BYTES_MAX, view->signatures);
	err = pl_mp_finish(&cursor);
	return err == PL_OK ? view_body(view) : err;
}

static enum pl_err read_signatures(const struct pl_bytes *list, struct pl_signatures *out)
{
	struct pl_mp_token tokens[SIGNATURES_TOKENS];
	struct pl_mp_cursor cursor;
	size_t tokens_count;
	enum pl_err err = pl_mp_parse(list->bytes, list->count, tokens, SIGNATURES_TOKENS, &tokens_count);

	if (err != PL_OK)
		return err;
	pl_mp_cursor_init(&cursor, tokens, tokens_count);
	pl_signatures_take(&cursor, out);
	return pl_mp_finish(&cursor);
}

static enum pl_err check_founding(const struct pl_bytes *list, const uint8_t network_id[PL_ID_BYTES], const struct pl_member *member,
                                  bool *is_signed, uint8_t *count)
{
	struct pl_signatures signatures;
	uint8_t signed_keys;
	enum pl_err err = read_signatures(list, &signatures);

	if (err == PL_OK)
		err = pl_signatures_check(PL_LABEL_CHARTER, sizeof(PL_LABEL_CHARTER), network_id, &signatures, &member->root, &signed_keys);
	if (err != PL_OK)
		return err;
	*is_signed = pl_signatures_meet_threshold(&signatures, &member->root);
	for (*count = 0; signed_keys != 0; signed_keys &= (uint8_t)(signed_keys - 1))
		(*count)++;
	return PL_OK;
}

static void name_fault(char at[PL_MEMBER_CODE_BYTES + 1], const char *code)
{
	memcpy(at, code, PL_MEMBER_CODE_BYTES + 1);
}

/* PROTOCOL: "A certificate that ended before the charter was made certifies nothing in it." */
static enum pl_err check_ends(const struct pl_member *member, const struct pl_charter_node *nodes, uint64_t created_ms)
{
	for (uint8_t i = 0; i < member->nodes_count; i++)
		if (nodes[i].certificate.valid_until_ms <= created_ms)
			return PL_ERR_EXPIRED;
	return PL_OK;
}

/* Member index, with its nodes behind those of the members before. */
static enum pl_err read_member(const struct charter_view *view, uint16_t index, struct pl_charter *out)
{
	struct pl_member *member = &out->members[index];
	struct pl_charter_node *nodes = &out->nodes[out->nodes_count];
	enum pl_err err = pl_sheet_read(view->sheets[index].bytes, view->sheets[index].count, member, nodes);

	if (err != PL_OK)
		return err;
	for (uint16_t i = 0; i < index; i++)
		if (pl_members_clash(member, nodes, &out->members[i], &out->nodes[out->members[i].first_node]))
			return PL_ERR_EXISTS;
	/* PROTOCOL: "Sheets stand in ascending order of code." */
	if (index > 0 && strcmp(out->members[index - 1].code, member->code) > 0)
		return PL_ERR_FORMAT;
	err = check_ends(member, nodes, view->created_ms);
	if (err != PL_OK)
		return err;
	for (uint8_t i = 0; i < member->nodes_count; i++)
		nodes[i].member = index;
	member->first_node = out->nodes_count;
	out->nodes_count = (uint16_t)(out->nodes_count + member->nodes_count);
	out->members_count++;
	return PL_OK;
}

enum pl_err pl_charter_read_unsigned(const uint8_t *document, size_t document_bytes, struct pl_charter *out,
                                     bool signed_by[PL_MEMBERS_MAX], char at[PL_MEMBER_CODE_BYTES + 1])
{
	struct charter_view view;
	enum pl_err err;

	at[0] = 0;
	err = view_charter(document, document_bytes, &view);
	if (err != PL_OK)
		return err;
	hash_body(view.body.bytes, view.body.count, out->network_id);
	out->epoch = 0;
	out->created_ms = view.created_ms;
	memcpy(out->name, view.name, sizeof(out->name));
	out->members_count = out->nodes_count = 0;
	for (uint16_t i = 0; i < view.members_count; i++) {
		err = read_member(&view, i, out);
		if (err == PL_OK)
			err = check_founding(&view.signatures[i], out->network_id, &out->members[i], &signed_by[i], &out->signatures[i]);
		if (err != PL_OK) {
			name_fault(at, out->members[i].code);
			return err;
		}
	}
	return PL_OK;
}

enum pl_err pl_charter_read(const uint8_t *document, size_t document_bytes, struct pl_charter *out, char at[PL_MEMBER_CODE_BYTES + 1])
{
	bool signed_by[PL_MEMBERS_MAX];
	enum pl_err err = pl_charter_read_unsigned(document, document_bytes, out, signed_by, at);

	if (err != PL_OK)
		return err;
	/* PROTOCOL: "A charter is in force when every member's root threshold has signed it." */
	for (uint16_t i = 0; i < out->members_count; i++)
		if (!signed_by[i]) {
			name_fault(at, out->members[i].code);
			return PL_ERR_SIGNATURE;
		}
	return PL_OK;
}

struct charter_source {
	const char *name;
	uint64_t created_ms;
	const struct pl_bytes *sheets;
	const uint16_t *order; /* of the sheets, by code */
	size_t sheets_count;
};

static void put_body(struct pl_mp_writer *writer, const struct charter_source *from)
{
	pl_mp_put_array(writer, 5);
	pl_mp_put_uint(writer, PL_CHARTER_VERSION);
	pl_mp_put_uint(writer, 0);
	pl_mp_put_uint(writer, from->created_ms);
	pl_mp_put_str(writer, from->name, strlen(from->name));
	pl_mp_put_array(writer, (uint32_t)from->sheets_count);
	for (size_t i = 0; i < from->sheets_count; i++)
		pl_mp_put_bin(writer, from->sheets[from->order[i]].bytes, from->sheets[from->order[i]].count);
}

/* Sheet i, which has been read, against those before. Each of these is read once more for it: there is no room to keep them all. */
static enum pl_err check_earlier(const struct pl_bytes *sheets, size_t i, const struct pl_member *member,
                                 const struct pl_charter_node *nodes)
{
	for (size_t j = 0; j < i; j++) {
		struct pl_member other;
		struct pl_charter_node other_nodes[PL_NODES_PER_MEMBER_MAX];
		enum pl_err err = pl_sheet_read_form(sheets[j].bytes, sheets[j].count, &other, other_nodes);

		if (err != PL_OK)
			return err;
		if (pl_members_clash(member, nodes, &other, other_nodes))
			return PL_ERR_EXISTS;
	}
	return PL_OK;
}

/* Checks every sheet by itself and against the others, and finds their order by code. */
static enum pl_err sort_sheets(const struct pl_bytes *sheets, size_t sheets_count, uint64_t created_ms, uint16_t order[PL_MEMBERS_MAX],
                               char at[PL_MEMBER_CODE_BYTES + 1])
{
	char codes[PL_MEMBERS_MAX][PL_MEMBER_CODE_BYTES + 1];

	for (size_t i = 0; i < sheets_count; i++) {
		struct pl_member member;
		struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
		size_t place = i;
		enum pl_err err = pl_sheet_read(sheets[i].bytes, sheets[i].count, &member, nodes);

		if (err == PL_OK)
			err = check_earlier(sheets, i, &member, nodes);
		if (err == PL_OK)
			err = check_ends(&member, nodes, created_ms);
		if (err != PL_OK) {
			name_fault(at, member.code);
			return err;
		}
		memcpy(codes[i], member.code, sizeof(codes[i]));
		for (; place > 0 && strcmp(codes[order[place - 1]], codes[i]) > 0; place--)
			order[place] = order[place - 1];
		order[place] = (uint16_t)i;
	}
	return PL_OK;
}

enum pl_err pl_charter_make(const char *name, uint64_t created_ms, const struct pl_bytes *sheets, size_t sheets_count, uint8_t *out,
                            size_t out_max, size_t *out_bytes, char at[PL_MEMBER_CODE_BYTES + 1])
{
	uint16_t order[PL_MEMBERS_MAX];
	const struct charter_source source = { name, created_ms, sheets, order, sheets_count };
	struct pl_mp_writer measure, writer;
	enum pl_err err;

	at[0] = 0;
	if (sheets_count == 0 || !pl_text_is_name(name, strlen(name)))
		return PL_ERR_FORMAT;
	if (sheets_count > PL_MEMBERS_MAX)
		return PL_ERR_LIMIT;
	err = sort_sheets(sheets, sheets_count, created_ms, order, at);
	if (err != PL_OK)
		return err;

	pl_mp_writer_init(&measure, NULL, PL_CHARTER_BYTES_MAX);
	put_body(&measure, &source);
	if (measure.err != PL_OK)
		return PL_ERR_LIMIT;
	pl_mp_writer_init(&writer, out, out_max);
	pl_mp_put_array(&writer, 2);
	pl_mp_begin_bin(&writer, measure.count);
	put_body(&writer, &source);
	pl_mp_put_array(&writer, (uint32_t)sheets_count);
	for (size_t i = 0; i < sheets_count; i++) {
		pl_mp_begin_bin(&writer, 1);
		pl_mp_put_array(&writer, 0);
	}
	if (writer.err == PL_OK)
		*out_bytes = writer.count;
	return writer.err;
}

/* Whose root key this is, and which. PL_ERR_UNKNOWN. */
static enum pl_err find_root(const struct charter_view *view, const uint8_t public_key[PL_SIGN_PUBLIC_BYTES], uint16_t *member_index,
                             uint8_t *key_index)
{
	for (uint16_t i = 0; i < view->members_count; i++) {
		struct pl_member member;
		enum pl_err err = pl_sheet_read_form(view->sheets[i].bytes, view->sheets[i].count, &member, NULL);

		if (err != PL_OK)
			return err;
		for (uint8_t k = 0; k < member.root.count; k++)
			if (memcmp(member.root.keys[k], public_key, PL_SIGN_PUBLIC_BYTES) == 0) {
				*member_index = i;
				*key_index = k;
				return PL_OK;
			}
	}
	return PL_ERR_UNKNOWN;
}

enum pl_err pl_charter_sign(const uint8_t *document, size_t document_bytes, const uint8_t secret_key[PL_SIGN_SECRET_BYTES], uint8_t *out,
                            size_t out_max, size_t *out_bytes)
{
	struct charter_view view;
	struct pl_signatures signatures;
	uint8_t network_id[PL_ID_BYTES], signature[PL_SIGN_BYTES], list[SIGNATURES_BYTES_MAX], key_index;
	const struct pl_part part = { network_id, PL_ID_BYTES };
	uint16_t member_index;
	struct pl_mp_writer writer, list_writer;
	enum pl_err err = view_charter(document, document_bytes, &view);

	if (err == PL_OK)
		err = find_root(&view, secret_key + PL_SIGN_SECRET_BYTES - PL_SIGN_PUBLIC_BYTES, &member_index, &key_index);
	if (err == PL_OK)
		err = read_signatures(&view.signatures[member_index], &signatures);
	if (err != PL_OK)
		return err;
	hash_body(view.body.bytes, view.body.count, network_id);
	pl_sign(PL_LABEL_CHARTER, sizeof(PL_LABEL_CHARTER), &part, 1, secret_key, signature);
	err = pl_signatures_insert(&signatures, key_index, signature);
	if (err != PL_OK)
		return err;
	pl_mp_writer_init(&list_writer, list, sizeof(list));
	pl_signatures_put(&list_writer, &signatures);
	view.signatures[member_index] = (struct pl_bytes){ list, list_writer.count };

	pl_mp_writer_init(&writer, out, out_max);
	pl_mp_put_array(&writer, 2);
	pl_mp_put_bin(&writer, view.body.bytes, view.body.count);
	pl_mp_put_array(&writer, view.members_count);
	for (uint16_t i = 0; i < view.members_count; i++)
		pl_mp_put_bin(&writer, view.signatures[i].bytes, view.signatures[i].count);
	if (writer.err == PL_OK)
		*out_bytes = writer.count;
	return writer.err;
}

/* --- lookups --- */

uint16_t pl_charter_find_node(const struct pl_charter *charter, const uint8_t node_id[PL_NODE_ID_BYTES])
{
	for (uint16_t i = 0; i < charter->nodes_count; i++)
		if (memcmp(charter->nodes[i].certificate.node_id, node_id, PL_NODE_ID_BYTES) == 0)
			return i;
	return PL_NODE_NONE;
}

uint16_t pl_charter_find_noise(const struct pl_charter *charter, const uint8_t noise_public[32])
{
	for (uint16_t i = 0; i < charter->nodes_count; i++)
		if (memcmp(charter->nodes[i].certificate.noise_public, noise_public, 32) == 0)
			return i;
	return PL_NODE_NONE;
}

int pl_charter_find_member(const struct pl_charter *charter, const char *code)
{
	for (uint16_t i = 0; i < charter->members_count; i++)
		if (strcmp(charter->members[i].code, code) == 0)
			return i;
	return -1;
}

/* PROTOCOL: "A member's first node is called by the member's code, the second and third by the code with .2 and .3 behind it." */
uint16_t pl_charter_find_name(const struct pl_charter *charter, const char *node_name)
{
	char code[PL_MEMBER_CODE_BYTES + 1] = { 0 };
	const char *rest = node_name + PL_MEMBER_CODE_BYTES;
	uint16_t place = 0;
	int member;

	if (strlen(node_name) < PL_MEMBER_CODE_BYTES)
		return PL_NODE_NONE;
	memcpy(code, node_name, PL_MEMBER_CODE_BYTES);
	member = pl_charter_find_member(charter, code);
	if (rest[0] == '.' && rest[1] >= '2' && rest[1] <= '9' && rest[2] == 0)
		place = (uint16_t)(rest[1] - '1');
	else if (rest[0])
		return PL_NODE_NONE;
	if (member < 0 || place >= charter->members[member].nodes_count)
		return PL_NODE_NONE;
	return (uint16_t)(charter->members[member].first_node + place);
}

struct pl_envelope_ctx pl_charter_envelope_ctx(const struct pl_charter *charter, uint16_t author, uint8_t kind)
{
	struct pl_envelope_ctx ctx = { .kind = kind };

	memcpy(ctx.network_id, charter->network_id, sizeof(ctx.network_id));
	memcpy(ctx.author, charter->nodes[author].certificate.node_id, sizeof(ctx.author));
	return ctx;
}

void pl_charter_node_name(const struct pl_charter *charter, uint16_t node, char name[PL_NODE_NAME_BYTES])
{
	const struct pl_member *member = &charter->members[charter->nodes[node].member];
	uint16_t place = (uint16_t)(node - member->first_node);

	memcpy(name, member->code, PL_MEMBER_CODE_BYTES + 1);
	if (place > 0) {
		name[PL_MEMBER_CODE_BYTES] = '.';
		name[PL_MEMBER_CODE_BYTES + 1] = (char)('1' + place);
		name[PL_MEMBER_CODE_BYTES + 2] = 0;
	}
}
