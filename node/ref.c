#include "node/ref.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/limits.h"

void pl_ref_format(const struct pl_charter *charter, struct pl_ref ref, char out[PL_REF_TEXT_BYTES])
{
	char name[PL_NODE_NAME_BYTES];

	pl_charter_node_name(charter, ref.node, name);
	snprintf(out, PL_REF_TEXT_BYTES, "%s/%u/%" PRIu64, name, ref.lane, ref.seq);
}

/* As the charter has it; false where it is longer than any. */
static bool to_capitals(const char *name, size_t name_bytes, char out[PL_NODE_NAME_BYTES])
{
	if (name_bytes >= PL_NODE_NAME_BYTES)
		return false;
	for (size_t i = 0; i < name_bytes; i++)
		out[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
	out[name_bytes] = '\0';
	return true;
}

uint16_t pl_ref_find_node(const struct pl_charter *charter, const char *name, size_t name_bytes)
{
	char capitals[PL_NODE_NAME_BYTES];

	return to_capitals(name, name_bytes, capitals) ? pl_charter_find_name(charter, capitals) : PL_NODE_NONE;
}

int pl_ref_find_member(const struct pl_charter *charter, const char *code)
{
	char capitals[PL_NODE_NAME_BYTES];

	return to_capitals(code, strlen(code), capitals) ? pl_charter_find_member(charter, capitals) : -1;
}

enum pl_err pl_ref_parse(const struct pl_charter *charter, const char *text, struct pl_ref *out)
{
	const char *slash = strchr(text, '/');
	uint64_t seq = 0;

	if (!slash || slash - text >= PL_NODE_NAME_BYTES || slash == text)
		return PL_ERR_FORMAT;
	if (slash[1] < '0' || slash[1] >= '0' + PL_LANES || slash[2] != '/' || slash[3] == '\0')
		return PL_ERR_FORMAT;
	for (const char *p = slash + 3; *p; p++) {
		if (*p < '0' || *p > '9' || seq > (UINT64_MAX - 9) / 10)
			return PL_ERR_FORMAT;
		seq = seq * 10 + (uint64_t)(*p - '0');
	}
	if (seq == 0)
		return PL_ERR_FORMAT;
	const uint16_t node = pl_ref_find_node(charter, text, (size_t)(slash - text));
	if (node == PL_NODE_NONE)
		return PL_ERR_UNKNOWN;
	*out = (struct pl_ref){ .node = node, .lane = (uint8_t)(slash[1] - '0'), .seq = seq };
	return PL_OK;
}
