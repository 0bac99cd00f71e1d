#include "proto/parts.h"

static uint64_t bytes_wait_ms(const struct pl_engine *e, struct pl_bucket *bucket, uint8_t lane, uint32_t body_bytes)
{
	const struct pl_quota *quota = &e->config.quota[lane];

	return pl_bucket_wait_ms(bucket, e->now_ms, quota->bytes_per_s, quota->bytes_burst, PL_ENTRY_HEADER_BYTES + body_bytes);
}

uint64_t pl_quota_wait_ms(struct pl_engine *e, uint16_t node, uint8_t lane, uint32_t body_bytes)
{
	return bytes_wait_ms(e, &e->lanes[pl_lane_index(node, lane)].quota, lane, body_bytes);
}

/* PROTOCOL: "Quotas count against the signed author, never the relay." So only what is known to be the author's is counted. */
void pl_quota_take(struct pl_engine *e, uint16_t node, uint8_t lane, uint32_t body_bytes)
{
	const struct pl_quota *quota = &e->config.quota[lane];

	(void)pl_bucket_take(&e->lanes[pl_lane_index(node, lane)].quota, e->now_ms, quota->bytes_per_s, quota->bytes_burst,
	                     PL_ENTRY_HEADER_BYTES + body_bytes);
}

/* PROTOCOL: "A FLASH is given to every link whose peer is not known to hold it, before it is committed, as long as its author keeps to 10 a
 * minute with a burst of 20; beyond that it spreads as other entries of lane 0 do." */
bool pl_quota_take_flash(struct pl_engine *e, uint16_t node)
{
	/* counted in sixtieths, since the bucket's rate is per second */
	if (pl_bucket_take(&e->flash_quota[node], e->now_ms, e->config.flash_per_minute, (uint64_t)e->config.flash_burst * 60, 60))
		return true;
	e->counters.quota_waits++;
	return false;
}

bool pl_engine_quota_is_half_left(const struct pl_engine *e, uint8_t lane, uint8_t flags)
{
	const struct pl_quota *quota = &e->config.quota[lane];
	struct pl_bucket bytes = e->lanes[pl_lane_index(e->self, lane)].quota, flash = e->flash_quota[e->self];
	const uint64_t flash_burst = (uint64_t)e->config.flash_burst * 60;

	return pl_bucket_wait_ms(&bytes, e->now_ms, quota->bytes_per_s, quota->bytes_burst, quota->bytes_burst / 2) == 0 &&
	       ((flags & PL_FLAG_FLASH) == 0 ||
	        pl_bucket_wait_ms(&flash, e->now_ms, e->config.flash_per_minute, flash_burst, flash_burst / 2) == 0);
}

uint64_t pl_engine_quota_wait_ms(const struct pl_engine *e, uint8_t lane, uint8_t flags, uint32_t body_bytes)
{
	struct pl_bucket bytes = e->lanes[pl_lane_index(e->self, lane)].quota, flash = e->flash_quota[e->self];
	const uint64_t bytes_ms = bytes_wait_ms(e, &bytes, lane, body_bytes);
	const uint64_t flash_ms = (flags & PL_FLAG_FLASH) == 0 ? 0 :
		pl_bucket_wait_ms(&flash, e->now_ms, e->config.flash_per_minute, (uint64_t)e->config.flash_burst * 60, 60);

	return bytes_ms > flash_ms ? bytes_ms : flash_ms;
}
