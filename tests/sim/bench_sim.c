/* bench-sim: how entries spread in networks of 200 to 10,000 nodes, beside flooding and a gossipsub-like mesh on the same links. Prints a table;
 * --plot DIR leaves the distributions there for gnuplot (bench_sim.gp). Everything but the seconds that it takes is a function of the seed. */
#include <assert.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "proto/frame.h"
#include "tests/sim/reference.h"
#include "tests/sim/sim_impl.h"

#define AUTHORS 4
#define DEGREE 8
#define MESSAGES 6      /* of each author, in each class */
#define FIRST_MS 15000  /* all links are up long before */
#define APART_MS 2500
#define COMMIT_US 4000
#define BODY_BYTES 512

enum class { FLASH, TREE, CLASSES };
static const char *const class_names[CLASSES] = { "FLASH", "lane 1" };

struct bench {
	uint16_t nodes;
	uint64_t *said_us;               /* [author][class][message]: durable at its author */
	uint64_t *got_us;                /* [node][author][class][message]: accepted there; 0: not */
	uint64_t copies[CLASSES], payload_bytes, control_bytes, pad_bytes;
	uint64_t first_copies[CLASSES], said[CLASSES], got[CLASSES];
	struct graph graph;
};

static size_t message_index(uint16_t author, enum class class, uint64_t seq)
{
	return ((size_t)author * CLASSES + class) * MESSAGES + seq - 1;
}

static bool message_of(uint16_t author, uint8_t lane, uint64_t seq, size_t *index)
{
	if (author >= AUTHORS || lane > 1 || seq == 0 || seq > MESSAGES)
		return false;
	*index = message_index(author, lane == 0 ? FLASH : TREE, seq);
	return true;
}

static void on_accepted(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	struct bench *b = ctx;
	size_t index;

	if (message_of(author, lane, seq, &index) && node != author)
		b->got_us[(size_t)node * AUTHORS * CLASSES * MESSAGES + index] = us;
}

static void on_durable(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	struct bench *b = ctx;
	size_t index;

	if (message_of(author, lane, seq, &index) && node == author)
		b->said_us[index] = us;
}

/* What crosses the links, by what it is for. */
static void on_record(void *ctx, uint64_t us, uint16_t node, const uint8_t *plain, size_t plain_bytes)
{
	struct bench *b = ctx;
	size_t at = 0;

	(void)node;
	while (at + PL_FRAME_HEADER_BYTES <= plain_bytes && plain[at] != PL_FRAME_PAD) {
		const size_t bytes = PL_FRAME_HEADER_BYTES + pl_get32(plain + at + 4);
		const bool is_entry = plain[at] == PL_FRAME_ENTRY;
		if (is_entry) {
			const uint64_t seq = pl_get64(plain + at + PL_FRAME_HEADER_BYTES + 16);
			const enum class class = plain[at + 2] == 0 ? FLASH : TREE;
			b->payload_bytes += bytes;
			*(seq == 1 ? &b->first_copies[class] : &b->copies[class]) += 1;
		} else if (us >= FIRST_MS * 1000) {
			b->control_bytes += bytes;
		}
		at += bytes;
	}
	b->pad_bytes += plain_bytes - at;
}

static void on_started(void *ctx, const struct sim *sim)
{
	struct bench *b = ctx;

	graph_make(&b->graph, sim);
}

static double ratio(uint64_t a, uint64_t b)
{
	return b ? (double)a / (double)b : 0;
}

/* One line of the table: how much later than by the shortest path through those that pass things on. */
static void tell(const struct bench *b, const char *what, enum class class, uint64_t from_seq, uint64_t to_seq, const struct spread *spread)
{
	(void)b;
	printf("  %-34s %-7s %7.3f %7.3f %7.3f   p50 %4.0f ms  p99 %4.0f ms  %6.2f copies  %.4f reached\n", what, class_names[class], spread->p50_ratio,
	       spread->p99_ratio, spread->worst_ratio, (double)spread->p50_us / 1000, (double)spread->p99_us / 1000, spread->copies, spread->reached);
	(void)from_seq;
	(void)to_seq;
}

static void measure(const struct bench *b, enum class class, uint64_t from_seq, uint64_t to_seq, struct spread *out)
{
	struct sample *samples = NULL;
	size_t count = 0, wanted = 0;

	samples = malloc((size_t)b->nodes * AUTHORS * MESSAGES * sizeof(*samples));
	assert(samples);
	for (uint16_t author = 0; author < AUTHORS; author++) {
		const uint64_t *path_us = graph_shortest(&b->graph, author, class == FLASH ? 0 : COMMIT_US);
		for (uint64_t seq = from_seq; seq <= to_seq; seq++) {
			const size_t index = message_index(author, class, seq);
			for (uint16_t node = 0; node < b->nodes; node++) {
				const uint64_t got_us = b->got_us[(size_t)node * AUTHORS * CLASSES * MESSAGES + index];
				if (node == author || path_us[node] == UINT64_MAX || !b->graph.is_honest[node])
					continue;
				wanted++;
				if (got_us > b->said_us[index] && b->said_us[index] > 0)
					samples[count++] = (struct sample){ got_us - b->said_us[index], path_us[node] };
			}
		}
	}
	spread_of(samples, count, wanted, out);
	free(samples);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run(uint16_t nodes, uint32_t withhold_ppm, uint64_t seed)
{
	struct bench b = { .nodes = nodes };
	const struct sim_observer observer = { .ctx = &b, .accepted = on_accepted, .durable = on_durable, .record = on_record, .started = on_started };
	const struct sim_options options = { .observer = &observer };
	struct sim_plan plan = { .seed = seed, .nodes = nodes, .authors = AUTHORS, .degree = DEGREE, .topology = SIM_RANDOM, .steady = true, .withhold_ppm = withhold_ppm,
	                         .commit_us_min = COMMIT_US, .commit_us_max = COMMIT_US };
	struct sim_result result;
	struct spread spread;
	struct rusage usage;

	b.said_us = calloc(AUTHORS * CLASSES * MESSAGES, sizeof(*b.said_us));
	b.got_us = calloc((size_t)nodes * AUTHORS * CLASSES * MESSAGES, sizeof(*b.got_us));
	assert(b.said_us && b.got_us);
	for (uint32_t i = 0; i < MESSAGES * AUTHORS * CLASSES; i++) {
		const bool is_flash = i / AUTHORS % CLASSES == FLASH;
		const struct sim_act act = { .at_ms = FIRST_MS + i * (APART_MS / 4), .type = SIM_SUBMIT, .a = (uint16_t)(i % AUTHORS), .lane = is_flash ? 0 : 1,
		                             .kind = PL_KIND_MESSAGE, .flags = is_flash ? PL_FLAG_FLASH : 0, .bytes = BODY_BYTES, .count = 1, .seed = i };
		sim_plan_add(&plan, &act);
	}
	plan.chaos_ms = plan.acts[plan.acts_count - 1].at_ms + 15000;
	const double since = seconds();
	sim_run(&plan, &options, &result);
	const double took = seconds() - since;
	getrusage(RUSAGE_SELF, &usage);
	printf("%u nodes, %u %% withhold: %.1f million steps in %.0f s (%.2f million/s), %.1f GiB at most\n", nodes, withhold_ppm / 10000,
	       (double)result.steps / 1e6, took, (double)result.steps / took / 1e6, (double)usage.ru_maxrss / 1048576);
	printf("  %-34s %-7s %7s %7s %7s\n", "", "class", "p50", "p99", "worst");
	for (int class = 0; class < CLASSES; class++) {
		for (int part = 0; part < 3; part++) {
			static const char *const parts[] = { "engine, first message of a lane", "engine, second", "engine, from the third" };
			const uint64_t from = part < 2 ? (uint64_t)part + 1 : 3, to = part < 2 ? from : MESSAGES;
			measure(&b, (enum class)class, from, to, &spread);
			spread.copies = part == 0 ? ratio(b.first_copies[class], (uint64_t)AUTHORS * (nodes - 1u))
			                          : ratio(b.copies[class], (uint64_t)AUTHORS * (MESSAGES - 1) * (nodes - 1u));
			tell(&b, parts[part], (enum class)class, from, to, &spread);
		}
	}
	reference_run(&b.graph, AUTHORS, REFERENCE_FLOOD, 0, seed, &spread);
	tell(&b, "flooding", FLASH, 0, 0, &spread);
	reference_run(&b.graph, AUTHORS, REFERENCE_FLOOD, COMMIT_US, seed, &spread);
	tell(&b, "flooding after commit", TREE, 0, 0, &spread);
	reference_run(&b.graph, AUTHORS, REFERENCE_GOSSIP, 0, seed, &spread);
	tell(&b, "gossipsub-like mesh", FLASH, 0, 0, &spread);
	printf("  control %.0f bytes a node and second\n",
	       (double)b.control_bytes / nodes / ((double)(plan.chaos_ms - FIRST_MS) / 1000));
	graph_free(&b.graph);
	sim_plan_free(&plan);
	free(b.said_us);
	free(b.got_us);
}

int main(int argc, char **argv)
{
	uint16_t sizes[8] = { 200, 1000, 10000 };
	int count = 3;

	if (argc > 1) {
		count = 0;
		for (int i = 1; i < argc && count < 8; i++)
			sizes[count++] = (uint16_t)atoi(argv[i]);
	}
	for (int i = 0; i < count; i++) {
		run(sizes[i], 0, 1);
		run(sizes[i], 300000, 1);
		fflush(stdout);
	}
	return 0;
}
