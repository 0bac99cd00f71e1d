#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"
#include "node/indicator/indicator_impl.h"
#include "node/log.h"
#include "node/store/db.h"

/* Each is looked up in an index; so many take about a millisecond of the store's worker. */
#define LOOKUPS_PER_JOB 256
/* Of an item's plaintext, beside the objects: three arrays' heads, version, TLP; and the head of each object. */
#define ITEM_OVERHEAD 10
#define OBJECT_OVERHEAD 5

struct offered {
	size_t index; /* in the bundle */
	const uint8_t *bytes;
	size_t count;
	uint8_t sha256[32];
	bool duplicate;
};

struct item {
	size_t first, count; /* in offers, without the duplicates */
	size_t plain_max;
	uint8_t *sealed;
	size_t sealed_bytes;
	uint64_t seq; /* once submitted and durable */
};

/* One POST, from its body to its reply: checked (aside), freed of duplicates (jobs), packed, item numbers reserved (a job), sealed (aside),
 * submitted, and waited for until the objects stand in the tables. */
struct pl_import {
	struct pl_import *next;
	struct pl_indicator_part *part;
	struct pl_request *request; /* NULL once replied to; the bundle is its body */
	uint8_t tlp;
	bool strict;
	const uint8_t *bundle;
	size_t bundle_bytes;

	struct pl_aside aside;
	struct pl_job job;
	size_t looked_up;
	uint64_t wall_ms;
	struct pl_channel_ticket ticket;

	enum pl_err err;
	char why[200];
	struct offered *offers;
	size_t offers_count, offers_max, duplicates;
	json_t *rejected; /* array; touched by one thread at a time */
	struct item *items;
	size_t items_count, submitted, durable; /* durable: or failed */
};

static void free_import(struct pl_import *import)
{
	struct pl_import **place = &import->part->imports;
	while (*place != NULL && *place != import)
		place = &(*place)->next;
	if (*place != NULL)
		*place = import->next;
	for (size_t i = 0; i < import->items_count; i++)
		free(import->items[i].sealed);
	free(import->items);
	free(import->offers);
	json_decref(import->rejected);
	sodium_memzero(&import->ticket, sizeof(import->ticket));
	free(import);
}

/* --- replies --- */

static void reply_failed(struct pl_import *import, enum pl_err err)
{
	/* Where it is frozen, nothing more is shared however often it is said. */
	const char *what = err != PL_ERR_FORK ? "not all of the indicators were shared; the same import again shares what is missing" :
	                   import->submitted == 0 ? "the indicators were not shared" : "not all of the indicators were shared";
	pl_api_reply_failed(import->request, err, what);
	free_import(import);
}

/* Whether to go on after a job or a thread. */
static bool is_stopped(struct pl_import *import)
{
	bool stopped = import->part->stopped;
	if (stopped)
		reply_failed(import, PL_ERR_STATE);
	return stopped;
}

static void reply_bad_bundle(struct pl_import *import)
{
	int status = 400;
	const char *code = "bad_bundle";
	if (import->err == PL_ERR_VERSION) {
		status = 422;
		code = "stix_version";
	} else if (import->err == PL_ERR_LIMIT) {
		status = 413;
		code = "too_large";
	}
	pl_reply_error(import->request, status, code, NULL, "the bundle is refused: %s", import->why);
	free_import(import);
}

static void reply_strict(struct pl_import *import)
{
	json_t *body = json_pack("{s:{s:s, s:o, s:s}, s:O}", "error", "code", "objects_rejected", "message",
	                         json_sprintf("%zu of %zu objects break a rule, and nothing was shared", json_array_size(import->rejected),
	                                      json_array_size(import->rejected) + import->offers_count),
	                         "hint", "the list says which and why; without strict the others are shared", "rejected", import->rejected);
	pl_reply_json(import->request, 422, body);
	free_import(import);
}

static void reply_done(struct pl_import *import)
{
	struct pl_indicator_part *part = import->part;
	const struct pl_charter *charter = pl_core_charter(part->core);
	json_t *refs = json_array();
	for (size_t i = 0; i < import->items_count; i++)
		json_array_append_new(refs, pl_api_ref(charter, pl_core_self(part->core), PL_INDICATOR_LANE, import->items[i].seq));
	json_t *body = json_pack("{s:I, s:I, s:O, s:o}", "accepted", (json_int_t)(import->offers_count - import->duplicates), "duplicates",
	                         (json_int_t)import->duplicates, "rejected", import->rejected, "refs", refs);
	pl_reply_json(import->request, 201, body);
	free_import(import);
}

/* --- submitting --- */

static void finish_if_done(struct pl_import *import)
{
	struct pl_indicator_part *part = import->part;
	if (import->durable < import->submitted || import->request == NULL)
		return;
	if (import->err != PL_OK) {
		reply_failed(import, import->err);
		return;
	}
	/* also there for who asks next: a list, or the same objects again; unless they wait for room on the disk, who knows how long */
	uint64_t last_seq = import->items_count > 0 ? import->items[import->items_count - 1].seq : 0;
	if (part->own_applied_seq >= last_seq || !pl_applier_find_room(part->applier))
		reply_done(import);
}

void pl_indicator_import_applied(struct pl_indicator_part *part)
{
	struct pl_import *next;
	for (struct pl_import *import = part->imports; import != NULL; import = next) {
		next = import->next;
		if (import->submitted > 0)
			finish_if_done(import);
	}
}

void pl_indicator_import_stop(struct pl_indicator_part *part)
{
	/* what is with a job or a thread ends when it comes back */
	for (struct pl_import *import = part->imports; import != NULL; import = import->next) {
		if (import->submitted > 0) {
			pl_api_reply_failed(import->request, PL_ERR_STATE,
			                    "the node is shutting down; the same import again shares what is missing");
			import->request = NULL;
		}
	}
}

void pl_indicator_import_free(struct pl_indicator_part *part)
{
	while (part->imports != NULL)
		free_import(part->imports);
}

static void submitted(void *ctx, enum pl_err err, const struct pl_store_entry *entry)
{
	struct pl_import *import = ctx;
	if (err == PL_OK)
		import->items[import->durable].seq = entry->seq; /* they become durable in their order */
	else if (import->err == PL_OK)
		import->err = err;
	import->durable++;
	finish_if_done(import);
}

static void submit_all(struct pl_import *import)
{
	for (size_t i = 0; i < import->items_count && import->err == PL_OK; i++) {
		struct item *item = &import->items[i];
		import->err = pl_core_submit(import->part->core, PL_INDICATOR_LANE, PL_KIND_INDICATORS, 0, item->sealed,
		                             (uint32_t)item->sealed_bytes, submitted, import);
		if (import->err == PL_OK)
			import->submitted++;
		free(item->sealed);
		item->sealed = NULL;
	}
	finish_if_done(import);
}

/* --- sealing --- */

static enum pl_err seal_item(const struct pl_import *import, const struct pl_envelope_ctx *ctx, struct item *item, uint64_t number,
                             struct pl_indicators *indicators)
{
	uint8_t *plain = malloc(item->plain_max);
	size_t plain_bytes, sealed_max = pl_channel_bytes(item->plain_max);
	enum pl_err err = PL_ERR_MEMORY;
	item->sealed = malloc(sealed_max);
	if (plain == NULL || item->sealed == NULL)
		goto out;
	indicators->tlp = import->tlp;
	indicators->count = 0;
	for (size_t i = item->first; indicators->count < item->count; i++)
		if (!import->offers[i].duplicate)
			indicators->objects[indicators->count++] =
				(struct pl_text){ (const char *)import->offers[i].bytes, import->offers[i].count };
	err = pl_indicators_write(indicators, plain, item->plain_max, &plain_bytes);
	if (err == PL_OK)
		err = pl_channel_seal(ctx, import->ticket.root, import->ticket.channel_id, number, plain, plain_bytes, item->sealed,
		                      sealed_max, &item->sealed_bytes);
out:
	free(plain);
	return err;
}

static void seal_run(struct pl_aside *aside)
{
	struct pl_import *import = aside->ctx;
	struct pl_core *core = import->part->core;
	const struct pl_envelope_ctx ctx = pl_charter_envelope_ctx(pl_core_charter(core), pl_core_self(core), PL_KIND_INDICATORS);
	struct pl_indicators *indicators = malloc(sizeof(*indicators));
	if (indicators == NULL)
		import->err = PL_ERR_MEMORY;
	for (size_t i = 0; i < import->items_count && import->err == PL_OK; i++)
		import->err = seal_item(import, &ctx, &import->items[i], import->ticket.first_item + i, indicators);
	free(indicators);
}

static void seal_done(struct pl_aside *aside)
{
	struct pl_import *import = aside->ctx;
	if (is_stopped(import))
		return;
	if (import->err != PL_OK)
		reply_failed(import, import->err);
	else
		submit_all(import);
}

/* --- packing --- */

static enum pl_err reserve_work(struct pl_job *job, sqlite3 *db)
{
	struct pl_import *import = job->ctx;
	return pl_channels_reserve(import->part->channels, db, import->wall_ms, import->items_count, &import->ticket);
}

static void reserve_done(struct pl_job *job)
{
	struct pl_import *import = job->ctx;
	if (is_stopped(import))
		return;
	if (job->err != PL_OK) {
		reply_failed(import, job->err);
		return;
	}
	pl_channels_distribute(import->part->channels);
	import->aside = (struct pl_aside){ .run = seal_run, .done = seal_done, .ctx = import };
	pl_aside_queue(import->part, &import->aside);
}

/* Objects in their order, as many to an item as fit PL_BULK_BODY_BYTES once sealed; a larger one stands alone. */
static enum pl_err pack(struct pl_import *import)
{
	size_t fresh = import->offers_count - import->duplicates;
	import->items = calloc(fresh > 0 ? fresh : 1, sizeof(*import->items));
	if (import->items == NULL)
		return PL_ERR_MEMORY;
	struct item *item = NULL;
	for (size_t i = 0; i < import->offers_count; i++) {
		const struct offered *offer = &import->offers[i];
		if (offer->duplicate)
			continue;
		size_t bytes = offer->count + OBJECT_OVERHEAD;
		if (item == NULL || item->count == PL_BULK_ITEMS_MAX || pl_channel_bytes(item->plain_max + bytes) > PL_BULK_BODY_BYTES ||
		    pl_channel_bytes(item->plain_max + bytes) == 0) {
			item = &import->items[import->items_count++];
			item->first = i;
			item->plain_max = ITEM_OVERHEAD;
		}
		item->count++;
		item->plain_max += bytes;
	}
	return PL_OK;
}

static void pack_and_reserve(struct pl_import *import)
{
	enum pl_err err = pack(import);
	if (err != PL_OK) {
		reply_failed(import, err);
		return;
	}
	if (import->items_count == 0) {
		reply_done(import);
		return;
	}
	import->wall_ms = pl_core_wall_ms(import->part->core);
	import->job = (struct pl_job){ .work = reserve_work, .done = reserve_done, .ctx = import, .writes = true };
	pl_store_run(pl_core_store(import->part->core), &import->job);
}

/* --- duplicates --- */

/* Shared by this node before, at the same TLP. */
static enum pl_err lookup_work(struct pl_job *job, sqlite3 *db)
{
	struct pl_import *import = job->ctx;
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT 1 FROM indicator AS i JOIN indicator_provider AS p ON p.n = i.n"
	                                            " WHERE i.sha256 = ?1 AND p.node = ?2 AND p.tlp = ?3");
	if (select == NULL)
		return pl_store_sql_err(db);
	for (size_t i = 0; i < LOOKUPS_PER_JOB && import->looked_up < import->offers_count; i++, import->looked_up++) {
		struct offered *offer = &import->offers[import->looked_up];
		enum pl_err err = PL_OK;
		if (offer->duplicate)
			continue;
		pl_db_bind_blob(select, 1, offer->sha256, sizeof(offer->sha256));
		sqlite3_bind_int(select, 2, pl_core_self(import->part->core));
		sqlite3_bind_int(select, 3, import->tlp);
		int found = pl_db_step(select, &err);
		if (found < 0)
			return err;
		offer->duplicate = found > 0;
		import->duplicates += found > 0;
		pl_db_reset(select);
	}
	return PL_OK;
}

static void lookup(struct pl_import *import);

static void lookup_done(struct pl_job *job)
{
	struct pl_import *import = job->ctx;
	if (is_stopped(import))
		return;
	if (job->err != PL_OK)
		reply_failed(import, job->err);
	else if (import->looked_up < import->offers_count)
		lookup(import);
	else
		pack_and_reserve(import);
}

static void lookup(struct pl_import *import)
{
	import->job = (struct pl_job){ .work = lookup_work, .done = lookup_done, .ctx = import };
	pl_store_run(pl_core_store(import->part->core), &import->job);
}

static int by_hash(const void *a, const void *b)
{
	const struct offered *const *x = a, *const *y = b;
	int order = memcmp((*x)->sha256, (*y)->sha256, sizeof((*x)->sha256));
	return order != 0 ? order : (*x)->index < (*y)->index ? -1 : 1;
}

/* The same bytes twice in one bundle: the first stays. */
static enum pl_err mark_repeated(struct pl_import *import)
{
	if (import->offers_count < 2)
		return PL_OK;
	struct offered **sorted = calloc(import->offers_count, sizeof(*sorted));
	if (sorted == NULL)
		return PL_ERR_MEMORY;
	for (size_t i = 0; i < import->offers_count; i++)
		sorted[i] = &import->offers[i];
	qsort(sorted, import->offers_count, sizeof(*sorted), by_hash);
	for (size_t i = 1; i < import->offers_count; i++) {
		sorted[i]->duplicate = memcmp(sorted[i]->sha256, sorted[i - 1]->sha256, sizeof(sorted[i]->sha256)) == 0;
		import->duplicates += sorted[i]->duplicate;
	}
	free(sorted);
	return PL_OK;
}

/* --- checking --- */

static enum pl_err reject(struct pl_import *import, const struct pl_stix_item *item, const char *reason)
{
	json_t *entry = json_pack("{s:I, s:s?, s:s}", "index", (json_int_t)item->index + 1, "id",
	                          item->object.id[0] != '\0' ? item->object.id : NULL, "reason", reason);
	return entry != NULL && json_array_append_new(import->rejected, entry) == 0 ? PL_OK : PL_ERR_MEMORY;
}

static enum pl_err offer(struct pl_import *import, const struct pl_stix_item *item)
{
	if (import->offers_count == import->offers_max) {
		size_t max = import->offers_max > 0 ? 2 * import->offers_max : 64;
		struct offered *larger = realloc(import->offers, max * sizeof(*larger));
		if (larger == NULL)
			return PL_ERR_MEMORY;
		import->offers = larger;
		import->offers_max = max;
	}
	struct offered *offered = &import->offers[import->offers_count++];
	*offered = (struct offered){ .index = item->index, .bytes = item->object.bytes, .count = item->object.count };
	crypto_hash_sha256(offered->sha256, offered->bytes, offered->count);
	return PL_OK;
}

static void upper(const char *name, char out[16])
{
	size_t i = 0;
	for (; name[i] != '\0' && i < 15; i++)
		out[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
	out[i] = '\0';
}

static enum pl_err take(struct pl_import *import, const struct pl_stix_item *item)
{
	if (item->found == PL_STIX_REJECTED)
		return reject(import, item, item->reason);
	if (pl_stix_is_ahead(&item->object, import->wall_ms))
		return reject(import, item, "says that it was modified over a day from now");
	if (item->object.tlp <= import->tlp)
		return offer(import, item);
	char reason[80], marked[16], asked[16];
	upper(pl_tlp_name(item->object.tlp), marked);
	upper(pl_tlp_name(import->tlp), asked);
	(void)snprintf(reason, sizeof(reason), "is marked TLP:%s, asked to be shared as TLP:%s", marked, asked);
	return reject(import, item, reason);
}

static void check_run(struct pl_aside *aside)
{
	struct pl_import *import = aside->ctx;
	struct pl_stix_item *item = malloc(sizeof(*item));
	struct pl_stix_walk walk;
	if (item == NULL) {
		import->err = PL_ERR_MEMORY;
		return;
	}
	import->err = pl_stix_walk_begin(&walk, import->bundle, import->bundle_bytes, import->why, sizeof(import->why));
	while (import->err == PL_OK) {
		import->err = pl_stix_walk_next(&walk, item, import->why, sizeof(import->why));
		if (import->err != PL_OK || item->found == PL_STIX_END)
			break;
		import->err = take(import, item);
	}
	free(item);
	if (import->err == PL_OK)
		import->err = mark_repeated(import);
}

static void check_done(struct pl_aside *aside)
{
	struct pl_import *import = aside->ctx;
	if (is_stopped(import))
		return;
	if (import->err == PL_ERR_MEMORY)
		reply_failed(import, import->err);
	else if (import->err != PL_OK)
		reply_bad_bundle(import);
	else if (import->strict && json_array_size(import->rejected) > 0)
		reply_strict(import);
	else
		lookup(import);
}

void pl_indicator_import(struct pl_indicator_part *part, struct pl_request *request, uint8_t tlp, bool strict)
{
	struct pl_import *import = calloc(1, sizeof(*import));
	if (import == NULL || (import->rejected = json_array()) == NULL) {
		free(import);
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the indicators were not shared");
		return;
	}
	import->part = part;
	import->request = request;
	import->tlp = tlp;
	import->strict = strict;
	import->wall_ms = pl_core_wall_ms(part->core);
	import->bundle = pl_request_body(request, &import->bundle_bytes);
	import->next = part->imports;
	part->imports = import;
	import->aside = (struct pl_aside){ .run = check_run, .done = check_done, .ctx = import };
	pl_aside_queue(part, &import->aside);
}
