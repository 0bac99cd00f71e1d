#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyfile.h"
#include "node/api/api.h"
#include "node/indicator/indicator_impl.h"
#include "node/log.h"
#include "node/store/db.h"

struct pl_intake_row {
	uint16_t idx;
	const char *id, *type, *modified;
	int64_t modified_us;
	bool ahead;
	size_t bytes;
	uint8_t sha256[32];
	const uint8_t *name, *object; /* sealed */
	size_t name_bytes, object_bytes;
	uint8_t *memory; /* of all the pointers */
};

void pl_intake_free(struct pl_intake *intake)
{
	for (uint16_t i = 0; i < intake->rows_count; i++)
		free(intake->rows[i].memory);
	free(intake->rows);
	free(intake->body);
	sodium_memzero(intake->root, sizeof(intake->root));
	free(intake);
}

static uint8_t *put_string(uint8_t *at, const char *text, const char **out)
{
	size_t bytes = strlen(text) + 1;
	*out = memcpy(at, text, bytes);
	return at + bytes;
}

static bool make_row(const uint8_t store_key[32], const struct pl_stix_object *object, uint16_t idx, struct pl_intake_row *row)
{
	size_t name_bytes = strlen(object->name);
	*row = (struct pl_intake_row){ .idx = idx, .modified_us = object->modified_us, .bytes = object->count };
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
static enum pl_err check_objects(struct pl_intake *intake, const struct pl_indicators *indicators, struct pl_stix_object *object)
{
	char author[PL_NODE_NAME_BYTES], reason[PL_STIX_REASON_BYTES];
	struct pl_header header;
	enum pl_err read = pl_header_decode(intake->header, &header);
	if (read != PL_OK)
		return read;
	for (uint16_t i = 0; i < indicators->count; i++) {
		const struct pl_text *text = &indicators->objects[i];
		enum pl_err err = pl_stix_object_read((const uint8_t *)text->chars, text->bytes, object, reason);
		if (err == PL_ERR_MEMORY)
			return err;
		if (err != PL_OK || object->tlp > indicators->tlp) {
			PL_LOG(PL_LOG_WARNING, "indicator", "an object of another node breaks a rule and is left out",
			       PL_F_STR("author", pl_core_node_name(intake->part->core, intake->node, author)), PL_F_U64("seq", intake->seq),
			       PL_F_U64("place", i), PL_F_STR("id", object->id),
			       PL_F_STR("reason", err != PL_OK ? reason : "is marked with a narrower TLP than it is shared at"));
			continue;
		}
		if (!make_row(pl_core_keys(intake->part->core)->store_key, object, i, &intake->rows[intake->rows_count]))
			return PL_ERR_MEMORY;
		struct pl_intake_row *row = &intake->rows[intake->rows_count++];
		row->ahead = pl_stix_is_ahead(object, header.time_ms);
		if (row->ahead)
			PL_LOG(PL_LOG_WARNING, "indicator", "an object of another node says that it was modified over a day after its entry was made",
			       PL_F_STR("author", pl_core_node_name(intake->part->core, intake->node, author)), PL_F_U64("seq", intake->seq),
			       PL_F_STR("id", object->id), PL_F_STR("modified", object->modified));
	}
	return PL_OK;
}

void pl_intake_run(struct pl_aside *aside)
{
	struct pl_intake *intake = aside->ctx;
	const struct pl_envelope_ctx ctx = pl_charter_envelope_ctx(pl_core_charter(intake->part->core), intake->node, PL_KIND_INDICATORS);
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

static enum pl_err insert_object(const struct pl_intake *intake, sqlite3 *db, const struct pl_intake_row *row, uint64_t *n, bool *is_new)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT n FROM indicator WHERE sha256 = ?1");
	sqlite3_stmt *insert =
		pl_store_prepare(db, "INSERT INTO indicator (stix_id, type, modified, modified_us, tlp, received_ms, bytes, sha256, name,"
		                     " object, ahead) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)");
	sqlite3_stmt *own = pl_store_prepare(db, "INSERT OR IGNORE INTO indicator_owner (stix_id, node) VALUES (?1, ?2)");
	enum pl_err err = PL_OK;
	if (select == NULL || insert == NULL || own == NULL)
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
	sqlite3_bind_int(insert, 11, row->ahead);
	err = pl_db_run(insert);
	if (err != PL_OK)
		return err;
	*n = (uint64_t)sqlite3_last_insert_rowid(db);
	sqlite3_bind_text(own, 1, row->id, -1, SQLITE_STATIC);
	sqlite3_bind_int(own, 2, intake->node);
	return pl_db_run(own);
}

/* The newest entry of a provider counts; of the TLPs of several providers the narrowest does. */
static enum pl_err insert_provider(const struct pl_intake *intake, sqlite3 *db, const struct pl_intake_row *row, uint64_t n, bool is_new)
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

enum pl_err pl_intake_insert(struct pl_intake *intake, sqlite3 *db)
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

void pl_intake_tell(const struct pl_intake *intake)
{
	char author[PL_NODE_NAME_BYTES];
	struct pl_indicator_part *part = intake->part;
	const struct pl_charter *charter = pl_core_charter(part->core);
	uint16_t rejected = (uint16_t)(intake->objects_count - intake->rows_count);
	part->counts.objects += intake->added;
	part->counts.rejected += rejected;
	PL_LOG(PL_LOG_INFO, "indicator", "indicators taken in", PL_F_STR("author", pl_core_node_name(intake->part->core, intake->node, author)),
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

void pl_intake_log_unreadable(const struct pl_intake *intake)
{
	char author[PL_NODE_NAME_BYTES];
	PL_LOG(PL_LOG_WARNING, "indicator", "indicators of another node cannot be read and are left out",
	       PL_F_STR("author", pl_core_node_name(intake->part->core, intake->node, author)), PL_F_U64("seq", intake->seq),
	       PL_F_ERR(intake->err));
}
