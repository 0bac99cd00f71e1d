/* rawpeer: a peer that does not keep to the protocol.
 *
 *   rawpeer ADDRESS STORY SEED [DIR NODE [ARG…]]      address as HOST:PORT, IPv4
 *
 * DIR is the folder of a node, for the network and, in the stories that have a session, for its key, under $PARLEY_PASSPHRASE; NODE the name of
 * who listens at ADDRESS. The same SEED makes the same chances. Exit code 1: the node does not do what it must.
 *
 * Of one connection: it tells the story, says "told" on stderr, and waits for the node to hang up; says after how long, and how many bytes had
 * come back.
 *
 *   silent    says nothing                            drip      sends message 1 at 5 bytes a second
 *   junk      bytes of no meaning                     junk3     messages 1 and 2 are right, message 3 is junk
 *   stranger  a handshake with a key of nobody        old       message 1 of eleven minutes ago
 *   replay    message 1 for the second time           other     message 1 of another network
 *
 * After a whole handshake, as the node of DIR:
 *
 *   mute      no HELLO                                early     PING before HELLO
 *   records   junk instead of a record                giant     a record of 65,535 bytes
 *   frames    a record full of junk                   charter   HELLO with another charter
 *   entry     an entry that is none                   forged    an entry whose signature is junk, and so on until it is cut
 *
 * Longer ones, each in a file of its own, which says what it is told by ARG:
 *
 *   flood     a member that sends entries as fast as it can
 *   crowd     thousands of connections that are half open
 *   fields    every field of every frame at and beyond its limits      known     only names the frames that fields knows
 *   states    garbage in every state of a session                          drain     goes on sending to a node that stops
 *   withhold  a neighbour that is of no use
 */
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/integration/rawpeer.h"

#define DRIP_MS 200
#define JUNK_BYTES_MAX 65536

static struct peer peer;
static const char *peer_address;
static uint64_t story_seed;

static void silent(void) {}

static void junk(void)
{
	static uint8_t bytes[JUNK_BYTES_MAX];

	peer_draw(bytes, sizeof(bytes));
	peer_send(&peer, bytes, 1 + story_seed * 7919 % sizeof(bytes));
}

static void drip(void)
{
	struct pollfd poller = { peer.fd, POLLIN, 0 };
	uint8_t first[PL_HANDSHAKE_BYTES_1];

	peer_first(&peer, peer_wall_ms(), first);
	for (size_t i = 0; i < sizeof(first) && poll(&poller, 1, DRIP_MS) == 0; i++)
		peer_send(&peer, first + i, 1);
}

static void send_first(uint64_t wall_ms)
{
	uint8_t first[PL_HANDSHAKE_BYTES_1];

	peer_first(&peer, wall_ms, first);
	peer_send(&peer, first, sizeof(first));
}

static void old(void) { send_first(peer_wall_ms() - 660000); }

static void other(void)
{
	peer.network_id[0] ^= 1;
	send_first(peer_wall_ms());
}

static void replay(void)
{
	uint8_t first[PL_HANDSHAKE_BYTES_1], again[PL_HANDSHAKE_BYTES_2];

	peer_first(&peer, peer_wall_ms(), first);
	peer_send(&peer, first, sizeof(first));
	if (peer_receive(&peer, again, sizeof(again), PEER_PATIENCE_MS) == 0)
		peer_fail("message 1 is not answered the first time");
	peer_close(&peer);
	peer_dial(&peer, peer_address);
	peer_send(&peer, first, sizeof(first));
}

static void junk3(void)
{
	uint8_t third[PL_HANDSHAKE_BYTES_3];

	peer_handshake_up_to_3(&peer, third);
	peer_draw(third + 2, sizeof(third) - 2);
	peer_send(&peer, third, sizeof(third));
}

static void stranger(void)
{
	uint8_t third[PL_HANDSHAKE_BYTES_3];

	peer_draw(peer.static_secret, sizeof(peer.static_secret));
	peer_handshake_up_to_3(&peer, third);
	peer_send(&peer, third, sizeof(third));
}

static void mute(void) { peer_handshake(&peer); }

static void early(void)
{
	uint8_t ping[8 + PL_ID_BYTES];

	peer_handshake(&peer);
	peer_draw(ping, sizeof(ping));
	peer_frame(&peer, PL_FRAME_PING, 0, 0, ping, sizeof(ping));
	peer_flush(&peer);
}

static void junk_instead_of_a_record(uint16_t length, size_t count)
{
	static uint8_t bytes[PL_RECORD_PLAIN_BYTES_MAX];

	peer_handshake(&peer);
	peer_draw(bytes, sizeof(bytes));
	bytes[0] = (uint8_t)(length >> 8);
	bytes[1] = (uint8_t)length;
	peer_send(&peer, bytes, count);
}

static void records(void) { junk_instead_of_a_record(256 + 16, 4096); }
static void giant(void) { junk_instead_of_a_record(0xffff, PL_RECORD_PLAIN_BYTES_MAX); }

static void greet(void)
{
	peer_handshake(&peer);
	peer_hello(&peer);
	peer_flush(&peer);
	peer_frontier(&peer);
	peer_flush(&peer);
}

static void frames(void)
{
	static uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX];

	greet();
	peer_draw(plain, sizeof(plain));
	peer_record(&peer, plain, sizeof(plain));
}

static void charter(void)
{
	peer_handshake(&peer);
	peer_charter.network_id[0] ^= 1;
	peer_hello(&peer);
	peer_flush(&peer);
}

static void entry(void)
{
	uint8_t bytes[1000];

	greet();
	peer_draw(bytes, sizeof(bytes));
	peer_frame(&peer, PL_FRAME_ENTRY, 0, 1, bytes, sizeof(bytes));
	peer_flush(&peer);
}

/* The first entry of lane 1 of our own feed, all right but for its signature. */
static void forged(void)
{
	uint8_t body[512], entry_header[PL_ENTRY_HEADER_BYTES];

	greet();
	for (int i = 0; i < 100; i++) {
		peer_draw(body, sizeof(body));
		const struct pl_header header = peer_next(1, PL_KIND_MESSAGE, 0, body, sizeof(body));
		pl_header_encode(&header, entry_header);
		peer_draw(entry_header + PL_HEADER_BYTES, PL_SIGN_BYTES);
		peer_entry(&peer, entry_header, PL_WIRE_FORM_NEXT, body, sizeof(body), 0);
		peer_flush(&peer);
	}
}

static const struct {
	const char *name;
	bool is_stranger; /* needs no DIR */
	void (*tell)(void);
} stories[] = {
	{ "silent", true, silent }, { "junk", true, junk }, { "drip", false, drip }, { "junk3", false, junk3 }, { "stranger", false, stranger },
	{ "old", false, old }, { "other", false, other }, { "replay", false, replay }, { "mute", false, mute }, { "early", false, early },
	{ "records", false, records }, { "giant", false, giant }, { "frames", false, frames }, { "charter", false, charter },
	{ "entry", false, entry }, { "forged", false, forged },
};

static const struct {
	const char *name;
	void (*tell)(const char *address, int args_count, char **args);
} long_stories[] = {
	{ "flood", rawpeer_flood }, { "crowd", rawpeer_crowd }, { "fields", rawpeer_fields }, { "known", rawpeer_known },
	{ "states", rawpeer_states }, { "drain", rawpeer_drain }, { "withhold", rawpeer_withhold },
	{ "again", rawpeer_again },
};

int main(int argc, char **argv)
{
	static uint8_t bytes[65536];

	if (argc < 4 || argc == 5) {
		fputs("usage: rawpeer ADDRESS STORY SEED [DIR NODE [ARG...]]\n", stderr);
		return 2;
	}
	if (sodium_init() < 0)
		peer_fail("libsodium cannot be used");
	peer_address = argv[1];
	story_seed = strtoull(argv[3], NULL, 10);
	peer_seed(story_seed);
	if (argc > 5)
		peer_read_folder(argv[4], argv[5]);
	for (size_t i = 0; argc > 5 && i < sizeof(long_stories) / sizeof(*long_stories); i++) {
		if (strcmp(argv[2], long_stories[i].name) == 0) {
			long_stories[i].tell(peer_address, argc - 6, argv + 6);
			return 0;
		}
	}
	for (size_t i = 0; i < sizeof(stories) / sizeof(*stories); i++) {
		if (strcmp(argv[2], stories[i].name) != 0 || (argc == 4 && !stories[i].is_stranger))
			continue;
		peer_dial(&peer, peer_address);
		const uint64_t since_ms = peer_clock_ms();
		stories[i].tell();
		fputs("told\n", stderr);
		while (peer_receive(&peer, bytes, sizeof(bytes), PEER_PATIENCE_MS) > 0)
			;
		printf("hung up after %llu ms, %zu bytes came back\n", (unsigned long long)(peer_clock_ms() - since_ms), peer.received);
		return 0;
	}
	peer_fail("no such story, or it needs DIR and NODE");
}
