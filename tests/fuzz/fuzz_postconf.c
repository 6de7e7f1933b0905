/*
 * The output of postconf from anybody, read as each of its three kinds; every
 * list in it is opened, and whatever comes out lies within what went in.
 */

#include "policyd/ctl/postconf.h"

#include <assert.h>
#include <stdint.h>

#include "common/base/mem.h"
#include "policyd/ctl/restrictions.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_list(struct arena *arena, const struct postconf *postconf,
	struct slice text)
{
	const struct restrictions list =
		restrictions_parse(arena, text, postconf, NULL);
	struct slice value;

	assert(list.n <= RESTRICTIONS_MAX && list.n_tops <= RESTRICTIONS_MAX);
	for (size_t i = 0; i < list.n; i++) {
		const struct restriction *step = &list.steps[i];

		assert(step->top < list.n_tops && step->text.len > 0);
		assert(restriction_server(step).len <= step->value.len);
		if (restriction_attribute(step, "timeout", &value) &&
			value.len > 0)
			assert(value.ptr >= step->text.ptr &&
				value.ptr + value.len <=
					step->text.ptr + step->text.len);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = { (const char *)data, size };
	struct postconf postconf = { .n_services = 0 };
	struct arena *arena;

	if (size == 0 || size > 65536)
		return 0;
	arena = arena_new((size_t)256 << 20);
	postconf_parse_parameters(arena, text, &postconf);
	postconf_parse_services(arena, text, &postconf);
	postconf_parse_overrides(arena, text, &postconf);
	for (size_t i = 0; i < postconf.n_services; i++)
		(void)postconf_value(&postconf, &postconf.services[i], "a");
	for (size_t i = 0; i < postconf.n_parameters && i < 100; i++)
		read_list(arena, &postconf, postconf.parameters[i].value);
	arena_free(arena);
	return 0;
}
