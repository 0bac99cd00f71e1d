#include "node/expiry.h"

#include <stdio.h>
#include <time.h>

#define DAY_MS 86400000u

uint32_t pl_expiry_days(uint64_t now_ms, uint64_t then_ms)
{
	uint64_t days = then_ms > now_ms ? (then_ms - now_ms) / DAY_MS : 0;
	return days > UINT32_MAX ? UINT32_MAX : (uint32_t)days;
}

uint16_t pl_expiry_first(const struct pl_charter *charter)
{
	uint16_t first = 0;
	for (uint16_t node = 1; node < charter->nodes_count; node++)
		if (charter->nodes[node].certificate.valid_until_ms < charter->nodes[first].certificate.valid_until_ms)
			first = node;
	return first;
}

bool pl_expiry_warning(const struct pl_charter *charter, uint16_t self, uint64_t now_ms, char *why, size_t why_max)
{
	/* One's own comes before another's that ends on the same day: it is what one can do something about. */
	uint16_t node = pl_expiry_first(charter);
	uint64_t own_ms = charter->nodes[self].certificate.valid_until_ms, until_ms = charter->nodes[node].certificate.valid_until_ms;
	if (pl_expiry_days(now_ms, own_ms) == pl_expiry_days(now_ms, until_ms)) {
		node = self;
		until_ms = own_ms;
	}
	uint32_t days = pl_expiry_days(now_ms, until_ms);
	if (days >= PL_EXPIRY_WARN_DAYS)
		return false;
	char name[PL_NODE_NAME_BYTES], date[32] = "?";
	time_t s = (time_t)(until_ms / 1000);
	struct tm utc;
	if (gmtime_r(&s, &utc) != NULL)
		(void)strftime(date, sizeof(date), "%Y-%m-%d", &utc);
	pl_charter_node_name(charter, node, name);
	if (until_ms <= now_ms)
		snprintf(why, why_max, "the certificate of %s ended on %s: it gets no link any more; found the network anew", name, date);
	else
		snprintf(why, why_max, "the certificate of %s ends on %s, in %u %s: nothing renews it; found the network anew before", name, date,
		         (unsigned)days, days == 1 ? "day" : "days");
	return true;
}
