/* What `kerb trace` shows of the chat: of each record the type, the label and the size. No other member is looked at.
 */
#include "client/chat.h"

#define WORD_MAX 64 /* characters: of an `id`, PROTOCOL.md 5.3; types are shorter */

static struct slice word_of(const json_t *j, const char *member)
{
    struct slice text;

    if (json_get_text(j, member, &text) == RC_OK && client_is_word(text, WORD_MAX))
        return text;
    return slice_of("", 0);
}

void chat_trace_record(const struct kerb *k, const char *arrow, struct slice json, size_t record_n)
{
    AUTO(json_done) json_t *j = NULL;

    if (!k->trace || json_parse_object(json, JSON_DEPTH_CHAT, &j) != RC_OK)
        return;
    struct slice type = word_of(j, "type"), id = word_of(j, "id");
    client_trace(k, "%s record: %.*s%s%.*s, %zu bytes", arrow, SLICE_FMT(type.n ? type : slice_text("?")),
                 id.n ? ", id " : "", SLICE_FMT(id), record_n);
}
