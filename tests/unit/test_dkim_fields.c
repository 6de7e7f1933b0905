#include "common/mail/dkim_fields.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

#define LONGEST \
	"X-23456789-123456789-123456789-123456789-123456789-123456789-123"

static const struct {
	const char *names; /* kept apart by commas */
	const char *err;   /* NULL: it may be used */
} lists[] = {
	{ "From", NULL },
	{ "Subject,FROM,To", NULL },
	{ "From," LONGEST, NULL },
	{ "Subject", "From has to be signed" },
	{ "From,Subject,from", "a header field is named twice" },
	{ "From,Subject,To,subject", "a header field is named twice" },
	{ "From,", "the name of a header field is malformed" },
	{ "From,a b", "the name of a header field is malformed" },
	{ "From,a:b", "the name of a header field is malformed" },
	{ "From,a;b", "the name of a header field is malformed" },
	{ "From,\xc3\xa4", "the name of a header field is malformed" },
	{ "From," LONGEST "4", "the name of a header field is malformed" },
};

START_TEST(lists_are_checked)
{
	struct dkim_field fields[8] = { { .is_oversigned = true } };
	struct slice rest = slice_of(lists[_i].names);
	const char *err = "not asked";
	size_t n = 0;

	while (slice_split(&rest, ',', &fields[n].name))
		n++;
	ck_assert_int_eq(dkim_fields_check(fields, n, &err),
		lists[_i].err == NULL ? 0 : -1);
	if (lists[_i].err == NULL)
		ck_assert_ptr_null(err);
	else
		ck_assert_str_eq(err, lists[_i].err);
}
END_TEST

START_TEST(lists_are_bounded)
{
	struct dkim_field fields[DKIM_FIELDS_MAX + 1] = {
		{ .name = SLICE_INIT("From") },
	};
	char names[DKIM_FIELDS_MAX + 1][8];
	const char *err;

	for (size_t i = 1; i <= DKIM_FIELDS_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "X-%zu", i);
		fields[i].name = slice_of(names[i]);
	}
	ck_assert_int_eq(dkim_fields_check(fields, DKIM_FIELDS_MAX, &err), 0);
	ck_assert_int_eq(dkim_fields_check(fields, DKIM_FIELDS_MAX + 1, &err),
		-1);
	ck_assert_str_eq(err, "there are too many names of header fields");
}
END_TEST

START_TEST(the_default_is_a_list)
{
	size_t n;
	const struct dkim_field *fields = dkim_fields_default(&n);
	const char *err;

	ck_assert_int_eq(dkim_fields_check(fields, n, &err), 0);
	ck_assert(slice_eq_text(fields[0].name, "From"));
	ck_assert(fields[0].is_oversigned);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("dkim_fields");
	TCase *tcase = tcase_create("dkim_fields");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, lists_are_checked, 0, N(lists));
	tcase_add_test(tcase, lists_are_bounded);
	tcase_add_test(tcase, the_default_is_a_list);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
