#include "common/mail/address.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/base/num.h"
#include "common/mail/ip.h"

/* RFC 1035, 2.3.4, without the root's dot. */
#define DOMAIN_MAX 253
#define LABELS_MAX 127
_Static_assert(ADDRESS_FORMS_MAX >= LABELS_MAX + 3, "a form for each label");

static struct slice
slice_between(const char *from, const char *to)
{
	return (struct slice){ from, (size_t)(to - from) };
}

/* Domain names */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_name_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       is_digit(c) || c == '-' || c == '_' || (unsigned char)c > 127;
}

static bool
is_label(struct slice label)
{
	for (size_t i = 0; i < label.len; i++) {
		if (!is_name_byte(label.ptr[i]))
			return false;
	}
	return label.len > 0;
}

/* A last label: the digits of an IPv4 address are none. */
static bool
is_top_label(struct slice label)
{
	bool is_number = true;

	for (size_t i = 0; i < label.len; i++)
		is_number = is_number && is_digit(label.ptr[i]);
	return label.len >= 2 && !is_number && is_label(label) &&
	       slice_is_utf8(label);
}

bool
domain_is_plain(struct slice name)
{
	ptrdiff_t last_dot = slice_find_last(name, '.');
	struct slice rest, label;

	if (last_dot < 0 || name.len > DOMAIN_MAX || !slice_is_utf8(name))
		return false;
	rest = slice_part(name, 0, (size_t)last_dot);
	if (rest.len == 0)
		return false;
	while (slice_split(&rest, '.', &label)) {
		if (!is_label(label))
			return false;
	}
	return is_top_label(slice_from(name, (size_t)last_dot + 1));
}

/* Addresses */

/*
 * Postfix hands over a local part without its quotes, so that any printable
 * byte may come; to refuse one would take the sender out of every policy.
 */
static bool
is_local_part(struct slice local)
{
	for (size_t i = 0; i < local.len; i++) {
		unsigned char c = (unsigned char)local.ptr[i];

		if (c < ' ' || c == 0x7f)
			return false;
	}
	return local.len > 0 && slice_is_utf8(local);
}

/*
 * iRedAPD judged the beginning of a domain only; what clients really append
 * is a slash and something. The slash stays in the domain, which therefore
 * is not the domain before it.
 */
static bool
is_mail_domain(struct slice domain)
{
	ptrdiff_t slash = slice_find(domain, '/');

	return slash < 0 ? domain_is_plain(domain)
			 : domain.len <= DOMAIN_MAX && is_local_part(domain) &&
				   domain_is_plain(slice_part(domain, 0,
					   (size_t)slash));
}

/*
 * Addresses whose local part was made by a program and may hold a delimiter
 * by chance. Without the part before it nothing could find the way back.
 */
static bool
is_encoded(struct slice local)
{
	if (slice_starts(local, SLICE("prvs=")))
		return true;
	return local.len > 4 &&
	       (slice_starts(local, SLICE("srs0")) ||
		       slice_starts(local, SLICE("srs1"))) &&
	       (local.ptr[4] == '=' || local.ptr[4] == '+' ||
		       local.ptr[4] == '-');
}

/* Where the hyphen belongs to the name, as Postfix' split_addr() has it. */
static bool
is_hyphen_name(struct slice local)
{
	return slice_eq_text(local, "mailer-daemon") ||
	       slice_eq_text(local, "double-bounce") ||
	       slice_starts(local, SLICE("owner-")) ||
	       slice_ends(local, SLICE("-request"));
}

static struct slice
without_extension(struct slice local, struct slice delimiters)
{
	size_t cut = local.len;

	if (delimiters.len == 0 || local.len == 0 || local.ptr[0] == '"' ||
		is_encoded(local))
		return local;
	for (size_t i = 0; i < delimiters.len; i++) {
		ptrdiff_t at = slice_find(local, delimiters.ptr[i]);

		if (at >= 0 && (size_t)at < cut)
			cut = (size_t)at;
	}
	if (cut == 0 ||
		(slice_has_byte(delimiters, '-') && is_hyphen_name(local)))
		return local;
	return slice_part(local, 0, cut);
}

/* The bytes of local@domain, in one piece. */
static struct slice
join(struct arena *arena, struct slice local, struct slice domain)
{
	size_t len = local.len + 1 + domain.len;
	char *bytes = arena_alloc(arena, len + 1);

	if (local.len > 0)
		memcpy(bytes, local.ptr, local.len);
	bytes[local.len] = '@';
	if (domain.len > 0)
		memcpy(bytes + local.len + 1, domain.ptr, domain.len);
	return (struct slice){ bytes, len };
}

static bool
can_be_stored(struct slice local, struct slice domain)
{
	return local.len + 1 + domain.len <= ADDRESS_MAX &&
	       is_local_part(local) && is_mail_domain(domain);
}

struct address
address_parse(struct arena *arena, struct slice text, struct slice delimiters)
{
	struct slice full = slice_lower(arena, slice_trim(text));
	struct address out = { .full = full, .bare = full, .local = full };
	ptrdiff_t at = slice_find_last(full, '@');
	struct slice local;
	bool can_be_whole;

	if (at < 0)
		return out;
	/* The name with the root's dot is the same name. */
	if (full.ptr[full.len - 1] == '.')
		out.full = out.bare = full = slice_part(full, 0, full.len - 1);
	out.local = slice_part(full, 0, (size_t)at);
	out.domain = slice_from(full, (size_t)at + 1);
	local = without_extension(out.local, delimiters);
	out.is_plain = can_be_stored(local, out.domain);
	if (!out.is_plain || local.len == out.local.len)
		return out;
	can_be_whole = can_be_stored(out.local, out.domain);
	out.bare = join(arena, local, out.domain);
	out.local = slice_part(out.bare, 0, local.len);
	out.domain = slice_from(out.bare, local.len + 1);
	if (!can_be_whole)
		out.full = out.bare;
	return out;
}

/*
 * Adds "@." before each label of the domain, except for more labels than a
 * name can have; returns the number of forms.
 */
static size_t
add_subdomain_forms(struct arena *arena, struct slice domain,
	struct slice *forms)
{
	const char *end = domain.ptr + domain.len;
	size_t n = 0;

	for (const char *label = domain.ptr; label < end && n < LABELS_MAX;
		n++) {
		struct slice rest = slice_between(label, end);
		char *bytes = arena_alloc(arena, rest.len + 2);

		bytes[0] = '@';
		bytes[1] = '.';
		memcpy(bytes + 2, rest.ptr, rest.len);
		forms[n] = (struct slice){ bytes, rest.len + 2 };
		const char *dot = memchr(label, '.', rest.len);
		label = dot == NULL ? end : dot + 1;
	}
	return n;
}

size_t
address_forms_of(struct arena *arena, struct slice local, struct slice domain,
	struct slice *forms)
{
	size_t n = 0;

	if (domain.len > 0 && domain.len <= DOMAIN_MAX) {
		forms[n] = join(arena, local, domain);
		forms[n + 1] = slice_from(forms[n], local.len);
		n += 2;
		n += add_subdomain_forms(arena, domain, forms + n);
	}
	forms[n++] = SLICE("@.");
	return n;
}

size_t
address_forms(struct arena *arena, const struct address *address,
	struct slice *forms)
{
	size_t n = 0;

	if (address->is_plain)
		return address_forms_of(arena, address->local, address->domain,
			forms);
	/* A local part that is none must not hide whose domain it is. */
	if (domain_is_plain(address->domain)) {
		forms[n++] = join(arena, SLICE(""), address->domain);
		n += add_subdomain_forms(arena, address->domain, forms + n);
	}
	forms[n++] = SLICE("@.");
	return n;
}

/* Accounts */

/* Four fields, each a star or an octet, and at least one star. */
static bool
is_wildcard_ip(struct slice text)
{
	struct slice field;
	size_t n_fields = 0, n_stars = 0;
	uint64_t octet;

	while (slice_split(&text, '.', &field)) {
		n_fields++;
		if (slice_eq_text(field, "*"))
			n_stars++;
		else if (field.len > 3 || !num_parse_u64(field, 255, &octet))
			return false;
	}
	return n_fields == 4 && n_stars > 0;
}

static bool
is_stored_network(struct slice text)
{
	struct network network;
	bool had_host_bits;

	return slice_has_byte(text, '/') &&
	       network_parse(text, &network, &had_host_bits) && !had_host_bits;
}

/* What follows the @ of an account without a local part. */
static enum account_kind
domain_kind(struct slice rest)
{
	if (slice_eq_text(rest, "."))
		return ACCOUNT_CATCH_ALL;
	if (slice_eq_text(rest, "ip"))
		return ACCOUNT_CATCH_ALL_IP;
	if (!slice_starts(rest, SLICE(".")))
		return domain_is_plain(rest) ? ACCOUNT_DOMAIN : ACCOUNT_INVALID;
	rest = slice_from(rest, 1);
	if (is_top_label(rest))
		return ACCOUNT_TOP_DOMAIN;
	return domain_is_plain(rest) ? ACCOUNT_SUBDOMAIN : ACCOUNT_INVALID;
}

enum account_kind
account_kind(struct slice account)
{
	ptrdiff_t at = slice_find_last(account, '@');
	struct ip ip;

	if (account.len > ADDRESS_MAX)
		return ACCOUNT_INVALID;
	if (at < 0) {
		if (ip_parse(account, &ip))
			return ACCOUNT_IP;
		if (is_stored_network(account))
			return ACCOUNT_NETWORK;
		return is_wildcard_ip(account) ? ACCOUNT_WILDCARD_IP
					       : ACCOUNT_INVALID;
	}

	struct slice local = slice_part(account, 0, (size_t)at);
	struct slice domain = slice_from(account, (size_t)at + 1);
	if (at == 0)
		return domain_kind(domain);
	if (!is_local_part(local) || slice_eq_text(local, "*"))
		return ACCOUNT_INVALID;
	if (slice_eq_text(domain, "*"))
		return ACCOUNT_ANY_DOMAIN;
	return domain_is_plain(domain) ? ACCOUNT_ADDRESS : ACCOUNT_INVALID;
}

static const struct {
	const char *name;
	int priority;
} kinds[] = {
	[ACCOUNT_INVALID] = { "invalid", 0 },
	[ACCOUNT_CATCH_ALL] = { "everyone", 0 },
	[ACCOUNT_CATCH_ALL_IP] = { "every client", 0 },
	[ACCOUNT_TOP_DOMAIN] = { "top-level domain", 40 },
	[ACCOUNT_SUBDOMAIN] = { "domain and subdomains", 50 },
	[ACCOUNT_DOMAIN] = { "domain", 60 },
	[ACCOUNT_NETWORK] = { "network", 70 },
	[ACCOUNT_WILDCARD_IP] = { "wildcard address", 70 },
	[ACCOUNT_IP] = { "client address", 80 },
	[ACCOUNT_ANY_DOMAIN] = { "local part at any domain", 90 },
	[ACCOUNT_ADDRESS] = { "address", 100 },
};

const char *
account_kind_name(enum account_kind kind)
{
	assert(kind <= ACCOUNT_ADDRESS);
	return kinds[kind].name;
}

int
account_priority(enum account_kind kind)
{
	assert(kind <= ACCOUNT_ADDRESS);
	return kinds[kind].priority;
}

/* a@b@example.com may be in an envelope, but who types it has slipped. */
static bool
has_stray_at(struct slice text)
{
	ptrdiff_t first = slice_find(text, '@');

	return first != slice_find_last(text, '@') &&
	       !slice_starts(text, SLICE("\""));
}

/* Why text is no account: the most helpful guess at what was meant. */
static const char *
explain(struct slice text)
{
	ptrdiff_t at = slice_find_last(text, '@');

	if (text.len == 0)
		return "it is empty; write * for everyone";
	if (text.len > ADDRESS_MAX)
		return "it is longer than 255 bytes";
	if (!slice_is_utf8(text))
		return "it is not UTF-8";
	if (slice_starts(text, SLICE("*.")))
		return "for a domain with everything below it write "
		       ".example.com, without a star";
	if (slice_starts(text, SLICE("*@")))
		return "for everyone in a domain write example.com, "
		       "without *@";
	if (at < 0 && slice_has_byte(text, '/'))
		return "this is not a network such as 192.0.2.0/24 or "
		       "2001:db8::/32";
	if (at < 0 && slice_has_byte(text, ':'))
		return "this is not an IPv6 address";
	if (at < 0 && slice_has_byte(text, '*'))
		return "a wildcard address has four fields, each a star or a "
		       "number up to 255, such as 192.0.2.*";
	if (at <= 0 && !slice_has_byte(text, '.'))
		return "a domain has a dot; for all names under a top-level "
		       "domain write .com";
	if (at <= 0)
		return "this is neither a domain nor an IP address";
	if (!is_local_part(slice_part(text, 0, (size_t)at)))
		return "there is a control character before the @";
	if (has_stray_at(text))
		return "there is more than one @";
	return "what follows the @ is not a domain such as example.com";
}

/* IP addresses and networks in the one form in which they are compared. */
static bool
normalize_network(struct arena *arena, struct slice text, struct slice *stored,
	const char **err)
{
	char buffer[NETWORK_TEXT_MAX];
	struct network network;
	bool had_host_bits;

	if (!network_parse(text, &network, &had_host_bits))
		return false;
	network_format(&network, buffer);
	*stored = slice_copy(arena, slice_of(buffer));
	if (had_host_bits)
		*err = "the address has bits behind the prefix; they were "
		       "cleared";
	return true;
}

/* Whether text, in lower case, is a stored form, or one without its @. */
static bool
complete_form(struct arena *arena, struct slice text, struct slice *stored)
{
	if (text.len == 0 || slice_eq_text(text, ".") || has_stray_at(text))
		return false;
	if (slice_eq_text(text, "*")) {
		*stored = SLICE("@.");
		return true;
	}
	*stored = text;
	if (account_kind(text) != ACCOUNT_INVALID)
		return true;
	if (slice_has_byte(text, '@') || slice_eq_text(text, "ip"))
		return false;
	*stored = join(arena, SLICE(""), text);
	return account_kind(*stored) != ACCOUNT_INVALID;
}

bool
account_normalize(struct arena *arena, struct slice typed, struct slice *stored,
	const char **err)
{
	struct slice text = slice_trim(typed);

	*err = NULL;
	if (text.len <= ADDRESS_MAX && slice_is_utf8(text)) {
		text = slice_lower(arena, text);
		if (normalize_network(arena, text, stored, err) ||
			complete_form(arena, text, stored))
			return true;
	}
	*err = explain(text);
	return false;
}

struct slice
account_plain(struct slice stored)
{
	switch (account_kind(stored)) {
	case ACCOUNT_CATCH_ALL:
		return SLICE("*");
	case ACCOUNT_TOP_DOMAIN:
	case ACCOUNT_SUBDOMAIN:
	case ACCOUNT_DOMAIN:
		return slice_from(stored, 1);
	case ACCOUNT_INVALID:
	case ACCOUNT_CATCH_ALL_IP:
	case ACCOUNT_NETWORK:
	case ACCOUNT_WILDCARD_IP:
	case ACCOUNT_IP:
	case ACCOUNT_ANY_DOMAIN:
	case ACCOUNT_ADDRESS:
		return stored;
	}
	return stored;
}
