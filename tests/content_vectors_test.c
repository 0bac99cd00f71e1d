/* tests/vectors/content.txt, which another implementation made from the text of PROTOCOL.md: our writers make the same bytes from the same
 * values, our readers read them and refuse what is to be refused. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "proto/charter.h"
#include "proto/content.h"
#include "proto/entry.h"
#include "proto/mp.h"
#include "tests/vectors.h"

static struct pl_vectors *v;
static uint8_t out[PL_CHARTER_BYTES_MAX], spare[PL_CHARTER_BYTES_MAX];
static struct pl_charter charter;
static char at[PL_MEMBER_CODE_BYTES + 1];

static struct pl_bytes hex(const char *key, size_t index)
{
	struct pl_bytes bytes;

	bytes.bytes = pl_vectors_hex(v, key, index, &bytes.count);
	return bytes;
}

static struct pl_text hex_text(const char *key, size_t index)
{
	struct pl_bytes bytes = hex(key, index);

	return (struct pl_text){ (const char *)bytes.bytes, bytes.count };
}

static void copy_hex(const char *key, size_t index, uint8_t *to, size_t count)
{
	memcpy(to, pl_vectors_hex_of(v, key, index, count), count);
}

static uint64_t number(const char *key, size_t index)
{
	return pl_vectors_number(v, key, index);
}

static void copy_word(const char *key, size_t index, char *to, size_t max)
{
	const char *word = pl_vectors_word(v, key, index);

	cr_assert_lt(strlen(word), max);
	strcpy(to, word);
}

static void secret_of(size_t index, uint8_t secret[PL_SIGN_SECRET_BYTES])
{
	uint8_t public_key[PL_SIGN_PUBLIC_BYTES];

	pl_sign_keypair(pl_vectors_hex_of(v, "seed", index, 32), public_key, secret);
}

static void expect(const char *key, const uint8_t *bytes, size_t count)
{
	struct pl_bytes expected = hex(key, 0);

	cr_assert_eq(count, expected.count, "line %zu: %s: %zu bytes instead of %zu", pl_vectors_line(v), key, count, expected.count);
	for (size_t i = 0; i < count; i++)
		cr_assert_eq(bytes[i], expected.bytes[i], "line %zu: %s: byte %zu is %02x", pl_vectors_line(v), key, i, bytes[i]);
}

#define OK(call) do { \
		enum pl_err ok_err = (call); \
		cr_assert_eq(ok_err, PL_OK, "line %zu: %s: %s", pl_vectors_line(v), #call, pl_err_str(ok_err)); \
	} while (0)

static size_t sign_all(enum pl_document_type type, size_t count)
{
	for (size_t i = pl_vectors_count(v, "index"); i-- > 0;) {
		uint8_t secret[PL_SIGN_SECRET_BYTES];

		secret_of(i, secret);
		OK(pl_sheet_sign(type, out, count, (uint8_t)number("index", i), secret, spare, sizeof(spare), &count));
		memcpy(out, spare, count);
	}
	return count;
}

static void check_certificate(void)
{
	struct pl_certificate c = { .generation = (uint32_t)number("generation", 0) }, read;
	char code[4], read_code[4];
	uint8_t hash[PL_HASH_BYTES];
	struct pl_document d;
	size_t count;

	copy_word("code", 0, code, sizeof(code));
	copy_word("label", 0, c.label, sizeof(c.label));
	copy_word("address", 0, c.address, sizeof(c.address));
	copy_hex("node_id", 0, c.node_id, 32);
	copy_hex("noise", 0, c.noise_public, 32);
	c.valid_from_ms = number("from", 0);
	c.valid_until_ms = number("until", 0);
	OK(pl_certificate_make(&c, code, out, sizeof(out), &count));
	count = sign_all(PL_DOCUMENT_CERTIFICATE, count);
	expect("document", out, count);
	OK(pl_document_split(out, count, PL_CERTIFICATE_BYTES_MAX, &d));
	pl_document_hash(PL_DOCUMENT_CERTIFICATE, d.body.bytes, d.body.count, hash);
	expect("hash", hash, sizeof(hash));
	OK(pl_certificate_read(out, count, &read, read_code));
	cr_assert_str_eq(read.label, c.label);
	cr_assert_str_eq(read_code, code);
}

static void key_set(const char *threshold, const char *key, struct pl_key_set *set)
{
	set->threshold = (uint8_t)number(threshold, 0);
	set->count = (uint8_t)pl_vectors_count(v, key);
	for (uint8_t i = 0; i < set->count; i++)
		copy_hex(key, i, set->keys[i], 32);
}

static void check_sheet(void)
{
	struct pl_member member = { .role = (uint8_t)number("role", 0) }, read;
	struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	struct pl_bytes certificates[PL_NODES_PER_MEMBER_MAX];
	struct pl_text name = hex_text("name", 0);
	uint8_t hash[PL_HASH_BYTES];
	struct pl_document d;
	size_t count, certificates_count = pl_vectors_count(v, "certificate");

	copy_word("code", 0, member.code, sizeof(member.code));
	memcpy(member.name, name.chars, name.bytes);
	key_set("root_threshold", "root", &member.root);
	key_set("role_threshold", "node_role", &member.node_role);
	for (size_t i = 0; i < certificates_count; i++)
		certificates[i] = hex("certificate", i);
	OK(pl_sheet_make(&member, certificates, certificates_count, out, sizeof(out), &count));
	count = sign_all(PL_DOCUMENT_SHEET, count);
	expect("document", out, count);
	OK(pl_document_split(out, count, PL_SHEET_BYTES_MAX, &d));
	pl_document_hash(PL_DOCUMENT_SHEET, d.body.bytes, d.body.count, hash);
	expect("hash", hash, sizeof(hash));
	OK(pl_sheet_read(out, count, &read, nodes));
	cr_assert_eq(read.nodes_count, certificates_count);
}

static void check_charter(void)
{
	struct pl_bytes sheets[8];
	size_t count, sheets_count = pl_vectors_count(v, "sheet");

	for (size_t i = 0; i < sheets_count; i++)
		sheets[i] = hex("sheet", sheets_count - 1 - i); /* the other way round: they are sorted */
	OK(pl_charter_make(pl_vectors_word(v, "name", 0), number("created", 0), sheets, sheets_count, out, sizeof(out), &count, at));
	for (size_t i = pl_vectors_count(v, "seed"); i-- > 0;) {
		uint8_t secret[PL_SIGN_SECRET_BYTES];

		secret_of(i, secret);
		OK(pl_charter_sign(out, count, secret, spare, sizeof(spare), &count));
		memcpy(out, spare, count);
	}
	expect("document", out, count);
	OK(pl_charter_read(out, count, &charter, at));
	expect("network_id", charter.network_id, PL_ID_BYTES);
	cr_assert_eq(charter.members_count, sheets_count);
}

static void check_message(void)
{
	struct pl_message *m = calloc(1, sizeof(*m)), *read = calloc(1, sizeof(*read));
	struct pl_bytes reply_to = hex("reply_to", 0);
	size_t count;

	copy_hex("id", 0, m->id, sizeof(m->id));
	m->precedence = (uint8_t)number("precedence", 0);
	m->sent_ms = number("sent", 0);
	m->expires_ms = number("expires", 0);
	copy_word("sender", 0, m->sender, sizeof(m->sender));
	m->operator_name = hex_text("operator", 0);
	m->subject = hex_text("subject", 0);
	m->text = hex_text("text", 0);
	m->has_reply_to = reply_to.count > 0;
	memcpy(m->reply_to, reply_to.bytes, reply_to.count);
	m->template_number = (uint32_t)number("template", 0);
	m->recipients_count = (uint16_t)pl_vectors_count(v, "recipient");
	for (uint16_t i = 0; i < m->recipients_count; i++) {
		struct pl_recipient *recipient = &m->recipients[m->recipients_count - 1 - i];

		copy_word("recipient", i, recipient->code, sizeof(recipient->code));
		recipient->info = (uint8_t)number("info", i);
	}
	m->attachments_count = (uint8_t)pl_vectors_count(v, "attachment");
	for (uint8_t i = 0; i < m->attachments_count; i++) {
		struct pl_attachment *a = &m->attachments[i];

		copy_hex("attachment", i, a->id, sizeof(a->id));
		a->name = hex_text("file", i);
		a->media_type = hex_text("type", i);
		a->bytes = number("bytes", i);
		copy_hex("sha256", i, a->sha256, sizeof(a->sha256));
		a->chunks = (uint32_t)number("chunks", i);
	}
	m->exercise = (uint8_t)number("exercise", 0);
	OK(pl_message_write(m, out, sizeof(out), &count));
	expect("plain", out, count);
	OK(pl_message_read(out, count, read));
	OK(pl_message_write(read, spare, sizeof(spare), &count));
	expect("plain", spare, count);
	free(m);
	free(read);
}

static void check_receipts(void)
{
	static struct pl_receipt receipts[PL_RECEIPTS_PER_ENTRY_MAX], read[PL_RECEIPTS_PER_ENTRY_MAX];
	size_t count, read_count, receipts_count = pl_vectors_count(v, "type");

	for (size_t i = 0; i < receipts_count; i++) {
		copy_hex("message_id", i, receipts[i].message_id, sizeof(receipts[i].message_id));
		copy_hex("entry_id", i, receipts[i].entry_id, sizeof(receipts[i].entry_id));
		receipts[i].type = (uint8_t)number("type", i);
		receipts[i].time_ms = number("time", i);
		receipts[i].operator_name = hex_text("operator", i);
		receipts[i].reason = hex_text("reason", i);
	}
	OK(pl_receipts_write(receipts, receipts_count, out, sizeof(out), &count));
	expect("plain", out, count);
	OK(pl_receipts_read(out, count, read, &read_count));
	cr_assert_eq(read_count, receipts_count);
}

static void check_epoch_key(void)
{
	static struct pl_epoch_key key, read;
	size_t count;

	key = (struct pl_epoch_key){ number("number", 0), number("from", 0), number("until", 0), { 0 },
	                             (uint16_t)pl_vectors_count(v, "ack_node"), { { 0 } } };
	for (uint16_t i = 0; i < key.acks_count; i++)
		key.acks[i] = (struct pl_epoch_ack){ (uint16_t)number("ack_node", i), number("ack_number", i) };

	copy_hex("public_key", 0, key.public_key, sizeof(key.public_key));
	OK(pl_epoch_key_write(&key, out, sizeof(out), &count));
	expect("plain", out, count);
	OK(pl_epoch_key_read(out, count, &read));
	cr_assert_eq(read.acks_count, key.acks_count);
}

static void check_channel_root(void)
{
	const char *audience = pl_vectors_word(v, "audience", 0);
	struct pl_channel_root root = { .number = number("number", 0), .audience = { audience, strlen(audience) } }, read;
	size_t count;

	copy_hex("channel_id", 0, root.channel_id, sizeof(root.channel_id));
	copy_hex("root", 0, root.root, sizeof(root.root));
	OK(pl_channel_root_write(&root, out, sizeof(out), &count));
	expect("plain", out, count);
	OK(pl_channel_root_read(out, count, &read));
}

static void check_indicators(void)
{
	static struct pl_indicators indicators, read;
	size_t count;

	indicators.tlp = (uint8_t)number("tlp", 0);
	indicators.count = (uint16_t)pl_vectors_count(v, "object");
	for (uint16_t i = 0; i < indicators.count; i++)
		indicators.objects[i] = hex_text("object", i);
	OK(pl_indicators_write(&indicators, out, sizeof(out), &count));
	expect("plain", out, count);
	OK(pl_indicators_read(out, count, &read));
}

static void check_chunk(void)
{
	struct pl_bytes sealed = hex("sealed", 0);
	struct pl_chunk chunk = { .index = (uint32_t)number("index", 0), .chunks = (uint32_t)number("chunks", 0) }, read;

	copy_hex("attachment_id", 0, chunk.attachment_id, sizeof(chunk.attachment_id));
	pl_chunk_write_prefix(&chunk, out);
	memcpy(out + PL_ATTACHMENT_BODY_PREFIX_BYTES, sealed.bytes, sealed.count);
	expect("plain", out, PL_ATTACHMENT_BODY_PREFIX_BYTES + sealed.count);
	OK(pl_chunk_read(out, PL_ATTACHMENT_BODY_PREFIX_BYTES + sealed.count, &read));
	cr_assert_eq(read.sealed_bytes, sealed.count);
}

static void check_entry(void)
{
	struct pl_header h = {
		.lane = (uint8_t)number("lane", 0), .kind = (uint8_t)number("kind", 0), .flags = (uint8_t)number("flags", 0),
		.generation = (uint32_t)number("generation", 0), .seq = number("seq", 0), .gseq = number("gseq", 0),
		.time_ms = number("time", 0),
	}, read;
	struct pl_bytes body = hex("body", 0);
	uint8_t network_id[PL_ID_BYTES], secret[PL_SIGN_SECRET_BYTES], id[PL_ID_BYTES];

	copy_hex("network_id", 0, network_id, sizeof(network_id));
	copy_hex("author", 0, h.author, sizeof(h.author));
	copy_hex("prev", 0, h.prev, sizeof(h.prev));
	for (size_t i = 0; i < 2; i++) {
		h.others[i].seq = number("head_seq", i);
		copy_hex("head8", i, h.others[i].id8, PL_HEAD8_BYTES);
	}
	h.body_bytes = (uint32_t)body.count;
	pl_body_hash(body.bytes, body.count, h.body_hash);
	expect("body_hash", h.body_hash, PL_ID_BYTES);
	secret_of(0, secret);
	pl_header_encode(&h, out);
	pl_entry_sign(network_id, secret, out);
	expect("header", out, PL_ENTRY_HEADER_BYTES);
	OK(pl_entry_verify(network_id, out));
	OK(pl_header_decode(out, &read));
	pl_entry_id(network_id, out, id);
	expect("id", id, PL_ID_BYTES);
}

/* --- refusals --- */

static enum pl_err read_msgpack(const uint8_t *bytes, size_t count)
{
	static struct pl_mp_token tokens[PL_MP_ITEMS_MAX];
	size_t n;

	return pl_mp_parse(bytes, count, tokens, PL_MP_ITEMS_MAX, &n);
}

static enum pl_err read_as(const char *format, const uint8_t *bytes, size_t count)
{
	static struct pl_message message;
	static struct pl_receipt receipts[PL_RECEIPTS_PER_ENTRY_MAX];
	static struct pl_epoch_key epoch_key;
	static struct pl_channel_root channel_root;
	static struct pl_indicators indicators;
	static struct pl_chunk chunk;
	static struct pl_member member;
	static struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	size_t n;

	if (strcmp(format, "msgpack") == 0)
		return read_msgpack(bytes, count);
	if (strcmp(format, "message") == 0)
		return pl_message_read(bytes, count, &message);
	if (strcmp(format, "receipts") == 0)
		return pl_receipts_read(bytes, count, receipts, &n);
	if (strcmp(format, "epoch_key") == 0)
		return pl_epoch_key_read(bytes, count, &epoch_key);
	if (strcmp(format, "channel_root") == 0)
		return pl_channel_root_read(bytes, count, &channel_root);
	if (strcmp(format, "indicators") == 0)
		return pl_indicators_read(bytes, count, &indicators);
	if (strcmp(format, "chunk") == 0)
		return pl_chunk_read(bytes, count, &chunk);
	if (strcmp(format, "sheet") == 0)
		return pl_sheet_read(bytes, count, &member, nodes);
	if (strcmp(format, "charter") == 0)
		return pl_charter_read(bytes, count, &charter, at);
	cr_assert_fail("line %zu: unknown format '%s'", pl_vectors_line(v), format);
	return PL_OK;
}

static void check_refusal(void)
{
	static const struct { const char *name; enum pl_err err; } errors[] = {
		{ "short", PL_ERR_SHORT }, { "format", PL_ERR_FORMAT }, { "limit", PL_ERR_LIMIT }, { "version", PL_ERR_VERSION },
		{ "signature", PL_ERR_SIGNATURE }, { "exists", PL_ERR_EXISTS },
	};
	struct pl_bytes bytes = hex("bytes", 0);
	const char *name = pl_vectors_word(v, "error", 0);

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (strcmp(errors[i].name, name) == 0) {
			enum pl_err err = read_as(pl_vectors_word(v, "format", 0), bytes.bytes, bytes.count);

			cr_assert_eq(err, errors[i].err, "line %zu: %s: %s, not %s", pl_vectors_line(v), pl_vectors_word(v, "why", 0),
			             pl_err_str(err), name);
			return;
		}
	cr_assert_fail("line %zu: unknown error '%s'", pl_vectors_line(v), name);
}

Test(content_vectors, all)
{
	static struct { const char *what; void (*check)(void); unsigned least, seen; } kinds[] = {
		{ "certificate", check_certificate, 3, 0 },
		{ "sheet", check_sheet, 2, 0 },
		{ "charter", check_charter, 1, 0 },
		{ "message", check_message, 2, 0 },
		{ "receipts", check_receipts, 1, 0 },
		{ "epoch_key", check_epoch_key, 2, 0 },
		{ "channel_root", check_channel_root, 1, 0 },
		{ "indicators", check_indicators, 1, 0 },
		{ "chunk", check_chunk, 1, 0 },
		{ "entry", check_entry, 3, 0 },
		{ "refuse", check_refusal, 63, 0 },
	};
	const size_t kinds_count = sizeof(kinds) / sizeof(kinds[0]);

	v = pl_vectors_open("content.txt");
	while (pl_vectors_next(v)) {
		const char *what = pl_vectors_word(v, "what", 0);
		size_t i = 0;

		while (i < kinds_count && strcmp(kinds[i].what, what) != 0)
			i++;
		cr_assert_lt(i, kinds_count, "line %zu: nothing checks a '%s'", pl_vectors_line(v), what);
		kinds[i].check();
		kinds[i].seen++;
	}
	pl_vectors_free(v);
	for (size_t i = 0; i < kinds_count; i++)
		cr_assert_geq(kinds[i].seen, kinds[i].least, "only %u of '%s'", kinds[i].seen, kinds[i].what);
}
