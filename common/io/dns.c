#include "common/io/dns.h"

#include <assert.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <unbound-event.h>
#include <unbound.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/io/loop.h"

#define CLASS_IN    1
#define SEC_BOGUS   1
#define SEC_SECURE  2
#define ERROR_MAX   256
#define OPTION_MAX  32
#define SOCKETS_TCP 32
/*
 * Asking the servers of zones: for how long one that did not answer is
 * avoided, by default for a quarter of an hour.
 */
#define AVOIDED_SECONDS "10"
/*
 * Asking resolvers: how often in the time of a question, and each of them in
 * turn; see set_patience().
 */
#define PACKETS_IN_TIME 5
#define ATTEMPTS        3u

/* What a question is found by: its name in wire form, two bytes of type. */
#define KEY_MAX (DNS_NAME_MAX + 2)

TAILQ_HEAD(query_list, dns_query);

struct dns {
	struct loop *loop;
	struct ub_ctx *ctx; /* NULL: could not be made, see error */
	char error[ERROR_MAX];
	size_t queries_max, queries_per_payer;
	struct map *questions;   /* under way */
	struct map *payers;      /* of those */
	size_t n_paid;           /* questions that have a payer */
	struct query_list ready; /* answered; done is called this turn */
	size_t n_ready;
	struct loop_turn *turn;
};

struct payer {
	struct slice name; /* owned */
	size_t n_questions;
};

/*
 * What libunbound works on. It does so until it is answered or has tried all,
 * holding memory and a socket, and ub_cancel() does not change that. So a
 * query that gives up leaves its question behind, which counts until
 * libunbound has called back.
 */
struct question {
	struct dns *dns;
	struct dns_name name;
	enum dns_type type;
	struct payer *payer;       /* NULL: nobody's */
	struct query_list waiting; /* empty: nobody waits for it */
	bool is_being_asked;       /* within ub_resolve_event() */
	bool is_answered; /* in that, so that it has to be freed there */
};

struct dns_query {
	TAILQ_ENTRY(dns_query) link;
	struct dns *dns;
	struct question *question; /* it waits for it; NULL: in dns->ready */
	struct loop_timer *deadline;
	struct arena *arena; /* of the answer; NULL: it has nothing there */
	struct dns_answer answer;
	dns_done_fn *done;
	void *arg;
};

/* --- how a query ends -------------------------------------------------- */

static void
leave_question(struct dns_query *query)
{
	if (query->question != NULL)
		TAILQ_REMOVE(&query->question->waiting, query, link);
	query->question = NULL;
}

/* Its answer is complete. */
static void
finish(struct dns_query *query)
{
	struct dns *dns = query->dns;

	leave_question(query);
	loop_timer_clear(query->deadline);
	TAILQ_INSERT_TAIL(&dns->ready, query, link);
	dns->n_ready++;
	loop_turn_ask(dns->turn);
}

static void
fail(struct dns_query *query, const char *reason)
{
	query->answer =
		(struct dns_answer){ .status = DNS_FAILED, .reason = reason };
	finish(query);
}

/* Made when there is something to put in, not while the query waits. */
static struct arena *
arena_of(struct dns_query *query)
{
	if (query->arena == NULL)
		query->arena = arena_new(DNS_ANSWER_ARENA_MAX);
	return query->arena;
}

static void
free_query(struct dns_query *query)
{
	loop_timer_free(query->deadline);
	arena_free(query->arena);
	x_free(query);
}

static void
take_from_ready(struct dns_query *query)
{
	TAILQ_REMOVE(&query->dns->ready, query, link);
	query->dns->n_ready--;
}

/* Those that are answered meanwhile come in the next turn. */
static void
on_turn(void *arg)
{
	struct dns *dns = arg;
	struct dns_query *query;

	for (size_t n = dns->n_ready; n > 0; n--) {
		query = TAILQ_FIRST(&dns->ready);
		if (query == NULL)
			return;
		take_from_ready(query);
		query->done(query->arg, &query->answer);
		free_query(query);
	}
	if (dns->n_ready > 0)
		loop_turn_ask(dns->turn);
}

static void
on_deadline(void *arg)
{
	fail(arg, "there was no answer in time");
}

void
dns_cancel(struct dns_query *query)
{
	if (query == NULL)
		return;
	if (query->question != NULL)
		leave_question(query);
	else
		take_from_ready(query);
	free_query(query);
}

static void
cancel_all(struct query_list *list)
{
	while (!TAILQ_EMPTY(list))
		dns_cancel(TAILQ_FIRST(list));
}

/* --- payers ------------------------------------------------------------ */

static size_t
n_questions_of(const struct dns *dns, struct slice payer_name)
{
	const struct payer *payer = map_get(dns->payers, payer_name);

	return payer != NULL ? payer->n_questions : 0;
}

/* Of the places of all payers; what nobody pays for has the others. */
static size_t
n_places_left(const struct dns *dns)
{
	return dns->queries_max - dns->queries_max / 4 - dns->n_paid;
}

/* Why the payer may not have one more question asked; NULL: it may. */
static const char *
refusal(struct dns_query *query, struct slice payer_name)
{
	const struct dns *dns = query->dns;
	size_t n, n_left;

	if (map_count(dns->questions) >= dns->queries_max)
		return "too many questions are under way";
	if (payer_name.len == 0)
		return NULL;
	n = n_questions_of(dns, payer_name);
	n_left = n_places_left(dns);
	if (n >= dns->queries_per_payer)
		return arena_printf(arena_of(query),
			"%.*s has %zu questions under way, as many as [dns] "
			"queries_per_domain allows",
			SLICE_ARG(payer_name), n);
	if (n_left == 0 || n > n_left / 4)
		return arena_printf(arena_of(query),
			"with %zu questions under way for other senders, %.*s "
			"may not have more than %zu; see [dns] queries",
			dns->n_paid - n, SLICE_ARG(payer_name), n);
	return NULL;
}

static void
charge(struct question *question, struct slice payer_name)
{
	struct dns *dns = question->dns;
	struct payer *payer;

	if (payer_name.len == 0)
		return;
	payer = map_get(dns->payers, payer_name);
	if (payer == NULL) {
		payer = x_new(struct payer);
		payer->name = (struct slice){ slice_strdup(payer_name),
			payer_name.len };
		map_put(dns->payers, payer_name, payer);
	}
	question->payer = payer;
	payer->n_questions++;
	dns->n_paid++;
}

static void
free_payer(void *arg)
{
	struct payer *payer = arg;

	x_free((char *)(uintptr_t)payer->name.ptr);
	x_free(payer);
}

static void
discharge(struct question *question)
{
	struct payer *payer = question->payer;

	if (payer == NULL)
		return;
	question->dns->n_paid--;
	if (--payer->n_questions > 0)
		return;
	map_remove(question->dns->payers, payer->name);
	free_payer(payer);
}

/* --- answers ----------------------------------------------------------- */

static const char *
failure_text(unsigned rcode)
{
	switch (rcode) {
	case DNS_RCODE_FORMAT_ERROR:
		return "the resolver calls the question malformed (FORMERR)";
	case DNS_RCODE_SERVER_FAILURE:
		return "the resolver cannot be reached, or has no answer "
		       "(SERVFAIL)";
	case DNS_RCODE_NOT_IMPLEMENTED:
		return "the resolver does not know the question (NOTIMP)";
	case DNS_RCODE_REFUSED:
		return "the resolver refuses to answer (REFUSED)";
	default:
		return "the resolver answers with an error";
	}
}

static void
take_message(struct dns_query *query, const struct dns_message *message)
{
	struct dns_answer *answer = &query->answer;

	if (message->rcode != DNS_RCODE_NO_ERROR &&
		message->rcode != DNS_RCODE_NAME_ERROR) {
		fail(query, failure_text(message->rcode));
		return;
	}
	answer->status = DNS_RECORDS;
	if (message->n_records == 0)
		answer->status = message->rcode == DNS_RCODE_NAME_ERROR
					 ? DNS_NO_SUCH_NAME
					 : DNS_NONE;
	answer->records = message->records;
	answer->n_records = message->n_records;
	answer->ttl = message->ttl;
	answer->final_name = message->final_name;
	answer->n_aliases = message->n_aliases;
	answer->reason = "";
	finish(query);
}

static void
take_packet(struct dns_query *query, struct slice packet)
{
	const struct question *question = query->question;
	struct dns_message message;
	const char *err;

	if (dns_message_parse(arena_of(query), packet, &question->name,
		    question->type, &message, &err) < 0)
		fail(query, arena_printf(arena_of(query),
				    "the answer cannot be used: %s", err));
	else
		take_message(query, &message);
}

static void
take_bogus(struct dns_query *query, const char *why)
{
	query->answer = (struct dns_answer){ .status = DNS_BOGUS,
		.reason = arena_printf(arena_of(query),
			"its signatures do not fit: %.200s",
			why != NULL ? why : "no reason was given") };
	finish(query);
}

static struct slice
key_of(const struct dns_name *name, enum dns_type type, char key[KEY_MAX])
{
	memcpy(key, name->wire, name->len);
	key[name->len] = (char)((unsigned)type >> 8);
	key[name->len + 1] = (char)((unsigned)type & 0xff);
	return (struct slice){ key, name->len + 2u };
}

static void
end_question(struct question *question)
{
	char key[KEY_MAX];

	assert(TAILQ_EMPTY(&question->waiting));
	map_remove(question->dns->questions,
		key_of(&question->name, question->type, key));
	discharge(question);
	x_free(question);
}

/*
 * libunbound's; also from within ub_resolve_event() and ub_ctx_delete(). With
 * an rcode the packet is not an answer.
 */
static void
on_answer(void *arg, int rcode, void *packet, int packet_len, int security,
	char *why_bogus, int was_ratelimited)
{
	struct question *question = arg;
	struct dns_query *query;

	(void)was_ratelimited;
	/* Each way out finishes the query, and with that takes it away. */
	while ((query = TAILQ_FIRST(&question->waiting)) != NULL) {
		query->answer.is_secure = security == SEC_SECURE;
		query->answer.is_from_cache = question->is_being_asked;
		if (security == SEC_BOGUS)
			take_bogus(query, why_bogus);
		else if (rcode != 0 || packet == NULL || packet_len <= 0)
			fail(query, failure_text((unsigned)rcode));
		else
			take_packet(query,
				(struct slice){ packet, (size_t)packet_len });
	}
	if (question->is_being_asked)
		question->is_answered = true;
	else
		end_question(question);
}

/* --- questions --------------------------------------------------------- */

static struct question *
new_question(struct dns *dns, const struct dns_name *name, enum dns_type type,
	struct slice payer_name)
{
	struct question *question = x_new(struct question);
	char key[KEY_MAX];

	question->dns = dns;
	question->name = *name;
	question->type = type;
	TAILQ_INIT(&question->waiting);
	map_put(dns->questions, key_of(name, type, key), question);
	charge(question, payer_name);
	return question;
}

static void
join(struct dns_query *query, struct question *question)
{
	query->question = question;
	TAILQ_INSERT_TAIL(&question->waiting, query, link);
}

static void
put_question(struct question *question)
{
	char name[DNS_NAME_TEXT_MAX];
	int error;

	question->is_being_asked = true;
	error = ub_resolve_event(question->dns->ctx,
		dns_name_format(&question->name, name), (int)question->type,
		CLASS_IN, question, on_answer, NULL);
	question->is_being_asked = false;
	if (error != 0 && !question->is_answered)
		fail(TAILQ_FIRST(&question->waiting), ub_strerror(error));
	if (error != 0 || question->is_answered)
		end_question(question);
}

static void
ask(struct dns_query *query, const struct dns_name *name, enum dns_type type,
	struct slice payer_name)
{
	struct dns *dns = query->dns;
	struct question *question;
	const char *reason;
	char key[KEY_MAX];

	question = map_get(dns->questions, key_of(name, type, key));
	if (question != NULL) {
		join(query, question);
		return;
	}
	reason = refusal(query, payer_name);
	if (reason != NULL) {
		fail(query, reason);
		return;
	}
	question = new_question(dns, name, type, payer_name);
	join(query, question);
	put_question(question);
}

static void
no_such_name(struct dns_query *query)
{
	query->answer = (struct dns_answer){ .status = DNS_NO_SUCH_NAME,
		.reason = "it is no name that the DNS could hold" };
	finish(query);
}

static bool
can_be_asked_for(enum dns_type type)
{
	return type != DNS_TYPE_CNAME && type != DNS_TYPE_SOA;
}

struct dns_query *
dns_ask(struct dns *dns, struct slice name, enum dns_type type,
	uint64_t deadline_ms, struct slice payer, dns_done_fn *done, void *arg)
{
	struct dns_query *query = x_new(struct dns_query);
	struct dns_name wire;

	assert(can_be_asked_for(type));
	query->dns = dns;
	query->done = done;
	query->arg = arg;
	query->deadline = loop_timer_new(dns->loop, on_deadline, query);
	if (dns->ctx == NULL) {
		fail(query, dns->error);
	} else if (!dns_name_parse(name, &wire)) {
		no_such_name(query);
	} else {
		loop_timer_set(query->deadline, deadline_ms);
		ask(query, &wire, type, slice_part(payer, 0, DNS_PAYER_MAX));
	}
	return query;
}

/* --- setting up -------------------------------------------------------- */

/*
 * libunbound answers for these names by itself: it holds them for private
 * (RFC 6303, RFC 6761). A site may have such a zone, and who asks through a
 * resolver wants to know what that says.
 */
static void
remove_local_zones(struct ub_ctx *ctx)
{
	static const char *const zones[] = { "localhost.", "127.in-addr.arpa.",
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		"0.0.ip6.arpa.",
		"0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0."
		"0.0.ip6.arpa.",
		"home.arpa.", "onion.", "test.", "invalid.", "10.in-addr.arpa.",
		"168.192.in-addr.arpa.", "0.in-addr.arpa.",
		"254.169.in-addr.arpa.", "2.0.192.in-addr.arpa.",
		"100.51.198.in-addr.arpa.", "113.0.203.in-addr.arpa.",
		"255.255.255.255.in-addr.arpa.", "d.f.ip6.arpa.",
		"8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.",
		"b.e.f.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa." };
	char zone[sizeof("127.100.in-addr.arpa.")];

	for (size_t i = 0; i < sizeof(zones) / sizeof(zones[0]); i++)
		ub_ctx_zone_remove(ctx, zones[i]);
	for (unsigned i = 16; i <= 31; i++) {
		snprintf(zone, sizeof(zone), "%u.172.in-addr.arpa.", i);
		ub_ctx_zone_remove(ctx, zone);
	}
	for (unsigned i = 64; i <= 127; i++) {
		snprintf(zone, sizeof(zone), "%u.100.in-addr.arpa.", i);
		ub_ctx_zone_remove(ctx, zone);
	}
}

static int
set_number(struct ub_ctx *ctx, const char *option, uint64_t number)
{
	char text[OPTION_MAX];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return ub_ctx_set_option(ctx, option, text);
}

static unsigned
n_system_resolvers(void)
{
	struct __res_state state;
	int n = 0;

	memset(&state, 0, sizeof(state));
	if (res_ninit(&state) == 0) {
		n = state.nscount;
		res_nclose(&state);
	}
	return n > 0 ? (unsigned)n : 1;
}

/*
 * libunbound learns from each answer, and from each that does not come, how
 * long a server takes and whether it is alive. Of the servers of a zone that
 * is true. A resolver that does not answer tells of the name it was asked for:
 *  - beside names that were answered at once, one that took it 1.5 s failed
 *    after 0.7 s, ten packets 50 to 100 ms apart: 40 of 40, now none;
 *  - when for some time nothing was asked for but a domain whose servers do
 *    not answer, as at night, other names failed at once: 19 of 342, now none.
 * So nothing is learnt: what is known of a server has always expired. Packets
 * are so far apart (but at least 376 ms, which libunbound starts from) that it
 * gives up shortly after our time is up. To each resolver go two in a row, the
 * second asking for a shorter answer; if there are several, one that is dead
 * takes but a part of the time.
 */
static int
set_patience(struct ub_ctx *ctx, const struct dns_config *config)
{
	const unsigned n = config->n_resolvers > 0
				   ? (unsigned)config->n_resolvers
				   : n_system_resolvers();
	int error = ub_ctx_set_option(ctx, "infra-host-ttl:", "-1");

	if (error == 0)
		error = set_number(ctx, "infra-cache-min-rtt:",
			config->timeout_ms / PACKETS_IN_TIME);
	/* libunbound 1.13 does not have this, and tries five times. */
	(void)set_number(ctx, "outbound-msg-retry:", (ATTEMPTS + n - 1) / n);
	return error;
}

static int
set_options(struct ub_ctx *ctx, const struct dns_config *config)
{
	const struct {
		const char *option;
		uint64_t number;
	} numbers[] = {
		/* A message refers to its records, which take twice that. */
		{ "msg-cache-size:", config->cache_bytes / 3 },
		{ "rrset-cache-size:", config->cache_bytes / 3 * 2 },
		/* For UDP one for each question, or some would wait. */
		{ "outgoing-range:", config->queries_max },
		{ "outgoing-num-tcp:", SOCKETS_TCP },
	};
	int error = ub_ctx_set_option(ctx,
		"do-not-query-localhost:", config->is_recursive ? "yes" : "no");

	if (error == 0)
		error = ub_ctx_set_option(ctx, "module-config:",
			config->trust_anchor[0] != '\0' ? "validator iterator"
							: "iterator");
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (error == 0)
			error = set_number(ctx, numbers[i].option,
				numbers[i].number);
	if (error != 0)
		return error;
	return config->is_recursive
		       ? ub_ctx_set_option(ctx,
				 "infra-host-ttl:", AVOIDED_SECONDS)
		       : set_patience(ctx, config);
}

static int
set_resolvers(struct ub_ctx *ctx, const struct dns_config *config)
{
	int error = 0;

	if (config->is_recursive)
		return 0;
	/* Without the file a local resolver is asked: resolv.conf(5). */
	if (config->n_resolvers == 0)
		return ub_ctx_resolvconf(ctx, NULL) == 0
			       ? 0
			       : ub_ctx_set_fwd(ctx, "127.0.0.1");
	for (size_t i = 0; i < config->n_resolvers && error == 0; i++)
		error = ub_ctx_set_fwd(ctx, config->resolvers[i]);
	return error;
}

static int
set_up(struct ub_ctx *ctx, const struct dns_config *config)
{
	int error;

	/* It would write to stderr what it thinks of servers. */
	ub_ctx_debugout(ctx, NULL);
	error = set_options(ctx, config);
	if (error == 0)
		error = set_resolvers(ctx, config);
	if (error == 0 && config->trust_anchor[0] != '\0')
		error = ub_ctx_add_ta_file(ctx, config->trust_anchor);
	/* Puts all this in force; nothing can be set any more. */
	if (error == 0)
		error = ub_ctx_zone_remove(ctx, "localhost.");
	return error;
}

static void
open_context(struct dns *dns, const struct dns_config *config)
{
	struct ub_ctx *ctx = ub_ctx_create_event(loop_event_base(dns->loop));
	int error = ctx == NULL ? UB_NOMEM : set_up(ctx, config);

	if (error == 0) {
		remove_local_zones(ctx);
		dns->ctx = ctx;
		return;
	}
	if (ctx != NULL)
		ub_ctx_delete(ctx);
	snprintf(dns->error, sizeof(dns->error),
		"the resolver cannot be set up: %s", ub_strerror(error));
	log_error("dns: %s; look at [dns] resolver and trust_anchor%s%s",
		dns->error, config->trust_anchor[0] != '\0' ? " = " : "",
		config->trust_anchor);
}

struct dns *
dns_new(struct loop *loop, const struct dns_config *config)
{
	struct dns *dns = x_new(struct dns);

	dns->loop = loop;
	dns->queries_max = config->queries_max;
	dns->queries_per_payer = config->queries_per_payer;
	dns->questions = map_new();
	dns->payers = map_new();
	TAILQ_INIT(&dns->ready);
	dns->turn = loop_turn_new(loop, on_turn, dns);
	open_context(dns, config);
	return dns;
}

void
dns_free(struct dns *dns)
{
	struct slice key;
	size_t at = 0;
	void *value;

	if (dns == NULL)
		return;
	while (map_next(dns->questions, &at, &key, &value))
		cancel_all(&((struct question *)value)->waiting);
	cancel_all(&dns->ready);
	/* It calls back for some of what was under way, but not for all. */
	ub_ctx_delete(dns->ctx);
	map_free(dns->questions, x_free);
	map_free(dns->payers, free_payer);
	loop_turn_free(dns->turn);
	x_free(dns);
}
