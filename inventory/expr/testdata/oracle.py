#!/usr/bin/python3
"""Answers what ansible-core makes of expressions, templates and YAML.

One JSON object a line comes in, with "expr", "template" or "yaml"; it goes out again
with the answers added:

  text   what the template gives, or <{{ expression }}>
  value  the expression's own value, what a variable with the template is worth, or
         what the YAML holds; as JSON, so a tuple is a list
  error  the exception's name, where there is no answer

It needs ansible-core 2.14 with Jinja2 3.1, passlib and the collection
community.general: on Debian 12 apt-get install ansible python3-jinja2 python3-passlib
"""
import datetime
import json
import math
import os
import signal
import sys
import types
from collections.abc import Mapping, ValuesView

os.environ["ANSIBLE_LOCALHOST_WARNING"] = "false"
os.environ["ANSIBLE_DUPLICATE_YAML_DICT_KEY"] = "ignore"

from ansible.parsing.dataloader import DataLoader
from ansible.parsing.yaml.loader import AnsibleLoader
from ansible.template import Templar
from jinja2 import Undefined
from jinja2.runtime import Macro


def plain(x):
    if isinstance(x, Undefined):
        str(x)
    if isinstance(x, Mapping):
        return {key(k): plain(v) for k, v in x.items()}
    if isinstance(x, (list, tuple, types.GeneratorType, range, ValuesView)) or type(x).__name__ in ("dict_keys", "dict_items"):
        return [plain(v) for v in x]
    if isinstance(x, float) and not math.isfinite(x):
        return "NaN" if math.isnan(x) else "Infinity" if x > 0 else "-Infinity"
    if isinstance(x, str):
        return str(x)
    if isinstance(x, (datetime.date, datetime.datetime)):
        return str(x)
    if isinstance(x, bytes):
        return x.decode()
    if x is None or isinstance(x, (bool, int, float)):
        return x
    raise TypeError(type(x))


def key(k):
    if isinstance(k, float):
        return repr(k)
    if isinstance(k, (bool, type(None))):
        return json.dumps(k)
    return str(k)


class Oracle:
    def __init__(self, variables):
        self.variables = variables
        self.templar = Templar(loader=DataLoader(), variables=variables)

    def answer(self, item):
        item = dict(item)
        kind = "expr" if "expr" in item else "template" if "template" in item else "yaml"
        signal.alarm(5)
        try:
            getattr(self, kind)(item)
            json.dumps(item)
        except Exception as e:
            if "text" not in item:
                item["error"] = type(e).__name__
        finally:
            signal.alarm(0)
        return item

    def expr(self, item):
        text = self.templar.template("<{{ " + item["expr"] + " }}>", fail_on_undefined=True)
        if type(text).__mro__[-2] is not str and not isinstance(text, str):
            raise TypeError(type(text))
        item["text"] = str(text)
        f = self.templar.environment.compile_expression(item["expr"], undefined_to_none=False)
        context = {name: self.native(self.variables[name]) for name in self.variables}
        context.update(lookup=self.templar._lookup, query=self.templar._query_lookup, q=self.templar._query_lookup, omit="omit")
        item["value"] = plain(f(**context))

    def template(self, item):
        item["text"] = str(self.templar.template(item["template"], convert_data=False))
        item["value"] = plain(self.templar.template(item["template"]))

    def yaml(self, item):
        item["value"] = plain(AnsibleLoader(item["yaml"]).get_single_data())

    def native(self, x):
        if isinstance(x, str):
            return self.templar.template(x)
        if isinstance(x, list):
            return [self.native(y) for y in x]
        if isinstance(x, dict):
            return {k: self.native(v) for k, v in x.items()}
        return x


def late(*_):
    raise TimeoutError("no answer in 5 s")


def load():
    signal.signal(signal.SIGALRM, late)
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "vars.json")) as f:
        return Oracle(json.load(f))


def main():
    oracle = load()
    for line in sys.stdin:
        print(json.dumps(oracle.answer(json.loads(line)), ensure_ascii=False), flush=True)


if __name__ == "__main__":
    main()
