/* What was probably meant: "did you mean", for keys, options and commands. */
#ifndef PL_NODE_NEAREST_H
#define PL_NODE_NEAREST_H

#include <stddef.h>

/* Which of the names is nearest to a mistyped one; NULL if none is near. Near is one mistake, and one more for every four letters: a letter too
 * many, too few, another one, two that have changed places. Large and small letters, - and _ are the same. A beginning of a name is near, too, of three
 * letters or more. */
const char *pl_nearest(const char *mistyped, const char *const *names, size_t count);

#endif
