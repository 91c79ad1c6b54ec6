#include <inttypes.h>
#include <stdio.h>

#include "words.h"

int main(void)
{
	struct words w = {0};
	char text[4096];
	size_t size;

	while ((size = fread(text, 1, sizeof text, stdin)) > 0)
		words_add(&w, text, size);
	printf("%" PRIu64 "\n", w.count);
	return ferror(stdin) ? 1 : 0;
}
