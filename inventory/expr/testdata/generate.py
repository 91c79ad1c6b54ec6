#!/usr/bin/python3
"""Writes corpus.json: what ansible-core says to expressions.txt and templates.json.

Run it in this folder after a change to those. It needs ansible-core 2.14 with Jinja2 3.1,
passlib and the collection community.general: on Debian 12
apt-get install ansible python3-jinja2 python3-passlib

value is the expression's own value, text what <{{ expression }}> prints; error stands
where Ansible refuses both.
"""
import json
import types
from collections.abc import Mapping

from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from jinja2 import Undefined


def plain(x):
    if isinstance(x, Undefined):
        str(x)
    if isinstance(x, Mapping):
        return {str(k): plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple, types.GeneratorType, range)):
        return [plain(v) for v in x]
    if x is None or isinstance(x, (bool, int, float, str)):
        return x
    raise TypeError(type(x))


def main():
    variables = json.load(open("vars.json"))
    templar = Templar(loader=DataLoader(), variables=variables)
    corpus = []
    for expression in open("expressions.txt").read().splitlines():
        item = {"expr": expression}
        try:
            item["text"] = str(templar.template("<{{ " + expression + " }}>", fail_on_undefined=True))
            f = templar.environment.compile_expression(expression, undefined_to_none=False)
            context = {}
            for name in variables:
                context[name] = native(templar, variables[name])
            context.update(lookup=templar._lookup, query=templar._query_lookup, q=templar._query_lookup, omit="omit")
            item["value"] = plain(f(**context))
        except Exception as e:
            if "text" not in item:
                item["error"] = type(e).__name__
        corpus.append(item)
    for template in json.load(open("templates.json")):
        item = {"template": template}
        try:
            item["text"] = str(templar.template(template, convert_data=False))
        except Exception as e:
            item["error"] = type(e).__name__
        corpus.append(item)
    with open("corpus.json", "w") as out:
        json.dump(corpus, out, indent=1, ensure_ascii=False)
        out.write("\n")
    print(len(corpus), "entries,", sum("error" in i for i in corpus), "refused,",
          sum("text" in i and "value" not in i and "expr" in i for i in corpus), "with text only")


def native(templar, x):
    if isinstance(x, str):
        return templar.template(x)
    if isinstance(x, list):
        return [native(templar, y) for y in x]
    if isinstance(x, dict):
        return {k: native(templar, v) for k, v in x.items()}
    return x


main()
