#include "policyd/config_table.h"

#include <assert.h>
#include <string.h>

#include "common/base/mem.h"

/*
 * Fields are reached by their offset, and copied rather than cast to: a
 * number may be kept in a bool, an enum, an unsigned or a uint64_t.
 */
void
config_store_number(const struct config_setting *setting, struct config *config,
	uint64_t number)
{
	char *field = (char *)config + setting->offset;
	uint8_t byte = (uint8_t)number;
	uint32_t word = (uint32_t)number;

	if (setting->size == sizeof(byte))
		memcpy(field, &byte, sizeof(byte));
	else if (setting->size == sizeof(word))
		memcpy(field, &word, sizeof(word));
	else
		memcpy(field, &number, sizeof(number));
}

uint64_t
config_load_number(const struct config_setting *setting,
	const struct config *config)
{
	const char *field = (const char *)config + setting->offset;
	uint8_t byte;
	uint32_t word;
	uint64_t number;

	switch (setting->size) {
	case sizeof(byte):
		memcpy(&byte, field, sizeof(byte));
		return byte;
	case sizeof(word):
		memcpy(&word, field, sizeof(word));
		return word;
	default:
		assert(setting->size == sizeof(number));
		memcpy(&number, field, sizeof(number));
		return number;
	}
}

char *
config_load_text(const struct config_setting *setting,
	const struct config *config)
{
	char *text;

	memcpy(&text, (const char *)config + setting->offset, sizeof(text));
	return text;
}

void
config_store_text(const struct config_setting *setting, struct config *config,
	char *text)
{
	x_free(config_load_text(setting, config));
	memcpy((char *)config + setting->offset, &text, sizeof(text));
}

size_t
config_load_count(const struct config_setting *setting,
	const struct config *config)
{
	size_t n;

	memcpy(&n, (const char *)config + setting->count_offset, sizeof(n));
	return n;
}

void
config_store_count(const struct config_setting *setting, struct config *config,
	size_t n)
{
	memcpy((char *)config + setting->count_offset, &n, sizeof(n));
}
