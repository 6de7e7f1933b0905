#include "policyd/name_list.h"

#include "common/mail/ip.h"
#include "policyd/config.h"

static bool
is_named(struct slice name, struct slice item)
{
	if (slice_starts(item, SLICE(".")))
		return name.len > item.len &&
		       slice_case_eq(slice_from(name, name.len - item.len),
			       item);
	return slice_case_eq(name, item);
}

bool
name_list_has(const struct config_list *list, struct slice name)
{
	for (size_t i = 0; i < list->n; i++)
		if (is_named(name, slice_of(list->items[i])))
			return true;
	return false;
}

bool
name_list_has_client(const struct config_list *list, const struct ip *client,
	struct slice name)
{
	struct network network;

	for (size_t i = 0; i < list->n; i++) {
		const struct slice item = slice_of(list->items[i]);

		if (network_parse(item, &network, NULL)
				? network_contains(&network, client)
				: is_named(name, item))
			return true;
	}
	return false;
}
