"""Checks conf/veil.schema.json with a validator that is not ours: every shipped configuration fits it and names it, it
refuses mistakes that one place alone shows, and a variable may stand for any value. Prints every mistake; exit code 1 if
there is one. usage: veil_schema.py (in the project's folder)"""

import json
import re
import sys
from pathlib import Path

import jsonschema
import yaml

CONF = Path("conf")
MISTAKES = Path("proxy/tests/config_errors")
REFUSED = [
    "section_misspelt",
    "timeout_misspelt",
    "select_misspelt",
    "filter_misspelt",
    "filter_redirect_status",
    "backend_weight_text",
    "backend_weight_negative",
    "backend_address",
    "backend_address_missing",
    "backends_a_map",
    "duration_without_unit",
    "size_unknown_unit",
    "match_path_query",
    "match_host_with_scheme",
    "version_unknown",
    "discover_type_misspelt",
    "discover_name_with_port",
    "discover_each_misspelt",
]
VARIABLES = """
version: 1
threads: ${THREADS}
listeners: { public: { address: '${ADDRESS:-0.0.0.0:80}', max_head: '${HEAD}' } }
routes: [{ match: { path_prefix: '/${PREFIX}' }, pool: blur, idempotent: '${AGAIN}', body: { buffering: '${BUFFERING:-on}' } }]
pools: { blur: { backends: [{ address: '${WORKER}', weight: '${WEIGHT:-3}' }] } }
retry_budget: { share: '${SHARE}' }
"""


def main() -> int:
    schema = json.loads((CONF / "veil.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    shipped = [(file, "veil.schema.json") for file in CONF.glob("*.yaml")]
    shipped += [(file, "../veil.schema.json") for file in CONF.glob("examples/*.yaml")]
    mistakes = [mistake for file, name in shipped for mistake in unfit(validator, file, name)]
    mistakes += [f"{name} is not refused" for name in REFUSED if validator.is_valid(read(MISTAKES / f"{name}.yaml"))]
    mistakes += [f"variables: {error.message}" for error in validator.iter_errors(yaml.load(VARIABLES, Core))]
    for mistake in mistakes:
        print(mistake)
    print(f"{len(shipped)} configurations, {len(REFUSED)} refusals, {len(mistakes)} mistakes")
    return 1 if mistakes or not shipped else 0


def unfit(validator, file, schema):
    if not file.read_text().startswith(f"# yaml-language-server: $schema={schema}\n"):
        yield f"{file} does not begin by naming {schema}"
    for error in validator.iter_errors(read(file)):
        yield f"{file}: {error.json_path}: {error.message}"


def read(file):
    return yaml.load(file.read_text(), Core)


class Core(yaml.SafeLoader):
    """YAML 1.2, as Veil reads it: `on` and `off` are words, and `12:30` is one too."""

    yaml_implicit_resolvers = {}


for tag, pattern, first in [
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
]:
    Core.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), first)

sys.exit(main())
