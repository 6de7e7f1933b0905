#include "common/mail/fold.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_50 "01234567890123456789012345678901234567890123456789"
#define DIGITS_60 DIGITS_50 "0123456789"
#define DIGITS_70 DIGITS_60 "0123456789"

START_TEST(words_go_to_the_next_line)
{
	struct str out;
	struct fold fold;

	str_init(&out, 1000);
	fold = fold_start(&out, SLICE("Name"));
	/* "Name:", a blank, 50 bytes: 22 are left, with a blank. */
	fold_blank(&fold, 50);
	fold_put(&fold, SLICE(DIGITS_50));
	fold_blank(&fold, 21);
	fold_put(&fold, SLICE("012345678901234567890"));
	ck_assert_uint_eq(fold.column, FOLD_COLUMNS);
	fold_blank(&fold, 1);
	fold_put(&fold, SLICE("a"));
	ck_assert_str_eq(str_text(&out), " " DIGITS_50 " 012345678901234567890"
					 "\n a");

	str_reset(&out);
	fold = fold_start(&out, SLICE("Name"));
	fold_blank(&fold, 50);
	fold_put(&fold, SLICE(DIGITS_50));
	fold_blank(&fold, 22);
	fold_put(&fold, SLICE("0123456789012345678901"));
	ck_assert_str_eq(str_text(&out),
		" " DIGITS_50 "\n 0123456789012345678901");
	str_free(&out);
}
END_TEST

START_TEST(a_long_word_stays_in_one_piece)
{
	struct str out;
	struct fold fold;

	str_init(&out, 1000);
	fold = fold_start(&out, SLICE("Name"));
	fold_blank(&fold, 120);
	fold_put(&fold, SLICE(DIGITS_60 DIGITS_60));
	fold_blank(&fold, 1);
	fold_put(&fold, SLICE("a"));
	ck_assert_str_eq(str_text(&out), "\n " DIGITS_60 DIGITS_60 "\n a");
	str_free(&out);
}
END_TEST

START_TEST(room_is_made_without_a_blank)
{
	struct str out;
	struct fold fold;

	str_init(&out, 1000);
	fold = fold_start(&out, SLICE("Name"));
	fold_put(&fold, SLICE(" " DIGITS_70));
	fold_room(&fold, 2);
	fold_put(&fold, SLICE("ab"));
	fold_room(&fold, 1);
	fold_put(&fold, SLICE("c"));
	ck_assert_str_eq(str_text(&out), " " DIGITS_70 "ab\n c");
	str_free(&out);
}
END_TEST

START_TEST(pieces_fill_the_lines)
{
	struct str out;
	struct fold fold;

	str_init(&out, 1000);
	fold = fold_start(&out, SLICE("Name"));
	fold_put(&fold, SLICE(" b="));
	fold_pieces(&fold, SLICE(DIGITS_70 DIGITS_70 DIGITS_50));
	ck_assert_str_eq(str_text(&out),
		/* 70 of them fit behind "Name: b=". */
		" b=" DIGITS_70 "\n " DIGITS_70 "0123456\n "
		"789" /* of the next 50 */
		"0123456789012345678901234567890123456789");
	/* It goes on where it was. */
	fold = fold_start(&out, SLICE("Name"));
	ck_assert_uint_eq(fold.column, 44);
	str_free(&out);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("fold");
	TCase *tcase = tcase_create("fold");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_test(tcase, words_go_to_the_next_line);
	tcase_add_test(tcase, a_long_word_stays_in_one_piece);
	tcase_add_test(tcase, room_is_made_without_a_blank);
	tcase_add_test(tcase, pieces_fill_the_lines);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
