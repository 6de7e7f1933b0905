#include "policyd/ctl/import.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/io/loop.h"
#include "common/mail/address.h"
#include "common/mail/ip.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/config.h"
#include "policyd/ctl/local.h"
#include "policyd/ctl/sql_file.h"
#include "policyd/facts/triplet.h"

#define CONNECT_TIMEOUT_MS   10000
#define STATEMENT_TIMEOUT_MS 60000
#define BATCH_ROWS           500
#define BATCH_BYTES_MAX      ((size_t)4 << 20)
#define ROW_ARENA_MAX        ((size_t)1 << 20)
#define LIST_FILE_MAX        ((size_t)4 << 20)

/* Of the columns, in characters. */
#define ADDRESS_CHARACTERS_MAX 255
#define ACCOUNT_CHARACTERS_MAX 100
#define COMMENT_CHARACTERS_MAX 255

#define SECONDS_OF(ms) ((int64_t)((ms) / 1000))

/* --- statements --------------------------------------------------------- */

#define FROM_JSON " FROM JSON_TABLE(?, '$[*]' COLUMNS ("

static const struct db_statement insert_statements[IMPORT_TABLE_COUNT] = {
	[IMPORT_TRACKING] = {
		.name = "import_tracking",
		.sql = "INSERT IGNORE INTO greylisting_tracking (sender,"
		       " recipient, client_address, sender_domain,"
		       " rcpt_domain, init_time, block_expired,"
		       " record_expired, blocked_count, passed)"
		       " SELECT s, r, c, sd, rd, i, b, e, 1, p" FROM_JSON
		       "s VARCHAR(255) PATH '$[0]',"
		       " r VARCHAR(255) PATH '$[1]',"
		       " c VARCHAR(40) PATH '$[2]',"
		       " sd VARCHAR(255) PATH '$[3]',"
		       " rd VARCHAR(255) PATH '$[4]', i BIGINT PATH '$[5]',"
		       " b BIGINT PATH '$[6]', e BIGINT PATH '$[7]',"
		       " p INT PATH '$[8]')) k",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	},
	[IMPORT_WHITELISTS] = {
		.name = "import_whitelists",
		.sql = "INSERT IGNORE INTO greylisting_whitelists (account,"
		       " sender, comment) SELECT a, s, c" FROM_JSON
		       "a VARCHAR(100) PATH '$[0]',"
		       " s VARCHAR(100) PATH '$[1]',"
		       " c VARCHAR(255) PATH '$[2]')) k",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	},
	[IMPORT_SETTINGS] = {
		.name = "import_settings",
		.sql = "INSERT IGNORE INTO greylisting (account, priority,"
		       " sender, sender_priority, comment, active)"
		       " SELECT a, p, '@.', 0, c, v" FROM_JSON
		       "a VARCHAR(100) PATH '$[0]', p INT PATH '$[1]',"
		       " c VARCHAR(255) PATH '$[2]', v INT PATH '$[3]')) k",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	},
	[IMPORT_THROTTLE] = {
		.name = "import_throttle",
		.sql = "INSERT IGNORE INTO throttle (account, kind, priority,"
		       " period, msg_size, max_msgs, max_quota, max_rcpts)"
		       " SELECT a, k, p, t, -1, m, q, -1" FROM_JSON
		       "a VARCHAR(255) PATH '$[0]',"
		       " k VARCHAR(10) PATH '$[1]', p INT PATH '$[2]',"
		       " t BIGINT PATH '$[3]', m BIGINT PATH '$[4]',"
		       " q BIGINT PATH '$[5]')) j",
		.access = DB_WRITES,
		.params = "s",
		.columns = "",
	},
};

static const char *const table_names[IMPORT_TABLE_COUNT] = {
	[IMPORT_TRACKING] = "greylisting_tracking",
	[IMPORT_WHITELISTS] = "greylisting_whitelists",
	[IMPORT_SETTINGS] = "greylisting",
	[IMPORT_THROTTLE] = "throttle",
};

static void
on_done(void *arg, const struct db_result *result)
{
	struct import *import = arg;

	import->status = result->status;
	import->affected = result->affected;
	(void)snprintf(import->error, sizeof(import->error), "%s",
		result->error);
}

static bool
fail(struct import *import, const char *database)
{
	if (!import->is_ended)
		reply_error(import->command,
			import->status == DB_REFUSED ? COMMAND_EXIT_REFUSED
						     : COMMAND_EXIT_NO_DATABASE,
			"database %s: %s", database, import->error);
	import->is_ended = true;
	return false;
}

static void
write_batch(struct import *import, const struct import_batch *batch)
{
	const struct db_value value = { .text = str_slice(&batch->json) };

	if (import->is_plan || import->is_ended)
		return;
	db_run_and_wait(import->loop, import->target,
		&insert_statements[batch->part->table], &value,
		STATEMENT_TIMEOUT_MS, on_done, import);
	if (import->status == DB_OK)
		batch->part->n_added += import->affected;
	else
		(void)fail(import, import->config->db[CONFIG_DB_IREDAPD].name);
}

/* Not from a callback of the loop, which is needed to write. */
static void
write_batches(struct import *import)
{
	for (size_t i = 0; i < import->n_batches; i++) {
		write_batch(import, &import->batches[i]);
		str_free(&import->batches[i].json);
	}
	import->n_batches = 0;
}

/* Closes the rows of a part as a batch. */
static void
close_batch(struct import *import, struct import_part *part)
{
	struct import_batch *batch;

	if (part->n_waiting == 0)
		return;
	str_append_char(&part->json, ']');
	assert(!part->json.is_cut);
	import->batches = x_realloc_array(import->batches,
		import->n_batches + 1, sizeof(import->batches[0]));
	batch = &import->batches[import->n_batches++];
	batch->part = part;
	batch->json = part->json;
	str_init(&part->json, BATCH_BYTES_MAX);
	part->n_waiting = 0;
}

/* --- rows --------------------------------------------------------------- */

static struct import_part *
find_part(struct import *import, const char *from, enum import_table table)
{
	struct import_part *part;

	for (size_t i = 0; i < import->n_parts; i++) {
		part = &import->parts[i];
		if (part->table == table && strcmp(part->from, from) == 0)
			return part;
	}
	assert(import->n_parts < IMPORT_PARTS_MAX);
	part = &import->parts[import->n_parts++];
	part->from = from;
	part->table = table;
	str_init(&part->json, BATCH_BYTES_MAX);
	return part;
}

/* Begins a row: '["a","b"' for two texts, to be ended by end_row(). */
static struct import_part *
begin_row(struct import *import, const char *from, enum import_table table,
	const struct slice *texts, size_t n)
{
	struct import_part *part = find_part(import, from, table);

	str_append_char(&part->json, part->n_waiting == 0 ? '[' : ',');
	for (size_t i = 0; i < n; i++) {
		str_append_char(&part->json, i == 0 ? '[' : ',');
		str_append_json(&part->json, texts[i]);
	}
	return part;
}

static void
end_row(struct import *import, struct import_part *part)
{
	str_append_char(&part->json, ']');
	part->n_offered++;
	if (++part->n_waiting == BATCH_ROWS)
		close_batch(import, part);
	if (!import->is_reading)
		write_batches(import);
	arena_reset(import->arena);
}

static size_t
count_characters(struct slice text)
{
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		n += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
	return n;
}

/* IGNORE would cut it, so what does not fit is not offered. */
static bool
fits(struct slice text, size_t max)
{
	return slice_is_utf8(text) && count_characters(text) <= max;
}

/* "2001:db8:1:2" of SQLgrey's "smart" method, "192.0.2" of its "classc". */
static bool
read_client(struct import *import, struct slice text, struct slice *out)
{
	const char *longer;
	struct ip ip;

	if (!ip_parse(text, &ip)) {
		longer = slice_has_byte(text, ':')
				 ? arena_printf(import->arena,
					   "%.*s::", SLICE_ARG(text))
				 : arena_printf(import->arena, "%.*s.0",
					   SLICE_ARG(text));
		if (!ip_parse(slice_of(longer), &ip))
			return false;
	}
	*out = triplet_client(import->arena, import->config, &ip);
	return true;
}

static struct slice
clip_comment(struct slice comment)
{
	return fits(comment, COMMENT_CHARACTERS_MAX) ? comment : SLICE("");
}

void
import_tracking(struct import *import, const char *from,
	const struct import_triplet *triplet)
{
	const struct config *config = import->config;
	const struct slice delimiters =
		slice_of(config->mail.recipient_delimiters);
	const struct address sender =
		address_parse(import->arena, triplet->sender, delimiters);
	const struct address recipient =
		address_parse(import->arena, triplet->recipient, delimiters);
	const int64_t expires =
		triplet->has_passed
			? triplet->last +
				  SECONDS_OF(config->greylisting.auth_expire_ms)
			: triplet->first +
				  SECONDS_OF(
					  config->greylisting.unauth_expire_ms);
	struct slice texts[5] = { sender.bare, recipient.bare, SLICE(""),
		sender.domain, recipient.domain };
	struct import_part *part;

	if (!read_client(import, triplet->client, &texts[2])) {
		import_drop(import, from, "the client is not an address",
			triplet->client);
	} else if (!fits(sender.bare, ADDRESS_CHARACTERS_MAX) ||
		   !fits(recipient.bare, ADDRESS_CHARACTERS_MAX)) {
		import_drop(import, from, "an address is too long or not UTF-8",
			triplet->sender);
	} else if (expires <= import->now) {
		import_drop(import, from, "it has expired", triplet->client);
	} else {
		part = begin_row(import, from, IMPORT_TRACKING, texts, 5);
		str_printf(&part->json, ",%lld,%lld,%lld,%d",
			(long long)triplet->first,
			(long long)(triplet->first +
				    SECONDS_OF(config->greylisting
						       .block_expire_ms)),
			(long long)expires, triplet->has_passed);
		end_row(import, part);
	}
}

void
import_whitelist(struct import *import, const char *from, struct slice sender,
	struct slice comment)
{
	struct slice stored;
	const char *err;

	if (!account_normalize(import->arena, sender, &stored, &err) ||
		!fits(stored, ACCOUNT_CHARACTERS_MAX)) {
		import_drop(import, from, "it is not an account", sender);
		return;
	}
	end_row(import, begin_row(import, from, IMPORT_WHITELISTS,
				(const struct slice[]){ SLICE("@."), stored,
					clip_comment(comment) },
				3));
}

void
import_setting(struct import *import, const char *from, struct slice account,
	bool is_active)
{
	const struct slice stored = slice_lower(import->arena, account);
	const enum account_kind kind = account_kind(stored);
	struct import_part *part;

	if ((kind != ACCOUNT_ADDRESS && kind != ACCOUNT_DOMAIN &&
		    kind != ACCOUNT_SUBDOMAIN && kind != ACCOUNT_TOP_DOMAIN &&
		    kind != ACCOUNT_CATCH_ALL) ||
		!fits(stored, ACCOUNT_CHARACTERS_MAX)) {
		import_drop(import, from, "it is not an account", account);
		return;
	}
	part = begin_row(import, from, IMPORT_SETTINGS, &stored, 1);
	str_printf(&part->json, ",%d,", account_priority(kind));
	str_append_json(&part->json, slice_of(from));
	str_printf(&part->json, ",%d", is_active);
	end_row(import, part);
}

void
import_throttle(struct import *import, const char *from, struct slice account,
	const char *kind, uint64_t period, int64_t max_msgs, int64_t max_quota)
{
	const struct slice stored = slice_lower(import->arena, account);
	const enum account_kind of = account_kind(stored);
	struct import_part *part;

	if (of == ACCOUNT_INVALID || !fits(stored, ADDRESS_CHARACTERS_MAX)) {
		import_drop(import, from, "it is not an account", account);
		return;
	}
	part = begin_row(import, from, IMPORT_THROTTLE,
		(const struct slice[]){ stored, slice_of(kind) }, 2);
	str_printf(&part->json, ",%d,%llu,%lld,%lld", account_priority(of),
		(unsigned long long)period, (long long)max_msgs,
		(long long)max_quota);
	end_row(import, part);
}

void
import_drop(struct import *import, const char *what, const char *why,
	struct slice example)
{
	struct import_reason *reason = NULL;

	for (size_t i = 0; i < import->n_reasons && reason == NULL; i++)
		if (strcmp(import->reasons[i].what, what) == 0 &&
			strcmp(import->reasons[i].why, why) == 0)
			reason = &import->reasons[i];
	if (reason == NULL) {
		assert(import->n_reasons < IMPORT_REASONS_MAX);
		reason = &import->reasons[import->n_reasons++];
		reason->what = what;
		reason->why = why;
		(void)snprintf(reason->example, sizeof(reason->example), "%.*s",
			SLICE_ARG(example));
	}
	reason->n++;
	arena_reset(import->arena);
}

/* --- files -------------------------------------------------------------- */

bool
import_lines(struct import *import, const char *path,
	void (*take)(struct import *import, struct slice line))
{
	struct slice rest, line;
	struct str text;
	bool is_good;

	str_init(&text, LIST_FILE_MAX);
	is_good = sql_file_read(path, &text);
	if (!is_good && errno != ENOENT) {
		reply_error(import->command, COMMAND_EXIT_USAGE, "%s: %s", path,
			strerror(errno));
		import->is_ended = true;
	}
	rest = is_good ? str_slice(&text) : SLICE("");
	while (rest.len > 0 && slice_split(&rest, '\n', &line)) {
		const ptrdiff_t remark = slice_find(line, '#');

		if (remark >= 0)
			line = slice_part(line, 0, (size_t)remark);
		line = slice_trim(line);
		if (line.len > 0)
			take(import, line);
	}
	str_free(&text);
	return !import->is_ended;
}

/* --- begin and end ------------------------------------------------------ */

static struct db *
connect_database(struct import *import, const struct config_db *from,
	const char *label, const char *password)
{
	struct db_config config = config_db_target(from);

	config.label = label;
	config.password = password != NULL ? password : "";
	config.connections = 1;
	config.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	config.statement_timeout_ms = STATEMENT_TIMEOUT_MS;
	config.queue_max = 8;
	return db_new(import->loop, &config);
}

bool
import_open(struct import *import, struct command *command)
{
	const struct config_db *target;

	memset(import, 0, sizeof(*import));
	import->command = command;
	import->loop = loop_new();
	import->arena = arena_new(ROW_ARENA_MAX);
	import->now = clock_wall();
	import->is_plan = command_argument_is_given(&command->request, "plan");
	import->config = local_load_config(command, !import->is_plan);
	if (import->config == NULL) {
		import->is_ended = true;
		return false;
	}
	target = &import->config->db[CONFIG_DB_IREDAPD];
	if (!import->is_plan)
		import->target = connect_database(import, target, "iredapd",
			target->password);
	return true;
}

bool
import_open_source(struct import *import, const char *user, const char *name)
{
	struct command *command = import->command;
	const struct command_request *request = &command->request;
	const struct config_db *target = &import->config->db[CONFIG_DB_IREDAPD];
	struct config_db source = { .tls_ca = target->tls_ca,
		.tls = DB_TLS_OFF,
		.port = 3306 };
	struct slice host = command_argument_or(request, "host", "");

	if (!local_read_password(command, &import->password)) {
		import->is_ended = true;
		return false;
	}
	source.host = slice_strdup(host);
	source.socket = slice_strdup(
		command_argument_or(request, "socket", target->socket));
	source.user = slice_strdup(command_argument_or(request, "user", user));
	source.name = slice_strdup(command_argument_or(request, "name", name));
	import->source =
		connect_database(import, &source, "source", import->password);
	x_free(source.host);
	x_free(source.socket);
	x_free(source.user);
	x_free(source.name);
	return true;
}

struct reading {
	struct import *import;
	db_done_fn *done;
	void *arg;
};

static void
on_read(void *arg, const struct db_result *result)
{
	const struct reading *reading = arg;

	on_done(reading->import, result);
	if (result->status == DB_OK)
		reading->done(reading->arg, result);
}

bool
import_read(struct import *import, const struct db_statement *statement,
	const struct db_value *values, db_done_fn *done, void *arg)
{
	struct reading reading = { import, done, arg };

	import->is_reading = true;
	db_run_and_wait(import->loop, import->source, statement, values,
		STATEMENT_TIMEOUT_MS, on_read, &reading);
	import->is_reading = false;
	if (import->status == DB_OK)
		write_batches(import);
	return (import->status == DB_OK || fail(import, "to read from")) &&
	       !import->is_ended;
}

static void
reply_parts(struct import *import)
{
	static const struct reply_column columns[] = {
		{ "from", "From", REPLY_TEXT },
		{ "table", "Table", REPLY_TEXT },
		{ "rows", "Rows", REPLY_NUMBER },
		{ "added", "Added", REPLY_NUMBER },
		{ "there", "There already", REPLY_NUMBER },
	};
	struct command *command = import->command;

	if (import->n_parts == 0)
		return;
	reply_table(command, "rows", NULL, columns,
		import->is_plan ? 3 : sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < import->n_parts; i++) {
		const struct import_part *part = &import->parts[i];

		reply_row(command);
		reply_value(command, slice_of(part->from));
		reply_value(command, slice_of(table_names[part->table]));
		reply_unsigned(command, part->n_offered);
		if (import->is_plan)
			continue;
		reply_unsigned(command, part->n_added);
		reply_unsigned(command, part->n_offered - part->n_added);
	}
	reply_part_end(command);
}

static void
reply_reasons(struct import *import)
{
	static const struct reply_column columns[] = {
		{ "from", "Left out", REPLY_TEXT },
		{ "count", "Count", REPLY_NUMBER },
		{ "reason", "Why", REPLY_TEXT },
		{ "example", "Such as", REPLY_TEXT },
	};
	struct command *command = import->command;

	if (import->n_reasons == 0)
		return;
	reply_table(command, "dropped", "Left out", columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < import->n_reasons; i++) {
		const struct import_reason *reason = &import->reasons[i];

		reply_row(command);
		reply_value(command, slice_of(reason->what));
		reply_unsigned(command, reason->n);
		reply_value(command, slice_of(reason->why));
		reply_value(command, slice_of(reason->example));
	}
	reply_part_end(command);
}

void
import_end(struct import *import)
{
	for (size_t i = 0; i < import->n_parts; i++)
		close_batch(import, &import->parts[i]);
	write_batches(import);
	if (import->is_ended)
		return;
	reply_parts(import);
	reply_reasons(import);
	if (import->is_plan)
		reply_text(import->command,
			"nothing was changed; rows that are there already "
			"would stay as they are");
	reply_end(import->command, COMMAND_EXIT_DONE);
	import->is_ended = true;
}

void
import_close(struct import *import)
{
	db_free(import->target);
	db_free(import->source);
	if (import->password != NULL)
		x_free_secret(import->password, strlen(import->password));
	for (size_t i = 0; i < import->n_parts; i++)
		str_free(&import->parts[i].json);
	for (size_t i = 0; i < import->n_batches; i++)
		str_free(&import->batches[i].json);
	x_free(import->batches);
	config_unref(import->config);
	arena_free(import->arena);
	loop_free(import->loop);
}
