#include "proto/bucket.h"

static void refill(struct pl_bucket *bucket, uint64_t now_ms, uint64_t rate_per_s, uint64_t burst)
{
	const uint64_t full = burst * 1000;

	if (bucket->last_ms == 0)
		bucket->milli = full;
	/* now_ms + 1: a bucket first used at time 0 must not look new again. */
	uint64_t elapsed = bucket->last_ms == 0 ? 0 : now_ms + 1 - bucket->last_ms;
	bucket->last_ms = now_ms + 1;
	if (rate_per_s > 0 && elapsed > full / rate_per_s)
		bucket->milli = full;
	else
		bucket->milli += elapsed * rate_per_s;
	if (bucket->milli > full)
		bucket->milli = full;
}

bool pl_bucket_take(struct pl_bucket *bucket, uint64_t now_ms, uint64_t rate_per_s, uint64_t burst, uint64_t tokens)
{
	refill(bucket, now_ms, rate_per_s, burst);
	/* Something larger than the burst passes a full bucket, or it would wait for ever. */
	uint64_t need = (tokens < burst ? tokens : burst) * 1000;
	if (bucket->milli < need)
		return false;
	bucket->milli -= need;
	return true;
}

uint64_t pl_bucket_wait_ms(struct pl_bucket *bucket, uint64_t now_ms, uint64_t rate_per_s, uint64_t burst, uint64_t tokens)
{
	refill(bucket, now_ms, rate_per_s, burst);
	uint64_t need = (tokens < burst ? tokens : burst) * 1000;
	if (bucket->milli >= need)
		return 0;
	if (rate_per_s == 0)
		return UINT64_MAX;
	return (need - bucket->milli + rate_per_s - 1) / rate_per_s;
}
