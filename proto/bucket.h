/* A token bucket: a rate with a burst. Times in ms, tokens in whatever the caller counts. */
#ifndef PL_PROTO_BUCKET_H
#define PL_PROTO_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct pl_bucket {
	uint64_t milli; /* tokens x 1000, so that slow rates gain at each ms */
	uint64_t last_ms;
};

/* rate_per_s may be scaled: for "n a minute" the caller counts sixtieths. A new bucket (all zero) starts full. */
bool pl_bucket_take(struct pl_bucket *bucket, uint64_t now_ms, uint64_t rate_per_s, uint64_t burst, uint64_t tokens);
/* ms until so many tokens are there; 0 if they are. More than the burst: until the bucket is full. */
uint64_t pl_bucket_wait_ms(struct pl_bucket *bucket, uint64_t now_ms, uint64_t rate_per_s, uint64_t burst, uint64_t tokens);

#endif
