#include "milter/facts_message.h"

#include "common/base/mem.h"
#include "milter/policy_client.h"

static void
on_answer(void *arg, bool is_answered, struct slice answer)
{
	struct facts_message *message = arg;

	message->question = NULL;
	if (is_answered)
		message->answer = slice_strdup(answer);
	bridge_answer(&message->call);
}

static void
begin(struct bridge_call *call)
{
	struct facts_message *message = (struct facts_message *)call;

	message->question =
		policy_client_ask(milter_facts_policy(message->facts),
			(struct slice){ message->text, message->len },
			message->timeout_ms, on_answer, message);
}

static void
end(struct bridge_call *call)
{
	struct facts_message *message = (struct facts_message *)call;

	policy_question_cancel(message->question);
	x_free(message->text);
	x_free(message->answer);
	x_free(message);
}

struct facts_message *
facts_ask_message(struct milter_facts *facts,
	const struct facts_message_question *question, uint64_t timeout_ms)
{
	static const struct bridge_kind kind = { begin, end };
	struct facts_message *message = x_new(struct facts_message);
	struct str lines;

	str_init(&lines, FACTS_LINES_MAX + FACTS_RECIPIENTS_BYTES_MAX);
	message_text_write(&lines, question);
	message->facts = facts;
	message->timeout_ms = timeout_ms;
	message->len = str_slice(&lines).len;
	message->text = slice_strdup(str_slice(&lines));
	str_free(&lines);
	bridge_ask(&message->call, &kind, milter_facts_loop(facts));
	return message;
}
