#include "policyd/facts/spf.h"

static void
load(struct fact *fact)
{
	static const struct spf not_checked = { .result = SPF_NOT_CHECKED };

	fact_known(fact, &not_checked);
}

static void
describe(const void *value, struct str *json)
{
	const struct spf *spf = value;

	switch (spf->result) {
	case SPF_NOT_CHECKED:
		str_append_text(json, "{\"result\":\"not checked\"}");
		break;
	case SPF_PASS:
		str_append_text(json, "{\"result\":\"pass\"}");
		break;
	}
}

const struct fact_kind fact_kind_spf = {
	.id = FACT_SPF,
	.name = "spf",
	.load = load,
	.describe = describe,
};

bool
fact_spf(struct facts *facts, const struct spf **out)
{
	return fact_ask(facts, &fact_kind_spf, (const void **)out);
}
