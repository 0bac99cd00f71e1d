#include "node/link_news.h"

static bool spend(struct pl_link_news *news, uint64_t now_ms)
{
	const uint64_t earned_ms = now_ms - news->refilled_ms;

	news->spent_ms = earned_ms >= news->spent_ms ? 0 : news->spent_ms - (uint32_t)earned_ms;
	news->refilled_ms = now_ms;
	if (news->spent_ms > (PL_LINK_NEWS_BURST - 1) * PL_LINK_NEWS_MS)
		return false;
	news->spent_ms += PL_LINK_NEWS_MS;
	return true;
}

bool pl_link_news_add(struct pl_link_news *news, uint64_t now_ms)
{
	if (news->unsaid == 0 && spend(news, now_ms))
		return true;
	news->unsaid++;
	return false;
}

uint32_t pl_link_news_due(struct pl_link_news *news, uint64_t now_ms)
{
	const uint32_t unsaid = news->unsaid;

	if (unsaid == 0 || !spend(news, now_ms))
		return 0;
	news->unsaid = 0;
	return unsaid;
}
