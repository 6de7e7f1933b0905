#include "milter/message_text.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

/* --- questions ------------------------------------------------------------ */

START_TEST(writes_a_question)
{
	struct header_from from = { .status = HEADER_FROM_SEVERAL,
		.addresses = { { SLICE("b"), SLICE("example.com"), false },
			{ SLICE("c\nd"), SLICE("example.net"), false } },
		.n = 2 };
	struct facts_message_question question = {
		.client_name = SLICE("a.example"),
		.client_ptr = SLICE("b.example"),
		.helo = SLICE("h\nsender=x"),
		.sender = SLICE("a@example.net"),
		.login = SLICE("b"),
		.mechanism = SLICE("PLAIN"),
		.queue_id = SLICE("4711"),
		.has_size = true,
		.size = 123,
		.n_recipients = 3,
		.recipients = SLICE("recipient=c@example.com\n"),
		.from = &from,
		.more = SLICE("dmarc_result=pass\n"),
	};
	struct str lines;

	ck_assert(ip_parse(SLICE("192.0.2.1"), &question.client));
	str_init(&lines, FACTS_LINES_MAX);
	message_text_write(&lines, &question);
	ck_assert_str_eq(str_text(&lines),
		"request=smtpd_access_policy\nprotocol_state=MESSAGE\n"
		"client_address=192.0.2.1\nclient_name=a.example\n"
		"reverse_client_name=b.example\nhelo_name=h?sender=x\n"
		"sasl_username=b\nsasl_method=PLAIN\nsender=a@example.net\n"
		"queue_id=4711\nsize=123\nrecipient_count=3\n"
		"header_from=b@example.com\nheader_from=c?d@example.net\n"
		"dmarc_result=pass\nrecipient=c@example.com\n");
	str_reset(&lines);
	from = (struct header_from){ .status = HEADER_FROM_FIELDS,
		.err = "there are several" };
	question = (struct facts_message_question){ .from = &from };
	message_text_write(&lines, &question);
	ck_assert_ptr_nonnull(strstr(str_text(&lines),
		"\nrecipient_count=0\nheader_from_problem=there are several"));
	ck_assert_ptr_null(strstr(str_text(&lines), "\nsize="));
	str_free(&lines);
}
END_TEST

START_TEST(writes_whole_lines_only)
{
	struct str lines;

	str_init(&lines, 8);
	message_text_line(&lines, "a", SLICE("12"));
	message_text_line(&lines, "a", SLICE("12"));
	ck_assert_str_eq(str_text(&lines), "a=12\n");
	message_text_line(&lines, "a", SLICE(""));
	ck_assert_str_eq(str_text(&lines), "a=12\na=\n");
	str_free(&lines);
}
END_TEST

/* One that is too long would have the whole request refused. */
START_TEST(leaves_out_a_line_that_is_too_long)
{
	struct str lines, value;

	str_init(&lines, FACTS_LINES_MAX);
	str_init(&value, FACTS_LINES_MAX);
	while (value.len < FACTS_LINE_MAX - 3)
		str_append_char(&value, 'x');
	message_text_line(&lines, "a", str_slice(&value));
	ck_assert_uint_eq(lines.len, FACTS_LINE_MAX);
	str_reset(&lines);
	str_append_char(&value, 'x');
	message_text_line(&lines, "a", str_slice(&value));
	ck_assert_uint_eq(lines.len, 0);
	str_free(&value);
	str_free(&lines);
}
END_TEST

/* --- answers -------------------------------------------------------------- */

#define LONG64 \
	"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
	const char *answer;
	bool is_one;
	enum message_action action;
	const char *code, *status, *text, *field_name, *field_value;
} answers[] = {
	{ "action=DUNNO\n", true, MESSAGE_ACCEPT, "", "", "", "", "" },
	{ "action=OK\n", true, MESSAGE_ACCEPT, "", "", "", "", "" },
	{ "action=REJECT no way\n", true, MESSAGE_REJECT, "550", "5.7.1",
		"no way", "", "" },
	{ "action=REJECT\n", true, MESSAGE_REJECT, "550", "5.7.1", "", "", "" },
	{ "action=550 5.7.23 no\n", true, MESSAGE_REJECT, "550", "5.7.23", "no",
		"", "" },
	{ "action=554 no 5.7.23\n", true, MESSAGE_REJECT, "554", "5.7.1",
		"no 5.7.23", "", "" },
	/* Of another class, or none at all: a word of the text. */
	{ "action=550 4.7.23 no\n", true, MESSAGE_REJECT, "550", "5.7.1",
		"4.7.23 no", "", "" },
	{ "action=550 5..7 no\n", true, MESSAGE_REJECT, "550", "5.7.1",
		"5..7 no", "", "" },
	{ "action=550 5.1234.567 no\n", true, MESSAGE_REJECT, "550", "5.7.1",
		"5.1234.567 no", "", "" },
	{ "action=451 4.7.1 later\rnot now\n", true, MESSAGE_DEFER, "451",
		"4.7.1", "later?not now", "", "" },
	{ "action=DEFER later\n", true, MESSAGE_DEFER, "451", "4.7.1", "later",
		"", "" },
	{ "action=DISCARD foe\n", true, MESSAGE_DISCARD, "", "", "foe", "",
		"" },
	{ "action=HOLD look\n", true, MESSAGE_HOLD, "", "", "look", "", "" },
	{ "action=PREPEND X-A: b: c\n", true, MESSAGE_ACCEPT, "", "", "", "X-A",
		"b: c" },
	{ "action=PREPEND X A: b\n", false, MESSAGE_ACCEPT, "", "", "", "",
		"" },
	{ "action=PREPEND : b\n", false, MESSAGE_ACCEPT, "", "", "", "", "" },
	{ "action=350 no\n", false, MESSAGE_ACCEPT, "", "", "", "", "" },
	{ "action=5500 no\n", false, MESSAGE_ACCEPT, "", "", "", "", "" },
	{ "action=\n", false, MESSAGE_ACCEPT, "", "", "", "", "" },
	{ "action\n", false, MESSAGE_ACCEPT, "", "", "", "", "" },
	{ "", false, MESSAGE_ACCEPT, "", "", "", "", "" },
	{ "error=x\n", false, MESSAGE_ACCEPT, "", "", "", "", "" },
};

START_TEST(reads_answers)
{
	struct arena *arena = arena_new(65536);
	struct message_answer out;
	const bool is_one =
		message_text_read(arena, slice_of(answers[_i].answer), &out);

	ck_assert_msg(is_one == answers[_i].is_one, "%s", answers[_i].answer);
	if (is_one) {
		ck_assert_int_eq(out.action, answers[_i].action);
		ck_assert_str_eq(out.code, answers[_i].code);
		ck_assert_str_eq(out.status, answers[_i].status);
		ck_assert_str_eq(out.text, answers[_i].text);
		ck_assert_str_eq(out.field_name, answers[_i].field_name);
		ck_assert(slice_eq_text(out.field_value,
			answers[_i].field_value));
	}
	arena_free(arena);
}
END_TEST

START_TEST(reads_what_else_is_said)
{
	struct arena *arena = arena_new(65536);
	struct message_answer out;
	struct str text;

	ck_assert(message_text_read(arena,
		SLICE("action=DUNNO\nrule=dmarc\nnew=x\n"
		      "dmarc_override=local_policy a=b\n"),
		&out));
	ck_assert_str_eq(out.rule, "dmarc");
	ck_assert_str_eq(out.override, "local_policy a=b");
	str_init(&text, 65536);
	str_append_text(&text, "action=DUNNO\nrule=");
	for (size_t i = 0; i < 64; i++)
		str_append_text(&text, LONG64);
	ck_assert(!message_text_read(arena, str_slice(&text), &out));
	str_free(&text);
	arena_free(arena);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("message_text");
	TCase *tcase = tcase_create("message_text");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	tcase_add_test(tcase, writes_a_question);
	tcase_add_test(tcase, writes_whole_lines_only);
	tcase_add_test(tcase, leaves_out_a_line_that_is_too_long);
	tcase_add_loop_test(tcase, reads_answers, 0,
		sizeof(answers) / sizeof(answers[0]));
	tcase_add_test(tcase, reads_what_else_is_said);
	suite_add_tcase(suite, tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
