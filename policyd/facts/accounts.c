#include "policyd/facts/accounts.h"

#include <string.h>

#include "common/base/mem.h"
#include "policyd/facts/domains.h"

static struct slice
canonical_ip(struct arena *arena, struct slice text)
{
	char buffer[IP_TEXT_MAX];
	struct ip ip;

	if (!ip_parse(text, &ip))
		return text;
	return slice_copy(arena, slice_of(ip_format(&ip, buffer)));
}

bool
stored_account_read(struct arena *arena, struct slice column,
	struct stored_account *out)
{
	const struct slice text = slice_trim(column);

	*out = (struct stored_account){ .kind = ACCOUNT_INVALID };
	if (text.len == 0 || text.len > ADDRESS_MAX)
		return false;
	out->text = out->key = slice_lower(arena, text);
	/* account_kind() does not take a network with bits behind its prefix,
	 * which is a network all the same. */
	if (slice_has_byte(text, '/') &&
		network_parse(out->text, &out->network, NULL)) {
		out->kind = ACCOUNT_NETWORK;
		return true;
	}
	out->kind = account_kind(out->text);
	if (out->kind == ACCOUNT_IP)
		out->key = canonical_ip(arena, out->text);
	return out->kind != ACCOUNT_INVALID;
}

bool
account_kind_is_address(enum account_kind kind)
{
	switch (kind) {
	case ACCOUNT_CATCH_ALL:
	case ACCOUNT_TOP_DOMAIN:
	case ACCOUNT_SUBDOMAIN:
	case ACCOUNT_DOMAIN:
	case ACCOUNT_ADDRESS:
		return true;
	case ACCOUNT_INVALID:
	case ACCOUNT_CATCH_ALL_IP:
	case ACCOUNT_NETWORK:
	case ACCOUNT_WILDCARD_IP:
	case ACCOUNT_IP:
	case ACCOUNT_ANY_DOMAIN:
		return false;
	}
	return false;
}

void
account_forms_of_party(struct arena *arena, const struct tables *tables,
	const struct address *address, struct account_forms *out)
{
	struct domain_state state;

	out->n = address_forms(arena, address, out->items);
	if (!address->is_plain ||
		!domain_look_up(tables, address->domain, &state) ||
		state.alias_target.len == 0)
		return;
	out->n += address_forms_of(arena, address->local, state.alias_target,
		out->items + out->n);
}

void
account_forms_add_any_domain(struct arena *arena, const struct address *address,
	struct account_forms *forms)
{
	if (!address->is_plain || forms->n == ACCOUNT_FORMS_MAX)
		return;
	forms->items[forms->n++] = slice_of(
		arena_printf(arena, "%.*s@*", SLICE_ARG(address->local)));
}

void
client_forms_of(const struct ip *client, struct client_forms *out)
{
	out->n = 0;
	if (client->family == IP_NONE)
		return;
	ip_format(client, out->items[0]);
	out->n = 1;
}

void
client_forms_add_wildcards(const struct ip *client, bool all,
	struct client_forms *forms)
{
	if (forms->n == 1)
		forms->n += ip_wildcards(client, all, forms->items + 1);
}
