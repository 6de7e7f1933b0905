/*
 * What a client says to the milter, through Postfix: HELO, MAIL, header
 * fields, bodies, ends and aborts in any order, with the loop of a fake.
 * Whatever it is, what is added is one well-formed field, what is removed is
 * there, and nothing stays asked.
 *
 * Lines of the input: a letter that says what happens, and a text.
 */

#include <assert.h>
#include <string.h>

#include "milter/session.h"
#include "tests/unit/fake_milter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One field: a line that goes on begins with a blank, and nothing else. */
static void
assert_results(struct slice results)
{
	for (size_t i = 0; i < results.len; i++) {
		const unsigned char c = (unsigned char)results.ptr[i];

		if (c == '\n')
			assert(i + 1 < results.len &&
				strchr(" \t", results.ptr[i + 1]) != NULL);
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
	assert_results(judgement.results);
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
		*n_fields = 0;
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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size }, line;
	struct session *session;
	size_t n_fields = 0;

	fake_milter_begin();
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
