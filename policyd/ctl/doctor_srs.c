/* Whether Postfix rewrites senders with us, both ways, and only then. */

#include "policyd/ctl/doctor.h"

#include <unistd.h>

#include "common/base/mem.h"
#include "policyd/config.h"

#define VALUE_MAX ((size_t)64 << 10)

/* One direction. */
struct way {
	const char *maps, *classes; /* parameters of Postfix */
	const char *name;           /* of the socketmap */
	const char *needed;         /* the class without which it is no use */
	const char *good;           /* all classes */
	const struct sock_address *sockets;
	size_t n;
};

static bool
asks_way(const struct doctor *doctor, const struct way *way, struct slice map)
{
	const struct config *config = doctor->config;
	const ptrdiff_t colon = slice_find_last(map, ':');
	struct slice server;

	if (slice_starts(map, SLICE("tcp:")))
		return doctor_is_one_of(doctor, way->sockets, way->n,
			SLICE("inet"), slice_from(map, 4));
	if (!slice_starts(map, SLICE("socketmap:")) || colon < 10 ||
		!slice_eq_text(slice_from(map, (size_t)colon + 1), way->name))
		return false;
	map = slice_part(map, 10, (size_t)colon);
	(void)slice_split(&map, ':', &server);
	return doctor_is_one_of(doctor, config->srs.socketmap,
		config->srs.n_socketmap, server, map);
}

/* The first of the maps that asks us. */
static bool
find_map(const struct doctor *doctor, const struct way *way, struct slice *map)
{
	struct slice rest = postconf_value(&doctor->postconf, NULL, way->maps);

	while (restrictions_next_word(&rest, map))
		if (asks_way(doctor, way, *map))
			return true;
	return false;
}

static const char *
own_map(struct doctor *doctor, const struct way *way)
{
	const struct config *config = doctor->config;

	for (size_t i = 0; i < way->n; i++)
		if (!way->sockets[i].is_unix)
			return doctor_text(doctor, "tcp:%s",
				way->sockets[i].text + sizeof("inet:") - 1);
	return config->srs.n_socketmap == 0
		       ? ""
		       : doctor_text(doctor, "socketmap:%s:%s",
				 config->srs.socketmap[0].text, way->name);
}

static bool
has_class(const struct doctor *doctor, const struct way *way, const char *class)
{
	struct slice rest =
		postconf_value(&doctor->postconf, NULL, way->classes);
	struct slice word;

	while (restrictions_next_word(&rest, &word))
		if (slice_eq_text(word, class))
			return true;
	return false;
}

static void
check_is_wired(struct doctor *doctor, const struct way *way)
{
	const struct slice maps =
		postconf_value(&doctor->postconf, NULL, way->maps);
	struct slice map;

	if (!find_map(doctor, way, &map))
		doctor_find(doctor, DOCTOR_ERROR,
			doctor_place(doctor, NULL, way->maps),
			doctor_set(doctor, NULL, way->maps,
				slice_of(doctor_text(doctor, "%.*s%s%s",
					SLICE_ARG(maps),
					maps.len > 0 ? ", " : "",
					own_map(doctor, way)))),
			"SRS is on (srs.domain), but Postfix does not ask "
			"policyd: addresses are not rewritten");
	if (!has_class(doctor, way, way->needed) ||
		has_class(doctor, way, "header_sender"))
		doctor_find(doctor, DOCTOR_ERROR,
			doctor_place(doctor, NULL, way->classes),
			doctor_set(doctor, NULL, way->classes,
				slice_of(way->good)),
			"SRS is for envelopes: %s has to be among these, and "
			"header_sender would rewrite what people see",
			way->needed);
}

/* A map of this kind that does not answer defers all mail. */
static void
check_is_not_wired(struct doctor *doctor, const struct way *way)
{
	struct slice rest = postconf_value(&doctor->postconf, NULL, way->maps);
	struct slice map, word;
	struct str left;
	int fd = -1;

	if (!find_map(doctor, way, &map))
		return;
	for (size_t i = 0; i < way->n && fd < 0; i++)
		fd = sock_connect(&way->sockets[i]);
	if (fd >= 0) {
		close(fd); /* another program does it */
		return;
	}
	str_init(&left, VALUE_MAX);
	while (restrictions_next_word(&rest, &word))
		if (!asks_way(doctor, way, word))
			str_printf(&left, "%s%.*s", left.len > 0 ? ", " : "",
				SLICE_ARG(word));
	doctor_find(doctor, DOCTOR_ERROR, doctor_place(doctor, NULL, way->maps),
		doctor_set(doctor, NULL, way->maps,
			slice_copy(doctor->arena, str_slice(&left))),
		"%.*s does not answer, since SRS is off (srs.domain is "
		"empty): Postfix defers all mail",
		SLICE_ARG(map));
	str_free(&left);
}

void
doctor_check_srs(struct doctor *doctor)
{
	const struct config *config = doctor->config;
	const struct way ways[] = {
		{ "sender_canonical_maps", "sender_canonical_classes",
			"forward", "envelope_sender", "envelope_sender",
			config->srs.forward, config->srs.n_forward },
		{ "recipient_canonical_maps", "recipient_canonical_classes",
			"reverse", "envelope_recipient",
			"envelope_recipient, header_recipient",
			config->srs.reverse, config->srs.n_reverse },
	};

	if (doctor->postconf.n_parameters == 0)
		return;
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (config_has_srs(config))
			check_is_wired(doctor, &ways[i]);
		else
			check_is_not_wired(doctor, &ways[i]);
}
