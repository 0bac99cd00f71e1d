/* The charter: who the members of a network are, which keys speak for them, and under which limits. PROTOCOL.md, "Charter".
 *
 * A **member sheet** is what one state publishes about itself: its codes and names, root and node-role keys, and its node certificates; it
 * is signed by its own root threshold. A **genesis charter** is an ordered list of sheets with a network name, signed by every founder's
 * root threshold. The network id is the hash of the charter body under PL_LABEL_NETWORK: any change of a byte is another network.
 * Amendments (later epochs) are not in this version; the epoch field stands in every entry already.
 *
 * Encodings are canonical msgpack (mp.h). Nodes have an index: their order in the charter, members sorted by code. Frames use it.
 */
#ifndef PL_PROTO_CHARTER_H
#define PL_PROTO_CHARTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/envelope.h"
#include "crypto/err.h"
#include "crypto/sign.h"
#include "proto/entry.h"
#include "proto/limits.h"
#include "proto/sheet.h"

#define PL_NODE_NONE 0xffffu

/* A parsed charter. About 300 KiB: allocate it. */
struct pl_charter {
	uint8_t network_id[PL_ID_BYTES];
	uint32_t epoch; /* 0: genesis */
	uint64_t created_ms;
	char name[PL_NAME_BYTES_MAX + 1];
	uint16_t members_count, nodes_count;
	struct pl_member members[PL_MEMBERS_MAX];
	uint8_t signatures[PL_MEMBERS_MAX]; /* of the charter, by this many of the member's root keys */
	struct pl_charter_node nodes[PL_NODES_MAX];
};

/* Parses a charter document and checks everything that makes it valid: form, order, uniqueness of codes, keys, node ids, noise keys and
 * addresses, and every signature: certificates by node-role thresholds, sheets and the charter by root thresholds of each member. *out is
 * scratch until PL_OK. On an error *at names the member at fault, or is empty. PL_ERR_SHORT, PL_ERR_FORMAT, PL_ERR_LIMIT, PL_ERR_VERSION,
 * PL_ERR_SIGNATURE (a threshold is not met or a signature is wrong), PL_ERR_EXISTS (something stands twice), PL_ERR_EXPIRED (a certificate
 * ended before the charter was made). */
PL_MUST_CHECK enum pl_err pl_charter_read(const uint8_t *document, size_t document_bytes, struct pl_charter *out,
                                          char at[PL_MEMBER_CODE_BYTES + 1]);

/* The same without requiring the charter's own signatures to be complete; reports who has signed enough. For `charter show` and `sign`. */
PL_MUST_CHECK enum pl_err pl_charter_read_unsigned(const uint8_t *document, size_t document_bytes, struct pl_charter *out,
                                                   bool signed_by[PL_MEMBERS_MAX], char at[PL_MEMBER_CODE_BYTES + 1]);

/* Makes an unsigned charter document from member sheets (any order; they are sorted). out may not alias a sheet. PL_ERR_FULL and the
 * errors of reading. */
PL_MUST_CHECK enum pl_err pl_charter_make(const char *name, uint64_t created_ms, const struct pl_bytes *sheets, size_t sheets_count,
                                          uint8_t *out, size_t out_max, size_t *out_bytes, char at[PL_MEMBER_CODE_BYTES + 1]);

/* Adds one root signature; which member and key it is follows from the key. out may not alias document. PL_ERR_UNKNOWN: no founder has this
 * root key; PL_ERR_EXISTS: it has signed already; PL_ERR_FULL, PL_ERR_SHORT, PL_ERR_FORMAT, PL_ERR_LIMIT, PL_ERR_VERSION. Only the form is
 * looked at: who signs should have read the charter before, with pl_charter_read_unsigned(). */
PL_MUST_CHECK enum pl_err pl_charter_sign(const uint8_t *document, size_t document_bytes, const uint8_t secret_key[PL_SIGN_SECRET_BYTES],
                                          uint8_t *out, size_t out_max, size_t *out_bytes);

/* Lookups. Names of nodes are "FIN" for a member's first node, "FIN.2" and "FIN.3" for the others. */
uint16_t pl_charter_find_node(const struct pl_charter *charter, const uint8_t node_id[PL_NODE_ID_BYTES]); /* PL_NODE_NONE */
uint16_t pl_charter_find_noise(const struct pl_charter *charter, const uint8_t noise_public[32]);         /* PL_NODE_NONE */
uint16_t pl_charter_find_name(const struct pl_charter *charter, const char *node_name);                   /* PL_NODE_NONE */
int pl_charter_find_member(const struct pl_charter *charter, const char *code);                           /* -1 */
#define PL_NODE_NAME_BYTES 6 /* "FIN.2" and a NUL */
/* What an envelope in an entry of this node and kind is bound to. */
struct pl_envelope_ctx pl_charter_envelope_ctx(const struct pl_charter *charter, uint16_t author, uint8_t kind);
void pl_charter_node_name(const struct pl_charter *charter, uint16_t node, char name[PL_NODE_NAME_BYTES]);

#endif
