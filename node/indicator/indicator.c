#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyfile.h"
#include "node/api/api.h"
#include "node/indicator/indicator_impl.h"
#include "node/log.h"
#include "node/store/db.h"

#define RETRY_MS 1000

/* --- another thread --- */

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

/* --- an entry, opened and checked --- */

struct row {
	uint16_t idx;
	const char *id, *type, *modified;
	int64_t modified_us;
	size_t bytes;
	uint8_t sha256[32];
	const uint8_t *name, *object; /* sealed */
	size_t name_bytes, object_bytes;
	uint8_t *memory; /* of all the pointers */
};

/* One entry on its way into the tables: fresh from its feed, or after it has waited for its root. */
struct intake {
	struct pl_apply apply; /* first: cast back from it */
	struct pl_aside aside;
	struct pl_job job;
	struct pl_indicator_part *part;
	uint16_t node;
	uint64_t seq, received_ms;
	uint8_t header[PL_ENTRY_HEADER_BYTES]; /* of an entry that has waited */
	uint8_t *body;
	size_t body_bytes;
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
	uint8_t root[PL_CHANNEL_ROOT_BYTES];

	enum pl_err err; /* of opening */
	uint8_t tlp;
	uint16_t objects_count, rows_count;
	struct row *rows;
	uint16_t added; /* objects that were not here before */
};

/* For the log; returns name. */
static const char *name_of(const struct pl_indicator_part *part, uint16_t node, char name[PL_NODE_NAME_BYTES])
{
	pl_charter_node_name(pl_core_charter(part->core), node, name);
	return name;
}

static struct intake *intake_of(struct pl_apply *apply)
{
	return (struct intake *)(void *)apply;
}

static void free_intake(struct intake *intake)
{
	for (uint16_t i = 0; i < intake->rows_count; i++)
		free(intake->rows[i].memory);
	free(intake->rows);
	free(intake->body);
	sodium_memzero(intake->root, sizeof(intake->root));
	free(intake);
}

struct pl_envelope_ctx pl_indicator_ctx(const struct pl_indicator_part *part, uint16_t author)
{
	const struct pl_charter *charter = pl_core_charter(part->core);
	struct pl_envelope_ctx ctx = { .kind = PL_KIND_INDICATORS };
	memcpy(ctx.network_id, charter->network_id, sizeof(ctx.network_id));
	memcpy(ctx.author, charter->nodes[author].certificate.node_id, sizeof(ctx.author));
	return ctx;
}

static uint8_t *put_string(uint8_t *at, const char *text, const char **out)
{
	size_t bytes = strlen(text) + 1;
	*out = memcpy(at, text, bytes);
	return at + bytes;
}

static bool make_row(const uint8_t store_key[32], const struct pl_stix_object *object, uint16_t idx, struct row *row)
{
	size_t name_bytes = strlen(object->name);
	*row = (struct row){ .idx = idx, .modified_us = object->modified_us, .bytes = object->count };
	row->name_bytes = name_bytes + PL_COLUMN_OVERHEAD;
	row->object_bytes = object->count + PL_COLUMN_OVERHEAD;
	uint8_t *at =
		malloc(row->name_bytes + row->object_bytes + strlen(object->id) + strlen(object->type) + strlen(object->modified) + 3);
	if (at == NULL)
		return false;
	row->memory = at;
	at = put_string(at, object->id, &row->id);
	at = put_string(at, object->type, &row->type);
	at = put_string(at, object->modified, &row->modified);
	crypto_hash_sha256(row->sha256, object->bytes, object->count);
	pl_column_seal(store_key, PL_INDICATOR_TABLE, PL_INDICATOR_NAME, row->sha256, sizeof(row->sha256), (const uint8_t *)object->name,
	               name_bytes, at);
	row->name = at;
	at += row->name_bytes;
	pl_column_seal(store_key, PL_INDICATOR_TABLE, PL_INDICATOR_OBJECT, row->sha256, sizeof(row->sha256), object->bytes, object->count,
	               at);
	row->object = at;
	return true;
}

/* An author that conforms has checked all this before it shared; one that does not gets its other objects through. */
static enum pl_err check_objects(struct intake *intake, const struct pl_indicators *indicators, struct pl_stix_object *object)
{
	char author[PL_NODE_NAME_BYTES], reason[PL_STIX_REASON_BYTES];
	for (uint16_t i = 0; i < indicators->count; i++) {
		const struct pl_text *text = &indicators->objects[i];
		enum pl_err err = pl_stix_object_read((const uint8_t *)text->chars, text->bytes, object, reason);
		if (err == PL_ERR_MEMORY)
			return err;
		if (err != PL_OK || object->tlp > indicators->tlp) {
			PL_LOG(PL_LOG_WARNING, "indicator", "an object of another node breaks a rule and is left out",
			       PL_F_STR("author", name_of(intake->part, intake->node, author)), PL_F_U64("seq", intake->seq),
			       PL_F_U64("place", i), PL_F_STR("id", object->id),
			       PL_F_STR("reason", err != PL_OK ? reason : "is marked with a narrower TLP than it is shared at"));
			continue;
		}
		if (!make_row(pl_core_keys(intake->part->core)->store_key, object, i, &intake->rows[intake->rows_count]))
			return PL_ERR_MEMORY;
		intake->rows_count++;
	}
	return PL_OK;
}

static void intake_run(struct pl_aside *aside)
{
	struct intake *intake = aside->ctx;
	const struct pl_envelope_ctx ctx = pl_indicator_ctx(intake->part, intake->node);
	struct pl_indicators *indicators = malloc(sizeof(*indicators));
	struct pl_stix_object *object = malloc(sizeof(*object));
	uint8_t *plain = malloc(intake->body_bytes);
	size_t plain_bytes = 0;
	intake->rows = calloc(PL_BULK_ITEMS_MAX, sizeof(*intake->rows));
	intake->err = PL_ERR_MEMORY;
	if (indicators == NULL || object == NULL || plain == NULL || intake->rows == NULL)
		goto out;
	intake->err = pl_channel_open(&ctx, intake->root, intake->body, intake->body_bytes, plain, intake->body_bytes, &plain_bytes);
	if (intake->err == PL_OK)
		intake->err = pl_indicators_read(plain, plain_bytes, indicators);
	/* the channel goes to all members: what is narrower does not belong there, and is not passed on from here */
	if (intake->err == PL_OK && indicators->tlp > PL_TLP_GREEN)
		intake->err = PL_ERR_REFUSED;
	if (intake->err != PL_OK)
		goto out;
	intake->tlp = indicators->tlp;
	intake->objects_count = indicators->count;
	intake->err = check_objects(intake, indicators, object);
out:
	if (plain != NULL)
		sodium_memzero(plain, plain_bytes);
	free(plain);
	free(object);
	free(indicators);
}

/* --- into the tables --- */

static enum pl_err insert_object(const struct intake *intake, sqlite3 *db, const struct row *row, uint64_t *n, bool *is_new)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT n FROM indicator WHERE sha256 = ?1");
	sqlite3_stmt *insert =
		pl_store_prepare(db, "INSERT INTO indicator (stix_id, type, modified, modified_us, tlp, received_ms, bytes, sha256, name,"
		                     " object) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)");
	enum pl_err err = PL_OK;
	if (select == NULL || insert == NULL)
		return pl_store_sql_err(db);
	pl_db_bind_blob(select, 1, row->sha256, sizeof(row->sha256));
	int found = pl_db_step(select, &err);
	if (found < 0)
		return err;
	*is_new = found == 0;
	if (found > 0) {
		*n = pl_db_u64(select, 0);
		pl_db_reset(select);
		return PL_OK;
	}
	sqlite3_bind_text(insert, 1, row->id, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 2, row->type, -1, SQLITE_STATIC);
	sqlite3_bind_text(insert, 3, row->modified, -1, SQLITE_STATIC);
	sqlite3_bind_int64(insert, 4, row->modified_us);
	sqlite3_bind_int(insert, 5, intake->tlp);
	pl_db_bind_u64(insert, 6, intake->received_ms);
	pl_db_bind_u64(insert, 7, row->bytes);
	pl_db_bind_blob(insert, 8, row->sha256, sizeof(row->sha256));
	pl_db_bind_blob(insert, 9, row->name, row->name_bytes);
	pl_db_bind_blob(insert, 10, row->object, row->object_bytes);
	err = pl_db_run(insert);
	if (err == PL_OK)
		*n = (uint64_t)sqlite3_last_insert_rowid(db);
	return err;
}

/* The newest entry of a provider counts; of the TLPs of several providers the narrowest does. */
static enum pl_err insert_provider(const struct intake *intake, sqlite3 *db, const struct row *row, uint64_t n, bool is_new)
{
	sqlite3_stmt *insert =
		pl_store_prepare(db, "INSERT INTO indicator_provider (n, node, seq, idx, tlp, received_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		                     " ON CONFLICT (n, node) DO UPDATE SET seq = excluded.seq, idx = excluded.idx, tlp = excluded.tlp,"
		                     " received_ms = excluded.received_ms WHERE excluded.seq > seq");
	sqlite3_stmt *update = pl_store_prepare(db, "UPDATE indicator SET tlp = t.tlp FROM"
	                                            " (SELECT max(tlp) AS tlp FROM indicator_provider WHERE n = ?1) AS t"
	                                            " WHERE n = ?1 AND indicator.tlp != t.tlp");
	if (insert == NULL || update == NULL)
		return pl_store_sql_err(db);
	pl_db_bind_u64(insert, 1, n);
	sqlite3_bind_int(insert, 2, intake->node);
	pl_db_bind_u64(insert, 3, intake->seq);
	sqlite3_bind_int(insert, 4, row->idx);
	sqlite3_bind_int(insert, 5, intake->tlp);
	pl_db_bind_u64(insert, 6, intake->received_ms);
	enum pl_err err = pl_db_run(insert);
	if (err != PL_OK || is_new)
		return err;
	pl_db_bind_u64(update, 1, n);
	return pl_db_run(update);
}

static enum pl_err insert_rows(struct intake *intake, sqlite3 *db)
{
	intake->added = 0; /* this may be another try */
	enum pl_err err = pl_entry_received(db, intake->node, PL_INDICATOR_LANE, intake->seq, &intake->received_ms);
	if (err != PL_OK)
		return err;
	for (uint16_t i = 0; i < intake->rows_count; i++) {
		uint64_t n = 0;
		bool is_new = false;
		err = insert_object(intake, db, &intake->rows[i], &n, &is_new);
		if (err == PL_OK)
			err = insert_provider(intake, db, &intake->rows[i], n, is_new);
		if (err != PL_OK)
			return err;
		intake->added += is_new;
	}
	return PL_OK;
}

/* The rows are durable. */
static void tell(const struct intake *intake)
{
	char author[PL_NODE_NAME_BYTES];
	struct pl_indicator_part *part = intake->part;
	const struct pl_charter *charter = pl_core_charter(part->core);
	uint16_t rejected = (uint16_t)(intake->objects_count - intake->rows_count);
	part->counts.objects += intake->added;
	part->counts.rejected += rejected;
	PL_LOG(PL_LOG_INFO, "indicator", "indicators taken in", PL_F_STR("author", name_of(intake->part, intake->node, author)),
	       PL_F_U64("seq", intake->seq), PL_F_U64("objects", intake->rows_count), PL_F_U64("new", intake->added),
	       PL_F_U64("rejected", rejected));
	json_t *event =
		json_pack("{s:o, s:o, s:s, s:o, s:i, s:i, s:i}", "author", pl_api_node(charter, intake->node), "ref",
		          pl_api_ref(charter, intake->node, PL_INDICATOR_LANE, intake->seq), "tlp", pl_tlp_name(intake->tlp), "received",
		          pl_api_time(intake->received_ms), "objects", intake->rows_count, "new", intake->added, "rejected", rejected);
	if (event != NULL && !part->stopped)
		pl_http_publish(pl_core_http(part->core), "indicators", event);
	else
		json_decref(event);
}

static void log_unreadable(const struct intake *intake)
{
	char author[PL_NODE_NAME_BYTES];
	PL_LOG(PL_LOG_WARNING, "indicator", "indicators of another node cannot be read and are left out",
	       PL_F_STR("author", name_of(intake->part, intake->node, author)), PL_F_U64("seq", intake->seq), PL_F_ERR(intake->err));
}

/* --- entries that waited for their root --- */

struct pl_waiting_channel {
	struct pl_waiting_channel *next;
	uint16_t node;
	uint8_t channel_id[PL_CHANNEL_ID_BYTES];
};

static void drain(struct pl_indicator_part *part);

static void root_came(void *ctx, uint16_t node, const uint8_t channel_id[PL_CHANNEL_ID_BYTES])
{
	char author[PL_NODE_NAME_BYTES];
	struct pl_indicator_part *part = ctx;
	struct pl_waiting_channel **end = &part->waiting_first;
	/* the first one may have been looked at already, and is looked at again */
	for (; *end != NULL; end = &(*end)->next)
		if (end != &part->waiting_first && (*end)->node == node && memcmp((*end)->channel_id, channel_id, PL_CHANNEL_ID_BYTES) == 0)
			return;
	*end = calloc(1, sizeof(**end));
	if (*end == NULL) {
		PL_LOG(PL_LOG_ERROR, "indicator", "no memory to open what waited for a channel root; it is opened at the next start",
		       PL_F_STR("author", name_of(part, node, author)));
		return;
	}
	(*end)->node = node;
	memcpy((*end)->channel_id, channel_id, PL_CHANNEL_ID_BYTES);
	if (part->started)
		drain(part);
}

static void end_drain(struct intake *intake, bool channel_done)
{
	struct pl_indicator_part *part = intake->part;
	if (channel_done) {
		struct pl_waiting_channel *first = part->waiting_first;
		part->waiting_first = first->next;
		free(first);
	}
	free_intake(intake);
	part->draining = false;
}

static void on_retry(uv_timer_t *timer)
{
	drain(timer->data);
}

static void retry_drain(struct pl_indicator_part *part)
{
	if (!part->stopped)
		uv_timer_start(&part->retry, on_retry, RETRY_MS, 0);
}

static enum pl_err waited_work(struct pl_job *job, sqlite3 *db)
{
	struct intake *intake = job->ctx;
	enum pl_err err = insert_rows(intake, db);
	return err == PL_OK ? pl_channels_unwait(db, intake->node, intake->seq) : err;
}

static void waited_done(struct pl_job *job)
{
	struct intake *intake = job->ctx;
	struct pl_indicator_part *part = intake->part;
	enum pl_err err = job->err;
	if (err == PL_OK && intake->err == PL_OK)
		tell(intake);
	end_drain(intake, false);
	if (err == PL_OK)
		drain(part);
	else if (err == PL_ERR_DISK_FULL || err == PL_ERR_MEMORY)
		retry_drain(part);
	/* else the store has failed for good, and says so itself */
}

static void waited_opened(struct pl_aside *aside)
{
	struct intake *intake = aside->ctx;
	struct pl_indicator_part *part = intake->part;
	if (part->stopped) {
		end_drain(intake, false);
		return;
	}
	if (intake->err == PL_ERR_MEMORY) {
		end_drain(intake, false);
		retry_drain(part);
		return;
	}
	if (intake->err == PL_ERR_CORRUPT) {
		log_unreadable(intake); /* and waits on, until the store has mended it */
		end_drain(intake, true);
		drain(part);
		return;
	}
	if (intake->err != PL_OK)
		log_unreadable(intake);
	intake->job = (struct pl_job){ .work = waited_work, .done = waited_done, .ctx = intake, .writes = true };
	pl_store_run(pl_core_store(part->core), &intake->job);
}

/* The store looks at a body when it loads it to send it; here nobody has looked yet. */
static void waited_run(struct pl_aside *aside)
{
	struct intake *intake = aside->ctx;
	struct pl_header header;
	uint8_t hash[PL_ID_BYTES];
	pl_body_hash(intake->body, intake->body_bytes, hash);
	if (pl_header_decode(intake->header, &header) != PL_OK || memcmp(hash, header.body_hash, sizeof(hash)) != 0)
		intake->err = PL_ERR_CORRUPT;
	else
		intake_run(aside);
}

/* The first entry that waits for this channel. PL_ERR_UNKNOWN: none. */
static enum pl_err find_waiting(struct pl_job *job, sqlite3 *db)
{
	struct intake *intake = job->ctx;
	sqlite3_stmt *select =
		pl_store_prepare(db, "SELECT received_ms, header, body FROM entry WHERE node = ?1 AND lane = ?2 AND seq = ?3");
	if (select == NULL)
		return pl_store_sql_err(db);
	enum pl_err err = pl_channels_root(intake->part->channels, db, intake->node, intake->channel_id, intake->root);
	if (err == PL_OK)
		err = pl_channels_first_waiting(db, intake->node, intake->channel_id, &intake->seq);
	if (err != PL_OK)
		return err;
	sqlite3_bind_int(select, 1, intake->node);
	sqlite3_bind_int(select, 2, PL_INDICATOR_LANE);
	pl_db_bind_u64(select, 3, intake->seq);
	if (pl_db_step(select, &err) == 1) {
		intake->received_ms = pl_db_u64(select, 0);
		err = pl_db_take(select, 1, intake->header, sizeof(intake->header));
		if (err == PL_OK)
			err = pl_db_copy(select, 2, &intake->body, &intake->body_bytes);
		pl_db_reset(select);
	}
	return err;
}

static void found_waiting(struct pl_job *job)
{
	struct intake *intake = job->ctx;
	struct pl_indicator_part *part = intake->part;
	if (job->err != PL_OK || part->stopped) {
		bool none = job->err == PL_ERR_UNKNOWN;
		end_drain(intake, none);
		if (none)
			drain(part);
		else
			retry_drain(part);
		return;
	}
	intake->aside = (struct pl_aside){ .run = waited_run, .done = waited_opened, .ctx = intake };
	if (intake->body == NULL) {
		intake->err = PL_ERR_EXPIRED; /* dropped at the end of its retention */
		waited_opened(&intake->aside);
		return;
	}
	pl_aside_queue(part, &intake->aside);
}

/* Opens one entry at a time, until none waits whose root is here. */
static void drain(struct pl_indicator_part *part)
{
	if (part->draining || part->stopped || part->waiting_first == NULL)
		return;
	struct intake *intake = calloc(1, sizeof(*intake));
	if (intake == NULL) {
		retry_drain(part);
		return;
	}
	part->draining = true;
	intake->part = part;
	intake->node = part->waiting_first->node;
	memcpy(intake->channel_id, part->waiting_first->channel_id, sizeof(intake->channel_id));
	intake->job = (struct pl_job){ .work = find_waiting, .done = found_waiting, .ctx = intake };
	pl_store_run(pl_core_store(part->core), &intake->job);
}

/* --- entries from the feed --- */

static void finish(struct pl_indicator_part *part, uint16_t node, uint64_t seq)
{
	if (node != pl_core_self(part->core))
		return;
	part->own_applied_seq = seq;
	pl_indicator_import_applied(part);
}

static void skip(struct intake *intake)
{
	struct pl_indicator_part *part = intake->part;
	uint16_t node = intake->node;
	uint64_t seq = intake->seq;
	free_intake(intake);
	pl_apply_skip(part->applier, node, PL_INDICATOR_LANE, seq);
	finish(part, node, seq);
}

static enum pl_err kept_work(struct pl_apply *apply, sqlite3 *db)
{
	return insert_rows(intake_of(apply), db);
}

static enum pl_err wait_work(struct pl_apply *apply, sqlite3 *db)
{
	const struct intake *intake = intake_of(apply);
	return pl_channels_wait(db, intake->node, intake->seq, intake->channel_id);
}

static void kept_dropped(struct pl_apply *apply)
{
	free_intake(intake_of(apply));
}

static void kept_done(struct pl_apply *apply)
{
	struct intake *intake = intake_of(apply);
	tell(intake);
	finish(intake->part, intake->node, intake->seq);
	free_intake(intake);
}

static void wait_done(struct pl_apply *apply)
{
	char author[PL_NODE_NAME_BYTES];
	struct intake *intake = intake_of(apply);
	struct pl_indicator_part *part = intake->part;
	PL_LOG(PL_LOG_INFO, "indicator", "indicators wait for the root of their channel",
	       PL_F_STR("author", name_of(intake->part, intake->node, author)), PL_F_U64("seq", intake->seq));
	root_came(part, intake->node, intake->channel_id); /* perhaps it came while this was being noted */
	finish(part, intake->node, intake->seq);
	free_intake(intake);
}

static void apply(struct intake *intake, enum pl_err (*work)(struct pl_apply *, sqlite3 *), void (*done)(struct pl_apply *))
{
	intake->apply = (struct pl_apply){ .node = intake->node, .lane = PL_INDICATOR_LANE, .seq = intake->seq, .work = work, .done = done,
	                                   .dropped = kept_dropped };
	pl_apply(intake->part->applier, &intake->apply);
}

static void entry_opened(struct pl_aside *aside)
{
	struct intake *intake = aside->ctx;
	if (intake->err == PL_OK) {
		apply(intake, kept_work, kept_done);
	} else if (intake->err == PL_ERR_MEMORY) {
		apply(intake, wait_work, wait_done); /* it is tried again from there */
	} else {
		log_unreadable(intake);
		skip(intake);
	}
}

static enum pl_err root_work(struct pl_job *job, sqlite3 *db)
{
	struct intake *intake = job->ctx;
	return pl_channels_root(intake->part->channels, db, intake->node, intake->channel_id, intake->root);
}

static void root_done(struct pl_job *job)
{
	char author[PL_NODE_NAME_BYTES];
	struct intake *intake = job->ctx;
	if (intake->part->stopped) {
		free_intake(intake); /* it comes again at the next start */
		return;
	}
	if (job->err == PL_OK) {
		intake->aside = (struct pl_aside){ .run = intake_run, .done = entry_opened, .ctx = intake };
		pl_aside_queue(intake->part, &intake->aside);
		return;
	}
	if (job->err != PL_ERR_UNKNOWN)
		PL_LOG(PL_LOG_ERROR, "indicator", "a channel root cannot be read from the store",
		       PL_F_STR("author", name_of(intake->part, intake->node, author)), PL_F_ERR(job->err));
	apply(intake, wait_work, wait_done);
}

void pl_indicator_entry(struct pl_indicator_part *part, const struct pl_store_entry *entry)
{
	char author[PL_NODE_NAME_BYTES];
	struct intake *intake = calloc(1, sizeof(*intake));
	uint8_t *body = malloc(entry->body_bytes > 0 ? entry->body_bytes : 1);
	uint64_t item;
	if (intake == NULL || body == NULL) {
		free(intake);
		free(body);
		PL_LOG(PL_LOG_ERROR, "indicator", "no memory to look at indicators; they come again at the next start",
		       PL_F_STR("author", name_of(part, entry->node, author)), PL_F_U64("seq", entry->seq));
		return;
	}
	memcpy(body, entry->body, entry->body_bytes);
	intake->part = part;
	intake->node = entry->node;
	intake->seq = entry->seq;
	intake->received_ms = entry->received_ms;
	intake->body = body;
	intake->body_bytes = entry->body_bytes;
	intake->err = pl_channel_peek(body, entry->body_bytes, intake->channel_id, &item);
	if (intake->err != PL_OK) {
		log_unreadable(intake);
		skip(intake);
		return;
	}
	intake->job = (struct pl_job){ .work = root_work, .done = root_done, .ctx = intake };
	pl_store_run(pl_core_store(part->core), &intake->job);
}

/* --- the part --- */

static enum pl_err count_objects(sqlite3 *db, uint64_t *objects)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT count(*) FROM indicator");
	enum pl_err err = PL_ERR_CORRUPT;
	if (select == NULL)
		return pl_store_sql_err(db);
	if (pl_db_step(select, &err) != 1)
		return err;
	*objects = pl_db_u64(select, 0);
	pl_db_reset(select);
	return PL_OK;
}

enum pl_err pl_indicator_new(struct pl_core *core, struct pl_applier *applier, struct pl_channels *channels, struct pl_indicator_part **out,
                             char *why, size_t why_max)
{
	sqlite3 *db = pl_store_db(pl_core_store(core));
	struct pl_indicator_part *part = calloc(1, sizeof(*part));
	if (part == NULL) {
		(void)snprintf(why, why_max, "no memory for the indicators");
		return PL_ERR_MEMORY;
	}
	part->core = core;
	part->applier = applier;
	part->channels = channels;
	enum pl_err err = count_objects(db, &part->counts.objects);
	if (err == PL_OK)
		err = pl_channels_each_waiting(db, root_came, part);
	if (err != PL_OK) {
		(void)snprintf(why, why_max, "the indicators in the store cannot be read: %s", pl_err_str(err));
		pl_indicator_free(part);
		return err;
	}
	uv_timer_init(pl_core_loop(core), &part->retry);
	part->retry.data = part;
	pl_channels_listen(channels, root_came, part);
	*out = part;
	return PL_OK;
}

void pl_indicator_start(struct pl_indicator_part *part)
{
	part->started = true;
	drain(part);
}

void pl_indicator_stop(struct pl_indicator_part *part)
{
	if (part->stopped)
		return;
	part->stopped = true;
	uv_close((uv_handle_t *)&part->retry, NULL);
	pl_indicator_import_stop(part);
}

void pl_indicator_free(struct pl_indicator_part *part)
{
	if (part == NULL) /* it was never made */
		return;
	while (part->waiting_first != NULL) {
		struct pl_waiting_channel *first = part->waiting_first;
		part->waiting_first = first->next;
		free(first);
	}
	pl_indicator_import_free(part);
	free(part);
}

void pl_indicator_counts(const struct pl_indicator_part *part, struct pl_indicator_counts *out)
{
	*out = part->counts;
}
