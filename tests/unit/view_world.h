/* A member put into a view that is being built, by what a record says. */
#ifndef TEST_VIEW_WORLD_H
#define TEST_VIEW_WORLD_H

#include "discovery/view.h"

static inline void add_member(struct view_builder *b, const struct record *r, const struct addr *at,
                              bool alive, bool suspect)
{
    struct view_record *said;
    assert_int_equal(view_record_new(&said, r, NULL), ERR_OK);
    assert_int_equal(view_builder_member(b, said, at, alive, suspect), ERR_OK);
    view_record_unref(said);
}

#endif
