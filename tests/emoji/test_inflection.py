"""The inflector: its results, and that loading it leaves typeguard unchanged."""

import subprocess
import sys

from synthpairs.emoji.inflection import inflector


def test_results_are_those_of_inflect():
    engine = inflector()
    assert [engine.a(name) for name in ("apple", "hour", "unicorn")] == ["an apple", "an hour", "a unicorn"]
    assert [engine.plural(name) for name in ("mouse", "bus", "cherry")] == ["mice", "buses", "cherries"]
    assert [engine.singular_noun(name) for name in ("mice", "cherries", "dog")] == ["mouse", "cherry", False]


def test_it_loads_without_type_checks_and_leaves_typeguard_unchanged():
    code = (
        "import typeguard; before = typeguard.typechecked\n"
        "from synthpairs.emoji.inflection import inflector; engine = inflector()\n"
        "print(typeguard.typechecked is before, 'check_argument_types' in type(engine).plural.__code__.co_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
