#include "policyd/instances.h"

#include <assert.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "policyd/config.h"
#include "policyd/request.h"

/*
 * Text of the recipients of one message, more than a thousand addresses of
 * the longest kind that RFC 5321, 4.5.3.1.3 allows, and of all messages.
 */
#define MESSAGE_BYTES_MAX ((size_t)256 << 10)
#define ALL_BYTES_MAX     ((size_t)64 << 20)
#define KEY_MAX           4096

struct recipient {
	uint64_t hash;
	size_t at, len; /* in text */
};

struct message {
	TAILQ_ENTRY(message) entry;
	char *key;
	size_t key_len;
	int64_t added_at; /* seconds of the monotonic clock */
	struct recipient *recipients;
	size_t n, size;
	struct str text;
};

struct instances {
	struct map *messages;
	TAILQ_HEAD(, message) by_age; /* the oldest first */
	size_t max;
	size_t n_bytes; /* of recipients' text */
};

struct instances *
instances_new(size_t max)
{
	struct instances *instances = x_new(struct instances);

	instances->messages = map_new();
	TAILQ_INIT(&instances->by_age);
	instances->max = max;
	return instances;
}

static struct slice
key_slice(const struct message *message)
{
	return (struct slice){ message->key, message->key_len };
}

static void
message_remove(struct instances *instances, struct message *message)
{
	map_remove(instances->messages, key_slice(message));
	TAILQ_REMOVE(&instances->by_age, message, entry);
	instances->n_bytes -= message->text.len;
	str_free(&message->text);
	x_free(message->recipients);
	x_free(message->key);
	x_free(message);
}

void
instances_free(struct instances *instances)
{
	struct message *message;

	if (instances == NULL)
		return;
	while ((message = TAILQ_FIRST(&instances->by_age)) != NULL)
		message_remove(instances, message);
	map_free(instances->messages, NULL);
	x_free(instances);
}

/*
 * Postfix makes the instance of a process id and a counter; client and
 * sender keep a number that comes again, or that somebody made up, apart.
 * False when the request names none.
 */
static bool
make_key(const struct request *req, struct str *key)
{
	if (req->attribute[ATTRIBUTE_instance].len == 0)
		return false;
	str_init(key, KEY_MAX);
	str_append_slice(key, req->attribute[ATTRIBUTE_instance]);
	str_append_char(key, '\0');
	str_append_slice(key, req->attribute[ATTRIBUTE_client_address]);
	str_append_char(key, '\0');
	str_append_slice(key, req->attribute[ATTRIBUTE_sender]);
	return true;
}

static int64_t
now_s(void)
{
	return clock_monotonic_us() / 1000000;
}

static bool
is_expired(const struct message *message)
{
	return now_s() - message->added_at > INSTANCE_TTL_S;
}

static struct message *
find(const struct instances *instances, const struct request *req)
{
	struct message *message;
	struct str key;

	if (!make_key(req, &key))
		return NULL;
	message = map_get(instances->messages, str_slice(&key));
	str_free(&key);
	return message;
}

/* Lets go of the oldest until one more message may be added. */
static void
make_room(struct instances *instances)
{
	struct message *oldest;

	while ((oldest = TAILQ_FIRST(&instances->by_age)) != NULL &&
		(is_expired(oldest) ||
			map_count(instances->messages) >= instances->max ||
			instances->n_bytes > ALL_BYTES_MAX))
		message_remove(instances, oldest);
}

static struct message *
message_new(struct instances *instances, const struct request *req)
{
	struct message *message;
	struct str key;

	if (!make_key(req, &key))
		return NULL;
	make_room(instances);
	message = x_new(struct message);
	message->key = slice_strdup(str_slice(&key));
	message->key_len = key.len;
	str_init(&message->text, MESSAGE_BYTES_MAX);
	map_put(instances->messages, str_slice(&key), message);
	TAILQ_INSERT_TAIL(&instances->by_age, message, entry);
	str_free(&key);
	return message;
}

static struct slice
recipient_text(const struct message *message, const struct recipient *recipient)
{
	return slice_part(str_slice(&message->text), recipient->at,
		recipient->at + recipient->len);
}

static bool
has(const struct message *message, struct slice text, uint64_t hash)
{
	for (size_t i = 0; i < message->n; i++) {
		const struct recipient *recipient = &message->recipients[i];

		if (recipient->hash == hash &&
			slice_eq(recipient_text(message, recipient), text))
			return true;
	}
	return false;
}

static void
message_add(struct instances *instances, struct message *message,
	struct slice text)
{
	uint64_t hash = hash_u64(text);
	size_t at = message->text.len;

	if (message->n >= REQUEST_RECIPIENTS_MAX ||
		text.len > MESSAGE_BYTES_MAX - at || has(message, text, hash))
		return;
	if (message->n == message->size) {
		message->size = message->size == 0 ? 1 : message->size * 2;
		message->recipients = x_realloc_array(message->recipients,
			message->size, sizeof(struct recipient));
	}
	str_append_slice(&message->text, text);
	instances->n_bytes += text.len;
	message->recipients[message->n++] =
		(struct recipient){ hash, at, text.len };
}

void
instances_add(struct instances *instances, const struct request *req)
{
	struct message *message = find(instances, req);

	if (message != NULL && is_expired(message)) {
		message_remove(instances, message);
		message = NULL;
	}
	if (message == NULL)
		message = message_new(instances, req);
	if (message == NULL)
		return;
	message->added_at = now_s();
	TAILQ_REMOVE(&instances->by_age, message, entry);
	TAILQ_INSERT_TAIL(&instances->by_age, message, entry);
	message_add(instances, message, req->recipient.full);
}

void
instances_fill(struct instances *instances, struct request *req)
{
	const struct message *message;
	struct slice delimiters;
	struct address *out;

	if (req->n_recipients > 0)
		return;
	message = find(instances, req);
	if (message == NULL || is_expired(message))
		return;
	delimiters = slice_of(req->config->mail.recipient_delimiters);
	out = arena_new_array(req->arena, message->n, struct address);
	for (size_t i = 0; i < message->n; i++)
		out[i] = address_parse(req->arena,
			slice_copy(req->arena,
				recipient_text(message,
					&message->recipients[i])),
			delimiters);
	req->recipients = out;
	req->n_recipients = message->n;
}

void
instances_remove(struct instances *instances, const struct request *req)
{
	struct message *message = find(instances, req);

	if (message != NULL)
		message_remove(instances, message);
}

size_t
instances_count(const struct instances *instances)
{
	return map_count(instances->messages);
}
