#include "common/mail/dkim_key.h"

#include <assert.h>
#include <string.h>

#include "common/base/crypto.h"
#include "common/base/crypto_key.h"
#include "common/mail/tag_list.h"

#define VERSION "DKIM1"

/* RFC 8301, 3.2. */
#define RSA_BITS_VALID 1024u
#define RSA_BITS_GOOD  2048u
/* A character-string of the DNS. */
#define STRING_MAX 255u

static const struct {
	const char *name;
	enum crypto_key_type crypto;
} types[] = {
	[DKIM_KEY_RSA] = { "rsa", CRYPTO_KEY_RSA },
	[DKIM_KEY_ED25519] = { "ed25519", CRYPTO_KEY_ED25519 },
};

/* --- reading ------------------------------------------------------------ */

static enum dkim_key_type
read_type(const struct slice *value)
{
	if (value == NULL || slice_eq_text(*value, "rsa"))
		return DKIM_KEY_RSA;
	return slice_eq_text(*value, "ed25519") ? DKIM_KEY_ED25519
						: DKIM_KEY_OTHER;
}

/* v= may be left out, but has to come first. */
static bool
has_version(const struct tag_list *tags)
{
	const struct slice *version = tag_list_find(tags, "v");

	return version == NULL || (version == &tags->tags[0].value &&
					  slice_eq_text(*version, VERSION));
}

static const char *
read_bytes(struct slice value, struct dkim_key *out)
{
	if (!crypto_unbase64(value, out->bytes, sizeof(out->bytes),
		    &out->n_bytes))
		return "p= is not base64, or too long";
	out->bits = crypto_public_bits(types[out->type].crypto,
		(struct slice){ (const char *)out->bytes, out->n_bytes });
	if (out->bits == 0)
		return "p= is not a public key of the type that k= says";
	return NULL;
}

/* What a tag lists, when it is there. */
static bool
allows(const struct slice *value, const char *word)
{
	return value == NULL || tag_value_has(*value, word);
}

static bool
has_flag(const struct slice *value, const char *flag)
{
	return value != NULL && tag_value_has(*value, flag);
}

int
dkim_key_parse(struct slice record, struct dkim_key *out, const char **err)
{
	const struct slice *p, *services, *flags;
	struct tag_list tags;

	memset(out, 0, sizeof(*out));
	if (tag_list_parse(record, &tags, err) != 0)
		return -1;
	p = tag_list_find(&tags, "p");
	services = tag_list_find(&tags, "s");
	flags = tag_list_find(&tags, "t");
	out->type = read_type(tag_list_find(&tags, "k"));
	out->takes_sha256 = allows(tag_list_find(&tags, "h"), "sha256");
	out->is_for_mail = allows(services, "*") || allows(services, "email");
	out->is_test = has_flag(flags, "y");
	out->is_strict = has_flag(flags, "s");
	out->is_revoked = p != NULL && p->len == 0;
	if (!has_version(&tags))
		*err = "v= is not " VERSION ", or not the first tag";
	else if (p == NULL)
		*err = "there is no p=";
	else if (!out->is_revoked && out->type != DKIM_KEY_OTHER)
		*err = read_bytes(*p, out);
	return *err == NULL ? 0 : -1;
}

/* --- judging ------------------------------------------------------------ */

enum dkim_key_fitness
dkim_key_fitness(const struct dkim_key *key)
{
	if (key->is_revoked)
		return DKIM_KEY_REVOKED;
	if (!key->is_for_mail)
		return DKIM_KEY_NOT_FOR_MAIL;
	if (key->type == DKIM_KEY_OTHER)
		return DKIM_KEY_UNKNOWN_TYPE;
	if (!key->takes_sha256)
		return DKIM_KEY_NO_SHA256;
	if (key->type == DKIM_KEY_RSA && key->bits < RSA_BITS_VALID)
		return DKIM_KEY_TOO_SHORT;
	if (key->type == DKIM_KEY_RSA && key->bits < RSA_BITS_GOOD)
		return DKIM_KEY_SHORT;
	return DKIM_KEY_FIT;
}

const char *
dkim_key_fitness_text(enum dkim_key_fitness fitness)
{
	switch (fitness) {
	case DKIM_KEY_FIT:
		return "the key is good";
	case DKIM_KEY_SHORT:
		return "the key has less than 2048 bits";
	case DKIM_KEY_TOO_SHORT:
		return "the key has less than 1024 bits";
	case DKIM_KEY_REVOKED:
		return "the key has been revoked";
	case DKIM_KEY_UNKNOWN_TYPE:
		return "the key is of an unknown type";
	case DKIM_KEY_NO_SHA256:
		return "the key is not for SHA-256";
	case DKIM_KEY_NOT_FOR_MAIL:
		return "the key is not for mail";
	}
	return "";
}

bool
dkim_key_is_usable(enum dkim_key_fitness fitness)
{
	return fitness == DKIM_KEY_FIT || fitness == DKIM_KEY_SHORT;
}

const char *
dkim_key_type_name(enum dkim_key_type type)
{
	return type == DKIM_KEY_OTHER ? "" : types[type].name;
}

/* --- writing ------------------------------------------------------------ */

void
dkim_key_of(const struct crypto_key *private, struct dkim_key *out)
{
	const struct slice public = crypto_key_public(private);

	memset(out, 0, sizeof(*out));
	out->type = crypto_key_type(private) == CRYPTO_KEY_RSA
			    ? DKIM_KEY_RSA
			    : DKIM_KEY_ED25519;
	out->takes_sha256 = out->is_for_mail = true;
	out->bits = crypto_key_bits(private);
	assert(public.len <= sizeof(out->bytes));
	memcpy(out->bytes, public.ptr, public.len);
	out->n_bytes = public.len;
}

static const char *
flags_of(const struct dkim_key *key)
{
	if (key->is_test)
		return key->is_strict ? " t=y:s;" : " t=y;";
	return key->is_strict ? " t=s;" : "";
}

void
dkim_key_write(const struct dkim_key *key, struct str *out)
{
	assert(key->type != DKIM_KEY_OTHER);
	assert(key->takes_sha256 && key->is_for_mail);
	str_printf(out,
		"v=" VERSION "; k=%s;%s p=", dkim_key_type_name(key->type),
		flags_of(key));
	crypto_append_base64(out, key->bytes, key->n_bytes);
}

static void
append_quoted(struct str *out, struct slice text)
{
	str_append_char(out, '"');
	for (size_t i = 0; i < text.len; i++) {
		const unsigned char c = (unsigned char)text.ptr[i];

		if (c == '"' || c == '\\')
			str_append_char(out, '\\');
		if (c < ' ' || c > '~')
			str_printf(out, "\\%03u", c);
		else
			str_append_char(out, (char)c);
	}
	str_append_char(out, '"');
}

void
dkim_key_write_strings(struct slice record, struct str *out)
{
	struct slice rest = record;

	do {
		if (rest.len < record.len)
			str_append_char(out, ' ');
		append_quoted(out, slice_part(rest, 0, STRING_MAX));
		rest = slice_from(rest, STRING_MAX);
	} while (rest.len > 0);
}
