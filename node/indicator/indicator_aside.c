#include <stdlib.h>

#include "node/indicator/indicator_impl.h"

static void aside_run(uv_work_t *request)
{
	struct pl_aside *aside = request->data;
	aside->run(aside);
}

static void aside_start(struct pl_aside *aside);

static void aside_done(uv_work_t *request, int status)
{
	struct pl_aside *aside = request->data;
	struct pl_indicator_part *part = aside->part;
	(void)status; /* nobody cancels it */
	part->aside_first = aside->next;
	if (part->aside_first == NULL)
		part->aside_last = NULL;
	else
		aside_start(part->aside_first);
	aside->done(aside);
}

static void aside_start(struct pl_aside *aside)
{
	aside->request.data = aside;
	if (uv_queue_work(pl_core_loop(aside->part->core), &aside->request, aside_run, aside_done) != 0)
		abort(); /* libuv fails it only without a callback */
}

void pl_aside_queue(struct pl_indicator_part *part, struct pl_aside *aside)
{
	aside->part = part;
	aside->next = NULL;
	if (part->aside_last != NULL)
		part->aside_last->next = aside;
	part->aside_last = aside;
	if (part->aside_first == NULL) {
		part->aside_first = aside;
		aside_start(aside);
	}
}
