#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "node/epoch/epoch_impl.h"

#define INLINE_SLOTS_MAX 4   /* a millisecond at most on the loop's thread; more goes to libuv's threads */
#define INLINE_TRIALS_MAX 8  /* slots times keys */
#define POOL_MAX 2           /* of libuv's four threads, so that what is urgent finds one idle */

/* --- sealing --- */

struct pl_seal_work {
	uv_work_t request;
	struct pl_epoch *epoch;
	struct pl_seal_work *next;
	struct pl_seal *seal;
	uint16_t nodes_count, nodes[PL_SLOTS_MAX];
	uint64_t numbers[PL_SLOTS_MAX]; /* of the keys sealed to, by slot */
	struct pl_envelope_ctx ctx;
	uint8_t seed[32];
	struct pl_envelope_recipient recipients[PL_SLOTS_MAX];
	uint8_t public_keys[][PL_EPOCH_PUBLIC_BYTES]; /* copies: the table may change meanwhile */
};

static void seal_run(uv_work_t *request)
{
	struct pl_seal_work *work = request->data;
	struct pl_seal *seal = work->seal;
	size_t envelope_max = pl_envelope_bytes(seal->nodes_count, seal->plain_bytes);
	seal->err = PL_ERR_LIMIT;
	if (envelope_max == 0)
		return;
	seal->envelope = malloc(envelope_max);
	if (!seal->envelope) {
		seal->err = PL_ERR_MEMORY;
		return;
	}
	seal->err = pl_envelope_seal(&work->ctx, work->recipients, seal->nodes_count, seal->plain, seal->plain_bytes, work->seed,
	                             seal->envelope,
	                             envelope_max, &seal->envelope_bytes, seal->cek);
	if (seal->err != PL_OK) {
		free(seal->envelope);
		seal->envelope = NULL;
	}
}

uint64_t pl_epoch_sealing(const struct pl_epoch *epoch, uint16_t node)
{
	uint64_t lowest = UINT64_MAX;
	for (const struct pl_seal_work *work = epoch->sealing; work; work = work->next)
		for (uint16_t i = 0; i < work->nodes_count; i++)
			if (work->nodes[i] == node && work->numbers[i] < lowest)
				lowest = work->numbers[i];
	return lowest;
}

static void seal_finish(uv_work_t *request, int status)
{
	struct pl_seal_work *work = request->data;
	struct pl_seal *seal = work->seal;
	struct pl_seal_work **link = &work->epoch->sealing;
	if (status != 0)
		seal->err = PL_ERR_STATE;
	sodium_memzero(work->seed, sizeof(work->seed));
	seal->done(seal); /* the envelope is in the feed now, or never will be */
	while (*link != work)
		link = &(*link)->next;
	*link = work->next;
	free(work);
}

void pl_epoch_seal(struct pl_epoch *epoch, struct pl_seal *seal)
{
	seal->envelope = NULL;
	seal->err = PL_OK;
	struct pl_seal_work *work = NULL;
	if (seal->nodes_count == 0 || seal->nodes_count > PL_SLOTS_MAX)
		seal->err = PL_ERR_LIMIT;
	else if (!(work = malloc(sizeof(*work) + (size_t)seal->nodes_count * PL_EPOCH_PUBLIC_BYTES)))
		seal->err = PL_ERR_MEMORY;
	for (uint16_t i = 0; seal->err == PL_OK && i < seal->nodes_count; i++) {
		struct pl_epoch_info info;
		const uint8_t *public_key = pl_epoch_current_public(epoch, seal->nodes[i], &info);
		if (!public_key) {
			seal->err = PL_ERR_NO_KEY;
			seal->missing = seal->nodes[i];
			break;
		}
		memcpy(work->public_keys[i], public_key, PL_EPOCH_PUBLIC_BYTES);
		work->nodes[i] = seal->nodes[i];
		work->numbers[i] = info.number;
		work->recipients[i] = (struct pl_envelope_recipient){ work->public_keys[i], pl_core_courier_key(epoch->core, seal->nodes[i]) };
	}
	if (seal->err != PL_OK) {
		free(work);
		seal->done(seal);
		return;
	}
	work->request.data = work;
	work->epoch = epoch;
	work->seal = seal;
	work->nodes_count = seal->nodes_count;
	work->next = epoch->sealing;
	epoch->sealing = work;
	work->ctx = pl_charter_envelope_ctx(pl_core_charter(epoch->core), pl_core_self(epoch->core), seal->kind);
	randombytes_buf(work->seed, sizeof(work->seed));
	if (seal->nodes_count <= INLINE_SLOTS_MAX || uv_queue_work(pl_core_loop(epoch->core), &work->request, seal_run, seal_finish) != 0) {
		seal_run(&work->request);
		seal_finish(&work->request, 0);
	}
}

/* --- opening --- */

struct pl_open_work {
	uv_work_t request;
	struct pl_epoch *epoch;
	struct pl_open *open;
	struct pl_open_work *next;
	bool urgent;
	struct pl_envelope_ctx ctx;
	const uint8_t *courier_key;
	size_t keys_count;
	struct pl_envelope_key keys[PL_EPOCH_OWN_MAX];
};

static void open_run(uv_work_t *request)
{
	struct pl_open_work *work = request->data;
	struct pl_open *open = work->open;
	size_t plain_max = PL_PLAINTEXT_BYTES_MAX;
	open->plain = malloc(plain_max);
	if (!open->plain) {
		open->err = PL_ERR_MEMORY;
		return;
	}
	open->err = pl_envelope_open(&work->ctx, work->keys, work->keys_count, work->courier_key, open->entry.body, open->entry.body_bytes,
	                             open->plain, plain_max, &open->plain_bytes, open->cek);
	if (open->err != PL_OK) {
		free(open->plain);
		open->plain = NULL;
	}
}

static void pool_next(struct pl_epoch *epoch);

static void open_finish(uv_work_t *request, int status)
{
	struct pl_open_work *work = request->data;
	struct pl_epoch *epoch = work->epoch;
	struct pl_open *open = work->open;
	bool urgent = work->urgent;
	if (status != 0)
		open->err = PL_ERR_STATE;
	free(work);
	epoch->opening--;
	if (epoch->opening == 0 && epoch->wipe_due && !epoch->stopped)
		pl_epoch_wipe_due(epoch);
	if (!urgent) {
		epoch->pool_running--;
		pool_next(epoch);
	}
	open->done(open);
}

static void pool_next(struct pl_epoch *epoch)
{
	while (epoch->pool_first && epoch->pool_running < POOL_MAX) {
		struct pl_open_work *work = epoch->pool_first;
		epoch->pool_first = work->next;
		epoch->pool_running++;
		if (uv_queue_work(pl_core_loop(epoch->core), &work->request, open_run, open_finish) != 0)
			abort(); /* libuv fails it only without a callback */
	}
}

void pl_epoch_open(struct pl_epoch *epoch, const struct pl_store_entry *entry, struct pl_open *open)
{
	open->err = PL_OK;
	open->plain = NULL;
	open->entry = *entry;
	open->entry.body = NULL;
	struct pl_open_work *work = NULL;
	uint8_t *body = NULL;
	enum pl_err err = pl_header_decode(entry->header, &open->header);
	if (err == PL_OK)
		err = pl_envelope_check(entry->body, entry->body_bytes);
	if (err == PL_OK) {
		work = calloc(1, sizeof(*work));
		body = malloc(entry->body_bytes);
		if (!work || !body)
			err = PL_ERR_MEMORY;
	}
	if (err == PL_OK) {
		work->keys_count = pl_epoch_secrets_at(epoch, open->header.time_ms, work->keys);
		if (work->keys_count == 0)
			err = PL_ERR_NO_KEY;
	}
	if (err != PL_OK) {
		free(work);
		free(body);
		open->err = err;
		open->done(open);
		return;
	}
	memcpy(body, entry->body, entry->body_bytes);
	open->entry.body = body;
	work->request.data = work;
	work->epoch = epoch;
	work->open = open;
	work->urgent = entry->urgent;
	work->ctx = pl_charter_envelope_ctx(pl_core_charter(epoch->core), entry->node, open->header.kind);
	work->courier_key = pl_core_courier_key(epoch->core, entry->node);
	epoch->opening++;
	size_t slots = entry->body[2]; /* pl_envelope_check() has seen it */
	if (work->urgent && slots * work->keys_count <= INLINE_TRIALS_MAX) {
		open_run(&work->request);
		open_finish(&work->request, 0);
	} else if (work->urgent) {
		if (uv_queue_work(pl_core_loop(epoch->core), &work->request, open_run, open_finish) != 0)
			abort();
	} else {
		if (epoch->pool_first)
			epoch->pool_last->next = work;
		else
			epoch->pool_first = work;
		epoch->pool_last = work;
		pool_next(epoch);
	}
}

void pl_open_wipe(struct pl_open *open)
{
	if (open->plain)
		sodium_memzero(open->plain, open->plain_bytes);
	free(open->plain);
	open->plain = NULL;
	sodium_memzero(open->cek, sizeof(open->cek));
	uint8_t *body = (uint8_t *)(uintptr_t)open->entry.body;
	free(body);
	open->entry.body = NULL;
}
