#include "tests/unit/milter_session.h"

#include <check.h>
#include <stddef.h>

#include "tests/unit/fake_milter.h"

struct session *session;

void
set_up(void)
{
	fake_milter_begin();
	session = session_new(NULL);
}

void
tear_down(void)
{
	session_free(session);
	ck_assert_uint_eq(fake_milter.n_open, 0);
}

enum session_welcome
connect_as(const char *address, const char *name)
{
	struct session_client client = { .name = slice_of(name),
		.ptr = slice_of(name) };

	ck_assert(ip_parse(slice_of(address), &client.address));
	return session_connect(session, &client);
}

enum session_welcome
connect_from(const char *address)
{
	return connect_as(address, "a.example");
}

void
mail_from(struct slice sender, const char *login)
{
	const struct session_login with = { .name = slice_of(login),
		.mechanism = slice_of(login[0] != '\0' ? "PLAIN" : "") };

	session_mail(session, sender, &with);
}

struct judgement
end_message(void)
{
	struct judgement out;

	session_end(session, SLICE("4711"), &out);
	return out;
}
