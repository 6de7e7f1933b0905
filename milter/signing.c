#include "milter/signing.h"

#include <assert.h>

#include "common/base/mem.h"
#include "common/mail/auth_results.h"
#include "common/mail/dkim_sign.h"
#include "common/mail/header_from.h"
#include "common/mail/tag_list.h"

/* Octets of d= and s=; what is longer is none of ours. */
#define NAME_MAX_OCTETS 255u

#define NAMES_MAX ((size_t)(SIGNING_KEYS_MAX * 2 * (NAME_MAX_OCTETS + 1)))
#define ARENA_MAX \
	((size_t)SIGNING_BROUGHT_MAX * 2 * (NAME_MAX_OCTETS + 1) + 8192)

#define NO_KEY "no key"

/* Of a signature that the message has. */
struct mark {
	struct slice domain, selector;
};

enum state {
	STATE_NONE,   /* a message */
	STATE_HEADER, /* fields, or their end */
	STATE_BODY,   /* more of it, or the end */
	STATE_ENDED,  /* the next message */
};

struct signing {
	enum state state;
	struct dkim_signer *signer;
	const struct signing_settings *settings;
	struct slice own_id;
	const char *why_not; /* NULL as long as it may be signed */
	struct arena *arena; /* of this message */
	struct mark marks[SIGNING_BROUGHT_MAX + SIGNING_KEYS_MAX];
	size_t n_marks;
	struct str values[SIGNING_KEYS_MAX];
	struct slice signatures[SIGNING_KEYS_MAX]; /* these */
	size_t n_signatures;
	struct str names;
};

struct signing *
signing_new(void)
{
	struct signing *signing = x_new(struct signing);

	signing->signer = dkim_signer_new();
	signing->arena = arena_new(ARENA_MAX);
	for (size_t i = 0; i < SIGNING_KEYS_MAX; i++)
		str_init(&signing->values[i], DKIM_SIGNATURE_MAX);
	str_init(&signing->names, NAMES_MAX);
	return signing;
}

void
signing_free(struct signing *signing)
{
	if (signing == NULL)
		return;
	str_free(&signing->names);
	for (size_t i = 0; i < SIGNING_KEYS_MAX; i++)
		str_free(&signing->values[i]);
	arena_free(signing->arena);
	dkim_signer_free(signing->signer);
	x_free(signing);
}

void
signing_start(struct signing *signing, const struct signing_settings *settings,
	struct slice own_id)
{
	arena_reset(signing->arena);
	signing->state = STATE_HEADER;
	signing->settings = settings;
	signing->own_id = slice_copy(signing->arena, own_id);
	signing->why_not = NULL;
	signing->n_marks = signing->n_signatures = 0;
	str_reset(&signing->names);
	dkim_signer_start(signing->signer, DKIM_BODY(settings->body));
}

/* --- the header --------------------------------------------------------- */

static void
mark(struct signing *signing, struct slice domain, struct slice selector)
{
	assert(signing->n_marks <
		sizeof(signing->marks) / sizeof(signing->marks[0]));
	signing->marks[signing->n_marks++] = (struct mark){ domain, selector };
}

/* One that cannot be read is none of ours. */
static void
note_signature(struct signing *signing, struct slice value)
{
	const struct slice *domain, *selector;
	struct tag_list list;
	const char *err;

	if (tag_list_parse(value, &list, &err) < 0)
		return;
	domain = tag_list_find(&list, "d");
	selector = tag_list_find(&list, "s");
	if (domain == NULL || selector == NULL ||
		domain->len > NAME_MAX_OCTETS ||
		selector->len > NAME_MAX_OCTETS)
		return;
	if (signing->n_marks == SIGNING_BROUGHT_MAX) {
		signing->why_not = "there are too many signatures";
		return;
	}
	mark(signing, slice_copy(signing->arena, *domain),
		slice_copy(signing->arena, *selector));
}

void
signing_header(struct signing *signing, struct slice name, struct slice value)
{
	const struct slice bare = slice_trim(name);

	assert(signing->state == STATE_HEADER);
	if (signing->why_not != NULL)
		return;
	dkim_signer_header(signing->signer, name, value);
	if (slice_case_eq(bare, SLICE(DKIM_SIGNATURE_NAME)))
		note_signature(signing, value);
	else if (signing->own_id.len > 0 &&
		 slice_case_eq(bare, SLICE(AUTH_RESULTS_NAME)) &&
		 auth_results_claim(value, signing->own_id))
		signing->why_not = "it came through us before";
}

/* An address of a machine has no keys. */
static bool
is_name(struct slice domain)
{
	return domain.len > 0 && !slice_starts(domain, SLICE("["));
}

static const char *
why_not(const struct signing *signing, const struct header_from *from)
{
	const enum dkim_sign_result result = dkim_signer_check(signing->signer);

	if (result != DKIM_SIGNED)
		return dkim_sign_result_text(result);
	if (is_name(header_from_domain(from)))
		return NULL;
	if (from->err != NULL)
		return from->err;
	return "From has no domain";
}

struct slice
signing_header_end(struct signing *signing, const struct header_from *from)
{
	assert(signing->state == STATE_HEADER);
	signing->state = STATE_BODY;
	if (signing->why_not == NULL)
		signing->why_not = why_not(signing, from);
	return signing->why_not == NULL ? header_from_domain(from) : SLICE("");
}

/* --- the body ----------------------------------------------------------- */

bool
signing_wants_body(const struct signing *signing)
{
	return signing->why_not == NULL;
}

void
signing_body(struct signing *signing, struct slice bytes)
{
	assert(signing->state == STATE_BODY);
	if (signing->why_not == NULL)
		dkim_signer_body(signing->signer, bytes);
}

void
signing_give_up(struct signing *signing)
{
	assert(signing->state == STATE_BODY);
	if (signing->why_not == NULL)
		signing->why_not = NO_KEY;
}

/* --- the end ------------------------------------------------------------ */

static bool
has_mark(const struct signing *signing, const struct signing_key *key)
{
	for (size_t i = 0; i < signing->n_marks; i++) {
		const struct mark *found = &signing->marks[i];

		if (slice_case_eq(found->domain, key->domain) &&
			slice_case_eq(found->selector, key->selector))
			return true;
	}
	return false;
}

static enum dkim_sign_result
write_signature(struct signing *signing, const struct signing_key *key,
	int64_t now)
{
	const struct signing_settings *settings = signing->settings;
	struct str *value = &signing->values[signing->n_signatures];
	const struct dkim_signature signature = {
		.key = key->key,
		.domain = key->domain,
		.selector = key->selector,
		.header = settings->header,
		.body = settings->body,
		.now = now,
		.expires = settings->expire_s > 0
				   ? now + (int64_t)settings->expire_s
				   : 0,
		.fields = settings->fields,
		.n_fields = settings->n_fields,
	};
	enum dkim_sign_result result;

	str_reset(value);
	result = dkim_sign(signing->signer, &signature, value);
	if (result == DKIM_SIGNED)
		signing->signatures[signing->n_signatures++] = str_slice(value);
	return result;
}

/* Of the keys that we were given, and not of the message. */
static bool
is_fault(enum dkim_sign_result result)
{
	return result == DKIM_SIGN_FAILED || result == DKIM_SIGN_NAME;
}

static void
sign_with(struct signing *signing, const struct signing_key *key, int64_t now,
	struct signing_result *out)
{
	enum dkim_sign_result result = DKIM_SIGN_FAILED;

	if (has_mark(signing, key)) {
		out->why_not = "it is signed already";
		return;
	}
	mark(signing, key->domain, key->selector);
	if (key->key != NULL)
		result = write_signature(signing, key, now);
	if (result != DKIM_SIGNED) {
		out->why_not = dkim_sign_result_text(result);
		out->is_failed |= is_fault(result);
		return;
	}
	str_printf(&signing->names, "%s%.*s/%.*s",
		signing->names.len > 0 ? "," : "", SLICE_ARG(key->domain),
		SLICE_ARG(key->selector));
}

static void
sign(struct signing *signing, const struct signing_keys *keys, int64_t now,
	struct signing_result *out)
{
	out->why_not = NO_KEY;
	if (!keys->is_known) {
		out->why_not = "the keys are not to be had";
		out->is_failed = true;
		return;
	}
	dkim_signer_end(signing->signer);
	for (size_t i = 0; i < keys->n; i++)
		sign_with(signing, &keys->keys[i], now, out);
}

/* One signature is enough: then a key that does not work is no failure. */
void
signing_end(struct signing *signing, const struct signing_keys *keys,
	int64_t now, struct signing_result *out)
{
	assert(signing->state == STATE_BODY);
	signing->state = STATE_ENDED;
	*out = (struct signing_result){ .why_not = signing->why_not };
	if (signing->why_not == NULL)
		sign(signing, keys, now, out);
	out->signatures = signing->signatures;
	out->n = signing->n_signatures;
	out->names = str_slice(&signing->names);
	if (out->n > 0) {
		out->why_not = "";
		out->is_failed = false;
	}
}
