#ifndef POLICYD_INSTANCES_H
#define POLICYD_INSTANCES_H

/*
 * Which recipients a message has. Postfix names the recipient at RCPT, and
 * again at END-OF-MESSAGE only if there is just one; the instance attribute
 * ties the requests of one message together. Bounded: limits.instances
 * messages, INSTANCES_BYTES_MAX of memory, REQUEST_RECIPIENTS_MAX recipients
 * each, INSTANCE_TTL_S seconds; the oldest goes first.
 */

#include <stdbool.h>
#include <stddef.h>

struct instances;
struct request;

#define INSTANCE_TTL_S      3600
#define INSTANCES_BYTES_MAX ((size_t)64 << 20)

struct instances *instances_new(size_t max);
void instances_free(struct instances *instances);
/* At RCPT, when the recipient was not refused. */
void instances_add(struct instances *instances, const struct request *req);
/*
 * Whether a header field was put before the message: the first accepted
 * recipient brings it, and Postfix would add it again for each other.
 */
bool instances_has_header(const struct instances *instances,
	const struct request *req);
/* After instances_add(). */
void instances_set_header(struct instances *instances,
	const struct request *req);
/* Fills req->recipients from what was added, in req->arena. */
void instances_fill(struct instances *instances, struct request *req);
/* The message is over. */
void instances_remove(struct instances *instances, const struct request *req);
size_t instances_count(const struct instances *instances);
/* Of all messages; the table to find them is not counted. */
size_t instances_size_bytes(const struct instances *instances);

#endif
