#include "tests/unit/fake_milter.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/base/mem.h"
#include "common/io/loop.h"
#include "milter/facts_dkim.h"
#include "milter/facts_dmarc.h"
#include "milter/facts_keys.h"

struct fake_milter fake_milter;

void
fake_milter_begin(void)
{
	fake_milter = (struct fake_milter){
		.settings = {
			.signing = {
				.is_on = true,
				.header = DKIM_RELAXED,
				.body = DKIM_RELAXED,
			},
			.authserv_id = "mx.example.com",
			.adds_auth = true,
			.message = "later",
			.timeout_ms = 10,
			.header_fields = 10,
			.header_bytes = 1000,
		},
		.is_admitted = true,
		.is_answered = true,
		.result = SPF_PASS,
		.dmarc = DMARC_PASS,
		.answer = "action=DUNNO\n",
	};
	fake_milter.settings.signing.fields =
		dkim_fields_default(&fake_milter.settings.signing.n_fields);
}

/* What does not fit is not looked at either. */
__attribute__((format(printf, 1, 2))) static void
note(const char *format, ...)
{
	const size_t len = strlen(fake_milter.asked);
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(fake_milter.asked + len,
		sizeof(fake_milter.asked) - len, format, arguments);
	va_end(arguments);
}

void
loop_post(struct loop *loop, loop_fn *fn, void *arg)
{
	(void)loop;
	fn(arg);
}

static void
begin_session(struct bridge_call *call)
{
	struct facts_session *session = (struct facts_session *)call;

	fake_milter.n_open++;
	session->is_admitted = fake_milter.is_admitted;
	session->is_trusted = fake_milter.is_trusted;
	session->settings = fake_milter.settings;
	bridge_answer(call);
}

static void
begin_spf(struct bridge_call *call)
{
	struct facts_spf *spf = (struct facts_spf *)call;

	fake_milter.n_open++;
	if (!fake_milter.is_answered)
		return;
	spf->result = fake_milter.result;
	bridge_answer(call);
}

static void
end(struct bridge_call *call)
{
	fake_milter.n_open--;
	fake_milter.n_taken_back += !call->is_answered;
	x_free(call);
}

struct facts_session *
facts_ask_session(struct milter_facts *facts, const struct ip *client)
{
	static const struct bridge_kind kind = { begin_session, end };
	struct facts_session *session = x_new(struct facts_session);

	(void)facts;
	session->client = *client;
	bridge_ask(&session->call, &kind, NULL);
	return session;
}

struct facts_spf *
facts_ask_spf(struct milter_facts *facts, const struct ip *client,
	struct slice helo, struct slice sender)
{
	static const struct bridge_kind kind = { begin_spf, end };
	struct facts_spf *spf = x_new(struct facts_spf);

	(void)facts;
	(void)client;
	note("%.*s %.*s; ", SLICE_ARG(helo), SLICE_ARG(sender));
	bridge_ask(&spf->call, &kind, NULL);
	return spf;
}

static void
begin_ptr(struct bridge_call *call)
{
	fake_milter.n_open++;
	((struct facts_ptr *)call)->names = FACTS_NAMES_NONE;
	if (fake_milter.is_answered)
		bridge_answer(call);
}

struct facts_ptr *
facts_ask_ptr(struct milter_facts *facts, const struct ip *client)
{
	static const struct bridge_kind kind = { begin_ptr, end };
	struct facts_ptr *ptr = x_new(struct facts_ptr);

	(void)facts;
	(void)client;
	note("client; ");
	bridge_ask(&ptr->call, &kind, NULL);
	return ptr;
}

/* --- keys --------------------------------------------------------------- */

static void
begin_keys(struct bridge_call *call)
{
	struct facts_keys *keys = (struct facts_keys *)call;

	fake_milter.n_open++;
	if (fake_milter.are_keys_late)
		return;
	keys->answer.is_known = !fake_milter.are_keys_failed;
	keys->answer.n = fake_milter.has_keys ? 2 : 0;
	keys->answer.keys[0] = (struct signing_key){ slice_of(keys->domain),
		SLICE("rsa"), fake_milter.rsa };
	keys->answer.keys[1] = (struct signing_key){ slice_of(keys->domain),
		SLICE("ed25519"), fake_milter.ed25519 };
	bridge_answer(call);
}

struct facts_keys *
facts_ask_keys(struct milter_facts *facts, struct slice domain)
{
	static const struct bridge_kind kind = { begin_keys, end };
	struct facts_keys *keys = x_new(struct facts_keys);

	(void)facts;
	note("keys of %.*s; ", SLICE_ARG(domain));
	memcpy(keys->domain, domain.ptr, domain.len);
	bridge_ask(&keys->call, &kind, NULL);
	return keys;
}

/* They are ready from the start. */
const struct signing_keys *
facts_keys_read(struct facts_keys *call)
{
	return &call->answer;
}

static void
begin_record(struct bridge_call *call)
{
	struct facts_record *record = (struct facts_record *)call;

	fake_milter.n_open++;
	record->record.status = fake_milter.record == NULL ? DKIM_RECORD_ABSENT
							   : DKIM_RECORD_FOUND;
	record->record.text = slice_of(fake_milter.record);
	if (fake_milter.is_answered)
		bridge_answer(call);
}

struct facts_record *
facts_ask_record(struct milter_facts *facts, const char *name,
	struct slice domain)
{
	static const struct bridge_kind kind = { begin_record, end };
	struct facts_record *record = x_new(struct facts_record);

	(void)facts;
	(void)domain;
	note("%s; ", name);
	bridge_ask(&record->call, &kind, NULL);
	return record;
}

/* "dmarc FROM RESULT DOMAIN +RESULT DOMAIN; ": of SPF, and of signatures */
static void
note_dmarc(const struct dmarc_input *input)
{
	note("dmarc %.*s %s %.*s", SLICE_ARG(input->from),
		spf_result_name(input->spf), SLICE_ARG(input->spf_domain));
	for (size_t i = 0; i < input->n_dkim; i++)
		note(" +%s %.*s", dmarc_auth_name(input->dkim[i].result),
			SLICE_ARG(input->dkim[i].domain));
	note("; ");
}

static void
begin_dmarc(struct bridge_call *call)
{
	struct facts_dmarc *dmarc = (struct facts_dmarc *)call;

	fake_milter.n_open++;
	if (!fake_milter.is_answered)
		return;
	dmarc->result = fake_milter.dmarc;
	dmarc->requested = DMARC_POLICY_REJECT;
	if (dmarc->result == DMARC_FAIL)
		dmarc->policy = DMARC_POLICY_REJECT;
	dmarc->policy_domain = SLICE("example.org");
	dmarc->record = SLICE("v=DMARC1; p=reject");
	dmarc->is_spf_aligned = dmarc->input.spf == SPF_PASS;
	bridge_answer(call);
}

struct facts_dmarc *
facts_ask_dmarc(struct milter_facts *facts, const struct dmarc_input *input)
{
	static const struct bridge_kind kind = { begin_dmarc, end };
	struct facts_dmarc *dmarc = x_new(struct facts_dmarc);

	(void)facts;
	note_dmarc(input);
	dmarc->input.spf = input->spf;
	bridge_ask(&dmarc->call, &kind, NULL);
	return dmarc;
}

void
facts_tell(struct milter_facts *facts, const struct facts_report *report)
{
	(void)facts;
	fake_milter.told = *report;
	fake_milter.n_told++;
}

static void
begin_message(struct bridge_call *call)
{
	struct facts_message *message = (struct facts_message *)call;

	fake_milter.n_open++;
	if (fake_milter.answer[0] == '\0')
		return;
	message->answer = x_strdup(fake_milter.answer);
	bridge_answer(call);
}

static void
end_message(struct bridge_call *call)
{
	x_free(((struct facts_message *)call)->answer);
	end(call);
}

struct facts_message *
facts_ask_message(struct milter_facts *facts,
	const struct facts_message_question *question, uint64_t timeout_ms)
{
	static const struct bridge_kind kind = { begin_message, end_message };
	struct facts_message *message = x_new(struct facts_message);

	(void)facts;
	(void)timeout_ms;
	fake_milter.n_questions++;
	fake_milter.question = *question;
	fake_milter.question.more = SLICE("");
	(void)snprintf(fake_milter.more, sizeof(fake_milter.more), "%.*s",
		SLICE_ARG(question->more));
	bridge_ask(&message->call, &kind, NULL);
	return message;
}
