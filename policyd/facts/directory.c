#include "policyd/facts/directory.h"

#include "common/base/mem.h"
#include "policyd/facts/directory_store.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/tables.h"
#include "policyd/request.h"

/* Four addresses at most; JSON may write a byte with six. */
#define KEY_MAX ((size_t)4 * 6 * (ADDRESS_MAX + 8))

/* --- keys --------------------------------------------------------------- */

/* The address as it came and, from an alias domain, the one behind it. */
static void
append_forms(const struct tables *tables, const struct address *address,
	struct arena *arena, struct str *json)
{
	const struct slice domain = domain_real(tables, address->domain);

	str_append_char(json, '[');
	str_append_json(json, address->bare);
	if (!slice_eq(domain, address->domain)) {
		str_append_char(json, ',');
		str_append_json(json,
			slice_of(arena_printf(arena, "%.*s@%.*s",
				SLICE_ARG(address->local), SLICE_ARG(domain))));
	}
	str_append_char(json, ']');
}

static void
append_roles(const struct tables *tables, const struct request *req,
	const struct address *who, const struct address *address,
	struct str *json)
{
	str_append_char(json, '[');
	str_append_json(json, who->local);
	str_append_char(json, ',');
	str_append_json(json, domain_real(tables, who->domain));
	str_append_char(json, ',');
	str_append_json(json, slice_of(req->config->mail.recipient_delimiters));
	str_append_char(json, ',');
	append_forms(tables, address, req->arena, json);
	str_append_char(json, ']');
}

/* --- facts -------------------------------------------------------------- */

static const union directory_answer nothing;

static bool
has_tables(struct fact *fact)
{
	return tables_require(fact->facts->sources->tables,
		TABLE_BIT(TABLE_DOMAIN) | TABLE_BIT(TABLE_ALIAS_DOMAIN), fact);
}

/* vmail has no rows for what is no address of a mail domain. */
static void
load_account(struct fact *fact, const struct address *address)
{
	const struct sources *sources = fact->facts->sources;
	struct str key;

	if (!address->is_plain) {
		fact_known(fact, &nothing);
		return;
	}
	if (!has_tables(fact))
		return;
	str_init(&key, KEY_MAX);
	append_forms(sources->tables, address, fact->facts->req->arena, &key);
	directory_ask(sources->directory, DIRECTORY_ACCOUNT, str_slice(&key),
		fact);
	str_free(&key);
}

static void
load_roles(struct fact *fact, const struct address *who,
	const struct address *address)
{
	const struct sources *sources = fact->facts->sources;
	struct str key;

	if (!who->is_plain || !address->is_plain) {
		fact_known(fact, &nothing);
		return;
	}
	if (!has_tables(fact))
		return;
	str_init(&key, KEY_MAX);
	append_roles(sources->tables, fact->facts->req, who, address, &key);
	directory_ask(sources->directory, DIRECTORY_ROLES, str_slice(&key),
		fact);
	str_free(&key);
}

static void
load_recipient_account(struct fact *fact)
{
	load_account(fact, &fact->facts->req->recipient);
}

static void
load_login_account(struct fact *fact)
{
	load_account(fact, &fact->facts->req->login);
}

static void
load_sender_roles(struct fact *fact)
{
	const struct request *req = fact->facts->req;

	load_roles(fact, &req->sender, &req->recipient);
}

static void
load_login_roles(struct fact *fact)
{
	const struct request *req = fact->facts->req;

	load_roles(fact, &req->login, &req->sender);
}

static void
load_author_roles(struct fact *fact)
{
	const struct request *req = fact->facts->req;
	const struct address *author = request_other_author(req);

	if (author != NULL)
		load_roles(fact, &req->login, author);
	else
		fact_known(fact, &nothing);
}

/* It waits for a table, or, all of them being there, for a look-up. */
static void
cancel(struct fact *fact)
{
	struct tables *tables = fact->facts->sources->tables;

	if (tables_get(tables, TABLE_DOMAIN) == NULL ||
		tables_get(tables, TABLE_ALIAS_DOMAIN) == NULL)
		tables_forget(tables, fact);
	else
		directory_cancel(fact);
}

static const char *
yes_no(bool is_so)
{
	return is_so ? "true" : "false";
}

static void
describe_account(const void *value, struct str *json)
{
	const struct account *account = value;

	str_printf(json, "{\"is_alias\":%s,\"is_maillist\":%s",
		yes_no(account->is_alias), yes_no(account->is_maillist));
	if (account->is_alias)
		str_printf(json, ",\"alias_policy\":\"%s\"",
			access_policy_name(account->alias_policy));
	if (account->is_maillist)
		str_printf(json, ",\"maillist_policy\":\"%s\"",
			access_policy_name(account->maillist_policy));
	if (account->is_mailbox)
		str_printf(json, ",\"password_changed_at\":%lld",
			(long long)account->password_changed_at);
	str_append_char(json, '}');
}

static void
describe_roles(const void *value, struct str *json)
{
	const struct roles *roles = value;

	str_printf(json,
		"{\"is_member\":%s,\"is_alias_owner\":%s,\"is_moderator\":%s,"
		"\"is_owner\":%s}",
		yes_no(roles->is_member), yes_no(roles->is_alias_owner),
		yes_no(roles->is_moderator || roles->is_any_moderator),
		yes_no(roles->is_owner));
}

const struct fact_kind fact_kind_recipient_account = {
	.id = FACT_RECIPIENT_ACCOUNT,
	.name = "recipient_account",
	.load = load_recipient_account,
	.cancel = cancel,
	.describe = describe_account,
};

const struct fact_kind fact_kind_login_account = {
	.id = FACT_LOGIN_ACCOUNT,
	.name = "login_account",
	.load = load_login_account,
	.cancel = cancel,
	.describe = describe_account,
};

const struct fact_kind fact_kind_sender_roles = {
	.id = FACT_SENDER_ROLES,
	.name = "sender_roles",
	.load = load_sender_roles,
	.cancel = cancel,
	.describe = describe_roles,
};

const struct fact_kind fact_kind_login_roles = {
	.id = FACT_LOGIN_ROLES,
	.name = "login_roles",
	.load = load_login_roles,
	.cancel = cancel,
	.describe = describe_roles,
};

const struct fact_kind fact_kind_author_roles = {
	.id = FACT_AUTHOR_ROLES,
	.name = "author_roles",
	.load = load_author_roles,
	.cancel = cancel,
	.describe = describe_roles,
};

bool
fact_recipient_account(struct facts *facts, const struct account **out)
{
	return fact_ask(facts, &fact_kind_recipient_account,
		(const void **)out);
}

bool
fact_login_account(struct facts *facts, const struct account **out)
{
	return fact_ask(facts, &fact_kind_login_account, (const void **)out);
}

bool
fact_sender_roles(struct facts *facts, const struct roles **out)
{
	return fact_ask(facts, &fact_kind_sender_roles, (const void **)out);
}

bool
fact_login_roles(struct facts *facts, const struct roles **out)
{
	return fact_ask(facts, &fact_kind_login_roles, (const void **)out);
}

bool
fact_author_roles(struct facts *facts, const struct roles **out)
{
	return fact_ask(facts, &fact_kind_author_roles, (const void **)out);
}
