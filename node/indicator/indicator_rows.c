#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/keyfile.h"
#include "node/api/api.h"
#include "node/indicator/indicator_rows.h"
#include "node/log.h"
#include "node/store/db.h"

#define FROM_ALL "SELECT " PL_INDICATOR_COLUMNS " FROM indicator AS i WHERE i.n "
#define FROM_TYPE "SELECT " PL_INDICATOR_COLUMNS " FROM indicator AS i INDEXED BY indicator_type WHERE i.type = ?3 AND i.n "
#define FROM_AUTHOR \
	"SELECT " PL_INDICATOR_COLUMNS " FROM indicator_provider AS p CROSS JOIN indicator AS i ON i.n = p.n WHERE p.node = ?4 AND p.n "
#define NEWEST_FIRST(n) "< ?1 ORDER BY " n " DESC LIMIT ?2"

sqlite3_stmt *pl_indicator_select(sqlite3 *db, const struct pl_indicator_filter *filter, uint64_t from, unsigned rows)
{
	static const char *const statements[3] = { FROM_ALL NEWEST_FIRST("i.n"), FROM_TYPE NEWEST_FIRST("i.n"), FROM_AUTHOR NEWEST_FIRST("p.n") };
	int by = filter->author != PL_NODE_NONE ? 2 : filter->type[0] != '\0' ? 1 : 0;
	sqlite3_stmt *select = pl_store_prepare(db, statements[by]);
	if (select == NULL)
		return NULL;
	pl_db_bind_u64(select, 1, from);
	pl_db_bind_u64(select, 2, rows);
	if (by == 1)
		sqlite3_bind_text(select, 3, filter->type, -1, SQLITE_STATIC);
	if (by == 2)
		sqlite3_bind_int(select, 4, filter->author);
	return select;
}

sqlite3_stmt *pl_indicator_select_by_key(sqlite3 *db, const struct pl_indicator_filter *filter, const struct pl_indicator_key *after, unsigned rows)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT " PL_INDICATOR_COLUMNS " FROM indicator AS i WHERE i.stix_id < ?1"
	                                            " AND (i.stix_id, i.modified_us, i.sha256) > (?2, ?3, ?4)"
	                                            " ORDER BY i.stix_id, i.modified_us, i.sha256 LIMIT ?5");
	char first[PL_STIX_TYPE_BYTES_MAX + 3] = "", end[PL_STIX_TYPE_BYTES_MAX + 3] = "~";
	if (select == NULL)
		return NULL;
	if (filter->type[0] != '\0') { /* an id is its type, "--" and a UUID */
		(void)snprintf(first, sizeof(first), "%s--", filter->type);
		(void)snprintf(end, sizeof(end), "%s-.", filter->type);
	}
	sqlite3_bind_text(select, 1, end, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(select, 2, after->stix_id[0] != '\0' ? after->stix_id : first, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(select, 3, after->modified_us);
	pl_db_bind_blob(select, 4, after->sha256, sizeof(after->sha256));
	pl_db_bind_u64(select, 5, rows);
	return select;
}

static const char *text_of(sqlite3_stmt *row, enum pl_indicator_column column)
{
	const char *text = (const char *)sqlite3_column_text(row, column);
	return text != NULL ? text : "";
}

enum pl_err pl_indicator_key_take(sqlite3_stmt *row, struct pl_indicator_key *out)
{
	(void)snprintf(out->stix_id, sizeof(out->stix_id), "%s", text_of(row, PL_COLUMN_ID));
	out->modified_us = sqlite3_column_int64(row, PL_COLUMN_MODIFIED_US);
	return pl_db_take(row, PL_COLUMN_SHA256, out->sha256, sizeof(out->sha256));
}

enum pl_err pl_indicator_open(const struct pl_indicator_part *part, sqlite3_stmt *row, enum pl_indicator_column column, uint8_t **out,
                              size_t *count)
{
	const char *name = column == PL_COLUMN_NAME ? PL_INDICATOR_NAME : PL_INDICATOR_OBJECT;
	uint8_t sha256[32];
	enum pl_err err = pl_db_take(row, PL_COLUMN_SHA256, sha256, sizeof(sha256));
	if (err != PL_OK)
		return err;
	const uint8_t *sealed = sqlite3_column_blob(row, column);
	size_t sealed_bytes = (size_t)sqlite3_column_bytes(row, column);
	if (sealed == NULL || sealed_bytes < PL_COLUMN_OVERHEAD)
		return PL_ERR_CORRUPT;
	uint8_t *plain = malloc(sealed_bytes - PL_COLUMN_OVERHEAD + 1);
	if (plain == NULL)
		return PL_ERR_MEMORY;
	err = pl_column_open(pl_core_keys(part->core)->store_key, PL_INDICATOR_TABLE, name, sha256, sizeof(sha256), sealed, sealed_bytes,
	                     plain);
	if (err != PL_OK) {
		free(plain);
		return PL_ERR_CORRUPT;
	}
	*count = sealed_bytes - PL_COLUMN_OVERHEAD;
	plain[*count] = '\0';
	*out = plain;
	return PL_OK;
}

enum pl_err pl_indicator_is_by_owner(const struct pl_indicator_part *part, sqlite3 *db, sqlite3_stmt *row, uint16_t *owner, bool *yes)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT o.node, p.node FROM indicator_owner AS o JOIN indicator_provider AS p ON p.n = ?2"
	                                            " WHERE o.stix_id = ?1");
	const struct pl_charter *charter = pl_core_charter(part->core);
	enum pl_err err = PL_OK;
	if (select == NULL)
		return pl_store_sql_err(db);
	*owner = PL_NODE_NONE;
	*yes = false;
	sqlite3_bind_text(select, 1, text_of(row, PL_COLUMN_ID), -1, SQLITE_TRANSIENT);
	pl_db_bind_u64(select, 2, pl_db_u64(row, PL_COLUMN_N));
	while (!*yes && pl_db_step(select, &err) == 1) {
		uint64_t first = pl_db_u64(select, 0), provider = pl_db_u64(select, 1);
		if (first >= charter->nodes_count || provider >= charter->nodes_count)
			continue;
		*owner = (uint16_t)first;
		*yes = charter->nodes[first].member == charter->nodes[provider].member;
	}
	if (*yes)
		pl_db_reset(select);
	return err;
}

enum pl_err pl_indicator_is_shared_by(sqlite3 *db, sqlite3_stmt *row, uint16_t node, bool *yes)
{
	sqlite3_stmt *select = pl_store_prepare(db, "SELECT 1 FROM indicator_provider WHERE n = ?1 AND node = ?2");
	enum pl_err err = PL_OK;
	if (select == NULL)
		return pl_store_sql_err(db);
	pl_db_bind_u64(select, 1, pl_db_u64(row, PL_COLUMN_N));
	sqlite3_bind_int(select, 2, node);
	*yes = pl_db_step(select, &err) == 1;
	pl_db_reset(select);
	return err;
}

enum pl_err pl_indicator_matches(const struct pl_indicator_part *part, const struct pl_indicator_filter *filter, sqlite3_stmt *row,
                                 bool *yes)
{
	*yes = (filter->type[0] == '\0' || strcmp(text_of(row, PL_COLUMN_TYPE), filter->type) == 0) &&
	       (filter->tlp == 0 || pl_db_u64(row, PL_COLUMN_TLP) == filter->tlp);
	if (!*yes || filter->query[0] == '\0')
		return PL_OK;
	*yes = false;
	for (enum pl_indicator_column column = PL_COLUMN_NAME; column <= PL_COLUMN_OBJECT && !*yes; column++) {
		uint8_t *text;
		size_t count;
		enum pl_err err = pl_indicator_open(part, row, column, &text, &count);
		if (err != PL_OK)
			return err;
		*yes = pl_api_contains((const char *)text, count, filter->query);
		free(text);
	}
	return PL_OK;
}

/* {"author", "ref", "tlp", "received"} of everyone who shared it, the one that was first here in front. */
static enum pl_err providers_of(const struct pl_indicator_part *part, sqlite3 *db, uint64_t n, json_t *out)
{
	sqlite3_stmt *select =
		pl_store_prepare(db, "SELECT node, seq, tlp, received_ms FROM indicator_provider WHERE n = ?1 ORDER BY received_ms, node");
	const struct pl_charter *charter = pl_core_charter(part->core);
	enum pl_err err = PL_OK;
	if (select == NULL)
		return pl_store_sql_err(db);
	pl_db_bind_u64(select, 1, n);
	while (pl_db_step(select, &err) == 1) {
		uint16_t node = (uint16_t)pl_db_u64(select, 0);
		json_t *provider = json_pack("{s:o, s:o, s:s, s:o}", "author", pl_api_node(charter, node), "ref",
		                             pl_api_ref(charter, node, PL_INDICATOR_LANE, pl_db_u64(select, 1)), "tlp",
		                             pl_tlp_name((unsigned)pl_db_u64(select, 2)), "received", pl_api_time(pl_db_u64(select, 3)));
		if (json_array_append_new(out, provider) != 0) {
			pl_db_reset(select);
			return PL_ERR_MEMORY;
		}
	}
	return err;
}

enum pl_err pl_indicator_describe(const struct pl_indicator_part *part, sqlite3 *db, sqlite3_stmt *row, json_t **out)
{
	uint8_t *name = NULL, sha256[32];
	size_t name_bytes;
	uint16_t owner = PL_NODE_NONE;
	bool by_owner = false;
	json_t *providers = json_array();
	enum pl_err err = providers_of(part, db, pl_db_u64(row, PL_COLUMN_N), providers);
	if (err == PL_OK)
		err = pl_indicator_is_by_owner(part, db, row, &owner, &by_owner);
	if (err == PL_OK)
		err = pl_db_take(row, PL_COLUMN_SHA256, sha256, sizeof(sha256));
	if (err == PL_OK)
		err = pl_indicator_open(part, row, PL_COLUMN_NAME, &name, &name_bytes);
	if (err != PL_OK) {
		json_decref(providers);
		return err;
	}
	const char *modified = text_of(row, PL_COLUMN_MODIFIED);
	const json_t *first = json_array_get(providers, 0);
	json_t *first_author = owner == PL_NODE_NONE ? json_null() : pl_api_node(pl_core_charter(part->core), owner);
	*out = json_pack("{s:s, s:s, s:s?, s:b, s:s, s:O?, s:o, s:b, s:s, s:O?, s:o, s:I, s:o, s:o}", "id", text_of(row, PL_COLUMN_ID), "type",
	                 text_of(row, PL_COLUMN_TYPE), "modified", modified[0] != '\0' ? modified : NULL, "ahead",
	                 (int)pl_db_u64(row, PL_COLUMN_AHEAD), "name", (const char *)name, "author",
	                 json_object_get(first, "author"), "first_author", first_author, "another_version", !by_owner, "tlp", pl_tlp_name((unsigned)pl_db_u64(row, PL_COLUMN_TLP)), "ref",
	                 json_object_get(first, "ref"), "received", pl_api_time(pl_db_u64(row, PL_COLUMN_RECEIVED)), "bytes",
	                 (json_int_t)pl_db_u64(row, PL_COLUMN_BYTES), "sha256", pl_api_hex(sha256, sizeof(sha256)), "providers", providers);
	free(name);
	return *out != NULL ? PL_OK : PL_ERR_MEMORY;
}

void pl_indicator_log_damaged(sqlite3_stmt *row)
{
	PL_LOG(PL_LOG_ERROR, "indicator", "an object in the store is damaged and is left out", PL_F_STR("id", text_of(row, PL_COLUMN_ID)));
}
