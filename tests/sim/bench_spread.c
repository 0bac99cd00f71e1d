/* How messages of two classes spread through a network, some of which say nothing, beside flooding and a gossipsub-like mesh on the same links. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "proto/frame.h"
#include "tests/sim/bench.h"
#include "tests/sim/bench_reference.h"
#include "tests/sim/sim_impl.h"

#define MESSAGES 8    /* of each author, in each class */
#define SILENT_FROM 5 /* before this one those that withhold begin to */
#define APART_MS 2500
#define BODY_BYTES 512

enum class { FLASH, TREE, CLASSES };
static const char *const class_names[CLASSES] = { "FLASH", "lane 1" };

struct bench {
	uint16_t nodes;
	uint64_t *said_us;               /* [author][class][message]: durable at its author */
	uint64_t *got_us;                /* [node][author][class][message]: accepted there; 0: not */
	uint64_t copies[CLASSES][MESSAGES]; /* that have crossed a link */
	uint64_t payload_bytes, control_bytes[CLASSES + 1], pad_bytes; /* while messages pass; the last: of what has no lane, PING and so on */
	const struct sim *sim;
	struct graph graph; /* of the links when the first message is there */
};

static size_t message_index(uint16_t author, enum class class, uint64_t seq)
{
	return ((size_t)author * CLASSES + class) * MESSAGES + seq - 1;
}

static bool message_of(uint16_t author, uint8_t lane, uint64_t seq, size_t *index)
{
	if (author >= BENCH_AUTHORS || lane > 1 || seq == 0 || seq > MESSAGES)
		return false;
	*index = message_index(author, lane == 0 ? FLASH : TREE, seq);
	return true;
}

static void on_accepted(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	struct bench *b = ctx;
	size_t index;

	if (message_of(author, lane, seq, &index) && node != author)
		b->got_us[(size_t)node * BENCH_AUTHORS * CLASSES * MESSAGES + index] = us;
}

static void on_durable(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	struct bench *b = ctx;
	size_t index;

	if (!message_of(author, lane, seq, &index) || node != author)
		return;
	if (b->graph.nodes == 0)
		graph_make(&b->graph, b->sim);
	b->said_us[index] = us;
}

/* Which lane a frame is about that is no entry; PL_LANES: none. */
static uint8_t lane_of(uint8_t type, const uint8_t *payload)
{
	switch (type) {
	case PL_FRAME_HAVE:
	case PL_FRAME_ACK:
	case PL_FRAME_WANT:
	case PL_FRAME_CANCEL:
	case PL_FRAME_CHOKE: return payload[2]; /* of the first, where there are more: messages here are far apart */
	default: return PL_LANES;
	}
}

/* What crosses the links, by what it is for. */
static void on_record(void *ctx, uint64_t us, uint16_t node, const uint8_t *plain, size_t plain_bytes)
{
	struct bench *b = ctx;
	size_t at = 0, index;

	(void)node;
	if (us < BENCH_FIRST_MS * 1000)
		return;
	while (at + PL_FRAME_HEADER_BYTES <= plain_bytes && plain[at] != PL_FRAME_PAD) {
		const size_t bytes = PL_FRAME_HEADER_BYTES + pl_get32(plain + at + 4);
		const uint8_t *wire = plain + at + PL_FRAME_HEADER_BYTES;
		if (plain[at] != PL_FRAME_ENTRY) {
			const uint8_t lane = lane_of(plain[at], wire);
			b->control_bytes[lane < CLASSES ? lane : CLASSES] += bytes;
		} else {
			b->payload_bytes += bytes;
			if (message_of(pl_get16(wire), plain[at + 2], pl_get64(wire + 16), &index))
				b->copies[plain[at + 2]][index % MESSAGES]++;
		}
		at += bytes;
	}
	b->pad_bytes += plain_bytes - at;
}

static void on_started(void *ctx, const struct sim *sim)
{
	struct bench *b = ctx;

	b->sim = sim;
}

/* A line of the table: how much later than by the shortest path through those that pass things on. */
static void tell(const char *what, const char *class, const struct spread *spread)
{
	printf("  %-34s %-7s %7.3f %7.3f %7.3f %8.0f %8.0f %9.2f %9.4f\n", what, class, spread->p50_ratio, spread->p99_ratio, spread->own_p99_ratio,
	       (double)spread->p50_us / 1000, (double)spread->p99_us / 1000, spread->copies, spread->reached);
}

static void measure(const struct bench *b, int class, uint64_t from_seq, uint64_t to_seq, struct spread *out, FILE *plot)
{
	struct sample *samples = malloc((size_t)b->nodes * BENCH_AUTHORS * MESSAGES * sizeof(*samples));
	size_t count = 0, wanted = 0;
	uint64_t copies = 0;

	assert(samples);
	for (uint16_t author = 0; author < BENCH_AUTHORS; author++) {
		const uint64_t *path_us = graph_shortest(&b->graph, author, class == FLASH ? 0 : BENCH_COMMIT_US);
		for (uint64_t seq = from_seq; seq <= to_seq; seq++) {
			const size_t index = message_index(author, (enum class)class, seq);
			for (uint16_t node = 0; node < b->nodes; node++) {
				const uint64_t got_us = b->got_us[(size_t)node * BENCH_AUTHORS * CLASSES * MESSAGES + index];
				if (node == author || path_us[node] == UINT64_MAX || !b->graph.is_honest[node])
					continue;
				wanted++;
				if (got_us > b->said_us[index] && b->said_us[index] > 0)
					samples[count++] = (struct sample){ got_us - b->said_us[index], path_us[node] };
			}
		}
	}
	for (uint64_t seq = from_seq; seq <= to_seq; seq++)
		copies += b->copies[class][seq - 1];
	spread_of(samples, count, wanted, out);
	out->copies = (double)copies / (BENCH_AUTHORS * (double)(to_seq - from_seq + 1) * (b->nodes - 1));
	for (size_t i = 0; plot && count > 0 && i <= 1000; i++)
		fprintf(plot, "%.3f %.3f\n", (double)samples[(count - 1) * i / 1000].took_us / 1000, (double)i / 1000);
	free(samples);
}

static FILE *plot_open(const char *dir, const char *what, uint16_t nodes, const char *silent, const char *class)
{
	char name[512];

	if (!dir)
		return NULL;
	snprintf(name, sizeof(name), "%s/%s-%u-%s-%s.dat", dir, what, nodes, silent, class);
	FILE *file = fopen(name, "w");
	if (!file)
		perror(name);
	return file;
}

static void plot_close(FILE *plot)
{
	if (plot)
		fclose(plot);
}

/* --- one network, some of which say nothing --- */

static const struct part {
	const char *what;
	uint64_t from_seq, to_seq;
} parts[] = {
	{ "engine, first message of a lane", 1, 1 },
	{ "engine, second", 2, 2 },
	{ "engine, third and fourth", 3, SILENT_FROM - 1 },
	{ "engine, fifth", SILENT_FROM, SILENT_FROM },
	{ "engine, sixth", SILENT_FROM + 1, SILENT_FROM + 1 },
	{ "engine, seventh and eighth", SILENT_FROM + 2, MESSAGES },
};

static void plan_make(struct sim_plan *plan, uint16_t nodes, const struct bench_silence *silence, uint64_t seed)
{
	*plan = (struct sim_plan){ .seed = seed, .nodes = nodes, .authors = BENCH_AUTHORS, .degree = nodes > PL_NODES_MAX ? BENCH_CANDIDATES : 0, .topology = SIM_CHOICE, .steady = true,
	                           .withhold_ppm = silence->ppm, .commit_us_min = BENCH_COMMIT_US, .commit_us_max = BENCH_COMMIT_US };
	for (uint32_t i = 0; i < MESSAGES * BENCH_AUTHORS * CLASSES; i++) {
		const bool is_flash = i / BENCH_AUTHORS % CLASSES == FLASH;
		const struct sim_act act = { .at_ms = BENCH_FIRST_MS + i * (APART_MS / BENCH_AUTHORS), .type = SIM_SUBMIT, .a = (uint16_t)(i % BENCH_AUTHORS),
		                             .lane = is_flash ? 0 : 1, .kind = PL_KIND_MESSAGE, .flags = is_flash ? PL_FLAG_FLASH : 0, .bytes = BODY_BYTES,
		                             .count = 1, .seed = i };
		if (silence->later && i == (SILENT_FROM - 1) * BENCH_AUTHORS * CLASSES)
			plan->withhold_from_ms = act.at_ms - 1;
		sim_plan_add(plan, &act);
	}
	plan->chaos_ms = plan->acts[plan->acts_count - 1].at_ms + 15000;
}

/* What a message costs, by class. */
struct costs {
	double copies[CLASSES], flood_copies[CLASSES], gossip_copies[CLASSES], control_bytes[CLASSES], gossip_control_bytes[CLASSES];
};

static void references(const struct bench *b, const struct bench_silence *silence, uint64_t seed, const char *dir, struct costs *costs)
{
	static const struct {
		const char *what, *class, *file;
		enum reference reference;
		uint64_t hop_us;
	} rows[] = {
		{ "flooding", "FLASH", "flood", REFERENCE_FLOOD, 0 },
		{ "flooding after commit", "lane 1", "flood", REFERENCE_FLOOD, BENCH_COMMIT_US },
		{ "gossipsub-like mesh", "FLASH", "gossip", REFERENCE_GOSSIP, 0 },
		{ "gossipsub-like mesh after commit", "lane 1", "gossip", REFERENCE_GOSSIP, BENCH_COMMIT_US },
	};
	struct spread spread;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		FILE *plot = plot_open(dir, rows[i].file, b->nodes, silence->name, i % CLASSES == FLASH ? "flash" : "tree");
		reference_run(&b->graph, BENCH_AUTHORS, rows[i].reference, rows[i].hop_us, seed, &spread, plot);
		plot_close(plot);
		tell(rows[i].what, rows[i].class, &spread);
		if (rows[i].reference == REFERENCE_GOSSIP) {
			costs->gossip_copies[i % CLASSES] = spread.copies;
			costs->gossip_control_bytes[i % CLASSES] = spread.control_bytes;
		} else {
			costs->flood_copies[i % CLASSES] = spread.copies;
		}
	}
}

static void costs_plot(const struct costs *costs, uint16_t nodes, const struct bench_silence *silence, const char *dir)
{
	FILE *plot = plot_open(dir, "costs", nodes, silence->name, "each");

	for (int class = 0; plot && class < CLASSES; class++)
		fprintf(plot, "\"%s\" %.3f %.3f %.3f %.1f %.1f\n", class_names[class], costs->copies[class], costs->flood_copies[class], costs->gossip_copies[class],
		        costs->control_bytes[class], costs->gossip_control_bytes[class]);
	plot_close(plot);
}

void bench_spread(uint16_t nodes, const struct bench_silence *silence, uint64_t seed, const char *dir)
{
	struct bench b = { .nodes = nodes };
	const struct sim_observer observer = { .ctx = &b, .accepted = on_accepted, .durable = on_durable, .record = on_record, .started = on_started };
	const struct sim_options options = { .observer = &observer };
	struct sim_plan plan;
	struct sim_result result;
	struct spread spread;
	struct rusage usage;
	struct costs costs = { 0 };

	plan_make(&plan, nodes, silence, seed);
	b.said_us = calloc(BENCH_AUTHORS * CLASSES * MESSAGES, sizeof(*b.said_us));
	b.got_us = calloc((size_t)nodes * BENCH_AUTHORS * CLASSES * MESSAGES, sizeof(*b.got_us));
	assert(b.said_us && b.got_us);
	const double since = bench_seconds();
	sim_run(&plan, &options, &result);
	const double took = bench_seconds() - since, span_s = (double)(plan.chaos_ms - BENCH_FIRST_MS) / 1000;
	getrusage(RUSAGE_SELF, &usage);
	printf("\n%u nodes, %s\n  %-34s %-7s %7s %7s %7s %8s %8s %9s %9s\n", nodes, silence->what, "", "class", "p50 x", "p99 x", "own p99", "p50 ms", "p99 ms",
	       "copies", "reached");
	for (int class = 0; class < CLASSES; class++) {
		for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
			FILE *plot = i == 2 || i == 3 ? plot_open(dir, i == 2 ? "engine" : "engine-fifth", nodes, silence->name, class == FLASH ? "flash" : "tree") : NULL;
			measure(&b, class, parts[i].from_seq, parts[i].to_seq, &spread, plot);
			plot_close(plot);
			tell(parts[i].what, class_names[class], &spread);
			if (i == 2)
				costs.copies[class] = spread.copies;
		}
	}
	references(&b, silence, seed, dir, &costs);
	const double said = (double)nodes * BENCH_AUTHORS * MESSAGES;
	for (int class = 0; class < CLASSES; class++)
		costs.control_bytes[class] = (double)b.control_bytes[class] / said;
	costs_plot(&costs, nodes, silence, dir);
	printf("  control bytes a node for each message: FLASH %.0f, lane 1 %.0f; gossipsub-like: %.0f, %.0f\n"
	       "  bytes a node and second: entries %.0f, control %.0f (%.0f of it has no lane), padding %.0f; %.1f million steps in %.0f s (%.2f million/s), at most %.1f GiB\n",
	       costs.control_bytes[FLASH], costs.control_bytes[TREE], costs.gossip_control_bytes[FLASH], costs.gossip_control_bytes[TREE],
	       (double)b.payload_bytes / nodes / span_s, (double)(b.control_bytes[FLASH] + b.control_bytes[TREE] + b.control_bytes[CLASSES]) / nodes / span_s,
	       (double)b.control_bytes[CLASSES] / nodes / span_s, (double)b.pad_bytes / nodes / span_s,
	       (double)result.steps / 1e6, took, (double)result.steps / took / 1e6, (double)usage.ru_maxrss / 1048576);
	fflush(stdout);
	graph_free(&b.graph);
	sim_plan_free(&plan);
	free(b.said_us);
	free(b.got_us);
}
