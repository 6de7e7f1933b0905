#include "policyd/authentication.h"

#include "policyd/request.h"

static bool
is_yes(const struct request *req, enum attribute attribute)
{
	return slice_eq(req->attribute[attribute], SLICE("yes"));
}

static bool
read_result(struct slice text, enum dmarc_result *out)
{
	for (int i = 0; i < DMARC_RESULT_COUNT; i++) {
		*out = (enum dmarc_result)i;
		if (slice_eq_text(text, dmarc_result_name(*out)))
			return true;
	}
	return false;
}

static enum dmarc_policy
read_policy(struct slice text)
{
	if (slice_eq(text, SLICE("reject")))
		return DMARC_POLICY_REJECT;
	if (slice_eq(text, SLICE("quarantine")))
		return DMARC_POLICY_QUARANTINE;
	return DMARC_POLICY_NONE;
}

static bool
read_spf(struct slice text, enum spf_result *out)
{
	for (int i = 0; i < SPF_RESULT_COUNT; i++) {
		*out = (enum spf_result)i;
		if (slice_eq_text(text, spf_result_name(*out)))
			return true;
	}
	return false;
}

/* Each of the addresses can be read, but they are not of one domain. */
static bool
names_several_domains(const struct request *req)
{
	for (size_t i = 1; i < req->n_authors; i++)
		if (!slice_eq(req->authors[i].domain, req->authors[0].domain))
			return true;
	return false;
}

void
authentication_read(const struct request *req, struct authentication *out)
{
	const struct slice *attribute = req->attribute;

	*out = (struct authentication){
		.policy = read_policy(attribute[ATTRIBUTE_dmarc_policy]),
		.requested = read_policy(attribute[ATTRIBUTE_dmarc_requested]),
		.domain = attribute[ATTRIBUTE_dmarc_domain],
		.policy_domain = attribute[ATTRIBUTE_dmarc_policy_domain],
		.record = attribute[ATTRIBUTE_dmarc_record],
		.is_dkim_aligned = is_yes(req, ATTRIBUTE_dmarc_dkim_aligned),
		.is_spf_aligned = is_yes(req, ATTRIBUTE_dmarc_spf_aligned),
		.spf_domain = attribute[ATTRIBUTE_spf_domain],
		.is_spf_of_helo = is_yes(req, ATTRIBUTE_spf_is_helo),
		.from_problem = attribute[ATTRIBUTE_header_from_problem],
		.has_arc = slice_eq(attribute[ATTRIBUTE_arc_result],
			SLICE("pass")),
		.arc_sealer = attribute[ATTRIBUTE_arc_sealer],
		.arc_dmarc = attribute[ATTRIBUTE_arc_dmarc],
	};
	if (out->from_problem.len == 0 && names_several_domains(req))
		out->from_problem = SLICE("names several domains");
	out->is_judged =
		read_result(attribute[ATTRIBUTE_dmarc_result], &out->dmarc);
	out->has_spf = read_spf(attribute[ATTRIBUTE_spf_result], &out->spf);
}

void
authentication_read_signature(struct slice text,
	struct authentication_signature *out)
{
	*out = (struct authentication_signature){ .result = SLICE("") };
	if (slice_split(&text, ' ', &out->result) &&
		slice_split(&text, ' ', &out->domain))
		(void)slice_split(&text, ' ', &out->selector);
}
