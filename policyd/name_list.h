#ifndef POLICYD_NAME_LIST_H
#define POLICYD_NAME_LIST_H

/*
 * Lists of the configuration that name clients and domains: a network, a name
 * (mx.example.net), or .example.net for every name below it.
 */

#include <stdbool.h>

#include "common/base/str.h"

struct config_list;
struct ip;

/* Whether a name is on the list; in any case of letters. */
bool name_list_has(const struct config_list *list, struct slice name);
/*
 * Whether a client is, by its address, or by its name as Postfix has verified
 * it: it leads back to the client.
 */
bool name_list_has_client(const struct config_list *list,
	const struct ip *client, struct slice name);

#endif
