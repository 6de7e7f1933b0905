#include "policyd/facts/host.h"

#include <netdb.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* Bytes; longer than a DNS name may be (RFC 1035, 2.3.4). */
#define HOST_NAME_SIZE 256
/* The system's name, and the full one. */
#define HOST_NAMES_MAX 2
/* Lines of /etc/hosts that are looked at; some list a million bad hosts. */
#define HOSTS_LINES_MAX 10000

struct host_names {
	struct slice items[HOST_NAMES_MAX];
	size_t n;
	struct arena *arena;
};

static struct slice
clean(struct arena *arena, struct slice name)
{
	if (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	return slice_lower(arena, name);
}

bool
host_names_have(const struct host_names *names, struct slice name)
{
	for (size_t i = 0; i < names->n; i++)
		if (slice_eq(names->items[i], name))
			return true;
	return false;
}

struct slice
host_names_full(const struct host_names *names)
{
	return names->n > 0 ? names->items[names->n - 1] : SLICE("");
}

static void
add(struct host_names *names, const char *text)
{
	const struct slice name = clean(names->arena, slice_of(text));

	if (name.len == 0 || name.len >= HOST_NAME_SIZE ||
		names->n == HOST_NAMES_MAX)
		return;
	if (!host_names_have(names, name))
		names->items[names->n++] = name;
}

static bool
has_name(const struct hostent *entry, const char *name)
{
	if (strcasecmp(entry->h_name, name) == 0)
		return true;
	for (char **alias = entry->h_aliases; *alias != NULL; alias++)
		if (strcasecmp(*alias, name) == 0)
			return true;
	return false;
}

/*
 * "192.0.2.1 mx.example.com mx" gives mx its full name. Not getaddrinfo(),
 * which might wait for a name server while the process starts.
 */
static void
add_full_name(struct host_names *names, const char *name)
{
	struct hostent *entry;

	sethostent(0);
	for (size_t i = 0; i < HOSTS_LINES_MAX; i++) {
		entry = gethostent();
		if (entry == NULL)
			break;
		if (strchr(entry->h_name, '.') == NULL ||
			!has_name(entry, name))
			continue;
		add(names, entry->h_name);
		break;
	}
	endhostent();
}

struct host_names *
host_names_new(void)
{
	struct host_names *names = x_new(struct host_names);
	char name[HOST_NAME_SIZE];

	names->arena = arena_new((size_t)4 * HOST_NAME_SIZE);
	if (gethostname(name, sizeof(name)) < 0)
		return names;
	name[sizeof(name) - 1] = '\0';
	add(names, name);
	if (name[0] != '\0' && strchr(name, '.') == NULL)
		add_full_name(names, name);
	return names;
}

void
host_names_free(struct host_names *names)
{
	if (names == NULL)
		return;
	arena_free(names->arena);
	x_free(names);
}

/* --- the fact ---------------------------------------------------------- */

static void
load(struct fact *fact)
{
	const struct request *req = fact->facts->req;
	const char *configured = req->config->reject_to_hostname.hostname;
	struct host *host = arena_new_object(req->arena, struct host);
	struct slice *name;

	if (configured[0] == '\0') {
		host->names = fact->facts->sources->host_names->items;
		host->n = fact->facts->sources->host_names->n;
	} else {
		name = arena_new_object(req->arena, struct slice);
		*name = clean(req->arena, slice_of(configured));
		host->names = name;
		host->n = 1;
	}
	fact_known(fact, host);
}

static void
describe(const void *value, struct str *json)
{
	const struct host *host = value;

	str_append_text(json, "{\"names\":[");
	for (size_t i = 0; i < host->n; i++) {
		if (i > 0)
			str_append_char(json, ',');
		str_append_json(json, host->names[i]);
	}
	str_append_text(json, "]}");
}

const struct fact_kind fact_kind_host = {
	.id = FACT_HOST,
	.name = "host",
	.load = load,
	.describe = describe,
};

bool
fact_host(struct facts *facts, const struct host **out)
{
	return fact_ask(facts, &fact_kind_host, (const void **)out);
}
