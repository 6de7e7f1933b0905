#include <errno.h>
#include <stdlib.h>

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/base/num.h"
#include "policyd/ctl/client.h"
#include "policyd/ctl/output.h"
#include "policyd/json.h"

/* Of one process; it has a limit of its own. */
#define FOUND_MAX     (200 * METRIC_PROCESSES_MAX)
#define SHOWN_DEFAULT 5

struct found {
	char *line; /* a part of a reply */
	struct json *part;
	const struct json *decision;
	double time;
};

struct search {
	struct found items[FOUND_MAX];
	size_t n;
	char *error; /* what the first process said */
};

/* The table in the database is searched by every process. */
static bool
is_known(const struct search *search, const struct json *decision)
{
	const struct slice code = json_member_text(decision, "code");

	for (size_t i = 0; code.len > 0 && i < search->n; i++)
		if (slice_eq(code, json_member_text(search->items[i].decision,
					   "code")))
			return true;
	return false;
}

static void
take(void *arg, const struct json *part, struct slice line)
{
	struct search *search = arg;
	struct found *found = &search->items[search->n];

	if (json_member(part, "error") != NULL && search->error == NULL)
		search->error = slice_strdup(line);
	if (json_member(part, "decision") == NULL || search->n == FOUND_MAX ||
		is_known(search, json_member(part, "decision")))
		return;
	found->line = slice_strdup(line);
	found->part = json_parse(line, NULL, 0);
	found->decision = json_member(found->part, "decision");
	found->time = json_real_of(json_member(found->decision, "time"));
	search->n++;
}

static int
compare(const void *a, const void *b)
{
	const struct found *left = a, *right = b;

	return (left->time < right->time) - (left->time > right->time);
}

static bool
is_remarkable(const struct json *decision)
{
	return json_member_text(decision, "rule").len > 0 ||
	       json_member_text(decision, "would_have").len > 0;
}

/* All in full, as JSON or because a number was asked for. */
static void
print_all(struct output *output, const struct search *search, size_t n)
{
	int ignored;

	for (size_t i = 0; i < n; i++)
		(void)output_line(output, slice_of(search->items[i].line),
			&ignored);
	(void)output_line(output, SLICE("{\"exit\":0}"), &ignored);
}

static void
print_brief(struct output *output, const struct search *search, size_t n)
{
	size_t main = 0;

	while (main < n && !is_remarkable(search->items[main].decision))
		main++;
	if (main == n)
		main = 0;
	output_decision(output, search->items[main].decision);
	if (n == 1)
		return;
	printf("%sothers (--limit shows more of them, and in full)%s\n",
		output_color(output, COLOR_BOLD),
		output_color_end(output, COLOR_BOLD));
	for (size_t i = 0; i < n; i++) {
		if (i == main)
			continue;
		fputs("  ", stdout);
		output_decision_line(output, search->items[i].decision);
	}
}

static void
print(struct client *client, struct search *search,
	const struct command_request *request)
{
	uint64_t limit = SHOWN_DEFAULT;
	struct slice text;
	const bool has_limit = command_argument(request, "limit", &text) &&
			       num_parse_u64(text, FOUND_MAX, &limit);
	const size_t n = search->n < limit ? search->n : (size_t)limit;

	qsort(search->items, search->n, sizeof(search->items[0]), compare);
	if (client->output->is_json || has_limit)
		print_all(client->output, search, n);
	else
		print_brief(client->output, search, n);
}

static void
free_search(struct search *search)
{
	for (size_t i = 0; i < search->n; i++) {
		x_free(search->items[i].line);
		json_drop(search->items[i].part);
	}
	x_free(search->error);
	x_free(search);
}

int
client_explain(struct client *client, const struct command_request *request)
{
	struct search *search = x_new(struct search);
	int exit = client_ask_quietly(client, 0, request, take, search);

	if (exit == COMMAND_EXIT_UNREACHABLE && search->error == NULL) {
		client_tell_unreachable(client,
			errno != 0 ? errno : ECONNRESET);
		free_search(search);
		return exit;
	}
	for (unsigned i = 1; i < METRIC_PROCESSES_MAX; i++)
		if (client_ask_quietly(client, i, request, take, search) ==
			COMMAND_EXIT_UNREACHABLE)
			break;
	if (search->n > 0) {
		exit = COMMAND_EXIT_DONE;
		print(client, search, request);
	} else if (search->error != NULL) {
		(void)output_line(client->output, slice_of(search->error),
			&exit);
	}
	free_search(search);
	return exit;
}
