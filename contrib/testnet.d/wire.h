/* wire: what stands between the nodes of a test network, and can be made a bad wire. One process serves all links of a network, in one of
 * two ways:
 *   stream   nodes dial it on loopback addresses, and it passes TCP connections on. What it delays, changes or leaves out is a record: what
 *            a link of Parley carries behind a length of two bytes. So the nodes see what a transport or somebody on the way shows them:
 *            loss is a stall, as a retransmission makes it; a record that is flipped, doubled or out of order arrives so.
 *   packet   nodes live in network namespaces, whose one interface is a TUN device that wire holds. It passes IP packets on, or does not;
 *            TCP of the kernel deals with what becomes of them.
 *
 * Terms: a link joins two nodes and has two ways, from each to the other. A unit is a record or a packet. What happens to a unit is drawn
 * from a generator of its way, as many numbers for each unit whatever the faults are: it is a function of the seed and of how many units
 * went that way before.
 *
 * To add a fault: its name and range in the table of wire_faults.c, and what it does in way_pass() there.
 */
#ifndef TESTNET_WIRE_H
#define TESTNET_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_BYTES 4       /* a state's code and a zero */
#define NODES_MAX 26
#define FAULT_TEXT_MAX 256
#define QUEUE_BYTES_MAX (1 << 18) /* of a way without a rate */
#define QUEUE_BYTES_MIN (1 << 14) /* with one: what it passes in half a second, between the two */

enum fault { DELAY, JITTER, LOSS, DUPLICATE, REORDER, FLIP, RATE, FAULTS };

/* A unit on its way, until it is due. */
struct unit {
	struct unit *next;
	uint64_t due_us;
	size_t count;
	uint8_t bytes[];
};
struct queue {
	struct unit *first;
	uint64_t last_due_us; /* nothing overtakes but what REORDER holds back */
	size_t bytes;
	unsigned heals; /* of its way, of which it knows */
};

struct way {
	char from[NAME_BYTES], to[NAME_BYTES];
	bool is_cut;
	bool is_stream;
	uint64_t faults[FAULTS]; /* microseconds; units in a million; bits a second, 0: as fast as it goes */
	uint64_t random_state;
	uint64_t free_us; /* RATE: when the wire is free again */
	unsigned heals;
	uint64_t passed, lost, duplicated, reordered, flipped;
};
struct link {
	struct way ways[2]; /* from the node that dials, to it */
};

extern struct link *links;
extern size_t links_count;

/* --- wire.c --- */

void fail(const char *what) __attribute__((noreturn)); /* with errno */
uint64_t now_us(void);
/* The way between two nodes, or NULL. */
struct way *find_way(const char *from, const char *to);
/* Has poll() look at a descriptor; the result is what watched() takes afterwards for what it saw. Sleeps no longer than wake_at() says. */
size_t watch(int fd, short events);
short watched(size_t at);
void wake_at(uint64_t time_us);

/* --- wire_faults.c --- */

void way_seed(struct way *way, uint64_t seed);
void way_heal(struct way *way);
/* "delay=80ms", "loss=2%", "rate=256k", "seed=7". Returns NULL or, in a buffer of its own, a sentence that says what is wrong. */
const char *way_set(struct way *way, const char *word);
/* What is not as on a good wire, in words that way_set() takes. */
void way_print(const struct way *way, char text[FAULT_TEXT_MAX]);
/* Takes a unit in, and lets fate have its way with it. */
void way_pass(struct way *way, struct queue *queue, const uint8_t *bytes, size_t count);
/* The unit that is due, taken out, or NULL; then what comes next, if anything, wakes up poll(). After its way has healed, all is due. */
bool queue_is_full(const struct queue *queue, const struct way *way);
struct unit *queue_take_due(struct queue *queue, const struct way *way);
struct unit *queue_take(struct queue *queue);
void queue_clear(struct queue *queue);

/* --- wire_stream.c, wire_packet.c: each has descriptors watched, and then serves them --- */

/* Connections that come at one address go on to the other, as HOST:PORT. */
void stream_add(struct link *link, const char *listen_at, const char *to);
void stream_watch(void);
void stream_serve(void);
/* A node in the namespace that a path such as /run/netns/NAME leads to, with an IPv4 address. */
void packet_add(const char *name, const char *namespace, const char *address);
void packet_watch(void);
void packet_serve(void);

#endif
