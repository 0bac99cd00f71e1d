#include <stdio.h>
#include <stdlib.h>

#include "node/api/api.h"
#include "node/app_parts.h"
#include "node/expiry.h"
#include "node/metrics.h"

static void value(struct pl_metrics *metrics, const char *name, enum pl_metric_type type, const char *help, uint64_t number)
{
	pl_metrics_family(metrics, name, type, help);
	pl_metrics_u64(metrics, number);
}

/* One family with a value for each other node. */
static void each_peer(struct pl_metrics *metrics, const struct pl_app *app, const char *name, enum pl_metric_type type, const char *help,
                      uint64_t (*get)(const struct pl_peer_info *info))
{
	pl_metrics_family(metrics, name, type, help);
	for (uint16_t node = 0; node < pl_core_charter(app->core)->nodes_count; node++) {
		struct pl_peer_info info;
		char label[PL_NODE_NAME_BYTES];
		if (node == pl_core_self(app->core))
			continue;
		pl_engine_peer(pl_core_engine(app->core), node, &info);
		pl_metrics_u64(metrics, get(&info), PL_LABEL("node", pl_core_node_name(app->core, node, label)));
	}
}

static uint64_t is_live(const struct pl_peer_info *info)
{
	return info->state == PL_SESSION_LIVE;
}

static uint64_t held(const struct pl_peer_info *info)
{
	return info->held_entries;
}

static uint64_t bytes_in(const struct pl_peer_info *info)
{
	return info->bytes_in;
}

static uint64_t bytes_out(const struct pl_peer_info *info)
{
	return info->bytes_out;
}

static uint64_t entries_in(const struct pl_peer_info *info)
{
	return info->entries_in;
}

static uint64_t entries_out(const struct pl_peer_info *info)
{
	return info->entries_out;
}

static uint64_t duplicates_in(const struct pl_peer_info *info)
{
	return info->duplicates_in;
}

static void links(struct pl_metrics *metrics, const struct pl_app *app)
{
	uint64_t states[PL_SESSION_BACKOFF + 1] = { 0 };
	for (uint16_t node = 0; node < pl_core_charter(app->core)->nodes_count; node++) {
		struct pl_peer_info info;
		if (node == pl_core_self(app->core))
			continue;
		pl_engine_peer(pl_core_engine(app->core), node, &info);
		states[info.state]++;
	}
	pl_metrics_family(metrics, "parley_links", PL_METRIC_GAUGE, "Other nodes of the network by state of the link to them.");
	for (unsigned state = 0; state <= PL_SESSION_BACKOFF; state++)
		pl_metrics_u64(metrics, states[state], PL_LABEL("state", pl_session_state_name((enum pl_session_state)state)));
	each_peer(metrics, app, "parley_link_up", PL_METRIC_GAUGE, "1 if the link to this node is live.", is_live);
	each_peer(metrics, app, "parley_held_entries", PL_METRIC_GAUGE, "Entries that are durable here and that this node has not acknowledged over a link with "
	          "it; 0 for one that is neither dialled nor has had a link since the start.", held);
	each_peer(metrics, app, "parley_link_received_bytes_total", PL_METRIC_COUNTER, "Bytes from this node.", bytes_in);
	each_peer(metrics, app, "parley_link_sent_bytes_total", PL_METRIC_COUNTER, "Bytes to this node.", bytes_out);
	each_peer(metrics, app, "parley_link_received_entries_total", PL_METRIC_COUNTER, "Entries from this node, new ones.", entries_in);
	each_peer(metrics, app, "parley_link_duplicate_entries_total", PL_METRIC_COUNTER, "Entries from this node that were here already.",
	          duplicates_in);
	each_peer(metrics, app, "parley_link_sent_entries_total", PL_METRIC_COUNTER, "Entries to this node.", entries_out);
	pl_metrics_family(metrics, "parley_link_rtt_seconds", PL_METRIC_GAUGE, "Round trip of the last ping to this node, once there was one.");
	for (uint16_t node = 0; node < pl_core_charter(app->core)->nodes_count; node++) {
		struct pl_peer_info info;
		char label[PL_NODE_NAME_BYTES];
		pl_engine_peer(pl_core_engine(app->core), node, &info);
		if (node != pl_core_self(app->core) && info.rtt_ms > 0)
			pl_metrics_double(metrics, info.rtt_ms / 1000.0, PL_LABEL("node", pl_core_node_name(app->core, node, label)));
	}
}

static void certificates(struct pl_metrics *metrics, const struct pl_app *app)
{
	const struct pl_charter *charter = pl_core_charter(app->core);
	char label[PL_NODE_NAME_BYTES];
	pl_metrics_family(metrics, "parley_certificate_valid_until_seconds", PL_METRIC_GAUGE,
	                  "When the node's certificate ends, unix time; from then on it gets no link.");
	for (uint16_t node = 0; node < charter->nodes_count; node++)
		pl_metrics_u64(metrics, charter->nodes[node].certificate.valid_until_ms / 1000, PL_LABEL("node", pl_core_node_name(app->core, node, label)));
	value(metrics, "parley_certificate_days_left", PL_METRIC_GAUGE, "Days until the first certificate of the network ends.",
	      pl_expiry_days(pl_core_wall_ms(app->core), charter->nodes[pl_expiry_first(charter)].certificate.valid_until_ms));
}

static uint64_t shares_full(const struct pl_app *app)
{
	uint64_t count = 0;
	for (uint16_t member = 0; member < pl_core_charter(app->core)->members_count; member++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			bool is_full;
			(void)pl_api_share_waits(app, member, lane, &is_full);
			count += is_full;
		}
	}
	return count;
}

static void entries(struct pl_metrics *metrics, const struct pl_app *app)
{
	struct pl_engine_counters counters;
	pl_engine_counters(pl_core_engine(app->core), &counters);
	value(metrics, "parley_entries_total", PL_METRIC_COUNTER, "Entries taken in since the start, own ones included.",
	      counters.entries_accepted);
	value(metrics, "parley_entries_refused_total", PL_METRIC_COUNTER, "Entries that did not check out.", counters.entries_refused);
	value(metrics, "parley_entries_duplicate_total", PL_METRIC_COUNTER, "Entries that came again.", counters.duplicates);
	value(metrics, "parley_forks_total", PL_METRIC_COUNTER, "Equivocations proven.", counters.forks);
	value(metrics, "parley_signatures_verified_total", PL_METRIC_COUNTER, "Signatures of entries verified.", counters.signatures_verified);
	value(metrics, "parley_entries_by_chain_total", PL_METRIC_COUNTER, "Entries authenticated by the chain to a verified one.",
	      counters.catchup_batched);
	value(metrics, "parley_flash_forwarded_total", PL_METRIC_COUNTER, "FLASH entries passed on before they were durable here.",
	      counters.flash_forwarded);
	value(metrics, "parley_quota_waits_total", PL_METRIC_COUNTER, "Times that an author's entries had to wait for its quota.",
	      counters.quota_waits);
	value(metrics, "parley_member_shares_filled_total", PL_METRIC_COUNTER, "Times that a member has filled its share of the disk in a lane.",
	      counters.shares_filled);
	value(metrics, "parley_member_shares_full", PL_METRIC_GAUGE, "Lanes of members of which no more is taken now, since the member has filled its share.",
	      shares_full(app));
	value(metrics, "parley_heads_back_total", PL_METRIC_COUNTER, "Entries that name an older head of another lane than the one before them.",
	      counters.heads_back);
	value(metrics, "parley_wants_total", PL_METRIC_COUNTER, "Times that another node was asked for entries.", counters.wants_sent);
	value(metrics, "parley_wants_timed_out_total", PL_METRIC_COUNTER, "Times that it did not send them.", counters.wants_timed_out);
	value(metrics, "parley_received_records_total", PL_METRIC_COUNTER, "Records from all links.", counters.records_in);
	value(metrics, "parley_sent_records_total", PL_METRIC_COUNTER, "Records to all links.", counters.records_out);
	value(metrics, "parley_handshakes_total", PL_METRIC_COUNTER, "Handshakes that succeeded.", counters.handshakes_ok);
	value(metrics, "parley_handshakes_failed_total", PL_METRIC_COUNTER, "Handshakes that failed.", counters.handshakes_failed);
}

static void store(struct pl_metrics *metrics, const struct pl_app *app)
{
	struct pl_store_stats stats;
	pl_store_stats(pl_core_store(app->core), &stats);
	value(metrics, "parley_store_entries", PL_METRIC_GAUGE, "Entries held.", stats.entries);
	value(metrics, "parley_store_bytes", PL_METRIC_GAUGE, "Size of the store on disk.", stats.file_bytes);
	value(metrics, "parley_store_writable", PL_METRIC_GAUGE, "0 while the disk is full.", stats.writable);
	value(metrics, "parley_store_free_bytes", PL_METRIC_GAUGE, "Left on the file system of the store.", pl_core_room(app->core).free_bytes);
	value(metrics, "parley_store_room_lanes", PL_METRIC_GAUGE, "Lanes that there is room for: 3 all, 2 no bulk, 1 urgent messages alone.",
	      pl_core_room(app->core).lanes);
	value(metrics, "parley_store_queue_bytes", PL_METRIC_GAUGE, "Bytes that wait to be committed.",
	      pl_store_queue_bytes(pl_core_store(app->core)));
	value(metrics, "parley_store_commits_total", PL_METRIC_COUNTER, "Transactions committed.", stats.commits);
	value(metrics, "parley_store_rows_total", PL_METRIC_COUNTER, "Entries committed.", stats.rows_committed);
	value(metrics, "parley_store_damaged_total", PL_METRIC_COUNTER, "Entries found damaged on disk, each time.", stats.damaged);
	value(metrics, "parley_store_repaired_total", PL_METRIC_COUNTER, "Damaged entries that have come back from a peer.", stats.repaired);
	value(metrics, "parley_store_scrub_entries_total", PL_METRIC_COUNTER, "Entries read in search of damage.", stats.scrub_entries);
	value(metrics, "parley_store_scrub_passes_total", PL_METRIC_COUNTER, "Times that all entries were read so.", stats.scrub_passes);
	pl_metrics_family(metrics, "parley_store_scrub_progress_ratio", PL_METRIC_GAUGE, "How much of a pass is done; 0 between passes.");
	pl_metrics_double(metrics, stats.entries ? (double)stats.scrub_pass_entries / (double)stats.entries : 0);
	pl_metrics_family(metrics, "parley_store_scrub_age_seconds", PL_METRIC_GAUGE, "Since the last whole pass; no value before there was one.");
	if (stats.scrub_passes)
		pl_metrics_double(metrics, (double)stats.scrub_age_ms / 1e3);
	pl_metrics_family(metrics, "parley_store_commit_seconds_max", PL_METRIC_GAUGE, "The longest commit since the start.");
	pl_metrics_double(metrics, (double)stats.commit_us_max / 1e6);
}

static void messages(struct pl_metrics *metrics, const struct pl_app *app)
{
	struct pl_hotline_counts counts;
	struct pl_epoch_info key;
	uint64_t secrets_since_ms;
	pl_hotline_counts(app->hotline, &counts);
	value(metrics, "parley_messages_unread", PL_METRIC_GAUGE, "Messages to this member that nobody has read here.", counts.unread);
	value(metrics, "parley_flash_unanswered", PL_METRIC_GAUGE, "FLASH messages to this member that nobody has accepted here.",
	      counts.unanswered_flash);
	pl_metrics_family(metrics, "parley_messages_total", PL_METRIC_COUNTER, "Messages since the start, by direction.");
	pl_metrics_u64(metrics, counts.received, PL_LABEL("direction", "in"));
	pl_metrics_u64(metrics, counts.sent, PL_LABEL("direction", "out"));
	value(metrics, "parley_messages_refused_total", PL_METRIC_COUNTER, "Messages that were sealed to this node and broke a rule.",
	      counts.refused);
	pl_metrics_family(metrics, "parley_flash_arrival_seconds", PL_METRIC_HISTOGRAM,
	                  "From the time at which a FLASH says it was sent to its arrival here, by this node's clock.");
	pl_metrics_histogram(metrics, &counts.flash_arrival);
	pl_metrics_family(metrics, "parley_flash_round_trip_seconds", PL_METRIC_HISTOGRAM,
	                  "From sending a FLASH to the arrival of a recipient node's receipt that it was decrypted.");
	pl_metrics_histogram(metrics, &counts.flash_round_trip);
	if (pl_epoch_published(app->epoch, &key, &secrets_since_ms)) {
		pl_metrics_family(metrics, "parley_epoch_key_valid_until_seconds", PL_METRIC_GAUGE,
		                  "When this node's encryption key ends, unix time; a new one comes a day earlier.");
		pl_metrics_u64(metrics, key.valid_until_ms / 1000);
	}
}

static void indicators(struct pl_metrics *metrics, const struct pl_app *app)
{
	struct pl_indicator_counts counts;
	pl_indicator_counts(app->indicators, &counts);
	value(metrics, "parley_indicators", PL_METRIC_GAUGE, "STIX objects held, versions apart.", counts.objects);
	value(metrics, "parley_indicators_rejected_total", PL_METRIC_COUNTER,
	      "STIX objects from other nodes that broke a rule and were left out.",
	      counts.rejected);
}

static void http(struct pl_metrics *metrics, const struct pl_app *app)
{
	struct pl_http_counters counters;
	pl_http_counters(pl_core_http(app->core), &counters);
	value(metrics, "parley_http_requests_total", PL_METRIC_COUNTER, "Requests to the control API.", counters.requests);
	pl_metrics_family(metrics, "parley_http_replies_total", PL_METRIC_COUNTER, "Replies of the control API by class of status.");
	for (int class = 1; class < 6; class++) {
		char label[16];
		snprintf(label, sizeof(label), "%dxx", class);
		pl_metrics_u64(metrics, counters.replies[class], PL_LABEL("status", label));
	}
	value(metrics, "parley_http_connections", PL_METRIC_GAUGE, "Open connections to the control API.", counters.open);
	value(metrics, "parley_http_event_streams", PL_METRIC_GAUGE, "Clients that follow events.", counters.streams);
}

void pl_api_metrics(struct pl_request *request, void *ctx)
{
	const struct pl_app *app = ctx;
	struct pl_metrics metrics = PL_METRICS;
	size_t count;
	pl_metrics_family(&metrics, "parley_build_info", PL_METRIC_GAUGE, "The version that runs, as a label.");
	pl_metrics_u64(&metrics, 1, PL_LABEL("version", PL_VERSION));
	pl_metrics_family(&metrics, "parley_start_time_seconds", PL_METRIC_GAUGE, "When the daemon started, unix time.");
	pl_metrics_u64(&metrics, app->started_ms / 1000);
	links(&metrics, app);
	certificates(&metrics, app);
	entries(&metrics, app);
	store(&metrics, app);
	messages(&metrics, app);
	indicators(&metrics, app);
	http(&metrics, app);
	char *text = pl_metrics_take(&metrics, &count);
	if (!text) {
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the metrics cannot be given");
		return;
	}
	pl_reply_text(request, 200, PL_METRICS_CONTENT_TYPE, text);
	free(text);
}
