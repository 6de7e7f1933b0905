#include "policyd/notifier.h"

#include <string.h>
#include <sys/queue.h>

#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/metric.h"
#include "common/io/db.h"
#include "common/io/smtp.h"
#include "common/io/smtp_message.h"
#include "policyd/effect.h"
#include "policyd/facts/column.h"
#include "policyd/request.h"

/* Counters being claimed at a time; what is more goes without mail. */
#define CLAIMS_MAX 256u
#define BODY_MAX   (64u * 1024)
/* A number and an account. */
#define KEY_MAX (32 + COLUMN_ADDRESS_MAX * 4)

/*
 * By unique key. Changes the row, or makes it, for the first who comes in a
 * window, and for nobody after: "affected" tells. The window is that of the
 * counter; one that is over begins anew here, or there would be a mail for
 * every attempt until the next message is counted. Mended against iRedAPD:
 * a counter without a row gets one, and a mail in the second in which the
 * window began counts for that window.
 */
static const struct db_statement claim_counter = {
	.name = "throttle_claim",
	.sql = "INSERT INTO throttle_tracking (tid, account, period, "
	       "init_time, last_time, last_notify_time) "
	       "VALUES (?, ?, ?, ?, ?, ?) ON DUPLICATE KEY UPDATE "
	       "last_notify_time = "
	       "IF(VALUES(init_time) <= init_time + VALUES(period) "
	       "AND last_notify_time >= init_time "
	       "AND last_notify_time <= init_time + VALUES(period), "
	       "last_notify_time, VALUES(last_notify_time)), "
	       "cur_msgs = IF(VALUES(init_time) > init_time + VALUES(period), "
	       "0, cur_msgs), "
	       "cur_quota = IF(VALUES(init_time) > init_time + "
	       "VALUES(period), 0, cur_quota), "
	       "last_time = IF(VALUES(init_time) > init_time + VALUES(period), "
	       "VALUES(init_time), last_time), "
	       "init_time = IF(VALUES(init_time) > init_time + "
	       "VALUES(period), VALUES(init_time), init_time)",
	.access = DB_WRITES,
	.params = "usuuuu",
	.columns = "",
};

/* The way out for mail, as one configuration describes it. */
struct transport {
	SLIST_ENTRY(transport) entry;
	struct config *config; /* one reference */
	struct smtp *smtp;
	size_t n_under_way;
};

struct notifier {
	struct sources *sources;
	struct map *claims; /* counter -> struct claim */
	/* The first is the one in use, the others finish. */
	SLIST_HEAD(, transport) transports;
};

/* What effect_notify() was told. */
struct notice {
	const struct limit_set *set;
	const char *limit_name;
	const struct reservation_request *counter;
};

struct claim {
	struct notifier *notifier;
	struct str key;
	char *user, *client, *limit_name;
	uint64_t rule_id, limit, current;
	enum throttle_kind kind;
	int64_t now;
	struct str subject, body;
};

static void
claim_free(struct claim *claim)
{
	str_free(&claim->key);
	str_free(&claim->subject);
	str_free(&claim->body);
	x_free(claim->user);
	x_free(claim->client);
	x_free(claim->limit_name);
	x_free(claim);
}

/* Mail. */

static void
transport_free(struct transport *transport)
{
	smtp_free(transport->smtp);
	config_unref(transport->config);
	x_free(transport);
}

static struct transport *
transport_new(struct sources *sources)
{
	struct transport *transport = x_new(struct transport);
	const struct config *config = sources->config;

	transport->config = config_ref(sources->config);
	transport->smtp = smtp_new(sources->loop,
		&(struct smtp_config){
			.url = config->notify.smtp_url,
			.user = config->notify.user,
			.password = config->notify.password,
			.sender = config->notify.sender,
			.starttls = config->notify.starttls,
			.timeout_ms = config->notify.timeout_ms,
		});
	return transport;
}

/* Those of a configuration before, as soon as their mails are through. */
static void
free_idle_transports(struct notifier *notifier)
{
	struct transport *transport, *next;

	for (transport = SLIST_FIRST(&notifier->transports); transport != NULL;
		transport = next) {
		next = SLIST_NEXT(transport, entry);
		if (transport->n_under_way > 0 ||
			transport->config == notifier->sources->config)
			continue;
		SLIST_REMOVE(&notifier->transports, transport, transport,
			entry);
		transport_free(transport);
	}
}

static struct transport *
transport_get(struct notifier *notifier)
{
	struct transport *transport;

	free_idle_transports(notifier);
	transport = SLIST_FIRST(&notifier->transports);
	if (transport != NULL && transport->config == notifier->sources->config)
		return transport;
	transport = transport_new(notifier->sources);
	SLIST_INSERT_HEAD(&notifier->transports, transport, entry);
	return transport;
}

static void
mail_failed(const char *text)
{
	metric_add(METRIC_NOTIFICATIONS_FAILED, 1);
	log_warning("a notification mail was not sent: %s", text);
}

static void
mail_done(void *arg, enum smtp_result result, const char *text)
{
	struct transport *transport = arg;

	transport->n_under_way--;
	if (result == SMTP_SENT)
		metric_add(METRIC_NOTIFICATIONS, 1);
	else
		mail_failed(text);
}

static void
send_mail(const struct claim *claim)
{
	struct transport *transport = transport_get(claim->notifier);
	const struct config *config = transport->config;
	const char *const *recipients =
		(const char *const *)config->notify.recipients.items;
	struct str text;
	const char *err;

	str_init(&text, SMTP_MESSAGE_MAX / 2);
	smtp_message_build(
		&(struct smtp_message){
			.sender_name = slice_of(config->notify.sender_name),
			.sender = slice_of(config->notify.sender),
			.recipients = recipients,
			.n_recipients = config->notify.recipients.n,
			.subject = str_slice(&claim->subject),
			.body = str_slice(&claim->body),
			.date = claim->now,
		},
		&text);
	if (smtp_send(transport->smtp, recipients, config->notify.recipients.n,
		    str_slice(&text), mail_done, transport, &err) == 0)
		transport->n_under_way++;
	else
		mail_failed(err);
	str_free(&text);
}

/* The claim. */

static void
log_limit(const struct claim *claim, const char *mail)
{
	log_line_begin(LOG_LEVEL_WARNING, "limit_reached");
	log_line_text("user", slice_of(claim->user));
	log_line_text("client", slice_of(claim->client));
	log_line_text("kind", slice_of(throttle_kind_name(claim->kind)));
	log_line_text("limit", slice_of(claim->limit_name));
	log_line_u64("allowed", claim->limit);
	log_line_u64("current", claim->current);
	log_line_u64("throttle_rule", claim->rule_id);
	log_line_text("mail", slice_of(mail));
	log_line_end();
}

static bool
has_mail(const struct notifier *notifier)
{
	const struct config *config = notifier->sources->config;

	return config->notify.smtp_url != NULL &&
	       config->notify.smtp_url[0] != '\0' &&
	       config->notify.recipients.n > 0;
}

/*
 * A claim of which nobody knows whether it arrived is taken as ours: two
 * mails are better than none.
 */
static void
claim_done(void *arg, const struct db_result *result)
{
	struct claim *claim = arg;
	struct notifier *notifier = claim->notifier;
	bool is_ours = result->status == DB_UNCERTAIN ||
		       (result->status == DB_OK && result->affected > 0);

	if (notifier == NULL) { /* freed meanwhile */
		claim_free(claim);
		return;
	}
	map_remove(notifier->claims, str_slice(&claim->key));
	if (is_ours) {
		log_limit(claim, has_mail(notifier) ? "yes" : "no");
		if (has_mail(notifier))
			send_mail(claim);
	} else if (result->status != DB_OK) {
		log_limit(claim, "no");
		mail_failed(result->error);
	}
	claim_free(claim);
}

static void
write_rule(struct str *body, const char *limit_name,
	const struct throttle_rule *rule, int64_t limit)
{
	if (rule == NULL)
		return;
	str_printf(body, "  rule %llu: %s=%lld, account ",
		(unsigned long long)rule->id, limit_name, (long long)limit);
	str_append_slice(body, rule->account);
	str_append_char(body, '\n');
}

static void
write_rules(struct str *body, const struct limit_set *set)
{
	str_append_text(body, "Rules:\n");
	if (set->msg_size != NULL)
		write_rule(body, "msg_size", set->msg_size,
			set->msg_size->msg_size);
	if (set->max_msgs != NULL)
		write_rule(body, "max_msgs", set->max_msgs,
			set->max_msgs->max_msgs);
	if (set->max_quota != NULL)
		write_rule(body, "max_quota", set->max_quota,
			set->max_quota->max_quota);
	if (set->max_rcpts != NULL)
		write_rule(body, "max_rcpts", set->max_rcpts,
			set->max_rcpts->max_rcpts);
}

static void
write_mail(struct claim *claim, const struct notice *notice, const char *node)
{
	const char *unit =
		strcmp(claim->limit_name, "max_quota") == 0 ? " bytes" : "";
	struct str *body = &claim->body;

	str_init(&claim->subject, SMTP_TEXT_MAX);
	str_printf(&claim->subject, "Throttle quota exceeded: %s, %s=%llu%s",
		claim->user, claim->limit_name,
		(unsigned long long)claim->limit, unit);
	str_init(body, BODY_MAX);
	str_printf(body,
		"User: %s\nClient IP address: %s\nKind: %s\nLimit: %s\n"
		"Allowed: %llu%s\nCurrent: %llu%s\nPeriod: %llu seconds\n"
		"Node: %s\n\n",
		claim->user, claim->client, throttle_kind_name(claim->kind),
		claim->limit_name, (unsigned long long)claim->limit, unit,
		(unsigned long long)claim->current, unit,
		(unsigned long long)notice->counter->period_s,
		node != NULL ? node : "");
	write_rules(body, notice->set);
}

/* The counter as the reservation of this decision found it, or NULL. */
static const struct counter *
find_counter(const struct facts *facts,
	const struct reservation_request *wanted)
{
	const struct fact *fact = &facts->slot[FACT_RESERVATION];
	const struct reservation *reservation = fact->value;

	if (fact->state != FACT_KNOWN)
		return NULL;
	for (size_t i = 0; i < reservation->n; i++) {
		const struct reservation_request *request =
			&reservation->requests[i];

		if (request->rule_id == wanted->rule_id &&
			slice_eq(request->account, wanted->account))
			return &reservation->counters[i];
	}
	return NULL;
}

static bool
is_notified(const struct counter *counter, uint64_t period_s)
{
	return counter != NULL &&
	       counter->last_notified >= counter->window_start &&
	       counter->last_notified <=
		       counter->window_start + (int64_t)period_s;
}

static struct claim *
claim_new(struct notifier *notifier, const struct facts *facts,
	const struct notice *notice, const struct counter *counter)
{
	const struct reservation_request *wanted = notice->counter;
	const struct request *req = facts->req;
	bool is_bytes = strcmp(notice->limit_name, "max_quota") == 0;
	struct claim *claim = x_new(struct claim);

	claim->notifier = notifier;
	claim->user = slice_strdup(notice->set->subject);
	claim->client = slice_strdup(req->attribute[ATTRIBUTE_client_address]);
	claim->limit_name = x_strdup(notice->limit_name);
	claim->kind = notice->set->kind;
	claim->rule_id = wanted->rule_id;
	claim->limit = is_bytes ? wanted->max_bytes : wanted->max_msgs;
	claim->now = req->now;
	if (counter != NULL)
		claim->current =
			is_bytes ? counter->cur_bytes : counter->cur_msgs;
	write_mail(claim, notice, notifier->sources->node);
	return claim;
}

static void
claim_start(struct claim *claim, const struct reservation_request *wanted,
	struct slice account)
{
	struct notifier *notifier = claim->notifier;
	struct db_value values[] = {
		{ .number = wanted->rule_id },
		{ .text = account },
		{ .number = wanted->period_s },
		{ .number = (uint64_t)claim->now },
		{ .number = (uint64_t)claim->now },
		{ .number = (uint64_t)claim->now },
	};

	map_put(notifier->claims, str_slice(&claim->key), claim);
	db_run(notifier->sources->db[CONFIG_DB_IREDAPD], &claim_counter, values,
		0, claim_done, claim);
}

static void
apply(struct facts *facts, const void *data)
{
	const struct notice *notice = data;
	const struct reservation_request *wanted = notice->counter;
	const struct counter *counter = find_counter(facts, wanted);
	struct notifier *notifier = facts->sources->notifier;
	struct slice account = column_text(facts->req->arena, wanted->account,
		COLUMN_ADDRESS_MAX);
	struct claim *claim;
	struct str key;

	if (is_notified(counter, wanted->period_s))
		return;
	str_init(&key, KEY_MAX);
	str_append_u64(&key, wanted->rule_id);
	str_append_char(&key, ' ');
	str_append_slice(&key, account);
	if (map_get(notifier->claims, str_slice(&key)) != NULL) {
		str_free(&key);
		return;
	}
	if (map_count(notifier->claims) >= CLAIMS_MAX) {
		str_free(&key);
		mail_failed("too many limits were reached at once");
		return;
	}
	claim = claim_new(notifier, facts, notice, counter);
	claim->key = key;
	claim_start(claim, wanted, account);
}

void
effect_notify(struct verdict *out, const struct request *req,
	const struct limit_set *set, const char *limit_name,
	const struct reservation_request *counter)
{
	struct notice *notice = arena_new_object(req->arena, struct notice);

	notice->set = set;
	notice->limit_name = limit_name;
	notice->counter = counter;
	effect_add(out, "tell the administrator", apply, notice);
}

struct notifier *
notifier_new(struct sources *sources)
{
	struct notifier *notifier = x_new(struct notifier);

	notifier->sources = sources;
	notifier->claims = map_new();
	SLIST_INIT(&notifier->transports);
	return notifier;
}

static void
orphan(void *claim)
{
	((struct claim *)claim)->notifier = NULL;
}

void
notifier_free(struct notifier *notifier)
{
	struct transport *transport;

	if (notifier == NULL)
		return;
	/* The database answers them later, and they are freed then. */
	map_free(notifier->claims, orphan);
	while ((transport = SLIST_FIRST(&notifier->transports)) != NULL) {
		SLIST_REMOVE_HEAD(&notifier->transports, entry);
		transport_free(transport);
	}
	x_free(notifier);
}
