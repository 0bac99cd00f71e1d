#include "contrib/testnet.d/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STALL_US 250000  /* a lost record comes again after so long, and all behind it waits, as TCP has it */
#define LATE_US 20000    /* what comes within this time overtakes a unit that is out of order */
#define DRAWS_PER_UNIT 7

enum kind { TIME, SHARE, BITS, KINDS };
static const struct {
	const char *name;
	enum kind kind;
} table[FAULTS] = {
	[DELAY] = { "delay", TIME },     [JITTER] = { "jitter", TIME }, [LOSS] = { "loss", SHARE }, [DUPLICATE] = { "duplicate", SHARE },
	[REORDER] = { "reorder", SHARE }, [FLIP] = { "flip", SHARE },    [RATE] = { "rate", BITS },
};
static const struct {
	const char *form, *unit; /* as it is asked for, and as it is printed */
	double factor, max;      /* of that unit; as it is kept */
} kinds[KINDS] = {
	[TIME] = { "a time of at most 60 s, such as 80ms", "ms", 1e3, 60e6 },
	[SHARE] = { "a share of 0% to 100%, such as 0.5%", "%", 1e4, 1e6 },
	[BITS] = { "bits a second, such as 256k or 10M; 0: no limit", "", 1, 1e12 },
};
static const struct {
	enum kind kind;
	const char *text;
	double factor;
} units[] = {
	{ TIME, "", 1e3 }, { TIME, "us", 1 }, { TIME, "ms", 1e3 }, { TIME, "s", 1e6 }, { SHARE, "", 1e4 },
	{ SHARE, "%", 1e4 }, { BITS, "", 1 },  { BITS, "k", 1e3 },  { BITS, "M", 1e6 }, { BITS, "G", 1e9 },
};

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

void way_seed(struct way *way, uint64_t seed)
{
	way->random_state = seed;
	for (int i = 0; i < NAME_BYTES - 1; i++) {
		way->random_state ^= (uint64_t)(uint8_t)way->from[i] << 8 | (uint8_t)way->to[i];
		way->random_state = draw(&way->random_state);
	}
}

void way_heal(struct way *way)
{
	way->is_cut = false;
	way->free_us = 0;
	way->heals++;
	memset(way->faults, 0, sizeof(way->faults));
}

static bool parse(enum kind kind, const char *text, uint64_t *out)
{
	char *end;

	if (text[0] < '0' || text[0] > '9' || text[1] == 'x' || text[1] == 'X')
		return false;
	const double number = strtod(text, &end);
	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++) {
		if (units[i].kind == kind && strcmp(end, units[i].text) == 0 && number * units[i].factor <= kinds[kind].max) {
			*out = (uint64_t)(number * units[i].factor + 0.5);
			return true;
		}
	}
	return false;
}

const char *way_set(struct way *way, const char *word)
{
	static char wrong[FAULT_TEXT_MAX];
	const char *equals = strchr(word, '=');
	const size_t count = equals ? (size_t)(equals - word) : strlen(word);
	char *end;

	if (equals && strncmp(word, "seed=", 5) == 0) {
		const uint64_t seed = strtoull(equals + 1, &end, 10);
		if (equals[1] >= '0' && equals[1] <= '9' && *end == '\0') {
			way_seed(way, seed);
			return NULL;
		}
		snprintf(wrong, sizeof(wrong), "seed: \"%.40s\" is not a number", equals + 1);
		return wrong;
	}
	for (enum fault i = 0; equals && i < FAULTS; i++) {
		if (strlen(table[i].name) != count || memcmp(table[i].name, word, count) != 0)
			continue;
		if (parse(table[i].kind, equals + 1, &way->faults[i]))
			return NULL;
		snprintf(wrong, sizeof(wrong), "%s: \"%.40s\" is not %s", table[i].name, equals + 1, kinds[table[i].kind].form);
		return wrong;
	}
	snprintf(wrong, sizeof(wrong), "there is no fault \"%.40s\"; there are delay, jitter, loss, duplicate, reorder, flip, rate and seed", word);
	return wrong;
}

void way_print(const struct way *way, char text[FAULT_TEXT_MAX])
{
	size_t at = 0;

	text[0] = '\0';
	for (enum fault i = 0; i < FAULTS; i++) {
		if (way->faults[i] == 0)
			continue;
		at += (size_t)snprintf(text + at, FAULT_TEXT_MAX - at, "%s%s=%.12g%s", at > 0 ? " " : "", table[i].name,
			               (double)way->faults[i] / kinds[table[i].kind].factor, kinds[table[i].kind].unit);
	}
}

static void queue_put(struct queue *queue, const uint8_t *bytes, size_t count, uint64_t due_us)
{
	struct unit *unit = malloc(sizeof(*unit) + count), **at = &queue->first;

	if (!unit)
		fail("memory");
	unit->due_us = due_us;
	unit->count = count;
	memcpy(unit->bytes, bytes, count);
	while (*at && (*at)->due_us <= due_us)
		at = &(*at)->next;
	unit->next = *at;
	*at = unit;
	queue->bytes += count;
}

struct unit *queue_take(struct queue *queue)
{
	struct unit *unit = queue->first;

	queue->first = unit->next;
	queue->bytes -= unit->count;
	return unit;
}

bool queue_is_full(const struct queue *queue, const struct way *way)
{
	uint64_t max = way->faults[RATE] / 8 / 2;

	if (max == 0 || max > QUEUE_BYTES_MAX)
		max = QUEUE_BYTES_MAX;
	if (max < QUEUE_BYTES_MIN)
		max = QUEUE_BYTES_MIN;
	return queue->bytes > max;
}

struct unit *queue_take_due(struct queue *queue, const struct way *way)
{
	const uint64_t now = now_us();

	if (queue->heals != way->heals) {
		for (struct unit *unit = queue->first; unit; unit = unit->next)
			unit->due_us = now;
		queue->last_due_us = now;
		queue->heals = way->heals;
	}
	if (!queue->first)
		return NULL;
	if (queue->first->due_us <= now)
		return queue_take(queue);
	wake_at(queue->first->due_us);
	return NULL;
}

void queue_clear(struct queue *queue)
{
	while (queue->first)
		free(queue_take(queue));
}

void way_pass(struct way *way, struct queue *queue, const uint8_t *bytes, size_t count)
{
	uint64_t drawn[DRAWS_PER_UNIT];
	bool happens[FAULTS];
	uint8_t *changed = NULL;
	const uint64_t now = now_us();

	for (int i = 0; i < DRAWS_PER_UNIT; i++)
		drawn[i] = draw(&way->random_state);
	for (enum fault i = LOSS; i <= FLIP; i++)
		happens[i] = drawn[i - LOSS] % 1000000 < way->faults[i];
	uint64_t due = now > way->free_us ? now : way->free_us;
	if (way->faults[RATE] > 0)
		due = way->free_us = due + (uint64_t)count * 8 * 1000000 / way->faults[RATE];
	due += way->faults[DELAY] + (way->faults[JITTER] > 0 ? drawn[4] % (way->faults[JITTER] + 1) : 0);
	if (happens[LOSS]) {
		way->lost++;
		if (!way->is_stream)
			return;
		due += STALL_US;
	}
	if (due < queue->last_due_us)
		due = queue->last_due_us;
	queue->last_due_us = due;
	if (happens[REORDER]) {
		way->reordered++;
		due += LATE_US;
	}
	if (happens[FLIP]) {
		changed = malloc(count);
		if (!changed)
			fail("memory");
		memcpy(changed, bytes, count);
		changed[drawn[5] % count] ^= (uint8_t)(1u << drawn[6] % 8);
		bytes = changed;
		way->flipped++;
	}
	queue_put(queue, bytes, count, due);
	way->passed++;
	if (happens[DUPLICATE]) {
		queue_put(queue, bytes, count, due);
		way->duplicated++;
	}
	free(changed);
}
