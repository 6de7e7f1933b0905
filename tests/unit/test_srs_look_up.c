#include "policyd/srs_look_up.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/host.h"
#include "policyd/facts/srs_exclude.h"
#include "policyd/sources.h"
#include "tests/unit/fake_tables.h"

#define SETTINGS "[srs]\ndomain = SRS.example.net\nsecrets_file = /x\n"

static struct fake_world world;
static struct sources sources;
static struct arena *arena;

/* The name of this host, for the tables and for the look-up. */
int
gethostname(char *name, size_t len)
{
	ck_assert_uint_gt(len, 20);
	memcpy(name, "MX.Example.net", 15);
	return 0;
}

static void
setup(void)
{
	fake_world_begin(&world, SETTINGS);
	world.config->srs.secrets = x_strdup("secret_key\n");
	arena = arena_new(SRS_LOOK_UP_MAX);
	memset(&sources, 0, sizeof(sources));
	sources.config = world.config;
	sources.tables = fake_tables();
	sources.host_names = host_names_new();
}

static void
teardown(void)
{
	host_names_free(sources.host_names);
	arena_free(arena);
	fake_world_end(&world);
}

static void
put_tables(void)
{
	fake_world_put(&world, &table_domain,
		"example.com|1|0\nbackup.example|1|1\noff.example|0|0\n");
	fake_world_put(&world, &table_alias_domain,
		"alias.example|example.com|1\n");
	fake_world_put(&world, &table_srs_exclude,
		"1|Excluded.example\n2|.below.example\n3|.top\n4|com\n"
		"5|user@x.example\n6|192.0.2.1\n7|\n8|*\n9|@x.example\n");
}

static const struct {
	const char *address, *text; /* NULL: rewritten */
} left[] = {
	{ "x@srs.example.net", "Domain is srs_domain, bypassed." },
	{ "x@SRS.EXAMPLE.NET.", "Domain is srs_domain, bypassed." },
	{ "x@mx.example.net", "Domain is server hostname, bypassed." },
	{ "x@Mx.Example.Net", "Domain is server hostname, bypassed." },
	{ "x@example.com", "Domain is a local mail domain, bypassed." },
	{ "x@backup.example", "Domain is a local mail domain, bypassed." },
	{ "x@Alias.Example", "Domain is a local mail domain, bypassed." },
	{ "x@EXCLUDED.example", "Domain is explicitly excluded, bypassed." },
	{ "x@a.below.example", "Domain is explicitly excluded, bypassed." },
	{ "x@a.b.below.example", "Domain is explicitly excluded, bypassed." },
	{ "x@any.top", "Domain is explicitly excluded, bypassed." },
	{ "", "Not a valid email address, bypassed." },
	{ "@", "Not a valid email address, bypassed." },
	{ "x@localhost", "Not a valid email address, bypassed." },
	{ "x@[192.0.2.1]", "Not a valid email address, bypassed." },
	{ "x@sender.example/", "Not a valid email address, bypassed." },

	{ "x@off.example", NULL },
	{ "x@a.excluded.example", NULL },
	{ "x@below.example", NULL },
	{ "x@notbelow.example", NULL },
	{ "x@sub.example.com", NULL },
	{ "x@example.net", NULL },
	{ "x@other.com", NULL },
	{ " x@other.com ", NULL },
};

START_TEST(domains_that_are_left_alone)
{
	struct srs_answer answer;

	put_tables();
	answer = srs_look_up(&sources, SRS_FORWARD, slice_of(left[_i].address),
		arena);
	if (left[_i].text == NULL) {
		ck_assert_int_eq(answer.status, POSTFIX_MAP_FOUND);
		ck_assert(slice_starts(answer.text, SLICE("SRS0=")));
		ck_assert(slice_ends(answer.text, SLICE("@SRS.example.net")));
		return;
	}
	ck_assert_int_eq(answer.status, POSTFIX_MAP_NOT_FOUND);
	ck_assert_msg(slice_eq_text(answer.text, left[_i].text), "%s: %.*s",
		left[_i].address, SLICE_ARG(answer.text));
}
END_TEST

static enum postfix_map_status
status_of(enum srs_direction direction, const char *address)
{
	return srs_look_up(&sources, direction, slice_of(address), arena)
		.status;
}

START_TEST(nothing_leaks_before_the_tables_are_read)
{
	const uint64_t before = metric_get(METRIC_SRS_UNAVAILABLE);

	ck_assert_int_eq(status_of(SRS_FORWARD, "x@other.example"),
		POSTFIX_MAP_TEMPORARY);
	fake_world_put(&world, &table_domain, "");
	fake_world_put(&world, &table_alias_domain, "");
	ck_assert_int_eq(status_of(SRS_FORWARD, "x@other.example"),
		POSTFIX_MAP_TEMPORARY);
	ck_assert_uint_eq(metric_get(METRIC_SRS_UNAVAILABLE), before + 2);
	/* What asks no table is answered. */
	ck_assert_int_eq(status_of(SRS_FORWARD, "x@srs.example.net"),
		POSTFIX_MAP_NOT_FOUND);
	ck_assert_int_eq(status_of(SRS_FORWARD, "x"), POSTFIX_MAP_NOT_FOUND);
	ck_assert_int_eq(status_of(SRS_REVERSE, "x@other.example"),
		POSTFIX_MAP_NOT_FOUND);
	fake_world_put(&world, &table_srs_exclude, "");
	ck_assert_int_eq(status_of(SRS_FORWARD, "x@other.example"),
		POSTFIX_MAP_FOUND);
}
END_TEST

START_TEST(rows_that_exclude_nothing_are_told)
{
	const char *problems;
	size_t n = 0;

	put_tables();
	problems = fake_problems();
	for (const char *c = problems; *c != '\0'; c++)
		n += *c == '\n';
	ck_assert_msg(n == 6, "%s", problems);
}
END_TEST

START_TEST(without_secrets_nobody_is_rewritten)
{
	put_tables();
	x_free(world.config->srs.secrets);
	world.config->srs.secrets = NULL;
	ck_assert_int_eq(status_of(SRS_FORWARD, "x@other.example"),
		POSTFIX_MAP_TEMPORARY);
	ck_assert_int_eq(status_of(SRS_REVERSE, "x@other.example"),
		POSTFIX_MAP_TEMPORARY);
}
END_TEST

START_TEST(a_key_of_any_length_is_answered)
{
	static char key[POSTFIX_MAP_NETSTRING_MAX + 1];

	put_tables();
	memset(key, 'x', sizeof(key) - 1);
	ck_assert_int_eq(status_of(SRS_FORWARD, key), POSTFIX_MAP_NOT_FOUND);
	ck_assert_int_eq(status_of(SRS_REVERSE, key), POSTFIX_MAP_NOT_FOUND);
	memcpy(key + 496, "@other.example", 15);
	ck_assert_int_eq(status_of(SRS_FORWARD, key), POSTFIX_MAP_NOT_FOUND);
	ck_assert_int_eq(status_of(SRS_REVERSE, key), POSTFIX_MAP_NOT_FOUND);
}
END_TEST

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

int
main(void)
{
	Suite *suite = suite_create("srs_look_up");
	TCase *tcase = tcase_create("srs_look_up");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, domains_that_are_left_alone, 0, N(left));
	tcase_add_test(tcase, nothing_leaks_before_the_tables_are_read);
	tcase_add_test(tcase, rows_that_exclude_nothing_are_told);
	tcase_add_test(tcase, without_secrets_nobody_is_rewritten);
	tcase_add_test(tcase, a_key_of_any_length_is_answered);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
