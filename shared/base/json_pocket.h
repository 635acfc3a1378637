/*
 * Memory for Jansson in a daemon: the objects of a request come and go together, some thirty small pieces of them, so
 * they are cut from one stretch of the thread, and the stretch is wiped when the last one is given back. What does not
 * fit comes from the heap and is wiped when it is given back.
 *
 * Thread: a piece is given back by the thread that took it; another one's free() would end the process.
 */
#ifndef KERB_BASE_JSON_POCKET_H
#define KERB_BASE_JSON_POCKET_H

#include <stddef.h>

void *json_pocket_take(size_t n);
void json_pocket_give(void *p); /* accepts NULL */

#endif
