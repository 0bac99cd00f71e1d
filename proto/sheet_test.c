#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/sheet.h"
#include "tests/fixture.h"

#define DAY_MS 86400000ULL
/* A sheet in the making. The writers under test refuse what is wrong, so wrong documents are put together here, byte by byte. */
struct draft {
	struct pl_member member;
	uint8_t root_secrets[PL_KEYS_PER_ROLE_MAX][PL_SIGN_SECRET_BYTES], role_secrets[PL_KEYS_PER_ROLE_MAX][PL_SIGN_SECRET_BYTES];
	struct pl_certificate certificates[PL_NODES_PER_MEMBER_MAX + 1];
	char certificate_codes[PL_NODES_PER_MEMBER_MAX + 1][4];
	unsigned certificates_count;
	/* who signs: key indices in the order in which they are listed */
	uint8_t root_signers[8], role_signers[8];
	unsigned root_signers_count, role_signers_count;
};

static void make_keys(const char *purpose, struct pl_key_set *set, uint8_t secrets[][PL_SIGN_SECRET_BYTES], uint8_t threshold,
                      uint8_t count)
{
	set->threshold = threshold;
	set->count = count;
	for (uint8_t i = 0; i < PL_KEYS_PER_ROLE_MAX; i++) {
		uint8_t seed[32];

		pl_fixture_seed(purpose, 77, i, seed);
		pl_sign_keypair(seed, set->keys[i], secrets[i]);
	}
}

static struct draft *new_draft(void)
{
	struct draft *d = calloc(1, sizeof(*d));

	strcpy(d->member.code, "FIN");
	strcpy(d->member.name, "Suomi - Finland");
	d->member.role = PL_ROLE_STATE;
	make_keys("root", &d->member.root, d->root_secrets, 3, 5);
	make_keys("role", &d->member.node_role, d->role_secrets, 2, 3);
	d->certificates_count = 2;
	for (unsigned i = 0; i < 4; i++) {
		struct pl_certificate *c = &d->certificates[i];

		snprintf(c->label, sizeof(c->label), "helsinki-%u", i + 1);
		snprintf(c->address, sizeof(c->address), "n%u.example:7100", i);
		pl_fixture_seed("draft node", 77, i, c->node_id);
		pl_fixture_seed("draft noise", 77, i, c->noise_public);
		c->generation = 1;
		c->valid_from_ms = 100 * DAY_MS;
		c->valid_until_ms = 465 * DAY_MS;
		strcpy(d->certificate_codes[i], "FIN");
	}
	memcpy(d->root_signers, (uint8_t[]){ 0, 2, 4 }, 3);
	d->root_signers_count = 3;
	memcpy(d->role_signers, (uint8_t[]){ 1, 2 }, 2);
	d->role_signers_count = 2;
	return d;
}

static void put_text(struct pl_mp_writer *w, const char *text)
{
	pl_mp_put_str(w, text, strlen(text));
}

static void put_keys(struct pl_mp_writer *w, const struct pl_key_set *set)
{
	pl_mp_put_array(w, 2);
	pl_mp_put_uint(w, set->threshold);
	pl_mp_put_array(w, set->count);
	for (unsigned i = 0; i < set->count; i++)
		pl_mp_put_bin(w, set->keys[i % PL_KEYS_PER_ROLE_MAX], 32);
}

static size_t put_signed(enum pl_document_type type, const struct pl_mp_writer *body, const uint8_t *signers, unsigned signers_count,
                         uint8_t secrets[][PL_SIGN_SECRET_BYTES], uint8_t *out, size_t out_max)
{
	const char *label = type == PL_DOCUMENT_SHEET ? "parley/v1/member" : "parley/v1/certificate";
	struct pl_mp_writer w;
	uint8_t hash[32];
	const struct pl_part part = { hash, 32 };

	pl_document_hash(type, body->bytes, body->count, hash);
	pl_mp_writer_init(&w, out, out_max);
	pl_mp_put_array(&w, 2);
	pl_mp_put_bin(&w, body->bytes, body->count);
	pl_mp_put_array(&w, signers_count);
	for (unsigned i = 0; i < signers_count; i++) {
		uint8_t signature[PL_SIGN_BYTES];

		pl_sign(label, strlen(label) + 1, &part, 1, secrets[signers[i] % PL_KEYS_PER_ROLE_MAX], signature);
		pl_mp_put_array(&w, 2);
		pl_mp_put_uint(&w, signers[i]);
		pl_mp_put_bin(&w, signature, sizeof(signature));
	}
	cr_assert_eq(w.err, PL_OK);
	return w.count;
}

static size_t build(const struct draft *d, uint8_t *out, size_t out_max)
{
	uint8_t buffer[4096], certificate[1024], inner[1024];
	struct draft copy = *d;
	struct pl_mp_writer w, c;

	pl_mp_writer_init(&w, buffer, sizeof(buffer));
	pl_mp_put_array(&w, 7);
	pl_mp_put_uint(&w, 1);
	put_text(&w, d->member.code);
	put_text(&w, d->member.name);
	pl_mp_put_uint(&w, d->member.role);
	put_keys(&w, &d->member.root);
	put_keys(&w, &d->member.node_role);
	pl_mp_put_array(&w, d->certificates_count);
	for (unsigned i = 0; i < d->certificates_count; i++) {
		const struct pl_certificate *from = &d->certificates[i];
		size_t count;

		pl_mp_writer_init(&c, inner, sizeof(inner));
		pl_mp_put_array(&c, 9);
		pl_mp_put_uint(&c, 1);
		put_text(&c, d->certificate_codes[i]);
		put_text(&c, from->label);
		pl_mp_put_bin(&c, from->node_id, 32);
		pl_mp_put_bin(&c, from->noise_public, 32);
		pl_mp_put_uint(&c, from->generation);
		pl_mp_put_uint(&c, from->valid_from_ms);
		pl_mp_put_uint(&c, from->valid_until_ms);
		put_text(&c, from->address);
		count = put_signed(PL_DOCUMENT_CERTIFICATE, &c, d->role_signers, d->role_signers_count, copy.role_secrets, certificate,
		                   sizeof(certificate));
		pl_mp_put_bin(&w, certificate, count);
	}
	cr_assert_eq(w.err, PL_OK);
	return put_signed(PL_DOCUMENT_SHEET, &w, d->root_signers, d->root_signers_count, copy.root_secrets, out, out_max);
}

static struct pl_member member;
static struct pl_charter_node nodes[PL_NODES_PER_MEMBER_MAX];

static enum pl_err read_draft(const struct draft *d)
{
	uint8_t out[8192];
	size_t count = build(d, out, sizeof(out));
	uint8_t *copy = malloc(count);
	enum pl_err err;

	memcpy(copy, out, count);
	err = pl_sheet_read(copy, count, &member, nodes);
	free(copy);
	return err;
}

#define REFUSES(expected, change) do { \
		struct draft *d = new_draft(); \
		enum pl_err err; \
		change; \
		err = read_draft(d); \
		cr_assert_eq(err, expected, "%s: %s", #change, pl_err_str(err)); \
		free(d); \
	} while (0)

Test(sheet, a_good_one_is_read)
{
	struct draft *d = new_draft();

	cr_assert_eq(read_draft(d), PL_OK);
	cr_assert_str_eq(member.code, "FIN");
	cr_assert_str_eq(member.name, "Suomi - Finland");
	cr_assert_eq(member.role, PL_ROLE_STATE);
	cr_assert_eq(member.root.threshold, 3);
	cr_assert_eq(member.root.count, 5);
	cr_assert_arr_eq(member.root.keys[4], d->member.root.keys[4], 32);
	cr_assert_eq(member.node_role.threshold, 2);
	cr_assert_eq(member.node_role.count, 3);
	cr_assert_eq(member.nodes_count, 2);
	cr_assert_str_eq(nodes[1].certificate.label, "helsinki-2");
	cr_assert_str_eq(nodes[1].certificate.address, "n1.example:7100");
	cr_assert_arr_eq(nodes[1].certificate.node_id, d->certificates[1].node_id, 32);
	cr_assert_arr_eq(nodes[1].certificate.noise_public, d->certificates[1].noise_public, 32);
	cr_assert_eq(nodes[1].certificate.generation, 1);
	cr_assert_eq(nodes[1].certificate.valid_from_ms, 100 * DAY_MS);
	cr_assert_eq(nodes[1].certificate.valid_until_ms, 465 * DAY_MS);
	free(d);
}

Test(sheet, the_writers_make_the_same_bytes)
{
	struct draft *d = new_draft();
	uint8_t expected[4096], certificates[2][1024], a[4096], b[4096];
	struct pl_bytes list[2];
	size_t expected_count = build(d, expected, sizeof(expected)), count;

	for (unsigned i = 0; i < 2; i++) {
		cr_assert_eq(pl_certificate_make(&d->certificates[i], "FIN", a, sizeof(a), &count), PL_OK);
		/* in the other order than they are listed */
		cr_assert_eq(pl_sheet_sign(PL_DOCUMENT_CERTIFICATE, a, count, 2, d->role_secrets[2], b, sizeof(b),
		                              &count), PL_OK);
		cr_assert_eq(pl_sheet_sign(PL_DOCUMENT_CERTIFICATE, b, count, 1, d->role_secrets[1],
		                              certificates[i], sizeof(certificates[i]), &list[i].count), PL_OK);
		list[i].bytes = certificates[i];
	}
	cr_assert_eq(pl_sheet_make(&d->member, list, 2, a, sizeof(a), &count), PL_OK);
	for (int k = 4; k >= 0; k -= 2) {
		cr_assert_eq(pl_sheet_sign(PL_DOCUMENT_SHEET, a, count, (uint8_t)k, d->root_secrets[k], b, sizeof(b),
		                              &count), PL_OK);
		memcpy(a, b, count);
	}
	cr_assert_eq(count, expected_count);
	cr_assert_arr_eq(a, expected, count);
	free(d);
}

Test(sheet, largest_documents_fit_their_limits)
{
	struct draft *d = new_draft();
	uint8_t out[8192];
	size_t count;

	make_keys("root", &d->member.root, d->root_secrets, 5, 5);
	make_keys("role", &d->member.node_role, d->role_secrets, 5, 5);
	for (uint8_t i = 0; i < 5; i++)
		d->root_signers[i] = d->role_signers[i] = i;
	d->root_signers_count = d->role_signers_count = 5;
	d->certificates_count = 3;
	memset(d->member.name, 'n', PL_NAME_BYTES_MAX);
	for (unsigned i = 0; i < 3; i++) {
		struct pl_certificate *c = &d->certificates[i];

		memset(c->label, 'l', PL_NAME_BYTES_MAX);
		memset(c->address, 'a', PL_ADDRESS_BYTES_MAX - 6);
		c->address[0] = (char)('a' + i);
		strcpy(c->address + PL_ADDRESS_BYTES_MAX - 6, ":65535");
		c->generation = UINT32_MAX;
		c->valid_until_ms = UINT64_MAX;
		c->valid_from_ms = UINT64_MAX - 365 * DAY_MS;
	}
	cr_assert_eq(read_draft(d), PL_OK);
	count = build(d, out, sizeof(out));
	cr_assert_leq(count, PL_SHEET_BYTES_MAX);
	cr_assert_gt(count, PL_SHEET_BYTES_MAX - 64, "%zu: the limit is tighter than that", count);
	free(d);
}

Test(sheet, thresholds)
{
	REFUSES(PL_OK, (void)d);
	REFUSES(PL_ERR_SIGNATURE, d->root_signers_count = 2);
	REFUSES(PL_ERR_SIGNATURE, d->root_signers_count = 0);
	REFUSES(PL_ERR_SIGNATURE, d->role_signers_count = 1);
	REFUSES(PL_ERR_FORMAT, d->member.root.threshold = 0);
	REFUSES(PL_ERR_LIMIT, d->member.root.threshold = 6);
	REFUSES(PL_ERR_FORMAT, d->member.node_role.threshold = 4); /* of three keys */
	REFUSES(PL_ERR_FORMAT, d->member.node_role.count = 0);
	REFUSES(PL_ERR_LIMIT, d->member.root.count = 6);
	REFUSES(PL_OK, d->member.root.threshold = 1; d->root_signers_count = 1);
}

Test(sheet, signatures_are_listed_once_and_in_order)
{
	REFUSES(PL_ERR_FORMAT, d->root_signers[1] = 0);                                  /* 0 0 4: two of them one holder's */
	REFUSES(PL_ERR_FORMAT, d->root_signers[0] = 2; d->root_signers[1] = 0);          /* 2 0 4 */
	REFUSES(PL_ERR_FORMAT, d->role_signers[0] = 2; d->role_signers[1] = 1);
	REFUSES(PL_ERR_LIMIT, d->root_signers[2] = 5);
	REFUSES(PL_ERR_SIGNATURE, d->role_signers[1] = 3);                               /* there are three keys: 0, 1, 2 */
	REFUSES(PL_ERR_LIMIT, memcpy(d->root_signers, "\0\1\2\3\4\5", 6); d->root_signers_count = 6);
	REFUSES(PL_OK, memcpy(d->root_signers, "\0\1\2\3\4", 5); d->root_signers_count = 5);
}

/* *member is scratch, and a key that stood in it before is not one of this sheet's. */
Test(sheet, keys_of_an_earlier_sheet_do_not_sign)
{
	REFUSES(PL_OK, d->member.node_role.count = 5);
	REFUSES(PL_ERR_SIGNATURE, d->role_signers[1] = 3);
}

Test(sheet, one_bad_signature_spoils_it)
{
	/* four sign, three are needed, and one of the four is by another key */
	REFUSES(PL_ERR_SIGNATURE, memcpy(d->root_signers, "\0\1\2\4", 4); d->root_signers_count = 4;
	        memcpy(d->root_secrets[1], d->root_secrets[0], 64));
	REFUSES(PL_ERR_SIGNATURE, memcpy(d->role_signers, "\0\1\2", 3); d->role_signers_count = 3;
	        memcpy(d->role_secrets[0], d->role_secrets[1], 64));
}

Test(sheet, nothing_stands_twice)
{
	REFUSES(PL_ERR_EXISTS, memcpy(d->member.root.keys[3], d->member.root.keys[1], 32));
	REFUSES(PL_ERR_EXISTS, memcpy(d->member.node_role.keys[2], d->member.node_role.keys[0], 32));
	REFUSES(PL_ERR_EXISTS, memcpy(d->certificates[1].node_id, d->certificates[0].node_id, 32));
	REFUSES(PL_ERR_EXISTS, memcpy(d->certificates[1].noise_public, d->certificates[0].noise_public, 32));
	REFUSES(PL_ERR_EXISTS, strcpy(d->certificates[1].address, d->certificates[0].address));
	REFUSES(PL_ERR_EXISTS, memcpy(d->certificates[0].node_id, d->member.root.keys[4], 32));
	REFUSES(PL_ERR_EXISTS, memcpy(d->certificates[1].node_id, d->member.node_role.keys[0], 32));
	REFUSES(PL_OK, d->certificates[0].address[0] = d->certificates[1].address[0] = 0); /* no address is not a common address */
	/* one key may be root and node role: a small member has few safes */
	REFUSES(PL_OK, memcpy(d->member.node_role.keys[1], d->member.root.keys[1], 32); memcpy(d->role_secrets[1], d->root_secrets[1], 64));
}

Test(sheet, certificates)
{
	REFUSES(PL_ERR_FORMAT, d->certificates_count = 0);
	REFUSES(PL_OK, d->certificates_count = 1);
	REFUSES(PL_OK, d->certificates_count = 3);
	REFUSES(PL_ERR_LIMIT, d->certificates_count = 4);
	REFUSES(PL_ERR_FORMAT, strcpy(d->certificate_codes[1], "SWE"));
	REFUSES(PL_ERR_FORMAT, d->certificates[0].generation = 0);
	REFUSES(PL_ERR_FORMAT, d->certificates[0].valid_until_ms = d->certificates[0].valid_from_ms);
	REFUSES(PL_ERR_FORMAT, d->certificates[0].valid_until_ms = 5);
	REFUSES(PL_OK, d->certificates[0].valid_until_ms = d->certificates[0].valid_from_ms + 1);
	REFUSES(PL_OK, d->certificates[0].valid_until_ms = d->certificates[0].valid_from_ms + 367 * DAY_MS);
	REFUSES(PL_ERR_LIMIT, d->certificates[0].valid_until_ms = d->certificates[0].valid_from_ms + 367 * DAY_MS + 1);
	REFUSES(PL_ERR_LIMIT, d->certificates[0].valid_from_ms = 0; d->certificates[0].valid_until_ms = UINT64_MAX);
	REFUSES(PL_ERR_FORMAT, strcpy(d->certificates[0].label, ""));
	REFUSES(PL_ERR_FORMAT, strcpy(d->certificates[0].label, "a\nb"));
	REFUSES(PL_ERR_FORMAT, strcpy(d->certificates[0].address, "n0.example"));
}

Test(sheet, codes_names_and_roles)
{
	REFUSES(PL_ERR_FORMAT, strcpy(d->member.code, "FI"));
	REFUSES(PL_ERR_FORMAT, strcpy(d->member.code, "FIn"));
	REFUSES(PL_ERR_FORMAT, strcpy(d->member.code, "F1N"));
	REFUSES(PL_ERR_FORMAT, strcpy(d->member.code, ""));
	REFUSES(PL_ERR_FORMAT, strcpy(d->member.name, ""));
	REFUSES(PL_ERR_FORMAT, strcpy(d->member.name, " Finland"));
	REFUSES(PL_ERR_FORMAT, strcpy(d->member.name, "Fin\x1b[31mland"));
	REFUSES(PL_ERR_FORMAT, strcpy(d->member.name, "Fin\xe2\x80\xaeland"));
	REFUSES(PL_OK, strcpy(d->member.name, "\xd9\x85\xd8\xb5\xd8\xb1"));
	for (int role = 0; role < 7; role++)
		REFUSES(role == 0 ? PL_ERR_FORMAT : role > 4 ? PL_ERR_LIMIT : PL_OK, d->member.role = (uint8_t)role);
}

Test(sheet, addresses)
{
	static const struct { const char *text; bool valid; } cases[] = {
		{ "127.0.0.1:7101", true },
		{ "node-1.mfa.example:1", true },
		{ "[::1]:7101", true },
		{ "[2001:db8::ffff:192.0.2.1]:65535", true },
		{ "", false },
		{ ":7101", false },
		{ "host", false },
		{ "host:", false },
		{ "host:0", false },
		{ "host:07101", false },
		{ "host:65536", false },
		{ "host:99999999999999999999", false },
		{ "host:71 01", false },
		{ "host:7101 ", false },
		{ " host:7101", false },
		{ "Host:7101", false },
		{ "ho st:7101", false },
		{ "host:7101/x", false },
		{ "-host:7101", false },
		{ ".host:7101", false },
		{ "host_:7101", false },
		{ "h\xc3\xb6st:7101", false },
		{ "::1:7101", false },
		{ "[::1]", false },
		{ "[::1:7101", false },
		{ "[]:7101", false },
		{ "[", false },
		{ "[::1]x:7101", false },
		{ "[::G]:7101", false },
		{ "[fe80::1%eth0]:7101", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(pl_address_is_valid(cases[i].text, strlen(cases[i].text)), cases[i].valid, "'%s'", cases[i].text);
	for (size_t length = 75; length < 90; length++) {
		char text[100];

		memset(text, 'h', sizeof(text));
		memcpy(text + length - 5, ":7101", 5);
		cr_assert_eq(pl_address_is_valid(text, length), length <= PL_ADDRESS_BYTES_MAX);
	}
}

Test(sheet, every_prefix_is_short)
{
	struct draft *d = new_draft();
	uint8_t out[4096];
	size_t count = build(d, out, sizeof(out));

	for (size_t n = 0; n < count; n++) {
		uint8_t *copy = malloc(n ? n : 1);

		memcpy(copy, out, n);
		cr_assert_eq(pl_sheet_read(copy, n, &member, nodes), PL_ERR_SHORT, "%zu of %zu bytes", n, count);
		free(copy);
	}
	free(d);
}

/* No bit of a signed sheet is without meaning. */
Test(sheet, every_flipped_byte_is_seen)
{
	struct draft *d = new_draft();
	uint8_t out[4096];
	size_t count = build(d, out, sizeof(out));

	for (size_t i = 0; i < count; i++) {
		out[i] ^= (uint8_t)(1u << i % 8);
		cr_assert_neq(pl_sheet_read(out, count, &member, nodes), PL_OK, "byte %zu of %zu", i, count);
		out[i] ^= (uint8_t)(1u << i % 8);
	}
	cr_assert_eq(pl_sheet_read(out, count, &member, nodes), PL_OK);
	free(d);
}

Test(sheet, versions)
{
	static const uint8_t newer[] = { 0x92, 0xc4, 3, 0x92, 0x02, 0x05, 0x90 };
	struct pl_certificate certificate;
	char code[4];

	cr_assert_eq(pl_sheet_read(newer, sizeof(newer), &member, nodes), PL_ERR_VERSION);
	cr_assert_eq(pl_certificate_read(newer, sizeof(newer), &certificate, code), PL_ERR_VERSION);
}

Test(sheet, unsigned_ones_say_who_has_signed)
{
	struct draft *d = new_draft();
	uint8_t out[4096], bits = 0;
	size_t count;

	d->root_signers_count = 2;
	count = build(d, out, sizeof(out));
	cr_assert_eq(pl_sheet_read(out, count, &member, nodes), PL_ERR_SIGNATURE);
	cr_assert_eq(pl_sheet_read_unsigned(out, count, &member, nodes, &bits), PL_OK);
	cr_assert_eq(bits, 1 << 0 | 1 << 2);
	d->root_signers_count = 0;
	count = build(d, out, sizeof(out));
	cr_assert_eq(pl_sheet_read_unsigned(out, count, &member, nodes, &bits), PL_OK);
	cr_assert_eq(bits, 0);
	d->role_signers_count = 1;
	count = build(d, out, sizeof(out));
	cr_assert_eq(pl_sheet_read_unsigned(out, count, &member, nodes, &bits), PL_ERR_SIGNATURE, "certificates have to be complete");
	free(d);
}

Test(sheet, signing)
{
	struct draft *d = new_draft();
	uint8_t out[4096], more[4096];
	size_t count = build(d, out, sizeof(out)), more_count = 12345;

#define SIGN(index, secret) pl_sheet_sign(PL_DOCUMENT_SHEET, out, count, index, secret, more, sizeof(more), &more_count)
	cr_assert_eq(SIGN(0, d->root_secrets[0]), PL_ERR_EXISTS);
	cr_assert_eq(SIGN(1, d->root_secrets[3]), PL_ERR_UNKNOWN);
	cr_assert_eq(SIGN(1, d->role_secrets[1]), PL_ERR_UNKNOWN);
	cr_assert_eq(SIGN(5, d->root_secrets[3]), PL_ERR_LIMIT);
	cr_assert_eq(more_count, 12345, "untouched by errors");
	cr_assert_eq(SIGN(3, d->root_secrets[3]), PL_OK);
	cr_assert_eq(pl_sheet_read(more, more_count, &member, nodes), PL_OK);
	cr_assert_eq(pl_sheet_sign(PL_DOCUMENT_SHEET, out, count, 3, d->root_secrets[3], more, count, &more_count),
	             PL_ERR_FULL);
	cr_assert_eq(pl_sheet_sign(PL_DOCUMENT_CERTIFICATE, out, count, 3, d->root_secrets[3], more,
	                              sizeof(more), &more_count), PL_ERR_LIMIT, "a sheet is no certificate");
	free(d);
}

Test(sheet, writers_refuse_what_readers_would)
{
	struct draft *d = new_draft();
	uint8_t out[4096], certificate[1024];
	size_t count;
	struct pl_bytes list[4];
	struct pl_certificate wrong = d->certificates[0];

	wrong.generation = 0;
	cr_assert_eq(pl_certificate_make(&wrong, "FIN", out, sizeof(out), &count), PL_ERR_FORMAT);
	cr_assert_eq(pl_certificate_make(&d->certificates[0], "fin", out, sizeof(out), &count), PL_ERR_FORMAT);
	cr_assert_eq(pl_certificate_make(&d->certificates[0], "FIN", out, 50, &count), PL_ERR_FULL);
	cr_assert_eq(pl_certificate_make(&d->certificates[0], "FIN", certificate, sizeof(certificate), &list[0].count), PL_OK);
	list[0].bytes = certificate;
	list[1] = list[2] = list[3] = list[0];
	cr_assert_eq(pl_sheet_make(&d->member, list, 1, out, sizeof(out), &count), PL_ERR_SIGNATURE, "the certificate is unsigned");
	cr_assert_eq(pl_sheet_make(&d->member, list, 0, out, sizeof(out), &count), PL_ERR_FORMAT);
	cr_assert_eq(pl_sheet_make(&d->member, list, 4, out, sizeof(out), &count), PL_ERR_LIMIT);
	d->member.root.count = 6;
	cr_assert_eq(pl_sheet_make(&d->member, list, 1, out, sizeof(out), &count), PL_ERR_LIMIT);
	free(d);
}
