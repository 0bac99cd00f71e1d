/* The loop's side of the store: it queues work and reports what is done. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "node/store/store_impl.h"

/* Loop thread, or nothing runs yet. */
static bool may_call(const struct pl_store *store)
{
	return !store->is_started || pl_thread_is(store->loop_thread);
}

/* Wakes the worker; with the mutex held. is_urgent cuts a checkpoint short: what it copied is copied again later. */
static void wake(struct pl_store *store, bool is_urgent)
{
	if (is_urgent && store->may_interrupt)
		sqlite3_interrupt(store->db);
	if (store->is_sleeping)
		uv_cond_signal(&store->cond);
}

static size_t pending_bytes(const struct pl_pending *pending)
{
	return sizeof(*pending) + pending->entry.body_bytes;
}

/* An urgent entry may not overtake its own lane: what waits of it in `normal` goes along, before it. */
static void take_lane_along(struct pl_store *store, uint16_t node, uint8_t lane)
{
	struct pl_pending_queue kept = {0};
	struct pl_pending *pending;

	while (store->normal.first) {
		PL_QUEUE_POP(&store->normal, pending);
		if (pending->entry.node == node && pending->entry.lane == lane)
			PL_QUEUE_PUSH(&store->urgent, pending);
		else
			PL_QUEUE_PUSH(&kept, pending);
	}
	store->normal = kept;
	store->urgent_count[node][lane] += store->normal_count[node][lane];
	store->normal_count[node][lane] = 0;
}

struct pl_store_entry pl_store_entry_of(const struct pl_effect *fx, uint64_t received_ms)
{
	struct pl_store_entry entry = { .node = fx->store.node, .lane = fx->store.lane, .urgent = fx->store.urgent, .seq = fx->store.seq,
	                                .gseq = fx->store.gseq, .received_ms = received_ms, .body = fx->store.body,
	                                .body_bytes = fx->store.body_bytes };

	memcpy(entry.id, fx->store.id, PL_ID_BYTES);
	memcpy(entry.header, fx->store.header, PL_ENTRY_HEADER_BYTES);
	return entry;
}

enum pl_err pl_store_append(struct pl_store *store, const struct pl_store_entry *entry)
{
	struct pl_pending *pending;
	const uint8_t *author = pl_header_author(entry->header);
	uint64_t *head;

	assert(may_call(store));
	assert(entry->node < PL_NODES_MAX && entry->lane < PL_LANES && entry->body_bytes <= PL_BODY_BYTES_MAX);
	if (store->refuses)
		return PL_ERR_STATE;
	head = &store->head[entry->node][entry->lane];
	if (entry->seq != *head + 1)
		return entry->seq <= *head ? PL_ERR_EXISTS : PL_ERR_CHAIN;
	if (store->node_known[entry->node] && memcmp(store->node_ids[entry->node], author, PL_NODE_ID_BYTES) != 0)
		return PL_ERR_REFUSED;

	pending = malloc(sizeof(*pending) + entry->body_bytes);
	if (!pending)
		return PL_ERR_MEMORY;
	pending->is_own = memcmp(author, store->node_id, PL_NODE_ID_BYTES) == 0;
	pending->entry = *entry;
	pending->entry.body = pending->body;
	if (entry->body_bytes)
		memcpy(pending->body, entry->body, entry->body_bytes);

	memcpy(store->node_ids[entry->node], author, PL_NODE_ID_BYTES);
	store->node_known[entry->node] = true;
	*head = entry->seq;
	store->queue_bytes += pending_bytes(pending);

	uv_mutex_lock(&store->mutex);
	if (entry->urgent) {
		if (store->normal_count[entry->node][entry->lane])
			take_lane_along(store, entry->node, entry->lane);
		PL_QUEUE_PUSH(&store->urgent, pending);
		store->urgent_count[entry->node][entry->lane]++;
	} else {
		PL_QUEUE_PUSH(&store->normal, pending);
		store->normal_count[entry->node][entry->lane]++;
	}
	wake(store, entry->urgent);
	uv_mutex_unlock(&store->mutex);
	return PL_OK;
}

size_t pl_store_queue_bytes(const struct pl_store *store)
{
	return store->queue_bytes;
}

enum pl_err pl_store_load(struct pl_store *store, uint32_t token, uint16_t node, uint8_t lane, uint64_t from, uint64_t to,
                          uint32_t max_bytes)
{
	struct pl_load *load = store->is_closing ? NULL : calloc(1, sizeof(*load));

	assert(may_call(store));
	if (!load)
		return store->is_closing ? PL_ERR_STATE : PL_ERR_MEMORY;
	load->token = token;
	load->node = node;
	load->lane = lane;
	load->from = from;
	load->to = to;
	load->max_bytes = max_bytes;
	uv_mutex_lock(&store->mutex);
	PL_QUEUE_PUSH(&store->loads, load);
	wake(store, false);
	uv_mutex_unlock(&store->mutex);
	return PL_OK;
}

bool pl_loop_load_if_idle(struct pl_store *store, struct pl_load *load)
{
	bool is_idle;

	uv_mutex_lock(&store->mutex);
	is_idle = store->is_sleeping && (store->state == PL_STORE_RUNNING || store->state == PL_STORE_WAITING) && !store->urgent.first &&
	          !store->normal.first && !store->jobs_urgent.first && !store->jobs.first && !store->loads.first;
	if (is_idle) {
		PL_QUEUE_PUSH(&store->loads, load);
		wake(store, false);
	}
	uv_mutex_unlock(&store->mutex);
	return is_idle;
}

void pl_store_note_ack(struct pl_store *store, uint16_t peer, uint16_t node, uint8_t lane, uint64_t seq)
{
	struct pl_ack ack = {.peer = peer, .node = node, .lane = lane, .seq = seq};

	assert(may_call(store));
	uv_mutex_lock(&store->mutex);
	if (!store->acks.count)
		wake(store, false); /* to set its alarm */
	pl_store_keep_ack(store, &ack);
	uv_mutex_unlock(&store->mutex);
}

enum pl_err pl_store_add_fork(struct pl_store *store, uint16_t node, const uint8_t header_a[PL_ENTRY_HEADER_BYTES],
                               const uint8_t header_b[PL_ENTRY_HEADER_BYTES])
{
	struct pl_fork *fork = malloc(sizeof(*fork));

	assert(may_call(store));
	if (!fork)
		return PL_ERR_MEMORY;
	fork->node = node;
	memcpy(fork->header_a, header_a, PL_ENTRY_HEADER_BYTES);
	memcpy(fork->header_b, header_b, PL_ENTRY_HEADER_BYTES);
	uv_mutex_lock(&store->mutex);
	PL_QUEUE_PUSH(&store->forks, fork);
	wake(store, false);
	uv_mutex_unlock(&store->mutex);
	return PL_OK;
}

void pl_store_freeze_feed(struct pl_store *store, const char *why)
{
	assert(may_call(store));
	uv_mutex_lock(&store->mutex);
	snprintf(store->freeze_why, sizeof(store->freeze_why), "%s", why);
	wake(store, false);
	uv_mutex_unlock(&store->mutex);
}

void pl_store_run(struct pl_store *store, struct pl_job *job)
{
	assert(may_call(store));
	job->err = PL_OK;
	job->why[0] = 0;
	uv_mutex_lock(&store->mutex);
	if (store->is_closing) {
		job->err = PL_ERR_STATE;
		PL_QUEUE_PUSH(&store->done_jobs, job);
	} else if (job->urgent) {
		PL_QUEUE_PUSH(&store->jobs_urgent, job);
	} else {
		PL_QUEUE_PUSH(&store->jobs, job);
	}
	wake(store, job->urgent);
	uv_mutex_unlock(&store->mutex);
}

static uint64_t file_bytes(const char *path, const char *suffix)
{
	char name[PATH_MAX + 8];
	struct stat st;

	snprintf(name, sizeof(name), "%s%s", path, suffix);
	return stat(name, &st) == 0 ? (uint64_t)st.st_size : 0;
}

void pl_store_stats(struct pl_store *store, struct pl_store_stats *out)
{
	assert(may_call(store));
	uv_mutex_lock(&store->mutex);
	*out = store->stats;
	uv_mutex_unlock(&store->mutex);
	pl_scrub_stats(store->scrub, out);
	out->file_bytes = file_bytes(store->path, "") + file_bytes(store->path, "-wal");
}

/* --- reports --- */

static void report_stored(struct pl_store *store, struct pl_pending_queue *entries)
{
	struct pl_pending *pending, *first;

	while ((first = entries->first)) {
		size_t count = 0;

		for (pending = first; pending && count < PL_STORED_AT_ONCE; pending = pending->next) {
			store->at_once[count++] = pending->entry;
			store->queue_bytes -= pending_bytes(pending);
		}
		store->callbacks.stored(store->callbacks.ctx, store->at_once, count);
		while (count-- > 0) {
			PL_QUEUE_POP(entries, pending);
			free(pending);
		}
	}
}

/* Lanes go back to where the store stands. */
static void drop(struct pl_store *store, struct pl_pending_queue *entries)
{
	struct pl_pending *pending;

	while (entries->first) {
		uint64_t *head;

		PL_QUEUE_POP(entries, pending);
		head = &store->head[pending->entry.node][pending->entry.lane];
		if (*head >= pending->entry.seq)
			*head = pending->entry.seq - 1;
		store->queue_bytes -= pending_bytes(pending);
		free(pending);
	}
}

static void report_loaded(struct pl_store *store, struct pl_load_queue *loads)
{
	struct pl_load *load;

	while (loads->first) {
		PL_QUEUE_POP(loads, load);
		if (load->damaged_seq && store->callbacks.damaged)
			store->callbacks.damaged(store->callbacks.ctx, load->node, load->lane, load->damaged_seq, load->damaged_id);
		if (load->is_report)
			;
		else if (load->is_scrub)
			pl_scrub_loaded(store->scrub, load);
		else
			store->callbacks.loaded(store->callbacks.ctx, load->token, load->err, load->entries, load->count);
		pl_load_free(load);
	}
}

/* A failure: everything that waits is void, also what was appended before the loop heard of it. */
static void report_failed(struct pl_store *store)
{
	struct pl_pending_queue all = {0};
	char why[sizeof(store->failure_why)];
	enum pl_err err;

	uv_mutex_lock(&store->mutex);
	PL_QUEUE_APPEND(&all, &store->dropped);
	PL_QUEUE_APPEND(&all, &store->urgent);
	PL_QUEUE_APPEND(&all, &store->normal);
	memset(store->normal_count, 0, sizeof(store->normal_count));
	memset(store->urgent_count, 0, sizeof(store->urgent_count));
	err = store->failure;
	memcpy(why, store->failure_why, sizeof(why));
	if (store->state == PL_STORE_BROKEN)
		store->state = PL_STORE_WAITING;
	store->has_failed = false;
	wake(store, false);
	uv_mutex_unlock(&store->mutex);

	drop(store, &all);
	store->refuses = true;
	store->callbacks.failed(store->callbacks.ctx, err, why);
}

static void report(void *ctx)
{
	struct pl_store *store = ctx;
	struct pl_pending_queue entries;
	struct pl_job_queue jobs;
	struct pl_load_queue loads;
	struct pl_job *job;
	bool has_failed, is_ready;

	uv_mutex_lock(&store->mutex);
	entries = store->done_entries;
	jobs = store->done_jobs;
	loads = store->done_loads;
	has_failed = store->has_failed;
	is_ready = store->is_ready;
	store->done_entries = (struct pl_pending_queue){0};
	store->done_jobs = (struct pl_job_queue){0};
	store->done_loads = (struct pl_load_queue){0};
	store->is_ready = false;
	uv_mutex_unlock(&store->mutex);

	report_stored(store, &entries);
	while (jobs.first) {
		PL_QUEUE_POP(&jobs, job);
		job->done(job);
	}
	report_loaded(store, &loads);
	if (is_ready) {
		store->refuses = false;
		store->callbacks.ready(store->callbacks.ctx);
	}
	if (has_failed)
		report_failed(store);
}

/* --- start and close --- */

enum pl_err pl_store_start(struct pl_store *store, uv_loop_t *loop, const struct pl_store_callbacks *callbacks)
{
	assert(!store->is_started);
	store->callbacks = *callbacks;
	enum pl_err err = pl_waker_new(loop, report, store, &store->waker);
	if (err != PL_OK)
		return err;
	store->loop = loop;
	store->loop_thread = uv_thread_self();
	if (uv_thread_create(&store->worker, pl_store_worker, store) != 0) {
		pl_waker_close(store->waker);
		return PL_ERR_MEMORY;
	}
	store->is_started = true;
	pl_sql_give_away(store);
	return PL_OK;
}

static bool has_reports(struct pl_store *store)
{
	bool has;

	uv_mutex_lock(&store->mutex);
	has = store->done_entries.first || store->done_jobs.first || store->done_loads.first || store->has_failed || store->is_ready;
	uv_mutex_unlock(&store->mutex);
	return has;
}

static void stop_worker(struct pl_store *store)
{
	uv_mutex_lock(&store->mutex);
	store->is_stopping = true;
	wake(store, false);
	uv_mutex_unlock(&store->mutex);
	uv_thread_join(&store->worker);
	pl_sql_take_back(store);
	store->is_closing = store->refuses = true;
	while (has_reports(store))
		report(store);
	pl_scrub_stop(store->scrub);
	pl_waker_close(store->waker);
}

void pl_store_close(struct pl_store *store)
{
	struct pl_fork *fork;
	struct pl_load *load;

	if (!store)
		return;
	assert(may_call(store));
	if (store->is_started)
		stop_worker(store);
	/* After a failure, or if the worker never ran, something may be left. */
	drop(store, &store->urgent);
	drop(store, &store->normal);
	while (store->loads.first) {
		PL_QUEUE_POP(&store->loads, load);
		pl_load_free(load);
	}
	while (store->forks.first) {
		PL_QUEUE_POP(&store->forks, fork);
		free(fork);
	}
	if (store->state == PL_STORE_RUNNING)
		sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	pl_store_free(store);
}
