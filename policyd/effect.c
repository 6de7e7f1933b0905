#include "policyd/effect.h"

#include "common/base/mem.h"
#include "policyd/rule.h"

void
effect_add(struct verdict *out, const char *name,
	void (*apply)(struct facts *facts, const void *data), const void *data)
{
	struct effect *effect = arena_new_object(out->arena, struct effect);

	effect->name = name;
	effect->apply = apply;
	effect->data = data;
	if (out->effects == NULL)
		out->effects_end = &out->effects;
	*out->effects_end = effect;
	out->effects_end = &effect->next;
}
