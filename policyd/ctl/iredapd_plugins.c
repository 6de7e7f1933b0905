/*
 * iRedAPD's list of plug-ins and their priorities as policyd's rules: their
 * modes and their order.
 */

#include <string.h>

#include "common/base/mem.h"
#include "policyd/config.h"
#include "policyd/ctl/iredapd_planner.h"

#define NO_LDAP "it is for LDAP, which policyd does not read"

static const struct plugin {
	const char *name, *rule;
	int priority; /* larger ones run first */
	const char *reason;
} plugins[] = {
	{ "reject_null_sender", "reject_null_sender", 100, NULL },
	{ "reject_to_hostname", "reject_to_hostname", 100, NULL },
	{ "wblist_rdns", "wblist_rdns", 99, NULL },
	{ "reject_sender_login_mismatch", "reject_sender_login_mismatch", 90,
		NULL },
	{ "greylisting", "greylisting", 80, NULL },
	{ "throttle", "throttle", 60, NULL },
	{ "sql_ml_access_policy", "ml_access_policy", 51, NULL },
	{ "sql_alias_access_policy", "alias_access_policy", 50, NULL },
	{ "amavisd_wblist", "amavisd_wblist", 40, NULL },
	{ "whitelist_outbound_recipient", "whitelist_outbound_recipient", 30,
		NULL },
	{ "senderscore", "reputation", 10, NULL },
	{ "sql_force_change_password", "force_password_change", 0, NULL },
	{ "sql_force_change_password_in_days", "", 70,
		"iRedAPD has no such plug-in; sql_force_change_password is "
		"meant" },
	{ "ldap_maillist_access_policy", "", 50, NO_LDAP },
	{ "ldap_force_change_password", "", 0, NO_LDAP },
};

#define N_PLUGINS (sizeof(plugins) / sizeof(plugins[0]))

static const struct plugin *
find_plugin(struct slice name)
{
	for (size_t i = 0; i < N_PLUGINS; i++)
		if (slice_eq_text(name, plugins[i].name))
			return &plugins[i];
	return NULL;
}

/* A row for one plug-in of the list. */
static void
carry_plugin(struct planner *planner, struct slice name)
{
	const struct plugin *plugin = find_plugin(name);
	enum rule_id rule;

	planner_row(planner, "plugins", slice_copy(planner->arena, name).ptr,
		planner_look_up(planner, "plugins"));
	if (plugin == NULL) {
		planner_note(planner, SETTING_BY_HAND,
			"it is not one of iRedAPD's plug-ins, and policyd "
			"runs no Python");
	} else if (!rule_id_parse(slice_of(plugin->rule), &rule)) {
		planner_note(planner, SETTING_DROPPED, "%s",
			plugin->reason != NULL
				? plugin->reason
				: "this version has no such rule");
	} else {
		planner_set(planner, rule_name(rule), "mode", "enforce");
		if (strcmp(plugin->rule, "reputation") == 0 &&
			planner_find(planner, "SENDERSCORE_REJECT_SCORE") ==
				NULL)
			planner_set(planner, plugin->rule, "lists",
				PLANNER_SCORE_LIST("30"));
		if (strcmp(plugin->name, plugin->rule) != 0)
			planner_note(planner, SETTING_CHANGED,
				"the rule has another name");
	}
}

/* The rules that iRedAPD has and that are not in its list. */
static void
switch_off_others(struct planner *planner)
{
	for (size_t i = 0; i < N_PLUGINS; i++) {
		enum rule_id rule;

		if (rule_id_parse(slice_of(plugins[i].rule), &rule) &&
			planner_value(planner, rule_name(rule), "mode") ==
				NULL) {
			planner_row(planner, "plugins",
				arena_printf(planner->arena, "not %s",
					plugins[i].name),
				NULL);
			planner_set(planner, rule_name(rule), "mode", "off");
		}
	}
}

void
carry_plugins(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	struct slice *items;
	size_t n;

	(void)mapping;
	if (value->type != PYTHON_LIST) {
		planner_expect(planner, "a list");
		return;
	}
	items = planner_read_list(planner, value, &n);
	planner_note(planner, SETTING_CHANGED,
		"each rule has a mode of its own");
	for (size_t i = 0; i < n; i++)
		carry_plugin(planner, items[i]);
	switch_off_others(planner);
}

/* --- the order ---------------------------------------------------------- */

/* A rule that is switched on, with what decides its place. */
struct placed_rule {
	enum rule_id rule;
	int64_t priority;
};

static int64_t
priority_of(const struct python_value *all, const struct plugin *plugin)
{
	for (size_t i = 0; i + 1 < all->n; i += 2)
		if (python_is_text(&all->items[i]) &&
			slice_eq_text(all->items[i].text, plugin->name) &&
			all->items[i + 1].type == PYTHON_INT)
			return all->items[i + 1].number;
	return plugin->priority;
}

/* Stable: of equal priorities the one that was named first stays first. */
static void
place_rule(struct placed_rule *rules, size_t *n, enum rule_id rule,
	int64_t priority)
{
	size_t at = *n;

	for (size_t i = 0; i < *n; i++)
		if (rules[i].rule == rule)
			return;
	while (at > 0 && rules[at - 1].priority < priority) {
		rules[at] = rules[at - 1];
		at--;
	}
	rules[at].rule = rule;
	rules[at].priority = priority;
	(*n)++;
}

/* Places a rule before another, if that has a place. */
static void
place_before(struct placed_rule *rules, size_t *n, enum rule_id rule,
	enum rule_id other)
{
	for (size_t i = 0; i < *n; i++) {
		if (rules[i].rule != other)
			continue;
		for (size_t j = (*n)++; j > i; j--)
			rules[j] = rules[j - 1];
		rules[i].rule = rule;
		return;
	}
}

/*
 * Those of the list by their priorities, the others behind them; but SPF
 * stands before greylisting, or strangers would be deferred first.
 */
static void
set_order(struct planner *planner, const struct python_value *priorities,
	const struct slice *names, size_t n_names)
{
	struct placed_rule rules[RULE_ID_COUNT];
	struct slice items[RULE_ID_COUNT];
	size_t n = 0;

	for (size_t i = 0; i < n_names; i++) {
		const struct plugin *plugin = find_plugin(names[i]);
		enum rule_id rule;

		if (plugin != NULL &&
			rule_id_parse(slice_of(plugin->rule), &rule))
			place_rule(rules, &n, rule,
				priority_of(priorities, plugin));
	}
	place_before(rules, &n, RULE_ID_spf, RULE_ID_greylisting);
	for (size_t i = 0; i < RULE_ID_COUNT; i++)
		place_rule(rules, &n, (enum rule_id)i, INT64_MIN);
	for (size_t i = 0; i < n; i++)
		items[i] = slice_of(rule_name(rules[i].rule));
	planner_set_list(planner, "rules", "order", items, n);
}

/*
 * Without priorities of the site's own, policyd's order is taken: white-lists
 * come before what they are to protect from.
 */
void
carry_priorities(struct planner *planner, const struct mapping *mapping,
	const struct python_value *value)
{
	const struct python_value *list = planner_find(planner, "plugins");
	struct slice *names;
	size_t n;

	(void)mapping;
	if (value->type != PYTHON_DICT) {
		planner_expect(planner, "a dictionary");
	} else if (value->n == 0) {
		planner_note(planner, SETTING_CARRIED,
			"policyd's own order is used: white-lists come before "
			"what they protect from");
	} else if (list == NULL || list->type != PYTHON_LIST) {
		planner_note(planner, SETTING_BY_HAND,
			"the list of plug-ins is not known: set [rules] order");
	} else {
		planner_note(planner, SETTING_CHANGED,
			"in iRedAPD large numbers run first, whatever its "
			"remark says; here the order is a list");
		names = planner_read_list(planner, list, &n);
		set_order(planner, value, names, n);
	}
}
