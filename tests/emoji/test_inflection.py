"""The inflector: what it says, how it is loaded, and that nothing is left changed."""

import subprocess
import sys

from synthpairs.emoji.inflection import inflector


def test_it_says_what_inflect_says():
    words = inflector()
    assert [words.a(name) for name in ("apple", "hour", "unicorn")] == ["an apple", "an hour", "a unicorn"]
    assert [words.plural(name) for name in ("mouse", "bus", "cherry")] == ["mice", "buses", "cherries"]
    assert [words.singular_noun(name) for name in ("mice", "cherries", "dog")] == ["mouse", "cherry", False]


def test_it_loads_unwoven_and_leaves_typeguard_as_it_was():
    code = (
        "import typeguard; before = typeguard.typechecked\n"
        "from synthpairs.emoji.inflection import inflector; engine = inflector()\n"
        "print(typeguard.typechecked is before, hasattr(type(engine).plural, '__wrapped__'))\n"
        "from inflect import engine as kind; print('check_argument_types' in kind.plural.__code__.co_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False", "False"]
