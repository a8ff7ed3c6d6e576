#include "policy/feature.h"

#include <assert.h>

#define FEATURE(name, text, in_force) [FEATURE_##name] = {text, in_force},
static const struct {
    const char *name;
    bool in_force;
} features[POLICY_FEATURES] = {FEATURES(FEATURE)};
#undef FEATURE
static_assert(POLICY_FEATURES <= 64, "a set is one word");

const char *feature_name(enum policy_feature f)
{
    assert(f < POLICY_FEATURES);
    return features[f].name;
}

enum policy_feature feature_named(struct bytes name)
{
    for (int f = 0; f < POLICY_FEATURES; f++)
        if (bytes_eq_str(name, features[f].name))
            return (enum policy_feature)f;
    return FEATURE_NONE;
}

bool feature_in_force(enum policy_feature f)
{
    assert(f < POLICY_FEATURES);
    return features[f].in_force;
}

uint64_t features_lacking(uint64_t set)
{
    uint64_t lacking = 0;
    for (int f = 0; f < POLICY_FEATURES; f++)
        if (!features[f].in_force)
            lacking |= set & feature_bit((enum policy_feature)f);
    return lacking;
}
