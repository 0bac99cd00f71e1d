#include "tests/integration/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "crypto/bytes.h"
#include "tests/pieces.h"

struct pl_charter peer_charter;
struct pl_node_keys peer_keys;
uint16_t peer_self, peer_other;
struct peer_head peer_heads[PL_LANES];

static uint8_t seed[randombytes_SEEDBYTES];
static uint32_t drawn;

void peer_fail(const char *what)
{
	fprintf(stderr, "rawpeer: %s\n", what);
	exit(2);
}

void peer_seed(uint64_t number)
{
	memcpy(seed + 8, &number, sizeof(number));
}

void peer_draw(uint8_t *out, size_t count)
{
	uint8_t once[randombytes_SEEDBYTES];

	memcpy(once, seed, sizeof(once));
	memcpy(once, &drawn, sizeof(drawn));
	drawn++;
	randombytes_buf_deterministic(out, count, once);
}

uint32_t peer_draw_below(uint32_t below)
{
	uint8_t bytes[4];

	peer_draw(bytes, sizeof(bytes));
	return pl_get32(bytes) % below;
}

static uint64_t clock_us(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t peer_clock_ms(void) { return clock_us(CLOCK_MONOTONIC) / 1000; }
uint64_t peer_wall_ms(void) { return clock_us(CLOCK_REALTIME) / 1000; }

void peer_read_folder(const char *dir, const char *other)
{
	const char *passphrase = getenv("PARLEY_PASSPHRASE");
	char path[1024], why[512], at[PL_MEMBER_CODE_BYTES + 1];
	uint8_t *document;
	size_t count;

	snprintf(path, sizeof(path), "%s/charter.plc", dir);
	if (pl_file_read(path, PL_CHARTER_BYTES_MAX, &document, &count, why, sizeof(why)) != PL_OK)
		peer_fail(why);
	if (pl_charter_read(document, count, &peer_charter, at) != PL_OK)
		peer_fail("the charter is none");
	free(document);
	peer_other = pl_charter_find_name(&peer_charter, other);
	snprintf(path, sizeof(path), "%s/node.key", dir);
	if (!passphrase || pl_key_read_node(path, passphrase, &peer_keys, why, sizeof(why)) != PL_OK)
		peer_fail(passphrase ? why : "there is no $PARLEY_PASSPHRASE");
	peer_self = pl_charter_find_node(&peer_charter, peer_keys.node_id);
	if (peer_other == PL_NODE_NONE || peer_self == PL_NODE_NONE)
		peer_fail("a node is not in the charter");
}

/* --- the connection --- */

static void start(struct peer *peer, int fd)
{
	const int one = 1;

	memset(peer, 0, sizeof(*peer));
	peer->fd = fd;
	memcpy(peer->static_secret, peer_keys.noise_secret, sizeof(peer->static_secret));
	memcpy(peer->network_id, peer_charter.network_id, sizeof(peer->network_id));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

struct sockaddr_in peer_parse(const char *address)
{
	struct sockaddr_in out = { .sin_family = AF_INET };
	const char *colon = strrchr(address, ':');
	char host[64];

	if (!colon || (size_t)(colon - address) >= sizeof(host))
		peer_fail("an address is HOST:PORT");
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = '\0';
	out.sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10));
	if (inet_pton(AF_INET, host, &out.sin_addr) != 1)
		peer_fail("an address is HOST:PORT");
	return out;
}

bool peer_try_dial(struct peer *peer, const char *address, uint32_t from)
{
	const struct sockaddr_in to = peer_parse(address);
	const struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(from) } };
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || (from != 0 && bind(fd, (const struct sockaddr *)&here, sizeof(here)) != 0))
		peer_fail(strerror(errno));
	if (connect(fd, (const struct sockaddr *)&to, sizeof(to)) != 0) {
		close(fd);
		return false;
	}
	start(peer, fd);
	return true;
}

void peer_dial(struct peer *peer, const char *address)
{
	if (!peer_try_dial(peer, address, 0))
		peer_fail(strerror(errno));
}

int peer_listen_at(const char *address)
{
	const struct sockaddr_in local = peer_parse(address);
	const int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
	    bind(fd, (const struct sockaddr *)&local, sizeof(local)) != 0 || listen(fd, 16) != 0)
		peer_fail(strerror(errno));
	return fd;
}

void peer_accept(struct peer *peer, int listener)
{
	struct pollfd poller = { listener, POLLIN, 0 };

	if (poll(&poller, 1, PEER_PATIENCE_MS) != 1)
		peer_fail("nobody dials");
	const int fd = accept(listener, NULL, NULL);
	if (fd < 0)
		peer_fail(strerror(errno));
	start(peer, fd);
	peer->is_dialled = true;
}

void peer_close(struct peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	peer->fd = -1;
}

void peer_send(struct peer *peer, const uint8_t *bytes, size_t count)
{
	while (count > 0) {
		const ssize_t sent = send(peer->fd, bytes, count, MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		bytes += sent;
		count -= (size_t)sent;
	}
}

static bool is_readable(struct peer *peer, int timeout_ms)
{
	struct pollfd poller = { peer->fd, POLLIN, 0 };

	return poll(&poller, 1, timeout_ms) != 0;
}

static size_t take(struct peer *peer, uint8_t *out, size_t max)
{
	const ssize_t count = recv(peer->fd, out, max, 0);

	if (count <= 0) {
		peer->ended = true;
		return 0;
	}
	peer->received += (size_t)count;
	return (size_t)count;
}

size_t peer_receive(struct peer *peer, uint8_t *out, size_t max, int timeout_ms)
{
	if (!is_readable(peer, timeout_ms)) {
		printf("does not hang up in %d ms\n", timeout_ms);
		exit(1);
	}
	return take(peer, out, max);
}

bool peer_ends(struct peer *peer, int timeout_ms)
{
	static uint8_t bytes[65536];
	const uint64_t end_ms = peer_clock_ms() + (uint64_t)timeout_ms;

	while (!peer->ended) {
		const uint64_t now_ms = peer_clock_ms();
		if (now_ms >= end_ms || !is_readable(peer, (int)(end_ms - now_ms)))
			return false;
		take(peer, bytes, sizeof(bytes));
	}
	return true;
}

/* --- the handshake --- */

static struct pl_handshake_keys handshake_keys(const struct peer *peer)
{
	return (struct pl_handshake_keys){ .network_id = peer->network_id, .static_secret = peer->static_secret,
	                                   .remote_static = peer->is_dialled ? NULL : peer_charter.nodes[peer_other].certificate.noise_public };
}

void peer_first(struct peer *peer, uint64_t wall_ms, uint8_t out[PL_HANDSHAKE_BYTES_1])
{
	const struct pl_handshake_keys keys = handshake_keys(peer);

	peer_draw(peer->ephemeral_secret, sizeof(peer->ephemeral_secret));
	pl_put64(peer->ephemeral_secret, clock_us(CLOCK_REALTIME)); /* a node answers each only once, also when a seed is used again */
	if (pl_handshake_dial(&peer->handshake, &keys, peer->ephemeral_secret, wall_ms, out) != PL_OK)
		peer_fail("message 1 cannot be made");
}

/* Takes the node's next message and leaves the answer. */
static size_t answer_next(struct peer *peer, uint8_t out[PL_HANDSHAKE_BYTES_MAX])
{
	const struct pl_handshake_keys keys = handshake_keys(peer);
	bool complete = false;
	size_t out_bytes = 0;

	while (!complete) {
		uint8_t byte;
		size_t consumed;
		if (peer_receive(peer, &byte, 1, PEER_PATIENCE_MS) != 1)
			peer_fail("it has hung up within the handshake");
		if (pl_handshake_feed(&peer->handshake, &keys, peer->ephemeral_secret, peer_wall_ms(), &byte, 1, &consumed, &complete, out,
		                      &out_bytes) != PL_OK)
			peer_fail("a message of the handshake is not right");
	}
	return out_bytes;
}

void peer_handshake_up_to_3(struct peer *peer, uint8_t third[PL_HANDSHAKE_BYTES_3])
{
	uint8_t first[PL_HANDSHAKE_BYTES_1];

	peer_first(peer, peer_wall_ms(), first);
	peer_send(peer, first, sizeof(first));
	(void)answer_next(peer, third);
}

void peer_handshake_up_to_2(struct peer *peer, uint8_t second[PL_HANDSHAKE_BYTES_2])
{
	uint8_t out[PL_HANDSHAKE_BYTES_MAX];

	peer_draw(peer->ephemeral_secret, sizeof(peer->ephemeral_secret));
	pl_handshake_listen(&peer->handshake);
	memcpy(second, out, answer_next(peer, out));
}

void peer_split(struct peer *peer)
{
	if (pl_noise_split(&peer->handshake.noise, &peer->writer.cipher, &peer->reader.stream.cipher) != PL_OK)
		peer_fail("the handshake is not done");
}

void peer_handshake(struct peer *peer)
{
	uint8_t message[PL_HANDSHAKE_BYTES_MAX];

	if (peer->is_dialled) {
		peer_handshake_up_to_2(peer, message);
		peer_send(peer, message, PL_HANDSHAKE_BYTES_2);
		(void)answer_next(peer, message);
	} else {
		peer_handshake_up_to_3(peer, message);
		peer_send(peer, message, PL_HANDSHAKE_BYTES_3);
	}
	peer_split(peer);
}

/* --- records and frames --- */

size_t peer_seal(struct peer *peer, uint8_t out[PL_RECORD_WIRE_BYTES_MAX])
{
	size_t record_bytes;

	if (pl_record_seal(&peer->writer, peer->record, peer->collected, &record_bytes) != PL_OK)
		peer_fail("a record cannot be sealed");
	peer->collected = 0;
	memcpy(out, peer->record, record_bytes);
	return record_bytes;
}

void peer_flush(struct peer *peer)
{
	static uint8_t out[PL_RECORD_WIRE_BYTES_MAX];

	if (peer->collected > 0)
		peer_send(peer, out, peer_seal(peer, out));
}

void peer_record(struct peer *peer, const uint8_t *plain, size_t count)
{
	static uint8_t out[PL_RECORD_WIRE_BYTES_MAX];

	memcpy(peer->record + 2, plain, count);
	peer->collected = count;
	peer_send(peer, out, peer_seal(peer, out));
}

void peer_frame(struct peer *peer, uint8_t type, uint8_t flags, uint8_t lane, const void *payload, size_t count)
{
	if (peer->collected + PL_FRAME_HEADER_BYTES + count > PL_RECORD_PLAIN_BYTES_MAX)
		peer_flush(peer);
	uint8_t *p = peer->record + 2 + peer->collected;
	pl_frame_write_header(p, type, flags, lane, (uint32_t)count);
	if (count > 0)
		memcpy(p + PL_FRAME_HEADER_BYTES, payload, count);
	peer->collected += PL_FRAME_HEADER_BYTES + count;
}

void peer_hello(struct peer *peer)
{
	struct pl_hello hello = { .version = PL_PROTOCOL_VERSION, .credit_bytes = PL_CREDIT_BYTES, .charter_epoch = peer_charter.epoch };
	uint8_t payload[PL_HELLO_BYTES_MAX];

	memcpy(hello.charter_hash, peer_charter.network_id, PL_ID_BYTES);
	hello.frontier_root[0] = 1;
	if (peer->knows_tags)
		hello.capabilities = PL_CAP_TAGS;
	peer_frame(peer, PL_FRAME_HELLO, 0, 0, payload, pl_hello_write(&hello, payload));
}

static uint8_t frontier_of(const struct peer *peer) { return peer->knows_tags ? PL_FRAME_HEADS : PL_FRAME_FRONTIER; }

void peer_frontier(struct peer *peer) { peer_frame(peer, frontier_of(peer), PL_FRAME_LAST, 0, NULL, 0); }

static void note_heads(const struct pl_frame *frame)
{
	for (uint32_t at = 0; at + PL_ITEM_BYTES <= frame->payload_bytes; at += PL_ITEM_BYTES) {
		struct pl_item item;
		if (pl_item_read(frame->payload + at, &item) != PL_OK)
			peer_fail("the node tells of something that is no item");
		if (item.node == peer_self && item.seq > peer_heads[item.lane].seq) {
			peer_heads[item.lane].seq = item.seq;
			memcpy(peer_heads[item.lane].id, item.head_id, PL_ID_BYTES);
		}
	}
}

static void hear_frame(struct peer *peer, const struct pl_frame *frame)
{
	struct pl_hello hello;

	if (frame->type == PL_FRAME_HELLO && pl_hello_read(frame->payload, frame->payload_bytes, &hello) == PL_OK)
		peer->credit = hello.credit_bytes;
	else if (frame->type == PL_FRAME_CREDIT)
		peer->credit += pl_get32(frame->payload);
	else if (frame->type == PL_FRAME_FRONTIER)
		note_heads(frame);
	else if (frame->type == PL_FRAME_BYE && frame->payload_bytes > 0)
		peer->bye = frame->payload[0];
	if (frame->type == PL_FRAME_BYE && frame->payload_bytes > 1 && frame->payload_bytes <= 65)
		memcpy(peer->bye_text, frame->payload + 1, frame->payload_bytes - 1);
	if (frame->type == PL_FRAME_PING && !peer->is_mute)
		peer_frame(peer, PL_FRAME_PONG, 0, 0, frame->payload, 8);
	if (peer->heard)
		peer->heard(peer, frame);
}

bool peer_hear(struct peer *peer, int timeout_ms)
{
	static uint8_t bytes[65536];

	if (peer->ended || !is_readable(peer, timeout_ms))
		return !peer->ended;
	const size_t count = take(peer, bytes, sizeof(bytes));
	for (size_t at = 0; at < count;) {
		static uint8_t plain[PL_RECORD_PLAIN_BYTES_MAX];
		size_t consumed, plain_bytes, in_plain = 0;
		if (pl_record_read(&peer->reader, bytes + at, count - at, &consumed, plain, &plain_bytes) != PL_OK)
			peer_fail("the node sends a record that is none");
		at += consumed;
		while (in_plain < plain_bytes) {
			struct pl_frame frame;
			if (pl_frame_next(plain, plain_bytes, &in_plain, &frame) != PL_OK)
				peer_fail("the node sends a frame that is none");
			if (frame.type != PL_FRAME_PAD)
				hear_frame(peer, &frame);
		}
	}
	if (!peer->is_mute)
		peer_flush(peer);
	return !peer->ended;
}

/* Until a frame of this type has come; of PONG, the one that answers this PING. */
struct awaited {
	uint8_t type;
	bool has_come;
	void (*heard)(struct peer *, const struct pl_frame *); /* who hears what comes besides */
	void *ctx;
	uint8_t ping[8 + PL_ID_BYTES];
};

static void note_awaited(struct peer *peer, const struct pl_frame *frame)
{
	struct awaited *awaited = peer->ctx;

	if (awaited->heard) {
		peer->ctx = awaited->ctx;
		awaited->heard(peer, frame);
		peer->ctx = awaited;
	}
	if (frame->type == PL_FRAME_PONG && (frame->payload_bytes != 8 || memcmp(frame->payload, awaited->ping, 8) != 0))
		return;
	awaited->has_come |= frame->type == awaited->type && (frame->type != frontier_of(peer) || (frame->flags & PL_FRAME_LAST));
}

static bool await(struct peer *peer, struct awaited awaited)
{
	const uint64_t end_ms = peer_clock_ms() + PEER_PATIENCE_MS;

	awaited.heard = peer->heard;
	awaited.ctx = peer->ctx;
	peer->heard = note_awaited;
	peer->ctx = &awaited;
	while (!awaited.has_come && peer_hear(peer, 100)) {
		if (peer_clock_ms() > end_ms)
			peer_fail("the node neither answers nor hangs up");
	}
	peer->heard = awaited.heard;
	peer->ctx = awaited.ctx;
	return awaited.has_come;
}

bool peer_is_served(struct peer *peer)
{
	static uint64_t pings;
	struct awaited awaited = { .type = PL_FRAME_PONG };

	pl_put64(awaited.ping, UINT64_MAX / 3 + pings++); /* which nobody else puts there */
	peer_frame(peer, PL_FRAME_PING, 0, 0, awaited.ping, sizeof(awaited.ping));
	peer_flush(peer);
	return await(peer, awaited) && !peer->ended;
}

void peer_go_live(struct peer *peer)
{
	memset(peer_heads, 0, sizeof(peer_heads));
	peer_handshake(peer);
	peer_hello(peer);
	peer_frontier(peer);
	peer_flush(peer);
	if (!await(peer, (struct awaited){ .type = frontier_of(peer) }))
		peer_fail("the node does not go live");
}

/* --- entries --- */

struct pl_header peer_next(uint8_t lane, uint8_t kind, uint8_t flags, const uint8_t *body, uint32_t body_bytes)
{
	static uint64_t last_gseq;
	struct pl_header header = { .lane = lane, .kind = kind, .flags = flags, .body_bytes = body_bytes, .time_ms = peer_wall_ms(),
	                            .generation = peer_charter.nodes[peer_self].certificate.generation, .seq = peer_heads[lane].seq + 1,
	                            .gseq = clock_us(CLOCK_REALTIME) };

	if (header.gseq <= last_gseq)
		header.gseq = last_gseq + 1;
	last_gseq = header.gseq;
	memcpy(header.author, peer_keys.node_id, PL_NODE_ID_BYTES);
	memcpy(header.prev, peer_heads[lane].id, PL_ID_BYTES);
	for (uint8_t i = 0; i < 2; i++) {
		const struct peer_head *other = &peer_heads[(lane + 1 + i) % PL_LANES];
		header.others[i].seq = other->seq;
		memcpy(header.others[i].id8, other->id, PL_HEAD8_BYTES);
	}
	pl_body_hash(body, body_bytes, header.body_hash);
	return header;
}

void peer_sign(const struct pl_header *header, uint8_t entry_header[PL_ENTRY_HEADER_BYTES])
{
	pl_header_encode(header, entry_header);
	pl_entry_sign(peer_charter.network_id, peer_keys.sign_secret, entry_header);
	peer_heads[header->lane].seq = header->seq;
	pl_entry_id(peer_charter.network_id, entry_header, peer_heads[header->lane].id);
}

static void put_piece(void *ctx, uint8_t type, uint8_t flags, uint8_t lane, const uint8_t *payload, size_t count)
{
	peer_frame(ctx, type, flags, lane, payload, count);
}

void peer_entry(struct peer *peer, const uint8_t entry_header[PL_ENTRY_HEADER_BYTES], uint8_t form, const uint8_t *body, uint32_t body_bytes,
                uint8_t flags)
{
	static uint8_t wire[PL_WIRE_BYTES_MAX];
	const size_t bytes = pl_wire_write(peer_self, form, entry_header, body, body_bytes, wire, sizeof(wire));
	const uint8_t lane = pl_header_lane(entry_header);

	if (lane == 2 || (flags & PL_FRAME_CATCHUP))
		peer->credit -= bytes + 16 < peer->credit ? bytes + 16 : peer->credit;
	in_pieces(wire, bytes, flags, lane, put_piece, peer);
}
