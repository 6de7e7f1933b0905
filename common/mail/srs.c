#include "common/mail/srs.h"

#include <assert.h>
#include <string.h>

#include "common/base/crypto.h"
#include "common/mail/address.h"

#define SECONDS_A_DAY 86400
/* Days are counted in two characters of five bits. */
#define DAYS_WRAP 1024
/* Characters of base64 in a whole hash. */
#define HASH_MAX  (CRYPTO_BASE64_SIZE(CRYPTO_SHA1_SIZE) - 1)
#define PARTS_MAX 3

static const char day_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/* An address in two: the local part without quotes. */
struct mailbox {
	char bytes[SRS_INPUT_MAX];
	struct slice local, domain;
};

void
srs_secrets(struct srs *srs, struct slice lines)
{
	struct slice line;

	srs->n_secrets = 0;
	while (srs->n_secrets < SRS_SECRETS_MAX &&
		slice_split(&lines, '\n', &line))
		if (line.len > 0)
			srs->secret[srs->n_secrets++] = line;
}

/* --- addresses ---------------------------------------------------------- */

/* RFC 5321, 4.1.2: the content of a quoted string. False: it is none. */
static bool
unquote(struct slice quoted, struct mailbox *out)
{
	size_t len = 0;

	for (size_t i = 1; i < quoted.len - 1; i++) {
		if (quoted.ptr[i] == '"')
			return false;
		if (quoted.ptr[i] == '\\' && ++i == quoted.len - 1)
			return false;
		out->bytes[len++] = quoted.ptr[i];
	}
	out->local = (struct slice){ out->bytes, len };
	return true;
}

static bool
is_local_part(struct slice local)
{
	for (size_t i = 0; i < local.len; i++)
		if ((unsigned char)local.ptr[i] < ' ' || local.ptr[i] == 0x7f)
			return false;
	return local.len > 0 && slice_is_utf8(local);
}

static enum srs_result
read_mailbox(struct slice address, struct mailbox *out)
{
	const ptrdiff_t at = slice_find_last(address, '@');

	if (at <= 0)
		return SRS_NOT_AN_ADDRESS;
	if (address.len > SRS_INPUT_MAX)
		return SRS_TOO_LONG;
	out->local = slice_part(address, 0, (size_t)at);
	out->domain = slice_from(address, (size_t)at + 1);
	if (slice_ends(out->domain, SLICE(".")))
		out->domain.len--;
	if (out->local.len >= 2 && out->local.ptr[0] == '"' &&
		out->local.ptr[out->local.len - 1] == '"' &&
		!unquote(out->local, out))
		return SRS_NOT_AN_ADDRESS;
	return is_local_part(out->local) && domain_is_plain(out->domain)
		       ? SRS_DONE
		       : SRS_NOT_AN_ADDRESS;
}

/* RFC 5322, 3.2.3: dot-atom; with RFC 6531 every character above 127. */
static bool
is_dot_atom(struct slice local)
{
	char before = '.';

	for (size_t i = 0; i < local.len; i++) {
		const char c = local.ptr[i];

		if (strchr(" ()<>[]:;@\\,\"", c) != NULL ||
			(c == '.' && before == '.'))
			return false;
		before = c;
	}
	return before != '.';
}

static void
append_mailbox(struct str *out, struct slice local, struct slice domain)
{
	const bool is_quoted = !is_dot_atom(local);

	if (is_quoted)
		str_append_char(out, '"');
	for (size_t i = 0; i < local.len; i++) {
		if (is_quoted && (local.ptr[i] == '"' || local.ptr[i] == '\\'))
			str_append_char(out, '\\');
		str_append_char(out, local.ptr[i]);
	}
	str_append_text(out, is_quoted ? "\"@" : "@");
	str_append_slice(out, domain);
}

/* --- hashes ------------------------------------------------------------- */

static void
lower(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] >= 'A' && text[i] <= 'Z')
			text[i] = (char)(text[i] - 'A' + 'a');
}

/* The parts with nothing between them, each of a mailbox or less. */
static void
hash(struct slice secret, const struct slice *parts, size_t n,
	char out[HASH_MAX + 1])
{
	char text[PARTS_MAX * SRS_INPUT_MAX];
	unsigned char digest[CRYPTO_SHA1_SIZE];
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		assert(parts[i].len <= sizeof(text) - len);
		if (parts[i].len > 0)
			memcpy(text + len, parts[i].ptr, parts[i].len);
		len += parts[i].len;
	}
	lower(text, len);
	crypto_hmac_sha1(secret, (struct slice){ text, len }, digest);
	crypto_base64(digest, sizeof(digest), out);
}

/*
 * Mail systems on the way may have changed the case. Each secret is tried, so
 * that the time tells nothing.
 */
static bool
is_signed(const struct srs *srs, struct slice presented,
	const struct slice *parts, size_t n)
{
	char wanted[HASH_MAX + 1], given[HASH_MAX];
	bool is_one = false;

	if (presented.len < SRS_HASH_LENGTH || presented.len > HASH_MAX)
		return false;
	memcpy(given, presented.ptr, presented.len);
	lower(given, presented.len);
	for (size_t i = 0; i < srs->n_secrets; i++) {
		hash(srs->secret[i], parts, n, wanted);
		lower(wanted, HASH_MAX);
		is_one |= crypto_equal(wanted, given, presented.len);
	}
	return is_one;
}

/* --- days --------------------------------------------------------------- */

static unsigned
day_of(int64_t now)
{
	return (unsigned)((uint64_t)now / SECONDS_A_DAY % DAYS_WRAP);
}

static bool
read_digit(char c, unsigned *day)
{
	const char *digit;

	lower(&c, 1);
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	digit = c == '\0' ? NULL : strchr(day_digits, c);
	if (digit == NULL)
		return false;
	*day = *day << 5 | (unsigned)(digit - day_digits);
	return true;
}

/*
 * Tomorrow is accepted as well: another node may have signed, whose clock is
 * ahead, or ours is behind.
 */
static bool
is_recent(struct slice text, int64_t now)
{
	unsigned day = 0, age;

	if (text.len != 2 || !read_digit(text.ptr[0], &day) ||
		!read_digit(text.ptr[1], &day))
		return false;
	age = (day_of(now) + DAYS_WRAP - day) % DAYS_WRAP;
	return age <= SRS_DAYS || age == DAYS_WRAP - 1;
}

/* --- the two forms ------------------------------------------------------ */

static bool
is_separator(char c)
{
	return c == '=' || c == '+' || c == '-';
}

/* Whether local is "SRS0=..." or "SRS1=..."; *rest begins at the separator. */
static bool
has_tag(struct slice local, const char *tag, struct slice *rest)
{
	if (local.len < 6 || !is_separator(local.ptr[4]) ||
		!slice_case_eq(slice_part(local, 0, 4), slice_of(tag)))
		return false;
	*rest = slice_from(local, 4);
	return true;
}

/* The part before the next "="; false when there is none, or it is empty. */
static bool
take_field(struct slice *rest, struct slice *field)
{
	const ptrdiff_t at = slice_find(*rest, '=');

	if (at <= 0)
		return false;
	*field = slice_part(*rest, 0, (size_t)at);
	*rest = slice_from(*rest, (size_t)at + 1);
	return true;
}

enum { HOST, OPAQUE };

/* An SRS1 local part: the first forwarder, and what is behind its SRS0. */
static bool
read_srs1(struct slice local, struct slice *presented, struct slice parts[2])
{
	struct slice rest;

	if (!has_tag(local, "SRS1", &rest))
		return false;
	rest = slice_from(rest, 1);
	if (!take_field(&rest, presented) || !take_field(&rest, &parts[HOST]) ||
		!domain_is_plain(parts[HOST]))
		return false;
	parts[OPAQUE] = rest;
	return rest.len > 1 && is_separator(rest.ptr[0]);
}

enum { DAY, DOMAIN, LOCAL };

static bool
read_srs0(struct slice local, struct slice *presented, struct slice parts[3])
{
	struct slice rest;

	if (!has_tag(local, "SRS0", &rest))
		return false;
	rest = slice_from(rest, 1);
	if (!take_field(&rest, presented) || !take_field(&rest, &parts[DAY]) ||
		!take_field(&rest, &parts[DOMAIN]) ||
		!domain_is_plain(parts[DOMAIN]))
		return false;
	parts[LOCAL] = rest;
	return rest.len > 0;
}

/* Puts what was made into *out, unless it is too long. */
static enum srs_result
finish(struct slice local, struct slice domain, struct str *out)
{
	struct str address;
	bool fits;

	str_init(&address, SRS_INPUT_MAX);
	append_mailbox(&address, local, domain);
	fits = !address.is_cut && address.len <= SRS_ADDRESS_MAX;
	if (fits)
		str_append_slice(out, str_slice(&address));
	str_free(&address);
	return fits ? SRS_DONE : SRS_TOO_LONG;
}

/* --- encode ------------------------------------------------------------- */

/* "SRS0=HHHH", and each part behind a "=". */
static enum srs_result
sign(const struct srs *srs, const char *tag, const struct slice *parts,
	size_t n, struct str *out)
{
	char whole[HASH_MAX + 1];
	enum srs_result result;
	struct str local;

	str_init(&local, PARTS_MAX * SRS_INPUT_MAX);
	hash(srs->secret[0], parts, n, whole);
	str_printf(&local, "%s=%.*s", tag, SRS_HASH_LENGTH, whole);
	for (size_t i = 0; i < n; i++) {
		str_append_char(&local, '=');
		str_append_slice(&local, parts[i]);
	}
	result = finish(str_slice(&local), srs->domain, out);
	str_free(&local);
	return result;
}

enum srs_result
srs_encode(const struct srs *srs, int64_t now, struct slice address,
	struct str *out)
{
	const unsigned day = day_of(now);
	const char tt[2] = { day_digits[day >> 5], day_digits[day & 31] };
	struct slice parts[PARTS_MAX], unused;
	struct mailbox mailbox;
	const enum srs_result result = read_mailbox(address, &mailbox);

	assert(srs->n_secrets > 0);
	if (result != SRS_DONE)
		return result;
	if (read_srs1(mailbox.local, &unused, parts))
		return sign(srs, "SRS1", parts, 2, out);
	if (has_tag(mailbox.local, "SRS0", &parts[OPAQUE])) {
		parts[HOST] = mailbox.domain;
		return sign(srs, "SRS1", parts, 2, out);
	}
	parts[DAY] = (struct slice){ tt, sizeof(tt) };
	parts[DOMAIN] = mailbox.domain;
	parts[LOCAL] = mailbox.local;
	return sign(srs, "SRS0", parts, 3, out);
}

/* --- decode ------------------------------------------------------------- */

static enum srs_result
decode_srs1(const struct srs *srs, struct slice presented,
	const struct slice parts[2], struct str *out)
{
	char local[sizeof("SRS0") + SRS_INPUT_MAX] = "SRS0";

	if (!is_signed(srs, presented, parts, 2))
		return SRS_WRONG_HASH;
	memcpy(local + 4, parts[OPAQUE].ptr, parts[OPAQUE].len);
	return finish((struct slice){ local, 4 + parts[OPAQUE].len },
		parts[HOST], out);
}

enum srs_result
srs_decode(const struct srs *srs, int64_t now, struct slice address,
	struct str *out)
{
	struct slice parts[PARTS_MAX], presented;
	struct mailbox mailbox;
	const enum srs_result result = read_mailbox(address, &mailbox);

	if (result != SRS_DONE)
		return result;
	if (read_srs1(mailbox.local, &presented, parts))
		return slice_case_eq(mailbox.domain, srs->domain)
			       ? decode_srs1(srs, presented, parts, out)
			       : SRS_OTHER_DOMAIN;
	if (!read_srs0(mailbox.local, &presented, parts))
		return SRS_NOT_SRS;
	if (!slice_case_eq(mailbox.domain, srs->domain))
		return SRS_OTHER_DOMAIN;
	if (!is_signed(srs, presented, parts, 3))
		return SRS_WRONG_HASH;
	if (!is_recent(parts[DAY], now))
		return SRS_EXPIRED;
	return finish(parts[LOCAL], parts[DOMAIN], out);
}
