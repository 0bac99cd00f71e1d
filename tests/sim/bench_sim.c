/* bench-sim: how entries spread in networks of 200 to 10,000 nodes, beside flooding and a gossipsub-like mesh on the same links. Prints a table;
 * --plot DIR leaves the distributions there for gnuplot (bench_sim.gp). Everything but the seconds that it takes is a function of the seed. */
#include <assert.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/frame.h"
#include "tests/sim/reference.h"
#include "tests/sim/sim_impl.h"

#define AUTHORS 4
#define CANDIDATES 16   /* that a node could dial, where there are too many for a charter; its engine chooses 8 */
#define MESSAGES 8      /* of each author, in each class */
#define SILENT_FROM 5   /* before this one those that withhold begin to */
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
	uint64_t copies[CLASSES][MESSAGES]; /* that have crossed a link */
	uint64_t payload_bytes, control_bytes, pad_bytes; /* while messages pass */
	const struct sim *sim;
	struct graph graph; /* of the links when the first message is there */
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

	if (!message_of(author, lane, seq, &index) || node != author)
		return;
	if (b->graph.nodes == 0)
		graph_make(&b->graph, b->sim);
	b->said_us[index] = us;
}

/* What crosses the links, by what it is for. */
static void on_record(void *ctx, uint64_t us, uint16_t node, const uint8_t *plain, size_t plain_bytes)
{
	struct bench *b = ctx;
	size_t at = 0, index;

	(void)node;
	if (us < FIRST_MS * 1000)
		return;
	while (at + PL_FRAME_HEADER_BYTES <= plain_bytes && plain[at] != PL_FRAME_PAD) {
		const size_t bytes = PL_FRAME_HEADER_BYTES + pl_get32(plain + at + 4);
		const uint8_t *wire = plain + at + PL_FRAME_HEADER_BYTES;
		if (plain[at] != PL_FRAME_ENTRY) {
			b->control_bytes += bytes;
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
	struct sample *samples = malloc((size_t)b->nodes * AUTHORS * MESSAGES * sizeof(*samples));
	size_t count = 0, wanted = 0;
	uint64_t copies = 0;

	assert(samples);
	for (uint16_t author = 0; author < AUTHORS; author++) {
		const uint64_t *path_us = graph_shortest(&b->graph, author, class == FLASH ? 0 : COMMIT_US);
		for (uint64_t seq = from_seq; seq <= to_seq; seq++) {
			const size_t index = message_index(author, (enum class)class, seq);
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
	for (uint64_t seq = from_seq; seq <= to_seq; seq++)
		copies += b->copies[class][seq - 1];
	spread_of(samples, count, wanted, out);
	out->copies = (double)copies / (AUTHORS * (double)(to_seq - from_seq + 1) * (b->nodes - 1));
	for (size_t i = 0; plot && count > 0 && i <= 1000; i++)
		fprintf(plot, "%.3f %.3f\n", (double)samples[(count - 1) * i / 1000].took_us / 1000, (double)i / 1000);
	free(samples);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
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

static const struct silence {
	const char *name, *what;
	uint32_t ppm;
	bool later; /* from message SILENT_FROM on, when the trees stand */
} silences[] = {
	{ "0", "all pass on what they get", 0, false },
	{ "30", "30 % withhold, and always have", 300000, false },
	{ "30-later", "30 % withhold from the fifth message on, when the trees stand", 300000, true },
};

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

static void plan_make(struct sim_plan *plan, uint16_t nodes, const struct silence *silence, uint64_t seed)
{
	*plan = (struct sim_plan){ .seed = seed, .nodes = nodes, .authors = AUTHORS, .degree = nodes > PL_NODES_MAX ? CANDIDATES : 0, .topology = SIM_CHOICE, .steady = true,
	                           .withhold_ppm = silence->ppm, .commit_us_min = COMMIT_US, .commit_us_max = COMMIT_US };
	for (uint32_t i = 0; i < MESSAGES * AUTHORS * CLASSES; i++) {
		const bool is_flash = i / AUTHORS % CLASSES == FLASH;
		const struct sim_act act = { .at_ms = FIRST_MS + i * (APART_MS / AUTHORS), .type = SIM_SUBMIT, .a = (uint16_t)(i % AUTHORS),
		                             .lane = is_flash ? 0 : 1, .kind = PL_KIND_MESSAGE, .flags = is_flash ? PL_FLAG_FLASH : 0, .bytes = BODY_BYTES,
		                             .count = 1, .seed = i };
		if (silence->later && i == (SILENT_FROM - 1) * AUTHORS * CLASSES)
			plan->withhold_from_ms = act.at_ms - 1;
		sim_plan_add(plan, &act);
	}
	plan->chaos_ms = plan->acts[plan->acts_count - 1].at_ms + 15000;
}

static void references(const struct bench *b, const struct silence *silence, uint64_t seed, const char *dir)
{
	static const struct {
		const char *what, *class, *file;
		enum reference reference;
		uint64_t hop_us;
	} rows[] = {
		{ "flooding", "FLASH", "flood", REFERENCE_FLOOD, 0 },
		{ "flooding after commit", "lane 1", "flood", REFERENCE_FLOOD, COMMIT_US },
		{ "gossipsub-like mesh", "FLASH", "gossip", REFERENCE_GOSSIP, 0 },
		{ "gossipsub-like mesh after commit", "lane 1", "gossip", REFERENCE_GOSSIP, COMMIT_US },
	};
	struct spread spread;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		FILE *plot = plot_open(dir, rows[i].file, b->nodes, silence->name, i % 2 == 0 ? "flash" : "tree");
		reference_run(&b->graph, AUTHORS, rows[i].reference, rows[i].hop_us, seed, &spread, plot);
		plot_close(plot);
		tell(rows[i].what, rows[i].class, &spread);
	}
}

static void spread_run(uint16_t nodes, const struct silence *silence, uint64_t seed, const char *dir)
{
	struct bench b = { .nodes = nodes };
	const struct sim_observer observer = { .ctx = &b, .accepted = on_accepted, .durable = on_durable, .record = on_record, .started = on_started };
	const struct sim_options options = { .observer = &observer };
	struct sim_plan plan;
	struct sim_result result;
	struct spread spread;
	struct rusage usage;

	plan_make(&plan, nodes, silence, seed);
	b.said_us = calloc(AUTHORS * CLASSES * MESSAGES, sizeof(*b.said_us));
	b.got_us = calloc((size_t)nodes * AUTHORS * CLASSES * MESSAGES, sizeof(*b.got_us));
	assert(b.said_us && b.got_us);
	const double since = seconds();
	sim_run(&plan, &options, &result);
	const double took = seconds() - since, span_s = (double)(plan.chaos_ms - FIRST_MS) / 1000;
	getrusage(RUSAGE_SELF, &usage);
	printf("\n%u nodes, %s\n  %-34s %-7s %7s %7s %7s %8s %8s %9s %9s\n", nodes, silence->what, "", "class", "p50 x", "p99 x", "own p99", "p50 ms", "p99 ms",
	       "copies", "reached");
	for (int class = 0; class < CLASSES; class++) {
		for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
			FILE *plot = i == 2 || i == 3 ? plot_open(dir, i == 2 ? "engine" : "engine-fifth", nodes, silence->name, class == FLASH ? "flash" : "tree") : NULL;
			measure(&b, class, parts[i].from_seq, parts[i].to_seq, &spread, plot);
			plot_close(plot);
			tell(parts[i].what, class_names[class], &spread);
		}
	}
	references(&b, silence, seed, dir);
	printf("  bytes a node and second: entries %.0f, control %.0f, padding %.0f; %.1f million steps in %.0f s (%.2f million/s), at most %.1f GiB\n",
	       (double)b.payload_bytes / nodes / span_s, (double)b.control_bytes / nodes / span_s, (double)b.pad_bytes / nodes / span_s,
	       (double)result.steps / 1e6, took, (double)result.steps / took / 1e6, (double)usage.ru_maxrss / 1048576);
	fflush(stdout);
	graph_free(&b.graph);
	sim_plan_free(&plan);
	free(b.said_us);
	free(b.got_us);
}

/* --- two halves that have not heard of each other for an hour --- */

#define HEAL_HOUR_MS 3600000u
#define HEAL_RATE 1250000u /* bytes a second: 10 Mbit/s */

struct heal {
	uint64_t healed_us, last_us, missing_bytes;
	uint16_t nodes;
	uint64_t *heads; /* [node][author][lane]: durable */
	const struct sim *sim;
	struct graph graph;
};

static void heal_durable(void *ctx, uint64_t us, uint16_t node, uint16_t author, uint8_t lane, uint64_t seq)
{
	struct heal *h = ctx;

	h->heads[((size_t)node * AUTHORS + author) * PL_LANES + lane] = seq;
	if (h->graph.nodes == 0)
		graph_make(&h->graph, h->sim);
	if (us >= h->healed_us)
		h->last_us = us;
}

static void heal_started(void *ctx, const struct sim *sim)
{
	struct heal *h = ctx;

	h->sim = sim;
}

static void heal_run(uint16_t nodes, uint64_t seed)
{
	struct heal h = { .nodes = nodes };
	const struct sim_observer observer = { .ctx = &h, .durable = heal_durable, .started = heal_started };
	const struct sim_options options = { .observer = &observer };
	struct sim_plan plan = { .seed = seed, .nodes = nodes, .authors = AUTHORS, .degree = nodes > PL_NODES_MAX ? CANDIDATES : 0, .topology = SIM_CHOICE, .steady = true,
	                         .commit_us_min = COMMIT_US, .commit_us_max = COMMIT_US };
	struct sim_result result;
	uint64_t said_bytes[2] = { 0 }, diameter_us = 0;
	bool is_whole = true;

	h.heads = calloc((size_t)nodes * AUTHORS * PL_LANES, sizeof(*h.heads));
	assert(h.heads);
	h.healed_us = (FIRST_MS + (uint64_t)HEAL_HOUR_MS) * 1000;
	for (uint16_t a = 0; a < nodes; a++) {
		for (uint16_t b = 0; b < nodes; b++) {
			struct sim_act act = { .at_ms = 0, .type = SIM_CLOG, .a = a, .b = b, .count = HEAL_RATE };
			if (a == b)
				continue;
			sim_plan_add(&plan, &act);
			if (a % 2 == b % 2)
				continue;
			act = (struct sim_act){ .at_ms = FIRST_MS, .type = SIM_CUT, .a = a, .b = b };
			sim_plan_add(&plan, &act);
			act.at_ms += HEAL_HOUR_MS;
			act.type = SIM_HEAL;
			sim_plan_add(&plan, &act);
		}
	}
	/* Indicators: 64 KiB every 16 s of each author; messages beside. */
	for (uint32_t i = 0; i < HEAL_HOUR_MS / 4000 - 8; i++) {
		const struct sim_act act = { .at_ms = FIRST_MS + 1000 + i * 4000, .type = SIM_SUBMIT, .a = (uint16_t)(i % AUTHORS), .lane = i % 5 == 0 ? 1 : 2,
		                             .kind = i % 5 == 0 ? PL_KIND_MESSAGE : PL_KIND_INDICATORS, .bytes = i % 5 == 0 ? 7000 : 65000, .count = 1, .seed = i };
		sim_plan_add(&plan, &act);
		said_bytes[act.a % 2] += PL_ENTRY_HEADER_BYTES + act.bytes;
	}
	plan.chaos_ms = FIRST_MS + HEAL_HOUR_MS + 300000;
	const double since = seconds();
	sim_run(&plan, &options, &result);
	for (uint16_t author = 0; author < AUTHORS; author++) {
		const uint64_t *path_us = graph_shortest(&h.graph, author, 0);
		for (uint16_t node = 0; node < nodes; node++) {
			if (path_us[node] != UINT64_MAX && path_us[node] > diameter_us)
				diameter_us = path_us[node];
			for (uint8_t lane = 0; lane < PL_LANES; lane++)
				is_whole &= h.heads[((size_t)node * AUTHORS + author) * PL_LANES + lane] == h.heads[((size_t)author * AUTHORS + author) * PL_LANES + lane];
		}
	}
	const uint64_t missing = said_bytes[0] > said_bytes[1] ? said_bytes[0] : said_bytes[1];
	const double least_s = (double)missing / HEAL_RATE + 2 * (double)diameter_us / 1e6, took_s = (double)(h.last_us - h.healed_us) / 1e6;
	printf("\nheal: %u nodes in two halves for an hour; %.1f MB missing in each, links of 10 Mbit/s, the longest of the shortest paths %.0f ms\n"
	       "  all hold all %.1f s after the lines are back: %.2f x (missing bytes / rate of a link + longest path and back = %.1f s)%s\n"
	       "  %.1f million steps in %.0f s\n",
	       nodes, (double)missing / 1e6, (double)diameter_us / 1000, took_s, took_s / least_s, least_s, is_whole ? "" : "; NOT ALL HOLD ALL",
	       (double)result.steps / 1e6, seconds() - since);
	fflush(stdout);
	graph_free(&h.graph);
	sim_plan_free(&plan);
	free(h.heads);
}

/* Each in a process of its own, so that its memory is its own. */
static bool in_process(uint16_t nodes, const struct silence *silence, uint64_t seed, const char *dir)
{
	int status;

	fflush(NULL);
	const pid_t pid = fork();
	if (pid == 0) {
		if (silence)
			spread_run(nodes, silence, seed, dir);
		else
			heal_run(nodes, seed);
		fflush(NULL);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "sizes", required_argument, NULL, 's' }, { "seed", required_argument, NULL, 'S' },
		                                 { "plot", required_argument, NULL, 'p' },  { "heal", required_argument, NULL, 'H' },
		                                 { "silent", required_argument, NULL, 'm' },
		                                 { "help", no_argument, NULL, 'h' },        { 0 } };
	char standard[] = "200,1000,10000", *sizes = standard, *rest;
	const char *dir = NULL, *silent = NULL;
	uint64_t seed = 1;
	long heal_nodes = 200;
	bool is_well = true, is_known = false;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 's': sizes = optarg; break;
		case 'S': seed = strtoull(optarg, NULL, 10); break;
		case 'p': dir = optarg; break;
		case 'm': silent = optarg; break;
		case 'H': heal_nodes = strtol(optarg, NULL, 10); break;
		default:
			fprintf(c == 'h' ? stdout : stderr, "bench_sim [--sizes N,N...] [--silent 0|30|30-later, all three if not said] [--heal N, 0: not] [--seed N] [--plot DIR]\n"
			        "How entries spread, in the simulator: see tests/README.md, \"How entries spread\".\n");
			return c == 'h' ? 0 : 2;
		}
	}
	for (size_t i = 0; i < sizeof(silences) / sizeof(*silences); i++)
		is_known |= !silent || strcmp(silent, silences[i].name) == 0;
	if (!is_known) {
		fprintf(stderr, "bench_sim: --silent takes 0, 30 or 30-later, not \"%s\"\n", silent);
		return 2;
	}
	for (char *size = strtok_r(sizes, ",", &rest); size; size = strtok_r(NULL, ",", &rest)) {
		const long nodes = strtol(size, NULL, 10);
		if (nodes < 2 * AUTHORS || nodes > SIM_NODES_MAX) {
			fprintf(stderr, "bench_sim: a network has %d to %d nodes, not \"%s\"\n", 2 * AUTHORS, SIM_NODES_MAX, size);
			return 2;
		}
		for (size_t i = 0; i < sizeof(silences) / sizeof(*silences); i++)
			is_well &= (silent && strcmp(silent, silences[i].name) != 0) || in_process((uint16_t)nodes, &silences[i], seed, dir);
	}
	if (heal_nodes > 0)
		is_well &= in_process((uint16_t)(heal_nodes < SIM_PATHS_NODES_MAX ? heal_nodes : SIM_PATHS_NODES_MAX), NULL, seed, dir);
	return is_well ? 0 : 1;
}
