#include "proto/sheet.h"

#include <string.h>

#include "crypto/labels.h"
#include "proto/mp.h"
#include "proto/text.h"

/* Elements of each body at its largest: the token arrays on the stack hold so many and no more. */
#define CERTIFICATE_TOKENS 10
#define KEY_SET_TOKENS (3 + PL_KEYS_PER_ROLE_MAX)
#define SHEET_TOKENS (5 + 2 * KEY_SET_TOKENS + 1 + PL_NODES_PER_MEMBER_MAX)

static const struct pl_signatures unsigned_yet;

/* --- values --- */

bool pl_member_code_is_valid(const char *chars, size_t bytes)
{
	if (bytes != PL_MEMBER_CODE_BYTES)
		return false;
	for (size_t i = 0; i < bytes; i++)
		if (chars[i] < 'A' || chars[i] > 'Z')
			return false;
	return true;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_host_char(char c, bool v6)
{
	if (v6)
		return is_digit(c) || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
	return is_digit(c) || (c >= 'a' && c <= 'z') || c == '-' || c == '.';
}

bool pl_address_is_valid(const char *chars, size_t bytes)
{
	bool v6 = bytes > 0 && chars[0] == '[';
	size_t at = v6, start = at;
	uint32_t port = 0;

	if (bytes > PL_ADDRESS_BYTES_MAX)
		return false;
	while (at < bytes && is_host_char(chars[at], v6))
		at++;
	if (at == start || (!v6 && (chars[start] == '-' || chars[start] == '.')))
		return false;
	if (v6 && (at == bytes || chars[at++] != ']'))
		return false;
	if (at == bytes || chars[at++] != ':' || at == bytes || chars[at] == '0')
		return false;
	for (; at < bytes && is_digit(chars[at]) && port <= 65535; at++)
		port = port * 10 + (uint32_t)(chars[at] - '0');
	return at == bytes && port <= 65535;
}

static bool is_address_or_empty(const char *chars, size_t bytes)
{
	return bytes == 0 || pl_address_is_valid(chars, bytes);
}

/* A string that passes is_valid, copied with a NUL into out of max + 1 bytes; empty on an error. */
static void take_string(struct pl_mp_cursor *cursor, size_t max, bool (*is_valid)(const char *, size_t), char *out)
{
	size_t bytes;
	const char *chars = pl_mp_take_str(cursor, max, &bytes);

	if (cursor->err == PL_OK && !is_valid(chars, bytes))
		cursor->err = PL_ERR_FORMAT;
	if (cursor->err != PL_OK)
		bytes = 0;
	memcpy(out, chars, bytes);
	out[bytes] = 0;
}

static void put_string(struct pl_mp_writer *writer, const char *string)
{
	pl_mp_put_str(writer, string, strlen(string));
}

/* PROTOCOL: "A code is three capital letters of ASCII." */
static void take_code(struct pl_mp_cursor *cursor, char out[PL_MEMBER_CODE_BYTES + 1])
{
	take_string(cursor, PL_MEMBER_CODE_BYTES, pl_member_code_is_valid, out);
}

/* PROTOCOL: "A name is a line of 1 to 64 bytes with no space at either end." */
static void take_name(struct pl_mp_cursor *cursor, char out[PL_NAME_BYTES_MAX + 1])
{
	take_string(cursor, PL_NAME_BYTES_MAX, pl_text_is_name, out);
}

/* --- certificates --- */

struct certificate_source {
	const struct pl_certificate *certificate;
	const char *code;
};

static void put_certificate_body(struct pl_mp_writer *writer, const void *source)
{
	const struct certificate_source *from = source;

	pl_mp_put_array(writer, 9);
	pl_mp_put_uint(writer, PL_CHARTER_VERSION);
	put_string(writer, from->code);
	put_string(writer, from->certificate->label);
	pl_mp_put_bin(writer, from->certificate->node_id, PL_NODE_ID_BYTES);
	pl_mp_put_bin(writer, from->certificate->noise_public, 32);
	pl_mp_put_uint(writer, from->certificate->generation);
	pl_mp_put_uint(writer, from->certificate->valid_from_ms);
	pl_mp_put_uint(writer, from->certificate->valid_until_ms);
	put_string(writer, from->certificate->address);
}

static enum pl_err read_certificate_body(const struct pl_bytes *body, struct pl_certificate *out, char code[PL_MEMBER_CODE_BYTES + 1])
{
	struct pl_mp_token tokens[CERTIFICATE_TOKENS];
	struct pl_mp_cursor cursor;
	size_t tokens_count;
	enum pl_err err = pl_mp_parse(body->bytes, body->count, tokens, CERTIFICATE_TOKENS, &tokens_count);

	if (err != PL_OK)
		return err;
	pl_mp_cursor_init(&cursor, tokens, tokens_count);
	pl_mp_enter_versioned(&cursor, PL_CHARTER_VERSION, 9);
	take_code(&cursor, code);
	take_name(&cursor, out->label);
	pl_mp_take_fixed(&cursor, out->node_id, PL_NODE_ID_BYTES);
	pl_mp_take_fixed(&cursor, out->noise_public, 32);
	out->generation = (uint32_t)pl_mp_take_uint(&cursor, UINT32_MAX);
	out->valid_from_ms = pl_mp_take_uint(&cursor, UINT64_MAX);
	out->valid_until_ms = pl_mp_take_uint(&cursor, UINT64_MAX);
	/* PROTOCOL: "An address is empty, for a node that only dials out, or host:port in lower case, the host a name, an IPv4 address or
	 * an IPv6 address in brackets, the port decimal from 1 to 65535 without leading zeros." */
	take_string(&cursor, PL_ADDRESS_BYTES_MAX, is_address_or_empty, out->address);
	err = pl_mp_finish(&cursor);
	if (err != PL_OK)
		return err;
	if (out->generation == 0)
		return PL_ERR_FORMAT;
	/* PROTOCOL: "A certificate ends after it begins, and at most 367 days after." */
	if (out->valid_until_ms <= out->valid_from_ms)
		return PL_ERR_FORMAT;
	if (out->valid_until_ms - out->valid_from_ms > PL_CERTIFICATE_MS_MAX)
		return PL_ERR_LIMIT;
	return PL_OK;
}

enum pl_err pl_certificate_read(const uint8_t *document, size_t document_bytes, struct pl_certificate *certificate,
                                char code[PL_MEMBER_CODE_BYTES + 1])
{
	struct pl_document d;
	struct pl_certificate read;
	char read_code[PL_MEMBER_CODE_BYTES + 1];
	enum pl_err err = pl_document_split(document, document_bytes, PL_CERTIFICATE_BYTES_MAX, &d);

	if (err == PL_OK)
		err = read_certificate_body(&d.body, &read, read_code);
	if (err != PL_OK)
		return err;
	*certificate = read;
	memcpy(code, read_code, sizeof(read_code));
	return PL_OK;
}

enum pl_err pl_certificate_make(const struct pl_certificate *certificate, const char code[PL_MEMBER_CODE_BYTES + 1], uint8_t *out,
                                size_t out_max, size_t *out_bytes)
{
	const struct certificate_source source = { certificate, code };
	struct pl_mp_writer writer;
	struct pl_certificate read;
	char read_code[PL_MEMBER_CODE_BYTES + 1];
	enum pl_err err;

	pl_mp_writer_init(&writer, out, out_max);
	pl_document_put(&writer, put_certificate_body, &source, &unsigned_yet);
	err = writer.err;
	if (err == PL_OK)
		err = pl_certificate_read(out, writer.count, &read, read_code);
	if (err == PL_OK)
		*out_bytes = writer.count;
	return err;
}

/* --- what must be one member's or one node's alone --- */

static bool is_role_key(const struct pl_member *member, const uint8_t key[PL_SIGN_PUBLIC_BYTES])
{
	return pl_key_set_has(&member->root, key) || pl_key_set_has(&member->node_role, key);
}

static bool sets_clash(const struct pl_key_set *set, const struct pl_member *other)
{
	for (uint8_t i = 0; i < set->count; i++)
		if (is_role_key(other, set->keys[i]))
			return true;
	return false;
}

/* An address that is empty is none. */
static bool nodes_clash(const struct pl_certificate *a, const struct pl_certificate *b)
{
	return memcmp(a->node_id, b->node_id, PL_NODE_ID_BYTES) == 0 || memcmp(a->noise_public, b->noise_public, 32) == 0 ||
		(a->address[0] && strcmp(a->address, b->address) == 0);
}

bool pl_members_clash(const struct pl_member *a, const struct pl_charter_node *a_nodes, const struct pl_member *b,
                      const struct pl_charter_node *b_nodes)
{
	/* PROTOCOL: "Codes, role keys, node ids, Noise keys and addresses belong to one member alone." */
	if (strcmp(a->code, b->code) == 0 || sets_clash(&a->root, b) || sets_clash(&a->node_role, b))
		return true;
	for (uint8_t i = 0; i < a->nodes_count; i++) {
		if (is_role_key(b, a_nodes[i].certificate.node_id))
			return true;
		for (uint8_t j = 0; j < b->nodes_count; j++)
			if (nodes_clash(&a_nodes[i].certificate, &b_nodes[j].certificate))
				return true;
	}
	for (uint8_t j = 0; j < b->nodes_count; j++)
		if (is_role_key(a, b_nodes[j].certificate.node_id))
			return true;
	return false;
}

/* --- sheets --- */

struct sheet_source {
	const struct pl_member *member;
	const struct pl_bytes *certificates;
	size_t certificates_count;
};

static void put_sheet_body(struct pl_mp_writer *writer, const void *source)
{
	const struct sheet_source *from = source;

	pl_mp_put_array(writer, 7);
	pl_mp_put_uint(writer, PL_CHARTER_VERSION);
	put_string(writer, from->member->code);
	put_string(writer, from->member->name);
	pl_mp_put_uint(writer, from->member->role);
	pl_key_set_put(writer, &from->member->root);
	pl_key_set_put(writer, &from->member->node_role);
	pl_mp_put_array(writer, (uint32_t)from->certificates_count);
	for (size_t i = 0; i < from->certificates_count; i++)
		pl_mp_put_bin(writer, from->certificates[i].bytes, from->certificates[i].count);
}

static enum pl_err check_certificate_signatures(const struct pl_document *document, const struct pl_key_set *node_role)
{
	uint8_t hash[PL_HASH_BYTES], signed_keys;
	enum pl_err err;

	pl_document_hash(PL_DOCUMENT_CERTIFICATE, document->body.bytes, document->body.count, hash);
	err = pl_signatures_check(PL_LABEL_CERTIFICATE, sizeof(PL_LABEL_CERTIFICATE), hash, &document->signatures, node_role, &signed_keys);
	if (err == PL_OK && !pl_signatures_meet_threshold(&document->signatures, node_role))
		err = PL_ERR_SIGNATURE;
	return err;
}

static enum pl_err read_certificates(const struct pl_bytes *documents, const struct pl_member *member, bool check,
                                     struct pl_charter_node *nodes)
{
	for (uint8_t i = 0; i < member->nodes_count; i++) {
		struct pl_certificate *certificate = &nodes[i].certificate;
		struct pl_document d;
		char code[PL_MEMBER_CODE_BYTES + 1];
		enum pl_err err = pl_document_split(documents[i].bytes, documents[i].count, PL_CERTIFICATE_BYTES_MAX, &d);

		if (err == PL_OK)
			err = read_certificate_body(&d.body, certificate, code);
		if (err != PL_OK)
			return err;
		/* PROTOCOL: "A certificate names its member, and stands in no other member's sheet." */
		if (strcmp(code, member->code))
			return PL_ERR_FORMAT;
		for (uint8_t j = 0; j < i; j++)
			if (nodes_clash(certificate, &nodes[j].certificate))
				return PL_ERR_EXISTS;
		/* PROTOCOL: "A node's id is nobody's root or node-role key." */
		if (is_role_key(member, certificate->node_id))
			return PL_ERR_EXISTS;
		err = check ? check_certificate_signatures(&d, &member->node_role) : PL_OK;
		if (err != PL_OK)
			return err;
		nodes[i].member = 0;
	}
	return PL_OK;
}

/* nodes may be NULL; check: their signatures too. */
static enum pl_err read_sheet_body(const struct pl_bytes *body, bool check, struct pl_member *member, struct pl_charter_node *nodes)
{
	struct pl_mp_token tokens[SHEET_TOKENS];
	struct pl_mp_cursor cursor;
	struct pl_bytes certificates[PL_NODES_PER_MEMBER_MAX];
	size_t tokens_count;
	enum pl_err err = pl_mp_parse(body->bytes, body->count, tokens, SHEET_TOKENS, &tokens_count);

	if (err != PL_OK)
		return err;
	pl_mp_cursor_init(&cursor, tokens, tokens_count);
	pl_mp_enter_versioned(&cursor, PL_CHARTER_VERSION, 7);
	take_code(&cursor, member->code);
	take_name(&cursor, member->name);
	member->role = (uint8_t)pl_mp_take_uint(&cursor, PL_ROLE_AUDITOR);
	if (cursor.err == PL_OK && member->role < PL_ROLE_STATE)
		cursor.err = PL_ERR_FORMAT;
	pl_key_set_take(&cursor, &member->root);
	pl_key_set_take(&cursor, &member->node_role);
	/* PROTOCOL: "A member has one to three nodes." */
	member->nodes_count = (uint8_t)pl_mp_enter_array(&cursor, 1, PL_NODES_PER_MEMBER_MAX);
	member->first_node = 0;
	for (uint8_t i = 0; i < member->nodes_count; i++)
		certificates[i].bytes = pl_mp_take_bin(&cursor, 1, PL_CERTIFICATE_BYTES_MAX, &certificates[i].count);
	err = pl_mp_finish(&cursor);
	return err == PL_OK && nodes ? read_certificates(certificates, member, check, nodes) : err;
}

enum pl_err pl_sheet_read_form(const uint8_t *document, size_t document_bytes, struct pl_member *member, struct pl_charter_node *nodes)
{
	struct pl_document d;
	enum pl_err err = pl_document_split(document, document_bytes, PL_SHEET_BYTES_MAX, &d);

	member->code[0] = 0;
	return err == PL_OK ? read_sheet_body(&d.body, false, member, nodes) : err;
}

/* complete: the threshold must be met. */
static enum pl_err read_sheet(const uint8_t *document, size_t document_bytes, bool complete, struct pl_member *member,
                              struct pl_charter_node *nodes, uint8_t *signed_keys)
{
	struct pl_document d;
	uint8_t hash[PL_HASH_BYTES];
	enum pl_err err = pl_document_split(document, document_bytes, PL_SHEET_BYTES_MAX, &d);

	member->code[0] = 0;
	if (err == PL_OK)
		err = read_sheet_body(&d.body, true, member, nodes);
	if (err != PL_OK)
		return err;
	pl_document_hash(PL_DOCUMENT_SHEET, d.body.bytes, d.body.count, hash);
	err = pl_signatures_check(PL_LABEL_MEMBER, sizeof(PL_LABEL_MEMBER), hash, &d.signatures, &member->root, signed_keys);
	if (err == PL_OK && complete && !pl_signatures_meet_threshold(&d.signatures, &member->root))
		err = PL_ERR_SIGNATURE;
	return err;
}

enum pl_err pl_sheet_read(const uint8_t *document, size_t document_bytes, struct pl_member *member, struct pl_charter_node *nodes)
{
	uint8_t signed_keys;

	return read_sheet(document, document_bytes, true, member, nodes, &signed_keys);
}

enum pl_err pl_sheet_read_unsigned(const uint8_t *document, size_t document_bytes, struct pl_member *member,
                                   struct pl_charter_node *nodes, uint8_t *signed_keys)
{
	return read_sheet(document, document_bytes, false, member, nodes, signed_keys);
}

enum pl_err pl_sheet_make(const struct pl_member *member, const struct pl_bytes *certificates, size_t certificates_count, uint8_t *out,
                          size_t out_max, size_t *out_bytes)
{
	const struct sheet_source source = { member, certificates, certificates_count };
	struct pl_mp_writer writer;
	struct pl_member read;
	struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	uint8_t signed_keys;
	enum pl_err err;

	if (certificates_count > PL_NODES_PER_MEMBER_MAX || member->root.count > PL_KEYS_PER_ROLE_MAX ||
	    member->node_role.count > PL_KEYS_PER_ROLE_MAX)
		return PL_ERR_LIMIT;
	pl_mp_writer_init(&writer, out, out_max);
	pl_document_put(&writer, put_sheet_body, &source, &unsigned_yet);
	err = writer.err;
	if (err == PL_OK)
		err = pl_sheet_read_unsigned(out, writer.count, &read, nodes, &signed_keys);
	if (err == PL_OK)
		*out_bytes = writer.count;
	return err;
}

/* --- signing --- */

/* Whether the key may stand with this index under the document, as far as that can be told. */
static enum pl_err check_signer(enum pl_document_type type, const struct pl_bytes *body, uint8_t key_index, const uint8_t *public_key)
{
	struct pl_member member;
	struct pl_certificate certificate;
	char code[PL_MEMBER_CODE_BYTES + 1];
	enum pl_err err;

	switch (type) {
	case PL_DOCUMENT_CERTIFICATE:
		return read_certificate_body(body, &certificate, code);
	case PL_DOCUMENT_SHEET:
		err = read_sheet_body(body, false, &member, NULL);
		if (err != PL_OK)
			return err;
		return key_index < member.root.count && memcmp(member.root.keys[key_index], public_key, PL_SIGN_PUBLIC_BYTES) == 0
			? PL_OK : PL_ERR_UNKNOWN;
	}
	return PL_ERR_REFUSED;
}

enum pl_err pl_sheet_sign(enum pl_document_type type, const uint8_t *document, size_t document_bytes, uint8_t key_index,
                          const uint8_t secret_key[PL_SIGN_SECRET_BYTES], uint8_t *out, size_t out_max, size_t *out_bytes)
{
	struct pl_document d;
	uint8_t hash[PL_HASH_BYTES], signature[PL_SIGN_BYTES];
	const struct pl_part part = { hash, PL_HASH_BYTES };
	struct pl_mp_writer writer;
	enum pl_err err;

	if (key_index >= PL_KEYS_PER_ROLE_MAX)
		return PL_ERR_LIMIT;
	err = pl_document_split(document, document_bytes, type == PL_DOCUMENT_SHEET ? PL_SHEET_BYTES_MAX : PL_CERTIFICATE_BYTES_MAX, &d);
	if (err == PL_OK)
		err = check_signer(type, &d.body, key_index, secret_key + PL_SIGN_SECRET_BYTES - PL_SIGN_PUBLIC_BYTES);
	if (err != PL_OK)
		return err;
	pl_document_hash(type, d.body.bytes, d.body.count, hash);
	if (type == PL_DOCUMENT_SHEET)
		pl_sign(PL_LABEL_MEMBER, sizeof(PL_LABEL_MEMBER), &part, 1, secret_key, signature);
	else
		pl_sign(PL_LABEL_CERTIFICATE, sizeof(PL_LABEL_CERTIFICATE), &part, 1, secret_key, signature);
	err = pl_signatures_insert(&d.signatures, key_index, signature);
	if (err != PL_OK)
		return err;
	pl_mp_writer_init(&writer, out, out_max);
	pl_mp_put_array(&writer, 2);
	pl_mp_put_bin(&writer, d.body.bytes, d.body.count);
	pl_signatures_put(&writer, &d.signatures);
	if (writer.err == PL_OK)
		*out_bytes = writer.count;
	return writer.err;
}
