/*
 * The answer of a DNS server that anybody may have written: what is
 * understood stays within its bounds, and names come out as they went in. The
 * first byte chooses the type, the question is for "a.test".
 */

#include "common/mail/dns_message.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(struct slice text)
{
	char again[DNS_NAME_TEXT_MAX];
	struct dns_name name;

	assert(text.len > 0 && text.len < DNS_NAME_TEXT_MAX);
	assert(dns_name_parse(text, &name));
	assert(slice_eq_text(text, dns_name_format(&name, again)));
}

static void
check_record(const struct dns_record *record, enum dns_type type)
{
	if (type == DNS_TYPE_MX || type == DNS_TYPE_PTR)
		check_name(record->name);
	if (type == DNS_TYPE_TXT)
		assert(record->text.len < DNS_MESSAGE_MAX);
	assert((record->address.family == IP_V4) == (type == DNS_TYPE_A));
	assert((record->address.family == IP_V6) == (type == DNS_TYPE_AAAA));
}

static void
check(const struct dns_message *message, enum dns_type type)
{
	assert(message->n_records <= DNS_RECORDS_MAX);
	assert(message->n_aliases <= DNS_ALIASES_MAX);
	assert(message->ttl <= INT32_MAX);
	check_name(message->final_name);
	for (size_t i = 0; i < message->n_records; i++)
		check_record(&message->records[i], type);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum dns_type types[] = { DNS_TYPE_A, DNS_TYPE_AAAA,
		DNS_TYPE_MX, DNS_TYPE_PTR, DNS_TYPE_TXT };
	struct arena *arena = arena_new(DNS_ANSWER_ARENA_MAX);
	struct dns_message message;
	struct dns_name name;
	const char *err = NULL;
	enum dns_type type;

	if (size > 0) {
		const struct slice bytes = { (const char *)data + 1, size - 1 };

		type = types[data[0] % (sizeof(types) / sizeof(types[0]))];
		dns_name_parse(SLICE("a.test"), &name);
		if (dns_message_parse(arena, bytes, &name, type, &message,
			    &err) == 0)
			check(&message, type);
		else
			assert(err != NULL && err[0] != '\0');
	}
	arena_free(arena);
	return 0;
}
