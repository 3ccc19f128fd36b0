/*
 * sql/session/setting_table.h - which settings there are, and which values they take.
 *
 * Settings are known by their index in the table, which is sorted by name.
 */
#ifndef SQL_SESSION_SETTING_TABLE_H
#define SQL_SESSION_SETTING_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "world/world.h"

enum setting_type {
    SETTING_BOOL,
    SETTING_INT, /* with an optional unit of its family */
    SETTING_TEXT,
    SETTING_ENUM, /* choices, separated by | */
    SETTING_REAL,
};

enum setting_unit {
    UNIT_NONE,
    UNIT_MS,
    UNIT_KB,
};

enum setting_flags {
    SETTING_REPORT = 1,    /* ParameterStatus on change */
    SETTING_READ_ONLY = 2, /* cannot be changed */
    SETTING_SERVER = 4,    /* only from the command line and files, read at the start */
    SETTING_RELOAD = 8,    /* only from the command line and files, read again on SIGHUP */
    SETTING_SESSION = 16,  /* never from files: it is this session's or transaction's */
    SETTING_ROUTER = 32,   /* of tusk-router; tuskd does not look at it */
};

struct setting {
    const char *name;
    enum setting_type type;
    enum setting_unit unit;
    int flags;
    const char *initial;
    int64_t min, max;
    const char *choices;
    const char *description;
};

enum {
    SETTING_CUSTOM = -1, /* a name with a dot: anybody's */
    SETTING_UNKNOWN = -2,
};

extern const struct setting setting_table[];
extern const int setting_count;

/* The index of a name, without regard to case; SETTING_CUSTOM; SETTING_UNKNOWN. */
int setting_find(const char *name);
enum err setting_unknown(const char *name, struct diag *diag);
/* Is it a value? *checked is how it is kept, on the heap. May read time zones. */
/* current: the value it has, for settings of several parts; NULL: none. */
enum err setting_check(struct task *task, const struct setting *setting, const char *value,
    const char *current, char **checked, struct diag *diag);
/* 65536 of kB is 64MB: the number with the largest unit that divides; as it is without a unit. */
void setting_with_unit(const struct setting *setting, const char *value, char *text, size_t size);

#endif /* SQL_SESSION_SETTING_TABLE_H */
