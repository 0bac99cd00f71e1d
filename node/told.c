#include "node/told.h"

#include <stdio.h>
#include <string.h>

static bool is_of(const struct pl_told_item *item, const char *who)
{
	return item->what && strncmp(item->who, who, sizeof(item->who) - 1) == 0;
}

bool pl_told_is_news(struct pl_told *told, const char *who, const char *what, uint64_t now_ms, uint64_t every_ms)
{
	struct pl_told_item *place = &told->items[0];

	for (int i = 0; i < PL_TOLD_MAX; i++) {
		struct pl_told_item *item = &told->items[i];
		if (is_of(item, who) && strcmp(item->what, what) == 0) {
			if (now_ms - item->at_ms < every_ms)
				return false;
			place = item;
			break;
		}
		if (place->what && (!item->what || item->at_ms < place->at_ms))
			place = item;
	}
	snprintf(place->who, sizeof(place->who), "%s", who);
	place->what = what;
	place->at_ms = now_ms;
	return true;
}

void pl_told_forget(struct pl_told *told, const char *who)
{
	for (int i = 0; i < PL_TOLD_MAX; i++)
		if (is_of(&told->items[i], who))
			told->items[i] = (struct pl_told_item){ .what = NULL };
}
