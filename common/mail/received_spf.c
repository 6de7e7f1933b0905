#include "common/mail/received_spf.h"

#include "common/mail/header_token.h"

/*
 * Octets between the quotes: an address may have 254 (RFC 5321, 4.5.3.1.3).
 * The longest of all fit on a line together.
 */
#define SENDER_MAX 256u
#define NAME_MAX   128u
#define TEXT_MAX   100u

/* What a person is told. */
static const char *
comment_of(enum spf_result result)
{
	switch (result) {
	case SPF_NONE:
		return "the domain has no SPF record";
	case SPF_NEUTRAL:
		return "the domain does not say";
	case SPF_PASS:
		return "the domain authorizes the client";
	case SPF_FAIL:
		return "the domain does not authorize the client";
	case SPF_SOFTFAIL:
		return "the domain probably does not authorize the client";
	case SPF_TEMPERROR:
		return "the DNS did not answer";
	case SPF_PERMERROR:
		return "the records of the domain are wrong";
	}
	return "";
}

static void
append_pair(struct str *out, const char *key, struct slice value, size_t max)
{
	if (value.len == 0)
		return;
	str_printf(out, "; %s=", key);
	header_append_quoted(out, value, max);
}

void
received_spf_write(const struct received_spf *field, struct str *out)
{
	char client[IP_TEXT_MAX];

	str_printf(out, "Received-SPF: %s (%s) client-ip=%s",
		spf_result_name(field->result), comment_of(field->result),
		ip_format(&field->client, client));
	str_append_text(out, "; envelope-from=");
	header_append_quoted(out, field->sender, SENDER_MAX);
	append_pair(out, "helo", field->helo, NAME_MAX);
	append_pair(out, "receiver", field->receiver, NAME_MAX);
	str_printf(out, "; identity=%s", field->is_helo ? "helo" : "mailfrom");
	append_pair(out, "mechanism", field->mechanism, TEXT_MAX);
	append_pair(out, "problem", field->problem, TEXT_MAX);
}
