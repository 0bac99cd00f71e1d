#include "contrib/testnet.d/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define INTERFACE "wire0"
#define PACKET_BYTES_MAX 65536
#define IPV4_HEADER_BYTES 20

struct node {
	char name[NAME_BYTES];
	uint8_t address[4];
	int tun;
	size_t watched;
	struct queue queues[NODES_MAX]; /* from each of the others */
	struct way *ways[NODES_MAX];
};

static struct node nodes[NODES_MAX];
static size_t nodes_count;

void packet_add(const char *name, const char *namespace, const char *address)
{
	struct node *node = &nodes[nodes_count];
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	const int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), other = open(namespace, O_RDONLY | O_CLOEXEC);

	if (nodes_count == NODES_MAX || inet_pton(AF_INET, address, node->address) != 1) {
		fprintf(stderr, "wire: node %s: too many nodes, or no address: %s\n", name, address);
		exit(2);
	}
	if (own < 0 || other < 0 || setns(other, CLONE_NEWNET) != 0)
		fail(namespace);
	node->tun = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	memcpy(request.ifr_name, INTERFACE, sizeof(INTERFACE));
	if (node->tun < 0 || ioctl(node->tun, TUNSETIFF, &request) != 0)
		fail("/dev/net/tun");
	if (setns(own, CLONE_NEWNET) != 0)
		fail("/proc/self/ns/net");
	close(own);
	close(other);
	snprintf(node->name, sizeof(node->name), "%.3s", name);
	nodes_count++;
}

/* A device takes a packet at any time, so packets that are due are written here. */
void packet_watch(void)
{
	for (size_t i = 0; i < nodes_count; i++) {
		for (size_t k = 0; k < nodes_count; k++) {
			struct queue *queue = &nodes[i].queues[k];
			struct way *way = nodes[i].ways[k];
			struct unit *unit;
			while (way && (unit = queue_take_due(queue, way))) {
				/* What has no room there, or finds the device down, is lost, as it is on any wire. */
				if (write(nodes[i].tun, unit->bytes, unit->count) < 0)
					way->lost++;
				free(unit);
			}
		}
		nodes[i].watched = watch(nodes[i].tun, POLLIN);
	}
}

static void pass(size_t from, const uint8_t *packet, size_t count)
{
	if (count < IPV4_HEADER_BYTES || packet[0] >> 4 != 4)
		return;
	for (size_t to = 0; to < nodes_count; to++) {
		if (memcmp(packet + 16, nodes[to].address, sizeof(nodes[to].address)) != 0)
			continue;
		struct way *way = nodes[to].ways[from];
		if (!way) {
			way = nodes[to].ways[from] = find_way(nodes[from].name, nodes[to].name);
			if (!way)
				return; /* these two have no link */
		}
		if (way->is_cut || queue_is_full(&nodes[to].queues[from], way))
			way->lost++;
		else
			way_pass(way, &nodes[to].queues[from], packet, count);
		return;
	}
}

void packet_serve(void)
{
	static uint8_t packet[PACKET_BYTES_MAX];

	for (size_t i = 0; i < nodes_count; i++) {
		if (!watched(nodes[i].watched))
			continue;
		const ssize_t count = read(nodes[i].tun, packet, sizeof(packet));
		if (count > 0)
			pass(i, packet, (size_t)count);
		else if (count < 0 && errno == EBADFD)
			fail(nodes[i].name); /* its namespace is gone */
	}
}
