/*
 * What postconf prints, and the lists of restrictions in it: macros are
 * replaced by postconf itself, classes, braces and arguments are ours.
 */

#include "policyd/ctl/postconf.h"

#include <check.h>
#include <stdlib.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "policyd/ctl/program.h"
#include "policyd/ctl/restrictions.h"

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct arena *arena;
static struct postconf postconf;

static void
setup(void)
{
	arena = arena_new((size_t)1 << 20);
	postconf = (struct postconf){ .n_services = 0 };
}

static void
teardown(void)
{
	arena_free(arena);
}

static void
assert_slice(struct slice found, const char *expected)
{
	ck_assert_msg(slice_eq_text(found, expected), "\"%.*s\" is not \"%s\"",
		SLICE_ARG(found), expected);
}

/* --- parameters --------------------------------------------------------- */

START_TEST(parameters)
{
	struct slice value;

	postconf_parse_parameters(arena,
		SLICE("a = b = c\nempty =\nno equals\n = no name\n"
		      "spaces =   x y  \n\nlast=1"),
		&postconf);
	ck_assert_uint_eq(postconf.n_parameters, 4);
	ck_assert(postconf_main(&postconf, "a", &value));
	assert_slice(value, "b = c");
	ck_assert(postconf_main(&postconf, "empty", &value));
	assert_slice(value, "");
	ck_assert(postconf_main(&postconf, "last", &value));
	assert_slice(postconf_value(&postconf, NULL, "spaces"), "x y");
	ck_assert(!postconf_main(&postconf, "none", &value));
	assert_slice(value, "");
}
END_TEST

/* --- services ----------------------------------------------------------- */

static const struct {
	const char *line;
	const char *name, *type, *limit, *program; /* NULL: no service */
	bool is_chrooted;
} services[] = {
	{ "smtp       inet  n       -       y       -       -       smtpd",
		"smtp", "inet", "-", "smtpd", true },
	{ "127.0.0.1:10025 inet n - n - 20 smtpd -o a=b -o {c = d e}",
		"127.0.0.1:10025", "inet", "20", "smtpd", false },
	{ "smtpd pass - - - - - smtpd", "smtpd", "pass", "-", "smtpd", false },
	{ "scalemail-backend unix\t- n n\t- 2 pipe flags=R user=x argv=y",
		"scalemail-backend", "unix", "2", "pipe", false },
	{ "", NULL, NULL, NULL, NULL, false },
	{ "smtp inet n - y - -", NULL, NULL, NULL, NULL, false },
};

START_TEST(one_service)
{
	postconf_parse_services(arena, slice_of(services[_i].line), &postconf);
	ck_assert_uint_eq(postconf.n_services, services[_i].name != NULL);
	if (services[_i].name == NULL)
		return;
	assert_slice(postconf.services[0].name, services[_i].name);
	assert_slice(postconf.services[0].type, services[_i].type);
	assert_slice(postconf.services[0].process_limit, services[_i].limit);
	assert_slice(postconf.services[0].program, services[_i].program);
	ck_assert(postconf.services[0].is_chrooted == services[_i].is_chrooted);
}
END_TEST

START_TEST(too_many_services)
{
	struct str text;

	str_init(&text, POSTCONF_OUTPUT_MAX);
	for (size_t i = 0; i < 2 * POSTCONF_SERVICES_MAX; i++)
		str_append_text(&text, "a inet n - n - - smtpd\n");
	postconf_parse_services(arena, str_slice(&text), &postconf);
	ck_assert_uint_eq(postconf.n_services, POSTCONF_SERVICES_MAX);
	str_free(&text);
}
END_TEST

START_TEST(overrides)
{
	struct slice value;

	postconf_parse_parameters(arena, SLICE("a = main\nb = Yes\nc = main"),
		&postconf);
	postconf_parse_services(arena,
		SLICE("smtp inet n - n - - smtpd\nsmtp unix - - n - - smtp\n"
		      "private/x unix - - n - - smtpd"),
		&postconf);
	postconf_parse_overrides(arena,
		SLICE("smtp/inet/a = own\nsmtp/inet/c =\n"
		      "private/x/unix/a = slash\n/a = b\nnonsense\n"),
		&postconf);
	ck_assert_uint_eq(postconf.n_overrides, 3);
	assert_slice(postconf_value(&postconf, &postconf.services[0], "a"),
		"own");
	assert_slice(postconf_value(&postconf, &postconf.services[0], "c"), "");
	assert_slice(postconf_value(&postconf, &postconf.services[1], "a"),
		"main");
	assert_slice(postconf_value(&postconf, &postconf.services[2], "a"),
		"slash");
	ck_assert(postconf_override(&postconf, &postconf.services[0], "c",
		&value));
	ck_assert(!postconf_override(&postconf, &postconf.services[0], "b",
		&value));
	ck_assert(postconf_is_yes(&postconf, &postconf.services[0], "b"));
	ck_assert(!postconf_is_yes(&postconf, NULL, "a"));
}
END_TEST

/* --- restrictions ------------------------------------------------------- */

/* Classes of every test below. */
static const char classes[] =
	"smtpd_restriction_classes = ours, outer loop empty\n"
	"ours = check_policy_service inet:127.0.0.1:7777\n"
	"outer = reject_x, ours permit_mynetworks\n"
	"loop = loop, loop\n"
	"empty =\n";

/* Steps are joined with "|": kind, ":", top, ":", text. */
static const struct {
	const char *list, *steps;
} lists[] = {
	{ "", "" },
	{ " , ,\t", "" },
	{ "reject_a, reject_b reject_c,reject_d",
		"o0 reject_a|o1 reject_b|o2 reject_c|o3 reject_d" },
	{ "permit_mynetworks permit_sasl_authenticated, permit",
		"p0 permit_mynetworks|p1 permit_sasl_authenticated|e2 permit" },
	{ "check_policy_service inet:127.0.0.1:7777",
		"s0 check_policy_service inet:127.0.0.1:7777" },
	{ "check_policy_service,unix:private/x,reject",
		"s0 check_policy_service,unix:private/x|e1 reject" },
	{ "check_policy_service { inet:a:1, timeout=10s }, permit",
		"s0 check_policy_service { inet:a:1, timeout=10s }|e1 permit" },
	{ "check_client_access inline:{ a=permit, {b=c d} } defer",
		"o0 check_client_access inline:{ a=permit, {b=c d} }|e1 defer" },
	{ "reject_rbl_client permit, permit_dnswl_client reject",
		"o0 reject_rbl_client permit|o1 permit_dnswl_client reject" },
	{ "warn_if_reject check_policy_service unix:x reject",
		"w0 warn_if_reject check_policy_service unix:x|e1 reject" },
	{ "reject_x warn_if_reject", "o0 reject_x|W1 warn_if_reject" },
	{ "reject_x, ours, reject",
		"o0 reject_x|s1 check_policy_service inet:127.0.0.1:7777"
		"|e2 reject" },
	{ "outer, reject",
		"o0 reject_x|s0 check_policy_service inet:127.0.0.1:7777"
		"|p0 permit_mynetworks|e1 reject" },
	{ "empty, reject", "e1 reject" },
	{ "check_policy_service", "s0 check_policy_service" },
	{ "reject_x } {unclosed, reject",
		"o0 reject_x|o1 }|o2 {unclosed, reject" },
	{ "Check_Policy_Service inet:a:1", "s0 Check_Policy_Service inet:a:1" },
};

static char
letter_of(const struct restriction *step)
{
	static const char letters[] = { [RESTRICTION_OTHER] = 'o',
		[RESTRICTION_POLICY] = 's',
		[RESTRICTION_PERMIT] = 'p',
		[RESTRICTION_END] = 'e' };

	if (step->is_only_warned)
		return step->kind == RESTRICTION_POLICY ? 'w' : 'W';
	return letters[step->kind];
}

START_TEST(one_list)
{
	struct restrictions list;
	struct str found;

	postconf_parse_parameters(arena, slice_of(classes), &postconf);
	list = restrictions_parse(arena, slice_of(lists[_i].list), &postconf,
		NULL);
	str_init(&found, 4096);
	for (size_t i = 0; i < list.n; i++)
		str_printf(&found, "%s%c%zu %.*s", i == 0 ? "" : "|",
			letter_of(&list.steps[i]), list.steps[i].top,
			SLICE_ARG(list.steps[i].text));
	ck_assert_str_eq(str_text(&found), lists[_i].steps);
	str_free(&found);
}
END_TEST

START_TEST(classes_that_hold_themselves)
{
	struct restrictions list;

	postconf_parse_parameters(arena, slice_of(classes), &postconf);
	list = restrictions_parse(arena, SLICE("loop"), &postconf, NULL);
	ck_assert_uint_le(list.n, RESTRICTIONS_MAX);
	ck_assert_uint_eq(list.n_tops, 1);
}
END_TEST

static const struct {
	const char *list, *server, *timeout; /* NULL: none */
} policies[] = {
	{ "check_policy_service inet:127.0.0.1:7777", "inet:127.0.0.1:7777",
		NULL },
	{ "check_policy_service {inet:127.0.0.1:7777,timeout=10s}",
		"inet:127.0.0.1:7777", "10s" },
	{ "check_policy_service { unix:x, default_action=451 4.3.5 no, "
	  "{ timeout = 3 } }",
		"unix:x", "3" },
	{ "check_policy_service { inet:[::1]:7777 }", "inet:[::1]:7777", NULL },
	{ "check_policy_service {}", "", NULL },
	{ "check_policy_service", "", NULL },
};

START_TEST(one_policy)
{
	const struct restrictions list = restrictions_parse(arena,
		slice_of(policies[_i].list), &postconf, NULL);
	struct slice timeout;

	ck_assert_uint_eq(list.n, 1);
	assert_slice(restriction_server(&list.steps[0]), policies[_i].server);
	ck_assert(restriction_attribute(&list.steps[0], "timeout", &timeout) ==
		  (policies[_i].timeout != NULL));
	if (policies[_i].timeout != NULL)
		assert_slice(timeout, policies[_i].timeout);
}
END_TEST

/* --- programs ----------------------------------------------------------- */

static const struct {
	const char *name;
	const char *argv[4];
	size_t out_max;
	enum program_end end;
	const char *out, *err; /* NULL: any */
} programs[] = {
	{ "done", { "sh", "-c", "echo out; echo err >&2" }, 100, PROGRAM_DONE,
		"out\n", "err\n" },
	{ "failed", { "sh", "-c", "echo no >&2; exit 3" }, 100, PROGRAM_FAILED,
		"", "no\n" },
	{ "killed", { "sh", "-c", "kill -9 $$" }, 100, PROGRAM_FAILED, "", "" },
	{ "no input", { "cat" }, 100, PROGRAM_DONE, "", "" },
	{ "missing", { "/nonexistent/postconf" }, 100, PROGRAM_MISSING, "",
		NULL },
	{ "too long", { "sh", "-c", "while :; do echo 1234567; done" }, 1000,
		PROGRAM_LONG, NULL, "" },
	{ "too late, and so is its child", { "sh", "-c", "sleep 60; true" },
		100, PROGRAM_LATE, "", "" },
};

START_TEST(one_program)
{
	const bool is_late = programs[_i].end == PROGRAM_LATE;
	const int64_t start_us = clock_monotonic_us();
	struct str out, err;

	str_init(&out, programs[_i].out_max);
	str_init(&err, 100);
	ck_assert_msg(program_run(programs[_i].argv, is_late ? 200 : 30000,
			      &out, &err) == programs[_i].end,
		"%s", programs[_i].name);
	if (programs[_i].out != NULL)
		ck_assert_str_eq(str_text(&out), programs[_i].out);
	if (programs[_i].err != NULL)
		ck_assert_str_eq(str_text(&err), programs[_i].err);
	ck_assert_int_lt(clock_monotonic_us() - start_us, 30000000);
	str_free(&out);
	str_free(&err);
}
END_TEST

static Suite *
make_suite(void)
{
	Suite *suite = suite_create("postconf");
	TCase *tcase = tcase_create("all");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 60);
	tcase_add_test(tcase, parameters);
	tcase_add_loop_test(tcase, one_service, 0, COUNT_OF(services));
	tcase_add_test(tcase, too_many_services);
	tcase_add_test(tcase, overrides);
	tcase_add_loop_test(tcase, one_list, 0, COUNT_OF(lists));
	tcase_add_test(tcase, classes_that_hold_themselves);
	tcase_add_loop_test(tcase, one_policy, 0, COUNT_OF(policies));
	tcase_add_loop_test(tcase, one_program, 0, COUNT_OF(programs));
	suite_add_tcase(suite, tcase);
	return suite;
}

int
main(void)
{
	SRunner *runner = srunner_create(make_suite());
	int failed;

	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
