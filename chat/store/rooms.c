/*
 * The rooms as the store thread knows them: where they lie and the number of their last message.
 *
 * A transaction may touch many; when it is over, its changes become what is committed or are taken back.
 */
#include <stdlib.h>
#include <string.h>

#include "chat/store/sqlite.h"

static int compare(const struct store_room *a, const struct store_room *b)
{
    return memcmp(a->uid, b->uid, ID_LEN);
}

TREE_GENERATE(store_room_tree, store_room, by_uid, compare)

struct store_room *store_room_find(struct sqlite_store *s, const uint8_t uid[ID_LEN])
{
    struct store_room key;

    memcpy(key.uid, uid, ID_LEN);
    struct store_room *room = RB_FIND(store_room_tree, &s->rooms, &key);
    return room != NULL && !room->is_gone ? room : NULL;
}

struct store_room *store_room_add(struct sqlite_store *s, const uint8_t uid[ID_LEN])
{
    struct store_room *room = calloc(1, sizeof(*room));

    if (room == NULL)
        return NULL;
    memcpy(room->uid, uid, ID_LEN);
    if (RB_INSERT(store_room_tree, &s->rooms, room) != NULL) {
        free(room);
        return NULL;
    }
    return room;
}

void store_room_touch(struct sqlite_store *s, struct store_room *room)
{
    if (room->is_touched)
        return;
    room->is_touched = true;
    STAILQ_INSERT_TAIL(&s->touched, room, in_touched);
}

void store_room_forget(struct sqlite_store *s, struct store_room *room)
{
    RB_REMOVE(store_room_tree, &s->rooms, room);
    free(room);
}

void store_rooms_settle(struct sqlite_store *s, bool is_committed)
{
    struct store_room *room;

    while ((room = STAILQ_FIRST(&s->touched)) != NULL) {
        STAILQ_REMOVE_HEAD(&s->touched, in_touched);
        if (is_committed ? room->is_gone : room->is_new) {
            store_room_forget(s, room);
            continue;
        }
        if (is_committed) {
            room->committed = room->head;
            room->committed_floor = room->floor;
        } else {
            room->head = room->committed;
            room->floor = room->committed_floor;
        }
        room->is_touched = room->is_new = room->is_gone = false;
    }
}

void store_rooms_free(struct sqlite_store *s)
{
    struct store_room *room, *next;

    RB_FOREACH_SAFE (room, store_room_tree, &s->rooms, next)
        store_room_forget(s, room);
}
