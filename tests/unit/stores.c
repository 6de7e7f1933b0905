#include "tests/unit/stores.h"

#include <check.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/io/loop.h"
#include "policyd/effect.h"
#include "policyd/facts/directory.h"
#include "policyd/facts/reservation.h"
#include "policyd/facts/triplet.h"
#include "policyd/instances.h"
#include "policyd/notifier.h"

#define PATIENCE_MS 20000
#define STEP_MS     2

extern char **environ;

static char directory[64];
static char root[1024];
static char socket_path[128];
static struct loop *loop;

static int
spawn_and_wait(const char *const *argv)
{
	pid_t pid;
	int status;

	if (posix_spawnp(&pid, argv[0], NULL, NULL,
		    (char *const *)(uintptr_t)argv, environ) != 0)
		return -1;
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

void
stores_server(const char *command)
{
	char script[1100];
	const char *argv[] = { "sh", script, command, directory, NULL };

	snprintf(script, sizeof(script), "%s/tests/private_mariadb.sh", root);
	if (spawn_and_wait(argv) == 0)
		return;
	fprintf(stderr, "cannot %s the server\n", command);
	exit(EXIT_FAILURE);
}

void
stores_set_up(void)
{
	const char *source = getenv("SOURCE_DIR");
	char command[3000];
	const char *argv[] = { "sh", "-ec", command, NULL };

	signal(SIGPIPE, SIG_IGN);
	snprintf(root, sizeof(root), "%s", source == NULL ? "." : source);
	snprintf(directory, sizeof(directory),
		"/tmp/policyd-test-stores-XXXXXX");
	if (mkdtemp(directory) == NULL)
		exit(EXIT_FAILURE);
	snprintf(socket_path, sizeof(socket_path), "%s/mariadb.sock",
		directory);
	/* What was committed survives the kill of the server. */
	setenv("MARIADB_FLUSH", "2", 1);
	stores_server("start");
	snprintf(command, sizeof(command),
		"m='mariadb --no-defaults -u root -S %s'; "
		"$m -e 'CREATE DATABASE iredapd CHARACTER SET utf8mb4 "
		"COLLATE utf8mb4_unicode_ci'; "
		"cat '%s'/conf/sql/iredapd/*.sql | $m iredapd; "
		"$m -e 'CREATE DATABASE vmail CHARACTER SET utf8mb4 "
		"COLLATE utf8mb4_general_ci'; "
		"$m vmail <'%s'/tests/data/vmail.sql",
		socket_path, root, root);
	if (spawn_and_wait(argv) != 0) {
		fprintf(stderr, "cannot make the tables\n");
		stores_server("stop");
		exit(EXIT_FAILURE);
	}
	loop = loop_new();
}

void
stores_tear_down(void)
{
	const char *argv[] = { "rm", "-rf", directory, NULL };

	loop_free(loop);
	stores_server("stop");
	spawn_and_wait(argv);
}

static const char *run_sql(const char *format, va_list args)
	__attribute__((format(printf, 1, 0)));

static const char *
run_sql(const char *format, va_list args)
{
	static char answer[4096];
	char statement[4096], command[4400];
	FILE *pipe;

	ck_assert(vsnprintf(statement, sizeof(statement), format, args) <
		  (int)sizeof(statement));
	snprintf(command, sizeof(command),
		"exec mariadb --no-defaults -u root -S %s "
		"--default-character-set=utf8mb4 -N -B iredapd -e \"%s\"",
		socket_path, statement);
	pipe = popen(command, "r");
	ck_assert_ptr_nonnull(pipe);
	answer[0] = '\0';
	if (fgets(answer, sizeof(answer), pipe) != NULL)
		answer[strcspn(answer, "\n")] = '\0';
	ck_assert_int_eq(pclose(pipe), 0);
	for (char *c = answer; *c != '\0'; c++)
		if (*c == '\t')
			*c = ' ';
	return answer;
}

void
sql(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	run_sql(format, args);
	va_end(args);
}

const char *
sql_text(const char *format, ...)
{
	const char *answer;
	va_list args;

	va_start(args, format);
	answer = run_sql(format, args);
	va_end(args);
	return answer;
}

long long
sql_number(const char *format, ...)
{
	const char *answer;
	va_list args;
	long long number = -1;

	va_start(args, format);
	answer = run_sql(format, args);
	va_end(args);
	ck_assert_int_eq(sscanf(answer, "%lld", &number), 1);
	return number;
}

static struct db *
open_db(const struct config *config, const char *name)
{
	struct db_config pool = {
		.label = name,
		.socket = socket_path,
		.host = "",
		.user = "root",
		.password = "",
		.database = name,
		.tls_ca = "",
		.connections = 4,
		.connect_timeout_ms = 2000,
		.statement_timeout_ms = config->database.statement_timeout_ms,
		.queue_max = 1000,
	};

	return db_new(loop, &pool);
}

static bool
is_up(const void *arg)
{
	const struct daemon *daemon = arg;
	struct db_state iredapd, vmail;

	db_state(daemon->sources.db[CONFIG_DB_IREDAPD], &iredapd);
	db_state(daemon->sources.db[CONFIG_DB_VMAIL], &vmail);
	return iredapd.is_up && vmail.is_up;
}

struct daemon *
daemon_new(const char *settings)
{
	struct daemon *daemon = x_new(struct daemon);
	struct sources *sources = &daemon->sources;
	struct config_errors errors = { NULL, 0 };

	sources->config = config_parse(slice_of(settings), "test", &errors);
	ck_assert_msg(sources->config != NULL, "%s",
		errors.n > 0 ? errors.items[0].text : "");
	sources->loop = loop;
	sources->node = x_strdup("node1");
	sources->db[CONFIG_DB_IREDAPD] = open_db(sources->config, "iredapd");
	sources->db[CONFIG_DB_VMAIL] = open_db(sources->config, "vmail");
	sources->directory = directory_new(sources);
	sources->triplets = triplets_new(sources);
	sources->reservations = reservations_new(sources);
	sources->notifier = notifier_new(sources);
	wait_until(is_up, daemon);
	return daemon;
}

void
daemon_free(struct daemon *daemon)
{
	struct sources *sources = &daemon->sources;

	notifier_free(sources->notifier);
	reservations_free(sources->reservations);
	triplets_free(sources->triplets);
	directory_free(sources->directory);
	db_free(sources->db[CONFIG_DB_VMAIL]);
	db_free(sources->db[CONFIG_DB_IREDAPD]);
	config_unref(sources->config);
	x_free(sources->node);
	x_free(daemon);
}

struct question *
question_new(struct daemon *daemon, const char *client, const char *sender,
	const char *recipient, const char *more)
{
	struct question *question = x_new(struct question);
	const char *err = NULL;
	struct str text;

	question->daemon = daemon;
	question->arena = arena_new(REQUEST_ARENA_MAX);
	str_init(&text, 1 << 16);
	str_printf(&text,
		"request=smtpd_access_policy\nprotocol_state=RCPT\n"
		"client_address=%s\nsender=%s\nrecipient=%s\n%s",
		client, sender, recipient, more);
	ck_assert_msg(request_parse(&question->req, question->arena,
			      daemon->sources.config, clock_wall(),
			      str_slice(&text), &err) == 0,
		"%s", err);
	str_free(&text);
	facts_init(&question->facts, &question->req, &daemon->sources);
	question->verdict.arena = question->arena;
	return question;
}

void
question_free(struct question *question)
{
	facts_give_up(&question->facts, "the test is over");
	arena_free(question->arena);
	x_free(question);
}

void
question_apply(struct question *question)
{
	for (struct effect *effect = question->verdict.effects; effect != NULL;
		effect = effect->next)
		effect->apply(&question->facts, effect->data);
	question->verdict.effects = NULL;
	question->verdict.effects_end = &question->verdict.effects;
}

void
run_loop(uint64_t ms)
{
	loop_run_for(loop, ms);
}

void
wait_until(bool (*done)(const void *arg), const void *arg)
{
	for (unsigned ms = 0; !done(arg); ms += STEP_MS) {
		ck_assert_msg(ms < PATIENCE_MS, "waited in vain");
		run_loop(STEP_MS);
	}
}

static bool
has_facts(const void *arg)
{
	const struct question *question = arg;

	return question->facts.n_pending == 0;
}

void
wait_for_facts(const struct question *question)
{
	wait_until(has_facts, question);
}

static bool
has_written(const void *arg)
{
	const struct daemon *daemon = arg;
	struct triplets_state state;

	triplets_state(daemon->sources.triplets, &state);
	return state.n_waiting_writes == 0 &&
	       reservations_pending(daemon->sources.reservations) == 0;
}

void
wait_for_writes(const struct daemon *daemon)
{
	wait_until(has_written, daemon);
}
