#ifndef COMMON_BASE_MEM_H
#define COMMON_BASE_MEM_H

/*
 * Memory. Objects that live as long as their owner come from x_new() and go
 * with x_free(); everything that belongs to one request comes from that
 * request's arena and goes with it. Running out of memory ends the process
 * with one line on stderr: the supervisor starts another.
 */

#include <stddef.h>

/* Zeroed memory; never NULL. */
#define x_new(type)          ((type *)x_calloc(1, sizeof(type)))
#define x_new_array(n, type) ((type *)x_calloc((n), sizeof(type)))

void *x_calloc(size_t n, size_t size);

/* Resizes an array to n elements of size bytes; new bytes are not cleared. */
void *x_realloc_array(void *ptr, size_t n, size_t size);

/* A copy to be freed with x_free(). NULL gives NULL. */
char *x_strdup(const char *text);

/* Accepts NULL. */
void x_free(void *ptr);

/* Overwrites n bytes in a way that the compiler may not drop, then frees. */
void x_free_secret(void *ptr, size_t n);

struct arena;

/*
 * A region that is freed at once. It may hold limit_bytes at most: what goes
 * into an arena was bounded where it was read, so to exceed it is a bug.
 */
struct arena *arena_new(size_t limit_bytes);

/* Zeroed, aligned for any type, valid until reset or free. Never NULL. */
void *arena_alloc(struct arena *arena, size_t size);
#define arena_new_object(arena, type) \
	((type *)arena_alloc((arena), sizeof(type)))
#define arena_new_array(arena, n, type) \
	((type *)arena_alloc_array((arena), (n), sizeof(type)))
void *arena_alloc_array(struct arena *arena, size_t n, size_t size);

/* A NUL-terminated copy of len bytes. */
char *arena_memdup(struct arena *arena, const void *bytes, size_t len);

/* Formatted text in the arena. */
char *arena_printf(struct arena *arena, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Forgets all that was allocated, keeps the first block for the next use. */
void arena_reset(struct arena *arena);

size_t arena_used(const struct arena *arena);

/* Accepts NULL. */
void arena_free(struct arena *arena);

#endif
