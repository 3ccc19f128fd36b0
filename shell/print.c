#include "shell/print.h"

#include <string.h>

#include "base/assert.h"

/* A cell as lines that a terminal shows as they are. */
struct text {
    const char *bytes;
    size_t size;
    size_t width; /* of the widest line */
    size_t line_count;
};

/* ---- width of characters --------------------------------------------------------------------- */

struct range {
    uint32_t first, last;
};

/* Unicode's combining marks and other characters of no width, the common blocks. */
static const struct range zero_width[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd},
    {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0900, 0x0902}, {0x093c, 0x093c}, {0x0e31, 0x0e31},
    {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f},
    {0x202a, 0x202e}, {0x2060, 0x2064}, {0x20d0, 0x20f0}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f},
    {0xfeff, 0xfeff}};

/* Unicode's East Asian Wide and Fullwidth blocks, and the pictures. */
static const struct range wide[] = {{0x1100, 0x115f}, {0x2e80, 0x303e}, {0x3041, 0x33ff},
    {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xa000, 0xa4cf}, {0xac00, 0xd7a3}, {0xf900, 0xfaff},
    {0xfe30, 0xfe6f}, {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1f64f}, {0x1f900, 0x1f9ff},
    {0x20000, 0x3fffd}};

static bool
in_ranges(uint32_t code, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (code >= ranges[i].first && code <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

unsigned
print_char_width(const uint8_t *text, size_t size, size_t *char_size)
{
    uint8_t first = text[0];
    size_t length = first < 0x80             ? 1
                    : (first & 0xe0) == 0xc0 ? 2
                    : (first & 0xf0) == 0xe0 ? 3
                    : (first & 0xf8) == 0xf0 ? 4
                                             : 1;
    *char_size = 1;
    if (length == 1 || length > size) {
        return 1;
    }
    uint32_t code = first & (0xffU >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((text[i] & 0xc0) != 0x80) {
            return 1;
        }
        code = code << 6 | (text[i] & 0x3fU);
    }
    *char_size = length;
    if (in_ranges(code, zero_width, sizeof zero_width / sizeof zero_width[0])) {
        return 0;
    }
    return in_ranges(code, wide, sizeof wide / sizeof wide[0]) ? 2 : 1;
}

/* ---- cells ----------------------------------------------------------------------------------- */

static bool
is_plain(struct slice cell)
{
    for (size_t i = 0; i < cell.size; i++) {
        if (cell.data[i] < 0x20 || cell.data[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* Control characters become visible, tabs become spaces, lines are measured. */
static struct text
text_of(struct arena *arena, struct slice cell)
{
    if (is_plain(cell)) {
        return (struct text){(const char *)cell.data, cell.size, cell.size, 1};
    }
    struct text text = {.line_count = 1};
    char *to = arena_alloc_raw(arena, cell.size * 8); /* a tab is the longest */
    size_t width = 0;
    for (size_t at = 0; at < cell.size;) {
        uint8_t c = cell.data[at];
        size_t taken = 1;
        if (c == '\n') {
            to[text.size++] = '\n';
            text.line_count++;
            width = 0;
        } else if (c == '\t') {
            do {
                to[text.size++] = ' ';
            } while (++width % 8 != 0);
        } else if (c == '\r') {
            memcpy(to + text.size, "\\r", 2);
            text.size += 2;
            width += 2;
        } else if (c < 0x20 || c == 0x7f) {
            (void)snprintf(to + text.size, 5, "\\x%02X", c);
            text.size += 4;
            width += 4;
        } else {
            width += print_char_width(cell.data + at, cell.size - at, &taken);
            memcpy(to + text.size, cell.data + at, taken);
            text.size += taken;
        }
        at += taken;
        text.width = width > text.width ? width : text.width;
    }
    text.bytes = to;
    return text;
}

static size_t
width_of(const char *bytes, size_t size)
{
    size_t width = 0;
    for (size_t at = 0; at < size;) {
        size_t taken;
        width += print_char_width((const uint8_t *)bytes + at, size - at, &taken);
        at += taken;
    }
    return width;
}

/* Cut the first line off; false if there was none left. */
static bool
next_line(struct text *text, const char **line, size_t *size)
{
    if (text->line_count == 0) {
        *line = "";
        *size = 0;
        return false;
    }
    const char *end = text->line_count == 1 ? NULL : memchr(text->bytes, '\n', text->size);
    *line = text->bytes;
    *size = end == NULL ? text->size : (size_t)(end - text->bytes);
    if (end != NULL) {
        text->bytes = end + 1;
        text->size -= *size + 1;
    }
    text->line_count--;
    return true;
}

static void
fill(FILE *to, char c, size_t count)
{
    while (count-- > 0) {
        (void)fputc(c, to);
    }
}

static void
put(FILE *to, const char *bytes, size_t size)
{
    if (size > 0) {
        (void)fwrite(bytes, 1, size, to);
    }
}

static struct slice
shown(struct slice cell, const struct print_options *options)
{
    if (cell.data == NULL) {
        return slice_of(options->null_text, strlen(options->null_text));
    }
    return cell;
}

/* ---- building -------------------------------------------------------------------------------- */

void
print_add_cell(struct print_table *table, struct slice cell)
{
    if (table->cell_count == table->cell_capacity) {
        size_t capacity = table->cell_capacity == 0 ? 64 : table->cell_capacity * 2;
        struct slice *cells = arena_alloc_raw(table->arena, capacity * sizeof *cells);
        if (table->cell_count > 0) {
            memcpy(cells, table->cells, table->cell_count * sizeof *cells);
        }
        table->cells = cells;
        table->cell_capacity = capacity;
    }
    table->cells[table->cell_count++] = cell;
}

void
print_add_text(struct print_table *table, const char *text)
{
    struct slice cell = {0};
    if (text != NULL) {
        cell = slice_of(arena_strdup(table->arena, text), strlen(text));
    }
    print_add_cell(table, cell);
}

void
print_add_footer(struct print_table *table, const char *text)
{
    if (table->footer_count == table->footer_capacity) {
        size_t capacity = table->footer_capacity == 0 ? 8 : table->footer_capacity * 2;
        const char **footers = arena_array(table->arena, capacity, sizeof *footers);
        if (table->footer_count > 0) {
            memcpy(footers, table->footers, table->footer_count * sizeof *footers);
        }
        table->footers = footers;
        table->footer_capacity = capacity;
    }
    table->footers[table->footer_count++] = arena_strdup(table->arena, text);
}

/* ---- looks ----------------------------------------------------------------------------------- */

static void
put_footers(FILE *to, const struct print_table *table, const struct print_options *options)
{
    if (options->tuples_only) {
        return;
    }
    for (size_t i = 0; i < table->footer_count; i++) {
        (void)fprintf(to, "%s\n", table->footers[i]);
    }
    if (table->footer_count == 0 && !table->no_footer) {
        (void)fprintf(to, "(%zu row%s)\n", table->row_count, table->row_count == 1 ? "" : "s");
    }
}

/* Print the texts side by side; they are used up. */
static void
put_aligned_row(FILE *to, const struct print_table *table, struct text *texts, const size_t *widths,
    bool header)
{
    size_t count = table->column_count;
    bool more = true;
    while (more) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            const char *line;
            size_t size;
            bool there = next_line(&texts[i], &line, &size);
            bool goes_on = texts[i].line_count > 0;
            bool last = i + 1 == count;
            size_t pad = widths[i] - width_of(line, size);
            size_t left = header ? pad / 2 : table->columns[i].right ? pad : 0;
            if (last && !header && !there) {
                pad = left = 0;
            }
            more = more || goes_on;
            (void)fputs(i == 0 ? " " : "| ", to);
            fill(to, ' ', left);
            put(to, line, size);
            if (!last || header || goes_on) {
                fill(to, ' ', pad - left);
                (void)fputc(goes_on ? '+' : ' ', to);
            }
        }
        (void)fputc('\n', to);
    }
}

static void
print_aligned(FILE *to, const struct print_table *table, const struct print_options *options)
{
    size_t count = table->column_count;
    struct arena_mark mark = arena_mark(table->arena);
    struct text *texts = arena_array(table->arena, table->cell_count + 1, sizeof *texts);
    struct text *heads = arena_array(table->arena, count + 1, sizeof *heads);
    size_t *widths = arena_array(table->arena, count + 1, sizeof *widths);
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = table->columns[i].name;
        heads[i] = text_of(table->arena, slice_of(name, strlen(name)));
        widths[i] = heads[i].width;
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        texts[i] = text_of(table->arena, shown(table->cells[i], options));
        if (texts[i].width > widths[i % count]) {
            widths[i % count] = texts[i].width;
        }
    }
    for (size_t i = 0; i < count; i++) {
        total += widths[i] + 3;
    }
    if (table->title != NULL && !options->tuples_only) {
        size_t width = width_of(table->title, strlen(table->title));
        fill(to, ' ', total > width ? (total - 1 - width) / 2 : 0);
        (void)fprintf(to, "%s\n", table->title);
    }
    if (!options->tuples_only) {
        if (count > 0) {
            put_aligned_row(to, table, heads, widths, true);
        }
        for (size_t i = 0; i < count; i++) {
            (void)fputs(i == 0 ? "-" : "+-", to);
            fill(to, '-', widths[i] + 1);
        }
        (void)fputs(count == 0 ? "--\n" : "\n", to);
    }
    for (size_t row = 0; row < table->row_count && count > 0; row++) {
        put_aligned_row(to, table, texts + row * count, widths, false);
    }
    put_footers(to, table, options);
    (void)fputc('\n', to);
    arena_rewind(table->arena, mark);
}

static void
put_record_line(FILE *to, size_t record, size_t head_width, size_t cell_width)
{
    char label[40] = "";
    size_t label_size = 0;
    if (record > 0) {
        label_size = (size_t)snprintf(label, sizeof label, "[ RECORD %zu ]", record);
    }
    size_t total = head_width + cell_width + 3;
    (void)fprintf(to, "-%s", label);
    for (size_t at = 1 + label_size; at < total; at++) {
        (void)fputc(at == head_width + 1 ? '+' : '-', to);
    }
    (void)fputc('\n', to);
}

static void
print_expanded(FILE *to, const struct print_table *table, const struct print_options *options)
{
    size_t count = table->column_count;
    struct arena_mark mark = arena_mark(table->arena);
    struct text *texts = arena_array(table->arena, table->cell_count + 1, sizeof *texts);
    struct text *heads = arena_array(table->arena, count + 1, sizeof *heads);
    size_t head_width = 0;
    size_t cell_width = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name = table->columns[i].name;
        heads[i] = text_of(table->arena, slice_of(name, strlen(name)));
        head_width = heads[i].width > head_width ? heads[i].width : head_width;
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        texts[i] = text_of(table->arena, shown(table->cells[i], options));
        cell_width = texts[i].width > cell_width ? texts[i].width : cell_width;
    }
    if (table->title != NULL && !options->tuples_only) {
        (void)fprintf(to, "%s\n", table->title);
    }
    for (size_t row = 0; row < table->row_count && count > 0; row++) {
        if (!options->tuples_only || row > 0) {
            put_record_line(to, options->tuples_only ? 0 : row + 1, head_width, cell_width);
        }
        for (size_t i = 0; i < count; i++) {
            struct text head = heads[i];
            struct text cell = texts[row * count + i];
            while (head.line_count > 0 || cell.line_count > 0) {
                const char *line;
                size_t size;
                (void)next_line(&head, &line, &size);
                put(to, line, size);
                fill(to, ' ', head_width - width_of(line, size));
                (void)fputs(head.line_count > 0 ? "+|" : " |", to);
                if (next_line(&cell, &line, &size)) {
                    (void)fputc(' ', to);
                    put(to, line, size);
                    if (cell.line_count > 0) {
                        fill(to, ' ', cell_width - width_of(line, size));
                        (void)fputc('+', to);
                    }
                }
                (void)fputc('\n', to);
            }
        }
    }
    if (table->row_count == 0 || count == 0 || table->footer_count > 0) {
        put_footers(to, table, options);
    }
    (void)fputc('\n', to);
    arena_rewind(table->arena, mark);
}

static void
print_unaligned(FILE *to, const struct print_table *table, const struct print_options *options)
{
    size_t count = table->column_count;
    if (table->title != NULL && !options->tuples_only) {
        (void)fprintf(to, "%s\n", table->title);
    }
    if (options->expanded == PRINT_EXPANDED_ON) {
        for (size_t i = 0; i < table->cell_count; i++) {
            struct slice cell = shown(table->cells[i], options);
            if (i > 0 && i % count == 0) {
                (void)fputc('\n', to);
            }
            (void)fprintf(to, "%s%s", table->columns[i % count].name, options->separator);
            put(to, (const char *)cell.data, cell.size);
            (void)fputc('\n', to);
        }
        if (table->footer_count > 0 && !options->tuples_only) {
            (void)fputc('\n', to);
            put_footers(to, table, options);
        }
        return;
    }
    if (!options->tuples_only) {
        for (size_t i = 0; i < count; i++) {
            (void)fprintf(to, "%s%s", i == 0 ? "" : options->separator, table->columns[i].name);
        }
        (void)fputc('\n', to);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        struct slice cell = shown(table->cells[i], options);
        if (i % count != 0) {
            (void)fputs(options->separator, to);
        }
        put(to, (const char *)cell.data, cell.size);
        if (i % count == count - 1) {
            (void)fputc('\n', to);
        }
    }
    put_footers(to, table, options);
}

/* RFC 4180, as PostgreSQL's COPY writes it: quotes only where they are needed. */
static void
put_csv(FILE *to, struct slice cell)
{
    bool quote = cell.size == 2 && memcmp(cell.data, "\\.", 2) == 0;
    for (size_t i = 0; i < cell.size && !quote; i++) {
        quote = strchr(",\"\r\n", cell.data[i]) != NULL && cell.data[i] != '\0';
    }
    if (!quote) {
        put(to, (const char *)cell.data, cell.size);
        return;
    }
    (void)fputc('"', to);
    for (size_t i = 0; i < cell.size; i++) {
        if (cell.data[i] == '"') {
            (void)fputc('"', to);
        }
        (void)fputc(cell.data[i], to);
    }
    (void)fputc('"', to);
}

static void
print_csv(FILE *to, const struct print_table *table, const struct print_options *options)
{
    size_t count = table->column_count;
    bool expanded = options->expanded == PRINT_EXPANDED_ON;
    for (size_t i = 0; i < count && !expanded && !options->tuples_only; i++) {
        const char *name = table->columns[i].name;
        put_csv(to, slice_of(name, strlen(name)));
        (void)fputc(i + 1 < count ? ',' : '\n', to);
    }
    for (size_t i = 0; i < table->cell_count; i++) {
        if (expanded) {
            const char *name = table->columns[i % count].name;
            put_csv(to, slice_of(name, strlen(name)));
            (void)fputc(',', to);
        }
        put_csv(to, shown(table->cells[i], options));
        (void)fputc(expanded || i % count == count - 1 ? '\n' : ',', to);
    }
}

/* Columns of an aligned line. */
static size_t
aligned_width(const struct print_table *table, const struct print_options *options)
{
    size_t total = 0;
    struct arena_mark mark = arena_mark(table->arena);
    for (size_t i = 0; i < table->column_count; i++) {
        const char *name = table->columns[i].name;
        size_t width = text_of(table->arena, slice_of(name, strlen(name))).width;
        for (size_t at = i; at < table->cell_count; at += table->column_count) {
            size_t cell = text_of(table->arena, shown(table->cells[at], options)).width;
            width = cell > width ? cell : width;
        }
        total += width + 3;
    }
    arena_rewind(table->arena, mark);
    return total == 0 ? 0 : total - 1;
}

static bool
expands(const struct print_table *table, const struct print_options *options)
{
    return options->expanded == PRINT_EXPANDED_ON ||
           (options->expanded == PRINT_EXPANDED_AUTO && options->screen_columns > 0 &&
               aligned_width(table, options) > options->screen_columns);
}

size_t
print_line_count(const struct print_table *table, const struct print_options *options)
{
    bool expanded = options->format == PRINT_ALIGNED ? expands(table, options)
                                                     : options->expanded == PRINT_EXPANDED_ON;
    return table->row_count * (expanded ? table->column_count + 1 : 1) + table->footer_count + 4;
}

void
print_table(FILE *to, const struct print_table *table, const struct print_options *options)
{
    ASSERT(table->cell_count == table->row_count * table->column_count);
    if (options->format == PRINT_UNALIGNED) {
        print_unaligned(to, table, options);
    } else if (options->format == PRINT_CSV) {
        print_csv(to, table, options);
    } else if (expands(table, options)) {
        print_expanded(to, table, options);
    } else {
        print_aligned(to, table, options);
    }
}
