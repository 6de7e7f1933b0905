#include "policyd/facts/setting.h"

#include <string.h>

#include "common/base/map.h"
#include "common/base/mem.h"
#include "policyd/facts/accounts.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* Scratch of the row being read: an account, and its canonical form. */
#define SCRATCH_MAX 4096

/* --- what may be set --------------------------------------------------- */

/* Two for each rule, by 2 * enum rule_id. */
enum setting_id {
#define RULE(name, mode) SETTING_##name##_mode, SETTING_##name##_on_error,
#include "policyd/rules/rules.def"
#undef RULE
	SETTING_CHECK_FORGED_SENDER,
	SETTING_MAY_SEND_AS,
	SETTING_ALLOW_LIST_MEMBERS,
	SETTING_THROTTLE_COUNT,
	SETTING_THROTTLE_OVER_LIMIT,
	SETTING_GREYLISTING_TELL_DELAY,
	SETTING_WHITELIST_NEEDS_SPF,
	/* Two for each enum spf_case: of the recipient, and of the sender. */
	SETTING_SPF_FIRST,
	SETTING_SPF_LAST = SETTING_SPF_FIRST + 2 * SPF_CASE_COUNT - 1,
	SETTING_SPF_HELO_FAIL,
	/* One for each enum dmarc_case. */
	SETTING_DMARC_FIRST,
	SETTING_DMARC_LAST = SETTING_DMARC_FIRST + DMARC_CASE_COUNT - 1,
	SETTING_DMARC_FORCE_REJECT,
	SETTING_COUNT
};

#define SETTING_SPF(which)        ((size_t)SETTING_SPF_FIRST + (which))
#define SETTING_SPF_SENDER(which) (SETTING_SPF(which) + SPF_CASE_COUNT)

#define SETTING_DMARC(which) ((size_t)SETTING_DMARC_FIRST + (which))

#define SETTING_MODE(rule)     ((size_t)2 * (rule))
#define SETTING_ON_ERROR(rule) ((size_t)2 * (rule) + 1)

/* In the order of enum rule_mode, of false and true, and so on. */
#define MODE_WORDS                          \
	{                                   \
		"off", "observe", "enforce" \
	}
#define ON_ERROR_WORDS            \
	{                         \
		"accept", "defer" \
	}

#define LOGIN_MISMATCH "reject_sender_login_mismatch."

/* In the order of enum spf_action. */
#define SPF_ACTION_WORDS "reject", "defer", "header", "nothing"
#define SPF_NAME(which, name)                                                  \
	[SETTING_SPF_FIRST + (which)] = { "spf." name, { SPF_ACTION_WORDS } }, \
			     [SETTING_SPF_FIRST + SPF_CASE_COUNT +             \
				     (which)] = { "spf.sender_" name,          \
				     { SPF_ACTION_WORDS, "recipient" } }
#define SPF_ACTION_RECIPIENT (SPF_ACTION_NOTHING + 1)

/* In the order of enum dmarc_action. */
#define DMARC_NAME(which, name)                            \
	[SETTING_DMARC_FIRST + (which)] = { "dmarc." name, \
		{ "reject", "defer", "hold", "header", "report" } }

#define WORDS_MAX 6
#define FIRST_OWN SETTING_CHECK_FORGED_SENDER /* not one of every rule */

static const struct {
	const char *name;
	const char *words[WORDS_MAX]; /* the values; the rest is NULL */
} names[SETTING_COUNT] = {
#define RULE(name, mode)                                         \
	[SETTING_##name##_mode] = { #name ".mode", MODE_WORDS }, \
	[SETTING_##name##_on_error] = { #name ".on_error", ON_ERROR_WORDS },
#include "policyd/rules/rules.def"
#undef RULE
	[SETTING_CHECK_FORGED_SENDER] = { LOGIN_MISMATCH "check_forged_sender",
		{ "no", "yes" } },
	[SETTING_MAY_SEND_AS] = { LOGIN_MISMATCH "may_send_as",
		{ "own", "domain", "any" } },
	[SETTING_ALLOW_LIST_MEMBERS] = { LOGIN_MISMATCH "allow_list_members",
		{ "no", "yes" } },
	[SETTING_THROTTLE_COUNT] = { "throttle.count", { "user", "domain" } },
	[SETTING_THROTTLE_OVER_LIMIT] = { "throttle.over_limit",
		{ "reject", "defer" } },
	[SETTING_GREYLISTING_TELL_DELAY] = { "greylisting.tell_delay",
		{ "no", "yes" } },
	[SETTING_WHITELIST_NEEDS_SPF] = { "amavisd_wblist.whitelist_needs_spf",
		{ "no", "yes" } },
	SPF_NAME(SPF_CASE_FAIL, "fail"),
	SPF_NAME(SPF_CASE_SOFTFAIL, "softfail"),
	SPF_NAME(SPF_CASE_TEMPERROR, "temperror"),
	SPF_NAME(SPF_CASE_PERMERROR, "permerror"),
	[SETTING_SPF_HELO_FAIL] = { "spf.helo_fail", { SPF_ACTION_WORDS } },
	DMARC_NAME(DMARC_CASE_REJECT, "reject"),
	DMARC_NAME(DMARC_CASE_QUARANTINE, "quarantine"),
	DMARC_NAME(DMARC_CASE_TEMPERROR, "temperror"),
	DMARC_NAME(DMARC_CASE_BAD_FROM, "bad_from"),
	[SETTING_DMARC_FORCE_REJECT] = { "dmarc.force_reject",
		{ "no", "yes" } },
};

static size_t
find_name(struct slice name)
{
	size_t id;

	for (id = 0; id < SETTING_COUNT; id++)
		if (slice_eq_text(name, names[id].name))
			break;
	return id;
}

/* The position of the value among the words, or -1. */
static int
find_word(size_t id, struct slice value)
{
	for (int i = 0; i < WORDS_MAX && names[id].words[i] != NULL; i++)
		if (slice_case_eq(value, slice_of(names[id].words[i])))
			return i;
	return -1;
}

const char *
setting_name(size_t i)
{
	return i < SETTING_COUNT ? names[i].name : NULL;
}

/* ", a, b and c": what only some rules have. */
static const char *
own_names(struct arena *arena)
{
	const char *out = "";

	for (size_t id = FIRST_OWN; id < SETTING_COUNT; id++)
		out = arena_printf(arena, "%s%s%s", out,
			id + 1 < SETTING_COUNT ? ", " : " and ",
			names[id].name);
	return out;
}

static const char *
explain_name(struct arena *arena, struct slice name)
{
	const char *all[SETTING_COUNT];
	const char *nearest;

	for (size_t i = 0; i < SETTING_COUNT; i++)
		all[i] = names[i].name;
	nearest = slice_nearest(name, all, SETTING_COUNT);
	if (nearest != NULL)
		return arena_printf(arena,
			"\"%.*s\" is not a setting; did you mean \"%s\"?",
			SLICE_ARG(name), nearest);
	return arena_printf(arena,
		"\"%.*s\" is not a setting; there are RULE.mode, "
		"RULE.on_error%s",
		SLICE_ARG(name), own_names(arena));
}

/* "off, observe or enforce": the values that a setting may have. */
static const char *
list_words(struct arena *arena, const char *const *words)
{
	const char *out = words[0];

	for (size_t i = 1; i < WORDS_MAX && words[i] != NULL; i++) {
		const bool is_last = i + 1 == WORDS_MAX || words[i + 1] == NULL;

		out = arena_printf(arena, "%s%s%s", out,
			is_last ? " or " : ", ", words[i]);
	}
	return out;
}

const char *
setting_check(struct arena *arena, struct slice name, struct slice value)
{
	const size_t id = find_name(name);

	if (id == SETTING_COUNT)
		return explain_name(arena, name);
	if (find_word(id, value) >= 0)
		return NULL;
	return arena_printf(arena, "%s is %s, not \"%.*s\"", names[id].name,
		list_words(arena, names[id].words), SLICE_ARG(value));
}

/* --- policyd.setting --------------------------------------------------- */

enum { COLUMN_ACCOUNT, COLUMN_NAME, COLUMN_VALUE, COLUMN_KEY };

/* What one account has: 0 where there is no row, else the word's number + 1. */
struct row {
	uint8_t word[SETTING_COUNT];
};

struct setting_table {
	struct map *rows; /* by account */
	struct arena *scratch;
};

static void *
make(const struct config *config)
{
	struct setting_table *table = x_new(struct setting_table);

	(void)config;
	table->rows = map_new();
	table->scratch = arena_new(SCRATCH_MAX);
	return table;
}

static void
free_table(void *snapshot)
{
	struct setting_table *table = snapshot;

	map_free(table->rows, x_free);
	arena_free(table->scratch);
	x_free(table);
}

static const char *
add(void *snapshot, const struct db_rows *rows, size_t i)
{
	struct setting_table *table = snapshot;
	const size_t id = find_name(db_rows_text(rows, i, COLUMN_NAME));
	struct stored_account account;
	struct row *row;
	int word;

	arena_reset(table->scratch);
	if (!stored_account_read(table->scratch,
		    db_rows_text(rows, i, COLUMN_ACCOUNT), &account) ||
		!account_kind_is_address(account.kind))
		return "settings are for an address, a domain or everyone";
	if (id == SETTING_COUNT)
		return "there is no setting of this name";
	word = find_word(id, db_rows_text(rows, i, COLUMN_VALUE));
	if (word < 0)
		return "the setting cannot have this value";
	row = map_get(table->rows, account.key);
	if (row == NULL) {
		row = x_new(struct row);
		map_put(table->rows, account.key, row);
	}
	row->word[id] = (uint8_t)(word + 1);
	return NULL;
}

static const struct db_statement fingerprint = {
	.name = "setting_fingerprint",
	.sql = "SELECT COUNT(*), CAST(COALESCE(SUM(CRC32(CONCAT_WS(0x1f,"
	       " account, name, value))), 0) AS UNSIGNED) FROM setting",
	.access = DB_READS,
	.params = "",
	.columns = "uu",
};

/*
 * The key has two columns and travels as one JSON array. "account >= ?" is
 * what the index is searched by; MariaDB does not do that for a comparison
 * of rows.
 */
#define LAST_ACCOUNT "COALESCE(JSON_VALUE(?, '$[0]'), '')"
#define LAST_NAME    "COALESCE(JSON_VALUE(?, '$[1]'), '')"

static const struct db_statement chunk = {
	.name = "setting_chunk",
	.sql = "SELECT account, name, value, JSON_ARRAY(account, name)"
	       " FROM setting WHERE account >= " LAST_ACCOUNT
	       " AND (account > " LAST_ACCOUNT " OR name > " LAST_NAME ")"
	       " ORDER BY account, name LIMIT 1000",
	.access = DB_READS,
	.params = "sss",
	.columns = "ssss",
};

const struct table_kind table_setting = {
	.id = TABLE_SETTING,
	.name = "policyd.setting",
	.db = CONFIG_DB_POLICYD,
	.fingerprint = &fingerprint,
	.chunk = &chunk,
	.key_column = COLUMN_KEY,
	.make = make,
	.add = add,
	.free = free_table,
};

/* --- what is in force -------------------------------------------------- */

/* The words stored for the forms of an account, and which form has them. */
struct effective {
	uint8_t word[SETTING_COUNT]; /* as in struct row */
	struct slice source[SETTING_COUNT];
};

/* forms: the most specific first. */
static void
resolve(const struct setting_table *table, const struct slice *forms, size_t n,
	struct effective *out)
{
	memset(out, 0, sizeof(*out));
	if (map_count(table->rows) == 0)
		return;
	while (n-- > 0) {
		const struct row *row = map_get(table->rows, forms[n]);

		for (size_t id = 0; row != NULL && id < SETTING_COUNT; id++) {
			if (row->word[id] == 0)
				continue;
			out->word[id] = row->word[id];
			out->source[id] = forms[n];
		}
	}
}

static int
word_or(const struct effective *effective, size_t id, int otherwise)
{
	return effective->word[id] > 0 ? effective->word[id] - 1 : otherwise;
}

static int
configured_spf_action(const struct config *config, size_t which)
{
	return which < SPF_CASE_COUNT ? (int)config->spf.action[which]
				      : SPF_ACTION_RECIPIENT;
}

/* What the configuration file says, as the number of a word. */
static int
configured_word(const struct config *config, size_t id)
{
	switch (id) {
	case SETTING_CHECK_FORGED_SENDER:
		return config->login_mismatch.check_forged_sender;
	case SETTING_MAY_SEND_AS:
		return SEND_AS_OWN;
	case SETTING_ALLOW_LIST_MEMBERS:
		return config->login_mismatch.allow_list_members;
	case SETTING_THROTTLE_COUNT:
		return THROTTLE_COUNT_USER;
	case SETTING_THROTTLE_OVER_LIMIT:
		return config->throttle.defer;
	case SETTING_GREYLISTING_TELL_DELAY:
		return config->greylisting.tell_delay;
	case SETTING_WHITELIST_NEEDS_SPF:
		return config->wblist.whitelist_needs_spf;
	case SETTING_SPF_HELO_FAIL:
		return (int)config->spf.helo_fail;
	case SETTING_DMARC_FORCE_REJECT:
		return false; /* the list of the file is the rule's business */
	default:
		if (id >= SETTING_DMARC_FIRST && id <= SETTING_DMARC_LAST)
			return (int)
				config->dmarc.action[id - SETTING_DMARC_FIRST];
		if (id >= SETTING_SPF_FIRST && id <= SETTING_SPF_LAST)
			return configured_spf_action(config,
				id - SETTING_SPF_FIRST);
		return id == SETTING_MODE(id / 2)
			       ? (int)config->rule[id / 2].mode
			       : (int)config->rule[id / 2].on_error;
	}
}

/* Of the sender: whose domain it is says who may use it, and from where. */
static void
take_sender_words(const struct request *req, const struct setting_table *table,
	struct setting *out)
{
	struct slice forms[ADDRESS_FORMS_MAX];
	struct effective effective;

	resolve(table, forms, address_forms(req->arena, &req->sender, forms),
		&effective);
	out->check_forged_sender =
		word_or(&effective, SETTING_CHECK_FORGED_SENDER,
			configured_word(req->config,
				SETTING_CHECK_FORGED_SENDER)) != 0;
	for (size_t i = 0; i < SPF_CASE_COUNT; i++) {
		const int word = word_or(&effective, SETTING_SPF_SENDER(i),
			SPF_ACTION_RECIPIENT);

		if (word != SPF_ACTION_RECIPIENT)
			out->spf_action[i] = (enum spf_action)word;
	}
}

/* Of whom From: names: whose domain it is says who may use it. */
static void
take_author_words(const struct request *req, const struct setting_table *table,
	struct setting *out)
{
	struct slice forms[ADDRESS_FORMS_MAX];
	struct effective effective;

	if (req->n_authors == 0)
		return;
	resolve(table, forms,
		address_forms(req->arena, &req->authors[0], forms), &effective);
	out->dmarc_force_reject =
		word_or(&effective, SETTING_DMARC_FORCE_REJECT, false) != 0;
}

static void
take_dmarc_words(const struct request *req, const struct setting_table *table,
	const struct address *recipient, struct dmarc_setting *out)
{
	/* Not in the request's: there may be a thousand recipients. */
	struct arena *arena = arena_new(REQUEST_ARENA_MAX);
	struct slice forms[ADDRESS_FORMS_MAX];
	struct effective effective;

	resolve(table, forms, address_forms(arena, recipient, forms),
		&effective);
	for (size_t i = 0; i < DMARC_CASE_COUNT; i++)
		out->action[i] =
			(enum dmarc_action)word_or(&effective, SETTING_DMARC(i),
				configured_word(req->config, SETTING_DMARC(i)));
	arena_free(arena);
}

/* Each recipient has its own: they are of different domains. */
static void
take_recipients_words(const struct request *req,
	const struct setting_table *table, struct setting *out)
{
	struct dmarc_setting *settings;

	if (req->stage != STAGE_MESSAGE)
		return;
	settings = arena_new_array(req->arena, req->n_recipients,
		struct dmarc_setting);
	for (size_t i = 0; i < req->n_recipients; i++)
		take_dmarc_words(req, table, &req->recipients[i], &settings[i]);
	out->dmarc = settings;
	out->n_dmarc = req->n_recipients;
	take_author_words(req, table, out);
}

static void
take_words(const int word[SETTING_COUNT], struct setting *out)
{
	for (size_t rule = 0; rule < RULE_ID_COUNT; rule++) {
		out->rule[rule].mode = (enum rule_mode)word[SETTING_MODE(rule)];
		out->rule[rule].on_error =
			(enum rule_on_error)word[SETTING_ON_ERROR(rule)];
	}
	out->may_send_as = (enum send_as)word[SETTING_MAY_SEND_AS];
	out->allow_list_members = word[SETTING_ALLOW_LIST_MEMBERS] != 0;
	out->throttle_defer = word[SETTING_THROTTLE_OVER_LIMIT] != 0;
	out->greylisting_tell_delay = word[SETTING_GREYLISTING_TELL_DELAY] != 0;
	out->whitelist_needs_spf = word[SETTING_WHITELIST_NEEDS_SPF] != 0;
	for (size_t i = 0; i < SPF_CASE_COUNT; i++)
		out->spf_action[i] = (enum spf_action)word[SETTING_SPF(i)];
	out->spf_helo_fail = (enum spf_action)word[SETTING_SPF_HELO_FAIL];
}

static void
load(struct fact *fact)
{
	const struct request *req = fact->facts->req;
	struct tables *tables = fact->facts->sources->tables;
	struct slice forms[ADDRESS_FORMS_MAX];
	const struct setting_table *table;
	struct effective effective;
	struct setting *out;
	int word[SETTING_COUNT];

	if (!tables_require(tables, TABLE_BIT(TABLE_SETTING), fact))
		return;
	table = tables_get(tables, TABLE_SETTING);
	resolve(table, forms,
		address_forms(req->arena, request_party(req), forms),
		&effective);
	for (size_t id = 0; id < SETTING_COUNT; id++)
		word[id] = word_or(&effective, id,
			configured_word(req->config, id));
	out = arena_new_object(req->arena, struct setting);
	take_words(word, out);
	take_sender_words(req, table, out);
	take_recipients_words(req, table, out);
	fact_known(fact, out);
}

static void
cancel(struct fact *fact)
{
	tables_forget(fact->facts->sources->tables, fact);
}

/* Of the first recipient, as everything else. */
static void
describe_dmarc(const struct setting *setting, struct str *json)
{
	for (size_t i = 0; setting->n_dmarc > 0 && i < DMARC_CASE_COUNT; i++)
		str_printf(json, "\"%s\":\"%s\",", names[SETTING_DMARC(i)].name,
			names[SETTING_DMARC(i)]
				.words[setting->dmarc[0].action[i]]);
	if (setting->n_dmarc > 0)
		str_printf(json, "\"%s\":\"%s\",",
			names[SETTING_DMARC_FORCE_REJECT].name,
			setting->dmarc_force_reject ? "yes" : "no");
}

static void
describe(const void *value, struct str *json)
{
	const struct setting *setting = value;

	str_append_char(json, '{');
	for (size_t rule = 0; rule < RULE_ID_COUNT; rule++) {
		const struct config_rule *of = &setting->rule[rule];
		const size_t mode = SETTING_MODE(rule);
		const size_t on_error = SETTING_ON_ERROR(rule);

		str_printf(json, "\"%s\":\"%s\",\"%s\":\"%s\",",
			names[mode].name, names[mode].words[of->mode],
			names[on_error].name,
			names[on_error].words[of->on_error]);
	}
	str_printf(json, "\"%s\":\"%s\",",
		names[SETTING_CHECK_FORGED_SENDER].name,
		setting->check_forged_sender ? "yes" : "no");
	str_printf(json, "\"%s\":\"%s\",", names[SETTING_MAY_SEND_AS].name,
		names[SETTING_MAY_SEND_AS].words[setting->may_send_as]);
	str_printf(json, "\"%s\":\"%s\",",
		names[SETTING_ALLOW_LIST_MEMBERS].name,
		setting->allow_list_members ? "yes" : "no");
	for (size_t i = 0; i < SPF_CASE_COUNT; i++)
		str_printf(json, "\"%s\":\"%s\",", names[SETTING_SPF(i)].name,
			names[SETTING_SPF(i)].words[setting->spf_action[i]]);
	str_printf(json, "\"%s\":\"%s\",", names[SETTING_SPF_HELO_FAIL].name,
		names[SETTING_SPF_HELO_FAIL].words[setting->spf_helo_fail]);
	str_printf(json, "\"%s\":\"%s\",",
		names[SETTING_WHITELIST_NEEDS_SPF].name,
		setting->whitelist_needs_spf ? "yes" : "no");
	describe_dmarc(setting, json);
	str_printf(json, "\"throttle.over_limit\":\"%s\",",
		setting->throttle_defer ? "defer" : "reject");
	str_printf(json, "\"greylisting.tell_delay\":\"%s\"}",
		setting->greylisting_tell_delay ? "yes" : "no");
}

const struct fact_kind fact_kind_setting = {
	.id = FACT_SETTING,
	.name = "setting",
	.load = load,
	.cancel = cancel,
	.describe = describe,
};

bool
fact_setting(struct facts *facts, const struct setting **out)
{
	return fact_ask(facts, &fact_kind_setting, (const void **)out);
}

/* Some are for accounts only. */
static bool
is_in_the_file(size_t id)
{
	return id != SETTING_THROTTLE_COUNT && id != SETTING_MAY_SEND_AS &&
	       id != SETTING_DMARC_FORCE_REJECT &&
	       (id < SETTING_SPF_SENDER(0) || id > SETTING_SPF_LAST);
}

/* The forms that stand for an account in its stored form. */
static size_t
forms_of_account(struct arena *arena, struct slice account,
	struct slice forms[ADDRESS_FORMS_MAX])
{
	const ptrdiff_t at = slice_find_last(account, '@');
	const struct slice local = slice_part(account, 0, at < 0 ? 0 : at);
	struct slice domain = slice_from(account, (size_t)(at + 1));
	struct slice all[ADDRESS_FORMS_MAX];
	size_t n, skip = 0;

	switch (account_kind(account)) {
	case ACCOUNT_ADDRESS:
	case ACCOUNT_DOMAIN:
		break;
	case ACCOUNT_TOP_DOMAIN:
	case ACCOUNT_SUBDOMAIN:
		/* @domain does not stand for @.domain. */
		skip = 2;
		domain = slice_from(domain, 1);
		break;
	case ACCOUNT_CATCH_ALL:
	case ACCOUNT_INVALID:
	case ACCOUNT_CATCH_ALL_IP:
	case ACCOUNT_NETWORK:
	case ACCOUNT_WILDCARD_IP:
	case ACCOUNT_IP:
	case ACCOUNT_ANY_DOMAIN:
		forms[0] = SLICE("@.");
		return 1;
	}
	n = address_forms_of(arena, local, domain, all) - skip;
	memcpy(forms, all + skip, n * sizeof(forms[0]));
	return n;
}

enum throttle_count
setting_throttle_count(const struct tables *tables, struct slice account)
{
	const struct setting_table *table = tables_get(tables, TABLE_SETTING);
	struct slice forms[ADDRESS_FORMS_MAX];
	struct effective effective;
	struct arena *arena;

	if (table == NULL || map_count(table->rows) == 0)
		return THROTTLE_COUNT_USER;
	arena = arena_new(REQUEST_ARENA_MAX);
	resolve(table, forms, forms_of_account(arena, account, forms),
		&effective);
	arena_free(arena);
	return (enum throttle_count)word_or(&effective, SETTING_THROTTLE_COUNT,
		THROTTLE_COUNT_USER);
}

bool
setting_view(const struct tables *tables, const struct config *config,
	struct arena *arena, struct slice account, const char *name,
	struct setting_view *out)
{
	const struct setting_table *table = tables_get(tables, TABLE_SETTING);
	const size_t id = find_name(slice_of(name));
	struct slice forms[ADDRESS_FORMS_MAX];
	struct effective effective;
	int word;

	if (table == NULL || id == SETTING_COUNT)
		return false;
	resolve(table, forms, forms_of_account(arena, account, forms),
		&effective);
	word = word_or(&effective, id, configured_word(config, id));
	out->value = slice_of(names[id].words[word]);
	out->source = effective.source[id];
	if (effective.word[id] == 0)
		out->source = is_in_the_file(id) ? SLICE("policyd.conf")
						 : SLICE("default");
	return true;
}
