#include <stdio.h>
#include <stdlib.h>

#include "node/api/api.h"
#include "node/app_parts.h"
#include "node/log.h"

enum pl_err pl_app_new(struct pl_core *core, struct pl_app **out, char *why, size_t why_max)
{
	struct pl_app *app = calloc(1, sizeof(*app));
	enum pl_err err = app ? pl_applier_new(core, &app->applier) : PL_ERR_MEMORY;
	if (err != PL_OK) {
		snprintf(why, why_max, "no memory for the application");
		free(app);
		return err;
	}
	app->core = core;
	app->started_ms = pl_core_wall_ms(core);
	app->started_mono_ms = pl_core_now_ms(core);
	err = pl_epoch_new(core, app->applier, &app->epoch, why, why_max);
	if (err == PL_OK)
		err = pl_hotline_new(core, app->applier, app->epoch, &app->hotline, why, why_max);
	if (err == PL_OK)
		err = pl_channels_new(core, app->applier, app->epoch, &app->channels, why, why_max);
	if (err == PL_OK)
		err = pl_indicator_new(core, app->applier, app->channels, &app->indicators, why, why_max);
	if (err == PL_OK) {
		struct pl_http *http = pl_core_http(core);
		err = pl_hotline_add_routes(app->hotline, http);
		if (err == PL_OK)
			err = pl_proof_add_routes(app, http);
		if (err == PL_OK)
			err = pl_indicator_add_routes(app->indicators, http);
		if (err == PL_OK)
			err = pl_status_add_routes(app, http);
		if (err != PL_OK)
			snprintf(why, why_max, "the API's routes cannot be set up: %s", pl_err_str(err));
	}
	if (err != PL_OK) {
		pl_app_stop(app);
		uv_run(pl_core_loop(core), UV_RUN_NOWAIT); /* lets go of the timers */
		pl_app_free(app);
		return err;
	}
	*out = app;
	return PL_OK;
}

void pl_app_start(struct pl_app *app)
{
	pl_epoch_start(app->epoch);
	pl_hotline_start(app->hotline);
	pl_channels_start(app->channels);
	pl_indicator_start(app->indicators);
}

static void publish_entry(struct pl_app *app, const struct pl_store_entry *entry)
{
	const struct pl_charter *charter = pl_core_charter(app->core);
	json_t *event = json_pack("{so so so si sI ss sb si}", "ref", pl_api_ref(charter, entry->node, entry->lane, entry->seq), "id",
	                          pl_api_hex(entry->id, sizeof(entry->id)), "author", pl_api_node(charter, entry->node), "lane",
	                          entry->lane, "seq", (json_int_t)entry->seq, "kind", pl_kind_name(pl_header_kind(entry->header)), "flash",
	                          (pl_header_flags(entry->header) & PL_FLAG_FLASH) != 0, "body_bytes", (int)entry->body_bytes);
	pl_http_publish(pl_core_http(app->core), "entry", event);
}

void pl_app_entry(struct pl_app *app, const struct pl_store_entry *entry)
{
	/* Lane 2 is bulk: its entries would push out of the clients' sight what they wait for. */
	if (entry->lane < 2)
		publish_entry(app, entry);
	switch ((enum pl_kind)pl_header_kind(entry->header)) {
	case PL_KIND_EPOCH_KEY: pl_epoch_entry(app->epoch, entry); return;
	case PL_KIND_MESSAGE:
	case PL_KIND_RECEIPTS:
	case PL_KIND_ATTACHMENT: pl_hotline_entry(app->hotline, entry); return;
	case PL_KIND_CHANNEL: pl_channels_entry(app->channels, entry); return;
	case PL_KIND_INDICATORS: pl_indicator_entry(app->indicators, entry); return;
	}
	pl_apply_skip(app->applier, entry->node, entry->lane, entry->seq);
}

void pl_app_link(struct pl_app *app, uint16_t node, bool is_live, uint32_t changes)
{
	pl_http_publish(pl_core_http(app->core), "link", json_pack("{so ss sI}", "node", pl_api_node(pl_core_charter(app->core), node), "state",
	                                                           is_live ? "live" : "lost", "changes", (json_int_t)changes));
}

void pl_app_note(struct pl_app *app, const struct pl_effect *note)
{
	const struct pl_charter *charter = pl_core_charter(app->core);
	struct pl_http *http = pl_core_http(app->core);
	enum pl_note_code code = note->note.code;
	switch (code) {
	case PL_NOTE_LINK_LIVE:
	case PL_NOTE_LINK_LOST:
		if (note->note.peer < charter->nodes_count)
			pl_app_link(app, note->note.peer, code == PL_NOTE_LINK_LIVE, 1);
		break;
	case PL_NOTE_FORK:
	case PL_NOTE_SELF_BEHIND:
		if (note->note.node < charter->nodes_count)
			pl_http_publish(http, "fork", json_pack("{so ss si sI}", "node", pl_api_node(charter, note->note.node), "what",
			                                        code == PL_NOTE_FORK ? "equivocation" : "self_behind", "lane", note->note.lane, "seq",
			                                        (json_int_t)note->note.seq));
		break;
	case PL_NOTE_HANDSHAKE_FAILED: /* these are for the log and the counters only */
	case PL_NOTE_PEER_FAULT:
	case PL_NOTE_LINK_BROKEN:
	case PL_NOTE_ENTRY_REFUSED:
	case PL_NOTE_QUOTA:
	case PL_NOTE_SHARE:
	case PL_NOTE_HEAD_BACK:
	case PL_NOTE_CLOCK_SKEW:
	case PL_NOTE_CAUGHT_UP: break;
	}
}

void pl_app_store(struct pl_app *app)
{
	pl_http_publish(pl_core_http(app->core), "store", json_pack("{ss}", "state", pl_api_store_state(app->core)));
}

void pl_app_stop(struct pl_app *app)
{
	if (app->indicators)
		pl_indicator_stop(app->indicators);
	if (app->channels)
		pl_channels_stop(app->channels);
	if (app->hotline)
		pl_hotline_stop(app->hotline);
	if (app->epoch)
		pl_epoch_stop(app->epoch);
	pl_applier_stop(app->applier);
}

void pl_app_free(struct pl_app *app)
{
	if (!app)
		return;
	pl_indicator_free(app->indicators);
	pl_channels_free(app->channels);
	pl_hotline_free(app->hotline);
	pl_epoch_free(app->epoch);
	pl_applier_free(app->applier);
	free(app);
}
