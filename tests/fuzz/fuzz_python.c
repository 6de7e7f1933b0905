/*
 * A settings file of Python from anybody: what is understood must come out
 * of print and be read as the same again, and what is not must have a reason.
 */

#include "policyd/ctl/python_literals.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA_MAX ((size_t)64 << 20)
#define PRINT_MAX ((size_t)16 << 20)

static void
read_again(struct arena *arena, const struct python_value *value)
{
	struct python_file again;
	const char *err;
	struct str once, twice;

	str_init(&once, PRINT_MAX);
	str_init(&twice, PRINT_MAX);
	str_append_text(&once, "x = ");
	python_print(value, &once);
	if (once.len <= PYTHON_FILE_MAX) {
		assert(python_read(arena, str_slice(&once), &again, &err));
		assert(again.n == 1 && again.statements[0].kind == PYTHON_SET);
		str_append_text(&twice, "x = ");
		python_print(&again.statements[0].value, &twice);
		assert(slice_eq(str_slice(&once), str_slice(&twice)));
	}
	str_free(&once);
	str_free(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(ARENA_MAX);
	const struct slice text = { (const char *)data, size };
	struct python_file file;
	const char *err;

	if (python_read(arena, text, &file, &err)) {
		unsigned line = 1;

		for (size_t i = 0; i < file.n; i++) {
			const struct python_statement *statement =
				&file.statements[i];

			assert(statement->line >= line);
			line = statement->line;
			assert((statement->kind == PYTHON_OTHER) ==
				(statement->why != NULL));
			if (i < 4 && (statement->kind == PYTHON_SET ||
					     statement->kind == PYTHON_ADD))
				read_again(arena, &statement->value);
		}
	} else {
		assert(err != NULL && err[0] != '\0');
	}
	arena_free(arena);
	return 0;
}
