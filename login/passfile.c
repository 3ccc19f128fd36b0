/* login/passfile.c - files of passwords, as libpq's .pgpass. */
#include <openssl/crypto.h>
#include <string.h>

#include "base/mem.h"
#include "login/login.h"

enum {
    PASSFILE_SIZE_MAX = 1 << 20,
    FIELD_COUNT = 4,
};

/* Behind the field and its colon if it is `wanted`; else NULL. */
static const char *
match_field(const char *at, const char *end, const char *wanted)
{
    if (end - at >= 2 && at[0] == '*' && at[1] == ':') {
        return at + 2;
    }
    while (at < end && *at != ':') {
        at += *at == '\\' && at + 1 < end ? 1 : 0;
        if (*at++ != *wanted++) { /* at the wanted one's end: its NUL is in no file's line */
            return NULL;
        }
    }
    return at < end && *wanted == '\0' ? at + 1 : NULL;
}

static char *
copy_password(const char *at, const char *end)
{
    char *password = mem_alloc((size_t)(end - at) + 1);
    char *to = password;
    while (at < end) {
        at += *at == '\\' && at + 1 < end ? 1 : 0;
        *to++ = *at++;
    }
    *to = '\0';
    return password;
}

static char *
find(const char *text, size_t size, const char *const target[FIELD_COUNT])
{
    for (const char *line = text, *all = text + size; line < all;) {
        const char *newline = memchr(line, '\n', (size_t)(all - line));
        const char *end = newline == NULL ? all : newline;
        const char *next = newline == NULL ? all : newline + 1;
        end -= end > line && end[-1] == '\r' ? 1 : 0;
        const char *at =
            *line == '#' || memchr(line, '\0', (size_t)(end - line)) != NULL ? NULL : line;
        for (size_t i = 0; i < FIELD_COUNT && at != NULL; i++) {
            at = match_field(at, end, target[i]);
        }
        if (at != NULL && at < end) {
            return copy_password(at, end);
        }
        line = next;
    }
    return NULL;
}

enum err
login_passfile_check(struct task *task, const char *path, struct diag *diag)
{
    struct world_file *file = NULL;
    TRY(world_file_open(task, path, WORLD_FILE_READ, &file, diag));
    bool private = world_file_private(task, file);
    world_file_close(task, file);
    if (!private) {
        (void)diag_set(
            diag, ERR_CONFIG_FILE, "password file \"%s\" has group or world access", path);
        diag_hint(diag, "Permissions should be u=rw (0600) or less.");
        return ERR_CONFIG_FILE;
    }
    return ERR_OK;
}

enum err
login_passfile_find(struct task *task, const char *path, const char *const target[FIELD_COUNT],
    char **password, struct diag *diag)
{
    struct buffer text = {0};
    *password = NULL;
    TRY(login_passfile_check(task, path, diag));
    enum err err = world_file_read_all(task, path, PASSFILE_SIZE_MAX, &text, diag);
    if (err == ERR_OK && text.size > 0) {
        *password = find((const char *)text.data, text.size, target);
    }
    if (text.data != NULL) {
        OPENSSL_cleanse(text.data, text.capacity);
    }
    buffer_destroy(&text);
    return err;
}
