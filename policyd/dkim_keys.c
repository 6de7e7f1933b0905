#include "policyd/dkim_keys.h"

#include <string.h>

#include "common/base/crypto_seal.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/mail/address.h"
#include "common/mail/public_suffix.h"
#include "policyd/facts/domains.h"
#include "policyd/sources.h"

#define SELECTOR_MAX 63u
/* Domains that are asked for: a name and those above it. */
#define CANDIDATES_MAX 16u
#define QUESTION_MAX   ((size_t)8 << 10)

_Static_assert(CONFIG_DKIM_KEY_SIZE == CRYPTO_SEAL_KEY_SIZE, "one key");

struct dkim_keys {
	struct sources *sources;
	struct public_suffixes *suffixes; /* read when it is first needed */
};

/* A statement under way; done is NULL once nobody waits for it. */
struct dkim_keys_query {
	dkim_keys_done_fn *done;
	void *arg;
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

static struct dkim_keys_query *
ask(struct dkim_keys *keys, struct slice json, dkim_keys_done_fn *done,
	void *arg)
{
	struct dkim_keys_query *query = x_new(struct dkim_keys_query);
	const struct db_value values[] = { { .text = json },
		{ .number = DKIM_ABSENT_MAX } };

	query->done = done;
	query->arg = arg;
	db_run(keys->sources->db[CONFIG_DB_POLICYD], &find_active, values, 0,
		on_found, query);
	return query;
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
		!domain_is_plain(domain))
		return NULL;
	if (keys->sources->db[CONFIG_DB_POLICYD] == NULL) {
		*error = "there is no database policyd";
		return NULL;
	}
	str_init(&json, QUESTION_MAX);
	n = list_candidates(keys, domain, &json);
	if (n < 0)
		*error = "the mail domains of vmail were not read yet";
	else if (n > 0)
		query = ask(keys, str_slice(&json), done, arg);
	str_free(&json);
	return query;
}

void
dkim_keys_cancel(struct dkim_keys_query *query)
{
	query->done = NULL;
}
