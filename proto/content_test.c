#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/bytes.h"
#include "proto/content.h"
#include "proto/mp.h"

#define TEXT(literal) { literal, sizeof(literal) - 1 }
#define ASSERT_TEXT(text, literal) do { \
		cr_assert_eq((text).bytes, sizeof(literal) - 1); \
		cr_assert_arr_eq((text).chars, literal, sizeof(literal) - 1); \
	} while (0)

static uint8_t buffer[200000], other[200000];
static struct pl_mp_token tokens[PL_MP_ITEMS_MAX];
static struct pl_message message_out;
static struct pl_receipt receipts_out[PL_RECEIPTS_PER_ENTRY_MAX];
static struct pl_epoch_key epoch_key_out;
static struct pl_channel_root channel_root_out;
static struct pl_indicators indicators_out;

/* --- one good value of each --- */

static struct pl_message *new_message(void)
{
	struct pl_message *m = calloc(1, sizeof(*m));

	memset(m->id, 0x11, sizeof(m->id));
	m->precedence = PL_IMMEDIATE;
	m->sent_ms = 1795521600000;
	m->expires_ms = 1795525200000;
	strcpy(m->sender, "FIN");
	m->operator_name = (struct pl_text)TEXT("A. Virtanen");
	m->subject = (struct pl_text)TEXT("Unusual traffic");
	m->text = (struct pl_text)TEXT("Please look at this.\n\nThank you.");
	m->has_reply_to = 1;
	memset(m->reply_to, 0x22, sizeof(m->reply_to));
	m->recipients_count = 2;
	strcpy(m->recipients[0].code, "CHE");
	m->recipients[0].info = 1;
	strcpy(m->recipients[1].code, "SGP");
	m->attachments_count = 2;
	for (int i = 0; i < 2; i++) {
		struct pl_attachment *a = &m->attachments[i];

		memset(a->id, 0x30 + i, sizeof(a->id));
		a->name = (struct pl_text)TEXT("traffic.pcap");
		a->media_type = (struct pl_text)TEXT("application/vnd.tcpdump.pcap");
		a->bytes = 100000;
		memset(a->sha256, 0x40 + i, sizeof(a->sha256));
		a->chunks = 3;
	}
	m->exercise = 1;
	return m;
}

static enum pl_err read_message(const uint8_t *bytes, size_t count) { return pl_message_read(bytes, count, &message_out); }
static size_t write_message(uint8_t *out, size_t max)
{
	struct pl_message *m = new_message();
	size_t count;

	cr_assert_eq(pl_message_write(m, out, max, &count), PL_OK);
	free(m);
	return count;
}

static struct pl_receipt receipt(uint8_t type)
{
	struct pl_receipt r = { .type = type, .time_ms = 1795521601000 };

	memset(r.message_id, type == PL_RECEIPT_FAILED ? 0 : 0x11, sizeof(r.message_id));
	memset(r.entry_id, 0x55, sizeof(r.entry_id));
	if (type == PL_RECEIPT_READ || type == PL_RECEIPT_ACCEPTED)
		r.operator_name = (struct pl_text)TEXT("Tan W. L.");
	if (type == PL_RECEIPT_FAILED)
		r.reason = (struct pl_text)TEXT("the key is gone");
	return r;
}

static enum pl_err read_receipts(const uint8_t *bytes, size_t count)
{
	size_t n;

	return pl_receipts_read(bytes, count, receipts_out, &n);
}
static size_t write_receipts(uint8_t *out, size_t max)
{
	struct pl_receipt r[5];
	size_t count;

	for (uint8_t type = 1; type <= 5; type++)
		r[type - 1] = receipt(type);
	cr_assert_eq(pl_receipts_write(r, 5, out, max, &count), PL_OK);
	return count;
}

static struct pl_epoch_key epoch_key(void)
{
	struct pl_epoch_key key = { .number = 7, .valid_from_ms = 1795521600000, .valid_until_ms = 1795521600000 + PL_EPOCH_KEY_VALID_MS };

	memset(key.public_key, 0x66, sizeof(key.public_key));
	key.acks_count = 3;
	key.acks[1] = (struct pl_epoch_ack){ 5, 300 };
	key.acks[2] = (struct pl_epoch_ack){ 700, 1 };
	key.acks[0] = (struct pl_epoch_ack){ 0, 9 };
	return key;
}

static enum pl_err read_epoch_key(const uint8_t *bytes, size_t count) { return pl_epoch_key_read(bytes, count, &epoch_key_out); }
static size_t write_epoch_key(uint8_t *out, size_t max)
{
	struct pl_epoch_key key = epoch_key();
	size_t count;

	cr_assert_eq(pl_epoch_key_write(&key, out, max, &count), PL_OK);
	return count;
}

static struct pl_channel_root channel_root(void)
{
	struct pl_channel_root root = { .number = 3, .audience = TEXT("all") };

	memset(root.channel_id, 0x77, sizeof(root.channel_id));
	memset(root.root, 0x88, sizeof(root.root));
	return root;
}

static enum pl_err read_channel_root(const uint8_t *bytes, size_t count) { return pl_channel_root_read(bytes, count, &channel_root_out); }
static size_t write_channel_root(uint8_t *out, size_t max)
{
	struct pl_channel_root root = channel_root();
	size_t count;

	cr_assert_eq(pl_channel_root_write(&root, out, max, &count), PL_OK);
	return count;
}

static enum pl_err read_indicators(const uint8_t *bytes, size_t count) { return pl_indicators_read(bytes, count, &indicators_out); }
static size_t write_indicators(uint8_t *out, size_t max)
{
	static struct pl_indicators items = {
		.tlp = PL_TLP_GREEN, .count = 2, .objects = { TEXT("{\"type\":\"indicator\"}"), TEXT("{ }") },
	};
	size_t count;

	cr_assert_eq(pl_indicators_write(&items, out, max, &count), PL_OK);
	return count;
}

static const struct content {
	const char *name;
	enum pl_err (*read)(const uint8_t *bytes, size_t count);
	size_t (*write)(uint8_t *out, size_t max);
} contents[] = {
	{ "message", read_message, write_message },
	{ "receipts", read_receipts, write_receipts },
	{ "epoch key", read_epoch_key, write_epoch_key },
	{ "channel root", read_channel_root, write_channel_root },
	{ "indicators", read_indicators, write_indicators },
};
#define FOR_EACH_CONTENT(c) for (const struct content *c = contents; c < contents + sizeof(contents) / sizeof(contents[0]); c++)

/* From memory of its own size, so that a sanitizer sees a read past the end. */
static enum pl_err read_copy(const struct content *c, const uint8_t *bytes, size_t count)
{
	uint8_t *copy = malloc(count ? count : 1);
	enum pl_err err;

	memcpy(copy, bytes, count);
	err = c->read(copy, count);
	free(copy);
	return err;
}

/* --- what holds for each --- */

Test(content, every_prefix_is_short)
{
	FOR_EACH_CONTENT(c) {
		size_t count = c->write(buffer, sizeof(buffer));

		cr_assert_eq(read_copy(c, buffer, count), PL_OK, "%s", c->name);
		for (size_t n = 0; n < count; n++)
			cr_assert_eq(read_copy(c, buffer, n), PL_ERR_SHORT, "%s: %zu of %zu bytes", c->name, n, count);
		buffer[count] = 0x01;
		cr_assert_eq(read_copy(c, buffer, count + 1), PL_ERR_FORMAT, "%s: a byte behind", c->name);
	}
}

static void pack(struct pl_mp_writer *w, const struct pl_mp_token *token)
{
	switch (token->type) {
	case PL_MP_UINT: pl_mp_put_uint(w, token->number); break;
	case PL_MP_BOOL: pl_mp_put_bool(w, token->number); break;
	case PL_MP_BIN: pl_mp_put_bin(w, token->bytes, token->count); break;
	case PL_MP_STR: pl_mp_put_str(w, (const char *)token->bytes, token->count); break;
	case PL_MP_ARRAY: pl_mp_put_array(w, (uint32_t)token->number); break;
	}
}

/* Every element in turn becomes one of every other type, is left out, or stands twice: the document is canonical each time, and never what
 * the format says. */
Test(content, every_element_has_its_type_and_place)
{
	static const struct pl_mp_token replacements[] = {
		{ .type = PL_MP_UINT, .number = 1 }, { .type = PL_MP_BOOL, .number = 1 },
		{ .type = PL_MP_BIN, .bytes = (const uint8_t *)"b", .count = 1 },
		{ .type = PL_MP_STR, .bytes = (const uint8_t *)"s", .count = 1 }, { .type = PL_MP_ARRAY },
	};

	FOR_EACH_CONTENT(c) {
		size_t count = c->write(buffer, sizeof(buffer)), tokens_count;

		cr_assert_eq(pl_mp_parse(buffer, count, tokens, PL_MP_ITEMS_MAX, &tokens_count), PL_OK);
		for (size_t i = 0; i < tokens_count; i++) {
			for (size_t r = 0; r < sizeof(replacements) / sizeof(replacements[0]); r++) {
				struct pl_mp_writer w;
				size_t next = tokens[i].next;

				if (replacements[r].type == tokens[i].type)
					continue;
				pl_mp_writer_init(&w, other, sizeof(other));
				for (size_t j = 0; j < i; j++)
					pack(&w, &tokens[j]);
				pack(&w, &replacements[r]);
				for (size_t j = next; j < tokens_count; j++)
					pack(&w, &tokens[j]);
				cr_assert_eq(w.err, PL_OK);
				cr_assert_neq(read_copy(c, other, w.count), PL_OK, "%s: element %zu as type %zu", c->name, i, r);
			}
			/* an array with one element more, and with its last one gone, of the same length in front */
			if (tokens[i].type == PL_MP_ARRAY && tokens[i].number > 0) {
				struct pl_mp_token resized = tokens[i];
				struct pl_mp_writer w;
				size_t last = i + 1;

				for (uint64_t child = 1; child < tokens[i].number; child++)
					last = tokens[last].next;
				for (int more = 0; more <= 1; more++) {
					resized.number = tokens[i].number + (more ? 1u : -1u);
					pl_mp_writer_init(&w, other, sizeof(other));
					for (size_t j = 0; j < i; j++)
						pack(&w, &tokens[j]);
					pack(&w, &resized);
					for (size_t j = i + 1; j < (more ? tokens[i].next : last); j++)
						pack(&w, &tokens[j]);
					if (more)
						pack(&w, &tokens[i + 1]);
					for (size_t j = tokens[i].next; j < tokens_count; j++)
						pack(&w, &tokens[j]);
					cr_assert_eq(w.err, PL_OK);
					/* lists of one type may be longer or shorter: those are left to the tests of each content */
					if (tokens[i + 1].type != tokens[last].type)
						cr_assert_neq(read_copy(c, other, w.count), PL_OK, "%s: array %zu resized", c->name, i);
				}
			}
		}
	}
}

Test(content, versions)
{
	FOR_EACH_CONTENT(c) {
		size_t count = c->write(buffer, sizeof(buffer));

		cr_assert_eq(buffer[1], 0x01, "%s: the version comes first", c->name);
		buffer[1] = 0x02;
		cr_assert_eq(read_copy(c, buffer, count), PL_ERR_VERSION, "%s", c->name);
		buffer[1] = 0x00;
		cr_assert_eq(read_copy(c, buffer, count), PL_ERR_VERSION, "%s", c->name);
		cr_assert_eq(read_copy(c, (const uint8_t *)"\x91\x02", 2), PL_ERR_VERSION, "%s", c->name);
	}
}

Test(content, writers_have_a_ceiling)
{
	struct pl_message *m = new_message();
	struct pl_receipt r = receipt(PL_RECEIPT_READ);
	struct pl_epoch_key key = epoch_key();
	struct pl_channel_root root = channel_root();
	static struct pl_indicators items = { .tlp = PL_TLP_GREEN, .count = 1, .objects = { TEXT("{}") } };
	size_t full, count = 4711;

	cr_assert_eq(pl_message_write(m, buffer, sizeof(buffer), &full), PL_OK);
	for (size_t max = 0; max < full; max++)
		cr_assert_eq(pl_message_write(m, buffer, max, &count), PL_ERR_FULL);
	cr_assert_eq(pl_receipts_write(&r, 1, buffer, 60, &count), PL_ERR_FULL);
	cr_assert_eq(pl_epoch_key_write(&key, buffer, 1200, &count), PL_ERR_FULL);
	cr_assert_eq(pl_channel_root_write(&root, buffer, 50, &count), PL_ERR_FULL);
	cr_assert_eq(pl_indicators_write(&items, buffer, 6, &count), PL_ERR_FULL);
	cr_assert_eq(count, 4711, "untouched by errors");
	free(m);
}

/* --- messages --- */

Test(content, message_round_trip)
{
	size_t count = write_message(buffer, sizeof(buffer));
	const struct pl_message *m = &message_out;

	cr_assert_eq(read_message(buffer, count), PL_OK);
	cr_assert_eq(m->id[15], 0x11);
	cr_assert_eq(m->precedence, PL_IMMEDIATE);
	cr_assert_eq(m->sent_ms, 1795521600000);
	cr_assert_eq(m->expires_ms, 1795525200000);
	cr_assert_str_eq(m->sender, "FIN");
	ASSERT_TEXT(m->operator_name, "A. Virtanen");
	ASSERT_TEXT(m->subject, "Unusual traffic");
	ASSERT_TEXT(m->text, "Please look at this.\n\nThank you.");
	cr_assert_eq(m->has_reply_to, 1);
	cr_assert_eq(m->reply_to[0], 0x22);
	cr_assert_eq(m->template_number, 0);
	cr_assert_eq(m->recipients_count, 2);
	cr_assert_str_eq(m->recipients[0].code, "CHE");
	cr_assert_eq(m->recipients[0].info, 1);
	cr_assert_str_eq(m->recipients[1].code, "SGP");
	cr_assert_eq(m->recipients[1].info, 0);
	cr_assert_eq(m->attachments_count, 2);
	ASSERT_TEXT(m->attachments[1].name, "traffic.pcap");
	ASSERT_TEXT(m->attachments[1].media_type, "application/vnd.tcpdump.pcap");
	cr_assert_eq(m->attachments[1].bytes, 100000);
	cr_assert_eq(m->attachments[1].chunks, 3);
	cr_assert_eq(m->attachments[1].id[0], 0x31);
	cr_assert_eq(m->attachments[1].sha256[31], 0x41);
	cr_assert_eq(m->exercise, 1);
}

#define MESSAGE(expected, ...) do { \
		struct pl_message *m = new_message(); \
		size_t written; \
		enum pl_err err; \
		__VA_ARGS__; \
		err = pl_message_write(m, buffer, sizeof(buffer), &written); \
		cr_assert_eq(err, expected, "%s: %s", #__VA_ARGS__, pl_err_str(err)); \
		free(m); \
	} while (0)

Test(content, message_fields)
{
	static char long_text[70000];

	memset(long_text, 'x', sizeof(long_text));
	MESSAGE(PL_OK, (void)m);
	for (int precedence = 0; precedence < 256; precedence++)
		MESSAGE(precedence == 0 ? PL_ERR_FORMAT : precedence > 4 ? PL_ERR_LIMIT : PL_OK, m->precedence = (uint8_t)precedence);
	MESSAGE(PL_OK, m->expires_ms = 0);
	MESSAGE(PL_OK, m->expires_ms = m->sent_ms + 1);
	MESSAGE(PL_ERR_FORMAT, m->expires_ms = m->sent_ms);
	MESSAGE(PL_ERR_FORMAT, m->expires_ms = 1);
	MESSAGE(PL_ERR_FORMAT, strcpy(m->sender, "FI"));
	MESSAGE(PL_ERR_FORMAT, strcpy(m->sender, "fin"));
	MESSAGE(PL_OK, m->operator_name.bytes = 0);
	MESSAGE(PL_ERR_FORMAT, m->operator_name.chars = "A.\nVirtanen");
	MESSAGE(PL_ERR_LIMIT, m->operator_name = ((struct pl_text){ long_text, 65 }));
	MESSAGE(PL_ERR_FORMAT, m->subject.chars = "Unusual\x1b" "[2J...");
	MESSAGE(PL_ERR_FORMAT, m->subject = ((struct pl_text)TEXT("\xe2\x80\xae")));
	MESSAGE(PL_OK, m->subject = ((struct pl_text){ long_text, 256 }));
	MESSAGE(PL_ERR_LIMIT, m->subject = ((struct pl_text){ long_text, 257 }));
	MESSAGE(PL_OK, m->subject = ((struct pl_text){ NULL, 0 }));
	MESSAGE(PL_OK, m->text = ((struct pl_text){ NULL, 0 }));
	MESSAGE(PL_OK, m->text = ((struct pl_text){ long_text, 60000 }));
	MESSAGE(PL_ERR_LIMIT, m->text = ((struct pl_text){ long_text, 60001 }));
	MESSAGE(PL_OK, m->precedence = PL_FLASH; m->text = ((struct pl_text){ long_text, 3072 }));
	MESSAGE(PL_ERR_LIMIT, m->precedence = PL_FLASH; m->text = ((struct pl_text){ long_text, 3073 }));
	MESSAGE(PL_ERR_FORMAT, m->text = ((struct pl_text)TEXT("a\0b")));
	MESSAGE(PL_ERR_FORMAT, m->text = ((struct pl_text)TEXT("\xed\xa0\x80")));
	MESSAGE(PL_OK, m->text = ((struct pl_text)TEXT("\xe2\x80\xae is for the display to make visible\x1b")));
	MESSAGE(PL_OK, m->has_reply_to = 0);
	MESSAGE(PL_OK, m->template_number = UINT32_MAX);
}

Test(content, message_recipients)
{
	size_t n;

	MESSAGE(PL_ERR_FORMAT, m->recipients_count = 0);
	MESSAGE(PL_ERR_EXISTS, strcpy(m->recipients[1].code, "CHE"));
	MESSAGE(PL_ERR_FORMAT, strcpy(m->recipients[1].code, "SG"));
	MESSAGE(PL_ERR_FORMAT, m->recipients[1].info = 1);
	MESSAGE(PL_ERR_LIMIT, m->recipients[1].info = 2);
	MESSAGE(PL_ERR_LIMIT, m->recipients_count = 257);
	/* the writer sorts */
	MESSAGE(PL_OK, strcpy(m->recipients[0].code, "URY"));
	cr_assert_eq(read_message(buffer, write_message(buffer, sizeof(buffer))), PL_OK);

	struct pl_message *m = new_message();
	m->recipients_count = PL_RECIPIENTS_MAX;
	for (int i = 0; i < PL_RECIPIENTS_MAX; i++) {
		int shuffled = (i * 101 + 7) % PL_RECIPIENTS_MAX;

		m->recipients[i] = (struct pl_recipient){
			{ 'Q', (char)('A' + shuffled / 26), (char)('A' + shuffled % 26), 0 }, (uint8_t)(i % 2),
		};
	}
	cr_assert_eq(pl_message_write(m, buffer, sizeof(buffer), &n), PL_OK);
	cr_assert_eq(read_message(buffer, n), PL_OK);
	cr_assert_eq(message_out.recipients_count, PL_RECIPIENTS_MAX);
	for (int i = 1; i < PL_RECIPIENTS_MAX; i++)
		cr_assert_lt(strcmp(message_out.recipients[i - 1].code, message_out.recipients[i].code), 0);
	for (int i = 0; i < PL_RECIPIENTS_MAX; i++) {
		int shuffled = (i * 101 + 7) % PL_RECIPIENTS_MAX;

		cr_assert_str_eq(message_out.recipients[shuffled].code, m->recipients[i].code);
		cr_assert_eq(message_out.recipients[shuffled].info, m->recipients[i].info);
	}
	free(m);

	/* a reader does not: out of order is another encoding of the same list */
	n = write_message(buffer, sizeof(buffer));
	for (size_t i = 0; i + 4 < n; i++)
		if (memcmp(buffer + i, "\xa3" "CHE\x01", 5) == 0)
			memcpy(buffer + i + 1, "ZZZ", 3);
	cr_assert_eq(read_message(buffer, n), PL_ERR_FORMAT);
}

Test(content, message_attachments)
{
	static char long_text[300];

	memset(long_text, 'x', sizeof(long_text));
	MESSAGE(PL_OK, m->attachments_count = 0);
	MESSAGE(PL_ERR_LIMIT, m->attachments_count = 17);
	MESSAGE(PL_OK, m->attachments_count = 16;
	        for (int i = 0; i < 16; i++) { m->attachments[i] = m->attachments[0]; m->attachments[i].id[0] = (uint8_t)i; });
	MESSAGE(PL_ERR_EXISTS, memcpy(m->attachments[1].id, m->attachments[0].id, 16));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].name.bytes = 0);
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].name = ((struct pl_text)TEXT(".")));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].name = ((struct pl_text)TEXT("..")));
	MESSAGE(PL_OK, m->attachments[0].name = ((struct pl_text)TEXT("...")));
	MESSAGE(PL_OK, m->attachments[0].name = ((struct pl_text)TEXT(".a")));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].name = ((struct pl_text)TEXT("../key")));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].name = ((struct pl_text)TEXT("/etc")));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].name = ((struct pl_text)TEXT("a\\b")));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].name = ((struct pl_text)TEXT("a\rb")));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].name = ((struct pl_text)TEXT("a\xe2\x80\xae" "fdp.exe")));
	MESSAGE(PL_OK, m->attachments[0].name = ((struct pl_text){ long_text, 255 }));
	MESSAGE(PL_ERR_LIMIT, m->attachments[0].name = ((struct pl_text){ long_text, 256 }));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].media_type.bytes = 0);
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].media_type = ((struct pl_text)TEXT("text")));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].media_type = ((struct pl_text)TEXT("text/plain\r\nX: y")));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].media_type = ((struct pl_text)TEXT("text/\xc3\xa9")));
	MESSAGE(PL_OK, m->attachments[0].media_type = ((struct pl_text)TEXT("text/plain; charset=utf-8")));
	MESSAGE(PL_ERR_LIMIT, m->attachments[0].media_type = ((struct pl_text){ long_text, 128 }));
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].chunks = 2);
	MESSAGE(PL_ERR_FORMAT, m->attachments[0].chunks = 4);
	MESSAGE(PL_OK, m->attachments[0].bytes = 0; m->attachments[0].chunks = 0);
	MESSAGE(PL_OK, m->attachments[0].bytes = 49152; m->attachments[0].chunks = 1);
	MESSAGE(PL_OK, m->attachments[0].bytes = 49153; m->attachments[0].chunks = 2);
	MESSAGE(PL_OK, m->attachments_count = 1; m->attachments[0].bytes = 16777216; m->attachments[0].chunks = 342);
	MESSAGE(PL_ERR_LIMIT, m->attachments_count = 1; m->attachments[0].bytes = 16777217; m->attachments[0].chunks = 342);
	MESSAGE(PL_ERR_LIMIT, m->attachments[0].bytes = 16777216 - 99999; m->attachments[0].chunks = 340); /* with the other one */
	MESSAGE(PL_ERR_LIMIT, m->attachments[0].bytes = UINT64_MAX);
}

Test(content, message_has_no_signatures_yet)
{
	size_t n = write_message(buffer, sizeof(buffer));

	cr_assert_eq(buffer[n - 1], 0x90);
	buffer[n - 1] = 0x91;
	buffer[n++] = 0x01;
	cr_assert_eq(read_message(buffer, n), PL_ERR_LIMIT);
}

Test(content, message_that_no_envelope_can_hold)
{
	static char long_text[60000];

	memset(long_text, 'x', sizeof(long_text));
	MESSAGE(PL_ERR_LIMIT, m->text = ((struct pl_text){ long_text, 60000 }); m->attachments_count = 16;
	        for (int i = 0; i < 16; i++) {
	                m->attachments[i] = m->attachments[0];
	                m->attachments[i].id[0] = (uint8_t)i;
	                m->attachments[i].name = (struct pl_text){ long_text, 255 };
	        });
}

/* --- receipts --- */

Test(content, receipts_round_trip)
{
	size_t n = write_receipts(buffer, sizeof(buffer)), count;

	cr_assert_eq(pl_receipts_read(buffer, n, receipts_out, &count), PL_OK);
	cr_assert_eq(count, 5);
	for (uint8_t i = 0; i < 5; i++) {
		cr_assert_eq(receipts_out[i].type, i + 1);
		cr_assert_eq(receipts_out[i].time_ms, 1795521601000);
		cr_assert_eq(receipts_out[i].entry_id[31], 0x55);
	}
	cr_assert_eq(receipts_out[0].message_id[0], 0x11);
	ASSERT_TEXT(receipts_out[2].operator_name, "Tan W. L.");
	ASSERT_TEXT(receipts_out[4].reason, "the key is gone");
}

Test(content, receipts_rules)
{
	static struct pl_receipt many[65];
	static char long_text[300];
	size_t n;

	memset(long_text, 'x', sizeof(long_text));
#define RECEIPT(expected, of_type, change) do { \
		struct pl_receipt r = receipt(of_type); \
		enum pl_err err; \
		change; \
		err = pl_receipts_write(&r, 1, buffer, sizeof(buffer), &n); \
		cr_assert_eq(err, expected, "%s: %s", #change, pl_err_str(err)); \
	} while (0)
	RECEIPT(PL_ERR_FORMAT, 1, r.type = 0);
	RECEIPT(PL_ERR_LIMIT, 1, r.type = 6);
	RECEIPT(PL_ERR_FORMAT, PL_RECEIPT_STORED, r.operator_name = ((struct pl_text)TEXT("someone")));
	RECEIPT(PL_ERR_FORMAT, PL_RECEIPT_DECRYPTED, r.operator_name = ((struct pl_text)TEXT("someone")));
	RECEIPT(PL_ERR_FORMAT, PL_RECEIPT_FAILED, r.operator_name = ((struct pl_text)TEXT("someone")));
	RECEIPT(PL_ERR_FORMAT, PL_RECEIPT_FAILED, r.message_id[3] = 1);
	RECEIPT(PL_OK, PL_RECEIPT_FAILED, r.reason.bytes = 0);
	RECEIPT(PL_OK, PL_RECEIPT_READ, r.operator_name.bytes = 0);
	RECEIPT(PL_OK, PL_RECEIPT_FAILED, r.reason = ((struct pl_text){ long_text, 256 }));
	RECEIPT(PL_ERR_LIMIT, PL_RECEIPT_FAILED, r.reason = ((struct pl_text){ long_text, 257 }));
	RECEIPT(PL_ERR_FORMAT, PL_RECEIPT_FAILED, r.reason = ((struct pl_text)TEXT("a\nb")));
	RECEIPT(PL_ERR_FORMAT, PL_RECEIPT_STORED, r.reason = ((struct pl_text)TEXT("x")));
	RECEIPT(PL_ERR_FORMAT, PL_RECEIPT_READ, r.reason = ((struct pl_text)TEXT("x")));
	RECEIPT(PL_ERR_LIMIT, PL_RECEIPT_ACCEPTED, r.operator_name = ((struct pl_text){ long_text, 65 }));

	for (int i = 0; i < 65; i++) {
		many[i] = receipt(PL_RECEIPT_FAILED);
		many[i].reason = (struct pl_text){ long_text, 256 };
	}
	cr_assert_eq(pl_receipts_write(many, 0, buffer, sizeof(buffer), &n), PL_ERR_FORMAT);
	cr_assert_eq(pl_receipts_write(many, 65, buffer, sizeof(buffer), &n), PL_ERR_LIMIT);
	cr_assert_eq(pl_receipts_write(many, 64, buffer, sizeof(buffer), &n), PL_OK);
	cr_assert_eq(read_receipts(buffer, n), PL_OK);
	cr_assert_leq(n, PL_ENVELOPE_PLAIN_BYTES_MAX);
}

/* --- epoch keys, channel roots --- */

Test(content, epoch_keys)
{
	struct pl_epoch_key key = epoch_key();
	size_t n;

	cr_assert_eq(read_epoch_key(buffer, write_epoch_key(buffer, sizeof(buffer))), PL_OK);
	cr_assert_eq(epoch_key_out.number, 7);
	cr_assert_eq(epoch_key_out.valid_from_ms, key.valid_from_ms);
	cr_assert_eq(epoch_key_out.valid_until_ms, key.valid_until_ms);
	cr_assert_arr_eq(epoch_key_out.public_key, key.public_key, sizeof(key.public_key));

	key.valid_until_ms++;
	cr_assert_eq(pl_epoch_key_write(&key, buffer, sizeof(buffer), &n), PL_ERR_LIMIT);
	key.valid_until_ms = key.valid_from_ms;
	cr_assert_eq(pl_epoch_key_write(&key, buffer, sizeof(buffer), &n), PL_ERR_FORMAT);
	key.valid_until_ms++;
	cr_assert_eq(pl_epoch_key_write(&key, buffer, sizeof(buffer), &n), PL_OK);
	key.number = 0;
	cr_assert_eq(pl_epoch_key_write(&key, buffer, sizeof(buffer), &n), PL_ERR_FORMAT);
	key = epoch_key();
	key.number = UINT64_MAX;
	key.valid_until_ms = UINT64_MAX;
	key.valid_from_ms = UINT64_MAX - 5;
	cr_assert_eq(pl_epoch_key_write(&key, buffer, sizeof(buffer), &n), PL_OK);

	/* the largest that there can be */
	key.acks_count = PL_NODES_MAX;
	for (uint16_t i = 0; i < PL_NODES_MAX; i++)
		key.acks[i] = (struct pl_epoch_ack){ i, UINT64_MAX - i };
	cr_assert_eq(pl_epoch_key_write(&key, buffer, sizeof(buffer), &n), PL_OK);
	cr_assert_leq(n, PL_EPOCH_KEY_BODY_BYTES_MAX);
	cr_assert_eq(read_epoch_key(buffer, n), PL_OK);
	cr_assert_eq(epoch_key_out.acks_count, PL_NODES_MAX);
	cr_assert_eq(epoch_key_out.acks[767].number, UINT64_MAX - 767);
	key.acks_count++;
	cr_assert_eq(pl_epoch_key_write(&key, buffer, sizeof(buffer), &n), PL_ERR_LIMIT);
}

/* The good value with one acknowledgement changed. */
static enum pl_err with_ack(uint16_t i, uint16_t node, uint64_t number)
{
	struct pl_epoch_key key = epoch_key();
	size_t n;

	key.acks[i] = (struct pl_epoch_ack){ node, number };
	return pl_epoch_key_write(&key, buffer, sizeof(buffer), &n);
}

Test(content, acknowledgements)
{
	cr_assert_eq(read_epoch_key(buffer, write_epoch_key(buffer, sizeof(buffer))), PL_OK);
	cr_assert_eq(epoch_key_out.acks_count, 3);
	cr_assert_eq(epoch_key_out.acks[1].node, 5);
	cr_assert_eq(epoch_key_out.acks[1].number, 300);
	cr_assert_eq(epoch_key_out.acks[2].node, 700);

	cr_assert_eq(with_ack(1, 5, 1), PL_OK);
	cr_assert_eq(with_ack(1, 0, 1), PL_ERR_EXISTS);
	cr_assert_eq(with_ack(1, 700, 1), PL_ERR_EXISTS);
	cr_assert_eq(with_ack(1, 701, 1), PL_ERR_FORMAT, "out of order");
	cr_assert_eq(with_ack(0, 6, 1), PL_ERR_FORMAT, "out of order");
	cr_assert_eq(with_ack(2, 767, 1), PL_OK);
	cr_assert_eq(with_ack(2, 768, 1), PL_ERR_LIMIT);
	cr_assert_eq(with_ack(2, 767, 0), PL_ERR_FORMAT);
	cr_assert_eq(with_ack(2, 767, UINT64_MAX), PL_OK);
}

Test(content, channel_roots)
{
	struct pl_channel_root root = channel_root();
	size_t n;

	cr_assert_eq(read_channel_root(buffer, write_channel_root(buffer, sizeof(buffer))), PL_OK);
	cr_assert_eq(channel_root_out.number, 3);
	cr_assert_arr_eq(channel_root_out.channel_id, root.channel_id, sizeof(root.channel_id));
	cr_assert_arr_eq(channel_root_out.root, root.root, sizeof(root.root));
	ASSERT_TEXT(channel_root_out.audience, "all");

	static const char *audiences[] = { "", "al", "All", "allies", "eu" };
	for (size_t i = 0; i < sizeof(audiences) / sizeof(audiences[0]); i++) {
		root.audience = (struct pl_text){ audiences[i], strlen(audiences[i]) };
		cr_assert_eq(pl_channel_root_write(&root, buffer, sizeof(buffer), &n), PL_ERR_FORMAT, "'%s'", audiences[i]);
	}
	root = channel_root();
	root.number = 0;
	cr_assert_eq(pl_channel_root_write(&root, buffer, sizeof(buffer), &n), PL_ERR_FORMAT);
}

/* --- indicators --- */

Test(content, indicators)
{
	static struct pl_indicators items;
	static char object[PL_OBJECT_BYTES_MAX + 1];
	size_t n;

	cr_assert_eq(read_indicators(buffer, write_indicators(buffer, sizeof(buffer))), PL_OK);
	cr_assert_eq(indicators_out.tlp, PL_TLP_GREEN);
	cr_assert_eq(indicators_out.count, 2);
	ASSERT_TEXT(indicators_out.objects[0], "{\"type\":\"indicator\"}");
	ASSERT_TEXT(indicators_out.objects[1], "{ }");

	for (int i = 0; i < PL_BULK_ITEMS_MAX; i++)
		items.objects[i] = (struct pl_text){ object, 500 };
	items.count = PL_BULK_ITEMS_MAX;
	for (int tlp = 0; tlp < 7; tlp++) {
		items.tlp = (uint8_t)tlp;
		cr_assert_eq(pl_indicators_write(&items, buffer, sizeof(buffer), &n),
		             tlp == 0 ? PL_ERR_FORMAT : tlp > 5 ? PL_ERR_LIMIT : PL_OK);
	}
	items.tlp = PL_TLP_RED;
	cr_assert_eq(pl_indicators_write(&items, buffer, sizeof(buffer), &n), PL_OK);
	cr_assert_eq(read_indicators(buffer, n), PL_OK);
	cr_assert_eq(indicators_out.count, PL_BULK_ITEMS_MAX);
	items.count = PL_BULK_ITEMS_MAX + 1;
	cr_assert_eq(pl_indicators_write(&items, buffer, sizeof(buffer), &n), PL_ERR_LIMIT);
	items.count = 0;
	cr_assert_eq(pl_indicators_write(&items, buffer, sizeof(buffer), &n), PL_ERR_FORMAT);

	/* one large object stands alone; two do not fit an item */
	items.count = 1;
	items.objects[0].bytes = PL_OBJECT_BYTES_MAX;
	cr_assert_eq(pl_indicators_write(&items, buffer, sizeof(buffer), &n), PL_OK);
	cr_assert_leq(pl_channel_bytes(n), PL_BODY_BYTES_MAX);
	cr_assert_gt(pl_channel_bytes(n), 0);
	items.objects[0].bytes = PL_OBJECT_BYTES_MAX + 1;
	cr_assert_eq(pl_indicators_write(&items, buffer, sizeof(buffer), &n), PL_ERR_LIMIT);
	items.count = 2;
	items.objects[0].bytes = items.objects[1].bytes = 70000;
	cr_assert_eq(pl_indicators_write(&items, buffer, sizeof(buffer), &n), PL_ERR_LIMIT);
	items.objects[0].bytes = 0;
	items.objects[1].bytes = 10;
	cr_assert_eq(pl_indicators_write(&items, buffer, sizeof(buffer), &n), PL_ERR_FORMAT, "an object has bytes");
}

/* --- chunks --- */

static enum pl_err read_chunk(uint32_t index, uint32_t chunks, size_t sealed_bytes, struct pl_chunk *out)
{
	struct pl_chunk chunk = { .attachment_id = "fifteen chars..", .index = index, .chunks = chunks };
	uint8_t *bytes = malloc(PL_ATTACHMENT_BODY_PREFIX_BYTES + sealed_bytes);
	enum pl_err err;

	pl_chunk_write_prefix(&chunk, bytes);
	err = pl_chunk_read(bytes, PL_ATTACHMENT_BODY_PREFIX_BYTES + sealed_bytes, out);
	if (err == PL_OK) {
		cr_assert_eq(out->sealed, bytes + 24);
		cr_assert_eq(out->sealed_bytes, sealed_bytes);
	}
	free(bytes);
	return err;
}

Test(content, chunks)
{
	struct pl_chunk chunk;
	uint8_t prefix[PL_ATTACHMENT_BODY_PREFIX_BYTES];

	cr_assert_eq(read_chunk(0x102, 0x150, PL_CHUNK_BYTES + 16, &chunk), PL_OK);
	cr_assert_eq(chunk.index, 0x102);
	cr_assert_eq(chunk.chunks, 0x150);
	cr_assert_str_eq((const char *)chunk.attachment_id, "fifteen chars..");
	pl_chunk_write_prefix(&chunk, prefix);
	cr_assert_arr_eq(prefix, "fifteen chars..\0\0\0\1\2\0\0\1\x50", 24);

	cr_assert_eq(read_chunk(0, 1, 17, &chunk), PL_OK);
	cr_assert_eq(read_chunk(0, 1, 16, &chunk), PL_ERR_SHORT, "nothing but a tag");
	cr_assert_eq(read_chunk(0, 1, 0, &chunk), PL_ERR_SHORT);
	cr_assert_eq(read_chunk(0, 1, PL_CHUNK_BYTES + 17, &chunk), PL_ERR_LIMIT);
	cr_assert_eq(read_chunk(0, 2, PL_CHUNK_BYTES + 15, &chunk), PL_ERR_FORMAT, "only the last may be shorter");
	cr_assert_eq(read_chunk(1, 2, PL_CHUNK_BYTES + 15, &chunk), PL_OK);
	cr_assert_eq(read_chunk(2, 2, 100, &chunk), PL_ERR_FORMAT);
	cr_assert_eq(read_chunk(0, 0, 100, &chunk), PL_ERR_FORMAT);
	cr_assert_eq(read_chunk(341, 342, 100, &chunk), PL_OK, "16 MiB");
	cr_assert_eq(read_chunk(341, 343, PL_CHUNK_BYTES + 16, &chunk), PL_ERR_LIMIT);
	cr_assert_eq(read_chunk(UINT32_MAX, UINT32_MAX, 100, &chunk), PL_ERR_LIMIT);
	for (size_t n = 0; n < 24; n++)
		cr_assert_eq(pl_chunk_read(prefix, n, &chunk), PL_ERR_SHORT);
	cr_assert_eq(pl_chunks_of(0), 0);
	cr_assert_eq(pl_chunks_of(1), 1);
	cr_assert_eq(pl_chunks_of(PL_CHUNK_BYTES), 1);
	cr_assert_eq(pl_chunks_of(PL_CHUNK_BYTES + 1), 2);
	cr_assert_eq(pl_chunks_of(PL_ATTACHMENT_BYTES_MAX), 342);
	cr_assert_eq(PL_CHUNK_BODY_BYTES_MAX, PL_ATTACHMENT_BODY_PREFIX_BYTES + PL_CHUNK_BYTES + 16);
}

/* --- names --- */

Test(content, names)
{
	cr_assert_str_eq(pl_precedence_name(PL_DEFERRED), "deferred");
	cr_assert_str_eq(pl_precedence_name(PL_FLASH), "flash");
	cr_assert_str_eq(pl_precedence_name(PL_OVERRIDE), "override");
	cr_assert_str_eq(pl_precedence_name(6), "unknown");
	cr_assert_eq(pl_precedence_parse("routine"), PL_ROUTINE);
	cr_assert_eq(pl_precedence_parse("priority"), PL_PRIORITY);
	cr_assert_eq(pl_precedence_parse("immediate"), PL_IMMEDIATE);
	cr_assert_eq(pl_precedence_parse("flash"), PL_FLASH);
	cr_assert_eq(pl_precedence_parse("deferred"), -1);
	cr_assert_eq(pl_precedence_parse("override"), -1);
	cr_assert_eq(pl_precedence_parse("unknown"), -1);
	cr_assert_eq(pl_precedence_parse(""), -1);

	cr_assert_str_eq(pl_receipt_name(PL_RECEIPT_STORED), "stored");
	cr_assert_str_eq(pl_receipt_name(PL_RECEIPT_FAILED), "failed");
	cr_assert_str_eq(pl_receipt_name(0), "unknown");
	cr_assert_str_eq(pl_receipt_name(6), "unknown");

	for (unsigned tlp = PL_TLP_CLEAR; tlp <= PL_TLP_RED; tlp++)
		cr_assert_eq(pl_tlp_parse(pl_tlp_name(tlp)), (int)tlp);
	cr_assert_str_eq(pl_tlp_name(PL_TLP_AMBER_STRICT), "amber+strict");
	cr_assert_str_eq(pl_tlp_name(0), "unknown");
	cr_assert_str_eq(pl_tlp_name(6), "unknown");
	cr_assert_eq(pl_tlp_parse("TLP:AMBER+STRICT"), PL_TLP_AMBER_STRICT);
	cr_assert_eq(pl_tlp_parse("tlp:Red"), PL_TLP_RED);
	cr_assert_eq(pl_tlp_parse("unknown"), -1);
	cr_assert_eq(pl_tlp_parse(""), -1);
	cr_assert_eq(pl_tlp_parse("tlp"), -1);
	cr_assert_eq(pl_tlp_parse("tlp:"), -1);
	cr_assert_eq(pl_tlp_parse("tlp:tlp:red"), -1);
	cr_assert_eq(pl_tlp_parse("amber "), -1);
	cr_assert_eq(pl_tlp_parse("amberx"), -1);
	cr_assert_eq(pl_tlp_parse("amber+"), -1);
}
