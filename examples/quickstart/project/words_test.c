#include <stdio.h>
#include <string.h>

#include "words.h"

static int failures;

static void check(const char *what, int ok)
{
	printf("%s %s\n", ok ? "ok  " : "FAIL", what);
	failures += !ok;
}

static uint64_t count(const char *a, const char *b)
{
	struct words w = {0};

	words_add(&w, a, strlen(a));
	words_add(&w, b, strlen(b));
	return w.count;
}

int main(void)
{
	check("no text has no words", count("", "") == 0);
	check("spaces part words", count(" one\ttwo\n", "three ") == 3);
	check("a word across two pieces counts once", count("wo", "rd") == 1);
	check("the hash of nothing", words_hash("", 0) == UINT64_C(0xcbf29ce484222325));
	check("the hash of a byte over 127", words_hash("\xff", 1) == UINT64_C(0xaf64724c8602eb6e));
	return failures != 0;
}
