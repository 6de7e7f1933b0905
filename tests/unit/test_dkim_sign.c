#include "common/mail/dkim_sign.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/crypto_key.h"
#include "common/mail/fold.h"
#include "common/mail/tag_list.h"
#include "tests/unit/dkim_keys.h"

#define N(array) (int)(sizeof(array) / sizeof((array)[0]))

#define NOW 1528637909

static struct crypto_key *rsa, *ed25519, *rsa_of_rfc6376;

static struct crypto_key *
read_key(const char *pem)
{
	const char *err;
	struct crypto_key *key = crypto_key_read(slice_of(pem), &err);

	ck_assert_msg(key != NULL, "%s", err);
	return key;
}

static void
read_keys(void)
{
	rsa = read_key(RFC8463_RSA_KEY);
	ed25519 = read_key(RFC8463_ED25519_KEY);
	rsa_of_rfc6376 = read_key(RFC6376_KEY);
}

static void
free_keys(void)
{
	crypto_key_free(rsa);
	crypto_key_free(ed25519);
	crypto_key_free(rsa_of_rfc6376);
}

/* --- messages ----------------------------------------------------------- */

/* RFC 6376, A.1 and RFC 8463, A.3. */
#define EXAMPLE_HEADER                                   \
	"From: Joe SixPack <joe@football.example.com>\n" \
	"To: Suzie Q <suzie@shopping.example.net>\n"     \
	"Subject: Is dinner ready?\n"                    \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\n"  \
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\n"
#define EXAMPLE_BODY                                     \
	"Hi.\r\n\r\n"                                    \
	"We lost the game.  Are you hungry yet?\r\n\r\n" \
	"Joe.\r\n"

/* The next field of a header whose lines end with LF; false at its end. */
static bool
next_field(struct slice *header, struct slice *name, struct slice *value)
{
	size_t end = 0;
	ptrdiff_t colon;

	if (header->len == 0)
		return false;
	do {
		ck_assert(slice_has_byte(slice_from(*header, end), '\n'));
		end += (size_t)slice_find(slice_from(*header, end), '\n') + 1;
	} while (end < header->len &&
		 (header->ptr[end] == ' ' || header->ptr[end] == '\t'));
	colon = slice_find(*header, ':');
	ck_assert_int_gt(colon, 0);
	*name = slice_part(*header, 0, (size_t)colon);
	*value = slice_part(*header, (size_t)colon + 1, end - 1);
	*header = slice_from(*header, end);
	return true;
}

static void
tell_header(struct dkim_signer *signer, struct slice header)
{
	struct slice name, value;

	while (next_field(&header, &name, &value))
		dkim_signer_header(signer, name, value);
}

static void
tell(struct dkim_signer *signer, const char *header, const char *body,
	size_t step)
{
	const struct slice bytes = slice_of(body);

	dkim_signer_start(signer,
		DKIM_BODY(DKIM_SIMPLE) | DKIM_BODY(DKIM_RELAXED));
	tell_header(signer, slice_of(header));
	for (size_t i = 0; i < bytes.len; i += step)
		dkim_signer_body(signer, slice_part(bytes, i, i + step));
	dkim_signer_end(signer);
}

static struct dkim_signature
signature_with(const struct crypto_key *key)
{
	struct dkim_signature signature = { .key = key,
		.domain = SLICE_INIT("football.example.com"),
		.selector = SLICE_INIT("brisbane"),
		.header = DKIM_RELAXED,
		.body = DKIM_RELAXED,
		.now = NOW };

	signature.fields = dkim_fields_default(&signature.n_fields);
	return signature;
}

static void
sign(struct dkim_signer *signer, const struct dkim_signature *signature,
	struct str *out)
{
	const enum dkim_sign_result result = dkim_sign(signer, signature, out);

	ck_assert_msg(result == DKIM_SIGNED, "%s",
		dkim_sign_result_text(result));
}

/* --- the examples of the standards -------------------------------------- */

static void
add(void *to, const char *bytes, size_t n)
{
	crypto_sha256_add(to, bytes, n);
}

/*
 * What a header is signed with: its fields of the names in h=, from the
 * bottom up, then the signature's own up to "b=". Written down apart from
 * dkim_sign.c.
 */
static void
sign_again(const struct crypto_key *key, enum dkim_canon canon,
	struct slice header, struct slice names, struct slice field,
	struct str *out)
{
	struct slice all[64][2], wanted;
	bool is_used[64] = { false };
	unsigned char digest[CRYPTO_SHA256_SIZE];
	unsigned char bytes[CRYPTO_SIGNATURE_MAX];
	struct crypto_sha256 *hash = crypto_sha256_new();
	size_t n = 0, at;

	while (next_field(&header, &all[n][0], &all[n][1]))
		ck_assert_uint_lt(++n, 64);
	while (slice_split(&names, ':', &wanted)) {
		for (at = n; at-- > 0;)
			if (!is_used[at] && slice_case_eq(slice_trim(wanted),
						    slice_trim(all[at][0])))
				break;
		if (at == SIZE_MAX)
			continue;
		is_used[at] = true;
		dkim_canon_header(canon, all[at][0], all[at][1], add, hash);
		crypto_sha256_add(hash, "\r\n", 2);
	}
	dkim_canon_header(canon, SLICE("DKIM-Signature"), field, add, hash);
	crypto_sha256_finish(hash, digest);
	crypto_sha256_free(hash);
	crypto_append_base64(out, bytes, crypto_key_sign(key, digest, bytes));
}

/* Without white space. */
static void
append_packed(struct str *out, struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (strchr(" \t\r\n", text.ptr[i]) == NULL)
			str_append_char(out, text.ptr[i]);
}

static const struct {
	const char *name;
	struct crypto_key **key;
	enum dkim_canon canon;
	const char *header;
	/* Around the value of b=. */
	const char *before, *b, *behind;
	const char *names;
	const char *body, *bh;
} examples[] = {
	{ "RFC 6376, A.2", &rsa_of_rfc6376, DKIM_SIMPLE,
		"Received: from client1.football.example.com  [192.0.2.1]\n"
		"      by submitserver.example.com with SUBMISSION;\n"
		"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\n" EXAMPLE_HEADER,
		" v=1; a=rsa-sha256; s=brisbane; d=example.com;\n"
		"      c=simple/simple; q=dns/txt;"
		" i=joe@football.example.com;\n"
		"      h=Received : From : To : Subject : Date : Message-ID;\n"
		"      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
		"      b=",
		"AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB4nujc7Yo"
		"pdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHutKVdkLLkpVaVVQPze"
		"RDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV4bmp/YzhwvcubU4=",
		";", "Received : From : To : Subject : Date : Message-ID",
		"Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\n"
		"Joe.\r\n",
		"2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=" },
	{ "RFC 8463, A.3, Ed25519", &ed25519, DKIM_RELAXED, EXAMPLE_HEADER,
		" v=1; a=ed25519-sha256; c=relaxed/relaxed;\n"
		" d=football.example.com; i=@football.example.com;\n"
		" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\n"
		" subject : date : message-id : from : subject : date;\n"
		" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
		" b=",
		"/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus"
		"Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==",
		"",
		"from : to : subject : date : message-id : from : subject"
		" : date",
		EXAMPLE_BODY, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=" },
	{ "RFC 8463, A.3, RSA", &rsa, DKIM_RELAXED, EXAMPLE_HEADER,
		" v=1; a=rsa-sha256; c=relaxed/relaxed;\n"
		" d=football.example.com; i=@football.example.com;\n"
		" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\n"
		" date : message-id : from : subject : date;\n"
		" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
		" b=",
		"F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3"
		"DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz"
		"dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=",
		"",
		"from : to : subject : date : message-id : from : subject"
		" : date",
		EXAMPLE_BODY, "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=" },
};

static void
hash_body(enum dkim_canon canon, const char *text, struct str *out)
{
	unsigned char digest[CRYPTO_SHA256_SIZE];
	struct crypto_sha256 *hash = crypto_sha256_new();
	struct dkim_canon_body body;

	dkim_canon_body_start(&body, canon, add, hash);
	dkim_canon_body_add(&body, slice_of(text));
	dkim_canon_body_end(&body);
	crypto_sha256_finish(hash, digest);
	crypto_sha256_free(hash);
	str_reset(out);
	crypto_append_base64(out, digest, sizeof(digest));
}

START_TEST(canonical_forms_and_keys_give_the_examples)
{
	struct str field, b;

	str_init(&field, 4096);
	str_init(&b, 4096);
	hash_body(examples[_i].canon, examples[_i].body, &b);
	ck_assert_msg(strcmp(str_text(&b), examples[_i].bh) == 0, "%s: bh=%s",
		examples[_i].name, str_text(&b));
	str_printf(&field, "%s%s", examples[_i].before, examples[_i].behind);
	str_reset(&b);
	sign_again(*examples[_i].key, examples[_i].canon,
		slice_of(examples[_i].header), slice_of(examples[_i].names),
		str_slice(&field), &b);
	ck_assert_msg(strcmp(str_text(&b), examples[_i].b) == 0, "%s: b=%s",
		examples[_i].name, str_text(&b));
	str_free(&field);
	str_free(&b);
}
END_TEST

/* --- signatures of ours ------------------------------------------------- */

/* Verified by others when they were written down: both are deterministic. */
START_TEST(both_keys_sign_one_message)
{
	struct dkim_signer *signer = dkim_signer_new();
	struct dkim_signature signature = signature_with(rsa);
	struct str out;

	str_init(&out, DKIM_SIGNATURE_MAX);
	tell(signer, EXAMPLE_HEADER, EXAMPLE_BODY, 10);
	signature.selector = SLICE("test");
	sign(signer, &signature, &out);
	ck_assert_str_eq(str_text(&out),
		" v=1; a=rsa-sha256; c=relaxed/relaxed; d=football.example.com;\n"
		" s=test; t=1528637909; h=From:From:Reply-To:Subject:Subject:Date:Date:To:To:\n"
		" Cc:Message-ID:Message-ID:In-Reply-To:References:MIME-Version:Content-Type:\n"
		" Content-Transfer-Encoding; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
		" b=J7sFL203DUKIJHijFkW0atFHPzn5KpKMiUN5oHwH4N72kG8OQhOuZV7uGazVc6DSvs/0hYvhH2D\n"
		" l7rK1KJuGcJXqil9DkjX68NWAhfZbjpmvJ8xxAWHnL0LnnVZpdRYRpINFrqOlTNwjEXgqb3QnHT9q\n"
		" JW1q4U1bnfTgVmw/P38=");
	str_reset(&out);
	signature.key = ed25519;
	signature.selector = SLICE("brisbane");
	signature.identity = SLICE("joe@football.example.com");
	signature.expires = NOW + 86400;
	sign(signer, &signature, &out);
	ck_assert_str_eq(str_text(&out),
		" v=1; a=ed25519-sha256; c=relaxed/relaxed;\n"
		" d=football.example.com; s=brisbane; i=joe@football.example.com; t=1528637909;\n"
		" x=1528724309; h=From:From:Reply-To:Subject:Subject:Date:Date:To:To:Cc:\n"
		" Message-ID:Message-ID:In-Reply-To:References:MIME-Version:Content-Type:\n"
		" Content-Transfer-Encoding; bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
		" b=hTsNDYgTEZwlrJtcwH1FoIXVpGs/1Q1vbhmqZEV5FDg5HNJeQPK2jjeBXIOhjur4Qt11r7ebdgy\n"
		" 74ce3YO7BBw==");
	str_free(&out);
	dkim_signer_free(signer);
}
END_TEST

/* Fields folded, doubled, with odd names and values; a body to be changed. */
#define ODD_HEADER                                        \
	"Received: from a\n\tby b;\n  Fri, 11 Jul 2003\n" \
	"from:joe@football.example.com\n"                 \
	"SUBJECT : \t  Is   dinner\n\t ready?  \n"        \
	"To: suzie@shopping.example.net,\n joe\n"         \
	"To: another@shopping.example.net\n"              \
	"Date:\n"                                         \
	"List-Id: first\n"                                \
	"List-Id: second\n"                               \
	"X-Other: \xc3\xa4\n"
#define ODD_BODY "\r\n\r\n a  b\t\tc \r\n\t\r\nd\ne\r\r\n \r\n\r\n"

static const struct {
	const char *header, *body;
} messages[] = {
	{ EXAMPLE_HEADER, EXAMPLE_BODY },
	{ ODD_HEADER, ODD_BODY },
	{ "From: a@b.example\n", "" },
};

/* What is signed, from the signature itself. */
static void
ck_assert_signed(const struct crypto_key *key, const char *header,
	const char *body, struct slice value)
{
	const ptrdiff_t lines = slice_find_last(value, ';');
	struct str expected, got;
	const struct slice *c;
	struct tag_list tags;
	const char *err;
	size_t end;

	ck_assert_int_eq(tag_list_parse(value, &tags, &err), 0);
	/* b= is the last tag. */
	end = (size_t)lines + 1;
	while (value.ptr[end] != '=')
		end++;
	c = tag_list_find(&tags, "c");
	str_init(&expected, 4096);
	str_init(&got, 4096);
	sign_again(key,
		slice_starts(*c, SLICE("simple")) ? DKIM_SIMPLE : DKIM_RELAXED,
		slice_of(header), *tag_list_find(&tags, "h"),
		slice_part(value, 0, end + 1), &expected);
	append_packed(&got, *tag_list_find(&tags, "b"));
	ck_assert_str_eq(str_text(&got), str_text(&expected));
	hash_body(slice_ends(*c, SLICE("/simple")) ? DKIM_SIMPLE : DKIM_RELAXED,
		body, &expected);
	ck_assert(slice_eq(*tag_list_find(&tags, "bh"), str_slice(&expected)));
	ck_assert_ptr_null(tag_list_find(&tags, "l"));
	str_free(&expected);
	str_free(&got);
}

START_TEST(every_canonical_form_is_signed)
{
	struct dkim_signer *signer = dkim_signer_new();
	struct crypto_key *const keys[] = { rsa, ed25519 };
	struct dkim_signature signature;
	struct str out;

	str_init(&out, DKIM_SIGNATURE_MAX);
	for (unsigned i = 0; i < 8; i++) {
		signature = signature_with(keys[i & 1]);
		signature.header = i & 2 ? DKIM_SIMPLE : DKIM_RELAXED;
		signature.body = i & 4 ? DKIM_SIMPLE : DKIM_RELAXED;
		tell(signer, messages[_i].header, messages[_i].body, i + 1);
		str_reset(&out);
		sign(signer, &signature, &out);
		ck_assert_signed(signature.key, messages[_i].header,
			messages[_i].body, str_slice(&out));
	}
	str_free(&out);
	dkim_signer_free(signer);
}
END_TEST

static const struct {
	const char *name, *header, *names;
} chosen[] = {
	{ "only From", "From: a\n", "From:From:Subject:To" },
	{ "in the order of the list", "To: a\nSubject: b\nFrom: c\n",
		"From:From:Subject:Subject:To:To" },
	{ "several, and others", "X-A: 1\nTo: a\nFrom: b\nTo: c\nX-A: 2\n",
		"From:From:Subject:To:To:To" },
	{ "not over-signed", "Sender: a\nFrom: b\n",
		"From:From:Subject:To:Sender" },
	{ "each time it is there", "Sender: a\nFrom: b\nSender: c\n",
		"From:From:Subject:To:Sender:Sender" },
	{ "in any case, with a blank", "sUbJeCt : a\nFROM:b\n",
		"From:From:Subject:Subject:To" },
	{ "a name that begins alike", "Subject-Matter: a\nFrom: b\nFromm: c\n",
		"From:From:Subject:To" },
};

START_TEST(fields_are_chosen)
{
	static const struct dkim_field fields[] = {
		{ SLICE_INIT("From"), true },
		{ SLICE_INIT("Subject"), true },
		{ SLICE_INIT("To"), true },
		{ SLICE_INIT("Sender"), false },
	};
	struct dkim_signer *signer = dkim_signer_new();
	struct dkim_signature signature = signature_with(ed25519);
	struct tag_list tags;
	struct str out, names;
	const char *err;

	signature.fields = fields;
	signature.n_fields = N(fields);
	str_init(&out, DKIM_SIGNATURE_MAX);
	str_init(&names, 4096);
	tell(signer, chosen[_i].header, "", 1);
	sign(signer, &signature, &out);
	ck_assert_int_eq(tag_list_parse(str_slice(&out), &tags, &err), 0);
	append_packed(&names, *tag_list_find(&tags, "h"));
	ck_assert_msg(strcmp(str_text(&names), chosen[_i].names) == 0, "%s: %s",
		chosen[_i].name, str_text(&names));
	ck_assert_signed(ed25519, chosen[_i].header, "", str_slice(&out));
	str_free(&names);
	str_free(&out);
	dkim_signer_free(signer);
}
END_TEST

START_TEST(lines_are_short)
{
	struct dkim_signer *signer = dkim_signer_new();
	struct dkim_signature signature = signature_with(rsa);
	struct slice rest, line;
	char domain[64];
	struct str out;

	str_init(&out, DKIM_SIGNATURE_MAX);
	/* Every place where lines can be broken. */
	for (size_t n = 1; n < sizeof(domain); n++) {
		memset(domain, 'd', n);
		signature.domain = (struct slice){ domain, n };
		tell(signer, ODD_HEADER, ODD_BODY, 100);
		str_reset(&out);
		str_append_text(&out, "DKIM-Signature:");
		sign(signer, &signature, &out);
		rest = str_slice(&out);
		while (slice_split(&rest, '\n', &line)) {
			ck_assert_uint_le(line.len, FOLD_COLUMNS);
			ck_assert_uint_gt(slice_trim(line).len, 0);
			ck_assert(rest.ptr == NULL || rest.ptr[0] == ' ');
		}
		ck_assert_signed(rsa, ODD_HEADER, ODD_BODY,
			slice_from(str_slice(&out), strlen("DKIM-Signature:")));
	}
	str_free(&out);
	dkim_signer_free(signer);
}
END_TEST

static const struct {
	const char *identity;
	const char *i; /* NULL: it is refused */
} identities[] = {
	{ "@football.example.com", "@football.example.com" },
	{ "joe@football.example.com", "joe@football.example.com" },
	{ "joe@FOOTBALL.example.com", "joe@FOOTBALL.example.com" },
	{ "joe@a.football.example.com", "joe@a.football.example.com" },
	{ "\"a;=b c\"@football.example.com",
		"\"a=3B=3Db=20c\"@football.example.com" },
	{ "j\xc3\xb6@football.example.com", "j=C3=B6@football.example.com" },
	{ "a\r\nb@football.example.com", "a=0D=0Ab@football.example.com" },
	{ "joe@example.com", NULL },
	{ "joe@xfootball.example.com", NULL },
	{ "joe@football.example.com.", NULL },
	{ "football.example.com", NULL },
	{ "joe@", NULL },
};

START_TEST(identities_are_within_the_domain)
{
	struct dkim_signer *signer = dkim_signer_new();
	struct dkim_signature signature = signature_with(ed25519);
	const char *i = identities[_i].i, *err;
	enum dkim_sign_result result;
	struct tag_list tags;
	struct str out;

	str_init(&out, DKIM_SIGNATURE_MAX);
	tell(signer, EXAMPLE_HEADER, EXAMPLE_BODY, 100);
	signature.identity = slice_of(identities[_i].identity);
	result = dkim_sign(signer, &signature, &out);
	ck_assert_int_eq(result, i != NULL ? DKIM_SIGNED : DKIM_SIGN_IDENTITY);
	ck_assert_int_eq(tag_list_parse(str_slice(&out), &tags, &err),
		i != NULL ? 0 : -1);
	if (i != NULL)
		ck_assert(slice_eq_text(*tag_list_find(&tags, "i"), i));
	str_free(&out);
	dkim_signer_free(signer);
}
END_TEST

/* --- what is not signed ------------------------------------------------- */

static const struct {
	const char *header;
	enum dkim_sign_result result;
} refused[] = {
	{ "", DKIM_SIGN_NO_FROM },
	{ "Subject: a\nTo: b\n", DKIM_SIGN_NO_FROM },
	{ "Resent-From: a\n", DKIM_SIGN_NO_FROM },
	{ "From: a\nTo: b\nfrom: c\n", DKIM_SIGN_SEVERAL_FROM },
	{ "From: a\nFROM : c\n", DKIM_SIGN_SEVERAL_FROM },
	{ "from: a\n", DKIM_SIGNED },
};

START_TEST(one_from_is_needed)
{
	struct dkim_signer *signer = dkim_signer_new();
	struct dkim_signature signature = signature_with(ed25519);
	struct str out;

	str_init(&out, DKIM_SIGNATURE_MAX);
	dkim_signer_start(signer, DKIM_BODY(DKIM_RELAXED));
	tell_header(signer, slice_of(refused[_i].header));
	ck_assert_int_eq(dkim_signer_check(signer), refused[_i].result);
	dkim_signer_end(signer);
	ck_assert_int_eq(dkim_sign(signer, &signature, &out),
		refused[_i].result);
	ck_assert((out.len > 0) == (refused[_i].result == DKIM_SIGNED));
	str_free(&out);
	dkim_signer_free(signer);
}
END_TEST

static const struct {
	struct slice domain, selector;
} bad_names[] = {
	{ SLICE_INIT(""), SLICE_INIT("s") },
	{ SLICE_INIT("example.com"), SLICE_INIT("") },
	{ SLICE_INIT("example.com; l=0"), SLICE_INIT("s") },
	{ SLICE_INIT("example.com"), SLICE_INIT("s\nX:") },
	{ SLICE_INIT("\xc3\xa4.example"), SLICE_INIT("s") },
};

START_TEST(names_are_names)
{
	struct dkim_signer *signer = dkim_signer_new();
	struct dkim_signature signature = signature_with(ed25519);
	struct str out;

	str_init(&out, DKIM_SIGNATURE_MAX);
	tell(signer, EXAMPLE_HEADER, EXAMPLE_BODY, 100);
	signature.domain = bad_names[_i].domain;
	signature.selector = bad_names[_i].selector;
	ck_assert_int_eq(dkim_sign(signer, &signature, &out), DKIM_SIGN_NAME);
	ck_assert_uint_eq(out.len, 0);
	dkim_signer_free(signer);
}
END_TEST

static void
tell_many(struct dkim_signer *signer, size_t n, struct slice name,
	struct slice value)
{
	dkim_signer_start(signer, DKIM_BODY(DKIM_RELAXED));
	dkim_signer_header(signer, SLICE("From"), SLICE(" a"));
	for (size_t i = 1; i < n; i++)
		dkim_signer_header(signer, name, value);
}

START_TEST(headers_are_bounded)
{
	static char large[DKIM_HEADER_BYTES_MAX];
	struct dkim_signer *signer = dkim_signer_new();

	tell_many(signer, DKIM_HEADER_FIELDS_MAX, SLICE("X"), SLICE(" b"));
	ck_assert_int_eq(dkim_signer_check(signer), DKIM_SIGNED);
	dkim_signer_header(signer, SLICE("X"), SLICE(" b"));
	ck_assert_int_eq(dkim_signer_check(signer), DKIM_SIGN_TOO_LARGE);

	memset(large, 'x', sizeof(large));
	/* "From a" and "X" are beside it. */
	tell_many(signer, 2, SLICE("X"),
		(struct slice){ large, sizeof(large) - 7 });
	ck_assert_int_eq(dkim_signer_check(signer), DKIM_SIGNED);
	tell_many(signer, 2, SLICE("X"),
		(struct slice){ large, sizeof(large) - 6 });
	ck_assert_int_eq(dkim_signer_check(signer), DKIM_SIGN_TOO_LARGE);
	/* What comes behind does not make it good again. */
	dkim_signer_header(signer, SLICE("X"), SLICE(" b"));
	ck_assert_int_eq(dkim_signer_check(signer), DKIM_SIGN_TOO_LARGE);

	/* The next message is another one. */
	tell_many(signer, 2, SLICE("X"), SLICE(" b"));
	ck_assert_int_eq(dkim_signer_check(signer), DKIM_SIGNED);
	dkim_signer_free(signer);
}
END_TEST

#define LONGEST \
	"X-23456789-123456789-123456789-123456789-123456789-123456789-123"

/* The most, with the longest names and the longest of everything else. */
START_TEST(what_is_signed_is_bounded)
{
	static const struct dkim_field fields[] = {
		{ SLICE_INIT("From"), false },
		{ SLICE_INIT(LONGEST), false },
	};
	struct dkim_signer *signer = dkim_signer_new();
	struct crypto_key *key = read_key(RFC8463_RSA_KEY);
	struct dkim_signature signature = signature_with(key);
	char domain[253], identity[DKIM_IDENTITY_MAX];
	struct str out;

	memset(domain, 'd', sizeof(domain));
	signature.domain = (struct slice){ domain, 200 };
	signature.selector = (struct slice){ domain, sizeof(domain) };
	memset(identity, ';', sizeof(identity));
	memset(identity + sizeof(identity) - 200, 'd', 200);
	identity[sizeof(identity) - 201] = '@';
	signature.identity = (struct slice){ identity, sizeof(identity) };
	signature.fields = fields;
	signature.n_fields = N(fields);
	str_init(&out, DKIM_SIGNATURE_MAX);
	tell_many(signer, DKIM_SIGNED_FIELDS_MAX, SLICE(LONGEST), SLICE(" a"));
	dkim_signer_end(signer);
	sign(signer, &signature, &out);
	ck_assert(!out.is_cut);
	tell_many(signer, DKIM_SIGNED_FIELDS_MAX + 1, SLICE(LONGEST),
		SLICE(" a"));
	dkim_signer_end(signer);
	ck_assert_int_eq(dkim_sign(signer, &signature, &out),
		DKIM_SIGN_TOO_MANY);
	str_free(&out);
	crypto_key_free(key);
	dkim_signer_free(signer);
}
END_TEST

/* --- one after the other ------------------------------------------------ */

START_TEST(nothing_is_left_of_the_message_before)
{
	struct dkim_signer *signer = dkim_signer_new();
	const struct dkim_signature signature = signature_with(ed25519);
	struct str first, second;

	str_init(&first, DKIM_SIGNATURE_MAX);
	str_init(&second, DKIM_SIGNATURE_MAX);
	tell(signer, EXAMPLE_HEADER, EXAMPLE_BODY, 100);
	sign(signer, &signature, &first);
	/* One that was given up in its header, one in its body. */
	dkim_signer_start(signer, DKIM_BODY(DKIM_RELAXED));
	tell_header(signer, SLICE(ODD_HEADER));
	dkim_signer_start(signer, DKIM_BODY(DKIM_RELAXED));
	tell_header(signer, SLICE(ODD_HEADER));
	dkim_signer_body(signer, SLICE("a \r"));
	tell(signer, EXAMPLE_HEADER, EXAMPLE_BODY, 1);
	sign(signer, &signature, &second);
	ck_assert_str_eq(str_text(&second), str_text(&first));
	/* And again, of the same message. */
	str_reset(&second);
	sign(signer, &signature, &second);
	ck_assert_str_eq(str_text(&second), str_text(&first));
	str_free(&first);
	str_free(&second);
	dkim_signer_free(signer);
	dkim_signer_free(NULL);
}
END_TEST

START_TEST(results_are_told)
{
	for (int i = DKIM_SIGNED; i <= DKIM_SIGN_FAILED; i++)
		ck_assert_uint_gt(
			strlen(dkim_sign_result_text((enum dkim_sign_result)i)),
			0);
}
END_TEST

static void
add_tests(TCase *tcase)
{
	tcase_add_loop_test(tcase, canonical_forms_and_keys_give_the_examples,
		0, N(examples));
	tcase_add_test(tcase, both_keys_sign_one_message);
	tcase_add_loop_test(tcase, every_canonical_form_is_signed, 0,
		N(messages));
	tcase_add_loop_test(tcase, fields_are_chosen, 0, N(chosen));
	tcase_add_test(tcase, lines_are_short);
	tcase_add_loop_test(tcase, identities_are_within_the_domain, 0,
		N(identities));
	tcase_add_loop_test(tcase, one_from_is_needed, 0, N(refused));
	tcase_add_loop_test(tcase, names_are_names, 0, N(bad_names));
	tcase_add_test(tcase, headers_are_bounded);
	tcase_add_test(tcase, what_is_signed_is_bounded);
	tcase_add_test(tcase, nothing_is_left_of_the_message_before);
	tcase_add_test(tcase, results_are_told);
}

int
main(void)
{
	Suite *suite = suite_create("dkim_sign");
	TCase *tcase = tcase_create("dkim_sign");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_unchecked_fixture(tcase, read_keys, free_keys);
	add_tests(tcase);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
