#include "tests/fixture.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>


static void must(enum pl_err err, const char *what)
{
	if (err == PL_OK)
		return;
	fprintf(stderr, "fixture: %s: %s\n", what, pl_err_str(err));
	abort();
}

void pl_fixture_seed(const char *purpose, uint32_t a, uint32_t b, uint8_t out[32])
{
	char text[128];

	snprintf(text, sizeof(text), "parley fixture %s %u %u", purpose, (unsigned)a, (unsigned)b);
	crypto_generichash(out, 32, (const uint8_t *)text, strlen(text), NULL, 0);
}

static void member_code(unsigned index, char code[PL_MEMBER_CODE_BYTES + 1])
{
	static const char known[][4] = { "CHE", "FIN", "SGP", "BRA", "KEN", "NOR", "NZL", "URY" };

	if (index < sizeof(known) / sizeof(known[0])) {
		memcpy(code, known[index], 4);
	} else {
		code[0] = 'Q';
		code[1] = (char)('A' + index / 26);
		code[2] = (char)('A' + index % 26);
		code[3] = 0;
	}
}

static size_t make_sheet(const struct pl_member *member, const uint8_t root_secret[PL_SIGN_SECRET_BYTES], unsigned number, unsigned first,
                         unsigned nodes, struct pl_fixture_node *secrets, uint8_t *out)
{
	uint8_t certificates[PL_NODES_PER_MEMBER_MAX][PL_CERTIFICATE_BYTES_MAX], bytes[PL_SHEET_BYTES_MAX];
	struct pl_bytes list[PL_NODES_PER_MEMBER_MAX];
	size_t count;

	for (unsigned n = 0; n < nodes; n++) {
		struct pl_certificate certificate = {
			.generation = 1,
			.valid_from_ms = PL_FIXTURE_CREATED_MS - 86400000,
			.valid_until_ms = PL_FIXTURE_CREATED_MS + 31536000000,
		};
		uint8_t seed[32];

		snprintf(certificate.label, sizeof(certificate.label), "%s-%u", member->code, n + 1);
		snprintf(certificate.address, sizeof(certificate.address), "127.0.0.1:%u", 10000 + first + n);
		pl_fixture_seed("node", number, first + n, seed);
		pl_sign_keypair(seed, certificate.node_id, secrets[n].sign_secret);
		pl_fixture_seed("noise", number, first + n, secrets[n].noise_secret);
		crypto_scalarmult_base(certificate.noise_public, secrets[n].noise_secret);
		must(pl_certificate_make(&certificate, member->code, bytes, sizeof(bytes), &count), "certificate");
		must(pl_sheet_sign(PL_DOCUMENT_CERTIFICATE, bytes, count, 0, root_secret, certificates[n],
		                      sizeof(certificates[n]), &list[n].count), "certificate");
		list[n].bytes = certificates[n];
	}
	must(pl_sheet_make(member, list, nodes, bytes, sizeof(bytes), &count), "sheet");
	must(pl_sheet_sign(PL_DOCUMENT_SHEET, bytes, count, 0, root_secret, out, PL_SHEET_BYTES_MAX,
	                      &count), "sheet");
	return count;
}

struct pl_fixture *pl_fixture_new(unsigned number, unsigned members, unsigned nodes_per_member)
{
	struct pl_fixture *fixture = calloc(1, sizeof(*fixture)), *unsorted = calloc(1, sizeof(*unsorted));
	uint8_t (*sheets)[PL_SHEET_BYTES_MAX] = calloc(members, sizeof(*sheets)), *spare = malloc(PL_CHARTER_BYTES_MAX);
	struct pl_bytes list[PL_MEMBERS_MAX];
	char at[PL_MEMBER_CODE_BYTES + 1], name[32];
	size_t count;

	if (!fixture || !unsorted || !sheets || !spare || members > PL_MEMBERS_MAX || nodes_per_member > PL_NODES_PER_MEMBER_MAX)
		must(PL_ERR_MEMORY, "new");
	for (unsigned m = 0; m < members; m++) {
		struct pl_member member = { .role = PL_ROLE_STATE, .root = { .threshold = 1, .count = 1 } };
		uint8_t seed[32];

		member_code(m, member.code);
		snprintf(member.name, sizeof(member.name), "Member %s", member.code);
		pl_fixture_seed("root", number, m, seed);
		pl_sign_keypair(seed, member.root.keys[0], unsorted->root_secrets[m]);
		member.node_role = member.root;
		list[m].bytes = sheets[m];
		list[m].count = make_sheet(&member, unsorted->root_secrets[m], number, m * nodes_per_member, nodes_per_member,
		                           &unsorted->nodes[m * nodes_per_member], sheets[m]);
	}
	snprintf(name, sizeof(name), "Test network %u", number);
	must(pl_charter_make(name, PL_FIXTURE_CREATED_MS, list, members, spare, PL_CHARTER_BYTES_MAX, &count, at), "charter");
	for (unsigned m = 0; m < members; m++) {
		memcpy(fixture->document, spare, count);
		must(pl_charter_sign(fixture->document, count, unsorted->root_secrets[m], spare, PL_CHARTER_BYTES_MAX, &count), "charter");
	}
	memcpy(fixture->document, spare, count);
	fixture->document_bytes = count;
	must(pl_charter_read(fixture->document, count, &fixture->charter, at), "charter");

	for (unsigned m = 0; m < members; m++) {
		char code[PL_MEMBER_CODE_BYTES + 1];
		int place;

		member_code(m, code);
		place = pl_charter_find_member(&fixture->charter, code);
		memcpy(fixture->root_secrets[place], unsorted->root_secrets[m], PL_SIGN_SECRET_BYTES);
		memcpy(&fixture->nodes[(unsigned)place * nodes_per_member], &unsorted->nodes[m * nodes_per_member],
		       nodes_per_member * sizeof(fixture->nodes[0]));
	}
	free(unsorted);
	free(sheets);
	free(spare);
	return fixture;
}
