#include "policyd/open_dns.h"

#include "common/io/dns.h"
#include "policyd/config.h"

struct dns *
open_dns(struct loop *loop, const struct config *config)
{
	const char *resolvers[CONFIG_RESOLVERS_MAX] = { NULL };
	struct dns_config from = {
		.resolvers = resolvers,
		.n_resolvers = config->dns.resolvers.n,
		.is_recursive = config_dns_is_recursive(config),
		.trust_anchor = config->dns.trust_anchor,
		.timeout_ms = config->dns.timeout_ms,
		.cache_bytes = config->dns.cache_bytes,
		.queries_max = config->dns.queries,
		.queries_per_payer = config->dns.queries_per_domain,
	};

	for (size_t i = 0; i < config->dns.resolvers.n; i++)
		resolvers[i] = config->dns.resolvers.items[i];
	return dns_new(loop, &from);
}
