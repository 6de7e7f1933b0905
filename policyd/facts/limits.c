#include "policyd/facts/limits.h"

#include <assert.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "policyd/facts/accounts.h"
#include "policyd/facts/column.h"
#include "policyd/facts/setting.h"
#include "policyd/facts/throttle_rules.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* One account has at most one rule of a kind; a client is also in networks. */
#define NETWORKS_MAX 129
#define MATCHES_MAX  (ACCOUNT_FORMS_MAX + 2 + IP_WILDCARDS_MAX + NETWORKS_MAX)
/* Forms of one address and of its alias, each with 127 labels. */
#define SCRATCH_MAX ((size_t)256 << 10)
/* Rules that were copied lately: most recipients share theirs. */
#define COPIES_MAX 16
/* For explain: sets that are told one by one. */
#define DESCRIBED_MAX 20

/* Rules that apply to one subject, in the order they are asked. */
struct matches {
	const struct stored_rule *items[MATCHES_MAX];
	size_t n;
};

/* A rule in the request's arena: the snapshot may go while it waits. */
struct copy {
	const struct stored_rule *of;
	const struct throttle_rule *rule;
	enum throttle_count count;
};

/* The limits of one message, being put together. */
struct builder {
	const struct request *req;
	const struct tables *tables;
	const struct throttle_table *table;
	struct client_forms client;
	struct slice client_text;
	struct arena *scratch; /* forms of one subject */
	struct map *subjects;  /* of recipients: struct limit_set */
	struct copy copies[COPIES_MAX];
	size_t next_copy;
	struct limit_set *sets;
	size_t n_sets;
};

/* --- which rules ------------------------------------------------------- */

static void
add_match(struct matches *matches, const struct stored_rule *rule)
{
	/* A rule with period 0 is skipped completely, as in iRedAPD. */
	if (rule == NULL || rule->rule.period_s == 0)
		return;
	/* An alias domain and its target share @. and maybe more. */
	for (size_t i = 0; i < matches->n; i++)
		if (matches->items[i] == rule)
			return;
	assert(matches->n < MATCHES_MAX);
	matches->items[matches->n++] = rule;
}

static void
match_client(struct builder *b, enum throttle_kind kind, struct matches *out)
{
	const struct stored_rule *rule;
	size_t at = 0;

	out->n = 0;
	if (throttle_table_account_kinds(b->table, kind) &
		ACCOUNT_BIT(ACCOUNT_WILDCARD_IP))
		client_forms_add_wildcards(&b->req->client,
			b->req->config->throttle.all_wildcard_ips, &b->client);
	for (size_t i = 0; i < b->client.n; i++)
		add_match(out, throttle_table_account(b->table, kind,
				       slice_of(b->client.items[i])));
	while ((rule = throttle_table_network(b->table, kind, &b->req->client,
			&at)) != NULL)
		add_match(out, rule);
	if (b->client.n > 0)
		add_match(out,
			throttle_table_account(b->table, kind, SLICE("@ip")));
}

static void
match_address(const struct builder *b, enum throttle_kind kind,
	const struct address *address, struct matches *out)
{
	struct account_forms forms;

	arena_reset(b->scratch);
	account_forms_of_party(b->scratch, b->tables, address, &forms);
	if (throttle_table_account_kinds(b->table, kind) &
		ACCOUNT_BIT(ACCOUNT_ANY_DOMAIN))
		account_forms_add_any_domain(b->scratch, address, &forms);
	for (size_t i = 0; i < forms.n; i++)
		add_match(out,
			throttle_table_account(b->table, kind, forms.items[i]));
}

/* By stored priority; where that ties, the more specific kind of account. */
static bool
comes_before(const struct stored_rule *a, const struct stored_rule *b)
{
	if (a->rule.priority != b->rule.priority)
		return a->rule.priority > b->rule.priority;
	return a->account_kind > b->account_kind;
}

/* Keeps the order of equals: forms were added most specific first. */
static void
sort_matches(struct matches *matches)
{
	for (size_t i = 1; i < matches->n; i++) {
		const struct stored_rule *rule = matches->items[i];
		size_t at = i;

		for (; at > 0 && comes_before(rule, matches->items[at - 1]);
			at--)
			matches->items[at] = matches->items[at - 1];
		matches->items[at] = rule;
	}
}

/* --- which limits ------------------------------------------------------ */

static const struct copy *
copy_of(struct builder *b, const struct stored_rule *of)
{
	struct throttle_rule *rule;
	struct copy *copy;

	for (size_t i = 0; i < COPIES_MAX; i++)
		if (b->copies[i].of == of)
			return &b->copies[i];
	rule = arena_new_object(b->req->arena, struct throttle_rule);
	*rule = of->rule;
	rule->account = slice_copy(b->req->arena, of->rule.account);
	copy = &b->copies[b->next_copy++ % COPIES_MAX];
	copy->of = of;
	copy->rule = rule;
	copy->count = setting_throttle_count(b->tables, rule->account);
	return copy;
}

/* What it counts under: the client, the rule's account, or the subject. */
static struct slice
counter_account(const struct builder *b, const struct copy *copy,
	struct slice subject)
{
	switch (copy->of->account_kind) {
	case ACCOUNT_IP:
	case ACCOUNT_CATCH_ALL_IP:
		return b->client_text;
	case ACCOUNT_NETWORK:
	case ACCOUNT_WILDCARD_IP:
	case ACCOUNT_ANY_DOMAIN:
		return copy->rule->account;
	case ACCOUNT_DOMAIN:
	case ACCOUNT_SUBDOMAIN:
	case ACCOUNT_TOP_DOMAIN:
	case ACCOUNT_CATCH_ALL:
		return copy->count == THROTTLE_COUNT_DOMAIN
			       ? copy->rule->account
			       : subject;
	case ACCOUNT_ADDRESS:
	case ACCOUNT_INVALID:
		return subject;
	}
	return subject;
}

static bool
is_complete(const struct limit_set *set)
{
	return set->msg_size != NULL && set->max_msgs != NULL &&
	       set->max_quota != NULL && set->max_rcpts != NULL;
}

static bool
says_more(const struct throttle_rule *rule, const struct limit_set *set)
{
	return (set->msg_size == NULL && rule->msg_size >= 0) ||
	       (set->max_rcpts == NULL && rule->max_rcpts >= 0) ||
	       (set->max_msgs == NULL && rule->max_msgs >= 0) ||
	       (set->max_quota == NULL && rule->max_quota >= 0);
}

/*
 * Takes from a rule what no rule before it has said. Only such a rule is
 * copied: so a set costs at most four, however many rules match.
 */
static void
apply_rule(struct builder *b, const struct stored_rule *stored,
	struct limit_set *set)
{
	const struct throttle_rule *rule = &stored->rule;
	const struct copy *copy;

	if (!says_more(rule, set))
		return;
	copy = copy_of(b, stored);
	if (set->msg_size == NULL && rule->msg_size >= 0)
		set->msg_size = copy->rule;
	if (set->max_rcpts == NULL && rule->max_rcpts >= 0)
		set->max_rcpts = copy->rule;
	if (set->max_msgs == NULL && rule->max_msgs >= 0) {
		set->max_msgs = copy->rule;
		set->msgs_account = counter_account(b, copy, set->subject);
	}
	if (set->max_quota == NULL && rule->max_quota >= 0) {
		set->max_quota = copy->rule;
		set->quota_account = counter_account(b, copy, set->subject);
	}
}

/*
 * The limits for one subject, or NULL when no rule gives any. address NULL or
 * empty: nobody is known, only the client is.
 */
static struct limit_set *
add_set(struct builder *b, enum throttle_kind kind,
	const struct matches *client, const struct address *address,
	unsigned n_messages)
{
	const bool is_known = address != NULL && address->bare.len > 0;
	struct limit_set *set = &b->sets[b->n_sets];
	struct matches matches = *client;

	if (is_known)
		match_address(b, kind, address, &matches);
	if (matches.n == 0)
		return NULL;
	sort_matches(&matches);
	*set = (struct limit_set){
		.kind = kind,
		.subject = is_known ? column_text(b->req->arena, address->bare,
					      COLUMN_ADDRESS_MAX)
				    : b->client_text,
		.n_messages = n_messages,
	};
	for (size_t i = 0; i < matches.n && !is_complete(set); i++)
		apply_rule(b, matches.items[i], set);
	if (set->msg_size == NULL && set->max_msgs == NULL &&
		set->max_quota == NULL && set->max_rcpts == NULL)
		return NULL;
	b->n_sets++;
	return set;
}

/* --- one message ------------------------------------------------------- */

static unsigned
message_count(const struct request *req)
{
	return req->recipient_count > 0 ? req->recipient_count : 1;
}

static void
add_sender(struct builder *b)
{
	const struct request *req = b->req;
	const bool is_authenticated = request_is_authenticated(req);
	const enum throttle_kind kind =
		is_authenticated || ip_is_loopback(&req->client)
			? THROTTLE_OUTBOUND
			: THROTTLE_EXTERNAL;
	struct matches client;

	if (throttle_table_account_kinds(b->table, kind) == 0)
		return;
	match_client(b, kind, &client);
	add_set(b, kind, &client, is_authenticated ? &req->login : &req->sender,
		message_count(req));
}

static void
add_recipient(struct builder *b, const struct matches *client,
	const struct address *recipient)
{
	struct limit_set *set = map_get(b->subjects, recipient->bare);

	if (set != NULL) {
		set->n_messages++;
		return;
	}
	set = add_set(b, THROTTLE_INBOUND, client, recipient, 1);
	if (set != NULL)
		map_put(b->subjects, recipient->bare, set);
}

static void
add_recipients(struct builder *b)
{
	const struct request *req = b->req;
	struct matches client;

	if (throttle_table_account_kinds(b->table, THROTTLE_INBOUND) == 0)
		return;
	match_client(b, THROTTLE_INBOUND, &client);
	/* Who gets it is not known; who sends it is. */
	if (req->n_recipients == 0)
		add_set(b, THROTTLE_INBOUND, &client, NULL, message_count(req));
	for (size_t i = 0; i < req->n_recipients; i++)
		add_recipient(b, &client, &req->recipients[i]);
}

static const struct limits *
build(const struct request *req, const struct tables *tables)
{
	struct limits *limits = arena_new_object(req->arena, struct limits);
	struct builder b = {
		.req = req,
		.tables = tables,
		.table = tables_get(tables, TABLE_THROTTLE),
		.scratch = arena_new(SCRATCH_MAX),
		.subjects = map_new(),
		.sets = arena_new_array(req->arena, 2 + req->n_recipients,
			struct limit_set),
	};

	client_forms_of(&req->client, &b.client);
	if (b.client.n > 0)
		b.client_text =
			slice_copy(req->arena, slice_of(b.client.items[0]));
	add_sender(&b);
	add_recipients(&b);
	limits->sets = b.sets;
	limits->n_sets = b.n_sets;
	map_free(b.subjects, NULL);
	arena_free(b.scratch);
	return limits;
}

static void
load(struct fact *fact)
{
	struct tables *tables = fact->facts->sources->tables;

	if (tables_require(tables,
		    TABLE_BIT(TABLE_THROTTLE) | TABLE_BIT(TABLE_SETTING) |
			    TABLE_BIT(TABLE_DOMAIN) |
			    TABLE_BIT(TABLE_ALIAS_DOMAIN),
		    fact))
		fact_known(fact, build(fact->facts->req, tables));
}

static void
cancel(struct fact *fact)
{
	tables_forget(fact->facts->sources->tables, fact);
}

/* --- for explain ------------------------------------------------------- */

/* account "" for a limit that counts nothing. */
static void
describe_limit(const char *name, const struct throttle_rule *rule,
	int64_t limit, struct slice account, struct str *json)
{
	str_printf(json,
		",\"%s\":{\"limit\":%lld,\"rule\":%llu,\"account\":", name,
		(long long)limit, (unsigned long long)rule->id);
	str_append_json(json, rule->account);
	if (account.len > 0) {
		str_printf(json, ",\"period\":%llu,\"counts\":",
			(unsigned long long)rule->period_s);
		str_append_json(json, account);
	}
	str_append_char(json, '}');
}

static void
describe_set(const struct limit_set *set, struct str *json)
{
	str_printf(json,
		"{\"kind\":\"%s\",\"subject\":", throttle_kind_name(set->kind));
	str_append_json(json, set->subject);
	str_printf(json, ",\"messages\":%u", set->n_messages);
	if (set->msg_size != NULL)
		describe_limit("msg_size", set->msg_size,
			set->msg_size->msg_size, SLICE(""), json);
	if (set->max_rcpts != NULL)
		describe_limit("max_rcpts", set->max_rcpts,
			set->max_rcpts->max_rcpts, SLICE(""), json);
	if (set->max_msgs != NULL)
		describe_limit("max_msgs", set->max_msgs,
			set->max_msgs->max_msgs, set->msgs_account, json);
	if (set->max_quota != NULL)
		describe_limit("max_quota", set->max_quota,
			set->max_quota->max_quota, set->quota_account, json);
	str_append_char(json, '}');
}

static void
describe(const void *value, struct str *json)
{
	const struct limits *limits = value;

	str_append_text(json, "{\"subjects\":[");
	for (size_t i = 0; i < limits->n_sets && i < DESCRIBED_MAX; i++) {
		if (i > 0)
			str_append_char(json, ',');
		describe_set(&limits->sets[i], json);
	}
	str_append_char(json, ']');
	if (limits->n_sets > DESCRIBED_MAX)
		str_printf(json, ",\"more\":%zu",
			limits->n_sets - DESCRIBED_MAX);
	str_append_char(json, '}');
}

const struct fact_kind fact_kind_limits = {
	.id = FACT_LIMITS,
	.name = "limits",
	.load = load,
	.cancel = cancel,
	.describe = describe,
};

bool
fact_limits(struct facts *facts, const struct limits **out)
{
	return fact_ask(facts, &fact_kind_limits, (const void **)out);
}
