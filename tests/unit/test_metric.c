#include "common/base/metric.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

START_TEST(counts)
{
	uint64_t before = metric_get(METRIC_REQUESTS);

	metric_add(METRIC_REQUESTS, 1);
	metric_add(METRIC_REQUESTS, 41);
	ck_assert_uint_eq(metric_get(METRIC_REQUESTS), before + 42);
	metric_add(METRIC_CONNECTIONS, 3);
	metric_sub(METRIC_CONNECTIONS, 2);
	ck_assert_uint_eq(metric_get(METRIC_CONNECTIONS), 1);
	metric_sub(METRIC_CONNECTIONS, 1);
}
END_TEST

START_TEST(counts_by_rule)
{
	metric_rule_add(0, METRIC_RULE_ASKED);
	metric_rule_add(METRIC_RULES_MAX - 1, METRIC_RULE_UNAVAILABLE);
	metric_rule_add(METRIC_RULES_MAX - 1, METRIC_RULE_UNAVAILABLE);
	ck_assert_uint_eq(metric_rule_get(0, METRIC_RULE_ASKED), 1);
	ck_assert_uint_eq(metric_rule_get(0, METRIC_RULE_REJECTED), 0);
	ck_assert_uint_eq(
		metric_rule_get(METRIC_RULES_MAX - 1, METRIC_RULE_UNAVAILABLE),
		2);
}
END_TEST

/* Lower case and _ make a name; no two are the same. */
START_TEST(has_a_name_and_a_help_for_each)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		const char *name = metric_name(i);

		ck_assert_uint_gt(strlen(name), 0);
		ck_assert_uint_eq(strspn(name, "abcdefghijklmnopqrstuvwxyz_"),
			strlen(name));
		ck_assert_uint_gt(strlen(metric_help(i)), 0);
		for (unsigned j = 0; j < i; j++)
			ck_assert_str_ne(name, metric_name(j));
	}
}
END_TEST

static const struct {
	int64_t us;
	uint64_t bound;
} times[] = {
	{ -5, 0 },
	{ 0, 0 },
	{ 1, 1 },
	{ 7, 7 },
	{ 8, 8 },
	{ 15, 15 },
	{ 16, 17 },
	{ 17, 17 },
	{ 100, 103 },
	{ 1000, 1023 },
	{ 1024, 1151 },
	{ 30000000, 31457279 },
	{ (INT64_C(1) << 36) - 1, (UINT64_C(1) << 36) - 1 },
	{ INT64_C(1) << 36, (UINT64_C(1) << 36) - 1 },
	{ INT64_MAX, (UINT64_C(1) << 36) - 1 },
};

/* Each in a child: the buckets cannot be emptied. */
static void
assert_in_child(bool (*holds)(int), int argument)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(holds(argument) ? 0 : 1);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
}

static bool
is_bucket_right(int i)
{
	metric_latency_record(times[i].us);
	return metric_latency_quantile(1) == times[i].bound &&
	       metric_latency_quantile(0.001) == times[i].bound;
}

START_TEST(keeps_times_in_narrow_buckets)
{
	ck_assert_uint_eq(metric_latency_quantile(0.5), 0);
	assert_in_child(is_bucket_right, _i);
	if (times[_i].us > 0 && times[_i].us < INT64_C(1) << 36)
		ck_assert_uint_le(times[_i].bound,
			(uint64_t)times[_i].us + (uint64_t)times[_i].us / 8);
}
END_TEST

/* 90 times 1 us, 9 times 5 us, once 7 us. */
static bool
are_quantiles_right(int unused)
{
	(void)unused;
	for (unsigned i = 0; i < 90; i++)
		metric_latency_record(1);
	for (unsigned i = 0; i < 9; i++)
		metric_latency_record(5);
	metric_latency_record(7);
	return metric_latency_quantile(0.5) == 1 &&
	       metric_latency_quantile(0.9) == 1 &&
	       metric_latency_quantile(0.91) == 5 &&
	       metric_latency_quantile(0.99) == 5 &&
	       metric_latency_quantile(0.999) == 7 &&
	       metric_latency_quantile(1) == 7;
}

START_TEST(tells_quantiles)
{
	assert_in_child(are_quantiles_right, 0);
}
END_TEST

/* After metric_init() what a child counts is seen by its parent. */
static bool
is_shared(int unused)
{
	pid_t pid;

	(void)unused;
	metric_init();
	pid = fork();
	if (pid == 0) {
		metric_add(METRIC_REJECTED, 7);
		metric_rule_add(3, METRIC_RULE_REJECTED);
		metric_latency_record(5);
		_exit(0);
	}
	return waitpid(pid, NULL, 0) == pid &&
	       metric_get(METRIC_REJECTED) == 7 &&
	       metric_rule_get(3, METRIC_RULE_REJECTED) == 1 &&
	       metric_latency_quantile(1) == 5;
}

START_TEST(survives_a_child)
{
	assert_in_child(is_shared, 0);
}
END_TEST

/* A dead process leaves its counts, but holds nothing open. */
static bool
are_gauges_forgotten(int unused)
{
	(void)unused;
	metric_init();
	metric_process(1);
	metric_add(METRIC_CONNECTIONS, 5);
	metric_add(METRIC_REQUESTS, 10);
	metric_process(METRIC_PROCESSES_MAX - 1);
	metric_add(METRIC_CONNECTIONS, 2);
	metric_add(METRIC_REQUESTS, 20);
	metric_set(METRIC_MEMORY_TRIPLETS, 3);
	metric_set(METRIC_MEMORY_TRIPLETS, 4);
	if (metric_get(METRIC_CONNECTIONS) != 7 ||
		metric_get(METRIC_MEMORY_TRIPLETS) != 4)
		return false;
	metric_forget_gauges(1);
	return metric_get(METRIC_CONNECTIONS) == 2 &&
	       metric_get(METRIC_REQUESTS) == 30;
}

START_TEST(forgets_the_gauges_of_a_process)
{
	assert_in_child(are_gauges_forgotten, 0);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("metric");
	TCase *tcase = tcase_create("metric");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, counts);
	tcase_add_test(tcase, counts_by_rule);
	tcase_add_test(tcase, has_a_name_and_a_help_for_each);
	tcase_add_loop_test(tcase, keeps_times_in_narrow_buckets, 0,
		sizeof(times) / sizeof(times[0]));
	tcase_add_test(tcase, tells_quantiles);
	tcase_add_test(tcase, survives_a_child);
	tcase_add_test(tcase, forgets_the_gauges_of_a_process);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
