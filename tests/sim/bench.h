/* The parts of bench-sim. Each prints its part of the table. */
#ifndef PL_TESTS_SIM_BENCH_H
#define PL_TESTS_SIM_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_AUTHORS 4
#define BENCH_CANDIDATES 16 /* that a node could dial, where there are too many for a charter; its engine chooses 8 */
#define BENCH_FIRST_MS 15000 /* when the first message is said: all links are up long before */
#define BENCH_COMMIT_US 4000

/* Who says nothing. */
struct bench_silence {
	const char *name, *what;
	uint32_t ppm;
	bool later; /* only when the trees stand */
};

/* How messages spread; dir: gets the distributions, NULL: not. */
void bench_spread(uint16_t nodes, const struct bench_silence *silence, uint64_t seed, const char *dir);
/* Two halves that have not heard of each other for an hour. */
void bench_heal(uint16_t nodes, uint64_t seed);
/* One comes back that has missed 10,000 entries of one author; whole_frontiers: the other knows no tags. */
void bench_catchup(uint16_t nodes, bool whole_frontiers, uint64_t seed);
double bench_seconds(void);

#endif
