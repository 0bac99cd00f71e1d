/* Digests stand for many heads at once, tags for one id on one link. The digests of all groups of lanes are kept, so that a head that moves costs
 * the hash of its group and that of the root. PROTOCOL.md, "Frontiers: when a link comes up" and "Tags". */
#include <assert.h>
#include <string.h>

#include "crypto/sign.h"
#include "proto/parts.h"

static_assert(4 * PL_GROUP_LANES_MAX * PL_GROUP_LANES_MAX >= PL_NODES_MAX * PL_LANES, "the largest charter's groups fit");
static_assert(PL_GROUPS_MAX * PL_GROUP_LANES_MAX == PL_NODES_MAX * PL_LANES, "and it has as many as there may be");

/* PROTOCOL: "A group has as many lanes as the smallest number whose double, squared, is at least the number of lanes of the charter; the last may have
 * fewer." */
uint32_t pl_group_lanes(uint32_t lanes_count)
{
	uint32_t lanes = 1;

	while (4 * lanes * lanes < lanes_count)
		lanes++;
	return lanes;
}

/* PROTOCOL: "Lanes are put into groups in order of lane, then of node index." */
uint32_t pl_group_lane(const struct pl_engine *e, uint32_t group, uint32_t n)
{
	const uint32_t place = group * e->group_lanes + n;

	return place < e->lanes_count ? pl_lane_index((uint16_t)(place % e->nodes), (uint8_t)(place / e->nodes)) : UINT32_MAX;
}

uint32_t pl_group_of(const struct pl_engine *e, uint32_t index)
{
	return (index % PL_LANES * e->nodes + index / PL_LANES) / e->group_lanes;
}

void pl_digest_moved(struct pl_engine *e, uint32_t index)
{
	e->digest_known[pl_group_of(e, index)] = 0;
	e->root_known = false;
}

static void digest(const struct pl_engine *e, uint32_t group, uint8_t out[PL_ID_BYTES])
{
	uint8_t items[PL_GROUP_LANES_MAX * PL_ITEM_BYTES];
	size_t bytes = 0;

	for (uint32_t n = 0; n < e->group_lanes; n++) {
		const uint32_t index = pl_group_lane(e, group, n);
		if (index == UINT32_MAX || e->lanes[index].durable_seq == 0)
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

const uint8_t *pl_digest_of(struct pl_engine *e, uint32_t group)
{
	if (!e->digest_known[group])
		digest(e, group, e->digests[group]);
	e->digest_known[group] = 1;
	return e->digests[group];
}

static void root_of(const uint8_t (*digests)[PL_ID_BYTES], uint32_t count, uint8_t root[PL_ID_BYTES])
{
	const struct pl_part part = { digests[0], (size_t)count * PL_ID_BYTES };

	/* PROTOCOL: "The frontier root is the hash of the digests of all groups in their order." */
	pl_hash(PL_LABEL_FRONTIER, sizeof(PL_LABEL_FRONTIER), &part, 1, root);
}

const uint8_t *pl_frontier_root(struct pl_engine *e)
{
	if (e->root_known)
		return e->root;
	for (uint32_t group = 0; group < e->groups_count; group++)
		(void)pl_digest_of(e, group);
	root_of((const uint8_t (*)[PL_ID_BYTES])e->digests, e->groups_count, e->root);
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
