/* bench-sim: how entries spread in networks of 200 to 10,000 nodes, beside flooding and a gossipsub-like mesh on the same links. Prints a table;
 * --plot DIR leaves the distributions there for gnuplot (bench_sim.gp). Everything but the seconds that it takes is a function of the seed. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/bench.h"
#include "tests/sim/sim_impl.h"

static const struct bench_silence silences[] = {
	{ "0", "all pass on what they get", 0, false },
	{ "30", "30 % withhold, and always have", 300000, false },
	{ "30-later", "30 % withhold from the fifth message on, when the trees stand", 300000, true },
};

double bench_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

enum what { SPREAD, HEAL, CATCHUP, CATCHUP_WHOLE };

/* Each in a process of its own, so that its memory is its own. */
static bool in_process(enum what what, uint16_t nodes, const struct bench_silence *silence, uint64_t seed, const char *dir)
{
	int status;

	fflush(NULL);
	const pid_t pid = fork();
	if (pid == 0) {
		switch (what) {
		case SPREAD: bench_spread(nodes, silence, seed, dir); break;
		case HEAL: bench_heal(nodes, seed); break;
		case CATCHUP: bench_catchup(nodes, false, seed); break;
		case CATCHUP_WHOLE: bench_catchup(nodes, true, seed); break;
		}
		fflush(NULL);
		_exit(0);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void usage(FILE *file)
{
	fprintf(file, "bench_sim: how entries spread, in the simulator: see tests/README.md, \"How entries spread\"\n"
	        "  --sizes N,N...       of the networks; 200,1000,10000 if not said; 0: none\n"
	        "  --silent SHARE       0, 30 or 30-later; all three if not said\n"
	        "  --heal N             two halves of N nodes in all, after an hour; 200 if not said; 0: not\n"
	        "  --catch-up N,N...    one of N nodes comes back, each; 7,200 if not said; 0: not\n"
	        "  --seed N             1 if not said\n"
	        "  --plot DIR           leaves distributions there, for bench_sim.gp\n");
}

/* Reads the next number of a list, "200,1000"; 0 alone is an empty list. 1: there is one, 0: no more, -1: it is none of least to most. */
static int next_size(const char **list, long least, long most, uint16_t *out)
{
	char *end;

	if (**list == '\0' || strcmp(*list, "0") == 0)
		return 0;
	const long nodes = strtol(*list, &end, 10);
	if (end == *list || (*end != ',' && *end != '\0') || nodes < least || nodes > most) {
		fprintf(stderr, "bench_sim: a network has %ld to %ld nodes here, not \"%s\"\n", least, most, *list);
		return -1;
	}
	*out = (uint16_t)nodes;
	*list = *end == ',' ? end + 1 : end;
	return 1;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "sizes", required_argument, NULL, 's' },    { "silent", required_argument, NULL, 'm' }, { "heal", required_argument, NULL, 'H' },
		{ "catch-up", required_argument, NULL, 'c' }, { "seed", required_argument, NULL, 'S' },   { "plot", required_argument, NULL, 'p' },
		{ "help", no_argument, NULL, 'h' },           { 0 },
	};
	const char *sizes = "200,1000,10000", *heal = "200", *catch_up = "7,200", *dir = NULL, *silent = NULL;
	uint64_t seed = 1;
	uint16_t nodes;
	bool is_well = true, is_known = false;
	int more;

	for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
		switch (c) {
		case 's': sizes = optarg; break;
		case 'm': silent = optarg; break;
		case 'H': heal = optarg; break;
		case 'c': catch_up = optarg; break;
		case 'S': seed = strtoull(optarg, NULL, 10); break;
		case 'p': dir = optarg; break;
		case 'h': usage(stdout); return 0;
		default: usage(stderr); return 2;
		}
	}
	for (size_t i = 0; i < sizeof(silences) / sizeof(*silences); i++)
		is_known |= !silent || strcmp(silent, silences[i].name) == 0;
	if (!is_known || optind < argc) {
		fprintf(stderr, is_known ? "bench_sim: \"%s\" is no option\n" : "bench_sim: --silent takes 0, 30 or 30-later, not \"%s\"\n",
		        is_known ? argv[optind] : silent);
		return 2;
	}
	while ((more = next_size(&sizes, 2 * BENCH_AUTHORS, SIM_NODES_MAX, &nodes)) > 0) {
		for (size_t i = 0; i < sizeof(silences) / sizeof(*silences); i++)
			is_well &= (silent && strcmp(silent, silences[i].name) != 0) || in_process(SPREAD, nodes, &silences[i], seed, dir);
	}
	if (more < 0)
		return 2;
	while ((more = next_size(&heal, 2 * BENCH_AUTHORS, SIM_PATHS_NODES_MAX, &nodes)) > 0)
		is_well &= in_process(HEAL, nodes, NULL, seed, dir);
	if (more < 0)
		return 2;
	while ((more = next_size(&catch_up, BENCH_AUTHORS + 1, PL_NODES_MAX, &nodes)) > 0)
		is_well &= in_process(CATCHUP, nodes, NULL, seed, dir) && in_process(CATCHUP_WHOLE, nodes, NULL, seed, dir);
	return more < 0 ? 2 : is_well ? 0 : 1;
}
