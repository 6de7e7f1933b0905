#include "common/base/num.h"

#include <check.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define DAY_MS          UINT64_C(86400000)

/* Left in *out by a function that refuses. */
#define UNTOUCHED 4711

static const struct {
	const char *text;
	uint64_t max;
	bool ok;
	uint64_t value;
} u64_cases[] = {
	{ "0", UINT64_MAX, true, 0 },
	{ "007", UINT64_MAX, true, 7 },
	{ "65535", 65535, true, 65535 },
	{ "65536", 65535, false, 0 },
	{ "18446744073709551615", UINT64_MAX, true, UINT64_MAX },
	{ "18446744073709551616", UINT64_MAX, false, 0 },
	{ "28446744073709551615", UINT64_MAX, false, 0 },
	{ "184467440737095516150", UINT64_MAX, false, 0 },
	{ "", UINT64_MAX, false, 0 },
	{ " 1", UINT64_MAX, false, 0 },
	{ "1 ", UINT64_MAX, false, 0 },
	{ "+1", UINT64_MAX, false, 0 },
	{ "-1", UINT64_MAX, false, 0 },
	{ "0x10", UINT64_MAX, false, 0 },
	{ "1e3", UINT64_MAX, false, 0 },
	{ "1.5", UINT64_MAX, false, 0 },
};

START_TEST(parses_u64)
{
	uint64_t out = UNTOUCHED;
	bool ok = num_parse_u64(slice_of(u64_cases[_i].text), u64_cases[_i].max,
		&out);

	ck_assert_msg(ok == u64_cases[_i].ok, "%s", u64_cases[_i].text);
	ck_assert_uint_eq(out, ok ? u64_cases[_i].value : UNTOUCHED);
}
END_TEST

START_TEST(takes_the_whole_slice_only)
{
	uint64_t out;

	ck_assert(num_parse_u64((struct slice){ "12a", 2 }, 99, &out));
	ck_assert_uint_eq(out, 12);
	ck_assert(!num_parse_u64((struct slice){ "1\0", 2 }, 99, &out));
}
END_TEST

static const struct {
	const char *text;
	int64_t min, max;
	bool ok;
	int64_t value;
} i64_cases[] = {
	{ "-1", INT64_MIN, INT64_MAX, true, -1 },
	{ "-0", INT64_MIN, INT64_MAX, true, 0 },
	{ "9223372036854775807", INT64_MIN, INT64_MAX, true, INT64_MAX },
	{ "9223372036854775808", INT64_MIN, INT64_MAX, false, 0 },
	{ "-9223372036854775808", INT64_MIN, INT64_MAX, true, INT64_MIN },
	{ "-9223372036854775809", INT64_MIN, INT64_MAX, false, 0 },
	{ "5", 6, 9, false, 0 },
	{ "10", 6, 9, false, 0 },
	{ "-7", -8, -6, true, -7 },
	{ "-9", -8, -6, false, 0 },
	{ "-", INT64_MIN, INT64_MAX, false, 0 },
	{ "--1", INT64_MIN, INT64_MAX, false, 0 },
	{ "+1", INT64_MIN, INT64_MAX, false, 0 },
	{ "", INT64_MIN, INT64_MAX, false, 0 },
};

START_TEST(parses_i64)
{
	int64_t out = UNTOUCHED;
	bool ok = num_parse_i64(slice_of(i64_cases[_i].text), i64_cases[_i].min,
		i64_cases[_i].max, &out);

	ck_assert_msg(ok == i64_cases[_i].ok, "%s", i64_cases[_i].text);
	ck_assert_int_eq(out, ok ? i64_cases[_i].value : UNTOUCHED);
}
END_TEST

static const struct {
	const char *text;
	uint64_t unit_ms;
	uint64_t max_ms;
	bool ok;
	uint64_t ms;
} duration_cases[] = {
	{ "500ms", 1000, UINT64_MAX, true, 500 },
	{ "5s", 1, UINT64_MAX, true, 5000 },
	{ "15m", 1000, UINT64_MAX, true, 900000 },
	{ "12h", 1000, UINT64_MAX, true, 43200000 },
	{ "30d", 1000, UINT64_MAX, true, 30 * DAY_MS },
	{ "2w", 1000, UINT64_MAX, true, 14 * DAY_MS },
	{ "1H", 1000, UINT64_MAX, true, 3600000 },
	{ "7", 1000, UINT64_MAX, true, 7000 },
	{ "7", 60000, UINT64_MAX, true, 420000 },
	{ "0", 1000, UINT64_MAX, true, 0 },
	{ "1d", 1000, DAY_MS, true, DAY_MS },
	{ "25h", 1000, DAY_MS, false, 0 },
	{ "18446744073709551615ms", 1, UINT64_MAX, true, UINT64_MAX },
	{ "18446744073709551615s", 1, UINT64_MAX, false, 0 },
	{ "18446744073709551615", 2, UINT64_MAX, false, 0 },
	{ "s", 1000, UINT64_MAX, false, 0 },
	{ "", 1000, UINT64_MAX, false, 0 },
	{ "5 s", 1000, UINT64_MAX, false, 0 },
	{ "5y", 1000, UINT64_MAX, false, 0 },
	{ "5sm", 1000, UINT64_MAX, false, 0 },
	{ "1h30m", 1000, UINT64_MAX, false, 0 },
	{ "-5s", 1000, UINT64_MAX, false, 0 },
	{ "1.5h", 1000, UINT64_MAX, false, 0 },
};

START_TEST(parses_durations)
{
	uint64_t out = UNTOUCHED;
	bool ok = num_parse_duration(slice_of(duration_cases[_i].text),
		duration_cases[_i].unit_ms, duration_cases[_i].max_ms, &out);

	ck_assert_msg(ok == duration_cases[_i].ok, "%s",
		duration_cases[_i].text);
	ck_assert_uint_eq(out, ok ? duration_cases[_i].ms : UNTOUCHED);
}
END_TEST

static const struct {
	const char *text;
	uint64_t max;
	bool ok;
	uint64_t bytes;
} size_cases[] = {
	{ "4096", UINT64_MAX, true, 4096 },
	{ "4096B", UINT64_MAX, true, 4096 },
	{ "64K", UINT64_MAX, true, 65536 },
	{ "64KB", UINT64_MAX, true, 65536 },
	{ "64k", UINT64_MAX, true, 65536 },
	{ "64kb", UINT64_MAX, true, 65536 },
	{ "10M", UINT64_MAX, true, 10485760 },
	{ "2G", UINT64_MAX, true, UINT64_C(2147483648) },
	{ "1T", UINT64_MAX, true, UINT64_C(1099511627776) },
	{ "0", UINT64_MAX, true, 0 },
	{ "1K", 1024, true, 1024 },
	{ "1025", 1024, false, 0 },
	{ "16777216T", UINT64_MAX, false, 0 },
	{ "B", UINT64_MAX, false, 0 },
	{ "K", UINT64_MAX, false, 0 },
	{ "1BK", UINT64_MAX, false, 0 },
	{ "1KBB", UINT64_MAX, false, 0 },
	{ "1KiB", UINT64_MAX, false, 0 },
	{ "1 K", UINT64_MAX, false, 0 },
	{ "1.5K", UINT64_MAX, false, 0 },
	{ "-1", UINT64_MAX, false, 0 },
	{ "", UINT64_MAX, false, 0 },
};

START_TEST(parses_sizes)
{
	uint64_t out = UNTOUCHED;
	bool ok = num_parse_size(slice_of(size_cases[_i].text),
		size_cases[_i].max, &out);

	ck_assert_msg(ok == size_cases[_i].ok, "%s", size_cases[_i].text);
	ck_assert_uint_eq(out, ok ? size_cases[_i].bytes : UNTOUCHED);
}
END_TEST

static const struct {
	uint64_t ms;
	const char *text;
} shown_durations[] = {
	{ 0, "0s" },
	{ 1, "1ms" },
	{ 999, "999ms" },
	{ 1000, "1s" },
	{ 1500, "1500ms" },
	{ 90000, "90s" },
	{ 5400000, "90m" },
	{ 3600000, "1h" },
	{ 2 * DAY_MS, "2d" },
	{ 30 * DAY_MS, "30d" },
	{ 14 * DAY_MS, "2w" },
	{ UINT64_MAX, "18446744073709551615ms" },
};

START_TEST(shows_durations_that_parse_back)
{
	struct str text = { .limit = 64 };
	uint64_t ms;

	num_append_duration(&text, shown_durations[_i].ms);
	ck_assert_str_eq(str_text(&text), shown_durations[_i].text);
	ck_assert(num_parse_duration(str_slice(&text), 1000, UINT64_MAX, &ms));
	ck_assert_uint_eq(ms, shown_durations[_i].ms);
	str_free(&text);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *text;
} shown_sizes[] = {
	{ 0, "0" },
	{ 1023, "1023" },
	{ 1024, "1K" },
	{ 1536, "1.5K" },
	{ 1048575, "1023.9K" },
	{ 1048576, "1M" },
	{ UINT64_C(10) << 30, "10G" },
	{ (UINT64_C(3) << 40) + (UINT64_C(1) << 39), "3.5T" },
	{ UINT64_MAX, "16777215.9T" },
};

START_TEST(shows_sizes)
{
	struct str text = { .limit = 64 };

	num_append_size(&text, shown_sizes[_i].bytes);
	ck_assert_str_eq(str_text(&text), shown_sizes[_i].text);
	str_free(&text);
}
END_TEST

static const struct {
	uint64_t bytes;
	const char *text;
} exact_sizes[] = {
	{ 0, "0" },
	{ 1000, "1000" },
	{ 1024, "1K" },
	{ 1536, "1536" },
	{ 65536, "64K" },
	{ (UINT64_C(1) << 40) + 1024, "1073741825K" },
	{ UINT64_C(3) << 40, "3T" },
	{ UINT64_MAX, "18446744073709551615" },
};

START_TEST(shows_exact_sizes_that_parse_back)
{
	struct str text = { .limit = 64 };
	uint64_t bytes;

	num_append_exact_size(&text, exact_sizes[_i].bytes);
	ck_assert_str_eq(str_text(&text), exact_sizes[_i].text);
	ck_assert(num_parse_size(str_slice(&text), UINT64_MAX, &bytes));
	ck_assert_uint_eq(bytes, exact_sizes[_i].bytes);
	str_free(&text);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("num");
	TCase *tcase = tcase_create("num");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, parses_u64, 0, COUNT_OF(u64_cases));
	tcase_add_test(tcase, takes_the_whole_slice_only);
	tcase_add_loop_test(tcase, parses_i64, 0, COUNT_OF(i64_cases));
	tcase_add_loop_test(tcase, parses_durations, 0,
		COUNT_OF(duration_cases));
	tcase_add_loop_test(tcase, parses_sizes, 0, COUNT_OF(size_cases));
	tcase_add_loop_test(tcase, shows_durations_that_parse_back, 0,
		COUNT_OF(shown_durations));
	tcase_add_loop_test(tcase, shows_sizes, 0, COUNT_OF(shown_sizes));
	tcase_add_loop_test(tcase, shows_exact_sizes_that_parse_back, 0,
		COUNT_OF(exact_sizes));
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
