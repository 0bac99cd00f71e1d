/* Networks for tests: a charter with keys that follow from a number, so that every run, and every machine, sees the same bytes.
 *
 * Members are BRA, CHE, FIN, KEN, NOR, NZL, SGP, URY and then QAA, QAB... in the charter's order (by code), each with one root key that
 * is its node role too. Test code only: whatever goes wrong ends the process with a sentence on stderr.
 */
#ifndef PL_TESTS_FIXTURE_H
#define PL_TESTS_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "proto/charter.h"

#define PL_FIXTURE_CREATED_MS 1795521600000ULL /* 2026-11-24T12:00:00Z */

struct pl_fixture_node {
	uint8_t sign_secret[PL_SIGN_SECRET_BYTES];
	uint8_t noise_secret[32];
};

struct pl_fixture {
	struct pl_charter charter;
	struct pl_fixture_node nodes[PL_NODES_MAX];          /* by node index */
	uint8_t root_secrets[PL_MEMBERS_MAX][PL_SIGN_SECRET_BYTES]; /* by member index */
	size_t document_bytes;
	uint8_t document[PL_CHARTER_BYTES_MAX];
};

/* number tells networks apart: other keys, another id. Free with free(). */
struct pl_fixture *pl_fixture_new(unsigned number, unsigned members, unsigned nodes_per_member);

/* 32 bytes that follow from a purpose and two numbers. */
void pl_fixture_seed(const char *purpose, uint32_t a, uint32_t b, uint8_t out[32]);

#endif
