/*
 * Decisions for people: what was decided, when and for whom; each rule that
 * was asked; what would change the answer; the facts that were read.
 */

#include <string.h>

#include "policyd/ctl/output.h"
#include "policyd/json.h"

#define LINE_MAX_BYTES ((size_t)64 << 10)
/* Facts may hold lists of lists; deeper ones are printed as JSON. */
#define DEPTH_MAX 4
/* The longest name of a rule, and a gap. */
#define RULE_WIDTH 30

static void
print_safe(struct slice text)
{
	struct str safe;

	str_init(&safe, LINE_MAX_BYTES);
	output_append_safe(&safe, text);
	fputs(str_text(&safe), stdout);
	str_free(&safe);
}

static void
print_padded(struct slice text, int width)
{
	struct str safe;

	str_init(&safe, LINE_MAX_BYTES);
	output_append_safe(&safe, text);
	printf("%-*s", width, str_text(&safe));
	str_free(&safe);
}

static void
print_titled(const char *title, struct slice text)
{
	if (text.len == 0)
		return;
	fputs(title, stdout);
	print_safe(text);
}

static void
print_member(const char *title, struct slice text)
{
	if (text.len == 0)
		return;
	printf("  %-12s", title);
	print_safe(text);
	putchar('\n');
}

static void
print_time(const struct json *decision)
{
	struct str text;

	str_init(&text, LINE_MAX_BYTES);
	output_append_value(&text, SLICE("time"),
		json_member(decision, "time"));
	fputs(str_text(&text), stdout);
	str_free(&text);
}

static enum output_color
action_color(const struct json *decision)
{
	const struct slice action = json_member_text(decision, "action");

	if (slice_eq_text(action, "DUNNO"))
		return json_member_text(decision, "would_have").len > 0
			       ? COLOR_WARN
			       : COLOR_GOOD;
	return slice_eq_text(action, "451") ? COLOR_WARN : COLOR_BAD;
}

/* --- one line ----------------------------------------------------------- */

static void
print_addresses(const struct json *decision)
{
	const struct slice login = json_member_text(decision, "sasl_username");

	print_safe(json_member_text(decision, "client_address"));
	fputs("  <", stdout);
	print_safe(json_member_text(decision, "sender"));
	fputs("> -> <", stdout);
	print_safe(json_member_text(decision, "recipient"));
	putchar('>');
	if (login.len > 0) {
		fputs("  login ", stdout);
		print_safe(login);
	}
}

void
output_decision_line(struct output *output, const struct json *decision)
{
	const struct slice rule = json_member_text(decision, "rule");
	const struct slice would = json_member_text(decision, "would_have");
	const struct slice code = json_member_text(decision, "code");
	const enum output_color color = action_color(decision);

	print_time(decision);
	printf("  %s", output_color(output, color));
	print_padded(json_member_text(decision, "action"), 6);
	printf("%s  ", output_color_end(output, color));
	print_addresses(decision);
	print_titled("  ", rule);
	if (rule.len == 0)
		print_titled("  would have: ", would);
	print_titled("  permitted by: ",
		json_member_text(decision, "permitted_by"));
	print_titled("  ", code);
	putchar('\n');
}

/* --- rules -------------------------------------------------------------- */

/* More about a rule, on a line of its own. */
static void
print_below(struct slice text)
{
	if (text.len == 0)
		return;
	printf("  %-*s", RULE_WIDTH, "");
	print_safe(text);
	putchar('\n');
}

static void
print_rule(struct output *output, const struct json *rule)
{
	const struct slice outcome = json_member_text(rule, "outcome");
	const bool is_bad = slice_eq_text(outcome, "refused") ||
			    slice_eq_text(outcome, "deferred") ||
			    slice_eq_text(outcome, "discarded") ||
			    slice_eq_text(outcome, "held") ||
			    slice_starts(outcome, SLICE("could not"));
	const enum output_color color = is_bad ? COLOR_BAD : COLOR_NONE;

	fputs("  ", stdout);
	print_padded(json_member_text(rule, "rule"), RULE_WIDTH);
	fputs(output_color(output, color), stdout);
	print_safe(outcome);
	fputs(output_color_end(output, color), stdout);
	if (json_member(rule, "took_ms") != NULL)
		printf("  (%.3f ms)",
			json_real_of(json_member(rule, "took_ms")));
	putchar('\n');
	print_below(json_member_text(rule, "missing"));
	if (slice_ends(outcome, SLICE("permitted")))
		print_below(json_member_text(rule, "text"));
}

/* --- facts -------------------------------------------------------------- */

/* What the list of rules tells already. */
static bool
is_usual(struct slice name, const struct json *value)
{
	const struct slice text = json_text(value);

	return (slice_ends(name, SLICE(".mode")) &&
		       (slice_eq(text, SLICE("enforce")) ||
			       slice_eq(text, SLICE("off")))) ||
	       (slice_ends(name, SLICE(".on_error")) &&
		       slice_eq(text, SLICE("accept")));
}

static bool
is_time(struct slice name)
{
	static const char *const names[] = { "first_seen", "blocked_until",
		"expires", "window_start", "client_passed_until",
		"last_notified" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (slice_eq_text(name, names[i]))
			return true;
	return false;
}

static struct slice
type_of(struct slice name)
{
	if (is_time(name))
		return SLICE("time");
	if (slice_eq_text(name, "period"))
		return SLICE("seconds");
	if (slice_starts(name, SLICE("bytes")) ||
		slice_eq_text(name, "max_bytes"))
		return SLICE("bytes");
	/* What is no stored account is shown as it is. */
	return slice_eq_text(name, "account") ||
			       slice_eq_text(name, "sender") ||
			       slice_eq_text(name, "counts")
		       ? SLICE("account")
		       : SLICE("text");
}

static void print_value(struct slice name, const struct json *value,
	unsigned depth);

static bool
is_nested(const struct json *value)
{
	const enum json_type type = json_type_of(value);

	return type == JSON_TYPE_ARRAY || type == JSON_TYPE_OBJECT;
}

static void
print_members(const struct json *value, unsigned depth)
{
	const struct json *member;
	struct slice name;
	size_t at = 0;

	while (json_next_member(value, &at, &name, &member))
		if (!is_usual(name, member))
			print_value(name, member, depth);
	for (size_t i = 0; json_type_of(value) == JSON_TYPE_ARRAY &&
			   i < json_length(value);
		i++) {
		if (is_nested(json_element(value, i)))
			printf("%*s-\n", (int)(4 + 2 * depth), "");
		print_value(SLICE(""), json_element(value, i), depth + 1);
	}
}

static void
print_value(struct slice name, const struct json *value, unsigned depth)
{
	struct str text;

	if (is_nested(value) && depth < DEPTH_MAX) {
		if (name.len > 0) {
			printf("%*s", (int)(4 + 2 * depth), "");
			print_safe(name);
			putchar('\n');
		}
		print_members(value, depth + (name.len > 0));
		return;
	}
	str_init(&text, LINE_MAX_BYTES);
	output_append_value(&text, type_of(name), value);
	printf("%*s", (int)(4 + 2 * depth), "");
	print_padded(name, (int)(28 - 2 * depth));
	printf("  %s\n", str_text(&text));
	str_free(&text);
}

static void
print_fact(const struct json *fact)
{
	const struct slice reason = json_member_text(fact, "reason");

	fputs("  ", stdout);
	print_safe(json_member_text(fact, "fact"));
	if (slice_eq_text(json_member_text(fact, "state"), "known"))
		printf(json_is_set(json_member(fact, "from_memory"))
				? "  (from memory)\n"
				: "  (looked up in %.3f ms)\n",
			json_real_of(json_member(fact, "took_ms")));
	else {
		fputs(": ", stdout);
		print_safe(json_member_text(fact, "state"));
		if (reason.len > 0) {
			fputs(": ", stdout);
			print_safe(reason);
		}
		putchar('\n');
	}
	if (is_nested(json_member(fact, "value")))
		print_members(json_member(fact, "value"), 0);
}

/* --- all of it ---------------------------------------------------------- */

static void
print_head(struct output *output, const struct json *decision)
{
	const enum output_color color = action_color(decision);
	const struct slice code = json_member_text(decision, "code");
	const struct slice rule = json_member_text(decision, "rule");
	const struct slice permit = json_member_text(decision, "permitted_by");

	fputs(output_color(output, COLOR_BOLD), stdout);
	print_safe(code.len > 0 ? code : SLICE("decision"));
	printf("%s  ", output_color_end(output, COLOR_BOLD));
	print_time(decision);
	fputs("  at ", stdout);
	print_safe(json_member_text(decision, "stage"));
	fputs(" on ", stdout);
	print_safe(json_member_text(decision, "node"));
	printf("\n  %-12s%s", "answer", output_color(output, color));
	print_safe(json_member_text(decision, "reply"));
	fputs(output_color_end(output, color), stdout);
	print_titled("  (by ", rule);
	print_titled("  (permitted by ", permit);
	puts(rule.len > 0 || permit.len > 0 ? ")" : "");
}

static void
print_who(const struct json *decision)
{
	static const struct {
		const char *title, *key;
		const char *empty; /* what an empty one is shown as */
	} texts[] = {
		{ "client", "client_address", "" },
		{ "named", "client_name", "" },
		{ "HELO", "helo_name", "" },
		{ "sender", "sender", "<>" },
		{ "recipient", "recipient", "" },
		{ "login", "sasl_username", "" },
		{ "queue id", "queue_id", "" },
		{ "instance", "instance", "" },
	};
	const int64_t n = json_member_integer(decision, "recipient_count");
	const int64_t size = json_member_integer(decision, "size");

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const struct slice text =
			json_member_text(decision, texts[i].key);

		print_member(texts[i].title,
			text.len > 0 ? text : slice_of(texts[i].empty));
	}
	if (n > 0)
		printf("  %-12s%lld\n", "recipients", (long long)n);
	if (size > 0)
		printf("  %-12s%lld bytes\n", "size", (long long)size);
	if (json_member(decision, "took_ms") != NULL)
		printf("  %-12s%.3f ms\n", "took",
			json_real_of(json_member(decision, "took_ms")));
}

static void
print_section(const struct output *output, const char *title)
{
	printf("%s%s%s\n", output_color(output, COLOR_BOLD), title,
		output_color_end(output, COLOR_BOLD));
}

static void
print_hints(const struct output *output, const struct json *rules)
{
	bool is_first = true;

	for (size_t i = 0; i < json_length(rules); i++) {
		const struct slice hint =
			json_member_text(json_element(rules, i), "hint");

		if (hint.len == 0)
			continue;
		if (is_first)
			print_section(output, "what would change the answer");
		is_first = false;
		fputs("  ", stdout);
		print_safe(hint);
		putchar('\n');
	}
}

void
output_decision(struct output *output, const struct json *decision)
{
	const struct json *rules = json_member(decision, "rules");
	const struct json *facts = json_member(decision, "facts");

	print_head(output, decision);
	print_who(decision);
	if (json_length(rules) > 0)
		print_section(output, "rules");
	for (size_t i = 0; i < json_length(rules); i++)
		print_rule(output, json_element(rules, i));
	print_hints(output, rules);
	if (json_length(facts) > 0)
		print_section(output, "facts");
	for (size_t i = 0; i < json_length(facts); i++)
		print_fact(json_element(facts, i));
}
