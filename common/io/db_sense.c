#include "common/io/db_sense.h"

#include <stddef.h>

#include "common/io/db_conn.h"

static const struct {
	unsigned number;
	enum db_sense sense;
} error_senses[] = {
	{ 1205, DB_SENSE_LOCKED },    /* lock wait timeout */
	{ 1213, DB_SENSE_LOCKED },    /* deadlock, or a conflict in Galera */
	{ 1040, DB_SENSE_AWAY },      /* too many connections */
	{ 1047, DB_SENSE_AWAY },      /* Galera node without its cluster */
	{ 1053, DB_SENSE_AWAY },      /* shutting down */
	{ 1927, DB_SENSE_AWAY },      /* connection killed */
	{ 1180, DB_SENSE_UNCERTAIN }, /* error during commit */
	{ 1243, DB_SENSE_STALE },     /* statement unknown */
	{ 1615, DB_SENSE_STALE },     /* statement has to be prepared again */
};

static enum db_sense
sense_of_error(unsigned number)
{
	const size_t n = sizeof(error_senses) / sizeof(error_senses[0]);

	for (size_t i = 0; i < n; i++)
		if (error_senses[i].number == number)
			return error_senses[i].sense;
	return DB_SENSE_FINAL;
}

enum db_sense
db_sense_of(const struct db_conn_answer *answer)
{
	switch (answer->outcome) {
	case DB_CONN_ANSWERED:
		return sense_of_error(answer->error->number);
	case DB_CONN_UNSENT:
		return DB_SENSE_STALE;
	case DB_CONN_LOST:
		return DB_SENSE_UNCERTAIN;
	case DB_CONN_UNFIT:
		return DB_SENSE_FINAL;
	}
	return DB_SENSE_UNCERTAIN;
}
