#include "policyd/instances.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/config.h"
#include "policyd/facts/column.h"
#include "policyd/request.h"
#include "tests/clock.h"

static struct config *config;

/* instance, sender, recipient ("" for END-OF-MESSAGE of several) */
static struct request *
request_new(const char *instance, const char *sender, const char *recipient)
{
	struct arena *arena = arena_new(REQUEST_ARENA_MAX);
	struct request *req = arena_new_object(arena, struct request);
	const char *err = NULL;
	char text[9000];

	snprintf(text, sizeof(text),
		"request=smtpd_access_policy\nprotocol_state=RCPT\n"
		"client_address=192.0.2.1\ninstance=%s\nsender=%s\n"
		"recipient=%s\n",
		instance, sender, recipient);
	ck_assert_msg(request_parse(req, arena, config, 1700000000,
			      slice_of(text), &err) == 0,
		"%s", err);
	return req;
}

static void
add(struct instances *instances, const char *instance, const char *sender,
	const char *recipient)
{
	struct request *req = request_new(instance, sender, recipient);

	instances_add(instances, req);
	arena_free(req->arena);
}

/* The recipients of a message, separated by blanks. */
static const char *
recipients(struct instances *instances, const char *instance,
	const char *sender)
{
	static char out[4000];
	struct request *req = request_new(instance, sender, "");
	size_t len = 0;

	instances_fill(instances, req);
	out[0] = '\0';
	for (size_t i = 0; i < req->n_recipients && len < sizeof(out); i++)
		len += (size_t)snprintf(out + len, sizeof(out) - len, "%s%.*s",
			i > 0 ? " " : "", SLICE_ARG(req->recipients[i].full));
	arena_free(req->arena);
	return out;
}

START_TEST(a_header_field_is_given_once)
{
	struct instances *instances = instances_new(10);
	struct request *first = request_new("1.2.0", "s@x.test", "a@y.test");
	struct request *other = request_new("1.2.1", "s@x.test", "a@y.test");

	/* Of a message that is not known nothing can be kept. */
	instances_set_header(instances, first);
	ck_assert(!instances_has_header(instances, first));
	instances_add(instances, first);
	ck_assert(!instances_has_header(instances, first));
	instances_set_header(instances, first);
	ck_assert(instances_has_header(instances, first));
	ck_assert(!instances_has_header(instances, other));
	instances_remove(instances, first);
	ck_assert(!instances_has_header(instances, first));
	arena_free(first->arena);
	arena_free(other->arena);
	instances_free(instances);
}
END_TEST

START_TEST(one_message)
{
	struct instances *instances = instances_new(10);
	struct request *req;

	add(instances, "1.2.0", "s@x.test", "A@example.com");
	add(instances, "1.2.0", "s@x.test", "b+ext@example.com");
	add(instances, "1.2.0", "s@x.test", "a@example.com");
	ck_assert_str_eq(recipients(instances, "1.2.0", "s@x.test"),
		"a@example.com b+ext@example.com");
	/* Another sender, another message. */
	ck_assert_str_eq(recipients(instances, "1.2.0", "t@x.test"), "");
	/* What Postfix names stands. */
	req = request_new("1.2.0", "s@x.test", "c@example.com");
	instances_fill(instances, req);
	ck_assert_uint_eq(req->n_recipients, 1);
	instances_remove(instances, req);
	arena_free(req->arena);
	ck_assert_uint_eq(instances_count(instances), 0);
	ck_assert_str_eq(recipients(instances, "1.2.0", "s@x.test"), "");
	instances_free(instances);
}
END_TEST

START_TEST(without_instance)
{
	struct instances *instances = instances_new(10);

	add(instances, "", "s@x.test", "a@example.com");
	ck_assert_uint_eq(instances_count(instances), 0);
	ck_assert_str_eq(recipients(instances, "", "s@x.test"), "");
	instances_free(instances);
}
END_TEST

START_TEST(bounds)
{
	struct instances *instances = instances_new(3);
	char text[300];

	for (int i = 0; i < 5; i++) {
		snprintf(text, sizeof(text), "i%d", i);
		add(instances, text, "s", "a@example.com");
		add(instances, "i0", "s", "b@example.com");
	}
	/* The oldest went; i0 was in use all the time. */
	ck_assert_uint_eq(instances_count(instances), 3);
	ck_assert_str_eq(recipients(instances, "i2", "s"), "");
	ck_assert_str_eq(recipients(instances, "i4", "s"), "a@example.com");
	ck_assert_str_eq(recipients(instances, "i0", "s"),
		"a@example.com b@example.com");
	for (unsigned i = 0; i < REQUEST_RECIPIENTS_MAX + 5; i++) {
		struct request *req;

		snprintf(text, sizeof(text), "%0200u@example.com", i);
		req = request_new("many", "s", text);
		instances_add(instances, req);
		instances_add(instances, req);
		arena_free(req->arena);
	}
	{
		struct request *req = request_new("many", "s", "");

		instances_fill(instances, req);
		ck_assert_uint_eq(req->n_recipients, REQUEST_RECIPIENTS_MAX);
		arena_free(req->arena);
	}
	instances_free(instances);
}
END_TEST

/* Messages that were small when they came may grow together. */
START_TEST(memory_is_bounded)
{
	struct instances *instances = instances_new(400);
	char instance[20], recipient[8000];
	struct request *req;

	for (unsigned round = 0; round < 40; round++) {
		for (unsigned i = 0; i < 400; i++) {
			snprintf(instance, sizeof(instance), "i%u", i);
			snprintf(recipient, sizeof(recipient), "%07900u@x",
				round);
			add(instances, instance, "s", recipient);
			ck_assert_uint_le(instances_size_bytes(instances),
				INSTANCES_BYTES_MAX);
		}
	}
	/* And it is used. */
	ck_assert_uint_gt(instances_size_bytes(instances),
		INSTANCES_BYTES_MAX / 2);
	for (unsigned i = 0; i < 400; i++) {
		snprintf(instance, sizeof(instance), "i%u", i);
		req = request_new(instance, "s", "");
		instances_remove(instances, req);
		arena_free(req->arena);
	}
	ck_assert_uint_eq(instances_count(instances), 0);
	ck_assert_uint_eq(instances_size_bytes(instances), 0);
	instances_free(instances);
}
END_TEST

START_TEST(age)
{
	struct instances *instances = instances_new(10);

	test_clock_set(0);
	add(instances, "old", "s", "a@example.com");
	test_clock_set(INSTANCE_TTL_S - 10);
	ck_assert_str_eq(recipients(instances, "old", "s"), "a@example.com");
	test_clock_set(INSTANCE_TTL_S + 10);
	ck_assert_str_eq(recipients(instances, "old", "s"), "");
	add(instances, "new", "s", "a@example.com");
	ck_assert_uint_eq(instances_count(instances), 1);
	/* The number comes again for another message. */
	add(instances, "old", "s", "b@example.com");
	ck_assert_str_eq(recipients(instances, "old", "s"), "b@example.com");
	instances_free(instances);
}
END_TEST

START_TEST(columns)
{
	static const struct {
		const char *text;
		size_t max;
		const char *column;
	} cases[] = {
		{ "", 5, "" },
		{ "abcde", 5, "abcde" },
		{ "abcdef", 5, "abcde" },
		{ "\xc3\xa4\xc3\xb6\xc3\xbc", 2, "\xc3\xa4\xc3\xb6" },
		{ "\xf0\x9f\x98\x80x", 1, "\xf0\x9f\x98\x80" },
		{ "a\xff"
		  "b",
			9,
			"a\xef\xbf\xbd"
			"b" },
		/* cut off, overlong, a surrogate */
		{ "a\xc3", 9, "a\xef\xbf\xbd" },
		{ "\xc0\x80", 9, "\xef\xbf\xbd\xef\xbf\xbd" },
		{ "\xed\xa0\x80", 2, "\xef\xbf\xbd\xef\xbf\xbd" },
		/* more bytes than characters: fit all the same */
		{ "\xff\xff\xff\xff", 4,
			"\xef\xbf\xbd\xef\xbf\xbd"
			"\xef\xbf\xbd\xef\xbf\xbd" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena *arena = arena_new(4096);
		struct slice out = column_text(arena, slice_of(cases[i].text),
			cases[i].max);
		struct slice again;
		size_t used;

		ck_assert_msg(slice_eq_text(out, cases[i].column),
			"case %zu: %.*s", i, SLICE_ARG(out));
		/* Fit is fit. */
		used = arena_used(arena);
		again = column_text(arena, out, cases[i].max);
		ck_assert(slice_eq(again, out));
		ck_assert_uint_eq(arena_used(arena), used);
		ck_assert(slice_is_utf8(out));
		arena_free(arena);
	}
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("instances");
	TCase *tcase = tcase_create("instances");
	struct config_errors errors = { NULL, 0 };
	SRunner *runner;
	int failed;

	config = config_parse(SLICE("[mail]\nrecipient_delimiters = +\n"), "",
		&errors);
	if (config == NULL)
		return EXIT_FAILURE;
	tcase_add_test(tcase, one_message);
	tcase_add_test(tcase, a_header_field_is_given_once);
	tcase_add_test(tcase, without_instance);
	tcase_add_test(tcase, bounds);
	tcase_add_test(tcase, memory_is_bounded);
	tcase_add_test(tcase, age);
	tcase_add_test(tcase, columns);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	config_unref(config);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
