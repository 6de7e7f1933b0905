#include "common/mail/dkim_claim.h"

#include <string.h>

#include "common/base/crypto.h"
#include "common/base/num.h"
#include "common/mail/tag_list.h"

#define BETWEEN "._domainkey."
/* 3.5: of t= and x= at least that much is to be understood. */
#define TIME_MAX UINT64_C(999999999999)
/* Of l=; no message has more, and no counter of others overflows. */
#define LENGTH_MAX (UINT64_MAX >> 2)
/* RFC 5321, 4.5.3.1.3, each octet encoded, and folded. */
#define IDENTITY_MAX 1024u

struct reader {
	struct tag_list tags;
	struct dkim_claim *claim;
	struct dkim_verdict *why;
	uint64_t now;
	uint64_t signed_at; /* t=; 0: it is not told */
};

const char *
dkim_result_name(enum dkim_result result)
{
	switch (result) {
	case DKIM_RESULT_PASS:
		return "pass";
	case DKIM_RESULT_FAIL:
		return "fail";
	case DKIM_RESULT_NEUTRAL:
		return "neutral";
	case DKIM_RESULT_POLICY:
		return "policy";
	case DKIM_RESULT_TEMPERROR:
		return "temperror";
	case DKIM_RESULT_PERMERROR:
		return "permerror";
	}
	return "";
}

static bool
refuse(struct dkim_verdict *why, enum dkim_result result, const char *reason)
{
	*why = (struct dkim_verdict){ result, slice_of(reason) };
	return false;
}

static bool
malformed(const struct reader *reader, const char *what)
{
	return refuse(reader->why, DKIM_RESULT_NEUTRAL, what);
}

/* --- the name of a key -------------------------------------------------- */

/* Labels of letters, digits, "-" and "_" (which names in the DNS may have). */
static bool
is_name(struct slice text)
{
	struct slice label;

	if (text.len == 0)
		return false;
	while (slice_split(&text, '.', &label)) {
		if (label.len == 0 || label.len > 63)
			return false;
		for (size_t i = 0; i < label.len; i++) {
			const char c = label.ptr[i];

			if (!(c >= 'a' && c <= 'z') &&
				!(c >= 'A' && c <= 'Z') &&
				!(c >= '0' && c <= '9') && c != '-' && c != '_')
				return false;
		}
	}
	return true;
}

static char *
put_lower(char *to, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		*to++ = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
	}
	return to;
}

bool
dkim_key_name(struct slice selector, struct slice domain, char *out)
{
	const size_t n = selector.len + sizeof(BETWEEN) - 1 + domain.len;

	out[0] = '\0';
	if (!is_name(selector) || !is_name(domain) || n >= DKIM_KEY_NAME_MAX)
		return false;
	out = put_lower(out, selector);
	out = put_lower(out, SLICE(BETWEEN));
	*put_lower(out, domain) = '\0';
	return true;
}

/* --- tags --------------------------------------------------------------- */

static struct slice
tag_of(const struct reader *reader, const char *name)
{
	const struct slice *value = tag_list_find(&reader->tags, name);

	return value == NULL ? SLICE("") : *value;
}

static bool
has_tag(const struct reader *reader, const char *name)
{
	return tag_list_find(&reader->tags, name) != NULL;
}

/* Programs disagree about which of "d" and "D" counts. */
static bool
has_twin(const struct tag_list *tags)
{
	for (size_t i = 0; i < tags->n; i++)
		for (size_t other = 0; other < i; other++)
			if (slice_case_eq(tags->tags[i].name,
				    tags->tags[other].name))
				return true;
	return false;
}

enum dkim_key_type
dkim_algorithm_type(struct slice algorithm)
{
	if (slice_eq_text(algorithm, "rsa-sha256"))
		return DKIM_KEY_RSA;
	return slice_eq_text(algorithm, "ed25519-sha256") ? DKIM_KEY_ED25519
							  : DKIM_KEY_OTHER;
}

static bool
read_algorithm(struct reader *reader)
{
	struct dkim_claim *claim = reader->claim;

	claim->type = dkim_algorithm_type(claim->algorithm);
	/* RFC 8301, 3.1. */
	if (slice_eq_text(claim->algorithm, "rsa-sha1"))
		return refuse(reader->why, DKIM_RESULT_PERMERROR,
			"rsa-sha1 is not accepted any more");
	if (claim->type == DKIM_KEY_OTHER)
		return malformed(reader, "the algorithm is not known");
	return true;
}

static bool
read_canon(struct slice text, enum dkim_canon *out)
{
	if (slice_eq_text(text, "relaxed"))
		*out = DKIM_RELAXED;
	else if (slice_eq_text(text, "simple"))
		*out = DKIM_SIMPLE;
	else
		return false;
	return true;
}

bool
dkim_canons_read(struct slice text, enum dkim_canon *header,
	enum dkim_canon *body)
{
	const ptrdiff_t slash = slice_find(text, '/');

	*header = *body = DKIM_SIMPLE;
	if (text.len == 0)
		return true;
	if (slash < 0)
		return read_canon(text, header);
	return read_canon(slice_part(text, 0, (size_t)slash), header) &&
	       read_canon(slice_from(text, (size_t)slash + 1), body);
}

static bool
read_canons(struct reader *reader)
{
	enum dkim_canon header;

	return ((!has_tag(reader, "c") || tag_of(reader, "c").len > 0) &&
		       dkim_canons_read(tag_of(reader, "c"), &header,
			       &reader->claim->body_canon)) ||
	       malformed(reader, "c= is not known");
}

/* 6.1.1: From has to be signed. */
static bool
check_fields(struct reader *reader)
{
	struct slice rest = tag_of(reader, "h"), name;
	bool has_from = false;
	size_t n = 0;

	while (slice_split(&rest, ':', &name)) {
		name = slice_trim(name);
		if (name.len == 0)
			return malformed(reader, "h= is malformed");
		if (++n > DKIM_CLAIM_FIELDS_MAX)
			return malformed(reader, "h= names too many fields");
		has_from |= slice_case_eq(name, SLICE("From"));
	}
	return has_from || refuse(reader->why, DKIM_RESULT_PERMERROR,
				   "the From field is not signed");
}

static bool
check_hash_and_signature(struct reader *reader)
{
	unsigned char bytes[DKIM_CLAIM_SIGNATURE_MAX];
	size_t n;

	if (!crypto_unbase64(tag_of(reader, "bh"), bytes, sizeof(bytes), &n) ||
		n != CRYPTO_SHA256_SIZE)
		return malformed(reader, "bh= is no hash");
	if (!crypto_unbase64(reader->claim->signature, bytes, sizeof(bytes),
		    &n) ||
		n == 0)
		return malformed(reader,
			"b= is no base64, or longer than 4096 bits");
	return true;
}

static bool
read_length(struct reader *reader)
{
	struct dkim_claim *claim = reader->claim;

	claim->has_length = has_tag(reader, "l");
	return !claim->has_length ||
	       num_parse_u64(tag_of(reader, "l"), LENGTH_MAX, &claim->length) ||
	       malformed(reader, "l= is no length");
}

static bool
read_time(struct reader *reader, const char *name, uint64_t *out)
{
	return !has_tag(reader, name) ||
	       num_parse_u64(tag_of(reader, name), TIME_MAX, out) ||
	       malformed(reader, "t= or x= is no time");
}

static bool
check_times(struct reader *reader)
{
	uint64_t expires = UINT64_MAX;

	if (!read_time(reader, "t", &reader->signed_at) ||
		!read_time(reader, "x", &expires))
		return false;
	if (expires <= reader->signed_at)
		return malformed(reader, "x= is not after t=");
	if (expires <= reader->now)
		return refuse(reader->why, DKIM_RESULT_FAIL,
			"the signature has expired");
	if (reader->signed_at > reader->now + DKIM_CLOCK_DRIFT)
		return refuse(reader->why, DKIM_RESULT_POLICY,
			"the signature is from the future");
	return true;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* dkim-quoted-printable (2.11). False: it is none, or does not fit. */
static bool
decode(struct slice text, struct str *out)
{
	for (size_t i = 0; i < text.len; i++) {
		const char c = text.ptr[i];

		if (strchr(" \t\r\n", c) != NULL)
			continue;
		if (c != '=') {
			str_append_char(out, c);
			continue;
		}
		if (i + 2 >= text.len || hex(text.ptr[i + 1]) < 0 ||
			hex(text.ptr[i + 2]) < 0)
			return false;
		str_append_char(out, (char)(16 * hex(text.ptr[i + 1]) +
					     hex(text.ptr[i + 2])));
		i += 2;
	}
	return !out->is_cut;
}

/* 3.5: the domain of i= is d= or below it. */
static bool
judge_identity(struct reader *reader, struct slice identity)
{
	const ptrdiff_t at = slice_find_last(identity, '@');
	const struct slice domain = reader->claim->domain;
	const struct slice host =
		at < 0 ? SLICE("") : slice_from(identity, (size_t)at + 1);

	if (slice_case_eq(host, domain))
		return true;
	reader->claim->is_below = true;
	return (host.len > domain.len &&
		       host.ptr[host.len - domain.len - 1] == '.' &&
		       slice_case_eq(slice_from(host, host.len - domain.len),
			       domain)) ||
	       refuse(reader->why, DKIM_RESULT_PERMERROR,
		       "i= is not within d=");
}

static bool
check_identity(struct reader *reader)
{
	struct str identity;
	bool is_good;

	if (!has_tag(reader, "i"))
		return true;
	str_init(&identity, IDENTITY_MAX);
	is_good = decode(tag_of(reader, "i"), &identity);
	if (is_good)
		is_good = judge_identity(reader, str_slice(&identity));
	else
		(void)malformed(reader, "i= is malformed");
	str_free(&identity);
	return is_good;
}

static bool
read_key_name(struct reader *reader)
{
	struct dkim_claim *claim = reader->claim;

	if (!dkim_key_name(claim->selector, tag_of(reader, "d"),
		    claim->key_name))
		return malformed(reader, "d= or s= is no name");
	claim->domain = slice_from(slice_of(claim->key_name),
		claim->selector.len + sizeof(BETWEEN) - 1);
	if (has_tag(reader, "q") &&
		!tag_value_has(tag_of(reader, "q"), "dns/txt"))
		return malformed(reader, "q= is not known");
	return true;
}

static bool
read_tags(struct reader *reader, struct slice value)
{
	struct dkim_claim *claim = reader->claim;
	const char *err;

	if (tag_list_parse(value, &reader->tags, &err) < 0)
		return malformed(reader, err);
	claim->algorithm = tag_of(reader, "a");
	claim->selector = tag_of(reader, "s");
	claim->identity = tag_of(reader, "i");
	claim->signature = tag_of(reader, "b");
	if (!slice_is_ascii(value) || has_twin(&reader->tags))
		return malformed(reader, "programs read it in two ways");
	if (!slice_eq_text(tag_of(reader, "v"), "1"))
		return malformed(reader, "v= is not 1");
	return true;
}

bool
dkim_claim_read(struct slice value, int64_t now, struct dkim_claim *out,
	struct dkim_verdict *why)
{
	struct reader reader = { .claim = out,
		.why = why,
		.now = (uint64_t)now };

	*out = (struct dkim_claim){ .type = DKIM_KEY_OTHER };
	return read_tags(&reader, value) && read_key_name(&reader) &&
	       read_algorithm(&reader) && read_canons(&reader) &&
	       check_fields(&reader) && check_hash_and_signature(&reader) &&
	       read_length(&reader) && check_identity(&reader) &&
	       check_times(&reader);
}

/* --- records ------------------------------------------------------------ */

static bool
judge_key(const struct dkim_key *key, enum dkim_key_type type,
	struct dkim_verdict *why)
{
	const enum dkim_key_fitness fitness = dkim_key_fitness(key);

	if (!dkim_key_is_usable(fitness))
		return refuse(why,
			fitness == DKIM_KEY_TOO_SHORT ? DKIM_RESULT_FAIL
						      : DKIM_RESULT_PERMERROR,
			dkim_key_fitness_text(fitness));
	if (key->type != type)
		return refuse(why, DKIM_RESULT_PERMERROR,
			"the key is of another type");
	return true;
}

static bool
read_record(struct slice text, enum dkim_key_type type, struct dkim_key *out,
	struct dkim_verdict *why)
{
	const char *err;

	if (dkim_key_parse(text, out, &err) < 0)
		return refuse(why, DKIM_RESULT_PERMERROR, err);
	return judge_key(out, type, why);
}

bool
dkim_record_judge(const struct dkim_record *record, enum dkim_key_type type,
	struct dkim_key *out, struct dkim_verdict *why)
{
	memset(out, 0, sizeof(*out));
	switch (record->status) {
	case DKIM_RECORD_FOUND:
		return read_record(record->text, type, out, why);
	case DKIM_RECORD_ABSENT:
		return refuse(why, DKIM_RESULT_PERMERROR, "there is no key");
	case DKIM_RECORD_SEVERAL:
		return refuse(why, DKIM_RESULT_PERMERROR,
			"there are several keys");
	case DKIM_RECORD_UNKNOWN:
		return refuse(why, DKIM_RESULT_TEMPERROR,
			"the key is not known in time");
	case DKIM_RECORD_FAILED:
		break;
	}
	(void)refuse(why, DKIM_RESULT_TEMPERROR, "the DNS has no answer");
	if (record->text.len > 0)
		why->reason = record->text;
	return false;
}
