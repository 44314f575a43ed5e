"""Checks messages against every version of DoseQR's contract that was ever released; needs jsonschema alone.

python check.py MESSAGE.json ...     each file holds a message, as it travels
python check.py --lines FILE         a message on each line; - for standard input
python check.py --print TYPE         print the valid examples of a type, a line each, to feed a consumer
python check.py --examples           check the examples themselves

Exit code 0: all fit; 1: some do not; 2: wrong usage.
"""

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import jsonschema

FOLDER = Path(__file__).parent / "messages"


def contract(kind: str) -> dict | None:
    """Return schema and examples of a type of message; None if there is no such type."""
    path = FOLDER / f"{kind}.json"
    known = path.parent == FOLDER and path.is_file()
    return json.loads(path.read_text(encoding="utf-8")) if known else None


def problems(message: object, schemas: dict[str, dict]) -> list[str]:
    """Return what is wrong with a message; nothing if it fits."""
    kind = message.get("type") if isinstance(message, dict) else None
    if not isinstance(kind, str) or not kind:
        return ["it is no object with a type"]
    if kind not in schemas:
        found = contract(kind)
        if found is None:
            return [f"{kind} is no type of message"]
        schemas[kind] = found["schema"]
    errors = jsonschema.Draft202012Validator(schemas[kind]).iter_errors(message)
    return [
        f"{'.'.join(map(str, error.absolute_path)) or 'message'}: {error.message[:200]}" for error in errors
    ]


def check(named: Iterable[tuple[str, str]]) -> int:
    """Check messages given as text; print a line for each, and return the exit code."""
    schemas: dict[str, dict] = {}
    code = 0
    for name, text in named:
        try:
            message = json.loads(text)
        except ValueError as error:
            found, kind = [f"it is no JSON: {error}"], ""
        else:
            found = problems(message, schemas)
            kind = "" if found else message["type"]
        print(f"{name}: {'fits ' + kind if not found else 'does not fit'}")
        for problem in found:
            print(f"  {problem}")
        code = code or int(bool(found))
    return code


def check_examples() -> int:
    """Check that valid examples fit and invalid ones do not; return the exit code."""
    code = 0
    for path in sorted(FOLDER.glob("*.json")):
        found = contract(path.stem)
        schemas = {found["type"]: found["schema"]}
        validator = jsonschema.Draft202012Validator
        validator.check_schema(found["schema"])
        wrong = [name for name, message in found["valid"].items() if problems(message, schemas)]
        wrong += [
            name for name, message in found["invalid"].items() if validator(found["schema"]).is_valid(message)
        ]
        print(f"{path.stem}: {len(found['valid'])} valid, {len(found['invalid'])} invalid")
        for name in wrong:
            print(f"  wrong: {name}")
        code = code or int(bool(wrong))
    return code


def lines_of(name: str) -> Iterator[tuple[str, str]]:
    """Yield the lines of a file that hold anything, each with its number."""
    with open(sys.stdin.fileno() if name == "-" else name, encoding="utf-8", closefd=name != "-") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield f"line {number}", line


def main(arguments: list[str]) -> int:
    """Do what the arguments say."""
    match arguments:
        case ["--examples"]:
            return check_examples()
        case ["--print", kind] if found := contract(kind):
            for message in found["valid"].values():
                print(json.dumps(message))
            return 0
        case ["--lines", name]:
            return check(lines_of(name))
        case [first, *_] if not first.startswith("-"):
            return check((name, Path(name).read_text(encoding="utf-8")) for name in arguments)
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
