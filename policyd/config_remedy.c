#include "policyd/config.h"

const char *
config_db_remedy(enum config_db_id id)
{
	switch (id) {
	case CONFIG_DB_IREDAPD:
	case CONFIG_DB_POLICYD:
		return "run \"policyctl db migrate\"";
	case CONFIG_DB_VMAIL:
		return "has [vmail_db] the name of iRedMail's database? "
		       "\"policyctl doctor\" tells which rules need what";
	case CONFIG_DB_AMAVISD:
		return "has [amavisd_db] the name of Amavisd's database? "
		       "It is empty where there is none";
	case CONFIG_DB_COUNT:
		break;
	}
	return "";
}
