#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "node/api/api.h"
#include "node/app_parts.h"
#include "node/expiry.h"

/* openapi.json, as the build turned it into bytes. */
static const char openapi[] = {
#include "node/api/openapi.inc"
	0
};

static void on_health(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_json(request, 200, json_pack("{sb}", "ok", 1));
}

static void on_openapi(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_text(request, 200, "application/json", openapi);
}

static void on_events(struct pl_request *request, void *ctx)
{
	(void)ctx;
	pl_reply_events(request);
}

/* --- status --- */

static json_t *lanes_json(const struct pl_app *app)
{
	const struct pl_charter *charter = pl_core_charter(app->core);
	const struct pl_engine *engine = pl_core_engine(app->core);
	json_t *list = json_array();
	for (uint16_t node = 0; node < charter->nodes_count; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			struct pl_lane_info info;
			pl_engine_lane(engine, node, lane, &info);
			if (info.have_seq == 0 && info.wanted_seq == 0)
				continue;
			json_array_append_new(list, json_pack("{so si so so so so sb sb}", "node", pl_api_node(charter, node), "lane", lane, "have",
			                                      pl_api_count(info.have_seq), "durable", pl_api_count(info.durable_seq), "wanted",
			                                      pl_api_count(info.wanted_seq), "head", pl_api_hex(info.head_id, sizeof(info.head_id)),
			                                      "frozen", info.frozen, "has_room", info.has_room));
		}
	}
	return list;
}

uint64_t pl_api_share_waits(const struct pl_app *app, uint16_t member_index, uint8_t lane, bool *is_full)
{
	const struct pl_member *member = &pl_core_charter(app->core)->members[member_index];
	uint64_t waits = 0;
	*is_full = false;
	for (uint16_t k = 0; k < member->nodes_count; k++) {
		struct pl_lane_info info;
		pl_engine_lane(pl_core_engine(app->core), (uint16_t)(member->first_node + k), lane, &info);
		*is_full |= info.share_full;
		const uint64_t more = info.share_full ? info.wanted_seq - info.have_seq : 0;
		waits = more > UINT64_MAX - waits ? UINT64_MAX : waits + more; /* whoever announces it may announce anything */
	}
	return waits;
}

static json_t *shares_json(const struct pl_app *app)
{
	const struct pl_charter *charter = pl_core_charter(app->core);
	json_t *list = json_array();
	for (uint16_t member = 0; member < charter->members_count; member++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			bool is_full;
			uint64_t waits = pl_api_share_waits(app, member, lane, &is_full);
			if (is_full)
				json_array_append_new(list, json_pack("{ss si so}", "member", charter->members[member].code, "lane", lane, "waiting",
				                                      pl_api_count(waits)));
		}
	}
	return list;
}

static json_t *held_json(const struct pl_app *app)
{
	const struct pl_charter *charter = pl_core_charter(app->core);
	json_t *held = json_object();
	for (uint16_t node = 0; node < charter->nodes_count; node++) {
		if (node == pl_core_self(app->core))
			continue;
		struct pl_peer_info peer;
		char name[PL_NODE_NAME_BYTES];
		pl_engine_peer(pl_core_engine(app->core), node, &peer);
		pl_charter_node_name(charter, node, name);
		json_object_set_new(held, name, json_integer((json_int_t)peer.held_entries));
	}
	return held;
}

static json_t *epoch_json(const struct pl_app *app)
{
	struct pl_epoch_info info;
	uint64_t secrets_since_ms;
	if (!pl_epoch_published(app->epoch, &info, &secrets_since_ms))
		return json_null();
	return json_pack("{sI so so}", "number", (json_int_t)info.number, "valid_until", pl_api_time(info.valid_until_ms), "secrets_since",
	                 pl_api_time(secrets_since_ms));
}

static json_t *certificate_json(const struct pl_app *app, uint16_t node)
{
	const struct pl_charter *charter = pl_core_charter(app->core);
	uint64_t until_ms = charter->nodes[node].certificate.valid_until_ms;
	return json_pack("{so so sI}", "node", pl_api_node(charter, node), "valid_until", pl_api_time(until_ms), "days_left",
	                 (json_int_t)pl_expiry_days(pl_core_wall_ms(app->core), until_ms));
}

static json_t *certificates_json(const struct pl_app *app)
{
	char why[PL_EXPIRY_WHY_BYTES];
	bool warns = pl_expiry_warning(pl_core_charter(app->core), pl_core_self(app->core), pl_core_wall_ms(app->core), why, sizeof(why));
	return json_pack("{so so so}", "own", certificate_json(app, pl_core_self(app->core)), "first_to_end",
	                 certificate_json(app, pl_expiry_first(pl_core_charter(app->core))), "warning", warns ? json_string(why) : json_null());
}

const char *pl_api_store_state(struct pl_core *core)
{
	static const char *const by_lanes[] = { "full", "urgent_only", "no_bulk", "ok" };
	struct pl_store_stats stats;

	pl_store_stats(pl_core_store(core), &stats);
	return by_lanes[stats.writable ? pl_core_room(core).lanes : 0];
}

static void on_status(struct pl_request *request, void *ctx)
{
	struct pl_app *app = ctx;
	struct pl_core *core = app->core;
	const struct pl_charter *charter = pl_core_charter(core);
	uint16_t self = pl_core_self(core);
	uint8_t root[PL_ID_BYTES];
	struct pl_store_stats stats;
	struct pl_hotline_counts counts;
	pl_engine_frontier_root(pl_core_engine(core), root);
	pl_store_stats(pl_core_store(core), &stats);
	pl_hotline_counts(app->hotline, &counts);
	json_t *network = json_pack("{so ss sI}", "id", pl_api_hex(charter->network_id, sizeof(charter->network_id)), "name", charter->name,
	                            "epoch",
	                            (json_int_t)charter->epoch);
	json_t *node = json_pack("{so so ss ss}", "name", pl_api_node(charter, self), "id",
	                         pl_api_hex(charter->nodes[self].certificate.node_id, PL_NODE_ID_BYTES), "member", pl_api_member(charter, self),
	                         "label", charter->nodes[self].certificate.label);
	json_t *store = json_pack("{ss sI sI sI so}", "state", pl_api_store_state(core), "entries", (json_int_t)stats.entries, "bytes",
	                          (json_int_t)stats.file_bytes, "free_bytes", (json_int_t)pl_core_room(core).free_bytes, "shares_filled", shares_json(app));
	json_t *frontier = json_pack("{so so}", "root", pl_api_hex(root, sizeof(root)), "lanes", lanes_json(app));
	json_t *messages = json_pack("{sI sI}", "unread", (json_int_t)counts.unread, "unanswered_flash", (json_int_t)counts.unanswered_flash);
	pl_reply_json(request, 200, json_pack("{ss so so so so sI si so so so so so}", "version", PL_VERSION, "network", network, "node", node, "certificates",
	              certificates_json(app),
	              "started", pl_api_time(app->started_ms), "uptime_s",
	              (json_int_t)((pl_core_now_ms(core) - app->started_mono_ms) / 1000), "pid", (int)getpid(), "store", store, "frontier", frontier, "epoch_key", epoch_json(app), "messages", messages, "held",
	              held_json(app)));
}

/* --- peers --- */

/* Wall time of a moment on the other clock. */
static json_t *when(const struct pl_core *core, uint64_t mono_ms)
{
	uint64_t now_ms = pl_core_now_ms(core), wall_ms = pl_core_wall_ms(core);
	return mono_ms == 0 || now_ms - mono_ms > wall_ms ? json_null() : pl_api_time(wall_ms - (now_ms - mono_ms));
}

static json_t *last_error_json(const struct pl_core *core, uint16_t node)
{
	const char *why;
	uint64_t wall_ms;
	if (!pl_core_peer_error(core, node, &why, &wall_ms))
		return json_null();
	return json_pack("{so ss}", "time", pl_api_time(wall_ms), "reason", why);
}

static json_t *peer_json(const struct pl_app *app, uint16_t node)
{
	const struct pl_core *core = app->core;
	const struct pl_charter *charter = pl_core_charter(core);
	struct pl_peer_info info;
	struct pl_epoch_info key;
	pl_engine_peer(pl_core_engine(core), node, &info);
	char address[PL_ADDRESS_BYTES_MAX + 1], name[PL_NODE_NAME_BYTES];
	pl_core_peer_address(core, node, address);
	pl_charter_node_name(charter, node, name);
	bool is_up = info.link != PL_LINK_NONE;
	uint64_t now_ms = pl_core_now_ms(core), retry_ms = info.retry_ms > now_ms ? info.retry_ms - now_ms : 0;
	return json_pack("{ss ss ss so sb so so so so so so sI sI sI sI sI so so so}", "node", name, "member", pl_api_member(charter, node), "state",
	                 pl_session_state_name(info.state), "role",
	                 info.role == PL_PEER_NONE ? json_null() : json_string(pl_peer_role_name(info.role)), "neighbour", info.neighbour, "direction",
	                 is_up ? json_string(info.inbound ? "in" : "out") : json_null(), "address",
	                 address[0] ? json_string(address) : json_null(), "since", when(core, info.since_ms), "last_heard",
	                 when(core, info.last_heard_ms), "rtt_ms", info.rtt_ms ? json_integer(info.rtt_ms) : json_null(), "retry_in_ms",
	                 info.state == PL_SESSION_BACKOFF ? json_integer((json_int_t)retry_ms) : json_null(), "bytes_in",
	                 (json_int_t)info.bytes_in, "bytes_out", (json_int_t)info.bytes_out, "entries_in", (json_int_t)info.entries_in, "entries_out",
	                 (json_int_t)info.entries_out, "held", (json_int_t)info.held_entries, "certificate_valid_until",
	                 pl_api_time(charter->nodes[node].certificate.valid_until_ms), "epoch_key_valid_until",
	                 pl_epoch_current(app->epoch, node, &key) ? pl_api_time(key.valid_until_ms) : json_null(), "last_error",
	                 last_error_json(core, node));
}

static void on_peers(struct pl_request *request, void *ctx)
{
	struct pl_app *app = ctx;
	json_t *list = json_array();
	for (uint16_t node = 0; node < pl_core_charter(app->core)->nodes_count; node++)
		if (node != pl_core_self(app->core))
			json_array_append_new(list, peer_json(app, node));
	pl_reply_json(request, 200, json_pack("{so}", "peers", list));
}

enum pl_err pl_status_add_routes(struct pl_app *app, struct pl_http *http)
{
	static const struct pl_route routes[] = {
		{ "GET", "/v1/health", 0, on_health },
		{ "GET", "/v1/status", 0, on_status },
		{ "GET", "/v1/peers", 0, on_peers },
		{ "GET", "/v1/feed", 0, pl_api_feed },
		{ "GET", "/v1/feed/{author}/{lane}/{seq}", 0, pl_api_feed_entry },
		{ "GET", "/v1/events", 0, on_events },
		{ "GET", "/v1/openapi.json", 0, on_openapi },
		{ "GET", "/metrics", 0, pl_api_metrics },
	};
	return pl_http_add_routes(http, routes, sizeof(routes) / sizeof(routes[0]), app);
}
