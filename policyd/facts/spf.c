#include "policyd/facts/spf.h"

#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/spf_check.h"
#include "policyd/facts/host.h"
#include "policyd/facts/spf_memory.h"
#include "policyd/request.h"
#include "policyd/sources.h"

/* An evaluation for one request. */
struct look_up {
	struct fact *fact;
	struct spf_input input;
	struct spf_check *check;
};

/* --- the identities ----------------------------------------------------- */

static void
take_identity(const struct fact *fact, struct slice sender,
	struct spf_input *out)
{
	const struct request *req = fact->facts->req;

	spf_identify(req->arena, sender, req->attribute[ATTRIBUTE_helo_name],
		out);
	out->client = req->client;
	out->receiver = host_names_full(fact->facts->sources->host_names);
	out->now = req->now;
}

/* --- the look-up -------------------------------------------------------- */

static struct slice
keep(const struct fact *fact, struct slice text)
{
	return slice_copy(fact->facts->req->arena, text);
}

static void
on_done(void *arg, const struct spf_outcome *outcome, const struct spf *spf)
{
	struct look_up *look_up = arg;
	struct fact *fact = look_up->fact;
	struct spf_fact *out =
		arena_new_object(fact->facts->req->arena, struct spf_fact);

	(void)spf;
	spf_memory_put(fact->facts->sources->spf_memory, &look_up->input,
		outcome);
	out->result = outcome->result;
	out->domain = look_up->input.domain;
	out->matched = keep(fact, outcome->matched);
	out->explanation = keep(fact, outcome->explanation);
	out->problem = keep(fact, outcome->problem);
	fact_known(fact, out);
}

/* Before the decision's own deadline, which would make it unavailable. */
static uint64_t
deadline_ms(const struct config *config)
{
	const uint64_t most = config->policyd.decision_deadline_ms / 10 * 9;

	return config->spf.timeout_ms < most ? config->spf.timeout_ms : most;
}

static void
evaluate(struct fact *fact, const struct spf_input *input)
{
	const struct request *req = fact->facts->req;
	const struct sources *sources = fact->facts->sources;
	const struct dns_session_config config = {
		.deadline_ms = deadline_ms(req->config),
		.question_ms = req->config->dns.timeout_ms,
		.payer = spf_memory_payer(sources->spf_memory, input->domain),
	};
	struct look_up *look_up = arena_new_object(req->arena, struct look_up);

	look_up->fact = fact;
	look_up->input = *input;
	fact->loader_data = look_up;
	look_up->check = spf_check_start(sources->loop, sources->dns, input,
		&config, on_done, look_up);
	metric_add(METRIC_SPF_EVALUATED, 1);
}

static void
load_identity(struct fact *fact, struct slice sender)
{
	const struct request *req = fact->facts->req;
	struct spf_fact *out;
	struct spf_input input;

	if (req->client.family == IP_NONE) {
		fact_unavailable(fact, "the client's address is not known");
		return;
	}
	out = arena_new_object(req->arena, struct spf_fact);
	take_identity(fact, sender, &input);
	if (spf_memory_get(fact->facts->sources->spf_memory, req->arena, &input,
		    out)) {
		metric_add(METRIC_SPF_FROM_MEMORY, 1);
		fact_known(fact, out);
		return;
	}
	evaluate(fact, &input);
}

static void
load(struct fact *fact)
{
	load_identity(fact, fact->facts->req->attribute[ATTRIBUTE_sender]);
}

static void
load_helo(struct fact *fact)
{
	load_identity(fact, SLICE(""));
}

static void
cancel(struct fact *fact)
{
	struct look_up *look_up = fact->loader_data;

	spf_check_cancel(look_up->check);
}

/* --- for explain -------------------------------------------------------- */

static void
append_member(struct str *json, const char *name, struct slice value)
{
	if (value.len == 0)
		return;
	str_printf(json, ",\"%s\":", name);
	str_append_json(json, value);
}

static void
describe(const void *value, struct str *json)
{
	const struct spf_fact *spf = value;

	str_printf(json, "{\"result\":\"%s\"", spf_result_name(spf->result));
	append_member(json, "domain", spf->domain);
	append_member(json, "matched", spf->matched);
	append_member(json, "explanation", spf->explanation);
	append_member(json, "problem", spf->problem);
	str_append_char(json, '}');
}

const struct fact_kind fact_kind_spf = {
	.id = FACT_SPF,
	.name = "spf",
	.load = load,
	.cancel = cancel,
	.describe = describe,
};

const struct fact_kind fact_kind_spf_helo = {
	.id = FACT_SPF_HELO,
	.name = "spf_helo",
	.load = load_helo,
	.cancel = cancel,
	.describe = describe,
};

bool
fact_spf(struct facts *facts, const struct spf_fact **out)
{
	return fact_ask(facts, &fact_kind_spf, (const void **)out);
}

bool
fact_spf_helo(struct facts *facts, const struct spf_fact **out)
{
	return fact_ask(facts, &fact_kind_spf_helo, (const void **)out);
}
