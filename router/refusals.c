/* router/refusals.c - what the router does not run, by number: the numbers stay what they are. */
#include "router/router.h"

const struct refusal refusals[] = {
#define REFUSAL_TEXT(number, name, message, hint) {number, message, hint},
    REFUSALS(REFUSAL_TEXT)
#undef REFUSAL_TEXT
};
const size_t refusal_count = sizeof refusals / sizeof refusals[0];

enum err
refuse(int number, struct diag *diag)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        if (refusals[i].number == number) {
            (void)diag_set(diag, ERR_FEATURE_NOT_SUPPORTED, "%s", refusals[i].message);
            diag_detail(diag, "Reason %d of tusk_router_refusals.", number);
            diag_hint(diag, "%s", refusals[i].hint);
            break;
        }
    }
    return ERR_FEATURE_NOT_SUPPORTED;
}
