/*
 * "db migrate" and "db status": makes or adopts the databases iredapd and
 * policyd. It needs no daemon: it is what is run before the first one. Every
 * file is applied once, in the order of migrations.def, under a lock, and
 * recorded; each is written so that applying it twice would do no harm.
 */

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/db.h"
#include "common/io/loop.h"
#include "policyd/commands/command.h"
#include "policyd/commands/reply.h"
#include "policyd/config.h"
#include "policyd/ctl/local.h"
#include "policyd/ctl/sql_file.h"
#include "policyd/schema.h"
#include "policyd/version.h"

#define CONNECT_TIMEOUT_MS 10000
/* Rebuilding a big table takes its time. */
#define STATEMENT_TIMEOUT_MS (60 * 60 * UINT64_C(1000))
#define LOCK_SECONDS         10
#define MIGRATIONS_MAX       64
#define COLLATIONS_MAX       16
#define ERROR_MAX            600

enum { TARGET_POLICYD, TARGET_IREDAPD, TARGET_COUNT };

struct target {
	const char *label; /* folder of conf/sql */
	enum config_db_id id;
	struct db *db;
	bool exists;
};

/* A table that has another collation than most. */
struct collation {
	struct slice table, usual, charset;
};

struct migrate {
	struct command *command;
	struct loop *loop;
	struct config *config;
	const char *user; /* NULL: the daemon's */
	char *password;   /* NULL: the daemon's */
	const char *sql_dir;
	struct target targets[TARGET_COUNT];
	struct target amavisd; /* only looked at, and only if there is one */
	char server_version[64];
	bool is_applied[MIGRATIONS_MAX];
	int64_t applied_at[MIGRATIONS_MAX];
	struct collation collations[COLLATIONS_MAX];
	size_t n_collations;
	/* What the statement that ran last has said: */
	enum db_status status;
	unsigned error_number;
	char error[ERROR_MAX];
	uint64_t n_rows, number;
	const char *host; /* of the account that asks */
	void (*take_rows)(struct migrate *migrate, const struct db_rows *rows);
};

/* --- statements --------------------------------------------------------- */

static void
on_done(void *arg, const struct db_result *result)
{
	struct migrate *migrate = arg;

	migrate->status = result->status;
	migrate->error_number = result->error_number;
	(void)snprintf(migrate->error, sizeof(migrate->error), "%s",
		result->error);
	if (result->status != DB_OK)
		return;
	migrate->n_rows = db_rows_count(result->rows);
	if (migrate->take_rows != NULL)
		migrate->take_rows(migrate, result->rows);
}

/*
 * A statement that is no static constant. A connection knows statements by
 * their address, so each has one of its own until the end.
 */
static const struct db_statement *
make_statement(struct migrate *migrate, const char *name, struct slice sql)
{
	struct db_statement *statement =
		arena_new_object(migrate->command->arena, struct db_statement);

	statement->name = name;
	statement->sql = slice_copy(migrate->command->arena, sql).ptr;
	statement->access = DB_WRITES;
	statement->params = "";
	statement->columns = "";
	return statement;
}

static bool
run(struct migrate *migrate, struct target *target,
	const struct db_statement *statement, const struct db_value *values,
	void (*take_rows)(struct migrate *migrate, const struct db_rows *rows))
{
	migrate->take_rows = take_rows;
	migrate->n_rows = 0;
	db_run_and_wait(migrate->loop, target->db, statement, values,
		STATEMENT_TIMEOUT_MS, on_done, migrate);
	return migrate->status == DB_OK;
}

static const char *
user_of(const struct migrate *migrate, const struct target *target)
{
	return migrate->user != NULL ? migrate->user
				     : migrate->config->db[target->id].user;
}

/* database "": no database is chosen. */
static void
connect_target(struct migrate *migrate, struct target *target,
	const char *database)
{
	const struct config_db *from = &migrate->config->db[target->id];
	const char *password =
		migrate->user != NULL ? migrate->password : from->password;
	struct db_config config = config_db_target(from);

	config.label = target->label;
	config.user = user_of(migrate, target);
	config.password = password != NULL ? password : "";
	config.database = database;
	config.connections = 1; /* GET_LOCK() holds for a connection */
	config.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	config.statement_timeout_ms = STATEMENT_TIMEOUT_MS;
	config.queue_max = 8;
	db_free(target->db);
	target->db = db_new(migrate->loop, &config);
}

/* --- what is wrong ------------------------------------------------------ */

static void
fail(struct migrate *migrate, const struct target *target, const char *what)
{
	const struct config_db *db = &migrate->config->db[target->id];
	const bool is_away = migrate->status == DB_UNAVAILABLE;

	reply_error(migrate->command,
		is_away ? COMMAND_EXIT_NO_DATABASE : COMMAND_EXIT_REFUSED,
		"database %s at %s, user %s: %s: %s", db->name,
		db->host[0] != '\0' ? db->host : db->socket,
		user_of(migrate, target), what, migrate->error);
}

static void
take_host(struct migrate *migrate, const struct db_rows *rows)
{
	const struct slice account =
		db_rows_count(rows) == 1 ? db_rows_text(rows, 0, 0) : SLICE("");
	const ptrdiff_t at = slice_find_last(account, '@');

	if (at >= 0)
		migrate->host = slice_copy(migrate->command->arena,
			slice_from(account, (size_t)at + 1))
					.ptr;
}

/* Where the daemon's account is at home: the server may know several. */
static const char *
host_of_account(struct migrate *migrate, struct target *target)
{
	static const struct db_statement statement = {
		.name = "find_account",
		.sql = "SELECT CURRENT_USER()",
		.access = DB_READS,
		.params = "",
		.columns = "s",
	};

	migrate->host = "localhost";
	if (migrate->user == NULL)
		(void)run(migrate, target, &statement, NULL, take_host);
	return migrate->host;
}

/* The user has to be made by somebody who may: say how. */
static void
fail_rights(struct migrate *migrate, struct target *target, const char *what)
{
	const struct config_db *db = &migrate->config->db[target->id];
	const char *error =
		arena_printf(migrate->command->arena, "%s", migrate->error);

	reply_error(migrate->command, COMMAND_EXIT_REFUSED,
		"database %s, user %s: %s: %s\n"
		"Run these as an administrator of MariaDB, or this command "
		"with --user and --password-file of one:\n"
		"  CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4 "
		"COLLATE utf8mb4_unicode_ci;\n"
		"  GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, "
		"INDEX, REFERENCES ON `%s`.* TO '%s'@'%s';",
		db->name, user_of(migrate, target), what, error, db->name,
		db->name, db->user, host_of_account(migrate, target));
}

/* --- the server --------------------------------------------------------- */

static void
take_version(struct migrate *migrate, const struct db_rows *rows)
{
	if (db_rows_count(rows) == 1)
		(void)snprintf(migrate->server_version,
			sizeof(migrate->server_version), "%.*s",
			SLICE_ARG(db_rows_text(rows, 0, 0)));
}

static bool
check_server(struct migrate *migrate, struct target *target)
{
	static const struct db_statement statement = {
		.name = "server_version",
		.sql = "SELECT VERSION()",
		.access = DB_READS,
		.params = "",
		.columns = "s",
	};

	if (!run(migrate, target, &statement, NULL, take_version)) {
		fail(migrate, target, "cannot be asked");
		return false;
	}
	if (schema_server_is_supported(slice_of(migrate->server_version)))
		return true;
	reply_error(migrate->command, COMMAND_EXIT_REFUSED,
		"the server is %s; policyd needs MariaDB %s or newer",
		migrate->server_version, SCHEMA_SERVER_MIN);
	return false;
}

/* False when the server cannot be asked. */
static bool
ask_for_database(struct migrate *migrate, struct target *target)
{
	static const struct db_statement statement = {
		.name = "find_database",
		.sql = "SELECT 1 FROM information_schema.schemata"
		       " WHERE schema_name = ?",
		.access = DB_READS,
		.params = "s",
		.columns = "u",
	};
	const struct db_value value = {
		.text = slice_of(migrate->config->db[target->id].name),
	};

	if (!run(migrate, target, &statement, &value, NULL))
		return false;
	target->exists = migrate->n_rows > 0;
	return true;
}

static bool
look_for_database(struct migrate *migrate, struct target *target)
{
	if (ask_for_database(migrate, target))
		return true;
	fail(migrate, target, "cannot be looked for");
	return false;
}

/* A name cannot be a parameter, so it must not need quoting. */
static bool
is_plain_name(const char *name)
{
	return name[0] != '\0' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz"
			    "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-$") ==
		       strlen(name);
}

static bool
create_database(struct migrate *migrate, struct target *target)
{
	const char *name = migrate->config->db[target->id].name;
	const struct db_statement *statement;
	char sql[256];

	if (!is_plain_name(name)) {
		reply_error(migrate->command, COMMAND_EXIT_REFUSED,
			"the database \"%s\" does not exist, and its name has "
			"characters that this command does not put into a "
			"statement; create it by hand",
			name);
		return false;
	}
	(void)snprintf(sql, sizeof(sql),
		"CREATE DATABASE IF NOT EXISTS `%s` CHARACTER SET utf8mb4"
		" COLLATE utf8mb4_unicode_ci",
		name);
	statement = make_statement(migrate, "create_database", slice_of(sql));
	if (run(migrate, target, statement, NULL, NULL)) {
		reply_text(migrate->command, "created database %s", name);
		target->exists = true;
		return true;
	}
	fail_rights(migrate, target, "does not exist and cannot be created");
	return false;
}

/* --- what was applied --------------------------------------------------- */

static void
take_applied(struct migrate *migrate, const struct db_rows *rows)
{
	for (size_t row = 0; row < db_rows_count(rows); row++) {
		const int i = migration_find(db_rows_text(rows, row, 0),
			(unsigned)db_rows_u64(rows, row, 1));

		if (i < 0)
			continue;
		migrate->is_applied[i] = true;
		migrate->applied_at[i] = db_rows_i64(rows, row, 2);
	}
}

#define ER_NO_SUCH_TABLE      1146u
#define ER_TABLEACCESS_DENIED 1142u

static bool
read_applied(struct migrate *migrate)
{
	static const struct db_statement statement = {
		.name = "read_migrations",
		.sql = "SELECT database_name, number, applied_at"
		       " FROM schema_migration",
		.access = DB_READS,
		.params = "",
		.columns = "sui",
	};
	struct target *target = &migrate->targets[TARGET_POLICYD];

	if (!target->exists ||
		run(migrate, target, &statement, NULL, take_applied) ||
		migrate->error_number == ER_NO_SUCH_TABLE)
		return true;
	fail(migrate, target, "schema_migration cannot be read");
	return false;
}

/* --- applying ----------------------------------------------------------- */

static void
take_number(struct migrate *migrate, const struct db_rows *rows)
{
	migrate->number =
		db_rows_count(rows) == 1 && !db_rows_is_null(rows, 0, 0)
			? db_rows_u64(rows, 0, 0)
			: 0;
}

static bool
take_lock(struct migrate *migrate)
{
	static const struct db_statement statement = {
		.name = "lock_migrations",
		.sql = "SELECT GET_LOCK('policyd.migrate', ?)",
		.access = DB_WRITES,
		.params = "u",
		.columns = "u",
	};
	const struct db_value seconds = { .number = LOCK_SECONDS };
	struct target *target = &migrate->targets[TARGET_POLICYD];

	if (!run(migrate, target, &statement, &seconds, take_number)) {
		fail(migrate, target, "cannot be locked");
		return false;
	}
	if (migrate->number == 1)
		return true;
	reply_error(migrate->command, COMMAND_EXIT_REFUSED,
		"another \"policyctl db migrate\" is at work; try again when "
		"it has ended");
	return false;
}

static struct target *
target_of(struct migrate *migrate, const struct migration *migration)
{
	for (size_t i = 0; i < TARGET_COUNT; i++)
		if (strcmp(migrate->targets[i].label, migration->database) == 0)
			return &migrate->targets[i];
	assert(false && "a migration for a database that is not ours");
	return NULL;
}

static bool
record(struct migrate *migrate, const struct migration *migration)
{
	static const struct db_statement statement = {
		.name = "record_migration",
		.sql = "INSERT IGNORE INTO schema_migration (database_name,"
		       " number, name, applied_at) VALUES (?, ?, ?, ?)",
		.access = DB_WRITES,
		.params = "susu",
		.columns = "",
	};
	const struct db_value values[] = {
		{ .text = slice_of(migration->database) },
		{ .number = migration->number },
		{ .text = slice_of(migration->name) },
		{ .number = (uint64_t)clock_wall() },
	};
	struct target *target = &migrate->targets[TARGET_POLICYD];

	if (run(migrate, target, &statement, values, NULL))
		return true;
	fail(migrate, target, "a migration cannot be recorded");
	return false;
}

static bool
run_file(struct migrate *migrate, struct target *target, struct slice text,
	const char *path)
{
	struct str sql;
	bool is_good = true;

	str_init(&sql, SQL_FILE_MAX);
	while (is_good && sql_next_statement(&text, &sql)) {
		const struct db_statement *statement =
			make_statement(migrate, "migration", str_slice(&sql));

		is_good = run(migrate, target, statement, NULL, NULL);
	}
	str_free(&sql);
	if (!is_good && migrate->status == DB_REFUSED)
		fail_rights(migrate, target, path);
	else if (!is_good)
		fail(migrate, target, path);
	return is_good;
}

static bool
apply(struct migrate *migrate, const struct migration *migration)
{
	char path[4096];
	struct str text;
	bool is_good;

	(void)snprintf(path, sizeof(path), "%s/%s/%03u_%s.sql",
		migrate->sql_dir, migration->database, migration->number,
		migration->name);
	str_init(&text, SQL_FILE_MAX);
	is_good = sql_file_read(path, &text);
	if (!is_good)
		reply_error(migrate->command, COMMAND_EXIT_REFUSED,
			"%s: %s; --sql-dir tells where the files are", path,
			strerror(errno));
	else
		is_good = run_file(migrate, target_of(migrate, migration),
				  str_slice(&text), path) &&
			  record(migrate, migration);
	str_free(&text);
	if (is_good)
		reply_text(migrate->command, "applied %s/%03u_%s",
			migration->database, migration->number,
			migration->name);
	return is_good;
}

/* --- collations --------------------------------------------------------- */

static void
take_collations(struct migrate *migrate, const struct db_rows *rows)
{
	struct arena *arena = migrate->command->arena;
	size_t n = db_rows_count(rows);

	n = n < COLLATIONS_MAX ? n : COLLATIONS_MAX;
	for (size_t row = 0; row < n; row++)
		migrate->collations[row] = (struct collation){
			.table = slice_copy(arena, db_rows_text(rows, row, 0)),
			.usual = slice_copy(arena, db_rows_text(rows, row, 2)),
			.charset =
				slice_copy(arena, db_rows_text(rows, row, 3)),
		};
	migrate->n_collations = n;
}

/* False when the command was ended. */
static bool
read_collations(struct migrate *migrate)
{
	struct target *target = &migrate->targets[TARGET_IREDAPD];
	const struct db_value name = {
		.text = slice_of(migrate->config->db[target->id].name),
	};

	if (run(migrate, target, &schema_collations, &name, take_collations))
		return true;
	fail(migrate, target, "its collations cannot be read");
	return false;
}

static bool
convert(struct migrate *migrate, const struct collation *collation)
{
	struct target *target = &migrate->targets[TARGET_IREDAPD];
	const struct db_statement *statement;
	char sql[512], what[256];

	(void)snprintf(sql, sizeof(sql),
		"ALTER TABLE `%.*s` CONVERT TO CHARACTER SET %.*s"
		" COLLATE %.*s",
		SLICE_ARG(collation->table), SLICE_ARG(collation->charset),
		SLICE_ARG(collation->usual));
	statement = make_statement(migrate, "convert", slice_of(sql));
	if (run(migrate, target, statement, NULL, NULL)) {
		reply_text(migrate->command, "converted %.*s to %.*s",
			SLICE_ARG(collation->table),
			SLICE_ARG(collation->usual));
		return true;
	}
	(void)snprintf(what, sizeof(what), "%.*s cannot be converted to %.*s",
		SLICE_ARG(collation->table), SLICE_ARG(collation->usual));
	if (migrate->error_number == ER_TABLEACCESS_DENIED)
		fail_rights(migrate, target, what);
	else
		fail(migrate, target, what);
	return false;
}

/*
 * The tables that requests are compared with get the collation that most
 * have, or the server would refuse the comparison (error 1267).
 */
static bool
align_collations(struct migrate *migrate)
{
	if (!read_collations(migrate))
		return false;
	for (size_t i = 0; i < migrate->n_collations; i++)
		if (!convert(migrate, &migrate->collations[i]))
			return false;
	return true;
}

static void
reply_collations(struct migrate *migrate)
{
	struct str text;

	if (migrate->n_collations == 0)
		return;
	str_init(&text, 4096);
	for (size_t i = 0; i < migrate->n_collations; i++) {
		str_append_text(&text, i == 0 ? "" : ", ");
		str_append_slice(&text, migrate->collations[i].table);
	}
	reply_text(migrate->command,
		"\"policyctl db migrate\" converts to the collation %.*s, which "
		"most of database %s has: %.*s",
		SLICE_ARG(migrate->collations[0].usual),
		migrate->config->db[CONFIG_DB_IREDAPD].name,
		SLICE_ARG(str_slice(&text)));
	str_free(&text);
}

/* --- all of it ---------------------------------------------------------- */

/* False when the command was ended. */
static bool
apply_all(struct migrate *migrate)
{
	size_t n_applied = 0;

	for (size_t i = 0; i < TARGET_COUNT; i++) {
		struct target *target = &migrate->targets[i];

		if (!target->exists && !create_database(migrate, target))
			return false;
		connect_target(migrate, target,
			migrate->config->db[target->id].name);
	}
	/* What another one applied meanwhile shows under the lock. */
	if (!take_lock(migrate) || !read_applied(migrate))
		return false;
	for (size_t i = 0; i < n_migrations; i++) {
		if (migrate->is_applied[i])
			continue;
		if (!apply(migrate, &migrations[i]))
			return false;
		n_applied++;
	}
	if (!align_collations(migrate))
		return false;
	if (n_applied + migrate->n_collations == 0)
		reply_text(migrate->command,
			"nothing to do: all %zu migrations are there",
			n_migrations);
	return true;
}

/* --- showing ------------------------------------------------------------ */

static size_t
reply_migrations(struct migrate *migrate)
{
	static const struct reply_column columns[] = {
		{ "database", "Database", REPLY_TEXT },
		{ "number", "Number", REPLY_NUMBER },
		{ "name", "Name", REPLY_TEXT },
		{ "is_applied", "Applied", REPLY_BOOL },
		{ "applied_at", "When", REPLY_TIME },
	};
	struct command *command = migrate->command;
	size_t n_missing = 0;

	reply_table(command, "migrations", "Migrations", columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < n_migrations; i++) {
		reply_row(command);
		reply_value(command, slice_of(migrations[i].database));
		reply_unsigned(command, migrations[i].number);
		reply_value(command, slice_of(migrations[i].name));
		reply_bool(command, migrate->is_applied[i]);
		if (migrate->is_applied[i])
			reply_number(command, migrate->applied_at[i]);
		else
			reply_null(command);
		n_missing += !migrate->is_applied[i];
	}
	reply_part_end(command);
	return n_missing;
}

static void
reply_database(struct migrate *migrate, const struct target *target)
{
	struct command *command = migrate->command;

	reply_row(command);
	reply_value(command, slice_of(migrate->config->db[target->id].name));
	reply_bool(command, target->exists);
	reply_value(command, slice_of(user_of(migrate, target)));
	reply_value(command, slice_of(migrate->server_version));
}

/* Amavisd's own: it is not migrated, and may be away. */
static void
reply_amavisd(struct migrate *migrate)
{
	struct target *target = &migrate->amavisd;

	if (migrate->config->db[CONFIG_DB_AMAVISD].name[0] == '\0')
		return;
	connect_target(migrate, target, "");
	(void)ask_for_database(migrate, target);
	reply_database(migrate, target);
}

static void
reply_databases(struct migrate *migrate)
{
	static const struct reply_column columns[] = {
		{ "database", "Database", REPLY_TEXT },
		{ "exists", "Exists", REPLY_BOOL },
		{ "user", "User", REPLY_TEXT },
		{ "server_version", "Server", REPLY_TEXT },
	};
	struct command *command = migrate->command;

	reply_table(command, "databases", NULL, columns,
		sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < TARGET_COUNT; i++)
		reply_database(migrate, &migrate->targets[i]);
	reply_amavisd(migrate);
	reply_part_end(command);
}

/* Says what there is; returns how many migrations are missing. */
static size_t
reply_state(struct migrate *migrate)
{
	reply_databases(migrate);
	return reply_migrations(migrate);
}

/* --- the commands ------------------------------------------------------- */

static bool
open_migrate(struct migrate *migrate, struct command *command)
{
	struct slice user;

	memset(migrate, 0, sizeof(*migrate));
	assert(n_migrations <= MIGRATIONS_MAX);
	migrate->command = command;
	migrate->loop = loop_new();
	migrate->targets[TARGET_POLICYD].label = "policyd";
	migrate->targets[TARGET_POLICYD].id = CONFIG_DB_POLICYD;
	migrate->targets[TARGET_IREDAPD].label = "iredapd";
	migrate->targets[TARGET_IREDAPD].id = CONFIG_DB_IREDAPD;
	migrate->amavisd.label = "amavisd";
	migrate->amavisd.id = CONFIG_DB_AMAVISD;
	if (command_argument(&command->request, "user", &user))
		migrate->user = slice_copy(command->arena, user).ptr;
	migrate->config = local_load_config(command,
		!command_argument_is_given(&command->request, "user"));
	if (migrate->config == NULL ||
		!local_read_password(command, &migrate->password))
		return false;
	for (size_t i = 0; i < TARGET_COUNT; i++) {
		struct target *target = &migrate->targets[i];

		connect_target(migrate, target, "");
		if (!check_server(migrate, target) ||
			!look_for_database(migrate, target))
			return false;
	}
	if (migrate->targets[TARGET_POLICYD].exists)
		connect_target(migrate, &migrate->targets[TARGET_POLICYD],
			migrate->config->db[CONFIG_DB_POLICYD].name);
	return read_applied(migrate);
}

static void
close_migrate(struct migrate *migrate)
{
	for (size_t i = 0; i < TARGET_COUNT; i++)
		db_free(migrate->targets[i].db);
	db_free(migrate->amavisd.db);
	if (migrate->password != NULL)
		x_free_secret(migrate->password, strlen(migrate->password));
	config_unref(migrate->config);
	loop_free(migrate->loop);
}

/* --sql-dir, else the environment (for tests), else where they are installed.
 */
static const char *
find_sql_dir(struct command *command)
{
	const char *environment = getenv("POLICYD_SQL_DIR");
	struct slice dir;

	if (command_argument(&command->request, "sql_dir", &dir))
		return slice_copy(command->arena, dir).ptr;
	return environment != NULL && environment[0] != '\0' ? environment
							     : POLICYD_SQL_DIR;
}

/* Says what there is and what would be done; false: the command was ended. */
static bool
reply_plan(struct migrate *migrate)
{
	const size_t n_missing = reply_state(migrate);

	if (!read_collations(migrate))
		return false;
	if (n_missing > 0)
		reply_text(migrate->command,
			"\"policyctl db migrate\" applies what is missing, "
			"from %s",
			migrate->sql_dir);
	else if (migrate->n_collations == 0)
		reply_text(migrate->command, "nothing to do");
	reply_collations(migrate);
	return true;
}

void
command_db_migrate(struct command *command)
{
	struct migrate migrate;

	if (open_migrate(&migrate, command)) {
		migrate.sql_dir = find_sql_dir(command);
		if (command_argument_is_given(&command->request, "plan")
				? reply_plan(&migrate)
				: apply_all(&migrate))
			reply_end(command, COMMAND_EXIT_DONE);
	}
	close_migrate(&migrate);
}

void
command_db_status(struct command *command)
{
	struct migrate migrate;

	if (open_migrate(&migrate, command))
		reply_end(command, reply_state(&migrate) == 0
					   ? COMMAND_EXIT_DONE
					   : COMMAND_EXIT_FINDINGS);
	close_migrate(&migrate);
}
