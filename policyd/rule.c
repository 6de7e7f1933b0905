#include "policyd/rule.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RULE(name, mode) extern const struct rule rule_##name;
#include "policyd/rules/rules.def"
#undef RULE

const struct rule *const rules_all[RULE_ID_COUNT] = {
#define RULE(name, mode) [RULE_ID_##name] = &rule_##name,
#include "policyd/rules/rules.def"
#undef RULE
};

#define HINT_MAX 512

enum rule_status
rule_reject(struct verdict *out, const char *text)
{
	out->action = VERDICT_REJECT;
	out->text = slice_copy(out->arena, slice_of(text));
	return RULE_FINAL;
}

enum rule_status
rule_reject_with(struct verdict *out, const char *enhanced, const char *text)
{
	out->enhanced = enhanced;
	return rule_reject(out, text);
}

enum rule_status
rule_prepend(struct verdict *out, struct slice field)
{
	out->header = slice_copy(out->arena, field);
	return RULE_PASS;
}

enum rule_status
rule_defer(struct verdict *out, const char *enhanced, const char *text)
{
	out->action = VERDICT_DEFER;
	out->enhanced = enhanced;
	out->text = slice_copy(out->arena, slice_of(text));
	return RULE_FINAL;
}

enum rule_status
rule_discard(struct verdict *out, const char *text)
{
	out->action = VERDICT_DISCARD;
	out->text = slice_copy(out->arena, slice_of(text));
	return RULE_FINAL;
}

enum rule_status
rule_hold(struct verdict *out, const char *text)
{
	out->action = VERDICT_HOLD;
	out->text = slice_copy(out->arena, slice_of(text));
	return RULE_FINAL;
}

void
rule_tell(struct verdict *out, const char *name, struct slice text)
{
	char *lines = arena_printf(out->arena, "%.*s%s=%.*s\n",
		SLICE_ARG(out->more), name, SLICE_ARG(text));
	const size_t end = strlen(lines) - 1;

	for (size_t i = out->more.len; i < end; i++)
		if ((unsigned char)lines[i] < ' ' || lines[i] == 0x7f)
			lines[i] = '?';
	out->more = (struct slice){ lines, end + 1 };
}

enum rule_status
rule_permit(struct verdict *out, const char *reason)
{
	out->text = slice_copy(out->arena, slice_of(reason));
	return RULE_PERMIT;
}

void
rule_hint(struct verdict *out, const char *format, ...)
{
	char text[HINT_MAX];
	va_list args;

	va_start(args, format);
	/* A longer hint is cut: it is for people to read. */
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	out->hint = slice_copy(out->arena, slice_of(text));
}
