#include "common/mail/auth_results.h"

#include <assert.h>

#include "common/base/mem.h"
#include "common/mail/ip.h"

void
auth_results_init(struct auth_results *results, struct arena *arena,
	struct slice authserv_id)
{
	*results = (struct auth_results){ .arena = arena,
		.authserv_id = authserv_id };
}

struct auth_result *
auth_results_add(struct auth_results *results, const char *method,
	const char *result)
{
	struct auth_result *added =
		arena_new_object(results->arena, struct auth_result);

	assert(results->n < AUTH_RESULTS_MAX);
	added->method = slice_of(method);
	added->result = slice_of(result);
	if (results->last == NULL)
		results->first = added;
	else
		results->last->next = added;
	results->last = added;
	results->n++;
	return added;
}

void
auth_result_add(struct auth_result *result, const char *type, const char *name,
	struct slice value)
{
	if (value.len == 0)
		return;
	assert(result->n_properties < AUTH_PROPERTIES_MAX);
	result->properties[result->n_properties++] = (struct auth_property){
		.type = slice_of(type),
		.name = slice_of(name),
		.value = value,
	};
}

/* --- SPF, iprev, auth --------------------------------------------------- */

void
auth_results_add_spf(struct auth_results *results, enum spf_result result,
	struct slice sender, struct slice helo)
{
	struct auth_result *added =
		auth_results_add(results, "spf", spf_result_name(result));

	auth_result_add(added, "smtp", "mailfrom", sender);
	auth_result_add(added, "smtp", "helo", helo);
}

static void
add_ip(const struct auth_results *results, struct auth_result *result,
	const char *type, const char *name, const struct ip *ip)
{
	char text[IP_TEXT_MAX];

	auth_result_add(result, type, name,
		slice_copy(results->arena, slice_of(ip_format(ip, text))));
}

void
auth_results_add_iprev(struct auth_results *results, const char *result,
	const struct ip *client)
{
	add_ip(results, auth_results_add(results, "iprev", result), "policy",
		"iprev", client);
}

void
auth_results_add_auth(struct auth_results *results, const char *result,
	struct slice mechanism, struct slice login)
{
	struct auth_result *added = auth_results_add(results, "auth", result);

	added->comment = mechanism;
	auth_result_add(added, "smtp", "auth", login);
}

/* --- DKIM --------------------------------------------------------------- */

/* RFC 6008, 4: at least so many characters of b=. */
#define PREFIX_MIN 8u

/* b= may be folded as its writer liked. */
static struct slice
without_blanks(struct arena *arena, struct slice text)
{
	char *out = arena_alloc(arena, text.len + 1);
	size_t n = 0;

	for (size_t i = 0; i < text.len; i++)
		if (slice_trim(slice_part(text, i, i + 1)).len > 0)
			out[n++] = text.ptr[i];
	return (struct slice){ out, n };
}

static size_t
common_len(struct slice a, struct slice b)
{
	size_t n = 0;

	while (n < a.len && n < b.len && a.ptr[n] == b.ptr[n])
		n++;
	return n;
}

/* How much of the i-th tells it apart from the others that differ from it. */
static size_t
prefix_len(const struct slice *all, size_t n, size_t i)
{
	size_t needed = PREFIX_MIN;

	for (size_t other = 0; other < n; other++) {
		const size_t len = common_len(all[i], all[other]);

		if (!slice_eq(all[i], all[other]) && len >= needed)
			needed = len + 1;
	}
	return needed;
}

static void
add_signature(struct auth_results *results, const struct auth_dkim *signature,
	struct slice b)
{
	struct auth_result *added =
		auth_results_add(results, "dkim", signature->result);

	added->reason = signature->reason;
	added->comment = signature->comment;
	auth_result_add(added, "header", "d", signature->domain);
	auth_result_add(added, "header", "i", signature->identity);
	auth_result_add(added, "header", "s", signature->selector);
	auth_result_add(added, "header", "a", signature->algorithm);
	auth_result_add(added, "header", "b", b);
}

void
auth_results_add_dkim(struct auth_results *results,
	const struct auth_dkim *signatures, size_t n)
{
	struct slice *all = arena_new_array(results->arena, n, struct slice);

	if (n == 0)
		(void)auth_results_add(results, "dkim", "none");
	for (size_t i = 0; i < n; i++)
		all[i] =
			without_blanks(results->arena, signatures[i].signature);
	for (size_t i = 0; i < n; i++)
		add_signature(results, &signatures[i],
			slice_part(all[i], 0, prefix_len(all, n, i)));
}

/* --- DMARC, ARC --------------------------------------------------------- */

void
auth_results_add_dmarc(struct auth_results *results,
	const struct auth_dmarc *dmarc)
{
	struct auth_result *added =
		auth_results_add(results, "dmarc", dmarc->result);

	added->reason = dmarc->reason;
	added->comment = dmarc->comment;
	auth_result_add(added, "header", "from", dmarc->from);
	auth_result_add(added, "polrec", "p", dmarc->policy);
	/* Only "if different from the RFC5322.From domain". */
	if (!slice_case_eq(dmarc->policy_domain, dmarc->from))
		auth_result_add(added, "polrec", "domain",
			dmarc->policy_domain);
}

void
auth_results_add_arc(struct auth_results *results, const struct auth_arc *arc)
{
	struct auth_result *added =
		auth_results_add(results, "arc", arc->result);

	added->reason = arc->reason;
	added->comment = arc->comment;
	if (arc->client != NULL)
		add_ip(results, added, "smtp", "remote-ip", arc->client);
	if (slice_eq_text(added->result, "pass"))
		auth_result_add(added, "header", "oldest-pass",
			slice_of(arena_printf(results->arena, "%u",
				arc->oldest_pass)));
}
