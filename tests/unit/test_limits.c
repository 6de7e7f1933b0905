#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/limits.h"
#include "policyd/facts/setting.h"
#include "tests/unit/fake_tables.h"

#define N(table)          (sizeof(table) / sizeof((table)[0]))
#define RECIPIENTS_MAX    1000
#define NOBODY            "NOBODY"
#define EVERY_WILDCARD_IP "[throttle]\nall_wildcard_ips = yes\n"

static struct fake_world world;
static struct address recipients[RECIPIENTS_MAX];

/* As instances.c does: the recipients of the message, divided by blanks. */
static void
set_recipients(const char *text)
{
	struct slice rest = slice_of(text);
	struct slice one;
	size_t n = 0;

	while (slice_split(&rest, ' ', &one))
		recipients[n++] = address_parse(world.arena, one, SLICE("+"));
	world.req.recipients = recipients;
	world.req.n_recipients = n;
}

/*
 * Rows: id, account, kind, priority, period, msg_size, max_msgs, max_quota,
 * max_rcpts. Expected: for each set its kind, subject and number of messages;
 * then each limit with the rule's number and, behind >, what counts.
 */
struct example {
	const char *name, *rules, *attributes;
	const char *recipients; /* NULL: the one Postfix named */
	const char *expected;
};

#define LOGIN   "client_address=192.0.2.77\nsasl_username=U@Example.com\n"
#define FOREIGN "client_address=192.0.2.77\nsender=Bob+x@remote.example\n"
#define TO_U    "recipient=u@example.com\nrecipient_count=1\n"

static const struct example examples[] = {
	{ "no rules", "", LOGIN TO_U, NULL, "" },
	{ "rules of other kinds and accounts",
		"1|@.|external|0|60|-1|5|-1|-1\n"
		"2|v@example.com|outbound|100|60|-1|5|-1|-1\n"
		"3|@example.org|inbound|60|60|-1|5|-1|-1\n",
		LOGIN TO_U, NULL, "" },

	/* Which kind. */
	{ "a login sends", "1|@.|outbound|0|60|-1|5|-1|-1\n", LOGIN TO_U, NULL,
		"outbound u@example.com n1 msgs 5@1>u@example.com" },
	{ "so does this host", "1|@.|outbound|0|60|-1|5|-1|-1\n",
		"client_address=127.0.0.1\nsender=cron@example.com\n" TO_U,
		NULL,
		"outbound cron@example.com n1 msgs 5@1>cron@example.com" },
	{ "over IPv6, too", "1|@.|outbound|0|60|-1|5|-1|-1\n",
		"client_address=::1\nsender=cron@example.com\n" TO_U, NULL,
		"outbound cron@example.com n1 msgs 5@1>cron@example.com" },
	{ "anybody else is external",
		"1|@.|outbound|0|60|-1|5|-1|-1\n"
		"2|@.|external|0|60|-1|6|-1|-1\n",
		FOREIGN TO_U, NULL,
		"external bob@remote.example n1 msgs 6@2>bob@remote.example" },
	{ "and the recipient gets", "1|@.|inbound|0|60|-1|5|-1|-1\n",
		FOREIGN TO_U, NULL,
		"inbound u@example.com n1 msgs 5@1>u@example.com" },
	{ "both at once",
		"1|@.|inbound|0|60|-1|5|-1|-1\n2|@.|external|0|60|-1|6|-1|-1\n",
		FOREIGN TO_U, NULL,
		"external bob@remote.example n1 msgs 6@2>bob@remote.example; "
		"inbound u@example.com n1 msgs 5@1>u@example.com" },
	{ "kinds in upper case", "1|@.|OutBound|0|60|-1|5|-1|-1\n", LOGIN TO_U,
		NULL, "outbound u@example.com n1 msgs 5@1>u@example.com" },
	{ "a login with an extension is another user",
		"1|u+x@example.com|outbound|100|60|-1|5|-1|-1\n",
		"client_address=192.0.2.1\nsasl_username=u+x@example.com\n",
		NULL, "outbound u+x@example.com n1 msgs 5@1>u+x@example.com" },
	{ "a login that is no address",
		"1|@.|outbound|0|60|-1|5|-1|-1\n"
		"2|@example.com|outbound|60|60|-1|6|-1|-1\n",
		"client_address=192.0.2.1\nsasl_username=root\n", NULL,
		"outbound root n1 msgs 5@1>root" },

	/* All four limits, and their inheritance. */
	{ "all of one rule", "1|@.|outbound|0|60|1|2|3|4\n", LOGIN TO_U, NULL,
		"outbound u@example.com n1 size 1@1 rcpts 4@1 "
		"msgs 2@1>u@example.com quota 3@1>u@example.com" },
	{ "-1 asks the next rule",
		"1|@.|outbound|0|60|1|2|3|4\n"
		"2|@example.com|outbound|60|60|-1|20|-1|40\n"
		"3|u@example.com|outbound|100|60|100|-1|-1|-1\n",
		LOGIN TO_U, NULL,
		"outbound u@example.com n1 size 100@3 rcpts 40@2 "
		"msgs 20@2>u@example.com quota 3@1>u@example.com" },
	{ "0 does not",
		"1|@.|outbound|0|60|1|2|3|4\n"
		"2|u@example.com|outbound|100|60|0|0|0|0\n",
		LOGIN TO_U, NULL,
		"outbound u@example.com n1 size 0@2 rcpts 0@2 "
		"msgs 0@2>u@example.com quota 0@2>u@example.com" },
	{ "only -1 is no limit", "1|@.|outbound|0|60|-1|-1|-1|-1\n", LOGIN TO_U,
		NULL, "" },
	{ "period 0 skips a rule, also for its sizes",
		"1|@.|outbound|0|60|1|2|3|4\n"
		"2|u@example.com|outbound|100|0|100|100|100|100\n",
		LOGIN TO_U, NULL,
		"outbound u@example.com n1 size 1@1 rcpts 4@1 "
		"msgs 2@1>u@example.com quota 3@1>u@example.com" },
	{ "limits beyond 4 GiB (D10)",
		"1|@.|outbound|0|60|-1|5000000000|9000000000000|-1\n",
		LOGIN TO_U, NULL,
		"outbound u@example.com n1 msgs 5000000000@1>u@example.com "
		"quota 9000000000000@1>u@example.com" },

	/* Order. */
	{ "the stored number, whatever it is",
		"1|@.|outbound|99|60|-1|5|-1|-1\n"
		"2|u@example.com|outbound|1|60|-1|6|-1|-1\n",
		LOGIN TO_U, NULL,
		"outbound u@example.com n1 msgs 5@1>u@example.com" },
	{ "a tie goes to the more specific",
		"1|@.|outbound|0|60|-1|5|-1|-1\n"
		"2|u@example.com|outbound|0|60|-1|6|-1|-1\n"
		"3|@example.com|outbound|0|60|-1|7|-1|-1\n",
		LOGIN TO_U, NULL,
		"outbound u@example.com n1 msgs 6@2>u@example.com" },
	{ "@ip before @.",
		"1|@.|outbound|0|60|-1|5|-1|-1\n"
		"2|@ip|outbound|0|60|-1|6|-1|-1\n",
		LOGIN TO_U, NULL,
		"outbound u@example.com n1 msgs 6@2>192.0.2.77" },
	{ "the nearer of two subdomains",
		"1|@.com|outbound|40|60|-1|5|-1|-1\n"
		"2|@.example.com|outbound|50|60|-1|6|-1|-1\n"
		"3|@.a.example.com|outbound|50|60|-1|7|-1|-1\n",
		"client_address=192.0.2.1\nsasl_username=u@b.a.example.com\n",
		NULL,
		"outbound u@b.a.example.com n1 msgs 7@3>u@b.a.example.com" },
	{ "user anywhere before client before domain",
		"1|@example.com|outbound|60|60|-1|5|7|8\n"
		"2|192.0.2.77|outbound|80|60|-1|6|9|-1\n"
		"3|u@*|outbound|90|60|-1|4|-1|-1\n",
		LOGIN TO_U, NULL,
		"outbound u@example.com n1 rcpts 8@1 msgs 4@3>u@* "
		"quota 9@2>192.0.2.77" },

	/* Clients. */
	{ "client", "1|192.0.2.77|external|80|60|-1|5|-1|-1\n", FOREIGN TO_U,
		NULL, "external bob@remote.example n1 msgs 5@1>192.0.2.77" },
	{ "client, IPv6 spelt otherwise",
		"1|2001:DB8:0::1|external|80|60|-1|5|-1|-1\n",
		"client_address=2001:db8::1\nsender=a@b.example\n", NULL,
		"external a@b.example n1 msgs 5@1>2001:db8::1" },
	{ "every client", "1|@ip|external|0|60|-1|5|-1|-1\n", FOREIGN TO_U,
		NULL, "external bob@remote.example n1 msgs 5@1>192.0.2.77" },
	{ "wildcard counts under its own name (D8)",
		"1|192.0.2.*|external|70|60|-1|5|6|-1\n", FOREIGN TO_U, NULL,
		"external bob@remote.example n1 msgs 5@1>192.0.2.* "
		"quota 6@1>192.0.2.*" },
	{ "so does a network",
		"1|192.0.2.0/25|external|70|60|-1|5|-1|-1\n"
		"2|192.0.2.128/25|external|70|60|-1|6|-1|-1\n",
		FOREIGN TO_U, NULL,
		"external bob@remote.example n1 msgs 5@1>192.0.2.0/25" },
	{ "a network stored with 0 counts as 70",
		"1|192.0.2.0/24|external|0|60|-1|5|-1|-1\n"
		"2|@remote.example|external|60|60|-1|6|-1|-1\n",
		FOREIGN TO_U, NULL,
		"external bob@remote.example n1 msgs 5@1>192.0.2.0/24" },
	{ "longest prefix first",
		"1|192.0.0.0/6|external|0|60|-1|5|-1|8\n"
		"2|192.0.2.99/24|external|0|60|-1|6|-1|-1\n",
		FOREIGN TO_U, NULL,
		"external bob@remote.example n1 rcpts 8@1 "
		"msgs 6@2>192.0.2.99/24" },
	{ "IPv6 network", "1|2001:db8::/32|external|0|60|-1|5|-1|-1\n",
		"client_address=2001:db8:1::1\nsender=a@b.example\n", NULL,
		"external a@b.example n1 msgs 5@1>2001:db8::/32" },
	{ "no client", "1|@ip|external|0|60|-1|5|-1|-1\n",
		"client_address=unknown\nsender=a@b.example\n", NULL, "" },
	{ "null sender: the client only",
		"1|@.|external|0|60|-1|5|-1|-1\n"
		"2|@ip|external|0|60|-1|6|-1|-1\n",
		"client_address=192.0.2.77\nsender=\n" TO_U, NULL,
		"external 192.0.2.77 n1 msgs 6@2>192.0.2.77" },
	{ "null sender: no rule for the client",
		"1|@.|external|0|60|-1|5|-1|-1\n",
		"client_address=192.0.2.77\nsender=\n" TO_U, NULL, "" },

	/* Domains. */
	{ "a domain's rule counts each user",
		"1|@example.com|outbound|60|60|-1|5|-1|-1\n", LOGIN TO_U, NULL,
		"outbound u@example.com n1 msgs 5@1>u@example.com" },
	{ "unless the domain is to be counted",
		"1|@example.org|outbound|60|60|-1|5|-1|-1\n",
		"client_address=192.0.2.1\nsasl_username=u@example.org\n", NULL,
		"outbound u@example.org n1 msgs 5@1>@example.org" },
	{ "which says nothing of a user's own rule",
		"1|u@example.org|outbound|100|60|-1|5|-1|-1\n",
		"client_address=192.0.2.1\nsasl_username=u@example.org\n", NULL,
		"outbound u@example.org n1 msgs 5@1>u@example.org" },
	{ "alias domain: the target's rule",
		"1|u@example.com|outbound|100|60|-1|5|-1|-1\n"
		"2|@example.com|outbound|60|60|-1|-1|6|-1\n"
		"3|@.|outbound|0|60|7|-1|-1|-1\n",
		"client_address=192.0.2.1\nsasl_username=u@alias.example\n",
		NULL,
		"outbound u@alias.example n1 size 7@3 "
		"msgs 5@1>u@alias.example quota 6@2>u@alias.example" },
	{ "disabled alias domain",
		"1|u@example.com|outbound|100|60|-1|5|-1|-1\n",
		"client_address=192.0.2.1\nsasl_username=u@off.example\n", NULL,
		"" },

	/* Recipients. */
	{ "a sender's message counts each recipient",
		"1|@.|external|0|60|-1|5|-1|-1\n",
		FOREIGN "recipient_count=7\n", NOBODY,
		"external bob@remote.example n7 msgs 5@1>bob@remote.example" },
	{ "each of several recipients",
		"1|@.|inbound|0|60|-1|5|-1|-1\n"
		"2|b@example.com|inbound|100|60|-1|6|-1|-1\n",
		FOREIGN "recipient_count=3\n",
		"a@example.com b+x@example.com c@example.com",
		"inbound a@example.com n1 msgs 5@1>a@example.com; "
		"inbound b@example.com n1 msgs 6@2>b@example.com; "
		"inbound c@example.com n1 msgs 5@1>c@example.com" },
	{ "the same one twice", "1|@.|inbound|0|60|-1|5|-1|-1\n",
		FOREIGN "recipient_count=3\n",
		"a@example.com b@example.com A+x@example.com",
		"inbound a@example.com n2 msgs 5@1>a@example.com; "
		"inbound b@example.com n1 msgs 5@1>b@example.com" },
	{ "recipients in one counted domain",
		"1|@example.org|inbound|60|60|-1|5|-1|-1\n",
		FOREIGN "recipient_count=2\n", "a@example.org b@example.org",
		"inbound a@example.org n1 msgs 5@1>@example.org; "
		"inbound b@example.org n1 msgs 5@1>@example.org" },
	{ "unknown recipients: the client only",
		"1|@.|inbound|0|60|-1|5|-1|-1\n"
		"2|192.0.2.0/24|inbound|70|60|-1|6|-1|-1\n",
		FOREIGN "recipient_count=9\n", NOBODY,
		"inbound 192.0.2.77 n9 msgs 6@2>192.0.2.0/24" },
};

static void
print_limit(const char *name, const struct throttle_rule *rule, int64_t limit,
	struct slice counts, struct str *out)
{
	str_printf(out, " %s %lld@%llu", name, (long long)limit,
		(unsigned long long)rule->id);
	if (counts.len > 0)
		str_printf(out, ">%.*s", SLICE_ARG(counts));
}

static void
print_set(const struct limit_set *set, struct str *out)
{
	str_printf(out, "%s%s %.*s n%u", out->len > 0 ? "; " : "",
		throttle_kind_name(set->kind), SLICE_ARG(set->subject),
		set->n_messages);
	if (set->msg_size != NULL)
		print_limit("size", set->msg_size, set->msg_size->msg_size,
			SLICE(""), out);
	if (set->max_rcpts != NULL)
		print_limit("rcpts", set->max_rcpts, set->max_rcpts->max_rcpts,
			SLICE(""), out);
	if (set->max_msgs != NULL)
		print_limit("msgs", set->max_msgs, set->max_msgs->max_msgs,
			set->msgs_account, out);
	if (set->max_quota != NULL)
		print_limit("quota", set->max_quota, set->max_quota->max_quota,
			set->quota_account, out);
}

static void
begin(const char *settings, const char *rules)
{
	fake_world_begin(&world, settings);
	fake_world_put(&world, &table_domain, "example.com|1|0\n");
	fake_world_put(&world, &table_alias_domain,
		"alias.example|example.com|1\noff.example|example.com|0\n");
	fake_world_put(&world, &table_setting,
		"@example.org|throttle.count|domain\n");
	fake_world_put(&world, &table_throttle, rules);
}

static void
ask(const char *attributes, const char *to)
{
	char text[1000];

	snprintf(text, sizeof(text), "protocol_state=END-OF-MESSAGE\n%s",
		attributes);
	fake_world_ask(&world, text);
	if (to != NULL && strcmp(to, NOBODY) != 0)
		set_recipients(to);
}

static void
check_limits(const char *name, const char *expected)
{
	const struct limits *limits;
	struct str out;

	ck_assert(fact_limits(&world.facts, &limits));
	/* The fact outlives the snapshots. */
	fake_world_put(&world, &table_throttle, "");
	fake_world_put(&world, &table_setting, "");
	str_init(&out, 1 << 16);
	for (size_t i = 0; i < limits->n_sets; i++)
		print_set(&limits->sets[i], &out);
	ck_assert_msg(strcmp(str_text(&out), expected) == 0, "%s:\n%s\nnot\n%s",
		name, str_text(&out), expected);
	str_free(&out);
}

START_TEST(limits_are_found)
{
	const struct example *example = &examples[_i];

	begin("", example->rules);
	ck_assert_str_eq(fake_problems(), "");
	ask(example->attributes, example->recipients);
	check_limits(example->name, example->expected);
	fake_world_end(&world);
}
END_TEST

START_TEST(wildcards_with_more_stars_are_a_setting)
{
	static const char rule[] = "1|192.*.*.*|external|70|60|-1|5|-1|-1\n";

	begin("", rule);
	ask(FOREIGN, NULL);
	check_limits("two forms", "");
	fake_world_end(&world);
	begin(EVERY_WILDCARD_IP, rule);
	ask(FOREIGN, NULL);
	check_limits("all forms",
		"external bob@remote.example n1 msgs 5@1>192.*.*.*");
	fake_world_end(&world);
}
END_TEST

START_TEST(rows_that_make_no_sense_are_left_out)
{
	begin("", "1|@.|sideways|0|60|-1|5|-1|-1\n"
		  "2|192.0.2.0/33|inbound|0|60|-1|5|-1|-1\n"
		  "3|example.com|inbound|0|60|-1|5|-1|-1\n"
		  "4|10.0.0.1/8|external|0|60|-1|5|-1|-1\n"
		  "5|10.0.0.0/8|external|0|60|-1|6|-1|-1\n"
		  "6|2001:db8::1|external|0|60|-1|5|-1|-1\n"
		  "7|2001:DB8::0:1|external|0|60|-1|5|-1|-1\n"
		  "8|10.0.0.0/8|inbound|0|60|-1|7|-1|-1\n");
	ck_assert_str_eq(fake_problems(),
		"its kind is not outbound, inbound or external\n"
		"its account is not an address, a domain, a client or a "
		"network\n"
		"its account is not an address, a domain, a client or a "
		"network\n"
		"another rule of its kind is for the same account\n"
		"another rule of its kind is for the same account\n");
	ask("client_address=10.1.2.3\nsender=a@b.example\n" TO_U, NULL);
	check_limits("the others",
		"external a@b.example n1 msgs 5@4>10.0.0.1/8; "
		"inbound u@example.com n1 msgs 7@8>10.0.0.0/8");
	fake_world_end(&world);
}
END_TEST

/* Names of 127 labels, for as many recipients as there may be. */
START_TEST(the_worst_message_fits_into_the_arena)
{
	const struct limits *limits;
	struct str to;

	begin("",
		"1|@.|inbound|0|60|-1|-1|-1|9\n2|@.aa|inbound|40|60|-1|5|-1|-1\n");
	ask(FOREIGN, NULL);
	str_init(&to, 1 << 20);
	for (size_t i = 0; i < RECIPIENTS_MAX; i++) {
		str_printf(&to, "%su%zu@", i > 0 ? " " : "", i);
		for (size_t label = 0; label < 120; label++)
			str_append_text(&to, "a.");
		str_append_text(&to, "aa");
	}
	set_recipients(str_text(&to));
	ck_assert(fact_limits(&world.facts, &limits));
	ck_assert_uint_eq(limits->n_sets, RECIPIENTS_MAX);
	ck_assert_int_eq(limits->sets[999].max_msgs->max_msgs, 5);
	ck_assert_int_eq(limits->sets[999].max_rcpts->max_rcpts, 9);
	ck_assert_uint_lt(arena_used(world.arena), REQUEST_ARENA_MAX / 2);
	str_free(&to);
	fake_world_end(&world);
}
END_TEST

/* Rules that add nothing to those before them cost nothing. */
START_TEST(many_matching_rules_cost_no_more_than_four)
{
	const struct limits *limits;
	struct str rules, to;
	size_t before;

	str_init(&rules, 1 << 16);
	for (unsigned bits = 1; bits <= 32; bits++)
		str_printf(&rules,
			"%u|128.0.0.0/%u|inbound|%u|60|-1|%u|-1|-1\n", bits,
			bits, bits, bits);
	begin("", str_text(&rules));
	ask("client_address=128.0.0.0\nsender=a@b.example\n" TO_U, NULL);
	str_init(&to, 1 << 16);
	for (size_t i = 0; i < RECIPIENTS_MAX; i++)
		str_printf(&to, "%su%zu@example.com", i > 0 ? " " : "", i);
	set_recipients(str_text(&to));
	before = arena_used(world.arena);
	ck_assert(fact_limits(&world.facts, &limits));
	ck_assert_uint_eq(limits->n_sets, RECIPIENTS_MAX);
	ck_assert_int_eq(limits->sets[999].max_msgs->max_msgs, 32);
	ck_assert_uint_lt(arena_used(world.arena) - before,
		(RECIPIENTS_MAX + 10) * (sizeof(struct limit_set) + 64));
	str_free(&rules);
	str_free(&to);
	fake_world_end(&world);
}
END_TEST

START_TEST(limits_are_described)
{
	const struct limits *limits;
	struct str json, to;

	begin("", "1|@.|inbound|0|60|7|5|6|9\n");
	ask(FOREIGN TO_U, NULL);
	ck_assert(fact_limits(&world.facts, &limits));
	str_init(&json, 1 << 16);
	fact_kind_limits.describe(limits, &json);
	ck_assert_str_eq(str_text(&json),
		"{\"subjects\":[{\"kind\":\"inbound\",\"subject\":"
		"\"u@example.com\",\"messages\":1,"
		"\"msg_size\":{\"limit\":7,\"rule\":1,\"account\":\"@.\"},"
		"\"max_rcpts\":{\"limit\":9,\"rule\":1,\"account\":\"@.\"},"
		"\"max_msgs\":{\"limit\":5,\"rule\":1,\"account\":\"@.\","
		"\"period\":60,\"counts\":\"u@example.com\"},"
		"\"max_quota\":{\"limit\":6,\"rule\":1,\"account\":\"@.\","
		"\"period\":60,\"counts\":\"u@example.com\"}}]}");
	str_reset(&json);
	ask(FOREIGN, NULL);
	str_init(&to, 1 << 16);
	for (int i = 0; i < 25; i++)
		str_printf(&to, "%su%d@example.com", i > 0 ? " " : "", i);
	set_recipients(str_text(&to));
	ck_assert(fact_limits(&world.facts, &limits));
	fact_kind_limits.describe(limits, &json);
	ck_assert(slice_ends(str_slice(&json), SLICE("],\"more\":5}")));
	str_free(&to);
	str_free(&json);
	fake_world_end(&world);
}
END_TEST

START_TEST(kinds_have_names)
{
	enum throttle_kind kind;

	ck_assert(throttle_kind_parse(SLICE("External"), &kind));
	ck_assert_int_eq(kind, THROTTLE_EXTERNAL);
	ck_assert_str_eq(throttle_kind_name(THROTTLE_INBOUND), "inbound");
	ck_assert(!throttle_kind_parse(SLICE("in"), &kind));
}
END_TEST

START_TEST(the_fact_waits_for_its_tables)
{
	const struct limits *limits;

	fake_world_begin(&world, "");
	ask(FOREIGN, NULL);
	ck_assert(!fact_limits(&world.facts, &limits));
	ck_assert_ptr_nonnull(fake_waiting());
	facts_give_up(&world.facts, "too late");
	ck_assert_ptr_null(fake_waiting());
	fake_world_end(&world);
}
END_TEST

int
main(void)
{
	Suite *suite = suite_create("limits");
	TCase *tc = tcase_create("limits");

	tcase_add_loop_test(tc, limits_are_found, 0, N(examples));
	tcase_add_test(tc, wildcards_with_more_stars_are_a_setting);
	tcase_add_test(tc, rows_that_make_no_sense_are_left_out);
	tcase_add_test(tc, the_worst_message_fits_into_the_arena);
	tcase_add_test(tc, many_matching_rules_cost_no_more_than_four);
	tcase_add_test(tc, limits_are_described);
	tcase_add_test(tc, kinds_have_names);
	tcase_add_test(tc, the_fact_waits_for_its_tables);
	suite_add_tcase(suite, tc);

	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
