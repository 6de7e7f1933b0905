/* How a client is stored: apart, since policyctl needs nothing else. */

#include "common/base/mem.h"
#include "common/mail/ip.h"
#include "policyd/config.h"
#include "policyd/facts/column.h"
#include "policyd/facts/triplet.h"

struct slice
triplet_client(struct arena *arena, const struct config *config,
	const struct ip *client)
{
	unsigned prefix = client->family == IP_V4
				  ? config->greylisting.ipv4_prefix
				  : config->greylisting.ipv6_prefix;
	struct network network = network_of(client, prefix);
	char text[NETWORK_TEXT_MAX];
	struct slice out = slice_of(network_format(&network, text));

	/*
	 * The column has 40 characters; an IPv6 network between /113 and
	 * /127 may need 43. Its first address stands for it.
	 */
	if (out.len > COLUMN_CLIENT_MAX)
		out = slice_of(ip_format(&network.address, text));
	return slice_copy(arena, out);
}
