/*
 * What is read of header fields, so that a test can show it the messages of
 * others:
 *
 *	header_tool from          addresses of From, each value by itself
 *	header_tool results       Authentication-Results
 *	header_tool claims ID     whether such a field claims that ID wrote it
 *	header_tool arc           the ARC fields of one message
 *
 * Standard input has the values, each with a NUL behind it; "arc" wants
 * "Name:value" instead. Prints a line of JSON for each of them, or one line
 * for all ARC fields together.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/mail/arc_chain.h"
#include "common/mail/auth_results.h"
#include "common/mail/header_from.h"

#define INPUT_MAX   ((size_t)16 << 20)
#define ARENA_BYTES ((size_t)1 << 20)

static void
append_pair(struct str *out, const char *before, const char *key,
	struct slice value)
{
	str_append_text(out, before);
	str_append_json(out, slice_of(key));
	str_append_text(out, ": ");
	str_append_json(out, value);
}

/* --- From --------------------------------------------------------------- */

static const char *const statuses[] = {
	[HEADER_FROM_ONE] = "one",
	[HEADER_FROM_SEVERAL] = "several",
	[HEADER_FROM_NO_FIELD] = "no field",
	[HEADER_FROM_FIELDS] = "fields",
	[HEADER_FROM_NO_ADDRESS] = "no address",
	[HEADER_FROM_MALFORMED] = "malformed",
};

static void
show_from(struct arena *arena, struct slice value, struct str *out)
{
	struct header_from from;

	header_from_read(arena, &value, 1, &from);
	append_pair(out, "{", "status", slice_of(statuses[from.status]));
	append_pair(out, ", ", "error", slice_of(from.err));
	str_append_text(out, ", \"addresses\": [");
	for (size_t i = 0; i < from.n; i++) {
		str_append_text(out, i > 0 ? ", [" : "[");
		str_append_json(out, from.addresses[i].local);
		str_append_text(out, ", ");
		str_append_json(out, from.addresses[i].domain);
		str_append_char(out, ']');
	}
	str_append_text(out, "]}");
}

/* --- Authentication-Results --------------------------------------------- */

static void
show_result(const struct auth_result *result, struct str *out)
{
	append_pair(out, "{", "method", result->method);
	append_pair(out, ", ", "result", result->result);
	append_pair(out, ", ", "reason", result->reason);
	str_append_text(out, ", \"properties\": {");
	for (size_t i = 0; i < result->n_properties; i++) {
		const struct auth_property *property = &result->properties[i];
		struct str name;

		str_init(&name, INPUT_MAX);
		str_printf(&name, "%.*s.%.*s", SLICE_ARG(property->type),
			SLICE_ARG(property->name));
		append_pair(out, i > 0 ? ", " : "", str_text(&name),
			property->value);
		str_free(&name);
	}
	str_append_text(out, "}}");
}

static void
show_results(struct arena *arena, struct slice value, struct str *out)
{
	struct auth_results results;
	const char *err = "";

	(void)auth_results_read(arena, value, &results, &err);
	append_pair(out, "{", "error", slice_of(err));
	append_pair(out, ", ", "id", results.authserv_id);
	str_append_text(out, ", \"results\": [");
	for (const struct auth_result *result = results.first; result != NULL;
		result = result->next) {
		show_result(result, out);
		str_append_text(out, result->next != NULL ? ", " : "");
	}
	str_append_text(out, "]}");
}

/* --- ARC ---------------------------------------------------------------- */

static void
show_chain(struct arena *arena, struct slice input, struct str *out)
{
	static const char *const words[] = { [ARC_NO_CHAIN] = "none",
		[ARC_BROKEN] = "broken",
		[ARC_COMPLETE] = "complete" };
	struct arc_field fields[ARC_FIELDS_MAX + 1];
	struct arc_chain chain;
	struct slice field;
	size_t n = 0;

	while (n <= ARC_FIELDS_MAX && slice_split(&input, '\0', &field)) {
		const ptrdiff_t colon = slice_find(field, ':');

		if (colon < 0 ||
			!arc_kind_of(slice_part(field, 0, (size_t)colon),
				&fields[n].kind))
			continue;
		fields[n++].value = slice_from(field, (size_t)colon + 1);
	}
	arc_chain_read(arena, fields, n, &chain);
	append_pair(out, "{", "status", slice_of(words[chain.status]));
	append_pair(out, ", ", "error", slice_of(chain.err));
	str_printf(out, ", \"sets\": %zu}", chain.n);
}

/* --- what is asked for -------------------------------------------------- */

static void
read_all(struct str *out)
{
	char block[65536];
	size_t n;

	while ((n = fread(block, 1, sizeof(block), stdin)) > 0)
		str_append(out, block, n);
}

static void
show(const char *what, const char *id, struct slice value)
{
	struct arena *arena = arena_new(ARENA_BYTES);
	struct str out;

	str_init(&out, INPUT_MAX);
	if (strcmp(what, "from") == 0)
		show_from(arena, value, &out);
	else if (strcmp(what, "results") == 0)
		show_results(arena, value, &out);
	else if (strcmp(what, "arc") == 0)
		show_chain(arena, value, &out);
	else
		str_append_text(&out, auth_results_claim(value, slice_of(id))
					      ? "true"
					      : "false");
	(void)puts(str_text(&out));
	str_free(&out);
	arena_free(arena);
}

int
main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	struct slice rest, value;
	struct str input;

	if (argc != (strcmp(what, "claims") == 0 ? 3 : 2)) {
		(void)fputs("usage: header_tool from|results|arc|claims ID\n",
			stderr);
		return EXIT_FAILURE;
	}
	str_init(&input, INPUT_MAX);
	read_all(&input);
	rest = str_slice(&input);
	if (strcmp(what, "arc") == 0)
		show(what, NULL, rest);
	else
		while (slice_split(&rest, '\0', &value) && rest.ptr != NULL)
			show(what, argv[argc - 1], value);
	str_free(&input);
	return EXIT_SUCCESS;
}
