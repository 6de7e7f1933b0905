#include "policyd/dkim_keys.h"

#include <stdio.h>
#include <string.h>

#include "common/base/crypto_seal.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "common/mail/address.h"
#include "common/mail/public_suffix.h"
#include "policyd/facts/domains.h"
#include "policyd/sources.h"

#define SELECTOR_MAX 63u
/* Domains that are asked for: a name and those above it. */
#define CANDIDATES_MAX 16u
#define QUESTION_MAX   ((size_t)8 << 10)
/* The mail domains are looked for, for five seconds. */
#define LOOK_MS   50u
#define LOOKS_MAX 100u

_Static_assert(CONFIG_DKIM_KEY_SIZE == CRYPTO_SEAL_KEY_SIZE, "one key");

struct dkim_keys {
	struct sources *sources;
	struct public_suffixes *suffixes; /* read when it is first needed */
};

/* done is NULL once nobody waits for a statement that is under way. */
struct dkim_keys_query {
	struct dkim_keys *keys;
	dkim_keys_done_fn *done;
	void *arg;
	/* While the mail domains are waited for. */
	struct loop_timer *timer;
	char domain[ADDRESS_MAX + 1];
	unsigned n_looks;
};

bool
dkim_selector_is_plain(struct slice selector)
{
	char before = '.';

	if (selector.len == 0 || selector.len > SELECTOR_MAX)
		return false;
	for (size_t i = 0; i < selector.len; i++) {
		const char c = selector.ptr[i];
		const bool is_word =
			(c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if (!is_word && ((c != '-' && c != '.') || before == '.' ||
					(c == '.' && before == '-')))
			return false;
		before = c;
	}
	return before != '.' && before != '-';
}

/* --- sealing ------------------------------------------------------------ */

/* What a sealed key belongs to; neither name holds a NUL. */
static void
write_context(struct slice domain, struct slice selector, struct str *out)
{
	str_append_text(out, "dkim_key");
	str_append_char(out, '\0');
	str_append_slice(out, domain);
	str_append_char(out, '\0');
	str_append_slice(out, selector);
}

bool
dkim_keys_seal(const struct config *config, struct slice domain,
	struct slice selector, struct slice pem, struct str *out)
{
	unsigned char key[CRYPTO_SEAL_KEY_SIZE];
	unsigned char sealed[DKIM_SEALED_MAX];
	struct str context;

	if (pem.len + CRYPTO_SEAL_EXTRA > sizeof(sealed) ||
		!config_dkim_key(config, key))
		return false;
	str_init(&context, QUESTION_MAX);
	write_context(domain, selector, &context);
	crypto_seal(key, str_slice(&context), pem, sealed);
	str_free(&context);
	explicit_bzero(key, sizeof(key));
	str_append(out, sealed, pem.len + CRYPTO_SEAL_EXTRA);
	return !out->is_cut;
}

char *
dkim_keys_open(const struct config *config, struct slice domain,
	struct slice selector, struct slice sealed, size_t *len,
	const char **err)
{
	unsigned char key[CRYPTO_SEAL_KEY_SIZE];
	unsigned char *out;
	struct str context;
	bool is_open;

	if (!config_dkim_key(config, key)) {
		*err = "there is no [dkim] master_key_file";
		return NULL;
	}
	str_init(&context, QUESTION_MAX);
	write_context(domain, selector, &context);
	out = x_new_array(sealed.len + 1, unsigned char);
	is_open = crypto_unseal(key, str_slice(&context), sealed, out, len);
	str_free(&context);
	explicit_bzero(key, sizeof(key));
	if (is_open)
		return (char *)out;
	x_free(out);
	*err = "it does not open with [dkim] master_key_file: that is another "
	       "one, or the row was changed";
	return NULL;
}

/* --- life --------------------------------------------------------------- */

struct dkim_keys *
dkim_keys_new(struct sources *sources)
{
	struct dkim_keys *keys = x_new(struct dkim_keys);

	keys->sources = sources;
	return keys;
}

void
dkim_keys_free(struct dkim_keys *keys)
{
	if (keys != NULL)
		public_suffixes_free(keys->suffixes);
	x_free(keys);
}

/* --- which domain signs ------------------------------------------------- */

static size_t
registrable_len(struct dkim_keys *keys, struct slice domain)
{
	if (keys->suffixes == NULL)
		keys->suffixes = public_suffixes_new();
	return public_suffixes_registrable(keys->suffixes, domain).len;
}

/*
 * Those that are ours, the nearest first, as a JSON array. Returns how many;
 * -1 while the tables are not known.
 */
static int
list_candidates(struct dkim_keys *keys, struct slice domain, struct str *json)
{
	const size_t shortest = registrable_len(keys, domain);
	int n = 0;

	for (size_t i = 0; i < CANDIDATES_MAX && domain.len >= shortest; i++) {
		const ptrdiff_t dot = slice_find(domain, '.');
		struct domain_state state;

		if (!domain_look_up(keys->sources->tables, domain, &state))
			return -1;
		if (state.is_local) {
			str_append_char(json, n++ == 0 ? '[' : ',');
			str_append_json(json, domain);
		}
		if (dot < 0)
			break;
		domain = slice_from(domain, (size_t)dot + 1);
	}
	str_append_char(json, ']');
	return n;
}

/*
 * EXPLAIN: the array as a whole, then dkim_key by domain_state for each of its
 * elements.
 */
static const struct db_statement find_active = {
	.name = "dkim_keys_find",
	.sql = "SELECT k.domain, k.selector, k.private_key FROM JSON_TABLE(?,"
	       " '$[*]' COLUMNS (place FOR ORDINALITY, name VARCHAR(255)"
	       " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PATH '$')) c"
	       " JOIN dkim_key k ON k.domain = c.name AND k.state = 'active'"
	       " WHERE k.n_absent < ? ORDER BY c.place, k.algorithm LIMIT 64",
	.access = DB_READS,
	.params = "su",
	.columns = "ssb",
};

/* Of the first domain that has any. */
static size_t
take_rows(const struct db_rows *from, struct dkim_key_row rows[DKIM_KEYS_MAX])
{
	size_t n = 0;

	for (; n < db_rows_count(from) && n < DKIM_KEYS_MAX; n++) {
		rows[n].domain = db_rows_text(from, n, 0);
		rows[n].selector = db_rows_text(from, n, 1);
		rows[n].sealed = db_rows_text(from, n, 2);
		if (!slice_eq(rows[n].domain, rows[0].domain))
			break;
	}
	return n;
}

static void
on_found(void *arg, const struct db_result *result)
{
	struct dkim_keys_query *query = arg;
	struct dkim_key_row rows[DKIM_KEYS_MAX];

	if (query->done != NULL && result->status != DB_OK)
		query->done(query->arg, NULL, 0, result->error);
	else if (query->done != NULL)
		query->done(query->arg, rows, take_rows(result->rows, rows),
			NULL);
	x_free(query);
}

static void
ask(struct dkim_keys_query *query, struct slice json)
{
	const struct db_value values[] = { { .text = json },
		{ .number = DKIM_ABSENT_MAX } };

	db_run(query->keys->sources->db[CONFIG_DB_POLICYD], &find_active,
		values, 0, on_found, query);
}

static struct dkim_keys_query *
new_query(struct dkim_keys *keys, dkim_keys_done_fn *done, void *arg)
{
	struct dkim_keys_query *query = x_new(struct dkim_keys_query);

	query->keys = keys;
	query->done = done;
	query->arg = arg;
	return query;
}

static void
free_waiting(struct dkim_keys_query *query)
{
	loop_timer_free(query->timer);
	x_free(query);
}

/* A process that has just been started has not read them yet. */
static void
look_again(void *arg)
{
	struct dkim_keys_query *query = arg;
	struct str json;
	int n;

	str_init(&json, QUESTION_MAX);
	n = list_candidates(query->keys, slice_of(query->domain), &json);
	if (n < 0 && ++query->n_looks < LOOKS_MAX) {
		loop_timer_set(query->timer, LOOK_MS);
	} else if (n > 0) {
		loop_timer_free(query->timer);
		query->timer = NULL;
		ask(query, str_slice(&json));
	} else {
		query->done(query->arg, NULL, 0,
			n < 0 ? "the mail domains of vmail cannot be read"
			      : NULL);
		free_waiting(query);
	}
	str_free(&json);
}

static void
wait_for_tables(struct dkim_keys_query *query, struct slice domain)
{
	(void)snprintf(query->domain, sizeof(query->domain), "%.*s",
		SLICE_ARG(domain));
	query->timer =
		loop_timer_new(query->keys->sources->loop, look_again, query);
	loop_timer_set(query->timer, LOOK_MS);
}

struct dkim_keys_query *
dkim_keys_find(struct dkim_keys *keys, struct slice domain, const char **error,
	dkim_keys_done_fn *done, void *arg)
{
	struct dkim_keys_query *query = NULL;
	struct str json;
	int n;

	*error = NULL;
	if (!config_has_dkim_key(keys->sources->config) ||
		!domain_is_plain(domain) || domain.len > ADDRESS_MAX)
		return NULL;
	if (keys->sources->db[CONFIG_DB_POLICYD] == NULL) {
		*error = "there is no database policyd";
		return NULL;
	}
	str_init(&json, QUESTION_MAX);
	n = list_candidates(keys, domain, &json);
	if (n != 0)
		query = new_query(keys, done, arg);
	if (n < 0)
		wait_for_tables(query, domain);
	else if (n > 0)
		ask(query, str_slice(&json));
	str_free(&json);
	return query;
}

void
dkim_keys_cancel(struct dkim_keys_query *query)
{
	query->done = NULL;
	if (query->timer != NULL)
		free_waiting(query);
}
