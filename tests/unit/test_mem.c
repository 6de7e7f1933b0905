#include "common/base/mem.h"

#include <check.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIMIT 1000000

static bool
is_zero(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] != 0)
			return false;
	return true;
}

static const struct {
	const char *name;
	size_t size;
} sizes[] = {
	{ "nothing", 0 },
	{ "a byte", 1 },
	{ "the alignment", 16 },
	{ "the first block", 4000 },
	{ "more than the first block", 4001 },
	{ "a later block", 16384 },
	{ "more than a block", 100000 },
};

START_TEST(gives_zeroed_aligned_memory_again_and_again)
{
	struct arena *arena = arena_new(LIMIT);
	char *ptr, *other;

	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 3; i++) {
			ptr = arena_alloc(arena, sizes[_i].size);
			other = arena_alloc(arena, 8);
			ck_assert_uint_eq((uintptr_t)ptr % alignof(max_align_t),
				0);
			ck_assert_msg(is_zero(ptr, sizes[_i].size), "%s",
				sizes[_i].name);
			memset(ptr, 0xff, sizes[_i].size);
			ck_assert(is_zero(other, 8));
			memset(other, 0xff, 8);
		}
		ck_assert_uint_ge(arena_used(arena), 3 * sizes[_i].size);
		arena_reset(arena);
		ck_assert_uint_eq(arena_used(arena), 0);
	}
	arena_free(arena);
}
END_TEST

START_TEST(keeps_what_was_given_out)
{
	struct arena *arena = arena_new(LIMIT);
	char *texts[500];
	char expected[16];

	for (unsigned i = 0; i < 500; i++) {
		texts[i] = arena_printf(arena, "text %u", i);
		arena_alloc(arena, i * 3);
	}
	for (unsigned i = 0; i < 500; i++) {
		snprintf(expected, sizeof(expected), "text %u", i);
		ck_assert_str_eq(texts[i], expected);
	}
	arena_free(arena);
}
END_TEST

START_TEST(keeps_the_first_block_on_reset)
{
	struct arena *arena = arena_new(LIMIT);
	char *first = arena_alloc(arena, 1);

	arena_alloc(arena, 50000);
	arena_reset(arena);
	ck_assert_ptr_eq(arena_alloc(arena, 1), first);
	arena_free(arena);
}
END_TEST

/* What is left of a block is used although a large piece came between. */
START_TEST(does_not_waste_a_block_for_a_large_piece)
{
	struct arena *arena = arena_new(LIMIT);
	char *before = arena_alloc(arena, 16), *after;

	arena_alloc(arena, 100000);
	after = arena_alloc(arena, 16);
	ck_assert_ptr_eq(after, before + 16);
	arena_free(arena);
}
END_TEST

START_TEST(can_be_used_up_to_its_limit)
{
	struct arena *arena = arena_new(100);

	arena_alloc(arena, 50);
	arena_alloc(arena, 100 - arena_used(arena));
	ck_assert_uint_eq(arena_used(arena), 100);
	arena_alloc(arena, 0);
	arena_free(arena);
}
END_TEST

START_TEST(copies_text)
{
	struct arena *arena = arena_new(LIMIT);
	char *copy = arena_memdup(arena, "a\0bc", 4);

	ck_assert_int_eq(memcmp(copy, "a\0bc", 5), 0);
	ck_assert_str_eq(arena_memdup(arena, NULL, 0), "");
	arena_free(arena);
	arena_free(NULL);
}
END_TEST

/* Text that fits, just fits, just does not fit into the block in use. */
START_TEST(formats_text_of_any_length)
{
	struct arena *arena = arena_new(LIMIT);
	char wide[5001];

	memset(wide, 'w', sizeof(wide) - 1);
	for (unsigned len = 3900; len < sizeof(wide); len += 7) {
		char *text;

		arena_reset(arena);
		text = arena_printf(arena, "%.*s", (int)len, wide);
		arena_alloc(arena, 1);
		ck_assert_uint_eq(strlen(text), len);
	}
	arena_free(arena);
}
END_TEST

START_TEST(copies_and_resizes_on_the_heap)
{
	char *copy = x_strdup("secret");
	uint32_t *numbers = x_new_array(3, uint32_t);

	ck_assert_str_eq(copy, "secret");
	ck_assert_ptr_null(x_strdup(NULL));
	x_free_secret(copy, strlen(copy));
	x_free_secret(NULL, 0);
	ck_assert_uint_eq(numbers[2], 0);
	numbers[2] = 7;
	numbers = x_realloc_array(numbers, 10000, sizeof(*numbers));
	ck_assert_uint_eq(numbers[2], 7);
	numbers = x_realloc_array(numbers, 0, sizeof(*numbers));
	ck_assert_ptr_nonnull(numbers);
	x_free(numbers);
	x_free(NULL);
}
END_TEST

/* Runs fn in a child; its wait status, what it wrote to stderr in text. */
static int
run_child(void (*fn)(void), char *text, size_t size)
{
	int pipes[2], status;
	ssize_t n, len = 0;
	pid_t pid;

	ck_assert_int_eq(pipe(pipes), 0);
	pid = fork();
	if (pid == 0) {
		dup2(pipes[1], STDERR_FILENO);
		setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
		fn();
		_exit(0);
	}
	close(pipes[1]);
	while ((n = read(pipes[0], text + len, size - 1 - (size_t)len)) > 0)
		len += n;
	text[len] = '\0';
	close(pipes[0]);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* Or the address sanitizer would end the process before we do. */
const char *__asan_default_options(void);

const char *
__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void
ask_for_too_much(void)
{
	void *volatile ptr = x_realloc_array(NULL, SIZE_MAX / 2, 4);

	(void)ptr;
}

static void
exceed_the_limit(void)
{
	arena_alloc(arena_new(100), 101);
}

static void
overflow_an_array(void)
{
	volatile size_t n = SIZE_MAX / 4;

	arena_alloc_array(arena_new(SIZE_MAX), n, 8);
}

START_TEST(ends_the_process_when_memory_is_gone)
{
	char text[1024];
	int status = run_child(ask_for_too_much, text, sizeof(text));

	ck_assert(WIFEXITED(status));
	ck_assert_int_eq(WEXITSTATUS(status), 70);
	ck_assert_ptr_nonnull(strstr(text, "out of memory\n"));
}
END_TEST

START_TEST(takes_a_broken_bound_for_a_bug)
{
	char text[1024];
	int status = run_child(exceed_the_limit, text, sizeof(text));

	ck_assert(WIFSIGNALED(status));
	ck_assert_ptr_nonnull(strstr(text, "arena->limit"));
	status = run_child(overflow_an_array, text, sizeof(text));
	ck_assert(WIFSIGNALED(status));
	ck_assert_ptr_nonnull(strstr(text, "overflows"));
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("mem");
	TCase *tcase = tcase_create("mem");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_loop_test(tcase, gives_zeroed_aligned_memory_again_and_again,
		0, sizeof(sizes) / sizeof(sizes[0]));
	tcase_add_test(tcase, keeps_what_was_given_out);
	tcase_add_test(tcase, keeps_the_first_block_on_reset);
	tcase_add_test(tcase, does_not_waste_a_block_for_a_large_piece);
	tcase_add_test(tcase, can_be_used_up_to_its_limit);
	tcase_add_test(tcase, copies_text);
	tcase_add_test(tcase, formats_text_of_any_length);
	tcase_add_test(tcase, copies_and_resizes_on_the_heap);
	tcase_add_test(tcase, ends_the_process_when_memory_is_gone);
	tcase_add_test(tcase, takes_a_broken_bound_for_a_bug);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
