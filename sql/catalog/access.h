/*
 * sql/catalog/access.h - who may do what: privileges, membership in roles, passwords.
 *
 * A grant is kept per object and grantee. An object without any grant has PostgreSQL's default
 * ones: all to its owner, and to everybody what catalog_default_public says. The first GRANT or
 * REVOKE writes the defaults down. All grants count as given by the owner.
 */
#ifndef SQL_CATALOG_ACCESS_H
#define SQL_CATALOG_ACCESS_H

#include "sql/catalog/catalog.h"

/* PostgreSQL's bits and, in this order, letters: arwdDxtXUCTc. */
enum privilege {
    PRIVILEGE_INSERT = 1 << 0,
    PRIVILEGE_SELECT = 1 << 1,
    PRIVILEGE_UPDATE = 1 << 2,
    PRIVILEGE_DELETE = 1 << 3,
    PRIVILEGE_TRUNCATE = 1 << 4,
    PRIVILEGE_REFERENCES = 1 << 5,
    PRIVILEGE_TRIGGER = 1 << 6,
    PRIVILEGE_EXECUTE = 1 << 7,
    PRIVILEGE_USAGE = 1 << 8,
    PRIVILEGE_CREATE = 1 << 9,
    PRIVILEGE_TEMPORARY = 1 << 10,
    PRIVILEGE_CONNECT = 1 << 11,
    PRIVILEGE_COUNT = 12,
    PRIVILEGES_TABLE = 0x7F,
    PRIVILEGES_SEQUENCE = PRIVILEGE_SELECT | PRIVILEGE_UPDATE | PRIVILEGE_USAGE,
    PRIVILEGES_SCHEMA = PRIVILEGE_USAGE | PRIVILEGE_CREATE,
    PRIVILEGES_DATABASE = PRIVILEGE_CREATE | PRIVILEGE_TEMPORARY | PRIVILEGE_CONNECT,
    /* A grant of class pg_authid is a membership. */
    PRIVILEGE_MEMBER = 1,
};

enum {
    ROLE_PUBLIC = 0,           /* as grantee */
    ROLE_SUPERUSER_FIRST = 10, /* owns what the system made */
};

enum {
    CATALOG_CLASS_SCHEMA_OID = 2615, /* pg_namespace, pg_database: for who does not edit */
    CATALOG_CLASS_DATABASE_OID = 1262,
};

struct grant {
    oid_t class_oid; /* pg_class, pg_namespace, pg_database, pg_authid */
    oid_t object;
    oid_t grantee;
    uint32_t privileges;
    uint32_t options; /* those with grant option (membership: admin option) */
};

/* ALTER DEFAULT PRIVILEGES: what new objects of a kind are given when this role makes them in this
 * schema. Its grants are those on this OID, class pg_default_acl. With schema 0 they stand for the
 * usual defaults, else they come on top. */
struct default_access {
    oid_t oid;
    oid_t database, role, schema; /* schema 0: wherever */
    char kind;                    /* pg_default_acl.defaclobjtype: r S n */
};
const struct default_access *catalog_default_access_at(
    const struct catalog *catalog, size_t position);
const struct default_access *catalog_default_access(
    const struct catalog *catalog, oid_t database, oid_t role, oid_t schema, char kind);

const struct grant *catalog_grant_at(const struct catalog *catalog, size_t position);
/* The grants of an object: contiguous, by grantee. NULL: none are written down. */
const struct grant *catalog_grants(
    const struct catalog *catalog, oid_t class_oid, oid_t object, size_t *count);
uint32_t catalog_all_privileges(oid_t class_oid, char kind);
uint32_t catalog_default_public(oid_t class_oid, oid_t object);

const struct role *catalog_role_by_oid(const struct catalog *catalog, oid_t oid);
/* Is `role` the other one or, through any number of grants, a member of it? inherits: counting only
 * what comes by itself, without SET ROLE. A superuser is everything. */
bool catalog_role_is(const struct catalog *catalog, oid_t role, oid_t of, bool inherits);

/* Which of `wanted` the role has on the object. grant_options: which it may pass on. */
uint32_t catalog_privileges(const struct catalog *catalog, oid_t role, oid_t class_oid,
    oid_t object, oid_t owner, uint32_t wanted, bool grant_options);
uint32_t catalog_relation_privileges(
    const struct catalog *catalog, oid_t role, const struct relation *relation, uint32_t wanted);
bool catalog_owns(const struct catalog *catalog, oid_t role, oid_t owner);

/* The OID of eval_env's user: 0 if there is no such role. */
oid_t catalog_current_role(const struct catalog *catalog, const struct eval_env *env);

/* Of PostgreSQL's words: 0 if unknown. */
uint32_t privilege_by_name(const char *name, size_t size);
const char *privilege_name(uint32_t privilege);
/* "{alice=arw/alice,=r/alice}" as text[]; null if nothing is written down. */
struct datum catalog_acl(
    struct arena *arena, const struct catalog *catalog, oid_t class_oid, oid_t object, oid_t owner);

/* The same of a schema: everybody may use public as long as nothing else is written down, and that
 * is shown. */
struct datum catalog_schema_acl(
    struct arena *arena, const struct catalog *catalog, const struct catalog_entry *schema);
/* What acldefault shows: of PostgreSQL's kinds of objects; null for an unknown one. */
struct datum catalog_acl_default(
    struct arena *arena, const struct catalog *catalog, char kind, oid_t owner);

/* ---- passwords ----------------------------------------------------------------------------------
 */

enum {
    SCRAM_ITERATIONS = 4096,
    SCRAM_SALT_SIZE = 16,
    SCRAM_KEY_SIZE = 32,
    SCRAM_VERIFIER_MAX = 256,
};

struct scram_verifier {
    uint32_t iterations;
    uint8_t salt[64];
    size_t salt_size;
    uint8_t stored_key[SCRAM_KEY_SIZE], server_key[SCRAM_KEY_SIZE];
};

/* "SCRAM-SHA-256$4096:salt$StoredKey:ServerKey" (RFC 5803) of a password. Slow on purpose: about a
 * millisecond. */
void scram_make(const char *password, const uint8_t *salt, size_t salt_size, uint32_t iterations,
    char text[SCRAM_VERIFIER_MAX]);
/* False: not of that form. */
bool scram_parse(const char *text, struct scram_verifier *verifier);
void scram_hmac(const uint8_t key[SCRAM_KEY_SIZE], const void *bytes, size_t size,
    uint8_t result[SCRAM_KEY_SIZE]);
void scram_hash(const void *bytes, size_t size, uint8_t result[SCRAM_KEY_SIZE]);
/* Returns the size; `to` has room for 4 * (size / 3 + 1) + 1. */
size_t scram_base64(const uint8_t *bytes, size_t size, char *to);
bool scram_unbase64(const char *text, size_t size, uint8_t *to, size_t max, size_t *written);

#endif /* SQL_CATALOG_ACCESS_H */
