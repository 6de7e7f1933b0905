#include "tests/unit/fake_dns.h"

#include <check.h>
#include <stdio.h>

#include "common/base/mem.h"

#define QUERIES_MAX  SPF_WORLD_QUESTIONS_MAX
#define ANSWER_BYTES ((size_t)1 << 20)

struct dns_query {
	char name[DNS_NAME_TEXT_MAX];
	enum dns_type type;
	bool is_waiting;
	dns_done_fn *done;
	void *arg;
};

static struct dns_query queries[QUERIES_MAX];
static size_t n_queries;

struct dns_query *
dns_ask(struct dns *dns, struct slice name, enum dns_type type,
	uint64_t deadline_ms, struct slice payer, dns_done_fn *done, void *arg)
{
	struct dns_query *query = &queries[n_queries++];

	(void)dns;
	ck_assert_uint_le(n_queries, QUERIES_MAX);
	ck_assert_uint_eq(deadline_ms, FAKE_DNS_QUESTION_MS);
	ck_assert(slice_eq_text(payer, FAKE_DNS_PAYER));
	snprintf(query->name, sizeof(query->name), "%.*s", SLICE_ARG(name));
	query->type = type;
	query->is_waiting = true;
	query->done = done;
	query->arg = arg;
	return query;
}

void
dns_cancel(struct dns_query *query)
{
	if (query == NULL)
		return;
	ck_assert(query->is_waiting);
	query->is_waiting = false;
}

void
fake_dns_begin(void)
{
	n_queries = 0;
}

size_t
fake_dns_n_asked(void)
{
	return n_queries;
}

size_t
fake_dns_n_waiting(void)
{
	size_t n = 0;

	for (size_t i = 0; i < n_queries; i++)
		n += queries[i].is_waiting;
	return n;
}

const char *
fake_dns_name(size_t i)
{
	ck_assert_uint_lt(i, n_queries);
	return queries[i].name;
}

enum dns_type
fake_dns_type(size_t i)
{
	ck_assert_uint_lt(i, n_queries);
	return queries[i].type;
}

void
fake_dns_answer(size_t i, const char *zone)
{
	struct arena *arena = arena_new(ANSWER_BYTES);
	struct dns_query *query = &queries[i];
	struct dns_answer out;

	ck_assert_uint_lt(i, n_queries);
	ck_assert(query->is_waiting);
	query->is_waiting = false;
	spf_world_look_up(arena, zone, slice_of(query->name), query->type,
		&out);
	query->done(query->arg, &out);
	arena_free(arena);
}

void
fake_dns_answer_all(const char *zone)
{
	for (size_t i = 0; i < n_queries; i++)
		if (queries[i].is_waiting)
			fake_dns_answer(i, zone);
}
