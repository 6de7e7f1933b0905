/* "dkim new", and the two ends of "dkim import" and "dkim export". */

#include <string.h>
#include <time.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/mail/dkim_key.h"
#include "policyd/commands/dkim.h"
#include "policyd/commands/reply.h"
#include "policyd/dkim_keys.h"
#include "policyd/dkim_maker.h"
#include "policyd/facts/domains.h"
#include "policyd/sources.h"

/* Selectors that are tried until one is free. */
#define ATTEMPTS_MAX 20u

/* --- a row -------------------------------------------------------------- */

static const struct db_statement insert = {
	.name = "dkim_insert",
	.sql = "INSERT INTO dkim_key (domain, selector, algorithm, state,"
	       " private_key, record, bits, made_at, author, reason)"
	       " VALUES (?, ?, ?, 'made', ?, ?, ?, ?, LEFT(?, 255),"
	       " LEFT(?, 255)) ON DUPLICATE KEY UPDATE id = id",
	.access = DB_WRITES,
	.params = "sssbsuuss",
	.columns = "",
};

/* All but its id, from a key. */
static void
describe(struct command *command, const struct crypto_key *key,
	struct dkim_row *row)
{
	struct dkim_key public;
	struct str text;

	str_init(&text, DKIM_KEY_TEXT_MAX);
	dkim_key_of(key, &public);
	dkim_key_write(&public, &text);
	row->algorithm = slice_of(dkim_key_type_name(public.type));
	row->state = SLICE("made");
	row->bits = public.bits;
	row->made_at = (uint64_t)clock_wall();
	row->record = slice_copy(command->arena, str_slice(&text));
	str_free(&text);
}

/* What goes into the row is sealed; the text of the key is wiped. */
static bool
seal(struct command *command, const struct crypto_key *key,
	const struct dkim_row *row, struct str *out)
{
	size_t len;
	char *pem = crypto_key_pem(key, &len);
	const bool is_sealed = dkim_keys_seal(command->sources->config,
		row->domain, row->selector, (struct slice){ pem, len }, out);

	x_free_secret(pem, len);
	return is_sealed;
}

/* False: the command was ended. */
static bool
put(struct command *command, const struct crypto_key *key, struct dkim_row *row,
	struct slice reason, command_rows_fn *next)
{
	struct str sealed;
	bool is_sealed;

	describe(command, key, row);
	str_init(&sealed, DKIM_SEALED_MAX);
	is_sealed = seal(command, key, row, &sealed);
	if (is_sealed) {
		const struct db_value values[] = { { .text = row->domain },
			{ .text = row->selector }, { .text = row->algorithm },
			{ .text = str_slice(&sealed) }, { .text = row->record },
			{ .number = row->bits }, { .number = row->made_at },
			{ .text = slice_of(command->who) },
			{ .text = reason } };

		command_db(command, CONFIG_DB_POLICYD, &insert, values, next);
	} else {
		reply_error(command, COMMAND_EXIT_REFUSED,
			"the key cannot be sealed: it is too long");
	}
	str_free(&sealed);
	return is_sealed;
}

bool
dkim_may_make(struct command *command, struct slice domain)
{
	struct domain_state state;

	if (!config_has_dkim_key(command->sources->config)) {
		reply_error(command, COMMAND_EXIT_REFUSED,
			"there is nothing to seal private keys with: run "
			"\"policyctl dkim master-key\", put the line into a "
			"file, name it as master_key_file in [dkim] of %s, and "
			"reload",
			command->sources->config->path);
		return false;
	}
	if (domain_look_up(command->sources->tables, domain, &state) &&
		!state.is_local) {
		reply_error(command, COMMAND_EXIT_REFUSED,
			"%.*s is not a mail domain of ours, nor an alias of "
			"one: nothing would be signed with its keys",
			SLICE_ARG(domain));
		return false;
	}
	return true;
}

/* --- making ------------------------------------------------------------- */

static void make_next(struct command *command);

/* s202611r, then s202611r2; or what was asked for. */
static struct slice
name_key(struct command *command, const struct dkim_making *making)
{
	const enum crypto_key_type type = making->types[making->n_rows];
	const char *letter = type == CRYPTO_KEY_RSA ? "r" : "e";
	const time_t now = (time_t)clock_wall();
	struct tm date;

	if (making->selector.len > 0)
		return making->n_types == 1
			       ? making->selector
			       : slice_of(arena_printf(command->arena, "%.*s%s",
					 SLICE_ARG(making->selector), letter));
	(void)gmtime_r(&now, &date);
	if (making->attempt == 0)
		return slice_of(arena_printf(command->arena, "s%04d%02d%s",
			date.tm_year + 1900, date.tm_mon + 1, letter));
	return slice_of(arena_printf(command->arena, "s%04d%02d%s%u",
		date.tm_year + 1900, date.tm_mon + 1, letter,
		making->attempt + 1));
}

static void
on_put(struct command *command, const struct db_result *result)
{
	struct dkim_making *making = command->data;
	struct dkim_row *row = &making->rows[making->n_rows];

	if (result->affected > 0) {
		dkim_log(command, row, "made");
		making->n_rows++;
		making->attempt = 0;
		make_next(command);
		return;
	}
	if (making->selector.len == 0 && ++making->attempt < ATTEMPTS_MAX) {
		make_next(command);
		return;
	}
	reply_error(command, COMMAND_EXIT_REFUSED,
		"%.*s has a key %.*s already; choose another --selector",
		SLICE_ARG(row->domain), SLICE_ARG(row->selector));
}

static void
put_made(struct command *command, const struct crypto_key *key)
{
	struct dkim_making *making = command->data;
	struct dkim_row *row = &making->rows[making->n_rows];

	row->domain = making->domain;
	row->selector = name_key(command, making);
	if (!dkim_selector_is_plain(row->selector)) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"\"%.*s\" is not a selector such as s202611r: "
			"letters, digits, and between them hyphens and dots, "
			"63 at most",
			SLICE_ARG(row->selector));
		return;
	}
	(void)put(command, key, row, making->reason, on_put);
}

static void
on_made(void *arg, struct crypto_key *key)
{
	struct command *command = arg;

	command_arrived(command);
	put_made(command, key);
	crypto_key_free(key);
	command_unref(command);
}

static void
make_next(struct command *command)
{
	struct dkim_making *making = command->data;

	if (making->n_rows == making->n_types) {
		command->data = making->data;
		making->next(command);
		return;
	}
	if (!dkim_maker_ask(command->sources->dkim_maker,
		    making->types[making->n_rows], on_made, command)) {
		reply_error(command, COMMAND_EXIT_REFUSED,
			"too many keys are being made; try again");
		return;
	}
	command_await(command);
}

void
dkim_make(struct command *command, struct dkim_making *making)
{
	command->data = making;
	make_next(command);
}

/* --- dkim new ----------------------------------------------------------- */

static void
show_made(struct command *command)
{
	const struct dkim_making *making = command->data;

	dkim_reply_records(command, making->rows, making->n_rows);
	reply_text(command,
		"publish these, then \"policyctl dkim activate %.*s SELECTOR\"",
		SLICE_ARG(making->domain));
	reply_end(command, COMMAND_EXIT_DONE);
}

static bool
choose_types(struct command *command, struct dkim_making *making)
{
	const struct config *config = command->sources->config;
	const struct slice name = command_text(command, "algorithm");

	if (name.len == 0 ? config->dkim.make_rsa : slice_eq_text(name, "rsa"))
		making->types[making->n_types++] = CRYPTO_KEY_RSA;
	if (name.len == 0 ? config->dkim.make_ed25519
			  : slice_eq_text(name, "ed25519"))
		making->types[making->n_types++] = CRYPTO_KEY_ED25519;
	if (making->n_types > 0)
		return true;
	if (name.len > 0)
		reply_error(command, COMMAND_EXIT_USAGE,
			"--algorithm: \"%.*s\" is neither rsa nor ed25519",
			SLICE_ARG(name));
	else
		reply_error(command, COMMAND_EXIT_USAGE,
			"[dkim] rsa and ed25519 are both no: say which with "
			"--algorithm");
	return false;
}

void
command_dkim_new(struct command *command)
{
	struct dkim_making *making =
		arena_new_object(command->arena, struct dkim_making);

	if (!dkim_domain(command, "domain", &making->domain) ||
		!dkim_may_make(command, making->domain) ||
		!choose_types(command, making))
		return;
	if (command_has(command, "selector") &&
		!dkim_selector(command, "selector", &making->selector))
		return;
	making->reason = command_text(command, "reason");
	making->next = show_made;
	making->data = making;
	dkim_make(command, making);
}

/* --- dkim import: a key that policyctl has read ------------------------- */

struct storing {
	struct dkim_row row;
	struct dkim_check_outcome outcome;
};

static void
say_stored(struct command *command)
{
	const struct dkim_row *row = command->data;

	reply_text(command, "%.*s %.*s: %.*s, %u bits, %.*s",
		SLICE_ARG(row->domain), SLICE_ARG(row->selector),
		SLICE_ARG(row->algorithm), (unsigned)row->bits,
		SLICE_ARG(row->state));
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
say_active(struct command *command)
{
	struct storing *storing = command->data;

	storing->row.state = SLICE("active");
	command->data = &storing->row;
	say_stored(command);
}

static void
after_check(struct command *command)
{
	struct storing *storing = command->data;

	if (storing->outcome.seen == DKIM_SEEN_SHOWN) {
		dkim_activate_row(command, &storing->row, say_active);
		return;
	}
	command->data = &storing->row;
	say_stored(command);
}

static void
check_stored(struct command *command)
{
	struct storing *storing =
		arena_new_object(command->arena, struct storing);

	storing->row = *(const struct dkim_row *)command->data;
	command->data = storing;
	dkim_check_row(command, &storing->row, &storing->outcome, after_check);
}

static void
on_stored(struct command *command, const struct db_result *result)
{
	const struct dkim_row *row = command->data;

	if (result->affected == 0) {
		reply_error(command, COMMAND_EXIT_REFUSED,
			"%.*s has a key %.*s already", SLICE_ARG(row->domain),
			SLICE_ARG(row->selector));
		return;
	}
	dkim_log(command, row, "imported");
	dkim_find_row(command, check_stored);
}

void
command_dkim_store(struct command *command)
{
	struct dkim_row *row =
		arena_new_object(command->arena, struct dkim_row);
	struct crypto_key *key;
	const char *err;

	if (!dkim_domain(command, "domain", &row->domain) ||
		!dkim_selector(command, "selector", &row->selector) ||
		!dkim_may_make(command, row->domain))
		return;
	key = crypto_key_read(command_text(command, "pem"), &err);
	if (key == NULL) {
		reply_error(command, COMMAND_EXIT_USAGE, "%s", err);
		return;
	}
	command->data = row;
	(void)put(command, key, row, SLICE("imported"), on_stored);
	crypto_key_free(key);
}

/* --- dkim export -------------------------------------------------------- */

static void
on_private(struct command *command, const struct db_result *result)
{
	const struct dkim_row *row = command->data;
	const char *err = "the key is gone";
	char *pem = NULL;
	size_t len = 0;

	if (db_rows_count(result->rows) > 0)
		pem = dkim_keys_open(command->sources->config, row->domain,
			row->selector, db_rows_text(result->rows, 0, 0), &len,
			&err);
	if (pem == NULL) {
		reply_error(command, COMMAND_EXIT_REFUSED, "%.*s %.*s: %s",
			SLICE_ARG(row->domain), SLICE_ARG(row->selector), err);
		return;
	}
	dkim_log(command, row, "exported");
	reply_fields(command, NULL, NULL);
	reply_field(command, "pem", "Key", REPLY_TEXT);
	reply_value(command, (struct slice){ pem, len });
	reply_part_end(command);
	x_free_secret(pem, len);
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
find_private(struct command *command)
{
	static const struct db_statement statement = {
		.name = "dkim_private",
		.sql = "SELECT private_key FROM dkim_key WHERE id = ?",
		.access = DB_READS,
		.params = "u",
		.columns = "b",
	};
	const struct dkim_row *row = command->data;
	const struct db_value id = { .number = row->id };

	command_db(command, CONFIG_DB_POLICYD, &statement, &id, on_private);
}

void
command_dkim_private(struct command *command)
{
	dkim_find_row(command, find_private);
}
