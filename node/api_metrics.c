#include "node/app_parts.h"

void pl_api_metrics(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_text(request, 200, "text/plain", "");
}
