#include "proto/bucket.h"

/* In thousandths, so that slow rates gain at each ms; a burst that would overflow is cut to one that no caller can tell from it. */
static uint64_t milli_of(uint64_t tokens)
{
	return tokens > UINT64_MAX / 2000 ? UINT64_MAX / 2 : tokens * 1000;
}

static void refill(struct pl_bucket *bucket, uint64_t now_ms, uint64_t rate_per_s, uint64_t burst)
{
	const uint64_t full = milli_of(burst);

	if (bucket->last_ms == 0)
		bucket->milli = full;
	/* now_ms + 1: a bucket first used at time 0 must not look new again. */
	uint64_t elapsed = bucket->last_ms == 0 || now_ms < bucket->last_ms ? 0 : now_ms + 1 - bucket->last_ms;
	bucket->last_ms = now_ms + 1;
	if (rate_per_s > 0 && elapsed > full / rate_per_s)
		bucket->milli = full;
	else
		bucket->milli += elapsed * rate_per_s;
	if (bucket->milli > full)
		bucket->milli = full;
}

/* Something larger than the burst passes a full bucket, or it would wait for ever. */
static uint64_t need_of(uint64_t burst, uint64_t tokens)
{
	return milli_of(tokens < burst ? tokens : burst);
}

bool pl_bucket_take(struct pl_bucket *bucket, uint64_t now_ms, uint64_t rate_per_s, uint64_t burst, uint64_t tokens)
{
	const uint64_t need = need_of(burst, tokens);

	refill(bucket, now_ms, rate_per_s, burst);
	if (bucket->milli < need)
		return false;
	bucket->milli -= need;
	return true;
}

uint64_t pl_bucket_wait_ms(struct pl_bucket *bucket, uint64_t now_ms, uint64_t rate_per_s, uint64_t burst, uint64_t tokens)
{
	const uint64_t need = need_of(burst, tokens);

	refill(bucket, now_ms, rate_per_s, burst);
	if (bucket->milli >= need)
		return 0;
	if (rate_per_s == 0)
		return UINT64_MAX;
	/* Not (missing + rate - 1) / rate, which could overflow. */
	return (need - bucket->milli - 1) / rate_per_s + 1;
}
