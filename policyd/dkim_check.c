#include "policyd/dkim_check.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "common/base/mem.h"
#include "common/io/dns.h"
#include "common/io/dns_server.h"
#include "common/io/loop.h"
#include "common/mail/dkim_key.h"

/* A zone has 13 at most by custom, more do not fit into a packet. */
#define SERVERS_MAX   16u
#define ADDRESSES_MAX 8u
/* An alias of an alias, and one more. */
#define ALIASES_MAX    3u
#define NAME_MAX_BYTES 256u

enum verdict {
	WAITING,
	SHOWS,
	HAS_NONE,
	HAS_ANOTHER,
	SAYS_ALIAS, /* for a name of another zone */
	UNAVAILABLE,
};

struct server {
	struct dkim_check *check;
	char name[NAME_MAX_BYTES];
	struct dns_query *look_up[2]; /* A, AAAA */
	unsigned n_looking_up;
	struct ip addresses[ADDRESSES_MAX];
	unsigned n_addresses, n_tried;
	struct dns_server_query *query;
	enum verdict verdict;
};

struct dkim_checks {
	struct loop *loop;
	struct dns *dns;
	LIST_HEAD(, dkim_check) under_way;
};

struct dkim_check {
	LIST_ENTRY(dkim_check) entry;
	struct loop *loop;
	struct dns *dns;
	uint64_t timeout_ms;
	struct dkim_key wanted;
	dkim_check_fn *done;
	void *arg;

	char name[NAME_MAX_BYTES]; /* of the record, or what it is an alias of
				    */
	struct slice zone; /* part of name: whose servers are looked for */
	char alias[NAME_MAX_BYTES];
	unsigned n_aliases;
	struct dns_query *zone_query;
	struct server servers[SERVERS_MAX];
	unsigned n_servers, n_waiting;
	struct dkim_check_outcome outcome;
	struct loop_timer *end; /* when it ends before it has begun */
};

static void begin(struct dkim_check *check);
static void ask_next_address(struct server *server);

const char *
dkim_seen_name(enum dkim_seen seen)
{
	static const char *const names[] = {
		[DKIM_SEEN_SHOWN] = "shown",
		[DKIM_SEEN_PARTLY] = "partly",
		[DKIM_SEEN_ABSENT] = "absent",
		[DKIM_SEEN_DIFFERS] = "differs",
		[DKIM_SEEN_UNKNOWN] = "unknown",
	};

	return names[seen];
}

bool
dkim_seen_is_absent(enum dkim_seen seen)
{
	return seen == DKIM_SEEN_ABSENT || seen == DKIM_SEEN_DIFFERS;
}

/* --- the end ------------------------------------------------------------ */

static void
clear_servers(struct dkim_check *check)
{
	for (unsigned i = 0; i < check->n_servers; i++) {
		struct server *server = &check->servers[i];

		dns_cancel(server->look_up[0]);
		dns_cancel(server->look_up[1]);
		dns_server_cancel(server->query);
	}
	memset(check->servers, 0, sizeof(check->servers));
	check->n_servers = check->n_waiting = 0;
}

void
dkim_check_cancel(struct dkim_check *check)
{
	if (check == NULL)
		return;
	clear_servers(check);
	dns_cancel(check->zone_query);
	loop_timer_free(check->end);
	LIST_REMOVE(check, entry);
	x_free(check);
}

struct dkim_checks *
dkim_checks_new(struct loop *loop, struct dns *dns)
{
	struct dkim_checks *checks = x_new(struct dkim_checks);

	checks->loop = loop;
	checks->dns = dns;
	LIST_INIT(&checks->under_way);
	return checks;
}

void
dkim_checks_free(struct dkim_checks *checks)
{
	while (checks != NULL && !LIST_EMPTY(&checks->under_way))
		dkim_check_cancel(LIST_FIRST(&checks->under_way));
	x_free(checks);
}

__attribute__((format(printf, 2, 3))) static void
tell(struct dkim_check *check, const char *format, ...)
{
	va_list arguments;

	if (check->outcome.problem[0] != '\0')
		return;
	va_start(arguments, format);
	(void)vsnprintf(check->outcome.problem, sizeof(check->outcome.problem),
		format, arguments);
	va_end(arguments);
}

static void
finish(void *arg)
{
	struct dkim_check *check = arg;

	check->done(check->arg, &check->outcome);
	dkim_check_cancel(check);
}

static void
fail(struct dkim_check *check, const char *what, const char *why)
{
	check->outcome.seen = DKIM_SEEN_UNKNOWN;
	tell(check, "%s: %s", what, why);
	loop_timer_set(check->end, 0);
}

/* --- what the servers say ----------------------------------------------- */

static unsigned
count(const struct dkim_check *check, enum verdict verdict)
{
	unsigned n = 0;

	for (unsigned i = 0; i < check->n_servers; i++)
		n += check->servers[i].verdict == verdict;
	return n;
}

/* All are asked again, those of the zone that the alias leads to. */
static bool
follow_alias(struct dkim_check *check)
{
	if (check->n_servers == 0 ||
		count(check, SAYS_ALIAS) != check->n_servers)
		return false;
	if (check->n_aliases++ == ALIASES_MAX)
		return false;
	(void)snprintf(check->name, sizeof(check->name), "%s", check->alias);
	check->alias[0] = '\0';
	check->outcome.problem[0] = '\0';
	clear_servers(check);
	begin(check);
	return true;
}

static void
judge(struct dkim_check *check)
{
	const unsigned n = check->n_servers;

	if (follow_alias(check))
		return;
	check->outcome.n_servers = n;
	check->outcome.n_shown = count(check, SHOWS);
	if (count(check, UNAVAILABLE) > 0 || n == 0)
		check->outcome.seen = DKIM_SEEN_UNKNOWN;
	else if (check->outcome.n_shown == n)
		check->outcome.seen = DKIM_SEEN_SHOWN;
	else if (check->outcome.n_shown > 0)
		check->outcome.seen = DKIM_SEEN_PARTLY;
	else
		check->outcome.seen = count(check, HAS_ANOTHER) > 0
					      ? DKIM_SEEN_DIFFERS
					      : DKIM_SEEN_ABSENT;
	/* An address that failed was not the only one. */
	if (check->outcome.seen == DKIM_SEEN_SHOWN)
		check->outcome.problem[0] = '\0';
	finish(check);
}

static void
conclude(struct server *server, enum verdict verdict, const char *problem)
{
	struct dkim_check *check = server->check;

	assert(server->verdict == WAITING);
	server->verdict = verdict;
	if (problem != NULL)
		tell(check, "%s: %s", server->name, problem);
	if (--check->n_waiting == 0)
		judge(check);
}

/* The only record has to be ours, whatever the order of its tags. */
static void
compare(struct server *server, const struct dns_message *message)
{
	const struct dkim_key *wanted = &server->check->wanted;
	struct dkim_key found;
	const char *err = NULL;

	if (message->n_records > 1) {
		conclude(server, HAS_ANOTHER, "there are several records");
		return;
	}
	if (dkim_key_parse(message->records[0].text, &found, &err) < 0) {
		conclude(server, HAS_ANOTHER, err);
		return;
	}
	if (found.is_revoked)
		conclude(server, HAS_ANOTHER,
			"the record is one of a key that "
			"was revoked");
	else if (found.type != wanted->type ||
		 found.n_bytes != wanted->n_bytes ||
		 memcmp(found.bytes, wanted->bytes, found.n_bytes) != 0)
		conclude(server, HAS_ANOTHER,
			"it is the record of another "
			"key");
	else if (!dkim_key_is_usable(dkim_key_fitness(&found)))
		conclude(server, HAS_ANOTHER,
			dkim_key_fitness_text(dkim_key_fitness(&found)));
	else
		conclude(server, SHOWS, NULL);
}

static void
take_alias(struct server *server, struct slice target)
{
	struct dkim_check *check = server->check;

	if (target.len >= sizeof(check->alias) ||
		(check->alias[0] != '\0' &&
			!slice_eq_text(target, check->alias))) {
		conclude(server, HAS_ANOTHER,
			"it has another alias than other servers");
		return;
	}
	(void)snprintf(check->alias, sizeof(check->alias), "%.*s",
		SLICE_ARG(target));
	conclude(server, SAYS_ALIAS, NULL);
}

static void
on_answer(void *arg, const struct dns_server_answer *answer)
{
	struct server *server = arg;
	const struct dns_message *message = &answer->message;

	server->query = NULL;
	if (answer->is_answered && message->rcode != DNS_RCODE_NO_ERROR &&
		message->rcode != DNS_RCODE_NAME_ERROR) {
		tell(server->check, "%s: it refuses to answer, or cannot",
			server->name);
		ask_next_address(server);
	} else if (!answer->is_answered) {
		tell(server->check, "%s: %s", server->name, answer->reason);
		ask_next_address(server);
	} else if (message->n_records > 0) {
		compare(server, message);
	} else if (message->n_aliases > 0) {
		take_alias(server, message->final_name);
	} else if (!answer->is_authoritative) {
		tell(server->check, "%s: it does not serve the zone",
			server->name);
		ask_next_address(server);
	} else {
		conclude(server, HAS_NONE, "there is no record");
	}
}

/* One that answers is enough. */
static void
ask_next_address(struct server *server)
{
	struct dkim_check *check = server->check;
	struct dns_name name;

	if (server->n_tried == server->n_addresses ||
		!dns_name_parse(slice_of(check->name), &name)) {
		conclude(server, UNAVAILABLE,
			server->n_addresses == 0 ? "it has no address"
						 : "it does not answer");
		return;
	}
	server->query = dns_server_ask(check->loop,
		&server->addresses[server->n_tried++], &name, DNS_TYPE_TXT,
		check->timeout_ms, on_answer, server);
}

/* --- who is asked ------------------------------------------------------- */

static void
take_addresses(struct server *server, const struct dns_answer *answer)
{
	for (size_t i = 0;
		answer->status == DNS_RECORDS && i < answer->n_records &&
		server->n_addresses < ADDRESSES_MAX;
		i++)
		server->addresses[server->n_addresses++] =
			answer->records[i].address;
	if (--server->n_looking_up == 0)
		ask_next_address(server);
}

static void
on_v4(void *arg, const struct dns_answer *answer)
{
	struct server *server = arg;

	server->look_up[0] = NULL;
	take_addresses(server, answer);
}

static void
on_v6(void *arg, const struct dns_answer *answer)
{
	struct server *server = arg;

	server->look_up[1] = NULL;
	take_addresses(server, answer);
}

static void
add_server(struct dkim_check *check, struct slice name)
{
	struct server *server = &check->servers[check->n_servers];

	if (check->n_servers == SERVERS_MAX || name.len >= sizeof(server->name))
		return;
	check->n_servers++;
	check->n_waiting++;
	server->check = check;
	(void)snprintf(server->name, sizeof(server->name), "%.*s",
		SLICE_ARG(name));
	server->n_looking_up = 2;
	server->look_up[0] = dns_ask(check->dns, name, DNS_TYPE_A,
		check->timeout_ms, SLICE(""), on_v4, server);
	server->look_up[1] = dns_ask(check->dns, name, DNS_TYPE_AAAA,
		check->timeout_ms, SLICE(""), on_v6, server);
}

static void ask_for_servers(struct dkim_check *check);

/* The zone of a name begins at the nearest name above it that has servers. */
static void
on_servers(void *arg, const struct dns_answer *answer)
{
	struct dkim_check *check = arg;
	const ptrdiff_t dot = slice_find(check->zone, '.');

	check->zone_query = NULL;
	if (answer->status == DNS_FAILED || answer->status == DNS_BOGUS) {
		fail(check, "the name servers are not known", answer->reason);
		return;
	}
	if (answer->status == DNS_RECORDS && answer->n_aliases == 0) {
		for (size_t i = 0; i < answer->n_records; i++)
			add_server(check, answer->records[i].name);
		if (check->n_servers == 0)
			fail(check, check->name, "its servers have no names");
		return;
	}
	check->zone = slice_from(check->zone,
		dot < 0 ? check->zone.len : (size_t)dot + 1);
	if (slice_find(check->zone, '.') < 0)
		fail(check, check->name, "no name servers were found");
	else
		ask_for_servers(check);
}

static void
ask_for_servers(struct dkim_check *check)
{
	check->zone_query = dns_ask(check->dns, check->zone, DNS_TYPE_NS,
		check->timeout_ms, SLICE(""), on_servers, check);
}

static void
begin(struct dkim_check *check)
{
	check->zone = slice_of(check->name);
	ask_for_servers(check);
}

struct dkim_check *
dkim_check_start(struct dkim_checks *checks, uint64_t timeout_ms,
	const struct dkim_check_question *question, dkim_check_fn *done,
	void *arg)
{
	struct dkim_check *check = x_new(struct dkim_check);
	const char *err = NULL;

	LIST_INSERT_HEAD(&checks->under_way, check, entry);
	check->loop = checks->loop;
	check->dns = checks->dns;
	check->timeout_ms = timeout_ms;
	check->done = done;
	check->arg = arg;
	check->end = loop_timer_new(checks->loop, finish, check);
	if (question->domain.len + question->selector.len >
		NAME_MAX_BYTES - sizeof("._domainkey."))
		fail(check, "the name", "it is too long for the DNS");
	else if (dkim_key_parse(question->record, &check->wanted, &err) < 0)
		fail(check, "the record of the table", err);
	else {
		(void)snprintf(check->name, sizeof(check->name),
			"%.*s._domainkey.%.*s", SLICE_ARG(question->selector),
			SLICE_ARG(question->domain));
		begin(check);
	}
	return check;
}
