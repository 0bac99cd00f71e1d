/* Digests stand for many heads at once, tags for one id on one link. The digests of all groups of lanes are kept, so that a head that moves costs
 * the hash of its group and that of the root. PROTOCOL.md, "Frontiers: when a link comes up" and "Tags". */
#include <assert.h>
#include <string.h>

#include "crypto/sign.h"
#include "proto/parts.h"

static_assert(PL_GROUPS_MAX == (PL_NODES_MAX + PL_GROUP_NODES - 1) / PL_GROUP_NODES * PL_LANES, "the largest charter has so many groups");

uint32_t pl_groups_count(uint16_t nodes)
{
	return (nodes + PL_GROUP_NODES - 1u) / PL_GROUP_NODES * PL_LANES;
}

/* PROTOCOL: "A group is one lane of up to 21 nodes: group 3k + lane has that lane of the nodes 21k to 21k + 20." */
uint32_t pl_group_of(uint32_t index)
{
	return index / PL_LANES / PL_GROUP_NODES * PL_LANES + index % PL_LANES;
}

uint32_t pl_group_lane(const struct pl_engine *e, uint32_t group, uint32_t n)
{
	const uint32_t node = group / PL_LANES * PL_GROUP_NODES + n;

	return n < PL_GROUP_NODES && node < e->nodes ? pl_lane_index((uint16_t)node, (uint8_t)(group % PL_LANES)) : UINT32_MAX;
}

void pl_digest_moved(struct pl_engine *e, uint32_t index)
{
	e->digest_known[pl_group_of(index)] = 0;
	e->root_known = false;
}

static void digest(const struct pl_engine *e, uint32_t group, uint8_t out[PL_ID_BYTES])
{
	uint8_t items[PL_GROUP_NODES * PL_ITEM_BYTES];
	size_t bytes = 0;
	uint32_t index;

	for (uint32_t n = 0; (index = pl_group_lane(e, group, n)) != UINT32_MAX; n++) {
		if (e->lanes[index].durable_seq == 0)
			continue;
		const struct pl_item item = pl_item_of(e, index);
		pl_item_write(&item, items + bytes);
		bytes += PL_ITEM_BYTES;
	}
	const struct pl_part part = { items, bytes };
	/* PROTOCOL: "The digest of a group in which no lane holds entries is 32 zero bytes." */
	memset(out, 0, PL_ID_BYTES);
	if (bytes > 0)
		pl_hash(PL_LABEL_GROUP, sizeof(PL_LABEL_GROUP), &part, 1, out);
}

uint32_t pl_groups_filled(const uint8_t (*digests)[PL_ID_BYTES], uint32_t count)
{
	static const uint8_t zeros[PL_ID_BYTES];

	while (count > 0 && memcmp(digests[count - 1], zeros, PL_ID_BYTES) == 0)
		count--;
	return count;
}

static void root_of(const uint8_t (*digests)[PL_ID_BYTES], uint32_t count, uint8_t root[PL_ID_BYTES])
{
	const struct pl_part part = { digests[0], (size_t)pl_groups_filled(digests, count) * PL_ID_BYTES };

	/* PROTOCOL: "The frontier root is the hash of the digests of all groups in their order, up to the last that holds entries." */
	pl_hash(PL_LABEL_FRONTIER, sizeof(PL_LABEL_FRONTIER), &part, 1, root);
}

const uint8_t (*pl_digests(struct pl_engine *e))[PL_ID_BYTES]
{
	for (uint32_t group = 0; group < e->groups_count; group++) {
		if (!e->digest_known[group])
			digest(e, group, e->digests[group]);
		e->digest_known[group] = 1;
	}
	return (const uint8_t (*)[PL_ID_BYTES])e->digests;
}

const uint8_t *pl_frontier_root(struct pl_engine *e)
{
	if (!e->root_known)
		root_of(pl_digests(e), e->groups_count, e->root);
	e->root_known = true;
	return e->root;
}

void pl_engine_frontier_root(const struct pl_engine *e, uint8_t root[PL_ID_BYTES])
{
	uint8_t digests[PL_GROUPS_MAX][PL_ID_BYTES];

	for (uint32_t group = 0; group < e->groups_count; group++)
		digest(e, group, digests[group]);
	root_of((const uint8_t (*)[PL_ID_BYTES])digests, e->groups_count, root);
}

void pl_tag(const uint8_t salt[PL_SALT_BYTES], const uint8_t id[PL_ID_BYTES], uint8_t out[PL_TAG_BYTES])
{
	const struct pl_part parts[] = { { salt, PL_SALT_BYTES }, { id, PL_ID_BYTES } };
	uint8_t hash[PL_HASH_BYTES];

	/* PROTOCOL: "The tag of 32 bytes, an entry id or a digest, is the first 8 bytes of their hash with a salt." */
	pl_hash(PL_LABEL_TAG, sizeof(PL_LABEL_TAG), parts, 2, hash);
	memcpy(out, hash, PL_TAG_BYTES);
}
