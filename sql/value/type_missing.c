/* sql/value/type_missing.c - types of PostgreSQL 15 that are not here. */
#include "sql/value/type_missing.h"

#include <stddef.h>
#include <string.h>

bool
type_is_missing(const char *name)
{
    static const char *const names[] = {"timetz", "bit", "varbit", "money", "xml", "macaddr",
        "macaddr8", "point", "line", "lseg", "box", "path", "polygon", "circle", "tsvector",
        "tsquery", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange",
        "int4multirange", "int8multirange", "nummultirange", "datemultirange", "tsmultirange",
        "tstzmultirange", "pg_lsn", "xid", "xid8", "cid", "tid", "jsonpath", "refcursor",
        "pg_snapshot", "txid_snapshot", "aclitem", "regcollation", "regconfig", "regdictionary"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}
