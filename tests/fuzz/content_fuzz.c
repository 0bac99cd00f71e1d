/* Everything that proto reads from entries and from charter files: never a crash nor a read past the end; what a reader accepts, the
 * writer makes again byte for byte; and what a reader is given comes out of it within the limits.
 *
 *   u8 which reader (enum which) | the document
 */
#include <stdbool.h>

#include "crypto/labels.h"
#include "proto/charter.h"
#include "proto/content.h"
#include "proto/entry.h"
#include "proto/text.h"
#include "tests/fuzz/fuzz.h"

enum which { MESSAGE, RECEIPTS, EPOCH_KEY, CHANNEL_ROOT, INDICATORS, CHUNK, HEADER, CERTIFICATE, SHEET, CHARTER, WHICH_COUNT };

static void check_line(struct pl_text text, size_t bytes_max)
{
	PL_FUZZ_CHECK(text.bytes <= bytes_max);
	PL_FUZZ_CHECK(pl_text_is_line(text.chars, text.bytes));
}

static void message(const uint8_t *data, size_t size, uint8_t *out)
{
	static struct pl_message m;
	size_t count;
	uint64_t bytes = 0;

	if (pl_message_read(data, size, &m) != PL_OK)
		return;
	PL_FUZZ_CHECK(pl_message_write(&m, out, size, &count) == PL_OK && count == size && memcmp(out, data, size) == 0);
	PL_FUZZ_CHECK(m.precedence >= PL_ROUTINE && m.precedence <= PL_FLASH);
	PL_FUZZ_CHECK(pl_member_code_is_valid(m.sender, strlen(m.sender)));
	PL_FUZZ_CHECK(pl_text_is_utf8(m.text.chars, m.text.bytes) && m.text.bytes <= PL_TEXT_BYTES_MAX);
	check_line(m.operator_name, PL_NAME_BYTES_MAX);
	check_line(m.subject, PL_SUBJECT_BYTES_MAX);
	PL_FUZZ_CHECK(m.recipients_count >= 1 && m.recipients_count <= PL_RECIPIENTS_MAX);
	for (uint16_t i = 0; i < m.recipients_count; i++) {
		PL_FUZZ_CHECK(pl_member_code_is_valid(m.recipients[i].code, 3) && m.recipients[i].info <= 1);
		PL_FUZZ_CHECK(i == 0 || strcmp(m.recipients[i - 1].code, m.recipients[i].code) < 0);
	}
	PL_FUZZ_CHECK(m.attachments_count <= PL_ATTACHMENTS_MAX);
	for (uint8_t i = 0; i < m.attachments_count; i++) {
		const struct pl_attachment *a = &m.attachments[i];

		check_line(a->name, PL_FILE_NAME_BYTES_MAX);
		PL_FUZZ_CHECK(a->name.bytes > 0 && !memchr(a->name.chars, '/', a->name.bytes));
		check_line(a->media_type, PL_MEDIA_TYPE_BYTES_MAX);
		PL_FUZZ_CHECK((uint64_t)a->chunks * PL_CHUNK_BYTES >= a->bytes);
		bytes += a->bytes;
	}
	PL_FUZZ_CHECK(bytes <= PL_ATTACHMENT_BYTES_MAX);
}

static void receipts(const uint8_t *data, size_t size, uint8_t *out)
{
	static struct pl_receipt list[PL_RECEIPTS_PER_ENTRY_MAX];
	size_t count, written;

	if (pl_receipts_read(data, size, list, &count) != PL_OK)
		return;
	PL_FUZZ_CHECK(count >= 1 && count <= PL_RECEIPTS_PER_ENTRY_MAX);
	PL_FUZZ_CHECK(pl_receipts_write(list, count, out, size, &written) == PL_OK && written == size && memcmp(out, data, size) == 0);
	for (size_t i = 0; i < count; i++) {
		check_line(list[i].operator_name, PL_NAME_BYTES_MAX);
		check_line(list[i].reason, PL_REASON_BYTES_MAX);
	}
}

static void epoch_key(const uint8_t *data, size_t size, uint8_t *out)
{
	static struct pl_epoch_key key;
	size_t count;

	if (pl_epoch_key_read(data, size, &key) != PL_OK)
		return;
	PL_FUZZ_CHECK(key.valid_from_ms < key.valid_until_ms);
	PL_FUZZ_CHECK(key.acks_count <= PL_NODES_MAX);
	for (uint16_t i = 0; i < key.acks_count; i++)
		PL_FUZZ_CHECK(key.acks[i].node < PL_NODES_MAX && key.acks[i].number > 0 && (i == 0 || key.acks[i - 1].node < key.acks[i].node));
	PL_FUZZ_CHECK(pl_epoch_key_write(&key, out, size, &count) == PL_OK && count == size && memcmp(out, data, size) == 0);
}

static void channel_root(const uint8_t *data, size_t size, uint8_t *out)
{
	struct pl_channel_root root;
	size_t count;

	if (pl_channel_root_read(data, size, &root) != PL_OK)
		return;
	PL_FUZZ_CHECK(pl_channel_root_write(&root, out, size, &count) == PL_OK && count == size && memcmp(out, data, size) == 0);
}

static void indicators(const uint8_t *data, size_t size, uint8_t *out)
{
	static struct pl_indicators list;
	size_t count;

	if (pl_indicators_read(data, size, &list) != PL_OK)
		return;
	PL_FUZZ_CHECK(list.count >= 1 && list.count <= PL_BULK_ITEMS_MAX);
	PL_FUZZ_CHECK(pl_indicators_write(&list, out, size, &count) == PL_OK && count == size && memcmp(out, data, size) == 0);
}

static void chunk(const uint8_t *data, size_t size, uint8_t *out)
{
	struct pl_chunk c;

	if (pl_chunk_read(data, size, &c) != PL_OK)
		return;
	pl_chunk_write_prefix(&c, out);
	PL_FUZZ_CHECK(memcmp(out, data, PL_ATTACHMENT_BODY_PREFIX_BYTES) == 0);
	PL_FUZZ_CHECK(c.index < c.chunks && c.sealed + c.sealed_bytes == data + size);
}

static void header(const uint8_t *data, size_t size)
{
	uint8_t bytes[PL_HEADER_BYTES] = { 0 }, again[PL_HEADER_BYTES];
	struct pl_header h;

	memcpy(bytes, data, size < sizeof(bytes) ? size : sizeof(bytes));
	if (pl_header_decode(bytes, &h) != PL_OK)
		return;
	pl_header_encode(&h, again);
	PL_FUZZ_CHECK(memcmp(again, bytes, sizeof(bytes)) == 0);
	PL_FUZZ_CHECK(pl_kind_fits_lane(h.kind, h.lane) && h.body_bytes <= pl_body_bytes_max(h.kind, h.flags));
}

static void check_certificate(const struct pl_certificate *certificate)
{
	PL_FUZZ_CHECK(pl_text_is_name(certificate->label, strlen(certificate->label)));
	PL_FUZZ_CHECK(certificate->address[0] == 0 || pl_address_is_valid(certificate->address, strlen(certificate->address)));
	PL_FUZZ_CHECK(certificate->valid_from_ms < certificate->valid_until_ms && certificate->generation > 0);
}

/* Without its signatures, what the writer makes is the beginning of what was read. */
static void certificate(const uint8_t *data, size_t size, uint8_t *out)
{
	struct pl_certificate read;
	char code[PL_MEMBER_CODE_BYTES + 1];
	size_t count;

	if (pl_certificate_read(data, size, &read, code) != PL_OK)
		return;
	check_certificate(&read);
	PL_FUZZ_CHECK(pl_certificate_make(&read, code, out, size, &count) == PL_OK && memcmp(out, data, count - 1) == 0);
}

static void sheet(const uint8_t *data, size_t size)
{
	static struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];
	struct pl_member member;
	uint8_t signed_keys;
	const enum pl_err form = pl_sheet_read_form(data, size, &member, nodes);

	if (form == PL_OK) {
		PL_FUZZ_CHECK(member.nodes_count >= 1 && member.nodes_count <= PL_NODES_PER_MEMBER_MAX);
		PL_FUZZ_CHECK(pl_member_code_is_valid(member.code, strlen(member.code)));
		PL_FUZZ_CHECK(pl_text_is_name(member.name, strlen(member.name)));
		PL_FUZZ_CHECK(member.root.threshold >= 1 && member.root.threshold <= member.root.count);
		for (uint8_t i = 0; i < member.nodes_count; i++)
			check_certificate(&nodes[i].certificate);
	}
	PL_FUZZ_CHECK(form == PL_OK || pl_sheet_read_unsigned(data, size, &member, nodes, &signed_keys) != PL_OK);
}

static void charter(const uint8_t *data, size_t size, uint8_t *out)
{
	static struct pl_charter read;
	static bool signed_by[PL_MEMBERS_MAX];
	uint8_t seed[32], public_key[PL_SIGN_PUBLIC_BYTES], secret[PL_SIGN_SECRET_BYTES];
	char at[PL_MEMBER_CODE_BYTES + 1];
	size_t count;
	enum pl_err err = pl_charter_read_unsigned(data, size, &read, signed_by, at);

	PL_FUZZ_CHECK(at[0] == 0 || pl_member_code_is_valid(at, strlen(at)));
	if (err == PL_OK)
		PL_FUZZ_CHECK(read.members_count >= 1 && read.nodes_count >= read.members_count);
	PL_FUZZ_CHECK(pl_charter_read(data, size, &read, at) != PL_OK || err == PL_OK);
	memset(seed, 1, sizeof(seed)); /* a root key of the charter in the corpus */
	pl_sign_keypair(seed, public_key, secret);
	err = pl_charter_sign(data, size, secret, out, size + 100, &count);
	PL_FUZZ_CHECK(err != PL_OK || (count >= size + 68 && count <= size + 70)); /* and longer lengths in front */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t which, *copy, *out;

	if (size == 0)
		return 0;
	which = *data % WHICH_COUNT;
	copy = pl_fuzz_copy(data + 1, --size);
	out = pl_fuzz_room(size + 100);
	switch ((enum which)which) {
	case MESSAGE: message(copy, size, out); break;
	case RECEIPTS: receipts(copy, size, out); break;
	case EPOCH_KEY: epoch_key(copy, size, out); break;
	case CHANNEL_ROOT: channel_root(copy, size, out); break;
	case INDICATORS: indicators(copy, size, out); break;
	case CHUNK: chunk(copy, size, out); break;
	case HEADER: header(copy, size); break;
	case CERTIFICATE: certificate(copy, size, out); break;
	case SHEET: sheet(copy, size); break;
	case CHARTER: charter(copy, size, out); break;
	case WHICH_COUNT: break;
	}
	free(out);
	free(copy);
	return 0;
}
