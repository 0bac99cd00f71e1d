/* A reference: how people name an entry, by its place in a feed. "FIN/0/17": node name, lane, seq. PROTOCOL.md, "Identifiers". */
#ifndef PL_NODE_REF_H
#define PL_NODE_REF_H

#include <stdint.h>

#include "crypto/err.h"
#include "proto/charter.h"

struct pl_ref {
	uint16_t node; /* index in the charter */
	uint8_t lane;
	uint64_t seq;
};

#define PL_REF_TEXT_BYTES 40 /* of the longest, with its NUL */
void pl_ref_format(const struct pl_charter *charter, struct pl_ref ref, char out[PL_REF_TEXT_BYTES]);

/* A node by its name in any case, of name_bytes; PL_NODE_NONE. */
uint16_t pl_ref_find_node(const struct pl_charter *charter, const char *name, size_t name_bytes);
/* A member by its code in any case; -1. */
int pl_ref_find_member(const struct pl_charter *charter, const char *code);

/* As people write it: the name in any case, the number with zeros in front; no sign, no blank. PL_ERR_FORMAT; PL_ERR_UNKNOWN: the charter has no such node. */
PL_MUST_CHECK enum pl_err pl_ref_parse(const struct pl_charter *charter, const char *text, struct pl_ref *out);

#endif
