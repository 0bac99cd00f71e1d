/* The engine at its limits: 768 nodes with 2,304 lanes that all hold entries, 64 links. One engine by itself; the test plays the peers. */
#include <criterion/criterion.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/parts.h"

#define WALL_MS 1790000000000ULL

struct party {
	uint16_t node;
	uint32_t link;
	bool closed;
	struct pl_handshake handshake;
	struct pl_record_stream writer;
	struct pl_record_reader reader;
	uint8_t record[PL_RECORD_WIRE_BYTES_MAX];
	uint8_t inbox[1 << 16];
	size_t inbox_bytes;
	bool unsent;
	uint32_t frames[32];
};

static struct pl_charter *charter;
static uint8_t noise_secrets[PL_NODES_MAX][32];
static uint8_t sign_secret[crypto_sign_SECRETKEYBYTES];
static struct pl_engine *engine;
static uint64_t now_ms = 1000, draws;
static struct party peers[PL_LINKS_MAX];
static uint32_t peers_count;
static uint32_t effects[PL_FX_NOTE + 1], effects_most; /* of each type; the most in one step */
static uint16_t dialled[PL_NODES_MAX];
static uint32_t dialled_count;

static struct party *peer_of(uint32_t link)
{
	for (uint32_t i = 0; i < peers_count; i++) {
		if (peers[i].link == link)
			return &peers[i];
	}
	return NULL;
}

static void step(struct pl_event *event)
{
	struct pl_effect fx;
	uint32_t count = 0;

	event->now_ms = now_ms;
	event->wall_ms = WALL_MS + now_ms;
	pl_put64(event->seed, ++draws);
	cr_assert_eq(pl_engine_step(engine, event), PL_OK);
	for (; pl_engine_next_effect(engine, &fx); count++) {
		const bool sends = fx.type == PL_FX_SEND;
		struct party *p = sends ? peer_of(fx.send.link) : fx.type == PL_FX_CLOSE ? peer_of(fx.close.link) : NULL;
		effects[fx.type]++;
		if (fx.type == PL_FX_DIAL)
			dialled[dialled_count++ % PL_NODES_MAX] = fx.dial.peer;
		if (!p)
			continue; /* of what the test has no use for */
		p->closed |= !sends;
		if (!sends)
			continue;
		cr_assert_leq(p->inbox_bytes + fx.send.count, sizeof(p->inbox));
		memcpy(p->inbox + p->inbox_bytes, fx.send.bytes, fx.send.count);
		p->inbox_bytes += fx.send.count;
		p->unsent = true;
	}
	if (count > effects_most)
		effects_most = count;
}

static void tick(void)
{
	struct pl_event event = { .type = PL_EV_TICK };

	step(&event);
}

static void hear(struct party *p)
{
	for (size_t at = 0; at < p->inbox_bytes;) {
		static uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX];
		size_t consumed, plain_bytes, in_plain = 0;
		cr_assert_eq(pl_record_read(&p->reader, p->inbox + at, p->inbox_bytes - at, &consumed, plain, &plain_bytes), PL_OK);
		at += consumed;
		while (in_plain < plain_bytes) {
			struct pl_frame frame;
			cr_assert_eq(pl_frame_next(plain, plain_bytes, &in_plain, &frame), PL_OK);
			p->frames[frame.type & 31]++;
		}
	}
	p->inbox_bytes = 0;
}

static void settle(void)
{
	for (bool any = true; any;) {
		any = false;
		for (uint32_t i = 0; i < peers_count; i++) {
			struct pl_event event = { .type = PL_EV_SENT, .sent = { peers[i].link } };
			if (!peers[i].unsent)
				continue;
			peers[i].unsent = false;
			step(&event);
			hear(&peers[i]);
			any = true;
		}
		for (; pl_engine_deadline_ms(engine) <= now_ms; any = true)
			tick();
	}
}

static void send(struct party *p, const uint8_t *bytes, size_t count)
{
	struct pl_event event = { .type = PL_EV_BYTES };

	event.bytes.link = p->link;
	event.bytes.bytes = bytes;
	event.bytes.count = count;
	step(&event);
	cr_assert_eq(event.bytes.consumed, count);
}

static size_t frame(struct party *p, size_t at, uint8_t type, uint8_t flags, const uint8_t *payload, size_t count)
{
	pl_frame_write_header(p->record + 2 + at, type, flags, 0, (uint32_t)count);
	if (count > 0)
		memcpy(p->record + 2 + at + PL_FRAME_HEADER_BYTES, payload, count);
	return at + PL_FRAME_HEADER_BYTES + count;
}

static void flush(struct party *p, size_t count)
{
	size_t record_bytes;

	cr_assert_eq(pl_record_seal(&p->writer, p->record, count, &record_bytes), PL_OK);
	send(p, p->record, record_bytes);
}

/* Dials the engine; HELLO remains to be said. */
static struct party *connect_peer(uint16_t node)
{
	struct party *p = &peers[peers_count++];
	struct pl_event up = { .type = PL_EV_LINK_UP, .link_up = { 100u + node, PL_NODE_NONE, node } };
	const struct pl_handshake_keys keys = { .network_id = charter->network_id, .static_secret = noise_secrets[node],
		                                .remote_static = charter->nodes[0].certificate.noise_public };
	uint8_t first[PL_HANDSHAKE_BYTES_1], third[PL_HANDSHAKE_BYTES_MAX], ephemeral[32] = { 5, (uint8_t)node, (uint8_t)(node >> 8) };
	size_t consumed, third_bytes;
	bool complete;

	*p = (struct party){ .node = node, .link = 100u + node };
	step(&up);
	cr_assert_eq(pl_handshake_dial(&p->handshake, &keys, ephemeral, WALL_MS + now_ms, first), PL_OK);
	send(p, first, sizeof(first));
	cr_assert_eq(pl_handshake_feed(&p->handshake, &keys, ephemeral, WALL_MS + now_ms, p->inbox, p->inbox_bytes, &consumed, &complete, third,
	                               &third_bytes), PL_OK);
	cr_assert(complete);
	p->inbox_bytes = 0;
	cr_assert_eq(pl_noise_split(&p->handshake.noise, &p->writer.cipher, &p->reader.stream.cipher), PL_OK);
	send(p, third, third_bytes);
	return p;
}

static void say_hello(struct party *p, bool equal)
{
	struct pl_hello hello = { .version = 1, .credit_bytes = PL_CREDIT_BYTES };
	uint8_t payload[PL_HELLO_BYTES];

	memcpy(hello.charter_hash, charter->network_id, PL_ID_BYTES);
	pl_engine_frontier_root(engine, hello.frontier_root);
	hello.frontier_root[0] ^= !equal;
	pl_hello_write(&hello, payload);
	flush(p, frame(p, 0, PL_FRAME_HELLO, 0, payload, sizeof(payload)));
}

/* HELLO of a node that knows tags; those of what the engine holds, but for so many groups. */
static void say_tags(struct party *p, uint32_t differing)
{
	uint8_t payload[PL_HELLO_BYTES_MAX], tags[PL_GROUPS_MAX][PL_TAG_BYTES];
	struct pl_hello hello = { .version = 1, .credit_bytes = PL_CREDIT_BYTES, .capabilities = PL_CAP_TAGS, .tags = tags[0], .tags_count = PL_GROUPS_MAX };

	memcpy(hello.charter_hash, charter->network_id, PL_ID_BYTES);
	for (uint32_t group = 0; group < PL_GROUPS_MAX; group++) {
		pl_tag(hello.salt, pl_digests(engine)[group], tags[group]);
		tags[group][0] ^= group < differing;
	}
	flush(p, frame(p, 0, PL_FRAME_HELLO, 0, payload, pl_hello_write(&hello, payload)));
}

static enum pl_session_state state_of(uint16_t node)
{
	struct pl_peer_info info;

	pl_engine_peer(engine, node, &info);
	return info.state;
}

/* Every lane of every node holds seqs entries. */
static void start(uint64_t seqs)
{
	struct pl_engine_config config;
	struct pl_event event = { .type = PL_EV_START };
	uint8_t sign_public[crypto_sign_PUBLICKEYBYTES];

	cr_assert_geq(sodium_init(), 0);
	charter = calloc(1, sizeof(*charter));
	memset(charter->network_id, 7, PL_ID_BYTES);
	charter->nodes_count = PL_NODES_MAX;
	charter->members_count = PL_MEMBERS_MAX;
	for (uint16_t i = 0; i < PL_NODES_MAX; i++) {
		struct pl_certificate *c = &charter->nodes[i].certificate;
		pl_put16(noise_secrets[i] + 4, i);
		noise_secrets[i][1] = 1;
		pl_put16(c->node_id, i);
		crypto_scalarmult_base(c->noise_public, noise_secrets[i]);
		c->generation = 1;
		c->valid_until_ms = WALL_MS * 2;
	}
	pl_engine_config_default(&config);
	config.charter = charter;
	config.mesh_nodes_max = PL_NODES_MAX; /* as many links as there can be */
	config.noise_secret = noise_secrets[0];
	crypto_sign_seed_keypair(sign_public, sign_secret, noise_secrets[1]);
	config.sign_secret = sign_secret;
	const size_t bytes = pl_engine_bytes(&config);
	/* Address space; what no link touches is never resident. */
	cr_assert(bytes > 150u << 20 && bytes < 256u << 20, "%zu MiB", bytes >> 20);
	void *memory = calloc(1, bytes);
	cr_assert_eq(pl_engine_init(&config, memory, bytes, &engine), PL_OK);
	cr_assert_eq(pl_engine_init(&config, memory, bytes - 1, &engine), PL_ERR_FULL);
	for (uint16_t node = 0; node < PL_NODES_MAX && seqs > 0; node++) {
		for (uint8_t lane = 0; lane < PL_LANES; lane++) {
			struct pl_event restore = { .type = PL_EV_RESTORE };
			restore.restore.node = node;
			restore.restore.lane = lane;
			restore.restore.seq = seqs;
			restore.restore.gseq = 3 * seqs;
			restore.restore.id[0] = (uint8_t)(node + lane + 1);
			step(&restore);
		}
	}
	step(&event);
}

Test(scale, equal_roots_acknowledge_every_lane_though_not_in_one_step)
{
	start(9);
	struct party *p = connect_peer(5);
	settle();
	say_hello(p, true);
	settle();
	cr_assert_eq(state_of(5), PL_SESSION_LIVE);
	cr_assert_eq(effects[PL_FX_ACKED], PL_NODES_MAX * PL_LANES);
	for (uint16_t node = 0; node < PL_NODES_MAX; node++)
		cr_assert_eq(pl_engine_acked(engine, 5, node, 2), 9);
	cr_assert_eq(p->frames[PL_FRAME_FRONTIER], 0);
}

/* An acknowledgement is no effect of a link that comes up: the rest waits for an event that may bring it. */
Test(scale, while_equal_roots_are_noted_other_things_happen)
{
	struct pl_event up = { .type = PL_EV_LINK_UP, .link_up = { 5000, PL_NODE_NONE, 5000 } }, ready = { .type = PL_EV_STORE_READY };

	start(9);
	connect_peer(5);
	settle();
	say_hello(&peers[0], true);
	const uint32_t noted = effects[PL_FX_ACKED];
	cr_assert(noted > 0 && noted < PL_NODES_MAX * PL_LANES);
	step(&up);
	step(&ready);
	cr_assert_eq(effects[PL_FX_ACKED], noted);
	cr_assert_leq(pl_engine_deadline_ms(engine), now_ms, "it goes on at once");
	settle();
	cr_assert_eq(effects[PL_FX_ACKED], PL_NODES_MAX * PL_LANES);
	cr_assert_eq(state_of(5), PL_SESSION_LIVE);
}

Test(scale, a_whole_frontier_crosses_in_several_frames)
{
	start(9);
	struct party *p = connect_peer(5);
	settle();
	say_hello(p, false);
	settle();
	cr_assert_eq(state_of(5), PL_SESSION_RECON);
	cr_assert_eq(p->frames[PL_FRAME_FRONTIER], PL_NODES_MAX * PL_LANES / 128);
}

Test(scale, records_full_of_acknowledgements_from_all_links_at_once)
{
	start(9);
	for (uint16_t i = 0; i < PL_LINKS_MAX; i++) {
		connect_peer((uint16_t)(700 + i));
		settle();
		say_hello(&peers[i], false);
	}
	settle();
	for (uint32_t i = 0; i < PL_LINKS_MAX; i++) {
		struct party *p = &peers[i];
		size_t at = 0;
		for (uint32_t k = 0; at + PL_FRAME_HEADER_BYTES + 31 * PL_ITEM_BYTES <= PL_RECORD_PLAIN_BYTES_MAX; k++) {
			uint8_t items[31 * PL_ITEM_BYTES];
			for (uint32_t n = 0; n < 31; n++) {
				struct pl_item item = { .node = (uint16_t)((31 * k + n) % PL_NODES_MAX), .lane = (uint8_t)(i % PL_LANES), .generation = 1,
					                .seq = 9 };
				item.head_id[0] = (uint8_t)(item.node + item.lane + 1); /* as start() has it */
				pl_item_write(&item, items + n * PL_ITEM_BYTES);
			}
			at = frame(p, at, PL_FRAME_ACK, 0, items, sizeof(items));
		}
		flush(p, at);
		cr_assert_not(p->closed);
	}
	settle();
	cr_assert_gt(effects_most, 300);
	cr_assert_eq(effects[PL_FX_ACKED], PL_LINKS_MAX * 10u * 31);
}

Test(scale, groups_that_differ_cross_in_few_frames_and_the_others_are_acknowledged_in_turns)
{
	start(9);
	struct party *p = connect_peer(5);
	settle();
	say_tags(p, 2);
	settle();
	cr_assert_eq(p->frames[PL_FRAME_HEADS], 1);
	cr_assert_eq(effects[PL_FX_ACKED], PL_NODES_MAX * PL_LANES - 2 * PL_GROUP_NODES);
	cr_assert_leq(effects_most, PL_EFFECTS_SLICE + 4, "%u", effects_most); /* and what it sends */
	cr_assert_eq(state_of(5), PL_SESSION_RECON);
	flush(p, frame(p, 0, PL_FRAME_HEADS, PL_FRAME_LAST, NULL, 0));
	settle();
	cr_assert_eq(state_of(5), PL_SESSION_LIVE);
	/* all of them: 10 bytes a lane */
	p = connect_peer(6);
	settle();
	say_tags(p, PL_GROUPS_MAX);
	settle();
	cr_assert_eq(p->frames[PL_FRAME_HEADS], 4);
}

/* The peer's heads may be complete before all that is equal is noted, or after. */
Test(scale, a_link_is_live_when_heads_are_complete_and_what_is_equal_is_noted)
{
	start(9);
	struct party *p = connect_peer(5);
	settle();
	say_tags(p, 1);
	flush(p, frame(p, 0, PL_FRAME_HEADS, PL_FRAME_LAST, NULL, 0));
	cr_assert_eq(state_of(5), PL_SESSION_RECON);
	cr_assert_lt(effects[PL_FX_ACKED], 1500);
	settle();
	cr_assert_eq(state_of(5), PL_SESSION_LIVE);
	cr_assert_eq(effects[PL_FX_ACKED], PL_NODES_MAX * PL_LANES - PL_GROUP_NODES);
}

Test(scale, records_full_of_heads_that_acknowledge)
{
	start(9);
	struct party *p = connect_peer(5);
	const uint8_t salt[PL_SALT_BYTES] = { 0 };
	settle();
	say_tags(p, PL_GROUPS_MAX);
	settle();
	size_t at = 0;
	for (uint32_t group = 0; group < PL_GROUPS_MAX; group++) {
		uint8_t payload[1 + PL_GROUP_NODES * PL_LANE_HEAD_BYTES_MAX] = { (uint8_t)group };
		size_t bytes = 1;
		for (uint32_t n = 0, index; (index = pl_group_lane(engine, group, n)) != UINT32_MAX; n++) {
			uint8_t tag[PL_TAG_BYTES], id[PL_ID_BYTES] = { (uint8_t)(index / PL_LANES + index % PL_LANES + 1) }; /* as start() has it */
			pl_tag(salt, id, tag);
			bytes += pl_lane_head_write(9, tag, payload + bytes);
		}
		if (at + PL_FRAME_HEADER_BYTES + bytes > PL_RECORD_PLAIN_BYTES_MAX) {
			flush(p, at);
			at = 0;
		}
		at = frame(p, at, PL_FRAME_HEADS, group == PL_GROUPS_MAX - 1 ? PL_FRAME_LAST : 0, payload, bytes);
	}
	flush(p, at);
	settle();
	cr_assert_eq(effects[PL_FX_ACKED], PL_NODES_MAX * PL_LANES);
	cr_assert_gt(effects_most, 1500);
	cr_assert_eq(state_of(5), PL_SESSION_LIVE);
}

Test(scale, as_many_are_dialled_as_there_are_links_and_all_have_their_turn)
{
	bool turn[PL_NODES_MAX] = { false };
	uint32_t turns = 0, under_way = 0;

	start(0);
	for (uint16_t node = 1; node < PL_NODES_MAX; node++) {
		struct pl_event event = { .type = PL_EV_PEER_DIALABLE, .peer_dialable = { .node = node } };
		step(&event);
	}
	settle();
	cr_assert_eq(dialled_count, PL_LINKS_MAX);
	/* none of them answers */
	for (uint32_t told = 0; turns < PL_NODES_MAX - 1 && told < 4000; told++) {
		struct pl_event down = { .type = PL_EV_LINK_DOWN, .link_down = { PL_LINK_NONE, dialled[told % PL_NODES_MAX] } };
		turns += !turn[down.link_down.peer];
		turn[down.link_down.peer] = true;
		step(&down);
		settle();
		under_way = dialled_count - told - 1;
		cr_assert_leq(under_way, PL_LINKS_MAX);
	}
	cr_assert_eq(turns, PL_NODES_MAX - 1);
}

/* Who does not answer for long may be back since: what asks for a connection now is answered at once. */
Test(scale, a_flash_begins_dials_anew_that_have_been_under_way_for_a_second)
{
	struct pl_event flash = { .type = PL_EV_SUBMIT, .submit = { .lane = 0, .kind = PL_KIND_MESSAGE, .flags = PL_FLAG_FLASH } };
	struct pl_event dialable = { .type = PL_EV_PEER_DIALABLE, .peer_dialable = { .node = 1 } };
	struct pl_event up = { .type = PL_EV_LINK_UP, .link_up = { 77, 1, 77 } };

	flash.submit.body = (const uint8_t *)"flash";
	flash.submit.body_bytes = 5;
	start(0);
	step(&dialable);
	settle();
	cr_assert_eq(dialled_count, 1);
	now_ms += PL_REDIAL_FLASH_MS - 1;
	step(&flash);
	settle();
	cr_assert_eq(dialled_count, 1, "it is not old enough");
	now_ms++;
	step(&flash);
	settle();
	cr_assert_eq(dialled_count, 2);
	cr_assert_eq(dialled[1], 1);
	step(&flash);
	settle();
	cr_assert_eq(dialled_count, 2, "it has just been begun anew");
	now_ms += PL_REDIAL_FLASH_MS;
	step(&up);
	step(&flash);
	settle();
	cr_assert_eq(dialled_count, 2, "it has answered");
	cr_assert_eq(state_of(1), PL_SESSION_HANDSHAKE);
}

Test(scale, all_links_end_in_one_step)
{
	struct pl_event drain = { .type = PL_EV_DRAIN };

	start(9);
	for (uint16_t i = 0; i < PL_LINKS_MAX; i++) {
		connect_peer((uint16_t)(300 + i));
		settle();
		say_hello(&peers[i], false);
	}
	settle();
	for (uint32_t i = 0; i < PL_HANDSHAKES_MAX; i++) {
		struct pl_event up = { .type = PL_EV_LINK_UP, .link_up = { 5000 + i, PL_NODE_NONE, 5000 + i } };
		step(&up);
	}
	memset(effects, 0, sizeof(effects));
	step(&drain);
	cr_assert_eq(effects[PL_FX_CLOSE], PL_LINKS_MAX + PL_HANDSHAKES_MAX);
	for (uint32_t i = 0; i < peers_count; i++)
		cr_assert(peers[i].closed);
}

Test(scale, pings_and_forks_in_masses_cost_no_hashing_of_all_lanes)
{
	start(9);
	struct party *p = connect_peer(5);
	settle();
	say_hello(p, true);
	settle();
	/* 300 PINGs in a record, 100 records: with 2,304 hashes each this would take half a minute */
	for (int i = 0; i < 100; i++) {
		uint8_t ping[40] = { 0 };
		size_t at = 0;
		for (int k = 0; k < 300; k++)
			at = frame(p, at, PL_FRAME_PING, 0, ping, sizeof(ping));
		flush(p, at);
		settle();
	}
	cr_assert_not(p->closed);
	cr_assert_eq(p->frames[PL_FRAME_FRONTIER], PL_NODES_MAX * PL_LANES / 128, "another root is answered once in 30 s");
}

/* Says that it holds all lanes up to seq. */
static void claim_all(struct party *p, uint64_t seq)
{
	const uint8_t tag[PL_TAG_BYTES] = { 1 };
	size_t at = 0;

	for (uint32_t group = 0; group < PL_GROUPS_MAX; group++) {
		uint8_t payload[1 + PL_GROUP_NODES * PL_LANE_HEAD_BYTES_MAX] = { (uint8_t)group };
		size_t bytes = 1;
		for (uint32_t n = 0; pl_group_lane(engine, group, n) != UINT32_MAX; n++)
			bytes += pl_lane_head_write(seq, tag, payload + bytes);
		if (at + PL_FRAME_HEADER_BYTES + bytes > PL_RECORD_PLAIN_BYTES_MAX) {
			flush(p, at);
			settle();
			at = 0;
		}
		at = frame(p, at, PL_FRAME_HEADS, 0, payload, bytes);
	}
	flush(p, at);
	settle();
}

/* Bulk of its own, as much as there is credit for; its signatures wait to be looked at, since the test says nothing about them. */
static void fill_in_queue(struct party *p)
{
	uint8_t prev[PL_ID_BYTES] = { (uint8_t)(p->node + 2 + 1) }, wire[PL_WIRE_PREFIX + 1]; /* as start() has it */
	size_t at = 0;

	for (uint32_t i = 0; (i + 1) * (sizeof(wire) + PL_IN_ITEM_BYTES) <= PL_CREDIT_BYTES; i++) {
		struct candidate c;
		struct pl_wire read;
		memset(wire, 0, sizeof(wire));
		pl_put16(wire, p->node);
		wire[3] = 2;
		wire[4] = PL_KIND_INDICATORS;
		pl_put32(wire + 12, 1);
		pl_put64(wire + 16, 10 + i);
		pl_put64(wire + 24, 40 + i);
		pl_put64(wire + 32, WALL_MS);
		memcpy(wire + 136, prev, sizeof(prev));
		cr_assert_eq(pl_wire_read(wire, sizeof(wire), &read), PL_OK);
		pl_candidate(engine, &read, &c);
		memcpy(prev, c.id, sizeof(prev));
		if (at + PL_FRAME_HEADER_BYTES + sizeof(wire) > PL_RECORD_PLAIN_BYTES_MAX) {
			flush(p, at);
			at = 0;
		}
		pl_frame_write_header(p->record + 2 + at, PL_FRAME_ENTRY, 0, 2, sizeof(wire));
		memcpy(p->record + 2 + at + PL_FRAME_HEADER_BYTES, wire, sizeof(wire));
		at += PL_FRAME_HEADER_BYTES + sizeof(wire);
	}
	flush(p, at);
	settle();
}

/* What a second of waiting for the lanes that were asked for costs of the processor, whoever else uses it. */
static uint64_t wait_ns(void)
{
	struct timespec from, to;

	cr_assert_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from), 0);
	for (int i = 0; i < 10; i++) {
		now_ms += 100;
		tick();
		settle();
	}
	cr_assert_eq(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to), 0);
	return (uint64_t)(to.tv_sec - from.tv_sec) * 1000000000 + (uint64_t)to.tv_nsec - (uint64_t)from.tv_nsec;
}

/* Two links of one member: they claim everything, and keep what they send of their own waiting. */
Test(scale, what_waits_of_a_peer_is_not_looked_through_for_each_lane_that_it_was_asked_for)
{
	uint32_t fetched = 0;

	start(9);
	for (uint16_t i = 0; i < 2; i++) {
		connect_peer((uint16_t)(300 + i));
		settle();
		say_tags(&peers[i], PL_GROUPS_MAX);
		settle();
		flush(&peers[i], frame(&peers[i], 0, PL_FRAME_HEADS, PL_FRAME_LAST, NULL, 0));
		settle();
		claim_all(&peers[i], 1000000);
	}
	for (uint32_t index = 0; index < engine->lanes_count; index++)
		fetched += engine->lanes[index].fetch_session != PL_NONE16;
	cr_assert_gt(fetched, 2000, "%u", fetched);
	const uint64_t without = wait_ns();
	for (int i = 0; i < 2; i++) {
		fill_in_queue(&peers[i]);
		cr_assert_gt(engine->sessions[i].in_count - engine->sessions[i].in_at, PL_CREDIT_BYTES / 2);
	}
	const uint64_t with = wait_ns();
	cr_assert_lt(with, 10 * without + 10000000, "%lu ns, and %lu ns before", (unsigned long)with, (unsigned long)without);
}
