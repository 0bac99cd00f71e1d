#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/api/api.h"
#include "node/app_parts.h"
#include "node/proof.h"
#include "node/store/db.h"

struct disclosure {
	struct pl_job job;
	struct pl_app *app;
	struct pl_request *request;
	char name[96]; /* as the operator gave it */
	struct pl_message_key key;
	struct pl_message_evidence evidence;
	uint8_t *body;
	size_t body_bytes;
	uint8_t header[PL_ENTRY_HEADER_BYTES];
	size_t preceding_count, following_count;
	uint8_t preceding[PL_PROOF_NEIGHBOURS_MAX][PL_ENTRY_HEADER_BYTES], following[PL_PROOF_NEIGHBOURS_MAX][PL_ENTRY_HEADER_BYTES];
};

static enum pl_err read_entry(struct disclosure *disclosure, sqlite3 *db)
{
	struct pl_stored_entry entry;
	enum pl_err err = pl_store_read(db, disclosure->evidence.node, disclosure->evidence.lane, disclosure->evidence.seq, &entry);
	if (err != PL_OK)
		return err;
	memcpy(disclosure->header, entry.header, sizeof(disclosure->header));
	return pl_stored_body(&entry, &disclosure->body, &disclosure->body_bytes);
}

static enum pl_err read_neighbours(const struct disclosure *disclosure, sqlite3 *db, uint64_t from, uint64_t to,
                                   uint8_t out[PL_PROOF_NEIGHBOURS_MAX][PL_ENTRY_HEADER_BYTES], size_t *count)
{
	struct pl_stored_entry entry;
	enum pl_err err = PL_OK;
	*count = 0;
	for (uint64_t seq = from; seq <= to && *count < PL_PROOF_NEIGHBOURS_MAX; seq++) {
		err = pl_store_read(db, disclosure->evidence.node, disclosure->evidence.lane, seq, &entry);
		if (err != PL_OK)
			break;
		memcpy(out[(*count)++], entry.header, PL_ENTRY_HEADER_BYTES);
	}
	return err == PL_ERR_UNKNOWN ? PL_OK : err; /* the lane ends there */
}

static enum pl_err disclose_work(struct pl_job *job, sqlite3 *db)
{
	struct disclosure *disclosure = job->ctx;
	enum pl_err err = pl_hotline_evidence(disclosure->app->hotline, db, &disclosure->key, &disclosure->evidence);
	if (err == PL_OK)
		err = read_entry(disclosure, db);
	uint64_t seq = disclosure->evidence.seq;
	if (err == PL_OK)
		err = read_neighbours(disclosure, db, seq > PL_PROOF_NEIGHBOURS_MAX ? seq - PL_PROOF_NEIGHBOURS_MAX : 1, seq - 1,
		                      disclosure->preceding, &disclosure->preceding_count);
	if (err == PL_OK)
		err = read_neighbours(disclosure, db, seq + 1, seq + PL_PROOF_NEIGHBOURS_MAX, disclosure->following,
		                      &disclosure->following_count);
	return err;
}

static void reply_proof(struct disclosure *disclosure)
{
	struct pl_core *core = disclosure->app->core;
	struct pl_proof proof = { .charter = pl_core_charter_document(core), .header = disclosure->header,
	                          .body = { disclosure->body, disclosure->body_bytes }, .cek = disclosure->evidence.cek,
	                          .preceding_count = disclosure->preceding_count, .following_count = disclosure->following_count };
	for (size_t i = 0; i < proof.preceding_count; i++)
		proof.preceding[i] = disclosure->preceding[i];
	for (size_t i = 0; i < proof.following_count; i++)
		proof.following[i] = disclosure->following[i];
	size_t max = PL_PROOF_BYTES_MAX, count;
	uint8_t *bytes = malloc(max);
	enum pl_err err = bytes != NULL ? pl_proof_write(&proof, bytes, max, &count) : PL_ERR_MEMORY;
	if (err != PL_OK) {
		free(bytes);
		pl_api_reply_failed(disclosure->request, err, "the proof cannot be made");
		return;
	}
	char node[PL_NODE_NAME_BYTES], file_name[64];
	pl_charter_node_name(pl_core_charter(core), disclosure->evidence.node, node);
	(void)snprintf(file_name, sizeof(file_name), "%s-%u-%llu.proof", node, disclosure->evidence.lane,
	               (unsigned long long)disclosure->evidence.seq);
	pl_reply_bytes(disclosure->request, 200, PL_PROOF_MEDIA_TYPE, file_name, bytes, count);
}

static void disclose_done(struct pl_job *job)
{
	struct disclosure *disclosure = job->ctx;
	enum pl_err err = job->err;
	if (err == PL_OK && disclosure->body != NULL)
		reply_proof(disclosure);
	else if (err == PL_OK)
		pl_reply_error(disclosure->request, 410, "body_dropped", NULL, "the body of %s is no longer kept here", disclosure->name);
	else if (err == PL_ERR_UNKNOWN || err == PL_ERR_VERSION || err == PL_ERR_REFUSED || err == PL_ERR_EXISTS || err == PL_ERR_STATE)
		pl_hotline_reply_missing(disclosure->request, err, disclosure->name);
	else
		pl_api_reply_failed(disclosure->request, err, "the proof cannot be made");
	sodium_memzero(&disclosure->evidence, sizeof(disclosure->evidence));
	free(disclosure->body);
	free(disclosure);
}

static void get_proof(struct pl_request *request, void *ctx)
{
	struct pl_app *app = ctx;
	const char *name = pl_request_param(request, "id");
	struct pl_message_key key;
	enum pl_err err = pl_message_key_parse(app->hotline, name, &key);
	if (err != PL_OK) {
		pl_hotline_reply_missing(request, err, name);
		return;
	}
	struct disclosure *disclosure = calloc(1, sizeof(*disclosure));
	if (disclosure == NULL) {
		pl_api_reply_failed(request, PL_ERR_MEMORY, "the proof cannot be made");
		return;
	}
	disclosure->app = app;
	disclosure->request = request;
	disclosure->key = key;
	(void)snprintf(disclosure->name, sizeof(disclosure->name), "%s", name);
	disclosure->job = (struct pl_job){ .work = disclose_work, .done = disclose_done, .ctx = disclosure };
	pl_store_run(pl_core_store(app->core), &disclosure->job);
}

enum pl_err pl_proof_add_routes(struct pl_app *app, struct pl_http *http)
{
	static const struct pl_route routes[] = { { "GET", "/v1/messages/{id}/proof", 0, get_proof } };
	return pl_http_add_routes(http, routes, sizeof(routes) / sizeof(routes[0]), app);
}
