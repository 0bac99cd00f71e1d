#include "node/group.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "node/conf.h"

static void of_name(char *host, char group[PL_GROUP_BYTES])
{
	size_t length = strlen(host);

	if (length > 0 && host[length - 1] == '.') /* the root, which everybody shares */
		host[--length] = '\0';
	for (size_t i = 0; i < length; i++)
		host[i] = (char)tolower((unsigned char)host[i]);
	const char *last = strrchr(host, '.'), *part = host;
	if (last && strcmp(last, ".onion") == 0) {
		snprintf(group, PL_GROUP_BYTES, "onion");
		return;
	}
	for (const char *at = host; last && at < last; at++) {
		if (*at == '.')
			part = at + 1;
	}
	snprintf(group, PL_GROUP_BYTES, "name %s", part);
}

void pl_address_group(const char *address, char group[PL_GROUP_BYTES])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	char host[PL_ADDRESS_BYTES_MAX + 1];
	uint8_t ip[16];
	uint16_t port;

	group[0] = '\0';
	if (pl_address_split(address, host, sizeof(host), &port) != PL_OK)
		return;
	if (inet_pton(AF_INET, host, ip) == 1)
		snprintf(group, PL_GROUP_BYTES, "ip4 %u.%u", ip[0], ip[1]);
	else if (inet_pton(AF_INET6, host, ip) == 1 && memcmp(ip, mapped, sizeof(mapped)) == 0)
		snprintf(group, PL_GROUP_BYTES, "ip4 %u.%u", ip[12], ip[13]);
	else if (strchr(host, ':') && inet_pton(AF_INET6, host, ip) == 1)
		snprintf(group, PL_GROUP_BYTES, "ip6 %x:%x", ip[0] << 8 | ip[1], ip[2] << 8 | ip[3]);
	else
		of_name(host, group);
}
