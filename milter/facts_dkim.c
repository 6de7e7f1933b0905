#include "milter/facts_dkim.h"

#include <stdio.h>

#include "common/base/mem.h"
#include "common/io/dns.h"
#include "common/mail/tag_list.h"
#include "milter/facts.h"

/* What is longer is malformed, and stays so. */
#define TEXT_MAX (TAG_LIST_BYTES_MAX + 1)

static bool
says_version(struct slice text)
{
	return slice_starts(text, SLICE("v=DKIM1"));
}

/*
 * RFC 6376, 3.6.2.2: there has to be one. Some have the texts of other
 * services beside it.
 */
static void
choose(struct facts_record *record, const struct dns_answer *answer)
{
	const struct dns_record *chosen = NULL;

	record->record.status = DKIM_RECORD_SEVERAL;
	for (size_t i = 0; i < answer->n_records; i++) {
		const struct dns_record *one = &answer->records[i];

		if (answer->n_records > 1 && !says_version(one->text))
			continue;
		if (chosen != NULL)
			return;
		chosen = one;
	}
	if (chosen == NULL)
		return;
	record->text = slice_strdup(slice_part(chosen->text, 0, TEXT_MAX));
	record->record.status = DKIM_RECORD_FOUND;
	record->record.text = (struct slice){ record->text,
		slice_part(chosen->text, 0, TEXT_MAX).len };
}

static void
on_record(void *arg, const struct dns_answer *answer)
{
	struct facts_record *record = arg;

	record->query = NULL;
	switch (answer->status) {
	case DNS_RECORDS:
		choose(record, answer);
		break;
	case DNS_NONE:
	case DNS_NO_SUCH_NAME:
		record->record.status = DKIM_RECORD_ABSENT;
		break;
	case DNS_FAILED:
	case DNS_BOGUS:
		record->record.status = DKIM_RECORD_FAILED;
		break;
	}
	bridge_answer(&record->call);
}

static void
begin_record(struct bridge_call *call)
{
	struct facts_record *record = (struct facts_record *)call;

	record->query =
		milter_facts_ask_txt(record->facts, slice_of(record->name),
			slice_of(record->domain), on_record, record);
}

static void
end_record(struct bridge_call *call)
{
	struct facts_record *record = (struct facts_record *)call;

	dns_cancel(record->query);
	x_free(record->text);
	x_free(record);
}

struct facts_record *
facts_ask_record(struct milter_facts *facts, const char *name,
	struct slice domain)
{
	static const struct bridge_kind kind = { begin_record, end_record };
	struct facts_record *record = x_new(struct facts_record);

	record->facts = facts;
	(void)snprintf(record->name, sizeof(record->name), "%s", name);
	(void)snprintf(record->domain, sizeof(record->domain), "%.*s",
		SLICE_ARG(domain));
	bridge_ask(&record->call, &kind, milter_facts_loop(facts));
	return record;
}
