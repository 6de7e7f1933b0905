#include "milter/session.h"

#include <assert.h>
#include <string.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/mail/auth_results.h"
#include "common/mail/header_from.h"
#include "common/mail/spf.h"
#include "milter/authorship.h"
#include "milter/facts.h"
#include "milter/facts_keys.h"
#include "milter/facts_message.h"
#include "milter/signing.h"
#include "milter/verifying.h"

static_assert(DKIM_VERIFIED_MAX <= DMARC_DKIM_MAX,
	"every signature has its place");

/* How long a client waits for the loop to take it in. */
#define WELCOME_MS 5000

/* The texts of a session, and those of a message with its judgement. */
#define SESSION_ARENA_MAX ((size_t)64 << 10)
#define MESSAGE_ARENA_MAX (((size_t)256 << 10) + HEADER_FROM_ARENA_BYTES)

/*
 * How long the rules may take, at most, beyond the time for the DNS: who makes
 * that take all of it must not get past them. With the longest milter.timeout
 * it is less than what Postfix waits (milter_content_timeout, 300 s).
 */
#define RULES_MS_MAX 30000u

/* Of several fields From it is only told that there are several. */
#define FROM_FIELDS_MAX 2u

struct message {
	struct slice sender, login, mechanism;
	struct facts_spf *spf;        /* NULL: not asked */
	struct facts_message *policy; /* NULL: not asked */
	struct str recipients;        /* lines; as many as are kept */
	size_t n_recipients, n_told;  /* all of them, those in the lines */
	struct slice from_fields[FROM_FIELDS_MAX];
	size_t n_from_fields;
	struct header_from from;
	uint64_t size; /* two bytes for each end of a line, as in SMTP */
	size_t n_fields, n_bytes;
	/* Those named RESULTS_FIELD; of them, the numbers that are forged. */
	size_t n_results;
	size_t *forged, n_forged, forged_size;
	bool is_over_limit;
	bool has_header;               /* the whole of it */
	bool is_ours;                  /* it is to be signed */
	struct facts_keys *keys;       /* NULL: not asked */
	struct verifying *verifying;   /* NULL: not a stranger's */
	struct authorship *authorship; /* NULL: not a stranger's */
};

struct session {
	struct milter_facts *facts;
	struct facts_session *admission; /* NULL before the client connects */
	struct session_client client;
	struct slice helo;
	struct facts_spf *spf_helo; /* NULL: not asked */
	struct facts_ptr *ptr;      /* NULL: not asked */
	bool is_over_limit;         /* one of its texts is too long */
	struct message message;
	struct signing *signing; /* NULL until there is something to sign */
	struct arena *arena, *message_arena;
};

struct session *
session_new(struct milter_facts *facts)
{
	struct session *session = x_new(struct session);

	session->facts = facts;
	session->arena = arena_new(SESSION_ARENA_MAX);
	session->message_arena = arena_new(MESSAGE_ARENA_MAX);
	return session;
}

static void
forget_spf(struct facts_spf **spf)
{
	if (*spf != NULL)
		bridge_release(&(*spf)->call);
	*spf = NULL;
}

void
session_abort(struct session *session)
{
	forget_spf(&session->message.spf);
	if (session->message.keys != NULL)
		bridge_release(&session->message.keys->call);
	verifying_free(session->message.verifying);
	authorship_free(session->message.authorship);
	if (session->message.policy != NULL)
		bridge_release(&session->message.policy->call);
	str_free(&session->message.recipients);
	x_free(session->message.forged);
	session->message = (struct message){ .n_fields = 0 };
	arena_reset(session->message_arena);
}

void
session_free(struct session *session)
{
	if (session == NULL)
		return;
	session_abort(session);
	forget_spf(&session->spf_helo);
	if (session->ptr != NULL)
		bridge_release(&session->ptr->call);
	if (session->admission != NULL)
		bridge_release(&session->admission->call);
	signing_free(session->signing);
	arena_free(session->message_arena);
	arena_free(session->arena);
	x_free(session);
}

/* A copy; "" for one that is too long, which *is_over_limit tells. */
static struct slice
keep(struct arena *arena, struct slice text, bool *is_over_limit)
{
	if (text.len <= FACTS_TEXT_MAX)
		return slice_copy(arena, text);
	*is_over_limit = true;
	return SLICE("");
}

/* --- the client --------------------------------------------------------- */

static enum session_welcome
turn_away(const struct facts_session *admission)
{
	return admission->settings.is_deferring ? SESSION_DEFER
						: SESSION_PASS_BY;
}

enum session_welcome
session_connect(struct session *session, const struct session_client *client)
{
	struct facts_session *admission =
		facts_ask_session(session->facts, &client->address);

	session->admission = admission;
	session->client.address = client->address;
	session->client.name =
		keep(session->arena, client->name, &session->is_over_limit);
	session->client.ptr =
		keep(session->arena, client->ptr, &session->is_over_limit);
	/* Without its settings nothing can be said of what it sends. */
	if (!bridge_wait(&admission->call, bridge_deadline(WELCOME_MS)))
		return SESSION_DEFER;
	return admission->is_admitted ? SESSION_SERVE : turn_away(admission);
}

/*
 * A session may say HELO as often as it likes: the arena has to hold one name
 * only, beside those of the client, which stay.
 */
void
session_helo(struct session *session, struct slice name)
{
	const struct session_client client = session->client;
	struct arena *arena = arena_new(SESSION_ARENA_MAX);

	forget_spf(&session->spf_helo);
	session->client.name = slice_copy(arena, client.name);
	session->client.ptr = slice_copy(arena, client.ptr);
	session->helo = keep(arena, name, &session->is_over_limit);
	arena_free(session->arena);
	session->arena = arena;
}

/* --- the message -------------------------------------------------------- */

/*
 * HELO and the client only now, when it is known that it has not logged in: of
 * the name of somebody's notebook nobody wants to know. They are asked for once
 * for all messages of a session.
 */
static void
ask(struct session *session)
{
	const struct ip *client = &session->client.address;
	struct message *message = &session->message;

	if (message->sender.len > 0)
		message->spf = facts_ask_spf(session->facts, client,
			session->helo, message->sender);
	if (session->spf_helo == NULL && session->helo.len > 0)
		session->spf_helo = facts_ask_spf(session->facts, client,
			session->helo, SLICE(""));
	if (session->ptr == NULL &&
		judge_is_nameless(session->client.name, session->client.ptr))
		session->ptr = facts_ask_ptr(session->facts, client);
}

static bool
is_stranger(const struct session *session)
{
	return !session->admission->is_trusted &&
	       session->message.login.len == 0;
}

/* A login brings what it likes; what a trusted client has may be ours. */
static void
start_signing(struct session *session)
{
	const struct milter_settings *settings = &session->admission->settings;
	struct message *message = &session->message;

	if (!settings->signing.is_on || is_stranger(session) ||
		message->is_over_limit)
		return;
	if (session->signing == NULL)
		session->signing = signing_new();
	message->is_ours = true;
	signing_start(session->signing, &settings->signing,
		message->login.len > 0 ? SLICE("")
				       : slice_of(settings->authserv_id));
}

void
session_mail(struct session *session, struct slice sender,
	const struct session_login *login)
{
	struct message *message = &session->message;

	session_abort(session);
	str_init(&message->recipients, FACTS_RECIPIENTS_BYTES_MAX);
	message->from.status = HEADER_FROM_NO_FIELD;
	message->from.err = "the message has no header";
	message->is_over_limit = session->is_over_limit;
	message->sender =
		keep(session->message_arena, sender, &message->is_over_limit);
	message->login = keep(session->message_arena, login->name,
		&message->is_over_limit);
	message->mechanism = keep(session->message_arena, login->mechanism,
		&message->is_over_limit);
	if (is_stranger(session) && !message->is_over_limit &&
		session->client.address.family != IP_NONE) {
		ask(session);
		message->verifying = verifying_new(session->facts,
			session->admission->settings.header_bytes);
		message->authorship =
			authorship_new(session->facts, &message->from);
	}
	start_signing(session);
}

static void
add_forged(struct message *message)
{
	if (message->n_forged == message->forged_size) {
		message->forged_size = 2 * message->forged_size + 4;
		message->forged = x_realloc_array(message->forged,
			message->forged_size, sizeof(message->forged[0]));
	}
	message->forged[message->n_forged++] = message->n_results;
}

/* What is folded comes with bare newlines, which were two bytes. */
static uint64_t
length_of(struct slice value)
{
	uint64_t len = value.len;

	for (size_t i = 0; i < value.len; i++)
		len += value.ptr[i] == '\n';
	return len;
}

/* Of one that is too long what is kept is so, too. */
static void
keep_from(struct session *session, struct slice value)
{
	struct message *message = &session->message;

	if (message->n_from_fields < FROM_FIELDS_MAX)
		message->from_fields[message->n_from_fields++] = slice_copy(
			session->message_arena,
			slice_part(value, 0, HEADER_FROM_BYTES_MAX + 1));
}

void
session_header(struct session *session, struct slice name, struct slice value)
{
	const struct milter_settings *settings = &session->admission->settings;
	struct message *message = &session->message;

	message->n_fields++;
	message->n_bytes += name.len + value.len;
	if (message->n_fields > settings->header_fields ||
		message->n_bytes > settings->header_bytes)
		message->is_over_limit = true;
	message->size += name.len + 1 + length_of(value) + 2;
	if (message->is_over_limit)
		return;
	if (message->verifying != NULL)
		verifying_header(message->verifying, name, value);
	if (slice_case_eq(slice_trim(name), SLICE("From")))
		keep_from(session, value);
	if (message->is_ours && !message->has_header)
		signing_header(session->signing, name, value);
	if (!slice_case_eq(slice_trim(name), SLICE(AUTH_RESULTS_NAME)))
		return;
	message->n_results++;
	if (auth_results_claim(value, slice_of(settings->authserv_id)))
		add_forged(message);
}

void
session_recipient(struct session *session, struct slice recipient)
{
	struct message *message = &session->message;
	const size_t before = message->recipients.len;

	message->n_recipients++;
	if (message->n_told == FACTS_RECIPIENTS_MAX ||
		recipient.len > FACTS_TEXT_MAX)
		return;
	message_text_line(&message->recipients, "recipient", recipient);
	message->n_told += message->recipients.len > before;
}

/* The identity that counts for DMARC (RFC 9989, 3.2.4). */
static void
add_spf(struct session *session, const struct judge_spf *spf,
	struct authorship_evidence *out)
{
	struct spf_input identity = { .now = 0 };

	if (spf->known == JUDGE_NOT_ASKED)
		return;
	spf_identify(session->message_arena, session->message.sender,
		session->helo, &identity);
	out->has_spf = true;
	out->spf = spf->known == JUDGE_LATE ? SPF_TEMPERROR : spf->result;
	out->spf_domain = identity.domain;
	out->is_spf_of_helo = session->message.sender.len == 0;
}

/* As if all passed, whatever is known of it by now. */
static void
hope(struct session *session, struct authorship_evidence *out)
{
	const struct judge_spf spf = { .known = JUDGE_KNOWN,
		.result = SPF_PASS };

	add_spf(session, &spf, out);
	for (size_t i = 0; i < DMARC_DKIM_MAX; i++) {
		const struct slice domain =
			verifying_domain(session->message.verifying, i);

		if (domain.ptr == NULL)
			break;
		out->dkim[out->n_dkim].auth = DMARC_AUTH_PASS;
		out->dkim[out->n_dkim++].domain = domain;
	}
}

static void
ask_for_keys(struct session *session)
{
	struct message *message = &session->message;
	const struct slice domain =
		signing_header_end(session->signing, &message->from);

	if (domain.len > 0)
		message->keys = facts_ask_keys(session->facts, domain);
}

void
session_header_end(struct session *session)
{
	struct authorship_evidence hoped = { .has_spf = false };
	struct message *message = &session->message;

	if (message->is_over_limit || message->has_header)
		return;
	message->has_header = true;
	message->size += 2; /* the empty line */
	header_from_read(session->message_arena, message->from_fields,
		message->n_from_fields, &message->from);
	if (message->is_ours)
		ask_for_keys(session);
	if (message->verifying != NULL)
		verifying_header_end(message->verifying);
	if (message->authorship == NULL)
		return;
	hope(session, &hoped);
	authorship_header_end(message->authorship, &hoped);
}

/* Mail of a domain without keys: who knows it already hashes nothing. */
static bool
has_no_keys(struct facts_keys *keys)
{
	return bridge_wait(&keys->call, 0) && keys->answer.is_known &&
	       keys->answer.n == 0;
}

/* Whether more of it is wanted. */
static bool
add_to_signing(struct session *session, struct slice bytes)
{
	struct message *message = &session->message;

	if (message->keys == NULL)
		return false;
	if (has_no_keys(message->keys)) {
		signing_give_up(session->signing);
		return false;
	}
	signing_body(session->signing, bytes);
	return true;
}

bool
session_body(struct session *session, struct slice bytes)
{
	const struct milter_settings *settings = &session->admission->settings;
	struct message *message = &session->message;
	bool is_signed, is_verified;

	session_header_end(session);
	if (message->is_over_limit)
		return false;
	message->size += bytes.len;
	is_signed = add_to_signing(session, bytes);
	is_verified = message->verifying != NULL &&
		      verifying_body(message->verifying, bytes);
	return is_signed || is_verified || settings->counts_body;
}

bool
session_forged(const struct session *session, size_t i, size_t *number)
{
	if (i >= session->message.n_forged)
		return false;
	*number = session->message.forged[i];
	return true;
}

/* --- its end ------------------------------------------------------------ */

static struct judge_spf
await_spf(struct facts_spf *spf, int64_t deadline_us)
{
	struct judge_spf out = { .known = JUDGE_NOT_ASKED };

	if (spf == NULL)
		return out;
	out.known = JUDGE_LATE;
	if (bridge_wait(&spf->call, deadline_us))
		out = (struct judge_spf){ JUDGE_KNOWN, spf->result };
	return out;
}

static uint64_t
rules_ms(const struct milter_settings *settings)
{
	return settings->timeout_ms < RULES_MS_MAX ? settings->timeout_ms
						   : RULES_MS_MAX;
}

static struct judge_names
await_names(struct facts_ptr *ptr, int64_t deadline_us)
{
	struct judge_names out = { .known = JUDGE_NOT_ASKED };

	if (ptr == NULL)
		return out;
	out.known = JUDGE_LATE;
	if (bridge_wait(&ptr->call, deadline_us))
		out = (struct judge_names){ JUDGE_KNOWN, ptr->names };
	return out;
}

static void
add_verified(const struct verifying_results *verified,
	struct authorship_evidence *out)
{
	out->n_dkim = verified->n;
	for (size_t i = 0; i < verified->n; i++) {
		out->dkim[i].auth = verified->auth[i];
		out->dkim[i].result = verified->dkim[i].result;
		out->dkim[i].domain = verified->dkim[i].domain;
		out->dkim[i].selector = verified->dkim[i].selector;
	}
	out->has_arc = verified->arc.result == ARC_RESULT_PASS;
	out->arc_sealer = verified->arc_sealer;
	out->arc_dmarc = verified->arc_dmarc;
}

static void
await_authorship(struct session *session, int64_t deadline_us,
	struct judge_input *out)
{
	const bool is_null = session->message.sender.len == 0;

	add_spf(session, is_null ? &out->spf_helo : &out->spf, &out->evidence);
	if (out->verified != NULL)
		add_verified(out->verified, &out->evidence);
	authorship_end(session->message.authorship, &out->evidence, deadline_us,
		&out->authorship);
}

static void
ask_rules(struct session *session, const struct judge_input *input,
	struct slice queue_id)
{
	const struct milter_settings *settings = &session->admission->settings;
	struct message *message = &session->message;
	struct facts_message_question question = {
		.client = session->client.address,
		.client_name = session->client.name,
		.client_ptr = session->client.ptr,
		.helo = session->helo,
		.sender = message->sender,
		.login = message->login,
		.mechanism = message->mechanism,
		.queue_id = slice_part(queue_id, 0, FACTS_TEXT_MAX),
		.has_size = settings->counts_body,
		.size = message->size,
		.n_recipients = message->n_recipients,
		.recipients = str_slice(&message->recipients),
		.from = &message->from,
	};
	struct str findings;

	str_init(&findings, FACTS_LINES_MAX);
	if (input->authorship.from != NULL)
		authorship_write(&input->authorship, &input->evidence,
			&findings);
	question.more = str_slice(&findings);
	message->policy = facts_ask_message(session->facts, &question,
		rules_ms(settings));
	str_free(&findings);
}

/* An answer that cannot be read is none. */
static struct judge_policy
await_rules(struct session *session)
{
	const struct milter_settings *settings = &session->admission->settings;
	struct facts_message *policy = session->message.policy;
	struct judge_policy out = { .known = JUDGE_LATE };

	if (bridge_wait(&policy->call, bridge_deadline(rules_ms(settings))) &&
		policy->answer != NULL &&
		message_text_read(session->message_arena,
			slice_of(policy->answer), &out.answer))
		out.known = JUDGE_KNOWN;
	return out;
}

static void
gather(struct session *session, int64_t deadline_us, struct judge_input *out)
{
	const struct message *message = &session->message;

	*out = (struct judge_input){
		.settings = &session->admission->settings,
		.is_trusted = session->admission->is_trusted,
		.client = session->client.address,
		.client_name = session->client.name,
		.client_ptr = session->client.ptr,
		.login = message->login,
		.mechanism = message->mechanism,
		.helo = session->helo,
		.sender = message->sender,
		.is_over_limit = message->is_over_limit,
		.n_forged = message->n_forged,
	};
	if (!is_stranger(session) || message->is_over_limit)
		return;
	out->spf = await_spf(message->spf, deadline_us);
	out->spf_helo = await_spf(session->spf_helo, deadline_us);
	out->names = await_names(session->ptr, deadline_us);
	if (message->verifying != NULL)
		out->verified = verifying_end(message->verifying,
			session->message_arena, deadline_us);
	if (message->authorship != NULL)
		await_authorship(session, deadline_us, out);
}

/* What is held is not seen again when it is let go. */
static bool
is_to_be_signed(const struct session *session, const struct judgement *out)
{
	return session->message.is_ours &&
	       (out->action == JUDGE_ACCEPT || out->action == JUDGE_HOLD);
}

/* Once it is known that it is accepted: that costs more than all else. */
static void
sign(struct session *session, int64_t deadline_us, struct signing_result *out)
{
	static const struct signing_keys none = { .is_known = false };
	const struct message *message = &session->message;
	const struct signing_keys *keys = &none;

	if (message->keys != NULL &&
		bridge_wait(&message->keys->call, deadline_us))
		keys = facts_keys_read(message->keys);
	signing_end(session->signing, keys, clock_wall(), out);
}

static const char *
name_of(const struct judge_spf *spf)
{
	switch (spf->known) {
	case JUDGE_NOT_ASKED:
		return "";
	case JUDGE_LATE:
		return "late";
	case JUDGE_KNOWN:
		return spf_result_name(spf->result);
	}
	return "";
}

static void
cut(char *out, size_t size, struct slice text)
{
	const struct slice part = slice_part(text, 0, size - 1);

	if (part.len > 0)
		memcpy(out, part.ptr, part.len);
	out[part.len] = '\0';
}

/* What is to be told of a message. */
struct outcome {
	struct judge_input input;
	struct signing_result signing;
	struct slice queue_id;
};

/* "pass:example.com,fail:example.org" */
static void
list_signatures(const struct verifying_results *verified, char *out,
	size_t size)
{
	struct str text;

	str_init(&text, size - 1);
	for (size_t i = 0; i < verified->n; i++)
		str_printf(&text, "%s%s:%.*s", i > 0 ? "," : "",
			verified->dkim[i].result,
			SLICE_ARG(verified->dkim[i].domain));
	if (verified->n_ignored > 0)
		str_printf(&text, ",ignored:%zu", verified->n_ignored);
	cut(out, size, str_slice(&text));
	str_free(&text);
}

static void
report(const struct session *session, const struct outcome *outcome,
	const struct judgement *judgement)
{
	const struct judge_input *input = &outcome->input;
	struct facts_report out = {
		.client = input->client,
		.spf = name_of(&input->spf),
		.spf_helo = name_of(&input->spf_helo),
		.iprev = judgement->iprev,
		.arc = "",
		.action = judge_action_name(judgement->action),
		.n_removed = judgement->removes_forged ? input->n_forged : 0,
		.was_late = judgement->was_late,
		.unsigned_why = outcome->signing.why_not,
	};

	if (input->verified != NULL) {
		list_signatures(input->verified, out.dkim, sizeof(out.dkim));
		if (input->verified->arc.result != ARC_RESULT_NONE)
			out.arc = arc_result_name(input->verified->arc.result);
	}
	cut(out.queue_id, sizeof(out.queue_id), outcome->queue_id);
	cut(out.sender, sizeof(out.sender), input->sender);
	cut(out.helo, sizeof(out.helo), input->helo);
	cut(out.login, sizeof(out.login), input->login);
	cut(out.signed_with, sizeof(out.signed_with), outcome->signing.names);
	if (input->policy.known == JUDGE_KNOWN)
		cut(out.rule, sizeof(out.rule),
			slice_of(input->policy.answer.rule));
	facts_tell(session->facts, &out);
}

void
session_end(struct session *session, struct slice queue_id,
	struct judgement *out)
{
	const struct milter_settings *settings = &session->admission->settings;
	const int64_t deadline_us = bridge_deadline(settings->timeout_ms);
	struct outcome outcome = { .queue_id = queue_id,
		.signing = { .why_not = "" } };

	/* Not every client of the protocol tells of an empty header. */
	session_header_end(session);
	gather(session, deadline_us, &outcome.input);
	if (!outcome.input.is_over_limit) {
		ask_rules(session, &outcome.input, queue_id);
		outcome.input.policy = await_rules(session);
	}
	judge_message(session->message_arena, &outcome.input, out);
	if (is_to_be_signed(session, out)) {
		sign(session, deadline_us, &outcome.signing);
		judge_signing(settings, &outcome.signing, out);
	}
	report(session, &outcome, out);
}
