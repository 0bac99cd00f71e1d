/* Streams of pseudo-random numbers (xoshiro256**, Blackman and Vigna 2018, seeded by splitmix64). One for each purpose, so that an event that
 * is taken out of a run does not shift what the others draw. Integers alone, so that every compiler gets the same.
 */
#ifndef PL_TESTS_SIM_RNG_H
#define PL_TESTS_SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rng {
	uint64_t s[4];
};

#define RNG_PPM 1000000u

static inline uint64_t rng_mix(uint64_t x)
{
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

static inline struct rng rng_stream(uint64_t seed, uint64_t purpose, uint64_t number)
{
	uint64_t x = rng_mix(seed + 0x9e3779b97f4a7c15u) ^ rng_mix(purpose * 0xd1342543de82ef95u + 1) ^ rng_mix(number * 0xaf251af3b0f025b5u + 2);
	struct rng rng;

	for (int i = 0; i < 4; i++)
		rng.s[i] = rng_mix(x += 0x9e3779b97f4a7c15u);
	return rng;
}

static inline uint64_t rng_turn(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t *s = rng->s;
	const uint64_t result = rng_turn(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rng_turn(s[3], 45);
	return result;
}

/* 0..n-1; n > 0 */
static inline uint64_t rng_below(struct rng *rng, uint64_t n)
{
	return rng_next(rng) % n; /* n is small beside 2^64: the bias does not show */
}

static inline uint64_t rng_between(struct rng *rng, uint64_t least, uint64_t most)
{
	return least + rng_below(rng, most - least + 1);
}

static inline bool rng_chance(struct rng *rng, uint32_t ppm)
{
	return rng_below(rng, RNG_PPM) < ppm;
}

static inline void rng_bytes(struct rng *rng, uint8_t *out, size_t count)
{
	for (size_t at = 0; at < count; at += 8) {
		const uint64_t x = rng_next(rng);
		memcpy(out + at, &x, count - at < 8 ? count - at : 8);
	}
}

#endif
