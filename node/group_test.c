#include "node/group.h"

#include <criterion/criterion.h>

Test(group, what_an_address_shares_with_others)
{
	static const struct {
		const char *address, *group;
	} cases[] = {
		{ "192.0.2.7:7100", "ip4 192.0" },
		{ "192.0.255.1:1", "ip4 192.0" },
		{ "192.1.2.7:7100", "ip4 192.1" },
		{ "[2001:db8:1::7]:7100", "ip6 2001:db8" },
		{ "[2001:db8:ffff::]:7100", "ip6 2001:db8" },
		{ "[2001:db9::7]:7100", "ip6 2001:db9" },
		{ "[::1]:7100", "ip6 0:0" },
		{ "[::ffff:192.0.2.9]:7100", "ip4 192.0" },
		{ "parley.mfa.gov.sg:7100", "name gov.sg" },
		{ "Parley.MFA.Gov.SG.:7100", "name gov.sg" },
		{ "a.example:7100", "name a.example" },
		{ "localhost:7100", "name localhost" },
		{ "abcdef.onion:7100", "onion" },
		{ "onion:7100", "name onion" },
		{ "no address", "" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char group[PL_GROUP_BYTES];
		pl_address_group(cases[i].address, group);
		cr_expect_str_eq(group, cases[i].group, "%s: %s", cases[i].address, group);
	}
}
