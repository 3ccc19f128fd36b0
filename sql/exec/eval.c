/* sql/exec/eval.c - runs the programs of expressions. */
#include "sql/exec/exec_internal.h"

static inline struct slice
bytes_of(const struct datum *value)
{
    return slice_of(value->p, value->size);
}

static inline bool
same_bytes(const struct datum *a, const struct datum *b)
{
    return a->size == b->size && (a->size == 0 || memcmp(a->p, b->p, a->size) == 0);
}

static enum err
call_many(struct machine *machine, const struct ins *ins)
{
    const struct datum *args = &machine->frame[ins->a];
    if (ins->strict) {
        for (uint32_t i = 0; i < ins->count; i++) {
            if (args[i].null) {
                machine->frame[ins->dst] = datum_null();
                return ERR_OK;
            }
        }
    }
    struct datum result = datum_null();
    TRY(ins->call(&machine->eval, args, (int)ins->count, &result));
    machine->frame[ins->dst] = result;
    return ERR_OK;
}

static enum err
call_two(struct machine *machine, const struct ins *ins)
{
    struct datum args[2] = {machine->frame[ins->a], machine->frame[ins->b]};
    if (ins->strict && (args[0].null || args[1].null)) {
        machine->frame[ins->dst] = datum_null();
        return ERR_OK;
    }
    struct datum result = datum_null();
    TRY(ins->call(&machine->eval, args, 2, &result));
    machine->frame[ins->dst] = result;
    return ERR_OK;
}

/* Calls a strict comparison of two values that are not null. */
static enum err
compare(struct machine *machine, const struct ins *ins, const struct datum *a,
    const struct datum *b, bool *is_true)
{
    struct datum args[2] = {*a, *b};
    struct datum result = datum_null();
    TRY(ins->call(&machine->eval, args, 2, &result));
    *is_true = !result.null && result.i != 0;
    return ERR_OK;
}

static enum err
distinct(struct machine *machine, const struct ins *ins)
{
    const struct datum *a = &machine->frame[ins->a];
    const struct datum *b = &machine->frame[ins->b];
    bool differ = a->null != b->null;
    if (!a->null && !b->null) {
        bool equal = false;
        TRY(compare(machine, ins, a, b, &equal));
        differ = !equal;
    }
    machine->frame[ins->dst] = datum_bool(differ);
    return ERR_OK;
}

static enum err
null_if(struct machine *machine, const struct ins *ins)
{
    struct datum a = machine->frame[ins->a];
    const struct datum *b = &machine->frame[ins->b];
    bool equal = false;
    if (!a.null && !b->null) {
        TRY(compare(machine, ins, &a, b, &equal));
    }
    machine->frame[ins->dst] = equal ? datum_null() : a;
    return ERR_OK;
}

static void
best(struct machine *machine, const struct ins *ins)
{
    struct datum *dst = &machine->frame[ins->dst];
    const struct datum *a = &machine->frame[ins->a];
    if (a->null) {
        return;
    }
    if (!dst->null) {
        int order = datum_compare(ins->expr->type, *a, *dst);
        if (ins->count == 1 ? order <= 0 : order >= 0) {
            return;
        }
    }
    *dst = *a;
}

static enum err
apply_typmod(struct machine *machine, const struct ins *ins)
{
    struct datum value = machine->frame[ins->a];
    struct datum result = value;
    if (!value.null) {
        TRY(type_apply_typmod(&machine->eval, ins->expr->type, ins->expr->typmod,
            ins->expr->explicit_cast, value, &result));
    }
    machine->frame[ins->dst] = result;
    return ERR_OK;
}

static enum err
text_io(struct machine *machine, const struct ins *ins)
{
    struct datum value = machine->frame[ins->a];
    if (value.null) {
        machine->frame[ins->dst] = value;
        return ERR_OK;
    }
    struct eval *eval = &machine->eval;
    struct buffer *buffer = &machine->text;
    buffer->size = 0;
    type_output(eval->env, ins->expr->list[0]->type, value, buffer);
    struct slice text = slice_of(arena_copy(eval->arena, buffer->data, buffer->size), buffer->size);
    struct datum result = datum_null();
    TRY(type_input(eval, ins->expr->type, -1, text, &result));
    machine->frame[ins->dst] = result;
    return ERR_OK;
}

/* dst is false or null so far. */
static enum err
in_step(struct machine *machine, const struct ins *ins, bool *found)
{
    const struct datum *a = &machine->frame[ins->a];
    const struct datum *b = &machine->frame[ins->b];
    *found = false;
    if (a->null || b->null) {
        machine->frame[ins->dst] = datum_null();
        return ERR_OK;
    }
    TRY(compare(machine, ins, a, b, found));
    if (*found) {
        machine->frame[ins->dst] = datum_bool(true);
    }
    return ERR_OK;
}

#define STRICT_INT(op)                                                              \
    {                                                                               \
        const struct datum *a = &frame[ins->a];                                     \
        const struct datum *b = &frame[ins->b];                                     \
        bool null = a->null || b->null;                                             \
        frame[ins->dst] = (struct datum){.i = !null && a->i op b->i, .null = null}; \
        break;                                                                      \
    }

#define STRICT_TEXT(expr)                                                     \
    {                                                                         \
        const struct datum *a = &frame[ins->a];                               \
        const struct datum *b = &frame[ins->b];                               \
        bool null = a->null || b->null;                                       \
        frame[ins->dst] = (struct datum){.i = !null && (expr), .null = null}; \
        break;                                                                \
    }

#define COMPARE_TEXT(op) STRICT_TEXT(slice_compare(bytes_of(a), bytes_of(b)) op 0)

/* The sum if it fits; the function has the words if not. */
#define ARITHMETIC(builtin, fits)                            \
    {                                                        \
        const struct datum *a = &frame[ins->a];              \
        const struct datum *b = &frame[ins->b];              \
        int64_t value;                                       \
        if (a->null || b->null) {                            \
            frame[ins->dst] = datum_null();                  \
        } else if (!builtin(a->i, b->i, &value) && (fits)) { \
            frame[ins->dst] = datum_int(value);              \
        } else {                                             \
            err = call_two(machine, ins);                    \
        }                                                    \
        break;                                               \
    }

/* One loop over a flat switch: long, and that is its virtue. */
static enum err
run(struct machine *machine, const struct code *code)
{
    struct datum *frame = machine->frame;
    const struct ins *ins = code->ins;
    const struct ins *end = ins + code->count;
    enum err err = ERR_OK;
    machine->passed = true;
    for (; ins < end; ins++) {
        switch ((enum opcode)ins->op) {
        case OP_MOVE:
            frame[ins->dst] = frame[ins->a];
            break;
        case OP_CALL:
        case OP_CALL1:
            err = call_many(machine, ins);
            break;
        case OP_CALL2:
            err = call_two(machine, ins);
            break;
        case OP_EQ_INT:
            STRICT_INT(==)
        case OP_NE_INT:
            STRICT_INT(!=)
        case OP_LT_INT:
            STRICT_INT(<)
        case OP_LE_INT:
            STRICT_INT(<=)
        case OP_GT_INT:
            STRICT_INT(>)
        case OP_GE_INT:
            STRICT_INT(>=)
        case OP_EQ_TEXT:
            STRICT_TEXT(same_bytes(a, b))
        case OP_NE_TEXT:
            STRICT_TEXT(!same_bytes(a, b))
        case OP_LT_TEXT:
            COMPARE_TEXT(<)
        case OP_LE_TEXT:
            COMPARE_TEXT(<=)
        case OP_GT_TEXT:
            COMPARE_TEXT(>)
        case OP_GE_TEXT:
            COMPARE_TEXT(>=)
        case OP_ADD_INT4:
            ARITHMETIC(__builtin_add_overflow, value == (int32_t)value)
        case OP_SUB_INT4:
            ARITHMETIC(__builtin_sub_overflow, value == (int32_t)value)
        case OP_ADD_INT8:
            ARITHMETIC(__builtin_add_overflow, true)
        case OP_SUB_INT8:
            ARITHMETIC(__builtin_sub_overflow, true)
        case OP_MUL_INT8:
            ARITHMETIC(__builtin_mul_overflow, true)
        case OP_AND_STEP:
            if (frame[ins->a].null) {
                frame[ins->dst] = datum_null();
            } else if (frame[ins->a].i == 0) {
                frame[ins->dst] = datum_bool(false);
                ins = code->ins + ins->jump - 1;
            }
            break;
        case OP_OR_STEP:
            if (frame[ins->a].null) {
                frame[ins->dst] = datum_null();
            } else if (frame[ins->a].i != 0) {
                frame[ins->dst] = datum_bool(true);
                ins = code->ins + ins->jump - 1;
            }
            break;
        case OP_NOT:
            frame[ins->dst] = frame[ins->a].null ? datum_null() : datum_bool(!frame[ins->a].i);
            break;
        case OP_IS_NULL:
            frame[ins->dst] = datum_bool(frame[ins->a].null);
            break;
        case OP_IS_NOT_NULL:
            frame[ins->dst] = datum_bool(!frame[ins->a].null);
            break;
        case OP_IS_TRUE:
            frame[ins->dst] = datum_bool(!frame[ins->a].null && frame[ins->a].i != 0);
            break;
        case OP_IS_FALSE:
            frame[ins->dst] = datum_bool(!frame[ins->a].null && frame[ins->a].i == 0);
            break;
        case OP_JUMP:
            ins = code->ins + ins->jump - 1;
            break;
        case OP_JUMP_UNLESS:
            if (frame[ins->a].null || frame[ins->a].i == 0) {
                ins = code->ins + ins->jump - 1;
            }
            break;
        case OP_JUMP_NOT_NULL:
            if (!frame[ins->a].null) {
                ins = code->ins + ins->jump - 1;
            }
            break;
        case OP_NULLIF:
            err = null_if(machine, ins);
            break;
        case OP_BEST:
            best(machine, ins);
            break;
        case OP_DISTINCT:
            err = distinct(machine, ins);
            break;
        case OP_IN_STEP: {
            bool found = false;
            err = in_step(machine, ins, &found);
            if (found) {
                ins = code->ins + ins->jump - 1;
            }
            break;
        }
        case OP_IN_STEP_INT: {
            const struct datum *a = &frame[ins->a];
            const struct datum *b = &frame[ins->b];
            if (a->null || b->null) {
                frame[ins->dst] = datum_null();
            } else if (a->i == b->i) {
                frame[ins->dst] = datum_bool(true);
                ins = code->ins + ins->jump - 1;
            }
            break;
        }
        case OP_IN_LIST:
            frame[ins->dst] = exec__in_list(machine->exec, ins->in, frame[ins->a]);
            break;
        case OP_TYPMOD:
            err = apply_typmod(machine, ins);
            break;
        case OP_TEXT_IO:
            err = text_io(machine, ins);
            break;
        case OP_SUBPLAN: {
            struct datum result = datum_null();
            err = exec__subplan(machine->exec, ins->subplan, machine->eval.arena, &result);
            frame[ins->dst] = result;
            break;
        }
        case OP_REQUIRE:
            if (frame[ins->a].null || frame[ins->a].i == 0) {
                machine->passed = false;
                return ERR_OK;
            }
            break;
        }
        if (err != ERR_OK) {
            return err;
        }
    }
    /* A subplan inside has left its own answer here. */
    machine->passed = true;
    return ERR_OK;
}

enum err
exec__run(struct machine *machine, const struct code *code, struct arena *arena)
{
    struct arena *before = machine->eval.arena;
    machine->eval.arena = arena;
    enum err err = run(machine, code);
    machine->eval.arena = before;
    return err;
}
