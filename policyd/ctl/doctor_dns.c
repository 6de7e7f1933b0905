/* Whether the resolver answers, when a rule wants to know anything of it. */

#include "policyd/ctl/doctor.h"

#include "common/base/mem.h"
#include "common/io/dns.h"
#include "common/io/loop.h"
#include "policyd/config.h"
#include "policyd/open_dns.h"

struct probe {
	struct doctor *doctor;
	struct loop *loop;
};

static bool
is_on(const struct config *config, enum rule_id rule)
{
	return config->rule[rule].mode != RULE_MODE_OFF;
}

static bool
wants_dns(const struct config *config)
{
	return is_on(config, RULE_ID_spf) ||
	       is_on(config, RULE_ID_reputation) ||
	       (is_on(config, RULE_ID_greylisting) &&
		       config->greylisting.bypass_spf) ||
	       (is_on(config, RULE_ID_reject_sender_login_mismatch) &&
		       config->login_mismatch.check_spf);
}

static void
on_answer(void *arg, const struct dns_answer *answer)
{
	struct probe *probe = arg;

	if (answer->status == DNS_FAILED || answer->status == DNS_BOGUS)
		doctor_find(probe->doctor, DOCTOR_ERROR,
			doctor_in_config(probe->doctor, "dns"), "",
			"the DNS does not answer (%s): every SPF result is "
			"temperror, and the reputation of no client is known; "
			"name a resolver that does in [dns] resolver",
			answer->reason);
	loop_stop(probe->loop);
}

/* The root is a name that every resolver knows something of. */
void
doctor_check_resolver(struct doctor *doctor)
{
	struct probe probe = { .doctor = doctor };
	struct dns *dns;

	if (!wants_dns(doctor->config))
		return;
	probe.loop = loop_new();
	dns = open_dns(probe.loop, doctor->config);
	dns_ask(dns, SLICE("."), DNS_TYPE_TXT, doctor->config->dns.timeout_ms,
		SLICE(""), on_answer, &probe);
	loop_run(probe.loop);
	dns_free(dns);
	loop_free(probe.loop);
}
