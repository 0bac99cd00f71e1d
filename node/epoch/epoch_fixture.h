/* For tests of encryption keys over time. Time passes only by fix_advance(); pl_epoch_start() does what the timer does every minute. */
#ifndef PL_NODE_EPOCH_FIXTURE_H
#define PL_NODE_EPOCH_FIXTURE_H

#include "node/app_fixture.h"

#define DAY_MS PL_EPOCH_KEY_MS

enum { CHE, FIN, SGP }; /* node indices: members are sorted by code */

static inline struct pl_epoch *epoch_of(struct fix *fix, uint16_t node)
{
	return fix_app(fix, node)->epoch;
}

static inline uint64_t number_at(struct fix *fix, uint16_t node, uint16_t of)
{
	struct pl_epoch_info info;
	return pl_epoch_current(epoch_of(fix, node), of, &info) ? info.number : 0;
}

/* What the timer does every minute. */
static inline void tick(struct fix *fix, unsigned nodes)
{
	for (uint16_t node = 0; node < nodes; node++)
		pl_epoch_start(epoch_of(fix, node));
	fix_settle(fix);
}

/* Each node makes a key a day, all at the same time. */
static inline void pass_days(struct fix *fix, unsigned nodes, unsigned days)
{
	for (unsigned day = 0; day < days; day++) {
		fix_advance(fix, DAY_MS);
		tick(fix, nodes);
	}
}

#endif
