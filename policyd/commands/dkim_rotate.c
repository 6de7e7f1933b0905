/* "dkim publish" and "dkim rotate": records, a file of them, and new keys. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/mail/dkim_key.h"
#include "policyd/commands/dkim.h"
#include "policyd/commands/reply.h"
#include "policyd/sources.h"

/* Rows that are read at once, and keys that one run replaces. */
#define ROWS_MAX 500u
/* Of the zone file. */
#define ZONE_MODE ((mode_t)0644)

/* --- the zone file ------------------------------------------------------ */

struct zone {
	const char *path, *new_path;
	uint64_t last_id, n;
	command_fn *next;
	void *data;
};

static void write_rows(struct command *command);

static void
tell_failure(struct command *command, const struct zone *zone)
{
	reply_error(command, COMMAND_EXIT_REFUSED,
		"[dkim] zone_file: %s cannot be written: %s", zone->new_path,
		strerror(errno));
}

static void
end_zone(struct command *command, struct zone *zone)
{
	if (rename(zone->new_path, zone->path) < 0) {
		tell_failure(command, zone);
		return;
	}
	command->data = zone->data;
	reply_text(command, "%llu records are in %s",
		(unsigned long long)zone->n, zone->path);
	zone->next(command);
}

/*
 * The file is open only meanwhile, so nothing is left open by a failure. It is
 * for the user of a name server, whatever our umask, and holds no secrets.
 */
static bool
append(const struct zone *zone, const char *mode, const char *text)
{
	FILE *file = fopen(zone->new_path, mode);
	bool is_written;

	if (file == NULL)
		return false;
	is_written =
		fputs(text, file) >= 0 && fchmod(fileno(file), ZONE_MODE) == 0;
	return fclose(file) == 0 && is_written;
}

static void
write_lines(struct zone *zone, const struct db_rows *rows, struct str *out)
{
	for (size_t i = 0; i < db_rows_count(rows); i++) {
		const struct dkim_row row = {
			.domain = db_rows_text(rows, i, 1),
			.selector = db_rows_text(rows, i, 2),
			.algorithm = db_rows_text(rows, i, 3),
			.state = db_rows_text(rows, i, 4),
			.record = db_rows_text(rows, i, 5),
		};

		dkim_row_write_zone(&row, "", out);
		str_append_char(out, '\n');
		zone->last_id = db_rows_u64(rows, i, 0);
		zone->n++;
	}
}

static void
on_zone_rows(struct command *command, const struct db_result *result)
{
	struct zone *zone = command->data;
	struct str lines;
	bool is_written;

	str_init(&lines, ROWS_MAX * 2 * DKIM_KEY_STRINGS_MAX);
	write_lines(zone, result->rows, &lines);
	is_written = append(zone, "ae", str_text(&lines));
	str_free(&lines);
	if (!is_written)
		tell_failure(command, zone);
	else if (db_rows_count(result->rows) < ROWS_MAX)
		end_zone(command, zone);
	else
		write_rows(command);
}

/*
 * A revoked key stays for as long as an old one does. In the order of the
 * primary key, 500 at a time.
 */
static void
write_rows(struct command *command)
{
	static const struct db_statement statement = {
		.name = "dkim_zone",
		.sql = "SELECT id, domain, selector, algorithm, state, record"
		       " FROM dkim_key WHERE id > ? AND (state <> 'revoked' OR"
		       " revoked_at > ?) ORDER BY id LIMIT 500",
		.access = DB_READS,
		.params = "uu",
		.columns = "usssss",
	};
	const struct zone *zone = command->data;
	const uint64_t now = (uint64_t)clock_wall();
	const uint64_t kept_s =
		command->sources->config->dkim.retire_after_ms / 1000;
	const struct db_value values[] = { { .number = zone->last_id },
		{ .number = now - kept_s } };

	command_db(command, CONFIG_DB_POLICYD, &statement, values,
		on_zone_rows);
}

/* Another file takes the place of the old one when it is whole. */
static void
write_zone(struct command *command, command_fn *next)
{
	struct zone *zone = arena_new_object(command->arena, struct zone);

	zone->path = arena_printf(command->arena, "%s",
		command->sources->config->dkim.zone_file);
	zone->next = next;
	zone->data = command->data;
	if (zone->path[0] == '\0') {
		next(command);
		return;
	}
	zone->new_path = arena_printf(command->arena, "%s.new", zone->path);
	if (!append(zone, "we", "; Keys of DKIM, written by policyd.\n")) {
		tell_failure(command, zone);
		return;
	}
	command->data = zone;
	write_rows(command);
}

/* --- dkim publish ------------------------------------------------------- */

static void
done(struct command *command)
{
	reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_published(struct command *command, const struct db_result *result)
{
	const size_t n = db_rows_count(result->rows);
	struct dkim_row *rows =
		arena_new_array(command->arena, n, struct dkim_row);

	for (size_t i = 0; i < n; i++)
		dkim_row_read(command, result->rows, i, &rows[i]);
	dkim_reply_records(command, rows, n);
	write_zone(command, done);
}

void
command_dkim_publish(struct command *command)
{
	static const struct db_statement of_domain = {
		.name = "dkim_publish",
		.sql = "SELECT " DKIM_ROW_COLUMNS " FROM dkim_key WHERE"
		       " domain = ? ORDER BY selector LIMIT 500",
		.access = DB_READS,
		.params = "s",
		.columns = DKIM_ROW_LETTERS,
	};
	/* By state_checked. */
	static const struct db_statement unpublished = {
		.name = "dkim_unpublished",
		.sql = "SELECT " DKIM_ROW_COLUMNS " FROM dkim_key WHERE"
		       " state = 'made' LIMIT 500",
		.access = DB_READS,
		.params = "",
		.columns = DKIM_ROW_LETTERS,
	};
	struct db_value domain = { .is_null = false };

	if (!command_has(command, "domain"))
		command_db(command, CONFIG_DB_POLICYD, &unpublished, NULL,
			on_published);
	else if (dkim_domain(command, "domain", &domain.text))
		command_db(command, CONFIG_DB_POLICYD, &of_domain, &domain,
			on_published);
}

/* --- dkim rotate -------------------------------------------------------- */

/* What was done to one key. */
struct step {
	struct slice domain, selector;
	const char *what;
};

struct rotation {
	struct slice domain; /* "": all */
	struct step *steps;
	size_t n_steps;
	uint64_t n_revoked;
	struct dkim_making *old; /* whose key is replaced */
	size_t n_old, at_old;
	struct dkim_row *rows; /* keys that may begin to sign */
	size_t n_rows, at_row;
	struct dkim_check_outcome outcome;
};

static void make_next(struct command *command);
static void check_next(struct command *command);

static void
note_step(struct rotation *rotation, const struct dkim_row *row,
	const char *what)
{
	rotation->steps[rotation->n_steps++] =
		(struct step){ row->domain, row->selector, what };
}

static void
show_steps(struct command *command)
{
	static const struct reply_column columns[] = {
		{ "domain", "Domain", REPLY_TEXT },
		{ "selector", "Selector", REPLY_TEXT },
		{ "what", "What", REPLY_TEXT },
	};
	const struct rotation *rotation = command->data;

	reply_table(command, NULL, NULL, columns, 3);
	for (size_t i = 0; i < rotation->n_steps; i++) {
		reply_row(command);
		reply_value(command, rotation->steps[i].domain);
		reply_value(command, rotation->steps[i].selector);
		reply_value(command, slice_of(rotation->steps[i].what));
	}
	reply_part_end(command);
	if (rotation->domain.len > 0 && rotation->n_steps == 0 &&
		rotation->n_revoked == 0)
		reply_error(command, COMMAND_EXIT_NOT_FOUND,
			"%.*s has no key to go on from; \"policyctl dkim new "
			"%.*s\" makes one",
			SLICE_ARG(rotation->domain),
			SLICE_ARG(rotation->domain));
	else
		reply_end(command, COMMAND_EXIT_DONE);
}

static void
on_revoked(struct command *command, const struct db_result *result)
{
	struct rotation *rotation = command->data;

	rotation->n_revoked = result->affected;
	if (result->affected > 0)
		reply_text(command, "%llu old keys are revoked",
			(unsigned long long)result->affected);
	write_zone(command, show_steps);
}

/* By domain_state, or state_checked. */
static void
revoke_old(struct command *command)
{
	static const struct db_statement statement = {
		.name = "dkim_revoke",
		.sql = "UPDATE dkim_key SET state = 'revoked', revoked_at = ?"
		       " WHERE state = 'retiring' AND retired_at <= ?"
		       " AND (? = '' OR domain = ?)",
		.access = DB_WRITES,
		.params = "uuss",
		.columns = "",
	};
	const struct rotation *rotation = command->data;
	const uint64_t now = (uint64_t)clock_wall();
	const uint64_t kept_s =
		command->sources->config->dkim.retire_after_ms / 1000;
	const struct db_value values[] = { { .number = now },
		{ .number = now - kept_s }, { .text = rotation->domain },
		{ .text = rotation->domain } };

	command_db(command, CONFIG_DB_POLICYD, &statement, values, on_revoked);
}

static void
after_activation(struct command *command)
{
	struct rotation *rotation = command->data;

	note_step(rotation, &rotation->rows[rotation->at_row++], "signs now");
	check_next(command);
}

static void
after_check(struct command *command)
{
	struct rotation *rotation = command->data;
	const struct dkim_row *row = &rotation->rows[rotation->at_row];

	if (rotation->outcome.seen == DKIM_SEEN_SHOWN) {
		dkim_activate_row(command, row, after_activation);
		return;
	}
	note_step(rotation, row,
		arena_printf(command->arena, "waits for the DNS: %s",
			rotation->outcome.problem));
	rotation->at_row++;
	check_next(command);
}

static void
check_next(struct command *command)
{
	struct rotation *rotation = command->data;

	if (rotation->at_row == rotation->n_rows)
		revoke_old(command);
	else
		dkim_check_row(command, &rotation->rows[rotation->at_row],
			&rotation->outcome, after_check);
}

static void
on_waiting(struct command *command, const struct db_result *result)
{
	struct rotation *rotation = command->data;

	rotation->n_rows = db_rows_count(result->rows);
	rotation->rows = arena_new_array(command->arena, rotation->n_rows,
		struct dkim_row);
	for (size_t i = 0; i < rotation->n_rows; i++)
		dkim_row_read(command, result->rows, i, &rotation->rows[i]);
	check_next(command);
}

/*
 * The newest key of each domain and algorithm that does not sign yet. By
 * state_checked; n by domain_state.
 */
static void
find_waiting(struct command *command)
{
	static const struct db_statement statement = {
		.name = "dkim_waiting",
		.sql = "SELECT " DKIM_ROW_COLUMNS " FROM dkim_key k WHERE"
		       " state IN ('made', 'published') AND (? = '' OR"
		       " domain = ?) AND NOT EXISTS (SELECT 1 FROM dkim_key n"
		       " WHERE n.domain = k.domain AND n.algorithm ="
		       " k.algorithm AND n.id > k.id AND n.state IN ('made',"
		       " 'published', 'active')) ORDER BY checked_at LIMIT 500",
		.access = DB_READS,
		.params = "ss",
		.columns = DKIM_ROW_LETTERS,
	};
	const struct rotation *rotation = command->data;
	const struct db_value values[] = { { .text = rotation->domain },
		{ .text = rotation->domain } };

	command_db(command, CONFIG_DB_POLICYD, &statement, values, on_waiting);
}

static void
after_making(struct command *command)
{
	struct rotation *rotation = command->data;

	note_step(rotation, &rotation->old[rotation->at_old++].rows[0],
		"was made: publish it");
	make_next(command);
}

static void
make_next(struct command *command)
{
	struct rotation *rotation = command->data;
	struct dkim_making *making;

	if (rotation->at_old == rotation->n_old) {
		find_waiting(command);
		return;
	}
	making = &rotation->old[rotation->at_old];
	making->next = after_making;
	making->data = rotation;
	dkim_make(command, making);
}

static void
on_old(struct command *command, const struct db_result *result)
{
	struct rotation *rotation = command->data;
	const size_t n = db_rows_count(result->rows);

	rotation->n_old = n;
	rotation->old = arena_new_array(command->arena, n, struct dkim_making);
	rotation->steps =
		arena_new_array(command->arena, n + ROWS_MAX, struct step);
	for (size_t i = 0; i < n; i++) {
		struct dkim_making *making = &rotation->old[i];

		making->domain = slice_copy(command->arena,
			db_rows_text(result->rows, i, 0));
		making->types[0] =
			slice_eq_text(db_rows_text(result->rows, i, 1), "rsa")
				? CRYPTO_KEY_RSA
				: CRYPTO_KEY_ED25519;
		making->n_types = 1;
		making->reason = SLICE("rotated");
	}
	make_next(command);
}

/*
 * Active keys that are too old and have no successor. By domain_state, or by
 * attention, up to that age.
 */
static void
find_old(struct command *command, uint64_t before)
{
	static const struct db_statement statement = {
		.name = "dkim_old",
		.sql = "SELECT domain, algorithm FROM dkim_key k WHERE"
		       " state = 'active' AND active_at < ? AND (? = '' OR"
		       " domain = ?) AND NOT EXISTS (SELECT 1 FROM dkim_key n"
		       " WHERE n.domain = k.domain AND n.algorithm ="
		       " k.algorithm AND n.id > k.id AND n.state IN ('made',"
		       " 'published')) LIMIT 500",
		.access = DB_READS,
		.params = "uss",
		.columns = "ss",
	};
	const struct rotation *rotation = command->data;
	const struct db_value values[] = { { .number = before },
		{ .text = rotation->domain }, { .text = rotation->domain } };

	command_db(command, CONFIG_DB_POLICYD, &statement, values, on_old);
}

void
command_dkim_rotate(struct command *command)
{
	const bool is_for_all = command_has(command, "all");
	struct rotation *rotation =
		arena_new_object(command->arena, struct rotation);
	const uint64_t now = (uint64_t)clock_wall();
	const uint64_t rotate_s =
		command->sources->config->dkim.rotate_after_ms / 1000;

	if (is_for_all == command_has(command, "domain")) {
		reply_error(command, COMMAND_EXIT_USAGE,
			"whose keys? name a DOMAIN, or --all for those that "
			"are older than rotate_after");
		return;
	}
	rotation->domain = SLICE("");
	if (!is_for_all && !dkim_domain(command, "domain", &rotation->domain))
		return;
	command->data = rotation;
	/* Whoever names a domain wants new keys, however old they are. */
	find_old(command, is_for_all ? now - rotate_s : now + 1);
}
