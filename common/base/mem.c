#include "common/base/mem.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALIGNMENT alignof(max_align_t)
/* With the header one page: most requests need no second block. */
#define FIRST_BYTES 4000
#define BLOCK_BYTES 16384
/* EX_SOFTWARE of <sysexits.h>. */
#define EXIT_NO_MEMORY 70

/* Then what is left of a block is one, too, and all of it can be given. */
static_assert(FIRST_BYTES % ALIGNMENT == 0 && BLOCK_BYTES % ALIGNMENT == 0,
	"blocks are multiples of the alignment");

struct block {
	struct block *next;
	alignas(max_align_t) char data[];
};

struct arena {
	char *at;    /* free bytes of the block in use */
	size_t left; /* how many */
	size_t used;
	size_t limit;
	struct block *blocks; /* all but the first */
	alignas(max_align_t) char first[FIRST_BYTES];
};

static void *
checked(void *ptr)
{
	static const char message[] = "out of memory\n";
	ssize_t ignored;

	if (ptr)
		return ptr;
	/* Nothing that allocates may be called here. */
	ignored = write(STDERR_FILENO, message, sizeof(message) - 1);
	(void)ignored;
	_exit(EXIT_NO_MEMORY);
}

void *
x_calloc(size_t n, size_t size)
{
	return checked(calloc(n ? n : 1, size ? size : 1));
}

void *
x_realloc_array(void *ptr, size_t n, size_t size)
{
	if (n == 0 || size == 0)
		n = size = 1;
	return checked(reallocarray(ptr, n, size));
}

char *
x_strdup(const char *text)
{
	return text ? checked(strdup(text)) : NULL;
}

void
x_free(void *ptr)
{
	free(ptr);
}

void
x_free_secret(void *ptr, size_t n)
{
	if (ptr)
		explicit_bzero(ptr, n);
	free(ptr);
}

struct arena *
arena_new(size_t limit_bytes)
{
	/* Not x_calloc(): arena_alloc() clears what it hands out. */
	struct arena *arena = checked(malloc(sizeof(*arena)));

	arena->blocks = NULL;
	arena->limit = limit_bytes;
	arena_reset(arena);
	return arena;
}

static void *
take_new_block(struct arena *arena, size_t size)
{
	size_t block_size = size > BLOCK_BYTES ? size : BLOCK_BYTES;
	struct block *block = checked(malloc(sizeof(*block) + block_size));

	block->next = arena->blocks;
	arena->blocks = block;
	/* What is left of the block in use may be more than of this one. */
	if (block_size - size > arena->left) {
		arena->at = block->data + size;
		arena->left = block_size - size;
	}
	return block->data;
}

/* Aligned bytes that are not cleared. */
static inline void *
take(struct arena *arena, size_t size)
{
	void *ptr = arena->at;

	assert(size <= arena->limit - arena->used);
	size = (size + ALIGNMENT - 1) & ~(ALIGNMENT - 1);
	/* The rounding may go over the limit; not more is promised then. */
	arena->used += size;
	if (arena->used > arena->limit)
		arena->used = arena->limit;
	if (size > arena->left)
		return take_new_block(arena, size);
	arena->at += size;
	arena->left -= size;
	return ptr;
}

void *
arena_alloc(struct arena *arena, size_t size)
{
	return memset(take(arena, size), 0, size);
}

void *
arena_alloc_array(struct arena *arena, size_t n, size_t size)
{
	size_t total;
	bool overflows = __builtin_mul_overflow(n, size, &total);

	assert(!overflows);
	return arena_alloc(arena, total);
}

char *
arena_memdup(struct arena *arena, const void *bytes, size_t len)
{
	char *copy;

	assert(len < SIZE_MAX);
	copy = take(arena, len + 1);
	if (len > 0)
		memcpy(copy, bytes, len);
	copy[len] = '\0';
	return copy;
}

char *
arena_printf(struct arena *arena, const char *format, ...)
{
	va_list args, again;
	char *text;
	bool fits;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(arena->at, arena->left, format, args);
	assert(len >= 0);
	fits = (size_t)len < arena->left;
	text = take(arena, (size_t)len + 1);
	if (!fits)
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	va_end(args);
	return text;
}

static void
free_blocks(struct arena *arena)
{
	struct block *block;

	while ((block = arena->blocks)) {
		arena->blocks = block->next;
		free(block);
	}
}

void
arena_reset(struct arena *arena)
{
	free_blocks(arena);
	arena->at = arena->first;
	arena->left = sizeof(arena->first);
	arena->used = 0;
}

size_t
arena_used(const struct arena *arena)
{
	return arena->used;
}

void
arena_free(struct arena *arena)
{
	if (!arena)
		return;
	free_blocks(arena);
	free(arena);
}
