/*
 * The words of a text, for searching: split as Unicode says (UAX 29), without regard to case and to how a letter is
 * composed (full case folding, NFKC).
 */
#ifndef KERB_CHAT_CORE_WORDS_H
#define KERB_CHAT_CORE_WORDS_H

#include "shared/base/buf.h"

#define WORD_MAX 48 /* bytes of a word, folded; the rest of a longer one does not count */

/*
 * Calls f for each word in its order, until it returns false. Text that is not UTF-8 has none. The folded text is
 * wiped; copies that the library makes on the way are given back as they are. Running out of memory ends the process.
 */
void words_each(struct slice text, bool (*f)(void *ctx, struct slice word), void *ctx);

#endif
