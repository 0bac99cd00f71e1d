/* The scrub: what nobody asks for is read too, slowly, so that damage shows while other nodes still have the entry.
 *
 * A pass reads each entry once. It begins at one chosen at random, so that a node that is restarted often gets everywhere in time; a pass a
 * day is enough. One load of at most LOAD_BYTES_MAX is under way at a time, and it is only made when the worker sleeps. */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "node/store/store_impl.h"

#define LOAD_BYTES_MAX 65536u
#define BUSY_MS 250          /* the worker has something to do: later */
#define EMPTY_MS 60000       /* there is nothing to read yet */
#define PASS_MS 86400000ULL  /* from the beginning of one pass to that of the next, at least */
#define LANES (PL_NODES_MAX * PL_LANES)

struct pl_scrub {
	uv_timer_t timer;
	struct pl_store *store;
	uint64_t bytes_per_s;
	bool is_in_pass, has_turned; /* has_turned: past the last lane, and on from the first */
	unsigned lane, first_lane;   /* node * PL_LANES + lane */
	uint64_t seq, first_seq;
	uint64_t begun_ms, ended_ms; /* of the pass at hand, of the last whole one (0: none); the loop's clock */
	uint64_t entries, passes, pass_entries;
};

static void on_timer(uv_timer_t *timer);

static void schedule(struct pl_scrub *scrub, uint64_t delay_ms)
{
	(void)uv_timer_start(&scrub->timer, on_timer, delay_ms, 0); /* fails only while closing */
}

static uint64_t head(const struct pl_scrub *scrub, unsigned lane)
{
	return scrub->store->head[lane / PL_LANES][lane % PL_LANES];
}

/* false: there is no entry. */
static bool begin_pass(struct pl_scrub *scrub)
{
	uint64_t count = 0, chosen;

	for (unsigned lane = 0; lane < LANES; lane++)
		count += head(scrub, lane);
	if (count == 0)
		return false;
	chosen = randombytes_uniform(count > UINT32_MAX ? UINT32_MAX : (uint32_t)count);
	scrub->lane = 0;
	while (chosen >= head(scrub, scrub->lane))
		chosen -= head(scrub, scrub->lane++);
	scrub->seq = scrub->first_seq = chosen + 1;
	scrub->first_lane = scrub->lane;
	scrub->has_turned = false;
	scrub->is_in_pass = true;
	scrub->pass_entries = 0;
	scrub->begun_ms = uv_now(scrub->timer.loop);
	return true;
}

/* Moves on to where there is something to read; *to: up to there. false: the pass is over. */
static bool find_next(struct pl_scrub *scrub, uint64_t *to)
{
	for (;;) {
		bool is_last = scrub->has_turned && scrub->lane == scrub->first_lane;

		*to = is_last ? scrub->first_seq - 1 : head(scrub, scrub->lane);
		if (scrub->seq <= *to)
			return true;
		if (is_last)
			return false;
		scrub->lane = (scrub->lane + 1) % LANES;
		scrub->seq = 1;
		scrub->has_turned |= scrub->lane == scrub->first_lane;
	}
}

static void end_pass(struct pl_scrub *scrub)
{
	uint64_t took_ms;

	scrub->is_in_pass = false;
	scrub->ended_ms = uv_now(scrub->timer.loop);
	scrub->passes++;
	took_ms = scrub->ended_ms - scrub->begun_ms;
	schedule(scrub, took_ms < PASS_MS ? PASS_MS - took_ms : 0);
}

static void on_timer(uv_timer_t *timer)
{
	struct pl_scrub *scrub = timer->data;
	struct pl_load *load;
	uint64_t to;

	if (!scrub->is_in_pass && !begin_pass(scrub)) {
		schedule(scrub, EMPTY_MS);
		return;
	}
	if (!find_next(scrub, &to)) {
		end_pass(scrub);
		return;
	}
	load = calloc(1, sizeof(*load));
	if (!load) {
		schedule(scrub, BUSY_MS);
		return;
	}
	load->is_scrub = true;
	load->node = (uint16_t)(scrub->lane / PL_LANES);
	load->lane = (uint8_t)(scrub->lane % PL_LANES);
	load->from = scrub->seq;
	load->to = to;
	load->max_bytes = LOAD_BYTES_MAX;
	if (!pl_loop_load_if_idle(scrub->store, load)) {
		pl_load_free(load);
		schedule(scrub, BUSY_MS);
	}
}

void pl_scrub_loaded(struct pl_scrub *scrub, const struct pl_load *load)
{
	uint64_t read = load->count + (load->damaged_seq ? 1 : 0), bytes = load->damaged_seq ? LOAD_BYTES_MAX : load->bytes_used;

	if (load->err == PL_ERR_MEMORY) {
		schedule(scrub, BUSY_MS); /* the same again */
		return;
	}
	/* Where nothing comes, the end of the lane is not durable yet. */
	if (load->damaged_seq)
		scrub->seq = load->damaged_seq + 1;
	else
		scrub->seq = read ? load->from + read : head(scrub, scrub->lane) + 1;
	scrub->entries += read;
	scrub->pass_entries += read;
	schedule(scrub, 1 + bytes * 1000 / scrub->bytes_per_s);
}

void pl_scrub_stats(const struct pl_scrub *scrub, struct pl_store_stats *out)
{
	if (!scrub)
		return;
	out->scrub_entries = scrub->entries;
	out->scrub_passes = scrub->passes;
	out->scrub_pass_entries = scrub->is_in_pass ? scrub->pass_entries : 0;
	out->scrub_age_ms = scrub->passes ? uv_now(scrub->timer.loop) - scrub->ended_ms : 0;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void pl_scrub_stop(struct pl_scrub *scrub)
{
	if (scrub)
		uv_close((uv_handle_t *)&scrub->timer, on_closed);
}

enum pl_err pl_store_scrub(struct pl_store *store, uint64_t bytes_per_s)
{
	struct pl_scrub *scrub;

	assert(store->is_started && !store->scrub);
	if (bytes_per_s == 0)
		return PL_OK;
	scrub = calloc(1, sizeof(*scrub));
	if (!scrub)
		return PL_ERR_MEMORY;
	uv_timer_init(store->loop, &scrub->timer);
	scrub->timer.data = scrub;
	scrub->store = store;
	scrub->bytes_per_s = bytes_per_s;
	store->scrub = scrub;
	schedule(scrub, BUSY_MS);
	return PL_OK;
}
