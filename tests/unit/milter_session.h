#ifndef TESTS_UNIT_MILTER_SESSION_H
#define TESTS_UNIT_MILTER_SESSION_H

/* The one session of the milter that a test is about, with fake_milter.h. */

#include "milter/session.h"

extern struct session *session;

/* Fixtures; when the session is gone nothing may stay asked. */
void set_up(void);
void tear_down(void);

/* From an address, with a name that leads there and back. */
enum session_welcome connect_as(const char *address, const char *name);
enum session_welcome connect_from(const char *address);
/* login "" for none. */
void mail_from(struct slice sender, const char *login);
struct judgement end_message(void);

#endif
