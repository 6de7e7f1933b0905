#include "tests/unit/spf_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"

#define TEXT_MAX     ((size_t)64 << 10)
#define ANSWER_BYTES ((size_t)1 << 20)
/* Of the names of an identity; a test may make them long. */
#define IDENTITY_ARENA_MAX ((size_t)64 << 10)

/* --- answers ------------------------------------------------------------ */

/* An answer that is being put together, line by line. */
struct builder {
	struct arena *arena;
	struct dns_record *records;
	struct dns_answer *answer;
};

static struct slice
name_as_dns_tells_it(struct arena *arena, struct slice text)
{
	char formatted[DNS_NAME_TEXT_MAX];
	struct dns_name name;

	ck_assert_msg(dns_name_parse(text, &name), "%.*s", SLICE_ARG(text));
	return slice_copy(arena, slice_of(dns_name_format(&name, formatted)));
}

static struct dns_record *
add_record(struct builder *builder)
{
	ck_assert_uint_lt(builder->answer->n_records, DNS_RECORDS_MAX);
	builder->answer->status = DNS_RECORDS;
	return &builder->records[builder->answer->n_records++];
}

static void
add_data(struct builder *builder, enum dns_type type, struct slice data)
{
	const enum ip_family family = type == DNS_TYPE_A ? IP_V4 : IP_V6;
	struct slice part;

	if (type == DNS_TYPE_TXT) {
		add_record(builder)->text = data;
		return;
	}
	while (slice_split(&data, ' ', &part)) {
		struct dns_record *record = add_record(builder);

		if (type == DNS_TYPE_MX || type == DNS_TYPE_PTR) {
			record->name =
				name_as_dns_tells_it(builder->arena, part);
			continue;
		}
		ck_assert_msg(ip_parse(part, &record->address), "%.*s",
			SLICE_ARG(part));
		ck_assert_int_eq(record->address.family, family);
	}
}

static bool
is_failure(struct slice kind)
{
	return slice_ends(kind, SLICE("!")) || slice_ends(kind, SLICE("?"));
}

/* "TXT", "A@5", "A!", "A?" and what is behind it. */
static void
add_line(struct builder *builder, enum dns_type type, struct slice kind,
	struct slice data)
{
	struct dns_answer *answer = builder->answer;
	struct slice rest = kind, name, ttl;
	uint64_t seconds;

	if (is_failure(kind))
		rest = slice_part(kind, 0, kind.len - 1);
	slice_split(&rest, '@', &name);
	if (!slice_eq_text(name, dns_type_name(type)))
		return;
	if (slice_split(&rest, '@', &ttl)) {
		ck_assert(num_parse_u64(ttl, UINT32_MAX, &seconds));
		answer->ttl = (uint32_t)seconds;
	}
	if (is_failure(kind)) {
		answer->status =
			slice_ends(kind, SLICE("!")) ? DNS_FAILED : DNS_BOGUS;
		answer->reason = slice_copy(builder->arena, data).ptr;
		answer->ttl = 0;
		return;
	}
	add_data(builder, type, data);
}

static bool
is_name(struct slice text, const struct dns_name *name)
{
	struct dns_name other;

	return dns_name_parse(text, &other) && dns_name_eq(&other, name);
}

void
spf_world_look_up(struct arena *arena, const char *zone, struct slice name,
	enum dns_type type, struct dns_answer *out)
{
	struct builder builder = { .arena = arena,
		.records = arena_new_array(arena, DNS_RECORDS_MAX,
			struct dns_record),
		.answer = out };
	struct slice rest = slice_of(zone), line, owner, kind;
	struct dns_name asked;

	*out = (struct dns_answer){ .status = DNS_NO_SUCH_NAME,
		.records = builder.records,
		.ttl = SPF_WORLD_TTL,
		.reason = "" };
	if (!dns_name_parse(name, &asked))
		return;
	while (slice_split(&rest, '\n', &line)) {
		if (!slice_split(&line, ' ', &owner) ||
			!is_name(owner, &asked) ||
			!slice_split(&line, ' ', &kind))
			continue;
		if (out->status == DNS_NO_SUCH_NAME && !is_failure(kind))
			out->status = DNS_NONE;
		add_line(&builder, type, kind, line);
	}
}

static void
answer(struct spf *spf, struct spf_question *question, const char *zone)
{
	struct arena *arena = arena_new(ANSWER_BYTES);
	struct dns_answer out;

	spf_world_look_up(arena, zone, question->name, question->type, &out);
	spf_answer(spf, question, &out);
	arena_free(arena);
}

/* --- an evaluation ------------------------------------------------------ */

/* Which of n questions is answered next: order 0 and 1 are first and last. */
static size_t
choose(unsigned order, unsigned *seed, size_t n)
{
	if (order <= 1)
		return order == 0 ? 0 : n - 1;
	*seed = *seed * 1103515245u + 12345u;
	return (*seed >> 16) % n;
}

static void
describe(const struct spf_outcome *outcome, struct str *out)
{
	str_append_text(out, spf_result_name(outcome->result));
	if (outcome->matched.len > 0)
		str_printf(out, " by %.*s", SLICE_ARG(outcome->matched));
	if (outcome->explanation.len > 0)
		str_printf(out, " saying \"%.*s\"",
			SLICE_ARG(outcome->explanation));
	if (outcome->problem.len > 0)
		str_printf(out, " since %.*s", SLICE_ARG(outcome->problem));
}

/* Evaluates to the end; what was asked goes into *asked. */
static void
evaluate(struct spf *spf, const char *zone, unsigned order, struct str *asked,
	struct spf_world *world, struct spf_outcome *outcome)
{
	struct spf_question *waiting[SPF_WORLD_QUESTIONS_MAX], *question;
	unsigned seed = order;
	size_t n = 0, chosen;

	for (world->n_runs = 1; !spf_evaluate(spf, outcome); world->n_runs++) {
		while ((question = spf_next_question(spf)) != NULL) {
			ck_assert_uint_lt(world->n_asked,
				SPF_WORLD_QUESTIONS_MAX);
			waiting[n++] = question;
			world->n_asked++;
			str_printf(asked, "%s %.*s\n",
				dns_type_name(question->type),
				SLICE_ARG(question->name));
		}
		ck_assert_uint_gt(n, 0);
		chosen = choose(order, &seed, n);
		question = waiting[chosen];
		memmove(waiting + chosen, waiting + chosen + 1,
			(n - chosen - 1) * sizeof(waiting[0]));
		n--;
		answer(spf, question, zone);
	}
}

/* Both texts are the caller's. */
static void
evaluate_in_order(const struct spf_input *input, const char *zone,
	unsigned order, struct spf_world *world, struct str *text,
	struct str *asked)
{
	struct arena *arena = arena_new(SPF_ARENA_MAX);
	struct spf *spf = spf_new(arena, input);
	struct spf_outcome outcome;

	memset(world, 0, sizeof(*world));
	evaluate(spf, zone, order, asked, world, &outcome);
	describe(&outcome, text);
	world->ttl = outcome.ttl;
	world->arena_bytes = arena_used(arena);
	arena_free(arena);
}

const char *
spf_world_judge_input(struct spf_world *world, const char *zone,
	const struct spf_input *input)
{
	static char outcome_text[TEXT_MAX + 1], asked_text[TEXT_MAX + 1];
	struct str text, asked;
	struct spf_world other;

	for (unsigned order = 0; order < SPF_WORLD_ORDERS; order++) {
		str_init(&text, TEXT_MAX);
		str_init(&asked, TEXT_MAX);
		evaluate_in_order(input, zone, order,
			order == 0 ? world : &other, &text, &asked);
		if (order == 0) {
			memcpy(outcome_text, str_text(&text), text.len + 1);
			snprintf(asked_text, sizeof(asked_text), "%s",
				str_text(&asked));
		}
		ck_assert_str_eq(str_text(&text), outcome_text);
		str_free(&text);
		str_free(&asked);
	}
	world->asked = asked_text;
	return outcome_text;
}

const char *
spf_world_judge(struct spf_world *world, const char *zone, const char *client,
	const char *sender, const char *helo)
{
	struct arena *arena = arena_new(IDENTITY_ARENA_MAX);
	struct spf_input input = { .receiver = SLICE("mail.example.net"),
		.now = SPF_WORLD_NOW };
	const char *result;

	ck_assert_msg(ip_parse(slice_of(client), &input.client), "%s", client);
	spf_identify(arena, slice_of(sender), slice_of(helo), &input);
	result = spf_world_judge_input(world, zone, &input);
	arena_free(arena);
	return result;
}
