/* Opening a node's folder: everything that can be wrong with it is found here, and said in a sentence. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/core_impl.h"
#include "node/group.h"
#include "node/log.h"

#define COURIER_FILE_BYTES_MAX 256

struct restore {
	struct pl_core *core;
	enum pl_err err;
};

static void restore_head(void *ctx, uint16_t node, uint8_t lane, uint64_t seq, uint64_t gseq, const uint8_t id[PL_ID_BYTES])
{
	struct restore *restore = ctx;
	struct pl_event event = { .type = PL_EV_RESTORE };

	if (node >= restore->core->charter->nodes_count || lane >= PL_LANES) {
		restore->err = PL_ERR_CORRUPT;
		return;
	}
	event.restore.node = node;
	event.restore.lane = lane;
	event.restore.seq = seq;
	event.restore.gseq = gseq;
	event.restore.kept_bytes = pl_store_lane_kept_bytes(restore->core->store, node, lane);
	memcpy(event.restore.id, id, PL_ID_BYTES);
	pl_core_event(restore->core, &event);
	pl_feed_restore(restore->core, node, lane, seq);
}

static void restore_ack(void *ctx, uint16_t peer, uint16_t node, uint8_t lane, uint64_t seq)
{
	struct restore *restore = ctx;
	struct pl_event event = { .type = PL_EV_RESTORE_ACK };
	const uint16_t nodes = restore->core->charter->nodes_count;

	if (peer >= nodes || node >= nodes || lane >= PL_LANES) {
		restore->err = PL_ERR_CORRUPT;
		return;
	}
	event.restore_ack.peer = peer;
	event.restore_ack.node = node;
	event.restore_ack.lane = lane;
	event.restore_ack.seq = seq;
	pl_core_event(restore->core, &event);
}

static void restore_fork(void *ctx, uint16_t node, const uint8_t header_a[PL_ENTRY_HEADER_BYTES], const uint8_t header_b[PL_ENTRY_HEADER_BYTES])
{
	struct restore *restore = ctx;
	struct pl_event event = { .type = PL_EV_RESTORE_FORK, .restore_fork = { node, header_a, header_b } };

	if (node >= restore->core->charter->nodes_count)
		restore->err = PL_ERR_CORRUPT;
	else
		pl_core_event(restore->core, &event);
}

static void restore_anchor(void *ctx, const uint8_t node_id[PL_NODE_ID_BYTES])
{
	struct restore *restore = ctx;
	struct pl_event event = { .type = PL_EV_RESTORE_ANCHOR };

	event.restore_anchor.node = pl_charter_find_node(restore->core->charter, node_id);
	if (event.restore_anchor.node != PL_NODE_NONE && event.restore_anchor.node != restore->core->self)
		pl_core_event(restore->core, &event);
}

/* All of the members whose signatures the charter lacks, so that nobody asks for them one by one. */
static void name_unsigned(struct pl_core *core, const char *first, char *why, size_t why_max)
{
	bool signed_by[PL_MEMBERS_MAX] = { false };
	char at[PL_MEMBER_CODE_BYTES + 1];
	int length = snprintf(why, why_max, "%s: the charter lacks valid signatures of ", core->conf->charter_file);
	size_t count = 0;

	if (pl_charter_read_unsigned(core->charter_document, core->charter_document_bytes, core->charter, signed_by, at) == PL_OK)
		for (uint16_t i = 0; i < core->charter->members_count && length > 0 && (size_t)length < why_max; i++)
			if (!signed_by[i])
				length += snprintf(why + length, why_max - (size_t)length, "%s%s", count++ == 0 ? "" : ", ", core->charter->members[i].code);
	if (length > 0 && (size_t)length < why_max)
		snprintf(why + length, why_max - (size_t)length, "%s; see: parley charter verify", count > 0 ? "" : first[0] ? first : "a founder");
}

static enum pl_err read_charter(struct pl_core *core, char *why, size_t why_max)
{
	char at[PL_MEMBER_CODE_BYTES + 1] = "", file_why[256];
	uint8_t *document;
	size_t count;

	enum pl_err err = pl_file_read(core->conf->charter_file, PL_CHARTER_BYTES_MAX, &document, &count, file_why, sizeof(file_why));
	if (err != PL_OK) {
		snprintf(why, why_max, "%s; a charter is installed with: parley init --dir %s --charter FILE", file_why, core->conf->dir);
		return err;
	}
	core->charter_document = document;
	core->charter_document_bytes = count;
	core->charter = calloc(1, sizeof(*core->charter));
	err = core->charter ? pl_charter_read(document, count, core->charter, at) : PL_ERR_MEMORY;
	if (err == PL_ERR_SIGNATURE)
		name_unsigned(core, at, why, why_max);
	else if (err != PL_OK)
		snprintf(why, why_max, "%s: not a valid charter (%s%s%s)", core->conf->charter_file, pl_err_str(err), at[0] ? ", at " : "", at);
	return err;
}

static enum pl_err read_keys(struct pl_core *core, const char *passphrase, char *why, size_t why_max)
{
	core->keys = sodium_malloc(sizeof(*core->keys));
	if (!core->keys)
		return PL_ERR_MEMORY;
	/* sodium_malloc() has tried and does not say whether it could */
	if (sodium_mlock(core->keys, sizeof(*core->keys)) != 0)
		PL_LOG(PL_LOG_WARNING, "core", "the node's keys cannot be kept out of swap; allow more locked memory (RLIMIT_MEMLOCK)");
	enum pl_err err = pl_key_read_node(core->conf->key_file, passphrase, core->keys, why, why_max);
	if (err != PL_OK)
		return err;
	core->self = pl_charter_find_node(core->charter, core->keys->node_id);
	if (core->self == PL_NODE_NONE) {
		snprintf(why, why_max, "%s is not in the charter %s: it was certified for another key, or this is another network's charter",
		         core->conf->key_file, core->conf->charter_file);
		return PL_ERR_NETWORK;
	}
	if (memcmp(core->charter->nodes[core->self].certificate.noise_public, core->keys->noise_public, 32) != 0) {
		snprintf(why, why_max, "%s: its link key is not the one in the charter", core->conf->key_file);
		return PL_ERR_NETWORK;
	}
	return PL_OK;
}

/* A courier key: 64 hexadecimal digits, with white space where its writer likes. */
static enum pl_err read_courier_key(const char *path, uint8_t key[32], char *why, size_t why_max)
{
	uint8_t *file;
	size_t count, key_bytes = 0;

	enum pl_err err = pl_key_check_secret(path, why, why_max);
	if (err == PL_OK)
		err = pl_file_read(path, COURIER_FILE_BYTES_MAX, &file, &count, why, why_max);
	if (err != PL_OK)
		return err;
	if (sodium_hex2bin(key, 32, (const char *)file, count, " \t\r\n", &key_bytes, NULL) != 0 || key_bytes != 32) {
		snprintf(why, why_max, "%s: not a courier key; expected 64 hexadecimal digits", path);
		err = PL_ERR_FORMAT;
	}
	sodium_memzero(file, count);
	free(file);
	return err;
}

static enum pl_err read_peers(struct pl_core *core, char *why, size_t why_max)
{
	const uint16_t nodes = core->charter->nodes_count;

	core->addresses = calloc(nodes, sizeof(*core->addresses));
	core->configured = calloc(nodes, sizeof(*core->configured));
	core->peer_notes = calloc(nodes, sizeof(*core->peer_notes));
	core->courier_keys = sodium_allocarray(nodes, 32);
	core->courier_pointers = calloc(nodes, sizeof(*core->courier_pointers));
	if (!core->addresses || !core->configured || !core->peer_notes || !core->courier_keys || !core->courier_pointers)
		return PL_ERR_MEMORY;
	for (uint16_t i = 0; i < core->conf->peers_count; i++) {
		const struct pl_peer_conf *peer = &core->conf->peers[i];
		const uint16_t node = pl_charter_find_name(core->charter, peer->node_name);
		if (node == PL_NODE_NONE || node == core->self) {
			snprintf(why, why_max, "%s/parley.conf:%u: peer = %s %s", core->conf->dir, peer->line, peer->node_name,
			         node == core->self ? "is this node itself" : "is not in the charter; expected a node's name such as CHE or CHE.2");
			return PL_ERR_UNKNOWN;
		}
		struct dial_addresses *addresses = &core->addresses[node];
		core->configured[node] = true;
		if (peer->address[0] && addresses->count < PL_LISTEN_MAX)
			addresses->addresses[addresses->count++] = peer->address;
		if (peer->courier_key_file[0]) {
			enum pl_err err = read_courier_key(peer->courier_key_file, core->courier_keys[node], why, why_max);
			if (err != PL_OK)
				return err;
			core->courier_pointers[node] = core->courier_keys[node];
		}
	}
	for (uint16_t node = 0; node < nodes && core->conf->dial_charter; node++) {
		const char *address = core->charter->nodes[node].certificate.address;
		/* Of two nodes that both can be dialled one dials, so that there is one link to begin with; the other does if it cannot be. */
		if (node != core->self && core->addresses[node].count == 0 && address[0])
			core->addresses[node].addresses[core->addresses[node].count++] = address;
	}
	return PL_OK;
}

static enum pl_err start_engine(struct pl_core *core, char *why, size_t why_max)
{
	struct pl_engine_config config;
	struct restore restore = { .core = core };

	pl_engine_config_default(&config);
	config.charter = core->charter;
	config.self = core->self;
	config.sign_secret = core->keys->sign_secret;
	config.noise_secret = core->keys->noise_secret;
	config.courier_keys = core->courier_pointers;
	config.links_max = core->conf->links_max;
	config.configured = core->configured;
	config.flash_per_minute = core->conf->flash_per_minute;
	config.flash_burst = core->conf->flash_burst;
	memcpy(config.quota, core->conf->quota, sizeof(config.quota));
	core->engine_bytes = pl_engine_bytes(&config);
	/* From calloc's fresh pages: what is never touched is never resident. */
	core->engine_memory = calloc(1, core->engine_bytes);
	enum pl_err err = core->engine_memory ? pl_engine_init(&config, core->engine_memory, core->engine_bytes, &core->engine) : PL_ERR_MEMORY;
	if (err == PL_OK)
		err = pl_store_each_head(core->store, restore_head, &restore);
	if (err == PL_OK)
		err = pl_store_each_ack(core->store, restore_ack, &restore);
	if (err == PL_OK)
		err = pl_store_each_fork(core->store, restore_fork, &restore);
	if (err == PL_OK)
		err = pl_store_each_anchor(core->store, restore_anchor, &restore);
	if (err == PL_OK)
		err = restore.err;
	if (err == PL_OK)
		err = pl_feed_read_applied(core);
	if (err != PL_OK)
		snprintf(why, why_max, "%s: cannot be read (%s)%s", core->conf->store_file, pl_err_str(err), err != PL_ERR_CORRUPT ? "" :
		         ". OPERATING.md, \"Backups\", says what to do; a copy that is put back freezes this node's feed.");
	return err;
}

/* KEY.used stands beside the key from the first start on, and under a name that no `rm store.db*` meets. Where it stands and the store does not, the
 * node has signed entries that it does not know any more; a new store would sign other ones for their places, and that is equivocation. */
static enum pl_err check_store_is_there(const struct pl_core *core, const char *mark, char *why, size_t why_max)
{
	struct stat st;
	char wal[PL_PATH_BYTES_MAX + 8];

	if (lstat(mark, &st) != 0)
		return PL_OK;
	snprintf(wal, sizeof(wal), "%s-wal", core->conf->store_file);
	const bool is_there = stat(core->conf->store_file, &st) == 0;
	if ((is_there && st.st_size > 0) || (stat(wal, &st) == 0 && st.st_size > 0))
		return PL_OK;
	if (core->conf->new_store)
		return pl_store_make_frozen(core->conf->store_file, core->charter->network_id, core->keys->node_id,
		                            "The store of this node was lost, and made anew by parleyd --new-store.", why, why_max);
	return pl_why(why, why_max, PL_ERR_REFUSED,
	              "%s is %s, and %s says that this node has had a store: put it back, with its .feed and .epoch, or correct `store` in "
	              "parley.conf; if it is lost for good, parleyd --new-store starts a node that receives and relays but signs nothing",
	              core->conf->store_file, is_there ? "empty" : "missing", mark);
}

static void mark_path(const struct pl_core *core, char *mark, size_t mark_max)
{
	snprintf(mark, mark_max, "%s.used", core->conf->key_file);
}

/* Durable before the first entry is signed, which is after the links have started; and after all that keeps a start from succeeding. */
static enum pl_err mark_used(const struct pl_core *core, char *why, size_t why_max)
{
	static const char text[] = "This node has signed entries, which stand in its store. Keep this file: without it parleyd does not notice that the store\n"
				   "is gone, and would sign others in their places. OPERATING.md, \"Backups\".\n";
	struct stat st;
	char mark[PL_PATH_BYTES_MAX + 8];

	mark_path(core, mark, sizeof(mark));
	return lstat(mark, &st) == 0 ? PL_OK : pl_file_write_new(mark, 0600, (const uint8_t *)text, sizeof(text) - 1, why, why_max);
}

static enum pl_err start_store(struct pl_core *core, char *why, size_t why_max)
{
	char frozen[256], mark[PL_PATH_BYTES_MAX + 8];
	mark_path(core, mark, sizeof(mark));
	enum pl_err err = check_store_is_there(core, mark, why, why_max);
	if (err == PL_OK)
		err = pl_store_open(core->conf->store_file, core->charter->network_id, core->keys->node_id, &core->store, why, why_max);

	if (err == PL_OK)
		err = pl_store_check_charter(core->store, core->charter, why, why_max);
	if (err != PL_OK)
		return err;
	core->feeds = calloc((size_t)core->charter->nodes_count * PL_LANES, sizeof(*core->feeds));
	if (!core->feeds)
		return PL_ERR_MEMORY;
	err = start_engine(core, why, why_max);
	if (err != PL_OK)
		return err;
	if (pl_store_feed_state(core->store, frozen, sizeof(frozen)) == PL_OK) {
		if (frozen[0] != '\0')
			PL_LOG(PL_LOG_WARNING, "store", "the sidecar is damaged in part", PL_F_STR("why", frozen));
	} else {
		struct pl_event event = { .type = PL_EV_FREEZE_SELF };
		PL_LOG(PL_LOG_ERROR, "feed", "this node receives and relays but authors nothing", PL_F_STR("why", frozen));
		pl_core_event(core, &event);
	}
	return err;
}

static enum pl_err start_verifier(struct pl_core *core, char *why, size_t why_max)
{
	enum pl_err err = pl_verifier_new(core->loop, core->charter->network_id, pl_core_verified, core, &core->verifier);

	if (err == PL_ERR_IO)
		snprintf(why, why_max, "no thread can be started; see `ulimit -u`, and TasksMax= under systemd");
	return err;
}

/* A group is called by the first of its nodes. */
static uint16_t group_of(const struct pl_core *core, char (*groups)[PL_GROUP_BYTES], uint16_t node)
{
	uint16_t first = 0;

	while (core->addresses[first].count == 0 || strcmp(groups[first], groups[node]) != 0)
		first++;
	return first;
}

static void start_links(struct pl_core *core)
{
	const uint16_t nodes = core->charter->nodes_count;
	struct pl_event event = { .type = PL_EV_START };
	char (*groups)[PL_GROUP_BYTES] = calloc(nodes, sizeof(*groups)); /* without memory for it all are of one group */

	for (uint16_t node = 0; node < nodes && groups; node++) {
		if (core->addresses[node].count > 0)
			pl_address_group(core->addresses[node].addresses[0], groups[node]);
	}
	pl_core_event(core, &event);
	for (uint16_t node = 0; node < nodes; node++) {
		struct pl_event dialable = { .type = PL_EV_PEER_DIALABLE };
		if (core->addresses[node].count == 0)
			continue;
		dialable.peer_dialable.node = node;
		dialable.peer_dialable.group = groups ? group_of(core, groups, node) : 0;
		pl_core_event(core, &dialable);
	}
	free(groups);
}

/* Whoever may write there may put another charter or store in the place of this node's. */
static enum pl_err check_folder(const struct pl_conf *conf, char *why, size_t why_max)
{
	struct stat st;

	if (stat(conf->dir, &st) == 0 && (st.st_mode & 022) != 0)
		return pl_why(why, why_max, PL_ERR_REFUSED, "%s: others on this machine may write there (mode %03o): chmod go-w %s", conf->dir,
		              (unsigned)st.st_mode & 0777, conf->dir);
	return PL_OK;
}

enum pl_err pl_core_check(const struct pl_conf *conf, const char *passphrase, char *why, size_t why_max)
{
	struct pl_core *core = calloc(1, sizeof(*core));
	enum pl_err err = check_folder(conf, why, why_max);

	if (!core) {
		snprintf(why, why_max, "out of memory");
		return PL_ERR_MEMORY;
	}
	core->conf = conf;
	core->self = PL_NODE_NONE;
	if (err == PL_OK)
		err = read_charter(core, why, why_max);
	if (err == PL_OK && passphrase)
		err = read_keys(core, passphrase, why, why_max);
	if (err == PL_OK)
		err = read_peers(core, why, why_max);
	pl_core_release(core);
	return err;
}

enum pl_err pl_core_new(uv_loop_t *loop, const struct pl_conf *conf, const char *passphrase, void (*on_failed)(void *ctx), void *ctx,
                        struct pl_core **out, char *why, size_t why_max)
{
	struct pl_core *core = calloc(1, sizeof(*core));
	enum pl_err err;

	snprintf(why, why_max, "out of memory");
	if (!core)
		return PL_ERR_MEMORY;
	core->loop = loop;
	core->loop_thread = uv_thread_self();
	core->conf = conf;
	core->on_failed = on_failed;
	core->on_failed_ctx = ctx;
	core->late_last = &core->late;
	core->submissions_last = &core->submissions;
	uv_timer_init(loop, &core->timer);
	uv_timer_init(loop, &core->room_timer);
	uv_timer_init(loop, &core->feed_timer);
	pl_core_notes_init(core);
	uv_idle_init(loop, &core->idle);
	core->timer.data = core->room_timer.data = core->feed_timer.data = core->idle.data = core;
	core->room.lanes = PL_LANES;
	uv_update_time(loop);
	pl_core_read_clocks(core); /* for what the application notes of its start */

	const struct pl_net_callbacks net_callbacks = pl_core_net_callbacks(core);
	const struct pl_store_callbacks store_callbacks = pl_core_store_callbacks(core);
	if ((err = check_folder(conf, why, why_max)) != PL_OK || (err = read_charter(core, why, why_max)) != PL_OK ||
	    (err = read_keys(core, passphrase, why, why_max)) != PL_OK ||
	    (err = read_peers(core, why, why_max)) != PL_OK || (err = start_store(core, why, why_max)) != PL_OK ||
	    (err = start_verifier(core, why, why_max)) != PL_OK ||
	    (err = pl_net_new(loop, &net_callbacks, &core->net)) != PL_OK)
		goto failed;
	for (uint8_t i = 0; i < core->conf->listen_count; i++) {
		if ((err = pl_net_listen(core->net, core->conf->listen[i], why, why_max)) != PL_OK)
			goto failed;
	}
	if ((err = pl_http_listen(loop, core->conf->socket_path, &core->http, why, why_max)) != PL_OK ||
	    (err = pl_app_new(core, &core->app, why, why_max)) != PL_OK || (err = mark_used(core, why, why_max)) != PL_OK ||
	    (err = pl_store_start(core->store, loop, &store_callbacks)) != PL_OK)
		goto failed;
	if (pl_store_scrub(core->store, core->conf->scrub_bytes_per_s) != PL_OK)
		PL_LOG(PL_LOG_WARNING, "store", "no memory to look for damage");
	pl_core_read_clocks(core);
	pl_core_look_for_room(core);
	start_links(core);
	pl_feed_start(core);
	pl_app_start(core->app);
	*out = core;
	return PL_OK;

failed:
	if (core->app)
		pl_app_stop(core->app);
	if (core->http)
		pl_http_shutdown(core->http);
	if (core->net)
		pl_net_shutdown(core->net);
	if (core->verifier)
		pl_verifier_close(core->verifier);
	core->verifier = NULL;
	uv_close((uv_handle_t *)&core->timer, NULL);
	uv_close((uv_handle_t *)&core->room_timer, NULL);
	uv_close((uv_handle_t *)&core->feed_timer, NULL);
	pl_core_notes_close(core);
	uv_close((uv_handle_t *)&core->idle, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	core->stopped = true;
	pl_core_free(core);
	return err;
}
