/*
 * The tables of chat.db.
 *
 * Messages are appended, and found through one index; so a commit dirties few pages however many rooms there are. Only
 * an edit or a deletion changes a row: the text of the message it is about.
 * Shares not yet delivered and saved values are sealed rows; texts come sealed from the core. Rowids of rooms are never
 * given twice (AUTOINCREMENT), so the messages of a deleted room, which go piece by piece, never show up in another.
 */
#include "chat/store/sqlite.h"

#define CHAT_DB_ID 0x6b636861 /* "kcha" */

static const char v1[] =
    "CREATE TABLE user("
    " id INTEGER PRIMARY KEY," /* order of the first login */
    " client_id BLOB NOT NULL UNIQUE,"
    " name TEXT NOT NULL,"
    " first_seen INTEGER NOT NULL,"
    " data_bytes INTEGER NOT NULL DEFAULT 0," /* of his saved values, keys included */
    " data_entries INTEGER NOT NULL DEFAULT 0);"

    "CREATE TABLE room("
    " id INTEGER PRIMARY KEY AUTOINCREMENT,"
    " uid BLOB NOT NULL UNIQUE,"
    " room_id TEXT NOT NULL UNIQUE,"
    " name TEXT NOT NULL,"
    " threshold INTEGER NOT NULL,"
    " hold INTEGER NOT NULL,"
    " epoch INTEGER NOT NULL,"
    " key_check BLOB NOT NULL,"
    " created INTEGER NOT NULL);"

    "CREATE TABLE member("
    " room INTEGER NOT NULL REFERENCES room(id),"
    " number INTEGER NOT NULL,"
    " user INTEGER NOT NULL REFERENCES user(id),"
    " commitment BLOB NOT NULL,"
    " PRIMARY KEY(room, number)) WITHOUT ROWID;"
    "CREATE UNIQUE INDEX member_user ON member(user, room);"

    "CREATE TABLE share("
    " id INTEGER PRIMARY KEY,"
    " room INTEGER NOT NULL REFERENCES room(id),"
    " user INTEGER NOT NULL REFERENCES user(id),"
    " sealed BLOB NOT NULL);"
    "CREATE UNIQUE INDEX share_user ON share(user, room);"
    "CREATE INDEX share_room ON share(room);"

    "CREATE TABLE message("
    " id INTEGER PRIMARY KEY,"
    " room INTEGER NOT NULL,"
    " seq INTEGER NOT NULL,"
    " time INTEGER NOT NULL,"
    " mid BLOB NOT NULL,"
    " sender TEXT NOT NULL,"
    " epoch INTEGER NOT NULL,"
    " box BLOB NOT NULL);"
    "CREATE UNIQUE INDEX message_seq ON message(room, seq);"

    "CREATE TABLE sweep(room INTEGER PRIMARY KEY);" /* deleted rooms whose messages are not all gone */

    "CREATE TABLE data("
    " user INTEGER NOT NULL REFERENCES user(id),"
    " key TEXT NOT NULL,"
    " size INTEGER NOT NULL," /* bytes of key and value as the user gave them */
    " sealed BLOB NOT NULL,"
    " PRIMARY KEY(user, key)) WITHOUT ROWID;";

static const char v2[] =
    "CREATE TABLE epoch("
    " client_id BLOB PRIMARY KEY,"
    " epoch INTEGER NOT NULL) WITHOUT ROWID;"  /* tickets of a lower one are worth nothing */
    "CREATE TABLE feed(seq INTEGER NOT NULL);" /* one row: the last news of the feed that was heard */
    "INSERT INTO feed(seq) VALUES(0);"
    "CREATE TABLE canary(id INTEGER PRIMARY KEY, sealed BLOB NOT NULL);"; /* one row: opens under the right master key
                                                                           */

/* A message of before has no user: its sender is a name alone. */
static const char v3[] =
    "ALTER TABLE message ADD COLUMN user INTEGER;" /* of its sender */
    "ALTER TABLE message ADD COLUMN cid TEXT;"     /* what its sender calls it */
    "CREATE UNIQUE INDEX message_cid ON message(user, cid) WHERE cid IS NOT NULL;"
    "ALTER TABLE member ADD COLUMN read INTEGER NOT NULL DEFAULT 0;" /* the last message that he has read */
    "CREATE TABLE history("                                          /* one row: which history this is (lineage.c) */
    " one INTEGER PRIMARY KEY CHECK (one = 1),"
    " id BLOB NOT NULL,"
    " run BLOB NOT NULL,"
    " place BLOB NOT NULL);";

/*
 * An edit or a deletion is a row of its own without a box, and names the message that it revises; that one's box is
 * then of its newest revision.
 */
static const char v4[] = "ALTER TABLE message ADD COLUMN target INTEGER;" /* the seq of that message */
                         "CREATE INDEX message_target ON message(room, target, seq) WHERE target IS NOT NULL;";

static const char v5[] =
    "ALTER TABLE room ADD COLUMN keep_days INTEGER NOT NULL DEFAULT 0;" /* 0: for ever */
    "ALTER TABLE room ADD COLUMN floor INTEGER NOT NULL DEFAULT 0;"; /* up to this number all has expired and is gone */

/* cids begin with the time, whoever makes them: so a commit of many users' messages changes few pages of the index. */
static const char v6[] = "DROP INDEX message_cid;"
                         "CREATE UNIQUE INDEX message_cid ON message(cid, user) WHERE cid IS NOT NULL;";

static const char *const migrations[] = {v1, v2, v3, v4, v5, v6};

const struct db_schema store_schema = {
    .application_id = CHAT_DB_ID,
    .migrations = migrations,
    .version = ARRAY_LEN(migrations),
};
