/* sql/catalog/virtual_shard.c - tusk_sharded_tables: which tables are sharded, and how. */
#include "sql/catalog/sharding.h"
#include "sql/catalog/virtual_internal.h"

enum err
virtual__tusk_sharded_tables(struct virtual_row *row)
{
    const struct relation *relation;
    for (size_t i = 0; (relation = catalog_relation_at(row->catalog, i)) != NULL; i++) {
        const struct sharding *sharding = relation->sharding;
        if (sharding == NULL) {
            continue;
        }
        enum shard_kind kind = sharding->scheme.kind;
        bool cut = kind != SHARD_REPLICATED;
        row->values[0] = datum_int(relation->oid);
        row->values[1] = virtual__text(relation->schema_name);
        row->values[2] = virtual__text(relation->name);
        row->values[3] = virtual__text(kind == SHARD_HASH    ? "hash"
                                       : kind == SHARD_RANGE ? "range"
                                       : kind == SHARD_LIST  ? "list"
                                                             : "replicated");
        row->values[4] =
            cut ? virtual__text(relation->columns[sharding->column].name) : datum_null();
        row->values[5] = cut ? datum_int(sharding->scheme.bucket_count) : datum_null();
        row->values[6] = cut ? virtual__text(sharding->group) : datum_null();
        row->values[7] =
            virtual__text(sharding_definition(row->eval->arena, row->eval->env, relation));
        TRY(virtual__emit(row));
    }
    return ERR_OK;
}
