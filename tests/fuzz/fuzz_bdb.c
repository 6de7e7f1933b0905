/*
 * A dump of Berkeley DB from anybody: what it says ends, and a key of
 * Postgrey's is cut into parts that are all of it.
 */

#include "policyd/ctl/bdb_dump.h"

#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_pair(const struct bdb_dump *dump)
{
	const struct slice key = str_slice(&dump->key);
	struct postgrey_key parts;
	uint64_t first, last;

	if (postgrey_read_key(key, &parts)) {
		assert(parts.client.len > 0 && parts.recipient.len > 0);
		assert(parts.client.len + parts.sender.len +
				parts.recipient.len + 2 ==
			key.len);
	}
	if (postgrey_read_value(str_slice(&dump->value), &first, &last))
		assert(first <= UINT32_MAX && last <= UINT32_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice rest = { (const char *)data, size }, line;
	struct bdb_dump dump;

	bdb_dump_init(&dump);
	while (rest.len > 0 && slice_split(&rest, '\n', &line)) {
		if (line.len > BDB_LINE_MAX)
			break;
		if (bdb_dump_line(&dump, line))
			check_pair(&dump);
	}
	assert((dump.state == BDB_BAD) == (dump.err != NULL));
	bdb_dump_free(&dump);
	return 0;
}
