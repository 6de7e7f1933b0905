#include "common/mail/dkim_verify.h"

#include <assert.h>
#include <opendkim/dkim.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "common/base/crypto.h"
#include "common/base/crypto_key.h"
#include "common/base/mem.h"
#include "common/mail/kept_header.h"

/* What the library has room for, with a NUL. */
#define RECORD_SIZE 1025u
/* Of the body, told at once. */
#define BLOCK_BYTES 8192u
/* Of one field, with CR LF for each LF. */
#define FIELD_MAX ((size_t)2 << 20)

#define UNUSABLE "it could not be processed"
/* The library wants to find an address in From. */
#define UNREADABLE "a header field, maybe From, could not be read"

struct signature {
	struct dkim_verified result;
	/* False: what result says is final. */
	bool is_open;
	DKIM_SIGINFO *info;       /* in the library; NULL: not told */
	char record[RECORD_SIZE]; /* written anew; "" for none */
};

/* Counts what l= counts. */
struct counter {
	struct dkim_canon_body canon;
	uint64_t n;
};

struct dkim_verifier {
	const struct kept_header *header;
	struct signature signatures[DKIM_VERIFIED_MAX];
	size_t n, n_ignored;
	DKIM *dkim;      /* NULL: nothing is to be computed */
	bool is_in_line; /* the last one was not ended */
	bool has_cr;     /* ended what was told of the body */
	size_t n_lengths;
	struct counter counters[DKIM_CANON_COUNT];
};

/* --- the library -------------------------------------------------------- */

static DKIM_CBSTAT look_up(DKIM *dkim, DKIM_SIGINFO *info, u_char *out,
	size_t size);
static DKIM_CBSTAT process(DKIM *dkim, DKIM_SIGINFO **infos, int n);

static pthread_once_t library_once = PTHREAD_ONCE_INIT;
static DKIM_LIB *library; /* not changed once it is made */

/* What fails here fails for want of memory only. */
static void
make_library(void)
{
	/* So that keys are not asked for before the end of the message. */
	u_int flags = DKIM_LIBFLAGS_DELAYSIGPROC;

	library = dkim_init(NULL, NULL);
	assert(library != NULL);
	assert(dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags,
		       sizeof(flags)) == DKIM_STAT_OK);
	assert(dkim_set_key_lookup(library, look_up) == DKIM_STAT_OK);
	assert(dkim_set_final(library, process) == DKIM_STAT_OK);
}

static void
finish(struct signature *signature, enum dkim_result result, const char *reason)
{
	signature->is_open = false;
	signature->result.result = result;
	signature->result.reason = slice_of(reason);
}

static void
finish_all(struct dkim_verifier *verifier, enum dkim_result result,
	const char *reason)
{
	for (size_t i = 0; i < verifier->n; i++)
		if (verifier->signatures[i].is_open)
			finish(&verifier->signatures[i], result, reason);
}

/* --- the header --------------------------------------------------------- */

/* Ends of lines as they are sent (dkim_canon.h). */
static void
append_lines(struct str *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (text.ptr[i] == '\n' && (i == 0 || text.ptr[i - 1] != '\r'))
			str_append_char(out, '\r');
		str_append_char(out, text.ptr[i]);
	}
}

/* A name that could not be told apart from its value is no name. */
static bool
is_tellable(struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] < '!' || name.ptr[i] > '~' ||
			name.ptr[i] == ':')
			return false;
	return name.len > 0;
}

/*
 * The blanks that may stand before the colon go with relaxed canonicalization
 * only, so they stay.
 */
static DKIM_STAT
tell_field(struct dkim_verifier *verifier, struct str *text, size_t i)
{
	const struct slice name = kept_header_name(verifier->header, i);

	if (!is_tellable(slice_trim(name)))
		return DKIM_STAT_OK;
	str_reset(text);
	str_append_slice(text, name);
	str_append_char(text, ':');
	append_lines(text, kept_header_value(verifier->header, i));
	if (text->is_cut)
		return DKIM_STAT_NORESOURCE;
	return dkim_header(verifier->dkim, (u_char *)text->data, text->len);
}

/* A field of a name that nobody can know (ARCHITECTURE.md, "Verifying"). */
static DKIM_STAT
tell_guard(struct dkim_verifier *verifier)
{
	unsigned char random[8];
	char text[64];
	int n;

	crypto_random(random, sizeof(random));
	n = snprintf(text, sizeof(text),
		"X-%02x%02x%02x%02x%02x%02x%02x%02x: 0", random[0], random[1],
		random[2], random[3], random[4], random[5], random[6],
		random[7]);
	assert(n > 0 && (size_t)n < sizeof(text));
	return dkim_header(verifier->dkim, (u_char *)text, (size_t)n);
}

static bool
is_signature(const struct dkim_verifier *verifier, size_t i)
{
	return kept_header_is(verifier->header, i, SLICE(DKIM_FIELD_NAME));
}

/*
 * Of the signatures only those that may be valid: a malformed one would make
 * the library refuse all of them.
 */
static bool
tell_header(struct dkim_verifier *verifier)
{
	DKIM_STAT status = DKIM_STAT_OK;
	struct str text;
	size_t n = 0;

	str_init(&text, FIELD_MAX);
	for (size_t i = 0; i < verifier->header->n && status == DKIM_STAT_OK;
		i++) {
		if (is_signature(verifier, i) &&
			(n >= verifier->n ||
				!verifier->signatures[n++].is_open))
			continue;
		status = tell_field(verifier, &text, i);
	}
	str_free(&text);
	return status == DKIM_STAT_OK && tell_guard(verifier) == DKIM_STAT_OK &&
	       dkim_eoh(verifier->dkim) == DKIM_STAT_OK;
}

static bool
is_same(const struct signature *signature, DKIM_SIGINFO *info)
{
	const struct dkim_claim *claim = &signature->result.claim;

	return slice_case_eq(claim->domain,
		       slice_of((const char *)dkim_sig_getdomain(info))) &&
	       slice_eq(claim->selector,
		       slice_of((const char *)dkim_sig_getselector(info)));
}

static void
take_info(struct signature *signature, DKIM_SIGINFO *info)
{
	const DKIM_SIGERROR error = dkim_sig_geterror(info);

	signature->info = info;
	if (!is_same(signature, info))
		finish(signature, DKIM_RESULT_NEUTRAL, UNUSABLE);
	else if (error != DKIM_SIGERROR_UNKNOWN && error != DKIM_SIGERROR_OK)
		finish(signature, DKIM_RESULT_NEUTRAL,
			dkim_sig_geterrorstr(error));
}

/* The library has as many as it was told, in the same order. */
static bool
match_signatures(struct dkim_verifier *verifier)
{
	DKIM_SIGINFO **infos = NULL;
	int n_infos = 0, n = 0;

	for (size_t i = 0; i < verifier->n; i++)
		n += verifier->signatures[i].is_open;
	if (dkim_getsiglist(verifier->dkim, &infos, &n_infos) != DKIM_STAT_OK ||
		n_infos != n)
		return false;
	for (size_t i = 0; i < verifier->n; i++)
		if (verifier->signatures[i].is_open)
			take_info(&verifier->signatures[i], *infos++);
	return true;
}

static void
read_signature(struct dkim_verifier *verifier, size_t i, int64_t now)
{
	struct signature *signature = &verifier->signatures[verifier->n++];
	struct dkim_verdict why = { DKIM_RESULT_TEMPERROR, SLICE_INIT("") };

	signature->is_open =
		dkim_claim_read(kept_header_value(verifier->header, i), now,
			&signature->result.claim, &why);
	signature->result.result = why.result;
	signature->result.reason = why.reason;
	/* For each length the library hashes the body once more. */
	if (signature->is_open && signature->result.claim.has_length &&
		++verifier->n_lengths > DKIM_LENGTHS_MAX)
		finish(signature, DKIM_RESULT_POLICY,
			"too many signatures have l=");
}

static void
count_bytes(void *to, const char *bytes, size_t n)
{
	(void)bytes;
	((struct counter *)to)->n += n;
}

static void
start_library(struct dkim_verifier *verifier)
{
	DKIM_STAT status;

	(void)pthread_once(&library_once, make_library);
	verifier->dkim =
		dkim_verify(library, (const u_char *)"", NULL, &status);
	if (verifier->dkim == NULL ||
		dkim_set_user_context(verifier->dkim, verifier) !=
			DKIM_STAT_OK ||
		!tell_header(verifier))
		finish_all(verifier, DKIM_RESULT_NEUTRAL, UNREADABLE);
	else if (!match_signatures(verifier))
		finish_all(verifier, DKIM_RESULT_NEUTRAL, UNUSABLE);
	crypto_forget_errors();
}

struct dkim_verifier *
dkim_verifier_new(const struct kept_header *header, int64_t now)
{
	struct dkim_verifier *verifier = x_new(struct dkim_verifier);

	verifier->header = header;
	for (size_t i = 0; i < header->n; i++) {
		if (!is_signature(verifier, i))
			continue;
		if (verifier->n < DKIM_VERIFIED_MAX)
			read_signature(verifier, i, now);
		else
			verifier->n_ignored++;
	}
	if (header->is_too_large || header->has_nul)
		finish_all(verifier, DKIM_RESULT_PERMERROR,
			"the header is malformed, or too long");
	for (int i = 0; i < DKIM_CANON_COUNT; i++)
		dkim_canon_body_start(&verifier->counters[i].canon,
			(enum dkim_canon)i, count_bytes,
			&verifier->counters[i]);
	if (dkim_verifier_wants_body(verifier))
		start_library(verifier);
	return verifier;
}

void
dkim_verifier_free(struct dkim_verifier *verifier)
{
	if (verifier == NULL)
		return;
	if (verifier->dkim != NULL)
		(void)dkim_free(verifier->dkim);
	x_free(verifier);
}

size_t
dkim_verifier_count(const struct dkim_verifier *verifier)
{
	return verifier->n;
}

size_t
dkim_verifier_ignored(const struct dkim_verifier *verifier)
{
	return verifier->n_ignored;
}

const struct dkim_verified *
dkim_verifier_result(const struct dkim_verifier *verifier, size_t i)
{
	assert(i < verifier->n);
	return &verifier->signatures[i].result;
}

/* --- keys --------------------------------------------------------------- */

bool
dkim_verifier_wants_key(const struct dkim_verifier *verifier, size_t i)
{
	assert(i < verifier->n);
	return verifier->signatures[i].is_open &&
	       verifier->signatures[i].record[0] == '\0';
}

/*
 * Whether a key that is well-formed is an RSAPublicKey: it begins with a
 * number, where an info has another sequence. To read a key takes as long as
 * to verify with it.
 */
static bool
is_bare(const struct dkim_key *key)
{
	const size_t n_more =
		(key->bytes[1] & 0x80) != 0 ? key->bytes[1] & 0x7f : 0;

	return key->type == DKIM_KEY_RSA && 2 + n_more < key->n_bytes &&
	       key->bytes[2 + n_more] == 0x02;
}

/*
 * The library knows one form of keys and one size of records, and nothing is
 * left for it to judge.
 */
static bool
write_record(struct dkim_key *key, char out[RECORD_SIZE])
{
	struct dkim_key plain = { .type = key->type,
		.takes_sha256 = true,
		.is_for_mail = true };
	struct str text;
	bool fits;

	plain.n_bytes = key->n_bytes;
	memcpy(plain.bytes, key->bytes, key->n_bytes);
	if (is_bare(key))
		plain.n_bytes = crypto_public_info(
			(struct slice){ (char *)key->bytes, key->n_bytes },
			plain.bytes, sizeof(plain.bytes));
	str_init(&text, RECORD_SIZE - 1);
	dkim_key_write(&plain, &text);
	memcpy(out, text.data, text.len + 1);
	fits = plain.n_bytes > 0 && !text.is_cut;
	str_free(&text);
	return fits;
}

/* 3.6.1, t=s */
static bool
is_outside(const struct dkim_key *key, const struct dkim_claim *claim)
{
	return key->is_strict && claim->is_below;
}

void
dkim_verifier_answer(struct dkim_verifier *verifier, size_t i,
	const struct dkim_record *record)
{
	struct signature *signature = &verifier->signatures[i];
	struct dkim_verified *result = &signature->result;
	struct dkim_verdict why;
	struct dkim_key key;

	assert(i < verifier->n);
	if (!signature->is_open)
		return;
	if (!dkim_record_judge(record, result->claim.type, &key, &why)) {
		finish(signature, why.result, "");
		result->reason = why.reason;
	} else if (is_outside(&key, &result->claim)) {
		finish(signature, DKIM_RESULT_PERMERROR,
			"the key is not for domains below d=");
	} else if (!write_record(&key, signature->record)) {
		finish(signature, DKIM_RESULT_PERMERROR, "the key is too long");
	}
	result->bits = key.bits;
	result->is_test = key.is_test;
	result->is_weak = dkim_key_fitness(&key) == DKIM_KEY_SHORT;
}

static struct signature *
signature_of(struct dkim_verifier *verifier, const DKIM_SIGINFO *info)
{
	for (size_t i = 0; i < verifier->n; i++)
		if (verifier->signatures[i].info == info)
			return &verifier->signatures[i];
	return NULL;
}

/* In place of the DNS. */
static DKIM_CBSTAT
look_up(DKIM *dkim, DKIM_SIGINFO *info, u_char *out, size_t size)
{
	const struct signature *signature =
		signature_of(dkim_get_user_context(dkim), info);
	size_t n;

	if (signature == NULL || signature->record[0] == '\0')
		return DKIM_CBSTAT_NOTFOUND;
	n = strlen(signature->record) + 1;
	if (n > size)
		return DKIM_CBSTAT_ERROR;
	memcpy(out, signature->record, n);
	return DKIM_CBSTAT_CONTINUE;
}

/* --- the body ----------------------------------------------------------- */

bool
dkim_verifier_wants_body(const struct dkim_verifier *verifier)
{
	for (size_t i = 0; i < verifier->n; i++)
		if (verifier->signatures[i].is_open)
			return true;
	return false;
}

static void
tell_block(struct dkim_verifier *verifier, u_char *block, size_t n)
{
	if (n > 0 && dkim_body(verifier->dkim, block, n) != DKIM_STAT_OK)
		finish_all(verifier, DKIM_RESULT_NEUTRAL, UNUSABLE);
}

/* Ends of lines as in append_lines(). */
static void
tell_body(struct dkim_verifier *verifier, struct slice bytes)
{
	u_char block[BLOCK_BYTES];
	size_t n = 0;

	for (size_t i = 0; i < bytes.len; i++) {
		const char c = bytes.ptr[i];

		if (c == '\n' && !verifier->has_cr)
			block[n++] = '\r';
		block[n++] = (u_char)c;
		verifier->has_cr = c == '\r';
		verifier->is_in_line = c != '\n';
		if (n + 2 > sizeof(block)) {
			tell_block(verifier, block, n);
			n = 0;
		}
	}
	tell_block(verifier, block, n);
}

void
dkim_verifier_body(struct dkim_verifier *verifier, struct slice bytes)
{
	if (!dkim_verifier_wants_body(verifier))
		return;
	tell_body(verifier, bytes);
	for (int i = 0; verifier->n_lengths > 0 && i < DKIM_CANON_COUNT; i++)
		dkim_canon_body_add(&verifier->counters[i].canon, bytes);
}

/* --- the end ------------------------------------------------------------ */

static void
take_result(struct signature *signature)
{
	const unsigned flags = dkim_sig_getflags(signature->info);
	const DKIM_SIGERROR error = dkim_sig_geterror(signature->info);
	const int hash = dkim_sig_getbh(signature->info);

	if ((flags & DKIM_SIGFLAG_PASSED) != 0 && hash == DKIM_SIGBH_MATCH)
		finish(signature, DKIM_RESULT_PASS, "");
	else if (error == DKIM_SIGERROR_TOOLARGE_L)
		finish(signature, DKIM_RESULT_FAIL,
			"the body is shorter than l=");
	else if ((flags & DKIM_SIGFLAG_PASSED) != 0)
		finish(signature, DKIM_RESULT_FAIL,
			"the body has been changed");
	else if (error == DKIM_SIGERROR_BADSIG)
		finish(signature, DKIM_RESULT_FAIL,
			"it does not fit the header and the key");
	else
		finish(signature, DKIM_RESULT_NEUTRAL,
			dkim_sig_geterrorstr(error));
}

/*
 * Called at the end; the library would stop at the first one that is valid,
 * and go on with those that are not to be processed.
 */
static DKIM_CBSTAT
process(DKIM *dkim, DKIM_SIGINFO **infos, int n)
{
	struct dkim_verifier *verifier = dkim_get_user_context(dkim);

	(void)infos;
	(void)n;
	for (size_t i = 0; i < verifier->n; i++) {
		struct signature *signature = &verifier->signatures[i];

		if (signature->info == NULL)
			continue;
		if (signature->is_open) {
			(void)dkim_sig_process(dkim, signature->info);
			take_result(signature);
		} else {
			dkim_sig_ignore(signature->info);
		}
	}
	return DKIM_CBSTAT_CONTINUE;
}

static void
compare_lengths(struct dkim_verifier *verifier)
{
	for (int i = 0; verifier->n_lengths > 0 && i < DKIM_CANON_COUNT; i++)
		dkim_canon_body_end(&verifier->counters[i].canon);
	for (size_t i = 0; i < verifier->n; i++) {
		struct dkim_verified *result = &verifier->signatures[i].result;
		const struct dkim_claim *claim = &result->claim;

		result->is_partial =
			claim->has_length &&
			claim->length < verifier->counters[claim->body_canon].n;
	}
}

void
dkim_verifier_end(struct dkim_verifier *verifier)
{
	for (size_t i = 0; i < verifier->n; i++)
		if (dkim_verifier_wants_key(verifier, i))
			dkim_verifier_answer(verifier, i,
				&(struct dkim_record){
					.status = DKIM_RECORD_UNKNOWN });
	compare_lengths(verifier);
	/* 3.4.3, 3.4.4: which the library leaves to others. */
	if (dkim_verifier_wants_body(verifier) && verifier->is_in_line)
		tell_body(verifier, SLICE("\r\n"));
	if (dkim_verifier_wants_body(verifier))
		(void)dkim_eom(verifier->dkim, NULL);
	finish_all(verifier, DKIM_RESULT_NEUTRAL, UNUSABLE);
	crypto_forget_errors();
}
