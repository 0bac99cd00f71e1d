/* What holds in every node of a world after every step, whatever has come in. */
#include "tests/world_impl.h"

#include <assert.h>
#include <string.h>

#include "proto/parts.h"

/* Whom a step has passed over has nothing to send: if it had, it would wait for something else to happen. */
static void no_chore_is_missed(struct pl_engine *e)
{
	const uint64_t timer_ms = e->timer_ms;
	uint8_t chores[PL_LINKS_MAX];

	memcpy(chores, e->chores, e->sessions_ever);
	for (uint16_t i = 0; i < e->sessions_ever; i++)
		e->chores[i] ^= CHORE_SEND;
	e->effects_count = e->effects_next = 0;
	pl_sched_run(e);
	assert(e->effects_count == 0);
	memcpy(e->chores, chores, e->sessions_ever);
	e->timer_ms = timer_ms;
}

void world_check(const struct node *n)
{
	static const uint8_t zeros[PL_NOISE_KEY_BYTES];
	struct pl_engine *e = n->engine;
	size_t storing = 0;
	uint32_t of_peer[WORLD_NODES_MAX] = { 0 }, held_of[PL_LINKS_MAX] = { 0 };

	for (uint16_t i = 0; i < e->sessions_ever; i++) {
		const struct session *s = &e->sessions[i];
		if (!s->used) /* a session that is over leaves no key */
			assert(memcmp(s->writer.cipher.key, zeros, sizeof(zeros)) == 0 && memcmp(s->reader->stream.cipher.key, zeros, sizeof(zeros)) == 0);
		else
			assert(s->asked_count <= PL_OTHERS_LANES_MAX);
	}
	for (int i = 0; i < PL_SUSPICIONS; i++) {
		if (e->suspicions[i].used)
			assert(++of_peer[e->suspicions[i].peer] <= PL_SUSPICIONS_PER_PEER);
	}
	for (int i = 0; i < PL_FLASH_POOL; i++) {
		if (e->flashes[i].used && e->flashes[i].waiting)
			assert(++held_of[e->flashes[i].from_session] <= PL_FLASH_HELD_MAX);
	}
	for (uint32_t i = 0; i < e->lanes_count; i++)
		assert(e->lanes[i].durable_seq <= e->lanes[i].have_seq && e->lanes[i].durable_gseq <= e->lanes[i].have_gseq);
	for (const struct pending *p = n->pending; p; p = p->next)
		storing += p->is_repair ? 0 : PL_ENTRY_HEADER_BYTES + p->entry.body_bytes;
	assert(e->store_failed || e->storing_bytes == storing);
	no_chore_is_missed(e);
}
