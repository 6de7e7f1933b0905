#include "milter/front.h"

#include <arpa/inet.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/base/mem.h"
#include "common/mail/auth_results.h"
#include "milter/session.h"

/* Of a thread of libmilter; a sanitizer keeps data of its own there. */
#ifdef MILTER_SANITIZED
#define STACK_BYTES ((size_t)8 << 20)
#else
#define STACK_BYTES ((size_t)256 << 10)
#endif

#define ACTIONS \
	(SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_SETSYMLIST | SMFIF_QUARANTINE)
#define UNWANTED (SMFIP_NODATA | SMFIP_NOUNKNOWN)
/*
 * What needs no answer: nothing is decided before the end of the message. A
 * piece of the body is answered, so that the rest need not be sent.
 */
#define SILENT                                                          \
	(SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_RCPT | SMFIP_NR_HDR | \
		SMFIP_NR_EOH)

/* Of one connection; libmilter keeps it for us (smfi_setpriv). */
struct front_session {
	struct session *session;
	bool is_silent; /* the other side knows SILENT */
	bool can_skip;  /* and SMFIS_SKIP, for the rest of a body */
	/* It tells what stands behind a colon with its blank, and takes it. */
	bool has_blanks;
	bool is_served; /* or else what comes is not looked at */
};

/*
 * A callback gets no pointer of ours before it has set one itself, so these
 * two are for all of them. They are set before libmilter starts.
 */
static struct milter_facts *front_facts;
static struct {
	void (*failed)(void *arg);
	void *arg;
} front_owner;

/*
 * libmilter has a thread that takes HUP and TERM for "stop" and INT for
 * "abort". The loop has them, too, and the kernel chooses; so this takes the
 * place of the one in libc, for libmilter alone, and never returns.
 */
int sigwait(const sigset_t *set, int *signal);

int
sigwait(const sigset_t *set, int *signal)
{
	(void)set;
	(void)signal;
	for (;;)
		pause();
}

/* --- what Postfix says -------------------------------------------------- */

static struct front_session *
front_of(SMFICTX *ctx)
{
	struct front_session *front = smfi_getpriv(ctx);

	if (front == NULL) {
		front = x_new(struct front_session);
		front->session = session_new(front_facts);
		(void)smfi_setpriv(ctx, front);
	}
	return front;
}

static struct slice
macro(SMFICTX *ctx, const char *name)
{
	char key[32];

	/* It takes a pointer to what it does not change. */
	(void)snprintf(key, sizeof(key), "%s", name);
	return slice_of(smfi_getsymval(ctx, key));
}

static void
take_address(const struct sockaddr *from, struct ip *out)
{
	char text[INET6_ADDRSTRLEN] = "";
	const void *bytes = NULL;
	int family = AF_UNSPEC;

	memset(out, 0, sizeof(*out));
	if (from != NULL)
		family = from->sa_family;
	if (family == AF_INET)
		bytes = &((const struct sockaddr_in *)(const void *)from)
				 ->sin_addr;
	else if (family == AF_INET6)
		bytes = &((const struct sockaddr_in6 *)(const void *)from)
				 ->sin6_addr;
	if (bytes == NULL ||
		inet_ntop(family, bytes, text, sizeof(text)) == NULL ||
		!ip_parse(slice_of(text), out))
		memset(out, 0, sizeof(*out));
}

static struct slice
without_brackets(struct slice address)
{
	if (slice_starts(address, SLICE("<")))
		address = slice_from(address, 1);
	if (slice_ends(address, SLICE(">")))
		address.len--;
	return address;
}

/* --- callbacks ---------------------------------------------------------- */

static sfsistat
go_on(const struct front_session *front)
{
	return front->is_silent ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

static void
ask_for_macros(SMFICTX *ctx)
{
	char at_connect[] = "{client_name} {client_ptr}";
	char at_mail[] = "{auth_authen} {auth_type}";
	char at_end[] = "i";

	(void)smfi_setsymlist(ctx, SMFIM_CONNECT, at_connect);
	(void)smfi_setsymlist(ctx, SMFIM_ENVFROM, at_mail);
	(void)smfi_setsymlist(ctx, SMFIM_EOM, at_end);
}

static sfsistat
on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps,
	unsigned long reserved0, unsigned long reserved1,
	unsigned long *wanted_actions, unsigned long *wanted_steps,
	unsigned long *wanted0, unsigned long *wanted1)
{
	struct front_session *front = front_of(ctx);

	(void)reserved0;
	(void)reserved1;
	*wanted0 = *wanted1 = 0;
	*wanted_actions = ACTIONS & actions;
	*wanted_steps = (UNWANTED | SMFIP_HDR_LEADSPC | SMFIP_SKIP) & steps;
	front->has_blanks = (steps & SMFIP_HDR_LEADSPC) != 0;
	front->can_skip = (steps & SMFIP_SKIP) != 0;
	front->is_silent = (steps & SILENT) == SILENT;
	if (front->is_silent)
		*wanted_steps |= SILENT;
	if ((actions & SMFIF_SETSYMLIST) != 0)
		ask_for_macros(ctx);
	return SMFIS_CONTINUE;
}

static sfsistat
on_connect(SMFICTX *ctx, char *name, struct sockaddr *address)
{
	struct front_session *front = front_of(ctx);
	struct session_client client = {
		.name = macro(ctx, "{client_name}"),
		.ptr = macro(ctx, "{client_ptr}"),
	};

	take_address(address, &client.address);
	if (client.name.len == 0)
		client.name = slice_of(name);
	if (client.ptr.len == 0)
		client.ptr = SLICE("unknown");
	switch (session_connect(front->session, &client)) {
	case SESSION_SERVE:
		front->is_served = true;
		return SMFIS_CONTINUE;
	case SESSION_PASS_BY:
		return SMFIS_ACCEPT;
	case SESSION_DEFER:
		break;
	}
	return SMFIS_TEMPFAIL;
}

static sfsistat
on_helo(SMFICTX *ctx, char *name)
{
	struct front_session *front = front_of(ctx);

	if (front->is_served)
		session_helo(front->session, slice_of(name));
	return go_on(front);
}

static sfsistat
on_mail(SMFICTX *ctx, char **words)
{
	struct front_session *front = front_of(ctx);
	const struct session_login login = {
		.name = macro(ctx, "{auth_authen}"),
		.mechanism = macro(ctx, "{auth_type}"),
	};

	if (front->is_served)
		session_mail(front->session,
			without_brackets(slice_of(words[0])), &login);
	return go_on(front);
}

static sfsistat
on_recipient(SMFICTX *ctx, char **words)
{
	struct front_session *front = front_of(ctx);

	if (front->is_served)
		session_recipient(front->session,
			without_brackets(slice_of(words[0])));
	return go_on(front);
}

/*
 * Who does not tell of the blank behind the colon has taken one away, and puts
 * one there again.
 */
static sfsistat
on_header(SMFICTX *ctx, char *name, char *value)
{
	struct front_session *front = front_of(ctx);
	struct str text;

	if (!front->is_served)
		return go_on(front);
	str_init(&text, strlen(value) + 1);
	if (!front->has_blanks)
		str_append_char(&text, ' ');
	str_append_slice(&text, slice_of(value));
	session_header(front->session, slice_of(name), str_slice(&text));
	str_free(&text);
	return go_on(front);
}

static sfsistat
on_end_of_header(SMFICTX *ctx)
{
	struct front_session *front = front_of(ctx);

	if (front->is_served)
		session_header_end(front->session);
	return go_on(front);
}

static sfsistat
on_body(SMFICTX *ctx, unsigned char *bytes, size_t n)
{
	const struct front_session *front = front_of(ctx);
	const struct slice body = { (const char *)bytes, n };

	if (front->is_served && session_body(front->session, body))
		return SMFIS_CONTINUE;
	return front->can_skip ? SMFIS_SKIP : SMFIS_CONTINUE;
}

/* From the last: where those behind one that goes are counted anew. */
static int
remove_forged(SMFICTX *ctx, const struct session *session)
{
	char name[] = AUTH_RESULTS_NAME;
	size_t n = 0, number;

	while (session_forged(session, n, &number))
		n++;
	while (n-- > 0) {
		(void)session_forged(session, n, &number);
		if (smfi_chgheader(ctx, name, (int)number, NULL) == MI_FAILURE)
			return -1;
	}
	return 0;
}

/*
 * On top of the message, above our own Received (RFC 8601, 5). The value begins
 * with a blank, which the other side puts there itself if it does not tell of
 * them.
 */
static int
insert(SMFICTX *ctx, const char *name, struct slice value)
{
	const struct front_session *front = smfi_getpriv(ctx);
	char *field = slice_strdup(slice_of(name));
	char *text =
		slice_strdup(front->has_blanks ? value : slice_from(value, 1));
	const int status = smfi_insheader(ctx, 0, field, text);

	x_free(text);
	x_free(field);
	return status == MI_FAILURE ? -1 : 0;
}

static int
change(SMFICTX *ctx, const struct session *session,
	const struct judgement *judgement)
{
	if (judgement->removes_forged && remove_forged(ctx, session) < 0)
		return -1;
	if (judgement->field_name[0] != '\0' &&
		insert(ctx, judgement->field_name, judgement->field_value) < 0)
		return -1;
	if (judgement->results.len == 0)
		return 0;
	return insert(ctx, AUTH_RESULTS_NAME, judgement->results);
}

/* libmilter's text is a format: a percent sign is doubled. */
static void
set_reply(SMFICTX *ctx, const struct judgement *judgement)
{
	char code[4], status[10];
	struct str text;

	(void)snprintf(code, sizeof(code), "%s", judgement->code);
	(void)snprintf(status, sizeof(status), "%s", judgement->status);
	str_init(&text, 980);
	for (const char *c = judgement->text; *c != '\0'; c++) {
		if (*c == '%')
			str_append_char(&text, '%');
		str_append_char(&text, *c);
	}
	(void)smfi_setreply(ctx, code, status, text.data);
	str_free(&text);
}

/* libmilter wants a reason. */
static int
hold(SMFICTX *ctx, const struct judgement *judgement)
{
	char *why = slice_strdup(judgement->text[0] != '\0'
					 ? slice_of(judgement->text)
					 : SLICE("held by policyd"));
	const int status = smfi_quarantine(ctx, why);

	x_free(why);
	return status == MI_FAILURE ? -1 : 0;
}

static sfsistat
answer(SMFICTX *ctx, const struct session *session,
	const struct judgement *judgement)
{
	switch (judgement->action) {
	case JUDGE_ACCEPT:
		return change(ctx, session, judgement) == 0 ? SMFIS_CONTINUE
							    : SMFIS_TEMPFAIL;
	case JUDGE_HOLD:
		return change(ctx, session, judgement) == 0 &&
				       hold(ctx, judgement) == 0
			       ? SMFIS_CONTINUE
			       : SMFIS_TEMPFAIL;
	case JUDGE_DISCARD:
		return SMFIS_DISCARD;
	case JUDGE_DEFER:
		set_reply(ctx, judgement);
		return SMFIS_TEMPFAIL;
	case JUDGE_REJECT:
		set_reply(ctx, judgement);
		return SMFIS_REJECT;
	}
	return SMFIS_TEMPFAIL;
}

static sfsistat
on_end_of_message(SMFICTX *ctx)
{
	struct front_session *front = front_of(ctx);
	struct judgement judgement;
	sfsistat status;

	if (!front->is_served)
		return SMFIS_TEMPFAIL;
	session_end(front->session, macro(ctx, "i"), &judgement);
	status = answer(ctx, front->session, &judgement);
	session_abort(front->session);
	return status;
}

static sfsistat
on_abort(SMFICTX *ctx)
{
	session_abort(front_of(ctx)->session);
	return SMFIS_CONTINUE;
}

static sfsistat
on_close(SMFICTX *ctx)
{
	struct front_session *front = smfi_getpriv(ctx);

	(void)smfi_setpriv(ctx, NULL);
	if (front != NULL)
		session_free(front->session);
	x_free(front);
	return SMFIS_CONTINUE;
}

/* --- starting and closing ----------------------------------------------- */

static void *
serve(void *arg)
{
	(void)arg;
	(void)smfi_main();
	front_owner.failed(front_owner.arg);
	return NULL;
}

static int
set_up(int listening_fd)
{
	static char program[] = "policyd";
	char socket_name[32];
	struct smfiDesc filter = {
		.xxfi_name = program,
		.xxfi_version = SMFI_VERSION,
		.xxfi_flags = ACTIONS,
		.xxfi_connect = on_connect,
		.xxfi_helo = on_helo,
		.xxfi_envfrom = on_mail,
		.xxfi_envrcpt = on_recipient,
		.xxfi_header = on_header,
		.xxfi_eoh = on_end_of_header,
		.xxfi_body = on_body,
		.xxfi_eom = on_end_of_message,
		.xxfi_abort = on_abort,
		.xxfi_close = on_close,
		.xxfi_negotiate = on_negotiate,
	};

	(void)snprintf(socket_name, sizeof(socket_name), "fd:%d", listening_fd);
	if (smfi_register(filter) == MI_FAILURE ||
		smfi_setconn(socket_name) == MI_FAILURE)
		return -1;
	return 0;
}

/*
 * All signals are for the loop. libmilter starts a thread for each session
 * that waits, without a bound: they get stacks of a size that fits.
 */
static int
start_thread(void)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int status;

	pthread_attr_init(&attributes);
	if (pthread_attr_setstacksize(&attributes, STACK_BYTES) == 0)
		(void)pthread_setattr_default_np(&attributes);
	pthread_attr_destroy(&attributes);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	status = pthread_create(&thread, NULL, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (status != 0)
		return -1;
	return pthread_detach(thread) == 0 ? 0 : -1;
}

int
front_start(struct milter_facts *facts, int listening_fd,
	void (*failed)(void *arg), void *arg, const char **err)
{
	front_facts = facts;
	front_owner.failed = failed;
	front_owner.arg = arg;
	if (set_up(listening_fd) < 0) {
		*err = "libmilter does not take the socket";
		return -1;
	}
	if (start_thread() < 0) {
		*err = "there is no thread to be had";
		return -1;
	}
	return 0;
}

/*
 * Puts a socket that nobody knows in place of ours, under its number:
 * libmilter goes on waiting there, in vain. To shut ours down would do so for
 * the process that comes after this one, too.
 */
int
front_close(int listening_fd)
{
	/* Without a path the kernel makes up a name. */
	const struct sockaddr_un nobody = { .sun_family = AF_UNIX };
	const int fd =
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int status = -1;

	if (fd < 0)
		return -1;
	if (bind(fd, (const struct sockaddr *)(const void *)&nobody,
		    sizeof(nobody.sun_family)) == 0 &&
		listen(fd, 1) == 0 && dup2(fd, listening_fd) >= 0)
		status = 0;
	close(fd);
	return status;
}
