#!/usr/bin/python3
"""Writes corpus.json: what ansible-core says to expressions.txt, templates.json and yaml.json.

Run it in this folder after a change to those; oracle.py says what it needs and what
the answers mean.
"""
import json

import oracle


def main():
    ask = oracle.load().answer
    items = [{"expr": e} for e in open("expressions.txt").read().splitlines()]
    items += [{"template": t} for t in json.load(open("templates.json"))]
    items += [{"yaml": y} for y in json.load(open("yaml.json"))]
    corpus = [ask(i) for i in items]
    with open("corpus.json", "w") as out:
        json.dump(corpus, out, indent=1, ensure_ascii=False)
        out.write("\n")
    print(len(corpus), "entries,", sum("error" in i for i in corpus), "refused,",
          sum("text" in i and "value" not in i for i in corpus), "with text only")


main()
