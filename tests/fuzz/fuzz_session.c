/*
 * What a client says to the milter, through Postfix: HELO, MAIL, header
 * fields, bodies, ends and aborts in any order, with the loop of a fake.
 * Whatever it is, what is added are well-formed fields, strangers get no
 * signature, what is removed is there, and nothing stays asked.
 *
 * Lines of the input: a letter that says what happens, and a text.
 */

#include <assert.h>
#include <string.h>

#include "common/base/crypto_key.h"
#include "milter/session.h"
#include "tests/unit/dkim_keys.h"
#include "tests/unit/fake_milter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool has_login; /* of the message */

/* One field: a line that goes on begins with a blank, and nothing else. */
static void
assert_field(struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		const unsigned char c = (unsigned char)value.ptr[i];

		if (c == '\n')
			assert(i + 1 < value.len &&
				strchr(" \t", value.ptr[i + 1]) != NULL);
		else
			assert((c >= ' ' || c == '\t') && c != 0x7f);
	}
}

static void
end_message(struct session *session, size_t n_fields)
{
	struct judgement judgement;
	size_t number, last = 0;

	session_end(session, SLICE("4711"), &judgement);
	assert_field(judgement.results);
	for (size_t i = 0; i < judgement.n_signatures; i++)
		assert_field(judgement.signatures[i]);
	assert(judgement.n_signatures <= 2);
	assert(judgement.n_signatures == 0 || has_login ||
		fake_milter.is_trusted);
	assert((judgement.n_signatures > 0) ==
		(fake_milter.told.signed_with[0] != '\0'));
	for (size_t i = 0; session_forged(session, i, &number); i++) {
		assert(number > last && number <= n_fields);
		last = number;
	}
	session_abort(session);
}

static void
begin(struct session *session, struct slice line)
{
	struct session_client client = { .name = line, .ptr = line };

	fake_milter.is_trusted = slice_starts(line, SLICE("t"));
	fake_milter.is_answered = !slice_starts(line, SLICE("l"));
	fake_milter.are_keys_late = !fake_milter.is_answered;
	fake_milter.has_keys = !slice_starts(line, SLICE("n"));
	fake_milter.settings.timeout_ms = 0;
	if (slice_starts(line, SLICE("u")))
		client.name = client.ptr = SLICE("unknown");
	assert(ip_parse(SLICE("192.0.2.1"), &client.address));
	(void)session_connect(session, &client);
}

/* Of the key in RFC 8463, A.2. */
static const char record[] =
	"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

static void
happen(struct session *session, char what, struct slice text, size_t *n_fields)
{
	const ptrdiff_t colon = slice_find(text, ':');
	const size_t at = colon < 0 ? text.len : (size_t)colon;
	struct session_login login;

	switch (what) {
	case 'h':
		session_helo(session, text);
		break;
	case 'm':
		login.name = login.mechanism = slice_from(text, at);
		session_mail(session, slice_part(text, 0, at), &login);
		has_login = login.name.len > 0;
		*n_fields = 0;
		break;
	case 'n':
		session_header_end(session);
		break;
	case 'b':
		(void)session_body(session, text);
		break;
	case 'e':
		end_message(session, *n_fields);
		*n_fields = 0;
		break;
	case 'n':
		session_header_end(session);
		break;
	case 'b':
		(void)session_body(session, text);
		break;
	case 'k':
		fake_milter.record = record;
		break;
	case 'a':
		session_abort(session);
		*n_fields = 0;
		break;
	default:
		session_header(session, slice_part(text, 0, at),
			slice_from(text, at < text.len ? at + 1 : at));
		++*n_fields;
	}
}

/* Once: to read one takes as long as a hundred inputs. */
static void
give_keys(void)
{
	static struct crypto_key *rsa, *ed25519;
	const char *err;

	if (rsa == NULL) {
		rsa = crypto_key_read(SLICE(RFC8463_RSA_KEY), &err);
		ed25519 = crypto_key_read(SLICE(RFC8463_ED25519_KEY), &err);
	}
	fake_milter.rsa = rsa;
	fake_milter.ed25519 = ed25519;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size }, line;
	struct session *session;
	size_t n_fields = 0;

	fake_milter_begin();
	give_keys();
	session = session_new(NULL);
	begin(session, slice_split(&rest, '\n', &line) ? line : SLICE(""));
	while (slice_split(&rest, '\n', &line))
		if (line.len > 0)
			happen(session, line.ptr[0], slice_from(line, 1),
				&n_fields);
	session_free(session);
	assert(fake_milter.n_open == 0);
	return 0;
}
