#include <stdlib.h>
#include <string.h>

#include "node/cli/cli.h"

#define FEED_LIMIT 20
#define FEED_LIMIT_MAX 100000
#define PAGE 500 /* entries asked for at once */
#define LANES 3

static char *time_of(const json_t *object, const char *key)
{
	int64_t ms;
	return pl_json_time(object, key, &ms) ? pl_time_short(ms) : pl_format("-");
}

static char *hex_text_groups(const char *hex)
{
	char *out = pl_alloc(strlen(hex) * 5 / 4 + 2), *at = out;
	for (size_t i = 0; hex[i] != '\0'; i++) {
		if (i > 0 && i % 4 == 0)
			*at++ = ' ';
		*at++ = hex[i];
	}
	return out;
}

static char *entries_text(uint64_t count)
{
	return pl_number_of(count, "entry", "entries");
}

/* --- status --- */

static bool is_up(const json_t *peer)
{
	const char *state = pl_json_text(peer, "state");
	return strcmp(state, "live") == 0 || strcmp(state, "recon") == 0;
}

/* "24 Nov 14:00:00Z: connection refused", or "". */
static char *error_of(const json_t *peer)
{
	const json_t *error = json_object_get(peer, "last_error");
	return json_is_object(error) ? pl_format("%s: %s", time_of(error, "time"), pl_json_text(error, "reason")) : pl_format("%s", "");
}

/* One sentence for a peer: is it there, and what is held for it. Held entries are in the store and go out by themselves; that is said,
 * because the question behind it is always whether something is lost. is_linked: this node has a link to any other. */
static void print_peer(const json_t *peer, bool is_linked)
{
	uint64_t held = pl_json_number(peer, "held"), rtt_ms = pl_json_number(peer, "rtt_ms"), retry_ms = pl_json_number(peer, "retry_in_ms");
	int64_t heard_ms;
	bool was_heard = pl_json_time(peer, "last_heard", &heard_ms);
	char *holds = held == 0 ? pl_format("nothing is held for it")
	                        : pl_format("%s held for it, not lost", entries_text(held));
	char *line;
	enum pl_style style = PL_PLAIN;
	if (is_up(peer)) {
		line = pl_format("up since %s%s; %s", time_of(peer, "since"), rtt_ms == 0 ? "" : pl_format(", round trip %s", pl_duration_text(rtt_ms)),
		                 held == 0 ? "it holds all that is here" : pl_format("%s on the way to it", entries_text(held)));
		style = PL_GREEN;
	} else if (!json_is_true(json_object_get(peer, "neighbour"))) {
		line = pl_format("no direct link; what is for it %s", is_linked ? "goes through others" : "is kept here until there is a link");
	} else {
		line = was_heard ? pl_format("down since %s, %s", pl_time_short(heard_ms), holds)
		                 : pl_format("not reached since parleyd started, %s", holds);
		if (retry_ms > 0)
			line = pl_format("%s; tries again in %s", line, pl_duration_text(retry_ms));
		style = PL_YELLOW;
	}
	pl_out_styled(style, "%-6s", pl_json_text(peer, "node"));
	pl_out("      ");
	pl_out_rest(12, "%s", line);
	if (!is_up(peer) && json_is_object(json_object_get(peer, "last_error")))
		pl_out_field("", "last failure %s", error_of(peer));
}

static void add(uint64_t *sum, uint64_t more)
{
	*sum = more > UINT64_MAX - *sum ? UINT64_MAX : *sum + more;
}

static void print_frontier(const json_t *status)
{
	const json_t *frontier = json_object_get(status, "frontier");
	uint64_t missing = 0, waiting = 0;
	const char *self = pl_json_text(json_object_get(status, "node"), "name");
	char *frozen = pl_format("%s", "");
	bool own = false;
	size_t i;
	json_t *lane;
	json_array_foreach(json_object_get(frontier, "lanes"), i, lane) {
		uint64_t durable = pl_json_number(lane, "durable"), wanted = pl_json_number(lane, "wanted");
		add(json_is_true(json_object_get(lane, "has_room")) ? &missing : &waiting, wanted > durable ? wanted - durable : 0);
		if (json_is_true(json_object_get(lane, "frozen")) && strcmp(pl_json_text(lane, "node"), self) == 0)
			own = true;
		else if (json_is_true(json_object_get(lane, "frozen")))
			frozen = pl_format("%s%s%s/%u", frozen, frozen[0] == '\0' ? "" : ", ", pl_json_text(lane, "node"),
			                   (unsigned)pl_json_number(lane, "lane"));
	}
	pl_out_field("frontier", "%s", hex_text_groups(pl_json_text(frontier, "root")));
	if (missing > 0)
		pl_out_field("", "%s known of, not here yet", entries_text(missing));
	if (waiting > 0)
		pl_out_field("", "%s known of: no room here, held by others until there is", entries_text(waiting));
	if (own) {
		pl_out_styled(PL_RED, "%-12s", "FROZEN");
		pl_out_rest(12, "this node receives and relays, but signs nothing: its store is not its newest. The log says why (\"feed\"); what to do stands "
		                "in OPERATING.md, \"Backups\"");
	}
	if (frozen[0] != '\0') {
		pl_out_styled(PL_RED, "%-12s", "FROZEN");
		pl_out_rest(12, "%s: its node has signed two different entries for one place, and nothing more of it is taken. The proof is kept and goes to "
		                "all; ask that member, over another channel, what has happened to its node", frozen);
	}
}

static void print_certificates(const json_t *status)
{
	const json_t *certificates = json_object_get(status, "certificates"), *first = json_object_get(certificates, "first_to_end");
	const char *warning = pl_json_text(certificates, "warning");
	int64_t until_ms;
	if (warning[0] != '\0') {
		pl_out_styled(PL_RED, "%-12s", "CERTIFICATE");
		pl_out_rest(12, "%s", warning);
	} else if (pl_json_time(first, "valid_until", &until_ms)) {
		pl_out_field("ends", "%s, in %s, with the certificate of %s: nothing renews it", pl_time_short(until_ms),
		             pl_number_of(pl_json_number(first, "days_left"), "day", "days"), pl_json_text(first, "node"));
	}
}

static const char *lane_text(uint64_t lane)
{
	static const char *const texts[LANES] = { "urgent messages", "messages", "indicators and attachments" };
	return lane < LANES ? texts[lane] : "entries";
}

static void print_shares(const json_t *store)
{
	size_t i;
	json_t *share;
	json_array_foreach(json_object_get(store, "shares_filled"), i, share) {
		uint64_t lane = pl_json_number(share, "lane"), waiting = pl_json_number(share, "waiting");
		pl_out_styled(PL_YELLOW, "%-12s", "SHARE FULL");
		pl_out_rest(12, "%s has filled its share of the disk on lane %u (%s): %s (member_percent, in OPERATING.md, \"A member who fills the disk\")",
		            pl_json_text(share, "member"), (unsigned)lane, lane_text(lane),
		            waiting == 0 ? "no more of that is taken"
		                         : pl_format("%s %s for room with others", entries_text(waiting), waiting == 1 ? "waits" : "wait"));
	}
}

static void print_status(const json_t *status)
{
	const json_t *network = json_object_get(status, "network"), *node = json_object_get(status, "node"),
	             *store = json_object_get(status, "store"), *key = json_object_get(status, "epoch_key"),
	             *messages = json_object_get(status, "messages");
	uint64_t unread = pl_json_number(messages, "unread"), flash = pl_json_number(messages, "unanswered_flash");
	pl_out_styled(PL_BOLD, "%-12s", pl_json_text(node, "name"));
	pl_out_rest(12, "\"%s\" in \"%s\"", pl_json_text(node, "label"), pl_json_text(network, "name"));
	pl_out_field("network id", "%s", hex_text_groups(pl_json_text(network, "id")));
	pl_out_field("parleyd", "%s, up %s, process %llu", pl_json_text(status, "version"),
	             pl_duration_text(pl_json_number(status, "uptime_s") * 1000),
	             (unsigned long long)pl_json_number(status, "pid"));
	pl_out_field("store", "%s, %s%s", entries_text(pl_json_number(store, "entries")), pl_bytes_text(pl_json_number(store, "bytes")),
	             pl_store_remark(pl_json_text(store, "state")));
	print_shares(store);
	if (json_is_object(key)) {
		pl_out_field("own key", "number %llu, valid until %s", (unsigned long long)pl_json_number(key, "number"), time_of(key, "valid_until"));
		pl_out_field("", "what was sealed to this node since %s can be opened here", time_of(key, "secrets_since"));
	} else {
		pl_out_field("own key", "none that is valid and published: what is sealed to this node now cannot be opened here");
	}
	print_certificates(status);
	if (flash > 0) {
		pl_out_styled(PL_URGENT, "%-12s", "FLASH");
		pl_out_rest(12, "%s not accepted yet: `parley inbox --unaccepted --precedence flash`", pl_count_text(flash));
	}
	pl_out_field("messages", "%s unread", unread == 0 ? "none" : pl_count_text(unread));
	print_frontier(status);
}

/* What an operator has to act on, for --check: the first of it. */
static enum pl_exit check_status(const struct pl_cli *cli, const json_t *status, const json_t *peers)
{
	const char *self = pl_json_text(json_object_get(status, "node"), "name"),
	           *warning = pl_json_text(json_object_get(status, "certificates"), "warning");
	size_t i, up = 0, count = json_array_size(json_object_get(peers, "peers"));
	json_t *item;
	if (strcmp(pl_json_text(json_object_get(status, "store"), "state"), "ok") != 0)
		return pl_error(cli, PL_EXIT_FAILED, NULL, "the store is full");
	item = json_array_get(json_object_get(json_object_get(status, "store"), "shares_filled"), 0);
	if (item != NULL)
		return pl_error(cli, PL_EXIT_FAILED, "`parley status` says what waits; OPERATING.md, \"A member who fills the disk\", what to do",
		                "%s has filled its share of the disk on lane %u, and no more of that is taken", pl_json_text(item, "member"),
		                (unsigned)pl_json_number(item, "lane"));
	json_array_foreach(json_object_get(json_object_get(status, "frontier"), "lanes"), i, item)
		if (json_is_true(json_object_get(item, "frozen")))
			return pl_error(cli, PL_EXIT_FAILED, NULL, strcmp(pl_json_text(item, "node"), self) == 0 ? "this node's feed is frozen (%s)" : "the feed of %s is frozen",
			                pl_json_text(item, "node"));
	json_array_foreach(json_object_get(peers, "peers"), i, item)
		up += is_up(item);
	if (count > 0 && up == 0)
		return pl_error(cli, PL_EXIT_FAILED, NULL, "there is no link to any other node");
	return warning[0] == '\0' ? PL_EXIT_OK : pl_error(cli, PL_EXIT_FAILED, NULL, "%s", warning);
}

static enum pl_exit run_status(struct pl_cli *cli, const struct pl_args *args)
{
	json_t *status, *peers, *peer;
	size_t i;
	enum pl_exit exit = pl_call(cli, "GET", "/v1/status", NULL, &status);
	if (exit != PL_EXIT_OK)
		return exit;
	if (cli->json && !pl_args_has(args, "check")) {
		pl_out_json(status);
		return PL_EXIT_OK;
	}
	exit = pl_call(cli, "GET", "/v1/peers", NULL, &peers);
	if (exit == PL_EXIT_OK && pl_args_has(args, "check")) {
		if (cli->json)
			pl_out_json(json_incref(status));
		exit = check_status(cli, status, peers);
		json_decref(peers);
	} else if (exit == PL_EXIT_OK) {
		print_status(status);
		pl_out("\n");
		bool is_linked = false;
		json_array_foreach(json_object_get(peers, "peers"), i, peer)
			is_linked |= is_up(peer);
		json_array_foreach(json_object_get(peers, "peers"), i, peer)
			print_peer(peer, is_linked);
		json_decref(peers);
	}
	json_decref(status);
	return exit;
}

/* --- peers --- */

static enum pl_exit run_peers(struct pl_cli *cli, const struct pl_args *args)
{
	(void)args;
	static const char *const columns[] = { "NODE", "STATE", "ROLE", "SINCE", "+HEARD", ">RTT", "+ADDRESS", "+>IN", "+>OUT", ">HELD", "+KEY UNTIL", "+LAST ERROR" };
	json_t *reply, *peer;
	size_t i;
	enum pl_exit exit = pl_call(cli, "GET", "/v1/peers", NULL, &reply);
	if (exit != PL_EXIT_OK)
		return exit;
	if (cli->json) {
		pl_out_json(reply);
		return PL_EXIT_OK;
	}
	struct pl_table *table = pl_table_new(columns, sizeof(columns) / sizeof(*columns));
	json_array_foreach(json_object_get(reply, "peers"), i, peer) {
		const char *direction = pl_json_text(peer, "direction"), *address = pl_json_text(peer, "address"), *role = pl_json_text(peer, "role");
		uint64_t rtt_ms = pl_json_number(peer, "rtt_ms"), held = pl_json_number(peer, "held");
		pl_table_cell(table, PL_BOLD, "%s", pl_json_text(peer, "node"));
		pl_table_cell(table, is_up(peer) ? PL_GREEN : PL_YELLOW, "%s%s%s", pl_json_text(peer, "state"), direction[0] == '\0' ? "" : " ",
		              direction);
		pl_table_cell(table, PL_PLAIN, "%s", role[0] == '\0' ? "-" : role);
		pl_table_cell(table, PL_PLAIN, "%s", time_of(peer, "since"));
		pl_table_cell(table, PL_PLAIN, "%s", time_of(peer, "last_heard"));
		pl_table_cell(table, PL_PLAIN, "%s", rtt_ms == 0 ? "-" : pl_duration_text(rtt_ms));
		pl_table_cell(table, PL_PLAIN, "%s", address[0] == '\0' ? "-" : address);
		pl_table_cell(table, PL_PLAIN, "%s", pl_bytes_text(pl_json_number(peer, "bytes_in")));
		pl_table_cell(table, PL_PLAIN, "%s", pl_bytes_text(pl_json_number(peer, "bytes_out")));
		pl_table_cell(table, held > 0 ? PL_YELLOW : PL_PLAIN, "%s",
		              json_is_true(json_object_get(peer, "neighbour")) ? pl_count_text(held) : "-");
		pl_table_cell(table, PL_PLAIN, "%s", time_of(peer, "epoch_key_valid_until"));
		pl_table_cell(table, is_up(peer) ? PL_PLAIN : PL_YELLOW, "%s", error_of(peer));
	}
	pl_table_print(table);
	json_decref(reply);
	return PL_EXIT_OK;
}

/* --- feed --- */

/* A lane from a place on, page by page; newest entries of all lanes if author is NULL. Adds to entries; *next: where it goes on. */
static enum pl_exit read_lane(struct pl_cli *cli, const char *author, uint64_t lane, uint64_t after, uint64_t limit, json_t *entries,
                              json_t **next)
{
	*next = json_null();
	while (limit > 0) {
		uint64_t page = limit < PAGE ? limit : PAGE;
		char *path = author == NULL ? pl_path("/v1/feed?limit=%llu", (unsigned long long)page)
		                            : pl_path("/v1/feed?author=%s&lane=%llu&after=%llu&limit=%llu", author, (unsigned long long)lane,
		                                      (unsigned long long)after, (unsigned long long)page);
		json_t *reply;
		enum pl_exit exit = pl_call(cli, "GET", path, NULL, &reply);
		if (exit != PL_EXIT_OK)
			return exit;
		const json_t *got = json_object_get(reply, "entries");
		size_t count = json_array_size(got);
		json_array_extend(entries, (json_t *)(uintptr_t)got);
		limit -= count < limit ? count : limit;
		json_decref(*next);
		*next = json_incref(json_object_get(reply, "next"));
		if (*next == NULL)
			*next = json_null();
		json_decref(reply);
		if (author == NULL || !json_is_integer(*next) || count == 0)
			break;
		after = (uint64_t)json_integer_value(*next);
	}
	return PL_EXIT_OK;
}

static void print_feed(const json_t *entries)
{
	static const char *const columns[] = { "ENTRY", "KIND", "TIME", ">BYTES", "+ID", "*HELD BY" };
	struct pl_table *table = pl_table_new(columns, sizeof(columns) / sizeof(*columns));
	size_t i;
	json_t *entry;
	json_array_foreach(entries, i, entry) {
		bool is_flash = json_is_true(json_object_get(entry, "flash"));
		char *held_by = pl_json_join(json_object_get(entry, "acked_by"), ", ");
		pl_table_cell(table, PL_BOLD, "%s", pl_json_text(entry, "ref"));
		pl_table_cell(table, is_flash ? PL_URGENT : PL_PLAIN, "%s%s", pl_json_text(entry, "kind"), is_flash ? " FLASH" : "");
		pl_table_cell(table, PL_PLAIN, "%s", time_of(entry, "time"));
		pl_table_cell(table, PL_PLAIN, "%s", pl_count_text(pl_json_number(entry, "body_bytes")));
		pl_table_cell(table, PL_DIM, "%.16s", pl_json_text(entry, "id"));
		pl_table_cell(table, PL_PLAIN, "%s", held_by[0] == '\0' ? "this node only" : held_by);
	}
	pl_table_print(table);
}

static enum pl_exit run_feed(struct pl_cli *cli, const struct pl_args *args)
{
	const char *author = pl_args_get(args, "author") == NULL ? NULL : pl_upper(pl_args_get(args, "author"));
	uint64_t limit = pl_args_number(args, "limit", FEED_LIMIT), after = pl_args_number(args, "after", 0);
	if (author == NULL && (pl_args_has(args, "lane") || pl_args_has(args, "after")))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--lane and --after go with --author: a lane belongs to a node");
	if (author != NULL && !pl_args_has(args, "lane") && pl_args_has(args, "after"))
		return pl_error(cli, PL_EXIT_USAGE, NULL, "--after goes with --lane: each lane counts its entries for itself");
	json_t *entries = json_array(), *next = NULL;
	enum pl_exit exit = PL_EXIT_OK;
	if (author != NULL && !pl_args_has(args, "lane")) {
		for (uint64_t lane = 0; lane < LANES && exit == PL_EXIT_OK; lane++) {
			json_decref(next);
			exit = read_lane(cli, author, lane, 0, limit, entries, &next);
		}
		json_decref(next);
		next = json_null();
	} else {
		exit = read_lane(cli, author, pl_args_number(args, "lane", 0), after, limit, entries, &next);
	}
	if (exit == PL_EXIT_OK && cli->json) {
		pl_out_json(json_pack("{s:O, s:O}", "entries", entries, "next", next));
	} else if (exit == PL_EXIT_OK) {
		print_feed(entries);
		if (json_array_size(entries) == 0)
			pl_remark(cli, "no entry");
		if (json_is_integer(next))
			pl_remark(cli, "there are more: --after %llu", (unsigned long long)json_integer_value(next));
	}
	json_decref(entries);
	json_decref(next);
	return exit;
}

static const struct pl_option status_options[] = {
	{ .name = "check", .help = "print nothing if all is well; else say what is not, and end with 1" },
	{ 0 },
};
static const struct pl_option feed_options[] = {
	{ .name = "author", .value = PL_VALUE_NODE, .value_name = "NODE",
	  .help = "entries of this node, from the first on; without it the newest of all" },
	{ .name = "lane", .value = PL_VALUE_NUMBER, .value_name = "N", .max = LANES - 1,
	  .help = "of this lane: 0 control and urgent, 1 messages and receipts, 2 bulk; without it all three" },
	{ .name = "after", .value = PL_VALUE_NUMBER, .value_name = "SEQ", .max = 999999999999999999, .help = "from the entry after this one on" },
	{ .name = "limit", .value = PL_VALUE_NUMBER, .value_name = "N", .min = 1, .max = FEED_LIMIT_MAX,
	  .help = "at most so many, of each lane; 20 if not given" },
	{ 0 },
};

const struct pl_command pl_commands_status[] = {
	{ .name = "status", .summary = "is the node well, is it linked, is anything held back", .options = status_options, .run = run_status,
	  .details = "For each other node it says whether there is a link, and how many entries (messages, receipts, keys, indicators) this "
	             "node holds for it. What is held is in the store and goes out by itself, directly or through others. Of a node that it "
	             "neither dials nor has had a link with since the start it says that there is no direct link.\n"
	             "It also says when the first certificate of the network ends; from 60 days before as a warning.\n"
	             "--check is for monitoring: the store is not full, no member has filled its share of the disk, no feed is frozen, there is a "
	             "link, and no certificate ends soon." },
	{ .name = "peers", .summary = "links to the other nodes", .run = run_peers,
	  .details = "ROLE is why there is a link, or is to be: \"configured\", a line of parley.conf names the node; \"mesh\", in a network of up to 32 "
	             "nodes all are dialled; in a larger one \"chosen\" by this node, of those \"anchor\" with a link of long standing, \"further\", to see "
	             "whether it has what the chosen do not give, and \"inbound\", it has chosen this node.\n"
	             "HELD counts entries that this node has and the other has not acknowledged over a link with it; \"-\" stands for a node that it "
	             "neither dials nor has had a link with since the start, of which it does not know what it holds. KEY UNTIL is how long messages "
	             "can be sealed to it with the key that is known here." },
	{ .name = "feed", .summary = "entries that this node holds, of itself and of others", .options = feed_options, .run = run_feed,
	  .details = "What passes through is sealed; the feed shows who wrote an entry, when, of what kind and size, and who holds it as "
	             "far as this node knows: its author, and who has acknowledged it over a link with this node." },
	{ 0 },
};
