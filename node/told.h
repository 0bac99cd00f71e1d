/* What the log has said of somebody a short time ago, so that what happens again and again is said once, then now and then, and whenever it is
 * something else. For whoever is not one of a known number: a fixed number are remembered, those of the longest time ago give way.
 */
#ifndef PL_NODE_TOLD_H
#define PL_NODE_TOLD_H

#include <stdbool.h>
#include <stdint.h>

#define PL_TOLD_MAX 64
#define PL_TOLD_WHO_BYTES 64

struct pl_told { /* zeroed at first */
	struct pl_told_item {
		char who[PL_TOLD_WHO_BYTES]; /* what is longer is cut */
		const char *what;            /* NULL: free */
		uint64_t at_ms;
	} items[PL_TOLD_MAX];
};

/* Whether this is to be said now, which is remembered: it was not within every_ms. what is static. */
bool pl_told_is_news(struct pl_told *told, const char *who, const char *what, uint64_t now_ms, uint64_t every_ms);
/* All of this one is news again. */
void pl_told_forget(struct pl_told *told, const char *who);

#endif
