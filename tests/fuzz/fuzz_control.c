/*
 * A request line from anybody who may connect to the control socket: what is
 * understood must come out unchanged when it is written and read again, and
 * what is refused must be refused with a sentence.
 */

#include "policyd/ctl/command_table.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_again(struct arena *arena, const struct command_request *request)
{
	struct command_parameter parameter;
	struct command_request again;
	char err[COMMAND_ERROR_MAX];
	struct str line;

	str_init(&line, 8 * COMMAND_REQUEST_MAX);
	command_print_line(request, &line);
	assert(!line.is_cut && slice_is_utf8(str_slice(&line)));
	assert(slice_find(str_slice(&line), '\n') == (ptrdiff_t)line.len - 1);
	assert(command_parse_line(arena,
		       slice_part(str_slice(&line), 0, line.len - 1), &again,
		       err, sizeof(err)) == 0);
	assert(again.row == request->row);
	for (size_t i = 0; command_parameter(again.row, i, &parameter); i++) {
		assert(again.is_given[i] == request->is_given[i]);
		assert(slice_eq(again.value[i], request->value[i]));
	}
	str_free(&line);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena *arena = arena_new(16 * COMMAND_REQUEST_MAX);
	const struct slice line = { (const char *)data, size };
	struct command_request request;
	char err[COMMAND_ERROR_MAX] = "";

	if (size > COMMAND_REQUEST_MAX) {
		arena_free(arena);
		return 0;
	}
	if (command_parse_line(arena, line, &request, err, sizeof(err)) == 0) {
		assert(request.row->where == COMMAND_DAEMON);
		read_again(arena, &request);
	} else {
		assert(err[0] != '\0' && memchr(err, '\0', sizeof(err)));
	}
	arena_free(arena);
	return 0;
}
