/* rawpeer: a peer that does not keep to the protocol.
 *
 *   rawpeer ADDRESS STORY SEED [DIR NODE]      address as HOST:PORT, IPv4
 *
 * Tells its story to the node that listens at ADDRESS, says "told" on stderr, and waits for it to hang up; says after how long, and how
 * many bytes had come back. DIR is the folder of a node, for the network and, in the stories that have a session, for its key, under
 * $PARLEY_PASSPHRASE; NODE the name of who listens. Exit code 1: it does not hang up in time.
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
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "node/keys.h"
#include "proto/charter.h"
#include "proto/frame.h"
#include "proto/handshake.h"
#include "proto/record.h"

#define PATIENCE_MS 30000
#define DRIP_MS 200

static int fd;
static size_t received;
static uint8_t seed[randombytes_SEEDBYTES];
static uint32_t drawn;
static struct pl_charter charter;
static struct pl_node_keys keys;
static uint16_t listener_node, self;
static struct pl_handshake handshake;
static uint8_t own_secret[32], ephemeral_secret[32];

static void fail(const char *what)
{
	fprintf(stderr, "rawpeer: %s\n", what);
	exit(2);
}

static void draw(uint8_t *out, size_t count)
{
	uint8_t once[randombytes_SEEDBYTES];

	memcpy(once, seed, sizeof(once));
	memcpy(once, &drawn, sizeof(drawn));
	drawn++;
	randombytes_buf_deterministic(out, count, once);
}

static uint64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void dial(const char *address)
{
	struct sockaddr_in to = { .sin_family = AF_INET };
	const char *colon = strrchr(address, ':');
	char host[64];

	if (!colon || (size_t)(colon - address) >= sizeof(host))
		fail("an address is HOST:PORT");
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = '\0';
	to.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	fd = socket(AF_INET, SOCK_STREAM, 0);
	if (inet_pton(AF_INET, host, &to.sin_addr) != 1 || fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		fail(strerror(errno));
}

/* What is sent to one that has hung up already is for nobody; that shows when its end of the connection is read. */
static void send_all(const uint8_t *bytes, size_t count)
{
	while (count > 0) {
		const ssize_t sent = send(fd, bytes, count, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		bytes += sent;
		count -= (size_t)sent;
	}
}

/* Up to so many bytes, or until it hangs up: then 0. */
static size_t receive(uint8_t *out, size_t max, int timeout_ms)
{
	struct pollfd poller = { fd, POLLIN, 0 };

	if (poll(&poller, 1, timeout_ms) == 0) {
		printf("does not hang up in %d ms\n", timeout_ms);
		exit(1);
	}
	const ssize_t count = recv(fd, out, max, 0);
	if (count <= 0)
		return 0;
	received += (size_t)count;
	return (size_t)count;
}

static void wait_for_end(uint64_t since_ms)
{
	uint8_t bytes[65536];

	while (receive(bytes, sizeof(bytes), PATIENCE_MS) > 0)
		;
	printf("hung up after %llu ms, %zu bytes came back\n", (unsigned long long)(clock_ms(CLOCK_MONOTONIC) - since_ms), received);
}

static void read_folder(const char *dir, const char *node)
{
	const char *passphrase = getenv("PARLEY_PASSPHRASE");
	char path[1024], why[512], at[PL_MEMBER_CODE_BYTES + 1];
	uint8_t *document;
	size_t count;

	snprintf(path, sizeof(path), "%s/charter.plc", dir);
	if (pl_file_read(path, PL_CHARTER_BYTES_MAX, &document, &count, why, sizeof(why)) != PL_OK)
		fail(why);
	if (pl_charter_read(document, count, &charter, at) != PL_OK)
		fail("the charter is none");
	free(document);
	listener_node = pl_charter_find_name(&charter, node);
	snprintf(path, sizeof(path), "%s/node.key", dir);
	if (!passphrase || pl_key_read_node(path, passphrase, &keys, why, sizeof(why)) != PL_OK)
		fail(passphrase ? why : "there is no $PARLEY_PASSPHRASE");
	self = pl_charter_find_node(&charter, keys.node_id);
	if (listener_node == PL_NODE_NONE || self == PL_NODE_NONE)
		fail("a node is not in the charter");
	memcpy(own_secret, keys.noise_secret, sizeof(own_secret));
}

static struct pl_handshake_keys handshake_keys(void)
{
	return (struct pl_handshake_keys){ .network_id = charter.network_id, .static_secret = own_secret,
	                                   .remote_static = charter.nodes[listener_node].certificate.noise_public };
}

static void first_message(uint64_t wall_ms, uint8_t out[PL_HANDSHAKE_BYTES_1])
{
	const struct pl_handshake_keys hs_keys = handshake_keys();

	draw(ephemeral_secret, sizeof(ephemeral_secret));
	if (pl_handshake_dial(&handshake, &hs_keys, ephemeral_secret, wall_ms, out) != PL_OK)
		fail("message 1 cannot be made");
}

/* Sends message 1 and takes message 2; leaves message 3, which is still to be sent. */
static void handshake_up_to_3(uint8_t third[PL_HANDSHAKE_BYTES_MAX], size_t *third_bytes)
{
	const struct pl_handshake_keys hs_keys = handshake_keys();
	uint8_t message[PL_HANDSHAKE_BYTES_MAX];
	bool complete = false;

	first_message(clock_ms(CLOCK_REALTIME), message);
	send_all(message, PL_HANDSHAKE_BYTES_1);
	while (!complete) {
		size_t consumed;
		if (receive(message, 1, PATIENCE_MS) != 1)
			fail("hung up before message 2");
		if (pl_handshake_feed(&handshake, &hs_keys, ephemeral_secret, clock_ms(CLOCK_REALTIME), message, 1, &consumed, &complete, third,
		                      third_bytes) != PL_OK)
			fail("message 2 is not right");
	}
}

/* A record with this plaintext. */
static void send_record(struct pl_record_stream *stream, const uint8_t *plain, size_t count)
{
	static uint8_t record[PL_RECORD_WIRE_BYTES_MAX];
	size_t record_bytes;

	memcpy(record + 2, plain, count);
	if (pl_record_seal(stream, record, count, &record_bytes) != PL_OK)
		fail("a record cannot be sealed");
	send_all(record, record_bytes);
}

static void send_hello(struct pl_record_stream *stream, bool is_other_charter)
{
	struct pl_hello hello = { .version = PL_PROTOCOL_VERSION, .credit_bytes = PL_CREDIT_BYTES };
	uint8_t plain[PL_FRAME_HEADER_BYTES + PL_HELLO_BYTES];

	memcpy(hello.charter_hash, charter.network_id, PL_ID_BYTES);
	hello.charter_hash[0] ^= is_other_charter;
	hello.charter_epoch = charter.epoch;
	pl_frame_write_header(plain, PL_FRAME_HELLO, 0, 0, PL_HELLO_BYTES);
	pl_hello_write(&hello, plain + PL_FRAME_HEADER_BYTES);
	send_record(stream, plain, sizeof(plain));
	/* Nothing is here: an empty frontier. */
	pl_frame_write_header(plain, PL_FRAME_FRONTIER, PL_FRAME_LAST, 0, 0);
	if (!is_other_charter)
		send_record(stream, plain, PL_FRAME_HEADER_BYTES);
}

/* The first entry of lane 1 of our own feed, all right but for its signature. */
static size_t forged_entry(uint8_t *plain)
{
	struct pl_header header = { .lane = 1, .kind = PL_KIND_MESSAGE, .generation = charter.nodes[self].certificate.generation, .seq = 1,
	                            .gseq = 1, .time_ms = clock_ms(CLOCK_REALTIME), .body_bytes = 512 };
	uint8_t body[512], entry_header[PL_ENTRY_HEADER_BYTES];

	draw(body, sizeof(body));
	memcpy(header.author, keys.node_id, PL_NODE_ID_BYTES);
	pl_body_hash(body, sizeof(body), header.body_hash);
	pl_header_encode(&header, entry_header);
	draw(entry_header + PL_HEADER_BYTES, PL_SIGN_BYTES);
	const size_t wire_bytes = pl_wire_write(self, PL_WIRE_FORM_NEXT, entry_header, body, sizeof(body), plain + PL_FRAME_HEADER_BYTES,
	                                        PL_FRAME_PAYLOAD_BYTES_MAX);
	pl_frame_write_header(plain, PL_FRAME_ENTRY, 0, 1, (uint32_t)wire_bytes);
	return PL_FRAME_HEADER_BYTES + wire_bytes;
}

static void session(const char *story)
{
	uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX], third[PL_HANDSHAKE_BYTES_MAX];
	struct pl_record_stream stream = { 0 };
	struct pl_noise_cipher other;
	size_t third_bytes;

	handshake_up_to_3(third, &third_bytes);
	send_all(third, third_bytes);
	if (pl_noise_split(&handshake.noise, &stream.cipher, &other) != PL_OK)
		fail("the handshake is not done");
	draw(plain, sizeof(plain));
	if (strcmp(story, "early") == 0) {
		pl_frame_write_header(plain, PL_FRAME_PING, 0, 0, 40);
		send_record(&stream, plain, PL_FRAME_HEADER_BYTES + 40);
	} else if (strcmp(story, "records") == 0) {
		plain[0] = 1; /* the length of a record of 256 bytes, and nothing that decrypts */
		plain[1] = 16;
		send_all(plain, 4096);
	} else if (strcmp(story, "giant") == 0) {
		plain[0] = plain[1] = 0xff;
		send_all(plain, sizeof(plain));
	} else if (strcmp(story, "frames") == 0) {
		send_hello(&stream, false);
		send_record(&stream, plain, sizeof(plain));
	} else if (strcmp(story, "charter") == 0) {
		send_hello(&stream, true);
	} else if (strcmp(story, "entry") == 0) {
		send_hello(&stream, false);
		pl_frame_write_header(plain, PL_FRAME_ENTRY, 0, 1, 1000);
		send_record(&stream, plain, PL_FRAME_HEADER_BYTES + 1000);
	} else if (strcmp(story, "forged") == 0) {
		send_hello(&stream, false);
		for (int i = 0; i < 100; i++)
			send_record(&stream, plain, forged_entry(plain));
	} else if (strcmp(story, "mute") != 0) {
		fail("no such story");
	}
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 6) {
		fputs("usage: rawpeer ADDRESS STORY SEED [DIR NODE]\n", stderr);
		return 2;
	}
	const char *address = argv[1], *story = argv[2];
	uint8_t bytes[65536];
	size_t third_bytes;

	if (sodium_init() < 0)
		fail("libsodium cannot be used");
	const unsigned long long number = strtoull(argv[3], NULL, 10);
	memcpy(seed + 8, &number, sizeof(number));
	if (argc == 6)
		read_folder(argv[4], argv[5]);
	dial(address);
	const uint64_t since_ms = clock_ms(CLOCK_MONOTONIC);
	draw(bytes, sizeof(bytes));
	if (strcmp(story, "silent") == 0) {
		/* nothing */
	} else if (strcmp(story, "junk") == 0) {
		send_all(bytes, 1 + number * 7919 % sizeof(bytes));
	} else if (argc != 6) {
		fail("no such story without DIR and NODE");
	} else if (strcmp(story, "drip") == 0) {
		struct pollfd poller = { fd, POLLIN, 0 };
		first_message(clock_ms(CLOCK_REALTIME), bytes);
		for (size_t i = 0; i < PL_HANDSHAKE_BYTES_1 && poll(&poller, 1, DRIP_MS) == 0; i++)
			send_all(bytes + i, 1);
	} else if (strcmp(story, "junk3") == 0) {
		handshake_up_to_3(bytes, &third_bytes);
		draw(bytes + 2, third_bytes - 2);
		send_all(bytes, third_bytes);
	} else if (strcmp(story, "stranger") == 0) {
		draw(own_secret, sizeof(own_secret));
		handshake_up_to_3(bytes, &third_bytes);
		send_all(bytes, third_bytes);
	} else if (strcmp(story, "old") == 0) {
		first_message(clock_ms(CLOCK_REALTIME) - 660000, bytes);
		send_all(bytes, PL_HANDSHAKE_BYTES_1);
	} else if (strcmp(story, "other") == 0) {
		charter.network_id[0] ^= 1;
		first_message(clock_ms(CLOCK_REALTIME), bytes);
		send_all(bytes, PL_HANDSHAKE_BYTES_1);
	} else if (strcmp(story, "replay") == 0) {
		uint8_t again[PL_HANDSHAKE_BYTES_2];
		first_message(clock_ms(CLOCK_REALTIME), bytes);
		send_all(bytes, PL_HANDSHAKE_BYTES_1);
		if (receive(again, sizeof(again), PATIENCE_MS) == 0)
			fail("message 1 is not answered the first time");
		close(fd);
		received = 0;
		dial(address);
		send_all(bytes, PL_HANDSHAKE_BYTES_1);
	} else {
		session(story);
	}
	fputs("told\n", stderr);
	wait_for_end(since_ms);
	return 0;
}
