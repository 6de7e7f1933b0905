#include "policyd/instances.h"

#include <string.h>
#include <sys/queue.h>

#include "common/base/clock.h"
#include "common/base/hash.h"
#include "common/base/mem.h"
#include "policyd/config.h"
#include "policyd/request.h"

/*
 * Text of the recipients of one message, more than a thousand addresses of
 * the longest kind that RFC 5321, 4.5.3.1.3 allows.
 */
#define MESSAGE_BYTES_MAX ((size_t)256 << 10)
/* More texts than that would only make a key longer, not more its own. */
#define KEY_MAX 1024

struct recipient {
	uint64_t hash;
	size_t at, len; /* in text */
};

struct message {
	TAILQ_ENTRY(message) entry;
	LIST_ENTRY(message) chain;
	struct hash128 key;
	int64_t added_at; /* seconds of the monotonic clock */
	struct recipient *recipients;
	size_t n, size;
	struct str text;
	bool has_header;
};

LIST_HEAD(chain, message);

struct instances {
	struct chain *chains; /* by key, n_chains of them: a power of two */
	size_t n_chains;
	TAILQ_HEAD(, message) by_age; /* the oldest first */
	size_t n, max;
	size_t n_bytes; /* of memory, of all messages */
};

struct instances *
instances_new(size_t max)
{
	struct instances *instances = x_new(struct instances);

	instances->n_chains = 1;
	while (instances->n_chains < max)
		instances->n_chains *= 2;
	instances->chains = x_new_array(instances->n_chains, struct chain);
	TAILQ_INIT(&instances->by_age);
	instances->max = max;
	return instances;
}

static size_t
message_bytes(const struct message *message)
{
	return sizeof(*message) +
	       message->size * sizeof(message->recipients[0]) +
	       message->text.size;
}

static void
message_remove(struct instances *instances, struct message *message)
{
	LIST_REMOVE(message, chain);
	instances->n--;
	TAILQ_REMOVE(&instances->by_age, message, entry);
	instances->n_bytes -= message_bytes(message);
	str_free(&message->text);
	x_free(message->recipients);
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
	x_free(instances->chains);
	x_free(instances);
}

static void
add_to_key(char *key, size_t *len, struct slice part)
{
	const size_t n = part.len < KEY_MAX - *len ? part.len : KEY_MAX - *len;

	if (n > 0)
		memcpy(key + *len, part.ptr, n);
	*len += n;
	if (*len < KEY_MAX)
		key[(*len)++] = '\0';
}

/*
 * Postfix makes the instance of a process id and a counter; client and
 * sender keep a number that comes again, or that somebody made up, apart.
 * False when the request names none.
 */
static bool
make_key(const struct request *req, struct hash128 *key)
{
	char text[KEY_MAX];
	size_t len = 0;

	if (req->attribute[ATTRIBUTE_instance].len == 0)
		return false;
	add_to_key(text, &len, req->attribute[ATTRIBUTE_instance]);
	add_to_key(text, &len, req->attribute[ATTRIBUTE_client_address]);
	add_to_key(text, &len, req->attribute[ATTRIBUTE_sender]);
	*key = hash_u128((struct slice){ text, len });
	return true;
}

static struct chain *
chain_of(const struct instances *instances, struct hash128 key)
{
	return &instances->chains[key.lo & (instances->n_chains - 1)];
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
find(const struct instances *instances, struct hash128 key)
{
	struct message *message;

	LIST_FOREACH(message, chain_of(instances, key), chain)
	if (message->key.lo == key.lo && message->key.hi == key.hi)
		return message;
	return NULL;
}

/* Lets go of the oldest until there are no more than so many messages. */
static void
make_room(struct instances *instances, size_t max)
{
	struct message *oldest;

	while ((oldest = TAILQ_FIRST(&instances->by_age)) != NULL &&
		(is_expired(oldest) || instances->n > max ||
			instances->n_bytes > INSTANCES_BYTES_MAX))
		message_remove(instances, oldest);
}

static struct message *
message_new(struct instances *instances, struct hash128 key)
{
	struct message *message;

	make_room(instances, instances->max - 1);
	message = x_new(struct message);
	message->key = key;
	str_init(&message->text, MESSAGE_BYTES_MAX);
	LIST_INSERT_HEAD(chain_of(instances, key), message, chain);
	TAILQ_INSERT_TAIL(&instances->by_age, message, entry);
	instances->n++;
	instances->n_bytes += message_bytes(message);
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
message_add(struct message *message, struct slice text)
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
	message->recipients[message->n++] =
		(struct recipient){ hash, at, text.len };
}

void
instances_add(struct instances *instances, const struct request *req)
{
	struct message *message;
	struct hash128 key;

	if (!make_key(req, &key))
		return;
	message = find(instances, key);
	if (message != NULL && is_expired(message)) {
		message_remove(instances, message);
		message = NULL;
	}
	if (message == NULL)
		message = message_new(instances, key);
	message->added_at = now_s();
	TAILQ_REMOVE(&instances->by_age, message, entry);
	TAILQ_INSERT_TAIL(&instances->by_age, message, entry);
	instances->n_bytes -= message_bytes(message);
	message_add(message, req->recipient.full);
	instances->n_bytes += message_bytes(message);
	/* Not only new messages need room: those there are may have grown. */
	make_room(instances, instances->max);
}

/* What is known of the message of a request; NULL: nothing. */
static struct message *
find_message(const struct instances *instances, const struct request *req)
{
	struct hash128 key;

	return make_key(req, &key) ? find(instances, key) : NULL;
}

bool
instances_has_header(const struct instances *instances,
	const struct request *req)
{
	const struct message *message = find_message(instances, req);

	return message != NULL && !is_expired(message) && message->has_header;
}

void
instances_set_header(struct instances *instances, const struct request *req)
{
	struct message *message = find_message(instances, req);

	if (message != NULL)
		message->has_header = true;
}

void
instances_fill(struct instances *instances, struct request *req)
{
	const struct message *message;
	struct slice delimiters;
	struct address *out;

	if (req->n_recipients > 0)
		return;
	message = find_message(instances, req);
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
	struct message *message = find_message(instances, req);

	if (message != NULL)
		message_remove(instances, message);
}

size_t
instances_count(const struct instances *instances)
{
	return instances->n;
}

size_t
instances_size_bytes(const struct instances *instances)
{
	return instances->n_bytes;
}
