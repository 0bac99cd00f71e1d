/* What one member publishes about itself: a **sheet** with its code and name, its root and node-role keys, and a **certificate** for each
 * of its nodes. PROTOCOL.md, "Charter".
 *
 * The sheet is signed by the member's own root threshold, each certificate by its node-role threshold. Both are documents (document.h).
 */
#ifndef PL_PROTO_SHEET_H
#define PL_PROTO_SHEET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/err.h"
#include "crypto/sign.h"
#include "proto/document.h"
#include "proto/limits.h"

#define PL_CHARTER_VERSION 1   /* of certificates, sheets and charters alike */
#define PL_MEMBER_CODE_BYTES 3 /* ISO 3166-1 alpha-3, or three capitals for an institution */

enum pl_member_role { PL_ROLE_STATE = 1, PL_ROLE_OBSERVER = 2, PL_ROLE_ARBITER = 3, PL_ROLE_AUDITOR = 4 };

/* Signed by the node role's threshold: this machine speaks for the member. */
struct pl_certificate {
	char label[PL_NAME_BYTES_MAX + 1]; /* what the member calls it: "helsinki-1" */
	uint8_t node_id[PL_NODE_ID_BYTES];
	uint8_t noise_public[32];
	uint32_t generation;
	uint64_t valid_from_ms, valid_until_ms; /* at most a year and a day apart */
	char address[PL_ADDRESS_BYTES_MAX + 1]; /* where it can be dialled; empty: it only dials out */
};

struct pl_member {
	char code[PL_MEMBER_CODE_BYTES + 1];
	char name[PL_NAME_BYTES_MAX + 1];
	uint8_t role; /* enum pl_member_role */
	struct pl_key_set root, node_role;
	uint8_t nodes_count;
	uint16_t first_node; /* index in pl_charter.nodes */
};

struct pl_charter_node {
	struct pl_certificate certificate;
	uint16_t member; /* index in pl_charter.members */
};

/* Made unsigned; what a reader would refuse is not made. out may not alias an input. PL_ERR_FULL and the errors of reading. */
PL_MUST_CHECK enum pl_err pl_certificate_make(const struct pl_certificate *certificate, const char code[PL_MEMBER_CODE_BYTES + 1],
                                              uint8_t *out, size_t out_max, size_t *out_bytes);
PL_MUST_CHECK enum pl_err pl_sheet_make(const struct pl_member *member, const struct pl_bytes *certificates, size_t certificates_count,
                                        uint8_t *out, size_t out_max, size_t *out_bytes);
/* Adds a signature to a sheet or a certificate, by the key with this index of the set that has to sign. PL_ERR_EXISTS: this index has signed
 * already; PL_ERR_UNKNOWN: a sheet's root key with this index is another one (a certificate does not hold the keys that sign it, so there it
 * shows when the sheet is made); PL_ERR_LIMIT, and the errors of reading. */
PL_MUST_CHECK enum pl_err pl_sheet_sign(enum pl_document_type type, const uint8_t *document, size_t document_bytes, uint8_t key_index,
                                        const uint8_t secret_key[PL_SIGN_SECRET_BYTES], uint8_t *out, size_t out_max, size_t *out_bytes);
/* Reads one sheet and checks its signatures. nodes has room for PL_NODES_PER_MEMBER_MAX. *member and *nodes are scratch until PL_OK, but
 * member->code names the member as soon as it is known. */
PL_MUST_CHECK enum pl_err pl_sheet_read(const uint8_t *document, size_t document_bytes, struct pl_member *member,
                                        struct pl_charter_node *nodes);
/* The same without requiring the sheet's own signatures to be complete; signed_keys gets a bit for each root key that has signed. */
PL_MUST_CHECK enum pl_err pl_sheet_read_unsigned(const uint8_t *document, size_t document_bytes, struct pl_member *member,
                                                 struct pl_charter_node *nodes, uint8_t *signed_keys);
/* Reads one certificate; its signatures can only be checked with the sheet, where the keys stand. */
PL_MUST_CHECK enum pl_err pl_certificate_read(const uint8_t *document, size_t document_bytes, struct pl_certificate *certificate,
                                              char code[PL_MEMBER_CODE_BYTES + 1]);

/* What these documents hold, for those who check an operator's input. */
bool pl_member_code_is_valid(const char *chars, size_t bytes); /* three capitals */
bool pl_address_is_valid(const char *chars, size_t bytes);     /* "host:port" or "[v6]:port", in lower case; not empty */

/* Whether two members, or two nodes, share what each must have alone: code, role keys; node id, Noise key, address. */
bool pl_members_clash(const struct pl_member *a, const struct pl_charter_node *a_nodes, const struct pl_member *b,
                      const struct pl_charter_node *b_nodes);

/* Reads a sheet without looking at a signature, for what has been checked before; nodes may be NULL. */
PL_MUST_CHECK enum pl_err pl_sheet_read_form(const uint8_t *document, size_t document_bytes, struct pl_member *member,
                                             struct pl_charter_node *nodes);

#endif
