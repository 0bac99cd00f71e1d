/* parley-sim: runs the engine in a simulated world, seed after seed, and says which seed breaks which promise. --help says how. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/sim.h"

#define SEED_MAX (UINT64_MAX - 1)

enum { EXIT_HELD = 0, EXIT_BROKEN = 1, EXIT_USAGE = 2 };

struct settings {
	const char *scenario, *replay, *save, *crypto; /* crypto: NULL, as the seed has it */
	uint64_t first, last;
	uint16_t nodes;
	unsigned jobs;
	bool json, trace, shrink, quiet;
};

/* What a job tells of its seeds. */
struct tally {
	uint16_t nodes;
	uint64_t seeds, steps, authored, stored, crashes, virtual_ms, worst_heal_ms, worst_seed, failed_seed;
	bool failed;
	char invariant[40], detail[400];
};

/* Prints the scenarios: their names alone, or with what happens in them. */
static void scenarios(bool names_only)
{
	const char *name, *what;

	for (size_t n = 0; sim_plan_scenario(n, &name, &what); n++) {
		if (names_only)
			puts(name);
		else
			printf("  %-10s %s\n", name, what);
	}
}

static void usage(void)
{
	printf("parley-sim: the engine in a simulated world; says which seed breaks which promise\n"
	       "\n"
	       "  parley-sim [OPTION...]             seeds 1 to 100\n"
	       "  parley-sim --replay FILE           a case that was saved\n"
	       "\n"
	       "  --seed N, --seeds A..B             which\n"
	       "  --nodes N                          2 to 64; 7 if not said\n"
	       "  --scenario NAME                    crisis if not said; the scenarios are:\n");
	scenarios(false);
	printf("  --crypto real|keyed-hash           signatures, key agreement and records; as the seed has it if not said: real for one in 16\n"
	       "  --jobs N                           processes; 2 if not said\n"
	       "  --trace                            every step of it on stdout\n"
	       "  --shrink                           a seed that fails: leaves out what the failure does not need, and saves the rest\n"
	       "  --save FILE                        there; tests/sim/cases/SCENARIO-SEED.case if not said\n"
	       "  --scenarios                        only prints their names\n"
	       "  --json                             the result as one line of JSON\n"
	       "  --quiet                            no progress\n"
	       "  --help\n"
	       "\n"
	       "Exit code: 0 all held; 1 one did not; 2 the command line or a case cannot be read.\n");
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static bool number(const char *text, uint64_t most, uint64_t *out)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*out = strtoull(text, &end, 10);
	return *end == '\0' && *out <= most;
}

static bool range(const char *text, uint64_t *first, uint64_t *last)
{
	char from[24];
	const char *dots = strstr(text, "..");

	if (!dots || (size_t)(dots - text) >= sizeof(from))
		return false;
	snprintf(from, sizeof(from), "%.*s", (int)(dots - text), text);
	return number(from, SEED_MAX, first) && number(dots + 2, SEED_MAX, last) && *first <= *last;
}

static int bad(const char *what, const char *value)
{
	fprintf(stderr, "parley-sim: %s: \"%s\"; see parley-sim --help\n", what, value);
	return EXIT_USAGE;
}

static void tally_one(struct tally *t, uint64_t seed, const struct sim_plan *plan, const struct sim_result *r)
{
	*t = (struct tally){ .seeds = 1, .nodes = plan->nodes, .steps = r->steps, .authored = r->entries_authored, .stored = r->entries_stored, .crashes = r->crashes,
		.virtual_ms = plan->chaos_ms + r->healed_in_ms, .worst_heal_ms = r->healed_in_ms, .worst_seed = seed, .failed = r->failed, .failed_seed = seed };
	memcpy(t->invariant, r->invariant, sizeof(t->invariant));
	memcpy(t->detail, r->detail, sizeof(t->detail));
}

static void tally_join(struct tally *to, const struct tally *t)
{
	to->nodes = t->nodes;
	to->seeds += t->seeds;
	to->steps += t->steps;
	to->authored += t->authored;
	to->stored += t->stored;
	to->crashes += t->crashes;
	to->virtual_ms += t->virtual_ms;
	if (t->worst_heal_ms > to->worst_heal_ms) {
		to->worst_heal_ms = t->worst_heal_ms;
		to->worst_seed = t->worst_seed;
	}
	if (t->failed && (!to->failed || t->failed_seed < to->failed_seed)) {
		to->failed = true;
		to->failed_seed = t->failed_seed;
		memcpy(to->invariant, t->invariant, sizeof(to->invariant));
		memcpy(to->detail, t->detail, sizeof(to->detail));
	}
}

static bool draw(const struct settings *s, uint64_t seed, struct sim_plan *plan)
{
	const bool is_drawn = sim_plan_draw(plan, s->scenario, seed, s->nodes);

	if (is_drawn && s->crypto)
		plan->real_crypto = strcmp(s->crypto, "real") == 0;
	return is_drawn;
}

/* --- many seeds, several processes: each tells of one seed after the other --- */

/* What the processes share: the lowest seed that has failed, and the seed that each is at. */
struct shared {
	_Atomic uint64_t failed_seed, at[256];
};

/* Those behind it need not be run any more. */
static void failed_at(struct shared *shared, uint64_t seed)
{
	uint64_t lowest = shared->failed_seed;

	while (seed < lowest && !atomic_compare_exchange_weak(&shared->failed_seed, &lowest, seed)) {
	}
}

static struct shared *shared_of_job;
static unsigned number_of_this_job;

/* An assertion of the engine, mostly. */
static void on_abort(int number)
{
	failed_at(shared_of_job, shared_of_job->at[number_of_this_job]);
	signal(number, SIG_DFL);
	raise(number);
}

static void job(const struct settings *s, unsigned number_of_job, struct shared *shared, int to)
{
	const struct sim_options options = { .watch = true };

	shared_of_job = shared;
	number_of_this_job = number_of_job;
	signal(SIGABRT, on_abort);

	for (uint64_t seed = s->first + number_of_job; seed <= s->last && seed < shared->failed_seed; seed += s->jobs) {
		shared->at[number_of_job] = seed;
		struct sim_plan plan;
		struct sim_result result;
		struct tally tally;
		if (!draw(s, seed, &plan))
			_exit(EXIT_USAGE);
		sim_run(&plan, &options, &result);
		tally_one(&tally, seed, &plan, &result);
		sim_plan_free(&plan);
		if (tally.failed)
			failed_at(shared, seed);
		if (write(to, &tally, sizeof(tally)) != sizeof(tally) || tally.failed)
			_exit(EXIT_BROKEN);
	}
	_exit(EXIT_HELD);
}

static void progress(const struct settings *s, const struct tally *t, double since, bool end)
{
	const double took = seconds() - since;
	const uint64_t all = s->last - s->first + 1;
	const double rate = (double)t->seeds / took;

	if (s->quiet || (!end && !isatty(STDERR_FILENO)))
		return;
	fprintf(stderr, "\rparley-sim: %" PRIu64 " of %" PRIu64 " seeds, %.0f an hour, %.2f million steps/s, %.0f s left   %s", t->seeds, all, rate * 3600,
	        (double)t->steps / took / 1e6, end ? 0.0 : (double)(all - t->seeds) / rate, end ? "\n" : "");
}

static void crashed(struct tally *t, uint64_t seed, int signal)
{
	struct tally one = { .seeds = 1, .failed = true, .failed_seed = seed, .invariant = "crash" };

	snprintf(one.detail, sizeof(one.detail), "the process ended by signal %d", signal);
	tally_join(t, &one);
}

/* False: a process ended otherwise than it should. */
static bool run_all(const struct settings *s, struct tally *out, double *took)
{
	int pipes[2];
	const double since = seconds();
	double shown = since;
	struct tally one;
	bool is_well = true;
	ssize_t got = 0;

	struct shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pids[256];

	if (shared == MAP_FAILED || pipe(pipes) != 0)
		return false;
	shared->failed_seed = UINT64_MAX;
	fflush(NULL);
	for (unsigned i = 0; i < s->jobs; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			close(pipes[0]);
			job(s, i, shared, pipes[1]);
		}
		is_well &= pids[i] > 0;
	}
	close(pipes[1]);
	while ((got = read(pipes[0], &one, sizeof(one))) == (ssize_t)sizeof(one)) {
		tally_join(out, &one);
		if (seconds() - shown > 0.5) {
			progress(s, out, since, false);
			shown = seconds();
		}
	}
	close(pipes[0]);
	for (unsigned i = 0; i < s->jobs; i++) {
		int status = 0;
		const bool is_over = waitpid(pids[i], &status, 0) == pids[i];
		is_well &= is_over && !(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE);
		if (is_over && WIFSIGNALED(status))
			crashed(out, shared->at[i], WTERMSIG(status));
	}
	munmap(shared, sizeof(*shared));
	*took = seconds() - since;
	progress(s, out, since, true);
	return is_well && got == 0;
}

/* --- one --- */

static void shrinks(uint32_t runs, uint32_t acts)
{
	fprintf(stderr, "\rparley-sim: shrinking: %u runs, %u acts left   ", runs, acts);
}

static bool save(const struct settings *s, const struct sim_plan *plan, const struct sim_result *r)
{
	char name[256];
	FILE *file;

	if (s->save)
		snprintf(name, sizeof(name), "%s", s->save);
	else
		snprintf(name, sizeof(name), "tests/sim/cases/%s-%" PRIu64 ".case", s->scenario, plan->seed);
	file = fopen(name, "w");
	if (!file) {
		fprintf(stderr, "parley-sim: %s: %s\n", name, strerror(errno));
		return false;
	}
	sim_case_write(plan, file);
	fprintf(file, "# failed: %s: %s\n", r->invariant, r->detail);
	fclose(file);
	fprintf(stderr, "parley-sim: saved as %s, with %u acts; again: parley-sim --replay %s\n", name, plan->acts_count, name);
	return true;
}

/* hash: of the trace, where it is one seed's; else NULL */
static void tell(const struct settings *s, const struct tally *t, double took, const uint64_t hash[2])
{
	if (s->json) {
		printf("{\"seeds\":%" PRIu64 ",\"steps\":%" PRIu64 ",\"authored\":%" PRIu64 ",\"stored\":%" PRIu64 ",\"crashes\":%" PRIu64
		       ",\"worst_heal_ms\":%" PRIu64 ",\"worst_seed\":%" PRIu64 ",\"seconds\":%.1f,",
		       t->seeds, t->steps, t->authored, t->stored, t->crashes, t->worst_heal_ms, t->worst_seed, took);
		if (hash)
			printf("\"trace_hash\":\"%016" PRIx64 "%016" PRIx64 "\",", hash[0], hash[1]);
		printf("\"failed\":");
		if (t->failed)
			printf("{\"seed\":%" PRIu64 ",\"invariant\":\"%s\",\"detail\":\"%s\"}}\n", t->failed_seed, t->invariant, t->detail);
		else
			printf("null}\n");
		return;
	}
	printf("%" PRIu64 " seed%s of %s, %u nodes: %" PRIu64 " entries authored, %" PRIu64 " stored, %" PRIu64 " crashes, %.1f min of virtual time, %.2f million steps; "
	       "healed within %.1f s at worst (seed %" PRIu64 ")\n",
	       t->seeds, t->seeds == 1 ? "" : "s", s->replay ? s->replay : s->scenario, t->nodes, t->authored, t->stored, t->crashes, (double)t->virtual_ms / 6e4, (double)t->steps / 1e6,
	       (double)t->worst_heal_ms / 1000, t->worst_seed);
	if (t->failed && s->replay)
		printf("FAILED: %s: %s\n", t->invariant, t->detail);
	else if (t->failed)
		printf("FAILED: seed %" PRIu64 ": %s: %s\n  again: tests/sim/parley-sim --scenario %s --nodes %u --seed %" PRIu64 "%s%s --trace\n  smaller: the same with --shrink\n",
		       t->failed_seed, t->invariant, t->detail, s->scenario, s->nodes, t->failed_seed, s->crypto ? " --crypto " : "", s->crypto ? s->crypto : "");
}

static int run_one(const struct settings *s)
{
	const struct sim_options options = { .watch = true, .trace = s->trace ? stdout : NULL };
	struct sim_plan plan;
	struct sim_result result;
	struct tally tally;
	char why[200];
	const double since = seconds();

	if (s->replay) {
		FILE *file = strcmp(s->replay, "-") == 0 ? stdin : fopen(s->replay, "r");
		if (!file) {
			fprintf(stderr, "parley-sim: %s: %s\n", s->replay, strerror(errno));
			return EXIT_USAGE;
		}
		const bool is_read = sim_case_read(&plan, file, why, sizeof(why));
		fclose(file);
		if (!is_read)
			return bad(why, s->replay);
	} else if (!draw(s, s->first, &plan)) {
		return bad("there is no such scenario", s->scenario);
	}
	sim_run(&plan, &options, &result);
	tally_one(&tally, plan.seed, &plan, &result);
	tell(s, &tally, seconds() - since, result.hash);
	if (!s->json)
		printf("trace hash %016" PRIx64 "%016" PRIx64 "\n", result.hash[0], result.hash[1]);
	bool is_saved = true;
	if (result.failed && s->shrink) {
		sim_shrink(&plan, &result, 2000, s->quiet ? NULL : shrinks);
		is_saved = save(s, &plan, &result);
	}
	sim_plan_free(&plan);
	return !is_saved ? EXIT_USAGE : result.failed ? EXIT_BROKEN : EXIT_HELD;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' },     { "seeds", required_argument, NULL, 'S' }, { "nodes", required_argument, NULL, 'n' },
		{ "scenario", required_argument, NULL, 'c' }, { "jobs", required_argument, NULL, 'j' },  { "trace", no_argument, NULL, 't' },
		{ "shrink", no_argument, NULL, 'k' },         { "save", required_argument, NULL, 'o' },  { "json", no_argument, NULL, 'J' },
		{ "quiet", no_argument, NULL, 'q' },          { "replay", required_argument, NULL, 'r' }, { "help", no_argument, NULL, 'h' },
		{ "crypto", required_argument, NULL, 'C' },   { "scenarios", no_argument, NULL, 'l' },
		{ 0 },
	};
	struct settings s = { .scenario = "crisis", .first = 1, .last = 100, .nodes = 7, .jobs = 2 };
	struct tally tally = { 0 };
	struct sim_plan probe;
	bool has_seed = false, has_seeds = false;
	uint64_t n;
	double took = 0;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 's':
			if (!number(optarg, SEED_MAX, &s.first))
				return bad("--seed takes a number of up to 20 digits, below 2^64 - 1", optarg);
			s.last = s.first;
			has_seed = true;
			break;
		case 'S':
			if (!range(optarg, &s.first, &s.last))
				return bad("--seeds takes A..B, two numbers below 2^64 - 1 of which the second is not the smaller", optarg);
			has_seeds = true;
			break;
		case 'n':
			if (!number(optarg, 64, &n) || n < 2)
				return bad("--nodes takes 2 to 64", optarg);
			s.nodes = (uint16_t)n;
			break;
		case 'j':
			if (!number(optarg, 256, &n) || n < 1)
				return bad("--jobs takes 1 to 256", optarg);
			s.jobs = (unsigned)n;
			break;
		case 'c': s.scenario = optarg; break;
		case 'C':
			if (strcmp(optarg, "real") != 0 && strcmp(optarg, "keyed-hash") != 0)
				return bad("--crypto takes real or keyed-hash", optarg);
			s.crypto = optarg;
			break;
		case 'r': s.replay = optarg; break;
		case 'o': s.save = optarg; break;
		case 't': s.trace = true; break;
		case 'k': s.shrink = true; break;
		case 'J': s.json = true; break;
		case 'q': s.quiet = true; break;
		case 'l': scenarios(true); return EXIT_HELD;
		case 'h': usage(); return EXIT_HELD;
		default: fprintf(stderr, "see parley-sim --help\n"); return EXIT_USAGE; /* getopt has said what it is */
		}
	}
	if (optind < argc)
		return bad("this is not an option", argv[optind]);
	if (has_seed && has_seeds)
		return bad("--seed and --seeds exclude each other", "--seeds");
	if (!s.replay) {
		if (!sim_plan_draw(&probe, s.scenario, 1, s.nodes))
			return bad("there is no such scenario", s.scenario);
		sim_plan_free(&probe);
	}
	if (s.replay || s.first == s.last)
		return run_one(&s);
	if (s.trace || s.shrink)
		return bad("--trace and --shrink take one seed", "--seeds");
	const bool is_well = run_all(&s, &tally, &took);
	tell(&s, &tally, took, NULL);
	if (!is_well) {
		fprintf(stderr, "parley-sim: a process has ended as it should not; --jobs 1 and --seed find where\n");
		return EXIT_BROKEN;
	}
	return tally.failed ? EXIT_BROKEN : EXIT_HELD;
}
