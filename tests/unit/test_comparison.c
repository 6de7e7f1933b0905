#include "policyd/comparison.h"

#include <check.h>
#include <stdlib.h>

#include "policyd/config.h"
#include "policyd/instances.h"
#include "policyd/journal.h"

/* Not asked here: what is done with a comparison is an integration test. */

void
journal_code(struct journal *journal, struct decision *decision)
{
	(void)journal;
	(void)decision;
}

void
journal_record(struct journal *journal, const struct decision *decision)
{
	(void)journal;
	(void)decision;
}

void
instances_add(struct instances *instances, const struct request *req)
{
	(void)instances;
	(void)req;
}

void
instances_remove(struct instances *instances, const struct request *req)
{
	(void)instances;
	(void)req;
}

static const struct {
	const char *answer;
	enum severity severity;
	int rule;
} answers[] = {
	{ "DUNNO", SEVERITY_ACCEPT, -1 },
	{ "DUNNO Error: Invalid sender address: a b", SEVERITY_ACCEPT, -1 },
	{ "OK", SEVERITY_ACCEPT, -1 },
	{ "PREPEND X-A: REJECT", SEVERITY_ACCEPT, -1 },
	{ "FILTER smtp:[127.0.0.1]:10025", SEVERITY_ACCEPT, -1 },
	{ "", SEVERITY_ACCEPT, -1 },
	{ "REJECT", SEVERITY_REJECT, -1 },
	{ "reject Blacklisted", SEVERITY_REJECT, -1 },
	{ "550 5.7.1 no", SEVERITY_REJECT, -1 },
	{ "DISCARD Policy discard", SEVERITY_REJECT, -1 },
	{ "DEFER_IF_PERMIT wait", SEVERITY_DEFER, -1 },
	{ "defer wait", SEVERITY_DEFER, -1 },
	{ "450 4.2.0 Greylisted", SEVERITY_DEFER, -1 },
	{ "451 4.7.1 Intentional policy rejection", SEVERITY_DEFER,
		RULE_ID_greylisting },
	{ "REJECT Policy rejection due to null sender", SEVERITY_REJECT,
		RULE_ID_reject_null_sender },
	{ "REJECT Throttling quota exceeded", SEVERITY_REJECT,
		RULE_ID_throttle },
	{ "REJECT Sender is not same as SMTP authenticate username",
		SEVERITY_REJECT, RULE_ID_reject_sender_login_mismatch },
	{ "REJECT SMTP AUTH is required for users under this sender domain",
		SEVERITY_REJECT, RULE_ID_reject_sender_login_mismatch },
	/* More than one rule says so. */
	{ "REJECT Blacklisted", SEVERITY_REJECT, -1 },
	{ "REJECT Not authorized", SEVERITY_REJECT, -1 },
};

START_TEST(what_answers_mean)
{
	const char *answer = answers[_i].answer;

	ck_assert_msg(severity_of(slice_of(answer)) == answers[_i].severity,
		"%s", answer);
	ck_assert_msg(rule_of_answer(slice_of(answer)) == answers[_i].rule,
		"%s", answer);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("comparison");
	TCase *tcase = tcase_create("comparison");
	SRunner *runner;
	int n_failed;

	tcase_add_loop_test(tcase, what_answers_mean, 0,
		(int)(sizeof(answers) / sizeof(answers[0])));
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
