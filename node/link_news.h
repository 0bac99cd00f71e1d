/* Which changes of a link are said, in the log and to clients: each one, as long as they are few. Of a peer whose link comes and goes all the
 * time, how it stands is said every few seconds, and how many changes there were; whoever makes many would push out of sight what others do.
 *
 * **Unsaid**: a change that waits for pl_link_news_due().
 */
#ifndef PL_NODE_LINK_NEWS_H
#define PL_NODE_LINK_NEWS_H

#include <stdbool.h>
#include <stdint.h>

/* As many at once, then one in so long. */
#define PL_LINK_NEWS_BURST 10
#define PL_LINK_NEWS_MS 5000

/* Of one peer. Begins as zeros. */
struct pl_link_news {
	uint64_t refilled_ms;
	uint32_t spent_ms;   /* of PL_LINK_NEWS_BURST * PL_LINK_NEWS_MS */
	uint32_t unsaid;
};

/* A change. True: it is to be said now. Otherwise the last one is to be said when pl_link_news_due() is not 0. */
bool pl_link_news_add(struct pl_link_news *news, uint64_t now_ms);
/* The number of changes to be said now as one, the last; 0: none yet. */
uint32_t pl_link_news_due(struct pl_link_news *news, uint64_t now_ms);

#endif
