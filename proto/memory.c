/* Where the parts of an engine lie in the memory that it was given: sized once, all from here. */
#include <stdalign.h>
#include <stddef.h>
#include <string.h>

#include "proto/parts.h"

/* Cuts the caller's memory into pieces; with a NULL base it only counts. */
struct carver {
	uint8_t *base;
	size_t at;
};

static void *carve(struct carver *carver, size_t bytes)
{
	const size_t align = alignof(max_align_t);

	carver->at = (carver->at + align - 1) / align * align;
	void *piece = carver->base ? carver->base + carver->at : NULL;
	carver->at += bytes;
	return piece;
}

/* What is written to from the start stands together: the rest costs memory only once it is used. */
static void carve_session(struct carver *carver, struct session *s, uint32_t lanes_count)
{
	static const uint32_t assembly_max[PL_CLASSES] = {
		PL_WIRE_FLASH_BYTES_MAX, PL_WIRE_BYTES_MAX, PL_WIRE_BYTES_MAX, PL_WIRE_BYTES_MAX,
	};

	s->peer_has = carve(carver, lanes_count * sizeof(*s->peer_has));
	s->peer_holds = carve(carver, lanes_count * sizeof(*s->peer_holds));
	s->peer_holds_tag = carve(carver, lanes_count * sizeof(*s->peer_holds_tag));
	s->sent = carve(carver, lanes_count * sizeof(*s->sent));
	s->floor = carve(carver, lanes_count * sizeof(*s->floor));
	s->want_to = carve(carver, lanes_count * sizeof(*s->want_to));
	s->asked_to = carve(carver, lanes_count * sizeof(*s->asked_to));
	s->dirty = carve(carver, lanes_count);
	s->queued = carve(carver, lanes_count);
	s->choked = carve(carver, lanes_count);
	s->to_compare = carve(carver, lanes_count * sizeof(*s->to_compare));
	s->compared_tag = carve(carver, lanes_count * sizeof(*s->compared_tag));
	s->hello_digests = carve(carver, pl_groups_count((uint16_t)(lanes_count / PL_LANES)) * sizeof(*s->hello_digests));
	s->differs = carve(carver, pl_groups_count((uint16_t)(lanes_count / PL_LANES)));
	s->shunned_until_s = carve(carver, lanes_count / PL_LANES * sizeof(*s->shunned_until_s));
	for (int lane = 0; lane < PL_LANES; lane++)
		s->todo[lane].nodes = carve(carver, lanes_count / PL_LANES * sizeof(*s->todo[lane].nodes));
	s->reader = carve(carver, sizeof(*s->reader));
	s->control = carve(carver, PL_CONTROL_BYTES);
	s->in = carve(carver, PL_CREDIT_BYTES);
	for (int c = 0; c < PL_CLASSES; c++) {
		s->assembly[c].max = assembly_max[c];
		s->assembly[c].bytes[0] = carve(carver, assembly_max[c]);
		s->assembly[c].bytes[1] = carve(carver, assembly_max[c]);
		s->out[c].max = c == PL_CLASS_FLASH ? PL_OUT_FLASH_BYTES : PL_OUT_BYTES;
		s->out[c].bytes = carve(carver, s->out[c].max);
	}
}

void pl_memory_session(const struct pl_engine *e, struct session *s)
{
	const size_t index = (size_t)(s - e->sessions);
	struct carver carver = { .base = e->sessions_memory + index * e->session_bytes };

	memset(s, 0, sizeof(*s));
	carve_session(&carver, s, e->lanes_count);
	s->chores = &e->chores[index];
	*s->chores = 0;
	memset(s->peer_has, 0, (size_t)((uint8_t *)s->reader - (uint8_t *)s->peer_has));
	memset(s->reader, 0, offsetof(struct pl_record_reader, buffer)); /* the buffer is large, and of no session's until bytes come */
}

static struct pl_engine *carve_engine(struct carver *carver, const struct pl_engine_config *config)
{
	const uint16_t nodes = config->charter->nodes_count;
	const uint32_t lanes_count = (uint32_t)nodes * PL_LANES;
	const uint16_t conns_max = (uint16_t)(config->links_max + PL_HANDSHAKES_MAX);
	struct pl_engine *placed = carve(carver, sizeof(*placed)), scratch;
	struct pl_engine *e = placed ? placed : &scratch;
	struct carver one = { 0 };
	struct session session;

	e->lanes = carve(carver, lanes_count * sizeof(*e->lanes));
	struct recent *recent = carve(carver, (size_t)lanes_count * PL_RECENT * sizeof(*recent));
	e->peers = carve(carver, nodes * sizeof(*e->peers));
	e->dialled = carve(carver, nodes * sizeof(*e->dialled));
	e->conns = carve(carver, conns_max * sizeof(*e->conns));
	e->sessions = carve(carver, config->links_max * sizeof(*e->sessions));
	e->chores = carve(carver, config->links_max);
	e->records = carve(carver, (size_t)config->links_max * PL_RECORD_WIRE_BYTES_MAX);
	e->plain = carve(carver, PL_RECORD_PLAIN_BYTES_MAX);
	e->acked = carve(carver, (size_t)nodes * lanes_count * sizeof(*e->acked));
	e->unanswered = carve(carver, (size_t)nodes * lanes_count);
	e->flashes = carve(carver, PL_FLASH_POOL * sizeof(*e->flashes));
	e->checks = carve(carver, PL_CHECKS * sizeof(*e->checks));
	e->forks = carve(carver, nodes * sizeof(*e->forks));
	e->flash_quota = carve(carver, nodes * sizeof(*e->flash_quota));
	e->digests = carve(carver, pl_groups_count(nodes) * sizeof(*e->digests));
	e->digest_known = carve(carver, pl_groups_count(nodes));
	e->replays = carve(carver, PL_HANDSHAKE_REPLAY_MAX * sizeof(*e->replays));
	e->effects = carve(carver, PL_EFFECTS_MAX * sizeof(*e->effects));
	carve_session(&one, &session, lanes_count);
	e->session_bytes = (one.at + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
	e->sessions_memory = carve(carver, config->links_max * e->session_bytes);
	for (uint32_t i = 0; carver->base && i < lanes_count; i++)
		e->lanes[i].recent = &recent[(size_t)i * PL_RECENT];
	e->nodes = nodes;
	e->lanes_count = lanes_count;
	e->groups_count = pl_groups_count(nodes);
	e->conns_max = conns_max;
	e->sessions_max = config->links_max;
	return placed;
}

struct pl_engine *pl_memory_engine(void *memory, const struct pl_engine_config *config)
{
	struct carver carver = { .base = memory };

	return carve_engine(&carver, config);
}

size_t pl_engine_bytes(const struct pl_engine_config *config)
{
	struct carver carver = { 0 };

	carve_engine(&carver, config);
	return carver.at;
}
