/* The restriction lists of a service, and how they should be. */

#include "policyd/ctl/doctor.h"

#include "common/base/mem.h"

#define VALUE_MAX    ((size_t)256 << 10)
#define IREDAPD_PORT ":7777"

const char *const doctor_recipient_lists[] = {
	"smtpd_recipient_restrictions",
	"smtpd_relay_restrictions",
	"smtpd_sender_restrictions",
	"smtpd_helo_restrictions",
	"smtpd_client_restrictions",
};
const size_t doctor_n_recipient_lists =
	sizeof(doctor_recipient_lists) / sizeof(doctor_recipient_lists[0]);

/* The first of them that Postfix looks at before RCPT when it may. */
#define FIRST_EARLY_LIST 2

bool
doctor_is_at_rcpt(const struct doctor *doctor,
	const struct postconf_service *service, const char *list)
{
	for (size_t i = 0; i < FIRST_EARLY_LIST; i++)
		if (slice_eq_text(slice_of(list), doctor_recipient_lists[i]))
			return true;
	return postconf_is_yes(&doctor->postconf, service,
		"smtpd_delay_reject");
}

struct restrictions
doctor_list(struct doctor *doctor, const struct postconf_service *service,
	const char *list)
{
	return restrictions_parse(doctor->arena,
		postconf_value(&doctor->postconf, service, list),
		&doctor->postconf, service);
}

static bool
asks_us(const struct doctor *doctor, const struct restriction *step)
{
	return step->kind == RESTRICTION_POLICY &&
	       doctor_is_ours(doctor, restriction_server(step));
}

const struct restriction *
doctor_find_us(const struct doctor *doctor, const struct restrictions *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (asks_us(doctor, &list->steps[i]))
			return &list->steps[i];
	return NULL;
}

bool
doctor_is_iredapd(const struct doctor *doctor, const struct restriction *step)
{
	const struct slice server = restriction_server(step);

	return step->kind == RESTRICTION_POLICY &&
	       slice_starts(server, SLICE("inet:")) &&
	       slice_ends(server, SLICE(IREDAPD_PORT)) &&
	       !doctor_is_ours(doctor, server);
}

/* --- the list as it should be ------------------------------------------- */

/* What a step of the list itself is, whatever a class of it holds. */
struct part {
	bool asks_us, is_iredapd, permits, is_unlisted;
};

static struct part
part_of(const struct doctor *doctor, const struct restrictions *list,
	size_t top)
{
	struct part part = { false, false, false, false };

	for (size_t i = 0; i < list->n; i++) {
		const struct restriction *step = &list->steps[i];

		if (step->top != top)
			continue;
		part.asks_us |= asks_us(doctor, step);
		part.is_iredapd |= doctor_is_iredapd(doctor, step);
		part.permits |= step->kind == RESTRICTION_PERMIT ||
				step->kind == RESTRICTION_END;
		part.is_unlisted |= slice_case_eq(step->word,
			SLICE("reject_unlisted_recipient"));
	}
	return part;
}

static void
append_part(struct str *out, struct slice text)
{
	if (out->len > 0)
		str_append_text(out, ", ");
	str_append_slice(out, text);
}

static struct slice
finish(struct doctor *doctor, struct str *value)
{
	const struct slice copy = slice_copy(doctor->arena, str_slice(value));

	str_free(value);
	return copy;
}

/* How we are asked now, without warn_if_reject; or as we would have it. */
static struct slice
own_step(struct doctor *doctor, const struct postconf_service *service,
	const struct restrictions *list)
{
	const struct restriction *us = doctor_find_us(doctor, list);

	if (us == NULL)
		return slice_of(doctor_text(doctor, "check_policy_service %s",
			doctor_own_server(doctor, service)));
	if (!us->is_only_warned)
		return list->tops[us->top];
	return slice_of(doctor_text(doctor, "%.*s %.*s", SLICE_ARG(us->word),
		SLICE_ARG(us->value)));
}

/* Before the first step that permits, and no later than now. */
static size_t
own_place(const struct doctor *doctor, const struct restrictions *list)
{
	for (size_t top = 0; top < list->n_tops; top++) {
		const struct part part = part_of(doctor, list, top);

		if (part.asks_us || part.is_iredapd || part.permits)
			return top;
	}
	return list->n_tops;
}

/* Whether an unknown recipient may be refused before we are asked. */
static bool
may_refuse_unlisted(const struct doctor *doctor,
	const struct postconf_service *service, const char *name)
{
	return slice_eq_text(slice_of(name), doctor_recipient_lists[0]) &&
	       postconf_is_yes(&doctor->postconf, service,
		       "smtpd_reject_unlisted_recipient");
}

struct slice
doctor_list_with_us(struct doctor *doctor,
	const struct postconf_service *service, const char *name)
{
	const struct restrictions list = doctor_list(doctor, service, name);
	const size_t place = own_place(doctor, &list);
	const bool is_refused = may_refuse_unlisted(doctor, service, name);
	bool has_unlisted = false;
	struct str value;

	str_init(&value, VALUE_MAX);
	for (size_t top = 0; top <= list.n_tops; top++) {
		const struct part part = part_of(doctor, &list, top);

		if (top == place) {
			if (is_refused && !has_unlisted)
				append_part(&value,
					SLICE("reject_unlisted_recipient"));
			append_part(&value, own_step(doctor, service, &list));
		}
		if (top == list.n_tops || part.asks_us || part.is_iredapd ||
			(part.is_unlisted && is_refused && top >= place))
			continue;
		append_part(&value, list.tops[top]);
		has_unlisted |= part.is_unlisted;
	}
	return finish(doctor, &value);
}

struct slice
doctor_list_without(struct doctor *doctor,
	const struct postconf_service *service, const char *name,
	struct slice server)
{
	const struct restrictions list = doctor_list(doctor, service, name);
	struct str value;

	str_init(&value, VALUE_MAX);
	for (size_t top = 0; top < list.n_tops; top++) {
		bool asks = false;

		for (size_t i = 0; i < list.n; i++) {
			const struct restriction *step = &list.steps[i];
			const struct slice asked = restriction_server(step);

			if (step->top != top ||
				step->kind != RESTRICTION_POLICY)
				continue;
			asks |= server.len > 0 ? slice_eq(asked, server)
					       : doctor_is_ours(doctor, asked);
		}
		if (!asks)
			append_part(&value, list.tops[top]);
	}
	return finish(doctor, &value);
}

struct slice
doctor_list_replaced(struct doctor *doctor, const struct restrictions *list,
	const struct restriction *step, struct slice old, const char *new)
{
	struct str value;

	str_init(&value, VALUE_MAX);
	for (size_t top = 0; top < list->n_tops; top++) {
		const struct slice text = list->tops[top];

		if (top != step->top || text.ptr != step->text.ptr) {
			append_part(&value, text);
			continue;
		}
		append_part(&value,
			slice_part(text, 0, (size_t)(old.ptr - text.ptr)));
		str_append_text(&value, new);
		str_append_slice(&value,
			slice_from(text,
				(size_t)(old.ptr - text.ptr) + old.len));
	}
	return finish(doctor, &value);
}
