/*
 * sql/exec/domain.h - the conditions of domains.
 */
#ifndef SQL_EXEC_DOMAIN_H
#define SQL_EXEC_DOMAIN_H

#include "sql/value/value.h"

/* What a session keeps of domains that it has met (eval_env.domains): their conditions, compiled.
 */
struct domain_cache *domain_cache_new(void);
void domain_cache_delete(struct domain_cache *cache);

/* value_domain_check, and the function behind casts to domains; before the first statement. */
void exec_register_domains(void);

#endif /* SQL_EXEC_DOMAIN_H */
