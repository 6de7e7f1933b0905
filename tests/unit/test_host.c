/* What the machine is called, and the rule on it. */

#include "policyd/facts/host.h"

#include <check.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "policyd/rule.h"
#include "policyd/sources.h"
#include "tests/unit/fake_tables.h"

#define N(table) (sizeof(table) / sizeof((table)[0]))

extern const struct rule rule_reject_to_hostname;

static struct fake_world world;

/* Not static: with fortified headers gethostname() is an inline function. */
extern const char *own_name;
const char *own_name;

/* In place of the system's: its name, and two lines of /etc/hosts. */

int
gethostname(char *name, size_t len)
{
	snprintf(name, len, "%s", own_name);
	return 0;
}

static char localhost[] = "localhost", full[] = "MX.Example.com.",
	    alias[] = "mx";
static char *no_aliases[] = { NULL };
static char *aliases[] = { alias, NULL };
static struct hostent lines[] = {
	{ .h_name = localhost, .h_aliases = no_aliases },
	{ .h_name = full, .h_aliases = aliases },
};
static size_t next_line;

void
sethostent(int stay_open)
{
	(void)stay_open;
	next_line = 0;
}

struct hostent *
gethostent(void)
{
	return next_line < N(lines) ? &lines[next_line++] : NULL;
}

void
endhostent(void)
{
	next_line = N(lines);
}

static const struct {
	const char *name, *own_name, *settings, *attributes;
	bool is_refused;
} judgements[] = {
	{ "full name", "mx.example.com", "", "recipient=root@mx.example.com\n",
		true },
	{ "any case", "MX.example.com", "",
		"recipient=Root+x@mx.EXAMPLE.com.\n", true },
	{ "short name", "mx", "", "recipient=root@mx\n", true },
	{ "the full name of a short one", "mx", "",
		"recipient=root@mx.example.com\n", true },
	{ "short name of a full one", "mx.example.com", "",
		"recipient=root@mx\n", false },
	{ "not in /etc/hosts", "other", "", "recipient=root@mx.example.com\n",
		false },
	{ "its domain", "mx.example.com", "", "recipient=u@example.com\n",
		false },
	{ "below it", "mx.example.com", "", "recipient=u@a.mx.example.com\n",
		false },
	{ "no domain", "mx.example.com", "", "recipient=root\n", false },
	{ "no recipient, no name", "", "", "recipient=\n", false },
	{ "SRS0", "mx.example.com", "",
		"recipient=SRS0=x=TT=a.b=u@mx.example.com\n", false },
	{ "SRS1", "mx.example.com", "",
		"recipient=srs1=x=a.b==y=u@mx.example.com\n", false },
	{ "like SRS", "mx.example.com", "", "recipient=srs0x@mx.example.com\n",
		true },
	{ "login", "mx.example.com", "",
		"recipient=root@mx.example.com\nsasl_username=u@example.com\n",
		false },
	{ "loopback", "mx.example.com", "",
		"recipient=root@mx.example.com\nclient_address=::1\n", false },
	{ "trusted", "mx.example.com",
		"[mail]\ntrusted_networks = 192.0.2.0/24\n",
		"recipient=root@mx.example.com\n", false },
	{ "null sender", "mx.example.com", "",
		"recipient=root@mx.example.com\nsender=\n", true },
	{ "the setting", "other",
		"[reject_to_hostname]\nhostname = A.Example\n",
		"recipient=root@a.example\n", true },
	{ "the setting replaces the system's", "mx.example.com",
		"[reject_to_hostname]\nhostname = a.example\n",
		"recipient=root@mx.example.com\n", false },
};

START_TEST(the_rule_judges)
{
	struct verdict verdict = { .hint = SLICE("") };
	struct host_names *names;
	char text[600];
	enum rule_status status;

	own_name = judgements[_i].own_name;
	names = host_names_new();
	fake_world_begin(&world, judgements[_i].settings);
	snprintf(text, sizeof(text),
		"protocol_state=RCPT\nclient_address=192.0.2.7\n"
		"sender=a@remote.example\n%s",
		judgements[_i].attributes);
	fake_world_ask(&world, text);
	world.facts.sources->host_names = names;
	verdict.arena = world.arena;
	status = rule_reject_to_hostname.judge(&world.req, &world.facts,
		&verdict);
	ck_assert_msg(
		status == (judgements[_i].is_refused ? RULE_FINAL : RULE_PASS),
		"%s", judgements[_i].name);
	if (judgements[_i].is_refused) {
		ck_assert_int_eq(verdict.action, VERDICT_REJECT);
		ck_assert(slice_eq_text(verdict.text, "Not authorized"));
		ck_assert_uint_gt(verdict.hint.len, 0);
	}
	fake_world_end(&world);
	host_names_free(names);
}
END_TEST

START_TEST(the_fact_is_described)
{
	const struct slice names[] = { SLICE_INIT("mx"),
		SLICE_INIT("mx.example.com") };
	const struct host host = { names, 2 };
	struct str json;

	str_init(&json, 1000);
	fact_kind_host.describe(&host, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"names\":[\"mx\",\"mx.example.com\"]}");
	str_free(&json);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("host");
	TCase *tc = tcase_create("host");

	tcase_add_loop_test(tc, the_rule_judges, 0, N(judgements));
	tcase_add_test(tc, the_fact_is_described);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
