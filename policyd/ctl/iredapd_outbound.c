/*
 * iRedAPD's settings WL_RCPT_...: two switches and what each of the two adds,
 * of which policyd does one.
 */

#include "policyd/ctl/iredapd_planner.h"

static bool
is_on(const struct planner *planner, const char *name, bool otherwise)
{
	const struct python_value *value = planner_find(planner, name);

	return value == NULL ? otherwise : value->number != 0;
}

static bool
is_for_greylisting(const struct planner *planner)
{
	return is_on(planner, "WL_RCPT_FOR_GREYLISTING", true);
}

static bool
is_without_spf(const struct planner *planner)
{
	return is_on(planner, "WL_RCPT_WITHOUT_SPF", false);
}

/* The word otherwise stands for all but 'domain'. */
static void
carry_choice(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value, const char *otherwise)
{
	const bool is_domain = slice_eq_text(value->text, "domain");

	if (!python_is_text(value)) {
		planner_expect(planner, "a text");
		return;
	}
	if (!is_without_spf(planner)) {
		planner_note(planner, SETTING_DROPPED,
			"only WL_RCPT_WITHOUT_SPF looks at it, which is off");
		return;
	}
	planner_set(planner, mapping->section, mapping->key, "%s",
		is_domain ? "domain" : otherwise);
	if (is_domain)
		planner_note(planner, SETTING_CHANGED,
			"iRedAPD never managed to add it; policyd does");
}

void
carry_outbound_switch(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	(void)mapping;
	(void)value;
	if (is_for_greylisting(planner) || is_without_spf(planner))
		planner_note(planner, SETTING_DROPPED,
			"the mode of the rule is its switch");
	else
		planner_note(planner, SETTING_BY_HAND,
			"with both switches off the plug-in does nothing: set "
			"whitelist_outbound_recipient.mode = off");
}

/* Whose mail: 'user', 'domain', and anything else is everyone. */
void
carry_outbound_whom(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	carry_choice(planner, mapping, value,
		slice_eq_text(value->text, "user") ? "user" : "everyone");
}

/* What of the recipient: 'domain', and anything else is the address. */
void
carry_outbound_what(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	carry_choice(planner, mapping, value, "address");
}

void
carry_outbound_servers(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	if (value->number != 0 && is_for_greylisting(planner))
		planner_set(planner, mapping->section, mapping->key, "servers");
	else
		planner_note(planner, SETTING_DROPPED,
			"policyd does not do so either");
}
