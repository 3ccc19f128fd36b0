/*
 * sql/bind/resolve.c - which function, which operator, which type (PostgreSQL's chapter 10).
 */
#include "sql/bind/bind.h"
#include "sql/value/type_missing.h"

/* ---- coercion -------------------------------------------------------------------------------- */

/* From a domain's base type to the domain, with its conditions. */
static enum err
coerce_to_domain(
    struct binder *binder, struct expr **expr, oid_t domain, enum cast_context context, bool *done)
{
    const struct catalog *catalog = binder->context->catalog;
    int32_t typmod = -1;
    oid_t base = catalog_base_type(catalog, domain, &typmod);
    *done = true;
    if ((*expr)->domain == domain) {
        return ERR_OK;
    }
    if (base == 0) {
        return bind_error(binder, (*expr)->location, ERR_UNDEFINED_OBJECT,
            "type with OID %u does not exist", domain);
    }
    TRY(bind_coerce(binder, expr, base, typmod, context, done));
    if (!*done) {
        return ERR_OK;
    }
    int32_t known = (*expr)->typmod;
    if (catalog_domain_constrains(catalog, domain & ~(oid_t)1)) {
        struct expr **args = arena_alloc(binder->arena, 2 * sizeof *args);
        args[0] = *expr;
        args[1] = expr_const(binder, TYPE_OID, datum_int(domain), -1);
        *expr = bind_internal_call(binder, "domain_check", args, 2, base, args[0]->location);
    } else {
        *expr = expr_relabel(binder, *expr, base);
    }
    (*expr)->typmod = known;
    (*expr)->domain = domain;
    return ERR_OK;
}

/* Whether conditions stand between them is not asked here. */
bool
type_can_coerce(oid_t from, oid_t to, enum cast_context context)
{
    to = type_base(to);
    if (from == to || to == TYPE_ANY || from == TYPE_UNKNOWN) {
        return true;
    }
    if (to == TYPE_ANYENUM) {
        return type_is_enum(from);
    }
    if (to == TYPE_ANYNONARRAY) {
        return type_element(from) == 0;
    }
    if (to == TYPE_ANYARRAY || to == TYPE_ANYELEMENT) {
        return to == TYPE_ANYELEMENT || type_element(from) != 0;
    }
    const struct function *function;
    return cast_find(from, to, context, &function) != CAST_NONE ||
           array_can_coerce(from, to, context);
}

static enum err
coerce_literal(struct binder *binder, struct expr **expr, oid_t type, int32_t typmod)
{
    const struct expr *from = *expr;
    struct datum value = datum_null();
    if (!from->constant.null) {
        struct eval eval = {.task = binder->task,
            .arena = binder->arena,
            .diag = binder->diag,
            .env = binder->context->env};
        enum err err = type_input(
            &eval, type, typmod, slice_of(from->constant.p, from->constant.size), &value);
        if (err != ERR_OK) {
            bind_locate(binder, from->location);
            return err;
        }
    }
    *expr = expr_const(binder, type, value, from->location);
    if (binder->notes != NULL && type != TYPE_NUMERIC) {
        bind_note(binder,
            &(struct bind_note){.kind = NOTE_LITERAL, .location = from->location, .type = type});
    }
    return ERR_OK;
}

static enum err
coerce_param(struct binder *binder, struct expr **expr, oid_t type)
{
    const struct expr *from = *expr;
    oid_t *known = &binder->context->param_types[from->param];
    if (*known == 0 || *known == TYPE_UNKNOWN) {
        *known = type;
    } else if (*known != type) {
        (void)bind_error(binder, from->location, ERR_AMBIGUOUS_PARAMETER,
            "inconsistent types deduced for parameter $%u", from->param + 1);
        diag_detail(binder->diag, "%s versus %s", bind_type_name(binder, *known),
            bind_type_name(binder, type));
        return ERR_AMBIGUOUS_PARAMETER;
    }
    struct expr *param = expr_new(binder, EXPR_PARAM, type, -1, from->location);
    param->param = from->param;
    *expr = param;
    return ERR_OK;
}

static void
coerce_typmod(struct binder *binder, struct expr **expr, int32_t typmod, bool explicit_cast)
{
    struct expr *from = *expr;
    if (typmod < 0 || from->typmod == typmod) {
        return;
    }
    if (from->type != TYPE_BPCHAR && from->type != TYPE_VARCHAR && from->type != TYPE_NUMERIC &&
        from->type != TYPE_TIME && from->type != TYPE_TIMESTAMP && from->type != TYPE_TIMESTAMPTZ &&
        from->type != TYPE_INTERVAL && type_element(from->type) == 0) {
        return;
    }
    struct expr **list = arena_alloc(binder->arena, sizeof *list);
    list[0] = from;
    struct expr *to = expr_list(binder, EXPR_TYPMOD, from->type, from->location, list, 1);
    to->typmod = typmod;
    to->explicit_cast = explicit_cast;
    *expr = expr_fold(binder, to);
}

enum err
bind_coerce(struct binder *binder, struct expr **expr, oid_t type, int32_t typmod,
    enum cast_context context, bool *done)
{
    *done = true;
    struct expr *from = *expr;
    if (type_has_domain(type)) {
        return coerce_to_domain(binder, expr, type, context, done);
    }
    if (type == TYPE_ANY) {
        return bind_to_text_if_unknown(binder, expr);
    }
    if (from->type == TYPE_UNKNOWN && type != TYPE_UNKNOWN) {
        if (from->kind == EXPR_CONST) {
            /* Of an interval, the modifier says what a bare number is: interval '1' day. */
            TRY(coerce_literal(binder, expr, type, type == TYPE_INTERVAL ? typmod : -1));
        } else if (from->kind == EXPR_PARAM) {
            TRY(coerce_param(binder, expr, type));
        } else {
            *done = false;
            return ERR_OK;
        }
    } else if (from->type != type && array_can_coerce(from->type, type, context)) {
        bind_array_coerce(binder, expr, type, context);
    } else if (from->type != type) {
        const struct function *function = NULL;
        switch (cast_find(from->type, type, context, &function)) {
        case CAST_NONE:
            *done = false;
            return ERR_OK;
        case CAST_RELABEL:
            *expr = expr_relabel(binder, from, type);
            break;
        case CAST_FUNCTION: {
            struct expr **list = arena_alloc(binder->arena, sizeof *list);
            list[0] = from;
            *expr = expr_call(binder, function, NULL, list, 1, from->location);
            if ((*expr)->kind == EXPR_CALL) {
                ((struct call_expr *)(void *)*expr)->cast = true;
                (*expr)->explicit_cast = context == CAST_EXPLICIT;
            }
            (*expr)->type = type;
            break;
        }
        case CAST_TEXT_IO: {
            struct expr **list = arena_alloc(binder->arena, sizeof *list);
            list[0] = from;
            *expr = expr_list(binder, EXPR_TEXT_IO, type, from->location, list, 1);
            (*expr)->explicit_cast = context == CAST_EXPLICIT;
            break;
        }
        }
    }
    coerce_typmod(binder, expr, typmod, context == CAST_EXPLICIT);
    return ERR_OK;
}

enum err
bind_cast(struct binder *binder, struct expr **expr, oid_t type, int32_t typmod, int32_t location)
{
    bool done;
    oid_t from = (*expr)->type;
    if ((*expr)->domain != 0 && !type_has_domain(type) && from == type) {
        int32_t known = (*expr)->typmod;
        *expr = expr_relabel(binder, *expr, type); /* no longer known as of the domain */
        (*expr)->domain = 0;
        (*expr)->typmod = known;
    }
    TRY(bind_coerce(binder, expr, type, typmod, CAST_EXPLICIT, &done));
    if (!done) {
        return bind_error(binder, location, ERR_CANNOT_COERCE, "cannot cast type %s to %s",
            bind_type_name(binder, from), bind_type_name(binder, type));
    }
    return ERR_OK;
}

enum err
bind_assign(struct binder *binder, struct expr **expr, const struct column *column)
{
    bool done;
    oid_t from = (*expr)->type;
    int32_t location = (*expr)->location;
    TRY(bind_coerce(binder, expr, column_declared_type(column), column_declared_typmod(column),
        CAST_ASSIGNMENT, &done));
    if (!done) {
        (void)bind_error(binder, location, ERR_DATATYPE_MISMATCH,
            "column \"%s\" is of type %s but expression is of type %s", column->name,
            bind_type_name(binder, column_declared_type(column)), bind_type_name(binder, from));
        diag_hint(binder->diag, "You will need to rewrite or cast the expression.");
        return ERR_DATATYPE_MISMATCH;
    }
    return ERR_OK;
}

enum err
bind_definition(struct binder *binder, struct expr **expr, const struct relation *relation,
    oid_t type, int32_t typmod)
{
    if (type == 0) {
        return bind_to_text_if_unknown(binder, expr);
    }
    if (relation != NULL && type == TYPE_BOOL) {
        return bind_to_boolean(binder, expr, "CHECK");
    }
    struct column column = {.name = "?", .type = type, .typmod = typmod};
    return bind_assign(binder, expr, &column);
}

static enum err
coerce_argument(struct binder *binder, struct expr **expr, oid_t type, const char *where)
{
    bool done;
    oid_t from = (*expr)->type;
    int32_t location = (*expr)->location;
    TRY(bind_coerce(binder, expr, type, -1, CAST_ASSIGNMENT, &done));
    if (!done) {
        return bind_error(binder, location, ERR_DATATYPE_MISMATCH,
            "argument of %s must be type %s, not type %s", where, bind_type_name(binder, type),
            bind_type_name(binder, from));
    }
    return ERR_OK;
}

enum err
bind_to_boolean(struct binder *binder, struct expr **expr, const char *where)
{
    /* No assignment cast leads to boolean. */
    return coerce_argument(binder, expr, TYPE_BOOL, where);
}

enum err
bind_to_bigint(struct binder *binder, struct expr **expr, const char *where)
{
    return coerce_argument(binder, expr, TYPE_INT8, where);
}

enum err
bind_to_text_if_unknown(struct binder *binder, struct expr **expr)
{
    bool done;
    if ((*expr)->type == TYPE_UNKNOWN) {
        TRY(bind_coerce(binder, expr, TYPE_TEXT, -1, CAST_IMPLICIT, &done));
    }
    return ERR_OK;
}

void
bind_note_operand(struct binder *binder, const struct expr *operand, oid_t type)
{
    if (binder->notes != NULL && operand != NULL && operand->type != type &&
        operand->type != TYPE_UNKNOWN && type != TYPE_ANY && type != TYPE_ANYARRAY &&
        type != TYPE_ANYELEMENT && type != TYPE_ANYENUM && type != TYPE_ANYNONARRAY) {
        bind_note(binder,
            &(struct bind_note){.kind = NOTE_OPERAND, .location = operand->location, .type = type});
    }
}

/* ---- choosing among candidates ----------------------------------------------------------------
 */

struct candidate {
    const struct function *function;
    const struct operator_def *op; /* then the types are its, not the function's */
};

static oid_t
candidate_type(const struct candidate *candidate, uint32_t i)
{
    if (candidate->op != NULL) {
        return i == 0 && candidate->op->left != 0 ? candidate->op->left : candidate->op->right;
    }
    uint32_t count = candidate->function->arg_count;
    return candidate->function->args[i < count ? i : count - 1];
}

static char
type_category(oid_t type)
{
    const struct type *info = type_by_oid(type);
    return info == NULL ? (char)CATEGORY_USER : info->category;
}

static bool
type_preferred(oid_t type)
{
    const struct type *info = type_by_oid(type);
    return info != NULL && info->preferred;
}

/* Keep the candidates with the highest score of all. */
static uint32_t
keep_best(struct candidate *candidates, const uint32_t *scores, uint32_t count)
{
    uint32_t best = 0, kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        best = scores[i] > best ? scores[i] : best;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (scores[i] == best) {
            candidates[kept++] = candidates[i];
        }
    }
    return kept;
}

/* Step 4.e of 10.3: what category the unknown argument i should have. 0: candidates disagree. */
static char
unknown_category(const struct candidate *candidates, uint32_t count, uint32_t i, bool *preferred)
{
    char category = 0;
    bool conflict = false;
    *preferred = false;
    for (uint32_t c = 0; c < count; c++) {
        oid_t type = candidate_type(&candidates[c], i);
        char its = type == TYPE_ANY ? (char)CATEGORY_STRING : type_category(type);
        bool its_preferred = type_preferred(type);
        if (category == 0) {
            category = its;
            *preferred = its_preferred;
        } else if (its == category) {
            *preferred |= its_preferred;
        } else if (its == CATEGORY_STRING) {
            category = its;
            *preferred = its_preferred;
            conflict = false;
        } else if (category != CATEGORY_STRING) {
            conflict = true;
        }
    }
    return conflict ? 0 : category;
}

static uint32_t
keep_by_category(struct candidate *candidates, uint32_t count, const oid_t *types, uint32_t args)
{
    char categories[FUNCTION_ARGS_MAX];
    bool preferred[FUNCTION_ARGS_MAX];
    if (args > FUNCTION_ARGS_MAX) {
        return count;
    }
    for (uint32_t i = 0; i < args; i++) {
        if (types[i] == TYPE_UNKNOWN) {
            categories[i] = unknown_category(candidates, count, i, &preferred[i]);
            if (categories[i] == 0) {
                return count;
            }
        }
    }
    uint32_t kept = 0;
    for (uint32_t c = 0; c < count; c++) {
        bool keep = true;
        for (uint32_t i = 0; i < args && keep; i++) {
            if (types[i] != TYPE_UNKNOWN) {
                continue;
            }
            oid_t type = candidate_type(&candidates[c], i);
            keep = type == TYPE_ANY ? categories[i] == CATEGORY_STRING
                                    : type_category(type) == categories[i] &&
                                          (!preferred[i] || type_preferred(type));
        }
        if (keep) {
            struct candidate winner = candidates[c];
            candidates[c] = candidates[kept];
            candidates[kept++] = winner;
        }
    }
    return kept == 0 ? count : kept;
}

/* Step 4.f: unknown arguments are of the type all known ones share. */
static uint32_t
keep_by_shared_type(struct candidate *candidates, uint32_t count, const oid_t *types, uint32_t args)
{
    oid_t shared = 0;
    for (uint32_t i = 0; i < args; i++) {
        if (types[i] == TYPE_UNKNOWN) {
            continue;
        }
        if (shared != 0 && shared != types[i]) {
            return count;
        }
        shared = types[i];
    }
    if (shared == 0) {
        return count;
    }
    uint32_t fits = 0, which = 0;
    for (uint32_t c = 0; c < count; c++) {
        bool can = true;
        for (uint32_t i = 0; i < args && can; i++) {
            can = type_can_coerce(shared, candidate_type(&candidates[c], i), CAST_IMPLICIT);
        }
        if (can) {
            fits++;
            which = c;
        }
    }
    if (fits != 1) {
        return count;
    }
    candidates[0] = candidates[which];
    return 1;
}

/* Leaves the winner in candidates[0] and returns 1; 0: nothing fits; more: ambiguous. */
static uint32_t
choose(struct binder *binder, struct candidate *candidates, uint32_t count, const oid_t *types,
    uint32_t args)
{
    uint32_t kept = 0, unknown = 0;
    for (uint32_t i = 0; i < args; i++) {
        unknown += types[i] == TYPE_UNKNOWN;
    }
    for (uint32_t c = 0; c < count; c++) {
        bool can = true;
        for (uint32_t i = 0; i < args && can; i++) {
            can = type_can_coerce(types[i], candidate_type(&candidates[c], i), CAST_IMPLICIT);
        }
        if (can) {
            candidates[kept++] = candidates[c];
        }
    }
    if (kept <= 1) {
        return kept;
    }
    uint32_t *scores = arena_alloc_raw(binder->arena, kept * sizeof *scores);
    for (uint32_t c = 0; c < kept; c++) {
        scores[c] = 0;
        for (uint32_t i = 0; i < args; i++) {
            scores[c] += types[i] != TYPE_UNKNOWN && candidate_type(&candidates[c], i) == types[i];
        }
    }
    kept = keep_best(candidates, scores, kept);
    if (kept == 1) {
        return 1;
    }
    for (uint32_t c = 0; c < kept; c++) {
        scores[c] = 0;
        for (uint32_t i = 0; i < args; i++) {
            oid_t type = candidate_type(&candidates[c], i);
            scores[c] += types[i] != TYPE_UNKNOWN &&
                         (type == types[i] || (type_preferred(type) &&
                                                  type_category(type) == type_category(types[i])));
        }
    }
    kept = keep_best(candidates, scores, kept);
    if (kept == 1 || unknown == 0) {
        return kept;
    }
    kept = keep_by_category(candidates, kept, types, args);
    if (kept > 1 && unknown < args) {
        kept = keep_by_shared_type(candidates, kept, types, args);
    }
    return kept;
}

/* ---- functions ------------------------------------------------------------------------------- */

static bool
function_takes(const struct function *function, uint32_t count)
{
    if ((function->flags & FUNCTION_INTERNAL) != 0) {
        return false;
    }
    if ((function->flags & FUNCTION_VARIADIC) != 0) {
        return count >= function->arg_required && count + 1 >= function->arg_count;
    }
    return count >= function->arg_required && count <= function->arg_count;
}

static const char *
argument_types(struct binder *binder, const oid_t *types, uint32_t count)
{
    const char *text = "";
    for (uint32_t i = 0; i < count; i++) {
        text = arena_printf(
            binder->arena, "%s%s%s", text, i == 0 ? "" : ", ", bind_type_name(binder, types[i]));
    }
    return text;
}

enum err
bind_no_function(struct binder *binder, const char *name, struct expr *const *args, uint32_t count,
    int32_t location)
{
    oid_t *types = arena_alloc_raw(binder->arena, (count + 1) * sizeof *types);
    for (uint32_t i = 0; i < count; i++) {
        types[i] = args[i]->type;
    }
    (void)bind_error(binder, location, ERR_UNDEFINED_FUNCTION, "function %s(%s) does not exist",
        name, argument_types(binder, types, count));
    diag_hint(binder->diag, "No function matches the given name and argument types. "
                            "You might need to add explicit type casts.");
    return ERR_UNDEFINED_FUNCTION;
}

enum err
bind_function(struct binder *binder, const char *name, struct expr **args, uint32_t count,
    int32_t location, const struct function **function)
{
    *function = NULL;
    size_t run = 0;
    const struct function *all = function_by_name(name, &run);
    oid_t *types = arena_alloc_raw(binder->arena, (count + 1) * sizeof *types);
    for (uint32_t i = 0; i < count; i++) {
        types[i] = args[i]->type;
    }
    struct candidate *candidates =
        run == 0 ? NULL : arena_alloc_raw(binder->arena, run * sizeof *candidates);
    uint32_t kept = 0;
    for (size_t f = 0; f < run; f++) {
        if (!function_takes(&all[f], count)) {
            continue;
        }
        bool exact = count == all[f].arg_count;
        for (uint32_t i = 0; i < count && exact; i++) {
            exact = all[f].args[i] == types[i];
        }
        if (exact) {
            *function = &all[f];
            return ERR_OK;
        }
        candidates[kept++] = (struct candidate){.function = &all[f]};
    }
    if (kept > 0) {
        kept = choose(binder, candidates, kept, types, count);
    }
    if (kept == 1) {
        *function = candidates[0].function;
        return ERR_OK;
    }
    if (kept == 0) {
        return bind_no_function(binder, name, args, count, location);
    }
    (void)bind_error(binder, location, ERR_AMBIGUOUS_FUNCTION, "function %s(%s) is not unique",
        name, argument_types(binder, types, count));
    diag_hint(binder->diag, "Could not choose a best candidate function. "
                            "You might need to add explicit type casts.");
    return ERR_AMBIGUOUS_FUNCTION;
}

/* ---- operators ------------------------------------------------------------------------------- */

static const struct operator_def *
operator_exact(const struct operator_def *all, size_t count, oid_t left, oid_t right)
{
    for (size_t i = 0; i < count; i++) {
        if (all[i].left == left && all[i].right == right) {
            return &all[i];
        }
    }
    return NULL;
}

static enum err
operator_choose(struct binder *binder, const char *name, const struct expr *left,
    const struct expr *right, int32_t location, const struct operator_def **op)
{
    size_t run = 0;
    const struct operator_def *all = operator_by_name(name, &run);
    oid_t types[2] = {left == NULL ? 0 : left->type, right->type};
    if (left == NULL) {
        *op = operator_exact(all, run, 0, types[1]);
    } else {
        /* One unknown operand is first taken to be of the other's type. */
        oid_t l = types[0] == TYPE_UNKNOWN ? types[1] : types[0];
        oid_t r = types[1] == TYPE_UNKNOWN ? types[0] : types[1];
        *op = l == TYPE_UNKNOWN ? NULL : operator_exact(all, run, l, r);
    }
    if (*op != NULL) {
        return ERR_OK;
    }
    struct candidate *candidates =
        run == 0 ? NULL : arena_alloc_raw(binder->arena, run * sizeof *candidates);
    uint32_t kept = 0;
    for (size_t i = 0; i < run; i++) {
        if ((all[i].left == 0) == (left == NULL)) {
            candidates[kept++] = (struct candidate){.op = &all[i], .function = all[i].function};
        }
    }
    uint32_t args = left == NULL ? 1 : 2;
    if (kept > 0) {
        kept = choose(binder, candidates, kept, left == NULL ? types + 1 : types, args);
    }
    bool alike = kept == 1 && (candidates[0].op->left == TYPE_ANYENUM ||
                                  candidates[0].op->left == TYPE_ANYARRAY);
    if (alike && types[0] != types[1] && types[0] != TYPE_UNKNOWN && types[1] != TYPE_UNKNOWN &&
        (type_element(types[0]) == 0 || type_element(types[0]) != type_element(types[1]))) {
        kept = 0; /* two enums, or arrays of two types */
    }
    if (kept == 1) {
        *op = candidates[0].op;
        return ERR_OK;
    }
    enum err code = kept == 0 ? ERR_UNDEFINED_FUNCTION : ERR_AMBIGUOUS_FUNCTION;
    const char *left_name =
        left == NULL ? "" : arena_printf(binder->arena, "%s ", bind_type_name(binder, types[0]));
    (void)bind_error(binder, location, code,
        kept == 0 ? "operator does not exist: %s%s %s" : "operator is not unique: %s%s %s",
        left_name, name, bind_type_name(binder, types[1]));
    diag_hint(binder->diag, "%s You might need to add explicit type casts.",
        kept != 0      ? "Could not choose a best candidate operator."
        : left == NULL ? "No operator matches the given name and argument type."
                       : "No operator matches the given name and argument types.");
    return code;
}

/* text || anything and anything || text: the other becomes text. */
static enum err
concatenated(struct binder *binder, const struct expr *with, struct expr **operand)
{
    const struct expr *it = *operand;
    char category = type_category(it->type);
    bool text = with->type == TYPE_UNKNOWN || type_category(with->type) == CATEGORY_STRING;
    if (!text || it->type == TYPE_UNKNOWN || it->type == TYPE_BYTEA ||
        category == CATEGORY_STRING || category == CATEGORY_ARRAY ||
        (it->type == TYPE_JSONB && with->type == TYPE_UNKNOWN)) {
        return ERR_OK;
    }
    return bind_cast(binder, operand, TYPE_TEXT, -1, it->location);
}

/* An operator of anyarray or anyenum: one of the real types instead. */
static enum err
concrete_operator(
    struct binder *binder, struct expr *left, struct expr *right, const struct operator_def **op)
{
    oid_t general = (*op)->right;
    if (left == NULL || (general != TYPE_ANYARRAY && general != TYPE_ANYENUM) ||
        (*op)->left != general) {
        return ERR_OK;
    }
    const oid_t declared[2] = {general, general};
    struct expr *const both[2] = {left, right};
    oid_t element;
    TRY(bind_element_type(binder, declared, both, 2, &element));
    struct operator_def *own = arena_copy(binder->arena, *op, sizeof *own);
    own->left = own->right = general == TYPE_ANYARRAY ? type_by_oid(element)->array_oid : element;
    struct function *function = arena_copy(binder->arena, own->function, sizeof *function);
    function->args[0] = own->left;
    function->args[1] = own->right;
    own->function = function;
    *op = own;
    return ERR_OK;
}

enum err
bind_operator(struct binder *binder, const char *name, struct expr *left, struct expr *right,
    int32_t location, struct expr **result)
{
    const struct operator_def *op = NULL;
    if (left != NULL && strcmp(name, "||") == 0) {
        bool concatenated_arrays;
        TRY(bind_array_concat(binder, left, right, location, &concatenated_arrays, result));
        if (concatenated_arrays) {
            return ERR_OK;
        }
        const struct expr *before = left;
        TRY(concatenated(binder, right, &left));
        TRY(concatenated(binder, before, &right));
    }
    TRY(operator_choose(binder, name, left, right, location, &op));
    TRY(concrete_operator(binder, left, right, &op));
    oid_t types[2] = {op->left, op->right};
    struct expr **list = arena_alloc(binder->arena, 2 * sizeof *list);
    bool done;
    uint32_t count = 0;
    bind_note_operand(binder, left, types[0]);
    bind_note_operand(binder, right, types[1]);
    if (left != NULL) {
        list[count] = left;
        TRY(bind_coerce(binder, &list[count], types[0], -1, CAST_IMPLICIT, &done));
        count++;
    }
    list[count] = right;
    TRY(bind_coerce(binder, &list[count], types[1], -1, CAST_IMPLICIT, &done));
    count++;
    *result = expr_call(binder, op->function, op, list, count, location);
    (*result)->type = op->result;
    return ERR_OK;
}

/* ---- common types ---------------------------------------------------------------------------- */

enum err
bind_common_type(
    struct binder *binder, struct expr **list, uint32_t count, const char *what, oid_t *type)
{
    oid_t chosen = 0;
    for (uint32_t i = 0; i < count; i++) {
        oid_t its = list[i]->type;
        if (its == TYPE_UNKNOWN || its == chosen) {
            continue;
        }
        if (chosen == 0) {
            chosen = its;
            continue;
        }
        if (type_category(its) != type_category(chosen)) {
            if (what == NULL) {
                *type = 0;
                return ERR_OK;
            }
            return bind_error(binder, list[i]->location, ERR_DATATYPE_MISMATCH,
                "%s types %s and %s cannot be matched", what, bind_type_name(binder, chosen),
                bind_type_name(binder, its));
        }
        if (!type_preferred(chosen) && type_can_coerce(chosen, its, CAST_IMPLICIT) &&
            !type_can_coerce(its, chosen, CAST_IMPLICIT)) {
            chosen = its;
        }
    }
    *type = chosen == 0 ? TYPE_TEXT : chosen;
    return ERR_OK;
}

enum err
bind_coerce_list(
    struct binder *binder, struct expr **list, uint32_t count, oid_t type, const char *what)
{
    for (uint32_t i = 0; i < count; i++) {
        bool done;
        oid_t from = list[i]->type;
        int32_t location = list[i]->location;
        bind_note_operand(binder, list[i], type);
        TRY(bind_coerce(binder, &list[i], type, -1, CAST_IMPLICIT, &done));
        if (!done) {
            return bind_error(binder, location, ERR_CANNOT_COERCE,
                "%s could not convert type %s to %s", what, bind_type_name(binder, from),
                bind_type_name(binder, type));
        }
    }
    return ERR_OK;
}

/* ---- type names ------------------------------------------------------------------------------ */

enum err
bind_type(struct binder *binder, const struct ast_type *ast, oid_t *type, int32_t *typmod)
{
    int32_t location = ast->node.location;
    if (ast->setof || ast->percent_type) {
        return bind_unsupported(binder, location, "SETOF and %TYPE are");
    }
    const struct type *info = type_named(binder->context->env, ast->schema, ast->name);
    if (info == NULL && (ast->schema == NULL || strcmp(ast->schema, "pg_catalog") == 0) &&
        type_is_missing(ast->name)) {
        return bind_error(
            binder, location, ERR_FEATURE_NOT_SUPPORTED, "type %s is not supported", ast->name);
    }
    if (info == NULL) {
        return bind_error(binder, location, ERR_UNDEFINED_OBJECT,
            ast->schema == NULL ? "type \"%s%s\" does not exist" : "type \"%s.%s\" does not exist",
            ast->schema == NULL ? "" : ast->schema, ast->name);
    }
    *type = info->oid;
    *typmod = -1;
    if (ast->array_dimensions > 0) {
        *type = info->element != 0 ? 0 : info->array_oid;
        if (*type == 0) {
            return bind_error(
                binder, location, ERR_UNDEFINED_OBJECT, "type \"%s[]\" does not exist", ast->name);
        }
    }
    if (*type >= TYPE_USER_FIRST && binder->notes != NULL) {
        bind_note(
            binder, &(struct bind_note){.kind = NOTE_TYPE, .location = location, .type = *type});
    }
    uint32_t count = ast_list_count(ast->modifiers);
    if (count == 0 && ast->interval_fields == 0) {
        return ERR_OK;
    }
    int32_t *numbers = arena_alloc_raw(binder->arena, (count + 1) * sizeof *numbers);
    for (uint32_t i = 0; i < count; i++) {
        const struct ast_node *node = ast_list_at(ast->modifiers, i);
        if (node->kind != AST_CONST || ast_as_const(node)->kind != AST_CONST_INTEGER ||
            ast_as_const(node)->integer > INT32_MAX || ast_as_const(node)->integer < INT32_MIN) {
            return bind_error(binder, node->location, ERR_SYNTAX,
                "type modifiers must be simple constants or identifiers");
        }
        numbers[i] = (int32_t)ast_as_const(node)->integer;
    }
    enum err err =
        info->oid == TYPE_INTERVAL
            ? type_make_interval_typmod(ast->interval_fields, numbers, count, typmod, binder->diag)
            : type_make_typmod(info->oid, numbers, count, typmod, binder->diag);
    if (err != ERR_OK) {
        bind_locate(binder, location);
    }
    return err;
}
