#include "policyd/config.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include "common/base/mem.h"

#define PRINT_MAX (1024 * 1024)

static struct config_errors errors;

static void
setup(void)
{
	memset(&errors, 0, sizeof(errors));
}

static void
teardown(void)
{
	config_errors_free(&errors);
}

static struct config *
parse(const char *text)
{
	struct config *config =
		config_parse(slice_of(text), "test.conf", &errors);

	ck_assert_msg(config, "line %u: %s", errors.items[0].line,
		errors.items[0].text);
	ck_assert_uint_eq(errors.n, 0);
	return config;
}

/* To be freed with x_free(). */
static char *
print(const struct config *config, bool is_annotated)
{
	struct str out;

	str_init(&out, PRINT_MAX);
	config_print(config, is_annotated, &out);
	ck_assert(!out.is_cut);
	return out.data;
}

START_TEST(an_empty_file_gives_the_defaults)
{
	struct config *config = parse("");

	ck_assert_str_eq(config->path, "test.conf");
	ck_assert_uint_eq(config->policyd.n_listen, 1);
	ck_assert_str_eq(config->policyd.listen[0].host, "127.0.0.1");
	ck_assert_int_eq(config->policyd.listen[0].port, 7777);
	ck_assert_uint_eq(config->policyd.policy_socket_mode, 0666);
	ck_assert_str_eq(config->policyd.control.path, "/run/policyd/control");
	ck_assert_str_eq(config->policyd.user, "policyd");
	ck_assert_str_eq(config->policyd.group, "");
	ck_assert_uint_eq(config->policyd.decision_deadline_ms, 10000);
	ck_assert(!config->policyd.reply_code);
	ck_assert_uint_eq(config->limits.line_bytes, 8192);
	ck_assert_uint_eq(config->limits.idle_timeout_ms, 600000);
	ck_assert_uint_eq(config->mail.n_trusted_networks, 0);
	ck_assert_str_eq(config->mail.recipient_delimiters, "+");
	ck_assert_int_eq(config->log.syslog_facility, LOG_MAIL);
	ck_assert_int_eq(config->log.level, LOG_LEVEL_INFO);
	ck_assert(config->sessions.enabled);
	ck_assert_str_eq(config->db[CONFIG_DB_VMAIL].name, "vmail");
	ck_assert_uint_eq(config->db[CONFIG_DB_POLICYD].port, 3306);
	ck_assert_uint_eq(config->n_rule_order, RULE_ID_COUNT);
	for (size_t i = 0; i < RULE_ID_COUNT; i++)
		ck_assert_int_eq(config->rule_order[i], i);
	ck_assert_int_eq(config->rule[RULE_ID_throttle].mode,
		RULE_MODE_ENFORCE);
	ck_assert_int_eq(config->rule[RULE_ID_throttle].on_error,
		RULE_ON_ERROR_ACCEPT);
	ck_assert_str_eq(config->greylisting.message,
		"Intentional policy rejection, please try again later");
	ck_assert_uint_eq(config->greylisting.block_expire_ms, 15 * 60000);
	ck_assert_uint_eq(config->greylisting.auth_expire_ms,
		30ull * 24 * 3600 * 1000);
	ck_assert_uint_eq(config->greylisting.ipv4_prefix, 24);
	ck_assert(config->throttle.bypass_same_domain);
	ck_assert(!config->throttle.defer);
	ck_assert_uint_eq(config->notify.recipients.n, 1);
	ck_assert_str_eq(config->notify.recipients.items[0], "root");
	config_unref(config);
}
END_TEST

START_TEST(takes_a_value_of_every_type)
{
	struct config *config = parse("\xEF\xBB\xBF[policyd]\r\n"
				      "# a comment\r\n"
				      "; another\r\n"
				      "  # one that does not begin at once\r\n"
				      "reply_code=yes\r\n"
				      "policy_processes =   16  \r\n"
				      "policy_socket_mode = 660\r\n"
				      "stop_timeout = 1500ms\r\n"
				      "control_socket = unix:/tmp/c\r\n"
				      "node = mx\xC3\xBC\r\n"
				      "[limits]\r\n"
				      "request_bytes = 1M\r\n"
				      "[log]\r\n"
				      "facility = local5\r\n"
				      "format = json\r\n"
				      "[throttle]\r\n"
				      "over_limit = defer\r\n"
				      "mode = observe\r\n"
				      "on_error = defer\r\n"
				      "[greylisting]\r\n"
				      "message = a = b # and # more\r\n"
				      "[iredapd_db]\r\n"
				      "password_file = /etc/x\r\n");

	ck_assert(config->policyd.reply_code);
	ck_assert_uint_eq(config->policyd.policy_processes, 16);
	ck_assert_uint_eq(config->policyd.policy_socket_mode, 0660);
	ck_assert_uint_eq(config->policyd.stop_timeout_ms, 1500);
	ck_assert_str_eq(config->policyd.control.path, "/tmp/c");
	ck_assert_str_eq(config->policyd.node, "mx\xC3\xBC");
	ck_assert_uint_eq(config->limits.request_bytes, 1024 * 1024);
	ck_assert_int_eq(config->log.syslog_facility, LOG_LOCAL5);
	ck_assert_int_eq(config->log.format, LOG_FORMAT_JSON);
	ck_assert(config->throttle.defer);
	ck_assert_int_eq(config->rule[RULE_ID_throttle].mode,
		RULE_MODE_OBSERVE);
	ck_assert_int_eq(config->rule[RULE_ID_throttle].on_error,
		RULE_ON_ERROR_DEFER);
	ck_assert_int_eq(config->rule[RULE_ID_greylisting].mode,
		RULE_MODE_ENFORCE);
	ck_assert_str_eq(config->greylisting.message, "a = b # and # more");
	ck_assert_str_eq(config->db[CONFIG_DB_IREDAPD].password_file, "/etc/x");
	config_unref(config);
}
END_TEST

START_TEST(a_list_goes_on_in_indented_lines)
{
	struct config *config = parse("[policyd]\n"
				      "policy_listen = inet:127.0.0.1:1,\n"
				      "\tinet:[::1]:2 ,, unix:/a/b\n"
				      "# a comment within\n"
				      "\n"
				      "   unix:/c\n"
				      "[mail]\n"
				      "trusted_networks =\n"
				      " 192.0.2.1 2001:db8::/32\n"
				      "[rules]\n"
				      "order = throttle\n"
				      "[notify]\n"
				      "recipients = a@example.com, b\n");

	ck_assert_uint_eq(config->policyd.n_listen, 4);
	ck_assert_str_eq(config->policyd.listen[1].host, "::1");
	ck_assert_str_eq(config->policyd.listen[3].path, "/c");
	ck_assert_uint_eq(config->mail.n_trusted_networks, 2);
	ck_assert_uint_eq(config->mail.trusted_networks[0].prefix_length, 32);
	ck_assert_int_eq(config->mail.trusted_networks[1].address.family,
		IP_V6);
	ck_assert_uint_eq(config->n_rule_order, 1);
	ck_assert_int_eq(config->rule_order[0], RULE_ID_throttle);
	ck_assert_uint_eq(config->notify.recipients.n, 2);
	ck_assert_str_eq(config->notify.recipients.items[1], "b");
	config_unref(config);
}
END_TEST

/* One error each, in its line. */
static const struct {
	const char *name, *text;
	unsigned line;
	const char *error;
} bad_files[] = {
	{ "unknown section", "[polcyd]\nx = 1\n", 1,
		"unknown section \"polcyd\"; did you mean \"policyd\"?" },
	{ "nothing near", "[zzzzzzzzzz]\nnot a line", 1,
		"unknown section \"zzzzzzzzzz\"" },
	{ "unknown setting", "[policyd]\n\nusr = x\n", 3,
		"unknown setting of [policyd] \"usr\"; did you mean \"user\"?" },
	{ "setting of another section", "[policyd]\ntriplets = 1\n", 2,
		"\"triplets\" is not a setting of [policyd], but of [limits]" },
	{ "before the first section", "user = x\n", 1,
		"a setting before the first [section]" },
	{ "twice", "[policyd]\nuser = x\n[log]\n[policyd]\nuser = y\n", 5,
		"[policyd] user: is set already in line 2" },
	{ "no equals sign", "[policyd]\nuser x\n", 2,
		"there is no \"=\": a line is a comment, [section] or key = "
		"value" },
	{ "open section", "[policyd\n", 1,
		"a section is written as [name], with nothing behind" },
	{ "behind a section", "[policyd] user = x\n", 1,
		"a section is written as [name], with nothing behind" },
	{ "scalar goes on", "[policyd]\nuser = x\n y\n z\n", 3,
		"the line begins with white space and so continues a list, "
		"but user above it is not one" },
	{ "nothing goes on", "[policyd]\n user = x\n", 2,
		"the line begins with white space, but there is no list above "
		"it to continue" },
	{ "control byte", "[policyd]\nuser = a\x07\n", 2,
		"the line holds the control byte 0x07" },
	{ "not UTF-8", "[policyd]\nnode = a\xFF\n", 2,
		"the line is not UTF-8" },
	{ "bool", "[policyd]\nreply_code = true\n", 2,
		"[policyd] reply_code: \"true\" is not yes or no" },
	{ "number too large", "[policyd]\npolicy_processes = 17\n", 2,
		"[policyd] policy_processes: \"17\" is not a number from 1 to "
		"16" },
	{ "number too small", "[greylisting]\nipv4_prefix = 7\n", 2,
		"[greylisting] ipv4_prefix: \"7\" is not a number from 8 to "
		"32" },
	{ "number with sign", "[greylisting]\nipv6_prefix = -64\n", 2,
		"[greylisting] ipv6_prefix: \"-64\" is not a number from 16 to "
		"128" },
	{ "number that overflows",
		"[limits]\ntriplets = 18446744073709551617\n", 2,
		"[limits] triplets: \"18446744073709551617\" is not a number "
		"from 1000 to 100000000" },
	{ "keep_days", "[decisions]\nkeep_days = 8\n", 2,
		"[decisions] keep_days: \"8\" is not a number from 1 to 7" },
	{ "no value", "[policyd]\npolicy_processes =\n", 2,
		"[policyd] policy_processes: \"\" is not a number from 1 to "
		"16" },
	{ "size", "[limits]\nline_bytes = 1023\n", 2,
		"[limits] line_bytes: \"1023\" is not a size from 1K to 64K" },
	{ "duration without unit", "[greylisting]\nblock_expire = 15\n", 2,
		"[greylisting] block_expire: \"15\" has no unit: write 500ms, "
		"30s, 15m, 12h or 30d" },
	{ "DMARC: not a domain",
		"[dmarc]\nforce_reject = .a.example, 192.0.2.1\n", 2,
		"[dmarc] force_reject: \"192.0.2.1\" is not a domain such as "
		"example.com, or .example.com" },
	{ "SPF: not a client", "[spf]\nskip = 192.0.2.0/24 .a.example mx\n", 2,
		"[spf] skip: \"mx\" is not a network, a name such as "
		"mx.example.net, or .example.net" },
	{ "duration too short", "[policyd]\ndecision_deadline = 9ms\n", 2,
		"[policyd] decision_deadline: \"9ms\" is not a duration from "
		"10ms to 1m" },
	{ "octal", "[policyd]\npolicy_socket_mode = 0888\n", 2,
		"[policyd] policy_socket_mode: \"0888\" is not an octal mode "
		"from 0000 to 0777" },
	{ "set-user-ID", "[policyd]\npolicy_socket_mode = 4755\n", 2,
		"[policyd] policy_socket_mode: \"4755\" is not an octal mode "
		"from 0000 to 0777" },
	{ "choice", "[greylisting]\nmode = On\n", 2,
		"[greylisting] mode: \"On\" is not off, observe or enforce" },
	{ "empty text", "[greylisting]\nmessage =\n", 2,
		"[greylisting] message: \"\" is not a text of 1 to 400 bytes" },
	{ "tab in a text", "[greylisting]\nmessage = a\tb\n", 2,
		"[greylisting] message: \"a\tb\" is not a text of 1 to 400 "
		"bytes" },
	{ "blank in a word", "[policyd]\nuser = a b\n", 2,
		"[policyd] user: \"a b\" is not a text without blanks of 1 to "
		"32 bytes" },
	{ "relative path", "[iredapd_db]\npassword_file = x\n", 2,
		"[iredapd_db] password_file: \"x\" is not an absolute path of "
		"at most 1023 bytes" },
	{ "empty list", "[policyd]\npolicy_listen =\n", 2,
		"[policyd] policy_listen: must not be empty" },
	{ "network", "[mail]\ntrusted_networks = 10.0.0.0/8\n 10.0/8\n", 3,
		"[mail] trusted_networks: \"10.0/8\" is not an IP address or a "
		"network such as 192.0.2.0/24" },
	{ "host bits", "[mail]\ntrusted_networks = 192.0.2.1/24\n", 2,
		"[mail] trusted_networks: \"192.0.2.1/24\" has bits set behind "
		"its prefix; did you mean \"192.0.2.0/24\"?" },
	{ "rule", "[rules]\norder = greylist\n", 2,
		"[rules] order: \"greylist\" is not a rule; did you mean "
		"\"greylisting\"?" },
	{ "rule twice", "[rules]\norder = throttle throttle\n", 2,
		"[rules] order: \"throttle\" is named twice" },
	{ "like a comment", "[notify]\nrecipients = #a\n", 2,
		"[notify] recipients: \"#a\" begins like a comment" },
	{ "inet control socket", "[policyd]\ncontrol_socket = inet:[::1]:1\n",
		2,
		"[policyd] control_socket: must be a unix socket, such as "
		"unix:/run/policyd/control" },
	{ "socket twice", "[policyd]\npolicy_listen = unix:/a\n\tunix:/a\n", 2,
		"[policyd] policy_listen: names a socket twice" },
	{ "control socket twice",
		"[policyd]\ncontrol_socket = unix:/a\n\n"
		"policy_listen = unix:/a\n",
		4,
		"[policyd] control_socket: is a socket of policy_listen, "
		"too" },
	{ "asks itself", "[policyd]\nparallel = inet:127.0.0.1:7777\n", 2,
		"[policyd] parallel: is a socket of policy_listen, too: "
		"policyd would ask itself" },
	{ "asks itself in a roundabout way",
		"[policyd]\nparallel = inet:[::1]:7777\n"
		"policy_listen = inet:192.0.2.1:7777, inet:[::]:7777\n",
		3,
		"[policyd] parallel: is a socket of policy_listen, too: "
		"policyd would ask itself" },
	{ "asks itself on a unix socket",
		"[policyd]\npolicy_listen = unix:/a\nparallel = unix:/a\n", 3,
		"[policyd] parallel: is a socket of policy_listen, too: "
		"policyd would ask itself" },
	{ "request smaller than line",
		"[limits]\nrequest_bytes = 4K\nline_bytes = 5K\n", 3,
		"[limits] request_bytes: is less than line_bytes: a request "
		"has to hold at least one line" },
	{ "delimiters", "[mail]\nrecipient_delimiters = +@\n", 2,
		"[mail] recipient_delimiters: may hold only characters such as "
		"+ - = that an address may hold before its @ and that are no "
		"letters or digits" },
	{ "no server", "[vmail_db]\nsocket =\n", 2,
		"[vmail_db] host: is empty and so is socket; one of them is "
		"needed" },
	{ "two passwords",
		"[policyd_db]\npassword_env = X\npassword_file = /x\n", 3,
		"[policyd_db] password_env: is set and so is password_file; "
		"only one of them can be used" },
	{ "TLS on a unix socket", "[vmail_db]\ntls = on\n", 2,
		"[vmail_db] tls: needs host: there is no TLS over a unix "
		"socket" },
	{ "CA for nothing", "[vmail_db]\ntls_ca = /x\n", 2,
		"[vmail_db] tls_ca: is used only with tls = verify" },
	{ "forgotten before it passes",
		"[greylisting]\nunauth_triplet_expire = 15m\n", 2,
		"[greylisting] unauth_triplet_expire: must be longer than "
		"block_expire, or a triplet is forgotten before it may pass" },
	{ "URL", "[notify]\nsmtp_url = localhost\n", 2,
		"[notify] smtp_url: must begin with smtp:// or smtps://, such "
		"as smtp://127.0.0.1:25" },
	{ "account in the URL", "[notify]\nsmtp_url = smtp://a:b@c\n", 2,
		"[notify] smtp_url: must not hold an account: use user and "
		"password_file" },
	{ "SRS without secrets", "[srs]\ndomain = srs.example.com\n", 2,
		"[srs] domain: and secrets_file need each other" },
	{ "secrets without SRS", "[srs]\nsecrets_file = /x\n", 2,
		"[srs] domain: and secrets_file need each other" },
	{ "SRS at no domain", "[srs]\ndomain = srs\nsecrets_file = /x\n", 2,
		"[srs] domain: is not the name of a mail domain, such as "
		"srs.example.com" },
	{ "SRS on a socket of others",
		"[srs]\ndomain = srs.example.com\nsecrets_file = /x\n"
		"reverse_listen = inet:127.0.0.1:7777\n",
		4, "[srs] reverse_listen: is a socket of policy_listen, too" },
	{ "SRS on one socket",
		"[srs]\ndomain = srs.example.com\nsecrets_file = /x\n"
		"reverse_listen = inet:127.0.0.1:7778\n",
		4, "[srs] reverse_listen: is a socket of forward_listen, too" },
	{ "the milter on a socket of others",
		"[milter]\nlisten = inet:127.0.0.1:7777\n", 2,
		"[milter] listen: is a socket of policy_listen, too" },
	{ "no name for the milter", "[milter]\nauthserv_id = a;b\n", 2,
		"[milter] authserv_id: is not a name such as mx.example.com" },
	{ "From is not signed", "[dkim]\nheaders = Subject, Date\n", 2,
		"[dkim] headers: From has to be signed" },
	{ "a field that is none", "[dkim]\nheaders = From, a:b\n", 2,
		"[dkim] headers: the name of a header field is malformed" },
	{ "a field twice", "[dkim]\nheaders = From, to, To\n", 2,
		"[dkim] headers: a header field is named twice" },
	{ "signatures of a second", "[dkim]\nexpire = 1s\n", 2,
		"[dkim] expire: mail may be that long on its way: at least "
		"1h, or 0s for never" },
	{ "end of message without a milter", "[milter]\nend_of_message = yes\n",
		2,
		"[milter] end_of_message: nobody would judge there without a "
		"milter: set milter.listen, too" },
	{ "TLS twice", "[notify]\nsmtp_url = smtps://x\nstarttls = yes\n", 3,
		"[notify] starttls: is for smtp://; smtps:// is encrypted from "
		"the start" },
	{ "user without password", "[notify]\nuser = x\n", 2,
		"[notify] user: and password_file need each other" },
};

START_TEST(a_bad_file_is_refused)
{
	struct config *config = config_parse(slice_of(bad_files[_i].text),
		"test.conf", &errors);

	ck_assert_msg(!config, "%s", bad_files[_i].name);
	ck_assert_msg(errors.n == 1, "%s: %u errors", bad_files[_i].name,
		(unsigned)errors.n);
	ck_assert_str_eq(errors.items[0].text, bad_files[_i].error);
	ck_assert_uint_eq(errors.items[0].line, bad_files[_i].line);
}
END_TEST

START_TEST(reports_every_error_in_the_order_of_lines)
{
	static const unsigned lines[] = { 1, 3, 3, 4, 6, 7 };
	struct config *config = config_parse(SLICE("x = 1\n"
						   "[policyd]\n"
						   "policy_listen = a, b\n"
						   " c, unix:/d\n"
						   "[limits]\n"
						   "request_bytes = 4K\n"
						   "line_byts = 5K\n"),
		"test.conf", &errors);

	/* The default of line_bytes is 8K, so line 6 is wrong by itself. */
	ck_assert_ptr_null(config);
	ck_assert_uint_eq(errors.n, sizeof(lines) / sizeof(lines[0]));
	for (size_t i = 0; i < errors.n; i++)
		ck_assert_uint_eq(errors.items[i].line, lines[i]);
}
END_TEST

START_TEST(a_bad_value_is_not_blamed_twice)
{
	/* 4K is less than the default of line_bytes, which was not meant. */
	ck_assert_ptr_null(config_parse(
		SLICE("[limits]\nrequest_bytes = 4K\nline_bytes = x\n"),
		"test.conf", &errors));
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_uint_eq(errors.items[0].line, 3);
}
END_TEST

START_TEST(a_long_text_is_cut_in_a_message)
{
	ck_assert_ptr_null(config_parse(
		SLICE("[policyd]\nuser = "
		      "123456789012345678901234567890123456789012345678901234"
		      "56789\xC3\xBC"
		      "12345\n"),
		"test.conf", &errors));
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_str_eq(errors.items[0].text,
		"[policyd] user: "
		"\"12345678901234567890123456789012345678901234567890123456789"
		"\xE2\x80\xA6\" is not a text without blanks of 1 to 32 "
		"bytes");
}
END_TEST

/* head, then n times what, then tail */
static void
build(struct str *out, const char *head, const char *what, size_t n)
{
	str_init(out, 4 * CONFIG_FILE_MAX);
	str_append_text(out, head);
	for (size_t i = 0; i < n; i++)
		str_append_text(out, what);
}

static const struct {
	const char *name, *head, *what;
	size_t n;
	bool is_accepted;
} sizes[] = {
	{ "longest message", "[greylisting]\nmessage=", "x", 400, true },
	{ "message too long", "[greylisting]\nmessage=", "x", 401, false },
	{ "longest line", "#", "x", CONFIG_LINE_MAX - 1, true },
	{ "line too long", "#", "x", CONFIG_LINE_MAX, false },
	{ "longest list", "[notify]\nrecipients=", "x\n ", 256, true },
	{ "list too long", "[notify]\nrecipients=", "x\n ", 257, false },
	{ "largest file", "", "#\n", CONFIG_FILE_MAX / 2, true },
	{ "file too large", "#", "#\n", CONFIG_FILE_MAX / 2, false },
};

START_TEST(sizes_are_bounded)
{
	struct config *config;
	struct str text;

	build(&text, sizes[_i].head, sizes[_i].what, sizes[_i].n);
	config = config_parse(str_slice(&text), "test.conf", &errors);
	ck_assert_msg((config != NULL) == sizes[_i].is_accepted, "%s",
		sizes[_i].name);
	ck_assert_uint_eq(errors.n, sizes[_i].is_accepted ? 0 : 1);
	config_unref(config);
	str_free(&text);
}
END_TEST

START_TEST(errors_are_bounded)
{
	struct str text;

	build(&text, "", "x\n", 5000);
	ck_assert_ptr_null(config_parse(str_slice(&text), "x", &errors));
	ck_assert_uint_eq(errors.n, 1001);
	ck_assert_str_eq(errors.items[1000].text,
		"there are more errors; they are not shown");
	str_free(&text);
}
END_TEST

/* Every setting that print and parse might lose, away from its default. */
static const char changed[] =
	"[policyd]\n"
	"policy_listen = inet:127.0.0.1:1 inet:[2001:db8::1]:2 unix:/a/b\n"
	"\tunix:/a/c unix:/a/d\n"
	"policy_socket_mode = 0007\n"
	"control_socket = unix:/tmp/control\n"
	"decision_deadline = 1234ms\n"
	"[limits]\n"
	"line_bytes = 5000\n"
	"request_bytes = 300K\n"
	"[mail]\n"
	"trusted_networks = 10.0.0.0/8 ::ffff:192.0.2.1 2001:db8::/32\n"
	"recipient_delimiters =\n"
	"[rules]\n"
	"order =\n"
	"[greylisting]\n"
	"mode = off\n"
	"message = # one; [two] = \xE2\x82\xAC\n"
	"[throttle]\n"
	"over_limit = defer\n"
	"[notify]\n"
	"recipients = [a], b=c\n"
	"sender_name = \xC3\x84 B\n";

START_TEST(what_is_printed_can_be_read_again)
{
	static const char *const texts[] = { "", changed };
	struct config *first = parse(texts[_i / 2]), *second;
	char *once = print(first, _i % 2 == 1), *twice;

	second = parse(once);
	twice = print(second, _i % 2 == 1);
	ck_assert_str_eq(once, twice);
	x_free(once);
	x_free(twice);
	config_unref(first);
	config_unref(second);
}
END_TEST

START_TEST(print_shows_what_is_set)
{
	struct config *config = parse(changed);
	char *text = print(config, false);

	ck_assert_ptr_nonnull(
		strstr(text, "\npolicy_listen = inet:127.0.0.1:1,\n"
			     "\tinet:[2001:db8::1]:2,\n\tunix:/a/b,\n"));
	ck_assert_ptr_nonnull(strstr(text, "\npolicy_socket_mode = 0007\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nline_bytes = 5000\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nrequest_bytes = 300K\n"));
	ck_assert_ptr_nonnull(strstr(text,
		"\ntrusted_networks = 10.0.0.0/8, 192.0.2.1, 2001:db8::/32\n"));
	ck_assert_ptr_nonnull(strstr(text, "\norder =\n"));
	ck_assert_ptr_nonnull(strstr(text, "\nmode = off\n"));
	ck_assert_ptr_null(strstr(text, "(default)"));
	x_free(text);
	text = print(config, true);
	ck_assert_ptr_nonnull(
		strstr(text, "(default)\npolicy_processes = 1\n"));
	ck_assert_ptr_nonnull(strstr(text,
		"\n# permissions of the unix sockets on which Postfix asks\n"
		"policy_socket_mode = 0007\n"));
	x_free(text);
	config_unref(config);
}
END_TEST

START_TEST(rows_tell_value_type_and_default)
{
	struct config *config =
		parse("[policyd]\npolicy_processes = 3\n[throttle]\n");
	struct config_row row;
	struct str value;
	size_t at = 0, n_seen = 0;

	str_init(&value, PRINT_MAX);
	while (config_next(config, &at, &row, &value)) {
		if (strcmp(row.key, "policy_processes") == 0) {
			ck_assert_str_eq(row.section, "policyd");
			ck_assert_str_eq(str_text(&value), "3");
			ck_assert_str_eq(row.default_text, "1");
			ck_assert_str_eq(row.type, "a number from 1 to 16");
			ck_assert(row.needs_restart);
			n_seen++;
		} else {
			/* Each default is written as it is printed. */
			ck_assert_msg(row.is_default, "[%s] %s", row.section,
				row.key);
			ck_assert_str_eq(str_text(&value), row.default_text);
		}
		ck_assert_uint_gt(strlen(row.help), 0);
		ck_assert_uint_gt(strlen(row.type), 0);
		ck_assert_uint_lt(strlen(row.type), CONFIG_TYPE_TEXT_MAX - 1);
		str_reset(&value);
	}
	ck_assert_uint_eq(n_seen, 1);
	ck_assert(!config_next(config, &at, &row, &value));
	str_free(&value);
	config_unref(config);
}
END_TEST

START_TEST(names_what_needs_a_restart)
{
	struct config *old = parse("");
	struct config *new = parse("[policyd]\n"
				   "policy_listen = unix:/a\n"
				   "reply_code = yes\n"
				   "[vmail_db]\n"
				   "host = db\n"
				   "[greylisting]\n"
				   "mode = off\n");
	struct str out;

	str_init(&out, 1024);
	config_restart_needed(old, new, &out);
	ck_assert_str_eq(str_text(&out),
		"[policyd] policy_listen, [vmail_db] host");
	str_reset(&out);
	config_restart_needed(new, new, &out);
	ck_assert_str_eq(str_text(&out), "");
	/* The sockets of SRS are opened at the start, if at all. */
	config_unref(new);
	new = parse("[srs]\ndomain = a.example\nsecrets_file = /x\n");
	config_restart_needed(old, new, &out);
	ck_assert_str_eq(str_text(&out), "[srs] domain");
	str_reset(&out);
	config_restart_needed(new, old, &out);
	ck_assert_str_eq(str_text(&out), "");
	str_free(&out);
	config_unref(old);
	config_unref(new);
}
END_TEST

START_TEST(lives_as_long_as_its_last_reference)
{
	struct config *config = parse("");

	ck_assert_ptr_eq(config_ref(config), config);
	config_unref(config);
	ck_assert_str_eq(config->policyd.user, "policyd");
	config_unref(config);
	config_unref(NULL);
}
END_TEST

/* Files in a directory of their own. */
static char directory[64];

static void
make_directory(void)
{
	setup();
	(void)snprintf(directory, sizeof(directory), "/tmp/test_config.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
}

static const char *
path_of(const char *name)
{
	static char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static void
write_file(const char *name, const char *bytes, size_t len)
{
	FILE *file = fopen(path_of(name), "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, len, file), len);
	ck_assert_int_eq(fclose(file), 0);
}

static void
remove_directory(void)
{
	(void)unlink(path_of("file"));
	ck_assert_int_eq(rmdir(directory), 0);
	teardown();
}

START_TEST(loads_a_file)
{
	struct config *config;

	write_file("file", changed, sizeof(changed) - 1);
	config = config_load(path_of("file"), &errors);
	ck_assert_ptr_nonnull(config);
	ck_assert_str_eq(config->path, path_of("file"));
	ck_assert_uint_eq(config->limits.line_bytes, 5000);
	config_unref(config);
	ck_assert_ptr_null(config_load(path_of("absent"), &errors));
	ck_assert_ptr_null(config_load(directory, &errors));
	ck_assert_uint_eq(errors.n, 2);
	ck_assert_uint_eq(errors.items[0].line, 0);
	ck_assert_str_eq(errors.items[0].text,
		"cannot read the file: No such file or directory");
	ck_assert_str_eq(errors.items[1].text,
		"cannot read the file: Is a directory");
}
END_TEST

START_TEST(a_file_that_is_too_large_is_not_read)
{
	struct str text;

	build(&text, "", "# 34567\n", CONFIG_FILE_MAX / 8 + 4096);
	write_file("file", text.data, text.len);
	str_free(&text);
	ck_assert_ptr_null(config_load(path_of("file"), &errors));
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_str_eq(errors.items[0].text,
		"the file is larger than 1048576 bytes");
}
END_TEST

static const struct {
	const char *name, *content;
	size_t len;
	const char *password, *error;
} secrets[] = {
	{ "line", "secret\n", 7, "secret", NULL },
	{ "no newline", "se cret", 7, "se cret", NULL },
	{ "CR LF and more", "secret\r\nx\n", 10, "secret", NULL },
	{ "empty", "", 0, NULL, "it is empty" },
	{ "empty line", "\nx", 2, NULL, "it is empty" },
	{ "NUL", "se\0cret\n", 8, NULL, "it holds control bytes" },
};

START_TEST(reads_a_password_from_a_file)
{
	struct config *config;
	char text[256], error[256];
	int status;

	write_file("file", secrets[_i].content, secrets[_i].len);
	(void)snprintf(text, sizeof(text), "[vmail_db]\npassword_file = %s\n",
		path_of("file"));
	config = parse(text);
	status = config_read_secrets(config, &errors);
	ck_assert_str_eq(config->db[CONFIG_DB_IREDAPD].password, "");
	ck_assert_str_eq(config->notify.password, "");
	if (secrets[_i].error) {
		(void)snprintf(error, sizeof(error),
			"[vmail_db] password_file: cannot use %s: %s",
			path_of("file"), secrets[_i].error);
		ck_assert_int_eq(status, -1);
		ck_assert_uint_eq(errors.n, 1);
		ck_assert_uint_eq(errors.items[0].line, 2);
		ck_assert_str_eq(errors.items[0].text, error);
	} else {
		ck_assert_int_eq(status, 0);
		ck_assert_str_eq(config->db[CONFIG_DB_VMAIL].password,
			secrets[_i].password);
	}
	config_unref(config);
}
END_TEST

START_TEST(reads_a_password_from_the_environment)
{
	struct config *config = parse("[policyd_db]\n"
				      "password_env = TEST_CONFIG_PASSWORD\n");
	char *text;

	ck_assert_int_eq(unsetenv("TEST_CONFIG_PASSWORD"), 0);
	ck_assert_int_eq(config_read_secrets(config, &errors), -1);
	ck_assert_str_eq(errors.items[0].text,
		"[policyd_db] password_env: cannot use the variable "
		"TEST_CONFIG_PASSWORD: it is not set");
	ck_assert_uint_eq(errors.items[0].line, 2);
	ck_assert_int_eq(setenv("TEST_CONFIG_PASSWORD", "hidden", 1), 0);
	ck_assert_int_eq(config_read_secrets(config, &errors), 0);
	ck_assert_str_eq(config->db[CONFIG_DB_POLICYD].password, "hidden");
	text = print(config, true);
	ck_assert_ptr_null(strstr(text, "hidden"));
	x_free(text);
	config_unref(config);
	ck_assert_int_eq(unsetenv("TEST_CONFIG_PASSWORD"), 0);
}
END_TEST

static const struct {
	const char *name, *content;
	mode_t mode;
	const char *secrets, *error;
} srs_secrets[] = {
	{ "one", "secret_1\n", 0600, "secret_1\n", NULL },
	{ "comments, blanks, CR", "# x\n\n  secret_1 \r\n#\nsecret_2", 0640,
		"secret_1\nsecret_2\n", NULL },
	{ "a blank inside", "secret 1\n", 0400, "secret 1\n", NULL },
	{ "none", "# secret_1\n", 0600, NULL, "there is no secret in " },
	{ "empty", "", 0600, NULL, "there is no secret in " },
	{ "short", "secret_1\nsecret2\n", 0600, NULL, "line 2 of " },
	{ "control bytes", "secret\x01 1\n", 0600, NULL, "line 1 of " },
	{ "readable", "secret_1\n", 0604, NULL, "everybody may use " },
	{ "writable", "secret_1\n", 0602, NULL, "everybody may use " },
};

START_TEST(forgets_secrets)
{
	struct config *config = parse("");

	ck_assert_int_eq(config_read_secrets(config, &errors), 0);
	config_forget_secrets(config);
	for (size_t i = 0; i < CONFIG_SECRET_COUNT; i++)
		ck_assert_ptr_null(*config_secret(config, i));
	config_unref(config);
}
END_TEST

START_TEST(reads_the_secrets_of_srs)
{
	struct config *config;
	char text[256], *printed;
	int status;

	write_file("file", srs_secrets[_i].content,
		strlen(srs_secrets[_i].content));
	ck_assert_int_eq(chmod(path_of("file"), srs_secrets[_i].mode), 0);
	(void)snprintf(text, sizeof(text),
		"[srs]\ndomain = srs.example.com\nsecrets_file = %s\n",
		path_of("file"));
	config = parse(text);
	status = config_read_secrets(config, &errors);
	if (srs_secrets[_i].error) {
		ck_assert_int_eq(status, -1);
		ck_assert_uint_eq(errors.n, 1);
		ck_assert_msg(strstr(errors.items[0].text,
				      srs_secrets[_i].error) != NULL,
			"%s: %s", srs_secrets[_i].name, errors.items[0].text);
		ck_assert_ptr_null(strstr(errors.items[0].text, "secret2"));
	} else {
		ck_assert_int_eq(status, 0);
		ck_assert_str_eq(config->srs.secrets, srs_secrets[_i].secrets);
		printed = print(config, true);
		ck_assert_ptr_null(strstr(printed, "secret_1"));
		x_free(printed);
	}
	config_unref(config);
}
END_TEST

#define HEX_KEY \
	"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1C1D1E1F"

static const struct {
	const char *name, *content;
	mode_t mode;
	const char *error;
} master_keys[] = {
	{ "hexadecimal digits", HEX_KEY "\n", 0600, NULL },
	{ "base64", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n", 0640,
		NULL },
	{ "a digit too few", "0102030405\n", 0600, "something else than" },
	{ "two lines", HEX_KEY "\n" HEX_KEY "\n", 0600, "something else than" },
	{ "empty", "", 0600, "something else than" },
	{ "readable", HEX_KEY "\n", 0604, "everybody may use it" },
};

START_TEST(reads_the_master_key_of_dkim)
{
	unsigned char key[CONFIG_DKIM_KEY_SIZE];
	struct config *config;
	char text[256], *printed;
	int status;

	write_file("file", master_keys[_i].content,
		strlen(master_keys[_i].content));
	ck_assert_int_eq(chmod(path_of("file"), master_keys[_i].mode), 0);
	(void)snprintf(text, sizeof(text), "[dkim]\nmaster_key_file = %s\n",
		path_of("file"));
	config = parse(text);
	status = config_read_secrets(config, &errors);
	ck_assert_int_eq(status, master_keys[_i].error ? -1 : 0);
	ck_assert_int_eq(config_dkim_key(config, key), status == 0);
	if (status == 0) {
		for (size_t i = 0; i < sizeof(key); i++)
			ck_assert_uint_eq(key[i], i);
		printed = print(config, true);
		ck_assert_ptr_null(strstr(printed, "0001020304"));
		x_free(printed);
	} else {
		ck_assert_msg(strstr(errors.items[0].text,
				      master_keys[_i].error) != NULL,
			"%s: %s", master_keys[_i].name, errors.items[0].text);
		ck_assert_ptr_null(strstr(errors.items[0].text, "0102"));
	}
	config_unref(config);
}
END_TEST

START_TEST(an_absent_password_file_is_an_error)
{
	struct config *config = parse("[notify]\n"
				      "user = x\n"
				      "password_file = /nonexistent/x\n");

	ck_assert_int_eq(config_read_secrets(config, &errors), -1);
	ck_assert_uint_eq(errors.n, 1);
	ck_assert_str_eq(errors.items[0].text,
		"[notify] password_file: cannot use /nonexistent/x: No such "
		"file or directory");
	ck_assert_uint_eq(errors.items[0].line, 3);
	config_unref(config);
}
END_TEST

START_TEST(rules_and_modes_have_names)
{
	enum rule_id rule;

	ck_assert_str_eq(rule_name(RULE_ID_greylisting), "greylisting");
	ck_assert(rule_id_parse(SLICE("throttle"), &rule));
	ck_assert_int_eq(rule, RULE_ID_throttle);
	ck_assert(!rule_id_parse(SLICE("throttl"), &rule));
	ck_assert_str_eq(rule_mode_name(RULE_MODE_OBSERVE), "observe");
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static TCase *
texts(void)
{
	TCase *tcase = tcase_create("texts");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, an_empty_file_gives_the_defaults);
	tcase_add_test(tcase, takes_a_value_of_every_type);
	tcase_add_test(tcase, a_list_goes_on_in_indented_lines);
	tcase_add_loop_test(tcase, a_bad_file_is_refused, 0, COUNT(bad_files));
	tcase_add_test(tcase, reports_every_error_in_the_order_of_lines);
	tcase_add_test(tcase, a_bad_value_is_not_blamed_twice);
	tcase_add_test(tcase, a_long_text_is_cut_in_a_message);
	tcase_add_loop_test(tcase, sizes_are_bounded, 0, COUNT(sizes));
	tcase_add_test(tcase, errors_are_bounded);
	tcase_add_loop_test(tcase, what_is_printed_can_be_read_again, 0, 4);
	tcase_add_test(tcase, print_shows_what_is_set);
	tcase_add_test(tcase, rows_tell_value_type_and_default);
	tcase_add_test(tcase, names_what_needs_a_restart);
	tcase_add_test(tcase, lives_as_long_as_its_last_reference);
	tcase_add_test(tcase, rules_and_modes_have_names);
	return tcase;
}

static TCase *
files(void)
{
	TCase *tcase = tcase_create("files");

	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_test(tcase, loads_a_file);
	tcase_add_test(tcase, a_file_that_is_too_large_is_not_read);
	tcase_add_loop_test(tcase, reads_a_password_from_a_file, 0,
		COUNT(secrets));
	tcase_add_test(tcase, reads_a_password_from_the_environment);
	tcase_add_test(tcase, forgets_secrets);
	tcase_add_loop_test(tcase, reads_the_secrets_of_srs, 0,
		COUNT(srs_secrets));
	tcase_add_loop_test(tcase, reads_the_master_key_of_dkim, 0,
		COUNT(master_keys));
	tcase_add_test(tcase, an_absent_password_file_is_an_error);
	return tcase;
}

int
main(void)
{
	Suite *suite = suite_create("config");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, texts());
	suite_add_tcase(suite, files());
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
