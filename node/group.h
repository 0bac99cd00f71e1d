/* What of a node's address it shares with those that may fail, or be taken over, together with it: for neighbours that differ (PROTOCOL.md,
 * "Neighbours"). A network, or the part of a name that somebody has registered. */
#ifndef PL_NODE_GROUP_H
#define PL_NODE_GROUP_H

#include "proto/limits.h"

#define PL_GROUP_BYTES (PL_ADDRESS_BYTES_MAX + 8)

/* "ip4 192.0", the first 16 bits of an IPv4 address, also of one that is written as IPv6; "ip6 2001:db8", the first 32 of an IPv6 address; "name gov.fi",
 * the last two parts of a host name, in small letters; "onion", whatever comes before it: a transport of its own. Of an address that cannot be
 * read "": a group too. Names are not looked up: whoever answers for them would choose the group. Two parts are more than was registered in some
 * places (gov.sg), and never less: groups come out too large rather than too small. */
void pl_address_group(const char *address, char group[PL_GROUP_BYTES]);

#endif
