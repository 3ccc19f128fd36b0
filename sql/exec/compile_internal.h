/* sql/exec/compile_internal.h - shared by program.c (expressions) and compile.c (nodes). */
#ifndef SQL_EXEC_COMPILE_INTERNAL_H
#define SQL_EXEC_COMPILE_INTERNAL_H

#include "sql/exec/exec_internal.h"

/* The program being written. */
struct builder {
    struct ins *ins;
    uint32_t count, capacity;
    slot_t *temps; /* its temporaries, used as a stack */
    uint32_t temp_at, temp_count, temp_capacity;
};

struct loose_register { /* exec_evaluate: a register and the slot that stands for it */
    reg_t reg;
    slot_t slot;
};

struct compiler {
    struct arena *arena;
    struct diag *diag;
    const struct plan *plan; /* NULL: exec_evaluate */
    struct exec_program *program;
    bool *by_reference; /* of registers */
    uintptr_t stack_start;
    struct builder builder;
    uint32_t slots;
    slot_t param_slot;
    struct loose_register *loose;
    uint32_t loose_count, loose_capacity;
    struct constant *constants;
    uint32_t constant_count, constant_capacity;
    const struct shared_code **shared;
    uint32_t shared_count, shared_capacity;
    uint32_t next_main, next_sub; /* node numbers */
    size_t stack; /* that the nodes around the one being compiled use when they run */
};

/* Of a task's stack: what compiling expressions and nodes within each other may take; and what
 * running them does take, measured with -fstack-usage and rounded up. ASan makes frames larger, and
 * stacks so much larger that task_stack_left counts a part. */
enum {
    COMPILE_STACK_MAX = 48 * 1024,
    STACK_OF_NODE = 352,
    STACK_OF_SUBPLAN = 704,
#ifdef __SANITIZE_ADDRESS__
    STACK_SCALE = 4,
#else
    STACK_SCALE = 1,
#endif
};

/* items has room for one more; elements are plain memory. */
void *compile__grow(
    struct arena *arena, void *items, uint32_t count, uint32_t *capacity, size_t size);

struct builder compile__begin(struct compiler *compiler); /* returns the one put aside */
/* Takes the finished program; the one put aside goes on. */
struct code compile__end(struct compiler *compiler, struct builder before, slot_t result);

slot_t compile__slots(struct compiler *compiler, uint32_t count);
enum err compile__to(struct compiler *compiler, const struct expr *expr, slot_t dst);
enum err compile__operand(struct compiler *compiler, const struct expr *expr, slot_t *slot);
struct ins *compile__emit(
    struct compiler *compiler, enum opcode op, slot_t dst, slot_t a, slot_t b);

/* Whole programs. */
enum err compile__value(struct compiler *compiler, const struct expr *expr, struct code *code);
/* Each into its slot, from `base` on; NULL expressions become null. */
enum err compile__list(struct compiler *compiler, struct expr *const *exprs, uint32_t count,
    slot_t base, struct code *code);
enum err compile__targets(struct compiler *compiler, const struct plan_target *targets,
    uint32_t count, struct code *code);
enum err compile__filter(
    struct compiler *compiler, struct expr *const *exprs, uint32_t count, struct code *code);

/* Equality of two values of one type: datum_hash and datum_compare agree with it. */
bool compile__is_equality(const struct function *function);
enum err compile__subplan(
    struct compiler *compiler, const struct expr *expr, struct subplan_code **code);
enum err compile__check_depth(struct compiler *compiler);

#endif /* SQL_EXEC_COMPILE_INTERNAL_H */
