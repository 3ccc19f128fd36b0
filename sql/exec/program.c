/* sql/exec/program.c - from expressions to flat programs. */
#include <stdatomic.h>

#include "base/latch.h"
#include "sql/exec/compile_internal.h"

/* ---- functions with an instruction of their own ------------------------------------------------
 */

static struct latch shortcuts_latch;
static _Atomic bool shortcuts_ready;
static struct {
    function_call *call;
    enum opcode op;
} shortcuts[32];
static size_t shortcut_count;
static function_call *same_value; /* casts that change nothing, int4 to int8 */

static void
add_shortcut(const char *name, oid_t type, enum opcode op)
{
    size_t count = 0;
    const struct operator_def *def = operator_by_name(name, &count);
    for (size_t i = 0; i < count; i++) {
        if (def[i].left == type && def[i].right == type) {
            shortcuts[shortcut_count].call = def[i].function->call;
            shortcuts[shortcut_count].op = op;
            shortcut_count++;
        }
    }
}

/* Many functions share their C function with int8's or text's: dates, times, OIDs.. */
static void
find_shortcuts(void)
{
    if (atomic_load_explicit(&shortcuts_ready, memory_order_acquire)) {
        return;
    }
    latch_acquire(&shortcuts_latch);
    if (!atomic_load(&shortcuts_ready)) {
        static const struct {
            const char *name;
            enum opcode on_int, on_text;
        } comparisons[] = {{"=", OP_EQ_INT, OP_EQ_TEXT}, {"<>", OP_NE_INT, OP_NE_TEXT},
            {"<", OP_LT_INT, OP_LT_TEXT}, {"<=", OP_LE_INT, OP_LE_TEXT},
            {">", OP_GT_INT, OP_GT_TEXT}, {">=", OP_GE_INT, OP_GE_TEXT}};
        for (size_t i = 0; i < sizeof comparisons / sizeof *comparisons; i++) {
            add_shortcut(comparisons[i].name, TYPE_INT8, comparisons[i].on_int);
            add_shortcut(comparisons[i].name, TYPE_TEXT, comparisons[i].on_text);
        }
        add_shortcut("+", TYPE_INT4, OP_ADD_INT4);
        add_shortcut("-", TYPE_INT4, OP_SUB_INT4);
        add_shortcut("+", TYPE_INT8, OP_ADD_INT8);
        add_shortcut("-", TYPE_INT8, OP_SUB_INT8);
        add_shortcut("*", TYPE_INT8, OP_MUL_INT8);
        const struct function *widen = NULL;
        if (cast_find(TYPE_INT4, TYPE_INT8, CAST_IMPLICIT, &widen) == CAST_FUNCTION) {
            same_value = widen->call;
        }
        atomic_store_explicit(&shortcuts_ready, true, memory_order_release);
    }
    latch_release(&shortcuts_latch);
}

static enum opcode
opcode_of(const struct function *function)
{
    find_shortcuts();
    for (size_t i = 0; i < shortcut_count; i++) {
        if (shortcuts[i].call == function->call) {
            return shortcuts[i].op;
        }
    }
    return OP_CALL2;
}

/* ---- writing a program
 * ------------------------------------------------------------------------- */

void *
compile__grow(struct arena *arena, void *items, uint32_t count, uint32_t *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    *capacity = *capacity == 0 ? 8 : *capacity * 2;
    void *more = arena_array(arena, *capacity, size);
    if (count > 0) {
        memcpy(more, items, count * size);
    }
    return more;
}

struct builder
compile__begin(struct compiler *compiler)
{
    struct builder before = compiler->builder;
    compiler->builder = (struct builder){0};
    return before;
}

struct code
compile__end(struct compiler *compiler, struct builder before, slot_t result)
{
    struct code code = {
        .ins = compiler->builder.ins, .count = compiler->builder.count, .result = result};
    compiler->builder = before;
    return code;
}

slot_t
compile__slots(struct compiler *compiler, uint32_t count)
{
    slot_t first = compiler->slots;
    compiler->slots += count;
    return first;
}

struct ins *
compile__emit(struct compiler *compiler, enum opcode op, slot_t dst, slot_t a, slot_t b)
{
    struct builder *builder = &compiler->builder;
    builder->ins = compile__grow(
        compiler->arena, builder->ins, builder->count, &builder->capacity, sizeof *builder->ins);
    struct ins *ins = &builder->ins[builder->count++];
    *ins = (struct ins){.op = (uint8_t)op, .dst = dst, .a = a, .b = b};
    return ins;
}

static slot_t
temp(struct compiler *compiler)
{
    struct builder *builder = &compiler->builder;
    if (builder->temp_at == builder->temp_count) {
        builder->temps = compile__grow(compiler->arena, builder->temps, builder->temp_count,
            &builder->temp_capacity, sizeof *builder->temps);
        builder->temps[builder->temp_count++] = compile__slots(compiler, 1);
    }
    return builder->temps[builder->temp_at++];
}

static slot_t
constant(struct compiler *compiler, struct datum value)
{
    compiler->constants = compile__grow(compiler->arena, compiler->constants,
        compiler->constant_count, &compiler->constant_capacity, sizeof *compiler->constants);
    slot_t slot = compile__slots(compiler, 1);
    compiler->constants[compiler->constant_count++] =
        (struct constant){.slot = slot, .value = value};
    return slot;
}

/* Jumps to here that were written before: a chain through `jump`, the last one's is NOWHERE. */
#define NOWHERE UINT32_MAX

static void
jump_later(struct compiler *compiler, struct ins *ins, uint32_t *chain)
{
    ins->jump = *chain;
    *chain = (uint32_t)(ins - compiler->builder.ins);
}

static void
jump_here(struct compiler *compiler, uint32_t chain)
{
    while (chain != NOWHERE) {
        struct ins *ins = &compiler->builder.ins[chain];
        chain = ins->jump;
        ins->jump = compiler->builder.count;
    }
}

enum err
compile__check_depth(struct compiler *compiler)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0);
    uintptr_t used = compiler->stack_start > here ? compiler->stack_start - here : 0;
    return used / STACK_SCALE > COMPILE_STACK_MAX
               ? diag_set(compiler->diag, ERR_STATEMENT_TOO_COMPLEX, "stack depth limit exceeded")
               : ERR_OK;
}

static slot_t
register_slot(struct compiler *compiler, reg_t reg)
{
    if (compiler->plan != NULL) {
        return reg;
    }
    for (uint32_t i = 0; i < compiler->loose_count; i++) {
        if (compiler->loose[i].reg == reg) {
            return compiler->loose[i].slot;
        }
    }
    compiler->loose = compile__grow(compiler->arena, compiler->loose, compiler->loose_count,
        &compiler->loose_capacity, sizeof *compiler->loose);
    slot_t slot = compile__slots(compiler, 1);
    compiler->loose[compiler->loose_count++] = (struct loose_register){.reg = reg, .slot = slot};
    return slot;
}

/* ---- expressions
 * ----------------------------------------------------------------------------------- */

static bool
is_widening(const struct expr *expr)
{
    return expr->kind == EXPR_CALL && expr->count == 1 && expr->function->call != NULL &&
           expr->function->call == same_value;
}

/* Where the value is, if nothing needs to be run for it. */
static bool
standing(struct compiler *compiler, const struct expr *expr, slot_t *slot)
{
    switch (expr->kind) {
    case EXPR_CONST:
        *slot = constant(compiler, expr->constant);
        return true;
    case EXPR_PARAM:
        ASSERT(compiler->plan == NULL || expr->param < compiler->plan->param_count);
        *slot = compiler->param_slot + expr->param;
        return true;
    case EXPR_REGISTER:
        *slot = register_slot(compiler, expr->reg);
        return true;
    default:
        return false;
    }
}

enum err
compile__operand(struct compiler *compiler, const struct expr *expr, slot_t *slot)
{
    find_shortcuts();
    while (is_widening(expr)) {
        expr = expr->list[0];
    }
    if (standing(compiler, expr, slot)) {
        return ERR_OK;
    }
    *slot = temp(compiler);
    return compile__to(compiler, expr, *slot);
}

static enum err
call(struct compiler *compiler, const struct expr *expr, slot_t dst)
{
    const struct function *function = expr->function;
    if (function->call == NULL) {
        return diag_set(compiler->diag, ERR_FEATURE_NOT_SUPPORTED,
            "function %s cannot be used here", function->name);
    }
    bool strict = (function->flags & FUNCTION_STRICT) != 0;
    if (expr->count == 2) {
        slot_t a = 0;
        slot_t b = 0;
        TRY(compile__operand(compiler, expr->list[0], &a));
        TRY(compile__operand(compiler, expr->list[1], &b));
        enum opcode op = strict ? opcode_of(function) : OP_CALL2;
        struct ins *ins = compile__emit(compiler, op, dst, a, b);
        ins->call = function->call;
        ins->strict = strict;
        return ERR_OK;
    }
    if (expr->count > UINT16_MAX) {
        return diag_set(compiler->diag, ERR_TOO_MANY_ARGUMENTS,
            "cannot pass more than %d arguments to a function", UINT16_MAX);
    }
    slot_t first = 0;
    if (expr->count == 1) {
        TRY(compile__operand(compiler, expr->list[0], &first));
    } else {
        first = compile__slots(compiler, expr->count);
        for (uint32_t i = 0; i < expr->count; i++) {
            TRY(compile__to(compiler, expr->list[i], first + i));
        }
    }
    struct ins *ins = compile__emit(compiler, OP_CALL, dst, first, 0);
    ins->call = function->call;
    ins->strict = strict;
    ins->count = (uint16_t)expr->count;
    return ERR_OK;
}

static enum err
and_or(struct compiler *compiler, const struct expr *expr, slot_t dst)
{
    bool and = expr->kind == EXPR_AND;
    uint32_t end = NOWHERE;
    (void)compile__emit(compiler, OP_MOVE, dst, constant(compiler, datum_bool(and)), 0);
    for (uint32_t i = 0; i < expr->count; i++) {
        uint32_t mark = compiler->builder.temp_at;
        slot_t a = 0;
        TRY(compile__operand(compiler, expr->list[i], &a));
        compiler->builder.temp_at = mark;
        struct ins *ins = compile__emit(compiler, and? OP_AND_STEP : OP_OR_STEP, dst, a, 0);
        jump_later(compiler, ins, &end);
    }
    jump_here(compiler, end);
    return ERR_OK;
}

static enum err
unary(struct compiler *compiler, const struct expr *expr, enum opcode op, slot_t dst)
{
    slot_t a = 0;
    TRY(compile__operand(compiler, expr->list[0], &a));
    compile__emit(compiler, op, dst, a, 0)->expr = expr;
    return ERR_OK;
}

static enum err
binary(struct compiler *compiler, const struct expr *expr, enum opcode op, slot_t dst)
{
    slot_t a = 0;
    slot_t b = 0;
    TRY(compile__operand(compiler, expr->list[0], &a));
    TRY(compile__operand(compiler, expr->list[1], &b));
    compile__emit(compiler, op, dst, a, b)->call = expr->function->call;
    return ERR_OK;
}

static enum err
case_when(struct compiler *compiler, const struct expr *expr, slot_t dst)
{
    uint32_t end = NOWHERE;
    uint32_t i = 0;
    for (; i + 1 < expr->count; i += 2) {
        uint32_t mark = compiler->builder.temp_at;
        uint32_t next = NOWHERE;
        slot_t when = 0;
        TRY(compile__operand(compiler, expr->list[i], &when));
        jump_later(compiler, compile__emit(compiler, OP_JUMP_UNLESS, 0, when, 0), &next);
        compiler->builder.temp_at = mark;
        TRY(compile__to(compiler, expr->list[i + 1], dst));
        jump_later(compiler, compile__emit(compiler, OP_JUMP, 0, 0, 0), &end);
        jump_here(compiler, next);
    }
    if (i < expr->count) {
        TRY(compile__to(compiler, expr->list[i], dst));
    } else {
        (void)compile__emit(compiler, OP_MOVE, dst, constant(compiler, datum_null()), 0);
    }
    jump_here(compiler, end);
    return ERR_OK;
}

static enum err
coalesce(struct compiler *compiler, const struct expr *expr, slot_t dst)
{
    uint32_t end = NOWHERE;
    for (uint32_t i = 0; i < expr->count; i++) {
        TRY(compile__to(compiler, expr->list[i], dst));
        if (i + 1 < expr->count) {
            jump_later(compiler, compile__emit(compiler, OP_JUMP_NOT_NULL, 0, dst, 0), &end);
        }
    }
    jump_here(compiler, end);
    return ERR_OK;
}

static enum err
greatest(struct compiler *compiler, const struct expr *expr, slot_t dst)
{
    (void)compile__emit(compiler, OP_MOVE, dst, constant(compiler, datum_null()), 0);
    for (uint32_t i = 0; i < expr->count; i++) {
        uint32_t mark = compiler->builder.temp_at;
        slot_t a = 0;
        TRY(compile__operand(compiler, expr->list[i], &a));
        compiler->builder.temp_at = mark;
        struct ins *ins = compile__emit(compiler, OP_BEST, dst, a, 0);
        ins->expr = expr;
        ins->count = expr->kind == EXPR_GREATEST ? 1 : 0;
    }
    return ERR_OK;
}

enum {
    IN_LIST_MIN = 10, /* items from which on a hash table is made */
};

static bool
is_long_list(const struct compiler *compiler, const struct expr *expr)
{
    if (compiler->plan == NULL || expr->count <= IN_LIST_MIN ||
        !compile__is_equality(expr->function)) {
        return false;
    }
    for (uint32_t i = 1; i < expr->count; i++) {
        if (expr->list[i]->kind != EXPR_CONST && expr->list[i]->kind != EXPR_PARAM) {
            return false;
        }
    }
    return true;
}

static void
long_list(struct compiler *compiler, const struct expr *expr, slot_t value, slot_t dst)
{
    struct in_code *code = arena_alloc(compiler->arena, sizeof *code);
    slot_t *items = arena_array(compiler->arena, expr->count, sizeof *items);
    for (uint32_t i = 1; i < expr->count; i++) {
        bool stands = standing(compiler, expr->list[i], &items[i - 1]);
        ASSERT(stands);
    }
    code->number = compiler->program->subplan_count++;
    code->items = items;
    code->count = expr->count - 1;
    code->type = expr->function->args[0];
    compile__emit(compiler, OP_IN_LIST, dst, value, 0)->in = code;
}

static enum err
in_list(struct compiler *compiler, const struct expr *expr, slot_t dst)
{
    uint32_t end = NOWHERE;
    slot_t value = 0;
    TRY(compile__operand(compiler, expr->list[0], &value));
    if (is_long_list(compiler, expr)) {
        long_list(compiler, expr, value, dst);
        return ERR_OK;
    }
    bool ints = opcode_of(expr->function) == OP_EQ_INT;
    (void)compile__emit(compiler, OP_MOVE, dst, constant(compiler, datum_bool(false)), 0);
    for (uint32_t i = 1; i < expr->count; i++) {
        uint32_t mark = compiler->builder.temp_at;
        slot_t item = 0;
        TRY(compile__operand(compiler, expr->list[i], &item));
        compiler->builder.temp_at = mark;
        struct ins *ins =
            compile__emit(compiler, ints ? OP_IN_STEP_INT : OP_IN_STEP, dst, value, item);
        ins->call = expr->function->call;
        jump_later(compiler, ins, &end);
    }
    jump_here(compiler, end);
    return ERR_OK;
}

static enum err
subplan(struct compiler *compiler, const struct expr *expr, slot_t dst)
{
    if (compiler->plan == NULL) {
        return diag_set(compiler->diag, ERR_FEATURE_NOT_SUPPORTED, "cannot use subquery here");
    }
    struct subplan_code *code = NULL;
    TRY(compile__subplan(compiler, expr, &code));
    if (code->plan->kind == SUBPLAN_ANY || code->plan->kind == SUBPLAN_ALL) {
        code->left = compile__slots(compiler, 1);
        TRY(compile__to(compiler, expr->list[0], code->left));
    }
    compile__emit(compiler, OP_SUBPLAN, dst, 0, 0)->subplan = code;
    return ERR_OK;
}

static enum err
write(struct compiler *compiler, const struct expr *expr, slot_t dst)
{
    switch (expr->kind) {
    case EXPR_CONST:
    case EXPR_PARAM:
    case EXPR_REGISTER:
        break; /* compile__to has dealt with them */
    case EXPR_CALL:
        return call(compiler, expr, dst);
    case EXPR_AND:
    case EXPR_OR:
        return and_or(compiler, expr, dst);
    case EXPR_NOT:
        return unary(compiler, expr, OP_NOT, dst);
    case EXPR_IS_NULL:
        return unary(compiler, expr, OP_IS_NULL, dst);
    case EXPR_IS_NOT_NULL:
        return unary(compiler, expr, OP_IS_NOT_NULL, dst);
    case EXPR_IS_TRUE:
        return unary(compiler, expr, OP_IS_TRUE, dst);
    case EXPR_IS_FALSE:
        return unary(compiler, expr, OP_IS_FALSE, dst);
    case EXPR_CASE:
        return case_when(compiler, expr, dst);
    case EXPR_COALESCE:
        return coalesce(compiler, expr, dst);
    case EXPR_NULLIF:
        return binary(compiler, expr, OP_NULLIF, dst);
    case EXPR_GREATEST:
    case EXPR_LEAST:
        return greatest(compiler, expr, dst);
    case EXPR_DISTINCT_FROM:
        return binary(compiler, expr, OP_DISTINCT, dst);
    case EXPR_IN:
        return in_list(compiler, expr, dst);
    case EXPR_TYPMOD:
        return unary(compiler, expr, OP_TYPMOD, dst);
    case EXPR_TEXT_IO:
        return unary(compiler, expr, OP_TEXT_IO, dst);
    case EXPR_SUBPLAN:
        return subplan(compiler, expr, dst);
    }
    ASSERT(false);
    return ERR_INTERNAL;
}

enum err
compile__to(struct compiler *compiler, const struct expr *expr, slot_t dst)
{
    TRY(compile__check_depth(compiler));
    find_shortcuts();
    while (is_widening(expr)) {
        expr = expr->list[0];
    }
    slot_t slot = 0;
    if (standing(compiler, expr, &slot)) {
        if (slot != dst) {
            (void)compile__emit(compiler, OP_MOVE, dst, slot, 0);
        }
        return ERR_OK;
    }
    uint32_t mark = compiler->builder.temp_at;
    enum err err = write(compiler, expr, dst);
    compiler->builder.temp_at = mark;
    return err;
}

/* ---- whole programs
 * -------------------------------------------------------------------------------- */

enum err
compile__value(struct compiler *compiler, const struct expr *expr, struct code *code)
{
    struct builder before = compile__begin(compiler);
    slot_t slot = 0;
    enum err err = compile__operand(compiler, expr, &slot);
    *code = compile__end(compiler, before, slot);
    return err;
}

enum err
compile__list(struct compiler *compiler, struct expr *const *exprs, uint32_t count, slot_t base,
    struct code *code)
{
    struct builder before = compile__begin(compiler);
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        if (exprs[i] == NULL) {
            (void)compile__emit(compiler, OP_MOVE, base + i, constant(compiler, datum_null()), 0);
        } else {
            err = compile__to(compiler, exprs[i], base + i);
        }
    }
    *code = compile__end(compiler, before, base);
    return err;
}

enum err
compile__targets(
    struct compiler *compiler, const struct plan_target *targets, uint32_t count, struct code *code)
{
    struct builder before = compile__begin(compiler);
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        err = compile__to(compiler, targets[i].expr, targets[i].reg);
    }
    *code = compile__end(compiler, before, 0);
    return err;
}

enum err
compile__filter(
    struct compiler *compiler, struct expr *const *exprs, uint32_t count, struct code *code)
{
    struct builder before = compile__begin(compiler);
    enum err err = ERR_OK;
    for (uint32_t i = 0; err == ERR_OK && i < count; i++) {
        uint32_t mark = compiler->builder.temp_at;
        slot_t slot = 0;
        err = compile__operand(compiler, exprs[i], &slot);
        (void)compile__emit(compiler, OP_REQUIRE, 0, slot, 0);
        compiler->builder.temp_at = mark;
    }
    *code = compile__end(compiler, before, 0);
    return err;
}
