/*
 * policyd.conf from anybody: what is accepted must come out of print and
 * parse unchanged, and what is refused must be refused with a reason.
 */

#include "policyd/config.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PRINT_MAX (2 * CONFIG_FILE_MAX)

static void
print_and_parse(const struct config *config, bool is_annotated)
{
	struct config_errors errors = { 0 };
	struct config *again;
	struct str once, twice;

	str_init(&once, PRINT_MAX);
	str_init(&twice, PRINT_MAX);
	config_print(config, is_annotated, &once);
	assert(!once.is_cut);
	again = config_parse(str_slice(&once), "again", &errors);
	assert(again && errors.n == 0);
	config_print(again, is_annotated, &twice);
	assert(slice_eq(str_slice(&once), str_slice(&twice)));
	config_restart_needed(config, again, &twice);
	assert(twice.len == once.len);
	config_unref(again);
	str_free(&once);
	str_free(&twice);
}

static void
check_errors(const struct config_errors *errors)
{
	assert(errors->n > 0);
	for (size_t i = 0; i < errors->n; i++) {
		struct slice text = slice_of(errors->items[i].text);

		assert(text.len > 0 && slice_is_utf8(text));
		assert(i == 0 ||
			errors->items[i - 1].line <= errors->items[i].line);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_errors errors = { 0 };
	struct slice text = { (const char *)data, size };
	struct config *config = config_parse(text, "fuzz", &errors);

	if (config) {
		print_and_parse(config, false);
		print_and_parse(config, true);
	} else {
		check_errors(&errors);
	}
	config_unref(config);
	config_errors_free(&errors);
	return 0;
}
