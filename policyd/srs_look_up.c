#include "policyd/srs_look_up.h"

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/mail/address.h"
#include "common/mail/srs.h"
#include "policyd/facts/domains.h"
#include "policyd/facts/host.h"
#include "policyd/facts/srs_exclude.h"
#include "policyd/sources.h"

static const char not_an_address[] = "Not a valid email address, bypassed.";
static const char too_long[] = "Address would be too long, bypassed.";
static const char not_read[] =
	"The tables with mail domains were not read yet, try again later.";

void
srs_of_config(const struct config *config, struct srs *out)
{
	out->domain = slice_of(config->srs.domain);
	srs_secrets(out, slice_of(config->srs.secrets));
}

static struct srs_answer
answer(enum postfix_map_status status, const char *text)
{
	return (struct srs_answer){ status, slice_of(text) };
}

/* --- encode ------------------------------------------------------------- */

/* Why an address is not rewritten, or NULL. False: not known yet. */
static bool
find_reason(const struct sources *sources, const struct address *address,
	const char **reason)
{
	const struct slice domain = address->domain;
	struct domain_state state;
	bool is_excluded;

	*reason = NULL;
	if (!address->is_plain)
		*reason = not_an_address;
	else if (slice_case_eq(domain, slice_of(sources->config->srs.domain)))
		*reason = "Domain is srs_domain, bypassed.";
	else if (host_names_have(sources->host_names, domain))
		*reason = "Domain is server hostname, bypassed.";
	if (*reason != NULL)
		return true;
	if (!domain_look_up(sources->tables, domain, &state) ||
		!srs_exclude_look_up(sources->tables, domain, &is_excluded))
		return false;
	if (state.is_local)
		*reason = "Domain is a local mail domain, bypassed.";
	else if (is_excluded)
		*reason = "Domain is explicitly excluded, bypassed.";
	return true;
}

static struct srs_answer
encode(const struct sources *sources, const struct srs *srs, struct slice text,
	struct arena *arena, struct str *out)
{
	const struct address address = address_parse(arena, text, SLICE(""));
	const char *reason;

	if (!find_reason(sources, &address, &reason))
		return answer(POSTFIX_MAP_TEMPORARY, not_read);
	if (reason != NULL)
		return answer(POSTFIX_MAP_NOT_FOUND, reason);
	switch (srs_encode(srs, clock_wall(), text, out)) {
	case SRS_DONE:
		return (struct srs_answer){ POSTFIX_MAP_FOUND, str_slice(out) };
	case SRS_TOO_LONG:
		return answer(POSTFIX_MAP_NOT_FOUND, too_long);
	case SRS_NOT_AN_ADDRESS:
	case SRS_NOT_SRS:
	case SRS_OTHER_DOMAIN:
	case SRS_WRONG_HASH:
	case SRS_EXPIRED:
		break;
	}
	return answer(POSTFIX_MAP_NOT_FOUND, not_an_address);
}

/* --- decode ------------------------------------------------------------- */

static struct srs_answer
decode(const struct srs *srs, struct slice text, struct str *out)
{
	static const char *const reasons[] = {
		[SRS_NOT_AN_ADDRESS] = not_an_address,
		[SRS_NOT_SRS] = "Not a valid SRS address, bypassed.",
		[SRS_OTHER_DOMAIN] = "Not an address of srs_domain, bypassed.",
		[SRS_WRONG_HASH] = "The hash is wrong.",
		[SRS_EXPIRED] = "The address has expired.",
		[SRS_TOO_LONG] = too_long,
	};
	const enum srs_result result = srs_decode(srs, clock_wall(), text, out);

	if (result == SRS_DONE)
		return (struct srs_answer){ POSTFIX_MAP_FOUND, str_slice(out) };
	if (result == SRS_WRONG_HASH || result == SRS_EXPIRED)
		metric_add(METRIC_SRS_FORGED, 1);
	return answer(POSTFIX_MAP_NOT_FOUND, reasons[result]);
}

/* --- both --------------------------------------------------------------- */

static void
count(enum srs_direction direction, enum postfix_map_status status)
{
	if (status == POSTFIX_MAP_TEMPORARY)
		metric_add(METRIC_SRS_UNAVAILABLE, 1);
	else if (status != POSTFIX_MAP_FOUND)
		metric_add(METRIC_SRS_LEFT, 1);
	else
		metric_add(direction == SRS_FORWARD ? METRIC_SRS_ENCODED
						    : METRIC_SRS_DECODED,
			1);
}

static struct srs_answer
look_up(const struct sources *sources, enum srs_direction direction,
	struct slice address, struct arena *arena)
{
	struct srs_answer out;
	struct str other;
	struct srs srs;

	srs_of_config(sources->config, &srs);
	if (srs.n_secrets == 0 || srs.domain.len == 0)
		return answer(POSTFIX_MAP_TEMPORARY, "SRS is switched off.");
	if (address.len > SRS_INPUT_MAX)
		return answer(POSTFIX_MAP_NOT_FOUND, too_long);
	str_init(&other, SRS_INPUT_MAX);
	out = direction == SRS_FORWARD
		      ? encode(sources, &srs, address, arena, &other)
		      : decode(&srs, address, &other);
	if (out.status == POSTFIX_MAP_FOUND)
		out.text = slice_copy(arena, out.text);
	str_free(&other);
	return out;
}

struct srs_answer
srs_look_up(const struct sources *sources, enum srs_direction direction,
	struct slice address, struct arena *arena)
{
	const struct srs_answer out =
		look_up(sources, direction, slice_trim(address), arena);

	count(direction, out.status);
	return out;
}
