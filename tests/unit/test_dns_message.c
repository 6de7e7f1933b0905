#include "common/mail/dns_message.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/mem.h"

static struct arena *arena;
static uint8_t packet[DNS_MESSAGE_MAX + 1];
static size_t len;
static struct dns_message message;
static const char *err;

/* --- making messages ---------------------------------------------------- */

static void
put8(unsigned byte)
{
	ck_assert_uint_lt(len, sizeof(packet));
	packet[len++] = (uint8_t)byte;
}

static void
put16(unsigned number)
{
	put8(number >> 8);
	put8(number & 0xff);
}

static void
put32(uint32_t number)
{
	put16(number >> 16);
	put16(number & 0xffff);
}

static void
put_bytes(const char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put8((uint8_t)bytes[i]);
}

static void
put_name(const char *text)
{
	struct dns_name name;

	ck_assert(dns_name_parse(slice_of(text), &name));
	put_bytes((const char *)name.wire, name.len);
}

/* A question for example.com; the sections come behind. */
static void
begin(unsigned rcode, unsigned n_answer, unsigned n_authority)
{
	len = 0;
	put16(1234);
	put16(0x8180 | rcode);
	put16(1);
	put16(n_answer);
	put16(n_authority);
	put16(0);
	put_name("example.com");
	put16(255);
	put16(1);
}

static void
put_head(const char *owner, unsigned type, uint32_t ttl, unsigned n_data)
{
	put_name(owner);
	put16(type);
	put16(1);
	put32(ttl);
	put16(n_data);
}

static void
put_record(const char *owner, unsigned type, uint32_t ttl, const char *data,
	size_t n_data)
{
	put_head(owner, type, ttl, (unsigned)n_data);
	put_bytes(data, n_data);
}

#define RECORD(owner, type, ttl, data) \
	put_record(owner, type, ttl, data, sizeof(data) - 1)

static bool
parse(enum dns_type type)
{
	const struct slice bytes = { (const char *)packet, len };
	struct dns_name name;

	arena_free(arena);
	arena = arena_new(DNS_ANSWER_ARENA_MAX);
	ck_assert(dns_name_parse(SLICE("Example.com"), &name));
	return dns_message_parse(arena, bytes, &name, type, &message, &err) ==
	       0;
}

static void
assert_error(enum dns_type type, const char *text)
{
	ck_assert(!parse(type));
	ck_assert_str_eq(err, text);
}

/* --- what is there ------------------------------------------------------ */

START_TEST(reads_addresses)
{
	char text[IP_TEXT_MAX];

	begin(0, 3, 0);
	RECORD("example.com", 1, 300, "\x7f\0\0\2");
	RECORD("EXAMPLE.com", 1, 60, "\x7f\0\0\x0a");
	RECORD("other.com", 1, 5, "\x7f\0\0\3");
	ck_assert(parse(DNS_TYPE_A));
	ck_assert_uint_eq(message.n_records, 2);
	ck_assert_str_eq(ip_format(&message.records[0].address, text),
		"127.0.0.2");
	ck_assert_str_eq(ip_format(&message.records[1].address, text),
		"127.0.0.10");
	ck_assert_uint_eq(message.ttl, 60);
	ck_assert_str_eq(message.final_name.ptr, "example.com");
	ck_assert_uint_eq(message.n_aliases, 0);

	begin(0, 1, 0);
	RECORD("example.com", 28, 7, "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1");
	ck_assert(parse(DNS_TYPE_AAAA));
	ck_assert_str_eq(ip_format(&message.records[0].address, text),
		"2001:db8::1");
}
END_TEST

START_TEST(joins_the_strings_of_a_text)
{
	begin(0, 3, 0);
	RECORD("example.com", 16, 1, "\7v=spf1 \5-all\0");
	RECORD("example.com", 16, 1, "\0");
	RECORD("example.com", 16, 1, "\4\0\"\xff\\");
	ck_assert(parse(DNS_TYPE_TXT));
	ck_assert_uint_eq(message.n_records, 3);
	ck_assert(slice_eq(message.records[0].text, SLICE("v=spf1 -all\0")));
	ck_assert_uint_eq(message.records[1].text.len, 0);
	ck_assert(slice_eq(message.records[2].text, SLICE("\0\"\xff\\")));
}
END_TEST

START_TEST(reads_compressed_names)
{
	begin(0, 2, 0);
	/* The question's name is at 12; its "com" at 20. */
	put_record("example.com", 15, 1, "\0\x0a\4Mail\xc0\x0c", 9);
	put_record("example.com", 15, 1, "\0\0\0", 3);
	ck_assert(parse(DNS_TYPE_MX));
	ck_assert_uint_eq(message.records[0].preference, 10);
	ck_assert_str_eq(message.records[0].name.ptr, "mail.example.com");
	ck_assert_str_eq(message.records[1].name.ptr, ".");

	begin(0, 1, 0);
	put_record("example.com", 12, 1, "\3a.b\xc0\x14", 6);
	ck_assert(parse(DNS_TYPE_PTR));
	ck_assert_str_eq(message.records[0].name.ptr, "a\\.b.com");
}
END_TEST

START_TEST(follows_aliases)
{
	begin(0, 4, 0);
	RECORD("example.com", 5, 100, "\1b\1x\0");
	RECORD("c.x", 1, 200, "\x7f\0\0\1");
	RECORD("b.x", 5, 50, "\1c\1x\0");
	RECORD("example.com", 1, 1, "\x7f\0\0\2");
	ck_assert(parse(DNS_TYPE_A));
	ck_assert_uint_eq(message.n_aliases, 2);
	ck_assert_str_eq(message.final_name.ptr, "c.x");
	/* An alias has nothing else (RFC 1034, 3.6.2). */
	ck_assert_uint_eq(message.n_records, 1);
	ck_assert_uint_eq(message.records[0].address.bytes[3], 1);
	ck_assert_uint_eq(message.ttl, 50);
}
END_TEST

START_TEST(takes_the_negative_ttl_from_the_soa)
{
	static const struct {
		uint32_t ttl, minimum, expected;
	} rows[] = { { 900, 60, 60 }, { 30, 600, 30 }, { 0, 60, 0 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(DNS_RCODE_NAME_ERROR, 0, 2);
		RECORD("example.com", 2, 5, "\0");
		put_head("com", 6, rows[i].ttl, 2 + 5 * 4);
		put_name(".");
		put_name(".");
		for (int j = 0; j < 4; j++)
			put32(1);
		put32(rows[i].minimum);
		ck_assert(parse(DNS_TYPE_A));
		ck_assert_uint_eq(message.rcode, DNS_RCODE_NAME_ERROR);
		ck_assert_uint_eq(message.n_records, 0);
		ck_assert_uint_eq(message.ttl, rows[i].expected);
	}
	begin(0, 0, 0);
	ck_assert(parse(DNS_TYPE_A));
	ck_assert_uint_eq(message.ttl, 0);
}
END_TEST

START_TEST(ignores_other_classes_and_large_ttls)
{
	begin(0, 2, 0);
	RECORD("example.com", 1, 0x80000001u, "\x7f\0\0\1");
	RECORD("example.com", 1, 9, "\x7f\0\0\2");
	packet[len - 4 - 2 - 4 - 1] = 3; /* CHAOS */
	ck_assert(parse(DNS_TYPE_A));
	ck_assert_uint_eq(message.n_records, 1);
	ck_assert_uint_eq(message.ttl, 0);
}
END_TEST

/* --- what is hostile ---------------------------------------------------- */

START_TEST(refuses_any_beginning_of_a_message)
{
	size_t whole;

	begin(0, 2, 0);
	put_record("example.com", 15, 1, "\0\x0a\4Mail\xc0\x0c", 9);
	RECORD("example.com", 15, 1, "\0\1\0");
	ck_assert(parse(DNS_TYPE_MX));
	whole = len;
	for (len = 0; len < whole; len++)
		ck_assert_msg(!parse(DNS_TYPE_MX), "%zu bytes", len);
	len = whole;
	packet[7] = 3;
	assert_error(DNS_TYPE_MX, "a record of its answer is malformed");
}
END_TEST

START_TEST(refuses_names_that_run_in_circles)
{
	static const struct {
		const char *name;
		uint8_t high, low;
	} rows[] = {
		{ "itself", 0xc0, 29 },
		{ "forward", 0xc0, 31 },
		{ "end", 0xff, 0xff },
		{ "label type 01", 0x40, 12 },
		{ "label type 10", 0x80, 12 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(0, 1, 0);
		ck_assert_uint_eq(len, 29);
		put8(rows[i].high);
		put8(rows[i].low);
		put16(1);
		put16(1);
		put32(1);
		put16(4);
		put32(0x7f000001);
		ck_assert_msg(!parse(DNS_TYPE_A), "%s", rows[i].name);
	}
	/* Each of two points to the other. */
	begin(0, 1, 0);
	put_record("example.com", 12, 1, "\1a\xc0\x34", 4);
	put_bytes("\1b\xc0\x30", 4);
	assert_error(DNS_TYPE_PTR, "a record does not hold what its type says");
}
END_TEST

START_TEST(refuses_a_name_that_grows_too_long)
{
	begin(0, 1, 0);
	put_head("example.com", 12, 1, 5 * 64 + 1);
	for (int i = 0; i < 5; i++) {
		put8(63);
		for (int j = 0; j < 63; j++)
			put8('x');
	}
	put8(0);
	assert_error(DNS_TYPE_PTR, "a record does not hold what its type says");
}
END_TEST

START_TEST(refuses_data_of_the_wrong_length)
{
	static const struct {
		const char *name;
		enum dns_type type;
		const char *data;
		size_t n;
	} rows[] = {
		{ "A, short", DNS_TYPE_A, "\1\2\3", 3 },
		{ "A, long", DNS_TYPE_A, "\1\2\3\4\5", 5 },
		{ "AAAA as A", DNS_TYPE_AAAA, "\1\2\3\4", 4 },
		{ "MX without name", DNS_TYPE_MX, "\0\1", 2 },
		{ "PTR with more", DNS_TYPE_PTR, "\1a\0\0", 4 },
		{ "PTR that ends", DNS_TYPE_PTR, "\1a", 2 },
		{ "TXT that ends", DNS_TYPE_TXT, "\5abc", 4 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(0, 1, 0);
		put_record("example.com", rows[i].type, 1, rows[i].data,
			rows[i].n);
		/* What it may not read into. */
		put_bytes("\0\0\0\0\0\0\0\0", 8);
		ck_assert_msg(!parse(rows[i].type), "%s", rows[i].name);
	}
}
END_TEST

START_TEST(refuses_aliases_without_end)
{
	begin(0, 2, 0);
	RECORD("example.com", 5, 1, "\1b\1x\0");
	put_head("b.x", 5, 1, 13);
	put_name("example.com");
	assert_error(DNS_TYPE_A, "its aliases do not come to an end");
}
END_TEST

START_TEST(refuses_more_than_it_holds)
{
	for (unsigned more = 0; more < 2; more++) {
		const unsigned n = DNS_RECORDS_MAX + more;

		begin(0, n, 0);
		for (unsigned i = 0; i < n; i++)
			put_record("example.com", 16, 1, "\1x", 2);
		ck_assert_int_eq(parse(DNS_TYPE_TXT), more == 0);
	}
	ck_assert_str_eq(err, "it has too many records");
	/* The longest names, each from a few bytes: all fits the arena. */
	begin(0, DNS_RECORDS_MAX, 0);
	put_head("example.com", 12, 1, 255);
	for (int i = 0; i < 4; i++) {
		put8(i < 3 ? 63 : 61);
		for (int j = 0; j < (i < 3 ? 63 : 61); j++)
			put8(0xff);
	}
	put8(0);
	for (unsigned i = 1; i < DNS_RECORDS_MAX; i++)
		put_record("example.com", 12, 1, "\xc0\x34", 2);
	ck_assert(parse(DNS_TYPE_PTR));
	ck_assert_uint_eq(message.records[255].name.len, 4 * 250 + 3);
}
END_TEST

static void
setup(void)
{
	arena = NULL;
	memset(packet, 0, sizeof(packet));
}

static void
teardown(void)
{
	arena_free(arena);
}

int
main(void)
{
	Suite *suite = suite_create("dns_message");
	TCase *tcase = tcase_create("dns_message");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, reads_addresses);
	tcase_add_test(tcase, joins_the_strings_of_a_text);
	tcase_add_test(tcase, reads_compressed_names);
	tcase_add_test(tcase, follows_aliases);
	tcase_add_test(tcase, takes_the_negative_ttl_from_the_soa);
	tcase_add_test(tcase, ignores_other_classes_and_large_ttls);
	tcase_add_test(tcase, refuses_any_beginning_of_a_message);
	tcase_add_test(tcase, refuses_names_that_run_in_circles);
	tcase_add_test(tcase, refuses_a_name_that_grows_too_long);
	tcase_add_test(tcase, refuses_data_of_the_wrong_length);
	tcase_add_test(tcase, refuses_aliases_without_end);
	tcase_add_test(tcase, refuses_more_than_it_holds);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
