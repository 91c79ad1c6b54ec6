#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>
#include <stdint.h>

/* Counts the words of a text that comes in pieces. Starts as all zeros. */
struct words {
	uint64_t count;
	int inside;
};

void words_add(struct words *w, const char *text, size_t size);

/* A checksum that must be the same on every architecture (FNV-1a, 64 bits). */
uint64_t words_hash(const char *text, size_t size);

#endif
