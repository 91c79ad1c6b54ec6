#include "words.h"

#include <ctype.h>

void words_add(struct words *w, const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		int space = isspace((unsigned char)text[i]);
		if (!space && !w->inside)
			w->count++;
		w->inside = !space;
	}
}

uint64_t words_hash(const char *text, size_t size)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < size; i++) {
		hash ^= (unsigned char)text[i]; /* plain char is signed here, unsigned there */
		hash *= UINT64_C(0x100000001b3);
	}
	return hash;
}
