/* The parts of the application and how they reach each other. A part is created in the order in which they stand here, and gets what it
 * needs of the ones before it.
 *
 * To add a part: a member here, its new, start, stop and free in app.c, its kinds of entry in pl_app_entry(), its routes in its
 * add_routes().
 */
#ifndef PL_NODE_APP_PARTS_H
#define PL_NODE_APP_PARTS_H

#include "node/app.h"
#include "node/apply.h"
#include "node/indicator/channel.h"
#include "node/epoch/epoch.h"
#include "node/hotline/hotline.h"
#include "node/indicator/indicator.h"

struct pl_app {
	struct pl_core *core;
	struct pl_applier *applier;
	struct pl_epoch *epoch;
	struct pl_hotline *hotline;
	struct pl_channels *channels;
	struct pl_indicator_part *indicators;
	uint64_t started_ms;      /* unix */
	uint64_t started_mono_ms;
};

/* GET /v1/health, /v1/status, /v1/peers, /v1/feed…, /v1/events, /v1/openapi.json, /metrics. */
PL_MUST_CHECK enum pl_err pl_status_add_routes(struct pl_app *app, struct pl_http *http);
void pl_api_feed(struct pl_request *request, void *app);
void pl_api_feed_entry(struct pl_request *request, void *app);
void pl_api_metrics(struct pl_request *request, void *app);
/* Whether this member (by its index) has filled its share of the disk in this lane; how many entries of it linked nodes have announced that wait. */
uint64_t pl_api_share_waits(const struct pl_app *app, uint16_t member_index, uint8_t lane, bool *is_full);

/* GET /v1/messages/{id}/proof: one message as a file that verifies offline (proof.h). */
PL_MUST_CHECK enum pl_err pl_proof_add_routes(struct pl_app *app, struct pl_http *http);

#endif
