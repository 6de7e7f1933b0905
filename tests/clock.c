/*
 * The clock of the test programs: common/base/clock.h with an offset that a
 * test turns, so that fifteen minutes or thirty days pass at once.
 *
 * The offset is one int64_t, in seconds, at the start of the file that
 * POLICYD_TEST_CLOCK names. The file is mapped before main(), and so by the
 * supervisor before it forks and gives up its rights: all processes see the
 * same clock, and a turn of it at once. Without the variable the offset is
 * what test_clock_set() said, 0 at first.
 */
#include "tests/clock.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/base/clock.h"

static int64_t own_offset;
static const int64_t *offset = &own_offset;

__attribute__((constructor)) static void
map_offset(void)
{
	const char *path = getenv("POLICYD_TEST_CLOCK");
	void *page;
	int fd;

	if (path == NULL)
		return;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert(fd >= 0);
	page = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
	assert(page != MAP_FAILED);
	close(fd);
	offset = page;
}

void
test_clock_set(int64_t seconds)
{
	own_offset = seconds;
}

static int64_t
read_us(clockid_t id)
{
	struct timespec ts;
	int64_t seconds = __atomic_load_n(offset, __ATOMIC_RELAXED);

	clock_gettime(id, &ts);
	return (seconds + (int64_t)ts.tv_sec) * 1000000 + ts.tv_nsec / 1000;
}

int64_t
clock_wall(void)
{
	return read_us(CLOCK_REALTIME) / 1000000;
}

int64_t
clock_wall_us(void)
{
	return read_us(CLOCK_REALTIME);
}

int64_t
clock_monotonic_us(void)
{
	return read_us(CLOCK_MONOTONIC);
}
