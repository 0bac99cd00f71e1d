#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/charter.h"
#include "proto/mp.h"
#include "tests/fixture.h"

static struct pl_charter parsed;
static char at[PL_MEMBER_CODE_BYTES + 1];

static enum pl_err read_charter(const uint8_t *document, size_t count)
{
	uint8_t *copy = malloc(count ? count : 1);
	enum pl_err err;

	memcpy(copy, document, count);
	err = pl_charter_read(copy, count, &parsed, at);
	free(copy);
	return err;
}

/* A founder with one key, whose parts a test may bend before the sheet is made. */
struct founder {
	struct pl_member member;
	struct pl_certificate certificate;
	uint8_t root_secret[PL_SIGN_SECRET_BYTES], role_secret[PL_SIGN_SECRET_BYTES];
	uint8_t sheet[PL_SHEET_BYTES_MAX];
	size_t sheet_bytes;
};

static struct founder founder(const char *code, uint32_t number)
{
	struct founder f = { .member = { .role = PL_ROLE_STATE } };
	uint8_t seed[32];

	strcpy(f.member.code, code);
	snprintf(f.member.name, sizeof(f.member.name), "Member %s", code);
	f.member.root.threshold = f.member.root.count = f.member.node_role.threshold = f.member.node_role.count = 1;
	pl_fixture_seed("founder root", number, 0, seed);
	pl_sign_keypair(seed, f.member.root.keys[0], f.root_secret);
	pl_fixture_seed("founder role", number, 0, seed);
	pl_sign_keypair(seed, f.member.node_role.keys[0], f.role_secret);
	strcpy(f.certificate.label, "first");
	snprintf(f.certificate.address, sizeof(f.certificate.address), "n%u.example:7100", (unsigned)number);
	pl_fixture_seed("founder node", number, 0, f.certificate.node_id);
	pl_fixture_seed("founder noise", number, 0, f.certificate.noise_public);
	f.certificate.generation = 1;
	f.certificate.valid_from_ms = 1000;
	f.certificate.valid_until_ms = 2000;
	return f;
}

static struct pl_bytes sheet_of(struct founder *f)
{
	uint8_t a[PL_SHEET_BYTES_MAX], b[PL_SHEET_BYTES_MAX];
	struct pl_bytes certificate = { b, 0 };
	size_t count;

	cr_assert_eq(pl_certificate_make(&f->certificate, f->member.code, a, sizeof(a), &count), PL_OK);
	cr_assert_eq(pl_sheet_sign(PL_DOCUMENT_CERTIFICATE, a, count, 0, f->role_secret, b, sizeof(b),
	                              &certificate.count), PL_OK);
	cr_assert_eq(pl_sheet_make(&f->member, &certificate, 1, a, sizeof(a), &count), PL_OK);
	cr_assert_eq(pl_sheet_sign(PL_DOCUMENT_SHEET, a, count, 0, f->root_secret, f->sheet, sizeof(f->sheet),
	                              &f->sheet_bytes), PL_OK);
	return (struct pl_bytes){ f->sheet, f->sheet_bytes };
}

/* A charter document of these sheets in this order, whatever they are; each secret signs by itself in the list of its place. */
static size_t build(uint64_t version, uint64_t epoch, uint64_t created_ms, const char *name, const struct pl_bytes *sheets, size_t count,
                    uint8_t (*secrets)[PL_SIGN_SECRET_BYTES], size_t lists_count, uint8_t *out, size_t out_max)
{
	static uint8_t body[PL_CHARTER_BYTES_MAX];
	uint8_t id[32], list[100], signature[64];
	const struct pl_part body_part = { body, 0 }, id_part = { id, 32 };
	struct pl_part hashed = body_part;
	struct pl_mp_writer w, l;

	pl_mp_writer_init(&w, body, sizeof(body));
	pl_mp_put_array(&w, 5);
	pl_mp_put_uint(&w, version);
	pl_mp_put_uint(&w, epoch);
	pl_mp_put_uint(&w, created_ms);
	pl_mp_put_str(&w, name, strlen(name));
	pl_mp_put_array(&w, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		pl_mp_put_bin(&w, sheets[i].bytes, sheets[i].count);
	hashed.count = w.count;
	pl_hash("parley/v1/network", 18, &hashed, 1, id);
	pl_mp_writer_init(&w, out, out_max);
	pl_mp_put_array(&w, 2);
	pl_mp_put_bin(&w, body, hashed.count);
	pl_mp_put_array(&w, (uint32_t)lists_count);
	for (size_t i = 0; i < lists_count; i++) {
		pl_sign("parley/v1/charter", 18, &id_part, 1, secrets[i], signature);
		pl_mp_writer_init(&l, list, sizeof(list));
		pl_mp_put_array(&l, 1);
		pl_mp_put_array(&l, 2);
		pl_mp_put_uint(&l, 0);
		pl_mp_put_bin(&l, signature, 64);
		pl_mp_put_bin(&w, list, l.count);
	}
	cr_assert_eq(w.err, PL_OK);
	return w.count;
}

/* Two founders, put together in this order without the help of pl_charter_make(). */
static enum pl_err read_pair(struct founder *a, struct founder *b)
{
	uint8_t out[16384], secrets[2][PL_SIGN_SECRET_BYTES];
	struct pl_bytes sheets[2] = { sheet_of(a), sheet_of(b) };
	size_t made_count, count;
	char made_at[4];
	enum pl_err err, made;

	memcpy(secrets[0], a->root_secret, 64);
	memcpy(secrets[1], b->root_secret, 64);
	count = build(1, 0, 1500, "Pair", sheets, 2, secrets, 2, out, sizeof(out));
	err = read_charter(out, count);
	made = pl_charter_make("Pair", 1500, sheets, 2, out, sizeof(out), &made_count, made_at);
	if (err == PL_ERR_FORMAT && made == PL_OK)
		return err; /* an order that the writer mends */
	cr_assert_eq(made, err, "the writer says %s, the reader %s", pl_err_str(made), pl_err_str(err));
	cr_assert_str_eq(made_at, at);
	return err;
}

Test(charter, members_and_nodes_in_order)
{
	struct pl_fixture *f = pl_fixture_new(1, 3, 2);
	static const char *names[6] = { "CHE", "CHE.2", "FIN", "FIN.2", "SGP", "SGP.2" };
	char name[PL_NODE_NAME_BYTES];
	const struct pl_charter *c = &parsed;

	cr_assert_eq(read_charter(f->document, f->document_bytes), PL_OK);
	cr_assert_str_eq(at, "");
	cr_assert_eq(c->members_count, 3);
	cr_assert_eq(c->nodes_count, 6);
	cr_assert_eq(c->epoch, 0);
	cr_assert_eq(c->created_ms, PL_FIXTURE_CREATED_MS);
	cr_assert_str_eq(c->name, "Test network 1");
	cr_assert_str_eq(c->members[1].code, "FIN");
	for (uint16_t i = 0; i < 6; i++) {
		cr_assert_eq(c->nodes[i].member, i / 2);
		cr_assert_eq(c->members[i / 2].first_node, i / 2 * 2);
		pl_charter_node_name(c, i, name);
		cr_assert_str_eq(name, names[i]);
		cr_assert_eq(pl_charter_find_name(c, names[i]), i);
		cr_assert_eq(pl_charter_find_node(c, c->nodes[i].certificate.node_id), i);
		cr_assert_eq(pl_charter_find_noise(c, c->nodes[i].certificate.noise_public), i);
		cr_assert_arr_eq(f->nodes[i].sign_secret + 32, c->nodes[i].certificate.node_id, 32);
	}
	cr_assert_eq(pl_charter_find_member(c, "SGP"), 2);
	cr_assert_eq(pl_charter_find_member(c, "SWE"), -1);
	cr_assert_eq(pl_charter_find_member(c, ""), -1);
	cr_assert_eq(pl_charter_find_node(c, (const uint8_t *)"no node has this for its node id"), PL_NODE_NONE);
	cr_assert_eq(pl_charter_find_noise(c, (const uint8_t *)"no node has this for a Noise key"), PL_NODE_NONE);
	static const char *unknown[] = {
		"", "F", "FI", "SWE", "fin", "FIN.", "FIN.1", "FIN.3", "FIN.9", "FIN.0", "FIN.22", "FIN2", "FIN..2", "FIN.2 ",
	};
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		cr_assert_eq(pl_charter_find_name(c, unknown[i]), PL_NODE_NONE, "'%s'", unknown[i]);
	free(f);
}

Test(charter, network_id_is_the_hash_of_the_body)
{
	struct pl_fixture *f = pl_fixture_new(1, 2, 1), *g = pl_fixture_new(2, 2, 1);
	struct pl_mp_token tokens[8];
	struct pl_mp_cursor cursor;
	struct pl_part body;
	size_t count;
	uint8_t id[32];

	cr_assert_eq(pl_mp_parse(f->document, f->document_bytes, tokens, 8, &count), PL_OK);
	pl_mp_cursor_init(&cursor, tokens, count);
	pl_mp_enter_array(&cursor, 2, 2);
	body.bytes = pl_mp_take_bin(&cursor, 1, SIZE_MAX, &body.count);
	pl_hash("parley/v1/network", 18, &body, 1, id);
	cr_assert_arr_eq(id, f->charter.network_id, 32);
	cr_assert_arr_neq(id, g->charter.network_id, 32);
	free(f);
	free(g);
}

Test(charter, every_prefix_is_short)
{
	struct pl_fixture *f = pl_fixture_new(3, 2, 1);

	for (size_t n = 0; n < f->document_bytes; n++)
		cr_assert_eq(read_charter(f->document, n), PL_ERR_SHORT, "%zu of %zu bytes", n, f->document_bytes);
	free(f);
}

Test(charter, every_flipped_byte_is_seen)
{
	struct pl_fixture *f = pl_fixture_new(3, 2, 1);

	for (size_t i = 0; i < f->document_bytes; i++) {
		f->document[i] ^= (uint8_t)(1u << i % 8);
		cr_assert_neq(read_charter(f->document, f->document_bytes), PL_OK, "byte %zu of %zu", i, f->document_bytes);
		f->document[i] ^= (uint8_t)(1u << i % 8);
	}
	cr_assert_eq(read_charter(f->document, f->document_bytes), PL_OK);
	free(f);
}

Test(charter, two_good_founders)
{
	struct founder a = founder("FIN", 1), b = founder("SGP", 2);

	cr_assert_eq(read_pair(&a, &b), PL_OK);
	cr_assert_eq(read_pair(&b, &a), PL_ERR_FORMAT, "out of order");
	cr_assert_str_eq(at, "FIN");
}

#define CLASHES(change) do { \
		struct founder a = founder("FIN", 1), b = founder("SGP", 2); \
		enum pl_err err; \
		change; \
		err = read_pair(&a, &b); \
		cr_assert_eq(err, PL_ERR_EXISTS, "%s: %s", #change, pl_err_str(err)); \
		cr_assert_str_eq(at, b.member.code); \
	} while (0)

Test(charter, what_belongs_to_one_member_alone)
{
	CLASHES(strcpy(b.member.code, "FIN"));
	CLASHES(b.member.root = a.member.root; memcpy(b.root_secret, a.root_secret, 64));
	CLASHES(b.member.node_role = a.member.node_role; memcpy(b.role_secret, a.role_secret, 64));
	CLASHES(b.member.node_role = a.member.root; memcpy(b.role_secret, a.root_secret, 64));
	CLASHES(b.member.root = a.member.node_role; memcpy(b.root_secret, a.role_secret, 64));
	CLASHES(memcpy(b.certificate.node_id, a.certificate.node_id, 32));
	CLASHES(memcpy(b.certificate.noise_public, a.certificate.noise_public, 32));
	CLASHES(strcpy(b.certificate.address, a.certificate.address));
	CLASHES(memcpy(b.certificate.node_id, a.member.root.keys[0], 32));
	CLASHES(memcpy(a.certificate.node_id, b.member.node_role.keys[0], 32));
	/* a spare key that only one of them uses is still the other's, too */
	CLASHES(a.member.root.count = 2; memcpy(a.member.root.keys[1], b.member.root.keys[0], 32));
}

Test(charter, two_nodes_that_only_dial_out)
{
	struct founder a = founder("FIN", 1), b = founder("SGP", 2);

	a.certificate.address[0] = b.certificate.address[0] = 0;
	cr_assert_eq(read_pair(&a, &b), PL_OK);
}

Test(charter, a_certificate_that_had_ended)
{
	struct founder a = founder("FIN", 1), b = founder("SGP", 2);

	b.certificate.valid_until_ms = 1501;
	cr_assert_eq(read_pair(&a, &b), PL_OK);
	b.certificate.valid_until_ms = 1500;
	cr_assert_eq(read_pair(&a, &b), PL_ERR_EXPIRED);
	cr_assert_str_eq(at, "SGP");
}

Test(charter, form)
{
	struct founder f[3] = { founder("FIN", 1), founder("SGP", 2), founder("URY", 3) };
	struct pl_bytes sheets[3] = { sheet_of(&f[0]), sheet_of(&f[1]), sheet_of(&f[2]) };
	uint8_t out[16384], secrets[3][PL_SIGN_SECRET_BYTES];

	for (int i = 0; i < 3; i++)
		memcpy(secrets[i], f[i].root_secret, 64);
#define READ(version, epoch, name, sheets_count, lists_count) \
	read_charter(out, build(version, epoch, 1500, name, sheets, sheets_count, secrets, lists_count, out, sizeof(out)))
	cr_assert_eq(READ(1, 0, "Net", 3, 3), PL_OK);
	cr_assert_eq(READ(1, 0, "Net", 1, 1), PL_OK);
	cr_assert_eq(READ(2, 0, "Net", 3, 3), PL_ERR_VERSION);
	cr_assert_eq(READ(0, 0, "Net", 3, 3), PL_ERR_VERSION);
	cr_assert_eq(READ(1, 1, "Net", 3, 3), PL_ERR_VERSION, "an amendment");
	cr_assert_eq(READ(1, 0, "", 3, 3), PL_ERR_FORMAT);
	cr_assert_eq(READ(1, 0, "Net\n", 3, 3), PL_ERR_FORMAT);
	cr_assert_eq(READ(1, 0, "Net", 3, 2), PL_ERR_FORMAT, "a list of signatures is missing");
	cr_assert_eq(READ(1, 0, "Net", 2, 3), PL_ERR_FORMAT, "one too many");
	cr_assert_eq(READ(1, 0, "Net", 0, 0), PL_ERR_FORMAT, "nobody");
	/* signatures under each other's place */
	memcpy(secrets[0], f[1].root_secret, 64);
	cr_assert_eq(READ(1, 0, "Net", 3, 3), PL_ERR_SIGNATURE);
	cr_assert_str_eq(at, "FIN");
}

Test(charter, one_after_the_other_signs)
{
	struct founder f[3] = { founder("URY", 3), founder("FIN", 1), founder("SGP", 2) };
	struct pl_bytes sheets[3] = { sheet_of(&f[0]), sheet_of(&f[1]), sheet_of(&f[2]) };
	uint8_t out[16384], more[16384], other_order[16384], stranger[64], public_key[32];
	size_t count, more_count = 4711, other_count;
	bool signed_by[PL_MEMBERS_MAX];

	cr_assert_eq(pl_charter_make("Net", 1500, sheets, 3, out, sizeof(out), &count, at), PL_OK);
	cr_assert_eq(pl_charter_make("Net", 1500, sheets, 3, more, count - 1, &more_count, at), PL_ERR_FULL);
	cr_assert_eq(pl_charter_read(out, count, &parsed, at), PL_ERR_SIGNATURE);
	cr_assert_str_eq(at, "FIN");
	memset(signed_by, 1, sizeof(signed_by));
	cr_assert_eq(pl_charter_read_unsigned(out, count, &parsed, signed_by, at), PL_OK);
	cr_assert(!signed_by[0] && !signed_by[1] && !signed_by[2]);

	pl_sign_keypair((const uint8_t *)"a seed of thirty-two bytes......", public_key, stranger);
	cr_assert_eq(pl_charter_sign(out, count, stranger, more, sizeof(more), &more_count), PL_ERR_UNKNOWN);
	cr_assert_eq(pl_charter_sign(out, count, f[1].role_secret, more, sizeof(more), &more_count), PL_ERR_UNKNOWN, "no root key");
	cr_assert_eq(pl_charter_sign(out, count, f[1].root_secret, more, count, &more_count), PL_ERR_FULL);
	cr_assert_eq(more_count, 4711, "untouched by errors");

	memcpy(other_order, out, count);
	other_count = count;
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(pl_charter_sign(out, count, f[i].root_secret, more, sizeof(more), &more_count), PL_OK);
		cr_assert_eq(pl_charter_read_unsigned(more, more_count, &parsed, signed_by, at), PL_OK);
		cr_assert_eq(signed_by[2], true, "URY signs first");
		cr_assert_eq(signed_by[0], i >= 1);
		cr_assert_eq(signed_by[1], i >= 2);
		cr_assert_eq(pl_charter_read(more, more_count, &parsed, at), i == 2 ? PL_OK : PL_ERR_SIGNATURE);
		memcpy(out, more, more_count);
		count = more_count;
		cr_assert_eq(pl_charter_sign(out, count, f[i].root_secret, more, sizeof(more), &more_count), PL_ERR_EXISTS);

		cr_assert_eq(pl_charter_sign(other_order, other_count, f[2 - i].root_secret, more, sizeof(more), &more_count), PL_OK);
		memcpy(other_order, more, more_count);
		other_count = more_count;
	}
	cr_assert_eq(other_count, count);
	cr_assert_arr_eq(other_order, out, count, "the order of signing leaves no trace");
}

Test(charter, thresholds_of_founders)
{
	struct founder f = founder("FIN", 1);
	uint8_t out[16384], more[16384], seed[32], secrets[3][64];
	struct pl_bytes sheet;
	size_t count;
	bool signed_by[PL_MEMBERS_MAX];

	f.member.root.threshold = 2;
	f.member.root.count = 3;
	for (uint8_t i = 0; i < 3; i++) {
		pl_fixture_seed("threshold", i, 0, seed);
		pl_sign_keypair(seed, f.member.root.keys[i], secrets[i]);
	}
	memcpy(f.root_secret, secrets[0], 64);
	sheet = sheet_of(&f);
	cr_assert_eq(pl_charter_make("Net", 1500, &sheet, 1, out, sizeof(out), &count, at), PL_ERR_SIGNATURE, "the sheet lacks one itself");
	cr_assert_str_eq(at, "FIN");
	cr_assert_eq(pl_sheet_sign(PL_DOCUMENT_SHEET, sheet.bytes, sheet.count, 2, secrets[2], more, sizeof(more),
	                              &count), PL_OK);
	sheet = (struct pl_bytes){ more, count };
	cr_assert_eq(pl_charter_make("Net", 1500, &sheet, 1, out, sizeof(out), &count, at), PL_OK);
	for (int i = 2; i >= 0; i--) {
		cr_assert_eq(pl_charter_sign(out, count, secrets[i], more, sizeof(more), &count), PL_OK);
		memcpy(out, more, count);
		cr_assert_eq(pl_charter_read_unsigned(out, count, &parsed, signed_by, at), PL_OK);
		cr_assert_eq(signed_by[0], i <= 1);
		cr_assert_eq(pl_charter_read(out, count, &parsed, at), i <= 1 ? PL_OK : PL_ERR_SIGNATURE);
	}
}

Test(charter, as_large_as_they_come, .timeout = 120)
{
	struct pl_fixture *f = pl_fixture_new(9, PL_MEMBERS_MAX, PL_NODES_PER_MEMBER_MAX);
	char name[PL_NODE_NAME_BYTES];

	cr_assert_eq(f->charter.members_count, PL_MEMBERS_MAX);
	cr_assert_eq(f->charter.nodes_count, PL_NODES_MAX);
	pl_charter_node_name(&f->charter, PL_NODES_MAX - 1, name);
	cr_assert_eq(pl_charter_find_name(&f->charter, name), PL_NODES_MAX - 1);
	/* with every key, signature and name at its largest, too, there is room */
	cr_assert_leq(PL_MEMBERS_MAX * (3 + PL_SHEET_BYTES_MAX + 3 + 1 + 5 * 68) + 200, PL_CHARTER_BYTES_MAX);
	free(f);
}
